"""The command line as a function, small programs made by hand, and one recorded trace."""

import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etrace.cli import main

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """`run("decode", path, code=0)`: the command with its exit code checked, no traceback ever."""

    def call(*args: object, code: int = 0, input: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(arg) for arg in args], input=input)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        if code in (2, 3):
            assert result.stderr.startswith("etrace: ")
        return result

    return call


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """Signals do what they do by default, also where the tests run under nohup or in a shell's
    background. Some are ignored there, and processes that a test starts would ignore them too.
    """
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, each) for number, each in defaults.items()}
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) is defaults[number]
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def etrace_command() -> tuple[list[str], dict[str, str]]:
    """Command and environment that start the real thing as a process."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", "from etrace.cli import main; main()"]
    return command, {**os.environ, "PYTHONPATH": path}


def elf_bytes(
    words: list[int], xlen: int = 64, machine: int = 243, base: int = 0x8000_0000
) -> bytes:
    """A minimal ELF executable: one segment of instruction words at its entry."""
    code = b"".join(word.to_bytes(4, "little") for word in words)
    if xlen == 64:
        header, entry = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ"
        sizes = 64, 56
        segment = (1, 5, 120, base, base, len(code), len(code), 4)
    else:
        header, entry = "<16sHHIIIIIHHHHHH", "<IIIIIIII"
        sizes = 52, 32
        segment = (1, 84, base, base, len(code), len(code), 5, 4)
    ident = b"\x7fELF" + bytes([xlen // 32, 1, 1]) + bytes(9)
    rest = (2, machine, 1, base, sizes[0], 0, 0, sizes[0], sizes[1], 1, 0, 0, 0)
    return struct.pack(header, ident, *rest) + struct.pack(entry, *segment) + code


ADDI_T0, BNEZ_T0_BACK = 0x00128293, 0xFE029EE3


@pytest.fixture
def counting_elf(tmp_path: Path) -> Path:
    """A program that counts for ever: `addi t0,t0,1; bnez t0,-4`."""
    path = tmp_path / "counting.elf"
    path.write_bytes(elf_bytes([ADDI_T0, BNEZ_T0_BACK]))
    return path


@pytest.fixture(scope="session")
def traps_trace(golden: Path, tmp_path_factory: Any) -> Path:
    """rv64-traps, recorded with the default parameters."""
    path = Path(tmp_path_factory.mktemp("traces")) / "traps.etrace"
    elf = golden / "rv64-traps" / "rv64-traps.elf"
    result = CliRunner().invoke(main, ["record", str(elf), "-o", str(path)])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def traps_pc_trace(golden: Path) -> Path:
    """Spike's pc trace of the same program."""
    return golden / "rv64-traps" / "rv64-traps.pc_trace.csv.gz"
