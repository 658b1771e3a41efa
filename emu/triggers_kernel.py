"""Debug triggers: their registers, and which fire at an address (layout: `emu/triggers.py`)."""

from typing import Any

import numpy as np

from emu.access import load64, store64
from emu.state import (
    ADDRESS_MASK,
    ARMED,
    CSR_VALUE,
    STALE,
    TRIGGER_BYTES,
    TRIGGER_COUNT,
    TRIGGERS,
    XLEN,
)
from emu.triggers import (
    ACTION_SHIFT,
    ACTIONS,
    CAN_BE_SET,
    COUNT,
    DISABLED,
    EQUAL,
    EXECUTE,
    FIELD,
    IGNORED_MCONTROL,
    IGNORED_MCONTROL6,
    LESS,
    MATCH_SHIFT,
    MCONTROL,
    MCONTROL6,
    NOT_LESS,
    M,
)
from specs.compiled import U0, U1, U4, njit, s64
from specs.csrs import ADDRESS

TSELECT, TDATA1, TDATA2 = ADDRESS["tselect"], ADDRESS["tdata1"], ADDRESS["tdata2"]

_ROW = np.uint64(TRIGGER_BYTES)
_COUNT = np.uint64(COUNT)
_U8 = np.uint64(8)
_U16 = np.uint64(16)
_MCONTROL, _MCONTROL6 = np.uint64(MCONTROL), np.uint64(MCONTROL6)
_DISABLED = np.uint64(DISABLED)
_FIELD = np.uint64(FIELD)
_ACTION, _MATCH = np.uint64(ACTION_SHIFT), np.uint64(MATCH_SHIFT)
_CAN_BE_SET = np.uint64(CAN_BE_SET)
_NEEDED = np.uint64(M | EXECUTE)
_EQUAL, _NOT_LESS, _LESS = np.uint64(EQUAL), np.uint64(NOT_LESS), np.uint64(LESS)
_IGNORED, _IGNORED6 = np.uint64(IGNORED_MCONTROL), np.uint64(IGNORED_MCONTROL6)
#: Pulse by action, 0: the action is not there.
_PULSE = np.zeros(FIELD + 1, np.uint64)
for _action, _pulse in ACTIONS.items():
    _PULSE[_action] = _pulse


@njit
def legal(value: Any, xlen: Any) -> Any:
    """What tdata1 becomes when `value` is written (WARL): it, or "disabled"."""
    shift = xlen - U4
    kind = value >> shift & _FIELD
    rest = value & ~(_FIELD << shift)
    rest &= ~(_IGNORED if kind == _MCONTROL else _IGNORED6)
    match = rest >> _MATCH & _FIELD
    if (
        (kind == _MCONTROL or kind == _MCONTROL6)
        and rest & ~_CAN_BE_SET == U0
        and _PULSE[s64(rest >> _ACTION & _FIELD)] != U0
        and (match == _EQUAL or match == _NOT_LESS or match == _LESS)
    ):
        return kind << shift | rest
    return _DISABLED << shift


@njit
def armed(tdata1: Any, xlen: Any) -> Any:
    """The pulse of a trigger, with its match above bit 8; 0 if it cannot fire."""
    if tdata1 >> (xlen - U4) & _FIELD == _DISABLED or tdata1 & _NEEDED != _NEEDED:
        return U0
    return _PULSE[s64(tdata1 >> _ACTION & _FIELD)] | (tdata1 >> _MATCH & _FIELD) << _U8


@njit
def firing(cpu: Any, pc: Any) -> Any:
    """Pulses (`SIDEBAND.trigger`) of the triggers that match the instruction at `pc`."""
    pulses = U0
    row = cpu[TRIGGERS]
    for _ in range(s64(cpu[TRIGGER_COUNT])):
        address, how = load64(row + _U8), load64(row + _U16)
        match = how >> _U8
        if (
            (match == _EQUAL and pc == address)
            or (match == _NOT_LESS and pc >= address)
            or (match == _LESS and pc < address)
        ):
            pulses |= how & _FIELD
        row += _ROW
    return pulses


@njit
def _selected(cpu: Any) -> Any:
    return cpu[TRIGGERS] + cpu[CSR_VALUE + TSELECT] * _ROW


@njit
def read_trigger(cpu: Any, address: Any) -> Any:
    """Value of tselect, or of tdata1 or tdata2 of the trigger that it selects."""
    if address == TSELECT:
        return cpu[CSR_VALUE + TSELECT]
    return load64(_selected(cpu) if address == TDATA1 else _selected(cpu) + _U8)


@njit
def write_trigger(cpu: Any, address: Any, value: Any) -> Any:
    """Write tselect, tdata1 or tdata2. STALE is set if what fires may change."""
    if address == TSELECT:
        if value < _COUNT:
            cpu[CSR_VALUE + TSELECT] = value
        return
    row = _selected(cpu)
    before = load64(row + _U16)
    if address == TDATA1:
        tdata1 = legal(value & cpu[ADDRESS_MASK], cpu[XLEN])
        store64(row, tdata1)
        after = armed(tdata1, cpu[XLEN])
        store64(row + _U16, after)
        if before != U0:
            cpu[ARMED] -= U1
        if after != U0:
            cpu[ARMED] += U1
    else:
        store64(row + _U8, value & cpu[ADDRESS_MASK])
        after = before
    if (before | after) != U0:
        cpu[STALE] = U1
