"""Differences that are none: where the manual leaves a choice, or QEMU 7.2 is wrong.

A rule changes results of both machines alike, so that what it is about compares equal and all else
does not. A row without a rule says what the generators leave out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.qemu.image import TRAP_WORDS, TRAPS, Image, Words

#: Columns of a trap.
MCAUSE, MEPC, MTVAL, MSTATUS, SCAUSE, SEPC, STVAL, SSCRATCH = range(TRAP_WORDS)
_BREAKPOINT, _LOAD_MISALIGNED, _STORE_MISALIGNED = 3, 4, 6
_UXL_SXL = 0xF << 32
_AMO = 0x2F

#: Logged traps, uint64 [cases, TRAPS, TRAP_WORDS].
Traps = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Known:
    """`section` of the manual says what is right, `why` what QEMU does."""

    section: str
    why: str
    apply: Callable[[Image, Traps], None] | None = None


def _breakpoint(image: Image, traps: Traps) -> None:
    traps[..., MTVAL][traps[..., MCAUSE] == _BREAKPOINT] = 0
    traps[..., STVAL][traps[..., SCAUSE] == _BREAKPOINT] = 0


def _widths(image: Image, traps: Traps) -> None:
    if not image.supervisor:
        traps[..., MSTATUS] &= np.uint64((1 << 64) - 1 - _UXL_SXL)


def _misaligned_amo(image: Image, traps: Traps) -> None:
    for number, case in enumerate(image.cases):
        amos = [at for at, word in case.words() if word & 0x7F == _AMO and word >> 28 & 1 == 0]
        rows = traps[number]
        found = np.isin(rows[:, MEPC] - np.uint64(case.entry - case.address), amos)
        rows[found & (rows[:, MCAUSE] == _LOAD_MISALIGNED), MCAUSE] = _STORE_MISALIGNED


KNOWN: tuple[Known, ...] = (
    Known(
        "Machine Trap Value Register: mtval is zero or the address of the ebreak",
        "QEMU writes zero, the emulator the address",
        _breakpoint,
    ),
    Known(
        "Machine Status Registers: UXL and SXL are constant where no other width can be set",
        "programs of M mode alone are not about them",
        _widths,
    ),
    Known(
        "Machine Cause Register: store/AMO address misaligned is 6, also for AMOs",
        "QEMU raises 4, load address misaligned",
        _misaligned_amo,
    ),
    Known(
        "Load-Reserved/Store-Conditional Instructions: an address that is not naturally aligned "
        "raises an exception",
        "QEMU lets an SC without a reservation fail before it looks at the address",
    ),
    Known(
        "Load-Reserved/Store-Conditional Instructions: which SCs may succeed",
        "stores, traps, and other widths and addresses between LR and SC are free to differ",
    ),
)


def normalize(image: Image, slots: Words) -> Words:
    """Results without what is known to differ."""
    found = slots.copy()
    traps = found[:, 1 : 1 + TRAPS * TRAP_WORDS].reshape(-1, TRAPS, TRAP_WORDS)
    assert np.shares_memory(traps, found)
    for known in KNOWN:
        if known.apply is not None:
            known.apply(image, traps)
    return found
