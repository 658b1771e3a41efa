"""Between slices: interrupts, traps, translation, and when to return to Python."""

from typing import Any

import numpy as np

from emu.engine.access import imm, rs1, rs2, set_rd
from emu.engine.generate import BRANCH, VALUE, generated
from emu.engine.hot import run_slice
from emu.engine.operations import (
    COUNT_BEFORE,
    COUNT_SLOT,
    FALL_STUB,
    FOR_BRANCH,
    FOR_FENCE_I,
    FOR_HOST_CALL,
    FOR_LOOP,
    FOR_MRET,
    FOR_SFENCE,
    FOR_SRET,
    FOR_WFI,
    LINK_SLOT,
    REF_SLOT,
    REFERENCE_BEFORE,
    TAKEN_STUB,
)  # fmt: skip
from emu.engine.translate import (
    block_at,
    cross,
    enter_jump,
    flush,
    is_near,
    link,
    pc_of,
    short_block,
)
from emu.hart.events import deliver
from emu.hart.interrupts import (
    PER_TICK,
    allowed,
    mtime,
    pending,
    timers_changed,
    timers_up,
    until_timer,
)
from emu.hart.modes import forget_addresses, set_mode
from emu.hart.notes import note
from emu.hart.passages import add_crossing, add_jump, close_passage, open_passage
from emu.hart.places import block_pc, retired_at
from emu.hart.state import (
    ADDRESS_MASK,
    ALIGN_MASK,
    ALL_OF_TIME,
    ARMED,
    BLOCK_COUNT,
    BLOCK_ENDS,
    BLOCK_LIMIT,
    BUDGET,
    BUDGET_OVER,
    BUFFERS_FULL,
    CAUSE,
    CODE_COUNT,
    CODE_LIMIT,
    CYCLE_OFFSET,
    EDGE,
    ENDLESS_LOOP,
    EVENT_KIND,
    EVENT_RAISED,
    FLUSHES,
    GOAL,
    HARTS,
    HOST,
    HOST_CALLED,
    HOST_REQUEST,
    INDIRECT,
    IP,
    LEFT,
    LEFT_BLOCK,
    MARKED,
    MAX_BLOCK,
    MCOUNTINHIBIT,
    MENVCFG,
    MIE,
    MSTATUS,
    MTIMECMP,
    NOTE_COUNT,
    NOTE_LIMIT,
    NOTE_TIME_OFFSET,
    NOTE_WAITED,
    OPEN,
    PASSAGE_COUNT,
    PASSAGE_LIMIT,
    PASSAGES,
    PAUSED,
    PC,
    PRIV,
    REACHED,
    RECORD_STEP,
    RECORD_TABLE,
    RECORDS,
    RECORDS_END,
    REF_STEP,
    REFS,
    REFS_END,
    RESOLVING,
    REST,
    RETIRED,
    RETURN_AT,
    STALE,
    STEP,
    STIMECMP,
    STUCK,
    TIME_OFFSET,
    TRANSIENT,
    TRAP_COUNT,
    TRAP_LIMIT,
    TRAP_LOOP,
    TRAPPED,
    TVAL,
    WFI_FOREVER,
    WFI_WAITS,
)
from emu.hart.status import MTI, STCE, STI, TSR, TVM, TW
from emu.hart.traps import (
    add_reference,
    end_block,
    mret,
    retire_part,
    sret,
    take_exception,
    take_interrupt,
)
from specs.interfaces.ingress import RECORD
from specs.isa.causes import ILLEGAL_INSTRUCTION, INSTRUCTION_ADDRESS_MISALIGNED
from specs.isa.itype import Itype
from specs.isa.privilege import Privilege
from specs.kernels.memory import load8u, load32u, load64, store32
from specs.kernels.njit import njit, spliced
from specs.kernels.words import ALL_ONES, LOW32, U0, U1, U2, U4, s64, u64

#: Traps in a row, with no instruction retired between, that count as endless. In M-mode the second
#: one already finds the state that the first one left.
STUCK_TRAPS = 16
#: Turns of the loop before Python is given a chance (a turn is 50 ns at least).
MAX_TURNS = 1 << 18
#: No reason to return.
GO_ON = -1
#: References and blocks that one turn may add, and more.
MARGIN = 4 * MAX_BLOCK

