"""Debug triggers: their registers, and which fire at an access (layout:
`emu/hart/trigger_registers.py`)."""

from typing import Any

import numpy as np

from emu.hart import status
from emu.hart.state import (
    ADDRESS_MASK,
    ARMED,
    CAUSE,
    CSR_VALUE,
    FIRING,
    HAS,
    HAS_S,
    HAS_U,
    MEDELEG,
    MSTATUS,
    PRIV,
    STALE,
    TRIGGER_BYTES,
    TRIGGER_COUNT,
    TRIGGERS,
    TVAL,
    XLEN,
)
from emu.hart.trigger_registers import (
    ACCESSES,
    ACCESSES_AT,
    ACTION_SHIFT,
    ACTIONS,
    BREAK,
    BREAKPOINT_ACTION,
    BYTES_AT,
    CHAIN_SHIFT,
    COUNT,
    DEBUG_MODE_ACTION,
    DISABLED,
    EQUAL,
    EXECUTE,
    FIELD,
    HIT_2,
    HIT_6,
    KEPT,
    LESS,
    LEVELS_AT,
    LOOK,
    MASKMAX_BELOW,
    MATCH_AT,
    MATCH_SHIFT,
    MCONTROL,
    MCONTROL6,
    NAPOT,
    NOT_LESS,
    OF_LEVEL,
    SELECT_2,
    SELECT_6,
    SIZE_6,
    SIZE_SHIFT,
    SIZEHI_SHIFT,
    SIZELO,
    SIZES,
    M,
    S,
    U,
)
from specs.isa.causes import BREAKPOINT
from specs.isa.csrs import ADDRESS
from specs.isa.privilege import Privilege
from specs.kernels.memory import load64, store64
from specs.kernels.njit import njit
from specs.kernels.words import ALL_ONES, U0, U1, U2, U4, U7, U8, U16, U64, U255, s64, u64

TSELECT, TDATA1, TDATA2 = ADDRESS["tselect"], ADDRESS["tdata1"], ADDRESS["tdata2"]

_ROW = np.uint64(TRIGGER_BYTES)
_COUNT = np.uint64(COUNT)
_MCONTROL, _MCONTROL6 = np.uint64(MCONTROL), np.uint64(MCONTROL6)
_DISABLED = np.uint64(DISABLED)
_FIELD = np.uint64(FIELD)
_KEPT, _CHAIN = np.uint64(KEPT), np.uint64(1 << CHAIN_SHIFT)
_ACTION, _MATCH, _SIZE = np.uint64(ACTION_SHIFT), np.uint64(MATCH_SHIFT), np.uint64(SIZE_SHIFT)
_SIZELO, _SIZEHI, _SIZE_6 = np.uint64(SIZELO), np.uint64(SIZEHI_SHIFT), np.uint64(SIZE_6)
_SELECT_2, _SELECT_6 = np.uint64(SELECT_2), np.uint64(SELECT_6)
_HIT_2, _HIT_6 = np.uint64(HIT_2), np.uint64(HIT_6)
_MASKMAX_BELOW = np.uint64(MASKMAX_BELOW)
_M, _S, _U = np.uint64(M), np.uint64(S), np.uint64(U)
_EXECUTE, _ACCESSES = np.uint64(EXECUTE), np.uint64(ACCESSES)
_EQUAL, _NAPOT = np.uint64(EQUAL), np.uint64(NAPOT)
_NOT_LESS, _LESS = np.uint64(NOT_LESS), np.uint64(LESS)
_DEBUG_MODE = np.uint64(DEBUG_MODE_ACTION)
_BREAK, _LOOK = np.uint64(BREAK), np.uint64(LOOK)
_MATCH_AT, _ACCESSES_AT = np.uint64(MATCH_AT), np.uint64(ACCESSES_AT)
_BYTES_AT, _LEVELS_AT = np.uint64(BYTES_AT), np.uint64(LEVELS_AT)
_MIE, _SIE = np.uint64(status.MIE), np.uint64(status.SIE)
_BREAKPOINT = np.uint64(BREAKPOINT)
_LEVEL_M, _LEVEL_S = np.uint64(Privilege.M), np.uint64(Privilege.S)
#: `OF_LEVEL` by privilege.
_AT_LEVEL = np.zeros(4, np.uint64)
for _level, _bit in OF_LEVEL.items():
    _AT_LEVEL[_level] = _bit
#: What an action does, 0: there is no such action.
_WHAT = np.zeros(FIELD + 1, np.uint64)
_WHAT[BREAKPOINT_ACTION] = BREAK
for _action, _pulse in ACTIONS.items():
    _WHAT[_action] = _pulse
