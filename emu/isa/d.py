"""Double precision."""

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
from emu.softfloat.formats import F32, F64, SIGN64, unboxed
from specs.kernels.words import LOW32, U0, sext32


@floating
def fadd_d(a, b, rm):
    return add(a, b, rm, F64)


@floating
def fsub_d(a, b, rm):
    return add(a, b ^ SIGN64, rm, F64)


@floating
def fmul_d(a, b, rm):
    return multiply(a, b, rm, F64)


@floating(cost="divide")
def fdiv_d(a, b, rm):
    return divide(a, b, rm, F64)


@floating(cost="divide")
def fsqrt_d(a, rm):
    return square_root(a, rm, F64)


@floating
def fmadd_d(a, b, c, rm):
    return fuse(a, b, c, rm, F64)


@floating
def fmsub_d(a, b, c, rm):
    return fuse(a, b, c ^ SIGN64, rm, F64)


@floating
def fnmsub_d(a, b, c, rm):
    return fuse(a ^ SIGN64, b, c, rm, F64)


@floating
def fnmadd_d(a, b, c, rm):
    return fuse(a ^ SIGN64, b, c ^ SIGN64, rm, F64)


@register
def fsgnj_d(a, b):
    return inject(a, unboxed(b, F64), F64)


@register
def fsgnjn_d(a, b):
    return inject(a, ~unboxed(b, F64), F64)


@register
def fsgnjx_d(a, b):
    return inject(a, unboxed(a, F64) ^ unboxed(b, F64), F64)


@floating
def fmin_d(a, b):
    return choose(a, b, U0, F64)


@floating
def fmax_d(a, b):
    return choose(a, b, GREATER, F64)


@floating
def feq_d(a, b):
    return compare(a, b, EQUAL | QUIET, F64)


@floating
def flt_d(a, b):
    return compare(a, b, LESS, F64)


@floating
def fle_d(a, b):
    return compare(a, b, LESS_OR_EQUAL, F64)


@register
def fclass_d(a):
    return class_of(a, F64)


@floating
def fcvt_w_d(a, rm):
    return to_integer(a, rm, MOST_W, LEAST_W, F64)


@floating
def fcvt_wu_d(a, rm):
    return to_integer(a, rm, MOST_WU, LEAST_WU, F64)


@floating
def fcvt_l_d(a, rm):
    return to_integer(a, rm, MOST_L, LEAST_L, F64)


@floating
def fcvt_lu_d(a, rm):
    return to_integer(a, rm, MOST_LU, LEAST_LU, F64)


@floating
def fcvt_d_w(a, rm):
    return from_signed(sext32(a), rm, F64)


@floating
def fcvt_d_wu(a, rm):
    return from_unsigned(a & LOW32, rm, F64)


@floating
def fcvt_d_l(a, rm):
    return from_signed(a, rm, F64)


@floating
def fcvt_d_lu(a, rm):
    return from_unsigned(a, rm, F64)


@floating
def fcvt_s_d(a, rm):
    return convert(a, rm, F64, F32)


@floating
def fcvt_d_s(a, rm):
    return convert(a, rm, F32, F64)


@load
def fld(word):
    return word


declare(Shape.STORE, "fsd")


@register("fmv.x.d", "fmv.d.x")
def fmv_x_d(a):
    return a
