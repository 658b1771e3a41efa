"""How an encoder is configured: the specification's parameters and modes, in its own names.

E-Trace 2.0, "Parameters and Discovery": the defaults are those of the discovery tables.
"""

from dataclasses import dataclass, field


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

    @property
    def address_bits(self) -> int:
        """Width of the *address* field."""
        return self.iaddress_width_p - self.iaddress_lsb_p

    @property
    def irdepth_bits(self) -> int:
        """Width of the *irdepth* field."""
        stack = self.return_stack_size_p
        return stack + (1 if stack > 0 else 0) + self.call_counter_size_p


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
    """When to synchronise again: `unit` is "packets", "instructions" or "off"."""

    unit: str = "off"
    period: int = 1


@dataclass(frozen=True)
class Settings:
    """All that encoder and decoder must agree on."""

    parameters: Parameters = field(default_factory=Parameters)
    modes: Modes = field(default_factory=Modes)
    resync: Resync = field(default_factory=Resync)
