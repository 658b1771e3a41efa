"""Kernel: the plain stretches of a run, which are nearly all of it.

`encoder.algorithm.flowchart` decides everything; this loop does the same for the rows that need
little: branches, jumps and the targets of uninferable ones, with no trap, side band, privilege
change or resynchronisation near. It keeps its state in registers and, before it would have to
decide anything else, leaves it where the flow chart expects it: three to five times faster.
"""

import numpy as np

from encoder.algorithm.flowchart import (
    BYTE,
    CUR,
    CUR_ADDRESS,
    CUR_AFTER,
    CUR_CODE,
    CUR_END,
    CUR_LATE,
    CUR_NOTIFY,
    CUR_REPORT,
    CUR_SENT,
    CUR_SEQUENTIAL,
    CUR_TARGET,
    IMPLICIT_RETURN,
    PERIOD,
    RETIRED,
    RETURN,
    SIDE_CTYPE,
    SIDE_NOTIFY,
    SIDE_UNTRACED,
    UPDISCON_BITS,
    first_half_words,
    is_branch,
    is_updiscon,
    seen_code,
)
from encoder.algorithm.queue import (
    ADDRESS_MSB,
    BRANCH_MAP,
    BRANCHES,
    DUE,
    FULL_ADDRESS,
    LAST_ADDRESS,
    LSB,
    NTR,
    PACKETS_UNIT,
    RESYNC_COUNT,
    SEGMENTS,
    UNIT,
)
from encoder.algorithm.segments import KEEPS_SEGMENTS, extend_segments
from encoder.algorithm.state import MAX_SEGMENTS, Option, Slot
from encoder.output.writer import MAX_PACKET, SINCE_SYNC, store64
from specs.interfaces.ingress import SIDEBAND_CODE
from specs.kernels.njit import inlined, njit
from specs.kernels.words import ALL_ONES, LOW32, U0, U1, U2, U4, U7, U31, U64, b2u, clz64, s64, u64
from specs.trace.packets import Format

HAS_TIME_SLOT = int(Slot.has_time)
UNIFORM_PRIV = int(Option.uniform_priv)
PLAIN = int(Option.plain)
ADDRESS_PACKETS = int(Slot.packets) + int(Format.ADDRESS)
MAP_PACKETS = int(Slot.packets) + int(Format.BRANCH_MAP)

CODE = np.uint64(15)
#: Bit sets of reference codes and, as `code & ~1 == 4`, branches.
TRAP_OR_SIDEBAND = np.uint64(1 << 1 | 1 << 2 | 1 << SIDEBAND_CODE)
NOT_LOW = np.uint64(14)
#: One reference makes fewer packets than this.
FEWER = 4
ROOM = FEWER * MAX_PACKET
NEVER = 1 << 62
#: Bytes of a packet without srcID and timestamp, at most.
LARGEST_PACKET = 17
#: Bits of a word above format, branches and a full branch map.
MAP_UNUSED = np.uint64(64 - 38)


@inlined
def is_anchor(options, state):
    """Is the row in hand an anchor, whatever comes next?"""
    if options[KEEPS_SEGMENTS] == 0:
        # nobody asks; a row made inferable by the one before is left to the flow chart all the same
        return state[CUR_SEQUENTIAL] == U0
    code = state[CUR_CODE]
    if is_branch(code):
        return True
    if options[IMPLICIT_RETURN] != 0 and code == RETURN:
        return False
    return is_updiscon(code) and state[CUR_SEQUENTIAL] == U0


@inlined
def is_plain(framing, options, state):
    """May `encode_plain`, or `encode_plain_modes`, start after the row in hand?"""
    if options[PLAIN] == 0:
        return False
    if options[UNIT] == PACKETS_UNIT and s64(state[RESYNC_COUNT]) >= options[PERIOD] - FEWER:
        return False
    if framing[7] > 0 and s64(state[SINCE_SYNC]) >= framing[7]:
        return False
    if state[CUR] != RETIRED or options[UNIFORM_PRIV] == 0:
        return False
    if state[CUR_TARGET] | state[CUR_NOTIFY] | state[CUR_REPORT] | state[DUE] != U0:
        return False
    if state[SIDE_NOTIFY] | state[SIDE_CTYPE] | state[SIDE_UNTRACED] != U0:
        return False
    if not is_anchor(options, state):
        return False
    # srcID, type or timestamp before the payload
    return framing[1] + framing[3] == 0 and (framing[5] == 0 or state[HAS_TIME_SLOT] == U0)


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
    difference = address if options[FULL_ADDRESS] != 0 else address - last_address
    unused = u64(63 - options[ADDRESS_MSB])
    return u64(s64((difference >> u64(options[LSB])) << unused) >> s64(unused))


