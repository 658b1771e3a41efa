"""Runs that nothing can end any more: a jump to itself, a wfi, and what ends those after all."""

import pytest

from emu.ingress.options import SidebandOptions
from emu.machine import ExitReason, Machine
from emu.platforms.elf import Program, Segment
from specs.interfaces.ingress import TRIGGER_NOTIFY
from specs.isa.csrs import ADDRESS
from tests.emu.build import MSIP, MTIMECMP, Assembly, events, instructions
from tests.emu.test_interrupts import enable, set_timer, start
from tests.emu.test_traps import with_handler
from tests.emu.told import told

XLEN = pytest.mark.parametrize("xlen", [32, 64])
MIE, MSTATUS = ADDRESS["mie"], ADDRESS["mstatus"]
MSIE, MTIE, MEIE = 1 << 3, 1 << 7, 1 << 11


def finish(program: Program, reason: ExitReason, limit: int | None = 1_000_000) -> Machine:
    """The machine at its end, which is the same in small chunks and without any."""
    machine = Machine([program])
    rows = events(machine.run(limit))
    assert machine.exit_reason is reason, machine.exit_reason
    small = Machine([program], chunk_refs=1 << 12, chunk_traps=1, table_blocks=1 << 10)
    assert events(small.run(limit)) == rows
    silent = Machine([program], record=False)
    assert list(silent.run(limit)) == []
    for other in (small, silent):
        assert (other.instret, other.pc, other.exit_reason) == (
            machine.instret,
            machine.pc,
            reason,
        )
    assert list(machine.run(10)) == [] and machine.exit_reason is reason
    return machine


@XLEN
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("before", [0, 1, 5, 63, 64, 65])
def test_a_jump_to_itself(xlen: int, compressed: bool, before: int) -> None:
    a = Assembly(xlen)
    for _ in range(before):
        a.addi(rd=9, rs1=9, imm=1)
    loop = a.c_j(imm=0) if compressed else a.jal(rd=0, imm=0)
    machine = finish(a.program(), ExitReason.ENDLESS_LOOP, None)
    assert machine.pc == loop and machine.exit_code is None
    assert machine.register(9) == before and machine.instret <= 5 + before + 2
    assert not machine.exit_reason.failed


@XLEN
@pytest.mark.parametrize("mie", [0, MSIE, MEIE, MSIE | MTIE | MEIE])
@pytest.mark.parametrize("enabled", [False, True])
def test_what_cannot_come_does_not_keep_a_loop_going(xlen: int, mie: int, enabled: bool) -> None:
    """A timer that is never set, or not enabled; msip, which only the program can set."""
    a = start(xlen)
    a.li(5, MTIMECMP)
    a.addi(rd=6, rs1=0, imm=-1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=4)
    a.li(7, mie)
    a.csr("mie", write=7)
    if enabled:
        a.csrrsi(rs1=8, imm=MSTATUS)
    loop = a.jal(rd=0, imm=0)
    assert finish(a.program(), ExitReason.ENDLESS_LOOP, None).pc == loop
    a = start(xlen)
    set_timer(a, 1 << 20)
    a.li(7, mie & ~MTIE)
    a.csr("mie", write=7)
    a.csrrsi(rs1=8, imm=MSTATUS)
    loop = a.jal(rd=0, imm=0)
    assert finish(a.program(), ExitReason.ENDLESS_LOOP, None).pc == loop


@XLEN
def test_a_timer_ends_a_loop(xlen: int) -> None:
    """After as many rounds as it takes: no time is skipped."""
    a = start(xlen)
    set_timer(a, 3000)
    enable(a, MTIE)
    loop = a.jal(rd=0, imm=0)
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(None))
    # the handler returns to the loop, and has taken the timer away
    assert machine.exit_reason is ExitReason.ENDLESS_LOOP and machine.pc == loop
    position = next(i for i, row in enumerate(rows) if row[2])
    assert rows[position] == (loop, 0, 2, 7, 0) and position == 300_000
    assert machine.trap_counts == {(True, 7): 1}
    for budget in (1000, 299_999, 300_000, 300_001):
        other = Machine([a.program()])
        assert instructions(other, other.run(budget))[:budget] == rows[:budget]
        assert (other.instret, other.exit_reason) == (budget, ExitReason.BUDGET)


