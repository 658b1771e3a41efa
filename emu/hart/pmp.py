"""Physical memory protection: pmpcfg and pmpaddr, and what they permit (PMP, Smepmp).

An entry is kept decoded in a row of `PMP_BYTES`: first and last address, and its configuration, 0
for one that is off.
"""

from typing import Any

import numpy as np

from emu.hart.state import CSR_VALUE, MSECCFG, PMP, PMP_COUNT, STALE, XLEN
from emu.hart.status import MML, MMWP, RLB
from specs.isa.csrs import ADDRESS
from specs.isa.privilege import Privilege
from specs.kernels.memory import load64, store64
from specs.kernels.njit import njit, spliced
from specs.kernels.words import ALL_ONES, U0, U1, U2, U3, U7, U8, U16, U32, U64, U255, s64, u64

#: Entries that there are; the registers of the others, up to 64, read as zero.
ENTRIES, PMP_BYTES = 16, 32
#: Fields of a configuration; its permissions are also what an access asks for.
READ, WRITE, EXECUTE, LOCKED = 1, 2, 4, 0x80
OFF, TOR, NA4, NAPOT = range(4)

PMPCFG0, PMPADDR0 = ADDRESS["pmpcfg0"], ADDRESS["pmpaddr0"]

_ROW = np.uint64(PMP_BYTES)
_CFG, _ADDR = np.int64(CSR_VALUE + PMPCFG0), np.int64(CSR_VALUE + PMPADDR0)
_READ, _WRITE, _EXECUTE, _LOCKED = (np.uint64(bit) for bit in (READ, WRITE, EXECUTE, LOCKED))
_TOR, _NA4 = np.uint64(TOR), np.uint64(NA4)
_MML, _MMWP, _RLB = np.uint64(MML), np.uint64(MMWP), np.uint64(RLB)
_M = np.uint64(Privilege.M)
#: The bits of a configuration that there are.
_KEPT = np.uint64(READ | WRITE | EXECUTE | 3 << 3 | LOCKED)
_ADDRESS_64 = np.uint64((1 << 54) - 1)
_OFFSETS = np.uint64(0xFFF)


@njit
def _configuration(cpu: Any, i: Any) -> Any:
    """Configuration of entry `i`. (RV64 has eight in each register of even number.)"""
    if cpu[XLEN] == U32:
        return cpu[_CFG + (i >> 2)] >> (u64(i & 3) << U3) & U255
    return cpu[_CFG + ((i >> 3) << 1)] >> (u64(i & 7) << U3) & U255


@spliced
def _decode(cpu: Any) -> Any:
    """Enter all entries into their rows, up to the last one that is on."""
    cpu[PMP_COUNT] = U0
    before = U0
    for i in range(ENTRIES):
        configuration = _configuration(cpu, i)
        address = cpu[_ADDR + i]
        kind = configuration >> U3 & U3
        row = cpu[PMP] + u64(i) * _ROW
        first, last = address << U2, (address << U2) + U3
        if kind == _TOR:
            first, last = before << U2, (address << U2) - U1
            if before >= address:
                configuration = U0
        elif kind != _NA4:
            ones = address ^ (address + U1)
            first, last = (address & ~ones) << U2, ((address | ones) << U2) + U3
        if kind == U0:
            configuration = U0
        store64(row, first)
        store64(row + U8, last)
        store64(row + U16, configuration)
        if configuration != U0:
            cpu[PMP_COUNT] = u64(i + 1)
        before = address


@spliced
def _allows(cpu: Any, configuration: Any, access: Any, priv: Any) -> Any:
    """Whether an entry that matches permits `access` (Smepmp, "Truth table when mseccfg.MML is
    set")."""
    granted = configuration & U7
    locked = configuration & _LOCKED != U0
    if cpu[MSECCFG] & _MML == U0:
        if priv == _M and not locked:
            return True
    elif granted & (_READ | _WRITE) == _WRITE:
        # shared between the modes
        executable = granted & _EXECUTE != U0
        if locked:
            granted = _EXECUTE
            if executable and priv == _M:
                granted |= _READ
        else:
            granted = _READ
            if executable or priv == _M:
                granted |= _WRITE
    elif locked and granted == U7:
        granted = _READ
    elif locked != (priv == _M):
        granted = U0
    return granted & access == access


