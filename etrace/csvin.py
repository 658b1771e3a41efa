"""Retirement events from a CSV file: the hart-to-encoder signals, one block a row.

Columns, in any order: `itype_0, cause, tval, priv, iaddr_0, iretire_0, ilastsize_0` and, optional,
`context, ctype, time, sijump_0, trigger, halted, reset`; the `_0` may be left out, other columns
are ignored. tval and iaddr are hexadecimal, the rest decimal ("Instruction Trace Interface",
E-Trace 2.0). `trigger`: 1 trace-on, 2 trace-off, 4 trace-notify. A row on which nothing retires can
say that the hart is halted or reset.

With retires_p 1, `iretire` is the number of instructions, 0 or 1 (single retirement); otherwise the
number of half-words. A row with itype 1 or 2 and iretire 0 is a trap alone, its iaddr the EPC. With
iretire above 0 the block retires, then the trap happens, at the address after the block.

One exception: ecall and ebreak do not retire, but the reference flow's files say iretire 1. With
retires_p 1 such a row (itype 1, cause 3, 8, 9, 10 or 11) is taken as the trap alone, unless
`ecall_retires`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from etrace.errors import InputError
from etrace.files import shown, text_blocks
from specs import ingress

_REQUIRED = ("itype", "cause", "tval", "priv", "iaddr", "iretire", "ilastsize")
_OPTIONAL = ("context", "ctype", "time", "sijump", "trigger", "halted", "reset")
_HEXADECIMAL = {"tval", "iaddr"}

#: Largest value of a column.
_LIMITS = {
    "itype": 15,
    "priv": 7,
    "iretire": (1 << 32) - 1,
    "ilastsize": 2,
    "ctype": 3,
    "sijump": 1,
    "trigger": 7,
    "halted": 1,
    "reset": 1,
}
_LIMIT = (1 << 64) - 1

_EXCEPTION, _INTERRUPT, _RESERVED = 1, 2, 7
#: breakpoint and the environment calls from U, S, VS and M.
_NEVER_RETIRES = {3, 8, 9, 10, 11}

#: Distinct rows remembered; a program has fewer, only hostile input has more.
_MAX_ROWS = 1 << 20


def chunks(
    path: str, *, retires_p: int = 1, ecall_retires: bool = False
) -> Iterator[ingress.Chunk]:
    """The rows of the CSV file `path` (gzip, xz, `-` for standard input) as ingress chunks.

    Raises `InputError` naming file and line. Memory does not grow with the file.
    """
    name = shown(path)
    columns: list[str | None] | None = None
    before = 0
    rows: _Rows | None = None
    for lines in text_blocks(path):
        first = 0
        if columns is None:
            columns = _columns(lines[0], name)
            first = 1
        if rows is None or len(rows) > _MAX_ROWS:
            sideband = rows is not None and rows.sideband
            rows = _Rows(columns, retires_p == 1, ecall_retires, sideband)
        try:
            refs = b"".join(map(rows.__getitem__, lines[first:]))
        except _RowError as error:
            line = before + first + lines[first:].index(error.line) + 1
            raise InputError(f"{name}: line {line}: {error}") from None
        before += len(lines)
        if refs:
            yield rows.chunk(refs)
    if columns is None:
        raise InputError(f"{name}: empty file; a header line with the column names was expected")


class _RowError(Exception):
    def __init__(self, line: bytes, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Rows(dict[bytes, bytes]):
    """From a line to its references, each distinct line parsed once; with the tables they index."""

    def __init__(
        self, columns: list[str | None], single: bool, ecall_retires: bool, sideband: bool
    ) -> None:
        super().__init__()
        self._columns = columns
        self._single = single
        self._ecall_retires = ecall_retires
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

    def __missing__(self, line: bytes) -> bytes:
        refs = np.array(self._references(line), np.uint32).tobytes()
        self[line] = refs
        return refs

    def _references(self, line: bytes) -> list[int]:
        stripped = line.strip()
        if not stripped:
            return []
        row = _parse(line, stripped, self._columns)
        itype, size = row["itype"], 1 << row["ilastsize"]
        retired = self._half_words(line, row, size)
        trap = itype in (_EXCEPTION, _INTERRUPT)
        if itype == _RESERVED:
            raise _RowError(line, "itype 7 is reserved")
        if not retired and not trap:
            if itype:
                raise _RowError(line, f"itype {itype} but nothing retired (iretire is 0)")
            return self._sideband_of(row) if row.get("halted") or row.get("reset") else []
        if retired and trap and self._is_unretired_call(row):
            retired = 0
        refs = self._sideband_of(row)
        if retired:
            block = (
                row["iaddr"],
                retired,
                row["ilastsize"],
                row["ilastsize"] if retired == size else ingress.UNKNOWN_SIZE,
                row.get("sijump", 0),
                row["priv"],
            )
            refs.append(self._blocks.add(block) << ingress.CODE_BITS | (0 if trap else itype))
        if trap:
            epc = (row["iaddr"] + 2 * retired) & _LIMIT
            # iaddr of an interrupt is not specified; 0 is what sources write that do not know it.
            known = itype == _EXCEPTION or bool(retired) or epc != 0
            tval = row["tval"] if itype == _EXCEPTION else 0
            values = (epc, tval, row["cause"], row["priv"], int(known), b"")
            refs.append(self._traps.add(values) << ingress.CODE_BITS | itype)
        return refs

    def _half_words(self, line: bytes, row: dict[str, int], size: int) -> int:
        iretire = row["iretire"]
        if self._single:
            if iretire > 1:
                raise _RowError(
                    line, f"iretire {iretire}, but retires_p is 1; set retires_p for blocks"
                )
            return size * iretire
        if 0 < iretire < size:
            raise _RowError(line, f"iretire {iretire} is less than ilastsize says ({size})")
        return iretire

    def _is_unretired_call(self, row: dict[str, int]) -> bool:
        return (
            self._single
            and not self._ecall_retires
            and row["itype"] == _EXCEPTION
            and row["cause"] in _NEVER_RETIRES
        )

    def _sideband_of(self, row: dict[str, int]) -> list[int]:
        values = tuple(row.get(name, 0) for name in ("context", "time", "ctype", "trigger"))
        apart = ingress.HALTED * row.get("halted", 0) | ingress.RESET * row.get("reset", 0)
        if not self.sideband:
            if not any(values) and not apart:
                return []
            # From here on every row says its context: also those seen, and kept, without one.
            self.sideband = True
            self.clear()
        flags = ("context" in row) * ingress.HAS_CONTEXT | ("time" in row) * ingress.HAS_TIME
        return [
            self._sidebands.add((*values, flags | apart, b"")) << ingress.CODE_BITS
            | ingress.SIDEBAND_CODE
        ]


class _Table:
    """A growing table of distinct rows, as an array on demand."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._dtype = dtype
        self._index: dict[tuple[int | bytes, ...], int] = {}
        self._array = np.zeros(0, dtype)

    def add(self, row: tuple[int | bytes, ...]) -> int:
        return self._index.setdefault(row, len(self._index))

    def array(self) -> np.ndarray:
        if len(self._array) < len(self._index):
            self._array = np.array(list(self._index), self._dtype)
        return self._array


