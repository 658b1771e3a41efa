"""Packets in, flow out: the spec's decoder (chapter "Decoder") for the baseline formats.

Packets are rows of `decoder.brief.Brief` and `specs.packets.Column`. What is decoded goes into the
arrays of `specs.flow`, seen as flat uint64 (Numba has no padding in records); an output array that
is full stops the kernel before the packet that needs the room.

Departures from the pseudo code, which 2.0 leaves incomplete:

* a sync packet after a trap with thaddr 0 starts afresh: no path leads to a trap handler;
* a format 3.0 packet tells that an address was met for the last time only if it is for the very
  next instruction: others come without a packet before them;
* EPCs of traps in a row come from the packets (docs/choices.md, "Which trap packet");
* a path that cannot be followed is a gap, after which the next packet that holds a full address
  starts afresh.
"""

import numpy as np

from decoder.brief import IS_NOTIFY, IS_UPDISCON, Brief
from decoder.follow import FULL, HAS_GOAL, IN_LEG, INFER, follow
from decoder.path_table import COUNT, ENDED_BY, find_region, kind_of, size_of, target_of
from decoder.state import STATES, State, Sync
from specs.compiled import U0, U1, inlined, njit, s64, u64
from specs.flow import Ended, Reason
from specs.isa.control import Kind
from specs.packets import IOPTIONS, Column, Format, QualStatus

_SYNC = int(State.SYNC)
_SLOT = int(State.SLOT)
_BRANCHES = int(State.BRANCHES)
_BRANCH_MAP = int(State.BRANCH_MAP)
_ADDRESS = int(State.ADDRESS)
_PRIVILEGE = int(State.PRIVILEGE)
_INFERRED = int(State.INFERRED)
_FULL_ADDRESS = int(State.FULL_ADDRESS)
_UNSUPPORTED = int(State.UNSUPPORTED)
_RUN_START = int(State.RUN_START)
_RUN_COUNT = int(State.RUN_COUNT)
_RUNS = int(State.RUNS)
_NEXT_EPC = int(State.NEXT_EPC)
_BASE = int(State.REGION_BASE)
_SPAN = int(State.REGION_SPAN)
_FIRST = int(State.REGION_SLOT)
_GOAL = int(State.GOAL)
_HOW = int(State.HOW)
_ERROR = int(State.ERROR_ADDRESS)

_START = int(Sync.START)
_FRESH = int(Sync.FRESH)
_LOST = int(Sync.LOST)
_TRACING = int(Sync.TRACING)
_WAITING = int(Sync.WAITING)
_OWN = int(Sync.OWN)

_BRANCH = np.uint64(int(Kind.BRANCH))
_INFERABLE_JUMP = np.uint64(int(Kind.INFERABLE_JUMP))
_UNINFERABLE_JUMP = np.uint64(int(Kind.UNINFERABLE_JUMP))
_TRAP_RETURN = np.uint64(int(Kind.TRAP_RETURN))
_ENVIRONMENT = np.uint64(int(Kind.ENVIRONMENT))

_ENDED_PACKET = int(Ended.PACKET)
_ENDED_TAKEN = int(Ended.TAKEN_BRANCH)
_ENDED_TRAP_RETURN = int(Ended.TRAP_RETURN)
_ENDED_TRAP = int(Ended.TRAP)
_ENDED_GAP = int(Ended.GAP)
_ENDED_END = int(Ended.END)

_NO_SYNC = int(Reason.NO_SYNC)
_NO_CODE = int(Reason.NO_CODE)
_ILLEGAL_CODE = int(Reason.ILLEGAL_CODE)
_UNEXPECTED_DISCONTINUITY = int(Reason.UNEXPECTED_DISCONTINUITY)
_UNSUPPORTED_MODE = int(Reason.UNSUPPORTED_MODE)
_TRACE_LOST = int(Reason.TRACE_LOST)

