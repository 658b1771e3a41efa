"""`etrace dump`: the packets, field by field."""

import click

from etrace.cli import options, say
from etrace.ending import CUT_SHORT, says_ended, says_lost
from etrace.errors import Exit


@click.command("dump")
@options.reading
@options.output("Where to write; - (default) is standard output.")
@options.JSON
def command(
    trace: str,
    elf: tuple[str, ...],
    image: tuple[str, ...],
    params: str | None,
    platform: str | None,
    force: bool,
    output: str,
    as_json: bool,
) -> int:
    """List every packet of FILE: number, byte offset in the stream, format, fields, bits.

    No program is needed. With --json, one object a line.
    """
    from etrace import files
    from etrace.cli.source import reading
    from etrace.packettext import PacketText
    from specs.packets import Column

    bad = 0
    last = None
    with (
        reading(
            trace, elf, image, params, platform, force, need_code=False, output=output
        ) as source,
        files.open_output(output, listing=True) as file,
    ):
        describe = PacketText(source.configuration)
        line = describe.as_json if as_json else describe.as_text
        for rows in source.packets():
            if not file.gone:
                file.write("".join(map(line, rows.tolist())).encode())
            last = rows[-1].copy()
            bad += int((rows[:, Column.reason] != 0).sum())
    if last is None:
        say(f"{source.name}: no packets in the stream")
        return Exit.CORRUPT
    if bad:
        say(f"{source.name}: {bad:,} stretches of bytes that are no packet (marked !)")
        return Exit.CORRUPT
    if not says_ended(last) and not says_lost(last):
        say(f"{source.name}: {CUT_SHORT}")
        return Exit.CORRUPT
    return Exit.OK
