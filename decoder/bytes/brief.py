"""Packets in brief: one cache line a packet.

A brief is a row of uint64. Packets of the frequent formats 0.1, 1 and 2 stand in it whole, as far
as flow reconstruction cares; of the others it tells the table, and where the row of
`specs.trace.packets.Column` with all the rest is.
"""

from enum import IntEnum

import numpy as np


class Brief(IntEnum):
    """Columns. Where they are fields of the packet they are named as in
    `specs.trace.packets.Column`."""

    offset = 0
    reason = 1
    table = 2
    branches = 3
    branch_map = 4
    address = 5  # or the index of format 0.1
    flags = 6  # by `Flag`, and irdepth or irets behind them
    detail = 7  # index of the row with every column


class Flag(IntEnum):
    """Bits of `Brief.flags`."""

    NOTIFY = 1
    UPDISCON = 2
    IRREPORT = 4


BRIEFS = len(Brief)
#: Where irdepth or irets begins in the flags.
DEPTH_SHIFT = np.uint64(8)
