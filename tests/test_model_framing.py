"""The model's packet framing."""

from random import Random

import pytest

from tests.model.framing import (
    Encapsulation,
    FramingError,
    find_packet,
    frame,
    synchronisation_sequence,
    unframe,
)


def random_encapsulation(rng: Random) -> Encapsulation:
    srcid_bits = rng.randrange(17)
    type_bits = rng.choice((0, 1, 2, 5))
    return Encapsulation(
        srcid_bits=srcid_bits,
        srcid=rng.randrange(1 << srcid_bits),
        timestamp_bytes=rng.choice((0, 1, 4, 8)),
        type_bits=type_bits,
        type_=rng.randrange(1 << type_bits),
        flow=rng.randrange(4),
    )


def shortest(payload: bytes) -> bytes:
    """The number in as few bytes as tell it."""
    value = int.from_bytes(payload, "little", signed=True)
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def random_packets(rng: Random, e: Encapsulation) -> list[tuple[bytes, int | None]]:
    packets = []
    longest = (31 * 8 - e.type_bits - e.srcid_bits % 8) // 8
    for _ in range(rng.randrange(20)):
        payload = shortest(rng.choice((rng.randbytes, bytes))(rng.choice((1, 2, longest))))
        stamped = e.timestamp_bytes and rng.random() < 0.5
        timestamp = rng.choice((0, (1 << 8 * e.timestamp_bytes) - 1)) if stamped else None
        packets.append((payload, timestamp))
    return packets


@pytest.mark.parametrize("seed", range(60))
def test_unframe_undoes_frame(seed: int) -> None:
    rng = Random(seed)
    e = random_encapsulation(rng)
    packets = random_packets(rng, e)
    stream = b""
    for payload, timestamp in packets:
        stream += rng.choice((b"", b"\x00", b"\x00\x00\x80", synchronisation_sequence(e)))
        stream += frame(payload, e, timestamp)
    framed = list(unframe(stream, e))
    assert [(each.payload, each.timestamp) for each in framed] == packets
    assert {(each.flow, each.srcid, each.type_) for each in framed} <= {(e.flow, e.srcid, e.type_)}


@pytest.mark.parametrize("seed", range(60))
def test_a_packet_is_found_after_a_synchronisation_sequence_only(seed: int) -> None:
    rng = Random(seed)
    e = random_encapsulation(rng)
    first = b"".join(frame(*each) for each in with_encapsulation(rng, e))
    assert find_packet(first, e) is None
    stream = first + synchronisation_sequence(e) + frame(b"\x07", e)
    start = rng.randrange(len(first) + 1)
    found = find_packet(stream, e, start)
    assert found == len(first) + e.null_run + 1


def with_encapsulation(
    rng: Random, e: Encapsulation
) -> list[tuple[bytes, Encapsulation, int | None]]:
    return [(payload, e, timestamp) for payload, timestamp in random_packets(rng, e)]


def test_a_stream_that_ends_inside_a_packet() -> None:
    with pytest.raises(FramingError, match="ends inside the packet at byte 3"):
        list(unframe(b"\x02ab\x03ab", Encapsulation()))


@pytest.mark.parametrize("size", [0, 32])
def test_payloads_that_do_not_fit(size: int) -> None:
    with pytest.raises(FramingError):
        frame(b"\x55" * size, Encapsulation())
