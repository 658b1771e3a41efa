"""What a hart tells its encoder besides what retires: context, time, triggers, windows, halted and
reset.

The loop over instructions knows nothing of it. Translation marks the blocks at which a trigger
fires (of a load or store the run says so), the few operations that change context or time leave a
note, and a pass over what retired (`sideband_kernel`) puts the sideband references in. Where nobody
wants any, there is no pass.
"""

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from emu.hart import state
from emu.hart.csrs import configure_context
from emu.hart.trigger_registers import (
    ACTION_SHIFT,
    ACTIONS,
    COUNT,
    DISABLED,
    EXECUTE,
    MCONTROL6,
    M,
    what,
)
from emu.ingress.options import NEVER, OUTSIDE, SidebandOptions, Time
from specs.interfaces.ingress import SIDEBAND
from specs.kernels.words import ALL_ONES

Words = npt.NDArray[np.uint64]

#: Notes of one chunk.
_NOTES = 1 << 12


class _Buffers:
    """Room for the references of a chunk with the side band, and its rows."""

    def __init__(self, references: int) -> None:
        self.refs = np.empty(2 * references, np.uint32)
        self.sidebands = np.zeros(references, SIDEBAND)


class Sideband:
    """The side band of a machine: its tables in `cpu`, and the pass over each chunk."""

    def __init__(self, cpu: Words, options: SidebandOptions, xlen: int) -> None:
        # not needed before a machine runs
        from emu.ingress import annotate as sideband_kernel

        self._kernel = sideband_kernel
        self._cpu = cpu
        self._xlen = xlen
        self._options = options
        self._words = np.zeros(sideband_kernel.WORDS, np.uint64)
        source = 0 if options.time is None else list(Time).index(options.time) + 1
        self._words[sideband_kernel.SOURCE] = source
        self._words[sideband_kernel.EVERY] = options.time_every
        self._words[sideband_kernel.DUE] = 0 if source else ALL_ONES
        self._edges = options.edges
        self._edge_words = np.array([*self._edges, ALL_ONES], np.uint64)
        self._notes = np.zeros((_NOTES, state.NOTE_WORDS), np.uint64)
        self._triggers = np.zeros((COUNT + OUTSIDE, state.TRIGGER_BYTES // 8), np.uint64)
        self._accesses = 0  # that triggers from outside match
        self._ring: list[_Buffers] = []
        self._turn = self._done = self._used = self._rows = 0
        cpu[state.NOTE_LIMIT] = 1 << 60
        cpu[state.EDGE] = NEVER
        self._enter_triggers()

    @property
    def has_context(self) -> bool:
        """Whether there is a source of context."""
        return self._options.context_csr is not None

    @property
    def active(self) -> bool:
        """Whether there is anything to tell, so far."""
        cpu, words = self._cpu, self._words
        wanted = self._options.time is not None or self.has_context or self._edges
        return bool(wanted or cpu[state.MARKED] or words[self._kernel.PENDING])

    @property
    def rows(self) -> npt.NDArray[np.void]:
        """The rows of this chunk's side band so far."""
        if not self._ring:
            return np.zeros(0, SIDEBAND)
        return self._ring[self._turn].sidebands[: self._rows]

    def raise_flag(self, flag: int) -> None:
        """Tell `flag` (`ingress.HALTED` or `RESET`) with the next reference."""
        self._words[self._kernel.PENDING] |= np.uint64(flag)

    def reset(self) -> None:
        """As the hart's registers are: its own triggers are disabled, the context is 0."""
        cpu, options = self._cpu, self._options
        self._triggers[:COUNT] = [DISABLED << (self._xlen - 4), 0, 0]
        cpu[state.ARMED] = self._accesses
        if options.context_csr is not None:
            configure_context(cpu, options.context_csr, self._xlen)
            cpu[state.CONTEXT_TYPE] = options.context_type
            self._words[self._kernel.CONTEXT] = self._words[self._kernel.CTYPE] = 0

    def cut(self, host_calls: int) -> None:
        """Have a block end where the next window begins or ends; to be called before `drive`."""
        if self._edges:
            flow = int(self._cpu[state.RETIRED]) + host_calls
            number = bisect_right(self._edges, flow)
            edge = self._edges[number] if number < len(self._edges) else NEVER
            self._cpu[state.EDGE] = edge - host_calls

    def begin_run(self, told: bool, host_calls: int) -> None:
        """A run begins, behind so many host calls; `told`: somebody wants what retires, with its
        side band.
        """
        cpu = self._cpu
        cpu[state.NOTE_COUNT] = 0
        self._ring = []
        follows = told and (self._options.time is not None or self.has_context)
        cpu[state.NOTES] = self._notes.ctypes.data if follows else 0
        cpu[state.NOTE_LIMIT] = _NOTES if follows else 1 << 60
        self._words[self._kernel.RETIRED] = cpu[state.RETIRED]
        flow = int(cpu[state.RETIRED]) + host_calls
        self._words[self._kernel.FLOW] = flow
        edge = int(self._words[self._kernel.EDGE])
        while edge % 2 == 0 and edge < len(self._edges) and self._edges[edge + 1] <= flow:
            edge += 2  # a window that passed while nobody was told
        self._words[self._kernel.EDGE] = edge
        self._words[self._kernel.TIME_OFFSET] = cpu[state.TIME_OFFSET]

    def begin_chunk(self, turn: int) -> None:
        """What follows goes to buffer number `turn`."""
        if self._cpu[state.NOTE_COUNT] and self._ring:
            self._advance(np.zeros(0, np.uint32), 0, np.zeros(0, np.uint64))
        self._turn, self._done, self._used, self._rows = turn, 0, 0, 0

    def chunk(
        self, refs: npt.NDArray[np.uint32], begin: int, end: int, marks: Words
    ) -> npt.NDArray[np.uint32]:
        """References `begin` to `end` of this chunk's `refs`, with the side band.

        `marks`: by block.
        """
        while len(self._ring) <= self._turn:
            self._ring.append(_Buffers(len(refs)))
        if begin > self._done:  # nobody wanted a side band up to there
            self._advance(refs, begin, marks)
        start = self._used if begin else 0
        self._advance(refs, end, marks)
        return self._ring[self._turn].refs[start : self._used]

    def _advance(self, refs: npt.NDArray[np.uint32], end: int, marks: Words) -> None:
        """Have the references up to `end` in the buffer."""
        count = int(self._cpu[state.NOTE_COUNT])
        buffers = self._ring[self._turn]
        self._used, self._rows = self._kernel.annotate(
            self._words,
            (refs[self._done : end], marks, self._notes[:count], self._edge_words),
            (buffers.refs, buffers.sidebands.view(np.uint64).reshape(-1, 3)),
            self._used,
            self._rows,
        )
        self._cpu[state.NOTE_COUNT] = 0
        self._done = end

    def _enter_triggers(self) -> None:
        row = COUNT
        options = self._options
        executed = [(*each, EXECUTE) for each in options.triggers]
        for address, pulses, accesses in (*executed, *options.watches):
            self._accesses |= accesses
            for action, pulse in ACTIONS.items():
                if pulses & pulse:
                    kind = MCONTROL6 << (self._xlen - 4)
                    tdata1 = kind | action << ACTION_SHIFT | M | accesses
                    self._triggers[row] = [tdata1, address, what(pulse, accesses)]
                    row += 1
        self._cpu[state.TRIGGERS] = self._triggers.ctypes.data
        self._cpu[state.TRIGGER_COUNT] = row
