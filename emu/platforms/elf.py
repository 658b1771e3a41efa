"""ELF files: what a machine loads and what a decoder reads code and symbols from.

Their structure is pyelftools' (`emu.platforms.guard`). These files may be hostile: here are the
limits that bound the work and memory which they can cause by their size.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from emu.platforms.guard import Budget, Metered, Tables, UnreadableError, guarded

if TYPE_CHECKING:
    from elftools.construct.lib.container import Container

#: Limits: bytes of file, of all segments in memory, and counts.
MAX_FILE = 1 << 30
MAX_MEMORY = 4 << 30
MAX_SEGMENTS = 256
#: Segments may share bytes of the file, but all together not take more than so many times its size;
#: the names of symbols likewise.
MAX_SHARING = 2
MAX_SYMBOLS = 1 << 20
MAX_NAME = 4096
MAX_ATTRIBUTES = 1 << 16

# System V ABI, "Symbol Table"; RISC-V ELF psABI, "Attributes".
_SHN_UNDEF = 0
_TAG_FILE, _TAG_ARCH = 1, 5
_SYMBOL_TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 5: "COMMON", 6: "TLS", 10: "GNU_IFUNC"}

#: `Elf_Sym` by class, as a table is read in bulk: pyelftools takes 30 us for each symbol.
SYMBOLS = {
    32: np.dtype(
        [
            ("st_name", "<u4"), ("st_value", "<u4"), ("st_size", "<u4"),
            ("st_info", "u1"), ("st_other", "u1"), ("st_shndx", "<u2"),
        ]
    ),
    64: np.dtype(
        [
            ("st_name", "<u4"), ("st_info", "u1"), ("st_other", "u1"), ("st_shndx", "<u2"),
            ("st_value", "<u8"), ("st_size", "<u8"),
        ]
    ),
}  # fmt: skip


class ElfError(ValueError):
    """A file that cannot be loaded: which, and why, in one line."""


@dataclass(frozen=True)
class Segment:
    """`memsz` bytes from `base` (physical address): `data`, then zeros. `vaddr`: the address that
    it is linked for if that is another one, to which the program copies it; else None.
    """

    base: int
    data: bytes
    memsz: int
    executable: bool
    vaddr: int | None = None

    @property
    def places(self) -> tuple[int, ...]:
        """Where it is stored and, last, where it runs: one address or two."""
        return (self.base,) if self.vaddr is None else (self.base, self.vaddr)


@dataclass(frozen=True)
class Symbol:
    """`type` as in the ELF: "FUNC", "OBJECT", "NOTYPE", ..."""

    address: int
    size: int
    type: str


@dataclass(frozen=True)
class Program:
    """A loadable program. `isa` is the RISC-V attribute section's string, if there is one."""

    path: Path
    xlen: int
    entry: int
    segments: tuple[Segment, ...]
    symbols: dict[str, Symbol]
    isa: str | None
    sha256: str


def load(path: str | os.PathLike[str]) -> Program:
    """Read a RISC-V ELF executable. Raises ElfError (one line), nothing else."""
    where = Path(path)
    try:
        with where.open("rb") as file:
            data = read_file(file, MAX_FILE)
    except OSError as error:
        raise ElfError(f"{where}: {error.strerror or error}") from None
    except ValueError as error:
        raise ElfError(f"{str(where)!r}: no name of a file: {error}") from None
    if len(data) > MAX_FILE:
        raise ElfError(f"{where}: larger than {MAX_FILE >> 20} MiB")
    if data[:4] != b"\x7fELF":
        raise ElfError(f"{where}: not an ELF file")
    if len(data) < 16 or data[4] not in (1, 2):
        raise ElfError(f"{where}: broken ELF file: no class")
    if data[5] != 1:
        raise ElfError(f"{where}: not a little-endian ELF file")
    xlen = 32 * data[4]
    try:
        return _program(where, Tables(data, xlen), xlen)
    except UnreadableError as error:
        raise ElfError(f"{where}: broken ELF file: {' '.join(str(error).split())}") from None


def _program(path: Path, tables: Tables, xlen: int) -> Program:
    header = _header(path, tables)
    segments = _segments(path, tables, header, xlen)
    table, attributes = _sections(tables, "SHT_SYMTAB", "SHT_RISCV_ATTRIBUTES")
    symbols = dict(_symbols(tables, table, xlen))
    digest = hashlib.sha256(tables.data).hexdigest()
    isa = _isa(tables, attributes)
    return Program(path, xlen, header.e_entry, segments, symbols, isa, digest)


def _header(path: Path, tables: Tables) -> "Container":
    from elftools.elf.enums import ENUM_E_MACHINE, ENUM_E_TYPE

    header = tables.header
    if header is None:
        raise ElfError(f"{path}: truncated: the ELF header is cut off")
    if header.e_machine != "EM_RISCV":
        number = ENUM_E_MACHINE.get(header.e_machine, header.e_machine)
        raise ElfError(f"{path}: for another machine (e_machine {number}), not RISC-V")
    if header.e_type not in ("ET_EXEC", "ET_DYN"):
        number = ENUM_E_TYPE.get(header.e_type, header.e_type)
        raise ElfError(f"{path}: not linked (e_type {number}): give an executable")
    return header


def read_file(file: BinaryIO, most: int) -> bytes:
    """What `file` has. At most one byte more than `most` is read, by which the caller sees that it
    is too large, and at most one more than a regular file says it has.
    """
    about = os.fstat(file.fileno())
    if stat.S_ISREG(about.st_mode) and about.st_size:
        most = min(most, about.st_size)
    return file.read(most + 1)


