"""`etrace record`: run a firmware and write its trace."""

import sys

import click

from etrace.cli import options, say
from etrace.cli.progress import ProgressLine
from etrace.cli.summary import show_summary
from etrace.errors import Exit


def _regions(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """`BASE:SIZE`, with 0x and the suffixes K, M, G."""
    return tuple(_region(value) for value in values)


def _region(text: str) -> tuple[int, int]:
    base, _, size = text.partition(":")
    try:
        region = _number(base), _number(size)
    except ValueError:
        raise click.BadParameter(f"{text}: must be BASE:SIZE, as in 0x80000000:128M") from None
    if not 0 <= region[0] < 1 << 64 or not 0 < region[1] <= 1 << 34:
        raise click.BadParameter(f"{text}: the base must fit 64 bits, the size 1 to 16G")
    return region


_SUFFIXES = {"K": 10, "M": 20, "G": 30}


def _number(text: str) -> int:
    shift = _SUFFIXES.get(text[-1:].upper(), 0)
    return int(text[:-1] if shift else text, 0) << shift


@click.command("record")
@click.argument("elf", nargs=-1, required=True, metavar="ELF...")
@options.output("Trace file to write; - for standard output.", required=True)
@options.PARAMS
@options.FRAMING
@click.option("--isa", metavar="ISA", help="For example rv64imac_zicsr_zifencei [from the ELF].")
@click.option(
    "--platform",
    type=click.Choice(["spike"]),
    default="spike",
    show_default=True,
    help="Boot ROM, CLINT, HTIF as on this simulator.",
)
@click.option(
    "--memory",
    callback=_regions,
    multiple=True,
    metavar="BASE:SIZE",
    help="RAM, besides what the ELF wants.",
)
@click.option(
    "--image", multiple=True, metavar="ADDRESS:FILE", help="Binary image for the decoder to know."
)
@click.option(
    "--max-instructions", type=click.IntRange(min=1), metavar="N", help="Stop after N instructions."
)
@click.option("--console/--no-console", default=True, help="Show what the guest prints [on].")
@options.RAW
@options.JSON
def command(
    elf: tuple[str, ...],
    output: str,
    params: str | None,
    framing: str | None,
    isa: str | None,
    platform: str,
    memory: tuple[tuple[int, int], ...],
    image: tuple[str, ...],
    max_instructions: int | None,
    console: bool,
    raw: bool,
    as_json: bool,
) -> int:
    """Run the firmware ELF and write the trace that E-Trace hardware would have sent.

    The first ELF gives the entry point. Ctrl-C ends the trace properly.
    """
    from etrace import api, files, recorder

    header, code = api.run_header(
        elf,
        params=params,
        framing=framing,
        isa=isa,
        platform=platform,
        memory=memory,
        max_instructions=max_instructions,
        image=image,
        command=options.command_line(),
    )
    files.refuse_overwriting(output, list(elf))
    # The guest's words must not land in the trace, nor in the JSON.
    to_stderr = options.stdout_is_shared(output) or as_json
    terminal = sys.stderr.buffer if to_stderr else sys.stdout.buffer

    def show(data: bytes) -> None:
        progress.clear()
        terminal.write(data)
        terminal.flush()

    progress = ProgressLine("instructions")
    with files.open_output(output) as file:
        summary = recorder.record(
            code, file, header, raw=raw, console=show if console else None, progress=progress
        )
    progress.clear()
    show_summary(summary, as_json)
    if summary.interrupted:
        return Exit.INTERRUPTED
    if summary.guest_failed:
        code_text = f" with exit code {summary.guest_exit}" if summary.guest_exit else ""
        say(f"{elf[0]}: the guest failed: {summary.end}{code_text}; the trace is complete")
        return Exit.GUEST
    return Exit.OK
