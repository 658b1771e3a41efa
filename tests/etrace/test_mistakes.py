"""Mistakes of those who use the Python interface, and the documents' examples."""

import re
import subprocess
import time
from pathlib import Path

import pytest

import etrace
from etrace.errors import InputError
from specs.parameters import ParametersError, parse
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
