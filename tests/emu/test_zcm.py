"""Zcmp and Zcmt: pushes, pops, moves, and jumps through a table."""

import random
import struct
from itertools import product

import pytest

from emu.machine import ExitReason, Machine
from specs.isa.encode import encode
from specs.isa.itype import Itype
from tests.emu.build import DATA, Assembly, dwords, events
from tests.emu.levels import Levels, M, S
from tests.emu.tables import SCHEMES, A, D, R, Scheme, V, X
from tests.emu.test_paging import world

XLEN = pytest.mark.parametrize("xlen", [32, 64])
RA, SP, A0, A1 = 1, 2, 10, 11
#: Registers of a list, as "cm.push" has them: ra, s0 - s11 by their numbers.
SAVED = [8, 9, *range(18, 28)]
LISTS = {n: [RA, *SAVED[: n - 4]] for n in range(4, 15)} | {15: [RA, *SAVED]}
#: stack_adj_base, "cm.push".
BASE_RV32 = {**dict.fromkeys(range(4, 8), 16), **dict.fromkeys(range(8, 12), 32),
             **dict.fromkeys(range(12, 15), 48), 15: 64}  # fmt: skip
BASE_RV64 = {4: 16, 5: 16, 6: 32, 7: 32, 8: 48, 9: 48, 10: 64, 11: 64, 12: 80, 13: 80, 14: 96,
             15: 112}  # fmt: skip
CASES = list(product(range(4, 16), range(4)))
FRAME = 256


def isa(xlen: int) -> str:
    return f"rv{xlen}ima_zca_zcb_zcmp_zcmt_zicsr_zifencei"


def adjustment(xlen: int, rlist: int, spimm: int) -> int:
    return (BASE_RV32 if xlen == 32 else BASE_RV64)[rlist] + 16 * spimm


def field(rlist: int, spimm: int) -> int:
    return rlist | spimm << 4


def slots(xlen: int, rlist: int, top: int) -> dict[int, int]:
    """Where each register of a list is, below the address `top`."""
    size = xlen // 8
    order = [n for n in range(31, 0, -1) if n in LISTS[rlist]]
    return {number: top - size * (k + 1) for k, number in enumerate(order)}


def store(a: Assembly, **operands: int) -> None:
    (a.sw if a.xlen == 32 else a.sd)(**operands)


def numbers(machine: Machine, address: int, count: int) -> list[int]:
    return dwords(machine, address, count)


@XLEN
def test_push(xlen: int) -> None:
    size = xlen // 8
    a = Assembly(xlen)
    values = {}
    for number in (RA, *SAVED):
        a.li(number, 0x4000_0000 | number * 0x10203)
        values[number] = 0x4000_0000 | number * 0x10203
    a.li(5, DATA + 0x8000)
    for n, case in enumerate(CASES):
        a.li(SP, DATA + FRAME * n + 200)
        a.cm_push(rs1=SP, imm=field(*case))
        store(a, rs1=5, rs2=SP, imm=0)
        a.addi(rd=5, rs1=5, imm=size)
    a.exit()
    machine = Machine([a.program(b"\xee" * 0x4000)], isa=isa(xlen), record=False)
    assert list(machine.run(100_000)) == [] and machine.trap_counts == {}
    pointers = numbers(machine, DATA + 0x8000, len(CASES))
    for n, (rlist, spimm) in enumerate(CASES):
        top = DATA + FRAME * n + 200
        assert pointers[n] == top - adjustment(xlen, rlist, spimm)
        frame = bytearray(b"\xee" * FRAME)
        for number, at in slots(xlen, rlist, 200).items():
            frame[at : at + size] = values[number].to_bytes(size, "little")
        assert machine.memory.view(DATA + FRAME * n, FRAME).tobytes() == frame, (rlist, spimm)


