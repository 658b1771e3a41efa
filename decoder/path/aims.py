"""The paths that a packet asks to be followed (chapter "Decoder"), without optional modes.

A packet may ask for a *lap* first, to a second visit of the address that the packet before it
reported, then for the *path* to what it reports itself.
"""

import numpy as np

from decoder.bytes.brief import IS_NOTIFY, IS_UPDISCON, Brief
from decoder.path.follow import HAS_GOAL, IN_LEG, INFER, OWN, follow
from decoder.path.settings import Setting
from decoder.path.state import State, Sync
from decoder.path.table import ENDED_BY, RETURNS, find_region, kind_of, size_of, target_of
from specs.interfaces.flow import Ended, Reason
from specs.isa.control import Kind
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import U0, U1, U2, s64, u64
from specs.trace.packets import Column, Format, QualStatus
from specs.trace.predictors import DEPTH, link

#: Paths of a packet, in the order in which they are followed.
LAP, PATH = 1, 2

_at = plain(State)
_sync = plain(Sync)
_setting = plain(Setting)
_kind = plain(Kind, np.uint64)
_ended = plain(Ended)
_reason = plain(Reason)
_format = plain(Format)
_qual_status = plain(QualStatus, np.uint64)
_brief = plain(Brief)
_column = plain(Column)
_NOTIFY = np.uint64(IS_NOTIFY)
_UPDISCON = np.uint64(IS_UPDISCON)


FULL_MAP = np.uint64(31)


@inlined
def position(state):
    """Address of the last retired instruction."""
    return u64(state[_at.REGION_BASE]) + (u64(state[_at.SLOT] - state[_at.REGION_SLOT]) << U1)


@inlined
def full_address(settings, row):
    """The address of a format 3 packet."""
    width = u64(settings[_setting.WIDTH])
    mask = ~U0 if width >= np.uint64(64) else (U1 << width) - U1
    return (row[_column.address] << u64(settings[_setting.LSB])) & mask


@njit
def is_branch_at(regions, table, address):
    """Whether the instruction at `address` is a branch; False where there is none."""
    region = find_region(regions, address)
    if region < 0:
        return False
    slot = regions[region + 2] + ((address - regions[region]) >> U1)
    return kind_of(table, slot) == _kind.BRANCH


@inlined
def onward(table, history, settings, state):
    """Where execution went after the last retired instruction: `(known, address, Ended)`.

    The run then ends as the instruction's own transfer says, or because a trap follows.
    """
    slot = u64(state[_at.SLOT])
    what = kind_of(table, slot)
    after = (position(state) + (size_of(table, slot) << U1)) & u64(state[_at.ADDRESS_MASK])
    if what == _kind.BRANCH:
        if state[_at.BRANCHES] == 0:
            return 0, U0, _ended.TRAP
        if u64(state[_at.BRANCH_MAP]) & U1 == U0:
            return 1, target_of(table, slot), _ended.TAKEN_BRANCH
        return 1, after, _ended.TRAP
    if what == _kind.INFERABLE_JUMP:
        return 1, target_of(table, slot), s64(ENDED_BY[what])
    if what == _kind.UNINFERABLE_JUMP:
        if state[_at.LAST] >= 0:
            return 1, table[u64(state[_at.LAST]) << U2], s64(ENDED_BY[what])
        returns = table[(slot << U2) + U1] & RETURNS != U0
        if returns and settings[_setting.IMPLICIT_RETURN] != 0 and history[DEPTH] != U0:
            return 1, link(history), s64(ENDED_BY[what])
    if what in (_kind.UNINFERABLE_JUMP, _kind.TRAP_RETURN):
        return 0, U0, s64(ENDED_BY[what])
    return 1, after, _ended.TRAP


