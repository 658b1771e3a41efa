"""Zfa: constants, rounding to integers, quiet comparisons, minimum and maximum that keep NaNs."""

from emu.isa.kinds import floating, register
from emu.softfloat.comparison import GREATER, LESS, LESS_OR_EQUAL, NAN, QUIET, choose, compare
from emu.softfloat.conversion import FLI16, FLI32, FLI64, to_integral, to_modular_word
from emu.softfloat.formats import F16, F32, F64
from specs.kernels.words import LOW32, U0, U1, U31, U32, sext32


@register
def fli_s(a, b):
    return FLI32[b & U31]


@floating
def fminm_s(a, b):
    return choose(a, b, NAN, F32)


@floating
def fmaxm_s(a, b):
    return choose(a, b, GREATER | NAN, F32)


@floating
def fround_s(a, rm):
    return to_integral(a, rm, U0, F32)


@floating
def froundnx_s(a, rm):
    return to_integral(a, rm, U1, F32)


@floating
def fltq_s(a, b):
    return compare(a, b, LESS | QUIET, F32)


@floating
def fleq_s(a, b):
    return compare(a, b, LESS_OR_EQUAL | QUIET, F32)


@register
def fli_d(a, b):
    return FLI64[b & U31]


@floating
def fminm_d(a, b):
    return choose(a, b, NAN, F64)


@floating
def fmaxm_d(a, b):
    return choose(a, b, GREATER | NAN, F64)


@floating
def fround_d(a, rm):
    return to_integral(a, rm, U0, F64)


@floating
def froundnx_d(a, rm):
    return to_integral(a, rm, U1, F64)


@floating
def fltq_d(a, b):
    return compare(a, b, LESS | QUIET, F64)


@floating
def fleq_d(a, b):
    return compare(a, b, LESS_OR_EQUAL | QUIET, F64)


@register
def fli_h(a, b):
    return FLI16[b & U31]


@floating
def fminm_h(a, b):
    return choose(a, b, NAN, F16)


@floating
def fmaxm_h(a, b):
    return choose(a, b, GREATER | NAN, F16)


@floating
def fround_h(a, rm):
    return to_integral(a, rm, U0, F16)


@floating
def froundnx_h(a, rm):
    return to_integral(a, rm, U1, F16)


@floating
def fltq_h(a, b):
    return compare(a, b, LESS | QUIET, F16)


@floating
def fleq_h(a, b):
    return compare(a, b, LESS_OR_EQUAL | QUIET, F16)


@floating
def fcvtmod_w_d(a):
    return to_modular_word(a)


@register
def fmvh_x_d(a):
    return sext32(a >> U32)


@register
def fmvp_d_x(a, b):
    return a & LOW32 | b << U32