#: Bytes by size; no access has so many: there is no such size.
_NO_SIZE = np.uint64(255)
_BYTES = np.full(FIELD + 1, _NO_SIZE, np.uint64)
for _size, _bytes in SIZES.items():
    _BYTES[_size] = _bytes


@njit
def _bytes_of(tdata1: Any, xlen: Any) -> Any:
    """Bytes of the accesses that match, by the size field; 0: any, `_NO_SIZE`: none."""
    size = tdata1 >> _SIZE & _SIZE_6
    if tdata1 >> (xlen - U4) & _FIELD == _MCONTROL:
        size &= _SIZELO
        if xlen == U64:
            size |= (tdata1 >> _SIZEHI & _SIZELO) << U2
    found = _BYTES[s64(size)]
    return _NO_SIZE if found == U8 and xlen != U64 else found


@njit
def _is_napot(tdata2: Any, mask: Any) -> Any:
    """Whether it stands for a range smaller than all addresses: a bit below the top one is 0."""
    return tdata2 | ~(mask >> U1) != ALL_ONES


@njit
def legal(cpu: Any, value: Any, tdata2: Any) -> Any:
    """What tdata1 becomes when `value` is written (WARL): what there is of it, or "disabled"."""
    mask, xlen = cpu[ADDRESS_MASK], cpu[XLEN]
    shift = xlen - U4
    kind = value >> shift & _FIELD
    is_old = kind == _MCONTROL
    if value >> _ACTION & _FIELD == _DEBUG_MODE:
        value &= ~(_FIELD << _ACTION)
    match = value >> _MATCH & _FIELD
    size = _bytes_of(value, xlen)
    if (
        (not is_old and kind != _MCONTROL6)
        or value & (_CHAIN | (_SELECT_2 if is_old else _SELECT_6)) != U0
        or _WHAT[s64(value >> _ACTION & _FIELD)] == U0
        or match > _LESS
        or (match == _NAPOT and not _is_napot(tdata2, mask))
        or size == _NO_SIZE
        or (size != U0 and value & _EXECUTE != U0)
    ):
        return _DISABLED << shift
    keeps = _KEPT
    if cpu[HAS] & u64(HAS_S) != U0:
        keeps |= _S
    if cpu[HAS] & u64(HAS_U) != U0:
        keeps |= _U
    if is_old:
        sizes = _SIZELO << _SIZE
        if xlen == U64:
            sizes |= _SIZELO << _SIZEHI
        kept = value & (keeps | _HIT_2 | sizes) | (xlen - U1) << (xlen - _MASKMAX_BELOW)
    else:
        kept = value & (keeps | _HIT_6 | _SIZE_6 << _SIZE)
    return kind << shift | kept


@njit
def armed(tdata1: Any, xlen: Any) -> Any:
    """What a trigger does (`emu/hart/trigger_registers.py`), by its legal tdata1; 0 if it cannot
    fire."""
    accesses = tdata1 & _ACCESSES
    levels = tdata1 & (_M | _S | _U)
    if tdata1 >> (xlen - U4) & _FIELD == _DISABLED or levels == U0 or accesses == U0:
        return U0
    how = _WHAT[s64(tdata1 >> _ACTION & _FIELD)] | (tdata1 >> _MATCH & _FIELD) << _MATCH_AT
    how |= levels << _LEVELS_AT
    return how | accesses << _ACCESSES_AT | _bytes_of(tdata1, xlen) << _BYTES_AT


@njit
def _first(how: Any, tdata2: Any, address: Any, mask: Any) -> Any:
    """How far behind `address` the first byte is that matches; addresses wrap at `mask`."""
    match = how >> _MATCH_AT & _FIELD
    if match == _EQUAL:
        return (tdata2 - address) & mask
    if match == _NAPOT:
        inside = tdata2 ^ (tdata2 + U1)
        base = tdata2 & ~inside
        return U0 if (address - base) & mask <= inside else (base - address) & mask
    if match == _NOT_LESS:
        return U0 if address >= tdata2 else tdata2 - address
    if address < tdata2:
        return U0
    return ALL_ONES if tdata2 == U0 else (U0 - address) & mask


@njit
def _matches(cpu: Any, how: Any, accesses: Any) -> Any:
    """Whether a trigger is one for these accesses, at the hart's privilege level."""
    level = _AT_LEVEL[s64(cpu[PRIV])]
    return how >> _ACCESSES_AT & accesses != U0 and how >> _LEVELS_AT & level != U0


