"""The encoder's flow chart, walked one row at a time.

E-Trace 2.0, "Reference Compressed Branch Trace Algorithm", with docs/choices.md where that leaves
something open. Numbers of checks are those of choices.md, "The row before a trap".
"""

from dataclasses import dataclass

from tests.model import codec
from tests.model.codec import Packet
from tests.model.rows import Row
from tests.model.settings import Settings

UPDISCONS = (3, 6, 8, 10, 12, 13, 14)
NO_CHANGE, ENDED_REP, ENDED_NTR = 0, 1, 3
FULL_MAP = 31
MAX_SEGMENTS = 64


@dataclass(frozen=True)
class Segment:
    """Instructions retired one after the other in memory, by first and last address."""

    first: int
    last: int

    def holds(self, iaddr: int) -> bool:
        return self.first <= iaddr <= self.last


class Encoder:
    """Encodes one trace; use `encode`."""

    def __init__(self, rows: list[Row], settings: Settings) -> None:
        modes = settings.modes
        if modes.implicit_return or modes.implicit_exception or modes.sijump:
            raise NotImplementedError("only the full address mode is modelled")
        if modes.jump_target_cache or modes.branch_prediction:
            raise NotImplementedError("only the full address mode is modelled")
        if any(row.ctype for row in rows):
            raise NotImplementedError("context reporting (ctype) is not modelled")
        self.rows = rows
        self.p = settings.parameters
        self.modes = modes
        self.resync = settings.resync
        self.packets: list[Packet] = []
        self.branch_map: list[int] = []
        self.reported_address = 0
        self.packet_count = 0
        self.half_words = 0
        self.pending = False
        self.own_row = False
        self.segments: list[Segment] = []
        self.last_check = 0

    # -- what the encoder sees of a row ---------------------------------------------------------

    def itype(self, row: Row) -> int:
        if self.p.itype_width_p == 3:
            if row.itype in (8, 10, 12, 13, 14):
                return 6
            if row.itype in (9, 11, 15):
                return 0
        return row.itype

    def is_branch(self, row: Row) -> bool:
        return row.retired and self.itype(row) in (4, 5)

    def is_updiscon(self, row: Row) -> bool:
        return row.retired and self.itype(row) in UPDISCONS

    # -- packets --------------------------------------------------------------------------------

    def send(self, packet: Packet) -> None:
        self.packets.append(packet)
        self.packet_count += 1

    def send_support(self, ienable: int, qual_status: int) -> None:
        self.send(
            {
                "format": 3,
                "subformat": 3,
                "ienable": ienable,
                "encoder_mode": 0,
                "qual_status": qual_status,
                "ioptions": self.modes.ioptions,
                "denable": 0,
                "dloss": 0,
                "doptions": 0,
            }
        )

    def shifted(self, iaddr: int) -> int:
        return iaddr % (1 << self.p.iaddress_width_p) >> self.p.iaddress_lsb_p

    def synchronised(self) -> None:
        """A 3.0 or 3.1 was sent: every count starts again."""
        self.packet_count = 0
        self.half_words = 0
        self.pending = False
        self.branch_map = []

    def synchronisation(self, subformat: int, row: Row, branch: int) -> Packet:
        packet = {
            "format": 3,
            "subformat": subformat,
            "branch": branch,
            "privilege": row.priv,
        }
        if not self.p.notime_p:
            packet["time"] = row.time
        if not self.p.nocontext_p:
            packet["context"] = row.context
        return packet

    def send_start(self, cur: Row) -> None:
        """Format 3.0."""
        packet = self.synchronisation(0, cur, self.branch_bit(cur))
        packet["address"] = self.shifted(cur.iaddr)
        self.send(packet)
        self.reported_address = self.shifted(cur.iaddr)
        self.synchronised()

    def send_trap(self, trap: Row, thaddr: int, row: Row, iaddr: int) -> None:
        """Format 3.1 about `trap`; privilege, context and time are those of `row`."""
        packet = self.synchronisation(1, row, self.branch_bit(row) if thaddr else 1)
        packet["ecause"] = trap.cause % (1 << self.p.ecause_width_p)
        packet["interrupt"] = int(trap.interrupt)
        packet["thaddr"] = thaddr
        packet["address"] = self.shifted(iaddr)
        if not trap.interrupt:
            packet["tval"] = trap.tval % (1 << self.p.iaddress_width_p)
        self.send(packet)
        if thaddr:
            self.reported_address = self.shifted(iaddr)
        self.synchronised()

    def branch_bit(self, row: Row) -> int:
        return 0 if row.retired and row.itype == 5 else 1

    def send_address(self, cur: Row, notify: bool, updiscon: bool) -> None:
        """Format 1 or 2 with the address of `cur`."""
        address = self.shifted(cur.iaddr)
        if self.modes.full_address:
            reported = address
        else:
            reported = (address - self.reported_address) % (1 << self.p.address_bits)
        self.reported_address = address
        packet = self.branches()
        packet["address"] = reported
        packet["notify"] = codec.address_msb(packet, self.p) ^ int(notify)
        packet["updiscon"] = packet["notify"] ^ int(updiscon)
        packet["irreport"] = packet["updiscon"]
        depth = (1 << self.p.irdepth_bits) - 1
        packet["irdepth"] = depth if packet["irreport"] else 0
        self.send(packet)

    def branches(self) -> Packet:
        """The start of a format 1 or 2, which empties the branch map."""
        if not self.branch_map:
            return {"format": 2}
        packet = {
            "format": 1,
            "branches": len(self.branch_map),
            "branch_map": sum(bit << position for position, bit in enumerate(self.branch_map)),
        }
        self.branch_map = []
        return packet

    # -- the flow chart -------------------------------------------------------------------------

    def run(self) -> None:
        self.send_support(1, NO_CHANGE)
        for index, cur in enumerate(self.rows):
            prev = self.rows[index - 1] if index > 0 else None
            next_ = self.rows[index + 1] if index + 1 < len(self.rows) else None
            if cur.retired:
                self.instruction(prev, cur, next_)
            else:
                self.trap(prev, cur)
        if self.rows and not self.rows[-1].retired and not self.own_row:
            self.send_trap(self.rows[-1], 0, self.rows[-1], 0)
        self.send_support(0, ENDED_NTR if self.last_check == 3 else ENDED_REP)

    def trap(self, prev: Row | None, cur: Row) -> None:
        self.last_check = 0
        self.segments = []
        if prev is not None and not prev.retired and not self.own_row:
            self.send_trap(prev, 0, prev, cur.iaddr)
            return
        self.own_row = (
            prev is None or not prev.retired or self.is_updiscon(prev) or prev.priv != cur.priv
        )
        if self.own_row:
            self.send_trap(cur, 0, cur, cur.iaddr)

    def instruction(self, prev: Row | None, cur: Row, next_: Row | None) -> None:
        if self.is_branch(cur):
            self.branch_map.append(0 if cur.itype == 5 else 1)
        v = self.segments_with(prev, cur)
        self.last_check = self.checks(prev, cur, next_, v)
        anchor = self.last_check != 0 or self.is_branch(cur) or self.is_updiscon(cur)
        self.segments = [] if anchor else v
        self.own_row = False

    def segments_with(self, prev: Row | None, cur: Row) -> list[Segment]:
        """V with `cur`."""
        if self.segments and prev is not None and prev.iaddr + prev.size == cur.iaddr:
            return [*self.segments[:-1], Segment(self.segments[-1].first, cur.iaddr)]
        return [*self.segments, Segment(cur.iaddr, cur.iaddr)]

    def checks(self, prev: Row | None, cur: Row, next_: Row | None, v: list[Segment]) -> int:
        """Send what `cur` calls for; the number of the check that applied, or 0."""
        if prev is not None and not prev.retired:
            if self.own_row:
                self.send_start(cur)
            else:
                self.send_trap(prev, 1, cur, cur.iaddr)
            return 1
        if prev is None or prev.priv != cur.priv or self.due(self.packet_count):
            self.send_start(cur)
            return 2
        self.count_half_words(cur)
        if self.is_updiscon(prev):
            self.send_address(cur, False, self.format_3_follows(cur, next_))
            return 3
        loop = self.loops(cur, next_, v)
        if self.wants_branches_out(next_, v) or cur.notify or loop:
            self.send_found(cur, cur.notify or loop, v)
            return 4
        if (
            next_ is None
            or not next_.retired
            or (next_.priv != cur.priv and len(self.branch_map) > 0)
        ):
            self.send_found(cur, False, v)
            return 5
        if len(self.branch_map) == FULL_MAP:
            packet = self.branches()
            packet["branches"] = 0
            self.send(packet)
            return 6
        return 0

    def send_found(self, cur: Row, notify: bool, v: list[Segment]) -> None:
        """An address that a decoder finds by walking: twice if it would find it a round early."""
        if any(segment.holds(cur.iaddr) for segment in v[:-1]):
            self.send_address(cur, True, False)
        self.send_address(cur, notify, False)

    def format_3_follows(self, cur: Row, next_: Row | None) -> bool:
        if next_ is None:
            return False
        return not next_.retired or next_.priv != cur.priv or self.due(self.packet_count + 1)

    # -- resynchronisation ----------------------------------------------------------------------

    def due(self, packet_count: int) -> bool:
        if self.resync.unit == "packets":
            return packet_count > self.resync.period
        return self.pending

    def count_half_words(self, cur: Row) -> None:
        self.half_words += cur.size // 2
        if self.resync.unit == "instructions" and self.itype(cur) != 0:
            self.pending = self.half_words >= self.resync.period

    def wants_branches_out(self, next_: Row | None, v: list[Segment]) -> bool:
        if self.resync.unit == "packets":
            return self.packet_count == self.resync.period and len(self.branch_map) > 0
        if not self.pending:
            return False
        if self.branch_map:
            return True
        return next_ is not None and next_.retired and any(s.holds(next_.iaddr) for s in v)

    # -- loops that no packet shows -------------------------------------------------------------

    def loops(self, cur: Row, next_: Row | None, v: list[Segment]) -> bool:
        if self.is_branch(cur) or self.is_updiscon(cur):
            return False
        if next_ is None or not next_.retired or next_.iaddr == cur.iaddr + cur.size:
            return False
        return len(v) >= MAX_SEGMENTS or any(segment.holds(next_.iaddr) for segment in v)


def encode(rows: list[Row], settings: Settings) -> list[Packet]:
    """The packets of a whole trace, support packets included."""
    encoder = Encoder(rows, settings)
    encoder.run()
    return encoder.packets


def encode_bytes(rows: list[Row], settings: Settings) -> list[bytes]:
    """The payloads of a whole trace."""
    return [
        codec.to_bytes(packet, settings.parameters, settings.modes)
        for packet in encode(rows, settings)
    ]
