"""Mistakes of those who use the Python interface, and the documents' examples."""

import re
import subprocess
import time
from pathlib import Path

import pytest

import etrace
from etrace.errors import InputError
from specs.configuration.parameters import ParametersError, parse
from tests.etrace.conftest import ROOT

NESTED = ROOT / "tests" / "firmware" / "nested-rv64.elf"
Command = tuple[list[str], dict[str, str]]


def test_modules_that_the_documents_name_are_there_from_the_start(etrace_command: Command) -> None:
    command, environment = etrace_command
    program = (
        "import etrace\n"
        "etrace.filtering.Selection, etrace.encoding.Encoding, etrace.sideband.Telling\n"
        "try: etrace.nothing\n"
        "except AttributeError: print('ok')\n"
    )
    done = subprocess.run([command[0], "-c", program], env=environment, capture_output=True)
    assert (done.stdout, done.stderr) == (b"ok\n", b"")


def test_one_string_is_a_list_of_one() -> None:
    assert etrace.encoding.Encoding(modes="all").modes == ("all",)
    assert etrace.filtering.Selection(symbols="main") == etrace.filtering.Selection(
        symbols=("main",)
    )
    assert etrace.sideband.Telling(triggers="on@main").triggers == ("on@main",)


def test_values_that_the_command_line_refuses() -> None:
    with pytest.raises(ParametersError, match="no such framing"):
        etrace.record(NESTED, framing="encaps")
    with pytest.raises(InputError, match="must be at least 1"):
        etrace.record(NESTED, max_instructions=0)


@pytest.mark.parametrize(
    "text",
    ["[a" + ".a" * 100_000 + "]", "a = 1\nx = {" + "'a' . " * 100_000 + "a = 1}", "a." * 9 + "a=1"],
)
def test_a_key_of_many_parts_is_refused_at_once(text: str) -> None:
    begin = time.monotonic()
    with pytest.raises(ParametersError, match=r"line [12]: a key of many parts"):
        parse(text)
    assert time.monotonic() - begin < 2


def test_comments_with_dots_are_no_keys() -> None:
    parse('# see 1.2.3 ... and so on, a. b. c.\nprotocol = "2.1" # ........\n')


def test_the_example_of_the_pipeline_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    (tmp_path / "firmware.elf").write_bytes(NESTED.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(example[1], "docs/pipeline.md", "exec"), {})
    assert "144 0\n" in capsys.readouterr().out  # traps, gaps


ODD = [
    None, 5, -1, 1.5, True, b"x", "", "a\0b", "\ud800", [], [5], {}, object(), ("a", 5), [None],
    1 << 70, "9" * 5000, [[1]], [(1, 2, 3)], [(0x80000000, -5)], [(-1, 4096)],
]  # fmt: skip
CSV = ROOT / "tests" / "golden" / "rv64-flow" / "rv64-flow.ingress.csv.gz"
ARGUMENTS = {
    "record": "elf output params framing isa platform memory max_instructions console progress "
    "plugins semihosting tohost telling encoding selection",
    "encode": "stream output params framing elf platform xlen ecall_retires check encoding "
    "selection",
    "open": "path params elf image platform force",
    "verify": "against semihosting",
    "decode": "most_runs",
    "pcs": "flow",
}
OPTIONS = {
    "encoding": (etrace.Encoding, "modes protocol vectors"),
    "selection": (
        etrace.Selection,
        "privileges symbols ranges start_at stop_at causes interrupts",
    ),
    "telling": (etrace.Telling, "context_csr context_type time time_every triggers windows"),
}


def in_words(error: Exception) -> bool:
    """Whether an error was raised on purpose."""
    if isinstance(error, TypeError):
        return ": must be " in str(error) or " has no method attach" in str(error)
    return isinstance(error, etrace.EtraceError | ParametersError)


@pytest.mark.parametrize(
    ("function", "argument"),
    [(function, name) for function, names in ARGUMENTS.items() for name in names.split()],
)
def test_arguments_of_any_type(
    function: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trace = etrace.record(NESTED, tmp_path / "t.etrace", max_instructions=50)
    usual: dict[str, dict[str, object]] = {
        "record": {"elf": NESTED, "max_instructions": 50},
        "encode": {"stream": CSV},
        "open": {"path": tmp_path / "t.etrace"},
    }
    call = getattr(etrace if function in usual else trace, function)
    for value in ODD:
        if (argument, value) == ("max_instructions", None):
            continue  # that never ends
        try:
            call(**{**usual.get(function, {}), argument: value})
        except Exception as error:
            assert in_words(error), (value, error)
            assert len(str(error)) < 600 or value == "9" * 5000


@pytest.mark.parametrize(
    ("option", "field"),
    [(option, name) for option, (_, names) in OPTIONS.items() for name in names.split()],
)
def test_options_of_any_type(option: str, field: str) -> None:
    for value in ODD:
        try:
            given = OPTIONS[option][0](**{field: value})
            etrace.record(NESTED, max_instructions=50, **{option: given})
        except Exception as error:
            assert in_words(error), (value, error)


def test_what_is_said_of_a_wrong_type() -> None:
    for call, words in (
        (lambda: etrace.open(5), "path: must be a path, not int (5)"),
        (lambda: etrace.record(None), "elf: must be a path or a list (each a path), not NoneType"),
        (lambda: etrace.encode(CSV, xlen="64"), "xlen: must be an integer or None, not str ('64')"),
        (lambda: etrace.Encoding(modes=[5]), "modes: must be a list (each text), not list of int"),
        (
            lambda: etrace.record(NESTED, memory=[4096]),
            "memory: must be a list (each a tuple of an integer, an integer), not list of int",
        ),
    ):
        with pytest.raises(TypeError, match=re.escape(words)):
            call()
