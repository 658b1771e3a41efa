"""Traces of several harts: one stream, a srcID a hart, each decoded by itself."""

import json
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import etrace
from emu import Machine, load
from etrace.cli import main
from etrace.errors import InputError, TraceError
from etrace.recording.encoding import Encoding
from etrace.recording.filtering import Selection
from etrace.recording.sideband import Telling
from etrace.trace.trace import Trace
from specs.configuration.parameters import Configuration
from specs.trace.packets import Column
from tests.emu.build import events
from tests.emu.manyharts import PROGRAMS, by_amo, counting, elf_file

ALL = Encoding(modes=("all",))
QUANTUM = 500


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    """An ELF file, and for how many harts it is."""
    write, harts = PROGRAMS[request.param]
    return elf_file(tmp_path / "fw.elf", write), harts


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """For three harts."""
    return elf_file(tmp_path / "lock.elf", counting(3, by_amo))


def executed(path: Path, harts: int, quantum: int) -> list[list[int]]:
    """By hart, the addresses of what retired. (All instructions here have 4 bytes.)"""
    machine = Machine([load(path)], harts=harts, quantum=quantum)
    pcs: list[list[int]] = [[] for _ in range(harts)]
    for chunk in machine.run():
        for kind, at, half_words, _ in events([chunk]):
            if kind == "block":
                pcs[chunk.hart] += range(at, at + 2 * half_words, 4)
    return pcs


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
@pytest.mark.parametrize("modes", [(), ("all",)])
def test_each_hart_is_decoded_exactly(
    program: tuple[Path, int], modes: tuple[str, ...], protocol: str
) -> None:
    path, harts = program
    encoding = Encoding(modes=modes, protocol=protocol)
    trace = etrace.record(path, harts=harts, quantum=QUANTUM, encoding=encoding)
    pcs = executed(path, harts, QUANTUM)
    for number in range(harts):
        one = trace.of_hart(number)
        flow = one.decode()
        assert not len(flow.gaps) and one.ended
        assert one.pcs(flow).tolist() == pcs[number]
        assert one.verify().same
    whole = trace.verify()
    assert whole.same and whole.instructions == sum(map(len, pcs))


def test_packets_are_in_order_of_execution(lock: Path) -> None:
    trace = etrace.record(lock, harts=3, quantum=QUANTUM)
    sources = np.concatenate([rows[:, Column.srcID].copy() for rows in trace.packets()])
    assert set(sources.tolist()) == {0, 1, 2}
    # many turns: no hart's packets are all in one place
    assert np.count_nonzero(np.diff(sources.astype(int))) > 20
    counts = [sum(len(rows) for rows in trace.of_hart(n).packets()) for n in range(3)]
    assert counts == [int(np.count_nonzero(sources == n)) for n in range(3)]


