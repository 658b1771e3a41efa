"""Filters, comparators and triggers: which instructions are traced, by the fields of the registers.

RISC-V Trace Control Interface, "Trace Encoder Filter Registers", "Trace Encoder Comparator
Registers", trTeControl and trTeInstFilters; docs/qualification.md ("What is qualified") says how
they are read. In a parameter file:

    [trace]             # trTeInstFilters, trTeInstTracing, trTeInstTrigEnable
    [[comparator]]      # comparator 0; the next one is comparator 1
    [[filter]]          # filter 0

Low and high registers are one key of 64 bits. There are no keys for the fields of data trace and
*impdef*: the emulator has neither.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Protocol

from specs.configuration.tables import WORD as _WORD
from specs.configuration.tables import allowed_text, entry, read_table, show, written

MAX_FILTERS, MAX_COMPARATORS = 16, 8

_CONTROL = "trTeControl"
_SELECTION = "trTeInstFilters"
_FILTER_CONTROL = "trTeFilter_i_Control"
_FILTER_INST = "trTeFilter_i_MatchInst"
_FILTER_ECAUSE = "trTeFilter_i_MatchEcauseLow/High"
_COMPARATOR_CONTROL = "trTeComp_j_Control"
_PRIMARY_MATCH = "trTeComp_j_PMatchLow/High"
_SECONDARY_MATCH = "trTeComp_j_SMatchLow/High"

_INPUTS = "0: iaddr, 1: context, 2: tval"
_FUNCTIONS = "0: =, 1: !=, 2: <, 3: <=, 4: >, 5: >="
_COMPARATOR = (0, MAX_COMPARATORS - 1)


class Units(Protocol):
    """The parameters that say what the units for filtering can do."""

    @property
    def filters_p(self) -> int: ...
    @property
    def comparators_p(self) -> int: ...
    @property
    def filter_excint_p(self) -> int: ...
    @property
    def filter_privilege_p(self) -> int: ...
    @property
    def filter_context_p(self) -> int: ...
    @property
    def filter_tval_p(self) -> int: ...


class Input(IntEnum):
    """*trTeCompPInput*, *trTeCompSInput*. 3 is *daddr*, of data trace."""

    IADDR = 0
    CONTEXT = 1
    TVAL = 2


class Function(IntEnum):
    """*trTeCompPFunction*, *trTeCompSFunction*."""

    EQUAL = 0
    NOT_EQUAL = 1
    LESS = 2
    LESS_EQUAL = 3
    GREATER = 4
    GREATER_EQUAL = 5
    SPECIAL = 6  # primary: never, and the latch begins set; secondary: always, its match is a mask
    ALWAYS = 7


class Mode(IntEnum):
    """*trTeCompMatchMode*."""

    PRIMARY = 0
    BOTH = 1
    NOT_BOTH = 2
    LATCH = 3  # from a primary result on, until after a secondary one


@dataclass(frozen=True, kw_only=True)
class InstControl:
    """What is traced at all."""

    # fmt: off
    trTeInstFilters: int = entry(0, (0, (1 << MAX_FILTERS) - 1), _SELECTION,
        "bit i: what filter i matches is traced; 0: everything is")
    trTeInstTracing: bool = entry(True, None, _CONTROL,
        "instruction trace is on when the program begins")
    trTeInstTrigEnable: bool = entry(False, None, _CONTROL,
        "trace-on and trace-off triggers turn it on and off")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class Comparator:
    """The fields of comparator *j*."""

    # fmt: off
    trTeCompPInput: int = entry(0, (0, 2), _COMPARATOR_CONTROL, f"primary input; {_INPUTS}")
    trTeCompSInput: int = entry(0, (0, 2), _COMPARATOR_CONTROL, f"secondary input; {_INPUTS}")
    trTeCompPFunction: int = entry(0, (0, 7), _COMPARATOR_CONTROL,
        f"primary function; {_FUNCTIONS}, 6: never, but the latch begins set, 7: always")
    trTeCompSFunction: int = entry(7, (0, 7), _COMPARATOR_CONTROL,
        f"secondary function; {_FUNCTIONS}, 6: always, trTeCompSMatch is a mask, 7: always")
    trTeCompMatchMode: int = entry(0, (0, 3), _COMPARATOR_CONTROL,
        "output; 0: P, 1: P and S, 2: not (P and S), 3: from P until after S")
    trTeCompPNotify: bool = entry(False, None, _COMPARATOR_CONTROL,
        "report the address of each instruction with a primary match (input iaddr)")
    trTeCompSNotify: bool = entry(False, None, _COMPARATOR_CONTROL,
        "report the address of each instruction with a secondary match (input iaddr)")
    trTeCompPMatch: int = entry(0, _WORD, _PRIMARY_MATCH, "primary match value")
    trTeCompSMatch: int = entry(0, _WORD, _SECONDARY_MATCH, "secondary match value, or the mask")
    # fmt: on

    @property
    def masks(self) -> bool:
        """Whether *trTeCompSMatch* is a mask for the primary comparison."""
        return self.trTeCompSFunction == Function.SPECIAL

    @property
    def inputs(self) -> set[int]:
        """The inputs (`Input`) that its output depends on."""
        found = {self.trTeCompPInput} if self.trTeCompPFunction < Function.SPECIAL else set()
        if self.trTeCompMatchMode != Mode.PRIMARY and self.trTeCompSFunction < Function.SPECIAL:
            found.add(self.trTeCompSInput)
        return found


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The fields of filter *i*."""

    # fmt: off
    trTeFilterEnable: bool = entry(True, None, _FILTER_CONTROL, "the filter can match")
    trTeFilterMatchPrivilege: bool = entry(False, None, _FILTER_CONTROL,
        "match the privilege levels of trTeFilterMatchChoicePrivilege")
    trTeFilterMatchEcause: bool = entry(False, None, _FILTER_CONTROL,
        "match from a trap with a cause of trTeFilterMatchChoiceEcause to the return from it")
    trTeFilterMatchInterrupt: bool = entry(False, None, _FILTER_CONTROL,
        "match from a trap as trTeFilterMatchValueInterrupt says to the return from it")
    trTeFilterMatchComp1: bool = entry(False, None, _FILTER_CONTROL,
        "comparator trTeFilterComp1 has to match")
    trTeFilterComp1: int = entry(0, _COMPARATOR, _FILTER_CONTROL, "number of a comparator")
    trTeFilterMatchComp2: bool = entry(False, None, _FILTER_CONTROL,
        "comparator trTeFilterComp2 has to match")
    trTeFilterComp2: int = entry(0, _COMPARATOR, _FILTER_CONTROL, "number of a comparator")
    trTeFilterMatchComp3: bool = entry(False, None, _FILTER_CONTROL,
        "comparator trTeFilterComp3 has to match")
    trTeFilterComp3: int = entry(0, _COMPARATOR, _FILTER_CONTROL, "number of a comparator")
    trTeFilterMatchChoicePrivilege: int = entry(0, (0, 255), _FILTER_INST,
        "bit n: privilege level n (U 0, S 1, M 3, D 4, VU 5, VS 6)")
    trTeFilterMatchValueInterrupt: int = entry(0, (0, 1), _FILTER_INST,
        "0: exceptions, 1: interrupts")
    trTeFilterMatchChoiceEcause: int = entry(0, _WORD, _FILTER_ECAUSE, "bit n: cause n")
    # fmt: on

    @property
    def comparators(self) -> list[int]:
        """Numbers of the comparators that have to match."""
        selected = (
            (self.trTeFilterMatchComp1, self.trTeFilterComp1),
            (self.trTeFilterMatchComp2, self.trTeFilterComp2),
            (self.trTeFilterMatchComp3, self.trTeFilterComp3),
        )
        return [number for match, number in selected if match]

    @property
    def matches_traps(self) -> bool:
        """Whether it matches from a trap on until the return from it."""
        return self.trTeFilterMatchEcause or self.trTeFilterMatchInterrupt


