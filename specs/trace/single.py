"""Single packets in Python: fields, bits, bytes, words, by the tables of `specs.trace.packets`.

What `specs.trace.packing` does with many packets in kernels is done here with one; a test compares
the two. Not for loops over a stream: some 10 us a packet.

`bits` are written as a number is: the first field, whose bits go out first, stands at the right. So
the fields are joined in reverse, and what is missing to whole bytes is put at the left; the stream
has the bytes from the right (chapter "Instruction Trace Encoder Output Packets").
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from specs.isa.privilege import fits, letters
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

if TYPE_CHECKING:
    from bitstring import Bits

    from specs.configuration.parameters import Configuration

#: What the formats are for.
TITLES = {
    "0.0": "branch count",
    "0.1": "jump target index",
    "1": "branch map",
    "2": "address",
    "3.0": "synchronisation",
    "3.1": "trap",
    "3.2": "context",
    "3.3": "support",
}

#: Fields shown in hexadecimal.
HEXADECIMAL = (Column.address, Column.tval, Column.context, Column.branch_map)

#: Bits that mean something by differing from the bit before them.
DERIVED = {
    Column.notify: Column.is_notify,
    Column.updiscon: Column.is_updiscon,
    Column.irreport: Column.is_irreport,
}

#: Fields whose values have names, from 0.
NAMES = {
    Column.privilege: [letters(code) for code in range(16)],
    Column.qual_status: [status.name for status in QualStatus],
}
#: Fields whose bits have names, from bit 0.
FLAGS = {Column.ioptions: IOPTIONS}

#: A configuration, a parameter file, or None for the defaults.
Params: TypeAlias = "Configuration | str | os.PathLike[str] | None"

#: The codes that a *privilege* of one bit stands for.
_ONE_BIT = (0, 3)
_PRIVILEGE = Column.privilege.name


class PacketError(ValueError):
    """Values that no packet has, or bytes that are none, in one line."""


@dataclass(frozen=True)
class Packet:
    """A packet: `table`, the format; by the spec's names and in the order of transmission the
    `fields` that have bits, and their `widths` in bits.

    Each field is an attribute, too: `packet.branches`. `packet.format` is the name of the format,
    "3.1"; the numbers that are sent for it are `packet.fields["format"]` and `packet.subformat`.
    Packets are equal if format and fields are. `rows`: the input rows that it stands for, where an
    `etrace.model.Encoder` made it.
    """

    table: Format
    fields: dict[str, int]
    widths: dict[str, int] = dataclasses.field(compare=False)
    rows: range | None = dataclasses.field(default=None, compare=False)

    def __hash__(self) -> int:
        return hash((self.table, *self.fields.items()))

    def __getattr__(self, name: str) -> int:
        # only asked for what is not found elsewhere
        fields: dict[str, int] = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        if name in Column.__members__ and fields:
            has = ", ".join(fields)
            raise AttributeError(f"this packet of format {self.format} has no {name}; it has {has}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def make(cls, table: Format, values: Mapping[str, int], params: Params = None) -> "Packet":
        """A packet of these values; those of fields without bits, and of the format, may be left
        out. `params`: a configuration or a parameter file; None: the defaults. Raises `PacketError`
        for what is missing, unknown, or does not fit, and `ParametersError`.
        """
        configuration = _configuration(params)
        known = {field.name for field in TABLES[table]}
        if unknown := sorted(set(values) - known):
            raise PacketError(f"format {FORMAT_NAMES[table]} has no field {unknown[0]}")
        fields, widths = {**_SELECTORS[table], **values}, {}
        for field in TABLES[table]:
            width = field_bits(field, fields, configuration)
            if not width:
                continue
            if field.name not in fields:
                raise PacketError(f"{field.name} is missing")
            value = fields[field.name]
            suits = fits(value, width) if field.column == Column.privilege else value < 1 << width
            if value < 0 or not suits:
                raise PacketError(f"{field.name} = {value:#x} does not fit in {_bits(width)}")
            if value != _SELECTORS[table].get(field.name, value):
                raise PacketError(f"{field.name} = {value} is not format {FORMAT_NAMES[table]}")
            widths[field.name] = width
        return cls(table, {name: fields[name] for name in widths}, widths)

    @classmethod
    def of(cls, row: Sequence[int], params: Params = None) -> "Packet":
        """The packet that a reader gave as a row of `Column`. Raises `PacketError`."""
        table = Format(int(row[Column.table]))
        values = {field.name: int(row[field.column]) for field in TABLES[table]}
        return cls.make(table, values, params)

    @classmethod
    def parse(cls, payload: "bytes | bytearray | Bits", params: Params = None) -> "Packet":
        """The packet of a payload: bytes as they are in the stream, or bits from the right.

        Raises `PacketError` where a reader says BAD_PACKET.
        """
        if isinstance(payload, bytes | bytearray):
            number, length = int.from_bytes(payload, "little"), 8 * len(payload)
        else:
            length = len(payload)
            number = int(payload.u) if length else 0
        return cls.read(number, length, params)

    @classmethod
    def read(
        cls, number: int, length: int, params: Params = None, rows: range | None = None
    ) -> "Packet":
        """`parse` of `length` bits as a number, the first bit sent being its lowest."""
        if length < 1:
            raise PacketError("an empty payload")
        sizes = _sizes(params)
        if number >> (length - 1):
            # What sign-based compression has left out (chapter "Instruction Trace Encoder Output
            # Packets"): a negative number has ones without end.
            number -= 1 << length
        table = _table(number, sizes.configuration)
        fields: dict[str, int] = {}
        widths: dict[str, int] = {}
        # what has no bits is 0, and other fields may depend on it
        values: dict[str, int] = {}
        position = 0
        for name, width, when in sizes.tables[table]:
            if when and not _is_there(when, values, sizes.implicit_exception):
                width = 0
            elif width == MAP_WIDTH:
                width = _map_bits(values["branches"])
            value = values[name] = number >> position & (1 << width) - 1
            if width:
                if width == 1 and name == _PRIVILEGE:
                    value = values[name] = _ONE_BIT[value]
                fields[name], widths[name] = value, width
                position += width
        if length // 8 > -(-position // 8):
            raise PacketError(f"{_bits(length)}, and the fields have but {position}")
        return cls(table, fields, widths, rows)

    @property
    def format(self) -> str:
        """Its name: "2", "3.1"."""
        return FORMAT_NAMES[self.table]

    @property
    def bits(self) -> "Bits":
        """All of its bits, before compression."""
        from bitstring import Bits

        parts = []
        for name, width in self.widths.items():
            value = self.fields[name]
            parts.append(Bits.from_dtype(f"u{width}", value % (1 << width)))
        return Bits.from_joined(reversed(parts))

    @property
    def payload(self) -> bytes:
        """Its bytes after sign-based compression, where it begins a byte."""
        from bitstring import Bits

        bits = self.bits
        sign = bits[0]
        change = bits.find(Bits([not sign]))
        needed = bits[-1:] if change is None else bits[change - 1 :]
        return (Bits([sign]) * (-len(needed) % 8) + needed).tobytes()[::-1]

    @property
    def differing(self) -> tuple[str, ...]:
        """Which of *notify*, *updiscon*, *irreport* say something: by differing from the bit before
        them.
        """
        bits, position, found = self.bits, 0, []
        for name, width in self.widths.items():
            if Column[name] in DERIVED and bits[-1 - position] != bits[-position]:
                found.append(name)
            position += width
        return tuple(found)

    def differences(self, other: "Packet") -> dict[str, tuple[int | None, int | None]]:
        """The fields, by the spec's names, in which `other` differs: both values, None where one
        has no such field. In the order of transmission; empty if they are equal.
        """
        names = [name for table in (self, other) for name in table.fields]
        pairs = {name: (self.fields.get(name), other.fields.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def difference(self, other: "Packet") -> str:
        """What is different in `other`, in words, field by field; "" if they are equal."""
        parts = []
        if self.table != other.table:
            parts.append(
                f"format {self.format} ({TITLES[self.format]}), "
                f"not {other.format} ({TITLES[other.format]})"
            )
        for name in self.differences(other):
            if self.table == other.table or name not in ("format", "subformat"):
                parts.append(f"{name} {self._told(name)}, not {other._told(name)}")
        return "; ".join(parts)

    def _told(self, name: str) -> str:
        return self._value(name) if name in self.fields else "absent"

    def __str__(self) -> str:
        """What `etrace dump` shows of it: the format, then `field=value/bits`."""
        parts = [f"{self.format:<3} {TITLES[self.format]:<15}"]
        parts += [f"{name}={self._value(name)}/{width}" for name, width in self.widths.items()]
        return " ".join(parts)

    def _value(self, name: str) -> str:
        value, column = self.fields[name], Column[name]
        if column in HEXADECIMAL:
            return f"{value:#x}"
        words = ""
        if column in NAMES:
            words = NAMES[column][value]
        elif column in FLAGS:
            words = ",".join(n for bit, n in enumerate(FLAGS[column]) if value >> bit & 1)
        elif name in self.differing:
            words = name
        shown = value % (1 << self.widths[name])
        return f"{shown}({words})" if words else str(shown)


def take(bits: "Bits", position: int, width: int) -> int:
    """The `width` bits from bit `position` on, counted from the right; 0 for what is not there."""
    end = max(len(bits) - position, 0)
    part = bits[max(end - width, 0) : end]
    return int(part.u) if len(part) else 0


def field_bits(field: Field, values: Mapping[str, int], configuration: "Configuration") -> int:
    """Width of `field` in a packet whose earlier fields are `values`; 0 if it is not there.

    `specs.trace.packing.field_width` for kernels.
    """
    if not _is_there(field.when, values, configuration.modes.implicit_exception):
        return 0
    width = field.bits(configuration)
    return _map_bits(values["branches"]) if width == MAP_WIDTH else width


def _is_there(when: int, values: Mapping[str, int], implicit_exception: bool) -> bool:
    if when == When.EXCEPTION:
        return not values["interrupt"]
    if when == When.TRAP_ADDRESS:
        return not (implicit_exception and values["thaddr"])
    if when == When.SOME_BRANCHES:
        return values["branches"] != 0
    return when != When.COUNT_ADDRESS or values["branch_fmt"] >= 2


def _map_bits(branches: int) -> int:
    return (1 << branches.bit_length()) - 1 if branches else 31


class _Sizes:
    """The tables with their widths in one configuration: name, width, `When` (0: always)."""

    def __init__(self, configuration: "Configuration") -> None:
        self.configuration = configuration
        self.implicit_exception = configuration.modes.implicit_exception
        self.tables = [
            [(each.name, each.bits(configuration), int(each.when)) for each in table]
            for table in TABLES
        ]


def _sizes(params: Params) -> _Sizes:
    """Of one configuration, at most, they are kept: many packets of it are read in a row."""
    global _kept
    kept = _kept
    if kept is None or kept.configuration is not params:
        kept = _Sizes(_configuration(params))
        _kept = kept
    return kept


_kept: _Sizes | None = None


def _table(number: int, configuration: "Configuration") -> Format:
    """The format of a payload, by its first bits."""
    form = number & 3
    if form == 3:
        return Format(Format.SYNC + (number >> 2 & 3))
    if form:
        return Format.BRANCH_MAP if form == 1 else Format.ADDRESS
    modes = configuration.modes
    width = configuration.parameters.f0s_width_p
    if not width:  # "inferred from the options field in the support packet"
        only_cache = modes.jump_target_cache and not modes.branch_prediction
        return Format.JUMP_TARGET_INDEX if only_cache else Format.BRANCH_COUNT
    subformat = number >> 2 & (1 << width) - 1
    if subformat > 1:
        raise PacketError(f"format 0 has no subformat {subformat}")
    return Format(subformat)


def _configuration(params: Params) -> "Configuration":
    from specs.configuration.parameters import Configuration, load

    if params is None or isinstance(params, Configuration):
        return params or load(None)
    return load(os.fspath(params))


def _bits(number: int) -> str:
    return f"{number} bit" + ("" if number == 1 else "s")


#: What the format of a table is told by.
_SELECTORS: dict[Format, dict[str, int]] = {
    table: dict(zip(("format", "subformat"), map(int, name.split(".")), strict=False))
    for table, name in zip(Format, FORMAT_NAMES, strict=True)
}
