"""Kernel: the plain stretches of a run, with optional modes on.

The same as `encoder.algorithm.plain`, for the modes of docs/modes.md: calls, returns that go where
the return stack says, predicted branches and cached targets need no decision of the flow chart's.
What does is left to it: mispredicted returns, jumps back into V, the largest counts.
"""

import numpy as np

from encoder.algorithm.flowchart import (
    AFTER_IMPLICIT,
    AFTER_JUMP,
    BRANCH_PREDICTION,
    BYTE,
    CALL_BITS,
    CUR_ADDRESS,
    CUR_AFTER,
    CUR_CODE,
    CUR_END,
    CUR_LATE,
    CUR_SENT,
    CUR_SEQUENTIAL,
    CUR_TARGET,
    IMPLICIT_RETURN,
    MOST_BRANCHES,
    MOST_IRETS,
    PERIOD,
    RETURN,
    SIJUMP,
    UPDISCON_BITS,
    is_inferred_jump,
    seen_code,
)
from encoder.algorithm.plain import (
    CODE,
    FEWER,
    LARGEST_PACKET,
    MAP_UNUSED,
    NEVER,
    NOT_LOW,
    ROOM,
    TRAP_OR_SIDEBAND,
    address_field,
    address_payload,
    after_first,
    put_payload,
)
from encoder.algorithm.queue import (
    BRANCH_MAP,
    BRANCHES,
    FAILED,
    HAS_IRETS,
    HIGHEST,
    IRETS,
    JUMP_TARGET_CACHE,
    LAST_ADDRESS,
    LATELY,
    LOWEST,
    NTR,
    PACKETS_UNIT,
    PREDICTED,
    RESYNC_COUNT,
    SEGMENTS,
    SHORTER_PACKET,
    UNIT,
)
from encoder.algorithm.segments import (
    EXACT_LOOPS,
    KEEPS_SEGMENTS,
    NESTING,
    RETURNS,
    extend_segments,
)
from encoder.algorithm.state import MAX_SEGMENTS, Option, Slot
from encoder.output.writer import SINCE_SYNC
from specs.kernels.njit import inlined, njit
from specs.kernels.words import ALL_ONES, LOW32, U0, U1, U2, U4, U7, U31, U64, b2u, clz64, s64, u64
from specs.trace import predictors
from specs.trace.packets import Format
from specs.trace.predictors import BPRED, BPRED_MASK, DEPTH, INDEX_SHIFT

F0S_WIDTH = int(Option.f0s_width)
CACHE_SIZE = int(Option.cache_size)
CUR_RETURNS = int(Slot.cur_returns)
ENTRIES = np.uint64(BPRED)
_COUNT_PACKETS = int(Slot.packets) + int(Format.BRANCH_COUNT)
_INDEX_PACKETS = int(Slot.packets) + int(Format.JUMP_TARGET_INDEX)
_MAP_PACKETS = int(Slot.packets) + int(Format.BRANCH_MAP)
_ADDRESS_PACKETS = int(Slot.packets) + int(Format.ADDRESS)

_SIZE = np.uint64(32)
_COUNT_BITS = np.uint64(34)


@inlined
def last_of(iaddr, details):
    """Address of a block's last instruction."""
    return iaddr + (((details & LOW32) - (U1 << ((details >> _SIZE) & BYTE))) << U1)


@inlined
def count_payload(options, predicted, branch_fmt):
    """0.0 up to `branch_fmt`, and how many bits that are."""
    start = U2 + u64(options[F0S_WIDTH])
    end = start + _COUNT_BITS
    return ((predicted - U31) << start) | (branch_fmt << (end - U2)), end


@inlined
def target_payload(options, state, branches, branch_map, predicted, failed, address):
    """Format 0.0, 1 or 2 with an address; all bits after that repeat its MSB."""
    field = address_field(options, address, state[LAST_ADDRESS])
    if predicted < U31:
        return address_payload(branches, branch_map, field)
    low, end = count_payload(options, predicted, U2 | failed)
    return low | (field << end), u64(s64(field) >> s64(U64 - end))


@inlined
def index_payload(options, branches, branch_map, index):
    """Format 0.1; all bits after the branch map repeat its last."""
    start = U2 + u64(options[F0S_WIDTH])
    at = start + u64(options[CACHE_SIZE])
    subformat = U4 if options[F0S_WIDTH] != 0 else U0
    low = subformat | (index << start) | (branches << at)
    if branches == U0:
        return low, U0
    bits = (U1 << (U64 - clz64(branches))) - U1
    low |= branch_map << (at + np.uint64(5))
    unused = U64 - (at + np.uint64(5) + bits)
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
def put_target(
    header,
    options,
    state,
    memory,
    out,
    position,
    branches,
    branch_map,
    predicted,
    failed,
    address,
):
    """Write the address of an updiscon's target; the position after it."""
    table = _ADDRESS_PACKETS if branches == U0 else _MAP_PACKETS
    if predicted >= U31:
        table = _COUNT_PACKETS
    low, high = target_payload(options, state, branches, branch_map, predicted, failed, address)
    if options[JUMP_TARGET_CACHE] != 0:
        index = predictors.cache_index(memory, address)
        if table != _COUNT_PACKETS and predictors.cached(memory, index) == address:
            short, sign = index_payload(options, branches, branch_map, index)
            longer = options[SHORTER_PACKET] == 0 or bytes_of(low, high) >= bytes_of(short, sign)
            if longer:
                low, high = short, sign
                table = _INDEX_PACKETS
        predictors.cache(memory, address)
    state[table] += U1
    state[LAST_ADDRESS] = address
    state[NTR] = U1
    return put_payload(header, out, position, low, high)


