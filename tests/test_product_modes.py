"""The product against the model with the optional modes, protocols 2.0 and 2.1, with `loops` and
`ambiguous` in all four settings."""

import os
from dataclasses import replace

import pytest

from tests import adapter
from tests.model import adapter as model
from tests.model import rows
from tests.model.framing import FramingError
from tests.model.generate import Case
from tests.model.generate_modes import MODES, random_modes_trial, random_update_trial
from tests.model.settings import Settings, beyond_the_letter

#: How many programs for each choice of modes; `make soak` sets more.
TRIALS = int(os.environ.get("ETRACE_MODES_TRIALS", "150"))
_STEP = 150

_TRIALS = {"2.0": random_modes_trial, "2.1": random_update_trial}
#: Modes that are on, by name; None: any of them.
CHOICES: dict[str, tuple[str, ...] | None] = {mode: (mode,) for mode in MODES}
CHOICES |= {"all": MODES, "any": None}


def encoded(protocol: str, seed: int, choice: str) -> tuple[Case, Settings, bytes] | None:
    """A trial and the model's trace of it; None if its packets are too long to frame."""
    case, settings = _TRIALS[protocol](seed, CHOICES[choice])
    settings = beyond_the_letter(adapter.expressible(settings), seed)
    try:
        return case, settings, model.encode(case.rows, settings)
    except FramingError:
        return None


def is_ambiguous(case: Case, settings: Settings, data: bytes) -> bool:
    """Whether `data` leaves out packets without which a decoder cannot know what happened."""
    if settings.exact_visits:
        return False
    return data != model.encode(case.rows, replace(settings, exact_visits=True))


def decodes(protocol: str, seed: int, choice: str) -> int:
    """Decode the model's trace of a trial; the number of its rows, 0 if it has none."""
    trial = encoded(protocol, seed, choice)
    if trial is None:
        return 0
    case, settings, data = trial
    if is_ambiguous(case, settings, data):
        return len(case.rows)
    found = adapter.decode(data, settings, [case.image()], case.xlen)
    difference = rows.difference(rows.outcomes(case.rows), found)
    assert difference is None, f"{protocol} {choice} seed {seed}: {difference}"
    return len(case.rows)


@pytest.mark.parametrize("first", range(0, TRIALS, _STEP))
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("protocol", _TRIALS)
def test_decode(protocol: str, choice: str, first: int) -> None:
    """What the model encodes, the product decodes."""
    assert sum(decodes(protocol, seed, choice) for seed in range(first, first + _STEP)) > 0
