"""`diff`: two sides held against each other, flows first, then packets."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np

from etrace.checking.diff.flows import TRAP_FIELDS, Flows, Parting
from etrace.checking.diff.locate import Locator
from etrace.checking.diff.outcome import Diff, Divergence, Place, Verdict, What
from etrace.checking.diff.packets import first_difference, mix_of, unequal_byte
from etrace.checking.diff.side import LogSide, Side, Start, TraceSide
from etrace.errors import InputError
from etrace.sources.logs.text import Log
from etrace.trace.lines import Lines
from etrace.trace.program import Code
from etrace.trace.trace import Trace
from etrace.views.flow import Listing
from specs.configuration.parameters import Configuration

#: What `ignore` can name.
IGNORABLE = (*(each.value for each in What), *TRAP_FIELDS)
#: Divergences that are listed, with `align`.
LIMIT = 20
#: Bytes that both begin with, from which on it is worth while to decode them once.
_WORTH = 1 << 14
#: Instructions shown around a divergence.
_AROUND = 5


def diff(
    a: Trace | Log,
    b: Trace | Log,
    *,
    ignore: Iterable[str] = (),
    align: bool = False,
    limit: int = LIMIT,
    packets_only: bool = False,
) -> Diff:
    """Where the flows of `a` and `b` part, or else their packets.

    A trace is read several times, a log once, from where it stands.
    `ignore`: names of `IGNORABLE`. `align`: go on behind a divergence, up to `limit` of them.
    `packets_only`: leave the flows out; no program is needed then. Raises `EtraceError`.
    """
    ignored = checked_names(ignore)
    if limit < 1:
        raise InputError(f"limit {limit}: must be at least 1")
    pair = _Pair(a, b, ignored)
    if packets_only:
        return pair.packets_alone()
    return pair.flows(align, limit)


def checked_names(ignore: Iterable[str]) -> frozenset[str]:
    """`ignore`, if all of them are known; raises `InputError`."""
    names = frozenset(ignore)
    for name in sorted(names):
        if name not in IGNORABLE:
            close = get_close_matches(name, IGNORABLE, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(IGNORABLE)}"
            raise InputError(f"ignore: nothing is called {name[:40]!r}; {hint}")
    return names


class _Pair:
    """The two sides, and what they are said to be."""

    def __init__(self, a: Trace | Log, b: Trace | Log, ignore: frozenset[str]) -> None:
        self._sides = (a, b)
        self._ignore = ignore
        traces = [each for each in self._sides if isinstance(each, Trace)]
        self._traces = (traces[0], traces[1]) if len(traces) == 2 else None
        self._xlen = traces[0].header.xlen if traces else 64
        self._names = (a.name, b.name)
        self._parameters: dict[str, tuple[Any, Any]] = {}
        self._remarks: list[str] = []
        if self._traces is not None:
            self._parameters = different_parameters(
                self._traces[0].configuration, self._traces[1].configuration
            )
            hashes = [each.known_code.hashes for each in self._traces]
            self._remarks += programs_differ(*hashes)

    def packets_alone(self) -> Diff:
        """Only the packets."""
        if self._traces is None:
            raise InputError("--packets: a pc log has no packets; leave it out")
        first = first_difference(*self._traces)
        (mine, bad), (theirs, bad_there) = (mix_of(each) for each in self._traces)
        verdict = Verdict.SAME
        if first is not None:
            verdict = Verdict.CORRUPT if first.corrupt else Verdict.DIFFERENT
        elif self._parameters and What.PARAMETERS not in self._ignore:
            verdict = Verdict.DIFFERENT
        elif bad or bad_there:
            verdict = Verdict.CORRUPT
        equal = sum(mine.values()) + bad if first is None else first.packet
        if first is None:
            self._remark_bytes(*self._traces)
        return self._diff(
            verdict, packets=first, mixes=(mine, theirs), packets_only=True, equal=equal
        )

    def flows(self, align: bool, limit: int) -> Diff:
        """The flows; if they agree, the packets."""
        identical, size = self._alike()
        start = None
        if size >= _WORTH and self._traces is not None:
            start = Start(self._traces[0], size)
        sides = [_side(each, self._xlen, start) for each in self._sides]
        if identical:
            sides[1] = sides[0]
            flows = Flows(sides[0], sides[0], self._ignore, alike=True)
            flows.count()
        else:
            alike = not self._parameters
            flows = Flows(sides[0], sides[1], self._ignore, alike, start)
        finder = _Finder(self._sides, flows, start)
        divergences = [] if identical else finder.divergences(align, limit)
        mixes = (sides[0].packets, sides[1].packets)
        if divergences:
            verdict = Verdict.CORRUPT if finder.corrupt else Verdict.DIFFERENT
            first = divergences[0].instruction
            mixes = self._mixes(mixes)
            return self._diff(
                verdict, first, finder.traps, divergences=tuple(divergences), mixes=mixes
            )
        packets, verdict = None, Verdict.SAME
        if self._traces is not None and not identical and What.PACKETS not in self._ignore:
            packets = first_difference(*self._traces)
            if packets is None:
                self._remark_bytes(*self._traces)
        if packets is not None or (self._parameters and What.PARAMETERS not in self._ignore):
            verdict = Verdict.DIFFERENT
        elif any(side.corrupt for side in sides) and What.GAP not in self._ignore:
            verdict = Verdict.CORRUPT
        for side in dict.fromkeys(sides):
            self._remarks += side.remarks()
        return self._diff(verdict, flows.a.own_position, flows.traps, packets=packets, mixes=mixes)

    def _remark_bytes(self, a: Trace, b: Trace) -> None:
        """Of packets that are the same: whether their bytes are, if one may expect that."""
        place = None if self._parameters else unequal_byte(a, b)
        if place is not None:
            self._remarks.append(
                f"the bytes of the packets differ, first at offset {place:,}: in their framing, or "
                "in bits that mean nothing"
            )

    def _mixes(self, mixes: tuple[Any, Any]) -> tuple[Any, Any]:
        """The mixes of whole streams: a comparison that stops has not read them to their ends."""
        if self._traces is None:
            return mixes
        return mix_of(self._traces[0])[0], mix_of(self._traces[1])[0]

    def _alike(self) -> tuple[bool, int]:
        """Whether both are one and the same trace, so that decoding one of them is enough; if not,
        how many of their first bytes need be decoded but once."""
        if self._traces is None or self._parameters or self._remarks:
            return False, 0
        a, b = self._traces
        if a.header.xlen != b.header.xlen or a.lead_in != b.lead_in or not _same_code(a, b):
            return False, 0
        place = unequal_byte(a, b)
        return (True, 0) if place is None else (False, place - a.lead_in)

    def _diff(self, verdict: Verdict, equal: int = 0, traps: int = 0, **more: Any) -> Diff:
        return Diff(
            self._names,
            verdict,
            equal,
            traps,
            parameters=self._parameters,
            remarks=tuple(self._remarks),
            **more,
        )


def different_parameters(one: Configuration, other: Configuration) -> dict[str, tuple[Any, Any]]:
    """What differs of two configurations, by names with dots; None for what one does not have."""
    mine, theirs = (dict(_flat(each.to_dict())) for each in (one, other))
    return {
        name: (mine.get(name), theirs.get(name))
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    }


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def programs_differ(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """A line if the programs and images with the hashes `a` are not those of `b`."""
    if a == b or not a or not b:
        return ()
    shorts = ["+".join(each[:12] for each in both) for both in (a, b)]
    return (f"the programs differ: sha256 {shorts[0]}... in A, {shorts[1]}... in B",)


def _same_code(a: Trace, b: Trace) -> bool:
    if a.code is b.code:
        return True
    one, other = a.code.map, b.code.map
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("region_base", "region_end", "word")
    )


def _side(side: Trace | Log, xlen: int, start: Start | None) -> Side:
    return TraceSide(side, start) if isinstance(side, Trace) else LogSide(side, xlen)


class _Listing:
    """Describes instructions of one side, a line each."""

    def __init__(self, trace: Trace | None) -> None:
        code = Code(64) if trace is None else trace.code
        self._listing = Listing(code.map, code.symbols)
        self._lines = Lines(str(each.path) for each in code.programs)

    def lines(self, number: int, pcs: list[int]) -> tuple[str, ...]:
        """Number, address, disassembly, symbol and source line of each."""
        return tuple(self._line(n, pc) for n, pc in enumerate(pcs, number))

    def _line(self, number: int, pc: int) -> str:
        """Short, so that two of them stand side by side."""
        text = " ".join(self._listing.disassembly(pc).split())
        symbol = f"<{name}>" if (name := self._listing.symbol(pc)) else ""
        return f"{number:>9} {pc:08x} {text:<22} {symbol} {self._lines.name(pc)}".rstrip()


class _Finder:
    """Goes through the places where flows part, and describes each."""

    def __init__(
        self,
        sides: tuple[Trace | Log, Trace | Log],
        flows: Flows,
        start: Start | None,
    ) -> None:
        self._flows = flows
        self._begun = None if start is None else start.machine
        traces = [each if isinstance(each, Trace) else None for each in sides]
        #: A log is shown with the program of the other side.
        known = [trace or traces[0] or traces[1] for trace in traces]
        listings = {id(trace): _Listing(trace) for trace in known}
        self._listings = [listings[id(trace)] for trace in known]
        self._traces = traces
        self._locators: list[Locator | None] = [None, None]
        self._found: list[Divergence] = []
        #: The first place is one where a side cannot be decoded.
        self.corrupt = False
        #: Traps before the first place.
        self.traps = 0

    def divergences(self, align: bool, limit: int) -> list[Divergence]:
        """The first `limit` places; one unless `align`."""
        for _ in islice(self._flows.partings(align, self._describe), limit):
            pass
        return self._found

    def _describe(self, parting: Parting, align: bool) -> None:
        if not self._found:
            self.corrupt = parting.corrupt
            self.traps = self._flows.traps
        before, *ahead = self._flows.around(parting, _AROUND)
        first = parting.at[0] - len(before)
        self._found.append(
            Divergence(
                parting.at[0],
                parting.what,
                parting.text,
                self._place(0, parting, ahead[0]),
                self._place(1, parting, ahead[1]),
                self._listings[0].lines(first, before),
                parting.lengths,
                align,
            )
        )

    def _place(self, side: int, parting: Parting, pcs: list[int]) -> Place:
        number = parting.at[side]
        packet, offset = parting.packets[side] or self._packet(side, number, bool(pcs))
        lines = self._listings[side].lines(number, pcs)
        return Place(number, tuple(pcs), packet, offset, not pcs, lines)

    def _packet(self, side: int, number: int, known: bool) -> tuple[int | None, int | None]:
        trace = self._traces[side]
        if trace is None:
            return None, None
        locator = self._locators[side] or Locator(trace, self._begun)
        self._locators[side] = locator
        return locator.packet(number) if known else locator.last()
