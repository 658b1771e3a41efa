"""Stretches of qualified rows in the model: the rules of docs/qualification.md."""

from dataclasses import replace

import pytest

from tests.model import assemble, codec
from tests.model.rows import Row, trap
from tests.model.scenarios import (
    BASE,
    NOP,
    PARAMETERS,
    RET,
    STRAIGHT,
    kind,
    kinds,
    memory,
    row,
    rows_of,
    trace,
)
from tests.model.settings import Modes, Settings


def unqualified(rows: list[Row], *numbers: int) -> list[Row]:
    return [replace(each, qualified=at not in numbers) for at, each in enumerate(rows)]


def test_qualification_ends_and_begins() -> None:
    rows = rows_of(STRAIGHT, [0, 1, 2, 3, 4, 5])
    packets = trace(STRAIGHT, unqualified(rows, 2, 3))
    assert kinds(packets) == ["3.0", "2", "support 11", "3.0", "2", "support 01"]
    assert [each["address"] << 1 for each in packets if kind(each) == "3.0"] == [BASE, BASE + 16]
    packets = trace(STRAIGHT, unqualified(rows, 0, 1, 5))
    assert kinds(packets) == ["3.0", "2", "support 11", "support 01"]
    assert kinds(trace(STRAIGHT, unqualified(rows, *range(6)))) == ["support 01"]
    assert kinds(trace(STRAIGHT, unqualified(rows, 1)))[:3] == ["3.0", "support 11", "3.0"]


def test_ended_ntr() -> None:
    """The last row is an updiscon's target: the second visit to it counts."""
    program = memory(NOP, assemble.jalr(0, 6, 0), NOP)
    rows = rows_of(program, [0, 1, 0, 1, 2])
    packets = trace(program, unqualified(rows, 3, 4))
    assert kinds(packets) == ["3.0", "2", "support 13", "support 01"]
    assert not codec.is_updiscon(packets[1])


@pytest.mark.parametrize("flag", ("halted", "reset"))
def test_halted_and_reset(flag: str) -> None:
    """Between two rows: as a row that is not qualified, also where nothing is left out."""
    rows = rows_of(STRAIGHT, [0, 1, 2, 3])
    rows[2] = Row(**vars(rows[2]) | {flag: True})
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "2", "support 11", "3.0", "2", "support 01"]
    rows[1:] = [Row(**vars(row(STRAIGHT, 7)) | {flag: True})]
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "support 11", "3.0", "support 01"]


def test_a_trap_waits_when_qualification_ends() -> None:
    rows = [row(STRAIGHT, 0), trap(BASE + 4, 3, 5), *rows_of(STRAIGHT, [8, 9])]
    packets = trace(STRAIGHT, unqualified(rows, 2))
    assert kinds(packets) == ["3.0", "3.1", "support 11", "3.0", "support 01"]
    assert (packets[1]["thaddr"], packets[1]["address"]) == (0, 0)
    packets = trace(STRAIGHT, unqualified(rows, 0))
    assert kinds(packets) == ["3.1", "3.0", "2", "support 01"]
    assert packets[0]["address"] << 1 == BASE + 4


def test_nothing_is_inferred_across_a_gap() -> None:
    """Neither from a lui nor from a call that was not traced."""
    program = memory(NOP, assemble.lui(6, 1), assemble.jalr(0, 6, 16), NOP, NOP)
    settings = Settings(replace(PARAMETERS, sijump_p=1), Modes(sijump=True))
    jump = replace(row(program, 2), sijump=True)
    rows = [*rows_of(program, [0, 1]), jump, row(program, 4)]
    assert kinds(trace(program, unqualified(rows, 1), settings))[2:] == ["3.0", "2", "support 03"]
    assert kinds(trace(program, rows, settings)) == ["3.0", "2", "support 01"]
    program = memory(assemble.jal(1, 12), NOP, NOP, NOP, RET)
    settings = Settings(replace(PARAMETERS, return_stack_size_p=2), Modes(implicit_return=True))
    rows = rows_of(program, [0, 3, 4, 1])
    packets = trace(program, unqualified(rows, 1), settings)
    assert kinds(packets) == ["3.0", "support 11", "3.0", "2", "support 03"]
