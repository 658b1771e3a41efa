"""The paths that a packet asks to be followed (chapter "Decoder"; docs/modes.md).

A packet may ask for a *lap* first, to a second visit of the address that the packet before it
reported, then for the *path* to what it reports itself.

`history` is None without the modes that keep one: then state[DEPTH], state[LAST] and what else
belongs to them stay as they are.
"""

import numpy as np

from decoder.bytes.brief import DEPTH_SHIFT, Brief, Flag
from decoder.path import table as legs
from decoder.path.follow import FULL, HAS_GOAL, IN_LEG, INFER, OWN, PATIENCE, follow
from decoder.path.settings import Setting
from decoder.path.state import State, Sync, position
from specs.interfaces.flow import Ended, Reason
from specs.isa.control import Kind
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import U0, U1, U3, U64, s64, u64
from specs.trace.packets import Column, Format, QualStatus
from specs.trace.predictors import DEPTH, cached, link

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
_flag = plain(Flag, np.uint64)
_column = plain(Column)
#: Outcomes of a format 1 packet whose *branches* is 0, and in front of *branch_count*.
FULL_MAP = np.uint64(31)


@inlined
def address_bits(settings):
    """All ones in an address of iaddress_width_p bits."""
    width = u64(settings[_setting.WIDTH])
    return ~U0 if width >= U64 else (U1 << width) - U1


@inlined
def full_address(settings, row):
    """The address of a format 3 packet."""
    return (row[_column.address] << u64(settings[_setting.LSB])) & address_bits(settings)


@njit
def is_branch_at(regions, table, address):
    """Whether the instruction at `address` is a branch; False where there is none."""
    region = legs.find_region(regions, address)
    if region < 0:
        return False
    return legs.kind_of(table, legs.slot_of(regions, region, address)) == _kind.BRANCH


@inlined
def onward(path, history):
    """Where execution went after the last retired instruction: `(known, address, Ended)`.

    The run then ends as the instruction's own transfer says, or because a trap follows.
    """
    table, settings, state = path.table, path.settings, path.state
    slot = u64(state[_at.SLOT])
    what = legs.kind_of(table, slot)
    after = (position(state) + (legs.size_of(table, slot) << U1)) & u64(state[_at.ADDRESS_MASK])
    if what == _kind.BRANCH:
        if state[_at.BRANCHES] == 0:
            return 0, U0, _ended.TRAP
        if u64(state[_at.BRANCH_MAP]) & U1 == U0:
            return 1, legs.target_of(table, slot), _ended.TAKEN_BRANCH
        return 1, after, _ended.TRAP
    if what == _kind.INFERABLE_JUMP:
        return 1, legs.target_of(table, slot), s64(legs.ENDED_BY[what])
    if history is not None:
        if what == _kind.UNINFERABLE_JUMP:
            if state[_at.LAST] >= 0:
                return 1, legs.leads_of(table, u64(state[_at.LAST])), s64(legs.ENDED_BY[what])
            returns = legs.leg_of(table, slot) & legs.RETURNS != U0
            if returns and settings[_setting.IMPLICIT_RETURN] != 0 and history[DEPTH] != U0:
                return 1, link(history), s64(legs.ENDED_BY[what])
    if what in (_kind.UNINFERABLE_JUMP, _kind.TRAP_RETURN):
        return 0, U0, s64(legs.ENDED_BY[what])
    return 1, after, _ended.TRAP


@spliced
def paths_to_follow(path, history, packet):
    """What a packet asks for: `LAP`, to go round to a second visit; `PATH`, to go to its end."""
    state, row, form = path.state, packet.row, packet.form
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
        known, successor, _ = onward(path, history)
        same = s64(row[_column.privilege]) == state[_at.PRIVILEGE]
        if known != 0 and not (same and successor == full_address(path.settings, row)):
            return PATH | LAP
    return PATH


@spliced
def aim_at_visit(state):
    """Goal of a lap: the next visit of where we are."""
    # No branch can lie on the way: there would have been no outcome for it, except one that is
    # still to be used, and then the first visit was the right one.
    state[_at.BRANCHES] = 0
    state[_at.GOAL] = s64(position(state))
    state[_at.HOW] = HAS_GOAL


