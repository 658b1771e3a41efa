"""What a register slot holds: the formats, NaN boxes, and NaNs.

Kernels work on a value's bits shifted to the top of a word: the sign is in bit 63 in each format,
the exponent below it, and magnitudes compare as words do.
"""

import numpy as np

from specs.kernels.njit import inlined
from specs.kernels.words import ALL_ONES, U0, U1, U8, U63, U255, b2u, clz64, select, sll64

U62 = np.uint64(62)
BIT63 = np.uint64(1 << 63)

#: A format: bits of its exponent, and eight bits up by how much it is narrower than 64.
F16, F32, F64 = np.uint64(48 << 8 | 5), np.uint64(32 << 8 | 8), np.uint64(11)
#: Their sign bits.
SIGN16, SIGN32, SIGN64 = np.uint64(1 << 15), np.uint64(1 << 31), BIT63

#: Flags, as in fcsr: invalid, division by zero, overflow, underflow, inexact.
NV, DZ, OF, UF, NX = (np.uint64(1 << bit) for bit in (4, 3, 2, 1, 0))
#: Rounding modes: to nearest with ties to even, to zero, down, up, to nearest with ties away.
RNE, RTZ, RDN, RUP, RMM = (np.uint64(number) for number in range(5))


@inlined
def exponent_bits(form):
    return form & U255


@inlined
def narrower(form):
    """By how many bits a value is shifted to the top."""
    return form >> U8


@inlined
def bias(form):
    return (U1 << (exponent_bits(form) - U1)) - U1


@inlined
def infinite(form):
    """The magnitude of infinity; those of NaNs are above it."""
    return ~(ALL_ONES >> exponent_bits(form))


@inlined
def canonical(form):
    """The canonical NaN, at the top of a word."""
    return ~(ALL_ONES >> (exponent_bits(form) + U1)) >> U1


@inlined
def boxed(top, form):
    """The slot for a value at the top of a word."""
    return top >> narrower(form) | ~(ALL_ONES >> narrower(form))


@inlined
def unboxed(slot, form):
    """A slot's value, at the top of a word: the canonical NaN if it is not boxed
    (D: NaN Boxing of Narrower Values)."""
    box = ~(ALL_ONES >> narrower(form))
    return select((slot & box) == box, slot << narrower(form), canonical(form))


@inlined
def magnitude(top):
    return top << U1


@inlined
def is_nan(top, form):
    return magnitude(top) > infinite(form)


@inlined
def is_signaling(top, form):
    """Whether it is a NaN whose first fraction bit is clear."""
    return is_nan(top, form) & ((top >> (U62 - exponent_bits(form)) & U1) == U0)


@inlined
def exponent_of(top, form):
    """The biased exponent; subnormal numbers have that of the least normal one."""
    field = magnitude(top) >> (U63 - exponent_bits(form) + U1)
    return field + b2u(field == U0)


@inlined
def significand_of(top, form):
    """The significand, bit 63 the one before the point; finite numbers only."""
    normal = magnitude(top) >> (U63 - exponent_bits(form) + U1) != U0
    return (top << exponent_bits(form)) & ~BIT63 | b2u(normal) << U63


@inlined
def normalised(top, form):
    """The biased exponent (in two's complement: of subnormal numbers 0 and less) and the
    significand of a finite number, with bit 63 set unless it is zero.
    """
    significand = significand_of(top, form)
    zeros = clz64(significand)
    return exponent_of(top, form) - zeros, sll64(significand, zeros)


@inlined
def not_a_number(flags, form):
    """The result of an operation that has no number for one."""
    return boxed(canonical(form), form), flags
