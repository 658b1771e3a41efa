"""The hot loop: blocks of micro-operations, linked to one another.

This is its template, by the shapes of instructions: `emu.engine.generate`.
"""

from typing import Any

import numpy as np

from emu.engine import operations as ops
from emu.engine.access import imm, op_of, rs1, rs2, set_rd
from emu.engine.generate import (
    BRANCH,
    COMPUTE,
    LOAD,
    LOADED,
    SECOND,
    STORE,
    STORED,
    TAG,
    VALUE,
    generated,
)
from emu.engine.operations import (
    CALL,
    CONST,
    CROSS,
    FREQUENT,
    JALR,
    JUMP,
    LEAVE,
    LI,
    NEXT,
    RESOLVE,
)
from emu.engine.slow import slow
from emu.hart.state import (
    ADDRESS_MASK,
    BRANCH_MAP,
    COOKIE,
    GOAL,
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
    SLICE_OVER,
    STEP,
    TLB,
    TLB_ENTRIES,
    TRAPPED,
)
from specs.interfaces.ingress import NO_BRANCHES, NO_TARGET
from specs.kernels.memory import load32u, load64, store32, store64
from specs.kernels.words import LOW32, U0, U1, U3, U7, U8, U32, s64, u64

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
#: Of a code, to tell branches: they differ in bit 0. From the target of a record to the next one.
_BRANCHES, _TARGET_BEFORE = np.uint64(14), np.uint64(4)
_EVEN = np.uint64(0xFFFF_FFFF_FFFF_FFFE)


@generated(order=FREQUENT)
def run_slice(cpu: Any) -> Any:
    """Run from micro-operation cpu[IP] until cpu[LEFT] instructions have retired at a block's end,
    or something needs `drive`. Returns which (`state.SLICE_OVER` ...); IP, LEFT, REFS are updated.

    What retires is told by references, or by a passage (`emu.hart.passages`): then a branch is a
    bit of `branch_map`, and an uninferable jump and the 31st branch leave a record.

    An operation that finds no fast way falls out of the chain, to `slow`.

    Long: a call, or a state in memory, would cost more than most operations do.
    """
    registers = u64(cpu.ctypes.data)
    ip = cpu[IP]
    left = s64(cpu[LEFT])
    refs = cpu[REFS]
    branch_map = cpu[BRANCH_MAP]
    step = cpu[STEP]
    jumps = cpu[JUMPS]
    cookie = cpu[COOKIE]
    tlb = cpu[TLB]
    mask = cpu[ADDRESS_MASK]
    while True:
        op = op_of(ip)
        if op in COMPUTE:
            set_rd(registers, ip, VALUE(rs1(registers, ip), SECOND))
            ip += _OP
            continue
        elif op == LI:
            set_rd(registers, ip, imm(ip))
            ip += _OP
            continue
        elif op == CONST:
            set_rd(registers, ip, load64(ip + _OP))
            ip += _TWO_OPS
            continue
        elif op in LOAD:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry) == address & TAG:
                set_rd(registers, ip, VALUE(LOADED(address + load64(entry + _ADDEND))))
                ip += _OP
                continue
        elif op in STORE:
            address = (rs1(registers, ip) + imm(ip)) & mask
            entry = tlb + ((address >> U7) & _ENTRY)
            if load64(entry + _WRITE_TAG) == address & TAG:
                STORED(address + load64(entry + _ADDEND), rs2(registers, ip))
                ip += _OP
                continue
        elif op in BRANCH:
            left -= s64(load32u(ip + _COUNT))
            if VALUE(rs1(registers, ip), rs2(registers, ip)):
                store32(refs, load32u(ip + _REF) | _TAKEN_CODE)
                branch_map >>= U1
                ip = load64(ip + _TAKEN)
            else:
                store32(refs, load32u(ip + _REF) | _NOT_TAKEN_CODE)
                branch_map = branch_map >> U1 | _NO_BRANCHES
                ip = load64(ip + _FALL)
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
            ip = load64(ip + _TAKEN)
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == JALR:
            address = (rs1(registers, ip) + imm(ip)) & mask & _EVEN
            entry = jumps + ((address << U3) & _JUMP_ENTRY)
            if load64(entry) != address ^ cookie:
                reason = INDIRECT
                break
            left -= s64(load32u(ip + _COUNT))
            set_rd(registers, ip, load64(ip + _LINK))
            reference = load32u(ip + _REF)
            store32(refs, reference)
            refs += step
            ip = load64(entry + _OP)
            record = cpu[RECORDS]
            retired = cpu[GOAL] - u64(left)
            store64(record, reference | branch_map << U32)
            store64(record + U8, retired & LOW32 | load32u(ip - _REFERENCE_BEFORE) << U32)
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
            ip = load64(ip + _FALL)
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        elif op == RESOLVE:
            reason = RESOLVING
            break
        elif op == LEAVE:
            reason = LEFT_BLOCK
            break
        elif op == CROSS:
            address = load64(ip + _OP)
            entry = jumps + ((address << U3) & _JUMP_ENTRY)
            if load64(entry) != address ^ cookie:
                reason = RESOLVING
                break
            ip = load64(entry + _OP)
            if step == U0:
                record = cpu[RECORDS]
                reference = load32u(refs)
                if branch_map == _NO_BRANCHES and reference & _BRANCHES == _NOT_TAKEN_CODE:
                    # it has a record, of a branch map that is full
                    store32(record - _TARGET_BEFORE, load32u(ip - _REFERENCE_BEFORE))
                else:
                    retired = cpu[GOAL] - u64(left)
                    store64(record, reference | branch_map << U32)
                    store64(record + U8, retired & LOW32 | load32u(ip - _REFERENCE_BEFORE) << U32)
                    cpu[RECORDS] = record + cpu[RECORD_STEP]
                    branch_map = _NO_BRANCHES
            continue
        if branch_map & U1 != U0:
            record = cpu[RECORDS]
            store64(record, load32u(refs) | branch_map << U32)
            store64(record + U8, (cpu[GOAL] - u64(left)) & LOW32 | _NO_TARGET)
            cpu[RECORDS] = record + cpu[RECORD_STEP]
            branch_map = _NO_BRANCHES
            refs += step
            if left > 0:
                continue
            reason = SLICE_OVER
            break
        cpu[LEFT] = u64(left)
        following = slow(cpu, ip)
        left = s64(cpu[LEFT])
        if following == U0:
            reason = TRAPPED
            break
        ip = following
    cpu[IP] = ip
    cpu[LEFT] = u64(left)
    cpu[REFS] = refs
    cpu[BRANCH_MAP] = branch_map
    return reason
