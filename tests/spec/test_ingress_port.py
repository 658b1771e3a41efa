"""E-Trace 2.0, "Hart to encoder interface", example 1: nine instructions in four blocks."""

from dataclasses import replace

import pytest

from tests.model.adapter import Implementation
from tests.model.rows import Row
from tests.spec.notation import RV64, agree, code, flow, lines, means, told

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


@pytest.mark.parametrize(("itype", "width"), [(3, 4), (14, 4), (6, 3), (14, 3)])
def test_xret_as_another_jump(implementation: Implementation, itype: int, width: int) -> None:
    """The reference flow gives 14, which a narrow port has as 6: a privilege change behind it is
    one behind an xRET, and no pause."""
    listing = "1000: 00000013 nop\n1004: 30200073 mret\n3000: 00000013 nop\n3004: 00000013 nop"
    text = "1000\n1004\n3000 priv=0\n3004 priv=0"
    packets = "3.3 no_change\n3.0 1000\n3.0 3000 priv=0\n2 3004\n3.3 ended_rep"
    settings = replace(RV64, parameters=replace(RV64.parameters, itype_width_p=width))
    rows = flow(text, code(listing), 64)
    rows[1] = replace(rows[1], itype=itype)
    assert told(implementation.encode(rows, settings), settings) == lines(packets)
    means(implementation, listing, packets, text, settings)
