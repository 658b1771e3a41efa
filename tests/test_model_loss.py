"""Packets that are lost in the model: docs/qualification.md, "Loss"."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.model import codec, decoder, encoder, stretches
from tests.model.codec import Packet
from tests.model.generate import Case
from tests.model.generate_context import (
    random_context_trial,
    random_loss_trial,
    random_qualification_trial,
)
from tests.model.rows import Row, trap
from tests.model.scenarios import BASE, PLAIN, STRAIGHT, kind, kinds, row, rows_of
from tests.model.settings import Parameters, Settings
from tests.model.sink import Buffer, Sink, xorshift64
from tests.test_model_gaps import SHARE, TRIALS


def check(traced: encoder.Encoder, case: Case, settings: Settings) -> None:
    payloads = [codec.to_bytes(each, traced.p, traced.modes) for each in traced.packets]
    decoded = decoder.decoded(payloads, case.program, settings, case.xlen)
    assert stretches.difference(traced, decoded) is None


@pytest.mark.parametrize("first", range(0, TRIALS, SHARE))
def test_what_is_left_decodes(first: int) -> None:
    """Whatever is lost, the rest is a part of the truth, and the gaps are where it is."""
    for seed in range(first, first + SHARE):
        case, settings = random_loss_trial(seed)
        try:
            traced = encoder.traced(case.rows, settings)
            check(traced, case, settings)
            check_jitter(traced)
        except Exception as error:
            error.add_note(f"random_loss_trial({seed}): {settings}")
            raise


def check_jitter(traced: encoder.Encoder) -> None:
    """The rate changes with each row that looks, lost or not."""
    assert traced.buffer is not None
    state = traced.buffer.sink.seed
    for each in traced.rows:
        if traced.buffer.sink.jitter and each.qualified and traced.itype(each) != 0:
            state = xorshift64(state)
    assert traced.buffer.random == state


class OneLoss(Buffer):
    """Loses the packet of a number, and all until it is asked to resume for the nth time."""

    def __init__(self, number: int, nth: int) -> None:
        super().__init__(Sink(1, 1, 0, 0))
        self.number = number
        self.nth = nth

    def put(self, payload: int) -> bool:
        self.number -= 1
        return self.number != -1

    def resumes(self, payload: int) -> bool:
        self.nth -= 1
        return self.nth <= 0


def describe(packets: list[Packet], number: int, p: Parameters) -> str:
    """What kind of loss it is to lose a packet."""
    packet, before = packets[number], packets[number - 1]
    words = [kind(packet)]
    if kind(packet) == "3.1":
        words.append(f"thaddr {packet['thaddr']}")
    if packet["format"] == 1 and packet["branches"] == 0:
        words.append("31 branches")
    if "updiscon" in packet:
        words += ["updiscon"] * codec.is_updiscon(packet)
        words += ["notify"] * codec.is_notify(packet, p)
    if number > 0 and "updiscon" in before and codec.is_updiscon(before):
        words.append("after updiscon")
    return ", ".join(words)


@pytest.mark.parametrize("trial", (random_context_trial, random_qualification_trial))
def test_each_kind_of_packet_can_be_lost(trial: Callable[[int], tuple[Case, Settings]]) -> None:
    """One loss of each kind in each trace, for a short or a long time."""
    seen = set()
    for seed in range(TRIALS // 2):
        case, settings = trial(seed)
        case = replace(case, rows=case.rows[:300])
        rng = Random(f"one loss {seed}")
        packets = encoder.encode(case.rows, settings)
        numbers = rng.sample(range(len(packets)), len(packets))
        kinds_of = {describe(packets, at, settings.parameters): at for at in numbers}
        for words, number in kinds_of.items():
            if words in seen and rng.random() < 0.7:
                continue
            seen.add(words)
            traced = encoder.Encoder(case.rows, settings)
            traced.buffer = OneLoss(number, rng.choice((1, 1, 2, 10)))
            traced.run()
            assert traced.dropped
            try:
                check(traced, case, settings)
            except Exception as error:
                error.add_note(f"{trial.__name__}({seed}), packet {number}, {words}: {settings}")
                raise
    wanted = {"0", "1", "1, 31 branches", "1, notify", "1, updiscon", "2", "2, updiscon", "3.0"}
    wanted |= {"2, notify", "3.1, thaddr 0", "3.1, thaddr 1", "3.2", "support 10", "support 01"}
    wanted |= {"3.0, after updiscon", "3.1, thaddr 0, after updiscon", "support 11"}
    assert wanted <= seen


def lossy(rows: list[Row], sink: Sink) -> encoder.Encoder:
    settings = replace(PLAIN, sink=sink)
    done = encoder.traced(rows, settings)
    flow = decoder.Decoder(STRAIGHT, settings, 32)
    for packet in done.packets:
        flow.process(packet)
    assert stretches.difference(done, flow) is None
    return done


def test_loss_and_resumption() -> None:
    """In half bytes, of which there is room for 18: 3.0 takes 10, 3.2 and the support packet of a
    loss 6, the others 4; then each row drains 2."""
    rows = [row(STRAIGHT, at, ctype=int(at in (1, 2))) for at in range(12)]
    rows = [replace(each, itype=11) if at in (5, 9) else each for at, each in enumerate(rows)]
    done = lossy(rows, Sink(1, 2, capacity=9, resume=5))
    # 4; row 0: 4 + 10, 12 + 6, 16 and 6 too many, 14, 12; row 5: 10, resumed, + 6; row 6: 14 and
    # 10 too many, 12, 10; row 9: 8, resumed, + 6; row 10: 12 and 10 too many.
    wanted = ["support 10", "3.0", "3.2", "support 12", "support 12", "support 02"]
    assert kinds(done.packets) == wanted
    assert kinds(done.dropped) == ["3.2", "3.0", "3.0"]
    assert [each.end for each in done.stretches] == [3]
    later = lossy(rows, Sink(1, 2, capacity=9, resume=4))
    # Row 5: 10 is too much; row 9: 2, resumed, + 6; row 10: 6 + 10, 14 + 4 and 4 too many.
    assert kinds(later.packets) == [*wanted[:4], "3.0", "2", "support 02"]
    assert kinds(later.dropped) == ["3.2", "support 01"]
    assert [(each.first, each.end) for each in later.stretches] == [(0, 3), (10, 12)]


def test_lossless_if_there_is_room() -> None:
    for seed in range(40):
        case, settings = random_qualification_trial(seed)
        bare = encoder.encode(case.rows, settings)
        roomy = replace(settings, sink=Sink(1, 1, capacity=1 << 20, resume=0))
        assert encoder.encode(case.rows, roomy) == bare
        stalling = replace(settings, sink=Sink(1, 8, 40, 0, trTeInstStallEna=True))
        done = encoder.traced(case.rows, stalling)
        assert done.packets == bare
        assert done.buffer is not None
        assert not done.dropped


def test_stalling_waits_just_as_long_as_needed() -> None:
    buffer = Buffer(Sink(3, 7, capacity=10, resume=0, trTeInstStallEna=True))
    assert buffer.put(9)
    assert buffer.put(1)
    # 2 bytes are 14 units: 5 half-words of 3.
    assert (buffer.stalled, buffer.level) == (5, 70 - 15 + 14)
    with pytest.raises(ValueError, match="forever"):
        buffer.put(10)


def test_arithmetic() -> None:
    buffer = Buffer(Sink(3, 7, capacity=10, resume=4, overhead=2))
    assert buffer.put(8)
    assert not buffer.put(0)
    buffer.drain(13)
    assert (buffer.level, buffer.resumes(1)) == (70 - 39, False)
    buffer.drain(1)
    assert (buffer.level, buffer.resumes(4), buffer.resumes(5)) == (28, True, False)
    buffer.drain(100)
    assert buffer.level == 0


def test_jitter() -> None:
    """Marsaglia's 13, 7, 17; rates from rate - jitter to rate + jitter."""
    assert xorshift64(1) == 0x40822041
    assert xorshift64(0x40822041) == 0x100041060C011441
    buffer = Buffer(Sink(10, 1, 10, 0, jitter=4, seed=1))
    assert buffer.rate == 10
    rates = []
    for _ in range(200):
        buffer.vary()
        rates.append(buffer.rate)
    assert rates[0] == 6 + 0x40822041 % 9
    assert set(rates) == set(range(6, 15))


