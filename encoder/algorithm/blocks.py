"""Kernels: where the rows of a retirement block are.

Only its first and last row matter (section "Multiple retirement considerations"), and its second
when a resynchronisation falls on it. `details` is a block's second word.
"""

import numpy as np

from specs.interfaces.ingress import BLOCK, CODE_MASK, SIDEBAND_CODE, UNKNOWN_SIZE
from specs.interfaces.records import places
from specs.kernels.njit import inlined
from specs.kernels.words import LOW32, U0, U1, U255

block = places(BLOCK)
CODE = np.uint64(CODE_MASK)
SIDEBAND = np.uint64(SIDEBAND_CODE)
_UNKNOWN = np.uint64(UNKNOWN_SIZE)


@inlined
def half_words(details):
    """How long the block is; 0 in one that is damaged."""
    return details & LOW32


@inlined
def last_of(iaddr, details):
    """Address of the last instruction."""
    return iaddr + (((details & LOW32) - last_size(details)) << U1)


@inlined
def last_size(details):
    """Half-words of the last instruction."""
    return U1 << ((details >> block.ilastsize_at) & U255)


@inlined
def first_size(details):
    """Half-words of the first instruction; 0 where the source does not tell."""
    iretire = details & LOW32
    rest = iretire - last_size(details)
    if rest == U0:
        return iretire
    ifirstsize = (details >> block.ifirstsize_at) & U255
    if ifirstsize != _UNKNOWN:
        return U1 << ifirstsize
    return U1 if rest == U1 else U0


@inlined
def after_first(details):
    """Half-words to the second row; one where the source does not tell."""
    first = first_size(details)
    return first if first != U0 else U1


@inlined
def is_at(blocks, index, privilege):
    """Whether there is a block `index`, and it retired at that privilege level."""
    if index >= blocks.shape[0]:
        return False
    return (blocks[index, block.iretire] >> block.priv_at) & U255 == privilege
