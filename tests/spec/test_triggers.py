"""E-Trace 2.0, "Using trigger outputs from the Debug Module", and comparators that notify.

And *halted* and *reset* of "Optional sideband encoder input signals".
"""

import numpy as np
import pytest

from specs.interfaces import ingress
from tests.model.filters import Comparator, Filter, Filtering, window
from tests.spec.notation import RV64
from tests.spec.notation_context import agree, product_sends, sends

CODE = """
    1000: 00000013  nop
    1004: 00000013  nop
    1008: 00000463  beq zero,zero,1010
    100c: 00000013  nop
    1010: 00000013  nop
    1014: 00030067  jr t1
    1018: 00000013  nop
    101c: 00000013  nop
    2000: 00000013  trap handler
    2004: 00000013  nop
"""
OFF = Filtering(trTeInstTracing=False, trTeInstTrigEnable=True)
ON = Filtering(trTeInstTracing=True, trTeInstTrigEnable=True)


def test_on_and_off() -> None:
    """From the instruction with trace-on, to that with trace-off, both included."""
    agree(
        CODE,
        """
        1000
        1004 trace-on
        1008
        100c trace-off
        1010
        """,
        """
        3.3 no_change
        3.0 1004
        1 N 100c
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1004\n1008\n100c",
        OFF,
    )


def test_off_on_the_cycle_before_on() -> None:
    """Tracing continues unimpeded."""
    agree(
        CODE,
        """
        1000
        1004 trace-off
        1008 trace-on
        100c
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 100c
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c",
        ON,
    )


def test_both_at_once_while_off() -> None:
    """Only the instructions retired in that cycle."""
    agree(
        CODE,
        """
        1000
        1004 trace-on trace-off
        1008
        """,
        """
        3.3 no_change
        3.0 1004
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        "1004",
        OFF,
    )


def test_both_at_once_while_on() -> None:
    """Stops following the newest instruction of that cycle."""
    sends(
        CODE,
        "1000\n1004 trace-on trace-off\n1008",
        "3.3 no_change\n3.0 1000\n2 1004\n3.3 ended_rep\n3.3 ended_rep disabled",
        ON,
    )


def test_on_while_on_and_off_while_off() -> None:
    sends(
        CODE,
        "1000\n1004 trace-on\n1008\n100c trace-off\n1010 trace-off\n1014",
        "3.3 no_change\n3.0 1000\n1 N 100c\n3.3 ended_rep\n3.3 ended_rep disabled",
        ON,
    )


@pytest.mark.parametrize("tracing", [False, True])
def test_triggers_that_are_not_enabled(tracing: bool) -> None:
    """trTeInstTrigEnable 0: trTeInstTracing stays."""
    packets = "3.3 no_change\n3.0 1000\n2 1004\n" * tracing or "3.3 no_change\n"
    sends(
        CODE,
        "1000 trace-on\n1004 trace-off" if not tracing else "1000 trace-off\n1004",
        packets + "3.3 ended_rep disabled",
        Filtering(trTeInstTracing=tracing),
    )


def test_subject_to_filters() -> None:
    filtering = Filtering(
        1, (Filter(trTeFilterMatchComp1=True),), (window(0x1004, 0x100C),), False, True
    )
    sends(
        CODE,
        "1000 trace-on\n1004\n1008\n100c\n1010\n1014 trace-off",
        "3.3 no_change\n3.0 1004\n1 N 100c\n3.3 ended_rep\n3.3 ended_rep disabled",
        filtering,
    )


def test_a_block_is_traced_from_its_oldest_to_its_newest_instruction() -> None:
    """Blocks of several instructions: 1000-1004, 1010-1014 with both triggers, 1018-101c."""
    blocks = [(0x1000, 4, 1, 1, 0, 3), (0x1010, 4, 1, 1, 0, 3), (0x1018, 4, 1, 1, 0, 3)]
    both = ingress.TRIGGER_ON | ingress.TRIGGER_OFF
    chunk = ingress.Chunk(
        np.array([0 << 4, ingress.SIDEBAND_CODE, 1 << 4 | 10, 2 << 4], np.uint32),
        np.array(blocks, ingress.BLOCK),
        sidebands=np.array([(0, 0, 0, both, 0)], ingress.SIDEBAND),
    )
    assert product_sends(chunk, CODE, OFF, RV64) == [
        "3.3 no_change",
        "3.0 1010",
        "2 1014",
        "3.3 ended_rep",
        "3.3 ended_rep disabled",
    ]


def test_on_at_an_exception() -> None:
    """It is on the first traced instruction: thaddr 0 with the EPC."""
    agree(
        CODE,
        """
        1000
        exception 2 tval=0 at 1004 trace-on
        2000
        2004
        """,
        """
        3.3 no_change
        3.1 exception 2 tval=0 thaddr=0 1004
        3.0 2000
        2 2004
        3.3 ended_rep disabled
        """,
        "exception 2 tval=0 at 1004\n2000\n2004",
        OFF,
    )


def test_on_at_the_first_instruction_of_a_handler() -> None:
    """3.1, with the cause: the first traced instruction is the first in a trap handler."""
    sends(
        CODE,
        "1000\nexception 2 tval=0 at 1004\n2000 trace-on\n2004",
        """
        3.3 no_change
        3.1 exception 2 tval=0 thaddr=1 2000
        2 2004
        3.3 ended_rep disabled
        """,
        OFF,
    )


# -- trace-notify ---------------------------------------------------------------------------------


def test_notify() -> None:
    """The address is reported, notify differs from its MSB; branches go with it."""
    agree(
        CODE,
        """
        1000
        1004 notify
        1008
        100c notify
        1010
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004 notify
        1 N 100c notify
        2 1010
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c\n1010",
    )


