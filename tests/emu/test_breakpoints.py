"""Triggers that raise a breakpoint exception (action 0): where, with what, and when not."""

import pytest

from emu.host.semihosting import SemihostingOptions
from emu.machine import ExitReason, Machine
from specs.interfaces.events import EXCEPTION, TRAP_RETURN
from specs.interfaces.ingress import TRIGGER_NOTIFY
from specs.isa.csrs import ADDRESS
from tests.emu.arming import EXECUTE, LOAD, NOTIFY, STORE, M, arm, finish, pulses, tdata1
from tests.emu.build import CODE, DATA, Assembly, instructions
from tests.emu.replay import watch
from tests.emu.test_semihosting import host_call
from tests.emu.test_traps import with_handler
from tests.emu.told import told

XLEN = pytest.mark.parametrize("xlen", [32, 64])
MSTATUS_MIE = 1 << 3
BREAKPOINT = 3
HIT = {2: 1 << 20, 6: 1 << 22}


def enable(a: Assembly) -> None:
    """Set mstatus.MIE: without it no breakpoint is raised. (mie is 0: no interrupts.)"""
    a.csrrsi(rd=0, rs1=MSTATUS_MIE, imm=ADDRESS["mstatus"])


def disable(a: Assembly) -> None:
    a.csrrci(rd=0, rs1=MSTATUS_MIE, imm=ADDRESS["mstatus"])


