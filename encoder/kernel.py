"""Kernels: references in, bytes out."""

import numpy as np

from encoder.flowchart import (
    BYTE,
    CONTEXT,
    CUR,
    CUR_PRIV,
    HALF,
    NEXT_END,
    NTR,
    PACKETS_UNIT,
    QUEUED,
    RESYNC_COUNT,
    RETIRED,
    SIDE_NOTIFY,
    TIME,
    TRAP_WAITING,
    UNIT,
    complete,
    enqueue,
    seen_code,
    send_trap,
    take_block,
    take_trap,
)
from encoder.plain import encode_plain, is_plain
from encoder.state import Option, Slot
from encoder.writer import MAX_PACKET, emit
from specs.compiled import U0, U1, U2, U4, inlined, njit, s64, u64
from specs.ingress import HAS_CONTEXT, HAS_TIME, SIDEBAND_CODE, TRIGGER_NOTIFY
from specs.packets import Column, Format, QualStatus

HAS_TIME_SLOT = int(Slot.has_time)
ERROR = int(Slot.error)
ERROR_REF = int(Slot.error_index)
UNIFORM_PRIV = int(Option.uniform_priv)
C_IENABLE = int(Column.ienable)
C_QUAL_STATUS = int(Column.qual_status)
C_IOPTIONS = int(Column.ioptions)
F_SUPPORT = np.int64(Format.SUPPORT)
START = np.int64(0)
ENDED_REP = np.uint64(QualStatus.ended_rep)
ENDED_NTR = np.uint64(QualStatus.ended_ntr)

ERROR_INDEX, ERROR_CTYPE, ERROR_EMPTY_BLOCK = 1, 2, 3

#: Packets that one reference can make: for the row before it (twice), a trap, its own two rows.
MAX_QUEUE = 8
#: Space in the output that they may need.
MARGIN = MAX_QUEUE * MAX_PACKET


@inlined
def write_queue(layout, framing, state, queue, words, out, position):
    """Write the queued packets at out[position:]; the position after them."""
    for i in range(s64(state[QUEUED])):
        position = emit(layout, framing, state, queue, i, words, out, position)
    state[QUEUED] = U0
    return position


@njit
def send_support(options, state, queue, ienable, status, ioptions):
    row = enqueue(state, queue, F_SUPPORT)
    queue[row, C_IENABLE] = ienable
    queue[row, C_QUAL_STATUS] = status
    queue[row, C_IOPTIONS] = ioptions
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] += U1


@njit
def begin(layout, framing, options, state, queue, segments, words, ioptions, out):
    """The support packet that opens a trace."""
    send_support(options, state, queue, U1, U0, ioptions)
    return write_queue(layout, framing, state, queue, words, out, START)


@njit
def finish(layout, framing, options, state, queue, segments, words, ioptions, out):
    """What ends a trace: the last row's address, a waiting trap, the support packet."""
    if state[CUR] == RETIRED:
        complete(options, state, queue, segments, NEXT_END, U0, U0)
    elif state[CUR] == TRAP_WAITING:
        send_trap(options, state, queue, U0, U0, state[CUR_PRIV], U1)
    status = ENDED_NTR if state[NTR] != U0 else ENDED_REP
    send_support(options, state, queue, U0, status, ioptions)
    return write_queue(layout, framing, state, queue, words, out, START)


@njit
def take_sideband(state, sidebands, index):
    """Context, time and triggers for the reference that follows; an error number or 0."""
    flags = sidebands[index, 2]
    if flags & BYTE != U0:
        return ERROR_CTYPE
    given = (flags >> np.uint64(16)) & BYTE
    if given & u64(HAS_CONTEXT) != U0:
        state[CONTEXT] = sidebands[index, 0]
    if given & u64(HAS_TIME) != U0:
        state[TIME] = sidebands[index, 1]
        state[HAS_TIME_SLOT] = U1
    if (flags >> np.uint64(8)) & u64(TRIGGER_NOTIFY) != U0:
        state[SIDE_NOTIFY] = U1
    return 0


@njit
def encode(
    layout,
    framing,
    options,
    state,
    queue,
    segments,
    words,
    refs,
    start,
    blocks,
    traps,
    sidebands,
    out,
):
    """Encode refs[start:] until they or the space in `out` run out: (references taken, bytes).

    `blocks`, `traps`, `sidebands` are the ingress tables as uint64 matrices, a row each.
    """
    position = START
    room = out.shape[0] - MARGIN
    i = start
    end = refs.shape[0]
    error = 0
    while i < end and position <= room:
        if is_plain(framing, options, state):
            i, position = encode_plain(
                framing, options, state, segments, refs, i, blocks, out, position
            )
            if i == end or position > room:
                break
        reference = u64(refs[i])
        code = reference & np.uint64(15)
        index = s64(reference >> U4)
        if code == U1 or code == U2:
            if index >= traps.shape[0]:
                error = ERROR_INDEX
                break
            valid = (traps[index, 3] >> np.uint64(8)) & BYTE
            take_trap(
                options,
                state,
                queue,
                segments,
                code,
                traps[index, 0] if valid != U0 else U0,
                traps[index, 1],
                traps[index, 2],
                traps[index, 3] & BYTE,
            )
        elif code == np.uint64(SIDEBAND_CODE):
            error = ERROR_INDEX
            if index < sidebands.shape[0]:
                error = take_sideband(state, sidebands, index)
            if error != 0:
                break
        else:
            if index >= blocks.shape[0] or blocks[index, 1] & HALF == U0:
                error = ERROR_INDEX if index >= blocks.shape[0] else ERROR_EMPTY_BLOCK
                break
            take_block(
                options,
                state,
                queue,
                segments,
                seen_code(code, options),
                blocks[index, 0],
                blocks[index, 1],
            )
        position = write_queue(layout, framing, state, queue, words, out, position)
        i += 1
    state[ERROR] = u64(error)
    state[ERROR_REF] = u64(i)
    return i - start, position
