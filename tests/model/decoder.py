"""What packets mean: the decoder of E-Trace 2.0, chapter "Decoder", by its meaning.

Departures from the letter of the pseudo-code, each because the letter cannot follow traces that
the rest of the specification allows:

* A format 1/2 address that was met by walking may or may not be the last retired instruction.
  The pseudo-code takes any format 3 that follows for the sign that it is. That is so for traps,
  but not for format 3.0, which comes without a packet before it when privilege changes (or an
  instruction count runs out) with an empty branch map: here it has to report the very next
  instruction to be that sign.
* A walk to the second occurrence must not stop for a full branch map, and goes by the packet that
  it belongs to, not by the one that shows that it is needed.
* Format 3.0 after a trap with thaddr 0 is the handler: nothing leads there.
* Traps' EPCs follow docs/choices.md, "Which trap packet". That of a trap whose handler is the
  first thing traced (thaddr 1) is unknown, and so is the privilege before.
* A return is explicit only where all branches of the packet are behind it.
* The modes that the pseudo-code leaves out follow docs/modes.md.
"""

import copy
from dataclasses import dataclass

from tests.model import codec
from tests.model.codec import Packet
from tests.model.outcomes import FAILED, PREDICTED, Branches
from tests.model.predictors import BranchPredictor, JumpTargetCache, ReturnStack
from tests.model.program import (
    BRANCH,
    INFERABLE_JUMP,
    TRAP_RETURN,
    Instruction,
    Program,
    lookup,
    sequential_target,
)
from tests.model.rows import ContextReport, Gap, Outcome, Retired, Rounds, Trapped
from tests.model.settings import Settings

#: A correct trace never walks further than this without a branch, a packet or a discontinuity.
MAX_WALK = 200_000


class DecodeError(ValueError):
    """Packets that no execution of the program explains."""


@dataclass(frozen=True)
class Report:
    """What a packet says of the instruction at `address`, where its branches end.

    `final_branch`: it is the last branch of the packet, for certain. `depth`: the *irdepth* that
    *irreport* vouches for.
    """

    address: int
    notify: bool = False
    updiscon: bool = False
    final_branch: bool = False
    depth: int | None = None


