"""Kernel: the plain stretches of a run, with optional modes on.

The same as `encoder.algorithm.plain`, for the modes of docs/modes.md: calls, returns that go where
the return stack says, predicted branches and cached targets need no decision of the flow chart's.
What does is left to it: mispredicted returns, jumps back into V, the largest counts.
"""

from typing import Any, NamedTuple

import numpy as np

from encoder.algorithm.blocks import CODE, after_first, half_words, is_at, last_of
from encoder.algorithm.blocks import block as block_at
from encoder.algorithm.complete import MOST_IRETS
from encoder.algorithm.itypes import CALL_BITS, UPDISCON_BITS, is_inferred_jump, itype, seen_code
from encoder.algorithm.plain import (
    NOT_LOW,
    TRAP_OR_SIDEBAND,
    address_field,
    address_payload,
    form,
    limits,
    map_payload,
    put_payload,
)
from encoder.algorithm.segments import extend_segments
from encoder.output.writer import framed
from encoder.state import MAX_SEGMENTS, option, segment, slot, unit, was
from specs.kernels.njit import inlined, njit
from specs.kernels.words import ALL_ONES, U0, U1, U2, U4, U31, U64, b2u, clz64, s64, u64
from specs.trace import predictors
from specs.trace.predictors import BPRED, BPRED_MASK, DEPTH, INDEX_SHIFT

ENTRIES = np.uint64(BPRED)
_COUNT_BITS = np.uint64(34)
_BRANCHES_BITS = np.uint64(5)


class Unsent(NamedTuple):
    """The branches that no packet has told."""

    branches: Any
    branch_map: Any
    predicted: Any
    failed: Any


@inlined
def count_payload(options, predicted, branch_fmt):
    """0.0 up to `branch_fmt`, and how many bits that are."""
    start = U2 + u64(options[option.f0s_width])
    end = start + _COUNT_BITS
    return ((predicted - U31) << start) | (branch_fmt << (end - U2)), end


@inlined
def target_payload(options, state, unsent, address):
    """Format 0.0, 1 or 2 with an address; all bits after that repeat its MSB."""
    field = address_field(options, address, state[slot.last_address])
    if unsent.predicted < U31:
        return address_payload(unsent.branches, unsent.branch_map, field)
    low, end = count_payload(options, unsent.predicted, U2 | unsent.failed)
    return low | (field << end), u64(s64(field) >> s64(U64 - end))


@inlined
def index_payload(options, branches, branch_map, index):
    """Format 0.1; all bits after the branch map repeat its last."""
    start = U2 + u64(options[option.f0s_width])
    at = start + u64(options[option.cache_size])
    subformat = U4 if options[option.f0s_width] != 0 else U0
    low = subformat | (index << start) | (branches << at)
    if branches == U0:
        return low, U0
    bits = (U1 << (U64 - clz64(branches))) - U1
    low |= branch_map << (at + _BRANCHES_BITS)
    unused = U64 - (at + _BRANCHES_BITS + bits)
    low = u64(s64(low << unused) >> s64(unused))
    return low, u64(s64(low) >> 63)


@inlined
def bytes_of(low, high):
    """Bytes of a payload of 128 sign-extended bits."""
    sign = u64(s64(high) >> 63)
    top = clz64(high ^ sign)
    if top == U64:
        top += clz64(low ^ sign)
    return (136 - s64(top)) >> 3


@njit
def put_target(work, history, unsent, address, out, position):
    """Write the address of an updiscon's target; the position after it."""
    options, state = work.options, work.state
    branches = unsent.branches
    table = form.ADDRESS if branches == U0 else form.BRANCH_MAP
    if unsent.predicted >= U31:
        table = form.BRANCH_COUNT
    low, high = target_payload(options, state, unsent, address)
    if options[option.jump_target_cache] != 0:
        index = predictors.cache_index(history, address)
        hit = predictors.cached(history, index) == address
        if hit and table != form.BRANCH_COUNT:
            short, sign = index_payload(options, branches, unsent.branch_map, index)
            longer = bytes_of(low, high) >= bytes_of(short, sign)
            if longer or options[option.shorter_packet] == 0:
                low, high = short, sign
                table = form.JUMP_TARGET_INDEX
        predictors.cache(history, address)
    state[slot.packets + table] += U1
    state[slot.last_address] = address
    state[slot.ntr] = U1
    return put_payload(work.framing[framed.header], out, position, low, high)


