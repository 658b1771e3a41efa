"""Words of kernels: constants of 64 bits, conversions without a check, wide arithmetic.

Types: `uint64 + 1` and `uint64 & 0xff` are int64 in Numba, and a variable that is uint64 on one
path and `0` on another becomes float64. Kernels therefore use these module-level constants and
the intrinsics `s64`, `u64`, `sext32`, ... ; `tests/test_kernel_types.py` asserts the outcome.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

U0 = np.uint64(0)
U1 = np.uint64(1)
U2 = np.uint64(2)
U3 = np.uint64(3)
U4 = np.uint64(4)
U5 = np.uint64(5)
U6 = np.uint64(6)
U7 = np.uint64(7)
U8 = np.uint64(8)
U10 = np.uint64(10)
U13 = np.uint64(13)
U15 = np.uint64(15)
U16 = np.uint64(16)
U17 = np.uint64(17)
U24 = np.uint64(24)
U31 = np.uint64(31)
U32 = np.uint64(32)
U33 = np.uint64(33)
U40 = np.uint64(40)
U48 = np.uint64(48)
U56 = np.uint64(56)
U63 = np.uint64(63)
U64 = np.uint64(64)
U255 = np.uint64(255)
LOW32 = np.uint64(0xFFFF_FFFF)
ALL_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@intrinsic
def u64(_typing: Any, value: Any) -> Any:
    """Reinterpret (or zero/sign-extend, as its type says) an integer as uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], signature.args[0], types.uint64)

    return types.uint64(value), codegen


@intrinsic
def s64(_typing: Any, value: Any) -> Any:
    """Reinterpret (or extend, as its type says) an integer as int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], signature.args[0], types.int64)

    return types.int64(value), codegen


@intrinsic
def sext32(_typing: Any, value: Any) -> Any:
    """The low 32 bits, sign-extended, as uint64."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sext(builder.trunc(args[0], ir.IntType(32)), ir.IntType(64))

    return types.uint64(types.uint64), codegen


@intrinsic
def b2u(_typing: Any, value: Any) -> Any:
    """True to 1, False to 0, without a branch."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(
            context.cast(builder, args[0], signature.args[0], types.boolean), ir.IntType(64)
        )

    return types.uint64(value), codegen


@intrinsic
def select(_typing: Any, condition: Any, yes: Any, no: Any) -> Any:
    """`yes if condition else no` of two words, both of which are computed: no branch."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.trunc(args[0], ir.IntType(1)), args[1], args[2])

    return types.uint64(types.boolean, types.uint64, types.uint64), codegen


@intrinsic
def clz64(_typing: Any, value: Any) -> Any:
    """Leading zeros of a uint64; 64 for zero."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


_I128 = ir.IntType(128)


@intrinsic
def sext8(_typing: Any, value: Any) -> Any:
    """The low 8 bits, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sext(builder.trunc(args[0], ir.IntType(8)), ir.IntType(64))

    return types.uint64(types.uint64), codegen


@intrinsic
def sext16(_typing: Any, value: Any) -> Any:
    """The low 16 bits, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sext(builder.trunc(args[0], ir.IntType(16)), ir.IntType(64))

    return types.uint64(types.uint64), codegen


def _high_product(left_signed: bool, right_signed: bool) -> Any:
    @intrinsic
    def high(_typing: Any, left: Any, right: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            a = (builder.sext if left_signed else builder.zext)(args[0], _I128)
            b = (builder.sext if right_signed else builder.zext)(args[1], _I128)
            product = builder.lshr(builder.mul(a, b), ir.Constant(_I128, 64))
            return builder.trunc(product, ir.IntType(64))

        return types.uint64(types.uint64, types.uint64), codegen

    return high


mulh64 = _high_product(True, True)

mulhu64 = _high_product(False, False)

mulhsu64 = _high_product(True, False)


def _binary(name: str) -> Any:
    @intrinsic
    def operate(_typing: Any, left: Any, right: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return getattr(builder, name)(args[0], args[1])

        return types.uint64(types.uint64, types.uint64), codegen

    return operate


#: Undefined for a divisor of zero and for the one signed overflow: check before.
div_signed, div_unsigned = _binary("sdiv"), _binary("udiv")

rem_signed, rem_unsigned = _binary("srem"), _binary("urem")


def _shift(name: str, bits: int) -> Any:
    @intrinsic
    def operate(_typing: Any, value: Any, amount: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            width = ir.IntType(bits)
            masked = builder.and_(args[1], ir.Constant(ir.IntType(64), bits - 1))
            if bits == 64:
                return getattr(builder, name)(args[0], masked)
            low = builder.trunc(args[0], width)
            shifted = getattr(builder, name)(low, builder.trunc(masked, width))
            return builder.sext(shifted, ir.IntType(64))

        return types.uint64(types.uint64, types.uint64), codegen

    return operate


#: Shifts by the low 6 bits; the `w` forms take 5 bits and sign-extend a 32-bit result.
sll64, srl64, sra64 = _shift("shl", 64), _shift("lshr", 64), _shift("ashr", 64)

sllw, srlw, sraw = _shift("shl", 32), _shift("lshr", 32), _shift("ashr", 32)


def _less(signed: bool) -> Any:
    @intrinsic
    def less(_typing: Any, left: Any, right: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            compare = builder.icmp_signed if signed else builder.icmp_unsigned
            return compare("<", args[0], args[1])

        return types.boolean(types.uint64, types.uint64), codegen

    return less


lt_signed, lt_unsigned = _less(True), _less(False)
