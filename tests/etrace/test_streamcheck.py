"""A retirement stream that its program rules out is told, with line, column and reason."""

import gzip
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import etrace
from etrace.errors import InputError
from etrace.sources import csvin
from etrace.sources.streamcheck import StreamCheck
from etrace.trace.program import Code, load_programs
from tests.etrace.conftest import ROOT, Run

GOLDEN = ROOT / "tests" / "golden"
NAMES = sorted(path.name for path in GOLDEN.iterdir() if path.name.startswith("rv"))
ITYPE, IADDR, ILASTSIZE = 0, 4, 8


def program(name: str, platform: str | None = "spike") -> Code:
    elf = str(GOLDEN / name / f"{name}.elf")
    return Code(int(name[2:4]), load_programs([elf]), (), platform)


def rows_of(name: str) -> list[str]:
    """The lines of a golden stream."""
    path = GOLDEN / name / f"{name}.ingress.csv.gz"
    return gzip.decompress(path.read_bytes()).decode().splitlines()


@pytest.fixture
def problem(tmp_path: Path) -> Callable[..., str]:
    """What is said of a stream; nothing if it is right."""

    def look(code: Code, lines: list[str], width: int = 4, **options: object) -> str:
        path = tmp_path / "stream.csv"
        path.write_text("\n".join(lines) + "\n")
        check = StreamCheck(code.map, width)
        try:
            for _ in csvin.chunks(str(path), check=check, **options):  # type: ignore[arg-type]
                pass
        except InputError as error:
            return str(error).removeprefix(f"{path}: ")
        return ""

    return look


