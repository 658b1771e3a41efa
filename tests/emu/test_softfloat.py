"""Soft-float against exact fractions (`float_oracle`), and against the host's own arithmetic.

ETRACE_FLOAT_TRIALS: cases of each operation and format; every case in one of the rounding modes.
ETRACE_FLOAT_SEED: other cases than always.
"""

import ast
import os
import zlib
from collections.abc import Callable
from functools import cache
from itertools import permutations
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from emu.engine.generate import expression
from emu.isa.kinds import Meaning, Shape, meanings
from tests.emu.float_cases import Draw, Slots
from tests.emu.float_oracle import (
    DOUBLE,
    DZ,
    FORMS,
    HALF,
    NV,
    NX,
    OF,
    RANGES,
    SINGLE,
    UF,
    Format,
    oracle_of,
    value_oracle_of,
)
from tests.emu.words import Word, over_words

TRIALS = int(os.environ.get("ETRACE_FLOAT_TRIALS", "10000"))
SEED = int(os.environ.get("ETRACE_FLOAT_SEED", "0"))
SHARE = 50_000
HOST_TRIALS = max(TRIALS, 200_000)

FLOATING = {m.names[0]: m for m in meanings() if m.shape is Shape.FLOATING}
PLAIN = {
    name: meaning
    for meaning in meanings()
    for name in meaning.names
    if meaning.shape is Shape.COMPUTE
    and name.startswith(("fsgnj", "fclass", "fli.", "fmv"))
}  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(FLOATING)}


def parameters(meaning: Meaning) -> list[str]:
    return expression(meaning.function)[0]


@cache
def kernel() -> Any:
    """All operations as a compiled function: a chain of cases, as the emulator has one."""
    scope: dict[str, Any] = {}
    text = "def result(op, a, b, c, rm):\n"
    for name, meaning in FLOATING.items():
        assert meaning.function is not None
        body = expression(meaning.function)[1]
        text += f"  if op == {NUMBERS[name]}:\n    return {ast.unparse(body)}\n"
        scope |= meaning.function.__globals__
    exec(text + "  return a, b\n", scope)
    result = numba.njit(_nrt=False)(scope["result"])

    def results(op: Any, cases: Any, found: Any) -> None:
        for at in range(len(cases)):
            row = cases[at]
            found[at, 0], found[at, 1] = result(op, row[0], row[1], row[2], row[3])

    return numba.njit(_nrt=False)(results)


def results(name: str, cases: Slots) -> Slots:
    """Of rows a, b, c, rm: rows of a result and its flags."""
    found = np.zeros((len(cases), 2), np.uint64)
    kernel()(NUMBERS[name], cases, found)
    return found


def operands(name: str, draw: Draw) -> Slots:
    """Rows a, b, c, rm, of which the operation takes what it has."""
    operation, *types = name.split(".")
    source = types[-1]
    if source not in FORMS:
        a = b = c = draw.integers()
    else:
        form = FORMS[source]
        near: list[int] = []
        if types[0] in RANGES:  # also just beyond its range
            near = [form.emax + power for power in (-1, 0, 7, 15, 31, 32, 52, 63, 64)]
        elif len(types) == 2:
            target = FORMS[types[0]]
            subnormal = 1 - target.emax - target.precision
            near = [form.emax + power for power in (subnormal, 1 - target.emax, target.emax)]
        elif operation.startswith("fround"):
            near = [form.emax + power for power in (-1, 0, 1, form.precision - 1)]
        a = draw.numbers(form, [each for each in near if 0 <= each <= 2 * form.emax + 1])
        b = draw.partners(form, a)
        c = draw.addends(form, a, b)
    modes = np.arange(draw.count, dtype=np.uint64) % np.uint64(5)
    return np.stack([a, b, c, modes], axis=1)


def shown(name: str, row: list[int], found: list[int], want: tuple[int, int]) -> str:
    a, b, c, rm = row
    bits, flags = want
    case = f"{name} {a:#x} {b:#x} {c:#x} rm={rm}"
    return f"{case}: {found[0]:#x} {found[1]}, not {bits:#x} {flags}"


@pytest.mark.parametrize("first", range(0, TRIALS, SHARE))
@pytest.mark.parametrize("name", FLOATING)
def test_exact(name: str, first: int) -> None:
    """Bits and flags, in each rounding mode."""
    seed = zlib.crc32(name.encode())
    draw = Draw(np.random.default_rng([seed, SEED, first]), min(SHARE, TRIALS - first))
    cases = operands(name, draw)
    takes = ["abc".find(each) if each != "rm" else 3 for each in parameters(FLOATING[name])]
    oracle = oracle_of(name)
    for row, found in zip(cases.tolist(), results(name, cases).tolist(), strict=True):
        want = oracle(*[row[each] for each in takes])
        assert tuple(found) == want, shown(name, row, found, want)


