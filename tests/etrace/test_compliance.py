"""Compliance programs: exit codes through tohost, and signatures."""

import json
import os
from pathlib import Path

import pytest

import etrace
from etrace import files
from etrace.errors import InputError
from tests.elves import Load, elf
from tests.emu.build import CODE, DATA, Assembly
from tests.etrace.conftest import ROOT, Run
from tests.etrace.paging import Paging

#: Not on a page's start, as linkers put it.
BEGIN, TOHOST = DATA + 16, DATA + 0x1000
WORDS = [0x00000001, 0xDEADBEEF, 0x80000000, 0x0BADC0DE, 0x12345678, 0xFFFFFFFF, 0, 0xA5]
CONTENT = b"".join(word.to_bytes(4, "little") for word in WORDS)


def program(
    path: Path,
    xlen: int = 64,
    code: int = 0,
    *,
    ending: str = "tohost",
    size: int = len(CONTENT),
    begin: int = BEGIN,
    text: bytes = b"",
) -> Path:
    """Write WORDS to the signature, say `text`, and end as riscv-tests do (or in a `loop`)."""
    a = Assembly(xlen)
    a.li(5, BEGIN)
    for number, word in enumerate(WORDS):
        a.li(6, word)
        a.sw(rs1=5, rs2=6, imm=4 * number)
    a.li(30, TOHOST)
    for character in text:
        a.li(6, 0x0101_0000)
        a.sw(rs1=30, rs2=6, imm=4)
        a.addi(rd=6, imm=character)
        a.sw(rs1=30, rs2=6)
        a.jal(imm=4)
    if ending == "loop":
        a.jal(imm=0)
    a.li(3, code << 1 | 1)
    a.label("write_tohost")
    a.sw(rs1=30, rs2=3)
    a.sw(rs1=30, rs2=0, imm=4)
    a.jal(to="write_tohost")
    loads = [Load(CODE, a.bytes()), Load(DATA, bytes(0x2000), executable=False)]
    symbols = [("tohost", TOHOST, 8), ("begin_signature", begin), ("end_signature", begin + size)]
    path.write_bytes(elf(xlen, CODE, loads, symbols))
    return path


def lines(granularity: int, content: bytes | bytearray = CONTENT) -> str:
    """What riscv-arch-test's tools expect, by the prose: words, the highest digit first."""
    text = ""
    for at in range(0, len(content), granularity):
        word = int.from_bytes(content[at : at + granularity], "little")
        text += f"{word:0{2 * granularity}x}\n"
    return text


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("granularity", [None, 1, 2, 4, 8, 16])
def test_signature(run: Run, tmp_path: Path, xlen: int, granularity: int | None) -> None:
    fw, file = program(tmp_path / "s.elf", xlen), tmp_path / "s.signature"
    option = () if granularity is None else ("--signature-granularity", granularity)
    run("run", fw, "--signature", file, *option)
    assert file.read_text() == lines(granularity or 4)
    if granularity in (None, 4):
        assert file.read_text().splitlines()[:2] == ["00000001", "deadbeef"]
    file.unlink()
    run("record", fw, "-o", tmp_path / "t.etrace", "--signature", file, *option)
    assert file.read_text() == lines(granularity or 4)
    file.unlink()
    etrace.record(fw, signature=file, signature_granularity=granularity or 4)
    assert file.read_text() == lines(granularity or 4)


def test_signature_to_standard_output(run: Run, tmp_path: Path) -> None:
    """What the guest prints goes elsewhere then."""
    fw = program(tmp_path / "s.elf", text=b"hi\n")
    assert run("run", fw).stdout == "hi\n"
    ran = run("run", fw, "--signature", "-")
    assert (ran.stdout, ran.stderr) == (lines(4), "hi\n")
    ran = run("record", fw, "-o", tmp_path / "t.etrace", "--signature", "-")
    assert ran.stdout == lines(4) and "hi\n" in ran.stderr