@njit
def put_branches(work, unsent, out, position):
    """Write 31 branches, or a count that ends in a failure; the position after it."""
    state = work.state
    if unsent.predicted >= U31:
        low, _end = count_payload(work.options, unsent.predicted, U0)
        high = U0
        state[slot.packets + form.BRANCH_COUNT] += U1
    else:
        low, high = map_payload(unsent.branch_map)
        state[slot.packets + form.BRANCH_MAP] += U1
    state[slot.ntr] = U0
    return put_payload(work.framing[framed.header], out, position, low, high)


@njit
def encode_plain_modes(work, history, tables, i, out, position):
    """Encode refs[i:] while they are plain: (next reference, position in `out`).

    The row in hand is an anchor (a branch or an updiscon) when this starts.

    Long: one loop, whose state is in registers.
    """
    options, state, segments = work.options, work.state, work.segments
    refs, blocks = tables.refs, tables.blocks
    end = refs.shape[0]
    opening = position
    limit, upto = limits(work, out, position)
    count = s64(state[slot.resync_count])
    returns = options[option.implicit_return] != 0
    predicting = options[option.branch_prediction] != 0
    sijump = options[option.sijump] != 0
    has_irets = options[option.irets] != 0
    most = u64(options[option.most_branches])
    # read once: for all that the compiler knows, training changes them
    index_shift = history[INDEX_SHIFT]
    entries = history[BPRED_MASK]
    branches = state[slot.branches]
    branch_map = state[slot.branch_map]
    predicted = state[slot.predicted]
    failed = state[slot.failed]
    irets = state[slot.irets]
    returned = state[slot.returns]
    level = state[slot.nesting]
    shallow = state[slot.lowest]
    deep = state[slot.highest]
    begin = i
    mixed, privilege = options[option.uniform_priv] == 0, state[slot.cur_priv]
    # V, as in `encoder.algorithm.plain`; the hull is of what a jump back can make a circle of: at a
    # call it is put away, in the table of segments, till the return from it
    keeps = options[option.keeps_segments] != 0
    rounds = options[option.exact_loops] != 0
    anchor = i
    partial = False
    lowest = ALL_ONES
    highest = U0
    jumps = 0
    nested = 0
    # the row in hand
    code = state[slot.cur_code]
    follows = state[slot.cur_end]
    address = state[slot.cur_address]
    sequential = False
    deferred = False
    after = U0
    while i < end:
        reference = u64(refs[i])
        next_code = reference & CODE
        if (TRAP_OR_SIDEBAND >> next_code) & U1 != U0:
            break
        if count >= limit or position >= upto:
            break
        index = s64(reference >> U4)
        if index >= blocks.shape[0]:
            break
        if mixed and not is_at(blocks, index, privilege):
            break
        if code & NOT_LOW == U4 and next_code & NOT_LOW == U4 and not deferred:
            # Branch after branch, the most by far. What of the row in hand is left out here is
            # not asked for while that is a branch.
            if predicted == most:
                break
            if failed != U0 or (branches == U31 and predicted < U31):
                unsent = Unsent(branches, branch_map, predicted, failed)
                position = put_branches(work, unsent, out, position)
                count += 1
                branches, branch_map, predicted, failed, deep = U0, U0, U0, U0, U0
            irets = U0
            correct = U0
            if predicting:
                last = last_of(blocks[index, block_at.iaddr], blocks[index, block_at.iretire])
                at = ENTRIES + ((last >> index_shift) & entries)
                correct = predictors.predict_entry(history, at, next_code & U1)
            if predicted >= U31:
                failed = correct ^ U1
            else:
                branch_map |= ((next_code & U1) ^ U1) << branches
                branches += U1
            predicted += correct
            code = next_code
            after = U0
            anchor = i
            partial = False
            i += 1
            continue
        iaddr = blocks[index, block_at.iaddr]
        details = blocks[index, block_at.iretire]
        if half_words(details) == U0:
            break
        # the row in hand, now that the next is known
        target = False
        implicit = False
        jump = (UPDISCON_BITS >> code) & U1 != U0
        if code & NOT_LOW == U4:
            # a branch
            if predicted == most and not deferred:
                break
            full = failed != U0 or (branches == U31 and predicted < U31)
            if deferred:
                unsent = Unsent(branches, branch_map, predicted, failed)
                position = put_target(work, history, unsent, address, out, position)
            elif full:
                unsent = Unsent(branches, branch_map, predicted, failed)
                position = put_branches(work, unsent, out, position)
            if deferred or full:
                count += 1
                branches, branch_map, predicted, failed, deep = U0, U0, U0, U0, U0
                deferred = False
            irets = U0
            anchor = i
        else:
            if jump and not sequential:
                target = True
                if returns and code == itype.RETURN:
                    if history[DEPTH] != U0:
                        if predictors.link(history) != iaddr or irets >= MOST_IRETS:
                            break
                        implicit = True
                        target = False
                    elif irets != U0:
                        break
            if deferred:
                unsent = Unsent(branches, branch_map, predicted, failed)
                position = put_target(work, history, unsent, address, out, position)
                count += 1
                branches, branch_map, predicted, failed = U0, U0, U0, U0
                irets, deep = U0, U0
                deferred = False
                anchor = i
            elif target:
                anchor = i
            elif keeps and iaddr != follows:
                if jumps >= MAX_SEGMENTS - 1:
                    break
                if not implicit and lowest <= iaddr and iaddr <= highest:
                    break
            if implicit:
                depth = history[DEPTH]
                shallow = depth - U1 if deep == U0 else min(shallow, depth - U1)
                deep = max(deep, depth)
                returned += U1
                level -= U1
                if has_irets:
                    irets += U1
                lowest = ALL_ONES
                highest = U0
                if nested > 0:
                    nested -= 1
                    if not rounds:
                        lowest = segments[nested, segment.first]
                        highest = segments[nested, segment.last]
                predictors.unwind(history)
            elif returns and (CALL_BITS >> code) & U1 != U0:
                predictors.call(history, follows)
                level += U1
                if keeps and nested < MAX_SEGMENTS:
                    segments[nested, segment.first] = lowest
                    segments[nested, segment.last] = highest
                    nested += 1
        if anchor == i:
            partial = False
            jumps = 0
            nested = 0
            lowest = ALL_ONES
            highest = U0
        # the next row in hand
        last = last_of(iaddr, details)
        rest = iaddr
        code = seen_code(next_code, options)
        single = last == iaddr
        sequential = sijump and is_inferred_jump(code, details)
        after = U0
        if single:
            after = was.IMPLICIT if implicit else U0
            after |= was.JUMP if jump else U0
        if target:
            if single:
                deferred = True
            else:
                unsent = Unsent(branches, branch_map, predicted, failed)
                position = put_target(work, history, unsent, iaddr, out, position)
                count += 1
                branches, branch_map, predicted, failed = U0, U0, U0, U0
                irets, deep = U0, U0
                rest = iaddr + (after_first(details) << U1)
                partial = True
        if code & NOT_LOW == U4:
            outcome = (code & U1) ^ U1
            correct = U0
            if predicting:
                at = ENTRIES + ((last >> index_shift) & entries)
                correct = predictors.predict_entry(history, at, code & U1)
            if predicted >= U31:
                failed = correct ^ U1
            else:
                branch_map |= outcome << branches
                branches += U1
            predicted += correct
        address = last
        follows = iaddr + (half_words(details) << U1)
        lowest = min(lowest, rest)
        highest = max(highest, last)
        jumps += 1
        i += 1
    state[slot.since_sync] += u64(position - opening)
    state[slot.branches] = branches
    state[slot.branch_map] = branch_map
    state[slot.predicted] = predicted
    state[slot.failed] = failed
    state[slot.irets] = irets
    state[slot.returns] = returned
    state[slot.nesting] = level
    state[slot.lowest] = shallow
    state[slot.highest] = deep
    if options[option.unit] == unit.PACKETS:
        state[slot.resync_count] = u64(count)
    if i > begin:
        if returns:
            state[slot.lately] = returned_lately(work, tables, begin, i - 1)
        state[slot.cur_target] = b2u(deferred)
        state[slot.cur_sent] = U0
        state[slot.cur_late] = U0
        state[slot.cur_sequential] = b2u(sequential)
        state[slot.cur_after] = after
        state[slot.cur_returns] = ALL_ONES
        state[slot.cur_code] = code
        rebuild(work, tables, min(anchor, i - 1), i, partial)
    return i, position


