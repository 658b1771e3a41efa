"""The project's one `njit`.

Numba's on-disk cache keys a function on its own bytecode only: an edited constant or helper in
another module would give stale, silently wrong results. So each room has a cache directory that is
named after a hash of all sources that its kernels can see, and of Numba's version. Where nothing
can be written, kernels are compiled without a cache; an import never fails for that.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba

#: Where the kernels of a room, and what they are made of, stand. Those of a room see their own and
#: the vocabulary's (tests/test_rooms.py), so that an edit of one room compiles no other.
_SOURCES = {
    "specs": ("specs",),
    "emu": ("specs", "emu"),
    "encoder": ("specs", "encoder"),
    "decoder": ("specs", "decoder"),
    "etrace": ("specs", "etrace/kernels"),
}
#: Of a kernel that is none of ours.
_ALL = tuple(sorted({folder for folders in _SOURCES.values() for folder in folders}))


def room_of(module: str) -> str:
    """The room that a module stands in; nothing if it is none of ours."""
    room = module.partition(".")[0]
    return room if room in _SOURCES else ""


def _sources_digest(room: str) -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    root = Path(__file__).resolve().parents[2]
    for folder in _SOURCES.get(room, _ALL):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def cache_directory(room: str) -> Path | None:
    """A writable directory for the compiled kernels of a room; None if there is none."""
    base = os.environ.get("ETRACE_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    candidate = Path(base) if base else Path.home() / ".cache"
    directory = candidate / "etrace" / f"{room or 'other'}-{_sources_digest(room)}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return directory


# Functions begin at cache lines: the speed of the emulator's loop depends on where it lies within
# one, 12 % between the best and the worst place, and every edit of a kernel before it moved it.
llvm.set_option("", "-align-all-functions=6")


def njit(function: Callable[..., Any]) -> Any:
    """Compile `function` in nopython mode, without the GIL, cached by the project's sources.

    Kernels take arrays and fill arrays; they allocate none. So they are compiled without Numba's
    reference counting (`_nrt=False`), whose atomic counter at every call with an array made calls
    between kernels five times slower (80 ns against 16 ns for packing seven fields). None is called
    from C, so none gets a wrapper for that.
    """
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Any:
    """As `njit`, always inlined into its callers: for small functions on hot paths, where passing
    several arrays (seven words each) costs more than the work.

    For kernels only: Python must not call it (it would crash), for it gets no wrapper that takes
    Python's objects apart. Wrappers took a tenth of the time that compiling takes.
    """
    return _compile(function, forceinline=True, no_cpython_wrapper=True)


def spliced(function: Callable[..., Any]) -> Any:
    """Copied into its callers before types are inferred, and never compiled by itself: for a part
    of a kernel that has a name of its own but one place where it is called.

    For each kernel that is compiled, Numba optimises all that it calls once more; a level less is
    that much less to compile.
    """
    return numba.njit(nogil=True, _nrt=False, inline="always")(function)


def _compile(function: Callable[..., Any], **options: bool) -> Any:
    directory = cache_directory(room_of(function.__module__))
    if directory is not None:
        numba.config.CACHE_DIR = str(directory)  # read when a function asks for a cache: below
    return numba.njit(
        cache=directory is not None, nogil=True, _nrt=False, no_cfunc_wrapper=True, **options
    )(function)


def plain(enumeration: type[Enum], kind: Callable[[int], Any] = int) -> ModuleType:
    """The members of `enumeration` as numbers of one `kind`, the way kernels can use them.

    A module is what Numba takes such constants from, by name, without a line for each.
    """
    numbers = ModuleType(enumeration.__name__)
    for name, member in enumeration.__members__.items():
        setattr(numbers, name, kind(member.value))
    return numbers


def is_new(what: str, module: str) -> bool:
    """Whether `what` ("the decoder"), which `module` needs, has not been compiled by this version,
    and will be kept when it is.
    """
    directory = cache_directory(room_of(module))
    return directory is not None and not (directory / what.replace(" ", "-")).exists()


def announce_compilation(what: str, module: str) -> None:
    """Say on stderr that `what` is being compiled, if it is for the first time; see `is_new`."""
    directory = cache_directory(room_of(module))
    if directory is None:
        print(f"etrace: compiling {what} (no place to keep it) ...", file=sys.stderr, flush=True)
    elif is_new(what, module):
        print(f"etrace: compiling {what} (once for this version) ...", file=sys.stderr, flush=True)
        (directory / what.replace(" ", "-")).touch()
