"""Code that a program writes: whoever records it is told that no file has it."""

from pathlib import Path

import pytest

from specs.isa.encode import encode
from tests.elves import Load, elf
from tests.emu.build import CODE, DATA, Assembly
from tests.etrace.conftest import Run

TOHOST = DATA + 0x1000


def program(path: Path, xlen: int, written: bool) -> Path:
    """A function in data, which the file has unless it is `written` there."""
    function = [encode("addi", rd=7, imm=1), encode("jalr", rs1=1)]
    a = Assembly(xlen)
    a.li(5, DATA)
    for number, word in enumerate(function if written else []):
        a.li(6, word)
        a.sw(rs1=5, rs2=6, imm=4 * number)
    a.fence_i()
    a.jalr(rd=1, rs1=5)
    a.li(30, TOHOST)
    a.sw(rs1=30, rs2=7)
    a.jal(imm=0)
    data = bytes(8) if written else b"".join(word.to_bytes(4, "little") for word in function)
    loads = [Load(CODE, a.bytes()), Load(DATA, data + bytes(0x2000))]
    path.write_bytes(elf(xlen, CODE, loads, [("tohost", TOHOST, 8)]))
    return path


@pytest.mark.parametrize("xlen", [32, 64])
def test_it_is_told(run: Run, tmp_path: Path, xlen: int) -> None:
    for written in (False, True):
        path = program(tmp_path / f"{written}.elf", xlen, written)
        result = run("record", path, "-o", tmp_path / "x.etrace")
        told = f"the page at {DATA:#x} that no program file has there" in result.stderr
        assert told is written