_F_BRANCH_MAP = int(Format.BRANCH_MAP)
_F_ADDRESS = int(Format.ADDRESS)
_F_SYNC = int(Format.SYNC)
_F_TRAP = int(Format.TRAP)
_F_CONTEXT = int(Format.CONTEXT)
_F_SUPPORT = int(Format.SUPPORT)

_ENDED_NTR = np.uint64(int(QualStatus.ended_ntr))
_LOST_PACKETS = np.uint64(int(QualStatus.trace_lost))

_B_OFFSET = int(Brief.offset)
_B_REASON = int(Brief.reason)
_B_TABLE = int(Brief.table)
_B_BRANCHES = int(Brief.branches)
_B_BRANCH_MAP = int(Brief.branch_map)
_B_ADDRESS = int(Brief.address)
_B_FLAGS = int(Brief.flags)
_B_DETAIL = int(Brief.detail)
_NOTIFY = np.uint64(IS_NOTIFY)
_UPDISCON = np.uint64(IS_UPDISCON)

_C_OFFSET = int(Column.offset)
_C_BRANCH = int(Column.branch)
_C_PRIVILEGE = int(Column.privilege)
_C_TIME = int(Column.time)
_C_CONTEXT = int(Column.context)
_C_ECAUSE = int(Column.ecause)
_C_INTERRUPT = int(Column.interrupt)
_C_THADDR = int(Column.thaddr)
_C_ADDRESS = int(Column.address)
_C_TVAL = int(Column.tval)
_C_MODE = int(Column.encoder_mode)
_C_QUAL = int(Column.qual_status)
_C_IOPTIONS = int(Column.ioptions)

_FULL_ADDRESS_BIT = np.uint64(1 << IOPTIONS.index("full_address"))

#: Paths of a packet, in the order in which they are followed.
_LAP, _PATH = 1, 2
_FULL_MAP = np.uint64(31)

#: `filled`: how many of each output are written; and the places in it.
OUTPUTS = 4
_N_RUNS, _N_TRAPS, _N_CONTEXTS, _N_GAPS = range(OUTPUTS)
#: Traps, contexts or gaps that one packet can add at most.
_MARGIN = 4
_UNKNOWN_PRIVILEGE = 255


@inlined
def close_run(state, runs, filled, ended):
    """End the run under construction, if there is one."""
    if state[_RUN_COUNT] == 0:
        return
    n = filled[_N_RUNS]
    runs[2 * n] = u64(state[_RUN_START])
    runs[2 * n + 1] = (
        u64(state[_RUN_COUNT])
        | (u64(ended) << np.uint64(32))
        | (u64(state[_PRIVILEGE]) << np.uint64(40))
    )
    filled[_N_RUNS] = n + 1
    state[_RUN_COUNT] = 0


@njit
def count_instructions(runs, number):
    """Instructions in the first `number` runs."""
    total = U0
    for n in range(number):
        total += runs[2 * n + 1] & COUNT
    return total


@inlined
def position(state):
    """Address of the last retired instruction."""
    return u64(state[_BASE]) + (u64(state[_SLOT] - state[_FIRST]) << U1)


@njit
def split_run(state, runs, filled):
    """Let a run of its own begin with the last retired instruction, if there is an open run."""
    if state[_RUN_COUNT] == 0:
        return
    state[_RUN_COUNT] -= 1
    close_run(state, runs, filled, _ENDED_PACKET)
    state[_RUN_START] = s64(position(state))
    state[_RUN_COUNT] = 1


@njit
def fail(state, runs, gaps, filled, packet, offset, reason, address):
    """A gap here; wait for a packet that synchronises."""
    close_run(state, runs, filled, _ENDED_GAP)
    n = filled[_N_GAPS]
    gaps[5 * n] = u64(state[_RUNS] + filled[_N_RUNS])
    gaps[5 * n + 1] = u64(packet)
    gaps[5 * n + 2] = offset
    gaps[5 * n + 3] = address
    gaps[5 * n + 4] = u64(reason)
    filled[_N_GAPS] = n + 1
    state[_SYNC] = _LOST
    state[_BRANCHES] = 0
    state[_BRANCH_MAP] = 0
    state[_INFERRED] = 0


