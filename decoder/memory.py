"""Unaligned loads for kernels."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def load64(_typing: Any, base: Any, offset: Any) -> Any:
    """The uint64 at byte `offset` from address `base`, little endian; the caller checks bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.add(
            context.cast(builder, args[0], signature.args[0], types.uint64),
            context.cast(builder, args[1], signature.args[1], types.uint64),
        )
        value = builder.load(builder.inttoptr(address, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(base, offset), codegen
