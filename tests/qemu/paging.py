"""Virtual memory: random page tables, and one access or fetch through them.

Code is mapped twice by superpages, where it is for S and `ALIAS` further for U.
"""

import random
from dataclasses import dataclass

from tests.qemu.assembler import word
from tests.qemu.image import DATA, DATA_SIZE, RAM, Image
from tests.qemu.privileged import (
    ADUE,
    AMO,
    MPP,
    MPRV,
    MXR,
    NOWHERE,
    PBMTE,
    SUM,
    M,
    S,
    U,
    delegation,
    environment,
    new_image,
)
from tests.qemu.protection import access

ALIAS = 0x4000_0000
PAGE = 4096
V, R, W, X, U_BIT, G, A, D = (1 << bit for bit in range(8))
N = 1 << 63
_FRAMES = 8
#: Cases that share page tables.
_SHARING = 12
#: Virtual pages of a set of tables.
_PAGES = 8


@dataclass(frozen=True)
class Scheme:
    """satp's MODE, levels, bits of an index, size of an entry."""

    name: str
    mode: int
    levels: int
    index_bits: int
    entry: int

    @property
    def bits(self) -> int:
        """Of a virtual address."""
        return 12 + self.levels * self.index_bits

    def index(self, address: int, level: int) -> int:
        return address >> 12 + level * self.index_bits & (1 << self.index_bits) - 1


SV32 = Scheme("Sv32", 1, 2, 10, 4)
SCHEMES = {
    32: (SV32,),
    64: (Scheme("Sv39", 8, 3, 9, 8), Scheme("Sv48", 9, 4, 9, 8), Scheme("Sv57", 10, 5, 9, 8)),
}


class Tables:
    """Page tables in an image. `reserved`: entries have reserved bits, else those of Svnapot and
    Svpbmt.
    """

    def __init__(self, image: Image, scheme: Scheme, first: int, reserved: bool) -> None:
        self.image, self.scheme, self._next, self.reserved = image, scheme, first, reserved
        self.entries: dict[int, int] = {}
        self.root = self.page()

    def page(self) -> int:
        """A page of its own; zero."""
        found, self._next = self._next, self._next + PAGE
        assert found < DATA + DATA_SIZE
        return found

    @property
    def end(self) -> int:
        return self._next

    def put(self, at: int, value: int) -> None:
        self.entries[at] = value
        self.image.write(at, value, self.scheme.entry)

    def path(self, address: int, level: int) -> int | None:
        """Where the entry for an address is on a level; tables on the way are made. None if there
        is something else on the way.
        """
        table = self.root
        for at_level in range(self.scheme.levels - 1, level, -1):
            at = table + self.scheme.index(address, at_level) * self.scheme.entry
            found = self.entries.get(at)
            if found is None:
                table = self.page()
                self.put(at, table >> 12 << 10 | V)
            elif found & (V | R | W | X) != V or found >> 10 << 12 not in range(DATA, self._next):
                return None
            else:
                table = found >> 10 << 12
        return table + self.scheme.index(address, level) * self.scheme.entry

    def walk(self, address: int) -> list[tuple[int, int]]:
        """Where the entries on the way to an address are, and what they were at first."""
        table, found = self.root, []
        for level in range(self.scheme.levels - 1, -1, -1):
            at = table + self.scheme.index(address, level) * self.scheme.entry
            entry = self.entries.get(at)
            found.append((at, entry or 0))
            if not entry or entry & (R | W | X):
                break
            table = (entry & (1 << 54) - 1) >> 10 << 12
        return found

    def map_code(self) -> None:
        level = 1 if self.scheme is SV32 else 2
        size = PAGE << level * self.scheme.index_bits
        for base in range(RAM, RAM + (8 << 20), size):
            for address, user in ((base, 0), (base + ALIAS, U_BIT)):
                at = self.path(address, level)
                assert at is not None
                self.put(at, base >> 12 << 10 | V | R | X | A | user)


def _flags(rng: random.Random, rv64: bool, reserved: bool) -> int:
    """Of a leaf: most are as they should be. `reserved`: bits 62:54 at random, else PBMT may be."""
    permissions = rng.choice((R, R | W, R | W, R | X, X, R | W | X, R | W | X))
    found = V | permissions | rng.choice((0, U_BIT)) | rng.choice((0, G))
    found |= rng.choice((A | D, A | D, A, 0)) | rng.getrandbits(2) << 8
    if rng.random() < 0.15:
        found ^= 1 << rng.randrange(10)
    if rv64 and rng.random() < 0.15:
        found |= 1 << (rng.randrange(54, 63) if reserved else rng.randrange(61, 63))
    return found


def _leaf(rng: random.Random, tables: Tables, address: int, frame: int, level: int) -> None:
    scheme, reserved = tables.scheme, tables.reserved
    at = tables.path(address, level)
    if at is None:
        return
    size = PAGE << level * scheme.index_bits
    target = frame & -size
    if rng.random() < 0.04:
        target = NOWHERE
    if level and rng.random() < 0.08:
        target |= PAGE << rng.randrange(level * scheme.index_bits)
    flags = _flags(rng, scheme.entry == 8, reserved)
    if scheme.entry == 8 and not reserved and level == 0 and rng.random() < 0.2:  # 64 KiB
        target, flags = frame & -0x10000 | 0x8000, flags | N
        if rng.random() < 0.2:  # no size that there is; `known`: A
            target, flags = target ^ PAGE << rng.randrange(4), flags | A
    tables.put(at, target >> 12 << 10 | flags)
    if rng.random() < 0.04:
        # an entry on the way gets a bit too many or loses V
        above = tables.path(address, level + 1) if level + 1 < scheme.levels else None
        if above is not None and above in tables.entries:
            bits = [0, 4, 5, 6, 7, 9]
            if scheme.entry == 8 and reserved:
                bits += [54, 60, 61, 63]
            tables.put(above, tables.entries[above] ^ 1 << rng.choice(bits))


