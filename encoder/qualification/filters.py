"""Kernels: which references of a chunk are qualified (docs/qualification.md, "What is qualified").

Blocks come as parts (`encoder.qualification.comparators`), whose instructions are alike for every
comparator. What a part comes to is found once if it depends on its address and privilege only.
"""

from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoder.qualification.comparators import BYTE, LOOK, NOTIFY, WHOLE, results_of
from specs.configuration.filters import MAX_FILTERS, Input
from specs.interfaces.ingress import (
    BLOCK,
    CODE_MASK,
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    SIDEBAND_CODE,
    TRAP,
    TRAP_UNQUALIFIED,
    TRIGGER_NOTIFY,
    TRIGGER_OFF,
    TRIGGER_ON,
    UNQUALIFIED,
)
from specs.interfaces.ingress import SIDEBAND as SIDEBAND_RECORD
from specs.interfaces.records import places
from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import U0, U1, U2, U3, U4, U8, U16, U63, s64, u64


class State(IntEnum):
    """Index into the state, kept between chunks."""

    tracing = 0  # trTeInstTracing
    latch = auto()  # of each comparator, a bit
    context = auto()
    context_results = auto()  # of the comparisons with it
    time = auto()
    due = auto()  # flags HAS_CONTEXT, HAS_TIME: to be given at the next qualified reference
    row = auto()  # ctype | trigger << 8 of the reference that follows
    gap = auto()  # 1: the encoder knows that the stretch has ended
    trap = auto()  # reference to the trap that was left out directly before, or 0
    trap_due = auto()  # what was due at it, with context and time
    trap_context = auto()
    trap_time = auto()
    nested = auto()  # of each filter, its count of nested traps


STATE_SIZE = State.nested + MAX_FILTERS


class Option(IntEnum):
    """Index into the options."""

    constant = 0  # results that depend on nothing
    primary = auto()  # comparators whose output is P
    both = auto()  # P and S
    not_both = auto()
    latch = auto()
    moving = auto()  # comparators whose output depends on more than the address
    latches = auto()  # latch comparators that a filter asks for
    restless = auto()  # 1: such a latch may change at any row
    everything = auto()  # 1: no filter decides
    traps = auto()  # 1: some filter matches traps
    triggers = auto()  # trTeInstTrigEnable
    most = auto()  # nested traps that are counted
    cause_mask = auto()


_state = plain(State)
_option = plain(Option)
_block = places(BLOCK)
_trap = places(TRAP)
_sideband = places(SIDEBAND_RECORD)

_Words = npt.NDArray[np.uint64]


class Filtering(NamedTuple):
    """What a qualifier works with from its first reference to its last."""

    options: _Words  # by `Option`
    comparators: _Words
    filters: _Words  # a row each, see NEED to KIND
    state: _Words  # by `State`


class Output(NamedTuple):
    """Room for references that are qualified, and for their side bands."""

    refs: npt.NDArray[np.uint32]
    sides: _Words


#: Columns of the matrix of filters: comparators asked for at each row, and at a trap; privilege
#: levels and causes as bit sets; 1 if causes count; and 0 for no traps, 1 any, 2 exceptions,
#: 3 interrupts.
NEED, START, LEVELS, CAUSES, ECAUSE, KIND = range(6)
FILTER_COLUMNS = 6

HELD = np.uint64(HAS_CONTEXT | HAS_TIME)
BREAKS = np.uint64(HALTED | RESET | UNQUALIFIED)
BREAK = np.uint64(UNQUALIFIED)
UNQUALIFIED_TRAP = np.uint64(TRAP_UNQUALIFIED) << _sideband.flags_at
ON, OFF = np.uint64(TRIGGER_ON), np.uint64(TRIGGER_OFF)
NOTIFY_TRIGGER = np.uint64(TRIGGER_NOTIFY) << _sideband.trigger_at
TRIGGER_BITS = BYTE << _sideband.trigger_at
SIDEBAND = np.uint64(SIDEBAND_CODE)
CODE = np.uint64(CODE_MASK)
CONTEXT_INPUT, TVAL_INPUT = np.uint64(Input.CONTEXT), np.uint64(Input.TVAL)
IADDR_INPUT = np.uint64(Input.IADDR)
DISCONTINUITY = np.uint64(3)  # ctype
XRET = U3

