"""What the hart runs as: privilege, whose memory it sees, and what code is translated for."""

from typing import Any

import numpy as np

from emu.hart.state import (
    COOKIE,
    COOKIE_SHIFT,
    FCSR,
    FETCH_ENTRIES,
    FETCH_ENTRY_BYTES,
    FETCH_TLB,
    FS_CLEAN,
    FS_DIRTY,
    FS_OFF,
    JUMP_ENTRIES,
    JUMPS,
    MODE,
    MODE_FS_SHIFT,
    MODE_NO_FRM,
    MODE_VIRTUAL,
    MSTATUS,
    NO_JUMP,
    NO_TAG,
    PRIV,
    SATP,
    TLB,
    TLB_COUNT,
    TLB_ENTRIES,
    TLB_ENTRY_BYTES,
    TLB_M,
    TLB_S,
    TLB_SUM,
    TLB_U,
    TLBS,
    TLBS_USED,
    XLEN,
)
from emu.hart.status import FS, FS_SHIFT, MPP_SHIFT, MPRV, SUM
from specs.isa.privilege import Privilege
from specs.kernels.memory import store64
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U3, U4, U5, U8, U16, U31, U32, u64

#: mode of satp: none, and by their number on RV64.
BARE, SV39, SV48, SV57 = 0, 8, 9, 10

_M, _S, _U = np.uint64(Privilege.M), np.uint64(Privilege.S), np.uint64(Privilege.U)
_MPRV, _SUM, _FS = np.uint64(MPRV), np.uint64(SUM), np.uint64(FS)
_MPP_SHIFT, _FS_SHIFT = np.uint64(MPP_SHIFT), np.uint64(FS_SHIFT)
_VIRTUAL, _NO_FRM = np.uint64(MODE_VIRTUAL), np.uint64(MODE_NO_FRM)
_AT_FS, _COOKIE = np.uint64(MODE_FS_SHIFT), np.uint64(COOKIE_SHIFT)
#: By mstatus.FS.
_FS_AS = np.array([FS_OFF, FS_CLEAN, FS_CLEAN, FS_DIRTY], np.uint64)
_TLB_BYTES = np.uint64(TLB_ENTRIES * TLB_ENTRY_BYTES)
_TLB_M, _TLB_S, _TLB_SUM, _TLB_U = (np.uint64(n) for n in (TLB_M, TLB_S, TLB_SUM, TLB_U))
_ENTRY, _FETCH = np.uint64(TLB_ENTRY_BYTES), np.uint64(FETCH_ENTRY_BYTES)
_NO_TAG, _NO_JUMP = np.uint64(NO_TAG), np.uint64(NO_JUMP)
_MODE_64 = np.uint64(60)


@njit
def satp_mode(cpu: Any) -> Any:
    """MODE of satp (uint64); on RV32, 1 for Sv32."""
    return cpu[SATP] >> (U31 if cpu[XLEN] == U32 else _MODE_64)


@njit
def data_privilege(cpu: Any) -> Any:
    """The level as which loads and stores are done ("Memory Privilege in mstatus Register")."""
    if cpu[MSTATUS] & _MPRV != U0 and cpu[PRIV] == _M:
        return cpu[MSTATUS] >> _MPP_SHIFT & U3
    return cpu[PRIV]


@njit
def set_mode(cpu: Any) -> Any:
    """Have MODE and TLB say what the hart's registers do; to be called before code is looked up."""
    priv, status = cpu[PRIV], cpu[MSTATUS]
    mode = priv
    if priv != _M and satp_mode(cpu) != U0:
        mode |= _VIRTUAL
    if status & _FS != U0:
        mode |= _FS_AS[status >> _FS_SHIFT & U3] << _AT_FS
        if cpu[FCSR] >> U5 > U4:
            mode |= _NO_FRM
    cpu[MODE] = mode
    cpu[COOKIE] = mode << _COOKIE
    data = data_privilege(cpu)
    which = _TLB_M
    if data == _U:
        which = _TLB_U
    elif data == _S:
        which = _TLB_S if status & _SUM == U0 else _TLB_SUM
    cpu[TLB] = cpu[TLBS] + which * _TLB_BYTES
    cpu[TLBS_USED] |= U1 << which


@njit
def forget_data(cpu: Any) -> Any:
    """Empty the data TLBs."""
    for number in range(TLB_COUNT):
        if cpu[TLBS_USED] >> u64(number) & U1 != U0:
            entry = cpu[TLBS] + u64(number) * _TLB_BYTES
            for _ in range(TLB_ENTRIES):
                store64(entry, _NO_TAG)
                store64(entry + U8, _NO_TAG)
                entry += _ENTRY
    cpu[TLBS_USED] = U0


@njit
def forget_jumps(cpu: Any) -> Any:
    """Empty the cache of the targets of jumps."""
    jump = cpu[JUMPS]
    for _ in range(JUMP_ENTRIES):
        store64(jump, _NO_JUMP)
        jump += U16


@njit
def forget_addresses(cpu: Any) -> Any:
    """Forget where virtual addresses lead, and what may be accessed there."""
    forget_data(cpu)
    entry = cpu[FETCH_TLB]
    for _ in range(FETCH_ENTRIES):
        store64(entry, _NO_TAG)
        entry += _FETCH
    forget_jumps(cpu)
