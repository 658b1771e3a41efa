"""Gaps of a decoded flow, told on standard error as they come."""

from collections.abc import Iterator

import numpy as np

from etrace.cli import say
from etrace.ending import CUT_SHORT, Ending
from etrace.flowtext import gap_text
from etrace.trace import Trace
from specs.flow import Flow

_SHOWN = 20


class GapReport:
    """Passes the flow of a trace on and reports its gaps: the first in full, then their number."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._name = trace.name
        self._ending = Ending(trace.configuration)
        self.count = 0
        #: Of the flow so far.
        self.instructions = 0

    def flows(self) -> Iterator[Flow]:
        """The flow of the trace, watched."""
        for flow in self._trace.flows(self._ending):
            for gap in flow.gaps[: max(0, _SHOWN - self.count)]:
                self.tell(gap)
            self.count += len(flow.gaps)
            self.instructions += flow.instructions
            yield flow

    def tell(self, gap: np.void) -> None:
        """One line about a gap."""
        say(f"{self._name}: {gap_text(gap)}")

    def close(self) -> bool:
        """Say how many gaps were not shown. True if the flow is whole and ended properly."""
        if self.count > _SHOWN:
            say(f"{self._name}: ... and {self.count - _SHOWN:,} more gaps")
        if not self.count and not self._ending.proper:
            say(f"{self._name}: {CUT_SHORT}")
        return not self.count and self._ending.proper
