"""The host-target interface: what a store to `tohost` asks for.

A command is a doubleword: device (bits 63-56), command (55-48), payload (47-0). Device 0, command 0
is exit (payload odd: code above bit 0) or a system call (payload: address of eight doublewords:
number, arguments; the first takes the result). Device 1, command 1 puts a character. Where the
program has but a word for it, the upper half is zero.
"""

from collections.abc import Callable
from typing import NamedTuple

from emu.memory import Memory

_PAYLOAD = (1 << 48) - 1
_DEVICE_SYSCALL, _DEVICE_CONSOLE = 0, 1
_CONSOLE_PUT = 1
_SYS_WRITE, _SYS_EXIT = 64, 93
_EBADF, _EFAULT, _ENOSYS = 9, 14, 38
_STDOUT, _STDERR = 1, 2
#: Bytes passed to the console at once.
_PIECE = 1 << 16


class Mailbox(NamedTuple):
    """`tohost` or `fromhost`: 4 or 8 bytes of memory."""

    address: int
    size: int

    @classmethod
    def at(cls, address: int, size: int = 0) -> "Mailbox":
        """A word where its symbol has that `size`, or a doubleword would not be aligned."""
        return cls(address, 4 if size == 4 or address % 8 else 8)


class Htif:
    """The host's side. `console` receives what the guest writes to stdout and stderr."""

    def __init__(
        self,
        memory: Memory,
        tohost: Mailbox,
        fromhost: Mailbox | None,
        console: Callable[[bytes], None] | None,
    ) -> None:
        self._memory = memory
        self._tohost = tohost
        self._fromhost = fromhost
        self._console = console

    def serve(self) -> int | None:
        """Carry out the command in tohost, if any. The exit code if it is to end the run."""
        command = self._memory.read(*self._tohost)
        if not command:
            return None
        device, action, payload = command >> 56, command >> 48 & 0xFF, command & _PAYLOAD
        if device == _DEVICE_SYSCALL and action == 0 and payload & 1:
            return payload >> 1
        self._memory.write(*self._tohost, 0)
        if device == _DEVICE_CONSOLE and action == _CONSOLE_PUT:
            self._put(bytes([payload & 0xFF]))
        elif device == _DEVICE_SYSCALL and action == 0:
            return self._system_call(payload)
        return None

    def _put(self, data: bytes) -> None:
        if self._console is not None and data:
            self._console(data)

    def _system_call(self, block: int) -> int | None:
        words = [self._memory.read(block + 8 * i, 8) for i in range(8)]
        number, a0, a1, a2 = (word or 0 for word in words[:4])
        if None in words:
            return None
        if number == _SYS_EXIT:
            return a0 & 0xFFFF_FFFF
        result = self._write(a0, a1, a2) if number == _SYS_WRITE else -_ENOSYS
        self._memory.write(block, 8, result & (1 << 64) - 1)
        if self._fromhost is not None:
            self._memory.write(*self._fromhost, 1)
        return None

    def _write(self, descriptor: int, buffer: int, size: int) -> int:
        if descriptor not in (_STDOUT, _STDERR):
            return -_EBADF
        data = self._memory.view(buffer, size)
        if data is None:
            return -_EFAULT
        for start in range(0, size, _PIECE):
            self._put(data[start : start + _PIECE].tobytes())
        return size
