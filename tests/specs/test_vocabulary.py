"""Enumerations and names: itypes, privilege levels, causes, control and status registers."""

import pytest

from specs.isa.causes import EXCEPTIONS, INTERRUPTS, LOAD_ACCESS_FAULT, cause_name
from specs.isa.csrs import ADDRESS, CSRS, RV32_CSRS, csr_name
from specs.isa.itype import UPDISCON, Itype, narrow
from specs.isa.privilege import Privilege, from_letters, letters


def test_itypes_are_the_table_of_the_interface() -> None:
    assert [int(itype) for itype in Itype] == list(range(16))
    assert (Itype.TRAP_RETURN, Itype.NONTAKEN_BRANCH, Itype.TAKEN_BRANCH) == (3, 4, 5)
    assert (Itype.UNINFERABLE_CALL, Itype.INFERABLE_CALL) == (8, 9)
    assert (Itype.COROUTINE_SWAP, Itype.RETURN) == (12, 13)


def test_three_bit_itypes() -> None:
    expected = {8: 6, 10: 6, 12: 6, 13: 6, 14: 6, 9: 0, 11: 0, 15: 0, 7: 0}
    for itype in range(16):
        assert narrow(itype) == expected.get(itype, itype)
    with pytest.raises(ValueError, match="16"):
        narrow(16)


def test_updiscons() -> None:
    assert sorted(UPDISCON) == [3, 6, 8, 10, 12, 13, 14]


def test_privilege_letters() -> None:
    assert [letters(code) for code in range(8)] == ["U", "S", "?2", "M", "D", "VU", "VS", "?7"]
    for level in Privilege:
        assert from_letters(letters(level).lower()) is level
    with pytest.raises(ValueError, match="'H' is not a privilege level"):
        from_letters("H")


def test_causes() -> None:
    assert cause_name(LOAD_ACCESS_FAULT, False) == "load access fault"
    assert cause_name(7, True) == "machine timer interrupt"
    assert cause_name(24, False) == "exception 24"
    assert cause_name(16, True) == "interrupt 16"
    assert 14 not in EXCEPTIONS
    assert len(set(EXCEPTIONS.values()) | set(INTERRUPTS.values())) == len(EXCEPTIONS) + len(
        INTERRUPTS
    )


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0x300, "mstatus"),
        (0x305, "mtvec"),
        (0x340, "mscratch"),
        (0x344, "mip"),
        (0x33F, "mhpmevent31"),
        (0x3A0, "pmpcfg0"),
        (0x3AF, "pmpcfg15"),
        (0x3B0, "pmpaddr0"),
        (0x3EF, "pmpaddr63"),
        (0xB00, "mcycle"),
        (0xB02, "minstret"),
        (0xB1F, "mhpmcounter31"),
        (0xC1F, "hpmcounter31"),
        (0xF14, "mhartid"),
        (0x180, "satp"),
        (0x7B0, "dcsr"),
    ],
)
def test_registers(address: int, name: str) -> None:
    assert csr_name(address, 64) == name
    assert ADDRESS[name] == address


def test_upper_halves_exist_on_rv32_alone() -> None:
    assert csr_name(0xB9F, 32) == "mhpmcounter31h"
    assert csr_name(0xB9F, 64) == "0xb9f"
    assert not set(CSRS) & set(RV32_CSRS)
    assert len(ADDRESS) == len(CSRS) + len(RV32_CSRS) == 460
