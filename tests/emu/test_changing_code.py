"""Code that no program file explains: `Chunk.code` has the pages, from the right instruction on.

The judge is a second machine that goes one instruction at a time: what is at its pc, by its page
tables, is what retires next.
"""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from emu.hart import state
from emu.machine import ExitReason, Machine
from emu.platforms.elf import Program
from specs.interfaces.ingress import PAGE, Chunk
from specs.isa.encode import encode
from tests.emu.build import CODE, DATA, Assembly
from tests.emu.levels import Levels, M, S
from tests.emu.tables import ALL_OF_LEAF, SCHEMES, TABLES, G, Scheme, Tables, V

XLEN = pytest.mark.parametrize("xlen", [32, 64])
SCHEME = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
#: Where functions are, in physical memory, that are no part of a program file (or are as data).
PLACE = 0x8200_0000
RETURN = encode("jalr", rs1=1)


@dataclass
class Told:
    """What a run said: addresses of what retired, which of them begin a block, pages of code by the
    number of the instruction from which on they count.
    """

    pcs: list[int]
    begins: set[int]
    rows: list[tuple[int, int, bytes]]
    machine: Machine

    @property
    def pages(self) -> list[tuple[int, bytes]]:
        return [(address, page) for _, address, page in self.rows]


def tell(program: Program, limit: int = 100_000, **options) -> Told:
    machine = Machine([program], **options)
    pcs: list[int] = []
    begins = set()
    rows = []
    known: dict[int, bytes] = {}
    explained = explained_by(machine, program, options.get("explained"))
    waiting: list[tuple[int, int, bytes]] = []

    def take(chunk: Chunk) -> None:
        waiting.extend(
            (int(row["retired"]), int(row["iaddr"]), chunk.pages[int(row["row"])].tobytes())
            for row in chunk.code
        )
        for reference in chunk.refs.tolist():
            if reference & 15 in (1, 2):
                continue
            begins.add(len(pcs))
            while waiting and waiting[0][0] <= len(pcs):
                row = waiting.pop(0)
                assert row[0] == len(pcs), "not where a block begins"
                rows.append(row)
                known[row[1]] = row[2]
            block = chunk.blocks[reference >> 4]
            address = int(block["iaddr"])
            end = address + 2 * int(block["iretire"])
            while address < end:
                pcs.append(address)
                address += 4 if told_of(known, explained, address) & 3 == 3 else 2
            assert address == end

    for chunk in machine.run(limit):
        take(chunk)
    assert machine.exit_reason is ExitReason.EXIT, (machine.exit_reason, hex(machine.pc))
    assert not waiting and len(pcs) == machine.instret
    return Told(pcs, begins, rows, machine)


def explained_by(
    machine: Machine, program: Program, given: Sequence[tuple[int, bytes]] | None
) -> list[tuple[int, bytes]]:
    if given is not None:
        return list(given)
    rom = machine.memory.view(0x1000, 0x1000)
    assert rom is not None
    return [(0x1000, rom.tobytes()), *((s.base, s.data) for s in program.segments)]


def physical(machine: Machine, va: int, scheme: Scheme | None) -> int:
    """By the tables in memory, which are as they should be."""
    satp = machine.csr("satp") if scheme else 0
    if scheme is None or machine.cpu[state.PRIV] == M or not satp >> (machine.xlen - 1):
        return va
    table = (satp & (1 << (22 if scheme.xlen == 32 else 44)) - 1) << 12
    for level in reversed(range(scheme.levels)):
        entry = machine.memory.read(table + scheme.index(va, level) * scheme.size, scheme.size)
        assert entry is not None and entry & V
        page = entry >> 10 & (1 << 44) - 1
        if entry & 0xE:
            return (page << 12) + va % scheme.covers(level)
        table = page << 12
    raise AssertionError("no leaf")


