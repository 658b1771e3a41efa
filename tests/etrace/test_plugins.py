"""Plugins: those that ship, a user's, and those that go wrong."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import etrace
from emu.machine import Machine
from emu.platforms import elf
from etrace.analyses.events import DecodedTrace
from etrace.cli import main
from etrace.plugins import handler_time, ten_lines
from etrace.plugins.distribution import Distribution
from etrace.plugins.plugin import load
from specs.interfaces.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN, Event, Kind
from tests.etrace.conftest import Run, elf_bytes
from tests.events import copied, ingress_events, program_memory

MRET = 0x30200073
SLLI, EBREAK, SRAI, AUIPC_A1 = 0x01F01013, 0x00100073, 0x40705013, 0x00000597
HOST_CALL_WORDS = [SLLI, EBREAK, SRAI]


def addi(rd: int, rs1: int, imm: int) -> int:
    return imm << 20 | rs1 << 15 | rd << 7 | 0x13


def host_call_program() -> bytes:
    """Says `hi` (SYS_WRITE0), exits with code 7 (SYS_EXIT_EXTENDED)."""
    code = [AUIPC_A1, addi(11, 11, 64), addi(10, 0, 0x04), *HOST_CALL_WORDS]
    code += [AUIPC_A1, addi(11, 11, 72 - 24), addi(10, 0, 0x20), *HOST_CALL_WORDS]
    code += [0x6F] * 4
    data = [int.from_bytes(b"hi\n\0", "little"), 0, 0x20026, 0, 7, 0]
    return elf_bytes(code + data)


@pytest.fixture
def host_calls(tmp_path: Path) -> Path:
    path = tmp_path / "host_calls.elf"
    path.write_bytes(host_call_program())
    return path


def plugin(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(body)
    return path


def fails(*args: object) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    return result


# Those that ship.


def lengths_by_hand(path: Path) -> dict[tuple[int, int], list[int]]:
    """Instructions in each handler, by (interrupt, cause), counted one by one."""
    _, memory = program_memory(path)
    mret = {
        base + at
        for base, data in memory
        for at in range(0, len(data), 2)
        if data[at : at + 4] == MRET.to_bytes(4, "little")
    }
    found: dict[tuple[int, int], list[int]] = {}
    stack: list[list[int]] = []
    for event in ingress_events(copied(Machine([elf.load(str(path))]).run()), memory):
        if event[0] == "trap":
            stack.append([int(event[4]), int(event[2]), 0])
            continue
        for handler in stack:
            handler[2] += 1
        if event[1] in mret:
            interrupt, cause, length = stack.pop()
            found.setdefault((interrupt, cause), []).append(length)
    return found


@pytest.mark.parametrize("program", ["nested-rv32", "fault_first-rv64", "idle_wfi-rv32"])
def test_handler_time_is_what_counting_gives(program: str, run: Run, firmware: Path) -> None:
    path = firmware / f"{program}.elf"
    found = json.loads(run("events", path, "--as", "handler_time", "--json").stdout)["0"]
    expected = lengths_by_hand(path)
    assert expected
    for (interrupt, cause), lengths in expected.items():
        values = found["interrupt" if interrupt else "exception"][str(cause)]
        lengths.sort()
        assert values["count"] == len(lengths)
        assert values["total"] == sum(lengths)
        assert (values["min"], values["max"]) == (lengths[0], lengths[-1])
        assert values["median"] == lengths[(len(lengths) - 1) // 2]
        assert sum(row[2] for row in values["histogram"]) == len(lengths)
        assert (values["worst_latency"] is not None) == bool(interrupt)
    assert sum(len(kind) for kind in found.values()) == len(expected)


def event(kind: Kind, instret: int, cause: int = 0, since: int | None = None) -> Event:
    pending = instret if since is None else since
    return Event(kind, 0, 0, 0, cause, 0, 3, 3, instret, 0, pending)


def test_handler_time_of_nested_handlers() -> None:
    times = handler_time.Demonstrator("json")
    for each in (
        event(TRAP_RETURN, 5),  # out of no handler
        event(INTERRUPT, 10, 7, since=4),
        event(HOST_CALL, 11, 1),
        event(EXCEPTION, 12, 2),
        event(TRAP_RETURN, 20),
        event(TRAP_RETURN, 30),
        event(INTERRUPT, 40, 7, since=38),
        event(EXCEPTION, 40, 2),
    ):
        times.seen(each)
    values = times.values()["0"]
    timer, illegal = values["interrupt"]["7"], values["exception"]["2"]
    assert (timer["count"], timer["total"], timer["own"]) == (1, 20, 12)
    assert (timer["depth"], timer["worst_latency"], timer["unfinished"]) == (1, 6, 1)
    assert (illegal["total"], illegal["own"], illegal["depth"]) == (8, 8, 2)
    assert illegal["unfinished"] == 1 and illegal["worst_latency"] is None


def test_handlers_that_are_never_left_need_no_memory() -> None:
    times = handler_time.Demonstrator()
    for at in range(10_000):
        times.seen(event(EXCEPTION, at, 2))
    assert times.values()["0"]["exception"]["2"]["unfinished"] == 10_000
    assert len(times._stacks[0]) < 10_000


@given(st.lists(st.integers(0, 1 << 40), min_size=1))
def test_distribution(values: list[int]) -> None:
    found = Distribution()
    for value in values:
        found.add(value)
    values.sort()
    assert (found.count, found.total) == (len(values), sum(values))
    assert (found.min, found.max) == (values[0], values[-1])
    median = values[(len(values) - 1) // 2]
    assert abs(found.median - median) <= median / 2000
    for low, high, count in found.histogram():
        assert count == sum(low <= value <= high for value in values)


@given(st.lists(st.integers(0, 4095), min_size=1))
def test_distribution_of_small_numbers_is_exact(values: list[int]) -> None:
    found = Distribution()
    for value in values:
        found.add(value)
    assert found.median == sorted(values)[(len(values) - 1) // 2]


@pytest.mark.parametrize("program", ["nested-rv64", "storm-rv32", "idle_wfi-rv64"])
def test_live_and_decoded_print_the_same(
    program: str, run: Run, firmware: Path, tmp_path: Path
) -> None:
    path, trace = firmware / f"{program}.elf", tmp_path / "t.etrace"
    run("record", path, "-o", trace, "--no-console")
    for options in (["--as", "traps"], ["--as", "traps", "--json", "--kinds", "interrupt"]):
        live = run("events", path, *options, "--no-console").stdout
        assert run("events", trace, *options).stdout == live != ""
    silent = ("time", "pending_since", "priv_before", "priv_after", "to_pc")
    live_rows, rows = (
        [json.loads(line) for line in run("events", each, "--json").stdout.splitlines()]
        for each in (path, trace)
    )
    for live_row, row in zip(live_rows, rows, strict=True):
        assert row == {
            name: None if name in silent and row[name] is None else value
            for name, value in live_row.items()
        }
    counts = Counter(row["kind"] for row in rows)
    info = json.loads(run("info", trace, "--json").stdout)
    assert info["events"] == {name: counts[name] for name in info["events"]}
    assert sum(info["traps"].values()) == counts["interrupt"] + counts["exception"]


def test_record_counts_events(run: Run, firmware: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    path = firmware / "nested-rv32.elf"
    summary = json.loads(run("record", path, "-o", trace, "--json").stdout)
    info = json.loads(run("info", trace, "--json").stdout)
    assert summary["events"] == {**info["events"], "host_call": 0}
    assert "events        interrupt " in run("info", trace).stdout


def test_events_text(run: Run, golden: Path, tmp_path: Path) -> None:
    path = golden / "rv64-traps" / "rv64-traps.elf"
    lines = run("events", path).stdout.splitlines()
    assert len(lines) == 156
    assert lines[0].endswith(
        "19 hart 0 exception 11 (environment call from M-mode): "
        "0x80000054 -> 0x800000f4 M, tval 0x0"
    )
    output = tmp_path / "events.txt"
    assert run("events", path, "-o", output, "--kinds", "trap_return").stdout == ""
    assert output.read_text().splitlines() == [line for line in lines if "trap_return" in line]


def test_a_trace_is_not_run(run: Run, traps_trace: Path) -> None:
    stderr = run("events", traps_trace, "--max-instructions", 5, code=2).stderr
    assert "is a trace; --max-instructions does not apply" in stderr


def test_events_of_a_damaged_trace(run: Run, firmware: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.etrace"
    run("record", firmware / "nested-rv64.elf", "-o", trace, "--no-console")
    whole = trace.read_bytes()
    middle = len(whole) - 300
    trace.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF] * 20) + whole[middle + 20 :])
    assert "packet" in run("events", trace, "--as", "traps", code=3).stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--kinds", "irq"], "'irq' is none of"),
        (["--as", "trap"], "neither a Python file nor one of traps"),
        (["--as", "traps:all"], "'all' is none of"),
        (["--as", "missing.py"], "missing.py: No such file"),
        (["--cmdline", "x"], "--semihosting DIR"),
        (["--elf", "x.elf"], "is a program; --elf does not apply"),
    ],
)
def test_wrong_arguments(arguments: list[str], what: str, run: Run, firmware: Path) -> None:
    assert what in run("events", firmware / "storm-rv64.elf", *arguments, code=2).stderr


# A user's.

SEEN = """
class Seen:
    def __init__(self, args):
        self.args, self.events, self.rows = args, 0, 0

    def attach(self, machine):
        self.machine = machine
        machine.on_discontinuity(self.seen)
        machine.on_retire(self.retired)

    def seen(self, event):
        self.events += 1
        if event.kind & 3:  # mcause says the same
            assert self.machine.csr("mcause") & 63 == event.cause

    def retired(self, chunk):
        self.rows += len(chunk.refs)

    def report(self):
        return f"{self.args}: {self.events} events, {self.rows} rows"
