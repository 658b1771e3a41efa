"""Logs of other simulators: their lines, and whole runs written in each format."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import etrace
from etrace.errors import InputError
from etrace.sources.logs import FORMATS, is_log, open_log
from etrace.trace.stretch import UNKNOWN_PRIV, Stretch
from etrace.trace.trace import Trace
from specs.isa.causes import cause_name
from specs.isa.disassemble import disassemble
from specs.trace.packets import Column
from tests.etrace.conftest import Run

LIMITS = """\
core   0: 0x0000000080000054 (0x00000073) ecall
core   0: exception trap_machine_ecall, epc 0x0000000080000054
core   0: >>>>  handler
core   0: 0x00000000800000f4 (0x34102e73) csrr    t3, mepc
core   1: 0x00000000800000f4 (0x34102e73) csrr    t3, mepc
core   0: 0x0000000080000062 (0x0000000b) unknown
core   0: exception trap_illegal_instruction, epc 0x0000000080000062
core   0:           tval 0x000000000000000b
core   0: 0x00000000800000f8 (0x00009002) c.ebreak
core   0: exception interrupt #7, epc 0x00000000800000fa
core   0: exception trap_instruction_access_fault, epc 0x0000000000000010
core   0:           tval 0x0000000000000010
core   0: 0x00000000800000fc (0x00000013) nop
"""
BOTH = """\
core   0: 0x80000052 (0x00004401) c.li    s0, 0
core   0: 3 0x80000052 (0x4401) x8  0x00000000
core   0: 0x80000054 (0x00000073) ecall
core   0: exception trap_user_ecall, epc 0x80000054
core   0: >>>>  handler
core   0: 0x800000f4 (0x34102e73) csrr    t3, mepc
core   0: 3 0x800000f4 (0x34102e73) x28 0x80000054 c768_mstatus 0x00001800
"""
COMMITS = """\
core   0: 3 0xffffffff80000052 (0x4401) x8  0x0000000000000000
core   0: 0 0xffffffff80000054 (0x0182b283) x5  0x0000000080000000 mem 0x0000000000001018
core   1: 3 0xffffffff80000054 (0x00028067)
core   0: 1 0xffffffff80000058 (0x00a2b023) mem 0x0000000080001000 0x00000001
"""
EXECLOG = """\
0, 0x1000, 0x297, "auipc           t0,0                    # 0x1000"
0, 0x1004, 0x28613, "addi            a2,t0,40"
1, 0x1004, 0x28613, "addi            a2,t0,40"
0, 0x8000000c, 0x1a503, "lh              a0,0(gp)", load, 0x80002000, RAM
"""


def read(tmp_path: Path, text: str, xlen: int = 64, hart: int = 0) -> list[Stretch]:
    path = tmp_path / "log"
    path.write_text(text)
    return list(open_log(str(path), xlen, hart).stretches)


def pcs(stretches: list[Stretch]) -> list[int]:
    return np.concatenate([each.pcs for each in stretches]).tolist()


def traps(stretches: list[Stretch]) -> list[tuple[int, ...]]:
    names = ("position", "epc", "cause", "interrupt", "tval")
    return [tuple(int(row[n]) for n in names) for each in stretches for row in each.traps]


def test_spike_l(tmp_path: Path) -> None:
    found = read(tmp_path, LIMITS)
    assert pcs(found) == [0x800000F4, 0x800000F8, 0x800000FC]
    assert traps(found) == [
        (0, 0x80000054, 11, 0, 0),
        (1, 0x80000062, 2, 0, 11),
        (2, 0x800000FA, 7, 1, 0),
        (2, 0x10, 1, 0, 0x10),
    ]
    words = np.concatenate([each.words for each in found if each.words is not None])
    assert words.tolist() == [0x34102E73, 0x9002, 0x13]
    assert {int(priv) for each in found for priv in each.privs} == {UNKNOWN_PRIV}
    assert pcs(read(tmp_path, LIMITS, hart=1)) == [0x800000F4]


REPEATED = """\
core   0: 0x00000000800000f4 (0x00000013) nop
core   0: 0x00000000800000f8 (0x0000a001) c.j     pc + 0
core   0: exception interrupt #7, epc 0x00000000800000f8
core   0: >>>>  alarm
core   0: Executed 4955 times
core   0: 0x0000000080000140 (0x34191073) csrw    mepc, s2
core   0: Executed 3 times
"""


@pytest.mark.parametrize("piece", [1 << 20, 60, 90, 150, 200])
def test_spike_tells_how_often(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -l an instruction that leads to itself stands there once, and how often it was."""
    monkeypatch.setattr("etrace.sources.logs.text._PIECE", piece)
    found = read(tmp_path, REPEATED)
    assert pcs(found) == [0x800000F4, *[0x800000F8] * 4955, *[0x80000140] * 3]
    assert traps(found) == [(4956, 0x800000F8, 7, 1, 0)]
    # the lines for what has retired tell each of them
    retired = "core   0: 3 0x00000000800000f8 (0xa001)\n" * 3
    assert pcs(read(tmp_path, retired + REPEATED)) == [0x800000F8] * 3


