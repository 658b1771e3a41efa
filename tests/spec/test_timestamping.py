"""E-Trace 2.0, "Timestamping", and Packet Encapsulation: header, srcID, timestamp, nulls.

The bytes are worked out by hand, from the fields' order and widths.
"""

from dataclasses import replace

import pytest

from encoder.encoder import Encoder
from specs.configuration.parameters import Configuration, FramingParameters
from specs.isa.control import CodeMap
from tests import adapter
from tests.decoder import support
from tests.model.rows import Retired
from tests.spec import notation
from tests.spec.notation_context import CONTEXTS, RV64, flow

CODE = """
    1000: 00000013  nop
    1004: 00000013  nop
"""

#: format 3, subformat 3, ienable 1, all else 0.
SUPPORT = 0x1F
#: format 3, subformat 0, branch 1, privilege 3, address 0x1000 >> 1: 3 bytes, compressed.
START = 3 | 0 << 2 | 1 << 4 | 3 << 5 | 0x800 << 7


def framed(**framing: object) -> Configuration:
    chosen = FramingParameters(kind="encap", sync_period=0, **framing)  # type: ignore[arg-type]
    return replace(adapter.configuration(RV64), framing=chosen)


def encoded(configuration: Configuration, text: str = "1000 time=4660\n1004") -> bytes:
    encoder = Encoder(configuration)
    return encoder.feed(adapter.chunk(flow(text, CODE))) + encoder.finish()


def test_header_alone() -> None:
    """Length in bits 4:0, flow in 6:5, extend in 7."""
    data = encoded(framed(flow=2))
    assert data[:2] == bytes([1 | 2 << 5, SUPPORT])
    assert data[2:6] == bytes([3 | 2 << 5]) + START.to_bytes(3, "little")


def test_a_timestamp_sets_extend() -> None:
    """T bytes behind the header; header.length is that of the payload alone."""
    data = encoded(framed(timestamp_width=16))
    (at,) = (at for at in range(len(data)) if data[at : at + 3] == bytes([0x83, 0x34, 0x12]))
    assert data[at + 3 : at + 6] == START.to_bytes(3, "little")


def test_srcid_of_odd_width() -> None:
    """12 bits: S is 1 byte, the other 4 bits count as payload; then T, then the payload.

    1 + S + T + header.length = 1 + 1 + 2 + ceil((24 + 4) / 8) = 8 bytes.
    """
    data = encoded(framed(srcid_width=12, srcid=0xABC, timestamp_width=16, flow=1))
    assert bytes.fromhex("a4 bc 4a 23 31 07 40 00") in data
    assert (0xABC | 0x1234 << 12 | START << 28).to_bytes(7, "little") in data


def test_srcid_and_type_fill_a_byte() -> None:
    """6 and 2 bits, as in the chapter "Code fragment and transport"."""
    data = encoded(framed(srcid_width=6, srcid=5, type_width=2, type=2))
    assert data[:3] == bytes([2, 0x85, SUPPORT])
    assert data[3:8] == bytes([4, 0x85]) + START.to_bytes(3, "little")


CHOICES = (
    {},
    {"timestamp_width": 8},
    {"timestamp_width": 64, "srcid_width": 3, "srcid": 5},
    {"srcid_width": 16, "srcid": 0x8001, "type_width": 1, "type": 0, "timestamp_width": 40},
)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_decoder_reads_what_was_framed(choice: dict[str, int]) -> None:
    """Also between null packets, and behind a synchronisation sequence."""
    configuration = framed(**choice)
    data = encoded(configuration)
    code = CodeMap(notation.code(CODE), 64)
    expected = [Retired(0x1000, 3), Retired(0x1004, 3)]
    nulls = 31 + choice.get("timestamp_width", 0) // 8 + choice.get("srcid_width", 0) // 8
    for before in (b"", b"\0" * 3, b"\x60\x80", b"\0" * nulls + b"\x80"):
        found = support.decode(before + data, configuration, code)
        assert not len(found.gaps)
        assert support.outcomes(found, code) == expected


def test_a_synchronisation_sequence() -> None:
    """N null.idle and one null.alignment, N = 31 + T + S."""
    chosen = FramingParameters(
        kind="encap", sync_period=1, timestamp_width=24, srcid_width=11, srcid=1
    )
    data = encoded(replace(adapter.configuration(RV64), framing=chosen))
    sequence = b"\0" * (31 + 3 + 1) + b"\x80"
    assert data.startswith(sequence)
    assert data[len(sequence)] & 31
    assert data.count(sequence) > 1


@pytest.mark.parametrize(("key", "width"), [("srcid", 8), ("type", 3)])
def test_a_packet_of_another_source_or_type_is_not_ours(key: str, width: int) -> None:
    ours = framed(**{f"{key}_width": width, key: 1})
    other = encoded(framed(**{f"{key}_width": width, key: 2}), "1004")
    code = CodeMap(notation.code(CODE), 64)
    found = support.decode(other + encoded(ours) + other, ours, code)
    assert support.outcomes(found, code) == [Retired(0x1000, 3), Retired(0x1004, 3)]


def test_time_in_the_payload_instead() -> None:
    """The *time* field is fixed by a parameter, and has nothing to do with the header."""
    settings = replace(CONTEXTS, parameters=replace(CONTEXTS.parameters, nocontext_p=1))
    chosen = FramingParameters(kind="encap", sync_period=0)
    data = encoded(replace(adapter.configuration(settings), framing=chosen))
    start = 3 | 1 << 4 | 3 << 5 | 0x1234 << 7 | 0x800 << 23
    assert data[2:] == bytes([5]) + start.to_bytes(5, "little") + data[8:]
