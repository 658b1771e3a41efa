"""Cases of the privileged architecture: traps, returns, delegation, interrupts."""

import random
from collections.abc import Sequence

from specs.isa.csrs import ADDRESS
from tests.qemu import values
from tests.qemu.assembler import word
from tests.qemu.image import DATA, MTIMECMP, Image

U, S, M = 0, 1, 3
SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
MPP, FS = 1 << 11, 1 << 13
MPRV, SUM, MXR, TVM, TW, TSR = (1 << bit for bit in range(17, 23))
#: menvcfg, and its upper half on RV32.
ADUE, PBMTE, STCE = 1 << 61, 1 << 62, 1 << 63
MSIP = 0x200_0000
#: Where neither machine has anything.
NOWHERE = 0x1800_0000

#: S-mode software, timer, external; M-mode software, timer.
_S_INTERRUPTS = (1, 5, 9)
_M_INTERRUPTS = (3, 7)
_DELEGABLE = 0x222
AMO, _OF_STORES = 0x2F, 1 << 6 | 1 << 7 | 1 << 15


def environment(xlen: int, bits: int) -> dict[str, int]:
    """menvcfg, as one or two CSRs."""
    if xlen == 64:
        return {"menvcfg": bits}
    return {"menvcfg": bits & 0xFFFF_FFFF, "menvcfgh": bits >> 32}


def protection(xlen: int, configurations: list[int]) -> dict[str, int]:
    """pmpcfg registers that hold these configurations of the 16 entries."""
    each = xlen // 8
    found = {}
    for first in range(0, 16, each):
        value = int.from_bytes(bytes(configurations[first : first + each]), "little")
        found[f"pmpcfg{first // 4}"] = value
    return found


def everything(xlen: int) -> dict[str, int]:
    """The last PMP entry gives S and U all of memory."""
    return {"pmpaddr15": (1 << 54) - 1, **protection(xlen, [0] * 15 + [0x1F])}


def defaults(image: Image) -> dict[str, int]:
    """What every case starts from. QEMU always updates A and D bits, so menvcfg has ADUE."""
    labels = image.labels
    zero = ("mie", "mideleg", "medeleg", "mip", "scause", "sepc", "stval", "sscratch", "satp")
    return {
        **everything(image.xlen),
        **dict.fromkeys(zero, 0),
        **environment(image.xlen, ADUE),
        **dict.fromkeys(("stimecmp",) if image.xlen == 64 else ("stimecmp", "stimecmph"), -1),
        "mcounteren": 7,
        "scounteren": 7,
        "mtvec": labels["handler"],
        "stvec": labels["ecalls"],
    }


def new_image(xlen: int, kept: tuple[str, ...] = (), **options: bool) -> Image:
    made = Image(xlen, supervisor=True, kept=kept, **options)
    made.defaults = defaults(made)
    return made


def mode(rng: random.Random, status: int, priv: int) -> dict[str, int]:
    """The CSR that has a case entered in a mode; M mode has any MPP then."""
    if priv == M:
        return {"inline": status | rng.choice((U, S, M)) * MPP}
    return {"mstatus": status | priv * MPP}


def status_bits(rng: random.Random, *, fs: bool = False) -> int:
    """Random mstatus without MPRV and MPP."""
    bits = (SIE, MIE, SPIE, MPIE, SPP, SUM, MXR, TVM, TW, TSR)
    return sum(bit for bit in bits if rng.random() < 0.4) | (rng.randrange(4) * FS if fs else 0)


def delegation(rng: random.Random, body: Sequence[int] = ()) -> int:
    """medeleg: any but ecalls from S, as stvec leads to one. Exceptions of loads and of stores go
    the same way where the code is an AMO (`known`).
    """
    found = rng.choice((0, 0xFFFF, rng.getrandbits(16))) & ~(1 << 9)
    if any(word & 0x7F == AMO for word in body):
        found = found & ~_OF_STORES | found << 2 & _OF_STORES
    return found


