"""A trace and the program that it is about: decode, inspect, verify."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etrace.arguments import checked
from etrace.dumps import HEAD, MOST_RING, PLAIN, Dump, Seam, lead_in, unrolled
from etrace.ending import CUT_SHORT, Ending
from etrace.errors import EtraceError, InputError, TraceError, path_of
from etrace.files import shown
from etrace.program import Code, for_header
from etrace.reports import Fields
from etrace.stretch import Stretch, flow_stretches
from etrace.tracefile import Header, TraceStream, open_trace
from etrace.verify import Comparison, compare
from specs.flow import CONTEXT, GAP, LOOP, PAUSE, RUN, TRAP, Flow, Reason
from specs.packets import Column
from specs.parameters import Configuration
from specs.records import join
from specs.single import Packet

if TYPE_CHECKING:
    from etrace.events import TraceEvent


#: `Header.source` of a bare stream.
BARE = "stream"

#: Bytes kept for `etrace.diagnosis`.
_HEAD = 1 << 14

#: What `Trace.decode` keeps in memory at most: some 700 million instructions.
MOST_RUNS = 1 << 27


@dataclass(repr=False)
class Trace:
    """A trace file, bare stream or bytes in memory, with its parameters and program memory."""

    name: str
    header: Header
    _code: Code | EtraceError
    #: Called with instructions and bytes decoded so far.
    progress: Callable[[int, int], None] | None = None
    _bytes: bytes | None = None
    #: What was read of a stream that can be read only once (standard input).
    _stream: TraceStream | None = None
    #: The configuration, and what support packets have said of it since.
    _learned: Configuration | None = None
    #: How the file is to be read.
    dump: Dump = PLAIN
    #: Bytes before the first packet that can be told: the stream starts inside one.
    lead_in: int = 0
    #: Where a ring buffer's dump was put together.
    seam: Seam | None = None
    #: The first bytes of the stream, if it was read from a file.
    head: bytes = b""

    @property
    def code(self) -> Code:
        """The program's memory; raises `InputError` if what the trace names could not be read."""
        if isinstance(self._code, EtraceError):
            raise self._code
        return self._code

    @code.setter
    def code(self, code: Code) -> None:
        self._code = code

    @property
    def known_code(self) -> Code:
        """The program's memory, empty if it could not be read."""
        return Code(self.header.xlen) if isinstance(self._code, EtraceError) else self._code

    def edges(self, flow: Flow) -> int:
        """How many gaps of `flow` are but where a bare stream begins or ends.

        That is: packets before the first synchronisation; in a ring's dump, a last packet that is
        not whole.
        """
        if self.header.source != BARE:
            return 0
        early = (flow.gaps["reason"] == Reason.NO_SYNC) & (flow.gaps["run"] == 0)
        late = (flow.gaps["reason"] == Reason.TRUNCATED) & (self.seam is not None)
        return int(np.count_nonzero(early | late))

    def without_code(self, error: EtraceError) -> None:
        """Let whatever needs the program raise `error`."""
        self._code = error

    def closed(self) -> "Trace":
        """This trace, to be read from its file again each time, or from memory."""
        self._stream = None
        return self

    def __repr__(self) -> str:
        files = [str(each.path) for each in self.known_code.programs]
        of = ", ".join(files + [each.path for each in self.known_code.images])
        made = {"record": "recorded", "encode": "encoded"}.get(self.header.source, "a bare stream")
        return (
            f"<Trace {self.name!r}: RV{self.header.xlen}, {made}, protocol "
            f"{self.configuration.protocol}, {f'of {of}' if of else 'without a program'}>"
        )

    @property
    def configuration(self) -> Configuration:
        """Parameters, modes, resynchronisation and framing."""
        return self.header.configuration

    @property
    def fields(self) -> Fields:
        """Which of context and time are in the packets, as far as the flow has been decoded."""
        return Fields.of(self._learned or self.configuration)

    def chunks(self) -> Iterator[bytes]:
        """The packet stream in pieces, from byte `lead_in` on."""
        skip = self.lead_in
        for chunk in self._chunks():
            if skip < len(chunk):
                yield chunk[skip:]
            skip = max(skip - len(chunk), 0)

    def _chunks(self) -> Iterator[bytes]:
        if self._stream is not None:
            yield from self._stream.chunks()
        elif self._bytes is not None and self.seam is not None:
            yield self._bytes
        elif self._bytes is not None:
            yield from TraceStream(BytesIO(self._bytes), self.name, Dump("bin")).chunks()
        else:
            with open_trace(self.name, self.dump) as stream:
                yield from stream.chunks()

    def flows(self, ending: Ending | None = None) -> Iterator[Flow]:
        """The instruction flow in chunks. `ending` is told the bytes as they come."""
        from decoder import Decoder  # not needed to record

        machine = Decoder(self.configuration, self.code.map, offset=self.lead_in)
        for chunk in self.chunks():
            if ending is not None:
                ending.feed(chunk)
            for flow in machine.feed(chunk):
                if self.progress is not None:
                    self.progress(machine.statistics.instructions, machine.statistics.bytes)
                self._learned = machine.configuration
                yield flow
        if ending is not None:
            ending.finish()
        yield from machine.finish()

    @checked
    def decode(self, most_runs: int = MOST_RUNS) -> Flow:
        """The whole instruction flow; `pcs` expands it.

        Raises `InputError` if it has more than `most_runs` runs (of 16 bytes, and as much again
        while they are put together): a few bytes, damaged or not, can stand for billions of
        branches that went as predicted.
        """
        flows: list[Flow] = []
        runs = 0
        for flow in self.flows():
            runs += len(flow.runs)
            if runs > most_runs:
                raise InputError(
                    f"{self.name}: the flow has more than {most_runs:,} runs; go through it with "
                    "flows(), which keeps one chunk at a time, or say most_runs"
                )
            flows.append(flow)
        if not flows:
            return Flow()
        return Flow(
            join([flow.runs for flow in flows], RUN),
            join([flow.traps for flow in flows], TRAP),
            join([flow.contexts for flow in flows], CONTEXT),
            join([flow.gaps for flow in flows], GAP),
            pauses=join([flow.pauses for flow in flows], PAUSE),
            loops=join([flow.loops for flow in flows], LOOP),
        )

    @checked
    def pcs(self, flow: Flow | None = None) -> npt.NDArray[np.uint64]:
        """The pc of every instruction of `flow` (default: of the whole trace)."""
        from decoder import pcs

        return pcs(self.decode() if flow is None else flow, self.code.map)

    def packets(self) -> Iterator[npt.NDArray[np.uint64]]:
        """The packets: rows of uint64, a column a `specs.packets.Column`, valid until the next."""
        for rows, _ in self._packets():
            yield rows

    @checked
    def packet(self, number: int) -> Packet:
        """Packet `number`, counted from 0 as in `etrace dump`: its fields, its bits, its words.

        Raises `InputError` if there is none.
        """
        from etrace.flowtext import reason_name

        before = 0
        for rows, configuration in self._packets():
            if 0 <= number - before < len(rows):
                row = rows[number - before].tolist()
                if not row[Column.reason]:
                    return Packet.of(row, configuration)
                raise InputError(
                    f"{self.name}: offset {row[Column.offset]}: packet {number} is none: "
                    f"{reason_name(row[Column.reason])}"
                )
            before += len(rows)
        raise InputError(f"{self.name}: no packet {number}: the stream has but {before:,} packets")

    def _packets(self) -> Iterator[tuple[npt.NDArray[np.uint64], Configuration]]:
        """As `packets`, each with the configuration that its rows were read by."""
        from decoder import PacketReader

        reader = PacketReader(self.configuration, offset=self.lead_in)
        for chunk in chain(self.chunks(), [None]):
            if chunk is not None:
                reader.feed(chunk)
            configuration = reader.configuration
            while len(rows := reader.read(final=chunk is None)[1]):
                yield rows, configuration
                configuration = reader.configuration

    def events(self) -> Iterator["TraceEvent"]:
        """Interrupts, exceptions and trap returns, in order."""
        from etrace.events import events_from_trace

        return events_from_trace(self)

    def verify(
        self, against: str | Path | None = None, semihosting: str | Path | None = None
    ) -> "Verification":
        """Compare with a rerun of the program, or with the pc trace `against`.

        With a rerun, where tracing pauses as well, and context and time, if packets have them.

        `semihosting`: the directory whose files the rerun may use, as the run did. Raises
        `InputError` if there is nothing to compare with.
        """
        return verify(
            self,
            None if against is None else path_of("against", against),
            None if semihosting is None else Path(path_of("semihosting", semihosting)),
        )


