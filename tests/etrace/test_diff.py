"""`etrace diff`: where flows part, and packets; on a trace of ten million instructions."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import etrace
from etrace.checking import reference
from etrace.checking.diff.compare import IGNORABLE, diff
from etrace.checking.diff.flows import same_sizes
from etrace.checking.diff.outcome import Verdict, What
from etrace.checking.regress.manifest import Case
from etrace.checking.regress.outcome import Status
from etrace.checking.regress.run import run_case
from etrace.errors import InputError, TraceError
from etrace.trace.trace import Trace, in_memory
from specs.configuration.parameters import from_dict
from specs.isa.control import CodeMap
from specs.trace.packets import Column, Format
from tests.etrace import seeded
from tests.etrace.conftest import Run, elf_bytes
from tests.etrace.seeded import Stream, first_unequal
from tests.test_matrix import CONFIGURATIONS


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded.program(tmp_path_factory.mktemp("seeded") / "seeded.elf")


@pytest.fixture(scope="module")
def stream(elf: Path) -> Stream:
    return Stream.of(seeded.record(elf))


@pytest.fixture(scope="module")
def kept(stream: Stream, elf: Path) -> str:
    path = elf.with_name("seeded.etrace")
    reference.write(stream.trace, path)
    return str(path)


#: A trace with one thing changed; the packet and the instruction (None: the one that the decoded
#: addresses tell) where that shows; what it is.
Seeded = tuple[Trace, int, int | None, set[What]]


def _flip(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP, 5)
    outcomes = stream.value(k, Column.branch_map) ^ 4
    return stream.changed(k, branch_map=outcomes), k, None, {What.INSTRUCTION}


def _address(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP, 5)
    address = stream.value(k, Column.address) ^ 2
    return stream.changed(k, address=address), k, None, {What.INSTRUCTION, What.GAP}


def _without_trap(stream: Stream) -> Seeded:
    k = stream.find(Format.TRAP)
    pieces = stream.pieces[:k] + stream.pieces[k + 1 :]
    return stream.with_pieces(pieces), k, None, {What.GAP, What.TRAP, What.INSTRUCTION}


def _trap_field(**fields: int) -> Callable[[Stream], Seeded]:
    def change(stream: Stream) -> Seeded:
        k = stream.find(Format.TRAP)
        # the time in it is the number of instructions so far
        return stream.changed(k, **fields), k, stream.value(k, Column.time), {What.TRAP}

    return change


def _epc(stream: Stream) -> Seeded:
    k = stream.find(Format.TRAP)
    address = stream.value(k, Column.address) ^ 8
    return stream.changed(k, address=address), k, None, {What.INSTRUCTION}


def _sync_field(what: What, **fields: int) -> Callable[[Stream], Seeded]:
    def change(stream: Stream) -> Seeded:
        k = stream.find(Format.SYNC)
        at = _reported_at(stream, k)
        # another privilege cannot be gone on with: that is a gap
        return stream.changed(k, **fields), k, at, {what, What.GAP}

    return change


def _reported_at(stream: Stream, packet: int) -> int:
    """Instructions before a report of context and time, by the decoder's tables."""
    flow = stream.trace.decode()
    row = int(np.flatnonzero(flow.contexts["packet"] == packet)[0])
    run = int(flow.contexts["run"][row])
    return int(flow.runs["count"][:run].sum(dtype=np.uint64))


def _dropped(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP)
    pieces = stream.pieces[:k] + stream.pieces[k + 1 :]
    return stream.with_pieces(pieces), k, None, {What.INSTRUCTION, What.GAP}


def _twice(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP)
    pieces = stream.pieces[: k + 1] + stream.pieces[k:]
    return stream.with_pieces(pieces), k + 1, None, {What.INSTRUCTION, What.GAP}


def _cut(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP)
    pieces = [*stream.pieces[:k], stream.pieces[k][:-1]]
    return stream.with_pieces(pieces), k, None, {What.GAP, What.END}


def _cut_between(stream: Stream) -> Seeded:
    k = stream.find(Format.BRANCH_MAP)
    return stream.with_pieces(stream.pieces[:k]), k - 1, None, {What.END}


