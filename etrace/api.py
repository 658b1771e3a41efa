"""The Python interface: `record`, `encode` and `open` give a `Trace`.

trace = etrace.record("fw.elf", params="fw.toml")
flow = trace.decode()          # specs.interfaces.flow.Flow: runs, traps, gaps as NumPy arrays
pcs = trace.pcs(flow)          # one uint64 an instruction
assert trace.verify().same
"""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal

from etrace import files
from etrace.arguments import checked
from etrace.errors import EtraceError, InputError
from etrace.plugins.plugin import Loaded
from etrace.recording.encoding import Encoding
from etrace.recording.filtering import Selection, triggered, windowed
from etrace.recording.recorder import Progress, Sink, Summary
from etrace.recording.recorder import encode as encode_stream
from etrace.recording.recorder import record as record_run
from etrace.recording.sideband import Telling
from etrace.trace.dumps import Dump
from etrace.trace.header import Header
from etrace.trace.program import Code, load_image, load_programs
from etrace.trace.trace import Trace, code_for, in_memory, open_for_reading
from specs.configuration.parameters import Configuration, ParametersError, load

PathLike = str | os.PathLike[str]
Params = Configuration | PathLike | None

#: Instructions that can be counted.
MAX_COUNT = 1 << 63

#: Names for `framing`.
FRAMINGS = ("encap", "reference")


def configuration(params: Params, xlen: int, framing: str | None = None) -> Configuration:
    """`params` (a parameter file, a configuration, None for defaults) with its framing replaced.

    Raises `ParametersError`.
    """
    chosen = (
        params
        if isinstance(params, Configuration)
        else load(None if params is None else Path(params), xlen)
    )
    if framing is None:
        return chosen
    if framing not in FRAMINGS:
        known = " or ".join(FRAMINGS)
        raise ParametersError(
            [f"framing {framing!r}: there is no such framing; it must be {known}"]
        )
    return replace(chosen, framing=replace(chosen.framing, kind=framing))


def run_header(
    elf: Sequence[PathLike],
    *,
    params: Params = None,
    framing: str | None = None,
    isa: str | None = None,
    platform: str = "spike",
    memory: Sequence[tuple[int, int]] = (),
    max_instructions: int | None = None,
    image: Sequence[str] = (),
    command: Sequence[str] = (),
    semihosting: str | None = None,
    tohost: int | Literal["none"] | None = None,
    telling: Telling | None = None,
    encoding: Encoding | None = None,
    selection: Selection | None = None,
) -> tuple[Header, Code]:
    """Load the programs of a run and describe it. Raises `InputError` or `ParametersError`.

    `semihosting`: the command line for host calls, None without them. `telling`: context, time and
    triggers, none without it. `encoding`: modes and protocol; `selection`: what to trace.
    """
    if not elf:
        raise InputError("no program to run")
    _check_run(max_instructions, tohost)
    programs = load_programs([os.fspath(path) for path in elf])
    code = Code(programs[0].xlen, programs, tuple(load_image(each) for each in image), platform)
    program_references, image_references = code.references()
    chosen = configuration(params, code.xlen, framing)
    if encoding is not None:
        chosen = encoding.apply(chosen, programs)
    if selection is not None:
        chosen = selection.apply(chosen, programs)
    if telling is not None:
        chosen = telling.room(chosen, params is not None)
    if chosen.resync.unit == "cycles" and (telling is None or telling.time is None):
        raise InputError('[resync] unit = "cycles" counts time; say which with --time')
    sideband = None if telling is None else telling.options(programs)
    if sideband is not None:
        chosen = triggered(chosen, sideband.pulses)
        if sideband.windows:
            chosen = windowed(chosen)
    header = Header(
        configuration=chosen,
        xlen=code.xlen,
        source="record",
        programs=program_references,
        images=image_references,
        platform=platform,
        isa=isa,
        memory=tuple(memory),
        max_instructions=max_instructions,
        command=tuple(command),
        semihosting=semihosting,
        sideband=sideband,
        tohost=tohost,
    )
    return header, code


def _check_run(max_instructions: int | None, tohost: int | Literal["none"] | None) -> None:
    """Raise `InputError` for numbers that are none, or that no trace header can carry."""
    if max_instructions is not None and not 1 <= max_instructions < MAX_COUNT:
        raise InputError(f"max_instructions {max_instructions!r}: must be at least 1, below 2**63")
    if isinstance(tohost, int) and not 0 <= tohost < 1 << 64:
        raise InputError(f'tohost {tohost!r}: must be an address, "none", or left out')


