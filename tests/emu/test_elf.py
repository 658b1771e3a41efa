"""ELF files: what is read, and what broken ones say."""

import struct
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from time import process_time

import pytest
from elftools.construct import Construct
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.platforms.elf import SYMBOLS, ElfError, Program, Symbol, load
from emu.platforms.guard import Budget, Metered, UnreadableError, WorkError, guarded
from tests.elves import Load
from tests.elves import elf as build_elf
from tests.emu import structelf


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


@XLEN
def test_names_behind_their_table(xlen: int, tmp_path: Path) -> None:
    data = bytearray(
        build_elf(
            xlen,
            RAM,
            [Load(RAM, bytes(16))],
            [("", RAM), ("", RAM)],
            names=b"\0abcd\0",
            name_offsets=[1, 3],
        )
    )
    size, at = (64, 32) if xlen == 64 else (40, 20)
    struct.pack_into("<Q" if xlen == 64 else "<I", data, len(data) - size + at, 3)
    path = tmp_path / "x.elf"
    path.write_bytes(data)
    assert set(load(path).symbols) == {"abcd"}


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_file_has(name: str) -> None:
    with pytest.raises(ElfError, match="no name of a file") as caught:
        load(name)
    assert caught.value.args[0].isprintable()


def elves() -> list[Path]:
    found = sorted(Path(__file__).resolve().parent.parent.rglob("*.elf"))
    assert len(found) > 40
    return found


def outcome(read: Callable[..., Program], *arguments: object) -> tuple[object, list[str]]:
    """What it says, or the program and the order of its symbols."""
    try:
        program = read(*arguments)
    except ElfError as error:
        return str(error), []
    return program, list(program.symbols)


def test_every_file_is_read_as_without_the_library() -> None:
    for path in elves():
        assert outcome(load, path) == outcome(structelf.read, path, path.read_bytes())


def tables(data: bytes) -> list[tuple[int, int]]:
    """Offset and size of what has structure in an ELF file."""
    wide = data[4] == 2
    phoff, shoff = struct.unpack_from("<QQ" if wide else "<II", data, 32 if wide else 28)
    phentsize, phnum, shentsize, shnum = struct.unpack_from("<4H", data, 54 if wide else 42)
    found = [(0, 64 if wide else 52), (phoff, phentsize * phnum), (shoff, shentsize * shnum)]
    for number in range(shnum):
        at = shoff + number * shentsize
        kind, *_, offset, size = struct.unpack_from("<4xI4Q" if wide else "<4x5I", data, at)
        if kind in (2, 3, 0x7000_0003):
            found.append((offset, size))
    return [each for each in found if each[1]]


def damaged(data: bytes, rng: Random) -> bytes:
    """`data` cut short, or with some bytes of its structure changed, or both."""
    changed, places = bytearray(data), tables(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5, 30])):
        offset, size = rng.choice(places)
        at = offset + rng.randrange(size)
        value = rng.choice([0, 1, 2, 3, 5, 0x7F, 0x80, 0xFF, changed[at] ^ 1 << rng.randrange(8)])
        far = rng.choice([1 << 63, (1 << 64) - 1, len(data), len(data) - 1, rng.randrange(1 << 64)])
        new = rng.choice([bytes([value]), bytes([value]) * 4, far.to_bytes(8, "little")])
        changed[at : at + len(new)] = new
    if rng.random() < 0.2:
        del changed[rng.choice([rng.randrange(700), rng.randrange(len(data))]) :]
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_read_as_without_the_library(seed: int, tmp_path: Path) -> None:
    rng, path = Random(seed), tmp_path / "x.elf"
    refused = 0
    for whole in elves():
        data = whole.read_bytes()
        for _ in range(12):
            broken = damaged(data, rng)
            path.write_bytes(broken)
            expected = outcome(structelf.read, path, broken)
            assert outcome(load, path) == expected
            refused += isinstance(expected[0], str)
    assert refused > 50


@XLEN
def test_symbols_are_those_of_the_library(xlen: int, tmp_path: Path) -> None:
    """The table is read in bulk, by a layout of our own."""
    path = tmp_path / "x.elf"
    symbols = [(f"name_{n % 900}", RAM + 8 * n) for n in range(1000)]
    path.write_bytes(build_elf(xlen, RAM, [Load(RAM, bytes(16))], symbols))
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert elf.structs.Elf_Sym.sizeof() == SYMBOLS[xlen].itemsize
        section = next(elf.iter_sections("SHT_SYMTAB"))
        assert isinstance(section, SymbolTableSection)
        expected = {}
        for symbol in reversed(list(section.iter_symbols())):
            if symbol.name:
                kind = symbol["st_info"]["type"].removeprefix("STT_")
                expected[symbol.name] = Symbol(symbol["st_value"], symbol["st_size"], kind)
    assert load(path).symbols == expected and len(expected) == 900