"""


def test_a_plugin_sees_the_run(run: Run, golden: Path, tmp_path: Path) -> None:
    path = golden / "rv64-traps" / "rv64-traps.elf"
    mine = plugin(tmp_path, SEEN)
    rows = sum(len(chunk.refs) for chunk in Machine([elf.load(str(path))]).run())
    expected = f"a:b.py:c: 156 events, {rows} rows\n"
    assert run("run", path, "--plugin", f"{mine}:a:b.py:c").stderr == expected
    record = run("record", path, "-o", tmp_path / "t", "--plugin", f"{mine}:a:b.py:c")
    assert record.stderr.endswith(expected)
    assert not list(tmp_path.glob("**/*.pyc"))


def test_the_example(run: Run, golden: Path) -> None:
    example = Path(ten_lines.__file__)
    report = run("run", golden / "rv64-traps" / "rv64-traps.elf", "--plugin", example).stderr
    assert sum(int(line.split()[0]) for line in report.splitlines()) == 78


def test_a_trace_is_the_same_with_plugins(run: Run, firmware: Path) -> None:
    path = firmware / "nested-rv64.elf"
    plain = etrace.record(path)
    times = handler_time.Demonstrator()
    watched = etrace.record(path, plugins=[times])
    assert list(watched.chunks()) == list(plain.chunks())
    decoded = handler_time.Demonstrator()
    source = DecodedTrace(plain.flows(), plain.code.map)
    decoded.attach(source)
    source.run()
    live, told = times.values()["0"], decoded.values()["0"]
    for values in live["interrupt"].values():
        assert values.pop("worst_latency") > 0
    for values in told["interrupt"].values():
        assert values.pop("worst_latency") is None
    assert told == live


# Those that go wrong.

RAISES = """
class Raises:
    def __init__(self, args):
        self.left = int(args)

    def attach(self, machine):
        machine.on_discontinuity(self.seen)

    def seen(self, event):
        self.left -= 1
        if not self.left:
            self.instret = event.instret
            print("raised at", event.instret)
            raise RuntimeError("enough\\nof this")

    def report(self):
        return "never"
