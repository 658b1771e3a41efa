"""SIGINT, SIGTERM and SIGHUP end what runs, and the trace up to there is whole; sizes too.

Signals are raised where something is known to happen, not after a time.
"""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import etrace
from etrace.cli.progress import ProgressLine
from etrace.recording import recorder
from etrace.signals import Interruption, Terminated, Terminations
from etrace.sources import csvin
from etrace.views import flow as flowtext
from specs.interfaces.ingress import Chunk
from tests.etrace.conftest import Run
from tests.etrace.test_processes import PATIENCE, errors, start, wait_for_bytes

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


pytestmark = pytest.mark.usefixtures("as_in_a_terminal")


class Raises:
    """In the place of a progress line: a signal, at its `at`-th call."""

    def __init__(self, number: int, at: int = 2) -> None:
        self.number, self.left = number, at

    def __call__(self, *_: object, **__: object) -> "Raises":
        self.left -= 1
        if not self.left:
            signal.raise_signal(self.number)
        return self

    def clear(self) -> None:
        """As of a progress line."""


def replace_progress(monkeypatch: Any, verb: str, raises: Raises) -> None:
    monkeypatch.setattr(f"etrace.cli.{verb}.ProgressLine", lambda *_: raises)


@pytest.mark.parametrize("number", CODES)
def test_a_recording_ends_with_a_whole_trace(
    run: Run, counting_elf: Path, tmp_path: Path, monkeypatch: Any, number: signal.Signals
) -> None:
    trace = tmp_path / "t.etrace"
    replace_progress(monkeypatch, "record", Raises(number))
    result = run("record", counting_elf, "-o", trace, code=CODES[number])
    assert f"interrupted by {number.name}; the trace is complete up to there" in result.stderr
    assert "\n  where         0x8000000" in result.stderr
    replace_progress(monkeypatch, "record", Raises(number))
    summary = json.loads(
        run("record", counting_elf, "-o", trace, "--json", code=CODES[number]).stdout
    )
    assert (summary["end"], summary["signal"]) == ("interrupted", number.name)
    assert summary["interrupted"]
    assert json.loads(run("info", trace, "--json").stdout)["ended"]
    assert len(etrace.open(trace).pcs()) == summary["instructions"]
    assert "the program goes on" in run("verify", trace).stdout


@pytest.fixture
def csv(golden: Path) -> Path:
    return golden / "rv64-flow" / "rv64-flow.ingress.csv.gz"


def halves(chunks: Iterator[Chunk]) -> tuple[Chunk, Chunk]:
    """The one chunk of a short stream as two."""
    (chunk,) = chunks
    middle = len(chunk.refs) // 2
    return replace(chunk, refs=chunk.refs[:middle]), replace(chunk, refs=chunk.refs[middle:])


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("number", CODES)
def test_an_encoding_ends_with_a_whole_trace(
    run: Run, csv: Path, tmp_path: Path, monkeypatch: Any, number: signal.Signals, waiting: bool
) -> None:
    """While a chunk is encoded, and while it waits for the next."""
    trace = tmp_path / "t.etrace"
    chunks = csvin.chunks

    def endless(*arguments: Any, **options: Any) -> Iterator[Any]:
        first, second = halves(chunks(*arguments, **options))
        yield first
        if waiting:
            signal.raise_signal(number)
        else:
            yield second
        raise AssertionError("went on")

    monkeypatch.setattr(csvin, "chunks", endless)
    replace_progress(monkeypatch, "encode", Raises(number, 0 if waiting else 1))
    elf = csv.with_name("rv64-flow.elf")
    options = ["--elf", elf, "--platform", "spike", "--json"]
    summary = json.loads(run("encode", csv, "-o", trace, *options, code=CODES[number]).stdout)
    assert (summary["end"], summary["signal"]) == ("interrupted", number.name)
    assert json.loads(run("info", trace, "--json").stdout)["ended"]


@pytest.mark.parametrize("number", CODES)
def test_a_listing_ends(
    run: Run, traps_trace: Path, tmp_path: Path, monkeypatch: Any, number: signal.Signals
) -> None:
    """What was decoded is in the file."""
    whole = flowtext.write_flows

    def some(*arguments: Any, **options: Any) -> Iterator[bytes]:
        for text in whole(*arguments, **options):
            yield text
            if text:
                signal.raise_signal(number)

    monkeypatch.setattr(flowtext, "write_flows", some)
    listing = tmp_path / "listing"
    run("decode", traps_trace, "-o", listing, code=CODES[number])
    assert listing.read_text().count("\n") >= 1


