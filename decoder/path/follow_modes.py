"""Following the execution path with the optional modes (docs/modes.md).

As `decoder.path.follow`, leg by leg; besides, branch outcomes may be given by a count of correct
predictions, and jumps through a register may be inferred. What a path does to branch predictor,
jump target cache and return stack (`history`, see `specs.trace.predictors`) cannot be undone, and a
count may stand for billions of branches: so where `runs` is full a path is interrupted and goes on
there with the next call.
"""

import numpy as np

from decoder.path.follow import (
    FULL,
    HAS_GOAL,
    IN_LEG,
    INFER,
    MAX_JUMPS,
    OWN,
    PATIENCE,
    RESERVE,
    between,
    leads_somewhere,
)
from decoder.path.settings import Setting
from decoder.path.state import State
from decoder.path.table import (
    CALLS,
    CONSUMES,
    ENDED,
    ENDED_BY,
    PLAIN,
    RETURNS,
    SEQUENTIAL,
    end_of,
    find_region,
    kind_of,
    size_of,
    target_of,
)
from specs.interfaces.flow import Reason
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import LOW32, U0, U1, U2, U5, b2u, s64, u64
from specs.trace.predictors import (
    BPRED,
    BPRED_MASK,
    DEPTH,
    INDEX_SHIFT,
    cache,
    call,
    link,
    predictor_index,
    train,
    unwind,
)

_at = plain(State)
_setting = plain(Setting)
_kind = plain(Kind, np.uint64)
_reason = plain(Reason)

_BPRED = np.uint64(BPRED)
_TWO_RESERVES = np.uint64(2 * RESERVE)


@spliced
def makes_sequential(table, slot, goal_slot):
    """Slot before `goal_slot` in the leg from `slot`, if it makes a sequentially inferable jump of
    the instruction there; else -1."""
    before = s64(-1)
    while slot < goal_slot:
        before = s64(slot)
        slot += size_of(table, slot)
    if before >= 0 and table[(u64(before) << U2) + U1] & SEQUENTIAL == U0:
        return s64(-1)
    return before


