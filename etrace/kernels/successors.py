"""Is a retirement stream what the program can do? Blocks once, each reference in a few steps."""

import numpy as np

from specs.interfaces.ingress import HALTED, RESET, SIDEBAND_CODE, UNQUALIFIED
from specs.isa.itype import Itype
from specs.isa.kernel import find_slot
from specs.isa.transfers import BRANCH, ENVIRONMENT, INFERABLE_JUMP, SEQUENTIAL, TRAP_RETURN
from specs.kernels.njit import njit, plain
from specs.kernels.words import LOW32, U0, U1, U2, U8, U16, U32, U56, s64, u64

#: What is wrong with a block, or with a reference.
RIGHT, BEYOND, WITHIN, LAST_SIZE, ITYPE, NEXT = range(6)
#: What the stream is known to do next: state between references.
EXPECTED, KNOWN, FROM, CODE, PRIV, STATE = range(6)

#: Blocks of more half-words are not walked: their instructions' boundaries are taken on trust.
_LONGEST = 4096

_BYTE = np.uint64(0xFF)
_SIDEBAND = int(SIDEBAND_CODE)
_APART = np.uint64(HALTED | RESET | UNQUALIFIED)
_DISCONTINUITY = 3  # ctype

_ITYPE = plain(Itype)


@njit
def examine(blocks, start, bases, ends, slots, size, kind, target, last, fault, where):
    """Look at `blocks[start:]`: `last[i]` receives the slot of the last instruction of block i, -1
    where the program has no code; `fault[i]` what is wrong with it, `where[i]` how many half-words
    after its beginning."""
    for row in range(start, blocks.shape[0]):
        iaddr, half_words = blocks[row, 0], s64(blocks[row, 1] & LOW32)
        last_size = 1 << min(s64((blocks[row, 1] >> U32) & _BYTE), 8)
        last[row], fault[row], where[row] = -1, RIGHT, half_words - last_size
        slot = s64(find_slot(bases, ends, slots, iaddr))
        behind = s64(find_slot(bases, ends, slots, iaddr + (u64(half_words - last_size) << U1)))
        # Also not where it goes on in another region.
        if slot < 0 or behind != slot + half_words - last_size:
            continue
        if half_words <= _LONGEST:
            fault[row], at = _walk(size, kind, target, slot, iaddr, half_words, last_size)
            if at < 0:
                continue
            where[row] = at
        last[row] = slot + where[row]


@njit
def _walk(size, kind, target, slot, iaddr, half_words, last_size):
    """What is wrong with a block, and where its last instruction is or the one that is wrong, in
    half-words from its beginning; -1 where the code ends before it does."""
    at = 0
    while True:
        here = slot + at
        step = s64(size[here]) if here < size.shape[0] else 0
        if step == 0:
            return RIGHT, -1
        if at + step == half_words:
            return (RIGHT if step == last_size else LAST_SIZE), at
        if at + step > half_words:
            return WITHIN, at
        # What the hart makes of ecall and ebreak is its own affair; a jump to the very next
        # instruction need not end a block.
        if kind[here] != SEQUENTIAL and kind[here] != ENVIRONMENT:
            behind = iaddr + (u64(at + step) << U1)
            if kind[here] != INFERABLE_JUMP or target[here] != behind:
                return BEYOND, at
        at += step


@njit
def follow(refs, blocks, traps, sidebands, last, fault, kind, itype, target, mask, narrow, state):
    """The first of `refs` that the program rules out, and why; (-1, RIGHT) if there is none.

    `mask`: of addresses; `narrow`: itypes may be those of itype_width_p 3. `state` (uint64, by
    `EXPECTED` ... ) goes from chunk to chunk.
    """
    for at in range(refs.shape[0]):
        code, index = s64(refs[at] & 15), s64(refs[at] >> 4)
        if code == _SIDEBAND:
            word = sidebands[index, 2]
            if s64(word & _BYTE) == _DISCONTINUITY or (word >> U16) & _APART != U0:
                state[KNOWN] = U0
            continue
        if code == _ITYPE.EXCEPTION or code == _ITYPE.INTERRUPT:
            given = (traps[index, 3] >> U8) & _BYTE != U0
            if given and state[KNOWN] != U0 and traps[index, 0] & mask != state[EXPECTED]:
                return at, NEXT
            state[KNOWN] = U0
            continue
        priv = blocks[index, 1] >> U56
        # That the privilege changes without a trap or a return from one is debug mode.
        if (
            state[KNOWN] != U0
            and blocks[index, 0] & mask != state[EXPECTED]
            and priv == state[PRIV]
        ):
            return at, NEXT
        state[PRIV], state[CODE] = priv, u64(code)
        if fault[index] != RIGHT:
            return at, s64(fault[index])
        half_words = blocks[index, 1] & LOW32
        past = (blocks[index, 0] + (half_words << U1)) & mask
        state[FROM] = (past - (U2 << ((blocks[index, 1] >> U32) & _BYTE))) & mask
        state[EXPECTED], state[KNOWN] = past, U1
        slot = last[index]
        if slot < 0:
            # No code: only of what follows in memory is it said that it does.
            state[KNOWN] = U1 if code == _ITYPE.NONE and not narrow else U0
            continue
        if not _fits(s64(kind[slot]), code, s64(itype[slot]), narrow):
            return at, ITYPE
        if code == _ITYPE.TAKEN_BRANCH or kind[slot] == INFERABLE_JUMP:
            state[EXPECTED] = target[slot]
        elif code != _ITYPE.NONE and code != _ITYPE.NONTAKEN_BRANCH:
            state[KNOWN] = U0
    return -1, RIGHT


@njit
def _fits(kind, code, itype, narrow):
    """Whether a block can have the itype `code`, its last instruction being of this kind and
    itype."""
    if kind == SEQUENTIAL or kind == ENVIRONMENT:
        return code == _ITYPE.NONE
    if kind == BRANCH:
        return code == _ITYPE.NONTAKEN_BRANCH or code == _ITYPE.TAKEN_BRANCH
    # The reference flow has 14 for a return from a trap, or 6.
    if kind == TRAP_RETURN and code == _ITYPE.OTHER_UNINFERABLE_JUMP:
        return True
    if kind == INFERABLE_JUMP:
        return code == itype or (narrow and code == _ITYPE.NONE)
    return code == itype or (
        (narrow or kind == TRAP_RETURN) and code == _ITYPE.UNINFERABLE_JUMP_3BIT
    )