"""


@pytest.mark.parametrize("at", [1, 2, 3, 77, 156])
def test_a_plugin_that_raises_leaves_a_whole_trace(
    at: int, run: Run, golden: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "t.etrace"
    path = golden / "rv64-traps" / "rv64-traps.elf"
    mine = plugin(tmp_path, RAISES)
    result = fails("record", path, "-o", trace, "--plugin", f"{mine}:{at}", "--plugin", "traps")
    details, line = result.stderr.rstrip("\n").rsplit("\n", 1)
    assert line == f"etrace: {mine}: the plugin raised RuntimeError: enough of this"
    assert details.startswith("Traceback")
    assert 'in seen\n    raise RuntimeError("enough' in details
    assert "recorder.py" not in details
    retired = int(result.stdout.split()[-1])
    assert len(run("decode", trace, "--format", "pc").stdout.splitlines()) == retired
    assert run("events", trace).stdout.count("\n") == at
    run("verify", trace)


@pytest.mark.parametrize("verb", ["run", "events"])
def test_a_plugin_that_raises_ends_other_verbs(verb: str, golden: Path, tmp_path: Path) -> None:
    mine = plugin(tmp_path, RAISES)
    result = fails(verb, golden / "rv64-traps" / "rv64-traps.elf", "--plugin", f"{mine}:3")
    assert "the plugin raised RuntimeError" in result.stderr
    assert "never" not in result.output


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("", "one public class"),
        ("class A:\n  attach = 1\nclass B:\n  attach = 1\n", "found: A, B"),
        ("from etrace.plugins.plugin import Plugin\n", "found: none"),
        ("def f(:\n", "not a Python file: SyntaxError"),
        ("\0", "not a Python file"),
        ("1 / 0\n", "raised ZeroDivisionError"),
        ("class A:\n  def attach(self, machine): pass\n", "raised TypeError"),
        ("class A:\n def __init__(self, a): {}[a]\n def attach(self, m): pass\n", "KeyError"),
        (
            "class A:\n def __init__(self, a): pass\n def attach(self, m): m.nothing()\n",
            "has no attribute 'nothing'",
        ),
        (
            "class A:\n def __init__(self, a): pass\n def attach(self, m): pass\n"
            " def report(self): raise OSError('x')\n",
            "raised OSError: x",
        ),
        (
            "class A:\n def __init__(self, a): pass\n def report(self): pass\n"
            " def attach(self, m): m.on_discontinuity(self.seen)\n def seen(self): pass\n",
            "takes 1 positional argument",
        ),
    ],
)
def test_broken_plugins(body: str, what: str, golden: Path, tmp_path: Path) -> None:
    mine = plugin(tmp_path, body)
    result = fails("events", golden / "rv32-traps" / "rv32-traps.elf", "--plugin", mine)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("etrace: ") and what in last


def test_a_plugin_that_needs_a_machine(tmp_path: Path, traps_trace: Path) -> None:
    result = fails("events", traps_trace, "--plugin", plugin(tmp_path, SEEN))
    assert "needs a running program" in result.stderr


def test_no_plugin_is_blamed_for_what_is_ours(golden: Path) -> None:
    class Bad:
        def attach(self, machine: Any) -> None:
            machine.on_discontinuity(self.seen)

        def seen(self, event: Event) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        etrace.record(golden / "rv64-traps" / "rv64-traps.elf", plugins=[Bad()])


def test_plain_base_class(tmp_path: Path) -> None:
    body = "from etrace.plugins.plugin import Plugin\nclass Mine(Plugin):\n    pass\n"
    loaded = load(f"{plugin(tmp_path, body)}:x")
    assert loaded.plugin.args == "x"
    assert loaded.report() == ""


# `run`, and host calls.


def test_run_gives_the_exit_code_of_the_program(
    run: Run, host_calls: Path, counting_elf: Path, firmware: Path, tmp_path: Path
) -> None:
    assert run("run", firmware / "nested-rv64.elf", "--no-console").output == ""
    assert run("run", host_calls, "--semihosting", tmp_path, code=7).stdout == "hi\n"
    stderr = run("run", counting_elf, "--max-instructions", 1000, code=4).stderr
    assert "budget was used up (instruction 1,000, pc 0x8000000" in stderr
    assert "without end" in run("run", firmware / "trap_loop-rv32.elf", code=4).stderr


def test_without_semihosting_an_ebreak_is_an_exception(run: Run, host_calls: Path) -> None:
    events = run("events", host_calls, "--max-instructions", 100, code=4).stdout
    assert "exception 3 (breakpoint)" in events
    assert "host_call" not in events


def test_host_calls_are_events_and_their_trace_is_exact(
    run: Run, host_calls: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "t.etrace"
    files = ["--semihosting", tmp_path]
    summary = json.loads(run("record", host_calls, "-o", trace, "--json", *files, code=4).stdout)
    assert summary["guest_exit"] == 7 and summary["events"]["host_call"] == 2
    lines = run("events", host_calls, *files, "--no-console", code=4).stdout.splitlines()
    assert [line.split(":")[0].split()[-2:] for line in lines] == [["host_call", "4"],
                                                                  ["host_call", "32"]]  # fmt: skip
    assert "0x80000010 -> 0x80000014 M" in lines[0]
    assert run("events", trace).stdout == ""
    info = json.loads(run("info", trace, "--json").stdout)
    assert info["semihosting"] == "host_calls.elf"
    assert "--semihosting DIR" in run("verify", trace, code=2).stderr
    run("verify", trace, *files)


def test_a_plugin_error_as_a_process(
    etrace_command: tuple[list[str], dict[str, str]], golden: Path, tmp_path: Path
) -> None:
    command, environment = etrace_command
    path = golden / "rv64-traps" / "rv64-traps.elf"
    mine = plugin(tmp_path, RAISES)
    done = subprocess.run(
        [*command, "run", str(path), "--plugin", f"{mine}:2"],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count(b"Traceback") == 1
