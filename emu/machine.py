"""The emulated machine: an RV32 or RV64 hart on a platform, run in chunks."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from emu.engine.operations import operations
from emu.hart import csrs, pmp, state
from emu.hart.extensions import allowed, misa, selection
from emu.hart.interrupts import mtime
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
    """A hart with its memory and devices, reset and ready to run.

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
        record: bool = True,
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
        #: Host calls served. Their ebreaks are in what `run` yields, beside `instret` instructions.
        self.host_calls = 0
        self._record = record
        self._explained = _explained(programs, board.memory) if explained is None else explained
        self._want_passages = record and passages
        self._chunk_refs = max(chunk_refs, 1 << 12)
        self._chunk_traps = max(chunk_traps, 1)
        self._table_blocks = max(table_blocks, 1 << 10)
        self._operations = operations(self.xlen, extensions)
        self._keep: list[npt.NDArray[np.generic]] = []
        self.cpu = np.zeros(state.SIZE, np.uint64)
        self._allocate()
        self._extensions, self._reset_pc = extensions, board.reset_pc
        self._halted = False
        self._sideband = Sideband(self.cpu, sideband or SidebandOptions(), self.xlen)
        self._reset()
        # As on Spike: the timer interrupt is pending until mtimecmp is set.
        self.cpu[state.MTIMECMP] = self.cpu[state.TIMER_SINCE] = 0
        self.cpu[state.TOHOST] = _ALL_ONES
        self._htif = self._host(programs, console, tohost)
        self._semihosting: Semihosting | None = None
        if semihosting is not None:
            self._semihosting = Semihosting(semihosting, self.memory, self.xlen, console)
            self.cpu[state.SEMIHOSTING] = 1
        self._hooks = Hooks(self.cpu)
        self._buffer = _Buffer(0, 0)
        self._code_delivered = 0
        self._blocks = np.zeros(0, BLOCK)
        self._successors = np.zeros((0, 2), np.uint32)
        self._marks = np.zeros(0, np.uint64)
        self._tell_code()
        #: Rows of the block table that the previous chunk had: of `run`, of retirement hooks.
        self._rows_yielded = self._rows_delivered = 0

    @property
    def instret(self) -> int:
        """Instructions retired so far."""
        return int(self.cpu[state.RETIRED])

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

    def on_discontinuity(
        self, callback: Any, kinds: Kind = ALL_KINDS, *, user: Words | None = None
    ) -> None:
        """Call `callback(event)` (`specs.interfaces.events.Event`) once for each event of `kinds`.

        It is called after the hart's state has changed: `pc`, `register`, `csr`, `memory` are what
        the next instruction will find. Callbacks are called in order of registration, and change
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
        """Halt the hart, as a debugger does: it does not run until `resume`. Between runs only."""
        self._halted = True
        self._sideband.raise_flag(HALTED)

    def resume(self) -> None:
        """End a halt. What the hart does next has `ingress.HALTED` in its side band."""
        self._halted = False

    def reset(self) -> None:
        """Reset the hart: registers and CSRs are 0 or as they must be, the pc is the reset vector.
        Between runs only; memory and devices stay as they are, a halt ends, `instret` goes on.

        What the hart does next has `ingress.RESET` in its side band.
        """
        self._halted = False
        self.exit_reason = self.exit_code = None
        self._reset()
        self._sideband.raise_flag(RESET)
        if self._sideband.has_context:
            self._sideband.raise_flag(HAS_CONTEXT)

    def run(self, max_instructions: int | None = None, *, buffers: int = 1) -> Iterator[Chunk]:
        """Run until the program ends or can do nothing more (`ExitReason`), or exactly
        `max_instructions` more have retired.

        Yields what retired, in chunks; nothing at all with `record=False`. A chunk is valid until
        `buffers` more have been asked for: with 2, one can be encoded while the next is filled.
        (A run that goes on after a budget may take an interrupt at a different instruction than
        one in one piece: interrupts are taken at ends of blocks, and the budget ends a block.)
        Raises MachineError if the hart is halted.
        """
        from emu.engine.drive import drive
        from emu.engine.translate import flush

        if self._halted:
            raise MachineError("the hart is halted: call resume() or reset() first")
        if self.exit_reason not in (None, ExitReason.BUDGET):
            return
        self.exit_reason = None
        cpu = self.cpu
        budget = _UNLIMITED if max_instructions is None else max(0, max_instructions)
        cpu[state.BUDGET] = min(self.instret + budget, _UNLIMITED)
        ring = [
            _Buffer(self._chunk_refs, self._chunk_traps, self._want_passages)
            for _ in range(buffers if self._record else 1)
        ]
        self._begin_table(flush)
        announce_compilation("the emulator", __name__)
        turn = 0
        self._sideband.begin_run(self._record or self._hooks.want_retired, self.host_calls)
        self._attach(ring, 0)
        while self.exit_reason is None:
            cpu[state.RETURN_AT] = self.instret + PAUSE
            self._sideband.cut(self.host_calls)
            reason = drive(cpu, self._operations)
            failure = self._handle(reason)
            # passages may go on for ever in little space
            full = reason == state.BUFFERS_FULL
            full |= reason == state.PAUSED and bool(cpu[state.PASSAGES])
            if not full and self.exit_reason is None and failure is None:
                continue
            if self._record:
                chunk = self._chunk(0, self._rows_yielded)
                if len(chunk.refs) or len(chunk.code):
                    turn = (turn + 1) % len(ring)
                    self._rows_yielded = len(chunk.blocks)
                    yield chunk
            if failure is not None:
                raise failure
            self._attach(ring, turn)
            if cpu[state.BLOCK_COUNT] * 2 > cpu[state.BLOCK_LIMIT]:
                self._begin_table(flush)

    def _handle(self, reason: int) -> BaseException | None:
        """Do what `drive` returned for. What a hook raises is given back: it has to wait until the
        chunk in hand is yielded.
        """
        try:
            if reason == state.EVENT_RAISED:
                self._hooks.event(self._undelivered())
            elif reason == state.HOST_CALLED:
                self._host_call()
            elif reason == state.HOST_REQUEST:
                self._serve()
            elif reason == state.BUDGET_OVER:
                self.exit_reason = ExitReason.BUDGET
            elif reason == state.TRAP_LOOP:
                self.exit_reason = ExitReason.TRAP_LOOP
            elif reason in _FOR_EVER:
                in_handler = self.cpu[state.HANDLING]
                self.exit_reason = ExitReason.HANDLER_HANG if in_handler else _FOR_EVER[reason]
            if reason == state.BUFFERS_FULL or self.exit_reason is not None:
                self._hooks.retired(self._undelivered())
        except BaseException as error:
            return error
        return None

    def _reset(self) -> None:
        cpu = self.cpu
        compressed = "c" in self._extensions
        width = (1 << self.xlen) - 1
        cpu[state.X : state.SINK] = cpu[state.F : state.F + 32] = 0
        cpu[state.CSR_KIND : state.SIZE] = 0
        cpu[state.HAS] = sum(bit for name, bit in _HAS.items() if name in self._extensions)
        tables = "zcmt" in self._extensions
        csrs.configure(cpu, self.xlen, misa(self._extensions, self.xlen), compressed, tables)
        cpu[state.CONTEXT_CSR] = cpu[state.STIMECMP] = _ALL_ONES
        cpu[state.FCSR] = cpu[state.MIP_STORED] = cpu[state.PMP_COUNT] = 0
        self._sideband.reset()
        cpu[state.INSTRET_OFFSET] = cpu[state.CYCLE_OFFSET] = -self.instret & _ALL_ONES
        cpu[state.STUCK] = cpu[state.LAST_TRAP] = cpu[state.REST] = cpu[state.HANDLING] = 0
        cpu[state.PC] = self._reset_pc
        cpu[state.XLEN] = self.xlen
        cpu[state.SELECTION] = selection(self._extensions, self.xlen)
        cpu[state.ADDRESS_MASK] = width
        cpu[state.EPC_MASK] = width & (~1 if compressed else ~3)
        cpu[state.ALIGN_MASK] = 0 if compressed else 2
        cpu[state.PRIV] = Privilege.M
        cpu[state.RESERVED] = _ALL_ONES

    def _allocate(self) -> None:
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
        cpu[state.REGIONS] = self._host_pointer(_region_table(self.memory.regions))
        cpu[state.REGION_COUNT] = len(self.memory.regions)

    def _tell_code(self) -> None:
        """Have pages of code be told that `explained` does not have."""
        cpu = self.cpu
        stretches = [
            (base, np.frombuffer(data, np.uint8)) for base, data in self._explained if data
        ]
        self._keep += [data for _, data in stretches]
        rows = [(b, b + len(d) & _ALL_ONES, d.ctypes.data, 0) for b, d in stretches]
        table = np.array(rows, np.uint64).reshape(-1, state.REGION_BYTES // 8)
        cpu[state.EXPLAINED] = self._host_pointer(table)
        cpu[state.EXPLAINED_COUNT] = len(rows)
        cpu[state.KNOWN] = self._host_pointer(allocate(state.KNOWN_ENTRIES * state.KNOWN_BYTES))
        cpu[state.KNOWN_PAGES] = self._host_pointer(allocate(state.KNOWN_ENTRIES // 2 * PAGE))

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
        self.cpu[state.TOHOST] = box.address
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
        cpu = self.cpu
        operation, parameter = self.register(10), self.register(11)
        result = self._semihosting.call(operation, parameter, self.time)
        self.host_calls += 1
        cpu[state.HOST_CALLS] += 1
        ebreak = cpu[state.PC]
        cpu[state.X + 10] = result & _ALL_ONES
        cpu[state.PC] = self.pc + 4 & (1 << self.xlen) - 1
        if self._semihosting.exit_code is not None:
            self.exit_code = self._semihosting.exit_code
            self.exit_reason = ExitReason.EXIT
        if int(cpu[state.EVENT_KINDS]) & HOST_CALL:
            words = np.array([HOST_CALL, operation, parameter], np.uint64)
            priv, instret = cpu[state.PRIV], cpu[state.RETIRED]
            raise_event(cpu, words[0], ebreak, (words[1], words[2]), priv, instret)
            if deliver(cpu):
                self._hooks.event(self._undelivered())

    def _host_pointer(self, array: npt.NDArray[np.generic]) -> int:
        self._keep.append(array)
        return int(array.ctypes.data)

    def _attach(self, ring: "list[_Buffer]", turn: int) -> None:
        cpu = self.cpu
        buffer = self._buffer = ring[turn]
        self._sideband.begin_chunk(turn)
        cpu[state.REFS] = buffer.refs.ctypes.data
        cpu[state.REFS_END] = buffer.refs.ctypes.data + buffer.refs.nbytes
        cpu[state.REF_STEP] = 4 if self._record or self._hooks.want_retired else 0
        cpu[state.DELIVERED] = cpu[state.REFS]
        cpu[state.TRAPS] = buffer.traps.ctypes.data
        cpu[state.TRAP_COUNT] = 0
        cpu[state.TRAP_LIMIT] = len(buffer.traps)
        short = self._want_passages and not self._hooks.want_retired and not self._sideband.active
        cpu[state.PASSAGES] = buffer.passages.ctypes.data if short else 0
        cpu[state.PASSAGE_COUNT] = cpu[state.OPEN] = 0
        cpu[state.PASSAGE_LIMIT] = len(buffer.passages)
        told = self._record or self._hooks.want_retired
        cpu[state.CODE_ROWS] = buffer.code.ctypes.data if told else 0
        cpu[state.CODE_PAGES] = buffer.pages.ctypes.data
        cpu[state.CODE_COUNT], cpu[state.CODE_LIMIT] = 0, CHUNK_CODE
        self._code_delivered = 0
        cpu[state.RECORDS] = cpu[state.RECORD_TABLE] = buffer.records.ctypes.data
        cpu[state.RECORDS_END] = buffer.records.ctypes.data + buffer.records.nbytes

    def _begin_table(self, flush: Callable[[Words], None]) -> None:
        """Begin a block table; translations refer to the one before it, so they are dropped."""
        self._blocks = np.zeros(self._table_blocks, BLOCK)
        self._marks = np.zeros(self._table_blocks, np.uint64)
        if self._want_passages:
            self._successors = np.zeros((self._table_blocks, 2), np.uint32)
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
        if self._sideband.active:
            refs = self._sideband.chunk(buffer.refs, begin, end, self._marks)
            sidebands = self._sideband.rows
        chunk = Chunk(refs, blocks, traps, sidebands, fresh)
        told = int(cpu[state.CODE_COUNT])
        if told:
            chunk.code, chunk.pages = buffer.code[:told], buffer.pages[:told]
        if cpu[state.PASSAGE_COUNT]:
            records = int(cpu[state.RECORDS] - cpu[state.RECORD_TABLE]) // RECORD.itemsize
            chunk.passages = buffer.passages[: int(cpu[state.PASSAGE_COUNT])]
            chunk.records = buffer.records[:records]
            chunk.successors = self._successors[: len(blocks)]
        return chunk

    def _undelivered(self) -> Chunk | None:
        """What the retirement hooks have not seen, None if nothing or nobody wants it."""
        delivered = int(self.cpu[state.DELIVERED])
        if not self._hooks.want_retired or delivered == self.cpu[state.REFS]:
            return None
        chunk = self._chunk((delivered - self._buffer.refs.ctypes.data) // 4, self._rows_delivered)
        self._rows_delivered = len(chunk.blocks)
        chunk.code = chunk.code[self._code_delivered :]
        self._code_delivered = int(self.cpu[state.CODE_COUNT])
        return chunk


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
