"""Retirement events from a CSV file: the hart-to-encoder signals, one cycle a row.

Columns, in any order: `itype_0, cause, tval, priv, iaddr_0, iretire_0, ilastsize_0` and, optional,
`context, ctype, time, sijump_0, trigger, halted, reset`; the `_0` may be left out, other columns
are ignored. tval and iaddr are hexadecimal, the rest decimal ("Instruction Trace Interface",
E-Trace 2.0). `trigger`: 1 trace-on, 2 trace-off, 4 trace-notify. A row on which nothing retires can
say that the hart is halted or reset.

A hart that retires several blocks in a cycle has the columns `itype_1, iaddr_1, iretire_1,
ilastsize_1` (and `sijump_1`), and so on, for up to blocks_p blocks, the oldest first; those with
iretire 0 and itype 0 are empty. The other signals are the cycle's: priv, context and time of all
its blocks; ctype, trace-on, halted and reset are about what comes first, trace-off about what comes
last; trigger bit 2 + n is the trace-notify of block n. A trap ends the newest block.

With retires_p 1, `iretire` is the number of instructions, 0 or 1 (single retirement, of each
block); otherwise the number of half-words. A row with itype 1 or 2 and iretire 0 is a trap alone,
its iaddr the EPC. With iretire above 0 the block retires, then the trap happens, at the address
after the block.

One exception: ecall and ebreak do not retire, but the reference flow's files say iretire 1. With
retires_p 1 such a row (itype 1, cause 3, 8, 9, 10 or 11) is taken as the trap alone, unless
`ecall_retires`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from etrace.errors import InputError
from etrace.files import shown, text_blocks
from etrace.sources.csvcolumns import Columns, Row, named, read_header
from etrace.sources.retirement import TRAPS, Reading, RetirementError, sideband, tells
from etrace.sources.streamcheck import Fault
from specs.interfaces import ingress

#: Bytes of a reference.
_REFERENCE = 4

#: Of one block.
_PULSES = ingress.TRIGGER_ON | ingress.TRIGGER_OFF | ingress.TRIGGER_NOTIFY

#: Distinct rows remembered; a program has fewer, only hostile input has more.
_MAX_ROWS = 1 << 18


def chunks(
    path: str,
    *,
    retires_p: int = 1,
    blocks_p: int = 1,
    ecall_retires: bool = False,
    check: Callable[[ingress.Chunk], Fault | None] | None = None,
) -> Iterator[ingress.Chunk]:
    """The rows of the CSV file `path` (gzip, xz, `-` for standard input) as ingress chunks.

    `check` says what is wrong with a chunk (`etrace.sources.streamcheck`). Raises `InputError`
    naming file and line. Memory does not grow with the file.
    """
    name = shown(path)
    columns: Columns | None = None
    before = 0
    rows: _Rows | None = None
    for lines in text_blocks(path):
        first = 0
        if columns is None:
            columns = read_header(lines[0], name, blocks_p)
            first = 1
        if rows is None or len(rows) > _MAX_ROWS:
            sideband = rows is not None and rows.sideband
            rows = _Rows(columns, retires_p == 1, ecall_retires, sideband)
        try:
            refs = b"".join(map(rows.__getitem__, lines[first:]))
        except _RowError as error:
            line = before + first + lines[first:].index(error.line) + 1
            raise InputError(f"{name}: line {line}: {error}") from None
        if refs:
            chunk = rows.chunk(refs)
            if check is not None and (fault := check(chunk)) is not None:
                line, block = rows.place(lines[first:], fault.at)
                raise InputError(
                    f"{name}: line {before + first + line + 1}: column "
                    f"{named(fault.signal, block)}: {fault.reason}; is a row missing, or the "
                    "program another? --no-check encodes it all the same"
                )
            yield chunk
        before += len(lines)
    if columns is None:
        raise InputError(f"{name}: empty file; a header line with the column names was expected")


def rows(path: str) -> Iterator[Row]:
    """The rows of the CSV file `path` that are not empty, of one block each, as they are.

    Raises `InputError` naming file and line.
    """
    name = shown(path)
    columns: Columns | None = None
    number = 0
    for lines in text_blocks(path):
        for line in lines:
            number += 1
            if columns is None:
                columns = read_header(line, name, 1)
            elif line.strip():
                (row,) = columns.parse(line.strip().split(b","), _at(name, number))
                apart = row.get("halted") or row.get("reset")
                if row["iretire"] or row["itype"] or apart:
                    yield row


def _at(name: str, line: int) -> Callable[[str], Exception]:
    return lambda reason: InputError(f"{name}: line {line}: {reason}")


class _RowError(Exception):
    def __init__(self, line: bytes, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Rows(dict[bytes, bytes]):
    """From a line to its references, each distinct line parsed once; with the tables they index."""

    def __init__(self, columns: Columns, single: bool, ecall_retires: bool, sideband: bool) -> None:
        super().__init__()
        self._columns = columns
        self._reading = Reading(single, ecall_retires)
        #: Whether rows tell their context: from the first one on that has any.
        self.sideband = sideband
        self._given = 0
        self._blocks = _Table(ingress.BLOCK)
        self._traps = _Table(ingress.TRAP)
        self._sidebands = _Table(ingress.SIDEBAND)

    def chunk(self, refs: bytes) -> ingress.Chunk:
        blocks = self._blocks.array()
        fresh, self._given = self._given, len(blocks)
        return ingress.Chunk(
            np.frombuffer(refs, np.uint32),
            blocks,
            self._traps.array(),
            self._sidebands.array(),
            fresh,
        )

    def place(self, lines: list[bytes], reference: int) -> tuple[int, int]:
        """The line (an index) of which a reference of its chunk comes, and the block there."""
        for at, line in enumerate(lines):
            count = len(self[line]) // _REFERENCE
            if reference < count:
                return at, self._block_of(line, reference)
            reference -= count
        raise IndexError("no such reference")

    def _block_of(self, line: bytes, reference: int) -> int:
        """The block of a row of which its reference number `reference` is."""
        refs = np.frombuffer(self[line], np.uint32)
        sides = refs[: reference + 1] & ingress.CODE_MASK == ingress.SIDEBAND_CODE
        own = reference - int(sides.sum())
        blocks = self._columns.parse(
            line.strip().split(b","), lambda reason: _RowError(line, reason)
        )
        for number, block in enumerate(blocks):
            if block["iretire"] or block["itype"]:
                own -= len(self._block(line, blocks[0], block, number))
                if own < 0:
                    return number
        raise IndexError("no such reference")

    def __missing__(self, line: bytes) -> bytes:
        refs = np.array(self._references(line), np.uint32).tobytes()
        self[line] = refs
        return refs

    def _references(self, line: bytes) -> list[int]:
        stripped = line.strip()
        if not stripped:
            return []
        blocks = self._columns.parse(stripped.split(b","), lambda reason: _RowError(line, reason))
        cycle = blocks[0]
        valid = [n for n, block in enumerate(blocks) if block["iretire"] or block["itype"]]
        if not valid:
            apart = cycle.get("halted") or cycle.get("reset")
            return self._sideband_of(cycle, cycle.get("trigger", 0) & _PULSES) if apart else []
        if len(blocks) == 1:
            refs = self._sideband_of(cycle, cycle.get("trigger", 0))
            return refs + self._block(line, cycle, cycle, 0)
        return self._several(line, blocks, valid)

    def _several(self, line: bytes, blocks: list[Row], valid: list[int]) -> list[int]:
        """The `valid` ones of several blocks, in order, with what is about which of them."""
        cycle = blocks[0]
        refs: list[int] = []
        for n in valid:
            if blocks[n]["itype"] in TRAPS and n != valid[-1]:
                raise _RowError(
                    line,
                    f"{named('itype', n)} is {blocks[n]['itype']}, but a trap ends the newest "
                    f"block of a cycle; put block {valid[-1]}, behind it, into the next row",
                )
            trigger = _trigger_of(cycle.get("trigger", 0), n, valid)
            if n == valid[0]:
                refs += self._sideband_of(cycle, trigger)
            elif trigger:
                refs.append(self._sideband((0, 0, 0, trigger, 0)))
            refs += self._block(line, cycle, blocks[n], n)
        return refs

    def _block(self, line: bytes, cycle: Row, row: Row, number: int) -> list[int]:
        """Block `number`, which is not empty: what retires, and the trap behind it."""
        try:
            block, trap = self._reading.parts(
                row["itype"],
                cycle["cause"],
                cycle["tval"],
                cycle["priv"],
                row["iaddr"],
                row["iretire"],
                row["ilastsize"],
                row.get("sijump", 0),
                number,
            )
        except RetirementError as error:
            raise _RowError(line, str(error)) from None
        refs = []
        if block is not None:
            code = 0 if trap is not None else row["itype"]
            refs.append(self._blocks.add(block) << ingress.CODE_BITS | code)
        if trap is not None:
            refs.append(self._traps.add(trap) << ingress.CODE_BITS | row["itype"])
        return refs

    def _sideband_of(self, cycle: Row, trigger: int) -> list[int]:
        """What comes with the first reference of a cycle; `trigger` is for that one."""
        values = sideband(
            cycle.get("context"),
            cycle.get("time"),
            cycle.get("ctype", 0),
            trigger,
            cycle.get("halted", 0),
            cycle.get("reset", 0),
        )
        if not self.sideband:
            if not tells(values):
                return []
            # From here on every row says its context: also those seen, and kept, without one.
            self.sideband = True
            self.clear()
        return [self._sideband(values)]

    def _sideband(self, values: tuple[int, ...]) -> int:
        return self._sidebands.add(values) << ingress.CODE_BITS | ingress.SIDEBAND_CODE


def _trigger_of(pulses: int, number: int, valid: list[int]) -> int:
    """What block `number` has of a cycle's `trigger`, which has a trace-notify for each block.

    Trace-on is for the oldest of the `valid` blocks, trace-off for the newest.
    """
    trigger = ingress.TRIGGER_NOTIFY if pulses >> (2 + number) & 1 else 0
    if number == valid[0]:
        trigger |= pulses & ingress.TRIGGER_ON
    if number == valid[-1]:
        trigger |= pulses & ingress.TRIGGER_OFF
    return trigger


class _Table:
    """A growing table of distinct rows, as an array on demand."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._dtype = dtype
        self._index: dict[tuple[int, ...], int] = {}
        self._array = np.zeros(0, dtype)

    def add(self, row: tuple[int, ...]) -> int:
        return self._index.setdefault(row, len(self._index))

    def array(self) -> np.ndarray:
        if len(self._array) < len(self._index):
            self._array = np.array(list(self._index), self._dtype)
        return self._array
