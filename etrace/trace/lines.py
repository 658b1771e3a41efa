"""Source lines of addresses, from the DWARF information of programs that have any.

Read with pyelftools, and only for the few addresses of a report: the compilation unit that has the
address is looked up (`.debug_aranges`, or the ranges of the units), and only its line table is
read. What is broken or too large has no lines: they help, and nothing depends on them.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from emu.platforms.guard import Budget, UnreadableError, WorkError, debug_information, guarded

#: Bytes of a line table, and entries of the units that are looked at, to know where they are.
_MOST_TABLE = 1 << 18
_MOST_WORK = 1 << 17
#: Bytes of a file's name.
_MOST_NAME = 4096
#: `DW_LNCT_directory_index` is 0 for the unit's own directory from DWARF 5 on.
_DWARF5 = 5


class Lines:
    """Looks up lines in the programs `paths`, which are opened at the first use."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._units: list[_Units] | None = None

    def name(self, address: int) -> str:
        """`file.c:12`; empty where that is not known."""
        if self._units is None:
            budget = Budget()
            self._units = [_Units(path, budget) for path in self._paths]
        return next((found for each in self._units if (found := each.name(address))), "")


class _Units:
    """The compilation units of a program, and the line tables that were asked for."""

    def __init__(self, path: str, budget: Budget) -> None:
        self._tables: dict[int, _Table] = {}
        self._spans: list[tuple[int, int, Any]] | None = None
        self._dwarf: Any = None
        self._aranges: Any = None
        with suppress(UnreadableError), guarded():
            dwarf = debug_information(path, budget)
            if dwarf is not None:
                self._aranges = dwarf.get_aranges()
                self._dwarf = dwarf

    def name(self, address: int) -> str:
        if self._dwarf is None:
            return ""
        with suppress(UnreadableError), guarded():
            names = (self._table(unit).name(address) for unit in self._units(address))
            return next((name for name in names if name), "")
        return ""

    def _table(self, unit: Any) -> "_Table":
        if unit.cu_offset not in self._tables:
            self._tables[unit.cu_offset] = _Table(self._dwarf, unit)
        return self._tables[unit.cu_offset]

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
    """Raise `WorkError` unless the line table at `offset` is of a size to be read, and has as many
    bytes as its header has entries (DWARF 5, 6.2.4): pyelftools believes the counts, and entries
    may be of no bytes.
    """
    from elftools.dwarf.enums import DW_FORM_raw2name

    stream, structs = dwarf.debug_line_sec.stream, unit.structs
    stream.seek(offset)
    length = structs.Dwarf_initial_length("").parse_stream(stream)
    end = stream.tell() + length
    if length > _MOST_TABLE:
        raise WorkError
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
            raise WorkError
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
