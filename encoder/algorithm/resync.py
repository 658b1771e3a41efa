"""Kernels: when resynchronisation is due (check 2 of the flow chart; docs/choices.md)."""

from encoder.state import option, slot, unit
from specs.kernels.njit import inlined
from specs.kernels.words import U0, U1, s64, u64


@inlined
def is_due(options, state):
    """Is resynchronisation due at a row (check 2)?"""
    if options[option.unit] == unit.PACKETS:
        return s64(state[slot.resync_count]) > options[option.period]
    return state[slot.due] != U0


@inlined
def due_after_packet(options, state):
    """Will it be, once one more packet was sent?"""
    if options[option.unit] == unit.PACKETS:
        return s64(state[slot.resync_count]) + 1 > options[option.period]
    return state[slot.due] != U0


@inlined
def count_towards_resync(options, state, code, half_words):
    """Units "instructions" and "cycles", for the row in hand."""
    if options[option.unit] == unit.INSTRUCTIONS:
        state[slot.resync_count] += half_words
    elif options[option.unit] == unit.CYCLES:
        state[slot.resync_count] = state[slot.time] - state[slot.sync_time]
    else:
        return
    if code != U0 and state[slot.resync_count] >= u64(options[option.period]):
        state[slot.cur_pending] = U1
