"""Rows as chunks and back, with everything that a side band carries; the model's registers as the
product's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from random import Random

import numpy as np

from encoder.qualification.qualifier import Qualifier
from specs.configuration.filters import Comparator, Filter, Filters, InstControl
from specs.configuration.parameters import Configuration
from specs.interfaces import ingress
from tests.adapter import reports_trap
from tests.model import filters as model
from tests.model.program import Program
from tests.model.rows import Row
from tests.model.settings import Parameters


def product_filters(filtering: model.Filtering) -> Filters:
    """The same registers."""
    return Filters(
        trace=InstControl(
            trTeInstFilters=filtering.trTeInstFilters,
            trTeInstTracing=filtering.trTeInstTracing,
            trTeInstTrigEnable=filtering.trTeInstTrigEnable,
        ),
        filter=tuple(Filter(**vars(each)) for each in filtering.filters),
        comparator=tuple(Comparator(**vars(each)) for each in filtering.comparators),
    )


def configuration(
    filtering: model.Filtering, parameters: Parameters, base: Configuration | None = None
) -> Configuration:
    """`base` with these filters; as many of them as there are."""
    base = Configuration.default(64) if base is None else base
    return replace(
        base,
        parameters=replace(
            base.parameters,
            **vars(parameters),
            filters_p=16,
            comparators_p=8,
            filter_excint_p=filtering.filter_excint_p,
            ecause_choice_p=filtering.ecause_choice_p,
        ),
        filters=product_filters(filtering),
    )


def blocks_of(rows: list[Row], rng: Random | None) -> Iterator[list[Row]]:
    """Rows as retirement blocks, with `rng` of several instructions."""
    block: list[Row] = []
    for row in rows:
        last = block[-1] if block else None
        joins = (
            rng is not None
            and last is not None
            and last.retired
            and row.retired
            and last.itype == 0
            and not last.notify
            and not last.trigger & 2
            and not row.trigger & 1
            and row.ctype == 0
            and not row.halted
            and not row.reset
            and row.iaddr == last.iaddr + last.size
            and (row.priv, row.context, row.time) == (last.priv, last.context, last.time)
            and rng.random() < 0.9
        )
        if block and not joins:
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def chunk(rows: list[Row], rng: Random | None = None) -> ingress.Chunk:
    """Rows, all of them, as the hart-to-encoder interface has them; in blocks if `rng` is given."""
    refs: list[int] = []
    blocks: dict[tuple[int, ...], int] = {}
    traps: list[tuple[int | bytes, ...]] = []
    sidebands: list[tuple[int | bytes, ...]] = []
    held = (0, 0)
    for block in blocks_of(rows, rng):
        first, last = block[0], block[-1]
        trigger = sum({each.trigger for each in block if each.trigger}) & 3
        trigger |= ingress.TRIGGER_NOTIFY if last.notify else 0
        flags = ingress.HALTED * first.halted | ingress.RESET * first.reset
        if (first.context, first.time) != held:
            held = (first.context, first.time)
            flags |= ingress.HAS_CONTEXT | ingress.HAS_TIME
        if flags or trigger or first.ctype:
            refs.append(len(sidebands) << 4 | ingress.SIDEBAND_CODE)
            sidebands.append((*held, first.ctype, trigger, flags))
        if not first.retired:
            refs.append(len(traps) << 4 | (2 if first.interrupt else 1))
            traps.append((first.iaddr, first.tval, first.cause, first.priv, 1))
            continue
        half_words = sum(row.size for row in block) // 2
        key = (first.iaddr, half_words, last.size // 4, first.size // 4, last.sijump, first.priv)
        refs.append(blocks.setdefault(key, len(blocks)) << 4 | last.itype)
    return ingress.Chunk(
        np.array(refs, np.uint32),
        np.array(list(blocks), ingress.BLOCK),
        np.array(traps, ingress.TRAP),
        np.array(sidebands, ingress.SIDEBAND),
    )


@dataclass(frozen=True)
class Seen:
    """A row as an encoder sees it; `breaks`: the flags of what happened before it."""

    kind: str
    iaddr: int
    itype: int
    priv: int
    size: int
    sijump: bool
    context: int
    time: int
    ctype: int
    notify: bool
    breaks: int


class Reader:
    """Expands chunks to rows, and keeps the order of what stands in the side bands."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rows: list[Seen] = []
        #: Whether the last thing said was that something is left out, or the hart stopped.
        self.broken = 0
        self._held = [0, 0]
        self._ctype = self._trigger = 0
        self._unqualified = ""

    def feed(self, chunk: ingress.Chunk) -> None:
        for reference in chunk.refs.tolist():
            code, index = reference & 15, reference >> 4
            if code == ingress.SIDEBAND_CODE:
                self._sideband(chunk.sidebands[index])
            elif code in (1, 2):
                trap = chunk.traps[index]
                kind = f"trap {trap['cause']} {trap['tval']}"
                self._row(self._unqualified + kind, trap, code, 0, False, True)
                self._unqualified = ""
            else:
                self._block(chunk.blocks[index], code)

    def _sideband(self, side: np.void) -> None:
        flags = int(side["flags"])
        if flags & ingress.HAS_CONTEXT:
            self._held[0] = int(side["context"])
        if flags & ingress.HAS_TIME:
            self._held[1] = int(side["time"])
        self._ctype |= int(side["ctype"])
        self._trigger |= int(side["trigger"])
        self._unqualified = "unqualified " if flags & ingress.TRAP_UNQUALIFIED else ""
        self.broken |= flags & (ingress.HALTED | ingress.RESET | ingress.UNQUALIFIED)

    def _block(self, block: np.void, code: int) -> None:
        pc, end = int(block["iaddr"]), int(block["iaddr"]) + 2 * int(block["iretire"])
        sizes = []
        while pc < end:
            sizes.append(self.program[pc].size)
            pc += sizes[-1]
        assert pc == end
        assert sizes[-1] == 2 << int(block["ilastsize"])
        assert int(block["ifirstsize"]) == 255 or sizes[0] == 2 << int(block["ifirstsize"])
        at = block.copy()
        for number, size in enumerate(sizes):
            last = number == len(sizes) - 1
            sijump = last and bool(block["sijump"])
            self._row("retired", at, code if last else 0, size, sijump, last)
            at["iaddr"] += size

    def _row(
        self, kind: str, where: np.void, itype: int, size: int, sijump: bool, last: bool
    ) -> None:
        notify = last and self._trigger & ingress.TRIGGER_NOTIFY != 0
        iaddr, priv = int(where["iaddr"]), int(where["priv"])
        context, time = self._held
        self.rows.append(
            Seen(kind, iaddr, itype, priv, size, sijump, context, time, self._ctype, notify,
                 self.broken)
        )  # fmt: skip
        self._ctype = self.broken = 0
        if last:
            self._trigger = 0


