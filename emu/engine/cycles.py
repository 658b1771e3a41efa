"""A simple cost model: cycles of a small in-order core, by class of instruction.

Not that of any chip: it makes time advance unevenly, as on hardware, and the same in every run. An
instruction takes the cycles of its class, a taken branch and a trap some more, a `wfi` that waits
as long as the timer says (a tick of mtime is `INSTRUCTIONS_PER_TICK` cycles then).
"""

import numpy as np
import numpy.typing as npt

from emu.engine import operations as ops

#: Class: cycles, micro-operations. What is in none (arithmetic, branches not taken) takes one.
CLASSES: dict[str, tuple[int, range]] = {
    "load": (2, range(ops.LB, ops.LWU + 1)),
    "multiply": (3, range(ops.MUL, ops.MULW + 1)),
    "multiply high": (3, range(ops.MULHSU, ops.MULHSU_32 + 1)),
    "divide": (20, range(ops.DIV, ops.REMUW + 1)),
    "atomic": (5, range(ops.LR_W, ops.AMOMAXU_D + 1)),
    "jump": (2, range(ops.JAL, ops.JAL + 1)),
    "jump through a register": (3, range(ops.JALR, ops.JALR + 1)),
    "csr": (3, range(ops.CSRRW, ops.CSRRCI + 1)),
    "fence.i": (10, range(ops.FENCE_I, ops.FENCE_I + 1)),
    "mret": (4, range(ops.MRET, ops.MRET + 1)),
}
#: More, for a branch that is taken and for a trap.
TAKEN_BRANCH, TRAP = 2, 4


def _by_operation() -> npt.NDArray[np.uint64]:
    cycles = np.ones(256, np.uint64)
    for each, operations in CLASSES.values():
        cycles[operations.start : operations.stop] = each
    return cycles


#: Cycles by micro-operation, as `emu.engine.operations.operations` gives it.
CYCLES = _by_operation()
