"""The decoder on packets that no encoder sent: an error, never a hang or another surprise."""

from random import Random

import pytest

from tests.model import decoder, encoder
from tests.model.codec import PayloadError
from tests.model.decoder import DecodeError
from tests.model.generate import random_trial
from tests.model.rows import difference, outcomes


def damaged(payloads: list[bytes], rng: Random) -> list[bytes]:
    """One packet lost, repeated, or with a bit the other way."""
    at = rng.randrange(len(payloads))
    how = rng.randrange(3)
    if how == 0:
        return payloads[:at] + payloads[at + 1 :]
    if how == 1:
        return [*payloads[: at + 1], *payloads[at:]]
    flipped = bytearray(payloads[at])
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return [*payloads[:at], bytes(flipped), *payloads[at + 1 :]]


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_damage(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MAX_WALK", 2000)
    noticed = 0
    for seed in range(first, first + 100):
        case, settings = random_trial(seed)
        rng = Random(f"damage {seed}")
        payloads = damaged(encoder.encode_bytes(case.rows, settings), rng)
        try:
            decoded = decoder.decode_bytes(payloads, case.program, settings)
        except (DecodeError, PayloadError, LookupError, NotImplementedError):
            noticed += 1
            continue
        noticed += difference(outcomes(case.rows), decoded) is not None
    assert noticed > 40
