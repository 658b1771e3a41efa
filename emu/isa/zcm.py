"""Zcmp and Zcmt: registers to and from the stack, and jumps through a table."""

from emu.isa.kinds import Shape, declare

declare(Shape.PUSH, "cm.push")
declare(Shape.POP, "cm.pop")
declare(Shape.POP_RETURN, "cm.popret", "cm.popretz")
declare(Shape.MOVES, "cm.mvsa01", "cm.mva01s")
declare(Shape.TABLE_JUMP, "cm.jt", "cm.jalt")
