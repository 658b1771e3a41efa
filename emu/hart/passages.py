"""Passages: runs of blocks that the hot loop tells in short (`specs.interfaces.ingress.PASSAGE`).

While one is open, cpu[ROWS] blocks of it have retired, the last of them written at cpu[REFS], which
stays where it is. Whoever adds a reference closes it; so does `drive` wherever the hot loop is not
entered next at the very block that the last one leads to.
"""

from typing import Any

import numpy as np

from emu.hart.state import (
    BRANCH_MAP,
    FIRST_RECORD,
    FIRST_ROW,
    PASSAGE_COUNT,
    PASSAGES,
    RECORD_STEP,
    RECORD_TABLE,
    RECORDS,
    REFS,
    ROWS,
)
from specs.interfaces.ingress import (
    CODE_BITS,
    NO_BRANCHES,
    PASSAGE,
    PASSAGE_INDEX,
    RECORD,
    SIDEBAND_CODE,
)
from specs.kernels.memory import load32u, store32, store64
from specs.kernels.njit import njit
from specs.kernels.words import LOW32, U0, U1, U4, U8, U15, U16, U32
from specs.trace.itype import Itype

_BYTES = np.uint64(PASSAGE.itemsize)
_RECORD_BYTES = np.uint64(RECORD.itemsize)
_NO_BRANCHES = np.uint64(NO_BRANCHES)
_NAME = np.uint64(PASSAGE_INDEX << CODE_BITS | SIDEBAND_CODE)
_NONTAKEN, _TAKEN = np.uint64(Itype.NONTAKEN_BRANCH), np.uint64(Itype.TAKEN_BRANCH)
_UPTO = np.uint64(8)


@njit
def open_passage(cpu: Any, reference: Any) -> Any:
    """What the hot loop retires next belongs to a passage; `reference`: of its first block."""
    if cpu[ROWS] == U0:
        cpu[FIRST_ROW] = reference
        cpu[FIRST_RECORD] = cpu[RECORDS]
        cpu[BRANCH_MAP] = _NO_BRANCHES


@njit
def add_jump(cpu: Any, reference: Any, target: Any) -> Any:
    """An uninferable jump, retired by `reference`, led to the block that retires by `target`."""
    cpu[ROWS] += U1
    store32(cpu[REFS], reference)
    store64(cpu[RECORDS], reference | cpu[BRANCH_MAP] << U32)
    store64(cpu[RECORDS] + U8, cpu[ROWS] | target << U32)
    cpu[RECORDS] += _RECORD_BYTES
    cpu[BRANCH_MAP] = _NO_BRANCHES


@njit
def close_passage(cpu: Any) -> Any:
    """Write what is open, if anything is: the passage, and its last block as a reference."""
    rows = cpu[ROWS]
    if cpu[RECORD_STEP] == U0 or rows == U0:
        return
    cpu[ROWS] = U0
    at = cpu[REFS]
    begin = cpu[FIRST_RECORD]
    if rows == U1:
        cpu[RECORDS] = begin
        cpu[REFS] = at + U4
        return
    last = load32u(at)
    end = cpu[RECORDS]
    branch_map = cpu[BRANCH_MAP]
    if end != begin and load32u(end - _RECORD_BYTES + _UPTO) == rows:
        # its own record, which the reference replaces
        end -= _RECORD_BYTES
        branch_map = load32u(end + U4)
        cpu[RECORDS] = end
    code = last & U15
    if code == _NONTAKEN or code == _TAKEN:
        branch_map = branch_map << U1 & LOW32
    number = cpu[PASSAGE_COUNT]
    cpu[PASSAGE_COUNT] = number + U1
    row = cpu[PASSAGES] + number * _BYTES
    store64(row, cpu[FIRST_ROW] | (begin - cpu[RECORD_TABLE]) // _RECORD_BYTES << U32)
    store64(row + U8, (end - begin) // _RECORD_BYTES | branch_map << U32)
    store64(row + U16, rows - U1)
    store32(at, _NAME + (number << U4))
    store32(at + U4, last)
    cpu[REFS] = at + U8