#: The arrays of tables of a parameter file, and the table beside them.
_UNITS: Mapping[str, tuple[type, int]] = {
    "comparator": (Comparator, MAX_COMPARATORS),
    "filter": (Filter, MAX_FILTERS),
}
#: Names of all of these in a parameter file.
NAMES = ("trace", *_UNITS)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """All registers that decide what is traced: `[trace]`, `[[filter]]` and `[[comparator]]`."""

    trace: InstControl = InstControl()
    filter: tuple[Filter, ...] = ()
    comparator: tuple[Comparator, ...] = ()

    @property
    def selected(self) -> list[Filter]:
        """The filters that *trTeInstFilters* names."""
        return [each for i, each in enumerate(self.filter) if self.trace.trTeInstFilters >> i & 1]

    @property
    def idle(self) -> bool:
        """Everything is traced, and no comparator asks for a report."""
        return self.trace == InstControl() and not any(
            each.trTeCompPNotify or each.trTeCompSNotify for each in self.comparator
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by table; empty for the default. `read` reads them back."""
        if self == Filters():
            return {}
        plain: dict[str, Any] = {"trace": vars(self.trace)}
        for name in _UNITS:
            if units := getattr(self, name):
                plain[name] = [_differing(unit) for unit in units]
        return plain

    def to_toml(self, commented: bool) -> list[str]:
        """Lines of a parameter file; `commented` explains every key, also of what is not there."""
        lines = ["", "[trace]"]
        for each in fields(self.trace):
            if commented:
                lines.append(f"# {each.metadata['text']} ({allowed_text(each)})")
            lines.append(f"{each.name} = {written(each, getattr(self.trace, each.name))}")
        for name, (kind, most) in _UNITS.items():
            if commented:
                lines += ["", f"# [[{name}]]: at most {most}, numbered from 0. Keys and defaults:"]
                for each in fields(kind):
                    lines.append(f"# {each.metadata['text']} ({allowed_text(each)})")
                    lines.append(f"# {each.name} = {written(each, each.metadata['default'])}")
            for unit in getattr(self, name):
                lines += ["", f"[[{name}]]"]
                lines += [
                    f"{each.name} = {written(each, getattr(unit, each.name))}"
                    for each in fields(unit)
                    if each.name in _differing(unit)
                ]
        return lines

    def problems(self, parameters: Units) -> Iterator[str]:
        """What no single key can tell."""
        yield from self._counts(parameters)
        for number, each in enumerate(self.filter):
            where = f"[[filter]] {number}"
            for comparator in each.comparators:
                if comparator >= len(self.comparator):
                    there = _are(len(self.comparator))
                    yield f"{where}: asks for comparator {comparator}, but there {there}"
            if each.matches_traps and parameters.filter_excint_p == 0:
                yield (
                    f"{where}: matches traps, but filter_excint_p in [parameters] is 0; "
                    "set it to the bits of the count of nested traps"
                )
            if each.trTeFilterMatchPrivilege and parameters.filter_privilege_p == 0:
                yield f"{where}: matches privilege, but filter_privilege_p in [parameters] is 0"
        for number, unit in enumerate(self.comparator):
            where = f"[[comparator]] {number}"
            if Input.CONTEXT in unit.inputs and parameters.filter_context_p == 0:
                yield f"{where}: compares context, but filter_context_p in [parameters] is 0"
            if Input.TVAL in unit.inputs and not (
                parameters.filter_tval_p and parameters.filter_excint_p
            ):
                yield (
                    f"{where}: compares tval, but filter_tval_p or filter_excint_p in "
                    "[parameters] is 0"
                )

    def _counts(self, parameters: Units) -> Iterator[str]:
        for name, limit in (
            ("filter", parameters.filters_p),
            ("comparator", parameters.comparators_p),
        ):
            count = len(getattr(self, name))
            if count > limit:
                yield f"[[{name}]]: {count} of them, but {name}s_p in [parameters] is {limit}"
        if missing := self.trace.trTeInstFilters >> len(self.filter):
            number = len(self.filter) + (missing & -missing).bit_length() - 1
            yield (
                f"[trace] trTeInstFilters = {self.trace.trTeInstFilters}: selects filter {number}, "
                f"but there {_are(len(self.filter))}"
            )


#: Everything is traced.
EVERYTHING = Filters()


def _are(count: int) -> str:
    return "is only number 0" if count == 1 else f"are {count}" if count else "is none"


def _differing(unit: Any) -> dict[str, Any]:
    """The keys of a unit whose values are not the defaults."""
    return {
        each.name: value
        for each in fields(unit)
        if (value := getattr(unit, each.name)) != each.metadata["default"]
    }


def read(values: Mapping[str, Any], name: str, problems: list[str]) -> Filters:
    """The filters among the tables of a parameter file or a trace header; notes problems."""
    units = {}
    for key, (kind, most) in _UNITS.items():
        given = values.get(key, [])
        if not isinstance(given, list):
            problems.append(f"{name}: {key}: is {show(given)}, must be [[{key}]]")
            given = []
        if len(given) > most:
            problems.append(f"{name}: [[{key}]]: {len(given)} of them, at most {most} can be")
            given = given[:most]
        units[key] = tuple(
            read_table(kind, each, f"{name}: [[{key}]] {number}", 64, problems)
            for number, each in enumerate(given)
        )
    trace = read_table(InstControl, values.get("trace", {}), f"{name}: [trace]", 64, problems)
    return Filters(trace=trace, **units)


def keys() -> Iterator[tuple[str, Any]]:
    """Every key: the name of its table, and its field."""
    for table, kind in (("trace", InstControl), *((key, unit[0]) for key, unit in _UNITS.items())):
        for each in fields(kind):
            yield table, each
