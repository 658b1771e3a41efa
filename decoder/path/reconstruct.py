"""Packets in, flow out: the spec's decoder (chapter "Decoder"), without optional modes.

Packets are rows of `decoder.bytes.brief.Brief` and `specs.trace.packets.Column`. What is decoded
goes into the arrays of `specs.interfaces.flow`, seen as flat uint64 (Numba has no padding in
records); an output array that is full stops the kernel before the packet that needs the room.

Departures from the pseudo code, which 2.0 leaves incomplete:

* a sync packet after a trap with thaddr 0 starts afresh: no path leads to a trap handler;
* a format 3.0 packet tells that an address was met for the last time only if it is for the very
  next instruction: others come without a packet before them;
* EPCs of traps in a row come from the packets (docs/choices.md, "Which trap packet");
* a path that cannot be followed is a gap, after which the next packet that holds a full address
  starts afresh.
"""

import numpy as np

from decoder.bytes.brief import Brief
from decoder.path.aims import follow_paths, full_address, onward, position
from decoder.path.circles import ENDLESS, NO_ROUND, round_from
from decoder.path.follow import FULL
from decoder.path.settings import Setting
from decoder.path.state import BASELINE, State, Stop, Sync
from decoder.path.table import find_region, kind_of, size_of
from specs.interfaces.flow import Ended, Reason
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import LOW32, U0, U1, U2, U64, s64, u64
from specs.trace.packets import Column, Format, QualStatus

_at = plain(State)
_setting = plain(Setting)
_sync = plain(Sync)
_stop = plain(Stop)
_kind = plain(Kind, np.uint64)
_ended = plain(Ended)
_reason = plain(Reason)
_format = plain(Format)
_qual_status = plain(QualStatus, np.uint64)
_brief = plain(Brief)
_column = plain(Column)

ENDED_PACKET = np.int64(int(Ended.PACKET))
_MODE_BITS = np.uint64(3)

#: `filled`: how many of each output are written; and the places in it.
OUTPUTS = 6
_N_RUNS, _N_TRAPS, _N_CONTEXTS, _N_GAPS, _N_PAUSES, _N_LOOPS = range(OUTPUTS)
#: Traps, contexts, gaps, pauses or loops that one packet can add at most.
_MARGIN = 4
_UNKNOWN_PRIVILEGE = 255


@njit
def close_run(state, runs, filled, ended):
    """End the run under construction, if there is one."""
    if state[_at.RUN_COUNT] == 0:
        return
    n = filled[_N_RUNS]
    runs[2 * n] = u64(state[_at.RUN_START])
    runs[2 * n + 1] = (
        u64(state[_at.RUN_COUNT])
        | (u64(ended) << np.uint64(32))
        | (u64(state[_at.PRIVILEGE]) << np.uint64(40))
    )
    filled[_N_RUNS] = n + 1
    state[_at.RUN_COUNT] = 0


@njit
def count_instructions(runs, number):
    """Instructions in the first `number` runs."""
    total = U0
    for n in range(number):
        total += runs[2 * n + 1] & LOW32
    return total


@njit
def split_run(state, runs, filled):
    """Let a run of its own begin with the last retired instruction, if there is an open run."""
    if state[_at.RUN_COUNT] == 0:
        return
    state[_at.RUN_COUNT] -= 1
    close_run(state, runs, filled, ENDED_PACKET)
    state[_at.RUN_START] = s64(position(state))
    state[_at.RUN_COUNT] = 1


@njit
def fail(state, runs, gaps, filled, packet, offset, reason, address):
    """A gap here; wait for a packet that synchronises."""
    close_run(state, runs, filled, _ended.GAP)
    n = filled[_N_GAPS]
    gaps[5 * n] = u64(state[_at.RUNS] + filled[_N_RUNS])
    gaps[5 * n + 1] = u64(packet)
    gaps[5 * n + 2] = offset
    gaps[5 * n + 3] = address
    gaps[5 * n + 4] = u64(reason)
    filled[_N_GAPS] = n + 1
    state[_at.SYNC] = _sync.LOST
    state[_at.BRANCHES] = 0
    state[_at.BRANCH_MAP] = 0
    state[_at.PREDICTED] = 0
    state[_at.FAILED] = 0
    state[_at.INFERRED] = 0


