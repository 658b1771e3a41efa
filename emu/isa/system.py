"""Instructions of the privileged architecture that a machine-mode hart has."""

from emu.isa.kinds import Shape, declare

declare(Shape.BOUNDARY, "mret", cost="mret")
declare(Shape.BOUNDARY, "wfi")
