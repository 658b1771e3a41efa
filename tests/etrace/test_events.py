"""Events of a decoded trace are those of the run that it was recorded from."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

import etrace
from decoder import Decoder
from etrace.analyses.events import (
    DISCONTINUITY,
    Discontinuities,
    events_from_machine,
    events_from_trace,
    tables,
)
from etrace.recording.recorder import new_machine
from specs.configuration.parameters import parse
from specs.interfaces.events import EXCEPTION, INTERRUPT, TRAP_RETURN, Event, TraceEvent
from specs.interfaces.flow import GAP, RUN, TRAP, Ended, Flow, Reason
from specs.isa.control import CodeMap

TESTS = Path(__file__).resolve().parents[1]
PROGRAMS = (
    *sorted((TESTS / "firmware").glob("*.elf")),
    *sorted((TESTS / "golden").glob("*-traps/*.elf")),
    *sorted((Path(etrace.__file__).parent / "data").glob("*.elf")),
)
SETTINGS = {
    "default": "",
    "often": '[resync]\nunit = "packets"\nperiod = 2\n',
    "instructions": '[resync]\nunit = "instructions"\nperiod = 7\n',
}


def agree(live: Iterable[Event], decoded: Iterable[TraceEvent]) -> list[Event]:
    """The events of the run, after comparing: where a trace may be silent, and where not."""
    expected, found = list(live), list(decoded)
    assert len(found) == len(expected)
    last = len(found) - 1
    for at, (event, told) in enumerate(zip(expected, found, strict=True)):
        joined = at > 0 and expected[at - 1].instret == event.instret
        after_joined = at < last and expected[at + 1].instret == event.instret
        silent = {
            "time": True,
            "pending_since": True,
            "to_pc": at == last and told.to_pc is None,
            "priv_before": joined and event.kind != TRAP_RETURN,
            "priv_after": at == last or after_joined,
        }
        for name, value in told._asdict().items():
            if value is None:
                assert silent.get(name), (at, name, event, told)
            else:
                assert value == getattr(event, name), (at, name, event, told)
    return expected


def chained(events: Iterable[Event]) -> Iterator[bool]:
    """Where nothing retired between two events: whether the second is where the first led."""
    before = None
    for event in events:
        # A trap return retires, so it is one instruction on.
        if before is not None and event.instret == before.instret:
            yield before.to_pc == event.from_pc
        before = event


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("elf", PROGRAMS, ids=lambda path: path.stem)
def test_a_trace_has_the_events_of_the_run(elf: Path, settings: str) -> None:
    xlen = 32 if "rv32" in elf.stem else 64
    budget = 300_000 if elf.stem.startswith("demo") else None
    # with a packet for each round, so that the number of instructions before an event is known
    params = parse(SETTINGS[settings] + '[encoder]\nloops = "exact"\n', xlen)
    trace = etrace.record(elf, params=params, max_instructions=budget)
    machine = new_machine(trace.code, trace.header)
    events = agree(events_from_machine(machine, budget), trace.events())
    assert len(events) > 10
    assert all(chained(events))


@pytest.mark.parametrize("budget", [*range(1, 40), 200, 201, 202, 203])
def test_a_run_that_its_budget_ends(budget: int, firmware: Path) -> None:
    """The last event may be a trap, or a trap return, that leads nowhere any more."""
    trace = etrace.record(firmware / "fault_first-rv64.elf", max_instructions=budget)
    machine = new_machine(trace.code, trace.header)
    agree(events_from_machine(machine, budget), events_from_trace(trace))


@pytest.mark.parametrize("piece", [1, 2, 7, 64])
def test_events_do_not_depend_on_how_the_stream_arrives(piece: int, firmware: Path) -> None:
    trace = etrace.record(firmware / "storm-rv32.elf", max_instructions=4000)
    stream = b"".join(trace.chunks())
    decoder = Decoder(trace.configuration, trace.code.map)

    def flows() -> Iterator[Flow]:
        for at in range(0, len(stream), piece):
            yield from decoder.feed(stream[at : at + piece])
        yield from decoder.finish()

    whole = np.concatenate(list(tables(trace.flows(), trace.code.map)))
    parts = np.concatenate(list(tables(flows(), trace.code.map)))
    assert len(whole) > 100
    assert (parts == whole).all()


# By hand. The program: mret at 0x0, then addi x0,x0,0.
MRET, NOP = 0x30200073, 0x00000013
CODE = CodeMap([(0, MRET.to_bytes(4, "little") + NOP.to_bytes(4, "little") * 63)], 64)


def flow(
    runs: Iterable[tuple[int, int, Ended]],
    traps: Iterable[tuple[int, int, int, int]] = (),
    gaps: Iterable[tuple[int, int]] = (),
    first_run: int = 0,
) -> Flow:
    """Runs (start, count, ended), traps (run, epc, packet, interrupt), gaps (run, packet)."""
    run_rows = [(start, count, ended, 3) for start, count, ended in runs]
    trap_rows = [
        (run, epc, 0, 7, packet, 0, interrupt, 3, 1, 1) for run, epc, packet, interrupt in traps
    ]
    gap_rows = [(run, packet, 0, 0, Reason.BAD_PACKET) for run, packet in gaps]
    return Flow(
        np.array(run_rows, RUN),
        np.array(trap_rows, TRAP),
        gaps=np.array(gap_rows, GAP),
        first_run=first_run,
    )


def told(*flows: Flow) -> list[tuple[int, int | None, int | None, int]]:
    """Kind, from_pc, to_pc, instret of each event."""
    parts = list(tables(flows, CODE))
    assert all(part.dtype == DISCONTINUITY for part in parts)
    return [
        (
            int(row["kind"]),
            int(row["from_pc"]) if row["known"] & 1 else None,
            int(row["to_pc"]) if row["known"] & 2 else None,
            int(row["instret"]),
        )
        for part in parts
        for row in part
    ]


def test_traps_with_nothing_between_lead_to_one_another() -> None:
    chunk = flow([(0x10, 3, Ended.TRAP), (0x80, 1, Ended.END)], [(1, 0x1C, 5, 1), (1, 0x40, 6, 0)])
    assert told(chunk) == [(INTERRUPT, 0x1C, 0x40, 3), (EXCEPTION, 0x40, 0x80, 3)]


def test_a_trap_as_the_first_row_and_one_as_the_last() -> None:
    chunk = flow([(0x40, 2, Ended.TRAP)], [(0, 0x10, 1, 0), (1, 0x48, 3, 0)])
    assert told(chunk) == [(EXCEPTION, 0x10, 0x40, 0), (EXCEPTION, 0x48, None, 2)]


def test_a_return_into_a_trap() -> None:
    chunk = flow([(0x0, 1, Ended.TRAP_RETURN), (0x40, 1, Ended.END)], [(1, 0x20, 3, 1)])
    assert told(chunk) == [(TRAP_RETURN, 0x0, 0x20, 1), (INTERRUPT, 0x20, 0x40, 1)]


@pytest.mark.parametrize("ended", [Ended.PACKET, Ended.GAP, Ended.END])
def test_a_return_that_the_trace_breaks_off_behind(ended: Ended) -> None:
    assert told(flow([(0x0, 1, ended)])) == [(TRAP_RETURN, 0x0, None, 1)]
    assert told(flow([(0x10, 1, ended)])) == []


def test_nothing_leads_across_a_gap() -> None:
    runs = [(0x0, 1, Ended.TRAP_RETURN), (0x20, 4, Ended.TRAP), (0x40, 1, Ended.END)]
    chunk = flow(runs, [(2, 0x30, 9, 0)], [(1, 4), (2, 11)])
    assert told(chunk) == [(TRAP_RETURN, 0x0, None, 1), (EXCEPTION, 0x30, None, 5)]


def test_a_trap_behind_a_gap_leads_on() -> None:
    chunk = flow([(0x0, 1, Ended.GAP), (0x40, 1, Ended.END)], [(1, 0x30, 9, 0)], [(1, 4)])
    assert told(chunk) == [(TRAP_RETURN, 0x0, None, 1), (EXCEPTION, 0x30, 0x40, 1)]


def test_nothing_leads_from_one_trace_to_the_next() -> None:
    chunk = flow([(0x0, 1, Ended.END), (0x40, 1, Ended.END)])
    assert told(chunk) == [(TRAP_RETURN, 0x0, None, 1)]


def test_what_a_chunk_leaves_open_the_next_one_tells() -> None:
    first = flow([(0x10, 2, Ended.TRAP)], [(1, 0x18, 5, 1)])
    assert told(first, flow([(0x80, 1, Ended.END)], first_run=1)) == [(INTERRUPT, 0x18, 0x80, 2)]
    another = flow([(0x80, 1, Ended.END)], [(1, 0x60, 6, 0)], first_run=1)
    assert told(first, another)[0] == (INTERRUPT, 0x18, 0x60, 2)
    lost = flow([(0x80, 1, Ended.END)], gaps=[(1, 6)], first_run=1)
    assert told(first, lost) == [(INTERRUPT, 0x18, None, 2)]


def test_an_open_event_waits() -> None:
    events = Discontinuities(CODE)
    assert not len(events.add(flow([(0x0, 1, Ended.TRAP_RETURN)])))
    assert not len(events.add(flow([], first_run=1)))
    assert len(events.finish()) == 1


def test_a_damaged_trace_gives_events_in_order(firmware: Path) -> None:
    """Each trap of the flow is an event, whatever the flow has become."""
    trace = etrace.record(firmware / "storm-rv32.elf", max_instructions=3000)
    whole = b"".join(trace.chunks())
    rng = random.Random(1)
    gaps = 0
    for _ in range(60):
        stream = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            stream[rng.randrange(len(stream))] = rng.randrange(256)
        if rng.random() < 0.3:
            del stream[rng.randrange(len(stream)) : rng.randrange(len(stream))]
        piece = rng.choice([13, 200, 100_000])
        decoder = Decoder(trace.configuration, trace.code.map)
        flows = []
        for at in range(0, len(stream), piece):
            flows += list(decoder.feed(bytes(stream[at : at + piece])))
        flows += list(decoder.finish())
        found = np.concatenate(list(tables(flows, trace.code.map)))
        assert (found["kind"] != TRAP_RETURN).sum() == sum(len(flow.traps) for flow in flows)
        assert (np.diff(found["instret"].astype(np.int64)) >= 0).all()
        gaps += sum(len(flow.gaps) for flow in flows)
    assert gaps > 60
