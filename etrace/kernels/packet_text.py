"""Kernel: packets as text and as JSON, by the layout of `specs.trace.packets`.

Words are pieces of one `pool` of bytes: piece i is pool[ends[i]:ends[i + 1]]. The names of columns
come first, by `Column`; `etrace.views.packets` says where the others are.
"""

from enum import IntEnum
from typing import Any, NamedTuple

from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import U0, U1, U4, U10, U15, s64, u64
from specs.trace.packets import OPTIONS_ROW, Column, FieldPlace, OptionPlace
from specs.trace.packing import field_width


class Style(IntEnum):
    """How the value of a column is shown: columns of the table `styles`."""

    HEXADECIMAL = 0  # 1: in hexadecimal
    NAMES = 1  # the piece that names value 0, or 0: values have no names
    FLAGS = 2  # the piece that names bit 0, or 0: bits have no names
    FLAG_COUNT = 3
    DERIVED = 4  # the column that says whether this bit differs from the one before it, or 0


class Piece(IntEnum):
    """The first pieces behind the names of columns."""

    QUOTED_NUMBER = 0  # of JSON: up to the number of the packet, and so on
    QUOTED_OFFSET = 1
    QUOTED_LENGTH = 2
    QUOTED_ERROR = 3
    QUOTED_FORMAT = 4
    QUOTED_FRAMING = 5
    QUOTED_FIELDS = 6
    QUOTED_VALUE = 7
    QUOTED_BITS = 8
    QUOTED_IS = 9
    BAD = 10  # of text: in the place of a format
    FORMATS = 11  # of JSON, by table
    TITLES = 19  # of text, likewise
    REASONS = 27


class Ahead(IntEnum):
    """Columns of `Vocabulary.framing`: a field before the payload."""

    COLUMN = 0
    WIDTH = 1  # in bits


class Sign(IntEnum):
    """Single characters."""

    COMMA = ord(",")
    COLON = ord(":")
    SPACE = ord(" ")
    LINE_END = ord("\n")
    SLASH = ord("/")
    EQUALS = ord("=")
    OPEN = ord("(")
    CLOSE = ord(")")
    QUOTE = ord('"')
    ZERO = ord("0")
    X = ord("x")
    A = ord("a")
    BRACE = ord("}")
    BRACKET = ord("]")


class Vocabulary(NamedTuple):
    """What packets of one layout are described with."""

    layout: Any  # int64, `specs.trace.packets.Layout.array`
    framing: Any  # int64, a row an `Ahead`
    styles: Any  # int64, by `Column` and `Style`
    pool: Any  # uint8
    ends: Any  # int64


_column = plain(Column)
_field = plain(FieldPlace)
_option = plain(OptionPlace)
_style = plain(Style)
_NAMES = len(Column)
_piece = plain(Piece)
_ahead = plain(Ahead)
_sign = plain(Sign)


@inlined
def put_piece(out, at, words, piece):
    """Piece number `piece`; the position after it."""
    pool, ends = words.pool, words.ends
    for i in range(ends[piece], ends[piece + 1]):
        out[at] = pool[i]
        at += 1
    return at


@njit
def put_decimal(out, at, value, least):
    """`value` in `least` places or more, blanks before it."""
    digits = 1
    rest = value // U10
    while rest != U0:
        digits += 1
        rest //= U10
    for _ in range(digits, least):
        out[at] = _sign.SPACE
        at += 1
    for i in range(at + digits - 1, at - 1, -1):
        out[i] = _sign.ZERO + s64(value % U10)
        value //= U10
    return at + digits


@njit
def put_hexadecimal(out, at, value):
    out[at] = _sign.ZERO
    out[at + 1] = _sign.X
    digits = 1
    rest = value >> U4
    while rest != U0:
        digits += 1
        rest >>= U4
    at += 2
    for i in range(at + digits - 1, at - 1, -1):
        digit = s64(value & U15)
        out[i] = _sign.ZERO + digit if digit < 10 else _sign.A + digit - 10
        value >>= U4
    return at + digits


@inlined
def shown(value, bits):
    """The bits that are in the packet: a *privilege* of one bit is unpacked to the level's code."""
    return value if bits >= 64 else value & ((U1 << u64(bits)) - U1)


@njit
def put_value(out, at, words, packet, column, bits):
    """A field's value as text, with its name where it has one."""
    styles = words.styles
    value = packet[column]
    if styles[column, _style.HEXADECIMAL] != 0:
        return put_hexadecimal(out, at, value)
    at = put_decimal(out, at, shown(value, bits), 0)
    derived = styles[column, _style.DERIVED]
    if styles[column, _style.NAMES] != 0:
        out[at] = _sign.OPEN
        at = put_piece(out, at + 1, words, styles[column, _style.NAMES] + s64(value))
    elif styles[column, _style.FLAGS] != 0 and value != U0:
        out[at] = _sign.OPEN
        at += 1
        first = True
        for bit in range(styles[column, _style.FLAG_COUNT]):
            if (value >> u64(bit)) & U1 != U0:
                if not first:
                    out[at] = _sign.COMMA
                    at += 1
                at = put_piece(out, at, words, styles[column, _style.FLAGS] + bit)
                first = False
    elif derived != 0 and packet[derived] != U0:
        out[at] = _sign.OPEN
        at = put_piece(out, at + 1, words, column)
    else:
        return at
    out[at] = _sign.CLOSE
    return at + 1


