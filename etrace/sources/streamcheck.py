"""A retirement stream against its program: what the program cannot do is told, not encoded.

Checked is what the program's code says: that each block is whole instructions of which only the
last transfers control, that its *itype* is what that instruction does, and that what retires next
is where it leads. Anything may follow an uninferable jump, a return from a trap, a trap, a pause of
the hart, a change of privilege or of context (*ctype* 3), and code that the program does not have.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from etrace.kernels.successors import Findings, Next, Program, Stream, Wrong, examine, follow
from specs.interfaces import ingress
from specs.interfaces.records import rows
from specs.isa.control import CodeMap
from specs.isa.disassemble import disassemble
from specs.isa.itype import Itype
from specs.isa.transfers import Kind
from specs.kernels.njit import announce_compilation

#: Where the interface has codes of its own for what a packet stream takes as it is.
_NARROW_ITYPES = 3


class Fault(NamedTuple):
    """What is wrong with reference `at` of a chunk: the `signal` that says so, and why."""

    at: int
    signal: str
    reason: str


class StreamCheck:
    """Looks at the chunks of one stream, in order. Keeps a few words for each distinct block."""

    def __init__(self, code: CodeMap, itype_width: int) -> None:
        """`itype_width`: with 3, itypes may be those of a hart that has no others."""
        announce_compilation("the check of retirement streams", __name__)
        self._code = code
        self._program = Program(code.region_base, code.region_end, code.region_slot, code.slots)
        self._narrow = itype_width == _NARROW_ITYPES
        self._mask = np.uint64((1 << code.xlen) - 1)
        self._state = np.zeros(len(Next), np.uint64)
        self._findings = Findings(
            np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64)
        )

    def __call__(self, chunk: ingress.Chunk) -> Fault | None:
        """The first reference of `chunk` that the program rules out."""
        blocks = rows(chunk.blocks, ingress.BLOCK)
        traps = rows(chunk.traps, ingress.TRAP)
        sidebands = rows(chunk.sidebands, ingress.SIDEBAND)
        self._examine(blocks, chunk.fresh)
        stream = Stream(np.ascontiguousarray(chunk.refs), blocks, traps, sidebands)
        at, what = follow(
            stream, self._program, self._findings, self._mask, self._narrow, self._state
        )
        if at < 0:
            return None
        reference = int(chunk.refs[at])
        index, itype = reference >> ingress.CODE_BITS, Itype(reference & ingress.CODE_MASK)
        if what == Wrong.NEXT:
            trap = itype in (Itype.EXCEPTION, Itype.INTERRUPT)
            return Fault(at, "iaddr", self._next(int((traps if trap else blocks)[index, 0]), trap))
        return Fault(at, *self._block(what, chunk.blocks[index], index, itype))

    def _examine(self, blocks: npt.NDArray[np.uint64], fresh: int) -> None:
        room = len(self._findings.last)
        known = min(fresh, room)
        if len(blocks) > room or not fresh:
            most = max(len(blocks), min(2 * room, 2 * len(blocks)))
            grown = Findings(*(np.zeros(most, old.dtype) for old in self._findings))
            for new, old in zip(grown, self._findings, strict=True):
                new[:known] = old[:known]
            self._findings = grown
        examine(blocks, known, self._program, self._findings)

    def _next(self, address: int, trap: bool) -> str:
        """Why `address` cannot be what comes next."""
        state = self._state.tolist()
        expected, before = state[Next.EXPECTED], state[Next.FROM]
        what = "the EPC of a trap behind" if trap else "what retires behind"
        how = {Itype.TAKEN_BRANCH: " (taken)", Itype.NONTAKEN_BRANCH: " (not taken)"}
        return (
            f"{address:#x} cannot be {what} {self._text(before)}"
            f"{how.get(Itype(state[Next.CODE]), '')}: that leads to {expected:#x}"
        )

    def _block(self, what: int, block: np.void, index: int, itype: Itype) -> tuple[str, str]:
        """The signal that is wrong with a block, and why."""
        at = int(block["iaddr"]) + 2 * int(self._findings.where[index])
        text = self._text(at)
        slot = self._code.slot(at)
        size = int(self._code.size[slot])
        alone = int(block["iretire"]) == 1 << int(block["ilastsize"])
        if what == Wrong.LAST_SIZE or (alone and what != Wrong.ITYPE):
            return "ilastsize", (
                f"{block['ilastsize']} says {2 << int(block['ilastsize'])} bytes, but {text} "
                f"has {2 * size}"
            )
        if what == Wrong.BEYOND:
            return "iretire", f"the block goes on behind {text}, with which it ends"
        if what == Wrong.WITHIN:
            return "iretire", f"the block ends within {text}, which has {2 * size} bytes"
        return "itype", f"{itype} ({_words(itype)}), but {text} is {self._allowed(slot)}"

    def _allowed(self, slot: int) -> str:
        kind = Kind(int(self._code.kind[slot]))
        if kind is Kind.BRANCH:
            return "a branch: 4 (not taken) or 5 (taken)"
        itype = Itype(int(self._code.itype[slot]))
        return f"{int(itype)} ({_words(itype)})"

    def _text(self, address: int) -> str:
        """An instruction of the program, with its address."""
        slot = self._code.slot(address)
        if slot < 0:
            return f"the instruction at {address:#x}"
        word = int(self._code.word[slot])
        return f"{disassemble(word, address, self._code.selection)!r} at {address:#x}"


def _words(itype: Itype) -> str:
    return itype.name.lower().replace("_3bit", "").replace("_", " ")