def exceptions(machine: Machine) -> list[tuple[int, int, int]]:
    """Address, cause and tval of each, by both hooks, which are checked against each other."""
    replay = watch(machine)
    assert machine.exit_reason is ExitReason.EXIT
    kinds = [event.kind for event in replay.events]
    assert kinds == [EXCEPTION, TRAP_RETURN] * (len(kinds) // 2)
    found = [event for event in replay.events if event.kind == EXCEPTION]
    return [(event.from_pc, event.cause, event.tval) for event in found]


def to(a: Assembly, address: int) -> None:
    a.jal(rd=0, imm=address - a.at)
    while a.at < address:
        a.addi()


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
def test_execute(xlen: int, kind: int) -> None:
    """Before the instruction: it has no effect. mepc and mtval are its address, and it says hit."""
    a = with_handler(xlen)
    target = CODE + 0x200
    arm(a, 2, tdata1(xlen, 0, kind=kind), target)
    enable(a)
    to(a, target)
    a.addi(rd=9, rs1=9, imm=1)
    a.addi(rd=9, rs1=9, imm=2)
    a.csr("tdata1", rd=11)
    a.exit()
    machine = Machine([a.program()])
    assert exceptions(machine) == [(target, BREAKPOINT, target)]
    assert [machine.register(n) for n in (20, 21, 22, 9)] == [BREAKPOINT, target, target, 2]
    assert machine.register(11) & HIT[kind]


@XLEN
@pytest.mark.parametrize("what", ["addi", "jal", "jalr", "beq", "c_addi", "csr", "ecall", "sw"])
def test_execute_each_kind(xlen: int, what: str) -> None:
    """Whatever stands there, and however it is reached: in line, or by a jump."""
    a = with_handler(xlen)
    target = CODE + 0x200
    arm(a, 0, tdata1(xlen, 0), target)
    a.li(11, target + 16)
    enable(a)
    to(a, target - 4)
    a.addi(rd=9, rs1=9, imm=1)
    assert a.at == target
    if what == "c_addi":
        a.c_addi(rd=9, rs1=9, imm=4)
        a.c_addi(rd=9, rs1=9, imm=4)
    elif what == "csr":
        a.csr("mscratch", rd=9, write=10)
    elif what == "ecall":
        a.ecall()
    else:
        operands = {
            "addi": {"rd": 9, "rs1": 9, "imm": 4},
            "jal": {"rd": 9, "imm": 16},
            "jalr": {"rd": 9, "rs1": 11},
            "beq": {"imm": 16},
            "sw": {"rs1": 10, "rs2": 9},
        }
        getattr(a, what)(**operands[what])
    assert a.at == target + 4  # the handler goes on here
    a.slti(rd=12, rs1=9, imm=3)
    a.bne(rs1=12, rs2=0, imm=-12)  # in line; then the jump to `target - 4` makes it 2
    a.exit()
    machine = Machine([a.program()])
    assert exceptions(machine) == [(target, BREAKPOINT, target)] * 3
    assert machine.register(9) == 3
    assert machine.memory.read(DATA, 4) == 0


@XLEN
@pytest.mark.parametrize(
    ("name", "accesses", "operands"),
    [
        ("lb", LOAD, {"rd": 9, "imm": 3}),
        ("lw", LOAD, {"rd": 9, "imm": 0}),
        ("lw", LOAD, {"rd": 9, "imm": 1}),
        ("sb", STORE, {"rs2": 11, "imm": 1}),
        ("sw", STORE, {"rs2": 11, "imm": 2}),
        ("sw", STORE, {"rs2": 11, "imm": -2}),
        ("lr_w", LOAD, {"rd": 9}),
        ("amoadd_w", LOAD, {"rd": 9, "rs2": 11}),
        ("amoswap_w", STORE, {"rd": 9, "rs2": 11}),
        ("c_lw", LOAD, {"rd": 9}),
        ("c_sw", STORE, {"rs2": 11}),
    ],
)
def test_load_and_store(xlen: int, name: str, accesses: int, operands: dict[str, int]) -> None:
    """Before the access: memory and register keep their value. mtval: the first byte that matches,
    which is not the access's address where it begins before it.
    """
    a = with_handler(xlen)
    a.addi(rd=8, rs1=10, imm=0)
    a.addi(rd=9, rs1=0, imm=77)
    a.addi(rd=11, rs1=0, imm=-1)
    arm(a, 1, tdata1(xlen, 0, match=1, rest=M | accesses), DATA | 1)  # four bytes
    enable(a)
    at = getattr(a, name)(rs1=8, **operands)
    if name.startswith("c_"):
        a.c_addi(rd=12, rs1=12, imm=1)  # the handler steps over four bytes
    a.addi(rd=13, rs1=0, imm=1)
    a.exit()
    machine = Machine([a.program(bytes(range(1, 9)))])
    first = DATA + max(operands.get("imm", 0), 0)
    assert exceptions(machine) == [(at, BREAKPOINT, first)]
    assert machine.register(9) == 77 and machine.register(13) == 1
    assert machine.memory.read(DATA, 8) == 0x0807_0605_0403_0201


@XLEN
def test_before_other_exceptions(xlen: int) -> None:
    """An access that would fault or is misaligned; an instruction that is none, or is not there."""
    a = with_handler(xlen)
    arm(a, 0, tdata1(xlen, 0, match=3, rest=M | LOAD | STORE), 0x100)
    a.li(11, DATA + 2)
    arm(a, 1, tdata1(xlen, 0, rest=M | LOAD), DATA + 2)
    illegal = CODE + 0x300
    arm(a, 2, tdata1(xlen, 0), illegal)
    outside = 0x4000_0000
    arm(a, 3, tdata1(xlen, 0), outside)
    enable(a)
    want = [(a.lw(rd=9, rs1=0, imm=0x10), 0x10), (a.sw(rs1=0, rs2=9, imm=0x20), 0x20)]
    want.append((a.lr_w(rd=9, rs1=11), DATA + 2))
    to(a, illegal)
    want.append((a.raw(0xFFFF_FFFF, 4), illegal))
    a.li(12, outside)
    a.addi(rd=23, rs1=0, imm=0)
    a.li(25, CODE + 0x400)
    a.csr("mtvec", write=25)
    a.jalr(rd=0, rs1=12)
    while a.at < CODE + 0x400:
        a.addi()
    want.append((outside, outside))
    a.csr("mtval", rd=21)
    a.exit()
    machine = Machine([a.program()])
    rows = [row for row in instructions(machine, machine.run()) if row[2]]
    assert rows == [(at, 0, 1, BREAKPOINT, tval) for at, tval in want]


@XLEN
def test_not_with_interrupts_off(xlen: int) -> None:
    """Sdtrig, "Native Triggers": none in M-mode while mstatus.MIE is 0, so none in the handler. It
    is looked at when the instruction runs, not when it was translated.
    """
    a = Assembly(xlen)
    handler = CODE + 4
    a.jal(rd=0, imm=24)
    a.csr("mepc", rd=24)
    counted = a.addi(rd=23, rs1=23, imm=1)  # is watched itself
    a.addi(rd=24, rs1=24, imm=4)
    a.csr("mepc", write=24)
    a.mret()
    a.li(25, handler)
    a.csr("mtvec", write=25)
    arm(a, 0, tdata1(xlen, 0), counted)
    a.jal(rd=0, imm=16)
    a.label("function")
    watched = a.addi(rd=9, rs1=9, imm=1)
    a.jalr(rd=0, rs1=1)
    a.addi()
    arm(a, 1, tdata1(xlen, 0), watched)
    a.jal(rd=1, to="function")
    enable(a)
    a.jal(rd=1, to="function")
    disable(a)
    a.jal(rd=1, to="function")
    enable(a)
    a.jal(rd=1, to="function")
    a.exit()
    machine = Machine([a.program()])
    assert exceptions(machine) == [(watched, BREAKPOINT, watched)] * 2
    assert machine.register(23) == 2 and machine.register(9) == 2


@XLEN
def test_a_handler_that_disarms_and_goes_on(xlen: int) -> None:
    """As firmware does: mret leads back to the instruction, which then retires."""
    a = Assembly(xlen)
    handler = CODE + 4
    a.jal(rd=0, imm=24)
    a.csr("mcause", rd=20)
    a.csr("mtval", rd=21)
    a.csr("tdata1", rd=22, write=0)
    a.addi(rd=23, rs1=23, imm=1)
    a.mret()
    a.li(25, handler)
    a.csr("mtvec", write=25)
    a.li(10, DATA)
    arm(a, 3, tdata1(xlen, 0, rest=M | STORE), DATA + 4)
    enable(a)
    a.addi(rd=11, rs1=0, imm=5)
    a.label("loop")
    a.addi(rd=11, rs1=11, imm=-1)
    a.sw(rs1=10, rs2=11, imm=0)
    store = a.sw(rs1=10, rs2=11, imm=4)
    a.bne(rs1=11, rs2=0, to="loop")
    a.sw(rs1=10, rs2=11, imm=4)
    a.exit()
    machine = Machine([a.program()])
    assert exceptions(machine) == [(store, BREAKPOINT, DATA + 4)]
    assert machine.register(20) == BREAKPOINT and machine.register(21) == DATA + 4
    assert machine.register(22) & HIT[6] and machine.register(23) == 1
    assert machine.memory.read(DATA, 8) == 0


@XLEN
def test_with_a_trace_action_at_the_same_access(xlen: int) -> None:
    """The instruction traps, so there is no pulse and no hit of that trigger; once it goes through,
    there is. Of the breakpoints all hit, and an instruction's comes before its data's.
    """
    a = with_handler(xlen)
    target = CODE + 0x300
    arm(a, 0, tdata1(xlen, NOTIFY, rest=M | LOAD), DATA)
    arm(a, 1, tdata1(xlen, 0, rest=M | LOAD), DATA)
    arm(a, 2, tdata1(xlen, 0, rest=M | LOAD | STORE), DATA)
    arm(a, 3, tdata1(xlen, 0, rest=M | EXECUTE), target)
    enable(a)
    at = a.lw(rd=9, rs1=10, imm=0)
    for number in range(4):
        a.addi(rd=28, rs1=0, imm=number)
        a.csr("tselect", write=28)
        a.csr("tdata1", rd=11 + number)
    to(a, target)
    a.lw(rd=9, rs1=10, imm=0)
    disable(a)
    good = a.lw(rd=9, rs1=10, imm=0)
    a.csr("tdata1", rd=15)
    a.addi(rd=28, rs1=0, imm=0)
    a.csr("tselect", write=28)
    a.csr("tdata1", rd=16)
    a.exit()
    machine = Machine([a.program()])
    rows = finish(machine)
    assert pulses(rows) == [(good, TRIGGER_NOTIFY)]
    assert [row.iaddr for row in rows if row.is_trap] == [at, target]
    assert machine.register(21) == target
    hits = [bool(machine.register(n) & HIT[6]) for n in range(11, 17)]
    assert hits == [False, True, True, False, True, True]


@XLEN
def test_however_the_run_is_cut(xlen: int) -> None:
    """The same exceptions by every budget, and the same instructions between them."""
    a = with_handler(xlen)
    arm(a, 0, tdata1(xlen, 0, match=2, rest=M | STORE), DATA + 0x20)
    target = CODE + 0x180
    arm(a, 1, tdata1(xlen, 0), target + 8)
    enable(a)
    to(a, target)
    for _ in range(4):
        a.addi(rd=9, rs1=9, imm=1)
    a.sw(rs1=10, rs2=9, imm=0)
    a.addi(rd=10, rs1=10, imm=8)
    a.slti(rd=11, rs1=9, imm=20)
    a.bne(rs1=11, rs2=0, imm=target - a.at)
    a.li(10, DATA)
    a.csr("tselect", write=0)
    disable(a)
    a.exit()
    program = a.program()
    whole = Machine([program])
    want = instructions(whole, whole.run())
    assert sum(row[2] for row in want) > 8
    for budget in (1, 2, 3, 7):
        machine = Machine([program], table_blocks=1 << 10)
        rows = []
        while machine.exit_reason in (None, ExitReason.BUDGET):
            rows += instructions(machine, machine.run(budget))
        assert rows == want


@XLEN
def test_at_a_host_call(xlen: int) -> None:
    """The breakpoint comes first; where none is raised, the call is served."""
    a = with_handler(xlen)
    target = CODE + 0x200
    arm(a, 0, tdata1(xlen, 0), target)
    to(a, target - 8)
    a.addi(rd=10, rs1=0, imm=0x10)
    assert host_call(a) == target
    a.addi(rd=12, rs1=10, imm=0)
    enable(a)
    a.addi(rd=10, rs1=0, imm=0x10)
    a.bne(rs1=23, rs2=0, imm=8)
    a.jal(rd=0, imm=target - a.at)
    a.exit()
    machine = Machine([a.program()], semihosting=SemihostingOptions())
    rows = told(machine.run(100_000))
    assert machine.exit_reason is ExitReason.EXIT and machine.host_calls == 1
    assert [row.iaddr for row in rows if row.is_trap] == [target]
    assert machine.register(20) == BREAKPOINT and machine.register(21) == target
