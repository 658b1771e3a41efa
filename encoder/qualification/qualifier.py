"""Filters, comparators and triggers before the encoder: chunks in, what is qualified of them out.

docs/qualification.md, "What is qualified", fixes the rules; `specs.configuration.filters` has the
registers.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from encoder.qualification import comparators as compare
from encoder.qualification import filters as kernel
from encoder.qualification import registers as setup
from encoder.qualification.filters import State
from encoder.state import Tables
from specs.configuration.filters import Input
from specs.interfaces import ingress
from specs.interfaces.records import join, rows
from specs.isa.control import CodeMap
from specs.kernels.njit import announce_compilation
from specs.trace.passages import expanded

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration

Words = npt.NDArray[np.uint64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

#: References in a chunk that is given.
_REFS = 1 << 16
#: Parts of blocks, and blocks, that are remembered; only hostile input has more.
_MOST_PARTS = 1 << 22


class Qualifier:
    """Leaves out what is not qualified, for an encoder behind it.

    `feed` takes chunks in order, of one hart. Where something is left out, the side band of a
    reference says `UNQUALIFIED`, directly behind the last qualified one: an encoder can end the
    stretch at once. Context and time are given again where tracing goes on if they have changed.

    Instructions are looked at one by one. For that their lengths have to be known: from `code`, the
    program. A block of several instructions that is not in it, or of other lengths there, is one
    unit, as in hardware: all of it is traced if an instruction that may be in it matches.

    The result does not depend on how a run is cut into chunks.
    """

    def __init__(self, configuration: "Configuration", code: CodeMap | None = None) -> None:
        announce_compilation("the filters", __name__)
        registers, parameters = configuration.filters, configuration.parameters
        relevant = setup.relevant(registers)
        options = setup.options(registers, relevant, parameters)
        comparators = setup.comparators(relevant, parameters)
        self._units = compare.Units(comparators, setup.plan(relevant, parameters, options))
        self._state = np.zeros(kernel.STATE_SIZE, np.uint64)
        self._state[State.tracing] = registers.trace.trTeInstTracing
        self._state[State.latch] = setup.mask(relevant, lambda j: setup.primed(relevant[j]))
        self._state[State.context_results] = compare.results_of(
            comparators, np.uint64(Input.CONTEXT), np.uint64(0)
        )
        filters = setup.filters(registers, parameters)
        self._work = kernel.Filtering(options, comparators, filters, self._state)
        if code is None:
            code = CodeMap([], 64)
        self._code = compare.Code(code.region_base, code.region_end, code.region_slot, code.size)
        self._table = _Table()
        self._refs = np.empty(0, np.uint32)
        self._sidebands = np.empty(0, ingress.SIDEBAND)
        #: The trap that `State.trap` refers to, of the chunk before.
        self._held = np.empty(0, ingress.TRAP)

    def feed(self, chunk: ingress.Chunk) -> Iterator[ingress.Chunk]:
        """What is qualified of `chunk`, in chunks; each is valid until the next is asked for.

        Raises `IngressError` for references past their tables.
        """
        chunk = expanded(chunk)
        refs = np.ascontiguousarray(chunk.refs)
        fresh = self._update(chunk)
        table = self._table
        traps = self._with_held(chunk.traps)
        tables = Tables(
            refs,
            rows(chunk.blocks, ingress.BLOCK),
            rows(traps, ingress.TRAP),
            rows(chunk.sidebands, ingress.SIDEBAND),
        )
        begin = 0
        why = kernel.NO_ROOM
        while begin < len(refs) and why == kernel.NO_ROOM:
            output = kernel.Output(self._refs, rows(self._sidebands, ingress.SIDEBAND))
            taken, count, sides, why = kernel.qualify(
                self._work, tables, table.known, begin, output
            )
            begin += taken
            if count:
                yield ingress.Chunk(
                    self._refs[:count],
                    table.known.out[: table.known.counts[1]].view(ingress.BLOCK)[:, 0],
                    traps,
                    self._sidebands[:sides],
                    fresh,
                )
                fresh = int(table.known.counts[1])
        if self._state[State.trap]:
            index = int(self._state[State.trap]) >> ingress.CODE_BITS
            self._held = traps[index : index + 1].copy()
        if why == kernel.PAST_TABLE:
            raise ingress.IngressError(
                f"reference {begin} of the chunk: a reference points past its table"
            )

    def _with_held(self, traps: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """`traps`, and behind them the one that the next row of the stream may report."""
        reference = int(self._state[State.trap])
        if not reference:
            return traps
        code = reference & ingress.CODE_MASK
        self._state[State.trap] = len(traps) << ingress.CODE_BITS | code
        return join([traps, self._held], ingress.TRAP)

    def _update(self, chunk: ingress.Chunk) -> int:
        """Split the blocks that are new; the number of output blocks that stay as they were."""
        table = self._table
        blocks = rows(chunk.blocks, ingress.BLOCK)
        first = table.forget(blocks, chunk.fresh)
        fresh = int(table.known.counts[1])
        row = first
        table.make_room(len(blocks), 0)
        while row < len(blocks):
            row = compare.split(blocks, row, self._units, self._code, table.known)
            if row < len(blocks):
                half_words = int(chunk.blocks["iretire"][row])
                table.make_room(len(blocks), min(half_words, int(compare.LIMIT)) + 2)
        table.known.rows[len(blocks)] = int(table.known.counts[0]) << 2
        if first < len(blocks):
            kernel.judge(self._work, blocks, table.known, first)
            table.remember(blocks, first)
            largest = int(np.diff(table.known.rows[first : len(blocks) + 1] >> np.uint32(2)).max())
            room = max(_REFS, 2 * largest + 8)
            if room > len(self._refs):
                self._refs = np.empty(room, np.uint32)
                self._sidebands = np.zeros(room, ingress.SIDEBAND)
        elif not len(self._refs):
            self._refs = np.empty(_REFS, np.uint32)
            self._sidebands = np.zeros(_REFS, ingress.SIDEBAND)
        return fresh


class _Table:
    """What is known of the block table, and room for more. `seen`: its rows."""

    def __init__(self) -> None:
        self._seen: Words = np.zeros((0, 2), np.uint64)
        self._rows = 0
        self.known = compare.Parts(
            rows=np.zeros(1, np.uint32),
            quick=np.zeros(1, np.uint32),
            parts=np.zeros(0, np.uint32),
            blocks=np.zeros(0, np.uint32),
            out=np.zeros((0, 2), np.uint64),
            counts=np.zeros(2, np.int64),
        )

    def forget(self, blocks: Words, fresh: int) -> int:
        """Forget the rows that `blocks` has otherwise, or not; the number of those that stay.

        Not all sources say how many rows are new, so those after `fresh` are compared.
        """
        both = min(self._rows, len(blocks))
        same = min(fresh, both)
        differ = (blocks[same:both] != self._seen[same:both]).any(axis=1)
        same = same + int(differ.argmax()) if differ.any() else both
        if same < self._rows:
            part = int(self.known.rows[same]) >> 2
            self.known.counts[0] = part
            if part < len(self.known.blocks):
                self.known.counts[1] = self.known.blocks[part]
            self._rows = same
        return same

    def remember(self, blocks: Words, first: int) -> None:
        """The rows from `first` on."""
        self._seen[first : len(blocks)] = blocks[first:]
        self._rows = len(blocks)

    def make_room(self, rows: int, parts: int) -> None:
        """Room for so many rows, and for so many parts more."""
        known = self.known
        if rows >= len(known.rows):
            more = rows + rows // 2 + 1
            known = known._replace(rows=_grown(known.rows, more), quick=_grown(known.quick, more))
            self._seen = _grown(self._seen, more)
        need = max(int(known.counts[0]) + parts, rows)
        if need > len(known.parts):
            if need > _MOST_PARTS:
                raise ingress.IngressError(
                    f"the filters split the program's blocks into more than {_MOST_PARTS:,} parts; "
                    "use fewer comparators or smaller blocks"
                )
            more = min(need + need // 2, _MOST_PARTS)
            known = known._replace(
                parts=_grown(known.parts, more),
                blocks=_grown(known.blocks, more),
                out=_grown(known.out, more),
            )
        self.known = known


def _grown(array: npt.NDArray[_Scalar], rows: int) -> npt.NDArray[_Scalar]:
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
