"""Pauses: where the trace has them, where the run must have them, and traces that say otherwise."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import etrace
from emu import Machine
from encoder import Encoder
from etrace.checking.comparison import compare
from etrace.recording.filtering import Selection
from etrace.recording.sideband import Telling
from etrace.trace.stretch import EVENT, PAUSED, Stretch
from etrace.trace.trace import Trace, in_memory
from specs.configuration.parameters import from_dict
from specs.interfaces.ingress import HALTED, Chunk
from specs.isa.control import CodeMap
from specs.trace.packets import Column, Format, QualStatus
from tests.etrace.conftest import Run

ROOT = Path(__file__).resolve().parents[1]
SCHEDULER = ROOT / "programs" / "scheduler-rv32.elf"
STORM = ROOT / "firmware" / "storm-rv64.elf"
CODE = CodeMap([(0x1000, b"\x13\0\0\0" * 64)], 32)


@dataclass
class Rows:
    """A stream: a True is an instruction, a False a trap. `pauses`: numbers of rows before them."""

    rows: list[bool]
    pauses: list[int]

    def sides(self, cuts: list[int]) -> Iterator[Stretch]:
        """In stretches, cut before any row; the numbers of packets and bytes are made up."""
        edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(self.rows)}), len(self.rows)]
        for low, high in pairwise(edges):
            mine = self.rows[low:high]
            before = [sum(self.rows[:n]) for n in range(low, high)]
            events = np.zeros(len(mine) - sum(mine), EVENT)
            events["position"] = [p for p, row in zip(before, mine, strict=True) if not row]
            pauses = [
                (sum(self.rows[:n]), n - sum(self.rows[:n]), 10 * n, 100 * n, HALTED)
                for n in self.pauses
                if low <= n < high
            ]
            pcs = np.array([p for p, row in zip(before, mine, strict=True) if row], np.uint64)
            yield Stretch(
                pcs * np.uint64(4) + np.uint64(0x1000),
                np.full(len(pcs), 3, np.uint8),
                events,
                pauses=np.array(pauses, PAUSED),
            )

    def place(self, pause: int) -> int:
        """Instructions before it."""
        return sum(self.rows[:pause])


@st.composite
def streams(draw: st.DrawFn) -> Rows:
    rows = draw(st.lists(st.booleans(), min_size=2, max_size=30))
    pauses = draw(st.sets(st.integers(1, len(rows) - 1), max_size=6))
    return Rows(rows, sorted(pauses))


cut_lists = st.lists(st.integers(0, 30), max_size=5)


@given(streams(), cut_lists, cut_lists)
def test_what_is_right_is_found_right(stream: Rows, one: list[int], other: list[int]) -> None:
    result = compare(stream.sides(one), stream.sides(other), CODE)
    assert result.difference is None
    assert result.pauses == len(stream.pauses)


@given(streams(), cut_lists, cut_lists, st.data())
def test_one_too_many_or_missing_is_found_where_it_is(
    stream: Rows, one: list[int], other: list[int], data: st.DataObject
) -> None:
    where = data.draw(st.integers(1, len(stream.rows) - 1))
    changed = Rows(stream.rows, sorted({where} ^ set(stream.pauses)))
    result = compare(stream.sides(one), changed.sides(other), CODE)
    assert result.difference is not None
    assert result.difference.position == stream.place(where)
    assert result.pauses == sum(pause < where for pause in stream.pauses)
    if where in changed.pauses:
        assert f"(until packet {10 * where}, offset {100 * where})" in result.difference.what
        assert (result.difference.packet, result.difference.offset) == (10 * where, 100 * where)
    else:
        assert "expected one: the hart is halted here" in result.difference.what
    assert compare(stream.sides(one), changed.sides(other), CODE, pauses=False).difference is None


@given(streams(), cut_lists, st.data())
def test_a_moved_one_is_found_at_the_first_place(
    stream: Rows, cuts: list[int], data: st.DataObject
) -> None:
    if not stream.pauses:
        return
    old = data.draw(st.sampled_from(stream.pauses))
    new = data.draw(st.integers(1, len(stream.rows) - 1))
    if new in stream.pauses:
        return
    changed = Rows(stream.rows, sorted({new} | set(stream.pauses) - {old}))
    result = compare(stream.sides([]), changed.sides(cuts), CODE)
    assert result.difference is not None
    assert result.difference.position == stream.place(min(old, new))


@given(streams(), st.integers(0, 30), cut_lists)
def test_where_one_side_has_ended_nothing_is_missing(
    stream: Rows, size: int, cuts: list[int]
) -> None:
    short = Rows(stream.rows[:size], [pause for pause in stream.pauses if pause < size])
    if not any(stream.rows[size:]):
        return  # traps at the end are compared
    result = compare(stream.sides(cuts), short.sides([]), CODE)
    assert result.difference is None and result.pauses == len(short.pauses)


def test_the_pause_is_told_before_what_follows_it() -> None:
    """A walk over what was left out: the missing pause is the cause, the address is not."""
    expected, actual = (next(Rows([True] * 5, []).sides([])) for _ in range(2))
    expected.pauses = np.array([(2, 0, 0, 0, HALTED)], PAUSED)
    actual.pcs[2:] += np.uint64(0x40)
    result = compare([expected], [actual], CODE)
    assert result.difference is not None and result.difference.position == 2
    assert "no pause in tracing" in result.difference.what


def record(kind: str) -> Trace:
    """A trace with pauses of this kind."""
    whole = etrace.record(STORM).pcs().tolist()
    pcs = sorted(set(whole))
    middle, late = (hex(pcs[n * len(pcs) // 3]) for n in (1, 2))
    often = max(pcs, key=whole.count)
    visits = [n for n, pc in enumerate(whole) if pc == often]
    soon, later = (hex(whole[visits[0] + n]) for n in (1, 5))
    made = {
        "symbol": Selection(symbols=("main",)),
        "range": Selection(ranges=(f"{middle}-{late}",)),
        "start and stop": Selection(start_at=hex(often), stop_at=soon),
        "cause": Selection(causes=("machine-timer-interrupt", "11")),
        "interrupts": Selection(interrupts=True),
        "triggers": Telling(triggers=(f"off@{often:#x}", f"on@{later}")),
        "windows": Telling(windows=("50:3", "100:200", "1000:1", "2000:")),
        "ctype 3": Telling(context_csr="mscratch", context_type=3),
    }[kind]
    elf = SCHEDULER if kind in ("symbol", "ctype 3") else STORM
    if isinstance(made, Telling):
        return etrace.record(elf, telling=made)
    return etrace.record(elf, selection=made)


KINDS = (
    "symbol",
    "range",
    "start and stop",
    "cause",
    "interrupts",
    "triggers",
    "windows",
    "ctype 3",
)


def cut_out(trace: Trace) -> tuple[list[bytes], list[tuple[int, int]]]:
    """The packets of a trace in memory as bytes, and their formats (`Format`, qual_status)."""
    stream = b"".join(trace.chunks())
    rows = np.concatenate([rows.copy() for rows in trace.packets()])
    packets, formats = [], []
    for row in rows:
        begin = int(row[Column.offset])
        packets.append(stream[begin : begin + int(row[Column.length])])
        formats.append((int(row[Column.table]), int(row[Column.qual_status])))
    return packets, formats


def rebuilt(trace: Trace, packets: list[bytes]) -> Trace:
    return in_memory(trace.name, trace.header.pack() + b"".join(packets), trace.header, trace.code)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_verifies_and_no_damaged_one_does(kind: str) -> None:
    """A support packet taken away, or replaced by the one of the beginning: no change, tracing."""
    trace = record(kind)
    result = trace.verify()
    assert result.same, result
    assert result.comparison.pauses == len(trace.decode().pauses) > 0
    packets, formats = cut_out(trace)
    assert rebuilt(trace, packets).verify().same
    ends = [
        n
        for n, each in enumerate(formats)
        if each in ((Format.SUPPORT, QualStatus.ended_rep), (Format.SUPPORT, QualStatus.ended_ntr))
    ]
    assert formats[0] == (Format.SUPPORT, QualStatus.no_change)
    assert len(ends) in (result.comparison.pauses + 1, result.comparison.pauses + 2)
    for at in {ends[0], ends[(len(ends) - 2) // 2]}:
        for instead in ([], [packets[0]]):
            damaged = rebuilt(trace, packets[:at] + instead + packets[at + 1 :])
            found = damaged.verify()
            assert not found.same and found.comparison.pauses <= ends.index(at)
            difference = found.comparison.difference
            if difference is None:  # the next address is not to be reached from here
                assert len(found.gaps)
            elif len(damaged.pcs()) == len(trace.pcs()):  # no other difference there is
                assert "no pause in tracing, expected one: " in difference.what


def test_a_pause_too_many_is_a_difference() -> None:
    """A stretch ends before a resynchronisation: where a packet reports the row before it, nothing
    else is wrong."""
    period = {"resync": {"unit": "packets", "period": 7}}
    trace = etrace.record(STORM, params=from_dict(period, 64))
    filtered = record("windows")
    others, kinds = cut_out(filtered)
    end = others[kinds.index((Format.SUPPORT, QualStatus.ended_rep))]
    packets, formats = cut_out(trace)
    syncs = [n for n, each in enumerate(formats) if each[0] == Format.SYNC][1:]
    assert trace.verify().same and len(syncs) > 20
    exact = 0
    for at in syncs[:20]:
        damaged = rebuilt(trace, [*packets[:at], end, *packets[at:]])
        difference = damaged.verify().comparison.difference
        assert difference is not None
        assert "tracing pauses here" in difference.what and "expected no pause" in difference.what
        assert difference.packet == at + 1
        exact += len(damaged.pcs()) == len(trace.pcs())
    assert exact > 0


class Halting:
    """A machine that is halted after 500 instructions, and reset after 700 more."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, limit: int | None) -> Iterator[Chunk]:
        yield from self._machine.run(500)
        self._machine.halt()
        self._machine.resume()
        yield from self._machine.run(700)
        self._machine.reset()
        yield from self._machine.run(limit)