def _single(rng: random.Random, xlen: int) -> tuple[list[int], str, dict[int, int]]:
    """An instruction that may trap, its name, and registers that it needs."""
    x = {11: DATA + rng.randrange(64), 12: values.integer(rng, xlen)}
    name = rng.choice(
        (
            *("ecall", "ebreak", "wfi", "mret", "sret", "mret", "sret", "sfence.vma", "sinval.vma"),
            *("sfence.w.inval", "sfence.inval.ir", "satp", "illegal", "c.illegal", "c.ebreak"),
            *("load", "store", "amo", "jump", "fence.i", "fcsr", "sstatus", "long"),
        )
    )
    size = rng.choice("bhw" if xlen == 32 else "bhwd")
    if name in ("load", "store", "amo") and rng.random() < 0.7:
        x[11] = rng.choice((NOWHERE, 0, (1 << xlen) - 8))  # `known`: misaligned
    match name:
        case "illegal":
            found = rng.choice((0xFFFF_FFFF, 0x0000_007F, 0xC000_1073, 0x3000_0073, 0x0000_700B))
        case "c.illegal":
            found = rng.choice((0, 0x9000, 0x9C7D, 0x4002))
        case "long":
            found = rng.choice((0x0000_003F, 0xFFFF_FFFF, 0x0000_001F))
        case "load":
            found = word("l" + size, rd=10, rs1=11)
        case "store":
            found = word("s" + size, rs1=11, rs2=12)
        case "amo":
            x[11] &= ~7
            found = word(f"amoadd.{'w' if xlen == 32 or size != 'd' else 'd'}", 10, 11, 12)
        case "jump":
            x[11] = rng.choice((NOWHERE, 0, (1 << xlen) - 4))
            found = word("jalr", rd=1, rs1=11)
        case "satp" | "sstatus":
            found = word(rng.choice(("csrrs", "csrrc")), rd=10, imm=ADDRESS[name])
        case "fcsr":
            found = word("csrrs", rd=10, imm=ADDRESS[name])
        case "sfence.vma" | "sinval.vma":
            found = word(name, rs1=rng.choice((0, 11)), rs2=rng.choice((0, 12)))
        case _:
            found = word(name)
    return [found], name, x


def trap_image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """One instruction in each mode, under random mstatus and delegation. A wfi finds an interrupt
    pending, so that it does not wait; returns lead to an ecall, which tells the mode.
    """
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen, ("mip", "sstatus", "medeleg"))
    for _ in range(count):
        if made.full:
            break
        priv = rng.choice((U, S, M))
        body, name, x = _single(rng, xlen)
        if name in ("sfence.w.inval", "sfence.inval.ir") and priv == U:  # `known`
            priv = S
        ecalls = made.labels["ecalls"]
        csrs = {
            "medeleg": delegation(rng, body),
            "mepc": ecalls + 4 * rng.randrange(32),
            "sepc": ecalls + 4 * rng.randrange(32),
            "scause": rng.randrange(16),
            "stval": values.integer(rng, xlen),
            **mode(rng, status_bits(rng, fs=True), priv),
        }
        if name == "wfi":
            # pending but not taken: not delegated, and of S-mode, so M-mode would see MIE
            csrs |= {"mip": 2, "mie": 2}
            for key in ("inline", "mstatus"):
                if key in csrs:
                    csrs[key] &= ~MIE
            if priv != M:
                csrs |= {"mip": 0, "mie": 0, "mstatus": csrs["mstatus"] | TW}
        made.case(f"{name} in {'US?M'[priv]}", body, x=x, csrs=csrs)
    return made


def interrupt_image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """Pending, enabled, delegated at random: which interrupt is taken before the first instruction
    of a mode, and through which vector.
    """
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen, ("mip", "mie", "sip", "sie", "mideleg"))
    labels = made.labels
    for _ in range(count):
        if made.full:
            break
        priv = rng.choice((U, S, M))
        chosen = [n for n in _S_INTERRUPTS if rng.random() < 0.5]
        software, timer = (rng.random() < 0.3 for _ in range(2))
        stores = [(MSIP, int(software)), (MTIMECMP, 0), (MTIMECMP + 4, 0)]
        if not timer:
            stores = [(MSIP, int(software)), (MTIMECMP + 4, 0xFFFF_FFFF)]
        every = sum(1 << n for n in (*_S_INTERRUPTS, *_M_INTERRUPTS))
        mideleg = rng.choice((0, every, rng.getrandbits(12))) & _DELEGABLE
        pending = sum(1 << n for n in chosen) | software << 3 | timer << 7
        mie = rng.choice((every, every, rng.getrandbits(12))) & every
        for mask in (mideleg, ~mideleg):  # `known`: one candidate for S, and one for M
            while (pending & mie & mask).bit_count() > 1:
                mie &= ~(1 << rng.randrange(12) & mask)
        csrs = {
            "mideleg": mideleg,
            "mie": mie,
            "mip": sum(1 << n for n in chosen),
            "medeleg": delegation(rng),
            "mtvec": rng.choice((labels["handler"], labels["vectors"] | 1)),
            "stvec": labels["ecalls"] | rng.randrange(2),
            **mode(rng, status_bits(rng), priv),
        }
        body = [word("addi"), word("addi", rd=10, imm=1)]
        what = f"mip {csrs['mip']:#x} {'MSIP ' * software}{'MTIP ' * timer}in {'US?M'[priv]}"
        made.case(what, body, x={}, csrs=csrs, stores=stores)
    return made
