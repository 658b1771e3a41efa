"""Differences that are none: where the manual leaves a choice, or QEMU 7.2 is wrong.

A rule changes results of both machines alike, so that what it is about compares equal and all else
does not. A row without a rule says what the generators leave out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specs.isa.csrs import ADDRESS
from tests.qemu.image import TRAP_WORDS, TRAPS, Image, Words

#: Columns of a trap.
MCAUSE, MEPC, MTVAL, MSTATUS, SCAUSE, SEPC, STVAL, SSCRATCH = range(TRAP_WORDS)
_ILLEGAL, _BREAKPOINT = 2, 3
_OF_LOADS = (4, 5, 13)
_UXL_SXL = 0xF << 32
_AMO, _SYSTEM = 0x2F, 0x73
_ONES = (1 << 64) - 1

#: Logged traps, uint64 [cases, TRAPS, TRAP_WORDS].
Traps = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Known:
    """`section` of the manual says what is right, `why` what QEMU does. `masks`: bits of CSRs that
    are compared, of those where not all are.
    """

    section: str
    why: str
    apply: Callable[[Image, Traps], None] | None = None
    masks: tuple[tuple[str, int], ...] = ()


def _breakpoint(image: Image, traps: Traps) -> None:
    traps[..., MTVAL][traps[..., MCAUSE] == _BREAKPOINT] = 0
    traps[..., STVAL][traps[..., SCAUSE] == _BREAKPOINT] = 0


def _widths(image: Image, traps: Traps) -> None:
    if not image.supervisor:
        traps[..., MSTATUS] &= np.uint64(_ONES - _UXL_SXL)


def _amo_causes(image: Image, traps: Traps) -> None:
    for number, case in enumerate(image.cases):
        # not LR, which is a load
        amos = [at for at, word in case.words() if word & 0x7F == _AMO and word >> 27 != 0b00010]
        alias = np.uint64(case.entry - case.address & _ONES)
        for cause, epc in ((MCAUSE, MEPC), (SCAUSE, SEPC)):
            rows = traps[number]
            wrong = np.isin(rows[:, epc] - alias, amos) & np.isin(rows[:, cause], _OF_LOADS)
            rows[wrong, cause] += np.uint64(2)


def _fence_values(image: Image, traps: Traps) -> None:
    fences = [at for case in image.cases for at, word in case.words() if word & 0xFFF == _SYSTEM]
    for cause, epc, value in ((MCAUSE, MEPC, MTVAL), (SCAUSE, SEPC, STVAL)):
        at_fence = np.isin(traps[..., epc], fences) & (traps[..., cause] == _ILLEGAL)
        traps[..., value][at_fence] = 0


def _even_epc(image: Image, traps: Traps) -> None:
    for epc in (MEPC, SEPC):
        traps[..., epc] &= np.uint64(_ONES - 1)


KNOWN: tuple[Known, ...] = (
    Known(
        "Machine Trap Value Register: mtval is zero or the address of the ebreak",
        "QEMU writes zero, the emulator the address",
        _breakpoint,
    ),
    Known(
        "Machine Status Registers: UXL and SXL are constant where no other width can be set",
        "programs of M mode alone are not about them",
        _widths,
    ),
    Known(
        "Machine Cause Register: AMOs raise store/AMO exceptions (6, 7, 15), as SCs do",
        "QEMU raises those of loads (4, 5, 13) where the address may not be read",
        _amo_causes,
    ),
    Known(
        "Virtual Address Translation Process: A and D are set last, both for an AMO, and nothing "
        "where the access faults",
        "QEMU only sets A where there is no memory, and A for an AMO on a page without W and where "
        "N is reserved",
    ),
    Known(
        "Load-Reserved/Store-Conditional Instructions: an address that is not naturally aligned "
        "raises an exception",
        "QEMU lets an SC without a reservation fail before it looks at the address",
    ),
    Known(
        "Load-Reserved/Store-Conditional Instructions: which SCs may succeed",
        "stores, traps, and other widths and addresses between LR and SC are free to differ",
    ),
    Known(
        "Zbb, ctzw: 32 where no bit of the lower half is set",
        "QEMU goes on to count in the upper half",
    ),
    Known(
        "Machine Trap Delegation Registers: exceptions that cannot occur in S or below are "
        "read-only zero",
        "QEMU keeps the bits of ecalls from VS and from M",
        masks=(("medeleg", 0xB3FF),),
    ),
    Known(
        "Machine Interrupt Registers: interrupts of extensions that are not there are read-only "
        "zero",
        "QEMU keeps those of the hypervisor extension and of counters",
        masks=(
            ("mideleg", 0x222),
            ("mie", 0xAAA),
            ("mip", 0xAAA),
            ("sie", 0x222),
            ("sip", 0x222),
        ),
    ),
    Known(
        "Machine Interrupt Registers: simultaneous interrupts are taken in the order MEI, MSI, "
        "MTI, SEI, SSI, STI",
        "QEMU takes the lowest number first",
    ),
    Known(
        "Machine Status Registers: MPP keeps only modes that there are; VS is read-only zero "
        "without vectors; UXL and SXL may be constant",
        "QEMU keeps what is written",
    ),
    Known(
        "Machine Trap Value Register: mtval of an illegal instruction is zero or its bits",
        "QEMU writes zero for address-translation fences that mstatus.TVM traps",
        _fence_values,
    ),
    Known(
        "Machine Trap Value Register: mtval of a misaligned access is the address of the part that "
        "caused the fault",
        "where nothing is there, QEMU says that of the naturally aligned word around the first "
        "byte",
    ),
    Known(
        "Svinval: sfence.w.inval and sfence.inval.ir in U mode are illegal instructions",
        "QEMU executes them",
    ),
    Known(
        "Machine Exception Program Counter: bit 0 of mepc and sepc is always zero",
        "QEMU keeps it",
        _even_epc,
        masks=(("mepc", _ONES - 1), ("sepc", _ONES - 1)),
    ),
    Known(
        "Counter-Enable Registers, Machine Counter-Inhibit Register: 32 bits, any of which may be "
        "read-only zero",
        "QEMU keeps 64 bits; the emulator has no counters that mcountinhibit bits from 3 on stop",
        masks=(
            ("mcounteren", 0xFFFF_FFFF),
            ("scounteren", 0xFFFF_FFFF),
            ("mcountinhibit", 0b101),
        ),
    ),
    Known(
        "Machine Environment Configuration Register: ADUE (Svadu); CBIE is WARL, 2 is reserved",
        "QEMU 7.2 always updates A and D bits and has no ADUE; it keeps 2 in CBIE",
        masks=(("menvcfg", _ONES - (1 << 61)), ("menvcfgh", 0xFFFF_FFFF - (1 << 29))),
    ),
    Known(
        "Machine Status Registers: mstatush has SBE and MBE, and no others without the hypervisor "
        "extension",
        "QEMU keeps MPV and GVA",
        masks=(("mstatush", 0x30),),
    ),
    Known(
        "Physical Memory Protection CSRs: pmpaddr has bits 55:2 of an address; reserved bits of "
        "pmpcfg are zero, W without R is reserved",
        "QEMU keeps what is written",
        masks=tuple((f"pmpaddr{n}", (1 << 54) - 1) for n in range(16)),
    ),
    Known(
        "Virtual Address Translation Process, step 3: reserved bits of an entry raise a page fault",
        "QEMU looks at none where it has Svnapot: programs with those bits run without, and with "
        "those of Svnapot and Svpbmt without reserved ones",
    ),
    Known(
        "Machine Trap-Vector Base-Address Register: MODE is WARL, values from 2 on are reserved",
        "QEMU ignores the whole write, the emulator takes it with bit 1 zero",
    ),
    Known(
        "Physical Memory Protection, Priority and Matching Logic: an entry matches if it matches "
        "any byte of an access, and fails it if not all of them",
        "QEMU does not see a region that lies between the first and the last byte, nor that an "
        "instruction ends in another region of the same page",
    ),
    Known(
        "Physical Memory Protection CSRs: 0, 16 or 64 entries",
        "both have 16; with QEMU the CSRs of others do not exist, the emulator's read zero",
    ),
)


def _csr_reads(image: Image, found: Words) -> None:
    """Mask what CSR instructions read, and the CSRs that are kept."""
    masks = {ADDRESS[name]: mask for known in KNOWN for name, mask in known.masks}
    names = image.fields()
    first = names.index("x1")
    for column, name in enumerate(image.kept):
        mask = masks.get(ADDRESS[name], _ONES)
        found[:, names.index("fcsr") + 1 + column] &= np.uint64(mask)
    for number, case in enumerate(image.cases):
        for _, word in case.words():
            rd, csr = word >> 7 & 31, word >> 20
            if word & 0x7F == _SYSTEM and word >> 12 & 3 and rd and csr in masks:
                found[number, first + rd - 1] &= np.uint64(masks[csr])


def normalize(image: Image, slots: Words) -> Words:
    """Results without what is known to differ."""
    found = slots.copy()
    traps = found[:, 1 : 1 + TRAPS * TRAP_WORDS].reshape(-1, TRAPS, TRAP_WORDS)
    assert np.shares_memory(traps, found)
    for known in KNOWN:
        if known.apply is not None:
            known.apply(image, traps)
    _csr_reads(image, found)
    return found
