"""Differences in words."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from etrace.trace.outcome import Difference
from etrace.trace.stretch import UNKNOWN_PRIV
from specs.isa.causes import cause_name
from specs.isa.privilege import letters


def trap_difference(expected: npt.NDArray[np.void], actual: npt.NDArray[np.void]) -> str:
    if not len(actual) or (len(expected) and expected["position"][0] < actual["position"][0]):
        return f"no trap, expected {trap_text(expected[0])}"
    if not len(expected) or actual["position"][0] < expected["position"][0]:
        return f"{trap_text(actual[0])}, expected none"
    return f"{trap_text(actual[0])}, expected {trap_text(expected[0])}"


def trap_text(trap: np.void) -> str:
    """A trap (`EVENT`) in words."""
    interrupt, cause = bool(trap["interrupt"]), int(trap["cause"])
    kind = "interrupt" if interrupt else "exception"
    epc = f"{int(trap['epc']):#x}" if trap["epc_known"] else "unknown"
    value = "" if interrupt else f", tval {int(trap['tval']):#x}"
    priv = "" if trap["priv"] == UNKNOWN_PRIV else f", from {letters(int(trap['priv']))}"
    return f"{kind} {cause} ({cause_name(cause, interrupt)}) at {epc}{value}{priv}"


def difference_lines(difference: Difference, line: Callable[[int], str]) -> list[str]:
    """The difference with the instructions around it; `line` describes the one at an address."""
    first = difference.position - len(difference.before)
    lines = [f"instruction {difference.position}: {difference.what}"]
    lines += [f"  {first + n:>10}   {line(pc)}" for n, pc in enumerate(difference.before)]
    for sign, pcs in (("-", difference.expected), ("+", difference.actual)):
        lines += [f"  {difference.position + n:>10} {sign} {line(pc)}" for n, pc in enumerate(pcs)]
    lines.append("  (- expected, + this trace)")
    return lines
