"""From a program or a retirement stream to a trace: Machine -> Encoder -> bytes.

The encoder drains one chunk in a thread while the machine fills the next. What the encoder gives
is written and flushed at once, so that a trace is good however its writer ends.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from emu import ExitReason, Machine
from emu.hart.state import QUANTUM
from emu.host.semihosting import SemihostingOptions
from encoder.encoder import Encoder
from etrace.analyses.history import ChunkHistory
from etrace.errors import EtraceError, Exit, InputError, os_error
from etrace.files import shown
from etrace.kernels.count import count_code
from etrace.plugins.plugin import Loaded, blamed
from etrace.recording.beside import Beside
from etrace.recording.signature import Signature
from etrace.signals import Interruption
from etrace.trace.harts import of_hart
from etrace.trace.header import Header
from etrace.trace.program import Code
from specs.configuration.parameters import Configuration
from specs.interfaces.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN
from specs.interfaces.ingress import Chunk, IngressError
from specs.isa.itype import Itype

if TYPE_CHECKING:
    from encoder.qualification.qualifier import Qualifier
    from etrace.analyses.cause import Account

#: A trace that passes this size is worth a word, once.
WARN_SIZE = 1 << 30

#: Called with instructions and bytes so far.
Progress = Callable[[int, int], None]
#: Called with a line that a person should see.
Warn = Callable[[str], None]


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class GuestError(EtraceError):
    """The program that was run failed."""

    exit_code = Exit.GUEST


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a recording or an encoding came to. `events`: by kind; `traps`: by `exception N` /
    `interrupt N`.

    `instructions` is None for an encoding: blocks from elsewhere do not say how many they have.
    `end`: how the run ended; `guest_exit` its exit code. `signal`: what interrupted it, as
    "SIGINT". `account`: why it ended so, unless it ended well or where it was told to. `added`,
    `lost`, `stalled`: see `encoder.encoder.Statistics`. `signature`: the file that one was written
    to. `harts`: how many; of several `by_hart` says what is each one's own, all else is the sum.
    """

    packets: dict[str, int]
    bytes: int
    added: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    stalled: int = 0
    events: dict[str, int] = field(default_factory=dict)
    instructions: int | None = None
    traps: dict[str, int] = field(default_factory=dict)
    end: str | None = None
    guest_exit: int | None = None
    interrupted: bool = False
    signal: str | None = None
    account: "Account | None" = None
    signature: str | None = None
    harts: int = 1
    by_hart: list[dict[str, int]] = field(default_factory=list)

    @property
    def bits_per_instruction(self) -> float | None:
        """Bits of the stream, framing included, for an instruction."""
        return 8 * self.bytes / self.instructions if self.instructions else None

    @property
    def guest_failed(self) -> bool:
        """The program exited with a code other than 0 or could not go on."""
        return self.end in _FAILED or bool(self.guest_exit)


_FAILED = {each.name.lower() for each in ExitReason if each.failed}


#: Events that a retirement stream tells: the codes of their references.
_CODES = {
    INTERRUPT: np.uint32(Itype.INTERRUPT),
    EXCEPTION: np.uint32(Itype.EXCEPTION),
    TRAP_RETURN: np.uint32(Itype.TRAP_RETURN),
}


