"""Context and time: in listings, compared with the run, counted; and pauses among events."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import etrace
from etrace.checking.comparison import compare
from etrace.recording.filtering import Selection
from etrace.recording.sideband import Telling
from etrace.trace.fields import Fields
from etrace.trace.outcome import Comparison
from etrace.trace.stretch import EVENT, REPORT, TOLD, Stretch
from etrace.trace.trace import Trace, in_memory
from specs.configuration.parameters import parse
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from specs.trace.packets import Column, Format
from tests.etrace.conftest import Run

SCHEDULER = Path(__file__).resolve().parents[1] / "programs" / "scheduler-rv32.elf"
CODE = CodeMap([(0x1000, b"\x13\0\0\0" * 64)], 32)
FIELDS = Fields(8, 8)


@dataclass
class Case:
    """A run and a trace of it: rows of `TOLD` and `REPORT`; traps by the instructions before."""

    size: int
    traps: list[int]
    told: list[tuple[int, int, int, int, int]]
    reports: list[tuple[int, int, int, int, int]]

    def side(self, cuts: list[int], expected: bool) -> Iterator[Stretch]:
        """One side in stretches; what stands between two of them comes with either."""
        edges = [0, *sorted({min(cut, self.size) for cut in cuts} - {0, self.size}), self.size]
        rows = self.told if expected else self.reports
        for low, high in pairwise(edges):
            last = high == self.size

            def mine(position: int, low: int = low, high: int = high, last: bool = last) -> bool:
                return low <= position < high or (last and position == high)

            events = np.zeros(sum(map(mine, self.traps)), EVENT)
            events["position"] = [each for each in self.traps if mine(each)]
            table = np.array([row for row in rows if mine(row[0])], TOLD if expected else REPORT)
            stretch = Stretch(
                np.arange(low, high, dtype=np.uint64) * np.uint64(4) + np.uint64(0x1000),
                np.full(high - low, 3, np.uint8),
                events,
            )
            if expected:
                stretch.told = table
            else:
                stretch.reports = table
            yield stretch

    def compare(self, one: list[int], other: list[int]) -> Comparison:
        return compare(self.side(one, True), self.side(other, False), CODE, fields=FIELDS)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case without a difference."""
    size = draw(st.integers(2, 40))
    traps = sorted(draw(st.sets(st.integers(1, size - 1), max_size=5)))
    told, reports = [], []
    context = time = 0
    for position in range(size):
        number = sum(each < position for each in traps)
        if position in traps and draw(st.booleans()):
            context, time = draw(st.integers(0, 255)), draw(st.integers(0, 1000))
            told.append((position, number, context, time, 0))
        if position in traps and draw(st.booleans()):
            reports.append((position, number, context, time & 255, 1))
        number += position in traps
        ctype = draw(st.sampled_from([0, 0, 1, 1, 2, 3]))
        if ctype or draw(st.booleans()):
            context, time = draw(st.integers(0, 255)), draw(st.integers(0, 1000))
            told.append((position, number, context, time, ctype))
        precise = ctype > 1 or draw(st.booleans())
        if precise:
            reports.append((position, -1, context, time & 255, 1))
        elif ctype:
            # where a decoder is by then: not behind the report before
            before = reports[-1][0] if reports else 0
            at = draw(st.integers(before, position + 1))
            reports.append((at, -1, context, time & 255, 0))
    return Case(size, traps, told, reports)


cut_lists = st.lists(st.integers(0, 40), max_size=4)


def well_ordered(case: Case) -> bool:
    positions = [row[0] for row in case.reports]
    return positions == sorted(positions)


@given(cases().filter(well_ordered), cut_lists, cut_lists)
def test_what_is_right_is_found_right(case: Case, one: list[int], other: list[int]) -> None:
    result = case.compare(one, other)
    assert result.difference is None
    assert result.reports == len(case.reports)


@given(cases().filter(well_ordered), cut_lists, cut_lists, st.data())
def test_a_wrong_value_is_found(
    case: Case, one: list[int], other: list[int], data: st.DataObject
) -> None:
    if not case.reports:
        return
    where = data.draw(st.integers(0, len(case.reports) - 1))
    row = list(case.reports[where])
    row[data.draw(st.sampled_from([2, 3]))] ^= 1 << data.draw(st.integers(0, 7))
    case.reports[where] = (row[0], row[1], row[2], row[3], row[4])
    result = case.compare(one, other)
    assert result.difference is not None
    assert f"context {row[2]:#x}, time {row[3]}" in result.difference.what
    if row[4]:
        assert result.difference.position == row[0]
    else:
        assert result.difference.position >= row[0] - 1


