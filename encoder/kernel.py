"""Kernels: references in, bytes out."""

import numpy as np

from encoder.flowchart import (
    BYTE,
    CUR,
    HALF,
    NOTHING,
    SIDE_CTYPE,
    SIDE_NOTIFY,
    end_stretch,
    seen_code,
    start_stretch,
    take_block,
    take_trap,
)
from encoder.plain import PLAIN, encode_plain, is_plain
from encoder.plain_modes import encode_plain_modes
from encoder.queue import (
    C_ADDRESS,
    C_SHORTER,
    C_TABLE,
    CONTEXT,
    FIRST_FIELD,
    QUEUED,
    TIME,
    put_support,
    send_support,
)
from encoder.sink import (
    BROKEN,
    FIRST_OP,
    LOSING,
    OP_LOOK,
    SINK,
    can_resume,
    fits,
    lose,
    pass_time,
)
from encoder.state import MAX_SEGMENTS, Option, Slot
from encoder.writer import MAX_PACKET, PACKETS, SINCE_SYNC, emit, payload_bytes
from specs.compiled import U0, U1, U2, U4, inlined, njit, s64, u64
from specs.ingress import (
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    SIDEBAND_CODE,
    TRIGGER_NOTIFY,
    UNQUALIFIED,
)
from specs.packets import Format, QualStatus

HAS_TIME_SLOT = int(Slot.has_time)
ERROR = int(Slot.error)
ERROR_REF = int(Slot.error_index)
CTYPES = int(Option.ctypes)
F_SUPPORT = np.uint64(Format.SUPPORT)
START = np.int64(0)
TRACE_LOST = np.uint64(QualStatus.trace_lost)

ERROR_INDEX, ERROR_CTYPE, ERROR_EMPTY_BLOCK, ERROR_STALL = 1, 2, 3, 4
#: Flags of a side band: nothing leads from the row before to the next.
APART = np.uint64(HALTED | RESET | UNQUALIFIED)

#: Packets that one reference can make: for the row before it (each visit), the end of a stretch, a
#: trap, its own rows; and what passes of time in between.
MAX_QUEUE = MAX_SEGMENTS + 24
#: Space in the output that they may need.
MARGIN = MAX_QUEUE * MAX_PACKET


@inlined
def accept(layout, framing, options, state, queue, i, words, out, position):
    """Write queue[i], unless the sink loses it; the position after it."""
    if options[SINK] == 0:
        return emit(layout, framing, state, queue, i, words, out, position)
    if state[LOSING] != U0:
        lose(state)
        return position
    since_sync = state[SINCE_SYNC]
    end = emit(layout, framing, state, queue, i, words, out, position)
    if fits(options, state, end - position):
        return end
    state[SINCE_SYNC] = since_sync
    state[PACKETS + s64(queue[i, C_TABLE])] -= U1
    lose(state)
    return position


@inlined
def write_queue(layout, framing, options, state, queue, words, out, position):
    """Write the queued packets at out[position:]; the position after them."""
    i = 0
    queued = s64(state[QUEUED])
    while i < queued:
        op = queue[i, C_TABLE]
        if op >= FIRST_OP:
            if op != u64(OP_LOOK):
                pass_time(options, state, s64(op), queue[i, C_ADDRESS])
            elif can_resume(options, state):
                queue[i, C_TABLE] = F_SUPPORT
                put_support(queue, i, U1, TRACE_LOST)
                state[LOSING] = U0
                position = accept(layout, framing, options, state, queue, i, words, out, position)
            i += 1
            continue
        if queue[i, C_SHORTER] != U0:
            # two ways to say it: this packet, unless the next is shorter
            next_one = payload_bytes(layout, queue, i + 1, words)
            if next_one >= payload_bytes(layout, queue, i, words):
                queue[i + 1, C_TABLE] = queue[i, C_TABLE]
                for column in range(FIRST_FIELD, queue.shape[1]):
                    queue[i + 1, column] = queue[i, column]
            i += 1
        position = accept(layout, framing, options, state, queue, i, words, out, position)
        i += 1
    state[QUEUED] = U0
    if state[BROKEN] != U0:
        state[BROKEN] = U0
        start_stretch(state)
    return position


@njit
def begin(layout, framing, options, state, memory, queue, segments, words, out):
    """The support packet that opens a trace."""
    send_support(options, state, queue, U1, U0)
    return write_queue(layout, framing, options, state, queue, words, out, START)


@njit
def finish(layout, framing, options, state, memory, queue, segments, words, out):
    """What ends a trace: the last row's address, a waiting trap, the support packet."""
    position = START
    if state[LOSING] == U0:
        end_stretch(options, state, memory, queue, segments, U0)
        position = write_queue(layout, framing, options, state, queue, words, out, position)
    if state[LOSING] != U0:
        put_support(queue, START, U0, TRACE_LOST)
        queue[START, C_TABLE] = F_SUPPORT
        position = emit(layout, framing, state, queue, START, words, out, position)
    return position


@njit
def take_sideband(options, state, memory, queue, segments, sidebands, index):
    """Context, time and triggers for the reference that follows; an error number or 0."""
    flags = sidebands[index, 2]
    ctype = flags & BYTE
    if s64(ctype) >= options[CTYPES]:
        return ERROR_CTYPE
    given = (flags >> np.uint64(16)) & BYTE
    if given & APART != U0 and state[CUR] != NOTHING:
        end_stretch(options, state, memory, queue, segments, U1)
    if given & u64(HAS_CONTEXT) != U0:
        state[CONTEXT] = sidebands[index, 0]
    if given & u64(HAS_TIME) != U0:
        state[TIME] = sidebands[index, 1]
        state[HAS_TIME_SLOT] = U1
    if (flags >> np.uint64(8)) & u64(TRIGGER_NOTIFY) != U0:
        state[SIDE_NOTIFY] = U1
    state[SIDE_CTYPE] = max(state[SIDE_CTYPE], ctype)
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
                error = take_sideband(options, state, memory, queue, segments, sidebands, index)
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
        position = write_queue(layout, framing, options, state, queue, words, out, position)
        i += 1
    state[ERROR] = u64(error)
    state[ERROR_REF] = u64(i)
    return i - start, position
