"""What `import etrace` offers: help, names for codes, one line for a trace; and what hides it."""

import pydoc
import subprocess
from pathlib import Path

import pytest

import etrace
from tests.etrace.conftest import ROOT

NESTED = ROOT / "tests" / "firmware" / "nested-rv64.elf"
Command = tuple[list[str], dict[str, str]]


def test_help_lists_the_interface() -> None:
    text = pydoc.plain(pydoc.render_doc(etrace))
    for name in etrace.__all__:
        assert name.strip("_").lower() in text.lower(), name
        assert name in dir(etrace)
    assert "class Trace" in text and "record(" in text


def test_names_without_what_is_heavy(etrace_command: Command) -> None:
    command, environment = etrace_command
    program = (
        "import sys, etrace\n"
        "assert 'record' in dir(etrace)\n"
        "print({'numpy', 'numba', 'click'} & set(sys.modules))\n"
    )
    done = subprocess.run([command[0], "-c", program], env=environment, capture_output=True)
    assert (done.stdout, done.stderr) == (b"set()\n", b"")


def test_codes_have_names() -> None:
    trace = etrace.record(NESTED, max_instructions=20_000)
    flow = trace.decode()
    assert {etrace.Ended(code) for code in flow.runs["ended"].tolist()} > {etrace.Ended.TRAP}
    assert {etrace.Privilege(code).name for code in flow.runs["priv"].tolist()} == {"M"}
    trap = flow.traps[0]
    assert "interrupt" in etrace.cause_name(int(trap["cause"]), bool(trap["interrupt"]))
    assert {event.kind for event in trace.events()} <= set(etrace.Kind)
    rows = next(trace.packets())
    assert int(rows[0][etrace.Column.offset]) > 0


def test_a_trace_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nested.etrace"
    trace = etrace.record(NESTED, path, max_instructions=100)
    assert repr(trace) == f"<Trace {str(path)!r}: RV64, recorded, protocol 2.0, of {NESTED}>"


def hiding(command: Command, where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The interpreter in `where`, with its current directory before ours, as usual."""
    (python, *_), environment = command
    return subprocess.run(
        [python, *arguments], env=environment, cwd=where, capture_output=True, text=True
    )


@pytest.mark.parametrize("room", ["encoder", "decoder", "emu", "specs"])
@pytest.mark.parametrize("what", ["{}/__init__.py", "{}.py"])
def test_a_directory_that_hides_one_of_ours(
    etrace_command: Command, tmp_path: Path, room: str, what: str
) -> None:
    file = tmp_path / what.format(room)
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    hidden = file if what == "{}.py" else file.parent
    problem = f"{hidden}: hides the package {room!r} of etrace, which is in {ROOT}; rename it, "
    done = hiding(etrace_command, tmp_path, "-m", "etrace", "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"etrace: {problem}or start in another directory\n"
    done = hiding(etrace_command, tmp_path, "-c", "import etrace")
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {problem}")
    file.write_text("import etrace\n")
    script = tmp_path / "script.py"
    script.write_text(f"import {room}\n")
    done = hiding(etrace_command, tmp_path, str(script))
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {problem}")


def test_a_directory_without_modules_hides_nothing(etrace_command: Command, tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    done = hiding(etrace_command, tmp_path, "-m", "etrace", "--version")
    assert (done.returncode, done.stderr) == (0, "")
