"""Control and status registers: address to name (facts from riscv-opcodes).

A row is an address and the names of the registers from there on; `pmpaddr0..63` is a family.
"""

_NAMES = """
    0x001 fflags frm fcsr
    0x007 utvt vstart vxsat vxrm
    0x00f vcsr
    0x011 ssp
    0x015 seed
    0x017 jvt
    0x045 unxti uintstatus
    0x048 uscratchcsw uscratchcswl
    0x100 sstatus
    0x104 sie stvec scounteren stvt
    0x10a senvcfg
    0x10c sstateen0 sstateen1 sstateen2 sstateen3
    0x120 scountinhibit
    0x140 sscratch sepc scause stval sip snxti sintstatus
    0x148 sscratchcsw sscratchcswl
    0x14d stimecmp sctrctl sctrstatus siselect sireg sireg2 sireg3
    0x155 sireg4 sireg5 sireg6
    0x15c stopei
    0x15f sctrdepth
    0x180 satp srmcfg
    0x183 spmpen
    0x200 vsstatus
    0x204 vsie vstvec
    0x240 vsscratch vsepc vscause vstval vsip
    0x24d vstimecmp vsctrctl
    0x250 vsiselect vsireg vsireg2 vsireg3
    0x255 vsireg4 vsireg5 vsireg6
    0x25c vstopei
    0x280 vsatp
    0x300 mstatus misa medeleg mideleg mie mtvec mcounteren mtvt mvien mvip menvcfg
    0x30c mstateen0 mstateen1 mstateen2 mstateen3
    0x316 mpmpdeleg
    0x320 mcountinhibit mcyclecfg minstretcfg mhpmevent3..31 mscratch mepc mcause mtval mip
    0x345 mnxti mintstatus
    0x348 mscratchcsw mscratchcswl mtinst mtval2
    0x34e mctrctl
    0x350 miselect mireg mireg2 mireg3
    0x355 mireg4 mireg5 mireg6
    0x35c mtopei
    0x3a0 pmpcfg0..15 pmpaddr0..63
    0x5a8 scontext
    0x600 hstatus
    0x602 hedeleg hideleg hie htimedelta hcounteren hgeie hvien hvictl henvcfg
    0x60c hstateen0 hstateen1 hstateen2 hstateen3
    0x643 htval hip hvip hviprio1 hviprio2
    0x64a htinst
    0x680 hgatp
    0x6a8 hcontext
    0x740 mnscratch mnepc mncause
    0x744 mnstatus
    0x747 mseccfg
    0x7a0 tselect tdata1 tdata2 tdata3 tinfo tcontrol
    0x7a8 mcontext
    0x7aa mscontext
    0x7b0 dcsr dpc dscratch0 dscratch1
    0xb00 mcycle
    0xb02 minstret mhpmcounter3..31
    0xc00 cycle time instret hpmcounter3..31 vl vtype vlenb mtype
    0xda0 scountovf
    0xdb0 stopi
    0xe12 hgeip
    0xeb0 vstopi
    0xf11 mvendorid marchid mimpid mhartid mconfigptr
    0xfb0 mtopi
"""

#: Upper halves, which exist on RV32 alone.
_RV32_NAMES = """
    0x114 sieh
    0x154 siph
    0x15d stimecmph
    0x193 spmpenh
    0x214 vsieh
    0x254 vsiph
    0x25d vstimecmph
    0x310 mstatush
    0x312 medelegh midelegh mieh
    0x318 mvienh mviph menvcfgh
    0x31c mstateen0h mstateen1h mstateen2h mstateen3h
    0x354 miph
    0x612 hedelegh hidelegh
    0x615 htimedeltah
    0x618 hvienh
    0x61a henvcfgh
    0x61c hstateen0h hstateen1h hstateen2h hstateen3h
    0x655 hviph hviprio1h hviprio2h
    0x721 mcyclecfgh minstretcfgh mhpmevent3..31h
    0x757 mseccfgh
    0xb80 mcycleh
    0xb82 minstreth mhpmcounter3..31h
    0xc80 cycleh timeh instreth hpmcounter3..31h
"""


def _expand(rows: str) -> dict[int, str]:
    registers: dict[int, str] = {}
    for line in rows.strip().splitlines():
        start, *names = line.split()
        address = int(start, 16)
        for name in names:
            head, dots, tail = name.partition("..")
            if not dots:
                registers[address] = name
                address += 1
                continue
            stem = head.rstrip("0123456789")
            suffix = tail.lstrip("0123456789")
            for number in range(int(head[len(stem) :]), int(tail.removesuffix(suffix)) + 1):
                registers[address] = f"{stem}{number}{suffix}"
                address += 1
    return registers


#: Address to name: registers of either width, and those that RV32 has in addition.
CSRS: dict[int, str] = _expand(_NAMES)
RV32_CSRS: dict[int, str] = _expand(_RV32_NAMES)

#: Name to address, for both.
ADDRESS: dict[str, int] = {name: address for address, name in (CSRS | RV32_CSRS).items()}


def csr_name(address: int, xlen: int = 32) -> str:
    """Name of a register; its address in hex where it has none. RV64 has no upper halves."""
    name = CSRS.get(address)
    if name is None and xlen == 32:
        name = RV32_CSRS.get(address)
    return f"{address:#x}" if name is None else name
