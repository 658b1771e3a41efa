"""Filters, comparators and triggers in the model: docs/qualification.md, "What is qualified"."""

from dataclasses import replace
from random import Random

import pytest

from tests.model import decoder, encoder, stretches
from tests.model.filters import (
    ALWAYS,
    BOTH,
    CONTEXT,
    DADDR,
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    NOT_BOTH,
    NOT_EQUAL,
    SPECIAL,
    TVAL,
    Comparator,
    Filter,
    Filtering,
    qualify,
    start_stop,
    window,
)
from tests.model.generate_context import random_context_trial, random_filtering
from tests.model.rows import TRAP_RETURN, TRIGGER_OFF, TRIGGER_ON, Row, trap
from tests.model.settings import Parameters

P = Parameters(iaddress_width_p=32, context_width_p=8, ecause_width_p=6)


def retired(iaddr: int, itype: int = 0, priv: int = 3, context: int = 0) -> Row:
    return Row(True, iaddr, 4, itype, priv, context=context)


def traced(rows: list[Row], filtering: Filtering) -> list[int]:
    """Numbers of the qualified rows."""
    return [at for at, row in enumerate(qualify(rows, filtering, P)) if row.qualified]


def by_comparator(rows: list[Row], fields: Comparator) -> list[int]:
    comparing = Filter(trTeFilterMatchComp2=True, trTeFilterComp2=1)
    return traced(rows, Filtering(1, (comparing,), (Comparator(), fields)))


ROWS = [retired(address) for address in (0, 4, 8, 12, 16, 20, 8, 24)]


@pytest.mark.parametrize(
    ("function", "wanted"),
    (
        (EQUAL, [2, 6]),
        (NOT_EQUAL, [0, 1, 3, 4, 5, 7]),
        (LESS, [0, 1]),
        (LESS_EQUAL, [0, 1, 2, 6]),
        (GREATER, [3, 4, 5, 7]),
        (GREATER_EQUAL, [2, 3, 4, 5, 6, 7]),
        (SPECIAL, []),
        (ALWAYS, [0, 1, 2, 3, 4, 5, 6, 7]),
    ),
)
def test_functions(function: int, wanted: list[int]) -> None:
    fields = Comparator(trTeCompPFunction=function, trTeCompPMatch=8)
    assert by_comparator(ROWS, fields) == wanted
    secondary = Comparator(
        trTeCompPFunction=ALWAYS,
        trTeCompSFunction=function,
        trTeCompSMatch=8,
        trTeCompMatchMode=BOTH,
    )
    everything = list(range(8))
    assert by_comparator(ROWS, secondary) == (everything if function == SPECIAL else wanted)
    rest = [at for at in everything if at not in wanted]
    negated = replace(secondary, trTeCompMatchMode=NOT_BOTH)
    assert by_comparator(ROWS, negated) == ([] if function == SPECIAL else rest)


def test_mask() -> None:
    fields = Comparator(trTeCompPMatch=0x1C, trTeCompSFunction=SPECIAL, trTeCompSMatch=0xC)
    assert by_comparator(ROWS, fields) == [3]
    fields = replace(fields, trTeCompPFunction=GREATER_EQUAL, trTeCompPMatch=8)
    assert by_comparator(ROWS, fields) == [2, 3, 6, 7]


def test_widths() -> None:
    """More bits in the match value than the input has are ignored."""
    assert by_comparator(ROWS, Comparator(trTeCompPMatch=(1 << 32) + 4)) == [1]
    rows = [retired(0, context=context) for context in (0, 5, 6)]
    fields = Comparator(trTeCompPInput=CONTEXT, trTeCompPMatch=0x105)
    assert by_comparator(rows, fields) == [1]


