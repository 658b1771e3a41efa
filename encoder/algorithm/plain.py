"""Kernel: the plain stretches of a run, which are nearly all of it.

`encoder.algorithm.flowchart` decides everything; this loop does the same for the rows that need
little: branches, jumps and the targets of uninferable ones, with no trap, side band, privilege
change or resynchronisation near. It keeps its state in registers and, before it would have to
decide anything else, leaves it where the flow chart expects it: three to five times faster.
"""

import numpy as np

from encoder.algorithm.blocks import CODE, after_first, half_words, is_at, last_of
from encoder.algorithm.blocks import block as block_at
from encoder.algorithm.itypes import (
    UPDISCON_BITS,
    is_branch,
    is_updiscon,
    itype,
    seen_code,
)
from encoder.algorithm.segments import extend_segments
from encoder.output.writer import MAX_PACKET, framed, store64
from encoder.state import MAX_SEGMENTS, hand, option, slot, unit
from specs.interfaces.ingress import SIDEBAND_CODE
from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import ALL_ONES, U0, U1, U2, U4, U7, U31, U64, b2u, clz64, s64, u64
from specs.trace.packets import Format

form = plain(Format)

#: Bit sets of reference codes and, as `code & ~1 == 4`, branches.
TRAP_OR_SIDEBAND = np.uint64(1 << 1 | 1 << 2 | 1 << SIDEBAND_CODE)
NOT_LOW = np.uint64(14)
#: Packets that one reference, or one section of a passage, makes at most. Resynchronisation must
#: not fall on a row of it.
AT_ONCE = 2
ROOM = 2 * AT_ONCE * MAX_PACKET
NEVER = 1 << 62
#: Bytes of a packet without srcID and timestamp, at most.
LARGEST_PACKET = 17
#: Bits of a word above format, branches and a full branch map.
MAP_UNUSED = np.uint64(64 - 38)


@inlined
def is_anchor(options, state):
    """Is the row in hand an anchor, whatever comes next?"""
    if options[option.keeps_segments] == 0:
        # nobody asks; a row made inferable by the one before is left to the flow chart all the same
        return state[slot.cur_sequential] == U0
    code = state[slot.cur_code]
    if is_branch(code):
        return True
    if options[option.implicit_return] != 0 and code == itype.RETURN:
        return False
    return is_updiscon(code) and state[slot.cur_sequential] == U0


@inlined
def is_plain(framing, options, state):
    """May `encode_plain`, or `encode_plain_modes`, start after the row in hand?"""
    period = framing[framed.sync_period]
    if options[option.plain] == 0:
        return False
    if (
        options[option.unit] == unit.PACKETS
        and s64(state[slot.resync_count]) >= options[option.period] - AT_ONCE
    ):
        return False
    if period > 0 and s64(state[slot.since_sync]) >= period:
        return False
    if state[slot.cur] != hand.RETIRED:
        return False
    if (
        state[slot.cur_target] | state[slot.cur_notify] | state[slot.cur_report] | state[slot.due]
        != U0
    ):
        return False
    if state[slot.side_notify] | state[slot.side_ctype] | state[slot.side_untraced] != U0:
        return False
    if not is_anchor(options, state):
        return False
    # srcID, type or timestamp before the payload
    if framing[framed.srcid_width] + framing[framed.type_width] != 0:
        return False
    return framing[framed.timestamp_bytes] == 0 or state[slot.has_time] == U0


@inlined
def put_payload(header, out, position, low, high):
    """Compress, frame and write a payload of 128 sign-extended bits; the position after it."""
    sign = u64(s64(high) >> 63)
    top = clz64(high ^ sign)
    if top == U64:
        top += clz64(low ^ sign)
    size = (136 - s64(top)) >> 3
    out[position] = header | size
    store64(out, position + 1, low)
    store64(out, position + 9, high)
    return position + 1 + size


@inlined
def address_payload(branches, branch_map, field):
    """Format 1 or 2 whose bits after the address all repeat its MSB, and so compress away.

    `field`: the address field, sign-extended to 64 bits.
    """
    if branches == U0:
        return U2 | (field << U2), u64(s64(field) >> 62)
    low = U1 | (branches << U2) | (branch_map << U7)
    shift = U7 + ((U1 << (U64 - clz64(branches))) - U1)
    return low | (field << shift), u64(s64(field) >> s64(U64 - shift))


@inlined
def address_field(options, address, last_address):
    """The address field, sign-extended to 64 bits."""
    difference = address if options[option.full_address] != 0 else address - last_address
    unused = u64(63 - options[option.address_msb])
    return u64(s64((difference >> u64(options[option.iaddress_lsb])) << unused) >> s64(unused))


@inlined
def map_payload(branch_map):
    """Format 1 without an address: 31 branches."""
    low = u64(s64((U1 | (branch_map << U7)) << MAP_UNUSED) >> s64(MAP_UNUSED))
    return low, u64(s64(low) >> 63)


@inlined
def limits(work, out, position):
    """Where a plain stretch has to end: (counted packets, because of resynchronisation; position in
    `out`, because of a synchronisation sequence, or of its end)."""
    framing, options, state = work.framing, work.options, work.state
    most = options[option.period] - AT_ONCE if options[option.unit] == unit.PACKETS else NEVER
    sync_at = NEVER
    if framing[framed.sync_period] > 0:
        # the second packet of a block may have to wait for it
        sync_at = position + framing[framed.sync_period] - s64(state[slot.since_sync])
        sync_at -= LARGEST_PACKET
    return most, min(sync_at, out.shape[0] - ROOM + 1)


