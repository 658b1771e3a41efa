"""Small traces for tests of single rules: a program of 4-byte instructions, and rows by number."""

from collections.abc import Iterable

from tests.model import assemble, decoder, encoder, stretches
from tests.model.codec import Packet
from tests.model.program import Program, from_image
from tests.model.rows import Row
from tests.model.settings import Parameters, Settings

BASE = 0x1000
NOP = assemble.addi(0, 0, 0)
RET = assemble.jalr(0, 1, 0)
PARAMETERS = Parameters(nocontext_p=0, context_width_p=8, ctype_width_p=2)
PLAIN = Settings(PARAMETERS)


def memory(*words: int) -> Program:
    return from_image(BASE, b"".join(word.to_bytes(4, "little") for word in words), 32)


def row(program: Program, number: int, taken: bool = False, ctype: int = 0) -> Row:
    iaddr = BASE + 4 * number
    itype = program[iaddr].itype + int(taken)
    return Row(True, iaddr, 4, itype, 3, context=ctype * 16 + number, ctype=ctype)


def rows_of(program: Program, path: Iterable[int]) -> list[Row]:
    return [row(program, number) for number in path]


def trace(program: Program, rows: list[Row], settings: Settings = PLAIN) -> list[Packet]:
    """The packets behind the first support packet; they decode."""
    traced = encoder.traced(rows, settings)
    decoded = decoder.Decoder(program, settings, 32)
    for packet in traced.packets:
        decoded.process(packet)
    assert stretches.difference(traced, decoded) is None
    return traced.packets[1:]


def kind(packet: Packet) -> str:
    """Format and subformat; of support packets, ienable and qual_status."""
    if packet["format"] != 3:
        return str(packet["format"])
    if packet["subformat"] == 3:
        return f"support {packet['ienable']}{packet['qual_status']}"
    return f"3.{packet['subformat']}"


def kinds(packets: list[Packet]) -> list[str]:
    return [kind(packet) for packet in packets]


STRAIGHT = memory(*[NOP] * 12)