def test_the_end_is_told_even_if_all_is_lost() -> None:
    done = lossy(rows_of(STRAIGHT, range(3)), Sink(1, 1000, capacity=0, resume=0))
    assert kinds(done.packets) == ["support 02"]
    assert done.stretches == []


def test_a_waiting_trap_is_lost() -> None:
    rows = [row(STRAIGHT, 0), trap(BASE + 4, 3, 5), *rows_of(STRAIGHT, [8, 9])]
    done = encoder.Encoder(rows, PLAIN)
    done.buffer = OneLoss(2, 1)
    done.run()
    assert kinds(done.packets) == ["support 10", "3.0", "support 02"]
    assert kinds(done.dropped[:1]) == ["3.1"]
    jump = replace(row(STRAIGHT, 9), itype=11)
    again = encoder.Encoder([*rows, jump, trap(BASE + 40, 3, 2), row(STRAIGHT, 3)], PLAIN)
    again.buffer = OneLoss(2, 1)
    again.run()
    wanted = ["support 10", "3.0", "support 12", "3.1", "3.0", "support 01"]
    assert kinds(again.packets) == wanted


@pytest.mark.parametrize(
    "wrong",
    ({"per": 0}, {"jitter": 1}, {"resume": 11}, {"resume": -1}, {"seed": 0}, {"rate": 0}),
)
def test_what_a_sink_cannot_be(wrong: dict[str, Any]) -> None:
    right = {"rate": 1, "per": 1, "capacity": 10, "resume": 0}
    with pytest.raises(ValueError, match="has to be"):
        Sink(**right | wrong)