SEEDED: dict[str, Callable[[Stream], Seeded]] = {
    "a branch flipped": _flip,
    "an address bit": _address,
    "a trap dropped": _without_trap,
    "cause": _trap_field(ecause=5),
    "tval": _trap_field(tval=0x1234),
    "epc": _epc,
    "privilege": _sync_field(What.PRIVILEGE, privilege=0),
    "context": _sync_field(What.CONTEXT, context=0x77),
    "time": _sync_field(What.TIME, time=77),
    "a packet dropped": _dropped,
    "a packet twice": _twice,
    "cut within a packet": _cut,
    "cut between packets": _cut_between,
}


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seeded_difference_is_found(kind: str, stream: Stream, kept: str) -> None:
    """By `diff`, and against a reference: the right instruction, packet and byte, on that side."""
    changed, packet, instruction, kinds = SEEDED[kind](stream)
    if instruction is None:
        instruction = first_unequal(stream.trace, changed)
    for found in (diff(stream.trace, changed), reference.compare(changed, kept)):
        assert not found.same
        values = found.values()
        assert (values["instruction"], values["packet"]) == (instruction, packet), values
        assert values["what"] in kinds
        assert found.verdict == (
            Verdict.CORRUPT if values["what"] == What.GAP else Verdict.DIFFERENT
        )
        rows = np.concatenate([rows.copy() for rows in changed.packets()])
        assert values["offset"] == int(rows[packet, Column.offset])
        assert f"instruction {instruction:,}: " in found.text()
    # and seen from the other side
    assert diff(changed, stream.trace).values()["instruction"] == instruction


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seeded_difference_fails_a_case(kind: str, stream: Stream, elf: Path) -> None:
    """`regress`: the reference is the one that was changed."""
    changed, packet, instruction, kinds = SEEDED[kind](stream)
    if instruction is None:
        instruction = first_unequal(stream.trace, changed)
    path = elf.with_name("changed.etrace")
    reference.write(changed, path)
    case = Case(
        name="seeded",
        elf=(str(elf),),
        params=seeded.PARAMS,
        context_csr="mscratch",
        time="instret",
        time_every=4096,
        max_instructions=seeded.INSTRUCTIONS,
        reference=str(path),
    )
    result = run_case(case).result
    assert result.status == Status.FAILED and result.diff is not None
    assert result.diff["instruction"] == instruction and result.diff["what"] in kinds
    assert result.diff["a"]["packet"] == packet
    assert result.reason.startswith(f"instruction {instruction:,}: ")


