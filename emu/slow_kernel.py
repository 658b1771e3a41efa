"""Operations off the hot path: TLB misses, devices, division, atomics, CSRs, and what traps."""

from typing import Any

import numpy as np

from emu.access import (
    div_signed,
    div_unsigned,
    imm,
    load8u,
    load16u,
    load32u,
    load64,
    lt_signed,
    lt_unsigned,
    mulhsu64,
    op_of,
    rem_signed,
    rem_unsigned,
    rs1,
    rs2,
    set_rd,
    sext8,
    sext16,
    store8,
    store16,
    store32,
    store64,
)
from emu.clint import end_slice, in_clint, read_clint, write_clint
from emu.csrs import csr_instruction
from emu.ops import (
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
    REMU,
    REMW,
    SB,
    SC_D,
    SC_W,
    SD,
    SH,
    TVAL_IS_PC,
)  # fmt: skip
from emu.state import (
    ADDRESS_MASK,
    ARENA,
    BLOCK_ENDS,
    CAUSE,
    FIRING,
    GOAL,
    HOST,
    LEFT,
    NO_TAG,
    PAGE_BITS,
    REGION_BYTES,
    REGION_COUNT,
    REGIONS,
    RESERVED,
    SEQUEL,
    SIDE,
    TLB,
    TLB_ENTRIES,
    TLB_ENTRY_BYTES,
    TOHOST,
    TVAL,
)
from emu.triggers import ACCESSES, EXECUTE
from emu.triggers_kernel import fire, matched
from specs.causes import (
    LOAD_ACCESS_FAULT,
    LOAD_ADDRESS_MISALIGNED,
    STORE_ACCESS_FAULT,
    STORE_ADDRESS_MISALIGNED,
)
from specs.compiled import ALL_ONES, U0, U1, U2, U4, b2u, njit, s64, sext32, u64

_U3 = np.uint64(3)
_U8 = np.uint64(8)
_U16 = np.uint64(16)
_U24 = np.uint64(24)
_U32 = np.uint64(32)
_U255 = np.uint64(255)
_LOW = np.uint64(0xFFFF_FFFF)
_INT64_MIN = np.uint64(1 << 63)
_REGION = np.uint64(REGION_BYTES)
_PAGE = np.uint64(0xFFFF_FFFF_FFFF_F000)
_PAGE_BITS = np.uint64(PAGE_BITS)
_PAGE_SIZE = np.uint64(1 << PAGE_BITS)
_ENTRY_MASK = np.uint64(TLB_ENTRIES - 1)
_ENTRY_BYTES = np.uint64(TLB_ENTRY_BYTES)
_NO_TAG = np.uint64(NO_TAG)
_SEQUEL = np.uint64(SEQUEL)
_BLOCK_ENDS = np.uint64(BLOCK_ENDS)
_CONDITIONAL, _ACCESSES = np.uint64(CONDITIONAL), np.uint64(ACCESSES)
_EXECUTE = np.uint64(EXECUTE)

OK, FAULT = 0, 1


@njit
def find_region(cpu: Any, address: Any) -> Any:
    """Host pointer to the region (base, end, host pointer, writable) of an address; 0 if none."""
    region = cpu[REGIONS]
    for _ in range(s64(cpu[REGION_COUNT])):
        if address - load64(region) < load64(region + _U8) - load64(region):
            return region
        region += _REGION
    return U0


@njit
def position(cpu: Any, ip: Any) -> Any:
    """A micro-operation's place in its block: instructions before it (bits 0-7), half-words before
    it (8-15), slots of 8 bytes before it (16-23), log2 of the half-words of the instruction before
    it (24-25), cycles before it (26-37); and, above, the number of its partial block plus 1.
    """
    return load64(ip - cpu[ARENA] + cpu[SIDE])


@njit
def retired_at(cpu: Any, ip: Any) -> Any:
    """Instructions retired before a micro-operation; cpu[LEFT] is as of its block's start."""
    return cpu[GOAL] - cpu[LEFT] + (position(cpu, ip) & _U255)


@njit
def _fault(cpu: Any, cause: Any, tval: Any) -> Any:
    cpu[CAUSE] = u64(cause)
    cpu[TVAL] = tval
    return FAULT


