"""E-Trace 2.0, "Synchronization" and "Resynchronisation": when a format 3 is due, where it lands.

The Trace Control Interface counts packets, cycles or half-words (trTeInstSyncMode); the period is
2^(trTeInstSyncMax + 4) there, and small here.
"""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.model.filters import Filtering
from tests.model.settings import Resync, Settings
from tests.model.sink import Sink
from tests.spec.notation_context import (
    CONTEXTS,
    RV64,
    agree,
    flow,
    lines,
    meaning,
    model_encodes,
    product_encodes,
    sends,
)

CODE = """
    1000: 00000013  nop
    1004: 00000463  beq zero,zero,100c
    1008: 00000013  nop
    100c: ff5ff06f  j 1000
    1010: 00030067  jr t1
    1014: 00000463  beq zero,zero,101c
    1018: 00000013  nop
    101c: 30200073  mret
    2000: 00000013  trap handler
    2004: 00000463  beq zero,zero,200c
    2008: 00000013  nop
    200c: 30200073  mret
    3000: 00000013  another trap handler
    3004: 00000013  nop
"""


def every(unit: str, period: int, base: Settings = RV64) -> Settings:
    return replace(base, resync=Resync(unit, period))


def test_it_may_never_be_due() -> None:
    """Off: one 3.0 at the beginning, whatever retires."""
    loop = ["1000", "1004", "1008", "100c"]
    sends(
        CODE,
        "\n".join(loop * 40),
        f"""
        3.3 no_change
        3.0 1000
        1 {"N" * 31}
        1 {"N" * 9} 100c
        3.3 ended_rep disabled
        """,
    )


def test_a_3_0_in_the_middle_continues_the_flow() -> None:
    """Branches out first, then the 3.0; a decoder that begins there needs no history."""
    packets = """
        3.3 no_change
        3.0 1000
        1 N 1004
        3.0 1008
        2 100c
        3.3 ended_rep disabled
    """
    agree(
        CODE,
        "1000\n1004\n1008\n100c",
        packets,
        "1000\n1004\n1008\n100c",
        settings=every("instructions", 2),
    )
    later = "\n".join(line for line in lines(packets) if line not in ("3.0 1000", "1 N 1004"))
    assert meaning(later, CODE) == ["1008", "100c"]


def test_landing_on_a_branch() -> None:
    """Its outcome is in the 3.0 and in no branch map. The second lands on an updiscon's target."""
    agree(
        CODE,
        """
        1010
        1010
        1014 taken
        101c
        1014
        1018
        """,
        """
        3.3 no_change
        3.0 1010
        2 1010 updiscon
        3.0 1014 taken
        3.0 1014
        2 1018
        3.3 ended_rep disabled
        """,
        "1010\n1010\n1014\n101c\n1014\n1018",
        settings=every("instructions", 2),
    )


def test_pending_branches_at_the_target_of_an_updiscon() -> None:
    """One packet for both: the branches and the target, updiscon since a format 3 follows."""
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
        1 N 1014 updiscon
        3.0 1018
        3.3 ended_rep disabled
        """,
        "1010\n1014\n1018",
        settings=every("instructions", 2),
    )


def test_landing_on_a_trap() -> None:
    """The handler's 3.1 is the synchronisation; the count begins anew."""
    agree(
        CODE,
        """
        1000
        1004
        interrupt 7 at 1008
        2000
        2004
        2008
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 1004
        3.1 interrupt 7 thaddr=1 2000
        1 N 2004
        3.0 2008
        3.3 ended_rep disabled
        """,
        "1000\n1004\ninterrupt 7 at 1008\n2000\n2004\n2008",
        settings=every("instructions", 2),
    )


