"""The core-local interruptor: msip, mtimecmp, mtime; and what is pending in mip."""

from typing import Any

import numpy as np

from emu.hart.interrupts import PER_TICK, end_slice, mtime, timers_changed, timers_up
from emu.hart.notes import note
from emu.hart.state import (
    MSIP,
    MSIP_SINCE,
    MTIMECMP,
    NOTE_TIME_OFFSET,
    TIME_OFFSET,
)
from specs.kernels.njit import njit
from specs.kernels.words import ALL_ONES, U0, U1, U3, U7, U8

CLINT_BASE, CLINT_SIZE = 0x200_0000, 0xC_0000
MTIMECMP_AT, MTIME_AT = 0x4000, 0xBFF8

_BASE = np.uint64(CLINT_BASE)
_SIZE = np.uint64(CLINT_SIZE)
_DWORD = np.uint64(0xFFFF_FFFF_FFFF_FFF8)
_MTIMECMP_AT = np.uint64(MTIMECMP_AT)
_MTIME_AT = np.uint64(MTIME_AT)
_NOTE_TIME_OFFSET = np.uint64(NOTE_TIME_OFFSET)


@njit
def in_clint(address: Any, size: Any) -> Any:
    """Whether an access lies in the CLINT, within one doubleword."""
    offset = address - _BASE
    return offset < _SIZE and (offset & _DWORD) == ((offset + size - U1) & _DWORD)


@njit
def _register(cpu: Any, offset: Any, retired: Any) -> Any:
    if offset == U0:
        return cpu[MSIP]
    if offset == _MTIMECMP_AT:
        return cpu[MTIMECMP]
    if offset == _MTIME_AT:
        return mtime(cpu, retired)
    return U0


@njit
def read_clint(cpu: Any, address: Any, retired: Any) -> Any:
    """The doubleword's bytes from `address` on; what is not a register reads as 0."""
    offset = address - _BASE
    return _register(cpu, offset & _DWORD, retired) >> ((offset & U7) << U3)


@njit
def write_clint(cpu: Any, address: Any, size: Any, value: Any, retired: Any) -> Any:
    """Write `size` bytes. The caller sees to it that the block ends behind the store: interrupts
    are looked at there.
    """
    offset = address - _BASE
    dword = offset & _DWORD
    shift = (offset & U7) << U3
    bits = ALL_ONES if size == U8 else (U1 << (size << U3)) - U1
    old = _register(cpu, dword, retired)
    new = (old & ~(bits << shift)) | (value & bits) << shift
    were_up = timers_up(cpu, retired)
    if dword == U0:
        if cpu[MSIP] == U0:
            cpu[MSIP_SINCE] = retired + U1
        cpu[MSIP] = new & U1
    elif dword == _MTIMECMP_AT:
        cpu[MTIMECMP] = new
        timers_changed(cpu, were_up, retired + U1)
    elif dword == _MTIME_AT:
        cpu[TIME_OFFSET] = new - retired // PER_TICK
        note(cpu, retired + U1, _NOTE_TIME_OFFSET, cpu[TIME_OFFSET])
        timers_changed(cpu, were_up, retired + U1)
    end_slice(cpu)
