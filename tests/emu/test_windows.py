"""Windows of instructions: pulses at exact counts, in a run that is otherwise what it was.

Rows are taken apart into instructions by the sizes in memory, so that it does not matter where
blocks end.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from emu.host.semihosting import SemihostingOptions
from emu.ingress.options import SidebandOptions, Time
from emu.machine import ExitReason, Machine
from emu.memory import MachineError
from emu.platforms.elf import Program, load
from specs.interfaces.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from tests.emu.build import Assembly
from tests.emu.test_events import close, rearming
from tests.emu.test_interrupts import raised
from tests.emu.test_random import noise
from tests.emu.test_semihosting import WRITEC, host_call
from tests.emu.test_sideband import SMALL
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, check_sijump, instructions, told

XLEN = pytest.mark.parametrize("xlen", [32, 64])
Window = tuple[int, int | None]
#: An instruction's address; of a trap also what kind of trap it is.
Flow = list[int | tuple[int, int]]


def flow_of(machine: Machine, rows: Iterable[Row]) -> tuple[Flow, list[tuple[int, int]]]:
    """The flow, and what the windows leave of it: (position, number of the instruction), traps
    included; from trace-on before a row until trace-off after it.
    """
    flow: Flow = []
    traced: list[tuple[int, int]] = []
    on, number = False, 0
    for row in rows:
        trigger = 0 if row.side is None else row.side.trigger
        on = on or bool(trigger & TRIGGER_ON)
        if row.is_trap:
            assert not trigger
            if on:
                traced.append((len(flow), -1))
            flow.append((row.iaddr, row.code))
            continue
        for address, _ in instructions(machine, row):
            if on:
                traced.append((len(flow), number))
            flow.append(address)
            number += 1
        on = on and not trigger & TRIGGER_OFF
    return flow, traced


def expected(flow: Flow, windows: Iterable[Window]) -> list[tuple[int, int]]:
    """What is in the windows: counted here, one by one."""
    traced, number = [], 0
    ends = [(skip, len(flow) + 1 if count is None else skip + count) for skip, count in windows]
    for position, each in enumerate(flow):
        if isinstance(each, tuple):
            # between instructions `number - 1` and `number`, both in the same window
            if any(skip < number < end for skip, end in ends):
                traced.append((position, -1))
            continue
        if any(skip <= number < end for skip, end in ends):
            traced.append((position, number))
        number += 1
    return traced


def run(program: Program, windows: Iterable[Window] = (), **options: Any) -> tuple[Machine, Any]:
    """The machine after its run, and its flow."""
    sideband = SidebandOptions(windows=tuple(windows))
    machine = Machine([program], sideband=sideband, **options)
    rows = told(machine.run(1_000_000))
    assert machine.exit_reason is ExitReason.EXIT
    return machine, flow_of(machine, rows)


def busy(xlen: int, turns: int = 40) -> Program:
    """Timer interrupts, exceptions, short and long blocks, inferable jumps; at the end a store to
    tohost in the middle of a block.
    """
    a = rearming(xlen, turns)
    for n in range(70):
        a.addi(rd=11, rs1=11, imm=n)
    a.auipc(rd=12, imm=0)
    a.jalr(rd=0, rs1=12, imm=8)
    a.c_addi(rd=11, rs1=11, imm=1)
    a.c_addi(rd=11, rs1=11, imm=1)
    close(a)
    return a.program()


def trapping(xlen: int) -> Program:
    a = with_handler(xlen)
    a.addi(rd=9, rs1=0, imm=3)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=-1)
    a.ecall()
    a.addi()
    a.ecall()
    a.ecall()
    a.lui(rd=12, imm=0x1000)
    a.lw(rd=12, rs1=12, imm=0)
    a.bne(rs1=9, rs2=0, to="loop")
    a.exit()
    return a.program()


PROGRAMS = {"interrupts": busy, "exceptions": trapping}
MANY = pytest.mark.parametrize("name", PROGRAMS)


def count(flow: Flow) -> int:
    return sum(not isinstance(each, tuple) for each in flow)


@XLEN
@MANY
def test_every_place_of_a_run(xlen: int, name: str) -> None:
    """Single instructions at every other number: each block is cut everywhere, in two runs."""
    program = PROGRAMS[name](xlen, *([4] if name == "interrupts" else []))
    plain, (flow, nothing) = run(program)
    assert not nothing and sum(plain.trap_counts.values()) >= 3
    length = count(flow)
    assert plain.instret == length
    for first in (0, 1):
        windows = [(n, 1) for n in range(first, length, 2)]
        machine, (cut, traced) = run(program, windows)
        assert cut == flow
        assert traced == expected(flow, windows)
        assert [number for _, number in traced] == list(range(first, length, 2))
        assert machine.instret == length and machine.trap_counts == plain.trap_counts
        assert [machine.register(n) for n in range(32)] == [plain.register(n) for n in range(32)]


@XLEN
@MANY
def test_any_windows(xlen: int, name: str) -> None:
    """Several at a time, neighbours among them, at any chunk size."""
    program = PROGRAMS[name](xlen)
    _, (flow, _) = run(program)
    length = count(flow)
    rng = random.Random(xlen)
    for trial in range(12):
        edges = sorted(rng.sample(range(length + 1), 2 * rng.randint(1, 4)))
        windows = [(low, high - low) for low, high in zip(edges[::2], edges[1::2], strict=True)]
        if trial % 3 == 0:
            low, size = windows[-1]
            windows[-1] = low, max(1, size // 2)
            windows.append((low + max(1, size // 2), None))
        rng.shuffle(windows)
        machine = Machine([program], sideband=SidebandOptions(windows=tuple(windows)))
        rows = told(machine.run())
        assert flow_of(machine, rows) == (flow, expected(flow, windows))
        check_sijump(machine, rows)
        small = Machine([program], sideband=SidebandOptions(windows=tuple(windows)), **SMALL)
        assert told(small.run()) == rows


@XLEN
def test_the_ends_of_a_run(xlen: int) -> None:
    program = busy(xlen)
    _, (flow, _) = run(program)
    length = count(flow)
    everything = expected(flow, [(0, None)])
    assert len(everything) == len(flow)
    for windows, left in (
        ([(0, 1)], [0]),
        ([(length - 1, 1)], [length - 1]),
        ([(length - 1, 1 << 40)], [length - 1]),
        ([(length - 2, None)], [length - 2, length - 1]),
        ([(length, 10)], []),
        ([(length + 1000, None)], []),
    ):
        _, (cut, traced) = run(program, windows)
        assert cut == flow and [number for _, number in traced] == left
    assert run(program, [(0, None)])[1] == (flow, everything)
    assert run(program, [(0, length)])[1][1] == everything


@XLEN
def test_traps_beside_a_window_are_outside(xlen: int) -> None:
    """Of two exceptions in a row, one before the window and one in it, one behind it."""
    program = trapping(xlen)
    _, (flow, _) = run(program)
    position = next(n for n, each in enumerate(flow) if isinstance(each, tuple))
    number = count(flow[:position])
    for windows, inside in (
        ([(number - 1, 1)], False),
        ([(number, 1)], False),
        ([(number - 1, 2)], True),
        ([(number - 1, 1), (number, 1)], False),
    ):
        _, (_, traced) = run(program, windows)
        assert ((position, -1) in traced) == inside
        assert [n for _, n in traced if n >= 0] == sorted(
            n for skip, size in windows for n in range(skip, skip + size)
        )


@XLEN
@pytest.mark.parametrize("seed", range(6))
def test_noise(seed: int, xlen: int) -> None:
    """Registers and traps of a run of noise stay what they are, whatever is cut.

    Noise changes its own code, so instructions cannot be read afterwards.
    """
    plain = Machine([noise(seed, xlen)], record=False)
    list(plain.run(4000))
    budget = plain.instret  # noise may end before
    rng = random.Random(seed)
    edges = sorted(rng.sample(range(budget), min(200, budget // 4 * 2)))
    windows = tuple((low, high - low) for low, high in zip(edges[::2], edges[1::2], strict=True))
    machine = Machine([noise(seed, xlen)], sideband=SidebandOptions(windows=windows))
    rows = told(machine.run(4000))
    pulses = [row.side.trigger for row in rows if row.side is not None]
    for pulse in (TRIGGER_ON, TRIGGER_OFF):
        assert sum(bool(each & pulse) for each in pulses) == len(windows) > 10
    assert machine.instret == plain.instret == budget
    assert machine.trap_counts == plain.trap_counts and machine.pc == plain.pc
    assert [machine.register(n) for n in range(32)] == [plain.register(n) for n in range(32)]


@XLEN
def test_host_calls_count_as_in_the_flow(xlen: int) -> None:
    """The ebreak of one is an instruction, though it does not retire."""
    a = Assembly(xlen)
    a.li(10, WRITEC)
    a.li(11, a.base)
    calls = [host_call(a) for _ in range(3)]
    a.exit()
    options = {"semihosting": SemihostingOptions(None, ""), "console": lambda data: None}
    machine, (flow, _) = run(a.program(), **options)
    assert machine.host_calls == 3 and count(flow) == machine.instret + 3
    assert set(calls) <= set(flow)
    for skip in range(count(flow)):
        for size in (1, 2, 4):
            windows = [(skip, size)]
            assert run(a.program(), windows, **options)[1] == (flow, expected(flow, windows))


@XLEN
def test_in_pieces(xlen: int) -> None:
    """A run in several, with hooks: they see what is yielded, and windows go on counting."""
    program = busy(xlen)
    windows = ((100, 50), (333, 1), (600, 300))
    machine = Machine([program], sideband=SidebandOptions(windows=windows))
    pieces: list[Row] = []
    machine.on_retire(lambda chunk: pieces.extend(told([chunk])))
    machine.on_discontinuity(lambda event: None)
    rows: list[Row] = []
    while machine.exit_reason is not ExitReason.EXIT:
        rows += told(machine.run(50))
    assert rows == pieces
    flow, traced = flow_of(machine, rows)
    assert traced == expected(flow, windows)


@XLEN
@pytest.mark.parametrize("behind", ["addi", "nop", "store", "branch"])
def test_a_store_to_a_device_ends_the_block_in_any_window(xlen: int, behind: str) -> None:
    """Also where a window begins or ends right behind it: what is left is no rest of the block."""
    program = raised(xlen, behind)[0].program()
    _, (flow, _) = run(program)
    assert sum(isinstance(each, tuple) for each in flow) == 2
    length = count(flow)
    for skip in range(length):
        for windows in ([(skip, 1)], [(skip, None)]):
            assert run(program, windows)[1] == (flow, expected(flow, windows))


@XLEN
def test_a_run_that_nobody_was_told_of(xlen: int) -> None:
    """What passed there is not made up for; a window in which it stopped begins with the rest."""
    program = busy(xlen)
    for stop, left in ((160, [(200, 20)]), (210, [(210, 10)]), (220, [])):
        options = SidebandOptions(windows=((100, 50), (200, 20)))
        machine = Machine([program], sideband=options, record=False)
        list(machine.run(stop))
        pieces: list[Row] = []
        machine.on_retire(lambda chunk, pieces=pieces: pieces.extend(told([chunk])))
        list(machine.run())
        flow, traced = flow_of(machine, pieces)
        assert traced == expected(flow, [(skip - stop, size) for skip, size in left])


def test_reset_at_an_edge() -> None:
    """What is left of a block that was cut there is forgotten; instructions go on counting."""
    a = Assembly(64)
    for _ in range(40):
        a.addi(rd=5, rs1=5, imm=1)
    a.exit()
    machine = Machine([a.program()], sideband=SidebandOptions(windows=((25, 30),)))
    list(machine.run(25))
    machine.reset()
    rows = told(machine.run())
    flow, traced = flow_of(machine, rows)
    assert [number for _, number in traced] == list(range(30))
    _, (whole, _) = run(a.program())
    assert flow == whole


def test_with_time_and_notify(firmware: Path) -> None:
    """Pulses share a side band with what else is told, and time in cycles adds up."""
    program = load(firmware / "storm-rv64.elf")
    at = program.symbols["main"].address if "main" in program.symbols else program.entry
    told_too = {"time": Time.CYCLES, "time_every": 1, "triggers": ((at, TRIGGER_NOTIFY),)}
    plain = Machine([program], sideband=SidebandOptions(**told_too))
    rows = told(plain.run())
    machine = Machine([program], sideband=SidebandOptions(windows=((500, 800),), **told_too))
    cut = told(machine.run())
    flow, traced = flow_of(machine, cut)
    assert flow == flow_of(plain, rows)[0]
    assert traced == expected(flow, [(500, 800)])
    last = [[row.side.time for row in each if row.side is not None][-1] for each in (rows, cut)]
    assert last[0] == last[1]
    notify = [row.iaddr for row in cut if row.side and row.side.trigger & TRIGGER_NOTIFY]
    assert notify == [row.iaddr for row in rows if row.side and row.side.trigger & TRIGGER_NOTIFY]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": ((5, 0),)}, "window 5:0: has no instructions; give a count of 1 or more"),
        ({"windows": ((-1, 3),)}, "window -1:3: numbers must be"),
        ({"windows": ((1, -3),)}, "window 1:-3: numbers must be"),
        ({"windows": ((1 << 60, 3),)}, "numbers must be"),
        ({"windows": ((3, 1 << 60),)}, "numbers must be"),
        ({"windows": ((20, 10), (5, 16))}, "overlap; give one for both, 5:25"),
        ({"windows": ((5, 10), (5, 10))}, "overlap; give one for both, 5:10"),
        ({"windows": ((5, None), (9, 1))}, "overlap; give one for both, 5:"),
        ({"windows": tuple((2 * n, 1) for n in range(5000))}, "at most 4096"),
        ({"windows": ((5, 1),), "triggers": ((16, TRIGGER_ON),)}, "give only the windows"),
        ({"windows": ((5, 1),), "triggers": ((16, TRIGGER_OFF),)}, "give only the windows"),
    ],
)
def test_windows_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(MachineError) as caught:
        SidebandOptions(**options)
    assert message in str(caught.value)