def test_parameters_that_differ(stream: Stream, elf: Path, kept: str) -> None:
    """The same run resynchronised more often: the flows are the same, packets are not."""
    other = seeded.record(elf, resync={"unit": "packets", "period": 49})
    for found in (diff(stream.trace, other), reference.compare(other, kept)):
        assert found.verdict == Verdict.DIFFERENT and not found.divergences
        assert found.parameters == {"resync.period": (50, 49)}
        assert found.instructions == seeded.INSTRUCTIONS
        assert found.packets is not None
        mine = [list(rows[Column.table :].tolist()) for rows in stream.rows[:200]]
        theirs = [list(r[Column.table :].tolist()) for r in Stream.of(other).rows[:200]]
        first = next(n for n, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
        assert found.packets.packet == first
    ignoring = diff(stream.trace, other, ignore=["packets", "parameters"])
    assert ignoring.same


def test_the_same_is_the_same(stream: Stream, elf: Path, kept: str) -> None:
    again = seeded.record(elf)
    for found in (diff(stream.trace, again), reference.compare(again, kept)):
        assert found.verdict == Verdict.SAME and not found.remarks
        assert found.instructions == seeded.INSTRUCTIONS
        assert found.traps == len(stream.trace.decode().traps)
        assert found.mixes[1] is not None and sum(found.mixes[1].values()) == len(stream.pieces)


def test_bytes_that_mean_nothing(golden: Path, tmp_path: Path) -> None:
    """Another flow indicator in a packet's header, and idle bytes behind the last packet."""
    trace = etrace.record(golden / "rv64-traps" / "rv64-traps.elf")
    reference.write(trace, tmp_path / "kept.etrace")
    data = b"".join(trace.chunks())
    at = int(np.concatenate(list(trace.packets()))[20, Column.offset])
    flow = bytes([*data[:at], data[at] ^ 0x20, *data[at + 1 :]])
    for changed, place in ((flow, at), (data + b"\0\0", len(data))):
        other = in_memory("changed", changed, trace.header, trace.code)
        for found in (
            diff(trace, other),
            diff(trace, other, packets_only=True),
            reference.compare(other, str(tmp_path / "kept.etrace")),
        ):
            assert found.verdict == Verdict.SAME and found.packets is None
            (remark,) = found.remarks
            assert f"first at offset {place:,}:" in remark and remark in found.text()
        assert not diff(trace, other, ignore=("packets",)).remarks
    assert not diff(trace, trace, packets_only=True).remarks


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_one_run_in_another_configuration(name: str, golden: Path) -> None:
    """Flows are cut differently, and are the same; so are their hashes."""
    program = golden / "rv64-traps" / "rv64-traps.elf"
    one = etrace.record(program)
    other = etrace.record(program, params=from_dict(CONFIGURATIONS[name], 64))
    found = diff(one, other, ignore=["packets", "parameters", "loop"])
    assert found.same, found.text()
    assert found.instructions == len(one.pcs())
    exact = from_dict({"encoder": {"loops": "exact"}}, 64)
    if not len(other.decode().loops):
        one = etrace.record(program, params=exact)
    assert reference.flow_hash(one) == reference.flow_hash(other)


def test_all_differences_are_listed(stream: Stream) -> None:
    """Two branches flipped, far apart: the flows meet again behind each."""
    k = stream.find(Format.TRAP)
    pieces = list(stream.pieces)
    cause = stream.changed(k, ecause=5)
    pieces[k] = Stream.of(cause).pieces[k]
    twice = stream.with_pieces(pieces)
    flip, *_ = _flip(stream)
    at = stream.find(Format.BRANCH_MAP, 5)
    pieces[at] = Stream.of(flip).pieces[at]
    changed = stream.with_pieces(pieces)
    found = diff(stream.trace, changed, align=True, ignore=["time", "context"])
    assert [each.what for each in found.divergences[-1:]] == [What.TRAP]
    first = found.divergences[0]
    assert first.what == What.INSTRUCTION and first.lengths is not None
    # what is behind the meeting is the same on both sides
    mine, theirs = stream.trace.pcs(), changed.pcs()
    a, b = (first.instruction + each for each in first.lengths)
    assert np.array_equal(mine[a : a + 16], theirs[b : b + 16])
    assert first.instruction == first_unequal(stream.trace, changed)
    assert len(diff(stream.trace, changed, align=True, limit=1).divergences) == 1
    for each in found.divergences:  # numbers and addresses belong together
        for line in (*each.before, *each.a.lines):
            number, address = line.split()[:2]
            assert int(address, 16) == mine[int(number)]
        for line in each.b.lines:
            number, address = line.split()[:2]
            assert int(address, 16) == theirs[int(number)]
    only = diff(stream.trace, twice, align=True)
    assert [each.lengths for each in only.divergences] == [(0, 0)]


def test_a_program_that_changed(tmp_path: Path) -> None:
    """An instruction more in a loop: the flows meet again in each round."""
    nop, addi, back = 0x00000013, 0x00128293, 0xFE029EE3
    one, other = tmp_path / "one.elf", tmp_path / "other.elf"
    one.write_bytes(elf_bytes([nop, nop, addi, back]))
    other.write_bytes(elf_bytes([nop, addi, addi, back]))
    a, b = (etrace.record(each, max_instructions=100) for each in (one, other))
    found = diff(a, b)
    assert not found.divergences and "the programs differ" in found.text()
    # a c.nop where there was none: other sizes, other addresses
    third = tmp_path / "third.elf"
    third.write_bytes(elf_bytes([0x00010001, nop, addi, back]))
    c = etrace.record(third, max_instructions=100)
    assert not same_sizes(a.code.map, c.code.map)
    found = diff(a, c, align=True)
    assert found.divergences[0].what == What.INSTRUCTION
    assert found.divergences[0].instruction == first_unequal(a, c)
    assert found.divergences[0].lengths == (0, 1)


def test_loops_of_unknown_length(tmp_path: Path, golden: Path) -> None:
    """A trace that tells each round, and one that does not: no difference."""
    for program in ("rv64-kernels", "rv32-flow"):
        xlen = int(program[2:4])
        path = golden / program / f"{program}.elf"
        exact = etrace.record(path, params=from_dict({"encoder": {"loops": "exact"}}, xlen))
        spec = etrace.record(path, params=from_dict({"encoder": {"loops": "spec"}}, xlen))
        for one, other in ((exact, spec), (spec, exact)):
            found = diff(one, other, ignore=["packets", "parameters"])
            assert found.same, found.text()


def test_maps_of_one_program_and_of_two() -> None:
    nops = bytes.fromhex("13000000") * 4
    short = bytes.fromhex("0100") * 8
    map_of = [CodeMap([(0x1000, each)], 64) for each in (nops, short, nops[:8])]
    assert same_sizes(map_of[0], map_of[0]) and same_sizes(map_of[0], map_of[2])
    assert not same_sizes(map_of[0], map_of[1])
    assert same_sizes(map_of[0], CodeMap([(0x2000, short)], 64))


# the command line


def test_the_command(run: Run, golden: Path, tmp_path: Path) -> None:
    program = golden / "rv64-traps" / "rv64-traps.elf"
    a, b = tmp_path / "a.etrace", tmp_path / "b.etrace"
    run("record", program, "-o", a)
    run("record", program, "-o", b, "--max-instructions", "100")
    same = run("diff", a, a)
    assert "the flows are the same" in same.stdout
    found = run("diff", a, b, code=1)
    assert "instruction 100: end: " in found.stdout
    told = json.loads(run("diff", a, b, "--json", code=1).stdout)
    assert told["instruction"] == 100 and told["what"] == "end"
    assert not told["a"]["ended"] and told["b"]["ended"]
    assert told["a"]["lines"] and told["before"]
    run("diff", a, b, "--ignore", "end,packets", code=0)
    assert "did you mean time?" in run("diff", a, b, "--ignore", "tme", code=2).stderr
    assert "both sides" in run("diff", "-", "-", code=2).stderr
    run("diff", a, tmp_path / "none", code=2)
    assert "the packets are the same" in run("diff", "--packets", a, a).stdout


def test_a_hash_is_a_side(run: Run, golden: Path, tmp_path: Path) -> None:
    program = golden / "rv64-traps" / "rv64-traps.elf"
    a, b, flow = tmp_path / "a.etrace", tmp_path / "b.etrace", tmp_path / "a.flow"
    run("record", program, "-o", a, "--mode", "all")
    run("record", program, "-o", b, "--max-instructions", "100")
    reference.write(etrace.open(a), flow)
    run("diff", flow, a)
    assert "by their hashes" in run("diff", flow, b, code=1).stdout
    assert "can only be A" in run("diff", a, flow, code=2).stderr
    run("diff", flow, a, "--ignore", "time,context,packets,parameters")
    for names, refused in (("tval", "tval"), ("time,privilege,end", "end, privilege")):
        told = run("diff", flow, a, "--ignore", names, code=2).stderr
        assert f"ignore: {refused}: is in the hash" in told
    for option in ("--align", "--packets"):
        assert f"{option}: the hash" in run("diff", flow, a, option, code=2).stderr


def test_standard_input_and_bare_streams(run: Run, golden: Path, tmp_path: Path) -> None:
    program = golden / "rv64-flow" / "rv64-flow.elf"
    params = golden / "basic.toml"
    a, bare = tmp_path / "a.etrace", tmp_path / "bare.bin"
    run("record", program, "-o", a, "--params", params, "--framing", "reference")
    run(
        "record", program, "-o", bare, "--params", params, "--framing", "reference", "--raw",
    )  # fmt: skip
    options = ("--params", params, "--elf", program, "--platform", "spike")
    run("diff", bare, bare, *options)
    run("diff", a, "-", *options, "--ignore", "parameters", input=bare.read_bytes())
    assert "--params" in run("diff", a, bare, code=3).stderr


def test_packets_without_a_program(run: Run, golden: Path, tmp_path: Path) -> None:
    program = tmp_path / "p.elf"
    program.write_bytes((golden / "rv64-flow" / "rv64-flow.elf").read_bytes())
    a, b = tmp_path / "a.etrace", tmp_path / "b.etrace"
    run("record", program, "-o", a)
    run("record", program, "-o", b, "--mode", "implicit_return")
    program.unlink()
    run("diff", a, b, code=2)
    found = run("diff", a, b, "--packets", code=1)
    assert "ioptions" in found.stdout and "parameter modes.implicit_return" in found.stdout


def test_against_a_pc_trace(run: Run, golden: Path, tmp_path: Path) -> None:
    a = tmp_path / "a.etrace"
    log = golden / "rv64-traps" / "rv64-traps.pc_trace.csv.gz"
    run("record", golden / "rv64-traps" / "rv64-traps.elf", "-o", a)
    run("diff", log, a)
    run("diff", a, log)
    run("diff", log, log)
    rows = tmp_path / "rows.csv"
    run("decode", a, "--format", "csv", "-o", rows)
    lines = rows.read_text().splitlines(keepends=True)
    at = len(lines) // 2
    retired = next(n for n in range(at, len(lines)) if ",0,0,0,0" in lines[n])
    changed = tmp_path / "changed.csv"
    changed.write_text("".join(lines[:retired] + lines[retired + 1 :]))
    told = json.loads(run("diff", a, changed, "--json", code=1).stdout)
    before = sum(line.split(",")[4] == "0" and line[0] == "1" for line in lines[:retired])
    assert told["instruction"] == before and told["what"] in ("instruction", "trap")
    assert told["a"]["packet"] is not None and told["b"]["packet"] is None


def test_names_that_can_be_ignored() -> None:
    for name in IGNORABLE:
        assert name == name.lower()
    with pytest.raises(InputError, match="did you mean privilege"):
        diff(None, None, ignore=["privlege"])  # type: ignore[arg-type]


# references


def test_a_reference_is_a_trace(run: Run, kept: str, stream: Stream) -> None:
    told = json.loads(run("info", kept, "--json").stdout)
    assert told["instructions"] == seeded.INSTRUCTIONS
    assert Path(kept).stat().st_size < sum(map(len, stream.pieces)) * 0.9
    trace = etrace.open(kept)
    assert trace.header.reference is not None
    assert trace.header.reference.made_by == f"etrace {etrace.__version__}"
    run("verify", kept)


@pytest.mark.parametrize("name", ["cause", "tval", "epc"])
def test_what_is_ignored_of_a_reference(name: str, stream: Stream, kept: str) -> None:
    """Not by the hash in it, either; and not silently by a hash alone."""
    changed = SEEDED[name](stream)[0]
    assert reference.compare(changed, kept).verdict == Verdict.DIFFERENT
    found = reference.compare(changed, kept, [name, "packets"])
    if name != "epc":  # which is an address that was executed
        assert found.verdict == Verdict.SAME
    assert "than when it was made" not in found.text()
    with pytest.raises(InputError, match=f"^ignore: {name}: is in the hash"):
        reference.compare(changed, reference.flow_hash(stream.trace), [name, "time"])


def test_hashes_alone(stream: Stream, elf: Path) -> None:
    path = elf.with_name("seeded.flow")
    reference.write(stream.trace, path)
    assert path.stat().st_size < 20_000
    whole = reference.flow_hash(stream.trace)
    for each in (str(path), whole):
        assert reference.compare(stream.trace, each).same
    changed, _, instruction, _ = _flip(stream)
    instruction = first_unequal(stream.trace, changed)
    assert instruction is not None
    found = reference.compare(changed, str(path))
    begin = found.instructions
    # to within a five-hundredth of the run
    assert begin <= instruction < begin + seeded.INSTRUCTIONS // 200
    assert f"among instructions {begin:,}" in found.text()
    found = reference.compare(changed, whole)
    assert not found.same and whole in found.text()


def test_references_are_the_same_bytes(
    stream: Stream, kept: str, tmp_path: Path, elf: Path
) -> None:
    again = elf.with_name("again.etrace")
    reference.write(stream.trace, again)
    assert again.read_bytes() == Path(kept).read_bytes()
    assert not list(elf.parent.glob(".*.new"))


def test_a_reference_whose_program_is_gone(golden: Path, tmp_path: Path) -> None:
    """Hashes tell that it is the same flow, or where about they part."""
    program = tmp_path / "p.elf"
    program.write_bytes((golden / "rv64-traps" / "rv64-traps.elf").read_bytes())
    trace = etrace.record(program)
    path = tmp_path / "refs" / "p.etrace"
    reference.write(trace, path)
    assert etrace.open(path).verify().same
    other = tmp_path / "other.elf"
    other.write_bytes(program.read_bytes() + b"\0")  # the same code, another file
    program.unlink()
    same = reference.compare(etrace.record(other), str(path))
    assert same.same and "the programs differ" in same.text()
    short = etrace.record(other, max_instructions=200)
    found = reference.compare(short, str(path))
    assert found.verdict == Verdict.DIFFERENT and "by their hashes" in found.text()
    assert found.packets is not None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"kind": "etrace flow hash"}',
        '{"kind": "etrace flow hash", "version": 2}',
        '{"a":' * 100_000,
        '{"kind": "etrace flow hash", "version": 1, "made_by": "x", "programs": [], "images": [], '
        '"configuration": {}, "xlen": 64, "flow": {"hash": "zz"}}',
    ],
)
def test_damaged_hashes(text: str, tmp_path: Path, golden: Path) -> None:
    path = tmp_path / "x.flow"
    path.write_text(text)
    trace = etrace.record(golden / "rv64-flow" / "rv64-flow.elf")
    with pytest.raises((TraceError, InputError)) as caught:
        reference.compare(trace, str(path))
    assert str(path) in str(caught.value)
