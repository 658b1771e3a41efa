"""`etrace encode`: retirement events that someone else made."""

from signal import Signals
from typing import TYPE_CHECKING

import click

from etrace.cli import choosing, options, running
from etrace.cli.progress import ProgressLine
from etrace.cli.summary import show_summary
from etrace.errors import Exit
from etrace.signals import exit_code

if TYPE_CHECKING:
    from etrace.recording.choices import Choices


@click.command("encode")
@click.argument("stream", metavar="STREAM")
@options.output("Trace file to write; - for standard output.", required=True)
@options.PARAMS
@options.FRAMING
@options.RAW
@click.option("--elf", multiple=True, metavar="ELF", help="The program, noted for decoding.")
@options.PLATFORM
@click.option(
    "--xlen",
    type=click.Choice(["32", "64"]),
    help="Width of the hart, for default parameters [of the ELF; 64].",
)
@click.option(
    "--ecall-retires",
    is_flag=True,
    help="Take ecall and ebreak rows with iretire 1 literally, as retired.",
)
@click.option(
    "--check/--no-check",
    default=True,
    help="With --elf: refuse what the program cannot do [on].",
)
@choosing.CHOICES
@running.MAX_SIZE
@options.JSON
def command(
    stream: str,
    output: str,
    raw: bool,
    elf: tuple[str, ...],
    platform: str | None,
    xlen: str | None,
    ecall_retires: bool,
    check: bool,
    choices: "Choices",
    max_size: int | None,
    as_json: bool,
) -> int:
    """Encode the ingress CSV STREAM (.gz and .xz too; - is standard input).

    Columns: itype_0, cause, tval, priv, iaddr_0, context, ctype, iretire_0, ilastsize_0; tval and
    iaddr hexadecimal, the rest decimal. Several blocks a row have itype_1, iaddr_1 and so on.
    """
    from etrace import files
    from etrace.recording import headers, recorder

    header, code = headers.stream_header(
        choices,
        xlen=None if xlen is None else int(xlen),
        elf=elf,
        platform=platform,
        command=options.command_line(),
    )
    files.refuse_overwriting(output, [stream, choices.file, *elf])
    progress = ProgressLine("rows")
    with files.open_output(output) as file:
        summary = recorder.encode(
            stream,
            file,
            header,
            code=code,
            raw=raw,
            ecall_retires=ecall_retires,
            check=check,
            progress=progress,
            max_size=max_size,
            warn=running.warning(progress),
        )
    progress.clear()
    show_summary(summary, as_json)
    return Exit.OK if summary.signal is None else exit_code(Signals[summary.signal])
