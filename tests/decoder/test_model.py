"""What the model encodes, the decoder gives back exactly: random programs, events and settings."""

from dataclasses import replace
from random import Random

import pytest

from specs.configuration.parameters import FramingParameters
from specs.isa.control import CodeMap
from tests.decoder.support import (
    configuration,
    decode,
    decorated,
    framed,
    outcomes,
)
from tests.model import encoder, rows
from tests.model.generate import Case, random_trial
from tests.model.settings import Settings


def trial(seed: int) -> tuple[Case, Settings]:
    """A random case, with settings that a parameter file can have."""
    case, settings = random_trial(seed)
    if settings.parameters.return_stack_size_p:
        parameters = replace(settings.parameters, call_counter_size_p=0)
        settings = replace(settings, parameters=parameters)
    return case, settings


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_reference_framing(first: int) -> None:
    done = 0
    for seed in range(first, first + 100):
        case, settings = trial(seed)
        chosen = configuration(settings)
        if chosen is None:
            continue
        code = CodeMap([case.image()], case.xlen)
        flow = decode(framed(encoder.encode_bytes(case.rows, settings)), chosen, code)
        assert not len(flow.gaps), f"seed {seed}: {flow.gaps}"
        wrong = rows.difference(rows.outcomes(case.rows), outcomes(flow, code))
        assert wrong is None, f"seed {seed}: {wrong}"
        done += 1
    assert done > 50


FRAMINGS = [
    FramingParameters(),
    FramingParameters(flow=3, sync_period=64),
    FramingParameters(srcid_width=8, srcid=0x80),
    FramingParameters(srcid_width=16, srcid=0x1234, timestamp_width=64),
    FramingParameters(srcid_width=6, srcid=1, type_width=2, type=1),
    FramingParameters(srcid_width=13, srcid=0x1555, type_width=3, type=5, timestamp_width=40),
    FramingParameters(type_width=1, type=1, timestamp_width=8, sync_period=0),
]


@pytest.mark.parametrize("chosen_framing", FRAMINGS, ids=range(len(FRAMINGS)))
def test_encapsulation(chosen_framing: FramingParameters) -> None:
    done = 0
    for seed in range(1000, 1030):
        case, settings = trial(seed)
        parameters = replace(settings.parameters, nocontext_p=1, notime_p=1)
        settings = replace(settings, parameters=parameters)
        chosen = configuration(settings, chosen_framing)
        if chosen is None:
            continue
        payloads = encoder.encode_bytes(case.rows, settings)
        code = CodeMap([case.image()], case.xlen)
        flow = decode(decorated(payloads, chosen_framing, Random(seed)), chosen, code)
        assert not len(flow.gaps), f"seed {seed}: {flow.gaps}"
        wrong = rows.difference(rows.outcomes(case.rows), outcomes(flow, code))
        assert wrong is None, f"seed {seed}: {wrong}"
        done += 1
    assert done > 20


def trap_rows(seed: int) -> list[rows.Row]:
    """The traps of a case."""
    return [row for row in trial(seed)[0].rows if not row.retired]


def test_records_say_where_they_come_from() -> None:
    case, settings = trial(next(seed for seed in range(100) if len(trap_rows(seed)) > 2))
    parameters = replace(settings.parameters, nocontext_p=0, context_width_p=8, notime_p=1)
    settings = replace(settings, parameters=parameters)
    chosen = configuration(settings)
    assert chosen is not None
    payloads = encoder.encode_bytes(case.rows, settings)
    flow = decode(framed(payloads), chosen, CodeMap([case.image()], case.xlen))
    starts = [sum(len(each) + 1 for each in payloads[:n]) for n in range(len(payloads))]
    formats = [payload[0] & 15 for payload in payloads]
    reported = [n for n, each in enumerate(formats) if each in (3, 7)]
    assert flow.contexts["packet"].tolist() == reported
    assert flow.contexts["offset"].tolist() == [starts[n] for n in reported]
    trapped = [n for n, each in enumerate(formats) if each == 7]
    assert flow.traps["packet"].tolist() == trapped
