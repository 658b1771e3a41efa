"""What the hart can do, what a program wants, and what `isa` leaves of it."""

import re
from dataclasses import replace

import pytest

from emu.hart.extensions import allowed, extensions, lacking, misa, names, names_zcm, selection
from emu.machine import Machine
from emu.memory import MachineError
from specs.isa.names import IMPLIED, NO_INSTRUCTIONS, PROFILES, implied
from specs.isa.tables import ENTRIES, ZCM
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
    assert machine.csr("misa") & (1 << 26) - 1 == sum(1 << ord(x) - ord("a") for x in "abcdfimsu")


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
        ("rv32e1p9_c2p0", []),
        ("rv64imacb_zicond", []),
        ("rv32i2p1_zba1p0_zbb1p0_zve32x1p0_zbs1p0_zicond1p0", ["Zve32x"]),
        ("rv64i2p1_zicntr2p0_zihintpause2p0_zicbop1p0_svade1p0_zkt1p0", []),
        ("rv64i2p1_zba1p0_zbb1p0_xtheadba1p0", ["Xtheadba"]),
    ],
)
def test_what_a_program_was_built_for_and_is_not_there(
    attribute: str | None, missing: list[str]
) -> None:
    assert lacking(attribute, EVERYTHING) == missing


def test_what_isa_leaves_out_is_missing_too() -> None:
    assert lacking("rv64imac", allowed("rv64ia", 64)) == ["M", "C"]
    assert lacking("rv64ib_zihintpause", allowed("rv64i_zba_zbb_zbs", 64)) == []
    assert lacking("rv64gc", allowed("rv64imac", 64)) == ["F", "D"]


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
    """Single letters as MAFDQCBVPHSU, those with a z by the letter behind it, those with an s."""
    told = list(extensions())
    letters = [name for name in told if len(name) == 1]
    assert letters == [letter for letter in "imafdcbsu" if letter in told]
    longer = told[len(letters) :]
    firsts = [name[1] if name[0] == "z" else "s" for name in longer]
    assert firsts == sorted(firsts, key="imafdcbktvs".index)
    assert longer[:3] == ["zic64b", "zicbom", "zicbop"] or longer[:2] == ["zic64b", "zicbop"]


@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        ("rv64gc", "i m a f d c zicsr zifencei"),
        ("rv32i2p1_m2p0_a2p1_zba1p0", "i m a zba"),
        ("RV64IMACzba_zbb", "i m a c zba zbb"),
        ("rv64imafdcsu", "i m a f d c s u"),
        ("rv64imacu_svinval", "i m a c u svinval"),
        ("rvi20u32", "i"),
        ("rva20u64_zbc1p0", "i m a f d c zicsr zbc"),
        ("rva22s64", "i m a f d c b s zicsr zifencei zicbom zicboz zfhmin svinval"),
    ],
)
def test_what_an_isa_string_names(isa: str, expected: str) -> None:
    width, found = names(isa)
    assert width == (32 if "32" in isa else 64)
    assert {*found} - (NO_INSTRUCTIONS - {"u"}) == {*expected.split()}


@pytest.mark.parametrize("isa", ["rv16i", "rva23u64", "rva22u32", "rv64", "x", ""])
def test_what_is_no_isa_string(isa: str) -> None:
    with pytest.raises(MachineError, match="expected rv32"):
        names(isa)


