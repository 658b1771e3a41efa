"""The trace that a verb reads, from its arguments."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from etrace import files
from etrace.cli import say
from etrace.cli.progress import ProgressLine
from etrace.trace import Trace, open_for_reading, xlen_of
from specs.parameters import load


@contextmanager
def reading(
    path: str,
    elf: Sequence[str],
    image: Sequence[str],
    params: str | None,
    platform: str | None,
    force: bool,
    need_code: bool = True,
    output: str = files.STDIO,
) -> Iterator[Trace]:
    """The trace while it is open; raises `EtraceError` or `ParametersError`.

    `output`: what will be written, which must be none of the files that are read or named.
    """
    files.refuse_overwriting(output, [path, params, *elf, *map(files.file_of, image)])
    configuration = None if params is None else load(params, xlen_of(elf) or 64)
    with open_for_reading(
        path, configuration, elf, image, platform=platform, force=force, need_code=need_code
    ) as trace:
        files.refuse_overwriting(output, [each.path for each in trace.header.programs])
        files.refuse_overwriting(output, [each.path for each in trace.header.images])
        for text in trace.code.remarks:
            say(text)
        progress = trace.progress = ProgressLine("instructions", listing=True)
        try:
            yield trace
        finally:
            progress.clear()