def attributes(tmp_path: Path, content: bytes) -> Path:
    """A file whose section of attributes begins with this, the rest of it is zeros."""
    golden = Path(__file__).resolve().parent.parent / "golden" / "rv64-traps" / "rv64-traps.elf"
    data = bytearray(golden.read_bytes())
    (shoff,), (shnum,) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<H", data, 60)
    for at in range(shoff, shoff + 64 * shnum, 64):
        if struct.unpack_from("<I", data, at + 4) == (0x7000_0003,):
            struct.pack_into("<QQ", data, at + 24, len(data), 1 << 40)
    path = tmp_path / "attributes.elf"
    path.write_bytes(data + content + bytes(8))
    return path


ATTRIBUTES = b"A" + bytes(4) + b"riscv\0\x01" + bytes(4)


@pytest.mark.parametrize(
    ("content", "isa"),
    [
        (b"\x05rv64i\0", "rv64i"),
        (b"\x04\x10\x05rv64i\0", "rv64i"),
        # An odd tag has a string, whether anybody knows it or not; the psABI says so.
        (b"\x07name\0\x05rv64i\0", "rv64i"),
        (b"\x83\x01name\0\x84\x01\x80\x01\x05rv64i\0", "rv64i"),
        (b"\x05rv\xff64\0", "rv\ufffd64"),
        (b"\x04\x10", None),
        # What would take time that grows with its square, or never ends.
        (b"\x04" + b"\x80" * (1 << 20), None),
        (b"\x04" + b"\xff" * 300 + b"\x01\x05rv64i\0", None),
        (b"\x04\x01" * (1 << 20), None),
        (b"\x07" * (1 << 20), None),
    ],
)
def test_attributes(tmp_path: Path, content: bytes, isa: str | None) -> None:
    began = process_time()
    assert load(attributes(tmp_path, ATTRIBUTES + content)).isa == isa
    assert process_time() - began < 5


@pytest.mark.parametrize(
    "head", [b"", b"B", b"A" + bytes(4) + b"gnu\0\x01", ATTRIBUTES[:-5] + b"\x02"]
)
def test_attributes_of_others(tmp_path: Path, head: bytes) -> None:
    assert load(attributes(tmp_path, head + bytes(4) + b"\x05rv64i\0")).isa is None


@XLEN
def test_as_many_sections_as_there_can_be(xlen: int, tmp_path: Path) -> None:
    """None is a symbol table; the last one that is named is beyond the file."""
    data = bytearray(build_elf(xlen, RAM, [Load(RAM, bytes(16))]))
    size, shoff = (64, 40) if xlen == 64 else (40, 32)
    at = len(data)
    struct.pack_into("<Q" if xlen == 64 else "<I", data, shoff, at)
    struct.pack_into("<H", data, 60 if xlen == 64 else 48, 0xFFFF)
    path = tmp_path / "x.elf"
    path.write_bytes(data + struct.pack("<II", 0, 3).ljust(size, b"\0") * 0xFFF0)
    began = process_time()
    program = load(path)
    assert (program.symbols, program.isa) == ({}, None)
    assert process_time() - began < 20


def test_the_guard_lets_one_error_out() -> None:
    for error in (RecursionError, KeyError, MemoryError, OverflowError, AssertionError, WorkError):
        with pytest.raises(UnreadableError), guarded():
            raise error("anything")
    with pytest.raises(KeyboardInterrupt), guarded():
        raise KeyboardInterrupt


def test_what_the_library_raises_is_one_line(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("p_type\nof another version")

    monkeypatch.setattr(Construct, "parse_stream", fail)
    with pytest.raises(ElfError, match="broken ELF file: ValueError: p_type of") as caught:
        load(elf)
    assert "\n" not in str(caught.value)


def test_what_is_read_is_bounded() -> None:
    """By the size of the file, however often the same bytes are read."""
    stream = Metered(BytesIO(bytes(100)), Budget(100))
    with pytest.raises(WorkError):
        for _ in range(1 << 17):
            stream.seek(0)
    stream = Metered(BytesIO(bytes(1 << 20)), Budget(100))
    with pytest.raises(WorkError):
        stream.read(1 << 40)
    budget = Budget()
    for _ in range(100):
        budget.grant(1 << 30)
    assert budget.reads <= 1 << 21
