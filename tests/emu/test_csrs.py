"""CSRs of a hart with machine mode alone: which there are, and counters that are written."""

import pytest

from emu.memory import MachineError
from tests.emu.build import Assembly, run
from tests.emu.test_traps import with_handler

XLEN = pytest.mark.parametrize("xlen", [32, 64])
ALL_ONES = 0xFFFF_FFFF
#: Half, the other one, and from which bit of the counter on it is.
HALVES = [
    (name, other, shift)
    for counter in ("minstret", "mcycle")
    for name, other, shift in ((counter, f"{counter}h", 0), (f"{counter}h", counter, 32))
]


@pytest.mark.parametrize(("half", "other", "shift"), HALVES)
@pytest.mark.parametrize("low", [0, 5, ALL_ONES])
@pytest.mark.parametrize("inhibited", [False, True])
def test_a_write_to_a_half_is_instead_of_the_increment(
    half: str, other: str, shift: int, low: int, inhibited: bool
) -> None:
    """Of the whole counter: Zicsr, "CSR Access Ordering". Instruction by instruction, here."""
    a = Assembly(32)
    a.li(5, low)
    a.li(6, 0x1234)
    counter = half.removesuffix("h")
    if inhibited:
        a.addi(rd=7, rs1=0, imm=5)
        a.csr("mcountinhibit", write=7)
    a.csr(f"{counter}h", write=6)
    a.csr(counter, write=5)
    value = 0x1234 << 32 | low
    step = 0 if inhibited else 1
    a.addi()
    value += step
    a.csr(half, write=6)
    value = value & ~(ALL_ONES << shift) | 0x1234 << shift
    a.csr(half, rd=10)
    seen = [value >> shift & ALL_ONES]
    value += step
    a.csr(other, rd=11)
    seen.append(value >> (32 - shift) & ALL_ONES)
    a.exit()
    machine = run(a.program())
    assert [machine.register(10), machine.register(11)] == seen


def test_the_other_counter_goes_on() -> None:
    a = Assembly(32)
    a.csr("mcycle", rd=10)
    a.csr("minstret", write=0)
    a.csr("minstreth", write=0)
    a.csr("mcycle", rd=11)
    a.exit()
    machine = run(a.program())
    assert machine.register(11) - machine.register(10) == 3


def test_overflow_of_both_halves() -> None:
    """All ones written to both, then one instruction: 0."""
    a = Assembly(32)
    a.addi(rd=5, rs1=0, imm=-1)
    a.csr("minstret", write=5)
    a.csr("minstreth", write=5)
    a.addi()
    a.csr("minstret", rd=10)
    a.csr("minstreth", rd=11)
    a.exit()
    machine = run(a.program())
    assert (machine.register(10), machine.register(11)) == (0, 0)


@XLEN
def test_protection_that_is_not_there_reads_as_zero(xlen: int) -> None:
    a = Assembly(xlen)
    a.addi(rd=5, rs1=0, imm=-1)
    configurations = range(4, 16, 1 if xlen == 32 else 2)
    names = [f"pmpcfg{n}" for n in configurations] + [f"pmpaddr{n}" for n in range(16, 64)]
    for name in names:
        a.csr(name, write=5)
    for name in names:
        a.csr(name, rd=6)
        a.or_(rd=7, rs1=7, rs2=6)
    a.exit()
    machine = run(a.program())
    assert machine.exit_code == 0 and machine.trap_counts == {} and machine.register(7) == 0


@XLEN
@pytest.mark.parametrize("name", ["mcounteren", "medeleg", "scounteren", "menvcfg"])
def test_what_other_modes_need_does_not_exist(xlen: int, name: str) -> None:
    a = with_handler(xlen)
    at = a.csr(name, rd=6)
    a.exit()
    machine = run(a.program(), modes="M")
    assert (machine.register(20), machine.register(22)) == (2, at)
    with pytest.raises(MachineError):
        machine.csr(name)


@XLEN
@pytest.mark.parametrize(
    ("name", "isa", "mask"),
    [
        ("mtvec", "ima_zicsr_zifencei", ~2),  # MODE 2 and 3 are reserved
        ("mepc", "imac_zicsr_zifencei", ~1),
        ("mepc", "ima_zicsr_zifencei", ~3),
        ("mie", "ima_zicsr_zifencei", 0x888),
        ("mcountinhibit", "ima_zicsr_zifencei", 0b101),
        ("mstatus", "ima_zicsr_zifencei", 0x88),
        ("misa", "ima_zicsr_zifencei", 0),
    ],
)
def test_bits_that_keep_what_is_written(xlen: int, name: str, isa: str, mask: int) -> None:
    a = Assembly(xlen)
    a.addi(rd=5, rs1=0, imm=-1)
    a.csr(name, rd=6)
    a.csr(name, write=5)
    a.csr(name, rd=7)
    a.csr(name, write=6)
    a.exit()
    machine = run(a.program(), isa=f"rv{xlen}{isa}", modes="M")
    assert machine.register(7) == machine.register(6) | mask & (1 << xlen) - 1
