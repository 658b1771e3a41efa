"""Loops whose rounds the packets do not tell: what a user sees of them, and what verify makes of
them (docs/choices.md)."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import etrace
from etrace.checking.comparison import compare
from etrace.trace.outcome import Comparison
from etrace.trace.stretch import EVENT, ROUNDS, Stretch
from specs.isa.control import CodeMap
from specs.isa.encode import encode
from tests.etrace.conftest import Run, elf_bytes

#: Two nops and a jump back to the first.
CODE = CodeMap([(0x1000, bytes.fromhex("13000000 13000000 6ff09fff".replace(" ", "")) * 2)], 64)
LAP = [0x1000, 0x1004, 0x1008]


def stream(
    pcs: list[int], cuts: list[int], traps: tuple[int, ...] = (), loops: tuple[int, ...] = ()
) -> Iterator[Stretch]:
    """Instructions in stretches, with timer interrupts and loops before some of them."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(pcs)), len(pcs)]
    for low, high in pairwise(edges):
        mine = [at for at in traps if low <= at < high or at == high == len(pcs)]
        events = np.zeros(len(mine), EVENT)
        events["position"], events["cause"], events["interrupt"] = mine, 7, 1
        here = [at for at in loops if low <= at < high]
        rounds = np.zeros(len(here), ROUNDS)
        rounds["position"], rounds["count"] = here, len(LAP)
        rounds["start"] = [pcs[at] for at in here]
        privs = np.full(high - low, 3, np.uint8)
        yield Stretch(np.array(pcs[low:high], np.uint64), privs, events, loops=rounds)


@pytest.mark.parametrize("cuts", [[], [1], [4], [2, 3, 7], list(range(12))])
@pytest.mark.parametrize("rounds", [0, 1, 2, 50])
def test_any_number_of_rounds(rounds: int, cuts: list[int]) -> None:
    expected = stream(LAP * (rounds + 1) + [0x1000], cuts, (3 * rounds + 4,))
    result = compare(expected, stream([*LAP, 0x1000], cuts, (4,), (3,)), CODE)
    assert result.difference is None
    assert (result.loops, result.rounds, result.instructions) == (1, rounds, 4)
    assert result.traps == 1


def test_two_reports_in_one_circle() -> None:
    """Resynchronisation reports the loop again while it runs."""
    expected = stream(LAP * 20 + [0x1000, 0x1004], [7], (62,))
    actual = stream([*LAP, *LAP, 0x1000, 0x1004], [5], (8,), (3, 6, 7))
    result = compare(expected, actual, CODE)
    assert result.difference is None
    assert (result.loops, result.rounds) == (3, 18)


def differs(expected: Iterator[Stretch], actual: Iterator[Stretch]) -> Comparison:
    result = compare(expected, actual, CODE)
    assert result.difference is not None
    return result


def test_what_is_no_round_is_a_difference() -> None:
    """Part of a round; another way round; fewer rounds than the trace has; a trap among them."""
    actual: Callable[[], Iterator[Stretch]] = lambda: stream(  # noqa: E731
        [*LAP, 0x1000], [], (4,), (3,)
    )
    differs(stream([*LAP, *LAP, 0x1000, 0x1004], [], (8,)), actual())
    differs(stream([*LAP, 0x1000, 0x1008, 0x1000], [], (6,)), actual())
    differs(stream([0x1000], [], (1,)), actual())
    differs(stream([*LAP, *LAP, 0x1000], [], (5, 7)), actual())
    # an instruction of a round that the code does not lead to
    odd = [0x1000, 0x1008, 0x1004]
    differs(stream([*LAP, *odd, *odd, 0x1000], [], (10,)), actual())


def test_a_round_with_a_branch_is_none() -> None:
    """Its packets tell how often it went round, so that a trace with fewer rounds is wrong."""
    with_branch = CodeMap(
        [(0x1000, bytes.fromhex("13000000 63040000 6ff09fff".replace(" ", "")))], 64
    )
    expected = stream([*LAP, *LAP, *LAP, 0x1000], [], (10,))
    result = compare(expected, stream([*LAP, 0x1000], [], (4,), (3,)), with_branch)
    assert result.difference is not None and result.rounds == 0


def test_what_follows_is_compared_where_it_stands() -> None:
    expected = stream(LAP * 9 + [0x1000, 0x1000, 0x1004], [], (28,))
    result = compare(expected, stream([*LAP, 0x1000, 0x1000, 0x1004], [], (4,), (3,)), CODE)
    assert result.difference is None
    expected = stream(LAP * 9 + [0x1000, 0x1000, 0x1008], [], (28,))
    result = differs(expected, stream([*LAP, 0x1000, 0x1000, 0x1004], [], (4,), (3,)))
    assert result.difference is not None and result.difference.position == 5


