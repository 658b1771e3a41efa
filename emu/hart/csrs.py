"""The CSRs of an M-mode hart, as data, and CSR instructions.

A CSR that is not in the table does not exist: accessing it is an illegal instruction.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from emu.hart import trigger_registers as triggers
from emu.hart.interrupts import mtime, pending
from emu.hart.notes import note
from emu.hart.state import (
    CONTEXT_TYPE,
    CSR_KIND,
    CSR_MASK,
    CSR_VALUE,
    CYCLE_OFFSET,
    INSTRET_OFFSET,
    MCOUNTINHIBIT,
    MCYCLE,
    MINSTRET,
    MISA,
    MSTATUS,
    NOTE_CONTEXT,
    XLEN,
)
from emu.hart.triggers import read_trigger, write_trigger
from emu.memory import MachineError
from specs.isa.csrs import ADDRESS, csr_name
from specs.kernels.njit import njit
from specs.kernels.words import LOW32, U0, U1, U8, U32, s64

#: How a CSR behaves: it keeps the bits of its mask; or it is made of other state.
ABSENT, STORED, PENDING, INSTRET, CYCLE, TIME = range(6)
#: One of tselect, tdata1, tdata2; or like STORED, and each write is a context for the side band.
TRIGGER, CONTEXT = 6, 7
#: Added to INSTRET, CYCLE, TIME: the upper half, on RV32.
UPPER = 8

MSTATUS_MIE, MSTATUS_MPIE, MSTATUS_MPP = 1 << 3, 1 << 7, 3 << 11
_INTERRUPTS = 1 << 3 | 1 << 7 | 1 << 11
_ALL = 0xFFFF_FFFF_FFFF_FFFF

#: Name, kind, bits that can be written (RV32 has the low 32 of them).
_TABLE: list[tuple[str, int, int]] = [
    ("mvendorid", STORED, 0),
    ("marchid", STORED, 0),
    ("mimpid", STORED, 0),
    ("mhartid", STORED, 0),
    ("mconfigptr", STORED, 0),
    ("mstatus", STORED, MSTATUS_MIE | MSTATUS_MPIE),
    ("misa", STORED, 0),
    ("mie", STORED, _INTERRUPTS),
    ("mtvec", STORED, _ALL & ~2),
    ("mcountinhibit", STORED, 0b101),
    ("mscratch", STORED, _ALL),
    ("mepc", STORED, _ALL),  # its low bits: see `configure`
    ("mcause", STORED, _ALL),
    ("mtval", STORED, _ALL),
    ("mip", PENDING, 0),
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
    # There is no physical memory protection: its registers read as zero, as if none were left.
    *[(f"pmpaddr{i}", STORED, 0) for i in range(64)],
    *[(f"mhpmcounter{i}", STORED, 0) for i in range(3, 32)],
    *[(f"hpmcounter{i}", STORED, 0) for i in range(3, 32)],
    *[(f"mhpmevent{i}", STORED, 0) for i in range(3, 32)],
]
_ONLY_RV32: list[tuple[str, int, int]] = [
    ("mstatush", STORED, 0),
    ("mcycleh", CYCLE | UPPER, _ALL),
    ("minstreth", INSTRET | UPPER, _ALL),
    ("cycleh", CYCLE | UPPER, 0),
    ("timeh", TIME | UPPER, 0),
    ("instreth", INSTRET | UPPER, 0),
    *[(f"mhpmcounter{i}h", STORED, 0) for i in range(3, 32)],
    *[(f"hpmcounter{i}h", STORED, 0) for i in range(3, 32)],
    *[(f"pmpcfg{i}", STORED, 0) for i in range(1, 16, 2)],
]
_PMPCFG = [(f"pmpcfg{i}", STORED, 0) for i in range(0, 16, 2)]

#: An interrupt may be due, or the counters' arithmetic changes, after a write to these: the
#: translator ends a block there. (RV64 has no upper halves; their numbers mean nothing then.)
ENDS_BLOCK = np.zeros(4096, np.bool_)
for _name in ("mstatus", "mie", "mip", "mcycle", "minstret", "mcycleh", "minstreth",
              "mcountinhibit", "tdata1", "tdata2"):  # fmt: skip
    ENDS_BLOCK[ADDRESS[_name]] = True

_INHIBIT_CYCLE = np.uint64(1)
_INHIBIT_INSTRET = np.uint64(4)
_NOTE_CONTEXT = np.uint64(NOTE_CONTEXT)
_HIGH = np.uint64(0xFFFF_FFFF_0000_0000)


def configure(cpu: npt.NDArray[np.uint64], xlen: int, misa: int, compressed: bool) -> None:
    """Enter the table for `xlen` into `cpu`, with reset values."""
    width = _ALL if xlen == 64 else 0xFFFF_FFFF
    for name, kind, mask in _TABLE + _PMPCFG + (_ONLY_RV32 if xlen == 32 else []):
        address = ADDRESS[name]
        cpu[CSR_KIND + address] = kind
        cpu[CSR_MASK + address] = mask & width
    cpu[CSR_MASK + ADDRESS["mepc"]] = width & (~1 if compressed else ~3)
    cpu[MISA] = misa
    cpu[MSTATUS] = MSTATUS_MPP  # without U, MPP can only be M
    cpu[CSR_VALUE + ADDRESS["tinfo"]] = triggers.TINFO


def configure_context(cpu: npt.NDArray[np.uint64], address: int, xlen: int) -> None:
    """Have the CSR at `address` be a source of context; one that there is not becomes a plain one.
    Raises MachineError for one that cannot be written or is made of other state.
    """
    kind, mask = int(cpu[CSR_KIND + address]), int(cpu[CSR_MASK + address])
    if kind == ABSENT and address >> 10 != 3:
        mask = _ALL if xlen == 64 else 0xFFFF_FFFF
    elif kind != STORED or not mask:
        raise MachineError(
            f"CSR {csr_name(address, xlen)} cannot be the context: take one that machine mode can "
            "write and that only keeps its value, as mcontext or 0x7c0"
        )
    cpu[CSR_KIND + address] = CONTEXT
    cpu[CSR_MASK + address] = mask


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
def read_csr(cpu: Any, address: Any, retired: Any) -> Any:
    """Value of an existing CSR, in its low xlen bits, to an instruction after `retired` others."""
    kind = s64(cpu[CSR_KIND + address])
    if kind in (STORED, CONTEXT):
        return cpu[CSR_VALUE + address]
    if kind == PENDING:
        return pending(cpu, retired)
    if kind == TRIGGER:
        return read_trigger(cpu, address)
    value = _counter(cpu, kind & ~UPPER, retired)
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
def write_csr(cpu: Any, address: Any, value: Any, retired: Any) -> Any:
    """Write an existing CSR. A counter reads as written to the next instruction: the write is done
    instead of the increment for this one (Zicsr, "CSR Access Ordering"), also if it is of one half.
    """
    slot = CSR_VALUE + address
    kind = s64(cpu[CSR_KIND + address])
    mask = cpu[CSR_MASK + address]
    after = retired + U1
    if slot == MCOUNTINHIBIT:
        # The instruction itself counts as the old value says.
        cycle, instret = _counter(cpu, s64(CYCLE), after), _counter(cpu, s64(INSTRET), after)
        _set_counters(cpu, cycle, instret, after)
    if kind == TRIGGER:
        write_trigger(cpu, address, value)
        return
    if kind in (STORED, CONTEXT):
        cpu[slot] = (cpu[slot] & ~mask) | (value & mask)
        if kind == CONTEXT:
            note(cpu, after, _NOTE_CONTEXT | cpu[CONTEXT_TYPE] << U8, cpu[slot])
        return
    if mask == U0:
        return
    cycle, instret = _counter(cpu, s64(CYCLE), after), _counter(cpu, s64(INSTRET), after)
    old = _counter(cpu, kind & ~UPPER, retired)
    if kind & UPPER:
        new = (old & LOW32) | value << U32
    elif cpu[XLEN] == U32:
        new = (old & _HIGH) | (value & LOW32)
    else:
        new = value
    if kind & ~UPPER == CYCLE:
        _set_counters(cpu, new, instret, after)
    else:
        _set_counters(cpu, cycle, new, after)
