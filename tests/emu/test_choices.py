"""What docs/topics/hart.md says of the hart, where nothing else shows it."""

import re
from pathlib import Path

import pytest

from emu import Machine
from emu.hart.extensions import MODES, extensions
from specs.isa.names import PROFILES
from tests.emu.build import DATA, Assembly, run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "topics" / "hart.md").read_text()
WIDTHS = [32, 64]
#: Names of properties, and those that stand for others.
UNNAMED = re.compile("zic(64b|camoa|cif|clsm|crse)|za128rs|za64rs|zkt|ss.*|sm|svbare|zce")


def test_the_page_names_what_there_is() -> None:
    table = PAGE[PAGE.index("## Extensions") : PAGE.index("## Modes")].lower()
    words = set(re.findall(r"\w+", table))
    there = {name for name in extensions() if not UNNAMED.fullmatch(name)}
    assert there <= words, there - words
    assert set(re.findall(r"`(rv[ai]\d\d[us]\d\d)`", table)) == {*PROFILES}
    modes = PAGE[PAGE.index("## Modes") :]
    assert all(
        f"`{mode.upper()}`" in modes or f"--modes {mode.upper()}`" in modes for mode in MODES
    )


@pytest.mark.parametrize("xlen", WIDTHS)
@pytest.mark.parametrize("name", ["wrs_nto", "wrs_sto"])
def test_waiting_on_a_reservation_ends_at_once(xlen: int, name: str) -> None:
    """With and without one; in machine mode and, whatever TW says, in user mode."""
    a = Assembly(xlen)
    getattr(a, name)()
    a.li(5, DATA)
    a.lr_w(rd=6, rs1=5)
    getattr(a, name)()
    a.li(7, 1 << 21)
    a.csr("mstatus", write=7)  # TW; MPP is U
    a.addi(rd=7, imm=-1)
    a.csr("pmpaddr0", write=7)
    a.addi(rd=7, imm=0x1F)
    a.csr("pmpcfg0", write=7)
    a.li(7, a.at + 4 * (xlen // 16) + 8)
    a.csr("mepc", write=7)
    a.mret()
    getattr(a, name)()
    a.exit()
    machine = run(a.program(), 1000)
    assert (machine.exit_code, machine.trap_counts) == (0, {})
    # the boot ROM, and each instruction once
    assert machine.instret < 60


@pytest.mark.parametrize("xlen", WIDTHS)
def test_a_store_of_the_hart_leaves_the_reservation(xlen: int) -> None:
    a = Assembly(xlen)
    a.li(5, DATA)
    a.addi(rd=7, imm=9)
    a.lr_w(rd=6, rs1=5)
    a.sw(rs1=5, rs2=7)
    a.sc_w(rd=8, rs1=5, rs2=7)
    a.sc_w(rd=9, rs1=5, rs2=7)  # which the first has ended
    a.lr_w(rd=6, rs1=5)
    a.addi(rd=10, rs1=5, imm=4)
    a.sc_w(rd=10, rs1=10, rs2=7)  # another address
    a.exit()
    machine = run(a.program(), 1000)
    assert [machine.register(n) for n in (8, 9, 10)] == [0, 1, 1]


@pytest.mark.parametrize("xlen", WIDTHS)
def test_registers_at_reset_and_those_that_are_zero(xlen: int) -> None:
    a = Assembly(xlen)
    a.exit()
    machine = Machine([a.program()])
    assert {machine.register(n) for n in range(32)} == {0}
    for name in ("mvendorid", "marchid", "mimpid", "mhartid", "mhpmcounter3", "hpmcounter31"):
        assert machine.csr(name) == 0
    assert machine.csr("mstatus") & 0x7FFF_FFFF == 0  # FS is off
    assert machine.csr("menvcfg") == machine.csr("pmpcfg0") == machine.csr("satp") == 0


@pytest.mark.parametrize(
    ("xlen", "name", "written", "kept"),
    [
        (64, "satp", 0xFFFF << 44 | 8 << 60 | 5, 0xFFFF << 44 | 8 << 60 | 5),
        (64, "satp", 7 << 60 | 5, 0),  # no such mode
        (64, "satp", 11 << 60 | 5, 0),
        (32, "satp", 0xFFFF_FFFF, 0xFFFF_FFFF),
        (64, "mtvec", 0x8000_0007, 0x8000_0005),
        (32, "stvec", 0x8000_0006, 0x8000_0004),
        (64, "pmpcfg0", 0x02, 0),  # W without R
        (64, "pmpcfg0", 0x17, 0x17),  # NA4: granularity 4
        (64, "medeleg", (1 << 64) - 1, 0xB3FF),
        (64, "mideleg", (1 << 64) - 1, 0x222),
        (32, "mcounteren", 0xFFFF_FFFF, 0xFFFF_FFFF),
        (64, "mcountinhibit", 0xFFFF_FFFF, 5),
        (64, "misa", 0, None),
        (64, "mhpmcounter3", 5, 0),
    ],
)
def test_what_is_kept(xlen: int, name: str, written: int, kept: int | None) -> None:
    a = Assembly(xlen)
    a.li(5, DATA)
    (a.ld if xlen == 64 else a.lw)(rd=5, rs1=5)
    a.csr(name, write=5)
    a.csr(name, rd=6)
    a.exit()
    program = a.program(written.to_bytes(8, "little"))
    before = Machine([program]).csr(name)
    machine = run(program, 1000)
    assert machine.exit_code == 0 and machine.trap_counts == {}
    assert machine.register(6) == (before if kept is None else kept)
