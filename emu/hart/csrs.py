"""The CSRs of a hart, as data, and what reading and writing them does.

A CSR that is not in the table does not exist: accessing it is an illegal instruction.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from emu.hart import pmp, status
from emu.hart import trigger_registers as triggers
from emu.hart.interrupts import end_slice, mtime, pending, timers_changed, timers_up
from emu.hart.modes import BARE, SV39, SV57, forget_addresses, forget_data
from emu.hart.notes import note
from emu.hart.pmp import write_mseccfg, write_pmp
from emu.hart.state import (
    CONTEXT_CSR,
    CONTEXT_TYPE,
    CSR_KIND,
    CSR_MASK,
    CSR_VALUE,
    CYCLE_OFFSET,
    FCSR,
    HAS,
    HAS_F,
    HAS_S,
    HAS_U,
    INSTRET_OFFSET,
    MCOUNTEREN,
    MCOUNTINHIBIT,
    MCYCLE,
    MENVCFG,
    MIDELEG,
    MIE,
    MINSTRET,
    MIP_SINCE,
    MIP_STORED,
    MISA,
    MSTATUS,
    NOTE_CONTEXT,
    PRIV,
    SATP,
    SCOUNTEREN,
    STIMECMP,
    XLEN,
)
from emu.hart.triggers import read_trigger, write_trigger
from emu.memory import MachineError
from specs.isa.csrs import ADDRESS, csr_name
from specs.isa.privilege import Privilege
from specs.kernels.njit import njit, spliced
from specs.kernels.words import LOW32, U0, U1, U5, U8, U31, U32, U255, s64, u64

#: How a CSR behaves: it keeps the bits of its mask; or it is made of other state.
ABSENT, STORED, PENDING, INSTRET, CYCLE, TIME = range(6)
#: One of tselect, tdata1, tdata2; the views of mstatus, mie and mip that S-mode has.
TRIGGER, STATUS, SSTATUS, SIE, SIP = range(6, 11)
#: Parts of fcsr; registers with rules of their own.
FFLAGS, FRM, FCSR_, SATP_, PROTECTION, MSECCFG_, ENVIRONMENT, COMPARE = range(11, 19)
#: Added to INSTRET, CYCLE, TIME, ENVIRONMENT, COMPARE: the upper half, on RV32.
UPPER = 32

_ALL = 0xFFFF_FFFF_FFFF_FFFF
_WIDE = 64

Row = tuple[str, int, int]


def _rows(has: int, compressed: bool, table_jumps: bool) -> Iterable[Row]:
    """Name, kind, bits that can be written (RV32 has the low 32 of them), of those on both
    widths."""
    pc = _ALL & (~1 if compressed else ~3)
    interrupts = status.MACHINE | (status.SUPERVISOR if has & HAS_S else 0)
    for name in ("mvendorid", "marchid", "mimpid", "mhartid", "mconfigptr", "misa"):
        yield name, STORED, 0
    yield from [
        ("mstatus", STATUS, status.writable(has)),
        ("mie", STORED, interrupts),
        ("mtvec", STORED, _ALL & ~2),
        ("mcountinhibit", STORED, 0b101),
        ("mscratch", STORED, _ALL),
        ("mepc", STORED, pc),
        ("mcause", STORED, _ALL),
        ("mtval", STORED, _ALL),
        ("mip", PENDING, status.SUPERVISOR if has & HAS_S else 0),
        ("mcycle", CYCLE, _ALL),
        ("minstret", INSTRET, _ALL),
        ("cycle", CYCLE, 0),
        ("time", TIME, 0),
        ("instret", INSTRET, 0),
        ("tselect", TRIGGER, 0),
        ("tdata1", TRIGGER, 0),
        ("tdata2", TRIGGER, 0),
        ("tdata3", STORED, 0),
        ("tinfo", STORED, 0),
        ("mseccfg", MSECCFG_, _ALL),
    ]
    for i in range(64):
        there = i < pmp.ENTRIES
        yield f"pmpaddr{i}", PROTECTION if there else STORED, _ALL if there else 0
    for i in range(3, 32):
        for name in ("mhpmcounter", "hpmcounter", "mhpmevent"):
            yield f"{name}{i}", STORED, 0
    if has & HAS_U:
        menvcfg = status.FIOM | status.CBIE | status.CBCFE | status.CBZE
        senvcfg = menvcfg
        if has & HAS_S:
            menvcfg |= status.ADUE | status.PBMTE | status.STCE
        yield "mcounteren", STORED, 0xFFFF_FFFF
        yield "menvcfg", ENVIRONMENT, menvcfg
    if has & HAS_S:
        yield from [
            ("medeleg", STORED, status.DELEGABLE),
            ("mideleg", STORED, status.SUPERVISOR),
            ("sstatus", SSTATUS, status.writable(has) & status.OF_SSTATUS),
            ("sie", SIE, status.SUPERVISOR),
            ("stvec", STORED, _ALL & ~2),
            ("scounteren", STORED, 0xFFFF_FFFF),
            ("senvcfg", ENVIRONMENT, senvcfg),
            ("sscratch", STORED, _ALL),
            ("sepc", STORED, pc),
            ("scause", STORED, _ALL),
            ("stval", STORED, _ALL),
            ("sip", SIP, status.SSI),
            ("stimecmp", COMPARE, _ALL),
            ("satp", SATP_, _ALL),
        ]
    if has & HAS_F:
        yield from [("fflags", FFLAGS, 0x1F), ("frm", FRM, 7), ("fcsr", FCSR_, 0xFF)]
    if table_jumps:
        yield "jvt", STORED, _ALL & ~0x3F


def _of_width(has: int, xlen: int) -> Iterable[Row]:
    """Those that one width has: upper halves, and pmpcfg (two in one register on RV64)."""
    for i in range(0, 16, 1 if xlen == 32 else 2):
        there = 4 * i < pmp.ENTRIES
        yield f"pmpcfg{i}", PROTECTION if there else STORED, _ALL if there else 0
    if xlen != 32:
        return
    yield from [
        ("mstatush", STORED, 0),
        ("mseccfgh", STORED, 0),
        ("mcycleh", CYCLE | UPPER, _ALL),
        ("minstreth", INSTRET | UPPER, _ALL),
        ("cycleh", CYCLE | UPPER, 0),
        ("timeh", TIME | UPPER, 0),
        ("instreth", INSTRET | UPPER, 0),
    ]
    for i in range(3, 32):
        for name in ("mhpmcounter", "hpmcounter"):
            yield f"{name}{i}h", STORED, 0
    if has & HAS_U:
        yield "menvcfgh", ENVIRONMENT | UPPER, _ALL
    if has & HAS_S:
        yield "medelegh", STORED, 0
        yield "stimecmph", COMPARE | UPPER, _ALL


#: After a write to these an interrupt may be due, the counters' arithmetic may change, or code may
#: have to be translated anew: the translator ends a block there. (RV64 has no upper halves; their
#: numbers mean nothing then.)
ENDS_BLOCK = np.zeros(4096, np.bool_)
#: Whether one may access them depends on other registers (`is_denied`).
GUARDED = np.zeros(4096, np.bool_)
for _name in (
    *("mstatus", "mie", "mip", "mideleg", "mcycle", "minstret", "mcycleh", "minstreth"),
    *("mcountinhibit", "tdata1", "tdata2", "menvcfg", "menvcfgh", "mseccfg", "frm", "fcsr"),
    *("sstatus", "sie", "sip", "stimecmp", "stimecmph", "satp"),
    *(f"pmpcfg{i}" for i in range(16)),
    *(f"pmpaddr{i}" for i in range(64)),
):
    ENDS_BLOCK[ADDRESS[_name]] = True
for _name in ("satp", "stimecmp", "stimecmph"):
    GUARDED[ADDRESS[_name]] = True
for _first in ("cycle", "cycleh"):
    GUARDED[ADDRESS[_first] : ADDRESS[_first] + 32] = True

_SATP_AT, _TIME_BIT = ADDRESS["satp"], np.uint64(1)
_STIMECMP, _STIMECMPH = ADDRESS["stimecmp"], ADDRESS["stimecmph"]
_MENVCFG_AT = ADDRESS["menvcfg"]
_FCSR_FIRST, _FCSR_LAST = ADDRESS["fflags"], ADDRESS["fcsr"]
_INHIBIT_CYCLE = np.uint64(1)
_INHIBIT_INSTRET = np.uint64(4)
_NOTE_CONTEXT = np.uint64(NOTE_CONTEXT)
_HIGH = np.uint64(0xFFFF_FFFF_0000_0000)
_M, _S, _U = np.uint64(Privilege.M), np.uint64(Privilege.S), np.uint64(Privilege.U)
_MPP, _MPP_RESERVED = np.uint64(status.MPP), np.uint64(2 << status.MPP_SHIFT)
_FS, _MXR, _TVM = np.uint64(status.FS), np.uint64(status.MXR), np.uint64(status.TVM)
_SSTATUS = np.uint64(status.OF_SSTATUS)
_XLENS, _UXL = np.uint64(status.UXL_64 | status.SXL_64), np.uint64(status.UXL_64)
_CBIE, _CBIE_RESERVED = np.uint64(status.CBIE), np.uint64(2 << status.CBIE_SHIFT)
_STCE, _STI = np.uint64(status.STCE), np.uint64(status.STI)
_SV39, _SV57, _MODE_SHIFT = np.uint64(SV39), np.uint64(SV57), np.uint64(60)
_BARE = np.uint64(BARE)
_FLAGS = U31


def configure(
    cpu: npt.NDArray[np.uint64], xlen: int, misa: int, compressed: bool, table_jumps: bool
) -> None:
    """Enter the table for `xlen` and what the hart HAS into `cpu`, with reset values."""
    width = _ALL if xlen == _WIDE else 0xFFFF_FFFF
    has = int(cpu[HAS])
    for name, kind, mask in (*_rows(has, compressed, table_jumps), *_of_width(has, xlen)):
        address = ADDRESS[name]
        # what has an upper half is kept whole
        halves = kind in (ENVIRONMENT, COMPARE)
        cpu[CSR_KIND + address] = kind
        cpu[CSR_MASK + address] = mask if halves else mask & width
    cpu[MISA] = misa
    if not has & HAS_U:
        cpu[MSTATUS] = status.MPP  # can only be M
    cpu[CSR_VALUE + ADDRESS["tinfo"]] = triggers.TINFO


def configure_context(cpu: npt.NDArray[np.uint64], address: int, xlen: int) -> None:
    """Have the CSR at `address` be a source of context; one that there is not becomes a plain one.
    Raises MachineError for one that cannot be written or is made of other state.
    """
    kind, mask = int(cpu[CSR_KIND + address]), int(cpu[CSR_MASK + address])
    if kind == ABSENT and address >> 10 != 3:
        kind, mask = STORED, _ALL if xlen == _WIDE else 0xFFFF_FFFF
    elif kind not in (STORED, SATP_) or not mask:
        raise MachineError(
            f"CSR {csr_name(address, xlen)} cannot be the context: take one that software can "
            "write and that only keeps its value, as satp, mcontext or 0x7c0"
        )
    cpu[CSR_KIND + address] = kind
    cpu[CSR_MASK + address] = mask
    cpu[CONTEXT_CSR] = address


@njit
def is_denied(cpu: Any, address: Any) -> Any:
    """Whether the privilege level may not access a GUARDED CSR now."""
    priv = cpu[PRIV]
    if priv == _M:
        return False
    if address == _SATP_AT:
        return priv == _S and cpu[MSTATUS] & _TVM != U0
    if address == _STIMECMP or address == _STIMECMPH:
        return cpu[MENVCFG] & _STCE == U0 or cpu[MCOUNTEREN] >> _TIME_BIT & U1 == U0
    enabled = cpu[MCOUNTEREN]
    if priv == _U and cpu[HAS] & u64(HAS_S) != U0:
        enabled &= cpu[SCOUNTEREN]
    return enabled >> (u64(address) & U31) & U1 == U0


@njit
def _counter(cpu: Any, kind: Any, retired: Any) -> Any:
    if kind == TIME:
        return mtime(cpu, retired)
    inhibited = cpu[MCOUNTINHIBIT]
    if kind == CYCLE:
        if inhibited & _INHIBIT_CYCLE != U0:
            return cpu[MCYCLE]
        return retired + cpu[CYCLE_OFFSET]
    if inhibited & _INHIBIT_INSTRET != U0:
        return cpu[MINSTRET]
    return retired + cpu[INSTRET_OFFSET]


@njit
def _read_status(cpu: Any) -> Any:
    value = cpu[MSTATUS]
    if value & _FS == _FS:
        value |= U1 << (cpu[XLEN] - U1)  # SD
    if cpu[XLEN] != U32:
        if cpu[HAS] & u64(HAS_S) != U0:
            value |= _XLENS
        elif cpu[HAS] & u64(HAS_U) != U0:
            value |= _UXL
    return value


@spliced
def _read_sstatus(cpu: Any) -> Any:
    value = _read_status(cpu)
    shown = _SSTATUS | U1 << (cpu[XLEN] - U1)
    return value & (shown if cpu[XLEN] == U32 else shown | _UXL)


@spliced
def _read_other(cpu: Any, address: Any, kind: Any) -> Any:
    """What is neither stored nor a counter."""
    if kind == TRIGGER:
        return read_trigger(cpu, address)
    if kind == STATUS:
        return _read_status(cpu)
    if kind == SSTATUS:
        return _read_sstatus(cpu)
    if kind == SIE:
        return cpu[MIE] & cpu[MIDELEG]
    if kind == FFLAGS:
        return cpu[FCSR] & _FLAGS
    if kind == FRM:
        return cpu[FCSR] >> U5
    if kind == FCSR_:
        return cpu[FCSR]
    if kind & ~UPPER == COMPARE:
        return cpu[STIMECMP]
    if kind == ENVIRONMENT | UPPER:
        return cpu[MENVCFG]
    return cpu[CSR_VALUE + address]


@njit
def read_csr(cpu: Any, address: Any, retired: Any) -> Any:
    """Value of an existing CSR, in its low xlen bits, to an instruction after `retired` others."""
    kind = s64(cpu[CSR_KIND + address])
    if kind == STORED:
        return cpu[CSR_VALUE + address]
    if kind == PENDING:
        return pending(cpu, retired)
    if kind == SIP:
        return pending(cpu, retired) & cpu[MIDELEG]
    if INSTRET <= kind & ~UPPER <= TIME:
        value = _counter(cpu, kind & ~UPPER, retired)
    else:
        value = _read_other(cpu, address, kind)
    if kind & UPPER:
        return value >> U32
    return value & LOW32 if cpu[XLEN] == U32 else value


@njit
def _set_counters(cpu: Any, cycle: Any, instret: Any, after: Any) -> Any:
    # Both forms are kept: the frozen value and the offset; `mcountinhibit` says which counts.
    cpu[MCYCLE] = cycle
    cpu[CYCLE_OFFSET] = cycle - after
    cpu[MINSTRET] = instret
    cpu[INSTRET_OFFSET] = instret - after


@njit
def _write_counter(cpu: Any, kind: Any, value: Any, retired: Any) -> Any:
    """A counter reads as written to the next instruction: the write is done instead of the
    increment for this one (Zicsr, "CSR Access Ordering"), also if it is of one half.
    """
    after = retired + U1
    cycle, instret = _counter(cpu, s64(CYCLE), after), _counter(cpu, s64(INSTRET), after)
    new = _half(cpu, kind, _counter(cpu, kind & ~UPPER, retired), value)
    if kind & ~UPPER == CYCLE:
        _set_counters(cpu, new, instret, after)
    else:
        _set_counters(cpu, cycle, new, after)


@njit
def _half(cpu: Any, kind: Any, old: Any, value: Any) -> Any:
    """`old` with what is written to it, or to a half of it."""
    if kind & UPPER:
        return (old & LOW32) | value << U32
    return (old & _HIGH) | (value & LOW32) if cpu[XLEN] == U32 else value


@spliced
def _write_status(cpu: Any, value: Any, mask: Any) -> Any:
    old = cpu[MSTATUS]
    new = (old & ~mask) | (value & mask)
    if new & _MPP == _MPP_RESERVED or (new & _MPP == U0 and cpu[HAS] & u64(HAS_U) == U0):
        new = (new & ~_MPP) | (old & _MPP)
    elif new & _MPP == u64(1 << status.MPP_SHIFT) and cpu[HAS] & u64(HAS_S) == U0:
        new = (new & ~_MPP) | (old & _MPP)
    cpu[MSTATUS] = new
    if (old ^ new) & _MXR != U0:
        forget_data(cpu)


@spliced
def _write_satp(cpu: Any, value: Any) -> Any:
    """A mode that there is not has the write do nothing ("Supervisor Address Translation and
    Protection (satp) Register")."""
    if cpu[XLEN] != U32:
        mode = value >> _MODE_SHIFT
        if mode != _BARE and (mode < _SV39 or mode > _SV57):
            return
    cpu[SATP] = value
    forget_addresses(cpu)


@spliced
def _write_environment(cpu: Any, slot: Any, value: Any, mask: Any) -> Any:
    old = cpu[slot]
    new = value & mask
    if new & _CBIE == _CBIE_RESERVED:
        new = (new & ~_CBIE) | (old & _CBIE)
    cpu[slot] = new
    if old != new:
        forget_addresses(cpu)


@njit
def make_dirty(cpu: Any) -> Any:
    """The floating-point state has changed: mstatus.FS says so."""
    if cpu[MSTATUS] & _FS != _FS:
        cpu[MSTATUS] |= _FS
        end_slice(cpu)


@spliced
def _write_floating(cpu: Any, kind: Any, value: Any) -> Any:
    if kind == FFLAGS:
        cpu[FCSR] = (cpu[FCSR] & ~_FLAGS) | (value & _FLAGS)
    elif kind == FRM:
        cpu[FCSR] = (cpu[FCSR] & _FLAGS) | (value << U5 & U255)
    else:
        cpu[FCSR] = value & U255
    make_dirty(cpu)


@njit
def _write_pending(cpu: Any, value: Any, mask: Any, after: Any) -> Any:
    if cpu[MENVCFG] & _STCE != U0:
        mask &= ~_STI
    new = (cpu[MIP_STORED] & ~mask) | (value & mask)
    if new & ~cpu[MIP_STORED] != U0:
        cpu[MIP_SINCE] = after
    cpu[MIP_STORED] = new


@spliced
def _write_other(cpu: Any, address: Any, kind: Any, value: Any, retired: Any) -> Any:
    """What is made of other state.

    Long: a case for each kind.
    """
    slot, mask = CSR_VALUE + address, cpu[CSR_MASK + address]
    if kind == TRIGGER:
        write_trigger(cpu, address, value)
    elif kind == STATUS or kind == SSTATUS:
        _write_status(cpu, value, mask)
    elif kind == SIE:
        delegated = cpu[MIDELEG] & mask
        cpu[MIE] = (cpu[MIE] & ~delegated) | (value & delegated)
    elif kind == PENDING:
        _write_pending(cpu, value, mask, retired + U1)
    elif kind == SIP:
        _write_pending(cpu, value, mask & cpu[MIDELEG], retired + U1)
    elif kind == SATP_:
        _write_satp(cpu, value)
    elif kind == PROTECTION:
        write_pmp(cpu, address, value)
        forget_addresses(cpu)
    elif kind == MSECCFG_:
        write_mseccfg(cpu, value)
        forget_addresses(cpu)
    elif kind == FFLAGS or kind == FRM or kind == FCSR_:
        _write_floating(cpu, kind, value)
    elif kind & ~UPPER == ENVIRONMENT:
        if kind & UPPER:
            slot, mask = s64(MENVCFG), cpu[CSR_MASK + _MENVCFG_AT]
        _write_environment(cpu, slot, _half(cpu, kind, cpu[slot], value), mask)
    elif kind & ~UPPER == COMPARE:
        were_up = timers_up(cpu, retired)
        cpu[STIMECMP] = _half(cpu, kind, cpu[STIMECMP], value)
        timers_changed(cpu, were_up, retired + U1)
    elif mask != U0:
        _write_counter(cpu, kind, value, retired)


@njit
def write_csr(cpu: Any, address: Any, value: Any, retired: Any) -> Any:
    """Write an existing CSR, by an instruction after `retired` others."""
    slot = CSR_VALUE + address
    kind = s64(cpu[CSR_KIND + address])
    mask = cpu[CSR_MASK + address]
    after = retired + U1
    if slot == MCOUNTINHIBIT:
        # The instruction itself counts as the old value says.
        cycle, instret = _counter(cpu, s64(CYCLE), after), _counter(cpu, s64(INSTRET), after)
        _set_counters(cpu, cycle, instret, after)
    if kind == STORED:
        cpu[slot] = (cpu[slot] & ~mask) | (value & mask)
    else:
        _write_other(cpu, address, kind, value, retired)
    if u64(address) == cpu[CONTEXT_CSR]:
        note(cpu, after, _NOTE_CONTEXT | cpu[CONTEXT_TYPE] << U8, cpu[slot])


@njit
def is_floating(address: Any) -> Any:
    """Whether a CSR is part of fcsr: there is none while mstatus.FS is off."""
    return _FCSR_FIRST <= address <= _FCSR_LAST
