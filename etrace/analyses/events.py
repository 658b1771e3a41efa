"""Events (`specs.interfaces.events`): from a running machine, and the same ones from a decoded
trace.

A trace tells interrupts, exceptions and trap returns: a trap's `from_pc` is its EPC, a return's the
last instruction of its run, and where either led is where the flow goes on: at the next trap's
EPC if nothing retired in between, else at the next run. It does not tell host calls.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

import decoder
from etrace.errors import InputError
from specs.interfaces.events import (
    ALL_KINDS,
    EXCEPTION,
    INTERRUPT,
    TRAP_RETURN,
    Event,
    Kind,
    TraceEvent,
)
from specs.interfaces.flow import Ended, Flow
from specs.isa.control import CodeMap
from specs.isa.transfers import Kind as Transfer

if TYPE_CHECKING:
    from emu import Machine
    from etrace.trace.trace import Trace

#: Events in arrays. `known`: which of the addresses are (`_FROM`, `_TO`); a privilege level that is
#: not is 255. `instret`: instructions of the flow before the event, a trap return's own included.
DISCONTINUITY = np.dtype(
    [
        ("kind", "u1"),
        ("known", "u1"),
        ("priv_before", "u1"),
        ("priv_after", "u1"),
        ("from_pc", "<u8"),
        ("to_pc", "<u8"),
        ("cause", "<u8"),
        ("tval", "<u8"),
        ("instret", "<u8"),
    ]
)

#: The kind of a pause, beside those of events.
PAUSE = 128

_FROM, _TO = 1, 2
_UNKNOWN_PRIV = 255
#: A run that ends so may all the same end with a trap return: what follows it was not known yet.
_CUT = np.array([Ended.PACKET, Ended.GAP, Ended.END], np.uint8)


AnyEvent = Event | TraceEvent
Callback = Callable[[Any], None]


class Source(Protocol):
    """Where events come from: an `emu.Machine` or a `DecodedTrace`."""

    def on_discontinuity(self, callback: Callback, kinds: Kind = ALL_KINDS) -> None: ...


class Discontinuities:
    """Events of a flow that comes in chunks, as arrays (`DISCONTINUITY`)."""

    def __init__(self, code: CodeMap, pauses: bool = False) -> None:
        """`pauses`: have rows of kind `PAUSE` where tracing paused."""
        self._code = code
        self._pauses = pauses
        self._instret = 0
        #: The event at the end of the chunks so far, whose `to_pc` the next one tells.
        self._open = np.zeros(0, DISCONTINUITY)

    def add(self, flow: Flow) -> npt.NDArray[np.void]:
        """The events that are whole with this chunk."""
        runs, count = flow.runs, len(flow.runs)
        before = np.zeros(count + 1, np.uint64)
        np.cumsum(runs["count"], dtype=np.uint64, out=before[1:])
        before += np.uint64(self._instret)
        self._instret = int(before[-1])

        at_returns, returns = self._returns(runs)
        at_traps = np.clip(flow.traps["run"].astype(np.int64) - flow.first_run, 0, count)
        at_gaps = np.clip(flow.gaps["run"].astype(np.int64) - flow.first_run, 0, count)
        at_pauses = np.clip(flow.pauses["run"].astype(np.int64) - flow.first_run, 0, count)
        # What follows the end of a trace, or a pause in it, is another one.
        at_ends = np.flatnonzero(runs["ended"] == Ended.END) + 1
        at_open = np.zeros(len(self._open), np.int64)
        rows = np.concatenate(
            [
                self._open,
                returns,
                _breaks(at_ends),
                _breaks(at_pauses, PAUSE),
                _traps(flow.traps),
                _breaks(at_gaps),
            ]
        )
        place = np.concatenate([at_open, at_returns, at_ends, at_pauses, at_traps, at_gaps])
        # What was before this chunk comes first, a return before the traps that follow it; pauses,
        # traps and gaps of one place are in the order of their packets.
        packets = np.concatenate([each["packet"] for each in (flow.pauses, flow.traps, flow.gaps)])
        packet = np.full(len(rows), -1, np.int64)
        packet[len(rows) - len(packets) :] = packets
        order = np.lexsort((packet, place))
        rows, place = rows[order], place[order]
        fresh = order >= len(at_open)
        rows["instret"][fresh] = before[place[fresh]]
        return self._led_to(rows, place, runs)

    def finish(self) -> npt.NDArray[np.void]:
        """The last event, if it led to nothing that was traced."""
        last, self._open = self._open, self._open[:0]
        return last

    def _returns(
        self, runs: npt.NDArray[np.void]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
        """The trap returns among the runs' last instructions: runs up to them, and events."""
        ended = runs["ended"]
        sure = ended == Ended.TRAP_RETURN
        at = np.flatnonzero(sure | np.isin(ended, _CUT))
        pcs = self._last(runs[at])
        kept = sure[at]
        for doubtful in np.flatnonzero(~kept):
            slot = self._code.slot(int(pcs[doubtful]))
            kept[doubtful] = slot >= 0 and self._code.kind[slot] == Transfer.TRAP_RETURN
        at, pcs = at[kept], pcs[kept]
        events = np.zeros(len(at), DISCONTINUITY)
        events["kind"], events["known"] = TRAP_RETURN, _FROM
        events["from_pc"], events["priv_before"] = pcs, runs["priv"][at]
        return at + 1, events

    def _last(self, runs: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
        """The pc of each run's last instruction."""
        last = np.cumsum(runs["count"], dtype=np.int64) - 1
        pcs = np.zeros(len(runs), np.uint64)
        done = 0
        for piece in decoder.pc_pieces(Flow(runs), self._code):
            low, high = np.searchsorted(last, [done, done + len(piece)])
            pcs[low:high] = piece[last[low:high] - done]
            done += len(piece)
        return pcs

    def _led_to(
        self,
        rows: npt.NDArray[np.void],
        place: npt.NDArray[np.int64],
        runs: npt.NDArray[np.void],
    ) -> npt.NDArray[np.void]:
        """`rows` (breaks have kind 0 or `PAUSE`) with where they led; keeps the last one if it is
        open."""
        joined = np.flatnonzero(place[1:] == place[:-1])
        behind = rows[joined + 1]
        rows["to_pc"][joined] = behind["from_pc"]
        rows["known"][joined] |= (behind["known"] & _FROM) << 1
        rows["priv_after"] = _UNKNOWN_PRIV
        rows["priv_after"][joined] = behind["priv_before"]
        alone = np.ones(len(rows), bool)
        alone[joined] = False
        alone &= place < len(runs)
        onward = runs[place[alone]]
        rows["to_pc"][alone] = onward["start"]
        rows["known"][alone] |= _TO
        rows["priv_after"][alone] = onward["priv"]
        whole = len(rows)
        if whole and place[-1] == len(runs) and 0 < rows["kind"][-1] < PAUSE:
            whole -= 1
        self._open = rows[whole:].copy()
        rows = rows[:whole]
        kept = rows["kind"] != 0
        if not self._pauses:
            kept &= rows["kind"] != PAUSE
        events: npt.NDArray[np.void] = rows[kept]
        return events


def _traps(traps: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    events = np.zeros(len(traps), DISCONTINUITY)
    events["kind"] = np.where(traps["interrupt"] != 0, INTERRUPT, EXCEPTION)
    events["known"] = np.where(traps["epc_known"] != 0, _FROM, 0)
    events["from_pc"], events["priv_before"] = traps["epc"], traps["priv"]
    events["cause"], events["tval"] = traps["cause"], traps["tval"]
    return events


def _breaks(places: npt.NDArray[np.int64], kind: int = 0) -> npt.NDArray[np.void]:
    """Where the flow is interrupted: rows of kind 0 or `PAUSE`."""
    rows = np.zeros(len(places), DISCONTINUITY)
    rows["kind"] = kind
    rows["priv_before"] = _UNKNOWN_PRIV
    return rows


def tables(
    flows: Iterable[Flow], code: CodeMap, pauses: bool = False
) -> Iterator[npt.NDArray[np.void]]:
    """The events of a decoded flow, in arrays (`DISCONTINUITY`); with `pauses`, those as well."""
    discontinuities = Discontinuities(code, pauses)
    for flow in flows:
        yield discontinuities.add(flow)
    yield discontinuities.finish()


class DecodedTrace:
    """A decoded flow as a source of events: register callbacks, then `run`."""

    def __init__(self, flows: Iterable[Flow], code: CodeMap, hart: int = 0) -> None:
        self._flows = flows
        self._code = code
        self._hart = hart
        self._callbacks: list[tuple[Callback, int]] = []
        self._at_pauses: list[Callable[[int], None]] = []

    def on_discontinuity(self, callback: Callback, kinds: Kind = ALL_KINDS) -> None:
        """Have `callback` called with each event (`TraceEvent`) of these kinds."""
        self._callbacks.append((callback, int(kinds)))

    def on_pause(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called, with the instructions before it, where tracing paused: what was
        executed there is not known."""
        self._at_pauses.append(callback)

    def on_retire(self, *_: object) -> NoReturn:
        """Refused, as `register` and `csr` are: a decoded trace has events only."""
        raise InputError("a decoded trace gives events only; this plugin needs a running program")

    register = csr = on_retire

    def run(self) -> None:
        """Decode, and call."""
        wanted = PAUSE if self._at_pauses else 0
        for _, kinds in self._callbacks:
            wanted |= kinds
        for table in tables(self._flows, self._code, pauses=bool(self._at_pauses)):
            chosen = table[table["kind"] & wanted != 0]
            done = 0
            for stop in [*np.flatnonzero(chosen["kind"] == PAUSE).tolist(), len(chosen)]:
                self._call(chosen[done:stop])
                if stop < len(chosen):
                    for at_pause in self._at_pauses:
                        at_pause(int(chosen["instret"][stop]))
                done = stop + 1

    def _call(self, table: npt.NDArray[np.void]) -> None:
        for event in _objects(table, self._hart):
            for callback, kinds in self._callbacks:
                if event.kind & kinds:
                    callback(event)


_KINDS = {int(kind): kind for kind in Kind}


def _objects(table: npt.NDArray[np.void], hart: int) -> Iterator[TraceEvent]:
    for row in table.tolist():
        kind, known, before, after, from_pc, to_pc, cause, tval, instret = row
        yield TraceEvent(
            _KINDS[kind],
            hart,
            from_pc if known & _FROM else None,
            to_pc if known & _TO else None,
            cause,
            tval,
            None if before == _UNKNOWN_PRIV else before,
            None if after == _UNKNOWN_PRIV else after,
            instret,
        )


def events_from_trace(trace: "Trace") -> Iterator[TraceEvent]:
    """The events of `trace`, in order."""
    for table in tables(trace.flows(), trace.code.map):
        yield from _objects(table, trace.hart or 0)


def events_from_machine(machine: "Machine", max_instructions: int | None = None) -> Iterator[Event]:
    """Run `machine` and give its events, in order."""
    events: list[Event] = []
    machine.on_discontinuity(events.append)
    for _ in machine.run(max_instructions):
        yield from events
        events.clear()
    yield from events
