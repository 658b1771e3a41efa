"""Packets in, flow out: the spec's decoder (chapter "Decoder"), without optional modes.

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

from decoder.brief import Brief
from decoder.follow import FULL
from decoder.path_table import COUNT, find_region, kind_of, size_of
from decoder.paths import follow_paths, full_address, onward, position
from decoder.settings import Setting
from decoder.state import BASELINE, State, Stop, Sync
from specs.compiled import U0, U1, U2, U64, njit, s64, spliced, u64
from specs.flow import Ended, Reason
from specs.isa.control import Kind
from specs.packets import Column, Format, QualStatus

_SYNC = int(State.SYNC)
_SLOT = int(State.SLOT)
_BRANCHES = int(State.BRANCHES)
_BRANCH_MAP = int(State.BRANCH_MAP)
_ADDRESS = int(State.ADDRESS)
_PRIVILEGE = int(State.PRIVILEGE)
_INFERRED = int(State.INFERRED)
_UNSUPPORTED = int(State.UNSUPPORTED)
_RUN_START = int(State.RUN_START)
_RUN_COUNT = int(State.RUN_COUNT)
_RUNS = int(State.RUNS)
_NEXT_EPC = int(State.NEXT_EPC)
_BASE = int(State.REGION_BASE)
_SPAN = int(State.REGION_SPAN)
_FIRST = int(State.REGION_SLOT)
_GOAL = int(State.GOAL)
_ERROR = int(State.ERROR_ADDRESS)
_ENDED = int(State.ENDED)
_REFUSED = int(State.REFUSED)
_PREDICTED = int(State.PREDICTED)
_FAILED = int(State.FAILED)
_LAST = int(State.LAST)

_HAS_CONTEXT = int(Setting.HAS_CONTEXT)
_WIDTH = int(Setting.WIDTH)
_IMPLICIT_EXCEPTION = int(Setting.IMPLICIT_EXCEPTION)
_VECTORS = int(Setting.VECTORS)
_VECTOR = int(Setting.VECTOR)

_START = int(Sync.START)
_FRESH = int(Sync.FRESH)
_LOST = int(Sync.LOST)
_TRACING = int(Sync.TRACING)
_WAITING = int(Sync.WAITING)
_OWN = int(Sync.OWN)

_NOT_STOPPED = int(Stop.NONE)
_TOLD = int(Stop.TOLD)
_LOST_TRACE = int(Stop.LOST)

_BRANCH = np.uint64(int(Kind.BRANCH))
_UNINFERABLE_JUMP = np.uint64(int(Kind.UNINFERABLE_JUMP))
_TRAP_RETURN = np.uint64(int(Kind.TRAP_RETURN))
_ENVIRONMENT = np.uint64(int(Kind.ENVIRONMENT))

ENDED_PACKET = np.int64(int(Ended.PACKET))
_ENDED_TRAP_RETURN = np.int64(int(Ended.TRAP_RETURN))
_ENDED_GAP = np.int64(int(Ended.GAP))
_ENDED_END = np.int64(int(Ended.END))

_NO_SYNC = int(Reason.NO_SYNC)
_NO_VECTOR = int(Reason.NO_VECTOR)
_NO_CODE = int(Reason.NO_CODE)
_ILLEGAL_CODE = int(Reason.ILLEGAL_CODE)
_UNEXPECTED_DISCONTINUITY = int(Reason.UNEXPECTED_DISCONTINUITY)
_UNSUPPORTED_MODE = int(Reason.UNSUPPORTED_MODE)
_TRACE_LOST = int(Reason.TRACE_LOST)

_F_BRANCH_COUNT = int(Format.BRANCH_COUNT)
_F_ADDRESS = int(Format.ADDRESS)
_F_SYNC = int(Format.SYNC)
_F_TRAP = int(Format.TRAP)
_F_CONTEXT = int(Format.CONTEXT)
_F_SUPPORT = int(Format.SUPPORT)

_LOST_PACKETS = np.uint64(int(QualStatus.trace_lost))

_B_OFFSET = int(Brief.offset)
_B_REASON = int(Brief.reason)
_B_TABLE = int(Brief.table)
_B_DETAIL = int(Brief.detail)

_C_OFFSET = int(Column.offset)
_C_BRANCH = int(Column.branch)
_C_PRIVILEGE = int(Column.privilege)
_C_TIME = int(Column.time)
_C_CONTEXT = int(Column.context)
_C_ECAUSE = int(Column.ecause)
_C_INTERRUPT = int(Column.interrupt)
_C_THADDR = int(Column.thaddr)
_C_TVAL = int(Column.tval)
_C_QUAL = int(Column.qual_status)
_MODE_BITS = np.uint64(3)

#: `filled`: how many of each output are written; and the places in it.
OUTPUTS = 5
_N_RUNS, _N_TRAPS, _N_CONTEXTS, _N_GAPS, _N_PAUSES = range(OUTPUTS)
#: Traps, contexts, gaps or pauses that one packet can add at most.
_MARGIN = 4
_UNKNOWN_PRIVILEGE = 255


@njit
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


@njit
def split_run(state, runs, filled):
    """Let a run of its own begin with the last retired instruction, if there is an open run."""
    if state[_RUN_COUNT] == 0:
        return
    state[_RUN_COUNT] -= 1
    close_run(state, runs, filled, ENDED_PACKET)
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
    state[_PREDICTED] = 0
    state[_FAILED] = 0
    state[_INFERRED] = 0


@njit
def start_at(regions, table, state, address, branch, privilege):
    """Begin a run at `address`: 0, or the `Reason` why there is no instruction."""
    state[_BRANCHES] = 0
    state[_BRANCH_MAP] = 0
    state[_INFERRED] = 0
    state[_LAST] = -1
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
def note_context(state, contexts, filled, row, packet, precise):
    """Record context and time between the run so far and what follows."""
    n = filled[_N_CONTEXTS]
    contexts[6 * n] = u64(state[_RUNS] + filled[_N_RUNS])
    contexts[6 * n + 1] = row[_C_CONTEXT]
    contexts[6 * n + 2] = row[_C_TIME]
    contexts[6 * n + 3] = u64(packet)
    contexts[6 * n + 4] = row[_C_OFFSET]
    contexts[6 * n + 5] = row[_C_PRIVILEGE] | (precise << np.uint64(8))
    filled[_N_CONTEXTS] = n + 1


@spliced
def note_beginning(state, pauses, filled, packet, offset):
    """Tracing begins here: record a pause if it had ended because the encoder was told so."""
    if state[_SYNC] == _FRESH and state[_ENDED] == _TOLD:
        n = filled[_N_PAUSES]
        pauses[3 * n] = u64(state[_RUNS] + filled[_N_RUNS])
        pauses[3 * n + 1] = u64(packet)
        pauses[3 * n + 2] = offset
        filled[_N_PAUSES] = n + 1
    state[_ENDED] = _NOT_STOPPED


@spliced
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


@spliced
def report_sync(regions, table, settings, state, runs, contexts, filled, row, packet):
    """The instruction of a format 3.0 packet: 0, or the `Reason` why it is none."""
    address = full_address(settings, row)
    privilege = s64(row[_C_PRIVILEGE])
    has_context = settings[_HAS_CONTEXT] != 0
    state[_ADDRESS] = s64(address)
    tracing = state[_SYNC] == _TRACING
    if tracing and (has_context or privilege != state[_PRIVILEGE]):
        split_run(state, runs, filled)
        state[_PRIVILEGE] = privilege
    if has_context:
        note_context(state, contexts, filled, row, packet, U1)
    if tracing:
        return 0
    return start_at(regions, table, state, address, row[_C_BRANCH], privilege)


@spliced
def handler_of(settings, row):
    """`(known, address)` of the handler that a format 3.1 packet with thaddr 1 reports."""
    if settings[_IMPLICIT_EXCEPTION] == 0:
        return True, full_address(settings, row)
    level = row[_C_PRIVILEGE]
    if (u64(settings[_VECTORS]) >> level) & U1 == U0:
        return False, level
    vector = u64(settings[_VECTOR + s64(level)])
    address = vector & ~_MODE_BITS
    if vector & _MODE_BITS == U1 and row[_C_INTERRUPT] != U0:
        address += row[_C_ECAUSE] << U2
    width = u64(settings[_WIDTH])
    return True, address if width >= U64 else address & ((U1 << width) - U1)


@spliced
def report_trap(
    regions, table, history, settings, state, runs, traps, contexts, filled, row, packet
):
    """A format 3.1 packet: 0, or the `Reason` why there is no handler."""
    address = full_address(settings, row)
    privilege = s64(row[_C_PRIVILEGE])
    thaddr = row[_C_THADDR] != U0
    before = _UNKNOWN_PRIVILEGE if thaddr else privilege
    sync = state[_SYNC]
    epc_known, epc, own = 0, U0, False
    if sync == _TRACING:
        epc_known, epc, ended = onward(table, history, settings, state)
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
    if settings[_HAS_CONTEXT] != 0:
        note_context(state, contexts, filled, row, packet, U1)
    state[_INFERRED] = 0
    state[_BRANCHES] = 0
    if thaddr:
        known, address = handler_of(settings, row)
        state[_ADDRESS] = s64(address)
        if not known:
            return _NO_VECTOR
        return start_at(regions, table, state, address, row[_C_BRANCH], privilege)
    if own:
        state[_SYNC] = _OWN
    elif sync == _TRACING or sync == _WAITING:
        state[_SYNC] = _WAITING
        state[_NEXT_EPC] = s64(address)
    return 0


@spliced
def report_support(state, runs, filled, row):
    """The qualification status of a format 3.3 packet: 0, or `Reason.TRACE_LOST`."""
    reason = 0
    if row[_C_QUAL] == _LOST_PACKETS:
        close_run(state, runs, filled, _ENDED_GAP)
        reason = _TRACE_LOST
    elif row[_C_QUAL] != U0:
        close_run(state, runs, filled, _ENDED_END)
    if row[_C_QUAL] != U0 and state[_SYNC] != _START and state[_ENDED] != _LOST_TRACE:
        state[_ENDED] = _LOST_TRACE if row[_C_QUAL] == _LOST_PACKETS else _TOLD
    if row[_C_QUAL] != U0 or state[_SYNC] == _START:
        state[_SYNC] = _FRESH
        state[_BRANCHES] = 0
        state[_INFERRED] = 0
    return reason


@spliced
def full(filled, runs, traps, contexts, gaps, pauses):
    """Whether an output may be too short for what one packet adds, paths aside."""
    return (
        2 * (filled[_N_RUNS] + _MARGIN) > runs.size
        or 7 * (filled[_N_TRAPS] + _MARGIN) > traps.size
        or 6 * (filled[_N_CONTEXTS] + _MARGIN) > contexts.size
        or 5 * (filled[_N_GAPS] + _MARGIN) > gaps.size
        or 3 * (filled[_N_PAUSES] + _MARGIN) > pauses.size
    )


@spliced
def format_of(state, runs, gaps, filled, brief, packet, counts):
    """The format of a packet that can be decoded; -1 for one that is passed over."""
    if brief[_B_REASON] != U0:
        fail(state, runs, gaps, filled, packet, brief[_B_OFFSET], s64(brief[_B_REASON]), U0)
        return -1
    form = s64(brief[_B_TABLE])
    if form != _F_SUPPORT and state[_UNSUPPORTED] != 0:
        counts[form] += 1
        return -1
    return form


@spliced
def row_of(brief, form):
    """The row of a packet's details; any, for the formats that have none."""
    return s64(brief[_B_DETAIL]) if form > _F_ADDRESS or form == _F_BRANCH_COUNT else 0