class Decoder:
    """Decodes one trace; use `decode`."""

    def __init__(self, program: Program, settings: Settings, xlen: int) -> None:
        self.code = lookup(program)
        self.settings = settings
        self.p = settings.parameters
        self.modes = settings.modes
        self.xlen = xlen
        self.outcomes: list[Outcome] = []
        #: What packets say besides, in their order.
        self.reports: list[ContextReport] = []
        self.gaps: list[Gap] = []
        self.start_of_trace = True
        #: Since the last outcome, the trace has ended: because packets were lost, or not.
        self.ended: bool | None = None
        self.pc = 0
        self.last_pc: int | None = None
        self.privilege: int | None = None
        self.address = 0
        self.branches = Branches()
        #: The instruction at `pc` is that of a synchronisation packet, which told its outcome.
        self.synchronised = False
        self.predictor = BranchPredictor(self.p)
        self.cache = JumpTargetCache(self.p)
        self.stack = ReturnStack(self.p)
        #: Implicit returns since the last branch, or packet if there was none since.
        self.irets = 0
        #: The last step was an explicit return to where it was predicted to go.
        self.was_predicted = False
        #: The walk stopped at the address of this report, perhaps one visit too early.
        self.inferred: Report | None = None
        #: The last packet was a trap with thaddr 0; then its EPC was in the packet, or not.
        self.after_trap = False
        self.own_row = False
        self.next_epc: int | None = None

    # -- walking --------------------------------------------------------------------------------

    def report(self, pc: int) -> None:
        assert self.privilege is not None
        self.outcomes.append(Retired(pc, self.privilege))

    def instruction(self) -> Instruction:
        return self.code(self.pc)

    def sequential(self) -> int | None:
        """Target of the instruction at `pc` as a sequentially inferable jump."""
        if not self.modes.sijump or self.last_pc is None:
            return None
        before = self.code(self.last_pc)
        if self.last_pc + before.size != self.pc:
            return None
        return sequential_target(before, self.instruction(), self.xlen)

    def prediction(self, report: Report | None) -> int | None:
        """Target of the return at `pc`, if it is an implicit return."""
        if not self.modes.implicit_return or not self.instruction().is_return:
            return None
        if report is not None and report.depth is not None and self.is_depth(report):
            to_branch = self.code(report.address).kind == BRANCH
            if len(self.branches) == (1 if to_branch else 0):
                return None
        return self.stack.top

    def is_depth(self, report: Report) -> bool:
        """Whether *irdepth* is the depth of the stack (2**call_counter_size_p reads as 0), or
        *irets* the number of implicit returns."""
        if self.p.has_irets:
            return report.depth == self.irets
        ones = (1 << self.p.irdepth_bits) - 1
        return report.depth is not None and report.depth == self.stack.depth & ones

    def is_taken(self) -> bool:
        """The outcome of the branch at `pc`."""
        if not self.branches:
            raise DecodeError(f"cannot resolve the branch at {self.pc:#x}")
        outcome = self.branches.first
        if outcome in (PREDICTED, FAILED):
            return self.predictor.predicts_taken(self.pc) == (outcome == PREDICTED)
        return outcome == 0

    def successor(self, report: Report | None) -> int | None:
        """Where execution goes after `pc`; None after an uninferable discontinuity."""
        instruction = self.instruction()
        if instruction.is_updiscon:
            target = self.sequential()
            return self.prediction(report) if target is None else target
        if instruction.kind == INFERABLE_JUMP:
            return instruction.target
        if instruction.kind == BRANCH and self.is_taken():
            return instruction.target
        return (self.pc + instruction.size) % (1 << self.p.iaddress_width_p)

    def step(self, report: Report) -> bool:
        """Retire the next instruction; whether a discontinuity led there, to the address."""
        following = self.successor(report)
        instruction = self.instruction()
        if instruction.kind == BRANCH:
            if self.modes.branch_prediction and not self.synchronised:
                self.predictor.update(self.pc, self.is_taken())
            self.branches.remove_first()
            self.irets = 0
        if self.modes.implicit_return and instruction.is_call:
            self.stack.push((self.pc + instruction.size) % (1 << self.p.iaddress_width_p))
        self.return_to(following, report.address)
        self.synchronised = False
        self.last_pc = self.pc
        self.pc = report.address if following is None else following
        return following is None

    def return_to(self, following: int | None, address: int) -> None:
        """What the instruction at `pc` does to the return stack, if it is a return."""
        self.was_predicted = False
        if not self.modes.implicit_return or not self.instruction().is_return:
            return
        if self.sequential() is not None or self.stack.depth == 0:
            return
        if following is not None:
            self.irets += 1
            self.stack.pop()
        else:
            self.was_predicted = self.stack.top == address
            if self.p.has_irets:
                self.stack.pop()

    def unprocessed_branches(self) -> bool:
        allowed = 1 if self.instruction().kind == BRANCH else 0
        return len(self.branches) != allowed

    def walk_on_to_second_occurrence(self) -> None:
        """The walk had stopped too early: go on until a discontinuity leads to its address."""
        assert self.inferred is not None
        report, self.inferred = self.inferred, None
        for _ in range(MAX_WALK):
            arrived = self.step(report)
            self.report(self.pc)
            if arrived:
                self.arrived(report)
                return
        raise DecodeError(f"{report.address:#x} is not reached a second time")

    def arrived(self, report: Report) -> None:
        """A packet of format 0, 1 or 2 has told the target of an updiscon."""
        if self.modes.jump_target_cache and not self.was_predicted:
            self.cache.update(report.address)

    def walk_to_address(self, report: Report) -> None:
        """Follow the path to the address of a format 0/1/2."""
        for _ in range(MAX_WALK):
            arrived = self.step(report)
            self.report(self.pc)
            if arrived:
                if self.unprocessed_branches():
                    raise DecodeError(f"unprocessed branches at {self.pc:#x}")
                self.arrived(report)
                return
            if self.pc != report.address or self.unprocessed_branches():
                continue
            if self.p.has_irets and report.depth is not None and not self.is_depth(report):
                continue
            if report.notify or report.final_branch:
                self.note_rounds(report)
                return
            if report.updiscon:
                continue
            if report.depth is None or self.is_depth(report):
                self.inferred = report
                self.note_rounds(report)
                return
        raise DecodeError(f"{report.address:#x} is not reached")

    def walk_to_last_branch(self) -> None:
        """Follow the path to the last branch of a packet without address."""
        nowhere = Report(0)
        for _ in range(MAX_WALK):
            if self.successor(None) is None:
                raise DecodeError(f"unexpected uninferable discontinuity at {self.pc:#x}")
            self.step(nowhere)
            self.report(self.pc)
            if len(self.branches) == 1 and self.instruction().kind == BRANCH:
                return
        raise DecodeError("the last branch is not reached")

    def walk_to_synchronisation(self, packet: Packet) -> None:
        """Follow the path to the address of a format 3.0, and take over its privilege."""
        privilege = packet["privilege"]
        changed = privilege != self.privilege
        report = Report(self.address)
        for _ in range(MAX_WALK):
            arrived = self.step(report)
            assert self.last_pc is not None
            returned = self.code(self.last_pc).kind == TRAP_RETURN
            if arrived and changed and not returned:
                raise DecodeError(f"privilege changed by the jump at {self.last_pc:#x}")
            here = self.pc == self.address and (not changed or returned)
            if arrived or (here and not self.unprocessed_branches()):
                if self.unprocessed_branches():
                    raise DecodeError(f"unprocessed branches at {self.pc:#x}")
                self.privilege = privilege
                self.report(self.pc)
                if not arrived:
                    self.note_rounds()
                return
            self.report(self.pc)
        raise DecodeError(f"{self.address:#x} is not reached")

    # -- what the packets do not tell -------------------------------------------------------------

    def note_rounds(self, report: Report | None = None) -> None:
        """The walk stopped at `pc` for good or not: may it be there for more than the first time?

        It may if it comes by there again with nothing on the way that a packet would have told.
        `report` is that of a packet of another format than 3.0.
        """
        saved = self.pc, self.last_pc, self.stack, self.irets, self.synchronised, self.was_predicted
        begin, links, counts = self.pc, self.stack.links, self.stack.counts
        self.stack = copy.deepcopy(self.stack)
        lowest, before, count = len(links), self.irets, 0
        seen = set()
        found = False
        while not found:
            state = (self.pc, self.last_pc, tuple(self.stack.links), tuple(self.stack.counts))
            if state in seen or not self.is_passed():
                break
            seen.add(state)
            self.step(Report(0))
            count += 1
            lowest = min(lowest, self.stack.depth)
            found = self.pc == begin
        same = (self.stack.links, self.stack.counts) == (links, counts)
        returns = self.irets > before
        endless = same or lowest >= len(links)
        if report is None:
            told = False
        elif self.p.has_irets:
            told = returns
        else:
            told = report.depth is not None and self.stack.depth != len(links)
        self.pc, self.last_pc, self.stack, self.irets = saved[:4]
        self.synchronised, self.was_predicted = saved[4:]
        exact = self.settings.exact_loops if endless else self.settings.exact_visits
        if found and not told and not exact:
            self.outcomes.insert(len(self.outcomes) - 1, Rounds(begin, count, endless))

    def is_passed(self) -> bool:
        """Whether execution goes on after `pc` without anything to tell; False without code."""
        try:
            return self.instruction().kind != BRANCH and self.successor(None) is not None
        except LookupError:
            return False

    # -- packets --------------------------------------------------------------------------------

    def process(self, packet: Packet) -> None:
        """Take one packet."""
        if packet["format"] == 3:
            (self.start, self.trap, self.context, self.support)[packet["subformat"]](packet)
        elif self.start_of_trace or self.after_trap:
            raise DecodeError("the trace does not start with format 3")
        else:
            self.branches_and_address(packet)

    def context(self, packet: Packet) -> None:
        """Format 3.2 says nothing about the flow, and nothing about an inferred address."""
        self.report_context(packet, len(self.outcomes), False)

    def report_context(self, packet: Packet, position: int, precise: bool) -> None:
        if "context" in packet or "time" in packet:
            self.reports.append(
                ContextReport(
                    position,
                    precise,
                    packet["privilege"],
                    packet.get("context"),
                    packet.get("time"),
                )
            )

    def support(self, packet: Packet) -> None:
        self.learn(packet)
        ended_ntr = packet["qual_status"] == 3
        if ended_ntr and self.inferred is not None:
            self.walk_on_to_second_occurrence()
        if packet["qual_status"] != 0:
            self.ended = self.ended is True or packet["qual_status"] == 2
            self.start_of_trace = True
            self.next_epc = None
            self.inferred = None
            self.after_trap = False
            self.branches.clear()

    def learn(self, packet: Packet) -> None:
        """Take modes and sizes from a standard support packet."""
        parameters, modes = codec.learned(packet, self.p, self.modes)
        if (parameters, modes) == (self.p, self.modes):
            return
        self.p, self.modes = parameters, modes
        self.predictor = BranchPredictor(parameters)
        self.cache = JumpTargetCache(parameters)
        self.stack = ReturnStack(parameters)

    def full_address(self, packet: Packet) -> int:
        return packet["address"] << self.p.iaddress_lsb_p

    def add_branches(self, packet: Packet) -> None:
        """The outcomes in a format 0 or 1."""
        if "branch_count" in packet:
            if not self.modes.branch_prediction:
                raise DecodeError("a branch count, but no branch prediction")
            self.branches.add(PREDICTED, packet["branch_count"] + 31)
            if packet["branch_fmt"] in (0, 3):
                self.branches.add(FAILED)
        elif "branch_map" in packet:
            for position in range(packet["branches"] or 31):
                self.branches.add(packet["branch_map"] >> position & 1)

    def branches_and_address(self, packet: Packet) -> None:
        if self.inferred is not None:
            self.walk_on_to_second_occurrence()
        self.irets = 0
        self.add_branches(packet)
        if "index" in packet:
            self.walk_to_address(self.index_report(packet))
        elif "address" in packet:
            self.walk_to_address(self.address_report(packet))
        else:
            self.walk_to_last_branch()

    def index_report(self, packet: Packet) -> Report:
        """Format 0.1."""
        target = self.cache.targets.get(packet["index"])
        if not self.modes.jump_target_cache or target is None:
            raise DecodeError(f"entry {packet['index']} of the jump target cache is invalid")
        self.address = target
        return Report(target, depth=codec.reported_depth(packet))

    def address_report(self, packet: Packet) -> Report:
        if self.modes.full_address:
            self.address = self.full_address(packet)
        else:
            self.address += self.full_address(packet)
            self.address %= 1 << self.p.iaddress_width_p
        return Report(
            self.address,
            notify=codec.is_notify(packet, self.p),
            updiscon=codec.is_updiscon(packet),
            final_branch=packet.get("branch_count") == self.settings.most_branches,
            depth=codec.reported_depth(packet) if self.modes.implicit_return else None,
        )

    def start(self, packet: Packet) -> None:
        """Format 3.0."""
        address = self.full_address(packet)
        if self.start_of_trace or self.after_trap:
            self.note_gap()
            self.jump_to(address, packet)
            self.report_context(packet, len(self.outcomes) - 1, True)
            return
        if self.inferred is not None:
            if self.is_next(address, packet):
                self.inferred = None
            else:
                self.walk_on_to_second_occurrence()
        self.address = address
        if self.code(address).kind == BRANCH:
            self.branches.add(packet["branch"])
        self.walk_to_synchronisation(packet)
        self.report_context(packet, len(self.outcomes) - 1, True)
        self.forget_predictions()

    def note_gap(self) -> None:
        if self.ended is not None:
            self.gaps.append(Gap(len(self.outcomes), self.ended))
        self.ended = None

    def forget_predictions(self) -> None:
        self.synchronised = True
        self.predictor.reset()
        self.cache.reset()
        self.stack.reset()
        self.irets = 0

    def is_next(self, address: int, packet: Packet) -> bool:
        """Whether a format 3.0 can report the instruction after `pc`."""
        following = self.successor(None)
        if following is None:
            return True
        return following == address and packet["privilege"] == self.privilege

    def jump_to(self, address: int, packet: Packet) -> None:
        """The first instruction of a trace, or of a trap handler."""
        self.start_of_trace = False
        self.after_trap = False
        self.inferred = None
        self.next_epc = None
        self.branches.clear()
        if self.code(address).kind == BRANCH:
            self.branches.add(packet["branch"])
        self.address = address
        self.pc = address
        self.last_pc = None
        self.privilege = packet["privilege"]
        self.report(address)
        self.forget_predictions()

    def trap(self, packet: Packet) -> None:
        """Format 3.1. One that follows a format 1/2 follows it immediately."""
        self.note_gap()
        self.inferred = None
        thaddr = packet["thaddr"] == 1
        own_row = not thaddr and self.reported_at_own_row(packet)
        self.outcomes.append(
            Trapped(
                packet["ecause"],
                packet["interrupt"] == 1,
                packet.get("tval", 0),
                self.full_address(packet) if own_row else self.inferred_epc(),
                self.privilege_before(packet),
            )
        )
        if thaddr:
            self.jump_to(self.handler(packet), packet)
        self.report_context(packet, len(self.outcomes) - 1, True)
        if thaddr:
            return
        self.own_row = own_row
        self.after_trap = True
        self.start_of_trace = False
        self.next_epc = None if own_row else self.full_address(packet)

    def inferred_epc(self) -> int | None:
        """The EPC of a trap that was not reported at its own row; None if nothing leads there."""
        if self.next_epc is not None:
            return self.next_epc
        if self.start_of_trace:
            return None
        if self.after_trap:
            raise DecodeError("a trap whose EPC nothing tells")
        following = self.successor(None)
        if following is None:
            raise DecodeError(f"the EPC after {self.pc:#x} cannot be inferred")
        return following

    def handler(self, packet: Packet) -> int:
        """Address of the trap handler of a format 3.1 with thaddr 1."""
        if not self.modes.implicit_exception:
            return self.full_address(packet)
        interrupt = packet["interrupt"] == 1
        handler = self.settings.handler(packet["privilege"], interrupt, packet["ecause"])
        if handler is None:
            raise DecodeError(f"no trap vector is known for privilege {packet['privilege']}")
        return handler

    def privilege_before(self, packet: Packet) -> int | None:
        if packet["thaddr"] == 0:
            return packet["privilege"]
        return None if self.after_trap or self.start_of_trace else self.privilege

    def reported_at_own_row(self, packet: Packet) -> bool:
        if self.after_trap:
            return self.own_row
        return (
            self.start_of_trace
            or self.instruction().is_updiscon
            or packet["privilege"] != self.privilege
        )


def decode(
    packets: list[Packet], program: Program, settings: Settings, xlen: int = 64
) -> list[Outcome]:
    """What happened, in order. Raises DecodeError, or LookupError where there is no code."""
    decoder = Decoder(program, settings, xlen)
    for packet in packets:
        decoder.process(packet)
    return decoder.outcomes


def decoded(payloads: list[bytes], program: Program, settings: Settings, xlen: int = 64) -> Decoder:
    """A decoder that has taken all payloads: its `outcomes`, `reports`, and `gaps`."""
    decoder = Decoder(program, settings, xlen)
    for payload in payloads:
        decoder.process(codec.from_bytes(payload, decoder.p, decoder.modes))
    return decoder


def decode_bytes(
    payloads: list[bytes], program: Program, settings: Settings, xlen: int = 64
) -> list[Outcome]:
    """The same from payloads; raises PayloadError too."""
    return decoded(payloads, program, settings, xlen).outcomes