def wanted(rows: list[Row]) -> tuple[list[Seen], int]:
    """The qualified ones of the model's rows, and what broke the stretch after them."""
    found: list[Seen] = []
    broken = 0
    for row, after in zip_longest(rows, rows[1:]):
        if not row.qualified:
            broken = broken or ingress.UNQUALIFIED
            if not row.retired and reports_trap(after):
                found.append(
                    Seen(f"unqualified trap {row.cause} {row.tval}", row.iaddr, row.itype, row.priv,
                         0, False, row.context, row.time, 0, False, broken)
                )  # fmt: skip
                broken = 0
            continue
        if row.halted or row.reset:
            broken = broken or ingress.HALTED * row.halted | ingress.RESET * row.reset
        kind = "retired" if row.retired else f"trap {row.cause} {row.tval}"
        found.append(
            Seen(kind, row.iaddr, row.itype, row.priv, row.size if row.retired else 0, row.sijump,
                 row.context, row.time, row.ctype, row.notify, broken)
        )  # fmt: skip
        broken = 0
    return found, broken


def stream(qualifier: Qualifier, chunks: Iterable[ingress.Chunk], program: Program) -> Reader:
    """What is left of `chunks`, expanded."""
    reader = Reader(program)
    for each in chunks:
        for left in qualifier.feed(each):
            reader.feed(left)
    return reader
