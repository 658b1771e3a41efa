"""The paths that a packet asks to be followed (chapter "Decoder"), without optional modes.

A packet may ask for a *lap* first, to a second visit of the address that the packet before it
reported, then for the *path* to what it reports itself.
"""

import numpy as np

from decoder.brief import IS_NOTIFY, IS_UPDISCON, Brief
from decoder.follow import HAS_GOAL, IN_LEG, INFER, follow
from decoder.path_table import ENDED_BY, RETURNS, find_region, kind_of, size_of, target_of
from decoder.settings import Setting
from decoder.state import State, Sync
from specs.compiled import U0, U1, U2, inlined, njit, s64, spliced, u64
from specs.flow import Ended, Reason
from specs.isa.control import Kind
from specs.packets import Column, Format, QualStatus
from specs.predictors import DEPTH, link

#: Paths of a packet, in the order in which they are followed.
LAP, PATH = 1, 2

_SYNC = int(State.SYNC)
_SLOT = int(State.SLOT)
_BRANCHES = int(State.BRANCHES)
_BRANCH_MAP = int(State.BRANCH_MAP)
_ADDRESS = int(State.ADDRESS)
_PRIVILEGE = int(State.PRIVILEGE)
_INFERRED = int(State.INFERRED)
_BASE = int(State.REGION_BASE)
_FIRST = int(State.REGION_SLOT)
_GOAL = int(State.GOAL)
_HOW = int(State.HOW)
_LAST = int(State.LAST)
_ERROR = int(State.ERROR_ADDRESS)

_TRACING = int(Sync.TRACING)

_LSB = int(Setting.LSB)
_WIDTH = int(Setting.WIDTH)
_FULL_ADDRESS = int(Setting.FULL_ADDRESS)
_IMPLICIT_RETURN = int(Setting.IMPLICIT_RETURN)

_BRANCH = np.uint64(int(Kind.BRANCH))
_INFERABLE_JUMP = np.uint64(int(Kind.INFERABLE_JUMP))
_UNINFERABLE_JUMP = np.uint64(int(Kind.UNINFERABLE_JUMP))
_TRAP_RETURN = np.uint64(int(Kind.TRAP_RETURN))

_ENDED_TAKEN = int(Ended.TAKEN_BRANCH)
_ENDED_TRAP = int(Ended.TRAP)

_MODE_OFF = int(Reason.MODE_OFF)

_F_BRANCH_MAP = int(Format.BRANCH_MAP)
_F_ADDRESS = int(Format.ADDRESS)
_F_SYNC = int(Format.SYNC)
_F_SUPPORT = int(Format.SUPPORT)

_ENDED_NTR = np.uint64(int(QualStatus.ended_ntr))

_B_TABLE = int(Brief.table)
_B_BRANCHES = int(Brief.branches)
_B_BRANCH_MAP = int(Brief.branch_map)
_B_ADDRESS = int(Brief.address)
_B_FLAGS = int(Brief.flags)
_NOTIFY = np.uint64(IS_NOTIFY)
_UPDISCON = np.uint64(IS_UPDISCON)

_C_BRANCH = int(Column.branch)
_C_PRIVILEGE = int(Column.privilege)
_C_ADDRESS = int(Column.address)
_C_QUAL = int(Column.qual_status)

FULL_MAP = np.uint64(31)


@inlined
def position(state):
    """Address of the last retired instruction."""
    return u64(state[_BASE]) + (u64(state[_SLOT] - state[_FIRST]) << U1)


@inlined
def full_address(settings, row):
    """The address of a format 3 packet."""
    width = u64(settings[_WIDTH])
    mask = ~U0 if width >= np.uint64(64) else (U1 << width) - U1
    return (row[_C_ADDRESS] << u64(settings[_LSB])) & mask


@njit
def is_branch_at(regions, table, address):
    """Whether the instruction at `address` is a branch; False where there is none."""
    region = find_region(regions, address)
    if region < 0:
        return False
    slot = regions[region + 2] + ((address - regions[region]) >> U1)
    return kind_of(table, slot) == _BRANCH


@inlined
def onward(table, history, settings, state):
    """Where execution went after the last retired instruction: `(known, address, Ended)`.

    The run then ends as the instruction's own transfer says, or because a trap follows.
    """
    slot = u64(state[_SLOT])
    what = kind_of(table, slot)
    after = position(state) + (size_of(table, slot) << U1)
    if what == _BRANCH:
        if state[_BRANCHES] == 0:
            return 0, U0, _ENDED_TRAP
        if u64(state[_BRANCH_MAP]) & U1 == U0:
            return 1, target_of(table, slot), _ENDED_TAKEN
        return 1, after, _ENDED_TRAP
    if what == _INFERABLE_JUMP:
        return 1, target_of(table, slot), s64(ENDED_BY[what])
    if what == _UNINFERABLE_JUMP:
        if state[_LAST] >= 0:
            return 1, table[u64(state[_LAST]) << U2], s64(ENDED_BY[what])
        returns = table[(slot << U2) + U1] & RETURNS != U0
        if returns and settings[_IMPLICIT_RETURN] != 0 and history[DEPTH] != U0:
            return 1, link(history), s64(ENDED_BY[what])
    if what in (_UNINFERABLE_JUMP, _TRAP_RETURN):
        return 0, U0, s64(ENDED_BY[what])
    return 1, after, _ENDED_TRAP