def test_landing_on_an_exception_at_the_target_of_an_updiscon() -> None:
    agree(
        CODE,
        """
        1010
        1010
        exception 12 tval=5000 at 5000
        2000
        2004
        """,
        """
        3.3 no_change
        3.0 1010
        2 1010 updiscon
        3.1 exception 12 tval=5000 thaddr=0 5000
        3.0 2000
        1 N 2004
        3.3 ended_rep disabled
        """,
        "1010\n1010\nexception 12 tval=5000 at 5000\n2000\n2004",
        settings=every("instructions", 2),
    )


@pytest.mark.parametrize("period", [2, 6])
def test_landing_on_a_privilege_change(period: int) -> None:
    """Due or not: one 3.0."""
    agree(
        CODE,
        """
        1018
        101c
        3000 priv=0
        3004 priv=0
        """,
        """
        3.3 no_change
        3.0 1018
        3.0 3000 priv=0
        2 3004
        3.3 ended_rep disabled
        """,
        "1018\n101c\n3000 priv=0\n3004 priv=0",
        settings=every("instructions", period),
    )


def test_landing_on_a_context_change() -> None:
    sends(
        CODE,
        "1000 context=1\n1004\n1008 context=2 ctype=2\n100c",
        """
        3.3 no_change
        3.0 1000 context=1 time=0
        1 N 1004
        3.0 1008 context=2 time=0
        2 100c
        3.3 ended_rep disabled
        """,
        settings=every("instructions", 2, CONTEXTS),
    )


def test_landing_on_the_last_qualified_instruction() -> None:
    """The 3.0 is all that reports it; what was due behind it is forgotten."""
    agree(
        CODE,
        """
        1000
        1004
        1008 trace-off
        100c
        1000 trace-on
        1004
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 1004
        3.0 1008
        3.3 ended_rep
        3.0 1000
        1 N 1004
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\npause\n1000\n1004",
        Filtering(trTeInstTrigEnable=True),
        every("instructions", 2),
    )


def test_tracing_that_begins_again_is_a_synchronisation() -> None:
    """Four half-words from the second 3.0, not from the first."""
    agree(
        CODE,
        """
        1000
        1004 trace-off
        1008
        100c trace-on
        1000
        1004
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 1004
        3.3 ended_rep
        3.0 100c
        1 N 1004
        3.0 1008
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n100c\n1000\n1004\n1008",
        Filtering(trTeInstTrigEnable=True),
        every("instructions", 4),
    )