@inlined
def put_address(options, header, out, position, branches, branch_map, address, last_address):
    """Write format 1 or 2 with an address; the position after it."""
    low, high = address_payload(branches, branch_map, address_field(options, address, last_address))
    return put_payload(header, out, position, low, high)


@inlined
def put_map(header, out, position, branch_map):
    """Write format 1 without an address; the position after it. Only the lowest 31 bits count."""
    low = u64(s64((U1 | (branch_map << U7)) << MAP_UNUSED) >> s64(MAP_UNUSED))
    return put_payload(header, out, position, low, u64(s64(low) >> 63))


@inlined
def after_first(details):
    """Half-words to a block's second row; one where its source does not tell."""
    first = first_half_words(
        details & LOW32, (details >> np.uint64(32)) & BYTE, (details >> np.uint64(40)) & BYTE
    )
    return first if first != U0 else U1


@njit
def encode_plain(framing, options, state, segments, refs, i, blocks, out, position):
    """Encode refs[i:] while they are plain: (next reference, position in `out`).

    The row in hand is an anchor (a branch or an updiscon) when this starts.
    """
    end = refs.shape[0]
    room = out.shape[0] - ROOM
    header = framing[6]
    # where the next synchronisation sequence is wanted
    opening = position
    sync_at = NEVER
    if framing[7] > 0:
        # one reference may make two packets
        sync_at = position + framing[7] - s64(state[SINCE_SYNC]) - LARGEST_PACKET
    limit = options[PERIOD] - FEWER if options[UNIT] == PACKETS_UNIT else NEVER
    count = s64(state[RESYNC_COUNT])
    counted = count
    branches = state[BRANCHES]
    branch_map = state[BRANCH_MAP]
    last_address = state[LAST_ADDRESS]
    map_packets = U0
    ntr = state[NTR]
    begin = i
    keeps = options[KEEPS_SEGMENTS] != 0
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
    updiscon = is_updiscon(state[CUR_CODE])
    deferred = False
    address = U0
    while i < end:
        reference = u64(refs[i])
        code = reference & CODE
        if (TRAP_OR_SIDEBAND >> code) & U1 != U0:
            break
        if count >= limit or position >= sync_at or position > room:
            break
        branch = code & NOT_LOW == U4
        if deferred:
            position = put_address(
                options, header, out, position, branches, branch_map, address, last_address
            )
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
            position = put_map(header, out, position, branch_map)
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
        iaddr = blocks[index, 0]
        details = blocks[index, 1]
        iretire = details & LOW32
        if iretire == U0:
            break
        last = iaddr + ((iretire - (U1 << ((details >> np.uint64(32)) & BYTE))) << U1)
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
                position = put_address(
                    options, header, out, position, branches, branch_map, address, last_address
                )
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
            follows = iaddr + (iretire << U1)
    state[SINCE_SYNC] += u64(position - opening)
    state[BRANCHES] = branches
    state[BRANCH_MAP] = branch_map
    state[LAST_ADDRESS] = last_address
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] = u64(count)
    state[NTR] = ntr
    state[MAP_PACKETS] += map_packets
    state[ADDRESS_PACKETS] += u64(count - counted) - map_packets
    state[CUR_TARGET] = b2u(deferred)
    if i > begin:
        state[CUR_SENT] = U0
        state[CUR_SEQUENTIAL] = U0
        state[CUR_LATE] = U0
        state[CUR_AFTER] = U0
        state[SEGMENTS] = U0
        for k in range(min(anchor, i - 1), i):
            reference = u64(refs[k])
            index = s64(reference >> U4)
            iaddr = blocks[index, 0]
            details = blocks[index, 1]
            iretire = details & LOW32
            last = iaddr + ((iretire - (U1 << ((details >> np.uint64(32)) & BYTE))) << U1)
            if k >= anchor:
                rest = iaddr
                if partial and k == anchor:
                    rest = iaddr + (after_first(details) << U1)
                extend_segments(options, state, segments, rest, last)
            state[CUR_ADDRESS] = last
            state[CUR_END] = iaddr + (iretire << U1)
            state[CUR_CODE] = seen_code(reference & CODE, options)
    return i, position
