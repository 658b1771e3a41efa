"""Is a retirement stream what the program can do? Blocks once, each reference in a few steps."""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from specs.interfaces.ingress import (
    BLOCK,
    CODE_BITS,
    CODE_MASK,
    HALTED,
    RESET,
    SIDEBAND,
    SIDEBAND_CODE,
    TRAP,
    UNQUALIFIED,
)
from specs.interfaces.records import places
from specs.isa.itype import Itype
from specs.isa.kernel import find_slot
from specs.isa.transfers import BRANCH, ENVIRONMENT, INFERABLE_JUMP, SEQUENTIAL, TRAP_RETURN
from specs.kernels.njit import njit, plain
from specs.kernels.words import LOW32, U0, U1, U2, s64, u64


class Wrong(IntEnum):
    """What is wrong with a block, or with a reference."""

    RIGHT = 0
    BEYOND = 1
    WITHIN = 2
    LAST_SIZE = 3
    ITYPE = 4
    NEXT = 5


class Next(IntEnum):
    """What the stream is known to do next: places of the state between references (uint64)."""

    EXPECTED = 0
    KNOWN = 1
    FROM = 2
    CODE = 3
    PRIV = 4


class Program(NamedTuple):
    """Arrays of a `specs.isa.control.CodeMap`."""

    region_base: Any
    region_end: Any
    region_slot: Any
    slots: Any


class Stream(NamedTuple):
    """References, and the tables of `specs.interfaces.ingress` as rows of words."""

    refs: Any
    blocks: Any
    traps: Any
    sidebands: Any


class Findings(NamedTuple):
    """What is known of each block."""

    last: Any  # slot of its last instruction; -1 where the program has no code
    wrong: Any  # a `Wrong`
    where: Any  # how many half-words after its beginning


_wrong = plain(Wrong)
_next = plain(Next)
_itype = plain(Itype)
_block, _trap, _sideband = places(BLOCK), places(TRAP), places(SIDEBAND)

#: Blocks of more half-words are not walked: their instructions' boundaries are taken on trust.
_LONGEST = 4096

_BYTE = np.uint64(0xFF)
_SIDEBAND = int(SIDEBAND_CODE)
_APART = np.uint64(HALTED | RESET | UNQUALIFIED)
_DISCONTINUITY = np.uint64(3)  # ctype


@njit
def examine(blocks, start, program, findings):
    """Look at `blocks[start:]`, rows of words."""
    last, wrong, where = findings
    bases, ends, slots = program.region_base, program.region_end, program.region_slot
    for row in range(start, blocks.shape[0]):
        iaddr, half_words = blocks[row, _block.iaddr], s64(blocks[row, _block.iretire] & LOW32)
        ilastsize = (blocks[row, _block.ilastsize] >> _block.ilastsize_at) & _BYTE
        last_size = 1 << min(s64(ilastsize), 8)
        last[row], wrong[row], where[row] = -1, _wrong.RIGHT, half_words - last_size
        slot = s64(find_slot(bases, ends, slots, iaddr))
        behind = s64(find_slot(bases, ends, slots, iaddr + (u64(half_words - last_size) << U1)))
        # Also not where it goes on in another region.
        if slot < 0 or behind != slot + half_words - last_size:
            continue
        if half_words <= _LONGEST:
            wrong[row], at = _walk(program, slot, iaddr, half_words, last_size)
            if at < 0:
                continue
            where[row] = at
        last[row] = slot + where[row]


@njit
def _walk(program, slot, iaddr, half_words, last_size):
    """What is wrong with a block, and where its last instruction is or the one that is wrong, in
    half-words from its beginning; -1 where the code ends before it does."""
    size, kind, target = program.slots.size, program.slots.kind, program.slots.target
    at = 0
    while True:
        here = slot + at
        step = s64(size[here]) if here < size.shape[0] else 0
        if step == 0:
            return _wrong.RIGHT, -1
        if at + step == half_words:
            return (_wrong.RIGHT if step == last_size else _wrong.LAST_SIZE), at
        if at + step > half_words:
            return _wrong.WITHIN, at
        # What the hart makes of ecall and ebreak is its own affair; a jump to the very next
        # instruction need not end a block.
        if kind[here] != SEQUENTIAL and kind[here] != ENVIRONMENT:
            behind = iaddr + (u64(at + step) << U1)
            if kind[here] != INFERABLE_JUMP or target[here] != behind:
                return _wrong.BEYOND, at
        at += step


