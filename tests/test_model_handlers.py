"""Traps that were not traced, before a handler that is, in the model: docs/qualification.md,
"Stretches"."""

from dataclasses import replace

import pytest

from tests.model import assemble, decoder, encoder, stretches
from tests.model.codec import Packet
from tests.model.rows import Retired, Row, Trapped, trap
from tests.model.scenarios import (
    BASE,
    NOP,
    PARAMETERS,
    PLAIN,
    STRAIGHT,
    kinds,
    memory,
    row,
    rows_of,
    trace,
)
from tests.model.settings import Modes, Resync, Settings
from tests.test_model_loss import OneLoss

EVENT = replace(trap(BASE + 4, 1, 5, tval=6), qualified=False)
USER = replace(row(STRAIGHT, 0), priv=1)


def handler(number: int, **changes: object) -> Row:
    """The instruction of a number, with a context that is not the trap's."""
    return Row(**vars(row(STRAIGHT, number)) | changes)


def as_told(packets: list[Packet], settings: Settings = PLAIN) -> list[object]:
    """What a decoder says after the first support packet, those left out by `trace`."""
    first = encoder.encode([], settings)[0]
    return list(decoder.decode([first, *packets], STRAIGHT, settings, 32))


@pytest.mark.parametrize(
    ("before", "sent"),
    (
        ([], []),
        ([USER], ["3.0", "support 11"]),
        ([USER, replace(USER, iaddr=BASE + 4)], ["3.0", "2", "support 11"]),
    ),
)
def test_a_handler_is_traced_but_not_what_trapped(before: list[Row], sent: list[str]) -> None:
    """The cause is the trap's; privilege, context and address are the handler's."""
    packets = trace(STRAIGHT, [*before, EVENT, *rows_of(STRAIGHT, [8, 9])])
    assert kinds(packets) == [*sent, "3.1", "2", "support 01"]
    assert packets[len(sent)] == {
        "format": 3,
        "subformat": 1,
        "branch": 1,
        "privilege": 3,
        "context": 8,
        "ecause": 5,
        "interrupt": 0,
        "thaddr": 1,
        "address": (BASE + 32) >> 1,
        "tval": 6,
    }
    told = as_told(packets)[len(before) :]
    assert told == [
        Trapped(5, False, 6, None, None),
        Retired(BASE + 32, 3),
        Retired(BASE + 36, 3),
    ]


def test_an_interrupts_handler_that_begins_with_a_branch() -> None:
    program = memory(NOP, NOP, assemble.branch(0, 0, 0, 8), NOP, NOP)
    event = replace(trap(BASE + 4, 3, 7, interrupt=True), qualified=False)
    rows = [event, row(program, 2, taken=True), row(program, 4)]
    packets = trace(program, rows)
    assert kinds(packets) == ["3.1", "2", "support 01"]
    assert (packets[0]["branch"], packets[0]["interrupt"], packets[0]["ecause"]) == (0, 1, 7)
    assert "tval" not in packets[0]


@pytest.mark.parametrize("changes", ({"halted": True}, {"reset": True}, {"ctype": 3}))
def test_where_nothing_leads_from_the_trap_to_the_handler(changes: dict[str, object]) -> None:
    """What the trap's own row says of the rows before it does not matter."""
    rows = [USER, EVENT, handler(8, **changes)]
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "support 11", "3.0", "support 01"]
    rows = [USER, Row(**vars(EVENT) | changes), handler(8)]
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "support 11", "3.1", "support 01"]


