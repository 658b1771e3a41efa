"""Decoding: every encoding, reserved and hint encodings, and RVC against a second reading of it."""

import csv
import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.isa.decode import (
    EXPANSION,
    INDEX,
    NAMES,
    Instruction,
    decode,
    length,
    lookup,
    operands,
)
from specs.isa.encode import encode
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES, SELECTIONS, ZCM, Entry, table

GOLDEN = ["flow", "kernels", "modes", "traps"]


def search(word: int, xlen: int) -> str | None:
    """What the tables say, without buckets: the encoding with the most fixed bits that fits."""
    fitting = [
        entry
        for entry in ENTRIES
        if xlen in entry.selections
        and word & entry.mask == entry.match
        and (not entry.nonzero or word & entry.nonzero)
        and (not entry.differ or (word ^ word >> 5) & entry.differ)
        and not (xlen in (32, 32 | ZCM) and word & entry.zero32)
    ]
    return max(fitting, key=lambda e: e.mask.bit_count()).name if fitting else None


@pytest.mark.parametrize("xlen", SELECTIONS)
def test_every_encoding_with_random_operand_bits(xlen: int) -> None:
    rng = random.Random(xlen)
    found = set()
    for entry in ENTRIES:
        if xlen not in entry.selections:
            continue
        width = 32 if entry.match & 3 == 3 else 16
        for _ in range(60):
            word = entry.match | rng.getrandbits(width) & ~entry.mask
            instruction = decode(word, xlen)
            assert (instruction and instruction.name) == search(word, xlen), f"{word:#x}"
            if instruction:
                found.add(instruction.name)
                assert instruction.size == width // 8
    assert found == {entry.name for entry in ENTRIES if xlen in entry.selections}


@given(st.integers(0, 2**32 - 1), st.sampled_from(SELECTIONS))
def test_any_word(word: int, xlen: int) -> None:
    if word & 3 != 3:
        word &= 0xFFFF
    instruction = decode(word, xlen)
    assert (instruction and instruction.name) == search(word, xlen)
    index = lookup(word, xlen)
    assert index == (INDEX[instruction.name] if instruction else -1)
    assert lookup(np.uint64(word), xlen) == index
    if instruction:
        fields = (instruction.rd, instruction.rs1, instruction.rs2, instruction.imm)
        assert operands(index, word) == fields
        assert operands(index, np.uint64(word)) == fields


def test_only_the_low_half_of_a_compressed_word_counts() -> None:
    assert decode(0xFFFF_8082, 64) == decode(0x8082, 64) == Instruction("c.jr", 2, 0, 1, 0, 0)
    assert lookup(0xFFFF_8082, 64) == INDEX["c.jr"]
    assert operands(INDEX["c.li"], 0x1234_4515) == (10, 0, 0, 5)


def test_kernels_infer_integers() -> None:
    lookup(np.uint64(0x13), 64)
    operands(np.int64(0), np.uint64(0x13))
    for kernel in (lookup, operands, length):
        for signature in kernel.nopython_signatures:
            assert set(str(signature.return_type).replace("UniTuple(", "").split(" ")) <= {
                "int64",
                "x",
                "4)",
            }


INSTRUCTIONS = [
    # word, xlen, name, rd, rs1, rs2, imm: assembled with GNU as
    (0x00001297, 64, "auipc", 5, 0, 0, 0x1000),
    (0x80000537, 64, "lui", 10, 0, 0, -0x80000000),
    (0xFFF50513, 64, "addi", 10, 10, 0, -1),
    (0x0182B283, 64, "ld", 5, 5, 0, 24),
    (0xFEA13C23, 64, "sd", 0, 2, 10, -8),
    (0xFE0518E3, 64, "bne", 0, 10, 0, -16),
    (0x80050063, 32, "beq", 0, 10, 0, -4096),
    (0x024000EF, 32, "jal", 1, 0, 0, 0x24),
    (0x8000006F, 32, "jal", 0, 0, 0, -0x100000),
    (0x00008067, 32, "jalr", 0, 1, 0, 0),
    (0x43F55513, 64, "srai", 10, 10, 0, 63),
    (0x41F5551B, 64, "sraiw", 10, 10, 0, 31),
    (0xF1402573, 64, "csrrs", 10, 0, 0, 0xF14),
    (0x30047073, 64, "csrrci", 0, 8, 0, 0x300),
    (0x1605B52F, 64, "lr.d", 10, 11, 0, 0),
    (0x18C5A52F, 32, "sc.w", 10, 11, 12, 0),
    (0x0AC5A52F, 32, "amoswap.w", 10, 11, 12, 0),
    (0x30200073, 32, "mret", 0, 0, 0, 0),
    (0x12B50073, 64, "sfence.vma", 0, 10, 11, 0),
    (0x0FF0000F, 32, "fence", 0, 0, 0, 0xFF),
    (0x0000100F, 32, "fence.i", 0, 0, 0, 0),
]


