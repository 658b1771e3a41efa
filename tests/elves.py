"""ELF files from nothing: a few segments and symbols, broken in any way that is wanted."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """A PT_LOAD header. `paddr`, `memsz`: as `vaddr` and the data if None. `offset`: of the data in
    the file, None: where it is put.
    """

    vaddr: int
    data: bytes
    paddr: int | None = None
    memsz: int | None = None
    executable: bool = True
    offset: int | None = None


def elf(
    xlen: int,
    entry: int,
    loads: Sequence[Load],
    symbols: Sequence[tuple[str, int] | tuple[str, int, int]] = (),
    *,
    names: bytes | None = None,
    name_offsets: Sequence[int] | None = None,
    phentsize: int | None = None,
    shentsize: int | None = None,
) -> bytes:
    """The file. `symbols`: name, address, and size if it is not 0. `names`: the string table
    instead of one that is made, with `name_offsets`.
    """
    word = "Q" if xlen == 64 else "I"
    header_size, ph_size, sh_size = (64, 56, 64) if xlen == 64 else (52, 32, 40)
    at = header_size + ph_size * len(loads)
    body, headers = b"", b""
    for load in loads:
        offset = at + len(body) if load.offset is None else load.offset
        body += load.data if load.offset is None else b""
        flags = 5 if load.executable else 6
        paddr = load.vaddr if load.paddr is None else load.paddr
        memsz = len(load.data) if load.memsz is None else load.memsz
        places = struct.pack(f"<5{word}", offset, load.vaddr, paddr, len(load.data), memsz)
        if xlen == 64:
            headers += struct.pack("<II", 1, flags) + places + struct.pack("<Q", 4)
        else:
            headers += struct.pack("<I", 1) + places + struct.pack("<II", flags, 4)
    strings, table = b"\0", bytes(24 if xlen == 64 else 16)
    for number, (name, address, *rest) in enumerate(symbols):
        extent = rest[0] if rest else 0
        start = len(strings) if name_offsets is None else name_offsets[number]
        strings += name.encode() + b"\0"
        if xlen == 64:
            table += struct.pack("<IBBHQQ", start, 2, 0, 1, address, extent)
        else:
            table += struct.pack("<IIIBBH", start, address, extent, 2, 0, 1)
    strings = strings if names is None else names
    table_at = at + len(body)
    rows = [(0,) * 10, (0, 2, 0, 0, table_at, len(table), 2, 0, 8, 24 if xlen == 64 else 16)]
    rows.append((0, 3, 0, 0, table_at + len(table), len(strings), 0, 0, 1, 0))
    sections = b"".join(struct.pack("<IIQQQQIIQQ" if xlen == 64 else "<10I", *row) for row in rows)
    sections_at = table_at + len(table) + len(strings)
    counts = (
        header_size,
        ph_size if phentsize is None else phentsize,
        len(loads),
        sh_size if shentsize is None else shentsize,
        len(rows),
        0,
    )
    ident = b"\x7fELF" + bytes([xlen // 32, 1, 1]) + bytes(9)
    start = struct.pack(f"<HHI3{word}I", 2, 243, 1, entry, header_size, sections_at, 0)
    return ident + start + struct.pack("<6H", *counts) + headers + body + table + strings + sections
