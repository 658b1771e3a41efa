"""The command as a process: pipes, Ctrl-C, sudden death, start-up."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.etrace.conftest import ROOT, Run

Command = tuple[list[str], dict[str, str]]

#: Patience with a loaded machine that compiles the kernels first.
PATIENCE = 240


def start(etrace_command: Command, *args: object, **options: object) -> subprocess.Popen[bytes]:
    command, environment = etrace_command
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*command, *map(str, args)],
        env=environment,
        stderr=subprocess.PIPE,
        **{"stdout": subprocess.PIPE, **options},
    )


def errors(stderr: bytes) -> list[str]:
    """Lines on standard error, but for the word that kernels are being compiled."""
    return [line for line in stderr.decode().splitlines() if "compiling" not in line]


def wait_for_bytes(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or path.stat().st_size < size:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stdin_and_stdout_are_files(etrace_command: Command, run: Run, golden: Path) -> None:
    elf = golden / "rv64-flow" / "rv64-flow.elf"
    recording = start(etrace_command, "record", elf, "-o", "-")
    decoding = start(
        etrace_command, "decode", "-", "--format", "pc", stdin=recording.stdout
    )  # fmt: skip
    assert recording.stdout is not None
    recording.stdout.close()
    stdout, stderr = decoding.communicate(timeout=PATIENCE)
    assert decoding.returncode == 0, stderr
    assert recording.wait(PATIENCE) == 0
    assert len(stdout.split()) == 20034


def test_a_csv_from_stdin(etrace_command: Command, golden: Path, tmp_path: Path, run: Run) -> None:
    csv = golden / "rv64-flow" / "rv64-flow.ingress.csv.gz"
    run("encode", csv, "-o", tmp_path / "a", "--raw")
    with csv.open("rb") as file:
        process = start(etrace_command, "encode", "-", "-o", "-", "--raw", stdin=file)
        stdout, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert stdout == (tmp_path / "a").read_bytes()


def unread(etrace_command: Command, *arguments: object) -> tuple[int, list[str]]:
    """Exit code and errors of the command where nobody reads its standard output."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start(etrace_command, *arguments, stdout=write_end)
    os.close(write_end)
    _, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, errors(stderr)


@pytest.mark.parametrize("verb", [["decode"], ["dump"], ["dump", "--json"], ["events"], ["info"]])
def test_a_closed_pipe_is_no_error(
    etrace_command: Command, traps_trace: Path, verb: list[str]
) -> None:
    code, told = unread(etrace_command, *verb, traps_trace)
    assert code == 0 and all("of unknown length" in line for line in told), told


def test_a_verdict_does_not_need_a_reader(
    etrace_command: Command, traps_trace: Path, firmware: Path, tmp_path: Path, run: Run
) -> None:
    cut = tmp_path / "cut.etrace"
    cut.write_bytes(traps_trace.read_bytes()[:-3])
    for verb in (["verify"], ["decode"], ["dump"], ["events"], ["info"], ["info", "--json"]):
        code, told = unread(etrace_command, *verb, cut)
        assert code == 3, (verb, told)
        assert len(told) == 1, told
    code, told = unread(etrace_command, "verify", traps_trace, "--against", __file__)
    assert code == 2, told
    other = firmware / "nested-rv64.elf"
    run("record", other, "-o", cut, "--max-instructions", 400)
    pcs = tmp_path / "pcs.csv"
    rows = run("decode", cut, "--format", "csv").stdout.splitlines(keepends=True)
    pcs.write_text("".join(rows[:10] + rows[11:]))
    assert unread(etrace_command, "verify", cut, "--against", pcs)[0] == 1
    assert unread(etrace_command, "params", "check", __file__)[0] == 2
    # Its console has no listener, but how the guest ends is still wanted.
    program = ["run", ROOT / "etrace" / "data" / "demo-rv64.elf", "--max-instructions", 20_000]
    assert run(*program, code=4).stdout
    assert unread(etrace_command, *program)[0] == 4


def test_a_full_disk_is_told_in_one_line(etrace_command: Command, traps_trace: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "wb") as full:
        process = start(etrace_command, "decode", traps_trace, stdout=full)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert len(errors(stderr)) == 1
    assert "No space left" in errors(stderr)[0]


@pytest.mark.usefixtures("as_in_a_terminal")
def test_ctrl_c_ends_the_trace_properly(
    etrace_command: Command, counting_elf: Path, tmp_path: Path, run: Run
) -> None:
    trace = tmp_path / "t.etrace"
    process = start(etrace_command, "record", counting_elf, "-o", trace)
    wait_for_bytes(trace, 100_000, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    told = errors(stderr)
    summary = told[0]
    assert summary.endswith("end: interrupted")
    assert f"{counting_elf}: interrupted by SIGINT; the trace is complete up to there" in told[-2]
    assert re.fullmatch(r"  where         0x8000000[04]", told[-1])
    instructions = int(summary.split()[1].replace(",", ""))
    tail = run("decode", trace, "--format", "pc", "--from", instructions - 2).stdout
    assert len(tail.split()) == 2
    assert "the program goes on" in run("verify", trace).stdout


def test_sudden_death_leaves_whole_packets(
    etrace_command: Command, counting_elf: Path, tmp_path: Path, run: Run
) -> None:
    trace = tmp_path / "t.etrace"
    process = start(etrace_command, "record", counting_elf, "-o", trace)
    wait_for_bytes(trace, 100_000, process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    result = run("decode", trace, "--format", "pc", "--to", 1000)
    assert len(result.stdout.split()) == 1000
    verdict = run("verify", trace, code=3)
    assert "the recording was cut short" in verdict.stderr
    assert "the same up to its end" in verdict.stdout


def test_help_is_quick_and_imports_nothing_heavy(etrace_command: Command) -> None:
    command, environment = etrace_command
    script = (
        "import sys\nfrom etrace.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'elftools', 'rich', 'json'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    process = subprocess.run(
        [command[0], "-c", script], env=environment, capture_output=True, timeout=PATIENCE
    )
    assert process.returncode == 0, process.stderr
    assert b"Verbs:" in process.stdout