def test_only_the_row_directly_before_counts() -> None:
    rows = [EVENT, handler(8, qualified=False), handler(9)]
    assert kinds(trace(STRAIGHT, rows)) == ["3.0", "support 01"]
    rows = [EVENT, replace(EVENT, iaddr=BASE + 16, cause=2), handler(9)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.1", "support 01"]
    assert packets[0]["ecause"] == 2
    rows = [EVENT, handler(8), handler(9, qualified=False), handler(10)]
    assert kinds(trace(STRAIGHT, rows)) == ["3.1", "support 11", "3.0", "support 01"]


def test_a_trap_that_begins_a_stretch_is_reported_at_its_own_row() -> None:
    """Whatever was before it."""
    rows = [EVENT, replace(EVENT, iaddr=BASE + 32, cause=2, qualified=True), handler(9)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.1", "3.0", "support 01"]
    fields = [packets[0][name] for name in ("thaddr", "ecause", "address", "privilege")]
    assert fields == [0, 2, (BASE + 32) >> 1, 1]


@pytest.mark.parametrize("changes", ({"halted": True}, {"reset": True}, {"ctype": 3}))
def test_a_trap_that_was_traced_is_reported_already(changes: dict[str, object]) -> None:
    """Also where it was a whole stretch."""
    event = replace(EVENT, qualified=True)
    rows = [USER, event, handler(8, **changes)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "3.1", "support 11", "3.0", "support 01"]
    assert packets[1]["thaddr"] == 0
    packets = trace(STRAIGHT, rows[1:])
    assert kinds(packets) == ["3.1", "support 11", "3.0", "support 01"]


@pytest.mark.parametrize("changes", ({"ctype": 1}, {"ctype": 2}, {"notify": True}))
def test_one_packet_reports_the_handler(changes: dict[str, object]) -> None:
    rows = [USER, EVENT, handler(8, **changes), handler(9)]
    packets = trace(STRAIGHT, rows)
    assert kinds(packets) == ["3.0", "support 11", "3.1", "2", "support 01"]
    assert packets[2]["context"] == 8


def test_it_synchronises() -> None:
    """As a 3.0 does: the count of packets starts again."""
    rows = [USER, EVENT, *[handler(number, notify=True) for number in range(6, 12)]]
    wanted = ["3.0", "support 11", "3.1", "2", "2", "2", "3.0", "2", "support 01"]
    settings = Settings(PARAMETERS, resync=Resync("packets", 2))
    assert kinds(trace(STRAIGHT, rows, settings)) == wanted


IMPLICIT = Settings(PARAMETERS, modes=Modes(implicit_exception=True), tvec=((3, BASE + 32),))


def test_implicit_exception() -> None:
    """The address is left out; the next difference is one to the handler inferred."""
    packets = trace(STRAIGHT, [USER, EVENT, handler(8), handler(9)], IMPLICIT)
    assert kinds(packets) == ["3.0", "support 11", "3.1", "2", "support 01"]
    assert packets[2]["thaddr"] == 1
    assert "address" not in packets[2]
    assert packets[3]["address"] == 2
    assert as_told(packets, IMPLICIT)[1] == Trapped(5, False, 6, None, None)


def test_a_handler_that_cannot_be_inferred() -> None:
    """thaddr 0 begins a stretch with the EPC, so that is what it has."""
    packets = trace(STRAIGHT, [USER, EVENT, handler(7), handler(8)], IMPLICIT)
    assert kinds(packets) == ["3.0", "support 11", "3.1", "3.0", "2", "support 01"]
    fields = [packets[2][name] for name in ("thaddr", "address", "privilege", "context")]
    assert fields == [0, (BASE + 4) >> 1, 1, 0]
    assert as_told(packets, IMPLICIT)[1] == Trapped(5, False, 6, BASE + 4, 1)


def losing(rows: list[Row], number: int, nth: int, settings: Settings = PLAIN) -> encoder.Encoder:
    """Lose packet `number`, and resume at the nth row that looks."""
    done = encoder.Encoder(rows, settings)
    done.buffer = OneLoss(number, nth)
    done.run()
    flow = decoder.Decoder(STRAIGHT, settings, 32)
    for packet in done.packets:
        flow.process(packet)
    assert stretches.difference(done, flow) is None
    return done


def test_the_trap_that_finds_room_again() -> None:
    """It is not traced, and its handler is the first that is."""
    event = replace(EVENT, qualified=True)
    rows = [USER, replace(USER, iaddr=BASE + 4, notify=True), event, handler(8), handler(9)]
    packets = losing(rows, 2, 1).packets
    assert kinds(packets) == ["support 10", "3.0", "support 12", "3.1", "2", "support 01"]
    assert (packets[3]["thaddr"], packets[3]["ecause"], packets[3]["context"]) == (1, 5, 8)
    rows[3] = handler(8, halted=True)
    assert kinds(losing(rows, 2, 1).packets)[2:4] == ["support 12", "3.0"]
    jump = replace(row(STRAIGHT, 8), itype=11)
    rows[3:] = [jump, *rows_of(STRAIGHT, [9, 10])]
    again = losing(rows, 2, 2).packets
    assert kinds(again)[2:4] == ["support 12", "3.0"], "the handler found room, the next row began"


def test_a_trap_that_nobody_traces_while_packets_are_lost() -> None:
    """It does not look; the row before has found room."""
    jump = replace(row(STRAIGHT, 2), itype=11)
    rows = [USER, replace(USER, iaddr=BASE + 4, notify=True), jump, EVENT, handler(8)]
    wanted = ["support 10", "3.0", "support 12", "3.1", "support 01"]
    assert kinds(losing(rows, 2, 1).packets) == wanted


def test_the_trap_is_told_and_its_handler_lost() -> None:
    """Of the two packets where the handler cannot be inferred."""
    done = losing([USER, EVENT, handler(7), handler(8)], 4, 99, IMPLICIT)
    assert kinds(done.packets) == ["support 10", "3.0", "support 11", "3.1", "support 02"]
    assert done.stretches[-1].trap == Trapped(5, False, 6, BASE + 4, 1)
    assert done.stretches[-1].lost
