"""Spike-style pc traces: every retired instruction and every trap, a row each.

Columns `VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT`, hexadecimal. EXCEPTION 1 is
an instruction that trapped and did not retire. In an interrupt's row EXCEPTION and INTERRUPT are 1,
ADDRESS is the instruction that would have executed next, INSN 0. Rows with VALID 0 are skipped.
"""

from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from etrace.errors import InputError
from etrace.kernels import logs as kernel
from etrace.sources.logs.text import Block, Log, Rows, rows_of
from etrace.trace.stretch import EVENT, Stretch

COLUMNS = ("VALID", "ADDRESS", "INSN", "PRIVILEGE", "EXCEPTION", "ECAUSE", "TVAL", "INTERRUPT")

_LIMITS = {"VALID": 1, "PRIVILEGE": 7, "EXCEPTION": 1, "INTERRUPT": 1}
_LIMIT = (1 << 64) - 1


def recognises(head: bytes) -> bool:
    """Whether a log begins so."""
    header = head.split(b"\n", 1)[0].upper()
    return b"," in header and any(name.encode() in header for name in ("ADDRESS", "VALID"))


def log(head: bytes, blocks: Iterator[Block], name: str, hart: int) -> Log:
    """The log. It is of one hart."""
    return Log(name, _stretches(blocks, name))


def _stretches(blocks: Iterator[Block], name: str) -> Iterator[Stretch]:
    order: list[int] | None = None
    position = 0
    for block in blocks:
        if order is None:
            end = block.data.index(b"\n") + 1
            order = _order(block.data[: end - 1], name)
            block = Block(block.data[end:], 1)
        stretch = _stretch(_rows(block, order, name), position)
        position += len(stretch.pcs)
        yield stretch


def _rows(block: Block, order: list[int], name: str) -> Rows:
    """Rows with the columns of `COLUMNS`. Raises `InputError`."""

    def wrong(line: bytes, number: int) -> NoReturn:
        try:
            _check(line, order)
        except _RowError as error:
            raise InputError(f"{name}: line {number}: {error}") from None
        raise InputError(f"{name}: line {number}: not a row of a pc trace")

    wanted = np.full(max(order) + 1, -1, np.int64)
    wanted[order] = np.arange(len(COLUMNS))
    rows = rows_of(block, partial(kernel.numbers, wanted=wanted), len(COLUMNS), 0, wrong)
    for name_, limit in _LIMITS.items():
        column = rows[:, COLUMNS.index(name_)]
        if len(column) and int(column.max()) > limit:
            number = int(np.argmax(column > limit))
            wrong(block.data.split(b"\n", number + 1)[number], block.lines + number + 1)
    return rows


def _stretch(rows: Rows, position: int) -> Stretch:
    column: dict[str, npt.NDArray[np.uint64]] = {name: rows[:, n] for n, name in enumerate(COLUMNS)}
    valid = column["VALID"] == 1
    trapped = valid & ((column["EXCEPTION"] == 1) | (column["INTERRUPT"] == 1))
    retired = valid & ~trapped
    before = np.cumsum(retired) - retired + position
    traps = np.zeros(int(np.count_nonzero(trapped)), EVENT)
    traps["position"] = before[trapped]
    for field, name in (
        ("epc", "ADDRESS"),
        ("tval", "TVAL"),
        ("cause", "ECAUSE"),
        ("priv", "PRIVILEGE"),
        ("interrupt", "INTERRUPT"),
    ):
        traps[field] = column[name][trapped]
    traps["epc_known"] = 1
    words = (column["INSN"][retired] & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
    privs = column["PRIVILEGE"][retired].astype(np.uint8)
    return Stretch(column["ADDRESS"][retired], privs, traps, words)


class _RowError(Exception):
    """What is wrong with a row."""


def _check(line: bytes, order: list[int]) -> None:
    """Raise `_RowError` if a row cannot be."""
    cells = line.split(b",")
    if len(cells) <= max(order):
        raise _RowError(f"{len(cells)} columns, the header has more")
    for column, where in zip(COLUMNS, order, strict=True):
        _number(cells[where], column)
    for where in range(max(order)):
        _number(cells[where], f"number {where + 1}")


def _number(cell: bytes, column: str) -> None:
    digits = cell.strip()
    limit = _LIMITS.get(column, _LIMIT)
    try:
        if not digits.isalnum() or len(digits) > 32:
            raise ValueError
        value = int(digits, 16)
    except ValueError:
        shown_cell = ascii(cell[:40].decode("latin-1"))
        raise _RowError(f"column {column}: {shown_cell} is not a hexadecimal number") from None
    if value > limit:
        raise _RowError(f"column {column}: {value:x} is out of range, at most {limit:x}")


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