#: `judge`: what becomes of a row of the block table; besides LOOK and WHOLE. ONE: it is alike for
#: all comparators, but more than that decides.
DROP, KEEP, ONE = 0, 1, 4
VERDICT, VERDICT_BITS = np.uint64(7), U3

#: Why `qualify` stopped.
DONE, NO_ROOM, PAST_TABLE = 0, 1, 2


@inlined
def _outputs(options, latch, results):
    """Outputs of the comparators, a bit each; `latch` as the primary results leave it."""
    primary = results & BYTE
    both = primary & (results >> U8)
    return (
        (primary & options[_option.primary])
        | (both & options[_option.both])
        | (~both & options[_option.not_both])
        | (latch & options[_option.latch])
    )


@inlined
def _matches(options, filters, state, outputs, priv):
    """Whether a filter matches a row."""
    if options[_option.everything] != U0:
        return True
    for f in range(filters.shape[0]):
        if (
            filters[f, NEED] & ~outputs == U0
            and (filters[f, LEVELS] >> (priv & U63)) & U1 != U0
            and (filters[f, KIND] == U0 or state[_state.nested + f] != U0)
        ):
            return True
    return False


@inlined
def _look(options, filters, state, results, priv):
    """Take instructions that are alike; whether they match."""
    results |= state[_state.context_results]
    latch = state[_state.latch] | (results & BYTE)
    state[_state.latch] = latch & ~(results >> U8)
    return _matches(options, filters, state, _outputs(options, latch, results), priv)


@njit
def _look_at_trap(work, traps, index, interrupt):
    """Take a trap; whether it matches."""
    options, comparators, filters, state = work
    cause = traps[index, _trap.cause] & options[_option.cause_mask]
    priv = (traps[index, _trap.priv] >> _trap.priv_at) & BYTE
    results = options[_option.constant] | state[_state.context_results]
    if (traps[index, _trap.iaddr_valid] >> _trap.iaddr_valid_at) & BYTE != U0:
        results |= results_of(comparators, IADDR_INPUT, traps[index, _trap.iaddr])
    if not interrupt:
        results |= results_of(comparators, TVAL_INPUT, traps[index, _trap.tval])
    latch = state[_state.latch] | (results & BYTE)
    state[_state.latch] = latch & ~(results >> U8)
    outputs = _outputs(options, latch, results)
    for f in range(filters.shape[0]):
        kind = filters[f, KIND]
        if kind != U0:
            starts = (
                filters[f, START] & ~outputs == U0
                and (
                    filters[f, ECAUSE] == U0
                    or (cause <= U63 and (filters[f, CAUSES] >> cause) & U1 != U0)
                )
                and (kind == U1 or (kind == U3) == interrupt)
            )
            if state[_state.nested + f] != U0 or starts:
                state[_state.nested + f] = min(state[_state.nested + f] + U1, options[_option.most])
    return _matches(options, filters, state, outputs, priv)


@njit
def judge(work, blocks, table, start):
    """`table.quick[r]` for the rows from `start` on: (its block in the output) << 3 | a verdict.

    KEEP and DROP are for blocks whose instructions all are, or are not, qualified in any case, and
    change nothing.
    """
    options, filters = work.options, work.filters
    rows, parts, parts_blocks, quick = table.rows, table.parts, table.blocks, table.quick
    for row in range(start, blocks.shape[0]):
        part, end = s64(rows[row] >> U2), s64(rows[row + 1] >> U2)
        priv = blocks[row, _block.priv] >> _block.priv_at
        verdict = KEEP if options[_option.everything] != U0 else DROP
        if rows[row] & U3 == u64(WHOLE):
            verdict = WHOLE
        elif end != part + 1 or parts[part] & NOTIFY != U0:
            verdict = LOOK
        elif (
            options[_option.restless] != U0
            or (parts[part] | parts[part] >> U8) & options[_option.latches] != U0
        ):
            verdict = ONE
        elif options[_option.everything] == U0:
            outputs = _outputs(options, U0, u64(parts[part]))
            for f in range(filters.shape[0]):
                if (filters[f, NEED] & ~options[_option.moving] & ~outputs) == U0 and (
                    filters[f, LEVELS] >> (priv & U63)
                ) & U1 != U0:
                    if filters[f, NEED] & options[_option.moving] != U0 or filters[f, KIND] != U0:
                        verdict = ONE
                    else:
                        verdict = KEEP
                        break
        quick[row] = u64(parts_blocks[part]) << VERDICT_BITS | u64(verdict)


