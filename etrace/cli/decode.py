"""`etrace decode`: the instruction flow."""

from typing import TYPE_CHECKING

import click

from etrace.cli import options, say
from etrace.errors import Exit

if TYPE_CHECKING:
    from etrace.trace.reading import Reading


@click.command("decode")
@options.READING
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "csv", "jsonl", "pc"]),
    default="text",
    show_default=True,
    help="text: a listing; csv: a Spike-style pc trace; jsonl: an object a line; "
    "pc: one hexadecimal pc a line.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@options.output("Where to write; - (default) is standard output.")
@click.option(
    "--from", "first", type=options.Count(), default=0, metavar="N",
    help="First instruction, counted from 0.",
)  # fmt: skip
@click.option("--to", "last", type=options.Count(), metavar="N", help="Stop before instruction N.")
def command(
    reading: "Reading",
    format_: str,
    as_json: bool,
    output: str,
    first: int,
    last: int | None,
) -> int:
    """Decode the trace FILE to every instruction that retired, with traps, context and time.

    FILE is what `record` or `encode` wrote, or a bare packet stream with --params and --elf.
    What cannot be decoded is told as a gap on standard error, and the exit code is 3.
    """
    if last is not None and last < first:
        raise click.BadParameter(f"--to {last} is before --from {first}")

    import decoder
    from etrace import files
    from etrace.cli.gaps import GapReport
    from etrace.cli.source import opened
    from etrace.views import flow as flowtext
    from specs.interfaces.flow import Flow

    with (
        opened(reading, output=output) as source,
        files.open_output(output, listing=True) as file,
    ):
        code = source.code
        report = GapReport(source)
        writer = flowtext.WRITERS["jsonl" if as_json else format_](
            flowtext.Listing(code.map, code.symbols), lambda: source.fields
        )
        flows = report.flows()
        for text in flowtext.write_flows(
            flows,
            writer,
            lambda runs: decoder.pcs(Flow(runs), code.map),
            first,
            last,
        ):
            file.write(text)
            if file.gone:  # what is not listed is still decoded: gaps in it are told
                for _ in flows if last is None else ():
                    pass
                break
    whole = report.close() if last is None else not report.count
    if first and report.instructions <= first:
        say(f"{source.name}: --from {first:,}: there are {report.instructions:,} instructions")
        return Exit.USAGE if whole else Exit.CORRUPT
    return Exit.OK if whole else Exit.CORRUPT
