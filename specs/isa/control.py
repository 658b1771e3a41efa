"""Control transfers: the one classification that emulator and decoder share, and a map of them.

E-Trace 2.0, "Jump classification and target inference". A jump is inferable if its target is a
constant within its opcode: also `jalr rd, imm(x0)`, whose target is absolute. Compressed jumps
are classified as what they expand to.
"""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from specs.isa.kernel import (
    Slots,
    classify,
    find_slot,
    makes_upper,
    scan,
    sequential_target,
    sequentially_inferable,
)
from specs.isa.tables import ZCM
from specs.isa.transfers import (
    BRANCH,
    ENVIRONMENT,
    INFERABLE_JUMP,
    SEQUENTIAL,
    TRAP_RETURN,
    UNINFERABLE_JUMP,
    Kind,
)

__all__ = [
    "BRANCH",
    "ENVIRONMENT",
    "INFERABLE_JUMP",
    "SEQUENTIAL",
    "TRAP_RETURN",
    "UNINFERABLE_JUMP",
    "CodeMap",
    "Kind",
    "classify",
    "find_slot",
    "makes_upper",
    "sequential_target",
    "sequentially_inferable",
]


def _merge(images: Sequence[tuple[int, bytes]], xlen: int) -> list[tuple[int, bytearray]]:
    """The images as disjoint stretches of memory, no two adjacent; later images win."""
    for base, data in images:
        if base < 0 or base + len(data) > 1 << xlen:
            raise ValueError(f"image of {len(data)} bytes at {base:#x} is not in {xlen}-bit memory")
    extents: list[list[int]] = []
    for base, end in sorted((base, base + len(data)) for base, data in images if data):
        if extents and base <= extents[-1][1]:
            extents[-1][1] = max(extents[-1][1], end)
        else:
            extents.append([base, end])
    stretches = [(base, bytearray(end - base)) for base, end in extents]
    for base, data in images:
        if data:
            start, memory = stretches[bisect_right(extents, base, key=lambda extent: extent[0]) - 1]
            memory[base - start : base - start + len(data)] = data
    return stretches


class CodeMap:
    """A program's instructions and control transfers as flat arrays, one slot a half-word.

    Built from `images`, pairs of base address and bytes. Where images overlap, the later one is
    what counts; images that touch are one region, and an instruction may lie across them. An odd
    byte at either end of a region belongs to none. Raises ValueError for an image outside of
    memory. Takes 12 bytes for each byte of code: give it what is executable, not data. `zcm`: the
    code is of a hart with Zcmp or Zcmt, whose encodings Zcd has elsewhere.

    A region r is the even addresses `region_base[r] <= a < region_end[r]` (uint64, sorted), slots
    from `region_slot[r]` (int64). Where a region ends with a 64-bit address space, its end is
    2^64 - 1: no even address lies between. Arrays by slot:

    * `word` uint32: the first 32 bits of the instruction that begins here, a compressed one's 16
    * `size` uint8: length in half-words; 0 if it would run past its region or has no known length
    * `kind` uint8: a `Kind`; `itype` uint8: as `classify` gives it
    * `target` uint64: address where a BRANCH (taken) or an INFERABLE_JUMP leads, 0 for others
    * `end` int32: slot of the first instruction not SEQUENTIAL, from here on by the lengths; or of
      the last whole one, where the region ends or size is 0 first; itself if its own size is 0
    * `count` uint32: instructions from here to `end`, inclusive; 0 if size is 0
    """

    def __init__(
        self, images: Sequence[tuple[int, bytes]], xlen: int, *, zcm: bool = False
    ) -> None:
        if xlen not in (32, 64):
            raise ValueError(f"xlen is {xlen}: it must be 32 or 64")
        self.xlen = xlen
        #: What selects its encodings: the `xlen` of `decode` and `disassemble`.
        self.selection = xlen | ZCM if zcm else xlen
        regions: list[tuple[int, npt.NDArray[np.uint16]]] = []
        for start, memory in _merge(images, xlen):
            odd = start & 1
            halves = (len(memory) - odd) // 2
            if halves > 0:
                code = np.frombuffer(memory, "<u2", halves, odd).astype(np.uint16)
                regions.append((start + odd, code))
        sizes = [code.size for _, code in regions]
        slots = sum(sizes)
        if slots > np.iinfo(np.int32).max:
            raise ValueError(f"program images of {2 * slots} bytes: at most 4 GiB can be mapped")
        self.region_base = np.array([base for base, _ in regions], np.uint64)
        ends = [base + 2 * size for (base, _), size in zip(regions, sizes, strict=True)]
        self.region_end = np.array([min(end, (1 << 64) - 1) for end in ends], np.uint64)
        self.region_slot = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
        self.word = np.zeros(slots, np.uint32)
        self.size = np.zeros(slots, np.uint8)
        self.kind = np.zeros(slots, np.uint8)
        self.itype = np.zeros(slots, np.uint8)
        self.target = np.zeros(slots, np.uint64)
        self.end = np.zeros(slots, np.int32)
        self.count = np.zeros(slots, np.uint32)
        for (base, code), first in zip(regions, self.region_slot, strict=True):
            scan(code, np.uint64(base), first, self.selection, self.slots)

    @property
    def slots(self) -> Slots:
        """The arrays by slot."""
        return Slots(self.word, self.size, self.kind, self.itype, self.target, self.end, self.count)

    def slot(self, address: int) -> int:
        """Slot of an address; -1 where there is no code, and for odd addresses."""
        if address & 1 or address < 0 or address >> 64:
            return -1
        region = int(np.searchsorted(self.region_end, np.uint64(address), "right"))
        if region == self.region_base.size or address < int(self.region_base[region]):
            return -1
        return int(self.region_slot[region]) + (address - int(self.region_base[region])) // 2

    def address(self, slot: int) -> int:
        """Address of a slot. Raises IndexError if there is no such slot."""
        if not 0 <= slot < self.word.size:
            raise IndexError(f"slot {slot} of {self.word.size}")
        region = int(np.searchsorted(self.region_slot, slot, "right")) - 1
        return int(self.region_base[region]) + 2 * (slot - int(self.region_slot[region]))
