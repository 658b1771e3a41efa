"""The hot loop: blocks of micro-operations, linked to one another."""

from typing import Any

import numpy as np

from emu.engine import operations as ops
from emu.engine.access import imm, op_of, rs1, rs2, set_rd
from emu.engine.operations import (
    ADD,
    ADDI,
    ADDIW,
    ADDW,
    AND,
    ANDI,
    BEQ,
    BGE,
    BGEU,
    BLT,
    BLTU,
    BNE,
    CALL,
    CONST,
    JALR,
    JUMP,
    LB,
    LBU,
    LD,
    LEAVE,
    LH,
    LHU,
    LI,
    LW,
    LWU,
    MUL,
    MULH,
    MULHU,
    MULW,
    NEXT,
    OR,
    ORI,
    RESOLVE,
    SB,
    SD,
    SH,
    SLL,
    SLLI,
    SLLIW,
    SLLW,
    SLT,
    SLTI,
    SLTIU,
    SLTU,
    SRA,
    SRAI,
    SRAIW,
    SRAW,
    SRL,
    SRLI,
    SRLIW,
    SRLW,
    SUB,
    SUBW,
    SW,
    XOR,
    XORI,
)  # fmt: skip
from emu.engine.slow import slow
from emu.hart.state import (
    ADDRESS_MASK,
    BRANCH_MAP,
    INDIRECT,
    IP,
    JUMP_ENTRIES,
    JUMPS,
    LEFT,
    LEFT_BLOCK,
    RECORD_STEP,
    RECORDS,
    REFS,
    RESOLVING,
    ROWS,
    SLICE_OVER,
    STEP,
    TLB,
    TLB_ENTRIES,
    TRAPPED,
)
from specs.interfaces.ingress import NO_BRANCHES, NO_TARGET
from specs.kernels.memory import (
    load8s,
    load8u,
    load16s,
    load16u,
    load32s,
    load32u,
    load64,
    store8,
    store16,
    store32,
    store64,
)
from specs.kernels.njit import njit
from specs.kernels.words import (
    U0,
    U1,
    U3,
    U7,
    U8,
    U32,
    b2u,
    lt_signed,
    lt_unsigned,
    mulh64,
    mulhu64,
    s64,
    sext32,
    sll64,
    sllw,
    sra64,
    sraw,
    srl64,
    srlw,
    u64,
)

_OP = np.uint64(8)
_TWO_OPS = np.uint64(16)
_WRITE_TAG = np.uint64(8)
_ADDEND = np.uint64(16)
_TAKEN = np.uint64(ops.TAKEN_SLOT)
_FALL = np.uint64(ops.FALL_SLOT)
_REF = np.uint64(ops.REF_SLOT)
_COUNT = np.uint64(ops.COUNT_SLOT)
_LINK = np.uint64(ops.LINK_SLOT)
_ENTRY = np.uint64((TLB_ENTRIES - 1) << 5)
_JUMP_ENTRY = np.uint64((JUMP_ENTRIES - 1) << 4)
# A tag comparison that keeps an access's alignment bits lets only aligned accesses hit: those
# cannot cross a page.
_PAGE = 0xFFFF_FFFF_FFFF_F000
_TAG1 = np.uint64(_PAGE)
_TAG2 = np.uint64(_PAGE | 1)
_TAG4 = np.uint64(_PAGE | 3)
_TAG8 = np.uint64(_PAGE | 7)
_REFERENCE_BEFORE = np.uint64(ops.REFERENCE_BEFORE)
_NO_BRANCHES, _NO_TARGET = np.uint64(NO_BRANCHES), np.uint64(NO_TARGET << 32)
_NOT_TAKEN_CODE = np.uint64(4)
_TAKEN_CODE = np.uint64(5)
_EVEN = np.uint64(0xFFFF_FFFF_FFFF_FFFE)


