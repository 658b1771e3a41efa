"""Stretches of an instruction stream: the common form in which two runs are compared.

A decoded flow, a rerun of the program and a pc trace from elsewhere all become stretches.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specs.interfaces.flow import Flow

#: A trap. `position`: instructions of the whole stream before it. `interrupt` 0 or 1; `priv` 255
#: and `epc_known` 0 where a source does not tell.
EVENT = np.dtype(
    [
        ("position", "<u8"),
        ("epc", "<u8"),
        ("tval", "<u8"),
        ("cause", "<u8"),
        ("interrupt", "u1"),
        ("priv", "u1"),
        ("epc_known", "u1"),
    ]
)

#: Context and time as a trace reports them (`specs.interfaces.flow.CONTEXT`). `position`:
#: instructions before the report. `trap`: number of the trap whose they are, -1 if they are an
#: instruction's.
REPORT = np.dtype(
    [
        ("position", "<i8"),
        ("trap", "<i8"),
        ("context", "<u8"),
        ("time", "<u8"),
        ("precise", "u1"),
    ]
)

#: Context and time as a run tells them: they hold from what has `position` instructions and `traps`
#: traps before it. `ctype` is how to report them (0: not).
TOLD = np.dtype(
    [
        ("position", "<i8"),
        ("traps", "<i8"),
        ("context", "<u8"),
        ("time", "<u8"),
        ("ctype", "u1"),
    ]
)

#: Where tracing paused: what has `position` instructions and `traps` traps before it is not what
#: was executed next. Of a trace: the `packet` with which it goes on, and its byte `offset`. Of a
#: run: `why`, as flags of a side band (`specs.interfaces.ingress`), 0 for *ctype* 3.
PAUSED = np.dtype(
    [
        ("position", "<i8"),
        ("traps", "<i8"),
        ("packet", "<u8"),
        ("offset", "<u8"),
        ("why", "u1"),
    ]
)

#: Rounds that the packets do not tell (`specs.interfaces.flow.LOOP`), before the instruction
#: `position`.
ROUNDS = np.dtype(
    [("position", "<i8"), ("start", "<u8"), ("count", "<i8"), ("packet", "<u8"), ("offset", "<u8")]
)

UNKNOWN_PRIV = 255

#: From an array of runs (`specs.interfaces.flow.RUN`) to the pcs (uint64) of their instructions.
Expand = Callable[[npt.NDArray[np.void]], npt.NDArray[np.uint64]]


@dataclass
class Stretch:
    """Consecutive instructions: `pcs` uint64, `privs` uint8, and their `traps` (`EVENT`) in order.

    `words`: the instruction words, uint32, where a source has them. `reports` (`REPORT`) is what a
    trace says of context and time, `told` (`TOLD`) what a run does; `pauses` (`PAUSED`); `loops`
    (`ROUNDS`); in order.
    """

    pcs: npt.NDArray[np.uint64]
    privs: npt.NDArray[np.uint8]
    traps: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, EVENT))
    words: npt.NDArray[np.uint32] | None = None
    reports: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, REPORT))
    told: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, TOLD))
    pauses: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, PAUSED))
    loops: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, ROUNDS))


def positions(flow: Flow, first: int, runs: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Instructions of the whole flow before each of `runs` (numbers of runs).

    `first` is the number of instructions before the chunk `flow`.
    """
    if not len(runs):
        return np.zeros(0, np.uint64)
    before = np.zeros(len(flow.runs) + 1, np.uint64)
    np.cumsum(flow.runs["count"], dtype=np.uint64, out=before[1:])
    index = np.clip(runs.astype(np.int64) - flow.first_run, 0, len(flow.runs))
    return before[index] + np.uint64(first)


#: Instructions expanded at a time (one run alone may have more).
_PIECE = 1 << 18


