"""RV32I and RV64I."""

from emu.isa.kinds import Shape, branch, declare, load, register, upper
from specs.kernels.words import (
    b2u,
    lt_signed,
    lt_unsigned,
    sext8,
    sext16,
    sext32,
    sll64,
    sllw,
    sra64,
    sraw,
    srl64,
    srlw,
)


@register("add", "addi")
def add(a, b):
    return a + b


@register("addw", "addiw", rv32="add addi")
def addw(a, b):
    return sext32(a + b)


@register
def sub(a, b):
    return a - b


@register(rv32="sub")
def subw(a, b):
    return sext32(a - b)


@register("sll", "slli")
def sll(a, b):
    return sll64(a, b)


@register("sllw", "slliw", rv32="sll slli")
def sll_w(a, b):
    return sllw(a, b)


@register("srl", "srli")
def srl(a, b):
    return srl64(a, b)


@register("srlw", "srliw", rv32="srl srli")
def srl_w(a, b):
    return srlw(a, b)


@register("sra", "srai")
def sra(a, b):
    return sra64(a, b)


@register("sraw", "sraiw", rv32="sra srai")
def sra_w(a, b):
    return sraw(a, b)


@register("slt", "slti")
def slt(a, b):
    return b2u(lt_signed(a, b))


@register("sltu", "sltiu")
def sltu(a, b):
    return b2u(lt_unsigned(a, b))


@register("xor", "xori")
def xor(a, b):
    return a ^ b


@register("or", "ori")
def or_(a, b):
    return a | b


@register("and", "andi")
def and_(a, b):
    return a & b


@upper
def lui(imm, pc):
    return imm


@upper
def auipc(imm, pc):
    return imm + pc


@load
def lb(word):
    return sext8(word)


@load
def lh(word):
    return sext16(word)


@load
def lw(word):
    return sext32(word)


@load("lbu", "lhu", "lwu", "ld")
def unsigned(word):
    return word


declare(Shape.STORE, "sb", "sh", "sw", "sd")


@branch
def beq(a, b):
    return a == b


@branch
def bne(a, b):
    return a != b


@branch
def blt(a, b):
    return lt_signed(a, b)


@branch
def bge(a, b):
    return not lt_signed(a, b)


@branch
def bltu(a, b):
    return lt_unsigned(a, b)


@branch
def bgeu(a, b):
    return not lt_unsigned(a, b)


declare(Shape.JUMP, "jal")
declare(Shape.INDIRECT, "jalr")
declare(Shape.FENCE, "fence")
declare(Shape.RAISE, "ecall", "ebreak")
