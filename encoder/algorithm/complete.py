"""Kernels: what the retired row in hand sends, once the row after it is known: checks 3 to 6 of the
flow chart. `docs/choices.md` numbers them, `docs/modes.md` adds the modes.

`history` is None without the modes that need it: what the modes ask is not compiled then.
"""

from typing import Any, NamedTuple

import numpy as np

from encoder.algorithm.itypes import is_branch, is_call, is_updiscon, itype
from encoder.algorithm.queue import (
    send_address,
    send_branches,
    send_context,
    send_landing,
    send_target,
)
from encoder.algorithm.resync import due_after_packet
from encoder.algorithm.segments import (
    all_visits,
    closes_circle,
    give_up,
    has_visits,
    kept,
    visits,
    within,
)
from encoder.state import MAX_SEGMENTS, NO_RETURNS, option, slot, unit, was
from specs.kernels.njit import inlined, spliced
from specs.kernels.words import U0, U1, U31, b2u, s64, u64
from specs.trace import predictors
from specs.trace.predictors import DEPTH

MOST_IRETS = np.uint64(255)

# what follows the row in hand; np.int64, as all that is passed to kernels: for each literal int
# passed, Numba would compile the callee again
RETIRES, TRAPS, PARTS, ENDS = np.int64(0), np.int64(1), np.int64(2), np.int64(3)


class Next(NamedTuple):
    """The row after the one in hand."""

    kind: Any  # RETIRES, TRAPS; PARTS: nothing leads to it; ENDS: there is none
    address: Any
    privilege: Any
    precise: Any  # it reports its context precisely
    sequential: Any  # it is a jump that the row in hand makes sequentially inferable


class Row(NamedTuple):
    """What the row in hand is, as far as the row after it decides that; all bools."""

    branch: Any
    jump: Any  # its opcode does not tell where it leads
    updiscon: Any  # nor does anything else: the next row has to be reported
    returning: Any  # it pops the return stack
    predicted: Any  # and goes where that says,
    implicit: Any  # which is all that need be known


@spliced
def row_in_hand(work, history, following):
    """The `Row`. Asked twice: packets set irets to 0, which an implicit return depends on."""
    options, state = work.options, work.state
    code = state[slot.cur_code]
    retires = following.kind == RETIRES
    jump = is_updiscon(code)
    returning, predicted, implicit, sequential = False, False, False, False
    if history is not None:
        sequential = state[slot.cur_sequential] != U0 and retires
        if options[option.implicit_return] != 0 and code == itype.RETURN and history[DEPTH] != U0:
            returning = retires and not sequential
            predicted = returning and predictors.link(history) == following.address
            implicit = predicted and state[slot.irets] < MOST_IRETS
    updiscon = jump and not sequential and not implicit
    return Row(is_branch(code), jump, updiscon, returning, predicted, implicit)


@spliced
def send_landed(work, history, updiscon):
    """Report the row in hand as the target of an implicit return (2.1), if it is one."""
    state = work.state
    if history is None:
        return False
    if work.options[option.irets] == 0 or state[slot.cur_after] & was.IMPLICIT == U0:
        return False
    send_landing(work, history, state[slot.cur_address], updiscon, state[slot.irets] - U1)
    return True


@spliced
def depth_before_format_3(work, history, follows, branch):
    """irdepth of the row in hand if a format 3 follows it, by the letter of "Format 2 irreport and
    irdepth"; NO_RETURNS where it is not reported. With exact visits nothing is ambiguous.
    """
    if history is None:
        return NO_RETURNS
    options = work.options
    lately = follows and not branch and work.state[slot.lately] != U0
    if not lately or options[option.exact_visits] != 0 or options[option.irets] != 0:
        return NO_RETURNS
    return history[DEPTH] if history[DEPTH] != U0 else NO_RETURNS


