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
from specs.kernels.words import LOW32, U0, U1, U4, U31, U32, U63, clz64, s64, u64

_CODE = np.uint64(CODE_MASK)
_BRANCH = np.uint64(4)
_PASSAGES = np.uint64(PASSAGE_INDEX << CODE_BITS | SIDEBAND_CODE)
_NO_TARGET = np.uint64(NO_TARGET)
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
    """A `map` as (the outcomes of its branches, the first one lowest; how many)."""
    lowest = U63 - clz64(branch_map & (U0 - branch_map))
    return branch_map >> (lowest + U1), U31 - lowest


@njit
def section(passages: Any, number: Any, records: Any, successors: Any, j: Any) -> Any:
    """Section `j` of a passage: (reference of its first block, its `map`, rows before it, rows up
    to its end). `passages`: rows of uint64, `records`: of uint32.
    """
    first = s64(passages[number, 0] >> U32)
    last = first + s64(passages[number, 1] & LOW32)
    at = first + j
    if at < last:
        branch_map, end = u64(records[at, 1]), u64(records[at, 2])
    else:
        branch_map, end = passages[number, 1] >> U32, passages[number, 2] & LOW32
    if j == 0:
        return passages[number, 0] & LOW32, branch_map, U0, end
    reference = u64(records[at - 1, 3])
    if reference == _NO_TARGET:
        # 5 is a branch that was taken
        own = u64(records[at - 1, 0])
        row = s64(own >> U4)
        reference = U0
        if row < successors.shape[0]:
            reference = u64(successors[row, s64((own & U1) ^ U1)])
    return reference, branch_map, u64(records[at - 1, 2]), end


@njit
def walk(successors: Any, reference: Any, bits: Any, skipped: Any, out: Any) -> Any:
    """Go from the block of `reference` (as `PASSAGE.first`) past `skipped` blocks, and write the
    references of those that follow to `out`; `bits`: outcomes of the branches. Returns the
    reference and the outcomes behind them.
    """
    known = u64(successors.shape[0])
    for k in range(-skipped, out.shape[0]):
        row = reference >> U4
        following = row if row < known else U0
        if reference & _CODE == _BRANCH:
            not_taken = bits & U1
            bits >>= U1
            reference |= not_taken ^ U1
            way = s64(not_taken)
        else:
            way = 0
        if k >= 0:
            out[k] = reference
        reference = u64(successors[s64(following), way]) if known != U0 else U0
    return reference, bits


@njit
def expand_passage(passages: Any, number: Any, records: Any, successors: Any, out: Any) -> Any:
    """Write the references of the last blocks of a passage to `out`: as many as fit."""
    j = s64(passages[number, 1] & LOW32)
    end = out.shape[0]
    while end > 0 and j >= 0:
        reference, branch_map, before, upto = section(passages, number, records, successors, j)
        bits, _ = outcomes(branch_map)
        count = s64(upto) - s64(before)
        taken = min(count, end)
        if taken > 0:
            walk(successors, reference, bits, count - taken, out[end - taken : end])
            end -= taken
        j -= 1


@njit
def expand(refs: Any, passages: Any, records: Any, successors: Any, out: Any) -> Any:
    """Write `refs` to `out`, with the references that passages stand for in their places; how
    many there are.
    """
    used = 0
    for i in range(refs.shape[0]):
        reference = u64(refs[i])
        if is_passage(reference):
            number = number_of(reference)
            if number < passages.shape[0]:
                count = s64(passages[number, 2] & LOW32)
                expand_passage(passages, number, records, successors, out[used : used + count])
                used += count
        else:
            out[used] = refs[i]
            used += 1
    return used


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
    counts = np.ones(len(chunk.refs), np.int64)
    counts[places] = chunk.passages["rows"][_numbers(chunk, places)]
    # references from here on to the end
    left = counts[::-1].cumsum()[::-1]
    begin, wanted = 0, int(left[0]) if len(left) else 0
    if most is not None and most < wanted:
        begin, wanted = int(np.flatnonzero(left >= most)[-1]), most
    out = np.zeros(wanted, np.uint32)
    passages, records, successors = tables(chunk)
    refs = np.ascontiguousarray(chunk.refs[begin:])
    cut = int(left[begin]) - wanted if begin < len(left) else 0
    if cut:
        # a part of the first passage
        rest = int(counts[begin]) - cut
        number = int(refs[0]) >> CODE_BITS & (PASSAGE_INDEX - 1)
        expand_passage(passages, np.int64(number), records, successors, out[:rest])
        expand(refs[1:], passages, records, successors, out[rest:])
    else:
        expand(refs, passages, records, successors, out)
    return replace(chunk, refs=out, passages=np.zeros(0, PASSAGE), records=np.zeros(0, RECORD))


def _numbers(chunk: Chunk, places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
    return (chunk.refs[places] >> np.uint32(CODE_BITS)) & np.uint32(PASSAGE_INDEX - 1)
