"""Taking traps, returning from them, and the records of both."""

from typing import Any

import numpy as np

from emu.hart import status
from emu.hart.events import raise_event
from emu.hart.interrupts import ORDER, allowed, pending, pending_since
from emu.hart.passages import close_passage
from emu.hart.places import block_pc, position
from emu.hart.state import (
    ADDRESS_MASK,
    ARENA,
    BLOCK_COUNT,
    BLOCKS,
    CAUSE,
    EPC_MASK,
    EXCEPTION_COUNTS,
    GOAL,
    HANDLING,
    HAS,
    HAS_U,
    INTERRUPT_COUNTS,
    LAST_TRAP,
    LEFT,
    MARK_CYCLES_SHIFT,
    MARKS,
    MCAUSE,
    MEDELEG,
    MEPC,
    MIDELEG,
    MSTATUS,
    MTVAL,
    MTVEC,
    PC,
    PLACE_CYCLES_MASK,
    PLACE_CYCLES_SHIFT,
    PLACE_INDEX_SHIFT,
    PLACE_LAST_MASK,
    PRIV,
    REF_STEP,
    REFS,
    RETIRED,
    SCAUSE,
    SEPC,
    SEQUEL,
    SIDE,
    STUCK,
    STVAL,
    STVEC,
    TRAP_COUNT,
    TRAPS,
    TVAL,
    XLEN,
)
from specs.interfaces.events import EXCEPTION, INTERRUPT, TRAP_RETURN
from specs.interfaces.ingress import BLOCK, TRAP
from specs.isa.causes import ECALL_FROM_M, ECALL_FROM_U
from specs.isa.itype import Itype
from specs.isa.privilege import Privilege
from specs.kernels.memory import load32u, load64, store8, store32, store64
from specs.kernels.njit import njit, spliced
from specs.kernels.words import U0, U1, U2, U3, U4, U8, U16, U24, U255, s64, u64

_BLOCK_BYTES = np.uint64(BLOCK.itemsize)
_TRAP_BYTES = np.uint64(TRAP.itemsize)


def _offset(layout: np.dtype[np.void], field: str) -> np.uint64:
    assert layout.fields is not None
    return np.uint64(layout.fields[field][1])


_TRAP_IADDR, _TRAP_TVAL = _offset(TRAP, "iaddr"), _offset(TRAP, "tval")
_TRAP_CAUSE, _TRAP_PRIV = _offset(TRAP, "cause"), _offset(TRAP, "priv")
_TRAP_VALID = _offset(TRAP, "iaddr_valid")
#: A block: its address, and a word with all the rest, whose fields are at these bits.
_BLOCK_IADDR, _SIZES = _offset(BLOCK, "iaddr"), _offset(BLOCK, "iretire")
_LAST_SIZE, _FIRST_SIZE, _SIJUMP, _BLOCK_PRIV = (
    (_offset(BLOCK, field) - _SIZES) * np.uint64(8)
    for field in ("ilastsize", "ifirstsize", "sijump", "priv")
)
_EXCEPTION_CODE = np.uint64(Itype.EXCEPTION)
_INTERRUPT_CODE = np.uint64(Itype.INTERRUPT)
_EXCEPTION = np.uint64(EXCEPTION)
_INTERRUPT = np.uint64(INTERRUPT)
_TRAP_RETURN = np.uint64(TRAP_RETURN)
_ECALL_U, _ECALL_M = np.uint64(ECALL_FROM_U), np.uint64(ECALL_FROM_M)
_MIE, _MPIE, _MPP = np.uint64(status.MIE), np.uint64(status.MPIE), np.uint64(status.MPP)
_SIE, _SPIE, _SPP = np.uint64(status.SIE), np.uint64(status.SPIE), np.uint64(status.SPP)
_MPRV, _MPP_SHIFT = np.uint64(status.MPRV), np.uint64(status.MPP_SHIFT)
_M, _S, _U = np.uint64(Privilege.M), np.uint64(Privilege.S), np.uint64(Privilege.U)
_SEQUEL = np.uint64(SEQUEL)
_LAST_MASK = np.uint64(PLACE_LAST_MASK)
_CYCLES, _CYCLES_MASK = np.uint64(PLACE_CYCLES_SHIFT), np.uint64(PLACE_CYCLES_MASK)
_INDEX = np.uint64(PLACE_INDEX_SHIFT)
_MARK_CYCLES = np.uint64(MARK_CYCLES_SHIFT)


