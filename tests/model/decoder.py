"""What packets mean: the decoder of E-Trace 2.0, chapter "Decoder", by its meaning.

Departures from the letter of the pseudo-code, each because the letter cannot follow traces that
the rest of the specification allows:

* A format 1/2 address that was met by walking may or may not be the last retired instruction.
  The pseudo-code takes any format 3 that follows for the sign that it is. That is so for traps,
  but not for format 3.0, which comes without a packet before it when privilege changes (or an
  instruction count runs out) with an empty branch map: here it has to report the very next
  instruction to be that sign.
* A walk to the second occurrence must not stop for a full branch map.
* Format 3.0 after a trap with thaddr 0 is the handler: nothing leads there.
* Traps' EPCs follow docs/choices.md, "Which trap packet".
"""

from tests.model import codec
from tests.model.codec import Packet
from tests.model.program import (
    BRANCH,
    INFERABLE_JUMP,
    TRAP_RETURN,
    Instruction,
    Program,
    lookup,
)
from tests.model.rows import Outcome, Retired, Trapped
from tests.model.settings import Settings

#: A correct trace never walks further than this without a branch, a packet or a discontinuity.
MAX_WALK = 200_000


class DecodeError(ValueError):
    """Packets that no execution of the program explains."""


class Decoder:
    """Decodes one trace; use `decode`."""

    def __init__(self, program: Program, settings: Settings) -> None:
        self.code = lookup(program)
        self.p = settings.parameters
        self.modes = settings.modes
        self.outcomes: list[Outcome] = []
        self.start_of_trace = True
        self.pc = 0
        self.last_pc: int | None = None
        self.privilege: int | None = None
        self.address = 0
        self.branch_map: list[int] = []
        self.stop_at_last_branch = False
        #: The walk stopped at the address of a format 1/2, perhaps one visit too early.
        self.inferred_address = False
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

    def successor(self, consume: bool) -> int | None:
        """Where execution goes after `pc`; None after an uninferable discontinuity."""
        instruction = self.instruction()
        if instruction.is_updiscon:
            return None
        if instruction.kind == INFERABLE_JUMP:
            return instruction.target
        if instruction.kind == BRANCH:
            if not self.branch_map:
                raise DecodeError(f"cannot resolve the branch at {self.pc:#x}")
            taken = self.branch_map[0] == 0
            if consume:
                self.branch_map = self.branch_map[1:]
            if taken:
                return instruction.target
        return (self.pc + instruction.size) % (1 << self.p.iaddress_width_p)

    def step(self, address: int) -> bool:
        """Retire the next instruction; whether a discontinuity led there, to `address`."""
        following = self.successor(consume=True)
        self.last_pc = self.pc
        self.pc = address if following is None else following
        return following is None

    def unprocessed_branches(self) -> bool:
        allowed = 1 if self.instruction().kind == BRANCH else 0
        return len(self.branch_map) != allowed

    def walk_on_to_second_occurrence(self) -> None:
        """The walk had stopped too early: go on until a discontinuity leads to its address."""
        self.inferred_address = False
        address = self.pc
        for _ in range(MAX_WALK):
            arrived = self.step(address)
            self.report(self.pc)
            if arrived:
                return
        raise DecodeError(f"{address:#x} is not reached a second time")

    def walk_to_address(self, packet: Packet) -> None:
        """Follow the path to the address of a format 1/2."""
        notify = codec.is_notify(packet, self.p)
        updiscon = codec.is_updiscon(packet)
        for _ in range(MAX_WALK):
            arrived = self.step(self.address)
            self.report(self.pc)
            if arrived:
                if self.unprocessed_branches():
                    raise DecodeError(f"unprocessed branches at {self.pc:#x}")
                return
            if self.pc == self.address and not self.unprocessed_branches():
                if notify:
                    return
                if not updiscon:
                    self.inferred_address = True
                    return
        raise DecodeError(f"{self.address:#x} is not reached")

    def walk_to_last_branch(self) -> None:
        """Follow the path to the last branch of a format 1 without address."""
        for _ in range(MAX_WALK):
            if self.instruction().is_updiscon:
                raise DecodeError(f"unexpected uninferable discontinuity at {self.pc:#x}")
            self.step(0)
            self.report(self.pc)
            if len(self.branch_map) == 1 and self.instruction().kind == BRANCH:
                return
        raise DecodeError("the last branch is not reached")

    def walk_to_synchronisation(self, packet: Packet) -> None:
        """Follow the path to the address of a format 3.0, and take over its privilege."""
        privilege = packet["privilege"]
        changed = privilege != self.privilege
        for _ in range(MAX_WALK):
            arrived = self.step(self.address)
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
                return
            self.report(self.pc)
        raise DecodeError(f"{self.address:#x} is not reached")

    # -- packets --------------------------------------------------------------------------------

    def process(self, packet: Packet) -> None:
        """Take one packet."""
        if packet["format"] == 3:
            (self.start, self.trap, self.context, self.support)[packet["subformat"]](packet)
        elif packet["format"] == 0:
            raise NotImplementedError("format 0 packets are not modelled")
        elif self.start_of_trace:
            raise DecodeError("the trace does not start with format 3")
        else:
            self.branches_and_address(packet)

    def context(self, packet: Packet) -> None:
        """Format 3.2 says nothing about the flow, and nothing about an inferred address."""

    def support(self, packet: Packet) -> None:
        ended_ntr = packet["qual_status"] == 3
        if ended_ntr and self.inferred_address:
            self.walk_on_to_second_occurrence()
        if packet["qual_status"] != 0:
            self.start_of_trace = True
            self.inferred_address = False
            self.after_trap = False
            self.branch_map = []

    def full_address(self, packet: Packet) -> int:
        return packet["address"] << self.p.iaddress_lsb_p

    def branches_and_address(self, packet: Packet) -> None:
        if self.inferred_address:
            self.walk_on_to_second_occurrence()
        count = packet.get("branches", 0)
        without_address = packet["format"] == 1 and count == 0
        if packet["format"] == 1:
            bits = packet["branch_map"]
            self.branch_map += [bits >> i & 1 for i in range(count or 31)]
        if without_address:
            self.walk_to_last_branch()
            return
        if self.modes.full_address:
            self.address = self.full_address(packet)
        else:
            self.address += self.full_address(packet)
            self.address %= 1 << self.p.iaddress_width_p
        self.walk_to_address(packet)

    def start(self, packet: Packet) -> None:
        """Format 3.0."""
        address = self.full_address(packet)
        if self.start_of_trace or self.after_trap:
            self.jump_to(address, packet)
            return
        if self.inferred_address:
            self.inferred_address = False
            if not self.is_next(address, packet):
                self.walk_on_to_second_occurrence()
        self.address = address
        if self.code(address).kind == BRANCH:
            self.branch_map.append(packet["branch"])
        self.walk_to_synchronisation(packet)

    def is_next(self, address: int, packet: Packet) -> bool:
        """Whether a format 3.0 can report the instruction after `pc`."""
        following = self.successor(consume=False)
        if following is None:
            return True
        return following == address and packet["privilege"] == self.privilege

    def jump_to(self, address: int, packet: Packet) -> None:
        """The first instruction of a trace, or of a trap handler."""
        self.start_of_trace = False
        self.after_trap = False
        self.inferred_address = False
        self.next_epc = None
        self.branch_map = [packet["branch"]] if self.code(address).kind == BRANCH else []
        self.address = address
        self.pc = address
        self.last_pc = None
        self.privilege = packet["privilege"]
        self.report(address)

    def trap(self, packet: Packet) -> None:
        """Format 3.1. One that follows a format 1/2 follows it immediately."""
        self.inferred_address = False
        thaddr = packet["thaddr"] == 1
        own_row = not thaddr and self.reported_at_own_row(packet)
        if own_row:
            epc = self.full_address(packet)
        elif self.next_epc is not None:
            epc = self.next_epc
        else:
            if self.start_of_trace or self.after_trap:
                raise DecodeError("a trap whose EPC nothing tells")
            following = self.successor(consume=True)
            if following is None:
                raise DecodeError(f"the EPC after {self.pc:#x} cannot be inferred")
            epc = following
        self.outcomes.append(
            Trapped(
                packet["ecause"],
                packet["interrupt"] == 1,
                packet.get("tval", 0),
                epc,
                self.privilege_before(packet),
            )
        )
        if thaddr:
            self.jump_to(self.full_address(packet), packet)
            return
        self.own_row = own_row
        self.after_trap = True
        self.start_of_trace = False
        self.next_epc = None if own_row else self.full_address(packet)

    def privilege_before(self, packet: Packet) -> int | None:
        if packet["thaddr"] == 0:
            return packet["privilege"]
        return None if self.after_trap else self.privilege

    def reported_at_own_row(self, packet: Packet) -> bool:
        if self.after_trap:
            return self.own_row
        return (
            self.start_of_trace
            or self.instruction().is_updiscon
            or packet["privilege"] != self.privilege
        )


def decode(packets: list[Packet], program: Program, settings: Settings) -> list[Outcome]:
    """What happened, in order. Raises DecodeError, or LookupError where there is no code."""
    decoder = Decoder(program, settings)
    for packet in packets:
        decoder.process(packet)
    return decoder.outcomes


def decode_bytes(payloads: list[bytes], program: Program, settings: Settings) -> list[Outcome]:
    """The same from payloads; raises PayloadError too."""
    packets = [codec.from_bytes(each, settings.parameters, settings.modes) for each in payloads]
    return decode(packets, program, settings)