@njit
def put_branches(header, options, state, out, position, branch_map, predicted):
    """Write 31 branches, or a count that ends in a failure; the position after it."""
    if predicted >= U31:
        low, _end = count_payload(options, predicted, U0)
        high = U0
        state[_COUNT_PACKETS] += U1
    else:
        low = u64(s64((U1 | (branch_map << U7)) << MAP_UNUSED) >> s64(MAP_UNUSED))
        high = u64(s64(low) >> 63)
        state[_MAP_PACKETS] += U1
    state[NTR] = U0
    return put_payload(header, out, position, low, high)


@njit
def encode_plain_modes(framing, options, state, memory, segments, refs, i, blocks, out, position):
    """Encode refs[i:] while they are plain: (next reference, position in `out`).

    The row in hand is an anchor (a branch or an updiscon) when this starts.
    """
    end = refs.shape[0]
    room = out.shape[0] - ROOM
    header = framing[6]
    opening = position
    sync_at = NEVER
    if framing[7] > 0:
        # one reference may make two packets
        sync_at = position + framing[7] - s64(state[SINCE_SYNC]) - LARGEST_PACKET
    limit = options[PERIOD] - FEWER if options[UNIT] == PACKETS_UNIT else NEVER
    count = s64(state[RESYNC_COUNT])
    returns = options[IMPLICIT_RETURN] != 0
    predicting = options[BRANCH_PREDICTION] != 0
    sijump = options[SIJUMP] != 0
    has_irets = options[HAS_IRETS] != 0
    most = u64(options[MOST_BRANCHES])
    # read once: for all that the compiler knows, training changes them
    index_shift = memory[INDEX_SHIFT]
    entries = memory[BPRED_MASK]
    branches = state[BRANCHES]
    branch_map = state[BRANCH_MAP]
    predicted = state[PREDICTED]
    failed = state[FAILED]
    irets = state[IRETS]
    returned = state[RETURNS]
    level = state[NESTING]
    shallow = state[LOWEST]
    deep = state[HIGHEST]
    begin = i
    # V, as in `encoder.algorithm.plain`; the hull is of what a jump back can make a circle of: at a
    # call it is put away, in the table of segments, till the return from it
    keeps = options[KEEPS_SEGMENTS] != 0
    rounds = options[EXACT_LOOPS] != 0
    anchor = i
    partial = False
    lowest = ALL_ONES
    highest = U0
    jumps = 0
    nested = 0
    # the row in hand
    code = state[CUR_CODE]
    follows = state[CUR_END]
    address = state[CUR_ADDRESS]
    sequential = False
    deferred = False
    after = U0
    while i < end:
        reference = u64(refs[i])
        next_code = reference & CODE
        if (TRAP_OR_SIDEBAND >> next_code) & U1 != U0:
            break
        if count >= limit or position >= sync_at or position > room:
            break
        index = s64(reference >> U4)
        if index >= blocks.shape[0]:
            break
        if code & NOT_LOW == U4 and next_code & NOT_LOW == U4 and not deferred:
            # Branch after branch, the most by far. What of the row in hand is left out here is
            # not asked for while that is a branch.
            if predicted == most:
                break
            if failed != U0 or (branches == U31 and predicted < U31):
                position = put_branches(
                    header, options, state, out, position, branch_map, predicted
                )
                count += 1
                branches, branch_map, predicted, failed, deep = U0, U0, U0, U0, U0
            irets = U0
            correct = U0
            if predicting:
                last = last_of(blocks[index, 0], blocks[index, 1])
                at = ENTRIES + ((last >> index_shift) & entries)
                correct = predictors.predict_entry(memory, at, next_code & U1)
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
        iaddr = blocks[index, 0]
        details = blocks[index, 1]
        if details & LOW32 == U0:
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
                position = put_target(
                    header,
                    options,
                    state,
                    memory,
                    out,
                    position,
                    branches,
                    branch_map,
                    predicted,
                    failed,
                    address,
                )
            elif full:
                position = put_branches(
                    header, options, state, out, position, branch_map, predicted
                )
            if deferred or full:
                count += 1
                branches, branch_map, predicted, failed, deep = U0, U0, U0, U0, U0
                deferred = False
            irets = U0
            anchor = i
        else:
            if jump and not sequential:
                target = True
                if returns and code == RETURN:
                    if memory[DEPTH] != U0:
                        if predictors.link(memory) != iaddr or irets >= MOST_IRETS:
                            break
                        implicit = True
                        target = False
                    elif irets != U0:
                        break
            if deferred:
                position = put_target(
                    header,
                    options,
                    state,
                    memory,
                    out,
                    position,
                    branches,
                    branch_map,
                    predicted,
                    failed,
                    address,
                )
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
                depth = memory[DEPTH]
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
                        lowest = segments[nested, 0]
                        highest = segments[nested, 1]
                predictors.unwind(memory)
            elif returns and (CALL_BITS >> code) & U1 != U0:
                predictors.call(memory, follows)
                level += U1
                if keeps and nested < MAX_SEGMENTS:
                    segments[nested, 0] = lowest
                    segments[nested, 1] = highest
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
            after = AFTER_IMPLICIT if implicit else U0
            after |= AFTER_JUMP if jump else U0
        if target:
            if single:
                deferred = True
            else:
                position = put_target(
                    header,
                    options,
                    state,
                    memory,
                    out,
                    position,
                    branches,
                    branch_map,
                    predicted,
                    failed,
                    iaddr,
                )
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
                correct = predictors.predict_entry(memory, at, code & U1)
            if predicted >= U31:
                failed = correct ^ U1
            else:
                branch_map |= outcome << branches
                branches += U1
            predicted += correct
        address = last
        follows = iaddr + ((details & LOW32) << U1)
        lowest = min(lowest, rest)
        highest = max(highest, last)
        jumps += 1
        i += 1
    state[SINCE_SYNC] += u64(position - opening)
    state[BRANCHES] = branches
    state[BRANCH_MAP] = branch_map
    state[PREDICTED] = predicted
    state[FAILED] = failed
    state[IRETS] = irets
    state[RETURNS] = returned
    state[NESTING] = level
    state[LOWEST] = shallow
    state[HIGHEST] = deep
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] = u64(count)
    if i > begin:
        if returns:
            state[LATELY] = returned_lately(options, state, refs, begin, i - 1, blocks)
        state[CUR_TARGET] = b2u(deferred)
        state[CUR_SENT] = U0
        state[CUR_LATE] = U0
        state[CUR_SEQUENTIAL] = b2u(sequential)
        state[CUR_AFTER] = after
        state[CUR_RETURNS] = ALL_ONES
        state[CUR_CODE] = code
        rebuild(options, state, segments, refs, min(anchor, i - 1), i, partial, blocks)
    return i, position


