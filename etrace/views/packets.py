"""Packets in words: what `etrace dump` shows, by the tables of `specs.trace.packets`."""

from contextlib import suppress

import numpy as np
import numpy.typing as npt

from etrace.kernels import packet_text as kernel
from etrace.kernels.packet_text import Piece, Style
from etrace.trace.reasons import reason_name
from specs.configuration.parameters import Configuration, ParametersError
from specs.interfaces.flow import Reason
from specs.kernels.njit import announce_compilation
from specs.trace.packets import FORMAT_NAMES, TABLES, Column, Format, Layout
from specs.trace.single import DERIVED, FLAGS, HEXADECIMAL, NAMES, TITLES
from specs.trace.support import learn

#: What a field takes in a line at most, besides names: a number, its bits, signs between them.
_ROOM = 20 + 2 + len('": {"value": , "bits": }, ')
#: Likewise what comes before the fields.
_HEAD = 200

Rows = npt.NDArray[np.uint64]


class PacketText:
    """Describes the packets of one stream, numbered as they come.

    `as_json`: an object a line instead of text. What a support packet announces holds for the
    packets after it, as it does for the `decoder.PacketReader` that has read them.
    """

    def __init__(self, configuration: Configuration, as_json: bool) -> None:
        announce_compilation("the packet listing", __name__)
        self._write = kernel.write_json if as_json else kernel.write_text
        self._configuration = configuration
        framing = configuration.framing
        fields = [
            (Column.srcID, framing.srcid_width),
            (Column.timestamp, framing.timestamp_width),
            (Column.type, framing.type_width),
        ]
        used = [field for field in fields if field[1] and framing.kind == "encap"]
        styles, pool, ends, self._most = _vocabulary()
        self._words = kernel.Vocabulary(
            Layout(configuration).array,
            np.array(used, np.int64).reshape(-1, len(kernel.Ahead)),
            styles,
            pool,
            ends,
        )
        self._out = np.zeros(0, np.uint8)
        #: Of the next packet.
        self.number = 0

    def describe(self, rows: Rows) -> bytes:
        """Lines for the next packets, rows of `Column`."""
        support = (rows[:, Column.table] == Format.SUPPORT) & (rows[:, Column.reason] == 0)
        parts = []
        begin = 0
        for last in np.flatnonzero(support).tolist():
            parts.append(self._lines(rows[begin : last + 1]))
            self._learn(rows[last].tolist())
            begin = last + 1
        parts.append(self._lines(rows[begin:]))
        return b"".join(parts)

    def skip(self, rows: Rows) -> None:
        """As `describe`, without the lines."""
        support = (rows[:, Column.table] == Format.SUPPORT) & (rows[:, Column.reason] == 0)
        for row in rows[support].tolist():
            self._learn(row)
        self.number += len(rows)

    def _lines(self, rows: Rows) -> bytes:
        if len(self._out) < len(rows) * self._most:
            self._out = np.zeros(len(rows) * self._most, np.uint8)
        size = self._write(rows, self._words, self.number, self._out)
        self.number += len(rows)
        return self._out[:size].tobytes()

    def _learn(self, row: list[int]) -> None:
        with suppress(ParametersError):  # then the reader has not learned it either
            learned = learn(self._configuration, dict(enumerate(row)))
            if learned is not self._configuration:
                self._configuration = learned
                self._words = self._words._replace(layout=Layout(learned).array)


def _vocabulary() -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64], int
]:
    """For the kernel: `styles` by column, `pool` and `ends`, and bytes of the longest line."""
    texts = {
        Piece.QUOTED_NUMBER: '{"number": ',
        Piece.QUOTED_OFFSET: ', "offset": ',
        Piece.QUOTED_LENGTH: ', "length": ',
        Piece.QUOTED_ERROR: ', "error": "',
        Piece.QUOTED_FORMAT: ', "format": "',
        Piece.QUOTED_FRAMING: ', "framing": {',
        Piece.QUOTED_FIELDS: '}, "fields": {',
        Piece.QUOTED_VALUE: ': {"value": ',
        Piece.QUOTED_BITS: ', "bits": ',
        Piece.QUOTED_IS: '}, "is": [',
        Piece.BAD: " ! ",
    }
    pieces = [column.name for column in Column] + [texts[each] for each in sorted(texts)]
    pieces += FORMAT_NAMES
    pieces += [f" {name:<3} {TITLES[name]:<15}" for name in FORMAT_NAMES]
    pieces += [reason_name(reason) for reason in range(max(Reason) + 1)]
    styles = np.zeros((len(Column), len(Style)), np.int64)
    styles[list(HEXADECIMAL), Style.HEXADECIMAL] = 1
    for column, derived in DERIVED.items():
        styles[column, Style.DERIVED] = derived
    for style, named in ((Style.NAMES, NAMES), (Style.FLAGS, FLAGS)):
        for column, names in named.items():
            styles[column, style] = len(pieces)
            pieces += names
    for column, names in FLAGS.items():
        styles[column, Style.FLAG_COUNT] = len(names)
    encoded = [piece.encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    widest = max(map(len, encoded))
    most = _HEAD + max(map(len, TABLES)) * (_ROOM + 3 * widest) + 6 * widest
    return styles, np.frombuffer(b"".join(encoded), np.uint8).copy(), ends, most