@given(cases().filter(well_ordered), cut_lists, cut_lists, st.data())
def test_a_missing_report_is_found(
    case: Case, one: list[int], other: list[int], data: st.DataObject
) -> None:
    wanted = [row for row in case.told if row[4]]
    if not wanted:
        return
    position, _, context, time, ctype = data.draw(st.sampled_from(wanted))
    precise = {row[0] for row in case.reports if row[4] and row[1] < 0}
    imprecise = [row for row in case.told if row[4] == 1 and row[0] not in precise]
    if (position, _, context, time, ctype) in imprecise:
        number = imprecise.index((position, _, context, time, ctype))
        del case.reports[[n for n, row in enumerate(case.reports) if not row[4]][number]]
    else:
        case.reports = [
            row for row in case.reports if not (row[4] and row[1] < 0 and row[0] == position)
        ]
    result = case.compare(one, other)
    assert result.difference is not None
    assert result.difference.position >= position


@pytest.mark.parametrize("ctype", [1, 2])
@pytest.mark.parametrize("goes_on", [False, True])
def test_the_report_of_the_last_instruction(ctype: int, goes_on: bool) -> None:
    """It is due if the trace is complete: it may also have been cut short."""
    case = Case(4, [], [(3, 0, 5, 7, ctype)], [])
    longer = Case(9 if goes_on else 4, [], case.told, [])
    for complete in (True, False):
        asked: list[bool] = []

        def answer(whole: bool, asked: list[bool] = asked, complete: bool = complete) -> bool:
            asked.append(whole)
            return complete

        result = compare(
            longer.side([], True), case.side([], False), CODE, fields=FIELDS, complete=answer
        )
        assert set(asked) == {not goes_on}
        assert (result.difference is None) == (not complete)
        if result.difference is not None:
            found = result.difference.position, result.difference.what
            assert found == (3, "no report of context 0x5, time 7")


