"""What the hart can do, what a program wants, and what `isa` leaves of it."""

from dataclasses import replace

import pytest

from emu.hart.extensions import allowed, lacking
from emu.machine import Machine
from emu.memory import MachineError
from tests.emu.build import Assembly, run

EVERYTHING = allowed(None, 64)


def with_compressed(isa: str | None):
    a = Assembly(64)
    a.c_addi(rd=8, rs1=8, imm=1)
    a.c_nop()
    a.mul(rd=9, rs1=8, rs2=8)
    a.exit()
    return replace(a.program(), isa=isa)


@pytest.mark.parametrize("attribute", [None, "rv64i2p1", "rv64i2p1_f2p2_d2p2", "rv32i", "junk"])
def test_the_attribute_restricts_nothing(attribute: str | None) -> None:
    machine = run(with_compressed(attribute))
    assert machine.exit_code == 0 and machine.register(9) == 1
    assert machine.csr("misa") & 0xFFFF == 1 << 12 | 1 << 8 | 1 << 2 | 1


def test_isa_restricts() -> None:
    machine = run(with_compressed(None), isa="rv64ima", limit=1000)
    assert machine.exit_code is None and machine.csr("mcause") in (1, 2)
    assert machine.csr("misa") & 0xFFFF == 1 << 12 | 1 << 8 | 1
    with pytest.raises(MachineError, match="RV32, the program is RV64"):
        Machine([with_compressed(None)], isa="rv32i")


@pytest.mark.parametrize(
    ("attribute", "missing"),
    [
        (None, []),
        ("no ISA string", []),
        ("rv64i2p1_m2p0_a2p1_c2p0_zicsr2p0_zifencei2p0_zmmul1p0_zaamo1p0_zalrsc1p0_zca1p0", []),
        ("rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0", ["F", "D"]),
        ("rv64gc", ["F", "D"]),
        ("rv32e1p9_c2p0", []),
        ("rv64i2p1_zba1p0_zbb1p0_xtheadba1p0", ["Zba", "Zbb", "Xtheadba"]),
    ],
)
def test_what_a_program_was_built_for_and_is_not_there(
    attribute: str | None, missing: list[str]
) -> None:
    assert lacking(attribute, EVERYTHING) == missing


def test_what_isa_leaves_out_is_missing_too() -> None:
    assert lacking("rv64imac", allowed("rv64ia", 64)) == ["M", "C"]