OPTIONS = {
    "plain": (),
    "instructions": ("--params", "resync.toml"),
    "modes": ("--mode", "all"),
    "2.1": ("--mode", "all", "--protocol", "2.1"),
    "time": ("--time", "mtime", "--time-every", "100"),
    "context": ("--context-csr", "mscratch"),
}


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_run_that_waits_in_jumps(
    options: str, xlen: int, run: Run, firmware: Path, tmp_path: Path
) -> None:
    """Verified as it is; no packet is added, and all that the exact trace has is there."""
    params = tmp_path / "resync.toml"
    params.write_text('[resync]\nunit = "instructions"\nperiod = 64\n')
    chosen = [str(params) if each == params.name else each for each in OPTIONS[options]]
    elf, output = firmware / f"idle_jump-rv{xlen}.elf", tmp_path / "run.etrace"
    recorded = json.loads(
        run("record", elf, "-o", output, "--no-console", "--json", *chosen).stdout
    )
    assert not any(recorded["added"].values())
    verified = json.loads(run("verify", output, "--json").stdout)
    assert verified["same"] and verified["loops"] > 0 and verified["rounds"] > 10_000
    told = json.loads(run("info", output, "--json").stdout)
    assert told["loops"] == verified["loops"]
    assert told["instructions"] == verified["instructions"] < recorded["instructions"]


