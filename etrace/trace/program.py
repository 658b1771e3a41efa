"""The programs that a trace is about: code for the decoder, names for people."""

import hashlib
import os
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from emu.hart.extensions import allowed, lacking, names_zcm
from emu.memory import MachineError
from emu.platforms import elf
from emu.platforms.elf import Program, Symbol
from etrace.errors import InputError, ProgramMismatchError, os_error, shows
from etrace.files import STDIO
from etrace.trace.header import Header, ImageReference, ProgramReference
from etrace.trace.reading import Reading
from etrace.trace.symbols import Symbols

if TYPE_CHECKING:
    from specs.isa.control import CodeMap

#: Largest binary image read (the code map needs fifteen times as much memory).
MAX_IMAGE = 64 << 20
#: Files that a trace may name, and remarks that are made.
MAX_NAMED = 64
_MOST_REMARKS = 8


@dataclass(frozen=True)
class Image:
    """A binary image (a boot ROM, an overlay) loaded at `address`."""

    address: int
    path: str
    data: bytes
    sha256: str


@dataclass(frozen=True)
class _Claim:
    """Code for `start`, stored at `stored`."""

    start: int
    data: bytes
    stored: int
    path: str

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def part(self, first: int, last: int) -> bytes:
        return self.data[first - self.start : last - self.start]


@dataclass(frozen=True)
class Code:
    """Program memory: the ELF programs, binary images and the platform's boot ROM.

    A segment's code is both where it is stored and where it runs, after the program has copied it.
    """

    xlen: int
    programs: tuple[Program, ...] = ()
    images: tuple[Image, ...] = ()
    platform: str | None = None
    #: What the hart has, where that is known: extensions, and modes ("M", "MU", "MSU").
    isa: str | None = None
    modes: str | None = None

    @cached_property
    def map(self) -> "CodeMap":
        """Every control transfer of the code, for the decoder. Images override ELF programs."""
        from specs.isa.control import CodeMap

        try:
            zcm = names_zcm(self.isa, [program.isa for program in self.programs])
            return CodeMap(self.stretches, self.xlen, zcm=zcm)
        except ValueError as error:
            raise InputError(f"program memory: {error}") from None

    @cached_property
    def stretches(self) -> list[tuple[int, bytes]]:
        """All the code there is, as address and bytes; of two that overlap the later one counts."""
        found: list[tuple[int, bytes]] = []
        if self.platform is not None and self.programs:
            found += boot_images(self.platform, self.programs)
        found += [(each.start, each.data) for each in self._claims]
        found += [(image.address, image.data) for image in self.images]
        return found

    @cached_property
    def _claims(self) -> list[_Claim]:
        """What the programs say is where; of two that overlap the later one counts: a place to run
        at before one to be stored at, then a later program before an earlier one.
        """
        stored: list[_Claim] = []
        running: list[_Claim] = []
        for program in self.programs:
            segments = program.segments
            for each in [s for s in segments if s.executable] or segments:
                for start in each.places if each.data else ():
                    claim = _Claim(start, bytes(each.data), each.base, str(program.path))
                    (running if start == each.places[-1] else stored).append(claim)
        return stored + running

    @cached_property
    def remarks(self) -> list[str]:
        """Where two segments claim an address with different code: which one counts."""
        hidden = []
        active: list[tuple[int, _Claim]] = []
        for order, claim in sorted(enumerate(self._claims), key=lambda each: each[1].start):
            active = [each for each in active if each[1].end > claim.start]
            for other_order, other in active:
                first, last = claim.start, min(claim.end, other.end)
                if claim.part(first, last) != other.part(first, last):
                    loser, winner = (other, claim) if other_order < order else (claim, other)
                    hidden.append(
                        f"{loser.path}: the code for {first:#x} to {last - 1:#x} that is stored at "
                        f"{loser.stored:#x} is hidden by that of {winner.path}, stored at "
                        f"{winner.stored:#x}; --image says otherwise"
                    )
            active.append((order, claim))
        if len(hidden) > _MOST_REMARKS:
            rest = len(hidden) - _MOST_REMARKS
            hidden[_MOST_REMARKS:] = [f"{rest} more places are claimed by two segments"]
        return hidden

    @cached_property
    def extensions(self) -> frozenset[str]:
        """What the hart has; all that the emulator can do, where `isa` says none of it."""
        attributes = [program.isa for program in self.programs]
        try:
            return allowed(self.isa, self.xlen, attributes, self.modes)
        except MachineError:
            return allowed(None, self.xlen, attributes)

    def wishes(self, isa: str | None) -> list[str]:
        """What the programs were built for and a hart restricted to `isa` has not. Raises
        `InputError` for an `isa` that cannot be.
        """
        try:
            attributes = [program.isa for program in self.programs]
            extensions = allowed(isa, self.xlen, attributes, self.modes)
        except MachineError as error:
            raise InputError(str(error)) from None
        remarks = []
        for program in self.programs:
            missing = lacking(program.isa, extensions)
            if missing:
                has = {1: "has it not", 2: "has neither"}.get(len(missing), "has none of them")
                has += "" if isa is None else f" with --isa {isa}"
                remarks.append(
                    f"{program.path}: built for {', '.join(missing)}: this hart {has}; such "
                    "instructions are illegal"
                )
        return remarks

    @cached_property
    def symbols(self) -> Symbols:
        """Names of the programs' addresses."""
        return Symbols(
            (name, symbol.address, symbol.size, symbol.type, limit)
            for program in self.programs
            for name, symbol, limit in _with_limits(program)
        )

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the programs' files, then of the images."""
        programs = tuple(each.sha256 for each in self.programs)
        return programs + tuple(each.sha256 for each in self.images)

    def references(self) -> tuple[tuple[ProgramReference, ...], tuple[ImageReference, ...]]:
        """How a trace header names the programs and images."""
        return (
            tuple(ProgramReference(str(each.path), each.sha256) for each in self.programs),
            tuple(ImageReference(each.address, each.path, each.sha256) for each in self.images),
        )


