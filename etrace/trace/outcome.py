"""What a trace was found to be: the outcome of `Trace.verify`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Difference:
    """The first difference: the number of instructions before it, what it is, and its surroundings.

    `before`: pcs common to both; `expected`, `actual`: pcs that follow on either side. `packet`,
    `offset`: of a difference in pauses, the packet before or at which to look.
    """

    position: int
    what: str
    before: list[int]
    expected: list[int]
    actual: list[int]
    packet: int | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Instructions, traps, pauses, `reports` of context and time found equal; the first difference.

    `loops`: places where the trace does not tell how many rounds there were; `rounds`: how many
    more than the trace shows `expected` has there.
    `actual_ended`, `expected_ended`: which side ended first, when there is no difference.
    """

    instructions: int
    traps: int
    difference: Difference | None
    actual_ended: bool
    expected_ended: bool
    reports: int = 0
    pauses: int = 0
    loops: int = 0
    rounds: int = 0


@dataclass(frozen=True)
class Verification:
    """The outcome of comparing a trace. `same`: equal up to its proper end, without gaps.

    `remark`: how the longer side goes on, or nothing. `cut_short`: the trace has no proper end.
    `hart`: of several, the first that is not the same.
    """

    instructions: int
    traps: int
    comparison: Comparison
    gaps: npt.NDArray[np.void]
    remark: str
    same: bool
    cut_short: bool = False
    hart: int | None = None
