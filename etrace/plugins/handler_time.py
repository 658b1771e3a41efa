"""Instructions spent in interrupt and exception handlers.

From the event to the xRET that ends it (the xRET included), nested handlers too; `own` is without
them. A return belongs to the innermost handler that was entered, wherever it goes back to.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from etrace.analyses.events import AnyEvent
from etrace.analyses.names import event_name, kind_name
from etrace.plugins.demonstration import Demonstration
from etrace.plugins.distribution import Distribution
from specs.interfaces.events import EXCEPTION, INTERRUPT, TRAP_RETURN, Kind

#: Handlers that are open at once on a hart. Of firmware that leaves handlers without xRET the
#: oldest are forgotten.
_MOST_OPEN = 4096
_BAR = 40


@dataclass
class _Handler:
    """What is known of the handler of a cause; `depth` 1: entered from no other handler."""

    lengths: Distribution = field(default_factory=Distribution)
    own: int = 0
    entered: int = 0
    depth: int = 0
    latency: int | None = None

    def values(self) -> dict[str, Any]:
        lengths = self.lengths
        done = lengths.count > 0
        return {
            "count": lengths.count,
            "total": lengths.total,
            "own": self.own,
            "min": lengths.min if done else None,
            "median": lengths.median if done else None,
            "max": lengths.max if done else None,
            "depth": self.depth,
            "worst_latency": self.latency,
            "unfinished": self.entered - lengths.count,
            "histogram": [list(row) for row in lengths.histogram()],
        }


@dataclass
class _Open:
    """A handler that has not returned: since when, and how much of that nested ones took."""

    handler: _Handler
    since: int
    nested: int = 0


class Demonstrator(Demonstration):
    """`handler_time`: by cause, how long handlers took and how late they began."""

    needs = INTERRUPT | EXCEPTION | TRAP_RETURN

    def __init__(self, args: str = "") -> None:
        super().__init__(args)
        self._handlers: dict[tuple[int, Kind, int], _Handler] = defaultdict(_Handler)
        self._stacks: dict[int, deque[_Open]] = defaultdict(lambda: deque(maxlen=_MOST_OPEN))

    def seen(self, event: AnyEvent) -> None:
        """A handler begins or ends."""
        if event.kind & (INTERRUPT | EXCEPTION):
            self._enter(event)
        elif event.kind == TRAP_RETURN:
            self._leave(event)

    def paused(self, instret: int) -> None:
        """Who returned in the meantime is not known."""
        self._stacks.clear()

    def _enter(self, event: AnyEvent) -> None:
        handler = self._handlers[event.hart, event.kind, event.cause]
        stack = self._stacks[event.hart]
        stack.append(_Open(handler, event.instret))
        handler.entered += 1
        handler.depth = max(handler.depth, len(stack))
        if event.kind == INTERRUPT and event.pending_since is not None:
            handler.latency = max(handler.latency or 0, event.instret - event.pending_since)

    def _leave(self, event: AnyEvent) -> None:
        stack = self._stacks[event.hart]
        if not stack:  # start-up code enters a lower privilege level in this way
            return
        last = stack.pop()
        length = event.instret - last.since
        last.handler.lengths.add(length)
        last.handler.own += length - last.nested
        if stack:
            stack[-1].nested += length

    def _shown(self) -> list[tuple[tuple[int, Kind, int], _Handler]]:
        return [each for each in sorted(self._handlers.items()) if each[0][1] & self.kinds]

    def values(self) -> dict[str, Any]:
        """By hart, kind and cause; lengths in instructions, histogram rows low, high, count."""
        harts: dict[str, Any] = {}
        for (hart, kind, cause), handler in self._shown():
            kinds = harts.setdefault(str(hart), {})
            kinds.setdefault(kind_name(kind), {})[str(cause)] = handler.values()
        return harts

    def lines(self) -> list[str]:
        """A block a handler."""
        lines = []
        for (hart, kind, cause), handler in self._shown():
            found = handler.values()
            lines.append(f"hart {hart}, {event_name(kind, cause)}")
            for label, names in _ROWS:
                parts = [f"{name} {found[key]:,}" for name, key in names if found[key] is not None]
                if parts:
                    lines.append(f"  {label:<13} {', '.join(parts)}")
            lines += _bars(found["histogram"])
        return lines or ["no handlers"]


_ROWS = (
    ("calls", (("count", "count"), ("unfinished", "unfinished"), ("depth", "depth"))),
    (
        "instructions",
        (("total", "total"), ("own", "own"), ("min", "min"), ("median", "median"), ("max", "max")),
    ),
    ("latency", (("worst", "worst_latency"),)),
)


def _bars(histogram: list[list[int]]) -> list[str]:
    most = max((count for _, _, count in histogram), default=0)
    return [
        f"  {f'{low:,}-{high:,}':>13} {count:>9,} {'#' * -(-count * _BAR // most)}".rstrip()
        for low, high, count in histogram
    ]
