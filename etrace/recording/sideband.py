"""What a run tells the encoder besides what retires: from words to `emu.SidebandOptions`, and to
the trace file's header and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emu.hart.trigger_registers import LOAD, STORE
from emu.ingress.options import SidebandOptions, Time
from emu.memory import MachineError
from emu.platforms.elf import Program
from etrace.arguments import check_fields
from etrace.errors import InputError
from etrace.recording.filtering import address, near, one_is_enough
from specs.configuration.parameters import Configuration
from specs.interfaces.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from specs.isa.csrs import ADDRESS

#: Widths of the fields, in bits, where no parameter file says otherwise. (satp is told whole: its
#: mode and ASID are in the upper half.)
CONTEXT_WIDTH, TIME_WIDTH = 32, 48

_ACCESSES = {"load": LOAD, "store": STORE, "access": LOAD | STORE}
_PULSES = {"on": TRIGGER_ON, "off": TRIGGER_OFF, "notify": TRIGGER_NOTIFY}


@dataclass(frozen=True, kw_only=True)
class Telling:
    """As given by the user: see `SidebandOptions`.

    `context_csr`: name or number; `time`: "instret", "mtime" or "cycles"; `triggers`: each
    `on@PLACE`, `off@PLACE` or `notify@PLACE`, a place being a symbol, `symbol+0x10`, or an address,
    with `load:`, `store:` or `access:` before it for loads, stores or both of the byte there;
    `windows`: each `SKIP:COUNT`, instructions of the run, or `SKIP:` for all that follow.
    """

    context_csr: str | int | None = None
    context_type: int = 2
    time: str | None = None
    time_every: int = 1000
    triggers: Sequence[str] = ()
    windows: Sequence[str] = ()

    def __post_init__(self) -> None:
        one_is_enough(self, "triggers", "windows")
        check_fields(self)

    def room(self, configuration: Configuration, given: bool, xlen: int) -> Configuration:
        """`configuration` with fields for what is told, unless a parameter file was `given`.

        Raises `InputError` where that has no room for the way in which context is told.
        """
        changes: dict[str, int] = {}
        context, time = CONTEXT_WIDTH, TIME_WIDTH
        if self.context_csr is not None:
            if given and self.context_type >> configuration.parameters.ctype_width_p:
                raise InputError(
                    f"context type {self.context_type} needs ctype_width_p = 2; "
                    "set that in the parameter file"
                )
            if _csr(self.context_csr) == ADDRESS["satp"]:
                # more than 108 bits of both, and a packet is longer than its encapsulation can be
                context, time = xlen, 44
            changes |= {"ctype_width_p": 2, "nocontext_p": 0, "context_width_p": context}
        if self.time is not None:
            changes |= {"notime_p": 0, "time_width_p": time}
        if given or not changes:
            return configuration
        return replace(configuration, parameters=replace(configuration.parameters, **changes))

    def options(self, programs: Sequence[Program]) -> SidebandOptions | None:
        """What it means for these programs; None if nothing is told. Raises `InputError`."""
        if self == Telling(context_type=self.context_type, time_every=self.time_every):
            return None
        times = [each.value for each in Time]
        if self.time is not None and self.time not in times:
            raise InputError(f"time {self.time!r}: must be one of {', '.join(times)}")
        triggers = [_trigger(each, programs) for each in self.triggers]
        try:
            return SidebandOptions(
                context_csr=None if self.context_csr is None else _csr(self.context_csr),
                context_type=self.context_type,
                time=None if self.time is None else Time(self.time),
                time_every=self.time_every,
                triggers=tuple((at, bits) for at, bits, accesses in triggers if not accesses),
                watches=tuple(each for each in triggers if each[2]),
                windows=tuple(_window(each) for each in self.windows),
            )
        except MachineError as error:
            raise InputError(str(error)) from None


def pulse_names(pulses: int) -> str:
    """The outputs of a trigger: `on`, `off`, `notify`."""
    return ", ".join(name for name, bit in _PULSES.items() if pulses & bit)


def access_names(accesses: int) -> str:
    """What a watch is for: `load`, `store` or `access`."""
    return next(name for name, bits in _ACCESSES.items() if bits == accesses)


def _csr(which: str | int) -> int:
    if isinstance(which, int):
        return which
    if which in ADDRESS:
        return ADDRESS[which]
    try:
        return int(which, 0)
    except ValueError:
        raise InputError(
            f"context CSR {which}: no such register{near(which, ADDRESS)}; give a name or a "
            "number, as in mcontext or 0x7c0"
        ) from None


def _trigger(text: str, programs: Sequence[Program]) -> tuple[int, int, int]:
    """Address, pulses and accesses, 0 where it is for instructions."""
    what, at, place = text.partition("@")
    access, colon, data = place.partition(":")
    # A symbol may have a colon in its name too.
    accesses = _ACCESSES.get(access, 0) if colon else 0
    place = data if accesses else place
    if what not in _PULSES or not at or not place:
        raise InputError(
            f"trigger {text}: must be on@PLACE, off@PLACE or notify@PLACE, as in on@main, or with "
            "load:, store: or access: before the place, as in notify@store:counter"
        )
    try:
        return address(place, programs), _PULSES[what], accesses
    except InputError as error:
        raise InputError(f"trigger {text}: {error}") from None


def _window(text: str) -> tuple[int, int | None]:
    skip, colon, count = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(skip, 0), int(count, 0) if count else None
    except ValueError:
        raise InputError(
            f"window {text}: must be SKIP:COUNT, two numbers of instructions as in 1000:200, or "
            "SKIP: for all that follow"
        ) from None
