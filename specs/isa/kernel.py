"""Kernels of `control`: classification of an instruction word, the scan of a region of code."""

from typing import Any, NamedTuple

import numpy as np

from specs.isa.decode import EXPANSION, bucket, length, lookup, operands
from specs.isa.itype import Itype
from specs.isa.transfers import (
    AUIPC,
    BRANCH,
    ENVIRONMENT,
    IMPLIED_ITYPE,
    INFERABLE_ITYPE,
    INFERABLE_JUMP,
    JALR,
    KIND,
    LUI,
    MAY_TRANSFER,
    SEQUENTIAL,
    TRAP_RETURN,
    UNINFERABLE_ITYPE,
    UNINFERABLE_JUMP,
)
from specs.kernels.njit import njit, spliced
from specs.kernels.words import s64, u64


class Slots(NamedTuple):
    """Columns of a `specs.isa.control.CodeMap`, which describes them."""

    word: Any
    size: Any
    kind: Any
    itype: Any
    target: Any
    end: Any
    count: Any


#: Not a literal int, for each of which Numba would compile `lookup` again.
XLEN64 = np.int64(64)
NONE, XRET, NONTAKEN = int(Itype.NONE), int(Itype.TRAP_RETURN), int(Itype.NONTAKEN_BRANCH)


@njit
def _destination(rd):
    if rd == 1 or rd == 5:
        return 2
    return 0 if rd == 0 else 1


@spliced
def _source(rd, rs1):
    if rs1 != 1 and rs1 != 5:
        return 0
    return 1 if rs1 == rd else 2


@njit
def classify(word, xlen):
    """`(kind, itype, target, absolute)` of an instruction word, int64 each; `xlen` as in `lookup`.

    `itype` is the four-bit code, for a branch the one of not taken. `target` is for BRANCH and
    INFERABLE_JUMP: an offset from the instruction's address or, if `absolute` is 1, an address
    (sign-extended: mask it to xlen). Words that the tables do not know are SEQUENTIAL.
    """
    index = -1
    if MAY_TRANSFER[int(xlen) >> 6, bucket(word)]:
        index = lookup(word, xlen)
    if index < 0 or KIND[index] == SEQUENTIAL:
        return SEQUENTIAL, NONE, 0, 0
    kind = KIND[index]
    rd, rs1, _rs2, imm = operands(index, word)
    if kind == BRANCH:
        return BRANCH, NONTAKEN, imm, 0
    if kind == INFERABLE_JUMP:
        return INFERABLE_JUMP, INFERABLE_ITYPE[_destination(rd)], imm, 0
    if kind == UNINFERABLE_JUMP:
        if IMPLIED_ITYPE[index] != NONE:
            return UNINFERABLE_JUMP, IMPLIED_ITYPE[index], 0, 0
        if rs1 == 0:
            return INFERABLE_JUMP, INFERABLE_ITYPE[_destination(rd)], imm & ~1, 1
        return UNINFERABLE_JUMP, UNINFERABLE_ITYPE[_destination(rd), _source(rd, rs1)], 0, 0
    if kind == TRAP_RETURN:
        return TRAP_RETURN, XRET, 0, 0
    return ENVIRONMENT, NONE, 0, 0


@njit
def makes_upper(word):
    """Whether an instruction word is lui, auipc or c.lui."""
    return word & 0x5F == 0x17 or word & 0xE003 == 0x6001


@njit
def sequentially_inferable(prev_word, word):
    """Whether lui, c.lui or auipc in `prev_word` gives the uninferable jump `word` its target."""
    jump, before = lookup(word, XLEN64), lookup(prev_word, XLEN64)
    if jump < 0 or before < 0 or EXPANSION[jump] != JALR:
        return False
    if EXPANSION[before] != LUI and before != AUIPC:
        return False
    source = operands(jump, word)[1]
    return source != 0 and operands(before, prev_word)[0] == source


@njit
def sequential_target(prev_pc, prev_word, word, xlen):
    """Target (uint64) of a jump that is `sequentially_inferable`."""
    before = lookup(prev_word, XLEN64)
    value = u64(operands(before, prev_word)[3])
    if before == AUIPC:
        value += u64(prev_pc)
    value = (value + u64(operands(lookup(word, XLEN64), word)[3])) & u64(~1)
    return value & u64(0xFFFFFFFF) if xlen == 32 else value


@njit
def find_slot(region_base, region_end, region_slot, address):
    """Slot (int64) of an address in a `CodeMap`'s regions; -1 outside of them or if odd."""
    where = u64(address)
    low, high = 0, region_base.size
    while low < high:
        middle = (low + high) >> 1
        if region_end[middle] <= where:
            low = middle + 1
        else:
            high = middle
    if low == region_base.size or where < region_base[low] or where & u64(1) != u64(0):
        return -1
    return region_slot[low] + int((where - region_base[low]) >> u64(1))


@njit
def scan(halfwords, base, first, xlen, slots):
    """Fill the `slots` of one region, from its end, so that each knows those after it; `xlen` as in
    `lookup`.
    """
    word, size, kind, itype, target, end, count = slots
    address_mask = u64(-1) if xlen & 64 else u64(0xFFFFFFFF)
    total = halfwords.size
    for position in range(total - 1, -1, -1):
        slot = first + position
        bits = int(halfwords[position])
        halves = length(bits) >> 1
        if halves > 1 and position + 1 < total:
            bits |= int(halfwords[position + 1]) << 16
        word[slot] = bits
        end[slot] = slot
        if halves == 0 or position + halves > total:
            continue
        size[slot] = halves
        count[slot] = 1
        what, code, imm, absolute = classify(s64(bits), xlen)
        if what != SEQUENTIAL:
            kind[slot] = what
            itype[slot] = code
            if what == BRANCH or what == INFERABLE_JUMP:
                origin = u64(0) if absolute == 1 else base + (u64(position) << u64(1))
                target[slot] = (origin + u64(imm)) & address_mask
        elif position + halves < total and size[slot + halves] != 0:
            end[slot] = end[slot + halves]
            count[slot] = count[slot + halves] + 1
