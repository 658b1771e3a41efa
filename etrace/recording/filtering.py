"""What to trace, in a user's words, as the registers of filters and comparators
(`specs.configuration.filters`).

All that is asked for has to hold (privilege *and* address *and* ...), of several ranges or causes
one. A filter can ask for one range, so each range, and each kind of trap, has filters of its own.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from emu.platforms.elf import Program
from etrace.arguments import check_fields
from etrace.errors import InputError
from specs.configuration.filters import (
    MAX_COMPARATORS,
    MAX_FILTERS,
    Comparator,
    Filter,
    Filters,
    Function,
    InstControl,
    Mode,
)
from specs.configuration.parameters import Configuration, ParametersError
from specs.interfaces.ingress import TRIGGER_OFF, TRIGGER_ON
from specs.isa.causes import EXCEPTIONS, INTERRUPTS
from specs.isa.privilege import Privilege

#: Causes that *trTeFilterMatchChoiceEcause* has a bit for.
_CAUSES = 64

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to trace; nothing given: everything.

    `privileges`: letters (`M`, `S`, `U`, ...). `symbols`: functions. `ranges`: `LO-HI`, both
    included, each an address or a symbol. `start_at`, `stop_at`: trace from each time that the
    one retires, until the other has. `causes`: numbers or names of traps, traced from the trap to
    the return from it; `interrupts`: likewise, every interrupt. A place is a symbol,
    `symbol+0x10`, or an address.
    """

    privileges: Sequence[str] = ()
    symbols: Sequence[str] = ()
    ranges: Sequence[str] = ()
    start_at: str | None = None
    stop_at: str | None = None
    causes: Sequence[str] = ()
    interrupts: bool = False

    def __post_init__(self) -> None:
        one_is_enough(self, "privileges", "symbols", "ranges", "causes")
        check_fields(self)

    def apply(self, configuration: Configuration, programs: Sequence[Program]) -> Configuration:
        """`configuration` with the filters that this needs, and room for them.

        Raises `InputError` for what cannot be, or `ParametersError`.
        """
        if self == Selection():
            return configuration
        if configuration.filters.filter or configuration.filters.comparator:
            raise InputError(
                "the parameter file has filters of its own; leave out either those or the "
                "options --filter-*, --start-at and --stop-at"
            )
        comparators = self._comparators(programs)
        filters = self._filters(len(comparators) - self._latches)
        if len(comparators) > MAX_COMPARATORS:
            raise InputError(
                f"these filters need {len(comparators)} comparators, and there are at most "
                f"{MAX_COMPARATORS}; give fewer ranges and symbols"
            )
        if len(filters) > MAX_FILTERS:
            raise InputError(
                f"these choices need {len(filters)} filters, and there are at most {MAX_FILTERS}; "
                "give fewer ranges, or causes of fewer kinds"
            )
        parameters = configuration.parameters
        highest = max(each.trTeFilterMatchChoiceEcause.bit_length() for each in filters)
        parameters = replace(
            parameters,
            comparators_p=max(parameters.comparators_p, len(comparators)),
            filters_p=max(parameters.filters_p, len(filters)),
            ecause_choice_p=max(parameters.ecause_choice_p, (max(highest, 1) - 1).bit_length()),
        )
        trace = replace(configuration.filters.trace, trTeInstFilters=(1 << len(filters)) - 1)
        registers = Filters(trace=trace, filter=tuple(filters), comparator=tuple(comparators))
        if problems := list(registers.problems(parameters)):
            raise ParametersError(problems)
        return replace(configuration, parameters=parameters, filters=registers)

    @property
    def _latches(self) -> bool:
        return self.start_at is not None or self.stop_at is not None

    def _comparators(self, programs: Sequence[Program]) -> list[Comparator]:
        """One for each range, then the one that starts and stops."""
        found = [_function(name, programs) for name in self.symbols]
        found += [_range(text, programs) for text in self.ranges]
        comparators = [_window(*each) for each in _merged(found)]
        if self._latches:
            start = None if self.start_at is None else address(self.start_at, programs, "start")
            stop = None if self.stop_at is None else address(self.stop_at, programs, "stop")
            comparators.append(_latch(start, stop))
        return comparators

    def _filters(self, ranges: int) -> list[Filter]:
        levels = sum({1 << _privilege(each) for each in self.privileges})
        base = Filter(
            trTeFilterMatchPrivilege=bool(self.privileges),
            trTeFilterMatchChoicePrivilege=levels,
            trTeFilterMatchComp2=self._latches,
            trTeFilterComp2=ranges if self._latches else 0,
        )
        if ranges:
            wide = [
                replace(base, trTeFilterMatchComp1=True, trTeFilterComp1=number)
                for number in range(ranges)
            ]
        else:
            wide = [base]
        return [_of_trap(each, trap) for each in wide for trap in self._traps()]

    def _traps(self) -> list[tuple[bool | None, int | None]]:
        """Kinds of traps: interrupts or not (None: either), and the causes (None: any)."""
        if not self.causes:
            return [(True if self.interrupts else None, None)]
        causes: dict[bool | None, int] = {}
        for text in self.causes:
            interrupt, cause = _cause(text)
            if self.interrupts:
                if interrupt is False:
                    raise InputError(f"cause {text} is an exception; leave out --filter-interrupts")
                interrupt = True
            causes[interrupt] = causes.get(interrupt, 0) | 1 << cause
        return list(causes.items())


