"""Packets in, flow out, with optional modes (docs/modes.md): what `decoder.path.reconstruct` leaves
out.

A module of its own, imported where a mode is on: others need not compile it.
"""

import numpy as np

from decoder.bytes.brief import DEPTH_SHIFT, IS_IRREPORT, Brief
from decoder.path.aims import (
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
from decoder.path.follow import FULL, HAS_GOAL, IN_LEG, INFER, PATIENCE
from decoder.path.follow_modes import follow_modes
from decoder.path.reconstruct import format_of, full, is_settled, note_loop, report, row_of
from decoder.path.settings import Setting
from decoder.path.state import State, Sync
from decoder.path.table import kind_of
from specs.interfaces.flow import Reason
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, U3, s64, u64
from specs.trace.packets import Column, Format
from specs.trace.predictors import cached, reset, spare

_at = plain(State)
_sync = plain(Sync)
_setting = plain(Setting)
_kind = plain(Kind, np.uint64)
_reason = plain(Reason)
_format = plain(Format)
_brief = plain(Brief)
_column = plain(Column)
_IRREPORT = np.uint64(IS_IRREPORT)
_DEPTH_SHIFT = np.uint64(DEPTH_SHIFT)


@spliced
def forget_predictions(table, history, state):
    """A synchronisation packet has reported the last instruction: all predictions begin anew."""
    reset(history)
    state[_at.IRETS] = 0
    if kind_of(table, u64(state[_at.SLOT])) == _kind.BRANCH:
        spare(history, position(state))


@spliced
def aim_by_count(settings, state, brief, row):
    """The same for format 0.0: 0, or the `Reason` against it."""
    count, fmt = row[_column.branch_count], row[_column.branch_fmt]
    if settings[_setting.BRANCH_PREDICTION] == 0:
        return _reason.MODE_OFF
    if fmt == U1 or s64(count) > settings[_setting.MOST_BRANCHES]:
        state[_at.ERROR_ADDRESS] = s64(count)
        return _reason.BAD_COUNT
    state[_at.PREDICTED] = s64(count + FULL_MAP)
    state[_at.FAILED] = 1 if fmt in (U0, U3) else 0
    if fmt == U0:
        state[_at.HOW] = 0
        return 0
    aim_at_address(settings, state, brief)
    if s64(count) == settings[_setting.MOST_BRANCHES]:
        # Sent because the counter is full: it reports the branch itself, for good.
        state[_at.HOW] = HAS_GOAL | IN_LEG
    return 0


@spliced
def aim_by_index(history, settings, state, brief):
    """The same for format 0.1: 0, or the `Reason` against it."""
    if settings[_setting.JUMP_TARGET_CACHE] == 0:
        return _reason.MODE_OFF
    target = cached(history, brief[_brief.address])
    if target & U1 != U0:
        state[_at.ERROR_ADDRESS] = s64(brief[_brief.address])
        return _reason.EMPTY_ENTRY
    add_map(state, brief, brief[_brief.branches])
    state[_at.ADDRESS] = s64(target)
    state[_at.GOAL] = s64(target)
    state[_at.HOW] = HAS_GOAL | IN_LEG | INFER
    return 0


@spliced
def aim_with_modes(regions, table, history, settings, state, brief, row):
    """The same for any format with optional modes on: 0, or the `Reason` against the packet."""
    form = s64(brief[_brief.table])
    state[_at.DEPTH] = -1
    state[_at.ERROR_ADDRESS] = 0
    reason = 0
    if form == _format.SYNC:
        aim_at_sync(regions, table, settings, state, row)
        return 0
    state[_at.IRETS] = 0
    if form == _format.BRANCH_COUNT:
        reason = aim_by_count(settings, state, brief, row)
    elif form == _format.JUMP_TARGET_INDEX:
        reason = aim_by_index(history, settings, state, brief)
    else:
        aim(settings, state, brief)
    if brief[_brief.flags] & _IRREPORT != U0 and settings[_setting.IMPLICIT_RETURN] != 0:
        state[_at.DEPTH] = s64(brief[_brief.flags] >> _DEPTH_SHIFT)
        state[_at.GOAL_BRANCH] = 1 if is_branch_at(regions, table, u64(state[_at.GOAL])) else 0
    return reason


@spliced
def follow_paths_with_modes(regions, table, history, settings, state, runs, filled, brief, row):
    """The same with optional modes; after `FULL`, call it again with the same packet."""
    wanted = state[_at.WANTED]
    begins = wanted == 0
    if begins:
        wanted = s64(
            paths_to_follow(table, history, settings, state, s64(brief[_brief.table]), row)
        )
    for turn in range(LAP, PATH + 1):
        if wanted & turn == 0:
            continue
        status = 0
        if begins:
            state[_at.FRESH] = 0
            state[_at.JUMPS] = 0
            state[_at.LIMIT] = s64(PATIENCE)
            if turn == LAP:
                aim_at_visit(state)
            else:
                status = aim_with_modes(regions, table, history, settings, state, brief, row)
        if status == 0:
            status = s64(follow_modes(regions, table, history, settings, state, runs, filled))
        if status != 0:
            state[_at.WANTED] = wanted if status == FULL else 0
            return status
        begins = True
        wanted &= ~turn
    state[_at.WANTED] = 0
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
    loops,
    filled,
    counts,
    scratch,
):
    """As `decoder.path.reconstruct.reconstruct`, but where an output is full it stops within a
    packet: the next call, with the same packets, goes on from there.
    """
    for i in range(begin, end):
        if full(filled, runs, traps, contexts, gaps, pauses, loops):
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
        if status == 0 and state[_at.MET] != 0:
            note_loop(
                regions,
                table,
                history,
                scratch,
                settings,
                state,
                runs,
                loops,
                filled,
                form,
                packet,
                brief[_brief.offset],
            )
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
            brief[_brief.offset],
            status,
        )
        if (
            (form == _format.SYNC or form == _format.TRAP)
            and reason == 0
            and state[_at.SYNC] == _sync.TRACING
        ):
            forget_predictions(table, history, state)
    return end
