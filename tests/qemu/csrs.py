"""CSRs: what they keep of what is written to them, and who may access which."""

import random

from specs.isa.csrs import ADDRESS, csr_name
from tests.qemu import values
from tests.qemu.assembler import word
from tests.qemu.image import Image
from tests.qemu.privileged import STCE, M, S, U, environment, mode, new_image, status_bits

_OPERATIONS = ("csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci")
#: Registers that are written together; interrupts never are enabled and pending at once.
_GROUPS: tuple[tuple[str, ...], ...] = (
    ("mstatus", "sstatus"),
    ("mie", "sie", "mideleg"),
    ("mip", "sip", "mideleg"),
    ("medeleg",),
    ("mepc", "sepc"),
    ("mcause", "scause"),
    ("mtval", "stval", "sscratch"),
    ("mcounteren", "scounteren"),
    ("mcountinhibit",),
    ("stvec",),
    ("mtvec",),
    ("satp",),
    ("menvcfg", "senvcfg"),
    ("stimecmp",),
    ("pmpcfg0", "pmpaddr0", "pmpaddr1"),
    ("pmpcfg2", "pmpaddr14"),
    ("fcsr", "fflags", "frm", "mstatus"),
)
_RV32_GROUPS: tuple[tuple[str, ...], ...] = (
    ("mstatush",),
    ("menvcfgh",),
    ("stimecmp", "stimecmph"),
    ("pmpcfg1", "pmpcfg3"),
)
_ACCESSES = 18
#: CSRs that one machine has and the other not, as both may.
_OPTIONAL: tuple[str, ...] = (
    "vstimecmp",
    *(f"pmpaddr{n}" for n in range(16, 64)),
    *(f"pmpcfg{n}" for n in range(4, 16)),
)
#: mstatus: what `known` has of it.
_VS, _XLENS = 3 << 9, 0xFF << 32
#: Bits of immediates that are written, where not all are (`known`): by the first of a group.
_IMMEDIATES = {
    "stvec": ~2,
    "mtvec": ~2,
    "menvcfg": 0xF,
    **dict.fromkeys(("pmpcfg0", "pmpcfg1", "pmpcfg2"), 0x1C),
}


def values_image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """Accesses to CSRs of a group in M mode; x1, x2 ... are what they read."""
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen)
    groups = _GROUPS + (_RV32_GROUPS if xlen == 32 else ())
    for number in range(count):
        if made.full:
            break
        group = groups[number % len(groups)]
        x = {register: values.integer(rng, xlen) for register in range(20, 30)}
        body = []
        if group == ("mtvec",):  # without it there is no way back
            x[19] = made.labels["handler"]
        if group[0].startswith("pmpcfg"):
            x = {register: _configurations(value) for register, value in x.items()}
        if "mstatus" in group:
            x = _sane(rng, x)
        keep = _IMMEDIATES.get(group[0], 31)
        if group[0].endswith("tvec"):
            x = {register: value & ~2 for register, value in x.items()}
        if group[0] == "menvcfg":
            x = {r: v & ~0x30 | rng.choice((0, 0x30)) for r, v in x.items()}
        for access in range(_ACCESSES):
            name = rng.choice(_OPERATIONS[:3] if rng.random() < 0.8 else _OPERATIONS)
            source = rng.randrange(20, 30)
            if name.endswith("i"):
                source = rng.randrange(32) & keep
            body.append(word(name, rd=access + 1, rs1=source, imm=ADDRESS[rng.choice(group)]))
        if group == ("mtvec",):
            body.append(word("csrrw", rd=0, rs1=19, imm=ADDRESS["mtvec"]))
        # FS on: fcsr is there
        made.case(" ".join(group), body, x=x, csrs={"inline": 0x6000}, skip=True)
    return made


def _configurations(value: int) -> int:
    """For pmpcfg: no lock (it lasts until reset), no reserved bits, W with R alone (`known`)."""
    found = 0
    for shift in range(0, 64, 8):
        each = value >> shift & 0x1D
        found |= (each | (each & 1) << 1) << shift
    return found


def _sane(rng: random.Random, x: dict[int, int]) -> dict[int, int]:
    """Values for mstatus that never make a mode that there is not (`known`)."""
    only_m = rng.random() < 0.5
    found = {}
    for register, value in x.items():
        bit = value >> 11 & 1
        value &= ~(3 << 11 | _VS | _XLENS)
        found[register] = value | bit << 11 | (bit << 12 if only_m else 0)
    return found


def _is_compared(name: str, xlen: int) -> bool:
    number = ADDRESS.get(name)
    there = number is None or csr_name(number, xlen) == name
    return there and not name.startswith(_OPTIONAL)


def access_image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """One access to any CSR in any mode: is it allowed? (Not what it reads. In M mode it is only
    read.)
    """
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen)
    known = [n for name, n in ADDRESS.items() if _is_compared(name, xlen)]
    usual = [ADDRESS[name] for group in _GROUPS for name in group]
    usual += [ADDRESS[name] for name in ("cycle", "time", "instret", "misa", "mhartid", "mcycle")]
    for _ in range(count):
        if made.full:
            break
        priv = rng.choice((U, S, M))
        csr = rng.choice((rng.choice(usual), rng.choice(usual), rng.choice(known)))
        if rng.random() < 0.1:
            csr = rng.choice([n for n in range(4096) if _is_compared(csr_name(n, xlen), xlen)])
        name = "csrrs" if priv == M else rng.choice(_OPERATIONS)
        register = 0 if priv == M else rng.randrange(32)
        body = [word(name, rd=10, rs1=register, imm=csr), word("addi", rd=10)]
        csrs = {
            "mcounteren": rng.getrandbits(32),
            "scounteren": rng.getrandbits(32),
            **environment(xlen, rng.choice((0, STCE))),
            **mode(rng, status_bits(rng, fs=True), priv),
        }
        x = {register: values.integer(rng, xlen) & ~_VS} if register else {}
        made.case(f"{csr_name(csr, xlen)} in {'US?M'[priv]}", body, x=x, csrs=csrs)
    return made
