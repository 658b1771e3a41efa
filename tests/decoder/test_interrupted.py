"""With optional modes: the flow does not depend on how the stream arrives, nor on how many runs a
chunk can hold (a path is interrupted where it is full, and goes on)."""

from random import Random

import numpy as np
import pytest

from decoder import Decoder
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from tests import adapter
from tests.decoder.support import decode, framed, joined, same
from tests.model import encoder
from tests.model.framing import FramingError
from tests.model.generate_modes import random_modes_trial, random_update_trial

SEEDS = range(60)


def trial(seed: int, protocol: str) -> tuple[bytes, CodeMap, Decoder, Flow] | None:
    """A stream, its program, a new decoder for it, and its flow."""
    case, settings = (random_update_trial if protocol == "2.1" else random_modes_trial)(seed)
    settings = adapter.expressible(settings)
    try:
        data = framed(encoder.encode_bytes(case.rows, settings))
    except FramingError:
        return None
    chosen = adapter.configuration(settings, case.xlen)
    code = CodeMap([case.image()], case.xlen)
    whole = decode(data, chosen, code, settings.most_branches)
    assert not len(whole.gaps)
    return data, code, Decoder(chosen, code, settings.most_branches), whole


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
def test_pieces(protocol: str) -> None:
    rng = Random(3)
    for seed in SEEDS:
        if (found := trial(seed, protocol)) is None:
            continue
        data, _, decoder, whole = found
        flows = []
        at = 0
        while at < len(data):
            size = rng.choice((1, 1, 2, 7, 64))
            flows += decoder.feed(data[at : at + size])
            at += size
        assert same(joined([*flows, *decoder.finish()]), whole), seed


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
def test_short_chunks(protocol: str) -> None:
    interrupted = 0
    for seed in SEEDS:
        if (found := trial(seed, protocol)) is None:
            continue
        data, _, decoder, whole = found
        decoder._output = decoder._output._replace(runs=np.zeros(2 * 6, np.uint64))
        flows = [*decoder.feed(data), *decoder.finish()]
        interrupted += len(flows) > len(whole.runs) // 12
        assert same(joined(flows), whole), seed
    assert interrupted > len(SEEDS) // 2
