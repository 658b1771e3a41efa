"""Atomics: Zalrsc, Zaamo, Zabha, Zacas, Zawrs."""

from emu.isa.kinds import Shape, atomic, declare
from specs.kernels.words import lt_signed, lt_unsigned

declare(Shape.RESERVE, "lr.w", "lr.d")
declare(Shape.CONDITIONAL, "sc.w", "sc.d")
declare(Shape.CAS, "amocas.b", "amocas.h", "amocas.w", "amocas.d", "amocas.q")
# Waiting ends at any time: here at once.
declare(Shape.FENCE, "wrs.nto", "wrs.sto")


@atomic("amoadd.b", "amoadd.h", "amoadd.w", "amoadd.d")
def amoadd(old, b):
    return old + b


@atomic("amoswap.b", "amoswap.h", "amoswap.w", "amoswap.d")
def amoswap(old, b):
    return b


@atomic("amoxor.b", "amoxor.h", "amoxor.w", "amoxor.d")
def amoxor(old, b):
    return old ^ b


@atomic("amoor.b", "amoor.h", "amoor.w", "amoor.d")
def amoor(old, b):
    return old | b


@atomic("amoand.b", "amoand.h", "amoand.w", "amoand.d")
def amoand(old, b):
    return old & b


@atomic("amomin.b", "amomin.h", "amomin.w", "amomin.d")
def amomin(old, b):
    return old if lt_signed(old, b) else b


@atomic("amomax.b", "amomax.h", "amomax.w", "amomax.d")
def amomax(old, b):
    return b if lt_signed(old, b) else old


# Sign-extended words are in the same order as unsigned ones.
@atomic("amominu.b", "amominu.h", "amominu.w", "amominu.d")
def amominu(old, b):
    return old if lt_unsigned(old, b) else b


@atomic("amomaxu.b", "amomaxu.h", "amomaxu.w", "amomaxu.d")
def amomaxu(old, b):
    return b if lt_unsigned(old, b) else old