def test_halted_and_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    from etrace.recording import recorder

    new_machine = recorder.new_machine
    plain = etrace.record(STORM, max_instructions=900)
    encoder = Encoder(plain.configuration)
    machine = Halting(new_machine(plain.code, plain.header))
    data = b"".join(encoder.feed(chunk) for chunk in machine.run(900)) + encoder.finish()
    halted = in_memory("halted", plain.header.pack() + data, plain.header, plain.code)
    wrong = halted.verify().comparison.difference
    assert wrong is not None and wrong.position == 500 and "expected no pause" in wrong.what
    monkeypatch.setattr(
        recorder, "new_machine", lambda *args, **more: Halting(new_machine(*args, **more))
    )
    result = halted.verify()
    assert result.same and result.comparison.pauses == 2
    packets, formats = cut_out(halted)
    for n, reason in ((0, "halted"), (1, "reset")):
        at = [k for k, each in enumerate(formats) if each[0] == Format.SUPPORT][1 + n]
        found = rebuilt(halted, packets[:at] + packets[at + 1 :]).verify().comparison
        assert found.difference is not None
        assert found.difference.position == (500, 1200)[n]
        assert f"the hart is {reason} here" in found.difference.what


def test_told_on_the_command_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    options = ["--context-csr", "mscratch", "--context-type", "3"]
    run("record", SCHEDULER, "-o", path, *options)
    trace = etrace.open(path)
    pauses = len(trace.decode().pauses)
    assert f", {pauses:,} pauses" in run("verify", path).stdout
    assert json.loads(run("verify", path, "--json").stdout)["pauses"] == pauses
    packets, formats = cut_out(trace)
    at = [n for n, each in enumerate(formats) if each[0] == Format.SUPPORT][2]
    path.write_bytes(trace.header.pack() + b"".join(packets[:at] + packets[at + 1 :]))
    last = int(trace.decode().pauses["packet"][0])
    assert pauses > 2
    said = run("verify", path, code=1).stdout
    assert "no pause in tracing, expected one: the context changes here with ctype 3" in said
    assert f"look for its support packet behind packet {last}, offset " in said
    assert "  (- expected, + this trace)" in said


def test_a_pc_trace_says_nothing_of_pauses_but_a_whole_trace_has_none(
    run: Run, tmp_path: Path
) -> None:
    trace = record("ctype 3")
    log, path = tmp_path / "log.csv", tmp_path / "t.etrace"
    path.write_bytes(trace.header.pack() + b"".join(trace.chunks()))
    run("decode", path, "--format", "csv", "-o", log)
    assert trace.verify(log).same
    whole = replace(trace.header, sideband=None)
    path.write_bytes(whole.pack() + b"".join(trace.chunks()))
    said = run("verify", path, "--against", log, "--json", code=1).stdout
    difference = json.loads(said)["difference"]
    assert "expected no pause" in difference["what"]
    assert difference["packet"] == int(trace.decode().pauses["packet"][0])
    assert difference["offset"] == int(trace.decode().pauses["offset"][0])