@spliced
def paths_to_follow(table, history, settings, state, form, row):
    """What a packet asks for: `LAP`, to go round to a second visit; `PATH`, to go to its end."""
    if form == _format.SUPPORT:
        ended_ntr = row[_column.qual_status] == _qual_status.ended_ntr
        return LAP if ended_ntr and state[_at.INFERRED] != 0 else 0
    if state[_at.SYNC] != _sync.TRACING:
        return 0
    if form <= _format.ADDRESS:
        return PATH | LAP if state[_at.INFERRED] != 0 else PATH
    if form != _format.SYNC:
        return 0
    if state[_at.INFERRED] != 0:
        # That the address was met but once is sure only if this is the very next instruction: else
        # a discontinuity led back to it, and the instructions since then needed no packet.
        known, successor, _ = onward(table, history, settings, state)
        same = s64(row[_column.privilege]) == state[_at.PRIVILEGE]
        if known != 0 and not (same and successor == full_address(settings, row)):
            return PATH | LAP
    return PATH


@inlined
def aim_at_sync(regions, table, settings, state, row):
    """Goal and branch map of the path to the instruction of a format 3.0 packet."""
    address = full_address(settings, row)
    same = s64(row[_column.privilege]) == state[_at.PRIVILEGE]
    state[_at.GOAL] = s64(address)
    state[_at.HOW] = HAS_GOAL | IN_LEG if same else HAS_GOAL
    if is_branch_at(regions, table, address):
        state[_at.BRANCH_MAP] |= s64(row[_column.branch] << u64(state[_at.BRANCHES]))
        state[_at.BRANCHES] += 1
        state[_at.HOW] |= OWN


@spliced
def add_map(state, brief, valid):
    """Append the first `valid` outcomes of a packet's branch map."""
    outcomes = brief[_brief.branch_map] & ((U1 << valid) - U1)
    state[_at.BRANCH_MAP] |= s64(outcomes << u64(state[_at.BRANCHES]))
    state[_at.BRANCHES] += s64(valid)


@inlined
def aim_at_address(settings, state, brief):
    """Goal of the path to a packet's differential address, and how it may be met."""
    width = u64(settings[_setting.WIDTH])
    mask = ~U0 if width >= np.uint64(64) else (U1 << width) - U1
    address = brief[_brief.address] << u64(settings[_setting.LSB])
    if settings[_setting.FULL_ADDRESS] == 0:
        address += u64(state[_at.ADDRESS])
    state[_at.ADDRESS] = s64(address & mask)
    state[_at.GOAL] = state[_at.ADDRESS]
    if brief[_brief.flags] & _NOTIFY != U0:
        state[_at.HOW] = HAS_GOAL | IN_LEG
    elif brief[_brief.flags] & _UPDISCON != U0:
        state[_at.HOW] = HAS_GOAL
    else:
        state[_at.HOW] = HAS_GOAL | IN_LEG | INFER


@spliced
def aim_at_visit(state):
    """Goal of a lap: the next visit of where we are."""
    # No branch can lie on the way: there would have been no outcome for it, except one that is
    # still to be used, and then the first visit was the right one.
    state[_at.BRANCHES] = 0
    state[_at.GOAL] = s64(position(state))
    state[_at.HOW] = HAS_GOAL


@spliced
def aim(settings, state, brief):
    """Set goal and branch map for the path that ends with a format 1 or 2 packet."""
    if s64(brief[_brief.table]) == _format.BRANCH_MAP:
        add_map(state, brief, brief[_brief.branches] if brief[_brief.branches] != U0 else FULL_MAP)
        if brief[_brief.branches] == U0:
            state[_at.HOW] = 0
            return
    aim_at_address(settings, state, brief)


@spliced
def follow_paths(regions, table, history, settings, state, runs, filled, brief, row):
    """All that a packet asks for, in the baseline. Status as `follow`'s."""
    wanted = paths_to_follow(table, history, settings, state, s64(brief[_brief.table]), row)
    status = 0
    for turn in range(LAP, PATH + 1):
        if wanted & turn == 0 or status != 0:
            continue
        if turn == LAP:
            aim_at_visit(state)
        elif s64(brief[_brief.table]) == _format.SYNC:
            aim_at_sync(regions, table, settings, state, row)
        elif s64(brief[_brief.table]) < _format.BRANCH_MAP:
            state[_at.ERROR_ADDRESS] = 0
            return _reason.MODE_OFF
        else:
            aim(settings, state, brief)
        status = follow(regions, table, state, runs, filled)
    return status
