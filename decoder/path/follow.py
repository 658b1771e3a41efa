"""Following the execution path from one reported address to the next (chapter "Decoder").

One step is a leg (see `decoder.path.table`): it is passed without looking at its instructions,
unless the reported address may lie in it. Legs become runs: a run goes on through branches not
taken and ends with each transfer. It can be no longer than the code, so its count always fits.

With optional modes (docs/modes.md) branch outcomes may be given by a count of correct predictions
besides, and jumps through a register may be inferred. What a path does to branch predictor, jump
target cache and return stack (`history`, see `specs.trace.predictors`; None without those modes)
cannot be undone, and a count may stand for billions of branches: so where `runs` is full a path is
interrupted and goes on there with the next call.
"""

import numpy as np

from decoder.path import table as legs
from decoder.path.outputs import RUN_WORDS, Filled
from decoder.path.settings import Setting
from decoder.path.state import State
from specs.interfaces.flow import RUN, Reason
from specs.interfaces.records import places
from specs.isa.control import Kind
from specs.kernels.njit import inlined, njit, plain, spliced
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

#: Status of a path for which `runs` is too short.
FULL = -1

#: Bits of state[HOW]. HAS_GOAL: there is an address to reach, else the path ends at the last
#: branch. IN_LEG: the address may be met between discontinuities, not only as the target of one.
#: INFER: if it is met so, a later visit may be meant. OWN: it is a branch, and the last outcome is
#: that of this visit.
HAS_GOAL, IN_LEG, INFER, OWN = 1, 2, 4, 8

_at = plain(State)
_setting = plain(Setting)
_bound = plain(legs.Bound)
_kind = plain(Kind, np.uint64)
_reason = plain(Reason)
_filled = plain(Filled)
_run = places(RUN)

_BPRED = np.uint64(BPRED)
#: Inferable jumps without a branch between them, before asking whether they run in circles.
PATIENCE = np.uint64(64)
#: No more of them than this are followed at all.
MAX_JUMPS = np.uint64(1 << 16)
#: Words of the runs that `follow` can add after it looked whether there is room.
_RESERVE = np.uint64(4) * RUN_WORDS


@inlined
def inferring(settings):
    """CALLS, RETURNS and SEQUENTIAL of legs, each 0 if no mode makes a difference of it."""
    calls, returns, sequential = U0, U0, U0
    if settings[_setting.IMPLICIT_RETURN] != 0:
        calls, returns = legs.CALLS, legs.RETURNS
    if settings[_setting.SIJUMP] != 0:
        sequential = legs.SEQUENTIAL
    return calls, returns, sequential


@njit
def leads_somewhere(path, slot, pc, in_leg):
    """Whether inferable jumps from `slot`, at `pc`, lead to anything but more of them, or goal."""
    regions, table, _, state = path
    goal, mask = u64(state[_at.GOAL]), u64(state[_at.ADDRESS_MASK])
    seen = slot  # of every step that is a power of two: a circle comes back to one of them
    for step in range(1, s64(MAX_JUMPS)):
        last = legs.end_of(table, slot)
        here = pc + ((last - slot) << U1)
        met = in_leg and pc <= goal and goal <= here
        if met and legs.between(table, slot, slot + ((goal - pc) >> U1)) >= 0:
            return True
        what = legs.kind_of(table, last)
        if what in (_kind.BRANCH, _kind.UNINFERABLE_JUMP, _kind.TRAP_RETURN):
            return True
        pc = (here + (legs.size_of(table, last) << U1)) & mask
        if what == _kind.INFERABLE_JUMP:
            pc = legs.target_of(table, last)
        region = legs.find_region(regions, pc)
        if region < 0:
            return True
        slot = legs.slot_of(regions, region, pc)
        if legs.size_of(table, slot) == U0:
            return True
        if slot == seen:
            return False
        if step & (step - 1) == 0:
            seen = slot
    return False


@spliced
def makes_sequential(table, slot, goal_slot):
    """Slot before `goal_slot` in the leg from `slot`, if it makes a sequentially inferable jump of
    the instruction there; else -1."""
    before = s64(-1)
    while slot < goal_slot:
        before = s64(slot)
        slot += legs.size_of(table, slot)
    if before >= 0 and legs.leg_of(table, u64(before)) & legs.SEQUENTIAL == U0:
        return s64(-1)
    return before


