"""Intrinsics on host memory, for kernels.

Guest memory, micro-operations and tables are addressed by host pointers held in uint64: one LLVM
load or store each, unaligned, with no bounds logic. The caller has checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

I64 = ir.IntType(64)


def pointer_to(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


def load_bits(builder: Any, address: Any, bits: int, signed: bool = False) -> Any:
    value = builder.load(pointer_to(builder, address, bits))
    value.align = 1
    if bits == 64:
        return value
    return builder.sext(value, I64) if signed else builder.zext(value, I64)


def _loader(bits: int, signed: bool) -> Any:
    @intrinsic
    def load(_typing: Any, address: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return load_bits(builder, args[0], bits, signed)

        return types.uint64(types.uint64), codegen

    return load


def _storer(bits: int) -> Any:
    @intrinsic
    def store(_typing: Any, address: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            low = args[1] if bits == 64 else builder.trunc(args[1], ir.IntType(bits))
            builder.store(low, pointer_to(builder, args[0], bits)).align = 1
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), codegen

    return store


load8u, load8s = _loader(8, False), _loader(8, True)

load16u, load16s = _loader(16, False), _loader(16, True)

load32u, load32s = _loader(32, False), _loader(32, True)

load64 = _loader(64, False)

store8, store16, store32, store64 = _storer(8), _storer(16), _storer(32), _storer(64)


def _caller(arguments: int) -> Any:
    @intrinsic
    def call(_typing: Any, code: Any, values: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            function = ir.FunctionType(ir.VoidType(), [I64] * arguments)
            pointer = builder.inttoptr(args[0], function.as_pointer())
            builder.call(pointer, [builder.extract_value(args[1], i) for i in range(arguments)])
            return context.get_dummy_value()

        return types.void(code, values), codegen

    return call


#: Call machine code of the C signature void(word, word, ...): address, a tuple of uint64.
call3, call5 = _caller(3), _caller(5)
