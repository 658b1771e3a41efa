"""E-Trace 2.0, section "Format 2 notify and updiscon fields": the four scenarios, and qual_status.

A loop with an indirect jump back to looplabel (1004). Its first entry falls through from 1000.
"""

from tests.model.adapter import Implementation
from tests.model.settings import Parameters, Resync, Settings
from tests.spec.notation import RV64, agree, means

LOOP = """
    1000: 00000013  opcode A
    1004: 00000013  opcode B     (looplabel)
    1008: 00000013  opcode C
    100c: 00030067  jr t1        (to looplabel)
    1010: 00000013  next
    2000: 00000013  trap handler
    2004: 30200073  mret
"""


def test_scenario_1_the_second_pass_goes_on(implementation: Implementation) -> None:
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        1008
        100c
        1004
        1008
        100c
        1004
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        2 1004
        2 1008
        3.3 ended_rep
        """,
    )


def test_scenario_2_an_exception_in_the_second_pass(implementation: Implementation) -> None:
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        1008
        100c
        1004
        exception 2 tval=0 at 1008
        2000
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004 updiscon
        3.1 exception 2 tval=0 thaddr=1 2000
        3.3 ended_rep
        """,
    )


def test_scenario_2_resync_in_the_second_pass(implementation: Implementation) -> None:
    agree(
        implementation,
        "0ffc: 00000013  nop" + LOOP,
        """
        ffc
        1000 notify     # the one packet of the period
        1004
        1008
        100c
        1004
        1008
        """,
        """
        3.3 no_change
        3.0 ffc
        2 1000 notify
        2 1004 updiscon
        3.0 1008
        3.3 ended_rep
        """,
        Settings(RV64.parameters, RV64.modes, Resync("packets", 1)),
    )


def test_scenario_3_an_exception_in_the_first_pass(implementation: Implementation) -> None:
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        exception 2 tval=0 at 1008
        2000
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.1 exception 2 tval=0 thaddr=1 2000
        3.3 ended_rep
        """,
    )


def test_scenario_4_a_notify_request(implementation: Implementation) -> None:
    """Later executions of looplabel are reported because of the jump: notify is not set."""
    agree(
        implementation,
        LOOP,
        """
        1000
        1004 notify
        1008
        100c
        1004 notify
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004 notify
        2 1004
        2 1008
        3.3 ended_rep
        """,
    )


def test_a_context_packet_in_between_decides_nothing(implementation: Implementation) -> None:
    """Only a synchronisation packet would show that looplabel was reached in the first pass."""
    means(
        implementation,
        LOOP,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.2
        2 1008
        3.3 ended_rep
        """,
        """
        1000
        1004
        1008
        100c
        1004
        1008
        """,
        Settings(Parameters(iaddress_width_p=64, nocontext_p=0, context_width_p=8)),
    )


def test_ended_rep_after_the_first_pass(implementation: Implementation) -> None:
    """Section "Format 3 subformat 3 qual_status field"."""
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        """,
    )


def test_ended_ntr_in_the_second_pass(implementation: Implementation) -> None:
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        1008
        100c
        1004
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_ntr
        """,
    )


def test_a_3_0_that_reports_a_later_instruction(implementation: Implementation) -> None:
    """A privilege change with an empty branch map sends nothing before its 3.0.

    So a 3.0 next to looplabel's packet is no sign of scenario 3, unless it reports the instruction
    right after looplabel.
    """
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000013  looplabel
        1008: 30200073  mret
        3000: 00000013  user code
        """,
        """
        1000
        1004
        1008
        1004
        1008
        3000 priv=0
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.0 3000 priv=0
        3.3 ended_rep
        """,
    )


def test_a_3_0_at_another_privilege_level(implementation: Implementation) -> None:
    """It is for the instruction behind the one reported, but nothing leads there from the first
    visit: only an xRET changes the level."""
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000013  nop
        1008: 00000013  nop
        100c: 30200073  mret
        """,
        """
        1000
        1004
        1008
        100c
        1004
        1008
        100c
        1008 priv=0
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.0 1008 priv=0
        3.3 ended_rep
        """,
    )
