"""Chunks with their side band as plain rows, and what the side band should have been, one
instruction at a time, from the program's memory.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from emu.machine import Machine
from specs.interfaces.ingress import SIDEBAND_CODE, Chunk
from specs.isa.control import sequentially_inferable
from specs.isa.decode import decode


class Side(NamedTuple):
    """A row of the side band."""

    flags: int = 0
    context: int = 0
    time: int = 0
    ctype: int = 0
    trigger: int = 0


class Row(NamedTuple):
    """A reference: its code, what it refers to, and what is told about it."""

    code: int
    iaddr: int
    iretire: int = 0
    sijump: int = 0
    side: Side | None = None

    @property
    def is_trap(self) -> bool:
        return self.code in (1, 2)


def told(chunks: Iterable[Chunk]) -> list[Row]:
    """All references but those to the side band, which must stand before another one."""
    rows: list[Row] = []
    side: Side | None = None
    for chunk in chunks:
        for reference in chunk.refs.tolist():
            index, code = reference >> 4, reference & 15
            if code == SIDEBAND_CODE:
                assert side is None
                side = Side(*(int(chunk.sidebands[index][name]) for name in Side._fields))
                continue
            if code in (1, 2):
                rows.append(Row(code, int(chunk.traps[index]["iaddr"]), side=side))
            else:
                block = chunk.blocks[index]
                iaddr, iretire = int(block["iaddr"]), int(block["iretire"])
                rows.append(Row(code, iaddr, iretire, int(block["sijump"]), side))
            side = None
    assert side is None
    return rows


def bare(rows: Iterable[Row]) -> list[Row]:
    """The rows without what is told about them."""
    return [row._replace(side=None) for row in rows]


def instructions(machine: Machine, row: Row) -> Iterator[tuple[int, int]]:
    """Addresses and words of a block, from memory (which the program must not have changed)."""
    address, end = row.iaddr, row.iaddr + 2 * row.iretire
    while address < end:
        word = machine.memory.read(address, 2)
        assert word is not None
        if word & 3 == 3:
            word = machine.memory.read(address, 4)
            assert word is not None
        yield address, word
        address += 4 if word & 3 == 3 else 2


def check_sijump(machine: Machine, rows: Iterable[Row]) -> int:
    """Every block's sijump is 1 exactly if it ends in a jump whose lui or auipc retired right
    before it, and stands right before it. Returns how many are.
    """
    before: tuple[int, int] | None = None  # of the instruction that retired last
    found = 0
    for row in rows:
        if row.is_trap:
            before = None
            continue
        inferable = False
        for address, word in instructions(machine, row):
            size = 0 if before is None else 4 if before[1] & 3 == 3 else 2
            inferable = (
                before is not None
                and before[0] + size == address
                and bool(sequentially_inferable(before[1], word))
            )
            before = address, word
        assert row.sijump == inferable, f"{row.iaddr:#x}"
        found += inferable
    return found


#: Cycles by mnemonic, as docs/topics/sideband.md has it; all others take one.
_CYCLES = {
    2: ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu", "c.lw", "c.ld", "c.lwsp", "c.ldsp",
        "jal", "c.j", "c.jal"),
    3: ("mul", "mulh", "mulhu", "mulhsu", "mulw", "jalr", "c.jr", "c.jalr",
        "csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"),
    4: ("mret",),
    10: ("fence.i",),
    20: ("div", "divu", "rem", "remu", "divw", "divuw", "remw", "remuw"),
}  # fmt: skip
_CYCLES_OF = {name: cycles for cycles, names in _CYCLES.items() for name in names}


def cycles(machine: Machine, row: Row) -> int:
    """Cycles that a reference takes by the cost model."""
    if row.is_trap:
        return 4
    total = 2 if row.code == 5 else 0
    for address, word in instructions(machine, row):
        instruction = decode(word, machine.xlen)
        assert instruction is not None, f"{address:#x}"
        name = instruction.name
        total += 5 if name.startswith(("amo", "lr.", "sc.")) else _CYCLES_OF.get(name, 1)
    return total
