"""Addresses as people want them: symbol, source line, instruction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etrace.trace.lines import Lines
from etrace.trace.symbols import Symbols
from specs.isa.disassemble import disassemble

#: The instruction word at an address and its size in bytes; (0, 0) where there is none.
WordAt = Callable[[int], tuple[int, int]]


@dataclass(frozen=True)
class Place:
    """An address. What is not known is empty (`size` 0: no code there)."""

    pc: int
    symbol: str
    source: str
    word: int
    size: int
    text: str

    def __str__(self) -> str:
        where = f"{self.pc:#x}"
        if self.symbol:
            where += f" <{self.symbol}>"
        return f"{where} ({self.source})" if self.source else where

    def values(self) -> dict[str, Any]:
        """For JSON; addresses and words are hexadecimal."""
        return {
            "pc": f"{self.pc:#x}",
            "symbol": self.symbol,
            "source": self.source,
            "word": f"{self.word:#0{2 + 2 * self.size}x}" if self.size else None,
            "text": self.text,
        }


class Places:
    """Looks addresses up."""

    def __init__(self, selection: int, word: WordAt, symbols: Symbols, lines: Lines) -> None:
        """`selection`: what selects encodings, the `xlen` of `specs.isa.decode`."""
        self.word = word
        self.selection = selection
        self._symbols = symbols
        self._lines = lines
        self._kept: dict[int, Place] = {}

    def at(self, pc: int) -> Place:
        """What is at `pc`."""
        if pc not in self._kept:
            word, size = self.word(pc)
            text = " ".join(disassemble(word, pc, self.selection).split()) if size else ""
            self._kept[pc] = Place(
                pc, self._symbols.name(pc), self._lines.name(pc), word, size, text
            )
        return self._kept[pc]
