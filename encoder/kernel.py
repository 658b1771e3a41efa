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
from encoder.output.sink import FIRST_OP, can_resume, fits, lose, pass_time
from encoder.output.writer import MAX_PACKET, emit, payload_bytes
from encoder.state import MAX_SEGMENTS, hand, op, option, slot
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import U0, U1, s64, u64
from specs.trace.packets import QualStatus

START = np.int64(0)
TRACE_LOST = np.uint64(QualStatus.trace_lost)

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
    while i < queued:
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
def encode(work, history, tables, start, out):
    """Encode refs[start:] until they or the space in `out` run out: (references taken, bytes).

    `start` BEGIN, FINISH or LAST_LOSS: write what that stands for, and nothing of `refs`. `history`
    is None without the modes that need it, and all that is of modes is not compiled then.
    """
    state = work.state
    position = START
    room = out.shape[0] - MARGIN
    i = start
    end = tables.refs.shape[0] if start >= 0 else start + 1
    error = 0
    while i < end and position <= room:
        if i >= 0 and is_plain(work.framing, work.options, state):
            if history is None:
                i, position = encode_plain(work, tables, i, out, position)
            else:
                i, position = encode_plain_modes(work, history, tables, i, out, position)
            if i == end or position > room:
                break
        error, position = take(work, history, tables, i, out, position)
        if error != 0:
            break
        i += 1
    state[slot.error] = u64(error)
    state[slot.error_index] = u64(i)
    return i - start, position


__all__ = ["BEGIN", "ERROR_CTYPE", "ERROR_EMPTY_BLOCK", "ERROR_INDEX", "FINISH", "LAST_LOSS"]
__all__ += ["MAX_QUEUE", "encode"]
