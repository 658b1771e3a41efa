"""Where results are rounded."""

from emu.softfloat.formats import (
    BIT63,
    NX,
    OF,
    RNE,
    UF,
    exponent_bits,
    narrower,
)
from specs.kernels.njit import inlined
from specs.kernels.words import (
    ALL_ONES,
    U0,
    U1,
    U3,
    U63,
    U64,
    b2u,
    lt_signed,
    lt_unsigned,
    select,
)


@inlined
def jammed(word, by):
    """`word` shifted right; bit 0 is set if a bit that was set is lost. By 63 at most: what was in
    bit 63 is the jammed bit then, for any larger distance too.
    """
    by = select(lt_unsigned(by, U63), by, U63)
    return word >> by | b2u((word & ((U1 << by) - U1)) != U0)


@inlined
def jammed_pair(high, low, by):
    """The same with 128 bits, and 127 bits at most."""
    by = select(lt_unsigned(by, U64 + U63), by, U64 + U63)
    far = by >= U64
    lost = select(far, low, U0)
    low = select(far, high, low)
    high = select(far, U0, high)
    by &= U63
    lost |= low & ((U1 << by) - U1)
    return high >> by, low >> by | high << U1 << (U63 - by) | b2u(lost != U0)


@inlined
def increment(sign, rm):
    """What is added to a fraction, of which all 64 bits are below the last place, so that its carry
    rounds: a half, nothing, or nearly one.
    """
    away = select(rm == U3 - sign, ALL_ONES, U0)  # down if negative, up if not
    return select((rm & U3) == U0, BIT63, away)


@inlined
def rounded(whole, fraction, more, rm):
    """`whole`, rounded by 64 bits of a fraction and its increment."""
    even = b2u((rm == RNE) & (fraction == BIT63))
    return whole + b2u(lt_unsigned(fraction + more, more)) & ~even


@inlined
def round_pack(sign, exponent, significand, rm, form):
    """The slot and the flags of a number: its significand with bit 63 set (or zero, whatever its
    exponent), the last bits jammed; its biased exponent, in two's complement.
    """
    wide = exponent_bits(form)
    fraction_bits = U63 - wide - narrower(form)
    kept = U63 - fraction_bits
    more = increment(sign, rm)
    tiny = lt_signed(exponent, U1)
    unbounded = significand << (fraction_bits + U1)  # below the last place if exponents had no end
    # Tiny after rounding (F: Subnormal Arithmetic): not what is rounded up to the least normal
    # number.
    carries = lt_unsigned(unbounded + more, more) & ((~significand >> kept) == U0)
    below = tiny & (not (carries & (exponent == U0)))
    significand = jammed(significand, select(tiny, U1 - exponent, U0))
    fraction = significand << (fraction_bits + U1)
    place = select(tiny | (significand == U0), U0, exponent - U1)
    # The bit before the point adds one to the exponent.
    packed = (place << fraction_bits) + rounded(significand >> kept, fraction, more, rm)
    inexact = fraction != U0
    most = ((U1 << wide) - U1) << fraction_bits
    over = packed >= most
    packed = select(over, most - b2u(more == U0), packed)
    flags = b2u(inexact | over) * NX | b2u(inexact & below) * UF | b2u(over) * OF
    box = ~(ALL_ONES >> narrower(form))
    return sign << (U63 - narrower(form)) | packed | box, flags