@pytest.mark.parametrize("number", CODES)
def test_a_run_says_where_it_was(
    run: Run, firmware: Path, tmp_path: Path, number: signal.Signals
) -> None:
    plugin = tmp_path / "raises.py"
    plugin.write_text(
        "import signal\n"
        "class Raises:\n"
        "    def __init__(self, args): pass\n"
        "    def attach(self, machine):\n"
        f"        machine.on_discontinuity(lambda event: signal.raise_signal({int(number)}))\n"
        "    def report(self): return 'reported'\n"
    )
    options = [firmware / "cause_in_handler-rv64.elf", "--plugin", plugin]
    result = run("run", *options, code=CODES[number])
    assert f"interrupted by {number.name} (instruction " in result.stderr
    assert "\n  where         0x8000001c <trap_handler> (cause.S:" in result.stderr
    assert "reported" in result.stderr
    told = json.loads(run("run", *options, "--json", code=CODES[number]).stdout)
    assert (told["end"], told["signal"]) == ("interrupted", number.name)
    assert told["account"]["where"]["symbol"] == "trap_handler"


@pytest.mark.parametrize("number", CODES)
def test_what_is_ignored_stays_ignored(
    run: Run, counting_elf: Path, tmp_path: Path, monkeypatch: Any, number: signal.Signals
) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    replace_progress(monkeypatch, "record", Raises(number))
    options = ["-o", tmp_path / "t", "--max-instructions", 20_000_000, "--json"]
    summary = json.loads(run("record", counting_elf, *options).stdout)
    assert (summary["end"], summary["signal"]) == ("budget", None)
    assert signal.signal(number, before) is signal.SIG_IGN


def test_a_second_signal_is_an_exception() -> None:
    for number, kind in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)):
        with pytest.raises(kind), Interruption() as interruption:
            signal.raise_signal(number)
            assert interruption.requested is number
            signal.raise_signal(number)


def test_who_handles_a_signal_keeps_it() -> None:
    """An application's own handler for SIGTERM is left alone."""
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with Terminations(), Interruption() as interruption:
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert seen == [signal.SIGTERM] and interruption.requested is None


@pytest.mark.parametrize("verb", ["record", "encode"])
def test_in_python(
    counting_elf: Path, csv: Path, tmp_path: Path, monkeypatch: Any, verb: str
) -> None:
    """The trace is whole, and then the signal does what it does."""
    trace = tmp_path / "t.etrace"
    feed = recorder._Encoding.feed
    raises = Raises(signal.SIGINT, 1)

    def interrupted(self: Any, chunk: Any) -> None:
        feed(self, chunk)
        raises()

    monkeypatch.setattr(recorder._Encoding, "feed", interrupted)
    act: Callable[[], object] = {
        "record": lambda: etrace.record(counting_elf, trace, progress=raises),
        "encode": lambda: etrace.encode(csv, trace),
    }[verb]
    with pytest.raises(KeyboardInterrupt):
        act()
    assert trace.stat().st_size > 1000