@njit
def run_slice(cpu: Any) -> Any:
    """Run from micro-operation cpu[IP] until cpu[LEFT] instructions have retired at a block's end,
    or something needs `drive`. Returns which (`state.SLICE_OVER` ...); IP, LEFT, REFS are updated.

    What retires is told by references, or by a passage (`emu.hart.passages`): then a branch is a
    bit of `branch_map`, and an uninferable jump and the 31st branch leave a record.

    An operation that finds no fast way falls out of the chain, to `slow`. The chain is in order of
    frequency: LLVM makes a jump table of the first 42 cases, and another one of the rest.
    """
    registers = u64(cpu.ctypes.data)
    ip = cpu[IP]
    left = s64(cpu[LEFT])
    refs = cpu[REFS]
    step = cpu[STEP]
    rows = cpu[ROWS]
    branch_map = cpu[BRANCH_MAP]
    tlb = cpu[TLB]
    jumps = cpu[JUMPS]
    mask = cpu[ADDRESS_MASK]
    while True:
        op = op_of(ip)
        if op == ADDI:
            set_rd(registers, ip, rs1(registers, ip) + imm(ip))
            ip += _OP
            continue
        elif op == ADD:
            set_rd(registers, ip, rs1(registers, ip) + rs2(registers, ip))
            ip += _OP
            continue
        elif op == LI:
            set_rd(registers, ip, imm(ip))
            ip += _OP
            continue
        elif op == LB:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG1:
                set_rd(registers, ip, load8s(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LH:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG2:
                set_rd(registers, ip, load16s(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LW:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG4:
                set_rd(registers, ip, load32s(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LD:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG8:
                set_rd(registers, ip, load64(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LBU:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG1:
                set_rd(registers, ip, load8u(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LHU:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG2:
                set_rd(registers, ip, load16u(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == LWU:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & _TAG4:
                set_rd(registers, ip, load32u(address + load64(entry + _ADDEND)))
                ip += _OP
                continue
        elif op == SB:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry + _WRITE_TAG) == address & _TAG1:
                store8(address + load64(entry + _ADDEND), rs2(registers, ip))
                ip += _OP
                continue
        elif op == SH:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry + _WRITE_TAG) == address & _TAG2:
                store16(address + load64(entry + _ADDEND), rs2(registers, ip))
                ip += _OP
                continue
        elif op == SW:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry + _WRITE_TAG) == address & _TAG4:
                store32(address + load64(entry + _ADDEND), rs2(registers, ip))
                ip += _OP
                continue
        elif op == SD:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry + _WRITE_TAG) == address & _TAG8:
                store64(address + load64(entry + _ADDEND), rs2(registers, ip))
                ip += _OP
                continue
        elif op == BEQ:
            left -= s64(load32u(ip + _COUNT))
            if rs1(registers, ip) == rs2(registers, ip):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == BNE:
            left -= s64(load32u(ip + _COUNT))
            if rs1(registers, ip) != rs2(registers, ip):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == BLT:
            left -= s64(load32u(ip + _COUNT))
            if lt_signed(rs1(registers, ip), rs2(registers, ip)):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == BGE:
            left -= s64(load32u(ip + _COUNT))
            if not lt_signed(rs1(registers, ip), rs2(registers, ip)):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == BLTU:
            left -= s64(load32u(ip + _COUNT))
            if lt_unsigned(rs1(registers, ip), rs2(registers, ip)):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == BGEU:
            left -= s64(load32u(ip + _COUNT))
            if not lt_unsigned(rs1(registers, ip), rs2(registers, ip)):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
            rows += U1
            if branch_map & U1 == U0:
                refs += step
                if left > 0:
                    continue
                reason = SLICE_OVER
                break
        elif op == JUMP:
            left -= s64(load32u(ip + _COUNT))
            store32(refs, load32u(ip + _REF))
            refs += step
            rows += U1
            ip = load64(ip + _TAKEN)
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == CALL:
            left -= s64(load32u(ip + _COUNT))
            set_rd(registers, ip, load64(ip + _LINK))
            store32(refs, load32u(ip + _REF))
            refs += step
            rows += U1
            ip = load64(ip + _TAKEN)
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == JALR:
            address = (rs1(registers, ip) + imm(ip)) & mask & _EVEN
            entry = jumps + ((address << U3) & _JUMP_ENTRY)
            if load64(entry) != address:
                reason = INDIRECT
                break
            left -= s64(load32u(ip + _COUNT))
            set_rd(registers, ip, load64(ip + _LINK))
            reference = load32u(ip + _REF)
            store32(refs, reference)
            refs += step
            rows += U1
            ip = load64(entry + _OP)
            record = cpu[RECORDS]
            store64(record, reference | branch_map << U32)
            store64(record + U8, rows | load32u(ip - _REFERENCE_BEFORE) << U32)
            cpu[RECORDS] = record + cpu[RECORD_STEP]
            branch_map = _NO_BRANCHES
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == NEXT:
            left -= s64(load32u(ip + _COUNT))
            store32(refs, load32u(ip + _REF))
            refs += step
            rows += U1
            ip = load64(ip + _FALL)
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == ADDIW:
            set_rd(registers, ip, sext32(rs1(registers, ip) + imm(ip)))
            ip += _OP
            continue
        elif op == ADDW:
            set_rd(registers, ip, sext32(rs1(registers, ip) + rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SUB:
            set_rd(registers, ip, rs1(registers, ip) - rs2(registers, ip))
            ip += _OP
            continue
        elif op == SUBW:
            set_rd(registers, ip, sext32(rs1(registers, ip) - rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SLLI:
            set_rd(registers, ip, sll64(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == SRLI:
            set_rd(registers, ip, srl64(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == ANDI:
            set_rd(registers, ip, rs1(registers, ip) & imm(ip))
            ip += _OP
            continue
        elif op == AND:
            set_rd(registers, ip, rs1(registers, ip) & rs2(registers, ip))
            ip += _OP
            continue
        elif op == OR:
            set_rd(registers, ip, rs1(registers, ip) | rs2(registers, ip))
            ip += _OP
            continue
        elif op == XOR:
            set_rd(registers, ip, rs1(registers, ip) ^ rs2(registers, ip))
            ip += _OP
            continue
        elif op == MUL:
            set_rd(registers, ip, rs1(registers, ip) * rs2(registers, ip))
            ip += _OP
            continue
        elif op == MULW:
            set_rd(registers, ip, sext32(rs1(registers, ip) * rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SLLIW:
            set_rd(registers, ip, sllw(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == SRLIW:
            set_rd(registers, ip, srlw(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == SRAIW:
            set_rd(registers, ip, sraw(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == SLTU:
            set_rd(registers, ip, b2u(lt_unsigned(rs1(registers, ip), rs2(registers, ip))))
            ip += _OP
            continue
        elif op == SRAI:
            set_rd(registers, ip, sra64(rs1(registers, ip), imm(ip)))
            ip += _OP
            continue
        elif op == XORI:
            set_rd(registers, ip, rs1(registers, ip) ^ imm(ip))
            ip += _OP
            continue
        elif op == SLL:
            set_rd(registers, ip, sll64(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SRL:
            set_rd(registers, ip, srl64(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SRA:
            set_rd(registers, ip, sra64(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SLLW:
            set_rd(registers, ip, sllw(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SRLW:
            set_rd(registers, ip, srlw(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SRAW:
            set_rd(registers, ip, sraw(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == MULH:
            set_rd(registers, ip, mulh64(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == MULHU:
            set_rd(registers, ip, mulhu64(rs1(registers, ip), rs2(registers, ip)))
            ip += _OP
            continue
        elif op == SLT:
            set_rd(registers, ip, b2u(lt_signed(rs1(registers, ip), rs2(registers, ip))))
            ip += _OP
            continue
        elif op == ORI:
            set_rd(registers, ip, rs1(registers, ip) | imm(ip))
            ip += _OP
            continue
        elif op == SLTI:
            set_rd(registers, ip, b2u(lt_signed(rs1(registers, ip), imm(ip))))
            ip += _OP
            continue
        elif op == SLTIU:
            set_rd(registers, ip, b2u(lt_unsigned(rs1(registers, ip), imm(ip))))
            ip += _OP
            continue
        elif op == CONST:
            set_rd(registers, ip, load64(ip + _OP))
            ip += _TWO_OPS
            continue
        elif op == RESOLVE:
            reason = RESOLVING
            break
        elif op == LEAVE:
            reason = LEFT_BLOCK
            break
        if branch_map & U1 != U0:
            record = cpu[RECORDS]
            store64(record, load32u(refs) | branch_map << U32)
            store64(record + U8, rows | _NO_TARGET)
            cpu[RECORDS] = record + cpu[RECORD_STEP]
            branch_map = _NO_BRANCHES
            refs += step
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        cpu[LEFT] = u64(left)
        if slow(cpu, ip) != 0:
            left = s64(cpu[LEFT])
            reason = TRAPPED
            break
        left = s64(cpu[LEFT])
        ip += _OP
    cpu[IP] = ip
    cpu[LEFT] = u64(left)
    cpu[REFS] = refs
    cpu[ROWS] = rows
    cpu[BRANCH_MAP] = branch_map
    return reason
