"""E-Trace 2.0, "Reference Compressed Branch Trace Algorithm": resynchronisation.

And what docs/choices.md adds for loops that no packet would show.
"""

from dataclasses import replace

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Resync, Settings
from tests.spec.notation import RV64, agree

LOOP = """
    1000: 00000013  nop
    1004: fe000ee3  beq zero,zero,1000
    1008: 00000013  nop
"""


def every(unit: str, period: int) -> Settings:
    return Settings(RV64.parameters, RV64.modes, Resync(unit, period))


def test_resync_by_packets(implementation: Implementation) -> None:
    """At the limit the branch goes out with an address; above it a 3.0 follows."""
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        1000 notify     # packet 1 since the 3.0
        1004            # limit reached: the branch must go out
        1000            # above the limit
        1004
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        1 T 1000 notify
        1 T 1004
        3.0 1000
        1 N 1008
        3.3 ended_rep
        """,
        every("packets", 1),
    )


@pytest.mark.parametrize("period", [3, 4, 5, 6])
def test_resync_by_instructions(implementation: Implementation, period: int) -> None:
    """Four half-words a round; the row of the 3.0 is not counted."""
    agree(
        implementation,
        LOOP,
        """
        1000
        1004
        1000
        1004
        1000
        1004
        1000
        1004
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        1 TT 1004
        3.0 1000
        1 TN 1004
        3.0 1008
        3.3 ended_rep
        """,
        every("instructions", period),
    )


def test_a_trap_resynchronises_too(implementation: Implementation) -> None:
    agree(
        implementation,
        LOOP,
        """
        1000
        1004 taken
        interrupt 7 at 1000
        1008
        """,
        """
        3.3 no_change
        3.0 1000
        1 T 1004
        3.1 interrupt 7 thaddr=1 1008
        3.3 ended_rep
        """,
        every("instructions", 2),
    )


ENDLESS = """
    1000: 0000006f  j 1000
    2000: 00000013  trap handler
"""


EXACT_LOOPS = replace(RV64, exact_loops=True)


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_an_endless_loop_left_by_an_interrupt(implementation: Implementation, rounds: int) -> None:
    """What the flow chart sends does not depend on the rounds, and the decoder says so."""
    agree(
        implementation,
        ENDLESS,
        "1000\n" * rounds + "interrupt 7 at 1000\n2000",
        """
        3.3 no_change
        3.0 1000
        2 1000
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep
        """,
        meant="1000\nloop 1 at 1000\n1000\ninterrupt 7 at 1000\n2000",
    )


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_a_packet_for_each_round(implementation: Implementation, rounds: int) -> None:
    """`loops = "exact"`."""
    packets = ["3.3 no_change", "3.0 1000", *["2 1000 notify"] * (rounds - 2), "2 1000"]
    packets += ["3.1 interrupt 7 thaddr=1 2000", "3.3 ended_rep"]
    agree(
        implementation,
        ENDLESS,
        "\n".join(["1000"] * rounds) + "\ninterrupt 7 at 1000\n2000",
        "\n".join(packets),
        EXACT_LOOPS,
    )


def test_a_loop_of_several_instructions(implementation: Implementation) -> None:
    """The round begins anywhere: where the packet says that the hart was."""
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 0040006f  j 1008
        1008: ff9ff06f  j 1000
        2000: 00000013  trap handler
        """,
        "1000\n1004\n1008\n1000\n1004\n1008\n1000\ninterrupt 7 at 1004\n2000",
        """
        3.3 no_change
        3.0 1000
        2 1000
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep
        """,
        meant="1000\n1004\n1008\nloop 3 at 1000\n1000\ninterrupt 7 at 1004\n2000",
    )


def test_a_loop_that_is_left_at_once_is_told(implementation: Implementation) -> None:
    """The 3.0 of the only round was the last packet: nothing is open."""
    agree(
        implementation,
        ENDLESS,
        "1000\ninterrupt 7 at 1000\n2000",
        """
        3.3 no_change
        3.0 1000
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep
        """,
    )


def test_a_round_that_a_decoder_would_stop_too_early(implementation: Implementation) -> None:
    """1008 was passed before: without the packet sent twice, a decoder would take that visit."""
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000013  nop
        1008: 00000013  nop
        100c: ff5ff06f  j 1000
        1010: ff9ff06f  j 1008
        3000: 00000013  trap handler
        """,
        """
        1010
        1008
        100c
        1000
        1004
        1008
        interrupt 7 at 100c
        3000
        """,
        """
        3.3 no_change
        3.0 1010
        2 1008 notify
        2 1008
        3.1 interrupt 7 thaddr=1 3000
        3.3 ended_rep
        """,
        EXACT_LOOPS,
    )


def test_a_round_with_a_branch_is_told(implementation: Implementation) -> None:
    """There would be an outcome for it: the address was met once."""
    agree(
        implementation,
        """
        0ffc: 00000013  nop
        1000: 00000013  nop
        1004: 00000463  beq zero,zero,100c
        1008: ff9ff06f  j 1000
        2000: 00000013  trap handler
        """,
        "ffc\n1000\ninterrupt 7 at 1004\n2000",
        """
        3.3 no_change
        3.0 ffc
        2 1000
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep
        """,
    )
