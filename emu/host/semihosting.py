"""Semihosting: what a marked ebreak asks the host for (RISC-V Semihosting, ARM's operations).

a0 is the operation, a1 its parameter or the address of its block of xlen-bit words; the result
goes to a0. The same run twice gives the same results: time is the guest's, stdin is empty.
"""

import errno
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emu.memory import MachineError, Memory

#: Of mtime: Spike's, which has 100 instructions a tick.
TICKS_PER_SECOND = 10_000_000
_TICKS_PER_CENTISECOND = TICKS_PER_SECOND // 100

#: The reason of SYS_EXIT for which there is an exit code.
_APPLICATION_EXIT = 0x20026
_CONSOLE, _FEATURES = b":tt", b":semihosting-features"
#: Magic, then: SYS_EXIT_EXTENDED is there; `:tt` opens stdout and stderr separately.
_FEATURE_BYTES = b"SHFB\x03"

#: By half of SYS_OPEN's mode (the other half says text or binary): flags, and as fopen has it.
_MODES = (
    (os.O_RDONLY, "rb"),
    (os.O_RDWR, "r+b"),
    (os.O_WRONLY | os.O_CREAT, "wb"),
    (os.O_RDWR | os.O_CREAT, "w+b"),
    (os.O_WRONLY | os.O_CREAT | os.O_APPEND, "ab"),
    (os.O_RDWR | os.O_CREAT | os.O_APPEND, "a+b"),
)
#: A symbolic link could lead out of the directory; a FIFO or a device could block for ever.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_MAX_FILES = 64
_MAX_NAME = 4096
#: Bytes passed to the console at once.
_PIECE = 1 << 16

Console = Callable[[bytes], None]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SemihostingOptions:
    """`root`: the directory whose files the guest may use (None: no files at all); `cmdline`: what
    SYS_GET_CMDLINE gives.
    """

    root: Path | None = None
    cmdline: str = ""


class _ConsoleError(Exception):
    """The host's console raised `error`: not the guest's business, even if it is an OSError."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _ReadOnly(io.BytesIO):
    """A file in memory that cannot grow."""

    def write(self, data: Any, /) -> int:
        raise OSError(errno.EBADF, "")


class _Terminal(io.RawIOBase):
    """`:tt`: output goes to the console, input is at its end."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def isatty(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return 0

    def write(self, data: Any, /) -> int:
        view = memoryview(data)[:_PIECE]
        if self._console is not None and len(view):
            try:
                self._console(bytes(view))
            except Exception as error:
                raise _ConsoleError(error) from error
        return len(view)


