"""A line an event."""

import json

from etrace.analyses.events import AnyEvent
from etrace.analyses.names import event_name, kind_name
from etrace.plugins.demonstration import Demonstration
from specs.interfaces.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN
from specs.isa.privilege import letters


def _address(value: int | None) -> str:
    return "?" if value is None else f"{value:#x}"


def _level(value: int | None) -> str:
    return "?" if value is None else letters(value)


class Demonstrator(Demonstration):
    """`trace_all`: every event as it happens, as text or as a JSON object a line."""

    def seen(self, event: AnyEvent) -> None:
        """Print it."""
        self.write(self._json(event) if self.as_json else self._text(event))

    def paused(self, instret: int) -> None:
        """Say so."""
        if self.as_json:
            self.write(json.dumps({"kind": "pause", "instret": instret}) + "\n")
        else:
            self.write(f"{instret:>12} -- not traced here\n")

    def report(self) -> str | None:
        """Nothing: all has been said."""
        return None

    def _text(self, event: AnyEvent) -> str:
        before, after = _level(event.priv_before), _level(event.priv_after)
        levels = before if before == after else f"{before}->{after}"
        text = (
            f"{event.instret:>12} hart {event.hart} {event_name(event.kind, event.cause)}: "
            f"{_address(event.from_pc)} -> {_address(event.to_pc)} {levels}"
        )
        if event.kind == EXCEPTION:
            text += f", tval {event.tval:#x}"
        elif event.kind == HOST_CALL:
            text += f", parameter {event.tval:#x}"
        elif event.kind == INTERRUPT and event.pending_since is not None:
            text += f", pending for {event.instret - event.pending_since}"
        return text + "\n"

    def _json(self, event: AnyEvent) -> str:
        values = {
            "kind": kind_name(event.kind),
            "hart": event.hart,
            "instret": event.instret,
            "from_pc": None if event.from_pc is None else f"{event.from_pc:#x}",
            "to_pc": None if event.to_pc is None else f"{event.to_pc:#x}",
            "cause": None if event.kind == TRAP_RETURN else event.cause,
            "tval": f"{event.tval:#x}" if event.kind in (EXCEPTION, HOST_CALL) else None,
            "priv_before": None if event.priv_before is None else letters(event.priv_before),
            "priv_after": None if event.priv_after is None else letters(event.priv_after),
            "time": event.time,
            "pending_since": event.pending_since if event.kind == INTERRUPT else None,
        }
        return json.dumps(values) + "\n"
