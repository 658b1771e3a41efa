"""Retirement blocks to one pc an instruction, by the sizes of the instructions in memory."""

from specs.compiled import U1, njit, u64
from specs.ingress import SIDEBAND_CODE

_SIDEBAND = int(SIDEBAND_CODE)


@njit
def expand(refs, begin, iaddr, iretire, priv, slots, size, pcs, privs, traps, trap_positions):
    """Expand `refs[begin:]` until they or the room in `pcs`, `privs` or `traps` ends.

    `iaddr`, `iretire`, `priv` are columns of the block table, `slots` the code map's slots of the
    blocks (-1: no code there), `size` its sizes. `traps` receives positions in `refs`,
    `trap_positions` the number of instructions before each.
    Returns (references taken, instructions, traps).
    """
    instructions = 0
    trap = 0
    at = begin
    while at < refs.shape[0]:
        code = int(refs[at] & 15)
        if code == 1 or code == 2:
            if trap == traps.shape[0]:
                break
            traps[trap] = at
            trap_positions[trap] = instructions
            trap += 1
        elif code != _SIDEBAND:
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
        at += 1
    return at - begin, instructions, trap
