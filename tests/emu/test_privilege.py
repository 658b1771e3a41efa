"""Privilege levels: privileged architecture, "Machine-Level ISA" and "Supervisor-Level ISA"."""

from itertools import product

import pytest

from emu.machine import ExitReason, Machine
from specs.interfaces.events import EXCEPTION, INTERRUPT, TRAP_RETURN
from specs.isa.csrs import ADDRESS
from tests.emu.build import CODE, DATA, MSIP, MTIME, MTIMECMP, dwords
from tests.emu.levels import (
    FS,
    MIE,
    MPIE,
    MPP,
    MPRV,
    MXR,
    SIE,
    SPIE,
    SPP,
    SUM,
    TSR,
    TVM,
    TW,
    Levels,
    M,
    S,
    U,
)
from tests.emu.replay import watch

XLEN = pytest.mark.parametrize("xlen", [32, 64])
ILLEGAL, BREAKPOINT = 2, 3
#: Interrupts by cause.
SSI, MSI, STI, MTI, SEI = 1, 3, 5, 7, 9


def word_at(code: bytes, address: int) -> int:
    return int.from_bytes(code[address - CODE :][:4], "little")


def supervisor_handler(a: Levels, how: str = "ecall") -> int:
    """stvec points to calls of M-mode, one for each vector: from there it goes on behind the part.
    Returns the address.
    """
    number = a.at
    a.jal(rd=0, to=f"past {number}")
    while a.at & 63:
        a.addi()
    handler = a.at
    for _ in range(16):
        getattr(a, how)()
    a.label(f"past {number}")
    a.put("stvec", handler)
    return handler


# -- traps and where they go


@XLEN
def test_environment_calls(xlen: int) -> None:
    a = Levels(xlen)
    for level in (U, S, M):
        with a.part(level):
            a.addi()
    a.exit()
    machine = a.observe()
    assert machine.trap_counts == {(False, 8): 1, (False, 9): 1, (False, 11): 1}
    for part, level, cause in zip(a.parts, (U, S, M), (8, 9, 11), strict=True):
        (call,) = part.events
        assert call[:6] == (EXCEPTION, 0, part.end, a.labels["m_handler"], cause, 0)
        assert (call.priv_before, call.priv_after) == (level, M)


#: Exceptions: what raises them, from which levels. Register 9 is 0x10, 10 DATA.
RAISING = {
    0: (lambda a: a.jal(rd=0, imm=6), (U, S)),
    1: (lambda a: a.jalr(rs1=9), (U, S)),
    2: (lambda a: a.raw(0xFFFF_FFFF, 4), (U, S)),
    3: (lambda a: a.ebreak(), (U, S)),
    4: (lambda a: a.lr_w(rd=5, rs1=11), (U, S)),
    5: (lambda a: a.lw(rd=5, rs1=9, imm=0), (U, S)),
    6: (lambda a: a.sc_w(rd=5, rs1=11, rs2=0), (U, S)),
    7: (lambda a: a.sw(rs1=9, rs2=0, imm=0), (U, S)),
    8: (lambda a: a.ecall(), (U,)),
    9: (lambda a: a.ecall(), (S,)),
}


@XLEN
@pytest.mark.parametrize("cause", RAISING)
def test_delegation_of_exceptions(xlen: int, cause: int) -> None:
    """By its own bit alone; the rest of mstatus and the other level's registers stay."""
    raise_it, levels = RAISING[cause]
    a = Levels(xlen)
    a.li(9, 0x10)
    a.li(10, DATA)
    a.addi(rd=11, rs1=10, imm=2)
    # what leads from S-mode to M-mode must not be delegated itself
    supervisor_handler(a, "ebreak" if cause == 9 else "ecall")
    marker = 0x40
    wanted = []
    for level, delegated, enabled in product(levels, (True, False), (True, False)):
        for name in ("scause", "stval", "sepc", "mcause", "mtval"):
            a.put(name, marker)
        a.put("medeleg", 1 << cause if delegated else ~(1 << cause))
        a.status(set_=SIE if enabled else 0, clear=SIE | SPIE)
        with a.part(level) as part:
            at = raise_it(a)
        wanted.append((part, at, level, delegated, enabled))
    a.exit()
    isa = f"rv{xlen}ima_zicsr" if cause == 0 else None
    machine = Machine([a.program()], record=False, isa=isa)
    seen = {}
    names = ("scause", "sepc", "stval", "mcause", "mepc", "mtval", "mstatus")

    def note(event) -> None:
        if event.from_pc not in seen:
            seen[event.from_pc] = event, {name: machine.csr(name) for name in names}

    machine.on_discontinuity(note, EXCEPTION)
    assert list(machine.run(100_000)) == [] and machine.exit_code == 0
    tvals = {0: lambda at: at + 6, 1: lambda at: 0x10, 2: lambda at: 0xFFFF_FFFF, 3: lambda at: at,
             4: lambda at: DATA + 2, 5: lambda at: 0x10, 6: lambda at: DATA + 2,
             7: lambda at: 0x10}  # fmt: skip
    for _part, at, level, delegated, enabled in wanted:
        at, pc = (at, 0x10) if cause == 1 else (at, at)
        event, csrs = seen.pop(pc)
        tval = tvals.get(cause, lambda at: 0)(at)
        assert (event.cause, event.tval) == (cause, tval)
        assert (event.priv_before, event.priv_after) == (level, S if delegated else M)
        letter, others = "m", ("scause", "sepc", "stval")
        if delegated:
            letter, others = "s", ("mcause", "mtval")
        assert [csrs[letter + name] for name in ("cause", "epc", "tval")] == [cause, pc, tval]
        assert {csrs[name] for name in others} == {marker}
        status = csrs["mstatus"]
        if delegated:
            assert status & (SIE | SPIE | SPP) == enabled * SPIE | (level == S) * SPP
            assert status & MPP == 0  # what mret left
        else:
            assert status & MPP == level << 11 and status & (MIE | SIE) == enabled * SIE
        if cause == 1:
            break  # all of them are at the same pc


