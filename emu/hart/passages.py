"""Passages: runs of blocks that the hot loop tells in short (`specs.interfaces.ingress.PASSAGE`).

While one is open, the last block that retired is written at cpu[REFS], which stays where it is.
Whoever adds a reference closes it; so does `drive` wherever the hot loop is not entered next at the
very block that the last one leads to.
"""

from typing import Any

import numpy as np

from emu.hart.state import (
    BEGUN,
    BRANCH_MAP,
    FIRST_RECORD,
    FIRST_ROW,
    GOAL,
    LEFT,
    MARK_FIELD,
    MARKS,
    OPEN,
    PASSAGE_COUNT,
    PASSAGES,
    REACHED,
    RECORD_TABLE,
    RECORDS,
    REFS,
    RETIRED,
    SUCCESSORS,
)
from specs.interfaces.ingress import (
    CODE_BITS,
    CODE_MASK,
    NO_BRANCHES,
    NO_TARGET,
    PASSAGE,
    PASSAGE_INDEX,
    RECORD,
    SIDEBAND_CODE,
)
from specs.isa.itype import Itype
from specs.kernels.memory import load32u, load64, store32, store64
from specs.kernels.njit import njit
from specs.kernels.words import LOW32, U0, U1, U3, U4, U8, U15, U16, U32
from specs.trace.passages import outcomes

_BYTES = np.uint64(PASSAGE.itemsize)
_RECORD_BYTES = np.uint64(RECORD.itemsize)
_NO_BRANCHES, _NO_TARGET = np.uint64(NO_BRANCHES), np.uint64(NO_TARGET)
_NAME = np.uint64(PASSAGE_INDEX << CODE_BITS | SIDEBAND_CODE)
#: Of a code, to tell branches: they differ in bit 0.
_BRANCHES = np.uint64(CODE_MASK & ~1)
_NONTAKEN, _TAKEN = np.uint64(Itype.NONTAKEN_BRANCH), np.uint64(Itype.TAKEN_BRANCH)
_FIELD = np.uint64(MARK_FIELD)
_MAP, _UPTO, _TARGET = np.uint64(4), np.uint64(8), np.uint64(12)


@njit
def open_passage(cpu: Any, reference: Any) -> Any:
    """What the hot loop retires next belongs to a passage; `reference`: of its first block."""
    if cpu[OPEN] == U0:
        cpu[OPEN] = U1
        cpu[BEGUN] = cpu[REACHED] = cpu[RETIRED]
        cpu[FIRST_ROW] = reference
        cpu[FIRST_RECORD] = cpu[RECORDS]
        cpu[BRANCH_MAP] = _NO_BRANCHES


@njit
def add_jump(cpu: Any, reference: Any, target: Any) -> Any:
    """A jump through a register, retired by `reference`, led to the block that `target` names."""
    cpu[REACHED] = cpu[GOAL] - cpu[LEFT]
    store32(cpu[REFS], reference)
    store64(cpu[RECORDS], reference | cpu[BRANCH_MAP] << U32)
    store64(cpu[RECORDS] + U8, cpu[REACHED] & LOW32 | target << U32)
    cpu[RECORDS] += _RECORD_BYTES
    cpu[BRANCH_MAP] = _NO_BRANCHES


@njit
def add_crossing(cpu: Any, target: Any) -> Any:
    """The block that retired last led to the one that `target` names, in another page, as it is
    mapped now: as `add_jump`, if a passage is open."""
    if cpu[OPEN] == U0:
        return
    reference = load32u(cpu[REFS])
    if cpu[BRANCH_MAP] == _NO_BRANCHES and reference & _BRANCHES == _NONTAKEN:
        # it has a record, of a branch map that is full
        store32(cpu[RECORDS] - _RECORD_BYTES + _TARGET, target)
    else:
        add_jump(cpu, reference, target)


@njit
def _successor(cpu: Any, reference: Any, taken: Any) -> Any:
    """The reference of the block that follows that of `reference`."""
    entry = cpu[SUCCESSORS] + (reference >> U4 << U3)
    return load32u(entry) if taken else load32u(entry + U4)


@njit
def _rows(cpu: Any, begin: Any, end: Any, branch_map: Any) -> Any:
    """Blocks of the last section, between the records `begin` and `end` and the last block."""
    if end == begin:
        reference, retired = cpu[FIRST_ROW], cpu[BEGUN]
    else:
        record = end - _RECORD_BYTES
        reference, retired = load32u(record + _TARGET), load32u(record + _UPTO)
        if reference == _NO_TARGET:
            own = load32u(record)
            reference = _successor(cpu, own, own & U15 == _TAKEN)
    bits = outcomes(branch_map)
    left = (cpu[REACHED] - retired) & LOW32
    rows = U0
    while True:
        count = load64(cpu[MARKS] + (reference >> U4 << U3)) & _FIELD
        if count >= left:
            return rows
        left -= count
        rows += U1
        taken = True
        if reference & U15 == _NONTAKEN:
            taken = bits & U1 == U0
            bits >>= U1
        reference = _successor(cpu, reference, taken)


@njit
def close_passage(cpu: Any) -> Any:
    """Write what is open, if anything is: the passage, and its last block as a reference."""
    if cpu[OPEN] == U0:
        return
    cpu[OPEN] = U0
    if cpu[REACHED] == cpu[BEGUN]:
        return
    at = cpu[REFS]
    last = load32u(at)
    begin, end = cpu[FIRST_RECORD], cpu[RECORDS]
    branch_map = cpu[BRANCH_MAP]
    if end != begin and load32u(end - _RECORD_BYTES + _UPTO) == cpu[REACHED] & LOW32:
        # the last block's own record, which the reference replaces
        end -= _RECORD_BYTES
        branch_map = load32u(end + _MAP)
        cpu[RECORDS] = end
    rows = _rows(cpu, begin, end, branch_map)
    if rows == U0 and end == begin:
        cpu[REFS] = at + U4
        return
    number = cpu[PASSAGE_COUNT]
    cpu[PASSAGE_COUNT] = number + U1
    row = cpu[PASSAGES] + number * _BYTES
    store64(row, cpu[FIRST_ROW] | (begin - cpu[RECORD_TABLE]) // _RECORD_BYTES << U32)
    store64(row + U8, (end - begin) // _RECORD_BYTES | branch_map << U32)
    store64(row + U16, cpu[BEGUN] & LOW32 | rows << U32)
    store32(at, _NAME + (number << U4))
    store32(at + U4, last)
    cpu[REFS] = at + U8