_STUCK_TRAPS = np.uint64(STUCK_TRAPS)
_MARGIN = np.uint64(MARGIN)
_BLOCK_ENDS = np.uint64(BLOCK_ENDS)
_NOTE_TIME_OFFSET, _NOTE_WAITED = np.uint64(NOTE_TIME_OFFSET), np.uint64(NOTE_WAITED)
_MTI, _STI, _STCE = np.uint64(MTI), np.uint64(STI), np.uint64(STCE)
_TSR, _TVM, _TW = np.uint64(TSR), np.uint64(TVM), np.uint64(TW)
_M, _U = np.uint64(Privilege.M), np.uint64(Privilege.U)
_REFERENCE_BEFORE, _COUNT_BEFORE = np.uint64(REFERENCE_BEFORE), np.uint64(COUNT_BEFORE)
_RECORD_BYTES = np.uint64(RECORD.itemsize)
_COUNT, _REF, _LINK = np.uint64(COUNT_SLOT), np.uint64(REF_SLOT), np.uint64(LINK_SLOT)
_TAKEN_PC, _FALL_PC = np.uint64(TAKEN_STUB + 8), np.uint64(FALL_STUB + 8)
_NOT_TAKEN = np.uint64(Itype.NONTAKEN_BRANCH)
_EVEN = np.uint64(0xFFFF_FFFF_FFFF_FFFE)


@njit
def _retire_block(cpu: Any, terminator: Any, code: Any) -> Any:
    cpu[LEFT] -= load32u(terminator + _COUNT)
    add_reference(cpu, load32u(terminator + _REF) | code)


@njit
def _misaligned_target(cpu: Any, ip: Any, target: Any) -> Any:
    cpu[CAUSE] = u64(INSTRUCTION_ADDRESS_MISALIGNED)
    cpu[TVAL] = target
    take_exception(cpu, ip)


@spliced
def _indirect(cpu: Any, operations: Any, registers: Any, ip: Any) -> Any:
    """A JALR whose target is not in the cache."""
    target = (rs1(registers, ip) + imm(ip)) & cpu[ADDRESS_MASK] & _EVEN
    if target & cpu[ALIGN_MASK] != U0:
        _misaligned_target(cpu, ip, target)
        return
    set_rd(registers, ip, load64(ip + _LINK))
    reference = load32u(ip + _REF)
    cpu[LEFT] -= load32u(ip + _COUNT)
    cpu[RETIRED] = cpu[GOAL] - cpu[LEFT]
    cpu[PC] = target
    flushes = cpu[FLUSHES]
    block = block_at(cpu, operations, target)
    if cpu[OPEN] != U0 and cpu[FLUSHES] == flushes:
        add_jump(cpu, reference, load32u(block - _REFERENCE_BEFORE))
    else:
        add_reference(cpu, reference)
    enter_jump(cpu, target, block)


@generated
def _is_taken(op: Any, a: Any, b: Any) -> Any:
    if op in BRANCH:
        return VALUE(a, b)
    return False


@spliced
def _branch(cpu: Any, registers: Any, ip: Any) -> Any:
    """A branch whose target is misaligned: it traps if it is taken."""
    if _is_taken(s64(imm(ip)), rs1(registers, ip), rs2(registers, ip)):
        _misaligned_target(cpu, ip, load64(ip + _TAKEN_PC))
        return
    _retire_block(cpu, ip, _NOT_TAKEN)
    cpu[RETIRED] = cpu[GOAL] - cpu[LEFT]
    cpu[PC] = load64(ip + _FALL_PC)


@njit
def _can_come(cpu: Any, enabled: Any, retired: Any) -> Any:
    """Whether an interrupt of `enabled` (bits as in mie) is pending, or will be while the program
    does nothing: all but the timers are for the program to set, and nothing drives MEIP.
    """
    if pending(cpu, retired) & enabled != U0:
        return True
    return until_timer(cpu, enabled, retired) < ALL_OF_TIME


@spliced
def _loop(cpu: Any, ip: Any) -> Any:
    """A jump to itself goes round until the slice is over, or at once says ENDLESS_LOOP."""
    _retire_block(cpu, ip, U0)
    cpu[RETIRED] = cpu[GOAL] - cpu[LEFT]
    cpu[PC] = load64(ip + _TAKEN_PC)
    if cpu[HOST] == U0 and not _can_come(cpu, allowed(cpu), cpu[RETIRED]):
        return ENDLESS_LOOP
    rounds = s64(cpu[LEFT])
    if imm(ip) == U0 and rounds > 0:
        reference = load32u(ip + _REF)
        at, step = cpu[REFS], cpu[REF_STEP]
        for _ in range(rounds):
            store32(at, reference)
            at += step
        cpu[REFS] = at
        cpu[LEFT] = U0
        cpu[RETIRED] = cpu[GOAL]
    return GO_ON