def _segments(path: Path, tables: Tables, header: "Container", xlen: int) -> tuple[Segment, ...]:
    from elftools.elf.constants import P_FLAGS

    if header.e_phnum > MAX_SEGMENTS:
        raise ElfError(
            f"{path}: {header.e_phnum} program headers (at most {MAX_SEGMENTS} are read)"
        )
    if header.e_phentsize < tables.segment_size and header.e_phnum:
        raise ElfError(f"{path}: broken ELF file: program headers of {header.e_phentsize} bytes")
    data = tables.data
    segments = []
    taken = memory = 0
    for number in range(header.e_phnum):
        found = tables.segment(number)
        if found is None:
            raise ElfError(
                f"{path}: truncated: program header {number} is past the end of the file"
            )
        offset, filesz, memsz = found.p_offset, found.p_filesz, found.p_memsz
        vaddr, base = found.p_vaddr, found.p_paddr
        if found.p_type != "PT_LOAD" or memsz == 0:
            continue
        if offset + filesz > len(data):
            raise ElfError(f"{path}: truncated: segment {number} ends past the end of the file")
        if filesz > memsz:
            raise ElfError(f"{path}: segment {number} is larger in the file than in memory")
        if max(base, vaddr) + memsz > 1 << xlen:
            raise ElfError(f"{path}: segment {number} has an absurd size ({memsz:#x} at {base:#x})")
        # Before any byte is copied: all headers may point at the same ones.
        taken, memory = taken + filesz, memory + memsz
        if taken > MAX_SHARING * len(data):
            raise ElfError(
                f"{path}: segment {number}: the segments up to here take {taken:,} bytes of a file "
                f"of {len(data):,}; not what a linker makes"
            )
        if memory > MAX_MEMORY:
            raise ElfError(
                f"{path}: segment {number} has an absurd size ({memsz:#x} at {base:#x}): all up to "
                f"here want {memory:#x} bytes of memory"
            )
        content = data[offset : offset + filesz]
        runs_at = None if vaddr == base else vaddr
        segments.append(Segment(base, content, memsz, bool(found.p_flags & P_FLAGS.PF_X), runs_at))
    if not segments:
        raise ElfError(f"{path}: no loadable segment")
    return tuple(segments)


def _sections(tables: Tables, *kinds: str) -> "list[Container | None]":
    """The first section of each type. Sections help and are not needed to run: what is broken is
    left out.
    """
    found: dict[str, Container] = {}
    number = 0
    while len(found) < len(kinds) and (section := tables.section(number)) is not None:
        if section.sh_type in kinds:
            found.setdefault(section.sh_type, section)
        number += 1
    return [found.get(kind) for kind in kinds]


def _symbols(tables: Tables, table: "Container | None", xlen: int) -> Iterator[tuple[str, Symbol]]:
    """Name and symbol from a symbol table, in reverse: of equal names the first counts.

    Names may share their ends in the file. Where all together are far longer than it, none more are
    read.
    """
    strings = None if table is None else tables.section(table.sh_link)
    if table is None or strings is None:
        return
    data, layout = tables.data, SYMBOLS[xlen]
    room = MAX_SHARING * len(data)
    size = max(0, min(table.sh_size, len(data) - table.sh_offset))
    count = min(size // layout.itemsize, MAX_SYMBOLS)
    if not count:
        return
    rows = np.frombuffer(data, layout, count, table.sh_offset)
    kinds = rows["st_info"] & 15
    named = np.isin(kinds, list(_SYMBOL_TYPES)) & (rows["st_shndx"] != _SHN_UNDEF)
    named &= rows["st_name"] < strings.sh_size
    columns = (rows["st_name"], rows["st_value"], rows["st_size"], kinds)
    for name, address, extent, kind in zip(
        *(column[named][::-1].tolist() for column in columns), strict=True
    ):
        text = _string(data, strings.sh_offset + name)
        room -= len(text)
        if room < 0:
            return
        # Mapping symbols ($x, $d) and local labels (.L) name no place that a person knows.
        if text and text[0] not in "$.":
            yield text, Symbol(address, extent, _SYMBOL_TYPES[kind])


def _string(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + MAX_NAME)
    return data[at:end].decode("utf-8", "replace") if end > at else ""


def _isa(tables: Tables, section: "Container | None") -> str | None:
    """Tag_RISCV_arch of an attribute section: vendor "riscv", attributes of the whole file."""
    if section is None:
        return None
    end = section.sh_offset + min(section.sh_size, MAX_ATTRIBUTES)
    content = tables.data[section.sh_offset : end]
    metered: Any = Metered(BytesIO(content), Budget(len(content)))
    try:
        with guarded():
            return _arch(tables.structs, metered)
    except UnreadableError:
        return None


def _arch(structs: Any, stream: Any) -> str | None:
    """(pyelftools' own walk takes every attribute for a number but the one of this tag, where the
    psABI has strings at all odd tags.)
    """
    number, text = structs.Elf_uleb128(""), structs.Elf_ntbs("")
    if stream.read(1) != b"A":
        return None
    vendor = structs.Elf_Attr_Subsection_Header.parse_stream(stream).vendor_name
    if vendor != "riscv" or number.parse_stream(stream) != _TAG_FILE:
        return None
    structs.Elf_word("").parse_stream(stream)
    while (tag := number.parse_stream(stream)) != _TAG_ARCH:
        (text if tag % 2 else number).parse_stream(stream)
    arch: bytes = text.parse_stream(stream)
    return arch.decode("ascii", "replace")
