"""From virtual to physical addresses (privileged architecture, "Virtual Address Translation
Process"; Sv32, Sv39, Sv48, Sv57; Svade and Svadu, Svnapot, Svpbmt)."""

from typing import Any

import numpy as np

from emu.hart import pmp
from emu.hart.faults import OK, fault
from emu.hart.modes import satp_mode
from emu.hart.regions import find_region
from emu.hart.state import MENVCFG, MSTATUS, PHYSICAL, SATP, XLEN
from emu.hart.status import ADUE, MXR, PBMTE, SUM
from specs.isa.causes import (
    INSTRUCTION_ACCESS_FAULT,
    INSTRUCTION_PAGE_FAULT,
    LOAD_ACCESS_FAULT,
    LOAD_PAGE_FAULT,
    STORE_ACCESS_FAULT,
    STORE_PAGE_FAULT,
)
from specs.isa.privilege import Privilege
from specs.kernels.memory import load32u, load64, store32, store64
from specs.kernels.njit import njit, spliced
from specs.kernels.words import U0, U1, U4, U8, U10, U16, U24, U32, s64, u64

#: What an access is for, as in a configuration of PMP. An AMO is a WRITE here.
READ, WRITE, EXECUTE = (np.uint64(access) for access in (pmp.READ, pmp.WRITE, pmp.EXECUTE))

#: By access.
_ACCESS_FAULT = np.zeros(8, np.int64)
_PAGE_FAULT = np.zeros(8, np.int64)
_ACCESS_FAULT[[pmp.READ, pmp.WRITE, pmp.EXECUTE]] = (
    LOAD_ACCESS_FAULT, STORE_ACCESS_FAULT, INSTRUCTION_ACCESS_FAULT,
)  # fmt: skip
_PAGE_FAULT[[pmp.READ, pmp.WRITE, pmp.EXECUTE]] = (
    LOAD_PAGE_FAULT, STORE_PAGE_FAULT, INSTRUCTION_PAGE_FAULT,
)  # fmt: skip

#: Bits of a page-table entry.
_V, _R, _W, _X, _USER, _A, _D = (np.uint64(1 << bit) for bit in (0, 1, 2, 3, 4, 6, 7))
_LEAF = _R | _W | _X
#: RV64: reserved; the memory type; N.
_RESERVED, _PBMT, _N = np.uint64(0x7F << 54), np.uint64(3 << 61), np.uint64(1 << 63)
_PPN_64, _PPN_32 = np.uint64((1 << 44) - 1), np.uint64((1 << 22) - 1)
#: Svnapot: 64 KiB, the only size that there is.
_NAPOT_MASK, _NAPOT_64K = np.uint64(0xF), np.uint64(0x8)
_S, _U = np.uint64(Privilege.S), np.uint64(Privilege.U)
_SUM, _MXR = np.uint64(SUM), np.uint64(MXR)
_ADUE, _PBMTE = np.uint64(ADUE), np.uint64(PBMTE)
_PAGE_BITS, _OFFSET = np.uint64(12), np.uint64(0xFFF)
_NINE, _LEVELS_BELOW = np.uint64(9), np.uint64(5)


@njit
def access_fault(cpu: Any, access: Any, address: Any) -> Any:
    return fault(cpu, _ACCESS_FAULT[access], address)


@njit
def _page_fault(cpu: Any, access: Any, address: Any) -> Any:
    return fault(cpu, _PAGE_FAULT[access], address)


@spliced
def _is_canonical(cpu: Any, address: Any, levels: Any) -> Any:
    """Whether the bits above those that are translated are all the same as the highest of them."""
    if cpu[XLEN] == U32:
        return True
    unused = 64 - (12 + 9 * levels)
    return u64(s64(address << u64(unused)) >> unused) == address


@spliced
def _is_wrong(cpu: Any, entry: Any, level: Any) -> Any:
    """Whether a page-table entry has reserved bits set, or combinations that are."""
    if entry & _V == U0 or entry & (_R | _W) == _W:
        return True
    leaf = entry & _LEAF != U0
    if not leaf and entry & (_A | _D | _USER | _PBMT | _N) != U0:
        return True
    if entry & (_RESERVED | _PBMT | _N) == U0:
        return False
    if entry & _RESERVED != U0 or entry & _PBMT == _PBMT:
        return True
    if entry & _PBMT != U0 and cpu[MENVCFG] & _PBMTE == U0:
        return True
    if entry & _N != U0:
        return level != 0 or entry >> U10 & _NAPOT_MASK != _NAPOT_64K
    return False


@spliced
def _is_denied(cpu: Any, entry: Any, access: Any, priv: Any) -> Any:
    """Whether a leaf does not allow `access` at `priv`."""
    status = cpu[MSTATUS]
    if entry & _USER == U0:
        if priv == _U:
            return True
    elif priv == _S and (access == EXECUTE or status & _SUM == U0):
        return True
    if access == READ:
        readable = _R | _X if status & _MXR != U0 else _R
        return entry & readable == U0
    return entry & (_W if access == WRITE else _X) == U0


@njit
def translate(cpu: Any, address: Any, access: Any, priv: Any) -> Any:
    """Have cpu[PHYSICAL] be where `address` leads, for an access of `priv` (S or U) while satp's
    mode is not bare. OK, or FAULT: CAUSE and TVAL are set.

    Long: the steps of the manual, in its order.
    """
    narrow = cpu[XLEN] == U32
    levels = 2 if narrow else s64(satp_mode(cpu) - _LEVELS_BELOW)
    bits = U10 if narrow else _NINE
    table = (cpu[SATP] & (_PPN_32 if narrow else _PPN_64)) << _PAGE_BITS
    if not _is_canonical(cpu, address, levels):
        return _page_fault(cpu, access, address)
    for step in range(levels):
        level = levels - 1 - step
        below = u64(level) * bits
        index = address >> (below + _PAGE_BITS) & ((U1 << bits) - U1)
        size = U4 if narrow else U8
        at = table + index * size
        region = find_region(cpu, at)
        if region == U0 or not pmp.permitted(cpu, at, size, READ, _S):
            return access_fault(cpu, access, address)
        host = at - load64(region) + load64(region + U16)
        entry = load32u(host) if narrow else load64(host)
        if _is_wrong(cpu, entry, level):
            return _page_fault(cpu, access, address)
        page = entry >> U10 & (_PPN_32 if narrow else _PPN_64)
        if entry & _LEAF == U0:
            table = page << _PAGE_BITS
            continue
        within = (U1 << below) - U1
        if _is_denied(cpu, entry, access, priv) or page & within != U0:
            return _page_fault(cpu, access, address)
        missing = (_A | _D if access == WRITE else _A) & ~entry
        if missing != U0:
            if cpu[MENVCFG] & _ADUE == U0:
                return _page_fault(cpu, access, address)
            if load64(region + U24) == U0 or not pmp.permitted(cpu, at, size, WRITE, _S):
                return access_fault(cpu, access, address)
            if narrow:
                store32(host, entry | missing)
            else:
                store64(host, entry | missing)
        if not narrow and entry & _N != U0:
            within = _NAPOT_MASK
            page &= ~within
        page |= address >> _PAGE_BITS & within
        cpu[PHYSICAL] = page << _PAGE_BITS | address & _OFFSET
        return OK
    return _page_fault(cpu, access, address)
