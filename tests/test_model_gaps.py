"""Round trips of the model with context, time and gaps (docs/qualification.md)."""

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.model import codec, decoder, encoder, stretches
from tests.model.generate import Case, random_trial
from tests.model.generate_context import random_context_trial, random_qualification_trial
from tests.model.generate_modes import random_modes_trial, random_update_trial
from tests.model.rows import Retired, Trapped, outcomes
from tests.model.scenarios import (
    kind,
)
from tests.model.settings import Settings
from tests.test_model_modes import PseudoCode

#: How many programs for each test; more for a soak.
TRIALS = int(os.environ.get("ETRACE_CONTEXT_TRIALS", "160"))
SHARE = 40

Trial = Callable[[int], tuple[Case, Settings]]


def check(case: Case, settings: Settings) -> encoder.Encoder:
    """Encode and decode; what the encoder did."""
    traced = encoder.traced(case.rows, settings)
    p, modes = settings.parameters, settings.modes
    payloads = [codec.to_bytes(packet, p, modes) for packet in traced.packets]
    decoded = decoder.decoded(payloads, case.program, settings, case.xlen)
    assert stretches.difference(traced, decoded) is None
    return traced


@pytest.mark.parametrize("trial", (random_context_trial, random_qualification_trial))
@pytest.mark.parametrize("first", range(0, TRIALS, SHARE))
def test_encode_then_decode_gives_the_rows_back(trial: Trial, first: int) -> None:
    for seed in range(first, first + SHARE):
        case, settings = trial(seed)
        try:
            check(case, settings)
        except Exception as error:
            error.add_note(f"{trial.__name__}({seed}): {settings}")
            raise


@pytest.mark.parametrize(
    "trial", (random_context_trial, random_qualification_trial, random_modes_trial)
)
def test_a_decoder_can_start_at_any_synchronisation(trial: Trial) -> None:
    """What follows a 3.0, or a 3.1 with thaddr 1, needs nothing of what came before it: but the
    EPC of that trap, and the privilege before, are unknown."""
    started = at_handlers = 0
    for seed in range(TRIALS // 4):
        case, settings = trial(seed)
        packets = encoder.encode(case.rows, settings)
        starts = [
            at
            for at, packet in enumerate(packets)
            if kind(packet) == "3.0" or packet.get("thaddr") == 1
        ]
        if not starts:
            continue
        at = Random(seed).choice(starts)
        whole = decoder.Decoder(case.program, settings, case.xlen)
        for packet in packets:
            whole.process(packet)
        late = decoder.Decoder(case.program, settings, case.xlen)
        for packet in [packets[0], *packets[at:]]:
            late.process(packet)
        known = whole.outcomes[-len(late.outcomes) :]
        if isinstance(known[0], Trapped):
            known[0] = replace(known[0], epc=None, priv=None)
            at_handlers += 1
        assert late.outcomes == known, seed
        started += 1
    assert at_handlers > 0
    assert started > TRIALS // 8


@pytest.mark.parametrize("trial", (random_context_trial, random_qualification_trial))
def test_streams_decode_by_the_letter_too(trial: Trial) -> None:
    """Walks that stop as the pseudo-code does (tests/test_model_modes.py), for protocol 2.0."""
    for seed in range(TRIALS // 3):
        case, settings = trial(seed)
        traced = encoder.traced(case.rows, settings)
        depths = [codec.reported_depth(packet) for packet in traced.packets if "irreport" in packet]
        if settings.parameters.protocol_minor == 1 or 0 in depths:
            continue
        by_the_letter = PseudoCode(case.program, settings, case.xlen)
        for packet in traced.packets:
            by_the_letter.process(packet)
        assert stretches.difference(traced, by_the_letter) is None, seed


def test_the_generator_reaches_every_corner() -> None:
    seen: set[object] = set()
    for seed in range(220):
        case, settings = random_qualification_trial(seed)
        traced = encoder.traced(case.rows, settings)
        modes = settings.modes
        seen |= {kind(packet) for packet in traced.packets}
        seen.add(settings.resync.unit)
        for stretch in traced.stretches:
            first, last = case.rows[stretch.first], case.rows[stretch.end - 1]
            seen.add(("first", first.itype, first.retired, first.ctype))
            seen.add(("last", last.itype, last.retired))
            seen.add(("one row", stretch.end - stretch.first == 1))
            if stretch.trap is not None:
                seen.add(("handler", stretch.trap.interrupt, stretch.trap.epc is None))
                seen.add(("handler", first.itype))
                seen.add(("handler alone", modes.implicit_exception))
            if first.ctype == 2:
                at = stretch.first
                seen.add(("cut", at > 0 and case.rows[at - 1].qualified and not first.halted))
    wanted: set[object] = {"0", "1", "2", "3.0", "3.1", "3.2", "cycles", ("one row", True)}
    wanted |= {"support 11", "support 13", "support 01", "support 03", ("cut", True)}
    wanted |= {("first", itype, True, 0) for itype in (0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)}
    wanted |= {("first", itype, False, ctype) for itype in (1, 2) for ctype in (0, 3)}
    wanted |= {("last", itype, True) for itype in (0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)}
    wanted |= {("last", 1, False), ("last", 2, False)}
    wanted |= {("handler", interrupt, alone) for interrupt in (0, 1) for alone in (0, 1)}
    wanted |= {("handler", itype) for itype in (0, 4, 5, 11)}
    wanted |= {("handler alone", True), ("handler alone", False)}
    assert wanted <= seen


def test_trials_without_context_are_what_they_were() -> None:
    """One stretch, no report unless a synchronisation has one."""
    for trial in (random_trial, random_modes_trial, random_update_trial):
        for seed in range(20):
            case, settings = trial(seed)
            traced = check(case, settings)
            assert len(traced.stretches) == (1 if case.rows else 0)
            flow = decoder.decode(traced.packets, case.program, settings, case.xlen)
            wanted = [each for each in outcomes(case.rows) if isinstance(each, Retired)]
            assert [each for each in flow if isinstance(each, Retired)] == wanted
