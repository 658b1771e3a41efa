"""`etrace why`: why the run of a trace ended as it did."""

import json
from typing import TYPE_CHECKING

import click

from etrace.cli import options, out
from etrace.errors import Exit

if TYPE_CHECKING:
    from etrace.trace.reading import Reading


@click.command("why")
@options.READING
@options.JSON
def command(
    reading: "Reading",
    as_json: bool,
) -> int:
    """Tell the first cause of a bad end, from the trace FILE alone.

    That is: the first of the traps at the end that nothing returned from, what followed, what to do
    about it where we know, and the last instructions. The exit code is 0, or 3 if the trace has
    gaps or was cut short.
    """
    from etrace.analyses.cause import of_trace
    from etrace.analyses.history import LAST, FlowHistory
    from etrace.cli.gaps import GapReport
    from etrace.cli.source import opened

    with opened(reading) as source:
        history = FlowHistory(source.code.map)
        report = GapReport(source)
        for flow in report.flows():
            history.feed(flow)
        whole = report.close()
        account = of_trace(history, source.code, source.header)
        number = account.first.number if account.first is not None else None
        if as_json:
            values = {**account.values(), "instructions": history.instructions, "whole": whole}
            values["number"] = number
            out(json.dumps(values, sort_keys=True) + "\n")
        else:
            lines = [f"{source.name}: {account.what}", *account.lines(source.code.xlen // 4)]
            if number is not None and account.long_ago:
                before = f"--from {max(0, number - LAST)} --to {number}"
                lines.append(f"  what led there: etrace decode {reading.trace} {before}")
            out("\n".join(lines) + "\n")
    return Exit.OK if whole else Exit.CORRUPT
