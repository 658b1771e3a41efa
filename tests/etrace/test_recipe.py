"""The recipe of docs/start.md and README.md, as it stands, with the compiler that it names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.etrace.conftest import ROOT, Run
from tests.etrace.test_processes import PATIENCE, Command

COMPILER = "riscv64-unknown-elf-gcc"


def section(page: str, title: str) -> str:
    """The text below a heading, to the next one of the same level."""
    text = (ROOT / page).read_text()
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def with_etrace(directory: Path, etrace_command: Command) -> tuple[Path, dict[str, str]]:
    """The directory, and an environment in which a shell finds the command `etrace`."""
    (python, *rest), environment = etrace_command
    script = directory / "bin" / "etrace"
    script.parent.mkdir()
    words = " ".join(f"'{word}'" for word in (python, *rest))
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return directory, {**environment, "PATH": f"{script.parent}:{environment['PATH']}"}


RECIPE = section("docs/start.md", "From C to a trace")


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    """A cross compiler with picolibc; without one these tests have nothing to run."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"no {COMPILER} (Debian: gcc-riscv64-unknown-elf)")
    found = subprocess.run(
        [COMPILER, "--specs=picolibc.specs", "-E", "-x", "c", os.devnull], capture_output=True
    )
    if found.returncode:
        pytest.skip("no picolibc for it (Debian: picolibc-riscv64-unknown-elf)")


@pytest.fixture
def place(tmp_path: Path, etrace_command: Command) -> tuple[Path, dict[str, str]]:
    """A directory with hello.c and an `etrace`, and the environment that finds both."""
    (program,) = blocks(RECIPE, "c")
    assert program.startswith("// hello.c\n")
    (tmp_path / "hello.c").write_text(program)
    return with_etrace(tmp_path, etrace_command)


def shell(place: tuple[Path, dict[str, str]], commands: str) -> str:
    """The commands' standard output; all of them succeed."""
    directory, environment = place
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe(place: tuple[Path, dict[str, str]]) -> None:
    first, layout, bad = blocks(RECIPE, "sh")
    told = shell(place, first)
    assert told.startswith("hello, 42\n")
    assert re.search(r"^hello.etrace: the same, [\d,]+ instructions and 0 traps$", told, re.M)
    assert shell(place, layout) == "hello, 42\n"
    told = shell(place, bad)
    assert "the exit code is 4\n" in told
    (shown,) = re.findall(r"^```\n(etrace: hello.elf: .*?)^```", RECIPE, re.M | re.S)
    for line in shown.splitlines()[1:-2]:
        # Where the library has its code depends on its version.
        expected = re.escape(line)
        expected = re.sub(r"0x10\w+", r"0x\\w+", expected)
        expected = re.sub(r"semihost\\-riscv\\.s:\d+", r"\\S+", expected)
        assert re.search(expected, told), line


def test_thirty_seconds(place: tuple[Path, dict[str, str]]) -> None:
    commands, *_ = blocks(section("README.md", "Thirty seconds"), "sh")
    activate, rest = commands.split("\n", 1)
    assert activate == ". .venv/bin/activate"
    told = shell(place, rest)
    assert told.startswith("hello, 42\n")
    assert "run.etrace: the same, " in told


@pytest.mark.parametrize(
    ("options", "etrace", "cause", "to_do"),
    [
        (
            "",
            ["--semihosting", "DIR", "--isa", "rv64imac"],
            r"illegal instruction at 0x\w+ <_start",
            "built for F, D: this hart has neither with --isa rv64imac",
        ),
        (
            "-march=rv64imac -mabi=lp64 -mcmodel=medany",
            ["--semihosting", "DIR"],
            r"store/AMO access fault at 0x\w+ <",
            "--memory 0x20000000:64K",
        ),
        (
            "-march=rv64imac -mabi=lp64 -mcmodel=medany",
            ["--memory", "0x20000000:32K"],
            r"breakpoint at 0x\w+ <sys_semihost",
            "--semihosting DIR",
        ),
    ],
)
def test_what_is_left_out_is_told(
    run: Run,
    place: tuple[Path, dict[str, str]],
    options: str,
    etrace: list[str],
    cause: str,
    to_do: str,
) -> None:
    """A picolibc program built with the compiler's defaults, run without what it needs."""
    elf, trace = place[0] / "hello.elf", place[0] / "bad.etrace"
    shell(
        place,
        f"{COMPILER} --specs=picolibc.specs --oslib=semihost {options} -Og -g hello.c -o hello.elf",
    )
    etrace = [word.replace("DIR", str(place[0])) for word in etrace]
    told = run("record", elf, *etrace, "-o", trace, code=4).stderr
    assert re.search(f"first cause   {cause}", told), told
    assert to_do in told
    assert re.search(f"first cause   {cause}", run("why", trace).stdout)
