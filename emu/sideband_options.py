"""What a hart is to tell its encoder besides what retires."""

from dataclasses import dataclass
from enum import Enum

from emu.memory import MachineError

#: Triggers set from outside, at most.
OUTSIDE = 64


class Time(Enum):
    """What time is told."""

    #: Instructions retired.
    INSTRET = "instret"
    #: The CLINT's mtime, in ticks.
    MTIME = "mtime"
    #: Cycles of the cost model in `emu.cycles`.
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
    option of the run but this changes it: not buffers, not hooks.

    `triggers`: pairs of an instruction's address and `TRIGGER_ON`, `TRIGGER_OFF` or
    `TRIGGER_NOTIFY` (or'ed if several), armed from outside, beside the hart's own four.
    """

    context_csr: int | None = None
    context_type: int = 2
    time: Time | None = None
    time_every: int = 1000
    triggers: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Raises MachineError."""
        if self.context_csr is not None and not 0 <= self.context_csr < 4096:
            raise MachineError(f"context CSR {self.context_csr:#x}: must be from 0 to 0xfff")
        if self.context_type not in (1, 2, 3):
            raise MachineError(f"context type {self.context_type}: must be 1, 2 or 3")
        if not 1 <= self.time_every < 1 << 60:
            raise MachineError(f"time every {self.time_every} instructions: must be 1 or more")
        if sum(pulses.bit_count() for _, pulses in self.triggers) > OUTSIDE:
            raise MachineError(f"{len(self.triggers)} triggers: at most {OUTSIDE} can be set")
        for address, pulses in self.triggers:
            if not 0 < pulses < 8 or address & 1 or not 0 <= address < 1 << 64:
                raise MachineError(
                    f"trigger {pulses} at {address:#x}: must be one of 1 (on), 2 (off), "
                    "4 (notify), or a sum of them, at an even address"
                )