@pytest.mark.parametrize("case", INSTRUCTIONS, ids=lambda case: f"{case[2]}-{case[0]:x}")
def test_operands(case: tuple[int, int, str, int, int, int, int]) -> None:
    word, xlen, name, rd, rs1, rs2, imm = case
    assert decode(word, xlen) == Instruction(name, 4, rd, rs1, rs2, imm)


RESERVED = [
    (0x0000, 32, "defined illegal"),
    (0x0004, 64, "c.addi4spn with immediate 0"),
    (0x6101, 64, "c.addi16sp with immediate 0"),
    (0x6201, 64, "c.lui with immediate 0, x4"),
    (0x6881, 64, "c.lui with immediate 0, x17"),
    (0x2005, 64, "c.addiw with rd x0"),
    (0x4012, 64, "c.lwsp with rd x0"),
    (0x6022, 64, "c.ldsp with rd x0"),
    (0x8002, 64, "c.jr with rs1 x0"),
    (0x1502, 32, "c.slli, bit 5 of the shift amount on RV32"),
    (0x9105, 32, "c.srli, bit 5 of the shift amount on RV32"),
    (0x9505, 32, "c.srai, bit 5 of the shift amount on RV32"),
    (0x9D01, 32, "c.subw on RV32"),
    (0x9D21, 32, "c.addw on RV32"),
    (0x9C79, 64, "quadrant 1, funct3 4, last row"),
    (0x9C71, 32, "c.zext.w on RV32"),
    (0x8C40, 64, "c.sh with bit 6"),
    (0x9000, 64, "quadrant 0, funct3 4"),
    (0xB832, 64 | ZCM, "cm.push of a reserved list"),
    (0xADAE, 64 | ZCM, "cm.mvsa01 twice of the same"),
    (0xA822, 64 | ZCM, "quadrant 2, funct3 5"),
    (0x2002, 64 | ZCM, "c.fldsp beside Zcmp"),
    (0x28B5B5AF, 32, "amocas.d, odd registers on RV32"),
    (0x28B544AF, 64, "amocas.q, odd registers"),
    (0xD2250553, 32, "fcvt.d.l on RV32"),
    (0xE2150553, 64, "fmvh.x.d on RV64"),
    (0x06B50553 | 1 << 25, 64, "quadruple precision"),
    (0x02051513, 32, "slli by 32 on RV32"),
    (0x0005051B, 32, "addiw on RV32"),
    (0x00053503, 32, "ld on RV32"),
    (0x0000000B, 64, "custom-0"),
    (0x00000073 | 1 << 7, 64, "ecall with rd"),
    (0xFFFFFFFF, 64, "all ones"),
    (0x0000001F, 64, "48-bit"),
]


@pytest.mark.parametrize("case", RESERVED, ids=lambda case: case[2])
def test_reserved_words_are_no_instructions(case: tuple[int, int, str]) -> None:
    word, xlen, _ = case
    assert decode(word, xlen) is None
    assert lookup(word, xlen) == -1


HINTS = [
    (0x0001, 64, "addi", 0, 0, 0, 0),  # c.nop
    (0x0005, 64, "addi", 0, 0, 0, 1),  # c.nop with an immediate
    (0x0501, 64, "addi", 10, 10, 0, 0),  # c.addi with immediate 0
    (0x4005, 64, "addi", 0, 0, 0, 1),  # c.li x0
    (0x6005, 64, "lui", 0, 0, 0, 0x1000),  # c.lui x0
    (0x802A, 64, "add", 0, 0, 10, 0),  # c.mv x0
    (0x900A, 64, "add", 0, 0, 2, 0),  # c.add x0: c.ntl.p1
    (0x0006, 64, "slli", 0, 0, 0, 1),  # c.slli x0
    (0x0502, 64, "slli", 10, 10, 0, 0),  # c.slli by 0
    (0x8101, 32, "srli", 10, 10, 0, 0),  # c.srli by 0
]