@njit
def start_at(regions, table, state, address, branch, privilege):
    """Begin a run at `address`: 0, or the `Reason` why there is no instruction."""
    state[_BRANCHES] = 0
    state[_BRANCH_MAP] = 0
    state[_INFERRED] = 0
    region = find_region(regions, address)
    if region < 0:
        return _NO_CODE
    base = regions[region]
    slot = regions[region + 2] + ((address - base) >> U1)
    if size_of(table, slot) == U0:
        return _ILLEGAL_CODE
    state[_BASE] = s64(base)
    state[_SPAN] = s64(regions[region + 1] - base)
    state[_FIRST] = s64(regions[region + 2])
    state[_SLOT] = s64(slot)
    if kind_of(table, slot) == _BRANCH:
        state[_BRANCHES] = 1
        state[_BRANCH_MAP] = s64(branch)
    state[_RUN_START] = s64(address)
    state[_RUN_COUNT] = 1
    state[_PRIVILEGE] = s64(privilege)
    state[_SYNC] = _TRACING
    return 0


@njit
def is_branch_at(regions, table, address):
    """Whether the instruction at `address` is a branch; False where there is none."""
    region = find_region(regions, address)
    if region < 0:
        return False
    slot = regions[region + 2] + ((address - regions[region]) >> U1)
    return kind_of(table, slot) == _BRANCH


@njit
def note_context(state, contexts, filled, row, packet):
    """Record context and time between the run so far and what follows."""
    n = filled[_N_CONTEXTS]
    contexts[6 * n] = u64(state[_RUNS] + filled[_N_RUNS])
    contexts[6 * n + 1] = row[_C_CONTEXT]
    contexts[6 * n + 2] = row[_C_TIME]
    contexts[6 * n + 3] = u64(packet)
    contexts[6 * n + 4] = row[_C_OFFSET]
    contexts[6 * n + 5] = row[_C_PRIVILEGE]
    filled[_N_CONTEXTS] = n + 1


@inlined
def onward(table, state):
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
    if what == _UNINFERABLE_JUMP or what == _TRAP_RETURN:
        return 0, U0, s64(ENDED_BY[what])
    return 1, after, _ENDED_TRAP


@inlined
def paths_to_follow(table, state, form, row, lsb, mask):
    """What a packet asks for: `_LAP`, to go round to a second visit; `_PATH`, to go to its end."""
    if form == _F_SUPPORT:
        return _LAP if row[_C_QUAL] == _ENDED_NTR and state[_INFERRED] != 0 else 0
    if state[_SYNC] != _TRACING:
        return 0
    if form == _F_BRANCH_MAP or form == _F_ADDRESS:
        return _PATH | _LAP if state[_INFERRED] != 0 else _PATH
    if form != _F_SYNC:
        return 0
    if state[_INFERRED] != 0:
        # That the address was met but once is sure only if this is the very next instruction: else
        # a discontinuity led back to it, and the instructions since then needed no packet.
        known, successor, _ended = onward(table, state)
        same = s64(row[_C_PRIVILEGE]) == state[_PRIVILEGE]
        if known != 0 and not (same and successor == (row[_C_ADDRESS] << lsb) & mask):
            return _PATH | _LAP
    return _PATH