@pytest.fixture(scope="module")
def waiting(firmware: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loops") / "run.etrace"
    etrace.record(firmware / "idle_jump-rv64.elf", path)
    return path


def test_every_format_says_so(waiting: Path, run: Run) -> None:
    """Each has a row of its own before the instruction where the round begins; pcs alone have not,
    but standard error says so."""
    flow = etrace.open(waiting).decode()
    count = len(flow.loops)
    assert count == 41
    text = run("decode", waiting)
    lines = text.stdout.splitlines()
    marks = [at for at, line in enumerate(lines) if "an unknown number of times" in line]
    assert len(marks) == count
    pc = f"{int(flow.loops['start'][0]):x}"
    assert lines[marks[0]].strip() == (
        f"-- loop: 1 instruction from {pc}, an unknown number of times"
    )
    assert f"00000000{pc}" in lines[marks[0] + 1]
    assert text.stderr.count("41 loops of unknown length") == 1
    rows = [
        json.loads(line) for line in run("decode", waiting, "--format", "jsonl").stdout.splitlines()
    ]
    loops = [at for at, row in enumerate(rows) if "loop" in row]
    assert len(loops) == count
    first = rows[loops[0]]
    assert (first["loop"], first["instructions"], first["rounds"]) == ("endless", 1, None)
    assert rows[loops[0] + 1]["pc"] == first["pc"] == f"0x{pc}"
    assert rows[loops[0] + 1]["number"] == first["number"]
    csv = run("decode", waiting, "--format", "csv").stdout.splitlines()
    assert sum(line.startswith("0,") for line in csv) == count
    assert csv[csv.index(f"0,{pc},0,0,0,0,1,0") + 1].startswith(f"1,{pc},")
    pcs = run("decode", waiting, "--format", "pc")
    assert "41 loops of unknown length" in pcs.stderr
    assert len(pcs.stdout.splitlines()) == flow.instructions


def test_against_a_log_of_another_simulator(
    waiting: Path, run: Run, firmware: Path, tmp_path: Path
) -> None:
    """A pc trace tells every round."""
    exact, log = tmp_path / "exact.etrace", tmp_path / "log.csv"
    params = tmp_path / "exact.toml"
    params.write_text('[encoder]\nloops = "exact"\n')
    run("record", firmware / "idle_jump-rv64.elf", "-o", exact, "--params", params, "--no-console")
    run("decode", exact, "--format", "csv", "-o", log)
    values = json.loads(run("verify", waiting, "--against", log, "--json").stdout)
    assert values["same"] and values["loops"] == 41 and values["rounds"] > 10_000
    rows = log.read_text().splitlines(keepends=True)
    # in the midst of a loop of three instructions
    loop = next(each for each in etrace.open(waiting).decode().loops if each["count"] == 3)
    second = [at for at, row in enumerate(rows) if row.startswith(f"1,{int(loop['start']):x},")][3]
    log.write_text("".join(rows[:second] + rows[second + 1 :]))
    values = json.loads(run("verify", waiting, "--against", log, "--json", code=1).stdout)
    assert "expected" in values["difference"]["what"]


def test_the_cases(run: Run, tmp_path: Path) -> None:
    """`j .` four times, then an interrupt; and xRET given as itype 14, which is no pause."""
    header = "itype_0,cause,tval,priv,iaddr_0,context,ctype,iretire_0,ilastsize_0\n"
    loop, xret = tmp_path / "loop.csv", tmp_path / "xret.csv"
    loop.write_text(
        header
        + "0,0,0,3,80000000,0,0,1,1\n"
        + "15,0,0,3,80000004,0,0,1,0\n" * 4
        + "2,7,0,3,80000004,0,0,0,0\n0,0,0,3,80000100,0,0,1,1\n"
    )
    xret.write_text(
        header
        + "0,0,0,3,80000000,0,0,1,1\n14,0,0,3,80000004,0,0,1,1\n"
        + "0,0,0,0,80001000,0,0,1,1\n0,0,0,0,80001004,0,0,1,1\n"
    )
    for source in (loop, xret):
        told = json.loads(run("encode", source, "-o", tmp_path / "out.etrace", "--json").stdout)
        assert sum(told["packets"].values()) == 5
        assert not any(told["added"].values())
    narrow = tmp_path / "narrow.toml"
    narrow.write_text("[parameters]\nitype_width_p = 3\n")
    told = json.loads(
        run("encode", xret, "-o", tmp_path / "out.etrace", "--json", "--params", narrow).stdout
    )
    assert sum(told["packets"].values()) == 5


def test_why_says_so_among_the_last_instructions(run: Run, tmp_path: Path) -> None:
    """Two jumps to each other, until the budget is used up."""
    elf, output = tmp_path / "two.elf", tmp_path / "two.etrace"
    elf.write_bytes(elf_bytes([encode("jal", rd=0, imm=4), encode("jal", rd=0, imm=-4)]))
    run("record", elf, "-o", output, "--max-instructions", "1000")
    told = json.loads(run("why", output, "--json").stdout)
    notes = [each["note"] for each in told["last"] if "note" in each]
    assert notes == ["loop: 2 instructions from 80000000, an unknown number of times"]
    verified = json.loads(run("verify", output, "--json").stdout)
    assert verified["same"] and (verified["loops"], verified["rounds"]) == (1, 496)


#: Contexts, one a round, in a loop without end.
CONTEXTS = [
    encode("csrrwi", rd=0, rs1=1, imm=0x340),
    encode("addi", rd=0, rs1=0, imm=0),
    encode("csrrwi", rd=0, rs1=2, imm=0x340),
    encode("jal", rd=0, imm=-12),
]
TOLD = {
    "imprecise": ("--context-csr", "mscratch", "--context-type", "1"),
    "precise": ("--context-csr", "mscratch"),
    "time": ("--time", "instret", "--time-every", "50", "--context-csr", "mscratch"),
    "cycles": ("--time", "cycles", "--time-every", "7"),
    "a window": ("--trace-window", "10:197", "--trace-window", "400:"),
    "windows and time": ("--trace-window", "9:50", "--trace-window", "99:", "--time", "mtime"),
}


@pytest.mark.parametrize("unit", ["packets", "instructions"])
@pytest.mark.parametrize("told", TOLD)
def test_what_is_told_in_a_loop(told: str, unit: str, run: Run, tmp_path: Path) -> None:
    """Which round it was told in is not known: no difference, whatever it is."""
    elf, output, params = (tmp_path / name for name in ("loop.elf", "loop.etrace", "p.toml"))
    code = (
        [encode("jal", rd=0, imm=4), *CONTEXTS]
        if "context" in str(TOLD[told])
        else [
            encode("addi", rd=0, rs1=0, imm=0),
            encode("jal", rd=0, imm=4),
            encode("jal", rd=0, imm=-8),
        ]
    )
    elf.write_bytes(elf_bytes(code))
    fields = "" if told == "a window" else "notime_p = 0\ntime_width_p = 32\nnocontext_p = 0\n"
    fields += "context_width_p = 32\nctype_width_p = 2\n" if fields else ""
    params.write_text(f'[parameters]\n{fields}[resync]\nunit = "{unit}"\nperiod = 61\n')
    for limit in (470, 471, 1000):
        run(
            "record",
            elf,
            "-o",
            output,
            "--params",
            params,
            "--max-instructions",
            limit,
            *TOLD[told],
        )
        values = json.loads(run("verify", output, "--json").stdout)
        assert values["same"] and values["loops"] > 0


@pytest.mark.parametrize("jumps", [4095, 4096, 9000])
def test_a_long_round(jumps: int, run: Run, tmp_path: Path) -> None:
    elf, output = tmp_path / "long.elf", tmp_path / "long.etrace"
    back = encode("jal", rd=0, imm=-4 * (jumps - 1))
    elf.write_bytes(elf_bytes([*[encode("jal", rd=0, imm=4)] * (jumps - 1), back]))
    run("record", elf, "-o", output, "--max-instructions", str(jumps * 3 + 17))
    values = json.loads(run("verify", output, "--json").stdout)
    assert values["same"] and (values["loops"], values["rounds"]) == (1, 3)
