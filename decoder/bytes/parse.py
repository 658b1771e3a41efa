"""Bytes to packets: framing (Packet Encapsulation, chapter 2, or the reference's) and payloads.

A packet becomes a row of `decoder.bytes.brief.Brief` and, unless that says all, one of
`specs.trace.packets.Column`. Where bytes make no sense a row with the `Reason` stands for all that
is skipped, up to the place where packets can be told again:

* after a synchronisation sequence, if the stream has them: after N null bytes in a row, N the
  longest run of them within a packet, what is not null must be a header ("Synchronization");
* else where a chain of plausible packets begins.

Packets of another source or type are no business of this decoder: they are passed over.
"""

from enum import IntEnum

import numpy as np

from decoder.bytes.brief import DEPTH_SHIFT, Brief
from specs.interfaces.flow import Reason
from specs.kernels.memory import load64
from specs.kernels.njit import njit, plain, spliced
from specs.kernels.words import U0, U1, U2, U4, U31, U63, clz64, s64, u64
from specs.trace.framing import EXTEND, FLOW_SHIFT, LENGTH_MASK
from specs.trace.packets import MAP_WIDTH, OPTIONS_ROW, Column, Format, Layout
from specs.trace.packing import WORDS, get, sign_extend, unpack

_column = plain(Column)
_brief = plain(Brief)
_format = plain(Format)
_reason = plain(Reason)

#: What the parser keeps: `Reason` of the damage being skipped (0: none) and its offset in the
#: stream; null bytes seen in a row; packets passed over.
PARSER_STATES = 4
_DAMAGE, _DAMAGE_OFFSET, _NULLS, _FOREIGN = range(PARSER_STATES)

#: Beyond a header the kernels may read this many bytes: the caller pads its buffer.
PADDING = 64
#: Packets that make a chain plausible, and null bytes at most among them.
_CHAIN = 8
_CHAIN_NULLS = 64

#: `frame`'s answers other than a length.
_NULL, _INCOMPLETE, _BAD = 0, -1, -2


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

_DEPTH_SHIFT = np.uint64(DEPTH_SHIFT)


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
        fields = layout.array[table][layout.array[table][:, 0] >= 0]
        if list(fields[:, 0]) != columns:
            return quick
        widths[table] = [int(width) for width in fields[:, 1]]
    f0s, index_bits = widths[Format.JUMP_TARGET_INDEX][1:3]
    address, *after = widths[Format.ADDRESS][1:]
    rest, depth_bits = sum(after), sum(after[len(bits) :])
    maps = [5, MAP_WIDTH]
    if full or widths != {
        Format.JUMP_TARGET_INDEX: [2, f0s, index_bits, *maps, 1, *after[len(bits) :]],
        Format.BRANCH_MAP: [2, *maps, address, *after],
        Format.ADDRESS: [2, address, *([1] * len(bits)), *after[len(bits) :]],
    }:
        return quick
    quick[Quick.ADDRESS], quick[Quick.REST], quick[Quick.DEPTH] = address, rest, depth_bits
    quick[Quick.F0S], quick[Quick.INDEX] = f0s, index_bits
    quick[Quick.ONLY_INDEX] = layout.array[OPTIONS_ROW, 0, 2] == Format.JUMP_TARGET_INDEX
    return quick


@njit
def frame(data, at, end, framing):
    """Bytes of the packet whose header is at `at`; or _NULL, _INCOMPLETE, _BAD."""
    header = s64(data[at])
    length = header & LENGTH_MASK
    if framing[0] != 0:
        if header & ~LENGTH_MASK != framing[6] or length == 0:
            return _BAD
        total = 1 + length
    else:
        if length == 0:
            return _NULL
        total = 1 + (framing[1] >> 3) + length
        if header & EXTEND != 0:
            if framing[5] == 0:
                return _BAD
            total += framing[5]
        if (framing[1] & 7) + framing[3] >= 8 * length:
            return _BAD
    return total if at + total <= end else _INCOMPLETE


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
    return U4 | (bits_beyond(low, high, position + 1, width) << _DEPTH_SHIFT)


@njit
def map_width(branches):
    """Bits of a branch map for `branches` that is not 0."""
    return (1 << (64 - s64(clz64(branches)))) - 1


