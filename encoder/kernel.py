"""Kernels: references in, bytes out."""

import numpy as np

from encoder.flowchart import (
    BYTE,
    CUR,
    CUR_PRIV,
    HALF,
    NEXT_END,
    RETIRED,
    SIDE_NOTIFY,
    TRAP_WAITING,
    complete,
    seen_code,
    take_block,
    take_trap,
)
from encoder.plain import PLAIN, encode_plain, is_plain
from encoder.plain_modes import encode_plain_modes
from encoder.queue import (
    C_SHORTER,
    CONTEXT,
    NTR,
    PACKETS_UNIT,
    QUEUED,
    RESYNC_COUNT,
    TIME,
    UNIT,
    enqueue,
    send_trap,
)
from encoder.state import MAX_SEGMENTS, Option, Slot
from encoder.writer import MAX_PACKET, emit, payload_bytes
from specs.compiled import U0, U1, U2, U4, inlined, njit, s64, u64
from specs.ingress import HAS_CONTEXT, HAS_TIME, SIDEBAND_CODE, TRIGGER_NOTIFY
from specs.packets import Column, Format, QualStatus

HAS_TIME_SLOT = int(Slot.has_time)
ERROR = int(Slot.error)
ERROR_REF = int(Slot.error_index)
UNIFORM_PRIV = int(Option.uniform_priv)
C_IENABLE = int(Column.ienable)
C_TABLE = int(Column.table)
C_QUAL_STATUS = int(Column.qual_status)
FIRST_FIELD = int(Column.format)
F_SUPPORT = np.int64(Format.SUPPORT)
START = np.int64(0)
ENDED_REP = np.uint64(QualStatus.ended_rep)
ENDED_NTR = np.uint64(QualStatus.ended_ntr)

ERROR_INDEX, ERROR_CTYPE, ERROR_EMPTY_BLOCK = 1, 2, 3

#: Packets that one reference can make: for the row before it (each visit), a trap, its own rows.
MAX_QUEUE = MAX_SEGMENTS + 8
#: Space in the output that they may need.
MARGIN = MAX_QUEUE * MAX_PACKET


@inlined
def write_queue(layout, framing, state, queue, words, out, position):
    """Write the queued packets at out[position:]; the position after them."""
    i = 0
    queued = s64(state[QUEUED])
    while i < queued:
        if queue[i, C_SHORTER] != U0:
            # two ways to say it: this packet, unless the next is shorter
            next_one = payload_bytes(layout, queue, i + 1, words)
            if next_one >= payload_bytes(layout, queue, i, words):
                queue[i + 1, C_TABLE] = queue[i, C_TABLE]
                for column in range(FIRST_FIELD, queue.shape[1]):
                    queue[i + 1, column] = queue[i, column]
            i += 1
        position = emit(layout, framing, state, queue, i, words, out, position)
        i += 1
    state[QUEUED] = U0
    return position


@njit
def send_support(options, state, queue, support, ienable, status):
    """3.3, with what `support` (a row of columns) says of the encoder."""
    row = enqueue(state, queue, F_SUPPORT)
    for column in range(FIRST_FIELD, queue.shape[1]):
        queue[row, column] = support[column]
    queue[row, C_IENABLE] = ienable
    queue[row, C_QUAL_STATUS] = status
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] += U1


@njit
def begin(layout, framing, options, state, memory, queue, segments, words, support, out):
    """The support packet that opens a trace."""
    send_support(options, state, queue, support, U1, U0)
    return write_queue(layout, framing, state, queue, words, out, START)


@njit
def finish(layout, framing, options, state, memory, queue, segments, words, support, out):
    """What ends a trace: the last row's address, a waiting trap, the support packet."""
    if state[CUR] == RETIRED:
        complete(options, state, memory, queue, segments, NEXT_END, U0, U0, False)
    elif state[CUR] == TRAP_WAITING:
        send_trap(options, state, memory, queue, U0, U0, state[CUR_PRIV], U1)
    status = ENDED_NTR if state[NTR] != U0 else ENDED_REP
    send_support(options, state, queue, support, U0, status)
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
    memory,
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
            if options[PLAIN] == 1:
                i, position = encode_plain(
                    framing, options, state, segments, refs, i, blocks, out, position
                )
            else:
                i, position = encode_plain_modes(
                    framing, options, state, memory, segments, refs, i, blocks, out, position
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
                memory,
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
                memory,
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
