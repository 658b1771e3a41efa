"""What is written where: no input is destroyed, and standard streams may be closed or full."""

import fcntl
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import etrace
from etrace.errors import InputError
from specs.trace.packets import Column
from tests.etrace.conftest import Run

Command = tuple[list[str], dict[str, str]]
NESTED = Path(__file__).parents[1] / "firmware" / "nested-rv64.elf"


def shell(etrace_command: Command, line: str) -> subprocess.CompletedProcess[bytes]:
    """`line` in bash, `etrace` in it being ours; the exit code is that of the last but one pipe."""
    command, environment = etrace_command
    function = 'etrace() { "$PYTHON" -c "$PROGRAM" "$@"; }\n'
    return subprocess.run(
        ["bash", "-c", function + line],
        env={**environment, "PYTHON": command[0], "PROGRAM": command[2]},
        capture_output=True,
        timeout=240,
    )


@pytest.fixture
def recording(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    """A program and its trace, both in a directory of the test."""
    elf, trace = tmp_path / "nested.elf", tmp_path / "nested.etrace"
    elf.write_bytes(NESTED.read_bytes())
    run("record", elf, "-o", trace, "--max-instructions", 500)
    return elf, trace


@pytest.mark.parametrize("verb", ["decode", "dump", "events"])
def test_the_program_that_a_trace_names_is_not_overwritten(
    verb: str, run: Run, recording: tuple[Path, Path]
) -> None:
    elf, trace = recording
    for output in (elf, trace):
        before = output.read_bytes()
        result = run(verb, trace, "-o", output, code=2)
        assert result.stderr == f"etrace: {output}: is an input as well; choose another output\n"
        assert output.read_bytes() == before


def test_neither_parameters_nor_images_nor_plugins_are_overwritten(
    run: Run, recording: tuple[Path, Path], tmp_path: Path
) -> None:
    elf, trace = recording
    params, image, plugin = tmp_path / "p.toml", tmp_path / "rom.bin", tmp_path / "plugin.py"
    run("params", "new", "-o", params)
    image.write_bytes(bytes(16))
    plugin.write_text("from etrace.plugins.plugin import Plugin\nclass Mine(Plugin): pass\n")
    csv = tmp_path / "rows.csv"
    csv.write_text("itype,cause,tval,priv,iaddr,iretire,ilastsize\n0,0,0,3,80000000,2,1\n")
    for arguments, output in (
        (["record", elf, "--params", params], params),
        (["record", elf, "--image", f"0x1000:{image}"], image),
        (["record", elf, "--plugin", f"{plugin}:x"], plugin),
        (["encode", csv, "--params", params], params),
        (["decode", trace, "--image", f"0x1000:{image}"], image),
        (["events", elf, "--plugin", plugin], plugin),
    ):
        before = output.read_bytes()
        assert "is an input as well" in run(*arguments, "-o", output, code=2).stderr, arguments
        assert output.read_bytes() == before
    with pytest.raises(InputError, match="is an input as well"):
        etrace.record(elf, params, params=params)


def test_closed_standard_streams(
    etrace_command: Command, recording: tuple[Path, Path], tmp_path: Path
) -> None:
    _, trace = recording
    for line, code, message in (
        (f"etrace info {trace} >&-", 2, "Bad file descriptor"),
        (f"etrace decode {trace} --to 3 >&-", 2, "Bad file descriptor"),
        ("etrace dump - <&-", 2, "Bad file descriptor"),
        (f"etrace decode {trace} --to 3 -o {tmp_path / 'listing'} 0<&- 1>&- 2>&-", 0, ""),
        ("etrace decode nowhere 2>&-", 2, ""),
    ):
        done = shell(etrace_command, line)
        assert done.returncode == code, (line, done)
        errors = [each for each in done.stderr.decode().splitlines() if "compiling" not in each]
        assert len(errors) == bool(message), (line, errors)
        assert all(message in each for each in errors)
        assert done.stdout == b""
    assert len((tmp_path / "listing").read_text().splitlines()) == 3


def test_full_disks_and_readers_that_have_gone(
    etrace_command: Command, recording: tuple[Path, Path]
) -> None:
    _, trace = recording
    trace.write_bytes(trace.read_bytes()[:-1])
    for line, code, lines in (
        ("etrace --help > /dev/full", 2, 1),
        ("etrace --version > /dev/full", 2, 1),
        (f"etrace info {trace} > /dev/full", 2, 1),
        ("etrace --help | true; exit ${PIPESTATUS[0]}", 0, 0),
        ("etrace demo | true; exit ${PIPESTATUS[0]}", 0, 0),
        (f"etrace decode {trace} --format pc > /dev/null 2> /dev/full", 3, 0),
    ):
        done = shell(etrace_command, line)
        assert done.returncode == code, (line, done)
        errors = [each for each in done.stderr.decode().splitlines() if "compiling" not in each]
        assert len(errors) == lines, (line, errors)


def test_one_standard_input_is_not_two(run: Run) -> None:
    assert "cannot be both" in run("verify", "-", "--against", "-", code=2).stderr


def test_info_says_that_a_trace_was_cut_short(run: Run, recording: tuple[Path, Path]) -> None:
    _, trace = recording
    assert '"ended": true' in run("info", trace, "--json").stdout
    last = list(etrace.open(trace).packets())[-1][-1]
    whole = trace.read_bytes()
    stream = whole[16 + int.from_bytes(whole[12:16], "little") :]
    offset = int(last[Column.offset])
    assert 0 < offset < len(stream)
    trace.write_bytes(whole[: len(whole) - len(stream) + offset])
    result = run("info", trace, "--json", code=3)
    assert '"gaps": 0' in result.stdout
    assert '"ended": false' in result.stdout
    assert "the recording was cut short" in result.stderr
    assert "the recording was cut short" in run("decode", trace, code=3).stderr


def test_mistakes_are_named(run: Run, recording: tuple[Path, Path]) -> None:
    elf, trace = recording
    assert "is a program, not a trace" in run("decode", elf, code=3).stderr
    assert (
        "--to 2 is before --from 5" in run("decode", trace, "--from", 5, "--to", 2, code=2).stderr
    )
    for option, value, message in (
        ("--start-at", "mian", "start mian: no symbol mian (did you mean main?)"),
        ("--filter-range", "main-mian", "range mian: no symbol mian (did you mean main?)"),
        ("--filter-symbol", "mian", "function mian: no symbol mian (did you mean main?)"),
        ("--tvec", "mtvec=trap_entr", "--tvec mtvec: trap_entr: no symbol trap_entr"),
    ):
        result = run("record", elf, "-o", trace, option, value, code=2)
        assert result.stderr.startswith(f"etrace: {message}"), result.stderr


@pytest.mark.usefixtures("as_in_a_terminal")
def test_ctrl_c_in_a_callback_of_the_compiler_is_not_lost(etrace_command: Command) -> None:
    """Python ignores exceptions in such callbacks, and what is not compiled then fails."""
    command, environment = etrace_command
    program = (
        "import ctypes, sys\n"
        "import click\n"
        "from etrace import cli\n"
        "@ctypes.CFUNCTYPE(None)\n"
        "def callback():\n"
        "    import signal\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "@click.command('demo')\n"
        "@click.option('--fail', is_flag=True)\n"
        "def command(fail):\n"
        "    import time\n"
        "    callback()\n"
        "    if fail: raise RuntimeError('no compiled object yet')\n"
        "    time.sleep(20)\n"
        "cli._Verbs.get_command = lambda *_: command\n"
        "cli.main()\n"
    )
    for arguments in ([], ["--fail"]):
        done = subprocess.run(
            [command[0], "-c", program, "demo", *arguments],
            env=environment,
            capture_output=True,
            timeout=15,
        )
        assert (done.returncode, done.stderr) == (130, b""), arguments


def test_a_trace_cut_between_packets_is_cut_short(run: Run, recording: tuple[Path, Path]) -> None:
    """As one that was cut within a packet: exit code 3, whatever verb looks at it."""
    _, trace = recording
    whole = trace.read_bytes()
    stream = 16 + int.from_bytes(whole[12:16], "little")
    packets = np.concatenate([rows.copy() for rows in etrace.open(trace).packets()])
    for packet in (packets[-1], packets[-2], packets[len(packets) // 2]):
        trace.write_bytes(whole[: stream + int(packet[Column.offset])])
        for verb in ("info", "decode", "verify", "events", "dump"):
            result = run(verb, trace, code=3)
            assert "the recording was cut short" in result.stdout + result.stderr, verb
        verdict = etrace.open(trace).verify()
        assert verdict.cut_short and not verdict.same
        assert '"cut_short": true' in run("verify", trace, "--json", code=3).stdout
    trace.write_bytes(whole)
    for verb in ("info", "decode", "verify", "events", "dump"):
        run(verb, trace)


def test_two_recordings_to_one_output(
    etrace_command: Command, counting_elf: Path, recording: tuple[Path, Path], run: Run
) -> None:
    command, environment = etrace_command
    elf, trace = recording
    with subprocess.Popen(
        [*command, "record", str(counting_elf), "-o", str(trace)],
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as first:
        deadline = time.monotonic() + 240
        while trace.stat().st_size < 200_000:
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        refused = f"etrace: {trace}: another etrace is writing to it; wait for its end"
        for arguments in (["record", elf], ["decode", trace], ["demo"]):
            if arguments == ["decode", trace]:
                continue  # it is its input
            result = run(*arguments, "-o", trace, code=2)
            assert result.stderr.splitlines()[-1].startswith(refused), arguments
        first.terminate()
    before = trace.read_bytes()
    assert before.startswith(b"\x89ETRACE\n") and len(before) >= 200_000
    run("decode", trace, "--to", 1000)
    run("record", elf, "-o", trace)  # whoever had it has gone
    run("verify", trace)


def test_devices_are_not_locked(run: Run, recording: tuple[Path, Path]) -> None:
    elf, _ = recording
    with open(os.devnull, "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        run("record", elf, "-o", os.devnull)


def test_a_full_disk_is_named(run: Run, recording: tuple[Path, Path]) -> None:
    elf, trace = recording
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    for arguments in (["record", elf], ["decode", trace], ["dump", trace], ["events", trace]):
        result = run(*arguments, "-o", "/dev/full", code=2)
        assert result.stderr.splitlines()[-1] == "etrace: /dev/full: No space left on device"
    with pytest.raises(InputError, match="/dev/full: No space left"):
        etrace.record(elf, "/dev/full")


def test_a_defect_of_ours_is_told_in_one_line(
    etrace_command: Command, recording: tuple[Path, Path]
) -> None:
    command, environment = etrace_command
    _, trace = recording
    program = (
        "import etrace.analyses.inventory\n"
        "def take_inventory(trace): raise RuntimeError('a\\nb')\n"
        "etrace.analyses.inventory.take_inventory = take_inventory\n"
        "from etrace.cli import main\n"
        "main()\n"
    )
    arguments = [command[0], "-c", program, "info", str(trace)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode == 70
    assert done.stderr.startswith("etrace: RuntimeError: a b; that is a defect of etrace ")
    assert done.stderr.count("\n") == 1
    environment = {**environment, "ETRACE_DEBUG": "1"}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode == 70
    assert "Traceback" in done.stderr and "in take_inventory" in done.stderr


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize(
    "module",
    [
        "etrace.cli",
        "click",
        "etrace.cli.info",
        "numpy",
        "numba",
        "llvmlite",
        "etrace.analyses.inventory",
    ],
)
def test_ctrl_c_while_it_starts(
    etrace_command: Command, recording: tuple[Path, Path], module: str
) -> None:
    """At whatever import of ours or of the libraries it comes: no traceback."""
    command, environment = etrace_command
    _, trace = recording
    program = (
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.argv = ['/usr/bin/etrace', 'info', {str(trace)!r}]\n"
        "from etrace.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([command[0], "-c", program], env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
