"""Notes for the side band: what changed, and from which number of retired instructions on."""

from typing import Any

import numpy as np

from emu.access import store64
from emu.state import NOTE_COUNT, NOTE_WORDS, NOTES
from specs.compiled import U0, U1, njit

_BYTES = np.uint64(8 * NOTE_WORDS)
_U8 = np.uint64(8)
_U16 = np.uint64(16)


@njit
def note(cpu: Any, retired: Any, what: Any, value: Any) -> Any:
    """Note `value` of `what` (`state.NOTE_CONTEXT` ...), which counts for everything that happens
    after `retired` instructions. `drive` sees to it that there is room.
    """
    if cpu[NOTES] == U0:
        return
    row = cpu[NOTES] + cpu[NOTE_COUNT] * _BYTES
    store64(row, retired)
    store64(row + _U8, what)
    store64(row + _U16, value)
    cpu[NOTE_COUNT] += U1
