"""A trace and the program that it is about: decode, inspect, verify."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etrace.arguments import checked
from etrace.errors import EtraceError, InputError, TraceError, path_of
from etrace.files import refuse_pipe, shown
from etrace.trace.dumps import HEAD, MOST_RING, PLAIN, Dump, Seam, lead_in, unrolled
from etrace.trace.fields import Fields
from etrace.trace.file import TraceStream, open_trace
from etrace.trace.harts import of_hart
from etrace.trace.header import Header
from etrace.trace.outcome import Verification
from etrace.trace.program import Code, for_header
from etrace.trace.reading import Reading
from etrace.trace.reasons import reason_name
from specs.configuration.parameters import Configuration
from specs.interfaces.events import TraceEvent
from specs.interfaces.flow import CONTEXT, GAP, LOOP, PAUSE, RUN, TRAP, Flow, Reason
from specs.interfaces.records import join
from specs.trace.packets import Column
from specs.trace.single import Packet

if TYPE_CHECKING:
    from decoder import Decoder

#: `Header.source` of a bare stream.
BARE = "stream"

#: Bytes kept for `etrace.checking.diagnosis`.
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
    #: The file, if that is not `name`.
    _path: str | None = None
    #: How the file is to be read.
    dump: Dump = PLAIN
    #: Bytes before the first packet that can be told: the stream starts inside one.
    lead_in: int = 0
    #: Where a ring buffer's dump was put together.
    seam: Seam | None = None
    #: Its last packet says that tracing ended; known when the whole flow has been decoded.
    ended: bool = False
    #: Packets by format name, as far as the flow has been decoded.
    packet_counts: dict[str, int] | None = None
    #: Instructions of the flow, as far as it has been decoded.
    decoded: int = 0
    #: The first bytes of the stream, if it was read from a file.
    head: bytes = b""
    #: Of a trace of several harts: the one that this is about; None: all of them.
    hart: int | None = None

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
        configuration = self.header.configuration
        return configuration if self.hart is None else of_hart(configuration, self.hart)

    def of_hart(self, number: int) -> "Trace":
        """What is hart `number`'s, counted from 0, of a trace of several. (A bare stream does not
        say how many it has.) Raises `InputError` if there is no such hart.
        """
        harts = self.header.harts
        if number < 0 or (number >= harts and self.header.source != BARE):
            has = "one hart, number 0" if harts == 1 else f"{harts} harts, from 0 to {harts - 1}"
            raise InputError(f"{self.name}: no hart {number}: it has {has}")
        try:
            of_hart(self.header.configuration, number)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        if harts == 1 and number == 0:
            return self
        return replace(
            self,
            name=f"{self.name} (hart {number})",
            hart=number,
            _path=self._path or self.name,
            _learned=None,
            ended=False,
            packet_counts=None,
            decoded=0,
        )

    def each_hart(self) -> "list[Trace]":
        """The traces of all harts that this one is about. Raises `InputError` if there are several
        and it can be read but once."""
        if not self._several:
            return [self]
        if self._bytes is None:
            refuse_pipe(self._path or self.name)
        return [self.closed().of_hart(number) for number in range(self.header.harts)]

    @property
    def _several(self) -> bool:
        return self.hart is None and self.header.harts > 1

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
            with open_trace(self._path or self.name, self.dump, self.name) as stream:
                yield from stream.chunks()

    def flows(self) -> Iterator[Flow]:
        """The instruction flow in chunks. Raises `InputError` for that of several harts."""
        from decoder import Decoder  # not needed to record

        self._check_hart()
        machine = Decoder(self.configuration, self.code.map, offset=self.lead_in)
        yield from self.flows_from(machine)

    def _check_hart(self) -> None:
        if self._several:
            raise InputError(
                f"{self.name}: has {self.header.harts} harts; choose one with --hart 0 to "
                f"--hart {self.header.harts - 1}"
            )

    def flows_from(self, machine: "Decoder") -> Iterator[Flow]:
        """The rest of the flow, behind the bytes that `machine` has had."""
        passed = machine.statistics.bytes
        for whole in self.chunks():
            chunk, passed = whole[passed:], max(passed - len(whole), 0)
            for flow in machine.feed(chunk):
                if self.progress is not None:
                    self.progress(machine.statistics.instructions, machine.statistics.bytes)
                self._learned = machine.configuration
                self.packet_counts = machine.statistics.packets
                self.decoded = machine.statistics.instructions
                yield flow
        for flow in machine.finish():
            self.decoded = machine.statistics.instructions
            yield flow
        self.packet_counts = machine.statistics.packets
        self.ended = machine.ended

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
        """The packets: rows of uint64, a column a `specs.trace.packets.Column`, valid until the
        next."""
        for rows, _ in self.read_packets():
            yield rows

    @checked
    def packet(self, number: int) -> Packet:
        """Packet `number`, counted from 0 as in `etrace dump`: its fields, its bits, its words.

        Raises `InputError` if there is none.
        """
        before = 0
        for rows, configuration in self.read_packets():
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

    def read_packets(self) -> Iterator[tuple[npt.NDArray[np.uint64], Configuration]]:
        """As `packets`, each with the configuration that its rows were read by."""
        from decoder import PacketReader

        reader = PacketReader(self.configuration, offset=self.lead_in, every_source=self._several)
        for chunk in chain(self.chunks(), [None]):
            if chunk is not None:
                reader.feed(chunk)
            configuration = reader.configuration
            while len(rows := reader.read(final=chunk is None)[1]):
                yield rows, configuration
                configuration = reader.configuration

    def events(self) -> Iterator[TraceEvent]:
        """Interrupts, exceptions and trap returns, in order."""
        events: Iterator[TraceEvent] = _above("etrace.analyses.events").events_from_trace(self)
        return events

    def verify(
        self, against: str | Path | None = None, semihosting: str | Path | None = None
    ) -> Verification:
        """Compare with a rerun of the program, or with the pc trace `against`.

        With a rerun, where tracing pauses as well, and context and time, if packets have them.

        `semihosting`: the directory whose files the rerun may use, as the run did. Raises
        `InputError` if there is nothing to compare with.
        """
        outcome: Verification = _above("etrace.checking.verification").verify(
            self,
            None if against is None else path_of("against", against),
            None if semihosting is None else Path(path_of("semihosting", semihosting)),
        )
        return outcome


def _above(module: str) -> Any:
    """A module of a room that stands on this one: its functions are methods of `Trace` to users."""
    return import_module(module)


@contextmanager
def open_for_reading(
    reading: Reading, configuration: Configuration | None = None, need_code: bool = True
) -> Iterator[Trace]:
    """The trace while it is open.

    `configuration` is for a bare stream, and only for one; so is `reading.dump.ring`. Raises
    `InputError` or `TraceError`.
    """
    dump = reading.dump
    with open_trace(reading.file, dump, shown(reading.trace)) as stream:
        header = stream.header
        if header is None:
            if stream.is_program:
                raise TraceError(
                    f"{stream.name}: is a program, not a trace; `etrace record` makes its trace"
                )
            header = _bare(stream.name, configuration, reading)
        elif configuration is not None:
            raise InputError(
                f"{stream.name}: carries its own parameters; leave out --params, which is for bare "
                "packet streams"
            )
        code = Code(header.xlen)
        if need_code:
            code = code_for(header, reading)
        trace = Trace(stream.name, header, code, _stream=stream, _path=reading.file, dump=dump)
        trace.head = stream.peek(_HEAD)
        if stream.header is None:
            _find_start(trace, stream, dump)
        elif dump.ring is not None:
            raise InputError(f"{stream.name}: a trace file, not a ring; leave out --ring")
        yield trace if reading.hart is None else trace.of_hart(reading.hart)


def code_for(header: Header, reading: Reading) -> Code:
    """The memory of the program of a trace; raises `InputError` if there is none."""
    code = for_header(header, reading)
    if not code.programs and not code.images:
        raise InputError(
            f"{shown(reading.trace)}: names no program; give it with --elf FILE or --image "
            "ADDRESS:FILE"
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


def _bare(name: str, configuration: Configuration | None, reading: Reading) -> Header:
    """A header for a bare stream, from what the caller says."""
    if configuration is None:
        raise TraceError(
            f"{name}: offset 0: no trace file header; if it is a bare packet stream, give its "
            "parameters with --params FILE"
        )
    narrow = configuration.parameters.iaddress_width_p <= 32
    xlen = xlen_of(reading.elf) or (32 if narrow else 64)
    return Header(configuration=configuration, xlen=xlen, source=BARE, platform=reading.platform)


def xlen_of(elf: Sequence[str]) -> int | None:
    """The width of the programs, if there are any; raises `InputError`."""
    if not elf:
        return None
    from etrace.trace.program import load_programs

    return load_programs(elf)[0].xlen


def in_memory(name: str, data: bytes, header: Header, code: Code) -> Trace:
    """A trace whose bytes (container or bare) are at hand."""
    return Trace(name, header, code, _bytes=data)
