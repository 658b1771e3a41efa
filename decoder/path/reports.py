"""What a packet says besides the paths to it (chapter "Decoder": `process_te_inst`, `report_trap`,
`process_support`).

Departures from the pseudo code, which 2.0 leaves incomplete:

* a sync packet after a trap with thaddr 0 starts afresh: no path leads to a trap handler;
* EPCs of traps in a row come from the packets (docs/choices.md, "Which trap packet");
* a path that cannot be followed is a gap, after which the next packet that holds a full address
  starts afresh.
"""

import numpy as np

from decoder.path import table as legs
from decoder.path.aims import address_bits, full_address
from decoder.path.outputs import (
    close_run,
    fail,
    last_ended,
    note_beginning,
    note_context,
    split_run,
    write_trap,
)
from decoder.path.settings import Setting
from decoder.path.state import State, Stop, Sync, position
from specs.interfaces.flow import Ended, Reason
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, U2, s64, u64
from specs.trace.packets import Column, Format, QualStatus

_at = plain(State)
_setting = plain(Setting)
_sync = plain(Sync)
_stop = plain(Stop)
_bound = plain(legs.Bound)
_kind = plain(Kind, np.uint64)
_ended = plain(Ended)
_reason = plain(Reason)
_format = plain(Format)
_qual_status = plain(QualStatus, np.uint64)
_column = plain(Column)

#: MODE of a trap vector: 1 adds four times the cause of an interrupt.
_MODE_BITS = np.uint64(3)
_UNKNOWN_PRIVILEGE = 255


@njit
def start_at(path, address, branch, privilege):
    """Begin a run at `address`: 0, or the `Reason` why there is no instruction."""
    regions, table, _, state = path
    state[_at.BRANCHES] = 0
    state[_at.BRANCH_MAP] = 0
    state[_at.INFERRED] = 0
    state[_at.LAST] = -1
    region = legs.find_region(regions, address)
    if region < 0:
        return _reason.NO_CODE
    slot = legs.slot_of(regions, region, address)
    if legs.size_of(table, slot) == U0:
        return _reason.ILLEGAL_CODE
    base = regions[region + _bound.BASE]
    state[_at.REGION_BASE] = s64(base)
    state[_at.REGION_SPAN] = s64(regions[region + _bound.END] - base)
    state[_at.REGION_SLOT] = s64(regions[region + _bound.SLOT])
    state[_at.SLOT] = s64(slot)
    if legs.kind_of(table, slot) == _kind.BRANCH:
        state[_at.BRANCHES] = 1
        state[_at.BRANCH_MAP] = s64(branch)
    state[_at.RUN_START] = s64(address)
    state[_at.RUN_COUNT] = 1
    state[_at.PRIVILEGE] = s64(privilege)
    state[_at.SYNC] = _sync.TRACING
    return 0


@spliced
def returned(state, output, row):
    """0, or the `Reason` against a format 3.0 packet with a new privilege: only xRET changes it."""
    if s64(row[_column.privilege]) == state[_at.PRIVILEGE]:
        return 0
    if last_ended(output.runs, output.filled) == u64(_ended.TRAP_RETURN):
        return 0
    state[_at.ERROR_ADDRESS] = state[_at.GOAL]
    return _reason.UNEXPECTED_DISCONTINUITY


@spliced
def report_sync(path, output, packet):
    """The instruction of a format 3.0 packet: 0, or the `Reason` why it is none."""
    settings, state, row = path.settings, path.state, packet.row
    address = full_address(settings, row)
    privilege = s64(row[_column.privilege])
    has_context = settings[_setting.HAS_CONTEXT] != 0
    state[_at.ADDRESS] = s64(address)
    tracing = state[_at.SYNC] == _sync.TRACING
    if tracing and (has_context or privilege != state[_at.PRIVILEGE]):
        split_run(state, output.runs, output.filled)
        state[_at.PRIVILEGE] = privilege
    if has_context:
        note_context(state, output, packet, U1)
    if tracing:
        return 0
    return start_at(path, address, row[_column.branch], privilege)


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
    return True, address & address_bits(settings)