@pytest.mark.parametrize("piece", [1 << 22, 4000])
@pytest.mark.parametrize("name", NAMES)
def test_golden_streams_are_right(
    name: str, piece: int, problem: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in pieces, without the code of the boot ROM, and by the rules of narrow itypes."""
    monkeypatch.setattr("etrace.files._PIECE", piece)
    rows = rows_of(name)
    for width, platform in ((4, "spike"), (3, "spike"), (4, None)):
        assert problem(program(name, platform), rows, width) == ""


@pytest.mark.parametrize("name", NAMES)
def test_narrow_itypes(name: str, problem: Callable[..., str]) -> None:
    narrow = {"8": 6, "10": 6, "12": 6, "13": 6, "14": 6, "9": 0, "11": 0, "15": 0}
    rows = []
    for row in rows_of(name):
        itype, rest = row.split(",", 1)
        rows.append(f"{narrow.get(itype, itype)},{rest}")
    assert problem(program(name), rows, 3) == ""
    assert "column itype" in problem(program(name), rows, 4)


def test_rows_that_are_missing(problem: Callable[..., str]) -> None:
    """Every one that the program can tell, with the line at which it is missed."""
    code, rows, rng = program("rv64-flow"), rows_of("rv64-flow"), Random(5)
    told = 0
    for at in rng.sample(range(2, 3000), 150):
        said = problem(code, rows[:at] + rows[at + 1 : 3200])
        before = int(rows[at - 1].split(",")[ITYPE])
        if before in (3, 8, 10, 12, 13, 14):
            continue  # anything may follow
        assert said.startswith(f"line {at + 1}: column iaddr: 0x"), (at, said)
        assert said.endswith("--no-check encodes it all the same")
        told += 1
    assert told > 100


def test_itypes_and_sizes_that_are_wrong(problem: Callable[..., str]) -> None:
    code, rows, rng = program("rv64-flow"), rows_of("rv64-flow"), Random(6)
    for at in rng.sample(range(1, 3000), 150):
        cells = rows[at].split(",")
        column = rng.choice([ITYPE, ILASTSIZE])
        if column == ITYPE:
            # 1 and 2 are traps behind the instruction, of which the program says nothing
            cells[ITYPE] = str(rng.choice([n for n in (0, 3, *range(8, 16)) if n != int(cells[0])]))
        else:
            cells[ILASTSIZE] = str(1 - int(cells[ILASTSIZE]))
        said = problem(code, [*rows[:at], ",".join(cells), *rows[at + 1 : 3200]])
        name = "itype" if column == ITYPE else "ilastsize"
        assert said.startswith(f"line {at + 1}: column {name}: "), (at, said)


def test_what_is_said(problem: Callable[..., str]) -> None:
    code, rows = program("rv64-flow"), rows_of("rv64-flow")
    at = next(n for n, row in enumerate(rows) if row.startswith("15,"))
    said = problem(code, [*rows[:at], "0" + rows[at][2:], *rows[at + 1 :]])
    assert said.startswith(f"line {at + 1}: column itype: 0 (none), but 'jal")
    assert "is 15 (other inferable jump); is a row missing" in said
    taken = next(n for n, row in enumerate(rows) if row.startswith("5,"))
    cells = rows[taken + 1].split(",")
    cells[IADDR] = f"{int(cells[IADDR], 16) + 8:x}"
    said = problem(code, [*rows[: taken + 1], ",".join(cells)])
    assert f"line {taken + 2}: column iaddr: 0x{cells[IADDR]} cannot be what retires behind" in said
    assert " (taken): that leads to 0x" in said


#: addi, addi, c.nop, beqz (back to the start), jal to the start, then nothing.
LOOP = bytes.fromhex("13000000" "93021000" "0100" "e30b00fe" "6ff03fff")  # fmt: skip
COLUMNS = "itype_0,iaddr_0,iretire_0,ilastsize_0,itype_1,iaddr_1,iretire_1,ilastsize_1"
CYCLE = "cause,tval,priv,ctype,halted,reset"


@pytest.fixture
def loop() -> Code:
    from etrace.trace.program import Image

    return Code(64, (), (Image(0x1000, "loop", LOOP, ""),))


def two(*blocks: tuple[int, int, int, int], more: str = "0,0,3,0,0,0") -> str:
    cells = [f"{itype},{iaddr:x},{iretire},{last}" for itype, iaddr, iretire, last in blocks]
    return ",".join([*cells, *["0,0,0,0"] * (2 - len(cells)), more])


WHOLE = (4, 0x1000, 7, 1)
JUMP = (11, 0x100E, 2, 1)


def test_blocks_of_several_instructions(loop: Code, problem: Callable[..., str]) -> None:
    def said(*rows: str) -> str:
        return problem(loop, [f"{COLUMNS},{CYCLE}", *rows], retires_p=9, blocks_p=2)

    assert said(two(WHOLE, JUMP), two(WHOLE, JUMP), two((5, *WHOLE[1:]), WHOLE)) == ""
    assert said(two((0, 0x1000, 4, 1), (4, 0x1008, 3, 1)), two(JUMP)) == ""
    wrong = {
        two(WHOLE, WHOLE): "column iaddr_1: 0x1000 cannot be what retires behind 'beqz",
        two((11, 0x1000, 9, 1)): "column iretire: the block goes on behind 'beqz",
        two((0, 0x1000, 3, 0)): "column iretire: the block ends within 'addi t0,zero,1' at 0x1004",
        two((0, 0x1000, 4, 0)): "column ilastsize: 0 says 2 bytes, but 'addi t0,zero,1' at 0x1004",
        two(WHOLE, (10, 0x100E, 2, 1)): "column itype_1: 10 (uninferable jump), but 'j 0x1000'",
        two((15, *WHOLE[1:])): "column itype: 15 (other inferable jump), but 'beqz zero,0x1000'",
    }
    for row, text in wrong.items():
        found = said(two(WHOLE, JUMP), row) if "iaddr" not in text else said(row)
        assert text in found.replace("li t0,1", "addi t0,zero,1"), (row, found)


def test_what_may_be_anywhere(loop: Code, problem: Callable[..., str]) -> None:
    """Behind a pause of the hart, a trap, another privilege, an asynchronous context, and where
    the program has no code."""

    def said(*rows: str) -> str:
        return problem(loop, [f"{COLUMNS},{CYCLE}", *rows], retires_p=9, blocks_p=2)

    begin, elsewhere = two((0, 0x1000, 2, 1)), (0, 0x1004, 3, 0)
    assert "column iaddr: 0x1008" in said(begin, two((0, 0x1008, 1, 0)))
    there = (0, 0x1008, 1, 0)
    for more in ("0,0,3,0,1,0", "0,0,3,0,0,1", "0,0,3,3,0,0", "0,0,1,0,0,0"):
        assert said(begin, two(there, more=more)) == "", more
    assert said(begin, two(more="0,0,3,0,1,0"), two(there)) == ""
    assert said(two((1, 0x1000, 2, 1), more="2,0,3,0,0,0"), two(there)) == ""
    assert said(begin, two((1, 0x1004, 0, 1), more="2,0,3,0,0,0"), two(there)) == ""
    assert said(begin, two((2, 0, 0, 0), more="7,0,3,0,0,0"), two(there)) == ""
    trap = said(begin, two((1, 0x1008, 0, 1), more="2,0,3,0,0,0"))
    assert "0x1008 cannot be the EPC of a trap behind" in trap
    outside = two((0, 0x5000, 4, 1))
    assert said(begin, two(elsewhere), two((8, 0x5000, 4, 1))).startswith("line 4: column iaddr")
    assert said(two((10, 0x5000, 2, 1)), two(there)) == ""
    assert "column iaddr" in said(outside, two(there))


def test_the_command(run: Run, tmp_path: Path) -> None:
    elf = GOLDEN / "rv64-flow" / "rv64-flow.elf"
    stream, output = tmp_path / "s.csv", tmp_path / "t.etrace"
    rows = rows_of("rv64-flow")
    stream.write_text("\n".join(rows[:500] + rows[501:]))
    said = run("encode", stream, "--elf", elf, "-o", output, code=2).stderr.splitlines()[-1]
    assert said.startswith(f"etrace: {stream}: line 501: column iaddr: 0x")
    assert not output.exists()
    run("encode", stream, "--elf", elf, "-o", output, "--no-check")
    run("encode", stream, "-o", output)
    with pytest.raises(InputError, match="line 501: column iaddr"):
        etrace.encode(stream, elf=elf)
    assert etrace.encode(stream, elf=elf, check=False).name == "trace in memory"
