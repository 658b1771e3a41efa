"""What is written where: no input is destroyed, and standard streams may be closed or full."""

import subprocess
from pathlib import Path

import pytest

import etrace
from etrace.errors import InputError
from specs.packets import Column
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
    plugin.write_text("from etrace.plugin import Plugin\nclass Mine(Plugin): pass\n")
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
