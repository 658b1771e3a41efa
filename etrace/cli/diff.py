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
from etrace.files import STDIO, kept, shown

if TYPE_CHECKING:
    from etrace.checking.diff.outcome import Diff
    from etrace.sources.logs.text import Log
    from etrace.trace.reading import Reading
    from etrace.trace.trace import Trace

#: Columns where the output is no terminal.
_WIDE = 200


def _readings(
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
    hart: int | None,
) -> "tuple[Reading, Reading]":
    """What these options say is to be read."""
    if a == b == STDIO:
        raise InputError("standard input: cannot be both sides")
    one = options.reading(a, elf, image, params, platform, force, input_format, None, hart)
    return one, replace(one, trace=b, elf=elf_b or elf, params=params_b or params)


#: Arguments and options that say what is read: one `readings`.
_READINGS = options.as_one(
    "readings",
    _readings,
    (
        click.argument("a", metavar="A"),
        click.argument("b", metavar="B"),
        options.ELF,
        options.IMAGE,
        options.STREAM_PARAMS,
        options.PLATFORM,
        options.FORCE,
        options.INPUT_FORMAT,
        click.option(
            "--elf-b",
            multiple=True,
            metavar="ELF",
            help="Program of B, if it is not that of --elf.",
        ),
        click.option(
            "--params-b",
            metavar="FILE.toml",
            help="Parameters of B, a bare stream, if others than A's.",
        ),
        options.HART,
    ),
)


def _names(_ctx: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command("diff")
@_READINGS
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
    readings: "tuple[Reading, Reading]",
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
    from etrace.checking.diff.compare import checked_names, diff
    from etrace.checking.reference import is_hash

    checked_names(ignore)
    with ExitStack() as stack:
        a, b = (stack.enter_context(_kept(each)) for each in readings)
        if any(is_hash(each.file, shown(each.trace)) for each in (a, b)):
            if packets or align:
                name = "--packets" if packets else "--align"
                raise InputError(
                    f"{name}: the hash of a flow tells no more than where; leave it out"
                )
            return _against_hash(a, b, ignore, as_json)
        found = diff(
            stack.enter_context(_side(a, packets)),
            stack.enter_context(_side(b, packets)),
            ignore=ignore,
            align=align,
            limit=limit,
            packets_only=packets,
        )
    return _tell(found, as_json)


@contextmanager
def _kept(reading: "Reading") -> "Iterator[Reading]":
    """`reading`, of something that can be read more than once."""
    with kept(reading.trace) as path:
        yield replace(reading, kept=path)


def _tell(found: "Diff", as_json: bool) -> int:
    if as_json:
        out(json.dumps(found.values(), sort_keys=True) + "\n")
    else:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        out(found.text(shutil.get_terminal_size().columns if terminal else _WIDE))
    return found.exit_code


def _against_hash(
    reading: "Reading", other: "Reading", ignore: tuple[str, ...], as_json: bool
) -> int:
    """A is the hash of a flow alone."""
    from etrace.checking.reference import compare, is_hash
    from etrace.trace.trace import Trace

    names = shown(reading.trace), shown(other.trace)
    if is_hash(other.file, names[1]):
        raise InputError(f"{names[1]}: the hash of a flow can only be A; the trace is B")
    with _side(other, packets_only=False) as side:
        if not isinstance(side, Trace):
            raise InputError(f"{names[1]}: a log cannot be held against the hash of a flow")
        found = compare(side, reading.file, ignore)
    return _tell(replace(found, names=names), as_json)


@contextmanager
def _side(reading: "Reading", packets_only: bool) -> "Iterator[Trace | Log]":
    """The side while it is open."""
    from etrace.cli.source import opened
    from etrace.sources.logs import is_log, open_log
    from etrace.trace.file import is_bare

    name = shown(reading.trace)
    if is_log(reading.file, name):
        yield open_log(reading.file, name=name)
        return
    if not is_bare(reading.file, name):
        # parameters are for the side that is a bare stream
        reading = replace(reading, params=None)
    with opened(reading, need_code=not packets_only) as trace:
        yield trace.closed()