@pytest.mark.parametrize(
    ("named", "xlen", "has", "has_not"),
    [
        ("m", 64, "zmmul", "a"),
        ("zaamo zalrsc", 64, "a", "b"),
        ("zba zbb zbs", 64, "b zbb/zbkb", "zbkb"),
        ("zbkb", 64, "zbb/zbkb", "zbb"),
        ("c", 32, "c zca", "zcd zcf"),
        ("f c", 32, "zicsr zcf", "zcd"),
        ("f c", 64, "c", "zcd zcf"),
        ("d c", 32, "f zcd zcf", "zcmp"),
        ("d c", 64, "f zcd", "zcf"),
        ("d zca", 64, "c", "zcd"),
        ("f zce", 32, "zcb zcmp zcmt zcf", "zcd"),
        ("zcb zmmul", 64, "c zcb+zmmul", "m zcb+zbb zcb+zba"),
        ("zfh d", 64, "zfhmin zfhmin+d f", "zfa zcd"),
        ("zfa", 64, "f", "zfa+d zfa+zfh d"),
        ("zfa zfh", 64, "zfa+zfh", "zfa+d"),
        ("zacas", 64, "zaamo", "zabha+zacas a"),
        ("zacas zabha", 64, "zabha+zacas", "a"),
        ("zbc", 64, "zbkc", "zbkb"),
        ("svinval", 64, "s u", "d"),
    ],
)
def test_what_names_imply(named: str, xlen: int, has: str, has_not: str) -> None:
    found = implied(named.split(), xlen)
    assert found >= {*named.split(), *has.split()} and not found & {*has_not.split()}


def test_names_of_extensions_are_those_of_the_tables() -> None:
    tables = {name for e in ENTRIES for name in re.split("[+/]", e.extension)}
    stand_for_others = {"a", "b", "zce", "zca", "u"}
    said = IMPLIED.keys() | {name for each in IMPLIED.values() for name in each}
    assert said - NO_INSTRUCTIONS - stand_for_others <= tables
    assert not NO_INSTRUCTIONS & tables
    for profile in PROFILES.values():
        assert {*profile.split()} <= tables | said | NO_INSTRUCTIONS


def test_modes_that_an_isa_string_does_not_name() -> None:
    """Both are there, unless it names one."""
    modes = {mode for mode in ("s", "u") if mode in extensions()}
    assert allowed("rv64imac", 64) & {"s", "u"} == modes == EVERYTHING & {"s", "u"}
    assert allowed("rv64imacu", 64) & {"s", "u"} == {"u"}


def test_what_cannot_be_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emu.hart.extensions._lacking_instructions", frozenset)
    monkeypatch.setattr("emu.hart.extensions.extensions", extensions.__wrapped__)
    with pytest.raises(MachineError, match="zcmp has encodings of zcd: name zca in place of c"):
        allowed("rv64gc_zcmp", 64)
    with pytest.raises(MachineError, match="zcf is of RV32 alone"):
        allowed("rv64if_zcf", 64)
    beside = allowed("rv64imafd_zca_zcmp_zcmt", 64)
    assert selection(beside, 64) == 64 | ZCM
    every = allowed(None, 32)
    assert {"zcd", "zcf", "d", "s"} <= every and not {"zcmp", "zcmt"} & every
    built_for = ["rv32imafc", "rv32imac_zcmp1p0"]
    instead = allowed(None, 32, built_for)
    assert {"zcmp", "zcmt", "zca", "c", "d"} <= instead and "zcd" not in instead
    assert names_zcm(None, built_for) and not names_zcm("rv32imac", built_for)
    assert names_zcm("rv32i_zce") and not names_zcm(None, [None, "junk", "rv64gc"])
    assert selection(every, 32) == 32 and selection(allowed("rv32i_zcmt", 32), 32) == 32 | ZCM


@pytest.mark.parametrize(
    ("isa", "letters"),
    [
        ("rv64i", "i"),
        ("rv64imac", "imac"),
        ("rv64if_zca", "ifc"),
        ("rv32if_zca", "if"),
        ("rv32if_zca_zcf", "ifc"),
        ("rv64ifd_zca", "ifd"),
        ("rv64ifdc", "ifdc"),
        ("rv64i_zmmul", "i"),
    ],
)
def test_letters_of_misa(isa: str, letters: str) -> None:
    """C: "C Extension" and "Zca"."""
    width, found = names(isa)
    value = misa(implied([*found], width), width)
    assert value >> width - 2 == (1 if width == 32 else 2)
    assert value & (1 << 26) - 1 == sum(1 << ord(letter) - ord("a") for letter in letters)
