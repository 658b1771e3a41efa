"""A trace of ten million instructions with everything in it, and copies with one thing changed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import etrace
from etrace.recording.sideband import Telling
from etrace.trace.trace import Trace, in_memory
from specs.configuration.parameters import from_dict
from specs.trace.packets import Column, Format
from specs.trace.single import Packet
from tests.elves import Load, elf
from tests.emu.build import Assembly

BASE = 0x8000_0000
INSTRUCTIONS = 10_000_000
#: Framing with one byte before each packet: easily made by hand.
PARAMS = {
    "framing": {"kind": "reference"},
    "resync": {"unit": "packets", "period": 50},
    "parameters": {
        "ctype_width_p": 2,
        "nocontext_p": 0,
        "context_width_p": 32,
        "notime_p": 0,
        "time_width_p": 32,
    },
}


def program(path: Path) -> Path:
    """Branches without a pattern, calls through a register, an exception every 64 rounds, a context
    every 1024; for ever. In each round a loop of 20 unpredictable branches.
    """
    a = Assembly(64)
    a.jal(rd=0, to="start")
    a.label("handler")
    a.csr("mepc", rd=5)
    a.addi(rd=5, rs1=5, imm=4)
    a.csr("mepc", write=5)
    a.mret()
    a.label("odd")
    a.addi(rd=6, rs1=6, imm=1)
    a.jalr(rd=0, rs1=1, imm=0)
    a.label("even")
    a.addi(rd=6, rs1=6, imm=2)
    a.addi(rd=6, rs1=6, imm=3)
    a.jalr(rd=0, rs1=1, imm=0)
    a.label("start")
    a.la(5, "handler")
    a.csr("mtvec", write=5)
    a.li(8, 0x2545F491)
    a.la(10, "odd")
    a.la(11, "even")
    a.label("round")
    a.addi(rd=14, rs1=0, imm=20)
    a.label("inner")
    for shift, name in ((13, "slli"), (7, "srli"), (17, "slli")):
        getattr(a, name)(rd=9, rs1=8, imm=shift)
        a.xor(rd=8, rs1=8, rs2=9)
    a.andi(rd=9, rs1=8, imm=1)
    a.bne(rs1=9, rs2=0, to="skip")
    a.addi(rd=7, rs1=7, imm=1)
    a.label("skip")
    a.addi(rd=14, rs1=14, imm=-1)
    a.bne(rs1=14, rs2=0, to="inner")
    a.addi(rd=12, rs1=10, imm=0)
    a.andi(rd=9, rs1=8, imm=4)
    a.beq(rs1=9, rs2=0, to="call")
    a.addi(rd=12, rs1=11, imm=0)
    a.label("call")
    a.jalr(rd=1, rs1=12, imm=0)
    a.addi(rd=13, rs1=13, imm=1)
    a.andi(rd=9, rs1=13, imm=63)
    a.bne(rs1=9, rs2=0, to="round")
    a.raw(0, 4)
    a.andi(rd=9, rs1=13, imm=1023)
    a.bne(rs1=9, rs2=0, to="round")
    a.csr("mscratch", write=13)
    a.jal(rd=0, to="round")
    path.write_bytes(elf(64, BASE, [Load(BASE, a.bytes())]))
    return path


def record(path: Path, **more: object) -> Trace:
    """A run of it."""
    return etrace.record(
        path,
        params=from_dict({**PARAMS, **more}, 64),
        telling=Telling(context_csr="mscratch", time="instret", time_every=4096),
        max_instructions=INSTRUCTIONS,
    )


@dataclass(frozen=True)
class Stream:
    """A trace taken apart: the bytes of each packet, and what they say."""

    trace: Trace
    pieces: list[bytes]
    rows: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, trace: Trace) -> "Stream":
        data = b"".join(trace.chunks())
        rows = np.concatenate([rows.copy() for rows in trace.packets()])
        offsets, lengths = rows[:, Column.offset].tolist(), rows[:, Column.length].tolist()
        pieces = [data[at : at + size] for at, size in zip(offsets, lengths, strict=True)]
        assert b"".join(pieces) == data
        return cls(trace, pieces, rows)

    def with_pieces(self, pieces: list[bytes]) -> Trace:
        header = self.trace.header
        return in_memory("changed", header.pack() + b"".join(pieces), header, self.trace.code)

    def find(self, table: Format, branches: int = 0) -> int:
        """The first packet behind the middle that is of this format, with so many branches."""
        wanted = (self.rows[:, Column.table] == table) & (self.rows[:, Column.branches] >= branches)
        wanted[: len(wanted) // 2] = False
        return int(np.argmax(wanted))

    def value(self, number: int, column: Column) -> int:
        return int(self.rows[number, column])

    def changed(self, number: int, **fields: int) -> Trace:
        """With other values in one packet."""
        pieces = list(self.pieces)
        configuration = self.trace.configuration
        packet = Packet.of(self.rows[number].tolist(), configuration)
        payload = Packet.make(packet.table, {**packet.fields, **fields}, configuration).payload
        pieces[number] = bytes([0x40 | len(payload)]) + payload
        return self.with_pieces(pieces)

    def packet(self, number: int) -> Packet:
        return Packet.of(self.rows[number].tolist(), self.trace.configuration)


def first_unequal(one: Trace, other: Trace) -> int | None:
    """The first instruction that differs, by the decoded program counters alone."""
    mine, theirs = one.pcs(), other.pcs()
    both = min(len(mine), len(theirs))
    unequal = mine[:both] != theirs[:both]
    if unequal.any():
        return int(np.argmax(unequal))
    return None if len(mine) == len(theirs) else both


def with_parameters(trace: Trace, **changes: object) -> Trace:
    """The same bytes under a header with other parameters."""
    configuration = replace(trace.configuration, **changes)
    header = replace(trace.header, configuration=configuration)
    data = header.pack() + b"".join(trace.chunks())
    return in_memory("other parameters", data, header, trace.code)
