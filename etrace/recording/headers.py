"""What a trace file says of a run or of an encoding, from what the user chose."""

import os
from collections.abc import Sequence

from emu.hart.state import QUANTUM
from etrace.errors import InputError
from etrace.recording.choices import Choices, PathLike, Run
from etrace.recording.filtering import triggered, windowed
from etrace.trace.harts import with_sources
from etrace.trace.header import Header
from etrace.trace.program import Code, load_image, load_programs


def run_header(
    elf: Sequence[PathLike],
    run: Run,
    choices: Choices,
    *,
    image: Sequence[str] = (),
    command: Sequence[str] = (),
) -> tuple[Header, Code]:
    """Load the programs of a run and describe it. Raises `InputError` or `ParametersError`."""
    if not elf:
        raise InputError("no program to run")
    programs = load_programs([os.fspath(path) for path in elf])
    images = tuple(load_image(each) for each in image)
    modes = None if run.modes is None else run.modes.upper()
    code = Code(programs[0].xlen, programs, images, run.platform, run.isa, modes)
    program_references, image_references = code.references()
    chosen = choices.configuration(code.xlen, programs)
    telling = run.telling
    if telling is not None:
        chosen = telling.room(chosen, choices.params is not None, code.xlen)
    if chosen.resync.unit == "cycles" and (telling is None or telling.time is None):
        raise InputError('[resync] unit = "cycles" counts time; say which with --time')
    sideband = None if telling is None else telling.options(programs)
    if sideband is not None:
        chosen = triggered(chosen, sideband.pulses)
        if sideband.windows:
            chosen = windowed(chosen)
    header = Header(
        configuration=with_sources(chosen, run.harts),
        xlen=code.xlen,
        source="record",
        programs=program_references,
        images=image_references,
        platform=run.platform,
        isa=run.isa,
        modes=modes,
        memory=run.memory,
        max_instructions=run.max_instructions,
        command=tuple(command),
        semihosting=run.command_line(elf[0]),
        sideband=sideband,
        tohost=run.tohost,
        harts=run.harts,
        quantum=None if run.harts == 1 else run.quantum or QUANTUM,
    )
    return header, code


def stream_header(
    choices: Choices,
    *,
    xlen: int | None = None,
    elf: Sequence[PathLike] = (),
    platform: str | None = None,
    command: Sequence[str] = (),
) -> tuple[Header, Code]:
    """Describe an encoding of foreign retirement events.

    `elf` names the program for decoding, and for what its blocks consist of.
    """
    if xlen not in (None, 32, 64):
        raise InputError(f"xlen {xlen}: must be 32 or 64")
    programs = load_programs([os.fspath(path) for path in elf])
    if xlen is None:
        xlen = programs[0].xlen if programs else 64
    chosen = choices.configuration(xlen, programs)
    if not programs and choices.params is not None:
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
