"""A hash of a flow that does not depend on how it is cut into runs.

Of each stretch of consecutive instructions at one privilege, as long as can be, start, count and
privilege are mixed into one number of 64 bits. It is for finding changes, not against attackers.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from specs.interfaces.flow import RUN
from specs.interfaces.records import places
from specs.isa.kernel import find_slot
from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import LOW32, U0, U1, U2, U32, U255, s64, u64


class Hashed(IntEnum):
    """Places of the state (uint64)."""

    HASH = 0  # of the stretches that are closed
    INSTRUCTIONS = 1  # in them
    START = 2  # of the open stretch
    COUNT = 3  # 0: there is none
    PRIV = 4
    PART = 5  # where its last run begins
    PART_COUNT = 6
    NEXT = 7  # instructions at which the next checkpoint is due
    EVERY = 8  # instructions between checkpoints
    MARKS = 9  # hash of the marks so far


class Sizes(NamedTuple):
    """The sizes of a program's instructions: columns of a `specs.isa.control.CodeMap`."""

    region_base: Any
    region_end: Any
    region_slot: Any
    size: Any


_WORDS = RUN.itemsize // 8
_run = places(RUN)
_at = plain(Hashed)
#: Numbers without a pattern: the fractions of the square roots of 2 (made odd), 3 and 5.
_FIRST = np.uint64(0x6A09E667F3BCC909)
_SECOND = np.uint64(0xBB67AE8584CAA73B)
_THIRD = np.uint64(0x3C6EF372FE94F82B)


@inlined
def _mixed(value):
    value ^= value >> U32
    value *= _SECOND
    value ^= value >> U32
    value *= _THIRD
    return value ^ (value >> U32)


@inlined
def _goes_on(sizes, state, start):
    """Whether `start` is where the open stretch ends."""
    pc, count = state[_at.PART], state[_at.PART_COUNT]
    distance = start - pc
    # two or four bytes each
    if distance < count << U1 or distance > count << U2:
        return False
    slot = s64(find_slot(sizes.region_base, sizes.region_end, sizes.region_slot, pc))
    if slot < 0:
        return False
    where = u64(slot)
    for _ in range(s64(count)):
        step = u64(sizes.size[where])
        where += step
        pc += step << U1
    return pc == start


@inlined
def _close(state, checkpoints, filled):
    """Mix the open stretch in; how many checkpoints there are then."""
    count = state[_at.COUNT]
    if count == U0:
        return filled
    word = _mixed(state[_at.START] * _FIRST + (count << U2 ^ state[_at.PRIV]) * _SECOND)
    state[_at.HASH] = state[_at.HASH] * _THIRD + word
    state[_at.INSTRUCTIONS] += count
    state[_at.COUNT] = U0
    if state[_at.INSTRUCTIONS] >= state[_at.NEXT]:
        checkpoints[filled, 0] = state[_at.INSTRUCTIONS]
        checkpoints[filled, 1] = state[_at.HASH]
        filled += 1
        every = state[_at.EVERY]
        state[_at.NEXT] = (state[_at.INSTRUCTIONS] // every + U1) * every
    return filled


@njit
def hash_runs(sizes, runs, state, checkpoints):
    """Mix `runs` (flat words) in; how many `checkpoints` (instructions, hash) that gave.

    There is room for one more of them than there are runs.
    """
    filled = 0
    for i in range(0, runs.size, _WORDS):
        at = u64(i)
        start, word = runs[at + _run.start], runs[at + _run.count]
        count, priv = word & LOW32, (word >> _run.priv_at) & U255
        if state[_at.COUNT] != U0 and priv == state[_at.PRIV] and _goes_on(sizes, state, start):
            state[_at.COUNT] += count
        else:
            filled = _close(state, checkpoints, filled)
            state[_at.START] = start
            state[_at.COUNT] = count
            state[_at.PRIV] = priv
        state[_at.PART] = start
        state[_at.PART_COUNT] = count
    return filled


@njit
def close(state, checkpoints):
    """Mix in what is open at the end; how many `checkpoints` that gave."""
    return _close(state, checkpoints, 0)


@njit
def hash_marks(marks, state, checkpoints, hashes):
    """Mix `marks` (rows of uint64: the position first, sorted) that stand before the last of
    `checkpoints` in; how many. `hashes` gets what holds at each checkpoint.
    """
    taken = 0
    for n in range(checkpoints.shape[0]):
        while taken < marks.shape[0] and marks[taken, 0] < checkpoints[n, 0]:
            word = U0
            for column in range(marks.shape[1]):
                word = _mixed(word + marks[taken, column] * _FIRST + _SECOND)
            state[_at.MARKS] = state[_at.MARKS] * _THIRD + word
            taken += 1
        hashes[n] = state[_at.MARKS]
    return taken
