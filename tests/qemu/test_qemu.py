"""The emulator against QEMU: random programs leave the same registers and memory.

`ETRACE_QEMU_RUNS` images of each kind and width (1); `python -m tests.qemu.compare` shows what
differs.
"""

import os

import pytest

from tests.qemu import generators
from tests.qemu.compare import compare, report
from tests.qemu.machines import qemu

_RUNS = int(os.environ.get("ETRACE_QEMU_RUNS", "1"))
_COUNT = 60 if _RUNS == 1 else 400


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("kind", generators.KINDS)
def test_same(kind: str, xlen: int) -> None:
    if qemu(xlen) is None:
        pytest.skip(f"qemu-system-riscv{xlen} is not installed (Debian: qemu-system-misc)")
    for seed in range(1, _RUNS + 1):
        outcome = compare(kind, seed, xlen, _COUNT)
        for difference in outcome.differences():
            lines = [f"seed {seed}", *report(outcome, difference)]
            pytest.fail("\n".join(lines), pytrace=False)
        addresses = [f"{at:#x}" for at in outcome.memory_differences()[:8]]
        assert not addresses, f"seed {seed}: memory differs"