@inlined
def aim(regions, table, state, brief, row, lsb, mask):
    """Set goal and branch map for the path that ends with this packet (formats 1, 2, 3.0)."""
    form = s64(brief[_B_TABLE])
    if form == _F_SYNC:
        address = (row[_C_ADDRESS] << lsb) & mask
        if is_branch_at(regions, table, address):
            state[_BRANCH_MAP] |= s64(row[_C_BRANCH] << u64(state[_BRANCHES]))
            state[_BRANCHES] += 1
        same = s64(row[_C_PRIVILEGE]) == state[_PRIVILEGE]
        state[_GOAL] = s64(address)
        state[_HOW] = HAS_GOAL | IN_LEG if same else HAS_GOAL
        return
    if form == _F_BRANCH_MAP:
        valid = brief[_B_BRANCHES] if brief[_B_BRANCHES] != U0 else _FULL_MAP
        outcomes = brief[_B_BRANCH_MAP] & ((U1 << valid) - U1)
        state[_BRANCH_MAP] |= s64(outcomes << u64(state[_BRANCHES]))
        state[_BRANCHES] += s64(valid)
        if brief[_B_BRANCHES] == U0:
            state[_HOW] = 0
            return
    address = brief[_B_ADDRESS] << lsb
    if state[_FULL_ADDRESS] == 0:
        address += u64(state[_ADDRESS])
    state[_ADDRESS] = s64(address & mask)
    state[_GOAL] = state[_ADDRESS]
    if brief[_B_FLAGS] & _NOTIFY != U0:
        state[_HOW] = HAS_GOAL | IN_LEG
    elif brief[_B_FLAGS] & _UPDISCON != U0:
        state[_HOW] = HAS_GOAL
    else:
        state[_HOW] = HAS_GOAL | IN_LEG | INFER


@inlined
def follow_paths(regions, table, state, runs, filled, brief, row, lsb, mask):
    """All that a packet asks for. Status as `follow`'s."""
    wanted = paths_to_follow(table, state, s64(brief[_B_TABLE]), row, lsb, mask)
    status = 0
    for turn in range(_LAP, _PATH + 1):
        if wanted & turn == 0 or status != 0:
            continue
        if turn == _PATH:
            aim(regions, table, state, brief, row, lsb, mask)
        else:
            # No branch can lie on the way: there would have been no outcome for it, except one
            # that is still to be used, and then the first visit was the right one.
            state[_BRANCHES] = 0
            state[_GOAL] = s64(position(state))
            state[_HOW] = HAS_GOAL
        status = follow(regions, table, state, runs, filled)
    return status


@njit
def returned(state, runs, filled, row):
    """0, or the `Reason` against a format 3.0 packet with a new privilege: only xRET changes it."""
    if s64(row[_C_PRIVILEGE]) == state[_PRIVILEGE]:
        return 0
    written = filled[_N_RUNS]
    if written > 0:
        ended = (runs[2 * written - 1] >> np.uint64(32)) & np.uint64(0xFF)
        if ended == np.uint64(_ENDED_TRAP_RETURN):
            return 0
    state[_ERROR] = state[_GOAL]
    return _UNEXPECTED_DISCONTINUITY


@njit
def report_sync(regions, table, state, runs, contexts, filled, row, packet, lsb, mask, has_context):
    """The instruction of a format 3.0 packet: 0, or the `Reason` why it is none."""
    address = (row[_C_ADDRESS] << lsb) & mask
    privilege = s64(row[_C_PRIVILEGE])
    state[_ADDRESS] = s64(address)
    tracing = state[_SYNC] == _TRACING
    if tracing and (has_context or privilege != state[_PRIVILEGE]):
        split_run(state, runs, filled)
        state[_PRIVILEGE] = privilege
    if has_context:
        note_context(state, contexts, filled, row, packet)
    if tracing:
        return 0
    return start_at(regions, table, state, address, row[_C_BRANCH], privilege)


