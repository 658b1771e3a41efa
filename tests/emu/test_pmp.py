"""Physical memory protection: PMP and Smepmp."""

from itertools import product

import pytest

from specs.interfaces.events import EXCEPTION
from tests.emu.build import DATA, dwords
from tests.emu.levels import MPRV, Levels, M, Part, S, U

XLEN = pytest.mark.parametrize("xlen", [32, 64])
R, W, X, TOR, NA4, NAPOT, L = 1, 2, 4, 1 << 3, 2 << 3, 3 << 3, 0x80
MML, MMWP, RLB = 1, 2, 4
TARGET = 0x8200_0000
RETURN = 0x0000_8067
CAUSES = {"r": 5, "w": 7, "x": 1}


def napot(base: int, size: int) -> int:
    return base >> 2 | size // 8 - 1


class Protected(Levels):
    """With entries of PMP."""

    def configure(self, first: int, *configurations: int) -> None:
        """Entries from `first` on, a multiple of four (RV32) or eight."""
        each = self.xlen // 8
        for at in range(0, len(configurations), each):
            value = sum(c << 8 * n for n, c in enumerate(configurations[at : at + each]))
            self.put(f"pmpcfg{(first + at) // 4}", value)

    def address(self, entry: int, value: int) -> None:
        self.put(f"pmpaddr{entry}", value)

    def probe(self, level: int, address: int) -> Part:
        """A load, a store and a call."""
        self.li(10, address)
        with self.part(level) as part:
            self.lw(rd=11, rs1=10, imm=8)
            self.sw(rs1=10, rs2=0, imm=12)
            self.jalr(rd=1, rs1=10)
        return part

    def refused(self, part: Part, address: int) -> str:
        """What of a `probe` was: letters r, w, x."""
        calls = [e for e in part.events if e.from_pc == part.end]
        assert len(calls) == 1
        inside = [e for e in part.traps if e.kind == EXCEPTION]
        at = self.events.index(calls[0])
        for event in reversed(self.events[:at]):
            if event.from_pc == address:
                inside.append(event)
            elif part.begin <= event.from_pc <= part.end:
                continue
            else:
                if event.to_pc == part.begin:
                    break
        letters = {cause: what for what, cause in CAUSES.items()}
        found = [letters[event.cause] for event in inside]
        tvals = {"r": address + 8, "w": address + 12, "x": address}
        assert all(event.tval == tvals[letters[event.cause]] for event in inside)
        assert len(found) == len(set(found))
        return "".join(sorted(found, key="rwx".index))


Entry = tuple[int, int, int]  # first address, last address, configuration


def refuses(entries: list[Entry], address: int, size: int, what: str, level: int) -> bool:
    """Without Smepmp ("Priority and Matching Logic")."""
    for first, last, configuration in entries:
        inside = [first <= address + n <= last for n in range(size)]
        if any(inside):
            if not all(inside):
                return True
            if level == M and not configuration & L:
                return False
            return not configuration & {"r": R, "w": W, "x": X}[what]
    return level != M


