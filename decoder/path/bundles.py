"""Arrays that travel together through the kernels of this folder.

A kernel that loops takes what it needs out of them first: a field of a tuple is not kept in a
register. What may be absent (`history`, where no mode is on that keeps one) is an argument of its
own, since only of arguments Numba sees before it infers types that they are None.
"""

from typing import Any, NamedTuple


class Path(NamedTuple):
    """The program, and where its execution path has been followed to."""

    regions: Any  # uint64, see `decoder.path.table`
    table: Any  # uint64, see `decoder.path.table`
    settings: Any  # int64, by `decoder.path.settings.Setting`
    state: Any  # int64, by `decoder.path.state.State`


class Packets(NamedTuple):
    """Packets to decode."""

    briefs: Any  # uint64, a column a `decoder.bytes.brief.Brief`
    details: Any  # uint64, a column a `specs.trace.packets.Column`
    begin: Any  # of briefs: what is decoded begins here
    end: Any
    number: Any  # of the packet briefs[0]


class Packet(NamedTuple):
    """One of them."""

    form: Any  # a `specs.trace.packets.Format`
    number: Any
    brief: Any  # its row of `briefs`
    row: Any  # its row of `details`; any row for formats that have none


class Output(NamedTuple):
    """Where the flow goes: tables of `specs.interfaces.flow` as uint64 (Numba has no padding in
    records). `runs` is flat, for it is written for each leg; of the others a row is a record."""

    runs: Any
    traps: Any
    contexts: Any
    gaps: Any
    pauses: Any
    loops: Any
    filled: Any  # int64, by `decoder.path.outputs.Filled`: how many records each of them has
    counts: Any  # int64, one a `specs.trace.packets.Format`: packets so far
