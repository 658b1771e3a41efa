"""Context, time, halted and reset in what a machine yields, against instruction-by-instruction
counting of the same run without them.
"""

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

from emu.ingress.options import SidebandOptions, Time
from emu.machine import ExitReason, Machine
from emu.memory import MachineError
from emu.platforms.elf import Program, load
from specs.interfaces.events import EXCEPTION, INTERRUPT, Event
from specs.interfaces.ingress import BLOCK, HALTED, HAS_CONTEXT, HAS_TIME, RESET, Chunk
from specs.isa.csrs import ADDRESS
from tests.emu.build import MSIP, MTIME, Assembly, run
from tests.emu.test_events import close, rearming
from tests.emu.test_interrupts import enable, start
from tests.emu.test_random import noise
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, Side, bare, cycles, instructions, told

XLEN = pytest.mark.parametrize("xlen", [32, 64])
CONTEXT = 0x7C0
SMALL = {"chunk_refs": 1 << 12, "chunk_traps": 3, "table_blocks": 1 << 10}


def context(ctype: int = 2, **options) -> SidebandOptions:
    return SidebandOptions(context_csr=CONTEXT, context_type=ctype, **options)


def sides(rows: list[Row]) -> list[tuple[int, Side]]:
    """Address and side band of the rows that have one."""
    return [(row.iaddr, row.side) for row in rows if row.side is not None]


def finish(machine: Machine) -> list[Row]:
    rows = told(machine.run(1_000_000))
    assert machine.exit_reason is ExitReason.EXIT
    return rows


# -- context ---------------------------------------------------------------------------------------


@XLEN
@pytest.mark.parametrize("ctype", [1, 2, 3])
def test_a_write_is_a_context_of_the_next_instruction(xlen: int, ctype: int) -> None:
    a = Assembly(xlen)
    a.li(5, 0x8000_0007)
    a.addi()
    a.csrrw(rd=0, rs1=5, imm=CONTEXT)
    first = a.addi()
    a.csrrs(rd=6, rs1=0, imm=CONTEXT)  # reads
    a.csrrsi(rd=0, rs1=8, imm=CONTEXT)
    second = a.csrrci(rd=0, rs1=0, imm=CONTEXT)  # reads
    a.csrrc(rd=7, rs1=5, imm=CONTEXT)
    third = a.csrrwi(rd=0, rs1=8, imm=CONTEXT)
    fourth = a.addi()
    a.exit()
    machine = Machine([a.program()], sideband=context(ctype))
    rows = finish(machine)
    assert sides(rows) == [
        (at, Side(HAS_CONTEXT, value, 0, ctype))
        for at, value in ((first, 0x8000_0007), (second, 0x8000_000F), (third, 8), (fourth, 8))
    ]
    assert machine.csr(CONTEXT) == 8
    assert machine.register(6) == 0x8000_0007 and machine.register(7) == 0x8000_000F


@XLEN
@pytest.mark.parametrize("csr", [CONTEXT, ADDRESS["mcontext"], ADDRESS["mscratch"], 0x180])
def test_csrs_that_can_be_the_context(xlen: int, csr: int) -> None:
    a = with_handler(xlen)
    a.addi(rd=5, rs1=0, imm=-3)
    value = (1 << xlen) - 3
    if (xlen, csr) == (64, ADDRESS["satp"]):  # there is no mode 15
        a.addi(rd=5, rs1=0, imm=8)
        a.slli(rd=5, rs1=5, imm=60)
        value = 8 << 60
    a.csrrw(rd=0, rs1=5, imm=csr)
    behind = a.csrrs(rd=6, rs1=0, imm=csr)
    a.exit()
    machine = Machine([a.program()], sideband=SidebandOptions(context_csr=csr))
    assert sides(finish(machine)) == [(behind, Side(HAS_CONTEXT, value, 0, 2))]
    assert machine.register(6) == machine.csr(csr) == value and not machine.trap_counts
    # Without the option it is what it was.
    for modes, there in (("M", {"mscratch"}), ("MSU", {"mscratch", "satp"})):
        plain = Machine([a.program()], modes=modes)
        assert not sides(finish(plain))
        exists = csr in {ADDRESS[name] for name in there}
        assert plain.trap_counts == ({} if exists else {(False, 2): 2})


