"""The verbs, end to end, with their exit codes; and what is thrown at them."""

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

import etrace
from etrace.cli import VERBS
from tests.etrace.conftest import ADDI_T0, BNEZ_T0_BACK, Run, elf_bytes

READING = ("decode", "dump", "info", "verify")
ECALL, JUMP_TO_SELF = 0x73, 0x6F


def test_every_verb_has_help_and_a_line_in_the_overview(run: Run) -> None:
    overview = run("--help").stdout
    for verb, (_, line) in VERBS.items():
        assert verb in overview and line in overview
        assert "Usage: etrace " + verb in run(verb, "--help").stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"etrace {etrace.__version__}\n"


def test_wrong_verbs_and_options_take_one_line(run: Run) -> None:
    assert "did you mean record?" in run("recrod", code=2).stderr
    for arguments in (["decode"], ["decode", "f", "--formt", "x"], ["record", "f"]):
        stderr = run(*arguments, code=2).stderr
        assert stderr.count("\n") == 1
        assert f"see etrace {arguments[0]} --help" in stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    assert "_ETRACE_COMPLETE" in run("completion", shell).stdout


def test_record_tells_what_it_did(run: Run, golden: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.etrace"
    elf = golden / "rv32-flow" / "rv32-flow.elf"
    result = run("record", elf, "-o", output)
    assert "20,035 instructions, 0 traps" in result.stderr
    assert result.stdout == ""
    summary = json.loads(run("record", elf, "-o", output, "--json").stdout)
    assert summary["instructions"] == 20035
    assert summary["end"] == "exit" and summary["guest_exit"] == 0
    assert sum(summary["packets"].values()) == 986


def told_rows(csv: str) -> str:
    """Without the row that says that the last jump, which leads to itself, may have gone round."""
    rows = csv.splitlines(keepends=True)
    assert [at for at, row in enumerate(rows) if row.startswith("0,")] == [len(rows) - 2]
    del rows[-2]
    return "".join(rows)


def test_decode_gives_the_pc_trace_back(run: Run, traps_trace: Path, traps_pc_trace: Path) -> None:
    expected = gzip.decompress(traps_pc_trace.read_bytes()).decode()
    assert told_rows(run("decode", traps_trace, "--format", "csv").stdout) == expected
    pcs = [row.split(",")[1] for row in expected.splitlines()[1:] if row.split(",")[4] == "0"]
    assert run("decode", traps_trace, "--format", "pc").stdout.split() == pcs
    window = run("decode", traps_trace, "--format", "pc", "--from", 10, "--to", 20).stdout
    assert window.split() == pcs[10:20]


def test_decode_writes_files(run: Run, traps_trace: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    assert run("decode", traps_trace, "-o", output).stdout == ""
    assert output.read_text() == run("decode", traps_trace).stdout


def test_an_output_that_is_the_input_is_refused(run: Run, traps_trace: Path) -> None:
    before = traps_trace.read_bytes()
    for verb in ("decode", "dump"):
        assert "is an input as well" in run(verb, traps_trace, "-o", traps_trace, code=2).stderr
    assert traps_trace.read_bytes() == before


def test_verify(run: Run, traps_trace: Path, traps_pc_trace: Path) -> None:
    assert "the same, 954 instructions and 78 traps" in run("verify", traps_trace).stdout
    against = run("verify", traps_trace, "--against", traps_pc_trace, "--json").stdout
    assert json.loads(against)["same"] is True


@pytest.mark.parametrize(
    ("row", "column", "value", "what"),
    [
        (40, 1, "80000abc", "expected 0x80000abc"),
        (41, 2, "13", "is not the expected 0x13"),
        (42, 3, "1", "privilege M"),
    ],
)
def test_verify_shows_the_first_difference(
    run: Run,
    traps_trace: Path,
    traps_pc_trace: Path,
    tmp_path: Path,
    row: int,
    column: int,
    value: str,
    what: str,
) -> None:
    rows = [line.split(",") for line in gzip.decompress(traps_pc_trace.read_bytes())
            .decode().splitlines()]  # fmt: skip
    rows[row][column] = value
    position = sum(each[4] == "0" for each in rows[1:row])
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(",".join(each) for each in rows) + "\n")
    stdout = run("verify", traps_trace, "--against", changed, code=1).stdout
    assert f"instruction {position}: " in stdout
    assert what in stdout
    report = run("verify", traps_trace, "--against", changed, "--json", code=1).stdout
    assert json.loads(report)["difference"]["instruction"] == position


def test_verify_tells_a_changed_trap(
    run: Run, traps_trace: Path, traps_pc_trace: Path, tmp_path: Path
) -> None:
    text = gzip.decompress(traps_pc_trace.read_bytes()).decode()
    changed = tmp_path / "changed.csv"
    changed.write_text(text.replace(",1,b,", ",1,8,", 1))
    stdout = run("verify", traps_trace, "--against", changed, code=1).stdout
    assert "exception 11 (environment call from M-mode)" in stdout
    assert "expected exception 8 (environment call from U-mode)" in stdout


def test_verify_tells_a_shorter_pc_trace(
    run: Run, traps_trace: Path, traps_pc_trace: Path, tmp_path: Path
) -> None:
    rows = gzip.decompress(traps_pc_trace.read_bytes()).splitlines()
    short, long = tmp_path / "short.csv", tmp_path / "long.csv"
    short.write_bytes(b"\n".join(rows[:-5]))
    long.write_bytes(b"\n".join([*rows, rows[-1]]))
    assert "goes on where" in run("verify", traps_trace, "--against", short, code=1).stdout
    assert "ends here" in run("verify", traps_trace, "--against", long, code=1).stdout


def test_info(run: Run, traps_trace: Path) -> None:
    values = json.loads(run("info", traps_trace, "--json").stdout)
    assert values["instructions"] == 954
    assert values["gaps"] == 0
    assert values["traps"]["exception 11 (environment call from M-mode)"] == 30
    assert sum(values["packets"].values()) == 228
    assert values["bytes"] >= sum(values["packet_bytes"].values())
    assert len(values["programs"][0]["sha256"]) == 64
    text = run("info", traps_trace).stdout
    for word in ("954", "228", "rv64-traps.elf", values["programs"][0]["sha256"]):
        assert word in text


def test_dump(run: Run, traps_trace: Path) -> None:
    text = run("dump", traps_trace).stdout.splitlines()
    rows = [json.loads(line) for line in run("dump", traps_trace, "--json").stdout.splitlines()]
    assert len(text) == len(rows) == 228
    assert [row["number"] for row in rows] == list(range(228))
    assert [row["format"] for row in rows[:2]] == ["3.3", "3.0"]
    assert rows[-1]["fields"]["qual_status"] == {"value": 1, "bits": 2}
    assert rows[1]["fields"]["address"] == {"value": 0x800, "bits": 63}
    trap = next(row for row in rows if row["format"] == "3.1")
    assert trap["fields"]["tval"]["bits"] == 64
    for row, following in pairwise(rows):
        assert row["offset"] + row["length"] <= following["offset"]
    assert "qual_status=1(ended_rep)/2" in text[-1]


def test_a_dump_needs_no_program(run: Run, golden: Path, tmp_path: Path) -> None:
    elf = tmp_path / "gone.elf"
    elf.write_bytes((golden / "rv64-flow" / "rv64-flow.elf").read_bytes())
    trace = tmp_path / "t.etrace"
    run("record", elf, "-o", trace)
    elf.unlink()
    assert len(run("dump", trace).stdout.splitlines()) == 986
    info = run("info", trace, "--json")
    assert "instructions are not counted" in info.stderr
    assert json.loads(info.stdout)["instructions"] is None
    for verb in ("decode", "verify"):
        assert "No such file" in (stderr := run(verb, trace, code=2).stderr)
        assert "say where it is with --elf" in stderr


def test_another_program_is_refused_unless_forced(run: Run, golden: Path, tmp_path: Path) -> None:
    elf = tmp_path / "fw.elf"
    original = (golden / "rv64-flow" / "rv64-flow.elf").read_bytes()
    elf.write_bytes(original)
    trace = tmp_path / "t.etrace"
    run("record", elf, "-o", trace)
    elf.write_bytes(original + b"\0")
    for verb in ("decode", "verify"):
        assert "not the program that was traced" in run(verb, trace, code=2).stderr
        run(verb, trace, "--force")
    copy = tmp_path / "copy.elf"
    copy.write_bytes(original)
    run("decode", trace, "--elf", copy)


def test_bare_streams_need_parameters_and_program(run: Run, golden: Path, tmp_path: Path) -> None:
    elf = golden / "rv32-flow" / "rv32-flow.elf"
    raw, trace = tmp_path / "raw", tmp_path / "t.etrace"
    params = tmp_path / "p.toml"
    params.write_text("[framing]\nkind = 'reference'\n")
    run("record", elf, "-o", raw, "--raw", "--params", params)
    run("record", elf, "-o", trace, "--framing", "reference")
    assert trace.read_bytes().endswith(raw.read_bytes())
    assert "give its parameters with --params" in run("decode", raw, code=3).stderr
    assert "names no program" in run("decode", raw, "--params", params, code=2).stderr
    rest = ["--params", params, "--elf", elf, "--platform", "spike"]
    assert run("decode", raw, *rest).stdout == run("decode", trace).stdout
    assert "carries its own parameters" in run("decode", trace, *rest, code=2).stderr
    assert len(run("dump", raw, "--params", params).stdout.splitlines()) == 986
    assert "--against" in run("verify", raw, *rest, code=2).stderr


def test_images_stand_in_for_a_program(run: Run, tmp_path: Path) -> None:
    elf, raw, image = tmp_path / "a.elf", tmp_path / "raw", tmp_path / "code.bin"
    elf.write_bytes(elf_bytes([ADDI_T0, BNEZ_T0_BACK]))
    trace = tmp_path / "t.etrace"
    run("record", elf, "-o", trace, "--max-instructions", 50)
    run("record", elf, "-o", raw, "--raw", "--max-instructions", 50)
    image.write_bytes(elf.read_bytes()[120:])
    rom = tmp_path / "rom.bin"
    words = [0x297, 0x2028593, 0xF1402573, 0x182B283, 0x28067]
    rom.write_bytes(b"".join(word.to_bytes(4, "little") for word in words))
    params = tmp_path / "p.toml"
    run("params", "new", "-o", params)
    images = ["--image", f"0x80000000:{image}", "--image", f"0x1000:{rom}"]
    decoded = run("decode", raw, "--params", params, *images, "--format", "csv").stdout
    assert decoded == run("decode", trace, "--format", "csv").stdout
    assert "ADDRESS:FILE" in run("decode", raw, "--params", params, "--image", rom, code=2).stderr


def test_missing_code_is_a_gap(run: Run, golden: Path, tmp_path: Path) -> None:
    raw, params = tmp_path / "raw", tmp_path / "p.toml"
    elf = golden / "rv64-flow" / "rv64-flow.elf"
    run("record", elf, "-o", raw, "--raw")
    run("params", "new", "-o", params)
    result = run("decode", raw, "--params", params, "--elf", elf, "--format", "pc", code=3)
    assert "no code at 0x1000" in result.stderr


def test_budget_and_verify(run: Run, counting_elf: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    run("record", counting_elf, "-o", trace, "--max-instructions", 1234)
    assert len(run("decode", trace, "--format", "pc").stdout.split()) == 1234
    assert "1,234 instructions" in run("verify", trace).stdout


def test_a_guest_that_fails(run: Run, firmware: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    result = run("record", firmware / "trap_loop-rv64.elf", "-o", trace, code=4)
    assert "the guest failed: the trap handler itself traps, without end" in result.stderr
    run("decode", trace)
    run("verify", trace)


@pytest.mark.parametrize("xlen", [32, 64])
def test_encode_then_decode(run: Run, golden: Path, tmp_path: Path, xlen: int) -> None:
    name = f"rv{xlen}-modes"
    trace = tmp_path / "t.etrace"
    elf = golden / name / f"{name}.elf"
    options = ["-o", trace, "--elf", elf, "--platform", "spike"]
    summary = json.loads(
        run("encode", golden / name / f"{name}.ingress.csv.gz", *options, "--json").stdout
    )
    assert summary["bytes"] > 0
    expected = gzip.decompress((golden / name / f"{name}.pc_trace.csv.gz").read_bytes()).decode()
    assert told_rows(run("decode", trace, "--format", "csv").stdout) == expected
    run("verify", trace, "--against", golden / name / f"{name}.pc_trace.csv.gz")
    assert "cannot be run again" in run("verify", trace, code=2).stderr


def test_a_file_that_cannot_be_encoded_leaves_the_output_alone(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "t.etrace"
    output.write_bytes(b"precious")
    bad = tmp_path / "bad.csv"
    bad.write_text("itype_0,cause\n0,0\n")
    assert "line 1: missing column" in run("encode", bad, "-o", output, code=2).stderr
    run("encode", tmp_path / "missing.csv", "-o", output, code=2)
    assert output.read_bytes() == b"precious"


def test_values_beyond_the_parameters_are_refused(run: Run, tmp_path: Path) -> None:
    csv, params = tmp_path / "in.csv", tmp_path / "p.toml"
    header = "itype_0,cause,tval,priv,iaddr_0,iretire_0,ilastsize_0\n"
    csv.write_text(header + "0,0,0,3,80000000,1,1\n")
    params.write_text("iaddress_width_p = 16\n")
    stderr = run("encode", csv, "-o", tmp_path / "t", "--params", params, code=2).stderr
    assert "0x80000000 does not fit iaddress_width_p = 16" in stderr


def test_params(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    run("params", "new", "-o", path, "--xlen", 32)
    assert run("params", "check", path).stdout == f"{path}: ok\n"
    assert "iaddress_width_p = 32" in path.read_text()
    assert run("params", "new", "--plain").stdout.count("#") == 0
    path.write_text("itype_width_q = 3\n[modes]\nsijump = true\n")
    stderr = run("params", "check", path, code=2).stderr
    assert stderr.count("\n") == 2
    assert "[modes] sijump: needs sijump_p" in stderr
    shown = run("params", "show", "itype_width_p").stdout
    assert shown.startswith("[parameters] itype_width_p: ") and "3-4; default 4" in shown
    assert run("params", "show").stdout.count("[parameters]") == 43
    assert "did you mean period?" in run("params", "show", "perriod", code=2).stderr


def test_bad_parameters_stop_a_recording_at_once(run: Run, tmp_path: Path, golden: Path) -> None:
    params = tmp_path / "p.toml"
    params.write_text("ecause_width_p = 0\nretires_p = 0\n")
    elf = golden / "rv64-flow" / "rv64-flow.elf"
    output = tmp_path / "t.etrace"
    stderr = run("record", elf, "-o", output, "--params", params, code=2).stderr
    assert stderr.count("\n") == 2
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not an ELF"),
        (b"\x7fELF", "broken"),
        (b"#!/bin/sh\n", "not an ELF"),
        (elf_bytes([ECALL], machine=62), "for another machine"),
        (elf_bytes([ECALL])[:100], "past the end of the file"),
        (elf_bytes([ECALL])[:122], "truncated"),
    ],
)
def test_programs_that_are_none(run: Run, tmp_path: Path, content: bytes, word: str) -> None:
    elf, output = tmp_path / "fw.elf", tmp_path / "t.etrace"
    elf.write_bytes(content)
    stderr = run("record", elf, "-o", output, code=2).stderr
    assert word in stderr and stderr.count("\n") == 1
    assert not output.exists()


def test_missing_files_and_directories(run: Run, tmp_path: Path, counting_elf: Path) -> None:
    missing = tmp_path / "missing"
    for path in (missing, tmp_path):
        for verb in READING:
            stderr = run(verb, path, code=2).stderr
            assert str(path) in stderr and stderr.count("\n") == 1
        run("record", path, "-o", tmp_path / "t", code=2)
        run("encode", path, "-o", tmp_path / "t", code=2)
    some = ["--max-instructions", 10]
    run("record", counting_elf, "-o", tmp_path, *some, code=2)
    run("record", counting_elf, "-o", tmp_path / "no" / "such" / "t", *some, code=2)


@pytest.mark.parametrize("option", ["1", "x:y", "0x1000", "0:0", "0x80000000:-1", ":"])
def test_memory_that_cannot_be(run: Run, tmp_path: Path, counting_elf: Path, option: str) -> None:
    stderr = run(
        "record", counting_elf, "-o", tmp_path / "t", "--memory", option, code=2
    ).stderr  # fmt: skip
    assert stderr.count("\n") == 1


def test_mixed_widths(run: Run, tmp_path: Path) -> None:
    for xlen in (32, 64):
        (tmp_path / f"{xlen}.elf").write_bytes(elf_bytes([JUMP_TO_SELF], xlen))
    two = tmp_path / "32.elf", tmp_path / "64.elf"
    assert "different width" in run("record", *two, "-o", tmp_path / "t", code=2).stderr


def test_no_damage_makes_a_verb_crash_or_lie(run: Run, traps_trace: Path, tmp_path: Path) -> None:
    """Truncated, flipped, random: exit code 0, 1, 2 or 3, never a traceback; see also
    tests/decoder for the decoder alone."""
    data = traps_trace.read_bytes()
    start = data.index(b"}\n", data.rindex(b'"xlen"')) + 2
    whole = run("decode", traps_trace, "--format", "pc").stdout
    source = random.Random(7)
    path = tmp_path / "damaged.etrace"
    for number in range(30):
        damaged = bytearray(data)
        if number % 3 == 0:
            del damaged[source.randrange(start, len(data)) :]
        elif number % 3 == 1:
            damaged[source.randrange(start, len(data))] ^= 1 << source.randrange(8)
        else:
            damaged[start:] = source.randbytes(500)
        path.write_bytes(damaged)
        result = run_any(run, "decode", path, "--format", "pc")
        if number % 3 == 0:
            assert result.exit_code == 3
            assert whole.startswith(result.stdout)
        elif number % 3 == 2:
            assert result.exit_code == 3
        for verb in ("dump", "info", "verify"):
            run_any(run, verb, path)


def run_any(run: Run, *args: object):  # type: ignore[no-untyped-def]
    """Run with any documented exit code."""
    from click.testing import CliRunner

    from etrace.cli import main

    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code in (0, 1, 2, 3), (args, result.exit_code, result.exception)
    assert isinstance(result.exception, SystemExit | None)
    return result


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("content", [b"", b"\x89ETR", b"no trace at all", bytes(1000)])
def test_files_that_are_no_traces(run: Run, tmp_path: Path, verb: str, content: bytes) -> None:
    path = tmp_path / "x.etrace"
    path.write_bytes(content)
    result = run(verb, path, code=3)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_header_without_a_stream(run: Run, traps_trace: Path, tmp_path: Path) -> None:
    data = traps_trace.read_bytes()
    path = tmp_path / "x.etrace"
    path.write_bytes(data[: data.index(b"}\n", data.rindex(b'"xlen"')) + 2])
    for verb in ("decode", "dump", "info"):
        assert run(verb, path, code=3).stderr.count("\n") == 1
    assert "cut short" in run("verify", path, code=3).stderr
