"""Program memory: code that runs elsewhere than it is stored, claims, what a trace may name."""

import io
import json
import os
import stat
import threading
from pathlib import Path
from time import monotonic

import pytest

from emu.platforms.elf import read_file
from etrace.trace.file import open_trace
from etrace.trace.header import ImageReference, ProgramReference
from etrace.trace.program import MAX_NAMED, load_programs
from etrace.trace.program import Code as ProgramCode
from tests.elves import Load, elf
from tests.emu.build import Assembly
from tests.etrace.conftest import Run

XLEN = pytest.mark.parametrize("xlen", [32, 64])
FLASH, RAM = 0x2040_0000, 0x8000_0000
TEXT_SIZE = 0x80


def counting_function() -> bytes:
    a = Assembly(32, RAM)
    a.addi(rd=9, rs1=0, imm=5)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=-1)
    a.bne(rs1=9, rs2=0, to="loop")
    a.jalr(rs1=1)
    return a.bytes()


def copied(xlen: int) -> bytes:
    """A program in flash that copies a function to RAM and runs it there, twice."""
    function = counting_function()
    a = Assembly(xlen, FLASH)
    a.li(5, RAM)
    a.li(6, FLASH + TEXT_SIZE)
    a.li(7, RAM + len(function))
    a.label("copy")
    a.lw(rd=8, rs1=6, imm=0)
    a.sw(rs1=5, rs2=8, imm=0)
    a.addi(rd=5, rs1=5, imm=4)
    a.addi(rd=6, rs1=6, imm=4)
    a.bltu(rs1=5, rs2=7, to="copy")
    a.fence_i()
    a.li(5, RAM)
    a.jalr(rd=1, rs1=5)
    a.jalr(rd=1, rs1=5)
    a.jal(rd=0, imm=0)
    text = a.bytes()
    assert len(text) <= TEXT_SIZE
    loads = [
        Load(FLASH, text + bytes(TEXT_SIZE - len(text))),
        Load(RAM, function, paddr=FLASH + TEXT_SIZE),
    ]
    return elf(xlen, FLASH, loads, [("_start", FLASH), ("fast", RAM)])


@XLEN
def test_code_that_is_copied_and_run(xlen: int, run: Run, tmp_path: Path) -> None:
    path, trace = tmp_path / "ram.elf", tmp_path / "t.etrace"
    path.write_bytes(copied(xlen))
    done = run("record", path, "--memory", "0x80000000:1M", "-o", trace)
    assert "end: endless_loop\n" in done.stderr
    listing = run("decode", trace)
    assert "gap" not in listing.stderr + listing.stdout
    assert listing.stdout.count("<fast") == 2 * 12
    assert ": the same, " in run("verify", trace).stdout
    assert "gaps          0\n" in run("info", trace).stdout


@XLEN
def test_it_is_code_at_both_addresses(xlen: int, tmp_path: Path) -> None:
    path = tmp_path / "ram.elf"
    path.write_bytes(copied(xlen))
    code = ProgramCode(xlen, load_programs([str(path)]), (), "spike")
    there, here = code.map.slot(RAM), code.map.slot(FLASH + TEXT_SIZE)
    assert there >= 0 and here >= 0 and there != here
    assert code.map.word[there] == code.map.word[here] != 0
    assert code.symbols.name(RAM) == "fast" and code.symbols.name(FLASH) == "_start"
    assert code.remarks == []


def test_a_program_that_lacks_the_memory_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ram.elf"
    path.write_bytes(elf(64, FLASH, [Load(FLASH, bytes(64))], [("tohost", RAM)]))
    assert "--memory" in run("record", path, "-o", tmp_path / "t", code=2).stderr


NOPS, ADDS = (0x13).to_bytes(4, "little") * 8, (0x0014_8493).to_bytes(4, "little") * 8


