"""The hart-to-encoder interface (E-Trace 2.0, "Instruction Trace Interface") as arrays.

A source (our emulator, a Spike log, an RTL simulator's CSV) delivers *chunks*. A chunk is an array
of 32-bit references into three tables:

    reference = index << 4 | code        (code: the low four bits)

    code            table        meaning
    0, 3-6, 8-15    blocks       a retirement block; the code is its itype
    1, 2            traps        an exception / interrupt after the preceding block; retires nothing
    7               sidebands    annotates the reference that follows it

`itype` stands in the reference because a branch block is executed with either outcome (4, 5); the
rest of a block is static, so a source enters it once and refers to it at each execution: four
bytes a block in the stream. itype 7 is reserved by the specification; here it is the side band.

Tables belong to their chunk: an encoder keeps values, never indices, from one chunk to the next.
A source may pass the same growing table with every chunk.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specs.interfaces.records import record

#: A retirement block: `iretire` half-words of contiguous instructions from `iaddr`, all retired at
#: privilege `priv`. The last is `2**ilastsize` half-words long, the first `2**ifirstsize`
#: (`UNKNOWN_SIZE` where the source cannot tell: a foreign multi-instruction block).
BLOCK = np.dtype(
    [
        ("iaddr", "<u8"),
        ("iretire", "<u4"),
        ("ilastsize", "u1"),
        ("ifirstsize", "u1"),
        ("sijump", "u1"),
        ("priv", "u1"),
    ]
)

#: A trap. For an exception `iaddr` is the instruction that caused it (it did not retire), for an
#: interrupt the instruction that would have executed next (the specification leaves iaddr of an
#: interrupt open; `iaddr_valid` is 0 where a source does not know it). `priv` is the privilege
#: level before the trap. `cause` is without the interrupt bit: the reference's code says which.
TRAP = record(
    ("iaddr", "<u8"),
    ("tval", "<u8"),
    ("cause", "<u8"),
    ("priv", "u1"),
    ("iaddr_valid", "u1"),
)

#: Side band of the reference that follows: context and time with the way to report them (`ctype`),
#: and the trigger outputs. `trigger` bit 2 is trace-notify (bits 0 and 1, trace-on and -off).
#: `flags`: which of context and time are given, and what happened between the reference before and
#: the one that follows: the hart was halted, or reset, or ran without being qualified for tracing.
#: `TRAP_UNQUALIFIED`: the reference that follows is a trap that is not qualified itself, but the
#: row behind it is: the first of its handler, which reports it.
SIDEBAND = record(
    ("context", "<u8"),
    ("time", "<u8"),
    ("ctype", "u1"),
    ("trigger", "u1"),
    ("flags", "u1"),
)

#: `SIDEBAND.flags`.
HAS_CONTEXT, HAS_TIME, HALTED, RESET, UNQUALIFIED, TRAP_UNQUALIFIED = 1, 2, 4, 8, 16, 32
TRIGGER_ON, TRIGGER_OFF, TRIGGER_NOTIFY = 1, 2, 4

UNKNOWN_SIZE = 255
CODE_BITS = 4
CODE_MASK = 15
SIDEBAND_CODE = 7
MAX_INDEX = (1 << 28) - 1


def _empty(dtype: npt.DTypeLike) -> npt.NDArray[np.void]:
    return np.zeros(0, dtype)


@dataclass
class Chunk:
    """A stretch of the stream: `refs` (uint32) into the tables beside it.

    `fresh`: rows of `blocks` before it stood, unchanged, in the previous chunk's table.
    """

    refs: npt.NDArray[np.uint32]
    blocks: npt.NDArray[np.void] = field(default_factory=lambda: _empty(BLOCK))
    traps: npt.NDArray[np.void] = field(default_factory=lambda: _empty(TRAP))
    sidebands: npt.NDArray[np.void] = field(default_factory=lambda: _empty(SIDEBAND))
    fresh: int = 0


class IngressError(ValueError):
    """Retirement data that the interface cannot carry: what, where, and what to do."""
