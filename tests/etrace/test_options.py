"""Options that every verb has, counts with suffixes, programs without tohost, traces that moved."""

import json
import shutil
from pathlib import Path

import pytest

import etrace
from etrace.cli import VERBS
from etrace.errors import InputError
from tests.etrace.conftest import ADDI_T0, BNEZ_T0_BACK, ROOT, Run, elf_bytes

NESTED = ROOT / "tests" / "firmware" / "nested-rv64.elf"


def test_every_verb_has_json(run: Run) -> None:
    for verb in set(VERBS) - {"params", "completion", "run"}:
        assert "--json" in run(verb, "--help").stdout, verb
    for verb in ("new", "check", "show"):
        assert "--json" in run("params", verb, "--help").stdout, verb


def test_json_of_parameters(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("params", "new", "--json").stdout)["resync"]["unit"] == "packets"
    entry = json.loads(run("params", "show", "itype_width_p", "--json").stdout)
    assert (entry["table"], entry["name"]) == ("parameters", "itype_width_p")
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('protocol = "2.1"\n')
    bad.write_text("itype_width_p = 9\nnothing = 1\n")
    lines = lines_of(run("params", "check", good, good, "--json").stdout)
    assert [each["problems"] for each in lines] == [[], []]
    from click.testing import CliRunner

    from etrace.cli import main

    result = CliRunner().invoke(main, ["params", "check", "--json", str(bad)])
    assert (result.exit_code, len(json.loads(result.stdout)["problems"])) == (2, 2)


def lines_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_of_decode_and_demo(run: Run, traps_trace: Path) -> None:
    assert run("decode", traps_trace, "--json").stdout == (
        run("decode", traps_trace, "--format", "jsonl").stdout
    )
    report = json.loads(run("demo", "--json").stdout)
    assert report["good"] and report["same"] and report["gaps"] == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("1500", 1500), ("2k", 2000), ("2K", 2000), ("1_000", 1000), ("0.1M", 0), ("3kk", 0),
     ("k", 0), ("-1k", 0), ("0", 0), ("9" * 5000, 0), ("99999999999G", 0), ("", 0), ("٣", 0)],
)  # fmt: skip
def test_counts_have_suffixes(run: Run, tmp_path: Path, text: str, count: int) -> None:
    elf, trace = tmp_path / "c.elf", tmp_path / "t.etrace"
    elf.write_bytes(elf_bytes([ADDI_T0, BNEZ_T0_BACK]))
    arguments = ["record", elf, "-o", trace, "--json", f"--max-instructions={text}"]
    result = run(*arguments, code=0 if count else 2)
    if count:
        assert json.loads(result.stdout)["instructions"] == count
        assert len(run("decode", trace, "--format", "pc", "--to", "1k").stdout.split()) == 1000
    else:
        assert "must be a number from 1 on, as 5000, 10k, 10M or 1G" in result.stderr
        assert len(result.stderr) < 250


def test_from_behind_the_end(run: Run, traps_trace: Path, tmp_path: Path) -> None:
    total = etrace.open(traps_trace).decode().instructions
    for first in (total, "1M"):
        for form in ("text", "pc", "jsonl"):
            result = run("decode", traps_trace, "--from", first, "--format", form, code=2)
            assert f"there are {total:,} instructions" in result.stderr
    assert len(run("decode", traps_trace, "--format", "pc", "--from", total - 1).stdout) > 4
    assert "there are" in run("decode", traps_trace, "--from", "1M", "--to", "2M", code=2).stderr
    cut = tmp_path / "cut.etrace"
    cut.write_bytes(traps_trace.read_bytes()[:-3])
    assert "there are" in run("decode", cut, "--from", "1M", code=3).stderr


