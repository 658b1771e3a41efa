"""One measurement, in a process of its own so that its peak memory is its own: `measure.py WHAT`.

Prints a JSON object: what was processed (`units`), CPU and wall seconds, peak resident MB. Kernels
are compiled or loaded, and each operation done once on a little input, before the clock starts.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from decoder import Decoder, pc_pieces
from emu import Machine
from emu.platforms import elf
from emu.platforms.elf import Program
from encoder.encoder import Encoder
from etrace.recording.encoding import Encoding
from etrace.trace.program import Code
from specs.configuration.parameters import Configuration
from specs.interfaces.flow import Flow

BENCH = Path(__file__).resolve().parent
PROGRAM = BENCH / "program-rv64.elf"
#: Instructions of a warm-up run.
LITTLE = 200_000
#: Bytes decoded at a time.
PIECE = 1 << 20

#: What a user gets by `etrace record --mode all`.
MODES = (
    "implicit_exception",
    "sijump",
    "implicit_return",
    "branch_prediction",
    "jump_target_cache",
)
BASELINE = Configuration.default(64)
ALL_MODES = Encoding(modes=MODES).apply(BASELINE, ())

Clock = tuple[float, float]
Result = dict[str, Any]


def clock() -> Clock:
    return time.process_time(), time.perf_counter()


def since(start: Clock) -> Result:
    cpu, wall = clock()
    return {"cpu": cpu - start[0], "wall": wall - start[1]}


def program() -> Program:
    return elf.load(str(PROGRAM))


def untraced(budget: int | None) -> Result:
    """Emulation alone."""
    machine = Machine([program()], record=False)
    start = clock()
    for _ in machine.run(budget):
        pass
    return {**since(start), "units": machine.instret, "exit_code": machine.exit_code}


def traced(budget: int | None) -> Result:
    """Emulation and encoding, one after the other on one core, to a file."""
    machine = Machine([program()], passages=True)
    encoder = Encoder(Configuration.default(64))
    with tempfile.TemporaryFile() as file:
        start = clock()
        for chunk in machine.run(budget):
            file.write(encoder.feed(chunk))
        file.write(encoder.finish())
        file.flush()
        times = since(start)
        size = file.tell()
    return {**times, "units": machine.instret, "bytes": size, "exit_code": machine.exit_code}


def recorded(budget: int | None) -> Result:
    """What `etrace record` does: emulator and encoder in two threads."""
    import etrace

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bench.etrace"
        start = clock()
        etrace.record(PROGRAM, output=path, max_instructions=budget)
        times = since(start)
        size = path.stat().st_size
    return {**times, "units": untraced(budget)["units"], "bytes": size}


def packets(budget: int | None, configuration: Configuration) -> bytes:
    """The trace of a run."""
    encoder = Encoder(configuration)
    parts = [encoder.feed(chunk) for chunk in Machine([program()]).run(budget)]
    return b"".join([*parts, encoder.finish()])


def flows(trace: bytes, code: Code, configuration: Configuration) -> Iterator[Flow]:
    """Decoded, a MB of the trace at a time."""
    decoder = Decoder(configuration, code.map)
    for begin in range(0, len(trace), PIECE):
        yield from decoder.feed(trace[begin : begin + PIECE])
    yield from decoder.finish()


def encoding(budget: int | None, configuration: Configuration = BASELINE) -> Result:
    """Blocks to packets; the clock runs only while the encoder has a chunk."""
    encoder = Encoder(configuration)
    cpu = wall = 0.0
    units = 0
    for chunk in Machine([program()]).run(budget):
        units += len(chunk.refs)
        start = clock()
        encoder.feed(chunk)
        times = since(start)
        cpu, wall = cpu + times["cpu"], wall + times["wall"]
    return {"cpu": cpu, "wall": wall, "units": units}


def encoding_modes(budget: int | None) -> Result:
    """The same with all modes on."""
    return encoding(budget, ALL_MODES)


def decoding(budget: int | None, configuration: Configuration = BASELINE) -> Result:
    """Bytes to a flow."""
    code = Code(64, (program(),), platform="spike")
    trace = packets(budget, configuration)
    start = clock()
    units = gaps = 0
    for flow in flows(trace, code, configuration):
        units += flow.instructions
        gaps += len(flow.gaps)
    return {**since(start), "units": units, "gaps": gaps}


def decoding_modes(budget: int | None) -> Result:
    """The same with all modes on."""
    return decoding(budget, ALL_MODES)


def expanding(budget: int | None) -> Result:
    """A flow to one program counter an instruction; the clock runs only while expanding."""
    code = Code(64, (program(),), platform="spike")
    cpu = wall = 0.0
    units = 0
    for flow in flows(packets(budget, BASELINE), code, BASELINE):
        start = clock()
        units += sum(len(piece) for piece in pc_pieces(flow, code.map))
        times = since(start)
        cpu, wall = cpu + times["cpu"], wall + times["wall"]
    return {"cpu": cpu, "wall": wall, "units": units}


def comparing(budget: int | None) -> Result:
    """Two traces of one run, one resynchronised more often than the other: where do their flows
    part? In turns with decoding one of them, on average; `one` is how long that takes."""
    import etrace
    from specs.configuration.parameters import from_dict

    configuration = from_dict({"resync": {"unit": "packets", "period": 64}}, 64)
    traces = [
        etrace.record(PROGRAM, params=params, max_instructions=budget)
        for params in (BASELINE, configuration)
    ]
    units = 0
    one: list[float] = []
    both: list[float] = []
    for _ in range(3):
        start = clock()
        for trace in traces:
            units = sum(flow.instructions for flow in trace.flows())
        one.append(since(start)["cpu"] / 2)
        start = clock()
        found = etrace.diff(*traces, ignore=["parameters", "packets"])
        both.append(since(start)["cpu"])
        assert found.same
    return {"cpu": min(both), "one": min(one), "units": units}


def stepping(budget: int | None) -> Result:
    """`etrace.model`: a block at a time."""
    from etrace import model

    path = BENCH.parent / "tests" / "golden" / "rv64-flow" / "rv64-flow.ingress.csv.gz"
    given = list(model.blocks(path))
    encoder = model.Encoder()
    for block in given[:1000]:
        encoder.step(block)
    encoder.reset()
    start = clock()
    for block in given:
        encoder.step(block)
    return {**since(start), "units": len(given)}


MEASUREMENTS: dict[str, Callable[[int | None], Result]] = {
    each.__name__: each
    for each in (
        untraced,
        traced,
        recorded,
        encoding,
        encoding_modes,
        decoding,
        decoding_modes,
        expanding,
        comparing,
        stepping,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--instructions", type=int, help="instead of the whole program")
    arguments = parser.parse_args()
    measure = MEASUREMENTS[arguments.what]
    measure(LITTLE)
    result = measure(arguments.instructions)
    result["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
