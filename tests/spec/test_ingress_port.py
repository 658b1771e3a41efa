"""E-Trace 2.0, "Hart to encoder interface", example 1: nine instructions in four blocks."""

from tests.model.adapter import Implementation
from tests.model.rows import Row
from tests.spec.notation import RV64, agree, code, flow

LISTING = """
    1000: 02c5d533  divuw
    1004: 00b50533  add
    1008: 00b56533  or
    100c: 9502      c.jalr a0
    0940: 00150513  addi
    0944: c119      c.beqz a0,94a
    0946: e129      c.bnez a0,988
    0988: 00054503  lbu
    098c: 30051073  csrrw
"""

FLOW = """
    1000
    1004
    1008
    100c
    0940
    0944
    0946
    0988
    098c
"""

#: (iretire, iaddr, itype), as in the specification's table.
BLOCKS = [(7, 0x1000, 8), (3, 0x0940, 4), (1, 0x0946, 5), (4, 0x0988, 0)]


def blocks(rows: list[Row]) -> list[tuple[int, int, int]]:
    """Rows gathered to blocks that end at every itype other than 0, and at the end."""
    gathered = []
    iretire, iaddr = 0, rows[0].iaddr
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        iretire += row.size // 2
        if row.itype != 0 or following is None:
            gathered.append((iretire, iaddr, row.itype))
            iretire, iaddr = 0, following.iaddr if following else 0
    return gathered


def test_blocks() -> None:
    assert blocks(flow(FLOW, code(LISTING), 64)) == BLOCKS


def test_packets(implementation: Implementation) -> None:
    agree(
        implementation,
        LISTING,
        FLOW,
        """
        3.3 no_change
        3.0 1000
        2 940
        1 NT 98c
        3.3 ended_rep
        """,
        RV64,
    )
