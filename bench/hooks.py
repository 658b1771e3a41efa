"""What hooks cost: nothing while unused, and so much for each event and block in use.

`python bench/hooks.py [--runs N]` prints medians of CPU time. First the benchmark program, which
has no traps: with hooks that never fire it must be as fast as without. Then a loop that only traps.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from emu import Machine
from emu.ingress.hooks import DISCONTINUITY, RETIREMENT
from emu.platforms import elf
from emu.platforms.elf import Program, Segment
from specs.interfaces.events import INTERRUPT
from specs.isa.csrs import ADDRESS
from specs.isa.encode import encode

PROGRAM = Path(__file__).resolve().parent / "program-rv64.elf"
CODE = 0x8000_0000
TRAPS = 300_000

Attach = Callable[[Machine], None]


@numba.cfunc(DISCONTINUITY)
def count_event(event, registers, user):  # type: ignore[no-untyped-def]
    """One more."""
    numba.carray(user, 1)[0] += np.uint64(1)


@numba.cfunc(RETIREMENT)
def sum_blocks(refs, count, blocks, traps, user):  # type: ignore[no-untyped-def]
    """Looks at each block."""
    words, r = numba.carray(user, 1), numba.carray(refs, count)
    for i in range(count):
        if r[i] & 15 != 1:
            words[0] += np.uint64(numba.carray(blocks, (r[i] >> 4) + 1)[r[i] >> 4].iretire)


def trapping() -> Program:
    """Nothing but ecalls and returns from them."""
    mepc, mtvec = ADDRESS["mepc"], ADDRESS["mtvec"]
    words = [
        encode("auipc", rd=5, imm=0),
        encode("addi", rd=5, rs1=5, imm=32),
        encode("csrrw", rs1=5, imm=mtvec),
        encode("ecall"),
        encode("jal", imm=-4),
        *[encode("addi")] * 3,
        # the handler
        encode("csrrs", rd=6, imm=mepc),
        encode("addi", rd=6, rs1=6, imm=4),
        encode("csrrw", rs1=6, imm=mepc),
        encode("mret"),
    ]
    code = b"".join(word.to_bytes(4, "little") for word in words)
    segment = Segment(CODE, code, len(code), True)
    return Program(Path("trapping"), 64, CODE, (segment,), {}, None, "")


def nothing(_: object) -> None:
    """The cheapest Python callback."""


def idle(machine: Machine) -> None:
    machine.on_discontinuity(nothing)
    machine.on_discontinuity(count_event, user=np.zeros(1, np.uint64))


def not_wanted(machine: Machine) -> None:
    machine.on_discontinuity(nothing, INTERRUPT)


def python_events(machine: Machine) -> None:
    machine.on_discontinuity(nothing)


def compiled_events(machine: Machine) -> None:
    machine.on_discontinuity(count_event, user=np.zeros(1, np.uint64))


def python_blocks(machine: Machine) -> None:
    machine.on_retire(nothing)


def compiled_blocks(machine: Machine) -> None:
    machine.on_retire(sum_blocks, user=np.zeros(1, np.uint64))


def seconds(program: Program, budget: int | None, attach: Attach | None) -> tuple[float, int]:
    """CPU seconds, instructions."""
    machine = Machine([program], record=False)
    if attach is not None:
        attach(machine)
    start = time.process_time()
    for _ in machine.run(budget):
        pass
    return time.process_time() - start, machine.instret


def compare(
    program: Program, budget: int | None, cases: dict[str, Attach | None], runs: int
) -> None:
    """A line for each case: median, and the difference to the first one. The cases take turns, so
    that whatever else the machine does meets all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    instret = 0
    for attach in cases.values():
        seconds(program, 100_000, attach)
    for _ in range(runs):
        for name, attach in cases.items():
            taken, instret = seconds(program, budget, attach)
            times[name].append(taken)
    base = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        median = statistics.median(values)
        line = f"  {name:34}{median:8.3f} s{instret / median / 1e6:8.0f} M/s"
        if budget is not None:
            line += f"{(median - base) / (2 * TRAPS) * 1e9:8.0f} ns an event"
        else:
            line += f"{100 * (median / base - 1):+8.1f} %"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print("the benchmark program (no traps)")
    compare(
        elf.load(str(PROGRAM)),
        None,
        {
            "no hooks": None,
            "hooks for events, which never come": idle,
            "on_retire, Python": python_blocks,
            "on_retire, compiled": compiled_blocks,
        },
        runs,
    )
    print(f"{TRAPS} ecalls and returns")
    compare(
        trapping(),
        TRAPS * 5 + 8,
        {
            "no hooks": None,
            "a hook for another kind": not_wanted,
            "compiled": compiled_events,
            "Python": python_events,
        },
        runs,
    )


if __name__ == "__main__":
    main()
