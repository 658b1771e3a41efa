"""Where an address leads: for loads and stores to memory or a device, for code to memory."""

from typing import Any

import numpy as np

from emu.hart import pmp
from emu.hart.contents import see_page
from emu.hart.faults import FAULT
from emu.hart.modes import data_privilege, satp_mode
from emu.hart.paging import EXECUTE, READ, WRITE, access_fault, translate
from emu.hart.regions import fill_tlb, find_region, has_tohost
from emu.hart.state import (
    FETCH_ENTRIES,
    FETCH_ENTRY_BYTES,
    FETCH_TLB,
    MODE,
    MODE_VIRTUAL,
    PAGE_BITS,
    PHYSICAL,
    PMP_COUNT,
    PRIV,
)
from specs.isa.privilege import Privilege
from specs.kernels.memory import load64, store64
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U2, U8, U16, U24

#: `reach` found no memory; cpu[PHYSICAL] is an address that a device may have.
NO_MEMORY = U1

_M = np.uint64(Privilege.M)
_VIRTUAL = np.uint64(MODE_VIRTUAL)
_PAGE, _OFFSET = np.uint64(0xFFFF_FFFF_FFFF_F000), np.uint64(0xFFF)
_PAGE_BITS = np.uint64(PAGE_BITS)
_FETCH_MASK, _FETCH_BYTES = np.uint64(FETCH_ENTRIES - 1), np.uint64(FETCH_ENTRY_BYTES)
_BOTH = READ | WRITE


@njit
def reach(cpu: Any, address: Any, size: Any, access: Any, also: Any) -> Any:
    """Host pointer to the `size` bytes at the virtual `address`, within a page; `access` is READ or
    WRITE, `also` what has to be permitted besides (an AMO reads). 0: CAUSE and TVAL are set.
    `NO_MEMORY`: see there; it may be accessed.
    """
    priv = data_privilege(cpu)
    virtual = priv != _M and satp_mode(cpu) != U0
    physical = address
    if virtual:
        if translate(cpu, address, access, priv) == FAULT:
            return U0
        physical = cpu[PHYSICAL]
    cpu[PHYSICAL] = physical
    unguarded = priv == _M and cpu[PMP_COUNT] == U0
    if not unguarded and not pmp.permitted(cpu, physical, size, access | also, priv):
        access_fault(cpu, access, address)
        return U0
    region = find_region(cpu, physical)
    if region == U0:
        return NO_MEMORY
    if access == WRITE and load64(region + U24) == U0:
        access_fault(cpu, access, address)
        return U0
    host = physical - load64(region) + load64(region + U16)
    if unguarded or pmp.is_uniform(cpu, physical & _PAGE):
        if unguarded or pmp.permitted(cpu, physical, size, READ, priv):
            writable = access == WRITE
            if not writable and not virtual and load64(region + U24) != U0:
                writable = unguarded or pmp.permitted(cpu, physical, size, _BOTH, priv)
            fill_tlb(cpu, address, host, writable and not has_tohost(cpu, physical))
    return host


@njit
def code(cpu: Any, address: Any) -> Any:
    """Host pointer to the half-word of code at the virtual `address`; cpu[PHYSICAL] is where it is.
    0: CAUSE and TVAL are set.
    """
    tag = address & _PAGE | cpu[MODE]
    entry = cpu[FETCH_TLB] + (address >> _PAGE_BITS & _FETCH_MASK) * _FETCH_BYTES
    offset = address & _OFFSET
    if load64(entry) == tag:
        cpu[PHYSICAL] = load64(entry + U16) | offset
        return load64(entry + U8) + offset
    physical = address
    if cpu[MODE] & _VIRTUAL != U0:
        if translate(cpu, address, EXECUTE, cpu[PRIV]) == FAULT:
            return U0
        physical = cpu[PHYSICAL]
    cpu[PHYSICAL] = physical
    region = find_region(cpu, physical)
    if region == U0 or not pmp.permitted(cpu, physical, U2, EXECUTE, cpu[PRIV]):
        access_fault(cpu, EXECUTE, address)
        return U0
    host = physical - load64(region) + load64(region + U16)
    if cpu[MODE] & _VIRTUAL != U0:
        see_page(cpu, address & _PAGE, host - offset, physical & _PAGE)
    if pmp.is_uniform(cpu, physical & _PAGE):
        store64(entry, tag)
        store64(entry + U8, host - offset)
        store64(entry + U16, physical & _PAGE)
    return host