def windowed(configuration: Configuration) -> Configuration:
    """`configuration` in which windows of instructions have an effect.

    Raises `InputError` for one that has a `[trace]` table of its own with which they have none.
    """
    chosen = triggered(configuration, (TRIGGER_ON | TRIGGER_OFF,))
    trace = chosen.filters.trace
    if not trace.trTeInstTrigEnable or trace.trTeInstTracing:
        raise InputError(
            "windows need trTeInstTrigEnable = true and trTeInstTracing = false; say so in the "
            "[trace] table of the parameter file, or leave both out there"
        )
    return chosen


def triggered(configuration: Configuration, triggers: Iterable[int]) -> Configuration:
    """`configuration` in which trace-on and trace-off `triggers` (bits) have an effect.

    If one turns tracing on, it is off before. A parameter file that has a `[trace]` table of its
    own stands as it is.
    """
    found = 0
    for each in triggers:
        found |= each
    if not found & (TRIGGER_ON | TRIGGER_OFF):
        return configuration
    trace = configuration.filters.trace
    if replace(trace, trTeInstFilters=0) != InstControl():
        return configuration
    trace = replace(trace, trTeInstTrigEnable=True, trTeInstTracing=not found & TRIGGER_ON)
    return replace(configuration, filters=replace(configuration.filters, trace=trace))


def address(place: str, programs: Sequence[Program], what: str = "") -> int:
    """The address of a symbol, of `symbol+0x10`, or a number. Raises `InputError` about `what`."""
    about = f"{what} {place}: " if what else ""
    match = re.fullmatch(r"(.+?)(?:\+(0[xX][0-9a-fA-F]+|\d+))?", place)
    name, offset = (place, 0) if match is None else (match[1], int(match[2] or "0", 0))
    for program in programs:
        if name in program.symbols:
            return program.symbols[name].address + offset
    try:
        number = int(name, 0) + offset
    except ValueError:
        raise InputError(f"{about}{_unknown(name, programs)}") from None
    if not 0 <= number < 1 << 64:
        raise InputError(f"{about or place + ': '}not an address; it must have at most 64 bits")
    return number


def _unknown(name: str, programs: Sequence[Program]) -> str:
    if not programs:
        return f"{name}: no program to look it up in; give an address, or --elf"
    known = [each for program in programs for each in program.symbols]
    return f"no symbol {name}{near(name, known)}; give one of the program, or an address"