@njit
def block_sizes(halfwords: Any, first: Any, last: Any, sijump: Any) -> Any:
    """What an ingress.BLOCK says beside its address and privilege; `first` and `last` are log2 of
    half-words.
    """
    return halfwords | last << _LAST_SIZE | first << _FIRST_SIZE | sijump << _SIJUMP


@njit
def add_block(cpu: Any, pc: Any, sizes: Any, mark: Any) -> Any:
    """Enter an ingress.BLOCK; `mark` as in `state`. Returns its index."""
    index = cpu[BLOCK_COUNT]
    cpu[BLOCK_COUNT] = index + U1
    row = cpu[BLOCKS] + index * _BLOCK_BYTES
    store64(row + _BLOCK_IADDR, pc)
    store64(row + _SIZES, sizes | cpu[PRIV] << _BLOCK_PRIV)
    store64(cpu[MARKS] + (index << U3), mark)
    return index


@njit
def add_reference(cpu: Any, reference: Any) -> Any:
    """Append to the stream of references (nothing is kept when recording is off)."""
    close_passage(cpu)
    store32(cpu[REFS], reference)
    cpu[REFS] += cpu[REF_STEP]


@njit
def retire_part(cpu: Any, ip: Any) -> Any:
    """Retire the instructions of a block before the micro-operation `ip`, which trapped."""
    place = position(cpu, ip)
    count = place & U255
    cpu[RETIRED] = cpu[GOAL] - cpu[LEFT] + count
    if count == U0:
        return
    index = place >> _INDEX
    if index == U0:
        start = ip - ((place >> U16 & U255) << U3)
        halfwords, last = place >> U8 & U255, place >> U24 & _LAST_MASK
        first = load32u(start - np.uint64(12))
        mark = count | (place >> _CYCLES & _CYCLES_MASK) << _MARK_CYCLES
        pc = load64(start - U8) & ~_SEQUEL
        index = add_block(cpu, pc, block_sizes(halfwords, first, last, U0), mark) + U1
        store64(ip - cpu[ARENA] + cpu[SIDE], place | index << _INDEX)
    add_reference(cpu, (index - U1) << U4)


@njit
def end_block(cpu: Any, ip: Any) -> Any:
    """End the block behind the micro-operation `ip`, a store to a device, and go on there."""
    retire_part(cpu, ip + U8)
    cpu[PC] = block_pc(cpu, ip + U8)


@spliced
def _record(cpu: Any, pc: Any, cause: Any, tval: Any, code: Any) -> Any:
    if cpu[REF_STEP] == U0:
        return
    row = cpu[TRAPS] + cpu[TRAP_COUNT] * _TRAP_BYTES
    store64(row + _TRAP_IADDR, pc)
    store64(row + _TRAP_TVAL, tval)
    store64(row + _TRAP_CAUSE, cause)
    store8(row + _TRAP_PRIV, cpu[PRIV])
    store8(row + _TRAP_VALID, U1)
    add_reference(cpu, cpu[TRAP_COUNT] << U4 | code)
    cpu[TRAP_COUNT] += U1


@spliced
def _enter_m(cpu: Any, pc: Any, cause: Any, tval: Any) -> Any:
    """`cause`: with the interrupt bit. Returns mtvec."""
    old = cpu[MSTATUS]
    enabled = (old & _MIE) << U4
    level = cpu[PRIV] << _MPP_SHIFT
    cpu[MSTATUS] = (old & ~(_MIE | _MPIE | _MPP)) | enabled | level
    cpu[MEPC], cpu[MCAUSE], cpu[MTVAL] = pc, cause, tval
    cpu[PRIV] = _M
    return cpu[MTVEC]


@spliced
def _enter_s(cpu: Any, pc: Any, cause: Any, tval: Any) -> Any:
    """As `_enter_m`, for a trap that is delegated."""
    old = cpu[MSTATUS]
    enabled = (old & _SIE) << U4
    level = _SPP if cpu[PRIV] == _S else U0
    cpu[MSTATUS] = (old & ~(_SIE | _SPIE | _SPP)) | enabled | level
    cpu[SEPC], cpu[SCAUSE], cpu[STVAL] = pc, cause, tval
    cpu[PRIV] = _S
    return cpu[STVEC]


