"""Counts of events: for each hart, by kind and cause."""

from collections import Counter
from typing import Any

from etrace.analyses.events import AnyEvent
from etrace.analyses.names import event_name, kind_name
from etrace.plugins.demonstration import Demonstration
from specs.interfaces.events import TRAP_RETURN, Kind


class Demonstrator(Demonstration):
    """`traps`: how many interrupts, exceptions, host calls and trap returns, by cause."""

    def __init__(self, args: str = "") -> None:
        super().__init__(args)
        self._counts: Counter[tuple[int, Kind, int]] = Counter()

    def seen(self, event: AnyEvent) -> None:
        """Count it."""
        self._counts[event.hart, event.kind, event.cause] += 1

    def values(self) -> dict[str, Any]:
        """By hart, kind and cause: `{"0": {"interrupt": {"7": 3}, "trap_return": 3}}`."""
        harts: dict[str, Any] = {}
        for (hart, kind, cause), count in sorted(self._counts.items()):
            kinds = harts.setdefault(str(hart), {})
            if kind == TRAP_RETURN:
                kinds[kind_name(kind)] = count
            else:
                kinds.setdefault(kind_name(kind), {})[str(cause)] = count
        return harts

    def lines(self) -> list[str]:
        """A line a hart, a line a cause."""
        lines = []
        for hart in sorted({hart for hart, _, _ in self._counts}):
            mine = {key[1:]: n for key, n in sorted(self._counts.items()) if key[0] == hart}
            lines.append(f"hart {hart}: {sum(mine.values()):,} events")
            lines += [f"{count:>12,}  {event_name(*key)}" for key, count in mine.items()]
        return lines or ["no events"]