@spliced
def send_found(work, history, count, notify, updiscon, depth):
    """The address of the row in hand, once more for each earlier visit in V.

    `updiscon` is for the target of an implicit return; `depth` is irdepth, or NO_RETURNS.
    """
    options, state, segments = work.options, work.state, work.segments
    if send_landed(work, history, updiscon):
        return
    cur = state[slot.cur_address]
    if state[slot.cur_after] & was.JUMP != U0 and options[option.exact_visits] != 0:
        notify = U1
    rounds = visits(segments, count - 1, cur, state[slot.returns])
    earlier = rounds if options[option.exact_loops] != 0 else 0
    if history is not None:
        # irets tells visits apart that lie before an implicit return
        if options[option.exact_visits] != 0 and options[option.irets] == 0:
            earlier += all_visits(segments, count - 1, cur) - rounds
    # the last with what is asked for, those before it only to be counted
    for k in range(earlier + 1):
        last = k == earlier
        send_address(work, history, cur, notify if last else U1, depth if last else NO_RETURNS)
    state[slot.added_visit] += u64(earlier)


@spliced
def was_seen(work, history, row, count, address):
    """Would a decoder take a visit in V for that of the next row?

    If the row in hand is no updiscon, a visit after as many returns is an earlier round.
    """
    segments = work.segments
    if work.options[option.exact_loops] != 0 or row.updiscon:
        return within(segments, count, address)
    if history is None:
        return False
    returns = work.state[slot.returns] + b2u(row.implicit)
    return all_visits(segments, count, address) > visits(segments, count, address, returns)


@spliced
def closes_round(work, history, count, address):
    """Does an inferable jump to `address` lead round in a circle that no packet shows?"""
    segments, state = work.segments, work.state
    if history is None:
        # without implicit returns no level differs from another
        return within(segments, count, address)
    level = state[slot.nesting] + b2u(is_call(state[slot.cur_code]))
    circle = closes_circle(segments, count, address, level)
    return circle and not has_visits(segments, count)


@spliced
def beyond_the_letter(work, history, row, following):
    """The count of a packet that the flow chart does not ask for, but without which a decoder could
    not follow: added_loop, added_visit, added_return, or 0. Gives V up where it goes in circles.
    """
    options, state, segments = work.options, work.state, work.segments
    address = following.address
    count = kept(state)
    if history is not None:
        if row.returning and not row.predicted:
            if options[option.exact_visits] != 0 and options[option.irets] == 0:
                entries = history[DEPTH]
                if entries <= state[slot.highest] and entries > state[slot.lowest]:
                    return slot.added_return
                if within(segments, count, address):
                    return slot.added_return
            return 0
    if row.branch or row.updiscon or following.kind != RETIRES or address == state[slot.cur_end]:
        return 0
    exact = options[option.exact_loops] != 0
    if count == MAX_SEGMENTS:
        return slot.added_loop if exact else slot.added_visit
    if not row.implicit and count > 0:
        if exact:
            if visits(segments, count, address, state[slot.returns]) > 0:
                return slot.added_loop
        elif closes_round(work, history, count, address):
            give_up(state)
    return 0


@spliced
def wants_branches_out(work, history, row, following):
    """Check 4: is resynchronisation so near that what is known goes out before it?"""
    options, state = work.options, work.state
    some = state[slot.branches] != U0
    if options[option.unit] == unit.PACKETS:
        return some and s64(state[slot.resync_count]) == options[option.period]
    if state[slot.due] == U0:
        return False
    if following.kind == RETIRES and not some:
        return was_seen(work, history, row, kept(state), following.address)
    return some


@inlined
def checks_4_to_6(work, history, row, following, follows, synchronises):
    """What is known goes out: by an address (4, 5), by branches (6).

    `follows`: a format 3 comes next; `synchronises`: the next row can send one.
    """
    options, state = work.options, work.state
    retires = following.kind == RETIRES
    depth = depth_before_format_3(work, history, follows, row.branch)
    notify = state[slot.cur_notify]
    added = beyond_the_letter(work, history, row, following)
    if added == 0 and state[slot.cur_late] != U0:
        added = slot.added_late
    resync = wants_branches_out(work, history, row, following)
    if added == 0 and resync and not synchronises:
        added = slot.added_late
    if added != 0:
        if notify == U0:
            state[added] += U1
        notify = U1
    ends = following.kind == PARTS or following.kind == ENDS
    landing = U1 if follows or ends else U0
    count = kept(state)
    stops = not retires
    if retires and (following.precise or following.privilege != state[slot.cur_priv]):
        stops = state[slot.branches] != U0
    if following.precise and retires:
        stops |= was_seen(work, history, row, count, following.address)
    if resync or notify != U0 or stops:
        send_found(work, history, count, notify, landing, depth)
        return
    if history is not None:
        if s64(state[slot.predicted]) == options[option.most_branches]:
            if not send_landed(work, history, landing):
                send_address(work, history, state[slot.cur_address], U0, depth)
            return
        if state[slot.failed] != U0:
            send_branches(work, history)
            return
        if state[slot.predicted] >= U31:
            return
    if state[slot.branches] == U31:
        send_branches(work, history)


