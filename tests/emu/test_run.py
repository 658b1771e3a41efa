"""Budgets, chunks, fence.i, exit and console: how a run goes on and ends."""

from itertools import pairwise

import numpy as np
import pytest

from emu.machine import ExitReason, Machine
from emu.memory import MachineError
from emu.platforms.elf import Program
from tests.emu.build import CODE, DATA, FROMHOST, TOHOST, Assembly, events, instructions, run


def counting(xlen: int, turns: int = 3000) -> Program:
    """Nested loops, calls and long blocks."""
    a = Assembly(xlen)
    a.li(5, turns)
    a.label("outer")
    a.jal(rd=1, imm=12)
    a.jal(rd=0, imm=28)
    a.addi()
    a.addi(rd=6, rs1=6, imm=1)
    a.andi(rd=7, rs1=6, imm=1)
    a.bne(rs1=7, rs2=0, imm=8)
    a.addi(rd=8, rs1=8, imm=1)
    a.jalr(rs1=1)
    for _ in range(150):
        a.addi(rd=9, rs1=9, imm=1)
    a.addi(rd=5, rs1=5, imm=-1)
    a.bne(rs1=5, rs2=0, to="outer")
    a.exit()
    return a.program()


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_long_block_is_cut_the_same_way_each_time(xlen: int) -> None:
    machine = Machine([counting(xlen, 20)])
    rows = instructions(machine, machine.run(1_000_000))
    assert machine.exit_reason is ExitReason.EXIT
    assert len(rows) == machine.instret
    for before, after in pairwise(rows):
        size = 4 if before[1] & 3 == 3 else 2
        if before[1] & 0x7F not in (0x63, 0x6F, 0x67):
            assert after[0] == before[0] + size


@pytest.mark.parametrize(
    "limit", [0, 1, 2, 4, 5, 6, 10, 63, 64, 65, 66, 129, 200, 1000, 1001, 9999]
)
def test_budget_is_exact(limit: int) -> None:
    program = counting(64, 70)
    whole = Machine([program])
    want = instructions(whole, whole.run(1_000_000))[:limit]
    machine = Machine([program])
    got = instructions(machine, machine.run(limit))
    assert machine.exit_reason is ExitReason.BUDGET
    assert machine.instret == len(got) == limit
    assert got == want


def test_a_run_goes_on_after_its_budget() -> None:
    program = counting(64, 200)
    whole = Machine([program])
    want = instructions(whole, whole.run(1_000_000))
    machine = Machine([program])
    got = []
    for limit in [1, 7, 64, 100] * 1000:
        got += instructions(machine, machine.run(limit))
        if machine.exit_reason is ExitReason.EXIT:
            break
    assert got == want
    assert list(machine.run(10)) == [] and machine.instret == whole.instret


@pytest.mark.parametrize("xlen", [32, 64])
def test_recording_changes_nothing(xlen: int) -> None:
    program = counting(xlen)
    recorded, silent = Machine([program]), Machine([program], record=False)
    assert sum(len(c.refs) for c in recorded.run(9_000_000)) > 1000
    assert list(silent.run(9_000_000)) == []
    assert recorded.instret == silent.instret
    assert np.array_equal(recorded.cpu[:33], silent.cpu[:33])


def test_two_buffers_keep_a_chunk_until_the_next_but_one() -> None:
    program = counting(64, 30_000)
    copies = [c.refs.copy() for c in Machine([program], chunk_refs=1 << 12).run(20_000_000)]
    previous = None
    count = 0
    for number, chunk in enumerate(
        Machine([program], chunk_refs=1 << 12).run(20_000_000, buffers=2)
    ):
        if previous is not None:
            assert np.array_equal(previous, copies[number - 1])
        previous = chunk.refs
        count += 1
    assert count == len(copies) > 10


def test_a_full_block_table_begins_a_new_one() -> None:
    """More code than the table holds, run twice."""
    a = Assembly(64)
    a.addi(rd=5, rs1=0, imm=3)
    a.label("again")
    for _ in range(3000):
        a.jal(rd=0, imm=4)
    a.addi(rd=5, rs1=5, imm=-1)
    a.beq(rs1=5, rs2=0, imm=8)
    a.jal(rd=0, to="again")
    a.exit()
    program = a.program()
    want = events(Machine([program]).run(1_000_000))
    small = Machine([program], table_blocks=1 << 10, chunk_refs=1 << 12)
    got, largest = [], 0
    for chunk in small.run(1_000_000):
        got += events([chunk])
        largest = max(largest, len(chunk.blocks))
    assert got == want and largest <= 1 << 10
    assert small.exit_reason is ExitReason.EXIT


@pytest.mark.parametrize("fence", [False, True])
def test_self_modifying_code(fence: bool) -> None:
    """Without fence.i the old code may go on; with it the new one must run."""
    a = Assembly(64)
    a.addi(rd=10, rs1=0, imm=0)
    a.addi(rd=11, rs1=0, imm=0)
    a.label("loop")
    a.jal(rd=1, imm=8)
    a.jal(rd=0, imm=12)
    patched = a.addi(rd=11, rs1=11, imm=1)
    a.jalr(rs1=1)
    a.li(5, patched)
    a.li(6, 0x06458593)  # addi x11, x11, 100
    a.sw(rs1=5, rs2=6, imm=0)
    a.fence_i() if fence else a.fence()
    a.addi(rd=10, rs1=10, imm=1)
    a.addi(rd=7, rs1=0, imm=3)
    a.bne(rs1=10, rs2=7, to="loop")
    a.exit()
    machine = run(a.program())
    assert machine.exit_reason is ExitReason.EXIT
    assert machine.register(11) == (201 if fence else 3)


