"""The qualifier against the independent model, row by row (docs/qualification.md)."""

import os
from dataclasses import replace
from random import Random

import pytest

from encoder.encoder import Encoder
from encoder.qualify import Qualifier
from specs.ingress import UNQUALIFIED, Chunk
from specs.isa.control import CodeMap
from tests import adapter
from tests.encoder.qualify_support import Seen, chunk, configuration, stream, wanted
from tests.model import adapter as model_adapter
from tests.model import filters as model
from tests.model.generate_context import random_context_trial, random_filtering
from tests.model.rows import Row
from tests.model.settings import Settings

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
    some = 0
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
    assert some > TRIALS // 4


def _bytes(chosen: Qualifier, settings: Settings, whole: Chunk) -> bytes:
    """What the product's encoder makes of what is qualified."""
    encoder = Encoder(adapter.configuration(settings))
    parts = [encoder.feed(each) for each in chosen.feed(whole)]
    return b"".join(parts) + encoder.finish()


@pytest.mark.parametrize("split", (False, True))
def test_filtered_bytes_are_those_of_the_model(split: bool) -> None:
    """Stretches, qual_status and notifications included, in all modes."""
    ended = set()
    for seed in range(TRIALS):
        case, settings = random_context_trial(seed)
        settings = adapter.expressible(replace(settings, most_branches=0xFFFF_FFFF))
        rng = Random(f"bytes {seed} {split}")
        rows = _with_events(rng, case.rows)
        filtering = _filtering(rng, rows)
        expected = model_adapter.encode(
            model.qualify(rows, filtering, settings.parameters), settings
        )
        base = adapter.configuration(settings)
        qualifier = Qualifier(
            configuration(filtering, settings.parameters, base),
            CodeMap([case.image()], case.xlen),
        )
        assert _bytes(qualifier, settings, chunk(rows, rng if split else None)) == expected, seed
        for packet in model_adapter.packets(expected, settings):
            if (packet["format"], packet.get("subformat")) == (3, 3):
                ended.add((packet["ienable"], packet["qual_status"]))
    assert len(ended) >= 4


@pytest.mark.parametrize("pieces", (1, 7))
def test_chunks_may_be_cut_anywhere(pieces: int) -> None:
    """Also between a side band and its reference, and with tables that grow or are new."""
    for seed in range(TRIALS // 4):
        case, settings = random_context_trial(seed)
        rng = Random(f"cut {seed} {pieces}")
        rows = _with_events(rng, case.rows)
        filtering = _filtering(rng, rows)
        chosen = configuration(filtering, settings.parameters)
        code = CodeMap([case.image()], case.xlen)
        whole = chunk(rows, rng)
        together = stream(Qualifier(chosen, code), [whole], case.program)
        cut = []
        for begin in range(0, len(whole.refs), pieces):
            refs = whole.refs[begin : begin + pieces]
            blocks = refs[(refs & 15 != 1) & (refs & 15 != 2) & (refs & 15 != 7)] >> 4
            rows_needed = int(blocks.max()) + 1 if len(blocks) else 0
            table = whole.blocks[: rng.choice((rows_needed, len(whole.blocks)))]
            cut.append(Chunk(refs, table, whole.traps, whole.sidebands))
        apart = stream(Qualifier(chosen, code), cut, case.program)
        assert apart.rows == together.rows, seed
        assert bool(apart.broken) == bool(together.broken)


def test_the_end_of_a_stretch_is_said_at_once() -> None:
    """Behind the last qualified reference, not only when tracing goes on; and once."""
    rows = [Row(True, 0x100 + 4 * n, 4, 0, 3) for n in (0, 1, 2, 3, 4)]
    filtering = model.Filtering(
        1,
        (model.Filter(trTeFilterMatchComp1=True),),
        (model.window(0x104, 0x107),),
    )
    _, settings = random_context_trial(0)
    qualifier = Qualifier(configuration(filtering, settings.parameters))
    (left,) = qualifier.feed(chunk(rows))
    codes = (left.refs & 15).tolist()
    assert codes == [7, 0, 7]
    assert left.sidebands["flags"].tolist() == [UNQUALIFIED, UNQUALIFIED]
    assert list(qualifier.feed(chunk(rows[2:]))) == []
