"""Which instructions transfer control, and the itype of each jump, as data.

E-Trace 2.0, "Jump classification and target inference": calls and returns are told by the link
registers x1 and x5.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from specs.isa.decode import EXPANSION, INDEX, NAMES, buckets
from specs.isa.itype import Itype
from specs.isa.tables import SELECTIONS


class Kind(IntEnum):
    """What an instruction does to the flow when it retires (`ENVIRONMENT` never does)."""

    SEQUENTIAL = 0
    BRANCH = 1
    INFERABLE_JUMP = 2
    UNINFERABLE_JUMP = 3
    TRAP_RETURN = 4
    ENVIRONMENT = 5


SEQUENTIAL = int(Kind.SEQUENTIAL)
BRANCH = int(Kind.BRANCH)
INFERABLE_JUMP = int(Kind.INFERABLE_JUMP)
UNINFERABLE_JUMP = int(Kind.UNINFERABLE_JUMP)
TRAP_RETURN = int(Kind.TRAP_RETURN)
ENVIRONMENT = int(Kind.ENVIRONMENT)

#: Jumps whose registers are not in their encoding. cm.popret is a return ("Itype and block",
#: of instructions that do several things); a table jump takes its target from memory, and is
#: classified as a jalr of neither link register that writes x0 or ra.
_IMPLIED_ITYPE = {
    "cm.popret": Itype.RETURN,
    "cm.popretz": Itype.RETURN,
    "cm.jt": Itype.UNINFERABLE_JUMP,
    "cm.jalt": Itype.UNINFERABLE_CALL,
}

_BY_KIND = {
    Kind.BRANCH: ("beq", "bne", "blt", "bge", "bltu", "bgeu"),
    Kind.INFERABLE_JUMP: ("jal",),
    Kind.UNINFERABLE_JUMP: ("jalr", *_IMPLIED_ITYPE),
    Kind.TRAP_RETURN: ("mret", "sret", "dret", "mnret", "uret"),
    Kind.ENVIRONMENT: ("ecall", "ebreak"),
}


def _kinds() -> npt.NDArray[np.int64]:
    base = np.zeros(len(EXPANSION), np.int64)
    for kind, names in _BY_KIND.items():
        base[[INDEX[name] for name in names]] = kind
    return base[EXPANSION]


#: `Kind` by instruction index.
KIND = _kinds()
#: itype by instruction index of jumps that imply it, 0 for all others.
IMPLIED_ITYPE = np.array([_IMPLIED_ITYPE.get(name, 0) for name in NAMES], np.int64)
LUI, AUIPC, JALR = INDEX["lui"], INDEX["auipc"], INDEX["jalr"]

#: Whether a bucket of the decoder holds any control transfer: most words need no further look.
MAY_TRANSFER = np.array(
    [[any(KIND[i] for i in candidates) for candidates in buckets(xlen)] for xlen in SELECTIONS]
)

#: By destination: x0; neither x0 nor a link register; x1 or x5 (the link registers).
INFERABLE_ITYPE = np.array(
    [Itype.INFERABLE_JUMP, Itype.OTHER_INFERABLE_JUMP, Itype.INFERABLE_CALL], np.int64
)
#: By destination as above, and source: no link register; the destination's; another link register.
UNINFERABLE_ITYPE = np.array(
    [
        [Itype.UNINFERABLE_JUMP, Itype.RETURN, Itype.RETURN],
        [Itype.OTHER_UNINFERABLE_JUMP, Itype.RETURN, Itype.RETURN],
        [Itype.UNINFERABLE_CALL, Itype.UNINFERABLE_CALL, Itype.COROUTINE_SWAP],
    ],
    np.int64,
)