@pytest.mark.parametrize("xlen", [32, 64])
def test_exit_at_the_end_of_the_block(xlen: int) -> None:
    a = Assembly(xlen)
    a.li(30, TOHOST)
    a.addi(rd=31, rs1=0, imm=7 << 1 | 1)
    a.sw(rs1=30, rs2=31, imm=0)
    a.sw(rs1=30, rs2=0, imm=4)
    last = a.jal(rd=0, imm=-4)
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1_000_000))
    assert rows[-1][0] == last
    assert (machine.exit_reason, machine.exit_code) == (ExitReason.EXIT, 7)


def system_call(a: Assembly, number: int, *arguments: int) -> None:
    a.li(10, DATA)
    for slot, value in enumerate((number, *arguments)):
        a.li(11, value)
        a.sw(rs1=10, rs2=11, imm=8 * slot)
        a.sw(rs1=10, rs2=0, imm=8 * slot + 4)
    a.li(12, TOHOST)
    a.sw(rs1=12, rs2=10, imm=0)
    a.li(13, FROMHOST)
    a.lw(rd=14, rs1=13, imm=0)
    a.beq(rs1=14, rs2=0, imm=-4)
    a.sw(rs1=13, rs2=0, imm=0)


@pytest.mark.parametrize("xlen", [32, 64])
def test_write_system_call(xlen: int) -> None:
    text = b"hello\n"
    a = Assembly(xlen)
    system_call(a, 64, 1, DATA + 256, len(text))
    a.lw(rd=20, rs1=10, imm=0)
    system_call(a, 64, 7, DATA + 256, len(text))  # no such descriptor
    a.lw(rd=21, rs1=10, imm=0)
    system_call(a, 64, 2, 0x10, 0xFFFFFFFF)  # not memory
    a.lw(rd=22, rs1=10, imm=0)
    system_call(a, 12345)
    a.lw(rd=23, rs1=10, imm=0)
    a.exit()
    written: list[bytes] = []
    machine = run(a.program(bytes(256) + text), console=written.append)
    assert b"".join(written) == text
    signed = [
        r - (r >> 31 << 32) for r in (machine.register(i) & 0xFFFFFFFF for i in range(20, 24))
    ]
    assert signed == [len(text), -9, -14, -38]


def test_exit_system_call() -> None:
    a = Assembly(64)
    system_call(a, 93, 42)
    machine = run(a.program())
    assert (machine.exit_reason, machine.exit_code) == (ExitReason.EXIT, 42)


def test_console_device() -> None:
    a = Assembly(64)
    a.li(12, TOHOST)
    a.addi(rd=10, rs1=0, imm=0x101)
    a.slli(rd=10, rs1=10, imm=48)
    for character in b"ok":
        a.addi(rd=11, rs1=10, imm=character)
        a.sd(rs1=12, rs2=11, imm=0)
        a.jal(rd=0, imm=4)
    a.exit()
    written: list[bytes] = []
    run(a.program(), console=written.append)
    assert written == [b"o", b"k"]


def test_more_memory_and_where_it_cannot_be() -> None:
    a = Assembly(64)
    a.li(5, 0x4000_0000)
    a.sw(rs1=5, rs2=5, imm=0)
    a.exit()
    program = a.program()
    assert run(program).trap_counts != {}
    machine = run(program, memory=[(0x4000_0000, 0x1000)])
    assert machine.memory.read(0x4000_0000, 4) == 0x4000_0000 and machine.trap_counts == {}
    for base, size in ((0, 0x2000), (0x200_0000, 0x1000), (0x5000, 3), (3, 0x1000), (0x5000, -4096),
                       (0x5000, 1 << 62), (1 << 64, 4096)):  # fmt: skip
        with pytest.raises(MachineError):
            Machine([program], memory=[(base, size)])


def test_what_cannot_be_built() -> None:
    a, b = Assembly(64), Assembly(32)
    for options in (
        {"isa": "rv64imafdcv"},
        {"isa": "rv64imac", "modes": "MS"},
        {"modes": "SU"},
        {"isa": "rv32imac"},
        {"isa": "arm"},
        {"platform": "moon"},
    ):
        with pytest.raises(MachineError) as caught:
            Machine([a.program()], **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(MachineError):
        Machine([a.program(), b.program()])
    with pytest.raises(MachineError):
        Machine([])


def test_several_programs() -> None:
    """The first gives the entry; the others are only loaded."""
    a = Assembly(64)
    a.li(5, DATA + 0x10_0000)
    a.jalr(rs1=5)
    b = Assembly(64, base=DATA + 0x10_0000 + 0x20_0000)
    b.exit(9)
    c = Assembly(64)
    c.li(5, b.base)
    c.jalr(rs1=5)
    machine = Machine([c.program(), b.program()], record=False)
    assert list(machine.run(1_000_000)) == []
    assert machine.exit_code == 9
    assert machine.memory.read(CODE, 4) != 0