@XLEN
def test_ranges(xlen: int) -> None:
    """NA4, NAPOT, TOR, with accesses of each size at each address around them; the first entry that
    matches a byte decides, and has to match all of them.
    """
    base = DATA + 0x1040  # within a page: one memory operation each
    shapes: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int, int]]]] = {
        # (configuration, pmpaddr) of entries 0 ..., and what they cover (first, last, entry)
        "na4": ([(NA4, base + 8 >> 2)], [(base + 8, base + 11, 0)]),
        "napot 8": ([(NAPOT, napot(base + 8, 8))], [(base + 8, base + 15, 0)]),
        "napot 16": ([(NAPOT, napot(base + 16, 16))], [(base + 16, base + 31, 0)]),
        "tor": ([(0, base + 4 >> 2), (TOR, base + 20 >> 2)], [(base + 4, base + 19, 1)]),
        "tor from zero": ([(TOR, base + 12 >> 2)], [(0, base + 11, 0)]),
        "empty tor": ([(0, base + 20 >> 2), (TOR, base + 20 >> 2)], []),
        "upside-down tor": ([(0, base + 24 >> 2), (TOR, base + 20 >> 2)], []),
        "off": ([(0, napot(base, 64))], []),
        "tor behind napot": (
            [(NAPOT, napot(base + 8, 8)), (TOR, base + 28 >> 2)],
            [(base + 8, base + 15, 0), ((napot(base + 8, 8)) << 2, base + 27, 1)],
        ),
        "first one counts": (
            [(NA4, base + 12 >> 2), (NAPOT, napot(base, 32))],
            [(base + 12, base + 15, 0), (base, base + 31, 1)],
        ),
    }
    a = Protected(xlen)
    a.skip_faults()
    a.li(10, base)
    sizes = "bhwd" if xlen == 64 else "bhw"
    wanted = []
    # with X, for one that begins at 0 has the code too
    permissions = [(R | W | X, R | X), (X, R | W | X), (R | X, X)]
    for (name, (rows, covered)), grants in product(shapes.items(), permissions):
        configurations = []
        for n, (mode, address) in enumerate(rows):
            a.address(n, address)
            configurations.append(mode | grants[n] if mode else 0)
        a.configure(0, *configurations, *[0] * (4 - len(rows)))
        entries = [(first, last, configurations[n]) for first, last, n in covered]
        with a.part(S) as part:
            accesses = []
            for offset, (power, letter) in product(range(-8, 40), enumerate(sizes)):
                for what, name_ in (("r", "l"), ("w", "s")):
                    registers = {"rd": 11} if what == "r" else {"rs2": 0}
                    at = getattr(a, name_ + letter)(rs1=10, imm=offset, **registers)
                    accesses.append((at, base + offset, 1 << power, what))
        wanted.append((name, part, entries, accesses))
    a.exit()
    a.observe()
    for name, part, entries, accesses in wanted:
        entries = [*entries, (0, 1 << 60, R | W | X)]
        faults = {e.from_pc: (e.cause, e.tval) for e in part.traps}
        for at, address, size, what in accesses:
            want = (CAUSES[what], address) if refuses(entries, address, size, what, S) else None
            assert faults.get(at) == want, (name, address - base, size, what)


@XLEN
@pytest.mark.parametrize("locked", [0, L])
def test_permissions_at_each_level(xlen: int, locked: int) -> None:
    """R, W, X; M-mode is bound by locked entries alone."""
    legal = [0, R, R | W, X, R | X, R | W | X]
    a = Protected(xlen)
    a.skip_faults()
    probes = []
    a.li(12, RETURN)
    for n in range(len(legal)):
        address = TARGET + (n << 12)
        a.li(10, address)
        a.sw(rs1=10, rs2=12, imm=0)
        a.address(n, napot(address, 4096))
    a.fence_i()
    a.configure(0, *[NAPOT | locked | p for p in legal], *[0] * 2)
    for n, permission in enumerate(legal):
        for level in (U, S, M):
            granted = R | W | X if level == M and not locked else permission
            part = a.probe(level, TARGET + (n << 12))
            probes.append((part, TARGET + (n << 12), granted, level))
    a.exit()
    a.observe()
    for part, address, granted, level in probes:
        want = "".join(w for w, bit in zip("rwx", (R, W, X), strict=True) if not granted & bit)
        assert a.refused(part, address) == want, (hex(address), level)


@XLEN
def test_nothing_matches(xlen: int) -> None:
    """M-mode may do all, others nothing, as there are entries at all."""
    b = Protected(xlen, closed=True)
    parts = []
    for level in (U, S, M):
        with b.part(level) as part:
            b.addi()
        parts.append((level, part))
    b.exit()
    b.observe()
    for level, part in parts:
        assert part.fault == (None if level == M else (1, part.begin))