class Semihosting:
    """The host's side of a machine."""

    def __init__(
        self, options: SemihostingOptions, memory: Memory, xlen: int, console: Console | None
    ) -> None:
        if options.root is not None and not options.root.is_dir():
            raise MachineError(f"semihosting: {options.root} is not a directory")
        self._root = options.root
        self._cmdline = os.fsencode(options.cmdline)
        self._memory = memory
        self._xlen = xlen
        self._terminal = _Terminal(console)
        self._files: dict[int, Any] = {}
        self._errno = 0
        self._ticks = 0
        #: Once the guest has asked to exit.
        self.exit_code: int | None = None

    def call(self, operation: int, parameter: int, ticks: int) -> int:
        """Carry out an operation when mtime is `ticks`; the result, -1 for one that is not there.

        What the guest does wrong is its errno, never an exception. Raises what the console raises.
        """
        self._ticks = ticks
        handler = _OPERATIONS.get(operation)
        try:
            if handler is None:
                raise OSError(errno.ENOSYS, "")
            return handler(self, parameter)
        except OSError as error:
            self._errno = error.errno or errno.EIO
            return -1
        except _ConsoleError as failure:
            raise failure.error from None

    # What operations are made of. Each raises OSError.

    def _words(self, block: int, count: int) -> list[int]:
        size = self._xlen // 8
        words = np.frombuffer(self._bytes(block, size * count).tobytes(), f"<u{size}")
        return [int(word) for word in words]

    def _bytes(self, address: int, size: int, writable: bool = False) -> Bytes:
        view = self._memory.view(address, size, writable)
        if view is None:
            raise OSError(errno.EFAULT, "")
        return view

    def _file(self, handle: int) -> Any:
        if handle not in self._files:
            raise OSError(errno.EBADF, "")
        return self._files[handle]

    def _open_below_root(self, name: bytes, flags: int, mode: str) -> Any:
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if self._root is None or not parts or name.startswith(b"/") or b".." in parts:
            raise OSError(errno.EACCES, "")
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _CAREFULLY, dir_fd=folder)
                os.close(folder)
                folder = inner
            descriptor = os.open(parts[-1], flags | _CAREFULLY, 0o666, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EACCES, "")
            if mode.startswith("w"):
                os.truncate(descriptor, 0)
        except OSError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, mode, buffering=0)

    # The operations.

    def _open(self, block: int) -> int:
        address, mode, length = self._words(block, 3)
        if mode >= 2 * len(_MODES):
            raise OSError(errno.EINVAL, "")
        if length > _MAX_NAME:
            raise OSError(errno.ENAMETOOLONG, "")
        if len(self._files) >= _MAX_FILES:
            raise OSError(errno.EMFILE, "")
        name = self._bytes(address, length).tobytes()
        if b"\0" in name:
            raise OSError(errno.EINVAL, "")
        file: Any
        if name == _CONSOLE:
            file = self._terminal
        elif name == _FEATURES:
            if mode >= 2:
                raise OSError(errno.EACCES, "")
            file = _ReadOnly(_FEATURE_BYTES)
        else:
            file = self._open_below_root(name, *_MODES[mode // 2])
        handle = next(n for n in range(1, _MAX_FILES + 1) if n not in self._files)
        self._files[handle] = file
        return handle

    def _close(self, block: int) -> int:
        (handle,) = self._words(block, 1)
        file = self._file(handle)
        del self._files[handle]
        if file is not self._terminal:
            file.close()
        return 0

    def _writec(self, address: int) -> int:
        self._terminal.write(self._bytes(address, 1))
        return 0

    def _write0(self, address: int) -> int:
        while True:
            piece = self._memory.rest(address, _PIECE)
            if piece is None:
                raise OSError(errno.EFAULT, "")
            text, end, _ = piece.tobytes().partition(b"\0")
            self._terminal.write(text)
            if end:
                return 0
            address += len(piece)

    def _write(self, block: int) -> int:
        """Bytes that were not written."""
        handle, address, size = self._words(block, 3)
        file, data = self._file(handle), self._bytes(address, size) if size else b""
        try:
            while len(data) and (written := file.write(data)):
                data = data[written:]
        except (OSError, ValueError) as error:
            self._errno = getattr(error, "errno", None) or errno.EBADF
        return len(data)

    def _read(self, block: int) -> int:
        """Bytes that were not read: all of them at the end of the file."""
        handle, address, size = self._words(block, 3)
        file = self._file(handle)
        if size == 0:
            return 0
        buffer = self._bytes(address, size, writable=True)
        try:
            return size - (file.readinto(buffer.data) or 0)
        except (OSError, ValueError) as error:
            self._errno = getattr(error, "errno", None) or errno.EBADF
            return size

    def _seek(self, block: int) -> int:
        handle, position = self._words(block, 2)
        file = self._file(handle)
        if file is self._terminal or position >= 1 << (self._xlen - 1):
            raise OSError(errno.EINVAL, "")
        file.seek(position)
        return 0

    def _flen(self, block: int) -> int:
        file = self._file(*self._words(block, 1))
        if file is self._terminal:
            return 0
        if isinstance(file, io.BytesIO):
            return len(file.getbuffer())
        return os.fstat(file.fileno()).st_size

    def _istty(self, block: int) -> int:
        return int(self._file(*self._words(block, 1)) is self._terminal)

    def _iserror(self, block: int) -> int:
        return self._words(block, 1)[0] >> (self._xlen - 1)

    def _last_errno(self, _parameter: int) -> int:
        return self._errno

    def _get_cmdline(self, block: int) -> int:
        address, size = self._words(block, 2)
        text = self._cmdline + b"\0"
        if len(text) > size:
            raise OSError(errno.E2BIG, "")
        length = self._bytes(block + self._xlen // 8, self._xlen // 8, writable=True)
        self._bytes(address, len(text), writable=True)[:] = np.frombuffer(text, np.uint8)
        length[:] = np.frombuffer(len(self._cmdline).to_bytes(len(length), "little"), np.uint8)
        return 0

    def _clock(self, _parameter: int) -> int:
        return self._ticks // _TICKS_PER_CENTISECOND

    def _elapsed(self, address: int) -> int:
        view = self._bytes(address, 8, writable=True)
        view[:] = np.frombuffer(self._ticks.to_bytes(8, "little"), np.uint8)
        return 0

    def _tickfreq(self, _parameter: int) -> int:
        return TICKS_PER_SECOND

    def _exit(self, parameter: int) -> int:
        # On RV32 the reason is the parameter itself, and there is no room for a code.
        if self._xlen == 32:
            self.exit_code = 0 if parameter == _APPLICATION_EXIT else 1
            return 0
        return self._exit_extended(parameter)

    def _exit_extended(self, block: int) -> int:
        reason, code = self._words(block, 2)
        self.exit_code = code & 0xFFFF_FFFF if reason == _APPLICATION_EXIT else 1
        return 0


_OPERATIONS: dict[int, Callable[[Semihosting, int], int]] = {
    0x01: Semihosting._open,
    0x02: Semihosting._close,
    0x03: Semihosting._writec,
    0x04: Semihosting._write0,
    0x05: Semihosting._write,
    0x06: Semihosting._read,
    0x08: Semihosting._iserror,
    0x09: Semihosting._istty,
    0x0A: Semihosting._seek,
    0x0C: Semihosting._flen,
    0x10: Semihosting._clock,
    0x13: Semihosting._last_errno,
    0x15: Semihosting._get_cmdline,
    0x18: Semihosting._exit,
    0x20: Semihosting._exit_extended,
    0x30: Semihosting._elapsed,
    0x31: Semihosting._tickfreq,
}
