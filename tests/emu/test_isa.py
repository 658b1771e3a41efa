"""What the hart can do, what a program wants, and what `isa` leaves of it."""

from dataclasses import replace

import pytest

from emu.hart.extensions import allowed, extensions, lacking
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
    assert machine.csr("misa") & 0xFFFF == 1 << 12 | 1 << 8 | 1 << 2 | 2 | 1


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
        ("rv64imacb_zicond", []),
        ("rv32i2p1_zba1p0_zbb1p0_zbc1p0_zbs1p0_zicond1p0", ["Zbc"]),
        ("rv64i2p1_zba1p0_zbb1p0_xtheadba1p0", ["Xtheadba"]),
    ],
)
def test_what_a_program_was_built_for_and_is_not_there(
    attribute: str | None, missing: list[str]
) -> None:
    assert lacking(attribute, EVERYTHING) == missing


def test_what_isa_leaves_out_is_missing_too() -> None:
    assert lacking("rv64imac", allowed("rv64ia", 64)) == ["M", "C"]


@pytest.mark.parametrize(
    ("isa", "bit"),
    [("rv64ib", 2), ("rv64i_zba_zbb_zbs", 2), ("rv64i_zba_zbb", 0), ("rv64i_zicond", 0)],
)
def test_b_is_zba_zbb_and_zbs(isa: str, bit: int) -> None:
    """Bit 1 of misa (privileged architecture, "Machine ISA Register")."""
    a = Assembly(64)
    a.exit()
    assert run(a.program(), isa=isa).csr("misa") & 2 == bit


@pytest.mark.parametrize(
    ("isa", "legal"),
    [
        ("rv64ib", "sh1add andn bset"),
        ("rv64i_zba", "sh1add"),
        ("rv64i_zbb", "andn"),
        ("rv64i_zbs", "bset"),
        ("rv64i_zicond", "czero.eqz"),
        ("rv64imac", ""),
    ],
)
def test_what_isa_leaves_of_bit_manipulation(isa: str, legal: str) -> None:
    for name in ("sh1add", "andn", "bset", "czero.eqz"):
        a = Assembly(64)
        getattr(a, name)(rd=5, rs1=0, rs2=0)
        a.exit()
        traps = run(a.program(), isa=isa, limit=10).trap_counts
        assert ((False, 2) in traps) == (name not in legal.split())


def test_names_are_told_in_canonical_order() -> None:
    """Single letters as MAFDQCBVPH, then those with a z by the letter behind it."""
    told = list(extensions())
    assert told[:5] == ["i", "m", "a", "c", "b"]
    assert told[5:] == [
        *("zicntr", "zicond", "zicsr", "zifencei", "zihpm", "zmmul", "zaamo", "zalrsc", "zca"),
        *("zba", "zbb", "zbs"),
    ]
