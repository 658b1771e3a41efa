"""Intrinsics on host memory and wide arithmetic, for the emulator's kernels.

Guest memory, micro-operations and tables are addressed by host pointers held in uint64: one LLVM
load or store each, unaligned, with no bounds logic. The caller has checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from specs.kernels.memory import I64, load_bits, pointer_to

# A micro-operation is 8 bytes: op, rd, rs1, rs2, imm32 (specific to the op otherwise).


@intrinsic
def op_of(_typing: Any, ip: Any) -> Any:
    """The operation number at `ip`, as int64: the chain of comparisons becomes a jump table."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return load_bits(builder, args[0], 8)

    return types.int64(types.uint64), codegen


def _register_slot(builder: Any, registers: Any, ip: Any, byte: int) -> Any:
    index = load_bits(builder, builder.add(ip, ir.Constant(I64, byte)), 8)
    return builder.add(registers, builder.shl(index, ir.Constant(I64, 3)))


def _source(byte: int) -> Any:
    @intrinsic
    def read(_typing: Any, registers: Any, ip: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return load_bits(builder, _register_slot(builder, args[0], args[1], byte), 64)

        return types.uint64(types.uint64, types.uint64), codegen

    return read


rs1, rs2 = _source(2), _source(3)


@intrinsic
def set_rd(_typing: Any, registers: Any, ip: Any, value: Any) -> Any:
    """Write `value` to the micro-operation's rd."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        slot = _register_slot(builder, args[0], args[1], 1)
        builder.store(args[2], pointer_to(builder, slot, 64)).align = 1
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), codegen


@intrinsic
def imm(_typing: Any, ip: Any) -> Any:
    """The micro-operation's immediate, sign-extended."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return load_bits(builder, builder.add(args[0], ir.Constant(I64, 4)), 32, True)

    return types.uint64(types.uint64), codegen