def test_latch() -> None:
    assert by_comparator(ROWS, start_stop(4, 12)) == [1, 2, 3]
    assert by_comparator(ROWS, start_stop(8, 16)) == [2, 3, 4, 6, 7]
    assert by_comparator(ROWS, start_stop(8, 8)) == [2, 6]
    primed = replace(start_stop(0, 12), trTeCompPFunction=SPECIAL)
    assert by_comparator(ROWS, primed) == [0, 1, 2, 3]
    assert by_comparator(ROWS, window(8, 16)) == [2, 3, 4, 6]


def test_filters_are_alternatives_and_their_conditions_are_not() -> None:
    comparators = (window(4, 12), window(12, 20))
    first = Filter(trTeFilterMatchComp1=True, trTeFilterComp1=0)
    second = Filter(trTeFilterMatchComp3=True, trTeFilterComp3=1)
    both = Filter(trTeFilterMatchComp1=True, trTeFilterMatchComp2=True, trTeFilterComp2=1)
    filters = (first, second, both)
    assert traced(ROWS, Filtering(0b011, filters, comparators)) == [1, 2, 3, 4, 5, 6]
    assert traced(ROWS, Filtering(0b100, filters, comparators)) == [3]
    assert traced(ROWS, Filtering(0, filters, comparators)) == list(range(8))
    disabled = tuple(replace(each, trTeFilterEnable=False) for each in filters)
    assert traced(ROWS, Filtering(0b111, disabled, comparators)) == []


def test_privilege() -> None:
    rows = [retired(0, priv=0), trap(4, 0, 8), retired(64), retired(68, 3), retired(4, priv=1)]
    only = Filter(trTeFilterMatchPrivilege=True, trTeFilterMatchChoicePrivilege=0b11)
    assert traced(rows, Filtering(1, (only,))) == [0, 1, 4]


def excursion(*inner: Row) -> list[Row]:
    """A handler of an exception with cause 8, with `inner` in the middle."""
    return [
        retired(0),
        trap(4, 0, 8, tval=0x40),
        retired(64),
        *inner,
        retired(68, TRAP_RETURN),
        retired(4),
    ]


NESTED = [trap(68, 3, 11, interrupt=True), retired(96), retired(100, TRAP_RETURN)]
ECAUSE_8 = Filter(trTeFilterMatchEcause=True, trTeFilterMatchChoiceEcause=1 << 8)


def test_a_handler_until_its_return() -> None:
    assert traced(excursion(), Filtering(1, (ECAUSE_8,))) == [1, 2, 3]
    assert traced(excursion(*NESTED), Filtering(1, (ECAUSE_8,))) == [1, 2, 3, 4, 5, 6]
    other = replace(ECAUSE_8, trTeFilterMatchChoiceEcause=1 << 11)
    assert traced(excursion(*NESTED), Filtering(1, (other,))) == [3, 4, 5]
    assert traced(excursion(), Filtering(1, (ECAUSE_8,), ecause_choice_p=3)) == []


