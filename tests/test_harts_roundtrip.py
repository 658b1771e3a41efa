"""Random programs that several harts run at once, in all modes of the encoder: each comes back out
of the one stream.

All harts run the same program on the same memory, and so get in each other's way at random.
"""

import os
from dataclasses import replace

import pytest

from decoder.decoder import Decoder
from emu.machine import Machine
from encoder.encoder import Encoder
from etrace.trace.harts import of_hart, with_sources
from specs.configuration import parameters
from specs.configuration.parameters import Configuration
from specs.isa.control import CodeMap
from tests.events import BOOT_ROM, BOOT_WORDS, copied, flow_events, ingress_events, told
from tests.qemu import generators
from tests.qemu.machines import program_of
from tests.test_hart_roundtrip import KINDS as ONE_HART
from tests.test_hart_roundtrip import _as_text
from tests.test_matrix import CONFIGURATIONS

#: How many programs of each kind and width; `make soak` sets more.
TRIALS = int(os.environ.get("ETRACE_HART_TRIALS", "1"))
CASES = 8
#: Harts that change each other's page tables run what no program file has.
KINDS = [kind for kind in ONE_HART if kind != "svnapot"]
BUDGET = 100_000


def _configuration(name: str, xlen: int, harts: int) -> Configuration:
    tables = {**CONFIGURATIONS[name]}
    tables["encoder"] = {**tables.get("encoder", {}), "loops": "exact", "ambiguous": "exact"}
    chosen = parameters.parse(_as_text(tables), xlen)
    chosen = replace(chosen, framing=replace(chosen.framing, kind="encap"))
    return with_sources(chosen, harts)


def _trial(kind: str, seed: int, xlen: int, name: str) -> None:
    harts, quantum = 2 + seed % 3, 64 + 37 * (seed % 11)
    generated = generators.generate(kind, seed, xlen, CASES)
    program = program_of(generated.image.build(), xlen)
    configuration = _configuration(name, xlen, harts)

    def machine(**options) -> Machine:
        return Machine([program], isa=generated.isa, harts=harts, quantum=quantum, **options)

    first = machine(passages=True)
    encoders = [Encoder(of_hart(configuration, number)) for number in range(harts)]
    packets = b""
    for chunk in first.run(BUDGET):
        packets += bytes(encoders[chunk.hart].feed(chunk))
        assert not len(chunk.code)
    packets += b"".join(bytes(each.finish()) for each in encoders)
    rom = b"".join(word.to_bytes(4, "little") for word in BOOT_WORDS[xlen])
    memory = [(BOOT_ROM, rom), *((each.base, bytes(each.data)) for each in program.segments)]
    for number in range(harts):
        again = machine(record=(number,), chunk_refs=1 << 12, chunk_traps=3)
        truth = list(ingress_events(copied(again.run(BUDGET)), memory))
        decoder = Decoder(of_hart(configuration, number), CodeMap(memory, xlen))
        decoded = list(flow_events([*decoder.feed(packets), *decoder.finish()], memory))
        assert told(decoded, truth) == truth, (kind, seed, xlen, name, number)
        retired = sum(event[0] == "retire" for event in truth)
        assert retired == first.harts[number].instret == again.harts[number].instret


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_what_each_hart_does_comes_back(kind: str, xlen: int) -> None:
    names = sorted(CONFIGURATIONS)
    for seed in range(TRIALS):
        # another configuration each time, all of them in turn
        number = 5 * KINDS.index(kind) + 3 * seed + xlen // 32
        _trial(kind, 4000 + seed + KINDS.index(kind), xlen, names[number % len(names)])
