"""The errors of the face: one line each, and the exit code that the command line gives them."""

import os
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the `etrace` command."""

    OK = 0
    NO = 1
    USAGE = 2
    CORRUPT = 3
    GUEST = 4
    DEFECT = 70
    INTERRUPTED = 130


class EtraceError(Exception):
    """Something that the user can act on: `FILE: where: what; remedy`, in one line."""

    exit_code = Exit.USAGE
    #: Lines to be shown before it: a plugin's traceback.
    details = ""


class InputError(EtraceError):
    """An input that cannot be used: a missing file, a broken ELF, a bad CSV, wrong options."""


class ProgramMismatchError(InputError):
    """A program that is not the one that was traced."""


class TraceError(EtraceError):
    """A trace that cannot be read at all."""

    exit_code = Exit.CORRUPT


#: Characters of a message: two paths at their longest fit, what a file holds may not.
_LONGEST = 2000


def one_line(error: BaseException) -> str:
    """`error` as one line of printable characters, the middle left out of a very long one."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"
    return printable(text)


def printable(text: str) -> str:
    """`text` with what is not to be printed, as in a file that nobody has looked at, escaped; of
    the name of a file, bytes that are no text."""
    return "".join(c if c.isprintable() else f"\\x{_byte_of(c) or ord(c):02x}" for c in text)


def _byte_of(character: str) -> int:
    """The byte of a file's name that `character` stands for, which is no text by itself; else 0."""
    number = ord(character)
    return number - 0xDC00 if 0xDC80 <= number <= 0xDCFF else 0


def shows(path: str) -> bool:
    """Whether all of `path` can be shown, bytes that are no text apart."""
    return all(c.isprintable() or _byte_of(c) for c in path)


def path_of(name: str, value: object) -> str:
    """The path `value` of the argument `name`; raises `TypeError` if it is none, `InputError` if no
    file can have that name."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"{name}: must be a path, not {type(value).__name__}")
    try:
        possible = "\0" not in os.fsdecode(os.fsencode(path))
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise InputError(f"{name} {ascii(path)[:80]}: no file can have that name")
    return path


def os_error(path: str, error: OSError) -> InputError:
    """`error` about the file `path`, without Python's decoration."""
    return InputError(f"{path}: {error.strerror or error}")