@dataclass(frozen=True)
class Verification:
    """The outcome of comparing a trace. `same`: equal up to its proper end, without gaps.

    `remark`: how the longer side goes on, or nothing. `cut_short`: the trace has no proper end.
    """

    instructions: int
    traps: int
    comparison: Comparison
    gaps: npt.NDArray[np.void]
    remark: str
    same: bool
    cut_short: bool = False


def verify(trace: Trace, against: str | None, semihosting: Path | None = None) -> Verification:
    """See `Trace.verify`."""
    flow = _UpToGap(trace)
    actual = flow_stretches(flow.flows(), lambda runs: trace.pcs(Flow(runs)))
    width = trace.configuration.parameters.iaddress_width_p
    comparison = compare(
        _expected(trace, against, semihosting),
        actual,
        trace.code.map,
        (1 << min(width, trace.header.xlen)) - 1,
        None if against is not None else Fields.of(trace.configuration),
        pauses=against is None or _traces_everything(trace.header),
        complete=flow.complete,
    )
    other = "the pc trace" if against is not None else "the program"
    remark, same = "", comparison.difference is None and not len(flow.gaps)
    cut_short = same and comparison.actual_ended and not flow.ended
    if same and not comparison.actual_ended:
        remark, same = f"the trace goes on where {other} ends", False
    elif same and not comparison.expected_ended:
        same = against is None
        remark = f"the trace ends here, {other} goes on"
    if cut_short:
        same = False
        remark += " (no end-of-trace packet: the recording was cut short)" if remark else CUT_SHORT
    return Verification(
        comparison.instructions, comparison.traps, comparison, flow.gaps, remark, same, cut_short
    )


