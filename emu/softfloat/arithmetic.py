"""Addition, multiplication, division, square root, and the fused multiplication and addition."""

import numpy as np

from emu.softfloat.formats import (
    BIT63,
    DZ,
    NV,
    RDN,
    U62,
    bias,
    boxed,
    exponent_bits,
    exponent_of,
    infinite,
    is_nan,
    is_signaling,
    magnitude,
    narrower,
    normalised,
    not_a_number,
    significand_of,
    unboxed,
)
from emu.softfloat.rounding import jammed, jammed_pair, round_pack
from specs.kernels.njit import inlined, njit
from specs.kernels.words import (
    LOW32,
    U0,
    U1,
    U2,
    U32,
    U63,
    U64,
    b2u,
    clz64,
    div_unsigned,
    lt_signed,
    lt_unsigned,
    mulhu64,
    select,
    sll64,
    sra64,
)

#: The exponent of zero, where numbers are put in order: below all others.
LEAST = np.uint64((1 << 64) - (1 << 20))


@inlined
def quiet_result(x, y, form):
    """The NaN that comes of two operands, one of which is one."""
    return not_a_number(b2u(is_signaling(x, form) | is_signaling(y, form)) * NV, form)


@njit
def add_special(x, y, form):
    """A sum with an infinity or a NaN in it."""
    if is_nan(x, form) | is_nan(y, form):
        return quiet_result(x, y, form)
    if magnitude(x) == magnitude(y) and x != y:
        return not_a_number(NV, form)
    return boxed(select(magnitude(x) == infinite(form), x, y), form), U0


@njit
def sum_of(x, y, rm, form):
    swap = lt_unsigned(magnitude(x), magnitude(y))
    x, y = select(swap, y, x), select(swap, x, y)
    if magnitude(x) >= infinite(form):
        return add_special(x, y, form)
    exponent = exponent_of(x, form)
    # One bit down: room for a carry.
    larger = significand_of(x, form) >> U1
    smaller = jammed(significand_of(y, form) >> U1, exponent - exponent_of(y, form))
    differ = x >> U63 != y >> U63
    total = larger + select(differ, U0 - smaller, smaller)
    zeros = clz64(total)
    sign = select((total == U0) & differ, b2u(rm == RDN), x >> U63)
    return round_pack(sign, exponent + U1 - zeros, sll64(total, zeros), rm, form)


@inlined
def add(a, b, rm, form):
    """a + b."""
    return sum_of(unboxed(a, form), unboxed(b, form), rm, form)


@njit
def multiply_special(x, y, form):
    """A product with an infinity or a NaN in it."""
    if is_nan(x, form) | is_nan(y, form):
        return quiet_result(x, y, form)
    if magnitude(x) == U0 or magnitude(y) == U0:
        return not_a_number(NV, form)
    return boxed((x ^ y) & BIT63 | infinite(form) >> U1, form), U0


@njit
def product_of(x, y, rm, form):
    if (magnitude(x) >= infinite(form)) | (magnitude(y) >= infinite(form)):
        return multiply_special(x, y, form)
    exponent_x, left = normalised(x, form)
    exponent_y, right = normalised(y, form)
    product = mulhu64(left, right) | b2u(left * right != U0)
    # Of two significands in [1, 2): one bit before the point, or two.
    zeros = clz64(product)
    exponent = exponent_x + exponent_y - bias(form) + U1 - zeros
    return round_pack((x ^ y) >> U63, exponent, sll64(product, zeros), rm, form)


@inlined
def multiply(a, b, rm, form):
    """a * b."""
    return product_of(unboxed(a, form), unboxed(b, form), rm, form)


@inlined
def half_quotient(high, low, divisor):
    """96 bits (`low` has 32) by a divisor with bit 63 set: a quotient of 32 bits, the remainder.

    Knuth's algorithm D: the guess by the divisor's upper half is too large by two at most.
    """
    quotient = div_unsigned(high, divisor >> U32)
    product = quotient * (divisor & LOW32)
    remainder = (high - quotient * (divisor >> U32)) << U32 | low
    large = lt_unsigned(remainder, product)
    remainder += select(large, divisor, U0)
    # Not if the sum has wrapped around.
    larger = large & (remainder >= divisor) & (remainder < product)
    remainder += select(larger, divisor, U0)
    return quotient - b2u(large) - b2u(larger), remainder - product


@njit
def divide_special(x, y, form):
    """A quotient with an infinity, a NaN or a zero in it."""
    if is_nan(x, form) | is_nan(y, form):
        return quiet_result(x, y, form)
    if magnitude(x) == magnitude(y):  # of zeros or infinities
        return not_a_number(NV, form)
    sign = (x ^ y) & BIT63
    if magnitude(x) == infinite(form):
        return boxed(sign | infinite(form) >> U1, form), U0
    if magnitude(y) == U0:
        return boxed(sign | infinite(form) >> U1, form), DZ
    return boxed(sign, form), U0


