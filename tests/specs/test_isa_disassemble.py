"""Disassembly against objdump, whose text is stored in `objdump-*.txt`.

Made with GNU objdump 2.40 (`riscv64-unknown-elf-objdump -d`) from the golden programs, or
(`-b`) from random words: address, word, text without symbols and comments, each word once.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.isa.disassemble import ABI_NAMES, disassemble
from specs.isa.encode import encode

HERE = Path(__file__).resolve().parent

#: This objdump prints some instructions with an immediate under the register form's name.
SHORT = {"addi": "add", "addiw": "addw", "andi": "and", "ori": "or", "xori": "xor"}
SHORT |= {"slli": "sll", "srli": "srl", "srai": "sra"}
SHORT |= {"slliw": "sllw", "srliw": "srlw", "sraiw": "sraw"}
SHORT |= {"csrwi": "csrw", "csrsi": "csrs", "csrci": "csrc"}


@pytest.mark.parametrize("xlen", [32, 64])
def test_as_objdump(xlen: int) -> None:
    lines = (HERE / f"objdump-rv{xlen}.txt").read_text().splitlines()
    assert len(lines) > 500
    for line in lines:
        address, word, expected = line.split(" ", 2)
        name, _, rest = disassemble(int(word, 16), int(address, 16), xlen).partition(" ")
        plain = re.sub("0x(?=8000[0-9a-f]{4}$)", "", rest)  # objdump's targets have no 0x
        assert f"{SHORT.get(name, name)} {plain}".rstrip() == expected, line


#: Likewise of bit manipulation.
SHORT_B = {f"{name}i": name for name in ("bclr", "bext", "binv", "bset", "ror")} | {"roriw": "rorw"}


@pytest.mark.parametrize("xlen", [32, 64])
def test_bit_manipulation_as_objdump(xlen: int) -> None:
    """Four random words of each encoding of Zba, Zbb and Zbs, with the tables' names."""
    lines = (HERE / f"objdump-b-rv{xlen}.txt").read_text().splitlines()
    assert len(lines) > 100
    for line in lines:
        address, word, expected = line.split(" ", 2)
        name, _, rest = disassemble(int(word, 16), int(address, 16), xlen).partition(" ")
        assert f"{SHORT_B.get(name, name)} {rest}" == expected, line


