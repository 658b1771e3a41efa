"""What a hart is to tell its encoder besides what retires."""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from emu.hart.trigger_registers import LOAD, STORE
from emu.memory import MachineError
from specs.interfaces.ingress import TRIGGER_OFF, TRIGGER_ON

#: Triggers set from outside, at most.
OUTSIDE = 64
#: Windows, at most.
WINDOWS = 4096
#: Instructions; more than any run executes.
NEVER = 1 << 60


class Time(Enum):
    """What time is told."""

    #: Instructions retired.
    INSTRET = "instret"
    #: The CLINT's mtime, in ticks.
    MTIME = "mtime"
    #: Cycles of the cost model in `emu.engine.cycles`.
    CYCLES = "cycles"


@dataclass(frozen=True, kw_only=True)
class SidebandOptions:
    """What a machine tells. Nothing at all by default.

    `context_csr`: each write to this CSR (an address; one that the hart lacks becomes a plain
    machine-mode register) is a new context. It is reported with `context_type` (*ctype*: 1
    imprecisely, 2 precisely, 3 as an asynchronous discontinuity) at the first instruction that
    retires behind the write; a trap before that carries the value with ctype 0.

    `time`: told before every trap, with every context, and before the first reference at or behind
    each multiple of `time_every` retired instructions; always the time at that reference. No
    option of the run but this and `windows` changes it: not buffers, not hooks.

    `triggers`: pairs of an instruction's address and `TRIGGER_ON`, `TRIGGER_OFF` or
    `TRIGGER_NOTIFY` (or'ed if several), armed from outside, beside the hart's own four.

    `watches`: the same for loads and stores that touch the byte at an address: address, pulses,
    and `emu.hart.trigger_registers.LOAD`, `STORE`, or both or'ed.

    `windows`: pairs of instructions to skip, counted from the beginning of the run, and how many
    follow (None: all). `TRIGGER_ON` is told with the first of these, `TRIGGER_OFF` with the last. A
    trap right before or right behind them is outside. Instructions are counted as in the flow: the
    ebreak of a host call is one. Blocks are cut there, which changes nothing else about the run.
    """

    context_csr: int | None = None
    context_type: int = 2
    time: Time | None = None
    time_every: int = 1000
    triggers: tuple[tuple[int, int], ...] = ()
    watches: tuple[tuple[int, int, int], ...] = ()
    windows: tuple[tuple[int, int | None], ...] = ()

    def __post_init__(self) -> None:
        """Raises MachineError."""
        if self.context_csr is not None and not 0 <= self.context_csr < 4096:
            raise MachineError(f"context CSR {self.context_csr:#x}: must be from 0 to 0xfff")
        if self.context_type not in (1, 2, 3):
            raise MachineError(f"context type {self.context_type}: must be 1, 2 or 3")
        if not 1 <= self.time_every < 1 << 60:
            raise MachineError(f"time every {self.time_every} instructions: must be 1 or more")
        if sum(each.bit_count() for each in self.pulses) > OUTSIDE:
            raise MachineError(f"{len(self.pulses)} triggers: at most {OUTSIDE} can be set")
        for address, pulses in self.triggers:
            if not 0 < pulses < 8 or address & 1 or not 0 <= address < 1 << 64:
                raise MachineError(
                    f"trigger {pulses} at {address:#x}: must be one of 1 (on), 2 (off), "
                    "4 (notify), or a sum of them, at an even address"
                )
        for address, pulses, accesses in self.watches:
            if not 0 < pulses < 8 or not 0 <= address < 1 << 64:
                raise MachineError(
                    f"trigger {pulses} at {address:#x}: must be one of 1 (on), 2 (off), "
                    "4 (notify), or a sum of them, at an address"
                )
            if not accesses or accesses & ~(LOAD | STORE):
                raise MachineError(
                    f"trigger at {address:#x}: accesses {accesses} must be 1 (load), 2 (store) or 3"
                )
        self._check_windows()

    @property
    def pulses(self) -> list[int]:
        """Those of each trigger and each watch."""
        return [each[1] for each in (*self.triggers, *self.watches)]

    @property
    def edges(self) -> list[int]:
        """Where windows begin and end in turn: instructions before it, ascending."""
        return [edge for window in self._spans() for edge in window]

    def _spans(self) -> list[tuple[int, int]]:
        return sorted((at, NEVER if count is None else at + count) for at, count in self.windows)

    def _check_windows(self) -> None:
        if len(self.windows) > WINDOWS:
            raise MachineError(f"{len(self.windows)} windows: at most {WINDOWS} can be set")
        for skip, count in self.windows:
            if not 0 <= skip < NEVER or (count is not None and not 0 <= count < NEVER - skip):
                raise MachineError(f"window {shown(skip, count)}: numbers must be from 0 to 2^60")
            if count == 0:
                raise MachineError(
                    f"window {shown(skip, count)}: has no instructions; give a count of 1 or more, "
                    f"or {skip}: for all that follow"
                )
        spans = self._spans()
        for (begin, end), (other, other_end) in pairwise(spans):
            if other < end:
                both = begin, None if NEVER in (end, other_end) else max(end, other_end) - begin
                raise MachineError(
                    f"the windows from instruction {begin} and from instruction {other} overlap; "
                    f"give one for both, {shown(*both)}"
                )
        if spans and any(bits & (TRIGGER_ON | TRIGGER_OFF) for bits in self.pulses):
            raise MachineError(
                "windows and triggers both turn tracing on and off; give only the windows, or only "
                "the triggers"
            )


def shown(skip: int, count: int | None) -> str:
    """A window as it is written: SKIP:COUNT."""
    return f"{skip}:{'' if count is None else count}"
