"""Damage and malice with every optional mode on: no exception, no hang, gaps.

A branch count may stand for billions of branches that are there to be walked (docs/modes.md): the
decoder is told here that no encoder counts further than `MOST`.
"""

from dataclasses import replace
from random import Random
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.configuration.parameters import FramingParameters
from specs.isa.control import CodeMap
from tests import adapter
from tests.decoder.support import framed
from tests.decoder.test_hostile import check
from tests.model import encoder
from tests.model.generate import Case
from tests.model.generate_modes import MODES, random_modes_trial, random_update_trial
from tests.model.settings import Settings

MOST = 1000
REFERENCE = FramingParameters(kind="reference")
ENCAPSULATED = FramingParameters()

Trial = tuple[Case, Settings, list[bytes]]


def trials(update: bool) -> list[Trial]:
    """Some trials of a good length with many kinds of packets."""
    found: list[Trial] = []
    for seed in range(400):
        case, settings = (random_update_trial if update else random_modes_trial)(seed, MODES)
        settings = adapter.expressible(settings)
        p = replace(settings.parameters, nocontext_p=1, notime_p=1)
        settings = replace(settings, parameters=p, most_branches=MOST)
        payloads = encoder.encode_bytes(case.rows, settings)
        kinds = {payload[0] & 3 for payload in payloads}
        if kinds == {0, 1, 2, 3} and 40 < len(payloads) < 200:
            found.append((case, settings, payloads))
        if len(found) == 8:
            break
    return found


TRIALS = {"2.0": trials(False), "2.1": trials(True)}
FRAMINGS = pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
PROTOCOLS = pytest.mark.parametrize("protocol", TRIALS)


def test_there_are_trials() -> None:
    assert all(len(each) == 8 for each in TRIALS.values())


def decoded(trial: Trial, data: bytes, framing: FramingParameters) -> None:
    case, settings, _ = trial
    before = process_time()
    check(data, framing, CodeMap([case.image()], case.xlen), settings)
    assert process_time() - before < 30


@FRAMINGS
@PROTOCOLS
@given(which=st.integers(0, 7), bits=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=8))
def test_flipped_bits(
    protocol: str, framing: FramingParameters, which: int, bits: list[int]
) -> None:
    trial = TRIALS[protocol][which]
    data = bytearray(framed(trial[2], framing))
    for bit in bits:
        data[bit // 8 % len(data)] ^= 1 << bit % 8
    decoded(trial, bytes(data), framing)


@FRAMINGS
@PROTOCOLS
@given(which=st.integers(0, 7), payloads=st.lists(st.binary(min_size=1, max_size=12), max_size=60))
def test_random_payloads(
    protocol: str, framing: FramingParameters, which: int, payloads: list[bytes]
) -> None:
    """Right framing around anything, support packets too, once the decoder is synchronised."""
    trial = TRIALS[protocol][which]
    decoded(trial, framed([*trial[2][:8], *payloads, *trial[2][1:]], framing), framing)


@PROTOCOLS
@given(data=st.binary(max_size=2000))
def test_random_bytes(protocol: str, data: bytes) -> None:
    decoded(TRIALS[protocol][0], data, REFERENCE)


@PROTOCOLS
def test_packets_in_any_order(protocol: str) -> None:
    """Packets that are good, one by one, and make no sense together."""
    rng = Random(7)
    for trial in TRIALS[protocol]:
        for _ in range(10):
            payloads = rng.choices(trial[2], k=200)
            decoded(trial, framed([*trial[2][:2], *payloads]), REFERENCE)


@PROTOCOLS
def test_random_programs(protocol: str) -> None:
    """Packets of one program, through any bytes as another."""
    rng = Random(8)
    for case, settings, payloads in TRIALS[protocol]:
        for _ in range(10):
            base, image = case.image()
            code = CodeMap([(base, rng.randbytes(len(image) & ~1))], case.xlen)
            check(framed(payloads), REFERENCE, code, settings)
