"""`etrace demo`: the bundled firmware run, recorded, decoded, checked, and what happened in it.

The program is tests/firmware/demo.c, prebuilt for RV32 and RV64 in etrace/data.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etrace.stdio import discard_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from etrace.recording.recorder import Summary
    from etrace.trace.header import Header
    from etrace.trace.outcome import Verification
    from etrace.trace.program import Code
    from etrace.trace.trace import Trace

#: What each packet format is for.
FORMATS = {
    "0.0": "correctly predicted branches",
    "0.1": "jump target cache index",
    "1": "branches, most with an address",
    "2": "address",
    "3.0": "synchronisation",
    "3.1": "trap",
    "3.2": "context",
    "3.3": "support: how tracing began and ended",
}

PLATFORM = "spike"
#: Enough instructions to need every kernel; the first run may compile them.
_WARM_UP = 2000


@dataclass(frozen=True)
class Report:
    """What a demo run came to. Times in wall seconds, without the compilation of kernels."""

    name: str
    xlen: int
    summary: "Summary"
    runs: int
    traps: dict[tuple[bool, int], int]
    gaps: int
    verification: "Verification"
    seconds: dict[str, float]
    console: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """The guest succeeded, and the decoded flow is what the emulator retired."""
        return not self.summary.guest_failed and self.verification.same and not self.gaps


def demo(xlen: int = 64, output: str | Path | None = None) -> Report:
    """Record the bundled program for RV32 or RV64, decode the trace and check the flow against the
    emulator's own retirement log; `output` keeps the trace file.

    Raises `InputError` if the output cannot be written.
    """
    from etrace.files import open_output
    from etrace.recording.choices import Choices, Run
    from etrace.recording.headers import run_header

    with ExitStack() as stack:
        bundled = resources.files("etrace") / "data" / f"demo-rv{xlen}.elf"
        path = stack.enter_context(resources.as_file(bundled))
        header, code = run_header(
            [path], Run(platform=PLATFORM, max_instructions=_WARM_UP), Choices()
        )
        _run(code, header, lambda _: None)

        printed: list[bytes] = []
        header, code = run_header([path], Run(platform=PLATFORM), Choices())
        report, trace = _run(code, header, printed.append)
        report.console.extend(b"".join(printed).decode(errors="replace").splitlines())
    if output is not None:
        with open_output(str(output)) as file:
            file.write(trace)
    return report


def _run(
    code: "Code", header: "Header", console: "Callable[[bytes], None]"
) -> tuple[Report, bytes]:
    """Record, decode, check; and the trace file's bytes."""
    from etrace.recording import recorder
    from etrace.trace.trace import in_memory

    seconds = {}

    def lap(what: str, start: float) -> float:
        now = time.perf_counter()
        seconds[what] = now - start
        return now

    file = BytesIO()
    start = time.perf_counter()
    summary = recorder.record(code, file, header, console=console)
    start = lap("record", start)
    trace = in_memory("demo", file.getvalue(), header, code)
    runs, traps, gaps = _decode(trace)
    start = lap("decode", start)
    verification = trace.verify()
    lap("check", start)
    name = Path(code.programs[0].path).name
    report = Report(name, code.xlen, summary, runs, traps, gaps, verification, seconds)
    return report, file.getvalue()


def _decode(trace: "Trace") -> tuple[int, dict[tuple[bool, int], int], int]:
    """Runs, traps by interrupt and cause, and gaps of the flow."""
    runs = gaps = 0
    traps: dict[tuple[bool, int], int] = {}
    for flow in trace.flows():
        runs += len(flow.runs)
        gaps += len(flow.gaps)
        kinds = zip(flow.traps["interrupt"].tolist(), flow.traps["cause"].tolist(), strict=True)
        for interrupt, cause in kinds:
            kind = bool(interrupt), int(cause)
            traps[kind] = traps.get(kind, 0) + 1
    return runs, dict(sorted(traps.items())), gaps


