"""Rounds that no packet shows: does execution pass an address that was met by walking once more,
with nothing on the way that a packet would have to tell? (docs/choices.md, "Loops that no packet
shows")
"""

import numpy as np

from decoder.path.settings import Setting
from decoder.path.state import State
from decoder.path.table import (
    CALLS,
    RETURNS,
    SEQUENTIAL,
    end_of,
    find_region,
    kind_of,
    size_of,
    target_of,
)
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain
from specs.kernels.words import LOW32, U0, U1, U2, s64, u64
from specs.trace.predictors import DEPTH, STACK, STACK_MASK, TOP, call, link, unwind

_at = plain(State)
_setting = plain(Setting)
_kind = plain(Kind, np.uint64)

#: What `round_from` finds: nothing, a round that is like the one before, or one that is not.
NO_ROUND, ENDLESS, VISIT = 0, 1, 2
#: Jumps in a round: no path has more (`decoder.path.follow`).
_MOST_JUMPS = 1 << 16


@njit
def same_stack(one, other):
    """Have two return stacks the same entries?"""
    if one[DEPTH] != other[DEPTH]:
        return False
    stack, mask = one[STACK], one[STACK_MASK]
    for k in range(s64(one[DEPTH])):
        a = stack + (((one[TOP] - u64(k)) & mask) << U1)
        b = stack + (((other[TOP] - u64(k)) & mask) << U1)
        if one[a] != other[b] or one[a + U1] != other[b + U1]:
            return False
    return True


@njit
def round_from(regions, table, history, scratch, settings, state):
    """Follow the path from the last retired instruction until it comes by there again:
    (`NO_ROUND`, `ENDLESS` or `VISIT`; instructions in the round; implicit returns among them; by
    how many entries the return stack is deeper then).

    `scratch`: as long as `history`, which stays as it is.
    """
    calls, returns, sequential = U0, U0, U0
    if settings[_setting.IMPLICIT_RETURN] != 0:
        calls, returns = CALLS, RETURNS
    if settings[_setting.SIJUMP] != 0:
        sequential = SEQUENTIAL
    begin = u64(state[_at.SLOT])
    slot = begin
    base = u64(state[_at.REGION_BASE])
    first = u64(state[_at.REGION_SLOT])
    known = u64(state[_at.LAST]) if state[_at.LAST] >= 0 else slot
    copied = False
    lowest = history[DEPTH]
    instructions = U0
    implicit = 0
    seen = slot  # of every jump that is a power of two: another circle comes back to one of them
    for jumps in range(_MOST_JUMPS):
        last = end_of(table, slot)
        if jumps > 0 and slot <= begin and begin <= last:
            # by its instructions: code may overlap
            at = slot
            steps = U0
            while at < begin:
                at += size_of(table, at)
                steps += U1
            if at == begin:
                same = not copied or lowest >= history[DEPTH] or same_stack(history, scratch)
                deeper = s64(scratch[DEPTH] - history[DEPTH]) if copied else s64(0)
                return ENDLESS if same else VISIT, instructions + steps, implicit, deeper
        leg = table[(slot << U2) + U1]
        if size_of(table, slot) == U0:
            break
        instructions += (leg & LOW32) + U1
        here = base + ((last - first) << U1)
        onward = (here + (size_of(table, last) << U1)) & u64(state[_at.ADDRESS_MASK])
        what = kind_of(table, last)
        if what == _kind.BRANCH or what == _kind.TRAP_RETURN:
            break
        if what in (_kind.INFERABLE_JUMP, _kind.UNINFERABLE_JUMP):
            stacked = leg & (calls | returns) != U0
            if stacked and not copied:
                for k in range(history.size):
                    scratch[k] = history[k]
                copied = True
            if leg & calls != U0:
                call(scratch, onward)
            if what == _kind.INFERABLE_JUMP:
                onward = target_of(table, last)
            elif table[(known << U2) + U1] & sequential != U0:
                onward = table[known << U2]
            elif leg & returns != U0 and scratch[DEPTH] != U0:
                onward = link(scratch)
                unwind(scratch)
                lowest = min(lowest, scratch[DEPTH])
                implicit += 1
            else:
                break
        region = find_region(regions, onward)
        if region < 0:
            break
        base = regions[region]
        first = regions[region + 2]
        slot = first + ((onward - base) >> U1)
        known = slot
        if not copied:
            if slot == seen and slot != begin:
                break
            if jumps & (jumps - 1) == 0:
                seen = slot
    return NO_ROUND, U0, 0, s64(0)
