"""Kernels: comparator units, and what they make of the instructions of a retirement block.

docs/qualification.md, "Comparators". `results` are bits of a uint64: bit j the primary result of
comparator j, bit 8 + j its secondary one; `NOTIFY` if one of them asks for the row's address.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from specs.configuration.filters import Input
from specs.interfaces.ingress import BLOCK, UNKNOWN_SIZE
from specs.interfaces.records import places
from specs.isa.control import find_slot
from specs.kernels.njit import inlined, njit
from specs.kernels.words import LOW32, U0, U1, U2, U3, U4, U6, U8, s64, u64

#: Columns of the matrix of comparators, a row each: primary, then secondary.
FUNCTION, INPUT, MATCH, MASK, NOTIFIES = range(5)
SIDE = 5
COLUMNS = 2 * SIDE

BYTE = np.uint64(0xFF)
NOTIFY = np.uint64(1 << 16)
IADDR = np.uint64(Input.IADDR)
UNKNOWN = np.uint64(UNKNOWN_SIZE)

#: Of the `plan`, which tells how blocks are to be split.
CONSTANT = 0  # results that depend on nothing
LATCHES = 1  # comparators whose latch matters
CLEARED = 2  # those of them whose secondary result may depend on other than the address
STEP = 3  # half-words between the places where an instruction may begin
ALWAYS_WALK = 4  # results at an address tell nothing about its neighbours
PLAN = 5

#: Half-words of a block beyond which its instructions are not looked at one by one.
LIMIT = np.uint64(1 << 16)

_block = places(BLOCK)

_Words = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.uint32]


class Units(NamedTuple):
    """The comparators, and what `split` has to know of them."""

    comparators: _Words  # a row each: primary, then secondary
    plan: _Words


class Code(NamedTuple):
    """Lengths of instructions: see `specs.isa.control.CodeMap`."""

    bases: _Words
    ends: _Words
    slots: npt.NDArray[np.int64]
    size: npt.NDArray[np.uint8]


class Parts(NamedTuple):
    """What the rows of the block table come to: stretches of instructions with equal results."""

    rows: _Numbers  # of each row: its first part << 2 | LOOK or WHOLE; see `split`
    quick: _Numbers  # of each row: its block in the output << 3 | a verdict; see `filters.judge`
    parts: _Numbers  # of each part: its results
    blocks: _Numbers  # of each part: its row of `out`
    out: _Words  # the blocks of the output
    counts: npt.NDArray[np.int64]  # parts, and rows of `out`, so far


#: `split`: whether a row of the block table is split exactly, in the low two bits of its word.
LOOK, WHOLE = 2, 3


@njit
def _compare(function, value, match):
    if function == U0:
        return value == match
    if function == U1:
        return value != match
    if function == U2:
        return value < match
    if function == U3:
        return value <= match
    if function == U4:
        return value > match
    return value >= match


@njit
def results_of(comparators, source, value):
    """The results of those comparisons that look at the input `source`."""
    found = U0
    for j in range(comparators.shape[0]):
        for side in range(2):
            at = side * SIDE
            function = comparators[j, at + FUNCTION]
            if function < U6 and comparators[j, at + INPUT] == source:
                masked = value & comparators[j, at + MASK]
                if _compare(function, masked, comparators[j, at + MATCH]):
                    found |= U1 << u64(8 * side + j)
    return found


@njit
def results_at(comparators, plan, address):
    """What the comparators make of an instruction, as far as that depends on its address only."""
    found = plan[CONSTANT] | results_of(comparators, IADDR, address)
    for j in range(comparators.shape[0]):
        for side in range(2):
            if comparators[j, side * SIDE + NOTIFIES] != U0 and (
                (found >> u64(8 * side + j)) & U1 != U0
            ):
                found |= NOTIFY
    return found


@njit
def _is_uniform(comparators, plan, first, last):
    """Whether all addresses from `first` to `last` have the same results; False if in doubt."""
    if plan[ALWAYS_WALK] != U0 or last < first:
        return False
    for j in range(comparators.shape[0]):
        for side in range(2):
            at = side * SIDE
            if comparators[j, at + FUNCTION] < U6 and comparators[j, at + INPUT] == IADDR:
                match = comparators[j, at + MATCH]
                if first <= match and match <= last:
                    return False
    return True


@inlined
def _clears(plan, results):
    """Latches that the row of these results may find set and leave cleared: the rows after it
    differ from it."""
    return (((results >> U8) & BYTE) | plan[CLEARED]) & ~results & plan[LATCHES]


@inlined
def _logarithm(half_words):
    """log2 of an instruction's half-words; -1 for a length that has none."""
    if half_words == 1:
        return 0
    if half_words == 2:
        return 1
    return 2 if half_words == 4 else -1


