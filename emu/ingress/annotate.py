"""The side band of a stretch of references: a pass that puts sideband references between them."""

from typing import Any

import numpy as np

from emu.engine.cycles import TAKEN_BRANCH, TRAP
from emu.hart.interrupts import PER_TICK
from emu.hart.state import (
    MARK_CYCLES_SHIFT,
    MARK_FIELD,
    MARK_TRIGGER_SHIFT,
    NOTE_CONTEXT,
    NOTE_TIME_OFFSET,
)
from specs.interfaces.ingress import (
    CODE_MASK,
    HAS_CONTEXT,
    HAS_TIME,
    SIDEBAND_CODE,
    TRIGGER_OFF,
    TRIGGER_ON,
)
from specs.kernels.njit import njit
from specs.kernels.words import ALL_ONES, U0, U1, U4, U8, U16, U255, b2u, s64, u64
from specs.trace.itype import Itype

#: The pass's state, a word each.
(
    RETIRED,  # instructions retired before the next reference
    CYCLES,
    TIME_OFFSET,
    DUE,  # time is reported when RETIRED is this, all ones: never
    PENDING,  # flags for the next reference
    CONTEXT,
    CTYPE,
    FLOW,  # RETIRED and the ebreaks of host calls, as windows count
    EDGE,  # number of the next edge of a window
    # options
    SOURCE,  # of time
    EVERY,  # instructions from one DUE to the next
) = range(11)
WORDS = 11
NO_TIME, INSTRET, MTIME, IN_CYCLES = range(4)

_MTIME, _IN_CYCLES = np.uint64(MTIME), np.uint64(IN_CYCLES)
_CODE_MASK = np.uint64(CODE_MASK)
_EXCEPTION, _INTERRUPT = np.uint64(Itype.EXCEPTION), np.uint64(Itype.INTERRUPT)
_TAKEN = np.uint64(Itype.TAKEN_BRANCH)
_SIDEBAND = np.uint64(SIDEBAND_CODE)
_HAS_CONTEXT, _HAS_TIME = np.uint64(HAS_CONTEXT), np.uint64(HAS_TIME)
_TAKEN_CYCLES, _TRAP_CYCLES = np.uint64(TAKEN_BRANCH), np.uint64(TRAP)
_FIELD = np.uint64(MARK_FIELD)
_CYCLES_AT, _TRIGGER_AT = np.uint64(MARK_CYCLES_SHIFT), np.uint64(MARK_TRIGGER_SHIFT)
_NOTE_CONTEXT, _NOTE_TIME_OFFSET = np.uint64(NOTE_CONTEXT), np.uint64(NOTE_TIME_OFFSET)
_ON, _OFF = np.uint64(TRIGGER_ON), np.uint64(TRIGGER_OFF)


@njit
def _apply(state: Any, what: Any, value: Any) -> Any:
    kind = what & U255
    if kind == _NOTE_CONTEXT:
        state[PENDING] |= _HAS_CONTEXT
        state[CONTEXT] = value
        state[CTYPE] = what >> U8
    elif kind == _NOTE_TIME_OFFSET:
        state[TIME_OFFSET] = value
    else:
        state[CYCLES] += value


@njit
def _time(state: Any) -> Any:
    source = state[SOURCE]
    if source == _IN_CYCLES:
        return state[CYCLES]
    if source == _MTIME:
        return state[RETIRED] // PER_TICK + state[TIME_OFFSET]
    return state[RETIRED]


