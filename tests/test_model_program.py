"""The model's instruction decoder, on listings that other people's assemblers made."""

from random import Random

import pytest

from tests.model import assemble
from tests.model.program import (
    BRANCH,
    INFERABLE_JUMP,
    OTHER,
    TRAP_RETURN,
    UNINFERABLE_JUMP,
    Instruction,
    decode,
    from_image,
)

#: From E-Trace 2.0, "Example code and packets" and "Code fragment and transport".
LISTED = [
    (0x80001A84, 0xEF4FF0EF, Instruction(4, INFERABLE_JUMP, 0x80001178, 9)),
    (0x8000118A, 0x8082, Instruction(2, UNINFERABLE_JUMP, 0, 13)),
    (0x800010DC, 0x00A05863, Instruction(4, BRANCH, 0x800010EC, 4)),
    (0x80001116, 0x02F40463, Instruction(4, BRANCH, 0x8000113E, 4)),
    (0x8000111A, 0xC81D, Instruction(2, BRANCH, 0x80001150, 4)),
    (0x8000111E, 0x04E40063, Instruction(4, BRANCH, 0x8000115E, 4)),
    (0x8000121E, 0xC795, Instruction(2, BRANCH, 0x8000124A, 4)),
    (0x80001254, 0xEADFF0EF, Instruction(4, INFERABLE_JUMP, 0x80001100, 9)),
    (0x8000110C, 0xFEDFF0EF, Instruction(4, INFERABLE_JUMP, 0x800010F8, 9)),
    (0x80001110, 0xC115, Instruction(2, BRANCH, 0x80001134, 4)),
    (0x80000194, 0xFAB50CE3, Instruction(4, BRANCH, 0x8000014C, 4)),
    (0x800001A8, 0xFE0310E3, Instruction(4, BRANCH, 0x80000188, 4)),
    (0x800001AC, 0xBFB5, Instruction(2, INFERABLE_JUMP, 0x80000128, 11)),
    (0x80000226, 0xB709, Instruction(2, INFERABLE_JUMP, 0x80000128, 11)),
    (0x800001B0, 0xA805, Instruction(2, INFERABLE_JUMP, 0x800001E0, 11)),
    (0x8000010C, 0x8282, Instruction(2, UNINFERABLE_JUMP, 0, 13)),
    (0x80000154, 0x9282, Instruction(2, UNINFERABLE_JUMP, 0, 12)),
    (0x80001188, 0x6121, Instruction(2, OTHER)),
    (0x80000222, 0x0000, Instruction(2, OTHER)),
    (0x800001E0, 0x342023F3, Instruction(4, OTHER)),
    (0x1000, 0x30200073, Instruction(4, TRAP_RETURN, 0, 3)),
    (0x1000, 0x9002, Instruction(2, OTHER)),  # c.ebreak, not c.jalr x0
    (0x1000, 0x00000073, Instruction(4, OTHER)),
]


@pytest.mark.parametrize(("address", "word", "instruction"), LISTED)
def test_listed_instructions(address: int, word: int, instruction: Instruction) -> None:
    assert decode(word, address, 64) == instruction


def test_c_jal_is_addiw_in_rv64() -> None:
    word = assemble.c_jal(-4)
    assert decode(word, 0x1000, 32) == Instruction(2, INFERABLE_JUMP, 0xFFC, 9)
    assert decode(word, 0x1000, 64) == Instruction(2, OTHER)


def test_offsets() -> None:
    """Every offset that an encoding reaches, both ways."""
    rng = Random(1)
    at = 0x8000_0000
    for offset in range(-256, 256, 2):
        assert decode(assemble.c_branch(1, 9, offset), at, 64).target == at + offset
    for offset in range(-2048, 2048, 2):
        assert decode(assemble.c_j(offset), at, 64).target == at + offset
    for offset in range(-4096, 4096, 2):
        assert decode(assemble.branch(5, 7, 31, offset), at, 64).target == at + offset
    for _ in range(1000):
        offset = rng.randrange(-(1 << 20), 1 << 20, 2)
        assert decode(assemble.jal(1, offset), at, 64).target == at + offset


#: "Jump classification and target inference": rd, rs1 of jalr, itype.
JALR = [
    *((1, rs1, 8) for rs1 in (1, 2, 6, 31)),
    *((5, rs1, 8) for rs1 in (2, 5, 6, 31)),
    *((0, rs1, 10) for rs1 in (2, 6, 31)),
    *((rd, rs1, 13) for rd in (0, 2, 31) for rs1 in (1, 5)),
    (1, 5, 12),
    (5, 1, 12),
    *((rd, rs1, 14) for rd in (2, 31) for rs1 in (2, 6)),
]


@pytest.mark.parametrize(("rd", "rs1", "itype"), JALR)
def test_classification_of_jalr(rd: int, rs1: int, itype: int) -> None:
    word = assemble.jalr(rd, rs1, 8)
    assert decode(word, 0x1000, 32) == Instruction(4, UNINFERABLE_JUMP, 0, itype)


def test_jalr_without_a_register_is_inferable() -> None:
    """ "If the target of a jump is supplied via a constant embedded within the jump opcode"."""
    assert decode(assemble.jalr(0, 0, 0x124), 0x1000, 64).target == 0x124
    assert decode(assemble.jalr(1, 0, -4), 0x1000, 32) == Instruction(
        4, INFERABLE_JUMP, 0xFFFF_FFFC, 9
    )


def test_an_instruction_cut_off_by_the_end_of_the_image() -> None:
    assert sorted(from_image(0x1000, b"\x01\x00\x13\x00", 64)) == [0x1000]