def popping(xlen: int, name: str) -> tuple[Assembly, bytes, list[list[int]], list[int]]:
    """All cases of a pop: the program, its stack, what registers (in order: ra, s0 - s11, sp, a0)
    are then, and the addresses of the pops.
    """
    rng = random.Random(f"{name} {xlen}")
    size = xlen // 8
    stack = bytearray(rng.randbytes(FRAME * len(CASES)))
    a = Assembly(xlen)
    wanted, where = [], []
    a.li(5, DATA + 0x8000)
    for n, (rlist, spimm) in enumerate(CASES):
        registers = {number: 0x100 + number for number in (RA, *SAVED, A0)}
        for number, value in registers.items():
            a.addi(rd=number, rs1=0, imm=value)
        moved = adjustment(xlen, rlist, spimm)
        start = 16
        a.li(SP, DATA + FRAME * n + start)
        where.append(a.at)
        getattr(a, name)(rs1=SP, imm=field(rlist, spimm))
        if name != "cm_pop":  # it leads behind what would be a failure
            a.c_nop()
            a.ebreak()
            ra = slots(xlen, rlist, FRAME * n + start + moved)[RA]
            stack[ra : ra + size] = (a.at | n & 1).to_bytes(size, "little")
        for number, at in slots(xlen, rlist, FRAME * n + start + moved).items():
            registers[number] = int.from_bytes(stack[at : at + size], "little")
        registers[SP] = DATA + FRAME * n + start + moved
        if name == "cm_popretz":
            registers[A0] = 0
        order = [RA, *SAVED, SP, A0]
        for k, number in enumerate(order):
            store(a, rs1=5, rs2=number, imm=k * size)
        a.addi(rd=5, rs1=5, imm=len(order) * size)
        wanted.append([registers[number] for number in order])
    a.exit()
    return a, bytes(stack), wanted, where


@XLEN
@pytest.mark.parametrize("name", ["cm_pop", "cm_popret", "cm_popretz"])
def test_pop(xlen: int, name: str) -> None:
    """And where it returns: a block that ends there, of itype 13."""
    a, stack, wanted, where = popping(xlen, name)
    machine = Machine([a.program(stack)], isa=isa(xlen))
    rows = events(machine.run(100_000))
    assert machine.exit_reason is ExitReason.EXIT and machine.trap_counts == {}
    got = numbers(machine, DATA + 0x8000, 15 * len(CASES))
    for n, case in enumerate(CASES):
        assert got[15 * n : 15 * n + 15] == wanted[n], case
    assert machine.memory.view(DATA, len(stack)).tobytes() == stack
    ends = [at for _, iaddr, halves, itype in rows if itype == Itype.RETURN
            for at in [iaddr + 2 * halves - 2]]  # fmt: skip
    assert ends[1:] == ([] if name == "cm_pop" else where)  # the first one is the boot ROM's


@XLEN
def test_reserved_encodings(xlen: int) -> None:
    """Lists 0 to 3, and two registers of cm.mvsa01 that are one."""
    a = Levels(xlen)
    words = [0xB802, 0xBA02, 0xBC02, 0xBE02]
    every = [word | rlist << 4 for word in words for rlist in range(4)]
    every += [0xAC22 | n << 7 | n << 2 for n in range(8)]
    parts = []
    for word in every:
        with a.part(M) as part:
            a.raw(word, 2)
            a.c_nop()
        parts.append((part, word))
    a.exit()
    a.observe(isa=isa(xlen))
    for part, word in parts:
        assert part.fault == (2, word)


EDGE = 0x4000_0000


