"""Packets from bytes, whole or streamed."""

import numpy as np
import numpy.typing as npt

from decoder.bytes.brief import BRIEFS, Brief
from decoder.bytes.parse import (
    EVERY_SOURCE,
    PADDING,
    Damage,
    Found,
    PacketRows,
    Reading,
    parse,
)
from decoder.bytes.quick import quick_table
from specs.configuration.parameters import Configuration, ParametersError
from specs.kernels.njit import announce_compilation
from specs.trace.framing import FramingField, FramingLayout
from specs.trace.packets import COLUMNS, Column, Format, Layout
from specs.trace.packing import WORDS
from specs.trace.support import learn

Rows = npt.NDArray[np.uint64]

_ROWS = 2048
_PIECE = 1 << 18


class PacketReader:
    """Packets of a byte stream that comes in pieces.

    Null packets, and packets of another source or type, give no row. A row whose `reason` is not 0
    stands for bytes that are no packet (a `specs.interfaces.flow.Reason`). What a support packet
    announces is how the packets after it are read.
    """

    def __init__(
        self,
        configuration: Configuration,
        full: bool = True,
        offset: int = 0,
        every_source: bool = False,
    ) -> None:
        """`full` False: packets of formats 0.1, 1 and 2 have but a brief, no row of details.

        `offset`: that of the first byte in the stream. `every_source`: whatever the srcID.
        """
        announce_compilation("the packet reader", __name__)
        self._full = full
        #: By which the next packets will be read.
        self.configuration = configuration
        #: The last support packet announces what the parameters rule out: nothing was learned.
        self.refused = False
        self._announced: list[int] = []
        self._framing = FramingLayout(configuration).array()
        if every_source:
            self._framing[FramingField.srcid] = EVERY_SOURCE
        self._adopt()
        self._damage = np.zeros(len(Damage), np.int64)
        self._data = np.zeros(PADDING, np.uint8)
        self._begin = self._end = 0
        self._offset = offset
        self._words = np.zeros(WORDS, np.uint64)
        self._briefs = np.zeros((_ROWS, BRIEFS), np.uint64)
        self._details = np.zeros((_ROWS, COLUMNS), np.uint64)
        self._waiting: list[memoryview] = []

    @property
    def foreign(self) -> int:
        """Packets passed over because they are another source's or of another type."""
        return int(self._damage[Damage.FOREIGN])

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes; `read` reads them."""
        view = memoryview(data).cast("B")
        if not isinstance(data, bytes):
            view = memoryview(bytes(view))
        if len(view):
            self._waiting.append(view)

    def read(self, final: bool = False) -> tuple[Rows, Rows]:
        """The next packets that are complete: rows of `decoder.bytes.brief.Brief` and of `Column`.

        The arrays are valid until the next call; empty if there are no packets. A support packet is
        the last of its arrays. `final`: nothing
        more will be fed; what is left over is a row with reason TRUNCATED.
        """
        found = np.zeros(len(Found), np.int64)
        rows = PacketRows(self._briefs, self._details, found)
        while True:
            last = not self._waiting
            reading = Reading(
                self._data, self._framing, self._layout, self._quick, self._damage, self._words
            )
            self._begin = parse(reading, rows, self._begin, self._end, self._offset, final and last)
            if found[Found.BRIEFS] or last:
                break
            self._take()
        briefs = self._briefs[: found[Found.BRIEFS]]
        details = self._details[: found[Found.DETAILS]]
        if len(briefs) and self._is_support(briefs[-1]):
            self._learn(details[-1].tolist())
        return briefs, details

    @staticmethod
    def _is_support(brief: npt.NDArray[np.uint64]) -> bool:
        return not brief[Brief.reason] and int(brief[Brief.table]) == Format.SUPPORT

    def _learn(self, packet: list[int]) -> None:
        announced = packet[Column.format :]
        if announced == self._announced:
            return
        self._announced = announced
        try:
            configuration = learn(self.configuration, dict(enumerate(packet)))
        except ParametersError:
            self.refused = True
            return
        self.refused = False
        if configuration is not self.configuration:
            self.configuration = configuration
            self._adopt()

    def _adopt(self) -> None:
        """Lay out packets by `configuration`."""
        layout = Layout(self.configuration)
        parameters = self.configuration.parameters
        self._layout = layout.array
        format0 = parameters.bpred_size_p > 0 or parameters.cache_size_p > 0
        self._quick = quick_table(layout, format0, self._full)

    def _take(self) -> None:
        """Move a piece of what was fed behind the bytes left over."""
        view = self._waiting.pop(0)
        if len(view) > _PIECE:
            self._waiting.insert(0, view[_PIECE:])
            view = view[:_PIECE]
        left = self._data[self._begin : self._end]
        end = len(left) + len(view)
        data = np.zeros(end + PADDING, np.uint8)
        data[: len(left)] = left
        data[len(left) : end] = np.frombuffer(view, np.uint8)
        self._data = data
        self._offset += self._begin
        self._begin, self._end = 0, end


def packets(data: bytes | bytearray | memoryview, configuration: Configuration) -> Rows:
    """All packets of a byte stream, uint64 rows of `specs.trace.packets.Column`.

    A row whose `reason` is not 0 stands for bytes that are no packet (a
    `specs.interfaces.flow.Reason`).
    """
    reader = PacketReader(configuration)
    reader.feed(data)
    found = [np.zeros((0, COLUMNS), np.uint64)]
    while len(rows := reader.read(final=True)[1]):
        found.append(rows.copy())
    return np.concatenate(found)
