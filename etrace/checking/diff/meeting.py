"""Where two flows that have parted meet again."""

import numpy as np
import numpy.typing as npt

from etrace.checking.diff.side import Side

#: So many equal instructions in a row are a meeting, no coincidence.
_LONG = 16
#: Instructions of either side that are looked at, first and at most.
_FIRST = 1 << 10
_MOST = 1 << 22

_ODD = np.uint64(0x9E3779B97F4A7C15)


def meeting(a: Side, b: Side, by_privilege: bool) -> tuple[int, int] | None:
    """How many instructions each side executes until both go on alike: the fewest, of both
    together. None if they do not meet within some millions.

    The end of both is a meeting, too, if they come to it by the same last instructions.
    """
    window = _FIRST
    while True:
        mine, theirs = (_numbers(side, window, by_privilege) for side in (a, b))
        whole = len(mine) < window and len(theirs) < window
        found = _meet(mine, theirs)
        # a meeting further on in one side only may be beaten by one that is not in the window yet
        if found is not None and (whole or sum(found) <= window):
            return found
        if whole:
            return _common_end(mine, theirs)
        if window >= _MOST:
            return found
        window *= 8


def _numbers(side: Side, count: int, by_privilege: bool) -> npt.NDArray[np.uint64]:
    """The next instructions as numbers: addresses, mixed with privileges."""
    pcs, privs = side.peek(count)
    return pcs ^ (privs.astype(np.uint64) << np.uint64(56)) if by_privilege else pcs


def _meet(mine: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64]) -> tuple[int, int] | None:
    grams, there = _grams(mine), _grams(theirs)
    first, at = np.unique(grams, return_index=True)
    second, at_there = np.unique(there, return_index=True)
    _, i, j = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    if not len(i):
        return None
    mine_at, theirs_at = at[i], at_there[j]
    best = np.lexsort((mine_at, mine_at + theirs_at))
    for each in best[:64].tolist():
        one, other = int(mine_at[each]), int(theirs_at[each])
        if np.array_equal(mine[one : one + _LONG], theirs[other : other + _LONG]):
            return one, other
    return None


def _grams(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A hash of each `_LONG` numbers in a row."""
    if len(numbers) < _LONG:
        return np.zeros(0, np.uint64)
    count = len(numbers) - _LONG + 1
    hashes = np.zeros(count, np.uint64)
    for n in range(_LONG):
        hashes = (hashes ^ numbers[n : n + count]) * _ODD
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _common_end(
    mine: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64]
) -> tuple[int, int] | None:
    both = min(len(mine), len(theirs), _LONG)
    if not both:
        return None
    equal = mine[len(mine) - both :][::-1] == theirs[len(theirs) - both :][::-1]
    alike = both if equal.all() else int(np.argmin(equal))
    return (len(mine) - alike, len(theirs) - alike) if alike else None
