"""Flows and ingress streams as plain events, for comparing them.

`("retire", pc, privilege)` and `("trap", epc, cause, tval, interrupt, privilege)`, in order.
Written out here from the program's bytes, so that no code of ours stands on both sides of a
comparison.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile

from specs.interfaces import flow, ingress

#: Spike's boot ROM at 0x1000, see tests/golden/README.md; then the entry point at 0x1018.
BOOT_ROM = 0x1000
BOOT_WORDS = {
    32: (0x00000297, 0x02028593, 0xF1402573, 0x0182A283, 0x00028067),
    64: (0x00000297, 0x02028593, 0xF1402573, 0x0182B283, 0x00028067),
}

Event = tuple[str | int, ...]
Memory = list[tuple[int, bytes]]


def program_memory(path: Path) -> tuple[int, Memory]:
    """Width, and boot ROM and the ELF's segments as pairs of address and bytes."""
    with path.open("rb") as stream:
        program = ELFFile(stream)
        xlen = program.elfclass
        segments = [
            (segment["p_paddr"], segment.data())
            for segment in program.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        ]
    rom = b"".join(word.to_bytes(4, "little") for word in BOOT_WORDS[xlen])
    return xlen, [(BOOT_ROM, rom), *segments]


def instruction_size(memory: Memory, address: int) -> int:
    for base, data in memory:
        if base <= address < base + len(data):
            return 4 if data[address - base] & 3 == 3 else 2
    raise AssertionError(f"no code at {address:#x}")


def copied(chunks: Iterable[ingress.Chunk]) -> list[ingress.Chunk]:
    """Chunks to keep: those of a machine are only valid for a while."""
    return [
        ingress.Chunk(
            np.array(chunk.refs),
            np.array(chunk.blocks),
            np.array(chunk.traps),
            np.array(chunk.sidebands),
            chunk.fresh,
        )
        for chunk in chunks
    ]


def ingress_events(chunks: Iterable[ingress.Chunk], memory: Memory) -> Iterator[Event]:
    """What retired and trapped."""
    for chunk in chunks:
        blocks, traps = chunk.blocks.tolist(), chunk.traps.tolist()
        for ref in chunk.refs.tolist():
            code, index = ref & ingress.CODE_MASK, ref >> ingress.CODE_BITS
            assert code != ingress.SIDEBAND_CODE
            if code in (1, 2):
                epc, tval, cause, privilege, known = traps[index]
                assert known
                yield ("trap", epc, cause, tval, int(code == 2), privilege)
                continue
            address, halfwords, *_, privilege = blocks[index]
            end = address + 2 * halfwords
            while address < end:
                yield ("retire", address, privilege)
                address += instruction_size(memory, address)
            assert address == end


def flow_events(chunks: Iterable[flow.Flow], memory: Memory) -> Iterator[Event]:
    """What a decoder says; asserts that it has no gap."""
    flows = list(chunks)
    assert [gap for chunk in flows for gap in chunk.gaps.tolist()] == []
    traps = iter([trap for chunk in flows for trap in chunk.traps])
    trap = next(traps, None)
    number = 0
    for chunk in flows:
        for start, count, _, privilege in [*chunk.runs.tolist(), (0, 0, 0, 0)]:
            while trap is not None and int(trap["run"]) == number:
                assert trap["epc_known"]
                names = ("epc", "cause", "tval", "interrupt", "priv")
                yield ("trap", *(int(trap[name]) for name in names))
                trap = next(traps, None)
            address = start
            for _ in range(count):
                yield ("retire", address, privilege)
                address += instruction_size(memory, address)
            number += 1
        number -= 1
    assert trap is None


def told(decoded: list[Event], truth: list[Event]) -> list[Event]:
    """`decoded`, with the privilege of `truth` where the trace cannot tell it (255 in a flow):
    before a trap that follows another with nothing retired in between."""
    completed = list(decoded)
    for at in range(1, min(len(decoded), len(truth))):
        kinds = decoded[at - 1][0], decoded[at][0]
        if kinds == ("trap", "trap") and decoded[at][-1] == 255:
            completed[at] = (*decoded[at][:-1], truth[at][-1])
    return completed