@XLEN
def test_traps_never_go_to_a_lower_level(xlen: int) -> None:
    a = Levels(xlen)
    supervisor_handler(a)
    a.put("medeleg", -1)
    with a.part(M) as part:
        at = a.raw(0xFFFF_FFFF, 4)
    a.exit()
    a.observe()
    (event,) = part.events
    assert (event.from_pc, event.priv_before, event.priv_after) == (at, M, M)


def pend(a: Levels, causes: int) -> None:
    """Have just these interrupts pending; mtimecmp is 0 or as far as it can be."""
    a.put("mip", causes)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=causes >> MSI & 1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.li(5, MTIMECMP)
    a.addi(rd=6, rs1=0, imm=(causes >> MTI & 1) - 1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=4)


def due(status: int, level: int, pending: int, delegated: int) -> tuple[int, int] | None:
    """The interrupt that is taken, and the level that takes it ("Machine Interrupt (mip and mie)
    Registers"): M before S; in each MEI, MSI, MTI, SEI, SSI, STI.
    """
    for to, bits in ((M, pending & ~delegated), (S, pending & delegated)):
        if level > to or (level == to and not status & (MIE if to == M else SIE)):
            continue
        for cause in (MSI, MTI, SEI, SSI, STI):
            if bits >> cause & 1:
                return cause, to
    return None


@XLEN
def test_which_interrupt_is_taken(xlen: int) -> None:
    a = Levels(xlen)
    supervisor_handler(a)
    every = 1 << SSI | 1 << MSI | 1 << STI | 1 << MTI | 1 << SEI
    wanted = []
    a.put("mie", every)
    for bits in range(32):
        pending = sum(1 << c for n, c in enumerate((SSI, MSI, STI, MTI, SEI)) if bits >> n & 1)
        pend(a, pending)
        for delegated in (0, 1 << SSI | 1 << STI | 1 << SEI, 1 << SSI, 1 << STI):
            a.put("mideleg", delegated)
            for level, status in ((U, 0), (S, 0), (S, SIE), (M, SIE), (M, MIE)):
                a.status(status & SIE | (MPIE if status & MIE else 0), SIE | MPIE | MIE)
                with a.part(level) as part:
                    a.addi()
                wanted.append((part, due(status, level, pending, delegated), level))
                a.status(0, MIE)
    a.exit()
    a.observe()
    for part, want, level in wanted:
        got = [(e.cause, e.priv_after) for e in part.events if e.kind == INTERRUPT]
        assert got == ([want] if want else []), (want, level)
        for event in part.events:
            assert event.priv_before == level
            if event.kind == INTERRUPT:
                assert event.from_pc == part.begin


@XLEN
def test_vectors_of_supervisor_mode(xlen: int) -> None:
    """Interrupts at base + 4 * cause, exceptions at the base."""
    a = Levels(xlen)
    base = supervisor_handler(a)
    a.put("stvec", base | 1)
    a.csr("stvec", rd=20)
    a.put("mie", 0x222)
    a.put("mideleg", 0x222)
    a.put("medeleg", 1 << ILLEGAL)
    parts = []
    for cause in (SSI, STI, SEI):
        pend(a, 1 << cause)
        with a.part(U) as part:
            a.addi()
        parts.append((part, cause))
    pend(a, 0)
    with a.part(U) as illegal:
        a.raw(0xFFFF_FFFF, 4)
    a.exit()
    machine = a.observe()
    assert machine.register(20) == base | 1
    for part, cause in parts:
        assert part.events[0].to_pc == base + 4 * cause
    assert illegal.events[0].to_pc == base


