"""The golden pc traces: what Spike retired, the emulator retires (address, word, cause, tval)."""

import gzip
from pathlib import Path

import pytest

from emu.machine import ExitReason, Machine
from emu.platforms.elf import load
from tests.emu.build import instructions

NAMES = [f"rv{xlen}-{name}" for xlen in (32, 64) for name in ("flow", "kernels", "traps")]


def spike_rows(path: Path) -> list[tuple[int, int, int, int, int]]:
    rows = []
    with gzip.open(path, "rt") as file:
        next(file)
        for line in file:
            _, address, word, _, exception, cause, tval, _ = line.split(",")
            trapped = exception == "1"
            # The word of a trapped row is what Spike fetched, or 0: no part of the retirement.
            fields = (int(address, 16), 0 if trapped else int(word, 16), int(trapped))
            rows.append((*fields, int(cause, 16), int(tval, 16)))
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_pc_trace(golden: Path, name: str) -> None:
    elf = golden / name / f"{name}.elf"
    trace = golden / name / f"{name}.pc_trace.csv.gz"
    if not elf.exists() or not trace.exists():
        pytest.skip(f"no {name} in tests/golden")
    machine = Machine([load(elf)])
    got = instructions(machine, machine.run(10_000_000))
    assert got == spike_rows(trace)
    assert (machine.exit_reason, machine.exit_code) == (ExitReason.EXIT, 0)
