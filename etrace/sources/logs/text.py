"""Text in blocks of whole lines, and the rows that a kernel makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from etrace.errors import InputError, os_error
from etrace.expand import expanded
from etrace.files import MAX_LINE, open_input
from etrace.kernels.logs import State, line_ends
from etrace.trace.stretch import Stretch

#: Bytes by which a format is known.
HEAD = 1 << 16
_PIECE = 1 << 20

Rows = npt.NDArray[np.uint64]


@dataclass
class Log:
    """A log that is being read: its `stretches`, and what they tell.

    `traps_told` False: there are no traps in it. An instruction that trapped may stand there as if
    it had retired. `words_told`: the stretches have instruction words.
    """

    name: str
    stretches: Iterator[Stretch]
    traps_told: bool = True
    words_told: bool = True


def narrow(stretches: Iterator[Stretch], xlen: int) -> Iterator[Stretch]:
    """Addresses of `xlen` bits: those of 32 may be printed sign-extended."""
    for stretch in stretches:
        if xlen == 32:
            stretch.pcs &= 0xFFFF_FFFF
            for name in ("epc", "tval"):
                stretch.traps[name] &= 0xFFFF_FFFF
        yield stretch


class Block(NamedTuple):
    """Whole lines, the last with its end; `lines` come before it."""

    data: bytes
    lines: int


def blocks(path: str, name: str) -> Iterator[Block]:
    """The text of `path`, which messages call `name`, expanded. Raises `InputError` if it cannot be
    read, or is no text."""
    with open_input(path) as raw:
        rest, lines = b"", 0
        try:
            file = expanded(raw, name)
            while piece := file.read(_PIECE):
                end = piece.rfind(b"\n") + 1
                if not end:
                    rest += piece
                    if len(rest) > MAX_LINE:
                        raise InputError(f"{name}: line {lines + 1}: too long; not a log")
                    continue
                data, rest = rest + piece[:end], piece[end:]
                yield Block(data, lines)
                lines += int(line_ends(np.frombuffer(data, np.uint8)))
        except OSError as error:
            raise os_error(name, error) from None
        if rest:
            yield Block(rest + b"\n", lines)


def rows_of(
    block: Block, kernel: Any, columns: int, hart: int, wrong: Callable[[bytes, int], NoReturn]
) -> Rows:
    """The rows that `kernel` makes of a block. `wrong` raises for a line that it does not
    understand, given the line and its number."""
    data = np.frombuffer(block.data, np.uint8)
    state = np.zeros(len(State), np.int64)
    state[State.HART] = hart
    rows = np.zeros((int(line_ends(data)), columns), np.uint64)
    filled = kernel(data, state, np.zeros(1, np.uint64), rows)
    if state[State.WRONG]:
        at = int(state[State.AT])
        line = block.data[at : block.data.index(b"\n", at)]
        wrong(line, block.lines + int(state[State.LINE]) + 1)
    return rows[:filled]


def quoted(line: bytes) -> str:
    """A line as messages show it."""
    return ascii(line[:80].decode("latin-1"))
