"""Kernels: the retirement blocks that a passage (`specs.interfaces.ingress.PASSAGE`) stands for.

A *section* of a passage is what is between two of its records, or in front of the first one or
behind the last one.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from specs.interfaces.ingress import (
    CODE_BITS,
    CODE_MASK,
    NO_TARGET,
    PASSAGE,
    PASSAGE_INDEX,
    RECORD,
    SIDEBAND_CODE,
    Chunk,
    IngressError,
)
from specs.interfaces.records import rows
from specs.kernels.njit import inlined, njit
from specs.kernels.words import LOW32, U0, U1, U4, U32, U63, clz64, s64, u64

#: Columns of records.
REFERENCE, MAP, RETIRED, TARGET = range(4)
_CODE = np.uint64(CODE_MASK)
_BRANCH = np.uint64(4)
_PASSAGES = np.uint64(PASSAGE_INDEX << CODE_BITS | SIDEBAND_CODE)
_NO_TARGET = np.uint64(NO_TARGET)
#: No row of a table of blocks.
NO_ROW = np.uint64(1 << 32)
#: More references than there are.
_ALL = 1 << 62
#: Blocks counted at a time.
_PIECE = 1 << 12
_ROW_MASK = np.uint64(PASSAGE_INDEX - 1)


@inlined
def is_passage(reference: Any) -> Any:
    """Does a reference (uint64) name a passage?"""
    return reference & _CODE == _PASSAGES & _CODE and reference >= _PASSAGES


@inlined
def number_of(reference: Any) -> Any:
    """Of the passage that a reference names."""
    return s64(reference >> U4 & _ROW_MASK)


@inlined
def outcomes(branch_map: Any) -> Any:
    """The outcomes of a `map`'s branches, the first one lowest, and a 1 above the last."""
    lowest = U63 - clz64(branch_map & (U0 - branch_map))
    return (branch_map | U1 << U32) >> (lowest + U1)


@inlined
def how_many(bits: Any) -> Any:
    """Of how many branches `outcomes` tells."""
    return U63 - clz64(bits)


@njit
def section(passages: Any, number: Any, records: Any, successors: Any, j: Any) -> Any:
    """Section `j` of a passage, for `write_blocks`: (reference of its first block, outcomes, row of
    its last block, most blocks that it may have). `passages`: rows of uint64, `records`: of uint32.
    """
    at = s64(passages[number, 0] >> U32) + j
    count = s64(passages[number, 1] & LOW32)
    reference, begun = passages[number, 0] & LOW32, passages[number, 2] & LOW32
    if j > 0:
        reference, begun = u64(records[at - 1, TARGET]), u64(records[at - 1, RETIRED])
        if reference == _NO_TARGET:
            # 5 is a branch that was taken
            own = u64(records[at - 1, REFERENCE])
            row = s64(own >> U4)
            reference = U0
            if row < successors.shape[0]:
                reference = u64(successors[row, s64((own & U1) ^ U1)])
    if j == count:
        return reference, outcomes(passages[number, 1] >> U32), NO_ROW, passages[number, 2] >> U32
    own = u64(records[at, REFERENCE])
    left = (u64(records[at, RETIRED]) - begun) & LOW32
    return reference, outcomes(u64(records[at, MAP])), own >> U4, left


@njit
def write_blocks(successors: Any, reference: Any, bits: Any, own: Any, left: Any, out: Any) -> Any:
    """Write the references of a section's blocks to `out` until it, or the section, is over: how
    many, and what is left of the section, as arguments for the next call: (reference, outcomes,
    most blocks; 0: that was all).
    """
    known = u64(successors.shape[0])
    used = 0
    while used < out.shape[0] and left != U0:
        row = reference >> U4
        way = U0
        if reference & _CODE == _BRANCH:
            way = bits & U1
            bits >>= U1
            reference |= way ^ U1
        out[used] = reference
        used += 1
        left -= U1
        if (row == own and bits <= U1) or row >= known:
            left = U0
        else:
            reference = u64(successors[s64(row), s64(way)])
    return used, reference, bits, left


