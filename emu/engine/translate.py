"""From guest code to blocks of micro-operations, and the table of blocks by pc."""

from typing import Any

import numpy as np

from emu.engine.access import op_of
from emu.engine.cycles import CYCLES
from emu.engine.generate import UPPER, VALUE, generated
from emu.engine.operations import (
    ACCESS,
    ACCESS_BYTES_SHIFT,
    BOUNDARY_FOR,
    CALL,
    CONST,
    COUNT_BEFORE,
    EBREAK,
    FALL_SLOT,
    FALL_STUB,
    FIRE,
    FIRST_BEFORE,
    FOR_BRANCH,
    FOR_CHECK,
    FOR_HOST_CALL,
    FOR_LOOP,
    HEADER_BYTES,
    ILLEGAL,
    IS_ADDI,
    JALR,
    JUMP,
    LEAVE,
    LI,
    LINK_SLOT,
    MATCH,
    NEXT,
    REF_SLOT,
    REFERENCE_BEFORE,
    RESOLVE,
    SHAPE,
    TAKEN_SLOT,
    TAKEN_STUB,
    TERMINATOR_BYTES,
    TRAP,
    TVAL_IS_IMM,
    TVAL_IS_PC,
)  # fmt: skip
from emu.hart.csrs import CONTEXT, ENDS_BLOCK
from emu.hart.regions import find_region
from emu.hart.state import (
    ADDRESS_MASK,
    ALIGN_MASK,
    ARENA,
    ARENA_END,
    ARENA_TOP,
    ARMED,
    CSR_KIND,
    FLUSHES,
    HASH,
    HASH_ENTRIES,
    JUMP_ENTRIES,
    JUMPS,
    MARK_CYCLES_SHIFT,
    MARK_TRIGGER_SHIFT,
    MARKED,
    MAX_BLOCK,
    PLACE_CYCLES_SHIFT,
    SEMIHOSTING,
    SEQUEL,
    SIDE,
    SINK,
    SUCCESSORS,
    USED,
    USED_COUNT,
    XLEN,
)
from emu.hart.traps import add_block
from emu.hart.trigger_registers import EXECUTE, LOAD, LOOK, STORE
from emu.hart.triggers import firing
from emu.isa.kinds import Shape
from specs.isa.causes import (
    BREAKPOINT,
    ECALL_FROM_M,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_ACCESS_FAULT,
    INSTRUCTION_ADDRESS_MISALIGNED,
)
from specs.isa.control import classify, sequentially_inferable
from specs.isa.decode import lookup, operands
from specs.kernels.memory import load16u, load32u, load64, store32, store64
from specs.kernels.njit import njit, plain
from specs.kernels.words import U0, U1, U2, U3, U4, U8, U16, U24, U32, s64, sext32, u64
from specs.trace.itype import Itype