@pytest.mark.parametrize("encoding", [None, ALL])
def test_the_bytes_are_the_same_each_time_and_whatever_buffers_there_are(
    program: tuple[Path, int], encoding: Encoding | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, harts = program

    def stream() -> bytes:
        options = {"harts": harts, "quantum": 20_000, "encoding": encoding}
        return b"".join(etrace.record(path, **options).chunks())

    once = stream()
    assert stream() == once
    small = partial(Machine, chunk_refs=1, chunk_traps=2, table_blocks=1)
    monkeypatch.setattr("etrace.recording.recorder.Machine", small)
    assert stream() == once


@pytest.mark.parametrize(
    ("telling", "selection"),
    [
        (Telling(time="mtime", time_every=100, context_csr="mscratch"), None),
        (Telling(windows=("100:200", "400:100")), None),
        (None, Selection(interrupts=True)),
    ],
)
def test_side_bands_and_filters_are_each_ones_own(
    program: tuple[Path, int], telling: Telling | None, selection: Selection | None
) -> None:
    path, harts = program
    trace = etrace.record(path, harts=harts, quantum=QUANTUM, telling=telling, selection=selection)
    for number in range(harts):
        assert trace.of_hart(number).verify().same
    if telling is not None and telling.windows:
        counts = [len(trace.of_hart(n).pcs()) for n in range(harts)]
        assert counts == [300] * harts


def test_the_file_tells_how_many_there_are(lock: Path, tmp_path: Path) -> None:
    path = tmp_path / "fw.etrace"
    etrace.record(lock, path, harts=3, quantum=QUANTUM)
    trace = etrace.open(path)
    assert (trace.header.harts, trace.header.quantum) == (3, QUANTUM)
    assert trace.configuration.framing.srcid_width == 8
    assert etrace.open(path, hart=2).configuration.framing.srcid == 2
    assert [event.hart for event in etrace.open(path, hart=2).events()] == []
    with pytest.raises(InputError, match="has 3 harts; choose one with --hart 0 to --hart 2"):
        trace.decode()
    with pytest.raises(InputError, match="no hart 3: it has 3 harts, from 0 to 2"):
        trace.of_hart(3)
    alone = etrace.record(lock, harts=1, max_instructions=100)
    assert b'"harts"' not in alone.header.pack() and alone.of_hart(0) is alone
    with pytest.raises(InputError, match="no hart 1: it has one hart, number 0"):
        alone.of_hart(1)


def test_what_is_verified_is_the_run_with_its_turns(lock: Path, tmp_path: Path) -> None:
    trace = etrace.record(lock, harts=3, quantum=QUANTUM)
    stream = b"".join(trace.chunks())
    path = tmp_path / "fw.etrace"
    path.write_bytes(replace(trace.header, quantum=QUANTUM + 1).pack() + stream)
    found = etrace.open(path).verify()
    assert not found.same and found.hart is not None
    assert run("verify", path).exit_code == 1
    path.write_bytes(trace.header.pack() + stream[:-4])
    result = run("verify", path)
    assert result.exit_code == 3
    # whose the packet is that is cut short nobody knows
    assert result.output.count("the same up to a gap") == 3
    assert "first packets" not in result.output


def test_a_srcid_of_other_widths_and_from_another_number(lock: Path) -> None:
    chosen = Configuration.default(64)
    for width, first in ((4, 0), (8, 200), (11, 1999)):
        framing = replace(chosen.framing, srcid_width=width, srcid=first)
        trace = etrace.record(
            lock, params=replace(chosen, framing=framing), harts=3, quantum=QUANTUM
        )
        sources = {n for rows in trace.packets() for n in rows[:, Column.srcID].tolist()}
        assert sources == {first, first + 1, first + 2} and trace.verify().same
    narrow = replace(chosen, framing=replace(chosen.framing, srcid_width=1))
    with pytest.raises(InputError, match="srcid_width = 1 has no room for the srcIDs 0 to 2"):
        etrace.record(lock, params=narrow, harts=3)
    with pytest.raises(InputError, match="the framing reference has no srcID"):
        etrace.record(lock, framing="reference", harts=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"harts": 9}, "harts: a number from 1 to 8"),
        ({"harts": True}, "harts: a number from 1 to 8"),
        ({"harts": 300}, "harts: a number from 1 to 8"),
        ({"quantum": -1}, "a number of 64 bits"),
        ({"quantum": None}, "a number of 64 bits"),
    ],
)
def test_headers_that_cannot_be(
    change: dict[str, object], message: str, lock: Path, tmp_path: Path
) -> None:
    packed = etrace.record(lock, harts=3, max_instructions=100).header.pack()
    values = {**json.loads(packed[16:]), **change}
    text = json.dumps(values).encode()
    path = tmp_path / "bad.etrace"
    path.write_bytes(packed[:12] + len(text).to_bytes(4, "little") + text)
    with pytest.raises(TraceError, match=message):
        etrace.open(path)


def test_no_room_for_harts_in_a_header(lock: Path, tmp_path: Path) -> None:
    header = etrace.record(lock, max_instructions=100).header
    packed = header.pack()
    text = json.dumps({**json.loads(packed[16:]), "harts": 2, "quantum": 100}).encode()
    path = tmp_path / "bad.etrace"
    path.write_bytes(packed[:12] + len(text).to_bytes(4, "little") + text)
    with pytest.raises(TraceError, match="harts: the framing has no srcID"):
        etrace.open(path)