def test_a_terminal_that_has_gone_ends_no_trace_in_the_middle(
    run: Run, counting_elf: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """With it comes SIGHUP; the progress line can no longer be written."""

    class Gone:
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None:
            """As of a stream."""

    monkeypatch.setattr("etrace.cli.progress._INTERVAL", 0.0)
    monkeypatch.setattr("sys.stderr", Gone())
    progress = ProgressLine("instructions")
    hang_up = Raises(signal.SIGHUP)

    def both(done: int, size: int) -> None:
        progress(done, size)
        hang_up()

    trace = tmp_path / "t.etrace"
    feed = recorder._Encoding.feed
    fed: list[int] = []

    def counted(self: Any, chunk: Any) -> None:
        feed(self, chunk)
        fed.append(len(chunk.refs))

    monkeypatch.setattr(recorder._Encoding, "feed", counted)
    # Outside of the command a SIGHUP would end this very process once the trace is whole.
    with Terminations(), pytest.raises(Terminated):
        etrace.record(counting_elf, trace, progress=both)
    progress.clear()
    monkeypatch.undo()
    assert len(fed) == 2
    assert "the program goes on" in run("verify", trace).stdout


def test_sigterm_of_a_process(
    etrace_command: Any, counting_elf: Path, tmp_path: Path, run: Run
) -> None:
    trace = tmp_path / "t.etrace"
    process = start(etrace_command, "record", counting_elf, "-o", trace)
    wait_for_bytes(trace, 100_000, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, stderr
    assert "interrupted by SIGTERM" in stderr.decode()
    assert "the program goes on" in run("verify", trace).stdout


def test_under_nohup_a_hangup_ends_nothing(
    etrace_command: Any, counting_elf: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "t.etrace"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process = start(etrace_command, "record", counting_elf, "-o", trace)
    signal.signal(signal.SIGHUP, before)
    wait_for_bytes(trace, 100_000, process)
    process.send_signal(signal.SIGHUP)
    wait_for_bytes(trace, trace.stat().st_size + 100_000, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, stderr


def test_a_termination_in_a_callback_of_the_compiler_is_not_lost(etrace_command: Any) -> None:
    """As of Ctrl-C, `test_streams.py`."""
    command, environment = etrace_command
    program = (
        "import ctypes, click, signal\n"
        "from etrace import cli\n"
        "@ctypes.CFUNCTYPE(None)\n"
        "def callback():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "@click.command('demo')\n"
        "@click.option('--fail', is_flag=True)\n"
        "def command(fail):\n"
        "    callback()\n"
        "    if fail: raise RuntimeError('no compiled object yet')\n"
        "    signal.pause()\n"
        "cli._Verbs.get_command = lambda *_: command\n"
        "cli.main()\n"
    )
    for arguments in ([], ["--fail"]):
        done = subprocess.run(
            [command[0], "-c", program, "demo", *arguments],
            env=environment,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stderr) == (143, b""), arguments


# -- sizes -------------------------------------------------------------------------------------


def test_a_trace_has_a_size(run: Run, counting_elf: Path, tmp_path: Path) -> None:
    """It ends at the same place each time, properly, with the reason."""
    trace = tmp_path / "t.etrace"
    result = run("record", counting_elf, "-o", trace, "--max-size", "100K")
    assert "end: max_size" in result.stderr
    assert (
        "the trace has the size of --max-size; the trace is complete up to there" in result.stderr
    )
    size = trace.stat().st_size
    assert 100 << 10 <= size < 300 << 10
    summary = json.loads(
        run("record", counting_elf, "-o", trace, "--max-size", 100 << 10, "--json").stdout
    )
    assert trace.stat().st_size == size
    assert (summary["end"], summary["interrupted"]) == ("max_size", False)
    assert len(etrace.open(trace).pcs()) == summary["instructions"]
    assert "the program goes on" in run("verify", trace).stdout
    assert etrace.record(counting_elf, max_size=100 << 10).verify().same


def test_an_encoding_has_a_size(run: Run, csv: Path, tmp_path: Path, monkeypatch: Any) -> None:
    chunks = csvin.chunks

    def again(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from halves(chunks(*arguments, **options))

    monkeypatch.setattr(csvin, "chunks", again)
    options = ["--elf", csv.with_name("rv64-flow.elf"), "--platform", "spike", "--json"]
    trace = tmp_path / "t"
    whole = json.loads(run("encode", csv, "-o", trace, *options).stdout)
    cut = json.loads(run("encode", csv, "-o", trace, *options, "--max-size", "1K").stdout)
    assert (whole["end"], cut["end"]) == (None, "max_size")
    assert cut["bytes"] < whole["bytes"]
    assert json.loads(run("info", trace, "--json").stdout)["ended"]


def test_a_trace_that_ends_by_itself_past_its_size(
    run: Run, counting_elf: Path, csv: Path, tmp_path: Path
) -> None:
    """All was over within the piece that passed the size: one line says so."""
    trace = tmp_path / "t.etrace"
    options = ["-o", trace, "--max-instructions", 50_000]
    done = run("record", counting_elf, *options, "--max-size", 100)
    size = json.loads(run("record", counting_elf, *options, "--json").stdout)["bytes"]
    words = f"the trace has {size:,} bytes, more than the 100 of --max-size"
    assert sum(words in line for line in done.stderr.splitlines()) == 1
    told = run("record", counting_elf, *options, "--max-size", size).stderr
    assert "--max-size" not in told
    told = run("encode", csv, "-o", trace, "--raw", "--max-size", 100).stderr
    assert told.count("more than the 100 of --max-size") == 1


@pytest.mark.parametrize("text", ["0", "-1", "M", "1.5G", ""])
def test_a_size_that_is_none(run: Run, counting_elf: Path, text: str) -> None:
    told = run("record", counting_elf, "-o", "-", "--max-size", text, code=2).stderr
    assert "500M" in told


def test_a_large_trace_is_told_once(
    run: Run, counting_elf: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(recorder, "WARN_SIZE", 1 << 15)
    options = ["-o", tmp_path / "t", "--max-instructions", 2_000_000]
    told = errors(run("record", counting_elf, *options).stderr.encode())
    assert sum("--max-size SIZE would end it" in line for line in told) == 1
    told = errors(run("record", counting_elf, *options, "--max-size", "1G").stderr.encode())
    assert not any("would end it" in line for line in told)


def test_added_packets_are_warned_about(run: Run, golden: Path, tmp_path: Path) -> None:
    elf = golden / "rv32-flow" / "rv32-flow.elf"
    options = [elf, "-o", tmp_path / "t"]
    assert "beyond the letter" not in run("record", *options).stderr
    assert "beyond the letter" in run("record", *options, "--mode", "implicit_return").stderr
