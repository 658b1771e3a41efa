"""Between the model's terms (tests/model) and the decoder's."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import numpy as np

from decoder import Decoder, pcs
from decoder.path.settings import MOST_BRANCHES
from specs.configuration.parameters import (
    Configuration,
    FramingParameters,
    ParametersError,
    from_dict,
)
from specs.interfaces.flow import CONTEXT, GAP, LOOP, PAUSE, RUN, TRAP, Flow, Reason
from specs.interfaces.records import join
from specs.isa.control import CodeMap
from tests import adapter
from tests.model import framing
from tests.model.rows import Outcome, Retired, Trapped
from tests.model.settings import Settings
from tests.spec import notation

REFERENCE = FramingParameters(kind="reference")


def configuration(
    settings: Settings, chosen: FramingParameters = REFERENCE
) -> Configuration | None:
    """The product's configuration for the model's settings; None if packets could be too long."""
    found = replace(adapter.configuration(settings), framing=chosen)
    try:
        return from_dict(found.to_dict())
    except ParametersError:
        return None


def encapsulation(chosen: FramingParameters) -> framing.Encapsulation:
    """The model's framing for the product's."""
    if chosen.kind == "reference":
        return framing.REFERENCE
    return framing.Encapsulation(
        chosen.srcid_width,
        chosen.srcid,
        chosen.timestamp_width // 8,
        chosen.type_width,
        chosen.type,
        chosen.flow,
    )


def framed(payloads: Iterable[bytes], chosen: FramingParameters = REFERENCE) -> bytes:
    """The payloads as a byte stream, with nothing between them."""
    wrapping = encapsulation(chosen)
    return b"".join(framing.frame(payload, wrapping) for payload in payloads)


def decorated(payloads: Iterable[bytes], chosen: FramingParameters, rng: Random) -> bytes:
    """The payloads encapsulated, with timestamps, nulls, foreign packets and sync sequences."""
    wrapping = encapsulation(chosen)
    stream = bytearray(framing.synchronisation_sequence(wrapping))
    for payload in payloads:
        width = 8 * wrapping.timestamp_bytes
        timestamp = rng.getrandbits(width) if width and rng.random() < 0.5 else None
        stream += framing.frame(payload, wrapping, timestamp)
        if rng.random() < 0.1:
            stream += bytes(rng.choice((0x00, 0x80, 0x20)) for _ in range(rng.randrange(4)))
        if rng.random() < 0.1 and wrapping.srcid_bits:
            other = replace(wrapping, srcid=wrapping.srcid ^ 1)
            stream += framing.frame(rng.randbytes(rng.randrange(1, 20)), other)
        if rng.random() < 0.05:
            stream += framing.synchronisation_sequence(wrapping)
    return bytes(stream)


def joined(chunks: Iterable[Flow]) -> Flow:
    """The chunks as one flow."""
    flows = list(chunks)

    def column(name: str, dtype: np.dtype) -> np.ndarray:
        return join([np.zeros(0, dtype), *(getattr(flow, name) for flow in flows)], dtype)

    expected = 0
    for flow in flows:
        assert flow.first_run == expected
        expected += len(flow.runs)
    return Flow(
        column("runs", RUN),
        column("traps", TRAP),
        column("contexts", CONTEXT),
        column("gaps", GAP),
        pauses=column("pauses", PAUSE),
        loops=column("loops", LOOP),
    )


def decode(
    data: bytes, chosen: Configuration, code: CodeMap, most_branches: int = MOST_BRANCHES
) -> Flow:
    """The flow of a whole stream."""
    decoder = Decoder(chosen, code, most_branches)
    return joined([*decoder.feed(data), *decoder.finish()])


def same(one: Flow, other: Flow) -> bool:
    """Whether two flows are equal in every record."""
    names = ("runs", "traps", "contexts", "gaps", "pauses", "loops")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def outcomes(flow: Flow, code: CodeMap) -> list[Outcome]:
    """A flow as rows: retired instructions and traps in order.

    An unknown EPC is -1 of an exception, 0 (which may be why) of an interrupt.
    """
    found: list[Outcome] = []
    every_pc = pcs(flow, code).tolist()
    traps = list(flow.traps)
    position = 0
    for index in range(len(flow.runs) + 1):
        while traps and int(traps[0]["run"]) == index:
            trap = traps.pop(0)
            priv = int(trap["priv"])
            found.append(
                Trapped(
                    int(trap["cause"]),
                    bool(trap["interrupt"]),
                    int(trap["tval"]),
                    int(trap["epc"]) if trap["epc_known"] else None,
                    None if priv == 255 else priv,
                )
            )
        if index < len(flow.runs):
            run = flow.runs[index]
            count, priv = int(run["count"]), int(run["priv"])
            assert count > 0
            found += [Retired(pc, priv) for pc in every_pc[position : position + count]]
            position += count
    assert not traps
    return found


def told(
    listing: str, packets: str, settings: Settings = notation.RV64, xlen: int = 64
) -> tuple[Flow, CodeMap]:
    """The flow of packets given as text through code given as a listing (tests/spec/notation)."""
    code = CodeMap(notation.code(listing), xlen)
    chosen = configuration(settings)
    assert chosen is not None
    data = notation.stream(packets, settings)
    return decode(data, chosen, code, settings.most_branches), code


def addresses(flow: Flow, code: CodeMap) -> str:
    """The pcs of a flow, the last two digits of each, traps as `!`."""
    return " ".join(
        f"{row.pc & 0xFF:02x}" if isinstance(row, Retired) else "!" for row in outcomes(flow, code)
    )


def gaps(flow: Flow) -> list[tuple[str, int]]:
    """Reason and address of each gap."""
    return [(Reason(int(gap["reason"])).name, int(gap["address"])) for gap in flow.gaps]