@njit
def permitted(cpu: Any, address: Any, size: Any, access: Any, priv: Any) -> Any:
    """Whether `size` bytes at the physical `address` may be accessed; `access`: READ, WRITE,
    EXECUTE, or'ed."""
    last = address + (size - U1)
    row = cpu[PMP]
    for _ in range(s64(cpu[PMP_COUNT])):
        first_of, last_of, configuration = load64(row), load64(row + U8), load64(row + U16)
        if configuration != U0 and address <= last_of and last >= first_of:
            if address < first_of or last > last_of:
                return False
            return _allows(cpu, configuration, access, priv)
        row += _ROW
    if priv != _M or cpu[MSECCFG] & _MMWP != U0:
        return False
    return cpu[MSECCFG] & _MML == U0 or access & _EXECUTE == U0


@njit
def is_uniform(cpu: Any, page: Any) -> Any:
    """Whether all of the page of 4 KiB at `page` is permitted alike."""
    last = page | _OFFSETS
    row = cpu[PMP]
    for _ in range(s64(cpu[PMP_COUNT])):
        first_of, last_of, configuration = load64(row), load64(row + U8), load64(row + U16)
        if configuration != U0 and page <= last_of and last >= first_of:
            return page >= first_of and last <= last_of
        row += _ROW
    return True


@njit
def _is_locked(cpu: Any, configuration: Any) -> Any:
    return configuration & _LOCKED != U0 and cpu[MSECCFG] & _RLB == U0


@njit
def _legal(cpu: Any, old: Any, new: Any) -> Any:
    """What a configuration becomes when `new` is written (WARL)."""
    if _is_locked(cpu, old):
        return old
    new &= _KEPT
    if cpu[MSECCFG] & _MML == U0:
        # writable without being readable is reserved
        return new & ~_WRITE if new & _READ == U0 else new
    granted = new & U7
    executes = granted & _EXECUTE != U0 and granted != U7
    executes |= granted & (_READ | _WRITE) == _WRITE
    if new & _LOCKED != U0 and executes and cpu[MSECCFG] & _RLB == U0:
        # no more code for machine mode
        return old
    return new


@njit
def write_pmp(cpu: Any, address: Any, value: Any) -> Any:
    """Write a pmpcfg or pmpaddr that there is. STALE is set: code was translated as permitted."""
    slot = CSR_VALUE + address
    if address < PMPADDR0:
        new = U0
        for i in range(s64(cpu[XLEN] >> U3)):
            shift = u64(i) << U3
            new |= _legal(cpu, cpu[slot] >> shift & U255, value >> shift & U255) << shift
        cpu[slot] = new
    else:
        i = address - PMPADDR0
        if _is_locked(cpu, _configuration(cpu, i)):
            return
        if i + 1 < ENTRIES:
            above = _configuration(cpu, i + 1)
            if above >> U3 & U3 == _TOR and _is_locked(cpu, above):
                return
        cpu[slot] = value & (_ADDRESS_64 if cpu[XLEN] == U64 else ALL_ONES >> U32)
    _decode(cpu)
    cpu[STALE] = U1


@njit
def write_mseccfg(cpu: Any, value: Any) -> Any:
    """MML and MMWP can only be set; RLB only cleared where an entry is locked."""
    old = cpu[MSECCFG]
    new = (value | old & (_MML | _MMWP)) & (_MML | _MMWP | _RLB)
    if old & _RLB == U0:
        for i in range(ENTRIES):
            if _configuration(cpu, i) & _LOCKED != U0:
                new &= ~_RLB
    cpu[MSECCFG] = new
    cpu[STALE] = U1
