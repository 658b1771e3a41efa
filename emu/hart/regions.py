"""Memory by physical address: its regions, and the TLBs in front of them."""

from typing import Any

import numpy as np

from emu.hart.interrupts import end_slice
from emu.hart.state import (
    HOST,
    NO_TAG,
    PAGE_BITS,
    REGION_BYTES,
    REGION_COUNT,
    REGIONS,
    TLB,
    TLB_ENTRIES,
    TLB_ENTRY_BYTES,
    TOHOST,
)
from specs.kernels.memory import load64, store64
from specs.kernels.njit import njit
from specs.kernels.words import U0, U1, U8, U16, s64

_REGION = np.uint64(REGION_BYTES)
_PAGE = np.uint64(0xFFFF_FFFF_FFFF_F000)
_PAGE_BITS = np.uint64(PAGE_BITS)
_ENTRY_MASK = np.uint64(TLB_ENTRIES - 1)
_ENTRY_BYTES = np.uint64(TLB_ENTRY_BYTES)
_NO_TAG = np.uint64(NO_TAG)


@njit
def find_region(cpu: Any, address: Any) -> Any:
    """Host pointer to the region (base, end, host pointer, writable) of an address; 0 if none."""
    region = cpu[REGIONS]
    for _ in range(s64(cpu[REGION_COUNT])):
        if address - load64(region) < load64(region + U8) - load64(region):
            return region
        region += _REGION
    return U0


@njit
def fill_tlb(cpu: Any, address: Any, host: Any, writable: Any) -> Any:
    """Enter the page of a virtual address, which is at `host`, for reading and perhaps writing."""
    page = address & _PAGE
    entry = cpu[TLB] + (address >> _PAGE_BITS & _ENTRY_MASK) * _ENTRY_BYTES
    if writable:
        store64(entry + U8, page)
    elif load64(entry) != page:
        store64(entry + U8, _NO_TAG)
    store64(entry, page)
    store64(entry + U16, host - address)


@njit
def has_tohost(cpu: Any, address: Any) -> Any:
    """Whether tohost is in the page of a physical address. It is left out of the TLBs for stores:
    each of them is looked at."""
    return cpu[TOHOST] & _PAGE == address & _PAGE


@njit
def note_store(cpu: Any, address: Any, size: Any) -> Any:
    """Have the host look at tohost, at the end of the block, if a store touched it."""
    tohost = cpu[TOHOST]
    if address < tohost + U8 and tohost < address + size:
        cpu[HOST] = U1
        end_slice(cpu)