@njit
def start_at(regions, table, state, address, branch, privilege):
    """Begin a run at `address`: 0, or the `Reason` why there is no instruction."""
    state[_at.BRANCHES] = 0
    state[_at.BRANCH_MAP] = 0
    state[_at.INFERRED] = 0
    state[_at.LAST] = -1
    region = find_region(regions, address)
    if region < 0:
        return _reason.NO_CODE
    base = regions[region]
    slot = regions[region + 2] + ((address - base) >> U1)
    if size_of(table, slot) == U0:
        return _reason.ILLEGAL_CODE
    state[_at.REGION_BASE] = s64(base)
    state[_at.REGION_SPAN] = s64(regions[region + 1] - base)
    state[_at.REGION_SLOT] = s64(regions[region + 2])
    state[_at.SLOT] = s64(slot)
    if kind_of(table, slot) == _kind.BRANCH:
        state[_at.BRANCHES] = 1
        state[_at.BRANCH_MAP] = s64(branch)
    state[_at.RUN_START] = s64(address)
    state[_at.RUN_COUNT] = 1
    state[_at.PRIVILEGE] = s64(privilege)
    state[_at.SYNC] = _sync.TRACING
    return 0


@njit
def note_context(state, contexts, filled, row, packet, precise):
    """Record context and time between the run so far and what follows."""
    n = filled[_N_CONTEXTS]
    contexts[6 * n] = u64(state[_at.RUNS] + filled[_N_RUNS])
    contexts[6 * n + 1] = row[_column.context]
    contexts[6 * n + 2] = row[_column.time]
    contexts[6 * n + 3] = u64(packet)
    contexts[6 * n + 4] = row[_column.offset]
    contexts[6 * n + 5] = row[_column.privilege] | (precise << np.uint64(8))
    filled[_N_CONTEXTS] = n + 1


@spliced
def note_beginning(state, pauses, filled, packet, offset):
    """Tracing begins here: record a pause if it had ended because the encoder was told so."""
    if state[_at.SYNC] == _sync.FRESH and state[_at.ENDED] == _stop.TOLD:
        n = filled[_N_PAUSES]
        pauses[3 * n] = u64(state[_at.RUNS] + filled[_N_RUNS])
        pauses[3 * n + 1] = u64(packet)
        pauses[3 * n + 2] = offset
        filled[_N_PAUSES] = n + 1
    state[_at.ENDED] = _stop.NONE


@spliced
def returned(state, runs, filled, row):
    """0, or the `Reason` against a format 3.0 packet with a new privilege: only xRET changes it."""
    if s64(row[_column.privilege]) == state[_at.PRIVILEGE]:
        return 0
    written = filled[_N_RUNS]
    if written > 0:
        ended = (runs[2 * written - 1] >> np.uint64(32)) & np.uint64(0xFF)
        if ended == np.uint64(_ended.TRAP_RETURN):
            return 0
    state[_at.ERROR_ADDRESS] = state[_at.GOAL]
    return _reason.UNEXPECTED_DISCONTINUITY


@spliced
def report_sync(regions, table, settings, state, runs, contexts, filled, row, packet):
    """The instruction of a format 3.0 packet: 0, or the `Reason` why it is none."""
    address = full_address(settings, row)
    privilege = s64(row[_column.privilege])
    has_context = settings[_setting.HAS_CONTEXT] != 0
    state[_at.ADDRESS] = s64(address)
    tracing = state[_at.SYNC] == _sync.TRACING
    if tracing and (has_context or privilege != state[_at.PRIVILEGE]):
        split_run(state, runs, filled)
        state[_at.PRIVILEGE] = privilege
    if has_context:
        note_context(state, contexts, filled, row, packet, U1)
    if tracing:
        return 0
    return start_at(regions, table, state, address, row[_column.branch], privilege)


@spliced
def handler_of(settings, row):
    """`(known, address)` of the handler that a format 3.1 packet with thaddr 1 reports."""
    if settings[_setting.IMPLICIT_EXCEPTION] == 0:
        return True, full_address(settings, row)
    level = row[_column.privilege]
    if (u64(settings[_setting.VECTORS]) >> level) & U1 == U0:
        return False, level
    vector = u64(settings[_setting.VECTOR + s64(level)])
    address = vector & ~_MODE_BITS
    if vector & _MODE_BITS == U1 and row[_column.interrupt] != U0:
        address += row[_column.ecause] << U2
    width = u64(settings[_setting.WIDTH])
    return True, address if width >= U64 else address & ((U1 << width) - U1)


