"""Bytes to packets: both framings, every column, and where damage is taken up again."""

from random import Random

import numpy as np
import pytest

from decoder import packets
from specs.configuration.parameters import FramingParameters
from specs.interfaces.flow import Reason
from specs.trace.framing import FramingLayout
from specs.trace.packets import Column, Format
from tests.decoder.support import configuration, decorated, framed
from tests.decoder.test_model import FRAMINGS, trial
from tests.model import codec, encoder
from tests.model.settings import Parameters, Settings

SETTINGS = Settings(
    Parameters(
        iaddress_width_p=64,
        ecause_width_p=5,
        privilege_width_p=3,
        nocontext_p=0,
        context_width_p=32,
    )
)


def read(data: bytes, framing: FramingParameters) -> np.ndarray:
    chosen = configuration(SETTINGS, framing)
    assert chosen is not None
    return packets(data, chosen)


def payloads() -> list[bytes]:
    """The payloads of a trace with packets of formats 1, 2, 3.0, 3.1 and 3.3."""
    wanted = {1, 2, 3, 7, 15}
    for seed in range(200):
        case, _ = trial(seed)
        found = encoder.encode_bytes(case.rows, SETTINGS)
        if wanted <= {each[0] & (15 if each[0] & 3 == 3 else 3) for each in found}:
            return found
    raise AssertionError("no seed has packets of all formats")


@pytest.mark.parametrize("framing", [FramingParameters(kind="reference"), *FRAMINGS])
def test_every_field_as_the_model_reads_it(framing: FramingParameters) -> None:
    given = payloads()
    plain = framing.kind == "reference"
    data = framed(given, framing) if plain else decorated(given, framing, Random(1))
    rows = read(data, framing)
    assert len(rows) == len(given)
    assert not rows[:, Column.reason].any()
    for row, payload in zip(rows.tolist(), given, strict=True):
        for name, value in codec.from_bytes(payload, SETTINGS.parameters).items():
            assert row[Column[name]] == value, (name, payload.hex())
        expected = framing.srcid if not plain else 0
        assert row[Column.srcID] == expected
        assert row[Column.flow] == (2 if plain else framing.flow)
        assert row[Column.type] == (0 if plain else framing.type)


def test_table_and_offsets() -> None:
    given = payloads()
    rows = read(framed(given), FramingParameters(kind="reference"))
    lengths = [len(each) + 1 for each in given]
    assert rows[:, Column.length].tolist() == lengths
    assert rows[:, Column.offset].tolist() == [0, *np.cumsum(lengths)[:-1].tolist()]
    assert rows[0, Column.table] == rows[-1, Column.table] == Format.SUPPORT
    assert rows[1, Column.table] in (Format.SYNC, Format.TRAP)


def test_timestamp() -> None:
    framing = FramingParameters(srcid_width=4, srcid=9, timestamp_width=16, sync_period=0)
    given = payloads()[0]
    # header; srcID 9 in four bits, timestamp 0xabcd in sixteen, then the payload, all contiguous
    length = (4 + 8 * len(given) + 7) // 8
    value = 9 | 0xABCD << 4 | int.from_bytes(given, "little") << 20
    data = bytes([0x80 | length]) + value.to_bytes(length + 2, "little")
    (row,) = read(data, framing)
    assert (row[Column.extend], row[Column.timestamp], row[Column.srcID]) == (1, 0xABCD, 9)
    assert row[Column.table] == Format.SUPPORT


def test_empty_stream_and_nulls_alone() -> None:
    framing = FramingParameters()
    assert len(read(b"", framing)) == 0
    assert len(read(bytes([0, 0x80, 0x20, 0]), framing)) == 0


@pytest.mark.parametrize("framing", [FramingParameters(kind="reference"), FramingParameters()])
def test_truncated(framing: FramingParameters) -> None:
    given = payloads()
    data = framed(given, framing)
    rows = read(data[:-1], framing)
    assert len(rows) == len(given)
    assert rows[-1, Column.reason] == Reason.TRUNCATED
    assert rows[-1, Column.offset] + rows[-1, Column.length] == len(data) - 1


def test_reference_takes_up_where_packets_follow_each_other() -> None:
    given = payloads()
    framing = FramingParameters(kind="reference")
    data = framed(given)
    middle = len(framed(given[:10]))
    for garbage in (b"\x00", b"\xff\xff\xff", bytes(range(0x80, 0xC0))):
        rows = read(data[:middle] + garbage + data[middle:], framing)
        (bad,) = rows[rows[:, Column.reason] != 0]
        assert bad[Column.reason] == Reason.BAD_HEADER
        assert (bad[Column.offset], bad[Column.length]) == (middle, len(garbage))
        assert len(rows) == len(given) + 1


def test_encapsulation_takes_up_after_a_synchronisation_sequence() -> None:
    given = payloads()
    framing = FramingParameters()
    sequence = bytes([0] * 31 + [0x80])
    first, second = framed(given[:10], framing), framed(given[10:], framing)
    # a timestamp where there can be none, and a payload that no format explains
    for garbage, reason in (
        (b"\x81\x00", Reason.BAD_HEADER),
        (b"\x04\x0f\x00\x00\x55", Reason.BAD_PACKET),
    ):
        data = first + garbage + framed(given[:3], framing) + sequence + second
        rows = read(data, framing)
        (bad,) = rows[rows[:, Column.reason] != 0]
        assert bad[Column.reason] == reason
        assert bad[Column.offset] == len(first)
        assert bad[Column.offset] + bad[Column.length] == len(data) - len(second)
        assert len(rows) == len(given) + 1


@pytest.mark.parametrize(("nulls", "enough"), [(30, False), (31, True)])
def test_how_many_null_bytes_are_a_synchronisation(nulls: int, enough: bool) -> None:
    """N, of which the longest packet has no more in a row: one of the N + 1 may be damaged."""
    given = payloads()[:3]
    framing = FramingParameters()
    data = b"\x81" + bytes(nulls) + framed(given, framing)
    rows = read(data, framing)
    assert rows[0, Column.reason] == Reason.BAD_HEADER
    assert rows[0, Column.length] == (1 + nulls if enough else len(data))
    assert len(rows) == 1 + len(given) * enough


def test_a_packet_without_a_payload_is_none() -> None:
    """All its bits are srcID and type."""
    framing = FramingParameters(srcid_width=5, srcid=9, type_width=3, type=3, sync_period=0)
    (row,) = read(bytes([0x01, 9 | 3 << 5]), framing)
    assert row[Column.reason] == Reason.BAD_HEADER


def test_damage_up_to_the_end() -> None:
    given = payloads()
    framing = FramingParameters()
    data = framed(given, framing)
    rows = read(data + b"\x81" + bytes(500), framing)
    assert rows[-1, Column.reason] == Reason.BAD_HEADER
    assert rows[-1, Column.offset] == len(data)
    assert rows[-1, Column.length] == 501
    assert len(rows) == len(given) + 1


def test_sequence_is_long_enough() -> None:
    """The sequence that is written is what takes up again."""
    for framing in FRAMINGS:
        chosen = configuration(SETTINGS, framing)
        assert chosen is not None
        layout = FramingLayout(chosen)
        assert layout.sync_sequence().count(0) == layout.nulls
