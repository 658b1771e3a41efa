"""A program run again, as stretches of the instruction stream."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emu import Machine
from etrace.rerun_kernel import expand
from etrace.stretch import EVENT, Stretch
from specs.ingress import CODE_BITS, CODE_MASK, Chunk
from specs.isa.control import CodeMap

if TYPE_CHECKING:
    from encoder.qualify import Qualifier

#: Instructions and traps expanded at a time.
_PCS = 1 << 19
_TRAPS = 1 << 14
_INTERRUPT = 2


def stretches(
    machine: Machine,
    max_instructions: int | None,
    code: CodeMap,
    qualifier: "Qualifier | None" = None,
) -> Iterator[Stretch]:
    """What `machine` retires, and its traps, or what `qualifier` leaves of that.

    Instruction sizes are those of `code`.
    """
    blocks = _Blocks(code)
    position = 0
    chunks = machine.run(max_instructions)
    if qualifier is not None:
        chunks = itertools.chain.from_iterable(map(qualifier.feed, chunks))
    for chunk in chunks:
        blocks.update(chunk)
        begin = 0
        while begin < len(chunk.refs):
            taken, stretch = blocks.expand(chunk, begin, position)
            begin += taken
            position += len(stretch.pcs)
            yield stretch


class _Blocks:
    """The columns of the block table that expanding needs, with the slot of each block."""

    def __init__(self, code: CodeMap) -> None:
        self._code = code
        self._slots = np.zeros(0, np.int64)
        self._columns: tuple[npt.NDArray[np.void], ...] = ()
        self._room = _PCS

    def update(self, chunk: Chunk) -> None:
        blocks = chunk.blocks
        fresh = min(chunk.fresh, len(self._slots))
        if fresh == len(blocks) == len(self._slots) and self._columns:
            return
        slots = self._slots_of(blocks["iaddr"][fresh:])
        self._slots = np.concatenate([self._slots[:fresh], slots])
        self._columns = tuple(
            np.ascontiguousarray(blocks[name]) for name in ("iaddr", "iretire", "priv")
        )
        if len(blocks):
            self._room = max(_PCS, int(blocks["iretire"].max()))

    def expand(self, chunk: Chunk, begin: int, position: int) -> tuple[int, Stretch]:
        pcs, privs = np.empty(self._room, np.uint64), np.empty(self._room, np.uint8)
        where, before = np.empty(_TRAPS, np.int64), np.empty(_TRAPS, np.int64)
        refs = np.asarray(chunk.refs)
        taken, instructions, traps = expand(
            refs, begin, *self._columns, self._slots, self._code.size, pcs, privs, where, before
        )
        events = np.zeros(traps, EVENT)
        trap_refs = refs[where[:traps]]
        rows = chunk.traps[trap_refs >> CODE_BITS]
        events["position"] = before[:traps] + position
        events["epc"], events["epc_known"] = rows["iaddr"], rows["iaddr_valid"]
        events["interrupt"] = (trap_refs & CODE_MASK) == _INTERRUPT
        for name in ("tval", "cause", "priv"):
            events[name] = rows[name]
        return taken, Stretch(pcs[:instructions], privs[:instructions], events)

    def _slots_of(self, addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        code = self._code
        if not len(code.region_base):
            return np.full(len(addresses), -1, np.int64)
        region = np.searchsorted(code.region_end, addresses, "right")
        inside = np.minimum(region, len(code.region_base) - 1)
        offset = (addresses - code.region_base[inside]).astype(np.int64) // 2
        found = (region < len(code.region_base)) & (addresses >= code.region_base[inside])
        return np.where(found, code.region_slot[inside] + offset, -1)
