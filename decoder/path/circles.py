"""Rounds that no packet shows: does execution pass an address that was met by walking once more,
with nothing on the way that a packet would have to tell? (docs/choices.md, "Loops that no packet
shows")
"""

import numpy as np

from decoder.path import table as legs
from decoder.path.follow import MAX_JUMPS, inferring
from decoder.path.state import State
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import LOW32, U0, U1, s64, u64
from specs.trace.predictors import DEPTH, STACK, STACK_MASK, TOP, call, link, unwind

_at = plain(State)
_bound = plain(legs.Bound)
_kind = plain(Kind, np.uint64)

#: What `round_from` finds: nothing, a round that is like the one before, or one that is not.
NO_ROUND, ENDLESS, VISIT = 0, 1, 2


@spliced
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
def round_from(path, history, scratch):
    """Follow the path from the last retired instruction until it comes by there again:
    (`NO_ROUND`, `ENDLESS` or `VISIT`; instructions in the round; implicit returns among them; by
    how many entries the return stack is deeper then).

    `scratch`: as long as `history`, which stays as it is; both None without modes that keep one.
    """
    regions, table, settings, state = path
    begin = u64(state[_at.SLOT])
    slot = begin
    base = u64(state[_at.REGION_BASE])
    first = u64(state[_at.REGION_SLOT])
    copied = False
    instructions = U0
    implicit = 0
    if history is not None:
        calls, returns, sequential = inferring(settings)
        known = u64(state[_at.LAST]) if state[_at.LAST] >= 0 else slot
        lowest = history[DEPTH]
    seen = slot  # of every jump that is a power of two: another circle comes back to one of them
    for jumps in range(s64(MAX_JUMPS)):
        last = legs.end_of(table, slot)
        if jumps > 0 and slot <= begin and begin <= last:
            # by its instructions: code may overlap
            steps = legs.between(table, slot, begin)
            if steps >= 0:
                same, deeper = True, s64(0)
                if history is not None:
                    if copied:
                        same = lowest >= history[DEPTH] or same_stack(history, scratch)
                        deeper = s64(scratch[DEPTH] - history[DEPTH])
                return ENDLESS if same else VISIT, instructions + u64(steps), implicit, deeper
        if legs.size_of(table, slot) == U0:
            break
        leg = legs.leg_of(table, slot)
        instructions += (leg & LOW32) + U1
        here = base + ((last - first) << U1)
        onward = (here + (legs.size_of(table, last) << U1)) & u64(state[_at.ADDRESS_MASK])
        what = legs.kind_of(table, last)
        if what == _kind.BRANCH or what == _kind.TRAP_RETURN:
            break
        if history is None:
            if what == _kind.INFERABLE_JUMP:
                onward = legs.target_of(table, last)
            elif what == _kind.UNINFERABLE_JUMP:
                break
        elif what in (_kind.INFERABLE_JUMP, _kind.UNINFERABLE_JUMP):
            stacked = leg & (calls | returns) != U0
            if stacked and not copied:
                for k in range(history.size):
                    scratch[k] = history[k]
                copied = True
            if leg & calls != U0:
                call(scratch, onward)
            if what == _kind.INFERABLE_JUMP:
                onward = legs.target_of(table, last)
            elif legs.leg_of(table, known) & sequential != U0:
                onward = legs.leads_of(table, known)
            elif leg & returns != U0 and scratch[DEPTH] != U0:
                onward = link(scratch)
                unwind(scratch)
                lowest = min(lowest, scratch[DEPTH])
                implicit += 1
            else:
                break
        region = legs.find_region(regions, onward)
        if region < 0:
            break
        base = regions[region + _bound.BASE]
        first = regions[region + _bound.SLOT]
        slot = legs.slot_of(regions, region, onward)
        if history is not None:
            known = slot
        if not copied:
            if slot == seen and slot != begin:
                break
            if jumps & (jumps - 1) == 0:
                seen = slot
    return NO_ROUND, U0, 0, s64(0)
