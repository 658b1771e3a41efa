"""The core-local interruptor: msip, mtimecmp, mtime; and what is pending in mip."""

from typing import Any

import numpy as np

from emu.notes_kernel import note
from emu.state import (
    ALL_OF_TIME,
    GOAL,
    INSTRUCTIONS_PER_TICK,
    LEFT,
    MSIP,
    MSIP_SINCE,
    MTIMECMP,
    NOTE_TIME_OFFSET,
    TIME_OFFSET,
    TIMER_SINCE,
)
from specs.causes import MACHINE_SOFTWARE_INTERRUPT
from specs.compiled import U0, U1, b2u, njit, s64, u64

CLINT_BASE, CLINT_SIZE = 0x200_0000, 0xC_0000
MTIMECMP_AT, MTIME_AT = 0x4000, 0xBFF8

_PER_TICK = np.uint64(INSTRUCTIONS_PER_TICK)
_NEVER = np.uint64(ALL_OF_TIME)
_BASE = np.uint64(CLINT_BASE)
_SIZE = np.uint64(CLINT_SIZE)
_DWORD = np.uint64(0xFFFF_FFFF_FFFF_FFF8)
_MTIMECMP_AT = np.uint64(MTIMECMP_AT)
_MTIME_AT = np.uint64(MTIME_AT)
_U3 = np.uint64(3)
_U7 = np.uint64(7)
_U8 = np.uint64(8)
_ALL_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_MSI = np.uint64(MACHINE_SOFTWARE_INTERRUPT)
_NOTE_TIME_OFFSET = np.uint64(NOTE_TIME_OFFSET)


@njit
def mtime(cpu: Any, retired: Any) -> Any:
    """mtime (uint64 ticks) after `retired` instructions."""
    return retired // _PER_TICK + cpu[TIME_OFFSET]


@njit
def pending(cpu: Any, retired: Any) -> Any:
    """mip (uint64): MSIP and MTIP; nothing drives MEIP here."""
    timer = b2u(mtime(cpu, retired) >= cpu[MTIMECMP])
    return cpu[MSIP] << _U3 | timer << _U7


@njit
def until_timer(cpu: Any, retired: Any) -> Any:
    """Instructions (int64) until MTIP rises, 0 if it is up; `ALL_OF_TIME` for ages."""
    now = mtime(cpu, retired)
    if now >= cpu[MTIMECMP]:
        return np.int64(0)
    ticks = cpu[MTIMECMP] - now
    if ticks > _NEVER // _PER_TICK:
        return s64(_NEVER)
    return s64((retired // _PER_TICK + ticks) * _PER_TICK - retired)


@njit
def pending_since(cpu: Any, cause: Any) -> Any:
    """Instructions retired when the interrupt of this cause, now pending, became so."""
    return cpu[MSIP_SINCE] if cause == _MSI else cpu[TIMER_SINCE]


@njit
def timer_changed(cpu: Any, was_up: Any, retired: Any) -> Any:
    """After a change of mtime or mtimecmp that takes effect when `retired` instructions have."""
    until = until_timer(cpu, retired)
    if until != 0 or not was_up:
        cpu[TIMER_SINCE] = retired + u64(until)


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
    return _register(cpu, offset & _DWORD, retired) >> ((offset & _U7) << _U3)


@njit
def write_clint(cpu: Any, address: Any, size: Any, value: Any, retired: Any) -> Any:
    """Write `size` bytes. The caller sees to it that the block ends behind the store: interrupts
    are looked at there.
    """
    offset = address - _BASE
    dword = offset & _DWORD
    shift = (offset & _U7) << _U3
    bits = _ALL_ONES if size == _U8 else (U1 << (size << _U3)) - U1
    old = _register(cpu, dword, retired)
    new = (old & ~(bits << shift)) | (value & bits) << shift
    was_up = mtime(cpu, retired) >= cpu[MTIMECMP]
    if dword == U0:
        if cpu[MSIP] == U0:
            cpu[MSIP_SINCE] = retired + U1
        cpu[MSIP] = new & U1
    elif dword == _MTIMECMP_AT:
        cpu[MTIMECMP] = new
        timer_changed(cpu, s64(was_up), retired + U1)
    elif dword == _MTIME_AT:
        cpu[TIME_OFFSET] = new - retired // _PER_TICK
        note(cpu, retired + U1, _NOTE_TIME_OFFSET, cpu[TIME_OFFSET])
        timer_changed(cpu, s64(was_up), retired + U1)
    end_slice(cpu)


@njit
def end_slice(cpu: Any) -> Any:
    """Make the slice end with the block in hand."""
    cpu[GOAL] = cpu[GOAL] - cpu[LEFT] + U1
    cpu[LEFT] = u64(U1)