def test_the_last_report_of_a_run() -> None:
    """The run ends, or is ended, with the very instruction that has one."""
    telling = Telling(context_csr="mscratch", context_type=1)
    whole = etrace.record(SCHEDULER, telling=telling)
    flow = whole.decode()
    run = int(flow.contexts["run"][len(flow.contexts) // 2])
    behind = int(flow.runs["count"][:run].sum())
    found = 0
    for count in range(behind - 2, behind + 3):
        trace = etrace.record(SCHEDULER, telling=telling, max_instructions=count)
        assert trace.verify().same
        packets = np.concatenate([rows.copy() for rows in trace.packets()])
        if packets[-2][Column.table] != Format.CONTEXT:
            continue
        found += 1
        low = int(packets[-2][Column.offset])
        high = low + int(packets[-2][Column.length])
        data = b"".join(trace.chunks())
        data = trace.header.pack() + data[:low] + data[high:]
        difference = in_memory("t", data, trace.header, trace.code).verify().comparison.difference
        assert difference is not None and difference.position == count - 1
        assert "no report of context" in difference.what
        # cut short there, it is not known whether the report was to come
        goes_on = replace(trace.header, max_instructions=None)
        cut = trace.header.pack() + b"".join(trace.chunks())[:low]
        result = in_memory("t", cut, goes_on, trace.code).verify()
        assert result.comparison.difference is None and "cut short" in result.remark
    assert found == 1


def test_reports_of_nothing_are_found() -> None:
    case = Case(9, [], [(0, 0, 5, 5, 0)], [(3, -1, 5, 5, 0)])
    result = case.compare([], [2])
    assert result.difference is not None
    what = "context 0x5, time 5 (imprecise), expected none"
    assert (result.difference.position, result.difference.what) == (3, what)


def test_bits_and_fields_that_packets_do_not_have_do_not_count() -> None:
    sides = Case(4, [], [(0, 0, 0x1FF, 7, 0)], [(1, -1, 0xFF, 0, 1)])
    for fields, same in ((Fields(8, 0), True), (Fields(9, 0), False), (Fields(8, 3), False)):
        result = compare(sides.side([], True), sides.side([], False), CODE, fields=fields)
        assert (result.difference is None) == same


TOLD_BY = (
    Telling(time="cycles", time_every=50),
    Telling(context_csr="mscratch", context_type=1, time="instret", time_every=20),
    Telling(context_csr="mscratch", context_type=2),
    Telling(context_csr="mscratch", context_type=3),
)


@pytest.fixture(scope="module", params=range(len(TOLD_BY)), ids=["time", "1", "2", "3"])
def trace(request: pytest.FixtureRequest) -> Trace:
    """A run that tells context or time, recorded."""
    return etrace.record(SCHEDULER, telling=TOLD_BY[request.param])


def test_recordings_verify(trace: Trace) -> None:
    result = trace.verify()
    assert result.same, result.comparison.difference
    contexts = trace.decode().contexts
    assert result.comparison.reports == len(contexts) > 100
    if trace.header.sideband is not None and trace.header.sideband.context_type == 1:
        assert 0 < contexts["precise"].sum() < len(contexts)


def with_contexts(trace: Trace, change: Callable[[npt.NDArray[np.void]], object]) -> Comparison:
    """Compare with contexts changed: `change` gets all of them and gives the new ones."""
    flow = trace.decode()
    contexts = change(flow.contexts.copy())
    changed = Flow(flow.runs, flow.traps, contexts, flow.gaps, pauses=flow.pauses)  # type: ignore[arg-type]
    damaged = Trace(trace.name, trace.header, trace.code)
    damaged.flows = lambda ending=None: iter([changed])  # type: ignore[method-assign]
    result = damaged.verify()
    assert not result.same
    return result.comparison


@pytest.mark.parametrize("column", ["context", "time"])
def test_each_wrong_value_is_found(trace: Trace, column: str) -> None:
    fields = trace.fields
    if not getattr(fields, column):
        return
    contexts = trace.decode().contexts
    for row in (0, len(contexts) // 2, len(contexts) - 1):

        def flip(rows: npt.NDArray[np.void], row: int = row) -> npt.NDArray[np.void]:
            rows[column][row] ^= 1
            return rows

        result = with_contexts(trace, flip)
        assert result.reports == row
        assert result.difference is not None and "expected" in result.difference.what


def test_a_missing_report_of_a_run_is_found(trace: Trace) -> None:
    if trace.header.sideband is None or trace.header.sideband.context_csr is None:
        return
    contexts = trace.decode().contexts
    imprecise = np.flatnonzero(contexts["precise"] == 0)
    if not len(imprecise):
        return
    result = with_contexts(trace, lambda rows: np.delete(rows, imprecise[len(imprecise) // 2]))
    assert result.difference is not None


def test_decode_shows_them(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    options = ["--context-csr", "mscratch", "--context-type", "1", "--max-instructions", "20000"]
    run("record", SCHEDULER, "-o", path, *options)
    contexts = etrace.open(path).decode().contexts
    lines = [line for line in run("decode", path).stdout.splitlines() if "-- context" in line]
    assert len(lines) == len(contexts)
    for line, row in zip(lines, contexts, strict=True):
        end = "" if row["precise"] else " (imprecise)"
        assert line.split("-- ")[1] == f"context {int(row['context']):#x}{end}"
    text = run("decode", path, "--format", "jsonl").stdout
    rows = [json.loads(line) for line in text.splitlines() if line.startswith('{"report"')]
    assert [int(row["context"], 16) for row in rows] == contexts["context"].tolist()
    assert all("time" not in row for row in rows)
    assert [row["offset"] for row in rows] == contexts["offset"].tolist()
    count = int(etrace.open(path).decode().instructions)
    assert len(run("decode", path, "--format", "pc").stdout.split()) == count
    assert "context" not in run("decode", path, "--format", "csv").stdout
    values = json.loads(run("info", path, "--json").stdout)
    assert values["sideband"]["context_csr"] == 0x340
    assert sum(values["reports"].values()) == len(contexts)
    told = run("info", path).stdout
    assert "context: mscratch, ctype 1" in told
    assert f"{values['reports']['imprecise']:,} imprecise reports" in told
    assert "reports of context and time" in run("verify", path).stdout
    assert json.loads(run("verify", path, "--json").stdout)["reports"] == len(contexts)


def test_fields_are_learned_from_support_packets(run: Run, tmp_path: Path) -> None:
    """By protocol 2.1 a bare stream says itself whether there is a time."""
    raw, params = tmp_path / "raw", tmp_path / "p.toml"
    params.write_text('protocol = "2.1"\n')
    run("record", SCHEDULER, "-o", raw, "--raw", "--protocol", "2.1", "--time", "instret",
        "--max-instructions", "5000")  # fmt: skip
    rest = ["--params", params, "--elf", SCHEDULER, "--platform", "spike"]
    assert "-- time " in run("decode", raw, *rest).stdout


def test_pauses_are_shown_and_break_what_events_led_to(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    run("record", SCHEDULER, "-o", path, "--filter-interrupts")
    pauses = len(etrace.open(path).decode().pauses)
    assert pauses > 3
    text = run("events", path).stdout
    assert text.count("-- not traced here") == pauses
    rows = [json.loads(line) for line in run("events", path, "--json").stdout.splitlines()]
    paused = [n for n, row in enumerate(rows) if row["kind"] == "pause"]
    assert len(paused) == pauses
    for n in paused:
        assert rows[n - 1]["kind"] == "trap_return" and rows[n - 1]["to_pc"] is None
        assert rows[n + 1]["kind"] == "interrupt"
    values = json.loads(run("info", path, "--json").stdout)
    assert values["pauses"] == pauses
    assert f"{pauses:,}: not traced there" in run("info", path).stdout
    times = run("events", path, "--as", "handler_time", "--json").stdout
    handlers = json.loads(times)["0"]["interrupt"]["7"]
    assert handlers["count"] > 3 and handlers["unfinished"] <= 1


def test_a_trap_before_a_pause_leads_nowhere() -> None:
    """The handler is not traced, only what comes much later."""
    trace = etrace.record(SCHEDULER, selection=Selection(symbols=("main",)))
    events = list(trace.events())
    assert trace.verify().same
    inside = set(trace.pcs().tolist())
    assert all(event.to_pc is None or event.to_pc in inside for event in events)
    assert any(event.to_pc is None for event in events) or not events


def test_events_of_a_program_take_the_options_of_a_run(run: Run, tmp_path: Path) -> None:
    options = ["--time", "cycles", "--max-instructions", "9000"]
    run("events", SCHEDULER, *options)
    path = tmp_path / "t.etrace"
    run("record", SCHEDULER, "-o", path, *options)
    message = run("events", path, "--time", "cycles", code=2).stderr
    assert "is a trace; --time does not apply" in message
    assert "no symbol" in run("events", SCHEDULER, "--trigger", "on@nowhere", code=2).stderr


def test_tables_of_a_parameter_file_are_explained(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        '[tvec]\nmtvec = 0x80000101\n[encoder]\nshorter_packet = true\n[sink]\nkind = "drop"\n'
        "[trace]\ntrTeInstFilters = 1\n[[comparator]]\ntrTeCompPMatch = 0x80000000\n"
        "[[filter]]\ntrTeFilterMatchComp1 = true\n"
    )
    run("params", "check", path)
    chosen = parse(path.read_text())
    text = chosen.to_toml()
    assert parse(text) == chosen and parse(chosen.to_toml(commented=False)) == chosen
    for line in ("mtvec = 0x80000101", "trTeCompPMatch = 0x80000000", 'kind = "drop"'):
        assert f"\n{line}\n" in text
    for name, said in (
        ("mtvec", "[tvec] mtvec: trap vector CSR of machine mode\n    0-0xffffffffffffffff"),
        ("capacity", "[sink] capacity: bytes that the buffer holds"),
        ("shorter_packet", "[encoder] shorter_packet"),
        ("trTeInstFilters", "[trace] trTeInstFilters"),
        ("trTeFilterMatchEcause", "[filter] trTeFilterMatchEcause"),
        ("trTeCompMatchMode", "[comparator] trTeCompMatchMode"),
    ):
        assert said in run("params", "show", name).stdout
    path.write_text("[sink]\nkid = 'drop'\n[tvec]\nmtvek = 1\n[[filters]]\n")
    message = run("params", "check", path, code=2).stderr
    for hint in ("did you mean kind?", "did you mean mtvec?", "did you mean filter?"):
        assert hint in message
