"""Single packets in Python: fields, bits, bytes, words, by the tables of `specs.trace.packets`.

What `specs.trace.packing` does with many packets in kernels, bitstring does here with one; a test
compares the two. Not for loops over a stream: some 0.1 ms a packet.

`bits` are written as a number is: the first field, whose bits go out first, stands at the right. So
the fields are joined in reverse, and what is missing to whole bytes is put at the left; the stream
has the bytes from the right (chapter "Instruction Trace Encoder Output Packets").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

#: The codes that a *privilege* of one bit stands for.
_ONE_BIT = (0, 3)


class PacketError(ValueError):
    """Values that no packet has, or bytes that are none, in one line."""


@dataclass(frozen=True)
class Packet:
    """A packet: `table`, the format; by the spec's names and in the order of transmission the
    `fields` that have bits, and their `widths`.
    """

    table: Format
    fields: dict[str, int]
    widths: dict[str, int]

    @classmethod
    def make(
        cls, table: Format, values: Mapping[str, int], configuration: "Configuration"
    ) -> "Packet":
        """A packet of these values; those of fields without bits, and of the format, may be left
        out. Raises `PacketError` for what is missing, unknown, or does not fit.
        """
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
    def of(cls, row: Sequence[int], configuration: "Configuration") -> "Packet":
        """The packet that a reader gave as a row of `Column`. Raises `PacketError`."""
        table = Format(int(row[Column.table]))
        values = {field.name: int(row[field.column]) for field in TABLES[table]}
        return cls.make(table, values, configuration)

    @classmethod
    def parse(cls, payload: "bytes | Bits", configuration: "Configuration") -> "Packet":
        """The packet of a payload: bytes as they are in the stream, or bits from the right.

        Raises `PacketError` where a reader says BAD_PACKET.
        """
        from bitstring import Bits

        bits = Bits.from_bytes(payload[::-1]) if isinstance(payload, bytes) else payload
        if not len(bits):
            raise PacketError("an empty payload")
        sign = Bits([bits[0]])
        table = _table(sign * _MOST_SELECTORS + bits, configuration)
        # What sign-based compression has left out (chapter "Instruction Trace Encoder Output
        # Packets"), as far as a packet of this format can go.
        widths = [field.bits(configuration) for field in TABLES[table]]
        whole = sign * sum(31 if n == MAP_WIDTH else n for n in widths) + bits
        values: dict[str, int] = {}
        position = 0
        for field in TABLES[table]:
            width = field_bits(field, values, configuration)
            value = take(whole, position, width)
            one_bit = field.column == Column.privilege and width == 1
            values[field.name] = _ONE_BIT[value] if one_bit else value
            position += width
        if len(bits) // 8 > -(-position // 8):
            raise PacketError(f"{_bits(len(bits))}, and the fields have but {position}")
        return cls.make(table, values, configuration)

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
    if field.when == When.EXCEPTION and values["interrupt"]:
        return 0
    if field.when == When.TRAP_ADDRESS and (
        configuration.modes.implicit_exception and values["thaddr"]
    ):
        return 0
    if field.when == When.SOME_BRANCHES and not values["branches"]:
        return 0
    if field.when == When.COUNT_ADDRESS and values["branch_fmt"] < 2:
        return 0
    width = field.bits(configuration)
    if width != MAP_WIDTH:
        return width
    branches = values["branches"]
    return (1 << branches.bit_length()) - 1 if branches else 31


def _table(bits: "Bits", configuration: "Configuration") -> Format:
    """The format of a payload, by its first bits."""
    number = take(bits, 0, 2)
    if number == 3:
        return Format(Format.SYNC + take(bits, 2, 2))
    if number:
        return Format.BRANCH_MAP if number == 1 else Format.ADDRESS
    modes = configuration.modes
    width = configuration.parameters.f0s_width_p
    if not width:  # "inferred from the options field in the support packet"
        only_cache = modes.jump_target_cache and not modes.branch_prediction
        return Format.JUMP_TARGET_INDEX if only_cache else Format.BRANCH_COUNT
    subformat = take(bits, 2, width)
    if subformat > 1:
        raise PacketError(f"format 0 has no subformat {subformat}")
    return Format(subformat)


def _bits(number: int) -> str:
    return f"{number} bit" + ("" if number == 1 else "s")


#: Bits that tell the format: `format` and, of format 0, `f0s_width_p` more.
_MOST_SELECTORS = 2 + 2
#: What the format of a table is told by.
_SELECTORS: dict[Format, dict[str, int]] = {
    table: dict(zip(("format", "subformat"), map(int, name.split(".")), strict=False))
    for table, name in zip(Format, FORMAT_NAMES, strict=True)
}
