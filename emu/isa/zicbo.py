"""Cache blocks: Zicbom and Zicboz. (What Zicbop has are hints.)"""

from emu.isa.kinds import Shape, declare

declare(Shape.CACHE_BLOCK, "cbo.inval", "cbo.clean", "cbo.flush", "cbo.zero")