@XLEN
@pytest.mark.parametrize("name", ["cm_push", "cm_pop", "cm_popret", "cm_popretz"])
def test_faults_in_the_middle(xlen: int, name: str) -> None:
    """At each register of a list: xepc is the instruction, xtval one of the addresses that are bad,
    and the stack pointer, a0 and the flow are as before.
    """
    size = xlen // 8
    a = Levels(xlen)
    cases = []
    for rlist, good in product((4, 7, 12, 15), range(13)):
        count = len(LISTS[rlist])
        if good >= count:
            continue
        # `good` of the slots are in memory, the others beyond its edge
        if name == "cm_push":
            pointer = EDGE + good * size
        else:
            moved = adjustment(xlen, rlist, 0)
            pointer = EDGE + 0x1000 - moved + (count - good) * size
        a.li(SP, pointer)
        a.addi(rd=A0, rs1=0, imm=0x55)
        with a.part(M) as part:
            getattr(a, name)(rs1=SP, imm=field(rlist, 0))
        a.csr("mscratch", write=SP)
        a.csr("mscratch", rd=5)
        a.bne(rs1=SP, rs2=5, to="failed")
        a.li(6, pointer)
        a.bne(rs1=SP, rs2=6, to="failed")
        a.addi(rd=7, rs1=0, imm=0x55)
        a.bne(rs1=A0, rs2=7, to="failed")
        top = pointer if name == "cm_push" else pointer + adjustment(xlen, rlist, 0)
        bad = {at for at in slots(xlen, rlist, top).values() if not EDGE <= at < EDGE + 0x1000}
        assert len(bad) == count - good
        cases.append((part, bad))
    a.exit()
    a.label("failed")
    a.exit(1)
    machine = a.observe(isa=isa(xlen), memory=[(EDGE, 0x1000)])
    assert machine.exit_code == 0
    for part, bad in cases:
        cause, tval = part.fault or (0, 0)
        assert cause == (7 if name == "cm_push" else 5) and tval in bad
        assert part.traps[0].from_pc == part.begin


@XLEN
def test_moves(xlen: int) -> None:
    """cm.mvsa01 of each pair of different registers, cm.mva01s of each pair."""
    eight = SAVED[:8]
    a = Assembly(xlen)
    a.li(5, DATA)
    wanted = []
    size = xlen // 8
    for first, second in product(eight, eight):
        if first != second:
            a.addi(rd=A0, rs1=0, imm=-7)
            a.addi(rd=A1, rs1=0, imm=99)
            a.cm_mvsa01(rs1=first, rs2=second)
            store(a, rs1=5, rs2=first, imm=0)
            store(a, rs1=5, rs2=second, imm=size)
            wanted += [(1 << xlen) - 7, 99]
            a.addi(rd=5, rs1=5, imm=2 * size)
        for k, number in enumerate(eight):
            a.addi(rd=number, rs1=0, imm=k + 40)
        a.cm_mva01s(rs1=first, rs2=second)
        store(a, rs1=5, rs2=A0, imm=0)
        store(a, rs1=5, rs2=A1, imm=size)
        wanted += [eight.index(first) + 40, eight.index(second) + 40]
        a.addi(rd=5, rs1=5, imm=2 * size)
    a.exit()
    machine = Machine([a.program()], isa=isa(xlen), record=False)
    assert list(machine.run(100_000)) == [] and machine.trap_counts == {}
    assert numbers(machine, DATA, len(wanted)) == wanted


TABLE = DATA + 0x4000


@XLEN
def test_table_jumps(xlen: int) -> None:
    """Below 32 a jump, from there on a call; the lowest bit of an entry does not count. In the
    trace they are uninferable: itypes 10 and 8.
    """
    size = xlen // 8
    indices = [0, 1, 17, 31, 32, 33, 100, 255]
    a = Assembly(xlen)
    a.li(5, TABLE | 0x3F)
    a.csr("jvt", write=5)
    a.csr("jvt", rd=6)
    table = bytearray(256 * size)
    sites = []
    a.li(9, DATA)
    for n, index in enumerate(indices):
        a.addi(rd=RA, rs1=0, imm=0x77)
        at = a.cm_jt(imm=index) if index < 32 else a.cm_jalt(imm=index)
        a.c_nop()
        a.ebreak()
        table[index * size : (index + 1) * size] = (a.at | n & 1).to_bytes(size, "little")
        sites.append((at, index, a.at))
        store(a, rs1=9, rs2=RA, imm=n * size)
    a.exit()
    data = bytes(0x4000) + bytes(table)
    machine = Machine([a.program(data)], isa=isa(xlen))
    rows = events(machine.run(10_000))
    assert machine.exit_reason is ExitReason.EXIT and machine.trap_counts == {}
    assert machine.register(6) == TABLE
    links = numbers(machine, DATA, len(indices))
    assert links == [0x77 if index < 32 else at + 2 for at, index, _ in sites]
    ends = {iaddr + 2 * halves - 2: (n, itype) for n, (_, iaddr, halves, itype) in enumerate(rows)}
    for at, index, target in sites:
        n, itype = ends[at]
        assert itype == (Itype.UNINFERABLE_JUMP if index < 32 else Itype.UNINFERABLE_CALL)
        assert rows[n + 1][:2] == ("block", target)


