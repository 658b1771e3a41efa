"""A decoded flow as text: `text`, `csv`, `jsonl` and `pc`.

What does not change from one execution of an instruction to the next is formatted once and kept.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

import numpy as np

from etrace.sources.logs.csv import COLUMNS
from etrace.trace.fields import Fields
from etrace.trace.reasons import gap_text, loop_text, reason_name
from etrace.trace.stretch import Expand, pieces, positions
from etrace.trace.symbols import Symbols
from specs.interfaces.flow import Flow
from specs.isa.causes import cause_name
from specs.isa.control import CodeMap
from specs.isa.disassemble import disassemble
from specs.isa.privilege import letters

#: Instructions formatted at a time.
_PIECE = 1 << 16


class Listing:
    """What can be said about the instruction at an address: word, symbol, disassembly."""

    def __init__(self, code: CodeMap, symbols: Symbols) -> None:
        self._code = code
        self._symbols = symbols
        self.digits = code.xlen // 4

    def word(self, pc: int) -> tuple[int, int]:
        """The instruction word at `pc` and its length in bytes; (0, 0) where there is no code."""
        slot = self._code.slot(pc)
        if slot < 0 or not self._code.size[slot]:
            return 0, 0
        return int(self._code.word[slot]), 2 * int(self._code.size[slot])

    def symbol(self, pc: int) -> str:
        """`symbol+offset`, or nothing."""
        return self._symbols.name(pc)

    def disassembly(self, pc: int) -> str:
        """The instruction in words; empty where there is no code."""
        word, size = self.word(pc)
        return disassemble(word, pc, self._code.selection) if size else ""

    def line(self, pc: int) -> str:
        """Address, symbol, word and disassembly in columns."""
        word, size = self.word(pc)
        bits = f"{word:0{2 * size}x}" if size else "-"
        symbol = f"<{name}>" if (name := self.symbol(pc)) else ""
        text = " ".join(self.disassembly(pc).split())
        return f"{pc:0{self.digits}x} {bits:<8} {text:<32} {symbol}".rstrip()


class _Kept(dict[int, str]):
    """Text for an address, made at its first use."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, pc: int) -> str:
        text = self[pc] = self._make(pc)
        return text


TellFields = Callable[[], Fields]


def _all_fields() -> Fields:
    return Fields(64, 64)


class Writer(Protocol):
    """A format: text of a stretch of instructions, of a trap, of a gap, of a pause in tracing, of a
    report of context and time, of rounds that the packets do not tell. `number`: instructions
    before it."""

    def header(self) -> str: ...

    def instructions(self, number: int, pcs: list[int], priv: int) -> str: ...

    def trap(self, number: int, trap: np.void) -> str: ...

    def gap(self, number: int, gap: np.void) -> str: ...

    def pause(self, number: int, pause: np.void) -> str: ...

    def report(self, number: int, report: np.void) -> str: ...

    def loop(self, number: int, loop: np.void) -> str: ...


class _PerPrivilege:
    """Kept text by privilege level and address."""

    def __init__(self, make: Callable[[int, int], str]) -> None:
        self._make = make
        self._kept: dict[int, _Kept] = {}

    def of(self, priv: int) -> _Kept:
        if priv not in self._kept:
            self._kept[priv] = _Kept(partial(self._make, priv))
        return self._kept[priv]


class PcWriter:
    """One lower-case hexadecimal pc a line."""

    def __init__(self, listing: Listing, fields: TellFields = _all_fields) -> None:
        self._kept = _Kept(lambda pc: f"{pc:x}\n")

    def header(self) -> str:
        return ""

    def instructions(self, number: int, pcs: list[int], priv: int) -> str:
        return "".join(map(self._kept.__getitem__, pcs))

    def trap(self, number: int, trap: np.void) -> str:
        return ""

    def gap(self, number: int, gap: np.void) -> str:
        return ""

    def pause(self, number: int, pause: np.void) -> str:
        return ""

    def report(self, number: int, report: np.void) -> str:
        return ""

    def loop(self, number: int, loop: np.void) -> str:
        return ""