def _virtual(rng: random.Random, scheme: Scheme, frame: int, level: int) -> int:
    """An address whose leaf on a level can lead to a frame; none where code is."""
    low_bits = 12 + level * scheme.index_bits
    while True:
        low = frame & (1 << low_bits) - 1
        high = rng.getrandbits(scheme.bits) if rng.random() < 0.7 else rng.getrandbits(33)
        found = (high & ((1 << scheme.bits) - 1) >> low_bits << low_bits) | low
        root = scheme.index(found, scheme.levels - 1)
        taken = {39: (2, 3), 32: range(512, 1024)}.get(scheme.bits, (0,))
        if root not in taken:
            return found


def _canonical(address: int, scheme: Scheme, xlen: int) -> int:
    if address >> scheme.bits - 1 & 1:
        address |= -(1 << scheme.bits)
    return address & (1 << xlen) - 1


def _build(rng: random.Random, tables: Tables, frames: list[int]) -> list[int]:
    """Map some pages; their addresses, not sign-extended."""
    scheme = tables.scheme
    found = []
    tables.map_code()
    for _ in range(_PAGES):
        level = rng.choice((0, 0, *range(scheme.levels)))
        frame = rng.choice(frames)
        address = _virtual(rng, scheme, frame, level)
        _leaf(rng, tables, address, frame, level)
        found.append(address)
        if rng.random() < 0.5:
            _leaf(rng, tables, address + PAGE & (1 << scheme.bits) - 1, rng.choice(frames), 0)
    return found


def image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """Cases, of which some share tables. "svnapot": entries of Svnapot and Svpbmt."""
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen)
    frames = [DATA + PAGE * 16 * n + PAGE * (n % 5) for n in range(_FRAMES)]
    for frame in frames:
        _fill(made, frame)
    following = DATA + PAGE * 16 * (_FRAMES + 1)
    while len(made.cases) < count and not made.full and following < DATA + DATA_SIZE - PAGE * 128:
        tables = Tables(made, rng.choice(SCHEMES[xlen]), following, kind == "paging")
        pages = _build(rng, tables, frames)
        following = tables.end
        for _ in range(min(_SHARING, count - len(made.cases))):
            if not made.full:
                _case(rng, made, tables, pages)
    return made


def _fill(image: Image, frame: int) -> None:
    """An ecall every eight bytes, and what tells the place."""
    for at in range(frame, frame + PAGE, 8):
        image.write(at, word("ecall") | (at & 0xFFFFFFF) << 32)
    image.write(frame + PAGE - 2, word("ecall"), 2)


def _case(rng: random.Random, image: Image, tables: Tables, pages: list[int]) -> None:
    scheme, xlen = tables.scheme, image.xlen
    page = rng.choice(pages) & -PAGE
    offset = rng.choice((rng.randrange(PAGE), PAGE - rng.randrange(1, 9), rng.randrange(16)))
    address = _canonical(page + offset & (1 << scheme.bits) - 1, scheme, xlen)
    if xlen == 64 and rng.random() < 0.04:
        address ^= 1 << rng.randrange(scheme.bits - 1, 64)
    asid = rng.getrandbits(9 if xlen == 32 else 16)
    shift = (31, 22) if xlen == 32 else (60, 44)
    priv = rng.choice((U, U, S, S, M))
    status = rng.choice((0, SUM)) | rng.choice((0, MXR))
    csrs = {
        "satp": scheme.mode << shift[0] | asid << shift[1] | tables.root >> 12,
        "medeleg": delegation(rng),
        **environment(xlen, ADUE if tables.reserved else ADUE | PBMTE),
    }
    entries = tables.walk(address)
    way = " ".join(f"{at:x}:{entry:x}" for at, entry in entries)
    note = f"{scheme.name} {'US?M'[priv]} {address:#x}; entries {way}"
    if priv != M and rng.random() < 0.3:
        entry = address & ~7 if rng.random() < 0.7 else (address | PAGE - 1) - 1
        csrs["mstatus"] = status | priv * MPP
        image.case(f"fetch {note}", [], x={}, csrs=csrs, entry=entry)
        return
    body, x = access(rng, xlen, address)
    leaf = entries[-1][1]
    nowhere = leaf >> 10 << 12 & (1 << 34) - PAGE == NOWHERE
    if nowhere:  # `known`
        x[11] &= ~7
    if body[0] & 0x7F == AMO and (nowhere or not leaf & W):  # `known`
        body = [word("lw", rd=10, rs1=11)]
    csrs["medeleg"] = delegation(rng, body)
    if priv == M:
        csrs["inline"] = status | MPRV | rng.choice((U, S)) * MPP
    else:
        csrs["mstatus"] = status | priv * MPP
    alias = ALIAS if priv == U else 0
    image.case(f"access {note}", body, x=x, csrs=csrs, alias=alias)
