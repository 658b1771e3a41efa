"""What the plugins that ship have in common: their arguments, and names of events."""

import json
from typing import Any

from etrace.analyses.events import AnyEvent, DecodedTrace, Source
from etrace.analyses.names import kinds_named
from etrace.plugins.plugin import Plugin
from specs.interfaces.events import Kind


class Demonstration(Plugin):
    """A plugin with arguments `[json][,KIND...]`: how to print, and which kinds of events.

    A subclass has `seen(event)`, `values()` for JSON and `lines()` for people.
    """

    #: Kinds that it needs, whichever it is to print.
    needs = Kind(0)

    def __init__(self, args: str = "") -> None:
        super().__init__(args)
        words = [word for word in args.split(",") if word]
        self.as_json = "json" in words
        self.kinds = kinds_named([word for word in words if word != "json"])

    def attach(self, machine: Source) -> None:
        """From now on, see its events."""
        machine.on_discontinuity(self.seen, self.kinds | self.needs)
        if isinstance(machine, DecodedTrace):
            machine.on_pause(self.paused)

    def seen(self, event: AnyEvent) -> None:
        """An event has happened."""
        raise NotImplementedError

    def paused(self, instret: int) -> None:
        """Nothing was traced for a while, after `instret` instructions of the trace."""

    def values(self) -> dict[str, Any]:
        """What was found, for JSON."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """What was found, for people."""
        raise NotImplementedError

    def report(self) -> str | None:
        """`values` as one line of JSON, or `lines`."""
        if self.as_json:
            return json.dumps(self.values(), sort_keys=True)
        return "\n".join(self.lines())
