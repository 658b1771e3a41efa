"""One of two flows that are held against each other: a decoded trace, or a log of pcs."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from decoder import Decoder
from etrace.kernels import compare as kernel
from etrace.kernels.compare import Place, Runs
from etrace.sources.logs.text import Log, narrow
from etrace.trace.fields import Fields
from etrace.trace.marks import GAP, MARK, TRAP, Marks, flow_marks, none
from etrace.trace.stretch import REPORT, ROUNDS, flow_loops, flow_reports
from etrace.trace.trace import Trace
from specs.interfaces.flow import RUN, Flow, Reason
from specs.interfaces.records import words
from specs.isa.control import CodeMap

Numbers = npt.NDArray[np.uint64]

#: Runs that are kept of what both traces have alike.
_FEW = 16


class Side:
    """A flow from its beginning on: what of it is in hand, and where in it the comparison stands.

    `position`: instructions behind, in the numbering of both sides: what was left out on one side
    alone is not counted. `marks`, `reports`, `loops`: those still to be compared, by that
    numbering.
    """

    def __init__(self, name: str, code: CodeMap) -> None:
        self.name = name
        self.code = code
        self.position = 0
        #: Instructions of this side that the common numbering leaves out (more than it has: < 0).
        self.skipped = 0
        self.marks: Marks = none()
        self.reports = np.zeros(0, REPORT)
        self.loops = np.zeros(0, ROUNDS)
        #: Whether traps, and words of instructions, are told.
        self.traps_told = True
        self.words_told = False
        #: Widths of context and time in its packets.
        self.fields = Fields()
        self.tval_mask = (1 << code.xlen) - 1
        self._chunks: deque[Runs] = deque()
        self._words: deque[npt.NDArray[np.uint32] | None] = deque()
        #: Instructions that were read, in this side's own numbering.
        self._read = 0
        self._exhausted = False

    @property
    def own_position(self) -> int:
        """Instructions behind, all of this side's."""
        return self.position + self.skipped

    @property
    def in_hand(self) -> bool:
        """Whether the next instruction has been read."""
        return bool(self._chunks)

    @property
    def ended(self) -> bool:
        """There are no more instructions."""
        return self._exhausted and not self._chunks

    @property
    def remark(self) -> str:
        """What there is to say about its end."""
        return ""

    @property
    def packets(self) -> dict[str, int] | None:
        """Packets read so far, by format name; None if it has none."""
        return None

    def fill(self) -> None:
        """Have an instruction in hand, unless the flow has ended."""
        while not self._chunks and not self._exhausted:
            self._take()

    @property
    def runs(self) -> Runs:
        """What is in hand first, and the place in it."""
        return self._chunks[0]

    def moved(self, count: int) -> None:
        """The place in `runs` is `count` instructions further on than it was."""
        self.position += count
        self._drop()

    def skim(self) -> int:
        """Pass all that is in hand by; how many traps that were."""
        traps = int(np.count_nonzero(self.marks["kind"] == TRAP))
        self.marks, self.reports, self.loops = self.marks[:0], self.reports[:0], self.loops[:0]
        self.position = self._read - self.skipped
        self._chunks.clear()
        self._words.clear()
        return traps

    @property
    def corrupt(self) -> bool:
        """It cannot be decoded somewhere."""
        return False

    def remarks(self) -> list[str]:
        """What there is to say about it as a whole."""
        return []

    def peek(self, count: int) -> tuple[Numbers, npt.NDArray[np.uint8]]:
        """Addresses and privileges of the next instructions, `count` unless the flow ends first."""
        pcs, privs = np.zeros(count, np.uint64), np.zeros(count, np.uint8)
        filled = at = 0
        while filled < count:
            if at == len(self._chunks):
                if self._exhausted:
                    break
                self._take()
                continue
            filled += kernel.expand(self._chunks[at], pcs[filled:], privs[filled:])
            at += 1
        return pcs[:filled], privs[:filled]

    def words_of(self, pcs: Numbers) -> npt.NDArray[np.uint32]:
        """The words of the next instructions, whose addresses are `pcs`: as a log has them, else of
        the program; 0 where neither tells.
        """
        if self.words_told:
            found = self._words[0]
            at = int(self._chunks[0].place[Place.RUN])
            if found is not None:
                return found[at : at + len(pcs)]
        distinct, where = np.unique(pcs, return_inverse=True)
        slots = [self.code.slot(pc) for pc in distinct.tolist()]
        words_there = [int(self.code.word[slot]) if slot >= 0 else 0 for slot in slots]
        return np.array(words_there, np.uint32)[where]

    def leave_out(self, count: int, forget: bool = True) -> None:
        """Pass `count` instructions by that the other side does not have. What stands among them
        and right behind them is forgotten, or stands here then."""
        left = count
        while left > 0:
            self.fill()
            if not self._chunks:
                break
            left -= kernel.advance(self._chunks[0], left)
            self._drop()
        self._renumber(count - left, forget)

    def pass_over(self) -> None:
        """Pass one by that is no instruction of the flow: it did not retire."""
        self.leave_out(1)
        self.skipped -= 1
        self._read -= 1

    def _renumber(self, count: int, forget: bool) -> None:
        at = self.position
        self.skipped += count
        for name in ("marks", "reports", "loops"):
            table = getattr(self, name)
            if not len(table):
                continue
            table = table.copy()
            if forget:
                table = table[(table["position"] > at + count) | (table["position"] < at)]
            later = table["position"] > at
            table["position"][later] = np.maximum(table["position"][later] - count, at)
            setattr(self, name, table)

    def _drop(self) -> None:
        while self._chunks:
            runs = self._chunks[0]
            if int(runs.place[Place.RUN]) * kernel.RUN_WORDS < runs.runs.size:
                return
            self._chunks.popleft()
            self._words.popleft()

    def _take(self) -> None:
        """Read on."""
        raise NotImplementedError

    def _add(
        self,
        runs: npt.NDArray[np.void],
        count: int,
        tables: dict[str, npt.NDArray[np.void]],
        words_there: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        for name, table in tables.items():
            if not len(table):
                continue
            table["position"] -= self.skipped
            before = getattr(self, name)
            setattr(self, name, np.concatenate([before, table]) if len(before) else table)
        self._read += count
        if len(runs):
            self._chunks.append(bundle(runs, self.code))
            self._words.append(words_there)


def bundle(runs: npt.NDArray[np.void], code: CodeMap) -> Runs:
    """Runs as kernels take them, the place at their beginning."""
    return Runs(
        code.region_base,
        code.region_end,
        code.region_slot,
        code.size,
        words(runs, RUN),
        np.zeros(len(Place), np.uint64),
    )


class Start:
    """What two traces have alike: the first `size` bytes of `trace`, decoded once for both."""

    def __init__(self, trace: Trace, size: int) -> None:
        self.machine = Decoder(trace.configuration, trace.code.map, offset=trace.lead_in)
        self.gaps = self.lost = 0
        #: The last runs, to show what is before a difference.
        self.runs = np.zeros(0, RUN)
        for chunk in trace.chunks():
            for flow in self.machine.feed(chunk[: size - self.machine.statistics.bytes]):
                gaps, lost = gaps_of(trace, flow)
                self.gaps += gaps
                self.lost += lost
                self.runs = flow.runs[-_FEW:].copy() if len(flow.runs) else self.runs
            if self.machine.statistics.bytes >= size:
                break


def gaps_of(trace: Trace, flow: Flow) -> tuple[int, int]:
    """Gaps of a flow that are no mere edge of a bare stream; of these, those of lost packets."""
    lost = int(np.count_nonzero(flow.gaps["reason"] == Reason.TRACE_LOST))
    return len(flow.gaps) - trace.edges(flow), lost


class TraceSide(Side):
    """The decoded flow of a trace, from `start` on if it has that in common with the other one."""

    def __init__(self, trace: Trace, start: Start | None = None) -> None:
        super().__init__(trace.name, trace.code.map)
        self.trace = trace
        self.fields = Fields.of(trace.configuration)
        width = trace.configuration.parameters.iaddress_width_p
        self.tval_mask = (1 << min(width, trace.header.xlen)) - 1
        self._flows: Iterator[Flow] = (
            trace.flows() if start is None else trace.flows_from(start.machine.fork())
        )
        self._traps = 0
        #: As of `gaps_of`.
        self.gaps = self.lost = 0
        if start is not None:
            statistics = start.machine.statistics
            self._read = self.position = statistics.instructions
            self._traps = statistics.traps
            self.gaps, self.lost = start.gaps, start.lost

    @property
    def remark(self) -> str:
        """What there is to say about its end."""
        if self._exhausted and not self.trace.ended and self.trace.seam is None:
            return "no end-of-trace packet: the recording was cut short"
        return ""

    @property
    def corrupt(self) -> bool:
        """It cannot be decoded somewhere; that the encoder lost packets is no such place."""
        return self.gaps > self.lost

    def remarks(self) -> list[str]:
        """How many gaps it has, and that it ends without having been ended."""
        found = []
        if self.gaps:
            what = "gap" if self.gaps == 1 else "gaps"
            lost = f", {self.lost:,} of lost packets" if self.lost else ""
            found.append(f"{self.name}: {self.gaps:,} {what}{lost}")
        if self.remark:
            found.append(f"{self.name}: {self.remark}")
        return found

    @property
    def packets(self) -> dict[str, int] | None:
        """Packets read so far, by format name."""
        return self.trace.packet_counts

    def _take(self) -> None:
        flow = next(self._flows, None)
        if flow is None:
            self._exhausted = True
            return
        self.fields = self.trace.fields
        if len(flow.gaps):
            gaps, lost = gaps_of(self.trace, flow)
            self.gaps += gaps
            self.lost += lost
        tables = {
            "marks": flow_marks(flow, self._read),
            "reports": flow_reports(flow, self._read, self._traps),
            "loops": flow_loops(flow, self._read),
        }
        self._traps += len(flow.traps)
        self._add(flow.runs, self.trace.decoded - self._read, tables)


class LogSide(Side):
    """A pc log. Its words, if it has any, are compared with those of the other side."""

    def __init__(self, log: Log, xlen: int) -> None:
        super().__init__(log.name, CodeMap([], xlen))
        self._stretches = narrow(log.stretches, xlen)
        self.words_told = log.words_told
        self.traps_told = log.traps_told

    def _take(self) -> None:
        stretch = next(self._stretches, None)
        if stretch is None:
            self._exhausted = True
            return
        runs = np.zeros(len(stretch.pcs), RUN)
        runs["start"] = stretch.pcs
        runs["count"] = 1
        runs["priv"] = stretch.privs
        marks = np.zeros(len(stretch.traps), MARK)
        marks["kind"] = TRAP
        for name in ("position", "epc", "tval", "cause", "interrupt", "priv", "epc_known"):
            marks[name] = stretch.traps[name]
        marks["packet"] = marks["offset"] = -1
        self._add(runs, len(runs), {"marks": marks}, stretch.words)


def is_lost(mark: np.void) -> bool:
    """Whether a mark is a gap where the encoder says that it lost packets."""
    return int(mark["kind"]) == GAP and int(mark["reason"]) == Reason.TRACE_LOST
