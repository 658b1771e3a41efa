"""`etrace verify`: is the trace what the program does?"""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etrace.cli import options, out, running, say
from etrace.cli.summary import counted
from etrace.errors import Exit, InputError
from etrace.files import STDIO, kept
from etrace.trace.ending import CUT_SHORT

if TYPE_CHECKING:
    from etrace.trace.outcome import Verification
    from etrace.trace.reading import Reading
    from etrace.trace.trace import Trace


@click.command("verify")
@options.READING
@click.option(
    "--against",
    metavar="PC_TRACE",
    help="Compare with this Spike-style pc trace (.csv, .csv.gz, .csv.xz) instead of a rerun.",
)
@running.SEMIHOSTING
@options.JSON
def command(
    reading: "Reading",
    against: str | None,
    semihosting: Path | None,
    as_json: bool,
) -> int:
    """Run the traced program again, or read a pc trace, and compare with the decoded FILE.

    Instruction by instruction, traps included: address, privilege, cause, tval, epc; with a rerun,
    also what the packets have of context and time, and where tracing pauses. The exit code
    is 0 if all are equal, 1 at the first difference, 3 if before that the trace has a gap or ends
    without having been ended.
    """
    if reading.trace == against == STDIO:
        raise InputError("standard input: cannot be both the trace and the pc trace")

    from etrace.cli.gaps import advise
    from etrace.cli.source import opened

    with ExitStack() as stack:
        if against is not None:  # where it differs from a log is looked for by reading it again
            path = stack.enter_context(kept(reading.trace))
            reading = replace(reading, kept=path)
        source = stack.enter_context(opened(reading))
        if against is not None:
            source.closed()
        sides = [source] if against is not None else source.each_hart()
        results = []
        for side in sides:
            result = side.verify(against, semihosting)
            results.append(result)
            if _outcome(result) != Exit.OK:
                advise(side)
            if result.cut_short:
                say(f"{side.name}: {CUT_SHORT}")
            if not as_json:
                _tell(side, result)
    if as_json:
        values = [_values(result) for result in results]
        out(json.dumps(values[0] if len(values) == 1 else _joined(values), sort_keys=True) + "\n")
    outcomes = [_outcome(result) for result in results]
    return next((each for each in (Exit.NO, Exit.CORRUPT) if each in outcomes), Exit.OK)


def _outcome(result: "Verification") -> Exit:
    if result.same:
        return Exit.OK
    if result.comparison.difference is None and (len(result.gaps) or result.cut_short):
        return Exit.CORRUPT
    return Exit.NO


def _joined(by_hart: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several harts: whether all are the same, their sums, and each one's own."""
    return {
        "same": all(each["same"] for each in by_hart),
        "instructions": sum(each["instructions"] for each in by_hart),
        "traps": sum(each["traps"] for each in by_hart),
        "by_hart": by_hart,
    }


def _values(result: "Verification") -> dict[str, Any]:
    from etrace.trace.reasons import gap_text

    comparison = result.comparison
    difference = comparison.difference
    return {
        "same": result.same,
        "instructions": result.instructions,
        "traps": result.traps,
        "reports": comparison.reports,
        "pauses": comparison.pauses,
        "loops": comparison.loops,
        "rounds": comparison.rounds,
        "remark": result.remark,
        "cut_short": result.cut_short,
        "gaps": [gap_text(gap) for gap in result.gaps],
        "difference": None
        if difference is None
        else {
            "instruction": difference.position,
            "what": difference.what,
            "packet": difference.packet,
            "offset": difference.offset,
        },
    }


def _counts(result: "Verification") -> str:
    comparison = result.comparison
    counts = f"{counted(result.instructions, 'instruction')} and {counted(result.traps, 'trap')}"
    if comparison.reports:
        counts += f", {counted(comparison.reports, 'report')} of context and time"
    if comparison.pauses:
        counts += f", {counted(comparison.pauses, 'pause')}"
    if comparison.loops:
        counts += (
            f", {counted(comparison.loops, 'loop')} of unknown length "
            f"({counted(comparison.rounds, 'round')} more)"
        )
    return counts


def _tell(source: "Trace", result: "Verification") -> None:
    from etrace.checking import differences
    from etrace.trace.reasons import gap_text
    from etrace.views.flow import Listing

    counts = _counts(result)
    difference = result.comparison.difference
    if difference is not None:
        listing = Listing(source.code.map, source.code.symbols)
        lines = differences.difference_lines(difference, listing.line)
        out(f"{source.name}: differs after {counts}\n" + "\n".join(lines) + "\n")
    elif len(result.gaps):
        say(f"{source.name}: {gap_text(result.gaps[0])}")
        out(f"{source.name}: the same up to a gap, after {counts}\n")
    else:
        verdict = "the same" if result.same else "differs"
        if result.cut_short:
            verdict = "the same up to its end"
        remark = f"; {result.remark}" if result.remark else ""
        out(f"{source.name}: {verdict}, {counts}{remark}\n")
