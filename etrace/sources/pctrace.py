"""Spike-style pc traces: every retired instruction and every trap, a row each.

Columns `VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT`, hexadecimal. EXCEPTION 1 is
an instruction that trapped and did not retire. In an interrupt's row EXCEPTION and INTERRUPT are 1,
ADDRESS is the instruction that would have executed next, INSN 0. Rows with VALID 0 are skipped.
"""

from collections.abc import Iterator

import numpy as np

from etrace.errors import InputError, os_error
from etrace.expand import expanded
from etrace.files import MAX_LINE, open_input, shown, text_blocks
from etrace.trace.stretch import EVENT, Stretch

COLUMNS = ("VALID", "ADDRESS", "INSN", "PRIVILEGE", "EXCEPTION", "ECAUSE", "TVAL", "INTERRUPT")

#: A row as read: `kind` is one of the three below.
_ROW = np.dtype(
    [
        ("address", "<u8"),
        ("tval", "<u8"),
        ("cause", "<u8"),
        ("word", "<u4"),
        ("priv", "u1"),
        ("kind", "u1"),
    ]
)
_SKIPPED, _RETIRED, _EXCEPTION, _INTERRUPT = range(4)

_LIMITS = {"VALID": 1, "PRIVILEGE": 7, "EXCEPTION": 1, "INTERRUPT": 1}
_LIMIT = (1 << 64) - 1
_MAX_ROWS = 1 << 18


def stretches(path: str) -> Iterator[Stretch]:
    """The pc trace `path` (gzip, xz, `-` for standard input), streaming.

    Raises `InputError` naming file and line.
    """
    name = shown(path)
    order: list[int] | None = None
    rows: _Rows | None = None
    before = 0
    position = 0
    for lines in text_blocks(path):
        first = 0
        if order is None:
            order = _order(lines[0], name)
            first = 1
        if rows is None or len(rows) > _MAX_ROWS:
            rows = _Rows(order)
        try:
            index = np.fromiter(map(rows.__getitem__, lines[first:]), np.int64)
        except _RowError as error:
            line = before + first + lines[first:].index(error.line) + 1
            raise InputError(f"{name}: line {line}: {error}") from None
        before += len(lines)
        stretch = _stretch(rows.table()[index], position)
        position += len(stretch.pcs)
        yield stretch
    if order is None:
        raise InputError(f"{name}: empty file; a header line with the column names was expected")


def is_log(path: str) -> bool:
    """Whether the file `path` begins as a pc trace does. Raises `InputError` if it cannot be
    read."""
    with open_input(path) as file:
        contents, line = expanded(file, path), b""
        try:
            while b"\n" not in line and len(line) < MAX_LINE and (more := contents.read(MAX_LINE)):
                line += more
        except OSError as error:
            raise os_error(path, error) from None
    header = line.split(b"\n", 1)[0]
    return b"ADDRESS" in header.upper() and b"," in header


def _stretch(table: np.ndarray, position: int) -> Stretch:
    retired = table["kind"] == _RETIRED
    before = np.cumsum(retired) - retired + position
    trapped = table["kind"] >= _EXCEPTION
    traps = np.zeros(int(trapped.sum()), EVENT)
    traps["position"] = before[trapped]
    traps["epc"] = table["address"][trapped]
    for name in ("tval", "cause", "priv"):
        traps[name] = table[name][trapped]
    traps["interrupt"] = table["kind"][trapped] == _INTERRUPT
    traps["epc_known"] = 1
    instructions = table[retired]
    return Stretch(instructions["address"], instructions["priv"], traps, instructions["word"])


class _RowError(Exception):
    def __init__(self, line: bytes, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Rows(dict[bytes, int]):
    """From a line to its number in a table of distinct rows, each parsed once."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self._order = order
        self._rows: list[tuple[int, ...]] = []
        self._table = np.zeros(0, _ROW)

    def table(self) -> np.ndarray:
        if len(self._table) < len(self._rows):
            self._table = np.array(self._rows, _ROW)
        return self._table

    def __missing__(self, line: bytes) -> int:
        self._rows.append(self._parse(line))
        self[line] = len(self._rows) - 1
        return self[line]

    def _parse(self, line: bytes) -> tuple[int, ...]:
        if not line.strip():
            return (0, 0, 0, 0, 0, _SKIPPED)
        cells = line.split(b",")
        if len(cells) <= max(self._order):
            raise _RowError(line, f"{len(cells)} columns, the header has more")
        values = {}
        for column, where in zip(COLUMNS, self._order, strict=True):
            values[column] = _number(line, cells[where], column)
        if not values["VALID"]:
            kind = _SKIPPED
        elif values["INTERRUPT"]:
            kind = _INTERRUPT
        else:
            kind = _EXCEPTION if values["EXCEPTION"] else _RETIRED
        word = values["INSN"] & 0xFFFF_FFFF
        return (
            values["ADDRESS"],
            values["TVAL"],
            values["ECAUSE"],
            word,
            values["PRIVILEGE"],
            kind,
        )


def _number(line: bytes, cell: bytes, column: str) -> int:
    digits = cell.strip()
    limit = _LIMITS.get(column, _LIMIT)
    try:
        if not digits.isalnum() or len(digits) > 32:
            raise ValueError
        value = int(digits, 16)
    except ValueError:
        shown_cell = ascii(cell[:40].decode("latin-1"))
        raise _RowError(
            line, f"column {column}: {shown_cell} is not a hexadecimal number"
        ) from None
    if value > limit:
        raise _RowError(line, f"column {column}: {value:x} is out of range, at most {limit:x}")
    return value


def _order(line: bytes, name: str) -> list[int]:
    """Where each of `COLUMNS` stands in the header `line`."""
    given = [
        cell.strip().decode("latin-1").upper()
        for cell in line.removeprefix(b"\xef\xbb\xbf").split(b",")
    ]
    missing = [column for column in COLUMNS if column not in given]
    if missing:
        raise InputError(f"{name}: line 1: missing column {', '.join(missing)}")
    return [given.index(column) for column in COLUMNS]
