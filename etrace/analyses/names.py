"""Names of kinds of events, as options and output have them."""

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