def stream_header(
    *,
    params: Params = None,
    framing: str | None = None,
    xlen: int | None = None,
    elf: Sequence[PathLike] = (),
    platform: str | None = None,
    command: Sequence[str] = (),
    encoding: Encoding | None = None,
    selection: Selection | None = None,
) -> tuple[Header, Code]:
    """Describe an encoding of foreign retirement events.

    `elf` names the program for decoding, and for what its blocks consist of; `encoding`: modes and
    protocol; `selection`: what to trace.
    """
    if xlen not in (None, 32, 64):
        raise InputError(f"xlen {xlen}: must be 32 or 64")
    programs = load_programs([os.fspath(path) for path in elf])
    if xlen is None:
        xlen = programs[0].xlen if programs else 64
    chosen = configuration(params, xlen, framing)
    if encoding is not None:
        chosen = encoding.apply(chosen, programs)
    if selection is not None:
        chosen = selection.apply(chosen, programs)
    if not programs and params is not None:
        xlen = 32 if chosen.parameters.iaddress_width_p <= 32 else 64
    code = Code(xlen, programs, (), platform)
    header = Header(
        configuration=chosen,
        xlen=xlen,
        source="encode",
        programs=code.references()[0],
        platform=platform,
        command=tuple(command),
    )
    return header, code


@checked
def record(
    elf: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    *,
    params: Params = None,
    framing: str | None = None,
    isa: str | None = None,
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
) -> Trace:
    """Run the firmware `elf` (or several ELF files) and record its trace.

    `output`: the trace file; None keeps the trace in memory. `params`: a parameter file or a
    `Configuration`. `console` receives what the guest prints. `plugins`: objects with `attach`
    (see `etrace.plugins.plugin.Plugin`); what one raises is raised here, after the trace was ended.
    `semihosting`: serve host calls, with the files of this directory and the command line
    `cmdline`. `tohost`: its address where no symbol says it, "none" if there is none. `telling`:
    context, time and triggers for the encoder. `encoding`: modes and protocol by name, on top of
    `params` (`etrace.encoding.Encoding`). `selection`: what to trace, in words
    (`etrace.filtering.Selection`; `params` has the registers). `max_size`: end the trace when the
    stream has more bytes. Raises `EtraceError` or `ParametersError`; KeyboardInterrupt (and SIGTERM
    and SIGHUP do what they do) after the trace was ended properly.
    """
    for each in plugins:
        if not callable(getattr(each, "attach", None)):
            raise TypeError(f"plugins: {type(each).__name__} has no method attach")
    header, code = run_header(
        [elf] if isinstance(elf, str | os.PathLike) else list(elf),
        params=params,
        framing=framing,
        isa=isa,
        platform=platform,
        memory=memory,
        max_instructions=max_instructions,
        semihosting=None if semihosting is None else cmdline,
        tohost=tohost,
        telling=telling,
        encoding=encoding,
        selection=selection,
    )

    def run(sink: Sink) -> Summary:
        return record_run(
            code,
            sink,
            header,
            console=console,
            progress=progress,
            plugins=[Loaded(type(each).__name__, None, each) for each in plugins],
            semihosting=None if semihosting is None else Path(semihosting),
            max_size=max_size,
        )

    inputs = [each.path for each in header.programs]
    trace, summary = _write(run, output, header, code, [*inputs, _file(params)])
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
    header, code = stream_header(
        params=params,
        framing=framing,
        xlen=xlen,
        elf=[elf] if isinstance(elf, str | os.PathLike) else list(elf),
        platform=platform,
        encoding=encoding,
        selection=selection,
    )
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
    trace, summary = _write(run, output, header, code, [*inputs, _file(params)])
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
) -> Trace:
    """Open a trace file, or a bare packet stream with its `params` and `elf`.

    `image`: `ADDRESS:FILE` binary images. A program that is missing raises `InputError`, one whose
    contents differ from what the trace names `ProgramMismatchError` unless `force`: at once if
    `elf` or `image` names it, else when it is needed (`packets` needs none). `input_format`,
    `ring`: see `etrace.trace.dumps.Dump`. Raises `EtraceError` or `ParametersError`.
    """
    elves = [elf] if isinstance(elf, str | os.PathLike) else list(elf)
    paths = [os.fspath(each) for each in elves]
    chosen = None
    if params is not None:
        programs = load_programs(paths)
        chosen = configuration(params, programs[0].xlen if programs else 64)
    name = os.fspath(path)
    with open_for_reading(
        name,
        chosen,
        paths,
        image,
        platform=platform,
        force=force,
        need_code=bool(paths or image),
        dump=Dump(input_format, ring),
    ) as trace:
        if not paths and not image:
            try:
                trace.code = code_for(name, trace.header, paths, image, force)
            except EtraceError as error:
                trace.without_code(error)
        return trace.closed()


def _file(params: Params) -> PathLike | None:
    return None if isinstance(params, Configuration) else params


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