def exiting(address: int, code: int) -> list[int]:
    """Stores `code << 1 | 1` to an address of 32 bits, then loops."""
    upper = (address + 0x800) >> 12 & 0xFFFFF
    lower = address & 0xFFF
    return [
        upper << 12 | 0x2B7,  # lui t0
        0x20 << 20 | 5 << 15 | 1 << 12 | 5 << 7 | 0x13,  # slli t0,t0,32
        0x20 << 20 | 5 << 15 | 5 << 12 | 5 << 7 | 0x13,  # srli t0,t0,32
        (code << 1 | 1) << 20 | 0x313,  # li t1
        (lower >> 5) << 25 | 6 << 20 | 5 << 15 | 3 << 12 | (lower & 31) << 7 | 0x23,  # sd t1
        0x6F,  # j .
    ]


@pytest.fixture
def stripped(tmp_path: Path) -> Path:
    """A program without symbols that exits with 5 through a word behind its code."""
    path = tmp_path / "stripped.elf"
    path.write_bytes(elf_bytes([*exiting(0x8000_0040, 5), *[0] * 20]))
    return path


def test_tohost_for_a_stripped_program(run: Run, stripped: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    budget = ["--max-instructions", 100]
    assert run("run", stripped, "--tohost", "0x80000040", *budget, code=5).stderr == ""
    result = run("record", stripped, "-o", trace, "--tohost", "0x80000040", *budget, code=4)
    assert "end: exit 5" in result.stderr
    assert "the same" in run("verify", trace).stdout  # it is in the trace
    assert json.loads(run("info", trace, "--json").stdout)["tohost"] == 0x8000_0040
    assert "0x80000040" in run("info", trace).stdout
    told = etrace.record(stripped, tohost=0x8000_0040)
    assert told.header.tohost == 0x8000_0040 and told.verify().same


def test_no_tohost_at_all(run: Run, tmp_path: Path) -> None:
    """The program has the symbol, but another use for it."""
    trace = tmp_path / "t.etrace"
    demo = ROOT / "etrace" / "data" / "demo-rv64.elf"
    run("record", demo, "-o", trace, "--tohost", "none", "--max-instructions", "5M")
    assert etrace.open(trace).header.tohost == "none"
    assert "the same" in run("verify", trace).stdout
    assert "none" in run("info", trace).stdout


@pytest.mark.parametrize("text", ["", "nothing", "-8", "1" * 300, "0x1ffffffffffffffff"])
def test_tohost_that_is_no_address(run: Run, stripped: Path, text: str) -> None:
    assert "must be an address" in run("run", stripped, f"--tohost={text}", code=2).stderr


def test_tohost_where_there_is_no_memory(run: Run, stripped: Path) -> None:
    for address in ("0x80000041", "0x10"):
        said = run("run", stripped, "--tohost", address, code=2).stderr
        assert said.startswith(
            f"etrace: tohost at {address}: not an aligned word or doubleword of memory"
        )
    with pytest.raises(InputError, match="tohost -8: must be"):
        etrace.record(stripped, tohost=-8)


def test_tohost_is_for_a_program(run: Run, traps_trace: Path) -> None:
    said = run("events", traps_trace, "--tohost", "none", code=2).stderr
    assert "--tohost does not apply" in said


@pytest.fixture
def moved(run: Run, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A trace with its program beside it, in another directory than where the program was."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    shutil.copy(NESTED, there / "fw.elf")
    run("record", there / "fw.elf", "-o", here / "t.etrace", "--max-instructions", "2k")
    (there / "fw.elf").rename(here / "fw.elf")
    return there / "fw.elf", here / "fw.elf", here / "t.etrace"


def test_programs_are_looked_for_beside_the_trace(run: Run, moved: tuple[Path, Path, Path]) -> None:
    was, now, trace = moved
    for verb in ("decode", "verify", "events"):
        run(verb, trace)
    assert json.loads(run("info", trace, "--json").stdout)["instructions"] == 2000
    assert etrace.open(trace).verify().same
    assert "is an input as well" in run("decode", trace, "-o", now, code=2).stderr
    # Another program may have come to where it was.
    was.write_bytes(elf_bytes([ADDI_T0, BNEZ_T0_BACK]))
    run("verify", trace)
    now.write_bytes(was.read_bytes())
    assert "not the program that was traced" in run("verify", trace, code=2).stderr
    now.unlink()
    was.unlink()
    said = run("verify", trace, code=2).stderr
    assert f"{was}: No such file or directory (the trace names it)" in said
