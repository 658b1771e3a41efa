"""Random words as code: whatever they are, the machine stays exact, and stops."""

import random

import numpy as np
import pytest

from emu.machine import Machine
from emu.platforms.elf import Program
from specs.isa.csrs import ADDRESS
from specs.isa.encode import encode
from tests.emu.build import CLINT, CODE, DATA, TOHOST, Assembly, events


def noise(seed: int, xlen: int) -> Program:
    """A handler that steps over a half-word and goes on, registers that point to places of
    interest, then noise: half-words, and whole instructions of each kind with random operands.
    """
    rng = random.Random(seed)
    a = Assembly(xlen)
    a.jal(rd=0, imm=20)
    handler = a.at
    a.csr("mepc", rd=31)
    a.addi(rd=31, rs1=31, imm=2)
    a.csr("mepc", write=31)
    a.mret()
    a.li(31, handler)
    a.csr("mtvec", write=31)
    for register in range(1, 31):
        a.li(register, rng.choice((DATA + 0xFFC, CODE + 0x200, CLINT, TOHOST + 64, 0x1000, 7, 0)))
    names = (
        "add",
        "mulh",
        "div",
        "lw",
        "sw",
        "beq",
        "bltu",
        "jal",
        "jalr",
        "amoadd.w",
        "lr.w",
        "sc.w",
        "csrrw",
        "fence.i",
        "ecall",
        "lui",
        "auipc",
        "sh3add",
        "rori",
        "cpop",
        "bext",
        "czero.eqz",
    )  # fmt: skip; a wfi would end the run
    for _ in range(1500):
        if rng.random() < 0.5:
            a.raw(rng.getrandbits(16), 2)
            continue
        word = encode(rng.choice(names))
        # Operand bits of the format at hand; a word that becomes another one is as good.
        a.raw((word | rng.getrandbits(32) & 0xFFFF8F80) & 0xFFFFFFFF, 4)
    a.csr("mstatus", rd=1, set_=ADDRESS["mscratch"] & 31)
    a.raw(encode("jal", imm=CODE + 0x200 - a.at), 4)
    return a.program()


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("seed", range(25))
def test_noise(seed: int, xlen: int) -> None:
    program = noise(seed, xlen)
    limit = 20_000
    reference = Machine([program])
    rows = events(reference.run(limit))
    assert reference.instret <= limit
    traps = sum(reference.trap_counts.values())
    assert traps == sum(row[0] != "block" for row in rows)
    small = Machine([program], chunk_refs=1 << 12, chunk_traps=2, table_blocks=1 << 10)
    got = events(small.run(limit))
    silent = Machine([program], record=False)
    assert list(silent.run(limit)) == []
    for other in (small, silent):
        assert (other.instret, other.pc, other.exit_reason) == (
            reference.instret,
            reference.pc,
            reference.exit_reason,
        )
        assert other.trap_counts == reference.trap_counts
        assert np.array_equal(other.cpu[:32], reference.cpu[:32])
    assert got == rows
