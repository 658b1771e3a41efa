"""Modes, protocol and trap vectors by name: what they set, their errors, traces that verify."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import etrace
from emu.platforms.elf import Program
from etrace.cli import main
from etrace.errors import InputError
from etrace.recording.encoding import MODES, SIZES, SMALLER, Encoding
from etrace.trace.program import load_programs
from specs.configuration.parameters import Configuration, ParametersError, parse
from tests.etrace.conftest import Run

DEFAULT = Configuration.default(64)
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
SCHEDULER = PROGRAMS / "scheduler-rv64.elf"
RECURSION = PROGRAMS / "recursion-rv32.elf"
HANDLER = "task_trap"


@pytest.fixture(scope="module")
def scheduler() -> tuple[Program, ...]:
    return load_programs([str(SCHEDULER)])


def test_nothing_said_changes_nothing() -> None:
    assert Encoding().apply(DEFAULT, ()) is DEFAULT


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_brings_the_size_that_it_needs(mode: str) -> None:
    chosen = Encoding(modes=(mode,)).apply(DEFAULT, ())
    assert [name for name in MODES if getattr(chosen.modes, name)] == [mode]
    changed = {
        name: value
        for name, value in vars(chosen.parameters).items()
        if value != getattr(DEFAULT.parameters, name)
    }
    assert changed == SIZES.get(mode, {})


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
def test_all_modes_go_together(protocol: str) -> None:
    chosen = Encoding(modes=("all",), protocol=protocol).apply(DEFAULT, ())
    assert chosen.protocol == protocol
    assert tuple(name for name in MODES if getattr(chosen.modes, name)) == SMALLER
    assert chosen.parameters.f0s_width_p == 1
    assert parse(chosen.to_toml()) == chosen


def test_sizes_of_a_file_stay(scheduler: tuple[Program, ...]) -> None:
    file = parse("bpred_size_p = 9\ncache_size_p = 3\nf0s_width_p = 2\ncall_counter_size_p = 4\n")
    chosen = Encoding(modes=("all",)).apply(file, scheduler).parameters
    assert (chosen.bpred_size_p, chosen.cache_size_p, chosen.f0s_width_p) == (9, 3, 2)
    assert (chosen.call_counter_size_p, chosen.return_stack_size_p) == (4, 0)


def test_filters_of_a_file_stay() -> None:
    file = parse("[trace]\ntrTeInstTracing = false\n")
    assert Encoding(modes=("all",)).apply(file, ()).filters == file.filters


def test_vectors_are_symbols_or_addresses(scheduler: tuple[Program, ...]) -> None:
    vectors = (f"mtvec={HANDLER}", "stvec=0x80000101", f"utvec={HANDLER}+0x10")
    tvec = Encoding(vectors=vectors).apply(DEFAULT, scheduler).tvec
    place = scheduler[0].symbols[HANDLER].address
    assert (tvec.mtvec, tvec.stvec, tvec.utvec) == (place, 0x80000101, place + 0x10)
    file = replace(DEFAULT, tvec=replace(DEFAULT.tvec, mtvec=4, vstvec=8))
    both = Encoding(vectors=("mtvec=0x40",)).apply(file, ()).tvec
    assert (both.mtvec, both.vstvec) == (0x40, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "branchprediction"], "did you mean branch_prediction?"),
        (["--mode", "x"], "implicit_return, branch_prediction, jump_target_cache or all"),
        (["--protocol", "2.2"], "'2.2' is not one of '2.0', '2.1'; see"),
        (["--tvec", f"mtvec={HANDLER[:-1]}"], f"did you mean {HANDLER}?"),
        (["--tvec", "mtvec"], "then = and a symbol or an address"),
        (["--tvec", f"xtvec={HANDLER}"], "expected mtvec, stvec"),
        (["--tvec", "mtvec=0x1ffffffffffffffff"], "must have at most 64 bits"),
    ],
)
def test_wrong_options(run: Run, tmp_path: Path, options: list[str], message: str) -> None:
    output = tmp_path / "t.etrace"
    result = run("record", SCHEDULER, "-o", output, *options, code=2)
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not output.exists()


def test_what_a_mode_cannot_do_with_the_parameters(run: Run, tmp_path: Path) -> None:
    params = tmp_path / "p.toml"
    params.write_text("itype_width_p = 3\nbpred_size_p = 9\n")
    options = ["-o", tmp_path / "t", "--params", params, "--mode", "all", "--protocol", "2.1"]
    result = run("record", SCHEDULER, *options, code=2)
    assert "implicit_return: needs itype_width_p = 4" in result.stderr
    assert "bpred_size_p: at most 7" in result.stderr
    with pytest.raises(InputError, match="no such mode"):
        etrace.record(SCHEDULER, encoding=Encoding(modes=("every",)))
    with pytest.raises(ParametersError):
        etrace.record(SCHEDULER, params=params, encoding=Encoding(modes=("implicit_return",)))


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
@pytest.mark.parametrize("modes", [*((each,) for each in MODES), ("all",), ("all", "full_address")])
def test_recordings_verify(run: Run, tmp_path: Path, modes: tuple[str, ...], protocol: str) -> None:
    path = tmp_path / "t.etrace"
    options = [word for mode in modes for word in ("--mode", mode)]
    run("record", RECURSION, "-o", path, *options, "--protocol", protocol)
    assert "the same" in run("verify", path).stdout
    values = json.loads(run("info", path, "--json").stdout)["configuration"]
    assert values["protocol"] == protocol
    for mode in modes:
        assert mode == "all" or values["modes"][mode] is True


def test_all_modes_make_it_smaller_and_vectors_more_so(run: Run, tmp_path: Path) -> None:
    def recorded(elf: Path, *options: str) -> int:
        path = tmp_path / "t.etrace"
        result = run("record", elf, "-o", path, *options, "--json")
        run("verify", path)
        size = json.loads(result.stdout)["bytes"]
        assert isinstance(size, int)
        return size

    assert recorded(RECURSION, "--mode", "all") < 0.8 * recorded(RECURSION)
    every = recorded(SCHEDULER, "--mode", "all")
    assert recorded(SCHEDULER, "--mode", "all", "--tvec", f"mtvec={HANDLER}") < every


def test_a_hint_where_a_vector_is_missing(run: Run, tmp_path: Path) -> None:
    options = ["-o", tmp_path / "t", "--mode", "implicit_exception"]
    assert "saves nothing here" in run("record", SCHEDULER, *options).stderr
    options += ["--tvec", f"mtvec={HANDLER}"]
    assert "saves nothing here" not in run("record", SCHEDULER, *options).stderr


def test_a_shell_completes_modes() -> None:
    line = {"COMP_WORDS": "etrace record --mode implicit_", "COMP_CWORD": "3"}
    result = CliRunner().invoke(
        main, [], prog_name="etrace", env={"_ETRACE_COMPLETE": "bash_complete", **line}
    )
    assert result.stdout.split() == ["plain,implicit_exception", "plain,implicit_return"]


def test_encode_has_them_too(run: Run, golden: Path, tmp_path: Path) -> None:
    name, path = "rv64-kernels", tmp_path / "t.etrace"
    elf = golden / name / f"{name}.elf"
    options = ["-o", path, "--elf", elf, "--platform", "spike", "--mode", "branch_prediction"]
    csv = golden / name / f"{name}.ingress.csv.gz"
    summary = json.loads(run("encode", csv, *options, "--json").stdout)
    assert summary["packets"]["0.0"] > 0 and summary["lost"] == 0
    run("verify", path, "--against", golden / name / f"{name}.pc_trace.csv.gz")


def test_packets_added_are_told(run: Run, golden: Path, tmp_path: Path) -> None:
    elf = golden / "rv32-flow" / "rv32-flow.elf"
    options = ["-o", tmp_path / "t", "--mode", "implicit_return"]
    added = json.loads(run("record", elf, *options, "--json").stdout)["added"]
    assert added["return"] == 40  # docs/modes.md, "What it costs"
    assert "packets added (" in run("record", elf, *options).stderr
    assert "return 40" in run("record", elf, *options).stderr


@pytest.mark.parametrize("kind", ["drop", "stall"])
def test_loss_and_stalling_are_told(run: Run, tmp_path: Path, kind: str) -> None:
    params, path = tmp_path / "p.toml", tmp_path / "t.etrace"
    sink = f"[sink]\nkind = '{kind}'\nrate = 1\nper = 40\ncapacity = 256\nresume = 64\n"
    params.write_text(sink)
    options = ["-o", path, "--params", params]
    summary = json.loads(run("record", SCHEDULER, *options, "--json").stdout)
    text = run("record", SCHEDULER, *options).stderr
    told = run("info", path, code=3 if kind == "drop" else 0).stdout
    assert f"kind {kind}" in told and "times the encoder lost packets" in told
    if kind == "drop":
        assert summary["lost"] > 0 == summary["stalled"]
        assert f"{summary['lost']:,} packets lost" in text
        values = json.loads(run("info", path, "--json", code=3).stdout)
        assert values["losses"] > 0
        assert "trace_lost" in run("decode", path, code=3).stderr
        assert "up to a gap" in run("verify", path, code=3).stdout
    else:
        assert summary["stalled"] > 0 == summary["lost"]
        assert "stalled for" in text
        run("verify", path)
