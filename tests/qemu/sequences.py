"""Random instruction sequences of some extensions, in M mode.

Three registers point into a window of memory of the case and are never written; every other
register is fair game. Branches and jumps go forward, over the next few instructions.
"""

import random
from collections.abc import Sequence
from functools import lru_cache

from specs.isa.csrs import ADDRESS
from specs.isa.decode import Instruction, decode
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES, Entry
from tests.qemu import values
from tests.qemu.assembler import size_of, word
from tests.qemu.image import DATA, DATA_SIZE, Image

WINDOW = 1024
LENGTH = 24

#: What QEMU 7.2 has of `specs.isa.tables.Entry.extension`.
_BASE = frozenset({"i", "m", "zmmul", "zaamo", "zalrsc", "c", "zifencei"})
_BITS = frozenset({"zba", "zbb", "zbc", "zbs", "zbkb", "zbkc", "zbkx"})
_FLOATING = frozenset({"f", "d", "zfh", "zfhmin", "zcf", "zcd"})
_SUPPORTED = _BASE | _BITS | _FLOATING

#: Kinds of sequences: extensions whose instructions they have.
KINDS: dict[str, frozenset[str]] = {
    "i": frozenset({"i"}),
    "m": frozenset({"m", "zmmul"}),
    "a": frozenset({"zaamo", "zalrsc", "i"}),
    "c": frozenset({"c", "i"}),
    "zba": frozenset({"zba"}),
    "zbb": frozenset({"zbb"}),
    "zbc": frozenset({"zbc"}),
    "zbs": frozenset({"zbs"}),
    "zbk": frozenset({"zbkb", "zbkc", "zbkx"}),
    "f": frozenset({"f"}),
    "d": frozenset({"d"}),
    "fc": frozenset({"f", "d", "c", "zcf", "zcd"}),
    "zfh": frozenset({"zfh", "zfhmin"}),
    "integer": _BASE | _BITS,
    "mixed": _SUPPORTED,
}
_FORMS = {
    "f": (values.SINGLE,),
    "d": (values.DOUBLE, values.DOUBLE, values.SINGLE),
    "zfh": (values.HALF, values.HALF, values.SINGLE, values.DOUBLE),
    "fc": (values.SINGLE, values.DOUBLE),
    "mixed": (values.SINGLE, values.DOUBLE, values.HALF),
}

#: Bytes that the memory instructions move, by name.
_WIDTHS = {"b": 1, "bu": 1, "h": 2, "hu": 2, "w": 4, "wu": 4, "d": 8}
SIZES: dict[str, int] = {
    **{"l" + name: size for name, size in _WIDTHS.items()},
    **{"s" + name: size for name, size in _WIDTHS.items() if "u" not in name},
    **{f"f{way}{name}": _WIDTHS[name] for way in "ls" for name in "hwd"},
}
_CONTROL = frozenset({"beq", "bne", "blt", "bge", "bltu", "bgeu", "jal", "jalr"})
_EXCLUDED = frozenset({"ecall"})


def size(base: str) -> int:
    """Bytes that an instruction reads or writes; 0 if it is none of that kind."""
    if base in SIZES:
        return SIZES[base]
    if base.startswith(("lr.", "sc.", "amo")):
        return _WIDTHS[base[-1]]
    return 0


def alternatives(entry: Entry) -> list[set[str]]:
    """Extensions that have an instruction: all of one of these sets."""
    return [set(parts.split("+")) for parts in entry.extension.split("/")]


@lru_cache
def entries(kind: str, xlen: int) -> tuple[Entry, ...]:
    """Encodings of a kind on a width."""

    def belongs(entry: Entry) -> bool:
        return any(has <= _SUPPORTED and has & KINDS[kind] for has in alternatives(entry))

    all_of = [e for e in ENTRIES if xlen in e.xlens and e.expansion not in _EXCLUDED]
    return tuple(e for e in all_of if belongs(e))


def is_floating(entry: Entry) -> bool:
    """Whether an instruction needs f registers."""
    return any(has & _FLOATING for has in alternatives(entry))


def floating_point(kind: str) -> bool:
    """Whether sequences of a kind need f registers."""
    return bool(KINDS[kind] & _FLOATING)


def _to_f(entry: Entry, field: str) -> bool:
    return getattr(getattr(FORMATS[entry.format], field), "file", "x") == "f"


