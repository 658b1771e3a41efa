"""Instruction words in order, and constants: what images are made of. No compiler."""

from functools import lru_cache

from specs.isa.csrs import ADDRESS
from specs.isa.encode import encode


@lru_cache(maxsize=1 << 16)
def word(name: str, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> int:
    """`encode`, remembered."""
    return encode(name, rd=rd, rs1=rs1, rs2=rs2, imm=imm)


def size_of(instruction: int) -> int:
    return 4 if instruction & 3 == 3 else 2


def fld(fd: int, rs1: int, imm: int) -> int:
    """LOAD-FP with width D ("D" Standard Extension, Double-Precision Load and Store)."""
    return (imm & 0xFFF) << 20 | rs1 << 15 | 3 << 12 | fd << 7 | 0x07


def fsd(fs: int, rs1: int, imm: int) -> int:
    """STORE-FP with width D."""
    return (imm >> 5 & 0x7F) << 25 | fs << 20 | rs1 << 15 | 3 << 12 | (imm & 0x1F) << 7 | 0x27


class Code:
    """Code from `base` on: words in order of calls, labels that may be used before they are set."""

    def __init__(self, base: int, xlen: int) -> None:
        self.base, self.xlen = base, xlen
        self.content = bytearray()
        self.labels: dict[str, int] = {}
        self._fixes: list[tuple[int, str, str, dict[str, int]]] = []
        self._load, self._store = ("ld", "sd") if xlen == 64 else ("lw", "sw")

    @property
    def at(self) -> int:
        return self.base + len(self.content)

    def raw(self, value: int, size: int | None = None) -> None:
        self.content += value.to_bytes(size_of(value) if size is None else size, "little")

    def do(self, name: str, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> None:
        self.raw(word(name, rd, rs1, rs2, imm))

    def to(self, label: str, name: str, **operands: int) -> None:
        """A branch or jump to a label."""
        self._fixes.append((self.at, label, name, operands))
        self.raw(0, 4)

    def label(self, name: str) -> int:
        self.labels[name] = self.at
        return self.at

    def load(self, rd: int, base: int, imm: int) -> None:
        """A register's worth of memory."""
        self.do(self._load, rd=rd, rs1=base, imm=imm)

    def store(self, rs: int, base: int, imm: int) -> None:
        self.do(self._store, rs2=rs, rs1=base, imm=imm)

    def csrr(self, rd: int, csr: str) -> None:
        self.do("csrrs", rd=rd, imm=ADDRESS[csr])

    def csrw(self, csr: str, rs: int, rd: int = 0) -> None:
        self.do("csrrw", rd=rd, rs1=rs, imm=ADDRESS[csr])

    def address(self, rd: int, target: int) -> None:
        """An absolute address, two instructions, relative to the pc."""
        distance = target - self.at
        low = (distance & 0xFFF) - ((distance & 0x800) << 1)
        self.do("auipc", rd=rd, imm=distance - low)
        self.do("addi", rd=rd, rs1=rd, imm=low)

    def finish(self) -> bytes:
        for where, label, name, operands in self._fixes:
            target = self.labels[label] - where
            at = where - self.base
            self.content[at : at + 4] = word(name, **operands, imm=target).to_bytes(4, "little")
        return bytes(self.content)