@XLEN
@pytest.mark.parametrize("modes", ["M", "MU", "MSU"])
def test_mret(xlen: int, modes: str) -> None:
    """MIE from MPIE, MPIE set, MPP the lowest level; MPRV cleared unless it stays in M-mode."""
    a = Levels(xlen)
    levels = {"M": (M,), "MU": (M, U), "MSU": (M, S, U)}[modes]
    lowest = M if modes == "M" else U
    cases = list(product(levels, (0, MPIE), (0, MIE), (0, MPRV if modes != "M" else 0)))
    for level, mpie, mie, mprv in cases:
        a.status(0, MPIE | MIE)
        a.status(mpie | mprv)
        if mie:
            a.status(MIE)
        with a.part(level):
            a.addi()
        a.status(0, MPRV)
    a.exit()
    machine = Machine([a.program()], record=False, modes=modes)
    seen = []
    machine.on_discontinuity(lambda e: seen.append((e, machine.csr("mstatus"))), TRAP_RETURN)
    assert list(machine.run(100_000)) == [] and machine.exit_code == 0
    for (event, status), (level, mpie, _mie, mprv) in zip(seen, cases, strict=True):
        assert (event.priv_before, event.priv_after) == (M, level)
        assert status & (MIE | MPIE) == MPIE | (MIE if mpie else 0)
        assert status & MPP == lowest << 11
        assert status & MPRV == (mprv if level == M else 0)


@XLEN
def test_sret(xlen: int) -> None:
    """The same, from S-mode and from M-mode, by SIE, SPIE and SPP; sepc is where to."""
    a = Levels(xlen)
    cases = list(product((M, S), (0, SPP), (0, SPIE), (0, SIE), (0, MPRV)))
    for level, spp, spie, sie, mprv in cases:
        a.status(0, SPP | SPIE | SIE)
        with a.part(level):
            number = len(a.parts)
            a.jal(rd=5, to=f"to {number}")
            a.label(f"landed {number}")
            a.ecall()
            a.label(f"to {number}")
            if level == M:
                a.li(6, mprv)
                a.csr("mstatus", set_=6)
            a.csr("sepc", write=5)
            a.li(6, spp | spie | sie)
            a.csr("sstatus", set_=6)
            a.sret()
    a.exit()
    machine = Machine([a.program()], record=False)
    seen = []

    def note(event) -> None:
        if machine.memory.read(event.from_pc, 4) == 0x1020_0073:
            seen.append((event, machine.csr("mstatus")))

    machine.on_discontinuity(note, TRAP_RETURN)
    assert list(machine.run(100_000)) == [] and machine.exit_code == 0
    for n, ((event, status), (level, spp, spie, _, _)) in enumerate(zip(seen, cases, strict=True)):
        assert (event.priv_before, event.priv_after) == (level, S if spp else U)
        assert event.to_pc == a.labels[f"landed {n + 1}"]
        assert status & (SIE | SPIE | SPP | MPRV) == SPIE | (SIE if spie else 0)


@XLEN
def test_trapping_what_supervisors_do(xlen: int) -> None:
    """TVM, TW, TSR: of S-mode alone but TW; in U-mode all of it is illegal whatever they are."""
    does = {
        "read satp": lambda a: a.csr("satp", rd=5),
        "write satp": lambda a: a.csr("satp", write=0),
        "sfence.vma": lambda a: a.sfence_vma(),
        "sinval.vma": lambda a: a.sinval_vma(),
        "sfence.w.inval": lambda a: a.sfence_w_inval(),
        "sfence.inval.ir": lambda a: a.sfence_inval_ir(),
        "wfi": lambda a: a.wfi(),
        "sret": lambda a: a.sret(),
    }
    virtual = {"read satp", "write satp", "sfence.vma", "sinval.vma"}
    a = Levels(xlen)
    a.put("mie", 1 << SSI)
    a.put("mip", 1 << SSI)
    a.put("mideleg", 1 << SSI)  # wfi has nothing to wait for; SIE is clear
    wanted = []
    for level, bits, (name, do) in product((U, S, M), (0, TVM, TW, TSR), does.items()):
        if level == U:
            a.put("mip", 0)  # it would be taken there
            if name == "wfi" and bits != TW:
                continue
        a.status(bits, TVM | TW | TSR | SPP | SIE | SPIE)
        if level == M and name == "sret":
            continue
        with a.part(level) as part:
            if name == "sret":
                a.jal(rd=5, to=f"go {len(a.parts)}")
                a.ecall()
                a.label(f"go {len(a.parts)}")
                if level == S:
                    a.csr("sepc", write=5)
            at = do(a)
        illegal = level == U or (level == S and (
            (name in virtual and bits == TVM)
            or (name == "wfi" and bits == TW)
            or (name == "sret" and bits == TSR)
        ))  # fmt: skip
        wanted.append((part, at, illegal, name, level, bits))
        a.status(0, TVM | TW | TSR)
        a.put("mip", 1 << SSI)
    a.exit()
    a.observe()
    code = a.bytes()
    for part, at, illegal, name, level, bits in wanted:
        found = [(e.from_pc, e.cause, e.tval) for e in part.traps if e.cause == ILLEGAL]
        word = word_at(code, at)
        assert found == ([(at, ILLEGAL, word)] if illegal else []), (name, level, hex(bits))


