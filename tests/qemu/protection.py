"""PMP: accesses around the borders of regions."""

import random

from tests.qemu import values
from tests.qemu.assembler import word
from tests.qemu.image import DATA, Image
from tests.qemu.privileged import MPP, MPRV, M, S, U, new_image, protection

ENTRIES = 6
_WINDOW = 256
_OFF, _TOR, _NA4, _NAPOT = 0, 8, 16, 24


def region(rng: random.Random, window: int) -> tuple[int, int]:
    """pmpcfg (without L) and pmpaddr of an entry near a window."""
    permissions = rng.choice((0, 1, 3, 4, 5, 7))
    match rng.randrange(8):
        case 0:
            return permissions | _OFF, (window >> 2) + rng.randrange(64)
        case 1 | 2:
            return permissions | _NA4, (window >> 2) + rng.randrange(64)
        case 3 | 4 | 5:
            ones = rng.randrange(6)
            address = (window >> 2) + rng.randrange(64)
            return permissions | _NAPOT, address & ~((2 << ones) - 1) | (1 << ones) - 1
        case _:
            return permissions | _TOR, (window >> 2) + rng.randrange(65)


def access(rng: random.Random, xlen: int, address: int) -> tuple[list[int], dict[int, int]]:
    """A load, store or AMO of x12 at an address."""
    names = ["lb", "lbu", "lh", "lhu", "lw", "sb", "sh", "sw", "amoadd.w", "amoswap.w", "lr.w"]
    if xlen == 64:
        names += ["ld", "lwu", "sd", "ld", "sd", "amoor.d", "amomaxu.d", "lr.d"]
    name = rng.choice(names)
    size = {"b": 1, "h": 2, "w": 4, "d": 8}[name.rstrip("u")[-1]]
    if "." in name or rng.random() < 0.6:
        address &= -size
    operands = {"rd": 10} if not name.startswith("s") else {}
    if name.startswith(("s", "amo")):
        operands["rs2"] = 12
    return [word(name, rs1=11, **operands)], {11: address, 12: values.integer(rng, xlen)}


def _bounds(configuration: int, address: int, before: int) -> tuple[int, int]:
    """First and last byte of a region; `before` is pmpaddr of the entry before it."""
    match configuration & 24:
        case 24:
            ones = (address ^ address + 1) >> 1
            return (address & ~ones) << 2, ((address | ones) << 2) + 3
        case 16:
            return address << 2, (address << 2) + 3
        case 8:
            return before << 2, (address << 2) - 1
    return 0, -1


def _inside(regions: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether a region lies between the first and the last byte of an access."""
    before = 0
    for configuration, address in regions:
        low, high = _bounds(configuration, address, before)
        before = address
        if first < low <= high < last:
            return True
    return False


def image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """Random regions in a window, the rest of memory open; an access or a jump into the window."""
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen)
    data, code = DATA + _WINDOW, DATA + 4 * _WINDOW
    for at in range(code, code + _WINDOW, 4):
        made.write(at, word("ecall"), 4)
    for _ in range(count):
        if made.full:
            break
        priv = rng.choice((U, S, M))
        fetches = priv != M and rng.random() < 0.25
        window = code if fetches else data
        regions = [region(rng, window) for _ in range(ENTRIES)]
        csrs = {f"pmpaddr{n}": address for n, (_, address) in enumerate(regions)}
        # 15 is the rest: code must be there to be run
        csrs |= protection(xlen, [c for c, _ in regions] + [0] * (15 - ENTRIES) + [0x1F])
        at = window + rng.randrange(8, _WINDOW - 48)
        if rng.random() < 0.7:  # at a border
            border = (rng.choice(regions)[1] & ~((1 << rng.randrange(4)) - 1)) << 2
            at = max(border + rng.randrange(-9, 9), window)
        note = f"{'US?M'[priv]} {at - window:#x}"
        if fetches:
            # `known`: not across a border. Between two ecalls there is a reserved 16-bit word.
            csrs["mstatus"] = priv * MPP
            entry = at & -rng.choice((2, 4, 4))
            made.case(f"fetch {note}", [], x={}, csrs=csrs, entry=entry)
            continue
        body, x = access(rng, xlen, at)
        if _inside(regions, x[11], x[11] + 7):  # `known`
            x[11] &= ~7
        if priv == M:
            csrs["inline"] = rng.choice((U, S, M)) * MPP | rng.randrange(2) * MPRV
        else:
            csrs["mstatus"] = priv * MPP
        made.case(f"access {note}", body, x=x, csrs=csrs)
    return made
