"""Kernels: what an itype tells, as the encoder sees it."""

import numpy as np

from encoder.state import option
from specs.interfaces.ingress import BLOCK
from specs.interfaces.records import places
from specs.kernels.njit import inlined, plain
from specs.kernels.words import U0, U1
from specs.trace.itype import UPDISCON, Itype

itype = plain(Itype, np.uint64)
_block = places(BLOCK)

#: Bit sets of itypes.
UPDISCON_BITS = np.uint64(sum(1 << int(code) for code in UPDISCON))
CALL_BITS = np.uint64(1 << Itype.UNINFERABLE_CALL | 1 << Itype.INFERABLE_CALL)
#: Those of which sijump says something; returns too (docs/modes.md).
_SIJUMP_BITS = np.uint64(sum(1 << code for code in (6, 8, 10, 12, 13, 14)))
_NARROW_UNINFERABLE = np.uint64(sum(1 << code for code in (8, 10, 12, 13, 14)))
_NARROW_INFERABLE = np.uint64(sum(1 << code for code in (9, 11, 15)))


@inlined
def is_updiscon(code):
    """Does an instruction of this itype change the pc in a way that its opcode does not tell?"""
    return (UPDISCON_BITS >> code) & U1 != U0


@inlined
def is_branch(code):
    return code == itype.TAKEN_BRANCH or code == itype.NONTAKEN_BRANCH


@inlined
def is_call(code):
    return (CALL_BITS >> code) & U1 != U0


@inlined
def is_inferred_jump(code, details):
    """Does the block say that its last instruction is a sequentially inferable jump?"""
    return (details >> _block.sijump_at) & (_SIJUMP_BITS >> code) & U1 != U0


@inlined
def seen_code(code, options):
    """The itype that reaches the encoder through an `itype_width_p` wide port."""
    if options[option.itype_width] == 3:
        if (_NARROW_UNINFERABLE >> code) & U1 != U0:
            return itype.UNINFERABLE_JUMP_3BIT
        if (_NARROW_INFERABLE >> code) & U1 != U0:
            return U0
    return code


@inlined
def may_be_trap_return(code, options):
    """Can an instruction of this itype be an xRET?

    Its itype is 3; the specification's reference flow gives 14, which a narrow port has as 6.
    """
    if code == itype.TRAP_RETURN or code == itype.OTHER_UNINFERABLE_JUMP:
        return True
    return options[option.itype_width] == 3 and code == itype.UNINFERABLE_JUMP_3BIT
