"""Kernel: packets from the records of a passage (`specs.interfaces.ingress.PASSAGE`).

As `encoder.algorithm.plain`, with a section of a passage in the place of a block: the outcomes of
its branches go to the branch map as they are, and the record at its end says where a jump led. The
blocks in between are not looked at.
"""

from encoder.algorithm.blocks import CODE, half_words, is_at, last_of
from encoder.algorithm.blocks import block as block_at
from encoder.algorithm.itypes import is_branch, is_updiscon, itype, seen_code
from encoder.algorithm.plain import (
    NEVER,
    ROOM,
    address_field,
    address_payload,
    form,
    limits,
    map_payload,
    put_payload,
)
from encoder.output.writer import emit_sync_sequence, framed
from encoder.state import option, slot, unit
from specs.kernels.njit import njit
from specs.kernels.words import LOW32, U0, U1, U4, U31, U32, b2u, s64, u64
from specs.trace.passages import MAP, REFERENCE, TARGET, how_many, outcomes

#: In a reference that does not tell the outcome of its branch.
BRANCH = itype.NONTAKEN_BRANCH


@njit
def encode_records(work, tables, short, number, out, position):
    """Encode the sections of passage `number` that end in a record, from `slot.section` on, while
    they are plain; the position in `out` after them.

    The row in hand, the last one before that section, is an anchor (a branch or an updiscon) that
    waits for no address of its own.

    Long: one loop, whose state is in registers.
    """
    options, state, blocks, records = work.options, work.state, tables.blocks, short.records
    header = work.framing[framed.header]
    opening = position
    limit, _ = limits(work, out, position)
    room = out.shape[0] - ROOM
    # where the next synchronisation sequence is due
    period = work.framing[framed.sync_period]
    sync_at = position + period - s64(state[slot.since_sync]) if period > 0 else NEVER
    count = s64(state[slot.resync_count])
    counted = count
    branches = state[slot.branches]
    branch_map = state[slot.branch_map]
    last_address = state[slot.last_address]
    map_packets = U0
    ntr = state[slot.ntr]
    first = s64(short.passages[number, 0] >> U32)
    end = first + s64(short.passages[number, 1] & LOW32)
    begin = first + s64(state[slot.section])
    at = begin
    # the block behind the row in hand
    target = short.passages[number, 0] & LOW32
    if at > first:
        target = u64(records[at - 1, TARGET])
    elif not is_at(blocks, s64(target >> U4), state[slot.cur_priv]):
        return position
    keeps = options[option.keeps_segments] != 0
    updiscon = is_updiscon(state[slot.cur_code])
    while at < end and count < limit and position <= room:
        reference = u64(records[at, REFERENCE])
        bits = outcomes(u64(records[at, MAP]))
        if s64(reference >> U4) >= blocks.shape[0]:
            break
        code = seen_code(reference & CODE, options)
        if keeps and not is_branch(code) and not is_updiscon(code):
            # what is behind it is no anchor
            break
        if updiscon:
            index = s64(target >> U4)
            if index >= blocks.shape[0]:
                break
            address = blocks[index, block_at.iaddr]
            # The next row decides what the packet of a single row is. It is there, and plain.
            single = last_of(address, blocks[index, block_at.iretire]) == address
            if single and target & CODE == BRANCH and bits > U1:
                branch_map |= (bits & U1) << branches
                branches += U1
                bits >>= U1
            if position >= sync_at:
                position = opening = emit_sync_sequence(work.framing, state, out, position)
                sync_at = position + period
            field = address_field(options, address, last_address)
            low, high = address_payload(branches, branch_map, field)
            position = put_payload(header, out, position, low, high)
            count += 1
            map_packets += b2u(branches != U0)
            branches = U0
            branch_map = U0
            ntr = U1
            last_address = address
        more = how_many(bits)
        branch_map |= (bits ^ U1 << more) << branches
        branches += more
        full = U31 if is_branch(code) else U31 - U1
        while branches > full:
            if position >= sync_at:
                position = opening = emit_sync_sequence(work.framing, state, out, position)
                sync_at = position + period
            low, high = map_payload(branch_map)
            position = put_payload(header, out, position, low, high)
            count += 1
            map_packets += U1
            branches -= U31
            branch_map >>= U31
            ntr = U0
        updiscon = is_updiscon(code)
        target = u64(records[at, TARGET])
        at += 1
    state[slot.since_sync] += u64(position - opening)
    state[slot.branches] = branches
    state[slot.branch_map] = branch_map
    state[slot.last_address] = last_address
    if options[option.unit] == unit.PACKETS:
        state[slot.resync_count] = u64(count)
    state[slot.ntr] = ntr
    state[slot.packets + form.BRANCH_MAP] += map_packets
    state[slot.packets + form.ADDRESS] += u64(count - counted) - map_packets
    state[slot.section] = u64(at - first)
    if at > begin:
        reference = u64(records[at - 1, REFERENCE])
        index = s64(reference >> U4)
        iaddr = blocks[index, block_at.iaddr]
        details = blocks[index, block_at.iretire]
        state[slot.cur_sent] = U0
        state[slot.cur_sequential] = U0
        state[slot.cur_late] = U0
        state[slot.cur_after] = U0
        state[slot.segments] = U0
        state[slot.cur_address] = last_of(iaddr, details)
        state[slot.cur_end] = iaddr + (half_words(details) << U1)
        state[slot.cur_code] = seen_code(reference & CODE, options)
    return position