@njit
def last_sections(
    refs: Any, passages: Any, records: Any, successors: Any, most: Any, scratch: Any
) -> Any:
    """Where the last `most` references of the expanded `refs` begin: at refs[i], if that is a
    passage at its section `j`; and how many there are from there on, which may be more.
    """
    total = 0
    for k in range(refs.shape[0]):
        i = refs.shape[0] - 1 - k
        reference = u64(refs[i])
        j = np.int64(0)
        if is_passage(reference):
            number = number_of(reference)
            j = s64(passages[number, 1] & LOW32)
            while True:
                at, bits, own, left = section(passages, number, records, successors, j)
                while left != U0:
                    count, at, bits, left = write_blocks(successors, at, bits, own, left, scratch)
                    total += count
                if j == 0 or total >= most:
                    break
                j -= 1
        else:
            total += 1
        if total >= most:
            return i, j, total
    return 0, np.int64(0), total


@njit
def expand(refs: Any, j: Any, passages: Any, records: Any, successors: Any, out: Any) -> Any:
    """Write `refs` to `out`, with the references that passages stand for in their places; of the
    first one, if it is a passage, from section `j` on.
    """
    used = 0
    for i in range(refs.shape[0]):
        reference = u64(refs[i])
        if is_passage(reference):
            number = number_of(reference)
            for k in range(j if i == 0 else 0, s64(passages[number, 1] & LOW32) + 1):
                at, bits, own, left = section(passages, number, records, successors, k)
                used += write_blocks(successors, at, bits, own, left, out[used:])[0]
        else:
            out[used] = refs[i]
            used += 1


def named(chunk: Chunk) -> npt.NDArray[np.intp]:
    """Where in the references of a chunk with passages they are named. Raises IngressError for one
    that is not there.
    """
    if not len(chunk.passages):
        return np.zeros(0, np.intp)
    codes = chunk.refs & np.uint32(CODE_MASK)
    places = np.flatnonzero((codes == SIDEBAND_CODE) & (chunk.refs >= np.uint32(_PASSAGES)))
    passages = chunk.passages
    ends = passages["record"].astype(np.int64) + passages["records"]
    if len(places) and _numbers(chunk, places).max() >= len(passages):
        raise IngressError("a reference points past the table of passages")
    if len(ends) and ends.max() > len(chunk.records):
        raise IngressError("a passage points past the table of records")
    return places


def tables(
    chunk: Chunk,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Passages, records and successors of a chunk as the kernels take them, a row each."""
    return (
        rows(chunk.passages, PASSAGE),
        np.ascontiguousarray(chunk.records, RECORD).view(np.uint32).reshape(-1, 4),
        chunk.successors,
    )


def first_rows(chunk: Chunk) -> npt.NDArray[np.uint32]:
    """The references of a chunk, a passage's first block (as `PASSAGE.first`) in its place."""
    places = named(chunk)
    if not len(places):
        return chunk.refs
    refs = chunk.refs.copy()
    refs[places] = chunk.passages["first"][_numbers(chunk, places)]
    return refs


def expanded(chunk: Chunk, most: int | None = None) -> Chunk:
    """`chunk` with the references that its passages stand for; only the last `most`, or what there
    is, if that is given. Raises IngressError as `named`.
    """
    places = named(chunk)
    if not len(places):
        return chunk if most is None else replace(chunk, refs=chunk.refs[-most:])
    refs = np.ascontiguousarray(chunk.refs)
    wanted = np.int64(_ALL if most is None else most)
    scratch = np.zeros(_PIECE, np.uint32)
    begin, j, total = last_sections(refs, *tables(chunk), wanted, scratch)
    out = np.zeros(total, np.uint32)
    expand(refs[begin:], j, *tables(chunk), out)
    if most is not None:
        out = out[-most:]
    return replace(chunk, refs=out, passages=np.zeros(0, PASSAGE), records=np.zeros(0, RECORD))


def _numbers(chunk: Chunk, places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
    return (chunk.refs[places] >> np.uint32(CODE_BITS)) & np.uint32(PASSAGE_INDEX - 1)
