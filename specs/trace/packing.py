"""Packets to bits and back, by the tables of `specs.trace.packets`.

Multi-bit fields go least significant bit first, the first field in the least significant bits of
byte 0. Sign-based compression (chapter "Instruction Trace Encoder Output Packets") drops from the
top of the whole payload every bit that sign extension restores.

Payloads are held in `words`, a uint64 array of `WORDS` elements, bit i of the payload at bit i % 64
of words[i // 64].
"""

import numpy as np

from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import ALL_ONES, U0, U1, U3, U63, U64, clz64, s64, u64
from specs.trace.packets import (
    MAP_WIDTH,
    OPTIONS_ROW,
    Column,
    FieldPlace,
    Format,
    OptionPlace,
    When,
)

WORDS = 8
_BITS = 64 * WORDS

_place = plain(FieldPlace)
_option = plain(OptionPlace)

_ALWAYS = int(When.ALWAYS)
_EXCEPTION = int(When.EXCEPTION)
_TRAP_ADDRESS = int(When.TRAP_ADDRESS)
_SOME_BRANCHES = int(When.SOME_BRANCHES)
_COUNT_ADDRESS = int(When.COUNT_ADDRESS)

_FORMAT = int(Column.format)
_SUBFORMAT = int(Column.subformat)
_INTERRUPT = int(Column.interrupt)
_THADDR = int(Column.thaddr)
_PRIVILEGE = int(Column.privilege)
_ADDRESS = int(Column.address)
_BRANCHES = int(Column.branches)
_BRANCH_MAP = int(Column.branch_map)
_BRANCH_FMT = int(Column.branch_fmt)
_NOTIFY = int(Column.notify)
_UPDISCON = int(Column.updiscon)
_IRREPORT = int(Column.irreport)
_IS_NOTIFY = int(Column.is_notify)
_IS_UPDISCON = int(Column.is_updiscon)
_IS_IRREPORT = int(Column.is_irreport)
_TABLE = int(Column.table)
_FIRST_FIELD = int(Column.format)

_BRANCH_COUNT = int(Format.BRANCH_COUNT)
_JUMP_TARGET_INDEX = int(Format.JUMP_TARGET_INDEX)
_BRANCH_MAP_FORMAT = int(Format.BRANCH_MAP)
_ADDRESS_FORMAT = int(Format.ADDRESS)
_SYNC = int(Format.SYNC)


@inlined
def field_width(width, when, implicit_exception, packets, row):
    """Bits of a field in packets[row], from the fields before it; 0 if it is not there."""
    if when != _ALWAYS:
        if when == _EXCEPTION and packets[row, _INTERRUPT] != U0:
            return 0
        if when == _TRAP_ADDRESS and implicit_exception != 0 and packets[row, _THADDR] != U0:
            return 0
        if when == _SOME_BRANCHES and packets[row, _BRANCHES] == U0:
            return 0
        if when == _COUNT_ADDRESS and packets[row, _BRANCH_FMT] < np.uint64(2):
            return 0
    if width == MAP_WIDTH:
        branches = packets[row, _BRANCHES]
        if branches == U0:
            return 31
        return (1 << (64 - s64(clz64(branches)))) - 1
    return width


@inlined
def put(words, position, value, width):
    """Write the low `width` bits of `value` at bit `position`; bits above `position` are zero."""
    if width <= 0:
        return position
    if width < 64:
        value &= (U1 << u64(width)) - U1
    word = position >> 6
    shift = u64(position & 63)
    words[word] |= value << shift
    if s64(shift) + width > 64:
        words[word + 1] |= value >> (U64 - shift)
    return position + width


@inlined
def get(words, position, width):
    """The `width` bits at bit `position`; 0 for no bits, and 0 beyond the array."""
    if width <= 0 or position + width > _BITS:
        return U0
    word = position >> 6
    shift = u64(position & 63)
    value = words[word] >> shift
    if s64(shift) + width > 64:
        value |= words[word + 1] << (U64 - shift)
    if width < 64:
        value &= (U1 << u64(width)) - U1
    return value