TRAPPING = """\
core   0: 0x00000000800000f4 (0x00000013) nop
core   0: 0x0000000080000100 (0x0000000b) unknown
core   0: exception trap_illegal_instruction, epc 0x0000000080000100
core   0:           tval 0x000000000000000b
core   0: exception trap_illegal_instruction, epc 0x0000000080000100
core   0:           tval 0x000000000000000b
core   0: exception interrupt #7, epc 0x0000000080000100
core   0: >>>>  tick
core   0: Executed 2 times
core   0: 0x0000000080000140 (0x00000013) nop
"""


@pytest.mark.parametrize("piece", [1 << 20, 60, 150, 400])
def test_what_trapped_each_time(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How often an instruction was executed counts what trapped, too: that did not retire."""
    monkeypatch.setattr("etrace.sources.logs.text._PIECE", piece)
    found = read(tmp_path, TRAPPING)
    assert pcs(found) == [0x800000F4, 0x80000140]
    assert [trap[:2] for trap in traps(found)] == [(1, 0x80000100)] * 3


def test_a_count_that_cannot_be_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(REPEATED.replace("4955", "999999999"))
    stretches = open_log(str(path)).stretches
    for _ in range(5):
        assert len(next(stretches).pcs) <= 1 << 16


def test_a_header_with_many_columns_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    names = ",".join(f"X{n}" for n in range(5000))
    header = f"{names},VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT\n"
    path.write_text(header + "\n" * 1_000_000)
    assert sum(len(each.pcs) for each in open_log(str(path)).stretches) == 0


def test_spike_l_and_commits(tmp_path: Path) -> None:
    found = read(tmp_path, BOTH, xlen=32)
    assert pcs(found) == [0x80000052, 0x800000F4]
    assert traps(found) == [(1, 0x80000054, 8, 0, 0)]
    assert [int(priv) for each in found for priv in each.privs] == [3, 3]
    log = tmp_path / "log"
    assert open_log(str(log)).traps_told


def test_spike_commits(tmp_path: Path) -> None:
    found = read(tmp_path, COMMITS, xlen=32)
    assert pcs(found) == [0x80000052, 0x80000054, 0x80000058]
    assert [int(priv) for each in found for priv in each.privs] == [3, 0, 1]
    assert not open_log(str(tmp_path / "log")).traps_told
    assert pcs(read(tmp_path, COMMITS))[0] == 0xFFFF_FFFF_8000_0052


def test_execlog(tmp_path: Path) -> None:
    found = read(tmp_path, EXECLOG)
    assert pcs(found) == [0x1000, 0x1004, 0x8000000C]
    log = open_log(str(tmp_path / "log"))
    assert log.words_told and not log.traps_told


@pytest.mark.parametrize("piece", [1, 7, 40, 100, 1000])
def test_pieces_of_any_size(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, or a trap and what is told of it, may lie in two of them."""
    whole = {text: read(tmp_path, text) for text in (LIMITS, BOTH, COMMITS, EXECLOG)}
    monkeypatch.setattr("etrace.sources.logs.text._PIECE", piece)
    for text, expected in whole.items():
        # the format is known by the first block: let that be several lines
        found = read(tmp_path, text)
        if text is BOTH and piece < 100:
            continue
        assert pcs(found) == pcs(expected) and traps(found) == traps(expected)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (LIMITS + "core   0: nonsense\n", 14, "not as Spike writes it"),
        (LIMITS + "core   0: exception trap_nonsense, epc 0x10\n", 14, "no exception"),
        (LIMITS + "core   0: exception trap_breakpoint\n", 14, "not as Spike"),
        (LIMITS + "core   0: 0x00000000800000fc (0x000\n", 14, "not as Spike"),
        (LIMITS + "core   0: 0x1123456789abcdef0 (0x13) nop\n", 14, "not as Spike"),
        (LIMITS + "hello\n", 14, "not as Spike"),
        (LIMITS + "core   0: 259 0x80000000 (0x13) x\n", 14, "not as Spike"),
        (LIMITS + "core   0: 0x80000000 (0x1122334455) x\n", 14, "not as Spike"),
        (LIMITS + "core   0: 0x80000000 (0x00000013)x\n", 14, "not as Spike"),
        (LIMITS + "core   0: exception trap_breakpoint, epc 0x80000000zz\n", 14, "not as Spike"),
        (EXECLOG + '0, 0x10, 0x1122334455, "x"\n', 5, "not as execlog"),
        (LIMITS + "core   0:\n", 14, "not as Spike"),
        (LIMITS + "\0\0\n", 14, "not as Spike"),
        (EXECLOG + "0, 0x10\n", 5, "not as execlog"),
        (EXECLOG + "0, 0x10, 0x13, nop\n", 5, "not as execlog"),
        ("80000000\n80000004\nx\n", 1, "begins no log"),
        ("hello\n", 1, "begins no log"),
        ("\n", 1, "begins no log"),
    ],
)
def test_lines_that_cannot_be(text: str, line: int, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path, text)
    assert f"log: line {line}: " in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_list_of_addresses(tmp_path: Path) -> None:
    text = "".join(f"{0x80000000 + 4 * n:x}\n" for n in range(30_000))
    assert pcs(read(tmp_path, text))[:2] == [0x80000000, 0x80000004]
    with pytest.raises(InputError, match="line 30001: 'x' is not a hexadecimal address"):
        read(tmp_path, text + "x\n")


