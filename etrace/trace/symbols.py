"""Names of addresses."""

from bisect import bisect_right
from collections.abc import Iterable


class Symbols:
    """Symbols of the programs, looked up by address.

    Built from `(name, address, size, kind, limit)` of each symbol: `kind` as in ELF ("FUNC", ...),
    `limit` the end of the segment that it is in. Where several share an address, functions win,
    then the first name in order.
    """

    def __init__(self, symbols: Iterable[tuple[str, int, int, str, int]]) -> None:
        best: dict[int, tuple[bool, str, int]] = {}
        for name, address, size, kind, limit in symbols:
            if kind not in _KINDS:
                continue
            # An assembler label has no size: it reaches to the next one.
            end = address + size if size else limit
            candidate = (kind != "FUNC", name, end)
            if address not in best or candidate < best[address]:
                best[address] = candidate
        self._addresses = sorted(best)
        self._entries = [best[address] for address in self._addresses]

    def name(self, address: int) -> str:
        """`symbol` or `symbol+0x12`; empty where no symbol covers the address."""
        position = bisect_right(self._addresses, address) - 1
        if position < 0:
            return ""
        _, name, end = self._entries[position]
        offset = address - self._addresses[position]
        if address >= end:
            return ""
        return f"{name}+{offset:#x}" if offset else name


_KINDS = {"FUNC", "NOTYPE"}
