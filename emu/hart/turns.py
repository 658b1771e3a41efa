"""Several harts take turns: what changes for one of them between its last turn and the next.

There is one clock, mtime, in the hands of the hart whose turn it is: it goes on by a tick in
`PER_TICK` instructions of that hart. So time never goes back, whoever looks at it.
"""

from typing import Any

import numpy as np

from emu.hart.interrupts import PER_TICK, allowed, mtime, pending, timers_changed, timers_up
from emu.hart.notes import note
from emu.hart.state import (
    CYCLE_OFFSET,
    IN_WFI,
    MCOUNTINHIBIT,
    MENVCFG,
    MIE,
    MTIMECMP,
    NOTE_TIME_OFFSET,
    NOTE_WAITED,
    RESERVED,
    RETIRED,
    STIMECMP,
    TIME_OFFSET,
    TIMERS_UP,
    WAITS,
    WAITS_SINCE,
)
from emu.hart.status import MTI, STCE, STI
from specs.kernels.njit import njit
from specs.kernels.words import ALL_ONES, U0, U1

_NOTE_TIME_OFFSET, _NOTE_WAITED = np.uint64(NOTE_TIME_OFFSET), np.uint64(NOTE_WAITED)
_MTI, _STI, _STCE = np.uint64(MTI), np.uint64(STI), np.uint64(STCE)
_IN_WFI = np.uint64(IN_WFI)


@njit
def _ends_wait(cpu: Any) -> Any:
    """Interrupts (uint64, as in mip) that end the wait: of a wfi also those that are not taken."""
    return cpu[MIE] if cpu[WAITS] == _IN_WFI else allowed(cpu)


@njit
def begin_turn(cpu: Any, time: Any) -> Any:
    """It is the hart's turn, at the mtime `time` (uint64). Returns whether it can do anything: it
    waits for no interrupt, or one has come.

    Another hart may have stored to what was reserved.
    """
    retired = cpu[RETIRED]
    cpu[RESERVED] = ALL_ONES
    cpu[TIME_OFFSET] = time - retired // PER_TICK
    timers_changed(cpu, cpu[TIMERS_UP], retired)
    cpu[TIMERS_UP] = timers_up(cpu, retired)
    if cpu[WAITS] != U0:
        if pending(cpu, retired) & _ends_wait(cpu) == U0:
            return False
        if cpu[WAITS] == _IN_WFI:
            cycles = (time - cpu[WAITS_SINCE]) * PER_TICK
            note(cpu, retired, _NOTE_WAITED, cycles)
            if cpu[MCOUNTINHIBIT] & U1 == U0:
                cpu[CYCLE_OFFSET] += cycles
        cpu[WAITS] = U0
    note(cpu, retired, _NOTE_TIME_OFFSET, cpu[TIME_OFFSET])
    return True


@njit
def end_turn(cpu: Any, waits: Any) -> Any:
    """The hart's turn is over; `waits`: what it waits in, `state.WAITS`. Returns mtime (uint64)."""
    retired = cpu[RETIRED]
    now = mtime(cpu, retired)
    cpu[TIMERS_UP] = timers_up(cpu, retired)
    cpu[WAITS], cpu[WAITS_SINCE] = waits, now
    return now


@njit
def wakes_at(cpu: Any) -> Any:
    """mtime (uint64) at which a timer ends the hart's wait; all ones: never."""
    among = _ends_wait(cpu)
    until = cpu[MTIMECMP] if among & _MTI != U0 else ALL_ONES
    if among & _STI != U0 and cpu[MENVCFG] & _STCE != U0:
        until = min(until, cpu[STIMECMP])
    return until
