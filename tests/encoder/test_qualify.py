"""The qualifier against the independent model, row by row (docs/qualification.md)."""

import os
from dataclasses import replace
from random import Random

import pytest

from encoder.qualify import Qualifier
from specs.isa.control import CodeMap
from tests.encoder.qualify_support import Seen, chunk, configuration, stream, wanted
from tests.model import filters as model
from tests.model.generate_context import random_context_trial, random_filtering
from tests.model.rows import Row

TRIALS = int(os.environ.get("ETRACE_TRIALS", "300"))


def _with_events(rng: Random, rows: list[Row]) -> list[Row]:
    """Rows with triggers, notifications, halts and resets."""
    often = rng.choice((0.0, 0.02, 0.2))
    return [
        replace(
            row,
            trigger=rng.choice((1, 2, 3)) if rng.random() < often else 0,
            notify=row.retired and rng.random() < often / 2,
            halted=rng.random() < often / 4,
            reset=rng.random() < often / 8,
        )
        for row in rows
    ]


def _filtering(rng: Random, rows: list[Row]) -> model.Filtering:
    filtering = random_filtering(rng, rows)
    return replace(
        filtering,
        trTeInstFilters=filtering.trTeInstFilters * (rng.random() < 0.9),
        trTeInstTracing=rng.random() < 0.8,
        trTeInstTrigEnable=rng.random() < 0.5,
        ecause_choice_p=rng.choice((2, 5, 6, 7)),
    )


def _same(have: list[Seen], want: list[Seen], seed: int) -> None:
    for at, (one, other) in enumerate(zip(have, want, strict=False)):
        # what broke the stretch first is said; a halt in a gap is part of the gap
        agree = bool(one.breaks) == bool(other.breaks) and replace(one, breaks=0) == replace(
            other, breaks=0
        )
        assert agree, f"seed {seed}, row {at}: {one}, expected {other}"
    assert len(have) == len(want), seed


@pytest.mark.parametrize("split", (False, True))
def test_what_is_qualified_is_what_the_model_says(split: bool) -> None:
    some = parts = 0
    for seed in range(TRIALS):
        case, settings = random_context_trial(seed)
        rng = Random(f"qualifier {seed} {split}")
        rows = _with_events(rng, case.rows)
        filtering = _filtering(rng, rows)
        chosen = configuration(filtering, settings.parameters)
        marked = model.qualify(rows, filtering, settings.parameters)
        whole = chunk(rows, rng if split else None)
        qualifier = Qualifier(chosen, CodeMap([case.image()], case.xlen))
        reader = stream(qualifier, [whole], case.program)
        want, broken = wanted(marked)
        _same(reader.rows, want, seed)
        assert not broken or reader.broken, seed
        some += 0 < len(want) < len(rows)
        parts += len(want)
    assert some > TRIALS // 4
