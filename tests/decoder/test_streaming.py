"""However a stream is cut, and however much of the output is asked for, the flow is the same."""

from random import Random

import numpy as np
import pytest

from decoder import Decoder, decoder, pc_pieces, pcs, trap_positions
from specs.configuration.parameters import Configuration, FramingParameters
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from tests.decoder.support import configuration, decode, decorated, framed, joined, same
from tests.decoder.test_model import trap_rows, trial
from tests.model import encoder

#: Cases with traps, in either framing.
SEEDS = [seed for seed in range(60) if len(trap_rows(seed)) > 4][:6]


def stream(seed: int) -> tuple[bytes, Configuration, CodeMap]:
    """A trace with some damage in it."""
    case, settings = trial(seed)
    rng = Random(seed)
    chosen_framing = FramingParameters() if seed % 2 else FramingParameters(kind="reference")
    chosen = configuration(settings, chosen_framing)
    assert chosen is not None
    payloads = encoder.encode_bytes(case.rows, settings) * 3
    plain = chosen_framing.kind == "reference"
    data = framed(payloads) if plain else decorated(payloads, chosen_framing, rng)
    middle = len(data) // 2
    data = data[:middle] + b"\xe1\x55" + data[middle:]
    return data, chosen, CodeMap([case.image()], case.xlen)


def in_pieces(data: bytes, chosen: Configuration, code: CodeMap, rng: Random, most: int) -> Flow:
    """The flow of a stream fed in random pieces."""
    decoder_ = Decoder(chosen, code)
    chunks: list[Flow] = []
    position = 0
    while position < len(data):
        size = rng.randrange(most + 1)
        chunks += decoder_.feed(data[position : position + size])
        position += size
    return joined([*chunks, *decoder_.finish()])


@pytest.mark.parametrize("seed", SEEDS)
def test_any_split(seed: int) -> None:
    data, chosen, code = stream(seed)
    whole = decode(data, chosen, code)
    assert len(whole.runs)
    for most in (1, 7, 100):
        assert same(whole, in_pieces(data, chosen, code, Random(seed), most))


@pytest.mark.parametrize("seed", SEEDS)
def test_small_outputs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs that hold but a few records: packets wait, and are not decoded twice."""
    data, chosen, code = stream(seed)
    whole = decode(data, chosen, code)
    monkeypatch.setattr(decoder, "_RUNS", 5)
    monkeypatch.setattr(decoder, "_RECORDS", 5)
    assert same(whole, decode(data, chosen, code))


def test_what_is_not_iterated_over_comes_later() -> None:
    data, chosen, code = stream(SEEDS[2])
    whole = decode(data, chosen, code)
    lazy = Decoder(chosen, code)
    lazy.feed(data[:50])
    first = next(lazy.feed(data[50:]))
    assert same(whole, joined([first, *lazy.finish()]))


def test_kinds_of_bytes() -> None:
    data, chosen, code = stream(SEEDS[2])
    whole = decode(data, chosen, code)
    assert same(whole, decode(memoryview(data), chosen, code))  # type: ignore[arg-type]
    changing = bytearray(data)
    decoder_ = Decoder(chosen, code)
    chunks = decoder_.feed(changing)
    changing[:] = bytes(len(changing))
    assert same(whole, joined([*chunks, *decoder_.finish()]))


def test_expansion() -> None:
    data, chosen, code = stream(SEEDS[1])
    flow = decode(data, chosen, code)
    sizes = {code.address(slot): 2 * int(code.size[slot]) for slot in range(len(code.size))}
    expected = []
    for run in flow.runs:
        pc = int(run["start"])
        for _ in range(int(run["count"])):
            expected.append(pc)
            pc += sizes[pc]
    assert pcs(flow, code).tolist() == expected
    assert pcs(flow, code, 10, 31).tolist() == expected[10:31]
    assert pcs(flow, code, len(expected) - 3).tolist() == expected[-3:]
    assert pcs(flow, code, 5, 5).size == 0
    assert np.concatenate([piece.copy() for piece in pc_pieces(flow, code)]).tolist() == expected


def test_expansion_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from decoder import expand

    data, chosen, code = stream(SEEDS[1])
    flow = decode(data, chosen, code)
    monkeypatch.setattr(expand, "_PIECE", 7)
    pieces = [piece.copy() for piece in pc_pieces(flow, code)]
    assert {len(piece) for piece in pieces[:-1]} == {7}
    assert np.array_equal(np.concatenate(pieces), pcs(flow, code))


def test_trap_positions() -> None:
    data, chosen, code = stream(SEEDS[0])
    chunks = [*(decoder_ := Decoder(chosen, code)).feed(data), *decoder_.finish()]
    flow = joined(chunks)
    assert len(flow.traps)
    before = np.concatenate([[0], np.cumsum(flow.runs["count"])])
    assert trap_positions(flow).tolist() == before[flow.traps["run"].astype(int)].tolist()
