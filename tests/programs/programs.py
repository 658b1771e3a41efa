"""The programs of this directory, for tests and benchmarks that run over all of them."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: Name, what it is there for, instructions that retire on RV32 and on RV64 (boot ROM included, on
#: platform `spike` with nothing configured).
_TABLE = (
    ("recursion", "deep and mutual recursion, tail calls, jumps out of it", 404_520, 433_385),
    ("interpreter", "bytecode by computed goto and by switch", 469_969, 469_899),
    ("sorting", "sorting through pointers to functions, at -O0", 834_700, 979_373),
    ("hashing", "SHA-256, CRC-32, a hash table: long blocks, loops", 1_123_796, 857_023),
    ("lists", "lists, trees, strings, printf at -Os, millicode calls through t0", 439_313, 316_657),
    ("farcalls", "calls by lui or auipc and jalr, of every kind", 140_890, 155_005),
    ("scheduler", "preemptive tasks, system calls, exceptions, context CSR", 322_314, 364_750),
    ("virtual", "C++ virtual calls, templates, exceptions", 1_094_867, 1_082_025),
    ("rust_traits", "Rust trait objects, iterators, formatting, a panic", 48_478, 48_448),
)


@dataclass(frozen=True)
class Program:
    """A program that checks itself: its exit code is 0 after exactly `instructions`."""

    name: str
    xlen: int
    path: Path
    instructions: int
    does: str

    def __str__(self) -> str:
        return f"{self.name}-rv{self.xlen}"


PROGRAMS = tuple(
    Program(name, xlen, HERE / f"{name}-rv{xlen}.elf", instructions, does)
    for name, does, *counts in _TABLE
    for xlen, instructions in zip((32, 64), counts, strict=True)
)