def pieces(flow: Flow) -> Iterator[Flow]:
    """A flow chunk as smaller ones, so that expanding them needs little memory."""
    ends = np.cumsum(flow.runs["count"], dtype=np.uint64)
    low = {"traps": 0, "contexts": 0, "gaps": 0, "pauses": 0, "loops": 0}
    begin = 0
    while True:
        before = int(ends[begin - 1]) if begin else 0
        stop = int(np.searchsorted(ends, before + _PIECE, "right"))
        stop = min(max(stop, begin + 1), len(flow.runs))
        parts = {}
        for name, start in low.items():
            table = getattr(flow, name)
            end = np.searchsorted(table["run"], flow.first_run + stop, "right")
            high = len(table) if stop == len(flow.runs) else int(end)
            parts[name] = table[start:high]
            low[name] = high
        yield Flow(flow.runs[begin:stop], **parts, first_run=flow.first_run + begin)
        begin = stop
        if begin >= len(flow.runs):
            return


def flow_events(flow: Flow, first: int) -> npt.NDArray[np.void]:
    """The traps of a flow chunk that `first` instructions precede, as `EVENT`."""
    events = np.zeros(len(flow.traps), EVENT)
    events["position"] = positions(flow, first, flow.traps["run"])
    for name in ("epc", "tval", "cause", "interrupt", "priv", "epc_known"):
        events[name] = flow.traps[name]
    return events


def flow_reports(flow: Flow, first: int, traps: int) -> npt.NDArray[np.void]:
    """The context reports of a flow chunk that `first` instructions and `traps` traps precede."""
    reports = np.zeros(len(flow.contexts), REPORT)
    if not len(reports):
        return reports
    reports["position"] = positions(flow, first, flow.contexts["run"])
    for name in ("context", "time", "precise"):
        reports[name] = flow.contexts[name]
    # A trap's report is of the handler if its packet has the handler's address.
    reports["trap"] = -1
    own = np.flatnonzero(flow.traps["thaddr"] == 0)
    where = np.searchsorted(flow.contexts["packet"], flow.traps["packet"][own])
    found = where < len(reports)
    found[found] = flow.contexts["packet"][where[found]] == flow.traps["packet"][own][found]
    reports["trap"][where[found]] = own[found] + traps
    return reports


def flow_pauses(flow: Flow, first: int, traps: int) -> npt.NDArray[np.void]:
    """The pauses of a flow chunk that `first` instructions and `traps` traps precede."""
    pauses = np.zeros(len(flow.pauses), PAUSED)
    pauses["position"] = positions(flow, first, flow.pauses["run"])
    # A trap in the packet with which tracing begins again comes after the pause.
    before = np.searchsorted(flow.traps["packet"], flow.pauses["packet"], "left")
    pauses["traps"] = before + traps
    for name in ("packet", "offset"):
        pauses[name] = flow.pauses[name]
    return pauses


def flow_loops(flow: Flow, first: int) -> npt.NDArray[np.void]:
    """The loops of a flow chunk that `first` instructions precede."""
    loops = np.zeros(len(flow.loops), ROUNDS)
    loops["position"] = positions(flow, first, flow.loops["run"])
    for name in ("start", "count", "packet", "offset"):
        loops[name] = flow.loops[name]
    return loops


def flow_stretches(flows: Iterable[Flow], expand: Expand) -> Iterator[Stretch]:
    """Decoded flow chunks as stretches; `expand` gives the pcs of an array of runs."""
    first = traps = 0
    for chunk in flows:
        for flow in pieces(chunk):
            pcs = expand(flow.runs)
            privs = np.repeat(flow.runs["priv"], flow.runs["count"])
            reports = flow_reports(flow, first, traps)
            pauses = flow_pauses(flow, first, traps)
            yield Stretch(
                pcs,
                privs,
                flow_events(flow, first),
                reports=reports,
                pauses=pauses,
                loops=flow_loops(flow, first),
            )
            first += len(pcs)
            traps += len(flow.traps)
