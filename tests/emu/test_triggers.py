"""Debug triggers: their registers, and the pulses on the rows of the instructions that match."""

import pytest

from emu.ingress.options import SidebandOptions, Time
from emu.machine import Machine
from specs.interfaces.ingress import HAS_TIME, TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from specs.isa.csrs import ADDRESS
from tests.emu.arming import DISABLED, EXECUTE_M, arm, finish, pulses, tdata1
from tests.emu.build import CODE, DATA, Assembly, dwords
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, Side, instructions, told

XLEN = pytest.mark.parametrize("xlen", [32, 64])


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
    maskmax = xlen - 1 << (xlen - 11) if kind == 2 else 0
    assert machine.register(20) == tdata1(xlen, 4, kind=kind) | maskmax
    assert machine.register(21) == target
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
        ("no action", {"action": 5}),
        ("mask", {"match": 4}),
        ("not equal", {"match": 8}),
        ("chain", {"rest": EXECUTE_M | 1 << 11}),
        ("value of data", {"rest": EXECUTE_M | 1 << 21}),
        ("value of data, mcontrol", {"kind": 2, "rest": EXECUTE_M | 1 << 19}),
        ("size of instructions", {"rest": EXECUTE_M | 3 << 16}),
        ("48 bits", {"rest": 1 << 6 | 1 | 4 << 16}),
        ("128 bits", {"rest": 1 << 6 | 1 | 6 << 16}),
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
@pytest.mark.parametrize("rest", [1 << 2, 1 << 6, 0, 7])
def test_a_trigger_that_waits(xlen: int, rest: int) -> None:
    """Without any access, or without m, it is legal and never fires."""
    a = Assembly(xlen)
    control = tdata1(xlen, 2, rest=rest)
    arm(a, 1, control, a.at + 4 * 30)
    a.csr("tdata1", rd=20)
    for _ in range(40):
        a.addi()
    a.exit()
    machine = Machine([a.program()])
    assert pulses(finish(machine)) == [] and machine.register(20) == control


def written(xlen: int, *writes: tuple[int, int], modes: str | None = None) -> list[tuple[int, int]]:
    """What tdata1 and tdata2 read after each write of (tdata2, tdata1), in this order."""
    a = Assembly(xlen)
    a.li(9, DATA)
    for tdata2, control in writes:
        arm(a, 0, control, tdata2)
        for name in ("tdata1", "tdata2"):
            a.csr(name, rd=20)
            a.sw(rs1=9, rs2=20, imm=0) if xlen == 32 else a.sd(rs1=9, rs2=20, imm=0)
            a.addi(rd=9, rs1=9, imm=xlen // 8)
    a.exit()
    machine = Machine([a.program()], modes=modes)
    finish(machine)
    values = dwords(machine, DATA, 2 * len(writes))
    return list(zip(values[::2], values[1::2], strict=True))


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
@pytest.mark.parametrize(("modes", "levels"), [("M", 0), ("MU", 1 << 3), ("MSU", 3 << 3)])
def test_fields_that_are_not_there_stay_zero(xlen: int, kind: int, modes: str, levels: int) -> None:
    """s and u without these modes, dmode, timing and reserved ones; action 1 becomes 0 without
    debug mode.
    """
    maskmax = xlen - 1 << (xlen - 11) if kind == 2 else 0
    size = 2 << 16
    plain = tdata1(xlen, 0, kind=kind, rest=1 << 6 | 3 | size)
    others = 3 << 3 | 1 << 5 | 1 << (xlen - 5) | (1 << 18 if kind == 2 else 3 << 25 | 3 << 23)
    hit = 1 << (20 if kind == 2 else 22)
    mine = tdata1(xlen, 1, kind=kind, rest=1 << 6 | 3 | size)
    got = written(xlen, (0x40, plain | others), (0x40, plain | hit), (0x40, mine), modes=modes)
    assert got == [
        (plain | maskmax | levels, 0x40),
        (plain | maskmax | hit, 0x40),
        (plain | maskmax, 0x40),
    ]


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
def test_accesses_of_64_bits(xlen: int, kind: int) -> None:
    size = 5 << 16 if kind == 6 else 1 << 16 | 1 << 21
    control = tdata1(xlen, 4, kind=kind, rest=1 << 6 | 1 | size)
    ((value, _),) = written(xlen, (0x40, control))
    if xlen == 64:
        assert value == control | (63 << 53 if kind == 2 else 0)
    elif kind == 6:
        assert value == DISABLED << 28
    else:  # its bit 21 belongs to maskmax: what is left is a size of 8 bits
        assert value == control & ~(63 << 21) | 31 << 21


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
def test_the_largest_naturally_aligned_range(xlen: int, kind: int) -> None:
    """tdata2 of all ones: the bit below the top one is cleared where the trigger is a range, and
    no trigger becomes a range over it. That is how a debugger finds out what the largest one is.
    """
    ones = (1 << xlen) - 1
    napot = tdata1(xlen, 4, match=1, kind=kind, rest=1 << 2)
    disabled = DISABLED << (xlen - 4)
    got = written(xlen, (ones, napot), (0, napot), (ones, napot), (ones >> 1, 0))
    maskmax = xlen - 1 << (xlen - 11) if kind == 2 else 0
    largest = ones ^ 1 << (xlen - 2)
    assert got == [
        (disabled, ones),
        (napot | maskmax, 0),
        (napot | maskmax, largest),
        (disabled, largest ^ 1 << (xlen - 1)),
    ]


@XLEN
def test_a_naturally_aligned_range(xlen: int) -> None:
    """Sixteen bytes: tdata2 has three ones below the lowest 0."""
    a = Assembly(xlen)
    first = CODE + 0x100
    arm(a, 0, tdata1(xlen, 2, match=1), first | 7)
    while a.at < first + 0x20:
        a.addi()
    a.exit()
    rows = pulses(finish(Machine([a.program()])))
    assert rows == [(first + 4 * i, TRIGGER_ON) for i in range(4)]


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


@XLEN
@pytest.mark.parametrize("kind", [2, 6])
def test_hit(xlen: int, kind: int) -> None:
    """It is set when the trigger fires, stays until software clears it, and is of that trigger."""
    hit = 1 << (20 if kind == 2 else 22)
    a = with_handler(xlen)
    target = CODE + 0x280
    arm(a, 1, tdata1(xlen, 4, kind=kind), target)
    arm(a, 2, tdata1(xlen, 3, kind=kind), target + 4)
    a.jal(rd=0, imm=target - 8 - a.at)
    while a.at < target - 8:
        a.addi()
    a.addi(rd=28, rs1=0, imm=1)
    a.csr("tselect", write=28)
    first = a.csr("tdata1", rd=15)
    assert first == target
    trapping = a.ecall()
    a.csr("tdata1", rd=16)
    a.li(29, hit)
    a.csrrc(rd=0, rs1=29, imm=ADDRESS["tdata1"])
    a.csr("tdata1", rd=17)
    a.addi(rd=28, rs1=0, imm=2)
    a.csr("tselect", write=28)
    a.csr("tdata1", rd=18)
    a.exit()
    machine = Machine([a.program()])
    rows = finish(machine)
    assert pulses(rows) == [(first, TRIGGER_NOTIFY)]
    assert [row.iaddr for row in rows if row.is_trap] == [trapping]
    # read by the instruction itself; after it; cleared; the one at the ecall, which trapped
    assert [machine.register(n) & hit for n in (15, 16, 17, 18)] == [0, hit, 0, 0]
