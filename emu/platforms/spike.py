"""The board around the hart: memory map and boot ROM of Spike."""

import struct
from dataclasses import dataclass

from emu.devices.clint import CLINT_BASE, CLINT_SIZE
from emu.memory import PAGE, MachineError, Memory, Region, allocate, merge, pages_around
from emu.platforms.elf import Program

#: The reset vector is here, and RAM for programs that are linked there.
ROM_BASE, ROM_SIZE = 0x1000, PAGE
RAM_BASE, RAM_SIZE = 0x8000_0000, 128 << 20

# auipc t0,0; addi a1,t0,32; csrr a0,mhartid; lw|ld t0,24(t0); jr t0; then the entry as a doubleword
# at 0x1018. a1 points behind it, where Spike has a device tree; here there are zeros.
_ROM_WORDS = {
    32: (0x00000297, 0x02028593, 0xF1402573, 0x0182A283, 0x00028067, 0),
    64: (0x00000297, 0x02028593, 0xF1402573, 0x0182B283, 0x00028067, 0),
}


@dataclass(frozen=True)
class Platform:
    """Where the run starts, and what is in memory."""

    memory: Memory
    reset_pc: int


def spike(programs: list[Program], extra: list[tuple[int, int]]) -> Platform:
    """Boot ROM, the programs' segments in RAM, `extra` RAM as (base, size).

    Raises MachineError for ranges that cannot be.
    """
    xlen = programs[0].xlen
    ranges = []
    for base, size in extra:
        if size <= 0 or base < 0 or base % PAGE or size % PAGE or base + size > 1 << xlen:
            raise MachineError(
                f"memory {base:#x}:{size:#x}: base and size must be multiples of {PAGE:#x}, "
                f"within {xlen} bits"
            )
        ranges.append((base, base + size))
    for program in programs:
        for segment in program.segments:
            ranges.append(pages_around(segment.base, segment.memsz))
    if any(base < RAM_BASE + RAM_SIZE and end > RAM_BASE for base, end in ranges):
        ranges.append((RAM_BASE, RAM_BASE + RAM_SIZE))
    ranges = merge(ranges)
    for name, start, size in (("boot ROM", ROM_BASE, ROM_SIZE), ("CLINT", CLINT_BASE, CLINT_SIZE)):
        for base, end in ranges:
            if base < start + size and start < end:
                raise MachineError(
                    f"memory {base:#x}-{end:#x} overlaps the {name} at {start:#x}: link elsewhere"
                )
    rom = allocate(ROM_SIZE)
    words = struct.pack("<6IQ", *_ROM_WORDS[xlen], programs[0].entry)
    rom.data[: len(words)] = words
    regions = [Region(ROM_BASE, rom, writable=False)]
    regions += [Region(base, allocate(end - base)) for base, end in ranges]
    memory = Memory(regions)
    for program in programs:
        for segment in program.segments:
            view = memory.view(segment.base, len(segment.data))
            if view is not None and segment.data:
                view.data[:] = segment.data
    return Platform(memory, ROM_BASE)


PLATFORMS = {"spike": spike}
