"""Zacas, Zabha, and LR with SC: what is in memory and in registers behind them."""

import random
from itertools import product

import pytest

from emu.machine import Machine
from specs.isa.encode import encode
from tests.emu.build import DATA, dwords
from tests.emu.levels import Levels, M
from tests.emu.oracle import AMO, signed

XLEN = pytest.mark.parametrize("xlen", [32, 64])
BYTES = {"b": 1, "h": 2, "w": 4, "d": 8, "q": 16}
ILLEGAL, MISALIGNED, ACCESS = 2, 6, 7


class Cases(Levels):
    """Cases one after the other: each has 32 bytes of memory, and leaves registers in others."""

    def __init__(self, xlen: int) -> None:
        super().__init__(xlen)
        self.memory = b""
        self.results = DATA + 0x8000
        self.kept = 0

    def case(self, content: bytes, offset: int, registers: dict[int, int]) -> int:
        """Memory has `content`; x10 points to `offset` within it. Returns the address."""
        at = DATA + len(self.memory)
        self.memory += content.ljust(32, b"\x99")
        for number, value in registers.items():
            self.wide(number, value)
        self.wide(10, at + offset)
        return at

    def keep(self, *registers: int) -> None:
        self.li(24, self.results + self.kept * self.xlen // 8)
        for n, number in enumerate(registers):
            store = self.sw if self.xlen == 32 else self.sd
            store(rs1=24, rs2=number, imm=n * self.xlen // 8)
        self.kept += len(registers)

    def go(self) -> tuple[Machine, list[int]]:
        self.exit()
        assert len(self.memory) <= 0x8000
        machine = self.observe(self.program(self.memory))
        return machine, dwords(machine, self.results, self.kept)


def bits_of(size: str) -> int:
    return 8 * BYTES[size]


def drawn(rng: random.Random, bits: int) -> int:
    return rng.choice([0, 1, (1 << bits) - 1, 1 << bits - 1, rng.getrandbits(bits)])


@XLEN
def test_amos_of_bytes_and_halfwords(xlen: int) -> None:
    """The old value sign-extended; the upper bits of rs2 do not count; neighbours stay."""
    a = Cases(xlen)
    rng = random.Random(f"zabha {xlen}")
    mask = (1 << xlen) - 1
    wanted = []
    for name, size in product(AMO, "bh"):
        bits = bits_of(size)
        for n in range(8):
            old, operand = drawn(rng, bits), rng.getrandbits(xlen)
            offset = n * BYTES[size] % 8 + 8
            content = bytearray(rng.randbytes(32))
            content[offset : offset + BYTES[size]] = old.to_bytes(BYTES[size], "little")
            at = a.case(bytes(content), offset, {11: operand, 12: 0x55})
            getattr(a, f"{name}_{size}")(rd=12, rs1=10, rs2=11)
            a.keep(12)
            new = AMO[name](old, operand & (1 << bits) - 1, bits) & (1 << bits) - 1
            content[offset : offset + BYTES[size]] = new.to_bytes(BYTES[size], "little")
            wanted.append((name, size, at, bytes(content), signed(old, bits) & mask))
    machine, registers = a.go()
    for (name, size, at, content, value), got in zip(wanted, registers, strict=True):
        assert machine.memory.view(at, 32).tobytes() == content, (name, size)
        assert got == value, (name, size)


@XLEN
def test_compare_and_swap(xlen: int) -> None:
    """Bits of rd and rs2 above the operand do not count; the old value is sign-extended."""
    a = Cases(xlen)
    rng = random.Random(f"zacas {xlen}")
    mask = (1 << xlen) - 1
    wanted = []
    for size in "bhw" if xlen == 32 else "bhwd":
        bits = bits_of(size)
        for n in range(24):
            old, new = drawn(rng, bits), rng.getrandbits(xlen)
            equal = n % 2 == 0
            compared = old if equal else old ^ 1 << rng.randrange(bits)
            if bits < xlen:
                compared |= rng.getrandbits(xlen - bits) << bits
            to = (12, 0, 11, 10)[n // 2 % 4]  # another one, x0, rs2, rs1
            if to == 0:
                compared = 0
                equal = old == 0
            if to == 10:
                equal = False  # (it holds the address)
                if (DATA + len(a.memory) + 8 ^ old) & (1 << bits) - 1 == 0:
                    continue
            if to == 11:
                new = compared
            content = bytearray(rng.randbytes(32))
            content[8 : 8 + BYTES[size]] = old.to_bytes(BYTES[size], "little")
            at = a.case(bytes(content), 8, {11: new, 12: compared})
            getattr(a, f"amocas_{size}")(rd=to, rs1=10, rs2=11)
            a.keep(to, 11)
            if equal:
                kept = new & (1 << bits) - 1
                content[8 : 8 + BYTES[size]] = kept.to_bytes(BYTES[size], "little")
            got = 0 if to == 0 else signed(old, bits) & mask
            wanted.append((size, n, at, bytes(content), got, got if to == 11 else new))
    machine, registers = a.go()
    for k, (size, n, at, content, got, other) in enumerate(wanted):
        assert machine.memory.view(at, 32).tobytes() == content, (size, n)
        assert registers[2 * k : 2 * k + 2] == [got, other & mask], (size, n)


@XLEN
def test_compare_and_swap_of_a_pair(xlen: int) -> None:
    """Twice a register: halves are in registers of even number and the next; x0 is a pair of
    zeros, and as rd neither is written.
    """
    a = Cases(xlen)
    rng = random.Random(f"pairs {xlen}")
    name, half = ("amocas_d", 4) if xlen == 32 else ("amocas_q", 8)
    wanted = []
    kinds = ["equal", "low", "high", "both"]
    for kind, (to, source), zero in product(
        kinds, [(12, 14), (0, 14), (12, 0), (0, 0), (12, 12), (10, 14)], (False, True)
    ):
        old = [0, 0] if zero else [rng.getrandbits(xlen), rng.getrandbits(xlen)]
        compared = [
            old[0] ^ (kind in ("low", "both")) << rng.randrange(xlen),
            old[1] ^ (kind in ("high", "both")) << rng.randrange(xlen),
        ]
        new = [rng.getrandbits(xlen), rng.getrandbits(xlen)]
        registers = {12: compared[0], 13: compared[1], 14: new[0], 15: new[1], 1: 0x77, 11: 0x66}
        content = old[0].to_bytes(half, "little") + old[1].to_bytes(half, "little")
        at = a.case(bytes(16) + content, 16, registers)
        registers[10] = at + 16
        getattr(a, name)(rd=to, rs1=10, rs2=source)
        a.keep(0, 1, 10, 11, 12, 13, 14, 15)
        seen = [registers.get(to, 0), registers[to + 1]] if to else [0, 0]
        put = [registers[source], registers[source + 1]] if source else [0, 0]
        after = put if seen == old else old
        if to:
            registers[to], registers[to + 1] = old
        want = [0, 0x77, *(registers[n] for n in range(10, 16))]
        wanted.append(((kind, to, source), at, after, want))
    machine, kept = a.go()
    for n, (what, at, after, want) in enumerate(wanted):
        assert dwords(machine, at + 16, 2) == after, what
        assert kept[8 * n : 8 * n + 8] == want, what


@XLEN
def test_pairs_of_odd_number_are_reserved(xlen: int) -> None:
    a = Levels(xlen)
    base = encode("amocas.d" if xlen == 32 else "amocas.q", rs1=10)
    parts = []
    a.li(10, DATA)
    for to, source in product((12, 13), (14, 15)):
        with a.part(M) as part:
            word = base | to << 7 | source << 20
            a.raw(word, 4)
        illegal = to % 2 or source % 2
        parts.append((part, (ILLEGAL, word) if illegal else None))
    if xlen == 32:  # there is no amocas.q
        with a.part(M) as part:
            a.raw(encode("amocas.q", rs1=10), 4)
        parts.append((part, (ILLEGAL, encode("amocas.q", rs1=10))))
    else:  # amocas.d is no pair there
        with a.part(M) as part:
            a.amocas_d(rd=13, rs1=10, rs2=15)
        parts.append((part, None))
    a.exit()
    a.observe()
    for part, want in parts:
        assert part.fault == want


@XLEN
def test_faults(xlen: int) -> None:
    """Not aligned, and no memory: of stores, whatever is compared."""
    a = Levels(xlen)
    names = ["amocas_b", "amocas_h", "amocas_w", "amocas_d", "amoadd_b", "amoadd_h", "amomaxu_w"]
    if xlen == 64:
        names += ["amocas_q", "amoadd_d"]
    wanted = []
    for name in names:
        size = BYTES[name[-1]]
        for offset in (1, 2, 4, 8):
            a.li(10, DATA + offset)
            with a.part(M) as part:
                getattr(a, name)(rd=12, rs1=10, rs2=14)
            fault = (MISALIGNED, DATA + offset) if offset % size else None
            wanted.append((part, fault, name, offset))
        for address in (0x4000_0000, 0x1000):  # nothing; the boot ROM
            a.li(10, address)
            with a.part(M) as part:
                getattr(a, name)(rd=12, rs1=10, rs2=14)
            wanted.append((part, (ACCESS, address), name, address))
    a.exit()
    a.observe()
    for part, fault, *what in wanted:
        assert part.fault == fault, what


@XLEN
def test_reservations(xlen: int) -> None:
    """SC stores and gives 0 behind LR of the same bytes; else it gives 1 and does nothing."""
    a = Cases(xlen)
    wanted = []
    # what is done, each at an offset; the result of the last SC; where it stored
    cases = {
        "lr sc": (0, 0),
        "sc": (1, None),
        "lr sc+16": (1, None),
        "lr sc sc": (1, 0),
        "lr lr+8 sc+8": (0, 8),
        "lr lr+8 sc": (1, None),
        "lr sc+16 sc": (1, None),
        "lr add sc": (0, 0),
    }
    for size, (steps, (result, stored)) in product("w" if xlen == 32 else "wd", cases.items()):
        content = bytes(range(0x80, 0xA0))
        # one that fails, for no reservation to be left
        at = a.case(content, 0, {11: 0x1122_3344_5566_7788, 12: 5})
        a.addi(rd=9, rs1=10, imm=24)
        a.sc_w(rd=0, rs1=9, rs2=11)
        for step in steps.split():
            what, _, offset = step.partition("+")
            a.addi(rd=9, rs1=10, imm=int(offset or 0))
            if what == "lr":
                getattr(a, f"lr_{size}")(rd=13, rs1=9)
            elif what == "sc":
                getattr(a, f"sc_{size}")(rd=12, rs1=9, rs2=11)
            else:
                a.add(rd=5, rs1=5, rs2=5)
        a.keep(12)
        after = bytearray(content)
        if stored is not None:
            value = 0x1122_3344_5566_7788.to_bytes(8, "little")[: BYTES[size]]
            after[stored : stored + BYTES[size]] = value
        wanted.append((size, steps, at, bytes(after), result))
    if xlen == 64:  # of other bytes
        for first, second in ("wd", "dw"):
            content = bytes(range(0x80, 0xA0))
            at = a.case(content, 0, {11: 1, 12: 5})
            getattr(a, f"lr_{first}")(rd=13, rs1=10)
            getattr(a, f"sc_{second}")(rd=12, rs1=10, rs2=11)
            a.keep(12)
            wanted.append((first, second, at, content, 1))
    machine, registers = a.go()
    for (size, name, at, after, result), got in zip(wanted, registers, strict=True):
        assert got == result, (size, name)
        assert machine.memory.view(at, 32).tobytes() == after, (size, name)


@XLEN
def test_lr_extends_the_sign(xlen: int) -> None:
    a = Cases(xlen)
    a.case(b"\x00\x00\x00\x80", 0, {})
    a.lr_w(rd=12, rs1=10)
    a.keep(12)
    _, (value,) = a.go()
    assert value == (1 << xlen) - (1 << 31)


@XLEN
def test_ordering_bits_change_nothing(xlen: int) -> None:
    """aq and rl, of all of them."""
    a = Cases(xlen)
    wanted = []
    for name, bits in product(("amoadd.w", "amoswap.b", "amocas.h", "lr.w"), range(4)):
        at = a.case(bytes([7]) + bytes(31), 0, {11: 9, 12: 7})
        registers = {"rs2": 11} if name != "lr.w" else {}
        a.raw(encode(name, rd=12, rs1=10, **registers) | bits << 25, 4)
        a.keep(12)
        wanted.append((name, at, {"amoadd.w": 16, "lr.w": 7}.get(name, 9)))
    machine, registers = a.go()
    assert set(registers) == {7}
    for name, at, value in wanted:
        assert machine.memory.read(at, 4) == value, name