@XLEN
def test_wfi_in_user_mode(xlen: int) -> None:
    """With S-mode illegal; without, if TW is set."""
    for modes, bits, illegal in (("MSU", 0, True), ("MU", 0, False), ("MU", TW, True)):
        a = Levels(xlen)
        a.put("mie", 1 << MTI)
        a.li(5, MTIMECMP)
        a.li(6, 5000)
        a.sw(rs1=5, rs2=0, imm=4)
        a.sw(rs1=5, rs2=6, imm=0)
        a.status(bits)
        with a.part(U) as part:
            a.wfi()
        a.exit()
        a.observe(modes=modes)
        (event, *_) = part.traps
        assert event.kind == (EXCEPTION if illegal else INTERRUPT)
        assert event.cause == (ILLEGAL if illegal else MTI)


# -- registers

_ALL = (1 << 64) - 1
#: Bits that keep what is written (privileged architecture, each register under its name). On RV32
#: those of the lower half.
WARL = {
    "mstatus": 0x7E_79AA,
    "misa": 0,
    "medeleg": 0xB3FF,
    "mideleg": 0x222,
    "mie": 0xAAA,
    "mtvec": ~2,
    "mcounteren": 0xFFFF_FFFF,
    "mcountinhibit": 0b101,
    "mscratch": _ALL,
    "mepc": ~1,
    "mcause": _ALL,
    "mtval": _ALL,
    "stvec": ~2,
    "scounteren": 0xFFFF_FFFF,
    "sscratch": _ALL,
    "sepc": ~1,
    "scause": _ALL,
    "stval": _ALL,
    "senvcfg": 0xF1,
    "menvcfg": 0xE000_0000_0000_00F1,
    "mip": 0x202,  # STIP is the timer's, now that menvcfg.STCE is set
    "fcsr": 0xFF,
    "fflags": 0x1F,
    "frm": 7,
    "stimecmp": _ALL,
    **dict.fromkeys([f"mhpmcounter{n}" for n in range(3, 32)], 0),
    **dict.fromkeys([f"mhpmevent{n}" for n in range(3, 32)], 0),
}
UPPER_HALVES = {"menvcfgh": 0xE000_0000, "mstatush": 0, "medelegh": 0, "stimecmph": 0xFFFF_FFFF}


@XLEN
def test_bits_that_keep_what_is_written(xlen: int) -> None:
    mask = (1 << xlen) - 1
    a = Levels(xlen)
    a.li(5, MTIMECMP)
    a.addi(rd=6, rs1=0, imm=-1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=4)
    a.status(FS)
    rows = WARL | (UPPER_HALVES if xlen == 32 else {})
    size = xlen // 8
    a.li(9, DATA)
    store = a.sw if xlen == 32 else a.sd
    a.addi(rd=7, rs1=0, imm=-1)
    for name in rows:
        a.csr(name, rd=10)
        a.csr(name, write=7)
        a.csr(name, rd=11)
        a.csr(name, write=0)
        a.csr(name, rd=12)
        if name == "menvcfg":
            a.csr(name, write=7)  # for mip
            if xlen == 32:
                a.csr("menvcfgh", write=7)
        if name == "mstatus":
            a.csr(name, write=10)
        for n in range(3):
            store(rs1=9, rs2=10 + n, imm=n * size)
        a.addi(rd=9, rs1=9, imm=3 * size)
    a.exit()
    machine = a.observe()
    assert machine.trap_counts == {}
    values = dwords(machine, DATA, 3 * len(rows))
    for n, (name, keeps) in enumerate(rows.items()):
        reset, ones, zeros = values[3 * n : 3 * n + 3]
        keeps &= mask
        if name == "mstatus":
            fixed = 0xA_0000_0000 if xlen == 64 else 0
            assert ones == keeps | fixed | 1 << (xlen - 1), hex(ones)
            assert zeros == fixed
        elif name == "misa":
            assert reset == ones == zeros != 0
        else:
            assert (ones & keeps, ones & ~keeps) == (keeps, zeros), (name, hex(ones), hex(zeros))
            assert zeros & keeps == 0


