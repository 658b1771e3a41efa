"""Instructions of the privileged architecture."""

from emu.isa.kinds import Shape, declare

declare(Shape.BOUNDARY, "mret", cost="mret")
declare(Shape.BOUNDARY, "sret", cost="mret")
declare(Shape.BOUNDARY, "wfi")
declare(
    Shape.BOUNDARY, "sfence.vma", "sinval.vma", "sfence.w.inval", "sfence.inval.ir", cost="fence.i"
)