def test_of_two_claims_the_place_to_run_at_counts(run: Run, tmp_path: Path) -> None:
    """Whichever comes first in the file."""
    there = Load(RAM + 16, ADDS, paddr=FLASH)
    stored = Load(RAM + 0x1000, NOPS, paddr=RAM)
    for loads in ([stored, there], [there, stored]):
        path = tmp_path / "claims.elf"
        path.write_bytes(elf(64, RAM + 0x1000, loads))
        code = ProgramCode(64, load_programs([str(path)]))
        words = [int(code.map.word[code.map.slot(RAM + n)]) for n in (0, 12, 16, 28, 44)]
        assert words == [0x13, 0x13, 0x0014_8493, 0x0014_8493, 0x0014_8493]
        (remark,) = code.remarks
        assert f"{path}: the code for {RAM + 16:#x} to {RAM + 31:#x}" in remark
        assert f"stored at {RAM:#x} is hidden" in remark and f"stored at {FLASH:#x}" in remark


def test_a_later_program_hides_an_earlier_one_and_it_is_told(run: Run, tmp_path: Path) -> None:
    one, other, same = (tmp_path / name for name in ("one.elf", "other.elf", "same.elf"))
    a = Assembly(64)
    a.jal(rd=0, imm=4)
    a.jal(rd=0, imm=0)
    one.write_bytes(elf(64, RAM, [Load(RAM, NOPS)]))
    other.write_bytes(elf(64, RAM, [Load(RAM, a.bytes())]))
    same.write_bytes(elf(64, RAM, [Load(RAM, a.bytes())]))
    trace = tmp_path / "t.etrace"
    for verb in (["record", one, other, "-o"], ["decode"], ["verify"]):
        done = run(*verb, trace)
        assert done.stderr.startswith(f"etrace: {one}: the code for {RAM:#x} to {RAM + 7:#x}")
        assert f"hidden by that of {other}" in done.stderr
    assert "hidden" not in run("record", other, same, "-o", trace).stderr


def test_many_claims_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    datas = [bytes([n, 0]) * 8 for n in range(40)]
    path.write_bytes(elf(64, RAM, [Load(RAM, data) for data in datas]))
    remarks = ProgramCode(64, load_programs([str(path)])).remarks
    assert len(remarks) == 9 and remarks[-1].startswith(f"{40 * 39 // 2 - 8} more places")


def test_an_image_says_otherwise(tmp_path: Path) -> None:
    from etrace.trace.program import Image

    path = tmp_path / "x.elf"
    path.write_bytes(elf(64, RAM, [Load(RAM, NOPS)]))
    image = Image(RAM, "image", ADDS, "")
    code = ProgramCode(64, load_programs([str(path)]), (image,))
    assert code.map.word[0] == 0x0014_8493 and code.remarks == []


def test_many_symbols_in_many_segments_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    loads = [Load(RAM + 8 * n, bytes(4), memsz=1 << 20) for n in range(256)]
    path.write_bytes(elf(64, RAM, loads, [(f"s{n}", RAM + 2 * n) for n in range(50_000)]))
    code = ProgramCode(64, load_programs([str(path)]))
    begin = monotonic()
    assert code.symbols.name(RAM + 2000) == "s1000"
    assert monotonic() - begin < 2


