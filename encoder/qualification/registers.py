"""The registers of filters and comparators as the matrices that the kernels read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from encoder.qualification import comparators as compare
from encoder.qualification import filters as kernel
from encoder.qualification.filters import Option
from specs.configuration.filters import Comparator, Filter, Filters, Function, Input, Mode

if TYPE_CHECKING:
    from specs.configuration.parameters import Parameters

Words = npt.NDArray[np.uint64]
_ALL = (1 << 64) - 1


def relevant(registers: Filters) -> list[Comparator]:
    """The comparators; what nothing depends on in them is such that it never changes."""
    used = {number for each in _live(registers) for number in each.comparators}
    found = []
    for number, unit in enumerate(registers.comparator):
        second = number in used and unit.trTeCompMatchMode != Mode.PRIMARY
        if number not in used and not unit.trTeCompPNotify:
            unit = replace(unit, trTeCompPFunction=Function.ALWAYS)
        if not second and not unit.trTeCompSNotify and not unit.masks:
            unit = replace(unit, trTeCompSFunction=Function.ALWAYS)
        found.append(unit)
    return found


def _live(registers: Filters) -> list[Filter]:
    """The filters that can match."""
    return [each for each in registers.selected if each.trTeFilterEnable]


def mask(units: Sequence[object], holds: Callable[[int], bool]) -> int:
    """Bits of the numbers for which `holds`."""
    return sum(1 << number for number in range(len(units)) if holds(number))


def primed(unit: Comparator) -> bool:
    """Whether its latch begins set."""
    return unit.trTeCompPFunction == Function.SPECIAL


def _widths(parameters: "Parameters") -> dict[int, int]:
    """Widths of the comparators' inputs."""
    address = parameters.iaddress_width_p
    return {Input.IADDR: address, Input.CONTEXT: parameters.context_width_p, Input.TVAL: address}


def comparators(units: list[Comparator], parameters: "Parameters") -> Words:
    """A row each, of `compare.COLUMNS`; match values are masked and cut to the input."""
    matrix = np.zeros((len(units), compare.COLUMNS), np.uint64)
    widths = _widths(parameters)
    for row, unit in zip(matrix, units, strict=True):
        primary, secondary = row[: compare.SIDE], row[compare.SIDE :]
        compared = unit.trTeCompSMatch if unit.masks else _ALL
        for side, function, source, match, notify, bits in (
            (primary, unit.trTeCompPFunction, unit.trTeCompPInput, unit.trTeCompPMatch,
             unit.trTeCompPNotify, compared),
            (secondary, unit.trTeCompSFunction, unit.trTeCompSInput, unit.trTeCompSMatch,
             unit.trTeCompSNotify, _ALL),
        ):  # fmt: skip
            bits &= (1 << widths[source]) - 1
            side[compare.FUNCTION] = function
            side[compare.INPUT] = source
            side[compare.MASK] = bits
            side[compare.MATCH] = match & bits
            side[compare.NOTIFIES] = notify and source == Input.IADDR
    return matrix


def filters(registers: Filters, parameters: "Parameters") -> Words:
    """A row for each filter that can match, of `encoder.qualification.filters.FILTER_COLUMNS`."""
    live = _live(registers)
    matrix = np.zeros((len(live), kernel.FILTER_COLUMNS), np.uint64)
    causes = (1 << min(1 << parameters.ecause_choice_p, 64)) - 1
    for row, each in zip(matrix, live, strict=True):
        asked = set(each.comparators)
        of_traps = {n for n in asked if Input.TVAL in registers.comparator[n].inputs}
        if not each.matches_traps:
            of_traps = set()
        row[kernel.NEED] = sum(1 << number for number in asked - of_traps)
        row[kernel.START] = sum(1 << number for number in of_traps)
        row[kernel.LEVELS] = _ALL
        if each.trTeFilterMatchPrivilege:
            row[kernel.LEVELS] = each.trTeFilterMatchChoicePrivilege
        row[kernel.ECAUSE] = each.trTeFilterMatchEcause
        row[kernel.CAUSES] = each.trTeFilterMatchChoiceEcause & causes
        if each.trTeFilterMatchInterrupt:
            row[kernel.KIND] = 2 + each.trTeFilterMatchValueInterrupt
        else:
            row[kernel.KIND] = each.trTeFilterMatchEcause
    return matrix


def options(registers: Filters, units: list[Comparator], parameters: "Parameters") -> Words:
    """By `encoder.qualification.filters.Option`."""
    options = np.zeros(len(Option), np.uint64)
    live = _live(registers)
    used = {number for each in live for number in each.comparators}
    always = mask(units, lambda j: units[j].trTeCompPFunction == Function.ALWAYS)
    second = mask(units, lambda j: units[j].trTeCompSFunction >= Function.SPECIAL)
    options[Option.constant] = always | second << 8
    for number, unit in enumerate(units):
        options[Option[Mode(unit.trTeCompMatchMode).name.lower()]] |= np.uint64(1 << number)
    latches = mask(units, lambda j: j in used and units[j].trTeCompMatchMode == Mode.LATCH)
    contexts = mask(units, lambda j: Input.CONTEXT in units[j].inputs)
    options[Option.moving] = latches | contexts
    options[Option.latches] = latches
    options[Option.restless] = latches & contexts != 0
    options[Option.everything] = registers.trace.trTeInstFilters == 0
    options[Option.traps] = any(each.matches_traps for each in live)
    options[Option.triggers] = registers.trace.trTeInstTrigEnable
    options[Option.most] = 1 << parameters.filter_excint_p
    options[Option.cause_mask] = (1 << parameters.ecause_width_p) - 1
    return options


def plan(units: list[Comparator], parameters: "Parameters", options: Words) -> Words:
    """How `encoder.qualification.comparators.split` is to split blocks."""
    plan = np.zeros(compare.PLAN, np.uint64)
    plan[compare.CONSTANT] = options[Option.constant]
    plan[compare.LATCHES] = options[Option.latches]
    plan[compare.CLEARED] = int(options[Option.latches]) & mask(
        units,
        lambda j: (
            units[j].trTeCompSInput == Input.CONTEXT
            and units[j].trTeCompSFunction < Function.SPECIAL
        ),
    )
    plan[compare.STEP] = 2 if parameters.iaddress_lsb_p == 2 else 1
    plan[compare.ALWAYS_WALK] = any(
        unit.masks
        and unit.trTeCompPInput == Input.IADDR
        and unit.trTeCompPFunction < Function.SPECIAL
        for unit in units
    )
    return plan