@pytest.mark.parametrize("csr", ["mhartid", "cycle", "mip", "minstret", "tdata1", 0xC55, 0xF55])
def test_csrs_that_cannot(csr: str | int) -> None:
    address = ADDRESS[csr] if isinstance(csr, str) else csr
    with pytest.raises(MachineError, match="cannot be the context: take one"):
        Machine([Assembly(64).program()], sideband=SidebandOptions(context_csr=address))


@XLEN
def test_a_trap_right_behind_the_write(xlen: int) -> None:
    """It carries the value; the report is of the first instruction that retires."""
    a = with_handler(xlen)
    a.addi(rd=5, rs1=0, imm=9)
    a.csrrw(rd=0, rs1=5, imm=CONTEXT)
    at = a.ecall()
    a.exit()
    machine = Machine([a.program()], sideband=context())
    rows = finish(machine)
    handler = a.labels["handler"]
    assert sides(rows) == [
        (at, Side(HAS_CONTEXT, 9)),
        (handler, Side(HAS_CONTEXT, 9, 0, 2)),
    ]


@XLEN
def test_an_interrupt_right_behind_the_write(xlen: int) -> None:
    a = start(xlen)
    enable(a, 1 << 3)
    a.csrrci(rs1=8, imm=ADDRESS["mstatus"])
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    a.sw(rs1=5, rs2=6, imm=0)
    # Interrupts are looked at where blocks end: here with the write of the context itself.
    a.csrrw(rd=0, rs1=6, imm=CONTEXT)
    a.csrrsi(rs1=8, imm=ADDRESS["mstatus"])
    a.addi(rd=6, rs1=0, imm=2)
    a.csrrw(rd=0, rs1=6, imm=CONTEXT)
    a.exit()
    machine = Machine([a.program()], sideband=context(3))
    rows = finish(machine)
    assert machine.trap_counts == {(True, 3): 1}
    values = [side.context for _, side in sides(rows)]
    assert values == [1, 2] and all(side.ctype == 3 for _, side in sides(rows))


def switching(xlen: int, turns: int) -> Program:
    """`turns` writes of a counter to the context, with timer interrupts all the while."""
    a = rearming(xlen, turns)
    a.csrrw(rd=0, rs1=9, imm=CONTEXT)
    close(a)
    return a.program()


@XLEN
def test_many_switches_under_interrupts(xlen: int) -> None:
    """More than the notes that a chunk holds; nothing depends on chunks, tables or hooks."""
    turns = 5000
    program = switching(xlen, turns)
    options = context(time=Time.MTIME, time_every=7)
    machine = Machine([program], sideband=options)
    rows = finish(machine)
    assert len(machine.trap_counts) == 1
    reports = [side.context for _, side in sides(rows) if side.ctype == 2]
    assert reports == list(range(turns))
    interrupts = [row for row in rows if row.is_trap]
    # Each carries the last value written, where the report is still to come.
    for before, row, after in zip(rows, rows[1:], rows[2:], strict=False):
        if row.is_trap and row.side is not None and row.side.flags & HAS_CONTEXT:
            assert row.side.ctype == 0 and before.code == 0
            assert after.side is not None and after.side.ctype == 2
            assert after.side.context == row.side.context
    assert len(interrupts) > 100
    assert finish(Machine([program], sideband=options, **SMALL)) == rows
    hooked = Machine([program], sideband=options, **SMALL)
    pieces: list[Row] = []
    hooked.on_retire(lambda chunk: pieces.extend(told([chunk])))
    hooked.on_discontinuity(lambda event: None, INTERRUPT)
    assert finish(hooked) == rows == pieces
    silent = Machine([program], sideband=options, record=False, **SMALL)
    heard: list[Row] = []
    silent.on_retire(lambda chunk: heard.extend(told([chunk])))
    assert list(silent.run()) == [] and heard == rows


@XLEN
def test_nobody_listens(xlen: int) -> None:
    """Without record and hooks, or with a compiled hook alone, notes need no room."""
    program = switching(xlen, 10_000)
    machine = run(program, 10_000_000, sideband=context(time=Time.CYCLES))
    assert machine.exit_reason is ExitReason.EXIT

    @numba.njit
    def count(refs, n, blocks, traps, user):
        numba.carray(user, 1)[0] += np.uint64(n)

    words = np.zeros(1, np.uint64)
    hooked = Machine([program], record=False, sideband=context(time=Time.CYCLES), **SMALL)
    hooked.on_retire(count, user=words)
    assert list(hooked.run()) == [] and hooked.exit_reason is ExitReason.EXIT
    # Compiled hooks get what retired without the side band.
    assert words[0] == len(finish(Machine([program], sideband=context())))


