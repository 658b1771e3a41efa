"""The emulated machine: RV32 or RV64 harts on a platform, run in chunks."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from emu.engine.operations import operations
from emu.hart import csrs, pmp, state
from emu.hart.extensions import allowed, misa, selection
from emu.hart.interrupts import mtime
from emu.hart.state import MAX_HARTS, MAX_QUANTUM, MIN_QUANTUM, QUANTUM
from emu.hart.turns import begin_turn, end_turn, wakes_at
from emu.host.htif import Htif, Mailbox
from emu.host.semihosting import Semihosting, SemihostingOptions
from emu.ingress.hooks import Hooks, Words
from emu.ingress.options import SidebandOptions
from emu.ingress.sideband import Sideband
from emu.memory import MachineError, Memory, Region, allocate
from emu.platforms.elf import Program
from emu.platforms.spike import PLATFORMS
from specs.interfaces.events import ALL_KINDS, HOST_CALL, Kind
from specs.interfaces.ingress import (
    BLOCK,
    CODE,
    HALTED,
    HAS_CONTEXT,
    PAGE,
    PASSAGE,
    RECORD,
    RESET,
    SIDEBAND,
    TRAP,
    Chunk,
)
from specs.isa.csrs import ADDRESS
from specs.isa.privilege import Privilege
from specs.kernels.njit import announce_compilation

#: References of a chunk: 1 MB, so that who drains them finds them in the cache. As many bytes of
#: records.
CHUNK_REFS = 1 << 18
#: Passages of a chunk.
CHUNK_PASSAGES = 1 << 14
#: Pages of code that are told in a chunk.
CHUNK_CODE = 1 << 10
#: Traps of a chunk.
CHUNK_TRAPS = 1 << 14
#: Rows of the block table; when it is full, a new one is begun and all code translated again.
TABLE_BLOCKS = 1 << 20
#: Instructions between chances for Python to see a Ctrl-C: some 50 ms.
PAUSE = 16 << 20

_ALL_ONES = (1 << 64) - 1
#: What a hart has, by extension.
_HAS = {"s": state.HAS_S, "u": state.HAS_U, "f": state.HAS_F, "c": state.HAS_C}
_UNLIMITED = 1 << 60


class ExitReason(Enum):
    """Why a run ended."""

    EXIT = "the program exited"
    BUDGET = "the instruction budget was used up"
    TRAP_LOOP = "the trap handler itself traps, without end"
    ENDLESS_LOOP = "it ended in a jump to itself that nothing can end"
    WFI_FOREVER = "it waits for an interrupt (wfi), and none that is enabled can come"
    HANDLER_HANG = "a trap handler ended in a jump to itself, or a wfi, that nothing can end"

    @property
    def failed(self) -> bool:
        """Whether that is a failure of the program, whatever it said before."""
        return self in (ExitReason.TRAP_LOOP, ExitReason.HANDLER_HANG)


_FOR_EVER = {
    state.ENDLESS_LOOP: ExitReason.ENDLESS_LOOP,
    state.WFI_FOREVER: ExitReason.WFI_FOREVER,
}


class Machine:
    """One hart or several with their memory and devices, reset and ready to run.

    `programs`: from `emu.platforms.elf.load`; the first gives width, entry and tohost. `isa`: an
    ISA string to which the hart is restricted; it can do everything without. `modes`: its privilege
    modes, "M", "MU" or "MSU"; by default those that `isa` names, or all. `memory`: more RAM,
    (base, size) in whole 4 KiB pages. `record`: whether `run` yields what retires;
    `explained`: code that its consumer has (address, bytes; of two that overlap, the later), by
    default that of the programs: pages with other code are in `Chunk.code`; `passages`:
    whether it may do so in short (`ingress.PASSAGE`), where no side band and no hook needs single
    blocks. `console`:
    receives guest output. `tohost`: its address, for programs without that symbol, or "none": the
    symbol means nothing. `semihosting`: serve host calls; without it an ebreak is a breakpoint
    exception, marked or not. `sideband`: context, time, triggers and windows in what `run` yields;
    without it there are only the triggers that the program itself arms. `chunk_refs`,
    `chunk_traps`, `table_blocks`: capacities of what a chunk holds.

    `harts`: 1 to 8; all begin at the reset vector. Of several each in turn runs `quantum`
    instructions, or until it waits (in a wfi, or a jump to itself) for an interrupt that another
    one or a timer may raise. At the end of a turn an LR's reservation is lost, and what others did
    to a hart's interrupts is seen at the beginning of one. There is one mtime: a tick in 100
    instructions of whichever hart runs; where all wait it goes to the first timer. `record` may
    name the harts, by number, of which `run` yields what retires.

    Raises MachineError where no such machine can be.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        platform: str = "spike",
        isa: str | None = None,
        modes: str | None = None,
        memory: Sequence[tuple[int, int]] = (),
        harts: int = 1,
        quantum: int = QUANTUM,
        record: bool | Collection[int] = True,
        explained: Sequence[tuple[int, bytes]] | None = None,
        passages: bool = False,
        console: Callable[[bytes], None] | None = None,
        semihosting: SemihostingOptions | None = None,
        sideband: SidebandOptions | None = None,
        tohost: int | Literal["none"] | None = None,
        chunk_refs: int = CHUNK_REFS,
        chunk_traps: int = CHUNK_TRAPS,
        table_blocks: int = TABLE_BLOCKS,
    ) -> None:
        programs = list(programs)
        if not programs:
            raise MachineError("no program")
        _check_turns(harts, quantum)
        if platform not in PLATFORMS:
            raise MachineError(f"platform {platform!r}: known are {', '.join(PLATFORMS)}")
        self.xlen = programs[0].xlen
        for program in programs:
            if program.xlen != self.xlen:
                raise MachineError(f"{program.path}: RV{program.xlen}, the first is RV{self.xlen}")
        extensions = allowed(isa, self.xlen, [each.isa for each in programs], modes)
        board = PLATFORMS[platform](programs, list(memory))
        self.memory: Memory = board.memory
        #: None while the program may still run on.
        self.exit_reason: ExitReason | None = None
        self.exit_code: int | None = None
        self._operations = operations(self.xlen, extensions)
        common = _Common(
            memory=self.memory,
            extensions=extensions,
            xlen=self.xlen,
            reset_pc=board.reset_pc,
            explained=_explained(programs, board.memory) if explained is None else explained,
            sideband=sideband or SidebandOptions(),
            passages=passages,
            refs=max(chunk_refs, 1 << 12),
            traps=max(chunk_traps, 1),
            blocks=max(table_blocks, 1 << 10),
        )
        cpus = np.zeros((harts, state.SIZE), np.uint64)
        recorded = range(harts) if record is True else record or ()
        #: By mhartid.
        self.harts = tuple(
            Hart(cpus, number, common, record=number in recorded) for number in range(harts)
        )
        #: The one whose turn it is, or was last.
        self.hart = self.harts[0]
        self._quantum = quantum
        #: `instret` of `hart` at the end of its turn; None: it is over.
        self._turn_end: int | None = None
        #: Number of the hart whose turn was last.
        self._last = harts - 1
        #: mtime at the end of the last turn.
        self._time = 0
        #: `instret` at which a run is to end.
        self._goal = 0
        self._halted = False
        self._htif = self._host(programs, console, tohost)
        self._semihosting: Semihosting | None = None
        if semihosting is not None:
            self._semihosting = Semihosting(semihosting, self.memory, self.xlen, console)
            for hart in self.harts:
                hart.cpu[state.SEMIHOSTING] = 1
        self._hooks = Hooks([hart.cpu for hart in self.harts])

    @property
    def cpu(self) -> Words:
        """The state of the hart whose turn it is, or was last; as the properties below."""
        return self.hart.cpu

    @property
    def instret(self) -> int:
        """Instructions retired so far, by all harts."""
        return sum(hart.instret for hart in self.harts)

    @property
    def host_calls(self) -> int:
        """Host calls served: their ebreaks are in what `run` yields, beside `instret` others."""
        return sum(hart.host_calls for hart in self.harts)

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return self.hart.pc

    @property
    def trap_counts(self) -> dict[tuple[bool, int], int]:
        """Traps taken by all harts, by (interrupt, cause)."""
        counts: dict[tuple[bool, int], int] = {}
        for hart in self.harts:
            for trap, count in hart.trap_counts.items():
                counts[trap] = counts.get(trap, 0) + count
        return counts

    def register(self, number: int) -> int:
        """See `Hart.register`."""
        return self.hart.register(number)

    def float_register(self, number: int) -> int:
        """See `Hart.float_register`."""
        return self.hart.float_register(number)

    @property
    def privilege(self) -> Privilege:
        """The privilege mode that the next instruction is executed in."""
        return self.hart.privilege

    def csr(self, which: str | int) -> int:
        """See `Hart.csr`."""
        return self.hart.csr(which)

    @property
    def time(self) -> int:
        """mtime, in ticks."""
        return self.hart.time

    def on_discontinuity(
        self, callback: Any, kinds: Kind = ALL_KINDS, *, user: Words | None = None
    ) -> None:
        """Call `callback(event)` (`specs.interfaces.events.Event`) once for each event of `kinds`.

        It is called after the hart's state has changed: `pc`, `register`, `csr`, `memory` are what
        its next instruction will find (it is `hart`, of several). Events of several harts come in
        order of execution. Callbacks are called in order of registration, and change
        nothing about the run: no instruction and no interrupt. Reading is all they may do.

        One that raises ends the run there: `run` yields what retired so far, this event included,
        and then raises the exception; later callbacks are not called. `run` may be called again:
        it goes on after the event.

        Compiled: a `numba.cfunc` of `emu.ingress.hooks.DISCONTINUITY` or a Numba-compiled function;
        it gets a pointer to `user`, which the machine keeps alive. Raises TypeError, ValueError.
        """
        self._hooks.on_discontinuity(callback, kinds, user)

    def on_retire(self, callback: Any, *, user: Words | None = None) -> None:
        """Call `callback(chunk)` (`specs.interfaces.ingress.Chunk`) with all that retires, also
        with `record=False`. The chunk is valid during the call. To be registered before `run`.

        What leads to an event, itself included (its trap, or the block that ends with its xRET or
        its ebreak), is delivered before the event is. An exception ends the run as above.

        Compiled: as above, of `emu.ingress.hooks.RETIREMENT`.
        """
        self._hooks.on_retire(callback, user)

    def halt(self) -> None:
        """Halt all harts, as a debugger does: they do not run until `resume`. Between runs only."""
        self._halted = True
        for hart in self.harts:
            hart.sideband.raise_flag(HALTED)

    def resume(self) -> None:
        """End a halt. What a hart does next has `ingress.HALTED` in its side band."""
        self._halted = False

    def reset(self) -> None:
        """Reset all harts: registers and CSRs are 0 or as they must be, the pc is the reset vector.
        Between runs only; memory and devices stay as they are, a halt ends, `instret` goes on.

        What a hart does next has `ingress.RESET` in its side band.
        """
        self._halted = False
        self.exit_reason = self.exit_code = None
        if len(self.harts) > 1 and self._turn_end is not None:
            self._end_turn()
        for hart in self.harts:
            hart.reset()
            hart.sideband.raise_flag(RESET)
            if hart.sideband.has_context:
                hart.sideband.raise_flag(HAS_CONTEXT)

    def run(self, max_instructions: int | None = None, *, buffers: int = 1) -> Iterator[Chunk]:
        """Run until the program ends or can do nothing more (`ExitReason`), or exactly
        `max_instructions` more have retired.

        Yields what retired, in chunks; nothing at all with `record=False`. Of several harts there
        is at least a chunk for each turn in which anything retired, and all count for
        `max_instructions`. A chunk is valid until `buffers` more have been asked for: with 2, one
        can be encoded while the next is filled. (A run that goes on after a budget may take an
        interrupt at a different instruction than one in one piece: interrupts are taken at ends of
        blocks, and the budget ends a block.)
        Raises MachineError if the hart is halted.
        """
        from emu.engine.drive import drive
        from emu.engine.translate import flush

        if self._halted:
            raise MachineError("the hart is halted: call resume() or reset() first")
        if self.exit_reason not in (None, ExitReason.BUDGET):
            return
        self.exit_reason = None
        budget = _UNLIMITED if max_instructions is None else max(0, max_instructions)
        self._goal = min(self.instret + budget, _UNLIMITED)
        for hart in self.harts:
            hart.begin_run(flush, buffers)
        announce_compilation("the emulator", __name__)
        for hart in self.harts:
            told = hart.records or self._hooks.want_retired
            hart.sideband.begin_run(told, hart.host_calls)
            hart.attach(self._hooks.want_retired)
        while self.exit_reason is None and self._take_turn():
            hart = self.hart
            cpu = hart.cpu
            cpu[state.RETURN_AT] = hart.instret + PAUSE
            hart.sideband.cut(hart.host_calls)
            reason = drive(cpu, self._operations)
            failure = self._handle(reason)
            # passages may go on for ever in little space
            full = reason == state.BUFFERS_FULL or self._turn_end is None
            full |= reason == state.PAUSED and bool(cpu[state.PASSAGES])
            if not full and self.exit_reason is None and failure is None:
                continue
            if hart.records:
                chunk = hart.take()
                if chunk is not None:
                    yield chunk
            if failure is not None:
                raise failure
            hart.attach(self._hooks.want_retired)
            if cpu[state.BLOCK_COUNT] * 2 > cpu[state.BLOCK_LIMIT]:
                hart.begin_table(flush)

    def _take_turn(self) -> bool:
        """Say which hart is to run, and how far; whether any can."""
        alone = len(self.harts) == 1
        if self._turn_end is None:
            if not alone and not self._next_hart():
                return False
            self._turn_end = _UNLIMITED if alone else self.hart.instret + self._quantum
        instret = self.hart.instret
        self.hart.cpu[state.BUDGET] = min(self._turn_end, instret + self._goal - self.instret)
        return True

    def _next_hart(self) -> bool:
        """Whose turn is next: of those that do not wait. If all do time goes to the first timer."""
        count, last = len(self.harts), self._last
        while True:
            for number in range(last + 1, last + 1 + count):
                hart = self.harts[number % count]
                if begin_turn(hart.cpu, np.uint64(self._time)):
                    self.hart, self._last = hart, hart.number
                    return True
            timer = min(int(wakes_at(hart.cpu)) for hart in self.harts)
            if timer - self._time > state.ALL_OF_TIME // state.INSTRUCTIONS_PER_TICK:
                self._wait_for_ever()
                return False
            self._time = timer

    def _wait_for_ever(self) -> None:
        """All harts wait, and nothing can end it."""
        for hart in self.harts:
            if hart.cpu[state.HANDLING]:
                self.hart, self.exit_reason = hart, ExitReason.HANDLER_HANG
                return
        loops = any(hart.cpu[state.WAITS] == state.IN_LOOP for hart in self.harts)
        self.exit_reason = ExitReason.ENDLESS_LOOP if loops else ExitReason.WFI_FOREVER

    def _end_turn(self, waits: int = 0) -> None:
        self._time = int(end_turn(self.hart.cpu, np.uint64(waits)))
        self._turn_end = None

    def _handle(self, reason: int) -> BaseException | None:
        """Do what `drive` returned for. What a hook raises is given back: it has to wait until the
        chunk in hand is yielded.
        """
        hart = self.hart
        try:
            if reason == state.EVENT_RAISED:
                self._hooks.event(hart.cpu, self._undelivered())
            elif reason == state.HOST_CALLED:
                self._host_call()
            elif reason == state.HOST_REQUEST:
                self._serve()
            elif reason == state.BUDGET_OVER:
                if self.instret >= self._goal:
                    self.exit_reason = ExitReason.BUDGET
                else:
                    self._end_turn()
            elif reason == state.WFI_WAITS:
                self._end_turn(state.IN_WFI)
            elif reason == state.ENDLESS_LOOP and len(self.harts) > 1:
                self._end_turn(state.IN_LOOP)
            elif reason == state.TRAP_LOOP:
                self.exit_reason = ExitReason.TRAP_LOOP
            elif reason in _FOR_EVER:
                in_handler = hart.cpu[state.HANDLING]
                self.exit_reason = ExitReason.HANDLER_HANG if in_handler else _FOR_EVER[reason]
            over = self.exit_reason is not None or self._turn_end is None
            if reason == state.BUFFERS_FULL or over:
                self._hooks.retired(hart.cpu, self._undelivered())
        except BaseException as error:
            return error
        return None

    def _host(
        self,
        programs: list[Program],
        console: Callable[[bytes], None] | None,
        given: int | Literal["none"] | None,
    ) -> Htif | None:
        symbols = {name: s for p in reversed(programs) for name, s in p.symbols.items()}
        tohost, fromhost = symbols.get("tohost"), symbols.get("fromhost")
        if given == "none" or (given is None and tohost is None):
            return None
        if given is not None:
            box = Mailbox.at(given)
        else:
            assert tohost is not None
            box = Mailbox.at(tohost.address, tohost.size)
        if box.address % box.size or self.memory.view(*box) is None:
            raise MachineError(
                f"tohost at {box.address:#x}: not an aligned word or doubleword of memory; "
                "is there RAM missing? --memory adds some"
            )
        for hart in self.harts:
            hart.cpu[state.TOHOST] = box.address
        reply = None if fromhost is None else Mailbox.at(fromhost.address, fromhost.size)
        return Htif(self.memory, box, reply, console)

    def _serve(self) -> None:
        self.cpu[state.HOST] = 0
        code = None if self._htif is None else self._htif.serve()
        if code is not None:
            self.exit_code = code
            self.exit_reason = ExitReason.EXIT

    def _host_call(self) -> None:
        from emu.hart.events import deliver, raise_event

        assert self._semihosting is not None
        hart, cpu = self.hart, self.cpu
        operation, parameter = hart.register(10), hart.register(11)
        result = self._semihosting.call(operation, parameter, self.time)
        cpu[state.HOST_CALLS] += 1
        ebreak = cpu[state.PC]
        cpu[state.X + 10] = result & _ALL_ONES
        cpu[state.PC] = hart.pc + 4 & (1 << self.xlen) - 1
        if self._semihosting.exit_code is not None:
            self.exit_code = self._semihosting.exit_code
            self.exit_reason = ExitReason.EXIT
        if int(cpu[state.EVENT_KINDS]) & HOST_CALL:
            words = np.array([HOST_CALL, operation, parameter], np.uint64)
            priv, instret = cpu[state.PRIV], cpu[state.RETIRED]
            raise_event(cpu, words[0], ebreak, (words[1], words[2]), priv, instret)
            if deliver(cpu):
                self._hooks.event(cpu, self._undelivered())

    def _undelivered(self) -> Chunk | None:
        """What the retirement hooks have not seen, None if nothing or nobody wants it."""
        return self.hart.undelivered() if self._hooks.want_retired else None


