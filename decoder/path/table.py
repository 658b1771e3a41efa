"""The code map as flow reconstruction wants it: all about a slot in one place.

All that is asked of a slot lies in one cache line: `table` (uint64) has a row of `Word`s for each.

A *leg* is the stretch from an instruction to the first control transfer after it. It is PLAIN if
that is a branch (then it CONSUMES an outcome) or an inferable jump and leads to instructions in the
same region, the most by far. It CALLS or RETURNS as the itype of its last instruction says, and is
SEQUENTIAL if that is a sequentially inferable jump, seen from here.

`regions` (uint64) has a row of `Bound`s for each region, sorted. Both are flat: kernels know when
they are compiled how long a row is.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from specs.interfaces.flow import RUN, Ended
from specs.interfaces.records import places
from specs.isa.control import CodeMap, Kind, sequential_target, sequentially_inferable
from specs.isa.itype import Itype
from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import U0, U1, U32, s64, u64


class Word(IntEnum):
    """What stands at `slot << SLOT`."""

    #: PLAIN legs: slot where the leg from here leads if taken, or << 32 if not; SEQUENTIAL legs:
    #: the jump's target, an address.
    LEADS = 0
    #: Instructions in the leg less one; `Ended` of a run, if its transfer is taken, where it stands
    #: in a run; this instruction's size in half-words << 40, and its `Kind` << 48; what the leg
    #: ends with: CALLS, RETURNS, SEQUENTIAL, PLAIN, CONSUMES.
    LEG = 1
    TARGET = 2  # of this instruction, an address
    LAST = 3  # slot of the leg's last instruction


class Bound(IntEnum):
    """What stands at the index of a region."""

    BASE = 0
    END = 1  # exclusive
    SLOT = 2  # the first


_word = plain(Word, np.uint64)
_bound = plain(Bound)
_kind = plain(Kind)
_itype = plain(Itype)
_run = places(RUN)

#: log2 of the words of a slot.
SLOT = np.uint64(len(Word).bit_length() - 1)
_BOUNDS = len(Bound)

ENDED = np.uint64(0xFF) << _run.ended_at
CALLS = np.uint64(1 << 58)
RETURNS = np.uint64(1 << 59)
SEQUENTIAL = np.uint64(1 << 60)
PLAIN = np.uint64(1 << 62)
#: Shift that leaves 1 for legs that consume an outcome.
CONSUMES = np.uint64(63)

_BYTE = np.uint64(0xFF)
_SIZE = np.uint64(40)
_KIND = np.uint64(48)

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


@inlined
def leg_of(table: Any, slot: Any) -> Any:
    """`Word.LEG` of the leg from `slot`."""
    return table[(slot << SLOT) + _word.LEG]


@inlined
def leads_of(table: Any, slot: Any) -> Any:
    """`Word.LEADS` of the leg from `slot`."""
    return table[(slot << SLOT) + _word.LEADS]


@inlined
def size_of(table: Any, slot: Any) -> Any:
    """Half-words of the instruction at `slot`; 0 if there is none."""
    return (table[(slot << SLOT) + _word.LEG] >> _SIZE) & _BYTE


@inlined
def kind_of(table: Any, slot: Any) -> Any:
    """`Kind` of the instruction at `slot`."""
    return (table[(slot << SLOT) + _word.LEG] >> _KIND) & _BYTE


@inlined
def target_of(table: Any, slot: Any) -> Any:
    """Target of the branch or inferable jump at `slot`."""
    return table[(slot << SLOT) + _word.TARGET]


@inlined
def end_of(table: Any, slot: Any) -> Any:
    """Slot of the last instruction of the leg from `slot`."""
    return table[(slot << SLOT) + _word.LAST]


@njit
def between(table: Any, slot: Any, goal_slot: Any) -> Any:
    """Instructions from `slot` to `goal_slot`, in the same leg; -1 if none begins at the latter."""
    steps = 0
    while slot < goal_slot:
        slot += size_of(table, slot)
        steps += 1
    return steps if slot == goal_slot else -1


@njit
def find_region(regions: Any, address: Any) -> Any:
    """Index of the region that holds `address`; -1 if none does or it is odd."""
    if address & U1 != U0:
        return -1
    low, high = 0, regions.size // _BOUNDS
    while low < high:
        middle = (low + high) >> 1
        if regions[_BOUNDS * middle + _bound.END] <= address:
            low = middle + 1
        else:
            high = middle
    at = _BOUNDS * low
    if at == regions.size or address < regions[at + _bound.BASE]:
        return -1
    return at


@inlined
def slot_of(regions: Any, region: Any, address: Any) -> Any:
    """Slot of an address in the region at index `region`."""
    return regions[region + _bound.SLOT] + ((address - regions[region + _bound.BASE]) >> U1)


@njit
def _fill(regions: Any, slots: Any, xlen: Any, table: Any) -> None:
    word, size, kind, itype, target, end, count = slots
    for region in range(0, regions.size, _BOUNDS):
        base = regions[region + _bound.BASE]
        # rounded up: the end of a 64-bit address space is odd (`CodeMap`)
        length = (regions[region + _bound.END] - base + U1) >> U1
        first = regions[region + _bound.SLOT]
        # from the end, so that each slot knows those after it
        for k in range(s64(length) - 1, -1, -1):
            slot = first + u64(k)
            last = u64(end[slot])
            leg = (
                (u64(count[slot]) - u64(count[slot] != 0))
                | (u64(size[slot]) << _SIZE)
                | (u64(kind[slot]) << _KIND)
            )
            leads = U0
            at = slot << SLOT
            table[at + _word.TARGET] = target[slot]
            table[at + _word.LAST] = last
            if count[slot] != 0:
                what = kind[last]
                if itype[last] == _itype.UNINFERABLE_CALL or itype[last] == _itype.INFERABLE_CALL:
                    leg |= CALLS
                if itype[last] == _itype.RETURN:
                    leg |= RETURNS
                after = slot + u64(size[slot])
                if what == _kind.UNINFERABLE_JUMP and slot != last:
                    if after == last:
                        before, jump = s64(word[slot]), s64(word[last])
                        if sequentially_inferable(before, jump):
                            here = base + (u64(k) << U1)
                            leads = u64(sequential_target(here, before, jump, xlen))
                            leg |= SEQUENTIAL
                    else:
                        leads = leads_of(table, after)
                        leg |= leg_of(table, after) & SEQUENTIAL
                if what == _kind.BRANCH or what == _kind.INFERABLE_JUMP:
                    to = (target[last] - base) >> U1
                    after = last + u64(size[last])
                    leads_to = to < length and (target[last] - base) & U1 == U0
                    if what == _kind.BRANCH:
                        leads_to = leads_to and after - first < length and size[after] != 0
                    if leads_to and size[first + to] != 0:
                        leads = first + to
                        leg |= (ENDED_BY[what] << _run.ended_at) | PLAIN
                        if what == _kind.BRANCH:
                            leads |= after << U32
                            leg |= U1 << CONSUMES
            table[at + _word.LEADS] = leads
            table[at + _word.LEG] = leg


def tables(code: CodeMap) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """`regions` and `table` of a code map."""
    bounds = {
        Bound.BASE: code.region_base,
        Bound.END: code.region_end,
        Bound.SLOT: code.region_slot.astype(np.uint64),
    }
    regions = np.stack([bounds[bound] for bound in Bound], axis=1).ravel()
    table = np.zeros(len(Word) * len(code.size), np.uint64)
    slots = code.slots
    _fill(regions, slots, np.int64(code.xlen), table)
    return regions, table