@XLEN
def test_fields(xlen: int) -> None:
    """Bits 5 and 6 are zero, R=0 with W=1 is not kept; addresses have 54 bits, on RV32 32."""
    a = Protected(xlen, closed=True)
    bytes_ = xlen // 8
    a.li(9, DATA)
    store = a.sw if xlen == 32 else a.sd
    step = 4 if xlen == 32 else 8
    for first in range(0, 16, step):
        a.configure(first, *[0x7F & ~(n % 2 * R) for n in range(step)])
        a.csr(f"pmpcfg{first // 4}", rd=10)
        store(rs1=9, rs2=10, imm=0)
        a.addi(rd=9, rs1=9, imm=bytes_)
        a.configure(first, *[0] * step)
    for entry in range(16):
        a.address(entry, -1)
        a.csr(f"pmpaddr{entry}", rd=10)
        store(rs1=9, rs2=10, imm=0)
        a.addi(rd=9, rs1=9, imm=bytes_)
        a.address(entry, 0)
    a.csr("mseccfg", rd=10)
    store(rs1=9, rs2=10, imm=0)
    a.exit()
    machine = a.observe()
    words = 16 // step
    values = dwords(machine, DATA, words + 17)
    read = b"".join(v.to_bytes(bytes_, "little") for v in values[:words])
    for n, configuration in enumerate(read):
        assert configuration & ~(R | W | X) == NAPOT
        assert configuration & 7 == 7 or (n % 2 and configuration & 3 == 0)
    assert values[words:-1] == [(1 << (54 if xlen == 64 else 32)) - 1] * 16
    assert values[-1] == 0


@XLEN
@pytest.mark.parametrize("bypass", [False, True])
def test_locked_entries_stay(xlen: int, bypass: bool) -> None:
    """Their configuration and address; below a locked TOR the address too. Unless mseccfg.RLB."""
    a = Protected(xlen, closed=True)
    if bypass:
        a.put("mseccfg", RLB)
    before = [L | NAPOT | R, 0, L | TOR | R, NAPOT | R, L, TOR | R, L | NA4 | R, 0]
    for n in range(8):
        a.address(n, (TARGET >> 2) + 0x100 * n)
    a.configure(0, *before)
    for n in range(8):
        a.address(n, (TARGET >> 2) + 0x100 * n + 0x10)
    a.configure(0, *[NAPOT | R | W] * 8)
    a.li(9, DATA)
    for n in range(8):
        a.csr(f"pmpaddr{n}", rd=10)
        a.sw(rs1=9, rs2=10, imm=4 * n)
    for n in range(0, 8, 4) if xlen == 32 else [0]:
        a.csr(f"pmpcfg{n // 4}", rd=10)
        (a.sw if xlen == 32 else a.sd)(rs1=9, rs2=10, imm=32 + n)
    a.put("mseccfg", RLB)
    a.csr("mseccfg", rd=11)
    a.put("mseccfg", 0)
    a.put("mseccfg", RLB)
    a.csr("mseccfg", rd=12)
    a.exit()
    machine = a.observe()
    addresses = [machine.memory.read(DATA + 4 * n, 4) for n in range(8)]
    configurations = list(machine.memory.view(DATA + 32, 8).tobytes())
    # 1 is below a locked TOR; 3 is not, for 4 is off
    stays = [True, True, True, False, True, False, True, False]
    if bypass:
        stays = [False] * 8
    old, new = (TARGET >> 2), (TARGET >> 2) + 0x10
    assert addresses == [(old if stay else new) + 0x100 * n for n, stay in enumerate(stays)]
    for n, stay in enumerate(stays):
        keeps = stay and n != 1
        assert configurations[n] == (before[n] if keeps else NAPOT | R | W)
    # entries that are locked keep RLB from being set; here none is left with `bypass`
    assert machine.register(11) == machine.register(12) == (RLB if bypass else 0)


def smepmp_table() -> dict[int, tuple[str, str]]:
    """What L, R, W, X allow M-mode, and S-mode and U-mode: as "Smepmp" has it, row by row."""
    rows = """
        0 0 0 0  -    -
        0 0 0 1  -    x
        0 0 1 0  rw   r
        0 0 1 1  rw   rw
        0 1 0 0  -    r
        0 1 0 1  -    rx
        0 1 1 0  -    rw
        0 1 1 1  -    rwx
        1 0 0 0  -    -
        1 0 0 1  x    -
        1 0 1 0  x    x
        1 0 1 1  rx   x
        1 1 0 0  r    -
        1 1 0 1  rx   -
        1 1 1 0  rw   -
        1 1 1 1  r    r
    """
    table = {}
    for row in rows.strip().splitlines():
        locked, r, w, x, machine, other = row.split()
        bits = int(locked) * L | int(r) * R | int(w) * W | int(x) * X
        table[bits] = (machine.strip("-"), other.strip("-"))
    assert len(table) == 16
    return table