def test_the_count_of_nested_traps_saturates() -> None:
    deeper = [NESTED[0], NESTED[1], *NESTED, NESTED[2]]
    rows = excursion(*deeper)
    assert traced(rows, Filtering(1, (ECAUSE_8,), filter_excint_p=1)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert traced(rows, Filtering(1, (ECAUSE_8,), filter_excint_p=2)) == list(range(1, 10))


def test_interrupts_and_exceptions() -> None:
    interrupts = Filter(trTeFilterMatchInterrupt=True, trTeFilterMatchValueInterrupt=1)
    exceptions = replace(interrupts, trTeFilterMatchValueInterrupt=0)
    assert traced(excursion(*NESTED), Filtering(1, (interrupts,))) == [3, 4, 5]
    assert traced(excursion(*NESTED), Filtering(1, (exceptions,))) == [1, 2, 3, 4, 5, 6]
    neither = replace(interrupts, trTeFilterMatchEcause=True, trTeFilterMatchChoiceEcause=1 << 8)
    assert traced(excursion(*NESTED), Filtering(1, (neither,))) == []


def test_tval() -> None:
    """Of the trap that begins it, in a filter of traps; else of each exception alone."""
    at_40 = Comparator(trTeCompPInput=TVAL, trTeCompPMatch=0x40)
    handler = replace(ECAUSE_8, trTeFilterMatchComp1=True)
    page_fault = [trap(68, 3, 13, tval=0x80), retired(96), retired(100, TRAP_RETURN)]
    rows = excursion(*page_fault)
    assert traced(rows, Filtering(1, (handler,), (at_40,))) == [1, 2, 3, 4, 5, 6]
    at_80 = replace(at_40, trTeCompPMatch=0x80)
    assert traced(rows, Filtering(1, (handler,), (at_80,))) == []
    assert by_comparator(rows, at_40) == [1]
    assert by_comparator(rows, replace(at_40, trTeCompPFunction=NOT_EQUAL)) == [3]
    with_address = replace(handler, trTeFilterMatchComp2=True, trTeFilterComp2=1)
    comparators = (at_40, window(64, 71))
    assert traced(rows, Filtering(1, (with_address,), comparators)) == [2, 3, 6]


def test_notify() -> None:
    comparators = (
        Comparator(trTeCompPMatch=8, trTeCompPNotify=True),
        Comparator(
            trTeCompPInput=CONTEXT,
            trTeCompPFunction=ALWAYS,
            trTeCompPNotify=True,
            trTeCompSFunction=EQUAL,
            trTeCompSMatch=20,
            trTeCompSNotify=True,
        ),
    )
    rows = [*ROWS, trap(8, 3, 5)]
    marked = qualify(rows, Filtering(comparators=comparators), P)
    assert [at for at, row in enumerate(marked) if row.notify] == [2, 5, 6]
    assert all(row.qualified for row in marked)


def test_triggers() -> None:
    on, off = TRIGGER_ON, TRIGGER_OFF

    def by_triggers(*triggers: int, tracing: bool, enabled: bool = True) -> list[int]:
        rows = [replace(row, trigger=each) for row, each in zip(ROWS, triggers, strict=False)]
        filtering = Filtering(trTeInstTracing=tracing, trTeInstTrigEnable=enabled)
        return traced(rows, filtering)

    assert by_triggers(0, on, 0, off, 0, tracing=False) == [1, 2, 3]
    assert by_triggers(0, off, on, 0, tracing=True) == [0, 1, 2, 3]
    assert by_triggers(0, on | off, 0, tracing=False) == [1]
    assert by_triggers(0, on | off, 0, tracing=True) == [0, 1]
    assert by_triggers(0, on, 0, tracing=False, enabled=False) == []


def test_what_there_is_not() -> None:
    with pytest.raises(ValueError, match="daddr"):
        Comparator(trTeCompSInput=DADDR)
    with pytest.raises(ValueError, match="a filter that there is not"):
        Filtering(trTeInstFilters=1)
    with pytest.raises(ValueError, match="a comparator that there is not"):
        Filtering(1, (Filter(trTeFilterMatchComp1=True),))
    with pytest.raises(ValueError, match="filter_excint_p"):
        Filtering(1, (ECAUSE_8,), filter_excint_p=0)


def test_filtered_traces_decode() -> None:
    """Random programs through random filters: every qualified row, and no other."""
    some = 0
    for seed in range(100):
        case, settings = random_context_trial(seed)
        filtering = random_filtering(Random(f"filters {seed}"), case.rows)
        rows = qualify(case.rows, filtering, settings.parameters)
        traced = encoder.traced(rows, settings)
        wanted = [at for at, row in enumerate(rows) if row.qualified]
        numbers = [at for each in traced.stretches for at in range(each.first, each.end)]
        assert numbers == wanted, seed
        decoded = decoder.Decoder(case.program, settings, case.xlen)
        for packet in traced.packets:
            decoded.process(packet)
        assert stretches.difference(traced, decoded) is None, seed
        some += 0 < len(wanted) < len(rows)
    assert some > 25
