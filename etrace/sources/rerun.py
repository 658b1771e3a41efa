"""A program run again, as stretches of the instruction stream."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emu import Machine
from etrace.kernels.rows import Blocks, Expanded, Side, expand
from etrace.trace.stretch import EVENT, PAUSED, TOLD, Stretch
from specs.interfaces.ingress import (
    CODE_BITS,
    CODE_MASK,
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    UNQUALIFIED,
    Chunk,
)
from specs.isa.control import CodeMap

if TYPE_CHECKING:
    from encoder.qualification.qualifier import Qualifier

#: Instructions and traps expanded at a time.
_PCS = 1 << 19
_TRAPS = 1 << 14
_SIDES = 1 << 14
_INTERRUPT = 2

#: What a side band says: `TOLD`, and its flags that end a stretch.
_SAID = np.dtype([*TOLD.descr, ("apart", "u1")])
_APART = HALTED | RESET | UNQUALIFIED
_DISCONTINUITY = 3


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
    chunks = machine.run(max_instructions)
    if qualifier is not None:
        chunks = itertools.chain.from_iterable(map(qualifier.feed, chunks))
    for chunk in chunks:
        blocks.update(chunk)
        begin = 0
        while begin < len(chunk.refs):
            taken, stretch = blocks.expand(chunk, begin)
            begin += taken
            yield stretch


class _Told:
    """What side bands say, as `_SAID`. Values that are not given stay as they were."""

    def __init__(self) -> None:
        #: Told before a reference that has not come yet.
        self._held = np.zeros(0, _SAID)
        self._last = np.zeros(1, _SAID)

    def add(
        self,
        chunk: Chunk,
        refs: npt.NDArray[np.uint32],
        sides: npt.NDArray[np.int64],
        settled: int,
    ) -> npt.NDArray[np.void]:
        """What is told by the references of `sides`; the first `settled` precede a reference that
        was there (-1: none was).
        """
        rows = chunk.sidebands[refs[sides[:, Side.POSITION]] >> CODE_BITS]
        told = np.zeros(len(sides), _SAID)
        told["apart"] = rows["flags"] & _APART
        told["position"], told["traps"], told["ctype"] = (
            sides[:, Side.INSTRUCTIONS],
            sides[:, Side.TRAPS],
            rows["ctype"],
        )
        for name, flag in (("context", HAS_CONTEXT), ("time", HAS_TIME)):
            given = np.flatnonzero(rows["flags"] & flag)
            values = np.concatenate([self._last[name], rows[name][given]])
            told[name] = values[np.searchsorted(given, np.arange(len(told)), "right")]
        if len(told):
            self._last = told[-1:].copy()
        told = np.concatenate([self._held, told])
        settled = settled + len(self._held) if settled >= 0 else 0
        told, self._held = told[:settled], told[settled:]
        return _joined(told)


def _joined(told: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """One row for each reference, of all told before it: the last, the highest ctype, all flags."""
    if len(told) < 2:
        return told
    same = (told["position"][1:] == told["position"][:-1]) & (
        told["traps"][1:] == told["traps"][:-1]
    )
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    last = np.flatnonzero(np.concatenate([~same, [True]]))
    joined = told[last]
    joined["ctype"] = np.maximum.reduceat(told["ctype"], first)
    joined["apart"] = np.bitwise_or.reduceat(told["apart"], first)
    return joined


def _pauses(said: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Where tracing has to pause, as `PAUSED`: not before the first row."""
    ends = (said["apart"] != 0) | (said["ctype"] == _DISCONTINUITY)
    rows = said[ends & ((said["position"] != 0) | (said["traps"] != 0))]
    pauses = np.zeros(len(rows), PAUSED)
    for name in ("position", "traps"):
        pauses[name] = rows[name]
    pauses["why"] = rows["apart"]
    return pauses


class _Blocks:
    """The columns of the block table that expanding needs, with the slot of each block; and how far
    the run has been expanded.
    """

    def __init__(self, code: CodeMap) -> None:
        self._code = code
        self._told = _Told()
        self._position = 0
        self._traps = 0
        self._slots = np.zeros(0, np.int64)
        self._columns: Blocks | None = None
        self._room = _PCS

    def update(self, chunk: Chunk) -> None:
        blocks = chunk.blocks
        fresh = min(chunk.fresh, len(self._slots))
        if fresh == len(blocks) == len(self._slots) and self._columns:
            return
        slots = self._slots_of(blocks["iaddr"][fresh:])
        self._slots = np.concatenate([self._slots[:fresh], slots])
        self._columns = Blocks(
            iaddr=np.ascontiguousarray(blocks["iaddr"]),
            iretire=np.ascontiguousarray(blocks["iretire"]),
            priv=np.ascontiguousarray(blocks["priv"]),
            slots=self._slots,
            sizes=self._code.size,
        )
        if len(blocks):
            self._room = max(_PCS, int(blocks["iretire"].max()))

    def expand(self, chunk: Chunk, begin: int) -> tuple[int, Stretch]:
        """References taken from `begin` on, and what they are."""
        pcs, privs = np.empty(self._room, np.uint64), np.empty(self._room, np.uint8)
        where, before = np.empty(_TRAPS, np.int64), np.empty(_TRAPS, np.int64)
        sides = np.empty((_SIDES, len(Side)), np.int64)
        refs = np.asarray(chunk.refs)
        expanded = Expanded(pcs, privs, where, before, sides)
        taken, instructions, traps, side_bands, settled = expand(
            refs, begin, self._columns, expanded
        )
        events = np.zeros(traps, EVENT)
        trap_refs = refs[where[:traps]]
        rows = chunk.traps[trap_refs >> CODE_BITS]
        events["position"] = before[:traps] + self._position
        events["epc"], events["epc_known"] = rows["iaddr"], rows["iaddr_valid"]
        events["interrupt"] = (trap_refs & CODE_MASK) == _INTERRUPT
        for name in ("tval", "cause", "priv"):
            events[name] = rows[name]
        sides = sides[:side_bands]
        sides[:, Side.INSTRUCTIONS] += self._position
        sides[:, Side.TRAPS] += self._traps
        said = self._told.add(chunk, refs, sides, settled)
        pauses = _pauses(said)
        told = np.zeros(len(said), TOLD)
        for name in TOLD.names or ():
            told[name] = said[name]
        # A ctype with a trap asks for nothing: its packet has the context anyway.
        number = told["traps"] - self._traps
        at_trap = number < traps
        at_trap[at_trap] = events["position"][number[at_trap]] == told["position"][at_trap]
        told["ctype"][at_trap] = 0
        stretch = Stretch(
            pcs[:instructions], privs[:instructions], events, told=told, pauses=pauses
        )
        self._position += instructions
        self._traps += traps
        return taken, stretch

    def _slots_of(self, addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        code = self._code
        if not len(code.region_base):
            return np.full(len(addresses), -1, np.int64)
        region = np.searchsorted(code.region_end, addresses, "right")
        inside = np.minimum(region, len(code.region_base) - 1)
        offset = (addresses - code.region_base[inside]).astype(np.int64) // 2
        found = (region < len(code.region_base)) & (addresses >= code.region_base[inside])
        return np.where(found, code.region_slot[inside] + offset, -1)