def _with_limits(program: Program) -> Iterator[tuple[str, Symbol, int]]:
    """The symbols in segments, by name, and where a segment ends. (Not a loop over both: there may
    be many of each.)
    """
    places = sorted(
        (start, start + each.memsz) for each in program.segments for start in each.places
    )
    starts = [start for start, _ in places]
    # Of segments that overlap, the one that reaches farthest.
    ends = list(accumulate((end for _, end in places), max))
    for name, symbol in program.symbols.items():
        number = bisect_right(starts, symbol.address) - 1
        if number >= 0 and symbol.address < ends[number]:
            yield name, symbol, ends[number]


def boot_images(platform: str, programs: Sequence[Program]) -> list[tuple[int, bytes]]:
    """The code that the platform itself brings along: its boot ROM."""
    from emu.platforms.spike import PLATFORMS, ROM_SIZE

    if platform not in PLATFORMS:
        known = ", ".join(PLATFORMS)
        raise InputError(f"platform {platform!r} is unknown; there are: {known}")
    try:
        board = PLATFORMS[platform](list(programs), [])
    except MachineError as error:
        raise InputError(str(error)) from None
    rom = board.memory.view(board.reset_pc, ROM_SIZE)
    return [] if rom is None else [(board.reset_pc, rom.tobytes())]


def load_programs(paths: Sequence[str]) -> tuple[Program, ...]:
    """Load ELF files, all of one width; raises `InputError`."""
    programs = tuple(_load(path) for path in paths)
    if len({program.xlen for program in programs}) > 1:
        widths = ", ".join(
            f"{path} has {program.xlen}" for path, program in zip(paths, programs, strict=True)
        )
        raise InputError(f"programs of different width: {widths} bits")
    return programs


def load_image(argument: str) -> Image:
    """Load the binary image that `ADDRESS:FILE` names; raises `InputError`."""
    address_text, colon, path = argument.partition(":")
    try:
        address = int(address_text, 0)
        if not colon or not path or not 0 <= address < 1 << 64:
            raise ValueError
    except ValueError:
        raise InputError(
            f"--image {argument}: must be ADDRESS:FILE, for example 0x1000:rom.bin"
        ) from None
    return read_image(address, path)


def read_image(address: int, path: str) -> Image:
    """The file `path` as an image at `address`; raises `InputError`."""
    try:
        with open(path, "rb") as file:
            data = elf.read_file(file, MAX_IMAGE)
    except OSError as error:
        raise os_error(path, error) from None
    if len(data) > MAX_IMAGE:
        raise InputError(f"{path}: larger than {MAX_IMAGE >> 20} MiB; not program memory")
    return Image(address, path, data, hashlib.sha256(data).hexdigest())


