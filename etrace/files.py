"""Files and pipes: `-` for standard input and output, decompression by content, limits."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from etrace.errors import InputError, os_error
from etrace.expand import Readable, expanded

STDIO = "-"

#: How a file may have the bytes of a stream (`etrace.dumps`); the number is the bits of a word
#: whose bytes are swapped.
INPUT_FORMATS = ("auto", "bin", "ihex", "srec", "swap16", "swap32", "swap64")

#: Uncompressed text arrives in pieces of this many bytes.
_PIECE = 1 << 22

#: No row of any CSV here comes near this; a longer line is not text.
MAX_LINE = 4096


def shown(path: str, direction: str = "input") -> str:
    """`path` as messages call it."""
    return f"standard {direction}" if path == STDIO else path


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """`path` for reading bytes; raises `InputError` if it cannot be opened."""
    if path == STDIO:
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below, errors of the body are not ours
    except OSError as error:
        raise os_error(path, error) from None
    with file:
        yield file


class Output:
    """A file (or standard output) that is created when the first byte is written to it.

    So a verb that fails on its inputs leaves an older output alone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Write; raises `InputError` if the file cannot be created or written."""
        try:
            self._opened().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise os_error(shown(self._path, "output"), error) from None

    def flush(self) -> None:
        """Hand over to the system what was written."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close; an output that nothing was written to becomes an empty file."""
        file = self._opened()
        file.flush()
        if self._path != STDIO:
            file.close()

    def abandon(self) -> None:
        """Close without creating anything."""
        if self._file is not None:
            self.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            if self._path == STDIO:
                self._file = sys.stdout.buffer
            else:
                self._file = open(self._path, "wb")  # noqa: SIM115 - closed by close()
        return self._file


@contextmanager
def open_output(path: str) -> Iterator[Output]:
    """`path` for writing bytes."""
    output = Output(path)
    try:
        yield output
    except BaseException:
        output.abandon()
        raise
    output.close()


def refuse_overwriting(output: str, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Raise `InputError` if writing `output` would destroy one of `inputs` (None: not given)."""
    if output == STDIO:
        return
    for each in inputs:
        if each is not None and each != STDIO and _same(output, each):
            raise InputError(f"{output}: is an input as well; choose another output")


def _same(one: str, other: str | os.PathLike[str]) -> bool:
    """Whether both are one file. What does not exist, or can be no path, is no file."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def file_of(argument: str) -> str:
    """The file that `ADDRESS:FILE` names."""
    return argument.partition(":")[2]


def text_blocks(path: str) -> Iterator[list[bytes]]:
    """Lines (without line ends) of a text file, gzip and xz decompressed, in lists of many.

    Raises `InputError` on a file that cannot be read or decompressed, or is not text.
    """
    with open_input(path) as raw:
        try:
            yield from _split(expanded(raw, shown(path)), shown(path))
        except OSError as error:
            raise os_error(shown(path), error) from None


def _split(file: Readable, name: str) -> Iterator[list[bytes]]:
    rest = b""
    lines_before = 0
    while piece := file.read(_PIECE):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > MAX_LINE:
            raise InputError(f"{name}: line {lines_before + len(lines) + 1}: too long; not a CSV")
        lines_before += len(lines)
        if lines:
            yield lines
    if rest:
        yield [rest]
