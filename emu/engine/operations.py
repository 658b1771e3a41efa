"""Micro-operations of the block-threaded kernel, and which instruction becomes which.

RV32 shares the kernel: its registers are kept sign-extended, so most of its instructions are the
W forms of RV64.
"""

from collections.abc import Container

import numpy as np
import numpy.typing as npt

from emu.hart.trigger_registers import LOAD, STORE
from specs.isa.tables import ENTRIES

#: A successor that is not linked yet (0: zeroed memory is never a valid operation).
RESOLVE = 0

# In the hot loop.
ADD, SUB, SLL, SLT, SLTU, XOR, SRL, SRA, OR, AND = range(1, 11)
ADDW, SUBW, SLLW, SRLW, SRAW = range(11, 16)
ADDI, SLTI, SLTIU, XORI, ORI, ANDI, SLLI, SRLI, SRAI = range(16, 25)
ADDIW, SLLIW, SRLIW, SRAIW = range(25, 29)
MUL, MULH, MULHU, MULW = range(29, 33)
#: rd = imm; rd = the 8 bytes after the micro-operation.
LI, CONST = 33, 34
LB, LH, LW, LD, LBU, LHU, LWU = range(35, 42)
SB, SH, SW, SD = range(42, 46)
# Terminators.
BEQ, BNE, BLT, BGE, BLTU, BGEU = range(46, 52)
JUMP, CALL, JALR, NEXT, LEAVE = range(52, 57)

# In `slow`.
MULHSU, MULH_32, MULHU_32, MULHSU_32 = range(64, 68)
DIV, DIVU, REM, REMU, DIVW, DIVUW, REMW, REMUW = range(68, 76)
LR_W, SC_W, LR_D, SC_D = range(76, 80)
AMOADD_W, AMOSWAP_W, AMOXOR_W, AMOOR_W, AMOAND_W = range(80, 85)
AMOMIN_W, AMOMAX_W, AMOMINU_W, AMOMAXU_W = range(85, 89)
AMOADD_D, AMOSWAP_D, AMOXOR_D, AMOOR_D, AMOAND_D = range(89, 94)
AMOMIN_D, AMOMAX_D, AMOMINU_D, AMOMAXU_D = range(94, 98)
CSR, TRAP = 98, 99
# Before an instruction: which triggers match it (rd: its access, see ACCESS; rs2: bytes). After it:
# fire them (rd: 1, imm is the row of its block without a pulse).
MATCH, FIRE = 100, 101

# Only for the translator: what becomes something else, or nothing.
ILLEGAL, LUI, AUIPC, JAL, FENCE, FENCE_I, ECALL, EBREAK, MRET, WFI = range(112, 122)
CSRRW, CSRRS, CSRRC, CSRRWI, CSRRSI, CSRRCI = range(122, 128)

#: What LEAVE leaves the hot loop for (its rd).
FOR_CHECK, FOR_MRET, FOR_WFI, FOR_FENCE_I, FOR_BRANCH, FOR_HOST_CALL = range(6)
#: A jump to itself (imm: 1 if triggers fire at it, with each round).
FOR_LOOP = 6
#: TRAP's tval (its rs1): the immediate, zero-extended; or the pc plus the immediate.
TVAL_IS_IMM, TVAL_IS_PC = range(2)

# The terminator's layout, in bytes: the micro-operation, its two successors (host pointers),
# its reference (index and, where static, code) and instruction count, its link address, then two
# RESOLVE stubs with their pcs, which the successors point to at first.
TAKEN_SLOT, FALL_SLOT, REF_SLOT, COUNT_SLOT, LINK_SLOT = 8, 16, 24, 28, 32
TAKEN_STUB, FALL_STUB, TERMINATOR_BYTES = 40, 56, 72
#: Before a block's first micro-operation: the reference by which it retires, as
#: `ingress.PASSAGE.first` (32 bits, and as many unused), instruction count and log2 of the first
#: one's half-words (32 bits each), and the pc.
HEADER_BYTES = 24
#: Bytes from there to the first micro-operation.
REFERENCE_BEFORE, COUNT_BEFORE, FIRST_BEFORE, PC_BEFORE = 24, 16, 12, 8

