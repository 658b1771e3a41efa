"""From runs to one program counter a row."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from specs.interfaces.flow import RUN, Flow
from specs.interfaces.records import places, words
from specs.isa.control import CodeMap, find_slot
from specs.kernels.njit import njit
from specs.kernels.words import LOW32, U1, s64, u64

_PIECE = 1 << 20


_run = places(RUN)
_RUN_WORDS = RUN.itemsize // 8


class Code(NamedTuple):
    """Columns of a `CodeMap`."""

    region_base: Any
    region_end: Any
    region_slot: Any
    size: Any


@njit
def expand_runs(code: Any, runs: Any, skip: Any, out: Any) -> Any:
    """The pcs of `runs` (flat words) from instruction `skip` on into `out` as far as it goes; how
    many.
    """
    region_base, region_end, region_slot, size = code
    filled = 0
    for i in range(0, runs.size, _RUN_WORDS):
        at = u64(i)
        count = s64(runs[at + _run.count] & LOW32)
        if skip >= count:
            skip -= count
            continue
        pc = runs[at + _run.start]
        slot = u64(find_slot(region_base, region_end, region_slot, pc))
        while skip > 0:
            step = u64(size[slot])
            slot += step
            pc += step << U1
            skip -= 1
            count -= 1
        count = min(count, out.shape[0] - filled)
        at = u64(filled)
        for _ in range(count):
            out[at] = pc
            step = u64(size[slot])
            slot += step
            pc += step << U1
            at += U1
        filled += count
        if filled == out.shape[0]:
            break
    return filled


def pcs(
    flow: Flow, code: CodeMap, start: int = 0, stop: int | None = None
) -> npt.NDArray[np.uint64]:
    """Program counters (uint64) of instructions `start` to `stop` of `flow`, counted in this flow.

    `code` is the map that the flow was decoded with.
    """
    total = flow.instructions
    stop = total if stop is None else min(stop, total)
    start = max(start, 0)
    out = np.empty(max(stop - start, 0), np.uint64)
    if out.size:
        expand_runs(_code(code), words(flow.runs, RUN), start, out)
    return out


def pc_pieces(flow: Flow, code: CodeMap) -> Iterator[npt.NDArray[np.uint64]]:
    """The same as `pcs(flow, code)` in pieces of bounded size, each valid until the next one."""
    out = np.empty(_PIECE, np.uint64)
    ends = np.cumsum(flow.runs["count"], dtype=np.int64)
    table = words(flow.runs, RUN)
    first, skip = 0, 0
    while first < ends.size:
        count = expand_runs(_code(code), table[_RUN_WORDS * first :], skip, out)
        yield out[:count]
        done = (int(ends[first - 1]) if first else 0) + skip + count
        first = int(np.searchsorted(ends, done, "right"))
        skip = done - (int(ends[first - 1]) if first else 0)


def trap_positions(flow: Flow, first_instruction: int = 0) -> npt.NDArray[np.uint64]:
    """For each trap of `flow`, the number of instructions before it.

    `first_instruction`: the number of instructions before this flow.
    """
    before = np.concatenate([[0], np.cumsum(flow.runs["count"], dtype=np.uint64)])
    index = flow.traps["run"] - np.uint64(flow.first_run)
    return (before[index.astype(np.int64)] + np.uint64(first_instruction)).astype(np.uint64)


def _code(code: CodeMap) -> Code:
    return Code(code.region_base, code.region_end, code.region_slot, code.size)
