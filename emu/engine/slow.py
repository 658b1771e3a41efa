"""Operations off the hot path: TLB misses, devices, division, atomics, CSRs, and what traps."""

from typing import Any

import numpy as np

from emu.devices.clint import in_clint, read_clint, write_clint
from emu.engine.access import imm, op_of, rs1, rs2, set_rd
from emu.engine.generate import ATOMIC, CSR, LOAD, RARE, VALUE, generated
from emu.engine.operations import (
    CONDITIONAL,
    FIRE,
    HAS_IMMEDIATE,
    IS_RARE,
    MATCH,
    NEXT,
    REF_SLOT,
    SAME_VALUE,
    SHAPE,
    SIZE,
    TVAL_IS_PC,
)
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
from emu.isa.kinds import Shape
from specs.isa.causes import (
    LOAD_ACCESS_FAULT,
    LOAD_ADDRESS_MISALIGNED,
    STORE_ACCESS_FAULT,
    STORE_ADDRESS_MISALIGNED,
)
from specs.kernels.memory import load8u, load16u, load32u, load64, store8, store16, store32, store64
from specs.kernels.njit import njit, plain
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
    b2u,
    s64,
    sext32,
    u64,
)

shape = plain(Shape)
_BLOCK_ENDS = np.uint64(BLOCK_ENDS)
_REF = np.uint64(REF_SLOT)
_CONDITIONAL, _ACCESSES = np.uint64(CONDITIONAL), np.uint64(ACCESSES)
_EXECUTE = np.uint64(EXECUTE)


@njit
def _read(host: Any, size: Any) -> Any:
    """The word of `size` bytes at a host address, zero-extended."""
    if size == U1:
        return load8u(host)
    if size == U2:
        return load16u(host)
    if size == U4:
        return load32u(host)
    return load64(host)


@njit
def _write(host: Any, size: Any, value: Any) -> Any:
    if size == U1:
        store8(host, value)
    elif size == U2:
        store16(host, value)
    elif size == U4:
        store32(host, value)
    else:
        store64(host, value)


@generated(once=True)
def _loaded(op: Any, word: Any) -> Any:
    """What a load makes of the word that it finds, zero-extended."""
    if op in LOAD:
        return VALUE(word)
    return U0


