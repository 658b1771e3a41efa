"""From guest code to blocks of micro-operations, and the table of blocks by pc."""

from typing import Any

import numpy as np

from emu.engine.access import op_of
from emu.engine.cycles import CYCLES
from emu.engine.generate import UPPER, VALUE, generated
from emu.engine.operations import (
    ACCESS,
    ACCESS_BYTES_SHIFT,
    ADD,
    BOUNDARY_FOR,
    CALL,
    CM_JALT,
    CM_MVSA01,
    CM_POPRETZ,
    CONST,
    COUNT_BEFORE,
    CROSS,
    CROSSES_BEFORE,
    DIRTY,
    EBREAK,
    FALL_SLOT,
    FALL_STUB,
    FIRE,
    FIRST_BEFORE,
    FIRST_FLOATING,
    FLOAT,
    FLOAT_NUMBER_SHIFT,
    FLOAT_RM_SHIFT,
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
    LEVEL_FOR,
    LI,
    LINK_SLOT,
    MATCH,
    NEEDS_FLOATING,
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
    WFI,
)  # fmt: skip
from emu.hart.contents import see_code
from emu.hart.csrs import ENDS_BLOCK, is_floating
from emu.hart.modes import forget_jumps
from emu.hart.reach import code
from emu.hart.state import (
    ADDRESS_MASK,
    ALIGN_MASK,
    ARENA,
    ARENA_END,
    ARENA_TOP,
    ARMED,
    CAUSE,
    CODE_ROWS,
    CONTEXT_CSR,
    COOKIE,
    CSR_KIND,
    FLUSHES,
    FS_CLEAN,
    FS_OFF,
    HAS,
    HAS_S,
    HASH,
    HASH_ENTRIES,
    JUMP_ENTRIES,
    JUMPS,
    MARK_CYCLES_SHIFT,
    MARK_TRIGGER_SHIFT,
    MARKED,
    MAX_BLOCK,
    MODE,
    MODE_FS_SHIFT,
    MODE_NO_FRM,
    MODE_VIRTUAL,
    PHYSICAL,
    PLACE_CYCLES_SHIFT,
    PRIV,
    SELECTION,
    SEMIHOSTING,
    SEQUEL,
    SIDE,
    SINK,
    STALE_BARE,
    SUCCESSORS,
    TEMPORARY,
    TRANSIENT,
    USED,
    USED_COUNT,
    XLEN,
    F,
)
from emu.hart.traps import add_block, block_sizes
from emu.hart.trigger_registers import EXECUTE, LOAD, LOOK, STORE
from emu.hart.triggers import firing
from emu.isa.kinds import Shape
from specs.isa.causes import (
    BREAKPOINT,
    ECALL_FROM_U,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_ADDRESS_MISALIGNED,
)
from specs.isa.control import classify, makes_upper, sequentially_inferable
from specs.isa.decode import FLOATING, lookup, operands
from specs.isa.itype import Itype
from specs.isa.privilege import Privilege
from specs.kernels.memory import load16u, load32u, load64, store8, store32, store64
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, U2, U3, U4, U5, U7, U8, U16, U24, U32, s64, sext32, u64