def judge(program: Program, told: Told, scheme: Scheme | None = None, **options) -> None:
    """Each instruction is, in the pages that were told by then, what it was in memory."""
    options.pop("passages", None)
    explained = explained_by(told.machine, program, options.get("explained"))
    known: dict[int, bytes] = {}
    rows = list(told.rows)
    stepping = Machine([program], record=False, **options)
    begins = [*sorted(told.begins), len(told.pcs)]
    for begin, end in pairwise(begins):
        while rows and rows[0][0] <= begin:
            known[rows[0][1]] = rows[0][2]
            del rows[0]
        # where a trap comes first, to M-mode, addresses are physical
        mapping = scheme if stepping.pc == told.pcs[begin] else None
        for number in range(begin, end):
            pc = told.pcs[number]
            is_ = in_memory(stepping, pc, mapping)
            assert is_ == told_of(known, explained, pc), (number, hex(pc))
            if is_ & 3 == 3:
                behind = in_memory(stepping, pc + 2, mapping)
                assert behind == told_of(known, explained, pc + 2), (number, hex(pc))
        list(stepping.run(end - begin))
    assert stepping.exit_reason is ExitReason.EXIT


def in_memory(machine: Machine, address: int, scheme: Scheme | None) -> int:
    """The half-word that is there."""
    half = machine.memory.read(physical(machine, address, scheme), 2)
    assert half is not None
    return half


def told_of(known: dict[int, bytes], explained: list[tuple[int, bytes]], address: int) -> int:
    """The half-word that whoever has read all that was told knows of."""
    page = known.get(address & -PAGE)
    if page is not None:
        return int.from_bytes(page[address % PAGE :][:2], "little")
    for base, data in reversed(explained):
        if base <= address < base + len(data):
            return int.from_bytes(data[address - base :][:2], "little")
    raise AssertionError(f"nobody explains {address:#x}")


def check(program: Program, scheme: Scheme | None = None, **options) -> Told:
    """Judged; and told the same in passages, and in small chunks."""
    told = tell(program, **options)
    judge(program, told, scheme, **options)
    small = tell(program, chunk_refs=1 << 12, chunk_traps=2, table_blocks=1 << 10, **options)
    assert (small.pcs, small.rows) == (told.pcs, told.rows)
    rows = []
    for chunk in Machine([program], passages=True, **options).run():
        rows += [(int(r["retired"]), int(r["iaddr"]), chunk.pages[int(r["row"])].tobytes())
                 for r in chunk.code]  # fmt: skip
    assert rows == told.rows
    return told


def adding(number: int) -> bytes:
    """addi x13, x13, number; ret"""
    return struct.pack("<II", encode("addi", rd=13, rs1=13, imm=number), RETURN)


@XLEN
def test_code_that_a_program_has_is_not_told(xlen: int) -> None:
    a = Levels(xlen)
    a.li(5, 300)
    a.label("loop")
    a.addi(rd=5, rs1=5, imm=-1)
    a.bne(rs1=5, rs2=0, to="loop")
    for level in (S, M):
        with a.part(level):
            a.addi()
    a.fence_i()
    a.exit()
    assert check(a.program()).rows == []


@XLEN
def test_an_instruction_that_is_stored(xlen: int) -> None:
    """Told behind fence.i, when it is executed; once; and when it is as it was, told again."""
    a = Assembly(xlen)
    a.jal(rd=0, to="main")
    a.label("function")
    patched = a.addi(rd=13, rs1=13, imm=1)
    a.jalr(rs1=1)
    while a.at < CODE + 2 * PAGE:
        a.addi()
    a.label("main")
    a.li(5, patched)
    a.li(7, patched)
    for number in (1, 1, 100, 100, 7, 1, 1):
        a.li(6, encode("addi", rd=13, rs1=13, imm=number))
        a.sw(rs1=5, rs2=6, imm=0)
        a.fence_i()
        a.jalr(rd=1, rs1=7)
        a.jalr(rd=1, rs1=7)
    # changed, and never executed
    a.li(6, 0)
    a.sw(rs1=5, rs2=6, imm=0)
    a.fence_i()
    a.exit()
    program = a.program()
    told = check(program)
    assert told.machine.register(13) == 2 * (1 + 1 + 100 + 100 + 7 + 1 + 1)
    pages = []
    for number in (100, 7, 1):
        page = bytearray(a.bytes()[:PAGE])
        struct.pack_into("<I", page, patched - CODE, encode("addi", rd=13, rs1=13, imm=number))
        pages.append((CODE, bytes(page)))
    assert told.pages == pages
    # from the very call on: the instruction before is the jump
    assert all(told.pcs[number] == patched for number, _, _ in told.rows)


