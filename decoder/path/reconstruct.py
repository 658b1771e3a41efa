"""Packets in, flow out: the spec's decoder (chapter "Decoder"; docs/modes.md).

Packets are rows of `decoder.bytes.brief.Brief` and `specs.trace.packets.Column`. For each, the
paths are followed that it asks for (`aims`), then it is reported what else it says (`reports`).

One departure from the pseudo code is here, others in `reports`: a format 3.0 packet tells that an
address was met for the last time only if it is for the very next instruction: others come without a
packet before them.
"""

import numpy as np

from decoder.bytes.brief import Brief
from decoder.path import table as legs
from decoder.path.aims import follow_paths, onward
from decoder.path.bundles import Packet
from decoder.path.circles import ENDLESS, NO_ROUND, round_from
from decoder.path.follow import FULL
from decoder.path.outputs import fail, is_full, write_loop
from decoder.path.reports import report
from decoder.path.settings import Setting
from decoder.path.state import State, Sync, position
from specs.interfaces.flow import Ended
from specs.isa.control import Kind
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, s64, u64
from specs.trace.packets import Format
from specs.trace.predictors import reset, spare

_at = plain(State)
_setting = plain(Setting)
_sync = plain(Sync)
_kind = plain(Kind, np.uint64)
_format = plain(Format)
_ended = plain(Ended)
_brief = plain(Brief)


@spliced
def has_row(form):
    """Whether packets of a format have a row of details that matters."""
    return form > _format.ADDRESS or form == _format.BRANCH_COUNT


@spliced
def note_loop(path, history, scratch, packet, output):
    """The path met its goal between discontinuities: record it if it may have come by more often
    than the packets tell."""
    settings, state = path.settings, path.state
    state[_at.MET] = 0
    found, count, returns, deeper = round_from(path, history, scratch)
    if found == NO_ROUND:
        return
    if settings[_setting.EXACT_LOOPS if found == ENDLESS else _setting.EXACT_VISITS] != 0:
        return
    if history is not None:
        if packet.form != _format.SYNC:
            # irets tells, or irdepth
            if settings[_setting.HAS_IRETS] != 0:
                if returns != 0:
                    return
            elif state[_at.DEPTH] >= 0 and deeper != 0:
                return
    write_loop(state, output, packet, count, U1 if found == ENDLESS else U0)


@spliced
def forget_predictions(path, history):
    """A synchronisation packet has reported the last instruction: all predictions begin anew."""
    state = path.state
    reset(history)
    state[_at.IRETS] = 0
    if legs.kind_of(path.table, u64(state[_at.SLOT])) == _kind.BRANCH:
        spare(history, position(state))


@njit
def reconstruct(path, history, scratch, packets, output):
    """Decode packets `briefs[begin:end]`; the index of the first one not decoded, for where an
    output is full it stops, even within a packet: the next call, with the same packets, goes on
    from there.

    `history` is as `specs.trace.predictors.make` gives it, `scratch` as long: both None without the
    modes that keep one.
    """
    state, counts = path.state, output.counts
    briefs, details, begin, end, number = packets
    for i in range(begin, end):
        if is_full(output):
            return i
        brief = briefs[i]
        form = s64(brief[_brief.table])
        row = details[s64(brief[_brief.detail]) if has_row(form) else 0]
        packet = Packet(form, number + i, brief, row)
        if brief[_brief.reason] != U0:
            fail(state, output, packet, s64(brief[_brief.reason]), U0)
            continue
        if form != _format.SUPPORT and state[_at.UNSUPPORTED] != 0:
            counts[form] += 1
            continue
        status = s64(follow_paths(path, history, packet, output))
        if status == FULL:
            return i
        counts[form] += 1
        if status == 0 and state[_at.MET] != 0:
            note_loop(path, history, scratch, packet, output)
        tracing = state[_at.SYNC] == _sync.TRACING
        if status == 0 and form <= _format.ADDRESS and tracing:
            continue  # there is nothing but the paths
        departure = 0, U0, _ended.TRAP
        if form == _format.TRAP and tracing:
            departure = onward(path, history)
        reason = report(path, output, packet, status, departure)
        if history is not None:
            syncs = form == _format.SYNC or form == _format.TRAP
            if syncs and reason == 0 and state[_at.SYNC] == _sync.TRACING:
                forget_predictions(path, history)
    return end
