"""Bits an instruction, by program and mode: the table in bench/README.md, as Markdown.

`python -m bench.sizes`. Programs: those of tests/programs, the golden ones that the emulator runs,
the demo. The last column is the geometric mean over them of the size against the baseline
(differential addresses, no mode).
"""

import argparse
import math
from pathlib import Path

from emu import Machine, SidebandOptions
from emu.platforms import elf
from encoder.encoder import Encoder
from etrace.recording.encoding import SMALLER, Encoding
from specs.configuration.parameters import Configuration, from_dict
from specs.interfaces.ingress import Chunk
from tests.programs.programs import PROGRAMS

ROOT = Path(__file__).resolve().parent.parent
#: Where programs let their trap vector point, most of the time.
VECTORS = ("task_trap", "vectors", "trap_entry", "handler")

#: Name of a row, modes, and what else is not the default of `etrace record --mode`.
ROWS: tuple[tuple[str, tuple[str, ...], dict[str, dict[str, object]]], ...] = (
    ("baseline", (), {}),
    ("full address", ("full_address",), {}),
    *((name, (name,), {}) for name in SMALLER),
    ("returns, predictor", ("implicit_return", "branch_prediction"), {}),
    ("returns, cache", ("implicit_return", "jump_target_cache"), {}),
    ("predictor, cache", ("branch_prediction", "jump_target_cache"), {}),
    ("all but the cache", tuple(name for name in SMALLER if name != "jump_target_cache"), {}),
    ("all", SMALLER, {}),
    ("all, shorter packet", SMALLER, {"encoder": {"shorter_packet": True}}),
    ("all, full address", (*SMALLER, "full_address"), {}),
    ("2.1: implicit_return", ("implicit_return",), {"protocol": "2.1"}),
    ("2.1: all, shorter packet", SMALLER, {"protocol": "2.1", "encoder": {"shorter_packet": True}}),
)


def configuration(
    program: elf.Program, modes: tuple[str, ...], tables: dict[str, dict[str, object]]
) -> Configuration:
    """As `etrace record --mode ...` makes it, with the trap vector that the program sets."""
    known = [name for name in VECTORS if name in program.symbols]
    # a table of vectors: mode 1, "vectored", in the lowest bits
    places = [f"mtvec={name}{'+1' * (name == 'vectors')}" for name in known[:1]]
    encoding = Encoding(modes=modes, vectors=places)
    base = from_dict(
        {"protocol": "2.0", "parameters": {"ctype_width_p": 2}, **tables}, program.xlen
    )
    return encoding.apply(base, (program,))


def chunks(program: elf.Program) -> tuple[list[Chunk], int]:
    """What retires, and how many instructions that are; the scheduler has its context CSR."""
    machine = Machine([program], sideband=SidebandOptions(context_csr=0x7C0))
    kept = [
        Chunk(c.refs.copy(), c.blocks.copy(), c.traps.copy(), c.sidebands.copy())
        for c in machine.run()
    ]
    return kept, machine.instret


def bits(run: tuple[list[Chunk], int], chosen: Configuration) -> float:
    """Bits an instruction."""
    encoder = Encoder(chosen)
    size = sum(len(encoder.feed(chunk)) for chunk in run[0]) + len(encoder.finish())
    return 8 * size / run[1]


def programs(xlen: int) -> dict[str, Path]:
    """ELF files by name."""
    own = {each.name: each.path for each in PROGRAMS if each.xlen == xlen}
    golden = {
        f"golden {name}": ROOT / f"tests/golden/rv{xlen}-{name}/rv{xlen}-{name}.elf"
        for name in ("flow", "kernels", "traps")
    }
    return own | golden | {"demo": ROOT / f"etrace/data/demo-rv{xlen}.elf"}


def table(files: dict[str, Path]) -> list[str]:
    """Lines of Markdown."""
    loaded = [elf.load(str(path)) for path in files.values()]
    runs = [chunks(each) for each in loaded]
    baseline: list[float] = []
    lines = [
        "| | " + " | ".join(files) + " | mean |",
        "|---|" + "---|" * (len(files) + 1),
    ]
    for name, modes, tables in ROWS:
        sizes = [
            bits(run, configuration(program, modes, tables))
            for run, program in zip(runs, loaded, strict=True)
        ]
        baseline = baseline or sizes
        ratios = [math.log(size / base) for size, base in zip(sizes, baseline, strict=True)]
        mean = math.exp(sum(ratios) / len(ratios))
        lines.append(f"| {name} | " + " | ".join(f"{s:.3f}" for s in sizes) + f" | {mean:.3f} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--xlen", type=int, choices=(32, 64), default=64)
    xlen = parser.parse_args().xlen
    print("\n".join(table(programs(xlen))))
