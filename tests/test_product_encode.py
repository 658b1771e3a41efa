"""The product's encoder against the model's, with everything that the specification makes optional:
modes in both protocols, context and time, gaps in qualification, lost packets; `loops` and
`ambiguous` in all four settings. Same bytes."""

import os
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from tests import adapter
from tests.model import adapter as model
from tests.model.framing import FramingError
from tests.model.generate import Case
from tests.model.generate_context import (
    random_context_trial,
    random_loss_trial,
    random_qualification_trial,
)
from tests.model.generate_modes import MODES, random_modes_trial, random_update_trial
from tests.model.settings import Settings, beyond_the_letter

#: How many programs of each kind; `make soak` sets more.
TRIALS = int(os.environ.get("ETRACE_MODES_TRIALS", "150"))
_STEP = 50

Trial = Callable[[int], tuple[Case, Settings]]

KINDS: dict[str, Trial] = {mode: partial(random_modes_trial, modes=(mode,)) for mode in MODES} | {
    "all modes": partial(random_modes_trial, modes=MODES),
    "any modes": random_modes_trial,
    "2.1, implicit return": partial(random_update_trial, modes=("implicit_return",)),
    "2.1, all modes": partial(random_update_trial, modes=MODES),
    "2.1, any modes": random_update_trial,
    "context and time": random_context_trial,
    "qualification": random_qualification_trial,
    "loss": random_loss_trial,
}


def _same(kind: str, seed: int) -> int:
    """Check one program; the number of its rows, or 0 if its packets are too long to frame."""
    case, settings = KINDS[kind](seed)
    settings = beyond_the_letter(adapter.expressible(settings), seed)
    try:
        expected = model.encode(case.rows, settings)
    except FramingError:
        return 0
    assert adapter.encode(case.rows, settings) == expected, f"{kind}, seed {seed}"
    in_blocks = adapter.encode(case.rows, settings, Random(seed))
    assert in_blocks == expected, f"{kind}, seed {seed}, in blocks"
    by_flow_chart = adapter.encode(case.rows, settings, Random(seed), plain=False)
    assert by_flow_chart == expected, f"{kind}, seed {seed}, by the flow chart alone"
    return len(case.rows)


@pytest.mark.parametrize("first", range(0, TRIALS, _STEP))
@pytest.mark.parametrize("kind", KINDS)
def test_same_bytes(kind: str, first: int) -> None:
    """`_STEP` random programs: each row a block of its own; in random blocks; and those without the
    short cut for plain stretches."""
    assert sum(_same(kind, seed) for seed in range(first, first + _STEP)) > 0


@pytest.mark.parametrize(("kind", "seed"), [("context and time", 7180)])
def test_what_long_runs_have_found(kind: str, seed: int) -> None:
    """Seeds of `make soak` that once gave other bytes."""
    assert _same(kind, seed) > 0