# -- time ------------------------------------------------------------------------------------------


def expected(machine: Machine, rows: list[Row], every: int, in_cycles: bool) -> list[Row]:
    """The rows with the time told, counted one instruction at a time."""
    retired = spent = due = 0
    result = []
    for row in rows:
        side = None
        if row.is_trap or retired >= due:
            side = Side(HAS_TIME, 0, spent if in_cycles else retired)
        while due <= retired:
            due += every
        result.append(row._replace(side=side))
        spent += cycles(machine, row)
        if not row.is_trap:
            retired += sum(1 for _ in instructions(machine, row))
    assert retired == machine.instret
    return result


@pytest.mark.parametrize("every", [1, 10, 1000])
@pytest.mark.parametrize("time", [Time.INSTRET, Time.CYCLES])
@pytest.mark.parametrize("name", ["rv32-traps", "rv64-traps", "rv32-flow", "rv64-kernels"])
def test_time_of_golden_programs(golden: Path, name: str, time: Time, every: int) -> None:
    program = load(golden / name / f"{name}.elf")
    plain = Machine([program])
    rows = finish(plain)
    options = SidebandOptions(time=time, time_every=every)
    got = finish(Machine([program], sideband=options))
    assert got == expected(plain, rows, every, time is Time.CYCLES)
    assert finish(Machine([program], sideband=options, **SMALL)) == got


@XLEN
def test_cycles_of_partial_blocks(xlen: int) -> None:
    """A fault in the middle of a block: what came before it took its time."""
    a = with_handler(xlen)
    a.li(11, 0x10)
    a.mul(rd=12, rs1=11, rs2=11)
    a.divu(rd=12, rs1=12, rs2=11)
    a.lw(rd=12, rs1=10, imm=0)
    at = a.lw(rd=12, rs1=11, imm=0)
    a.lw(rd=12, rs1=10, imm=0)
    a.ecall()
    a.exit()
    plain = Machine([a.program()])
    rows = finish(plain)
    assert next(row.iaddr for row in rows if row.is_trap) == at
    options = SidebandOptions(time=Time.CYCLES, time_every=3)
    assert finish(Machine([a.program()], sideband=options)) == expected(plain, rows, 3, True)


@XLEN
def test_mtime_is_what_the_events_say(xlen: int) -> None:
    """Through wfi, which lets it jump, and writes to it."""
    a = rearming(xlen, 30)
    a.wfi()
    a.lw(rd=26, rs1=27, imm=0)
    a.addi(rd=26, rs1=26, imm=40)
    a.sw(rs1=27, rs2=26, imm=0)  # mtime, 40 ticks on
    close(a)
    assert MTIME == 0x200_BFF8
    events: list[Event] = []
    for options in ({}, SMALL):
        machine = Machine([a.program()], sideband=SidebandOptions(time=Time.MTIME), **options)
        events.clear()
        machine.on_discontinuity(events.append, INTERRUPT | EXCEPTION)
        rows = finish(machine)
        traps = [row for row in rows if row.is_trap]
        assert [(row.iaddr, row.side) for row in traps] == [
            (event.from_pc, Side(HAS_TIME, 0, event.time)) for event in events
        ]
        assert len(traps) >= 30 and events[-1].time > 30 * 40
        told_at = [side.time for _, side in sides(rows)]
        assert told_at == sorted(told_at)


@XLEN
def test_wfi_takes_the_cycles_that_it_waits(xlen: int) -> None:
    a = rearming(xlen, 1)
    a.wfi()
    close(a)
    machine = Machine([a.program()], sideband=SidebandOptions(time=Time.CYCLES, time_every=1))
    events: list[Event] = []
    machine.on_discontinuity(events.append, INTERRUPT)
    rows = finish(machine)
    trap = next(row for row in rows if row.is_trap)
    assert trap.side is not None
    waited = 100 * events[0].time - events[0].instret
    before = rows[: rows.index(trap)]
    assert 0 < waited <= 100
    spent = sum(cycles(machine, row) for row in before)
    # mtime is whole ticks, so it jumps by whole ticks.
    assert (trap.side.time - spent) % 100 == 0 and trap.side.time - spent >= waited


def test_time_in_pieces() -> None:
    """A run in several goes on where it was."""
    program = switching(64, 200)
    options = context(time=Time.CYCLES, time_every=50)
    machine = Machine([program], sideband=options)
    first = told(machine.run(777))
    rows = first + finish(machine)
    again = Machine([program], sideband=replace(options, time_every=1))
    exact = told(again.run(777)) + finish(again)
    assert bare(rows) == bare(exact)
    for row, other in zip(rows, exact, strict=True):
        if row.side is not None:
            assert row.side == other.side


