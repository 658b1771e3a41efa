"""The encoder's flow chart, walked one row at a time.

E-Trace 2.0, "Reference Compressed Branch Trace Algorithm", with docs/choices.md, docs/modes.md and
docs/qualification.md where that leaves something open. Numbers of checks are those of choices.md,
"The row before a trap".
"""

from collections import Counter
from dataclasses import dataclass, replace

from tests.model import codec
from tests.model.codec import Packet
from tests.model.rows import (
    IMPRECISELY,
    INFERABLE_CALL,
    PRECISELY,
    RETURN,
    TRAP_RETURN,
    UNINFERABLE_CALL,
    Row,
    Trapped,
)
from tests.model.sender import FULL_MAP, Sender
from tests.model.settings import Settings

UPDISCONS = (3, 6, 8, 10, 12, 13, 14)
#: Of others *sijump* says nothing. (Of returns, 13, it does: docs/modes.md.)
MAY_BE_SEQUENTIAL = (6, 8, 10, 12, 13, 14)
#: What the reference flow reports an xRET as, besides the specification's 3.
OTHER_JUMP, NARROW_JUMP = 14, 6
NO_CHANGE, ENDED_REP, TRACE_LOST, ENDED_NTR = range(4)
MAX_SEGMENTS = 64
MAX_IRETS = 255
TIMES = 1 << 64


@dataclass(frozen=True)
class Segment:
    """Instructions retired one after the other in memory, by first and last address, with
    `returns` implicit returns before them, counted from anywhere, and calls less implicit returns
    as `level`."""

    first: int
    last: int
    returns: int
    level: int

    def holds(self, iaddr: int) -> bool:
        return self.first <= iaddr <= self.last


@dataclass
class Stretch:
    """Rows traced without a gap, by number, from `first` to before `end`.

    `lost`: packets of the last row, or behind it, were lost, but a decoder knows the rows before
    `known`. `after_loss`: packets were lost since the stretch before. `trap`: what the packets say
    of the trap directly before `first`, which was not traced, if they say anything.
    """

    first: int
    end: int
    known: int
    after_loss: bool
    lost: bool = False
    trap: Trapped | None = None


