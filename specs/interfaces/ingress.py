"""The hart-to-encoder interface (E-Trace 2.0, "Instruction Trace Interface") as arrays.

A source (our emulator, a Spike log, an RTL simulator's CSV) delivers *chunks*. A chunk is an array
of 32-bit references into three tables:

    reference = index << 4 | code        (code: the low four bits)

    code            table        meaning
    0, 3-6, 8-15    blocks       a retirement block; the code is its itype
    1, 2            traps        an exception / interrupt after the preceding block; retires nothing
    7               sidebands    annotates the reference that follows it
    7, from index   passages     a run of retirement blocks, told in short; see `PASSAGE`
    2^27 on

`itype` stands in the reference because a branch block is executed with either outcome (4, 5); the
rest of a block is static, so a source enters it once and refers to it at each execution: four
bytes a block in the stream. itype 7 is reserved by the specification; here it is the side band.

Tables belong to their chunk: an encoder keeps values, never indices, from one chunk to the next.
A source may pass the same growing table with every chunk.

*Passages* are for a source that knows where each block leads, as our emulator does. A block costs
no reference then, a bit at most: what is between two uninferable jumps follows from the outcomes of
the branches. So a passage is their outcomes, and where the jumps led, much as in a trace.
`specs.trace.passages.expanded` gives the references that it stands for. Where single blocks matter
(traps, side bands, filters, hooks) there are references as ever.
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

#: A passage: retirement blocks in a row, all at one privilege level and none of them annotated; a
#: reference to the block behind them follows. `first` is the reference of the first one, with code
#: 4 if it is a branch, whatever its outcome, and `begun` the number of instructions retired before
#: it, modulo 2^32. The `records` from number `record` on cut it into sections; what is behind the
#: last record is the last section: `rows` blocks, with the outcomes of its branches, and that of
#: the block behind, in `map`.
PASSAGE = record(
    ("first", "<u4"),
    ("record", "<u4"),
    ("records", "<u4"),
    ("map", "<u4"),
    ("begun", "<u4"),
    ("rows", "<u4"),
)

#: The end of a section: `reference`, of its last block, which ends in a jump through a register, in
#: the 31st branch since the record before, or where what follows may change (in another page of
#: virtual memory). `retired`: instructions up to its end, as `PASSAGE.begun`. `target`: the
#: reference of the block that follows, as `PASSAGE.first`; or `NO_TARGET`, behind a branch: its
#: successor. `map`: the outcomes of the section's branches, 1 for one not taken. The first is the
#: bit above the lowest 1, the last is bit 31.
RECORD = np.dtype([("reference", "<u4"), ("map", "<u4"), ("retired", "<u4"), ("target", "<u4")])

#: From the instruction `retired` of this hart on (so many retired before, host calls' ebreaks
#: included) the `PAGE` bytes at the virtual address `iaddr`, a multiple of that, are those of row
#: `row` of `Chunk.pages`, until another record for the same page. In order of `retired`, which is
#: where a block begins. A page of which there is none is as the program files have it.
CODE = record(("retired", "<u8"), ("iaddr", "<u8"), ("row", "<u4"))

#: Bytes of a page of code.
PAGE = 4096

#: A `map` without a branch; the `target` behind a branch.
NO_BRANCHES, NO_TARGET = 1 << 31, (1 << 32) - 1

#: Where a block leads, by its index: the references (as `RECORD.target`) of the blocks that follow
#: `SIDEBAND.flags`.
HAS_CONTEXT, HAS_TIME, HALTED, RESET, UNQUALIFIED, TRAP_UNQUALIFIED = 1, 2, 4, 8, 16, 32
TRIGGER_ON, TRIGGER_OFF, TRIGGER_NOTIFY = 1, 2, 4

UNKNOWN_SIZE = 255
CODE_BITS = 4
CODE_MASK = 15
SIDEBAND_CODE = 7
MAX_INDEX = (1 << 28) - 1
#: With code 7: index of the first passage.
PASSAGE_INDEX = 1 << 27


def _empty(dtype: npt.DTypeLike) -> npt.NDArray[np.void]:
    return np.zeros(0, dtype)


@dataclass
class Chunk:
    """A piece of the stream: `refs` (uint32) into the tables beside it; `passages` into `records`
    and `successors`.

    `successors`: uint32, two a row of `blocks`: the references (as `PASSAGE.first`) of the blocks
    that follow it if its branch is taken, and if it is not. Behind one that ends in no branch the
    first counts. Zeros where nobody has gone yet.

    `code`: rows of `CODE`, about `pages` (uint8, `PAGE` a row); nearly always none.

    `fresh`: rows of `blocks` before it stood, unchanged, in the previous chunk's table.

    `hart`: whose it is. Chunks of several harts are in order of execution; for each of them the
    previous chunk is its own previous one.
    """

    refs: npt.NDArray[np.uint32]
    blocks: npt.NDArray[np.void] = field(default_factory=lambda: _empty(BLOCK))
    traps: npt.NDArray[np.void] = field(default_factory=lambda: _empty(TRAP))
    sidebands: npt.NDArray[np.void] = field(default_factory=lambda: _empty(SIDEBAND))
    fresh: int = 0
    passages: npt.NDArray[np.void] = field(default_factory=lambda: _empty(PASSAGE))
    records: npt.NDArray[np.void] = field(default_factory=lambda: _empty(RECORD))
    successors: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, 2), np.uint32))
    code: npt.NDArray[np.void] = field(default_factory=lambda: _empty(CODE))
    pages: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, PAGE), np.uint8))
    hart: int = 0


class IngressError(ValueError):
    """Retirement data that the interface cannot carry: what, where, and what to do."""
