"""Counting references of a retirement stream by their code, at the speed of memory."""

from typing import Any

import numpy as np

from specs.interfaces.ingress import CODE_MASK
from specs.kernels.njit import njit

_MASK = np.uint32(CODE_MASK)


@njit
def count_code(refs: Any, code: Any) -> Any:
    """How many of `refs` (uint32) have this `code` (uint32)."""
    count = np.uint32(0)
    for at in range(refs.shape[0]):
        count += np.uint32(refs[at] & _MASK == code)
    return count