# -- the rest --------------------------------------------------------------------------------------


def test_nothing_is_told_unless_asked() -> None:
    a = rearming(64, 500)
    close(a)
    for chunk in Machine([a.program()], sideband=SidebandOptions()).run():
        assert len(chunk.sidebands) == 0 and not np.any(chunk.refs & 15 == 7)


@XLEN
def test_halt_and_reset(xlen: int) -> None:
    a = Assembly(xlen)
    a.addi(rd=9, rs1=9, imm=1)
    a.csrrwi(rd=0, rs1=3, imm=CONTEXT)
    a.csrrwi(rd=0, rs1=4, imm=ADDRESS["mscratch"])
    a.addi(rd=9, rs1=9, imm=1)
    a.exit()
    machine = Machine([a.program()], sideband=context())
    assert len(sides(told(machine.run(10)))) == 1
    machine.halt()
    with pytest.raises(MachineError, match="halted: call resume"):
        next(machine.run())
    machine.resume()
    at = machine.pc
    rows = finish(machine)
    assert sides(rows) == [(at, Side(HALTED))] and rows[0].iaddr == at
    retired = machine.instret
    machine.reset()
    assert machine.pc == 0x1000 and machine.register(9) == 0
    assert machine.csr("mscratch") == machine.csr(CONTEXT) == machine.csr("minstret") == 0
    rows = finish(machine)
    assert rows[0].iaddr == 0x1000 and rows[0].side == Side(RESET | HAS_CONTEXT)
    assert [side.context for _, side in sides(rows)] == [0, 3]
    assert machine.instret == 2 * retired and machine.csr("minstret") == retired
    machine.halt()
    machine.reset()
    rows = finish(machine)
    assert rows[0].side == Side(RESET | HALTED | HAS_CONTEXT)


def test_fresh_rows_of_the_block_table() -> None:
    """Rows before `fresh` are those of the chunk before; the table begins anew when it is full."""
    program = switching(64, 5000)

    def check() -> tuple[list[int], object]:
        tables: list[np.ndarray] = [np.zeros(0, BLOCK)]
        shares: list[int] = []

        def look(chunk: Chunk) -> None:
            assert chunk.fresh <= min(len(chunk.blocks), len(tables[-1]))
            assert np.array_equal(chunk.blocks[: chunk.fresh], tables[-1][: chunk.fresh])
            shares.append(chunk.fresh)
            tables.append(chunk.blocks.copy())

        return shares, look

    machine = Machine([program], chunk_refs=1 << 12, sideband=context())
    yielded, look = check()
    delivered, listen = check()
    machine.on_retire(listen)
    machine.on_discontinuity(lambda event: None)
    for chunk in machine.run():
        look(chunk)
    assert yielded[0] == 0 and min(yielded[1:]) > 0
    assert delivered[0] == 0 and min(delivered[1:]) > 0 and len(delivered) > 100
    few = Machine([noise(2, 64)], chunk_traps=2, table_blocks=1 << 10)
    shares, look = check()
    for chunk in few.run(20_000):
        look(chunk)
    assert 0 in shares[1:] and max(shares) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_csr": 4096}, "from 0 to 0xfff"),
        ({"context_type": 0}, "must be 1, 2 or 3"),
        ({"time_every": 0}, "must be 1 or more"),
        ({"triggers": ((0x80000001, 1),)}, "at an even address"),
        ({"triggers": ((0x80000000, 8),)}, "must be one of 1"),
        ({"triggers": tuple((4 * n, 1) for n in range(65))}, "at most 64"),
        ({"watches": ((0x80000001, 8, 1),)}, "must be one of 1"),
        ({"watches": ((1 << 64, 1, 1),)}, "at an address"),
        ({"watches": ((0x80000000, 1, 4),)}, "accesses 4 must be 1"),
        ({"watches": ((0x80000000, 1, 0),)}, "accesses 0 must be 1"),
        ({"triggers": ((0, 7),) * 11, "watches": ((0, 7, 1),) * 11}, "22 triggers: at most 64"),
        ({"windows": ((5, 1),), "watches": ((16, 1, 1),)}, "give only the windows"),
    ],
)
def test_options_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(MachineError, match=message):
        SidebandOptions(**options)
