"""What the code that runs looks like to whoever has the program files alone, and what they have to
be told (`specs.interfaces.ingress.CODE`).

A page that was told is kept, by its virtual address, as it was then. What is translated is compared
with that; where there is none, with the program files (`EXPLAINED`). A virtual page is also
compared when it is found at another physical one.
"""

from typing import Any

import numpy as np

from emu.hart.modes import forget_addresses
from emu.hart.regions import find_region
from emu.hart.state import (
    CODE_COUNT,
    CODE_PAGES,
    CODE_ROWS,
    EXPLAINED,
    EXPLAINED_COUNT,
    HOST_CALLS,
    KNOWN,
    KNOWN_BYTES,
    KNOWN_COUNT,
    KNOWN_ENTRIES,
    KNOWN_PAGES,
    MODE,
    MODE_VIRTUAL,
    REGION_BYTES,
    RETIRED,
    STALE_BARE,
)
from specs.interfaces.ingress import CODE, PAGE
from specs.kernels.memory import load16u, load64, store32, store64
from specs.kernels.njit import njit, spliced
from specs.kernels.words import U0, U1, U2, U8, U16, s64, u64

_PAGE_MASK, _OFFSET = np.uint64(~0xFFF & (1 << 64) - 1), np.uint64(0xFFF)
_PAGE, _PAGE_BITS = np.uint64(PAGE), np.uint64(12)
_KNOWN_MASK, _KNOWN_BYTES = np.uint64(KNOWN_ENTRIES - 1), np.uint64(KNOWN_BYTES)
_FULL = np.uint64(KNOWN_ENTRIES // 2)
_EXPLAINED_BYTES = np.uint64(REGION_BYTES)
_ROW_BYTES = np.uint64(CODE.itemsize)
_VIRTUAL = np.uint64(MODE_VIRTUAL)


@njit
def _known(cpu: Any, page: Any) -> Any:
    """The entry of a page (address plus 1, physical address, host pointer to what was told), or the
    free one for it."""
    slot = page >> _PAGE_BITS & _KNOWN_MASK
    while True:
        entry = cpu[KNOWN] + slot * _KNOWN_BYTES
        tag = load64(entry)
        if tag == U0 or tag == page | U1:
            return entry
        slot = (slot + U1) & _KNOWN_MASK


@njit
def _differs(one: Any, other: Any, size: Any) -> Any:
    """Whether `size` bytes, an even number, at two host pointers differ."""
    at = U0
    while at + U8 <= size:
        if load64(one + at) != load64(other + at):
            return True
        at += U8
    while at < size:
        if load16u(one + at) != load16u(other + at):
            return True
        at += U2
    return False


@njit
def _is_explained(cpu: Any, address: Any, host: Any, size: Any) -> Any:
    """Whether the program files have these bytes at a virtual address. The last one that has
    anything there counts."""
    for k in range(s64(cpu[EXPLAINED_COUNT])):
        row = cpu[EXPLAINED] + (cpu[EXPLAINED_COUNT] - U1 - u64(k)) * _EXPLAINED_BYTES
        base, end = load64(row), load64(row + U8)
        if address - base < end - base:
            if end - address < size:
                return False
            return not _differs(host, address - base + load64(row + U16), size)
        if base - address < size:
            return False
    return False


@njit
def _tell(cpu: Any, page: Any, host: Any, physical: Any) -> Any:
    """From here on the page at `page` is as it is at `host`."""
    entry = _known(cpu, page)
    if load64(entry) == U0:
        if cpu[KNOWN_COUNT] >= _FULL:
            _forget(cpu)
            entry = _known(cpu, page)
        store64(entry, page | U1)
        store64(entry + U16, cpu[KNOWN_PAGES] + cpu[KNOWN_COUNT] * _PAGE)
        cpu[KNOWN_COUNT] += U1
    elif load64(entry + U8) != physical:
        # the other page may still be found without a look at this entry
        forget_addresses(cpu)
    store64(entry + U8, physical)
    if cpu[MODE] & _VIRTUAL != U0 and find_region(cpu, page) != U0:
        cpu[STALE_BARE] = U1
    count = cpu[CODE_COUNT]
    row = cpu[CODE_ROWS] + count * _ROW_BYTES
    store64(row, cpu[RETIRED] + cpu[HOST_CALLS])
    store64(row + U8, page)
    store32(row + U16, count)
    cpu[CODE_COUNT] = count + U1
    kept, told = load64(entry + U16), cpu[CODE_PAGES] + count * _PAGE
    for k in range(PAGE // 8):
        at = u64(8 * k)
        word = load64(host + at)
        store64(kept + at, word)
        store64(told + at, word)


@spliced
def _forget(cpu: Any) -> Any:
    """All that was told is out of hand: each page is to be told again, also one that the program
    files have."""
    for k in range(KNOWN_ENTRIES):
        store64(cpu[KNOWN] + u64(k) * _KNOWN_BYTES, U0)
    cpu[KNOWN_COUNT] = cpu[EXPLAINED_COUNT] = U0
    cpu[STALE_BARE] = U1
    forget_addresses(cpu)


@njit
def see_code(cpu: Any, address: Any, host: Any, physical: Any, size: Any) -> Any:
    """Code at `address` was translated: `size` bytes, an even number, of one page; it is at `host`,
    and at the address `physical`. They are told if they are not what is known."""
    if cpu[CODE_ROWS] == U0:
        return
    offset = address & _OFFSET
    entry = _known(cpu, address & _PAGE_MASK)
    if load64(entry) != U0:
        if not _differs(load64(entry + U16) + offset, host, size):
            return
    elif _is_explained(cpu, address, host, size):
        return
    _tell(cpu, address & _PAGE_MASK, host - offset, physical & _PAGE_MASK)


@njit
def see_page(cpu: Any, page: Any, host: Any, physical: Any) -> Any:
    """Code of the virtual page is about to be found at `physical`: where something was told of it,
    and it was somewhere else then, it is told if it is not the same."""
    if cpu[CODE_ROWS] == U0:
        return
    entry = _known(cpu, page)
    if load64(entry) == U0 or load64(entry + U8) == physical:
        return
    if _differs(load64(entry + U16), host, _PAGE):
        _tell(cpu, page, host, physical)
    else:
        store64(entry + U8, physical)
