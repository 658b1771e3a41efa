"""What is pending in mip, and since when; the timers that make it so; which interrupt is next."""

from typing import Any

import numpy as np

from emu.hart.state import (
    ALL_OF_TIME,
    GOAL,
    INSTRUCTIONS_PER_TICK,
    LEFT,
    MENVCFG,
    MIDELEG,
    MIE,
    MIP_SINCE,
    MIP_STORED,
    MSIP,
    MSIP_SINCE,
    MSTATUS,
    MTIMECMP,
    PRIV,
    STIMECMP,
    STIMER_SINCE,
    TIME_OFFSET,
    TIMER_SINCE,
)
from emu.hart.status import MIE as STATUS_MIE
from emu.hart.status import MTI, SIE, STCE, STI
from specs.isa.causes import (
    MACHINE_EXTERNAL_INTERRUPT,
    MACHINE_SOFTWARE_INTERRUPT,
    MACHINE_TIMER_INTERRUPT,
    SUPERVISOR_EXTERNAL_INTERRUPT,
    SUPERVISOR_SOFTWARE_INTERRUPT,
    SUPERVISOR_TIMER_INTERRUPT,
)
from specs.isa.privilege import Privilege
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U3, U5, U7, b2u, s64, u64

PER_TICK = np.uint64(INSTRUCTIONS_PER_TICK)

#: Of several interrupts for the same level the first of these is taken ("Machine Interrupt (mip and
#: mie) Registers").
ORDER = np.array(
    [
        MACHINE_EXTERNAL_INTERRUPT,
        MACHINE_SOFTWARE_INTERRUPT,
        MACHINE_TIMER_INTERRUPT,
        SUPERVISOR_EXTERNAL_INTERRUPT,
        SUPERVISOR_SOFTWARE_INTERRUPT,
        SUPERVISOR_TIMER_INTERRUPT,
    ],
    np.uint64,
)

_NEVER = np.uint64(ALL_OF_TIME)
_MSI = np.uint64(MACHINE_SOFTWARE_INTERRUPT)
_MTI_CAUSE = np.uint64(MACHINE_TIMER_INTERRUPT)
_STI_CAUSE = np.uint64(SUPERVISOR_TIMER_INTERRUPT)
_MTI, _STI = np.uint64(MTI), np.uint64(STI)
_MIE, _SIE, _STCE = np.uint64(STATUS_MIE), np.uint64(SIE), np.uint64(STCE)
_M, _S = np.uint64(Privilege.M), np.uint64(Privilege.S)


@njit
def mtime(cpu: Any, retired: Any) -> Any:
    """mtime (uint64 ticks) after `retired` instructions."""
    return retired // PER_TICK + cpu[TIME_OFFSET]


@njit
def pending(cpu: Any, retired: Any) -> Any:
    """mip (uint64). Nothing drives MEIP here; SEIP, SSIP and, without Sstc, STIP are software's."""
    now = mtime(cpu, retired)
    bits = cpu[MIP_STORED] | cpu[MSIP] << U3 | b2u(now >= cpu[MTIMECMP]) << U7
    if cpu[MENVCFG] & _STCE != U0:
        bits = bits & ~_STI | b2u(now >= cpu[STIMECMP]) << U5
    return bits


@njit
def _until(cpu: Any, compare: Any, retired: Any) -> Any:
    """Instructions (int64) until mtime reaches `compare`, 0 if it has; `ALL_OF_TIME` for ages."""
    now = mtime(cpu, retired)
    if now >= compare:
        return np.int64(0)
    ticks = compare - now
    if ticks > _NEVER // PER_TICK:
        return s64(_NEVER)
    return s64((retired // PER_TICK + ticks) * PER_TICK - retired)


@njit
def allowed(cpu: Any) -> Any:
    """The interrupts (uint64, as in mip) that would be taken now if they were pending."""
    enabled, delegated = cpu[MIE], cpu[MIDELEG]
    if enabled == U0:
        return U0
    priv, status = cpu[PRIV], cpu[MSTATUS]
    bits = U0
    if priv != _M or status & _MIE != U0:
        bits = enabled & ~delegated
    if priv < _S or (priv == _S and status & _SIE != U0):
        bits |= enabled & delegated
    return bits


@njit
def until_timer(cpu: Any, among: Any, retired: Any) -> Any:
    """Instructions (int64) until a timer interrupt `among` these is pending, 0 if one is;
    `ALL_OF_TIME` for ages."""
    until = s64(_NEVER)
    if among & _MTI != U0:
        until = _until(cpu, cpu[MTIMECMP], retired)
    if among & _STI != U0 and cpu[MENVCFG] & _STCE != U0:
        until = min(until, _until(cpu, cpu[STIMECMP], retired))
    return until


@njit
def pending_since(cpu: Any, cause: Any) -> Any:
    """Instructions retired when the interrupt of this cause, now pending, became so."""
    if cause == _MSI:
        return cpu[MSIP_SINCE]
    if cause == _MTI_CAUSE:
        return cpu[TIMER_SINCE]
    if cause == _STI_CAUSE and cpu[MENVCFG] & _STCE != U0:
        return cpu[STIMER_SINCE]
    return cpu[MIP_SINCE]


@njit
def timers_up(cpu: Any, retired: Any) -> Any:
    """Which timers are up, for `timers_changed`: bit 0 for mtimecmp, bit 1 for stimecmp."""
    now = mtime(cpu, retired)
    return b2u(now >= cpu[MTIMECMP]) | b2u(now >= cpu[STIMECMP]) << U1


@njit
def timers_changed(cpu: Any, were_up: Any, retired: Any) -> Any:
    """After a change of mtime, mtimecmp or stimecmp that takes effect when `retired` instructions
    have."""
    until = _until(cpu, cpu[MTIMECMP], retired)
    if until != 0 or were_up & U1 == U0:
        cpu[TIMER_SINCE] = retired + u64(until)
    until = _until(cpu, cpu[STIMECMP], retired)
    if until != 0 or were_up >> U1 == U0:
        cpu[STIMER_SINCE] = retired + u64(until)


@njit
def end_slice(cpu: Any) -> Any:
    """Make the slice end with the block in hand."""
    cpu[GOAL] = cpu[GOAL] - cpu[LEFT] + U1
    cpu[LEFT] = u64(U1)
