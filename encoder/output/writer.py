"""Kernel: one packet, packed, compressed, framed, written."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from encoder.algorithm.state import Slot
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import U0, U1, U3, U64, clz64, s64, u64
from specs.trace.framing import EXTEND, NULL_ALIGNMENT, NULL_IDLE
from specs.trace.packets import OPTIONS_ROW, Column, Format
from specs.trace.packing import WORDS, field_width, pack, put, sign_extend, significant_bits

#: The longest stretch that one packet can take in the output: header, srcID, timestamp, payload,
#: a synchronisation sequence before it, and the overhang of 8-byte stores.
MAX_PACKET = 1 + 2 + 8 + 31 + 64 + 8

_HAS_TIME = int(Slot.has_time)
_TIME = int(Slot.time)
SINCE_SYNC = int(Slot.since_sync)
PACKETS = int(Slot.packets)
_BYTES_FRAMING = int(Slot.bytes_framing)
_FORMAT = int(Column.format)
_SUBFORMAT = int(Column.subformat)
_TABLE = int(Column.table)
_SYNC = int(Format.SYNC)
_BRANCH_MAP = int(Format.BRANCH_MAP)
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
def emit_short(layout, framing, state, queue, row, table, out, position):
    """Write a packet that fits 128 bits with what precedes it; no timestamp.

    Nearly all packets are such, so this one counts: two registers instead of an array.
    """
    start = framing[1] + framing[3]
    low = u64(framing[2]) | (u64(framing[4]) << u64(framing[1]))
    high = U0
    end = start
    implicit_exception = layout[OPTIONS_ROW, 0, 0]
    for i in range(layout.shape[1]):
        column = layout[table, i, 0]
        if column < 0:
            break
        width = field_width(
            layout[table, i, 1], layout[table, i, 2], implicit_exception, queue, row
        )
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
    out[position] = framing[6] | (size - framing[1] // 8)
    store64(out, position + 1, low)
    store64(out, position + 9, high)
    state[SINCE_SYNC] += u64(size + 1)
    state[PACKETS + table] += U1
    return position + 1 + size


@inlined
def name(queue, row):
    """Fill in the format and subformat of queue[row]."""
    table = s64(queue[row, _TABLE])
    if table >= _SYNC:
        queue[row, _FORMAT] = U3
        queue[row, _SUBFORMAT] = u64(table - _SYNC)
    elif table >= _BRANCH_MAP:
        queue[row, _FORMAT] = u64(table - 1)
    else:
        queue[row, _FORMAT] = U0
        queue[row, _SUBFORMAT] = u64(table)


@njit
def payload_bytes(layout, queue, row, words):
    """Bytes of the payload of queue[row]."""
    name(queue, row)
    for i in range(WORDS):
        words[i] = U0
    end = pack(layout, s64(queue[row, _TABLE]), queue, row, words, _START)
    sign_extend(words, end)
    return (significant_bits(words, _START, end) + 7) >> 3


@spliced
def emit(layout, framing, state, queue, row, words, out, position):
    """Write the packet queue[row] at out[position:]; the position after it."""
    table = s64(queue[row, _TABLE])
    name(queue, row)
    if framing[7] > 0 and s64(state[SINCE_SYNC]) >= framing[7]:
        position = emit_sync_sequence(framing, state, out, position)
    timestamp = framing[5] > 0 and state[_HAS_TIME] != U0
    if not timestamp and layout[table, 0, 3] + framing[1] + framing[3] <= 128:
        return emit_short(layout, framing, state, queue, row, table, out, position)
    return emit_long(layout, framing, state, queue, row, table, timestamp, words, out, position)


@njit
def emit_sync_sequence(framing, state, out, position):
    """N null.idle and one null.alignment."""
    for _ in range(framing[8]):
        out[position] = NULL_IDLE
        position += 1
    out[position] = NULL_ALIGNMENT
    state[SINCE_SYNC] = U0
    state[_BYTES_FRAMING] += u64(framing[8] + 1)
    return position + 1


@njit
def emit_long(layout, framing, state, queue, row, table, timestamp, words, out, position):
    """Write a packet of any size, with a timestamp if there is one."""
    for i in range(WORDS):
        words[i] = U0
    header = framing[6]
    start = put(words, _START, u64(framing[2]), framing[1])
    extra = 0
    if timestamp:
        start = put(words, start, state[_TIME], 8 * framing[5])
        header |= EXTEND
        extra = framing[5]
    start = put(words, start, u64(framing[4]), framing[3])
    end = pack(layout, table, queue, row, words, start)
    sign_extend(words, end)
    size = size_of(start, significant_bits(words, start, end))
    out[position] = header | (size - extra - framing[1] // 8)
    position += 1
    for i in range((size + 7) >> 3):
        store64(out, position + 8 * i, words[i])
    state[SINCE_SYNC] += u64(size + 1)
    state[PACKETS + table] += U1
    return position + size
