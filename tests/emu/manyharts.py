"""Programs for several harts, assembled by `tests.emu.build`."""

from collections.abc import Callable
from pathlib import Path

from tests.elves import Load, elf
from tests.emu.build import CLINT, CODE, DATA, MTIME, TOHOST, Assembly

ROUNDS = 300
SOFTWARE, TIMER = 3, 7


def begin(xlen: int) -> Assembly:
    """x5: mhartid; x6: DATA; x7: the CLINT."""
    a = Assembly(xlen)
    a.csr("mhartid", rd=5)
    a.li(6, DATA)
    a.li(7, CLINT)
    return a


def only(a: Assembly, hart: int, label: str) -> None:
    """Harts but this one go to `label`; by x28."""
    a.addi(rd=28, rs1=0, imm=hart)
    a.bne(rs1=5, rs2=28, to=label)


def assembled(write: Callable[[Assembly], None], xlen: int) -> Assembly:
    """Labels may be used before they are defined: the second pass knows them all."""
    first = begin(xlen)
    first.labels = _Anywhere()
    write(first)
    second = begin(xlen)
    second.labels = dict(first.labels)
    write(second)
    return second


class _Anywhere(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return CODE


def load_x(a: Assembly, **operands: int) -> None:
    (a.ld if a.xlen == 64 else a.lw)(**operands)


def store_x(a: Assembly, **operands: int) -> None:
    (a.sd if a.xlen == 64 else a.sw)(**operands)


def done(a: Assembly, harts: int, at: int = 1024) -> None:
    """Count at DATA + `at`; the last one exits, the others wait for ever."""
    a.addi(rd=10, rs1=6, imm=at)
    a.addi(rd=11, rs1=0, imm=1)
    a.amoadd_w(rd=12, rs1=10, rs2=11)
    a.addi(rd=13, rs1=0, imm=harts - 1)
    a.bne(rs1=12, rs2=13, to="parked")
    a.exit(0)
    a.label("parked")
    a.wfi()
    a.jal(rd=0, to="parked")


def by_lr(a: Assembly) -> None:
    """The lock at DATA + 64 with LR and SC; x29 counts SCs that fail."""
    a.addi(rd=14, rs1=6, imm=64)
    a.addi(rd=15, rs1=0, imm=1)
    a.label("acquire")
    a.lr_w(rd=16, rs1=14)
    a.bne(rs1=16, rs2=0, to="acquire")
    a.sc_w(rd=16, rs1=14, rs2=15)
    a.sltu(rd=17, rs1=0, rs2=16)
    a.add(rd=29, rs1=29, rs2=17)
    a.bne(rs1=16, rs2=0, to="acquire")


def by_amo(a: Assembly) -> None:
    a.addi(rd=14, rs1=6, imm=64)
    a.addi(rd=15, rs1=0, imm=1)
    a.label("acquire")
    a.amoswap_w(rd=16, rs1=14, rs2=15)
    a.bne(rs1=16, rs2=0, to="acquire")


def counting(harts: int, acquire: Callable[[Assembly], None]) -> Callable[[Assembly], None]:
    """Each hart adds 1 to a plain counter at DATA, `ROUNDS` times, with a lock held."""

    def write(a: Assembly) -> None:
        a.addi(rd=20, rs1=0, imm=ROUNDS)
        a.label("round")
        acquire(a)
        a.lw(rd=21, rs1=6, imm=0)
        a.addi(rd=21, rs1=21, imm=1)
        a.sw(rs1=6, rs2=21, imm=0)
        a.fence(imm=0xFF)
        a.sw(rs1=14, rs2=0, imm=0)
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="round")
        done(a, harts)

    return write


def handler(a: Assembly, *body: Callable[[], object]) -> None:
    """mtvec at a handler that does `body` and returns; it is jumped over."""
    a.la(9, "handler")
    a.csr("mtvec", write=9)
    a.jal(rd=0, to="main")
    while a.at % 4:
        a.raw(0, 2)
    a.label("handler")
    for each in body:
        each()
    a.mret()
    a.label("main")


