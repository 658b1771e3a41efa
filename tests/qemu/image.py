"""An image of RAM with many test cases, and what it leaves behind.

A case sets CSRs and registers, enters its code in some privilege mode and ends with a trap into
M mode. The handler logs each trap in the case's slot of results. In a `skip` case it steps over
what trapped and goes on, until an ecall, a bad fetch, an interrupt or a full log ends it; any other
case is ended by its first trap. Then all registers and chosen CSRs are put into the slot, and the
next case follows. All cases start from the same CSRs, so each is what it is without those before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specs.isa.csrs import ADDRESS
from specs.isa.disassemble import disassemble
from tests.qemu.assembler import Code, fld, fsd, size_of
from tests.qemu.machines import RAM, SIZE, TOHOST, Bytes

POOL, DATA, RESULTS = RAM + (8 << 20), RAM + (16 << 20), RAM + (24 << 20)
DATA_SIZE = RESULTS - DATA
SAVE = TOHOST - 4096
MTIMECMP = 0x200_4000

TRAPS = 15
TRAP_WORDS = 8
_X = 1 + TRAPS * TRAP_WORDS
_F = _X + 31
_FCSR = _F + 32
_CSR = _FCSR + 1
SLOT_WORDS = 224
MAX_CASES = (SAVE - RESULTS) // (8 * SLOT_WORDS)
MAX_POOL = 255

#: Words of the save area.
_SLOT, _LOG, _LOG_END, _NEXT, _ONE, _S28, _S29, _S30, _S31 = range(0, 72, 8)

_MACHINE_TRAP = ("mcause", "mepc", "mtval", "mstatus")
_SUPERVISOR_TRAP = ("scause", "sepc", "stval", "sscratch")
#: Entries of a vector table: interrupts up to 15, and a few that no vector can mean.
VECTORS = 16
FS_DIRTY = 3 << 13
Words = npt.NDArray[np.uint64]


@dataclass
class Case:
    """`body`: instruction words, entered at `entry`; `address`: where it is."""

    note: str
    body: Sequence[int]
    address: int
    entry: int
    csrs: Mapping[str, int]
    x: Mapping[int, int]
    f: Sequence[int] = ()
    fcsr: int = 0

    def words(self) -> Iterator[tuple[int, int]]:
        """Addresses (of memory) and words of the body."""
        at = self.address
        for word in self.body:
            yield at, word
            at += size_of(word)

    def listing(self, xlen: int) -> list[str]:
        """The body, disassembled."""
        return [f"  {at:x}: {w:08x}  {disassemble(w, at, xlen)}" for at, w in self.words()]


@dataclass
class Image:
    """`floating`: f registers are set and kept; `supervisor`: traps are logged with S-mode CSRs;
    `defaults`: CSRs that each case sets; `kept`: CSRs that are put into the slot at its end.
    """

    xlen: int
    floating: bool = False
    supervisor: bool = False
    defaults: Mapping[str, int] = field(default_factory=dict)
    kept: Sequence[str] = ()
    cases: list[Case] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = Code(RAM, self.xlen)
        self.ram: Bytes = np.zeros(SIZE, np.uint8)
        self._pool: list[int] = []
        self._ones = (1 << self.xlen) - 1
        assert len(self.kept) <= SLOT_WORDS - _CSR
        self._runtime()

    @property
    def labels(self) -> Mapping[str, int]:
        return self.code.labels

    @property
    def full(self) -> bool:
        """Whether there is hardly room for another case."""
        return (
            len(self.cases) >= MAX_CASES - 1
            or self.code.at + 8192 > POOL
            or POOL + 8 * (len(self._pool) + MAX_POOL) > DATA
        )

    def write(self, address: int, value: int, size: int = 8) -> None:
        """Put a little-endian number into RAM."""
        data = np.frombuffer((value & (1 << 8 * size) - 1).to_bytes(size, "little"), np.uint8)
        self.ram[address - RAM : address - RAM + size] = data

    def case(
        self,
        note: str,
        body: Sequence[int],
        *,
        x: Mapping[int, int],
        f: Sequence[int] = (),
        fcsr: int = 0,
        csrs: Mapping[str, int] = {},
        skip: bool = False,
        entry: int | None = None,
        alias: int = 0,
        stores: Sequence[tuple[int, int]] = (),
    ) -> Case:
        """Add a case. With mstatus among `csrs` it is entered by mret, at `entry` or else where its
        body is seen at (its address + `alias`); x30 is then 0. Without it is entered in M mode.
        With the name "inline" it is entered in M mode with that mstatus. `stores`: words that are
        written to addresses before.
        """
        assert not self.full
        number = len(self.cases)
        code = self.code
        code.label(f"case {number}")
        pool = _Pool(code, POOL + 8 * len(self._pool), self._pool)
        slot = RESULTS + 8 * SLOT_WORDS * number
        code.address(31, pool.base)
        code.csrr(29, "mscratch")
        for offset, value in ((_SLOT, slot), (_LOG, slot + 8), (_ONE, int(not skip))):
            pool.get(30, value)
            code.store(30, 29, offset)
        pool.get(30, slot + 8 + 8 * TRAPS * TRAP_WORDS)
        code.store(30, 29, _LOG_END)
        following = pool.reserve(30)
        code.store(30, 29, _NEXT)
        if self.floating:
            code.do("lui", rd=30, imm=FS_DIRTY)
            code.do("csrrs", rs1=30, imm=ADDRESS["mstatus"])
            pool.get(30, fcsr)
            code.csrw("fcsr", 30)
            for register in range(32):
                pool.get_floating(register, f[register] if f else 0)
        for target, value in stores:
            pool.get(30, target)
            pool.get(29, value)
            code.do("sw", rs1=30, rs2=29)
        wanted = {**self.defaults, **csrs}
        status = wanted.pop("mstatus", None)
        inline = wanted.pop("inline", None)
        by_mret = inline is None and status is not None
        for name, value in wanted.items():
            pool.get(30, value & self._ones)
            code.csrw(name, 30)
        if "satp" in wanted:
            code.do("sfence.vma")
        fix = pool.reserve(30) if by_mret else None
        if by_mret:
            code.csrw("mepc", 30)
        for register in range(1, 30):
            pool.get(register, x.get(register, 0) & self._ones)
        if status is None and inline is None:
            pool.get(30, x.get(30, 0) & self._ones)
            pool.get(31, x.get(31, 0) & self._ones)
        else:
            pool.get(30, status if inline is None else inline)
            pool.get(31, x.get(31, 0) & self._ones)
            code.csrw("mstatus", 30)
            code.do("addi", rd=30)
        if by_mret:
            code.do("mret")
        address = code.at
        for word in body:
            code.raw(word)
        code.do("ecall")
        entered = address + alias if entry is None else entry
        if fix is not None:
            self._pool[fix] = entered & self._ones
        while code.at % 4:
            code.raw(0, 2)
        self._pool[following] = code.at
        case = Case(note, body, address, entered, {**self.defaults, **csrs}, x, f, fcsr)
        self.cases.append(case)
        return case

    def build(self) -> Bytes:
        """RAM before the first instruction."""
        self._exit()
        content = np.frombuffer(self.code.finish(), np.uint8)
        self.ram[: len(content)] = content
        pool = np.array(self._pool, np.uint64).view(np.uint8)
        self.ram[POOL - RAM : POOL - RAM + len(pool)] = pool
        return self.ram

    def slots(self, ram: Bytes) -> Words:
        """Results in RAM after a run: a row a case; `FIELDS` names the columns."""
        count = len(self.cases)
        part = ram[RESULTS - RAM : RESULTS - RAM + 8 * SLOT_WORDS * count]
        return part.view(np.uint64).reshape(count, SLOT_WORDS).copy()

    def fields(self) -> list[str]:
        """Names of the columns of a slot."""
        names = ["log"]
        for trap in range(TRAPS):
            names += [f"trap {trap} {name}" for name in _MACHINE_TRAP + _SUPERVISOR_TRAP]
        names += [f"x{number}" for number in range(1, 32)]
        names += [f"f{number}" for number in range(32)]
        names += ["fcsr", *self.kept]
        return names + ["?"] * (SLOT_WORDS - len(names))

    def _runtime(self) -> None:
        """Reset code, handlers, and the end of each case."""
        code = self.code
        code.to("start", "jal")
        while code.at % 256:
            code.raw(0x0013, 4)
        code.label("ecalls")
        for _ in range(64):
            code.do("ecall")
        code.label("vectors")
        for number in range(VECTORS):
            code.to(f"vector {number}", "jal")
        for number in range(VECTORS):
            code.label(f"vector {number}")
            if self.supervisor:  # tells which entry it was
                code.do("csrrwi", rs1=number + 1, imm=ADDRESS["sscratch"])
            code.to("handler", "jal")
        self._handler()
        self._dump()
        code.label("start")
        code.address(30, self.labels["handler"])
        code.csrw("mtvec", 30)
        code.address(30, SAVE)
        code.csrw("mscratch", 30)
        code.do("lui", rd=30, imm=MTIMECMP & 0xFFFFF000)
        code.do("addi", rd=29, imm=-1)
        code.do("sw", rs1=30, rs2=29, imm=4)
        code.do("sw", rs1=30, rs2=29, imm=0)

    def _handler(self) -> None:
        """M mode's: log, then step over the instruction or end the case."""
        code = self.code
        while code.at % 4:
            code.raw(0, 2)
        code.label("handler")
        code.do("csrrw", rd=31, rs1=31, imm=ADDRESS["mscratch"])
        for register, offset in ((30, _S30), (29, _S29), (28, _S28)):
            code.store(register, 31, offset)
        code.csrr(30, "mscratch")
        code.store(30, 31, _S31)
        code.csrw("mscratch", 31)
        code.load(30, 31, _LOG)
        code.load(29, 31, _LOG_END)
        code.to("dump", "bgeu", rs1=30, rs2=29)
        for number, name in enumerate(_MACHINE_TRAP + _SUPERVISOR_TRAP * self.supervisor):
            code.csrr(29, name)
            code.store(29, 30, 8 * number)
        code.do("addi", rd=30, rs1=30, imm=8 * TRAP_WORDS)
        code.store(30, 31, _LOG)
        code.load(30, 31, _ONE)
        code.to("dump", "bne", rs1=30)
        code.csrr(29, "mcause")
        code.to("dump", "blt", rs1=29)
        code.do("addi", rd=30, imm=2)
        code.to("dump", "bltu", rs1=29, rs2=30)
        code.do("addi", rd=30, imm=8)
        code.to("step", "bltu", rs1=29, rs2=30)
        code.do("addi", rd=30, imm=12)
        code.to("dump", "bltu", rs1=29, rs2=30)
        code.label("step")
        code.csrr(29, "mepc")
        code.do("lhu", rd=30, rs1=29)
        code.do("andi", rd=30, rs1=30, imm=3)
        code.do("sltiu", rd=30, rs1=30, imm=3)
        code.do("slli", rd=30, rs1=30, imm=1)
        code.do("addi", rd=29, rs1=29, imm=4)
        code.do("sub", rd=29, rs1=29, rs2=30)
        code.csrw("mepc", 29)
        for register, offset in ((28, _S28), (29, _S29), (30, _S30), (31, _S31)):
            code.load(register, 31, offset)
        code.do("mret")

    def _dump(self) -> None:
        """x31 is the save area, x28 to x31 are in it."""
        code = self.code
        code.label("dump")
        code.load(30, 31, _SLOT)
        code.load(29, 31, _LOG)
        code.store(29, 30, 0)
        for register in range(1, 28):
            code.store(register, 30, 8 * (_X + register - 1))
        for register, offset in ((28, _S28), (29, _S29), (30, _S30), (31, _S31)):
            code.load(29, 31, offset)
            code.store(29, 30, 8 * (_X + register - 1))
        for number, name in enumerate(self.kept):
            code.csrr(29, name)
            code.store(29, 30, 8 * (_CSR + number))
        if self.floating:
            code.do("lui", rd=29, imm=FS_DIRTY)
            code.do("csrrs", rs1=29, imm=ADDRESS["mstatus"])
            code.csrr(29, "fcsr")
            code.store(29, 30, 8 * _FCSR)
            for register in range(32):
                code.raw(fsd(register, 30, 8 * (_F + register)))
        code.load(30, 31, _NEXT)
        code.do("jalr", rs1=30)

    def _exit(self) -> None:
        code = self.code
        code.address(30, TOHOST)
        code.do("addi", rd=29, imm=1)
        code.do("sw", rs1=30, rs2=29)
        # SYS_EXIT: the reason ADP_Stopped_ApplicationExit, on RV64 in a block with the exit code
        code.address(11, TOHOST + 64)
        self.write(TOHOST + 64, 0x20026)
        if self.xlen == 32:
            code.load(11, 11, 0)
        code.do("addi", rd=10, imm=0x18)
        while code.at % 16:
            code.do("addi")
        code.do("slli", imm=0x1F)
        code.do("ebreak")
        code.do("srai", imm=7)
        code.to("dead", "jal")
        code.label("dead")
        code.do("jal")


class _Pool:
    """Constants of one case, that code loads through x31."""

    def __init__(self, code: Code, base: int, words: list[int]) -> None:
        self.code, self.base, self.words = code, base, words
        self._first = len(words)

    def reserve(self, register: int) -> int:
        """Load a constant that is not known yet; its index."""
        self.get(register, 0)
        return len(self.words) - 1

    def get(self, register: int, value: int) -> None:
        self.code.load(register, 31, self._next(value))

    def get_floating(self, register: int, value: int) -> None:
        self.code.raw(fld(register, 31, self._next(value)))

    def _next(self, value: int) -> int:
        offset = 8 * (len(self.words) - self._first)
        assert offset < 2048
        self.words.append(value & (1 << 64) - 1)
        return offset
