"""Intrinsics on host memory and wide arithmetic, for the emulator's kernels.

Guest memory, micro-operations and tables are addressed by host pointers held in uint64: one LLVM
load or store each, unaligned, with no bounds logic. The caller has checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I64 = ir.IntType(64)
_I128 = ir.IntType(128)


def _pointer(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


def _load(builder: Any, address: Any, bits: int, signed: bool = False) -> Any:
    value = builder.load(_pointer(builder, address, bits))
    value.align = 1
    if bits == 64:
        return value
    return builder.sext(value, _I64) if signed else builder.zext(value, _I64)


def _loader(bits: int, signed: bool) -> Any:
    @intrinsic
    def load(_typing: Any, address: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _load(builder, args[0], bits, signed)

        return types.uint64(types.uint64), codegen

    return load


def _storer(bits: int) -> Any:
    @intrinsic
    def store(_typing: Any, address: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            low = args[1] if bits == 64 else builder.trunc(args[1], ir.IntType(bits))
            builder.store(low, _pointer(builder, args[0], bits)).align = 1
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), codegen

    return store


load8u, load8s = _loader(8, False), _loader(8, True)
load16u, load16s = _loader(16, False), _loader(16, True)
load32u, load32s = _loader(32, False), _loader(32, True)
load64 = _loader(64, False)
store8, store16, store32, store64 = _storer(8), _storer(16), _storer(32), _storer(64)


# A micro-operation is 8 bytes: op, rd, rs1, rs2, imm32 (specific to the op otherwise).


@intrinsic
def op_of(_typing: Any, ip: Any) -> Any:
    """The operation number at `ip`, as int64: the chain of comparisons becomes a jump table."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _load(builder, args[0], 8)

    return types.int64(types.uint64), codegen


def _register_slot(builder: Any, registers: Any, ip: Any, byte: int) -> Any:
    index = _load(builder, builder.add(ip, ir.Constant(_I64, byte)), 8)
    return builder.add(registers, builder.shl(index, ir.Constant(_I64, 3)))


def _source(byte: int) -> Any:
    @intrinsic
    def read(_typing: Any, registers: Any, ip: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _load(builder, _register_slot(builder, args[0], args[1], byte), 64)

        return types.uint64(types.uint64, types.uint64), codegen

    return read


rs1, rs2 = _source(2), _source(3)


@intrinsic
def set_rd(_typing: Any, registers: Any, ip: Any, value: Any) -> Any:
    """Write `value` to the micro-operation's rd."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        slot = _register_slot(builder, args[0], args[1], 1)
        builder.store(args[2], _pointer(builder, slot, 64)).align = 1
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), codegen


@intrinsic
def imm(_typing: Any, ip: Any) -> Any:
    """The micro-operation's immediate, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _load(builder, builder.add(args[0], ir.Constant(_I64, 4)), 32, True)

    return types.uint64(types.uint64), codegen


@intrinsic
def sext8(_typing: Any, value: Any) -> Any:
    """The low 8 bits, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sext(builder.trunc(args[0], ir.IntType(8)), _I64)

    return types.uint64(types.uint64), codegen


@intrinsic
def sext16(_typing: Any, value: Any) -> Any:
    """The low 16 bits, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sext(builder.trunc(args[0], ir.IntType(16)), _I64)

    return types.uint64(types.uint64), codegen


def _high_product(left_signed: bool, right_signed: bool) -> Any:
    @intrinsic
    def high(_typing: Any, left: Any, right: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            a = (builder.sext if left_signed else builder.zext)(args[0], _I128)
            b = (builder.sext if right_signed else builder.zext)(args[1], _I128)
            product = builder.lshr(builder.mul(a, b), ir.Constant(_I128, 64))
            return builder.trunc(product, _I64)

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
            masked = builder.and_(args[1], ir.Constant(_I64, bits - 1))
            if bits == 64:
                return getattr(builder, name)(args[0], masked)
            low = builder.trunc(args[0], width)
            shifted = getattr(builder, name)(low, builder.trunc(masked, width))
            return builder.sext(shifted, _I64)

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


def _caller(arguments: int) -> Any:
    @intrinsic
    def call(_typing: Any, code: Any, values: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            function = ir.FunctionType(ir.VoidType(), [_I64] * arguments)
            pointer = builder.inttoptr(args[0], function.as_pointer())
            builder.call(pointer, [builder.extract_value(args[1], i) for i in range(arguments)])
            return context.get_dummy_value()

        return types.void(code, values), codegen

    return call


#: Call machine code of the C signature void(word, word, ...): address, a tuple of uint64.
call3, call5 = _caller(3), _caller(5)