@XLEN
def test_a_table_that_changes(xlen: int) -> None:
    """jvt counts at once; stores into the table behind fence.i."""
    size = xlen // 8
    a = Assembly(xlen)
    a.li(5, TABLE)
    a.li(6, TABLE + 0x1000)
    a.jal(rd=0, to="main")
    for n, name in enumerate(("one", "two", "three")):
        a.label(name)
        a.slli(rd=10, rs1=10, imm=4)
        a.addi(rd=10, rs1=10, imm=n + 1)
        a.jalr(rs1=RA)
    a.label("main")
    for table in (5, 6, 6, 5, 6):
        a.csr("jvt", write=table)
        a.cm_jalt(imm=40)
        a.c_nop()
    a.li(7, a.labels["three"])
    store(a, rs1=6, rs2=7, imm=40 * size)
    a.fence_i()
    a.cm_jalt(imm=40)
    a.c_nop()
    a.exit()
    tables = bytearray(0x6000)
    for base, name in ((0x4000, "one"), (0x5000, "two")):
        at = base + 40 * size
        tables[at : at + size] = a.labels[name].to_bytes(size, "little")
    machine = Machine([a.program(bytes(tables))], isa=isa(xlen), record=False)
    assert list(machine.run(10_000)) == [] and machine.trap_counts == {}
    assert machine.register(10) == 0x12212 << 4 | 3


@XLEN
def test_a_table_that_is_not_there(xlen: int) -> None:
    """An instruction access fault: xepc is the jump, xtval the entry."""
    a = Levels(xlen)
    wanted = []
    a.li(RA, 0x77)
    for index in (3, 200):
        a.put("jvt", 0x10_0000)
        with a.part(M) as part:
            getattr(a, "cm_jt" if index < 32 else "cm_jalt")(imm=index)
            a.c_nop()
        wanted.append((part, (1, 0x10_0000 + index * xlen // 8)))
    a.exit()
    machine = a.observe(isa=isa(xlen))
    for part, fault in wanted:
        assert part.fault == fault and part.traps[0].from_pc == part.begin
    assert machine.register(RA) == 0x77


@pytest.mark.parametrize("scheme", SCHEMES[:2], ids=lambda scheme: scheme.name)
def test_a_table_has_to_be_executable(scheme: Scheme) -> None:
    """By its virtual address; whether it can be read does not count."""
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else 7 << 30
    physical = 0x8200_0000
    flags = {"x": V | X | A, "r": V | R | A | D, "none": 0, "rx": V | R | X | A}
    a = Levels(scheme.xlen)
    a.put("satp", tables.satp)
    parts = []
    size = scheme.xlen // 8
    entries = bytearray(0x1000)
    for n, (name, bits) in enumerate(flags.items()):
        va = base + (n << 12)
        tables.map(va, physical, bits)
        a.put("jvt", va)
        with a.part(S) as part:
            a.cm_jalt(imm=64 + n)
            a.c_nop()
            a.ebreak()
            target = a.at
            a.addi()
        entries[(64 + n) * size : (65 + n) * size] = target.to_bytes(size, "little")
        fine = "x" in name
        parts.append((part, None if fine else (12, va + (64 + n) * size)))
    a.exit()
    program = a.program(tables=(tables.base, tables.bytes()), entries=(physical, bytes(entries)))
    a.observe(program, isa=isa(scheme.xlen))
    assert [part.fault for part, _ in parts] == [fault for _, fault in parts]


def test_words() -> None:
    """Encodings, as the manual draws them."""
    assert encode("cm.push", rs1=2, imm=field(7, 3)) == 0xB87E
    assert encode("cm.popret", rs1=2, imm=field(4, 0)) == 0xBE42
    assert encode("cm.jt", imm=31) == 0xA07E and encode("cm.jalt", imm=32) == 0xA082
    assert struct.pack("<H", encode("cm.mvsa01", rs1=8, rs2=9)) == b"\x26\xac"
