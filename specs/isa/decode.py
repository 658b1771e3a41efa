"""From an instruction word to its table entry and operands.

The functions are kernels (`njit`), callable from other kernels; `decode` is their pure Python
face. `xlen` is 32 or 64, plus `tables.ZCM` where Zcmp and Zcmt have encodings of Zcd. Only the low
16 bits of a compressed instruction's word count, only the low 32 bits of any other's.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from specs.isa.formats import FORMATS, Register
from specs.isa.tables import ENTRIES, RV64, SELECTIONS
from specs.kernels.njit import njit

NAMES: list[str] = [entry.name for entry in ENTRIES]
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}

#: Index of the instruction that a compressed one expands to; any other's own index.
EXPANSION = np.array([INDEX[entry.expansion] for entry in ENTRIES], np.int64)

_BUCKETS = 512  # 32-bit: opcode (5 bits) and funct3; compressed: quadrant and funct3


@lru_cache
def buckets(xlen: int) -> list[list[int]]:
    """Candidates for each bucket, most specific mask first (c.jr before c.mv)."""
    selected_by = [index for index, entry in enumerate(ENTRIES) if xlen in entry.selections]
    order = sorted(selected_by, key=lambda index: (-ENTRIES[index].mask.bit_count(), index))
    match = np.array([ENTRIES[index].match for index in order], np.int64)
    mask = np.array([ENTRIES[index].mask for index in order], np.int64)
    number = np.arange(_BUCKETS)
    wide = (number & 31) << 2 | (number >> 5) << 12 | 3
    compressed = (number & 3) | (number >> 2 & 7) << 13
    selected = np.where(number < 256, wide, compressed)[:, np.newaxis]
    known = np.where(number < 256, 0x707F, 0xE003)[:, np.newaxis]
    differ = (selected ^ match) & mask & known != 0
    return [[order[at] for at in np.flatnonzero(~row)] for row in differ]


def _candidates() -> tuple[npt.NDArray[np.int64], ...]:
    """For each selection and bucket: first and end of its candidates; and for each candidate:
    index, match, mask; bits of which one must be set (all, where there is no such rule), in the
    word xor itself shifted by the last column (by all its bits, where that is not asked for).
    """
    first = np.zeros((len(SELECTIONS), _BUCKETS + 1), np.int64)
    rules = [(e.nonzero or e.differ or -1, 5 if e.differ else 32) for e in ENTRIES]
    rows: list[npt.NDArray[np.int64]] = []
    for selection, xlen in enumerate(SELECTIONS):
        masks = [e.mask if xlen & RV64 else e.mask | e.zero32 for e in ENTRIES]
        matches = [(index, entry.match) for index, entry in enumerate(ENTRIES)]
        facts = np.column_stack([matches, masks, rules]).astype(np.int64)
        in_order = buckets(xlen)
        first[selection] = np.cumsum([sum(map(len, rows)), *map(len, in_order)])
        rows.append(facts[[index for candidates in in_order for index in candidates]])
    columns = np.concatenate(rows).T
    return (first, *(np.ascontiguousarray(column) for column in columns))


_FIRST, _CANDIDATE, _MATCH, _MASK, _NONZERO, _SHIFT = _candidates()


@register_jitable
def bucket(word: Any) -> Any:
    """Position in the bucket tables that the low bits of an instruction word select."""
    low = int(word & 0xFFFF)
    if low & 3 == 3:
        return (low >> 2 & 31) | (low >> 12 & 7) << 5
    return 256 | (low & 3) | (low >> 13) << 2


@njit
def lookup(word: Any, xlen: Any) -> Any:
    """Index (int64) of an instruction word in the table; -1 if it is reserved or not known."""
    bits = int(word & 0xFFFFFFFF)
    if bits & 3 != 3:
        bits &= 0xFFFF
    selection = int(xlen) >> 6
    slot = bucket(bits)
    for row in range(_FIRST[selection, slot], _FIRST[selection, slot + 1]):
        if bits & _MASK[row] == _MATCH[row] and (bits ^ bits >> _SHIFT[row]) & _NONZERO[row] != 0:
            return _CANDIDATE[row]
    return -1


_FORMAT_NAMES = list(FORMATS)
_FORMAT = np.array([_FORMAT_NAMES.index(entry.format) for entry in ENTRIES], np.int64)


def _registers() -> npt.NDArray[np.int64]:
    def row(register: Register) -> tuple[int, int, int]:
        return register.shift, register.mask, register.offset

    return np.array([[row(f.rd), row(f.rs1), row(f.rs2)] for f in FORMATS.values()], np.int64)


def _immediates() -> npt.NDArray[np.int64]:
    """For each format up to 8 (shift, mask, left); unused ones have mask 0."""
    table = np.zeros((len(FORMATS), 8, 3), np.int64)
    for position, format_ in enumerate(FORMATS.values()):
        for number, segment in enumerate(format_.imm):
            table[position, number] = segment.shift, segment.mask, segment.left
    return table


_REGISTER = _registers()
#: Beyond x9, s2 and up are eight further on.
_SAVED = np.array([8 if f.rs1.is_saved else 0 for f in FORMATS.values()], np.int64)
_SEGMENT = _immediates()
_IMPLIED = np.array([f.implied for f in FORMATS.values()], np.int64)
_SEGMENTS = np.array([len(f.imm) for f in FORMATS.values()], np.int64)
_UNUSED_HIGH_BITS = np.array(
    [63 - f.sign if f.sign >= 0 else 0 for f in FORMATS.values()], np.int64
)


def _floating() -> npt.NDArray[np.int64]:
    layouts = (FORMATS[entry.format] for entry in ENTRIES)
    files = [[r.file == "f" for r in (f.rd, f.rs1, f.rs2)] for f in layouts]
    return np.array(files, np.int64)


#: By instruction index: 1 where rd, rs1, rs2 is a floating-point register (rs3 always is one).
FLOATING = _floating()


@njit
def operands(index: Any, word: Any) -> Any:
    """`(rd, rs1, rs2, imm)` of an instruction word, as int64; what it has not is 0.

    Compressed instructions give the operands of their expansion. `imm` is sign-extended where the
    instruction does so, the whole value for lui and auipc, the shift amount of a shift, the CSR
    number of a CSR instruction (whose zimm is `rs1`), the upper twelve bits of a fence; rs3 and
    the rounding mode (`formats`); the register list of cm.push and cm.pop and, from bit 4 on,
    their additional stack as encoded; the index of a table jump. Registers are numbers in their
    file (`FLOATING`).
    """
    bits = int(word & 0xFFFFFFFF)
    f = _FORMAT[index]
    rd = (bits >> _REGISTER[f, 0, 0] & _REGISTER[f, 0, 1]) + _REGISTER[f, 0, 2]
    rs1 = (bits >> _REGISTER[f, 1, 0] & _REGISTER[f, 1, 1]) + _REGISTER[f, 1, 2]
    rs2 = (bits >> _REGISTER[f, 2, 0] & _REGISTER[f, 2, 1]) + _REGISTER[f, 2, 2]
    if _SAVED[f]:
        rs1 += _SAVED[f] if rs1 > 9 else 0
        rs2 += _SAVED[f] if rs2 > 9 else 0
    imm = _IMPLIED[f]
    for number in range(_SEGMENTS[f]):
        imm |= (bits >> _SEGMENT[f, number, 0] & _SEGMENT[f, number, 1]) << _SEGMENT[f, number, 2]
    unused = _UNUSED_HIGH_BITS[f]
    return rd, rs1, rs2, imm << unused >> unused


@njit
def length(halfword: Any) -> Any:
    """Length in bytes (2, 4, 6, 8) of the instruction that begins so; 0 if it is reserved."""
    low = int(halfword & 0x7F)
    if low & 0x03 != 0x03:
        return 2
    if low & 0x1F != 0x1F:
        return 4
    if low & 0x3F != 0x3F:
        return 6
    if low != 0x7F:
        return 8
    return 0


@dataclass(frozen=True, slots=True)
class Instruction:
    """A decoded instruction: operands as in `operands`, size in bytes."""

    name: str
    size: int
    rd: int
    rs1: int
    rs2: int
    imm: int


@lru_cache(maxsize=1 << 16)
def decode(word: int, xlen: int) -> Instruction | None:
    """Decode an instruction word; None if it is reserved or not known. Needs no compiler."""
    index = int(lookup.py_func(word, xlen))
    if index < 0:
        return None
    rd, rs1, rs2, imm = (int(value) for value in operands.py_func(index, word))
    return Instruction(NAMES[index], 4 if word & 3 == 3 else 2, rd, rs1, rs2, imm)
