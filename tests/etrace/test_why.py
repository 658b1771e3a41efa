"""`etrace why`: the same account from the trace alone; and the history that both are drawn from."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etrace
from etrace.analyses.history import LAST, TRAP, ChunkHistory, Fold, Ran, folded
from specs.interfaces.ingress import BLOCK, SIDEBAND, SIDEBAND_CODE, Chunk
from specs.interfaces.ingress import TRAP as INGRESS_TRAP
from specs.isa.itype import Itype
from tests.etrace.conftest import Run, elf_bytes

PROGRAMS = [
    f"{name}-rv{xlen}"
    for name in (
        "cause_stack", "cause_uart", "cause_host_call", "cause_floating", "cause_in_handler",
        "trap_loop",
    )
    for xlen in (32, 64)
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_trace_tells_what_the_run_told(
    run: Run, firmware: Path, tmp_path: Path, program: str
) -> None:
    trace = tmp_path / "t.etrace"
    elf = firmware / f"{program}.elf"
    recorded = json.loads(run("record", elf, "-o", trace, "--json", code=4).stdout)["account"]
    told = json.loads(run("why", trace, "--json").stdout)
    for key in ("first_cause", "traps", "hints", "last", "failed"):
        assert told[key] == recorded[key], key
    assert told["whole"] and told["where"] is None
    text = run("why", trace).stdout
    assert "ends in a trap that repeats" in text
    assert f"first cause   {recorded['first_cause']['name']}" in text
    assert "not traced    exit codes, host calls" in text


@pytest.mark.parametrize("mode", ["all", "implicit_return", "branch_prediction"])
def test_modes_change_nothing(run: Run, firmware: Path, tmp_path: Path, mode: str) -> None:
    trace = tmp_path / "t.etrace"
    elf = firmware / "cause_in_handler-rv64.elf"
    run("record", elf, "-o", trace, code=4)
    plain = run("why", trace, "--json").stdout
    run("record", elf, "-o", trace, "--mode", mode, code=4)
    assert run("why", trace, "--json").stdout == plain


def test_a_trace_that_ends_well(run: Run, traps_trace: Path) -> None:
    text = run("why", traps_trace).stdout
    assert "ends outside of any trap handler" in text
    assert "first cause" not in text
    # 16 instructions and what is said of the loop at the end
    assert len(text.splitlines()) == 20


def test_a_jump_to_itself(run: Run, tmp_path: Path) -> None:
    elf, trace = tmp_path / "loop.elf", tmp_path / "t.etrace"
    elf.write_bytes(elf_bytes([0x00000013, 0x0000006F]))  # nop; j .
    run("record", elf, "-o", trace, "--max-instructions", 40)
    told = run("why", trace).stdout
    assert "ends in a jump to itself\n" in told
    assert "first cause" not in told


def test_a_handler_that_hangs(run: Run, tmp_path: Path) -> None:
    elf, trace = tmp_path / "hang.elf", tmp_path / "t.etrace"
    # auipc t0,0; addi t0,t0,16; csrw mtvec,t0; ld a0,0(zero); handler: j .
    elf.write_bytes(elf_bytes([0x00000297, 0x01028293, 0x30529073, 0x00003503, 0x0000006F]))
    for budget in (30, 100):
        etrace.record(elf, trace, max_instructions=budget)
        told = run("why", trace).stdout
        assert "ends in a trap handler, in a jump to itself" in told
        assert "first cause   load access fault at 0x8000000c" in told


def test_what_led_to_a_cause_that_is_long_ago(run: Run, tmp_path: Path) -> None:
    elf, trace = tmp_path / "late.elf", tmp_path / "t.etrace"
    # auipc t0,0; addi t0,t0,20; csrw mtvec,t0; nop; ld a0,0(zero); handler: a loop of a branch
    words = [0x00000297, 0x01428293, 0x30529073, 0x13, 0x00003503, 0x00140413, 0xFE041EE3]
    elf.write_bytes(elf_bytes(words))
    recorded = run("record", elf, "-o", trace, "--max-size", "1K").stderr
    assert recorded.endswith(f"etrace: `etrace why {trace}` says how to see what led there\n")
    told = run("why", trace).stdout
    assert "open trap     load access fault at 0x80000010" in told
    command = told.splitlines()[-1].split(": etrace ")[1].split()
    listed = run(*command).stdout.splitlines()
    assert [line.split()[1] for line in listed[-2:]] == ["0000000080000008", "000000008000000c"]
    number = json.loads(run("why", trace, "--json").stdout)["number"]
    assert len(listed) == number == 9


def test_gaps_end_what_is_known(run: Run, firmware: Path, tmp_path: Path) -> None:
    """A damaged trace has an account of what is behind the damage, and exit code 3."""
    trace = tmp_path / "t.etrace"
    run("record", firmware / "cause_uart-rv64.elf", "-o", trace, code=4)
    trace.write_bytes(trace.read_bytes()[:-40])
    result = run("why", trace, "--json", code=3)
    told = json.loads(result.stdout)
    assert not told["whole"]
    assert told["last"]


def test_a_foreign_stream_has_no_hints_about_memory(run: Run, golden: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    name = "rv64-traps"
    options = ["--elf", golden / name / f"{name}.elf", "--platform", "spike", "-o", trace]
    run("encode", golden / name / f"{name}.ingress.csv.gz", *options)
    assert "--memory" not in run("why", trace).stdout


# -- the history, against a plain reading ------------------------------------------------------


@dataclass(frozen=True)
class Happening:
    """A block or a trap of a made-up run. `half_words` 0: a trap."""

    code: int
    address: int
    half_words: int = 0
    cause: int = 0


def chunk_of(happenings: list[Happening], sides: random.Random) -> Chunk:
    """The same as an ingress chunk, with a side band here and there."""
    refs: list[int] = []
    blocks = np.zeros(len(happenings), BLOCK)
    traps = np.zeros(len(happenings), INGRESS_TRAP)
    for row, each in enumerate(happenings):
        if sides.random() < 0.02:
            refs.append(SIDEBAND_CODE)
        refs.append(row << 4 | each.code)
        (blocks if each.half_words else traps)["iaddr"][row] = each.address
        blocks["iretire"][row] = each.half_words
        traps["cause"][row] = each.cause
    traps["tval"], traps["iaddr_valid"] = 5, 1
    # Tables of what is not there are empty.
    traps = traps[: len(traps) * any(not each.half_words for each in happenings)]
    side_bands = np.zeros(int(SIDEBAND_CODE in refs), SIDEBAND)
    return Chunk(np.array(refs, np.uint32), blocks, traps, side_bands)


def made_up(seed: int, trapping: float) -> list[list[Happening]]:
    """Chunks of happenings; many of them of traps and returns, some of hardly any."""
    chosen = random.Random(seed)
    chunks = []
    for _ in range(chosen.randrange(1, 6)):
        chunk = []
        for _ in range(chosen.choice((1, 3, 40, 700))):
            if chosen.random() < trapping:
                code = chosen.choice((Itype.EXCEPTION, Itype.EXCEPTION, Itype.INTERRUPT))
                again = chosen.choice((1, 1, 1, 1, 1, 5))
                trap = Happening(code, 0x100 * chosen.randrange(3), cause=chosen.randrange(2))
                chunk += [trap] * again
            else:
                code = chosen.choice((0, 3, 3, 3, 4, 15))
                chunk.append(Happening(code, 0x1000 + 8 * chosen.randrange(64), 2))
        chunks.append(chunk)
    return chunks


def plain_chain(happenings: list[Happening]) -> tuple[list[Fold], int]:
    """Open traps, by a stack; and how many different ones in a row there were at most."""
    stack: list[Fold] = []
    most = 0
    for each in happenings:
        if not each.half_words:
            interrupt = each.code == Itype.INTERRUPT
            stack.append(Fold(interrupt, each.cause, 5, each.address, None))
            changes = sum(not a.same(b) for a, b in itertools.pairwise(stack))
            most = max(most, changes + 1)
        elif each.code == Itype.TRAP_RETURN and stack:
            stack.pop()
    return stack, most


@pytest.mark.parametrize("trapping", [0.02, 0.2])
@pytest.mark.parametrize("seed", range(40))
def test_open_traps_and_the_last_blocks(seed: int, trapping: float) -> None:
    chunks = made_up(seed, trapping)
    history = ChunkHistory()
    for chunk in chunks:
        history.feed(chunk_of(chunk, random.Random(seed)))
    everything = [each for chunk in chunks for each in chunk]
    expected, most = plain_chain(everything)
    assert most < 64  # else not all of them are kept
    found = [
        (fold.interrupt, fold.cause, fold.epc) for fold in history.chain for _ in range(fold.times)
    ]
    assert found == [(trap.interrupt, trap.cause, trap.epc) for trap in expected]
    ran = [item for item in history.items() if isinstance(item, Ran)]
    blocks = [each for each in everything if each.half_words]
    assert len(ran) >= min(LAST, len(blocks))
    assert [item.start for item in ran][-LAST:] == [each.address for each in blocks][-LAST:]


def test_the_items_have_the_traps_between(golden: Path) -> None:
    happenings = [Happening(0, 0x1000 + 4 * at, 2) for at in range(30)]
    trap = Happening(Itype.EXCEPTION, 0x5000, cause=7)
    chunk = [*happenings, trap, trap, happenings[0], trap]
    history = ChunkHistory()
    history.feed(chunk_of(chunk, random.Random(0)))
    tail = history.items()[-4:]
    kinds = [item.times if isinstance(item, Fold) else "ran" for item in tail]
    assert kinds == ["ran", 2, "ran", 1]


def test_a_register_tried_out_is_no_cause() -> None:
    """The vector right behind an instruction that traps, and later elsewhere: start-up code."""
    tried = Happening(Itype.EXCEPTION, 0x1000, cause=2)
    fault = Happening(Itype.EXCEPTION, 0x2000, cause=7)
    start_up = [Happening(0, 0x0FF0, 8), tried, Happening(0, 0x1008, 8)]
    for handler, causes in ((0x8000, [7]), (0x1008, [2, 7])):
        for cut in range(1, 5):
            history = ChunkHistory()
            chunk = [*start_up, fault, Happening(0, handler, 2)]
            for part in (chunk[:cut], chunk[cut:]):
                history.feed(chunk_of(part, random.Random(1)))
            assert [fold.cause for fold in history.chain] == causes, (handler, cut)


def test_folding() -> None:
    rows = np.zeros(70_000, TRAP)
    rows["cause"][:10] = 7
    rows["epc_known"] = 1
    assert [(fold.cause, fold.times) for fold in folded(rows)] == [(7, 10), (0, 69_990)]
    assert folded(rows[:0]) == []


def test_little_is_kept_of_a_storm() -> None:
    """Traps alone, chunk after chunk: the last instructions are still those before."""
    history = ChunkHistory()
    history.feed(chunk_of([Happening(0, 0x1000 + 4 * at, 2) for at in range(20)], random.Random(0)))
    storm = [Happening(Itype.EXCEPTION, 0x100, cause=1)] * 5000
    for _ in range(20):
        history.feed(chunk_of(storm, random.Random(0)))
    assert [(fold.cause, fold.times) for fold in history.chain] == [(1, 100_000)]
    ran = [item for item in history.items() if isinstance(item, Ran)]
    assert len(ran) == LAST
    assert len(history._pieces) <= 3


def test_little_is_kept_of_a_flow_of_traps(tmp_path: Path) -> None:
    """However a file makes the flow look."""
    from etrace.analyses.history import FlowHistory
    from specs.interfaces.flow import RUN, Flow
    from specs.interfaces.flow import TRAP as FLOW_TRAP
    from specs.isa.control import CodeMap

    code = CodeMap([(0x1000, bytes.fromhex("13000000") * 8)], 64)
    history = FlowHistory(code)
    run = np.zeros(1, RUN)
    run["start"], run["count"] = 0x1000, 8
    history.feed(Flow(run))
    for number in range(20):
        traps = np.zeros(5000, FLOW_TRAP)
        traps["run"], traps["epc_known"] = 1, 1
        traps["cause"] = np.arange(5000) % 7 + number
        history.feed(Flow(traps=traps, first_run=1))
    items = history.items()
    assert len(items) <= 1 + 64 and len(history.chain) <= 64
    causes = [item.cause for item in items if isinstance(item, Fold)]
    assert (causes[0], causes[-1]) == (0, 4999 % 7 + 19)


def flows_of(trace: Path, size: int) -> Iterator[Any]:
    """The flow of a trace, decoded in pieces of `size` bytes."""
    import decoder

    opened = etrace.open(trace)
    machine = decoder.Decoder(opened.configuration, opened.code.map)
    stream = b"".join(opened.chunks())
    for at in range(0, len(stream), size):
        yield from machine.feed(stream[at : at + size])
    yield from machine.finish()


@pytest.mark.parametrize("program", ["cause_in_handler-rv32", "cause_uart-rv64", "nested-rv64"])
def test_a_flow_in_pieces(run: Run, firmware: Path, tmp_path: Path, program: str) -> None:
    """Wherever the flow is cut, the history is the same; and as that of the run itself."""
    from emu import Machine
    from emu.platforms.elf import load
    from etrace.analyses.history import FlowHistory

    trace = tmp_path / "t.etrace"
    elf = firmware / f"{program}.elf"
    options = ["--max-instructions", 30_000]
    run("record", elf, "-o", trace, *options, code=4 if program.startswith("cause") else 0)
    live = ChunkHistory()
    for chunk in Machine([load(elf)], chunk_traps=7).run(30_000):
        live.feed(chunk)
    code = etrace.open(trace).code.map
    for size in (3, 50, 1 << 20):
        history = FlowHistory(code)
        for flow in flows_of(trace, size):
            history.feed(flow)
        assert [(f.cause, f.epc, f.times) for f in history.chain] == [
            (f.cause, f.epc, f.times) for f in live.chain
        ]
        assert history.instructions == etrace.open(trace).decode().instructions