@njit
def rebuild(options, state, segments, refs, anchor, end, partial, blocks):
    """V and the place of the row in hand after refs[anchor:end], the blocks since the last anchor.

    `partial`: the first row of the first block is that anchor. All returns among them were implicit
    or sequentially inferable.
    """
    state[SEGMENTS] = U0
    returned = state[RETURNS]
    level = state[NESTING]
    if options[KEEPS_SEGMENTS] == 0:
        anchor = end - 1
    for k in range(anchor, end - 1):
        implicit = b2u(is_counted(options, blocks, u64(refs[k])))
        state[RETURNS] -= implicit
        state[NESTING] += implicit
        state[NESTING] -= b2u(is_call(options, u64(refs[k])))
    for k in range(anchor, end):
        reference = u64(refs[k])
        index = s64(reference >> U4)
        iaddr = blocks[index, 0]
        details = blocks[index, 1]
        rest = iaddr
        if partial and k == anchor:
            rest = iaddr + (after_first(details) << U1)
        last = last_of(iaddr, details)
        extend_segments(options, state, segments, rest, last)
        state[CUR_ADDRESS] = last
        state[CUR_END] = iaddr + ((details & LOW32) << U1)
        if k < end - 1:
            implicit = b2u(is_counted(options, blocks, reference))
            state[RETURNS] += implicit
            state[NESTING] -= implicit
            state[NESTING] += b2u(is_call(options, reference))
    state[RETURNS] = returned
    state[NESTING] = level


@inlined
def returned_lately(options, state, refs, begin, end, blocks):
    """`Slot.lately` after refs[begin:end]; `state` is of before, with the row in hand of then."""
    for k in range(end - 1, begin - 1, -1):
        reference = u64(refs[k])
        code = reference & CODE
        if code & NOT_LOW == U4 or (CALL_BITS >> code) & U1 != U0:
            return U0
        details = blocks[s64(reference >> U4), 1]
        if code == RETURN and not (options[SIJUMP] != 0 and is_inferred_jump(code, details)):
            return U1
    code = state[CUR_CODE]
    if code & NOT_LOW == U4 or (CALL_BITS >> code) & U1 != U0:
        return U0
    if code == RETURN and state[CUR_SEQUENTIAL] == U0:
        return U1
    return state[LATELY]


@inlined
def is_call(options, reference):
    """Is this row a call, which implicit return mode counts?"""
    return options[IMPLICIT_RETURN] != 0 and (CALL_BITS >> (reference & CODE)) & U1 != U0


@inlined
def is_counted(options, blocks, reference):
    """Is this row, no anchor, an implicit return?"""
    if options[IMPLICIT_RETURN] == 0:
        return False
    code, details = reference & CODE, blocks[s64(reference >> U4), 1]
    return code == RETURN and not (options[SIJUMP] != 0 and is_inferred_jump(code, details))