@spliced
def _wait(cpu: Any) -> Any:
    """WFI: guest time passes until a timer fires, if it can end the wait; else no operation."""
    retired = cpu[RETIRED]
    enabled = cpu[MIE]
    if pending(cpu, retired) & enabled != U0:
        return
    if until_timer(cpu, enabled, retired) >= ALL_OF_TIME:
        return
    until = cpu[MTIMECMP] if enabled & _MTI != U0 else ALL_ONES
    if enabled & _STI != U0 and cpu[MENVCFG] & _STCE != U0:
        until = min(until, cpu[STIMECMP])
    were_up = timers_up(cpu, retired)
    ticks = until - mtime(cpu, retired)
    cpu[TIME_OFFSET] += ticks
    timers_changed(cpu, were_up, retired)
    note(cpu, retired, _NOTE_TIME_OFFSET, cpu[TIME_OFFSET])
    note(cpu, retired, _NOTE_WAITED, ticks * PER_TICK)
    if cpu[MCOUNTINHIBIT] & U1 == U0:
        cpu[CYCLE_OFFSET] += ticks * PER_TICK


@spliced
def _is_forbidden(cpu: Any, why: Any) -> Any:
    """Whether mstatus has an instruction of S-mode trap (TSR, TVM, TW)."""
    if cpu[PRIV] == _M:
        return False
    status = cpu[MSTATUS]
    if why == FOR_SRET:
        return status & _TSR != U0
    if why == FOR_SFENCE:
        return status & _TVM != U0
    return why == FOR_WFI and status & _TW != U0


@spliced
def _leave(cpu: Any, registers: Any, ip: Any) -> Any:
    """Carry out a LEAVE. GO_ON, or why `drive` is to return."""
    why = s64(load8u(ip + U1))
    if why == FOR_BRANCH:
        _branch(cpu, registers, ip)
        return GO_ON
    if why == FOR_LOOP:
        return _loop(cpu, ip)
    if _is_forbidden(cpu, why):
        cpu[CAUSE] = u64(ILLEGAL_INSTRUCTION)
        cpu[TVAL] = imm(ip) & LOW32
        take_exception(cpu, ip)
        return GO_ON
    alone = cpu[HARTS] == U1
    if why == FOR_WFI and alone and cpu[HOST] == U0:
        if not _can_come(cpu, cpu[MIE], retired_at(cpu, ip)):
            # It never retires.
            retire_part(cpu, ip)
            cpu[PC] = block_pc(cpu, ip)
            return WFI_FOREVER
    _retire_block(cpu, ip, U0)
    cpu[RETIRED] = cpu[GOAL] - cpu[LEFT]
    if why == FOR_MRET:
        mret(cpu, block_pc(cpu, ip))
        return GO_ON
    if why == FOR_SRET:
        sret(cpu, block_pc(cpu, ip))
        return GO_ON
    if why == FOR_HOST_CALL:
        cpu[PC] = block_pc(cpu, ip)
        return HOST_CALLED
    cpu[PC] = load64(ip + _FALL_PC)
    if why == FOR_WFI and alone:
        _wait(cpu)
    elif why == FOR_WFI:
        if cpu[HOST] == U0 and pending(cpu, cpu[RETIRED]) & cpu[MIE] == U0:
            return WFI_WAITS
    elif why == FOR_SFENCE:
        forget_addresses(cpu)
    elif why == FOR_FENCE_I or cpu[STALE] != U0:
        cpu[STALE] = U0
        flush(cpu)
    return GO_ON


@spliced
def _slice(cpu: Any) -> Any:
    """Instructions that may retire before anything but the program itself must be looked at."""
    retired = cpu[RETIRED]
    left = min(s64(cpu[RETURN_AT] - retired), s64(((cpu[REFS_END] - cpu[REFS]) >> U2) - _MARGIN))
    if cpu[PASSAGES] != U0:
        left = min(left, s64(((cpu[RECORDS_END] - cpu[RECORDS]) >> U4) - _MARGIN))
    among = allowed(cpu)
    if among & (_MTI | _STI) != U0:
        left = min(left, until_timer(cpu, among, retired))
    return left


@njit
def drive(cpu: Any, operations: Any) -> Any:
    """Run until Python is needed; returns why (`state.HOST_REQUEST` ...), with RETIRED and PC of
    the next instruction in `cpu`. `operations` as in `ops.operations`.

    Its length is that of the reasons to return and of what a slice ended for, in their order.
    """
    why = _turns(cpu, operations)
    close_passage(cpu)
    return why


@spliced
def _full(cpu: Any) -> Any:
    """Is there no room for what one turn may add? Passages and side bands do not share a chunk."""
    if (
        (cpu[REFS_END] - cpu[REFS]) >> U2 <= _MARGIN
        or cpu[TRAP_COUNT] >= cpu[TRAP_LIMIT]
        or cpu[BLOCK_COUNT] + _MARGIN >= cpu[BLOCK_LIMIT]
        or cpu[NOTE_COUNT] + _MARGIN >= cpu[NOTE_LIMIT]
        or cpu[CODE_COUNT] + U4 >= cpu[CODE_LIMIT]
    ):
        return True
    if cpu[PASSAGES] == U0:
        return False
    if cpu[ARMED] != U0 and cpu[PASSAGE_COUNT] != U0:
        return True
    # An instruction may make a record, few do: at half of them, so that slices never become short.
    used = cpu[RECORDS] - cpu[RECORD_TABLE]
    return (
        used >= cpu[RECORDS_END] - cpu[RECORDS]
        or cpu[PASSAGE_COUNT] + _MARGIN >= cpu[PASSAGE_LIMIT]
    )


