"""Atomics: Zalrsc and Zaamo."""

from emu.isa.kinds import Shape, atomic, declare
from specs.kernels.words import lt_signed, lt_unsigned

declare(Shape.RESERVE, "lr.w", "lr.d")
declare(Shape.CONDITIONAL, "sc.w", "sc.d")


@atomic("amoadd.w", "amoadd.d")
def amoadd(old, b):
    return old + b


@atomic("amoswap.w", "amoswap.d")
def amoswap(old, b):
    return b


@atomic("amoxor.w", "amoxor.d")
def amoxor(old, b):
    return old ^ b


@atomic("amoor.w", "amoor.d")
def amoor(old, b):
    return old | b


@atomic("amoand.w", "amoand.d")
def amoand(old, b):
    return old & b


@atomic("amomin.w", "amomin.d")
def amomin(old, b):
    return old if lt_signed(old, b) else b


@atomic("amomax.w", "amomax.d")
def amomax(old, b):
    return b if lt_signed(old, b) else old


# Sign-extended words of 32 bits are in the same order as unsigned ones.
@atomic("amominu.w", "amominu.d")
def amominu(old, b):
    return old if lt_unsigned(old, b) else b


@atomic("amomaxu.w", "amomaxu.d")
def amomaxu(old, b):
    return b if lt_unsigned(old, b) else old
