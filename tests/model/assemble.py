"""Encodings of the instructions that generated programs are made of.

Typed from the unprivileged manual's instruction formats; registers are numbers, offsets bytes.
"""


def _pick(value: int, places: tuple[tuple[int, int], ...]) -> int:
    """Bits of an immediate moved to their places: (immediate bit, instruction bit) pairs."""
    return sum((value >> source & 1) << place for source, place in places)


def addi(rd: int, rs1: int, immediate: int) -> int:
    return (immediate & 0xFFF) << 20 | rs1 << 15 | rd << 7 | 0x13


def lui(rd: int, immediate: int) -> int:
    return (immediate & 0xFFFFF) << 12 | rd << 7 | 0x37


def auipc(rd: int, immediate: int) -> int:
    return (immediate & 0xFFFFF) << 12 | rd << 7 | 0x17


def c_addi(rd: int, immediate: int) -> int:
    return (immediate >> 5 & 1) << 12 | rd << 7 | (immediate & 31) << 2 | 0x0001


def c_li(rd: int, immediate: int) -> int:
    return 0x4000 | c_addi(rd, immediate)


def c_lui(rd: int, immediate: int) -> int:
    """`immediate` is 6 bits, not zero; `rd` neither x0 nor x2."""
    return 0x2000 | c_li(rd, immediate)


def branch(funct3: int, rs1: int, rs2: int, offset: int) -> int:
    moved = _pick(offset, ((12, 31), (11, 7)))
    moved |= (offset >> 5 & 0x3F) << 25 | (offset >> 1 & 0xF) << 8
    return moved | rs2 << 20 | rs1 << 15 | funct3 << 12 | 0x63


def jal(rd: int, offset: int) -> int:
    moved = _pick(offset, ((20, 31), (11, 20)))
    moved |= (offset >> 1 & 0x3FF) << 21 | (offset >> 12 & 0xFF) << 12
    return moved | rd << 7 | 0x6F


def jalr(rd: int, rs1: int, immediate: int) -> int:
    return (immediate & 0xFFF) << 20 | rs1 << 15 | rd << 7 | 0x67


def _c_jump(offset: int) -> int:
    order = ((11, 12), (4, 11), (9, 10), (8, 9), (10, 8), (6, 7), (7, 6), (3, 5), (2, 4), (1, 3))
    return _pick(offset, (*order, (5, 2)))


def c_j(offset: int) -> int:
    return 0xA001 | _c_jump(offset)


def c_jal(offset: int) -> int:
    """RV32 only."""
    return 0x2001 | _c_jump(offset)


def c_branch(not_zero: int, rs1: int, offset: int) -> int:
    """c.beqz or c.bnez; `rs1` is one of x8 to x15."""
    order = ((8, 12), (4, 11), (3, 10), (7, 6), (6, 5), (2, 4), (1, 3), (5, 2))
    return 0xC001 | not_zero << 13 | (rs1 - 8) << 7 | _pick(offset, order)


def c_jr(rs1: int) -> int:
    return 0x8002 | rs1 << 7


def c_jalr(rs1: int) -> int:
    return 0x9002 | rs1 << 7


MRET, SRET = 0x30200073, 0x10200073
ECALL, EBREAK, C_EBREAK, C_ILLEGAL = 0x00000073, 0x00100073, 0x9002, 0x0000