def test_a_list_with_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text in ("80000000\n80000004\n", "80000000\n\n80000004\n\n", "80000000\r\n\r\n80000004"):
        path.write_text(text)
        assert is_log(str(path))
        assert pcs(list(open_log(str(path)).stretches)) == [0x80000000, 0x80000004]
    many = "80000000\n" * 10_000
    assert pcs(read(tmp_path, f"{many}\n{many}")) == [0x80000000] * 20_000
    with pytest.raises(InputError, match="line 10002: 'x' is not"):
        read(tmp_path, f"{many}\nx\n")


def test_a_format_is_known_by_as_much_of_the_log_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little comes at a time, and where lines of another kind come late."""
    path = tmp_path / "log"
    for at in (5_000, 60_000, 70_000):
        path.write_text("80000000\n" * (at // 9) + "x\n" + "80000000\n" * 10_000)
        known = is_log(str(path))
        assert known == (at > 1 << 16)
        for piece in (1 << 20, 100):
            monkeypatch.setattr("etrace.sources.logs.text._PIECE", piece)
            with pytest.raises(InputError, match="not a hexadecimal" if known else "begins no log"):
                list(open_log(str(path)).stretches)
    path.write_text(EXECLOG)
    monkeypatch.setattr("etrace.sources.logs.text._PIECE", 30)
    late = "core   0: 0x80000052 (0x00004401) c.li    s0, 0\n" * 500 + BOTH
    assert pcs(read(tmp_path, late)) == [0x80000052, 0x800000F4]  # those that have retired


def test_empty_lines_take_no_time(tmp_path: Path) -> None:
    read(tmp_path, LIMITS)  # compiled
    began = time.process_time()
    read(tmp_path, LIMITS + "\n" * 60_000)
    assert time.process_time() - began < 2


def test_a_count_of_many_digits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(REPEATED.replace("4955", "123456789012345678"))
    stretches = open_log(str(path)).stretches
    assert sum(len(next(stretches).pcs) for _ in range(4)) > 1 << 17
    with pytest.raises(InputError, match=r"line 5: .* not as Spike writes it"):
        read(tmp_path, REPEATED.replace("4955", "1234567890123456789"))


@pytest.mark.parametrize(
    "last", ["core   0:", "core   0: ", "core   0:\t", "core   0: 3", "core 0"]
)
def test_nothing_is_read_behind_the_last_line(last: str, tmp_path: Path) -> None:
    """Kernels that are interpreted see where an array ends."""
    (tmp_path / "log").write_text(f"{LIMITS}{last}\n")
    program = (
        "import tests.mutants.interpreted\n"
        "from etrace.errors import InputError\n"
        "from etrace.sources.logs import open_log\n"
        "try:\n"
        "    list(open_log('log').stretches)\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert "log: line 14: " in found.stdout, found.stderr


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for data in (b"", b"\0" * 100_000, b"x" * 100_000, bytes(range(256)) * 100):
        path.write_bytes(data)
        with pytest.raises(InputError):
            list(open_log(str(path)).stretches)
        assert not is_log(str(path))
    path.write_text("80000000")
    assert is_log(str(path)) and pcs(list(open_log(str(path)).stretches)) == [0x80000000]
    path.write_bytes(LIMITS.encode() + b"core   0: " + b"x" * 100_000_000)
    with pytest.raises(InputError, match="too long"):
        list(open_log(str(path)).stretches)
    for text in (LIMITS, BOTH, COMMITS, EXECLOG):
        path.write_text(text.replace("\n", "\r\n"))
        assert is_log(str(path)) and len(pcs(list(open_log(str(path)).stretches)))
        path.write_bytes(gzip.compress(text.encode()))
        assert is_log(str(path)) and len(pcs(list(open_log(str(path)).stretches)))
        path.write_text(text[:-5])  # cut within the last line
        list(open_log(str(path)).stretches)
    assert list(FORMATS) == ["csv", "spike", "execlog", "pc"]


# whole runs

NAMES = {
    0: "instruction_address_misaligned", 1: "instruction_access_fault", 2: "illegal_instruction",
    3: "breakpoint", 4: "load_address_misaligned", 5: "load_access_fault",
    6: "store_address_misaligned", 7: "store_access_fault", 8: "user_ecall", 11: "machine_ecall",
}  # fmt: skip


class Told:
    """A run as rows: instructions (pc, word, text), and traps."""

    def __init__(self, trace: Trace) -> None:
        flow = trace.decode()
        self.digits = trace.header.xlen // 4
        code, width = trace.code.map, trace.header.xlen
        ends = np.concatenate([[0], np.cumsum(flow.runs["count"], dtype=np.int64)])
        at = {}
        for trap in flow.traps:
            at.setdefault(int(ends[int(trap["run"])]), []).append(trap)
        self.rows: list[tuple] = []
        for number, pc in enumerate([*trace.pcs(flow).tolist(), None]):
            for trap in at.get(number, ()):
                epc = int(trap["epc"])
                slot = code.slot(epc)
                word = int(code.word[slot]) if slot >= 0 and code.size[slot] else None
                self.rows.append(("trap", trap, epc, word))
            if pc is not None:
                word = int(code.word[code.slot(pc)])
                self.rows.append(("run", pc, word, " ".join(disassemble(word, pc, width).split())))

    def hex(self, value: int) -> str:
        return f"0x{value:0{self.digits}x}"


def as_spike(told: Told, shown: bool, retired: bool) -> Iterator[str]:
    for row in told.rows:
        if row[0] == "run":
            _, pc, word, text = row
            if shown:
                yield f"core   0: {told.hex(pc)} (0x{word:08x}) {text}"
            if retired:
                size = 8 if word & 3 == 3 else 4
                yield f"core   0: 3 {told.hex(pc)} (0x{word:0{size}x}) x5  {told.hex(word)}"
            continue
        _, trap, epc, word = row
        if not shown:
            continue
        cause = int(trap["cause"])
        if trap["interrupt"]:
            yield f"core   0: exception interrupt #{cause}, epc {told.hex(epc)}"
            continue
        if word is not None:
            yield f"core   0: {told.hex(epc)} (0x{word:08x}) x"
        yield f"core   0: exception trap_{NAMES[cause]}, epc {told.hex(epc)}"
        if trap["tval"]:
            yield f"core   0:           tval {told.hex(int(trap['tval']))}"


def as_execlog(told: Told) -> Iterator[str]:
    for row in told.rows:
        if row[0] == "run":
            yield f'0, {row[1]:#x}, {row[2]:#x}, "{row[3]}"'
        elif not row[1]["interrupt"] and row[3] is not None:
            yield f'0, {row[2]:#x}, {row[3]:#x}, "x", load, 0x10'


def as_pcs(told: Told) -> Iterator[str]:
    yield from (f"{row[1]:x}" for row in told.rows if row[0] == "run")


WRITERS: dict[str, Callable[[Told], Iterator[str]]] = {
    "-l": lambda told: as_spike(told, True, False),
    "--log-commits": lambda told: as_spike(told, False, True),
    "both": lambda told: as_spike(told, True, True),
    "execlog": as_execlog,
    "pc": as_pcs,
}
RUNS = ("golden/rv64-traps/rv64-traps", "golden/rv32-traps/rv32-traps", "firmware/storm-rv64")


@pytest.fixture(scope="module", params=RUNS)
def recorded(request: pytest.FixtureRequest) -> Trace:
    path = Path(__file__).resolve().parents[1] / f"{request.param}.elf"
    xlen = 32 if "rv32" in request.param else 64
    from specs.configuration.parameters import from_dict

    # each round of a loop, so that the log ends where the trace does
    return etrace.record(path, params=from_dict({"encoder": {"loops": "exact"}}, xlen))


@pytest.mark.parametrize("name", WRITERS)
def test_a_run_in_each_format(name: str, recorded: Trace, run: Run, tmp_path: Path) -> None:
    told = Told(recorded)
    assert any(cause_name(int(row[1]["cause"]), False) for row in told.rows if row[0] == "trap")
    trace, log = tmp_path / "run.etrace", tmp_path / "run.log"
    trace.write_bytes(recorded.header.pack() + b"".join(recorded.chunks()))
    lines = list(WRITERS[name](told))
    log.write_text("\n".join(lines) + "\n")
    run("verify", trace, "--against", log)
    assert "the flows are the same" in run("diff", log, trace).stdout
    run("diff", trace, log)
    # one instruction is missing; the one behind it is another
    retired = [n for n, row in enumerate(told.rows) if row[0] == "run"]
    wanted = next(
        at
        for at in range(len(retired) // 2, len(retired))
        if told.rows[retired[at] + 1][0] == "run"
        and told.rows[retired[at] - 1][0] == "run"
        and told.rows[retired[at]][1] != told.rows[retired[at] + 1][1]
    )
    changed = Told.__new__(Told)
    changed.digits = told.digits
    changed.rows = [row for n, row in enumerate(told.rows) if n != retired[wanted]]
    log.write_text("\n".join(WRITERS[name](changed)) + "\n")
    found = json.loads(run("diff", trace, log, "--json", code=1).stdout)
    assert (found["instruction"], found["what"]) == (wanted, "instruction")
    verified = json.loads(run("verify", trace, "--against", log, "--json", code=1).stdout)
    assert verified["difference"]["instruction"] == wanted


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    """A pipe with these bytes in it, as a shell's `<(...)` is one."""
    writers: list[threading.Thread] = []

    def pipe(data: bytes) -> Path:
        path = tmp_path / f"pipe{len(writers)}"
        os.mkfifo(path)
        writers.append(threading.Thread(target=path.write_bytes, args=(data,), daemon=True))
        writers[-1].start()
        return path

    yield pipe
    for each in writers:
        each.join(10)
        assert not each.is_alive()