def test_packets_are_counted() -> None:
    """At the limit the next branch goes out with its address; above it the 3.0 follows.

    (The chapter also describes states in which the 3.0 comes at the limit already, branches or
    not; docs/choices.md, "Resynchronisation", is by the other sentence and by the flow chart.)
    """
    agree(
        CODE,
        """
        1000
        1004
        1008 notify
        100c
        1000
        1004
        1008
        100c
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 1008 notify
        1 N 1004
        3.0 1008
        2 100c
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c\n1000\n1004\n1008\n100c",
        settings=every("packets", 1),
    )


def test_cycles_are_counted() -> None:
    """By *time*: ten of them have passed at the second branch."""
    sends(
        CODE,
        """
        1000 time=0
        1004 time=6
        1008 time=7
        100c time=8
        1000 time=9
        1004 time=13
        1008 time=14
        100c time=15
        """,
        """
        3.3 no_change
        3.0 1000 context=0 time=0
        1 NN 1004
        3.0 1008 context=0 time=14
        2 100c
        3.3 ended_rep disabled
        """,
        settings=every("cycles", 10, CONTEXTS),
    )


@pytest.mark.parametrize("unit", ["packets", "instructions"])
@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_a_decoder_may_begin_at_any_synchronisation(unit: str, period: int) -> None:
    """From each 3.0 on, the packets mean the rest of the same flow."""
    loop = ["1000", "1004", "100c", "1000", "1004", "1008", "100c"]
    jumps = ["1010", "1014", "101c", "1010", "1014", "1018", "101c"]
    rows = [*jumps, *jumps, *loop, *loop, "1000"]
    text = "\n".join(rows)
    settings = every(unit, period)
    packets = product_encodes(flow(text, CODE), CODE, Filtering(), settings)
    starts = [at for at, packet in enumerate(packets) if packet.startswith("3.0")]
    assert meaning("\n".join(packets), CODE, settings) == rows
    assert len(starts) > 1
    for start in starts:
        rest = meaning("\n".join(packets[start:]), CODE, settings)
        assert rest == rows[len(rows) - len(rest) :]
        assert rest[0] == packets[start].split()[1]


def test_a_full_branch_map_when_it_is_due() -> None:
    """The address has to be reported: *branches* is 31, not 0."""
    agree(
        "2000: 00000063  beq zero,zero,2000",
        "\n".join(["2000"] * 32 + ["2000 taken"] * 2),
        f"""
        3.3 no_change
        3.0 2000 taken
        1 {"T" * 31} 2000
        3.0 2000 taken
        1 T 2000
        3.3 ended_rep disabled
        """,
        "\n".join(["2000"] * 34),
        settings=every("instructions", 62),
    )


# -- loss -----------------------------------------------------------------------------------------


def test_after_loss_a_support_packet_and_a_synchronisation() -> None:
    """ "The 1st packet loaded into the buffer when space next becomes available"."""
    rows = flow("\n".join(["1000", "1004 notify", "1008", "100c"] * 16), CODE)
    settings = replace(RV64, sink=Sink(rate=1, per=2, capacity=24, resume=4))
    packets = product_encodes(rows, CODE, Filtering(), settings)
    assert packets == model_encodes(rows, Filtering(), settings)
    following = [
        after.split()[0] for packet, after in pairwise(packets) if packet == "3.3 trace_lost"
    ]
    assert following == ["3.0", "3.0"]
    # packets were lost, not an end of qualification reported
    assert not any("ended" in packet for packet in packets)
    found = meaning("\n".join(packets), CODE)
    assert found.count("gap TRACE_LOST") >= 2
    assert "pause" not in found


def test_an_interrupt_whose_handler_is_first_after_loss() -> None:
    """The buffer has room again when the interrupt is taken: the handler is sent with its cause."""
    text = "1000 notify\n1004 notify\n1008\ninterrupt 7 at 1000\n2000\n2004\n2008\n200c\n1000"
    settings = replace(RV64, sink=Sink(rate=1, per=4, capacity=13, resume=8))
    assert product_encodes(flow(text, CODE), CODE, Filtering(), settings) == [
        "3.3 no_change",
        "3.0 1000",
        "3.3 trace_lost",
        "3.1 interrupt 7 thaddr=1 2000",
        "3.3 trace_lost disabled",
    ]


def test_an_interrupt_with_which_the_loss_began_and_ended() -> None:
    """What is lost is the address before it, six bytes; a support packet has room at once."""
    listing = """
        1000: 00000013  nop
        1004: 00030067  jr t1
        2000: 00000013  trap handler
        2004: 00000013  nop
        7f000000: 00000013  nop
    """
    rows = flow("1000\n1004\n7f000000\ninterrupt 7 at 7f000004\n2000\n2004", listing)
    settings = replace(RV64, sink=Sink(rate=1, per=1, capacity=8, resume=8))
    assert product_encodes(rows, listing, Filtering(), settings) == [
        "3.3 no_change",
        "3.0 1000",
        "3.3 trace_lost",
        "3.1 interrupt 7 thaddr=1 2000",
        "2 2004",
        "3.3 ended_rep disabled",
    ]


def test_a_trap_handler_first_after_loss() -> None:
    """3.1 is as good a synchronisation; the EPC is not where the trace was lost."""
    packets = """
        3.3 no_change
        3.0 1000
        1 N 1008 notify
        3.3 trace_lost
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep disabled
    """
    assert meaning(packets, CODE) == [
        "1000", "1004", "1008", "gap TRACE_LOST", "interrupt 7 at ? priv=?", "2000",
    ]  # fmt: skip
