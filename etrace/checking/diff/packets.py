"""Two packet streams compared: the first packet that differs, field by field."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etrace.checking.diff.outcome import PacketDivergence
from etrace.trace.reasons import reason_name
from etrace.trace.trace import Trace
from specs.configuration.parameters import Configuration
from specs.trace.packets import FORMAT_NAMES, Column
from specs.trace.single import Packet

#: What a packet says: its table, whether it is one, its fields. Not where it is, nor its framing.
_SAID = [Column.table, Column.reason, *range(Column.format, Column.is_notify)]


@dataclass(frozen=True)
class Packets:
    """The outcome: `equal` packets before the first that differs, the `mixes` of both sides, and
    what is no packet on either (`bad`)."""

    equal: int
    first: PacketDivergence | None
    mixes: tuple[dict[str, int], dict[str, int]]
    bad: tuple[int, int]


class _Stream:
    """Packets of a trace, in pieces of any size."""

    def __init__(self, trace: Trace) -> None:
        self._rows = trace.read_packets()
        self._left: deque[tuple[npt.NDArray[np.uint64], Configuration]] = deque()
        self.mix: Counter[str] = Counter()
        self.bad = 0

    def piece(self) -> tuple[npt.NDArray[np.uint64], Configuration] | None:
        """What is in hand; None at the end."""
        if not self._left:
            found = next(self._rows, None)
            if found is None:
                return None
            rows, configuration = found[0].copy(), found[1]
            good = rows[:, Column.reason] == 0
            counts = np.bincount(rows[good, Column.table].astype(np.int64), minlength=8)
            for name, count in zip(FORMAT_NAMES, counts.tolist(), strict=False):
                self.mix[name] += count
            self.bad += int(np.count_nonzero(~good))
            self._left.append((rows, configuration))
        return self._left[0]

    def take(self, count: int) -> None:
        """Pass so many packets of the piece by."""
        rows, configuration = self._left.popleft()
        if count < len(rows):
            self._left.appendleft((rows[count:], configuration))

    def drain(self) -> None:
        """Count the rest."""
        while (found := self.piece()) is not None:
            self.take(len(found[0]))


def compare_packets(a: Trace, b: Trace) -> Packets:
    """The first packet that differs, by what packets say: not by offsets, nor by framing."""
    one, other = _Stream(a), _Stream(b)
    equal, first = 0, None
    while first is None:
        mine, theirs = one.piece(), other.piece()
        if mine is None and theirs is None:
            break
        if mine is None or theirs is None:
            first = _divergence(equal, _first(mine), _first(theirs))
            break
        both = min(len(mine[0]), len(theirs[0]))
        unequal = (mine[0][:both, _SAID] != theirs[0][:both, _SAID]).any(axis=1)
        count = int(np.argmax(unequal)) if unequal.any() else both
        equal += count
        if count < both:
            first = _divergence(
                equal, (mine[0][count].tolist(), mine[1]), (theirs[0][count].tolist(), theirs[1])
            )
        one.take(count)
        other.take(count)
    one.drain()
    other.drain()
    return Packets(equal, first, (dict(one.mix), dict(other.mix)), (one.bad, other.bad))


def _first(
    piece: tuple[npt.NDArray[np.uint64], Configuration] | None,
) -> tuple[list[int], Configuration] | None:
    return None if piece is None else (piece[0][0].tolist(), piece[1])


_Row = tuple[list[int], Configuration] | None


def _divergence(number: int, one: _Row, other: _Row) -> PacketDivergence:
    texts: list[str] = []
    fields: list[dict[str, int]] = []
    offsets: list[int | None] = []
    for row in (one, other):
        if row is None:
            texts.append("")
            fields.append({})
            offsets.append(None)
        elif row[0][Column.reason]:
            texts.append(f"no packet: {reason_name(row[0][Column.reason])}")
            fields.append({})
            offsets.append(row[0][Column.offset])
        else:
            packet = Packet.of(*row)
            texts.append(str(packet))
            fields.append(packet.fields)
            offsets.append(row[0][Column.offset])
    names = list(dict.fromkeys([*fields[0], *fields[1]]))
    differing: dict[str, tuple[int | None, int | None]] = {
        name: (fields[0].get(name), fields[1].get(name))
        for name in names
        if fields[0].get(name) != fields[1].get(name)
    }
    corrupt = any(row is not None and row[0][Column.reason] for row in (one, other))
    where = (offsets[0], offsets[1])
    return PacketDivergence(number, where, differing, texts[0], texts[1], corrupt)


def mix_of(trace: Trace) -> dict[str, int]:
    """Packets by format name."""
    stream = _Stream(trace)
    stream.drain()
    return dict(stream.mix)


def same_bytes(a: Trace, b: Trace) -> bool:
    """Whether both streams have the very same bytes."""
    if a.lead_in != b.lead_in:
        return False
    return _equal_pieces(a.chunks(), b.chunks())


def _equal_pieces(one: Iterator[bytes], other: Iterator[bytes]) -> bool:
    mine = theirs = memoryview(b"")
    while True:
        mine = mine or memoryview(next(one, b""))
        theirs = theirs or memoryview(next(other, b""))
        both = min(len(mine), len(theirs))
        if not both:
            return len(mine) == len(theirs)
        if mine[:both] != theirs[:both]:
            return False
        mine, theirs = mine[both:], theirs[both:]
