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
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Literal

from emu.ingress.options import SidebandOptions
from etrace.errors import TraceError, os_error
from etrace.expand import expanded
from etrace.files import open_input, shown
from etrace.recording.sideband import from_header, to_header
from etrace.trace.dumps import PLAIN, Contents, Dump, contents
from specs.configuration.parameters import Configuration, ParametersError, from_dict

MAGIC = b"\x89ETRACE\n"
VERSION = 1
MAX_HEADER = 1 << 20
_PREFIX = struct.Struct("<8sHHI")
_PIECE = 1 << 20


@dataclass(frozen=True)
class ProgramReference:
    """A program as named when the trace was made, and the SHA-256 of its file."""

    path: str
    sha256: str


@dataclass(frozen=True)
class ImageReference:
    """A binary image at `address`, likewise."""

    address: int
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a decoder needs besides the stream. `source` is the verb that made the trace."""

    configuration: Configuration
    xlen: int
    source: str
    programs: tuple[ProgramReference, ...] = ()
    images: tuple[ImageReference, ...] = ()
    platform: str | None = None
    isa: str | None = None
    memory: tuple[tuple[int, int], ...] = ()
    max_instructions: int | None = None
    command: tuple[str, ...] = ()
    #: Host calls were served: the command line that they gave. (Not the directory: it is for who
    #: runs the program again to say what that may touch.)
    semihosting: str | None = None
    #: What the hart told besides what retired: it also says where blocks end.
    sideband: SidebandOptions | None = None
    #: Where the program tells the host, if no symbol says so; "none": nowhere, whatever it says.
    tohost: int | Literal["none"] | None = None

    def pack(self) -> bytes:
        """The bytes before the stream."""
        values = {
            "command": list(self.command),
            "configuration": self.configuration.to_dict(),
            "images": [asdict(image) for image in self.images],
            "isa": self.isa,
            "max_instructions": self.max_instructions,
            "memory": [list(region) for region in self.memory],
            "platform": self.platform,
            "programs": [asdict(program) for program in self.programs],
            "source": self.source,
            "xlen": self.xlen,
        }
        if self.semihosting is not None:
            values["semihosting"] = self.semihosting
        if self.tohost is not None:
            values["tohost"] = self.tohost
        if self.sideband is not None:
            values["sideband"] = to_header(self.sideband)
        text = json.dumps(values, sort_keys=True, indent=1).encode() + b"\n"
        return _PREFIX.pack(MAGIC, VERSION, 0, len(text)) + text


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
        rest = self._read(_PREFIX.size - len(MAGIC))
        if len(rest) < _PREFIX.size - len(MAGIC):
            raise TraceError(f"{self.name}: offset {8 + len(rest)}: truncated in the header")
        _, version, reserved, length = _PREFIX.unpack(MAGIC + rest)
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
                f"{self.name}: offset {_PREFIX.size + len(text)}: truncated in the header "
                f"({length} bytes claimed)"
            )
        try:
            return _header(json.loads(text))
        except ParametersError as error:
            raise TraceError(f"{self.name}: header: {error.problems[0]}") from None
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise TraceError(f"{self.name}: header: {reason}; damaged file") from None


@contextmanager
def open_trace(path: str, dump: Dump = PLAIN) -> Iterator[TraceStream]:
    """Open the trace file or bare stream `path` (`-`: standard input), expanded if compressed.

    Raises `InputError` if it cannot be read, `TraceError` if its header is damaged.
    """
    with open_input(path) as file:
        yield TraceStream(file, shown(path), dump)


def _header(values: Any) -> Header:
    """A checked header; raises ValueError, KeyError or TypeError on anything else."""
    if not isinstance(values, Mapping):
        raise ValueError("not a JSON object")
    xlen = values["xlen"]
    if xlen not in (32, 64) or isinstance(xlen, bool):
        raise ValueError("xlen is neither 32 nor 64")
    configuration = _with_loops(_mapping(values["configuration"]))
    return Header(
        configuration=from_dict(configuration, xlen, "configuration"),
        xlen=xlen,
        source=_text(values["source"]),
        programs=tuple(
            ProgramReference(_text(each["path"]), _text(each["sha256"]))
            for each in _list(values["programs"])
        ),
        images=tuple(
            ImageReference(_natural(each["address"]), _text(each["path"]), _text(each["sha256"]))
            for each in _list(values["images"])
        ),
        platform=_optional_text(values["platform"]),
        isa=_optional_text(values["isa"]),
        memory=tuple((_natural(base), _natural(size)) for base, size in _list(values["memory"])),
        max_instructions=(
            None if values["max_instructions"] is None else _natural(values["max_instructions"])
        ),
        command=tuple(_text(each) for each in _list(values["command"])),
        semihosting=_optional_text(values.get("semihosting")),
        sideband=from_header(values.get("sideband")),
        tohost=_tohost(values.get("tohost")),
    )


def _with_loops(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """A header's configuration; one without the key `loops` is of a version that wrote a packet
    for each round."""
    encoder = configuration.get("encoder", {})
    if not isinstance(encoder, Mapping) or "loops" in encoder:
        return configuration
    return {**configuration, "encoder": {**encoder, "loops": "exact"}}


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a table was expected")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list was expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text was expected")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _tohost(value: Any) -> int | Literal["none"] | None:
    return value if value is None or value == "none" else _natural(value)


def _natural(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError("a number of 64 bits was expected")
    return value