class _Stream:
    """The bytes of a trace, on their way to `file`. The trace is `full` when there are more than
    `max_size`."""

    def __init__(self, file: Sink, max_size: int | None = None, warn: Warn | None = None) -> None:
        self._file = file
        self._max_size = max_size
        self._warn = warn
        self._has_told = False
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether the trace has passed its size."""
        return self._max_size is not None and self.bytes >= self._max_size

    def tell_excess(self) -> None:
        """Warn of a trace that ended by itself before it was asked whether it is full."""
        size = self.bytes
        if self._warn is not None and self._max_size is not None and size > self._max_size:
            self._warn(
                f"the trace has {size:,} bytes, more than the {self._max_size:,} of --max-size: "
                "all ended within the piece that passed them"
            )

    def tell_code(self, chunk: Chunk) -> None:
        """Warn, once, of code that ran and that no program file has."""
        if self._warn is not None and not self._has_told:
            self._has_told = True
            retired, address = (int(chunk.code[0][name]) for name in ("retired", "iaddr"))
            self._warn(
                f"from instruction {retired:,} on code ran in the page at {address:#x} that no "
                "program file has there: a decoder has only the files and cannot follow it. "
                "Code that stays as it is can be given with --image"
            )

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self.bytes += len(data)
        if self._warn is not None and self._max_size is None and self.bytes >= WARN_SIZE:
            self._warn(
                f"the trace has passed {WARN_SIZE / 2**30:g} GiB and goes on; "
                "--max-size SIZE would end it"
            )
            self._warn = None


class _Encoding:
    """An encoder that writes to a stream, and counts events; filters before it, if there are any.

    `code`: the program, for the filters.
    """

    def __init__(
        self,
        configuration: Configuration,
        stream: _Stream,
        code: Code | None,
        beside: Beside | None = None,
    ) -> None:
        self.encoder = Encoder(configuration)
        self._beside = beside
        #: How the run that is encoded ends.
        self.history = ChunkHistory()
        self._qualifier = qualifier(configuration, code)
        self.events = dict.fromkeys((str(kind.name).lower() for kind in _CODES), 0)
        self._stream = stream

    @property
    def takes_passages(self) -> bool:
        """Whether passages are of use."""
        return self._qualifier is None and self.encoder.takes_passages

    def feed(self, chunk: Chunk) -> None:
        self._await_kernels()
        self.history.feed(chunk)
        if len(chunk.code):
            self._stream.tell_code(chunk)
        for kind, code in _CODES.items():
            self.events[str(kind.name).lower()] += int(count_code(chunk.refs, code))
        if self._qualifier is None:
            self._stream.write(self.encoder.feed(chunk))
            return
        for qualified in self._qualifier.feed(chunk):
            self._stream.write(self.encoder.feed(qualified))

    def finish(self) -> None:
        self._await_kernels()
        self._stream.write(self.encoder.finish())

    def _await_kernels(self) -> None:
        if self._beside is not None:
            self._beside.wait()

    def written(self) -> dict[str, Any]:
        """What a `Summary` has of the encoder's statistics."""
        statistics = self.encoder.statistics
        names = ("packets", "bytes", "added", "lost", "stalled")
        return {name: getattr(statistics, name) for name in names}


class _Encodings:
    """One for each hart, all in one stream in order of execution."""

    def __init__(
        self, header: Header, stream: _Stream, code: Code, beside: Beside | None = None
    ) -> None:
        self.by_hart = [
            _Encoding(of_hart(header.configuration, number), stream, code, beside)
            for number in range(header.harts)
        ]
        self.stream = stream

    @property
    def takes_passages(self) -> bool:
        """Whether passages are of use."""
        return self.by_hart[0].takes_passages

    def feed(self, chunk: Chunk) -> None:
        self.by_hart[chunk.hart].feed(chunk)

    def finish(self) -> None:
        for each in self.by_hart:
            each.finish()

    def events(self) -> dict[str, int]:
        """Of all harts, by kind."""
        events: dict[str, int] = _summed([each.events for each in self.by_hart])
        return events

    def written(self) -> dict[str, Any]:
        """What a `Summary` has of the encoders' statistics."""
        return _summed([each.written() for each in self.by_hart])

    def of_each(self, machine: Machine) -> list[dict[str, int]]:
        """`Summary.by_hart`."""
        return [
            {
                "instructions": hart.instret + hart.host_calls,
                "traps": sum(hart.trap_counts.values()),
                "packets": sum(encoding.encoder.statistics.packets.values()),
                "bytes": encoding.encoder.statistics.bytes,
            }
            for hart, encoding in zip(machine.harts, self.by_hart, strict=True)
        ]


