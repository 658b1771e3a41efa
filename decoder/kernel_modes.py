"""Packets in, flow out, with optional modes (docs/modes.md): what `decoder.kernel` leaves out.

A module of its own, imported where a mode is on: others need not compile it.
"""

import numpy as np

from decoder.brief import DEPTH_SHIFT, IS_IRREPORT, Brief
from decoder.follow import FULL, HAS_GOAL, IN_LEG, INFER, PATIENCE
from decoder.follow_modes import AFTER_RETURN, follow_modes
from decoder.kernel import format_of, full, is_settled, report, row_of
from decoder.path_table import kind_of
from decoder.paths import (
    FULL_MAP,
    LAP,
    PATH,
    add_map,
    aim,
    aim_at_address,
    aim_at_sync,
    aim_at_visit,
    is_branch_at,
    paths_to_follow,
    position,
)
from decoder.settings import Setting
from decoder.state import State, Sync
from specs.compiled import U0, U1, njit, s64, spliced, u64
from specs.flow import Reason
from specs.isa.control import Kind
from specs.packets import Column, Format
from specs.predictors import cached, reset, spare

_SYNC = int(State.SYNC)
_SLOT = int(State.SLOT)
_PREDICTED = int(State.PREDICTED)
_FAILED = int(State.FAILED)
_ADDRESS = int(State.ADDRESS)
_GOAL = int(State.GOAL)
_GOAL_BRANCH = int(State.GOAL_BRANCH)
_HOW = int(State.HOW)
_DEPTH = int(State.DEPTH)
_IRETS = int(State.IRETS)
_WANTED = int(State.WANTED)
_FRESH = int(State.FRESH)
_JUMPS = int(State.JUMPS)
_LIMIT = int(State.LIMIT)
_ERROR = int(State.ERROR_ADDRESS)

_TRACING = int(Sync.TRACING)

_IMPLICIT_RETURN = int(Setting.IMPLICIT_RETURN)
_BRANCH_PREDICTION = int(Setting.BRANCH_PREDICTION)
_JUMP_TARGET_CACHE = int(Setting.JUMP_TARGET_CACHE)
_MOST_BRANCHES = int(Setting.MOST_BRANCHES)

_BRANCH = np.uint64(int(Kind.BRANCH))

_MODE_OFF = int(Reason.MODE_OFF)
_BAD_COUNT = int(Reason.BAD_COUNT)
_EMPTY_ENTRY = int(Reason.EMPTY_ENTRY)

_F_BRANCH_COUNT = int(Format.BRANCH_COUNT)
_F_JUMP_TARGET_INDEX = int(Format.JUMP_TARGET_INDEX)
_F_SYNC = int(Format.SYNC)
_F_TRAP = int(Format.TRAP)

_B_OFFSET = int(Brief.offset)
_B_TABLE = int(Brief.table)
_B_BRANCHES = int(Brief.branches)
_B_ADDRESS = int(Brief.address)
_B_FLAGS = int(Brief.flags)
_IRREPORT = np.uint64(IS_IRREPORT)
_DEPTH_SHIFT = np.uint64(DEPTH_SHIFT)

_C_BRANCH_COUNT = int(Column.branch_count)
_C_BRANCH_FMT = int(Column.branch_fmt)

_U3 = np.uint64(3)


@spliced
def forget_predictions(table, history, state):
    """A synchronisation packet has reported the last instruction: all predictions begin anew."""
    reset(history)
    state[_IRETS] = 0
    if kind_of(table, u64(state[_SLOT])) == _BRANCH:
        spare(history, position(state))


@spliced
def aim_by_count(settings, state, brief, row):
    """The same for format 0.0: 0, or the `Reason` against it."""
    count, fmt = row[_C_BRANCH_COUNT], row[_C_BRANCH_FMT]
    if settings[_BRANCH_PREDICTION] == 0:
        return _MODE_OFF
    if fmt == U1 or s64(count) > settings[_MOST_BRANCHES]:
        state[_ERROR] = s64(count)
        return _BAD_COUNT
    state[_PREDICTED] = s64(count + FULL_MAP)
    state[_FAILED] = 1 if fmt in (U0, _U3) else 0
    if fmt == U0:
        state[_HOW] = AFTER_RETURN
        return 0
    aim_at_address(settings, state, brief)
    if s64(count) == settings[_MOST_BRANCHES]:
        # Sent because the counter is full: it reports the branch itself, for good.
        state[_HOW] = HAS_GOAL | IN_LEG
    return 0