HOST: dict[str, Callable[..., Any]] = {
    "fadd": lambda a, b: a + b,
    "fsub": lambda a, b: a - b,
    "fmul": lambda a, b: a * b,
    "fdiv": lambda a, b: a / b,
    "fsqrt": lambda a, b: np.sqrt(a),
}
TYPES = {
    "h": (np.float16, np.uint16), "s": (np.float32, np.uint32), "d": (np.float64, np.uint64),
}  # fmt: skip


def on_host(slots: Slots, kind: str) -> Any:
    floats, words = TYPES[kind]
    return slots.astype(words).view(floats)


def same(found: Slots, want: Any, kind: str) -> npt.NDArray[np.bool_]:
    """By bits; NumPy's NaNs are whatever the host makes."""
    form, floats = FORMS[kind], on_host(found, kind)
    canonical = found == np.uint64(form.box(form.nan))
    equal: npt.NDArray[np.bool_] = floats.view(TYPES[kind][1]) == want.view(TYPES[kind][1])
    return np.where(np.isnan(want), canonical, equal)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("operation", HOST)
def test_as_the_host_computes(operation: str, kind: str) -> None:
    """To nearest with ties to even, which is all that NumPy has."""
    name = f"{operation}.{kind}"
    draw = Draw(np.random.default_rng([zlib.crc32(name.encode()), SEED, 1]), HOST_TRIALS)
    cases = operands(name, draw)
    form = FORMS[kind]
    box = np.uint64(form.box(0))
    cases[:, :2] |= box
    cases[:, 3] = 0
    with np.errstate(all="ignore"):
        want = HOST[operation](on_host(cases[:, 0], kind), on_host(cases[:, 1], kind))
    good = same(results(name, cases)[:, 0], want, kind)
    assert good.all(), cases[~good][0].tolist()


@pytest.mark.parametrize(("kind", "to"), [*permutations(TYPES, 2)])
def test_as_the_host_converts(kind: str, to: str) -> None:
    name = f"fcvt.{to}.{kind}"
    draw = Draw(np.random.default_rng([zlib.crc32(name.encode()), SEED, 1]), HOST_TRIALS)
    cases = operands(name, draw)
    cases[:, 0] |= np.uint64(FORMS[kind].box(0))
    cases[:, 3] = 0
    with np.errstate(all="ignore"):
        want = on_host(cases[:, 0], kind).astype(TYPES[to][0])
    good = same(results(name, cases)[:, 0], want, to)
    assert good.all(), cases[~good][0].tolist()


@pytest.mark.parametrize("name", FLOATING)
def test_over_words(name: str) -> None:
    """Value functions are pure: they mean the same over plain numbers."""
    cases = operands(name, Draw(np.random.default_rng(zlib.crc32(name.encode())), 60))
    takes = ["abc".find(each) if each != "rm" else 3 for each in parameters(FLOATING[name])]
    function = over_words(FLOATING[name].function)
    oracle = oracle_of(name)
    for row in cases.tolist():
        chosen = [row[each] for each in takes]
        assert function(*map(Word, chosen)) == oracle(*chosen), (name, list(map(hex, chosen)))


@pytest.mark.parametrize("name", PLAIN)
def test_without_flags(name: str) -> None:
    operation, *types = name.split(".")
    draw = Draw(np.random.default_rng(zlib.crc32(name.encode())), 500)
    form = FORMS.get(types[-1], FORMS.get(types[0], SINGLE))
    a = draw.integers() if types[-1] == "x" else draw.numbers(form, [])
    b = np.arange(500, dtype=np.uint64) if operation == "fli" else draw.numbers(form, [])
    function, count = over_words(PLAIN[name].function), len(parameters(PLAIN[name]))
    oracle = value_oracle_of(name)
    for left, right in zip(a.tolist(), b.tolist(), strict=True):
        value = function(*[Word(left), Word(right)][:count])
        assert value == oracle(left, right), (name, hex(left), hex(right))


def test_loads_box() -> None:
    of = {m.names[0]: over_words(m.function) for m in meanings() if m.shape is Shape.LOAD}
    assert of["flh"](Word(0x8001)) == 0xFFFF_FFFF_FFFF_8001
    assert of["flw"](Word(0x8000_0001)) == 0xFFFF_FFFF_8000_0001
    assert of["fld"](Word(0x8000_0001)) == 0x8000_0001


def one(name: str, *slots: int, rm: int = 0) -> tuple[int, int]:
    row = [*slots, 0, 0, 0][:3]
    bits, flags = results(name, np.array([[*row, rm]], np.uint64)).tolist()[0]
    return bits, flags


