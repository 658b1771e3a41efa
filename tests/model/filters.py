"""Which rows are traced: filters, comparators and triggers, by the fields of their registers.

RISC-V Trace Control Interface, "Trace Encoder Filter Registers" and "Trace Encoder Triggers", with
docs/qualification.md where they leave something open. One row at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.model.rows import (
    EXCEPTION,
    TRAP_RETURN,
    TRIGGER_OFF,
    TRIGGER_ON,
    Row,
)
from tests.model.settings import Parameters

#: *trTeCompPInput*, *trTeCompSInput*.
IADDR, CONTEXT, TVAL, DADDR = range(4)
#: *trTeCompPFunction*, *trTeCompSFunction*; what 6 does depends on which.
EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, SPECIAL, ALWAYS = range(8)
#: *trTeCompMatchMode*.
PRIMARY, BOTH, NOT_BOTH, LATCH = range(4)

_FUNCTIONS: tuple[Callable[[int, int], bool], ...] = (
    lambda value, match: value == match,
    lambda value, match: value != match,
    lambda value, match: value < match,
    lambda value, match: value <= match,
    lambda value, match: value > match,
    lambda value, match: value >= match,
)


@dataclass(frozen=True)
class Comparator:
    """The fields of trTeComp *j*. Match values are 64 bits, low and high register together."""

    trTeCompPInput: int = IADDR
    trTeCompSInput: int = IADDR
    trTeCompPFunction: int = EQUAL
    trTeCompSFunction: int = ALWAYS
    trTeCompMatchMode: int = PRIMARY
    trTeCompPNotify: bool = False
    trTeCompSNotify: bool = False
    trTeCompPMatch: int = 0
    trTeCompSMatch: int = 0

    def __post_init__(self) -> None:
        if DADDR in (self.trTeCompPInput, self.trTeCompSInput):
            raise ValueError("input 3 is daddr: there is no data trace")

    @property
    def masks(self) -> bool:
        """Whether *trTeCompSMatch* is a mask for the primary comparison."""
        return self.trTeCompSFunction == SPECIAL

    @property
    def is_of_trap(self) -> bool:
        """Whether the output depends on *tval*."""
        inputs = {self.trTeCompPInput} if self.trTeCompPFunction < SPECIAL else set()
        if self.trTeCompMatchMode != PRIMARY and self.trTeCompSFunction < SPECIAL:
            inputs.add(self.trTeCompSInput)
        return TVAL in inputs


@dataclass(frozen=True)
class Filter:
    """The fields of trTeFilter *i*, those of data trace and *impdef* excepted."""

    trTeFilterEnable: bool = True
    trTeFilterMatchPrivilege: bool = False
    trTeFilterMatchEcause: bool = False
    trTeFilterMatchInterrupt: bool = False
    trTeFilterMatchComp1: bool = False
    trTeFilterComp1: int = 0
    trTeFilterMatchComp2: bool = False
    trTeFilterComp2: int = 0
    trTeFilterMatchComp3: bool = False
    trTeFilterComp3: int = 0
    trTeFilterMatchChoicePrivilege: int = 0
    trTeFilterMatchValueInterrupt: int = 0
    trTeFilterMatchChoiceEcause: int = 0

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
        """Whether rows match from a trap on until the return from it."""
        return self.trTeFilterMatchEcause or self.trTeFilterMatchInterrupt


@dataclass(frozen=True)
class Filtering:
    """All that decides what is traced. `trTeInstTracing` is the value before the first row."""

    trTeInstFilters: int = 0
    filters: tuple[Filter, ...] = ()
    comparators: tuple[Comparator, ...] = ()
    trTeInstTracing: bool = True
    trTeInstTrigEnable: bool = False
    filter_excint_p: int = 1
    ecause_choice_p: int = 6

    def __post_init__(self) -> None:
        if self.trTeInstFilters >> len(self.filters):
            raise ValueError("trTeInstFilters selects a filter that there is not")
        for each in self.filters:
            if any(number >= len(self.comparators) for number in each.comparators):
                raise ValueError("a filter selects a comparator that there is not")
            if each.matches_traps and self.filter_excint_p == 0:
                raise ValueError("filter_excint_p is 0: no filtering on cause or interrupt")


class ComparatorUnit:
    """A comparator and its latch."""

    def __init__(self, fields: Comparator, p: Parameters) -> None:
        self.fields = fields
        self.p = p
        self.latch = fields.trTeCompPFunction == SPECIAL
        self.primary = self.secondary = self.output = False

    def compares(self, function: int, source: int, match: int, mask: int, row: Row) -> bool:
        """The result of a function below 6 on an input of `row`."""
        if source == TVAL and (row.retired or row.itype != EXCEPTION):
            return False
        width = self.p.context_width_p if source == CONTEXT else self.p.iaddress_width_p
        value = {IADDR: row.iaddr, CONTEXT: row.context, TVAL: row.tval}[source]
        mask &= (1 << width) - 1
        return _FUNCTIONS[function](value & mask, match & mask)

    def look(self, row: Row) -> None:
        """Take the next row; `primary`, `secondary` and `output` are its results."""
        f = self.fields
        mask = f.trTeCompSMatch if f.masks else -1
        self.primary = f.trTeCompPFunction == ALWAYS
        if f.trTeCompPFunction < SPECIAL:
            function, source = f.trTeCompPFunction, f.trTeCompPInput
            self.primary = self.compares(function, source, f.trTeCompPMatch, mask, row)
        self.secondary = True
        if f.trTeCompSFunction < SPECIAL:
            function, source = f.trTeCompSFunction, f.trTeCompSInput
            self.secondary = self.compares(function, source, f.trTeCompSMatch, -1, row)
        both = self.primary and self.secondary
        self.latch = self.latch or self.primary
        self.output = (self.primary, both, not both, self.latch)[f.trTeCompMatchMode]
        if self.secondary:
            self.latch = False

    def notifies(self, row: Row) -> bool:
        """Whether the row just taken is to be reported by its address."""
        f = self.fields
        primary = f.trTeCompPNotify and f.trTeCompPInput == IADDR and self.primary
        secondary = f.trTeCompSNotify and f.trTeCompSInput == IADDR and self.secondary
        return row.retired and (primary or secondary)


class FilterUnit:
    """A filter and its count of nested traps."""

    def __init__(self, fields: Filter, filtering: Filtering, p: Parameters) -> None:
        self.fields = fields
        self.p = p
        self.most = 1 << filtering.filter_excint_p
        self.causes = min(1 << filtering.ecause_choice_p, 64)
        self.nested = 0

    def starts(self, trap: Row, comparators: list[ComparatorUnit]) -> bool:
        """Whether a trap is one to match from."""
        f = self.fields
        cause = trap.cause % (1 << self.p.ecause_width_p)
        if f.trTeFilterMatchEcause and not (
            cause < self.causes and f.trTeFilterMatchChoiceEcause >> cause & 1
        ):
            return False
        if f.trTeFilterMatchInterrupt and trap.interrupt != bool(f.trTeFilterMatchValueInterrupt):
            return False
        return all(each.output for each in comparators if each.fields.is_of_trap)

    def matches(self, row: Row, units: list[ComparatorUnit]) -> bool:
        """Take the next row, which all comparators have taken; whether it matches."""
        f = self.fields
        comparators = [units[number] for number in f.comparators]
        holds = True
        if f.matches_traps:
            if not row.retired and (self.nested > 0 or self.starts(row, comparators)):
                self.nested = min(self.nested + 1, self.most)
            holds = self.nested > 0
            if row.retired and row.itype == TRAP_RETURN and self.nested > 0:
                self.nested -= 1
            comparators = [each for each in comparators if not each.fields.is_of_trap]
        if f.trTeFilterMatchPrivilege:
            holds = holds and f.trTeFilterMatchChoicePrivilege >> row.priv & 1 == 1
        return f.trTeFilterEnable and holds and all(each.output for each in comparators)


def qualify(rows: list[Row], filtering: Filtering, p: Parameters) -> list[Row]:
    """`rows` with `qualified` and `notify` as filters, comparators and triggers have them.

    Rows that are not qualified already stay so.
    """
    comparators = [ComparatorUnit(fields, p) for fields in filtering.comparators]
    filters = [FilterUnit(fields, filtering, p) for fields in filtering.filters]
    tracing = filtering.trTeInstTracing
    marked: list[Row] = []
    for row in rows:
        for comparator in comparators:
            comparator.look(row)
        matches = [each.matches(row, comparators) for each in filters]
        selected = [match for i, match in enumerate(matches) if filtering.trTeInstFilters >> i & 1]
        trigger = row.trigger if filtering.trTeInstTrigEnable else 0
        tracing = tracing or trigger & TRIGGER_ON != 0
        marked.append(
            replace(
                row,
                qualified=row.qualified and tracing and (any(selected) or not selected),
                notify=row.notify or any(each.notifies(row) for each in comparators),
            )
        )
        tracing = tracing and trigger & TRIGGER_OFF == 0
    return marked


def window(first: int, last: int) -> Comparator:
    """Matches addresses from `first` to `last`, both included."""
    return Comparator(
        trTeCompPFunction=GREATER_EQUAL,
        trTeCompPMatch=first,
        trTeCompSFunction=LESS_EQUAL,
        trTeCompSMatch=last,
        trTeCompMatchMode=BOTH,
    )


def start_stop(start: int, stop: int) -> Comparator:
    """Matches from the instruction at `start` until that at `stop` has retired."""
    return Comparator(
        trTeCompPMatch=start,
        trTeCompSFunction=EQUAL,
        trTeCompSMatch=stop,
        trTeCompMatchMode=LATCH,
    )
