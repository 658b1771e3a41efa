"""The Python interface: `record`, `encode` and `open` give a `Trace`.

trace = etrace.record("fw.elf", params="fw.toml")
flow = trace.decode()          # specs.interfaces.flow.Flow: runs, traps, gaps as NumPy arrays
pcs = trace.pcs(flow)          # one uint64 an instruction
assert trace.verify().same
"""

import os
import signal
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

from etrace import files
from etrace.arguments import checked
from etrace.checking.diff.compare import diff as compare_sides
from etrace.checking.diff.outcome import Diff
from etrace.errors import EtraceError
from etrace.plugins.plugin import Loaded
from etrace.recording.choices import Choices, Params, PathLike, Run, configuration
from etrace.recording.encoding import Encoding
from etrace.recording.filtering import Selection
from etrace.recording.headers import run_header, stream_header
from etrace.recording.recorder import Progress, Sink, Summary
from etrace.recording.recorder import encode as encode_stream
from etrace.recording.recorder import record as record_run
from etrace.recording.sideband import Telling
from etrace.recording.signature import DEFAULT_GRANULARITY, Signature
from etrace.sources.logs import is_log, open_log
from etrace.sources.logs.text import Log
from etrace.trace.dumps import Dump
from etrace.trace.header import Header
from etrace.trace.program import Code, load_programs
from etrace.trace.reading import Reading
from etrace.trace.trace import Trace, code_for, in_memory, open_for_reading


@checked
def record(
    elf: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    *,
    params: Params = None,
    framing: str | None = None,
    isa: str | None = None,
    modes: str | None = None,
    platform: str = "spike",
    memory: Sequence[tuple[int, int]] = (),
    max_instructions: int | None = None,
    console: Callable[[bytes], None] | None = None,
    progress: Progress | None = None,
    plugins: Sequence[object] = (),
    semihosting: PathLike | None = None,
    cmdline: str = "",
    tohost: int | Literal["none"] | None = None,
    telling: Telling | None = None,
    encoding: Encoding | None = None,
    selection: Selection | None = None,
    max_size: int | None = None,
    signature: PathLike | None = None,
    signature_granularity: int = DEFAULT_GRANULARITY,
    harts: int = 1,
    quantum: int | None = None,
) -> Trace:
    """Run the firmware `elf` (or several ELF files) and record its trace.

    `isa`, `modes` ("M", "MU", "MSU"): what the hart has, all by default.
    `output`: the trace file; None keeps the trace in memory. `params`: a parameter file or a
    `Configuration`. `console` receives what the guest prints. `plugins`: objects with `attach`
    (see `etrace.plugins.plugin.Plugin`); what one raises is raised here, after the trace was ended.
    `semihosting`: serve host calls, with the files of this directory and the command line
    `cmdline`. `tohost`: its address where no symbol says it, "none" if there is none. `telling`:
    context, time and triggers for the encoder. `encoding`: modes and protocol by name, on top of
    `params` (`etrace.encoding.Encoding`). `selection`: what to trace, in words
    (`etrace.filtering.Selection`; `params` has the registers). `max_size`: end the trace when the
    stream has more bytes. `signature`: where to write what a compliance program leaves between its
    symbols begin_signature and end_signature when it has ended, `signature_granularity` bytes a
    line. `harts`: 1 to 8, each in turn for `quantum` instructions. Raises `EtraceError` or
    `ParametersError`; KeyboardInterrupt (and SIGTERM
    and SIGHUP do what they do) after the trace was ended properly.

    Long: its parameters, and what each of them is.
    """
    for each in plugins:
        if not callable(getattr(each, "attach", None)):
            raise TypeError(f"plugins: {type(each).__name__} has no method attach")
    where = None if semihosting is None else Path(semihosting)
    wanted = Run(
        isa=isa,
        modes=modes,
        platform=platform,
        memory=tuple(memory),
        max_instructions=max_instructions,
        semihosting=where,
        cmdline=None if where is None else cmdline,
        tohost=tohost,
        telling=telling,
        harts=harts,
        quantum=quantum,
    )
    choices = Choices(params=params, framing=framing, encoding=encoding, selection=selection)
    header, code = run_header(_paths(elf), wanted, choices)
    wanted_signature = None
    if signature is not None:
        place = os.fspath(signature)
        wanted_signature = Signature.of(code, place, signature_granularity)
        files.refuse_overwriting(place, [*_paths(elf), choices.file, output])

    def run(sink: Sink) -> Summary:
        return record_run(
            code,
            sink,
            header,
            console=console,
            progress=progress,
            plugins=[Loaded(type(each).__name__, None, each) for each in plugins],
            semihosting=where,
            max_size=max_size,
            signature=wanted_signature,
        )

    inputs = [each.path for each in header.programs]
    trace, summary = _write(run, output, header, code, [*inputs, choices.file])
    _signal_again(summary)
    return trace