def test_what_the_manual_says_in_words() -> None:
    """One case of each rule, written by hand."""
    nan, box = 0x7FF8_0000_0000_0000, 0xFFFF_FFFF_0000_0000
    infinite, one_d, least = 0x7FF0_0000_0000_0000, 0x3FF0_0000_0000_0000, 0x0010_0000_0000_0000
    minus = 1 << 63
    assert one("fadd.d", infinite, infinite | minus) == (nan, NV)
    assert one("fadd.d", nan | 5, one_d) == (nan, 0)  # no payload is kept
    assert one("fadd.d", infinite | 5, one_d) == (nan, NV)
    assert one("fdiv.d", one_d, minus) == (infinite | minus, DZ)
    assert one("fdiv.d", infinite, 0) == (infinite, 0)
    assert one("fsub.d", one_d, one_d) == (0, 0)
    assert one("fsub.d", one_d, one_d, rm=2) == (minus, 0)
    assert one("fsqrt.d", minus) == (minus, 0)
    # Even if the addend is a quiet NaN.
    assert one("fmadd.d", infinite, 0, nan) == one("fmadd.d", 0, infinite, nan) == (nan, NV)
    assert one("fmul.d", infinite - 1, infinite - 1) == (infinite, OF | NX)
    assert one("fmul.d", infinite - 1, infinite - 1, rm=1) == (infinite - 1, OF | NX)
    # Below the least normal number by less than half a unit: not tiny after rounding.
    assert one("fmul.d", least + 1, one_d - 2) == (least, NX)
    assert one("fmul.d", least + 1, one_d - 2, rm=1) == (least - 1, NX | UF)
    assert one("fmul.d", least, one_d - 1, rm=3) == (least, NX | UF)
    half_unit, far_below, three_halves = one_d - (53 << 52), one_d - (70 << 52), one_d | 1 << 51
    assert one("fadd.d", one_d, half_unit) == (one_d, NX)
    assert one("fadd.d", one_d + 1, half_unit) == (one_d + 2, NX)
    assert one("fadd.d", one_d, half_unit, rm=4) == (one_d + 1, NX)
    assert one("fadd.d", one_d, far_below, rm=3) == (one_d + 1, NX)
    assert one("fadd.d", one_d, far_below, rm=2) == (one_d, NX)
    # The square of 1 + u is 1 + 2u + u * u; the reciprocal of 1 - u / 2 is above 1 + u / 2.
    assert one("fmul.d", one_d + 1, one_d + 1, rm=3) == (one_d + 3, NX)
    assert one("fmadd.d", one_d + 1, one_d + 1, 0, rm=3) == (one_d + 3, NX)
    assert one("fdiv.d", one_d, one_d - 1) == (one_d + 1, NX)
    assert one("fmadd.d", one_d, one_d, three_halves | minus) == (one_d - (1 << 52) | minus, 0)
    assert one("feq.d", 0, minus) == one("fle.d", 0, minus) == (1, 0)
    assert one("flt.d", minus, 0) == (0, 0)
    assert one("fmin.d", 0, minus) == (minus, 0)
    assert one("fmax.d", nan, infinite | 1) == (nan, NV)
    assert one("fmin.d", one_d, infinite | 1) == (one_d, NV)
    assert one("fminm.d", one_d, nan) == (nan, 0)
    assert one("fle.d", nan, one_d) == (0, NV)
    assert one("fleq.d", nan, one_d) == one("feq.d", nan, one_d) == (0, 0)
    assert one("fadd.s", 0x3F80_0000, box | 0x3F80_0000) == (box | 0x7FC0_0000, 0)  # no box
    assert one("fcvt.w.d", nan) == one("fcvt.w.d", nan | minus) == ((1 << 31) - 1, NV)
    assert one("fcvt.wu.d", one_d | minus) == (0, NV)
    assert one("fcvt.wu.d", 0x3FE0_0000_0000_0000 | minus) == (0, NX)
    assert one("fcvt.wu.d", infinite) == ((1 << 64) - 1, NV)  # sign-extended
    assert one("fcvtmod.w.d", 0x41F0_0000_0010_0000) == (1, NV)  # 2**32 + 1
    assert one("fcvtmod.w.d", 0x4450_0000_0000_0001) == (1 << 18, NV)  # 2**70 + 2**18
    assert one("fround.d", 0x4004_0000_0000_0000) == (0x4000_0000_0000_0000, 0)  # 2.5
    assert one("froundnx.d", 0x4004_0000_0000_0000, rm=4) == (0x4008_0000_0000_0000, NX)


def test_the_oracle_can_count() -> None:
    """Its own reading, on numbers that everybody knows."""
    third = oracle_of("fdiv.s")(SINGLE.box(0x3F80_0000), SINGLE.box(0x4040_0000), 0)
    assert third == (SINGLE.box(0x3EAA_AAAB), NX)
    assert oracle_of("fsqrt.d")(0x4000_0000_0000_0000, 0) == (0x3FF6_A09E_667F_3BCD, NX)
    assert oracle_of("fcvt.h.s")(SINGLE.box(0x477F_F000), 0) == (HALF.box(HALF.infinity), OF | NX)
    assert value_oracle_of("fclass.d")(DOUBLE.infinity | 1, 0) == 1 << 8


def test_all_formats_are_there() -> None:
    """As many of each format, and each name once."""
    assert isinstance(HALF, Format)
    per_format = {k: [n for n in FLOATING if n.endswith(f".{k}") and "cvt" not in n] for k in FORMS}
    assert len({len(names) for names in per_format.values()}) == 1
    assert (len(FLOATING), len(PLAIN)) == (91, 23)
