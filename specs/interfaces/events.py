"""Events: the places where a hart's flow is not what its instructions say.

Raised by a hart at the very place that takes the trap, returns from one or serves a host call;
never inferred from the program counter or from cause registers. docs/events.md is the contract.
"""

from enum import IntFlag
from typing import NamedTuple

import numpy as np


class Kind(IntFlag):
    """What happened; kinds are or'ed to choose several."""

    INTERRUPT = 1
    EXCEPTION = 2
    HOST_CALL = 4
    TRAP_RETURN = 8


INTERRUPT, EXCEPTION = Kind.INTERRUPT, Kind.EXCEPTION
HOST_CALL, TRAP_RETURN = Kind.HOST_CALL, Kind.TRAP_RETURN
ALL_KINDS = INTERRUPT | EXCEPTION | HOST_CALL | TRAP_RETURN


class Event(NamedTuple):
    """One event, as it was when the hart's state had changed; it may be kept.

    `kind`, `hart` (mhartid).
    `from_pc`: of an interrupt, the instruction that would have executed next; of an exception or a
    host call, the instruction that caused it and did not retire; of a trap return, the xRET, which
    retired. `to_pc`: the next instruction to execute.
    `cause`, `tval`: as xcause (without the interrupt bit) and xtval got them; of a host call its
    number and its parameter (a0 and a1 before the call); of a trap return 0.
    `priv_before`, `priv_after`: `specs.isa.privilege.Privilege`.
    `instret`: instructions retired so far. `time`: mtime, in ticks.
    `pending_since`: of an interrupt, the `instret` at which it became pending in mip (a store that
    raised it is counted); else equal to `instret`. The difference is the latency.
    """

    kind: Kind
    hart: int
    from_pc: int
    to_pc: int
    cause: int
    tval: int
    priv_before: int
    priv_after: int
    instret: int
    time: int
    pending_since: int


#: The same as a record: fields of 8 bytes, in the same order.
EVENT = np.dtype([(name, "<u8") for name in Event._fields])

#: Kinds by their number: an enumeration's own lookup costs more than the rest of an event.
_KINDS = {int(kind): kind for kind in (INTERRUPT, EXCEPTION, HOST_CALL, TRAP_RETURN)}


def from_words(words: list[int]) -> Event:
    """An event from an `EVENT` record's fields."""
    kind, *rest = words
    return Event(_KINDS[kind], *rest)


class TraceEvent(NamedTuple):
    """An event of a decoded trace: the fields of `Event`, None where the trace does not tell:
    addresses beside gaps and at the end, `priv_before` of a trap right behind another one, `time`
    and `pending_since`. `instret` counts from where the trace begins, without what gaps lost, and
    the ebreak of a host call too.
    """

    kind: Kind
    hart: int
    from_pc: int | None
    to_pc: int | None
    cause: int
    tval: int
    priv_before: int | None
    priv_after: int | None
    instret: int
    time: int | None = None
    pending_since: int | None = None