def _traces_everything(header: Header) -> bool:
    """Whether a trace of this kind never pauses."""
    asynchronous = header.sideband is not None and header.sideband.context_csr is not None
    return header.source == "record" and header.configuration.filters.idle and not asynchronous


class _UpToGap:
    """The flow of a trace up to the first gap."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._ending = Ending(trace.configuration)
        self.gaps = Flow().gaps

    @property
    def ended(self) -> bool:
        """Tracing ended properly."""
        return self._ending.proper

    def complete(self, whole: bool) -> bool:
        """Whether the flow, which has ended, has all reports. `whole`: it has all instructions."""
        return not len(self.gaps) and (whole or self.ended)

    def flows(self) -> Iterator[Flow]:
        for flow in self._trace.flows(self._ending):
            if len(flow.gaps):
                self.gaps = flow.gaps[:1]
                runs = int(self.gaps["run"][0]) - flow.first_run
                contexts, pauses, loops = (
                    table[table["run"] < self.gaps["run"][0]]
                    for table in (flow.contexts, flow.pauses, flow.loops)
                )
                # A trap told before the gap happened before it, and behind the runs before it.
                traps = flow.traps[flow.traps["packet"] < self.gaps["packet"][0]]
                yield Flow(
                    flow.runs[:runs],
                    traps,
                    contexts,
                    first_run=flow.first_run,
                    pauses=pauses,
                    loops=loops,
                )
                return
            yield flow


def _expected(trace: Trace, against: str | None, semihosting: Path | None) -> Iterator[Stretch]:
    if against is not None:
        from etrace import pctrace

        return pctrace.stretches(against)
    if trace.header.source != "record" or not trace.code.programs:
        raise InputError(
            f"{trace.name}: not recorded from a program, so it cannot be run again; "
            "compare with --against PC_TRACE.csv"
        )
    from etrace import rerun
    from etrace.recorder import new_machine, qualifier

    machine = new_machine(trace.code, trace.header, semihosting=semihosting)
    return rerun.stretches(
        machine,
        trace.header.max_instructions,
        trace.code.map,
        qualifier(trace.configuration, trace.code),
    )


@contextmanager
def open_for_reading(
    path: str,
    configuration: Configuration | None = None,
    elf: Sequence[str] = (),
    image: Sequence[str] = (),
    *,
    platform: str | None = None,
    xlen: int | None = None,
    force: bool = False,
    need_code: bool = True,
    dump: Dump = PLAIN,
) -> Iterator[Trace]:
    """The trace `path` (`-`: standard input) while it is open.

    `configuration` is for a bare stream, and only for one; so is `dump.ring`. Raises `InputError`
    or `TraceError`.
    """
    with open_trace(path, dump) as stream:
        header = stream.header
        if header is None:
            if stream.is_program:
                raise TraceError(
                    f"{stream.name}: is a program, not a trace; `etrace record` makes its trace"
                )
            header = _bare(stream.name, configuration, platform, xlen, elf)
        elif configuration is not None:
            raise InputError(
                f"{stream.name}: carries its own parameters; leave out --params, which is for bare "
                "packet streams"
            )
        code = Code(header.xlen)
        if need_code:
            code = code_for(path, header, elf, image, force)
        trace = Trace(stream.name, header, code, _stream=stream, dump=dump)
        trace.head = stream.peek(_HEAD)
        if stream.header is None:
            _find_start(trace, stream, dump)
        elif dump.ring is not None:
            raise InputError(f"{stream.name}: a trace file, not a ring; leave out --ring")
        yield trace


def code_for(
    name: str, header: Header, elf: Sequence[str], image: Sequence[str], force: bool
) -> Code:
    """The memory of the program of the trace file `name`; raises `InputError` if there is none."""
    code = for_header(header, elf, image, force, beside=name)
    if not code.programs and not code.images:
        raise InputError(
            f"{shown(name)}: names no program; give it with --elf FILE or --image ADDRESS:FILE"
        )
    return code


def _find_start(trace: Trace, stream: TraceStream, dump: Dump) -> None:
    """Where the packets of a bare stream begin, and how those of a ring follow each other."""
    configuration = trace.configuration
    head = stream.peek(HEAD if dump.ring is None else MOST_RING + 1)
    if dump.ring is not None:
        if len(head) > MOST_RING:
            raise InputError(f"{trace.name}: --ring: more than {MOST_RING:,} bytes")
        head, trace.seam = unrolled(head, stream.base, dump.ring, configuration, trace.name)
        trace._bytes, trace._stream = head, None
    trace.lead_in = lead_in(head[:HEAD], configuration, bool(trace.seam and trace.seam.pointer))
    trace.head = head[: trace.lead_in + _HEAD]


def _bare(
    name: str,
    configuration: Configuration | None,
    platform: str | None,
    xlen: int | None,
    elf: Sequence[str],
) -> Header:
    """A header for a bare stream, from what the caller says."""
    if configuration is None:
        raise TraceError(
            f"{name}: offset 0: no trace file header; if it is a bare packet stream, give its "
            "parameters with --params FILE"
        )
    if xlen is None:
        xlen = xlen_of(elf) or (32 if configuration.parameters.iaddress_width_p <= 32 else 64)
    return Header(configuration=configuration, xlen=xlen, source=BARE, platform=platform)


def xlen_of(elf: Sequence[str]) -> int | None:
    """The width of the programs, if there are any; raises `InputError`."""
    if not elf:
        return None
    from etrace.program import load_programs

    return load_programs(elf)[0].xlen


def in_memory(name: str, data: bytes, header: Header, code: Code) -> Trace:
    """A trace whose bytes (container or bare) are at hand."""
    return Trace(name, header, code, _bytes=data)
