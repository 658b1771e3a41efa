"""The standard encapsulation as the encoder writes it, read by the independent model."""

import dataclasses
from itertools import pairwise
from random import Random

import pytest

from encoder.encoder import Encoder
from tests import adapter
from tests.model import encoder as model
from tests.model import framing
from tests.model.generate import random_trial
from tests.model.rows import Row
from tests.model.settings import Settings


def _product(
    rows: list[Row], settings: Settings, e: framing.Encapsulation, sync_period: int
) -> bytes:
    base = adapter.configuration(settings)
    configuration = dataclasses.replace(
        base,
        framing=dataclasses.replace(
            base.framing,
            kind="encap",
            srcid_width=e.srcid_bits,
            srcid=e.srcid,
            timestamp_width=8 * e.timestamp_bytes,
            type_width=e.type_bits,
            type=e.type_,
            flow=e.flow,
            sync_period=sync_period,
        ),
    )
    encoder = Encoder(configuration)
    return encoder.feed(adapter.chunk(rows)) + encoder.finish()


def _random_encapsulation(rng: Random) -> framing.Encapsulation:
    srcid_bits, type_bits = rng.randrange(17), rng.randrange(4)
    return framing.Encapsulation(
        srcid_bits,
        rng.randrange(1 << srcid_bits),
        rng.choice((0, 0, 1, 5, 8)),
        type_bits,
        rng.randrange(1 << type_bits),
        rng.randrange(4),
    )


@pytest.mark.parametrize("seed", range(60))
def test_the_model_reads_every_packet(seed: int) -> None:
    """srcID, timestamp, type and flow of any width; synchronisation sequences in between."""
    rng = Random(seed)
    case, settings = random_trial(1000 + seed)
    e = _random_encapsulation(rng)
    payloads = model.encode_bytes(case.rows, settings)
    if any(e.srcid_bits % 8 + e.type_bits + 8 * len(payload) > 248 for payload in payloads):
        pytest.skip("these widths do not fit the encapsulation")
    found = list(framing.unframe(_product(case.rows, settings, e, rng.choice((0, 64, 4096))), e))
    assert [packet.payload for packet in found] == payloads
    for packet in found:
        assert (packet.flow, packet.srcid, packet.type_) == (e.flow, e.srcid, e.type_)


def test_timestamps_are_the_time_of_the_last_row_told() -> None:
    case, settings = random_trial(3)
    e = framing.Encapsulation(timestamp_bytes=4)
    rows = [
        dataclasses.replace(row, time=5 * number + 7, context=0)
        for number, row in enumerate(case.rows)
    ]
    found = [packet.timestamp for packet in framing.unframe(_product(rows, settings, e, 0), e)]
    assert found[0] is None  # the support packet: no time is known yet
    times = [time for time in found[1:] if time is not None]
    assert len(times) == len(found) - 1
    assert all(before <= after for before, after in pairwise(times))
    assert set(times) <= {row.time for row in rows}


def test_synchronisation_sequences_are_where_the_period_says() -> None:
    case, settings = random_trial(11)
    e = framing.Encapsulation(srcid_bits=9, srcid=300)
    data = _product(case.rows * 400, settings, e, 100)
    sequence = framing.synchronisation_sequence(e)
    assert data.startswith(sequence)
    starts = [i for i in range(len(data)) if data.startswith(sequence, i)]
    assert len(starts) > 3
    for before, after in pairwise(starts):
        between = after - before - len(sequence)
        assert 100 <= between < 100 + 2 + 31 + 1
        assert framing.find_packet(data, e, before) == before + len(sequence)