@njit
def pack(layout, table, packets, row, words, position):
    """Append packets[row], of format `table`, at bit `position`; the position after it."""
    implicit_exception = layout[OPTIONS_ROW, 0, _option.implicit_exception]
    for i in range(layout.shape[1]):
        column = layout[table, i, _place.column]
        if column < 0:
            break
        width, when = layout[table, i, _place.width], layout[table, i, _place.when]
        bits = field_width(width, when, implicit_exception, packets, row)
        position = put(words, position, packets[row, column], bits)
    return position


@njit
def sign_extend(words, length):
    """Fill everything above bit `length - 1` (length >= 1) with that bit."""
    last = (length - 1) >> 6
    shift = u64((length - 1) & 63)
    sign = (words[last] >> shift) & U1
    fill = U0 - sign
    if shift < U63:
        above = ALL_ONES << (shift + U1)
        words[last] = (words[last] & ~above) | (fill & above)
    for i in range(last + 1, WORDS):
        words[i] = fill


@njit
def significant_bits(words, start, length):
    """Bits from `start` that sign extension needs to restore `words[start:length]`; at least 1.

    `words` is sign-extended from bit `length - 1`.
    """
    last = (length - 1) >> 6
    sign = (words[last] >> u64((length - 1) & 63)) & U1
    fill = U0 - sign
    for i in range(last, -1, -1):
        different = words[i] ^ fill
        if different != U0:
            highest = 64 * i + 63 - s64(clz64(different))
            if highest < start:
                return 1
            return highest + 2 - start
    return 1


@njit
def unpack(layout, words, length, packets, row):
    """Read the packet that starts at bit 0 of `words` into packets[row] (uint64, one a `Column`).

    `words` is sign-extended from bit `length - 1`. Returns the packet's bits before compression, or
    -1 if `length` is too long for it: then something else than a packet of this layout was read.
    A *privilege* of one bit is given as the level's code (`specs.isa.privilege`).
    """
    for i in range(_FIRST_FIELD, packets.shape[1]):
        packets[row, i] = U0
    kind = words[0] & U3
    if kind == U0:
        table = layout[OPTIONS_ROW, 0, _option.format0]
        f0s_width = layout[OPTIONS_ROW, 0, _option.f0s_width]
        if f0s_width > 0:
            selector = get(words, s64(2), f0s_width)
            if selector > U1:
                return -1
            table = _JUMP_TARGET_INDEX if selector == U1 else _BRANCH_COUNT
    elif kind == U1:
        table = _BRANCH_MAP_FORMAT
    elif kind == np.uint64(2):
        table = _ADDRESS_FORMAT
    else:
        table = _SYNC + s64((words[0] >> np.uint64(2)) & U3)
    packets[row, _TABLE] = u64(table)
    position = 0
    previous = U0
    implicit_exception = layout[OPTIONS_ROW, 0, _option.implicit_exception]
    for i in range(layout.shape[1]):
        where = layout[table, i, _place.column]
        if where < 0:
            break
        width, when = layout[table, i, _place.width], layout[table, i, _place.when]
        bits = field_width(width, when, implicit_exception, packets, row)
        value = get(words, position, bits)
        packets[row, where] = value
        if where == _PRIVILEGE and bits == 1:
            packets[row, where] = value * U3
        if bits > 0:
            if where == _NOTIFY:
                packets[row, _IS_NOTIFY] = value ^ previous
            elif where == _UPDISCON:
                packets[row, _IS_UPDISCON] = value ^ previous
            elif where == _IRREPORT:
                packets[row, _IS_IRREPORT] = value ^ previous
            previous = (value >> u64(bits - 1)) & U1
            position += bits
    # whole bytes, and less than one of padding
    if length & ~7 > ((position + 7) >> 3) * 8:
        return -1
    return position
