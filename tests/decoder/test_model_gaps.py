"""Context, time, qualification and loss: what the model's decoder says, the product says too."""

import os
from collections.abc import Callable

import numpy as np
import pytest

from specs.interfaces.flow import Flow, Reason
from specs.isa.control import CodeMap
from tests import adapter
from tests.decoder.support import configuration, decode, framed, outcomes
from tests.model import decoder, encoder, rows
from tests.model.framing import FramingError
from tests.model.generate import Case
from tests.model.generate_context import (
    random_context_trial,
    random_loss_trial,
    random_qualification_trial,
)
from tests.model.settings import Settings

TRIALS = int(os.environ.get("ETRACE_TRIALS", "180"))
_STEP = 60

_GENERATORS = (random_context_trial, random_qualification_trial, random_loss_trial)


def before(flow: Flow, records: np.ndarray, own: bool = True) -> list[int]:
    """Outcomes (instructions and traps) before each record; `own`: with its own packet's trap."""
    counts = np.concatenate([[0], np.cumsum(flow.runs["count"], dtype=np.int64)])
    traps = flow.traps
    found = []
    for run, packet in zip(records["run"], records["packet"], strict=True):
        earlier = traps["packet"] <= packet if own else traps["packet"] < packet
        found.append(int(counts[int(run)]) + int(np.count_nonzero((traps["run"] <= run) & earlier)))
    return found


def reports(flow: Flow) -> list[tuple[int, int, int, int, int]]:
    """Context records as the model has them: position, precise, privilege, context, time."""
    at_own_row = set(flow.traps["packet"][flow.traps["thaddr"] == 0].tolist())
    return [
        (
            position - (int(record["packet"]) in at_own_row),
            *(int(record[name]) for name in ("precise", "priv", "context", "time")),
        )
        for position, record in zip(before(flow, flow.contexts), flow.contexts, strict=True)
    ]


def check(case: Case, settings: Settings) -> int:
    """Decode the model's trace with both decoders; the number of stretches after the first."""
    settings = adapter.expressible(settings)
    payloads = encoder.encode_bytes(case.rows, settings)
    chosen = configuration(settings)
    if chosen is None:
        return 0
    try:
        data = framed(payloads)
    except FramingError:
        return 0
    expected = decoder.decoded(payloads, case.program, settings, case.xlen)
    code = CodeMap([case.image()], case.xlen)
    flow = decode(data, chosen, code, settings.most_branches)
    assert set(flow.gaps["reason"].tolist()) <= {Reason.TRACE_LOST}
    assert rows.difference(expected.outcomes, outcomes(flow, code)) is None
    have = reports(flow)
    want = [
        (each.position, int(each.precise), each.priv, each.context or 0, each.time or 0)
        for each in expected.reports
    ]
    # An imprecise one stands before the last instruction: it may be that one's own.
    have = [
        (at + 1 if not precise and at + 1 == told[0] else at, precise, *rest)
        for (at, precise, *rest), told in zip(have, want, strict=True)
    ]
    assert have == want
    stops = [each.position for each in expected.gaps if not each.lost]
    assert before(flow, flow.pauses, own=False) == stops
    lost = {each.position for each in expected.gaps if each.lost}
    assert lost <= set(before(flow, flow.gaps))
    return len(expected.gaps)


@pytest.mark.parametrize("generator", _GENERATORS)
@pytest.mark.parametrize("first", range(0, TRIALS, _STEP))
def test_same_flow(generator: Callable[[int], tuple[Case, Settings]], first: int) -> None:
    stretches = 0
    for seed in range(first, first + _STEP):
        try:
            stretches += check(*generator(seed))
        except Exception as error:
            error.add_note(f"{generator.__name__}({seed})")
            raise
    assert stretches > 0
