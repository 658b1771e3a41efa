"""Each instruction's semantics against plain Python, which shares nothing with the kernels."""

import random
from collections.abc import Iterable

import pytest

from emu.machine import ExitReason, Machine
from tests.emu.build import DATA, Assembly, dwords, run
from tests.emu.oracle import (
    AMO,
    COMPARE,
    IMMEDIATE,
    IMMEDIATE_RV64,
    ONLY_RV64,
    REGISTER,
    RV32_NAMES,
    UNARY,
    UNARY_RV32,
    UNARY_RV64,
    oracle_of,
    signed,
)

CORNERS = [0, 1, 2, 3, -1, -2, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 32, 1 << 63, (1 << 63) - 1]


def operands(name: str, xlen: int, count: int = 60) -> list[tuple[int, int]]:
    rng = random.Random(f"{name}{xlen}")
    mask = (1 << xlen) - 1

    def value() -> int:
        kind = rng.randrange(3)
        if kind == 0:
            return rng.choice(CORNERS) & mask
        return rng.getrandbits(rng.randrange(1, xlen + 1)) * rng.choice((1, -1)) & mask

    corners = [(a & mask, b & mask) for a in CORNERS[:9] for b in CORNERS[:9]]
    return corners + [(value(), value()) for _ in range(count)]


