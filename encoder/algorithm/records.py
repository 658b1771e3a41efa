"""Kernel: packets from the records of a passage (`specs.interfaces.ingress.PASSAGE`).

As `encoder.algorithm.plain`, with a section of a passage in the place of a block: the outcomes of
its branches go to the branch map as they are, and the record at its end says where a jump led. The
blocks in between are not looked at.
"""

import numpy as np

from encoder.algorithm.flowchart import (
    BYTE,
    CUR_ADDRESS,
    CUR_AFTER,
    CUR_CODE,
    CUR_END,
    CUR_LATE,
    CUR_SENT,
    CUR_SEQUENTIAL,
    PERIOD,
    is_branch,
    is_updiscon,
    seen_code,
)
from encoder.algorithm.plain import (
    ADDRESS_PACKETS,
    CODE,
    FEWER,
    LARGEST_PACKET,
    MAP_PACKETS,
    NEVER,
    ROOM,
    put_address,
    put_map,
)
from encoder.algorithm.queue import (
    BRANCH_MAP,
    BRANCHES,
    LAST_ADDRESS,
    NTR,
    PACKETS_UNIT,
    RESYNC_COUNT,
    SEGMENTS,
    UNIT,
)
from encoder.output.writer import SINCE_SYNC
from specs.kernels.njit import inlined, njit
from specs.kernels.words import LOW32, U0, U1, U4, U31, U32, b2u, s64, u64
from specs.trace.passages import how_many, outcomes

#: Of a reference that does not tell the outcome of its branch.
BRANCH = np.uint64(4)


@inlined
def last_row(iaddr, details):
    """The address of a block's last instruction."""
    size = U1 << ((details >> U32) & BYTE)
    return iaddr + (((details & LOW32) - size) << U1)


@njit
def encode_records(framing, options, state, passages, number, records, j, blocks, out, position):
    """Encode the sections of a passage from `j` on that end in a record, while they are plain:
    (the next section, position in `out`).

    The row in hand, the last one before section `j`, is an anchor (a branch or an updiscon) that
    waits for no address of its own.
    """
    opening = position
    room = out.shape[0] - ROOM
    header = framing[6]
    # where the next synchronisation sequence is wanted; a section makes up to two packets
    sync_at = NEVER
    if framing[7] > 0:
        sync_at = position + framing[7] - s64(state[SINCE_SYNC]) - LARGEST_PACKET
    limit = options[PERIOD] - FEWER if options[UNIT] == PACKETS_UNIT else NEVER
    count = s64(state[RESYNC_COUNT])
    counted = count
    branches = state[BRANCHES]
    branch_map = state[BRANCH_MAP]
    last_address = state[LAST_ADDRESS]
    map_packets = U0
    ntr = state[NTR]
    begin = s64(passages[number, 0] >> U32)
    end = begin + s64(passages[number, 1] & LOW32)
    at = begin + j
    # the block behind the row in hand
    target = passages[number, 0] & LOW32
    if j > 0:
        target = u64(records[at - 1, 3])
    updiscon = is_updiscon(state[CUR_CODE])
    while at < end and count < limit and position < sync_at and position <= room:
        reference = u64(records[at, 0])
        bits = outcomes(u64(records[at, 1]))
        if s64(reference >> U4) >= blocks.shape[0]:
            break
        if updiscon:
            index = s64(target >> U4)
            if index >= blocks.shape[0]:
                break
            address = blocks[index, 0]
            # The next row decides what the packet of a single row is. It is there, and plain.
            single = last_row(address, blocks[index, 1]) == address
            if single and target & CODE == BRANCH and bits > U1:
                branch_map |= (bits & U1) << branches
                branches += U1
                bits >>= U1
            position = put_address(
                options, header, out, position, branches, branch_map, address, last_address
            )
            count += 1
            map_packets += b2u(branches != U0)
            branches = U0
            branch_map = U0
            ntr = U1
            last_address = address
        more = how_many(bits)
        branch_map |= (bits ^ U1 << more) << branches
        branches += more
        code = seen_code(reference & CODE, options)
        full = U31 if is_branch(code) else U31 - U1
        while branches > full:
            position = put_map(header, out, position, branch_map)
            count += 1
            map_packets += U1
            branches -= U31
            branch_map >>= U31
            ntr = U0
        updiscon = is_updiscon(code)
        target = u64(records[at, 3])
        at += 1
    state[SINCE_SYNC] += u64(position - opening)
    state[BRANCHES] = branches
    state[BRANCH_MAP] = branch_map
    state[LAST_ADDRESS] = last_address
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] = u64(count)
    state[NTR] = ntr
    state[MAP_PACKETS] += map_packets
    state[ADDRESS_PACKETS] += u64(count - counted) - map_packets
    if at > begin + j:
        reference = u64(records[at - 1, 0])
        index = s64(reference >> U4)
        iaddr = blocks[index, 0]
        details = blocks[index, 1]
        state[CUR_SENT] = U0
        state[CUR_SEQUENTIAL] = U0
        state[CUR_LATE] = U0
        state[CUR_AFTER] = U0
        state[SEGMENTS] = U0
        state[CUR_ADDRESS] = last_row(iaddr, details)
        state[CUR_END] = iaddr + ((details & LOW32) << U1)
        state[CUR_CODE] = seen_code(reference & CODE, options)
    return at - begin, position
