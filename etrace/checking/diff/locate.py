"""Which packet reports an instruction: a trace decoded again, in ever smaller steps."""

from collections.abc import Iterator

from decoder import Decoder
from etrace.trace.trace import Trace
from specs.trace.packets import Column

#: Bytes decoded at a time on the way.
_PIECE = 1 << 14


class Locator:
    """Finds packets of one trace, for instructions in ascending order."""

    def __init__(self, trace: Trace, begun: Decoder | None = None) -> None:
        """`begun`: a decoder that has had the first bytes of the stream, and no instruction that
        will be asked for."""
        self._trace = trace
        self._machine = (
            Decoder(trace.configuration, trace.code.map, offset=trace.lead_in)
            if begun is None
            else begun.fork()
        )
        self._pieces = _pieces(trace.chunks(), self._machine.statistics.bytes)
        self._before = self._machine
        self._piece = b""

    def packet(self, instruction: int) -> tuple[int, int]:
        """Number and byte offset of the packet by which `instruction` (counted from 0) is known; of
        the last one if that is only by the end of the stream.
        """
        _feed(self._machine, b"", instruction)
        while self._machine.reached <= instruction:
            piece = next(self._pieces, None)
            if piece is None:
                return self.last()
            self._before = self._machine.fork()
            self._piece = piece
            _feed(self._machine, piece, instruction)
        return self._within(instruction)

    def last(self) -> tuple[int, int]:
        """The last packet."""
        number, offset = 0, 0
        for rows in self._trace.packets():
            number += len(rows)
            offset = int(rows[-1, Column.offset])
        return number - 1, offset

    def _within(self, instruction: int) -> tuple[int, int]:
        """The packet among those of the piece."""
        low, high = 0, len(self._piece)  # not known after `low` bytes, known after `high`
        while high - low > 1:
            middle = (low + high) // 2
            machine = self._before.fork()
            _feed(machine, self._piece[:middle], instruction)
            if machine.reached > instruction:
                high = middle
            else:
                low = middle
        offsets = self._before.offsets(self._piece[:high])
        return self._before.packets + len(offsets) - 1, offsets[-1]


def _feed(machine: Decoder, data: bytes, instruction: int) -> None:
    """Decode `data` until `instruction` is known: a few bytes can stand for billions of them."""
    for _ in machine.feed(data):
        if machine.reached > instruction:
            break


def _pieces(chunks: Iterator[bytes], passed: int) -> Iterator[bytes]:
    """The bytes behind the first `passed`, a few at a time."""
    for whole in chunks:
        chunk, passed = whole[passed:], max(passed - len(whole), 0)
        for at in range(0, len(chunk), _PIECE):
            yield chunk[at : at + _PIECE]