@spliced
def paths_to_follow(table, history, settings, state, form, row):
    """What a packet asks for: `LAP`, to go round to a second visit; `PATH`, to go to its end."""
    if form == _F_SUPPORT:
        return LAP if row[_C_QUAL] == _ENDED_NTR and state[_INFERRED] != 0 else 0
    if state[_SYNC] != _TRACING:
        return 0
    if form <= _F_ADDRESS:
        return PATH | LAP if state[_INFERRED] != 0 else PATH
    if form != _F_SYNC:
        return 0
    if state[_INFERRED] != 0:
        # That the address was met but once is sure only if this is the very next instruction: else
        # a discontinuity led back to it, and the instructions since then needed no packet.
        known, successor, _ended = onward(table, history, settings, state)
        same = s64(row[_C_PRIVILEGE]) == state[_PRIVILEGE]
        if known != 0 and not (same and successor == full_address(settings, row)):
            return PATH | LAP
    return PATH


@inlined
def aim_at_sync(regions, table, settings, state, row):
    """Goal and branch map of the path to the instruction of a format 3.0 packet."""
    address = full_address(settings, row)
    if is_branch_at(regions, table, address):
        state[_BRANCH_MAP] |= s64(row[_C_BRANCH] << u64(state[_BRANCHES]))
        state[_BRANCHES] += 1
    same = s64(row[_C_PRIVILEGE]) == state[_PRIVILEGE]
    state[_GOAL] = s64(address)
    state[_HOW] = HAS_GOAL | IN_LEG if same else HAS_GOAL


@spliced
def add_map(state, brief, valid):
    """Append the first `valid` outcomes of a packet's branch map."""
    outcomes = brief[_B_BRANCH_MAP] & ((U1 << valid) - U1)
    state[_BRANCH_MAP] |= s64(outcomes << u64(state[_BRANCHES]))
    state[_BRANCHES] += s64(valid)


@inlined
def aim_at_address(settings, state, brief):
    """Goal of the path to a packet's differential address, and how it may be met."""
    width = u64(settings[_WIDTH])
    mask = ~U0 if width >= np.uint64(64) else (U1 << width) - U1
    address = brief[_B_ADDRESS] << u64(settings[_LSB])
    if settings[_FULL_ADDRESS] == 0:
        address += u64(state[_ADDRESS])
    state[_ADDRESS] = s64(address & mask)
    state[_GOAL] = state[_ADDRESS]
    if brief[_B_FLAGS] & _NOTIFY != U0:
        state[_HOW] = HAS_GOAL | IN_LEG
    elif brief[_B_FLAGS] & _UPDISCON != U0:
        state[_HOW] = HAS_GOAL
    else:
        state[_HOW] = HAS_GOAL | IN_LEG | INFER


@spliced
def aim_at_visit(state):
    """Goal of a lap: the next visit of where we are."""
    # No branch can lie on the way: there would have been no outcome for it, except one that is
    # still to be used, and then the first visit was the right one.
    state[_BRANCHES] = 0
    state[_GOAL] = s64(position(state))
    state[_HOW] = HAS_GOAL


@spliced
def aim(settings, state, brief):
    """Set goal and branch map for the path that ends with a format 1 or 2 packet."""
    if s64(brief[_B_TABLE]) == _F_BRANCH_MAP:
        add_map(state, brief, brief[_B_BRANCHES] if brief[_B_BRANCHES] != U0 else FULL_MAP)
        if brief[_B_BRANCHES] == U0:
            state[_HOW] = 0
            return
    aim_at_address(settings, state, brief)


@spliced
def follow_paths(regions, table, history, settings, state, runs, filled, brief, row):
    """All that a packet asks for, in the baseline. Status as `follow`'s."""
    wanted = paths_to_follow(table, history, settings, state, s64(brief[_B_TABLE]), row)
    status = 0
    for turn in range(LAP, PATH + 1):
        if wanted & turn == 0 or status != 0:
            continue
        if turn == LAP:
            aim_at_visit(state)
        elif s64(brief[_B_TABLE]) == _F_SYNC:
            aim_at_sync(regions, table, settings, state, row)
        elif s64(brief[_B_TABLE]) < _F_BRANCH_MAP:
            state[_ERROR] = 0
            return _MODE_OFF
        else:
            aim(settings, state, brief)
        status = follow(regions, table, state, runs, filled)
    return status
