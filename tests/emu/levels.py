"""Programs with parts that run at a lower privilege level, and what the hart said of each part."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emu.machine import ExitReason, Machine
from emu.platforms.elf import Program
from specs.interfaces.events import EXCEPTION, INTERRUPT, Event
from specs.isa.csrs import ADDRESS
from tests.emu.build import Assembly

U, S, M = 0, 1, 3
MSTATUS = ADDRESS["mstatus"]
#: Bits of mstatus.
SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
MPP, FS, MPRV, SUM, MXR = 3 << 11, 3 << 13, 1 << 17, 1 << 18, 1 << 19
TVM, TW, TSR = 1 << 20, 1 << 21, 1 << 22


@dataclass
class Part:
    """Code from `begin` on; at `end` is the environment call that leads back to M-mode."""

    begin: int
    end: int = 0
    events: list[Event] = field(default_factory=list)

    @property
    def traps(self) -> list[Event]:
        """Those that the part itself took, without the call at its end."""
        own = [e for e in self.events if e.kind in (EXCEPTION, INTERRUPT)]
        return (
            own[:-1] if own and own[-1].from_pc == self.end and own[-1].kind == EXCEPTION else own
        )

    @property
    def fault(self) -> tuple[int, int] | None:
        """Cause and tval of its only trap; None if it came to its end."""
        traps = self.traps
        assert len(traps) < 2, traps
        return (traps[0].cause, traps[0].tval) if traps else None


class Levels(Assembly):
    """M-mode code, with parts at any level. What traps to M-mode there goes on behind the part.

    Registers 24 to 26 are its own. All of memory may be accessed (entry 15 of PMP) unless `closed`.
    """

    def __init__(self, xlen: int, closed: bool = False) -> None:
        super().__init__(xlen)
        self.parts: list[Part] = []
        #: Of the run that was observed last.
        self.events: list[Event] = []
        self.jal(rd=0, imm=8)
        handler = self.label("m_handler")
        self.jalr(rs1=26)
        self.li(24, handler)
        self.csr("mtvec", write=24)
        if not closed:
            self.addi(rd=24, rs1=0, imm=-1)
            self.csr("pmpaddr15", write=24)
            self.li(24, 0x1F00_0000)
            if xlen == 64:
                self.slli(rd=24, rs1=24, imm=32)
            self.csr("pmpcfg3" if xlen == 32 else "pmpcfg2", write=24)

    def skip_faults(self) -> None:
        """From here on M-mode steps over what faults (four bytes), goes back to register 1 where
        nothing can be fetched, and behind the part at its call. Registers 28 and 29.
        """
        self.jal(rd=0, to="skipping")
        handler = self.at
        self.csr("mcause", rd=28)
        for cause, to in ((12, "skip fetch"), (1, "skip fetch"), (8, "skip end"), (9, "skip end"),
                          (11, "skip end")):  # fmt: skip
            self.addi(rd=29, rs1=0, imm=cause)
            self.beq(rs1=28, rs2=29, to=to)
        self.csr("mepc", rd=28)
        self.addi(rd=28, rs1=28, imm=4)
        self.csr("mepc", write=28)
        self.mret()
        self.label("skip fetch")
        self.csr("mepc", write=1)
        self.mret()
        self.label("skip end")
        self.jalr(rs1=26)
        self.label("skipping")
        self.put("mtvec", handler)

    def wide(self, rd: int, value: int) -> None:
        """Load a constant of xlen bits. Uses register 24."""
        value &= (1 << self.xlen) - 1
        if value >> 32:
            assert rd != 24
            self.li(24, value >> 32)
            self.slli(rd=24, rs1=24, imm=32)
            self.li(rd, value & 0xFFFF_FFFF)
            self.or_(rd=rd, rs1=rd, rs2=24)
        else:
            self.li(rd, value)

    def put(self, csr: str, value: int) -> None:
        """Write a CSR. Uses registers 24 and 25."""
        self.wide(25, value)
        self.csr(csr, write=25)

    def status(self, set_: int = 0, clear: int = 0) -> None:
        """Set and clear bits of mstatus."""
        self.li(25, clear)
        self.csrrc(rs1=25, imm=MSTATUS)
        self.li(25, set_)
        self.csr("mstatus", set_=25)

    @contextmanager
    def part(self, level: int, shift: int = 0) -> Iterator[Part]:
        """Code at a level, by addresses that are `shift` more than where it stands."""
        number = len(self.parts)
        self.jal(rd=26, to=f"enter {number}")
        self.jal(rd=0, to=f"behind {number}")
        self.label(f"enter {number}")
        self.jal(rd=25, to=f"leave {number}")
        mask = (1 << self.xlen) - 1
        part = Part(self.at + shift & mask)
        self.parts.append(part)
        yield part
        part.end = self.ecall() + shift & mask
        self.label(f"leave {number}")
        if shift:
            self.wide(27, shift)
            self.add(rd=25, rs1=25, rs2=27)
        self.csr("mepc", write=25)
        # not by way of a register that the part may use
        self.li(24, MPP)
        self.csrrc(rs1=24, imm=MSTATUS)
        self.li(24, level << 11)
        self.csr("mstatus", set_=24)
        self.mret()
        self.label(f"behind {number}")

    def observe(self, program: Program | None = None, limit: int = 2_000_000, **options) -> Machine:
        """Run to its end, and sort all events into the parts that they are from."""
        machine = Machine([program or self.program()], record=False, **options)
        events: list[Event] = []
        machine.on_discontinuity(events.append)
        assert list(machine.run(limit)) == []
        assert machine.exit_reason is ExitReason.EXIT, (machine.exit_reason, hex(machine.pc))
        self.events = events
        for part in self.parts:
            part.events = [e for e in events if part.begin <= e.from_pc <= part.end]
        return machine