def test_notify_where_the_address_is_reported_anyway() -> None:
    """First traced, target of an uninferable jump, first of a trap handler: nothing more."""
    agree(
        CODE,
        """
        1014 notify
        1018 notify
        exception 2 tval=0 at 101c
        2000 notify
        2004
        """,
        """
        3.3 no_change
        3.0 1014
        2 1018 updiscon
        3.1 exception 2 tval=0 thaddr=1 2000
        2 2004
        3.3 ended_rep disabled
        """,
        "1014\n1018\nexception 2 tval=0 at 101c\n2000\n2004",
    )


def test_notify_in_the_ambiguous_loop() -> None:
    """Scenario 4 of "Format 2 notify and updiscon fields": the first visit, then the second."""
    loop = """
        1000: 00000013
        1004: 00000013  looplabel
        1008: 00030067  jr t1
    """
    agree(
        loop,
        "1000\n1004 notify\n1008\n1004 notify\n1008\n1004",
        "3.3 no_change\n3.0 1000\n2 1004 notify\n2 1004\n2 1004\n3.3 ended_ntr disabled",
        "1000\n1004\n1008\n1004\n1008\n1004",
    )


def test_notify_needs_a_qualified_instruction() -> None:
    sends(
        CODE,
        "1000 notify\n1004\n1008\n100c notify",
        "3.3 no_change\n3.0 1004\n3.3 ended_rep\n3.3 ended_rep disabled",
        Filtering(1, (Filter(trTeFilterMatchComp1=True),), (window(0x1004, 0x1004),)),
    )


@pytest.mark.parametrize("primary", [True, False])
def test_a_comparator_that_notifies(primary: bool) -> None:
    """trTeCompPNotify, trTeCompSNotify: a watchpoint; everything is traced."""
    unit = (
        Comparator(trTeCompPMatch=0x100C, trTeCompPNotify=True)
        if primary
        else Comparator(
            trTeCompPFunction=6, trTeCompSFunction=0, trTeCompSMatch=0x100C, trTeCompSNotify=True
        )
    )
    sends(
        CODE,
        "1000\n1004\n1008\n100c\n1010",
        "3.3 no_change\n3.0 1000\n1 N 100c notify\n2 1010\n3.3 ended_rep disabled",
        Filtering(comparators=(unit,)),
    )


def test_notify_needs_iaddr_as_input() -> None:
    """Of a comparator with another input it has no effect."""
    unit = Comparator(trTeCompPInput=1, trTeCompPFunction=7, trTeCompPNotify=True)
    sends(
        CODE,
        "1000\n1004\n1008",
        "3.3 no_change\n3.0 1000\n1 N 1008\n3.3 ended_rep disabled",
        Filtering(comparators=(unit,)),
    )


# -- halted and reset -----------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["halted", "reset"])
def test_halted_and_reset(signal: str) -> None:
    """The last retired before it is reported, a support packet follows; then a 3.0 begins."""
    agree(
        CODE,
        f"""
        1000
        1004
        1008
        100c
        2000 {signal}
        2004
        """,
        """
        3.3 no_change
        3.0 1000
        1 N 100c
        3.3 ended_rep
        3.0 2000
        2 2004
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c\npause\n2000\n2004",
    )


def test_halted_where_the_flow_would_go_on() -> None:
    """Resumed at the very next instruction: synchronisation all the same."""
    agree(
        CODE,
        "1000\n1004\n1008 halted taken\n1010",
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        3.0 1008 taken
        2 1010
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n1008\n1010",
    )


def test_halted_behind_the_target_of_an_updiscon() -> None:
    sends(
        CODE,
        "1010\n1014\n1018\n1000 halted",
        "3.3 no_change\n3.0 1010\n2 1018\n3.3 ended_ntr\n3.0 1000\n3.3 ended_rep disabled",
    )