@njit
def follow_modes(regions, table, history, settings, state, runs, filled):
    """As `decoder.path.follow.follow`, with the optional modes.

    Returns `FULL` where `runs` is too short: the next call goes on from there. For a new path
    state[FRESH] and state[JUMPS] are 0, state[LIMIT] is `PATIENCE`.
    """
    goal = u64(state[_at.GOAL])
    has_goal = state[_at.HOW] & HAS_GOAL != 0
    in_leg = has_goal and state[_at.HOW] & IN_LEG != 0
    infer = 1 if state[_at.HOW] & INFER != 0 else 0
    own = U1 if state[_at.HOW] & OWN != 0 else U0
    mask = u64(state[_at.ADDRESS_MASK])
    depth = state[_at.DEPTH]
    has_irets = settings[_setting.HAS_IRETS] != 0
    # An address is at its first visit with that many irets, or that irdepth (unless notify is set).
    at_depth = depth >= 0 and (has_irets or infer == 1)
    depth_mask = u64(settings[_setting.DEPTH_MASK])
    goal_outcomes = u64(state[_at.GOAL_BRANCH])
    calls, returns, sequential = U0, U0, U0
    if settings[_setting.IMPLICIT_RETURN] != 0:
        calls, returns = CALLS, RETURNS
    if settings[_setting.SIJUMP] != 0:
        sequential = SEQUENTIAL
    index_shift = history[INDEX_SHIFT]
    index_mask = history[BPRED_MASK]
    slot = u64(state[_at.SLOT])
    branches = u64(state[_at.BRANCHES])
    branch_map = u64(state[_at.BRANCH_MAP])
    predicted = u64(state[_at.PREDICTED])
    failed = u64(state[_at.FAILED])
    irets = u64(state[_at.IRETS])
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
    fresh = state[_at.FRESH]  # 1: the instruction at `slot` was reached here, and may be the goal
    previous = state[_at.LAST]
    jumps = u64(state[_at.JUMPS])
    limit = u64(state[_at.LIMIT])
    error = U0

    while True:
        outcomes = branches + predicted + failed
        # Two outcomes or more: neither the goal nor the last branch can come first.
        while outcomes >= U2 and jumps <= limit and written <= room:
            leg = table[(slot << U2) + U1]
            if leg & PLAIN == U0:
                break
            last = table[(slot << U2) + np.uint64(3)]
            here = base + ((last - first) << U1)
            not_taken = U0
            if leg >> CONSUMES != U0:
                at = _BPRED + ((here >> index_shift) & index_mask)
                entry = history[at]
                if branches != U0:
                    not_taken = branch_map & U1
                    branch_map >>= U1
                    branches -= U1
                else:
                    not_taken = (entry >> U1) ^ U1
                    predicted -= U1
                history[at] = train(entry, not_taken ^ U1)
                outcomes -= U1
                irets = U0
                jumps = U0
            else:
                jumps += U1
                if leg & calls != U0:
                    call(history, here + (size_of(table, last) << U1))
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
            status = FULL
            break

        leg = table[(slot << U2) + U1]
        more = leg & LOW32
        last = end_of(table, slot)
        what = kind_of(table, last)
        pc = base + ((slot - first) << U1)
        here = base + ((last - first) << U1)
        if size_of(table, slot) == U0:
            run_count -= U1
            status, error = _reason.ILLEGAL_CODE, pc
            break
        now = irets if has_irets else history[DEPTH] & depth_mask
        meets = in_leg and (not at_depth or now == u64(depth))
        ahead = fresh == 1 or last != slot
        fits = not has_goal or (meets and goal == here)
        if what == _kind.BRANCH and outcomes == U1 and ahead and fits:
            run_count += more
            slot = last
            previous = s64(-1)
            inferred = infer
            break
        if outcomes == U0 and meets:
            offset = goal - pc
            ahead = offset <= here - pc and (fresh == 1 or offset != U0)
            if ahead and not (what == _kind.BRANCH and goal == here):
                steps = between(table, slot, slot + (offset >> U1))
                if steps >= 0:
                    run_count += u64(steps)
                    previous = s64(-1)
                    if sequential != U0 and goal == here:
                        previous = makes_sequential(table, slot, last)
                    slot += offset >> U1
                    inferred = infer
                    met = 1
                    break
                if limit == PATIENCE:
                    # the walk was long enough: if this is a circle, let it be the last
                    jumps = limit
        known = u64(previous) if previous >= 0 else slot
        previous = s64(-1)
        run_count += more
        slot = last
        onward = here + (size_of(table, last) << U1)
        fresh = 1
        leaves = True
        arrived = False
        walked = False
        was_predicted = False
        if what == _kind.BRANCH:
            if outcomes == own:
                status, error = _reason.NO_BRANCH, here
                break
            at = predictor_index(history, here)
            entry = history[at]
            if branches != U0:
                not_taken = branch_map & U1
                branch_map >>= U1
                branches -= U1
            elif predicted != U0:
                not_taken = (entry >> U1) ^ U1
                predicted -= U1
            else:
                not_taken = entry >> U1
                failed = U0
            history[at] = train(entry, not_taken ^ U1)
            irets = U0
            jumps = U0
            leaves = not_taken == U0
            if leaves:
                onward = target_of(table, last)
        elif what in (_kind.INFERABLE_JUMP, _kind.UNINFERABLE_JUMP):
            if leg & calls != U0:
                call(history, onward)
            if what == _kind.INFERABLE_JUMP:
                onward = target_of(table, last)
                walked = True
            elif table[(known << U2) + U1] & sequential != U0:
                onward = table[known << U2]
                walked = True
            elif leg & returns != U0 and history[DEPTH] != U0:
                was_predicted = link(history) == goal
                explicit = (
                    has_goal and depth >= 0 and now == u64(depth) and outcomes == goal_outcomes
                )
                walked = not explicit
                if walked:
                    onward = link(history)
                    irets += U1
                if walked or has_irets:
                    unwind(history)
            arrived = not walked
        elif what == _kind.TRAP_RETURN:
            arrived = True
        else:
            leaves = False
        if walked:
            jumps += U1
            if jumps > limit:
                if limit != PATIENCE or not leads_somewhere(
                    regions, table, last, here, goal, in_leg and outcomes == U0, mask
                ):
                    status, error = _reason.NOT_REACHED, goal if has_goal else here
                    break
                limit = MAX_JUMPS
        if arrived:
            if not has_goal:
                status, error = _reason.UNEXPECTED_DISCONTINUITY, here
                break
            if not was_predicted:
                cache(history, goal)
            onward = goal
        if leaves:
            runs[written] = run_start
            runs[written + U1] = run_count | (ENDED_BY[what] << np.uint64(32)) | priv
            written += U2
            run_start = onward
            run_count = U0
        run_count += U1

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
            elif branches + predicted + failed != b2u(kind_of(table, slot) == _kind.BRANCH):
                status, error = _reason.UNPROCESSED_BRANCHES, onward
            break

    if status == 0 and predicted + failed != U0:
        # The branch at `slot` is still to be executed, but its outcome is certain.
        entry = history[predictor_index(history, base + ((slot - first) << U1))]
        branch_map = (entry >> U1) ^ predicted
        branches = U1
        predicted = failed = U0
    filled[0] = s64(written >> U1)
    state[_at.SLOT] = s64(slot)
    state[_at.BRANCHES] = s64(branches)
    state[_at.BRANCH_MAP] = s64(branch_map)
    state[_at.PREDICTED] = s64(predicted)
    state[_at.FAILED] = s64(failed)
    state[_at.IRETS] = s64(irets)
    state[_at.REGION_BASE] = s64(base)
    state[_at.REGION_SPAN] = s64(span)
    state[_at.REGION_SLOT] = s64(first)
    state[_at.RUN_START] = s64(run_start)
    state[_at.RUN_COUNT] = s64(run_count)
    state[_at.INFERRED] = inferred if has_goal else 0
    state[_at.MET] = met
    state[_at.FRESH] = fresh
    state[_at.LAST] = previous
    state[_at.JUMPS] = s64(jumps)
    state[_at.LIMIT] = s64(limit)
    state[_at.ERROR_ADDRESS] = s64(error)
    return status
