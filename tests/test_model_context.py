"""Context and time in the model: the rules of docs/qualification.md."""

from dataclasses import replace

import pytest

from tests.model import assemble, codec, encoder
from tests.model.rows import trap
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
from tests.model.settings import Modes, Parameters, Resync, Settings, UpdatedParameters


def test_imprecise_context() -> None:
    """A 3.2 for the row, behind the packet that it sends anyway; none beside a 3.0 or 3.1."""
    rows = rows_of(STRAIGHT, [0, 1, 2, 3])
    rows[1] = row(STRAIGHT, 1, ctype=1)
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "3.2", "2", "support 01"]
    assert trace(STRAIGHT, rows)[1]["context"] == 17
    rows[1] = replace(rows[1], notify=True)
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "2", "3.2", "2", "support 01"]
    rows[0], rows[1] = row(STRAIGHT, 0, ctype=1), row(STRAIGHT, 1)
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "2", "support 01"]
    rows[3] = row(STRAIGHT, 3, ctype=1)
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "2", "3.2", "support 01"]


def test_imprecise_context_without_fields() -> None:
    rows = [row(STRAIGHT, 0), row(STRAIGHT, 1, ctype=1), row(STRAIGHT, 2)]
    absent = Settings(replace(PARAMETERS, nocontext_p=1))
    assert "3.2" not in kinds(trace(STRAIGHT, rows, absent))
    timed = Settings(replace(absent.parameters, notime_p=0, time_width_p=8))
    packet = trace(STRAIGHT, [rows[0], replace(rows[1], time=7), rows[2]], timed)[1]
    assert (packet["subformat"], packet["time"], "context" in packet) == (2, 7, False)


def test_imprecise_context_is_no_packet_to_the_counters() -> None:
    """It neither brings a resynchronisation nearer nor changes V: the loop is seen through it."""
    program = memory(NOP, NOP, assemble.jal(0, -8))
    rows = rows_of(program, [0, 1, 2] * 3)
    with_context = [replace(each, ctype=1) if at == 4 else each for at, each in enumerate(rows)]
    for resync in (Resync(), Resync("packets", 2), Resync("instructions", 4)):
        settings = Settings(PARAMETERS, resync=resync, exact_loops=True)
        bare = encoder.encode(rows, settings)
        reported = encoder.encode(with_context, settings)
        assert [each for each in reported if kind(each) != "3.2"] == bare
        trace(program, with_context, settings)


def test_precise_context() -> None:
    """3.0 with the context; branches go out first, and nothing else does."""
    program = memory(NOP, assemble.branch(0, 0, 0, 8), NOP, NOP, NOP)
    rows = [row(program, 2), row(program, 3, ctype=2), row(program, 4)]
    packets = trace(program, rows)
    assert kinds(packets) == ["3.0", "3.0", "2", "support 01"]
    assert packets[1]["context"] == 35
    packets = trace(program, [*rows_of(program, [0, 1]), *rows])
    assert kinds(packets) == ["3.0", "1", "3.0", "2", "support 01"]
    assert packets[1]["address"] << 1 == 8


def test_precise_context_at_a_row_already_passed() -> None:
    """Without the address before it a decoder would take the first visit."""
    program = memory(NOP, NOP, NOP, assemble.jal(0, -8), NOP)
    rows = rows_of(program, [0, 1, 2, 3, 1, 2])
    rows[4] = row(program, 1, ctype=2)
    exact = Settings(PARAMETERS, exact_loops=True)
    assert kinds(trace(program, rows, exact)) == ["3.0", "2", "3.0", "2", "support 01"]
    assert kinds(encoder.encode(rows, Settings(PARAMETERS)))[1:3] == ["3.0", "3.0"]