@njit
def rebuild(work, tables, anchor, end, partial):
    """V and the place of the row in hand after refs[anchor:end], the blocks since the last anchor.

    `partial`: the first row of the first block is that anchor. All returns among them were implicit
    or sequentially inferable.
    """
    options, state, refs, blocks = work.options, work.state, tables.refs, tables.blocks
    state[slot.segments] = U0
    returned = state[slot.returns]
    level = state[slot.nesting]
    if options[option.keeps_segments] == 0:
        anchor = end - 1
    for k in range(anchor, end - 1):
        implicit = b2u(is_counted(options, blocks, u64(refs[k])))
        state[slot.returns] -= implicit
        state[slot.nesting] += implicit
        state[slot.nesting] -= b2u(is_call(options, u64(refs[k])))
    for k in range(anchor, end):
        reference = u64(refs[k])
        index = s64(reference >> U4)
        iaddr = blocks[index, block_at.iaddr]
        details = blocks[index, block_at.iretire]
        rest = iaddr
        if partial and k == anchor:
            rest = iaddr + (after_first(details) << U1)
        last = last_of(iaddr, details)
        extend_segments(options, state, work.segments, rest, last)
        state[slot.cur_address] = last
        state[slot.cur_end] = iaddr + (half_words(details) << U1)
        if k < end - 1:
            implicit = b2u(is_counted(options, blocks, reference))
            state[slot.returns] += implicit
            state[slot.nesting] -= implicit
            state[slot.nesting] += b2u(is_call(options, reference))
    state[slot.returns] = returned
    state[slot.nesting] = level