@njit
def follow(path, history, runs, filled):
    """Follow the path to state[GOAL], as state[HOW] (bits `HAS_GOAL`, `IN_LEG`, `INFER`, `OWN`)
    says: `follow_execution_path` and `next_pc` of the pseudo code.

    Without a goal, to the last branch of the branch map. filled[RUNS] is the number of `runs`
    written. For a new path state[FRESH] and state[JUMPS] are 0, state[LIMIT] is `PATIENCE`.
    Returns 0, `FULL` if `runs` is too short (the next call goes on from there), or the `Reason` why
    the goal cannot be reached, with state[ERROR_ADDRESS].

    Long: its twenty variables stay in registers through a path.
    """
    regions, table, settings, state = path
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
    priv = u64(state[_at.PRIVILEGE]) << _run.priv_at
    written = u64(filled[_filled.RUNS]) * RUN_WORDS
    room = u64(runs.size) - _RESERVE
    fresh = state[_at.FRESH]  # 1: the instruction at `slot` was reached here, and may be the goal
    jumps = u64(state[_at.JUMPS])
    limit = u64(state[_at.LIMIT])
    status = 0
    met = 0
    inferred = 0
    error = U0
    predicted, failed, irets = U0, U0, U0
    if history is not None:
        predicted = u64(state[_at.PREDICTED])
        failed = u64(state[_at.FAILED])
        irets = u64(state[_at.IRETS])
        previous = state[_at.LAST]
        depth = state[_at.DEPTH]
        has_irets = settings[_setting.HAS_IRETS] != 0
        # An address is at its first visit with that many irets, or that irdepth (unless notify is
        # set).
        at_depth = depth >= 0 and (has_irets or infer == 1)
        depth_mask = u64(settings[_setting.DEPTH_MASK])
        goal_outcomes = u64(state[_at.GOAL_BRANCH])
        calls, returns, sequential = inferring(settings)
        index_shift = history[INDEX_SHIFT]
        index_mask = history[BPRED_MASK]

    while True:
        outcomes = branches + predicted + failed
        # Two outcomes or more: neither the goal nor the last branch can come first. Legs that are
        # passed here: those that lead to others of the same region.
        while outcomes >= U2 and jumps <= limit and written <= room:
            leg = legs.leg_of(table, slot)
            if leg & legs.PLAIN == U0:
                break
            if history is None:
                consumed = leg >> legs.CONSUMES
                not_taken = branch_map & consumed
                branch_map >>= consumed
                branches -= consumed
                outcomes = branches
                jumps = (jumps + U1) & (consumed - U1)
            else:
                last = legs.end_of(table, slot)
                here = base + ((last - first) << U1)
                not_taken = U0
                if leg >> legs.CONSUMES != U0:
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
                        call(history, here + (legs.size_of(table, last) << U1))
            run_count += leg & LOW32
            runs[written + _run.start] = run_start
            runs[written + _run.count] = run_count | (leg & legs.ENDED) | priv
            stays = U0 - not_taken
            written += RUN_WORDS - not_taken * RUN_WORDS
            slot = (legs.leads_of(table, slot) >> (not_taken << U5)) & LOW32
            there = base + ((slot - first) << U1)
            run_start = there ^ ((there ^ run_start) & stays)
            run_count = (run_count & stays) + U1
            fresh = 1
        if written > room:
            status = FULL
            break

        # -- This leg: is the path's end in it?
        leg = legs.leg_of(table, slot)
        more = leg & LOW32
        last = legs.end_of(table, slot)
        what = legs.kind_of(table, last)
        pc = base + ((slot - first) << U1)
        here = base + ((last - first) << U1)
        if legs.size_of(table, slot) == U0:
            run_count -= U1
            status, error = _reason.ILLEGAL_CODE, pc
            break
        meets = in_leg
        if history is not None:
            now = irets if has_irets else history[DEPTH] & depth_mask
            meets = in_leg and (not at_depth or now == u64(depth))
        ahead = fresh == 1 or last != slot
        fits = not has_goal or (meets and goal == here)
        if what == _kind.BRANCH and outcomes == U1 and ahead and fits:
            # stop_at_last_branch, or the goal is the branch
            run_count += more
            slot = last
            inferred = infer
            if history is not None:
                previous = s64(-1)
            break
        if outcomes == U0 and meets:
            offset = goal - pc
            ahead = offset <= here - pc and (fresh == 1 or offset != U0)
            if ahead and not (what == _kind.BRANCH and goal == here):
                steps = legs.between(table, slot, slot + (offset >> U1))
                if steps >= 0:
                    run_count += u64(steps)
                    if history is not None:
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
        # -- It is not: to the control transfer with which the leg ends, and where that leads
        if history is not None:
            known = u64(previous) if previous >= 0 else slot
            previous = s64(-1)
        run_count += more
        slot = last
        onward = here + (legs.size_of(table, last) << U1)
        fresh = 1
        leaves = True  # not to the instruction behind it
        walked = False  # an inferable jump, or one that is inferred
        arrived = False  # an uninferable discontinuity: to the goal
        was_predicted = False
        if what == _kind.BRANCH:  # is_taken_branch
            if outcomes == own:
                status, error = _reason.NO_BRANCH, here
                break
            if history is None:
                not_taken = branch_map & U1
                branch_map >>= U1
                branches -= U1
            else:
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
                onward = legs.target_of(table, last)
        elif what in (_kind.INFERABLE_JUMP, _kind.UNINFERABLE_JUMP):
            if history is not None:
                if leg & calls != U0:
                    call(history, onward)
            if what == _kind.INFERABLE_JUMP:
                onward = legs.target_of(table, last)
                walked = True
            elif history is not None:
                if legs.leg_of(table, known) & sequential != U0:  # is_sequential_jump
                    onward = legs.leads_of(table, known)
                    walked = True
                elif leg & returns != U0 and history[DEPTH] != U0:  # is_implicit_return
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
                in_leg_now = in_leg and outcomes == U0
                if limit != PATIENCE or not leads_somewhere(path, last, here, in_leg_now):
                    status, error = _reason.NOT_REACHED, goal if has_goal else here
                    break
                limit = MAX_JUMPS
        if arrived:
            if not has_goal:
                status, error = _reason.UNEXPECTED_DISCONTINUITY, here
                break
            if history is not None:
                if not was_predicted:
                    cache(history, goal)
            onward = goal
        # -- There: the next leg, in a run of its own unless it is the instruction behind
        if leaves:
            runs[written + _run.start] = run_start
            runs[written + _run.count] = run_count | (legs.ENDED_BY[what] << _run.ended_at) | priv
            written += RUN_WORDS
            run_start = onward
            run_count = U0
        run_count += U1

        offset = onward - base
        if offset < span and onward & U1 == U0:
            slot = first + (offset >> U1)
        else:
            onward &= mask
            region = legs.find_region(regions, onward)
            if region < 0:
                run_count -= U1
                status, error = _reason.NO_CODE, onward
                break
            if not leaves:
                # from the last address to the first
                runs[written + _run.start] = run_start
                runs[written + _run.count] = (run_count - U1) | priv
                written += RUN_WORDS
                run_start = onward
                run_count = U1
            base = regions[region + _bound.BASE]
            span = regions[region + _bound.END] - base
            first = regions[region + _bound.SLOT]
            slot = first + ((onward - base) >> U1)
        # -- An uninferable discontinuity led to the goal: its end, if no outcome is left
        if arrived:
            if legs.size_of(table, slot) == U0:
                run_count -= U1
                status, error = _reason.ILLEGAL_CODE, onward
            elif branches + predicted + failed != b2u(legs.kind_of(table, slot) == _kind.BRANCH):
                status, error = _reason.UNPROCESSED_BRANCHES, onward
            break

    if history is not None:
        if status == 0 and predicted + failed != U0:
            # The branch at `slot` is still to be executed, but its outcome is certain.
            entry = history[predictor_index(history, base + ((slot - first) << U1))]
            branch_map = (entry >> U1) ^ predicted
            branches = U1
            predicted = failed = U0
        state[_at.PREDICTED] = s64(predicted)
        state[_at.FAILED] = s64(failed)
        state[_at.IRETS] = s64(irets)
        state[_at.LAST] = previous
    filled[_filled.RUNS] = s64(written // RUN_WORDS)
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
    state[_at.FRESH] = fresh
    state[_at.JUMPS] = s64(jumps)
    state[_at.LIMIT] = s64(limit)
    state[_at.ERROR_ADDRESS] = s64(error)
    return status
