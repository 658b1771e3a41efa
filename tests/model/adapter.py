"""The model as an implementation under test: `encode` and `decode` over reference framing.

`tests/adapter.py`, where it exists, offers the product through the same two functions.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.model import codec, decoder, encoder, framing
from tests.model.program import Program, from_image
from tests.model.rows import Outcome, Row
from tests.model.settings import Settings

#: Memory: (address, bytes) pairs.
Images = list[tuple[int, bytes]]


@dataclass(frozen=True)
class Implementation:
    """An encoder and a decoder, of whichever make."""

    name: str
    encode: Callable[[list[Row], Settings], bytes]
    decode: Callable[[bytes, Settings, Images, int], list[Outcome]]


def encode(rows: list[Row], settings: Settings) -> bytes:
    """A whole trace, support packets included, in reference framing."""
    payloads = encoder.encode_bytes(rows, settings)
    return b"".join(framing.frame(payload, framing.REFERENCE) for payload in payloads)


def decode(data: bytes, settings: Settings, images: Images, xlen: int) -> list[Outcome]:
    """What a trace in reference framing says, in order."""
    payloads = [framed.payload for framed in framing.unframe(data, framing.REFERENCE)]
    program: Program = {}
    for base, code in images:
        program |= from_image(base, code, xlen)
    return decoder.decode_bytes(payloads, program, settings, xlen)


def packets(data: bytes, settings: Settings) -> list[codec.Packet]:
    """The packets of a trace in reference framing, by the model's codec."""
    return [
        codec.from_bytes(framed.payload, settings.parameters, settings.modes)
        for framed in framing.unframe(data, framing.REFERENCE)
    ]
