"""Debug triggers: their registers, and the pulses on the rows of the instructions that match."""

import pytest

from emu.machine import ExitReason, Machine
from emu.sideband_options import SidebandOptions, Time
from specs.ingress import HAS_TIME, TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from tests.emu.build import CODE, DATA, Assembly
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, Side, instructions, told

XLEN = pytest.mark.parametrize("xlen", [32, 64])
EXECUTE_M = 1 << 2 | 1 << 6
DISABLED = 15


def tdata1(xlen: int, action: int, match: int = 0, kind: int = 6, rest: int = EXECUTE_M) -> int:
    return kind << (xlen - 4) | action << 12 | match << 7 | rest


def constant(a: Assembly, rd: int, value: int) -> None:
    """Load a constant of xlen bits whose low half has at most 31 of them."""
    if a.xlen == 32:
        a.li(rd, value)
        return
    a.li(rd, value >> 32)
    a.slli(rd=rd, rs1=rd, imm=32)
    a.li(31, value & 0xFFFF_FFFF)
    a.add(rd=rd, rs1=rd, rs2=31)


def arm(a: Assembly, number: int, control: int, address: int) -> None:
    """Set trigger `number` to `control` at `address`, by registers 28, 29, 31."""
    a.addi(rd=28, rs1=0, imm=number)
    a.csr("tselect", write=28)
    a.li(28, address)
    a.csr("tdata2", write=28)
    constant(a, 29, control)
    a.csr("tdata1", write=29)


def pulses(rows: list[Row]) -> list[tuple[int, int]]:
    """Address and trigger bits; such a block is a single instruction."""
    found = []
    for row in rows:
        if row.side is not None and row.side.trigger:
            assert row.iretire in (1, 2) and not row.is_trap
            found.append((row.iaddr, row.side.trigger))
    return found


def finish(machine: Machine) -> list[Row]:
    rows = told(machine.run(100_000))
    assert machine.exit_reason is ExitReason.EXIT
    return rows


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
def test_software_arms_a_trigger(xlen: int, kind: int) -> None:
    a = Assembly(xlen)
    target = CODE + 0x200
    arm(a, 3, tdata1(xlen, 4, kind=kind), target)
    a.csr("tdata1", rd=20)
    a.csr("tdata2", rd=21)
    a.jal(rd=0, imm=target - a.at - 8)
    while a.at < target - 8:
        a.addi()
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.addi()
    a.addi()
    a.slti(rd=10, rs1=9, imm=3)
    a.bne(rs1=10, rs2=0, to="loop")
    a.csr("tdata1", write=0)
    a.csr("tdata1", rd=22)
    a.slti(rd=10, rs1=9, imm=5)
    a.bne(rs1=10, rs2=0, to="loop")
    a.exit()
    assert a.labels["loop"] == target - 8
    machine = Machine([a.program()])
    rows = finish(machine)
    # Three times round; then it is disabled: the loop goes round once more, and once again.
    assert pulses(rows) == [(target, TRIGGER_NOTIFY)] * 3
    assert machine.register(20) == tdata1(xlen, 4, kind=kind) and machine.register(21) == target
    assert machine.register(22) == DISABLED << (xlen - 4)
    assert machine.register(9) == 5
    retired = [row for row in rows if not row.is_trap]
    assert sum(1 for row in retired for _ in instructions(machine, row)) == machine.instret


@XLEN
def test_enumeration(xlen: int) -> None:
    """As software does it: write tselect until it does not take, and read tinfo."""
    a = Assembly(xlen)
    a.label("next")
    a.csr("tselect", write=9)
    a.csr("tselect", rd=10)
    a.sub(rd=11, rs1=9, rs2=10)
    a.addi(rd=9, rs1=9, imm=1)
    a.beq(rs1=11, rs2=0, to="next")
    a.csr("tinfo", rd=12)
    a.csr("tdata1", rd=13)
    a.csr("tdata3", rd=14)
    a.exit()
    machine = Machine([a.program()])
    finish(machine)
    assert machine.register(9) == 5  # 4 did not take
    assert machine.register(12) == 1 << 24 | 1 << 15 | 1 << 6 | 1 << 2
    assert machine.register(13) == DISABLED << (xlen - 4) and machine.register(14) == 0
    assert not machine.trap_counts


@XLEN
@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("no type", {"kind": 0}),
        ("icount", {"kind": 3}),
        ("breakpoint", {"action": 0}),
        ("debug mode", {"action": 1}),
        ("no action", {"action": 5}),
        ("address range by mask", {"match": 1}),
        ("load", {"rest": EXECUTE_M | 1}),
        ("store", {"rest": EXECUTE_M | 2}),
        ("chain", {"rest": EXECUTE_M | 1 << 11}),
        ("data", {"rest": EXECUTE_M | 1 << 21}),
    ],
)
def test_what_is_not_there_reads_disabled(xlen: int, what: str, fields: dict[str, int]) -> None:
    """`what` is for the reader."""
    a = Assembly(xlen)
    target = a.at + 4 * 64
    arm(a, 0, tdata1(xlen, **{"action": 2, **fields}), target)
    a.csr("tdata1", rd=20)
    while a.at < target + 8:
        a.addi()
    a.exit()
    machine = Machine([a.program()])
    assert pulses(finish(machine)) == []
    assert machine.register(20) == DISABLED << (xlen - 4)