shape = plain(Shape)
_EVEN_PC = np.uint64(0xFFFF_FFFF_FFFF_FFFE)
_HEADER = np.uint64(HEADER_BYTES)
_REFERENCE_BEFORE, _COUNT_BEFORE = np.uint64(REFERENCE_BEFORE), np.uint64(COUNT_BEFORE)
_FIRST_BEFORE = np.uint64(FIRST_BEFORE)
_BRANCH = np.uint64(Itype.NONTAKEN_BRANCH)
_BYTES = np.uint64(TERMINATOR_BYTES)
_TAKEN, _FALL = np.uint64(TAKEN_SLOT), np.uint64(FALL_SLOT)
_REF, _LINK = np.uint64(REF_SLOT), np.uint64(LINK_SLOT)
_TAKEN_STUB, _FALL_STUB = np.uint64(TAKEN_STUB), np.uint64(FALL_STUB)
_LARGEST_BLOCK = np.uint64(HEADER_BYTES + 16 * (MAX_BLOCK + 1) + TERMINATOR_BYTES)
_HASH_MASK = np.uint64(HASH_ENTRIES - 1)
_HASH_LIMIT = np.uint64(HASH_ENTRIES // 2)
#: RISC-V unprivileged ISA, "ebreak": slli x0,x0,0x1f; ebreak; srai x0,x0,7.
_ENTRY_MARKER, _EXIT_MARKER = np.uint64(0x01F0_1013), np.uint64(0x4070_5013)
_EBREAK_WORD = 0x0010_0073
_NO_PC = U1  # no jump leads there
_SEQUEL = np.uint64(SEQUEL)
_CONTEXT = np.uint64(CONTEXT)
_MARK_CYCLES, _MARK_TRIGGER = np.uint64(MARK_CYCLES_SHIFT), np.uint64(MARK_TRIGGER_SHIFT)
_PLACE_CYCLES = np.uint64(PLACE_CYCLES_SHIFT)
_LOOK, _EXECUTE, _DATA = np.uint64(LOOK), np.uint64(EXECUTE), np.uint64(LOAD | STORE)
_ACCESS_BYTES = np.uint64(ACCESS_BYTES_SHIFT)
#: Sets of pulses: rows of a load or store at which triggers may fire.
_PULSES = 8

#: np.int64, as all that is passed to kernels: each literal int compiles the callee again.
_NO = np.int64(0)
_LI = np.int64(LI)
_CONST = np.int64(CONST)
_TRAP = np.int64(TRAP)
_MATCH, _FIRE = np.int64(MATCH), np.int64(FIRE)


@njit
def flush(cpu: Any) -> Any:
    """Forget all translations."""
    used = cpu[USED]
    for _ in range(s64(cpu[USED_COUNT])):
        store64(cpu[HASH] + (load32u(used) << U4) + U8, U0)
        used += U4
    cpu[USED_COUNT] = U0
    jump = cpu[JUMPS]
    for _ in range(JUMP_ENTRIES):
        store64(jump, _NO_PC)
        jump += U16
    cpu[ARENA_TOP] = cpu[ARENA]
    cpu[FLUSHES] += U1


@njit
def find(cpu: Any, pc: Any) -> Any:
    """Host pointer to the block's entry in the hash table (pc, ip), or to the free one for it."""
    slot = pc >> U1 & _HASH_MASK
    while True:
        entry = cpu[HASH] + (slot << U4)
        if load64(entry + U8) == U0 or load64(entry) == pc:
            return entry
        slot = (slot + U1) & _HASH_MASK


@njit
def block_at(cpu: Any, operations: Any, pc: Any) -> Any:
    """Host pointer to the first micro-operation of the block at `pc`, translated if need be (which
    may flush all others).
    """
    entry = find(cpu, pc)
    ip = load64(entry + U8)
    if ip != U0:
        return ip
    if cpu[ARENA_END] - cpu[ARENA_TOP] < _LARGEST_BLOCK or cpu[USED_COUNT] >= _HASH_LIMIT:
        flush(cpu)
        entry = find(cpu, pc)
    ip = translate(cpu, operations, pc, s64(MAX_BLOCK))
    store64(entry, pc)
    store64(entry + U8, ip)
    store32(cpu[USED] + (cpu[USED_COUNT] << U2), (entry - cpu[HASH]) >> U4)
    cpu[USED_COUNT] += U1
    return ip


@njit
def short_block(cpu: Any, operations: Any, pc: Any, limit: Any) -> Any:
    """A block of at most `limit` instructions, for once."""
    if cpu[ARENA_END] - cpu[ARENA_TOP] < _LARGEST_BLOCK:
        flush(cpu)
    return translate(cpu, operations, pc, limit)


@njit
def link(cpu: Any, stub: Any, ip: Any) -> Any:
    """Have the successor that came to `stub` go to `ip` from now on, and say so in the table."""
    to_slot = load64(stub) >> U8
    store64(stub - to_slot, ip)
    if cpu[SUCCESSORS] == U0:
        return
    falls = to_slot != _TAKEN_STUB - _TAKEN
    terminator = stub - (_FALL_STUB if falls else _TAKEN_STUB)
    entry = cpu[SUCCESSORS] + (load32u(terminator + _REF) >> U4 << U3)
    if falls and SHAPE[op_of(terminator)] == shape.BRANCH:
        entry += U4
    store32(entry, load32u(ip - _REFERENCE_BEFORE))


@njit
def pc_of(ip: Any) -> Any:
    """The guest address that a successor (a block's start or a RESOLVE stub) stands for."""
    return load64(ip + U8) if op_of(ip) == RESOLVE else load64(ip - U8)


@njit
def _emit(ip: Any, op: Any, rd: Any, first: Any, second: Any, immediate: Any) -> Any:
    registers = u64(rd) << U8 | u64(first) << U16 | u64(second) << U24
    store64(ip, u64(op) | registers | u64(immediate) << U32)


@njit
def _stub(terminator: Any, slot: Any, stub: Any, pc: Any) -> Any:
    store64(terminator + slot, terminator + stub)
    store64(terminator + stub, u64(RESOLVE) | (stub - slot) << U8)
    store64(terminator + stub + U8, pc)


@generated
def _known(op: Any, immediate: Any, pc: Any) -> Any:
    """What an instruction gives that has no source."""
    if op in UPPER:
        return VALUE(immediate, pc)
    return U0


@njit
def _fits32(value: Any) -> Any:
    return sext32(value) == value


@njit
def _word_is(cpu: Any, pc: Any, word: Any) -> Any:
    region = find_region(cpu, pc)
    if region == U0 or load64(region + U8) - pc < U4:
        return False
    return load32u(pc - load64(region) + load64(region + U16)) == word


@njit
def _is_host_call(cpu: Any, pc: Any, word: Any) -> Any:
    """Whether the ebreak at `pc` stands between the marker instructions, none compressed."""
    mask = cpu[ADDRESS_MASK]
    return (
        word == _EBREAK_WORD
        and _word_is(cpu, (pc - U4) & mask, _ENTRY_MARKER)
        and _word_is(cpu, (pc + U4) & mask, _EXIT_MARKER)
    )


@njit
def _is_sequel(cpu: Any, pc: Any, previous: Any) -> Any:
    """Whether `previous`, which retires before, makes the jump at `pc` sequentially inferable."""
    region = find_region(cpu, pc)
    if region == U0 or previous == 0:
        return False
    host = pc - load64(region) + load64(region + U16)
    word = s64(load16u(host))
    if word & 3 == 3:
        if load64(region + U8) - pc < U4:
            return False
        word = s64(load32u(host))
    return sequentially_inferable(previous, word)


@njit
def _place(count: Any, halfwords: Any, slots: Any, last: Any, cycles: Any) -> Any:
    """See `slow_kernel.position`."""
    return count | halfwords << U8 | slots << U16 | last << U24 | cycles << _PLACE_CYCLES


@njit
def translate(cpu: Any, operations: Any, pc: Any, limit: Any) -> Any:
    """Translate the block at `pc`: straight-line code up to a control transfer, an instruction that
    traps, one that needs a boundary after it, the end of the address space, or `limit`
    instructions. `operations`: uint8, by instruction index (`ops.operations`). `pc` may have
    `state.SEQUEL` set. Returns the host pointer to its first micro-operation.
    """
    xlen = s64(cpu[XLEN])
    mask = cpu[ADDRESS_MASK]
    start = cpu[ARENA_TOP] + _HEADER
    side = cpu[SIDE] - cpu[ARENA]
    ip = start
    at = pc & ~_SEQUEL
    cycles = U0
    trigger = U0
    looks = U0
    count = U0
    halfwords = U0
    first = U0
    last = U0
    previous = np.int64(0)
    trap = -1
    tval = np.int64(0)
    tval_kind = TVAL_IS_IMM
    terminator = np.int64(NEXT)
    leave = 0
    code = np.int64(0)
    rd = first_source = second_source = immediate = np.int64(0)
    taken = U0
    sijump = False
    stored = False
    while s64(count) < limit:
        if at == U0 and count != U0:
            break  # address 0 follows the last one, but is no later address of the same block
        if cpu[ARMED] & _EXECUTE != U0:
            fired = firing(cpu, at)
            if fired != U0:
                # An instruction at which a trigger fires is a block of its own.
                if count != U0:
                    break
                trigger, limit = fired & ~_LOOK, 1
                if fired & _LOOK != U0:
                    looks = _EXECUTE
                    store64(ip + side, U0)
                    _emit(ip, _MATCH, s64(looks), _NO, _NO, _NO)
                    ip += U8
        region = find_region(cpu, at)
        if region == U0:
            trap, tval, tval_kind = INSTRUCTION_ACCESS_FAULT, np.int64(0), TVAL_IS_PC
            break
        host = at - load64(region) + load64(region + U16)
        word = s64(load16u(host))
        size = U1
        if word & 3 == 3:
            if load64(region + U8) - at < U4:
                trap, tval, tval_kind = INSTRUCTION_ACCESS_FAULT, np.int64(2), TVAL_IS_PC
                break
            word = s64(load32u(host))
            size = U2
        index = lookup(word, xlen)
        op = np.int64(ILLEGAL)
        if index >= 0:
            op = np.int64(operations[index])
            rd, first_source, second_source, immediate = operands(index, word)
        kind = SHAPE[op]
        writes = False
        if kind == shape.CSR or kind == shape.CSR_WRITE:
            writes = kind == shape.CSR_WRITE or first_source != 0
            number = immediate & 0xFFF
            if cpu[CSR_KIND + number] == U0 or (writes and number >> 10 == 3):
                kind = shape.ILLEGAL
        if kind == shape.ILLEGAL:
            trap, tval, tval_kind = ILLEGAL_INSTRUCTION, word, TVAL_IS_IMM
            break
        if kind == shape.RAISE and op != EBREAK:
            trap, tval, tval_kind = ECALL_FROM_M, np.int64(0), TVAL_IS_IMM
            break
        if op == EBREAK and cpu[SEMIHOSTING] != U0 and _is_host_call(cpu, at, word):
            # A block of its own, which retires nothing but is reported like one that does.
            if count == U0:
                store64(ip + side, _place(U0, U0, (ip - start) >> U3, U0, U0))
                terminator, leave = np.int64(LEAVE), FOR_HOST_CALL
                first = last = U1
                halfwords = U2
                at = (at + U4) & mask
            break
        if op == EBREAK:
            trap, tval, tval_kind = BREAKPOINT, np.int64(0), TVAL_IS_PC
            break
        if kind == shape.JUMP and (u64(immediate) & cpu[ALIGN_MASK]) != U0:
            trap, tval, tval_kind = INSTRUCTION_ADDRESS_MISALIGNED, immediate, TVAL_IS_PC
            break
        access = ACCESS[op]
        if access & cpu[ARMED] & _DATA != U0:
            # So is a load or store that triggers may match.
            if count != U0:
                break
            limit = 1
            if looks == U0:
                store64(ip + side, U0)
                ip += U8
            looks |= access & (U16 - U1)
            _emit(start, _MATCH, s64(looks), first_source, s64(access >> _ACCESS_BYTES), immediate)
        store64(ip + side, _place(count, halfwords, (ip - start) >> U3, last, cycles))
        log_size = size - U1
        if count == U0:
            first = log_size
        last = log_size
        count += U1
        cycles += CYCLES[op]
        halfwords += size
        here = at
        at = (at + (size << U1)) & mask
        to = SINK if rd == 0 else rd
        if kind == shape.BRANCH:
            terminator = op
            taken = (here + u64(immediate)) & mask
            if u64(immediate) & cpu[ALIGN_MASK] != U0:
                terminator, leave = np.int64(LEAVE), FOR_BRANCH
                immediate = op
            break
        if kind == shape.JUMP or kind == shape.INDIRECT:
            _kind, code, _target, _absolute = classify(word, xlen)
            sijump = count == U1 and pc & _SEQUEL != U0
            if previous != 0:
                sijump = sequentially_inferable(previous, word)
            if kind == shape.JUMP:
                terminator = np.int64(JUMP if rd == 0 else CALL)
                taken = (here + u64(immediate)) & mask
                if rd == 0 and immediate == 0 and count == U1:
                    terminator, leave = np.int64(LEAVE), FOR_LOOP
                    immediate = np.int64(looks != U0)
            else:
                terminator = np.int64(JALR)
            break
        if kind == shape.BOUNDARY:
            terminator, leave = np.int64(LEAVE), BOUNDARY_FOR[op]
            _kind, code, _target, _absolute = classify(word, xlen)
            break
        previous = word
        behind_store, stored = stored, kind == shape.STORE
        # Without effect on a register, only memory and CSRs can be affected.
        if kind == shape.FENCE or (rd == 0 and (kind == shape.COMPUTE or kind == shape.UPPER)):
            if behind_store:
                # The block may end behind the store: the operation there has to say where that is.
                _emit(ip, _LI, SINK, _NO, _NO, _NO)
                ip += U8
            continue
        if kind == shape.CSR or kind == shape.CSR_WRITE:
            _emit(ip, op, to, first_source, _NO, immediate & 0xFFF)
            ip += U8
            ends = ENDS_BLOCK[immediate & 0xFFF] or cpu[CSR_KIND + (immediate & 0xFFF)] == _CONTEXT
            if ends and writes:
                terminator, leave = np.int64(LEAVE), FOR_CHECK
                break
            continue
        if kind == shape.UPPER:
            value = _known(op, u64(immediate), here)
            if xlen == 32:
                value = sext32(value)
            if _fits32(value):
                _emit(ip, _LI, to, _NO, _NO, s64(value))
            else:
                _emit(ip, _CONST, to, _NO, _NO, _NO)
                ip += U8
                store64(ip, value)
            ip += U8
            continue
        if IS_ADDI[op] and first_source == 0:
            op = np.int64(LI)
        _emit(ip, op, to, first_source, second_source, immediate)
        ip += U8
    sequel = trap < 0 and terminator == NEXT and _is_sequel(cpu, at, previous)
    if trap >= 0:
        store64(ip + side, _place(count, halfwords, (ip - start) >> U3, last, cycles))
        _emit(ip, _TRAP, trap, tval_kind, _NO, tval)
        ip += U8
        store32(start - _COUNT_BEFORE, count + U1)
    else:
        if trigger != U0:
            cpu[MARKED] += U1
        mark = count | cycles << _MARK_CYCLES | trigger << _MARK_TRIGGER
        at_start = pc & ~_SEQUEL
        index_of_block = add_block(cpu, at_start, halfwords, first, last, u64(sijump), mark)
        if looks != U0:
            rows = looks & _DATA != U0
            if rows:
                for pulses in range(1, _PULSES):
                    fired = mark | u64(pulses) << _MARK_TRIGGER
                    add_block(cpu, at_start, halfwords, first, last, u64(sijump), fired)
            _emit(ip, _FIRE, s64(rows), _NO, _NO, s64(index_of_block))
            ip += U8
            store64(ip + side, _place(U0, U0, (ip - start) >> U3, U0, U0))
        to = SINK if rd == 0 else rd
        if terminator == LEAVE:
            to = leave
        _emit(ip, terminator, to, first_source, second_source, immediate)
        store64(ip + _REF, index_of_block << U4 | u64(code) | count << U32)
        store64(ip + _LINK, sext32(at) if xlen == 32 else at)
        _stub(ip, _TAKEN, _TAKEN_STUB, taken)
        _stub(ip, _FALL, _FALL_STUB, at | _SEQUEL if sequel else at)
        ip += _BYTES
        store32(start - _COUNT_BEFORE, count)
        whole = _BRANCH if SHAPE[terminator] == shape.BRANCH else u64(code)
        store32(start - _REFERENCE_BEFORE, index_of_block << U4 | whole)
    store32(start - _FIRST_BEFORE, first)
    store64(start - U8, pc)
    cpu[ARENA_TOP] = ip
    return start
