"""Whole programs: each runs as it should, is what it is there for, and its trace decodes."""

import os

import numpy as np
import pytest

import etrace
from emu.machine import ExitReason, Machine
from emu.platforms import elf
from specs.interfaces import ingress
from specs.isa.itype import Itype
from tests.programs.programs import HERE, PROGRAMS, Program

EVERY = pytest.mark.parametrize("program", PROGRAMS, ids=str)

#: What makes a program worth tracing: how often it ends a block so, at the least.
HAPPENS: dict[str, dict[Itype, int]] = {
    "recursion": {Itype.RETURN: 20_000, Itype.INFERABLE_CALL: 20_000, Itype.UNINFERABLE_JUMP: 700},
    "interpreter": {Itype.UNINFERABLE_JUMP: 20_000},
    "sorting": {Itype.UNINFERABLE_CALL: 8_000, Itype.RETURN: 19_000},
    "hashing": {Itype.TAKEN_BRANCH: 60_000, Itype.NONTAKEN_BRANCH: 25_000},
    "lists": {Itype.RETURN: 8_000, Itype.UNINFERABLE_CALL: 40, Itype.UNINFERABLE_JUMP: 8},
    "farcalls": {
        Itype.UNINFERABLE_CALL: 9_000,
        Itype.UNINFERABLE_JUMP: 1_600,
        Itype.COROUTINE_SWAP: 500,
        Itype.OTHER_UNINFERABLE_JUMP: 250,
        Itype.OTHER_INFERABLE_JUMP: 250,
    },
    "scheduler": {Itype.INTERRUPT: 600, Itype.EXCEPTION: 800, Itype.TRAP_RETURN: 1_400},
    "virtual": {Itype.UNINFERABLE_CALL: 3_000, Itype.UNINFERABLE_JUMP: 6_000},
    "rust_traits": {Itype.UNINFERABLE_CALL: 280, Itype.TAKEN_BRANCH: 4_000},
}


@EVERY
def test_it_finds_its_results_right(program: Program) -> None:
    machine = Machine([elf.load(str(program.path))], record=False)
    for _ in machine.run(2 * program.instructions):
        pass
    assert machine.exit_reason is ExitReason.EXIT
    assert machine.exit_code == 0
    assert machine.instret == program.instructions


@EVERY
def test_its_trace_decodes_to_what_ran(program: Program) -> None:
    result = etrace.record(program.path).verify()
    assert result.same
    assert result.comparison.instructions == program.instructions


def endings(program: Program) -> tuple[dict[Itype, int], int]:
    """How often a block ended in each way or a trap came; how many jumps were `sijump`."""
    machine = Machine([elf.load(str(program.path))])
    counts = np.zeros(16, np.int64)
    sijumps = 0
    for chunk in machine.run():
        codes = chunk.refs & ingress.CODE_MASK
        counts += np.bincount(codes, minlength=16)
        trap = (codes == Itype.EXCEPTION) | (codes == Itype.INTERRUPT)
        blocks = chunk.refs[~trap & (codes != ingress.SIDEBAND_CODE)] >> ingress.CODE_BITS
        sijumps += int(np.count_nonzero(chunk.blocks["sijump"][blocks]))
    return {itype: int(counts[itype]) for itype in Itype}, sijumps


@EVERY
def test_it_does_what_it_is_there_for(program: Program) -> None:
    counts, sijumps = endings(program)
    for itype, least in HAPPENS[program.name].items():
        assert counts[itype] >= least, itype.name
    assert (sijumps > 7_000) == (program.name == "farcalls")


def test_the_table_names_every_program_there_is() -> None:
    assert {program.path.name for program in PROGRAMS} == {
        name for name in os.listdir(HERE) if name.endswith(".elf")
    }
    assert {program.name for program in PROGRAMS} == set(HAPPENS)
    assert sum(program.instructions for program in PROGRAMS) < 10_000_000
    assert all(20_000 <= program.instructions <= 3_000_000 for program in PROGRAMS)
