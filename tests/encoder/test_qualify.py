"""The qualifier against the independent model, row by row (docs/qualification.md)."""

import os
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from encoder.encoder import Encoder
from encoder.qualification.qualifier import Qualifier
from specs.interfaces.ingress import (
    BLOCK,
    HAS_CONTEXT,
    HAS_TIME,
    TRAP,
    UNKNOWN_SIZE,
    UNQUALIFIED,
    Chunk,
    IngressError,
)
from specs.isa.control import CodeMap
from tests import adapter
from tests.encoder.qualify_support import Seen, chunk, configuration, stream, wanted
from tests.model import adapter as model_adapter
from tests.model import filters as model
from tests.model.generate_context import random_context_trial, random_filtering
from tests.model.rows import Row
from tests.model.settings import Settings

TRIALS = int(os.environ.get("ETRACE_TRIALS", "150"))


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


def _chosen(filtering: model.Filtering, code: CodeMap | None = None) -> Qualifier:
    _, settings = random_context_trial(0)
    parameters = replace(settings.parameters, iaddress_width_p=32, iaddress_lsb_p=1)
    return Qualifier(configuration(filtering, parameters), code)


def _only(*comparators: model.Comparator) -> model.Filtering:
    return model.Filtering(1, (model.Filter(trTeFilterMatchComp1=True),), comparators)


def _blocks(*rows: tuple[int, int, int, int]) -> Chunk:
    """Blocks of (iaddr, iretire, ilastsize, ifirstsize), executed once each."""
    return Chunk(
        np.arange(len(rows), dtype=np.uint32) << np.uint32(4),
        np.array([(*row, 0, 3) for row in rows], BLOCK),
    )


def _left(chosen: Qualifier, whole: Chunk) -> list[tuple[int, int, int, int]]:
    """The blocks that are left."""
    found = []
    for each in chosen.feed(whole):
        for reference in each.refs[(each.refs & 15) == 0].tolist():
            block = each.blocks[reference >> 4]
            found.append(
                tuple(int(block[name]) for name in ("iaddr", "iretire", "ilastsize", "ifirstsize"))
            )
    return found


def test_a_block_of_unknown_instructions_is_one_unit() -> None:
    """All of it is traced if any instruction that it may have matches."""
    long = (0x100, 16, 1, UNKNOWN_SIZE)
    for low, high, traced in (
        (0x0F0, 0x0FF, False),
        (0x0F0, 0x100, True),
        (0x106, 0x107, True),
        (0x11C, 0x200, True),
        # behind the beginning of its last instruction
        (0x11E, 0x200, False),
    ):
        chosen = _chosen(_only(model.window(low, high)))
        assert _left(chosen, _blocks(long)) == [long] * traced, (low, high)


def test_two_instructions_need_no_program() -> None:
    chosen = _chosen(_only(model.window(0x102, 0x105)))
    assert _left(chosen, _blocks((0x100, 3, 1, 0))) == [(0x102, 2, 1, 1)]


def test_lengths_of_another_program_are_not_believed() -> None:
    """Code that was overwritten: the block is a unit."""
    code = CodeMap([(0x100, bytes.fromhex("13000000") * 4)], 32)
    matches = _only(model.window(0x104, 0x107))
    assert _left(_chosen(matches, code), _blocks((0x100, 8, 1, 1))) == [(0x104, 2, 1, 1)]
    for other in ((0x100, 7, 0, 1), (0x100, 8, 1, 0), (0x108, 8, 1, 1), (0x0FC, 6, 1, 1)):
        chosen = _chosen(_only(model.window(other[0], other[0] + 1)), code)
        assert _left(chosen, _blocks(other)) == [other]


def test_a_latch_within_a_unit() -> None:
    """Set and cleared in one block: that block alone."""
    chosen = _chosen(_only(model.start_stop(0x104, 0x108)))
    unit = (0x100, 16, 1, UNKNOWN_SIZE)
    assert _left(chosen, _blocks((0x80, 2, 1, 1), unit, (0x120, 2, 1, 1))) == [unit]
    chosen = _chosen(_only(model.start_stop(0x104, 0x200)))
    assert _left(chosen, _blocks(unit, (0x120, 2, 1, 1))) == [unit, (0x120, 2, 1, 1)]


