"""The trace file: a self-describing header, then exactly the bytes that hardware would have sent.

    offset  size  what (integers little-endian)
    0       8     magic 89 45 54 52 41 43 45 0A ("\\x89ETRACE\\n")
    8       2     format version, 1
    10      2     0
    12      4     header length H
    16      H     header: JSON, UTF-8, sorted keys
    16 + H  ...   the packet stream, to the end of the file

The stream has no length and no trailer, so a file is good up to its last whole packet however its
writer ended. See docs/file-format.md for the header's keys.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from etrace.errors import TraceError, os_error
from etrace.expand import expanded
from etrace.files import open_input, shown
from etrace.trace.dumps import PLAIN, Contents, Dump, contents
from etrace.trace.header import (
    MAGIC,
    PREFIX,
    VERSION,
    Header,
    header_from,
)
from specs.configuration.parameters import ParametersError

MAX_HEADER = 1 << 20
_PIECE = 1 << 20


class TraceStream:
    """An open trace: `header` (None for a bare stream), `name`, and the stream's bytes."""

    def __init__(self, file: BinaryIO, name: str, dump: Dump = PLAIN) -> None:
        self.name = name
        self._file = self._contents(file, dump)
        self._ahead = self._read(len(MAGIC))
        self.header: Header | None = None
        if not self._ahead:
            raise TraceError(f"{name}: empty file; nothing was recorded")
        if self._ahead == MAGIC:
            self.header = self._read_header()
            self._ahead = b""
        elif MAGIC.startswith(self._ahead):
            raise TraceError(f"{name}: offset {len(self._ahead)}: truncated in the header")

    @property
    def is_program(self) -> bool:
        """Whether this is an ELF file given by mistake. No packet stream begins so by itself."""
        return self._ahead.startswith(b"\x7fELF")

    @property
    def base(self) -> int:
        """The address of the first byte, of a dump that has addresses; else 0."""
        return self._file.base

    def peek(self, size: int) -> bytes:
        """The next `size` bytes of the stream, or all that are left; they are still to come."""
        self._ahead += self._read(max(size - len(self._ahead), 0))
        return self._ahead[:size]

    def chunks(self) -> Iterator[bytes]:
        """The stream, in pieces, once."""
        ahead, self._ahead = self._ahead, b""
        if ahead:
            yield ahead
        while piece := self._read(_PIECE):
            yield piece

    def _contents(self, file: BinaryIO, dump: Dump) -> Contents:
        try:
            return contents(expanded(file, self.name), self.name, dump.format)
        except OSError as error:
            raise os_error(self.name, error) from None

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise os_error(self.name, error) from None

    def _read_header(self) -> Header:
        rest = self._read(PREFIX.size - len(MAGIC))
        if len(rest) < PREFIX.size - len(MAGIC):
            raise TraceError(f"{self.name}: offset {8 + len(rest)}: truncated in the header")
        _, version, reserved, length = PREFIX.unpack(MAGIC + rest)
        if version != VERSION or reserved:
            raise TraceError(
                f"{self.name}: offset 8: trace file version {version}, this etrace reads "
                f"{VERSION}; use the etrace that wrote it"
            )
        if length > MAX_HEADER:
            raise TraceError(f"{self.name}: offset 12: header claims {length} bytes; damaged file")
        text = self._read(length)
        if len(text) < length:
            raise TraceError(
                f"{self.name}: offset {PREFIX.size + len(text)}: truncated in the header "
                f"({length} bytes claimed)"
            )
        try:
            return header_from(json.loads(text))
        except ParametersError as error:
            raise TraceError(f"{self.name}: header: {error.problems[0]}") from None
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise TraceError(f"{self.name}: header: {reason}; damaged file") from None


@contextmanager
def open_trace(path: str, dump: Dump = PLAIN, name: str | None = None) -> Iterator[TraceStream]:
    """Open the trace file or bare stream `path` (`-`: standard input), expanded if compressed.

    `name`: what messages call it, if not by its path. Raises `InputError` if it cannot be read,
    `TraceError` if its header is damaged.
    """
    with open_input(path) as file:
        yield TraceStream(file, shown(path) if name is None else name, dump)


def is_bare(path: str, name: str | None = None) -> bool:
    """Whether the file `path` is a stream without a header. Raises as `open_trace` does."""
    with open_trace(path, name=name) as stream:
        return stream.header is None