@XLEN
def test_code_in_data(xlen: int) -> None:
    """What was written where the program has something else, or nothing."""
    a = Assembly(xlen)
    for place in (DATA + 0x100, DATA + 0x8000, PLACE):
        a.li(7, place)
        for word, at in zip(struct.unpack("<II", adding(3)), (0, 4), strict=True):
            a.li(6, word)
            a.sw(rs1=7, rs2=6, imm=at)
        a.fence_i()
        a.jalr(rd=1, rs1=7)
        a.jalr(rd=1, rs1=7)
    # and what is data of the program file is as it is there
    a.li(7, DATA + 0x40)
    a.jalr(rd=1, rs1=7)
    a.exit()
    data = bytes(0x40) + adding(5)
    told = check(a.program(data))
    assert [address for address, _ in told.pages] == [DATA, DATA + 0x8000, PLACE]
    assert told.machine.register(13) == 6 * 3 + 5
    assert told.pages[0][1][0x100:0x108] == told.pages[1][1][:8] == adding(3)


@XLEN
def test_an_instruction_across_two_pages(xlen: int) -> None:
    """Both are told; then the one that changes."""
    a = Assembly(xlen)
    edge = PLACE + PAGE
    a.li(7, edge - 2)
    a.li(8, edge)
    for number in (1, 5, 5, 9):
        word, _ = struct.unpack("<II", adding(number))
        a.li(6, word & 0xFFFF)
        a.sh(rs1=8, rs2=6, imm=-2)
        a.li(6, word >> 16 | (RETURN & 0xFFFF) << 16)
        a.sw(rs1=8, rs2=6, imm=0)
        a.li(6, RETURN >> 16)
        a.sh(rs1=8, rs2=6, imm=4)
        a.fence_i()
        a.jalr(rd=1, rs1=7)
        a.jalr(rd=1, rs1=7)
    a.exit()
    told = check(a.program())
    # the number is in the second half
    assert [address for address, _ in told.pages] == [PLACE, edge, edge, edge]
    assert told.machine.register(13) == 40


def spaces(scheme: Scheme, base: int = TABLES) -> Tables:
    """All that is in memory, at its own address, for S-mode."""
    tables = Tables(scheme, base)
    if scheme.xlen == 32:
        for at in range(CODE, CODE + 0x400_0000, 0x40_0000):
            tables.map(at, at, ALL_OF_LEAF | G, 1)
    else:
        tables.map(CODE, CODE, ALL_OF_LEAF | G, 2)
    return tables


def virtual(scheme: Scheme) -> int:
    return 0x2000_0000 if scheme.xlen == 32 else 7 << 30


