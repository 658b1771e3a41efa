"""Two packet streams compared: the first packet that differs, field by field."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from decoder import PacketReader
from decoder.bytes.brief import Brief
from etrace.checking.diff.outcome import PacketDivergence
from etrace.trace.reasons import reason_name
from etrace.trace.trace import Trace
from specs.configuration.parameters import Configuration
from specs.trace.packets import FORMAT_NAMES, Column
from specs.trace.single import Packet

#: What a packet says: its table, whether it is one, its fields. Not where it is, nor its framing.
_SAID = [Column.table, Column.reason, *range(Column.format, Column.is_notify)]

Rows = npt.NDArray[np.uint64]
#: A packet, and the configuration that it was read by.
_Row = tuple[list[int], Configuration] | None


def first_difference(a: Trace, b: Trace) -> PacketDivergence | None:
    """The first packet that differs, by what packets say: not by offsets, nor by framing."""
    if a.configuration == b.configuration and a.lead_in == b.lead_in:
        place = unequal_byte(a, b)
        if place is None:
            return None
        # what is before that byte is the same: only its packet has to be looked at
        number = _packet_at(a, place)
        one, other = (_row(trace, number) for trace in (a, b))
        if _said(one) != _said(other):
            return _divergence(number, one, other)
    return _compare(a.read_packets(), b.read_packets())


def mix_of(trace: Trace) -> tuple[dict[str, int], int]:
    """Packets by format name, and how often there is something that is no packet."""
    counts, bad = np.zeros(len(FORMAT_NAMES), np.int64), 0
    for briefs in _briefs(trace):
        good = briefs[:, Brief.reason] == 0
        tables = briefs[good, Brief.table].astype(np.int64)
        counts += np.bincount(tables, minlength=len(FORMAT_NAMES))
        bad += len(briefs) - len(tables)
    return dict(zip(FORMAT_NAMES, counts.tolist(), strict=True)), bad


def same_bytes(a: Trace, b: Trace) -> bool:
    """Whether both streams have the very same bytes."""
    return a.lead_in == b.lead_in and unequal_byte(a, b) is None


def unequal_byte(a: Trace, b: Trace) -> int | None:
    """Offset of the first byte that differs; of the end of the shorter stream."""
    one, other = a.chunks(), b.chunks()
    mine = theirs = memoryview(b"")
    passed = a.lead_in
    while True:
        mine = mine or memoryview(next(one, b""))
        theirs = theirs or memoryview(next(other, b""))
        both = min(len(mine), len(theirs))
        if not both:
            return None if len(mine) == len(theirs) else passed
        if mine[:both] != theirs[:both]:
            unequal = np.frombuffer(mine[:both], np.uint8) != np.frombuffer(theirs[:both], np.uint8)
            return passed + int(np.argmax(unequal))
        mine, theirs = mine[both:], theirs[both:]
        passed += both


def _briefs(trace: Trace) -> Iterator[Rows]:
    reader = PacketReader(trace.configuration, full=False, offset=trace.lead_in)
    for chunk in trace.chunks():
        reader.feed(chunk)
        while len(briefs := reader.read()[0]):
            yield briefs
    while len(briefs := reader.read(final=True)[0]):
        yield briefs


def _packet_at(trace: Trace, place: int) -> int:
    """Number of the packet that has the byte at `place`, or would have it behind the last one."""
    number = 0
    for briefs in _briefs(trace):
        before = int(np.searchsorted(briefs[:, Brief.offset], place, "right"))
        number += before
        if before < len(briefs):
            break
    return max(number - 1, 0)


def _row(trace: Trace, number: int) -> _Row:
    """Packet `number` with all its fields; None if there are not so many."""
    before = 0
    for rows, configuration in trace.read_packets():
        if number < before + len(rows):
            return rows[number - before].tolist(), configuration
        before += len(rows)
    return None


def _said(row: _Row) -> list[int] | None:
    return None if row is None else [row[0][column] for column in _SAID]


class _Stream:
    """Packets in pieces of any size."""

    def __init__(self, rows: Iterator[tuple[Rows, Configuration]]) -> None:
        self._rows = rows
        self._left: tuple[Rows, Configuration] | None = None

    def piece(self) -> tuple[Rows, Configuration] | None:
        """What is in hand; None at the end."""
        if self._left is None:
            found = next(self._rows, None)
            if found is not None:
                self._left = found[0].copy(), found[1]
        return self._left

    def take(self, count: int) -> None:
        """Pass so many packets of the piece by."""
        assert self._left is not None
        rows, configuration = self._left
        self._left = (rows[count:], configuration) if count < len(rows) else None


def _compare(
    a: Iterator[tuple[Rows, Configuration]], b: Iterator[tuple[Rows, Configuration]]
) -> PacketDivergence | None:
    one, other = _Stream(a), _Stream(b)
    equal = 0
    while True:
        mine, theirs = one.piece(), other.piece()
        if mine is None or theirs is None:
            if mine is theirs:
                return None
            return _divergence(equal, _at(mine, 0), _at(theirs, 0))
        both = min(len(mine[0]), len(theirs[0]))
        unequal = (mine[0][:both, _SAID] != theirs[0][:both, _SAID]).any(axis=1)
        if unequal.any():
            count = int(np.argmax(unequal))
            return _divergence(equal + count, _at(mine, count), _at(theirs, count))
        equal += both
        one.take(both)
        other.take(both)


def _at(piece: tuple[Rows, Configuration] | None, number: int) -> _Row:
    return None if piece is None else (piece[0][number].tolist(), piece[1])


def _divergence(number: int, one: _Row, other: _Row) -> PacketDivergence:
    rows = (one, other)
    packets = [
        None if row is None or row[0][Column.reason] else Packet.of(row[0], row[1]) for row in rows
    ]
    texts = [
        str(packet)
        if packet is not None
        else ("" if row is None else f"no packet: {reason_name(row[0][Column.reason])}")
        for packet, row in zip(packets, rows, strict=True)
    ]
    mine, theirs = packets
    if mine is not None and theirs is not None:
        differing = mine.differences(theirs)
    else:
        differing = {name: (value, None) for name, value in (mine.fields if mine else {}).items()}
        differing |= {n: (None, value) for n, value in (theirs.fields if theirs else {}).items()}
    offsets = [None if row is None else row[0][Column.offset] for row in rows]
    corrupt = any(row is not None and row[0][Column.reason] for row in rows)
    return PacketDivergence(
        number, (offsets[0], offsets[1]), differing, texts[0], texts[1], corrupt
    )
