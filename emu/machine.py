"""The emulated machine: one RV32 or RV64 M-mode hart on a platform, run in chunks."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

from emu import csrs, state
from emu.elf import Program
from emu.htif import Htif
from emu.isa import allowed, misa
from emu.memory import MachineError, Memory, Region, allocate
from emu.ops import operations
from emu.platform import PLATFORMS
from specs.compiled import announce_compilation
from specs.ingress import BLOCK, TRAP, Chunk
from specs.privilege import Privilege

#: References of a chunk: 1 MB, so that who drains them finds them in the cache.
CHUNK_REFS = 1 << 18
#: Traps of a chunk.
CHUNK_TRAPS = 1 << 14
#: Rows of the block table; when it is full, a new one is begun and all code translated again.
TABLE_BLOCKS = 1 << 20
#: Instructions between chances for Python to see a Ctrl-C: some 50 ms.
PAUSE = 16 << 20

_ALL_ONES = (1 << 64) - 1
_UNLIMITED = 1 << 60


class ExitReason(Enum):
    """Why a run ended."""

    EXIT = "the program exited"
    BUDGET = "the instruction budget was used up"
    TRAP_LOOP = "the trap handler itself traps, without end"


class Machine:
    """A hart with its memory and devices, reset and ready to run.

    `programs`: from `emu.elf.load`; the first gives width, entry and tohost. `isa`: an ISA string,
    by default what the first program's attributes say. `memory`: more RAM, (base, size) in whole
    4 KiB pages. `record`: whether `run` yields what retires. `console`: receives guest output.
    `chunk_refs`, `chunk_traps`, `table_blocks`: capacities of what a chunk holds.

    Raises MachineError where no such machine can be.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        platform: str = "spike",
        isa: str | None = None,
        memory: Sequence[tuple[int, int]] = (),
        record: bool = True,
        console: Callable[[bytes], None] | None = None,
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
        extensions = allowed(isa, programs[0].isa, self.xlen)
        board = PLATFORMS[platform](programs, list(memory))
        self.memory: Memory = board.memory
        #: None while the program may still run on.
        self.exit_reason: ExitReason | None = None
        self.exit_code: int | None = None
        self._record = record
        self._chunk_refs = max(chunk_refs, 1 << 12)
        self._chunk_traps = max(chunk_traps, 1)
        self._table_blocks = max(table_blocks, 1 << 10)
        self._operations = operations(self.xlen, extensions)
        self._keep: list[npt.NDArray[np.generic]] = []
        self.cpu = np.zeros(state.SIZE, np.uint64)
        self._reset(extensions, board.reset_pc)
        self._htif = self._host(programs, console)

    @property
    def instret(self) -> int:
        """Instructions retired so far."""
        return int(self.cpu[state.RETIRED])

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return int(self.cpu[state.PC])

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

    def run(self, max_instructions: int | None = None, *, buffers: int = 1) -> Iterator[Chunk]:
        """Run until the program ends, or exactly `max_instructions` more have retired.

        Yields what retired, in chunks; nothing at all with `record=False`. A chunk is valid until
        `buffers` more have been asked for: with 2, one can be encoded while the next is filled.
        (A run that goes on after a budget may take an interrupt at a different instruction than
        one in one piece: interrupts are taken at ends of blocks, and the budget ends a block.)
        """
        from emu.drive_kernel import drive
        from emu.translate_kernel import flush

        if self.exit_reason in (ExitReason.EXIT, ExitReason.TRAP_LOOP):
            return
        self.exit_reason = None
        cpu = self.cpu
        budget = _UNLIMITED if max_instructions is None else max(0, max_instructions)
        cpu[state.BUDGET] = min(self.instret + budget, _UNLIMITED)
        ring = [self._buffer() for _ in range(buffers if self._record else 1)]
        table = self._table(flush)
        announce_compilation("the emulator")
        turn = 0
        self._attach(*ring[0])
        while self.exit_reason is None:
            cpu[state.RETURN_AT] = self.instret + PAUSE
            reason = drive(cpu, self._operations)
            if reason == state.HOST_REQUEST:
                self._serve()
            elif reason == state.BUDGET_OVER:
                self.exit_reason = ExitReason.BUDGET
            elif reason == state.TRAP_LOOP:
                self.exit_reason = ExitReason.TRAP_LOOP
            if reason != state.BUFFERS_FULL and self.exit_reason is None:
                continue
            if self._record:
                chunk = self._chunk(*ring[turn], table)
                if len(chunk.refs):
                    turn = (turn + 1) % len(ring)
                    yield chunk
            self._attach(*ring[turn])
            if cpu[state.BLOCK_COUNT] * 2 > cpu[state.BLOCK_LIMIT]:
                table = self._table(flush)

    def _reset(self, extensions: frozenset[str], pc: int) -> None:
        cpu = self.cpu
        compressed = "c" in extensions
        width = (1 << self.xlen) - 1
        csrs.configure(cpu, self.xlen, misa(extensions, self.xlen), compressed)
        cpu[state.PC] = pc
        cpu[state.XLEN] = self.xlen
        cpu[state.ADDRESS_MASK] = width
        cpu[state.EPC_MASK] = width & (~1 if compressed else ~3)
        cpu[state.ALIGN_MASK] = 0 if compressed else 2
        cpu[state.PRIV] = Privilege.M
        cpu[state.RESERVED] = _ALL_ONES
        cpu[state.MTIMECMP] = _ALL_ONES
        cpu[state.TOHOST] = _ALL_ONES
        cpu[state.ARENA] = self._host_pointer(allocate(state.ARENA_BYTES))
        cpu[state.ARENA_TOP] = cpu[state.ARENA]
        cpu[state.ARENA_END] = int(cpu[state.ARENA]) + state.ARENA_BYTES
        cpu[state.SIDE] = self._host_pointer(allocate(state.ARENA_BYTES))
        cpu[state.HASH] = self._host_pointer(allocate(state.HASH_ENTRIES * 16))
        cpu[state.USED] = self._host_pointer(allocate(state.HASH_ENTRIES * 2))
        cpu[state.JUMPS] = self._host_pointer(np.ones(state.JUMP_ENTRIES * 2, np.uint64))
        tags = np.full(state.TLB_ENTRIES * state.TLB_ENTRY_BYTES // 8, state.NO_TAG, np.uint64)
        cpu[state.TLB] = self._host_pointer(tags)
        cpu[state.REGIONS] = self._host_pointer(_region_table(self.memory.regions))
        cpu[state.REGION_COUNT] = len(self.memory.regions)

    def _host(
        self, programs: list[Program], console: Callable[[bytes], None] | None
    ) -> Htif | None:
        symbols = {name: s.address for p in reversed(programs) for name, s in p.symbols.items()}
        tohost = symbols.get("tohost")
        if tohost is None:
            return None
        if tohost % 8 or self.memory.view(tohost, 8) is None:
            raise MachineError(f"tohost at {tohost:#x}: not an aligned doubleword of memory")
        self.cpu[state.TOHOST] = tohost
        return Htif(self.memory, tohost, symbols.get("fromhost"), console)

    def _serve(self) -> None:
        self.cpu[state.HOST] = 0
        code = None if self._htif is None else self._htif.serve()
        if code is not None:
            self.exit_code = code
            self.exit_reason = ExitReason.EXIT

    def _host_pointer(self, array: npt.NDArray[np.generic]) -> int:
        self._keep.append(array)
        return int(array.ctypes.data)

    def _buffer(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.void]]:
        return np.zeros(self._chunk_refs, np.uint32), np.zeros(self._chunk_traps, TRAP)

    def _attach(self, refs: npt.NDArray[np.uint32], traps: npt.NDArray[np.void]) -> None:
        cpu = self.cpu
        cpu[state.REFS] = refs.ctypes.data
        cpu[state.REFS_END] = refs.ctypes.data + refs.nbytes
        cpu[state.REF_STEP] = 4 if self._record else 0
        cpu[state.TRAPS] = traps.ctypes.data
        cpu[state.TRAP_COUNT] = 0
        cpu[state.TRAP_LIMIT] = len(traps)

    def _table(self, flush: Callable[[npt.NDArray[np.uint64]], None]) -> npt.NDArray[np.void]:
        """Begin a block table; translations refer to the one before it, so they are dropped."""
        table = np.zeros(self._table_blocks, BLOCK)
        flush(self.cpu)
        self.cpu[state.BLOCKS] = table.ctypes.data
        self.cpu[state.BLOCK_COUNT] = 0
        self.cpu[state.BLOCK_LIMIT] = len(table)
        return table

    def _chunk(
        self,
        refs: npt.NDArray[np.uint32],
        traps: npt.NDArray[np.void],
        table: npt.NDArray[np.void],
    ) -> Chunk:
        count = (int(self.cpu[state.REFS]) - refs.ctypes.data) // 4
        blocks = table[: int(self.cpu[state.BLOCK_COUNT])]
        return Chunk(refs[:count], blocks, traps[: int(self.cpu[state.TRAP_COUNT])])


def _region_table(regions: list[Region]) -> npt.NDArray[np.uint64]:
    rows = [(r.base, r.end, r.data.ctypes.data, int(r.writable)) for r in regions]
    return np.array(rows, np.uint64)
