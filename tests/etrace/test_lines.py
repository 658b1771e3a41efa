"""Source lines from DWARF information that is made to take all time and memory."""

import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emu.platforms import guard as elfguard
from etrace.trace.lines import Lines

RAM = 0x8000_0000
#: Seconds: far more than one of these files takes, far less than what it asks for.
PATIENCE = 20

Sections = dict[str, bytes]


def leb(*values: int) -> bytes:
    """ULEB128 numbers."""
    data = b""
    for value in values:
        while value > 0x7F:
            data += bytes([value & 0x7F | 0x80])
            value >>= 7
        data += bytes([value])
    return data


def sized(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


def elf(sections: Sections, shnum: int | None = None, shentsize: int = 64, size0: int = 0) -> bytes:
    """A 64-bit ELF file of these sections. `size0`: sh_size of the null section."""
    names, body = b"\0", b""
    rows = [struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 0, size0, 0, 0, 0, 0)]
    for name, data in {**sections, ".shstrtab": b""}.items():
        at = len(names)
        names += name.encode() + b"\0"
        data = names if name == ".shstrtab" else data
        kind = 3 if name == ".shstrtab" else 1
        rows.append(struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, 64 + len(body), len(data), *[0] * 4))
        body += data
    shstrndx = len(rows) - 1
    rows += rows[1:2] * ((shnum or 0) - len(rows))
    count = len(rows) if shnum is None else shnum
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    start = struct.pack("<HHIQQQI", 2, 243, 1, RAM, 0, 64 + len(body), 0)
    start += struct.pack("<6H", 64, 56, 0, shentsize, count, shstrndx)
    return ident + start + body + b"".join(rows)


def abbreviation(*specs: bytes) -> bytes:
    """Code 1: a compile unit with DW_AT_low_pc, high_pc (data8), stmt_list, and `specs`."""
    pairs = leb(0x11, 0x01, 0x12, 0x07, 0x10, 0x17) + b"".join(specs)
    return leb(1, 0x11) + b"\0" + pairs + b"\0\0" + b"\0"


def unit(extra: bytes = b"", table: int = 0, abbrev: int = 0) -> bytes:
    header = struct.pack("<HBBI", 5, 1, 8, abbrev)
    return sized(header + b"\1" + struct.pack("<QQI", RAM, 0x1000, table) + extra)


def table(formats: bytes, program: bytes | None = None, version: int = 5) -> bytes:
    """A line table: `formats` is what follows standard_opcode_lengths."""
    if program is None:
        # set_address; line 5; copy; on by 64; end_sequence
        program = b"\0\x09\x02" + struct.pack("<Q", RAM) + b"\x03\x04\x01\x02\x40\0\x01\x01"
    header = b"\x01\x01\x01\xfb\x0e\x0d" + bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]) + formats
    sizes = b"\x08\0" if version == 5 else b""
    return sized(struct.pack("<H", version) + sizes + sized(header) + program)


#: One directory and one file, their names in .debug_line_str.
FORMATS = b"\x01" + leb(1, 0x1F, 1) + bytes(4)
FORMATS += b"\x02" + leb(1, 0x1F, 2, 0x0B, 2) + (struct.pack("<I", 4) + b"\0") * 2
STRINGS = b"dir\0main.c\0"


def whole(**changes: bytes) -> Sections:
    """What has a line, with some sections changed."""
    sections = {
        "abbrev": abbreviation(),
        "info": unit(),
        "line": table(FORMATS),
        "line_str": STRINGS,
    }
    return {f".debug_{name}": data for name, data in {**sections, **changes}.items()}


def v4_names() -> bytes:
    return b"\0" + b"main.c\0\0\0\0" + b"\0"


def many_strings(form: int, where: str) -> Sections:
    return whole(
        abbrev=abbreviation(leb(0x03, form) * 2000),
        info=unit(bytes(4 * 2000)),
        **{where: b"A" * 5_000_000 + b"\0"},
    )


def many_names() -> Sections:
    """Each file of the table is named by the same long string."""
    formats = b"\0\0" + b"\x01" + leb(1, 0x1F, 50_000) + bytes(200_000)
    return whole(line=table(formats), line_str=b"A" * 1_000_000 + b"\0")


def many_units(specs: bytes = b"", extra: bytes = b"", count: int = 50_000) -> Sections:
    return whole(abbrev=abbreviation(specs), info=unit(extra) * count)


def overlapping_abbreviations() -> Sections:
    """Each unit's declaration begins a byte further on in the same one: number, tag, attributes and
    their form (DW_FORM_addr) are one byte value.
    """
    units = b"".join(sized(struct.pack("<HBBI", 5, 1, 8, at) + b"\1") for at in range(50_000))
    return whole(abbrev=b"\1" * 400_001 + bytes(5), info=units + bytes(1_700_000))


