"""Source lines of addresses, from the DWARF information of programs that have any.

Read with pyelftools, and only for the few addresses of a report: the compilation unit that has the
address is looked up (`.debug_aranges`, or the ranges of the units), and only its line table is
read. What is broken or too large has no lines: they help, and nothing depends on them.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import IO, Any

#: Limits for files that nobody has looked at. Bytes of all debug sections of all programs, and of
#: a section that is read entry by entry; bytes of a line table.
_MOST_BYTES = 256 << 20
_MOST_LISTED = 1 << 20
_LISTED = (".debug_abbrev", ".debug_aranges", ".debug_ranges", ".debug_rnglists")
_MOST_TABLE = 1 << 18
#: Sections that pyelftools reads whole.
_READ = (".debug_", ".zdebug_", ".eh_frame", ".gnu_debugaltlink")
#: Entries of the units that are looked at, to know where they are.
_MOST_WORK = 1 << 17
#: What is read: times the size of a program, and calls for all programs however large they are.
_MOST_SHARING = 4
_LEAST_READS = 1 << 16
_MOST_READS = 1 << 21
#: Bytes of a LEB128 number, and of a file's name.
_MOST_LEB128 = 256
_MOST_NAME = 4096
#: `DW_LNCT_directory_index` is 0 for the unit's own directory from DWARF 5 on.
_DWARF5 = 5


class _WorkError(Exception):
    """A file that would take more work than its size is worth."""


class _Budget:
    """What may be read of all programs. Offsets in DWARF may all lead to the same bytes, so the
    work is bounded here, where it is done, and not by what the headers say.
    """

    def __init__(self) -> None:
        self.reads = 0
        self.bytes = 0
        #: What the debug sections of all may become, decompressed.
        self.sections = _MOST_BYTES
        self._granted = 0

    def grant(self, size: int) -> None:
        """Allow what `size` bytes are worth."""
        reads = min(_LEAST_READS + _MOST_SHARING * size, _MOST_READS - self._granted)
        self._granted += reads
        self.reads += reads
        self.bytes += _LEAST_READS + _MOST_SHARING * size


class _Metered:
    """The stream `file`, of whose `budget` each call takes."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self._file = file
        self._budget = budget
        self._continued = 0  # bytes of the LEB128 number that is being read, or of bytes like it

    def read(self, size: int) -> bytes:
        self._take()
        data = self._file.read(min(size, self._budget.bytes + 1))
        self._budget.bytes -= len(data)
        if self._budget.bytes < 0:
            raise _WorkError
        # Numbers of any length would take time that grows with its square.
        self._continued = self._continued + 1 if size == 1 and data > b"\x7f" else 0
        if self._continued > _MOST_LEB128:
            raise _WorkError
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._take()
        self._continued = 0
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        self._take()
        self._continued = 0
        return self._file.tell()

    def _take(self) -> None:
        self._budget.reads -= 1
        if self._budget.reads < 0:
            raise _WorkError