@spliced
def aim_by_index(history, settings, state, brief):
    """The same for format 0.1: 0, or the `Reason` against it."""
    if settings[_JUMP_TARGET_CACHE] == 0:
        return _MODE_OFF
    target = cached(history, brief[_B_ADDRESS])
    if target & U1 != U0:
        state[_ERROR] = s64(brief[_B_ADDRESS])
        return _EMPTY_ENTRY
    add_map(state, brief, brief[_B_BRANCHES])
    state[_ADDRESS] = s64(target)
    state[_GOAL] = s64(target)
    state[_HOW] = HAS_GOAL
    return 0


@spliced
def aim_with_modes(regions, table, history, settings, state, brief, row):
    """The same for any format with optional modes on: 0, or the `Reason` against the packet."""
    form = s64(brief[_B_TABLE])
    state[_DEPTH] = -1
    state[_ERROR] = 0
    reason = 0
    if form == _F_SYNC:
        aim_at_sync(regions, table, settings, state, row)
        state[_HOW] |= AFTER_RETURN
        return 0
    state[_IRETS] = 0
    if form == _F_BRANCH_COUNT:
        reason = aim_by_count(settings, state, brief, row)
    elif form == _F_JUMP_TARGET_INDEX:
        reason = aim_by_index(history, settings, state, brief)
    else:
        aim(settings, state, brief)
    if state[_HOW] & INFER == 0:
        state[_HOW] |= AFTER_RETURN
    if brief[_B_FLAGS] & _IRREPORT != U0 and settings[_IMPLICIT_RETURN] != 0:
        state[_DEPTH] = s64(brief[_B_FLAGS] >> _DEPTH_SHIFT)
        state[_GOAL_BRANCH] = 1 if is_branch_at(regions, table, u64(state[_GOAL])) else 0
    return reason


@spliced
def follow_paths_with_modes(regions, table, history, settings, state, runs, filled, brief, row):
    """The same with optional modes; after `FULL`, call it again with the same packet."""
    wanted = state[_WANTED]
    begins = wanted == 0
    if begins:
        wanted = s64(paths_to_follow(table, history, settings, state, s64(brief[_B_TABLE]), row))
    for turn in range(LAP, PATH + 1):
        if wanted & turn == 0:
            continue
        status = 0
        if begins:
            state[_FRESH] = 0
            state[_JUMPS] = 0
            state[_LIMIT] = s64(PATIENCE)
            if turn == LAP:
                aim_at_visit(state)
            else:
                status = aim_with_modes(regions, table, history, settings, state, brief, row)
        if status == 0:
            status = s64(follow_modes(regions, table, history, settings, state, runs, filled))
        if status != 0:
            state[_WANTED] = wanted if status == FULL else 0
            return status
        begins = True
        wanted &= ~turn
    state[_WANTED] = 0
    return 0


@njit
def reconstruct_with_modes(
    regions,
    table,
    history,
    settings,
    briefs,
    details,
    begin,
    end,
    first_packet,
    state,
    runs,
    traps,
    contexts,
    gaps,
    pauses,
    filled,
    counts,
):
    """As `decoder.kernel.reconstruct`, but where an output is full it stops within a packet: the
    next call, with the same packets, goes on from there.
    """
    for i in range(begin, end):
        if full(filled, runs, traps, contexts, gaps, pauses):
            return i
        brief = briefs[i]
        packet = first_packet + i
        form = format_of(state, runs, gaps, filled, brief, packet, counts)
        if form < 0:
            continue
        row = details[row_of(brief, form)]
        status = s64(
            follow_paths_with_modes(
                regions, table, history, settings, state, runs, filled, brief, row
            )
        )
        if status == FULL:
            return i
        counts[form] += 1
        if is_settled(state, form, status):
            continue
        reason = report(
            regions,
            table,
            history,
            settings,
            state,
            runs,
            traps,
            contexts,
            gaps,
            pauses,
            filled,
            row,
            form,
            packet,
            brief[_B_OFFSET],
            status,
        )
        if (form == _F_SYNC or form == _F_TRAP) and reason == 0 and state[_SYNC] == _TRACING:
            forget_predictions(table, history, state)
    return end
