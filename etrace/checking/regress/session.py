"""A whole run of cases: where they run, what is written, what came out."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from etrace.checking import reference
from etrace.checking.regress.manifest import Case
from etrace.checking.regress.outcome import Result, Status, Summary
from etrace.checking.regress.pool import Outcomes, run_here
from etrace.checking.regress.run import Finished
from etrace.errors import EtraceError, one_line

#: Seconds for a case that says nothing else.
TIMEOUT = 600.0


@dataclass(frozen=True, kw_only=True)
class How:
    """How cases are run. `jobs`: processes. `update`: write references that are new or changed.
    `timeout`: seconds for a case, 0 for any time. `scheduler`: of a Dask cluster, or `local`.
    """

    jobs: int = 1
    update: bool = False
    fail_fast: bool = False
    timeout: float = TIMEOUT
    scheduler: str | None = None


class Session:
    """Runs cases; `results` are there as far as it has come, also when it is interrupted."""

    def __init__(self, cases: Sequence[Case], how: How) -> None:
        self._cases = cases
        self._how = how
        self._results: dict[int, Result] = {}
        #: References written: what of them was.
        self._written: dict[str, bytes] = {}
        self._begun = time.monotonic()

    def run(self, tell: Callable[[Result], None]) -> Summary:
        """Run them all, or up to the first failure; `tell` gets each result as it comes.

        Raises `EtraceError` if a reference cannot be written, or there is no such cluster.
        """
        how = self._how
        if how.scheduler is None:
            running: Outcomes = run_here(self._cases, how.jobs, how.update, how.timeout)
        else:
            from etrace.checking.regress.cluster import run_there

            running = run_there(self._cases, how.scheduler, how.jobs, how.update, how.timeout)
        with closing(running):
            for number, finished in running:
                result = self._kept(self._cases[number], finished)
                self._results[number] = result
                tell(result)
                if how.fail_fast and not result.ok:
                    break
        return self.summary

    @property
    def summary(self) -> Summary:
        """What there is so far, in the order of the manifests."""
        results = tuple(self._results[number] for number in sorted(self._results))
        return Summary(results, time.monotonic() - self._begun)

    def _kept(self, case: Case, finished: Finished) -> Result:
        """Write the reference of a case, if it has a new one."""
        result, data = finished.result, finished.reference
        if data is None or case.reference is None:
            return result
        before = self._written.get(case.reference)
        if before is not None:
            if reference.same_flow(before, data):
                return replace(result, status=Status.PASSED, reason="", text="")
            reason = f"another flow than another case has written to {case.reference}"
            return replace(result, status=Status.FAILED, reason=reason)
        try:
            reference.store(data, case.reference)
        except EtraceError as error:
            return replace(result, status=Status.ERROR, reason=one_line(error))
        self._written[case.reference] = data
        return result
