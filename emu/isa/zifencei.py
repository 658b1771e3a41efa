"""Zifencei."""

from emu.isa.kinds import Shape, declare

declare(Shape.BOUNDARY, "fence.i", cost="fence.i")
