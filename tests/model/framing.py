"""Packets in a byte stream: the reference framing and the standard encapsulation.

"Unformatted Trace & Diagnostic Data Packet Encapsulation for RISC-V", chapters 2 and 3. The
reference framing is the encapsulation of the golden packet files: a header byte with flow 2, then
the payload.
"""

from collections.abc import Iterator
from dataclasses import dataclass

NULL_IDLE, NULL_ALIGNMENT = 0x00, 0x80
MAX_LENGTH = 31


class FramingError(ValueError):
    """Bytes that are no packet, or a payload that fits in none."""


@dataclass(frozen=True)
class Encapsulation:
    """What is fixed for one source. `srcid_bits` 0-16, `timestamp_bytes` is T, `type_bits` Y."""

    srcid_bits: int = 0
    srcid: int = 0
    timestamp_bytes: int = 0
    type_bits: int = 0
    type_: int = 0
    flow: int = 0

    @property
    def null_run(self) -> int:
        """N: no normal packet holds more null bytes in a row."""
        return 31 + self.timestamp_bytes + self.srcid_bits // 8


@dataclass(frozen=True)
class Framed:
    """A normal packet found in a stream; `payload` in as few bytes as tell it."""

    offset: int
    flow: int
    srcid: int
    timestamp: int | None
    type_: int
    payload: bytes


REFERENCE = Encapsulation(flow=2)


def _bits(value: int, width: int) -> str:
    if not 0 <= value < 1 << width:
        raise FramingError(f"{value} does not fit in {width} bits")
    return "".join("1" if value >> position & 1 else "0" for position in range(width))


def _value(bits: str) -> int:
    return sum(1 << position for position, bit in enumerate(bits) if bit == "1")


def without_sign(bits: str) -> str:
    """The fewest bits, least significant first, that sign extension makes `bits` of; at least 1."""
    stripped = bits.rstrip(bits[-1:])
    return stripped + bits[len(stripped) : len(stripped) + 1]


def frame(payload: bytes, e: Encapsulation, timestamp: int | None = None) -> bytes:
    """One normal packet. The field groups: header, srcID, timestamp, payload (type first).

    The padding repeats the payload's sign, so that it tells nothing, and a reader that cannot know
    where it begins may take it for payload.
    """
    counted = e.srcid_bits % 8 + e.type_bits + 8 * len(payload)
    length = -(-counted // 8)
    if not payload or length > MAX_LENGTH:
        raise FramingError(f"{len(payload)} bytes of payload do not fit in a packet")
    bits = _bits(length, 5) + _bits(e.flow, 2) + ("0" if timestamp is None else "1")
    bits += _bits(e.srcid, e.srcid_bits)
    if timestamp is not None:
        if not e.timestamp_bytes:
            raise FramingError("extend must be 0 if the timestamp's width is 0")
        bits += _bits(timestamp, 8 * e.timestamp_bytes)
    bits += _bits(e.type_, e.type_bits)
    bits += "".join(_bits(byte, 8) for byte in payload)
    bits += bits[-1] * (-len(bits) % 8)
    return bytes(_value(bits[start : start + 8]) for start in range(0, len(bits), 8))


def synchronisation_sequence(e: Encapsulation) -> bytes:
    """For an unframed stream: N null.idle and one null.alignment."""
    return bytes([NULL_IDLE] * e.null_run + [NULL_ALIGNMENT])


def unframe(data: bytes, e: Encapsulation, offset: int = 0) -> Iterator[Framed]:
    """The normal packets from `offset` (the start of a packet) on.

    Raises FramingError where the stream ends inside a packet.
    """
    while offset < len(data):
        header = data[offset]
        length, flow, extend = header & 31, header >> 5 & 3, header >> 7
        if length == 0:
            offset += 1
            continue
        timestamp_bytes = e.timestamp_bytes if extend else 0
        if extend and not timestamp_bytes:
            raise FramingError(f"a timestamp at byte {offset}, where there can be none")
        size = 1 + e.srcid_bits // 8 + timestamp_bytes + length
        if offset + size > len(data):
            raise FramingError(f"the stream ends inside the packet at byte {offset}")
        bits = "".join(_bits(byte, 8) for byte in data[offset + 1 : offset + size])
        srcid, bits = _value(bits[: e.srcid_bits]), bits[e.srcid_bits :]
        timestamp = _value(bits[: 8 * timestamp_bytes]) if extend else None
        bits = bits[8 * timestamp_bytes :]
        type_, bits = _value(bits[: e.type_bits]), bits[e.type_bits :]
        if not bits:
            raise FramingError(f"no payload in the packet at byte {offset}")
        bits = without_sign(bits)
        bits += bits[-1] * (-len(bits) % 8)
        payload = bytes(_value(bits[at : at + 8]) for at in range(0, len(bits), 8))
        yield Framed(offset, flow, srcid, timestamp, type_, payload)
        offset += size


def find_packet(data: bytes, e: Encapsulation, offset: int = 0) -> int | None:
    """Where a packet starts for certain, from any `offset`: after more than N null bytes."""
    run = 0
    for position in range(offset, len(data)):
        if data[position] & 31 == 0:
            run += 1
        elif run > e.null_run:
            return position
        else:
            run = 0
    return None
