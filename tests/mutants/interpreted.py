"""A pytest plugin, `-p tests.mutants.interpreted`: kernels run as Python instead of being compiled.

A changed kernel takes a minute to compile, and a few seconds to interpret on the small inputs of
tests. Intrinsics, which are machine code, stay compiled: each takes milliseconds. Signed and
unsigned words are NumPy's scalars, which wrap around as those of kernels do.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np

_compile, _intrinsic = numba.njit, numba.extending.intrinsic
_ALL_ONES = (1 << 64) - 1
_SIGN = 1 << 63


def _u64(value: Any) -> np.uint64:
    return np.uint64(int(value) & _ALL_ONES)


def _s64(value: Any) -> np.int64:
    return np.int64(((int(value) & _ALL_ONES) ^ _SIGN) - _SIGN)


def _clz64(value: Any) -> np.uint64:
    return np.uint64(64 - int(value).bit_length())


#: Those that are called everywhere, by name.
_WORDS = {"u64": _u64, "s64": _s64, "b2u": _u64, "clz64": _clz64}
#: Those that give an int64; others give a uint64, a truth value or nothing.
_SIGNED = ("op_of",)


def _njit(function: Callable[..., Any] | None = None, **_: object) -> Any:
    if function is None:
        return _njit
    function.py_func = function  # type: ignore[attr-defined]
    return function


def _callable_intrinsic(function: Callable[..., Any]) -> Any:
    if function.__name__ in _WORDS:
        return _WORDS[function.__name__]
    names = ", ".join(list(inspect.signature(function).parameters)[1:])
    scope = {"intrinsic": _intrinsic(function)}
    machine_code = _compile(eval(f"lambda {names}: intrinsic({names})", scope))
    word = np.int64 if function.__name__ in _SIGNED else np.uint64

    def call(*arguments: Any) -> Any:
        result = machine_code(*arguments)
        return word(result) if type(result) is int else result

    return call


numba.njit = _njit
numba.extending.intrinsic = _callable_intrinsic
numba.extending.register_jitable = _njit
np.seterr(over="ignore")
