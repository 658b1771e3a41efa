"""`etrace dump`: the packets, field by field."""

from typing import TYPE_CHECKING

import click

from etrace.cli import options, say
from etrace.errors import Exit
from etrace.trace.ending import CUT_SHORT, says_ended, says_lost

if TYPE_CHECKING:
    from etrace.trace.reading import Reading


@click.command("dump")
@options.READING
@options.output("Where to write; - (default) is standard output.")
@click.option(
    "--from", "first", type=click.IntRange(min=0), default=0, metavar="N",
    help="First packet, counted from 0.",
)  # fmt: skip
@click.option("--to", "last", type=click.IntRange(min=0), metavar="N", help="Stop before packet N.")
@options.JSON
def command(
    reading: "Reading",
    output: str,
    first: int,
    last: int | None,
    as_json: bool,
) -> int:
    """List every packet of FILE: number, byte offset in the stream, format, fields, bits.

    No program is needed. With --json, one object a line.
    """
    if last is not None and last < first:
        raise click.BadParameter(f"--to {last} is before --from {first}")

    import numpy as np

    from etrace import files
    from etrace.cli.gaps import advise
    from etrace.cli.source import opened
    from etrace.views.packets import PacketText
    from specs.interfaces.flow import Reason
    from specs.trace.packets import Column

    bad = 0
    finals: dict[int, np.ndarray] = {}
    with (
        opened(reading, need_code=False, output=output) as source,
        files.open_output(output, listing=True) as file,
    ):
        text = PacketText(source.configuration, as_json)
        for rows in source.packets():
            before = min(max(first - text.number, 0), len(rows))
            text.skip(rows[:before])
            wanted = rows[before:] if last is None else rows[before : last - text.number + before]
            if not file.gone:
                file.write(text.describe(wanted))
            for srcid in np.unique(rows[:, Column.srcID]).tolist():
                finals[srcid] = rows[rows[:, Column.srcID] == srcid][-1]
            bad += int((wanted[:, Column.reason] != 0).sum())
            if source.seam is not None:  # a ring's last packet need not be whole
                bad -= int((wanted[:, Column.reason] == Reason.TRUNCATED).sum())
            if last is not None and text.number >= last:
                break
    if not text.number and last != 0:
        say(f"{source.name}: no packets in the stream")
        advise(source)
        return Exit.CORRUPT
    if text.number < first:
        say(f"{source.name}: --from {first}: the stream has but {text.number:,} packets")
        return Exit.USAGE
    if bad:
        say(f"{source.name}: {bad:,} stretches of bytes that are no packet (marked !)")
        advise(source)
        return Exit.CORRUPT
    to_the_end = last is None and source.seam is None
    if to_the_end and not all(says_ended(each) or says_lost(each) for each in finals.values()):
        say(f"{source.name}: {CUT_SHORT}")
        return Exit.CORRUPT
    return Exit.OK
