"""Random programs over M, S and U and floating point, in all modes of the encoder: they come back.

The programs are those of tests/qemu, which need no QEMU for this.
"""

import os

import pytest

from decoder.decoder import Decoder
from emu.machine import ExitReason, Machine
from encoder.encoder import Encoder
from specs.configuration import parameters
from specs.isa.control import CodeMap
from tests.events import BOOT_ROM, BOOT_WORDS, copied, flow_events, ingress_events, told
from tests.qemu import generators
from tests.qemu.machines import program_of
from tests.test_matrix import CONFIGURATIONS

#: How many programs of each kind and width; `make soak` sets more.
TRIALS = int(os.environ.get("ETRACE_HART_TRIALS", "3"))
#: Cases of a program.
CASES = 10
#: Those whose code is where the program file has it.
KINDS = [kind for kind in generators.KINDS if kind not in ("paging", "pmp", "smepmp", "svnapot")]
_NAMES = sorted(CONFIGURATIONS)


def _as_text(tables: dict[str, object], prefix: str = "") -> str:
    """Tables as TOML."""
    plain = {k: v for k, v in tables.items() if not isinstance(v, dict)}
    lines = [f"[{prefix}]"] if prefix and plain else []
    for key, value in plain.items():
        lines.append(f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}")
    for key, value in tables.items():
        if isinstance(value, dict):
            lines.append(_as_text(value, f"{prefix}.{key}" if prefix else key))
    return "\n".join(lines)


def _trial(kind: str, seed: int, xlen: int, name: str) -> None:
    generated = generators.generate(kind, seed, xlen, CASES)
    program = program_of(generated.image.build(), xlen)
    tables = {**CONFIGURATIONS[name]}
    tables["encoder"] = {**tables.get("encoder", {}), "loops": "exact", "ambiguous": "exact"}
    configuration = parameters.parse(_as_text(tables), xlen)
    machine = Machine([program], isa=generated.isa, passages=True)
    encoder = Encoder(configuration)
    packets = b""
    for chunk in machine.run(2_000_000):
        packets += bytes(encoder.feed(chunk))
        assert not len(chunk.code)
    packets += bytes(encoder.finish())
    assert machine.exit_reason is ExitReason.EXIT
    again = Machine([program], isa=generated.isa, chunk_refs=1 << 12, chunk_traps=3)
    rom = b"".join(word.to_bytes(4, "little") for word in BOOT_WORDS[xlen])
    memory = [(BOOT_ROM, rom), *((each.base, bytes(each.data)) for each in program.segments)]
    truth = list(ingress_events(copied(again.run(2_000_000)), memory))
    decoder = Decoder(configuration, CodeMap(memory, xlen))
    decoded = list(flow_events([*decoder.feed(packets), *decoder.finish()], memory))
    assert told(decoded, truth) == truth, (kind, seed, xlen, name)
    assert machine.instret == sum(event[0] == "retire" for event in truth)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_hart_does_comes_back(kind: str, xlen: int) -> None:
    for seed in range(TRIALS):
        # another configuration each time, all of them in turn
        number = 7 * KINDS.index(kind) + 3 * seed + xlen // 32
        _trial(kind, 1000 + seed, xlen, _NAMES[number % len(_NAMES)])
