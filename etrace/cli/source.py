"""The trace that a verb reads, from its arguments."""

from collections.abc import Iterator
from contextlib import contextmanager

from etrace import files
from etrace.cli import say
from etrace.cli.progress import ProgressLine
from etrace.trace.reading import Reading
from etrace.trace.trace import Trace, open_for_reading, xlen_of
from specs.configuration.parameters import load


@contextmanager
def opened(reading: Reading, need_code: bool = True, output: str = files.STDIO) -> Iterator[Trace]:
    """The trace while it is open; raises `EtraceError` or `ParametersError`.

    `output`: what will be written, which must be none of the files that are read or named.
    """
    named = [reading.trace, reading.params, *reading.elf, *map(files.file_of, reading.image)]
    files.refuse_overwriting(output, named)
    configuration = None
    if reading.params is not None:
        configuration = load(reading.params, xlen_of(reading.elf) or 64)
    with open_for_reading(reading, configuration, need_code) as trace:
        if trace.seam is not None:
            say(f"{trace.name}: the ring's oldest byte is at {trace.seam.pointer:#x}")
            if trace.seam.left_out:
                say(
                    f"{trace.name}: the {trace.seam.left_out} bytes before it are left out, since "
                    "no packet says that tracing ended; --ring POINTER has them"
                )
        if trace.lead_in:
            say(f"{trace.name}: starts inside a packet: {trace.lead_in:,} bytes are skipped")
        # without its program a trace still tells packets
        for each in (trace.header, trace.known_code):
            files.refuse_overwriting(output, [program.path for program in each.programs])
            files.refuse_overwriting(output, [image.path for image in each.images])
        for text in trace.known_code.remarks:
            say(text)
        progress = trace.progress = ProgressLine("instructions", listing=True)
        try:
            yield trace
        finally:
            progress.clear()