class Hart:
    """One of the harts of a machine: its state, what it tells, and what that is told by."""

    def __init__(self, cpus: Words, number: int, common: "_Common", record: bool) -> None:
        self.number = number
        self.xlen = common.xlen
        self.cpu: Words = cpus[number]
        #: Whether `run` yields what retires here.
        self.records = record
        self._want_passages = record and common.passages
        self._common = common
        self._keep: list[npt.NDArray[np.generic]] = []
        cpu = self.cpu
        cpu[state.HARTS], cpu[state.CPUS] = len(cpus), cpus.ctypes.data
        self._allocate(common.memory)
        self.sideband = Sideband(cpu, common.sideband, common.xlen)
        self.reset()
        # As on Spike: the timer interrupt is pending until mtimecmp is set.
        cpu[state.MTIMECMP] = cpu[state.TIMER_SINCE] = 0
        cpu[state.TOHOST] = _ALL_ONES
        self._ring: list[_Buffer] = []
        self._turn = 0
        self._buffer = _Buffer(0, 0)
        self._code_delivered = 0
        self._blocks = np.zeros(0, BLOCK)
        self._successors = np.zeros((0, 2), np.uint32)
        self._marks = np.zeros(0, np.uint64)
        self._tell_code(common.explained)
        #: Rows of the block table that the previous chunk had: of `run`, of retirement hooks.
        self._rows_yielded = self._rows_delivered = 0

    @property
    def instret(self) -> int:
        """Instructions retired so far."""
        return int(self.cpu[state.RETIRED])

    @property
    def host_calls(self) -> int:
        """Host calls served."""
        return int(self.cpu[state.HOST_CALLS])

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return int(self.cpu[state.PC]) & ~state.SEQUEL

    @property
    def trap_counts(self) -> dict[tuple[bool, int], int]:
        """Traps taken, by (interrupt, cause)."""
        counts = {}
        for interrupt, base in ((False, state.EXCEPTION_COUNTS), (True, state.INTERRUPT_COUNTS)):
            for cause in range(64):
                if self.cpu[base + cause]:
                    counts[interrupt, cause] = int(self.cpu[base + cause])
        return counts

    def register(self, number: int) -> int:
        """Value of x0..x31, as an unsigned number of xlen bits."""
        return int(self.cpu[state.X + number]) & ((1 << self.xlen) - 1)

    def float_register(self, number: int) -> int:
        """The 64 bits of f0..f31; narrower values are NaN-boxed."""
        return int(self.cpu[state.F + number])

    @property
    def privilege(self) -> Privilege:
        """The privilege mode that the next instruction is executed in."""
        return Privilege(int(self.cpu[state.PRIV]))

    def csr(self, which: str | int) -> int:
        """Value of a CSR, by name or address, as an instruction at `pc` would read it.

        Raises MachineError where the hart has none such.
        """
        address = ADDRESS.get(which, -1) if isinstance(which, str) else which
        if not 0 <= address < 4096 or not self.cpu[state.CSR_KIND + address]:
            raise MachineError(f"no CSR {which}")
        return int(csrs.read_csr(self.cpu, address, self.cpu[state.RETIRED]))

    @property
    def time(self) -> int:
        """mtime, in ticks."""
        return int(mtime(self.cpu, self.cpu[state.RETIRED]))

    def reset(self) -> None:
        """Registers and CSRs are 0 or as they must be, the pc is the reset vector."""
        cpu = self.cpu
        compressed = "c" in self._common.extensions
        width = (1 << self.xlen) - 1
        cpu[state.X : state.SINK] = cpu[state.F : state.F + 32] = 0
        cpu[state.CSR_KIND : state.SIZE] = 0
        cpu[state.HAS] = sum(bit for name, bit in _HAS.items() if name in self._common.extensions)
        tables = "zcmt" in self._common.extensions
        csrs.configure(cpu, self.xlen, misa(self._common.extensions, self.xlen), compressed, tables)
        cpu[state.CONTEXT_CSR] = cpu[state.STIMECMP] = _ALL_ONES
        cpu[state.FCSR] = cpu[state.MIP_STORED] = cpu[state.PMP_COUNT] = 0
        self.sideband.reset()
        cpu[state.INSTRET_OFFSET] = cpu[state.CYCLE_OFFSET] = -self.instret & _ALL_ONES
        cpu[state.STUCK] = cpu[state.LAST_TRAP] = cpu[state.REST] = cpu[state.HANDLING] = 0
        cpu[state.PC] = self._common.reset_pc
        cpu[state.XLEN] = self.xlen
        cpu[state.MHARTID] = self.number
        cpu[state.WAITS] = 0
        cpu[state.SELECTION] = selection(self._common.extensions, self.xlen)
        cpu[state.ADDRESS_MASK] = width
        cpu[state.EPC_MASK] = width & (~1 if compressed else ~3)
        cpu[state.ALIGN_MASK] = 0 if compressed else 2
        cpu[state.PRIV] = Privilege.M
        cpu[state.RESERVED] = _ALL_ONES

    def begin_run(self, flush: Callable[[Words], None], buffers: int) -> None:
        """Have `buffers` chunks, and a block table."""
        room = self._common
        self._ring = [
            _Buffer(room.refs, room.traps, self._want_passages)
            for _ in range(buffers if self.records else 1)
        ]
        self._turn = 0
        self.begin_table(flush)

    def take(self) -> Chunk | None:
        """What is in the buffer, and the next one's turn; None if nothing is."""
        chunk = self._chunk(0, self._rows_yielded)
        if not len(chunk.refs) and not len(chunk.code):
            return None
        self._turn = (self._turn + 1) % len(self._ring)
        self._rows_yielded = len(chunk.blocks)
        return chunk

    def attach(self, hooked: bool) -> None:
        """Have the next chunk written to the buffer whose turn it is. `hooked`: hooks want it."""
        cpu = self.cpu
        buffer = self._buffer = self._ring[self._turn]
        self.sideband.begin_chunk(self._turn)
        cpu[state.REFS] = buffer.refs.ctypes.data
        cpu[state.REFS_END] = buffer.refs.ctypes.data + buffer.refs.nbytes
        told = self.records or hooked
        cpu[state.REF_STEP] = 4 if told else 0
        cpu[state.DELIVERED] = cpu[state.REFS]
        cpu[state.TRAPS] = buffer.traps.ctypes.data
        cpu[state.TRAP_COUNT] = 0
        cpu[state.TRAP_LIMIT] = len(buffer.traps)
        short = self._want_passages and not hooked and not self.sideband.active
        cpu[state.PASSAGES] = buffer.passages.ctypes.data if short else 0
        cpu[state.PASSAGE_COUNT] = cpu[state.OPEN] = 0
        cpu[state.PASSAGE_LIMIT] = len(buffer.passages)
        cpu[state.CODE_ROWS] = buffer.code.ctypes.data if told else 0
        cpu[state.CODE_PAGES] = buffer.pages.ctypes.data
        cpu[state.CODE_COUNT], cpu[state.CODE_LIMIT] = 0, CHUNK_CODE
        self._code_delivered = 0
        cpu[state.RECORDS] = cpu[state.RECORD_TABLE] = buffer.records.ctypes.data
        cpu[state.RECORDS_END] = buffer.records.ctypes.data + buffer.records.nbytes

    def begin_table(self, flush: Callable[[Words], None]) -> None:
        """Begin a block table; translations refer to the one before it, so they are dropped."""
        self._blocks = np.zeros(self._common.blocks, BLOCK)
        self._marks = np.zeros(self._common.blocks, np.uint64)
        if self._want_passages:
            self._successors = np.zeros((self._common.blocks, 2), np.uint32)
            self.cpu[state.SUCCESSORS] = self._successors.ctypes.data
        self._rows_yielded = self._rows_delivered = 0
        flush(self.cpu)
        self.cpu[state.MARKS] = self._marks.ctypes.data
        self.cpu[state.MARKED] = self.cpu[state.STALE] = 0
        self.cpu[state.BLOCKS] = self._blocks.ctypes.data
        self.cpu[state.BLOCK_COUNT] = 0
        self.cpu[state.BLOCK_LIMIT] = len(self._blocks)

    def _chunk(self, begin: int, fresh: int) -> Chunk:
        """What is in the buffer, from the reference `begin` on."""
        cpu, buffer = self.cpu, self._buffer
        end = (int(cpu[state.REFS]) - buffer.refs.ctypes.data) // 4
        blocks = self._blocks[: int(cpu[state.BLOCK_COUNT])]
        traps = buffer.traps[: int(cpu[state.TRAP_COUNT])]
        sidebands, refs = np.zeros(0, SIDEBAND), buffer.refs[begin:end]
        if self.sideband.active:
            refs = self.sideband.chunk(buffer.refs, begin, end, self._marks)
            sidebands = self.sideband.rows
        chunk = Chunk(refs, blocks, traps, sidebands, fresh, hart=self.number)
        told = int(cpu[state.CODE_COUNT])
        if told:
            chunk.code, chunk.pages = buffer.code[:told], buffer.pages[:told]
        if cpu[state.PASSAGE_COUNT]:
            records = int(cpu[state.RECORDS] - cpu[state.RECORD_TABLE]) // RECORD.itemsize
            chunk.passages = buffer.passages[: int(cpu[state.PASSAGE_COUNT])]
            chunk.records = buffer.records[:records]
            chunk.successors = self._successors[: len(blocks)]
        return chunk

    def undelivered(self) -> Chunk | None:
        """What the retirement hooks have not seen, None if that is nothing."""
        delivered = int(self.cpu[state.DELIVERED])
        if delivered == self.cpu[state.REFS]:
            return None
        chunk = self._chunk((delivered - self._buffer.refs.ctypes.data) // 4, self._rows_delivered)
        self._rows_delivered = len(chunk.blocks)
        chunk.code = chunk.code[self._code_delivered :]
        self._code_delivered = int(self.cpu[state.CODE_COUNT])
        return chunk

    def _allocate(self, memory: Memory) -> None:
        cpu = self.cpu
        cpu[state.ARENA] = self._host_pointer(allocate(state.ARENA_BYTES))
        cpu[state.ARENA_TOP] = cpu[state.ARENA]
        cpu[state.ARENA_END] = int(cpu[state.ARENA]) + state.ARENA_BYTES
        cpu[state.SIDE] = self._host_pointer(allocate(state.ARENA_BYTES))
        cpu[state.HASH] = self._host_pointer(allocate(state.HASH_ENTRIES * state.HASH_ENTRY_BYTES))
        cpu[state.USED] = self._host_pointer(allocate(state.HASH_ENTRIES * 2))
        jumps = np.full(state.JUMP_ENTRIES * 2, state.NO_JUMP, np.uint64)
        cpu[state.JUMPS] = self._host_pointer(jumps)
        size = state.TLB_COUNT * state.TLB_ENTRIES * state.TLB_ENTRY_BYTES
        cpu[state.TLBS] = self._host_pointer(np.full(size // 8, state.NO_TAG, np.uint64))
        size = state.FETCH_ENTRIES * state.FETCH_ENTRY_BYTES
        cpu[state.FETCH_TLB] = self._host_pointer(np.full(size // 8, state.NO_TAG, np.uint64))
        cpu[state.PMP] = self._host_pointer(np.zeros(pmp.ENTRIES * pmp.PMP_BYTES // 8, np.uint64))
        cpu[state.REGIONS] = self._host_pointer(_region_table(memory.regions))
        cpu[state.REGION_COUNT] = len(memory.regions)

    def _tell_code(self, explained: Sequence[tuple[int, bytes]]) -> None:
        """Have pages of code be told that `explained` does not have."""
        cpu = self.cpu
        stretches = [(base, np.frombuffer(data, np.uint8)) for base, data in explained if data]
        self._keep += [data for _, data in stretches]
        rows = [(b, b + len(d) & _ALL_ONES, d.ctypes.data, 0) for b, d in stretches]
        table = np.array(rows, np.uint64).reshape(-1, state.REGION_BYTES // 8)
        cpu[state.EXPLAINED] = self._host_pointer(table)
        cpu[state.EXPLAINED_COUNT] = len(rows)
        cpu[state.KNOWN] = self._host_pointer(allocate(state.KNOWN_ENTRIES * state.KNOWN_BYTES))
        cpu[state.KNOWN_PAGES] = self._host_pointer(allocate(state.KNOWN_ENTRIES // 2 * PAGE))

    def _host_pointer(self, array: npt.NDArray[np.generic]) -> int:
        self._keep.append(array)
        return int(array.ctypes.data)


@dataclass(frozen=True, kw_only=True)
class _Common:
    """What is the same for all harts of a machine.

    `refs`, `traps`: room in a chunk; `blocks`: rows of the block table.
    """

    memory: Memory
    extensions: frozenset[str]
    xlen: int
    reset_pc: int
    explained: Sequence[tuple[int, bytes]]
    sideband: SidebandOptions
    passages: bool
    refs: int
    traps: int
    blocks: int


def _check_turns(harts: int, quantum: int) -> None:
    """Raise MachineError for what cannot be."""
    if not 1 <= harts <= MAX_HARTS:
        raise MachineError(f"{harts} harts: must be from 1 to {MAX_HARTS}")
    if not MIN_QUANTUM <= quantum <= MAX_QUANTUM:
        raise MachineError(
            f"quantum {quantum}: must be from {MIN_QUANTUM} to {MAX_QUANTUM} instructions"
        )


class _Buffer:
    """What a chunk's references, traps, passages and records are written to."""

    def __init__(self, refs: int, traps: int, passages: bool = False) -> None:
        self.refs = np.zeros(refs, np.uint32)
        self.traps = np.zeros(traps, TRAP)
        self.passages = np.zeros(CHUNK_PASSAGES if passages else 0, PASSAGE)
        self.code = np.zeros(CHUNK_CODE, CODE)
        self.pages = allocate(CHUNK_CODE * PAGE).reshape(-1, PAGE)
        # the hot loop always has a place to write one to
        self.records = np.zeros(refs // 2 if passages else 1, RECORD)


def _explained(programs: Sequence[Program], memory: Memory) -> list[tuple[int, bytes]]:
    """What is in read-only memory, and the programs' segments where they are stored and run."""
    found = [(r.base, r.data.tobytes()) for r in memory.regions if not r.writable]
    for program in programs:
        for segment in program.segments:
            found += [(place, bytes(segment.data)) for place in segment.places]
    return found


def _region_table(regions: list[Region]) -> npt.NDArray[np.uint64]:
    # The end of a 64-bit address space is 0: kernels take differences of addresses alone.
    rows = [(r.base, r.end & _ALL_ONES, r.data.ctypes.data, int(r.writable)) for r in regions]
    return np.array(rows, np.uint64)
