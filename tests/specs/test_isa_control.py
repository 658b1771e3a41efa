"""Classification of control transfers, and the map of a program's code."""

import csv
import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.isa.control import (
    CodeMap,
    Kind,
    classify,
    find_slot,
    sequential_target,
    sequentially_inferable,
)
from specs.isa.decode import length
from specs.isa.encode import encode
from specs.isa.tables import SELECTIONS, ZCM
from tests.model import program as model

WORDS = [
    # word, xlen, kind, itype, target, absolute
    (encode("addi", rd=1, rs1=1, imm=4), 64, Kind.SEQUENTIAL, 0, 0, 0),
    (encode("wfi"), 64, Kind.SEQUENTIAL, 0, 0, 0),
    (encode("csrrw", rd=1, imm=0x300), 64, Kind.SEQUENTIAL, 0, 0, 0),
    (encode("fence.i"), 64, Kind.SEQUENTIAL, 0, 0, 0),
    (encode("beq", rs1=1, rs2=2, imm=-8), 64, Kind.BRANCH, 4, -8, 0),
    (encode("bgeu", rs1=1, rs2=2, imm=4094), 32, Kind.BRANCH, 4, 4094, 0),
    (encode("c.beqz", rs1=8, imm=-256), 64, Kind.BRANCH, 4, -256, 0),
    (encode("c.bnez", rs1=8, imm=254), 32, Kind.BRANCH, 4, 254, 0),
    (encode("jal", rd=0, imm=-2), 64, Kind.INFERABLE_JUMP, 11, -2, 0),
    (encode("jal", rd=1, imm=8), 64, Kind.INFERABLE_JUMP, 9, 8, 0),
    (encode("jal", rd=5, imm=8), 64, Kind.INFERABLE_JUMP, 9, 8, 0),
    (encode("jal", rd=10, imm=8), 64, Kind.INFERABLE_JUMP, 15, 8, 0),
    (encode("c.j", imm=-2048), 64, Kind.INFERABLE_JUMP, 11, -2048, 0),
    (encode("c.jal", rd=1, imm=2046), 32, Kind.INFERABLE_JUMP, 9, 2046, 0),
    (0x2001 | 1 << 7, 64, Kind.SEQUENTIAL, 0, 0, 0),  # c.addiw there
    (encode("jalr", rd=1, imm=-2), 64, Kind.INFERABLE_JUMP, 9, -2, 1),
    (encode("jalr", rd=0, imm=0x101), 64, Kind.INFERABLE_JUMP, 11, 0x100, 1),
    (encode("jalr", rd=7, imm=4), 64, Kind.INFERABLE_JUMP, 15, 4, 1),
    (encode("mret"), 64, Kind.TRAP_RETURN, 3, 0, 0),
    (encode("sret"), 32, Kind.TRAP_RETURN, 3, 0, 0),
    (encode("dret"), 64, Kind.TRAP_RETURN, 3, 0, 0),
    (encode("mnret"), 64, Kind.TRAP_RETURN, 3, 0, 0),
    (encode("uret"), 64, Kind.TRAP_RETURN, 3, 0, 0),
    (encode("ecall"), 64, Kind.ENVIRONMENT, 0, 0, 0),
    (encode("ebreak"), 64, Kind.ENVIRONMENT, 0, 0, 0),
    (encode("c.ebreak"), 64, Kind.ENVIRONMENT, 0, 0, 0),
    (0x8002, 64, Kind.SEQUENTIAL, 0, 0, 0),  # reserved
    (0x0000000B, 64, Kind.SEQUENTIAL, 0, 0, 0),  # custom-0
    (0x0000, 64, Kind.SEQUENTIAL, 0, 0, 0),
]


WORDS += [
    (word, xlen, *expected)
    for xlen in (32 | ZCM, 64 | ZCM)
    for word, *expected in (
        (encode("cm.push", rs1=2, imm=15), Kind.SEQUENTIAL, 0, 0, 0),
        (encode("cm.pop", rs1=2, imm=4), Kind.SEQUENTIAL, 0, 0, 0),
        (encode("cm.popret", rs1=2, imm=4), Kind.UNINFERABLE_JUMP, 13, 0, 0),
        (encode("cm.popretz", rs1=2, imm=63), Kind.UNINFERABLE_JUMP, 13, 0, 0),
        (encode("cm.mva01s", rs1=8, rs2=9), Kind.SEQUENTIAL, 0, 0, 0),
        (encode("cm.jt", imm=31), Kind.UNINFERABLE_JUMP, 10, 0, 0),
        (encode("cm.jalt", imm=32), Kind.UNINFERABLE_JUMP, 8, 0, 0),
        (encode("cm.jalt", imm=255), Kind.UNINFERABLE_JUMP, 8, 0, 0),
    )
] + [
    (encode("cm.popret", rs1=2, imm=4), 64, Kind.SEQUENTIAL, 0, 0, 0),  # c.fsdsp there
    (encode("cm.jt", imm=31), 32, Kind.SEQUENTIAL, 0, 0, 0),
]


