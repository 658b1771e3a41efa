"""The code map as flow reconstruction wants it: all about a slot in one place.

Kernels pass few arrays, since each costs seven words of arguments at every call, and all that is
asked of a slot lies in one cache line. `table` (uint64) has four words a slot:

    4 * slot        PLAIN legs: slot where the leg from here leads if taken, or << 32 if not;
                    SEQUENTIAL legs: the jump's target, an address
    4 * slot + 1    instructions in the leg less one; `Ended` of a run, if its transfer is taken,
                    << 32; this instruction's size in half-words << 40, and its `Kind` << 48; what
                    the leg ends with: CALLS, RETURNS, SEQUENTIAL, PLAIN, CONSUMES
    4 * slot + 2    target of this instruction, an address
    4 * slot + 3    slot of the leg's last instruction

A *leg* is the stretch from an instruction to the first control transfer after it. It is PLAIN if
that is a branch (then it CONSUMES an outcome) or an inferable jump and leads to instructions in the
same region, the most by far. It CALLS or RETURNS as the itype of its last instruction says, and is
SEQUENTIAL if that is a sequentially inferable jump, seen from here. `regions` (uint64) has three
words a region: base, end (exclusive), first slot.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from specs.interfaces.flow import Ended
from specs.isa.control import CodeMap, Kind, sequential_target, sequentially_inferable
from specs.isa.itype import Itype
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U2, U3, U32, s64, u64

ENDED = np.uint64(0xFF << 32)
CALLS = np.uint64(1 << 58)
RETURNS = np.uint64(1 << 59)
SEQUENTIAL = np.uint64(1 << 60)
PLAIN = np.uint64(1 << 62)
#: Shift that leaves 1 for legs that consume an outcome.
CONSUMES = np.uint64(63)

_BYTE = np.uint64(0xFF)
_SIZE = np.uint64(40)
_KIND = np.uint64(48)

_BRANCH = int(Kind.BRANCH)
_INFERABLE_JUMP = int(Kind.INFERABLE_JUMP)
_UNINFERABLE_JUMP = int(Kind.UNINFERABLE_JUMP)
_CALLS = (int(Itype.UNINFERABLE_CALL), int(Itype.INFERABLE_CALL))
_RETURN = int(Itype.RETURN)

#: `Ended` of a run by the `Kind` of its last instruction, if that led elsewhere.
ENDED_BY = np.array(
    [
        Ended.PACKET,
        Ended.TAKEN_BRANCH,
        Ended.INFERABLE_JUMP,
        Ended.UNINFERABLE_JUMP,
        Ended.TRAP_RETURN,
        Ended.PACKET,
    ],
    np.uint64,
)


@njit
def size_of(table: Any, slot: Any) -> Any:
    """Half-words of the instruction at `slot`; 0 if there is none."""
    return (table[(slot << U2) + U1] >> _SIZE) & _BYTE


@njit
def kind_of(table: Any, slot: Any) -> Any:
    """`Kind` of the instruction at `slot`."""
    return (table[(slot << U2) + U1] >> _KIND) & _BYTE


@njit
def target_of(table: Any, slot: Any) -> Any:
    """Target of the branch or inferable jump at `slot`."""
    return table[(slot << U2) + U2]


@njit
def end_of(table: Any, slot: Any) -> Any:
    """Slot of the last instruction of the leg from `slot`."""
    return table[(slot << U2) + U3]


@njit
def find_region(regions: Any, address: Any) -> Any:
    """Index (times 3) of the region that holds `address`; -1 if none does or it is odd."""
    if address & U1 != U0:
        return -1
    low, high = 0, regions.size // 3
    while low < high:
        middle = (low + high) >> 1
        if regions[3 * middle + 1] <= address:
            low = middle + 1
        else:
            high = middle
    if 3 * low == regions.size or address < regions[3 * low]:
        return -1
    return 3 * low


@njit
def _fill(
    regions: Any,
    xlen: Any,
    word: Any,
    size: Any,
    kind: Any,
    itype: Any,
    target: Any,
    end: Any,
    count: Any,
    table: Any,
) -> None:
    for region in range(0, regions.size, 3):
        base = regions[region]
        # rounded up: the end of a 64-bit address space is odd (`CodeMap`)
        slots = (regions[region + 1] - base + U1) >> U1
        first = regions[region + 2]
        # from the end, so that each slot knows those after it
        for k in range(s64(slots) - 1, -1, -1):
            slot = first + u64(k)
            at = slot << U2
            table[at + U1] = (
                (u64(count[slot]) - u64(count[slot] != 0))
                | (u64(size[slot]) << _SIZE)
                | (u64(kind[slot]) << _KIND)
            )
            table[at + U2] = target[slot]
            last = u64(end[slot])
            table[at + U3] = last
            if count[slot] == 0:
                continue
            what = kind[last]
            if itype[last] in _CALLS:
                table[at + U1] |= CALLS
            if itype[last] == _RETURN:
                table[at + U1] |= RETURNS
            after = slot + u64(size[slot])
            if what == _UNINFERABLE_JUMP and slot != last:
                if after == last:
                    before, jump = s64(word[slot]), s64(word[last])
                    if sequentially_inferable(before, jump):
                        here = base + (u64(k) << U1)
                        table[at] = sequential_target(here, before, jump, xlen)
                        table[at + U1] |= SEQUENTIAL
                else:
                    table[at] = table[after << U2]
                    table[at + U1] |= table[(after << U2) + U1] & SEQUENTIAL
            if what != _BRANCH and what != _INFERABLE_JUMP:
                continue
            to = (target[last] - base) >> U1
            if to >= slots or (target[last] - base) & U1 != U0 or size[first + to] == 0:
                continue
            after = last + u64(size[last])
            if what == _BRANCH and (after - first >= slots or size[after] == 0):
                continue
            table[at] = first + to
            table[at + U1] |= (ENDED_BY[what] << U32) | PLAIN
            if what == _BRANCH:
                table[at] |= after << U32
                table[at + U1] |= U1 << CONSUMES


def tables(code: CodeMap) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """`regions` and `table` of a code map."""
    slots = code.region_slot.astype(np.uint64)
    regions = np.stack([code.region_base, code.region_end, slots], axis=1).ravel()
    table = np.zeros(4 * len(code.size), np.uint64)
    _fill(
        regions,
        np.int64(code.xlen),
        code.word,
        code.size,
        code.kind,
        code.itype,
        code.target,
        code.end,
        code.count,
        table,
    )
    return regions, table
