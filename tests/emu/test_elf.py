"""ELF files: what is read, and what broken ones say."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.elf import ElfError, load


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
