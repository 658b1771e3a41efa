"""Bytes that no encoder wrote: the decoder ends, raises nothing, and says where there are gaps."""

from random import Random
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import packets
from specs.configuration.parameters import FramingParameters
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from specs.trace.packets import Column
from tests.decoder.support import configuration, decode, framed, gaps
from tests.model import assemble, encoder
from tests.model.generate import Case, random_case
from tests.model.settings import Parameters, Settings
from tests.spec import notation


def long_enough(case: Case) -> bool:
    """Whether a case is for RV32, with a good many instructions and traps."""
    return case.xlen == 32 and len(case.rows) > 90 and sum(not r.retired for r in case.rows) > 4


SETTINGS = Settings(Parameters(iaddress_width_p=32, ecause_width_p=4, privilege_width_p=3))
REFERENCE = FramingParameters(kind="reference")
ENCAPSULATED = FramingParameters()
CASE = next(case for case in map(random_case, range(100)) if long_enough(case))
CODE = CodeMap([CASE.image()], CASE.xlen)
PAYLOADS = encoder.encode_bytes(CASE.rows, SETTINGS)


def check(
    data: bytes,
    framing: FramingParameters,
    code: CodeMap = CODE,
    settings: Settings = SETTINGS,
) -> Flow:
    """Decode, and check what must hold of any flow."""
    chosen = configuration(settings, framing)
    assert chosen is not None
    flow = decode(data, chosen, code, settings.most_branches)
    rows = packets(data, chosen)
    ends = rows[:, Column.offset] + rows[:, Column.length]
    assert (ends[:-1] <= rows[1:, Column.offset]).all()
    assert (ends <= len(data)).all()
    bad = int(np.count_nonzero(rows[:, Column.reason]))
    assert len(flow.gaps) >= bad
    assert (flow.runs["count"] > 0).all()
    for run in flow.runs:
        slot = code.slot(int(run["start"]))
        assert slot >= 0
        assert int(run["count"]) <= len(code.size)
    for records in (flow.traps, flow.contexts, flow.gaps, flow.pauses):
        assert (np.diff(records["run"].astype(np.int64)) >= 0).all()
        assert (records["run"] <= len(flow.runs)).all()
        assert (records["packet"] < max(len(rows), 1)).all()
        assert (records["offset"] <= len(data)).all()
    return flow


@pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
@given(data=st.binary(max_size=2000))
def test_random_bytes(framing: FramingParameters, data: bytes) -> None:
    check(data, framing)


@pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
@given(payloads=st.lists(st.binary(min_size=1, max_size=12), max_size=60))
def test_random_payloads(framing: FramingParameters, payloads: list[bytes]) -> None:
    """Framing that is right, around anything, once the decoder is synchronised."""
    check(framed([*PAYLOADS[:2], *payloads, *PAYLOADS[1:]], framing), framing)


@pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
@given(bits=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=8))
def test_flipped_bits(framing: FramingParameters, bits: list[int]) -> None:
    data = bytearray(framed(PAYLOADS, framing))
    for bit in bits:
        data[bit // 8 % len(data)] ^= 1 << bit % 8
    check(bytes(data), framing)


@pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
def test_every_truncation(framing: FramingParameters) -> None:
    """What was decoded stays: the flow of a truncated trace is the start of the whole one."""
    data = framed(PAYLOADS, framing)
    whole = check(data, framing)
    for length in range(0, len(data), 7):
        flow = check(data[:length], framing)
        kept = max(len(flow.runs) - 1, 0)
        assert np.array_equal(flow.runs[:kept], whole.runs[:kept])
        assert len(flow.gaps) <= 1


@pytest.mark.parametrize("framing", [REFERENCE, ENCAPSULATED], ids=["reference", "encap"])
def test_dropped_bytes(framing: FramingParameters) -> None:
    data = framed(PAYLOADS, framing)
    for position in range(0, len(data) - 3, 11):
        check(data[:position] + data[position + 3 :], framing)


def test_random_programs() -> None:
    """Any bytes as a program, any packets through it."""
    rng = Random(4)
    for _ in range(40):
        base = rng.choice((0, 0x1000, 0xFFFF_FF00))
        code = CodeMap([(base, rng.randbytes(254))], 32)
        addresses = _addresses(rng, base)
        payloads = [payload for address in addresses for payload in _packets(rng, address)]
        check(framed([PAYLOADS[0], *payloads]), REFERENCE, code)


def _addresses(rng: Random, base: int) -> list[int]:
    return [base + 2 * rng.randrange(128) for _ in range(60)]


def _packets(rng: Random, address: int) -> list[bytes]:
    text = rng.choice(
        (
            f"3.0 {address:x}",
            f"3.1 interrupt 1 thaddr={rng.randrange(2)} {address:x}",
            f"2 {address:x}",
            f"2 {address:x} updiscon",
            f"1 {rng.choice('TN') * rng.randrange(1, 31)} {address:x}",
            f"1 {rng.choice('TN') * 31}",
            f"3.3 {rng.choice(('ended_ntr', 'ended_rep', 'trace_lost'))}",
        )
    )
    data = notation.stream(text, SETTINGS)
    return [data[1:]]


@pytest.mark.parametrize("word", [assemble.jal(0, 4), 0x13], ids=["jumps", "nops"])
def test_work_is_bounded(word: int) -> None:
    """A circle of 100000 jumps, or of one over as many nops, 300 times to between instructions."""
    words = [word] * 100_000 + [assemble.jal(0, -400_000)]
    code = CodeMap([(0x1000, b"".join(each.to_bytes(4, "little") for each in words))], 32)
    chosen = configuration(SETTINGS)
    assert chosen is not None
    data = notation.stream("3.3 no_change\n" + "3.0 1000\n2 21002\n" * 300, SETTINGS)
    decode(data[:100], chosen, code)
    before = process_time()
    flow = decode(data, chosen, code)
    assert process_time() - before < 10
    assert [reason for reason, _ in gaps(flow)] == ["NOT_REACHED"] * 300
    assert len(flow.runs) < 300 * 100
