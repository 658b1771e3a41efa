"""Packets in words, one field at a time: what the kernel behind `etrace dump` must write."""

import json
from contextlib import suppress
from typing import Any

from etrace.trace.reasons import reason_name
from specs.configuration.parameters import Configuration, ParametersError
from specs.isa.privilege import letters
from specs.trace.packets import (
    FORMAT_NAMES,
    IOPTIONS,
    MAP_WIDTH,
    TABLES,
    Column,
    Field,
    Format,
    QualStatus,
    When,
)
from specs.trace.single import TITLES
from specs.trace.support import learn

#: Fields shown in hexadecimal.
_HEXADECIMAL = {Column.address, Column.tval, Column.context, Column.branch_map}

#: Bits that mean something by differing from the bit before them.
_DERIVED = {
    Column.notify: Column.is_notify,
    Column.updiscon: Column.is_updiscon,
    Column.irreport: Column.is_irreport,
}


class PacketText:
    """Describes the packets of one stream, numbered as they come.

    A packet is a row of ints, one a `Column`. What a support packet announces holds for the packets
    after it, as it does for the `decoder.PacketReader` that has read them.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        framing = configuration.framing
        encap = framing.kind == "encap"
        self._framing = {
            Column.srcID: framing.srcid_width if encap else 0,
            Column.timestamp: framing.timestamp_width if encap else 0,
            Column.type: framing.type_width if encap else 0,
        }
        self.number = 0

    def as_json(self, row: list[int]) -> str:
        """One JSON object and a line end."""
        values: dict[str, Any] = {
            "number": self._next(),
            "offset": row[Column.offset],
            "length": row[Column.length],
        }
        if row[Column.reason]:
            values["error"] = reason_name(row[Column.reason])
        else:
            values["format"] = FORMAT_NAMES[row[Column.table]]
            values["framing"] = {
                column.name: row[column] for column, width in self._framing.items() if width
            }
            values["fields"] = {
                column.name: {"value": row[column] & (1 << bits) - 1, "bits": bits}
                for column, bits in self._fields(row)
            }
            values["is"] = [
                column.name
                for column, bits in self._fields(row)
                if column in _DERIVED and row[_DERIVED[column]]
            ]
        self._learn(row)
        return json.dumps(values) + "\n"

    def as_text(self, row: list[int]) -> str:
        """One line: number, offset, length, format, then `field=value/bits`."""
        head = f"{self._next():>8} {row[Column.offset]:>10} {row[Column.length]:>3}"
        if row[Column.reason]:
            return f"{head} ! {reason_name(row[Column.reason])}\n"
        name = FORMAT_NAMES[row[Column.table]]
        parts = [f"{head} {name:<3} {TITLES[name]:<15}"]
        parts += [f"{column.name}={row[column]:#x}/{width}" for column, width in
                  self._framing.items() if width]  # fmt: skip
        for column, bits in self._fields(row):
            if bits:
                parts.append(f"{column.name}={self._value(column, row, bits)}/{bits}")
        self._learn(row)
        return " ".join(parts).rstrip() + "\n"

    def _next(self) -> int:
        self.number += 1
        return self.number - 1

    def _learn(self, row: list[int]) -> None:
        if row[Column.reason] or row[Column.table] != Format.SUPPORT:
            return
        with suppress(ParametersError):  # then the reader has not learned it either
            self._configuration = learn(self._configuration, dict(enumerate(row)))

    def _fields(self, row: list[int]) -> list[tuple[Column, int]]:
        """The fields of a packet with their bits; absent ones have none."""
        values = {Column(column): value for column, value in enumerate(row)}
        found = []
        for field in TABLES[row[Column.table]]:
            bits = field_bits(field, values, self._configuration)
            if bits:
                found.append((field.column, bits))
        return found

    def _value(self, column: Column, row: list[int], bits: int) -> str:
        value = row[column] & (1 << bits) - 1
        text = f"{value:#x}" if column in _HEXADECIMAL else str(value)
        if column == Column.privilege:
            text += f"({letters(row[column])})"
        elif column == Column.qual_status:
            text += f"({QualStatus(value).name})"
        elif column == Column.ioptions and value:
            text += f"({','.join(name for bit, name in enumerate(IOPTIONS) if value >> bit & 1)})"
        elif column in _DERIVED and row[_DERIVED[column]]:
            text += f"({column.name})"
        return text


def field_bits(field: Field, values: dict[Column, int], configuration: Configuration) -> int:
    """Width of `field` in a packet whose earlier fields are `values`; 0 if it is not there."""
    if field.when == When.EXCEPTION and values[Column.interrupt]:
        return 0
    if field.when == When.TRAP_ADDRESS and (
        configuration.modes.implicit_exception and values[Column.thaddr]
    ):
        return 0
    if field.when == When.SOME_BRANCHES and not values[Column.branches]:
        return 0
    if field.when == When.COUNT_ADDRESS and values[Column.branch_fmt] < 2:
        return 0
    width = field.bits(configuration)
    if width == MAP_WIDTH:
        branches = values[Column.branches]
        return 31 if branches == 0 else (1 << branches.bit_length()) - 1
    return width