@spliced
def add_map(state, brief, valid):
    """Append the first `valid` outcomes of a packet's branch map."""
    outcomes = brief[_brief.branch_map] & ((U1 << valid) - U1)
    state[_at.BRANCH_MAP] |= s64(outcomes << u64(state[_at.BRANCHES]))
    state[_at.BRANCHES] += s64(valid)


@inlined
def aim_at_address(settings, state, brief):
    """Goal of the path to a packet's differential address, and how it may be met."""
    address = brief[_brief.address] << u64(settings[_setting.LSB])
    if settings[_setting.FULL_ADDRESS] == 0:
        address += u64(state[_at.ADDRESS])
    state[_at.ADDRESS] = s64(address & address_bits(settings))
    state[_at.GOAL] = state[_at.ADDRESS]
    if brief[_brief.flags] & _flag.NOTIFY != U0:
        state[_at.HOW] = HAS_GOAL | IN_LEG
    elif brief[_brief.flags] & _flag.UPDISCON != U0:
        state[_at.HOW] = HAS_GOAL
    else:
        state[_at.HOW] = HAS_GOAL | IN_LEG | INFER


@spliced
def aim_by_map(settings, state, brief):
    """Goal and branch map of the path to the end of a format 1 or 2 packet."""
    if s64(brief[_brief.table]) == _format.BRANCH_MAP:
        add_map(state, brief, brief[_brief.branches] if brief[_brief.branches] != U0 else FULL_MAP)
        if brief[_brief.branches] == U0:
            state[_at.HOW] = 0
            return
    aim_at_address(settings, state, brief)


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
def aim_at_sync(path, row):
    """The same for the instruction of a format 3.0 packet."""
    settings, state = path.settings, path.state
    address = full_address(settings, row)
    same = s64(row[_column.privilege]) == state[_at.PRIVILEGE]
    state[_at.GOAL] = s64(address)
    state[_at.HOW] = HAS_GOAL | IN_LEG if same else HAS_GOAL
    if is_branch_at(path.regions, path.table, address):
        state[_at.BRANCH_MAP] |= s64(row[_column.branch] << u64(state[_at.BRANCHES]))
        state[_at.BRANCHES] += 1
        state[_at.HOW] |= OWN


@spliced
def aim(path, history, packet):
    """Goal and branch map of the path to a packet's end: 0, or the `Reason` against the packet."""
    settings, state, form, brief = path.settings, path.state, packet.form, packet.brief
    reason = 0
    state[_at.ERROR_ADDRESS] = 0
    if history is not None:
        state[_at.DEPTH] = -1
    if form == _format.SYNC:
        aim_at_sync(path, packet.row)
        return 0
    if history is not None:
        state[_at.IRETS] = 0
    if form == _format.BRANCH_MAP or form == _format.ADDRESS:
        aim_by_map(settings, state, brief)
    elif history is None:
        reason = _reason.MODE_OFF
    elif form == _format.BRANCH_COUNT:
        reason = aim_by_count(settings, state, brief, packet.row)
    else:
        reason = aim_by_index(history, settings, state, brief)
    if history is not None:
        irreport = brief[_brief.flags] & _flag.IRREPORT != U0
        if irreport and settings[_setting.IMPLICIT_RETURN] != 0:
            state[_at.DEPTH] = s64(brief[_brief.flags] >> DEPTH_SHIFT)
            at_branch = is_branch_at(path.regions, path.table, u64(state[_at.GOAL]))
            state[_at.GOAL_BRANCH] = 1 if at_branch else 0
    return reason


@spliced
def follow_paths(path, history, packet, output):
    """All that a packet asks for. Status as `follow`'s; after `FULL`, call it again with the same
    packet."""
    state = path.state
    wanted = state[_at.WANTED]
    begins = wanted == 0
    if begins:
        wanted = s64(paths_to_follow(path, history, packet))
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
                status = aim(path, history, packet)
        if status == 0:
            status = s64(follow(path, history, output.runs, output.filled))
        if status != 0:
            state[_at.WANTED] = wanted if status == FULL else 0
            return status
        begins = True
        wanted &= ~turn
    state[_at.WANTED] = 0
    return 0
