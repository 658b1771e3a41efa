"""Kernels: V, the contiguous segments retired since the last anchor (docs/choices.md, "Loops that
no packet shows"; docs/modes.md, "One packet for each visit")."""

from encoder.state import MAX_SEGMENTS, Slot
from specs.compiled import inlined, s64, u64

CUR_END = int(Slot.cur_end)
SEGMENTS = int(Slot.segments)
RETURNS = int(Slot.returns)


@inlined
def within(segments, count, address):
    """Does `address` lie in one of the first `count` segments of V?"""
    for i in range(count):  # noqa: SIM110 (a kernel)
        if segments[i, 0] <= address and address <= segments[i, 1]:
            return True
    return False


@inlined
def visits(segments, count, address, returns):
    """In how many of the first `count` segments, of those after `returns` implicit returns?"""
    found = 0
    for i in range(count):
        if segments[i, 0] <= address and address <= segments[i, 1] and segments[i, 2] == returns:
            found += 1
    return found


@inlined
def all_visits(segments, count, address):
    """In how many of the first `count` segments?"""
    found = 0
    for i in range(count):
        if segments[i, 0] <= address and address <= segments[i, 1]:
            found += 1
    return found


@inlined
def extend_segments(state, segments, begin, last):
    """Add the contiguous instructions from `begin` to `last` to V."""
    count = s64(state[SEGMENTS])
    returns = state[RETURNS]
    if count > 0 and begin == state[CUR_END] and segments[count - 1, 2] == returns:
        segments[count - 1, 1] = last
    elif count < MAX_SEGMENTS:
        segments[count, 0] = begin
        segments[count, 1] = last
        segments[count, 2] = returns
        state[SEGMENTS] = u64(count + 1)
