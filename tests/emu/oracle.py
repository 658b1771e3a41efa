"""What instructions do, in plain Python numbers: a reading of the manual that shares nothing with
the emulator. Operands are unsigned numbers of xlen bits; results may have any sign and more bits.
"""

from collections.abc import Callable


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def div(a: int, b: int, bits: int) -> int:
    if b == 0:
        return -1
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient


def rem(a: int, b: int, bits: int) -> int:
    return a if b == 0 else a - b * div(a, b, bits)


Oracle = Callable[[int, int, int], int]  # operands (unsigned), xlen -> result, any sign


def word_form(oracle: Oracle) -> Oracle:
    return lambda a, b, x: signed(oracle(a & 0xFFFFFFFF, b & 0xFFFFFFFF, 32), 32)


REGISTER: dict[str, Oracle] = {
    "add": lambda a, b, x: a + b,
    "sub": lambda a, b, x: a - b,
    "sll": lambda a, b, x: a << (b % x),
    "srl": lambda a, b, x: a >> (b % x),
    "sra": lambda a, b, x: signed(a, x) >> (b % x),
    "slt": lambda a, b, x: signed(a, x) < signed(b, x),
    "sltu": lambda a, b, x: a < b,
    "xor": lambda a, b, x: a ^ b,
    "or": lambda a, b, x: a | b,
    "and": lambda a, b, x: a & b,
    "mul": lambda a, b, x: a * b,
    "mulh": lambda a, b, x: signed(a, x) * signed(b, x) >> x,
    "mulhu": lambda a, b, x: a * b >> x,
    "mulhsu": lambda a, b, x: signed(a, x) * b >> x,
    "div": lambda a, b, x: div(signed(a, x), signed(b, x), x),
    "divu": lambda a, b, x: a // b if b else -1,
    "rem": lambda a, b, x: rem(signed(a, x), signed(b, x), x),
    "remu": lambda a, b, x: a % b if b else a,
}
ONLY_RV64 = {
    name + "w": word_form(REGISTER[name])
    for name in ("add", "sub", "sll", "srl", "sra", "mul", "div", "divu", "rem", "remu")
}
#: Immediate instructions: the register instruction that does the same, and the immediate's kind.
IMMEDIATE = {
    "addi": ("add", 12),
    "slti": ("slt", 12),
    "sltiu": ("sltu", 12),
    "xori": ("xor", 12),
    "ori": ("or", 12),
    "andi": ("and", 12),
    "slli": ("sll", 0),
    "srli": ("srl", 0),
    "srai": ("sra", 0),
}
IMMEDIATE_RV64 = {
    "addiw": ("addw", 12),
    "slliw": ("sllw", 5),
    "srliw": ("srlw", 5),
    "sraiw": ("sraw", 5),
}

COMPARE: dict[str, Callable[[int, int, int], bool]] = {
    "beq": lambda a, b, x: a == b,
    "bne": lambda a, b, x: a != b,
    "blt": lambda a, b, x: signed(a, x) < signed(b, x),
    "bge": lambda a, b, x: signed(a, x) >= signed(b, x),
    "bltu": lambda a, b, x: a < b,
    "bgeu": lambda a, b, x: a >= b,
}

AMO: dict[str, Callable[[int, int, int], int]] = {
    "amoswap": lambda m, r, x: r,
    "amoadd": lambda m, r, x: m + r,
    "amoxor": lambda m, r, x: m ^ r,
    "amoand": lambda m, r, x: m & r,
    "amoor": lambda m, r, x: m | r,
    "amomin": lambda m, r, x: min(signed(m, x), signed(r, x)),
    "amomax": lambda m, r, x: max(signed(m, x), signed(r, x)),
    "amominu": lambda m, r, x: min(m, r),
    "amomaxu": lambda m, r, x: max(m, r),
}
