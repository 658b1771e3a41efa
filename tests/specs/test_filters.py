"""Filters and comparators in a parameter file: keys, checks, errors."""

from dataclasses import replace

import pytest

from specs.configuration.filters import (
    EVERYTHING,
    Comparator,
    Filter,
    Filters,
    Input,
    InstControl,
    keys,
)
from specs.configuration.parameters import Configuration, ParametersError, from_dict, parse

PARAMETERS = "[parameters]\nfilters_p = 4\ncomparators_p = 3\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ParametersError) as caught:
        parse(text, 64, "p.toml")
    return caught.value.problems


def test_everything_is_traced_without_a_word() -> None:
    configuration = Configuration.default(64)
    assert configuration.filters == EVERYTHING
    assert configuration.filters.idle
    assert not set(configuration.to_dict()) & {"trace", "filter", "comparator"}


FILE = (
    PARAMETERS
    + """
[trace]
trTeInstFilters = 3
[[comparator]]
trTeCompPFunction = 5
trTeCompPMatch = 0x80000000
trTeCompSFunction = 3
trTeCompSMatch = 0xFFFF_FFFF_FFFF_FFFF
trTeCompMatchMode = 1
[[comparator]]
trTeCompPInput = 2
[[filter]]
trTeFilterMatchComp1 = true
[[filter]]
trTeFilterMatchEcause = true
trTeFilterMatchChoiceEcause = 0x8000_0000_0000_0000
trTeFilterMatchComp3 = true
trTeFilterComp3 = 1
"""
)


def test_a_file_is_read_and_written() -> None:
    configuration = parse(FILE)
    registers = configuration.filters
    assert registers.trace == InstControl(trTeInstFilters=3)
    assert registers.comparator[0].trTeCompSMatch == (1 << 64) - 1
    assert registers.comparator[1].inputs == {Input.TVAL}
    assert [each.comparators for each in registers.filter] == [[0], [1]]
    assert not registers.idle
    for commented in (True, False):
        assert parse(configuration.to_toml(commented)) == configuration
    assert from_dict(configuration.to_dict()) == configuration


def test_every_problem_at_once() -> None:
    found = problems(
        "[trace]\ntrTeInstFilters = 65536\ntrTeInstTracing = 1\ntrTeInstTrigEnabled = true\n"
        "[[comparator]]\ntrTeCompPInput = 3\ntrTeCompPMatch = -1\n"
        "[[filter]]\ntrTeFilterMatchComp1 = 'yes'\n[[filters]]\ntrTeFilterEnable = true\n"
    )
    expected = (
        "p.toml: filters: no such table; did you mean filter?",
        "p.toml: [[comparator]] 0 trTeCompPInput = 3: out of range, must be 0-2",
        "p.toml: [[comparator]] 0 trTeCompPMatch = -1: out of range, must be 0-",
        'p.toml: [[filter]] 0 trTeFilterMatchComp1 = "yes": must be true or false',
        "p.toml: [trace] trTeInstFilters = 65536: out of range, must be 0-65535",
        "p.toml: [trace] trTeInstTracing = 1: must be true or false",
        "p.toml: [trace] trTeInstTrigEnabled: no such key; did you mean trTeInstTrigEnable?",
    )
    for line in expected:
        assert any(each.startswith(line) for each in found), (line, found)
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        ("[trace]\ntrTeInstFilters = 4\n[[filter]]\n[[filter]]\n", "selects filter 2, but there"),
        ("[trace]\ntrTeInstFilters = 1\n", "selects filter 0, but there is none"),
        ("[[filter]]\ntrTeFilterMatchComp2 = true\n", "[[filter]] 0: asks for comparator 0"),
        ("[[comparator]]\n" * 4, "[[comparator]]: 4 of them, but comparators_p"),
        ("[[comparator]]\n" * 9, "[[comparator]]: 9 of them, at most 8"),
        ("filter = 3\n", "filter: is 3, must be [[filter]]"),
        ("filter = [3]\n", "[[filter]] 0: is 3, must be a table"),
    ),
)
def test_what_does_not_fit(text: str, expected: str) -> None:
    text = text + PARAMETERS if text.startswith("filter") else PARAMETERS + text
    (problem,) = [each for each in problems(text) if expected in each]
    assert problem.startswith("p.toml: ")


@pytest.mark.parametrize(
    ("key", "registers"),
    (
        ("filter_excint_p", Filters(filter=(Filter(trTeFilterMatchInterrupt=True),))),
        ("filter_privilege_p", Filters(filter=(Filter(trTeFilterMatchPrivilege=True),))),
        ("filter_context_p", Filters(comparator=(Comparator(trTeCompPInput=1),))),
        ("filter_tval_p", Filters(comparator=(Comparator(trTeCompPInput=2),))),
    ),
)
def test_what_is_not_supported(key: str, registers: Filters) -> None:
    parameters = Configuration.default(64).parameters
    assert not list(registers.problems(parameters))
    (problem,) = registers.problems(replace(parameters, **{key: 0}))
    assert key in problem


def test_a_comparison_that_does_not_count_needs_no_support() -> None:
    unit = Comparator(trTeCompSInput=2, trTeCompSFunction=0)
    assert unit.inputs == {Input.IADDR}
    assert replace(unit, trTeCompMatchMode=1).inputs == {Input.IADDR, Input.TVAL}
    assert Comparator(trTeCompPInput=1, trTeCompPFunction=7).inputs == set()


def test_names_are_those_of_the_registers() -> None:
    prefixes = {"trace": "trTeInst", "filter": "trTeFilter", "comparator": "trTeComp"}
    for table, key in keys():
        assert key.name.startswith(prefixes[table])
        assert key.metadata["section"].startswith("trTe")
        assert key.metadata["text"]
