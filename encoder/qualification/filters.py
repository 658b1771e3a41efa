"""Kernels: which references of a chunk are qualified (docs/qualification.md, "What is qualified").

Blocks come as parts (`encoder.qualification.comparators`), whose instructions are alike for every
comparator. What a part comes to is found once if it depends on its address and privilege only.
"""

from enum import IntEnum, auto

import numpy as np

from encoder.qualification.comparators import BYTE, LOOK, NOTIFY, WHOLE, results_of
from specs.configuration.filters import MAX_FILTERS, Input
from specs.interfaces.ingress import (
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    SIDEBAND_CODE,
    TRAP_UNQUALIFIED,
    TRIGGER_NOTIFY,
    TRIGGER_OFF,
    TRIGGER_ON,
    UNQUALIFIED,
)
from specs.kernels.njit import inlined, njit
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

TRACING = int(State.tracing)
LATCH = int(State.latch)
CONTEXT_VALUE = int(State.context)
CONTEXT_RESULTS = int(State.context_results)
TIME_VALUE = int(State.time)
DUE = int(State.due)
ROW = int(State.row)
GAP = int(State.gap)
TRAP = int(State.trap)
TRAP_DUE = int(State.trap_due)
TRAP_CONTEXT = int(State.trap_context)
TRAP_TIME = int(State.trap_time)
NESTED = int(State.nested)


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


CONSTANT = int(Option.constant)
PRIMARY = int(Option.primary)
BOTH = int(Option.both)
NOT_BOTH = int(Option.not_both)
LATCH_MODE = int(Option.latch)
MOVING = int(Option.moving)
LATCHES = int(Option.latches)
RESTLESS = int(Option.restless)
EVERYTHING = int(Option.everything)
TRAPS = int(Option.traps)
TRIGGERS = int(Option.triggers)
MOST = int(Option.most)
CAUSE_MASK = int(Option.cause_mask)

#: Columns of the matrix of filters: comparators asked for at each row, and at a trap; privilege
#: levels and causes as bit sets; 1 if causes count; and 0 for no traps, 1 any, 2 exceptions,
#: 3 interrupts.
NEED, START, LEVELS, CAUSES, ECAUSE, KIND = range(6)
FILTER_COLUMNS = 6

HELD = np.uint64(HAS_CONTEXT | HAS_TIME)
BREAKS = np.uint64(HALTED | RESET | UNQUALIFIED)
BREAK = np.uint64(UNQUALIFIED)
UNQUALIFIED_TRAP = np.uint64(TRAP_UNQUALIFIED << 16)
ON, OFF = np.uint64(TRIGGER_ON), np.uint64(TRIGGER_OFF)
NOTIFY_TRIGGER = np.uint64(TRIGGER_NOTIFY << 8)
TRIGGER_BITS = np.uint64(0xFF00)
SIDEBAND = np.uint64(SIDEBAND_CODE)
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
        (primary & options[PRIMARY])
        | (both & options[BOTH])
        | (~both & options[NOT_BOTH])
        | (latch & options[LATCH_MODE])
    )


@inlined
def _matches(options, filters, state, outputs, priv):
    """Whether a filter matches a row."""
    if options[EVERYTHING] != U0:
        return True
    for f in range(filters.shape[0]):
        if (
            filters[f, NEED] & ~outputs == U0
            and (filters[f, LEVELS] >> (priv & U63)) & U1 != U0
            and (filters[f, KIND] == U0 or state[NESTED + f] != U0)
        ):
            return True
    return False


@inlined
def _look(options, filters, state, results, priv):
    """Take instructions that are alike; whether they match."""
    results |= state[CONTEXT_RESULTS]
    latch = state[LATCH] | (results & BYTE)
    state[LATCH] = latch & ~(results >> U8)
    return _matches(options, filters, state, _outputs(options, latch, results), priv)


@njit
def _look_at_trap(options, comparators, filters, state, traps, index, interrupt):
    """Take a trap; whether it matches."""
    kinds = traps[index, 3]
    cause, priv = traps[index, 2] & options[CAUSE_MASK], kinds & BYTE
    results = options[CONSTANT] | state[CONTEXT_RESULTS]
    if (kinds >> U8) & BYTE != U0:
        results |= results_of(comparators, IADDR_INPUT, traps[index, 0])
    if not interrupt:
        results |= results_of(comparators, TVAL_INPUT, traps[index, 1])
    latch = state[LATCH] | (results & BYTE)
    state[LATCH] = latch & ~(results >> U8)
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
            if state[NESTED + f] != U0 or starts:
                state[NESTED + f] = min(state[NESTED + f] + U1, options[MOST])
    return _matches(options, filters, state, outputs, priv)


