"""Page tables for tests, and "Virtual Address Translation Process" over plain numbers."""

import struct
from dataclasses import dataclass

from tests.emu.levels import S, U

V, R, W, X, USER, G, A, D = (1 << bit for bit in range(8))
ALL_OF_LEAF = V | R | W | X | A | D
TABLES = 0x8100_0000
PAGE_FAULT = {"x": 12, "r": 13, "w": 15}
ACCESS_FAULT = {"x": 1, "r": 5, "w": 7}


@dataclass(frozen=True)
class Scheme:
    """Of translation: width, mode in satp, levels, bits of each index, bytes of an entry."""

    name: str
    xlen: int
    mode: int
    levels: int
    bits: int
    size: int

    def satp(self, root: int, asid: int = 0) -> int:
        if self.xlen == 32:
            return self.mode << 31 | asid << 22 | root >> 12
        return self.mode << 60 | asid << 44 | root >> 12

    def index(self, va: int, level: int) -> int:
        return va >> 12 + level * self.bits & (1 << self.bits) - 1

    def covers(self, level: int) -> int:
        """Bytes of what one leaf of a level maps."""
        return 1 << 12 + level * self.bits

    @property
    def reach(self) -> int:
        """Bits of an address that are translated."""
        return 12 + self.levels * self.bits


SCHEMES = [
    Scheme("sv32", 32, 1, 2, 10, 4),
    Scheme("sv39", 64, 8, 3, 9, 8),
    Scheme("sv48", 64, 9, 4, 9, 8),
    Scheme("sv57", 64, 10, 5, 9, 8),
]


class Tables:
    """Tables from `base` on, the root first."""

    def __init__(self, scheme: Scheme, base: int = TABLES) -> None:
        self.scheme = scheme
        self.base = base
        self._pages: list[dict[int, int]] = [{}]
        self._below: dict[tuple[int, int], int] = {}

    @property
    def satp(self) -> int:
        return self.scheme.satp(self.base)

    def place(self, va: int, level: int = 0) -> int:
        """Address of the entry of a level for `va`; makes the tables above it."""
        page = 0
        for above in range(self.scheme.levels - 1, level, -1):
            index = self.scheme.index(va, above)
            if (page, index) not in self._below:
                self._below[page, index] = len(self._pages)
                self._pages[page][index] = (self.base >> 12) + len(self._pages) << 10 | V
                self._pages.append({})
            page = self._below[page, index]
        return self.base + (page << 12) + self.scheme.index(va, level) * self.scheme.size

    def put(self, va: int, entry: int, level: int = 0) -> int:
        """Enter `entry` as it is. Returns its address."""
        at = self.place(va, level)
        page, offset = divmod(at - self.base, 4096)
        self._pages[page][offset // self.scheme.size] = entry
        return at

    def map(self, va: int, pa: int, flags: int = ALL_OF_LEAF, level: int = 0) -> int:
        return self.put(va, pa >> 12 << 10 | flags, level)

    def bytes(self) -> bytes:
        form = "<I" if self.scheme.size == 4 else "<Q"
        image = bytearray(len(self._pages) << 12)
        for number, page in enumerate(self._pages):
            for index, entry in page.items():
                struct.pack_into(form, image, (number << 12) + index * self.scheme.size, entry)
        return bytes(image)


@dataclass(frozen=True)
class Access:
    """Who does what: the letter of the access, the level, and what the registers say."""

    what: str
    level: int
    sum_: bool = False
    mxr: bool = False
    adue: bool = False
    pbmte: bool = False


def leaf(scheme: Scheme, entry: int, level: int, access: Access) -> int | None:
    """What becomes of an entry that an access finds at a level, where it has to be a leaf; None if
    there is a page fault.
    """
    if not entry & V or (entry & (R | W)) == W or not entry & (R | X):
        return None
    if scheme.xlen == 64:
        napot, kind = entry >> 63, entry >> 61 & 3
        if entry >> 54 & 0x7F or kind == 3 or (kind and not access.pbmte):
            return None
        if napot and (level or entry >> 10 & 0xF != 0b1000):
            return None
    if entry >> 10 & (scheme.covers(level) >> 12) - 1 and not entry >> 63:
        return None
    if entry & USER:
        if access.level == S and (access.what == "x" or not access.sum_):
            return None
    elif access.level == U:
        return None
    wanted = {"r": R | (X if access.mxr else 0), "w": W, "x": X}[access.what]
    if not entry & wanted:
        return None
    marks = A | D if access.what == "w" else A
    if entry & marks != marks and not access.adue:
        return None
    return entry | marks


def leads_to(scheme: Scheme, entry: int, level: int, va: int) -> int:
    """The physical address."""
    page = entry >> 10 & (1 << (22 if scheme.xlen == 32 else 44)) - 1
    low = 0xF if entry >> 63 else (scheme.covers(level) >> 12) - 1
    return (page & ~low | va >> 12 & low) << 12 | va & 0xFFF