@pytest.mark.parametrize("verb", ["run", "record"])
def test_signature_of_a_program_that_fails(run: Run, tmp_path: Path, verb: str) -> None:
    """And of one that ends in a loop, or traps for ever."""
    file = tmp_path / "s.signature"
    option = ("-o", tmp_path / "t.etrace") if verb == "record" else ()
    fw = program(tmp_path / "s.elf", code=7)
    run(verb, fw, "--signature", file, *option, code=4 if verb == "record" else 7)
    assert file.read_text() == lines(4)
    file.unlink()
    run(verb, program(tmp_path / "l.elf", ending="loop"), "--signature", file, *option)
    assert file.read_text() == lines(4)


@pytest.mark.parametrize("verb", ["run", "record"])
def test_no_signature_of_a_program_that_was_stopped(run: Run, tmp_path: Path, verb: str) -> None:
    file = tmp_path / "s.signature"
    option = ("-o", tmp_path / "t.etrace") if verb == "record" else ()
    fw = program(tmp_path / "s.elf")
    file.write_text("older\n")
    budget = ("--max-instructions", 10)
    ran = run(verb, fw, "--signature", file, *budget, *option, code=4)
    assert "no signature written: the program was stopped before its end" in ran.stderr
    assert file.read_text() == "older\n"
    ran = run(verb, fw, "--signature", file, *budget, *option, "--json", code=4)
    assert json.loads(ran.stdout)["signature"] is None
    ran = run(verb, fw, "--signature", file, *option, "--json")
    assert json.loads(ran.stdout)["signature"] == str(file)
    assert json.loads(run(verb, fw, *option, "--json").stdout)["signature"] is None


def test_an_empty_signature_is_an_empty_file(run: Run, tmp_path: Path) -> None:
    """riscv-tests without data have both symbols at one place."""
    file = tmp_path / "s.signature"
    for begin in (BEGIN, 0):
        run("run", program(tmp_path / "s.elf", size=0, begin=begin), "--signature", file)
        assert file.read_bytes() == b""
        file.unlink()


def test_signature_of_many_lines(run: Run, tmp_path: Path) -> None:
    size = 5 << 20
    fw, file = program(tmp_path / "s.elf", size=size), tmp_path / "s.signature"
    run("run", fw, "--signature", file)
    content = bytearray(CONTENT + bytes(size - len(CONTENT)))
    content[TOHOST - BEGIN] = 1
    assert file.read_text() == lines(4, content)