@XLEN
@pytest.mark.parametrize("rest", [1 << 2, 1 << 6, 0])
def test_a_trigger_that_waits(xlen: int, rest: int) -> None:
    """Without execute, or without m, it is legal and never fires."""
    a = Assembly(xlen)
    control = tdata1(xlen, 2, rest=rest)
    arm(a, 1, control, a.at + 4 * 30)
    a.csr("tdata1", rd=20)
    for _ in range(40):
        a.addi()
    a.exit()
    machine = Machine([a.program()])
    assert pulses(finish(machine)) == [] and machine.register(20) == control


@XLEN
def test_ranges(xlen: int) -> None:
    """greater or equal, and less: each instruction that matches is a row of its own."""
    a = Assembly(xlen)
    a.jal(rd=0, imm=12)
    low = a.addi()
    a.jal(rd=0, imm=0x300)
    arm(a, 0, tdata1(xlen, 2, match=2), CODE + 0x300)
    arm(a, 1, tdata1(xlen, 3, match=3), CODE + 8)
    a.jal(rd=0, imm=low - a.at)
    while a.at < CODE + 8 + 0x300:
        a.addi()
    first = a.at
    a.addi()
    a.addi()
    a.exit()
    machine = Machine([a.program()])
    rows = pulses(finish(machine))
    assert rows[0] == (low, TRIGGER_OFF) and rows[1] == (first, TRIGGER_ON)
    assert [at for at, _ in rows[1:]][:3] == [first, first + 4, first + 8]
    assert {bits for _, bits in rows[1:]} == {TRIGGER_ON}


@XLEN
def test_armed_from_outside(xlen: int) -> None:
    """Beside the hart's own four, whose numbers software still finds; several at one address."""
    a = Assembly(xlen)
    a.addi()
    at = a.addi()
    other = a.addi()
    a.csr("tselect", rd=20)
    a.csr("tdata1", rd=21)
    a.exit()
    options = SidebandOptions(
        triggers=((at, TRIGGER_ON | TRIGGER_NOTIFY), (other, TRIGGER_OFF), (at, TRIGGER_OFF))
    )
    machine = Machine([a.program()], sideband=options)
    rows = finish(machine)
    assert pulses(rows) == [(at, 7), (other, TRIGGER_OFF)]
    assert machine.register(20) == 0 and machine.register(21) == DISABLED << (xlen - 4)
    machine.reset()
    assert pulses(finish(machine)) == [(at, 7), (other, TRIGGER_OFF)]


@XLEN
def test_an_instruction_that_traps_gives_no_pulse(xlen: int) -> None:
    """It does not retire, so there is no cycle in which it did."""
    a = with_handler(xlen)
    a.li(11, 0x10)
    a.addi()
    at = a.lw(rd=12, rs1=11, imm=0)
    a.add(rd=11, rs1=10, rs2=0)
    a.li(12, 0)
    again = a.lw(rd=12, rs1=11, imm=0)
    ecall = a.ecall()
    a.exit()
    triggers = tuple((each, TRIGGER_NOTIFY) for each in (at, again, ecall))
    machine = Machine([a.program()], sideband=SidebandOptions(triggers=triggers))
    rows = finish(machine)
    assert [row.iaddr for row in rows if row.is_trap] == [at, ecall]
    assert pulses(rows) == [(again, TRIGGER_NOTIFY)]


@XLEN
def test_with_time_in_one_sideband(xlen: int) -> None:
    a = Assembly(xlen)
    a.addi()
    at = a.addi()
    a.li(10, DATA)
    a.exit()
    options = SidebandOptions(triggers=((at, 1),), time=Time.INSTRET, time_every=1)
    rows = finish(Machine([a.program()], sideband=options))
    row = next(row for row in rows if row.iaddr == at)
    assert row.side == Side(HAS_TIME, 0, 6, 0, TRIGGER_ON)


@XLEN
def test_armed_in_the_middle_of_a_chunk(xlen: int) -> None:
    """Until then there is no side band at all: the pieces that hooks get fit together."""
    a = Assembly(xlen)
    handler = a.base + 8
    a.jal(rd=0, imm=24)
    a.addi()
    assert a.at == handler
    a.csr("mepc", rd=24)
    a.addi(rd=24, rs1=24, imm=4)
    a.csr("mepc", write=24)
    a.mret()
    a.li(25, handler)
    a.csr("mtvec", write=25)
    for _ in range(5):
        a.ecall()
    target = a.at + 4 * 40
    arm(a, 2, tdata1(xlen, 4), target)
    while a.at < target:
        a.addi()
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.ecall()
    a.slti(rd=10, rs1=9, imm=4)
    a.bne(rs1=10, rs2=0, to="loop")
    a.exit()
    plain = Machine([a.program()])
    rows = finish(plain)
    assert pulses(rows) == [(target, TRIGGER_NOTIFY)] * 4
    machine = Machine([a.program()])
    pieces: list[Row] = []
    machine.on_retire(lambda chunk: pieces.extend(told([chunk])))
    machine.on_discontinuity(lambda event: None)
    assert finish(machine) == rows == pieces
