"""Disassembly against objdump, whose text is stored in `objdump-*.txt`.

Made with GNU objdump 2.40 (`riscv64-unknown-elf-objdump -d`) from the golden programs, or
(`-b`) from random words: address, word, text without symbols and comments, each word once.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.isa.disassemble import ABI_NAMES, FLOATING_ABI_NAMES, disassemble
from specs.isa.encode import encode
from specs.isa.tables import SELECTIONS, ZCM

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
    (encode("fadd.d", rd=10, rs1=11, rs2=12, imm=0x700), "fadd.d fa0,fa1,fa2"),
    (encode("fadd.s", rd=0, rs1=8, rs2=31, imm=0x100), "fadd.s ft0,fs0,ft11,rtz"),
    (encode("fadd.s", imm=0x500), "fadd.s ft0,ft0,ft0,unknown"),
    (encode("fmadd.h", rd=1, rs1=2, rs2=3, imm=0x71B), "fmadd.h ft1,ft2,ft3,fs11"),
    (encode("fcvt.d.w", rd=10, rs1=10), "fcvt.d.w fa0,a0"),
    (encode("fcvt.d.w", rd=10, rs1=10, imm=0x700), "fcvt.d.w fa0,a0,dyn"),
    (encode("fcvt.w.d", rd=10, rs1=10, imm=0x100), "fcvt.w.d a0,fa0,rtz"),
    (encode("fcvtmod.w.d", rd=10, rs1=10), "fcvtmod.w.d a0,fa0,rtz"),
    (encode("fsgnj.s", rd=10, rs1=11, rs2=11), "fmv.s fa0,fa1"),
    (encode("fsgnjn.h", rd=10, rs1=11, rs2=11), "fneg.h fa0,fa1"),
    (encode("fsgnjx.d", rd=10, rs1=11, rs2=12), "fsgnjx.d fa0,fa1,fa2"),
    (encode("fli.s", rd=10, imm=13), "fli.s fa0,0.625"),
    (encode("fli.d", rd=10, imm=1), "fli.d fa0,min"),
    (encode("c.fsdsp", rs2=8, imm=16), "fsd fs0,16(sp)"),
    (encode("csrrs", rd=10, imm=1), "frflags a0"),
    (encode("csrrw", rs1=10, imm=2), "fsrm a0"),
    (encode("csrrw", rd=11, rs1=10, imm=3), "fscsr a1,a0"),
    (encode("csrrwi", rs1=3, imm=1), "fsflagsi 3"),
    (encode("c.not", rd=8, rs1=8, imm=-1), "not s0,s0"),
    (encode("c.lhu", rd=8, rs1=9, imm=2), "lhu s0,2(s1)"),
    (encode("c.mop.5"), "c.mop.5"),
    (encode("mop.r.31", rd=10, rs1=11), "mop.r.31 a0,a1"),
    (encode("mop.rr.7", rd=10, rs1=11, rs2=12), "mop.rr.7 a0,a1,a2"),
    (encode("amocas.q", rd=10, rs1=11, rs2=12), "amocas.q a0,a2,(a1)"),
    (encode("amocas.b", rd=10, rs1=11, rs2=12) | 1 << 26, "amocas.b.aq a0,a2,(a1)"),
    (encode("cbo.zero", rs1=10), "cbo.zero (a0)"),
    (encode("ori", rs1=10, imm=64 + 3), "prefetch.w 64(a0)"),
    (encode("ori", rs1=10, imm=64 + 2), "ori zero,a0,66"),
    (encode("add", rs2=2), "ntl.p1"),
    (encode("c.add", rs2=5), "ntl.all"),
    (encode("c.mv", rs2=2), "mv zero,sp"),
    (encode("sinval.vma", rs1=10), "sinval.vma a0"),
    (encode("wrs.nto"), "wrs.nto"),
    (0x0000000B, ".4byte 0x0000000b"),
    (0x8002, ".2byte 0x8002"),
    (0xFFFFFFFF, ".4byte 0xffffffff"),
]


@pytest.mark.parametrize(("word", "text"), CASES, ids=[text for _, text in CASES])
def test_text(word: int, text: str) -> None:
    assert disassemble(word, 0x1000, 64) == text


#: Beside Zcmp and Zcmt ("Zcmp", "Zcmt": assembler syntax), on RV32 and RV64.
ZCM_CASES = [
    (encode("cm.push", rs1=2, imm=15), "cm.push {ra,s0-s11},-64", "cm.push {ra,s0-s11},-112"),
    (encode("cm.pop", rs1=2, imm=4 | 3 << 4), "cm.pop {ra},64", "cm.pop {ra},64"),
    (encode("cm.popret", rs1=2, imm=5), "cm.popret {ra,s0},16", "cm.popret {ra,s0},16"),
    (encode("cm.popretz", rs1=2, imm=8), "cm.popretz {ra,s0-s3},32", "cm.popretz {ra,s0-s3},48"),
    (encode("cm.mvsa01", rs1=8, rs2=23), *["cm.mvsa01 s0,s7"] * 2),
    (encode("cm.mva01s", rs1=18, rs2=9), *["cm.mva01s s2,s1"] * 2),
    (encode("cm.jt", imm=31), *["cm.jt 31"] * 2),
    (encode("cm.jalt", imm=255), *["cm.jalt 255"] * 2),
]


@pytest.mark.parametrize(("word", "rv32", "rv64"), ZCM_CASES, ids=[case[1] for case in ZCM_CASES])
def test_what_has_encodings_of_zcd(word: int, rv32: str, rv64: str) -> None:
    assert disassemble(word, 0x1000, 32 | ZCM) == rv32
    assert disassemble(word, 0x1000, 64 | ZCM) == rv64
    assert disassemble(word, 0x1000, 64).startswith("fsd ")


def test_widths() -> None:
    word = encode("jal", imm=-0x2000)
    assert disassemble(word, 0x1000, 32) == "j 0xfffff000"
    assert disassemble(encode("csrrs", rd=10, imm=0xB80), 0, 32) == "csrr a0,mcycleh"
    assert disassemble(encode("csrrs", rd=10, imm=0xB80), 0, 64) == "csrr a0,0xb80"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 2), st.sampled_from(SELECTIONS))
def test_any_word_has_a_text(word: int, address: int, xlen: int) -> None:
    text = disassemble(word, address, xlen)
    assert re.fullmatch(r"[a-z0-9.]+( [a-z0-9,(){}.-]+)?", text), text


def test_register_names() -> None:
    assert len(ABI_NAMES) == len(set(ABI_NAMES)) == 32
    names = {1: "ra", 2: "sp", 5: "t0", 8: "s0", 10: "a0", 17: "a7", 18: "s2", 27: "s11", 31: "t6"}
    assert {number: ABI_NAMES[number] for number in names} == names
    assert len(FLOATING_ABI_NAMES) == len(set(FLOATING_ABI_NAMES)) == 32
    floating = {7: "ft7", 8: "fs0", 10: "fa0", 17: "fa7", 18: "fs2", 27: "fs11", 28: "ft8"}
    assert {number: FLOATING_ABI_NAMES[number] for number in floating} == floating
