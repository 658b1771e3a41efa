"""What is where in mstatus and the other registers of privilege, and which bits a hart has.

Privileged architecture, "Machine Status (mstatus and mstatush) Registers", "Supervisor Status
(sstatus) Register", "Machine Environment Configuration (menvcfg) Register".
"""

from emu.hart.state import HAS_F, HAS_S, HAS_U

SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
MPP_SHIFT, FS_SHIFT = 11, 13
MPP, FS = 3 << MPP_SHIFT, 3 << FS_SHIFT
MPRV, SUM, MXR, TVM, TW, TSR = (1 << bit for bit in range(17, 23))
#: UXL and SXL, on RV64: as wide as machine mode.
UXL_64, SXL_64 = 2 << 32, 2 << 34

#: Of interrupts: those of S-mode.
SSI, STI, SEI = 1 << 1, 1 << 5, 1 << 9
MSI, MTI, MEI = 1 << 3, 1 << 7, 1 << 11
SUPERVISOR = SSI | STI | SEI
MACHINE = MSI | MTI | MEI

#: menvcfg and senvcfg.
FIOM, CBIE_SHIFT, CBCFE, CBZE = 1 << 0, 4, 1 << 6, 1 << 7
CBIE = 3 << CBIE_SHIFT
ADUE, PBMTE, STCE = 1 << 61, 1 << 62, 1 << 63

#: Exceptions that can be delegated: all but those of machine mode itself, of modes that there are.
DELEGABLE = 0xB3FF

#: mseccfg (Smepmp).
MML, MMWP, RLB = 1, 2, 4


def writable(has: int) -> int:
    """The bits of mstatus that can be written on a hart that has `has`."""
    bits = MIE | MPIE
    if has & HAS_U:
        bits |= MPP | MPRV | TW
    if has & HAS_S:
        bits |= SIE | SPIE | SPP | SUM | MXR | TVM | TSR
    if has & HAS_F:
        bits |= FS
    return bits


#: The bits of mstatus that sstatus shows and writes.
OF_SSTATUS = SIE | SPIE | SPP | FS | SUM | MXR
