"""Raising events, and calling compiled hooks with them and with what retired.

A hook's table row is 24 bytes: address of its machine code, its user pointer, its kinds.
"""

from typing import Any

import numpy as np

from emu.hart.interrupts import mtime
from emu.hart.state import (
    BLOCKS,
    DELIVERED,
    EVENT_CAUSE,
    EVENT_FROM,
    EVENT_HART,
    EVENT_HOOK_COUNT,
    EVENT_HOOKS,
    EVENT_INSTRET,
    EVENT_KIND,
    EVENT_KINDS,
    EVENT_PENDING_SINCE,
    EVENT_PRIV_AFTER,
    EVENT_PRIV_BEFORE,
    EVENT_RETURNS,
    EVENT_TIME,
    EVENT_TO,
    EVENT_TVAL,
    HOOK_BYTES,
    MHARTID,
    PC,
    PRIV,
    REFS,
    RETIRE_HOOK_COUNT,
    RETIRE_HOOKS,
    RETIRED,
    TRAPS,
)
from specs.kernels.memory import call3, call5, load64
from specs.kernels.njit import njit
from specs.kernels.words import U0, U2, U8, U16, s64, u64

_KIND_AT = np.uint64(8 * EVENT_KIND)
_HOOK = np.uint64(HOOK_BYTES)


@njit
def raise_event(cpu: Any, kind: Any, from_pc: Any, trap: Any, priv: Any, since: Any) -> Any:
    """Note an event, after the state has changed, for `deliver`; `trap`: its cause and tval;
    `priv`: before it. Does nothing for a kind that nobody wants.
    """
    if cpu[EVENT_KINDS] & kind == U0:
        return
    cpu[EVENT_KIND] = kind
    cpu[EVENT_HART] = cpu[MHARTID]
    cpu[EVENT_FROM] = from_pc
    cpu[EVENT_TO] = cpu[PC]
    cpu[EVENT_CAUSE], cpu[EVENT_TVAL] = trap
    cpu[EVENT_PRIV_BEFORE] = priv
    cpu[EVENT_PRIV_AFTER] = cpu[PRIV]
    cpu[EVENT_INSTRET] = cpu[RETIRED]
    cpu[EVENT_TIME] = mtime(cpu, cpu[RETIRED])
    cpu[EVENT_PENDING_SINCE] = since


@njit
def call_event_hook(cpu: Any, row: Any) -> Any:
    """Call the compiled hook at `row` with the event in hand."""
    registers = u64(cpu.ctypes.data)
    call3(load64(row), (registers + _KIND_AT, registers, load64(row + U8)))


@njit
def call_retire_hook(cpu: Any, row: Any) -> Any:
    """Call the compiled hook at `row` with the references that were not delivered yet."""
    count = (cpu[REFS] - cpu[DELIVERED]) >> U2
    call5(load64(row), (cpu[DELIVERED], count, cpu[BLOCKS], cpu[TRAPS], load64(row + U8)))


@njit
def deliver(cpu: Any) -> Any:
    """Call the compiled hooks for the event in hand: first those for what retired before it.

    Returns True, and does nothing, where a Python hook wants the event or what retired: then
    Python calls all of them, in their order.
    """
    kind = cpu[EVENT_KIND]
    if kind & cpu[EVENT_RETURNS] != U0:
        return True
    if cpu[REFS] != cpu[DELIVERED]:
        row = cpu[RETIRE_HOOKS]
        for _ in range(s64(cpu[RETIRE_HOOK_COUNT])):
            call_retire_hook(cpu, row)
            row += _HOOK
        cpu[DELIVERED] = cpu[REFS]
    row = cpu[EVENT_HOOKS]
    for _ in range(s64(cpu[EVENT_HOOK_COUNT])):
        if load64(row + U16) & kind != U0:
            call_event_hook(cpu, row)
        row += _HOOK
    cpu[EVENT_KIND] = U0
    return False
