"""From a program or a retirement stream to a trace: Machine -> Encoder -> bytes.

The encoder drains one chunk in a thread while the machine fills the next. What the encoder gives
is written and flushed at once, so that a trace is good however its writer ends.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from emu import ExitReason, Machine
from emu.semihosting import SemihostingOptions
from encoder.encoder import Encoder
from etrace import csvin
from etrace.count_kernel import count_code
from etrace.errors import EtraceError, Exit, InputError, os_error
from etrace.files import shown
from etrace.plugin import Loaded, blamed
from etrace.program import Code
from etrace.streamcheck import StreamCheck
from etrace.tracefile import Header
from specs.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN
from specs.ingress import Chunk, IngressError
from specs.itype import Itype
from specs.parameters import Configuration

if TYPE_CHECKING:
    from encoder.qualify import Qualifier

#: Called with instructions and bytes so far.
Progress = Callable[[int, int], None]


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
    `end`: how the run ended; `guest_exit` its exit code. `added`, `lost`, `stalled`: see
    `encoder.encoder.Statistics`.
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

    @property
    def bits_per_instruction(self) -> float | None:
        """Bits of the stream, framing included, for an instruction."""
        return 8 * self.bytes / self.instructions if self.instructions else None

    @property
    def guest_failed(self) -> bool:
        """The program exited with a code other than 0 or could not go on."""
        return self.end in _FAILED or bool(self.guest_exit)


_FAILED = {ExitReason.TRAP_LOOP.name.lower()}


#: Events that a retirement stream tells: the codes of their references.
_CODES = {
    INTERRUPT: np.uint32(Itype.INTERRUPT),
    EXCEPTION: np.uint32(Itype.EXCEPTION),
    TRAP_RETURN: np.uint32(Itype.TRAP_RETURN),
}


class _Encoding:
    """An encoder that writes to a file, and counts events; filters before it, if there are any.

    `code`: the program, for the filters.
    """

    def __init__(self, configuration: Configuration, file: Sink, code: Code | None) -> None:
        self.encoder = Encoder(configuration)
        self._qualifier = qualifier(configuration, code)
        self.events = dict.fromkeys((str(kind.name).lower() for kind in _CODES), 0)
        self._file = file

    def feed(self, chunk: Chunk) -> None:
        for kind, code in _CODES.items():
            self.events[str(kind.name).lower()] += int(count_code(chunk.refs, code))
        if self._qualifier is None:
            self._write(self.encoder.feed(chunk))
            return
        for qualified in self._qualifier.feed(chunk):
            self._write(self.encoder.feed(qualified))

    def finish(self) -> None:
        self._write(self.encoder.finish())

    def written(self) -> dict[str, Any]:
        """What a `Summary` has of the encoder's statistics."""
        statistics = self.encoder.statistics
        names = ("packets", "bytes", "added", "lost", "stalled")
        return {name: getattr(statistics, name) for name in names}

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()


def qualifier(configuration: Configuration, code: Code | None) -> "Qualifier | None":
    """What leaves out that which is not to be traced; None if everything is."""
    if configuration.filters.idle:
        return None
    from encoder.qualify import Qualifier

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
) -> Summary:
    """Run the programs of `code` as `header` says and write their trace to `file`.

    Ctrl-C ends the trace properly and is told in the summary. Raises `InputError` if the machine
    cannot be built or the parameters cannot carry the run; `PluginError` if a plugin raises, with
    the trace up to there ended properly. `semihosting`: the directory that `header.semihosting`
    does not name.

    (The encoder takes what `Machine.run` yields, not `on_retire`: these chunks stay valid while the
    next one is filled, so that it can work beside the machine, and no event cuts them short.)
    """
    machine = new_machine(code, header, console, semihosting)
    for plugin in plugins:
        plugin.attach(machine)
    encoding = _Encoding(header.configuration, file, code)
    if not raw:
        file.write(header.pack())
        file.flush()
    with _Interruption() as interruption:
        try:
            with blamed(plugins):
                _drain(machine, header.max_instructions, encoding, interruption, progress)
        except IngressError as error:
            name = header.programs[0].path
            raise InputError(f"{name}: {error}; change it with --params") from None
        finally:
            encoding.finish()
    end = machine.exit_reason.name.lower() if machine.exit_reason else "interrupted"
    return Summary(
        **encoding.written(),
        events={**encoding.events, str(HOST_CALL.name).lower(): machine.host_calls},
        # the ebreak of a host call is in the trace, though it does not count as retired
        instructions=machine.instret + machine.host_calls,
        traps=_trap_names(machine),
        end=end,
        guest_exit=machine.exit_code,
        interrupted=interruption.requested and machine.exit_reason is None,
    )


def new_machine(
    code: Code,
    header: Header,
    console: Callable[[bytes], None] | None = None,
    semihosting: Path | None = None,
    record: bool = True,
) -> Machine:
    """The machine that `header` describes; raises `InputError`.

    `semihosting`: the directory for host calls, `record`: whether `run` is to yield what retires.
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
            memory=list(header.memory),
            record=record,
            console=console,
            semihosting=options,
            sideband=header.sideband,
            tohost=header.tohost,
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise os_error(f"semihosting {str(semihosting)[:80]}", error) from None


def _drain(
    machine: Machine,
    max_instructions: int | None,
    encoding: "_Encoding",
    interruption: "_Interruption",
    progress: Progress | None,
) -> None:
    """Encode chunk k while chunk k + 1 is filled: with two buffers it is valid for so long."""
    pending: Future[None] | None = None
    with ThreadPoolExecutor(1, "encoder") as encoder:
        for chunk in machine.run(max_instructions, buffers=2):
            if pending is not None:
                pending.result()
            pending = encoder.submit(encoding.feed, chunk)
            if progress is not None:
                progress(machine.instret, encoding.encoder.statistics.bytes)
            if interruption.requested:
                break
        if pending is not None:
            pending.result()


class _Interruption:
    """Ctrl-C as a request, honoured between chunks: the trace then ends where the run does.

    A second one is a KeyboardInterrupt as usual. Outside of the main thread nothing is changed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "_Interruption":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


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
) -> Summary:
    """Encode the ingress CSV `path` to `file`; raises `InputError`.

    `code`: the program, which tells filters of what instructions a block consists. With `check` the
    stream must be what it can do.
    """
    encoding = _Encoding(header.configuration, file, code)
    parameters = header.configuration.parameters
    rows = 0
    started = False
    for chunk in csvin.chunks(
        path,
        retires_p=parameters.retires_p,
        blocks_p=parameters.blocks_p,
        ecall_retires=ecall_retires,
        check=StreamCheck(code.map, parameters.itype_width_p)
        if check and code is not None and code.programs
        else None,
    ):
        if not started and not raw:
            file.write(header.pack())
        started = True
        try:
            encoding.feed(chunk)
        except IngressError as error:
            raise InputError(f"{shown(path)}: {error}") from None
        rows += len(chunk.refs)
        if progress is not None:
            progress(rows, encoding.encoder.statistics.bytes)
    if not started and not raw:
        file.write(header.pack())
    encoding.finish()
    return Summary(**encoding.written(), events=dict(encoding.events))


def _trap_names(machine: Machine) -> dict[str, int]:
    names = {}
    for (interrupt, cause), count in sorted(machine.trap_counts.items()):
        names[f"{'interrupt' if interrupt else 'exception'} {cause}"] = count
    return names