@njit
def _can_break(cpu: Any) -> Any:
    """Whether a breakpoint exception would not end up in the handler that it comes from (Sdtrig,
    "Native Triggers")."""
    if cpu[PRIV] == _LEVEL_M:
        return cpu[MSTATUS] & _MIE != U0
    if cpu[PRIV] == _LEVEL_S and cpu[MEDELEG] >> _BREAKPOINT & U1 != U0:
        return cpu[MSTATUS] & _SIE != U0
    return True


@njit
def firing(cpu: Any, pc: Any) -> Any:
    """Pulses (`SIDEBAND.trigger`) of the triggers that match the instruction at `pc`, and `LOOK` if
    any of them is the hart's own.
    """
    pulses = U0
    row = cpu[TRIGGERS]
    mask = cpu[ADDRESS_MASK]
    for i in range(s64(cpu[TRIGGER_COUNT])):
        how = load64(row + U16)
        if _matches(cpu, how, _EXECUTE) and _first(how, load64(row + U8), pc, mask) == U0:
            pulses |= how & U7
            if i < COUNT:
                pulses |= _LOOK
        row += _ROW
    return pulses


@njit
def matched(cpu: Any, accesses: Any, address: Any, size: Any) -> Any:
    """Look for triggers at an access of `size` bytes, before it is done; `accesses`: which it is,
    as in tdata1. True if one raises a breakpoint exception: CAUSE and TVAL are set. Otherwise what
    is to fire is added to FIRING: pulses, and the own triggers' numbers (a bit each) from bit 8 on.
    """
    row = cpu[TRIGGERS]
    mask = cpu[ADDRESS_MASK]
    enabled = _can_break(cpu)
    pulses = hits = broken = U0
    nearest = size
    for i in range(s64(cpu[TRIGGER_COUNT])):
        how = load64(row + U16)
        wanted = how >> _BYTES_AT & U255
        if _matches(cpu, how, accesses) and (wanted == U0 or wanted == size):
            distance = _first(how, load64(row + U8), address, mask)
            if distance < size:
                own = U1 << u64(i) if i < COUNT else U0
                if how & _BREAK == U0:
                    pulses |= how & U7
                    hits |= own
                elif enabled:
                    broken |= own
                    nearest = min(nearest, distance)
        row += _ROW
    if broken != U0:
        _hit(cpu, broken)
        cpu[CAUSE] = u64(BREAKPOINT)
        cpu[TVAL] = (address + nearest) & mask
        return True
    cpu[FIRING] |= pulses | hits << U8
    return False


@njit
def _hit(cpu: Any, numbers: Any) -> Any:
    row = cpu[TRIGGERS]
    for i in range(COUNT):
        # An instruction may have disarmed the trigger that it hit.
        if numbers >> u64(i) & U1 != U0 and load64(row + U16) != U0:
            tdata1 = load64(row)
            is_old = tdata1 >> (cpu[XLEN] - U4) & _FIELD == _MCONTROL
            store64(row, tdata1 | (_HIT_2 if is_old else _HIT_6))
        row += _ROW


@njit
def _selected(cpu: Any) -> Any:
    return cpu[TRIGGERS] + cpu[CSR_VALUE + TSELECT] * _ROW


@njit
def read_trigger(cpu: Any, address: Any) -> Any:
    """Value of tselect, or of tdata1 or tdata2 of the trigger that it selects."""
    if address == TSELECT:
        return cpu[CSR_VALUE + TSELECT]
    return load64(_selected(cpu) if address == TDATA1 else _selected(cpu) + U8)


@njit
def _count_armed(cpu: Any) -> Any:
    row = cpu[TRIGGERS]
    accesses = U0
    for _ in range(s64(cpu[TRIGGER_COUNT])):
        accesses |= load64(row + U16) >> _ACCESSES_AT & _ACCESSES
        row += _ROW
    cpu[ARMED] = accesses


@njit
def write_trigger(cpu: Any, address: Any, value: Any) -> Any:
    """Write tselect, tdata1 or tdata2. STALE is set if what fires may change."""
    if address == TSELECT:
        if value < _COUNT:
            cpu[CSR_VALUE + TSELECT] = value
        return
    row = _selected(cpu)
    before = load64(row + U16)
    tdata2 = load64(row + U8)
    mask, xlen = cpu[ADDRESS_MASK], cpu[XLEN]
    value &= mask
    if address == TDATA1:
        tdata1 = legal(cpu, value, tdata2)
        store64(row, tdata1)
        after = armed(tdata1, xlen)
        store64(row + U16, after)
        _count_armed(cpu)
        if before != after:
            cpu[STALE] = U1
        return
    if load64(row) >> _MATCH & _FIELD == _NAPOT and not _is_napot(value, mask):
        value &= ~(U1 << (xlen - U2))
    store64(row + U8, value)
    if before != U0 and value != tdata2:
        cpu[STALE] = U1
