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
    U8,
    U63,
    b2u,
    lt_signed,
    select,
    sra64,
)

U9 = U8 + U1
#: What `compared` is asked for: a == b, a < b, a <= b; QUIET: only signaling NaNs are invalid.
EQUAL, LESS, LESS_OR_EQUAL, QUIET = U0, U1, U1 + U1, U4
#: What `chosen` is asked for: the greater one; a NaN, if there is one, instead of the number.
GREATER, NAN = U1, U1 + U1


@inlined
def place(top):
    """Where a value is among others, as a signed number; -0 is before +0."""
    return top ^ sra64(top, U63) >> U1


@njit
def compared(x, y, what, form):
    nan = is_nan(x, form) | is_nan(y, form)
    signaling = is_signaling(x, form) | is_signaling(y, form)
    equal = (x == y) | (magnitude(x | y) == U0)
    less = lt_signed(place(x), place(y)) & (not equal)
    kind = what & ~QUIET
    truth = (equal & (kind != LESS)) | (less & (kind != EQUAL))
    invalid = signaling | (nan & ((what & QUIET) == U0))
    return b2u(truth & (not nan)), b2u(invalid) * NV


@inlined
def compare(a, b, what, form):
    """1 if it is so, 0 if not and for NaNs."""
    return compared(unboxed(a, form), unboxed(b, form), what, form)


@njit
def extreme(x, y, what, form):
    nan_x, nan_y = is_nan(x, form), is_nan(y, form)
    flags = b2u(is_signaling(x, form) | is_signaling(y, form)) * NV
    first = lt_signed(place(x), place(y)) != ((what & GREATER) != U0)
    choice = select((first & (not nan_x)) | nan_y, x, y)
    nan = (nan_x & nan_y) | ((nan_x | nan_y) & ((what & NAN) != U0))
    return boxed(select(nan, canonical(form), choice), form), flags


@inlined
def choose(a, b, what, form):
    """The lesser or greater of a and b. Of a NaN and a number, the number (minimumNumber and
    maximumNumber of IEEE 754-2019) or the canonical NaN (minimum and maximum).
    """
    return extreme(unboxed(a, form), unboxed(b, form), what, form)


@inlined
def class_of(a, form):
    """The class of a number as one bit of ten, as fclass gives it."""
    x = unboxed(a, form)
    size = magnitude(x)
    least_normal = (ALL_ONES >> exponent_bits(form)) + U1
    positive = select(size >= least_normal, U6, select(size == U0, U4, U5))
    positive = select(size == infinite(form), U7, positive)
    bit = select(x >= BIT63, U7 - positive, positive)
    nan = select(is_signaling(x, form), U8, U9)
    return U1 << select(is_nan(x, form), nan, bit)


@inlined
def inject(a, sign, form):
    """a with another sign: bit 63 of `sign`."""
    return boxed(unboxed(a, form) & ~BIT63 | sign & BIT63, form)