@njit
def quotient_of(x, y, rm, form):
    most = infinite(form) - U1
    # Zeros wrap around, to what is as large as infinities.
    if (magnitude(x) - U1 >= most) | (magnitude(y) - U1 >= most):
        return divide_special(x, y, form)
    exponent_x, dividend = normalised(x, form)
    exponent_y, divisor = normalised(y, form)
    # A quotient in [1, 2) has its first bit in bit 63, if the dividend is less than the divisor.
    over = dividend >= divisor
    low = select(over, dividend << U63, U0)
    high, rest = half_quotient(select(over, dividend >> U1, dividend), low >> U32, divisor)
    quotient, rest = half_quotient(rest, U0, divisor)
    quotient |= high << U32 | b2u(rest != U0)
    exponent = exponent_x - exponent_y + bias(form) - U1 + b2u(over)
    return round_pack((x ^ y) >> U63, exponent, quotient, rm, form)


@inlined
def divide(a, b, rm, form):
    """a / b."""
    return quotient_of(unboxed(a, form), unboxed(b, form), rm, form)


@njit
def root_of(x, rm, form):
    if magnitude(x) == U0:
        return boxed(x, form), U0
    if is_nan(x, form):
        return quiet_result(x, x, form)
    if x >= BIT63:
        return not_a_number(NV, form)
    if magnitude(x) == infinite(form):
        return boxed(x, form), U0
    exponent, radicand = normalised(x, form)
    exponent -= bias(form)
    radicand >>= U1 - (exponent & U1)  # the exponent is even now
    root, rest = U0, U0
    digits = U64 + U2 - exponent_bits(form) - narrower(form)
    for _ in range(digits):
        rest = rest << U2 | radicand >> U62
        radicand <<= U2
        trial = root << U2 | U1
        fits = rest >= trial
        rest -= select(fits, trial, U0)
        root = root << U1 | b2u(fits)
    root = root << (U64 - digits) | b2u(rest != U0)
    return round_pack(U0, sra64(exponent, U1) + bias(form), root, rm, form)


@inlined
def square_root(a, rm, form):
    """The square root of a."""
    return root_of(unboxed(a, form), rm, form)


@njit
def fuse_special(x, y, z, form):
    """A fused operation with an infinity or a NaN in it."""
    invalid = (magnitude(x) == infinite(form)) & (magnitude(y) == U0)
    invalid |= (magnitude(y) == infinite(form)) & (magnitude(x) == U0)
    # Also where the addend is a quiet NaN (F: Single-Precision Floating-Point Computational
    # Instructions).
    invalid |= is_signaling(x, form) | is_signaling(y, form) | is_signaling(z, form)
    if invalid:
        return not_a_number(NV, form)
    if is_nan(x, form) | is_nan(y, form) | is_nan(z, form):
        return not_a_number(U0, form)
    product = (x ^ y) & BIT63 | infinite(form) >> U1
    if magnitude(x) != infinite(form) and magnitude(y) != infinite(form):
        return boxed(z, form), U0
    return add_special(product, z, form)


@njit
def fused(x, y, z, rm, form):
    special = infinite(form)
    if (magnitude(x) >= special) | (magnitude(y) >= special) | (magnitude(z) >= special):
        return fuse_special(x, y, z, form)
    exponent_x, left = normalised(x, form)
    exponent_y, right = normalised(y, form)
    exponent, addend = normalised(z, form)
    # The product, with bit 62 of its high word set: room for a carry, and no bit is lost.
    high, low = mulhu64(left, right), left * right
    short = high >> U63
    low = low >> short | (high & short) << U63
    high >>= short
    zero = high == U0
    exponent_p = exponent_x + exponent_y - bias(form) + short
    exponent_p = select(zero, LEAST, exponent_p)
    addend >>= U1
    exponent = select(addend == U0, LEAST, exponent)
    # In order of magnitude.
    less = (exponent_p == exponent) & lt_unsigned(high, addend)
    swap = lt_signed(exponent_p, exponent) | less
    sign_p, sign = (x ^ y) >> U63, z >> U63
    differ = sign_p != sign
    sign = select(swap, sign, sign_p)
    large, large_low = select(swap, addend, high), select(swap, U0, low)
    small, small_low = select(swap, high, addend), select(swap, low, U0)
    distance = select(swap, exponent - exponent_p, exponent_p - exponent)
    exponent = select(swap, exponent, exponent_p)
    small, small_low = jammed_pair(small, small_low, distance)
    total_low = large_low + select(differ, U0 - small_low, small_low)
    carry = lt_unsigned(total_low, large_low)
    borrow = lt_unsigned(large_low, small_low)
    total = large + select(differ, U0 - small - b2u(borrow), small + b2u(carry))
    sign = select(((total | total_low) == U0) & differ, b2u(rm == RDN), sign)
    # Normalised.
    far = total == U0
    exponent -= select(far, U64, U0)
    total, total_low = select(far, total_low, total), select(far, U0, total_low)
    zeros = clz64(total)
    total = sll64(total, zeros) | total_low >> U1 >> (U63 - (zeros & U63))
    total |= b2u(sll64(total_low, zeros) != U0)
    return round_pack(sign, exponent + U1 - zeros, total, rm, form)


@inlined
def fuse(a, b, c, rm, form):
    """a * b + c, rounded once."""
    return fused(unboxed(a, form), unboxed(b, form), unboxed(c, form), rm, form)