@njit
def judge(options, filters, blocks, rows, start, parts, parts_blocks, quick):
    """`quick[r]` for the rows from `start` on: (its block in the output) << 3 | what becomes of it.

    KEEP and DROP are for blocks whose instructions all are, or are not, qualified in any case, and
    change nothing.
    """
    for row in range(start, blocks.shape[0]):
        part, end = s64(rows[row] >> U2), s64(rows[row + 1] >> U2)
        priv = blocks[row, 1] >> np.uint64(56)
        verdict = KEEP if options[EVERYTHING] != U0 else DROP
        if rows[row] & U3 == u64(WHOLE):
            verdict = WHOLE
        elif end != part + 1 or parts[part] & NOTIFY != U0:
            verdict = LOOK
        elif options[RESTLESS] != U0 or (parts[part] | parts[part] >> U8) & options[LATCHES] != U0:
            verdict = ONE
        elif options[EVERYTHING] == U0:
            outputs = _outputs(options, U0, u64(parts[part]))
            for f in range(filters.shape[0]):
                if (filters[f, NEED] & ~options[MOVING] & ~outputs) == U0 and (
                    filters[f, LEVELS] >> (priv & U63)
                ) & U1 != U0:
                    if filters[f, NEED] & options[MOVING] != U0 or filters[f, KIND] != U0:
                        verdict = ONE
                    else:
                        verdict = KEEP
                        break
        quick[row] = u64(parts_blocks[part]) << VERDICT_BITS | u64(verdict)


@inlined
def is_trap(reference):
    code = reference & np.uint64(15)
    return code == U1 or code == U2


@inlined
def _annotate(refs, at, sides, side, context, time, word):
    """Put a side band, or add to the one that was put last; (references, side bands) after it."""
    if at > 0 and u64(refs[at - 1]) & np.uint64(15) == SIDEBAND:
        sides[side - 1, 0] = context
        sides[side - 1, 1] = time
        sides[side - 1, 2] |= word
        return at, side
    sides[side, 0] = context
    sides[side, 1] = time
    sides[side, 2] = word
    refs[at] = u64(side) << U4 | SIDEBAND
    return at + 1, side + 1


@inlined
def _drop(state, refs, at, sides, side):
    """Something is left out: say so behind the last qualified reference."""
    state[TRAP] = U0
    if state[GAP] == U0:
        state[GAP] = U1
        return _annotate(refs, at, sides, side, U0, U0, BREAK << U16)
    return at, side


@inlined
def _keep_trap(state, reference):
    """A trap is left out: if the next row is traced, its handler, that one reports it."""
    state[TRAP] = reference
    state[TRAP_DUE] = state[DUE]
    state[TRAP_CONTEXT] = state[CONTEXT_VALUE]
    state[TRAP_TIME] = state[TIME_VALUE]


@njit
def _put_trap(state, refs, at, sides, side):
    """The trap that was left out directly before the reference to come."""
    word = UNQUALIFIED_TRAP | (state[TRAP_DUE] << U16)
    at, side = _annotate(refs, at, sides, side, state[TRAP_CONTEXT], state[TRAP_TIME], word)
    refs[at] = state[TRAP]
    state[TRAP] = U0
    return at + 1, side


@inlined
def _put(state, refs, at, sides, side, reference, word):
    """A qualified reference; `word`: ctype and trigger for it."""
    if state[TRAP] != U0:
        if word & BYTE != DISCONTINUITY and not is_trap(reference):
            at, side = _put_trap(state, refs, at, sides, side)
        state[TRAP] = U0
    word |= state[DUE] << U16
    if word != U0:
        at, side = _annotate(refs, at, sides, side, state[CONTEXT_VALUE], state[TIME_VALUE], word)
        state[DUE] = U0
    refs[at] = reference
    state[GAP] = U0
    return at + 1, side


@njit
def _take_sideband(options, comparators, state, sidebands, index, refs, at, sides, side):
    """Context and time hold from here on, ctype and trigger for the next reference."""
    word = sidebands[index, 2]
    flags = (word >> U16) & BYTE
    if flags & np.uint64(HAS_CONTEXT) != U0:
        state[CONTEXT_VALUE] = sidebands[index, 0]
        state[CONTEXT_RESULTS] = results_of(comparators, CONTEXT_INPUT, sidebands[index, 0])
    if flags & np.uint64(HAS_TIME) != U0:
        state[TIME_VALUE] = sidebands[index, 1]
    state[DUE] |= flags & HELD
    ctype = max(state[ROW] & BYTE, word & BYTE)
    state[ROW] = ((state[ROW] | word) & (TRIGGER_BITS | UNQUALIFIED_TRAP)) | ctype
    if flags & BREAKS != U0:
        state[TRAP] = U0
    if flags & BREAKS != U0 and state[GAP] == U0:
        at, side = _annotate(refs, at, sides, side, U0, U0, (flags & BREAKS) << U16)
        state[GAP] = U1
    return at, side


