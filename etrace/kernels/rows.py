"""Retirement blocks to one pc an instruction, by the sizes of the instructions in memory."""

from specs.interfaces.ingress import SIDEBAND_CODE
from specs.kernels.njit import njit
from specs.kernels.words import U1, u64

_SIDEBAND = int(SIDEBAND_CODE)


@njit
def expand(
    refs, begin, iaddr, iretire, priv, slots, size, pcs, privs, traps, trap_positions, sides
):
    """Expand `refs[begin:]` until they or the room in `pcs`, `privs`, `traps` or `sides` ends.

    `iaddr`, `iretire`, `priv` are columns of the block table, `slots` the code map's slots of the
    blocks (-1: no code there), `size` its sizes. `traps` receives positions in `refs`,
    `trap_positions` the number of instructions before each. `sides` (int64) receives for each side
    band its position in `refs`, and the instructions and traps before it.
    Returns (references taken, instructions, traps, side bands, those of them that precede another
    reference here, or -1 if there is none).
    """
    instructions = 0
    trap = 0
    side = 0
    settled = -1
    at = begin
    while at < refs.shape[0]:
        code = int(refs[at] & 15)
        if code == 1 or code == 2:
            if trap == traps.shape[0]:
                break
            traps[trap] = at
            trap_positions[trap] = instructions
            trap += 1
            settled = side
        elif code == _SIDEBAND:
            if side == sides.shape[0]:
                break
            sides[side, 0] = at
            sides[side, 1] = instructions
            sides[side, 2] = trap
            side += 1
        else:
            block = int(refs[at] >> 4)
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
                    step = int(size[slot]) if slot < size.shape[0] else 0
                    if step == 0:
                        step = 1
                    slot += step
                pc += u64(step) << U1
                half_words -= step
            settled = side
        at += 1
    return at - begin, instructions, trap, side, settled