def overlapping_tables() -> Sections:
    """Each unit's table is the same one, with a header of its own, up to the end of all."""
    head = table(v4_names(), b"", 4)
    count = 200
    size = len(head)
    data = bytearray()
    for at in range(count):
        rest = (count - 1 - at) * size + 200_000
        data += struct.pack("<I", size - 4 + rest) + head[4:]
    units = b"".join(unit(table=at * size) for at in range(count))
    return whole(line=bytes(data) + b"\x01" * 200_000, info=units)


def overlapping_ranges() -> Sections:
    """DW_AT_ranges of all units lead into one list."""
    entries = struct.pack("<QQ", 1, 2) * 60_000 + bytes(16)
    declaration = leb(1, 0x11) + b"\0" + leb(0x55, 0x17) + b"\0\0\0"
    units = b"".join(
        sized(struct.pack("<HIB", 4, 0, 8) + b"\1" + struct.pack("<I", 16 * at))
        for at in range(20_000)
    )
    return whole(abbrev=declaration, info=units, ranges=entries)


def overlapping_aranges() -> Sections:
    """Sets of no entries, each of which is read up to the end of the section."""
    header = struct.pack("<IHIBB", 12, 2, 0, 8, 0) + bytes(4)
    return whole(aranges=header * 60_000 + bytes(32))


def long_number() -> Sections:
    """A number of a million bytes in the program of the table."""
    program = b"\x02" + b"\xff" * 200_000 + b"\x01"
    return whole(
        line=table(FORMATS, program), abbrev=b"\xff" * 1_000_000 + b"\x01" + abbreviation()
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "directories without bytes": lambda: elf(
        whole(line=table(b"\0" + leb(1 << 40) + b"\0" + leb(0)))
    ),
    "files without bytes": lambda: elf(whole(line=table(b"\0\0" + b"\0" + leb(1 << 40)))),
    "directories that are flags": lambda: elf(
        whole(line=table(b"\x01" + leb(1, 0x19, 1 << 40) + b"\0\0"))
    ),
    "files that are not there": lambda: elf(
        whole(line=table(b"\0\0" + b"\x01" + leb(1, 0x0B, 1 << 40)))
    ),
    "strp": lambda: elf(many_strings(0x0E, "str")),
    "line_strp": lambda: elf(many_strings(0x1F, "line_str")),
    "names of files": lambda: elf(many_names()),
    "constants in abbreviations": lambda: elf(many_units(leb(0x03, 0x21, 0) * 100_000)),
    "flags in abbreviations": lambda: elf(many_units(leb(0x03, 0x19) * 100_000)),
    "abbreviations": lambda: elf(overlapping_abbreviations()),
    "tables": lambda: elf(overlapping_tables()),
    "ranges": lambda: elf(overlapping_ranges()),
    "aranges": lambda: elf(overlapping_aranges()),
    "number": lambda: elf(long_number()),
    "units of no bytes": lambda: elf(whole(info=bytes(2_000_000))),
    "section headers in one place": lambda: elf(whole(), shnum=0, shentsize=0, size0=1 << 40),
    "names of sections": lambda: elf({"A" * 5_000_000: b""}, shnum=60_000),
}


class TooLong(BaseException):
    """Nothing that the reader of lines may catch."""


@pytest.fixture
def patience() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_is_bounded(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(elfguard, "_MOST_READS", 1 << 17)
    path = tmp_path / "hostile.elf"
    path.write_bytes(HOSTILE[name]())
    names = Lines([str(path)])
    assert {names.name(RAM + at) for at in range(16)} == {""}


@pytest.mark.usefixtures("patience")
def test_many_programs_share_what_is_done(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(elfguard, "_MOST_READS", 1 << 17)
    path = tmp_path / "hostile.elf"
    path.write_bytes(HOSTILE["ranges"]())
    assert Lines([str(path)] * 64).name(RAM) == ""


@pytest.mark.parametrize("version", [4, 5])
def test_such_tables_have_lines_when_they_are_sound(version: int, tmp_path: Path) -> None:
    path = tmp_path / "sound.elf"
    data = table(FORMATS) if version == 5 else table(v4_names(), version=4)
    path.write_bytes(elf(whole(line=data)))
    assert Lines([str(path)]).name(RAM + 8) == "main.c:5"
    assert Lines([str(path)]).name(RAM + 0x40) == ""


@pytest.mark.parametrize("line", [-5, 1 << 32, 1 << 100])
def test_a_line_that_cannot_be_is_none(line: int, tmp_path: Path) -> None:
    path = tmp_path / "far.elf"
    operand, rest = b"", line - 1
    while not -64 <= rest < 64:
        operand, rest = operand + bytes([rest & 0x7F | 0x80]), rest >> 7
    operand += bytes([rest & 0x7F])
    program = b"\0\x09\x02" + struct.pack("<Q", RAM) + b"\x03" + operand + b"\x01\x02\x40\0\x01\x01"
    path.write_bytes(elf(whole(line=table(FORMATS, program))))
    assert Lines([str(path)]).name(RAM) == ""