@njit
def _sizes_are_known(blocks, row, code):
    """The slot of the block's first instruction, if its lengths agree with the program; or -1."""
    size = code.size
    first, word = blocks[row, _block.iaddr], blocks[row, _block.iretire]
    half_words = s64(word & LOW32)
    last_size = 1 << s64((word >> _block.ilastsize_at) & BYTE)
    first_size = (word >> _block.ifirstsize_at) & BYTE
    slot = s64(find_slot(code.bases, code.ends, code.slots, first))
    if slot < 0:
        return -1
    at, step = 0, 0
    while at < half_words:
        step = s64(size[slot + at]) if slot + at < size.shape[0] else 0
        if _logarithm(step) < 0 or (
            at == 0 and first_size != UNKNOWN and step != 1 << s64(first_size)
        ):
            return -1
        at += step
    last = first + (u64(half_words - step) << U1)
    if at != half_words or step != last_size:
        return -1
    # not where the code goes on in another region
    where = s64(find_slot(code.bases, code.ends, code.slots, last))
    return slot if where == slot + half_words - step else -1


@njit
def split(blocks, start, units, code, table):
    """Split the rows `blocks[start:]` into parts of instructions with equal results.

    `table.rows[r]` becomes (the row's first part) << 2 | LOOK, or | WHOLE where the lengths of its
    instructions are unknown: then its parts are the places where one may begin. Ends early, before
    a row for which there is no room, and gives the number of that row.

    Long: one loop over instructions, each of which extends or closes a run of equal results.
    """
    comparators, plan = units.comparators, units.plan
    rows, parts, parts_blocks = table.rows, table.parts, table.blocks
    out_blocks, counts, size = table.out, table.counts, code.size
    part, out = counts[0], counts[1]
    row = start
    while row < blocks.shape[0]:
        first, word = blocks[row, _block.iaddr], blocks[row, _block.iretire]
        half_words = s64(word & LOW32)
        last_size = 1 << min(s64((word >> _block.ilastsize_at) & BYTE), 8)
        first_size = (word >> _block.ifirstsize_at) & BYTE
        last = first + (u64(half_words - last_size) << U1)
        begin_part = part
        results = results_at(comparators, plan, first)
        if half_words <= last_size or (
            _is_uniform(comparators, plan, first, last)
            and results & NOTIFY == U0
            and _clears(plan, results) == U0
        ):
            if part == parts.shape[0] or out == out_blocks.shape[0]:
                break
            parts[part] = results
            parts_blocks[part] = out
            out_blocks[out, _block.iaddr] = first
            out_blocks[out, _block.iretire] = word
            rows[row] = u64(part) << U2 | u64(LOOK)
            part += 1
            out += 1
            row += 1
            continue
        looked = min(half_words, s64(LIMIT))
        if part + looked + 1 > parts.shape[0] or out + looked + 1 > out_blocks.shape[0]:
            break
        slot = -1
        if half_words <= s64(LIMIT):
            slot = _sizes_are_known(blocks, row, code)
        two = slot < 0 and first_size <= U2 and half_words == (1 << s64(first_size)) + last_size
        whole = slot < 0 and not two
        at, begin, in_run = 0, 0, False
        step = 0
        closed, run = True, U0
        begin_size = 0
        while at < looked and at <= half_words - last_size:
            if slot >= 0:
                step = s64(size[slot + at])
            elif at == 0 and first_size <= U2:
                step = 1 << s64(first_size)
            elif two or at == half_words - last_size:
                step = last_size
            else:
                step = min(s64(plan[STEP]), half_words - last_size - at)
            if at > 0:
                results = results_at(comparators, plan, first + (u64(at) << U1))
            in_run = at > 0 and results == run
            if closed or not in_run:
                parts[part] = results
                parts_blocks[part] = out
                if not whole:
                    out_blocks[out, _block.iaddr] = first + (u64(at) << U1)
                    out += 1
                part += 1
                begin, begin_size = at, step
            if not whole:
                end = at + step
                sizes = u64(_logarithm(step)) << _block.ilastsize_at
                sizes |= u64(_logarithm(begin_size)) << _block.ifirstsize_at
                sizes |= word & (BYTE << _block.priv_at)
                out_blocks[out - 1, _block.iretire] = u64(end - begin) | sizes
            # a row to be reported is the last of its block; of a unit all parts are one block
            closed = (results & NOTIFY != U0 and not whole) or (
                not in_run and _clears(plan, results) != U0
            )
            run = results
            at += step
        if whole:
            out_blocks[out, _block.iaddr] = first
            out_blocks[out, _block.iretire] = word
            out += 1
            rows[row] = u64(begin_part) << U2 | u64(WHOLE)
        else:
            # whether the jump at its end is sequentially inferable
            out_blocks[out - 1, _block.iretire] |= word & (BYTE << _block.sijump_at)
            rows[row] = u64(begin_part) << U2 | u64(LOOK)
        row += 1
    counts[0], counts[1] = part, out
    return row