@pytest.fixture
def sides(run: Run, golden: Path, tmp_path: Path) -> tuple[bytes, list[str]]:
    """A trace of more than one piece, and the addresses that it tells."""
    trace = tmp_path / "side.etrace"
    elf = golden.parent / "programs" / "lists-rv32.elf"
    run("record", elf, "-o", trace)
    shutil.copy(elf, tmp_path)
    return trace.read_bytes(), run("decode", trace, "--format", "pc").stdout.splitlines()


def test_what_can_be_read_once_is_a_side(
    run: Run,
    sides: tuple[bytes, list[str]],
    piped: Callable[[bytes], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trace and log of standard input, and of pipes."""
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "kept"))
    data, addresses = sides
    trace = tmp_path / "side.etrace"
    whole = "".join(f"{each}\n" for each in addresses).encode()
    part = "".join(f"{each}\n" for each in (*addresses[:1000], "80000000")).encode()
    (tmp_path / "part").write_bytes(part)
    expected = json.loads(run("diff", trace, tmp_path / "part", "--json", code=1).stdout)
    place = (1000, expected["packet"], expected["offset"])
    assert expected["instruction"] == 1000 and expected["a"]["packet"] == place[1] > 0

    run("verify", trace, "--against", "-", input=whole)
    run("verify", trace, "--against", piped(whole))
    run("verify", piped(data), "--against", "-", input=whole)
    for found in (
        run("verify", trace, "--against", tmp_path / "part", "--json", code=1),
        run("verify", trace, "--against", "-", "--json", code=1, input=part),
        run("verify", trace, "--against", piped(part), "--json", code=1),
        run("verify", "-", "--against", tmp_path / "part", "--json", code=1, input=data),
        run("verify", piped(data), "--against", "-", "--json", code=1, input=part),
    ):
        difference = json.loads(found.stdout)["difference"]
        assert tuple(difference[name] for name in ("instruction", "packet", "offset")) == place
    for a, b, given in (
        (trace, piped(part), b""),
        ("-", tmp_path / "part", data),
        ("-", piped(part), data),
        (piped(data), "-", part),
        (piped(data), piped(part), b""),
    ):
        told = json.loads(run("diff", a, b, "--json", code=1, input=given).stdout)
        assert (told["instruction"], told["packet"], told["offset"]) == place
        assert told["names"] == ["standard input" if each == "-" else str(each) for each in (a, b)]
    assert not list((tmp_path / "kept").iterdir())


def test_a_trace_that_breaks_off(run: Run, sides: tuple[bytes, list[str]], tmp_path: Path) -> None:
    """In a packet, or between two: exit code 3, wherever the log comes from."""
    data, addresses = sides
    trace = tmp_path / "side.etrace"
    whole = "".join(f"{each}\n" for each in addresses).encode()
    packets = np.concatenate(list(etrace.open(trace).packets()))
    begin = len(data) - len(b"".join(etrace.open(trace).chunks()))
    sizes = np.diff(packets[:, Column.offset].astype(np.int64))
    at = 12_000 + int(np.argmax(sizes[12_000:] > 1))  # a packet of several bytes
    for cut, what in ((0, "goes on (no end-of-trace packet"), (1, "the same up to a gap")):
        trace.write_bytes(data[: begin + int(packets[at, Column.offset]) + cut])
        found = run("verify", trace, "--against", "-", code=3, input=whole)
        assert what in found.stdout and ("inside a packet" in found.stderr) == bool(cut)
    run("verify", "-", "--against", "-", code=2, input=data)


def test_a_reader_or_writer_that_is_not_there(
    sides: tuple[bytes, list[str]],
    etrace_command: tuple[list[str], dict[str, str]],
    tmp_path: Path,
) -> None:
    """Closed pipes and streams: the outcome is told all the same, or why there is none."""
    command, environment = etrace_command
    trace, log = str(tmp_path / "side.etrace"), str(tmp_path / "log")
    Path(log).write_text("\n".join([*sides[1][:1000], "80000000", ""]))
    for verb in (["diff", trace, log], ["diff", trace, log, "--json"],
                 ["verify", trace, "--against", log]):  # fmt: skip
        process = subprocess.Popen(
            [*command, *verb], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        process.stderr.close()
        assert process.wait(120) == 1 and not told, told
    for verb in (["diff", trace, "-"], ["verify", trace, "--against", "-"]):
        shell = ["sh", "-c", 'exec "$@" <&-', "sh", *command, *verb]
        found = subprocess.run(shell, env=environment, capture_output=True, text=True)
        assert found.returncode == 2
        assert found.stderr == "etrace: standard input: Bad file descriptor\n"


def test_a_pipe_is_no_file_for_python(piped: Callable[[bytes], Path], tmp_path: Path) -> None:
    """A `Trace` is read again and again."""
    os.mkfifo(tmp_path / "pipe")
    for call in (etrace.open, lambda path: etrace.diff(path, path)):
        for path in (tmp_path / "pipe", "-"):
            with pytest.raises(InputError, match="can be read only once; write it to a file"):
                call(path)


def test_a_word_that_differs(recorded: Trace, run: Run, tmp_path: Path) -> None:
    """Formats with words tell another program."""
    trace, log = tmp_path / "run.etrace", tmp_path / "run.log"
    trace.write_bytes(recorded.header.pack() + b"".join(recorded.chunks()))
    told = Told(recorded)
    wanted = next(n for n, row in enumerate(told.rows) if n > 20 and row[0] == "run")
    number = sum(row[0] == "run" for row in told.rows[:wanted])
    _, pc, word, text = told.rows[wanted]
    told.rows[wanted] = ("run", pc, word ^ 0x100, text)
    log.write_text("\n".join(WRITERS["execlog"](told)) + "\n")
    found = json.loads(run("diff", trace, log, "--json", code=1).stdout)
    assert (found["instruction"], found["what"]) == (number, "word")
    run("diff", trace, log, "--ignore", "word")


@pytest.mark.skipif(
    shutil.which("spike") is None or shutil.which("dtc") is None, reason="no spike here"
)
@pytest.mark.parametrize("xlen", [32, 64])
def test_spike_itself(xlen: int, golden: Path, firmware: Path, run: Run, tmp_path: Path) -> None:
    """What it logs is what we record; one of a program that waits for interrupts, which come at
    another time here, what it logs otherwise."""
    options = {"l": ["-l"], "c": ["--log-commits"], "both": ["-l", "--log-commits"]}
    trace = tmp_path / "run.etrace"
    for elf in (golden / f"rv{xlen}-flow/rv{xlen}-flow.elf", firmware / f"idle_jump-rv{xlen}.elf"):
        for name, chosen in options.items():
            log = f"--log={tmp_path / name}"
            command = ["spike", f"--isa=rv{xlen}imac", *chosen, log, str(elf)]
            subprocess.run(command, check=True, timeout=60)
        run("diff", tmp_path / "l", tmp_path / "c")
        run("diff", tmp_path / "both", tmp_path / "l")
        if "flow" in elf.name:
            run("record", elf, "-o", trace)
            for name in options:
                run("diff", tmp_path / name, trace, "--ignore", "end")
