"""The columns of an ingress CSV file, and the numbers in its rows.

Signals that the interface replicates have a column for each block (`itype_0`, `itype_1`, ...), the
others one for the cycle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from etrace.errors import InputError

#: The columns of a block ("Instruction Trace Interface": groups MR, BR or SR, and OR).
_BLOCK = ("itype", "iaddr", "iretire", "ilastsize")
_BLOCK_OPTIONAL = ("sijump",)
#: Those of a cycle (groups M and O).
_CYCLE = ("cause", "tval", "priv")
_CYCLE_OPTIONAL = ("context", "ctype", "time", "trigger", "halted", "reset")
_REPLICATED = {*_BLOCK, *_BLOCK_OPTIONAL}
_KNOWN = {*_REPLICATED, *_CYCLE, *_CYCLE_OPTIONAL}
#: The largest blocks_p.
_MOST_BLOCKS = 8
_HEXADECIMAL = {"tval", "iaddr"}

#: Largest values of columns; that of `trigger` for one block a cycle.
LIMITS = {
    "itype": 15,
    "priv": 7,
    "iretire": (1 << 32) - 1,
    "ilastsize": 2,
    "ctype": 3,
    "trigger": 7,
    "sijump": 1,
    "halted": 1,
    "reset": 1,
}
#: That of the others.
LIMIT = (1 << 64) - 1

#: The names of a cycle's signals and of block 0's, and their values.
Row = dict[str, int]


def named(signal: str, block: int) -> str:
    """The name of a block's column in messages: that of block 0 is the signal's."""
    return f"{signal}_{block}" if block else signal


class _Column(NamedTuple):
    """A column: the `block` it is about, the base of its numbers, and the largest of them."""

    name: str
    signal: str
    block: int
    base: int
    limit: int


@dataclass(frozen=True)
class Columns:
    """What a header has: a column for each position, None where it is ignored; `blocks` a row."""

    columns: tuple[_Column | None, ...]
    blocks: int

    def parse(self, cells: list[bytes], error: Callable[[str], Exception]) -> list[Row]:
        """The values of a row: the cycle's and those of block 0, then those of each other block.

        Raises `error(reason)`.
        """
        if len(cells) != len(self.columns):
            raise error(f"{len(cells)} columns, the header has {len(self.columns)}")
        rows: list[Row] = [{} for _ in range(self.blocks)]
        for column, cell in zip(self.columns, cells, strict=True):
            if column is not None:
                rows[column.block][column.signal] = _number(cell, column, error)
        return rows


def read_header(line: bytes, name: str, blocks_p: int) -> Columns:
    """The columns that the header `line` of the file `name` names. Raises `InputError`."""
    where = f"{name}: line 1: "
    given = [
        cell.strip().decode("latin-1") for cell in line.removeprefix(b"\xef\xbb\xbf").split(b",")
    ]
    found: list[tuple[str, int] | None] = []
    for column in given:
        signal, block = _signal(column)
        if signal not in _KNOWN:
            found.append(None)
            continue
        if block and signal not in _REPLICATED:
            raise InputError(
                f"{where}column {column}: {signal} is one signal for all blocks of a cycle; "
                f"call it {signal}"
            )
        if block >= _MOST_BLOCKS:
            raise InputError(f"{where}column {column}: a row has at most {_MOST_BLOCKS} blocks")
        if block >= blocks_p:
            raise InputError(
                f"{where}column {column}: {block + 1} blocks a row, but blocks_p is {blocks_p}; "
                f"set blocks_p = {block + 1} with --params"
            )
        if (signal, block) in found:
            raise InputError(f"{where}column {named(signal, block)} stands there twice")
        found.append((signal, block))
    blocks = 1 + max((each[1] for each in found if each), default=0)
    wanted = [(signal, 0) for signal in _CYCLE]
    wanted += [(signal, block) for block in range(blocks) for signal in _BLOCK]
    missing = [named(*each) for each in wanted if each not in found]
    if missing:
        raise InputError(f"{where}missing column {', '.join(missing)}")
    limits = LIMITS | {"trigger": (4 << blocks) - 1}
    return Columns(
        tuple(
            each
            and _Column(
                named(*each),
                *each,
                16 if each[0] in _HEXADECIMAL else 10,
                limits.get(each[0], LIMIT),
            )
            for each in found
        ),
        blocks,
    )


def _signal(column: str) -> tuple[str, int]:
    signal, _, block = column.rpartition("_")
    if signal in _KNOWN and block.isascii() and block.isdigit():
        return signal, int(block) if len(block) < 3 else _MOST_BLOCKS
    return column, 0


def _number(cell: bytes, column: _Column, error: Callable[[str], Exception]) -> int:
    digits = cell.strip()
    try:
        if not digits.isalnum() or len(digits) > 32:
            raise ValueError
        value = int(digits, column.base)
    except ValueError:
        kind = "hexadecimal" if column.base == 16 else "decimal"
        shown_cell = ascii(cell[:40].decode("latin-1"))
        raise error(f"column {column.name}: {shown_cell} is not a {kind} number") from None
    if value > column.limit:
        raise error(f"column {column.name}: {value} is out of range, at most {column.limit}")
    return value