@XLEN
@pytest.mark.parametrize("windows", [(), ((100_000, 7),)])
def test_a_trigger_fires_with_each_round(xlen: int, windows: tuple[tuple[int, int], ...]) -> None:
    a = start(xlen)
    set_timer(a, 3000)
    enable(a, MTIE)
    loop = a.jal(rd=0, imm=0)
    options = (
        SidebandOptions(windows=windows)
        if windows
        else SidebandOptions(triggers=((loop, TRIGGER_NOTIFY),))
    )
    machine = Machine([a.program()], sideband=options)
    pulses = sum(int((c.sidebands["trigger"] != 0).sum()) for c in machine.run(None))
    plain = Machine([a.program()])
    rounds = sum(row[:2] == ("block", loop) for row in events(plain.run(None)))
    assert (machine.instret, machine.pc) == (plain.instret, loop)
    assert pulses == (2 if windows else rounds)


@XLEN
def test_a_trigger_of_the_program_s_own_fires_with_each_round(xlen: int) -> None:
    """It is a micro-operation before the jump: each round has to go through it."""
    a = start(xlen)
    set_timer(a, 30)
    enable(a, MTIE)
    a.addi(rd=5, rs1=0, imm=6)
    a.slli(rd=5, rs1=5, imm=xlen - 4)
    a.li(6, 4 << 12 | 1 << 6 | 1 << 2)  # action 4: notify, M, execute
    a.add(rd=5, rs1=5, rs2=6)
    place = a.at + (16 if xlen == 64 else 8) + 8
    a.li(7, place)
    a.csr("tdata2", write=7)
    a.csr("tdata1", write=5)
    loop = a.jal(rd=0, imm=0)
    assert loop == place
    machine = Machine([a.program()])
    pulses = sum(int((c.sidebands["trigger"] != 0).sum()) for c in machine.run(None))
    rows = told(Machine([a.program()]).run(None))
    rounds = sum(row.iaddr == loop and not row.is_trap for row in rows)
    assert pulses == rounds > 2000


@XLEN
def test_an_exit_comes_before_the_loop_behind_it(xlen: int) -> None:
    a = Assembly(xlen)
    a.exit(5)
    assert finish(a.program(), ExitReason.EXIT).exit_code == 5
    length = finish(a.program(), ExitReason.EXIT).instret
    for skip in range(length):
        machine = Machine([a.program()], sideband=SidebandOptions(windows=((skip, 1),)))
        list(machine.run(None))
        assert (machine.exit_reason, machine.instret) == (ExitReason.EXIT, length)


@XLEN
@pytest.mark.parametrize("before", [0, 1, 63, 64])
@pytest.mark.parametrize("mie", [0, MSIE, MEIE, MTIE])
def test_a_wfi_that_nothing_ends(xlen: int, before: int, mie: int) -> None:
    """It does not retire, whether interrupts are enabled in mstatus or not."""
    a = start(xlen)
    a.li(5, MTIMECMP)
    a.addi(rd=6, rs1=0, imm=-1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=4)
    a.li(7, mie)
    a.csr("mie", write=7)
    for _ in range(before):
        a.addi(rd=9, rs1=9, imm=1)
    wfi = a.wfi()
    machine = finish(a.program(), ExitReason.WFI_FOREVER, None)
    assert machine.pc == wfi and machine.register(9) == before
    assert not machine.exit_reason.failed


def test_a_wfi_behind_the_exit_is_never_waited_for() -> None:
    a = Assembly(64)
    a.li(30, 0x8020_0000)
    a.addi(rd=31, rs1=0, imm=7 << 1 | 1)
    a.sw(rs1=30, rs2=31, imm=0)
    a.wfi()
    assert finish(a.program(), ExitReason.EXIT).exit_code == 7


