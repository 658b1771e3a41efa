"""Context and time in a trace, compared with what the run told (docs/qualification.md).

A precise report must be what holds at its instruction or trap. What the run told to be reported
(*ctype*) must be reported: imprecisely, or by a precise report at that very instruction.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from etrace.trace.fields import Fields, Values
from etrace.trace.stretch import TOLD

IMPRECISELY = 1


class _Wanted(NamedTuple):
    """What has to be reported: told with the instruction `position`."""

    position: int
    imprecisely: bool
    values: Values


class _Report(NamedTuple):
    """A row of `REPORT`."""

    position: int
    trap: int
    values: Values
    precise: bool

    def __str__(self) -> str:
        return f"{self.values}" if self.precise else f"{self.values} (imprecise)"


Found = tuple[int, str]


class Reporting:
    """Compares the reports of a trace with what a run told, as both come.

    `matched`: reports found right. Differences are pairs of an instruction's number and a text.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._reports: deque[_Report] = deque()
        self._wanted: deque[_Wanted] = deque()
        #: From what holds at the last report on.
        self._told = np.zeros(1, TOLD)
        self.matched = 0

    def add_reports(self, reports: npt.NDArray[np.void]) -> None:
        """Rows of `REPORT`, those after the ones before."""
        for position, trap, context, time, precise in reports.tolist():
            values = self._fields.cut(context, time)
            self._reports.append(_Report(position, trap, values, bool(precise)))

    def add_told(self, told: npt.NDArray[np.void]) -> None:
        """Rows of `TOLD`, those after the ones before."""
        if not len(told):
            return
        self._told = np.concatenate([self._told, told])
        for position, _, context, time, ctype in told[told["ctype"] != 0].tolist():
            values = self._fields.cut(context, time)
            self._wanted.append(_Wanted(position, ctype == IMPRECISELY, values))

    def skip(self, at: int, expected: tuple[int, int], actual: tuple[int, int]) -> None:
        """Instructions from instruction `at` on are left out on either side, rounds that the trace
        does not tell: how many, and how many went round. No precise report there is compared;
        imprecise ones still come in their order.
        """
        count, passed = actual
        self._reports = deque(
            each._replace(position=max(each.position - count, min(each.position, at)))
            for each in self._reports
            if not each.precise or not at <= each.position < at + passed
        )
        count, passed = expected
        self._wanted = deque(
            each._replace(position=max(each.position - count, min(each.position, at)))
            for each in self._wanted
            if each.imprecisely or not at <= each.position < at + passed
        )
        self._told = skipped(self._told, at, count)

    def compare(
        self, limit: int, traps: int, known: int, more: bool, last: bool = False
    ) -> Found | None:
        """The first difference in what is certain by now, if there is one.

        Instructions before `limit` and the first `traps` traps are equal on both sides. Of the
        trace, all reports before instruction `known` are there. `more`: the run may tell more.
        `last`: the trace has no more, and has to have all about the instructions before `limit`.
        """
        while self._reports:
            report = self._reports[0]
            if report.precise:
                if report.trap >= traps or (report.trap < 0 and report.position >= limit):
                    break
                found = self._precise(report)
            else:
                if self._wanted and self._wanted[0].position >= limit:
                    break
                if not self._wanted and more:
                    break
                found = self._imprecise(report)
            if found is not None:
                return found
            self._reports.popleft()
            self.matched += 1
        self._forget(limit)
        return self._overdue(limit, known, last)

    def _precise(self, report: _Report) -> Found | None:
        if self._wanted and self._wanted[0].position < report.position:
            return _missing(self._wanted[0])
        if report.trap < 0:
            row = int(np.searchsorted(self._told["position"], report.position, "right")) - 1
        else:
            row = int(np.searchsorted(self._told["traps"], report.trap, "right")) - 1
        holds = self._told[row]
        expected = self._fields.cut(int(holds["context"]), int(holds["time"]))
        if report.values != expected:
            where = "" if report.trap < 0 else "the trap before it reports "
            return report.position, f"{where}{report.values}, expected {expected}"
        while self._wanted and report.trap < 0 and self._wanted[0].position == report.position:
            self._wanted.popleft()
        return None

    def _imprecise(self, report: _Report) -> Found | None:
        if not self._wanted:
            return report.position, f"{report}, expected none"
        wanted = self._wanted[0]
        # A packet for the row itself may come before its report.
        if report.position > wanted.position + 1 or not wanted.imprecisely:
            return _missing(wanted)
        if report.values != wanted.values:
            return wanted.position, f"{report}, expected {wanted.values} (imprecise)"
        self._wanted.popleft()
        return None

    def _overdue(self, limit: int, known: int, last: bool) -> Found | None:
        """What should have been reported by now."""
        if not self._wanted:
            return None
        wanted = self._wanted[0]
        # The report is at the next instruction at the latest.
        due = (wanted.position + 1 < known or last) and wanted.position < limit
        if due and (not self._reports or self._reports[0].position > wanted.position + 1):
            return _missing(wanted)
        return None

    def _forget(self, limit: int) -> None:
        """What was told, as far as no later report can be about it."""
        first = min(limit, self._reports[0].position) if self._reports else limit
        row = int(np.searchsorted(self._told["position"], first, "left")) - 1
        self._told = self._told[max(row, 0) :]


def skipped(rows: npt.NDArray[np.void], at: int, count: int) -> npt.NDArray[np.void]:
    """`rows` where `count` instructions from instruction `at` on are left out: what was among them
    stands before the next."""
    rows = rows.copy()
    later = rows["position"] > at
    rows["position"][later] = np.maximum(rows["position"][later].astype(np.int64) - count, at)
    return rows


def _missing(wanted: _Wanted) -> Found:
    return wanted.position, f"no report of {wanted.values}"