def operands(
    rng: random.Random, entry: Entry, xlen: int, fixed: frozenset[int]
) -> tuple[int, Instruction] | None:
    """A word of an encoding with random operands, that writes no register of `fixed`; None if it
    always does.
    """
    bits = 0xFFFF if entry.match & 3 != 3 else 0xFFFF_FFFF
    for _ in range(200):
        drawn = entry.match | rng.getrandbits(32) & ~entry.mask & bits
        if is_floating(entry) and bits > 0xFFFF and not entry.mask & 0x7000:
            mode = rng.choice((0, 1, 2, 3, 4, 7, 7, 7)) if rng.random() < 0.98 else 5
            drawn = drawn & ~0x7000 | mode << 12
        got = decode(drawn, xlen)
        if got is None or got.name != entry.name:
            continue
        if got.rd in fixed and not _to_f(entry, "rd"):
            continue
        return drawn, got
    return None


#: A word, or (name, operands, over how many parts it jumps); parts are jumped over as a whole.
Item = int | tuple[str, dict[str, int], int]


class Window:
    """One case's code in the making, and where its memory is."""

    def __init__(self, rng: random.Random, xlen: int, window: int) -> None:
        self.rng, self.xlen, self.window = rng, xlen, window
        self.parts: list[list[Item]] = []
        self.bases = {2: 0, rng.randrange(8, 16): 0, rng.choice((*range(16, 32), 1, 3)): 0}
        for register in self.bases:
            offset = 8 * rng.randrange(32)
            if rng.random() < 0.2:
                offset += rng.randrange(8)
            self.bases[register] = window + offset
        self.fixed = frozenset(self.bases)

    def add(self, entry: Entry) -> None:
        """One instruction, or two that belong together."""
        base = entry.expansion
        if base in _CONTROL:
            self._control(entry)
        elif base.startswith(("lr.", "sc.")):
            self._reserve(base[-1])
        elif size(base):
            self._memory(entry, base)
        else:
            self._plain(entry)

    def _plain(self, entry: Entry) -> None:
        found = operands(self.rng, entry, self.xlen, self.fixed)
        if found is None:
            return
        drawn, got = found
        if entry.name == "ctzw":  # `known`: a bit of the lower half must be set
            if got.rs1 not in self.free[1:]:
                return
            bit = self.rng.randrange(32)
            self.parts.append([word("bseti", rd=got.rs1, rs1=got.rs1, imm=bit), drawn])
            return
        self.parts.append([drawn])

    @property
    def free(self) -> list[int]:
        """Registers that may be written."""
        return [n for n in range(32) if n not in self.fixed]

    def _memory(self, entry: Entry, base: str) -> None:
        rng = self.rng
        for _ in range(200):
            found = operands(rng, entry, self.xlen, self.fixed)
            if found is None:
                return
            drawn, got = found
            if drawn & 3 != 3:
                if got.rs1 in self.bases:
                    self.parts.append([drawn])
                    return
                continue
            register = rng.choice(sorted(self.bases))
            drawn = drawn & ~(31 << 15) | register << 15
            if not base.startswith("amo"):
                target = rng.randrange(WINDOW - 8)
                if rng.random() < 0.8:
                    target &= -size(base)
                drawn = _with_offset(entry, drawn, target + self.window - self.bases[register])
            self.parts.append([drawn])
            return

    def _control(self, entry: Entry) -> None:
        rng = self.rng
        over = rng.randrange(4)
        if entry.name in ("c.jal", "c.jalr") and 1 in self.fixed:
            return
        if entry.expansion == "jalr":
            pointer = rng.choice(self.free[1:])
            first: Item = ("auipc", {"rd": pointer}, 0)
            if entry.name == "jalr":
                jump: Item = ("jalr", {"rd": rng.choice(self.free), "rs1": pointer}, over)
                self.parts.append([first, jump])
                return
            # where it goes is put in place by an addi before it
            link = int(entry.name == "c.jalr")
            last = word(entry.name, rs1=pointer, rd=link)
            self.parts.append([first, ("addi", {"rd": pointer}, over), last])
            return
        found = operands(rng, entry, self.xlen, self.fixed)
        assert found is not None
        got = found[1]
        self.parts.append([(entry.name, {"rd": got.rd, "rs1": got.rs1, "rs2": got.rs2}, over)])

    def _reserve(self, width: str) -> None:
        """A pair, or an SC without LR; what is between may not touch memory."""
        rng = self.rng
        base = rng.choice(sorted(self.bases))
        ordering = rng.randrange(4) << 25
        if self.bases[base] % _WIDTHS[width]:  # `known`: a misaligned sc
            self.parts.append([word(f"lr.{width}", rd=rng.choice(self.free), rs1=base) | ordering])
            return
        group: list[Item] = []
        if rng.random() < 0.8:
            group.append(word(f"lr.{width}", rd=rng.choice(self.free), rs1=base) | ordering)
            if rng.random() < 0.3:
                group.append(word("addi", rd=rng.choice(self.free), imm=rng.randrange(-9, 9)))
        for _ in range(rng.choice((1, 1, 2))):
            drawn = word(f"sc.{width}", rd=rng.choice(self.free), rs1=base, rs2=rng.randrange(32))
            group.append(drawn | ordering)
        self.parts.append(group)

    def words(self) -> list[int]:
        """Everything in place."""
        parts = [*self.parts, *([word("addi")] for _ in range(4))]
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + sum(_size(item) for item in part))
        found: list[int] = []
        for number, part in enumerate(parts):
            at = starts[number]
            for item in part:
                size = _size(item)
                if isinstance(item, int):
                    found.append(item)
                    at += size
                    continue
                name, given, over = item
                # from the auipc that is first in the part, where there is one
                origin = starts[number] if name in ("addi", "jalr") else at
                distance = starts[number + 1 + over] - origin
                if name == "auipc":
                    found.append(word("auipc", rd=given["rd"]))
                elif name == "addi":
                    found.append(word("addi", rd=given["rd"], rs1=given["rd"], imm=distance))
                else:
                    found.append(word(name, **given, imm=distance))
                at += size
        return found