@spliced
def report(work, history, row, following):
    """The packets of the row in hand, if it has sent no format 3."""
    options, state = work.options, work.state
    retires = following.kind == RETIRES
    ppccd = retires and (following.precise or following.privilege != state[slot.cur_priv])
    synchronises = True
    if history is not None:
        mispredicted = row.returning and not row.predicted
        if retires and options[option.exact_visits] != 0:
            synchronises = not (mispredicted or following.sequential)
    follows = following.kind == TRAPS or ppccd
    follows |= retires and synchronises and due_after_packet(options, state)
    if state[slot.cur_target] != U0:
        # check 3
        reported = NO_RETURNS
        predicted = False
        if history is not None:
            reported = state[slot.cur_returns]
            if reported == NO_RETURNS:
                reported = depth_before_format_3(work, history, follows, row.branch)
            predicted = state[slot.cur_after] & was.PREDICTED != U0
        address = state[slot.cur_address]
        send_target(work, history, address, U1 if follows else U0, reported, predicted)
    else:
        checks_4_to_6(work, history, row, following, follows, synchronises)
    if state[slot.cur_report] != U0:
        context, time = state[slot.cur_context], state[slot.cur_time]
        send_context(work, state[slot.cur_priv], context, time)


@spliced
def follow_calls(work, history, row):
    """What the row in hand does to the return stack, and what the packet for its target reports."""
    options, state = work.options, work.state
    code = state[slot.cur_code]
    returns = NO_RETURNS
    depth = history[DEPTH]
    mispredicted = row.returning and not row.predicted
    if options[option.irets] == 0:
        if mispredicted:
            returns = depth
    elif code == itype.RETURN and state[slot.cur_sequential] == U0 and not row.implicit:
        if state[slot.irets] != U0 or mispredicted:
            returns = state[slot.irets]
    state[slot.cur_returns] = returns
    if row.branch or is_call(code):
        state[slot.lately] = U0
    elif code == itype.RETURN and state[slot.cur_sequential] == U0:
        state[slot.lately] = U1
    if row.branch:
        state[slot.irets] = U0
    if row.implicit:
        if state[slot.highest] == U0:
            state[slot.lowest] = depth - U1
            state[slot.highest] = depth
        else:
            state[slot.lowest] = min(state[slot.lowest], depth - U1)
            state[slot.highest] = max(state[slot.highest], depth)
        state[slot.returns] += U1
        state[slot.nesting] -= U1
        if options[option.irets] != 0:
            state[slot.irets] += U1
    if row.implicit or (options[option.irets] != 0 and row.returning):
        predictors.unwind(history)
    elif is_call(code):
        predictors.call(history, state[slot.cur_end])
        state[slot.nesting] += U1


@spliced
def after_row(row):
    """The `After` of the row in hand."""
    after = was.UPDISCON * b2u(row.updiscon) | was.JUMP * b2u(row.jump)
    after |= was.IMPLICIT * b2u(row.implicit) | was.PREDICTED * b2u(row.predicted)
    return after | was.MISPREDICTED * b2u(row.returning and not row.predicted)


@inlined
def complete(work, history, following):
    """Checks 3 to 6 for the retired row in hand, now that the next is known; its `After`."""
    options, state = work.options, work.state
    if state[slot.cur_pending] != U0:
        state[slot.due] = U1
    row = row_in_hand(work, history, following)
    if state[slot.cur_sent] == U0:
        report(work, history, row, following)
    if history is not None:
        row = row_in_hand(work, history, following)
    if row.branch or row.updiscon:
        state[slot.segments] = U0
    if history is not None:
        if options[option.implicit_return] != 0:
            follow_calls(work, history, row)
    return after_row(row)