_SAME = {
    "slt": SLT, "sltu": SLTU, "xor": XOR, "or": OR, "and": AND,
    "slti": SLTI, "sltiu": SLTIU, "xori": XORI, "ori": ORI, "andi": ANDI,
    "lui": LUI, "auipc": AUIPC, "jal": JAL, "jalr": JALR,
    "beq": BEQ, "bne": BNE, "blt": BLT, "bge": BGE, "bltu": BLTU, "bgeu": BGEU,
    "lb": LB, "lh": LH, "lw": LW, "lbu": LBU, "lhu": LHU, "sb": SB, "sh": SH, "sw": SW,
    "fence": FENCE, "fence.i": FENCE_I, "ecall": ECALL, "ebreak": EBREAK, "mret": MRET, "wfi": WFI,
    "csrrw": CSRRW, "csrrs": CSRRS, "csrrc": CSRRC,
    "csrrwi": CSRRWI, "csrrsi": CSRRSI, "csrrci": CSRRCI,
    "lr.w": LR_W, "sc.w": SC_W, "amoadd.w": AMOADD_W, "amoswap.w": AMOSWAP_W,
    "amoxor.w": AMOXOR_W, "amoor.w": AMOOR_W, "amoand.w": AMOAND_W, "amomin.w": AMOMIN_W,
    "amomax.w": AMOMAX_W, "amominu.w": AMOMINU_W, "amomaxu.w": AMOMAXU_W,
}  # fmt: skip
_RV64 = {
    "add": ADD, "sub": SUB, "sll": SLL, "srl": SRL, "sra": SRA,
    "addw": ADDW, "subw": SUBW, "sllw": SLLW, "srlw": SRLW, "sraw": SRAW,
    "addi": ADDI, "slli": SLLI, "srli": SRLI, "srai": SRAI,
    "addiw": ADDIW, "slliw": SLLIW, "srliw": SRLIW, "sraiw": SRAIW,
    "ld": LD, "lwu": LWU, "sd": SD,
    "mul": MUL, "mulh": MULH, "mulhu": MULHU, "mulhsu": MULHSU, "mulw": MULW,
    "div": DIV, "divu": DIVU, "rem": REM, "remu": REMU,
    "divw": DIVW, "divuw": DIVUW, "remw": REMW, "remuw": REMUW,
    "lr.d": LR_D, "sc.d": SC_D, "amoadd.d": AMOADD_D, "amoswap.d": AMOSWAP_D,
    "amoxor.d": AMOXOR_D, "amoor.d": AMOOR_D, "amoand.d": AMOAND_D, "amomin.d": AMOMIN_D,
    "amomax.d": AMOMAX_D, "amominu.d": AMOMINU_D, "amomaxu.d": AMOMAXU_D,
}  # fmt: skip
_RV32 = {
    "add": ADDW, "sub": SUBW, "sll": SLLW, "srl": SRLW, "sra": SRAW,
    "addi": ADDIW, "slli": SLLIW, "srli": SRLIW, "srai": SRAIW,
    "mul": MULW, "mulh": MULH_32, "mulhu": MULHU_32, "mulhsu": MULHSU_32,
    "div": DIVW, "divu": DIVUW, "rem": REMW, "remu": REMUW,
}  # fmt: skip


#: An access: LOAD, STORE (as in tdata1), CONDITIONAL for SC, and from bit 4 on its bytes.
CONDITIONAL, ACCESS_BYTES_SHIFT = 8, 4


def _accesses() -> npt.NDArray[np.uint64]:
    table = np.zeros(256, np.uint64)
    sizes = {LB: 1, LBU: 1, LH: 2, LHU: 2, LW: 4, LWU: 4, LD: 8, LR_W: 4, LR_D: 8}
    for op, size in sizes.items():
        table[op] = LOAD | size << ACCESS_BYTES_SHIFT
    for op, size in {SB: 1, SH: 2, SW: 4, SD: 8}.items():
        table[op] = STORE | size << ACCESS_BYTES_SHIFT
    for op, size in {SC_W: 4, SC_D: 8}.items():
        table[op] = STORE | CONDITIONAL | size << ACCESS_BYTES_SHIFT
    table[AMOADD_W : AMOMAXU_W + 1] = LOAD | STORE | 4 << ACCESS_BYTES_SHIFT
    table[AMOADD_D : AMOMAXU_D + 1] = LOAD | STORE | 8 << ACCESS_BYTES_SHIFT
    return table


#: By micro-operation, what it does to memory; 0: nothing.
ACCESS = _accesses()


def operations(xlen: int, allowed: Container[str]) -> npt.NDArray[np.uint8]:
    """Micro-operation by index of `specs.isa` table, ILLEGAL if its extension is not in `allowed`.

    A compressed instruction has the operation of its expansion.
    """
    of = _SAME | (_RV64 if xlen == 64 else _RV32)
    result = np.full(len(ENTRIES), ILLEGAL, np.uint8)
    for index, entry in enumerate(ENTRIES):
        if entry.extension in allowed and entry.expansion in of:
            result[index] = of[entry.expansion]
    return result
