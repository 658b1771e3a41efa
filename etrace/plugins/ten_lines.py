"""An example to begin with: exceptions by place, with a7, the service number of an ecall."""

from collections import Counter
from typing import Any

from specs.interfaces.events import EXCEPTION


class CalledFrom:
    def __init__(self, args: str) -> None:
        self.counts: Counter[tuple[int, int]] = Counter()

    def attach(self, machine: Any) -> None:
        self.machine = machine
        machine.on_discontinuity(self.seen, EXCEPTION)

    def seen(self, event: Any) -> None:
        self.counts[event.from_pc, self.machine.register(17)] += 1

    def report(self) -> str:
        return "\n".join(f"{n:6} {pc:#x} a7={a7}" for (pc, a7), n in sorted(self.counts.items()))
