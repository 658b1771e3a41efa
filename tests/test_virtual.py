"""Programs in virtual memory: the hart is put into S-mode behind page tables that map each page to
itself, and everything but the privilege level is as it is without them.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emu.hart import state
from emu.hart.csrs import write_csr
from emu.machine import Machine
from emu.memory import PAGE
from emu.platforms import elf
from encoder.encoder import Encoder
from specs.configuration import parameters
from specs.interfaces.ingress import CODE_MASK, Chunk
from specs.isa.csrs import ADDRESS
from specs.isa.privilege import Privilege
from specs.trace.passages import expanded

HERE = Path(__file__).resolve().parent / "programs"
#: Programs of several pages that get on without machine mode, and how many instructions to run.
PROGRAMS = ("farcalls", "interpreter", "rust_traits", "sorting")
BEGIN, END = 3_000, 120_000
TABLES, TABLES_SIZE = 0xE000_0000, 0x100_0000
#: V, R, W, X, A, D.
LEAF = 0xCF
SETTINGS = {
    "default": "",
    "exact": '[encoder]\nloops = "exact"\n',
    "several modes": "[modes]\nbranch_prediction = true\nimplicit_return = true\n"
    "[parameters]\nbpred_size_p = 6\ncall_counter_size_p = 6\n",
    "often": '[resync]\nunit = "packets"\nperiod = 3\n',
}


def _map_all(machine: Machine) -> int:
    """Enter all memory into page tables; satp."""
    bits, levels, size = (9, 3, 8) if machine.xlen == 64 else (10, 2, 4)
    free = TABLES + PAGE
    tables: dict[tuple[int, int], int] = {}
    for region in [r for r in machine.memory.regions if r.base != TABLES]:
        # the end too, where the stack is
        pages = len(region.data) // PAGE
        for number in {*range(min(pages, 256)), *range(max(0, pages - 64), pages)}:
            address, at = region.base + number * PAGE, TABLES
            for level in reversed(range(1, levels)):
                index = address >> 12 + bits * level & (1 << bits) - 1
                if (at, index) not in tables:
                    tables[at, index] = free
                    machine.memory.write(at + size * index, size, free >> 12 << 10 | 1)
                    free += PAGE
                at = tables[at, index]
            index = address >> 12 & (1 << bits) - 1
            machine.memory.write(at + size * index, size, address >> 12 << 10 | LEAF)
    return (8 << 60 if machine.xlen == 64 else 1 << 31) | TABLES >> 12


def _rows(chunks: Iterable[Chunk]) -> npt.NDArray[np.uint64]:
    """What retired and trapped, a row each."""
    found = []
    for chunk in map(expanded, chunks):
        code, index = chunk.refs & CODE_MASK, chunk.refs >> 4
        rows = np.zeros((len(index), 4), np.uint64)
        is_trap = (code == 1) | (code == 2)
        blocks, traps = chunk.blocks[index[~is_trap]], chunk.traps[index[is_trap]]
        rows[:, 0] = code
        for column, field in enumerate(("iaddr", "iretire", "priv"), 1):
            rows[~is_trap, column] = blocks[field]
        for column, field in enumerate(("iaddr", "cause", "priv"), 1):
            rows[is_trap, column] = traps[field]
        found.append(rows)
    return np.concatenate(found)


@cache
def _run(
    program: str, xlen: int, settings: str, virtual: bool, passages: bool, chunk_refs: int = 1 << 18
) -> tuple[npt.NDArray[np.uint64], bytes, int]:
    """What ran, its trace, and instructions retired."""
    machine = Machine(
        [elf.load(str(HERE / f"{program}-rv{xlen}.elf"))],
        passages=passages,
        memory=[(TABLES, TABLES_SIZE)],
        chunk_refs=chunk_refs,
    )
    encoder = Encoder(parameters.parse(SETTINGS[settings], xlen))
    rows, data = [], b""
    for budget in (BEGIN, END):
        for chunk in machine.run(budget):
            rows.append(_rows([chunk]))
            data += bytes(encoder.feed(chunk))
            assert not len(chunk.code)
        if budget == BEGIN:
            zero = np.uint64(0)
            write_csr(machine.cpu, ADDRESS["pmpaddr0"], np.uint64((1 << 54) - 1), zero)
            write_csr(machine.cpu, ADDRESS["pmpcfg0"], np.uint64(0x1F), zero)
            machine.cpu[state.SATP] = _map_all(machine) if virtual else 0
            machine.cpu[state.PRIV] = Privilege.S
    assert machine.trap_counts == {}
    return np.concatenate(rows), data + bytes(encoder.finish()), machine.instret


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_trace_is_the_same_in_virtual_memory(program: str, xlen: int, settings: str) -> None:
    """And however what retires is told: block by block, or in passages that end at each page."""
    want = _run(program, xlen, settings, False, False)
    assert want[2] > 40_000 and (want[0][:, 3] == Privilege.S).any()
    for virtual in (True, False):
        passages = _run(program, xlen, settings, virtual, True)
        assert passages[1:] == want[1:]
        assert _run(program, xlen, settings, virtual, True, 1 << 12)[1] == want[1]
    # blocks end at pages there: the same instructions in more of them
    blocks = _run(program, xlen, settings, True, False)
    assert blocks[1] == want[1]
    assert np.array_equal(blocks[0], _run(program, xlen, settings, True, True)[0])