class Mapped(Levels):
    """S-mode code that changes its own tables."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme.xlen)
        self.scheme = scheme

    def remap(self, at: int, place: int) -> None:
        """The entry at `at` leads to `place` from now on."""
        self.wide(5, at)
        self.wide(6, place >> 12 << 10 | ALL_OF_LEAF)
        (self.sw if self.xlen == 32 else self.sd)(rs1=5, rs2=6, imm=0)
        self.sfence_vma()

    def call(self, address: int) -> None:
        self.wide(7, address)
        self.jalr(rd=1, rs1=7)

    def write(self, place: int, code: bytes) -> None:
        """At an address that is its own."""
        self.wide(7, place)
        for n, word in enumerate(struct.unpack(f"<{len(code) // 4}I", code)):
            self.wide(6, word)
            self.sw(rs1=7, rs2=6, imm=4 * n)
        self.fence_i()


@SCHEME
def test_virtual_memory_alone_tells_nothing(scheme: Scheme) -> None:
    """Where an address leads to what the program has there."""
    tables = spaces(scheme)
    a = Mapped(scheme)
    a.put("satp", tables.satp)
    with a.part(S):
        a.addi(rd=5, rs1=0, imm=20)
        a.label("loop")
        a.addi(rd=5, rs1=5, imm=-1)
        a.bne(rs1=5, rs2=0, to="loop")
        a.sfence_vma()
        a.addi()
    a.exit()
    told = check(a.program(tables=(tables.base, tables.bytes())), scheme)
    assert told.rows == []


@SCHEME
def test_a_page_that_is_another_one(scheme: Scheme) -> None:
    """By sfence.vma: told when it has other content, and again when it comes back; not when it is
    at another place with the same.
    """
    tables = spaces(scheme)
    va = virtual(scheme)
    at = tables.map(va, PLACE)
    a = Mapped(scheme)
    a.put("satp", tables.satp)
    order = [0, 1, 1, 2, 0, 2, 1, 0]
    with a.part(S):
        a.call(va)
        a.call(va)
        for n in order:
            a.remap(at, PLACE + n * PAGE)
            a.call(va)
            a.call(va)
    a.exit()
    codes = [adding(1), adding(100), adding(1)]  # the last is like the first
    image = b"".join(code.ljust(PAGE, b"\0") for code in codes)
    program = a.program(tables=(tables.base, tables.bytes()), functions=(PLACE, image))
    told = check(program, scheme)
    one, other = (code.ljust(PAGE, b"\0") for code in codes[:2])
    assert told.pages == [(va, one), (va, other), (va, one), (va, other), (va, one)]
    assert all(told.pcs[number] == va for number, _, _ in told.rows)
    assert told.machine.register(13) == 2 * (1 + sum((1, 100, 1)[n] for n in order))


@SCHEME
def test_address_spaces_that_take_turns(scheme: Scheme) -> None:
    """By satp, without a fence, with other ASIDs."""
    first, second = spaces(scheme), spaces(scheme, TABLES + 0x40_0000)
    va = virtual(scheme)
    first.map(va, PLACE)
    second.map(va, PLACE + PAGE)
    # a page that both have, and one that each has the same content of
    for n, tables in enumerate((first, second)):
        tables.map(va + PAGE, PLACE + 2 * PAGE)
        tables.map(va + 2 * PAGE, PLACE + (3 + n) * PAGE)
    a = Mapped(scheme)
    a.put("satp", first.satp)
    satps = [scheme.satp(first.base, 1), scheme.satp(second.base, 2)]
    with a.part(S):
        for turn in range(6):
            a.wide(6, satps[turn % 2])
            a.csr("satp", write=6)
            for n in range(3):
                a.call(va + n * PAGE)
    a.exit()
    codes = [adding(1), adding(100), adding(1000), adding(7), adding(7)]
    image = b"".join(code.ljust(PAGE, b"\0") for code in codes)
    program = a.program(
        tables=(first.base, first.bytes()), others=(second.base, second.bytes()),
        functions=(PLACE, image),
    )  # fmt: skip
    told = check(program, scheme)
    addresses = [address for address, _ in told.pages]
    assert addresses.count(va) == 6
    assert addresses.count(va + PAGE) == addresses.count(va + 2 * PAGE) == 1
    pages = [page[:8] for address, page in told.pages if address == va]
    assert pages == [adding(1), adding(100)] * 3
    assert told.machine.register(13) == 3 * (1 + 100) + 6 * (1000 + 7)


@SCHEME
def test_a_physical_and_a_virtual_page_of_the_same_address(scheme: Scheme) -> None:
    """M-mode runs what is at PLACE; S-mode, at that address, what is somewhere else."""
    tables = Tables(scheme)
    level = 1 if scheme.xlen == 32 else 0
    if level:
        tables.map(CODE, CODE, ALL_OF_LEAF, 1)
    else:
        for at in range(CODE, CODE + 16 * PAGE, PAGE):
            tables.map(at, at)
    tables.map(PLACE, PLACE + 0x10_0000)
    a = Mapped(scheme)
    a.put("satp", tables.satp)
    for level in (M, S, M, S, S, M):
        with a.part(level):
            a.call(PLACE)
    a.exit()
    program = a.program(
        tables=(tables.base, tables.bytes()), functions=(PLACE, adding(1)),
        others=(PLACE + 0x10_0000, adding(100)),
    )  # fmt: skip
    told = check(program, scheme)
    assert told.machine.register(13) == 303
    assert [page[:8] for _, page in told.pages] == [adding(100), adding(1)] * 2 + [
        adding(100),
        adding(1),
    ][: len(told.rows) - 4]
    assert len(told.rows) in (4, 5)


@XLEN
def test_nothing_is_explained(xlen: int) -> None:
    """All pages of code are told, once each."""
    a = Assembly(xlen)
    a.jal(rd=1, to="far")
    a.exit()
    while a.at < CODE + PAGE + 64:
        a.addi()
    a.label("far")
    a.jalr(rs1=1)
    told = check(a.program(), explained=[])
    assert [address for address, _ in told.pages] == [0x1000, CODE, CODE + PAGE]
    assert told.rows[0][0] == 0


@SCHEME
@pytest.mark.parametrize("seed", range(3))
def test_all_of_it_at_random(scheme: Scheme, seed: int) -> None:
    """Functions that are patched, mapped anew, and in two address spaces; some lie across pages."""
    rng = random.Random(f"{scheme.name} {seed}")
    spaces_ = [spaces(scheme), spaces(scheme, TABLES + 0x40_0000)]
    va, pages = virtual(scheme), 4
    entries = []
    for tables in spaces_:
        for n in range(pages):
            place = PLACE + rng.randrange(6) * PAGE
            entries.append((tables.map(va + n * PAGE, place), n))
    # functions at the start of each page, in its middle, and across its end: there the second half
    # of the addition is the same in all pages
    image = bytearray()
    for number in range(6):
        page = bytearray(PAGE)
        page[0x800:0x808] = adding(number + 1)
        page[0xFFE:] = struct.pack("<H", 0x8693)
        page[:2] = struct.pack("<H", rng.randrange(128) << 4 << 4 | 0x6)
        page[2:8] = struct.pack("<IH", RETURN, 0x0001)
        image += page
    a = Mapped(scheme)
    a.put("satp", spaces_[0].satp)
    with a.part(S):
        for _ in range(60):
            action = rng.randrange(10)
            if action < 6:
                offset = rng.choice([0x800, 0x800, 0xFFE])
                page = rng.randrange(pages - (offset == 0xFFE))
                a.call(va + page * PAGE + offset)
            elif action < 7:
                place = PLACE + rng.randrange(6) * PAGE
                a.write(place + 0x800, adding(rng.randrange(1000)))
            elif action < 9:
                at, _ = rng.choice(entries)
                a.remap(at, PLACE + rng.randrange(6) * PAGE)
            else:
                space = rng.randrange(2)
                a.wide(6, scheme.satp(spaces_[space].base, space + 1))
                a.csr("satp", write=6)
    a.exit()
    program = a.program(
        tables=(spaces_[0].base, spaces_[0].bytes()),
        others=(spaces_[1].base, spaces_[1].bytes()),
        functions=(PLACE, bytes(image)),
    )
    told = check(program, scheme)
    assert len(told.rows) > 4 and told.machine.trap_counts.keys() == {(False, 9)}
