"""Side bands as no source of ours gives them, and what a hart waits for a slow sink."""

from dataclasses import replace
from random import Random

import numpy as np

from encoder.encoder import Encoder
from specs.interfaces import ingress
from tests import adapter
from tests.model import encoder as model
from tests.model.generate_context import random_qualification_trial
from tests.model.sink import Sink
from tests.spec.notation import code, flow
from tests.spec.notation_context import CONTEXTS

LISTING = "\n".join(f"{0x1000 + 4 * i:x}: 00000013 nop" for i in range(8))


def sent(chunk: ingress.Chunk) -> bytes:
    encoder = Encoder(adapter.configuration(CONTEXTS))
    return encoder.feed(chunk) + encoder.finish()


def with_sideband(chunk: ingress.Chunk, at: int, ctype: int = 0, trigger: int = 0) -> ingress.Chunk:
    """The chunk with one more side band before reference `at`; it gives no context and no time."""
    row = np.array([(0, 0, ctype, trigger, 0)], ingress.SIDEBAND)
    refs = np.insert(chunk.refs, at, len(chunk.sidebands) << 4 | ingress.SIDEBAND_CODE)
    return replace(chunk, refs=refs, sidebands=np.concatenate([chunk.sidebands, row]))


def plain_chunk(text: str, rng: Random | None = None) -> ingress.Chunk:
    return adapter.chunk(flow(text, code(LISTING), 64), rng)


def test_of_two_ctypes_the_larger_counts() -> None:
    chunk = plain_chunk("1000\n1004\n1008\n100c")
    before = sent(chunk)
    for ctype in (1, 2, 3):
        one = with_sideband(chunk, 2, ctype)
        assert sent(one) != before
        for other in range(ctype):
            assert sent(with_sideband(one, 2, other)) == sent(one)
            assert sent(with_sideband(one, 3, other)) == sent(one)


def test_notify_at_a_trap_is_for_nobody() -> None:
    """Nor for the instruction behind it: docs/qualification.md, "Triggers"."""
    text = "1000\n1004\n1008\nexception 2 tval=0 at 100c\n1010\n1014\n1018"
    # a block each before the trap and behind it
    chunk = plain_chunk(text, Random(0))
    assert len(chunk.refs) == 3
    assert sent(with_sideband(chunk, 1, trigger=ingress.TRIGGER_NOTIFY)) == sent(chunk)
    assert sent(with_sideband(chunk, 2, trigger=ingress.TRIGGER_NOTIFY)) != sent(chunk)


def test_a_hart_that_stalls_waits_as_long_as_the_model_s() -> None:
    """Half-words, rounded up."""
    stalled = 0
    for seed in range(12):
        case, settings = random_qualification_trial(seed)
        sink = Sink(3, 32, 128, 0, trTeInstStallEna=True)
        settings = replace(adapter.expressible(settings), sink=sink)
        expected = model.traced(case.rows, settings)
        encoder = Encoder(adapter.configuration(settings))
        encoder.feed(adapter.chunk(case.rows))
        encoder.finish()
        assert expected.buffer is not None
        assert encoder.statistics.stalled == expected.buffer.stalled, seed
        stalled += expected.buffer.stalled
    assert stalled > 100
