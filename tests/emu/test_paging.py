"""Sv32, Sv39, Sv48, Sv57, with Svade, Svadu, Svnapot, Svpbmt: what is allowed, where it leads."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import pytest

from emu.machine import Machine
from specs.interfaces.events import EXCEPTION, Event
from tests.emu.build import CODE, DATA
from tests.emu.levels import MPRV, MXR, SUM, Levels, S, U
from tests.emu.tables import (
    ACCESS_FAULT,
    ALL_OF_LEAF,
    PAGE_FAULT,
    SCHEMES,
    TABLES,
    USER,
    A,
    Access,
    D,
    G,
    R,
    Scheme,
    Tables,
    V,
    W,
    X,
    leads_to,
    leaf,
)

SCHEME = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
WIDE = pytest.mark.parametrize("scheme", SCHEMES[1:], ids=lambda scheme: scheme.name)
#: What is mapped: pages that each have a return at their start, and their number at +8.
TARGET, PAGES = 0x8200_0000, 1024
#: Code and data for U-mode, at other addresses.
SHIFT = -0x4000_0000
RESULTS = DATA + 0x8000
RETURN = 0x0000_8067


def target() -> bytes:
    page = bytearray(4096)
    image = bytearray()
    for number in range(PAGES):
        struct.pack_into("<IIII", page, 0, RETURN, 0, number, 0)
        image += page
    return bytes(image)


@dataclass
class Probe:
    """An address, the entry of a level that is to be its leaf, and where that is."""

    va: int
    entry: int
    level: int = 0
    at: int = 0


def world(scheme: Scheme) -> Tables:
    """Code and data for S-mode where they are, for U-mode at SHIFT."""
    tables = Tables(scheme)
    level = 1 if scheme.xlen == 32 else 2
    tables.map(CODE, CODE, ALL_OF_LEAF | G, level)
    tables.map(CODE + SHIFT, CODE, ALL_OF_LEAF | USER, level)
    return tables


def canonical(scheme: Scheme, va: int) -> int:
    """With the upper bits that an address of 64 bits must have."""
    sign = va >> scheme.reach - 1 & 1
    return va | -sign << scheme.reach & (1 << scheme.xlen) - 1


class Walk(Levels):
    """Loads from, stores to and calls each address of a list in memory, at a level; M-mode skips
    what faults.
    """

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme.xlen)
        self.scheme = scheme
        self.skip_faults()
        self._results = RESULTS

    def each(self, level: int, count: int) -> None:
        """A part that goes through the first `count` addresses of the list."""
        size = self.xlen // 8
        shift = SHIFT if level == U else 0
        with self.part(level, shift) as part:
            self.li(9, DATA + shift)
            self.li(18, DATA + shift + count * size)
            self.li(8, self._results + shift)
            loop = f"loop {part.begin}"
            self.label(loop)
            self.load(5, 9, 0)
            self.addi(rd=6, rs1=0, imm=-1)
            self.lw(rd=6, rs1=5, imm=8)
            self.sw(rs1=8, rs2=6, imm=0)
            self.sw(rs1=5, rs2=0, imm=12)
            self.jalr(rd=1, rs1=5)
            self.addi(rd=9, rs1=9, imm=size)
            self.addi(rd=8, rs1=8, imm=4)
            self.bne(rs1=9, rs2=18, to=loop)
        self._results += 4 * count

    def load(self, rd: int, rs1: int, imm: int) -> None:
        (self.lw if self.xlen == 32 else self.ld)(rd=rd, rs1=rs1, imm=imm)

    def store(self, rs1: int, rs2: int, imm: int) -> None:
        (self.sw if self.xlen == 32 else self.sd)(rs1=rs1, rs2=rs2, imm=imm)

    def environment(self, adue: bool = False, pbmte: bool = False) -> None:
        value = adue << 61 | pbmte << 62
        if self.xlen == 32:
            self.put("menvcfgh", value >> 32)
        else:
            self.put("menvcfg", value)

    def go(self, tables: Tables, data: bytes = b"", **segments: tuple[int, bytes]) -> Machine:
        self.exit()
        program = self.program(
            data, tables=(tables.base, tables.bytes()), target=(TARGET, target()), **segments
        )
        return self.observe(program)


def addresses(scheme: Scheme, list_: Iterable[int]) -> bytes:
    form = "<I" if scheme.xlen == 32 else "<Q"
    return b"".join(struct.pack(form, va) for va in list_)


def faults_of(events: list[Event]) -> dict[tuple[str, int], int]:
    """Causes by access and address: of a load and a store, that of its page."""
    letters = {c: w for table in (PAGE_FAULT, ACCESS_FAULT) for w, c in table.items()}
    found = {}
    for event in events:
        if event.kind == EXCEPTION and event.cause in letters:
            key = letters[event.cause], event.tval & ~0xFFF
            assert key not in found
            assert event.tval & 0xFFF == {"r": 8, "w": 12, "x": 0}[key[0]]
            found[key] = event.cause
    return found


def check(
    scheme: Scheme,
    tables: Tables,
    probes: list[Probe],
    turns: list[tuple[int, bool, bool]],
    adue: bool = False,
    pbmte: bool = False,
) -> None:
    """Each probe with a load, a store and a call, in each turn (level, SUM, MXR); with A and D as
    the turns before left them.
    """
    for probe in probes:
        probe.at = tables.put(probe.va, probe.entry, probe.level)
    a = Walk(scheme)
    a.environment(adue, pbmte)
    a.put("satp", tables.satp)
    for level, sum_, mxr in turns:
        a.status(sum_ * SUM | mxr * MXR, SUM | MXR)
        a.each(level, len(probes))
    events: list[Event] = []
    a.exit()
    program = a.program(
        addresses(scheme, (p.va for p in probes)),
        tables=(tables.base, tables.bytes()),
        target=(TARGET, target()),
    )
    machine = Machine([program], record=False)
    machine.on_discontinuity(events.append)
    assert list(machine.run(1_000_000)) == [] and machine.exit_code == 0
    entries = [probe.entry for probe in probes]
    ends = [n for n, e in enumerate(events) if e.kind == EXCEPTION and e.cause in (8, 9)]
    loaded = struct.unpack(
        f"<{len(turns) * len(probes)}I",
        machine.memory.view(RESULTS, 4 * len(turns) * len(probes)).tobytes(),
    )
    for turn, (level, sum_, mxr) in enumerate(turns):
        got = faults_of(events[ends[turn - 1] if turn else 0 : ends[turn]])
        want = {}
        for n, probe in enumerate(probes):
            value = 0xFFFF_FFFF
            for what in "rwx":
                access = Access(what, level, sum_, mxr, adue, pbmte)
                after = leaf(scheme, entries[n], probe.level, access)
                if after is None:
                    want[what, probe.va] = PAGE_FAULT[what]
                    continue
                pa = leads_to(scheme, entries[n], probe.level, probe.va)
                assert TARGET <= pa < TARGET + (PAGES << 12)
                if what == "r":
                    value = pa - TARGET >> 12
                entries[n] = after
            assert loaded[turn * len(probes) + n] == value, hex(probe.entry)
        assert got == want, (turn, set(got.items()) ^ set(want.items()))
    form = "<I" if scheme.size == 4 else "<Q"
    for probe, entry in zip(probes, entries, strict=True):
        view = machine.memory.view(probe.at, scheme.size)
        assert struct.unpack(form, view.tobytes()) == (entry,), hex(probe.entry)


TURNS = [(level, s, m) for level, s, m in product((S, U), (False, True), (False, True))]


@SCHEME
@pytest.mark.parametrize("adue", [False, True])
def test_each_combination_of_the_low_bits(scheme: Scheme, adue: bool) -> None:
    """Of pages and of superpages one level up. (RSW is software's, and G changes nothing here.)"""
    probes = []
    small = canonical(scheme, 7 << 30)
    large = small + scheme.covers(2) if scheme.xlen == 64 else 0xC000_0000
    if scheme.xlen == 32:
        small = 0x2000_0000
    for bits in range(256):
        software = bits * 7 % 4 << 8
        page = TARGET + (bits << 12)
        probes.append(Probe(small + (bits << 12), page >> 12 << 10 | software | bits))
        if bits & (R | W | X) or not bits & V:
            # (a table would be at 0x8200_0000)
            va = large + bits * scheme.covers(1) + 0x5000
            probes.append(Probe(va, TARGET >> 12 << 10 | software | bits, 1))
    check(scheme, world(scheme), probes, TURNS, adue)


@SCHEME
def test_pointers(scheme: Scheme) -> None:
    """G and RSW may be set in one; with U, A or D, or anything above the address, it is reserved.
    An entry of the lowest level is none, and there is no level below.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    table = 0x8180_0000
    extra = [0, G, 1 << 8, 1 << 9, USER, A, D, W]
    if scheme.xlen == 64:
        extra += [1 << bit for bit in range(54, 64)]
    list_, good = [], set()
    for n, bits in enumerate(extra):
        va = base + n * scheme.covers(1)
        tables.put(va, table >> 12 << 10 | V | bits, 1)
        list_.append(va)
        if bits & ~(G | 3 << 8) == 0:
            good.add(va)
    lower = base + len(extra) * scheme.covers(1)
    tables.put(lower, TARGET >> 12 << 10 | V)
    list_.append(lower)
    a = Walk(scheme)
    a.environment(pbmte=True)
    a.put("satp", tables.satp)
    a.each(S, len(list_))
    leaf_ = TARGET >> 12 << 10 | ALL_OF_LEAF
    a.go(tables, addresses(scheme, list_), table=(table, leaf_.to_bytes(8, "little")))
    want = {(w, va): PAGE_FAULT[w] for va in list_ if va not in good for w in "rwx"}
    assert faults_of(a.events) == want


@WIDE
@pytest.mark.parametrize("pbmte", [False, True])
def test_the_high_bits(scheme: Scheme, pbmte: bool) -> None:
    """Memory types, N and reserved bits, of a page and of a superpage; N with each low part."""
    tables = world(scheme)
    base = canonical(scheme, 9 << 30)
    probes = []
    high = [1 << bit for bit in range(54, 64)] + [3 << 61, 1 << 63 | 1 << 61]
    for n, bits in enumerate(high):
        for level, va in ((0, base + (n << 12)), (1, base + (n + 1) * scheme.covers(1))):
            probes.append(Probe(va, TARGET >> 12 << 10 | ALL_OF_LEAF | bits, level))
    for n, low in enumerate(range(32)):
        va = base + (32 << 21) + (n << 16) + ((n * 5 % 16) << 12)
        page = (TARGET >> 12) + 64 + low
        probes.append(Probe(va, page << 10 | ALL_OF_LEAF | 1 << 63))
    check(scheme, tables, probes, [(S, False, False)], pbmte=pbmte)


@SCHEME
def test_superpages_of_each_level(scheme: Scheme) -> None:
    """Each bit of the address that must be zero there, set alone."""
    tables = world(scheme)
    probes = []
    for level in range(1, scheme.levels):
        size, top = scheme.covers(level), scheme.levels - 1
        base = TARGET // size * size
        first = (8 + level) * scheme.covers(top) if level < top else 0x40 * size
        if scheme.xlen == 32:
            first = 0xC000_0000
        for n, bit in enumerate((None, *range(level * scheme.bits))):
            va = first + n * size + TARGET - base + 0x5000
            misaligned = 0 if bit is None else 1 << 10 + bit
            probes.append(Probe(va, base >> 12 << 10 | ALL_OF_LEAF | misaligned, level))
    check(scheme, tables, probes, [(S, False, False)])


@WIDE
def test_addresses_that_are_not_canonical(scheme: Scheme) -> None:
    """Bits above those that are translated must be copies of the highest one that is."""
    tables = world(scheme)
    low, high = 6 << 30, canonical(scheme, (1 << scheme.reach) - (1 << 30))
    for va in (low, high):
        tables.map(va & (1 << scheme.reach) - 1, TARGET)
    bad = [va ^ 1 << bit for va in (low, high) for bit in range(scheme.reach, 64)]
    bad += [low | -1 << scheme.reach & (1 << 64) - 1, high & (1 << scheme.reach) - 1]
    a = Walk(scheme)
    a.put("satp", tables.satp)
    a.each(S, len(bad) + 2)
    a.go(tables, addresses(scheme, [low, high, *bad]))
    assert faults_of(a.events) == {(w, va): PAGE_FAULT[w] for va in bad for w in "rwx"}
    fetches = [e for e in a.events if e.cause == PAGE_FAULT["x"] and e.kind == EXCEPTION]
    assert [e.from_pc for e in fetches] == bad


@SCHEME
def test_accesses_across_pages(scheme: Scheme) -> None:
    """Two pages that are not neighbours in memory. If one faults, tval is where it does, and a
    store has done nothing.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    flags = {"rw": ALL_OF_LEAF, "none": 0, "r": ALL_OF_LEAF & ~W & ~X}
    cases = []
    for n, (first, second) in enumerate(product(flags, flags)):
        va = base + n * 0x4000
        pages = TARGET + n * 0x8000, TARGET + n * 0x8000 + 0x5000
        tables.map(va, pages[0], flags[first])
        tables.map(va + 0x1000, pages[1], flags[second])
        cases.append((va, first, second, pages))
    a = Walk(scheme)
    a.put("satp", tables.satp)
    sizes = (("h", 2), ("w", 4), ("d", 8)) if scheme.xlen == 64 else (("h", 2), ("w", 4))
    parts = []
    memory = bytearray(target())
    for (va, first, second, pages), (letter, size) in product(cases, sizes):
        for offset in range(1, size):
            start = va + 0x1000 - offset
            a.wide(10, start)
            a.wide(11, 0x8877_6655_4433_2211 + offset)
            with a.part(S) as part:
                getattr(a, f"s{letter}")(rs1=10, rs2=11, imm=0)
                getattr(a, f"l{letter}")(rd=12, rs1=10, imm=0)
            beyond = va + 0x1000
            want = []
            for what, good in (("w", ("rw",)), ("r", ("rw", "r"))):
                if first not in good:
                    want.append((PAGE_FAULT[what], start))
                elif second not in good:
                    want.append((PAGE_FAULT[what], beyond))
            parts.append((part, want))
            if first == second == "rw":
                value = (0x8877_6655_4433_2211 + offset).to_bytes(8, "little")[:size]
                for n, byte in enumerate(value):
                    page, at = (
                        (pages[0], 0x1000 - offset + n) if n < offset else (pages[1], n - offset)
                    )
                    memory[page - TARGET + at] = byte
    machine = a.go(tables)
    for part, want in parts:
        assert [(e.cause, e.tval) for e in part.traps] == want
    assert machine.memory.view(TARGET, PAGES << 12).tobytes() == bytes(memory)


@SCHEME
def test_instructions_across_pages(scheme: Scheme) -> None:
    """Of four bytes: tval is the second page's address if that cannot be fetched, xepc the
    instruction's. One of two bytes needs only the first.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    kinds = {"x": ALL_OF_LEAF, "none": 0, "no x": ALL_OF_LEAF & ~X, "user": ALL_OF_LEAF | USER}
    first_page, second_page, short_page = TARGET, TARGET + 0x3000, TARGET + 0x6000
    code = bytearray(target())
    # addi x12, x12, 5, and a return behind it; c.addi x12, 1
    struct.pack_into("<H", code, 0xFFE, 0x0613)
    struct.pack_into("<HI", code, 0x3000, 0x0056, RETURN)
    struct.pack_into("<H", code, 0x6FFE, 0x0605)
    parts = []
    a = Walk(scheme)
    a.put("satp", tables.satp)
    for n, (first, second) in enumerate(product(kinds, kinds)):
        for short in (False, True):
            va = base + (2 * n + short) * 0x4000
            tables.map(va, short_page if short else first_page, kinds[first])
            tables.map(va + 0x1000, second_page, kinds[second])
            a.wide(10, va + 0xFFE)
            a.addi(rd=12, rs1=0, imm=0)
            with a.part(S) as part:
                a.jalr(rd=1, rs1=10)
            a.csr("mscratch", write=12)
            parts.append((part, va, first == "x", second == "x", short))
    a.exit()
    program = a.program(tables=(tables.base, tables.bytes()), target=(TARGET, bytes(code)))
    machine = a.observe(program)
    faults = [e for e in a.events if e.kind == EXCEPTION and e.cause == 12]
    want = []
    for _, va, first, second, short in parts:
        if not first:
            want.append((va + 0xFFE, va + 0xFFE))
        elif not second:
            # after the short one the next instruction is at the start of the second page
            want.append((va + 0x1000 if short else va + 0xFFE, va + 0x1000))
    assert [(e.from_pc, e.tval) for e in faults] == want
    assert machine.exit_code == 0


@SCHEME
def test_m_mode_as_another(scheme: Scheme) -> None:
    """MPRV: loads and stores of M-mode with the level in MPP, its fetches without translation; SUM
    and MXR count.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    entries = [ALL_OF_LEAF, ALL_OF_LEAF | USER, V | X | A, V | R | A | USER]
    for n, flags in enumerate(entries):
        tables.map(base + (n << 12), TARGET + (n << 12), flags)
    a = Walk(scheme)
    a.put("satp", tables.satp)
    # what faults in M-mode is stepped over: x20 counts
    a.jal(rd=0, to="begin")
    handler = a.label("count")
    a.csr("mepc", rd=28)
    a.addi(rd=28, rs1=28, imm=4)
    a.csr("mepc", write=28)
    a.csr("mcause", rd=28)
    a.sw(rs1=9, rs2=28, imm=0)
    a.mret()
    a.label("begin")
    a.put("mtvec", handler)
    a.li(9, RESULTS)
    wanted = []
    # (a trap sets MPP: it is written again each time. The handler runs with MPRV and MPP 3.)
    for level, sum_, mxr, n, what in product((U, S, 3), (0, 1), (0, 1), range(4), "rw"):
        a.wide(10, base + (n << 12))
        a.sw(rs1=9, rs2=0, imm=0)
        a.status(level << 11 | sum_ * SUM | mxr * MXR, 3 << 11 | SUM | MXR)
        a.li(25, MPRV)
        a.csr("mstatus", set_=25)
        if what == "r":
            a.lw(rd=6, rs1=10, imm=8)
        else:
            a.sw(rs1=10, rs2=0, imm=12)
        a.li(25, MPRV)
        a.csrrc(rs1=25, imm=0x300)
        a.addi(rd=9, rs1=9, imm=4)
        if level == 3:
            fine = False  # no memory there
            cause = ACCESS_FAULT[what]
        else:
            entry = TARGET >> 12 << 10 | entries[n]
            fine = leaf(scheme, entry, 0, Access(what, level, bool(sum_), bool(mxr))) is not None
            cause = PAGE_FAULT[what]
        wanted.append(0 if fine else cause)
    machine = a.go(tables)
    got = [machine.memory.read(RESULTS + 4 * n, 4) for n in range(len(wanted))]
    assert got == wanted


FENCES = {
    "all": lambda a: a.sfence_vma(),
    "address": lambda a: a.sfence_vma(rs1=10),
    "asid": lambda a: a.sfence_vma(rs2=11),
    "both": lambda a: a.sfence_vma(rs1=10, rs2=11),
    "sinval": lambda a: (a.sfence_w_inval(), a.sinval_vma(rs1=10), a.sfence_inval_ir()),
}


@SCHEME
@pytest.mark.parametrize("fence", FENCES)
def test_fences(scheme: Scheme, fence: str) -> None:
    """An entry that is changed counts behind sfence.vma: for loads, stores and code. Before it, the
    old one or the new one does.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    at = tables.map(base, TARGET)
    level = 1 if scheme.xlen == 32 else 2
    if scheme.xlen == 32:
        tables.map(TABLES, TABLES, ALL_OF_LEAF, level)
    a = Walk(scheme)
    a.put("satp", tables.satp)
    a.wide(10, base)
    a.addi(rd=11, rs1=0, imm=0)
    code = bytearray(target())
    for page in (0, 1):  # addi x13, x13, 1 or 100; ret
        struct.pack_into("<II", code, page << 12, 0x0016_8693 if not page else 0x0646_8693, RETURN)
    new = (TARGET + 4096) >> 12 << 10 | ALL_OF_LEAF
    with a.part(S):
        for _ in range(3):
            a.lw(rd=14, rs1=10, imm=8)
            a.jalr(rd=1, rs1=10)
        a.wide(12, at)
        a.wide(15, new)
        a.store(12, 15, 0)
        a.lw(rd=16, rs1=10, imm=8)
        a.addi(rd=17, rs1=13, imm=0)
        a.jalr(rd=1, rs1=10)
        a.sub(rd=17, rs1=13, rs2=17)
        FENCES[fence](a)
        a.lw(rd=18, rs1=10, imm=8)
        a.addi(rd=19, rs1=13, imm=0)
        a.jalr(rd=1, rs1=10)
        a.sub(rd=19, rs1=13, rs2=19)
        a.addi(rd=20, rs1=0, imm=77)
        a.sw(rs1=10, rs2=20, imm=12)
        # no longer writable, then nothing at all
        a.wide(15, new & ~W)
        a.store(12, 15, 0)
        FENCES[fence](a)
        read_only = a.sw(rs1=10, rs2=0, imm=12)
    with a.part(S):
        a.store(12, 0, 0)
        FENCES[fence](a)
        a.jalr(rd=1, rs1=10)
    a.exit()
    program = a.program(tables=(tables.base, tables.bytes()), target=(TARGET, bytes(code)))
    machine = a.observe(program)
    r = machine.register
    assert (r(14), r(18), r(19)) == (0, 1, 100)
    assert r(16) in (0, 1) and r(17) in (1, 100)
    assert machine.memory.read(TARGET + 4096 + 12, 4) == 77
    last = [(e.from_pc, e.cause, e.tval) for e in a.events if e.cause in (12, 13, 15)]
    assert last == [(read_only, 15, base + 12), (base, 12, base)]


@SCHEME
def test_another_address_space(scheme: Scheme) -> None:
    """satp is written: another ASID and root count at once, and the first ones when they come
    back.
    """
    first = world(scheme)
    second = Tables(scheme, TABLES + 0x40_0000)
    level = 1 if scheme.xlen == 32 else 2
    second.map(CODE, CODE, ALL_OF_LEAF | G, level)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    first.map(base, TARGET + 0x3000)
    second.map(base, TARGET + 0x7000, ALL_OF_LEAF & ~W)
    code = bytearray(target())
    struct.pack_into("<II", code, 0x3000, 0x0016_8693, RETURN)  # addi x13, x13, 1
    struct.pack_into("<II", code, 0x7000, 0x0646_8693, RETURN)  # addi x13, x13, 100
    asids = (1, (1 << 9) - 1) if scheme.xlen == 32 else (1, (1 << 16) - 1)
    satps = [scheme.satp(t.base, asid) for t, asid in zip((first, second), asids, strict=True)]
    a = Walk(scheme)
    a.put("satp", satps[0])
    a.wide(10, base)
    a.wide(20, satps[0])
    a.wide(21, satps[1])
    stores = []
    with a.part(S):
        for turn in range(4):
            a.lw(rd=14 + turn, rs1=10, imm=8)
            a.jalr(rd=1, rs1=10)
            a.csr("satp", rd=22, write=21 if turn % 2 == 0 else 20)
    for turn in range(2):
        a.put("satp", satps[turn])
        with a.part(S) as part:
            a.sw(rs1=10, rs2=0, imm=12)
        stores.append(part)
    a.exit()
    program = a.program(
        tables=(first.base, first.bytes()),
        others=(second.base, second.bytes()),
        target=(TARGET, bytes(code)),
    )
    machine = a.observe(program)
    assert [machine.register(14 + turn) for turn in range(4)] == [3, 7, 3, 7]
    assert machine.register(13) == 202 and machine.register(22) == satps[1]
    assert [part.fault for part in stores] == [None, (15, base + 12)]


@SCHEME
def test_tables_that_cannot_be_read(scheme: Scheme) -> None:
    """An access fault of the access's own kind: no memory at the root, or further down; and
    protection (PMP), of reading, and of updating A and D.
    """
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    nothing = 0x4000_0000
    lost = base
    tables.put(lost, nothing >> 12 << 10 | V, 1)
    protected = base + scheme.covers(1)
    at = tables.map(protected, TARGET)
    fresh = base + 2 * scheme.covers(1)
    fresh_at = tables.map(fresh, TARGET, V | R | W | X)
    outside = base + 3 * scheme.covers(1)
    tables.map(outside, nothing)
    list_ = [lost, protected, fresh, outside]
    a = Walk(scheme)
    a.environment(adue=True)
    # entry 0: the table of `protected` cannot be read; entry 1: that of `fresh` not be written
    for n, place in enumerate((at, fresh_at)):
        a.put(f"pmpaddr{n}", (place & ~0xFFF) >> 2 | 0x1FF)
    a.put("pmpcfg0", 0x18 | (0x18 | 1) << 8)
    a.put("satp", tables.satp)
    a.each(S, len(list_))
    machine = a.go(tables, addresses(scheme, list_))
    assert faults_of(a.events) == {(w, va): ACCESS_FAULT[w] for va in list_ for w in "rwx"}
    form = "<I" if scheme.size == 4 else "<Q"
    view = machine.memory.view(fresh_at, scheme.size).tobytes()
    assert struct.unpack(form, view)[0] & (A | D) == 0


@SCHEME
def test_no_root(scheme: Scheme) -> None:
    """Nothing can be fetched: the access fault is of the instruction after mret."""
    a = Walk(scheme)
    a.put("satp", scheme.satp(0x4000_0000))
    a.jal(rd=0, to="on")
    handler = a.label("stop")
    a.csr("satp", write=0)
    a.exit(3)
    a.label("on")
    a.put("mtvec", handler)
    with a.part(S) as part:
        a.addi()
    machine = Machine([a.program()], record=False)
    seen = []
    machine.on_discontinuity(seen.append, EXCEPTION)
    assert list(machine.run(10_000)) == [] and machine.exit_code == 3
    assert [(e.from_pc, e.cause, e.tval, e.priv_before) for e in seen] == [
        (part.begin, 1, part.begin, S)
    ]


@SCHEME
def test_faults_of_atomics(scheme: Scheme) -> None:
    """An AMO and an SC are stores, also where they only look; an LR is a load."""
    tables = world(scheme)
    base = 0x2000_0000 if scheme.xlen == 32 else canonical(scheme, 7 << 30)
    flags = [ALL_OF_LEAF, ALL_OF_LEAF & ~W, ALL_OF_LEAF & ~D, V | X | A, 0]
    parts = []
    a = Walk(scheme)
    a.put("satp", tables.satp)
    for n, bits in enumerate(flags):
        va = base + (n << 12)
        tables.map(va, TARGET + (n << 12), bits)
        a.wide(10, va + 16)
        for name in ("lr_w", "sc_w", "amoadd_w", "amocas_w", "amoswap_b", "cbo_zero", "cbo_flush"):
            a.environment()
            a.put("menvcfg", 0xF0)
            with a.part(S) as part:
                if name.startswith("cbo") or name == "lr_w":
                    getattr(a, name)(rs1=10)
                else:
                    getattr(a, name)(rd=12, rs1=10, rs2=0)
            readable = n < 3
            if name in ("lr_w", "cbo_flush"):
                fine = readable
            else:
                fine = n == 0
            cause = 13 if name == "lr_w" else 15
            parts.append((part, None if fine else (cause, va + 16), name, n))
    a.go(tables)
    for part, want, name, n in parts:
        assert part.fault == want, (name, n)


@SCHEME
def test_m_mode_is_not_translated(scheme: Scheme) -> None:
    a = Walk(scheme)
    a.put("satp", scheme.satp(0x4000_0000))
    a.li(10, TARGET + 0x3000)
    a.lw(rd=11, rs1=10, imm=8)
    a.put("satp", 0)
    with a.part(S):  # bare
        a.lw(rd=12, rs1=10, imm=8)
    a.exit()
    machine = a.observe(a.program(target=(TARGET, target())))
    assert machine.register(11) == machine.register(12) == 3 and a.parts[0].fault is None