@njit
def write_text(rows, words, number, out):
    """A line for each of `rows` (a column a `Column`); the bytes written.

    `number`: of the first packet.
    """
    layout, framing = words.layout, words.framing
    at = 0
    implicit_exception = layout[OPTIONS_ROW, 0, _option.implicit_exception]
    for row in range(rows.shape[0]):
        at = put_decimal(out, at, u64(number + row), 8)
        out[at] = _sign.SPACE
        at = put_decimal(out, at + 1, rows[row, _column.offset], 10)
        out[at] = _sign.SPACE
        at = put_decimal(out, at + 1, rows[row, _column.length], 3)
        reason = s64(rows[row, _column.reason])
        if reason != 0:
            at = put_piece(out, at, words, _NAMES + _piece.BAD)
            at = put_piece(out, at, words, _NAMES + _piece.REASONS + reason)
            out[at] = _sign.LINE_END
            at += 1
            continue
        table = s64(rows[row, _column.table])
        at = put_piece(out, at, words, _NAMES + _piece.TITLES + table)
        for i in range(framing.shape[0]):
            column = framing[i, _ahead.COLUMN]
            out[at] = _sign.SPACE
            at = put_piece(out, at + 1, words, column)
            out[at] = _sign.EQUALS
            at = put_hexadecimal(out, at + 1, rows[row, column])
            out[at] = _sign.SLASH
            at = put_decimal(out, at + 1, u64(framing[i, _ahead.WIDTH]), 0)
        for i in range(layout.shape[1]):
            column = layout[table, i, _field.column]
            if column < 0:
                break
            width, when = layout[table, i, _field.width], layout[table, i, _field.when]
            bits = field_width(width, when, implicit_exception, rows, row)
            if bits > 0:
                out[at] = _sign.SPACE
                at = put_piece(out, at + 1, words, column)
                out[at] = _sign.EQUALS
                at = put_value(out, at + 1, words, rows[row], column, bits)
                out[at] = _sign.SLASH
                at = put_decimal(out, at + 1, u64(bits), 0)
        out[at] = _sign.LINE_END
        at += 1
    return at


@njit
def put_quoted(out, at, words, piece, more):
    """A name in quotes, behind a comma if there are more before it."""
    if more:
        out[at] = _sign.COMMA
        out[at + 1] = _sign.SPACE
        at += 2
    out[at] = _sign.QUOTE
    at = put_piece(out, at + 1, words, piece)
    out[at] = _sign.QUOTE
    return at + 1


@njit
def put_fields(out, at, words, rows, row):
    """The members of a packet's object behind its format."""
    layout, framing, styles = words.layout, words.framing, words.styles
    implicit_exception = layout[OPTIONS_ROW, 0, _option.implicit_exception]
    table = s64(rows[row, _column.table])
    at = put_piece(out, at, words, _NAMES + _piece.QUOTED_FRAMING)
    for i in range(framing.shape[0]):
        at = put_quoted(out, at, words, framing[i, _ahead.COLUMN], i > 0)
        out[at] = _sign.COLON
        out[at + 1] = _sign.SPACE
        at = put_decimal(out, at + 2, rows[row, framing[i, _ahead.COLUMN]], 0)
    at = put_piece(out, at, words, _NAMES + _piece.QUOTED_FIELDS)
    flags = U0
    more = False
    for i in range(layout.shape[1]):
        column = layout[table, i, _field.column]
        if column < 0:
            break
        width, when = layout[table, i, _field.width], layout[table, i, _field.when]
        bits = field_width(width, when, implicit_exception, rows, row)
        if bits > 0:
            at = put_quoted(out, at, words, column, more)
            at = put_piece(out, at, words, _NAMES + _piece.QUOTED_VALUE)
            at = put_decimal(out, at, shown(rows[row, column], bits), 0)
            at = put_piece(out, at, words, _NAMES + _piece.QUOTED_BITS)
            at = put_decimal(out, at, u64(bits), 0)
            out[at] = _sign.BRACE
            at += 1
            more = True
            derived = styles[column, _style.DERIVED]
            if derived != 0 and rows[row, derived] != U0:
                flags |= U1 << u64(i)
    at = put_piece(out, at, words, _NAMES + _piece.QUOTED_IS)
    more = False
    for i in range(layout.shape[1]):
        if (flags >> u64(i)) & U1 != U0:
            at = put_quoted(out, at, words, layout[table, i, _field.column], more)
            more = True
    out[at] = _sign.BRACKET
    return at + 1


@njit
def write_json(rows, words, number, out):
    """As `write_text`, an object a line."""
    at = 0
    for row in range(rows.shape[0]):
        at = put_piece(out, at, words, _NAMES + _piece.QUOTED_NUMBER)
        at = put_decimal(out, at, u64(number + row), 0)
        at = put_piece(out, at, words, _NAMES + _piece.QUOTED_OFFSET)
        at = put_decimal(out, at, rows[row, _column.offset], 0)
        at = put_piece(out, at, words, _NAMES + _piece.QUOTED_LENGTH)
        at = put_decimal(out, at, rows[row, _column.length], 0)
        reason = s64(rows[row, _column.reason])
        if reason != 0:
            at = put_piece(out, at, words, _NAMES + _piece.QUOTED_ERROR)
            at = put_piece(out, at, words, _NAMES + _piece.REASONS + reason)
            out[at] = _sign.QUOTE
            at += 1
        else:
            table = s64(rows[row, _column.table])
            at = put_piece(out, at, words, _NAMES + _piece.QUOTED_FORMAT)
            at = put_piece(out, at, words, _NAMES + _piece.FORMATS + table)
            out[at] = _sign.QUOTE
            at = put_fields(out, at + 1, words, rows, row)
        out[at] = _sign.BRACE
        out[at + 1] = _sign.LINE_END
        at += 2
    return at
