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


def digits(value: int, bits: int) -> str:
    return f"{value:0{bits}b}"


def rotated(value: int, by: int, bits: int) -> int:
    """To the left."""
    text = digits(value, bits)
    return int(text[by:] + text[:by], 2)


def bit(value: int, place: int, bits: int) -> str:
    return digits(value, bits)[::-1][place]


def with_bit(value: int, place: int, new: str, bits: int) -> int:
    text = digits(value, bits)[::-1]
    return int((text[:place] + new + text[place + 1 :])[::-1], 2)


def product_without_carries(a: int, b: int) -> int:
    """Of two polynomials over the field of two elements."""
    product = 0
    for place, digit in enumerate(f"{b:b}"[::-1]):
        if digit == "1":
            product ^= a << place
    return product


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def hexadecimal(value: int, bits: int) -> str:
    return f"{value:0{bits // 4}x}"


def looked_up(table: int, places: int, bits: int, digit_count: int) -> int:
    """Each element of `places` (some hexadecimal digits, from the right) by that of `table`."""

    def elements(value: int) -> list[str]:
        text = hexadecimal(value, bits)
        return [text[at : at + digit_count] for at in range(0, len(text), digit_count)]

    entries = elements(table)[::-1]
    chosen = (int(place, 16) for place in elements(places))
    zero = "0" * digit_count
    return int("".join(entries[n] if n < len(entries) else zero for n in chosen), 16)


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
    "sh1add": lambda a, b, x: 2 * a + b,
    "sh2add": lambda a, b, x: 4 * a + b,
    "sh3add": lambda a, b, x: 8 * a + b,
    "andn": lambda a, b, x: a - (a & b),
    "orn": lambda a, b, x: -1 - (b - (a & b)),
    "xnor": lambda a, b, x: -1 - (a ^ b),
    "max": lambda a, b, x: max(signed(a, x), signed(b, x)),
    "maxu": lambda a, b, x: max(a, b),
    "min": lambda a, b, x: min(signed(a, x), signed(b, x)),
    "minu": lambda a, b, x: min(a, b),
    "rol": lambda a, b, x: rotated(a, b % x, x),
    "ror": lambda a, b, x: rotated(a, x - b % x, x),
    "bclr": lambda a, b, x: with_bit(a, b % x, "0", x),
    "bset": lambda a, b, x: with_bit(a, b % x, "1", x),
    "binv": lambda a, b, x: with_bit(a, b % x, "10"[int(bit(a, b % x, x))], x),
    "bext": lambda a, b, x: int(bit(a, b % x, x)),
    "czero.eqz": lambda a, b, x: a if b else 0,
    "czero.nez": lambda a, b, x: 0 if b else a,
    "clmul": lambda a, b, x: product_without_carries(a, b),
    "clmulh": lambda a, b, x: product_without_carries(a, b) >> x,
    "clmulr": lambda a, b, x: product_without_carries(a, b) >> (x - 1),
    "pack": lambda a, b, x: int(hexadecimal(b, x)[x // 8 :] + hexadecimal(a, x)[x // 8 :], 16),
    "packh": lambda a, b, x: b % 256 * 256 + a % 256,
    "xperm8": lambda a, b, x: looked_up(a, b, x, 2),
    "xperm4": lambda a, b, x: looked_up(a, b, x, 1),
}
#: With one operand.
UNARY: dict[str, Oracle] = {
    "clz": lambda a, b, x: len(digits(a, x)) - len(digits(a, x).lstrip("0")),
    "ctz": lambda a, b, x: len(digits(a, x)) - len(digits(a, x).rstrip("0")),
    "cpop": lambda a, b, x: digits(a, x).count("1"),
    "sext.b": lambda a, b, x: signed(a, 8),
    "sext.h": lambda a, b, x: signed(a, 16),
    "zext.h": lambda a, b, x: a % 65536,
    "rev8": lambda a, b, x: int.from_bytes(a.to_bytes(x // 8, "little"), "big"),
    "orc.b": lambda a, b, x: int.from_bytes(
        bytes(255 if byte else 0 for byte in a.to_bytes(x // 8, "little")), "little"
    ),
    "brev8": lambda a, b, x: int(
        "".join(digits(byte, 8)[::-1] for byte in a.to_bytes(x // 8, "big")), 2
    ),
}
ONLY_RV64 = {
    name + "w": word_form(REGISTER[name])
    for name in (
        *("add", "sub", "sll", "srl", "sra", "mul", "div", "divu", "rem", "remu"),
        *("rol", "ror", "pack"),
    )
} | {
    "add.uw": lambda a, b, x: a % (1 << 32) + b,
    "sh1add.uw": lambda a, b, x: a % (1 << 32) * 2 + b,
    "sh2add.uw": lambda a, b, x: a % (1 << 32) * 4 + b,
    "sh3add.uw": lambda a, b, x: a % (1 << 32) * 8 + b,
}
#: With one operand, on RV32 alone.
UNARY_RV32: dict[str, Oracle] = {
    "zip": lambda a, b, x: int("".join(map("".join, zip(*halves(digits(a, x)), strict=True))), 2),
    "unzip": lambda a, b, x: int(digits(a, x)[::2] + digits(a, x)[1::2], 2),
}
UNARY_RV64 = {name + "w": word_form(UNARY[name]) for name in ("clz", "ctz", "cpop")}
MAY_BE: dict[str, Oracle] = dict.fromkeys(
    [*(f"mop.r.{n}" for n in range(32)), *(f"mop.rr.{n}" for n in range(8))], lambda a, b, x: 0
)
#: What an immediate instruction does that has no register instruction beside it.
ONLY_IMMEDIATE: dict[str, Oracle] = {"slli.uw": lambda a, b, x: a % (1 << 32) << b}
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
    "rori": ("ror", 0),
    "bclri": ("bclr", 0),
    "bseti": ("bset", 0),
    "binvi": ("binv", 0),
    "bexti": ("bext", 0),
}
IMMEDIATE_RV64 = {
    "addiw": ("addw", 12),
    "slliw": ("sllw", 5),
    "srliw": ("srlw", 5),
    "sraiw": ("sraw", 5),
    "roriw": ("rorw", 5),
    "slli.uw": ("slli.uw", 0),
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


#: What a name of the assembly is called in the tables, on RV32.
RV32_NAMES = {"zext.h": "zext.h.rv32", "rev8": "rev8.rv32"}


def oracle_of(name: str) -> tuple[Oracle, int]:
    """What an instruction that only computes does; and of its immediate: the bits (signed if they
    are 12; 0: log2 xlen), or -1 if it has none.
    """
    base, bits = (IMMEDIATE | IMMEDIATE_RV64).get(name, (name, -1))
    every = REGISTER | ONLY_RV64 | UNARY | UNARY_RV32 | UNARY_RV64 | ONLY_IMMEDIATE | MAY_BE
    return every[base], bits
