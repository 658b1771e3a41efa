"""A program by hand that uses M, S and U: two processes at the same virtual addresses, pages that
their faults bring in, timer interrupts delegated to S, an end through both ecalls.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specs.interfaces.ingress import HAS_CONTEXT, SIDEBAND_CODE
from tests.elves import Load, elf
from tests.emu.build import CODE, TOHOST, Assembly

#: Where user code and data are seen; they are stored at USER_AT, a process's data at DATA_AT[i].
USER = 0x40_0000
USER_AT, DATA_AT = 0x8000_8000, (0x8002_0000, 0x8003_0000)
TABLES_AT = 0x8004_0000
PAGE = 4096
#: User pages: two of code, then data. The first of code is there, the others come by faults.
CODE_PAGES, DATA_PAGES = 2, 2
#: An instruction of four bytes begins in the one page of code and ends in the other.
CROSSING = USER + PAGE - 2
# "Page table entry": V R W X U, then A and D.
_V, _R, _W, _X, _U, _AD = 1, 2, 4, 8, 16, 0xC0
_SATP = {"sv32": 1, "sv39": 8, "sv48": 9, "sv57": 10}
_LEVELS = {"sv32": 2, "sv39": 3, "sv48": 4, "sv57": 5}
_ECALL_U, _TIMER = 1 << 8, 1 << 5
_PAGE_FAULTS = 1 << 12 | 1 << 13 | 1 << 15


@dataclass(frozen=True)
class Paging:
    """The program for one way of translation. `satps`: of its processes."""

    way: str
    rounds: int = 40
    #: Exit code that the user code itself stores to tohost, at a virtual address; None: by ecalls.
    code: int | None = None

    @property
    def xlen(self) -> int:
        return 32 if self.way == "sv32" else 64

    @property
    def satps(self) -> tuple[int, int]:
        return self._satp(0, 5), self._satp(1, 6)

    def _satp(self, process: int, asid: int) -> int:
        root = self._table(process, _LEVELS[self.way] - 1) >> 12
        mode = _SATP[self.way]
        return mode << 31 | asid << 22 | root if self.xlen == 32 else mode << 60 | asid << 44 | root

    def _table(self, process: int, level: int) -> int:
        return TABLES_AT + (process * 8 + level) * PAGE

    def physical(self, address: int) -> int:
        """Where code at a virtual address is."""
        inside = USER <= address < USER + CODE_PAGES * PAGE
        return address - USER + USER_AT if inside else address

    def _tables(self) -> bytes:
        memory = bytearray(16 * PAGE)
        size, bits = (4, 10) if self.xlen == 32 else (8, 9)
        levels = _LEVELS[self.way]

        def enter(process: int, level: int, address: int, target: int, flags: int) -> None:
            index = address >> 12 + bits * level & (1 << bits) - 1
            at = self._table(process, level) - TABLES_AT + index * size
            memory[at : at + size] = (target >> 12 << 10 | flags).to_bytes(size, "little")

        for process in range(2):
            for level in range(levels - 1, 0, -1):
                enter(process, level, USER, self._table(process, level - 1), _V)
            # S's own code and data: one large page, below tables of its own where it is not in the
            # root.
            large = 1 if levels == 2 else 2
            enter(process, large, CODE, CODE, _V | _R | _W | _X | _AD)
            for page in range(CODE_PAGES):
                flags = _R | _X | _U | (_V | _AD if page == 0 else 0)
                enter(process, 0, USER + page * PAGE, USER_AT + page * PAGE, flags)
            for page in range(DATA_PAGES):
                # the second one is there, but A and D are not
                flags = _R | _W | _U | (_V if page else 0)
                where = USER + (CODE_PAGES + page) * PAGE
                enter(process, 0, where, DATA_AT[process] + page * PAGE, flags)
            where = USER + (CODE_PAGES + DATA_PAGES) * PAGE
            enter(process, 0, where, TOHOST, _V | _R | _W | _U | _AD)
        return bytes(memory)

    def write(self, path: Path) -> Path:
        """The ELF file."""
        low, user = self._supervisor(), self._user()
        loads = [
            Load(CODE, low.bytes()),
            Load(USER, user.bytes(), paddr=USER_AT),
            Load(TABLES_AT, self._tables(), executable=False),
            Load(TOHOST, bytes(64), executable=False),
        ]
        symbols = [("tohost", TOHOST), *low.labels.items(), *user.labels.items()]
        path.write_bytes(elf(self.xlen, CODE, loads, symbols))
        return path

    def _supervisor(self) -> Assembly:
        a = Assembly(self.xlen)
        a.jal(to="start")
        self._handlers(a)
        a.label("start")
        for name, label in (("mtvec", "m_handler"), ("stvec", "s_handler")):
            a.la(5, label)
            a.csr(name, write=5)
        settings = {
            "medeleg": _ECALL_U | _PAGE_FAULTS,
            "mideleg": _TIMER,
            "mie": _TIMER,
            "mcounteren": 7,
            "pmpcfg0": 0x1F,
            "mstatus": 1 << 11,
        }
        for name, value in settings.items():
            a.li(5, value)
            a.csr(name, write=5)
        a.addi(rd=5, imm=-1)
        a.csr("pmpaddr0", write=5)
        # menvcfg.STCE: the hart has stimecmp (Sstc)
        a.addi(rd=5, imm=1)
        a.slli(rd=5, rs1=5, imm=self.xlen - 1)
        a.csr("menvcfg" if self.xlen == 64 else "menvcfgh", write=5)
        if self.xlen == 32:
            a.csr("stimecmph", write=0)
        a.addi(rd=5, imm=2)
        a.csr("stimecmp", write=5)
        for register, satp in zip((5, 26), self.satps, strict=True):
            if self.xlen == 64:
                a.li(register, satp >> 44)
                a.slli(rd=register, rs1=register, imm=44)
                a.li(6, satp & (1 << 32) - 1)
                a.or_(rd=register, rs1=register, rs2=6)
            else:
                a.li(register, satp)
        a.csr("satp", write=5)
        for process, register in enumerate((27, 28)):
            a.li(register, self._table(process, 0))
        at = a.at + 4 * (self.xlen // 16) + 8  # behind li, csrw and mret
        a.li(5, at)
        a.csr("mepc", write=5)
        a.mret()
        assert a.label("supervisor") == at
        a.li(5, USER)
        a.csr("sepc", write=5)
        a.addi(rd=5, imm=0x20)  # SPIE
        a.csr("sstatus", set_=5)
        a.sret()
        return a

    def _handlers(self, a: Assembly) -> None:
        """x16 and x18 to x31 are the handlers'. x26: the other process's satp; x27, x28: the last
        tables of this and of the other one; x29: timer interrupts.
        """
        load, store, shift = ("lw", "sw", 2) if self.xlen == 32 else ("ld", "sd", 3)
        a.label("m_handler")
        a.csr("mcause", rd=16)
        a.addi(rd=18, imm=9)
        a.bne(rs1=16, rs2=18, to="unexpected")
        a.exit(0)
        a.label("unexpected")
        a.exit(77)
        a.label("s_handler")
        a.csr("scause", rd=16)
        a.blt(rs1=16, rs2=0, to="timer")
        a.addi(rd=18, imm=8)
        a.beq(rs1=16, rs2=18, to="call")
        a.csr("stval", rd=18)
        a.srli(rd=18, rs1=18, imm=12)
        a.andi(rd=18, rs1=18, imm=0x1FF)
        a.slli(rd=18, rs1=18, imm=shift)
        a.add(rd=18, rs1=18, rs2=27)
        getattr(a, load)(rd=19, rs1=18)
        a.ori(rd=19, rs1=19, imm=_V | _AD)
        getattr(a, store)(rs1=18, rs2=19)
        a.sfence_vma()
        a.sret()
        a.label("call")
        a.csr("sepc", rd=18)
        a.addi(rd=18, rs1=18, imm=4)
        a.csr("sepc", write=18)
        a.beq(rs1=17, rs2=0, to="finish")
        a.csrrw(rd=26, rs1=26, imm=0x180)  # satp
        a.addi(rd=18, rs1=27)
        a.addi(rd=27, rs1=28)
        a.addi(rd=28, rs1=18)
        a.sret()
        a.label("finish")
        a.ecall()
        a.label("timer")
        a.csr("time", rd=18)
        a.addi(rd=18, rs1=18, imm=3)
        a.csr("stimecmp", write=18)
        a.addi(rd=29, rs1=29, imm=1)
        a.sret()

    def _user(self) -> Assembly:
        a = Assembly(self.xlen, USER)
        a.li(8, USER + CODE_PAGES * PAGE)
        a.li(9, USER + (CODE_PAGES + 1) * PAGE)
        a.li(13, 0x2545F491)
        a.addi(rd=10, imm=self.rounds)
        a.jal(to="round")
        a.label("leaf")
        a.addi(rd=6, rs1=6, imm=1)
        a.jalr(rs1=1)
        a.label("round")
        a.sw(rs1=8, rs2=10)
        a.lw(rd=11, rs1=9)
        a.sw(rs1=9, rs2=11, imm=4)
        a.addi(rd=14, imm=30)
        a.label("inner")
        for name, distance in (("slli", 13), ("srli", 7), ("slli", 17)):
            getattr(a, name)(rd=15, rs1=13, imm=distance)
            a.xor(rd=13, rs1=13, rs2=15)
        a.andi(rd=15, rs1=13, imm=1)
        a.bne(rs1=15, rs2=0, to="skip")
        a.jal(rd=1, to="leaf")
        a.label("skip")
        a.addi(rd=14, rs1=14, imm=-1)
        a.bne(rs1=14, rs2=0, to="inner")
        a.jal(rd=1, to="crossing")
        a.andi(rd=15, rs1=10, imm=3)
        a.bne(rs1=15, rs2=0, to="stay")
        a.addi(rd=17, imm=1)
        a.ecall()
        a.label("stay")
        a.addi(rd=10, rs1=10, imm=-1)
        a.bne(rs1=10, rs2=0, to="round")
        if self.code is not None:
            a.li(8, USER + (CODE_PAGES + DATA_PAGES) * PAGE)
            a.addi(rd=11, imm=self.code << 1 | 1)
            a.sw(rs1=8, rs2=11)
            a.jal(imm=-4)
        a.addi(rd=17)
        a.ecall()
        a.raw(0, CROSSING - 6 - a.at)
        a.label("crossing")
        a.addi(rd=7, rs1=7, imm=1)
        a.c_nop()
        a.addi(rd=7, rs1=7, imm=2)
        assert a.at == CROSSING + 4
        a.jalr(rs1=1)
        return a


WAYS = tuple(Paging(way) for way in _SATP)


def expected(memory, paging: Paging, chunks) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
    """What a run was, read from its chunks: pcs, traps as (interrupt, epc, cause, tval, privilege
    before), and contexts in order, repeated ones left out.
    """
    pcs: list[int] = []
    traps: list[tuple[int, ...]] = []
    contexts: list[int] = []
    for chunk in chunks:
        for row in chunk.sidebands[chunk.sidebands["flags"] & HAS_CONTEXT > 0]:
            contexts += [int(row["context"])] if contexts[-1:] != [int(row["context"])] else []
        for reference in chunk.refs.tolist():
            index, code = reference >> 4, reference & 15
            if code in (1, 2):
                trap = chunk.traps[index]
                about = (int(trap[name]) for name in ("iaddr", "cause", "tval", "priv"))
                traps.append((code == 2, *about))
            elif code != SIDEBAND_CODE:
                pcs += _pcs(memory, paging, chunk.blocks[index])
    return pcs, traps, contexts


def _pcs(memory, paging: Paging, block) -> Iterator[int]:
    at = int(block["iaddr"])
    end = at + 2 * int(block["iretire"])
    while at < end:
        yield at
        at += 4 if memory.read(paging.physical(at), 2) & 3 == 3 else 2
    assert at == end