@pytest.mark.parametrize("case", HINTS, ids=lambda case: f"{case[0]:04x}")
def test_hints_are_executed(case: tuple[int, int, str, int, int, int, int]) -> None:
    word, xlen, base, rd, rs1, rs2, imm = case
    instruction = decode(word, xlen)
    assert instruction is not None
    assert NAMES[EXPANSION[INDEX[instruction.name]]] == base
    assert (instruction.rd, instruction.rs1, instruction.rs2, instruction.imm) == (
        rd,
        rs1,
        rs2,
        imm,
    )


def _bits(word: int, *places: tuple[int, int]) -> int:
    """Instruction bit -> immediate bit, one by one."""
    return sum((word >> source & 1) << target for source, target in places)


def _signed(value: int, sign: int) -> int:
    return value - (1 << sign + 1) if value >> sign & 1 else value


def zcb_unary(function: int, xlen: int) -> tuple[str, int] | None:
    """Base of "Zcb"'s instructions of one register, and its immediate."""
    names = [("andi", 255), ("sext.b", 0), ("zext.h", 0), ("sext.h", 0), ("add.uw", 0)]
    if function == 4 and xlen == 32:
        return None
    return ("xori", -1) if function == 5 else names[function] if function < 5 else None


def zcm(word: int) -> tuple[str, int, int, int, int] | None:
    """A second reading of "Zcmp" and "Zcmt"."""

    def saved(number: int) -> int:
        return number + (8 if number < 2 else 16)

    rlist, spimm, index = word >> 4 & 15, word >> 2 & 3, word >> 2 & 255
    first, second = word >> 7 & 7, word >> 2 & 7
    match f"{word >> 8 & 31:05b}":
        case "11000" | "11010" | "11100" | "11110" if rlist >= 4:
            name = ("push", "pop", "popretz", "popret")[word >> 9 & 3]
            return f"cm.{name}", 0, 2, 0, rlist + 16 * spimm
        case "00000" | "00001" | "00010" | "00011":
            return "cm.jt" if index < 32 else "cm.jalt", 0, 0, 0, index
    if word >> 10 & 7 == 3 and word >> 5 & 3 == 1 and first != second:
        return "cm.mvsa01", 0, saved(first), saved(second), 0
    if word >> 10 & 7 == 3 and word >> 5 & 3 == 3:
        return "cm.mva01s", 0, saved(first), saved(second), 0
    return None


