"""Encapsulations whose srcID and type end inside a byte: encoder, decoder and model agree on it.

Packet Encapsulation, "Packet Length": header.length = ceiling((#bits(payload) + #bits(srcID) % 8) /
8), and payload is type and trace payload: what is left of 8 * length bits is trace payload.
"""

from dataclasses import replace

import numpy as np
import pytest

from decoder import packets
from encoder.encoder import Encoder
from specs.configuration.parameters import Configuration, FramingParameters
from specs.trace.packets import Column, Format
from tests.adapter import chunk
from tests.decoder.support import configuration, encapsulation
from tests.decoder.test_framing import SETTINGS, payloads
from tests.decoder.test_model import trial
from tests.model import encoder as model
from tests.model import framing

WIDTHS = [(srcid, type_) for srcid in range(17) for type_ in (0, 1, 2, 3)]


def _framing(srcid: int, type_: int, timestamp: int) -> FramingParameters:
    return FramingParameters(
        srcid_width=srcid,
        srcid=0x5A5A % (1 << srcid),
        type_width=type_,
        type=5 % (1 << type_),
        timestamp_width=timestamp,
        sync_period=0,
    )


def _number(payload: bytes) -> int:
    return int.from_bytes(payload, "little", signed=True)


def test_the_stream_of_another_encoder() -> None:
    """srcID of 6 bits, format 2 for 0x7ffff000: 33 bits of payload, 34 in the packet."""
    base = Configuration.default(32)
    chosen = replace(base, framing=FramingParameters(srcid_width=6, sync_period=0))
    (row,) = packets(bytes.fromhex("05 80 00 f8 ff 3f"), chosen)
    assert not row[Column.reason]
    assert row[Column.table] == Format.ADDRESS
    assert int(row[Column.address]) << 1 == 0x7FFF_F000


@pytest.mark.parametrize("srcid", range(1, 17))
def test_no_bit_more_than_tells_it(srcid: int) -> None:
    """Another encoder's tightest packets: as few bytes as hold the significant bits."""
    given = payloads()
    plain = configuration(SETTINGS)
    chosen = _framing(srcid, 0, 0)
    layout = configuration(SETTINGS, chosen)
    assert plain is not None and layout is not None
    alone = packets(b"".join(framing.frame(each, framing.REFERENCE) for each in given), plain)
    stream = b""
    for each in given:
        significant = _number(each).bit_length() + 1
        length = -(-(srcid % 8 + significant) // 8)
        value = (_number(each) << srcid | chosen.srcid) % (1 << 8 * (srcid // 8 + length))
        stream += bytes([length]) + value.to_bytes(srcid // 8 + length, "little")
    rows = packets(stream, layout)
    assert np.array_equal(rows[:, Column.format :], alone[:, Column.format :])


@pytest.mark.parametrize("timestamp", [0, 24])
def test_every_width_there_and_back(timestamp: int) -> None:
    """Each payload of a trace by every layout: the fields are those of the payload alone."""
    given = payloads()
    plain = configuration(SETTINGS)
    assert plain is not None
    alone = packets(b"".join(framing.frame(each, framing.REFERENCE) for each in given), plain)
    for srcid, type_ in WIDTHS:
        chosen = _framing(srcid, type_, timestamp)
        layout = configuration(SETTINGS, chosen)
        assert layout is not None
        wrapping = encapsulation(chosen)
        stamp = 0xABCDE if timestamp else None
        rows = packets(b"".join(framing.frame(each, wrapping, stamp) for each in given), layout)
        assert not rows[:, Column.reason].any(), (srcid, type_)
        assert np.array_equal(rows[:, Column.format :], alone[:, Column.format :]), (srcid, type_)
        assert (rows[:, Column.srcID] == chosen.srcid).all()
        assert (rows[:, Column.type] == chosen.type).all()
        assert (rows[:, Column.timestamp] == (stamp or 0)).all()


@pytest.mark.parametrize("seed", [4, 9])
def test_padding_is_the_sign(seed: int) -> None:
    """The encoder's bytes are the model's; with the padding the payload is the same number."""
    case, settings = trial(seed)
    wanted = model.encode_bytes(case.rows, settings)
    done = 0
    for srcid, type_ in WIDTHS:
        chosen = _framing(srcid, type_, 0)
        layout = configuration(settings, chosen)
        if layout is None:
            continue
        encoder = Encoder(layout)
        data = encoder.feed(chunk(case.rows)) + encoder.finish()
        wrapping = encapsulation(chosen)
        assert data == b"".join(framing.frame(each, wrapping) for each in wanted), (srcid, type_)
        at = 0
        for each in wanted:
            size = 1 + srcid // 8 + (data[at] & 31)
            value = _number(data[at + 1 : at + size])
            assert value >> (srcid + type_) == _number(each)
            at += size
        done += 1
    assert done > 40


def test_padding_beyond_the_packet_says_nothing() -> None:
    """Its value is "don't care": above all fields of a packet anything may stand."""
    chosen = FramingParameters(srcid_width=3, sync_period=0)
    layout = configuration(SETTINGS, chosen)
    assert layout is not None
    # format 3.2: format, subformat, privilege 3, context 32: 39 bits and 3 of the srcID
    context = 0x89AB_CDEF << 7 | 3 << 4 | 2 << 2 | 3
    rows = packets(
        b"".join(
            bytes([6]) + (0 | context << 3 | junk << 42).to_bytes(6, "little")
            for junk in (0, 0x3F, 0x15)
        ),
        layout,
    )
    assert rows[:, Column.reason].tolist() == [0, 0, 0]
    assert rows[:, Column.context].tolist() == [0x89AB_CDEF] * 3