class Encoder(Sender):
    """Encodes one trace; use `encode`.

    `added` counts the packets that only implicit returns and sequentially inferable jumps call
    for, by the rule of docs/modes.md.
    """

    def __init__(self, rows: list[Row], settings: Settings) -> None:
        super().__init__(settings)
        if any(row.ctype >> settings.parameters.ctype_width_p for row in rows):
            raise ValueError("a ctype does not fit in ctype_width_p bits")
        self.rows = rows
        self.stretches: list[Stretch] = []
        #: Packets sent when the last stretch began; whether some were lost since it ended.
        self.stretch_packets = 0
        self.after_loss = False
        #: The row directly before, if it is a trap that was not traced.
        self.untraced_trap: Row | None = None
        #: Implicit returns in the whole trace; calls less those.
        self.all_returns = 0
        self.level = 0
        self.exact_loops = settings.exact_loops
        self.exact_visits = settings.exact_visits
        #: Whether V can matter: for an address, or for a 3.0 that no packet precedes.
        self.keeps_segments = self.exact_loops or (
            self.exact_visits
            and (
                self.modes.implicit_return
                or self.resync.unit in ("instructions", "cycles")
                or self.p.ctype_width_p > 1
            )
        )
        self.added: Counter[str] = Counter()
        self.start_stretch()

    def start_stretch(self) -> None:
        """Nothing before the next row is known to a decoder."""
        self.prev: Row | None = None
        self.next: Row | None = None
        self.own_row = False
        self.segments: list[Segment] = []
        #: Execution runs in circles since the last anchor, so that V says nothing.
        self.circling = False
        self.last_check = 0
        #: Whether there was a return since the last call and the last branch.
        self.returned_lately = False
        #: What the row before was: an updiscon; an implicit return; a return that went elsewhere
        #: than predicted; or one that did not.
        self.after_updiscon = False
        self.after_implicit = False
        self.after_mispredicted = False
        self.after_predicted = False
        #: *irdepth* or *irets*, where the row before was a return that calls for one.
        self.after_returns: int | None = None

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

    def is_sequential(self, prev: Row | None, cur: Row) -> bool:
        """Whether `cur` is a sequentially inferable jump, and what it takes was traced."""
        jump = cur.sijump and cur.itype in MAY_BE_SEQUENTIAL
        return self.modes.sijump and jump and prev is not None and prev.retired

    def prediction(self, cur: Row) -> int | None:
        """Where `cur` goes if it is a return with a call before it, and an instruction follows."""
        if self.next is None or not self.next.retired or not self.modes.implicit_return:
            return None
        if self.itype(cur) != RETURN or self.is_sequential(self.prev, cur):
            return None
        return self.stack.top

    def is_predicted(self, cur: Row) -> bool:
        return self.next is not None and self.prediction(cur) == self.next.iaddr

    def is_implicit_return(self, cur: Row) -> bool:
        return self.is_predicted(cur) and self.irets < MAX_IRETS

    def is_mispredicted(self, cur: Row) -> bool:
        return self.prediction(cur) is not None and not self.is_predicted(cur)

    def is_updiscon(self, cur: Row) -> bool:
        """Whether the target of `cur` has to be reported. That of a jump before a trap has."""
        if not cur.retired or self.itype(cur) not in UPDISCONS:
            return False
        if self.is_sequential(self.prev, cur) and self.next is not None and self.next.retired:
            return False
        return not self.is_implicit_return(cur)

    # -- the flow chart -------------------------------------------------------------------------

    def run(self) -> None:
        self.send_support(1, NO_CHANGE)
        for index, cur in enumerate(self.rows):
            traced = cur.qualified and not self.losing
            if cur.qualified:
                if self.losing:
                    self.resume(cur)
                else:
                    self.trace(index, cur)
                self.pass_time(cur)
            self.untraced_trap = None if traced or cur.retired else cur
        if not self.losing:
            self.end_trace()
        if self.losing:
            self.packets.append(self.support(0, TRACE_LOST))

    def trace(self, index: int, cur: Row) -> None:
        """All that `cur` sends, and what ends its stretch if it does."""
        following = self.rows[index + 1] if index + 1 < len(self.rows) else None
        continues = following is not None and following.qualified and not following.restarts
        if following is not None and self.is_entered(cur, following):
            continues = False
        self.next = following if continues else None
        self.row(index, cur)
        if self.next is None and following is not None and not self.losing:
            self.end_stretch(1)
        if self.losing:
            self.break_stretch()

    def is_entered(self, cur: Row, following: Row) -> bool:
        """Whether another privilege level begins at `following` though nothing in `cur` leads
        there: debug mode."""
        changes = cur.retired and following.retired and cur.priv != following.priv
        xret = cur.itype in (TRAP_RETURN, OTHER_JUMP)
        return changes and not xret and not (self.p.itype_width_p == 3 and cur.itype == NARROW_JUMP)

    def end_trace(self) -> None:
        self.end_stretch(0)
        if self.losing:
            self.break_stretch()

    def resume(self, cur: Row) -> None:
        """Stop losing packets if `cur` finds room for them; its own are lost."""
        assert self.buffer is not None
        support = self.support(1, TRACE_LOST)
        if self.itype(cur) != 0 and self.buffer.resumes(self.length(support)):
            self.losing = False
            self.after_loss = True
            self.send(support)

    def pass_time(self, cur: Row) -> None:
        """What the buffer does after `cur`."""
        if self.buffer is None:
            return
        self.buffer.drain(cur.size // 2 if cur.retired else 0)
        if self.itype(cur) != 0:
            self.buffer.vary()

    def break_stretch(self) -> None:
        """A packet was lost: what a decoder knows of the stretch ends before it."""
        if self.stretches:
            self.stretches[-1].lost = True
            if len(self.packets) == self.stretch_packets:
                del self.stretches[-1]
        self.start_stretch()

    def row(self, index: int, cur: Row) -> None:
        if self.prev is None:
            self.stretches.append(Stretch(index, index, index, self.after_loss))
            self.stretch_packets = len(self.packets)
            self.after_loss = False
        stretch = self.stretches[-1]
        stretch.end = index + 1
        self.time = cur.time
        if cur.retired:
            self.instruction(cur)
        else:
            self.trap(cur)
        if self.last_check in (1, 2) and not self.losing:
            stretch.known = stretch.end
        self.prev = cur

    def end_stretch(self, ienable: int) -> None:
        """The row before, if any, was the last before a gap or the end of the trace."""
        if self.prev is not None and not self.prev.retired and not self.own_row:
            self.send_trap(self.prev, 0, self.prev, 0)
        self.send_support(ienable, ENDED_NTR if self.last_check == 3 else ENDED_REP)
        self.start_stretch()

    def trap(self, cur: Row) -> None:
        prev = self.prev
        self.last_check = 0
        self.segments = []
        self.circling = False
        if prev is not None and not prev.retired and not self.own_row:
            self.send_trap(prev, 0, prev, cur.iaddr)
            return
        self.own_row = (
            prev is None or not prev.retired or self.after_updiscon or prev.priv != cur.priv
        )
        if self.own_row:
            self.send_trap(cur, 0, cur, cur.iaddr)

    def instruction(self, cur: Row) -> None:
        if self.is_branch(cur):
            self.add_branch(cur)
        v = self.segments_with(cur)
        self.last_check = self.checks(cur, v)
        if cur.ctype == IMPRECISELY and self.last_check not in (1, 2):
            self.send_context(cur)
        self.cut_stretch(cur)
        # Only now: a synchronisation packet has emptied the return stack.
        self.after_updiscon = self.is_updiscon(cur)
        anchor = self.last_check != 0 or self.is_branch(cur) or self.after_updiscon
        self.circling = self.circling and not anchor
        self.segments = [] if anchor or self.circling else v
        self.own_row = False
        self.follow_calls(cur)

    def follow_calls(self, cur: Row) -> None:
        """What `cur` does to the return stack."""
        self.after_implicit = self.is_implicit_return(cur)
        self.after_mispredicted = self.is_mispredicted(cur)
        self.after_predicted = self.is_predicted(cur)
        self.after_returns = self.returns_to_report(cur)
        depth = self.stack.depth
        if self.is_branch(cur) or self.itype(cur) in (UNINFERABLE_CALL, INFERABLE_CALL):
            self.returned_lately = False
        elif self.itype(cur) == RETURN and not self.is_sequential(self.prev, cur):
            self.returned_lately = True
        if self.is_branch(cur):
            self.irets = 0
        if self.after_implicit:
            lowest, highest = self.returned or (depth, depth)
            self.returned = (min(lowest, depth - 1), max(highest, depth))
            self.irets += int(self.p.has_irets)
            self.all_returns += 1
            self.level -= 1
        if self.after_implicit or (self.p.has_irets and self.prediction(cur) is not None):
            self.stack.pop()
        elif self.modes.implicit_return and self.itype(cur) in (UNINFERABLE_CALL, INFERABLE_CALL):
            self.stack.push((cur.iaddr + cur.size) % (1 << self.p.iaddress_width_p))
            self.level += 1

    def returns_to_report(self, cur: Row) -> int | None:
        """*irdepth* or *irets* of the packet for the target of `cur`, if it has to be there."""
        if not self.p.has_irets:
            return self.stack.depth if self.is_mispredicted(cur) else None
        if not self.modes.implicit_return or self.itype(cur) != RETURN:
            return None
        if self.is_sequential(self.prev, cur) or self.is_implicit_return(cur):
            return None
        return self.irets if self.irets > 0 or self.is_mispredicted(cur) else None

    def segments_with(self, cur: Row) -> list[Segment]:
        """V with `cur`; nothing where it is not needed."""
        if self.circling or not self.keeps_segments:
            return []
        prev = self.prev
        last = self.segments[-1] if self.segments else None
        if (
            last is not None
            and prev is not None
            and prev.iaddr + prev.size == cur.iaddr
            and last.returns == self.all_returns
        ):
            return [*self.segments[:-1], replace(last, last=cur.iaddr)]
        return [*self.segments, Segment(cur.iaddr, cur.iaddr, self.all_returns, self.level)]

    def checks(self, cur: Row, v: list[Segment]) -> int:
        """Send what `cur` calls for; the number of the check that applied, or 0."""
        prev, next_ = self.prev, self.next
        if prev is not None and not prev.retired:
            self.handler(prev, cur)
            return 1
        if prev is None and self.untraced_trap is not None and not cur.restarts:
            self.handler_alone(self.untraced_trap, cur)
            return 1
        late = prev is not None and not self.can_synchronise(prev, cur)
        ppccd = prev is None or self.is_ppccd(prev, cur)
        if ppccd or (self.due(self.packet_count) and not late):
            self.send_start(cur)
            return 2
        self.cut_stretch(cur)
        next_ = self.next
        late = self.due(self.packet_count)
        self.count_half_words(cur)
        if self.after_updiscon:
            updiscon = self.format_3_follows(cur)
            depth = self.after_returns
            if depth is None:
                depth = self.depth_before_format_3(cur)
            self.send_target(cur, updiscon, depth, self.after_predicted)
            return 3
        if self.begins_circle(cur, v):
            self.circling = True
            v = []
        unseen = self.reason_to_stop(cur, v) or ("resynchronisation waits" if late else None)
        resync = self.wants_branches_out(cur, v)
        if resync and not self.synchronises_next(cur):
            unseen = unseen or "resynchronisation will wait"
        if resync or cur.notify or unseen:
            if unseen and not cur.notify:
                self.added[unseen] += 1
            self.send_found(cur, cur.notify or unseen is not None, v)
            return 4
        if (
            next_ is None
            or not next_.retired
            or (self.is_ppccd(cur, next_) and len(self.branch_map) > 0)
            or (next_.ctype == PRECISELY and self.takes_earlier_visit(cur, v))
        ):
            self.send_found(cur, False, v)
            return 5
        if self.most_branches:
            if not self.sent_landing(cur):
                self.send_address(cur, False, False)
            return 6
        if self.failed or (len(self.branch_map) == FULL_MAP and not self.counting):
            self.send_branches()
            return 6
        return 0

    def is_ppccd(self, prev: Row, cur: Row) -> bool:
        """Whether `cur`, retired, has to be reported with its privilege and context."""
        return prev.priv != cur.priv or cur.ctype == PRECISELY

    def cut_stretch(self, cur: Row) -> None:
        """Make a gap before a precise context change at a row that 3.0 cannot report."""
        next_ = self.next
        precise = next_ is not None and next_.retired and next_.ctype == PRECISELY
        if precise and not self.synchronises_next(cur):
            self.next = None

    def handler(self, trap: Row, cur: Row) -> None:
        """The first row after a trap."""
        if self.own_row:
            self.send_start(cur)
            return
        if self.infers_handler(trap, cur):
            self.send_trap(trap, 1, cur, cur.iaddr)
        else:
            self.send_trap(trap, 0, trap, cur.iaddr)
            self.send_start(cur)

    def handler_alone(self, trap: Row, cur: Row) -> None:
        """The first row of a stretch, directly after a trap that was not traced.

        The first packet of a stretch with thaddr 0 has the EPC ("an exception occurring on the
        1st traced instruction"), so where a decoder cannot infer the handler's address, the trap
        is reported as one at its own row.
        """
        epc: int | None = None
        priv: int | None = None
        if self.infers_handler(trap, cur):
            self.send_trap(trap, 1, cur, cur.iaddr)
        else:
            epc, priv = trap.iaddr, trap.priv
            self.send_trap(trap, 0, trap, trap.iaddr)
            self.send_start(cur)
        told = Trapped(trap.cause, trap.interrupt, trap.tval, epc, priv)
        self.stretches[-1].trap = told

    def infers_handler(self, trap: Row, cur: Row) -> bool:
        """Whether a 3.1 with thaddr 1 tells where the handler is."""
        if not self.modes.implicit_exception:
            return True
        handler = self.settings.handler(cur.priv, trap.interrupt, self.ecause(trap))
        return handler == cur.iaddr

    def send_found(self, cur: Row, notify: bool, v: list[Segment]) -> None:
        """An address that a decoder finds by walking: once more for each visit that it was.

        The pseudo-code does not stop behind a jump through a register without notify.
        """
        if self.sent_landing(cur):
            return
        if self.exact_visits and self.prev is not None and self.itype(self.prev) in UPDISCONS:
            notify = True
        for segment in v[:-1]:
            if segment.returns == v[-1].returns:
                told = self.exact_loops
            else:
                told = self.exact_visits and not self.p.has_irets
            if segment.holds(cur.iaddr) and told:
                self.added["an earlier visit"] += 1
                self.send_address(cur, True, False)
        self.send_address(cur, notify, False, self.depth_before_format_3(cur))

    def sent_landing(self, cur: Row) -> bool:
        """Report the target of an implicit return as if that were an updiscon (2.1)."""
        if not self.after_implicit or not self.p.has_irets:
            return False
        updiscon = self.next is None or self.format_3_follows(cur)
        self.send_landing(cur, updiscon, self.irets - 1)
        return True

    def depth_before_format_3(self, cur: Row) -> int | None:
        """*irdepth* of a row before a trap, privilege change or resynchronisation, by the letter
        of "Format 2 irreport and irdepth": the two cases in which a decoder needs it."""
        if self.exact_visits or self.p.has_irets or not self.modes.implicit_return:
            return None
        if not self.format_3_follows(cur) or self.is_branch(cur) or not self.returned_lately:
            return None
        return self.stack.depth or None

    def format_3_follows(self, cur: Row) -> bool:
        if self.next is None:
            return False
        if not self.next.retired or self.is_ppccd(cur, self.next):
            return True
        return self.due(self.packet_count + 1) and self.synchronises_next(cur)

    # -- resynchronisation ----------------------------------------------------------------------

    def due(self, packet_count: int) -> bool:
        if self.resync.unit == "packets":
            return packet_count > self.resync.period
        return self.pending

    def can_synchronise(self, prev: Row, cur: Row) -> bool:
        """Whether 3.0 can report `cur`: not if it is reached by a mispredicted return, or is a
        jump whose target only the row before tells."""
        if not self.exact_visits:
            return True
        return not self.after_mispredicted and not self.is_sequential(prev, cur)

    def synchronises_next(self, cur: Row) -> bool:
        """`can_synchronise` of the next row, if it is an instruction."""
        if self.next is None or not self.next.retired or not self.exact_visits:
            return True
        return not self.is_mispredicted(cur) and not self.is_sequential(cur, self.next)

    def count_half_words(self, cur: Row) -> None:
        self.half_words += cur.size // 2
        if self.itype(cur) == 0:
            return
        if self.resync.unit == "instructions":
            self.pending = self.half_words >= self.resync.period
        elif self.resync.unit == "cycles":
            elapsed = (self.time - self.synchronised_at) % TIMES
            self.pending = self.pending or elapsed >= self.resync.period

    def wants_branches_out(self, cur: Row, v: list[Segment]) -> bool:
        if self.resync.unit == "packets":
            return self.packet_count == self.resync.period and len(self.branch_map) > 0
        if not self.pending:
            return False
        return len(self.branch_map) > 0 or self.takes_earlier_visit(cur, v)

    # -- what no packet would show --------------------------------------------------------------

    def next_was_seen(self, v: list[Segment]) -> bool:
        next_ = self.next
        return next_ is not None and next_.retired and any(s.holds(next_.iaddr) for s in v)

    def takes_earlier_visit(self, cur: Row, v: list[Segment]) -> bool:
        """Whether a decoder would take a visit in V for a 3.0 that is the next row's."""
        if self.exact_loops or self.is_updiscon(cur):
            return self.next_was_seen(v)
        now = self.all_returns + int(self.is_implicit_return(cur))
        return self.next_was_seen([segment for segment in v if segment.returns != now])

    def begins_circle(self, cur: Row, v: list[Segment]) -> bool:
        """Whether `cur` jumps back to where execution was as deep in calls, and has not been
        further out since: from then on each round is like the last."""
        next_ = self.next
        if (
            self.exact_loops
            or not v
            or next_ is None
            or not next_.retired
            or len(v) >= MAX_SEGMENTS
        ):
            return False
        if next_.iaddr == cur.iaddr + cur.size or self.is_branch(cur) or self.is_updiscon(cur):
            return False
        if self.is_implicit_return(cur) or self.is_mispredicted(cur):
            return False
        level = self.level + int(self.itype(cur) in (UNINFERABLE_CALL, INFERABLE_CALL))
        levels = [segment.level for segment in v] + [level]
        closes = any(
            segment.holds(next_.iaddr) and min(levels[number:]) == segment.level
            for number, segment in enumerate(v)
        )
        # a round in which a function is called twice: its address does not tell which visit
        return closes and not any(
            one.first <= other.last and other.first <= one.last and min(levels[a:b]) < one.level
            for b, other in enumerate(v, 1)
            for a, one in enumerate(v[: b - 1])
        )

    def reason_to_stop(self, cur: Row, v: list[Segment]) -> str | None:
        """Why a decoder has to be told that `cur` was reached, if it has."""
        if self.is_mispredicted(cur) and not self.exact_visits:
            return None
        if self.is_mispredicted(cur) and not self.p.has_irets:
            lowest, highest = self.returned or (0, 0)
            if lowest < self.stack.depth <= highest or self.next_was_seen(v):
                return "a mispredicted return that could be another"
            return None
        if self.is_branch(cur) or self.is_updiscon(cur):
            return None
        if self.next is None or not self.next.retired or self.next.iaddr == cur.iaddr + cur.size:
            return None
        if len(v) >= MAX_SEGMENTS:
            return "too many segments"
        recent = [segment for segment in v if segment.returns == self.all_returns]
        if self.exact_loops and self.next_was_seen(recent) and not self.is_implicit_return(cur):
            return "a loop"
        return None


def encode(rows: list[Row], settings: Settings) -> list[Packet]:
    """The packets of a whole trace, support packets included."""
    return traced(rows, settings).packets


def traced(rows: list[Row], settings: Settings) -> Encoder:
    """An encoder that has encoded a whole trace."""
    encoder = Encoder(rows, settings)
    encoder.run()
    return encoder


def encode_bytes(rows: list[Row], settings: Settings) -> list[bytes]:
    """The payloads of a whole trace."""
    return [
        codec.to_bytes(packet, settings.parameters, settings.modes)
        for packet in encode(rows, settings)
    ]
