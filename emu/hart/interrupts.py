"""What is pending in mip, and since when; the timer that makes it so."""

from typing import Any

import numpy as np

from emu.hart.state import (
    ALL_OF_TIME,
    GOAL,
    INSTRUCTIONS_PER_TICK,
    LEFT,
    MSIP,
    MSIP_SINCE,
    MTIMECMP,
    TIME_OFFSET,
    TIMER_SINCE,
)
from specs.isa.causes import MACHINE_SOFTWARE_INTERRUPT
from specs.kernels.njit import njit
from specs.kernels.words import U1, U3, U7, b2u, s64, u64

PER_TICK = np.uint64(INSTRUCTIONS_PER_TICK)

_NEVER = np.uint64(ALL_OF_TIME)

_MSI = np.uint64(MACHINE_SOFTWARE_INTERRUPT)


@njit
def mtime(cpu: Any, retired: Any) -> Any:
    """mtime (uint64 ticks) after `retired` instructions."""
    return retired // PER_TICK + cpu[TIME_OFFSET]


@njit
def pending(cpu: Any, retired: Any) -> Any:
    """mip (uint64): MSIP and MTIP; nothing drives MEIP here."""
    timer = b2u(mtime(cpu, retired) >= cpu[MTIMECMP])
    return cpu[MSIP] << U3 | timer << U7


@njit
def until_timer(cpu: Any, retired: Any) -> Any:
    """Instructions (int64) until MTIP rises, 0 if it is up; `ALL_OF_TIME` for ages."""
    now = mtime(cpu, retired)
    if now >= cpu[MTIMECMP]:
        return np.int64(0)
    ticks = cpu[MTIMECMP] - now
    if ticks > _NEVER // PER_TICK:
        return s64(_NEVER)
    return s64((retired // PER_TICK + ticks) * PER_TICK - retired)


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
def end_slice(cpu: Any) -> Any:
    """Make the slice end with the block in hand."""
    cpu[GOAL] = cpu[GOAL] - cpu[LEFT] + U1
    cpu[LEFT] = u64(U1)
