"""Retirement blocks to one pc an instruction, by the sizes of the instructions in memory."""

from enum import IntEnum
from typing import Any, NamedTuple

from specs.interfaces.ingress import CODE_BITS, CODE_MASK, SIDEBAND_CODE
from specs.isa.itype import Itype
from specs.kernels.njit import njit, plain
from specs.kernels.words import U1, u64


class Side(IntEnum):
    """Columns of `Expanded.sides`: of a side band."""

    POSITION = 0  # in the references
    INSTRUCTIONS = 1  # before it
    TRAPS = 2  # before it


class Blocks(NamedTuple):
    """What expanding needs of the block table: columns of it, and where each block's code is."""

    iaddr: Any
    iretire: Any
    priv: Any
    slots: Any  # of the code map; -1: no code there
    sizes: Any  # of the code map, by slot


class Expanded(NamedTuple):
    """Where rows go."""

    pcs: Any
    privs: Any
    traps: Any  # of each its position in the references
    trap_positions: Any  # the number of instructions before each
    sides: Any  # int64, a column a `Side`


_SIDEBAND = int(SIDEBAND_CODE)
_itype = plain(Itype)
_side = plain(Side)


@njit
def expand(refs, begin, blocks, expanded):
    """Expand `refs[begin:]` until they or the room in `expanded` ends.

    Returns (references taken, instructions, traps, side bands, those of them that precede another
    reference here, or -1 if there is none).
    """
    iaddr, iretire, priv, slots, sizes = blocks
    pcs, privs, traps, trap_positions, sides = expanded
    instructions = 0
    trap = 0
    side = 0
    settled = -1
    at = begin
    while at < refs.shape[0]:
        code = int(refs[at] & CODE_MASK)
        if code == _itype.EXCEPTION or code == _itype.INTERRUPT:
            if trap == traps.shape[0]:
                break
            traps[trap] = at
            trap_positions[trap] = instructions
            trap += 1
            settled = side
        elif code == _SIDEBAND:
            if side == sides.shape[0]:
                break
            sides[side, _side.POSITION] = at
            sides[side, _side.INSTRUCTIONS] = instructions
            sides[side, _side.TRAPS] = trap
            side += 1
        else:
            block = int(refs[at] >> CODE_BITS)
            half_words = int(iretire[block])
            if instructions + half_words > pcs.shape[0]:
                break
            pc = iaddr[block]
            slot = slots[block]
            while half_words > 0:
                pcs[instructions] = pc
                privs[instructions] = priv[block]
                instructions += 1
                step = 2
                if slot >= 0:
                    step = int(sizes[slot]) if slot < sizes.shape[0] else 0
                    if step == 0:
                        step = 1
                    slot += step
                pc += u64(step) << U1
                half_words -= step
            settled = side
        at += 1
    return at - begin, instructions, trap, side, settled
