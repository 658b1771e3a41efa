"""Notes for the side band: what changed, and from which number of retired instructions on."""

from typing import Any

import numpy as np

from emu.hart.state import NOTE_COUNT, NOTE_WORDS, NOTES
from specs.kernels.memory import store64
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U8, U16

_BYTES = np.uint64(8 * NOTE_WORDS)


@njit
def note(cpu: Any, retired: Any, what: Any, value: Any) -> Any:
    """Note `value` of `what` (`state.NOTE_CONTEXT` ...), which counts for everything that happens
    after `retired` instructions. `drive` sees to it that there is room.
    """
    if cpu[NOTES] == U0:
        return
    row = cpu[NOTES] + cpu[NOTE_COUNT] * _BYTES
    store64(row, retired)
    store64(row + U8, what)
    store64(row + U16, value)
    cpu[NOTE_COUNT] += U1
