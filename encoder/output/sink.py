"""Kernels: a buffer that a link of limited bandwidth empties (docs/qualification.md, "Loss").

While rows are taken, what passes of time is queued between the packets
(`encoder.algorithm.state.Op`); here it happens, in that order, when the queue is written.
"""

import numpy as np

from encoder.algorithm.queue import C_ADDRESS, append
from encoder.algorithm.state import Op, Option, SinkKind, Slot
from specs.kernels.njit import inlined
from specs.kernels.words import U0, U1, U7, U13, U17, u64

LEVEL = int(Slot.level)
RATE = int(Slot.rate)
RANDOM = int(Slot.random)
LOSING = int(Slot.losing)
JUST_LOST = int(Slot.just_lost)
BROKEN = int(Slot.broken)
PASSING = int(Slot.passing)
VARY = int(Slot.vary)
LOST = int(Slot.lost)
STALLED = int(Slot.stalled)

SINK = int(Option.sink)
SINK_RATE = int(Option.sink_rate)
SINK_PER = int(Option.sink_per)
SINK_CAPACITY = int(Option.sink_capacity)
SINK_RESUME = int(Option.sink_resume)
SINK_JITTER = int(Option.sink_jitter)
STALL = int(SinkKind.STALL)

OP_DRAIN = np.int64(Op.DRAIN)
OP_VARY = np.int64(Op.VARY)
OP_ROW = np.int64(Op.ROW)
OP_LOOK = np.int64(Op.LOOK)
FIRST_OP = np.uint64(Op.DRAIN)


@inlined
def begin_row(options, state, queue):
    """What follows belongs to a row; all the time of the one before passes."""
    if options[SINK] != 0:
        if state[PASSING] != U0:
            queue[append(state, queue, OP_DRAIN), C_ADDRESS] = state[PASSING]
            state[PASSING] = U0
        if state[VARY] != U0:
            append(state, queue, OP_VARY)
            state[VARY] = U0
        append(state, queue, OP_ROW)


@inlined
def end_row(options, state, queue, half_words, looks):
    """The row is over but for packets that wait for the next; `looks`: its itype is not 0."""
    if options[SINK] != 0:
        state[PASSING] = half_words
        if looks:
            append(state, queue, OP_LOOK)
            state[VARY] = U1


@inlined
def pass_time(options, state, op, half_words):
    """Let the time of a DRAIN, VARY or ROW pass."""
    if op == OP_DRAIN:
        state[LEVEL] -= min(state[LEVEL], half_words * state[RATE])
    elif op == OP_VARY:
        jitter = u64(options[SINK_JITTER])
        if jitter != U0:
            x = state[RANDOM]
            x ^= x << U13
            x ^= x >> U7
            x ^= x << U17
            state[RANDOM] = x
            state[RATE] = u64(options[SINK_RATE]) - jitter + x % (jitter + jitter + U1)
    elif op == OP_ROW:
        state[JUST_LOST] = U0


@inlined
def can_resume(options, state):
    """Is the buffer empty enough to trace again?"""
    if state[LOSING] == U0 or state[JUST_LOST] != U0:
        return False
    resume = u64(options[SINK_RESUME]) * u64(options[SINK_PER])
    return state[LEVEL] <= resume


@inlined
def fits(options, state, size):
    """Put a packet of `size` bytes into the buffer, if it fits or the hart waits until it does."""
    per = u64(options[SINK_PER])
    wanted = state[LEVEL] + u64(size) * per
    capacity = u64(options[SINK_CAPACITY]) * per
    if wanted > capacity:
        excess = wanted - capacity
        if options[SINK] != STALL:
            return False
        wait = (excess + state[RATE] - U1) // state[RATE]
        state[STALLED] += wait
        wanted -= min(state[LEVEL], wait * state[RATE])
    state[LEVEL] = wanted
    return True


@inlined
def lose(state):
    """A packet is lost, and all until `can_resume`."""
    state[LOST] += U1
    if state[LOSING] == U0:
        state[LOSING] = U1
        state[JUST_LOST] = U1
        state[BROKEN] = U1