@pytest.mark.parametrize("xlen", SELECTIONS)
def test_every_compressed_word_as_the_model(xlen: int) -> None:
    for word in range(0x10000):
        if word & 3 != 3:
            expected = model.decode(word, 0, xlen & 96, xlen >= ZCM)
            kind, itype, _, _ = classify(word, xlen)
            assert (kind % Kind.ENVIRONMENT, itype) == (expected.kind, expected.itype), hex(word)


@pytest.mark.parametrize("case", WORDS, ids=lambda case: f"{case[0]:x}")
def test_classify(case: tuple[int, int, int, int, int, int]) -> None:
    word, xlen, *expected = case
    assert classify(word, xlen) == tuple(expected)
    assert classify(np.uint64(word), xlen) == tuple(expected)


def jalr_itype(rd: int, rs1: int) -> int:
    """The list of "Jump classification and target inference", row by row."""
    link = (1, 5)
    if (rd == 1 and rs1 != 5) or (rd == 5 and rs1 != 1):
        return 8
    if rd == 0 and rs1 not in link:
        return 10
    if rs1 in link and rd not in link:
        return 13
    if (rd, rs1) in ((1, 5), (5, 1)):
        return 12
    assert rs1 not in link and rd != 0 and rd not in link
    return 14


def test_every_jalr() -> None:
    for rd in range(32):
        for rs1 in range(1, 32):
            word = encode("jalr", rd=rd, rs1=rs1, imm=4)
            assert classify(word, 64)[:2] == (Kind.UNINFERABLE_JUMP, jalr_itype(rd, rs1))


def test_every_compressed_register_jump() -> None:
    for rs1 in range(1, 32):
        jump = 13 if rs1 in (1, 5) else 10
        call = 12 if rs1 == 5 else 8
        assert classify(encode("c.jr", rs1=rs1), 32)[:2] == (Kind.UNINFERABLE_JUMP, jump)
        word = encode("c.jalr", rd=1, rs1=rs1)
        assert classify(word, 32)[:2] == (Kind.UNINFERABLE_JUMP, call)


AUIPC = encode("auipc", rd=6, imm=-0x1000)
LUI = encode("lui", rd=6, imm=-0x80000000)
C_LUI = encode("c.lui", rd=6, imm=0x1F000)


@pytest.mark.parametrize(
    ("before", "jump", "xlen", "target"),
    [
        (AUIPC, encode("jalr", rd=1, rs1=6, imm=0x11), 64, 0x8000_0010),
        (AUIPC, encode("c.jr", rs1=6), 64, 0x8000_0000),
        (LUI, encode("c.jalr", rd=1, rs1=6), 64, 0xFFFF_FFFF_8000_0000),
        (LUI, encode("jalr", rs1=6, imm=-2), 32, 0x7FFF_FFFE),
        (C_LUI, encode("jalr", rs1=6, imm=-2), 64, 0x1EFFE),
    ],
)
def test_sequentially_inferable_pairs(before: int, jump: int, xlen: int, target: int) -> None:
    assert sequentially_inferable(before, jump)
    reached = sequential_target(np.uint64(0x8000_1000), before, jump, xlen)
    assert reached == target
    for signature in sequential_target.nopython_signatures:
        assert str(signature.return_type) == "uint64"


@pytest.mark.parametrize(
    ("before", "jump"),
    [
        (AUIPC, encode("jalr", rd=1, rs1=7)),  # another register
        (encode("auipc", rd=0, imm=0x1000), encode("jalr", rd=1, rs1=0)),
        (encode("addi", rd=6, rs1=6, imm=1), encode("jalr", rs1=6)),
        (encode("c.li", rd=6, imm=1), encode("c.jr", rs1=6)),
        (AUIPC, encode("jal", rd=6, imm=4)),
        (AUIPC, encode("addi", rd=6, rs1=6)),
        (0x6301, encode("c.jr", rs1=6)),  # c.lui with immediate 0: reserved
        (AUIPC, 0x8002),
        (encode("c.lui", rd=10, imm=0x1000), encode("cm.jt", imm=10)),
        (encode("c.lui", rd=1, imm=0x1000), encode("cm.popret", rs1=2, imm=4)),
    ],
)
def test_other_pairs(before: int, jump: int) -> None:
    assert not sequentially_inferable(before, jump)