@njit
def report_trap(
    regions, table, state, runs, traps, contexts, filled, row, packet, lsb, mask, has_context
):
    """A format 3.1 packet: 0, or the `Reason` why there is no handler."""
    address = (row[_C_ADDRESS] << lsb) & mask
    privilege = s64(row[_C_PRIVILEGE])
    thaddr = row[_C_THADDR] != U0
    before = _UNKNOWN_PRIVILEGE if thaddr else privilege
    sync = state[_SYNC]
    epc_known, epc, own = 0, U0, False
    if sync == _TRACING:
        epc_known, epc, ended = onward(table, state)
        what = kind_of(table, u64(state[_SLOT]))
        if what == _ENVIRONMENT and row[_C_INTERRUPT] == U0:
            # Retired only in the eyes of encoders that report it so: it is what trapped.
            epc = position(state)
        discontinuity = what == _UNINFERABLE_JUMP or what == _TRAP_RETURN
        own = not thaddr and (discontinuity or privilege != state[_PRIVILEGE])
        if thaddr:
            before = state[_PRIVILEGE]
        close_run(state, runs, filled, ended)
    elif sync == _WAITING:
        epc_known, epc = 1, u64(state[_NEXT_EPC])
    elif sync == _OWN or sync == _FRESH:
        own = not thaddr
    if own:
        epc_known, epc = 1, address
    if (own or sync == _WAITING) and epc == U0 and row[_C_INTERRUPT] != U0:
        epc_known = 0  # a source need not know where an interrupt was taken
    n = filled[_N_TRAPS]
    traps[7 * n] = u64(state[_RUNS] + filled[_N_RUNS])
    traps[7 * n + 1] = epc if epc_known != 0 else U0
    traps[7 * n + 2] = row[_C_TVAL]
    traps[7 * n + 3] = row[_C_ECAUSE]
    traps[7 * n + 4] = u64(packet)
    traps[7 * n + 5] = row[_C_OFFSET]
    traps[7 * n + 6] = (
        row[_C_INTERRUPT]
        | (u64(before) << np.uint64(8))
        | (u64(epc_known) << np.uint64(16))
        | (row[_C_THADDR] << np.uint64(24))
    )
    filled[_N_TRAPS] = n + 1
    if has_context:
        note_context(state, contexts, filled, row, packet)
    state[_INFERRED] = 0
    state[_BRANCHES] = 0
    if thaddr:
        state[_ADDRESS] = s64(address)
        return start_at(regions, table, state, address, row[_C_BRANCH], privilege)
    if own:
        state[_SYNC] = _OWN
    elif sync == _TRACING or sync == _WAITING:
        state[_SYNC] = _WAITING
        state[_NEXT_EPC] = s64(address)
    return 0


@njit
def report_support(state, runs, filled, row):
    """The qualification status of a format 3.3 packet: 0, or `Reason.TRACE_LOST`."""
    reason = 0
    if row[_C_QUAL] == _LOST_PACKETS:
        close_run(state, runs, filled, _ENDED_GAP)
        reason = _TRACE_LOST
    elif row[_C_QUAL] != U0:
        close_run(state, runs, filled, _ENDED_END)
    if row[_C_QUAL] != U0 or state[_SYNC] == _START:
        state[_SYNC] = _FRESH
        state[_BRANCHES] = 0
        state[_INFERRED] = 0
    return reason


@njit
def options_change(state, row):
    """Take over the options of a format 3.3 packet: 0, or UNSUPPORTED_MODE if that is new."""
    before = state[_UNSUPPORTED]
    options = row[_C_IOPTIONS]
    state[_FULL_ADDRESS] = 1 if options & _FULL_ADDRESS_BIT != U0 else 0
    unsupported = options & ~_FULL_ADDRESS_BIT != U0 or row[_C_MODE] != U0
    state[_UNSUPPORTED] = 1 if unsupported else 0
    return _UNSUPPORTED_MODE if unsupported and before == 0 else 0