@XLEN
def test_symbols_at_the_ends_of_segments(xlen: int, tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    loads = [Load(RAM, bytes(16), memsz=32), Load(RAM + 0x100, bytes(16))]
    names = [("a", RAM), ("b", RAM + 31), ("c", RAM + 32), ("d", RAM + 0xFF), ("e", RAM + 0x100)]
    path.write_bytes(elf(xlen, RAM, loads, names))
    symbols = ProgramCode(xlen, load_programs([str(path)])).symbols
    found = [symbols.name(address) for _, address in names]
    assert found == ["a", "b", "", "", "e"]


@XLEN
@pytest.mark.parametrize("modes", [(), ("--mode", "all")])
def test_code_at_the_last_addresses(
    xlen: int, modes: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    """Recorded, decoded, verified, filtered: in the map the end of memory is where others begin."""
    top = 1 << xlen
    a = Assembly(xlen, top - 64)
    a.addi(rd=9, rs1=0, imm=3)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=-1)
    a.bne(rs1=9, rs2=0, to="loop")
    a.jal(rd=1, imm=top - 8 - a.at)
    a.jal(rd=0, imm=0)
    while a.at < top - 8:
        a.addi()
    a.addi(rd=8, rs1=0, imm=1)
    a.jalr(rs1=1)
    path, trace = tmp_path / "top.elf", tmp_path / "t.etrace"
    path.write_bytes(elf(xlen, a.base, [Load(a.base, a.bytes())], [("top", a.base)]))
    run("record", path, "-o", trace, *modes)
    pcs = run("decode", trace, "--format", "pc").stdout.split()
    assert [int(pc, 16) for pc in pcs[-3:]] == [top - 8, top - 4, a.base + 16]
    assert ": the same, 16 instructions" in run("verify", trace).stdout
    run("record", path, "-o", trace, "--filter-range", f"{top - 8:#x}-{top - 1:#x}", *modes)
    assert run("decode", trace, "--format", "pc").stdout.split() == pcs[-3:-1]
    assert ": the same, 2 instructions" in run("verify", trace).stdout


def test_code_that_runs_over_the_end(run: Run, tmp_path: Path) -> None:
    """To address 0, where there is none."""
    path, trace = tmp_path / "top.elf", tmp_path / "t.etrace"
    path.write_bytes(elf(64, (1 << 64) - 32, [Load((1 << 64) - 32, NOPS)]))
    run("record", path, "-o", trace, code=4)
    listing = run("decode", trace).stdout
    assert "instruction access fault): epc 0000000000000000" in listing
    assert ": the same, 13 instructions" in run("verify", trace).stdout


# -- what a trace names ----------------------------------------------------------------------------


@pytest.fixture
def made(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    path, trace = tmp_path / "fw.elf", tmp_path / "t.etrace"
    a = Assembly(64)
    a.jal(rd=0, imm=0)
    path.write_bytes(elf(64, RAM, [Load(RAM, a.bytes())]))
    run("record", path, "-o", trace)
    return path, trace


def renamed(trace: Path, names: list[str]) -> Path:
    """The trace with other program files in its header."""
    from dataclasses import replace

    with open_trace(str(trace)) as stream:
        assert stream.header is not None
        programs = tuple(ProgramReference(name, "00") for name in names)
        header, data = replace(stream.header, programs=programs), b"".join(stream.chunks())
    other = trace.with_suffix(".named")
    other.write_bytes(header.pack() + data)
    return other


@pytest.mark.parametrize("verb", ["decode", "verify", "events"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/dev/zero", "not a regular file"),
        ("/dev/stdin", "not a regular file"),
        ("/", "not a regular file"),
        ("", "No such file"),
        ("nowhere.elf", "No such file"),
        ("x" * 5000, "too long"),
        ("fw\0.elf", "not the name of a program file"),
        ("a\nb", "not the name of a program file"),
        ("\x1b[2J", "not the name of a program file"),
        ("\ud800", "not the name of a program file"),
        ("/proc/kmsg", "an empty file, not a program"),
        ("/proc/self/pagemap", "an empty file, not a program"),
    ],
)
def test_only_regular_files_are_followed(
    made: tuple[Path, Path], run: Run, verb: str, name: str, words: str
) -> None:
    done = run(verb, renamed(made[1], [name]), code=2)
    assert words in done.stderr and "--elf" in done.stderr
    assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr


def test_a_pipe_is_not_waited_for(made: tuple[Path, Path], run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    trace = renamed(made[1], [str(pipe)])
    assert "not a regular file" in run("decode", trace, code=2).stderr
    done = run("info", trace)
    assert "not a regular file" in done.stderr
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_who_says_so_may_read_from_a_pipe(
    made: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    path, trace = made
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    run("decode", trace, "--elf", pipe)
    writer.join()


def test_images_that_the_kernel_makes_up_are_not_read(
    made: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    from dataclasses import replace

    with open_trace(str(made[1])) as stream:
        assert stream.header is not None
        data = b"".join(stream.chunks())
        header = stream.header
    trace = tmp_path / "image.etrace"
    for path in ("/proc/kmsg", "/proc/self/pagemap"):
        images = (ImageReference(0x1000, path, "00"),)
        trace.write_bytes(replace(header, images=images).pack() + data)
        assert f"{path}: an empty file, not a program" in run("decode", trace, code=2).stderr


def test_a_file_of_an_absurd_size_is_not_read(
    made: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.elf"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)
    done = run("decode", renamed(made[1], [str(huge)]), code=2)
    assert "larger than 1 GiB, not a program" in done.stderr


def test_beside_a_trace_nothing_is_read_that_the_kernel_makes_up(
    made: tuple[Path, Path], run: Run
) -> None:
    """A file beside the trace has the name: which of the two it is, is asked of their digests."""
    trace = renamed(made[1], ["/proc/self/pagemap"])
    trace.with_name("pagemap").write_bytes(made[0].read_bytes())
    assert "an empty file" in run("decode", trace, code=2).stderr


def test_no_more_is_read_than_a_file_says_it_has(tmp_path: Path) -> None:
    path = tmp_path / "rom.bin"
    path.write_bytes(bytes(100))
    with path.open("rb") as file:

        class Growing(io.BytesIO):
            def fileno(self) -> int:
                return file.fileno()

        assert len(read_file(Growing(bytes(5000)), 1 << 20)) == 101
        assert len(read_file(Growing(bytes(5000)), 20)) == 21
        assert len(read_file(file, 1 << 20)) == 100


def test_many_programs_are_not_read(made: tuple[Path, Path], run: Run) -> None:
    trace = renamed(made[1], [str(made[0])] * (MAX_NAMED + 1))
    assert f"at most {MAX_NAMED}" in run("decode", trace, code=2).stderr


def test_info_prints_no_control_characters(made: tuple[Path, Path], run: Run) -> None:
    done = run("info", renamed(made[1], ["a\x1b[31m\nb\ud800"]))
    assert "a\\x1b[31m\\x0ab\\xd800" in done.stdout


# -- how runs end ----------------------------------------------------------------------------------


def firmware_of(tmp_path: Path, *words: int) -> Path:
    path = tmp_path / "fw.elf"
    data = b"".join(word.to_bytes(4, "little") for word in words)
    path.write_bytes(elf(64, RAM, [Load(RAM, data)]))
    return path


WFI, LOOP, NOP, ILLEGAL = 0x1050_0073, 0x6F, 0x13, 0
#: la t0, +16; csrw mtvec, t0
SET_HANDLER = (0x0000_0297, 0x0102_8293, 0x3052_9073)


@pytest.mark.parametrize(
    ("words", "end", "failed"),
    [
        ((NOP, LOOP), "endless_loop", False),
        ((NOP, WFI), "wfi_forever", False),
        ((*SET_HANDLER, ILLEGAL, LOOP), "handler_hang", True),
    ],
)
def test_how_a_run_ends_is_told(
    words: tuple[int, ...], end: str, failed: bool, run: Run, tmp_path: Path
) -> None:
    path, trace = firmware_of(tmp_path, *words), tmp_path / "t.etrace"
    done = run("record", path, "-o", trace, code=4 if failed else 0)
    assert f"end: {end}\n" in done.stderr
    assert ("the guest failed" in done.stderr) == failed
    run("decode", trace)
    assert ": the same, " in run("verify", trace).stdout
    done = run("run", path, code=4 if failed else 0)
    assert "nothing can end" in done.stderr or "can come" in done.stderr
    code = 4 if failed else 0
    summary = json.loads(run("record", path, "-o", tmp_path / "u", "--json", code=code).stdout)
    assert summary["end"] == end and summary["guest_exit"] is None
    run("events", path, code=4 if failed else 0)
    first = trace.read_bytes()
    run("record", path, "-o", trace, code=4 if failed else 0)
    assert trace.read_bytes() == first


# -- what it was built for -------------------------------------------------------------------------


def test_what_the_hart_lacks_is_told_before_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from etrace.trace import program as module

    path = firmware_of(tmp_path, NOP, LOOP)
    real = module.elf.load
    for isa, options, words in (
        ("rv64i2p1_m2p0_q2p2_v1p0_c2p0", (), "built for Q, V: this hart has neither"),
        ("rv64i2p1_zvbc1p0", (), "built for Zvbc: this hart has it not"),
        ("rv64i2p1_m2p0_a2p1_c2p0", (), None),
        ("rv64imac", ("--isa", "rv64i"), "built for M, A, C: this hart has none of them"),
    ):
        monkeypatch.setattr(module.elf, "load", lambda path, isa=isa: replace(real(path), isa=isa))
        for verb in (["record", path, "-o", tmp_path / "t"], ["run", path], ["events", path]):
            stderr = run(*verb, *options).stderr
            assert stderr.startswith(f"etrace: {path}: {words}") if words else "built" not in stderr
    assert "arm: expected rv32" in run("run", path, "--isa", "arm", code=2).stderr.replace("'", "")
