"""Kernels: references in, bytes out."""

import numpy as np

from encoder.algorithm.flowchart import (
    BEGIN,
    ERROR_CTYPE,
    ERROR_EMPTY_BLOCK,
    ERROR_INDEX,
    FINISH,
    LAST_LOSS,
    start_stretch,
    walk,
)
from encoder.algorithm.plain import encode_plain, is_plain
from encoder.algorithm.plain_modes import encode_plain_modes
from encoder.algorithm.queue import FIRST_FIELD, SHORTER, column, form, put_support, send_support
from encoder.algorithm.records import encode_records
from encoder.output.sink import FIRST_OP, can_resume, fits, lose, pass_time
from encoder.output.writer import MAX_PACKET, emit, payload_bytes
from encoder.state import MAX_SEGMENTS, Tables, hand, op, option, slot
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import LOW32, U0, U1, s64, u64
from specs.trace.packets import QualStatus
from specs.trace.passages import is_passage, number_of, section, write_blocks

START = np.int64(0)
TRACE_LOST = np.uint64(QualStatus.trace_lost)

#: Blocks of a passage that are expanded at a time.
PIECE = 1 << 12
#: Packets that one reference can make: for the row before it (each visit), the end of a stretch, a
#: trap, its own rows; and what passes of time in between.
MAX_QUEUE = MAX_SEGMENTS + 24
#: Space in the output that they may need.
MARGIN = MAX_QUEUE * MAX_PACKET


@spliced
def accept(work, i, out, position):
    """Write queue[i], unless the sink loses it; the position after it."""
    options, state = work.options, work.state
    modelled = options[option.sink] != 0
    if modelled and state[slot.losing] != U0:
        lose(state)
        return position
    since_sync = state[slot.since_sync]
    end = emit(work, i, out, position)
    if not modelled or fits(options, state, end - position):
        return end
    state[slot.since_sync] = since_sync
    state[slot.packets + s64(work.queue[i, column.table])] -= U1
    lose(state)
    return position


@spliced
def resumes(work, i):
    """Let what queue[i] says of time pass; whether it then becomes a packet: 3.3, lost trace."""
    options, state, queue = work.options, work.state, work.queue
    what = s64(queue[i, column.table])
    if what != op.LOOK:
        pass_time(options, state, what, queue[i, column.address])
        return False
    if not can_resume(options, state):
        return False
    queue[i, column.table] = u64(form.SUPPORT)
    put_support(queue, i, U1, TRACE_LOST)
    state[slot.losing] = U0
    return True


@inlined
def write_queue(work, history, out, position):
    """Write the queued packets at out[position:]; the position after them."""
    state, queue = work.state, work.queue
    i = START
    queued = s64(state[slot.queued])
    left = s64(state[slot.left])
    state[slot.left_end] = u64(position)
    while i < queued:
        if i <= left:
            state[slot.left_end] = u64(position)
        writes = True
        if queue[i, column.table] >= FIRST_OP:
            writes = resumes(work, i)
        elif history is not None:
            if queue[i, SHORTER] != U0:
                # two ways to say it: this packet, unless the next is shorter
                next_one = payload_bytes(work, i + 1)
                if next_one >= payload_bytes(work, i):
                    queue[i + 1, column.table] = queue[i, column.table]
                    for k in range(FIRST_FIELD, queue.shape[1]):
                        queue[i + 1, k] = queue[i, k]
                i += 1
        if writes:
            position = accept(work, i, out, position)
        i += 1
    if i <= left:
        state[slot.left_end] = u64(position)
    state[slot.queued] = U0
    if state[slot.broken] != U0:
        state[slot.broken] = U0
        is_trap = state[slot.cur] != hand.NOTHING and state[slot.cur] != hand.RETIRED
        start_stretch(state)
        if is_trap:
            state[slot.cur] = hand.TRAP_UNTRACED
    return position


