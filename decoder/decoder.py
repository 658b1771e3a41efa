"""The decoder: trace bytes in, instruction flow out."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from decoder.bytes.brief import BRIEFS, Brief
from decoder.bytes.packets import PacketReader, Rows
from decoder.path.bundles import Output, Packets, Path
from decoder.path.outputs import ENDED_PACKET, Filled, close_run, count_instructions
from decoder.path.reconstruct import reconstruct
from decoder.path.settings import MOST_BRANCHES, Setting, settings
from decoder.path.state import STATES, State
from decoder.path.table import tables
from specs.configuration.parameters import Configuration
from specs.interfaces.flow import CONTEXT, GAP, LOOP, PAUSE, RUN, TRAP, Flow
from specs.interfaces.records import rows
from specs.isa.control import CodeMap
from specs.kernels.njit import announce_compilation
from specs.trace import predictors
from specs.trace.packets import COLUMNS, FORMAT_NAMES, Column, Format, QualStatus

_RUNS = 1 << 16
_RUN_WORDS = RUN.itemsize // 8
_RECORDS = 1 << 12


@dataclass
class Statistics:
    """What has been decoded so far. `packets`: by format name ("1", "2", "3.0", ...)."""

    packets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FORMAT_NAMES, 0))
    bytes: int = 0
    instructions: int = 0
    runs: int = 0
    traps: int = 0
    gaps: int = 0
    loops: int = 0


class Decoder:
    """Decodes one trace stream (E-Trace 2.0, chapter "Decoder"; docs/modes.md).

    `offset` is that of the first byte in the stream.
    `configuration` is the encoder's as far as it is known: modes (and, by protocol 2.1, sizes) are
    what the stream's support packets say. `code` is the program that ran, `most_branches` the
    encoder's largest *branch_count*. Nothing in a trace makes it raise: what cannot be decoded is a
    gap in the flow. With no gap and no loop, the flow is exact. Memory does not grow with the
    stream. Nor does the time between two chunks; but one packet with a branch count may stand for
    billions of instructions, which come in as many chunks as they take.
    """

    def __init__(
        self,
        configuration: Configuration,
        code: CodeMap,
        most_branches: int = MOST_BRANCHES,
        offset: int = 0,
    ) -> None:
        announce_compilation("the decoder", __name__)
        self.statistics = Statistics()
        self._reader = PacketReader(configuration, full=False, offset=offset)
        self._most_branches = most_branches
        self._adopt()
        self._regions, self._table = tables(code)
        self._state = np.zeros(STATES, np.int64)
        self._state[State.LAST] = -1
        self._state.view(np.uint64)[State.ADDRESS_MASK] = (1 << code.xlen) - 1
        self._output = Output(
            runs=_table(RUN, _RUNS).ravel(),
            traps=_table(TRAP, _RECORDS),
            contexts=_table(CONTEXT, _RECORDS),
            gaps=_table(GAP, _RECORDS),
            pauses=_table(PAUSE, _RECORDS),
            loops=_table(LOOP, _RECORDS),
            filled=np.zeros(len(Filled), np.int64),
            counts=np.zeros(len(FORMAT_NAMES), np.int64),
        )
        self._packet = 0
        #: The last packet so far says that tracing ended (section "Format 3 subformat 3 qual_status
        #: field").
        self.ended = False
        self._briefs: Rows = np.zeros((0, BRIEFS), np.uint64)
        self._details: Rows = np.zeros((0, COLUMNS), np.uint64)
        self._done = 0

    @property
    def configuration(self) -> Configuration:
        """The encoder's, as far as it is known by now."""
        return self._configuration

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Flow]:
        """Decode `data`, the next bytes of the stream: the flow that they complete, in chunks.

        Chunks own their arrays. Bytes are taken at once, decoded while iterating; what is not
        iterated over comes with the next call.
        """
        self.statistics.bytes += memoryview(data).nbytes
        self._reader.feed(data)
        return self._decode(final=False)

    def finish(self) -> Iterator[Flow]:
        """The rest of the flow; nothing more will be fed."""
        return self._decode(final=True)

    @property
    def reached(self) -> int:
        """Instructions known by now, also those of the run that is still open."""
        return self.statistics.instructions + int(self._state[State.RUN_COUNT])

    @property
    def packets(self) -> int:
        """Packets taken from the stream by now."""
        return self._packet

    def fork(self) -> "Decoder":
        """A decoder that goes on from here by itself: to look ahead, or back again."""
        shared = (self._regions, self._table, self._settings, self._configuration)
        return deepcopy(self, {id(each): each for each in shared})

    def offsets(self, data: bytes) -> list[int]:
        """Where the next packets begin, as far as they are complete with `data` behind what was
        fed: byte offsets in the stream. Nothing is decoded."""
        reader = deepcopy(self._reader)
        reader.feed(data)
        found: list[int] = []
        while len(briefs := reader.read()[0]):
            found += briefs[:, Brief.offset].tolist()
        return found

    def _decode(self, final: bool) -> Iterator[Flow]:
        while True:
            while self._done < len(self._briefs):
                self._done = self._reconstruct()
                if self._done < len(self._briefs):
                    yield self._chunk()
            self._packet += len(self._briefs)
            if self._configuration is not self._reader.configuration:
                self._adopt()
                self._state[State.LAST] = -1
            self._briefs, self._details = self._reader.read(final)
            self._state[State.REFUSED] = self._reader.refused
            self._done = 0
            if not len(self._briefs):
                break
            self.ended = _says_ended(self._briefs[-1], self._details)
        if self._output.filled.any():
            yield self._chunk()
        if final and self._state[State.RUN_COUNT]:
            close_run(self._state, self._output.runs, self._output.filled, ENDED_PACKET)
            yield self._chunk()
        self._count_packets()

    def _adopt(self) -> None:
        """Take over what the reader has learned; predictions begin anew."""
        self._configuration = self._reader.configuration
        self._settings = settings(self._configuration, self._most_branches)
        #: None without the modes that keep one: kernels are compiled without it then.
        self._history = self._scratch = None
        if self._settings[Setting.MODES]:
            self._history = predictors.make(self._configuration)
            self._scratch = self._history.copy()

    def _reconstruct(self) -> int:
        path = Path(self._regions, self._table, self._settings, self._state)
        packets = Packets(self._briefs, self._details, self._done, len(self._briefs), self._packet)
        return int(reconstruct(path, self._history, self._scratch, packets, self._output))

    def _chunk(self) -> Flow:
        runs, traps, contexts, gaps, pauses, loops = self._output.filled.tolist()
        output = self._output
        full = output.runs
        if 2 * runs * _RUN_WORDS > full.size:
            # Handed over instead of copied: most chunks are full.
            self._output = output._replace(runs=np.empty(full.size, np.uint64))
            own = full[: runs * _RUN_WORDS].view(RUN)
        else:
            own = _records(full, RUN, runs)
        flow = Flow(
            own,
            _records(output.traps, TRAP, traps),
            _records(output.contexts, CONTEXT, contexts),
            _records(output.gaps, GAP, gaps),
            int(self._state[State.RUNS]),
            _records(output.pauses, PAUSE, pauses),
            _records(output.loops, LOOP, loops),
        )
        statistics = self.statistics
        self._count_packets()
        statistics.instructions += int(count_instructions(full, runs))
        statistics.runs += runs
        statistics.traps += traps
        statistics.gaps += gaps
        statistics.loops += loops
        self._state[State.RUNS] += runs
        output.filled[:] = 0
        return flow

    def _count_packets(self) -> None:
        counts = self._output.counts.tolist()
        self.statistics.packets = dict(zip(FORMAT_NAMES, counts, strict=True))


def _says_ended(brief: npt.NDArray[np.uint64], details: Rows) -> bool:
    return (
        not brief[Brief.reason]
        and int(brief[Brief.table]) == Format.SUPPORT
        and int(details[-1, Column.qual_status]) in (QualStatus.ended_rep, QualStatus.ended_ntr)
    )


def _table(kind: np.dtype[np.void], count: int) -> npt.NDArray[np.uint64]:
    return rows(np.zeros(count, kind), kind)


def _records(
    table: npt.NDArray[np.uint64], kind: np.dtype[np.void], count: int
) -> npt.NDArray[np.void]:
    # Copied as words: NumPy copies records that have gaps field by field.
    return table.ravel()[: count * kind.itemsize // 8].copy().view(kind)
