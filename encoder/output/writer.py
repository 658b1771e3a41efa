"""Kernel: one packet, packed, compressed, framed, written."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from encoder.state import slot
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import U0, U1, U3, U64, clz64, s64, u64
from specs.trace.framing import EXTEND, NULL_ALIGNMENT, NULL_IDLE, FramingField
from specs.trace.packets import OPTIONS_ROW, Column, FieldPlace, Format, OptionPlace
from specs.trace.packing import WORDS, field_width, pack, put, sign_extend, significant_bits

#: The longest stretch that one packet can take in the output: header, srcID, timestamp, payload,
#: a synchronisation sequence before it, and the overhang of 8-byte stores.
MAX_PACKET = 1 + 2 + 8 + 31 + 64 + 8

framed = plain(FramingField)
_place = plain(FieldPlace)
_column = plain(Column)
_form = plain(Format)
_IMPLICIT_EXCEPTION = int(OptionPlace.implicit_exception)
_START = np.int64(0)


@intrinsic
def store64(_typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Eight bytes, little-endian, at any byte index of a uint8 array; the caller checked bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(base, [args[1]])
        store = builder.store(args[2], builder.bitcast(pointer, ir.IntType(64).as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


@inlined
def put_pair(low, high, position, value, width):
    """As `packing.put`, into two words held in registers (128 bits)."""
    if width < 64:
        value &= (U1 << u64(width)) - U1
    if position >= 64:
        return low, high | (value << u64(position - 64))
    low |= value << u64(position)
    if position + width > 64:
        high |= value >> u64(64 - position)
    return low, high


@inlined
def size_of(start, significant):
    """Bytes up to the end of a payload that begins at bit `start`.

    It is sign-extended to whole bytes, and on to the end of the packet's last byte.
    """
    return (start + ((significant + 7) & ~7) + 7) >> 3


@spliced
def emit_short(work, row, table, out, position):
    """Write a packet that fits 128 bits with what precedes it; no timestamp.

    Nearly all packets are such, so this one counts: two registers instead of an array.
    """
    layout, framing, state, queue = work.layout, work.framing, work.state, work.queue
    start = framing[framed.srcid_width] + framing[framed.type_width]
    low = u64(framing[framed.srcid]) | (
        u64(framing[framed.type]) << u64(framing[framed.srcid_width])
    )
    high = U0
    end = start
    implicit_exception = layout[OPTIONS_ROW, 0, _IMPLICIT_EXCEPTION]
    for i in range(layout.shape[1]):
        column = layout[table, i, _place.column]
        if column < 0:
            break
        width, when = layout[table, i, _place.width], layout[table, i, _place.when]
        width = field_width(width, when, implicit_exception, queue, row)
        if width > 0:
            low, high = put_pair(low, high, end, queue[row, column], width)
            end += width
    # sign-extend both words, then look from the top for the first bit that is not the sign
    if end <= 64:
        high = u64(s64(low << u64(64 - end)) >> 63)
        if end < 64:
            low |= high << u64(end)
    elif end < 128:
        high = u64(s64(high << u64(128 - end)) >> (128 - end))
    sign = u64(s64(high) >> 63)
    top = clz64(high ^ sign)
    if top == U64:
        top += clz64(low ^ sign)
    size = size_of(start, max(129 - s64(top) - start, 1))
    out[position] = framing[framed.header] | (size - framing[framed.srcid_width] // 8)
    store64(out, position + 1, low)
    store64(out, position + 9, high)
    state[slot.since_sync] += u64(size + 1)
    state[slot.packets + table] += U1
    return position + 1 + size


@inlined
def name(queue, row):
    """Fill in the format and subformat of queue[row]."""
    table = s64(queue[row, _column.table])
    if table >= _form.SYNC:
        queue[row, _column.format] = U3
        queue[row, _column.subformat] = u64(table - _form.SYNC)
    elif table >= _form.BRANCH_MAP:
        queue[row, _column.format] = u64(table - 1)
    else:
        queue[row, _column.format] = U0
        queue[row, _column.subformat] = u64(table)


@njit
def payload_bytes(work, row):
    """Bytes of the payload of queue[row]."""
    layout, queue, words = work.layout, work.queue, work.words
    name(queue, row)
    for i in range(WORDS):
        words[i] = U0
    end = pack(layout, s64(queue[row, _column.table]), queue, row, words, _START)
    sign_extend(words, end)
    return (significant_bits(words, _START, end) + 7) >> 3


@spliced
def emit(work, row, out, position):
    """Write the packet queue[row] at out[position:]; the position after it."""
    framing, state, queue = work.framing, work.state, work.queue
    table = s64(queue[row, _column.table])
    name(queue, row)
    period = framing[framed.sync_period]
    if period > 0 and s64(state[slot.since_sync]) >= period:
        position = emit_sync_sequence(framing, state, out, position)
    timestamp = framing[framed.timestamp_bytes] > 0 and state[slot.has_time] != U0
    before = framing[framed.srcid_width] + framing[framed.type_width]
    if not timestamp and before + work.layout[table, 0, _place.most] <= 128:
        return emit_short(work, row, table, out, position)
    return emit_long(work, row, table, timestamp, out, position)


@njit
def emit_sync_sequence(framing, state, out, position):
    """N null.idle and one null.alignment."""
    for _ in range(framing[framed.nulls]):
        out[position] = NULL_IDLE
        position += 1
    out[position] = NULL_ALIGNMENT
    state[slot.since_sync] = U0
    state[slot.bytes_framing] += u64(framing[framed.nulls] + 1)
    return position + 1


@njit
def emit_long(work, row, table, timestamp, out, position):
    """Write a packet of any size, with a timestamp if there is one."""
    framing, state, words = work.framing, work.state, work.words
    for i in range(WORDS):
        words[i] = U0
    header = framing[framed.header]
    start = put(words, _START, u64(framing[framed.srcid]), framing[framed.srcid_width])
    extra = 0
    if timestamp:
        start = put(words, start, state[slot.time], 8 * framing[framed.timestamp_bytes])
        header |= EXTEND
        extra = framing[framed.timestamp_bytes]
    start = put(words, start, u64(framing[framed.type]), framing[framed.type_width])
    end = pack(work.layout, table, work.queue, row, words, start)
    sign_extend(words, end)
    size = size_of(start, significant_bits(words, start, end))
    out[position] = header | (size - extra - framing[framed.srcid_width] // 8)
    position += 1
    for i in range((size + 7) >> 3):
        store64(out, position + 8 * i, words[i])
    state[slot.since_sync] += u64(size + 1)
    state[slot.packets + table] += U1
    return position + size