@spliced
def report_trap(path, output, packet, departure):
    """A format 3.1 packet: 0, or the `Reason` why there is no handler.

    `departure`: where execution went after the last retired instruction, as `onward` says.
    """
    settings, state, row = path.settings, path.state, packet.row
    address = full_address(settings, row)
    privilege = s64(row[_column.privilege])
    thaddr = row[_column.thaddr] != U0
    before = _UNKNOWN_PRIVILEGE if thaddr else privilege
    sync = state[_at.SYNC]
    epc_known, epc, own = 0, U0, False
    if sync == _sync.TRACING:
        epc_known, epc, ended = departure
        what = legs.kind_of(path.table, u64(state[_at.SLOT]))
        if what == _kind.ENVIRONMENT and row[_column.interrupt] == U0:
            # Retired only in the eyes of encoders that report it so: it is what trapped.
            epc = position(state)
        discontinuity = what == _kind.UNINFERABLE_JUMP or what == _kind.TRAP_RETURN
        own = not thaddr and (discontinuity or privilege != state[_at.PRIVILEGE])
        if thaddr:
            before = state[_at.PRIVILEGE]
        close_run(state, output.runs, output.filled, ended)
    elif sync == _sync.WAITING:
        epc_known, epc = 1, u64(state[_at.NEXT_EPC])
    elif sync == _sync.OWN or sync == _sync.FRESH:
        own = not thaddr
    if own:
        epc_known, epc = 1, address
    if (own or sync == _sync.WAITING) and epc == U0 and row[_column.interrupt] != U0:
        epc_known = 0  # a source need not know where an interrupt was taken
    write_trap(state, output, packet, epc_known, epc, before)
    if settings[_setting.HAS_CONTEXT] != 0:
        note_context(state, output, packet, U1)
    state[_at.INFERRED] = 0
    state[_at.BRANCHES] = 0
    if thaddr:
        known, address = handler_of(settings, row)
        state[_at.ADDRESS] = s64(address)
        if not known:
            return _reason.NO_VECTOR
        return start_at(path, address, row[_column.branch], privilege)
    if own:
        state[_at.SYNC] = _sync.OWN
    elif sync == _sync.TRACING or sync == _sync.WAITING:
        state[_at.SYNC] = _sync.WAITING
        state[_at.NEXT_EPC] = s64(address)
    return 0


@spliced
def report_support(state, output, packet):
    """A format 3.3 packet: 0, or the `Reason` why it is not understood."""
    qual_status = packet.row[_column.qual_status]
    ends, lost = qual_status != U0, qual_status == _qual_status.trace_lost
    if lost:
        close_run(state, output.runs, output.filled, _ended.GAP)
    elif ends:
        close_run(state, output.runs, output.filled, _ended.END)
    if ends and state[_at.SYNC] != _sync.START and state[_at.ENDED] != _stop.LOST:
        state[_at.ENDED] = _stop.LOST if lost else _stop.TOLD
    if lost:
        fail(state, output, packet, _reason.TRACE_LOST, U0)
    if ends or state[_at.SYNC] == _sync.START:
        state[_at.SYNC] = _sync.FRESH
        state[_at.BRANCHES] = 0
        state[_at.INFERRED] = 0
    refused = state[_at.REFUSED] != 0 and state[_at.UNSUPPORTED] == 0
    state[_at.UNSUPPORTED] = state[_at.REFUSED]
    return _reason.UNSUPPORTED_MODE if refused else 0


@njit
def report(path, output, packet, status, departure):
    """What a packet says besides the paths to it, which `status` is about: 0, or the `Reason` why
    it is not understood. `departure`: see `report_trap`."""
    settings, state, form = path.settings, path.state, packet.form
    if status == 0 and form == _format.SYNC and state[_at.SYNC] == _sync.TRACING:
        status = returned(state, output, packet.row)
    if status != 0:
        fail(state, output, packet, status, u64(state[_at.ERROR_ADDRESS]))
    reason = s64(0)
    if form == _format.SYNC or form == _format.TRAP:
        note_beginning(state, output, packet)
    if form == _format.SYNC:
        reason = s64(report_sync(path, output, packet))
    elif form == _format.TRAP:
        reason = s64(report_trap(path, output, packet, departure))
    elif form == _format.CONTEXT:
        if settings[_setting.HAS_CONTEXT] != 0:
            split_run(state, output.runs, output.filled)
            note_context(state, output, packet, U0)
    elif form == _format.SUPPORT:
        reason = s64(report_support(state, output, packet))
    elif state[_at.SYNC] != _sync.TRACING and state[_at.SYNC] != _sync.LOST:
        reason = s64(_reason.NO_SYNC)
    where = U0
    if reason == _reason.NO_CODE or reason == _reason.ILLEGAL_CODE or reason == _reason.NO_VECTOR:
        where = u64(state[_at.ADDRESS])
    # A path to where there is no code has been reported.
    if reason != 0 and not (reason == status and where == u64(state[_at.ERROR_ADDRESS])):
        fail(state, output, packet, reason, where)
    return reason
