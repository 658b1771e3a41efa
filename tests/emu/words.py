"""Words that wrap around, and the intrinsics of value functions read over them: no Numba."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

ONES = (1 << 64) - 1


class Word(int):
    """An unsigned number of 64 bits."""

    def __new__(cls, value: int) -> "Word":
        return super().__new__(cls, int(value) & ONES)


def _wrapping(name: str) -> Callable[..., Word]:
    operate = getattr(int, name)
    return lambda left, right: Word(operate(int(left), int(right)))


for _name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift"):
    setattr(Word, f"__{_name}__", _wrapping(f"__{_name}__"))
Word.__invert__ = lambda word: Word(ONES ^ int(word))  # type: ignore[method-assign,assignment]


def signed(word: int, bits: int = 64) -> int:
    word = int(word) & ((1 << bits) - 1)
    return word - (word >> bits - 1 << bits)


def _sext(bits: int) -> Callable[[int], Word]:
    return lambda word: Word(signed(word, bits))


def _shift_32(operate: Callable[[int, int], int]) -> Callable[[int, int], Word]:
    return lambda word, by: Word(signed(operate(word, int(by) & 31), 32))


def _toward_zero(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient


#: By the name that `specs.kernels.words` has.
READINGS: dict[str, Callable[..., Any]] = {
    "sext8": _sext(8),
    "sext16": _sext(16),
    "sext32": _sext(32),
    "b2u": lambda truth: Word(bool(truth)),
    "lt_signed": lambda a, b: signed(a) < signed(b),
    "lt_unsigned": lambda a, b: int(a) < int(b),
    "select": lambda condition, yes, no: yes if condition else no,
    "clz64": lambda word: Word(64 - int(word).bit_length()),
    "mulh64": lambda a, b: Word(signed(a) * signed(b) >> 64),
    "mulhu64": lambda a, b: Word(int(a) * int(b) >> 64),
    "mulhsu64": lambda a, b: Word(signed(a) * int(b) >> 64),
    "div_signed": lambda a, b: Word(_toward_zero(signed(a), signed(b))),
    "div_unsigned": lambda a, b: Word(int(a) // int(b)),
    "rem_signed": lambda a, b: Word(signed(a) - signed(b) * _toward_zero(signed(a), signed(b))),
    "rem_unsigned": lambda a, b: Word(int(a) % int(b)),
    "sll64": lambda a, b: Word(int(a) << (int(b) & 63)),
    "srl64": lambda a, b: Word(int(a) >> (int(b) & 63)),
    "sra64": lambda a, b: Word(signed(a) >> (int(b) & 63)),
    "sllw": _shift_32(lambda a, n: int(a) << n),
    "srlw": _shift_32(lambda a, n: (int(a) & 0xFFFF_FFFF) >> n),
    "sraw": _shift_32(lambda a, n: signed(a, 32) >> n),
}


def over_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, and the kernels that it calls, over `Word`."""
    function = getattr(function, "py_func", function)
    scope: dict[str, Any] = {}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if name in READINGS:
            scope[name] = READINGS[name]
        elif isinstance(value, np.uint64):
            scope[name] = Word(int(value))
        elif isinstance(value, np.ndarray):
            scope[name] = [Word(each) for each in value]
        elif callable(value):
            scope[name] = over_words(value)
    return FunctionType(function.__code__, scope | {"__builtins__": {"range": range}})
