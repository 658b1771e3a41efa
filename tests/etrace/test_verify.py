"""Comparing two instruction streams: however they are cut, the first difference is found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import etrace
from etrace.checking.comparison import compare
from etrace.checking.differences import difference_lines
from etrace.trace.outcome import Comparison
from etrace.trace.stretch import EVENT, Stretch
from specs.isa.control import CodeMap
from tests.etrace.conftest import Run

NOP = 0x13
CODE = CodeMap([(0x1000, NOP.to_bytes(4, "little") * 64)], 64)


@dataclass
class Stream:
    """Instructions as (pc, priv), traps as (position, cause, interrupt, epc, tval, priv)."""

    instructions: list[tuple[int, int]]
    traps: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)

    def cut(self, cuts: list[int]) -> Iterator[Stretch]:
        """The stream in stretches. A trap comes with the instructions before it or after it."""
        total = len(self.instructions)
        edges = [0, *sorted(min(cut, total) for cut in cuts), total]
        pending = sorted(self.traps)
        for low, high in pairwise(edges):
            last = high == total
            mine = [trap for trap in pending if trap[0] < high or last]
            pending = [trap for trap in pending if trap not in mine]
            pcs, privs = zip(*self.instructions[low:high], strict=True) if high > low else ((), ())
            events = np.zeros(len(mine), EVENT)
            for event, (position, cause, interrupt, epc, tval, priv) in zip(
                events, mine, strict=True
            ):
                event["position"], event["cause"], event["interrupt"] = position, cause, interrupt
                event["epc"], event["tval"], event["priv"] = epc, tval, priv
                event["epc_known"] = 1
            yield Stretch(np.array(pcs, np.uint64), np.array(privs, np.uint8), events)


def same(result: Comparison) -> bool:
    return result.difference is None and result.actual_ended and result.expected_ended


addresses = st.integers(0, 63).map(lambda n: 0x1000 + 4 * n)
instructions = st.lists(st.tuples(addresses, st.sampled_from([0, 3])), max_size=30)
cuts = st.lists(st.integers(0, 30), max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    rows = draw(instructions)
    positions = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=4, unique=True)))
    traps = [
        (position, draw(st.integers(0, 15)), 0, draw(addresses), draw(st.integers(0, 9)), 3)
        for position in positions
    ]
    return Stream(rows, traps)


@given(streams(), cuts, cuts)
def test_a_stream_equals_itself_however_it_is_cut(
    stream: Stream, one: list[int], other: list[int]
) -> None:
    result = compare(stream.cut(one), stream.cut(other), CODE)
    assert same(result)
    assert (result.instructions, result.traps) == (len(stream.instructions), len(stream.traps))


@given(streams(), cuts, cuts, st.data())
def test_a_changed_instruction_is_found_where_it_is(
    stream: Stream, one: list[int], other: list[int], data: st.DataObject
) -> None:
    if not stream.instructions:
        return
    where = data.draw(st.integers(0, len(stream.instructions) - 1))
    rows = list(stream.instructions)
    pc, priv = rows[where]
    rows[where] = (pc ^ 4, priv) if data.draw(st.booleans()) else (pc, priv ^ 3)
    result = compare(stream.cut(one), Stream(rows, stream.traps).cut(other), CODE)
    assert result.difference is not None
    assert result.difference.position == where == result.instructions
    assert result.difference.expected[0] == stream.instructions[where][0]
    assert result.difference.actual[0] == rows[where][0]
    assert result.difference.before == [pc for pc, _ in rows[max(0, where - 5) : where]]


@given(streams(), cuts, cuts, st.data())
def test_a_changed_moved_or_missing_trap_is_found(
    stream: Stream, one: list[int], other: list[int], data: st.DataObject
) -> None:
    if not stream.traps or not stream.instructions:
        return
    where = data.draw(st.integers(0, len(stream.traps) - 1))
    traps = list(stream.traps)
    trap = list(traps.pop(where))
    column = data.draw(st.sampled_from([None, 0, 1, 2, 3, 4, 5]))
    if column == 0:
        trap[0] += 1 if trap[0] < len(stream.instructions) else -1
    elif column is not None:
        trap[column] ^= 1
    if column is not None:
        traps.append((trap[0], trap[1], trap[2], trap[3], trap[4], trap[5]))
    changed = Stream(stream.instructions, sorted(traps))
    if changed.traps == stream.traps:
        return
    result = compare(stream.cut(one), changed.cut(other), CODE)
    assert result.difference is not None
    assert result.difference.position == min(trap[0], stream.traps[where][0])
    assert result.difference.what
    backwards = compare(changed.cut(other), stream.cut(one), CODE)
    assert backwards.difference is not None
    assert backwards.difference.position == result.difference.position


def test_a_trap_is_told_before_the_instruction_to_which_it_leads() -> None:
    rows = [(0x1000, 3), (0x1004, 3), (0x1008, 3)]
    trap = (2, 2, 0, 0x1008, 0, 3)
    other = [*rows[:2], (0x1020, 3)]
    result = compare(Stream(rows).cut([]), Stream(other, [trap]).cut([]), CODE)
    assert result.difference is not None and result.difference.position == 2
    assert "expected none" in result.difference.what
    result = compare(Stream(other, [trap]).cut([]), Stream(rows).cut([]), CODE)
    assert result.difference is not None and result.difference.position == 2
    assert "no trap, expected exception 2" in result.difference.what


@given(streams(), cuts, st.integers(0, 30))
def test_a_stream_that_ends_early_is_no_difference_but_seen(
    stream: Stream, one: list[int], size: int
) -> None:
    rows = stream.instructions[:size]
    if len(rows) == len(stream.instructions):
        return
    short = Stream(rows, [trap for trap in stream.traps if trap[0] < len(rows)])
    result = compare(stream.cut(one), short.cut([]), CODE)
    assert result.difference is None
    assert result.actual_ended
    assert result.instructions == len(rows)
    assert not result.expected_ended


def test_a_trap_after_the_last_instruction_counts_if_the_other_side_goes_on() -> None:
    rows = [(0x1000, 3), (0x1004, 3)]
    trap = (1, 2, 0, 0x1004, 0, 3)
    result = compare(Stream(rows).cut([]), Stream(rows[:1], [trap]).cut([]), CODE)
    assert result.difference is not None
    assert result.difference.position == 1
    assert "expected none" in result.difference.what
    assert compare(Stream(rows, [trap]).cut([]), Stream(rows[:1]).cut([]), CODE).difference is None
    missing = compare(Stream(rows[:1], [trap]).cut([]), Stream(rows).cut([]), CODE)
    assert missing.difference is not None
    assert "no trap, expected exception 2" in missing.difference.what


def test_tval_of_an_interrupt_and_bits_beyond_the_trace_do_not_count() -> None:
    rows = [(0x1000, 3)]
    one = Stream(rows, [(0, 7, 1, 0x1000, 1, 3), (1, 2, 0, 0x1004, 0x1_0000_0001, 3)])
    other = Stream(rows, [(0, 7, 1, 0x1000, 2, 3), (1, 2, 0, 0x1004, 0x0000_0001, 3)])
    assert same(compare(one.cut([]), other.cut([]), CODE, 0xFFFF_FFFF))
    wide = compare(one.cut([]), other.cut([]), CODE)
    assert wide.difference is not None
    assert wide.difference.position == 1


def test_what_a_side_does_not_know_is_not_compared() -> None:
    expected, actual = (Stretch(np.array([0x1000], np.uint64), np.array([3], np.uint8))
                        for _ in range(2))  # fmt: skip
    actual.privs[:] = 255
    assert same(compare([expected], [actual], CODE))


@pytest.mark.parametrize(("word", "equal"), [(NOP, True), (0x93, False)])
def test_instruction_words_are_compared_with_the_code(word: int, equal: bool) -> None:
    pcs = np.array([0x1000, 0x1004], np.uint64)
    privs = np.full(2, 3, np.uint8)
    expected = Stretch(pcs, privs, words=np.array([NOP, word], np.uint32))
    result = compare([expected], [Stretch(pcs, privs)], CODE)
    assert same(result) == equal
    if not equal:
        assert result.difference is not None
        assert "instruction at 0x1004 is not the expected 0x93" in result.difference.what


def test_a_difference_is_shown_with_its_surroundings() -> None:
    rows = [(0x1000 + 4 * n, 3) for n in range(12)]
    other = [*rows[:8], (0x2000, 3)]
    result = compare(Stream(rows).cut([5]), Stream(other).cut([3]), CODE)
    assert result.difference is not None
    lines = difference_lines(result.difference, lambda pc: f"<{pc:x}>")
    assert lines[0] == "instruction 8: address 0x2000, expected 0x1020"
    assert [line.split()[-1] for line in lines[1:6]] == [f"<{pc:x}>" for pc, _ in rows[3:8]]
    assert "         8 - <1020>" in lines[6]
    assert "         8 + <2000>" in lines[10]


def test_traps_before_a_gap_are_compared(tmp_path: Path, run: Run, firmware: Path) -> None:
    """They stand between the last run before the gap and the gap, by their packets."""
    trace = tmp_path / "t.etrace"
    params = tmp_path / "drop.toml"
    params.write_text('[sink]\nkind = "drop"\nrate = 1\nper = 1\ncapacity = 128\nresume = 88\n')
    run("record", firmware / "trap_loop-rv64.elf", "-o", trace, "--params", params, code=4)
    recorded = etrace.open(trace)
    flow = recorded.decode()
    assert len(flow.gaps) and flow.gaps["run"][0] == flow.traps["run"][0]
    before = int((flow.traps["packet"] < flow.gaps["packet"][0]).sum())
    assert before > 2
    result = recorded.verify()
    assert (result.comparison.difference, result.traps) == (None, before)
    assert "the same up to a gap" in run("verify", trace, code=3).stdout


def test_semihosting_directory_as_text(tmp_path: Path, firmware: Path) -> None:
    elf = firmware / "nested-rv64.elf"
    trace = etrace.record(elf, semihosting=str(tmp_path), max_instructions=1000)
    assert trace.verify(semihosting=str(tmp_path)).same
    assert trace.verify(semihosting=tmp_path).same
    with pytest.raises(TypeError, match="semihosting: must be a path"):
        trace.verify(semihosting=7)  # type: ignore[arg-type]
