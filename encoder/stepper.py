"""The trace encoder, a reference at a time: what a model beside hardware needs."""

from typing import TYPE_CHECKING

import numpy as np

from encoder import kernel
from encoder.encoder import NO_PASSAGES, Encoder
from encoder.state import Cur, Option, Slot, Tables
from specs.interfaces import ingress
from specs.interfaces.records import rows

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration


# as plain integers: members of an enumeration cost microseconds here
_CUR, _CUR_SENT = int(Slot.cur), int(Slot.cur_sent)
_ERROR, _LEFT_END = int(Slot.error), int(Slot.left_end)
_RETIRED, _TRAP_REPORTED = int(Cur.RETIRED), int(Cur.TRAP_REPORTED)


class Stepper(Encoder):
    """An `Encoder` that is given one reference a call, in arrays that it keeps for that.

    Put the row that the reference is to into `block` or `trap`, and what annotates it into
    `sideband`; each is a table of one row (`specs.interfaces.ingress`).
    """

    def __init__(self, configuration: "Configuration") -> None:
        super().__init__(configuration)
        # each row by the flow chart, which tells what each packet is about
        self._options[Option.plain] = 0
        self.block = np.zeros(1, ingress.BLOCK)
        self.trap = np.zeros(1, ingress.TRAP)
        self.sideband = np.zeros(1, ingress.SIDEBAND)
        self._refs = np.array([ingress.SIDEBAND_CODE, 0], np.uint32)
        tables = (
            rows(self.block, ingress.BLOCK),
            rows(self.trap, ingress.TRAP),
            rows(self.sideband, ingress.SIDEBAND),
        )
        self._both = Tables(self._refs, *tables)
        self._alone = Tables(self._refs[:1], *tables)

    def begin(self) -> bytes:
        """What a trace begins with; nothing if it has begun."""
        return self._count(self._begin())

    def take(self, code: int | None, annotated: bool) -> tuple[bytes, int]:
        """Encode a reference with this code to `block` or `trap`, behind `sideband` if it is
        `annotated`; None: `sideband` alone. The row is not checked: see `check`.

        The bytes that this completes, and how many of them are about the row before it.
        """
        tables = self._alone
        if code is not None:
            tables = self._both
            self._refs[1] = code
        given = NO_PASSAGES if self._history is None else None
        start = 0 if annotated else 1
        _, size = kernel.encode(self._work, self._history, tables, given, start, self._out)
        if self._state[_ERROR]:
            self._raise_error()
        if not size:
            return b"", 0
        return self._count(self._out[:size].tobytes()), int(self._state[_LEFT_END])

    @property
    def told(self) -> bool:
        """Whether the row in hand has been reported to its end."""
        in_hand = int(self._state[_CUR])
        if in_hand == _RETIRED:
            return bool(self._state[_CUR_SENT])
        return in_hand == _TRAP_REPORTED

    def check(self, block: bool, trap: bool) -> None:
        """Raise `IngressError` if `block` or `trap` does not fit the parameters."""
        refs = np.zeros(0, np.uint32)
        self._check(ingress.Chunk(refs, self.block[: int(block)], self.trap[: int(trap)]))