def _size(item: Item) -> int:
    if isinstance(item, int):
        return size_of(item)
    return 2 if item[0].startswith("c.") else 4


def _with_offset(entry: Entry, drawn: int, imm: int) -> int:
    """A load or store with this immediate (I-type or S-type)."""
    if len(FORMATS[entry.format].imm) == 2:
        return drawn & 0x1FFF07F | (imm >> 5 & 127) << 25 | (imm & 31) << 7
    return drawn & 0x000FFFFF | (imm & 0xFFF) << 20


def _choose(rng: random.Random, choice: Sequence[Entry]) -> Entry:
    """Each extension is as likely, then each of its encodings."""
    extension = rng.choice(sorted({e.extension for e in choice}))
    return rng.choice([e for e in choice if e.extension == extension])


def image(kind: str, seed: int, xlen: int, count: int) -> Image:
    """`count` cases (fewer if they fill the image) of a kind."""
    rng = random.Random(f"{kind} {seed} {xlen}")
    choice = entries(kind, xlen)
    floating = floating_point(kind)
    made = Image(xlen, floating=floating)
    for number in range(count):
        if made.full or (number + 1) * WINDOW > DATA_SIZE:
            break
        window = DATA + WINDOW * number
        for at in range(0, WINDOW, 8):
            made.write(window + at, _datum(rng, kind))
        sequence = Window(rng, xlen, window)
        for _ in range(LENGTH):
            if floating and rng.random() < 0.06:
                sequence.parts.append([_fcsr_access(rng, sequence.free)])
            else:
                sequence.add(_choose(rng, choice))
        x = {n: values.integer(rng, xlen) for n in range(1, 32)} | sequence.bases
        f = values.floating(rng, _FORMS[kind]) if floating else ()
        fcsr = rng.randrange(5) << 5 | (rng.getrandbits(5) if rng.random() < 0.2 else 0)
        made.case(f"{kind} {number}", sequence.words(), x=x, f=f, fcsr=fcsr, skip=True)
    return made


def _datum(rng: random.Random, kind: str) -> int:
    if kind in _FORMS and rng.random() < 0.5:
        return values.boxed(rng, rng.choice(_FORMS[kind]))
    return values.integer(rng)


def _fcsr_access(rng: random.Random, free: list[int]) -> int:
    name = rng.choice(("csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"))
    csr = ADDRESS[rng.choice(("fflags", "frm", "fcsr", "frm"))]
    return word(name, rd=rng.choice(free), rs1=rng.randrange(32), imm=csr)
