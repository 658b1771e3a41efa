"""Where tracing pauses in a trace, compared with where it must.

Filters, triggers and windows leave something out; the hart was halted or reset; a context came with
*ctype* 3 (docs/qualification.md, "Stretches"). Each has to be a pause in the flow, and nothing else
may be one. (*ctype* 2 is like 3 only at a jump behind its `lui` or at the target of a mispredicted
return. Where a run tells it neither can be: the instruction before wrote the context.)
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from etrace.trace.stretch import PAUSED
from specs.interfaces.ingress import HALTED, RESET, UNQUALIFIED

_REASONS = (
    (RESET, "the hart is reset here"),
    (HALTED, "the hart is halted here"),
    (UNQUALIFIED, "filters, triggers or windows leave something out here"),
    (0, "the context changes here with ctype 3"),
)


class Found(NamedTuple):
    """A difference before an instruction (its number) and behind so many traps: what it is, and the
    packet and byte offset it is about, if there is one.
    """

    position: int
    traps: int
    what: str
    packet: int | None
    offset: int | None


class Pausing:
    """Compares the pauses of a trace with those of a run, as both come. `matched`: found right."""

    def __init__(self) -> None:
        self._expected = np.zeros(0, PAUSED)
        self._actual = np.zeros(0, PAUSED)
        #: Of the trace, the last one found right.
        self._last: npt.NDArray[np.void] = self._actual
        self.matched = 0

    def add(self, expected: npt.NDArray[np.void], actual: npt.NDArray[np.void]) -> None:
        """Rows of `PAUSED`, those after the ones before."""
        self._expected = _joined(self._expected, expected)
        self._actual = _joined(self._actual, actual)

    @property
    def pending(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
        """Pauses of the run and of the trace that have not been compared yet."""
        return self._expected, self._actual

    def skip(self, at: int, expected: int, actual: int) -> None:
        """So many instructions from instruction `at` on are left out on either side; no pause
        lies among them."""
        self._expected = self._expected.copy()
        self._expected["position"][self._expected["position"] > at] -= expected
        self._actual = self._actual.copy()
        self._actual["position"][self._actual["position"] > at] -= actual

    def compare(self, limit: int, end: int) -> Found | None:
        """The first difference in what is certain by now, if there is one.

        On both sides all pauses before instruction `limit` are there, and those with fewer than
        `end` instructions and traps before them.
        """
        expected, actual = (_settled(rows, limit, end) for rows in (self._expected, self._actual))
        both = min(len(expected), len(actual))
        unequal = (expected["position"][:both] != actual["position"][:both]) | (
            expected["traps"][:both] != actual["traps"][:both]
        )
        same = int(np.argmax(unequal)) if unequal.any() else both
        self.matched += same
        if same:
            self._last = actual[same - 1 : same].copy()
        self._expected, self._actual = self._expected[same:], self._actual[same:]
        return self._difference(expected[same:], actual[same:])

    def _difference(
        self, expected: npt.NDArray[np.void], actual: npt.NDArray[np.void]
    ) -> Found | None:
        if not len(expected) and not len(actual):
            return None
        if not len(expected) or (len(actual) and _place(actual) < _place(expected)):
            return _unexpected(actual)
        return _missing(expected, self._last)


def _unexpected(actual: npt.NDArray[np.void]) -> Found:
    packet, offset = int(actual["packet"][0]), int(actual["offset"][0])
    what = (
        f"tracing pauses here (until packet {packet}, offset {offset}), expected no pause; "
        "look at the support packet before that with etrace dump"
    )
    return Found(*_place(actual), what, packet, offset)


def _missing(expected: npt.NDArray[np.void], last: npt.NDArray[np.void]) -> Found:
    """`last`: the pause before, if there is one; where to begin to look."""
    why = int(expected["why"][0])
    reason = next(text for flags, text in _REASONS if why & flags or not flags)
    what = f"no pause in tracing, expected one: {reason}; look for its support packet"
    if not len(last):
        return Found(*_place(expected), f"{what} with etrace dump", None, None)
    packet, offset = int(last["packet"][0]), int(last["offset"][0])
    what += f" behind packet {packet}, offset {offset}, with etrace dump"
    return Found(*_place(expected), what, packet, offset)


def _joined(one: npt.NDArray[np.void], other: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    return np.concatenate([one, other]) if len(other) else one


def _settled(rows: npt.NDArray[np.void], limit: int, end: int) -> npt.NDArray[np.void]:
    certain = (rows["position"] < limit) | (rows["position"] + rows["traps"] < end)
    return rows[: int(np.count_nonzero(certain))]


def _place(rows: npt.NDArray[np.void]) -> tuple[int, int]:
    return int(rows["position"][0]), int(rows["traps"][0])