@pytest.mark.parametrize("program", ["flow", "kernels", "modes", "traps"])
@pytest.mark.parametrize("xlen", [32, 64])
def test_golden_flow_follows_the_classification(golden: Path, program: str, xlen: int) -> None:
    """Each row leads where its class says, and has the itype that the reference flow gave it."""
    name = f"rv{xlen}-{program}"
    with gzip.open(golden / name / f"{name}.pc_trace.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    with gzip.open(golden / name / f"{name}.ingress.csv.gz", "rt") as file:
        itypes = {int(r["iaddr_0"], 16): int(r["itype_0"]) for r in csv.DictReader(file)}
    seen = set()
    for row, following in pairwise(rows):
        if row["EXCEPTION"] == "1" or row["INTERRUPT"] == "1" or following["INTERRUPT"] == "1":
            continue
        address, word = int(row["ADDRESS"], 16), int(row["INSN"], 16)
        kind, itype, target, absolute = classify(word, xlen)
        seen.add(kind)
        reached = int(following["ADDRESS"], 16)
        after = address + length(word)
        aim = (target + (0 if absolute else address)) % (1 << xlen)
        assert kind != Kind.ENVIRONMENT
        if kind == Kind.SEQUENTIAL:
            assert reached == after
        elif kind == Kind.BRANCH:
            assert reached in (after, aim)
            assert itypes[address] in (4, 5)
            continue
        elif kind == Kind.INFERABLE_JUMP:
            assert reached == aim
        expected = 14 if kind == Kind.TRAP_RETURN else itype  # as the golden README says
        assert itypes[address] in (expected, 1, 2)
    assert {Kind.SEQUENTIAL, Kind.BRANCH, Kind.INFERABLE_JUMP, Kind.UNINFERABLE_JUMP} <= seen


def memory_of(images: list[tuple[int, bytes]]) -> dict[int, int]:
    memory: dict[int, int] = {}
    for base, data in images:
        memory.update(enumerate(data, base))
    return memory


def check(images: list[tuple[int, bytes]], xlen: int) -> CodeMap:
    """Compare every slot of a map with a byte-by-byte reading of the images."""
    code = CodeMap(images, xlen)
    memory = memory_of(images)
    starts = [a for a in sorted(memory) if a % 2 == 0 and a + 1 in memory]
    assert [code.address(slot) for slot in range(code.word.size)] == starts
    for slot, address in enumerate(starts):
        assert code.slot(address) == slot
        assert code.slot(address + 1) == -1
        halfword = memory[address] | memory[address + 1] << 8
        size = length(halfword)
        whole = size != 0 and all(a in memory for a in range(address, address + size))
        word = halfword
        if size != 2:
            word |= (memory.get(address + 2, 0) | memory.get(address + 3, 0) << 8) << 16
        if whole:
            assert code.word[slot] == word
        assert code.size[slot] == (size // 2 if whole else 0)
        kind, itype, target, absolute = classify(word, xlen) if whole else (0, 0, 0, 0)
        assert (code.kind[slot], code.itype[slot]) == (kind, itype)
        if kind in (Kind.BRANCH, Kind.INFERABLE_JUMP):
            assert code.target[slot] == (target + (0 if absolute else address)) % (1 << xlen)
        else:
            assert code.target[slot] == 0
        walk, count = slot, int(whole)
        while whole and code.kind[walk] == Kind.SEQUENTIAL:
            next_slot = code.slot(code.address(walk) + 2 * int(code.size[walk]))
            if next_slot < 0 or code.size[next_slot] == 0:
                break
            walk, count = next_slot, count + 1
        assert (code.end[slot], code.count[slot]) == (walk, count)
    return code


def halves(*words: int) -> bytes:
    return b"".join(w.to_bytes(2 if w & 3 != 3 else 4, "little") for w in words)


NOP, ADD = 0x0001, encode("add", rd=1, rs1=2, rs2=3)
LOOP = halves(NOP, ADD, encode("beq", imm=-6), NOP, encode("c.jr", rs1=1), NOP, ADD)


def test_code_map_of_a_loop() -> None:
    code = check([(0x1000, LOOP)], 64)
    assert code.size.tolist() == [1, 2, 1, 2, 1, 1, 1, 1, 2, 1]
    assert code.end[:3].tolist() == [3, 3, 3]
    assert code.count[0] == 3
    assert code.kind[3] == Kind.BRANCH
    assert code.target[3] == 0x1000
    assert code.kind[6] == Kind.UNINFERABLE_JUMP
    assert code.itype[6] == 13
    assert (code.end[7], code.count[7]) == (8, 2)  # where the region ends


def test_later_images_win() -> None:
    code = check([(0x1000, LOOP), (0x1006, halves(NOP, NOP))], 64)
    assert code.kind[3] == Kind.SEQUENTIAL
    code = check([(0x1006, halves(NOP, NOP)), (0x1000, LOOP)], 64)
    assert code.kind[3] == Kind.BRANCH


def test_touching_images_are_one_region() -> None:
    code = check([(0x1004, LOOP[4:]), (0x1000, LOOP[:4])], 32)
    assert code.region_base.tolist() == [0x1000]
    assert code.size[1] == 2


@pytest.mark.parametrize(
    "images",
    [
        [],
        [(0x1000, b"")],
        [(0x1000, b"\x01")],
        [(0x1001, b"\x01\x00")],
        [(0x1001, LOOP)],
        [(0x1000, LOOP[:-1])],
        [(0x1000, LOOP), (0x1000 + len(LOOP) + 1, LOOP)],
        [(0x1000, LOOP), (0x9000, LOOP), (0x5000, LOOP[:3])],
        [(0x1000, b"\x7f\x00\x01\x00"), (0x2000, b"\x1f\x00\x00\x00\x00"), (0x3000, b"\x3f" * 8)],
    ],
)
def test_odd_shapes(images: list[tuple[int, bytes]]) -> None:
    check(images, 64)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("halfwords", [1, 2, 5])
def test_an_image_may_hold_the_last_addresses(xlen: int, halfwords: int) -> None:
    top = 1 << xlen
    code = CodeMap([(0x1000, LOOP), (top - 2 * halfwords, halves(*[NOP] * halfwords))], xlen)
    first = len(LOOP) // 2
    for number in range(halfwords):
        at = top - 2 * (halfwords - number)
        assert code.slot(at) == first + number and code.address(first + number) == at
        regions = code.region_base, code.region_end, code.region_slot
        assert find_slot(*regions, np.uint64(at)) == first + number
        assert (code.size[first + number], code.count[first + number]) == (1, halfwords - number)
    assert code.slot(top - 2 * halfwords - 2) == code.slot(0) == code.slot(top - 1) == -1


def test_targets_wrap_at_the_width() -> None:
    code = CodeMap([(0, halves(encode("jal", imm=-4)))], 32)
    assert code.target[0] == 0xFFFF_FFFC
    code = CodeMap([(0xFFFF_FFFC, halves(encode("jal", imm=8)))], 32)
    assert code.target[0] == 4
    assert code.slot(0xFFFF_FFFC) == 0
    code = CodeMap([(0x1000, halves(encode("jalr", imm=-4)))], 64)
    assert code.target[0] == 2**64 - 4


IMAGES = st.lists(
    st.tuples(st.integers(0, 48), st.binary(max_size=24)).map(lambda i: (0x8000_0000 + i[0], i[1])),
    max_size=4,
)


@given(IMAGES, st.sampled_from([32, 64]))
def test_any_bytes(images: list[tuple[int, bytes]], xlen: int) -> None:
    check(images, xlen)


@given(st.lists(st.sampled_from([NOP, ADD, 0x8082, 0xBFFD, 0x9002, 0x7F, 0x1F]), max_size=30))
def test_any_straight_code(words: list[int]) -> None:
    check([(0x1000, halves(*words))], 64)


@given(IMAGES, st.integers(0x8000_0000 - 4, 0x8000_0000 + 80))
def test_find_slot_is_slot(images: list[tuple[int, bytes]], address: int) -> None:
    code = CodeMap(images, 64)
    regions = code.region_base, code.region_end, code.region_slot
    assert find_slot(*regions, np.uint64(address)) == code.slot(address)


@pytest.mark.parametrize("address", [-2, 0xFFE, 0x1001, 0x1000 + len(LOOP), 2**64 - 2, 2**64])
def test_no_slot(address: int) -> None:
    code = CodeMap([(0x1000, LOOP)], 64)
    assert code.slot(address) == -1


@pytest.mark.parametrize(
    ("base", "size", "xlen"), [(-2, 4, 64), (2**32 - 2, 4, 32), (2**64 - 2, 4, 64), (2**70, 2, 64)]
)
def test_images_outside_of_memory_are_refused(base: int, size: int, xlen: int) -> None:
    with pytest.raises(ValueError, match="is not in"):
        CodeMap([(base, bytes(size))], xlen)


def test_other_errors() -> None:
    with pytest.raises(ValueError, match="xlen is 128"):
        CodeMap([], 128)
    with pytest.raises(IndexError):
        CodeMap([(0, LOOP)], 64).address(-1)


def test_a_megabyte() -> None:
    data = LOOP * (1_000_000 // len(LOOP))
    code = CodeMap([(0x8000_0000, data)], 64)
    assert code.word.size == len(data) // 2
    assert int((code.kind == Kind.BRANCH).sum()) == len(data) // len(LOOP)
    assert np.all(code.count > 0)
