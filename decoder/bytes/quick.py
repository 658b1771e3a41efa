"""A short cut for the packets that are frequent: formats 0.1, 1 and 2, straight to a brief.

What the tables of `specs.trace.packets` say of a payload of at most 16 bytes, without walking
through them; where a configuration has other fields, `quick_table` says so, and all is unpacked by
the tables.
"""

from enum import IntEnum

import numpy as np

from decoder.bytes.brief import DEPTH_SHIFT, Brief, Flag
from specs.kernels.memory import load64
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, U63, clz64, s64, u64
from specs.trace.packets import (
    MAP_WIDTH,
    OPTIONS_ROW,
    Column,
    FieldPlace,
    Format,
    Layout,
    OptionPlace,
)

_brief = plain(Brief)
_flag = plain(Flag, np.uint64)
_format = plain(Format, np.uint64)
#: Bits of fields that all configurations have alike.
_FORMAT_BITS, _BRANCHES_BITS, _FULL_MAP_BITS = 2, 5, 31
_FORMAT_MASK = np.uint64((1 << _FORMAT_BITS) - 1)
_BRANCHES_MASK = np.uint64((1 << _BRANCHES_BITS) - 1)
#: Format 1: *branches* and *branch_map* begin here.
_BRANCHES_AT = np.uint64(_FORMAT_BITS)
_MAP_AT = _FORMAT_BITS + _BRANCHES_BITS
#: `unpack_quickly`'s answers.
DONE, OTHER, TOO_LONG = 1, 0, -1


class Quick(IntEnum):
    """Places in `quick_table`'s array; widths are in bits."""

    ADDRESS = 0
    REST = 1  # after the address: notify, updiscon, irreport, irdepth, irets
    FORMAT0 = 2  # format 0 is allowed
    DEPTH = 3  # irdepth or irets
    F0S = 4  # subformat of format 0
    INDEX = 5
    ONLY_INDEX = 6  # format 0 without subformat is 0.1


_quick = plain(Quick)


def quick_table(layout: Layout, allow_format0: bool, full: bool) -> np.ndarray:
    """What the short cut for formats 0.1, 1 and 2 must know of a layout, int64, by `Quick`.

    ADDRESS is -1 if all columns are wanted (`full`) or these formats are not as the short cut
    expects: then all is unpacked by the tables.
    """
    quick = np.zeros(len(Quick), np.int64)
    quick[Quick.ADDRESS] = -1
    quick[Quick.FORMAT0] = allow_format0
    bits = [Column.notify, Column.updiscon, Column.irreport]
    depth = [Column.irdepth, Column.irets]
    tail = [Column.address, *bits, *depth]
    branches = [Column.branches, Column.branch_map]
    index = [Column.format, Column.subformat, Column.index, *branches, Column.irreport, *depth]
    expected = {
        Format.JUMP_TARGET_INDEX: index,
        Format.BRANCH_MAP: [Column.format, *branches, *tail],
        Format.ADDRESS: [Column.format, *tail],
    }
    widths = {}
    for table, columns in expected.items():
        fields = layout.array[table][layout.array[table][:, FieldPlace.column] >= 0]
        if list(fields[:, FieldPlace.column]) != columns:
            return quick
        widths[table] = [int(width) for width in fields[:, FieldPlace.width]]
    f0s, index_bits = widths[Format.JUMP_TARGET_INDEX][1:3]
    address, *after = widths[Format.ADDRESS][1:]
    rest, depth_bits = sum(after), sum(after[len(bits) :])
    maps = [_BRANCHES_BITS, MAP_WIDTH]
    if full or widths != {
        Format.JUMP_TARGET_INDEX: [_FORMAT_BITS, f0s, index_bits, *maps, 1, *after[len(bits) :]],
        Format.BRANCH_MAP: [_FORMAT_BITS, *maps, address, *after],
        Format.ADDRESS: [_FORMAT_BITS, address, *([1] * len(bits)), *after[len(bits) :]],
    }:
        return quick
    quick[Quick.ADDRESS], quick[Quick.REST], quick[Quick.DEPTH] = address, rest, depth_bits
    quick[Quick.F0S], quick[Quick.INDEX] = f0s, index_bits
    format0 = layout.array[OPTIONS_ROW, 0, OptionPlace.format0]
    quick[Quick.ONLY_INDEX] = format0 == Format.JUMP_TARGET_INDEX
    return quick


@njit
def bits_at(low, high, position, width):
    """`width` (1 to 64) bits at `position` (less than 128) of a 128-bit number."""
    if position >= 64:
        value = high >> u64(position - 64)
    elif position == 0:
        value = low
    else:
        value = (low >> u64(position)) | (high << u64(64 - position))
    return value if width >= 64 else value & ((U1 << u64(width)) - U1)


