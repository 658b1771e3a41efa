"""Kernels: V, the contiguous segments retired since the last anchor (docs/choices.md, "Loops that
no packet shows" and "Earlier visits"; docs/modes.md, "One packet for each visit").

`count` is how many there are. Where execution runs in circles, which `loops = "spec"` does not
tell, V is given up until the next anchor, unless a round has several visits of one place.
"""

import numpy as np

from encoder.algorithm.state import CIRCLES, MAX_SEGMENTS, Option, Slot
from specs.kernels.njit import inlined, njit
from specs.kernels.words import s64, u64

CUR_END = int(Slot.cur_end)
SEGMENTS = int(Slot.segments)
RETURNS = int(Slot.returns)
NESTING = int(Slot.nesting)
EXACT_LOOPS = int(Option.exact_loops)
EXACT_VISITS = int(Option.exact_visits)
KEEPS_SEGMENTS = int(Option.keeps_segments)

_CIRCLES = np.uint64(CIRCLES)


@inlined
def kept(state):
    """How many segments V has; 0 if it was given up."""
    return s64(state[SEGMENTS]) if state[SEGMENTS] != _CIRCLES else 0


@inlined
def within(segments, count, address):
    """Does `address` lie in one of the first `count` segments of V?"""
    for i in range(count):
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
def closes_circle(segments, count, address, level):
    """Does an inferable jump to `address`, at `level` from then on, lead round in a circle?

    It does if the address was passed at that level or one further out, and no return led further
    out since: then nothing that happened before can make this round differ from the next.
    """
    lowest = level
    for k in range(count):
        i = count - 1 - k
        if s64(segments[i, 3] - lowest) < 0:
            lowest = segments[i, 3]
        inside = segments[i, 0] <= address and address <= segments[i, 1]
        if inside and lowest == segments[i, 3]:
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
            lower |= s64(segments[j, 3] - segments[i, 3]) < 0
            if lower and segments[j, 0] <= segments[i, 1] and segments[i, 0] <= segments[j, 1]:
                return True
    return False


@inlined
def give_up(state):
    """Execution runs in circles until the next anchor."""
    state[SEGMENTS] = _CIRCLES


@inlined
def extend_segments(options, state, segments, begin, last):
    """Add the contiguous instructions from `begin` to `last` to V."""
    if options[KEEPS_SEGMENTS] == 0 or state[SEGMENTS] == _CIRCLES:
        return
    count = s64(state[SEGMENTS])
    returns = state[RETURNS]
    if count > 0 and begin == state[CUR_END] and segments[count - 1, 2] == returns:
        segments[count - 1, 1] = last
    elif count < MAX_SEGMENTS:
        segments[count, 0] = begin
        segments[count, 1] = last
        segments[count, 2] = returns
        segments[count, 3] = state[NESTING]
        state[SEGMENTS] = u64(count + 1)