@inlined
def full(filled, runs, traps, contexts, gaps):
    """Whether an output may be too short for what one packet adds, paths aside."""
    return (
        2 * (filled[_N_RUNS] + _MARGIN) > runs.size
        or 7 * (filled[_N_TRAPS] + _MARGIN) > traps.size
        or 6 * (filled[_N_CONTEXTS] + _MARGIN) > contexts.size
        or 5 * (filled[_N_GAPS] + _MARGIN) > gaps.size
    )


@njit
def reconstruct(
    regions,
    table,
    briefs,
    details,
    begin,
    end,
    first_packet,
    settings,
    state,
    saved,
    runs,
    traps,
    contexts,
    gaps,
    filled,
    counts,
):
    """Decode packets `briefs[begin:end]`; the index of the first one not decoded.

    `regions`, `table`: as `decoder.path_table.tables` gives them; the outputs: uint64, flat.
    `settings`: iaddress_lsb_p, iaddress_width_p, whether format 3.0 and 3.1 hold context or time.
    `briefs[0]` has packet number `first_packet`. `state`, `saved`: int64, `STATES` long. `filled`
    (int64, `OUTPUTS` long) is advanced; where an output is full it stops before the packet.
    `counts` (int64, one a format) is how many packets there were.
    """
    lsb = u64(settings[0])
    mask = ~U0 if settings[1] >= 64 else (U1 << u64(settings[1])) - U1
    has_context = settings[2] != 0
    for i in range(begin, end):
        if full(filled, runs, traps, contexts, gaps):
            return i
        brief = briefs[i]
        packet = first_packet + i
        offset = brief[_B_OFFSET]
        if brief[_B_REASON] != U0:
            fail(state, runs, gaps, filled, packet, offset, s64(brief[_B_REASON]), U0)
            continue
        form = s64(brief[_B_TABLE])
        counts[form] += 1
        row = details[0]
        if form != _F_BRANCH_MAP and form != _F_ADDRESS:
            row = details[s64(brief[_B_DETAIL])]
        if form != _F_SUPPORT and state[_UNSUPPORTED] != 0:
            continue
        filled_runs = filled[_N_RUNS]
        for k in range(STATES):
            saved[k] = state[k]
        status = follow_paths(regions, table, state, runs, filled, brief, row, lsb, mask)
        if status == FULL:
            for k in range(STATES):
                state[k] = saved[k]
            filled[_N_RUNS] = filled_runs
            counts[form] -= 1
            return i
        if status == 0 and form == _F_SYNC and state[_SYNC] == _TRACING:
            status = returned(state, runs, filled, row)
        if status != 0:
            fail(state, runs, gaps, filled, packet, offset, status, u64(state[_ERROR]))
        reason = 0
        if form == _F_SYNC:
            reason = report_sync(
                regions, table, state, runs, contexts, filled, row, packet, lsb, mask, has_context
            )
        elif form == _F_TRAP:
            reason = report_trap(
                regions,
                table,
                state,
                runs,
                traps,
                contexts,
                filled,
                row,
                packet,
                lsb,
                mask,
                has_context,
            )
        elif form == _F_CONTEXT:
            split_run(state, runs, filled)
            note_context(state, contexts, filled, row, packet)
        elif form == _F_SUPPORT:
            reason = report_support(state, runs, filled, row)
            if reason != 0:
                fail(state, runs, gaps, filled, packet, offset, reason, U0)
                state[_SYNC] = _FRESH
            reason = options_change(state, row)
        elif form != _F_BRANCH_MAP and form != _F_ADDRESS:
            reason = _UNSUPPORTED_MODE
        elif state[_SYNC] != _TRACING and state[_SYNC] != _LOST:
            reason = _NO_SYNC
        where = U0
        if reason == _NO_CODE or reason == _ILLEGAL_CODE:
            where = (row[_C_ADDRESS] << lsb) & mask
        # A path to where there is no code has been reported.
        if reason != 0 and not (reason == status and where == u64(state[_ERROR])):
            fail(state, runs, gaps, filled, packet, offset, reason, where)
    return end