def _columns(line: bytes, name: str) -> list[str | None]:
    """The known column at each position of the header `line`, None for others."""
    given = [
        cell.strip().decode("latin-1") for cell in line.removeprefix(b"\xef\xbb\xbf").split(b",")
    ]
    known = (*_REQUIRED, *_OPTIONAL)
    columns: list[str | None] = []
    for column in given:
        base, _, group = column.rpartition("_")
        if base in known and group.isdigit() and int(group) > 0:
            raise InputError(
                f"{name}: line 1: column {column}: several blocks a row cannot be read; "
                "write one block a row"
            )
        plain = base if group == "0" else column
        if plain in known and plain in columns:
            raise InputError(f"{name}: line 1: column {plain} stands there twice")
        columns.append(plain if plain in known else None)
    missing = [column for column in _REQUIRED if column not in columns]
    if missing:
        raise InputError(f"{name}: line 1: missing column {', '.join(missing)}")
    return columns


def _parse(line: bytes, stripped: bytes, columns: list[str | None]) -> dict[str, int]:
    cells = stripped.split(b",")
    if len(cells) != len(columns):
        raise _RowError(line, f"{len(cells)} columns, the header has {len(columns)}")
    return {
        column: number(cell, column, lambda reason: _RowError(line, reason))
        for column, cell in zip(columns, cells, strict=True)
        if column
    }


def number(cell: bytes, column: str, error: Callable[[str], Exception]) -> int:
    """The value of a cell; raises `error(reason)` if it is none or out of range."""
    base = 16 if column in _HEXADECIMAL else 10
    digits = cell.strip()
    try:
        if not digits.isalnum() or len(digits) > 32:
            raise ValueError
        value = int(digits, base)
    except ValueError:
        kind = "hexadecimal" if base == 16 else "decimal"
        shown_cell = ascii(cell[:40].decode("latin-1"))
        raise error(f"column {column}: {shown_cell} is not a {kind} number") from None
    limit = _LIMITS.get(column, _LIMIT)
    if value > limit:
        raise error(f"column {column}: {value} is out of range, at most {limit}")
    return value