@njit
def _fill_tlb(cpu: Any, region: Any, address: Any) -> Any:
    # A page with tohost is left out for stores: each of them comes here, and is looked at.
    page = address & _PAGE
    writable = load64(region + _U24) != U0 and cpu[TOHOST] & _PAGE != page
    entry = cpu[TLB] + (address >> _PAGE_BITS & _ENTRY_MASK) * _ENTRY_BYTES
    store64(entry, page)
    store64(entry + _U8, page if writable else _NO_TAG)
    store64(entry + _U16, load64(region + _U16) - load64(region))


@njit
def _access(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """A load or store that the TLB did not serve: a miss, misaligned, a device, or a fault."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = _SIZE_OF[op - LB]
    is_store = op >= SB
    region = find_region(cpu, address)
    if region == U0:
        if not in_clint(address, size):
            return _fault(cpu, STORE_ACCESS_FAULT if is_store else LOAD_ACCESS_FAULT, address)
        if is_store:
            write_clint(cpu, address, size, rs2(registers, ip), retired_at(cpu, ip))
            cpu[CAUSE] = _BLOCK_ENDS
            following = op_of(ip + _U8)
            return OK if following == NEXT or following == FIRE else FAULT
        value = read_clint(cpu, address, retired_at(cpu, ip))
    else:
        end = load64(region + _U8)
        if end - address < size:
            # The part within memory is not done either.
            return _fault(cpu, STORE_ACCESS_FAULT if is_store else LOAD_ACCESS_FAULT, end)
        host = address - load64(region) + load64(region + _U16)
        if is_store and load64(region + _U24) == U0:
            return _fault(cpu, s64(STORE_ACCESS_FAULT), address)
        _fill_tlb(cpu, region, address)
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
        value &= _U255
    elif op == LHU:
        value &= np.uint64(0xFFFF)
    elif op == LWU:
        value &= _LOW
    set_rd(registers, ip, value)
    return OK


_SIZE_OF = np.zeros(SD - LB + 1, np.uint64)
for _op, _size in ((LB, 1), (LBU, 1), (LH, 2), (LHU, 2), (LW, 4), (LWU, 4), (LD, 8)):
    _SIZE_OF[_op - LB] = _size
for _op, _size in ((SB, 1), (SH, 2), (SH + 1, 4), (SD, 8)):
    _SIZE_OF[_op - LB] = _size


@njit
def note_store(cpu: Any, address: Any, size: Any) -> Any:
    """Have the host look at tohost, at the end of the block, if a store touched it."""
    tohost = cpu[TOHOST]
    if address < tohost + _U8 and tohost < address + size:
        cpu[HOST] = U1
        end_slice(cpu)


@njit
def _divide(op: Any, a: Any, b: Any) -> Any:
    if op >= DIVW:
        signed = op == DIVW or op == REMW
        a = sext32(a) if signed else a & _LOW
        b = sext32(b) if signed else b & _LOW
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
        product = (a & _LOW) * (b & _LOW)
    else:
        product = a * (b & _LOW)
    return sext32(product >> _U32)


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
    size = _U8 if wide else U4
    is_load = op == LR_W or op == LR_D
    if address & (size - U1) != U0:
        cause = LOAD_ADDRESS_MISALIGNED if is_load else STORE_ADDRESS_MISALIGNED
        return _fault(cpu, cause, address)
    region = find_region(cpu, address)
    if region == U0 or (not is_load and load64(region + _U24) == U0):
        return _fault(cpu, LOAD_ACCESS_FAULT if is_load else STORE_ACCESS_FAULT, address)
    host = address - load64(region) + load64(region + _U16)
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
    size = load8u(ip + _U3)
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
        tval = imm(ip) & _LOW
    return _fault(cpu, s64(load8u(ip + U1)), tval)


@njit
def block_pc(cpu: Any, ip: Any) -> Any:
    """The guest address of the instruction that a micro-operation came from."""
    place = position(cpu, ip)
    start = ip - ((place >> _U16 & _U255) << _U3)
    pc = load64(start - _U8) & ~_SEQUEL
    return (pc + ((place >> _U8 & _U255) << U1)) & cpu[ADDRESS_MASK]
