"""Operations off the hot path: TLB misses, devices, division, atomics, CSRs, and what traps."""

from typing import Any

import numpy as np

from emu.devices.clint import in_clint, read_clint, write_clint
from emu.engine.access import imm, op_of, rs1, rs2, set_rd
from emu.engine.operations import (
    AMOADD_D,
    AMOADD_W,
    AMOAND_W,
    AMOMAX_W,
    AMOMIN_W,
    AMOMINU_W,
    AMOOR_W,
    AMOSWAP_W,
    AMOXOR_W,
    CONDITIONAL,
    CSR,
    DIV,
    DIVU,
    DIVW,
    FIRE,
    LB,
    LBU,
    LD,
    LH,
    LHU,
    LR_D,
    LR_W,
    LW,
    LWU,
    MATCH,
    MULH_32,
    MULHSU,
    MULHU_32,
    NEXT,
    REF_SLOT,
    REMU,
    REMW,
    SB,
    SC_D,
    SC_W,
    SD,
    SH,
    TVAL_IS_PC,
)  # fmt: skip
from emu.hart.csrs import read_csr, write_csr
from emu.hart.faults import FAULT, OK, fault
from emu.hart.places import block_pc, retired_at
from emu.hart.regions import fill_tlb, find_region, note_store
from emu.hart.state import (
    ADDRESS_MASK,
    BLOCK_ENDS,
    CAUSE,
    FIRING,
    MARKED,
    RESERVED,
    XLEN,
)
from emu.hart.trigger_registers import ACCESSES, EXECUTE
from emu.hart.triggers import _hit, matched
from specs.isa.causes import (
    LOAD_ACCESS_FAULT,
    LOAD_ADDRESS_MISALIGNED,
    STORE_ACCESS_FAULT,
    STORE_ADDRESS_MISALIGNED,
)
from specs.kernels.memory import load8u, load16u, load32u, load64, store8, store16, store32, store64
from specs.kernels.njit import njit
from specs.kernels.words import (
    ALL_ONES,
    LOW32,
    U0,
    U1,
    U2,
    U3,
    U4,
    U7,
    U8,
    U16,
    U24,
    U32,
    U255,
    b2u,
    div_signed,
    div_unsigned,
    lt_signed,
    lt_unsigned,
    mulhsu64,
    rem_signed,
    rem_unsigned,
    s64,
    sext8,
    sext16,
    sext32,
    u64,
)

_INT64_MIN = np.uint64(1 << 63)
_BLOCK_ENDS = np.uint64(BLOCK_ENDS)
_REF = np.uint64(REF_SLOT)
_CONDITIONAL, _ACCESSES = np.uint64(CONDITIONAL), np.uint64(ACCESSES)
_EXECUTE = np.uint64(EXECUTE)


