"""A simple cost model: cycles of a small in-order core, by class of instruction.

Not that of any chip: it makes time advance unevenly, as on hardware, and the same in every run. An
instruction takes the cycles of its class, a taken branch and a trap some more, a `wfi` that waits
as long as the timer says (a tick of mtime is `INSTRUCTIONS_PER_TICK` cycles then).
"""

import numpy as np

from emu.engine.operations import Operation, by_number
from emu.isa.kinds import Shape

#: Cycles by class. What is in none (arithmetic, branches not taken) takes one.
CLASSES: dict[str, int] = {
    "load": 2,
    "multiply": 3,
    "multiply high": 3,
    "divide": 20,
    "atomic": 5,
    "jump": 2,
    "jump through a register": 3,
    "csr": 3,
    "fence.i": 10,
    "mret": 4,
}
#: The class of a shape, where a meaning says no other.
_OF_SHAPE = {
    Shape.LOAD: "load",
    Shape.ATOMIC: "atomic",
    Shape.RESERVE: "atomic",
    Shape.CONDITIONAL: "atomic",
    Shape.JUMP: "jump",
    Shape.INDIRECT: "jump through a register",
    Shape.CSR: "csr",
    Shape.CSR_WRITE: "csr",
}
#: More, for a branch that is taken and for a trap.
TAKEN_BRANCH, TRAP = 2, 4


def _cycles(operation: Operation) -> int:
    cost = operation.meaning.cost or _OF_SHAPE.get(operation.shape, "")
    return CLASSES[cost] if cost else 1


#: Cycles by micro-operation, as `emu.engine.operations.operations` gives it.
CYCLES = by_number(_cycles, np.uint64)
