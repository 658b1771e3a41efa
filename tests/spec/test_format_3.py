"""E-Trace 2.0, section "Format 3 packets": synchronisation, traps, end of trace."""

from tests.model.adapter import Implementation
from tests.spec.notation import agree

CODE = """
    1000: 00000013  nop
    1004: 00000463  beq zero,zero,100c
    1008: 00000013  nop
    100c: 00030067  jr t1
    1010: 30200073  mret
    2000: 00000063  beq zero,zero,2000      (trap handler)
    2004: 00000013  nop
    3000: 00000013  another trap handler
    3004: 00000013  nop
"""


def test_branch_field_of_the_first_instruction(implementation: Implementation) -> None:
    """The case of "Format 3 branch field": a traced branch first, then immediately an exception."""
    agree(
        implementation,
        CODE,
        """
        1004 taken
        exception 2 tval=13 at 100c
        3000
        """,
        """
        3.3 no_change
        3.0 1004 taken
        3.1 exception 2 tval=13 thaddr=1 3000
        3.3 ended_rep
        """,
    )


def test_branch_field_of_a_trap_handler(implementation: Implementation) -> None:
    agree(
        implementation,
        CODE,
        """
        1000
        interrupt 7 at 1004
        2000
        2000
        2004
        """,
        """
        3.3 no_change
        3.0 1000
        3.1 interrupt 7 thaddr=1 2000 taken
        1 N 2004
        3.3 ended_rep
        """,
    )


def test_exception_at_the_target_of_an_updiscon(implementation: Implementation) -> None:
    """Section "Format 3 thaddr, address and privilege fields": EPC first, then a 3.0."""
    agree(
        implementation,
        CODE,
        """
        1000
        1004 taken
        100c
        exception 12 tval=5000 at 5000
        3000
        3004
        """,
        """
        3.3 no_change
        3.0 1000
        1 T 100c
        3.1 exception 12 tval=5000 thaddr=0 5000
        3.0 3000
        2 3004
        3.3 ended_rep
        """,
    )


def test_exception_on_the_first_traced_instruction(implementation: Implementation) -> None:
    agree(
        implementation,
        CODE,
        """
        exception 2 tval=0 at 1000
        3000
        """,
        """
        3.3 no_change
        3.1 exception 2 tval=0 thaddr=0 1000
        3.0 3000
        3.3 ended_rep
        """,
    )


def test_a_second_exception_immediately(implementation: Implementation) -> None:
    """thaddr 0; the handler that did not retire is in `address` (docs/choices.md)."""
    agree(
        implementation,
        CODE,
        """
        1000 priv=0
        exception 8 tval=0 at 1004 priv=0
        exception 12 tval=2000 at 2000
        3000
        3004
        """,
        """
        3.3 no_change
        3.0 1000 priv=0
        3.1 exception 8 tval=0 thaddr=0 2000 priv=0
        3.1 exception 12 tval=2000 thaddr=1 3000
        2 3004
        3.3 ended_rep
        """,
    )


def test_three_traps_at_the_target_of_an_updiscon(implementation: Implementation) -> None:
    agree(
        implementation,
        CODE,
        """
        1010
        exception 1 tval=7000 at 7000 priv=0
        interrupt 11 at 2000
        exception 1 tval=2000 at 2000
        3000
        """,
        """
        3.3 no_change
        3.0 1010
        3.1 exception 1 tval=7000 thaddr=0 7000 priv=0
        3.1 interrupt 11 thaddr=0 2000
        3.1 exception 1 tval=2000 thaddr=0 2000
        3.0 3000
        3.3 ended_rep
        """,
    )


def test_privilege_change_at_a_trap_return(implementation: Implementation) -> None:
    """Unreported branches go out before the 3.0, which has no branch map."""
    agree(
        implementation,
        """
        1000: 00000463  beq zero,zero,1008
        1004: 00000463  beq zero,zero,100c
        1008: 00000013  nop
        100c: 30200073  mret
        3000: 00000013  user code
        3004: 00000013  nop
        """,
        """
        1000
        1004
        100c
        3000 priv=0
        3004 priv=0
        """,
        """
        3.3 no_change
        3.0 1000
        1 T 100c
        3.0 3000 priv=0
        2 3004
        3.3 ended_rep
        """,
    )


def test_a_trap_at_another_privilege_level(implementation: Implementation) -> None:
    """A privilege change onto a trap (docs/choices.md, "Which trap packet"): no flow leads from the
    instruction before to it, so that its address is reported; and `privilege` is its own."""
    agree(
        implementation,
        CODE,
        """
        1000
        exception 2 tval=0 at 1008 priv=0
        2000
        2004
        """,
        """
        3.3 no_change
        3.0 1000
        3.1 exception 2 tval=0 thaddr=0 1008 priv=0
        3.0 2000
        2 2004
        3.3 ended_rep
        """,
    )


def test_a_trap_that_nothing_follows(implementation: Implementation) -> None:
    agree(
        implementation,
        CODE,
        """
        1000
        exception 2 tval=0 at 1004
        """,
        """
        3.3 no_change
        3.0 1000
        3.1 exception 2 tval=0 thaddr=0 0
        3.3 ended_rep
        """,
    )


def test_a_trace_of_nothing(implementation: Implementation) -> None:
    agree(implementation, CODE, "", "3.3 no_change\n3.3 ended_rep")