@njit
def follow(stream, program, findings, mask, narrow, state):
    """The first of `stream.refs` that the program rules out, and why (a `Wrong`); (-1, RIGHT) if
    there is none.

    `mask`: of addresses; `narrow`: itypes may be those of itype_width_p 3. `state` (uint64, by
    `Next`) goes from chunk to chunk.
    """
    refs, blocks, traps, sidebands = stream
    kind, itype, target = program.slots.kind, program.slots.itype, program.slots.target
    last, wrong = findings.last, findings.wrong
    for at in range(refs.shape[0]):
        code, index = s64(refs[at] & CODE_MASK), s64(refs[at] >> CODE_BITS)
        if code == _SIDEBAND:
            ctype = (sidebands[index, _sideband.ctype] >> _sideband.ctype_at) & _BYTE
            flags = (sidebands[index, _sideband.flags] >> _sideband.flags_at) & _BYTE
            if ctype == _DISCONTINUITY or flags & _APART != U0:
                state[_next.KNOWN] = U0
            continue
        known = state[_next.KNOWN] != U0
        if code == _itype.EXCEPTION or code == _itype.INTERRUPT:
            given = (traps[index, _trap.iaddr_valid] >> _trap.iaddr_valid_at) & _BYTE != U0
            epc = traps[index, _trap.iaddr] & mask
            if given and known and epc != state[_next.EXPECTED]:
                return at, _wrong.NEXT
            state[_next.KNOWN] = U0
            continue
        iaddr = blocks[index, _block.iaddr]
        priv = (blocks[index, _block.priv] >> _block.priv_at) & _BYTE
        # That the privilege changes without a trap or a return from one is debug mode.
        if known and iaddr & mask != state[_next.EXPECTED] and priv == state[_next.PRIV]:
            return at, _wrong.NEXT
        state[_next.PRIV], state[_next.CODE] = priv, u64(code)
        if wrong[index] != _wrong.RIGHT:
            return at, s64(wrong[index])
        half_words = blocks[index, _block.iretire] & LOW32
        past = (iaddr + (half_words << U1)) & mask
        ilastsize = (blocks[index, _block.ilastsize] >> _block.ilastsize_at) & _BYTE
        state[_next.FROM] = (past - (U2 << ilastsize)) & mask
        state[_next.EXPECTED], state[_next.KNOWN] = past, U1
        slot = last[index]
        if slot < 0:
            # No code: only of what follows in memory is it said that it does.
            state[_next.KNOWN] = U1 if code == _itype.NONE and not narrow else U0
            continue
        if not _fits(s64(kind[slot]), code, s64(itype[slot]), narrow):
            return at, _wrong.ITYPE
        if code == _itype.TAKEN_BRANCH or kind[slot] == INFERABLE_JUMP:
            state[_next.EXPECTED] = target[slot]
        elif code != _itype.NONE and code != _itype.NONTAKEN_BRANCH:
            state[_next.KNOWN] = U0
    return -1, _wrong.RIGHT


@njit
def _fits(kind, code, itype, narrow):
    """Whether a block can have the itype `code`, its last instruction being of this kind and
    itype."""
    if kind == SEQUENTIAL or kind == ENVIRONMENT:
        return code == _itype.NONE
    if kind == BRANCH:
        return code == _itype.NONTAKEN_BRANCH or code == _itype.TAKEN_BRANCH
    # The reference flow has 14 for a return from a trap, or 6.
    if kind == TRAP_RETURN and code == _itype.OTHER_UNINFERABLE_JUMP:
        return True
    if kind == INFERABLE_JUMP:
        return code == itype or (narrow and code == _itype.NONE)
    return code == itype or (
        (narrow or kind == TRAP_RETURN) and code == _itype.UNINFERABLE_JUMP_3BIT
    )
