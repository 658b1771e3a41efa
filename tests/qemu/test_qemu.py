"""The emulator against QEMU: random programs leave the same registers, traps and memory.

`ETRACE_QEMU_RUNS` images of each kind and width (1); `python -m tests.qemu.compare` shows what
differs.
"""

import os

import pytest

from specs.isa.tables import ENTRIES
from tests.qemu import generators, machines, sequences
from tests.qemu.compare import Outcome, compare, report
from tests.qemu.known import KNOWN

_RUNS = int(os.environ.get("ETRACE_QEMU_RUNS", "1"))
_COUNT = 60 if _RUNS == 1 else 400


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("kind", generators.KINDS)
def test_same(kind: str, xlen: int) -> None:
    if machines.qemu(xlen) is None:
        pytest.skip(f"qemu-system-riscv{xlen} is not installed (Debian: qemu-system-misc)")
    for seed in range(1, _RUNS + 1):
        outcome = compare(kind, seed, xlen, _COUNT)
        for difference in outcome.differences():
            lines = [f"seed {seed}", *report(outcome, difference)]
            pytest.fail("\n".join(lines), pytrace=False)
        addresses = [f"{at:#x}" for at in outcome.memory_differences()[:8]]
        assert not addresses, f"seed {seed}: memory differs"


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("kind", generators.KINDS)
def test_programs_are_the_same_on_every_run(kind: str, xlen: int) -> None:
    first, second = (generators.generate(kind, 7, xlen, 5).image.build() for _ in range(2))
    assert (first == second).all()


def test_every_instruction_of_the_extensions_is_drawn() -> None:
    """All that QEMU has is in a kind: no name of an extension has changed meanwhile."""
    drawn = {
        e.name for kind in sequences.KINDS for x in (32, 64) for e in sequences.entries(kind, x)
    }
    named = set().union(*sequences.KINDS.values())
    found = {part for e in ENTRIES for has in sequences.alternatives(e) for part in has}
    assert named <= found
    base = {e.name for e in ENTRIES if any(has <= named for has in sequences.alternatives(e))}
    assert drawn == base - {"ecall"}


def test_a_difference_is_noticed() -> None:
    """A register, a trap, and a word of memory, each changed by a bit."""
    image = generators.generate("integer", 3, 64, 20).image
    ram = machines.on_ours(image.build(), 64)
    slots = image.slots(ram)
    names = image.fields()
    assert Outcome(image, (slots, slots), (ram, ram)).equal
    for case, field in ((3, "x7"), (11, "trap 0 mepc"), (19, "trap 0 mcause")):
        changed = slots.copy()
        changed[case, names.index(field)] ^= 4
        (difference,) = Outcome(image, (slots, changed), (ram, ram)).differences()
        assert (difference.number, [row[0] for row in difference.fields]) == (case, [field])
    other = ram.copy()
    other[64] ^= 1
    assert not Outcome(image, (slots, slots), (ram, other)).equal


def test_known_differences_name_their_section() -> None:
    assert all(known.section and known.why for known in KNOWN)
