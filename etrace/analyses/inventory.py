"""What is in a trace: counts, packet mix, traps by kind, gaps."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import decoder
from etrace.analyses.events import Discontinuities
from etrace.analyses.names import event_name, kind_name
from etrace.trace.ending import says_ended
from etrace.trace.reasons import gap_text
from etrace.trace.trace import Trace
from specs.interfaces.events import EXCEPTION, INTERRUPT, TRAP_RETURN, Kind
from specs.interfaces.flow import Flow
from specs.trace.packets import FORMAT_NAMES, Column, Format, QualStatus

#: Gaps listed; the rest are only counted.
_SHOWN = 20


@dataclass
class Inventory:
    """Counts of a trace. `instructions`, `events`, `traps`, `reports`, `pauses` and `loops` are
    None where no program is at hand.

    `events` by kind, `traps` by cause; `packets` and `packet_bytes` by format name; `reports` of
    context and time, `precise` and `imprecise`; `losses`: support packets that say that packets
    were lost; `ended`: the last packet says that tracing ended; `gap_list`: the first gaps in
    words.
    """

    bytes: int = 0
    packets: dict[str, int] = field(default_factory=dict)
    packet_bytes: dict[str, int] = field(default_factory=dict)
    instructions: int | None = None
    events: dict[str, int] | None = None
    traps: dict[str, int] | None = None
    reports: dict[str, int] | None = None
    pauses: int | None = None
    loops: int | None = None
    losses: int = 0
    ended: bool = False
    gaps: int = 0
    gap_list: list[str] = field(default_factory=list)

    @property
    def bits_per_instruction(self) -> float | None:
        """Bits of the stream, framing included, for an instruction."""
        return 8 * self.bytes / self.instructions if self.instructions else None


def take_inventory(trace: Trace) -> Inventory:
    """Count what is in `trace`, in one pass. Without program memory, only what packets tell."""
    inventory = Inventory()
    reader = decoder.PacketReader(trace.configuration, offset=trace.lead_in)
    mix = _Mix()
    flows = _Flows(trace) if trace.code.programs or trace.code.images else None
    for chunk in trace.chunks():
        inventory.bytes += len(chunk)
        reader.feed(chunk)
        mix.add(reader, final=False)
        if flows is not None:
            flows.add(flows.decoder.feed(chunk))
    mix.add(reader, final=True)
    inventory.packets = dict(zip(FORMAT_NAMES, mix.counts.tolist(), strict=True))
    inventory.packet_bytes = dict(zip(FORMAT_NAMES, mix.bytes.tolist(), strict=True))
    inventory.gaps = mix.bad
    inventory.losses = mix.losses
    inventory.ended = mix.ended
    if flows is not None:
        flows.add(flows.decoder.finish())
        flows.finish()
        inventory.instructions = flows.instructions
        inventory.events, inventory.traps = flows.events()
        inventory.reports, inventory.pauses = flows.reports, flows.pauses
        inventory.loops = flows.loops
        inventory.gaps, inventory.gap_list = flows.gaps, flows.gap_list
    return inventory


def together(inventories: list[Inventory]) -> Inventory:
    """What the harts of one trace have together."""
    if len(inventories) == 1:
        return inventories[0]
    known = [vars(each) for each in inventories]
    sums: dict[str, Any] = {
        name: None if value is None else _sum([each[name] for each in known])
        for name, value in known[0].items()
    }
    sums["bytes"] = inventories[0].bytes  # of the one stream
    sums["ended"] = all(each.ended for each in inventories)
    return Inventory(**sums)


def _sum(values: list[Any]) -> Any:
    """Numbers, lists, or tables of numbers, added up."""
    if not isinstance(values[0], dict):
        return sum(values[1:], start=values[0])
    names = dict.fromkeys(name for each in values for name in each)
    return {name: sum(each.get(name, 0) for each in values) for name in names}


class _Mix:
    """Packets and their bytes by format."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(FORMAT_NAMES), np.int64)
        self.bytes = np.zeros(len(FORMAT_NAMES), np.int64)
        self.bad = 0
        self.losses = 0
        self.ended = False

    def add(self, reader: decoder.PacketReader, final: bool) -> None:
        while len(rows := reader.read(final)[1]):
            good = rows[rows[:, Column.reason] == 0]
            table = good[:, Column.table].astype(np.int64)
            lengths = good[:, Column.length].astype(np.int64)
            self.counts += np.bincount(table, minlength=len(FORMAT_NAMES))
            np.add.at(self.bytes, table, lengths)
            self.bad += len(rows) - len(good)
            support = good[table == Format.SUPPORT]
            lost = support[:, Column.qual_status] == QualStatus.trace_lost
            self.losses += int(np.count_nonzero(lost))
            self.ended = says_ended(rows[-1])


class _Flows:
    """Instructions, traps, reports, pauses, loops and gaps of the decoded flow."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.decoder = decoder.Decoder(trace.configuration, trace.code.map, offset=trace.lead_in)
        self.instructions = 0
        self.gaps = 0
        self.gap_list: list[str] = []
        self.reports = {"precise": 0, "imprecise": 0}
        self.pauses = 0
        self.loops = 0
        self._discontinuities = Discontinuities(trace.code.map)
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, flows: Iterable[Flow]) -> None:
        for flow in flows:
            self.instructions += flow.instructions
            self._count(self._discontinuities.add(flow))
            shown = max(0, _SHOWN - len(self.gap_list))
            self.gap_list += [gap_text(gap) for gap in flow.gaps[:shown]]
            self.gaps += len(flow.gaps) - self._trace.edges(flow)
            self.pauses += len(flow.pauses)
            self.loops += len(flow.loops)
            precise = int(np.count_nonzero(flow.contexts["precise"]))
            self.reports["precise"] += precise
            self.reports["imprecise"] += len(flow.contexts) - precise

    def finish(self) -> None:
        self._count(self._discontinuities.finish())

    def events(self) -> tuple[dict[str, int], dict[str, int]]:
        """Counts by kind, and of traps by cause."""
        kinds = {kind_name(kind): 0 for kind in (INTERRUPT, EXCEPTION, TRAP_RETURN)}
        traps = {}
        # Exceptions first, then interrupts, by cause.
        for (kind, cause), count in sorted(
            self._counts.items(), key=lambda each: (-each[0][0], each[0][1])
        ):
            kinds[kind_name(Kind(kind))] += count
            if kind != TRAP_RETURN:
                traps[event_name(Kind(kind), cause)] = count
        return kinds, traps

    def _count(self, table: npt.NDArray[np.void]) -> None:
        self._counts.update(zip(table["kind"].tolist(), table["cause"].tolist(), strict=True))
