"""E-Trace 2.0, "Format 3 subformat 3 qual_status field" and "End of trace".

First and last qualified instructions, and what the support packet says behind them.
"""

import pytest

from tests.model.filters import Filter, Filtering, window
from tests.spec.notation_context import agree, meaning

CODE = """
    1000: 00000013  nop
    1004: 00000013  nop
    1008: 00000463  beq zero,zero,1010
    100c: 00000013  nop
    1010: 00000013  nop
    1014: 00030067  jr t1
    1018: 00000013  nop
    101c: 00000013  nop
"""


def only(first: int, last: int) -> Filtering:
    """Instructions from `first` to `last` are qualified."""
    return Filtering(1, (Filter(trTeFilterMatchComp1=True),), (window(first, last),))


def test_first_and_last_qualified() -> None:
    """3.0 for the first; the last by its address, then the support packet: ended_rep."""
    agree(
        CODE,
        """
        1014
        1000
        1004
        1008 taken
        1010
        1014
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1000\n1004",
        only(0x1000, 0x1004),
    )


def test_last_qualified_with_pending_branches() -> None:
    """The branches go out with the address: a format 1."""
    agree(
        CODE,
        """
        1000
        1004
        1008
        100c
        1010
        1014
        """,
        """
        3.3 no_change
        3.0 1004
        1 N 100c
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1004\n1008\n100c",
        only(0x1004, 0x100C),
    )


def test_last_qualified_is_a_branch() -> None:
    """Its own outcome is in the map, although nothing behind it is traced."""
    agree(
        CODE,
        """
        1000
        1004
        1008 taken
        1010
        """,
        """
        3.3 no_change
        3.0 1000
        1 T 1008
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008",
        only(0x1000, 0x1008),
    )


def test_one_qualified_instruction() -> None:
    """The 3.0 has reported the address; the support packet follows it."""
    agree(
        CODE,
        """
        1000
        1004
        1008 taken
        1010
        """,
        """
        3.3 no_change
        3.0 1008 taken
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1008",
        only(0x1008, 0x1008),
    )


def test_ended_ntr() -> None:
    """The last is an uninferable discontinuity's target: it would have been sent anyway."""
    agree(
        CODE,
        """
        1010
        1014
        1018
        101c
        """,
        """
        3.3 no_change
        3.0 1010
        2 1018
        3.3 ended_ntr
        3.3 ended_rep disabled
        """,
        "1010\n1014\n1018",
        only(0x1010, 0x1018),
    )


def test_an_updiscon_is_last() -> None:
    """The jump itself is reported; where it went is not known."""
    agree(
        CODE,
        """
        1010
        1014
        1018
        """,
        """
        3.3 no_change
        3.0 1010
        2 1014
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1010\n1014",
        only(0x1010, 0x1014),
    )


LOOP = """
    1000: 00000013  nop
    1004: 00000013  looplabel: opcode B
    1008: 00000013  opcode C
    100c: 00030067  jr t1
    1010: 00000013  nop
"""


@pytest.mark.parametrize(
    ("rounds", "status"), [(1, "ended_rep"), (2, "ended_ntr")], ids=["first", "second"]
)
def test_the_ambiguous_loop(rounds: int, status: str) -> None:
    """The loop of "Format 2 notify and updiscon fields": which visit to looplabel was the last.

    The same packet before the support packet either way; tracing stops by a trace-off trigger.
    """
    rows = ["1000", "1004", "1008", "100c", "1004", "1008"]
    last = [1, 4][rounds - 1]
    agree(
        LOOP,
        "\n".join(row + " trace-off" * (at == last) for at, row in enumerate(rows)),
        f"""
        3.3 no_change
        3.0 1000
        2 1004
        3.3 {status}
        3.3 ended_rep disabled
        """,
        "\n".join(rows[: last + 1]),
        Filtering(trTeInstTrigEnable=True),
    )


def test_qualified_again() -> None:
    """The previous instruction was not traced: full synchronisation."""
    agree(
        CODE,
        """
        1000
        1004
        1008 taken
        1010
        1014
        1000
        1004
        1008 taken
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        3.0 1000
        2 1004
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n1000\n1004",
        only(0x1000, 0x1004),
    )


def test_nothing_is_qualified() -> None:
    agree(CODE, "1000\n1004", "3.3 no_change\n3.3 ended_rep disabled", "", only(0x2000, 0x2000))


def test_an_exception_at_the_last_qualified_instruction() -> None:
    """The instruction before it goes out with its address; the exception is told without its
    handler, as for a second trap at once."""
    agree(
        CODE,
        """
        1000
        1004
        exception 2 tval=0 at 1008
        1018
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.1 exception 2 tval=0 thaddr=0 0
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1000\n1004\nexception 2 tval=0 at 1008",
        only(0x1000, 0x1010),
    )


@pytest.mark.parametrize("status", ["ended_rep", "trace_lost"])
def test_after_any_end_the_next_packet_is_a_start(status: str) -> None:
    """The walk does not go on to it: 1000 follows nothing that was traced."""
    found = meaning(
        f"3.3 no_change\n3.0 1018\n2 101c\n3.3 {status}\n3.0 1000\n2 1004\n3.3 ended_rep", CODE
    )
    between = "gap TRACE_LOST" if status == "trace_lost" else "pause"
    assert found == ["1018", "101c", between, "1000", "1004"]


def test_no_change_changes_nothing() -> None:
    """A support packet in the middle: the next 3.0 continues the flow."""
    packets = "3.3 no_change\n3.0 1000\n3.3 no_change\n1 N 100c\n3.0 1010\n3.3 ended_rep"
    assert meaning(packets, CODE) == ["1000", "1004", "1008", "100c", "1010"]


@pytest.mark.parametrize(("updiscon", "rounds"), [("", 1), (" updiscon", 2)])
def test_an_encoder_that_knows_the_filters_early(updiscon: str, rounds: int) -> None:
    """It may use updiscon for the last instruction; then the status is ended_rep always."""
    packets = f"3.3 no_change\n3.0 1000\n2 1004{updiscon}\n3.3 ended_rep"
    rows = ["1000", "1004", "1008", "100c", "1004"]
    assert meaning(packets, LOOP) == rows[: {1: 2, 2: 5}[rounds]]


def test_ended_ntr_with_pending_branches() -> None:
    """Format 1 with the target, and the branches before the jump."""
    agree(
        CODE,
        """
        1008
        100c
        1010
        1014
        1004
        1008
        100c
        1010
        1014
        1018
        101c
        """,
        """
        3.3 no_change
        3.0 1008
        2 1004
        1 N 1018
        3.3 ended_ntr
        3.3 ended_rep disabled
        """,
        "1008\n100c\n1010\n1014\n1004\n1008\n100c\n1010\n1014\n1018",
        only(0x1000, 0x1018),
    )
