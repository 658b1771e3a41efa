"""Half precision: Zfh, and Zfhmin, which is its loads, stores, moves and conversions between
formats.
"""

import numpy as np

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
    convert,
    from_signed,
    from_unsigned,
    to_integer,
)
from emu.softfloat.formats import F16, F32, F64, SIGN16, unboxed
from specs.kernels.words import LOW32, U0, sext16, sext32

#: Of a slot with a number of 16 bits.
HIGH48 = ~np.uint64(0xFFFF)


@floating
def fadd_h(a, b, rm):
    return add(a, b, rm, F16)


@floating
def fsub_h(a, b, rm):
    return add(a, b ^ SIGN16, rm, F16)


@floating
def fmul_h(a, b, rm):
    return multiply(a, b, rm, F16)


@floating(cost="divide")
def fdiv_h(a, b, rm):
    return divide(a, b, rm, F16)


@floating(cost="divide")
def fsqrt_h(a, rm):
    return square_root(a, rm, F16)


@floating
def fmadd_h(a, b, c, rm):
    return fuse(a, b, c, rm, F16)


@floating
def fmsub_h(a, b, c, rm):
    return fuse(a, b, c ^ SIGN16, rm, F16)


@floating
def fnmsub_h(a, b, c, rm):
    return fuse(a ^ SIGN16, b, c, rm, F16)


@floating
def fnmadd_h(a, b, c, rm):
    return fuse(a ^ SIGN16, b, c ^ SIGN16, rm, F16)


@register
def fsgnj_h(a, b):
    return inject(a, unboxed(b, F16), F16)


@register
def fsgnjn_h(a, b):
    return inject(a, ~unboxed(b, F16), F16)


@register
def fsgnjx_h(a, b):
    return inject(a, unboxed(a, F16) ^ unboxed(b, F16), F16)


@floating
def fmin_h(a, b):
    return choose(a, b, U0, F16)


@floating
def fmax_h(a, b):
    return choose(a, b, GREATER, F16)


@floating
def feq_h(a, b):
    return compare(a, b, EQUAL | QUIET, F16)


@floating
def flt_h(a, b):
    return compare(a, b, LESS, F16)


@floating
def fle_h(a, b):
    return compare(a, b, LESS_OR_EQUAL, F16)


@register
def fclass_h(a):
    return class_of(a, F16)


@floating
def fcvt_w_h(a, rm):
    return to_integer(a, rm, MOST_W, LEAST_W, F16)


@floating
def fcvt_wu_h(a, rm):
    return to_integer(a, rm, MOST_WU, LEAST_WU, F16)


@floating
def fcvt_l_h(a, rm):
    return to_integer(a, rm, MOST_L, LEAST_L, F16)


@floating
def fcvt_lu_h(a, rm):
    return to_integer(a, rm, MOST_LU, LEAST_LU, F16)


@floating
def fcvt_h_w(a, rm):
    return from_signed(sext32(a), rm, F16)


@floating
def fcvt_h_wu(a, rm):
    return from_unsigned(a & LOW32, rm, F16)


@floating
def fcvt_h_l(a, rm):
    return from_signed(a, rm, F16)


@floating
def fcvt_h_lu(a, rm):
    return from_unsigned(a, rm, F16)


@floating
def fcvt_s_h(a, rm):
    return convert(a, rm, F16, F32)


@floating
def fcvt_h_s(a, rm):
    return convert(a, rm, F32, F16)


@floating
def fcvt_d_h(a, rm):
    return convert(a, rm, F16, F64)


@floating
def fcvt_h_d(a, rm):
    return convert(a, rm, F64, F16)


@load
def flh(word):
    return word | HIGH48


declare(Shape.STORE, "fsh")


@register
def fmv_x_h(a):
    return sext16(a)


@register
def fmv_h_x(a):
    return a | HIGH48
