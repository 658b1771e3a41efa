"""How an encoder is configured: the specification's parameters and modes, in its own names.

E-Trace 2.0, "Parameters and Discovery": the defaults are those of the discovery tables.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from tests.model.sink import Sink


@dataclass(frozen=True)
class Parameters:
    """The parameters that a packet's layout depends on. Widths are in bits."""

    iaddress_width_p: int = 32
    iaddress_lsb_p: int = 1
    ecause_width_p: int = 4
    privilege_width_p: int = 2
    context_width_p: int = 1
    nocontext_p: int = 1
    time_width_p: int = 1
    notime_p: int = 1
    itype_width_p: int = 4
    f0s_width_p: int = 0
    bpred_size_p: int = 0
    cache_size_p: int = 0
    call_counter_size_p: int = 0
    return_stack_size_p: int = 0
    sijump_p: int = 0
    ctype_width_p: int = 1
    ioptions_width_p: int = 5
    doptions_width_p: int = 4
    #: Where an encoder has it fixed; else what the sizes need.
    irdepth_width_p: int | None = None

    #: Protocol 2.0; see `UpdatedParameters`.
    protocol_minor: ClassVar[int] = 0

    @property
    def has_irets(self) -> bool:
        """Whether *irets* stands in the place of *irdepth* (2.1 draft, "Implicit Return")."""
        return self.protocol_minor == 1 and self.return_stack_size_p + self.call_counter_size_p > 0

    @property
    def address_bits(self) -> int:
        """Width of the *address* field."""
        return self.iaddress_width_p - self.iaddress_lsb_p

    @property
    def irdepth_bits(self) -> int:
        """Width of the *irdepth* field, or of *irets*."""
        if self.has_irets:
            return 8
        if self.irdepth_width_p is not None:
            return self.irdepth_width_p
        stack = self.return_stack_size_p
        return stack + (1 if stack > 0 else 0) + self.call_counter_size_p

    @property
    def nested_calls(self) -> int:
        """Most calls that implicit return mode keeps (docs/modes.md, "Implicit return")."""
        return 1 << min(self.return_stack_size_p or self.call_counter_size_p, 20)

    @property
    def recursions(self) -> int:
        """Calls to its address that an entry of the return stack counts besides the first."""
        if self.protocol_minor == 0 or self.return_stack_size_p == 0:
            return 0
        return (1 << self.call_counter_size_p) - 1

    @property
    def lowest_index_bit(self) -> int:
        """Lowest address bit in an index of the branch predictor or the jump target cache."""
        return 2 if self.iaddress_lsb_p == 2 else 1


class UpdatedParameters(Parameters):
    """Those of protocol 2.1: standard support packet and, with a size of its own, *irets*."""

    protocol_minor: ClassVar[int] = 1


@dataclass(frozen=True)
class Modes:
    """Run-time modes, in the order of their *ioptions* bits (sijump has none here)."""

    implicit_return: bool = False
    implicit_exception: bool = False
    full_address: bool = False
    jump_target_cache: bool = False
    branch_prediction: bool = False
    sijump: bool = False

    @property
    def ioptions(self) -> int:
        """The *ioptions* field of a support packet (docs/choices.md, "Support packet")."""
        bits = (
            self.implicit_return,
            self.implicit_exception,
            self.full_address,
            self.jump_target_cache,
            self.branch_prediction,
        )
        return sum(1 << position for position, bit in enumerate(bits) if bit)


@dataclass(frozen=True)
class Resync:
    """When to synchronise again: `unit` is "packets", "instructions", "cycles" or "off"."""

    unit: str = "off"
    period: int = 1


@dataclass(frozen=True)
class Settings:
    """All that encoder and decoder must agree on.

    `tvec`: (privilege, value of its trap vector CSR) pairs, for implicit exception mode.
    `shorter_packet`: formats 1 and 2 instead of 0.1 where they are shorter.
    `most_branches`: the largest *branch_count*; another than the specification's only in tests.
    `sink`: where the packets go, if they may be lost there. `exact_loops`, `exact_visits`: packets
    beyond the flow chart where that does not tell rounds, or visits, apart.
    """

    parameters: Parameters = field(default_factory=Parameters)
    modes: Modes = field(default_factory=Modes)
    resync: Resync = field(default_factory=Resync)
    tvec: tuple[tuple[int, int], ...] = ()
    shorter_packet: bool = False
    most_branches: int = 0xFFFF_FFFF
    sink: Sink | None = None
    exact_loops: bool = False
    exact_visits: bool = True

    def handler(self, privilege: int, interrupt: bool, cause: int) -> int | None:
        """Address of the trap handler that a decoder infers; None if it knows no vector.

        Privileged manual, "Machine Trap-Vector Base-Address Register"; `privilege` is that of
        the handler.
        """
        for level, value in self.tvec:
            if level == privilege:
                vectored = value & 3 == 1 and interrupt
                handler = (value & ~3) + (4 * cause if vectored else 0)
                return handler % (1 << self.parameters.iaddress_width_p)
        return None


def beyond_the_letter(settings: Settings, seed: int) -> Settings:
    """`settings` with one of the four choices of packets beyond the flow chart.

    If `exact_visits` is off, what is encoded need not decode to what happened.
    """
    return replace(settings, exact_loops=bool(seed & 1), exact_visits=bool(~seed & 2))
