"""ELF files: what is read, and what broken ones say."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.platforms.elf import ElfError, load
from tests.elves import Load
from tests.elves import elf as build_elf


@pytest.fixture(params=[32, 64])
def elf(request: pytest.FixtureRequest, golden: Path) -> Path:
    name = f"rv{request.param}-traps"
    return golden / name / f"{name}.elf"


def test_a_good_file(elf: Path) -> None:
    program = load(elf)
    assert program.xlen == int(elf.name[2:4])
    assert program.entry == 0x8000_0000
    assert program.segments[0].base == 0x8000_0000 and program.segments[0].executable
    assert all(len(s.data) <= s.memsz for s in program.segments)
    assert program.symbols["main"].address > program.entry
    assert program.symbols["tohost"].address % 8 == 0
    assert program.isa is not None and program.isa.startswith(f"rv{program.xlen}i2p1_m2p0_a")
    assert len(program.sha256) == 64


def patched(tmp_path: Path, data: bytes, at: int, value: bytes) -> Path:
    path = tmp_path / "x.elf"
    path.write_bytes(data[:at] + value + data[at + len(value) :])
    return path


def test_each_defect_has_its_words(elf: Path, tmp_path: Path) -> None:
    data = elf.read_bytes()
    wide = data[4] == 2
    headers = int.from_bytes(data[32:40] if wide else data[28:32], "little")
    first_load = headers
    entry_size = 56 if wide else 32
    while int.from_bytes(data[first_load : first_load + 4], "little") != 1:
        first_load += entry_size
    memsz = first_load + (40 if wide else 20)
    size = 8 if wide else 4
    count_at = 56 if wide else 44
    cases = [
        (0, b"XELF", "not an ELF"),
        (18, b"\x3e\x00", "another machine"),
        (16, b"\x01\x00", "not linked"),
        (memsz, b"\xff" * size, "absurd"),
        (memsz, b"\x01" + bytes(size - 1), "larger in the file"),
        (count_at, b"\xff\x0f", "program headers"),
        (count_at, b"\x00\x00", "no loadable"),
    ]
    for at, value, words in cases:
        with pytest.raises(ElfError, match=words) as caught:
            load(patched(tmp_path, data, at, value))
        assert "\n" not in str(caught.value)
    for length in (4, 20, 60, headers + 10, headers + 8 * entry_size):
        path = tmp_path / "short.elf"
        path.write_bytes(data[:length])
        with pytest.raises(ElfError):
            load(path)
    with pytest.raises(ElfError, match="No such file"):
        load(tmp_path / "none")
    with pytest.raises(ElfError):
        load(tmp_path)


@settings(max_examples=150)
@given(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=8), st.booleans())
def test_damage_is_an_error_or_harmless(where: int, value: bytes, head: bool) -> None:
    path = Path(__file__).resolve().parent.parent / "golden" / "rv64-traps" / "rv64-traps.elf"
    data = path.read_bytes()
    at = where % (512 if head else len(data))
    damaged = data[:at] + value + data[at + len(value) :]
    with tempfile.NamedTemporaryFile(suffix=".elf") as file:
        file.write(damaged)
        file.flush()
        try:
            program = load(file.name)
        except ElfError as error:
            assert "\n" not in str(error)
        else:
            assert program.segments


RAM = 0x8000_0000
XLEN = pytest.mark.parametrize("xlen", [32, 64])


def refused(path: Path, data: bytes, words: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ElfError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@XLEN
def test_where_a_segment_is_stored_and_where_it_runs(xlen: int, tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    loads = [Load(RAM, bytes(16)), Load(RAM + 64, b"abcd", paddr=0x2000_0000, memsz=8)]
    path.write_bytes(build_elf(xlen, RAM, loads))
    first, second = load(path).segments
    assert (first.base, first.vaddr, first.places) == (RAM, None, (RAM,))
    assert (second.base, second.vaddr, second.data) == (0x2000_0000, RAM + 64, b"abcd")
    assert second.places == (0x2000_0000, RAM + 64) and second.memsz == 8


@XLEN
def test_headers_that_point_at_the_same_bytes(xlen: int, tmp_path: Path) -> None:
    """A quarter of a megabyte would become sixty, and many times that in the code map."""
    data = bytes(250_000)
    at = 64 + 256 * 56 if xlen == 64 else 52 + 256 * 32
    loads = [Load(RAM + n * 0x40000, data, offset=at) for n in range(255)]
    whole = build_elf(xlen, RAM, [*loads, Load(RAM, data)])
    assert len(whole) < 300_000
    refused(tmp_path / "x.elf", whole, r"segment 2: the segments up to here take 750,000 bytes")
    few = build_elf(xlen, RAM, [Load(RAM, data), Load(RAM + 0x40000, data[:9], offset=200)])
    (tmp_path / "y.elf").write_bytes(few)
    assert len(load(tmp_path / "y.elf").segments) == 2


@XLEN
def test_memory_of_all_segments_is_bounded(xlen: int, tmp_path: Path) -> None:
    size = (1 << xlen) // 16 if xlen == 32 else 1 << 32
    many = [Load(n * 16, b"", memsz=size) for n in range(20)]
    refused(tmp_path / "x.elf", build_elf(xlen, RAM, many), "all up to here want 0x")
    refused(
        tmp_path / "x.elf",
        build_elf(xlen, RAM, [Load((1 << xlen) - 16, bytes(8), paddr=RAM, memsz=17)]),
        "absurd size",
    )
    path = tmp_path / "top.elf"
    path.write_bytes(build_elf(xlen, RAM, [Load((1 << xlen) - 16, bytes(16))]))
    assert load(path).segments[0].base == (1 << xlen) - 16


@XLEN
def test_tables_of_small_entries(xlen: int, tmp_path: Path) -> None:
    """All entries at the same place: as many as one likes."""
    loads = [Load(RAM, bytes(16))]
    refused(
        tmp_path / "x.elf", build_elf(xlen, RAM, loads, phentsize=0), "program headers of 0 bytes"
    )
    path = tmp_path / "y.elf"
    path.write_bytes(build_elf(xlen, RAM, loads, [("main", RAM)], shentsize=0))
    assert load(path).symbols == {}


@XLEN
def test_names_that_share_their_ends(xlen: int, tmp_path: Path) -> None:
    """Some may, but not all of a name of 4 000 letters."""
    path = tmp_path / "x.elf"
    names = b"\0" + b"x" * 4000 + b"\0"
    symbols = [("", RAM)] * 4000
    offsets = list(range(1, 4001))
    data = build_elf(xlen, RAM, [Load(RAM, bytes(16))], symbols, names=names, name_offsets=offsets)
    path.write_bytes(data)
    found = load(path).symbols
    assert 0 < sum(map(len, found)) <= 2 * len(data)
    few = build_elf(
        xlen, RAM, [Load(RAM, bytes(16))], symbols[:2], names=b"\0abcd\0", name_offsets=[1, 3]
    )
    path.write_bytes(few)
    assert set(load(path).symbols) == {"abcd", "cd"}


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_file_has(name: str) -> None:
    with pytest.raises(ElfError, match="no name of a file") as caught:
        load(name)
    assert caught.value.args[0].isprintable()
