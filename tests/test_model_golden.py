"""The model against traces that independent tools made."""

import io
from functools import cache

import pytest
from elftools.elf.elffile import ELFFile

from tests.model import adapter, codec, decoder, encoder, golden
from tests.model.program import Program, from_image
from tests.model.rows import difference, outcomes

WIDTHS = (32, 64)
BOOT_ROM = (0x00000297, 0x02028593, 0xF1402573, None, 0x00028067)
LOAD = {32: 0x0182A283, 64: 0x0182B283}


def images(name: str, xlen: int) -> adapter.Images:
    """The ELF's segments and Spike's boot ROM."""
    rom = b"".join((word or LOAD[xlen]).to_bytes(4, "little") for word in BOOT_ROM)
    found = [(0x1000, rom)]
    elf = ELFFile(io.BytesIO((golden.directory(name) / f"{name}.elf").read_bytes()))
    for segment in elf.iter_segments("PT_LOAD"):
        found.append((segment["p_paddr"], segment.data()))
    return found


@cache
def program(name: str, xlen: int) -> Program:
    found: Program = {}
    for base, code in images(name, xlen):
        found |= from_image(base, code, xlen)
    return found


@pytest.mark.parametrize("configuration", golden.CONFIGURATIONS)
@pytest.mark.parametrize("image", ["flow", "kernels"])
@pytest.mark.parametrize("xlen", WIDTHS)
def test_packets_byte_for_byte(xlen: int, image: str, configuration: str) -> None:
    name = f"rv{xlen}-{image}"
    settings = golden.settings(configuration, xlen)
    payloads = encoder.encode_bytes(golden.ingress(name), settings)
    assert payloads == golden.payloads(name, configuration)


@pytest.mark.parametrize("configuration", golden.CONFIGURATIONS)
@pytest.mark.parametrize("image", ["flow", "kernels"])
@pytest.mark.parametrize("xlen", WIDTHS)
def test_packets_decode_to_the_pc_trace(xlen: int, image: str, configuration: str) -> None:
    name = f"rv{xlen}-{image}"
    settings = golden.settings(configuration, xlen)
    payloads = golden.payloads(name, configuration)
    decoded = decoder.decode_bytes(payloads, program(name, xlen), settings)
    assert difference(golden.pc_trace(name), decoded) is None


@pytest.mark.parametrize("configuration", golden.CONFIGURATIONS)
@pytest.mark.parametrize("image", ["traps", "modes"])
@pytest.mark.parametrize("xlen", WIDTHS)
def test_traps_and_privilege_levels_come_back(xlen: int, image: str, configuration: str) -> None:
    name = f"rv{xlen}-{image}"
    settings = golden.settings(configuration, xlen)
    rows = golden.ingress(name)
    decoded = decoder.decode_bytes(
        encoder.encode_bytes(rows, settings), program(name, xlen), settings
    )
    assert difference(outcomes(rows), decoded) is None
    assert difference(golden.pc_trace(name), decoded) is None


@pytest.mark.parametrize("image", ["flow", "kernels"])
@pytest.mark.parametrize("xlen", WIDTHS)
def test_itypes_of_the_instruction_decoder(xlen: int, image: str) -> None:
    """The model's own classification of instructions agrees with the reference's."""
    name = f"rv{xlen}-{image}"
    code = program(name, xlen)
    for row in golden.ingress(name):
        instruction = code[row.iaddr]
        itype = 4 if row.itype == 5 else row.itype
        assert (instruction.size, instruction.itype) == (row.size, itype), hex(row.iaddr)


@pytest.mark.parametrize("configuration", golden.CONFIGURATIONS)
def test_payloads_come_back(configuration: str) -> None:
    settings = golden.settings(configuration, 64)
    for payload in golden.payloads("rv64-kernels", configuration):
        packet = codec.from_bytes(payload, settings.parameters, settings.modes)
        assert codec.to_bytes(packet, settings.parameters, settings.modes) == payload
