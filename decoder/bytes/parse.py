"""Bytes to packets: frames, payloads, and what to do where bytes make no sense.

A packet becomes a row of `decoder.bytes.brief.Brief` and, unless that says all, one of
`specs.trace.packets.Column`. Where bytes make no sense a row with the `Reason` stands for all that
is skipped, up to the place where packets can be told again:

* after a synchronisation sequence, if the stream has them: after N null bytes in a row, N the
  longest run of them within a packet, what is not null must be a header ("Synchronization");
* else where a chain of plausible packets begins.

Packets of another source or type are no business of this decoder: they are passed over.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from decoder.bytes.brief import DEPTH_SHIFT, Brief
from decoder.bytes.frames import BAD, INCOMPLETE, NULL, frame
from decoder.bytes.quick import DONE, OTHER, Quick, unpack_quickly
from specs.interfaces.flow import Reason
from specs.kernels.njit import njit, plain
from specs.kernels.words import U0, U1, U2, U3, s64, u64
from specs.trace.framing import EXTEND, FLOW_SHIFT, LENGTH_MASK, FramingField
from specs.trace.packets import Column, Format
from specs.trace.packing import WORDS, get, sign_extend, unpack


class Damage(IntEnum):
    """Places of what `parse` keeps from one call to the next."""

    REASON = 0  # `Reason` of the damage that is being skipped; 0: none
    OFFSET = 1  # where it began in the stream
    NULLS = 2  # null bytes seen in a row
    FOREIGN = 3  # packets passed over


class Found(IntEnum):
    """Places of how many rows are written."""

    BRIEFS = 0
    DETAILS = 1


class Reading(NamedTuple):
    """What packets are read from, and how."""

    data: Any  # uint8, with `PADDING` bytes behind the last one
    framing: Any  # int64, by `specs.trace.framing.FramingField`
    layout: Any  # int64, `specs.trace.packets.Layout.array`
    quick: Any  # int64, by `decoder.bytes.quick.Quick`
    damage: Any  # int64, by `Damage`
    words: Any  # uint64, `specs.trace.packing.WORDS` long: working space


class PacketRows(NamedTuple):
    """Where packets go."""

    briefs: Any  # uint64, a column a `Brief`
    details: Any  # uint64, a column a `specs.trace.packets.Column`
    found: Any  # int64, by `Found`


_column = plain(Column)
_brief = plain(Brief)
_format = plain(Format, np.uint64)
_reason = plain(Reason)
_framing = plain(FramingField)
_quick = plain(Quick)
_damage = plain(Damage)
_found = plain(Found)

#: Beyond a header the kernels may read this many bytes: the caller pads its buffer.
PADDING = 64
#: Payload bytes at most that the short cut takes.
_QUICK_BYTES = 16
#: Packets that make a chain plausible, and null bytes at most among them.
_CHAIN = 8
_CHAIN_NULLS = 64
#: No format explains a packet.
_UNEXPLAINED = -1
#: More bytes are needed to tell.
_UNTOLD = -1
#: In the place of FramingField.srcid: packets of all sources are read.
EVERY_SOURCE = -1


@njit
def read_packet(reading, rows, at, total):
    """Read the packet of `total` bytes at `at` into the next rows.

    DONE, OTHER if it is another source's or type's, _UNEXPLAINED if no format explains it.
    """
    data, framing, words = reading.data, reading.framing, reading.words
    briefs, details = rows.briefs, rows.details
    row, detail = rows.found[_found.BRIEFS], rows.found[_found.DETAILS]
    srcid_width, type_width = framing[_framing.srcid_width], framing[_framing.type_width]
    header = s64(data[at])
    extend = framing[_framing.reference] == 0 and header & EXTEND != 0
    timestamp_bits = 8 * framing[_framing.timestamp_bytes] if extend else 0
    start = srcid_width + timestamp_bits + type_width
    bits = 8 * (total - 1) - start
    briefs[row, _brief.reason] = U0
    for i in range(WORDS):
        words[i] = U0
    for i in range(total - 1):
        words[i >> 3] |= u64(data[at + 1 + i]) << u64(8 * (i & 7))
    source = get(words, s64(0), srcid_width)
    timestamp = get(words, srcid_width, timestamp_bits)
    kind = get(words, srcid_width + timestamp_bits, type_width)
    if framing[_framing.srcid] != EVERY_SOURCE and source != u64(framing[_framing.srcid]):
        return OTHER
    if kind != u64(framing[_framing.type]):
        return OTHER
    for i in range((bits + 63) >> 6):
        words[i] = get(words, start + 64 * i, s64(64))
    sign_extend(words, bits)
    if words[0] & U3 == U0 and reading.quick[_quick.FORMAT0] == 0:
        return _UNEXPLAINED
    if unpack(reading.layout, words, bits, details, detail) < 0:
        return _UNEXPLAINED
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
        | (depth << DEPTH_SHIFT)
    )
    return DONE


@njit
def plausible(reading, rows, at, end, final):
    """Whether a chain of packets begins at `at`: 1 or 0; or _UNTOLD."""
    links = 0
    nulls = 0
    while links < _CHAIN:
        if at >= end:
            return (1 if links >= 2 else 0) if final else _UNTOLD
        total = frame(reading.data, at, end, reading.framing)
        if total == INCOMPLETE:
            return 0 if final else _UNTOLD
        if total == BAD:
            return 0
        if total == NULL:
            nulls += 1
            if links == 0 or nulls > _CHAIN_NULLS:
                return 0
            at += 1
            continue
        if read_packet(reading, rows, at, total) == _UNEXPLAINED:
            return 0
        links += 1
        at += total
    return 1


@njit
def ends_damage(reading, rows, at, end, final):
    """Whether packets can be told again from `at` on: 1 or 0; or _UNTOLD."""
    framing, damage = reading.framing, reading.damage
    if framing[_framing.sync_period] == 0:
        return plausible(reading, rows, at, end, final)
    if reading.data[at] & LENGTH_MASK == 0:
        damage[_damage.NULLS] += 1
        return 0
    here = damage[_damage.NULLS] >= framing[_framing.nulls]
    damage[_damage.NULLS] = 0
    return 1 if here else 0


@njit
def write_damage(rows, offset, reason, length):
    """Rows that stand for bytes which are no packets."""
    row, detail = rows.found[_found.BRIEFS], rows.found[_found.DETAILS]
    details = rows.details
    for k in range(details.shape[1]):
        details[detail, k] = U0
    details[detail, _column.offset] = u64(offset)
    details[detail, _column.length] = u64(length)
    details[detail, _column.reason] = u64(reason)
    rows.briefs[row, _brief.offset] = u64(offset)
    rows.briefs[row, _brief.reason] = u64(reason)
    rows.briefs[row, _brief.detail] = u64(detail)
    rows.found[_found.BRIEFS] += 1
    rows.found[_found.DETAILS] += 1


@njit
def parse(reading, rows, begin, end, stream_offset, final):
    """Packets of `data[begin:end]`; where it stopped.

    It stops where `briefs` are full, behind a support packet (the next one's layout may be another)
    or, unless `final`, where more bytes are needed. `data[0]` is byte
    `stream_offset` of the stream; after `end` come `PADDING` bytes. rows.found is advanced by the
    rows written.
    """
    data, framing, quick, damage = reading.data, reading.framing, reading.quick, reading.damage
    briefs, details, found = rows
    pointer = data.ctypes.data
    srcid_width, srcid = framing[_framing.srcid_width], framing[_framing.srcid]
    whole_byte = srcid_width == 8
    hurry = quick[_quick.ADDRESS] >= 0 and framing[_framing.type_width] == 0
    hurry = hurry and (whole_byte or srcid_width == 0)
    at = begin
    supported = False
    while at < end and found[_found.BRIEFS] < briefs.shape[0] and not supported:
        if damage[_damage.REASON] != 0:
            answer = ends_damage(reading, rows, at, end, final)
            if answer == _UNTOLD:
                break
            if answer == 0:
                at += 1
                continue
            since = damage[_damage.OFFSET]
            write_damage(rows, since, damage[_damage.REASON], stream_offset + at - since)
            damage[_damage.REASON] = 0
            continue
        total = frame(data, at, end, framing)
        if total == NULL:
            at += 1
            continue
        if total == INCOMPLETE:
            break
        row = found[_found.BRIEFS]
        done, reason = s64(_UNEXPLAINED), _reason.BAD_HEADER
        quickly = False
        if total != BAD:
            reason = _reason.BAD_PACKET
            head = 1 + (srcid_width >> 3)
            if data[at] & EXTEND != 0:
                head += framing[_framing.timestamp_bytes]
            others = whole_byte and srcid != EVERY_SOURCE and s64(data[at + 1]) != srcid
            if others:
                done = s64(OTHER)
            elif hurry and total - head <= _QUICK_BYTES:
                done = s64(unpack_quickly(pointer, at + head, total - head, quick, briefs, row))
                quickly = done != OTHER
            if not quickly and not others:
                done = s64(read_packet(reading, rows, at, total))
        if done < 0:
            damage[_damage.REASON] = reason
            damage[_damage.OFFSET] = stream_offset + at
            damage[_damage.NULLS] = 0
            at += 1
            continue
        if done == OTHER:
            damage[_damage.FOREIGN] += 1
        else:
            briefs[row, _brief.offset] = u64(stream_offset + at)
            if not quickly:
                detail = found[_found.DETAILS]
                supported = briefs[row, _brief.table] == _format.SUPPORT
                details[detail, _column.offset] = u64(stream_offset + at)
                details[detail, _column.length] = u64(total)
                briefs[row, _brief.detail] = u64(detail)
                found[_found.DETAILS] += 1
            found[_found.BRIEFS] += 1
        at += total
    if final and found[_found.BRIEFS] < briefs.shape[0] and not supported:
        if at < end:
            write_damage(rows, stream_offset + at, s64(_reason.TRUNCATED), end - at)
            at = end
        elif damage[_damage.REASON] != 0:
            since = damage[_damage.OFFSET]
            write_damage(rows, since, damage[_damage.REASON], stream_offset + end - since)
            damage[_damage.REASON] = 0
    return at
