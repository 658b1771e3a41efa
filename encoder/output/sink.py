"""Kernels: a buffer that a link of limited bandwidth empties (docs/qualification.md, "Loss").

While rows are taken, what passes of time is queued between the packets
(`encoder.state.Op`); here it happens, in that order, when the queue is written.
"""

import numpy as np

from encoder.state import Op, op, option, sink_kind, slot
from specs.kernels.njit import inlined
from specs.kernels.words import U0, U1, U7, U13, U17, u64

FIRST_OP = np.uint64(Op.DRAIN)


@inlined
def pass_time(options, state, what, half_words):
    """Let the time of a DRAIN, VARY or ROW pass."""
    if what == op.DRAIN:
        state[slot.level] -= min(state[slot.level], half_words * state[slot.rate])
    elif what == op.VARY:
        jitter = u64(options[option.sink_jitter])
        if jitter != U0:
            x = state[slot.random]
            x ^= x << U13
            x ^= x >> U7
            x ^= x << U17
            state[slot.random] = x
            state[slot.rate] = u64(options[option.sink_rate]) - jitter + x % (jitter + jitter + U1)
    elif what == op.ROW:
        state[slot.just_lost] = U0


@inlined
def can_resume(options, state):
    """Is the buffer empty enough to trace again?"""
    if state[slot.losing] == U0 or state[slot.just_lost] != U0:
        return False
    resume = u64(options[option.sink_resume]) * u64(options[option.sink_per])
    return state[slot.level] <= resume


@inlined
def fits(options, state, size):
    """Put a packet of `size` bytes into the buffer, if it fits or the hart waits until it does."""
    per = u64(options[option.sink_per])
    wanted = state[slot.level] + u64(size) * per
    capacity = u64(options[option.sink_capacity]) * per
    if wanted > capacity:
        excess = wanted - capacity
        if options[option.sink] != sink_kind.STALL:
            return False
        wait = (excess + state[slot.rate] - U1) // state[slot.rate]
        state[slot.stalled] += wait
        wanted -= min(state[slot.level], wait * state[slot.rate])
    state[slot.level] = wanted
    return True


@inlined
def lose(state):
    """A packet is lost, and all until `can_resume`."""
    state[slot.lost] += U1
    if state[slot.losing] == U0:
        state[slot.losing] = U1
        state[slot.just_lost] = U1
        state[slot.broken] = U1
