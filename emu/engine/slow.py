"""Operations off the hot path: TLB misses, devices, division, atomics, CSRs, and what traps."""

from typing import Any

import numpy as np

from emu.devices.clint import in_clint, read_clint, write_clint
from emu.engine.access import imm, op_of, rs1, rs2, set_rd
from emu.engine.generate import ATOMIC, CSR, FLOATING, LOAD, RARE, VALUE, generated
from emu.engine.operations import (
    CBO_INVAL,
    CBO_ZERO,
    CONDITIONAL,
    DIRTY,
    FIRE,
    FLOAT,
    FLOAT_NUMBER_SHIFT,
    FLOAT_RM_SHIFT,
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
from emu.hart.csrs import GUARDED, is_denied, make_dirty, read_csr, write_csr
from emu.hart.faults import FAULT, OK, fault
from emu.hart.paging import READ, WRITE, access_fault
from emu.hart.places import block_pc, retired_at
from emu.hart.reach import NO_MEMORY, code, reach
from emu.hart.regions import note_store
from emu.hart.state import (
    ADDRESS_MASK,
    BLOCK_ENDS,
    CAUSE,
    FCSR,
    FIRING,
    HAS,
    HAS_S,
    JVT,
    MARKED,
    MENVCFG,
    PHYSICAL,
    PRIV,
    RESERVED,
    SENVCFG,
    SINK,
    TEMPORARY,
    TVAL,
    XLEN,
    X,
)
from emu.hart.status import CBCFE, CBIE, CBZE
from emu.hart.trigger_registers import ACCESSES, EXECUTE
from emu.hart.triggers import _hit, matched
from emu.isa.kinds import Shape
from specs.isa.causes import (
    ILLEGAL_INSTRUCTION,
    LOAD_ADDRESS_MISALIGNED,
    STORE_ADDRESS_MISALIGNED,
)
from specs.isa.privilege import Privilege
from specs.kernels.memory import load8u, load16u, load32u, load64, store8, store16, store32, store64
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import (
    ALL_ONES,
    LOW32,
    U0,
    U1,
    U2,
    U3,
    U4,
    U5,
    U7,
    U8,
    U15,
    U16,
    U32,
    U255,
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
_PAGE_SIZE, _OFFSET = np.uint64(4096), np.uint64(4095)
#: What `_keep` returns besides NO_MEMORY.
_STORED, _MISSED = np.int64(2), np.int64(3)
_RM, _NUMBER, _CSR = np.uint64(FLOAT_RM_SHIFT), np.uint64(FLOAT_NUMBER_SHIFT), np.uint64(20)
_LOW16 = np.uint64(0xFFFF)
_SINK, _SP = np.uint64(SINK), np.int64(X + 2)
_M, _U = np.uint64(Privilege.M), np.uint64(Privilege.U)
_CBIE, _CBCFE, _CBZE = np.uint64(CBIE), np.uint64(CBCFE), np.uint64(CBZE)
#: Bytes of a cache block (Zic64b).
_BLOCK = np.uint64(64)
#: Registers of rlist 15, as the field counts them.
_ALL_BUT_ONE = np.uint64(12)


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
def _in_page(address: Any, size: Any) -> Any:
    """How many of the `size` bytes at `address` are in its page."""
    return min(size, _PAGE_SIZE - (address & _OFFSET))


@njit
def _low_bytes(size: Any) -> Any:
    return ALL_ONES >> ((U8 - size) << U3)


@njit
def _part(host: Any, size: Any) -> Any:
    """The little-endian number of `size` bytes, 1 to 7, at a host address."""
    value = U0
    for i in range(s64(size)):
        value |= load8u(host + u64(i)) << (u64(i) << U3)
    return value


@njit
def _word(cpu: Any, address: Any, size: Any, retired: Any) -> Any:
    """The `size` bytes at the virtual `address`, which may be in two pages, zero-extended; and OK,
    or FAULT.
    """
    first = _in_page(address, size)
    host = reach(cpu, address, first, READ, U0)
    if host > NO_MEMORY:
        if first == size:
            return _read(host, size), OK
        beyond = (address + first) & cpu[ADDRESS_MASK]
        other = reach(cpu, beyond, size - first, READ, U0)
        if other > NO_MEMORY:
            return _part(host, first) | _part(other, size - first) << (first << U3), OK
        if other == NO_MEMORY:
            access_fault(cpu, READ, beyond)
        return U0, FAULT
    if host == NO_MEMORY:
        place = cpu[PHYSICAL]
        if first == size and in_clint(place, size):
            return read_clint(cpu, place, retired) & _low_bytes(size), OK
        access_fault(cpu, READ, address)
    return U0, FAULT


@spliced
def _load(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """A load that the TLB did not serve: a miss, misaligned, a device, or a fault."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    word, outcome = _word(cpu, address, SIZE[op], retired_at(cpu, ip))
    if outcome == OK:
        set_rd(registers, ip, _loaded(SAME_VALUE[op], word))
    return outcome


@njit
def _keep(cpu: Any, address: Any, size: Any, value: Any) -> Any:
    """Store the low `size` bytes of `value` at the virtual `address`, which may be in two pages: OK
    or FAULT, and nothing is stored. `NO_MEMORY` where it is a device.
    """
    first = _in_page(address, size)
    host = reach(cpu, address, first, WRITE, U0)
    if host <= NO_MEMORY:
        return s64(host) if host == NO_MEMORY and first == size else _missed(cpu, host, address)
    place = cpu[PHYSICAL]
    if first == size:
        _write(host, size, value)
        note_store(cpu, place, size)
        return _STORED
    beyond = (address + first) & cpu[ADDRESS_MASK]
    other = reach(cpu, beyond, size - first, WRITE, U0)
    if other <= NO_MEMORY:
        return _missed(cpu, other, beyond)
    for i in range(s64(size)):
        byte, at = value >> (u64(i) << U3), u64(i)
        store8(host + at if at < first else other + (at - first), byte)
    note_store(cpu, place, first)
    note_store(cpu, cpu[PHYSICAL], size - first)
    return _STORED


@njit
def _missed(cpu: Any, host: Any, address: Any) -> Any:
    """There is no memory for (a part of) a store."""
    if host == NO_MEMORY:
        access_fault(cpu, WRITE, address)
    return _MISSED


@spliced
def _store(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """As `_load`; where it cannot be done as a whole, no part of it is."""
    address = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK]
    size = SIZE[op]
    value = rs2(registers, ip)
    kept = _keep(cpu, address, size, value)
    if kept == _STORED:
        return OK
    if kept == _MISSED:
        return FAULT
    place = cpu[PHYSICAL]
    if in_clint(place, size):
        write_clint(cpu, place, size, value, retired_at(cpu, ip))
        cpu[CAUSE] = _BLOCK_ENDS
        following = op_of(ip + U8)
        return OK if following == NEXT or following == FIRE else FAULT
    return access_fault(cpu, WRITE, address)


@generated(once=True)
def _computed(op: Any, a: Any, b: Any) -> Any:
    if op in RARE:
        return VALUE(a, b)
    return U0


@spliced
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
def _floated(op: Any, a: Any, b: Any, c: Any, rm: Any) -> Any:
    """What a floating-point operation gives: the result and its flags."""
    if op in FLOATING:
        return VALUE(a, b, c, rm)
    return U0, U0


@spliced
def _float(cpu: Any, registers: Any, ip: Any) -> Any:
    """Floating point, from `ip` on. Returns the first micro-operation that is something else."""
    while op_of(ip) == FLOAT:
        what = imm(ip)
        rm = what >> _RM & U7
        if rm == U7:
            rm = cpu[FCSR] >> U5
        third = load64(registers + ((what & U255) << U3))
        number = s64(what >> _NUMBER & _LOW16)
        value, flags = _floated(number, rs1(registers, ip), rs2(registers, ip), third, rm)
        set_rd(registers, ip, value)
        if flags & ~cpu[FCSR] != U0:
            cpu[FCSR] |= flags
            make_dirty(cpu)
        ip += U8
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
def _signed(host: Any, size: Any) -> Any:
    """The word of `size` bytes at a host address, sign-extended."""
    return _extended(_read(host, size), size)


@njit
def _extended(value: Any, size: Any) -> Any:
    """The low `size` bytes of a value, sign-extended."""
    unused = s64((U8 - size) << U3)
    return u64(s64(value << u64(unused)) >> unused)


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
    also = READ if kind == shape.ATOMIC or kind == shape.CAS else U0
    host = reach(cpu, address, size, READ if is_load else WRITE, also)
    if host <= NO_MEMORY:
        if host == NO_MEMORY:
            access_fault(cpu, READ if is_load else WRITE, address)
        return FAULT
    place = cpu[PHYSICAL]
    if kind == shape.CAS:
        _compare_and_swap(cpu, registers, ip, (host, place, size))
        return OK
    operand = rs2(registers, ip)
    if kind == shape.CONDITIONAL:
        success = cpu[RESERVED] == place | size >> U2
        cpu[RESERVED] = ALL_ONES
        set_rd(registers, ip, b2u(not success))
        if not success:
            return OK
        new = operand
    else:
        old = _signed(host, size)
        if is_load:
            cpu[RESERVED] = place | size >> U2
            set_rd(registers, ip, old)
            return OK
        new = _combined(SAME_VALUE[op], old, _extended(operand, size))
        set_rd(registers, ip, old)
    _write(host, size, new)
    note_store(cpu, place, size)
    return OK


@njit
def _low_half(cpu: Any, slot: Any) -> Any:
    """Of a pair of registers, that of even number; a pair from x0 on is 0."""
    return U0 if slot == U0 else cpu[s64(slot)]


@njit
def _high_half(cpu: Any, slot: Any) -> Any:
    return U0 if slot == U0 else cpu[s64(slot + U1)]


@spliced
def _compare_and_swap(cpu: Any, registers: Any, ip: Any, where: Any) -> Any:
    """AMOCAS at `where`: host pointer, physical address, bytes. What is wider than a register is in
    a pair of them."""
    host, place, size = where
    to, source = load8u(ip + U1), load8u(ip + U3)
    to = U0 if to == _SINK else to
    if size <= cpu[XLEN] >> U3:
        old = _signed(host, size)
        if old == _extended(_low_half(cpu, to), size):
            _write(host, size, rs2(registers, ip))
            note_store(cpu, place, size)
        set_rd(registers, ip, old)
        return
    half = size >> U1
    low, high = _signed(host, half), _signed(host + half, half)
    if low == _low_half(cpu, to) and high == _high_half(cpu, to):
        _write(host, half, _low_half(cpu, source))
        _write(host + half, half, _high_half(cpu, source))
        note_store(cpu, place, size)
    if to != U0:
        cpu[s64(to)], cpu[s64(to + U1)] = low, high


@spliced
def _block_is_illegal(cpu: Any, op: Any) -> Any:
    """Whether menvcfg, or senvcfg, has an instruction of Zicbom or Zicboz trap."""
    enabling = _CBCFE
    if op == CBO_ZERO:
        enabling = _CBZE
    elif op == CBO_INVAL:
        enabling = _CBIE
    priv = cpu[PRIV]
    if priv == _M:
        return False
    if cpu[MENVCFG] & enabling == U0:
        return True
    return priv == _U and cpu[HAS] & u64(HAS_S) != U0 and cpu[SENVCFG] & enabling == U0


@spliced
def _cache_block(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """CBO: there is no cache, so that all but cbo.zero only look whether they may."""
    if _block_is_illegal(cpu, op):
        return fault(cpu, s64(ILLEGAL_INSTRUCTION), imm(ip) & LOW32)
    address = rs1(registers, ip) & cpu[ADDRESS_MASK]
    if op != CBO_ZERO:
        # whoever may load or store there, may
        host = reach(cpu, address, U1, READ, U0)
        if host == U0:
            host = reach(cpu, address, U1, WRITE, U0)
        if host == U0:
            return FAULT
        if host == NO_MEMORY and not in_clint(cpu[PHYSICAL], U1):
            return access_fault(cpu, WRITE, address)
        return OK
    block = address & ~(_BLOCK - U1)
    host = reach(cpu, block, _BLOCK, WRITE, U0)
    if host <= NO_MEMORY:
        if host == NO_MEMORY:
            return access_fault(cpu, WRITE, address)
        cpu[TVAL] = address
        return FAULT
    place = cpu[PHYSICAL]
    for i in range(_BLOCK >> U3):
        store64(host + (u64(i) << U3), U0)
    note_store(cpu, place, _BLOCK)
    return OK


@njit
def _saved(cpu: Any, what: Any) -> Any:
    """How many registers are saved (Zcmp, rlist), and by how much the stack pointer moves."""
    count = (what & U15) - U3
    if count == _ALL_BUT_ONE:
        count += U1  # s10 and s11 go together
    bytes_ = count * (cpu[XLEN] >> U3)
    return count, ((bytes_ + U15) & ~U15) + (what >> U4 & U3) * U16


@njit
def _register_of(number: Any) -> Any:
    """Slot of the `number`th register that is saved: ra, s0, s1, s2 ..."""
    if number == 0:
        return 1
    return 7 + number if number < 3 else 15 + number


@spliced
def _push(cpu: Any, registers: Any, ip: Any) -> Any:
    count, down = _saved(cpu, imm(ip))
    size, mask = cpu[XLEN] >> U3, cpu[ADDRESS_MASK]
    at = cpu[_SP]
    for k in range(s64(count)):
        at -= size
        kept = _keep(cpu, at & mask, size, cpu[_register_of(s64(count) - 1 - k)])
        if kept != _STORED:
            return FAULT if kept == _MISSED else access_fault(cpu, WRITE, at & mask)
    cpu[_SP] = _as_register(cpu, cpu[_SP] - down)
    return OK


@spliced
def _pop(cpu: Any, registers: Any, ip: Any) -> Any:
    """Registers are changed when all of them could be read."""
    count, up = _saved(cpu, imm(ip))
    size, mask = cpu[XLEN] >> U3, cpu[ADDRESS_MASK]
    end = cpu[_SP] + up
    retired = retired_at(cpu, ip)
    for change in (False, True):
        at = end
        for k in range(s64(count)):
            at -= size
            word, outcome = _word(cpu, at & mask, size, retired)
            if outcome == FAULT:
                return FAULT
            if change:
                cpu[_register_of(s64(count) - 1 - k)] = _as_register(cpu, word)
    cpu[_SP] = _as_register(cpu, end)
    return OK


@njit
def _as_register(cpu: Any, value: Any) -> Any:
    return sext32(value) if cpu[XLEN] == U32 else value


@spliced
def _table_jump(cpu: Any, ip: Any) -> Any:
    """Fetch the target of a jump through the table of jvt."""
    size = cpu[XLEN] >> U3
    at = cpu[JVT] + imm(ip) * size
    target = U0
    for k in range(s64(size >> U1)):
        host = code(cpu, (at + (u64(k) << U1)) & cpu[ADDRESS_MASK])
        if host == U0:
            return FAULT
        target |= load16u(host) << (u64(k) << U4)
    cpu[TEMPORARY] = target
    return OK


@spliced
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


@spliced
def _csr_instruction(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """CSRRW, CSRRS, CSRRC and their immediate forms. The micro-operation: imm is the instruction,
    rs1 the register or immediate. The translator checked what it can.
    """
    retired = retired_at(cpu, ip)
    word = imm(ip) & LOW32
    address = s64(word >> _CSR)
    if GUARDED[address] and is_denied(cpu, address):
        return fault(cpu, s64(ILLEGAL_INSTRUCTION), word)
    field = load8u(ip + U2)
    operand = field if HAS_IMMEDIATE[op] else rs1(registers, ip)
    if cpu[XLEN] == U32:
        operand &= LOW32
    old = read_csr(cpu, address, retired)
    if field != U0 or SHAPE[op] == shape.CSR_WRITE:
        write_csr(cpu, address, _written(SAME_VALUE[op], old, operand), retired)
    set_rd(registers, ip, sext32(old) if cpu[XLEN] == U32 else old)
    return OK


@spliced
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


@spliced
def _one(cpu: Any, registers: Any, ip: Any, op: Any) -> Any:
    """Execute any other micro-operation. OK or FAULT."""
    kind = SHAPE[op]
    if kind == shape.LOAD:
        return _load(cpu, registers, ip, op)
    if kind == shape.STORE:
        return _store(cpu, registers, ip, op)
    if kind in (shape.ATOMIC, shape.RESERVE, shape.CONDITIONAL, shape.CAS):
        return _atomic(cpu, registers, ip, op)
    if kind == shape.CSR or kind == shape.CSR_WRITE:
        return _csr_instruction(cpu, registers, ip, op)
    if kind == shape.CACHE_BLOCK:
        return _cache_block(cpu, registers, ip, op)
    if kind == shape.PUSH:
        return _push(cpu, registers, ip)
    if kind == shape.POP or kind == shape.POP_RETURN:
        return _pop(cpu, registers, ip)
    if kind == shape.TABLE_JUMP:
        return _table_jump(cpu, ip)
    if op == MATCH:
        return _match(cpu, registers, ip)
    if op == FIRE:
        _fire(cpu, ip)
        return OK
    if op == DIRTY:
        make_dirty(cpu)
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
    if op == FLOAT:
        return _float(cpu, registers, ip)
    if IS_RARE[op]:
        return _compute(registers, ip)
    return ip + U8 if _one(cpu, registers, ip, op) == OK else U0