@njit
def encode_plain(work, tables, i, out, position):
    """Encode refs[i:] while they are plain: (next reference, position in `out`).

    The row in hand is an anchor (a branch or an updiscon) when this starts.

    Long: one loop, whose state is in registers.
    """
    options, state, refs, blocks = work.options, work.state, tables.refs, tables.blocks
    end = refs.shape[0]
    header = work.framing[framed.header]
    opening = position
    limit, upto = limits(work, out, position)
    count = s64(state[slot.resync_count])
    counted = count
    branches = state[slot.branches]
    branch_map = state[slot.branch_map]
    last_address = state[slot.last_address]
    map_packets = U0
    ntr = state[slot.ntr]
    begin = i
    mixed, privilege = options[option.uniform_priv] == 0, state[slot.cur_priv]
    keeps = options[option.keeps_segments] != 0
    # the first reference of V with the row in hand, and whether its first row is the anchor
    anchor = i
    partial = False
    # hull of V, number of its jumps, address after the last
    lowest = ALL_ONES
    highest = U0
    jumps = 0
    follows = U0
    # the row in hand: an inferable jump; an updiscon; an updiscon's target that is not reported yet
    inferable = False
    updiscon = is_updiscon(state[slot.cur_code])
    deferred = False
    address = U0
    while i < end:
        reference = u64(refs[i])
        code = reference & CODE
        if (TRAP_OR_SIDEBAND >> code) & U1 != U0:
            break
        if count >= limit or position >= upto:
            break
        if mixed and not is_at(blocks, s64(reference >> U4), privilege):
            break
        branch = code & NOT_LOW == U4
        if deferred:
            field = address_field(options, address, last_address)
            low, high = address_payload(branches, branch_map, field)
            position = put_payload(header, out, position, low, high)
            count += 1
            map_packets += b2u(branches != U0)
            branches = U0
            branch_map = U0
            ntr = U1
            last_address = address
            deferred = False
            inferable = False
            anchor = i
            partial = False
        elif branches == U31:
            low, high = map_payload(branch_map)
            position = put_payload(header, out, position, low, high)
            count += 1
            map_packets += U1
            branches = U0
            branch_map = U0
            ntr = U0
        if branch and not updiscon and not inferable:
            branch_map |= ((code & U1) ^ U1) << branches
            branches += U1
            anchor = i
            partial = False
            i += 1
            continue
        index = s64(reference >> U4)
        if index >= blocks.shape[0]:
            break
        iaddr = blocks[index, block_at.iaddr]
        details = blocks[index, block_at.iretire]
        if half_words(details) == U0:
            break
        last = last_of(iaddr, details)
        code = seen_code(code, options)
        rest = iaddr
        if inferable and keeps:
            if iaddr != follows and lowest <= iaddr and iaddr <= highest:
                # perhaps a loop that no packet shows
                break
            if jumps == MAX_SEGMENTS - 1:
                break
        else:
            anchor = i
            partial = False
            jumps = 0
            lowest = ALL_ONES
            highest = U0
        if updiscon:
            address = iaddr
            if last == iaddr:
                # one row, whose `updiscon` bit the next one decides
                deferred = True
            else:
                field = address_field(options, address, last_address)
                low, high = address_payload(branches, branch_map, field)
                position = put_payload(header, out, position, low, high)
                count += 1
                map_packets += b2u(branches != U0)
                branches = U0
                branch_map = U0
                ntr = U1
                last_address = address
                rest = iaddr + (after_first(details) << U1)
                partial = True
        if branch:
            branch_map |= ((code & U1) ^ U1) << branches
            branches += U1
        updiscon = (UPDISCON_BITS >> code) & U1 != U0
        inferable = not branch and not updiscon
        i += 1
        if inferable:
            jumps += 1
            lowest = min(lowest, rest)
            highest = max(highest, last)
            follows = iaddr + (half_words(details) << U1)
    state[slot.since_sync] += u64(position - opening)
    state[slot.branches] = branches
    state[slot.branch_map] = branch_map
    state[slot.last_address] = last_address
    if options[option.unit] == unit.PACKETS:
        state[slot.resync_count] = u64(count)
    state[slot.ntr] = ntr
    state[slot.packets + form.BRANCH_MAP] += map_packets
    state[slot.packets + form.ADDRESS] += u64(count - counted) - map_packets
    state[slot.cur_target] = b2u(deferred)
    if i > begin:
        state[slot.cur_sent] = U0
        state[slot.cur_sequential] = U0
        state[slot.cur_late] = U0
        state[slot.cur_after] = U0
        state[slot.segments] = U0
        for k in range(min(anchor, i - 1), i):
            reference = u64(refs[k])
            index = s64(reference >> U4)
            iaddr = blocks[index, block_at.iaddr]
            details = blocks[index, block_at.iretire]
            last = last_of(iaddr, details)
            if k >= anchor:
                rest = iaddr
                if partial and k == anchor:
                    rest = iaddr + (after_first(details) << U1)
                extend_segments(options, state, work.segments, rest, last)
            state[slot.cur_address] = last
            state[slot.cur_end] = iaddr + (half_words(details) << U1)
            state[slot.cur_code] = seen_code(reference & CODE, options)
    return i, position