def with_smepmp(xlen: int, mseccfg: int) -> Protected:
    """MML, with code that all levels may execute (shared), data that all may write, in the last
    entries; RLB is set still.
    """
    a = Protected(xlen, closed=True)
    a.put("mseccfg", RLB)
    a.address(13, napot(DATA, 0x10_0000))
    a.address(14, napot(0x8020_0000, 0x10_0000))  # tohost
    a.address(15, napot(0x8000_0000, 0x10_0000))
    a.configure(12, 0, NAPOT | L | R | W, NAPOT | L | R | W, NAPOT | L | R | X) if xlen == 32 else (
        a.configure(8, 0, 0, 0, 0, 0, NAPOT | L | R | W, NAPOT | L | R | W, NAPOT | L | R | X)
    )
    a.put("mseccfg", mseccfg | RLB)
    last = [0, NAPOT | W | X, NAPOT | W | X, NAPOT | L | W | X]
    a.configure(12, *last) if xlen == 32 else a.configure(8, 0, 0, 0, 0, *last)
    return a


@XLEN
@pytest.mark.parametrize("mseccfg", [MML, MML | MMWP], ids=["MML", "MML MMWP"])
def test_the_truth_table_of_smepmp(xlen: int, mseccfg: int) -> None:
    a = with_smepmp(xlen, mseccfg)
    a.skip_faults()
    a.address(0, napot(TARGET, 4096))
    probes = []
    for bits, (machine, other) in smepmp_table().items():
        a.configure(0, NAPOT | bits, 0, 0, 0)
        for level in (U, S, M):
            allowed = machine if level == M else other
            probes.append((a.probe(level, TARGET), TARGET, allowed, (hex(bits), level)))
    # and where no entry is
    bare = TARGET + 0x10_0000
    for level in (U, S, M):
        allowed = "rw" if level == M and not mseccfg & MMWP else ""
        probes.append((a.probe(level, bare), bare, allowed, ("none", level)))
    a.csr("mseccfg", rd=20)
    a.put("mseccfg", 0)
    a.csr("mseccfg", rd=21)
    a.exit()
    code = RETURN.to_bytes(4, "little")
    machine = a.observe(a.program(target=(TARGET, code), bare=(bare, code)))
    for part, address, allowed, what in probes:
        assert set(a.refused(part, address)) == set("rwx") - set(allowed), what
    # MML and MMWP stay, RLB can be cleared
    assert machine.register(20) == mseccfg | RLB and machine.register(21) == mseccfg


@XLEN
def test_no_more_code_for_m_mode(xlen: int) -> None:
    """MML without RLB: what would add code that M-mode may execute is not written."""
    table = smepmp_table()
    a = with_smepmp(xlen, MML)
    a.put("mseccfg", MML)
    a.li(9, DATA)
    entry = 0
    written = []
    for bits in sorted(table, key=lambda bits: bits & L):
        step = 4 if xlen == 32 else 8
        row, column = entry // step * step, entry % step
        a.configure(row, *[0] * column, NAPOT | bits, *[0] * (step - column - 1))
        a.csr(f"pmpcfg{row // 4}", rd=10)
        a.srli(rd=10, rs1=10, imm=8 * column)
        a.sb(rs1=9, rs2=10, imm=len(written))
        ignored = bits in (L | X, L | W, L | W | X, L | R | X)
        written.append(0 if ignored else NAPOT | bits)
        if bits & L and not ignored:
            entry += 1
    a.exit()
    machine = a.observe()
    first = list(machine.memory.view(DATA, len(written)).tobytes())
    # an entry that is not taken keeps what it had: nothing, or the one before that was not locked
    before = 0
    for n, (bits, got) in enumerate(zip(sorted(table, key=lambda b: b & L), first, strict=True)):
        if written[n] == 0 and bits & L:
            assert got == before, hex(bits)
        else:
            assert got == written[n], hex(bits)
        before = 0 if bits & L and written[n] else got


