"""What an encoder keeps to form packets, and the packets: E-Trace 2.0, "Instruction Trace
Encoder Output Packets", with docs/choices.md and docs/modes.md."""

from tests.model import codec
from tests.model.codec import Packet
from tests.model.predictors import BranchPredictor, JumpTargetCache, ReturnStack
from tests.model.rows import TAKEN_BRANCH, Row
from tests.model.settings import Settings
from tests.model.sink import Buffer

FULL_MAP = 31


class Sender:
    """Branches, addresses and predictions not yet sent, and the packets that were."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.p = settings.parameters
        self.modes = settings.modes
        self.resync = settings.resync
        self.packets: list[Packet] = []
        self.buffer = Buffer(settings.sink) if settings.sink else None
        #: Packets that were not sent; while `losing`, none is.
        self.dropped: list[Packet] = []
        self.losing = False
        self.packet_count = 0
        self.half_words = 0
        #: Time of the row in hand, and of that at which the last 3.0 or 3.1 was sent.
        self.time = 0
        self.synchronised_at = 0
        self.pending = False
        self.reported_address = 0
        #: Outcomes of the first 31 unreported branches; 0 is taken.
        self.branch_map: list[int] = []
        #: Unreported branches that were predicted, and whether `cur` is one that was not.
        self.predicted = 0
        self.failed = False
        self.predictor = BranchPredictor(self.p)
        self.cache = JumpTargetCache(self.p)
        self.stack = ReturnStack(self.p)
        #: Implicit returns since the last packet left the depths above the first of these, up to
        #: the second.
        self.returned: tuple[int, int] | None = None
        #: Implicit returns since the last branch, or packet if there was none since (2.1).
        self.irets = 0

    def put(self, packet: Packet) -> None:
        """Send a packet, or lose it."""
        if self.buffer is not None and not self.losing:
            self.losing = not self.buffer.put(self.length(packet))
        (self.dropped if self.losing else self.packets).append(packet)

    def length(self, packet: Packet) -> int:
        return len(codec.to_bytes(packet, self.p, self.modes))

    def send(self, packet: Packet) -> None:
        self.put(packet)
        self.packet_count += 1
        self.returned = None
        self.irets = 0

    def support(self, ienable: int, qual_status: int) -> Packet:
        fields = codec.support_fields(self.p, self.modes, self.resync.unit == "off")
        return fields | {"ienable": ienable, "qual_status": qual_status}

    def send_support(self, ienable: int, qual_status: int) -> None:
        self.send(self.support(ienable, qual_status))

    def send_context(self, cur: Row) -> None:
        """Format 3.2, of which no count and no prediction takes notice."""
        if self.p.nocontext_p and self.p.notime_p:
            return
        packet = self.synchronisation(2, cur, 0)
        del packet["branch"]
        self.put(packet)

    def shifted(self, iaddr: int) -> int:
        return iaddr % (1 << self.p.iaddress_width_p) >> self.p.iaddress_lsb_p

    # -- synchronisation ------------------------------------------------------------------------

    def synchronised(self) -> None:
        """A 3.0 or 3.1 was sent: every count starts again, and so does every prediction."""
        self.packet_count = 0
        self.half_words = 0
        self.synchronised_at = self.time
        self.pending = False
        self.forget_branches()
        self.predictor.reset()
        self.cache.reset()
        self.stack.reset()

    def synchronisation(self, subformat: int, row: Row, branch: int) -> Packet:
        packet = {
            "format": 3,
            "subformat": subformat,
            "branch": branch,
            "privilege": row.priv,
        }
        if not self.p.notime_p:
            packet["time"] = row.time % (1 << self.p.time_width_p)
        if not self.p.nocontext_p:
            packet["context"] = row.context % (1 << self.p.context_width_p)
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
        packet["ecause"] = self.ecause(trap)
        packet["interrupt"] = int(trap.interrupt)
        packet["thaddr"] = thaddr
        if not (thaddr and self.modes.implicit_exception):
            packet["address"] = self.shifted(iaddr)
        if not trap.interrupt:
            packet["tval"] = trap.tval % (1 << self.p.iaddress_width_p)
        self.send(packet)
        if thaddr:
            self.reported_address = self.shifted(iaddr)
        self.synchronised()

    def ecause(self, trap: Row) -> int:
        return trap.cause % (1 << self.p.ecause_width_p)

    def branch_bit(self, row: Row) -> int:
        return 0 if row.retired and row.itype == TAKEN_BRANCH else 1

    # -- branches -------------------------------------------------------------------------------

    def add_branch(self, cur: Row) -> None:
        taken = cur.itype == TAKEN_BRANCH
        correct = False
        if self.modes.branch_prediction:
            correct = self.predictor.predicts_taken(cur.iaddr) == taken
            self.predictor.update(cur.iaddr, taken)
        if self.predicted >= FULL_MAP:
            self.failed = not correct
        else:
            self.branch_map.append(0 if taken else 1)
        if correct:
            self.predicted += 1

    def forget_branches(self) -> None:
        self.branch_map = []
        self.predicted = 0
        self.failed = False

    @property
    def counting(self) -> bool:
        """All unreported branches were predicted, and there are enough for a count."""
        return self.predicted >= FULL_MAP

    @property
    def most_branches(self) -> bool:
        """*branch_count* has reached its maximum."""
        return self.predicted - FULL_MAP == self.settings.most_branches

    def branch_fields(self) -> Packet:
        """The start of a packet with an address, up to it."""
        if self.counting:
            return self.format_0(0) | {
                "branch_count": self.predicted - FULL_MAP,
                "branch_fmt": 3 if self.failed else 2,
            }
        if self.branch_map:
            return {"format": 1} | self.map_fields()
        return {"format": 2}

    def map_fields(self) -> Packet:
        branches = len(self.branch_map)
        if branches == 0:
            return {"branches": 0}
        bits = sum(bit << position for position, bit in enumerate(self.branch_map))
        return {"branches": branches, "branch_map": bits}

    def format_0(self, subformat: int) -> Packet:
        packet = {"format": 0}
        if self.p.f0s_width_p:
            packet["subformat"] = subformat
        return packet

    def send_branches(self) -> None:
        """Format 0.0 or 1 without address."""
        if self.counting:
            packet = self.format_0(0)
            packet |= {"branch_count": self.predicted - FULL_MAP, "branch_fmt": 0}
        else:
            packet = {"format": 1} | self.map_fields()
            packet["branches"] = 0
        self.forget_branches()
        self.send(packet)

    # -- addresses ------------------------------------------------------------------------------

    def send_address(
        self, cur: Row, notify: bool, updiscon: bool, depth: int | None = None
    ) -> None:
        """Format 0.0, 1 or 2 with the address of `cur`, which a decoder reaches by walking.

        `depth` is *irdepth* if it is to be reported; *irets* is if it is not 0.
        """
        returns = self.irets if self.p.has_irets and self.irets else depth
        self.send(self.with_address(cur, notify, updiscon, returns))
        self.sent_address(cur)

    def send_landing(self, cur: Row, updiscon: bool, irets: int) -> None:
        """The same, where `cur` is the predicted target of a return (2.1)."""
        self.send(self.with_address(cur, False, updiscon, irets))
        self.sent_address(cur)

    def send_target(self, cur: Row, updiscon: bool, depth: int | None, predicted: bool) -> None:
        """Format 0, 1 or 2 with the address of `cur`, the target of an updiscon.

        `depth` is *irdepth* or *irets* if it is to be reported. What the return stack `predicted`
        has no place in the jump target cache.
        """
        packet = self.with_address(cur, False, updiscon, depth)
        if self.modes.jump_target_cache and not predicted:
            # 0.1 has no *updiscon* bit.
            if self.cache.holds(cur.iaddr) and not self.counting and not updiscon:
                packet = self.shorter(packet, self.with_index(cur, depth))
            self.cache.update(cur.iaddr)
        self.send(packet)
        self.sent_address(cur)

    def shorter(self, with_address: Packet, with_index: Packet) -> Packet:
        if not self.settings.shorter_packet:
            return with_index
        return with_address if self.length(with_address) < self.length(with_index) else with_index

    def sent_address(self, cur: Row) -> None:
        self.reported_address = self.shifted(cur.iaddr)
        self.forget_branches()

    def with_address(self, cur: Row, notify: bool, updiscon: bool, depth: int | None) -> Packet:
        address = self.shifted(cur.iaddr)
        if not self.modes.full_address:
            address = (address - self.reported_address) % (1 << self.p.address_bits)
        packet = self.branch_fields()
        packet["address"] = address
        packet["notify"] = codec.address_msb(packet, self.p) ^ int(notify)
        packet["updiscon"] = packet["notify"] ^ int(updiscon)
        return packet | self.depth_fields(packet, depth)

    def with_index(self, cur: Row, depth: int | None) -> Packet:
        packet = self.format_0(1) | {"index": self.cache.index(cur.iaddr)} | self.map_fields()
        return packet | self.depth_fields(packet, depth)

    def depth_fields(self, packet: Packet, depth: int | None) -> Packet:
        before = codec.before_irreport(packet)
        ones = (1 << self.p.irdepth_bits) - 1
        if depth is None:
            return {"irreport": before, codec.returns_field(self.p): ones if before else 0}
        return {"irreport": 1 - before, codec.returns_field(self.p): depth & ones}