def enable(a: Assembly, bit: int, globally: bool = True) -> None:
    a.addi(rd=9, rs1=0, imm=1 << bit)
    a.csr("mie", write=9)
    if globally:
        a.csrrsi(rd=0, rs1=8, imm=0x300)


def pingpong(a: Assembly) -> None:
    """Harts 0 and 1 send each other `ROUNDS` software interrupts; x20 counts those received."""
    a.slli(rd=8, rs1=5, imm=2)
    a.add(rd=8, rs1=8, rs2=7)  # own msip
    a.xori(rd=18, rs1=5, imm=1)
    a.slli(rd=18, rs1=18, imm=2)
    a.add(rd=18, rs1=18, rs2=7)  # the other's
    a.addi(rd=19, rs1=0, imm=1)
    a.addi(rd=21, rs1=0, imm=ROUNDS)
    handler(
        a,
        lambda: a.sw(rs1=8, rs2=0, imm=0),
        lambda: a.addi(rd=20, rs1=20, imm=1),
        lambda: a.sw(rs1=18, rs2=19, imm=0),
    )
    enable(a, SOFTWARE)
    only(a, 0, "wait")
    a.sw(rs1=18, rs2=19, imm=0)
    a.label("wait")
    a.wfi()
    a.blt(rs1=20, rs2=21, to="wait")
    done(a, 2)


def timers(a: Assembly) -> None:
    """Each hart has 20 timer interrupts, (3 + mhartid) ticks apart; it notes each mtime."""
    a.li(14, MTIME)
    a.slli(rd=8, rs1=5, imm=3)
    a.add(rd=8, rs1=8, rs2=7)
    a.li(15, 0x4000)
    a.add(rd=8, rs1=8, rs2=15)  # own mtimecmp
    a.slli(rd=17, rs1=5, imm=8)
    a.add(rd=17, rs1=17, rs2=6)  # own notes
    a.addi(rd=16, rs1=5, imm=3)

    def note() -> None:
        load_x(a, rd=19, rs1=14, imm=0)
        store_x(a, rs1=17, rs2=19, imm=0)
        a.addi(rd=17, rs1=17, imm=a.xlen // 8)
        a.add(rd=19, rs1=19, rs2=16)
        store_x(a, rs1=8, rs2=19, imm=0)
        a.addi(rd=20, rs1=20, imm=1)

    handler(a, note)
    load_x(a, rd=19, rs1=14, imm=0)
    a.add(rd=19, rs1=19, rs2=16)
    store_x(a, rs1=8, rs2=19, imm=0)
    if a.xlen == 32:
        a.sw(rs1=8, rs2=0, imm=4)
    a.addi(rd=21, rs1=0, imm=20)
    enable(a, TIMER)
    a.label("busy")
    a.blt(rs1=20, rs2=21, to="busy")
    a.csr("mie", write=0)
    a.lui(rd=6, imm=(DATA + 4096 ^ 1 << 31) - (1 << 31))
    if a.xlen == 64:
        a.slli(rd=6, rs1=6, imm=32)
        a.srli(rd=6, rs1=6, imm=32)
    done(a, 3)


def elf_file(path: Path, write: Callable[[Assembly], None], xlen: int = 64) -> Path:
    """The program as an ELF file."""
    loads = [Load(CODE, assembled(write, xlen).bytes()), Load(DATA, b"", memsz=1 << 16)]
    path.write_bytes(elf(xlen, CODE, loads, [("tohost", TOHOST)]))
    return path


PROGRAMS: dict[str, tuple[Callable[[Assembly], None], int]] = {
    "lock": (counting(3, by_lr), 3),
    "ipi": (pingpong, 2),
    "timers": (timers, 3),
}