@spliced
def _keep(cpu: Any, ip: Any) -> Any:
    """Say how the hot loop, to be entered at the block `ip`, is to tell what retires."""
    if cpu[PASSAGES] != U0 and cpu[ARMED] == U0 and cpu[MARKED] == U0:
        cpu[STEP] = U0
        cpu[RECORD_STEP] = _RECORD_BYTES
        open_passage(cpu, load32u(ip - _REFERENCE_BEFORE))
    else:
        cpu[STEP] = cpu[REF_STEP]
        cpu[RECORD_STEP] = U0


@spliced
def _turns(cpu: Any, operations: Any) -> Any:
    """`drive`, but for the passage that is left open.

    Long: what may end a turn, one thing after another, in the order in which they count.
    """
    registers = u64(cpu.ctypes.data)
    for _ in range(MAX_TURNS):
        # First of all: what is below may change the state that the event left.
        if cpu[EVENT_KIND] != U0 and deliver(cpu):
            return EVENT_RAISED
        rest = s64(cpu[REST])
        remaining = s64(cpu[BUDGET] - cpu[RETIRED])
        if cpu[HOST] != U0 and (rest == 0 or remaining <= 0):
            return HOST_REQUEST
        if cpu[STUCK] >= _STUCK_TRAPS:
            return TRAP_LOOP
        if _full(cpu):
            return BUFFERS_FULL
        if remaining <= 0:
            return BUDGET_OVER
        edge = s64(cpu[EDGE] - cpu[RETIRED])
        if cpu[RETIRED] >= cpu[RETURN_AT] or edge <= 0:
            return PAUSED
        # An edge cuts a block in two and changes nothing else: what is for ends of blocks waits.
        if rest == 0 and take_interrupt(cpu):
            continue
        set_mode(cpu)
        near = min(remaining, edge)
        left = _slice(cpu)
        behind = np.int64(0)
        if near > MAX_BLOCK and rest == 0:
            ip = block_at(cpu, operations, cpu[PC])
            left = min(left, near - MAX_BLOCK)
        else:
            # No block may run past the budget or the edge: one at a time, and the last one cut.
            close_passage(cpu)
            left = np.int64(1)
            if rest == 0:
                ip = block_at(cpu, operations, cpu[PC])
                whole = s64(load32u(ip - _COUNT_BEFORE))
            else:
                ip, whole = U0, rest
            if whole > near:
                ip = short_block(cpu, operations, cpu[PC], near)
                if edge < remaining:
                    behind = whole - near
            elif rest != 0:
                ip = short_block(cpu, operations, cpu[PC], rest)
            cpu[REST] = U0
        cpu[IP] = ip
        cpu[LEFT] = u64(left)
        cpu[GOAL] = cpu[RETIRED] + u64(left)
        _keep(cpu, ip)
        reason = run_slice(cpu)
        cpu[REACHED] = cpu[GOAL] - cpu[LEFT]
        ip = cpu[IP]
        if reason == TRAPPED:
            if cpu[CAUSE] == _BLOCK_ENDS:
                cpu[CAUSE] = U0
                end_block(cpu, ip)
            else:
                take_exception(cpu, ip)
            continue
        if reason == INDIRECT:
            _indirect(cpu, operations, registers, ip)
            continue
        if reason == LEFT_BLOCK:
            why = _leave(cpu, registers, ip)
            if why != GO_ON:
                return why
            continue
        cpu[RETIRED] = cpu[GOAL] - cpu[LEFT]
        cpu[PC] = pc_of(ip)
        if cpu[CAUSE] == _BLOCK_ENDS:
            cpu[CAUSE] = U0
        else:
            cpu[REST] = u64(behind)
        if reason == RESOLVING:
            flushes = cpu[FLUSHES]
            block = block_at(cpu, operations, cpu[PC])
            if cpu[FLUSHES] == flushes and cpu[TRANSIENT] == U0:
                if is_near(cpu, ip, block):
                    link(cpu, ip, block)
                else:
                    cross(ip)
                    enter_jump(cpu, cpu[PC], block)
                    add_crossing(cpu, load32u(block - _REFERENCE_BEFORE))
                continue
        close_passage(cpu)
    return PAUSED