@spliced
def unpack_index(low, high, length, quick, briefs, row):
    """`unpack_quickly` of format 0: 0 if it is not 0.1."""
    f0s = quick[_quick.F0S]
    if quick[_quick.FORMAT0] == 0:
        return 0
    if f0s == 0 and quick[_quick.ONLY_INDEX] == 0:
        return 0
    if f0s > 0 and bits_at(low, high, s64(2), f0s) != U1:
        return 0
    position = 2 + f0s
    briefs[row, _brief.reason] = U0
    briefs[row, _brief.table] = np.uint64(_format.JUMP_TARGET_INDEX)
    briefs[row, _brief.address] = bits_at(low, high, position, quick[_quick.INDEX])
    position += quick[_quick.INDEX]
    branches = bits_at(low, high, position, s64(5))
    position += 5
    briefs[row, _brief.branches] = branches
    previous = U0
    if branches != U0:
        width = map_width(branches)
        briefs[row, _brief.branch_map] = bits_at(low, high, position, width)
        position += width
        previous = bit_at(low, high, position - 1)
    briefs[row, _brief.flags] = depth_flags(low, high, position, previous, quick[_quick.DEPTH])
    return 1 if 8 * length <= ((position + 1 + quick[_quick.DEPTH] + 7) & ~7) else -1


@njit
def unpack_quickly(pointer, at, length, quick, briefs, row):
    """Formats 0.1, 1 and 2 of at most 16 payload bytes at `at`, to briefs[row].

    1 if done, -1 if the payload is too long for its format, 0 if it is another format.
    """
    low = load64(u64(pointer) + u64(at))
    kind = low & np.uint64(3)
    if kind == np.uint64(3):
        return 0
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
    position = 2
    if kind == U1:
        branches = (low >> U2) & U31
        position = 38
        if branches != U0:
            position = 7 + map_width(branches)
        briefs[row, _brief.table] = np.uint64(_format.BRANCH_MAP)
        briefs[row, _brief.branches] = branches
        briefs[row, _brief.branch_map] = bits_at(low, high, s64(7), position - 7)
        if branches == U0:
            briefs[row, _brief.flags] = U0
            return 1 if 8 * length <= ((position + 7) & ~7) else -1
    else:
        briefs[row, _brief.table] = np.uint64(_format.ADDRESS)
    briefs[row, _brief.address] = bits_at(low, high, position, address_bits)
    position += address_bits
    top = bit_at(low, high, position - 1)
    notify = bit_at(low, high, position)
    updiscon = bit_at(low, high, position + 1)
    flags = (top ^ notify) | ((notify ^ updiscon) << U1)
    if quick[_quick.DEPTH] > 0:
        flags |= depth_flags(low, high, position + 2, updiscon, quick[_quick.DEPTH])
    briefs[row, _brief.flags] = flags
    return 1 if 8 * length <= ((position + quick[_quick.REST] + 7) & ~7) else -1


@njit
def read_packet(data, at, total, framing, layout, quick, words, briefs, row, details, detail):
    """Read the packet of `total` bytes at `at` into briefs[row] and details[detail].

    1 if done, 0 if it is another source's or type's, -1 if no format explains it.
    """
    header = s64(data[at])
    extend = framing[0] == 0 and header & EXTEND != 0
    timestamp_bits = 8 * framing[5] if extend else 0
    start = framing[1] + timestamp_bits + framing[3]
    bits = 8 * (total - 1) - start
    briefs[row, _brief.reason] = U0
    for i in range(WORDS):
        words[i] = U0
    for i in range(total - 1):
        words[i >> 3] |= u64(data[at + 1 + i]) << u64(8 * (i & 7))
    source = get(words, s64(0), framing[1])
    timestamp = get(words, framing[1], timestamp_bits)
    kind = get(words, framing[1] + timestamp_bits, framing[3])
    if source != u64(framing[2]) or kind != u64(framing[4]):
        return 0
    for i in range((bits + 63) >> 6):
        words[i] = get(words, start + 64 * i, s64(64))
    sign_extend(words, bits)
    if words[0] & np.uint64(3) == U0 and quick[_quick.FORMAT0] == 0:
        return -1
    if unpack(layout, words, bits, details, detail) < 0:
        return -1
    details[detail, _column.reason] = U0
    details[detail, _column.flow] = u64((header >> FLOW_SHIFT) & 3)
    details[detail, _column.extend] = U1 if extend else U0
    details[detail, _column.srcID] = source
    details[detail, _column.timestamp] = timestamp
    details[detail, _column.type] = kind
    briefs[row, _brief.table] = details[detail, _column.table]
    briefs[row, _brief.branches] = details[detail, _column.branches]
    briefs[row, _brief.branch_map] = details[detail, _column.branch_map]
    briefs[row, _brief.address] = details[detail, _column.address] | details[detail, _column.index]
    depth = details[detail, _column.irdepth] | details[detail, _column.irets]
    briefs[row, _brief.flags] = (
        details[detail, _column.is_notify]
        | (details[detail, _column.is_updiscon] << U1)
        | (details[detail, _column.is_irreport] << U2)
        | (depth << _DEPTH_SHIFT)
    )
    return 1


