"""`etrace diff`: two traces, or a trace and a pc log, held against each other."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from etrace.cli import options, out
from etrace.errors import InputError
from etrace.files import STDIO

if TYPE_CHECKING:
    from etrace.checking.diff.compare import LogFile
    from etrace.checking.diff.outcome import Diff
    from etrace.trace.reading import Reading
    from etrace.trace.trace import Trace

#: Columns where the output is no terminal.
_WIDE = 200


def _names(_ctx: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@options.ELF
@options.IMAGE
@options.STREAM_PARAMS
@options.PLATFORM
@options.FORCE
@options.INPUT_FORMAT
@click.option(
    "--elf-b", multiple=True, metavar="ELF", help="Program of B, if it is not that of --elf."
)
@click.option(
    "--params-b", metavar="FILE.toml", help="Parameters of B, a bare stream, if others than A's."
)
@click.option("--packets", is_flag=True, help="Compare packets only; no program is needed.")
@click.option("--align", is_flag=True, help="Go on behind a difference: list all of them.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
    help="Differences listed with --align.",
)  # fmt: skip
@click.option(
    "--ignore", callback=_names, metavar="NAME,...",
    help="What not to compare: time, context, privilege, trap, cause, tval, epc, packets, "
    "parameters, ...",
)  # fmt: skip
@options.JSON
def command(
    a: str,
    b: str,
    elf: tuple[str, ...],
    image: tuple[str, ...],
    params: str | None,
    platform: str | None,
    force: bool,
    input_format: str,
    elf_b: tuple[str, ...],
    params_b: str | None,
    packets: bool,
    align: bool,
    limit: int,
    ignore: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare A and B: where do their flows part or, if they do not, their packets?

    Each is a trace file, a bare packet stream (with --params and --elf) or a pc log. The exit code
    is 0 if they are the same, 1 if they differ, 3 if one cannot be decoded where they part, or
    both have gaps.
    """
    if a == b == STDIO:
        raise InputError("standard input: cannot be both sides")

    from etrace.checking.diff.compare import checked_names, diff
    from etrace.checking.reference import is_hash

    checked_names(ignore)
    reading = options.reading(a, elf, image, params, platform, force, input_format, None)
    other = replace(reading, trace=b, elf=elf_b or elf, params=params_b or params)
    with ExitStack() as stack:
        if any(map(is_hash, (a, b))):
            return _against_hash(stack, reading, other, ignore, as_json)
        sides = [stack.enter_context(_side(each, packets)) for each in (reading, other)]
        found = diff(
            sides[0],
            sides[1],
            ignore=ignore,
            align=align,
            limit=limit,
            packets_only=packets,
        )
    return _tell(found, as_json)


def _tell(found: "Diff", as_json: bool) -> int:
    if as_json:
        out(json.dumps(found.values(), sort_keys=True) + "\n")
    else:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        out(found.text(shutil.get_terminal_size().columns if terminal else _WIDE))
    return found.exit_code


def _against_hash(
    stack: ExitStack,
    reading: "Reading",
    other: "Reading",
    ignore: tuple[str, ...],
    as_json: bool,
) -> int:
    """A is the hash of a flow alone."""
    from etrace.checking.reference import compare, is_hash
    from etrace.trace.trace import Trace

    if is_hash(other.trace):
        raise InputError(f"{other.trace}: the hash of a flow can only be A; the trace is B")
    side = stack.enter_context(_side(other, packets_only=False))
    if not isinstance(side, Trace):
        raise InputError(f"{other.trace}: a log cannot be held against the hash of a flow")
    return _tell(compare(side, reading.trace, ignore), as_json)


@contextmanager
def _side(reading: "Reading", packets_only: bool) -> "Iterator[Trace | LogFile]":
    """The side while it is open. Standard input is kept in a file: it is read more than once."""
    from etrace.checking.diff.compare import LogFile
    from etrace.cli.source import opened
    from etrace.files import kept
    from etrace.sources.logs import is_log

    with kept(reading.trace) as path:
        if is_log(path):
            yield LogFile(path)
            return
        given = replace(reading, trace=path)
        if not _is_bare(path):
            # parameters are for the side that is a bare stream
            given = replace(given, params=None)
        with opened(given, need_code=not packets_only) as trace:
            yield trace.closed()


def _is_bare(path: str) -> bool:
    from etrace.trace.file import open_trace

    with open_trace(path) as stream:
        return stream.header is None
