"""ELF files read with `struct` alone: what `emu.platforms.elf`, on pyelftools, must make of any
file.

The limits are spelt out again: of bytes that segments and names share, 2 times the file; 256
segments; 2^20 symbols; names of 4096 bytes; 64 KiB of attributes.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emu.platforms.elf import ElfError, Program, Segment, Symbol

# System V ABI, "Object Files"; RISC-V ELF psABI for the machine and the attribute section.
_EM_RISCV = 243
_ET_EXEC, _ET_DYN = 2, 3
_PT_LOAD, _PF_X = 1, 1
_SHT_SYMTAB, _SHT_RISCV_ATTRIBUTES = 2, 0x7000_0003
_SHN_UNDEF = 0
_TAG_ARCH = 5
_SYMBOL_TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 5: "COMMON", 6: "TLS", 10: "GNU_IFUNC"}


class _Header(NamedTuple):
    """What follows e_ident."""

    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


class _Format(NamedTuple):
    """Structures of one class, and where (type, flags, offset, vaddr, paddr, filesz, memsz) of a
    program header and (name, info, shndx, value, size) of a symbol are.
    """

    header: struct.Struct
    segment: struct.Struct
    segment_fields: tuple[int, ...]
    section: struct.Struct
    symbol: struct.Struct
    symbol_fields: tuple[int, ...]


_FORMATS = {
    32: _Format(
        struct.Struct("<HHIIIIIHHHHHH"),
        struct.Struct("<8I"),
        (0, 6, 1, 2, 3, 4, 5),
        struct.Struct("<10I"),
        struct.Struct("<IIIBBH"),
        (0, 3, 5, 1, 2),
    ),
    64: _Format(
        struct.Struct("<HHIQQQIHHHHHH"),
        struct.Struct("<IIQQQQQQ"),
        (0, 1, 2, 3, 4, 5, 6),
        struct.Struct("<IIQQQQIIQQ"),
        struct.Struct("<IBBHQQ"),
        (0, 1, 3, 4, 5),
    ),
}


def read(where: Path, data: bytes) -> Program:
    """As `emu.platforms.elf.load` of a file `where` that has `data`."""
    if data[:4] != b"\x7fELF":
        raise ElfError(f"{where}: not an ELF file")
    if len(data) < 16 or data[4] not in (1, 2):
        raise ElfError(f"{where}: broken ELF file: no class")
    xlen = 32 * data[4]
    layout = _FORMATS[xlen]
    if data[5] != 1:
        raise ElfError(f"{where}: not a little-endian ELF file")
    if len(data) < 16 + layout.header.size:
        raise ElfError(f"{where}: truncated: the ELF header is cut off")
    header = _Header(*layout.header.unpack_from(data, 16))
    if header.machine != _EM_RISCV:
        raise ElfError(f"{where}: for another machine (e_machine {header.machine}), not RISC-V")
    if header.type not in (_ET_EXEC, _ET_DYN):
        raise ElfError(f"{where}: not linked (e_type {header.type}): give an executable")
    segments = _segments(where, data, header, xlen)
    sections = _sections(data, header, layout)
    symbols = dict(_symbols(data, sections, layout))
    digest = hashlib.sha256(data).hexdigest()
    return Program(where, xlen, header.entry, segments, symbols, _isa(data, sections), digest)


def _segments(path: Path, data: bytes, header: _Header, xlen: int) -> tuple[Segment, ...]:
    layout = _FORMATS[xlen]
    if header.phnum > 256:
        raise ElfError(f"{path}: {header.phnum} program headers (at most {256} are read)")
    if header.phentsize < layout.segment.size and header.phnum:
        raise ElfError(f"{path}: broken ELF file: program headers of {header.phentsize} bytes")
    segments = []
    taken = memory = 0
    for number in range(header.phnum):
        at = header.phoff + number * header.phentsize
        if at + layout.segment.size > len(data):
            raise ElfError(
                f"{path}: truncated: program header {number} is past the end of the file"
            )
        fields = layout.segment.unpack_from(data, at)
        kind, flags, offset, vaddr, base, filesz, memsz = (fields[i] for i in layout.segment_fields)
        if kind != _PT_LOAD or memsz == 0:
            continue
        if offset + filesz > len(data):
            raise ElfError(f"{path}: truncated: segment {number} ends past the end of the file")
        if filesz > memsz:
            raise ElfError(f"{path}: segment {number} is larger in the file than in memory")
        if max(base, vaddr) + memsz > 1 << xlen:
            raise ElfError(f"{path}: segment {number} has an absurd size ({memsz:#x} at {base:#x})")
        # Before any byte is copied: all headers may point at the same ones.
        taken, memory = taken + filesz, memory + memsz
        if taken > 2 * len(data):
            raise ElfError(
                f"{path}: segment {number}: the segments up to here take {taken:,} bytes of a file "
                f"of {len(data):,}; not what a linker makes"
            )
        if memory > 4 << 30:
            raise ElfError(
                f"{path}: segment {number} has an absurd size ({memsz:#x} at {base:#x}): all up to "
                f"here want {memory:#x} bytes of memory"
            )
        content = data[offset : offset + filesz]
        runs_at = None if vaddr == base else vaddr
        segments.append(Segment(base, content, memsz, bool(flags & _PF_X), runs_at))
    if not segments:
        raise ElfError(f"{path}: no loadable segment")
    return tuple(segments)


def _sections(data: bytes, header: _Header, layout: _Format) -> list[_Section]:
    """Section headers. Sections help and are not needed to run: what is broken is left out."""
    sections: list[_Section] = []
    if header.shentsize < layout.section.size:
        return sections
    for number in range(header.shnum):
        at = header.shoff + number * header.shentsize
        if at + layout.section.size <= len(data):
            sections.append(_Section(*layout.section.unpack_from(data, at)))
    return sections


def _symbols(
    data: bytes, sections: list[_Section], layout: _Format
) -> Iterator[tuple[str, Symbol]]:
    """Name and symbol from the first symbol table, in reverse: of equal names the first counts.

    Names may share their ends in the file. Where all together are far longer than it, none more are
    read.
    """
    table = next((s for s in sections if s.type == _SHT_SYMTAB), None)
    if table is None or table.link >= len(sections):
        return
    strings = sections[table.link]
    size = layout.symbol.size
    room = 2 * len(data)
    count = min(table.size // size, 1 << 20, max(0, len(data) - table.offset) // size)
    for number in reversed(range(count)):
        fields = layout.symbol.unpack_from(data, table.offset + number * size)
        name, info, section, address, extent = (fields[i] for i in layout.symbol_fields)
        kind = _SYMBOL_TYPES.get(info & 15)
        if kind is None or section == _SHN_UNDEF or name >= strings.size:
            continue
        text = _string(data, strings.offset + name)
        room -= len(text)
        if room < 0:
            return
        # Mapping symbols ($x, $d) and local labels (.L) name no place that a person knows.
        if text and text[0] not in "$.":
            yield text, Symbol(address, extent, kind)


def _string(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + 4096)
    return data[at:end].decode("utf-8", "replace") if end > at else ""


def _isa(data: bytes, sections: list[_Section]) -> str | None:
    """Tag_RISCV_arch of the attribute section: vendor "riscv", attributes of the whole file."""
    section = next((s for s in sections if s.type == _SHT_RISCV_ATTRIBUTES), None)
    if section is None:
        return None
    content = data[section.offset : section.offset + min(section.size, 1 << 16)]
    # 'A', length (4), "riscv" NUL, then tag (1), length (4), attributes.
    if content[:1] != b"A" or content[5:11] != b"riscv\0" or content[11:12] != b"\x01":
        return None
    at = 16
    while at < len(content):
        tag, at = _uleb128(content, at)
        if tag % 2 == 0:
            _, at = _uleb128(content, at)
            continue
        end = content.find(b"\0", at)
        if end < 0:
            return None
        if tag == _TAG_ARCH:
            return content[at:end].decode("ascii", "replace")
        at = end + 1
    return None


def _uleb128(content: bytes, at: int) -> tuple[int, int]:
    """The number at `at` (its low 64 bits), and the position behind it."""
    value, shift = 0, 0
    while at < len(content):
        byte = content[at]
        if shift < 64:
            value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