def expand(word: int, selection: int) -> tuple[str, int, int, int, int] | None:
    """A second reading of the chapter "Compressed Instructions": base, rd, rs1, rs2, immediate."""
    xlen, has_zcd = selection & 96, selection < ZCM
    rd, low, high = word >> 7 & 31, 8 + (word >> 2 & 7), 8 + (word >> 7 & 7)
    rs2 = word >> 2 & 31
    imm6 = word >> 2 & 31 | (word >> 12 & 1) << 5
    lw = _bits(word, (5, 6), (6, 2), (10, 3), (11, 4), (12, 5))
    ld = _bits(word, (5, 6), (6, 7), (10, 3), (11, 4), (12, 5))
    places = (2, 5), (3, 1), (4, 2), (5, 3), (6, 7), (7, 6), (8, 10), (9, 8), (10, 9), (11, 4)
    jump = _signed(_bits(word, *places, (12, 11)), 11)
    branch = _bits(word, (2, 5), (3, 1), (4, 2), (5, 6), (6, 7), (10, 3), (11, 4), (12, 8))
    branch = _signed(branch, 8)
    six = _signed(imm6, 5)
    rv64 = xlen == 64
    match word & 3, word >> 13:
        case 0, 0:
            imm = _bits(
                word, *((5, 3), (6, 2), (7, 6), (8, 7)), *((9, 8), (10, 9), (11, 4), (12, 5))
            )
            return ("addi", low, 2, 0, imm) if imm else None
        case 0, 2:
            return "lw", low, high, 0, lw
        case 0, 3 if rv64:
            return "ld", low, high, 0, ld
        case 0, 1 if has_zcd:
            return "fld", low, high, 0, ld
        case 0, 3:
            return "flw", low, high, 0, lw
        case 0, 5 if has_zcd:
            return "fsd", 0, high, low, ld
        case 0, 7 if not rv64:
            return "fsw", 0, high, low, lw
        case 0, 4:
            byte, half = _bits(word, (6, 0), (5, 1)), _bits(word, (5, 1))
            match word >> 10 & 7, word >> 6 & 1:
                case 0, _:
                    return "lbu", low, high, 0, byte
                case 1, 0:
                    return "lhu", low, high, 0, half
                case 1, 1:
                    return "lh", low, high, 0, half
                case 2, _:
                    return "sb", 0, high, low, byte
                case 3, 0:
                    return "sh", 0, high, low, half
            return None
        case 0, 6:
            return "sw", 0, high, low, lw
        case 0, 7 if rv64:
            return "sd", 0, high, low, ld
        case 1, 0:
            return "addi", rd, rd, 0, six
        case 1, 1:
            if not rv64:
                return "jal", 1, 0, 0, jump
            return ("addiw", rd, rd, 0, six) if rd else None
        case 1, 2:
            return "addi", rd, 0, 0, six
        case 1, 3 if imm6 == 0:
            return ("addi", 0, 0, 0, 0) if rd in range(1, 16, 2) else None  # Zcmop
        case 1, 3 if rd == 2:
            imm = _bits(word, (2, 5), (3, 7), (4, 8), (5, 6), (6, 4), (12, 9))
            return "addi", 2, 2, 0, _signed(imm, 9)
        case 1, 3:
            return "lui", rd, 0, 0, six << 12
        case 1, 4:
            match word >> 10 & 3:
                case 0 | 1 if imm6 > 31 and not rv64:
                    return None
                case 0:
                    return "srli", high, high, 0, imm6
                case 1:
                    return "srai", high, high, 0, imm6
                case 2:
                    return "andi", high, high, 0, six
            names = ["sub", "xor", "or", "and", "subw", "addw", "mul", ""]
            name = names[(word >> 12 & 1) << 2 | word >> 5 & 3]
            if not name:
                unary = zcb_unary(word >> 2 & 7, xlen)
                return unary and (unary[0], high, high, 0, unary[1])
            if name.endswith("w") and not rv64:
                return None
            return name, high, high, low, 0
        case 1, 5:
            return "jal", 0, 0, 0, jump
        case 1, 6:
            return "beq", 0, high, 0, branch
        case 1, 7:
            return "bne", 0, high, 0, branch
        case 2, 0:
            return ("slli", rd, rd, 0, imm6) if rv64 or imm6 < 32 else None
        case 2, 2 if rd:
            return "lw", rd, 2, 0, imm6 & 0x3C | (imm6 & 3) << 6
        case 2, 3 if rd and rv64:
            return "ld", rd, 2, 0, imm6 & 0x38 | (imm6 & 7) << 6
        case 2, 1 if has_zcd:
            return "fld", rd, 2, 0, imm6 & 0x38 | (imm6 & 7) << 6
        case 2, 3 if not rv64:
            return "flw", rd, 2, 0, imm6 & 0x3C | (imm6 & 3) << 6
        case 2, 5 if not has_zcd:
            return zcm(word)
        case 2, 4 if not word >> 12 & 1:
            if rs2:
                return "add", rd, 0, rs2, 0
            return ("jalr", 0, rd, 0, 0) if rd else None
        case 2, 4:
            if rs2:
                return "add", rd, rd, rs2, 0
            return ("jalr", 1, rd, 0, 0) if rd else ("ebreak", 0, 0, 0, 0)
        case 2, 6 | 7 if word >> 13 == 6 or not rv64:
            name = "sw" if word >> 13 == 6 else "fsw"
            imm = _bits(word, *((n, n - 7 if n > 8 else n - 1) for n in range(7, 13)))
            return name, 0, 2, rs2, imm
        case 2, 5 | 7:
            imm = _bits(word, (7, 6), (8, 7), (9, 8), (10, 3), (11, 4), (12, 5))
            return "sd" if word >> 13 == 7 else "fsd", 0, 2, rs2, imm
    return None