@inlined
def returned_lately(work, tables, begin, end):
    """`Slot.lately` after refs[begin:end]; `state` is of before, with the row in hand of then."""
    options, state, refs, blocks = work.options, work.state, tables.refs, tables.blocks
    for k in range(end - 1, begin - 1, -1):
        reference = u64(refs[k])
        code = reference & CODE
        if code & NOT_LOW == U4 or (CALL_BITS >> code) & U1 != U0:
            return U0
        details = blocks[s64(reference >> U4), block_at.iretire]
        if code == itype.RETURN and not (
            options[option.sijump] != 0 and is_inferred_jump(code, details)
        ):
            return U1
    code = state[slot.cur_code]
    if code & NOT_LOW == U4 or (CALL_BITS >> code) & U1 != U0:
        return U0
    if code == itype.RETURN and state[slot.cur_sequential] == U0:
        return U1
    return state[slot.lately]


@inlined
def is_call(options, reference):
    """Is this row a call, which implicit return mode counts?"""
    return options[option.implicit_return] != 0 and (CALL_BITS >> (reference & CODE)) & U1 != U0


@inlined
def is_counted(options, blocks, reference):
    """Is this row, no anchor, an implicit return?"""
    if options[option.implicit_return] == 0:
        return False
    code, details = reference & CODE, blocks[s64(reference >> U4), block_at.iretire]
    return code == itype.RETURN and not (
        options[option.sijump] != 0 and is_inferred_jump(code, details)
    )
