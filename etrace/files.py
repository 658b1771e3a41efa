"""Files and pipes: `-` for standard input and output, decompression by content, limits."""

import errno
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from etrace.errors import InputError, os_error
from etrace.expand import Readable, expanded
from etrace.stdio import discard_output

STDIO = "-"

#: What file systems say that have no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
#: How a file may have the bytes of a stream (`etrace.trace.dumps`); the number is the bits of a
#: word whose bytes are swapped.
INPUT_FORMATS = ("auto", "bin", "ihex", "srec", "swap16", "swap32", "swap64")

#: Uncompressed text arrives in pieces of this many bytes.
_PIECE = 1 << 20

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


@contextmanager
def kept(path: str) -> Iterator[str]:
    """`path`, or a file with what standard input or a pipe holds, to be read again and again.

    Not what a device gives: that may have no end.
    """
    if path != STDIO and not is_pipe(path):
        yield path
        return
    with NamedTemporaryFile(prefix="etrace-") as file:
        try:
            with open_input(path) as given:
                shutil.copyfileobj(given, file)
            file.flush()
        except OSError as error:
            raise os_error(shown(path), error) from None
        yield file.name


def is_pipe(path: str) -> bool:
    """Whether `path` is a pipe (a FIFO, or `<(...)` of a shell): it can be read only once."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def refuse_pipe(path: str) -> None:
    """Raise `InputError` if `path` is standard input or a pipe."""
    if path == STDIO or is_pipe(path):
        raise InputError(f"{shown(path)}: can be read only once; write it to a file")


class Output:
    """A file (or standard output) that is created when the first byte is written to it.

    So a verb that fails on its inputs leaves an older output alone. Nobody else can write to the
    file meanwhile: it is locked. `listing`: when the reader of standard output goes away `gone`
    becomes true and the rest is dropped; otherwise that is a `BrokenPipeError`.
    """

    def __init__(self, path: str, listing: bool = False) -> None:
        self._path = path
        self._listing = listing
        self._file: BinaryIO | None = None
        self.gone = False

    def write(self, data: bytes) -> None:
        """Write; raises `InputError` if the file cannot be created or written."""
        with self._told():
            if not self.gone:
                self._opened().write(data)

    def flush(self) -> None:
        """Hand over to the system what was written; raises `InputError`."""
        with self._told():
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """Close; raises `InputError`. An output that nothing was written to is an empty file."""
        with self._told():
            file = self._opened()
            try:
                file.flush()
            finally:
                if self._path != STDIO:
                    with suppress(OSError):  # what it says has been said by flush()
                        file.close()

    def abandon(self) -> None:
        """Close without creating anything."""
        if self._file is not None:
            self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the system as ours, with the file's name."""
        try:
            yield
        except BrokenPipeError:
            if not self._listing:
                raise
            self.gone = True
            if self._path == STDIO:
                discard_output()
        except OSError as error:
            if self._path == STDIO:
                discard_output()
            raise os_error(shown(self._path, "output"), error) from None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            if self._path == STDIO:
                self._file = sys.stdout.buffer
            else:
                self._file = _locked(self._path)
        return self._file


def _locked(path: str) -> BinaryIO:
    """`path`, emptied, for writing by nobody else; raises `InputError` or `OSError`.

    Devices and pipes are not locked, nor files on file systems that have no locks.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    file = os.fdopen(descriptor, "wb")
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise InputError(
                f"{path}: another etrace is writing to it; wait for its end, or choose another "
                "output"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
        os.ftruncate(descriptor, 0)
    return file


@contextmanager
def open_output(path: str, listing: bool = False) -> Iterator[Output]:
    """`path` for writing bytes; `listing`: see `Output`."""
    output = Output(path, listing)
    try:
        yield output
    except BaseException:
        with suppress(OSError, InputError):  # what happened first is what is told
            output.abandon()
        raise
    output.close()


def write_whole(path: str, pieces: Iterable[bytes]) -> None:
    """Write `path` (or standard output) so that there is the old file or the new one at any time,
    never a part. (Not of a device or a pipe, which is no file to be replaced.) Raises `InputError`.
    """
    place = os.path.realpath(path)
    if path == STDIO or (os.path.exists(place) and not os.path.isfile(place)):
        with open_output(path) as output:
            for piece in pieces:
                output.write(piece)
        return
    new = os.path.join(os.path.dirname(place), f".{os.getpid()}-{os.path.basename(place)}")
    try:
        try:
            with open(new, "wb") as file:
                file.writelines(pieces)
            os.replace(new, place)
        finally:
            with suppress(OSError):
                os.unlink(new)
    except OSError as error:
        raise os_error(path, error) from None


def refuse_overwriting(output: str, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Raise `InputError` if writing `output` would destroy one of `inputs` (None: not given)."""
    if output == STDIO:
        return
    mine = _identities(output)
    for each in inputs:
        if each is not None and each != STDIO and not mine.isdisjoint(_identities(each)):
            raise InputError(f"{output}: is an input as well; choose another output")


def same_file(one: str, other: str) -> bool:
    """Whether both are one file, or would be if they were made."""
    return one == other or not _identities(one).isdisjoint(_identities(other))


def _identities(path: str | os.PathLike[str]) -> set[object]:
    """What a file is known by, however it is called. What can be no path is no file."""
    found: set[object] = set()
    with suppress(OSError, ValueError):
        found.add(os.path.realpath(path))
        about = os.stat(path)
        found.add((about.st_dev, about.st_ino))
    return found


def refuse_unwritable(output: str) -> None:
    """Raise `InputError` if the file `output` cannot be made or written: sooner than at the end."""
    if output == STDIO:
        return
    if os.path.isdir(output):
        problem = errno.EISDIR
    elif not os.path.isdir(directory := os.path.dirname(output) or "."):
        problem = errno.ENOTDIR if os.path.exists(directory) else errno.ENOENT
    elif not os.access(output if os.path.exists(output) else directory, os.W_OK):
        problem = errno.EACCES
    else:
        return
    raise os_error(output, OSError(problem, os.strerror(problem)))


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
        if len(rest) > MAX_LINE or max(map(len, lines), default=0) > MAX_LINE:
            number = next(n for n, line in enumerate((*lines, rest), 1) if len(line) > MAX_LINE)
            raise InputError(f"{name}: line {lines_before + number}: too long; not a CSV")
        lines_before += len(lines)
        if lines:
            yield lines
    if rest:
        yield [rest]