@XLEN
def test_mmwp_alone(xlen: int) -> None:
    """M-mode has no access where nothing matches; where something does, as ever."""
    a = Protected(xlen)
    a.skip_faults()
    # entry 15 allows all: only a part of memory now
    a.address(15, napot(0x8000_0000, 0x100_0000))
    a.put("mseccfg", MMWP)
    inside = [a.probe(level, DATA + 0x2000) for level in (U, S, M)]
    outside = [a.probe(level, TARGET) for level in (U, S, M)]
    a.exit()
    code = RETURN.to_bytes(4, "little")
    a.observe(a.program(bytes(0x2000) + code, target=(TARGET, code)))
    assert [a.refused(part, DATA + 0x2000) for part in inside] == ["", "", ""]
    assert [a.refused(part, TARGET) for part in outside] == ["rwx"] * 3


@XLEN
def test_m_mode_as_another(xlen: int) -> None:
    """With MPRV loads and stores are checked as those of MPP's level."""
    a = Protected(xlen)
    a.skip_faults()
    a.address(0, napot(TARGET, 4096))
    a.configure(0, NAPOT | R, 0, 0, 0)
    a.li(10, TARGET)
    parts = []
    for level in (U, S, M):
        with a.part(M) as part:
            a.li(5, 3 << 11)
            a.csrrc(rs1=5, imm=0x300)
            a.li(5, MPRV | level << 11)
            a.csr("mstatus", set_=5)
            a.lw(rd=6, rs1=10, imm=0)
            a.sw(rs1=10, rs2=6, imm=0)
            a.li(5, MPRV)
            a.csrrc(rs1=5, imm=0x300)
        parts.append(part)
    a.exit()
    a.observe(a.program(target=(TARGET, bytes(16))))
    assert [[(e.cause, e.tval) for e in part.traps] for part in parts] == [
        [(7, TARGET)],
        [(7, TARGET)],
        [],
    ]


@XLEN
def test_a_change_counts_at_once(xlen: int) -> None:
    """Of memory that was accessed, and of code that ran, at the level before."""
    a = Protected(xlen)
    a.skip_faults()
    a.address(0, napot(TARGET, 4096))
    probes = []
    for permission in (R | W | X, R | W, R, X, 0, R | W | X, R | X):
        a.configure(0, NAPOT | permission, 0, 0, 0)
        for level in (S, S, U, M):
            granted = R | W | X if level == M else permission
            want = "".join(w for w, bit in zip("rwx", (R, W, X), strict=True) if not granted & bit)
            probes.append((a.probe(level, TARGET), want))
    a.exit()
    a.observe(a.program(target=(TARGET, RETURN.to_bytes(4, "little"))))
    assert [a.refused(part, TARGET) for part, _ in probes] == [want for _, want in probes]


@XLEN
def test_instructions_at_the_edge_of_a_range(xlen: int) -> None:
    """Half of one cannot be fetched: xepc is where it begins, tval what is refused."""
    a = Protected(xlen)
    a.skip_faults()
    a.address(0, TARGET >> 2)
    a.configure(0, NA4 | X, TOR, 0, 0)
    a.address(1, TARGET + 16 >> 2)
    a.li(10, TARGET)
    parts = []
    for offset in (0, 2):
        with a.part(S) as part:
            a.jalr(rd=1, rs1=10, imm=offset)
        parts.append(part)
    a.exit()
    code = bytes.fromhex("0100 1300 0000 0000")  # c.nop, then nop in two halves
    a.observe(a.program(target=(TARGET, code)))
    faults = [(e.from_pc, e.cause, e.tval) for e in a.events if e.cause == 1]
    assert faults == [(TARGET + 2, 1, TARGET + 4)] * 2