@njit
def plausible(data, at, end, final, framing, layout, quick, words, briefs, row, details, detail):
    """Whether a chain of packets begins at `at`: 1 or 0; -1 if that takes more bytes to tell."""
    links = 0
    nulls = 0
    while links < _CHAIN:
        if at >= end:
            return (1 if links >= 2 else 0) if final else -1
        total = frame(data, at, end, framing)
        if total == _INCOMPLETE:
            return 0 if final else -1
        if total == _BAD:
            return 0
        if total == _NULL:
            nulls += 1
            if links == 0 or nulls > _CHAIN_NULLS:
                return 0
            at += 1
            continue
        done = read_packet(
            data, at, total, framing, layout, quick, words, briefs, row, details, detail
        )
        if done < 0:
            return 0
        links += 1
        at += total
    return 1


@njit
def damage(briefs, row, details, detail, offset, reason, length):
    """Rows that stand for bytes which are no packets."""
    for k in range(details.shape[1]):
        details[detail, k] = U0
    details[detail, _column.offset] = u64(offset)
    details[detail, _column.length] = u64(length)
    details[detail, _column.reason] = u64(reason)
    briefs[row, _brief.offset] = u64(offset)
    briefs[row, _brief.reason] = u64(reason)
    briefs[row, _brief.detail] = u64(detail)


@njit
def parse(
    data,
    begin,
    end,
    stream_offset,
    final,
    framing,
    layout,
    quick,
    parser,
    words,
    briefs,
    details,
    found,
):
    """Packets of `data[begin:end]`; where it stopped.

    It stops where `briefs` are full, behind a support packet (the next one's layout may be another)
    or, unless `final`, where more bytes are needed. `data[0]` is byte
    `stream_offset` of the stream; after `end` come `PADDING` bytes. found[0], found[1] (int64) are
    advanced by the rows written to `briefs` and `details`. `parser`: int64, `PARSER_STATES` long;
    `words` (`specs.trace.packing.WORDS` long) is working space.
    """
    at = begin
    pointer = data.ctypes.data
    hurry = quick[_quick.ADDRESS] >= 0 and framing[1] + framing[3] == 0
    row, detail = found[0], found[1]
    supported = False
    while at < end and row < briefs.shape[0] and not supported:
        if parser[_DAMAGE] != 0:
            if framing[7] > 0:
                if data[at] & LENGTH_MASK == 0:
                    parser[_NULLS] += 1
                    at += 1
                    continue
                here = parser[_NULLS] >= framing[8]
                parser[_NULLS] = 0
            else:
                answer = plausible(
                    data,
                    at,
                    end,
                    final,
                    framing,
                    layout,
                    quick,
                    words,
                    briefs,
                    row,
                    details,
                    detail,
                )
                if answer < 0:
                    break
                here = answer == 1
            if not here:
                at += 1
                continue
            since = parser[_DAMAGE_OFFSET]
            length = stream_offset + at - since
            damage(briefs, row, details, detail, since, parser[_DAMAGE], length)
            parser[_DAMAGE] = 0
            row += 1
            detail += 1
            continue
        total = frame(data, at, end, framing)
        if total == _NULL:
            at += 1
            continue
        if total == _INCOMPLETE:
            break
        reason = _reason.BAD_HEADER
        if total > 0:
            head = 1 + framing[5] if data[at] & EXTEND != 0 else 1
            hasty = 0
            if hurry and total - head <= 16:
                hasty = unpack_quickly(pointer, at + head, total - head, quick, briefs, row)
            done = hasty
            if hasty == 0:
                done = read_packet(
                    data, at, total, framing, layout, quick, words, briefs, row, details, detail
                )
            if done > 0:
                briefs[row, _brief.offset] = u64(stream_offset + at)
                if hasty == 0:
                    supported = briefs[row, _brief.table] == np.uint64(_format.SUPPORT)
                    details[detail, _column.offset] = u64(stream_offset + at)
                    details[detail, _column.length] = u64(total)
                    briefs[row, _brief.detail] = u64(detail)
                    detail += 1
                row += 1
            elif done == 0:
                parser[_FOREIGN] += 1
            if done >= 0:
                at += total
                continue
            reason = _reason.BAD_PACKET
        parser[_DAMAGE] = reason
        parser[_DAMAGE_OFFSET] = stream_offset + at
        parser[_NULLS] = 0
        at += 1
    if final and row < briefs.shape[0] and not supported:
        if at < end:
            damage(
                briefs, row, details, detail, stream_offset + at, s64(_reason.TRUNCATED), end - at
            )
            row += 1
            detail += 1
            at = end
        elif parser[_DAMAGE] != 0:
            since = parser[_DAMAGE_OFFSET]
            length = stream_offset + end - since
            damage(briefs, row, details, detail, since, parser[_DAMAGE], length)
            parser[_DAMAGE] = 0
            row += 1
            detail += 1
    found[0], found[1] = row, detail
    return at
