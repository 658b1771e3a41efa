"""The hash of a flow: by hand, cut in any way; and changes found by halves."""

import json

import numpy as np
import pytest

from etrace.trace.flowhash import FlowHash, flow_hash, from_values
from specs.interfaces.flow import GAP, PAUSE, RUN, TRAP, Ended, Flow, Reason
from specs.isa.control import CodeMap

#: Instructions of four and of two bytes, in turns.
CODE = CodeMap([(0x1000, bytes.fromhex("130000000100") * 4096)], 64)


def address(number: int) -> int:
    """Of an instruction of the code."""
    return 0x1000 + 6 * (number // 2) + 4 * (number % 2)


def runs(*rows: tuple[int, int], priv: int = 3) -> np.ndarray:
    """Of (first instruction, how many)."""
    table = np.zeros(len(rows), RUN)
    for row, (first, count) in zip(table, rows, strict=True):
        row["start"], row["count"], row["priv"] = address(first), count, priv
        row["ended"] = Ended.TAKEN_BRANCH
    return table


def hashed(table: np.ndarray, *, pieces: int = 1 << 30, **tables: np.ndarray) -> FlowHash:
    """The hash of a flow that comes in pieces of so many runs."""
    flows = [
        Flow(table[at : at + pieces], first_run=at, **(tables if at == 0 else {}))
        for at in range(0, max(len(table), 1), pieces)
    ]
    return flow_hash(flows, CODE)


def test_cuts_do_not_matter() -> None:
    whole = runs((0, 100), (50, 30), (10, 5))
    cut = runs((0, 3), (3, 1), (4, 96), (50, 30), (10, 2), (12, 3))
    for pieces in (1, 2, 100):
        assert hashed(cut, pieces=pieces).value == hashed(whole).value
    for word in ("13000000", "0100"):  # instructions of one size
        code, size = CodeMap([(0x1000, bytes.fromhex(word) * 64)], 64), len(word) // 2
        whole, cut = np.zeros(1, RUN), np.zeros(2, RUN)
        whole["start"], whole["count"] = 0x1000, 30
        cut["start"], cut["count"] = (0x1000, 0x1000 + 10 * size), (10, 20)
        assert flow_hash([Flow(whole)], code).value == flow_hash([Flow(cut)], code).value


def test_another_stretch_is_another_flow() -> None:
    whole = runs((0, 100), (50, 30), (10, 5))
    assert hashed(runs((0, 135))).value != hashed(whole).value


@pytest.mark.parametrize(
    "changed",
    [
        runs((0, 100), (50, 30), (10, 6)),
        runs((0, 100), (50, 30), (11, 5)),
        runs((0, 99), (50, 30), (10, 5)),
        runs((50, 30), (0, 100), (10, 5)),
        runs((0, 100), (50, 30)),
        runs((0, 100), (50, 30), (10, 5), priv=0),
        runs(),
    ],
)
def test_everything_else_does(changed: np.ndarray) -> None:
    assert hashed(changed).value != hashed(runs((0, 100), (50, 30), (10, 5))).value


def test_what_stands_between_matters() -> None:
    table = runs((0, 100), (50, 30), (10, 5))
    trap = np.zeros(1, TRAP)
    trap["run"], trap["epc"], trap["cause"], trap["epc_known"] = 1, 0x1000, 2, 1
    values = {hashed(table).value, hashed(table, traps=trap).value}
    for name, value in (("run", 2), ("epc", 0x1006), ("cause", 3), ("tval", 1), ("interrupt", 1)):
        other = trap.copy()
        other[name] = value
        values.add(hashed(table, traps=other).value)
    # where it is told, and by which packet, does not matter
    other = trap.copy()
    other["packet"] = other["offset"] = 77
    assert hashed(table, traps=other).value == hashed(table, traps=trap).value
    pause, gap = np.zeros(1, PAUSE), np.zeros(1, GAP)
    pause["run"] = gap["run"] = 1
    gap["reason"] = Reason.TRACE_LOST
    values |= {hashed(table, pauses=pause).value, hashed(table, gaps=gap).value}
    assert len(values) == 9
    assert hashed(table, traps=trap).traps == 1


def test_a_change_is_found_by_halves() -> None:
    random = np.random.default_rng(1)
    rows = [(int(first), int(count)) for first, count in random.integers(1, 200, (20_000, 2))]
    before = hashed(runs(*rows))
    assert before.instructions == sum(count for _, count in rows)
    assert 256 <= len(before.checkpoints) <= 512
    for at in (0, 1, 777, 10_000, 19_998, 19_999):
        first, count = rows[at]
        changed = [*rows[:at], (first + 1, count), *rows[at + 1 :]]
        after = hashed(runs(*changed))
        position = sum(count for _, count in rows[:at])
        for one, other in ((before, after), (after, before)):
            begin, end = one.part(other)
            assert begin <= position <= end and end - begin < before.every + 400
    # against a run of another length, whose checkpoints stand elsewhere
    short = hashed(runs(*rows[:300]))
    assert short.every < before.every
    begin, end = before.part(short)
    position = sum(count for _, count in rows[:300])
    assert begin <= position and position - begin < 2 * before.every + 400


def test_as_json_and_back() -> None:
    found = hashed(runs(*[(n % 50, 40) for n in range(400)]))
    again = from_values(json.loads(json.dumps(found.values())))
    assert again.value == found.value and np.array_equal(again.checkpoints, found.checkpoints)
    assert (again.instructions, again.every) == (found.instructions, found.every)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hash", "00"), ("hash", 5), ("instructions", -1), ("traps", "x"), ("every", 1000),
        ("every", 512), ("checkpoints", "AA=="), ("checkpoints", "?"), ("checkpoints", 5),
        ("checkpoints", "A" * 30_000),
    ],
)  # fmt: skip
def test_damaged_values(name: str, value: object) -> None:
    values = hashed(runs((0, 2000), (3, 3000))).values() | {name: value}
    with pytest.raises((ValueError, TypeError)):
        from_values(values)
    del values[name]
    with pytest.raises(KeyError):
        from_values(values)
    with pytest.raises(ValueError, match="table"):
        from_values([])