def values(numbers: list[int], xlen: int) -> bytes:
    return b"".join((n & (1 << xlen) - 1).to_bytes(xlen // 8, "little") for n in numbers)


def load_store(xlen: int) -> tuple[str, str, int]:
    return ("ld", "sd", 8) if xlen == 64 else ("lw", "sw", 4)


def both_widths(common: Iterable[str], only_rv64: Iterable[str]) -> list[tuple[str, int]]:
    return [(n, x) for n in common for x in (32, 64)] + [(n, 64) for n in only_rv64]


@pytest.mark.parametrize("name,xlen", both_widths(REGISTER, ONLY_RV64))
def test_register_instruction(name: str, xlen: int) -> None:
    oracle = (REGISTER | ONLY_RV64)[name]
    load, store, size = load_store(xlen)
    pairs = operands(name, xlen)
    a = Assembly(xlen)
    a.li(10, DATA)
    for _ in pairs:
        getattr(a, load)(rd=5, rs1=10, imm=0)
        getattr(a, load)(rd=6, rs1=10, imm=size)
        getattr(a, name)(rd=7, rs1=5, rs2=6)
        getattr(a, name)(rd=5, rs1=5, rs2=6)  # rd is a source as well
        getattr(a, name)(rd=0, rs1=5, rs2=6)
        getattr(a, store)(rs1=10, rs2=7, imm=0)
        getattr(a, store)(rs1=10, rs2=5, imm=size)
        a.addi(rd=10, rs1=10, imm=2 * size)
    a.exit()
    machine = run(a.program(values([v for pair in pairs for v in pair], xlen)))
    assert machine.exit_reason is ExitReason.EXIT and machine.register(0) == 0
    got = dwords(machine, DATA, 2 * len(pairs))
    for (left, right), first, second in zip(pairs, got[::2], got[1::2], strict=True):
        assert first == second == oracle(left, right, xlen) & (1 << xlen) - 1, (left, right)


@pytest.mark.parametrize("name,xlen", both_widths(IMMEDIATE, IMMEDIATE_RV64))
def test_immediate_instruction(name: str, xlen: int) -> None:
    oracle, bits = oracle_of(name)
    load, store, size = load_store(xlen)
    rng = random.Random(name)
    numbers = [left for left, _ in operands(name, xlen)]
    if bits == 12:
        immediates = [rng.choice((0, 1, -1, 2047, -2048, rng.randrange(-2048, 2048)))
                      for _ in numbers]  # fmt: skip
    else:
        immediates = [rng.randrange(1 << bits if bits else xlen) for _ in numbers]
    a = Assembly(xlen)
    a.li(10, DATA)
    for immediate in immediates:
        getattr(a, load)(rd=5, rs1=10, imm=0)
        getattr(a, name)(rd=7, rs1=5, imm=immediate)
        getattr(a, store)(rs1=10, rs2=7, imm=0)
        a.addi(rd=10, rs1=10, imm=size)
    a.exit()
    machine = run(a.program(values(numbers, xlen)))
    mask = (1 << xlen) - 1
    want = [oracle(n, i & mask, xlen) & mask for n, i in zip(numbers, immediates, strict=True)]
    assert dwords(machine, DATA, len(numbers)) == want


@pytest.mark.parametrize(
    "name,xlen", both_widths(UNARY, UNARY_RV64) + [(n, 32) for n in UNARY_RV32]
)
def test_unary_instruction(name: str, xlen: int) -> None:
    oracle, _ = oracle_of(name)
    load, store, size = load_store(xlen)
    numbers = [left for left, _ in operands(name, xlen)]
    mnemonic = RV32_NAMES.get(name, name) if xlen == 32 else name
    a = Assembly(xlen)
    a.li(10, DATA)
    for _ in numbers:
        getattr(a, load)(rd=5, rs1=10, imm=0)
        getattr(a, mnemonic)(rd=5, rs1=5)
        getattr(a, store)(rs1=10, rs2=5, imm=0)
        a.addi(rd=10, rs1=10, imm=size)
    a.exit()
    machine = run(a.program(values(numbers, xlen)))
    want = [oracle(n, 0, xlen) & (1 << xlen) - 1 for n in numbers]
    assert dwords(machine, DATA, len(numbers)) == want


def test_what_compressed_instructions_of_zcb_and_zcmop_do() -> None:
    """ "Zcb": each as what it expands to, its operand the result."""
    a = Assembly(64)
    a.li(10, DATA)
    a.ld(rd=8, rs1=10, imm=0)
    for name, fields in (
        *(("zext.b", {}), ("sext.b", {}), ("zext.h", {}), ("sext.h", {}), ("zext.w", {})),
        *(("not", {"imm": -1}), ("mul", {"rs2": 8})),
    ):
        a.c_mv(rd=9, rs2=8)
        getattr(a, f"c.{name}")(rd=9, rs1=9, **({"imm": 255} if name == "zext.b" else fields))
        a.addi(rd=10, rs1=10, imm=8)
        a.sd(rs1=10, rs2=9, imm=0)
    a.li(10, DATA)
    a.li(1, 7)
    a.li(5, 9)
    for number in (1, 5, 15):
        getattr(a, f"c.mop.{number}")()
    a.li(12, DATA + 128)
    getattr(a, "c.sb")(rs1=12, rs2=8, imm=3)
    getattr(a, "c.sh")(rs1=12, rs2=8, imm=0)
    getattr(a, "c.lbu")(rd=13, rs1=12, imm=3)
    getattr(a, "c.lhu")(rd=14, rs1=12, imm=2)
    getattr(a, "c.lh")(rd=15, rs1=12, imm=0)
    a.exit()
    value = 0x0123_4567_89AB_CDEF
    machine = run(a.program(values([value], 64)))
    assert machine.exit_reason is ExitReason.EXIT
    mask = (1 << 64) - 1
    assert dwords(machine, DATA + 8, 7) == [
        *(0xEF, signed(0xEF, 8) & mask, 0xCDEF, signed(0xCDEF, 16) & mask, 0x89AB_CDEF),
        *(value ^ mask, value * value & mask),
    ]
    loaded = [machine.register(number) for number in (13, 14, 15)]
    assert loaded == [0xEF, 0xEF00, signed(0xCDEF, 16) & mask]
    assert [machine.register(number) for number in (1, 5, 10)] == [7, 9, DATA]


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("seed", range(10))
def test_random_programs(seed: int, xlen: int) -> None:
    """All that only computes, in a random order on all registers, against the oracle; and the same
    again, with blocks that end anywhere.
    """
    rng = random.Random(f"{seed}{xlen}")
    mask = (1 << xlen) - 1
    names = [
        name
        for name, width in both_widths(
            [*REGISTER, *IMMEDIATE, *UNARY], [*ONLY_RV64, *IMMEDIATE_RV64, *UNARY_RV64]
        )
        if width == xlen
    ]
    names += UNARY_RV32 if xlen == 32 else []
    a = Assembly(xlen)
    registers = [0] * 30
    for number in range(1, 30):
        registers[number] = rng.choice((0, 1, 0x7FFF_FFFF, 0x8000_0000, rng.getrandbits(32)))
        a.li(number, registers[number])
    for _ in range(1500):
        name = rng.choice(names)
        oracle, bits = oracle_of(name)
        rd, rs1, rs2 = (rng.randrange(30) for _ in range(3))
        rs2 += name in ("pack", "packw") and rs2 == 0  # with x0 it is called zext.h
        fields = {"rd": rd, "rs1": rs1}
        second = registers[rs2]
        if bits >= 0:
            second = (
                rng.randrange(-2048, 2048)
                if bits == 12
                else rng.randrange(1 << bits if bits else xlen)
            )
            fields["imm"] = signed(second, 12) if bits == 12 else second
        elif name not in UNARY | UNARY_RV32 | UNARY_RV64:
            fields["rs2"] = rs2
        getattr(a, RV32_NAMES.get(name, name) if xlen == 32 else name)(**fields)
        if rd:
            registers[rd] = oracle(registers[rs1], second & mask, xlen) & mask
    a.exit()
    machine = run(a.program())
    assert machine.exit_reason is ExitReason.EXIT
    assert [machine.register(number) for number in range(30)] == registers
    steps = Machine([a.program()], record=False)
    while steps.exit_reason is not ExitReason.EXIT:
        assert list(steps.run(rng.randrange(1, 100))) == []
    assert [steps.register(number) for number in range(30)] == registers


@pytest.mark.parametrize("xlen", [32, 64])
def test_upper_immediates(xlen: int) -> None:
    a = Assembly(xlen)
    mask = (1 << xlen) - 1
    want = []
    for register, upper in enumerate((0, 1, 0x7FFFF, -0x80000, -1), 1):
        a.lui(rd=register, imm=upper << 12)
        at = a.auipc(rd=register + 10, imm=upper << 12)
        want.append(((upper << 12) & mask, (at + (upper << 12)) & mask))
    a.exit()
    machine = run(a.program())
    assert [(machine.register(r), machine.register(r + 10)) for r in range(1, 6)] == want


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("name", list(COMPARE))
def test_branch(name: str, xlen: int) -> None:
    load, store, size = load_store(xlen)
    pairs = operands(name, xlen)
    a = Assembly(xlen)
    a.li(10, DATA)
    for _ in pairs:
        getattr(a, load)(rd=5, rs1=10, imm=0)
        getattr(a, load)(rd=6, rs1=10, imm=size)
        a.addi(rd=7, rs1=0, imm=1)
        getattr(a, name)(rs1=5, rs2=6, imm=8)
        a.addi(rd=7, rs1=0, imm=0)
        getattr(a, store)(rs1=10, rs2=7, imm=0)
        a.addi(rd=10, rs1=10, imm=2 * size)
    a.exit()
    machine = run(a.program(values([v for pair in pairs for v in pair], xlen)))
    got = dwords(machine, DATA, 2 * len(pairs))[::2]
    assert got == [int(COMPARE[name](left, right, xlen)) for left, right in pairs]


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("offset", range(9))
def test_loads_and_stores(xlen: int, offset: int) -> None:
    """All sizes, misaligned too, also across a page."""
    content = bytes((37 * i + 129) & 0xFF for i in range(64))
    base = DATA + 0x1000 - 4 + offset
    a = Assembly(xlen)
    a.li(10, base)
    a.li(11, DATA + 0x2000 - 4 + offset)
    loads = [
        ("lb", 1, True),
        ("lbu", 1, False),
        ("lh", 2, True),
        ("lhu", 2, False),
        ("lw", 4, True),
    ]
    stores = [("sb", 1), ("sh", 2), ("sw", 4)]
    if xlen == 64:
        loads += [("lwu", 4, False), ("ld", 8, True)]
        stores += [("sd", 8)]
    for register, (name, _, _) in enumerate(loads, 12):
        getattr(a, name)(rd=register, rs1=10, imm=0)
    a.li(20, 0x89ABCDEF)
    for number, (name, _) in enumerate(stores):
        getattr(a, name)(rs1=11, rs2=20, imm=0)
        a.lbu(rd=21 + number, rs1=11, imm=0)
        a.addi(rd=11, rs1=11, imm=16)
    a.exit()
    data = bytearray(0x2000)
    data[0xFF0:0x1030] = content
    machine = run(a.program(bytes(data)))
    assert machine.trap_counts == {}
    mask = (1 << xlen) - 1
    for register, (name, size, sign) in enumerate(loads, 12):
        start = base - DATA
        want = int.from_bytes(data[start : start + size], "little", signed=sign) & mask
        assert machine.register(register) == want, name
    for number, (name, size) in enumerate(stores):
        stored = machine.memory.read(DATA + 0x2000 - 4 + offset + 16 * number, size + 1)
        assert stored == 0x89ABCDEF & (1 << 8 * size) - 1, name  # and nothing beyond it
        assert machine.register(21 + number) == 0xEF


@pytest.mark.parametrize("xlen,suffix", [(32, "w"), (64, "w"), (64, "d")])
@pytest.mark.parametrize("name", list(AMO))
def test_amo(name: str, xlen: int, suffix: str) -> None:
    bits = 64 if suffix == "d" else 32
    load, store, size = load_store(xlen)
    pairs = operands(name + suffix, xlen)
    a = Assembly(xlen)
    a.li(10, DATA)
    for _ in pairs:
        getattr(a, load)(rd=6, rs1=10, imm=size)
        getattr(a, f"{name}_{suffix}")(rd=7, rs1=10, rs2=6)
        getattr(a, store)(rs1=10, rs2=7, imm=size)
        a.addi(rd=10, rs1=10, imm=2 * size)
    a.exit()
    machine = run(a.program(values([v for pair in pairs for v in pair], xlen)))
    got = dwords(machine, DATA, 2 * len(pairs))
    low, mask = (1 << bits) - 1, (1 << xlen) - 1
    for (memory, register), after, result in zip(pairs, got[::2], got[1::2], strict=True):
        new = AMO[name](memory & low, register & low, bits) & low
        assert after == (memory & ~low | new)
        assert result == signed(memory, bits) & mask


@pytest.mark.parametrize("xlen", [32, 64])
def test_load_reserved_store_conditional(xlen: int) -> None:
    a = Assembly(xlen)
    a.li(10, DATA)
    a.addi(rd=11, rs1=10, imm=8)
    a.addi(rd=6, rs1=0, imm=77)
    a.sc_w(rd=12, rs1=10, rs2=6)  # nothing reserved
    a.lr_w(rd=13, rs1=10)
    a.sc_w(rd=14, rs1=10, rs2=6)
    a.sc_w(rd=15, rs1=10, rs2=6)  # used up
    a.lr_w(rd=16, rs1=10)
    a.sc_w(rd=17, rs1=11, rs2=6)  # elsewhere
    a.sc_w(rd=18, rs1=10, rs2=6)  # and that ended the reservation
    if xlen == 64:
        a.lr_w(rd=19, rs1=10)
        a.sc_d(rd=20, rs1=10, rs2=6)  # the reservation covers four bytes only
        a.lr_d(rd=21, rs1=11)
        a.sc_d(rd=22, rs1=11, rs2=6)
    a.exit()
    machine = run(a.program(b"\xf0\xff\xff\xff" + bytes(4) + b"\x01" * 8))
    assert [machine.register(r) for r in (12, 14, 15, 17, 18)] == [1, 0, 1, 1, 1]
    assert machine.register(13) == -16 & (1 << xlen) - 1
    assert machine.register(16) == 77
    if xlen == 64:
        assert (machine.register(20), machine.register(22)) == (1, 0)
        assert dwords(machine, DATA, 2) == [77, 77]


@pytest.mark.parametrize("xlen", [32, 64])
def test_jumps(xlen: int) -> None:
    a = Assembly(xlen)
    a.jal(rd=1, to="over")
    back = a.label("back")
    a.addi(rd=6, rs1=6, imm=1)
    a.jal(rd=0, to="end")
    a.label("over")
    a.addi(rd=6, rs1=0, imm=40)
    a.addi(rd=5, rs1=1, imm=1)  # bit 0 of the sum is dropped
    link = a.jalr(rd=5, rs1=5, imm=0) + 4
    a.label("end")
    a.exit()
    machine = run(a.program())
    assert machine.exit_reason is ExitReason.EXIT
    assert (machine.register(1), machine.register(5), machine.register(6)) == (back, link, 41)
