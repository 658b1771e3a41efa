"""Single precision."""

from emu.isa.kinds import Shape, declare, floating, load, register
from emu.softfloat.arithmetic import add, divide, fuse, multiply, square_root
from emu.softfloat.comparison import (
    EQUAL,
    GREATER,
    LESS,
    LESS_OR_EQUAL,
    QUIET,
    choose,
    class_of,
    compare,
    inject,
)
from emu.softfloat.conversion import (
    LEAST_L,
    LEAST_LU,
    LEAST_W,
    LEAST_WU,
    MOST_L,
    MOST_LU,
    MOST_W,
    MOST_WU,
    from_signed,
    from_unsigned,
    to_integer,
)
from emu.softfloat.formats import F32, SIGN32, unboxed
from specs.kernels.words import LOW32, U0, sext32

#: Of a slot with a number of 32 bits.
HIGH32 = ~LOW32


@floating
def fadd_s(a, b, rm):
    return add(a, b, rm, F32)


@floating
def fsub_s(a, b, rm):
    return add(a, b ^ SIGN32, rm, F32)


@floating
def fmul_s(a, b, rm):
    return multiply(a, b, rm, F32)


@floating(cost="divide")
def fdiv_s(a, b, rm):
    return divide(a, b, rm, F32)


@floating(cost="divide")
def fsqrt_s(a, rm):
    return square_root(a, rm, F32)


@floating
def fmadd_s(a, b, c, rm):
    return fuse(a, b, c, rm, F32)


@floating
def fmsub_s(a, b, c, rm):
    return fuse(a, b, c ^ SIGN32, rm, F32)


@floating
def fnmsub_s(a, b, c, rm):
    return fuse(a ^ SIGN32, b, c, rm, F32)


@floating
def fnmadd_s(a, b, c, rm):
    return fuse(a ^ SIGN32, b, c ^ SIGN32, rm, F32)


@register
def fsgnj_s(a, b):
    return inject(a, unboxed(b, F32), F32)


@register
def fsgnjn_s(a, b):
    return inject(a, ~unboxed(b, F32), F32)


@register
def fsgnjx_s(a, b):
    return inject(a, unboxed(a, F32) ^ unboxed(b, F32), F32)


@floating
def fmin_s(a, b):
    return choose(a, b, U0, F32)


@floating
def fmax_s(a, b):
    return choose(a, b, GREATER, F32)


@floating
def feq_s(a, b):
    return compare(a, b, EQUAL | QUIET, F32)


@floating
def flt_s(a, b):
    return compare(a, b, LESS, F32)


@floating
def fle_s(a, b):
    return compare(a, b, LESS_OR_EQUAL, F32)


@register
def fclass_s(a):
    return class_of(a, F32)


@floating
def fcvt_w_s(a, rm):
    return to_integer(a, rm, MOST_W, LEAST_W, F32)


@floating
def fcvt_wu_s(a, rm):
    return to_integer(a, rm, MOST_WU, LEAST_WU, F32)


@floating
def fcvt_l_s(a, rm):
    return to_integer(a, rm, MOST_L, LEAST_L, F32)


@floating
def fcvt_lu_s(a, rm):
    return to_integer(a, rm, MOST_LU, LEAST_LU, F32)


@floating
def fcvt_s_w(a, rm):
    return from_signed(sext32(a), rm, F32)


@floating
def fcvt_s_wu(a, rm):
    return from_unsigned(a & LOW32, rm, F32)


@floating
def fcvt_s_l(a, rm):
    return from_signed(a, rm, F32)


@floating
def fcvt_s_lu(a, rm):
    return from_unsigned(a, rm, F32)


@load
def flw(word):
    return word | HIGH32


declare(Shape.STORE, "fsw")


@register
def fmv_x_w(a):
    return sext32(a)


@register
def fmv_w_x(a):
    return a | HIGH32
