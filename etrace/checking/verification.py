"""A trace against a rerun of its program, or against a pc trace: `Trace.verify`."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from etrace.checking.comparison import compare
from etrace.checking.diff.compare import diff
from etrace.checking.diff.outcome import What
from etrace.errors import InputError
from etrace.recording.beside import Beside
from etrace.sources.logs import open_log
from etrace.sources.logs.text import Log
from etrace.trace.ending import CUT_SHORT
from etrace.trace.fields import Fields
from etrace.trace.header import Header
from etrace.trace.outcome import Comparison, Difference, Verification
from etrace.trace.stretch import Stretch, flow_stretches
from etrace.trace.trace import Trace
from specs.interfaces.flow import Flow

#: What a remark goes on with.
_CUT_SHORT = " (no end-of-trace packet: the recording was cut short)"


def verify(trace: Trace, against: str | None, semihosting: Path | None = None) -> Verification:
    """See `Trace.verify`."""
    sides = trace.each_hart()
    if len(sides) > 1:
        if against is not None:
            raise InputError(
                f"{trace.name}: has {len(sides)} harts, and a pc trace is of one; choose it with "
                "--hart N"
            )
        return _of_all([verify(each, None, semihosting) for each in sides])
    log = None if against is None else open_log(against, trace.header.xlen)
    if log is not None and not log.traps_told:
        return _by_instructions(trace, log)
    flow = _UpToGap(trace)
    width = trace.configuration.parameters.iaddress_width_p
    expected = _rerun(trace, semihosting) if log is None else log.stretches
    with closing(Beside("decoder", trace.configuration, trace.header.xlen)) as beside:
        comparison = compare(
            expected,
            flow_stretches(flow.flows(beside), lambda runs: trace.pcs(Flow(runs))),
            trace.code.map,
            (1 << min(width, trace.header.xlen)) - 1,
            None if against is not None else Fields.of(trace.configuration),
            pauses=against is None or _traces_everything(trace.header),
            complete=flow.complete,
        )
    other = "the pc trace" if against is not None else "the program"
    remark, same = "", comparison.difference is None and not len(flow.gaps)
    cut_short = same and comparison.actual_ended and not flow.ended
    if same and not comparison.actual_ended:
        remark, same = f"the trace goes on where {other} ends", False
    elif same and not comparison.expected_ended:
        same = against is None
        remark = f"the trace ends here, {other} goes on"
    if cut_short:
        same = False
        remark += _CUT_SHORT if remark else CUT_SHORT
    return Verification(
        comparison.instructions, comparison.traps, comparison, flow.gaps, remark, same, cut_short
    )


def _of_all(results: list[Verification]) -> Verification:
    """Of several harts: the first one that is not the same, or all together."""
    for number, result in enumerate(results):
        if not result.same:
            return replace(result, hart=number)
    names = ("instructions", "traps", "reports", "pauses", "loops", "rounds")
    sums = {name: sum(getattr(each.comparison, name) for each in results) for name in names}
    comparison = replace(results[0].comparison, **sums)
    return replace(
        results[0],
        instructions=sums["instructions"],
        traps=sums["traps"],
        comparison=comparison,
    )


def _traces_everything(header: Header) -> bool:
    """Whether a trace of this kind never pauses."""
    asynchronous = header.sideband is not None and header.sideband.context_csr is not None
    return header.source == "record" and header.configuration.filters.idle and not asynchronous


class _UpToGap:
    """The flow of a trace up to the first gap."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.gaps = Flow().gaps

    @property
    def ended(self) -> bool:
        """Tracing ended properly."""
        return self._trace.ended

    def complete(self, whole: bool) -> bool:
        """Whether the flow, which has ended, has all reports. `whole`: it has all instructions."""
        return not len(self.gaps) and (whole or self.ended)

    def flows(self, beside: Beside) -> Iterator[Flow]:
        """The flow, when the decoder's kernels are there."""
        beside.wait()
        for flow in self._trace.flows():
            if len(flow.gaps):
                self.gaps = flow.gaps[:1]
                runs = int(self.gaps["run"][0]) - flow.first_run
                contexts, pauses, loops = (
                    table[table["run"] < self.gaps["run"][0]]
                    for table in (flow.contexts, flow.pauses, flow.loops)
                )
                # A trap told before the gap happened before it, and behind the runs before it.
                traps = flow.traps[flow.traps["packet"] < self.gaps["packet"][0]]
                yield Flow(
                    flow.runs[:runs],
                    traps,
                    contexts,
                    first_run=flow.first_run,
                    pauses=pauses,
                    loops=loops,
                )
                return
            yield flow


def _by_instructions(trace: Trace, log: Log) -> Verification:
    """Against a log that tells no traps: what executed is compared, as by `etrace diff`."""
    found = diff(log, trace)
    gaps, difference, remark = Flow().gaps, None, ""
    if found.divergences:
        first = found.divergences[0]
        if first.what == What.GAP:
            gaps = next((flow.gaps[:1] for flow in trace.flows() if len(flow.gaps)), gaps)
        elif first.what == What.END:
            sides = (log.name, "the trace")
            ends, on = sides if first.a.ended else reversed(sides)
            remark = f"{ends} ends here, {on} goes on"
        else:
            difference = Difference(
                first.instruction,
                first.text.replace("in A", "in the log").replace("in B", "in the trace"),
                [],
                list(first.a.pcs),
                list(first.b.pcs),
                first.b.packet,
                first.b.offset,
            )
    ended = bool(found.divergences) and found.divergences[0].b.ended
    comparison = Comparison(found.instructions, found.traps, difference, ended or found.same, True)
    cut_short = (found.same or (bool(remark) and ended)) and not trace.ended
    if cut_short:
        remark += _CUT_SHORT if remark else CUT_SHORT
    return Verification(
        found.instructions,
        found.traps,
        comparison,
        gaps,
        remark,
        found.same and not cut_short,
        cut_short,
    )


def _rerun(trace: Trace, semihosting: Path | None) -> Iterator[Stretch]:
    if trace.header.source != "record" or not trace.code.programs:
        raise InputError(
            f"{trace.name}: not recorded from a program, so it cannot be run again; "
            "compare with --against PC_TRACE.csv"
        )
    from etrace.recording.recorder import new_machine, qualifier
    from etrace.sources import rerun

    record = True if trace.hart is None else (trace.hart,)
    machine = new_machine(trace.code, trace.header, semihosting=semihosting, record=record)
    return rerun.stretches(
        machine,
        trace.header.max_instructions,
        trace.code.map,
        qualifier(trace.configuration, trace.code),
    )
