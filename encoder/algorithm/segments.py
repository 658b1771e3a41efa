"""Kernels: V, the contiguous segments retired since the last anchor (docs/choices.md, "Loops that
no packet shows" and "Earlier visits"; docs/modes.md, "One packet for each visit").

`count` is how many there are. Where execution runs in circles, which `loops = "spec"` does not
tell, V is given up until the next anchor, unless a round has several visits of one place.
"""

import numpy as np

from encoder.state import CIRCLES, MAX_SEGMENTS, option, segment, slot
from specs.kernels.njit import inlined, njit
from specs.kernels.words import s64, u64

_CIRCLES = np.uint64(CIRCLES)


@inlined
def kept(state):
    """How many segments V has; 0 if it was given up."""
    return s64(state[slot.segments]) if state[slot.segments] != _CIRCLES else 0


@inlined
def holds(segments, i, address):
    """Does `address` lie in segment `i`?"""
    return segments[i, segment.first] <= address and address <= segments[i, segment.last]


@inlined
def within(segments, count, address):
    """Does `address` lie in one of the first `count` segments of V?"""
    for i in range(count):
        if holds(segments, i, address):
            return True
    return False


@inlined
def visits(segments, count, address, returns):
    """In how many of the first `count` segments, of those after `returns` implicit returns?"""
    found = 0
    for i in range(count):
        if holds(segments, i, address) and segments[i, segment.returns] == returns:
            found += 1
    return found


@inlined
def all_visits(segments, count, address):
    """In how many of the first `count` segments?"""
    found = 0
    for i in range(count):
        if holds(segments, i, address):
            found += 1
    return found


@inlined
def closes_circle(segments, count, address, level):
    """Does an inferable jump to `address`, at `level` from then on, lead round in a circle?

    It does if the address was passed at that level or one further out, and no return led further
    out since: then nothing that happened before can make this round differ from the next.
    """
    lowest = level
    for k in range(count):
        i = count - 1 - k
        if s64(segments[i, segment.nesting] - lowest) < 0:
            lowest = segments[i, segment.nesting]
        if holds(segments, i, address) and lowest == segments[i, segment.nesting]:
            return True
    return False


@njit
def has_visits(segments, count):
    """Was a place in V passed twice with a return that led further out between, a function called
    twice, say? Then its address alone does not tell which visit of a round is meant.
    """
    for i in range(count):
        lower = False
        for j in range(i + 1, count):
            lower |= s64(segments[j, segment.nesting] - segments[i, segment.nesting]) < 0
            meets = segments[j, segment.first] <= segments[i, segment.last]
            if lower and meets and segments[i, segment.first] <= segments[j, segment.last]:
                return True
    return False


@inlined
def give_up(state):
    """Execution runs in circles until the next anchor."""
    state[slot.segments] = _CIRCLES


@inlined
def extend_segments(options, state, segments, begin, last):
    """Add the contiguous instructions from `begin` to `last` to V."""
    if options[option.keeps_segments] == 0 or state[slot.segments] == _CIRCLES:
        return
    count = s64(state[slot.segments])
    returns = state[slot.returns]
    goes_on = count > 0 and begin == state[slot.cur_end]
    if goes_on and segments[count - 1, segment.returns] == returns:
        segments[count - 1, segment.last] = last
    elif count < MAX_SEGMENTS:
        segments[count, segment.first] = begin
        segments[count, segment.last] = last
        segments[count, segment.returns] = returns
        segments[count, segment.nesting] = state[slot.nesting]
        state[slot.segments] = u64(count + 1)
