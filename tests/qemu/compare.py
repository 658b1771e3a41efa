"""Run generated programs on QEMU and on the emulator, and show the first difference.

python -m tests.qemu.compare --kind mixed --xlen 64 --seed 1 --count 300
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.qemu import generators, machines
from tests.qemu.image import DATA, DATA_SIZE, TRAP_WORDS, Case, Image, Words
from tests.qemu.known import normalize
from tests.qemu.machines import RAM, Bytes


@dataclass(frozen=True)
class Difference:
    """A case whose results differ: rows (field, of the one, of the other)."""

    case: Case
    number: int
    fields: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Outcome:
    """What two machines made of an image; memory is compared at the end."""

    image: Image
    slots: tuple[Words, Words]
    memory: tuple[Bytes, Bytes]

    def differences(self) -> Iterator[Difference]:
        """Cases that differ, in order; what `known` explains is none."""
        names = self.image.fields()
        mine, other = (normalize(self.image, slots) for slots in self.slots)
        for number in np.flatnonzero((mine != other).any(axis=1)).tolist():
            columns = np.flatnonzero(mine[number] != other[number]).tolist()
            fields = [
                (names[c], int(self.slots[0][number, c]), int(self.slots[1][number, c]))
                for c in columns
            ]
            yield Difference(self.image.cases[number], number, fields)

    def memory_differences(self) -> list[int]:
        """Addresses of doublewords of data that differ."""
        mine, other = (m.view(np.uint64) for m in self.memory)
        return (np.flatnonzero(mine != other) * 8 + DATA).tolist()

    @property
    def equal(self) -> bool:
        return next(self.differences(), None) is None and not self.memory_differences()


def _data(ram: Bytes) -> Bytes:
    return ram[DATA - RAM : DATA - RAM + DATA_SIZE]


def compare(kind: str, seed: int, xlen: int, count: int) -> Outcome:
    """Generate, run on both, compare. Raises machines.RunError."""
    generated = generators.generate(kind, seed, xlen, count)
    ram = generated.image.build()
    theirs = machines.on_qemu(ram, xlen, generated.properties)
    ours = machines.on_ours(ram, xlen, generated.isa)
    slots = generated.image.slots(theirs), generated.image.slots(ours)
    return Outcome(generated.image, slots, (_data(theirs), _data(ours)))


def _traps(image: Image, slot: Words) -> list[str]:
    lines = []
    width = image.xlen // 4
    names = [name.split()[-1] for name in image.fields()[1 : 1 + TRAP_WORDS]]
    count = (int(slot[0]) & 0xFFFF_FFFF) and sum(1 for c in range(15) if slot[1 + 8 * c + 3])
    for trap in range(count):
        row = slot[1 + TRAP_WORDS * trap :][:TRAP_WORDS].tolist()
        row = row if image.supervisor else row[:4]
        fields = zip(names, row, strict=False)
        lines.append("  trap " + " ".join(f"{n}={v:#0{width // 4 + 2}x}" for n, v in fields))
    return lines


def report(outcome: Outcome, difference: Difference) -> list[str]:
    """A case and what differs, to read."""
    image, case = outcome.image, difference.case
    lines = [f"case {difference.number}: {case.note}"]
    lines += [f"  enters at {case.entry:#x}; body:", *case.listing(image.xlen)]
    lines += ["  csrs: " + " ".join(f"{n}={v:#x}" for n, v in case.csrs.items())]
    used = {n for n in range(1, 32) if any(v for v in (case.x.get(n, 0),))}
    lines += ["  x: " + " ".join(f"x{n}={case.x[n]:#x}" for n in sorted(used))]
    if case.f:
        lines += [f"  fcsr={case.fcsr:#x} f: " + " ".join(f"{v:016x}" for v in case.f)]
    for name, slots in zip(("QEMU", "ours"), outcome.slots, strict=True):
        lines += [f" {name}:", *_traps(image, slots[difference.number])]
    lines += [f"  {'field':16} {'QEMU':>18} {'ours':>18}"]
    lines += [f"  {n:16} {a:#18x} {b:#18x}" for n, a, b in difference.fields]
    return lines


def _one(kind: str, seed: int, xlen: int, count: int, show: int) -> bool:
    """Compare and print; whether there is a difference."""
    outcome = compare(kind, seed, xlen, count)
    found = list(outcome.differences())
    memory = outcome.memory_differences()
    total = len(outcome.image.cases)
    print(f"{kind} rv{xlen} seed {seed}: {len(found)} of {total} cases differ", flush=True)
    for difference in found[:show]:
        print("\n".join(report(outcome, difference)))
    if memory:
        print(f"  memory differs at {len(memory)} addresses; QEMU, ours:")
        for at in memory[:show]:
            words = (int(m.view(np.uint64)[(at - DATA) // 8]) for m in outcome.memory)
            print(f"    {at:x}: " + " ".join(f"{each:016x}" for each in words))
    return bool(found or memory)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.qemu.compare", description=__doc__)
    parser.add_argument("--kind", nargs="+", choices=("all", *generators.KINDS), required=True)
    parser.add_argument("--xlen", type=int, nargs="+", choices=(32, 64), default=[64])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300, help="cases of an image")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds from --seed on")
    parser.add_argument("--show", type=int, default=1, help="so many differences of an image")
    options = parser.parse_args()
    kinds = generators.KINDS if "all" in options.kind else options.kind
    failed = False
    for seed in range(options.seed, options.seed + options.runs):
        for kind in kinds:
            for xlen in options.xlen:
                try:
                    failed |= _one(kind, seed, xlen, options.count, options.show)
                except machines.RunError as error:
                    print(f"{kind} rv{xlen} seed {seed}: {error}")
                    failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
