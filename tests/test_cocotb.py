"""examples/cocotb: the packetiser in SystemVerilog beside `etrace.model`, in Icarus Verilog."""

import csv
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "cocotb"
EVENTS = ROOT / "tests" / "golden" / "rv32-traps" / "rv32-traps.ingress.csv.gz"
LIMIT = 300

needs_simulator = pytest.mark.skipif(
    shutil.which("iverilog") is None or find_spec("cocotb") is None,
    reason="needs Icarus Verilog (Debian: iverilog) and cocotb 2",
)


def simulate(where: Path, events: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(each for each in (str(ROOT), os.environ.get("PYTHONPATH")) if each)
    return subprocess.run(
        [sys.executable, EXAMPLE / "simulate.py", events, "--build", where / "build", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=where,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def random_events(path: Path, count: int) -> None:
    """Traps behind traps and behind jumps, long runs of branches, changes of privilege."""
    random = Random(10)
    header = "itype,cause,tval,priv,iaddr,iretire,ilastsize"
    rows: list[tuple[object, ...]] = []
    address, priv, weights = 0x100, 3, (1, 1, 1)
    while len(rows) < count:
        if random.random() < 0.03:
            # mostly branches, mostly traps, or of everything
            weights = random.choice([(1, 30, 0), (1, 1, 1), (2, 2, 5), (8, 8, 1)])
        kind = random.choices(["other", "branch", "trap"], weights)[0]
        if kind == "trap":
            itype, alone = random.choice([1, 2]), random.random() < 0.8
            cause = random.choice([2, 5, 7, 9, 11])
            tval = random.getrandbits(32) if itype == 1 else 0
            rows.append((itype, cause, f"{tval:x}", priv, f"{address:x}", int(not alone), 1))
            address, priv = random.getrandbits(20) << 1, random.choice([1, 3])
            continue
        itype = random.choice([4, 5]) if kind == "branch" else random.choice([0, 9, 3, 8, 13, 14])
        size = random.choice([0, 1])
        rows.append((itype, 0, 0, priv, f"{address:x}", 1, size))
        address += 2 << size
        if itype not in (0, 4):
            address = random.getrandbits(31) << 1
        if itype in (3, 14):
            priv = random.choice([0, 1, 3])
    with path.open("w", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)


@needs_simulator
def test_each_packet_is_the_models(tmp_path: Path) -> None:
    done = simulate(tmp_path, EVENTS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "1033 blocks, packets compared: " in done.stdout
    assert done.stdout.splitlines()[-1] == "each packet is the model's"


@needs_simulator
def test_whatever_the_hart_does(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    random_events(events, 4000)
    done = simulate(tmp_path, events)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@needs_simulator
@pytest.mark.parametrize(
    ("bug", "words"),
    [
        ("1", "expected address 0x3ffff800, not 0x40000000"),
        ("2", "expected branch_map 0x"),
        ("3", "expected updiscon 0(updiscon), not 1; irreport 0, not 1"),
    ],
)
def test_the_bench_finds_a_fault(tmp_path: Path, bug: str, words: str) -> None:
    """And says which block, which packet, and which field."""
    done = simulate(tmp_path, EVENTS, "--bug", bug)
    told = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    # the last lines: the block, the model's packet, the packetiser's, what differs
    assert told[-5].startswith("block ") and ": the model sends, for blocks " in told[-5]
    assert told[-3] == "and the packetiser"
    assert told[-1].startswith(words)


def test_without_a_simulator_it_says_what_is_missing(tmp_path: Path) -> None:
    """Neither a traceback nor silence."""
    done = subprocess.run(
        [sys.executable, EXAMPLE / "simulate.py", EVENTS],
        env={**os.environ, "PATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] in (
        "simulate.py: no iverilog here; install Icarus Verilog (Debian: iverilog)",
        "simulate.py: no cocotb here; pip install cocotb",
    )