@njit
def _load(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """A load that the TLB did not serve: a miss, misaligned, a device, or a fault."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = SIZE[op]
    region = find_region(cpu, address)
    if region != U0:
        end = load64(region + U8)
        if end - address < size:
            return fault(cpu, s64(LOAD_ACCESS_FAULT), end)
        fill_tlb(cpu, region, address)
        word = _read(address - load64(region) + load64(region + U16), size)
    elif in_clint(address, size):
        word = read_clint(cpu, address, retired_at(cpu, ip)) & ALL_ONES >> ((U8 - size) << U3)
    else:
        return fault(cpu, s64(LOAD_ACCESS_FAULT), address)
    set_rd(registers, ip, _loaded(SAME_VALUE[op], word))
    return OK


@njit
def _store(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """As `_load`; where the end of memory cuts it, the part within is not done either."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = SIZE[op]
    value = rs2(registers, ip)
    region = find_region(cpu, address)
    if region != U0:
        end = load64(region + U8)
        if end - address < size:
            return fault(cpu, s64(STORE_ACCESS_FAULT), end)
        if load64(region + U24) == U0:
            return fault(cpu, s64(STORE_ACCESS_FAULT), address)
        fill_tlb(cpu, region, address)
        _write(address - load64(region) + load64(region + U16), size, value)
        note_store(cpu, address, size)
        return OK
    if in_clint(address, size):
        write_clint(cpu, address, size, value, retired_at(cpu, ip))
        cpu[CAUSE] = _BLOCK_ENDS
        following = op_of(ip + U8)
        return OK if following == NEXT or following == FIRE else FAULT
    return fault(cpu, s64(STORE_ACCESS_FAULT), address)


@generated(once=True)
def _computed(op: Any, a: Any, b: Any) -> Any:
    if op in RARE:
        return VALUE(a, b)
    return U0


@njit
def _compute(registers: Any, ip: Any) -> Any:
    """The second loop: from `ip` on, instructions that only compute and are not in the hot loop.
    Returns the first micro-operation that is something else.
    """
    op = op_of(ip)
    while IS_RARE[op]:
        b = imm(ip) if HAS_IMMEDIATE[op] else rs2(registers, ip)
        set_rd(registers, ip, _computed(SAME_VALUE[op], rs1(registers, ip), b))
        ip += U8
        op = op_of(ip)
    return ip


@generated(once=True)
def _combined(op: Any, old: Any, operand: Any) -> Any:
    """What an AMO leaves in memory."""
    if op in ATOMIC:
        return VALUE(old, operand)
    return U0


@generated(once=True)
def _written(op: Any, old: Any, operand: Any) -> Any:
    """What a CSR instruction leaves in the CSR."""
    if op in CSR:
        return VALUE(old, operand)
    return U0


@njit
def _atomic(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """LR, SC and AMOs: on memory only, aligned only."""
    address = rs1(registers, ip) & cpu[ADDRESS_MASK]
    size = SIZE[op]
    kind = SHAPE[op]
    is_load = kind == shape.RESERVE
    if address & (size - U1) != U0:
        cause = LOAD_ADDRESS_MISALIGNED if is_load else STORE_ADDRESS_MISALIGNED
        return fault(cpu, cause, address)
    region = find_region(cpu, address)
    if region == U0 or (not is_load and load64(region + U24) == U0):
        return fault(cpu, LOAD_ACCESS_FAULT if is_load else STORE_ACCESS_FAULT, address)
    host = address - load64(region) + load64(region + U16)
    operand = rs2(registers, ip)
    if kind == shape.CONDITIONAL:
        success = cpu[RESERVED] == address | size >> U2
        cpu[RESERVED] = ALL_ONES
        set_rd(registers, ip, b2u(not success))
        if not success:
            return OK
        new = operand
    else:
        old = load64(host) if size == U8 else sext32(load32u(host))
        if is_load:
            cpu[RESERVED] = address | size >> U2
            set_rd(registers, ip, old)
            return OK
        new = _combined(SAME_VALUE[op], old, operand if size == U8 else sext32(operand))
        set_rd(registers, ip, old)
    _write(host, size, new)
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
def _csr_instruction(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """CSRRW, CSRRS, CSRRC and their immediate forms. The micro-operation: imm is the CSR's address,
    rs1 the register or immediate. The translator checked access.
    """
    retired = retired_at(cpu, ip)
    address = s64(imm(ip))
    field = load8u(ip + U2)
    operand = field if HAS_IMMEDIATE[op] else rs1(registers, ip)
    if cpu[XLEN] == U32:
        operand &= LOW32
    old = read_csr(cpu, address, retired)
    if field != U0 or SHAPE[op] == shape.CSR_WRITE:
        write_csr(cpu, address, _written(SAME_VALUE[op], old, operand), retired)
    set_rd(registers, ip, sext32(old) if cpu[XLEN] == U32 else old)


@njit
def _fire(cpu: Any, ip: Any) -> Any:
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


@njit
def _one(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """Execute any other micro-operation. OK or FAULT."""
    kind = SHAPE[op]
    if kind == shape.LOAD:
        return _load(cpu, registers, ip, op)
    if kind == shape.STORE:
        return _store(cpu, registers, ip, op)
    if kind == shape.ATOMIC or kind == shape.RESERVE or kind == shape.CONDITIONAL:
        return _atomic(cpu, registers, ip, op)
    if kind == shape.CSR or kind == shape.CSR_WRITE:
        _csr_instruction(cpu, registers, ip, op)
        return OK
    if op == MATCH:
        return _match(cpu, registers, ip)
    if op == FIRE:
        _fire(cpu, ip)
        return OK
    if load8u(ip + U2) == u64(TVAL_IS_PC):
        tval = (block_pc(cpu, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    else:
        tval = imm(ip) & LOW32
    return fault(cpu, s64(load8u(ip + U1)), tval)


@njit
def slow(cpu: Any, ip: Any) -> Any:
    """Execute the micro-operation at `ip`. Returns that to go on with; 0 where CAUSE and TVAL are
    set (BLOCK_ENDS: it is done, and the block ends behind it: `traps.end_block`).

    cpu[LEFT] is up to date, and may be changed (`end_slice`).
    """
    op = op_of(ip)
    registers = u64(cpu.ctypes.data)
    if IS_RARE[op]:
        return _compute(registers, ip)
    return ip + U8 if _one(cpu, registers, ip, op) == OK else U0
