"""Following the execution path from one reported address to the next (chapter "Decoder").

One step is a leg (see `decoder.path.table`): it is passed without looking at its instructions,
unless the reported address may lie in it. Legs become runs: a run goes on through branches not
taken and ends with each transfer. It can be no longer than the code, so its count always fits.

`runs` is a `specs.interfaces.flow.RUN` array as uint64: start; count, ended << 32, priv << 40; and
so on.
"""

import numpy as np

from decoder.path.state import State
from decoder.path.table import (
    CONSUMES,
    ENDED,
    ENDED_BY,
    PLAIN,
    end_of,
    find_region,
    kind_of,
    size_of,
    target_of,
)
from specs.interfaces.flow import Reason
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain
from specs.kernels.words import LOW32, U0, U1, U2, U5, s64, u64

FULL = -1

#: Bits of state[HOW]. HAS_GOAL: there is an address to reach, else the path ends at the last
#: branch. IN_LEG: the address may be met between discontinuities, not only as the target of one.
#: INFER: if it is met so, a later visit may be meant. OWN: it is a branch, and the last outcome is
#: that of this visit.
HAS_GOAL, IN_LEG, INFER, OWN = 1, 2, 4, 8

_at = plain(State)
_kind = plain(Kind, np.uint64)
_reason = plain(Reason)

#: Inferable jumps without a branch between them, before asking whether they run in circles.
PATIENCE = np.uint64(64)
#: Runs that `follow` can add after it looked whether there is room.
RESERVE = 4
_TWO_RESERVES = np.uint64(2 * RESERVE)
#: No more of them than this are followed at all.
MAX_JUMPS = np.uint64(1 << 16)


@njit
def between(table, slot, goal_slot):
    """Instructions from `slot` to `goal_slot`, in the same leg; -1 if none begins at the latter."""
    steps = 0
    while slot < goal_slot:
        slot += size_of(table, slot)
        steps += 1
    return steps if slot == goal_slot else -1


@njit
def leads_somewhere(regions, table, slot, pc, goal, in_leg, mask):
    """Whether inferable jumps from `slot`, at `pc`, lead to anything but more of them, or goal."""
    seen = slot  # of every step that is a power of two: a circle comes back to one of them
    for step in range(1, s64(MAX_JUMPS)):
        last = end_of(table, slot)
        here = pc + ((last - slot) << U1)
        met = in_leg and pc <= goal and goal <= here
        if met and between(table, slot, slot + ((goal - pc) >> U1)) >= 0:
            return True
        what = kind_of(table, last)
        if what in (_kind.BRANCH, _kind.UNINFERABLE_JUMP, _kind.TRAP_RETURN):
            return True
        pc = (here + (size_of(table, last) << U1)) & mask
        if what == _kind.INFERABLE_JUMP:
            pc = target_of(table, last)
        region = find_region(regions, pc)
        if region < 0:
            return True
        slot = regions[region + 2] + ((pc - regions[region]) >> U1)
        if size_of(table, slot) == U0:
            return True
        if slot == seen:
            return False
        if step & (step - 1) == 0:
            seen = slot
    return False


