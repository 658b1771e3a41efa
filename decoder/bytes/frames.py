"""Where a packet ends: its header (Packet Encapsulation, chapter 2, or the reference's)."""

from specs.kernels.njit import njit, plain
from specs.kernels.words import s64
from specs.trace.framing import EXTEND, LENGTH_MASK, FramingField

_framing = plain(FramingField)

#: `frame`'s answers other than a length.
NULL, INCOMPLETE, BAD = 0, -1, -2


@njit
def frame(data, at, end, framing):
    """Bytes of the packet whose header is at `at`; or NULL, INCOMPLETE, BAD."""
    header = s64(data[at])
    length = header & LENGTH_MASK
    if framing[_framing.reference] != 0:
        if header & ~LENGTH_MASK != framing[_framing.header] or length == 0:
            return BAD
        total = 1 + length
    else:
        if length == 0:
            return NULL
        total = 1 + (framing[_framing.srcid_width] >> 3) + length
        if header & EXTEND != 0:
            if framing[_framing.timestamp_bytes] == 0:
                return BAD
            total += framing[_framing.timestamp_bytes]
        if (framing[_framing.srcid_width] & 7) + framing[_framing.type_width] >= 8 * length:
            return BAD
    return total if at + total <= end else INCOMPLETE