@spliced
def take(work, history, tables, i, out, position):
    """Encode refs[i] by the flow chart; or what BEGIN, FINISH or LAST_LOSS, as `i`, stands for:
    (an error number or 0, position in `out`).
    """
    error = 0
    if i == BEGIN:
        send_support(work, U1, U0)
    elif i == LAST_LOSS:
        send_support(work, U0, TRACE_LOST)
    elif i != FINISH or work.state[slot.losing] == U0:
        error = walk(work, history, tables, i)
    if work.state[slot.queued] != U0:
        position = write_queue(work, history, out, position)
    return error, position


@njit
def go_on(work, tables, short, number, out, position):
    """Go on with a passage, whose rows so far were taken: (whether that was all, position in
    `out`).

    Sections that are plain are encoded by their records. The next one is expanded into
    `short.rows`, as much of it as fits.
    """
    state = work.state
    if state[slot.walk_left] == U0:
        count = short.passages[number, 1] & LOW32
        if state[slot.section] < count and is_plain(work.framing, work.options, state):
            position = encode_records(work, tables, short, number, out, position)
        j = state[slot.section]
        if j > count:
            state[slot.section] = U0
            return True, position
        reference, bits, own, left = section(
            short.passages, number, short.records, short.successors, s64(j)
        )
        state[slot.section] = j + U1
        state[slot.walk_own] = own
    else:
        reference, bits = state[slot.walk_reference], state[slot.walk_bits]
        own, left = state[slot.walk_own], state[slot.walk_left]
    used, reference, bits, left = write_blocks(
        short.successors, reference, bits, own, left, short.rows
    )
    state[slot.walk_reference], state[slot.walk_bits] = reference, bits
    state[slot.walk_left] = left
    state[slot.row], state[slot.rows] = U0, u64(used)
    return False, position


@spliced
def take_some(work, history, tables, i, out, position):
    """Encode some of refs[i:]: (the next one, position in `out`, an error number or 0)."""
    begin = i
    error = 0
    if i >= 0 and is_plain(work.framing, work.options, work.state):
        if history is None:
            i, position = encode_plain(work, tables, i, out, position)
        else:
            i, position = encode_plain_modes(work, history, tables, i, out, position)
    if i == begin:
        error, position = take(work, history, tables, i, out, position)
        if error == 0:
            i += 1
    return i, position, error


@njit
def encode(work, history, tables, short, start, out):
    """Encode refs[start:] until they or the space in `out` run out: (references taken, bytes).

    `start` BEGIN, FINISH or LAST_LOSS: write what that stands for, and nothing of `refs`. `history`
    is None without the modes that need it, and all that is of modes is not compiled then; `short`
    is None where there are no passages.
    """
    state = work.state
    position = START
    room = out.shape[0] - MARGIN
    i = start
    end = tables.refs.shape[0] if start >= 0 else start + 1
    error = 0
    while error == 0 and position <= room:
        now, at = tables, i
        inside = False
        if short is not None:
            inside = state[slot.row] < state[slot.rows]
            if inside:
                rows = short.rows[: s64(state[slot.rows])]
                now = Tables(rows, tables.blocks, tables.traps, tables.sidebands)
                at = s64(state[slot.row])
            elif 0 <= i < end:
                reference = u64(tables.refs[i])
                number = number_of(reference)
                if is_passage(reference) and number < short.passages.shape[0]:
                    done, position = go_on(work, tables, short, number, out, position)
                    if done:
                        i += 1
                    continue
        if not inside and i >= end:
            break
        at, position, error = take_some(work, history, now, at, out, position)
        if inside:
            state[slot.row] = u64(at)
        else:
            i = at
    state[slot.error] = u64(error)
    state[slot.error_index] = u64(i)
    return i - start, position


__all__ = ["BEGIN", "ERROR_CTYPE", "ERROR_EMPTY_BLOCK", "ERROR_INDEX", "FINISH", "LAST_LOSS"]
__all__ += ["MAX_QUEUE", "PIECE", "encode"]