@njit
def _access(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """A load or store that the TLB did not serve: a miss, misaligned, a device, or a fault."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = _SIZE_OF[op - LB]
    is_store = op >= SB
    region = find_region(cpu, address)
    if region == U0:
        if not in_clint(address, size):
            return fault(cpu, STORE_ACCESS_FAULT if is_store else LOAD_ACCESS_FAULT, address)
        if is_store:
            write_clint(cpu, address, size, rs2(registers, ip), retired_at(cpu, ip))
            cpu[CAUSE] = _BLOCK_ENDS
            following = op_of(ip + U8)
            return OK if following == NEXT or following == FIRE else FAULT
        value = read_clint(cpu, address, retired_at(cpu, ip))
    else:
        end = load64(region + U8)
        if end - address < size:
            # The part within memory is not done either.
            return fault(cpu, STORE_ACCESS_FAULT if is_store else LOAD_ACCESS_FAULT, end)
        host = address - load64(region) + load64(region + U16)
        if is_store and load64(region + U24) == U0:
            return fault(cpu, s64(STORE_ACCESS_FAULT), address)
        fill_tlb(cpu, region, address)
        if is_store:
            value = rs2(registers, ip)
            if op == SB:
                store8(host, value)
            elif op == SH:
                store16(host, value)
            elif op == SD:
                store64(host, value)
            else:
                store32(host, value)
            note_store(cpu, address, size)
            return OK
        if size == U1:
            value = load8u(host)
        elif size == U2:
            value = load16u(host)
        elif size == U4:
            value = load32u(host)
        else:
            value = load64(host)
    if op == LB:
        value = sext8(value)
    elif op == LH:
        value = sext16(value)
    elif op == LW:
        value = sext32(value)
    elif op == LBU:
        value &= U255
    elif op == LHU:
        value &= np.uint64(0xFFFF)
    elif op == LWU:
        value &= LOW32
    set_rd(registers, ip, value)
    return OK


_SIZE_OF = np.zeros(SD - LB + 1, np.uint64)
for _op, _size in ((LB, 1), (LBU, 1), (LH, 2), (LHU, 2), (LW, 4), (LWU, 4), (LD, 8)):
    _SIZE_OF[_op - LB] = _size
for _op, _size in ((SB, 1), (SH, 2), (SH + 1, 4), (SD, 8)):
    _SIZE_OF[_op - LB] = _size


@njit
def _divide(op: Any, a: Any, b: Any) -> Any:
    if op >= DIVW:
        signed = op == DIVW or op == REMW
        a = sext32(a) if signed else a & LOW32
        b = sext32(b) if signed else b & LOW32
        return sext32(_divide64(DIV + op - DIVW, a, b))
    return _divide64(op, a, b)


@njit
def _divide64(op: Any, a: Any, b: Any) -> Any:
    if b == U0:
        return ALL_ONES if op == DIV or op == DIVU else a
    if op == DIVU:
        return div_unsigned(a, b)
    if op == REMU:
        return rem_unsigned(a, b)
    if b == ALL_ONES:  # also the one overflow
        return U0 - a if op == DIV else U0
    return div_signed(a, b) if op == DIV else rem_signed(a, b)


@njit
def _arithmetic(op: Any, a: Any, b: Any) -> Any:
    if op >= DIV:
        return _divide(op, a, b)
    if op == MULHSU:
        return mulhsu64(a, b)
    # RV32: the high word of a product that fits in 64 bits.
    if op == MULH_32:
        product = a * b
    elif op == MULHU_32:
        product = (a & LOW32) * (b & LOW32)
    else:
        product = a * (b & LOW32)
    return sext32(product >> U32)


@njit
def _combine(op: Any, old: Any, operand: Any) -> Any:
    if op == AMOADD_W:
        return old + operand
    if op == AMOSWAP_W:
        return operand
    if op == AMOXOR_W:
        return old ^ operand
    if op == AMOOR_W:
        return old | operand
    if op == AMOAND_W:
        return old & operand
    if op == AMOMIN_W:
        return old if lt_signed(old, operand) else operand
    if op == AMOMAX_W:
        return operand if lt_signed(old, operand) else old
    if op == AMOMINU_W:
        return old if lt_unsigned(old, operand) else operand
    return operand if lt_unsigned(old, operand) else old


@njit
def _atomic(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """LR, SC and AMOs: on memory only, aligned only."""
    address = rs1(registers, ip) & cpu[ADDRESS_MASK]
    wide = op == LR_D or op == SC_D or op >= AMOADD_D
    size = U8 if wide else U4
    is_load = op == LR_W or op == LR_D
    if address & (size - U1) != U0:
        cause = LOAD_ADDRESS_MISALIGNED if is_load else STORE_ADDRESS_MISALIGNED
        return fault(cpu, cause, address)
    region = find_region(cpu, address)
    if region == U0 or (not is_load and load64(region + U24) == U0):
        return fault(cpu, LOAD_ACCESS_FAULT if is_load else STORE_ACCESS_FAULT, address)
    host = address - load64(region) + load64(region + U16)
    operand = rs2(registers, ip)
    if op == SC_W or op == SC_D:
        success = cpu[RESERVED] == address | size >> U2
        cpu[RESERVED] = ALL_ONES
        set_rd(registers, ip, b2u(not success))
        if not success:
            return OK
        new = operand
    else:
        old = load64(host) if wide else sext32(load32u(host))
        if is_load:
            cpu[RESERVED] = address | size >> U2
            set_rd(registers, ip, old)
            return OK
        if wide:
            new = _combine(op - (AMOADD_D - AMOADD_W), old, operand)
        else:
            new = _combine(op, old, sext32(operand))
        set_rd(registers, ip, old)
    if wide:
        store64(host, new)
    else:
        store32(host, new)
    note_store(cpu, address, size)
    return OK


@njit
def _match(cpu: Any, registers: Any, ip: Any) -> Any:
    """Before an instruction that triggers may match: MATCH."""
    cpu[FIRING] = U0
    accesses = load8u(ip + U1)
    if accesses & _EXECUTE != U0 and matched(cpu, _EXECUTE, block_pc(cpu, ip), U1):
        return FAULT
    accesses &= ~_EXECUTE
    if accesses == U0:
        return OK
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = load8u(ip + U3)
    # An SC that fails stores nothing.
    if accesses & _CONDITIONAL != U0 and cpu[RESERVED] != address | size >> U2:
        return OK
    return FAULT if matched(cpu, accesses & _ACCESSES, address, size) else OK


@njit
def slow(cpu: Any, ip: Any) -> Any:
    """Execute the micro-operation at `ip`. OK, or FAULT with CAUSE and TVAL set (BLOCK_ENDS: it is
    done, and the block ends behind it: `traps_kernel.end_block`).

    cpu[LEFT] is up to date, and may be changed (`end_slice`).
    """
    op = op_of(ip)
    registers = u64(cpu.ctypes.data)
    if op <= SD:
        return _access(cpu, registers, ip, op)
    if op < LR_W:
        set_rd(registers, ip, _arithmetic(op, rs1(registers, ip), rs2(registers, ip)))
        return OK
    if op < CSR:
        return _atomic(cpu, registers, ip, op)
    if op == CSR:
        csr_instruction(cpu, registers, ip, retired_at(cpu, ip))
        return OK
    if op == MATCH:
        return _match(cpu, registers, ip)
    if op == FIRE:
        fire(cpu, ip)
        return OK
    if load8u(ip + U2) == u64(TVAL_IS_PC):
        tval = (block_pc(cpu, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    else:
        tval = imm(ip) & LOW32
    return fault(cpu, s64(load8u(ip + U1)), tval)


@njit
def csr_instruction(cpu: Any, registers: Any, ip: Any, retired: Any) -> Any:
    """CSRRW, CSRRS, CSRRC and their immediate forms. The micro-operation: imm is the CSR's address,
    rs1 the register or immediate, rs2 the low bits of funct3. The translator checked access.
    """
    address = s64(imm(ip))
    field = load8u(ip + U2)
    funct = load8u(ip + np.uint64(3))
    operand = field if funct & U4 != U0 else rs1(registers, ip)
    if cpu[XLEN] == U32:
        operand &= LOW32
    old = read_csr(cpu, address, retired)
    action = s64(u64(funct & np.uint64(3)))
    if action == 1:
        write_csr(cpu, address, operand, retired)
    elif field != U0:
        write_csr(cpu, address, old | operand if action == 2 else old & ~operand, retired)
    set_rd(registers, ip, sext32(old) if cpu[XLEN] == U32 else old)


@njit
def fire(cpu: Any, ip: Any) -> Any:
    """After the instruction: note hits and, for loads and stores, have the terminator behind the
    micro-operation FIRE at `ip` refer to the row with the pulses.
    """
    fired = cpu[FIRING]
    if load8u(ip + U1) != u64(0):
        pulses = fired & U7
        store32(ip + U8 + _REF, (load32u(ip + U4) + pulses) << U4)
        if pulses != U0:
            cpu[MARKED] += U1
    if fired >> U8 != U0:
        _hit(cpu, fired >> U8)