@XLEN
def test_fields_with_reserved_values(xlen: int) -> None:
    """MPP of 2, CBIE of 2, modes of satp and of xtvec that there are not: what was there stays."""
    a = Levels(xlen)
    results = []

    def after(name: str, *values: int) -> None:
        for value in values:
            a.put(name, value)
        a.csr(name, rd=5)
        a.sw(rs1=9, rs2=5, imm=0) if xlen == 32 else a.sd(rs1=9, rs2=5, imm=0)
        a.addi(rd=9, rs1=9, imm=xlen // 8)

    a.li(9, DATA)
    fixed = 0xA_0000_0000 if xlen == 64 else 0
    for first in (U, S, M):
        after("mstatus", first << 11, 2 << 11)
        results.append(first << 11 | fixed)
    for name in ("menvcfg", "senvcfg"):
        for first in (0, 1, 3):
            after(name, first << 4, 2 << 4)
            results.append(first << 4)
    if xlen == 64:
        for mode in range(16):
            after("satp", 8 << 60 | 0x123 << 44 | 0x456, mode << 60 | 0xFFFF << 44 | 0x777)
            legal = mode in (0, 8, 9, 10)
            new, old = mode << 60 | 0xFFFF << 44 | 0x777, 8 << 60 | 0x123 << 44 | 0x456
            results.append(new if legal else old)
        after("satp", 10 << 60 | (1 << 60) - 1)
        results.append(10 << 60 | (1 << 60) - 1)
    else:
        after("satp", 0xFFFF_FFFF)
        results.append(0xFFFF_FFFF)
    after("satp", 0)
    results.append(0)
    for name in ("mtvec", "stvec"):
        a.csr(name, rd=8)
        after(name, 0x1000 | 3)
        results.append(0x1001)
        a.csr(name, write=8)
    a.exit()
    machine = a.observe()
    assert dwords(machine, DATA, len(results)) == results


@XLEN
def test_modes_that_are_not_there_are_no_previous_ones(xlen: int) -> None:
    """MPP keeps only levels that there are; bits of S-mode and U-mode are zero."""
    for modes, levels, keeps in (
        ("M", (M,), MIE | MPIE | FS),
        ("MU", (U, M), MIE | MPIE | FS | MPRV | TW),
        ("MSU", (U, S, M), 0x7E_79AA & ~MPP),
    ):
        a = Levels(xlen)
        a.addi(rd=5, rs1=0, imm=-1)
        a.csr("mstatus", write=5)
        a.csr("mstatus", rd=10)
        for level in range(4):
            a.put("mstatus", M << 11)
            a.put("mstatus", level << 11)
            a.csr("mstatus", rd=11 + level)
        a.exit()
        machine = a.observe(modes=modes)
        widths = {"M": 0, "MU": 2 << 32, "MSU": 0xA << 32}[modes] if xlen == 64 else 0
        assert machine.register(10) == keeps | MPP | widths | 1 << (xlen - 1)
        for level in range(4):
            want = level if level in levels else M
            assert machine.register(11 + level) & MPP == want << 11


@XLEN
def test_sstatus_sie_and_sip_are_views(xlen: int) -> None:
    shown = SIE | SPIE | SPP | FS | SUM | MXR
    a = Levels(xlen)
    a.put("mstatus", 0x7E_79AA & ~MIE)
    a.csr("sstatus", rd=10)
    a.csr("sstatus", write=0)
    a.csr("mstatus", rd=11)
    a.put("mstatus", 0)
    a.addi(rd=7, rs1=0, imm=-1)
    a.csr("sstatus", write=7)
    a.csr("mstatus", rd=12)
    a.put("mstatus", 0)
    a.put("mideleg", 1 << SSI | 1 << SEI)
    a.put("mie", 0x2AA)
    a.put("mip", 0x222)
    a.csr("sie", rd=13)
    a.csr("sip", rd=14)
    a.csr("sie", write=0)
    a.csr("mie", rd=15)
    a.csr("sip", write=0)
    a.csr("mip", rd=16)
    a.csr("sip", write=7)
    a.csr("mip", rd=17)
    a.put("mideleg", 1 << STI)
    a.put("mip", 0)
    a.csr("sip", write=7)
    a.csr("mip", rd=18)
    a.csr("sie", write=7)
    a.csr("mie", rd=19)
    a.put("mie", 0)
    a.put("mip", 0)
    a.exit()
    machine = a.observe()
    r = machine.register
    sd = 1 << (xlen - 1)
    uxl, both = (2 << 32, 0xA << 32) if xlen == 64 else (0, 0)
    assert r(10) == shown | sd | uxl
    assert r(11) == (0x7E_79AA & ~MIE & ~shown) | both
    assert r(12) == shown | sd | both
    timer = 1 << MTI
    assert (r(13), r(14)) == (1 << SSI | 1 << SEI, 1 << SSI | 1 << SEI)
    assert r(15) == 0x2AA & ~(1 << SSI | 1 << SEI)
    assert r(16) == 0x222 & ~(1 << SSI) | timer  # SEIP and STIP are read-only there
    assert r(17) == 0x222 | timer
    assert r(18) == timer  # SSIP is not delegated
    assert r(19) == 0x2AA & ~(1 << SSI | 1 << SEI) | 1 << STI


#: CSRs that there is one of, and that both widths have.
_CSRS = """
    fflags frm fcsr cycle time instret
    sstatus sie stvec scounteren senvcfg sscratch sepc scause stval sip stimecmp satp
    mvendorid marchid mimpid mhartid mconfigptr
    mstatus misa medeleg mideleg mie mtvec mcounteren menvcfg mcountinhibit
    mscratch mepc mcause mtval mip mseccfg mcycle minstret
    tselect tdata1 tdata2 tdata3 tinfo
"""


def existing(xlen: int) -> set[str]:
    """Names of all CSRs that the hart has, by the manual's lists."""
    names = _CSRS.split()
    counters = [f"{m}hpmcounter{n}" for m in ("m", "") for n in range(3, 32)]
    events = [f"mhpmevent{n}" for n in range(3, 32)]
    halves = "mstatush menvcfgh medelegh mseccfgh stimecmph mcycleh minstreth cycleh timeh instreth"
    protection = [f"pmpaddr{n}" for n in range(64)]
    protection += [f"pmpcfg{n}" for n in range(0, 16, 1 if xlen == 32 else 2)]
    found = {*names, *counters, *events, *protection}
    if xlen == 32:
        found |= {*halves.split(), *(name + "h" for name in counters)}
    return found


@XLEN
def test_which_csrs_there_are_at_each_level(xlen: int) -> None:
    """Each number is read once at each level; and those that are read-only written."""
    there = {ADDRESS[name] for name in existing(xlen)}
    for level in (U, S, M):
        a = Levels(xlen)
        a.jal(rd=0, imm=24)
        handler = a.label("skip")
        a.csr("mepc", rd=28)
        a.addi(rd=28, rs1=28, imm=4)
        a.csr("mepc", write=28)
        a.mret()
        a.addi()
        for name in ("mcounteren", "scounteren"):
            a.put(name, -1)
        a.put("menvcfg" if xlen == 64 else "menvcfgh", 1 << (xlen - 1))
        a.status(FS | level << 11, MPP)
        a.li(5, handler)
        a.csr("mtvec", write=5)
        a.jal(rd=5, imm=4)
        a.addi(rd=5, rs1=5, imm=12)
        a.csr("mepc", write=5)
        a.mret()
        first = a.at
        for number in range(4096):
            a.csrrs(rd=6, rs1=0, imm=number)
        for number in range(3 << 10, 4096):
            a.csrrw(rd=0, rs1=0, imm=number)
        second = first + 4 * 4096
        a.jal(rd=0, imm=0)
        machine = Machine([a.program()], record=False)
        code = a.bytes()
        illegal = []
        machine.on_discontinuity(illegal.append, EXCEPTION)
        assert list(machine.run(100_000)) == []
        assert all(e.cause == ILLEGAL and e.tval == word_at(code, e.from_pc) for e in illegal)
        faulted = {e.from_pc for e in illegal}
        read = {n for n in range(4096) if first + 4 * n not in faulted}
        wanted = {n for n in there if n >> 8 & 3 <= level}
        assert read == wanted, (level, sorted(map(hex, read ^ wanted)))
        assert all(second + 4 * n in faulted for n in range(1024))
        assert machine.exit_reason in (ExitReason.ENDLESS_LOOP, ExitReason.HANDLER_HANG)


@XLEN
def test_counters_that_are_enabled(xlen: int) -> None:
    """mcounteren for S-mode; for U-mode scounteren besides."""
    a = Levels(xlen)
    counters = {"cycle": 0, "time": 1, "instret": 2, "hpmcounter3": 3, "hpmcounter31": 31}
    if xlen == 32:
        counters |= {"cycleh": 0, "timeh": 1, "instreth": 2, "hpmcounter3h": 3}
    wanted = []
    for name, bit in counters.items():
        for machine_on, supervisor_on, others, level in product((0, 1), (0, 1), (0, 1), (U, S)):
            rest = ~(1 << bit) if others else 0
            a.put("mcounteren", machine_on << bit | rest)
            a.put("scounteren", supervisor_on << bit | rest)
            with a.part(level) as part:
                a.csr(name, rd=5)
            wanted.append((part, bool(machine_on and (supervisor_on or level == S)), name))
    a.exit()
    a.observe()
    for part, legal, name in wanted:
        assert (part.fault is None) == legal, name
        assert legal or part.fault[0] == ILLEGAL
    b = Levels(xlen)
    for on in (0, 1):
        b.put("mcounteren", on << 2)
        with b.part(U):
            b.csr("instret", rd=5)
    b.exit()
    b.observe(modes="MU")
    assert [part.fault is None for part in b.parts] == [False, True]


@XLEN
def test_stimecmp_is_enabled_by_stce_and_tm(xlen: int) -> None:
    """ "Sstc": menvcfg.STCE, and mcounteren.TM, which is bit 1."""
    a = Levels(xlen)
    wanted = []
    name = "menvcfg" if xlen == 64 else "menvcfgh"
    csrs = ("stimecmp",) if xlen == 64 else ("stimecmp", "stimecmph")
    for csr, stce, enabled, level in product(csrs, (0, 1), (0, 2, ~2, -1), (S, M, U)):
        a.put(name, stce << (xlen - 1))
        a.put("mcounteren", enabled)
        a.put("scounteren", -1)
        with a.part(level) as part:
            a.csr(csr, write=5)
        legal = level == M or (level == S and stce and enabled & 2)
        wanted.append((part, bool(legal), (stce, enabled, level)))
    a.exit()
    a.observe()
    assert {case: part.fault is None for part, _, case in wanted} == {
        case: legal for _, legal, case in wanted
    }


@XLEN
@pytest.mark.parametrize("delegated", [True, False])
def test_the_timer_of_supervisor_mode(xlen: int, delegated: bool) -> None:
    """wfi in S-mode waits for stimecmp; STIP rises and falls with it; it is masked or taken."""
    a = Levels(xlen)
    supervisor_handler(a)
    a.put("menvcfg" if xlen == 64 else "menvcfgh", 1 << (xlen - 1))
    a.put("mcounteren", -1)
    a.put("mie", 1 << STI)
    a.put("mideleg", delegated << STI)

    def compare(value: int) -> None:
        a.put("stimecmp", value)
        if xlen == 32:
            a.put("stimecmph", value >> 32)

    compare(7000)
    with a.part(S) as waits:
        wfi = a.wfi()
        a.csr("sip", rd=10)
        a.csr("time", rd=11)
    a.csr("mip", rd=12)
    compare(-1)
    a.csr("mip", rd=13)
    compare(0)
    a.put("mip", 0)
    a.csr("mip", rd=14)  # it is not software's now
    with a.part(S) as pending:
        a.addi()
    a.put("sstatus", SIE)
    with a.part(S) as enabled:
        a.addi()
    a.put("menvcfg" if xlen == 64 else "menvcfgh", 0)
    a.csr("mip", rd=15)
    a.exit()
    machine = a.observe()
    r = machine.register
    assert r(12) >> STI & 1 == r(14) >> STI & 1 == 1 and r(13) >> STI & 1 == r(15) >> STI & 1 == 0
    interrupts = [[e for e in p.events if e.kind == INTERRUPT] for p in (waits, pending, enabled)]
    if delegated:
        assert (r(10), r(11)) == (1 << STI, 7000)
        assert [len(each) for each in interrupts] == [0, 0, 1]
        assert interrupts[2][0].priv_after == S
    else:
        assert [len(each) for each in interrupts] == [1, 1, 1]
        (event,) = interrupts[0]
        assert (event.from_pc, event.time, event.priv_after) == (wfi + 4, 7000, M)
        assert event.pending_since == event.instret


@XLEN
def test_wfi_that_nothing_can_end(xlen: int) -> None:
    """mie has the supervisor's timer, stimecmp is not in use; mtimecmp is not enabled."""
    a = Levels(xlen)
    a.put("mie", 1 << STI)
    with a.part(S):
        a.wfi()
    a.exit()
    machine = Machine([a.program()], record=False)
    assert list(machine.run(10_000)) == []
    assert machine.exit_reason is ExitReason.WFI_FOREVER


@XLEN
def test_instructions_on_cache_blocks_are_enabled(xlen: int) -> None:
    """menvcfg for S-mode and U-mode, senvcfg besides for U-mode; M-mode may always."""
    bits = {"cbo_inval": 1 << 4, "cbo_clean": 1 << 6, "cbo_flush": 1 << 6, "cbo_zero": 1 << 7}
    every = 3 << 4 | 1 << 6 | 1 << 7
    a = Levels(xlen)
    a.li(10, DATA + 0x100)
    wanted = []
    for (name, bit), first, second, level in product(bits.items(), (0, 1), (0, 1), (U, S, M)):
        own = 3 << 4 if name == "cbo_inval" else bit
        for field in (bit, own):
            a.put("menvcfg", (field if first else 0) | every & ~own)
            a.put("senvcfg", (field if second else 0) | every & ~own)
            with a.part(level) as part:
                getattr(a, name)(rs1=10)
            legal = level == M or bool(first and (second or level == S))
            wanted.append((part, legal, name))
    a.exit()
    a.observe()
    code = a.bytes()
    for part, legal, name in wanted:
        assert part.fault == (None if legal else (ILLEGAL, word_at(code, part.begin))), name


@XLEN
def test_a_block_of_zeros_and_what_may_not_be_stored(xlen: int) -> None:
    a = Levels(xlen)
    a.put("menvcfg", 0xF0)
    a.put("senvcfg", 0xF0)
    a.li(10, DATA + 0x17F)
    with a.part(U):
        a.cbo_zero(rs1=10)
    a.li(10, 0x1004)  # the boot ROM
    for name in ("cbo_zero", "cbo_clean"):
        with a.part(S):
            getattr(a, name)(rs1=10)
    a.exit()
    machine = a.observe(a.program(b"\xee" * 0x300))
    data = machine.memory.view(DATA, 0x300).tobytes()
    assert data == b"\xee" * 0x140 + bytes(64) + b"\xee" * 0x180
    assert [part.fault for part in a.parts] == [None, (7, 0x1004), None]


@XLEN
def test_levels_do_not_share_their_code(xlen: int) -> None:
    """The same subroutine at all levels: what is illegal is illegal, whoever ran it before."""
    a = Levels(xlen)
    a.jal(rd=0, imm=16)
    routine = a.label("routine")
    a.csr("sscratch", rd=5)
    a.csr("mscratch", rd=5)
    a.jalr(rs1=1)
    order = [M, U, S, M, S, U, M, U]
    a.li(7, routine)
    for level in order:
        with a.part(level):
            a.jalr(rd=1, rs1=7)
    a.exit()
    machine = Machine([a.program()], record=False)
    faults = []
    machine.on_discontinuity(
        lambda e: faults.append((e.priv_before, e.from_pc - routine)) if e.cause == 2 else None,
        EXCEPTION,
    )
    assert list(machine.run(10_000)) == [] and machine.exit_code == 0
    assert faults == [(level, 0 if level == U else 4) for level in order if level != M]


@XLEN
def test_retirement_and_events_are_one_chain(xlen: int) -> None:
    """At all levels, with traps to S-mode and M-mode, returns from both, and interrupts
    (`replay.Replay` checks each against the one before).
    """
    a = Levels(xlen)
    a.put("menvcfg" if xlen == 64 else "menvcfgh", 1 << (xlen - 1))
    a.put("mcounteren", -1)
    a.jal(rd=0, to="begin")
    while a.at & 3:
        a.c_nop()
    handler = a.label("s")
    a.csr("scause", rd=28)
    a.blt(rs1=28, rs2=0, to="interrupt")
    a.csr("sepc", rd=28)
    a.addi(rd=28, rs1=28, imm=4)
    a.csr("sepc", write=28)
    a.addi(rd=20, rs1=20, imm=1)
    a.sret()
    a.label("interrupt")
    a.addi(rd=21, rs1=21, imm=1)
    a.csr("time", rd=28)
    a.addi(rd=28, rs1=28, imm=2)
    a.csr("stimecmp", write=28)
    a.sret()
    a.label("begin")
    a.put("stvec", handler)
    a.put("mideleg", 1 << STI)
    a.put("medeleg", 1 << ILLEGAL | 1 << BREAKPOINT | 1 << 8)
    a.put("stimecmp", 1)
    if xlen == 32:
        a.put("stimecmph", 0)
    a.put("mie", 1 << STI)
    for turn, level in enumerate((U, S, M, U, S)):
        with a.part(level):
            if level != M:
                a.addi(rd=5, rs1=0, imm=300)
                a.label(f"loop {turn}")
                a.addi(rd=5, rs1=5, imm=-1)
                a.bne(rs1=5, rs2=0, to=f"loop {turn}")
                a.ebreak()
            if level == U:
                a.ecall()
                a.raw(0xFFFF_FFFF, 4)
                a.lw(rd=0, rs1=0, imm=0)  # not delegated: back to M-mode
    a.exit()
    replay = watch(Machine([a.program()]))
    machine = replay.machine
    assert machine.exit_reason is ExitReason.EXIT
    assert machine.register(20) == 8 and machine.register(21) > 6
    kinds = {(e.kind, e.priv_before, e.priv_after) for e in replay.events}
    assert kinds == {
        *((TRAP_RETURN, *levels) for levels in ((M, U), (M, S), (M, M), (S, U), (S, S))),
        *((EXCEPTION, *levels) for levels in ((U, S), (S, S), (U, M), (S, M), (M, M))),
        (INTERRUPT, U, S),
    }


@XLEN
def test_vectors_of_machine_mode(xlen: int) -> None:
    """Also of interrupts that are S-mode's, where they are not delegated."""
    a = Levels(xlen)
    a.jal(rd=0, to="begin")
    while a.at & 63:
        a.addi()
    base = a.at
    for _ in range(12):
        a.jalr(rs1=26)
    a.label("begin")
    a.put("mie", 0xAAA)
    a.put("mtvec", base | 1)
    parts = []
    for cause in (SSI, MSI, STI, MTI, SEI):
        pend(a, 1 << cause)
        with a.part(S) as part:
            a.addi()
        parts.append((part, cause))
    pend(a, 0)
    with a.part(S) as call:
        a.addi()
    a.exit()
    a.observe()
    assert [part.events[0].to_pc for part, _ in parts] == [base + 4 * c for _, c in parts]
    assert [e.to_pc for e in call.events] == [base]


def test_mtime_is_what_time_reads() -> None:
    a = Levels(64)
    a.put("mcounteren", -1)
    a.li(5, MTIME)
    a.li(6, 123_456)
    a.sd(rs1=5, rs2=6, imm=0)
    with a.part(S):
        a.csr("time", rd=10)
    a.exit()
    assert a.observe().register(10) == 123_456
