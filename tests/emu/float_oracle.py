"""RISC-V's floating point, read plainly: exact fractions of integers, rounded as the text says.

Nothing here is shared with `emu.softfloat`, nor how: numbers are numerators over denominators, and
a result is found by counting how many units in the last place a value is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple

NV, DZ, OF, UF, NX = 16, 8, 4, 2, 1
RNE, RTZ, RDN, RUP, RMM = range(5)

Result = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Format:
    width: int
    precision: int  # bits of a significand, with the one before the point
    emax: int

    @property
    def infinity(self) -> int:
        return (2 * self.emax + 1) << self.precision - 1

    @property
    def quiet(self) -> int:
        return 1 << self.precision - 2

    @property
    def nan(self) -> int:
        return self.infinity | self.quiet

    def box(self, bits: int) -> int:
        return bits | (1 << 64) - (1 << self.width)

    def unbox(self, slot: int) -> int:
        bits = slot & (1 << self.width) - 1
        return bits if self.box(bits) == slot else self.nan


HALF, SINGLE, DOUBLE = Format(16, 11, 15), Format(32, 24, 127), Format(64, 53, 1023)


class Value(NamedTuple):
    """Of a slot: whether it is negative, its magnitude as a fraction if it is finite."""

    negative: int
    above: int = 0
    below: int = 1
    infinite: bool = False
    nan: bool = False
    signaling: bool = False

    @property
    def is_zero(self) -> bool:
        return not (self.above or self.infinite or self.nan)

    @property
    def numerator(self) -> int:
        return -self.above if self.negative else self.above


def value_of(slot: int, form: Format) -> Value:
    bits = form.unbox(slot)
    negative, bits = bits >> form.width - 1, bits & (1 << form.width - 1) - 1
    if bits > form.infinity:
        return Value(negative, nan=True, signaling=not bits & form.quiet)
    if bits == form.infinity:
        return Value(negative, infinite=True)
    field, fraction = divmod(bits, 1 << form.precision - 1)
    if field:
        fraction += 1 << form.precision - 1
    # value = fraction * 2 ** exponent
    exponent = max(field, 1) - form.emax - (form.precision - 1)
    if exponent >= 0:
        return Value(negative, fraction << exponent)
    return Value(negative, fraction, 1 << -exponent)


def rounded(above: int, below: int, negative: int, rm: int) -> int:
    """The integer that above / below becomes (of its magnitude)."""
    whole, rest = divmod(above, below)
    twice = 2 * rest
    if rest and (
        (rm == RNE and (twice > below or (twice == below and whole % 2)))
        or (rm == RMM and twice >= below)
        or (rm == RDN and negative)
        or (rm == RUP and not negative)
    ):
        whole += 1
    return whole


def scaled(above: int, below: int, power: int) -> tuple[int, int]:
    """above / below / 2 ** power."""
    return (above, below << power) if power >= 0 else (above << -power, below)


def exponent_of(above: int, below: int) -> int:
    """Of the power of two at or below a positive fraction."""
    guess = above.bit_length() - below.bit_length()
    high, low = scaled(above, below, guess)
    return guess if high >= low else guess - 1


def number(negative: int, above: int, below: int, rm: int, form: Format) -> Result:
    """The slot of a fraction, rounded, and the flags."""
    sign = negative << form.width - 1
    if not above:
        return form.box(sign), 0
    exponent, emin = exponent_of(above, below), 1 - form.emax
    unit = max(exponent, emin) - (form.precision - 1)
    high, low = scaled(above, below, unit)
    units = rounded(high, low, negative, rm)
    flags = NX if high % low else 0
    if flags and exponent < emin:
        # After rounding: as if exponents had no lower end, is it below the least normal number?
        finer = exponent - (form.precision - 1)
        if rounded(*scaled(above, below, finer), negative, rm) >> emin - finer == 0:
            flags |= UF
    greatest = (1 << form.precision) - 1, form.emax - (form.precision - 1)
    if unit > greatest[1] or (unit == greatest[1] and units > greatest[0]):
        to_greatest = rm == RTZ or rm == (RUP if negative else RDN)
        return form.box(sign | form.infinity - to_greatest), OF | NX
    # The bits of consecutive magnitudes are consecutive numbers.
    steps = unit - (emin - (form.precision - 1))
    return form.box(sign | (steps << form.precision - 1) + units), flags


def nan(form: Format, *operands: Value) -> Result:
    """What comes of operands, one of which is a NaN."""
    return form.box(form.nan), NV if any(each.signaling for each in operands) else 0


def invalid(form: Format) -> Result:
    return form.box(form.nan), NV


def infinity(negative: int, form: Format) -> Result:
    return form.box(negative << form.width - 1 | form.infinity), 0


def sum_of(a: Value, b: Value, rm: int, form: Format) -> Result:
    if a.nan or b.nan:
        return nan(form, a, b)
    if a.infinite and b.infinite and a.negative != b.negative:
        return invalid(form)
    if a.infinite or b.infinite:
        return infinity(a.negative if a.infinite else b.negative, form)
    total = a.numerator * b.below + b.numerator * a.below
    if total == 0:
        negative = a.negative if a.negative == b.negative else int(rm == RDN)
        return number(negative, 0, 1, rm, form)
    return number(int(total < 0), abs(total), a.below * b.below, rm, form)


def product_of(a: Value, b: Value) -> Value:
    """Exact; NaN and signaling where there is none."""
    negative = a.negative ^ b.negative
    if a.nan or b.nan:
        return Value(negative, nan=True, signaling=a.signaling or b.signaling)
    if a.infinite or b.infinite:
        zero = a.is_zero or b.is_zero
        return Value(negative, infinite=not zero, nan=zero, signaling=zero)
    return Value(negative, a.above * b.above, a.below * b.below)


def finite_or(value: Value, rm: int, form: Format) -> Result:
    if value.nan:
        return nan(form, value)
    if value.infinite:
        return infinity(value.negative, form)
    return number(value.negative, value.above, value.below, rm, form)


def opposite(a: Value) -> Value:
    return a._replace(negative=1 - a.negative)


def add(a: int, b: int, rm: int, form: Format) -> Result:
    return sum_of(value_of(a, form), value_of(b, form), rm, form)


def sub(a: int, b: int, rm: int, form: Format) -> Result:
    return sum_of(value_of(a, form), opposite(value_of(b, form)), rm, form)


def mul(a: int, b: int, rm: int, form: Format) -> Result:
    return finite_or(product_of(value_of(a, form), value_of(b, form)), rm, form)


def div(a: int, b: int, rm: int, form: Format) -> Result:
    x, y = value_of(a, form), value_of(b, form)
    negative = x.negative ^ y.negative
    if x.nan or y.nan:
        return nan(form, x, y)
    if (x.infinite and y.infinite) or (x.is_zero and y.is_zero):
        return invalid(form)
    if x.infinite:
        return infinity(negative, form)
    if y.is_zero:
        return infinity(negative, form)[0], DZ
    if y.infinite:
        return number(negative, 0, 1, rm, form)
    return number(negative, x.above * y.below, x.below * y.above, rm, form)


def sqrt(a: int, rm: int, form: Format) -> Result:
    x = value_of(a, form)
    if x.nan:
        return nan(form, x)
    if x.is_zero:
        return number(x.negative, 0, 1, rm, form)
    if x.negative:
        return invalid(form)
    if x.infinite:
        return infinity(0, form)
    # 200 bits of the root and one that says whether that is all of it round as the root does.
    product = x.above * x.below << 400
    root = isqrt(product)
    return number(0, 2 * root + (root * root != product), 2 * x.below << 200, rm, form)


def fma(
    a: int, b: int, c: int, rm: int, form: Format, turn: bool = False, minus: bool = False
) -> Result:
    """(a * b) + c; `turn`: of the negated product; `minus`: less c."""
    x, y, z = (value_of(each, form) for each in (a, b, c))
    product = product_of(x, y)
    if turn:
        product = opposite(product)
    return sum_of(product, opposite(z) if minus else z, rm, form)


def compare(name: str, a: int, b: int, form: Format) -> Result:
    """feq, flt, fle, fltq, fleq."""
    x, y = value_of(a, form), value_of(b, form)
    if x.nan or y.nan:
        raises = name in ("flt", "fle") or x.signaling or y.signaling
        return 0, NV if raises else 0
    if x.infinite or y.infinite:  # any two numbers in between
        left, right = ((1 - 2 * each.negative) * each.infinite for each in (x, y))
    else:
        left, right = x.numerator * y.below, y.numerator * x.below
    truth = {"feq": left == right, "flt": left < right, "fle": left <= right}
    return int(truth[name[:3]]), 0


def choose(name: str, a: int, b: int, form: Format) -> Result:
    """fmin, fmax, fminm, fmaxm."""
    x, y = value_of(a, form), value_of(b, form)
    flags = NV if x.signaling or y.signaling else 0
    if (x.nan and y.nan) or (name.endswith("m") and (x.nan or y.nan)):
        return form.box(form.nan), flags
    if x.nan or y.nan:
        return form.box(form.unbox(b if x.nan else a)), flags
    if x.is_zero and y.is_zero:
        a_is_less = x.negative > y.negative
    else:
        a_is_less = bool(compare("flt", a, b, form)[0])
    return form.box(form.unbox(a if a_is_less == name.startswith("fmin") else b)), flags


def classify(a: int, form: Format) -> int:
    x = value_of(a, form)
    if x.nan:
        return 1 << (8 if x.signaling else 9)
    least_normal = 1, 1 << form.emax - 1
    if x.infinite:
        kind = 3
    elif x.is_zero:
        kind = 0
    else:
        kind = 2 if x.above * least_normal[1] >= x.below * least_normal[0] else 1
    return 1 << (3 - kind if x.negative else 4 + kind)


def inject(name: str, a: int, b: int, form: Format) -> int:
    """fsgnj, fsgnjn, fsgnjx."""
    x, y = form.unbox(a), form.unbox(b)
    sign_x, sign_y = x >> form.width - 1, y >> form.width - 1
    sign = {"fsgnj": sign_y, "fsgnjn": 1 - sign_y, "fsgnjx": sign_x ^ sign_y}[name]
    return form.box(x % (1 << form.width - 1) | sign << form.width - 1)


def to_format(a: int, rm: int, source: Format, form: Format) -> Result:
    return finite_or(value_of(a, source), rm, form)


#: Integer types: their least and greatest number.
RANGES = {
    "w": (-(1 << 31), (1 << 31) - 1),
    "wu": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "lu": (0, (1 << 64) - 1),
}


def as_register(value: int, kind: str) -> int:
    """An integer of a type as a register keeps it: words sign-extended."""
    if kind.startswith("w"):
        value &= (1 << 32) - 1
        value -= value >> 31 << 32
    return value & (1 << 64) - 1


def to_integer(a: int, rm: int, kind: str, form: Format) -> Result:
    x = value_of(a, form)
    least, most = RANGES[kind]
    if x.nan:
        return as_register(most, kind), NV
    if x.infinite:
        return as_register(least if x.negative else most, kind), NV
    whole = rounded(x.above, x.below, x.negative, rm)
    whole = -whole if x.negative else whole
    if not least <= whole <= most:
        return as_register(min(max(whole, least), most), kind), NV
    return as_register(whole, kind), NX if x.above % x.below else 0


def of_integer(a: int, rm: int, kind: str, form: Format) -> Result:
    bits = 32 if kind.startswith("w") else 64
    value = a & (1 << bits) - 1
    if not kind.endswith("u"):
        value -= value >> bits - 1 << bits
    return number(int(value < 0), abs(value), 1, rm, form)


def to_integral(a: int, rm: int, exact: bool, form: Format) -> Result:
    """fround; froundnx if `exact`."""
    x = value_of(a, form)
    if x.nan:
        return nan(form, x)
    if x.infinite:
        return form.box(form.unbox(a)), 0
    bits, _ = number(x.negative, rounded(x.above, x.below, x.negative, rm), 1, RTZ, form)
    return bits, NX if exact and x.above % x.below else 0


def modular(a: int) -> Result:
    """fcvtmod.w.d."""
    x = value_of(a, DOUBLE)
    _, flags = to_integer(a, RTZ, "w", DOUBLE)
    whole = 0 if x.nan or x.infinite else x.above // x.below
    return as_register(-whole if x.negative else whole, "w"), flags


#: The table of Zfa, "Immediate values loaded by the fli.s instruction": sign, exponent, the first
#: bits of the significand of binary32.
IMMEDIATES = """
    1 01111111 000  0 00000001 000  0 01101111 000  0 01110000 000  0 01110111 000  0 01111000 000
    0 01111011 000  0 01111100 000  0 01111101 000  0 01111101 010  0 01111101 100  0 01111101 110
    0 01111110 000  0 01111110 010  0 01111110 100  0 01111110 110  0 01111111 000  0 01111111 010
    0 01111111 100  0 01111111 110  0 10000000 000  0 10000000 010  0 10000000 100  0 10000001 000
    0 10000010 000  0 10000011 000  0 10000110 000  0 10000111 000  0 10001110 000  0 10001111 000
    0 11111111 000  0 11111111 100
