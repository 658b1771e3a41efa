"""The signature that a compliance program leaves in memory, as riscv-arch-test's tools compare it:
from `begin_signature` to `end_signature`, a word a line, in hexadecimal digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emu.memory import Memory
from etrace import files
from etrace.errors import InputError
from etrace.trace.program import Code

if TYPE_CHECKING:
    from emu import Machine

BEGIN, END = "begin_signature", "end_signature"
#: Bytes of a line.
GRANULARITIES = (1, 2, 4, 8, 16)
DEFAULT_GRANULARITY = 4
#: Bytes of memory that are made text at once.
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature that is wanted in `file`: `size` bytes at `address`, `granularity` a line."""

    file: str
    granularity: int
    address: int
    size: int

    @classmethod
    def of(cls, code: Code, file: str, granularity: int = DEFAULT_GRANULARITY) -> "Signature":
        """That of the first program which has one. Raises `InputError` where there is none, it
        does not consist of whole words, or `file` cannot be written.
        """
        if granularity not in GRANULARITIES:
            *most, last = map(str, GRANULARITIES)
            raise InputError(
                f"signature granularity {granularity!r}: must be {', '.join(most)} or {last}"
            )
        found = [p for p in code.programs if BEGIN in p.symbols and END in p.symbols]
        if not found:
            name = code.programs[0].path
            raise InputError(
                f"{name}: has no signature: it lacks the symbols {BEGIN} and {END}; "
                "leave out --signature"
            )
        program = found[0]
        begin, end = program.symbols[BEGIN].address, program.symbols[END].address
        if end < begin:
            raise InputError(f"{program.path}: {END} ({end:#x}) is before {BEGIN} ({begin:#x})")
        size = end - begin
        if size % granularity:
            fit = max(each for each in GRANULARITIES if size % each == 0)
            raise InputError(
                f"{program.path}: the signature has {size:,} bytes, which are no whole words of "
                f"{granularity}; --signature-granularity {fit} fits"
            )
        files.refuse_unwritable(file)
        return cls(file=file, granularity=granularity, address=begin, size=size)

    def bytes_of(self, memory: Memory) -> npt.NDArray[np.uint8]:
        """Its bytes (uint8, shared). Raises `InputError` where not all of it is memory."""
        view = memory.view(self.address, self.size)
        if view is None and self.size:
            raise InputError(
                f"signature at {self.address:#x} to {self.address + self.size - 1:#x}: not all of "
                "that is memory; --memory BASE:SIZE adds some"
            )
        return np.zeros(0, np.uint8) if view is None else view

    def write(self, machine: "Machine") -> bool:
        """Write it as it is now; False, and nothing is written, if the program has not ended.

        A program that failed, or that can do nothing more, has ended; one that was stopped
        (budget, size, signal) has not. Raises `InputError` if the file cannot be written; then
        there is the older file, or none.
        """
        from emu import ExitReason

        if machine.exit_reason in (None, ExitReason.BUDGET):
            return False
        files.write_whole(self.file, self._lines(self.bytes_of(machine.memory)))
        return True

    def _lines(self, data: npt.NDArray[np.uint8]) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            words = data[start : start + _PIECE].reshape(-1, self.granularity)
            text = words[:, ::-1].tobytes().hex("\n", self.granularity)
            yield text.encode() + b"\n"
