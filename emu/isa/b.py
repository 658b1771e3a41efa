"""Bit manipulation: Zba, Zbb, Zbs; and Zicond."""

import numpy as np

from emu.isa.kinds import register
from specs.kernels.njit import inlined
from specs.kernels.words import (
    LOW32,
    U0,
    U1,
    U2,
    U3,
    U4,
    U7,
    U8,
    U16,
    U31,
    U32,
    U56,
    U64,
    U255,
    clz64,
    lt_signed,
    lt_unsigned,
    sext8,
    sext16,
    sext32,
    sll64,
    sllw,
    srl64,
    srlw,
)

LOW16 = np.uint64(0xFFFF)
BIT32 = np.uint64(1 << 32)
#: In each group of bits the same: every other bit, pairs, halves of bytes; bytes; half-words.
BITS, PAIRS = np.uint64(0x5555_5555_5555_5555), np.uint64(0x3333_3333_3333_3333)
NIBBLES, ONES = np.uint64(0x0F0F_0F0F_0F0F_0F0F), np.uint64(0x0101_0101_0101_0101)
BYTES, HALVES = np.uint64(0x00FF_00FF_00FF_00FF), np.uint64(0x0000_FFFF_0000_FFFF)
BELOW_SIGNS = np.uint64(0x7F7F_7F7F_7F7F_7F7F)


@inlined
def trailing_zeros(a):
    return U64 - clz64(~a & (a - U1))


@inlined
def population(a):
    pairs = a - (a >> U1 & BITS)
    nibbles = (pairs & PAIRS) + (pairs >> U2 & PAIRS)
    return ((nibbles + (nibbles >> U4)) & NIBBLES) * ONES >> U56


@inlined
def or_combined(a):
    """All ones in each byte that is not zero."""
    return ((((a & BELOW_SIGNS) + BELOW_SIGNS) | a) >> U7 & ONES) * U255


@inlined
def reversed_bytes(a):
    a = (a & BYTES) << U8 | (a >> U8 & BYTES)
    a = (a & HALVES) << U16 | (a >> U16 & HALVES)
    return a << U32 | a >> U32


@register
def sh1add(a, b):
    return (a << U1) + b


@register
def sh2add(a, b):
    return (a << U2) + b


@register
def sh3add(a, b):
    return (a << U3) + b


@register(rv32="sh1add")
def sh1add_32(a, b):
    return sext32((a << U1) + b)


@register(rv32="sh2add")
def sh2add_32(a, b):
    return sext32((a << U2) + b)


@register(rv32="sh3add")
def sh3add_32(a, b):
    return sext32((a << U3) + b)


@register
def add_uw(a, b):
    return (a & LOW32) + b


@register
def sh1add_uw(a, b):
    return ((a & LOW32) << U1) + b


@register
def sh2add_uw(a, b):
    return ((a & LOW32) << U2) + b


@register
def sh3add_uw(a, b):
    return ((a & LOW32) << U3) + b


@register
def slli_uw(a, b):
    return sll64(a & LOW32, b)


@register
def andn(a, b):
    return a & ~b


@register
def orn(a, b):
    return a | ~b


@register
def xnor(a, b):
    return ~(a ^ b)


@register
def clz(a):
    return clz64(a)


@register(rv32="clz")
def clzw(a):
    return clz64(a & LOW32) - U32


@register
def ctz(a):
    return trailing_zeros(a)


@register(rv32="ctz")
def ctzw(a):
    return trailing_zeros(a | BIT32)


@register
def cpop(a):
    return population(a)


@register(rv32="cpop")
def cpopw(a):
    return population(a & LOW32)


# Sign-extended words of 32 bits are in the same order as unsigned ones.
@register("max")
def larger(a, b):
    return b if lt_signed(a, b) else a


@register("maxu")
def larger_unsigned(a, b):
    return b if lt_unsigned(a, b) else a


@register("min")
def smaller(a, b):
    return a if lt_signed(a, b) else b


@register("minu")
def smaller_unsigned(a, b):
    return a if lt_unsigned(a, b) else b


@register
def sext_b(a):
    return sext8(a)


@register
def sext_h(a):
    return sext16(a)


@register
def zext_h(a):
    return a & LOW16


@register
def rol(a, b):
    return sll64(a, b) | srl64(a, U0 - b)


@register(rv32="rol")
def rolw(a, b):
    return sllw(a, b) | srlw(a, U0 - b)


@register("ror", "rori")
def ror(a, b):
    return srl64(a, b) | sll64(a, U0 - b)


@register("rorw", "roriw", rv32="ror rori")
def rorw(a, b):
    return srlw(a, b) | sllw(a, U0 - b)


@register
def orc_b(a):
    return or_combined(a)


@register(rv32="orc.b")
def orc_b_32(a):
    return sext32(or_combined(a))


@register
def rev8(a):
    return reversed_bytes(a)


@register(rv32="rev8")
def rev8_32(a):
    return sext32(reversed_bytes(a) >> U32)


@register("bclr", "bclri")
def bclr(a, b):
    return a & ~sll64(U1, b)


@register(rv32="bclr bclri")
def bclr_32(a, b):
    return sext32(a & ~sll64(U1, b & U31))


@register("bext", "bexti")
def bext(a, b):
    return srl64(a, b) & U1


@register(rv32="bext bexti")
def bext_32(a, b):
    return srl64(a, b & U31) & U1


@register("binv", "binvi")
def binv(a, b):
    return a ^ sll64(U1, b)


@register(rv32="binv binvi")
def binv_32(a, b):
    return sext32(a ^ sll64(U1, b & U31))


@register("bset", "bseti")
def bset(a, b):
    return a | sll64(U1, b)


@register(rv32="bset bseti")
def bset_32(a, b):
    return sext32(a | sll64(U1, b & U31))


@register
def czero_eqz(a, b):
    return U0 if b == U0 else a


@register
def czero_nez(a, b):
    return a if b == U0 else U0
