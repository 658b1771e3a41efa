"""The product against the model on random programs and event streams: same bytes, same flow, with
`loops` and `ambiguous` in all four settings."""

import os
from random import Random

import pytest

from tests import adapter
from tests.model import adapter as model
from tests.model import rows
from tests.model.framing import FramingError
from tests.model.generate import random_trial
from tests.model.settings import beyond_the_letter
from tests.test_product_modes import is_ambiguous

#: How many programs; `make soak` sets more.
TRIALS = int(os.environ.get("ETRACE_TRIALS", "1600"))
_STEP = 100


def _same(seed: int) -> int:
    """Check one program; the number of its rows, or 0 if its packets are too long to frame."""
    case, settings = random_trial(seed)
    settings = beyond_the_letter(settings, seed)
    try:
        expected = model.encode(case.rows, settings)
    except FramingError:
        return 0
    one_at_a_time = adapter.encode(case.rows, settings)
    assert one_at_a_time == expected, f"seed {seed}: {_first_difference(one_at_a_time, expected)}"
    in_blocks = adapter.encode(case.rows, settings, Random(seed))
    assert in_blocks == expected, f"seed {seed}, blocks: {_first_difference(in_blocks, expected)}"
    if is_ambiguous(case, settings, expected):
        return len(case.rows)
    decoded = adapter.decode(expected, settings, [case.image()], case.xlen)
    difference = rows.difference(rows.outcomes(case.rows), decoded)
    assert difference is None, f"seed {seed}: {difference}"
    return len(case.rows)


def _first_difference(have: bytes, want: bytes) -> str:
    offset = next((i for i, pair in enumerate(zip(have, want, strict=False)) if len(set(pair)) > 1))
    return f"byte {offset} of {len(have)} and {len(want)}"


@pytest.mark.parametrize("first", range(0, TRIALS, _STEP))
def test_same_bytes_and_same_flow(first: int) -> None:
    """`_STEP` random programs, with random parameters, resynchronisation and modes."""
    assert sum(_same(seed) for seed in range(first, first + _STEP)) > 0
