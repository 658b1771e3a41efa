"""Trace bytes to packets, packets to the exact instruction flow."""

from decoder.bytes.packets import PacketReader, packets
from decoder.decoder import Decoder, Statistics
from decoder.expand import pc_pieces, pcs, trap_positions

__all__ = [
    "Decoder",
    "PacketReader",
    "Statistics",
    "packets",
    "pc_pieces",
    "pcs",
    "trap_positions",
]