class CsvWriter:
    """A pc trace as `etrace.sources.logs.csv` reads it. A row with VALID 0 is a gap or, if its TVAL
    is not 0, a loop: so many instructions from ADDRESS, an unknown number of times."""

    def __init__(self, listing: Listing, fields: TellFields = _all_fields) -> None:
        self._listing = listing
        self._kept = _PerPrivilege(
            lambda priv, pc: f"1,{pc:x},{listing.word(pc)[0]:x},{priv:x},0,0,0,0\n"
        )

    def header(self) -> str:
        return ",".join(COLUMNS) + "\n"

    def instructions(self, number: int, pcs: list[int], priv: int) -> str:
        return "".join(map(self._kept.of(priv).__getitem__, pcs))

    def trap(self, number: int, trap: np.void) -> str:
        epc, interrupt = int(trap["epc"]), int(trap["interrupt"])
        word = 0 if interrupt else self._listing.word(epc)[0]
        return (
            f"1,{epc:x},{word:x},{int(trap['priv']):x},1,"
            f"{int(trap['cause']):x},{int(trap['tval']):x},{interrupt}\n"
        )

    def gap(self, number: int, gap: np.void) -> str:
        return f"0,{int(gap['address']):x},0,0,0,0,0,0\n"

    def pause(self, number: int, pause: np.void) -> str:
        return ""

    def report(self, number: int, report: np.void) -> str:
        return ""

    def loop(self, number: int, loop: np.void) -> str:
        return f"0,{int(loop['start']):x},0,0,0,0,{int(loop['count']):x},0\n"


class JsonLinesWriter:
    """One JSON object a line: instructions, and each `"trap"`, `"gap"`, `"pause"`, `"report"`,
    `"loop"`."""

    def __init__(self, listing: Listing, fields: TellFields = _all_fields) -> None:
        self._listing = listing
        self._fields = fields
        self._kept = _PerPrivilege(self._make)

    def header(self) -> str:
        return ""

    def instructions(self, number: int, pcs: list[int], priv: int) -> str:
        kept = self._kept.of(priv)
        return "".join([f'{{"number": {n}{kept[pc]}' for n, pc in enumerate(pcs, number)])

    def trap(self, number: int, trap: np.void) -> str:
        cause, interrupt = int(trap["cause"]), bool(trap["interrupt"])
        values = {
            "trap": "interrupt" if interrupt else "exception",
            "number": number,
            "cause": cause,
            "name": cause_name(cause, interrupt),
            "epc": f"{int(trap['epc']):#x}" if trap["epc_known"] else None,
            "symbol": self._listing.symbol(int(trap["epc"])),
            "tval": None if interrupt else f"{int(trap['tval']):#x}",
            "privilege": letters(int(trap["priv"])) if trap["priv"] != 255 else None,
            "packet": int(trap["packet"]),
            "offset": int(trap["offset"]),
        }
        return json.dumps(values) + "\n"

    def gap(self, number: int, gap: np.void) -> str:
        values = {
            "gap": reason_name(int(gap["reason"])),
            "number": number,
            "address": f"{int(gap['address']):#x}",
            "packet": int(gap["packet"]),
            "offset": int(gap["offset"]),
        }
        return json.dumps(values) + "\n"

    def pause(self, number: int, pause: np.void) -> str:
        values = {"pause": "not_traced", "number": number}
        values |= {"packet": int(pause["packet"]), "offset": int(pause["offset"])}
        return json.dumps(values) + "\n"

    def report(self, number: int, report: np.void) -> str:
        told = self._fields().cut(int(report["context"]), int(report["time"]))
        values: dict[str, object] = {
            "report": "precise" if report["precise"] else "imprecise",
            "number": number,
        }
        if told.context is not None:
            values["context"] = f"{told.context:#x}"
        if told.time is not None:
            values["time"] = told.time
        values |= {"packet": int(report["packet"]), "offset": int(report["offset"])}
        return json.dumps(values) + "\n"

    def loop(self, number: int, loop: np.void) -> str:
        values = {
            "loop": "endless" if loop["endless"] else "visit",
            "number": number,
            "pc": f"{int(loop['start']):#x}",
            "symbol": self._listing.symbol(int(loop["start"])),
            "instructions": int(loop["count"]),
            "rounds": None,
            "packet": int(loop["packet"]),
            "offset": int(loop["offset"]),
        }
        return json.dumps(values) + "\n"

    def _make(self, priv: int, pc: int) -> str:
        word, size = self._listing.word(pc)
        values = {
            "pc": f"{pc:#x}",
            "word": f"{word:#0{2 + 2 * size}x}" if size else None,
            "privilege": letters(priv),
            "symbol": self._listing.symbol(pc),
            "text": " ".join(self._listing.disassembly(pc).split()),
        }
        return ", " + json.dumps(values)[1:] + "\n"


