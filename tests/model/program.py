"""Just enough of the RISC-V ISA to follow a program: sizes and control transfers.

Typed from the unprivileged manual, chapters "RV32I/RV64I", "C", "Zcmp" and "Zcmt" (instruction
listings), and E-Trace 2.0, "Jump classification and target inference" and, of cm.popret, "Data
Trace Interface".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

OTHER, BRANCH, INFERABLE_JUMP, UNINFERABLE_JUMP, TRAP_RETURN = range(5)


@dataclass(frozen=True)
class Instruction:
    """`kind` is one of the constants above; `target` of branches and inferable jumps, absolute.

    `itype` is what the hart would report (of a branch: not taken). Of lui, c.lui and auipc,
    `constant` is (register, value); of an uninferable jump, `base` and `offset` are rs1 and the
    immediate.
    """

    size: int
    kind: int
    target: int = 0
    itype: int = 0
    constant: tuple[int, int] | None = field(default=None, compare=False)
    base: int = field(default=0, compare=False)
    offset: int = field(default=0, compare=False)

    @property
    def is_updiscon(self) -> bool:
        """Whether the opcode alone does not tell where execution goes."""
        return self.kind in (UNINFERABLE_JUMP, TRAP_RETURN)

    @property
    def is_call(self) -> bool:
        return self.itype in (8, 9)

    @property
    def is_return(self) -> bool:
        return self.itype == 13


Program = dict[int, Instruction]


def _bits(word: int, high: int, low: int) -> int:
    return word >> low & (1 << high - low + 1) - 1


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> width - 1 else value


def _scattered(word: int, places: list[tuple[int, int]], width: int) -> int:
    """An immediate from (instruction bit, immediate bit) pairs, sign-extended from `width`."""
    return _signed(sum((word >> source & 1) << place for source, place in places), width)


_B_IMMEDIATE = [(31, 12), (7, 11), *((25 + i, 5 + i) for i in range(6))]
_B_IMMEDIATE += [(8 + i, 1 + i) for i in range(4)]
_J_IMMEDIATE = [(31, 20), (20, 11), *((12 + i, 12 + i) for i in range(8))]
_J_IMMEDIATE += [(21 + i, 1 + i) for i in range(10)]
#: "offset[11|4|9:8|10|6|7|3:1|5]" in bits 12..2 of C.J and C.JAL.
_CJ_IMMEDIATE = list(zip(range(12, 1, -1), (11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5), strict=True))
#: "offset[8|4:3]" in bits 12..10 and "offset[7:6|2:1|5]" in bits 6..2 of C.BEQZ and C.BNEZ.
_CB_IMMEDIATE = list(zip((12, 11, 10, 6, 5, 4, 3, 2), (8, 4, 3, 7, 6, 2, 1, 5), strict=True))

_LINK = (1, 5)


def _jal_itype(rd: int) -> int:
    if rd in _LINK:
        return 9
    return 11 if rd == 0 else 15


def _jalr_itype(rd: int, rs1: int) -> int:
    if rd in _LINK and rs1 in _LINK and rd != rs1:
        return 12
    if rd in _LINK:
        return 8
    if rs1 in _LINK:
        return 13
    return 10 if rd == 0 else 14


def _jalr(address: int, size: int, rd: int, rs1: int, offset: int, xlen: int) -> Instruction:
    if rs1 == 0:
        # The target is a constant in the opcode: inferable, whatever the decoder's listing says.
        return Instruction(size, INFERABLE_JUMP, offset % (1 << xlen) & ~1, _jal_itype(rd))
    return Instruction(size, UNINFERABLE_JUMP, 0, _jalr_itype(rd, rs1), None, rs1, offset)


def decode(word: int, address: int, xlen: int, zcm: bool = False) -> Instruction:
    """The instruction whose lowest bits are `word` (16 or 32 of them) at `address`; `zcm`: of a
    hart with Zcmp and Zcmt, which has no c.fsdsp."""
    mask = (1 << xlen) - 1
    if zcm and word & 3 == 2 and _bits(word, 15, 13) == 5:
        return _decode_zcm(word)
    if word & 3 != 3:
        return _decode_compressed(word & 0xFFFF, address, xlen)
    opcode = _bits(word, 6, 0)
    if opcode == 0b1100011 and _bits(word, 14, 12) not in (2, 3):
        target = address + _scattered(word, _B_IMMEDIATE, 13) & mask
        return Instruction(4, BRANCH, target, 4)
    if opcode == 0b1101111:
        target = address + _scattered(word, _J_IMMEDIATE, 21) & mask
        return Instruction(4, INFERABLE_JUMP, target, _jal_itype(_bits(word, 11, 7)))
    if opcode == 0b1100111 and _bits(word, 14, 12) == 0:
        rd, rs1 = _bits(word, 11, 7), _bits(word, 19, 15)
        return _jalr(address, 4, rd, rs1, _signed(_bits(word, 31, 20), 12), xlen)
    if opcode in (0b0110111, 0b0010111):  # lui, auipc
        origin = address if opcode == 0b0010111 else 0
        value = origin + _signed(word & 0xFFFFF000, 32) & mask
        return Instruction(4, OTHER, constant=(_bits(word, 11, 7), value))
    if word in (0x30200073, 0x10200073, 0x7B200073):  # mret, sret, dret
        return Instruction(4, TRAP_RETURN, 0, 3)
    return Instruction(4, OTHER)


def _decode_zcm(word: int) -> Instruction:
    if _bits(word, 12, 10) == 0:  # cm.jt; from index 32 on cm.jalt, which links ra
        return Instruction(2, UNINFERABLE_JUMP, 0, 10 if _bits(word, 9, 2) < 32 else 8, None, -1)
    if _bits(word, 12, 8) in (0b11100, 0b11110) and _bits(word, 7, 4) >= 4:
        return Instruction(2, UNINFERABLE_JUMP, 0, 13, None, -1)  # cm.popretz, cm.popret
    return Instruction(2, OTHER)


def _decode_compressed(word: int, address: int, xlen: int) -> Instruction:
    mask = (1 << xlen) - 1
    quadrant, funct3 = word & 3, _bits(word, 15, 13)
    if quadrant == 1 and (funct3 == 5 or (funct3 == 1 and xlen == 32)):  # c.j, c.jal
        target = address + _scattered(word, _CJ_IMMEDIATE, 12) & mask
        return Instruction(2, INFERABLE_JUMP, target, 11 if funct3 == 5 else 9)
    if quadrant == 1 and funct3 in (6, 7):  # c.beqz, c.bnez
        return Instruction(2, BRANCH, address + _scattered(word, _CB_IMMEDIATE, 9) & mask, 4)
    if quadrant == 2 and funct3 == 4 and _bits(word, 6, 2) == 0 and _bits(word, 11, 7) != 0:
        rs1 = _bits(word, 11, 7)  # c.jr, c.jalr
        return _jalr(address, 2, word >> 12 & 1, rs1, 0, xlen)
    if quadrant == 1 and funct3 == 3 and _bits(word, 11, 7) not in (0, 2):  # c.lui
        immediate = _signed(_bits(word, 12, 12) << 5 | _bits(word, 6, 2), 6)
        if immediate != 0:
            return Instruction(2, OTHER, constant=(_bits(word, 11, 7), immediate << 12 & mask))
    return Instruction(2, OTHER)


def sequential_target(before: Instruction, jump: Instruction, xlen: int) -> int | None:
    """Target of an uninferable jump that `before` retired immediately before, if they make it
    sequentially inferable (E-Trace 2.0, "Jump classification and target inference")."""
    if jump.kind != UNINFERABLE_JUMP or before.constant is None:
        return None
    register, value = before.constant
    if register != jump.base:
        return None
    return (value + jump.offset) % (1 << xlen) & ~1


def from_image(base: int, image: bytes, xlen: int, zcm: bool = False) -> Program:
    """Every half-word of a memory image as the start of an instruction."""
    program = {}
    for offset in range(0, len(image) - 1, 2):
        word = int.from_bytes(image[offset : offset + 4], "little")
        if word & 3 == 3 and offset + 4 > len(image):
            continue
        program[base + offset] = decode(word, base + offset, xlen, zcm)
    return program


def lookup(program: Program) -> Callable[[int], Instruction]:
    """`program` as a function that names an address without code."""

    def instruction(address: int) -> Instruction:
        try:
            return program[address]
        except KeyError:
            raise LookupError(f"no code at {address:#x}") from None

    return instruction