def values(report: Report) -> dict[str, object]:
    """The report as JSON has it."""
    summary, verification = report.summary, report.verification
    return {
        "program": report.name,
        "xlen": report.xlen,
        "platform": PLATFORM,
        "console": report.console,
        "instructions": summary.instructions,
        "traps": summary.traps,
        "packets": summary.packets,
        "bytes": summary.bytes,
        "bits_per_instruction": summary.bits_per_instruction,
        "end": summary.end,
        "exit_code": summary.guest_exit,
        "runs": report.runs,
        "gaps": report.gaps,
        "same": verification.same,
        "seconds": report.seconds,
        "good": report.good,
    }


def show(report: Report) -> None:
    """Print the report to standard output."""
    from rich.console import Console
    from rich.table import Table

    from specs.isa.causes import cause_name

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            """For our own code to see; rich would exit with 1."""
            raise BrokenPipeError

    console = Terminal(highlight=False)
    summary, seconds = report.summary, report.seconds
    instructions = summary.instructions or 0

    console.print(
        f"[bold]{report.name}[/], RV{report.xlen}IMAC, on platform {PLATFORM}; it printed"
    )
    for line in report.console:
        console.print(f"  {line}", markup=False)
    console.print()

    steps = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    steps.add_column(style="bold")
    steps.add_column()
    steps.add_column(justify="right")
    for step, what in (
        ("record", f"{instructions:,} instructions, {sum(report.traps.values()):,} traps"),
        ("decode", f"{report.runs:,} runs, {report.gaps} gaps"),
        ("check", "against the emulator's retirement log"),
    ):
        speed = instructions / seconds[step] / 1e6
        steps.add_row(step, what, f"{seconds[step]:.3f} s, {speed:.0f} M instructions/s")
    console.print(steps)
    console.print()

    traps = Table(title="Traps", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading, justify in (("kind", "left"), ("cause", "right"), ("what", "left")):
        traps.add_column(heading, justify="right" if justify == "right" else "left")
    traps.add_column("count", justify="right")
    for (interrupt, cause), count in report.traps.items():
        kind = "interrupt" if interrupt else "exception"
        traps.add_row(kind, str(cause), cause_name(cause, interrupt), f"{count:,}")
    console.print(traps)
    console.print()

    packets = Table(title="Packets", title_justify="left", box=None, padding=(0, 2, 0, 0))
    packets.add_column("format")
    packets.add_column("what")
    packets.add_column("count", justify="right")
    for name, count in summary.packets.items():
        if count:
            packets.add_row(name, FORMATS[name], f"{count:,}")
    console.print(packets)
    console.print()

    bits = summary.bits_per_instruction or 0.0
    console.print(f"{summary.bytes:,} bytes of trace, {bits:.3f} bits per instruction")
    if report.good:
        found = report.verification
        back = f"{found.instructions:,} instructions, {found.traps:,} traps"
        console.print(f"[green]Decoded is what the emulator retired: {back}.[/]")
    elif summary.guest_failed:
        console.print(f"[red]The program failed: {summary.end}, exit code {summary.guest_exit}.[/]")
    else:
        console.print("[red]Decoded is not what the emulator retired.[/]")


@click.command("demo")
@click.option("--xlen", type=click.Choice(["32", "64"]), default="64", help="Which hart.")
@click.option("-o", "--output", metavar="FILE", help="Keep the trace file.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(xlen: str, output: str | None, as_json: bool) -> None:
    """Record, decode and check the bundled firmware run."""
    from etrace.errors import Exit

    report = demo(int(xlen), output)
    if as_json:
        import json

        from etrace.cli import out

        out(json.dumps(values(report), sort_keys=True) + "\n")
    else:
        try:
            show(report)
        except BrokenPipeError:  # nobody reads it; the exit code still tells
            discard_output()
    if report.summary.guest_failed:
        sys.exit(Exit.GUEST)
    if not report.good:
        sys.exit(Exit.NO)
