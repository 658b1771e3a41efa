"""Trace bytes to packets, packets to the exact instruction flow."""

from decoder.decoder import Decoder, Statistics
from decoder.expand import pc_pieces, pcs, trap_positions
from decoder.packets import PacketReader, packets

__all__ = [
    "Decoder",
    "PacketReader",
    "Statistics",
    "packets",
    "pc_pieces",
    "pcs",
    "trap_positions",
]
