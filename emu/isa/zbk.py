"""Bit manipulation for cryptography: Zbc and Zbkc, Zbkb, Zbkx."""

from emu.isa.b import BITS, BYTES, LOW16, NIBBLES, PAIRS
from emu.isa.kinds import register
from specs.kernels.njit import inlined, njit
from specs.kernels.words import (
    LOW32,
    U0,
    U1,
    U2,
    U4,
    U8,
    U16,
    U31,
    U32,
    U63,
    U64,
    U255,
    sext32,
)


@njit
def carryless(a, b):
    """The low word of a product without carries."""
    product = U0
    while b != U0:
        product = product ^ (a & (U0 - (b & U1)))
        a = a << U1
        b = b >> U1
    return product


@njit
def carryless_reversed(a, b):
    """Bits 126 to 63 of a product without carries."""
    product = U0
    while b != U0:
        product = product ^ (a & (U0 - (b >> U63)))
        a = a >> U1
        b = b << U1
    return product


@njit
def permuted(table, places, width, count):
    """The elements of `width` bits of `table`, which has `count`, at `places`; 0 beyond them."""
    ones = (U1 << width) - U1
    result = U0
    shift = U0
    while shift < U64:
        place = places >> shift & ones
        if place < count:
            result = result | (table >> place * width & ones) << shift
        shift = shift + width
    return result


@inlined
def reversed_in_bytes(a):
    a = (a & BITS) << U1 | (a >> U1 & BITS)
    a = (a & PAIRS) << U2 | (a >> U2 & PAIRS)
    return (a & NIBBLES) << U4 | (a >> U4 & NIBBLES)


@inlined
def spread(a):
    """The low 16 bits, at even places."""
    a = a & LOW16
    a = (a | a << U8) & BYTES
    a = (a | a << U4) & NIBBLES
    a = (a | a << U2) & PAIRS
    return (a | a << U1) & BITS


@inlined
def gathered(a):
    """The even ones of the low 32 bits."""
    a = a & BITS & LOW32
    a = (a | a >> U1) & PAIRS
    a = (a | a >> U2) & NIBBLES
    a = (a | a >> U4) & BYTES
    return (a | a >> U8) & LOW16


@register(cost="multiply")
def clmul(a, b):
    return carryless(a, b)


@register(cost="multiply")
def clmulr(a, b):
    return carryless_reversed(a, b)


@register(cost="multiply high")
def clmulh(a, b):
    return carryless_reversed(a, b) >> U1


# RV32: a product that fits in 64 bits.
@register(rv32="clmul", cost="multiply")
def clmul_32(a, b):
    return sext32(carryless(a, b & LOW32))


@register(rv32="clmulr", cost="multiply")
def clmulr_32(a, b):
    return sext32(carryless(a & LOW32, b & LOW32) >> U31)


@register(rv32="clmulh", cost="multiply high")
def clmulh_32(a, b):
    return sext32(carryless(a & LOW32, b & LOW32) >> U32)


@register
def pack(a, b):
    return (a & LOW32) | b << U32


@register(rv32="pack")
def packw(a, b):
    return sext32((a & LOW16) | b << U16)


@register
def packh(a, b):
    return (a & U255) | (b & U255) << U8


@register
def brev8(a):
    return reversed_in_bytes(a)


@register(rv32="brev8")
def brev8_32(a):
    return sext32(reversed_in_bytes(a))


@register("zip")
def interleaved(a):
    return sext32(spread(a) | spread(a >> U16) << U1)


@register("unzip")
def deinterleaved(a):
    return sext32(gathered(a) | gathered(a >> U1) << U16)


@register
def xperm8(a, b):
    return permuted(a, b, U8, U8)


@register
def xperm4(a, b):
    return permuted(a, b, U4, U16)


@register(rv32="xperm8")
def xperm8_32(a, b):
    return sext32(permuted(a, b, U8, U4))


@register(rv32="xperm4")
def xperm4_32(a, b):
    return sext32(permuted(a, b, U4, U8))