@spliced
def report_trap(
    regions, table, history, settings, state, runs, traps, contexts, filled, row, packet
):
    """A format 3.1 packet: 0, or the `Reason` why there is no handler."""
    address = full_address(settings, row)
    privilege = s64(row[_column.privilege])
    thaddr = row[_column.thaddr] != U0
    before = _UNKNOWN_PRIVILEGE if thaddr else privilege
    sync = state[_at.SYNC]
    epc_known, epc, own = 0, U0, False
    if sync == _sync.TRACING:
        epc_known, epc, ended = onward(table, history, settings, state)
        what = kind_of(table, u64(state[_at.SLOT]))
        if what == _kind.ENVIRONMENT and row[_column.interrupt] == U0:
            # Retired only in the eyes of encoders that report it so: it is what trapped.
            epc = position(state)
        discontinuity = what == _kind.UNINFERABLE_JUMP or what == _kind.TRAP_RETURN
        own = not thaddr and (discontinuity or privilege != state[_at.PRIVILEGE])
        if thaddr:
            before = state[_at.PRIVILEGE]
        close_run(state, runs, filled, ended)
    elif sync == _sync.WAITING:
        epc_known, epc = 1, u64(state[_at.NEXT_EPC])
    elif sync == _sync.OWN or sync == _sync.FRESH:
        own = not thaddr
    if own:
        epc_known, epc = 1, address
    if (own or sync == _sync.WAITING) and epc == U0 and row[_column.interrupt] != U0:
        epc_known = 0  # a source need not know where an interrupt was taken
    n = filled[_N_TRAPS]
    traps[7 * n] = u64(state[_at.RUNS] + filled[_N_RUNS])
    traps[7 * n + 1] = epc if epc_known != 0 else U0
    traps[7 * n + 2] = row[_column.tval]
    traps[7 * n + 3] = row[_column.ecause]
    traps[7 * n + 4] = u64(packet)
    traps[7 * n + 5] = row[_column.offset]
    traps[7 * n + 6] = (
        row[_column.interrupt]
        | (u64(before) << np.uint64(8))
        | (u64(epc_known) << np.uint64(16))
        | (row[_column.thaddr] << np.uint64(24))
    )
    filled[_N_TRAPS] = n + 1
    if settings[_setting.HAS_CONTEXT] != 0:
        note_context(state, contexts, filled, row, packet, U1)
    state[_at.INFERRED] = 0
    state[_at.BRANCHES] = 0
    if thaddr:
        known, address = handler_of(settings, row)
        state[_at.ADDRESS] = s64(address)
        if not known:
            return _reason.NO_VECTOR
        return start_at(regions, table, state, address, row[_column.branch], privilege)
    if own:
        state[_at.SYNC] = _sync.OWN
    elif sync == _sync.TRACING or sync == _sync.WAITING:
        state[_at.SYNC] = _sync.WAITING
        state[_at.NEXT_EPC] = s64(address)
    return 0


@spliced
def report_support(state, runs, filled, row):
    """The qualification status of a format 3.3 packet: 0, or `Reason.TRACE_LOST`."""
    qual_status = row[_column.qual_status]
    ends, lost = qual_status != U0, qual_status == _qual_status.trace_lost
    if lost:
        close_run(state, runs, filled, _ended.GAP)
    elif ends:
        close_run(state, runs, filled, _ended.END)
    if ends and state[_at.SYNC] != _sync.START and state[_at.ENDED] != _stop.LOST:
        state[_at.ENDED] = _stop.LOST if lost else _stop.TOLD
    if ends or state[_at.SYNC] == _sync.START:
        state[_at.SYNC] = _sync.FRESH
        state[_at.BRANCHES] = 0
        state[_at.INFERRED] = 0
    return _reason.TRACE_LOST if lost else 0


@njit
def note_loop(
    regions, table, history, scratch, settings, state, runs, loops, filled, form, packet, offset
):
    """The path met its goal between discontinuities: record it if it may have come by more often
    than the packets tell."""
    state[_at.MET] = 0
    found, count, returns, deeper = round_from(regions, table, history, scratch, settings, state)
    if found == NO_ROUND:
        return
    if settings[_setting.EXACT_LOOPS if found == ENDLESS else _setting.EXACT_VISITS] != 0:
        return
    if form != _format.SYNC:
        # irets tells, or irdepth
        if settings[_setting.HAS_IRETS] != 0:
            if returns != 0:
                return
        elif state[_at.DEPTH] >= 0 and deeper != 0:
            return
    split_run(state, runs, filled)
    n = filled[_N_LOOPS]
    loops[5 * n] = u64(state[_at.RUNS] + filled[_N_RUNS])
    loops[5 * n + 1] = position(state)
    loops[5 * n + 2] = u64(packet)
    loops[5 * n + 3] = offset
    loops[5 * n + 4] = count | ((U1 if found == ENDLESS else U0) << np.uint64(32))
    filled[_N_LOOPS] = n + 1