def for_header(header: Header, reading: Reading) -> Code:
    """The code that `header` names, or that `reading` names instead.

    In the directory of the trace is looked as well for what is not where it was. Raises
    `ProgramMismatchError` if a file is not the one that was traced, unless `reading.force`.
    """
    elf_paths, image_arguments = reading.elf, reading.image
    if reading.trace != STDIO:
        header = _moved(header, os.path.dirname(reading.trace))
    try:
        named: list[str] = []
        named += [] if elf_paths else [each.path for each in header.programs]
        named += [] if image_arguments else [each.path for each in header.images]
        _check_named(named)
        programs = load_programs(elf_paths or [each.path for each in header.programs])
        if image_arguments:
            images = tuple(load_image(argument) for argument in image_arguments)
        else:
            images = tuple(read_image(each.address, each.path) for each in header.images)
    except InputError as error:
        if elf_paths or image_arguments:
            raise
        raise InputError(
            f"{error} (the trace names it); say where it is with --elf or --image"
        ) from None
    if not reading.force:
        _check_hashes(
            [each.sha256 for each in header.programs],
            [(str(each.path), each.sha256) for each in programs],
        )
        _check_hashes(
            [each.sha256 for each in header.images], [(each.path, each.sha256) for each in images]
        )
    if programs and programs[0].xlen != header.xlen:
        raise InputError(
            f"{programs[0].path}: {programs[0].xlen}-bit program, but the trace is of a "
            f"{header.xlen}-bit hart"
        )
    return Code(header.xlen, programs, images, header.platform, header.isa, header.modes)


def _moved(header: Header, directory: str) -> Header:
    """`header` with the paths of files that came along with the trace into `directory`."""
    return replace(
        header,
        programs=tuple(
            replace(each, path=_place(each.path, each.sha256, directory))
            for each in header.programs
        ),
        images=tuple(
            replace(each, path=_place(each.path, each.sha256, directory)) for each in header.images
        ),
    )


def _place(path: str, sha256: str, directory: str) -> str:
    """Where the file is that was `path`: there, or in `directory`, or as seen from there."""
    places = [os.path.join(directory, each) for each in (os.path.basename(path), path)]
    near = next((each for each in places if os.path.isfile(each)), None)
    if near is None:
        return path
    # Something of that name may be where it was, and be another program.
    if os.path.isfile(path) and (_digest(path) == sha256 or _digest(near) != sha256):
        return path
    return near


def _digest(path: str) -> str:
    """The SHA-256 of a file; of nothing, if it cannot be read or is larger than any program."""
    try:
        if not 0 < os.stat(path).st_size <= elf.MAX_FILE:
            return ""
        with open(path, "rb") as file:
            return hashlib.sha256(elf.read_file(file, elf.MAX_FILE)).hexdigest()
    except OSError:
        return ""


def _check_named(paths: Sequence[str]) -> None:
    """Raise `InputError` unless these, which a trace names and nobody has looked at, are files as
    programs are: reading a device, a pipe or what the kernel makes up (`/proc`: regular files, of
    no size or an absurd one) may never end, or have consequences.
    """
    if len(paths) > MAX_NAMED:
        raise InputError(f"{len(paths):,} program files, at most {MAX_NAMED} are read")
    for path in paths:
        if not shows(path):
            raise InputError(f"{path!a}: not the name of a program file")
        try:
            about = os.stat(path)
        except OSError as error:
            raise os_error(path, error) from None
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"{path}: not a regular file")
        if not 0 < about.st_size <= elf.MAX_FILE:
            size = "larger than 1 GiB" if about.st_size else "an empty file"
            raise InputError(f"{path}: {size}, not a program")


def _check_hashes(expected: Sequence[str], files: Sequence[tuple[str, str]]) -> None:
    """`files`: pairs of path and sha256. A trace that names none can use any."""
    for path, sha256 in files:
        if expected and sha256 not in expected:
            raise ProgramMismatchError(
                f"{path}: not the program that was traced (sha256 {sha256[:12]}..., the trace says "
                f"{expected[0][:12]}...); give the right one with --elf, or --force"
            )


def _load(path: str) -> Program:
    try:
        return elf.load(path)
    except elf.ElfError as error:
        raise InputError(str(error)) from None