def test_the_verbs(program: tuple[Path, int], tmp_path: Path) -> None:
    elf, harts = program
    path = tmp_path / "fw.etrace"
    result = run("record", elf, "-o", path, "--harts", harts, "--quantum", 500, "--json")
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert values["harts"] == harts == len(values["by_hart"])
    for name in ("instructions", "bytes"):
        assert values[name] == sum(each[name] for each in values["by_hart"])

    for verb in ("decode", "events", "why"):
        result = run(verb, path)
        assert result.exit_code == 2 and result.stdout == ""
        assert f"has {harts} harts; choose one with --hart 0 to --hart {harts - 1}" in result.output
        assert run(verb, path, "--hart", 1).exit_code == 0
        assert run(verb, path, "--hart", harts).exit_code == 2

    info = json.loads(run("info", path, "--json").stdout)
    assert info["harts"] == harts and info["instructions"] == values["instructions"]
    assert [each["instructions"] for each in info["by_hart"]] == [
        each["instructions"] for each in values["by_hart"]
    ]
    assert f"hart {harts - 1}" in run("info", path).stdout
    one = json.loads(run("info", path, "--hart", 1, "--json").stdout)
    assert one["instructions"] == info["by_hart"][1]["instructions"]

    lines = run("decode", path, "--hart", 1, "--format", "pc").stdout.split()
    assert len(lines) == one["instructions"]
    listed = run("events", path, "--hart", 1, "--json").stdout.splitlines()
    assert all(json.loads(each)["hart"] == 1 for each in listed)
    live = run("events", elf, "--harts", harts, "--quantum", 500, "--json").stdout.splitlines()
    mine = [each for each in map(json.loads, live) if each["hart"] == 1]
    assert [each["instret"] for each in mine] == [json.loads(e)["instret"] for e in listed]

    verified = run("verify", path)
    assert verified.exit_code == 0
    assert [f"(hart {n}): the same" in verified.stdout for n in range(harts)] == [True] * harts
    assert json.loads(run("verify", path, "--json").stdout)["same"]
    assert "(hart 1): the same" in run("verify", path, "--hart", 1).stdout

    dumped = run("dump", path, "--json")
    assert dumped.exit_code == 0
    sources = [json.loads(each)["framing"]["srcID"] for each in dumped.stdout.splitlines()]
    assert set(sources) == set(range(harts))
    mine = run("dump", path, "--hart", 1, "--json").stdout.splitlines()
    assert len(mine) == sources.count(1)

    assert run("diff", path, path).exit_code == 2
    assert run("diff", path, path, "--hart", 1).exit_code == 0
    assert run("diff", path, path, "--packets").exit_code == 0
    assert run("run", elf, "--harts", harts).exit_code == 0


def test_a_pc_trace_is_of_one_hart(lock: Path, tmp_path: Path) -> None:
    path, log = tmp_path / "fw.etrace", tmp_path / "hart1.csv"
    run("record", lock, "-o", path, "--harts", 3, "--quantum", 500)
    run("decode", path, "--hart", 1, "--format", "csv", "-o", log)
    assert run("verify", path, "--hart", 1, "--against", log).exit_code == 0
    result = run("verify", path, "--against", log)
    assert result.exit_code == 2 and "choose it with --hart N" in result.output
    assert run("verify", path, "--hart", 0, "--against", log).exit_code == 1


def test_a_bare_stream(lock: Path, tmp_path: Path) -> None:
    path, params = tmp_path / "fw.bin", tmp_path / "fw.toml"
    assert run("record", lock, "-o", path, "--harts", 3, "--raw").exit_code == 0
    params.write_text("[framing]\nsrcid_width = 8\n")
    bare = ("--params", params, "--elf", lock, "--platform", "spike")
    pcs = executed(lock, 3, 10_000)
    for number in range(3):
        result = run("decode", path, *bare, "--hart", number, "--format", "pc")
        assert result.exit_code == 0
        assert [int(each, 16) for each in result.stdout.split()] == pcs[number]
    params.write_text("")
    result = run("decode", path, *bare, "--hart", 1)
    assert result.exit_code == 2
    assert "hart 1: its srcID would be 1, and the parameters have srcid_width = 0" in result.output


def test_standard_input_is_read_once(lock: Path) -> None:
    file = BytesIO()
    trace = etrace.record(lock, harts=3)
    file.write(trace.header.pack() + b"".join(trace.chunks()))
    runner = CliRunner()
    result = runner.invoke(main, ["verify", "-"], input=file.getvalue())
    assert result.exit_code == 2 and "can be read only once" in result.output
    result = runner.invoke(main, ["verify", "-", "--hart", "2"], input=file.getvalue())
    assert result.exit_code == 0


def test_max_size_is_that_of_the_stream(lock: Path) -> None:
    trace = etrace.record(lock, harts=3, quantum=100, max_size=1000)
    assert 1000 <= len(b"".join(trace.chunks())) < 1500
    assert all(each.ended for each in trace.each_hart() if each.decode() is not None)


def test_what_cannot_be_run(lock: Path) -> None:
    for options, message in (
        ({"harts": 9}, "harts 9: must be from 1 to 8"),
        ({"harts": 2, "quantum": 1}, "quantum 1: must be from 64"),
    ):
        with pytest.raises(InputError, match=message):
            etrace.record(lock, **options)


def test_a_program_that_fails_on_one_hart_is_explained(tmp_path: Path) -> None:
    from tests.emu.build import Assembly
    from tests.emu.manyharts import only

    def write(a: Assembly) -> None:
        only(a, 1, "spin")
        a.csr("mtvec", write=0)
        a.raw(0, 4)  # illegal, and the handler at 0 is no memory
        a.label("spin")
        a.jal(rd=0, to="spin")

    elf = elf_file(tmp_path / "bad.elf", write)
    path = tmp_path / "bad.etrace"
    result = run("record", elf, "-o", path, "--harts", 2)
    assert result.exit_code == 4 and "illegal instruction" in result.output
    result = run("why", path, "--hart", 1)
    assert "illegal instruction" in result.stdout
    assert isinstance(etrace.open(path), Trace)