@inlined
def is_trap(reference):
    code = reference & CODE
    return code == U1 or code == U2


@inlined
def _annotate(output, at, side, context, time, word):
    """Put a side band, or add to the one that was put last; (references, side bands) after it."""
    refs, sides = output
    if at > 0 and u64(refs[at - 1]) & CODE == SIDEBAND:
        sides[side - 1, _sideband.context] = context
        sides[side - 1, _sideband.time] = time
        sides[side - 1, _sideband.flags] |= word
        return at, side
    sides[side, _sideband.context] = context
    sides[side, _sideband.time] = time
    sides[side, _sideband.flags] = word
    refs[at] = u64(side) << U4 | SIDEBAND
    return at + 1, side + 1


@inlined
def _drop(state, output, at, side):
    """Something is left out: say so behind the last qualified reference."""
    state[_state.trap] = U0
    if state[_state.gap] == U0:
        state[_state.gap] = U1
        return _annotate(output, at, side, U0, U0, BREAK << _sideband.flags_at)
    return at, side


@inlined
def _keep_trap(state, reference):
    """A trap is left out: if the next row is traced, its handler, that one reports it."""
    state[_state.trap] = reference
    state[_state.trap_due] = state[_state.due]
    state[_state.trap_context] = state[_state.context]
    state[_state.trap_time] = state[_state.time]


@njit
def _put_trap(state, output, at, side):
    """The trap that was left out directly before the reference to come."""
    word = UNQUALIFIED_TRAP | (state[_state.trap_due] << U16)
    at, side = _annotate(
        output, at, side, state[_state.trap_context], state[_state.trap_time], word
    )
    output.refs[at] = state[_state.trap]
    state[_state.trap] = U0
    return at + 1, side


@inlined
def _put(state, output, at, side, reference, word):
    """A qualified reference; `word`: ctype and trigger for it."""
    if state[_state.trap] != U0:
        if word & BYTE != DISCONTINUITY and not is_trap(reference):
            at, side = _put_trap(state, output, at, side)
        state[_state.trap] = U0
    word |= state[_state.due] << _sideband.flags_at
    if word != U0:
        at, side = _annotate(output, at, side, state[_state.context], state[_state.time], word)
        state[_state.due] = U0
    output.refs[at] = reference
    state[_state.gap] = U0
    return at + 1, side


@njit
def _take_sideband(work, sidebands, index, output, at, side):
    """Context and time hold from here on, ctype and trigger for the next reference."""
    comparators, state = work.comparators, work.state
    word = sidebands[index, _sideband.flags]
    flags = (word >> _sideband.flags_at) & BYTE
    if flags & np.uint64(HAS_CONTEXT) != U0:
        state[_state.context] = sidebands[index, _sideband.context]
        state[_state.context_results] = results_of(
            comparators, CONTEXT_INPUT, sidebands[index, _sideband.context]
        )
    if flags & np.uint64(HAS_TIME) != U0:
        state[_state.time] = sidebands[index, _sideband.time]
    state[_state.due] |= flags & HELD
    ctype = max(state[_state.row] & BYTE, word & BYTE)
    state[_state.row] = ((state[_state.row] | word) & (TRIGGER_BITS | UNQUALIFIED_TRAP)) | ctype
    if flags & BREAKS != U0:
        state[_state.trap] = U0
    if flags & BREAKS != U0 and state[_state.gap] == U0:
        at, side = _annotate(output, at, side, U0, U0, (flags & BREAKS) << _sideband.flags_at)
        state[_state.gap] = U1
    return at, side


