"""Files that nobody has looked at: one line of error, bounded memory, no traceback."""

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import etrace
from tests.etrace.conftest import ROOT, Run

GOLDEN = ROOT / "tests" / "golden"
FLOW = GOLDEN / "rv64-flow" / "rv64-flow"
INGRESS = "itype_0,cause,tval,priv,iaddr_0,context,ctype,iretire_0,ilastsize_0"
PCS = "VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT"

#: Exit codes that a file may lead to. 70 is a defect of ours.
FINE = {0, 1, 2, 3, 4}


def invoke(*arguments: object) -> tuple[int, str, str]:
    from click.testing import CliRunner

    from etrace.cli import main

    result = CliRunner().invoke(main, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("digits", [5000, 100_000])
@pytest.mark.parametrize(
    "line",
    ["[resync]\nunit = {}", "protocol = {}", "itype_width_p = {}", "[modes]\nsijump = {}",
     "[framing]\nkind = {}", "[sink]\nkind = {}", "x = {}", "[trace]\ntrTeInstFilters = {}",
     "[[filter]]\ntrTeFilterComp1 = {}", "filter = {}", "[tvec]\nmtvec = {}", "parameters = {}"],
)  # fmt: skip
def test_huge_numbers_in_parameters(tmp_path: Path, run: Run, line: str, digits: int) -> None:
    path = tmp_path / "p.toml"
    path.write_text(line.format("0x" + "f" * digits) + "\n")
    said = run("params", "check", path, code=2).stderr
    assert said.startswith(f"etrace: {path}: ") and said.count("\n") == 1
    assert len(said) < len(str(path)) + 400
    path.write_text(line.format("9" * digits) + "\n")
    assert "etrace: " in run("params", "check", path, code=2).stderr


def measured(*arguments: object) -> tuple[int, str, int]:
    """Exit code, errors and greatest memory (MiB) of the command, with its kernels at hand."""
    program = (
        "import sys\n"
        "from etrace.cli import main\n"
        "try: main()\n"
        "finally:\n"
        # not ru_maxrss, which has what the parent took before the exec
        "    status = open('/proc/self/status').read()\n"
        "    print(int(status.split('VmHWM:')[1].split()[0]) // 1024, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    lines = [each for each in done.stderr.splitlines() if "compiling" not in each]
    return done.returncode, "\n".join(lines[:-1]), int(lines[-1])


def zipped(path: Path, head: str, piece: bytes, times: int) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(f"{head}\n".encode())
        for _ in range(times):
            file.write(piece)
    return path


@pytest.mark.parametrize("head", [INGRESS, PCS], ids=["ingress", "pcs"])
@pytest.mark.parametrize(
    ("piece", "times"),
    [(b"0" * (1 << 20), 200), (b"," * 100_000 + b"\n", 500), (b"," * 4000 + b"\n", 5000)],
    ids=["a line without end", "long lines", "many columns"],
)
def test_what_expands(
    tmp_path: Path, traps_trace: Path, head: str, piece: bytes, times: int
) -> None:
    bomb = zipped(tmp_path / "bomb.gz", head, piece, times)
    if head == INGRESS:
        code, said, peak = measured("encode", bomb, "-o", tmp_path / "t.etrace")
    else:
        code, said, peak = measured("verify", traps_trace, "--against", bomb)
    assert (code, said.count("\n")) == (2, 0)
    assert said.startswith(f"etrace: {bomb}: line 2: ")
    assert peak < 500


def test_rows_that_are_all_different(tmp_path: Path) -> None:
    """Half a million: what is remembered of them is forgotten again."""
    rows = "".join(f"0,0,0,3,{4 * n:x},0,0,1,1\n" for n in range(500_000))
    bomb = zipped(tmp_path / "rows.gz", INGRESS, rows.encode(), 1)
    code, said, peak = measured("encode", bomb, "-o", tmp_path / "t.etrace")
    assert code == 0, said
    assert peak < 600


def test_a_header_of_many_columns(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["x"] * 100_000) + "," + INGRESS + "\n")
    assert "line 1: too long" in run("encode", path, "-o", tmp_path / "t", code=2).stderr


ODD: list[Any] = [
    0, -1, 1 << 31, 1 << 63, 1 << 64, 10**4000, 1.5, 1e400, "", "x", "0" * 5000, "nan",
    "\n\x1b[31m", None, True, [], {}, [[]], [{}], [[1, 2, 3, 4]],
]  # fmt: skip


def changed(value: Any, rng: Random) -> Any:
    """`value` with one thing in it that is odd, or missing."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        value, key = dict(value), rng.choice(list(value))
        if rng.random() < 0.1:
            del value[key]
        elif key not in ("path", "programs"):  # whose turn is elsewhere
            value[key] = changed(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.7:
        value, at = list(value), rng.randrange(len(value))
        value[at] = changed(value[at], rng)
        return value
    return rng.choice(ODD)


def altered(text: str, rng: Random) -> str:
    """`text` with some of it changed, missing, doubled or put in."""
    letters = list(text)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, kind = rng.randrange(len(letters)), rng.random()
        if kind < 0.3:
            letters[at] = rng.choice("\0\n\r\t \"'[]{}=,.#-+0x9eE_\\\x7f\u00e9")
        elif kind < 0.5:
            del letters[at : at + rng.randrange(1, 20)]
        elif kind < 0.7:
            letters[at:at] = letters[at : at + rng.randrange(1, 30)]
        elif kind < 0.85:
            letters[at:at] = "9" * rng.choice([5, 30, 5000])
        else:
            letters[at:at] = "0x" + "f" * rng.choice([5, 17, 5000])
    return "".join(letters)


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., None]:
    """Runs the command and looks at what it says."""

    def look(*arguments: object) -> None:
        code, _, stderr = invoke(*arguments)
        assert code in FINE, (arguments, stderr)
        for line in stderr.splitlines():
            assert line.startswith("etrace: ") and line.isprintable() and len(line) < 2500, line

    return look


@pytest.mark.parametrize("seed", range(3))
def test_altered_parameters(told: Callable[..., None], tmp_path: Path, seed: int) -> None:
    rng, path = Random(seed), tmp_path / "p.toml"
    text = invoke("params", "new", "--plain")[1]
    for _ in range(150):
        path.write_text(altered(text, rng))
        told("params", "check", path)


@pytest.mark.parametrize("seed", range(3))
def test_altered_streams(
    told: Callable[..., None], traps_trace: Path, tmp_path: Path, seed: int
) -> None:
    rng, path = Random(seed), tmp_path / "s.csv"
    ingress, pcs = (
        "\n".join(gzip.decompress(FLOW.with_suffix(end).read_bytes()).decode().split("\n")[:200])
        for end in (".ingress.csv.gz", ".pc_trace.csv.gz")
    )
    for _ in range(60):
        path.write_text(altered(ingress, rng))
        told("encode", path, "-o", tmp_path / "t.etrace")
        told("encode", path, "-o", tmp_path / "t.etrace", "--elf", FLOW.with_suffix(".elf"))
        path.write_text(altered(pcs, rng))
        told("verify", traps_trace, "--against", path)


@pytest.mark.parametrize("seed", range(3))
def test_altered_headers(told: Callable[..., None], tmp_path: Path, seed: int) -> None:
    rng, path = Random(seed), tmp_path / "t.etrace"
    telling = etrace.Telling(time="mtime", context_csr="mcontext", windows=("0:200",))
    elf = FLOW.with_suffix(".elf")
    trace = etrace.record(elf, path, max_instructions=300, telling=telling)
    header = trace.header.pack()
    values, stream = json.loads(header[16:]), b"".join(trace.chunks())
    for _ in range(100):
        odd = values
        for _ in range(rng.choice([1, 1, 2, 4])):
            odd = changed(odd, rng)
        try:
            text = json.dumps(odd, indent=1).encode()
        except ValueError:  # a number that not even Python writes
            continue
        path.write_bytes(struct.pack("<8sHHI", header[:8], 1, 0, len(text)) + text + stream)
        told(rng.choice(["info", "decode", "verify", "events", "dump"]), path)