class Lines:
    """Looks up lines in the programs `paths`, which are opened at the first use."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._units: list[_Units] | None = None

    def name(self, address: int) -> str:
        """`file.c:12`; empty where that is not known."""
        if self._units is None:
            budget = _Budget()
            self._units = [_Units(path, budget) for path in self._paths]
        return next((found for each in self._units if (found := each.name(address))), "")


class _Units:
    """The compilation units of a program, and the line tables that were asked for."""

    def __init__(self, path: str, budget: _Budget) -> None:
        self._tables: dict[int, _Table] = {}
        self._spans: list[tuple[int, int, Any]] | None = None
        self._dwarf: Any = None
        # Untrusted files make pyelftools raise whatever there is.
        try:
            self._open(path, budget)
        except Exception:
            self._dwarf = None

    def name(self, address: int) -> str:
        if self._dwarf is None:
            return ""
        try:
            names = (self._table(unit).name(address) for unit in self._units(address))
            return next((name for name in names if name), "")
        except Exception:  # as above
            return ""

    def _table(self, unit: Any) -> "_Table":
        if unit.cu_offset not in self._tables:
            self._tables[unit.cu_offset] = _Table(self._dwarf, unit)
        return self._tables[unit.cu_offset]

    def _open(self, path: str, budget: _Budget) -> None:
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor
        from elftools.elf.elffile import ELFFile

        with open(path, "rb") as file:
            budget.grant(os.fstat(file.fileno()).st_size)
            metered: Any = _Metered(file, budget)
            elf = ELFFile(metered)
            sizes = [
                (section.name, section.data_size)
                for section in elf.iter_sections()
                if section.name.startswith(_READ)
            ]
            total = sum(size for _, size in sizes)
            # `.zdebug_`, the old way of compression, does not say how large a section becomes.
            if (
                not elf.has_dwarf_info()
                or any(name.startswith(".z") for name, _ in sizes)
                or total > budget.sections
                or any(size > _MOST_LISTED for name, size in sizes if name in _LISTED)
            ):
                return
            budget.sections -= total
            dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
        budget.grant(total)
        for name, section in vars(dwarf).items():
            if isinstance(section, DebugSectionDescriptor):
                metered = _Metered(section.stream, budget)
                setattr(dwarf, name, section._replace(stream=metered))
        self._aranges = dwarf.get_aranges()
        self._dwarf = dwarf

    def _units(self, address: int) -> Iterator[Any]:
        """The units that may have the address. (Ranges that overlap are seen in the wild.)"""
        if self._aranges is not None:
            offset = self._aranges.cu_offset_at_addr(address)
            if offset is not None:
                yield self._dwarf.get_CU_at(offset)
                return
        if self._spans is None:
            self._spans = []
            self._find_spans(self._spans)
        yield from (unit for low, high, unit in self._spans if low <= address < high)

    def _find_spans(self, spans: list[tuple[int, int, Any]]) -> None:
        """Append where the units are, up to where the work becomes too much, or they are broken."""
        work = 0
        for unit in self._dwarf.iter_CUs():
            ranges = _ranges(self._dwarf, unit)
            spans += [(low, high, unit) for low, high in ranges]
            work += len(ranges) + len(unit.get_top_DIE().attributes) + 1
            if work > _MOST_WORK:
                return


def _ranges(dwarf: Any, unit: Any) -> list[tuple[int, int]]:
    """The addresses of a compilation unit, by its top entry."""
    attributes = unit.get_top_DIE().attributes
    low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
    if "DW_AT_ranges" in attributes:
        found, base = [], low
        lists = dwarf.range_lists()
        for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
            if hasattr(entry, "base_address"):
                base = entry.base_address
            elif entry.is_absolute:
                found.append((entry.begin_offset, entry.end_offset))
            else:
                found.append((base + entry.begin_offset, base + entry.end_offset))
        return found
    if "DW_AT_high_pc" not in attributes:
        return []
    high = attributes["DW_AT_high_pc"]
    absolute = high.form == "DW_FORM_addr"
    return [(low, high.value if absolute else low + high.value)]


def _check_line_header(dwarf: Any, unit: Any, offset: int) -> None:
    """Raise `_WorkError` unless the line table at `offset` is of a size to be read, and has as many
    bytes as its header has entries (DWARF 5, 6.2.4): pyelftools believes the counts, and entries
    may be of no bytes.
    """
    from elftools.dwarf.enums import DW_FORM_raw2name

    stream, structs = dwarf.debug_line_sec.stream, unit.structs
    stream.seek(offset)
    length = structs.Dwarf_initial_length("").parse_stream(stream)
    end = stream.tell() + length
    if length > _MOST_TABLE:
        raise _WorkError
    if structs.the_Dwarf_uint16.parse_stream(stream) < _DWARF5:
        return
    # address_size, segment_selector_size; header_length; minimum_instruction_length to line_range
    stream.seek(2 + structs.dwarf_format // 8 + 5, os.SEEK_CUR)
    opcode_base = structs.the_Dwarf_uint8.parse_stream(stream)
    stream.seek(max(opcode_base - 1, 0), os.SEEK_CUR)
    number = structs.the_Dwarf_uleb128.parse_stream
    for _ in ("directories", "file_names"):
        pairs = structs.the_Dwarf_uint8.parse_stream(stream)
        forms = [(number(stream), number(stream))[1] for _ in range(pairs)]
        count = number(stream)
        if count > end - stream.tell() or (count and not forms):
            raise _WorkError
        fields = [structs.Dwarf_dw_form[DW_FORM_raw2name[form]] for form in forms]
        for _ in range(count):
            for field in fields:
                field.parse_stream(stream)


class _Table:
    """The line table of a unit, by address."""

    def __init__(self, dwarf: Any, unit: Any) -> None:
        self._rows: list[tuple[int, int, int]] = []  # address, file (-1: none), line
        self._files: list[str] = []
        attributes = unit.get_top_DIE().attributes
        if "DW_AT_stmt_list" not in attributes:
            return
        _check_line_header(dwarf, unit, attributes["DW_AT_stmt_list"].value)
        program = dwarf.line_program_for_CU(unit)
        version = program.header.version
        first = 0 if version >= _DWARF5 else 1
        entries: Sequence[Any] = program.header.file_entry
        self._files = [""] * first + [_text(entry.name) for entry in entries]
        for entry in program.get_entries():
            state = entry.state
            if state is not None:
                self._rows.append(
                    (state.address, -1 if state.end_sequence else state.file, state.line)
                )
        # Of rows at one address the last counts; an end gives way to what begins there.
        self._rows.sort(key=lambda row: (row[0], row[1] >= 0))
        self._addresses = [row[0] for row in self._rows]

    def name(self, address: int) -> str:
        at = bisect_right(self._addresses, address) - 1 if self._rows else -1
        if at < 0:
            return ""
        _, file, line = self._rows[at]
        if not (0 <= file < len(self._files) and self._files[file] and 0 < line < 1 << 32):
            return ""
        return f"{PurePosixPath(self._files[file]).name}:{line}"


def _text(name: bytes | str) -> str:
    """A name of a file, as it may be printed."""
    if len(name) > _MOST_NAME:
        return ""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return "".join(c if c.isprintable() else "?" for c in text)
