"""Speed and memory, as medians over a number of runs; `make bench`. See bench/README.md.

Prints a table with the targets, and writes a JSON file with every single value.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
PROGRAM = BENCH / "program-rv64.elf"
ETRACE = [sys.executable, "-c", "from etrace.cli import main; main()"]
MEMORY_LIMIT = 500.0


@dataclass
class Figure:
    """One line of the table. `at_least`: more is better; otherwise less is."""

    name: str
    unit: str
    target: float | None
    at_least: bool
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        good = self.median >= self.target if self.at_least else self.median <= self.target
        return "yes" if good else "NO"


def run(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Wall seconds of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}")
    return seconds


def measure(what: str, instructions: int | None) -> dict[str, Any]:
    """See bench/measure.py."""
    command = [sys.executable, str(BENCH / "measure.py"), what]
    if instructions is not None:
        command += ["--instructions", str(instructions)]
    environment = {**os.environ, "PYTHONPATH": str(BENCH.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"measuring {what} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result.get("exit_code") and instructions is None:
        sys.exit(f"the program ended with exit code {result['exit_code']}: its results are wrong")
    if result.get("gaps"):
        sys.exit(f"{what}: {result['gaps']} gaps in the flow")
    return result


def speeds(runs: int, instructions: int | None) -> list[Figure]:
    """Everything that bench/measure.py measures."""
    names = (
        "untraced",
        "traced",
        "recorded",
        "encoding",
        "encoding_modes",
        "decoding",
        "decoding_modes",
        "expanding",
        "comparing",
        "stepping",
    )
    # Round by round, so that a disturbance does not hit all runs of one measurement.
    rounds = [{name: measure(name, instructions) for name in names} for _ in range(runs)]

    def figure(
        name: str, unit: str, target: float | None, value: Callable[[dict[str, Any]], float]
    ) -> Figure:
        at_least = not unit.startswith(("%", "MB", "bits", "us", "times"))
        return Figure(name, unit, target, at_least, [value(each) for each in rounds])

    def rate(name: str, clock: str) -> Callable[[dict[str, Any]], float]:
        return lambda each: each[name]["units"] / each[name][clock] / 1e6

    def against_baseline(name: str) -> Callable[[dict[str, Any]], float]:
        return lambda each: 100 * rate(f"{name}_modes", "cpu")(each) / rate(name, "cpu")(each)

    figures = [
        figure("emulation, not traced (CPU)", "M insn/s", None, rate("untraced", "cpu")),
        figure("emulation traced to a file (CPU)", "M insn/s", 200, rate("traced", "cpu")),
        figure(
            "cost of tracing (CPU)", "%", 20,
            lambda each: 100 * (each["traced"]["cpu"] / each["untraced"]["cpu"] - 1),
        ),
        figure("emulation, not traced (wall)", "M insn/s", None, rate("untraced", "wall")),
        figure("etrace.record, two threads (wall)", "M insn/s", None, rate("recorded", "wall")),
        figure(
            "cost of recording (wall)", "%", None,
            lambda each: 100 * (each["recorded"]["wall"] / each["untraced"]["wall"] - 1),
        ),
        figure("encoding from blocks (CPU)", "M blocks/s", 100, rate("encoding", "cpu")),
        figure("encoding, all modes on (CPU)", "M blocks/s", None, rate("encoding_modes", "cpu")),
        figure("the same, of the baseline", "pct of M blocks/s", 50, against_baseline("encoding")),
        figure("decoding to a flow (CPU)", "M insn/s", 300, rate("decoding", "cpu")),
        figure("decoding, all modes on (CPU)", "M insn/s", None, rate("decoding_modes", "cpu")),
        figure("the same, of the baseline", "pct of M insn/s", 50, against_baseline("decoding")),
        figure("expanding to a pc array (CPU)", "M insn/s", 100, rate("expanding", "cpu")),
        figure(
            "comparing two flows, of decoding one", "times", 2.2,
            lambda each: each["comparing"]["cpu"] / each["comparing"]["one"],
        ),
        figure(
            "etrace.model, a block (CPU)", "us", 30,
            lambda each: 1e6 * each["stepping"]["cpu"] / each["stepping"]["units"],
        ),
        figure(
            "trace size", "bits/insn", None,
            lambda each: 8 * each["traced"]["bytes"] / each["traced"]["units"],
        ),
    ]  # fmt: skip
    figures += [
        figure(
            f"peak memory, {name}", "MB", MEMORY_LIMIT, lambda each, name=name: each[name]["rss"]
        )
        for name in ("untraced", "traced", "recorded", "decoding", "comparing")
    ]
    return figures


def starts(runs: int) -> list[Figure]:
    """Starting, and compiling."""
    first = [*ETRACE, "record", str(PROGRAM), "--max-instructions", "1", "-o", os.devnull]
    run(first)
    help_time = [run([*ETRACE, "--help"]) for _ in range(2 * runs)]
    warm = [run(first) for _ in range(runs)]
    with tempfile.TemporaryDirectory() as empty:
        trace = str(Path(empty) / "cold.etrace")
        environment = {**os.environ, "ETRACE_CACHE_DIR": empty}
        record = [*ETRACE, "record", str(PROGRAM), "--max-instructions", "1000", "-o", trace]
        cold = run(record, environment) + run([*ETRACE, "verify", trace], environment)
    return [
        Figure("etrace --help (wall)", "s", 0.2, False, help_time),
        Figure("warm start to the first instruction (wall)", "s", 1.0, False, warm),
        Figure("cold: compile all for record and verify (wall)", "s", 60.0, False, [cold]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs a figure is the median of")
    parser.add_argument("--instructions", type=int, help="instead of the whole program")
    parser.add_argument("--json", type=Path, help="where to write every value")
    arguments = parser.parse_args()

    figures = starts(arguments.runs) + speeds(arguments.runs, arguments.instructions)
    table = Table(title=f"median of {arguments.runs}; {platform.machine()}, {os.cpu_count()} cores")
    for heading in ("what", "median", "unit", "target", "met"):
        table.add_column(heading, justify="right" if heading in ("median", "target") else "left")
    for each in figures:
        target = "" if each.target is None else f"{each.target:g}"
        table.add_row(each.name, f"{each.median:.3g}", each.unit, target, each.verdict)
    Console().print(table)
    if arguments.json:
        values = {each.name: {"unit": each.unit, "values": each.values} for each in figures}
        arguments.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
