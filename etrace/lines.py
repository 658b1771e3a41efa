"""Source lines of addresses, from the DWARF information of programs that have any.

Read with pyelftools, and only for the few addresses of a report: the compilation unit that has the
address is looked up (`.debug_aranges`, or the ranges of the units), and only its line table is
read. What is broken or too large has no lines: they help, and nothing depends on them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

#: Limits for files that nobody has looked at. Bytes of all debug sections, and of those that are
#: read entry by entry; bytes of a line table.
_MOST_BYTES = 256 << 20
_MOST_LISTED = 1 << 20
_LISTED = (".debug_abbrev", ".debug_aranges", ".debug_ranges", ".debug_rnglists")
_MOST_TABLE = 1 << 18
#: Entries of the units that are looked at, to know where they are.
_MOST_WORK = 1 << 17
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
            self._units = [_Units(path) for path in self._paths]
        return next((found for each in self._units if (found := each.name(address))), "")


class _Units:
    """The compilation units of a program, and the line tables that were asked for."""

    def __init__(self, path: str) -> None:
        self._tables: dict[int, _Table] = {}
        self._spans: list[tuple[int, int, Any]] | None = None
        self._dwarf: Any = None
        # Untrusted files make pyelftools raise whatever there is.
        try:
            self._open(path)
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

    def _open(self, path: str) -> None:
        from elftools.elf.elffile import ELFFile

        with open(path, "rb") as file:
            elf = ELFFile(file)
            sizes = {
                section.name: section.data_size
                for section in elf.iter_sections()
                if section.name.startswith((".debug_", ".zdebug_"))
            }
            # `.zdebug_`, the old way of compression, does not say how large a section becomes.
            if (
                elf.has_dwarf_info()
                and not any(name.startswith(".z") for name in sizes)
                and sum(sizes.values()) <= _MOST_BYTES
                and all(sizes.get(name, 0) <= _MOST_LISTED for name in _LISTED)
            ):
                self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
                self._aranges = self._dwarf.get_aranges()

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


class _Table:
    """The line table of a unit, by address."""

    def __init__(self, dwarf: Any, unit: Any) -> None:
        self._rows: list[tuple[int, int, int]] = []  # address, file (-1: none), line
        self._files: list[str] = []
        program = dwarf.line_program_for_CU(unit)
        if program is None or program.header.unit_length > _MOST_TABLE:
            return
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
        if not 0 <= file < len(self._files) or not line:
            return ""
        return f"{PurePosixPath(self._files[file]).name}:{line}"


def _text(name: bytes | str) -> str:
    """A name of a file, as it may be printed."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return "".join(c if c.isprintable() else "?" for c in text)
