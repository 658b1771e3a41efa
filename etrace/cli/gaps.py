"""Gaps and loops of a decoded flow, told on standard error."""

from collections.abc import Iterator

import numpy as np

from etrace.cli import say
from etrace.trace.ending import CUT_SHORT
from etrace.trace.reasons import gap_text, loops_text
from etrace.trace.trace import Trace
from specs.interfaces.flow import Flow

_SHOWN = 20


def advise(trace: Trace) -> None:
    """Say what parameters or program would fit a trace better that makes little sense."""
    from etrace.checking.diagnosis import diagnose  # most traces need none

    if advice := diagnose(trace):
        say(f"{trace.name}: {advice}")


class GapReport:
    """Passes the flow of a trace on and reports its gaps: the first in full, then their number;
    and how many loops there are."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._name = trace.name
        self.count = 0
        self._loops = self._visits = 0
        self._edges = 0
        self._runs = 0
        #: Of the flow so far.
        self.instructions = 0

    def flows(self) -> Iterator[Flow]:
        """The flow of the trace, watched."""
        for flow in self._trace.flows():
            edges = self._trace.edges(flow)
            for gap in flow.gaps[: max(0, _SHOWN - self.count - self._edges)]:
                self.tell(gap)
            endless = int(np.count_nonzero(flow.loops["endless"]))
            self._loops += endless
            self._visits += len(flow.loops) - endless
            self._edges += edges
            self.count += len(flow.gaps) - edges
            self._runs += len(flow.runs)
            self.instructions += flow.instructions
            yield flow

    def tell(self, gap: np.void) -> None:
        """One line about a gap."""
        say(f"{self._name}: {gap_text(gap)}")

    def close(self) -> bool:
        """Say how many gaps were not shown, and what loops there were. True if the flow is whole
        and ended properly.

        That of a ring's dump may end anywhere.
        """
        if not self._runs:
            self.count += self._edges
        if self.count > _SHOWN:
            say(f"{self._name}: ... and {self.count - _SHOWN:,} more gaps")
        if self.count or not self._runs:
            advise(self._trace)
        if self._loops or self._visits:
            say(f"{self._name}: {loops_text(self._loops, self._visits)}")
        if not self.count and not self._trace.ended:
            say(f"{self._name}: {CUT_SHORT}")
        ended = self._trace.ended or (self._trace.seam is not None and self._runs > 0)
        return not self.count and ended
