"""Programs for the emulator's tests, assembled from names and numbers: no compiler, no ELF file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from emu.machine import Machine
from emu.platforms.elf import Program, Segment, Symbol
from specs.interfaces.ingress import Chunk
from specs.isa.csrs import ADDRESS
from specs.isa.encode import encode

CODE, DATA, TOHOST, FROMHOST = 0x8000_0000, 0x8010_0000, 0x8020_0000, 0x8020_0040
CLINT = 0x200_0000
MSIP, MTIMECMP, MTIME = CLINT, CLINT + 0x4000, CLINT + 0xBFF8


class Assembly:
    """Instructions in order of calls: `a.addi(rd=1, imm=5)`; `_` stands for a dot in a name.

    Branches and jumps take a label as `to`.
    """

    def __init__(self, xlen: int, base: int = CODE) -> None:
        self.xlen = xlen
        self.base = base
        self.at = base
        self._parts: list[tuple[int, str, dict[str, int], str | None] | tuple[int, bytes]] = []
        self.labels: dict[str, int] = {}

    def __getattr__(self, name: str):
        def add(to: str | None = None, **operands: int) -> int:
            where = self.at
            mnemonic = name.rstrip("_").replace("_", ".")
            self._parts.append((where, mnemonic, operands, to))
            self.at += 2 if mnemonic.startswith(("c.", "cm.")) else 4
            return where

        return add

    def raw(self, value: int, size: int) -> int:
        """`size` bytes as they are."""
        where = self.at
        self._parts.append((where, value.to_bytes(size, "little")))
        self.at += size
        return where

    def label(self, name: str) -> int:
        self.labels[name] = self.at
        return self.at

    def li(self, rd: int, value: int) -> None:
        """Load a constant of up to 32 bits (zero-extended on RV64): three or four instructions."""
        low = value & 0xFFF
        low -= (low & 0x800) << 1
        self.lui(rd=rd, imm=((value - low & 0xFFFFFFFF) ^ 1 << 31) - (1 << 31))
        self.addi(rd=rd, rs1=rd, imm=low)
        if self.xlen == 64:
            self.slli(rd=rd, rs1=rd, imm=32)
            self.srli(rd=rd, rs1=rd, imm=32)

    def la(self, rd: int, label: str) -> None:
        """Address of a label that is defined already, or later through `fix`."""
        self.li(rd, self.labels[label])

    def csr(self, name: str, *, rd: int = 0, write: int | None = None, set_: int = 0) -> int:
        """csrrw rd, name, x`write`; without `write` csrrs rd, name, x`set_`."""
        address = ADDRESS[name]
        if write is not None:
            return self.csrrw(rd=rd, rs1=write, imm=address)
        return self.csrrs(rd=rd, rs1=set_, imm=address)

    def exit(self, code: int = 0) -> None:
        """Exit with a code, by registers 30 and 31."""
        self.li(30, TOHOST)
        self.addi(rd=31, rs1=0, imm=code << 1 | 1)
        self.sw(rs1=30, rs2=31, imm=0)
        self.jal(rd=0, imm=0)

    def bytes(self) -> bytes:
        code = bytearray()
        for where, *rest in self._parts:
            assert where == self.base + len(code)
            if len(rest) == 1:
                code += rest[0]
                continue
            name, operands, to = rest
            if to is not None:
                operands = operands | {"imm": self.labels[to] - where}
            word = encode(name, **operands)
            code += word.to_bytes(4 if word & 3 == 3 else 2, "little")
        return bytes(code)

    def program(self, data: bytes = b"", **segments: tuple[int, bytes]) -> Program:
        code = self.bytes()
        parts = [Segment(self.base, code, len(code), True), Segment(DATA, data, 1 << 16, False)]
        parts += [Segment(base, more, len(more), False) for base, more in segments.values()]
        symbols = {"tohost": Symbol(TOHOST, 8, "OBJECT"), "fromhost": Symbol(FROMHOST, 8, "OBJECT")}
        return Program(Path("test"), self.xlen, self.base, tuple(parts), symbols, None, "")


def events(chunks: Iterable[Chunk]) -> list[tuple[str, int, int, int]]:
    """Blocks as ("block", iaddr, iretire, itype), traps as ("exception"|"interrupt", iaddr, cause,
    tval).
    """
    rows = []
    for chunk in chunks:
        for reference in chunk.refs.tolist():
            index, code = reference >> 4, reference & 15
            if code in (1, 2):
                trap = chunk.traps[index]
                kind = "exception" if code == 1 else "interrupt"
                rows.append((kind, int(trap["iaddr"]), int(trap["cause"]), int(trap["tval"])))
            else:
                block = chunk.blocks[index]
                rows.append(("block", int(block["iaddr"]), int(block["iretire"]), code))
    return rows


def instructions(machine: Machine, chunks: Iterable[Chunk]) -> list[tuple[int, int, int, int, int]]:
    """Rows (address, word, exception?1:interrupt?2:0, cause, tval): blocks taken to instructions.

    Checks what a block says of itself. A trap's word is 0.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    for chunk in chunks:
        for reference in chunk.refs.tolist():
            index, code = reference >> 4, reference & 15
            if code in (1, 2):
                trap = chunk.traps[index]
                assert trap["priv"] == 3 and trap["iaddr_valid"] == 1
                fields = (int(trap["iaddr"]), 0, code, int(trap["cause"]), int(trap["tval"]))
                rows.append(fields)
                continue
            block = chunk.blocks[index]
            address = int(block["iaddr"])
            end = address + 2 * int(block["iretire"])
            sizes = []
            while address < end:
                word = machine.memory.read(address, 2)
                assert word is not None
                if word & 3 == 3:
                    word = machine.memory.read(address, 4)
                    assert word is not None
                sizes.append(2 if word & 3 == 3 else 1)
                rows.append((address, word, 0, 0, 0))
                address += 2 * sizes[-1]
            assert address == end and block["priv"] == 3
            assert sizes[0] == 1 << block["ifirstsize"] and sizes[-1] == 1 << block["ilastsize"]
    return rows


def run(program: Program, limit: int = 1_000_000, **options) -> Machine:
    """A machine that has run, unrecorded."""
    machine = Machine([program], record=False, **options)
    assert list(machine.run(limit)) == []
    return machine


def dwords(machine: Machine, address: int, count: int) -> list[int]:
    """`count` values of xlen bits from memory."""
    size = machine.xlen // 8
    view = machine.memory.view(address, size * count)
    assert view is not None
    return np.frombuffer(view.tobytes(), f"<u{size}").tolist()
