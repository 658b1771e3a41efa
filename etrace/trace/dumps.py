"""Memory dumps: a stream as a debugger saves it, not as hardware sent it.

A tool that reads a trace buffer out may write it as Intel HEX or Motorola S-records, or with the
bytes of each word in the other order. And a buffer that has wrapped begins, at its first address,
somewhere in the middle of the trace ("Trace RAM Sink" of the Trace Control Interface): the oldest
byte is at the write pointer, trRamWP, and the newest before it.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from etrace.errors import InputError, TraceError
from etrace.expand import Ahead, Readable
from etrace.files import INPUT_FORMATS
from specs.interfaces.flow import Reason
from specs.trace.framing import LENGTH_MASK

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration

#: Largest hexadecimal file, in characters, and largest dump of a ring, in bytes: both are taken
#: into memory.
MOST_TEXT = 1 << 26
MOST_RING = 1 << 30

#: trRamWP is a multiple of this; its lowest bit is trRamWrap.
_WORD = 4

#: Null packets.
_NULLS = bytes(byte for byte in range(256) if not byte & LENGTH_MASK)


@dataclass(frozen=True)
class Dump:
    """How the file of a stream is to be read. `format`: one of `etrace.files.INPUT_FORMATS`.

    `ring`: the dump is of a ring buffer, with the write pointer at this offset (or address, if the
    format has addresses); "auto": wherever the packets break off; None: it is no ring.
    """

    format: str = "auto"
    ring: int | str | None = None


PLAIN = Dump()


class Contents:
    """The bytes of a dump, and the address of the first (0 if the format has none)."""

    def __init__(self, file: Readable, base: int = 0) -> None:
        self.base = base
        self._file = file

    def read(self, size: int, /) -> bytes:
        """As of a file, but `size` bytes or all that are left."""
        parts = []
        while size and (piece := self._file.read(size)):
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)


def contents(file: Readable, name: str, form: str) -> Contents:
    """What the dump `file` holds. Raises `InputError`, some of it while reading."""
    if form not in INPUT_FORMATS:
        raise InputError(
            f"{name}: input format {form!r}: must be one of {', '.join(INPUT_FORMATS)}"
        )
    if form.startswith("swap"):
        return Contents(_Swapped(Contents(file), name, int(form[4:]) // 8))
    if form == "bin":
        return Contents(file)
    whole = Contents(file)
    head = whole.read(_LONGEST_RECORD)
    found = _hexadecimal(head)
    if form == "auto" and not found:
        return Contents(Ahead(head, file))
    form = found if form == "auto" else form
    text = head + whole.read(MOST_TEXT + 1 - len(head))
    if len(text) > MOST_TEXT:
        raise InputError(
            f"{name}: more than {MOST_TEXT:,} characters of {form}; save the dump as binary"
        )
    base, data = _parse(text, name, form)
    return Contents(BytesIO(data), base)


#: Records parsed at a time, and those of Intel HEX that hold for the ones behind them.
_RECORDS = 2048
_EXTENDED = (b":02000002", b":02000004")

#: Characters of a record that has 255 bytes.
_LONGEST_RECORD = 530


def _hexadecimal(head: bytes) -> str:
    """`ihex` or `srec` if the first line is a record of that with its checksum, else nothing."""
    line = head.split(b"\n")[0].strip()
    digits = line[1:] if line[:1] == b":" else line[2:]
    try:
        record = bytes.fromhex(digits.decode())
    except ValueError:
        return ""
    total = sum(record) & 0xFF
    if line[:1] == b":":
        return "ihex" if len(record) >= 5 and len(record) == record[0] + 5 and total == 0 else ""
    good = len(record) >= 3 and len(record) == record[0] + 1 and total == 0xFF
    return "srec" if good and line[:1] == b"S" and line[1:2].isdigit() else ""


def _parse(text: bytes, name: str, form: str) -> tuple[int, bytes]:
    """Address and bytes of the one area that a hexadecimal file has."""
    try:
        import bincopy
    except ImportError:
        raise InputError(
            f"{name}: {form} needs the package bincopy: pip install 'etrace[hex]', "
            "or save the dump as binary"
        ) from None
    file = bincopy.BinFile()
    add = file.add_ihex if form == "ihex" else file.add_srec
    extended = b""
    lines = text.split(b"\n")
    # in pieces, since scattered records take the square of their number
    for begin in range(0, len(lines), _RECORDS):
        piece = [extended, *lines[begin : begin + _RECORDS]]
        try:
            add(b"\n".join(piece).decode())
        except (bincopy.Error, ValueError) as error:
            raise InputError(f"{name}: not {form}: {error}") from None
        if len(list(file.segments)) > 1:
            break
        extended = next((each for each in reversed(piece) if each[:9] in _EXTENDED), b"")
    areas = [(int(each.address), bytes(each.data)) for each in file.segments]
    if len(areas) != 1:
        shown = ", ".join(f"{len(data):,} bytes at {base:#x}" for base, data in areas[:4])
        raise InputError(
            f"{name}: several areas of memory, or none ({shown or 'none'}); "
            "save the trace buffer alone"
        )
    return areas[0]


def swapped(data: bytes, word: int) -> bytes:
    """`data`, which is whole words of `word` bytes, with the bytes of each in the other order."""
    turned = bytearray(len(data))
    for place in range(word):
        turned[place::word] = data[word - 1 - place :: word]
    return bytes(turned)


class _Swapped:
    """A file with the bytes of each word in the other order."""

    def __init__(self, file: Contents, name: str, word: int) -> None:
        self._file = file
        self._name = name
        self._word = word
        self._left = b""

    def read(self, size: int, /) -> bytes:
        if not self._left:
            self._left = self._turned(self._file.read(-(-size // self._word) * self._word))
        data, self._left = self._left[:size], self._left[size:]
        return data

    def _turned(self, data: bytes) -> bytes:
        if len(data) % self._word:
            raise InputError(
                f"{self._name}: the dump is not whole words of {8 * self._word} bits; "
                "choose another --input-format"
            )
        return swapped(data, self._word)


# -- ring buffers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seam:
    """Where a ring's newest bytes end and its oldest begin.

    `left_out`: of the newest bytes, those that may be oldest ones that look like packets.
    """

    pointer: int
    left_out: int = 0


def unrolled(
    data: bytes, base: int, ring: int | str, configuration: "Configuration", name: str
) -> tuple[bytes, Seam]:
    """The bytes of a ring buffer in the order in which they were written, and where they part.

    `ring` as in `Dump`. Raises `InputError` if the pointer is outside, `TraceError` if none is
    given and the packets do not tell it.
    """
    if isinstance(ring, str):
        seam = _seam(data, configuration, name)
    else:
        pointer = (ring - base if base and ring >= base else ring) & -_WORD
        if not 0 <= pointer <= len(data):
            raise InputError(
                f"{name}: --ring {ring:#x}: the buffer has {len(data):,} bytes"
                + (f" at {base:#x}" if base else "; give trRamWP less trRamStart")
            )
        seam = Seam(pointer)
    whole = data[seam.pointer :] + data[: seam.pointer]
    return whole[: len(whole) - seam.left_out], seam


def _seam(data: bytes, configuration: "Configuration", name: str) -> Seam:
    """Where the packets of a ring break off: the newest ends there, and the oldest begins.

    One lap is looked at that begins with a packet. If tracing has ended, the seam is behind the
    packet that says so, exactly; else somewhat before bytes that are no packets.
    """
    import decoder
    from etrace.trace.ending import says_ended
    from specs.trace.packets import Column, Format

    if not data:
        return Seam(0)
    reader = decoder.PacketReader(configuration)
    for _ in range(2):
        reader.feed(data)
    damaged: list[tuple[int, int]] = []
    ended: list[int] = []
    starts: bool | None = None
    while len(rows := reader.read(final=True)[1]):
        bad = rows[:, Column.reason] != 0
        if starts is None:
            starts = bool(not bad[0] and rows[0, Column.table] == Format.SUPPORT)
        for row in rows[bad | (rows[:, Column.table] == Format.SUPPORT)]:
            offset, length = int(row[Column.offset]), int(row[Column.length])
            if row[Column.reason]:
                damaged.append((offset, offset + length))
            elif says_ended(row):
                ended.append(offset + length)
        if len(damaged) > _MOST_BREAKS:
            break
    whole = not damaged or damaged[0][0] >= len(data)
    begin = 0 if whole else damaged[0][1]
    lap = range(begin, begin + len(data))
    breaks = sorted({offset % len(data) for offset, _ in damaged if offset in lap})
    behind = sorted({_aligned(data, end % len(data)) for end in ended if end in lap})
    if breaks and breaks[-1] - breaks[0] < _NEAR:
        near = [end for end in behind if (breaks[0] - end) % len(data) < _NEAR]
        return Seam(near[-1]) if near else Seam(breaks[0] & -_WORD, min(_DOUBT, len(data)))
    if not breaks and len(behind) == 1:
        # idle bytes alone behind the end: the buffer has not wrapped
        return Seam(behind[0] if data[behind[0] :].translate(None, _NULLS) else 0)
    if whole and starts:
        return Seam(0)
    where = f"at {len(breaks)} places" if breaks else "nowhere"
    raise TraceError(
        f"{name}: the packets of the ring break off {where}, so they do not tell its seam; "
        "give the write pointer: --ring POINTER"
    )


#: More than these need not be counted.
_MOST_BREAKS = 1000
#: What is left of the oldest packets may look like a few packets: no further from the seam, if it
#: is known; and hardly ever as far, if it is not.
_NEAR, _DOUBT = 256, 128


def _aligned(data: bytes, end: int) -> int:
    """The write pointer behind a last packet that ends at `end`: null bytes fill its word."""
    pointer = -(-end // _WORD) * _WORD
    return end & -_WORD if data[end:pointer].translate(None, _NULLS) else pointer


def lead_in(head: bytes, configuration: "Configuration", wrapped: bool) -> int:
    """Bytes before the first packet that can be told, in a stream that may start inside one.

    `head`: its first bytes. A stream starts with a packet if a format 3 begins it and packets
    follow; else what is behind a synchronisation sequence is a packet for certain; else what looks
    like packets is taken for such. `wrapped`: it is known to start anywhere.
    """
    import numpy as np

    import decoder
    from specs.trace.framing import FramingLayout
    from specs.trace.packets import Column, Format

    reader = decoder.PacketReader(configuration)
    reader.feed(head)
    synchronises: list[bool] = []
    damage: list[int] = []
    while not damage and len(synchronises) < _SEEN and len(rows := reader.read(final=True)[1]):
        for row in rows[:_SEEN].tolist():
            if row[Column.reason] not in (0, Reason.TRUNCATED):
                damage = row
                break
            synchronises.append(row[Column.table] >= Format.SYNC)
    certain = len(synchronises) >= _CERTAIN or not damage
    if certain and synchronises[:1] == [True]:
        return 0
    framing = FramingLayout(configuration)
    if framing.sync_period:
        filled = np.flatnonzero(np.frombuffer(head, np.uint8) & LENGTH_MASK)
        behind = filled[np.diff(filled, prepend=-1) > framing.nulls]
        if len(behind):
            return int(behind[0])
    if not damage or (certain and any(synchronises) and not wrapped):
        return 0
    end = damage[Column.offset] + damage[Column.length]
    return end if end < len(head) else 0


#: So many packets in a row are no accident; and these are looked at.
_CERTAIN, _SEEN = 8, 64
#: Bytes in which a stream's first packet is looked for.
HEAD = 1 << 18