def test_what_is_wrong_with_a_signature_is_said_before_the_run(run: Run, tmp_path: Path) -> None:
    fw, file, trace = program(tmp_path / "s.elf"), tmp_path / "sig", tmp_path / "t.etrace"
    odd = program(tmp_path / "odd.elf", size=18)
    back = program(tmp_path / "back.elf", size=-4)
    wild = program(tmp_path / "wild.elf", begin=0x1234_5678)
    huge = program(tmp_path / "huge.elf", size=1 << 62)
    demo = ROOT / "tests" / "firmware" / "nested-rv64.elf"
    missing = tmp_path / "none" / "sig"
    cases = [
        ((demo, "--signature", file), "lacks the symbols begin_signature and end_signature"),
        ((odd, "--signature", file), "18 bytes, which are no whole words of 4; "
         "--signature-granularity 2 fits"),
        ((back, "--signature", file), "end_signature (0x8010000c) is before begin_signature"),
        ((wild, "--signature", file), "0x12345678 to 0x12345697: not all of that is memory"),
        ((huge, "--signature", file), "not all of that is memory"),
        ((fw, "--signature", missing), f"{missing}: No such file or directory"),
        ((fw, "--signature", tmp_path), "Is a directory"),
        ((fw, "--signature", fw), "is an input as well"),
        ((fw, "--signature-granularity", 4), "is for --signature FILE"),
        ((fw, "--signature", file, "--signature-granularity", 3), "'3' is not one of"),
        ((fw, "--signature", "-", "--json"), "both are for standard output"),
    ]  # fmt: skip
    for arguments, problem in cases:
        for verb in (("run",), ("record", "-o", trace)):
            ran = run(*verb, *arguments, code=2)
            assert problem in ran.stderr and ran.stderr.count("\n") == 1, (verb, arguments)
            assert not file.exists() and not trace.exists() and ran.stdout == ""
    said = run("record", fw, "-o", trace, "--signature", trace, code=2).stderr
    assert "--signature and -o: are the same" in said
    assert (
        "both are for standard output"
        in run("record", fw, "-o", "-", "--signature", "-", "--json", code=2).stderr
    )
    with pytest.raises(InputError, match="signature granularity 3: must be 1, 2, 4, 8 or 16"):
        etrace.record(fw, signature=file, signature_granularity=3)
    with pytest.raises(InputError, match="is an input as well"):
        etrace.record(fw, trace, signature=trace)


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fw, file = program(tmp_path / "s.elf"), tmp_path / "sig"
    file.write_text("older\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(InputError, match=f"{file}: No space left on device"):
        etrace.record(fw, signature=file)
    assert file.read_text() == "older\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.elf", "sig"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_signature_to_a_device(run: Run, tmp_path: Path) -> None:
    fw = program(tmp_path / "s.elf")
    run("run", fw, "--signature", "/dev/null")
    assert "/dev/full: No space left" in run("run", fw, "--signature", "/dev/full", code=2).stderr


def test_signature_through_a_link(run: Run, tmp_path: Path) -> None:
    file, link = tmp_path / "sig", tmp_path / "link"
    link.symlink_to(file)
    run("run", program(tmp_path / "s.elf"), "--signature", link)
    assert link.is_symlink() and file.read_text() == lines(4)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize(("code", "given"), [(0, 0), (1, 1), (5, 5), (255, 255), (300, 255)])
def test_exit_codes(run: Run, tmp_path: Path, xlen: int, code: int, given: int) -> None:
    """As of riscv-tests: two stores of words to tohost, in an endless loop."""
    fw = program(tmp_path / "s.elf", xlen, code)
    said = run("run", fw, code=given).stderr
    assert said == (f"etrace: {fw}: exit code 300\n" if code > 255 else "")
    assert json.loads(run("run", fw, "--json", code=given).stdout)["exit_code"] == code
    run("record", fw, "-o", tmp_path / "t.etrace", code=4 if code else 0)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize(("size", "through"), [(0, "symbol"), (4, "symbol"), (0, "option")])
def test_tohost_of_one_word(run: Run, tmp_path: Path, xlen: int, size: int, through: str) -> None:
    """What is behind it is something else; one that has no size is a word where it is aligned so.
    Its `fromhost` is a word as well.
    """
    at = TOHOST if size else TOHOST + 4
    a = Assembly(xlen)
    a.li(5, at)
    a.li(6, 0x0101_0000)
    a.sw(rs1=5, rs2=6, imm=4)
    a.li(7, DATA)  # write(1, DATA + 256, 3)
    a.sw(rs1=5, rs2=7)
    a.jal(imm=4)
    a.lw(rd=8, rs1=5, imm=4)  # still there
    a.bne(rs1=8, rs2=6, to="wrong")
    a.lw(rd=8, rs1=5, imm=12)  # behind fromhost
    a.addi(rd=9, imm=77)
    a.bne(rs1=8, rs2=9, to="wrong")
    a.addi(rd=6, imm=9 << 1 | 1)
    a.jal(to="end")
    a.label("wrong")
    a.addi(rd=6, imm=1 << 1 | 1)
    a.label("end")
    a.sw(rs1=5, rs2=6)
    a.jal(imm=0)
    call = b"".join(value.to_bytes(8, "little") for value in (64, 1, DATA + 256, 3))
    data = bytearray(0x2000)
    data[: len(call)], data[256:259] = call, b"ok\n"
    data[at + 12 - DATA] = 77
    loads = [Load(CODE, a.bytes()), Load(DATA, bytes(data), executable=False)]
    symbols = [("fromhost", at + 8, 4)] + [("tohost", at, size)] * (through == "symbol")
    fw = tmp_path / "w.elf"
    fw.write_bytes(elf(xlen, CODE, loads, symbols))
    option = ("--tohost", hex(at)) if through == "option" else ()
    assert run("run", fw, *option, code=9).stdout == "ok\n"


@pytest.mark.parametrize("way", ["sv32", "sv39"])
@pytest.mark.parametrize("code", [0, 6])
def test_tohost_at_a_virtual_address(run: Run, tmp_path: Path, way: str, code: int) -> None:
    """As of riscv-tests for virtual memory, here from user code."""
    run("run", Paging(way, rounds=5, code=code).write(tmp_path / "v.elf"), code=code)
