"""Memory by guest address: its regions, and the TLB in front of them."""

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
from specs.kernels.words import U0, U1, U8, U16, U24, s64

_REGION = np.uint64(REGION_BYTES)

_PAGE = np.uint64(0xFFFF_FFFF_FFFF_F000)

_PAGE_BITS = np.uint64(PAGE_BITS)

_PAGE_SIZE = np.uint64(1 << PAGE_BITS)

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
def fill_tlb(cpu: Any, region: Any, address: Any) -> Any:
    # A page with tohost is left out for stores: each of them comes here, and is looked at.
    page = address & _PAGE
    writable = load64(region + U24) != U0 and cpu[TOHOST] & _PAGE != page
    entry = cpu[TLB] + (address >> _PAGE_BITS & _ENTRY_MASK) * _ENTRY_BYTES
    store64(entry, page)
    store64(entry + U8, page if writable else _NO_TAG)
    store64(entry + U16, load64(region + U16) - load64(region))


@njit
def note_store(cpu: Any, address: Any, size: Any) -> Any:
    """Have the host look at tohost, at the end of the block, if a store touched it."""
    tohost = cpu[TOHOST]
    if address < tohost + U8 and tohost < address + size:
        cpu[HOST] = U1
        end_slice(cpu)
