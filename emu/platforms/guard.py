"""pyelftools within bounds: it believes what a file says, and these files may be hostile.

All that this project reads of an ELF file's structure goes through here. A structure is read only
where the file has it whole (`Tables`); what is read without knowing its size comes from a stream
that counts (`Metered`), so that no file makes more work than a few times its size (`Budget`); and
whatever pyelftools raises then is one error (`guarded`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elftools.construct import Struct
    from elftools.construct.lib.container import Container

#: What is read: times the size of a file, and calls for all files however large they are.
_MOST_SHARING = 4
_LEAST_READS = 1 << 16
_MOST_READS = 1 << 21
#: Bytes of a LEB128 number.
_MOST_LEB128 = 256
#: Bytes of all debug sections of all programs, and of a section that is read entry by entry.
_MOST_DEBUG = 256 << 20
_MOST_LISTED = 1 << 20
_LISTED = (".debug_abbrev", ".debug_aranges", ".debug_ranges", ".debug_rnglists")
#: Sections that pyelftools reads whole.
_READ = (".debug_", ".zdebug_", ".eh_frame", ".gnu_debugaltlink")


class UnreadableError(Exception):
    """What pyelftools cannot read, or may not."""


class WorkError(UnreadableError):
    """A file that would take more work than its size is worth."""


@contextmanager
def guarded() -> Iterator[None]:
    """Raise `UnreadableError` for whatever the body raises: a broken file makes pyelftools raise
    all there is.
    """
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


class Budget:
    """What may be read of all files. Offsets in DWARF may all lead to the same bytes, so the work
    is bounded here, where it is done, and not by what the headers say.
    """

    def __init__(self, size: int = 0) -> None:
        """`size`: bytes of the first file."""
        self.reads = 0
        self.bytes = 0
        #: What the debug sections of all may become, decompressed.
        self.debug = _MOST_DEBUG
        self._granted = 0
        if size:
            self.grant(size)

    def grant(self, size: int) -> None:
        """Allow what `size` bytes are worth."""
        reads = min(_LEAST_READS + _MOST_SHARING * size, _MOST_READS - self._granted)
        self._granted += reads
        self.reads += reads
        self.bytes += _LEAST_READS + _MOST_SHARING * size


class Metered:
    """The stream `file`, of whose `budget` each call takes; raises `WorkError` beyond it."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._continued = 0  # bytes of the LEB128 number that is being read, or of bytes like it

    def read(self, size: int) -> bytes:
        self._take()
        data = self._file.read(min(size, self._budget.bytes + 1))
        self._budget.bytes -= len(data)
        if self._budget.bytes < 0:
            raise WorkError
        # Numbers of any length would take time that grows with its square.
        self._continued = self._continued + 1 if size == 1 and data > b"\x7f" else 0
        if self._continued > _MOST_LEB128:
            raise WorkError
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
            raise WorkError


class Tables:
    """The header and the header tables of a little-endian ELF file: pyelftools' structures.

    (Not its `ELFFile`: that gives a file up for sections which merely help, and brings along the
    DWARF half of the library, which would be most of the time to import it.) The methods raise
    `UnreadableError`.
    """

    def __init__(self, data: bytes, xlen: int) -> None:
        from elftools.elf.structs import ELFStructs

        self.data = data
        self._stream = BytesIO(data)
        self.structs = ELFStructs(little_endian=True, elfclass=xlen)
        self.structs.create_basic_structs()
        #: None if the file ends before it does. Enumerations are names, as far as they have some.
        self.header = self._read(self.structs.Elf_Ehdr, 0)
        if self.header is not None:
            ident = self.header.e_ident
            self.structs.create_advanced_structs(
                self.header.e_type, self.header.e_machine, ident.EI_OSABI
            )

    @property
    def segment_size(self) -> int:
        """The least `e_phentsize`."""
        return int(self.structs.Elf_Phdr.sizeof())

    def segment(self, number: int) -> "Container | None":
        """A program header; None if it is past the end of the file."""
        header: Any = self.header
        return self._read(self.structs.Elf_Phdr, header.e_phoff + number * header.e_phentsize)

    def section(self, number: int) -> "Container | None":
        """A section header; None if it is past the end of the table or the file, or too small."""
        header: Any = self.header
        if number >= header.e_shnum or header.e_shentsize < self.structs.Elf_Shdr.sizeof():
            return None
        return self._read(self.structs.Elf_Shdr, header.e_shoff + number * header.e_shentsize)

    def _read(self, structure: "Struct", offset: int) -> "Container | None":
        if offset + structure.sizeof() > len(self.data):
            return None
        with guarded():
            self._stream.seek(offset)
            found: Container = structure.parse_stream(self._stream)
        return found


def debug_information(path: str, budget: Budget) -> Any:
    """The `DWARFInfo` of a program, whose streams take of `budget`; None if there is none, or too
    much. Raises `UnreadableError`.
    """
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor
    from elftools.elf.elffile import ELFFile

    with guarded(), open(path, "rb") as file:
        budget.grant(os.fstat(file.fileno()).st_size)
        metered: Any = Metered(file, budget)
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
            or total > budget.debug
            or any(size > _MOST_LISTED for name, size in sizes if name in _LISTED)
        ):
            return None
        budget.debug -= total
        dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
        budget.grant(total)
        for name, section in vars(dwarf).items():
            if isinstance(section, DebugSectionDescriptor):
                metered = Metered(section.stream, budget)
                setattr(dwarf, name, section._replace(stream=metered))
        return dwarf