@pytest.mark.parametrize("xlen", SELECTIONS)
def test_every_compressed_word(xlen: int) -> None:
    for word in range(0x10000):
        if word & 3 == 3:
            continue
        index = lookup(word, xlen)
        expected = expand(word, xlen)
        if expected is None:
            assert index == -1, f"{word:#06x}"
        else:
            assert index >= 0, f"{word:#06x}"
            assert (NAMES[EXPANSION[index]], *operands(index, word)) == expected, f"{word:#06x}"


def test_expansions_are_32_bit_instructions() -> None:
    """But those of Zcmp and Zcmt, which do what no instruction of 32 bits does."""
    for entry in ENTRIES:
        if entry.extension in ("zcmp", "zcmt"):
            assert entry.expansion == entry.name
            continue
        base = ENTRIES[INDEX[entry.expansion]]
        assert base.match & 3 == 3
        known = {
            x for e in ENTRIES if e.expansion == base.name and e.match & 3 == 3 for x in e.xlens
        }
        assert set(entry.xlens) <= known
        assert entry.name == base.name or entry.match & 3 != 3 or entry.name == f"{base.name}.rv32"


@pytest.mark.parametrize(
    ("halfword", "size"),
    [
        *((0x0001, 2), (0x0002, 2), (0x0000, 2), (0x0013, 4), (0xFFEF, 4)),
        *((0x001F, 6), (0x005F, 6), (0x003F, 8), (0x007F, 0), (0xFFFF, 0)),
    ],
)
def test_length(halfword: int, size: int) -> None:
    assert length(halfword) == size


def _encodable(entry: Entry, rng: random.Random) -> dict[str, int]:
    layout = FORMATS[entry.format]
    fields = {}
    for name, register in (("rd", layout.rd), ("rs1", layout.rs1), ("rs2", layout.rs2)):
        if register.mask:
            number = register.offset + rng.randrange(register.mask + 1)
            fields[name] = number + 8 if register.is_saved and number > 9 else number
    imm = sum((rng.getrandbits(32) & s.mask) << s.left for s in layout.imm) or layout.implied
    return fields | ({"imm": _signed(imm, layout.sign) if layout.sign >= 0 else imm} if imm else {})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_encode_is_the_inverse(entry: Entry) -> None:
    rng = random.Random(entry.match)
    encoded = 0
    for _ in range(120):
        fields = _encodable(entry, rng)
        if FORMATS[entry.format].rd == FORMATS[entry.format].rs1 and "rd" in fields:
            fields["rs1"] = fields["rd"]
        try:
            word = encode(entry.name, **fields)
        except ValueError:
            continue
        encoded += 1
        instruction = decode(word, entry.selections[-1])
        assert instruction is not None
        assert instruction.name == entry.name
        assert {name: getattr(instruction, name) for name in fields} == fields
    assert encoded > 5


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("addi", {"imm": 2048}),
        ("addi", {"rd": 32}),
        ("beq", {"imm": 3}),
        ("jal", {"imm": 1 << 20}),
        ("c.lw", {"rd": 7, "rs1": 8}),
        ("c.addi", {"rd": 3, "rs1": 4, "imm": 1}),
        ("c.jr", {"rs1": 0}),
        ("c.lui", {"rd": 2, "imm": 0x1000}),
        ("ecall", {"imm": 1}),
    ],
)
def test_encode_refuses(name: str, fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=name):
        encode(name, **fields)


def test_a_table_row_with_an_unknown_column_is_an_error() -> None:
    with pytest.raises(ValueError, match="'odd:3' is not known"):
        table("x", (64,), "name none 0x0 0x0 odd:3")


@pytest.mark.parametrize("program", GOLDEN)
@pytest.mark.parametrize("xlen", [32, 64])
def test_golden_programs_retire_only_known_instructions(
    golden: Path, program: str, xlen: int
) -> None:
    name = f"rv{xlen}-{program}"
    with gzip.open(golden / name / f"{name}.pc_trace.csv.gz", "rt") as file:
        rows = {(r["INSN"], r["EXCEPTION"], r["ECAUSE"]) for r in csv.DictReader(file)}
    assert len(rows) > 50
    for insn, exception, cause in rows:
        instruction = decode(int(insn, 16), xlen)
        if exception == "0":
            assert instruction is not None, insn
        elif cause == "2":
            assert instruction is None or instruction.name.startswith("csr"), insn