@njit
def follow(regions, table, state, runs, filled):
    """Follow the path to state[GOAL], as state[HOW] (bits `HAS_GOAL`, `IN_LEG`, `INFER`) says.

    Without a goal, to the last branch of the branch map. filled[0] is the number of `runs` written.
    Returns 0, `FULL` if `runs` is too short (the state is then void), or the `Reason` why the goal
    cannot be reached, with state[ERROR_ADDRESS].
    """
    if 2 * (filled[0] + RESERVE) > runs.size:
        return FULL
    goal = u64(state[_at.GOAL])
    has_goal = state[_at.HOW] & HAS_GOAL != 0
    in_leg = has_goal and state[_at.HOW] & IN_LEG != 0
    infer = 1 if state[_at.HOW] & INFER != 0 else 0
    own = U1 if state[_at.HOW] & OWN != 0 else U0
    mask = u64(state[_at.ADDRESS_MASK])
    slot = u64(state[_at.SLOT])
    branches = u64(state[_at.BRANCHES])
    branch_map = u64(state[_at.BRANCH_MAP])
    base = u64(state[_at.REGION_BASE])
    span = u64(state[_at.REGION_SPAN])
    first = u64(state[_at.REGION_SLOT])
    run_start = u64(state[_at.RUN_START])
    run_count = u64(state[_at.RUN_COUNT])
    priv = u64(state[_at.PRIVILEGE]) << np.uint64(40)
    written = u64(filled[0]) << U1
    room = u64(runs.size) - _TWO_RESERVES
    status = 0
    met = 0
    inferred = 0
    fresh = 0  # 1: the instruction at `slot` was reached here, and may be the goal
    jumps = U0
    limit = PATIENCE
    error = U0

    while True:
        # Two outcomes or more: neither the goal nor the last branch can come first.
        while branches >= U2 and jumps <= limit and written <= room:
            leg = table[(slot << U2) + U1]
            if leg & PLAIN == U0:
                break
            consumed = leg >> CONSUMES
            not_taken = branch_map & consumed
            branch_map >>= consumed
            branches -= consumed
            jumps = (jumps + U1) & (consumed - U1)
            run_count += leg & LOW32
            runs[written] = run_start
            runs[written + U1] = run_count | (leg & ENDED) | priv
            written += U2 - (not_taken << U1)
            slot = (table[slot << U2] >> (not_taken << U5)) & LOW32
            stays = U0 - not_taken
            there = base + ((slot - first) << U1)
            run_start = there ^ ((there ^ run_start) & stays)
            run_count = (run_count & stays) + U1
            fresh = 1
        if written > room:
            return FULL

        more = table[(slot << U2) + U1] & LOW32
        last = end_of(table, slot)
        what = kind_of(table, last)
        pc = base + ((slot - first) << U1)
        here = base + ((last - first) << U1)
        if size_of(table, slot) == U0:
            run_count -= U1
            status, error = _reason.ILLEGAL_CODE, pc
            break
        ahead = fresh == 1 or last != slot
        fits = not has_goal or (in_leg and goal == here)
        if what == _kind.BRANCH and branches == U1 and ahead and fits:
            run_count += more
            slot = last
            inferred = infer
            break
        if branches == U0 and in_leg:
            offset = goal - pc
            ahead = offset <= here - pc and (fresh == 1 or offset != U0)
            if ahead and not (what == _kind.BRANCH and goal == here):
                steps = between(table, slot, slot + (offset >> U1))
                if steps >= 0:
                    run_count += u64(steps)
                    slot += offset >> U1
                    inferred = infer
                    met = 1
                    break
                if limit == PATIENCE:
                    jumps = (
                        limit  # the walk was long enough: if this is a circle, let it be the last
                    )
        run_count += more
        slot = last
        onward = here + (size_of(table, last) << U1)
        leaves = True
        arrived = False
        if what == _kind.BRANCH:
            if branches == own:
                status, error = _reason.NO_BRANCH, here
                break
            leaves = branch_map & U1 == U0
            if leaves:
                onward = target_of(table, last)
            branch_map >>= U1
            branches -= U1
            jumps = U0
        elif what == _kind.INFERABLE_JUMP:
            jumps += U1
            if jumps > limit:
                if limit != PATIENCE or not leads_somewhere(
                    regions, table, last, here, goal, in_leg and branches == U0, mask
                ):
                    status, error = _reason.NOT_REACHED, goal if has_goal else here
                    break
                limit = MAX_JUMPS
            onward = target_of(table, last)
        elif what in (_kind.UNINFERABLE_JUMP, _kind.TRAP_RETURN):
            if not has_goal:
                status, error = _reason.UNEXPECTED_DISCONTINUITY, here
                break
            arrived = True
            onward = goal
        else:
            leaves = False
        if leaves:
            runs[written] = run_start
            runs[written + U1] = run_count | (ENDED_BY[what] << np.uint64(32)) | priv
            written += U2
            run_start = onward
            run_count = U0
        run_count += U1

        fresh = 1
        offset = onward - base
        if offset < span and onward & U1 == U0:
            slot = first + (offset >> U1)
        else:
            onward &= mask
            region = find_region(regions, onward)
            if region < 0:
                run_count -= U1
                status, error = _reason.NO_CODE, onward
                break
            if not leaves:
                # from the last address to the first
                runs[written] = run_start
                runs[written + U1] = (run_count - U1) | priv
                written += U2
                run_start = onward
                run_count = U1
            base = regions[region]
            span = regions[region + 1] - base
            first = regions[region + 2]
            slot = first + ((onward - base) >> U1)
        if arrived:
            if size_of(table, slot) == U0:
                run_count -= U1
                status, error = _reason.ILLEGAL_CODE, onward
            elif branches != (U1 if kind_of(table, slot) == _kind.BRANCH else U0):
                status, error = _reason.UNPROCESSED_BRANCHES, onward
            break

    filled[0] = s64(written >> U1)
    state[_at.SLOT] = s64(slot)
    state[_at.BRANCHES] = s64(branches)
    state[_at.BRANCH_MAP] = s64(branch_map)
    state[_at.REGION_BASE] = s64(base)
    state[_at.REGION_SPAN] = s64(span)
    state[_at.REGION_SLOT] = s64(first)
    state[_at.RUN_START] = s64(run_start)
    state[_at.RUN_COUNT] = s64(run_count)
    state[_at.INFERRED] = inferred if has_goal else 0
    state[_at.MET] = met
    state[_at.ERROR_ADDRESS] = s64(error)
    return status