def test_precise_context_at_an_updiscons_target() -> None:
    """3.0 alone; a row before it that was a target itself has updiscon set."""
    program = memory(NOP, assemble.jalr(0, 6, 0), NOP, NOP)
    rows = [row(program, 0), row(program, 1), row(program, 3, ctype=2)]
    assert kinds(trace(program, rows)) == ["3.0", "3.0", "support 01"]
    rows = [row(program, 1), row(program, 2), row(program, 3, ctype=2)]
    packets = trace(program, rows)
    assert kinds(packets) == ["3.0", "2", "3.0", "support 01"]
    assert codec.is_updiscon(packets[1])


def test_precise_context_begins_all_predictions_anew() -> None:
    """The second jump to a target would be an index, the second failure a count, the return
    silent."""
    program = memory(NOP, assemble.jalr(0, 6, 0), NOP)
    settings = Settings(replace(PARAMETERS, cache_size_p=2), Modes(jump_target_cache=True))
    rows = rows_of(program, [0, 1, 0, 1, 0, 1, 2])
    assert kinds(trace(program, rows, settings))[1:4] == ["2", "0", "2"]
    rows[3] = row(program, 1, ctype=2)
    assert kinds(trace(program, rows, settings))[1:4] == ["2", "3.0", "2"]
    program = memory(assemble.jal(1, 8), NOP, NOP, RET)
    settings = Settings(replace(PARAMETERS, return_stack_size_p=2), Modes(implicit_return=True))
    rows = rows_of(program, [0, 2, 3, 1])
    assert kinds(trace(program, rows, settings)) == ["3.0", "2", "support 01"]
    rows[1] = row(program, 2, ctype=2)
    assert kinds(trace(program, rows, settings)) == ["3.0", "3.0", "2", "support 03"]


def test_precise_context_behind_implicit_returns() -> None:
    """2.1: irets of the branches that go out before it, and a row passed after other returns."""
    program = memory(assemble.jal(1, 8), NOP, RET, assemble.branch(0, 0, 0, -12))
    parameters = UpdatedParameters(**vars(PARAMETERS) | {"return_stack_size_p": 2})
    settings = Settings(parameters, Modes(implicit_return=True))
    rows = [*rows_of(program, [0, 2, 1]), row(program, 2, ctype=2)]
    assert kinds(trace(program, rows, settings)) == ["3.0", "2", "3.0", "support 01"]
    packet = trace(program, rows, settings)[1]
    assert (packet["address"] << 1, codec.reported_depth(packet)) == (4, 0)
    assert codec.is_updiscon(packet)


def test_context_where_a_resynchronisation_is_due() -> None:
    """One 3.0 does for both, whatever the type; a 3.2 neither hastens nor delays it."""
    rows = rows_of(STRAIGHT, range(6))
    rows[1:3] = [replace(each, notify=True) for each in rows[1:3]]
    settings = Settings(PARAMETERS, resync=Resync("packets", 1))
    wanted = ["3.0", "2", "2", "3.0", "2", "support 01"]
    assert kinds(trace(STRAIGHT, rows, settings)) == wanted
    for ctype in (1, 2):
        rows[3] = row(STRAIGHT, 3, ctype=ctype)
        assert kinds(trace(STRAIGHT, rows, settings)) == wanted


def test_precise_context_behind_a_trap() -> None:
    """The handler's 3.1 has the context; what the trap's row says is in it as well."""
    event = replace(trap(BASE + 4, 3, 5), ctype=2, context=9)
    rows = [row(STRAIGHT, 0), event, row(STRAIGHT, 8, ctype=2), row(STRAIGHT, 9)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "3.1", "2", "support 01"]
    assert (packets[1]["thaddr"], packets[1]["context"]) == (1, 40)


