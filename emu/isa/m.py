"""Multiplication and division."""

from emu.isa.kinds import register
from specs.kernels.njit import inlined
from specs.kernels.words import (
    ALL_ONES,
    LOW32,
    U0,
    U32,
    div_signed,
    div_unsigned,
    mulh64,
    mulhsu64,
    mulhu64,
    rem_signed,
    rem_unsigned,
    sext32,
)


@inlined
def quotient(a, b):
    if b == U0:
        return ALL_ONES
    if b == ALL_ONES:  # also the one overflow
        return U0 - a
    return div_signed(a, b)


@inlined
def remainder(a, b):
    if b == U0:
        return a
    if b == ALL_ONES:
        return U0
    return rem_signed(a, b)


@inlined
def quotient_unsigned(a, b):
    return ALL_ONES if b == U0 else div_unsigned(a, b)


@inlined
def remainder_unsigned(a, b):
    return a if b == U0 else rem_unsigned(a, b)


@register(cost="multiply")
def mul(a, b):
    return a * b


@register(rv32="mul", cost="multiply")
def mulw(a, b):
    return sext32(a * b)


@register(cost="multiply high")
def mulh(a, b):
    return mulh64(a, b)


@register(cost="multiply high")
def mulhu(a, b):
    return mulhu64(a, b)


@register(cost="multiply high")
def mulhsu(a, b):
    return mulhsu64(a, b)


# RV32: the high word of a product that fits in 64 bits.
@register(rv32="mulh", cost="multiply high")
def mulh_32(a, b):
    return sext32(a * b >> U32)


@register(rv32="mulhu", cost="multiply high")
def mulhu_32(a, b):
    return sext32((a & LOW32) * (b & LOW32) >> U32)


@register(rv32="mulhsu", cost="multiply high")
def mulhsu_32(a, b):
    return sext32(a * (b & LOW32) >> U32)


@register(cost="divide")
def div(a, b):
    return quotient(a, b)


@register(rv32="div", cost="divide")
def divw(a, b):
    return sext32(quotient(sext32(a), sext32(b)))


@register(cost="divide")
def divu(a, b):
    return quotient_unsigned(a, b)


@register(rv32="divu", cost="divide")
def divuw(a, b):
    return sext32(quotient_unsigned(a & LOW32, b & LOW32))


@register(cost="divide")
def rem(a, b):
    return remainder(a, b)


@register(rv32="rem", cost="divide")
def remw(a, b):
    return sext32(remainder(sext32(a), sext32(b)))


@register(cost="divide")
def remu(a, b):
    return remainder_unsigned(a, b)


@register(rv32="remu", cost="divide")
def remuw(a, b):
    return sext32(remainder_unsigned(a & LOW32, b & LOW32))