@njit
def _take_block(
    options, filters, state, rows, parts, parts_blocks, index, code, priv, refs, at, sides, side
):
    """A block whose parts are to be looked at; triggers aside."""
    part, end = s64(rows[index] >> U2), s64(rows[index + 1] >> U2)
    row_word = state[ROW]
    ctype, notify = row_word & BYTE, row_word & NOTIFY_TRIGGER
    tracing = state[TRACING] != U0
    if rows[index] & U3 == u64(WHOLE):
        matched, asked = False, notify
        for p in range(part, end):
            if _look(options, filters, state, u64(parts[p]), priv):
                matched = True
            if parts[p] & NOTIFY != U0:
                asked = NOTIFY_TRIGGER
        if matched and tracing:
            reference = u64(parts_blocks[part]) << U4 | code
            return _put(state, refs, at, sides, side, reference, ctype | asked)
        return _drop(state, refs, at, sides, side)
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
            at, side = _put(state, refs, at, sides, side, reference, word)
        else:
            at, side = _drop(state, refs, at, sides, side)
    return at, side


@njit
def qualify(
    options, comparators, filters, state, chunk, start, blocks, traps, sidebands,
    rows, quick, parts, parts_blocks, refs, sides,
):  # fmt: skip
    """Take the references `chunk[start:]` until they, or the room in `refs` and `sides`, end.

    Returns (references taken, references in `refs`, side bands in `sides`, DONE, NO_ROOM or
    PAST_TABLE).
    """
    at, side = 0, 0
    room = min(refs.shape[0], sides.shape[0]) - 4
    i = start
    while i < chunk.shape[0]:
        reference = u64(chunk[i])
        code, index = reference & np.uint64(15), s64(reference >> U4)
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
                and state[ROW] == U0
                and (code != XRET or options[TRAPS] == U0)
            ):
                matched = look == u64(KEEP)
                if look == u64(ONE):
                    results = u64(parts[s64(rows[index] >> U2)])
                    priv = blocks[index, 1] >> np.uint64(56)
                    matched = _look(options, filters, state, results, priv)
                reference = word >> VERDICT_BITS << U4 | code
                if not matched or state[TRACING] == U0:
                    at, side = _drop(state, refs, at, sides, side)
                elif state[DUE] | state[TRAP] == U0:
                    refs[at] = reference
                    at += 1
                    state[GAP] = U0
                else:
                    at, side = _put(state, refs, at, sides, side, reference, U0)
                i += 1
                continue
        elif code == SIDEBAND:
            if index >= sidebands.shape[0]:
                return i - start, at, side, PAST_TABLE
            at, side = _take_sideband(
                options, comparators, state, sidebands, index, refs, at, sides, side
            )
            i += 1
            continue
        elif index >= traps.shape[0]:
            return i - start, at, side, PAST_TABLE
        trigger = state[ROW] >> U8 & BYTE if options[TRIGGERS] != U0 else U0
        if is_block:
            part, end = s64(rows[index] >> U2), s64(rows[index + 1] >> U2)
            split = rows[index] & U3 != u64(WHOLE) and end > part + 1
            if split and at > 0 and at + 2 * (end - part) >= room:
                return i - start, at, side, NO_ROOM
        if trigger & ON != U0:
            state[TRACING] = U1
        if is_block:
            at, side = _take_block(
                options, filters, state, rows, parts, parts_blocks, index, code,
                blocks[index, 1] >> np.uint64(56), refs, at, sides, side,
            )  # fmt: skip
            if code == XRET and options[TRAPS] != U0:
                for f in range(filters.shape[0]):
                    if state[NESTED + f] != U0:
                        state[NESTED + f] -= U1
        else:
            matched = _look_at_trap(options, comparators, filters, state, traps, index, code == U2)
            unqualified = state[ROW] & UNQUALIFIED_TRAP != U0
            if matched and state[TRACING] != U0 and not unqualified:
                word = state[ROW] & (BYTE | NOTIFY_TRIGGER)
                at, side = _put(state, refs, at, sides, side, reference, word)
            else:
                at, side = _drop(state, refs, at, sides, side)
                _keep_trap(state, reference)
        if trigger & OFF != U0:
            state[TRACING] = U0
        state[ROW] = U0
        i += 1
    return i - start, at, side, DONE