def one_is_enough(options: object, *names: str) -> None:
    """Let a string stand for the list with it: it is a sequence too, of its letters."""
    for name in names:
        if isinstance(value := getattr(options, name), str):
            object.__setattr__(options, name, (value,))


def near(name: str, known: Iterable[str]) -> str:
    """What may have been meant by `name`, in words; nothing if nothing known is close."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _function(name: str, programs: Sequence[Program]) -> Range:
    for program in programs:
        if name in program.symbols:
            symbol = program.symbols[name]
            if symbol.size == 0:
                following = sorted(
                    (each.address, other)
                    for other, each in program.symbols.items()
                    if each.address > symbol.address and each.type in ("FUNC", "NOTYPE")
                )
                until = (
                    f"-{following[0][0] - 1:#x}, up to {following[0][1]}" if following else "-HI"
                )
                raise InputError(
                    f"symbol {name} has no size; say --filter-range {symbol.address:#x}{until}"
                )
            return symbol.address, symbol.address + symbol.size - 1
    raise InputError(f"function {name}: {_unknown(name, programs)}")


def _range(text: str, programs: Sequence[Program]) -> Range:
    low, dash, high = text.partition("-")
    if not dash or not low or not high:
        raise InputError(f"range {text}: must be LO-HI, as in 0x80000000-0x80000fff or main-exit")
    first, last = address(low, programs, "range"), address(high, programs, "range")
    if first > last:
        raise InputError(f"range {text}: ends at {last:#x}, before its beginning {first:#x}")
    return first, last


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Ranges that overlap or touch as one."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def _window(first: int, last: int) -> Comparator:
    return Comparator(
        trTeCompPFunction=Function.GREATER_EQUAL.value,
        trTeCompPMatch=first,
        trTeCompSFunction=Function.LESS_EQUAL.value,
        trTeCompSMatch=last,
        trTeCompMatchMode=Mode.BOTH.value,
    )


def _latch(start: int | None, stop: int | None) -> Comparator:
    """From `start` (None: the beginning) until after `stop` (None: the end)."""
    first, last = Function.EQUAL.value, Function.EQUAL.value
    if start is None:
        first, start = Function.SPECIAL.value, 0
    if stop is None:
        # no address is less than 0
        last, stop = Function.LESS.value, 0
    return Comparator(
        trTeCompPFunction=first,
        trTeCompPMatch=start,
        trTeCompSFunction=last,
        trTeCompSMatch=stop,
        trTeCompMatchMode=Mode.LATCH.value,
    )


def _privilege(text: str) -> int:
    name = text.strip().upper()
    if name not in Privilege.__members__:
        known = ", ".join(Privilege.__members__)
        raise InputError(f"privilege {text.strip()}: no such level; it must be one of {known}")
    return Privilege[name].value


def _of_trap(each: Filter, trap: tuple[bool | None, int | None]) -> Filter:
    interrupt, causes = trap
    if causes is not None:
        each = replace(each, trTeFilterMatchEcause=True, trTeFilterMatchChoiceEcause=causes)
    if interrupt is not None:
        each = replace(
            each, trTeFilterMatchInterrupt=True, trTeFilterMatchValueInterrupt=int(interrupt)
        )
    return each


def _cause(text: str) -> tuple[bool | None, int]:
    """Whether it is an interrupt (None: a number says nothing about that), and its number."""
    names = {_plain(name): (False, cause) for cause, name in EXCEPTIONS.items()}
    names |= {_plain(name): (True, cause) for cause, name in INTERRUPTS.items()}
    name = _plain(text)
    if name in names:
        return names[name]
    try:
        cause = int(text, 0)
    except ValueError:
        raise InputError(
            f"cause {text}: no such trap{near(name, names)}; give its number or its name"
        ) from None
    if not 0 <= cause < _CAUSES:
        raise InputError(f"cause {text}: filters know the causes 0 to {_CAUSES - 1}")
    return None, cause


def _plain(name: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))