@XLEN
@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("why", ["illegal", "interrupt", "ecall"])
def test_in_a_handler_it_is_a_failure(xlen: int, wait: bool, why: str) -> None:
    """But not if the program asked for the trap: that is one way to leave it."""
    a = Assembly(xlen)
    a.jal(rd=0, imm=16)
    a.label("handler")
    at = a.wfi() if wait else a.jal(rd=0, imm=0)
    while a.at < a.base + 16:
        a.addi()
    a.la(25, "handler")
    a.csr("mtvec", write=25)
    if why == "interrupt":
        a.li(5, MSIP)
        a.addi(rd=6, rs1=0, imm=1)
        a.addi(rd=7, rs1=0, imm=MSIE)
        a.csr("mie", write=7)
        a.csrrsi(rs1=8, imm=MSTATUS)
        a.sw(rs1=5, rs2=6, imm=0)
    elif why == "ecall":
        a.ecall()
    else:
        a.raw(0, 4)
    a.exit()
    program = a.program()
    if wait and why == "interrupt":
        # msip is still pending: no wait at all, and code goes on into what is no handler
        return
    reason = ExitReason.WFI_FOREVER if wait else ExitReason.ENDLESS_LOOP
    if why != "ecall":
        reason = ExitReason.HANDLER_HANG
    machine = finish(program, reason)
    assert machine.pc == at and reason.failed == (why != "ecall")


@XLEN
def test_behind_a_handler_that_returned_it_is_none(xlen: int) -> None:
    a = with_handler(xlen)
    a.raw(0xFFFF_FFFF, 4)
    a.jal(rd=0, imm=0)
    finish(a.program(), ExitReason.ENDLESS_LOOP)


def test_a_reset_begins_anew() -> None:
    a = Assembly(64)
    a.addi(rd=5, rs1=5, imm=1)
    a.jal(rd=0, imm=0)
    machine = Machine([a.program()])
    list(machine.run(None))
    length = machine.instret
    machine.reset()
    assert machine.exit_reason is None
    list(machine.run(None))
    assert machine.exit_reason is ExitReason.ENDLESS_LOOP and machine.instret == 2 * length


@XLEN
def test_at_the_last_addresses(xlen: int) -> None:
    """Memory up to the end of the address space; what follows is address 0, where there is none."""
    top = 1 << xlen
    a = Assembly(xlen, top - 64)
    a.addi(rd=5, rs1=0, imm=-8)
    a.lw(rd=6, rs1=5, imm=4)
    a.sw(rs1=5, rs2=5, imm=0)
    a.lw(rd=7, rs1=5, imm=0)
    while a.at < top:
        a.addi(rd=8, rs1=8, imm=1)
    code = a.bytes()
    parts = (Segment(a.base, code, len(code), True),)
    program = Program(a.program().path, xlen, a.base, parts, {}, None, "")
    machine = Machine([program])
    rows = events(machine.run(1000))
    assert machine.exit_reason is ExitReason.TRAP_LOOP
    assert rows[-1][:4] == ("exception", 0, 1, 0)
    assert machine.register(6) == int.from_bytes(code[-4:], "little")
    assert machine.register(7) == top - 8 and machine.csr("mepc") == 0
    assert machine.instret == 5 + len(code) // 4


@XLEN
def test_code_goes_on_at_address_0(xlen: int) -> None:
    """In a block of its own: no block goes round."""
    top = 1 << xlen
    a = Assembly(xlen, top - 32)
    while a.at < top:
        a.addi(rd=8, rs1=8, imm=1)
    b = Assembly(xlen, 0)
    b.addi(rd=8, rs1=8, imm=1)
    b.jal(rd=0, imm=0)
    high, low = a.bytes(), b.bytes()
    parts = (Segment(a.base, high, len(high), True), Segment(0, low, len(low), True))
    program = Program(a.program().path, xlen, a.base, parts, {}, None, "")
    machine = finish(program, ExitReason.ENDLESS_LOOP)
    assert machine.register(8) == 9 and machine.pc == 4
    rows = events(Machine([program]).run())
    assert [row[1:3] for row in rows[1:3]] == [(a.base, 16), (0, 4)]


@XLEN
def test_a_budget_comes_first(xlen: int) -> None:
    a = Assembly(xlen)
    for _ in range(100):
        a.addi(rd=5, rs1=5, imm=1)
    a.jal(rd=0, imm=0)
    length = finish(a.program(), ExitReason.ENDLESS_LOOP).instret
    for limit in range(1, length):
        machine = Machine([a.program()])
        list(machine.run(limit))
        assert (machine.exit_reason, machine.instret) == (ExitReason.BUDGET, limit)
        list(machine.run(None))
        assert machine.exit_reason is ExitReason.ENDLESS_LOOP