"""


def immediate(index: int, form: Format) -> int:
    """fli."""
    sign, exponent, fraction = IMMEDIATES.split()[3 * index : 3 * index + 3]
    if index == 1:
        return form.box(1 << form.precision - 1)
    bits = int(f"{sign}{exponent}{fraction:0<23}", 2)
    return to_format(SINGLE.box(bits), RNE, SINGLE, form)[0]


FORMS = {"h": HALF, "s": SINGLE, "d": DOUBLE}
_FUSED = {
    "fmadd": (False, False), "fmsub": (False, True),
    "fnmsub": (True, False), "fnmadd": (True, True),
}  # fmt: skip


def oracle_of(name: str) -> Callable[..., Result]:
    """Of an instruction that rounds or raises flags: (slots ..., rm where it has one) -> result."""
    operation, *types = name.split(".")
    form = FORMS[types[-1]] if types[-1] in FORMS else FORMS[types[0]]
    match operation:
        case "fadd" | "fsub" | "fmul" | "fdiv":
            binary = {"fadd": add, "fsub": sub, "fmul": mul, "fdiv": div}[operation]
            return lambda a, b, rm: binary(a, b, rm, form)
        case "fsqrt":
            return lambda a, rm: sqrt(a, rm, form)
        case "fmadd" | "fmsub" | "fnmsub" | "fnmadd":
            return lambda a, b, c, rm: fma(a, b, c, rm, form, *_FUSED[operation])
        case "feq" | "flt" | "fle" | "fltq" | "fleq":
            return lambda a, b: compare(operation, a, b, form)
        case "fmin" | "fmax" | "fminm" | "fmaxm":
            return lambda a, b: choose(operation, a, b, form)
        case "fround" | "froundnx":
            return lambda a, rm: to_integral(a, rm, operation == "froundnx", form)
        case "fcvtmod":
            return modular
        case "fcvt" if types[0] in RANGES:
            return lambda a, rm: to_integer(a, rm, types[0], form)
        case "fcvt" if types[1] in RANGES:
            return lambda a, rm: of_integer(a, rm, types[1], form)
        case "fcvt":
            return lambda a, rm: to_format(a, rm, form, FORMS[types[0]])
    raise KeyError(name)


def value_oracle_of(name: str) -> Callable[[int, int], int]:
    """Of an instruction that does neither: of two slots, or a slot and the immediate."""
    operation, *types = name.split(".")
    form = FORMS[types[0]] if types[0] in FORMS else FORMS["d"]
    match operation:
        case "fsgnj" | "fsgnjn" | "fsgnjx":
            return lambda a, b: inject(operation, a, b, form)
        case "fclass":
            return lambda a, b: classify(a, form)
        case "fli":
            return lambda a, b: immediate(b % 32, form)
        case "fmvh":
            return lambda a, b: as_register(a >> 32, "w")
        case "fmvp":
            return lambda a, b: a % (1 << 32) + (b % (1 << 32) << 32)
        case "fmv" if types[0] == "x":
            bits = {"h": 16, "w": 32, "d": 64}[types[1]]
            return lambda a, b: (((a % (1 << bits)) ^ 1 << bits - 1) - (1 << bits - 1)) % (1 << 64)
        case "fmv":
            narrow = {"h": HALF, "w": SINGLE, "d": DOUBLE}[types[0]]
            return lambda a, b: narrow.box(a % (1 << narrow.width))
    raise KeyError(name)
