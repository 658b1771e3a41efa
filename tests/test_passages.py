"""Passages stand for exactly the references that the same run gives without them, and make the same
bytes.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emu.ingress.options import SidebandOptions
from emu.machine import Machine
from emu.platforms import elf
from emu.platforms.elf import Program
from encoder.encoder import Encoder, Statistics
from encoder.state import Option
from etrace.analyses.history import ChunkHistory
from specs.configuration.parameters import from_dict
from specs.interfaces.ingress import (
    BLOCK,
    CODE_BITS,
    CODE_MASK,
    NO_BRANCHES,
    NO_TARGET,
    PASSAGE,
    PASSAGE_INDEX,
    RECORD,
    SIDEBAND,
    SIDEBAND_CODE,
    TRAP,
    Chunk,
    IngressError,
)
from specs.interfaces.records import words
from specs.trace.passages import expanded, first_rows
from tests.emu.arming import NOTIFY, arm, tdata1
from tests.emu.build import CODE, Assembly
from tests.emu.test_random import noise
from tests.test_matrix import CONFIGURATIONS, FILES

Words = npt.NDArray[np.uint64]

#: Random programs; `make soak` runs more.
SEEDS = range(max(12, int(os.environ.get("ETRACE_TRIALS", "0")) // 250))
FIRMWARE = sorted((Path(__file__).resolve().parent / "firmware").glob("*.elf"))
SMALL = {"chunk_refs": 1 << 12, "chunk_traps": 2, "table_blocks": 1 << 10}
RESYNC = {
    f"every {period}": {"resync": {"unit": "packets", "period": period}}
    for period in (1, 3, 4, 5, 6, 11, 64)
}
SYNC = {f"sequence {period}": {"framing": {"sync_period": period}} for period in (16, 33, 64, 200)}


def contents(chunks: Iterable[Chunk]) -> Words:
    """What retired and trapped, a row a reference: its code, and what it refers to."""
    found = [np.zeros((0, 5), np.uint64)]
    for chunk in map(expanded, chunks):
        assert not len(chunk.passages)
        codes, index = chunk.refs & CODE_MASK, chunk.refs >> CODE_BITS
        out = np.zeros((len(chunk.refs), 5), np.uint64)
        out[:, 0] = codes
        traps, sides = (codes == 1) | (codes == 2), codes == SIDEBAND_CODE
        for chosen, table, kind in (
            (~traps & ~sides, chunk.blocks, BLOCK),
            (traps, chunk.traps, TRAP),
            (sides, chunk.sidebands, SIDEBAND),
        ):
            values = words(table, kind).reshape(len(table), kind.itemsize // 8)
            out[chosen, 1 : 1 + values.shape[1]] = values[index[chosen]]
        found.append(out)
    return np.concatenate(found)


def same(got: Words, wanted: Words) -> bool:
    return got.shape == wanted.shape and bool((got == wanted).all())


def encoded(
    machine: Machine, configuration: dict, budget: int | None, xlen: int
) -> tuple[bytes, Statistics]:
    encoder = Encoder(from_dict(configuration, xlen))
    data = b"".join([*map(encoder.feed, machine.run(budget)), encoder.finish()])
    return data, encoder.statistics


def load(path: Path) -> Program:
    return elf.load(str(path))


def little(xlen: int) -> Program:
    """A bit of everything: jumps to a jump, to a branch, to more; from one such to the next; loops
    of more branches than a map has; jumps in a row; traps.
    """
    a = Assembly(xlen)
    a.jal(rd=0, to="start")
    a.label("handler")
    a.csr("mepc", rd=20)
    a.addi(rd=20, rs1=20, imm=4)
    a.csr("mepc", write=20)
    a.mret()
    a.label("jump")
    a.jalr(rd=0, rs1=1)
    a.label("branch")
    a.bne(rs1=8, rs2=9, to="jump")
    a.jalr(rd=0, rs1=1)
    a.label("more")
    a.addi(rd=10, rs1=10, imm=1)
    a.jalr(rd=0, rs1=1)
    a.label("there and back")
    a.jalr(rd=1, rs1=1)
    a.label("loop")
    a.addi(rd=11, rs1=7, imm=26)  # 31 branches the first time, and then more
    for _ in range(70):
        a.addi(rd=21, rs1=21, imm=1)  # more than a block has
    a.label("again")
    a.addi(rd=11, rs1=11, imm=-1)
    a.bne(rs1=11, rs2=0, to="again")
    a.jal(rd=0, to="on")
    a.label("on")
    a.jal(rd=0, to="further")
    a.label("further")
    a.jalr(rd=0, rs1=1)
    a.label("start")
    a.la(20, "handler")
    a.csr("mtvec", write=20)
    targets = ("jump", "branch", "more", "there and back", "loop")
    for number, name in enumerate(targets):
        a.la(12 + number, name)
    a.addi(rd=9, rs1=0, imm=6)
    a.label("round")
    for first, second in ((0, 1), (1, 1), (1, 2), (0, 0), (3, 0), (4, 3), (4, 1), (2, 4)):
        a.jalr(rd=1, rs1=12 + first)
        a.jalr(rd=1, rs1=12 + second)
        a.addi(rd=7, rs1=7, imm=1)
    a.ecall()
    a.jalr(rd=1, rs1=12)
    a.ecall()
    a.addi(rd=8, rs1=8, imm=1)
    a.blt(rs1=8, rs2=9, to="round")
    a.exit()
    return a.program()


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_little_program(xlen: int) -> None:
    program = little(xlen)
    wanted = contents(Machine([program]).run())
    machine = Machine([program], passages=True)
    chunks = []
    for chunk in machine.run():
        assert same(contents([chunk]), wanted)
        chunks.append((chunk.records.copy(), chunk.passages.copy()))
    ((records, passages),) = chunks
    assert machine.exit_code == 0 and len(wanted) > 1000
    assert len(passages) > 10 and len(records) > 100
    assert (records["target"] == NO_TARGET).any() and (records["map"] & 1).any()
    for configuration in ({}, RESYNC["every 6"], RESYNC["every 64"], SYNC["sequence 33"]):
        bytes_ = encoded(Machine([program]), configuration, None, xlen)
        assert encoded(Machine([program], passages=True), configuration, None, xlen) == bytes_
    for budget in range(60, 1200, 97):
        part = contents(Machine([program], passages=True).run(budget))
        assert same(part, contents(Machine([program]).run(budget)))


@pytest.mark.parametrize("path", [*FILES, *FIRMWARE], ids=lambda path: path.stem)
def test_every_program_expands_to_its_references(path: Path) -> None:
    program = load(path)
    wanted = contents(Machine([program]).run(1_000_000))
    machine = Machine([program], passages=True)
    count = 0

    def counted() -> Iterable[Chunk]:
        nonlocal count
        for chunk in machine.run(1_000_000):
            count += len(chunk.passages)
            yield chunk

    assert same(contents(counted()), wanted)
    assert count
    assert same(contents(Machine([program], passages=True, **SMALL).run(1_000_000)), wanted)


@pytest.mark.parametrize("path", [*FILES, *FIRMWARE], ids=lambda path: path.stem)
def test_every_program_gives_the_same_bytes(path: Path) -> None:
    program, xlen = load(path), load(path).xlen
    budget = 300_000
    for configuration in ({}, *RESYNC.values(), *SYNC.values(), {"resync": {"unit": "off"}}):
        wanted = encoded(Machine([program]), configuration, budget, xlen)
        got = encoded(Machine([program], passages=True), configuration, budget, xlen)
        assert got == wanted, configuration


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_gives_the_same_bytes(name: str) -> None:
    """Also those whose encoder has to expand them."""
    for path, xlen in list(FILES.items())[::5]:
        program = load(path)
        wanted = encoded(Machine([program]), CONFIGURATIONS[name], 100_000, xlen)
        got = encoded(Machine([program], passages=True), CONFIGURATIONS[name], 100_000, xlen)
        assert got == wanted, path.name


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_noise(seed: int, xlen: int) -> None:
    program = noise(seed + 1000, xlen)
    wanted = contents(Machine([program]).run(20_000))
    assert same(contents(Machine([program], passages=True).run(20_000)), wanted)
    assert same(contents(Machine([program], passages=True, **SMALL).run(20_000)), wanted)
    for configuration in ({}, *list(RESYNC.values())[:4], SYNC["sequence 33"]):
        bytes_ = encoded(Machine([program]), configuration, 20_000, xlen)
        assert encoded(Machine([program], passages=True), configuration, 20_000, xlen) == bytes_


@pytest.mark.parametrize(
    "name", ["nested-rv64", "storm-rv32", "idle_jump-rv64", "fault_first-rv32"]
)
def test_a_budget_may_end_anywhere(name: str, firmware: Path) -> None:
    """And the run goes on behind it: passages end with a run."""
    program = load(firmware / f"{name}.elf")
    for step in (1, 2, 7, 64, 65, 333):
        ends = []
        for passages in (False, True):
            machine = Machine([program], passages=passages)
            encoder = Encoder(from_dict({}, program.xlen))
            parts = [np.zeros((0, 5), np.uint64)]
            data = b""
            for _ in range(40):
                for chunk in machine.run(step):
                    parts.append(contents([chunk]))
                    data += encoder.feed(chunk)
            ends.append((machine.instret, machine.pc, data + encoder.finish(), parts))
        assert ends[0][:3] == ends[1][:3]
        assert same(np.concatenate(ends[1][3]), np.concatenate(ends[0][3]))


def test_what_needs_single_blocks_gets_references() -> None:
    """Side band and hooks: no passage, and all is told as ever."""
    path = next(path for path in FILES if path.stem == "scheduler-rv64")
    program = load(path)

    def windowed(passages: bool) -> Machine:
        options = SidebandOptions(windows=((1000, 500), (3000, 1)))
        return Machine([program], passages=passages, sideband=options)

    def hooked(passages: bool) -> Machine:
        machine = Machine([program], passages=passages)
        machine.on_retire(heard.append)
        return machine

    heard: list[Chunk] = []
    makers: list[Callable[[bool], Machine]] = [windowed, hooked]
    for make in makers:
        chunks = list(make(True).run(50_000))
        assert not any(len(chunk.passages) for chunk in chunks)
        assert same(contents(chunks), contents(make(False).run(50_000)))
    assert heard and not any(len(chunk.passages) for chunk in heard)


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_trigger_that_the_program_arms_is_told(xlen: int) -> None:
    a = Assembly(xlen)
    a.addi(rd=9, rs1=0, imm=50)
    a.label("before")
    a.addi(rd=9, rs1=9, imm=-1)
    a.bne(rs1=9, rs2=0, to="before")
    arm(a, 3, tdata1(xlen, NOTIFY), CODE + 0x200)
    a.jal(rd=0, imm=CODE + 0x200 - a.at - 8)
    while a.at < CODE + 0x200 - 8:
        a.addi()
    a.label("behind")
    for _ in range(4):
        a.addi(rd=9, rs1=9, imm=1)
    a.slti(rd=10, rs1=9, imm=50)
    a.bne(rs1=10, rs2=0, to="behind")
    a.exit()
    program = a.program()
    wanted = contents(Machine([program]).run())
    got = []
    for chunk in Machine([program], passages=True).run():
        got.append((len(chunk.passages), len(chunk.sidebands), contents([chunk])))
    assert (wanted[:, 0] == SIDEBAND_CODE).sum() > 10
    assert same(np.concatenate([rows for _, _, rows in got]), wanted)
    assert got[0][0] and not any(passages and sides for passages, sides, _ in got)


def test_a_halt_is_told_and_passages_come_back() -> None:
    program = load(next(path for path in FILES if path.stem == "hashing-rv64"))
    found = []
    for passages in (False, True):
        machine = Machine([program], passages=passages)
        parts = [contents(machine.run(5000))]
        machine.halt()
        machine.resume()
        chunks = []
        for chunk in machine.run(300_000):
            chunks.append(len(chunk.passages))
            parts.append(contents([chunk]))
        parts.append(contents(machine.run(300_000)))
        found.append(np.concatenate(parts))
        assert not chunks[0]
    assert same(found[1], found[0])


@pytest.mark.parametrize("path", [*list(FILES)[::4], *FIRMWARE], ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [{}, SMALL], ids=["large", "small"])
def test_the_end_of_a_run_is_known_as_ever(path: Path, size: dict) -> None:
    program = load(path)
    for budget in (3, 40, 1000, 12_345, 400_000):
        ends = []
        for passages in (False, True):
            history = ChunkHistory()
            for chunk in Machine([program], passages=passages, **size).run(budget):
                history.feed(chunk)
            ends.append((history.chain, history.items()[-16:]))
        assert ends[0] == ends[1]


def test_a_part_of_the_end() -> None:
    program = load(next(path for path in FILES if path.stem == "scheduler-rv64"))
    (chunk,) = Machine([program], passages=True).run(200_000)
    whole = expanded(chunk)
    heads = first_rows(chunk)
    assert len(chunk.passages) > 10 and len(whole.refs) > 2000
    assert (heads & CODE_MASK != SIDEBAND_CODE).all()
    for most in (1, 2, 3, 17, 255, 1000, len(whole.refs) - 1, len(whole.refs), 10**6):
        assert (expanded(chunk, most).refs == whole.refs[-most:]).all()


def chain(count: int) -> Chunk:
    """Jumps: to a block that is one more, from there to a block of three instructions."""
    blocks = np.array(
        [(0x8000_0000, 4, 1, 1, 0, 3), (0x8001_0010, 2, 1, 1, 0, 3), (0x8050_0020, 6, 1, 1, 0, 3)],
        BLOCK,
    )
    refs = np.array([10, 1 << 4 | 10, 2 << 4 | 10] * count, np.uint32)
    return Chunk(refs, blocks)


def short(chunk: Chunk) -> Chunk:
    """A chain as a passage: a record for each jump but the last."""
    rows = len(chunk.refs) - 1
    records = np.zeros(rows, RECORD)
    records["reference"], records["target"] = chunk.refs[:-1], chunk.refs[1:]
    records["map"], records["retired"] = NO_BRANCHES, np.arange(7, rows + 7)
    # the last one's target is the reference behind the passage
    passages = np.zeros(1, PASSAGE)
    passages[0] = (chunk.refs[0], 0, rows - 1, NO_BRANCHES, 6, 1)
    name = PASSAGE_INDEX << CODE_BITS | SIDEBAND_CODE
    refs = np.array([name, chunk.refs[-1]], np.uint32)
    successors = np.zeros((len(chunk.blocks), 2), np.uint32)
    return Chunk(refs, chunk.blocks, passages=passages, records=records[:-1], successors=successors)


@pytest.mark.parametrize("mode", [{}, {"branch_prediction": True}], ids=["plain", "modes"])
def test_no_packet_goes_without_its_synchronisation_sequence(mode: dict) -> None:
    """Where one block makes two packets, the second may be the one before which a sequence is due.
    The bytes are those of the flow chart, row by row."""
    chunk = chain(50)
    assert (expanded(short(chunk)).refs == chunk.refs).all()
    for period in range(16, 80):
        configuration = from_dict(
            {
                "framing": {"sync_period": period},
                "parameters": {"bpred_size_p": 3},
                "modes": mode,
            },
            64,
        )
        results = []
        for given, plain in ((chunk, False), (chunk, True), (short(chunk), True)):
            encoder = Encoder(configuration)
            if not plain:
                encoder._options[Option.plain] = 0
            results.append(encoder.feed(given) + encoder.finish())
        assert results[0] == results[1] == results[2], period


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"passages": np.zeros(0, PASSAGE)}, "past its table"),
        ({"refs": np.array([(PASSAGE_INDEX + 1) << 4 | 7], np.uint32)}, "the table of passages"),
        ({"records": np.zeros(3, RECORD)}, "past the table of records"),
    ],
)
def test_a_passage_must_be_there(change: dict, said: str) -> None:
    chunk = short(chain(5))
    vars(chunk).update(change)
    chunk.refs = np.concatenate([chunk.refs[1:], chunk.refs[:1]])
    for configuration in (
        {},
        {"modes": {"implicit_return": True}, "parameters": {"return_stack_size_p": 2}},
    ):
        with pytest.raises(IngressError, match=said):
            Encoder(from_dict(configuration, 64)).feed(chunk)


def test_a_passage_of_nonsense_does_no_harm() -> None:
    """Whatever a foreign source puts into the tables."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        chunk = short(chain(6))
        for name in ("reference", "map", "target"):
            chunk.records[name] = rng.integers(0, 1 << 32, len(chunk.records), np.uint32)
        chunk.records["reference"] &= np.uint32(0x3F)
        chunk.successors = rng.integers(0, 64, chunk.successors.shape, np.uint32)
        encoder = Encoder(from_dict({}, 64))
        try:
            assert len(encoder.feed(chunk)) < 10_000
        except IngressError as error:
            assert "past its table" in str(error) or "iretire" in str(error)
        expanded(chunk)
