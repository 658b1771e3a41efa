"""Comparisons, minimum and maximum, classes, signs."""

from emu.softfloat.formats import (
    BIT63,
    NV,
    boxed,
    canonical,
    exponent_bits,
    infinite,
    is_nan,
    is_signaling,
    magnitude,
    unboxed,
)
from specs.kernels.njit import inlined, njit
from specs.kernels.words import (
    ALL_ONES,
    U0,
    U1,
    U4,
    U5,
    U6,
    U7,
    U63,
    b2u,
    lt_signed,
    select,
    sra64,
)

U9 = U4 + U5


@inlined
def place(top):
    """Where a value is among others, as a signed number; -0 is before +0."""
    return top ^ sra64(top, U63) >> U1


@inlined
def are_zeros(x, y):
    return magnitude(x | y) == U0


@njit
def equal(a, b, form):
    """1 if a == b; only a signaling NaN is invalid."""
    x, y = unboxed(a, form), unboxed(b, form)
    nan = is_nan(x, form) | is_nan(y, form)
    signaling = is_signaling(x, form) | is_signaling(y, form)
    return b2u((not nan) & ((x == y) | are_zeros(x, y))), b2u(signaling) * NV


@njit
def less(a, b, quiet, form):
    """1 if a < b; a NaN is invalid, only a signaling one if `quiet` is 1."""
    x, y = unboxed(a, form), unboxed(b, form)
    nan = is_nan(x, form) | is_nan(y, form)
    signaling = is_signaling(x, form) | is_signaling(y, form)
    before = lt_signed(place(x), place(y)) & (not are_zeros(x, y))
    return b2u((not nan) & before), b2u(signaling | (nan & (quiet == U0))) * NV


@njit
def less_or_equal(a, b, quiet, form):
    """1 if a <= b; as `less`."""
    x, y = unboxed(a, form), unboxed(b, form)
    nan = is_nan(x, form) | is_nan(y, form)
    signaling = is_signaling(x, form) | is_signaling(y, form)
    before = (not lt_signed(place(y), place(x))) | are_zeros(x, y)
    return b2u((not nan) & before), b2u(signaling | (nan & (quiet == U0))) * NV


@njit
def extreme(a, b, most, numbers, form):
    """The lesser of a and b, the greater if `most` is 1. Of a NaN and a number the number if
    `numbers` is 1 (minimumNumber, maximumNumber of IEEE 754-2019), else a NaN (minimum, maximum).
    """
    x, y = unboxed(a, form), unboxed(b, form)
    nan_x, nan_y = is_nan(x, form), is_nan(y, form)
    flags = b2u(is_signaling(x, form) | is_signaling(y, form)) * NV
    first = lt_signed(place(x), place(y)) != (most != U0)
    chosen = select((first & (not nan_x)) | nan_y, x, y)
    nan = (nan_x & nan_y) | ((nan_x | nan_y) & (numbers == U0))
    return boxed(select(nan, canonical(form), chosen), form), flags


@njit
def class_of(a, form):
    """The class of a number as one bit of ten (F: 20.9)."""
    x = unboxed(a, form)
    size = magnitude(x)
    least_normal = (ALL_ONES >> exponent_bits(form)) + U1
    positive = select(size >= least_normal, U6, select(size == U0, U4, U5))
    positive = select(size == infinite(form), U7, positive)
    bit = select(x >= BIT63, U7 - positive, positive)
    nan = select(is_signaling(x, form), U7 + U1, U9)
    return U1 << select(is_nan(x, form), nan, bit)


@inlined
def sign_injected(a, b, flip, invert, form):
    """a, with the sign of b: that of a too if `flip` is 1, the other one if `invert` is."""
    x, y = unboxed(a, form), unboxed(b, form)
    sign = y & BIT63 ^ x & select(flip != U0, BIT63, U0) ^ select(invert != U0, BIT63, U0)
    return boxed(x & ~BIT63 | sign, form)
