"""Kernels: references in, bytes out."""

import numpy as np

from encoder.algorithm.flowchart import (
    BYTE,
    CUR,
    NOTHING,
    RETIRED,
    SIDE_CTYPE,
    SIDE_NOTIFY,
    SIDE_UNTRACED,
    TRAP_UNTRACED,
    end_stretch,
    part,
    seen_code,
    start_stretch,
    take_block,
    take_trap,
)
from encoder.algorithm.plain import encode_plain, is_plain
from encoder.algorithm.queue import (
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
from encoder.algorithm.records import encode_records
from encoder.algorithm.state import MAX_SEGMENTS, Option, Slot
from encoder.output.sink import (
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
from encoder.output.writer import MAX_PACKET, PACKETS, SINCE_SYNC, emit, payload_bytes
from specs.interfaces.ingress import (
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    SIDEBAND_CODE,
    TRAP_UNQUALIFIED,
    TRIGGER_NOTIFY,
    UNQUALIFIED,
)
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import LOW32, U0, U1, U2, U4, s64, u64
from specs.trace.packets import Format, QualStatus
from specs.trace.passages import is_passage, number_of, section, walk

HAS_TIME_SLOT = int(Slot.has_time)
SECTION = int(Slot.section)
WALK_REFERENCE = int(Slot.walk_reference)
WALK_BITS = int(Slot.walk_bits)
WALK_OWN = int(Slot.walk_own)
WALK_LEFT = int(Slot.walk_left)
ROW = int(Slot.row)
ROWS = int(Slot.rows)
ERROR = int(Slot.error)
ERROR_REF = int(Slot.error_index)
CTYPES = int(Option.ctypes)
F_SUPPORT = np.uint64(Format.SUPPORT)
START = np.int64(0)
#: In the place of a reference's number: what a trace begins with, what it ends with, and what tells
#: that packets are being lost when it does.
BEGIN, FINISH, LAST_LOSS = -1, -2, -3
TRACE_LOST = np.uint64(QualStatus.trace_lost)

ERROR_INDEX, ERROR_CTYPE, ERROR_EMPTY_BLOCK = 1, 2, 3
#: Flags of a side band: nothing leads from the row before to the next.
APART = np.uint64(HALTED | RESET | UNQUALIFIED)

#: Blocks of a passage that are expanded at a time.
PIECE = 1 << 12
#: Packets that one reference can make: for the row before it (each visit), the end of a stretch, a
#: trap, its own rows; and what passes of time in between.
MAX_QUEUE = MAX_SEGMENTS + 24
#: Space in the output that they may need.
MARGIN = MAX_QUEUE * MAX_PACKET


@spliced
def accept(layout, framing, options, state, queue, i, words, out, position):
    """Write queue[i], unless the sink loses it; the position after it."""
    modelled = options[SINK] != 0
    if modelled and state[LOSING] != U0:
        lose(state)
        return position
    since_sync = state[SINCE_SYNC]
    end = emit(layout, framing, state, queue, i, words, out, position)
    if not modelled or fits(options, state, end - position):
        return end
    state[SINCE_SYNC] = since_sync
    state[PACKETS + s64(queue[i, C_TABLE])] -= U1
    lose(state)
    return position


@spliced
def resumes(options, state, queue, i):
    """Let what queue[i] says of time pass; whether it then becomes a packet: 3.3, lost trace."""
    op = queue[i, C_TABLE]
    if op != u64(OP_LOOK):
        pass_time(options, state, s64(op), queue[i, C_ADDRESS])
        return False
    if not can_resume(options, state):
        return False
    queue[i, C_TABLE] = F_SUPPORT
    put_support(queue, i, U1, TRACE_LOST)
    state[LOSING] = U0
    return True


@spliced
def write_queue(layout, framing, options, state, queue, words, out, position):
    """Write the queued packets at out[position:]; the position after them."""
    i = START
    queued = s64(state[QUEUED])
    while i < queued:
        writes = True
        if queue[i, C_TABLE] >= FIRST_OP:
            writes = resumes(options, state, queue, i)
        elif queue[i, C_SHORTER] != U0:
            # two ways to say it: this packet, unless the next is shorter
            next_one = payload_bytes(layout, queue, i + 1, words)
            if next_one >= payload_bytes(layout, queue, i, words):
                queue[i + 1, C_TABLE] = queue[i, C_TABLE]
                for column in range(FIRST_FIELD, queue.shape[1]):
                    queue[i + 1, column] = queue[i, column]
            i += 1
        if writes:
            position = accept(layout, framing, options, state, queue, i, words, out, position)
        i += 1
    state[QUEUED] = U0
    if state[BROKEN] != U0:
        state[BROKEN] = U0
        is_trap = state[CUR] != NOTHING and state[CUR] != RETIRED
        start_stretch(state)
        if is_trap:
            state[CUR] = TRAP_UNTRACED
    return position


@njit
def take_sideband(options, state, memory, queue, segments, sidebands, index):
    """Context, time and triggers for the reference that follows; an error number or 0."""
    flags = sidebands[index, 2]
    ctype = flags & BYTE
    if s64(ctype) >= options[CTYPES]:
        return ERROR_CTYPE
    given = (flags >> np.uint64(16)) & BYTE
    if given & APART != U0:
        part(options, state, memory, queue, segments)
    if given & u64(TRAP_UNQUALIFIED) != U0:
        state[SIDE_UNTRACED] = U1
    if given & u64(HAS_CONTEXT) != U0:
        state[CONTEXT] = sidebands[index, 0]
    if given & u64(HAS_TIME) != U0:
        state[TIME] = sidebands[index, 1]
        state[HAS_TIME_SLOT] = U1
    if (flags >> np.uint64(8)) & u64(TRIGGER_NOTIFY) != U0:
        state[SIDE_NOTIFY] = U1
    state[SIDE_CTYPE] = max(state[SIDE_CTYPE], ctype)
    return 0


@spliced
def take_reference(options, state, memory, queue, segments, reference, blocks, traps, sidebands):
    """Put the packets that a reference asks for into the queue; an error number or 0."""
    code = reference & np.uint64(15)
    index = s64(reference >> U4)
    if code == U1 or code == U2:
        if index >= traps.shape[0]:
            return ERROR_INDEX
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
        if index >= sidebands.shape[0]:
            return ERROR_INDEX
        return take_sideband(options, state, memory, queue, segments, sidebands, index)
    else:
        if index >= blocks.shape[0]:
            return ERROR_INDEX
        if blocks[index, 1] & LOW32 == U0:
            return ERROR_EMPTY_BLOCK
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
    return 0


@spliced
def take(
    layout,
    framing,
    options,
    state,
    memory,
    queue,
    segments,
    words,
    refs,
    i,
    blocks,
    traps,
    sidebands,
    out,
    position,
):
    """Encode refs[i] by the flow chart; or what BEGIN, FINISH or LAST_LOSS, as `i`, stands for:
    (an error number or 0, position in `out`).
    """
    error = 0
    if i == BEGIN:
        send_support(options, state, queue, U1, U0)
    elif i == LAST_LOSS:
        send_support(options, state, queue, U0, TRACE_LOST)
    elif i == FINISH:
        if state[LOSING] == U0:
            end_stretch(options, state, memory, queue, segments, U0)
    else:
        error = take_reference(
            options, state, memory, queue, segments, u64(refs[i]), blocks, traps, sidebands
        )
    if state[QUEUED] != U0:
        position = write_queue(layout, framing, options, state, queue, words, out, position)
    return error, position


@inlined
def go_on(
    framing, options, state, blocks, passages, number, records, successors, rows, out, position
):
    """Go on with a passage, whose rows so far were taken: (whether that was all, position in
    `out`).

    Sections that are plain are encoded by their records. The next one is expanded into `rows`, as
    much of it as fits.
    """
    if state[WALK_LEFT] == U0:
        j = s64(state[SECTION])
        last = s64(passages[number, 1] & LOW32)
        if j < last and is_plain(framing, options, state):
            j, position = encode_records(
                framing, options, state, passages, number, records, j, blocks, out, position
            )
        if j > last:
            state[SECTION] = U0
            return True, position
        reference, bits, own, left = section(passages, number, records, successors, j)
        state[SECTION] = u64(j + 1)
        state[WALK_OWN] = own
    else:
        reference, bits, left = state[WALK_REFERENCE], state[WALK_BITS], state[WALK_LEFT]
    count, reference, bits, left = walk(successors, reference, bits, state[WALK_OWN], left, rows)
    state[WALK_REFERENCE], state[WALK_BITS], state[WALK_LEFT] = reference, bits, left
    state[ROW] = U0
    state[ROWS] = u64(count)
    return False, position


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
    passages,
    records,
    successors,
    rows,
    out,
):
    """Encode refs[start:] until they or the space in `out` run out: (references taken, bytes).

    `blocks`, `traps`, `sidebands`, `passages` are the ingress tables as uint64 matrices, a row
    each, `records` and `successors` as uint32 ones. `rows` is for blocks of a passage. `start`
    BEGIN, FINISH or LAST_LOSS: write what that stands for, and nothing of `refs`. With optional
    modes there is `encoder.kernel_modes`.
    """
    position = START
    room = out.shape[0] - MARGIN
    i = start
    end = refs.shape[0] if start >= 0 else start + 1
    error = 0
    while position <= room:
        inside = state[ROW] < state[ROWS]
        if inside:
            source, at = rows[: s64(state[ROWS])], s64(state[ROW])
        else:
            source, at = refs, i
            if i >= end:
                break
            if i >= 0 and is_passage(u64(refs[i])) and number_of(u64(refs[i])) < len(passages):
                done, position = go_on(
                    framing,
                    options,
                    state,
                    blocks,
                    passages,
                    number_of(u64(refs[i])),
                    records,
                    successors,
                    rows,
                    out,
                    position,
                )
                if done:
                    i += 1
                continue
        begin = at
        if at >= 0 and is_plain(framing, options, state):
            at, position = encode_plain(
                framing, options, state, segments, source, at, blocks, out, position
            )
        if at == begin:
            error, position = take(
                layout,
                framing,
                options,
                state,
                memory,
                queue,
                segments,
                words,
                source,
                at,
                blocks,
                traps,
                sidebands,
                out,
                position,
            )
            if error != 0:
                break
            at += 1
        if inside:
            state[ROW] = u64(at)
        else:
            i = at
    state[ERROR] = u64(error)
    state[ERROR_REF] = u64(i)
    return i - start, position