class TextWriter:
    """Number, address, word, disassembly, symbol; all else on lines of its own."""

    def __init__(self, listing: Listing, fields: TellFields = _all_fields) -> None:
        self._listing = listing
        self._fields = fields
        self._kept = _Kept(lambda pc: listing.line(pc) + "\n")
        self._priv: int | None = None

    def header(self) -> str:
        return ""

    def instructions(self, number: int, pcs: list[int], priv: int) -> str:
        kept = self._kept
        lines = [f"{n:>10} {kept[pc]}" for n, pc in enumerate(pcs, number)]
        if self._priv not in (None, priv):
            lines.insert(0, f"{'':>10} -- privilege {letters(priv)}\n")
        self._priv = priv
        return "".join(lines)

    def trap(self, number: int, trap: np.void) -> str:
        cause, interrupt = int(trap["cause"]), bool(trap["interrupt"])
        epc = int(trap["epc"])
        where = f"epc {epc:0{self._listing.digits}x}" if trap["epc_known"] else "epc unknown"
        if trap["epc_known"] and (symbol := self._listing.symbol(epc)):
            where += f" <{symbol}>"
        value = "" if interrupt else f", tval {int(trap['tval']):x}"
        kind = "interrupt" if interrupt else "exception"
        return f"{'':>10} -- {kind} {cause} ({cause_name(cause, interrupt)}): {where}{value}\n"

    def gap(self, number: int, gap: np.void) -> str:
        return f"{'':>10} -- gap: {gap_text(gap)}\n"

    def pause(self, number: int, pause: np.void) -> str:
        return f"{'':>10} -- not traced here; tracing began again with packet {pause['packet']}\n"

    def report(self, number: int, report: np.void) -> str:
        told = self._fields().cut(int(report["context"]), int(report["time"]))
        return f"{'':>10} -- {told}{'' if report['precise'] else ' (imprecise)'}\n"

    def loop(self, number: int, loop: np.void) -> str:
        return f"{'':>10} -- {loop_text(loop)}\n"


#: By name: makes a writer, from the listing and from what tells which fields packets have by then.
WRITERS: dict[str, Callable[[Listing, TellFields], Writer]] = {
    "text": TextWriter,
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "pc": PcWriter,
}


def write_flows(
    flows: Iterable[Flow],
    writer: Writer,
    expand: Expand,
    first: int = 0,
    last: int | None = None,
) -> Iterator[bytes]:
    """The flow as text, in pieces: the header, then instructions `first <= number < last`.

    What stands between instructions belongs to the one that follows. Stops reading at `last`.
    """
    yield writer.header().encode()
    number = 0
    for chunk in flows:
        for flow in pieces(chunk):
            for text in _chunk(flow, writer, expand, number, first, last):
                yield text.encode()
            number += flow.instructions
            if last is not None and number >= last:
                return


def _chunk(
    flow: Flow, writer: Writer, expand: Expand, number: int, first: int, last: int | None
) -> Iterator[str]:
    """One chunk, `number` instructions before it."""
    end = number + flow.instructions
    if end < first:
        return
    between = _events(flow, writer, number)
    pcs = expand(flow.runs)
    privs = np.repeat(flow.runs["priv"], flow.runs["count"])
    # Where the writer must look up: at events, privilege changes and piece limits.
    changes = np.flatnonzero(privs[1:] != privs[:-1]) + 1
    stops = {number + int(change) for change in changes}
    stops.update(range(number + _PIECE, end, _PIECE))
    stops.update(position for position, _ in between)
    low, high = max(first, number), end if last is None else min(last, end)
    at = low
    pending = iter([event for event in between if event[0] >= first])
    event = next(pending, None)
    for stop in [*sorted(stop for stop in stops if low <= stop <= high), high]:
        if stop > at:
            piece = pcs[at - number : stop - number]
            yield writer.instructions(at, piece.tolist(), int(privs[at - number]))
            at = stop
        while event is not None and event[0] <= at and (last is None or event[0] < last):
            yield event[1]()
            event = next(pending, None)


def _events(flow: Flow, writer: Writer, number: int) -> list[tuple[int, Callable[[], str]]]:
    """What stands between the instructions of a chunk, with its position, in stream order."""
    keyed = []
    tables = (
        (flow.pauses, writer.pause),
        (flow.loops, writer.loop),
        (flow.traps, writer.trap),
        (flow.contexts, writer.report),
        (flow.gaps, writer.gap),
    )
    for order, (table, write) in enumerate(tables):
        for position, row in zip(positions(flow, number, table["run"]), table, strict=True):
            key = (int(row["run"]), int(row["packet"]), order)
            keyed.append((key, int(position), partial(write, int(position), row)))
    keyed.sort(key=lambda each: each[0])
    return [(position, write) for _, position, write in keyed]