@spliced
def is_settled(state, form, status):
    """Whether a packet asks for nothing but the paths to it, which were followed."""
    return status == 0 and form <= _F_ADDRESS and state[_SYNC] == _TRACING


@njit
def report(
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
    offset,
    status,
):
    """What a packet says besides the paths to it, which `status` is about: 0, or the `Reason` why
    it is not understood."""
    if status == 0 and form == _F_SYNC and state[_SYNC] == _TRACING:
        status = returned(state, runs, filled, row)
    if status != 0:
        fail(state, runs, gaps, filled, packet, offset, status, u64(state[_ERROR]))
    reason = s64(0)
    if form == _F_SYNC or form == _F_TRAP:
        note_beginning(state, pauses, filled, packet, offset)
    if form == _F_SYNC:
        reason = s64(
            report_sync(regions, table, settings, state, runs, contexts, filled, row, packet)
        )
    elif form == _F_TRAP:
        reason = s64(
            report_trap(
                regions, table, history, settings, state, runs, traps, contexts, filled, row, packet
            )
        )
    elif form == _F_CONTEXT:
        if settings[_HAS_CONTEXT] != 0:
            split_run(state, runs, filled)
            note_context(state, contexts, filled, row, packet, U0)
    elif form == _F_SUPPORT:
        reason = s64(report_support(state, runs, filled, row))
        if reason != 0:
            fail(state, runs, gaps, filled, packet, offset, reason, U0)
            state[_SYNC] = _FRESH
        reason = s64(0)
        if state[_REFUSED] != 0 and state[_UNSUPPORTED] == 0:
            reason = s64(_UNSUPPORTED_MODE)
        state[_UNSUPPORTED] = state[_REFUSED]
    elif state[_SYNC] != _TRACING and state[_SYNC] != _LOST:
        reason = s64(_NO_SYNC)
    where = U0
    if reason == _NO_CODE or reason == _ILLEGAL_CODE or reason == _NO_VECTOR:
        where = u64(state[_ADDRESS])
    # A path to where there is no code has been reported.
    if reason != 0 and not (reason == status and where == u64(state[_ERROR])):
        fail(state, runs, gaps, filled, packet, offset, reason, where)
    return reason


@njit
def reconstruct(
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
    saved,
    runs,
    traps,
    contexts,
    gaps,
    pauses,
    filled,
    counts,
):
    """Decode packets `briefs[begin:end]`; the index of the first one not decoded.

    `regions`, `table`: as `decoder.path_table.tables` gives them; `history` as
    `specs.predictors.make`, `settings` (int64) as `decoder.settings.settings`; the outputs: uint64,
    flat. `briefs[0]` has packet number `first_packet`. `state`, `saved`: int64, `STATES` long.
    `filled` (int64, `OUTPUTS` long) is advanced; where an output is full it stops before the
    packet: call it again with the same packets. `counts` (int64, one a format) is how many packets
    there were. For optional modes there is `decoder.kernel_modes`.
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
        filled_runs = filled[_N_RUNS]
        for k in range(BASELINE):
            saved[k] = state[k]
        status = s64(
            follow_paths(regions, table, history, settings, state, runs, filled, brief, row)
        )
        if status == FULL:
            for k in range(BASELINE):
                state[k] = saved[k]
            filled[_N_RUNS] = filled_runs
            return i
        counts[form] += 1
        if not is_settled(state, form, status):
            report(
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
    return end