shape = plain(Shape)
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
_JUMP_MASK = np.uint64(JUMP_ENTRIES - 1)
_VIRTUAL, _NO_FRM, _AT_FS = (
    np.uint64(MODE_VIRTUAL), np.uint64(MODE_NO_FRM), np.uint64(MODE_FS_SHIFT),
)  # fmt: skip
_PAGE, _LAST_HALF, _SECOND = np.uint64(~0xFFF & (1 << 64) - 1), np.uint64(0xFFE), np.uint64(0x1000)
_CROSSES_BEFORE = np.uint64(CROSSES_BEFORE)
_FS_OFF, _FS_CLEAN = np.uint64(FS_OFF), np.uint64(FS_CLEAN)
_CROSS, _DIRTY, _FLOAT = np.uint64(CROSS), np.int64(DIRTY), np.int64(FLOAT)
_M, _S, _U = np.uint64(Privilege.M), np.uint64(Privilege.S), np.uint64(Privilege.U)
#: Above the bits that tell instructions' addresses apart.
_UNTOLD = 7
_HASH_LIMIT = np.uint64(HASH_ENTRIES // 2)
#: RISC-V unprivileged ISA, "ebreak": slli x0,x0,0x1f; ebreak; srai x0,x0,7.
_ENTRY_MARKER, _EXIT_MARKER = np.uint64(0x01F0_1013), np.uint64(0x4070_5013)
_EBREAK_WORD = 0x0010_0073
_SEQUEL = np.uint64(SEQUEL)
_MARK_CYCLES, _MARK_TRIGGER = np.uint64(MARK_CYCLES_SHIFT), np.uint64(MARK_TRIGGER_SHIFT)
_PLACE_CYCLES = np.uint64(PLACE_CYCLES_SHIFT)
_LOOK, _EXECUTE, _DATA = np.uint64(LOOK), np.uint64(EXECUTE), np.uint64(LOAD | STORE)
_ACCESS_BYTES = np.uint64(ACCESS_BYTES_SHIFT)
#: Sets of pulses: rows of a load or store at which triggers may fire.
_PULSES = 8

#: np.int64, as all that is passed to kernels: each literal int compiles the callee again.
_NO = np.int64(0)
_F = np.int64(F)
_RA, _A0, _A1 = np.int64(1), np.int64(10), np.int64(11)
_ADD, _JALR = np.int64(ADD), np.int64(JALR)
_LI = np.int64(LI)
_CONST = np.int64(CONST)
_TRAP = np.int64(TRAP)
_MATCH, _FIRE = np.int64(MATCH), np.int64(FIRE)
_LEAVE, _NEXT = np.int64(LEAVE), np.int64(NEXT)
_ILLEGAL = np.int64(ILLEGAL)
_NONE = np.int64(-1)
_EMPTY = (U0, U0, U0, U0, U0)


@njit
def flush(cpu: Any) -> Any:
    """Forget all translations."""
    used = cpu[USED]
    for _ in range(s64(cpu[USED_COUNT])):
        store64(cpu[HASH] + (load32u(used) << U5) + U16, U0)
        used += U4
    cpu[USED_COUNT] = U0
    forget_jumps(cpu)
    cpu[ARENA_TOP] = cpu[ARENA]
    cpu[FLUSHES] += U1


@njit
def find(cpu: Any, pc: Any, key: Any) -> Any:
    """Host pointer to the block's entry in the hash table, or to the free one for it; `key`: the
    mode, with the physical page where addresses are virtual.
    """
    slot = (pc >> U1 ^ key >> U7) & _HASH_MASK
    while True:
        entry = cpu[HASH] + (slot << U5)
        if load64(entry + U16) == U0 or (load64(entry) == pc and load64(entry + U8) == key):
            return entry
        slot = (slot + U1) & _HASH_MASK


@spliced
def _one_time(cpu: Any, operations: Any, pc: Any) -> Any:
    """A block that is not to be found again: one that cannot be fetched now."""
    block = short_block(cpu, operations, pc, s64(1))
    cpu[TRANSIENT] = U1
    return block


@njit
def block_at(cpu: Any, operations: Any, pc: Any) -> Any:
    """Host pointer to the first micro-operation of the block at `pc`, as code is translated now
    (cpu[MODE]); translated if need be, which may flush all others. TRANSIENT is set if nothing may
    lead to it.
    """
    key = cpu[MODE]
    cpu[TRANSIENT] = U0
    address = pc & ~_SEQUEL
    if cpu[STALE_BARE] != U0:
        cpu[STALE_BARE] = U0
        flush(cpu)
    if key & _VIRTUAL != U0:
        if code(cpu, address) == U0:
            return _one_time(cpu, operations, pc)
        key |= cpu[PHYSICAL] & _PAGE
    entry = find(cpu, pc, key)
    ip = load64(entry + U16)
    if ip != U0:
        second = load64(entry + U24)
        if second == U0:
            return ip
        if code(cpu, ((address & _PAGE) + _SECOND) & cpu[ADDRESS_MASK]) == U0:
            return _one_time(cpu, operations, pc)
        if cpu[PHYSICAL] | U1 == second:
            return ip
    elif cpu[USED_COUNT] >= _HASH_LIMIT:
        flush(cpu)
        entry = find(cpu, pc, key)
    if cpu[ARENA_END] - cpu[ARENA_TOP] < _LARGEST_BLOCK:
        flush(cpu)
        entry = find(cpu, pc, key)
    block = translate(cpu, operations, pc, s64(MAX_BLOCK))
    second = U0
    if load32u(block - _CROSSES_BEFORE) != U0:
        if code(cpu, ((address & _PAGE) + _SECOND) & cpu[ADDRESS_MASK]) == U0:
            cpu[TRANSIENT] = U1
            return block
        second = cpu[PHYSICAL] | U1
    if load64(entry + U16) == U0:
        store32(cpu[USED] + (cpu[USED_COUNT] << U2), (entry - cpu[HASH]) >> U5)
        cpu[USED_COUNT] += U1
    store64(entry, pc)
    store64(entry + U8, key)
    store64(entry + U16, block)
    store64(entry + U24, second)
    return block


@njit
def enter_jump(cpu: Any, pc: Any, block: Any) -> Any:
    """Have jumps to `pc` find the block."""
    if cpu[TRANSIENT] != U0 or u64(s64(pc << u64(_UNTOLD)) >> _UNTOLD) != pc:
        return
    entry = cpu[JUMPS] + ((pc >> U1 & _JUMP_MASK) << U4)
    store64(entry, pc ^ cpu[COOKIE])
    store64(entry + U8, block)


@njit
def short_block(cpu: Any, operations: Any, pc: Any, limit: Any) -> Any:
    """A block of at most `limit` instructions, for once."""
    if cpu[ARENA_END] - cpu[ARENA_TOP] < _LARGEST_BLOCK:
        flush(cpu)
    return translate(cpu, operations, pc, limit)


@spliced
def is_near(cpu: Any, stub: Any, block: Any) -> Any:
    """Whether the successor that came to `stub` may go to `block` whatever happens to the mapping
    of addresses: it is in the page in which its own block ends.
    """
    if cpu[MODE] & _VIRTUAL == U0:
        return True
    if load32u(block - _CROSSES_BEFORE) != U0:
        return False
    falls = load64(stub) >> U8 != _TAKEN_STUB - _TAKEN
    behind = stub if falls else stub - _TAKEN_STUB + _FALL_STUB
    last = (load64(behind + U8) & ~_SEQUEL) - U2
    return (last ^ load64(stub + U8)) & cpu[ADDRESS_MASK] & _PAGE == U0


@njit
def cross(stub: Any) -> Any:
    """Have a stub look for its successor each time."""
    store8(stub, _CROSS)


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
    """The guest address that a successor (a block's start, a RESOLVE or CROSS stub) stands for."""
    op = op_of(ip)
    return load64(ip + U8) if op == RESOLVE or op == CROSS else load64(ip - U8)


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
def _fetch(cpu: Any, at: Any) -> Any:
    """The instruction word at `at`, and its half-words. Where it cannot be fetched, -1, and how
    many bytes of it can; CAUSE is set.
    """
    host = code(cpu, at)
    if host == U0:
        return _NONE, U0
    word = load16u(host)
    if word & U3 != U3:
        return s64(word), U1
    host = code(cpu, (at + U2) & cpu[ADDRESS_MASK])
    if host == U0:
        return _NONE, U2
    return s64(word | load16u(host) << U16), U2


@njit
def _word_is(cpu: Any, pc: Any, word: Any) -> Any:
    return _fetch(cpu, pc)[0] == word


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
    if previous == 0 or not makes_upper(previous):
        return False
    word = _fetch(cpu, pc)[0]
    return word >= 0 and sequentially_inferable(previous, word)


@njit
def _place(counts: Any, slots: Any) -> Any:
    """See `places.position`; `counts` as in `_counted`."""
    count, halfwords, _first, last, cycles = counts
    return count | halfwords << U8 | slots << U16 | last << U24 | cycles << _PLACE_CYCLES


@njit
def _counted(counts: Any, halves: Any, op: Any) -> Any:
    """What a block holds, with one more instruction of `halves` half-words: instructions,
    half-words, log2 of those of its first and of its last instruction, cycles.
    """
    count, halfwords, first, _last, cycles = counts
    log_size = halves - U1
    if count == U0:
        first = log_size
    return count + U1, halfwords + halves, first, log_size, cycles + CYCLES[op]


@njit
def _writes_csr(op: Any, operand: Any) -> Any:
    kind = SHAPE[op]
    return kind == shape.CSR_WRITE or (kind == shape.CSR and operand[1] != 0)


@spliced
def _is_illegal(cpu: Any, index: Any, op: Any, operand: Any) -> Any:
    """Whether an instruction that the hart has cannot be executed as it is now: one of a higher
    level, of floating point that is off, an access to a CSR that there is not or that may not be.
    """
    mode, kind, priv = cpu[MODE], SHAPE[op], cpu[PRIV]
    off = mode >> _AT_FS & U3 == _FS_OFF
    if NEEDS_FLOATING[index]:
        rm = operand[3] >> FLOAT_RM_SHIFT & 7
        reserved = rm > 4 and (rm != 7 or mode & _NO_FRM != U0)
        if off or (kind == shape.FLOATING and reserved):
            return True
    if kind == shape.CSR or kind == shape.CSR_WRITE:
        number = operand[3]
        if cpu[CSR_KIND + number] == U0 or (_writes_csr(op, operand) and number >> 10 == 3):
            return True
        return u64(number >> 8 & 3) > priv or (off and is_floating(number))
    if kind == shape.BOUNDARY:
        return priv < LEVEL_FOR[op] and (op != WFI or cpu[HAS] & u64(HAS_S) != U0)
    return False


@spliced
def _decode(cpu: Any, operations: Any, word: Any) -> Any:
    """Micro-operation of an instruction word, and its operands (rd, rs1, rs2, immediate) as it has
    them: registers are slots. ILLEGAL also where it may not be executed.
    """
    index = lookup(word, s64(cpu[SELECTION]))
    if index < 0:
        return _ILLEGAL, (_NO, _NO, _NO, _NO)
    op = np.int64(operations[index])
    rd, first, second, immediate = operands(index, word)
    if op != ILLEGAL and _is_illegal(cpu, index, op, (rd, first, second, immediate)):
        op = _ILLEGAL
    to = rd + _F * FLOATING[index, 0]
    if to == 0:
        to = s64(SINK)
    return op, (to, first + _F * FLOATING[index, 1], second + _F * FLOATING[index, 2], immediate)


@spliced
def _exception(cpu: Any, op: Any, operand: Any, word: Any) -> Any:
    """Cause, tval and its kind, of an instruction that traps whenever it is executed; cause -1 if
    it does not.
    """
    if op == ILLEGAL:
        return s64(ILLEGAL_INSTRUCTION), word, s64(TVAL_IS_IMM)
    if op == EBREAK:
        return s64(BREAKPOINT), _NO, s64(TVAL_IS_PC)
    if SHAPE[op] == shape.RAISE:
        return s64(ECALL_FROM_U) + s64(cpu[PRIV]), _NO, s64(TVAL_IS_IMM)
    if SHAPE[op] == shape.JUMP and u64(operand[3]) & cpu[ALIGN_MASK] != U0:
        return s64(INSTRUCTION_ADDRESS_MISALIGNED), operand[3], s64(TVAL_IS_PC)
    return _NONE, _NO, _NO


@spliced
def _transfer(cpu: Any, op: Any, operand: Any, here: Any, word: Any) -> Any:
    """How a block ends with the control transfer or BOUNDARY `word` at `here`: terminator, its rd,
    its immediate, the target if it is taken.
    """
    to, _first, _second, immediate = operand
    target = (here + u64(immediate)) & cpu[ADDRESS_MASK]
    kind = SHAPE[op]
    if kind == shape.BRANCH and u64(immediate) & cpu[ALIGN_MASK] != U0:
        return _LEAVE, s64(FOR_BRANCH), op, target
    if kind == shape.BOUNDARY:
        return _LEAVE, BOUNDARY_FOR[op], word, target
    if kind == shape.JUMP:
        return s64(JUMP) if to == SINK else s64(CALL), to, immediate, target
    return op, to, immediate, target


@spliced
def _prelude(ip: Any, op: Any, operand: Any) -> Any:
    """What an instruction does before it jumps through a register: where the next micro-operation
    goes, and operands of that jump."""
    _emit(ip, op, _NO, operand[1], operand[2], operand[3])
    ip += U8
    if SHAPE[op] == shape.TABLE_JUMP:
        to = _RA if op == CM_JALT else s64(SINK)
        return ip, (to, s64(TEMPORARY), _NO, _NO)
    if op == CM_POPRETZ:
        _emit(ip, _LI, _A0, _NO, _NO, _NO)
        ip += U8
    return ip, (s64(SINK), _RA, _NO, _NO)


@njit
def _straight(cpu: Any, ip: Any, op: Any, operand: Any, here: Any, word: Any) -> Any:
    """Emit an instruction behind which its block can go on. Returns where the next micro-operation
    goes.
    """
    to, first, second, immediate = operand
    if SHAPE[op] == shape.MOVES:
        # a0 and a1 are no s registers: either can be moved first
        into_saved = op == CM_MVSA01
        _emit(ip, _ADD, first if into_saved else _A0, _A0 if into_saved else first, _NO, _NO)
        _emit(ip + U8, _ADD, second if into_saved else _A1, _A1 if into_saved else second, _NO, _NO)
        return ip + U16
    if op >= FIRST_FLOATING:
        immediate = (immediate + _F) | op << FLOAT_NUMBER_SHIFT
        op = _FLOAT
    elif SHAPE[op] in (shape.CSR, shape.CSR_WRITE, shape.CACHE_BLOCK):
        immediate = word
    if SHAPE[op] == shape.UPPER:
        value = _known(op, u64(immediate), here)
        if cpu[XLEN] == U32:
            value = sext32(value)
        if not _fits32(value):
            _emit(ip, _CONST, to, _NO, _NO, _NO)
            store64(ip + U8, value)
            return ip + U16
        op, first, immediate = _LI, _NO, s64(value)
    elif IS_ADDI[op] and first == 0:
        op = _LI
    _emit(ip, op, to, first, second, immediate)
    ip += U8
    if to >= _F and cpu[MODE] >> _AT_FS & U3 == _FS_CLEAN:
        _emit(ip, _DIRTY, _NO, _NO, _NO, _NO)
        ip += U8
    return ip


@njit
def _has_no_effect(op: Any, operand: Any) -> Any:
    kind = SHAPE[op]
    if kind == shape.FENCE:
        return True
    # Without effect on a register, only memory and CSRs can be affected.
    return operand[0] == SINK and (kind == shape.COMPUTE or kind == shape.UPPER)


@njit
def _needs_check(cpu: Any, op: Any, operand: Any) -> Any:
    """Whether it is a CSR instruction behind which `drive` has to look at what it wrote."""
    if not _writes_csr(op, operand):
        return False
    return ENDS_BLOCK[operand[3]] or u64(operand[3]) == cpu[CONTEXT_CSR]


@njit
def _transfers(op: Any) -> Any:
    kind = SHAPE[op]
    return (
        kind == shape.JUMP
        or kind == shape.INDIRECT
        or kind == shape.BRANCH
        or kind == shape.POP_RETURN
        or kind == shape.TABLE_JUMP
    )


@spliced
def _enter_rows(cpu: Any, pc: Any, counts: Any, sijump: Any, trigger: Any, looks: Any) -> Any:
    """Enter a block in the table. Returns its index; where triggers may fire at its load or store,
    the rows behind have the pulses.
    """
    count, halfwords, first, last, cycles = counts
    if trigger != U0:
        cpu[MARKED] += U1
    sizes = block_sizes(halfwords, first, last, u64(sijump))
    mark = count | cycles << _MARK_CYCLES | trigger << _MARK_TRIGGER
    index = add_block(cpu, pc, sizes, mark)
    if looks & _DATA != U0:
        for pulses in range(1, _PULSES):
            add_block(cpu, pc, sizes, mark | u64(pulses) << _MARK_TRIGGER)
    return index


@spliced
def _terminate(cpu: Any, ip: Any, end: Any, operand: Any, reference: Any, fall: Any) -> Any:
    """Emit a terminator: `end` as in `_transfer`; `reference` with the count above; `fall` is the
    address behind the block. Returns where the next micro-operation goes.
    """
    terminator, to, immediate, target = end
    link = fall & ~_SEQUEL
    _emit(ip, terminator, to, operand[1], operand[2], immediate)
    store64(ip + _REF, reference)
    store64(ip + _LINK, sext32(link) if cpu[XLEN] == U32 else link)
    _stub(ip, _TAKEN, _TAKEN_STUB, target)
    _stub(ip, _FALL, _FALL_STUB, fall)
    return ip + _BYTES


@njit
def _finish(cpu: Any, start: Any, ip: Any, pc: Any, count: Any, first: Any) -> Any:
    """Fill in the header of the block from `start` to `ip`."""
    store32(start - _COUNT_BEFORE, count)
    store32(start - _FIRST_BEFORE, first)
    store64(start - U8, pc)
    store32(start - _CROSSES_BEFORE, U0)
    cpu[ARENA_TOP] = ip
    return start


@spliced
def _see(cpu: Any, address: Any, size: Any) -> Any:
    """Compare what was translated with what is known of the code, page by page."""
    while size != U0:
        host = code(cpu, address)
        if host == U0:
            return
        part = min(size, _SECOND - (address & ~_PAGE))
        see_code(cpu, address, host, cpu[PHYSICAL], part)
        address = (address + part) & cpu[ADDRESS_MASK]
        size -= part


@njit
def translate(cpu: Any, operations: Any, pc: Any, limit: Any) -> Any:
    """Translate the block at `pc`: straight-line code up to a control transfer, an instruction that
    traps, one that needs a boundary after it, the end of the address space or of a page of virtual
    memory, or `limit` instructions. `operations`: by instruction index (`ops.operations`). `pc` may
    have `state.SEQUEL` set. Returns the host pointer to its first micro-operation.

    Long: the cases that end a block, a line or two each.
    """
    mask = cpu[ADDRESS_MASK]
    virtual = cpu[MODE] & _VIRTUAL != U0
    start = cpu[ARENA_TOP] + _HEADER
    side = cpu[SIDE] - cpu[ARENA]
    ip = start
    at = pc & ~_SEQUEL
    counts = (U0, U0, U0, U0, U0)
    trigger = looks = crosses = U0
    previous = word = _NO
    halves = U0
    stored = sijump = False
    trap = (_NONE, _NO, _NO)
    operand = (_NO, _NO, _NO, _NO)
    end = (_NEXT, s64(SINK), _NO, U0)
    code = _NO
    while s64(counts[0]) < limit:
        if at == U0 and counts[0] != U0:
            break  # address 0 follows the last one, but is no later address of the same block
        if virtual and counts[0] != U0 and (at ^ pc) & _PAGE != U0:
            break
        fired = firing(cpu, at) if cpu[ARMED] & _EXECUTE != U0 else U0
        if fired != U0:
            # An instruction at which a trigger fires is a block of its own.
            if counts[0] != U0:
                break
            trigger, limit = fired & ~_LOOK, s64(1)
            if fired & _LOOK != U0:
                looks = _EXECUTE
                store64(ip + side, U0)
                _emit(ip, _MATCH, s64(looks), _NO, _NO, _NO)
                ip += U8
        word, halves = _fetch(cpu, at)
        if virtual and halves == U2 and at & ~_PAGE == _LAST_HALF:
            # An instruction that ends in another page is a block of its own.
            if counts[0] != U0:
                break
            crosses, limit = U1, s64(1)
        if word < 0:
            if virtual and counts[0] != U0:
                break
            trap = (s64(cpu[CAUSE]), s64(halves), s64(TVAL_IS_PC))
            break
        op, operand = _decode(cpu, operations, word)
        if op == EBREAK and cpu[SEMIHOSTING] != U0 and _is_host_call(cpu, at, word):
            # A block of its own, which retires nothing but is reported like one that does.
            if counts[0] == U0:
                store64(ip + side, _place(counts, (ip - start) >> U3))
                counts = (U0, U2, U1, U1, U0)
                end = (_LEAVE, s64(FOR_HOST_CALL), _NO, U0)
                at = (at + U4) & mask
            break
        trap = _exception(cpu, op, operand, word)
        if trap[0] >= 0:
            break
        access = ACCESS[op]
        if access & cpu[ARMED] & _DATA != U0:
            # So is a load or store that triggers may match.
            if counts[0] != U0:
                break
            limit = s64(1)
            if looks == U0:
                store64(ip + side, U0)
                ip += U8
            looks |= access & (U16 - U1)
            size = s64(access >> _ACCESS_BYTES)
            _emit(start, _MATCH, s64(looks), operand[1], size, operand[3])
        before = counts
        store64(ip + side, _place(before, (ip - start) >> U3))
        counts = _counted(counts, halves, op)
        here = at
        at = (at + (halves << U1)) & mask
        if _transfers(op) or SHAPE[op] == shape.BOUNDARY:
            if SHAPE[op] in (shape.POP_RETURN, shape.TABLE_JUMP):
                ip, operand = _prelude(ip, op, operand)
                store64(ip + side, _place(before, (ip - start) >> U3))
                op = _JALR
            end = _transfer(cpu, op, operand, here, word)
            if SHAPE[op] != shape.BRANCH:
                code = classify(word, s64(cpu[SELECTION]))[1]
                sijump = counts[0] == U1 and pc & _SEQUEL != U0
                if previous != 0:
                    sijump = sequentially_inferable(previous, word)
            if end[0] == JUMP and operand[3] == 0 and counts[0] == U1:
                end = (_LEAVE, s64(FOR_LOOP), s64(looks != U0), here)
            break
        previous = word
        behind_store, stored = stored, SHAPE[op] == shape.STORE
        if not _has_no_effect(op, operand):
            ip = _straight(cpu, ip, op, operand, here, word)
        elif behind_store:
            # The block may end behind the store: the operation there has to say where that is.
            _emit(ip, _LI, s64(SINK), _NO, _NO, _NO)
            ip += U8
        if _needs_check(cpu, op, operand):
            end = (_LEAVE, s64(FOR_CHECK), _NO, U0)
            break
    count = counts[0]
    if cpu[CODE_ROWS] != U0:
        behind = halves if trap[0] >= 0 and word >= 0 else U0
        _see(cpu, pc & ~_SEQUEL, (counts[1] + behind) << U1)
    if trap[0] >= 0:
        store64(ip + side, _place(counts, (ip - start) >> U3))
        _emit(ip, _TRAP, trap[0], trap[2], _NO, trap[1])
        ip = _finish(cpu, start, ip + U8, pc, count + U1, counts[2])
        store32(start - _CROSSES_BEFORE, crosses)
        return ip
    index = _enter_rows(cpu, pc & ~_SEQUEL, counts, sijump, trigger, looks)
    if looks != U0:
        _emit(ip, _FIRE, s64(looks & _DATA != U0), _NO, _NO, s64(index))
        ip += U8
        store64(ip + side, _place(_EMPTY, (ip - start) >> U3))
    sequel = end[0] == NEXT and _is_sequel(cpu, at, previous)
    reference = index << U4 | u64(code) | count << U32
    outcome = _BRANCH if SHAPE[end[0]] == shape.BRANCH else U0
    store32(start - _REFERENCE_BEFORE, reference | outcome)
    ip = _terminate(cpu, ip, end, operand, reference, at | _SEQUEL if sequel else at)
    _finish(cpu, start, ip, pc, count, counts[2])
    store32(start - _CROSSES_BEFORE, crosses)
    return start