def _summed(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tables of the same names, added up: numbers, and tables of such."""
    return {
        name: _summed([each[name] for each in counts])
        if isinstance(value, Mapping)
        else sum(each[name] for each in counts)
        for name, value in counts[0].items()
    }


def qualifier(configuration: Configuration, code: Code | None) -> "Qualifier | None":
    """What leaves out that which is not to be traced; None if everything is."""
    if configuration.filters.idle:
        return None
    from encoder.qualification.qualifier import Qualifier

    return Qualifier(configuration, None if code is None else code.map)


def record(
    code: Code,
    file: Sink,
    header: Header,
    *,
    raw: bool = False,
    console: Callable[[bytes], None] | None = None,
    progress: Progress | None = None,
    plugins: Sequence[Loaded] = (),
    semihosting: Path | None = None,
    max_size: int | None = None,
    warn: Warn | None = None,
    signature: Signature | None = None,
) -> Summary:
    """Run the programs of `code` as `header` says and write their trace to `file`.

    Ctrl-C, SIGTERM and SIGHUP end the trace properly and are told in the summary; so does a stream
    of more than `max_size` bytes, at the end of the next chunk. `warn` is told what a person should
    know meanwhile. Raises `InputError` if the machine
    cannot be built or the parameters cannot carry the run; `PluginError` if a plugin raises, with
    the trace up to there ended properly. `semihosting`: the directory that `header.semihosting`
    does not name. `signature`: written when the program has ended.

    (The encoder takes what `Machine.run` yields, not `on_retire`: these chunks stay valid while the
    next one is filled, so that it can work beside the machine, and no event cuts them short.)
    """
    beside = Beside("encoder", header.configuration, header.xlen)
    stream = _Stream(file, max_size, warn)
    encoding = _Encodings(header, stream, code, beside)
    # where a trace ends for its size depends on the chunks, and passages make longer ones
    passages = encoding.takes_passages and max_size is None
    machine = new_machine(code, header, console, semihosting, passages=passages)
    if signature is not None:
        signature.bytes_of(machine.memory)
    for plugin in plugins:
        plugin.attach(machine)
    if not raw:
        file.write(header.pack())
        file.flush()
    with closing(beside), Interruption() as interruption:
        try:
            with blamed(plugins):
                _drain(machine, header.max_instructions, encoding, interruption, progress)
        except IngressError as error:
            name = header.programs[0].path
            raise InputError(f"{name}: {error}; change it with --params") from None
        finally:
            encoding.finish()
    reason = machine.exit_reason
    stop = interruption.requested if reason is None else None
    if reason is not None:
        stream.tell_excess()
    written = signature is not None and signature.write(machine)
    return Summary(
        **encoding.written(),
        events={**encoding.events(), str(HOST_CALL.name).lower(): machine.host_calls},
        # the ebreak of a host call is in the trace, though it does not count as retired
        instructions=machine.instret + machine.host_calls,
        traps=_trap_names(machine),
        end=reason.name.lower() if reason else _unfinished(stop)[0],
        guest_exit=machine.exit_code,
        interrupted=stop is not None,
        signal=stop.name if stop is not None else None,
        account=account_of(
            machine, encoding.by_hart[machine.hart.number].history, code, header, stop
        ),
        harts=header.harts,
        by_hart=encoding.of_each(machine) if header.harts > 1 else [],
        signature=signature.file if signature is not None and written else None,
    )


def _unfinished(stop: Signals | None) -> tuple[str, str]:
    """How a run ended that its program did not end: for machines, and in words."""
    if stop is None:
        return "max_size", "the trace has the size of --max-size"
    return "interrupted", f"interrupted by {stop.name}"


def account_of(
    machine: Machine,
    history: ChunkHistory,
    code: Code,
    header: Header,
    stop: Signals | None = None,
) -> "Account | None":
    """Why a run ended as it did; None if it ended well, or with an exit code and no exception open,
    or when its budget was used up.

    `stop`: the signal that ended it.
    """
    reason, exit_code = machine.exit_reason, machine.exit_code
    if reason is ExitReason.BUDGET or (reason is ExitReason.EXIT and not exit_code):
        return None
    from etrace.analyses import cause

    if reason is None:
        what = _unfinished(stop)[1]
    else:
        what = f"exit code {exit_code}" if exit_code else reason.value
    if exit_code and all(trap.interrupt for trap in history.chain):
        return None  # the program's own word, and no trap to blame
    failed = reason is not None and (reason.failed or bool(exit_code))
    return cause.of_run(machine, history, code, header, what, failed=failed)


def new_machine(
    code: Code,
    header: Header,
    console: Callable[[bytes], None] | None = None,
    semihosting: Path | None = None,
    record: bool | Collection[int] = True,
    passages: bool = False,
) -> Machine:
    """The machine that `header` describes; raises `InputError`.

    `semihosting`: the directory for host calls, `record`, `passages`: as for `emu.Machine`.
    """
    options = None
    if header.semihosting is not None:
        if semihosting is None:
            raise InputError(
                f"{header.programs[0].path}: was run with semihosting; say with --semihosting DIR "
                "which files it may read and write this time"
            )
        options = SemihostingOptions(semihosting, header.semihosting)
    try:
        return Machine(
            list(code.programs),
            platform=header.platform or "spike",
            isa=header.isa,
            modes=header.modes,
            memory=list(header.memory),
            record=record,
            explained=code.stretches,
            passages=passages,
            console=console,
            semihosting=options,
            sideband=header.sideband,
            tohost=header.tohost,
            harts=header.harts,
            quantum=header.quantum or QUANTUM,
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise os_error(f"semihosting {str(semihosting)[:80]}", error) from None


def _drain(
    machine: Machine,
    max_instructions: int | None,
    encoding: "_Encodings",
    interruption: Interruption,
    progress: Progress | None,
) -> None:
    """Encode chunk k while chunk k + 1 is filled: with two buffers it is valid for so long.

    Whether the trace is full is asked when a chunk has been encoded, so that it ends at the same
    instruction each time.
    """
    pending: Future[None] | None = None
    with ThreadPoolExecutor(1, "encoder") as encoder:
        for chunk in machine.run(max_instructions, buffers=2):
            if pending is not None:
                pending.result()
            full = encoding.stream.full
            pending = encoder.submit(encoding.feed, chunk)
            if progress is not None:
                progress(machine.instret, encoding.stream.bytes)
            if interruption.requested or full:
                break
        if pending is not None:
            pending.result()


def encode(
    path: str,
    file: Sink,
    header: Header,
    *,
    code: Code | None = None,
    raw: bool = False,
    ecall_retires: bool = False,
    check: bool = True,
    progress: Progress | None = None,
    max_size: int | None = None,
    warn: Warn | None = None,
) -> Summary:
    """Encode the ingress CSV `path` to `file`; raises `InputError`.

    `code`: the program, which tells filters of what instructions a block consists. With `check` the
    stream must be what it can do. `max_size`, `warn` and signals: as for `record`; the summary's
    `end` is None if all rows were encoded.
    """
    from etrace.sources import csvin  # what `record` has to start without
    from etrace.sources.streamcheck import StreamCheck

    trace = _Stream(file, max_size, warn)
    encoding = _Encoding(header.configuration, trace, code)
    parameters = header.configuration.parameters
    chunks = csvin.chunks(
        path,
        retires_p=parameters.retires_p,
        blocks_p=parameters.blocks_p,
        ecall_retires=ecall_retires,
        check=StreamCheck(code.map, parameters.itype_width_p)
        if check and code is not None and code.programs
        else None,
    )
    rows = 0
    started = False
    with Interruption() as interruption:
        while (chunk := _next_chunk(chunks, interruption)) is not None and not trace.full:
            if not started and not raw:
                file.write(header.pack())
            started = True
            try:
                encoding.feed(chunk)
            except IngressError as error:
                raise InputError(f"{shown(path)}: {error}") from None
            rows += len(chunk.refs)
            if progress is not None:
                progress(rows, trace.bytes)
            if interruption.requested:
                break
        if not started and not raw:
            file.write(header.pack())
        encoding.finish()
    requested = interruption.requested
    ended = chunk is None and requested is None
    if ended:
        trace.tell_excess()
    return Summary(
        **encoding.written(),
        events=dict(encoding.events),
        end=None if ended else _unfinished(requested)[0],
        interrupted=requested is not None,
        signal=requested.name if requested is not None else None,
    )


def _next_chunk(chunks: Iterator[Chunk], interruption: Interruption) -> Chunk | None:
    """The next chunk; None at the end, or when a signal comes while we wait for input."""
    interruption.waiting = True
    try:
        return next(chunks, None)
    except KeyboardInterrupt:
        return None
    finally:
        interruption.waiting = False


def _trap_names(machine: Machine) -> dict[str, int]:
    names = {}
    for (interrupt, cause), count in sorted(machine.trap_counts.items()):
        names[f"{'interrupt' if interrupt else 'exception'} {cause}"] = count
    return names