def _signal_again(summary: Summary) -> None:
    """Now that the trace is whole, let the signal that ended it do what it does."""
    if summary.signal is not None:
        signal.raise_signal(signal.Signals[summary.signal])
        raise KeyboardInterrupt


@checked
def encode(
    stream: PathLike,
    output: PathLike | None = None,
    *,
    params: Params = None,
    framing: str | None = None,
    elf: PathLike | Sequence[PathLike] = (),
    platform: str | None = None,
    xlen: int | None = None,
    ecall_retires: bool = False,
    check: bool = True,
    encoding: Encoding | None = None,
    selection: Selection | None = None,
    max_size: int | None = None,
) -> Trace:
    """Encode retirement events from an ingress CSV (see `etrace.sources.csvin`).

    `elf`, `platform`: the program, if the trace is to be decoded; with `check`, what it cannot do
    is an `InputError`. Otherwise as `record`.
    """
    choices = Choices(params=params, framing=framing, encoding=encoding, selection=selection)
    header, code = stream_header(choices, xlen=xlen, elf=_paths(elf), platform=platform)
    path = os.fspath(stream)

    def run(sink: Sink) -> Summary:
        return encode_stream(
            path,
            sink,
            header,
            code=code,
            ecall_retires=ecall_retires,
            check=check,
            max_size=max_size,
        )

    inputs = [path, *(each.path for each in header.programs)]
    trace, summary = _write(run, output, header, code, [*inputs, choices.file])
    _signal_again(summary)
    return trace


@checked
def open(
    path: PathLike,
    *,
    params: Params = None,
    elf: PathLike | Sequence[PathLike] = (),
    image: Sequence[str] = (),
    platform: str | None = None,
    force: bool = False,
    input_format: str = "auto",
    ring: int | str | None = None,
    hart: int | None = None,
) -> Trace:
    """Open a trace file, or a bare packet stream with its `params` and `elf`.

    `image`: `ADDRESS:FILE` binary images. A program that is missing raises `InputError`, one whose
    contents differ from what the trace names `ProgramMismatchError` unless `force`: at once if
    `elf` or `image` names it, else when it is needed (`packets` needs none). `input_format`,
    `ring`: see `etrace.trace.dumps.Dump`. `hart`: which of several (`Trace.of_hart`). Raises
    `EtraceError` or `ParametersError`.
    """
    paths = tuple(os.fspath(each) for each in _paths(elf))
    chosen = None
    if params is not None:
        programs = load_programs(paths)
        chosen = configuration(params, programs[0].xlen if programs else 64)
    reading = Reading(
        trace=os.fspath(path),
        elf=paths,
        image=tuple(image),
        platform=platform,
        force=force,
        dump=Dump(input_format, ring),
        hart=hart,
    )
    files.refuse_pipe(reading.trace)
    with open_for_reading(reading, chosen, need_code=bool(paths or image)) as trace:
        if not paths and not image:
            try:
                trace.code = code_for(trace.header, reading)
            except EtraceError as error:
                trace.without_code(error)
        return trace.closed()


@checked
def diff(
    a: Trace | PathLike,
    b: Trace | PathLike,
    *,
    ignore: Sequence[str] = (),
    align: bool = False,
    limit: int = 20,
    packets_only: bool = False,
) -> Diff:
    """Hold two traces against each other: where their flows part or, if they do not, their packets.

    A path is that of a trace file or of a pc log. `ignore`: what not to compare, by the names of
    `etrace.checking.diff.compare.IGNORABLE`. `align`: go on behind a difference, up to `limit` of
    them. `packets_only`: leave the flows out; no program is needed then. Raises `EtraceError`.
    """
    sides = [each if isinstance(each, Trace) else _side(os.fspath(each)) for each in (a, b)]
    return compare_sides(
        sides[0], sides[1], ignore=ignore, align=align, limit=limit, packets_only=packets_only
    )


def _side(path: str) -> Trace | Log:
    files.refuse_pipe(path)
    return open_log(path) if is_log(path) else open(path)


def _paths(given: PathLike | Sequence[PathLike]) -> list[PathLike]:
    return [given] if isinstance(given, str | os.PathLike) else list(given)


def _write(
    run: Callable[[Sink], Summary],
    output: PathLike | None,
    header: Header,
    code: Code,
    inputs: Sequence[PathLike | None],
) -> tuple[Trace, Summary]:
    if output is None:
        memory = BytesIO()
        summary = run(memory)
        return in_memory("trace in memory", memory.getvalue(), header, code), summary
    path = os.fspath(output)
    files.refuse_overwriting(path, inputs)
    with files.open_output(path) as file:
        summary = run(file)
    return Trace(path, header, code), summary
