"""The core-local interruptor: msip and mtimecmp of each hart, mtime.

A hart reaches the registers of all: they are slots of their `cpu`. What it changes in another one,
that one finds when its turn comes.
"""

from typing import Any

import numpy as np

from emu.hart.interrupts import PER_TICK, end_slice, mtime, timers_changed, timers_up
from emu.hart.notes import note
from emu.hart.state import (
    CPUS,
    HARTS,
    MHARTID,
    MSIP,
    MSIP_SINCE,
    MTIMECMP,
    NOTE_TIME_OFFSET,
    RETIRED,
    SIZE,
    TIME_OFFSET,
    TIMERS_UP,
)
from specs.kernels.memory import load64, store64
from specs.kernels.njit import njit
from specs.kernels.words import ALL_ONES, U0, U1, U2, U3, U7, U8, U32

CLINT_BASE, CLINT_SIZE = 0x200_0000, 0xC_0000
MTIMECMP_AT, MTIME_AT = 0x4000, 0xBFF8

_BASE = np.uint64(CLINT_BASE)
_SIZE = np.uint64(CLINT_SIZE)
_DWORD = np.uint64(0xFFFF_FFFF_FFFF_FFF8)
_MTIMECMP_AT = np.uint64(MTIMECMP_AT)
_MTIME_AT = np.uint64(MTIME_AT)
_NOTE_TIME_OFFSET = np.uint64(NOTE_TIME_OFFSET)
_CPU_BYTES = np.uint64(8 * SIZE)
_MSIP, _MSIP_SINCE = np.uint64(8 * MSIP), np.uint64(8 * MSIP_SINCE)
_MTIMECMP, _RETIRED = np.uint64(8 * MTIMECMP), np.uint64(8 * RETIRED)
_TIMERS_UP = np.uint64(8 * TIMERS_UP)


@njit
def in_clint(address: Any, size: Any) -> Any:
    """Whether an access lies in the CLINT, within one doubleword."""
    offset = address - _BASE
    return offset < _SIZE and (offset & _DWORD) == ((offset + size - U1) & _DWORD)


@njit
def _slots(cpu: Any, number: Any) -> Any:
    """Host pointer to the `cpu` of hart `number`, 0 if there is none."""
    return cpu[CPUS] + number * _CPU_BYTES if number < cpu[HARTS] else U0


@njit
def _msip(cpu: Any, number: Any) -> Any:
    slots = _slots(cpu, number)
    return U0 if slots == U0 else load64(slots + _MSIP)


@njit
def _register(cpu: Any, offset: Any, retired: Any) -> Any:
    if offset == _MTIME_AT:
        return mtime(cpu, retired)
    if offset < _MTIMECMP_AT:
        return _msip(cpu, offset >> U2) | _msip(cpu, (offset >> U2) + U1) << U32
    slots = _slots(cpu, (offset - _MTIMECMP_AT) >> U3)
    return U0 if slots == U0 else load64(slots + _MTIMECMP)


@njit
def _write_msip(cpu: Any, number: Any, value: Any, retired: Any) -> Any:
    slots = _slots(cpu, number)
    if slots == U0:
        return
    if load64(slots + _MSIP) == U0:
        since = retired + U1 if number == cpu[MHARTID] else load64(slots + _RETIRED)
        store64(slots + _MSIP_SINCE, since)
    store64(slots + _MSIP, value & U1)


@njit
def _write_mtimecmp(cpu: Any, number: Any, value: Any, retired: Any) -> Any:
    slots = _slots(cpu, number)
    if slots == U0:
        return
    store64(slots + _MTIMECMP, value)
    if number != cpu[MHARTID] and mtime(cpu, retired) < value:
        store64(slots + _TIMERS_UP, load64(slots + _TIMERS_UP) & ~U1)


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
    if dword == _MTIME_AT:
        cpu[TIME_OFFSET] = new - retired // PER_TICK
        note(cpu, retired + U1, _NOTE_TIME_OFFSET, cpu[TIME_OFFSET])
        timers_changed(cpu, were_up, retired + U1)
    elif dword < _MTIMECMP_AT:
        _write_msip(cpu, dword >> U2, new, retired)
        _write_msip(cpu, (dword >> U2) + U1, new >> U32, retired)
    else:
        _write_mtimecmp(cpu, (dword - _MTIMECMP_AT) >> U3, new, retired)
        timers_changed(cpu, were_up, retired + U1)
    end_slice(cpu)