@njit
def _sideband(state: Any, is_trap: Any, trigger: Any, row: Any) -> Any:
    """The side band of a reference, into `row`; returns whether there is any."""
    flags = state[PENDING]
    ctype = U0
    if is_trap:
        # A context is reported with the first instruction that retires in it. A trap before that
        # carries the value.
        state[PENDING] = flags & _HAS_CONTEXT
    else:
        state[PENDING] = U0
        if flags & _HAS_CONTEXT != U0:
            ctype = state[CTYPE]
    due = state[RETIRED] >= state[DUE]
    if due or (state[SOURCE] != U0 and (is_trap or flags & _HAS_CONTEXT != U0)):
        flags |= _HAS_TIME
        row[1] = _time(state)
        if due:
            state[DUE] = (state[RETIRED] // state[EVERY] + U1) * state[EVERY]
    else:
        row[1] = U0
    row[0] = state[CONTEXT] if flags & _HAS_CONTEXT != U0 else U0
    row[2] = ctype | trigger << U8 | flags << U16
    return flags | trigger != U0


@njit
def _window(state: Any, edges: Any, flow: Any, after: Any) -> Any:
    """Pulses of the windows on a block that retires with `flow` to `after` instructions before it
    and up to its end.
    """
    pulses = U0
    edge = s64(state[EDGE])
    if edge & 1 == 0 and edges[edge] <= flow:
        pulses = _ON
        edge += 1
    if edge & 1 == 1 and edges[edge] <= after:
        pulses |= _OFF
        edge += 1
    state[EDGE] = u64(edge)
    return pulses


@njit
def _soon(state: Any, notes: Any, n: Any) -> Any:
    """Instructions retired before the next reference that has to be looked at for its time, for
    note `n`, or for what is pending.
    """
    if state[PENDING] != U0:
        return U0
    return min(state[DUE], notes[n, 0] if n < len(notes) else ALL_ONES)


@njit
def annotate(state: Any, told: Any, buffers: Any, used: Any, rows: Any) -> Any:
    """Copy references to a buffer from `used` on, with sideband references where they belong.

    `state`: see above, carried from stretch to stretch. `told`: the references (uint32); marks:
    uint64, by block; notes: uint64 rows as in `emu.hart.state`, none later than the end of this
    stretch, all are applied; edges: uint64, where windows begin and end in turn, then all ones, no
    block goes past one. `buffers`: references (uint32); `ingress.SIDEBAND` as rows of three uint64,
    `rows` of them in use. There must be room for two references, and one row, for each reference.
    Returns `used` and `rows` after it.
    """
    refs, marks, notes, edges = told
    out, sidebands = buffers
    n = np.int64(0)
    retired, cycles = state[RETIRED], state[CYCLES]
    flow, edge = state[FLOW], edges[s64(state[EDGE])]
    soon = _soon(state, notes, n)
    for i in range(len(refs)):
        reference = u64(refs[i])
        code = reference & _CODE_MASK
        is_trap = code - _EXCEPTION <= _INTERRUPT - _EXCEPTION
        mark = U0 if is_trap else marks[reference >> U4]
        count = mark & _FIELD
        # a block that retires nothing is the ebreak of a host call
        after = flow if is_trap else flow + max(count, U1)
        if is_trap or retired >= soon or mark >> _TRIGGER_AT != U0 or after >= edge:
            state[RETIRED], state[CYCLES] = retired, cycles
            while n < len(notes) and notes[n, 0] <= retired:
                _apply(state, notes[n, 1], notes[n, 2])
                n += 1
            pulses = mark >> _TRIGGER_AT
            if not is_trap and after >= edge:
                pulses |= _window(state, edges, flow, after)
                edge = edges[s64(state[EDGE])]
            if _sideband(state, is_trap, pulses, sidebands[rows]):
                out[used] = u64(rows) << U4 | _SIDEBAND
                used += 1
                rows += 1
            cycles = state[CYCLES] + (_TRAP_CYCLES if is_trap else U0)
            soon = _soon(state, notes, n)
        out[used] = refs[i]
        used += 1
        retired += count
        flow = after
        cycles += (mark >> _CYCLES_AT & _FIELD) + b2u(code == _TAKEN) * _TAKEN_CYCLES
    state[RETIRED], state[CYCLES], state[FLOW] = retired, cycles, flow
    while n < len(notes):
        _apply(state, notes[n, 1], notes[n, 2])
        n += 1
    return used, rows
