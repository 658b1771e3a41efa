"""The model's encoder and decoder undo each other, whatever happens on the hart."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from tests.model import codec, decoder, encoder
from tests.model.generate import Case, random_trial, trials
from tests.model.rows import difference, outcomes
from tests.model.settings import Settings

SEEDS = 2400
SHARE = 400


def check(case: Case, settings: Settings) -> None:
    """With a packet for each round, and by the letter."""
    for exact_loops in (True, False):
        check_one(case, replace(settings, exact_loops=exact_loops))


def check_one(case: Case, settings: Settings) -> None:
    payloads = encoder.encode_bytes(case.rows, settings)
    decoded = decoder.decode_bytes(payloads, case.program, settings)
    assert difference(outcomes(case.rows), decoded) is None
    for payload in payloads:
        packet = codec.from_bytes(payload, settings.parameters, settings.modes)
        assert codec.to_bytes(packet, settings.parameters, settings.modes) == payload


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_encode_then_decode_gives_the_rows_back(first: int) -> None:
    for seed in range(first, first + SHARE):
        case, settings = random_trial(seed)
        try:
            check(case, settings)
        except Exception as error:
            error.add_note(f"random_trial({seed}): {settings}")
            raise


@hypothesis_settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(trials())
def test_encode_then_decode_shrinks(trial: tuple[Case, Settings]) -> None:
    check(*trial)


def test_the_generator_reaches_every_corner() -> None:
    """Otherwise the tests above would prove less than they seem to."""
    seen: set[object] = set()
    for seed in range(1500):
        case, settings = random_trial(seed)
        rows = case.rows
        p = settings.parameters
        seen.add(("empty", not rows))
        for prev, cur, following in zip(rows, rows[1:], [*rows[2:], None], strict=False):
            if not cur.retired:
                seen.add(("trap after", prev.itype if prev.retired else "trap"))
                seen.add(("handler faults", following is not None and following == cur))
            if prev.retired and cur.retired and prev.priv != cur.priv:
                seen.add("privilege change")
        for packet in encoder.encode(rows, settings):
            kind = (packet["format"], packet.get("subformat"))
            seen.add(kind)
            if packet["format"] in (1, 2) and "address" in packet:
                seen.add(("notify", codec.is_notify(packet, p)))
                seen.add(("updiscon", codec.is_updiscon(packet)))
            if packet["format"] == 1:
                seen.add(("branches", packet["branches"]))
            if kind == (3, 1):
                seen.add(("trap", packet["interrupt"], packet["thaddr"]))
            if kind == (3, 3):
                seen.add(("qual_status", packet["qual_status"]))
    wanted: set[object] = {
        (1, None),
        (2, None),
        (3, 0),
        (3, 1),
        (3, 3),
        "privilege change",
        ("empty", True),
    }
    wanted |= {("trap after", itype) for itype in (0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)}
    wanted |= {("trap after", "trap"), ("notify", True), ("updiscon", True), ("branches", 0)}
    wanted |= {("trap", interrupt, thaddr) for interrupt in (0, 1) for thaddr in (0, 1)}
    wanted |= {("qual_status", status) for status in (0, 1, 3)}
    assert wanted <= seen