@njit
def take_trap(cpu: Any, pc: Any, cause: Any, tval: Any, interrupt: Any) -> Any:
    """Enter the trap handler; cpu[RETIRED] is up to date. The CSRs of its level, cpu[PC], records,
    and the event.
    """
    priv = cpu[PRIV]
    _record(cpu, pc, cause, tval, _INTERRUPT_CODE if interrupt else _EXCEPTION_CODE)
    counts = INTERRUPT_COUNTS if interrupt else EXCEPTION_COUNTS
    cpu[counts + s64(cause)] += U1
    cpu[STUCK] = cpu[STUCK] + U1 if cpu[LAST_TRAP] == cpu[RETIRED] + U1 else U0
    cpu[LAST_TRAP] = cpu[RETIRED] + U1
    asked = not interrupt and _ECALL_U <= cause <= _ECALL_M
    cpu[HANDLING] = U0 if asked else U1
    delegated = cpu[MIDELEG] if interrupt else cpu[MEDELEG]
    what = cause | U1 << (cpu[XLEN] - U1) if interrupt else cause
    if priv != _M and delegated >> cause & U1 != U0:
        vector = _enter_s(cpu, pc & cpu[EPC_MASK], what, tval)
    else:
        vector = _enter_m(cpu, pc & cpu[EPC_MASK], what, tval)
    target = vector & ~U3
    if interrupt and vector & U1 != U0:
        target += cause << U2
    cpu[PC] = target & cpu[ADDRESS_MASK]
    since = pending_since(cpu, cause) if interrupt else cpu[RETIRED]
    raise_event(cpu, _INTERRUPT if interrupt else _EXCEPTION, pc, (cause, tval), priv, since)


@njit
def take_exception(cpu: Any, ip: Any) -> Any:
    """Trap at the micro-operation `ip` with cpu[CAUSE] and cpu[TVAL]."""
    retire_part(cpu, ip)
    take_trap(cpu, block_pc(cpu, ip), cpu[CAUSE], cpu[TVAL], s64(0))


@njit
def take_interrupt(cpu: Any) -> Any:
    """Take the interrupt of highest priority that is pending and enabled. Returns whether."""
    among = allowed(cpu)
    if among == U0:
        return False
    ready = pending(cpu, cpu[RETIRED]) & among
    if ready == U0:
        return False
    if ready & ~cpu[MIDELEG] != U0:
        # those for machine mode come first
        ready &= ~cpu[MIDELEG]
    for cause in ORDER:
        if ready >> cause & U1 != U0:
            take_trap(cpu, cpu[PC] & ~_SEQUEL, cause, U0, s64(1))
            return True
    return False


@njit
def _returned(cpu: Any, pc: Any, to: Any, priv: Any) -> Any:
    """An xRET at `pc` led to `to`, at the level `priv`."""
    before = cpu[PRIV]
    cpu[PRIV] = priv
    if priv != _M:
        cpu[MSTATUS] &= ~_MPRV
    cpu[PC] = to & cpu[EPC_MASK]
    cpu[HANDLING] = U0
    raise_event(cpu, _TRAP_RETURN, pc, (U0, U0), before, cpu[RETIRED])


@njit
def mret(cpu: Any, pc: Any) -> Any:
    """MRET at `pc`: MIE from MPIE, MPIE set, the level from MPP, which becomes the lowest one; on
    to mepc."""
    old = cpu[MSTATUS]
    enabled = (old & _MPIE) >> U4
    lowest = U0 if cpu[HAS] & u64(HAS_U) != U0 else _MPP
    cpu[MSTATUS] = (old & ~(_MIE | _MPP)) | enabled | _MPIE | lowest
    _returned(cpu, pc, cpu[MEPC], (old & _MPP) >> _MPP_SHIFT)


@njit
def sret(cpu: Any, pc: Any) -> Any:
    """SRET at `pc`: the same with SIE, SPIE, SPP and sepc."""
    old = cpu[MSTATUS]
    enabled = (old & _SPIE) >> U4
    cpu[MSTATUS] = (old & ~(_SIE | _SPP)) | enabled | _SPIE
    _returned(cpu, pc, cpu[SEPC], _S if old & _SPP != U0 else _U)