CASES = [
    (encode("addi"), "nop"),
    (encode("c.nop"), "nop"),
    (encode("c.li", rd=10, imm=-1), "li a0,-1"),
    (encode("c.mv", rd=10, rs2=11), "mv a0,a1"),
    (encode("c.add", rd=10, rs1=10, rs2=11), "add a0,a0,a1"),
    (encode("c.addi16sp", imm=-64), "addi sp,sp,-64"),
    (encode("c.addi4spn", rd=8, imm=16), "addi s0,sp,16"),
    (encode("c.lui", rd=10, imm=-0x1000), "lui a0,0xfffff"),
    (encode("lui", rd=10, imm=0x12345000), "lui a0,0x12345"),
    (encode("auipc", rd=10, imm=-0x80000000), "auipc a0,0x80000"),
    (encode("c.sdsp", rs2=1, imm=8), "sd ra,8(sp)"),
    (encode("lbu", rd=10, rs1=11, imm=-1), "lbu a0,-1(a1)"),
    (encode("slli", rd=10, rs1=10, imm=63), "slli a0,a0,0x3f"),
    (encode("xori", rd=10, rs1=11, imm=-1), "not a0,a1"),
    (encode("sub", rd=10, rs2=11), "neg a0,a1"),
    (encode("subw", rd=10, rs2=11), "negw a0,a1"),
    (encode("addiw", rd=10, rs1=11), "sext.w a0,a1"),
    (encode("andi", rd=10, rs1=11, imm=255), "zext.b a0,a1"),
    (encode("sltiu", rd=10, rs1=11, imm=1), "seqz a0,a1"),
    (encode("czero.eqz", rd=10, rs1=11, rs2=12), "czero.eqz a0,a1,a2"),
    (encode("czero.nez", rd=10, rs1=11, rs2=12), "czero.nez a0,a1,a2"),
    (encode("sltu", rd=10, rs2=11), "snez a0,a1"),
    (encode("slt", rd=10, rs1=11), "sltz a0,a1"),
    (encode("slt", rd=10, rs2=11), "sgtz a0,a1"),
    (encode("bge", rs2=10, imm=8), "blez a0,0x1008"),
    (encode("bge", rs1=10, imm=8), "bgez a0,0x1008"),
    (encode("blt", rs1=10, imm=-8), "bltz a0,0xff8"),
    (encode("blt", rs2=10, imm=8), "bgtz a0,0x1008"),
    (encode("bltu", rs1=10, rs2=11, imm=8), "bltu a0,a1,0x1008"),
    (encode("c.j", imm=0), "j 0x1000"),
    (encode("jal", rd=1, imm=16), "jal 0x1010"),
    (encode("jal", rd=5, imm=16), "jal t0,0x1010"),
    (encode("jal", imm=-0x2000), "j 0xfffffffffffff000"),
    (encode("c.jr", rs1=1), "ret"),
    (encode("c.jr", rs1=10), "jr a0"),
    (encode("jalr", rs1=10, imm=4), "jr 4(a0)"),
    (encode("c.jalr", rd=1, rs1=10), "jalr a0"),
    (encode("jalr", rd=1, rs1=10, imm=4), "jalr 4(a0)"),
    (encode("jalr", rd=5, rs1=10), "jalr t0,a0"),
    (encode("jalr", rd=5, rs1=10, imm=4), "jalr t0,4(a0)"),
    (encode("csrrs", rd=10, imm=0x300), "csrr a0,mstatus"),
    (encode("csrrw", rs1=10, imm=0x305), "csrw mtvec,a0"),
    (encode("csrrw", rd=10, rs1=11, imm=0x7C0), "csrrw a0,0x7c0,a1"),
    (encode("csrrsi", rs1=8, imm=0x300), "csrsi mstatus,8"),
    (encode("csrrci", rd=10, rs1=8, imm=0x300), "csrrci a0,mstatus,8"),
    (encode("csrrs", rd=10, imm=0xC00), "rdcycle a0"),
    (encode("csrrw", imm=0xC00), "unimp"),
    (0, "unimp"),
    (encode("fence", imm=0xFF), "fence"),
    (encode("fence", imm=0x31), "fence rw,w"),
    (encode("fence", imm=0x833), "fence.tso"),
    (encode("fence", imm=0x010), "pause"),
    (encode("fence.i"), "fence.i"),
    (encode("lr.w", rd=10, rs1=11), "lr.w a0,(a1)"),
    (encode("sc.d", rd=10, rs1=11, rs2=12) | 1 << 25, "sc.d.rl a0,a2,(a1)"),
    (encode("amoadd.w", rd=10, rs1=11, rs2=12) | 1 << 26, "amoadd.w.aq a0,a2,(a1)"),
    (encode("amomaxu.d", rd=10, rs1=11, rs2=12) | 3 << 25, "amomaxu.d.aqrl a0,a2,(a1)"),
    (encode("sfence.vma"), "sfence.vma"),
    (encode("sfence.vma", rs1=10), "sfence.vma a0"),
    (encode("sfence.vma", rs2=10), "sfence.vma zero,a0"),
    (encode("c.ebreak"), "ebreak"),
    (encode("mret"), "mret"),
    (0x0000000B, ".4byte 0x0000000b"),
    (0x8002, ".2byte 0x8002"),
    (0xFFFFFFFF, ".4byte 0xffffffff"),
]


@pytest.mark.parametrize(("word", "text"), CASES, ids=[text for _, text in CASES])
def test_text(word: int, text: str) -> None:
    assert disassemble(word, 0x1000, 64) == text


def test_widths() -> None:
    word = encode("jal", imm=-0x2000)
    assert disassemble(word, 0x1000, 32) == "j 0xfffff000"
    assert disassemble(encode("csrrs", rd=10, imm=0xB80), 0, 32) == "csrr a0,mcycleh"
    assert disassemble(encode("csrrs", rd=10, imm=0xB80), 0, 64) == "csrr a0,0xb80"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 2), st.sampled_from([32, 64]))
def test_any_word_has_a_text(word: int, address: int, xlen: int) -> None:
    text = disassemble(word, address, xlen)
    assert re.fullmatch(r"[a-z0-9.]+( [a-z0-9,().-]+)?", text), text


def test_register_names() -> None:
    assert len(ABI_NAMES) == len(set(ABI_NAMES)) == 32
    names = {1: "ra", 2: "sp", 5: "t0", 8: "s0", 10: "a0", 17: "a7", 18: "s2", 27: "s11", 31: "t6"}
    assert {number: ABI_NAMES[number] for number in names} == names