def test_an_interrupt_of_unknown_place_is_nowhere() -> None:
    traps = np.array([(0x104, 0, 7, 3, valid) for valid in (0, 1)], TRAP)
    whole = Chunk(np.array([0x02, 0x12], np.uint32), traps=traps)
    for window, kept in ((model.window(0, 3), []), (model.window(0x104, 0x107), [0x12])):
        (left,) = _chosen(_only(window)).feed(whole)
        assert left.refs[left.refs & 15 == 2].tolist() == kept


@pytest.mark.parametrize("code", (0, 1, 2, 7))
def test_references_past_their_tables(code: int) -> None:
    chosen = _chosen(_only(model.window(0, 0x1000)))
    whole = _blocks((0x100, 2, 1, 1))
    whole.refs = np.array([0, 1 << 4 | code], np.uint32)
    with pytest.raises(IngressError, match="reference 1 of the chunk"):
        list(chosen.feed(whole))


def test_enormous_blocks_are_bounded_work() -> None:
    """Also where every other instruction matches."""
    rows = [(0x100 + 2 * n, 0xFFFF_FFFF, 1, UNKNOWN_SIZE) for n in range(100)]
    everywhere = model.Comparator(trTeCompPFunction=7, trTeCompPNotify=True)
    assert len(_left(_chosen(_only(everywhere)), _blocks(*rows))) == 100
    every_other = model.Comparator(trTeCompPMatch=2, trTeCompSFunction=6, trTeCompSMatch=2)
    assert len(_left(_chosen(_only(every_other)), _blocks(*rows[:20]))) == 20
    with pytest.raises(IngressError, match="into more than"):
        _left(_chosen(_only(every_other)), _blocks(*rows))


def test_a_table_that_changes_is_split_anew() -> None:
    """Whatever a source says of what is fresh: also where it says nothing."""
    chosen = _chosen(_only(model.window(0x100, 0x10F)))
    first = [(0x100, 2, 1, 1), (0x200, 2, 1, 1), (0x104, 2, 1, 1)]
    assert _left(chosen, _blocks(*first)) == [first[0], first[2]]
    other = [first[0], (0x108, 2, 1, 1)]
    assert _left(chosen, _blocks(*other)) == other
    assert _left(chosen, _blocks(*first, *other)) == [first[0], first[2], *other]


def test_fresh_blocks_are_marked_for_the_encoder() -> None:
    chosen = _chosen(_only(model.window(0x100, 0x10F)))
    rows = [(0x100, 2, 1, 1), (0x104, 2, 1, 1)]
    (first,) = chosen.feed(_blocks(*rows))
    assert (first.fresh, len(first.blocks)) == (0, 2)
    kept = first.blocks.copy()
    (second,) = chosen.feed(_blocks(*rows, (0x108, 2, 1, 1)))
    assert (second.fresh, len(second.blocks)) == (2, 3)
    assert (second.blocks[:2] == kept).all()


def test_context_and_time_are_not_lost_with_what_is_left_out() -> None:
    rows = [
        Row(True, 0x100, 4, 0, 3, context=1, time=5, ctype=1),
        Row(True, 0x200, 4, 0, 3, context=2, time=6, ctype=2),
        Row(True, 0x204, 4, 0, 3, context=2, time=9),
        Row(True, 0x104, 4, 0, 3, context=2, time=9),
    ]
    (left,) = _chosen(_only(model.window(0x100, 0x10F))).feed(chunk(rows))
    assert (left.refs & 15).tolist() == [7, 0, 7, 0]
    side = left.sidebands[1]
    assert (side["context"], side["time"], side["ctype"]) == (2, 9, 0)
    assert side["flags"] == UNQUALIFIED | HAS_CONTEXT | HAS_TIME