@spliced
def full(filled, runs, traps, contexts, gaps, pauses, loops):
    """Whether an output may be too short for what one packet adds, paths aside."""
    return (
        2 * (filled[_N_RUNS] + _MARGIN) > runs.size
        or 7 * (filled[_N_TRAPS] + _MARGIN) > traps.size
        or 6 * (filled[_N_CONTEXTS] + _MARGIN) > contexts.size
        or 5 * (filled[_N_GAPS] + _MARGIN) > gaps.size
        or 3 * (filled[_N_PAUSES] + _MARGIN) > pauses.size
        or 5 * (filled[_N_LOOPS] + _MARGIN) > loops.size
    )


@spliced
def format_of(state, runs, gaps, filled, brief, packet, counts):
    """The format of a packet that can be decoded; -1 for one that is passed over."""
    if brief[_brief.reason] != U0:
        fail(state, runs, gaps, filled, packet, brief[_brief.offset], s64(brief[_brief.reason]), U0)
        return -1
    form = s64(brief[_brief.table])
    if form != _format.SUPPORT and state[_at.UNSUPPORTED] != 0:
        counts[form] += 1
        return -1
    return form


@spliced
def row_of(brief, form):
    """The row of a packet's details; any, for the formats that have none."""
    return (
        s64(brief[_brief.detail]) if form > _format.ADDRESS or form == _format.BRANCH_COUNT else 0
    )


@spliced
def is_settled(state, form, status):
    """Whether a packet asks for nothing but the paths to it, which were followed."""
    return status == 0 and form <= _format.ADDRESS and state[_at.SYNC] == _sync.TRACING


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
    if status == 0 and form == _format.SYNC and state[_at.SYNC] == _sync.TRACING:
        status = returned(state, runs, filled, row)
    if status != 0:
        fail(state, runs, gaps, filled, packet, offset, status, u64(state[_at.ERROR_ADDRESS]))
    reason = s64(0)
    if form == _format.SYNC or form == _format.TRAP:
        note_beginning(state, pauses, filled, packet, offset)
    if form == _format.SYNC:
        reason = s64(
            report_sync(regions, table, settings, state, runs, contexts, filled, row, packet)
        )
    elif form == _format.TRAP:
        reason = s64(
            report_trap(
                regions, table, history, settings, state, runs, traps, contexts, filled, row, packet
            )
        )
    elif form == _format.CONTEXT:
        if settings[_setting.HAS_CONTEXT] != 0:
            split_run(state, runs, filled)
            note_context(state, contexts, filled, row, packet, U0)
    elif form == _format.SUPPORT:
        reason = s64(report_support(state, runs, filled, row))
        if reason != 0:
            fail(state, runs, gaps, filled, packet, offset, reason, U0)
            state[_at.SYNC] = _sync.FRESH
        reason = s64(0)
        if state[_at.REFUSED] != 0 and state[_at.UNSUPPORTED] == 0:
            reason = s64(_reason.UNSUPPORTED_MODE)
        state[_at.UNSUPPORTED] = state[_at.REFUSED]
    elif state[_at.SYNC] != _sync.TRACING and state[_at.SYNC] != _sync.LOST:
        reason = s64(_reason.NO_SYNC)
    where = U0
    if reason == _reason.NO_CODE or reason == _reason.ILLEGAL_CODE or reason == _reason.NO_VECTOR:
        where = u64(state[_at.ADDRESS])
    # A path to where there is no code has been reported.
    if reason != 0 and not (reason == status and where == u64(state[_at.ERROR_ADDRESS])):
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
    loops,
    filled,
    counts,
    scratch,
):
    """Decode packets `briefs[begin:end]`; the index of the first one not decoded.

    `regions`, `table`: as `decoder.path.table.tables` gives them; `history` as
    `specs.trace.predictors.make`, `settings` (int64) as `decoder.path.settings.settings`; the
    outputs: uint64, flat. `briefs[0]` has packet number `first_packet`. `state`, `saved`: int64,
    `STATES` long. `filled` (int64, `OUTPUTS` long) is advanced; where an output is full it stops
    before the packet: call it again with the same packets. `counts` (int64, one a format) is how
    many packets there were. `scratch` is as long as `history`. For optional modes there is
    `decoder.path.reconstruct_modes`.
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
                brief[_brief.offset],
                status,
            )
    return end
