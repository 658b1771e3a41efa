"""Conversions between the formats, to and from integers; rounding to integers; constants."""

from typing import Any

import numpy as np
import numpy.typing as npt

from emu.softfloat.formats import (
    BIT63,
    F64,
    NV,
    NX,
    RTZ,
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
    unboxed,
)
from emu.softfloat.rounding import increment, jammed_pair, round_pack, rounded
from specs.kernels.njit import inlined, njit
from specs.kernels.words import (
    LOW32,
    U0,
    U1,
    U31,
    U63,
    U64,
    b2u,
    clz64,
    lt_signed,
    select,
    sext32,
    sll64,
)

#: The greatest number of an integer type, and the magnitude of its least.
MOST_W, LEAST_W = LOW32 >> U1, U1 << U31
MOST_WU, LEAST_WU = LOW32, U0
MOST_L, LEAST_L = BIT63 - U1, BIT63
MOST_LU, LEAST_LU = ~U0, U0


@njit
def converted(x, rm, source, form):
    if is_nan(x, source):
        return not_a_number(b2u(is_signaling(x, source)) * NV, form)
    if magnitude(x) == infinite(source):
        return boxed(x & BIT63 | infinite(form) >> U1, form), U0
    exponent, significand = normalised(x, source)
    return round_pack(x >> U63, exponent + bias(form) - bias(source), significand, rm, form)


@inlined
def convert(a, rm, source, form):
    """A number of the format `source` in another one."""
    return converted(unboxed(a, source), rm, source, form)


@njit
def nearest(sign, word, rm, form):
    """The number of that sign and magnitude."""
    zeros = clz64(word)
    return round_pack(sign, bias(form) + U63 - zeros, sll64(word, zeros), rm, form)


@inlined
def from_unsigned(word, rm, form):
    return nearest(U0, word, rm, form)


@inlined
def from_signed(word, rm, form):
    sign = word >> U63
    return nearest(sign, select(sign != U0, U0 - word, word), rm, form)


@inlined
def parts(x, form):
    """Of a number below 2**64: the integer, and 64 bits of fraction, the last jammed."""
    exponent, significand = normalised(x, form)
    return jammed_pair(significand, U0, bias(form) + U63 - exponent)


@njit
def integer_of(x, rm, most, least, form):
    sign = x >> U63
    whole, fraction = parts(x, form)
    whole = rounded(whole, fraction, increment(sign, rm), rm)
    nan = is_nan(x, form)
    limit = select((sign == U0) | nan, most, least)
    beyond = (exponent_of(x, form) >= bias(form) + U64) | (magnitude(x) >= infinite(form))
    invalid = beyond | (whole > limit)
    size = select(invalid, limit, whole)
    value = select((sign == U0) | nan, size, U0 - size)
    flags = select(invalid, NV, b2u(fraction != U0) * NX)
    return select(most > LOW32, value, sext32(value)), flags


@inlined
def to_integer(a, rm, most, least, form):
    """a, rounded to an integer of the type from `-least` to `most`, sign-extended if that has 32
    bits. NV, and the nearest that there is, if it is none; a NaN counts as greater than all.
    """
    return integer_of(unboxed(a, form), rm, most, least, form)


@njit
def integral(x, rm, exact, form):
    if is_nan(x, form):
        return not_a_number(b2u(is_signaling(x, form)) * NV, form)
    fraction_bits = U63 - exponent_bits(form) - narrower(form)
    if magnitude(x) >= bias(form) + fraction_bits << U64 - exponent_bits(form):
        return boxed(x, form), U0
    sign = x >> U63
    whole, fraction = parts(x, form)
    whole = rounded(whole, fraction, increment(sign, rm), rm)
    value, _ = nearest(sign, whole, RTZ, form)
    return value, b2u((fraction != U0) & (exact != U0)) * NX


@inlined
def to_integral(a, rm, exact, form):
    """a, rounded to an integer of the same format; NX only if `exact` is 1 (Zfa)."""
    return integral(unboxed(a, form), rm, exact, form)


@njit
def modular_word(a):
    _, flags = integer_of(a, RTZ, MOST_W, LEAST_W, F64)
    exponent, significand = normalised(a, F64)
    whole, _ = parts(a, F64)
    # From 2**64 on, all 32 bits are within the significand or below it.
    up = exponent - bias(F64) - U63
    whole = select(lt_signed(U0, up), sll64(significand, up), whole)
    none = lt_signed(U31 + U31, up) | (magnitude(a) >= infinite(F64))
    whole = select(none, U0, whole)
    return sext32(select(a >= BIT63, U0 - whole, whole)), flags


@inlined
def to_modular_word(a):
    """The integer part of a binary64 number modulo 2**32, with the flags of fcvt.w.d (Zfa)."""
    return modular_word(a)


#: What fli loads, by number, as far as no format says it: entry 1 is the least normal number, the
#: last the canonical NaN (Zfa, table "Immediate values").
_CONSTANTS = (
    *(-1.0, 0.0, 2.0**-16, 2.0**-15, 2.0**-8, 2.0**-7, 0.0625, 0.125),
    *(0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875),
    *(1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0),
    *(8.0, 16.0, 128.0, 256.0, 2.0**15, 2.0**16, float("inf"), float("nan")),
)


def _constants(kind: Any, word: Any) -> npt.NDArray[np.uint64]:
    values = np.array(_CONSTANTS)
    with np.errstate(over="ignore"):  # 2**16 is infinite in binary16
        numbers = values.astype(kind)
    numbers[1] = np.finfo(kind).tiny
    bits: npt.NDArray[np.uint64] = numbers.view(word).astype(np.uint64)
    bits[31] = bits[30] | bits[30] >> U1
    bits |= ~np.uint64(np.iinfo(word).max)
    return bits


#: By number, the constants of fli as slots.
FLI16 = _constants(np.float16, np.uint16)
FLI32 = _constants(np.float32, np.uint32)
FLI64 = _constants(np.float64, np.uint64)
