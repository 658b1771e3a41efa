"""E-Trace 2.0, "Jump classification and target inference": sijump, exactly."""

from pathlib import Path

import pytest

from emu.hart.state import MAX_BLOCK
from emu.ingress.options import SidebandOptions
from emu.machine import ExitReason, Machine
from emu.platforms.elf import load
from specs.interfaces.ingress import TRIGGER_NOTIFY
from tests.emu.build import DATA, Assembly
from tests.emu.test_golden import NAMES
from tests.emu.test_interrupts import enable, set_timer, start
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, bare, check_sijump, told

#: Pairs that the golden programs run.
FOUND = {name: 40 if "flow" in name else 0 for name in NAMES}
XLEN = pytest.mark.parametrize("xlen", [32, 64])


def pair(a: Assembly, rd: int = 12) -> int:
    """auipc, then a jump by it to the instruction behind; the jump's address."""
    a.auipc(rd=rd, imm=0)
    return a.jalr(rd=1, rs1=rd, imm=8)


def jump(rows: list[Row], end: int) -> list[int]:
    """sijump of each time that the jump at `end` retired."""
    return [
        row.sijump for row in rows if not row.is_trap and row.iaddr + 2 * row.iretire == end + 4
    ]


@XLEN
def test_pairs(xlen: int) -> None:
    a = Assembly(xlen)
    absolute = DATA >> 12 << 12
    near = pair(a)
    a.lui(rd=5, imm=(absolute ^ 1 << 31) - (1 << 31))
    a.auipc(rd=6, imm=0)
    other = a.jalr(rd=0, rs1=6, imm=8)
    a.auipc(rd=7, imm=0)
    a.addi(rd=7, rs1=7, imm=0)
    apart = a.jalr(rd=0, rs1=7, imm=12)
    a.auipc(rd=7, imm=0)
    a.addi(rd=8, rs1=7, imm=12)
    a.auipc(rd=9, imm=0)
    wrong = a.jalr(rd=0, rs1=8, imm=4)
    a.exit()
    machine = Machine([a.program()])
    rows = told(machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    assert [jump(rows, at) for at in (near, other, apart, wrong)] == [[1], [1], [0], [0]]
    assert check_sijump(machine, rows) == 2


@XLEN
def test_a_jump_that_is_jumped_to(xlen: int) -> None:
    """Once behind its auipc, once by a jump: two blocks that end alike, and differ."""
    a = Assembly(xlen)
    a.auipc(rd=12, imm=0)
    at = a.label("jump")
    a.jalr(rd=1, rs1=12, imm=8)
    a.addi(rd=9, rs1=9, imm=1)
    a.slti(rd=10, rs1=9, imm=3)
    a.bne(rs1=10, rs2=0, to="jump")
    a.exit()
    machine = Machine([a.program()])
    rows = told(machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    assert jump(rows, at) == [1, 0, 0]
    check_sijump(machine, rows)


@XLEN
@pytest.mark.parametrize("before", [MAX_BLOCK - 3, MAX_BLOCK - 2, MAX_BLOCK - 1, MAX_BLOCK])
def test_the_longest_block_may_end_between_them(xlen: int, before: int) -> None:
    a = Assembly(xlen)
    a.jal(rd=0, imm=4)
    for _ in range(before):
        a.addi()
    at = pair(a)
    a.exit()
    machine = Machine([a.program()])
    rows = told(machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    assert jump(rows, at) == [1]
    assert any(row.iaddr == at for row in rows) == (before == MAX_BLOCK - 1)
    check_sijump(machine, rows)


@XLEN
def test_a_budget_may_end_between_them(xlen: int) -> None:
    a = Assembly(xlen)
    a.addi()
    at = pair(a)
    a.addi()
    a.exit()
    for first in range(1, 12):
        machine = Machine([a.program()])
        rows = told(machine.run(first))
        assert machine.instret == first and not machine.pc & 1
        while machine.exit_reason is ExitReason.BUDGET:
            rows += told(machine.run(1))
        assert jump(rows, at) == [1]
        assert check_sijump(machine, rows) == 1


@XLEN
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_trigger_splits_them(xlen: int, interrupted: bool) -> None:
    """The jump is a block of its own then; an interrupt may come between, and its return does not
    make the jump sequentially inferable.
    """
    a = start(xlen)
    set_timer(a, 2)
    enable(a, int(interrupted) << 7)
    # The 200th instruction, at which the timer is due, is the first of the pair; the boot ROM has
    # five, and start() begins with a jump to 128.
    while 6 + (a.at - a.base - 128) // 4 < 198:
        a.addi()
    a.jal(rd=0, imm=4)
    at = pair(a)
    a.exit()
    options = SidebandOptions(triggers=((at, TRIGGER_NOTIFY),))
    machine = Machine([a.program()], sideband=options)
    rows = told(machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    assert [row.code for row in rows if row.is_trap] == [2] * interrupted
    assert [row.iaddr for row in rows if row.is_trap] == [at] * interrupted
    assert jump(rows, at) == [not interrupted]
    if interrupted:
        assert machine.register(22) == at
    check_sijump(machine, rows)


@XLEN
def test_an_exception_between_them(xlen: int) -> None:
    """The jump's target is misaligned: it does not retire, and the handler steps over it."""
    a = with_handler(xlen)
    a.auipc(rd=24, imm=0)
    at = a.jalr(rd=0, rs1=24, imm=10)
    a.exit()
    machine = Machine([a.program()], isa=f"rv{xlen}ima_zicsr_zifencei")
    rows = told(machine.run(200))
    assert jump(rows, at) == [] and [row.iaddr for row in rows if row.is_trap] == [at]
    check_sijump(machine, rows)


@pytest.mark.parametrize("name", NAMES)
def test_golden_programs(golden: Path, name: str) -> None:
    elf = golden / name / f"{name}.elf"
    if not elf.exists():
        pytest.skip(f"no {name} in tests/golden")
    program = load(elf)
    machine = Machine([program])
    rows = told(machine.run(10_000_000))
    found = check_sijump(machine, rows)
    # In pieces of any size the same jumps are inferable.
    other = Machine([program])
    parts: list[Row] = []
    while other.exit_reason in (None, ExitReason.BUDGET) and other.instret < 3000:
        parts += told(other.run(7))
    check_sijump(other, parts)
    assert bare(rows) == rows and found == FOUND[name]


@pytest.mark.parametrize("name", ["rv32-flow", "rv64-flow"])
def test_every_jump_with_a_trigger(golden: Path, name: str) -> None:
    """All inferable jumps of a program become blocks of their own, and stay inferable."""
    program = load(golden / name / f"{name}.elf")
    plain = Machine([program])
    rows = told(plain.run())
    found = check_sijump(plain, rows)
    ends = {row.iaddr + 2 * row.iretire - 4: 4 for row in rows if row.sijump}
    machine = Machine([program], sideband=SidebandOptions(triggers=tuple(ends.items())[:60]))
    split = told(machine.run())
    if ends:
        assert len(split) > len(rows)
    assert check_sijump(machine, split) == found
