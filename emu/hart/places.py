"""Where in its block, and in the program, a micro-operation is."""

from typing import Any

import numpy as np

from emu.hart.state import ADDRESS_MASK, ARENA, GOAL, LEFT, SEQUEL, SIDE
from specs.kernels.memory import load64
from specs.kernels.njit import njit
from specs.kernels.words import U1, U3, U8, U16, U255

_SEQUEL = np.uint64(SEQUEL)


@njit
def position(cpu: Any, ip: Any) -> Any:
    """A micro-operation's place in its block: instructions before it (bits 0-7), half-words before
    it (8-15), slots of 8 bytes before it (16-23), log2 of the half-words of the instruction before
    it (24-25), cycles before it (26-37); and, above, the number of its partial block plus 1.
    """
    return load64(ip - cpu[ARENA] + cpu[SIDE])


@njit
def retired_at(cpu: Any, ip: Any) -> Any:
    """Instructions retired before a micro-operation; cpu[LEFT] is as of its block's start."""
    return cpu[GOAL] - cpu[LEFT] + (position(cpu, ip) & U255)


@njit
def block_pc(cpu: Any, ip: Any) -> Any:
    """The guest address of the instruction that a micro-operation came from."""
    place = position(cpu, ip)
    start = ip - ((place >> U16 & U255) << U3)
    pc = load64(start - U8) & ~_SEQUEL
    return (pc + ((place >> U8 & U255) << U1)) & cpu[ADDRESS_MASK]
