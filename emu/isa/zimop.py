"""May-be-operations: Zimop. (Those of Zcmop write no register: they are addi of x0.)"""

from emu.isa.kinds import register
from specs.kernels.words import U0


@register(*(f"mop.r.{n}" for n in range(32)), *(f"mop.rr.{n}" for n in range(8)))
def mop(a):
    return U0
