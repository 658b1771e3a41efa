"""What the encoder refuses: data that the parameters cannot carry."""

import dataclasses
import re

import numpy as np
import pytest

from encoder.encoder import Encoder
from encoder.output.writer import MAX_PACKET
from specs.configuration.parameters import Configuration, SinkParameters
from specs.interfaces import ingress

BASE = Configuration.default(32)


def _chunk(refs: list[int], **tables: list[tuple[int | bytes, ...]]) -> ingress.Chunk:
    dtypes = {"blocks": ingress.BLOCK, "traps": ingress.TRAP, "sidebands": ingress.SIDEBAND}
    return ingress.Chunk(
        np.array(refs, np.uint32),
        **{name: np.array(rows, dtypes[name]) for name, rows in tables.items()},
    )


def _encoder(**parameters: int) -> Encoder:
    return Encoder(
        dataclasses.replace(BASE, parameters=dataclasses.replace(BASE.parameters, **parameters))
    )


BLOCK = (0x8000_0000, 2, 1, 1, 0, 3)
TRAP = (0x8000_0000, 0, 2, 3, 1)


@pytest.mark.parametrize(
    ("chunk", "parameters", "message"),
    [
        (_chunk([0], blocks=[(1 << 32, 2, 1, 1, 0, 3)]), {}, "iaddr 0x100000000 does not fit"),
        (_chunk([0], blocks=[BLOCK]), {"iaddress_width_p": 31}, "does not fit iaddress_width_p"),
        (_chunk([0], blocks=[(0x1000, 2, 1, 1, 0, 6)]), {}, "priv 6 (VS) does not fit"),
        (
            _chunk([0], blocks=[(0x1000, 2, 1, 1, 0, 1)]),
            {"privilege_width_p": 1},
            "priv 1 (S) does not fit privilege_width_p = 1: one bit tells M and U only",
        ),
        (_chunk([1], traps=[(0, 0, 24, 3, 1)]), {}, "cause 0x18 does not fit ecause_width_p"),
        (_chunk([1], traps=[(0, 1 << 33, 2, 3, 1)]), {}, "tval 0x200000000 does not fit"),
        (_chunk([0], blocks=[(0x1001, 2, 1, 1, 0, 3)]), {}, "not aligned as iaddress_lsb_p = 1"),
        (
            _chunk([0], blocks=[(0x1000, 1, 0, 0, 0, 3)]),
            {"iaddress_lsb_p": 2},
            "not aligned as iaddress_lsb_p = 2",
        ),
        (_chunk([0], blocks=[(0x1000, 1, 1, 1, 0, 3)]), {}, "iretire is less than"),
        (_chunk([16], blocks=[BLOCK]), {}, "reference 0 of the chunk: a reference points past"),
        (_chunk([0, 17], blocks=[BLOCK], traps=[TRAP]), {}, "reference 1 of the chunk"),
        (_chunk([7]), {}, "points past its table"),
        (
            _chunk([7, 0], blocks=[BLOCK], sidebands=[(1, 0, 2, 0, 1)]),
            {},
            "ctype that does not fit",
        ),
    ],
)
def test_refused(chunk: ingress.Chunk, parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ingress.IngressError, match=re.escape(message)):
        _encoder(**parameters).feed(chunk)


def test_nothing_after_the_end() -> None:
    encoder = _encoder()
    encoder.feed(_chunk([0], blocks=[BLOCK]))
    assert encoder.finish()
    assert encoder.finish() == b""
    with pytest.raises(ValueError, match="finished"):
        encoder.feed(_chunk([0], blocks=[BLOCK]))


def test_a_trace_of_nothing_is_two_support_packets() -> None:
    encoder = _encoder()
    data = encoder.finish()
    assert encoder.statistics.packets["3.3"] == 2
    assert sum(encoder.statistics.packets.values()) == 2
    assert encoder.statistics.bytes == len(data)


def test_chunks_do_not_show() -> None:
    """One reference a chunk, each with tables of its own, gives the bytes of one chunk."""
    rng = np.random.default_rng(5)
    blocks = [(0x8000_0000 + 4 * int(rng.integers(64)), 2, 1, 1, 0, 3) for _ in range(200)]
    codes = rng.choice([0, 4, 5, 10, 13, 11], 200)
    refs = [i << 4 | int(code) for i, code in enumerate(codes)]
    whole = _encoder()
    expected = whole.feed(_chunk(refs, blocks=blocks)) + whole.finish()
    pieces = _encoder()
    data = b"".join(
        pieces.feed(_chunk([int(code)], blocks=[block]))
        for code, block in zip(codes, blocks, strict=True)
    )
    assert data + pieces.finish() == expected


def test_the_smallest_sink_holds_any_packet() -> None:
    """Else a hart that waits for room would wait forever."""
    (capacity,) = (each for each in dataclasses.fields(SinkParameters) if each.name == "capacity")
    assert capacity.metadata["allowed"][0] >= MAX_PACKET
