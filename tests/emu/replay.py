"""What the hooks say, checked as it comes: retirement and events must form one chain."""

from emu.machine import Machine
from specs.interfaces.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN, Event
from specs.interfaces.ingress import Chunk
from specs.isa.control import classify
from specs.isa.transfers import Kind as Transfer

EBREAK, MRET, SRET = 0x0010_0073, 0x3020_0073, 0x1020_0073
#: By privilege level: what its registers' names begin with.
LETTER = {1: "s", 3: "m"}


class Replay:
    """Both hooks of a machine. `events`: all of them; `pcs`: what retired (ebreaks of host calls
    too); `log`: both, in order of delivery. Each is checked against where the stream stood.

    The program must not change its code, nor use virtual memory.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.events: list[Event] = []
        self.pcs: list[int] = []
        self.log: list[int | Event] = []
        self._next: int | None = machine.pc  # None: a register says where
        self._trap: tuple[int, int, int, int] | None = None
        self._priv = 3
        self._previous: Event | None = None
        machine.on_retire(self.retired)
        machine.on_discontinuity(self.event)

    def retired(self, chunk: Chunk) -> None:
        for reference in chunk.refs.tolist():
            assert self._trap is None, "a trap without its event"
            index, code = reference >> 4, reference & 15
            if code in (1, 2):
                trap = chunk.traps[index]
                assert trap["priv"] == self._priv
                self._trap = (code, int(trap["iaddr"]), int(trap["cause"]), int(trap["tval"]))
                continue
            block = chunk.blocks[index]
            assert block["priv"] == self._priv
            self._block(int(block["iaddr"]), int(block["iretire"]), code)

    def _block(self, address: int, halfwords: int, itype: int) -> None:
        assert self._next in (None, address)
        end, mask = address + 2 * halfwords, (1 << self.machine.xlen) - 1
        word = here = 0
        while address < end:
            here, word = address, self.machine.memory.read(address, 2) or 0
            if word & 3 == 3:
                word = self.machine.memory.read(address, 4) or 0
            self.pcs.append(here)
            self.log.append(here)
            address += 4 if word & 3 == 3 else 2
        assert address == end
        kind, _, target, absolute = classify(word, self.machine.xlen)
        self._next = end
        if kind == Transfer.INFERABLE_JUMP or (kind == Transfer.BRANCH and itype == 5):
            self._next = (target if absolute else here + target) & mask
        elif kind in (Transfer.UNINFERABLE_JUMP, Transfer.TRAP_RETURN):
            self._next = None
        self._previous = None

    def event(self, event: Event) -> None:
        machine = self.machine
        assert (event.hart, event.priv_before) == (0, self._priv)
        assert event.to_pc == machine.pc and event.instret == machine.instret
        assert event.time == machine.time and event.pending_since <= event.instret
        assert event.instret == len(self.pcs) - machine.host_calls
        if self._previous is not None and event.kind in (INTERRUPT, EXCEPTION):
            assert event.from_pc == self._previous.to_pc
        if event.kind in (INTERRUPT, EXCEPTION):
            assert self._next in (None, event.from_pc)
            code = 2 if event.kind == INTERRUPT else 1
            assert self._trap == (code, event.from_pc, event.cause, event.tval)
            top = 1 << (machine.xlen - 1) if event.kind == INTERRUPT else 0
            letter = LETTER[event.priv_after]
            assert event.priv_after >= event.priv_before
            assert machine.csr(f"{letter}cause") == event.cause | top
            assert machine.csr(f"{letter}epc") == event.from_pc
            assert machine.csr(f"{letter}tval") == event.tval
        else:
            assert self._trap is None and event.from_pc == self.pcs[-1]
            word = machine.memory.read(event.from_pc, 4)
            if event.kind == HOST_CALL:
                assert word == EBREAK and event.to_pc == event.from_pc + 4
                assert event.priv_after == self._priv
            else:
                assert event.kind == TRAP_RETURN and word in (MRET, SRET)
                assert event.to_pc == machine.csr("mepc" if word == MRET else "sepc")
                assert event.priv_after <= self._priv
        self._priv = event.priv_after
        self._trap = None
        self._next = event.to_pc
        self._previous = event
        self.events.append(event)
        self.log.append(event)

    @property
    def kinds(self) -> str:
        """The events' initials: I, E, H, T."""
        return "".join((event.kind.name or "?")[0] for event in self.events)


def watch(machine: Machine, limit: int = 1_000_000) -> Replay:
    """Run to the end with all hooks in use."""
    replay = Replay(machine)
    for _ in machine.run(limit):
        pass
    assert len(replay.pcs) == machine.instret + machine.host_calls
    return replay
