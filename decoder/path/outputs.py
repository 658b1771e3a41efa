"""Writing the flow: the open run, and the records that stand between runs."""

from enum import IntEnum

import numpy as np

from decoder.bytes.brief import Brief
from decoder.path.state import State, Stop, Sync, position
from specs.interfaces.flow import CONTEXT, GAP, LOOP, PAUSE, RUN, TRAP, Ended
from specs.interfaces.records import places
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import LOW32, U0, s64, u64
from specs.trace.packets import Column


class Filled(IntEnum):
    """How many records are written; in the order of `decoder.path.bundles.Output`."""

    RUNS = 0
    TRAPS = 1
    CONTEXTS = 2
    GAPS = 3
    PAUSES = 4
    LOOPS = 5


_at = plain(State)
_sync = plain(Sync)
_stop = plain(Stop)
_ended = plain(Ended)
_brief = plain(Brief)
_column = plain(Column)
_filled = plain(Filled)
_run, _trap, _context = places(RUN), places(TRAP), places(CONTEXT)
_gap, _pause, _loop = places(GAP), places(PAUSE), places(LOOP)

ENDED_PACKET = np.int64(int(Ended.PACKET))
RUN_WORDS = np.uint64(RUN.itemsize // 8)
_ENDED_MASK = np.uint64(0xFF)
#: Records of a kind that one packet can add at most, besides the runs of the paths to it.
_MARGIN = 4


@spliced
def is_full(output):
    """Whether a table may be too short for what one packet adds, paths aside."""
    runs, traps, contexts, gaps, pauses, loops, filled, _ = output
    return (
        (filled[_filled.RUNS] + _MARGIN) * s64(RUN_WORDS) > runs.size
        or filled[_filled.TRAPS] + _MARGIN > traps.shape[0]
        or filled[_filled.CONTEXTS] + _MARGIN > contexts.shape[0]
        or filled[_filled.GAPS] + _MARGIN > gaps.shape[0]
        or filled[_filled.PAUSES] + _MARGIN > pauses.shape[0]
        or filled[_filled.LOOPS] + _MARGIN > loops.shape[0]
    )


@inlined
def runs_so_far(state, filled):
    """Runs of the whole flow: the place of what follows the last one."""
    return u64(state[_at.RUNS] + filled[_filled.RUNS])


@njit
def close_run(state, runs, filled, ended):
    """End the run under construction, if there is one."""
    if state[_at.RUN_COUNT] == 0:
        return
    at = u64(filled[_filled.RUNS]) * RUN_WORDS
    runs[at + _run.start] = u64(state[_at.RUN_START])
    runs[at + _run.count] = (
        u64(state[_at.RUN_COUNT])
        | (u64(ended) << _run.ended_at)
        | (u64(state[_at.PRIVILEGE]) << _run.priv_at)
    )
    filled[_filled.RUNS] += 1
    state[_at.RUN_COUNT] = 0


@njit
def split_run(state, runs, filled):
    """Let a run of its own begin with the last retired instruction, if there is an open run."""
    if state[_at.RUN_COUNT] == 0:
        return
    state[_at.RUN_COUNT] -= 1
    close_run(state, runs, filled, ENDED_PACKET)
    state[_at.RUN_START] = s64(position(state))
    state[_at.RUN_COUNT] = 1


@inlined
def last_ended(runs, filled):
    """`Ended` of the last run that is written; of none, `Ended.PACKET`."""
    written = u64(filled[_filled.RUNS]) * RUN_WORDS
    if written == U0:
        return u64(_ended.PACKET)
    return (runs[written - RUN_WORDS + _run.ended] >> _run.ended_at) & _ENDED_MASK


@njit
def count_instructions(runs, number):
    """Instructions in the first `number` runs."""
    total = U0
    for n in range(number):
        total += runs[u64(n) * RUN_WORDS + _run.count] & LOW32
    return total


@njit
def fail(state, output, packet, reason, address):
    """A gap here; wait for a packet that synchronises."""
    gaps, filled = output.gaps, output.filled
    close_run(state, output.runs, filled, _ended.GAP)
    n = filled[_filled.GAPS]
    gaps[n, _gap.run] = runs_so_far(state, filled)
    gaps[n, _gap.packet] = u64(packet.number)
    gaps[n, _gap.offset] = packet.brief[_brief.offset]
    gaps[n, _gap.address] = address
    gaps[n, _gap.reason] = u64(reason) << _gap.reason_at
    filled[_filled.GAPS] = n + 1
    state[_at.SYNC] = _sync.LOST
    state[_at.BRANCHES] = 0
    state[_at.BRANCH_MAP] = 0
    state[_at.PREDICTED] = 0
    state[_at.FAILED] = 0
    state[_at.INFERRED] = 0


@njit
def note_context(state, output, packet, precise):
    """Record context and time between the run so far and what follows."""
    contexts, filled, row = output.contexts, output.filled, packet.row
    n = filled[_filled.CONTEXTS]
    contexts[n, _context.run] = runs_so_far(state, filled)
    contexts[n, _context.context] = row[_column.context]
    contexts[n, _context.time] = row[_column.time]
    contexts[n, _context.packet] = u64(packet.number)
    contexts[n, _context.offset] = row[_column.offset]
    contexts[n, _context.priv] = (row[_column.privilege] << _context.priv_at) | (
        precise << _context.precise_at
    )
    filled[_filled.CONTEXTS] = n + 1


@spliced
def note_beginning(state, output, packet):
    """Tracing begins here: record a pause if it had ended because the encoder was told so."""
    if state[_at.SYNC] == _sync.FRESH and state[_at.ENDED] == _stop.TOLD:
        pauses, filled = output.pauses, output.filled
        n = filled[_filled.PAUSES]
        pauses[n, _pause.run] = runs_so_far(state, filled)
        pauses[n, _pause.packet] = u64(packet.number)
        pauses[n, _pause.offset] = packet.brief[_brief.offset]
        filled[_filled.PAUSES] = n + 1
    state[_at.ENDED] = _stop.NONE


@spliced
def write_trap(state, output, packet, epc_known, epc, before):
    """The trap of a format 3.1 packet; `before`: the privilege before it."""
    traps, filled, row = output.traps, output.filled, packet.row
    n = filled[_filled.TRAPS]
    traps[n, _trap.run] = runs_so_far(state, filled)
    traps[n, _trap.epc] = epc if epc_known != 0 else U0
    traps[n, _trap.tval] = row[_column.tval]
    traps[n, _trap.cause] = row[_column.ecause]
    traps[n, _trap.packet] = u64(packet.number)
    traps[n, _trap.offset] = row[_column.offset]
    traps[n, _trap.interrupt] = (
        (row[_column.interrupt] << _trap.interrupt_at)
        | (u64(before) << _trap.priv_at)
        | (u64(epc_known) << _trap.epc_known_at)
        | (row[_column.thaddr] << _trap.thaddr_at)
    )
    filled[_filled.TRAPS] = n + 1


@spliced
def write_loop(state, output, packet, count, endless):
    """A loop that begins with the last retired instruction, in a run of its own."""
    loops, filled = output.loops, output.filled
    split_run(state, output.runs, filled)
    n = filled[_filled.LOOPS]
    loops[n, _loop.run] = runs_so_far(state, filled)
    loops[n, _loop.start] = position(state)
    loops[n, _loop.packet] = u64(packet.number)
    loops[n, _loop.offset] = packet.brief[_brief.offset]
    loops[n, _loop.count] = (count << _loop.count_at) | (endless << _loop.endless_at)
    filled[_filled.LOOPS] = n + 1