def test_precise_context_where_a_resynchronisation_would_wait() -> None:
    """At the jump of a pair, and at a mispredicted return's target: a gap."""
    program = memory(NOP, assemble.lui(6, 1), assemble.jalr(0, 6, 16), NOP, NOP)
    settings = Settings(replace(PARAMETERS, sijump_p=1), Modes(sijump=True))
    jump = replace(row(program, 2, ctype=2), sijump=True)
    rows = [*rows_of(program, [0, 1]), jump, row(program, 4)]
    wanted = ["3.0", "2", "support 11", "3.0", "2", "support 03"]
    assert kinds(trace(program, rows, settings)) == wanted
    assert kinds(trace(program, rows[1:], settings)) == ["3.0", *wanted[2:]]
    program = memory(assemble.jal(1, 12), NOP, NOP, RET)
    settings = Settings(replace(PARAMETERS, return_stack_size_p=2), Modes(implicit_return=True))
    astray = [row(program, 0), row(program, 3), row(program, 2, ctype=2)]
    wanted = ["3.0", "2", "support 11", "3.0", "support 01"]
    assert kinds(trace(program, astray, settings)) == wanted
    predicted = [*astray[:2], row(program, 1, ctype=2)]
    assert kinds(trace(program, predicted, settings)) == ["3.0", "3.0", "support 01"]
    without_call = astray[1:]
    assert kinds(trace(program, without_call, settings)) == ["3.0", "3.0", "support 01"]


@pytest.mark.parametrize("elsewhere", (2, 9, 0, 1))
def test_discontinuity(elsewhere: int) -> None:
    """Wherever it leads: the address before, the end of a stretch, and a start."""
    rows = [*rows_of(STRAIGHT, [0, 1]), row(STRAIGHT, elsewhere, ctype=3), row(STRAIGHT, 10)]
    rows[3] = row(STRAIGHT, elsewhere + 1)
    wanted = ["3.0", "2", "support 11", "3.0", "2", "support 01"]
    assert kinds(trace(STRAIGHT, rows)) == wanted


def test_discontinuity_onto_a_trap_and_from_one() -> None:
    elsewhere = replace(trap(BASE + 20, 3, 5), ctype=3)
    rows = [row(STRAIGHT, 0), row(STRAIGHT, 1), elsewhere, row(STRAIGHT, 9)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "2", "support 11", "3.1", "3.0", "support 01"]
    assert (packets[3]["thaddr"], packets[3]["address"] << 1) == (0, BASE + 20)
    waiting = trap(BASE + 4, 1, 5, context=3)
    rows = [replace(row(STRAIGHT, 0), priv=1), waiting, row(STRAIGHT, 9, ctype=3)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "3.1", "support 11", "3.0", "support 01"]
    fields = [packets[1][name] for name in ("thaddr", "address", "privilege", "context")]
    assert fields == [0, 0, 1, 3]


def test_ctype_has_to_fit() -> None:
    with pytest.raises(ValueError, match="ctype_width_p"):
        encoder.encode([row(STRAIGHT, 0, ctype=2)], Settings(Parameters(ctype_width_p=1)))


def test_cycles() -> None:
    """Only a jump or branch looks at the time; the row after it is synchronised."""
    program = memory(NOP, assemble.jal(0, 4), NOP, assemble.jal(0, 4), NOP, NOP)
    rows = [
        replace(each, time=time)
        for each, time in zip(rows_of(program, range(6)), (5, 6, 60, 61, 62, 63), strict=True)
    ]
    settings = Settings(PARAMETERS, resync=Resync("cycles", 10))
    packets = trace(program, rows, settings)
    assert [each["address"] << 1 for each in packets if kind(each) == "3.0"] == [BASE, BASE + 16]
    exactly = Settings(PARAMETERS, resync=Resync("cycles", 56))
    assert kinds(trace(program, rows, exactly)).count("3.0") == 2
    longer = Settings(PARAMETERS, resync=Resync("cycles", 57))
    assert kinds(trace(program, rows, longer)).count("3.0") == 1
    back = [replace(each, time=100 - each.time) for each in rows]
    assert kinds(trace(program, back, settings)).count("3.0") == 3, "modulo 2^64: at once"
