"""Ingress CSV files: "Instruction Trace Interface", and what is wrong with a file."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etrace.errors import InputError
from etrace.sources import csvin
from specs.interfaces.ingress import (
    BLOCK,
    CODE_BITS,
    CODE_MASK,
    HALTED,
    HAS_CONTEXT,
    RESET,
    SIDEBAND_CODE,
    UNKNOWN_SIZE,
)

HEADER = "itype_0,cause,tval,priv,iaddr_0,context,ctype,iretire_0,ilastsize_0"

Event = tuple[object, ...]


def events(path: Path, **options: object) -> list[Event]:
    """References with what they refer to, in order."""
    found: list[Event] = []
    for chunk in csvin.chunks(str(path), **options):  # type: ignore[arg-type]
        for ref in chunk.refs.tolist():
            code, index = ref & CODE_MASK, ref >> CODE_BITS
            if code == SIDEBAND_CODE:
                row = chunk.sidebands[index]
                found.append(("context", int(row["context"]), int(row["ctype"])))
                assert row["flags"] == HAS_CONTEXT
            elif code in (1, 2):
                trap = chunk.traps[index]
                names = ("iaddr", "tval", "cause", "priv", "iaddr_valid")
                found.append(("trap", code, *(int(trap[name]) for name in names)))
            else:
                block = chunk.blocks[index]
                names = ("iaddr", "iretire", "ilastsize", "ifirstsize", "priv")
                found.append(("block", code, *(int(block[name]) for name in names)))
    return found


@pytest.fixture
def csv(tmp_path: Path):
    def write(*rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "ingress.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def test_single_retirement(csv) -> None:
    path = csv("0,0,0,3,1000,0,0,1,1", "5,0,0,3,80000004,0,0,1,0", "0,9,9,3,5,0,0,0,0")
    assert events(path) == [
        ("block", 0, 0x1000, 2, 1, 1, 3),
        ("block", 5, 0x8000_0004, 1, 0, 0, 3),
    ]


def test_blocks_of_half_words(csv) -> None:
    path = csv("4,0,0,3,1000,0,0,5,1", "0,0,0,3,2000,0,0,2,1")
    assert events(path, retires_p=4) == [
        ("block", 4, 0x1000, 5, 1, UNKNOWN_SIZE, 3),
        ("block", 0, 0x2000, 2, 1, 1, 3),
    ]


def test_a_trap_alone_has_the_epc(csv) -> None:
    assert events(csv("1,2,dead,0,400,0,0,0,1")) == [("trap", 1, 0x400, 0xDEAD, 2, 0, 1)]


def test_a_block_then_a_trap_behind_it(csv) -> None:
    expected = [("block", 0, 0x400, 3, 1, UNKNOWN_SIZE, 3), ("trap", 2, 0x406, 0, 7, 3, 1)]
    assert events(csv("2,7,55,3,400,0,0,3,1"), retires_p=2) == expected


def test_an_interrupt_without_an_address_has_none(csv) -> None:
    assert events(csv("2,7,0,3,0,0,0,0,0")) == [("trap", 2, 0, 0, 7, 3, 0)]


@pytest.mark.parametrize("cause", [3, 8, 9, 10, 11])
def test_ecall_and_ebreak_rows_did_not_retire(csv, cause: int) -> None:
    path = csv(f"1,{cause},0,0,400,0,0,1,1")
    assert events(path) == [("trap", 1, 0x400, 0, cause, 0, 1)]
    literally = [("block", 0, 0x400, 2, 1, 1, 0), ("trap", 1, 0x404, 0, cause, 0, 1)]
    assert events(path, ecall_retires=True) == literally
    blocks = events(csv(f"1,{cause},0,0,400,0,0,2,1"), retires_p=2)
    assert blocks == literally


def test_other_exceptions_with_iretire_1_follow_a_retired_instruction(csv) -> None:
    found = events(csv("1,2,0,3,400,0,0,1,1"))
    assert found == [("block", 0, 0x400, 2, 1, 1, 3), ("trap", 1, 0x404, 0, 2, 3, 1)]


def test_context_is_told_from_the_first_row_that_has_one(csv) -> None:
    plain, other = "0,0,0,3,1000,0,0,1,1", "0,0,0,3,1004,5,1,1,1"
    found = events(csv(plain, plain, other, plain))
    assert [event for event in found if event[0] == "context"] == [
        ("context", 5, 1),
        ("context", 0, 0),
    ]
    assert [event[0] for event in found] == ["block", "block", *["context", "block"] * 2]


def test_columns_in_any_order_without_suffix_and_others_ignored(csv) -> None:
    path = csv(
        "7,1,1,2000,3,0,0,0", header="time_stamp,ilastsize,iretire,iaddr,priv,tval,cause,itype"
    )
    assert events(path) == [("block", 0, 0x2000, 2, 1, 1, 3)]


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("itype_0,cause,tval,priv", "missing column iaddr, iretire, ilastsize"),
        (HEADER + ",itype_1", "itype_1: 2 blocks a row, but blocks_p is 1; set blocks_p = 2"),
        (HEADER + ",iaddr", "iaddr stands there twice"),
        ("", "missing column"),
    ],
)
def test_headers_that_cannot_be_used(csv, header: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        events(csv("0,0,0,3,1000,0,0,1,1", header=header))


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("0,0,0,3,1000,0,0,1", "8 columns, the header has 9"),
        ("0,0,0,3,xyz,0,0,1,1", "column iaddr: 'xyz' is not a hexadecimal number"),
        ("0,0,0,3,1000,0,0,one,1", "column iretire: 'one' is not a decimal number"),
        ("0,-1,0,3,1000,0,0,1,1", "column cause: '-1'"),
        ("0,1_0,0,3,1000,0,0,1,1", "column cause: '1_0'"),
        ("16,0,0,3,1000,0,0,1,1", "column itype: 16 is out of range"),
        ("0,0,0,8,1000,0,0,1,1", "column priv: 8 is out of range"),
        ("0,0,0,3,10000000000000000,0,0,1,1", "column iaddr: .* is out of range"),
        ("7,0,0,3,1000,0,0,1,1", "itype 7 is reserved"),
        ("5,0,0,3,1000,0,0,0,1", "itype 5 but nothing retired"),
        ("0,0,0,3,1000,0,0,4,1", "iretire 4, but retires_p is 1"),
        ("0,0,0,3," + "0" * 40 + ",0,0,1,1", "not a hexadecimal number"),
    ],
)
def test_a_bad_row_is_named_with_its_line(csv, row: str, word: str) -> None:
    path = csv("0,0,0,3,1000,0,0,1,1", "0,0,0,3,1000,0,0,1,1", row)
    with pytest.raises(InputError, match=word) as caught:
        events(path)
    assert str(caught.value).startswith(f"{path}: line 4: ")


def test_iretire_below_the_last_size(csv) -> None:
    with pytest.raises(InputError, match="iretire 1 is less than ilastsize says"):
        events(csv("0,0,0,3,1000,0,0,1,1"), retires_p=2)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bytes])
def test_compression_is_seen_by_content(tmp_path: Path, pack) -> None:
    text = f"{HEADER}\r\n0,0,0,3,1000,0,0,1,1\r\n".encode()
    path = tmp_path / "any.name"
    path.write_bytes(pack(text))
    assert events(path) == [("block", 0, 0x1000, 2, 1, 1, 3)]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_broken_compression(tmp_path: Path, pack) -> None:
    text = "\n".join([HEADER, *(f"0,0,0,3,{n:x},0,0,1,1" for n in range(4000))]).encode()
    path = tmp_path / "broken"
    whole = pack(text)
    for data in (whole[:-30], whole[: len(whole) // 2], whole[:40] + b"junk" * 30 + whole[160:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"truncated|broken|CRC|expected|too long|column"):
            events(path)


def test_empty_and_binary_files(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty file"):
        events(path)
    path.write_bytes(b"\x00" * 100_000)
    with pytest.raises(InputError, match=r"too long|missing column"):
        events(path)
    with pytest.raises(InputError, match="Is a directory"):
        events(tmp_path)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_crash(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(HEADER.encode() + b"\n0,0,0,3,1000,0,0,1,1\n" + data)
    try:
        assert events(path)[0][0] == "block"
    except InputError as error:
        assert str(error).startswith(f"{path}: line ")


def test_tables_of_later_chunks_only_grow(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("etrace.files._PIECE", 100)
    path = tmp_path / "many.csv"
    rows = [f"0,0,0,3,{4096 + 4 * (n % 30):x},0,0,1,1" for n in range(90)]
    path.write_text("\n".join([HEADER, *rows]))
    previous = np.zeros(0, BLOCK)
    addresses: list[int] = []
    for chunk in csvin.chunks(str(path)):
        assert chunk.fresh <= len(previous)
        assert (chunk.blocks[: chunk.fresh] == previous[: chunk.fresh]).all()
        addresses += chunk.blocks["iaddr"][chunk.refs >> CODE_BITS].tolist()
        previous = chunk.blocks
    assert addresses == [4096 + 4 * (n % 30) for n in range(90)]


def test_the_memory_of_rows_is_bounded(csv, monkeypatch) -> None:
    monkeypatch.setattr("etrace.sources.csvin._MAX_ROWS", 4)
    monkeypatch.setattr("etrace.files._PIECE", 60)
    path = csv(*(f"0,0,0,3,{n:x},0,0,1,1" for n in range(0, 200, 4)))
    chunks = list(csvin.chunks(str(path)))
    assert max(len(chunk.blocks) for chunk in chunks) <= 10
    assert sum(len(chunk.refs) for chunk in chunks) == 50
    assert [event[2] for event in events(path)] == list(range(0, 200, 4))


def test_context_outlives_the_memory_of_rows(csv, monkeypatch) -> None:
    monkeypatch.setattr("etrace.sources.csvin._MAX_ROWS", 4)
    monkeypatch.setattr("etrace.files._PIECE", 60)
    rows = [f"0,0,0,3,{n:x},{9 if n == 8 else 0},0,1,1" for n in range(0, 80, 4)]
    contexts = [event[1] for event in events(csv(*rows)) if event[0] == "context"]
    assert contexts == [9] + [0] * 17


def test_triggers_halted_and_reset(csv) -> None:
    """Also on rows on which nothing retires, where the hart is halted."""
    header = "itype,cause,tval,priv,iaddr,iretire,ilastsize,trigger,halted,reset"
    path = csv(
        "0,0,0,3,1000,1,1,4,0,0", "0,0,0,3,0,0,0,0,1,0", "0,0,0,3,2000,1,1,0,0,1", header=header
    )
    (chunk,) = csvin.chunks(str(path))
    codes = (chunk.refs & CODE_MASK).tolist()
    assert codes == [SIDEBAND_CODE, 0, SIDEBAND_CODE, SIDEBAND_CODE, 0]
    rows = chunk.sidebands[chunk.refs[chunk.refs & CODE_MASK == SIDEBAND_CODE] >> CODE_BITS]
    assert rows["trigger"].tolist() == [4, 0, 0]
    assert rows["flags"].tolist() == [0, HALTED, RESET]
