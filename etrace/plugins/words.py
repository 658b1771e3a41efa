"""What the plugins that ship have in common: their arguments, and names of events."""

import json
from typing import Any

from etrace.analyses.events import AnyEvent, DecodedTrace, Source
from etrace.plugins.plugin import Plugin
from specs.interfaces.events import ALL_KINDS, HOST_CALL, INTERRUPT, TRAP_RETURN, Kind
from specs.isa.causes import cause_name

#: Kinds as options and output call them.
KINDS = {str(kind.name).lower(): kind for kind in Kind}
_NAMES = {kind: name for name, kind in KINDS.items()}


def kinds_named(names: list[str]) -> Kind:
    """The kinds of these names, all of them for none; raises ValueError."""
    chosen = Kind(0)
    for name in names:
        if name not in KINDS:
            raise ValueError(f"{name!r} is none of: {', '.join(['json', *KINDS])}")
        chosen |= KINDS[name]
    return chosen or ALL_KINDS


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


def kind_name(kind: Kind) -> str:
    """`interrupt`, `exception`, `host_call`, `trap_return`."""
    return _NAMES[kind]


def event_name(kind: Kind, cause: int) -> str:
    """`interrupt 7 (machine timer interrupt)`, `host_call 5`, `trap_return`."""
    if kind == TRAP_RETURN:
        return kind_name(kind)
    if kind == HOST_CALL:
        return f"{kind_name(kind)} {cause}"
    return f"{kind_name(kind)} {cause} ({cause_name(cause, kind == INTERRUPT)})"