@njit
def bit_at(low, high, position):
    """Bit `position` of a 128-bit number that is sign-extended beyond."""
    if position >= 128:
        return high >> U63
    return bits_at(low, high, s64(position), s64(1))


@spliced
def bits_beyond(low, high, position, width):
    """As `bits_at`, of a 128-bit number that is sign-extended beyond."""
    value = U0
    for i in range(width):
        value |= bit_at(low, high, position + i) << u64(i)
    return value


@njit
def depth_flags(low, high, position, previous, width):
    """`Brief.flags` of irreport at `position`, behind the bit `previous`, and of the depth in the
    `width` bits after it."""
    if bit_at(low, high, position) == previous:
        return U0
    return _flag.IRREPORT | (bits_beyond(low, high, position + 1, width) << DEPTH_SHIFT)


@njit
def map_width(branches):
    """Bits of a branch map for `branches` that is not 0."""
    return (1 << (64 - s64(clz64(branches)))) - 1


@spliced
def unpack_index(low, high, length, quick, briefs, row):
    """`unpack_quickly` of format 0: OTHER if it is not 0.1."""
    f0s = quick[_quick.F0S]
    if quick[_quick.FORMAT0] == 0:
        return OTHER
    if f0s == 0 and quick[_quick.ONLY_INDEX] == 0:
        return OTHER
    if f0s > 0 and bits_at(low, high, s64(_FORMAT_BITS), f0s) != U1:
        return OTHER
    position = _FORMAT_BITS + f0s
    briefs[row, _brief.reason] = U0
    briefs[row, _brief.table] = _format.JUMP_TARGET_INDEX
    briefs[row, _brief.address] = bits_at(low, high, position, quick[_quick.INDEX])
    position += quick[_quick.INDEX]
    branches = bits_at(low, high, position, s64(_BRANCHES_BITS))
    position += _BRANCHES_BITS
    briefs[row, _brief.branches] = branches
    previous = U0
    if branches != U0:
        width = map_width(branches)
        briefs[row, _brief.branch_map] = bits_at(low, high, position, width)
        position += width
        previous = bit_at(low, high, position - 1)
    briefs[row, _brief.flags] = depth_flags(low, high, position, previous, quick[_quick.DEPTH])
    most = (position + 1 + quick[_quick.DEPTH] + 7) & ~7
    return DONE if 8 * length <= most else TOO_LONG


@njit
def unpack_quickly(pointer, at, length, quick, briefs, row):
    """Formats 0.1, 1 and 2 of at most 16 payload bytes at `at`, to briefs[row].

    `pointer`: of the buffer, which has 16 bytes at `at`. DONE; TOO_LONG if the payload is too long
    for its format; OTHER if it is another format.
    """
    low = load64(u64(pointer) + u64(at))
    kind = low & _FORMAT_MASK
    if kind == _FORMAT_MASK:
        return OTHER
    if length > 8:
        high = load64(u64(pointer) + u64(at + 8))
        if length < 16:
            shift = u64(128 - 8 * length)
            high = u64(s64(high << shift) >> s64(shift))
    else:
        if length < 8:
            shift = u64(64 - 8 * length)
            low = u64(s64(low << shift) >> s64(shift))
        high = u64(s64(low) >> 63)
    if kind == U0:
        return unpack_index(low, high, length, quick, briefs, row)
    briefs[row, _brief.reason] = U0
    address_bits = quick[_quick.ADDRESS]
    position = _FORMAT_BITS
    if kind == U1:
        branches = (low >> _BRANCHES_AT) & _BRANCHES_MASK
        position = _MAP_AT + _FULL_MAP_BITS
        if branches != U0:
            position = _MAP_AT + map_width(branches)
        briefs[row, _brief.table] = _format.BRANCH_MAP
        briefs[row, _brief.branches] = branches
        briefs[row, _brief.branch_map] = bits_at(low, high, s64(_MAP_AT), position - _MAP_AT)
        if branches == U0:
            briefs[row, _brief.flags] = U0
            return DONE if 8 * length <= ((position + 7) & ~7) else TOO_LONG
    else:
        briefs[row, _brief.table] = _format.ADDRESS
    briefs[row, _brief.address] = bits_at(low, high, position, address_bits)
    position += address_bits
    top = bit_at(low, high, position - 1)
    notify = bit_at(low, high, position)
    updiscon = bit_at(low, high, position + 1)
    flags = (top ^ notify) | ((notify ^ updiscon) << U1)
    if quick[_quick.DEPTH] > 0:
        flags |= depth_flags(low, high, position + 2, updiscon, quick[_quick.DEPTH])
    briefs[row, _brief.flags] = flags
    return DONE if 8 * length <= ((position + quick[_quick.REST] + 7) & ~7) else TOO_LONG
