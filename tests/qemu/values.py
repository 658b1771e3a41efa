"""Register values that are more often at an edge than chance would have them."""

import random

#: Format of a floating-point number: bits of exponent and of significand.
HALF, SINGLE, DOUBLE = (5, 10), (8, 23), (11, 52)


def integer(rng: random.Random, bits: int = 64) -> int:
    """All ones and zeros, single bits, runs, small and negative numbers, halves that repeat."""
    ones = (1 << bits) - 1
    match rng.randrange(8):
        case 0:
            return rng.choice((0, 1, ones, ones - 1, 1 << bits - 1, (1 << bits - 1) - 1, 2))
        case 1:
            return 1 << rng.randrange(bits)
        case 2:
            return (1 << rng.randrange(bits)) - 1 << rng.randrange(bits) & ones
        case 3:
            return rng.randrange(-64, 64) & ones
        case 4:
            low = rng.choice((0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0, rng.getrandbits(32)))
            return (low | rng.choice((0, 0xFFFFFFFF, 0x7FFFFFFF, rng.getrandbits(32))) << 32) & ones
        case 5:
            return rng.getrandbits(bits) & rng.getrandbits(bits)
        case _:
            return rng.getrandbits(bits)


def _number(rng: random.Random, form: tuple[int, int]) -> int:
    exponent_bits, significand_bits = form
    top, half = (1 << exponent_bits) - 1, (1 << exponent_bits - 1) - 1
    whole = (1 << significand_bits) - 1
    exponent = rng.choice(
        (
            *(0, 0, 1, 2, top, top, top - 1, top - 2, half, half, half + 1, half - 1),
            half + significand_bits + rng.randrange(-3, 4),
            half - significand_bits + rng.randrange(-3, 4),
            rng.choice((half + 8, half + 16, half + 32, half + 64, half + 128))
            + rng.randrange(-2, 2),
            *(rng.randrange(top + 1) for _ in range(6)),
            *(half + rng.randrange(-5, 6) for _ in range(3)),
        )
    )
    significand = rng.choice(
        (
            *(0, 0, 1, whole, whole - 1, 1 << significand_bits - 1),
            (1 << significand_bits - 1) + rng.choice((1, -1)),
            1 << rng.randrange(significand_bits),
            whole ^ (1 << rng.randrange(significand_bits)) - 1,
            whole >> rng.randrange(significand_bits),
            *(rng.randrange(whole + 1) for _ in range(6)),
        )
    )
    exponent = min(max(exponent, 0), top)
    return (
        rng.getrandbits(1) << exponent_bits + significand_bits
        | exponent << significand_bits
        | (significand)
    )


def boxed(rng: random.Random, form: tuple[int, int]) -> int:
    """A number of a format in 64 bits: NaN-boxed, but now and then badly."""
    value, bits = _number(rng, form), sum(form) + 1
    upper = (1 << 64) - (1 << bits)
    match rng.randrange(24):
        case 0:
            upper &= rng.getrandbits(64)
        case 1:
            upper ^= 1 << rng.randrange(bits, 64) if bits < 64 else 0
        case 2:
            upper = 0
    return value | upper


def floating(rng: random.Random, forms: tuple[tuple[int, int], ...]) -> list[int]:
    """The 32 f registers; some are equal, or differ in a bit, so that sums cancel."""
    values: list[int] = []
    for _ in range(32):
        draw = rng.random()
        if values and draw < 0.1:
            values.append(rng.choice(values))
        elif values and draw < 0.2:
            values.append(rng.choice(values) ^ 1 << rng.choice((0, 1, 15, 31, 63)))
        else:
            values.append(boxed(rng, rng.choice(forms)))
    return values