@njit
def _take_block(work, table, reference, priv, output, place):
    """A block whose parts are to be looked at; triggers aside. `place`: references, side bands."""
    options, filters, state = work.options, work.filters, work.state
    rows, parts, parts_blocks = table.rows, table.parts, table.blocks
    code, index = reference & CODE, s64(reference >> U4)
    at, side = place
    part, end = s64(rows[index] >> U2), s64(rows[index + 1] >> U2)
    row_word = state[_state.row]
    ctype, notify = row_word & BYTE, row_word & NOTIFY_TRIGGER
    tracing = state[_state.tracing] != U0
    if rows[index] & U3 == u64(WHOLE):
        matched, asked = False, notify
        for p in range(part, end):
            if _look(options, filters, state, u64(parts[p]), priv):
                matched = True
            if parts[p] & NOTIFY != U0:
                asked = NOTIFY_TRIGGER
        if matched and tracing:
            reference = u64(parts_blocks[part]) << U4 | code
            return _put(state, output, at, side, reference, ctype | asked)
        return _drop(state, output, at, side)
    for p in range(part, end):
        matched = _look(options, filters, state, u64(parts[p]), priv)
        if matched and tracing:
            word = ctype if p == part else U0
            reference = u64(parts_blocks[p]) << U4
            if p + 1 == end:
                word |= notify
                reference |= code
            if parts[p] & NOTIFY != U0:
                word |= NOTIFY_TRIGGER
            at, side = _put(state, output, at, side, reference, word)
        else:
            at, side = _drop(state, output, at, side)
    return at, side


@njit
def qualify(work, tables, table, start, output):
    """Take the references `tables.refs[start:]` until they, or the room in `output`, end.

    Returns (references taken, references and side bands in `output`, DONE, NO_ROOM or PAST_TABLE).

    Long: one loop, in which most references meet three comparisons and no call.
    """
    options, filters, state = work.options, work.filters, work.state
    chunk, blocks, traps, sidebands = tables
    rows, quick, parts = table.rows, table.quick, table.parts
    refs = output.refs
    at, side = 0, 0
    room = min(refs.shape[0], output.sides.shape[0]) - 4
    i = start
    while i < chunk.shape[0]:
        reference = u64(chunk[i])
        code, index = reference & CODE, s64(reference >> U4)
        is_block = code != U1 and code != U2 and code != SIDEBAND
        if at >= room:
            return i - start, at, side, NO_ROOM
        if is_block:
            if index >= blocks.shape[0]:
                return i - start, at, side, PAST_TABLE
            word = u64(quick[index])
            look = word & VERDICT
            if (
                (look <= u64(KEEP) or look == u64(ONE))
                and state[_state.row] == U0
                and (code != XRET or options[_option.traps] == U0)
            ):
                matched = look == u64(KEEP)
                if look == u64(ONE):
                    results = u64(parts[s64(rows[index] >> U2)])
                    priv = blocks[index, _block.priv] >> _block.priv_at
                    matched = _look(options, filters, state, results, priv)
                reference = word >> VERDICT_BITS << U4 | code
                if not matched or state[_state.tracing] == U0:
                    at, side = _drop(state, output, at, side)
                elif state[_state.due] | state[_state.trap] == U0:
                    refs[at] = reference
                    at += 1
                    state[_state.gap] = U0
                else:
                    at, side = _put(state, output, at, side, reference, U0)
                i += 1
                continue
        elif code == SIDEBAND:
            if index >= sidebands.shape[0]:
                return i - start, at, side, PAST_TABLE
            at, side = _take_sideband(work, sidebands, index, output, at, side)
            i += 1
            continue
        elif index >= traps.shape[0]:
            return i - start, at, side, PAST_TABLE
        trigger = state[_state.row] >> U8 & BYTE if options[_option.triggers] != U0 else U0
        if is_block:
            part, end = s64(rows[index] >> U2), s64(rows[index + 1] >> U2)
            split = rows[index] & U3 != u64(WHOLE) and end > part + 1
            if split and at > 0 and at + 2 * (end - part) >= room:
                return i - start, at, side, NO_ROOM
        if trigger & ON != U0:
            state[_state.tracing] = U1
        if is_block:
            priv = blocks[index, _block.priv] >> _block.priv_at
            at, side = _take_block(work, table, reference, priv, output, (at, side))
            if code == XRET and options[_option.traps] != U0:
                for f in range(filters.shape[0]):
                    if state[_state.nested + f] != U0:
                        state[_state.nested + f] -= U1
        else:
            matched = _look_at_trap(work, traps, index, code == U2)
            unqualified = state[_state.row] & UNQUALIFIED_TRAP != U0
            if matched and state[_state.tracing] != U0 and not unqualified:
                word = state[_state.row] & (BYTE | NOTIFY_TRIGGER)
                at, side = _put(state, output, at, side, reference, word)
            else:
                at, side = _drop(state, output, at, side)
                _keep_trap(state, reference)
        if trigger & OFF != U0:
            state[_state.tracing] = U0
        state[_state.row] = U0
        i += 1
    return i - start, at, side, DONE
