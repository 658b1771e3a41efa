"""Spike-style pc traces."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etrace.errors import InputError
from etrace.sources.logs import open_log
from etrace.sources.logs.csv import COLUMNS

HEADER = ",".join(COLUMNS)


def write(tmp_path: Path, *rows: str, header: str = HEADER) -> str:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_rows_and_traps(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "1,1000,297,3,0,0,0,0",
        "0,dead,0,0,0,0,0,0",
        "1,1004,73,3,1,b,0,0",
        "1,1008,0,3,1,7,0,1",
        "1,80000000,13,0,0,0,0,0",
    )
    (stretch,) = open_log(path).stretches
    assert stretch.pcs.tolist() == [0x1000, 0x8000_0000]
    assert stretch.privs.tolist() == [3, 0]
    assert stretch.words is not None
    assert stretch.words.tolist() == [0x297, 0x13]
    assert stretch.traps["position"].tolist() == [1, 1]
    assert stretch.traps["cause"].tolist() == [11, 7]
    assert stretch.traps["interrupt"].tolist() == [0, 1]
    assert stretch.traps["epc"].tolist() == [0x1004, 0x1008]


def test_positions_count_through_the_pieces(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("etrace.sources.logs.text._PIECE", 50)
    rows = ["1,1000,13,3,0,0,0,0", "1,1004,73,3,1,b,0,0"] * 20
    found = list(open_log(write(tmp_path, *rows)).stretches)
    assert len(found) > 5
    assert [p for s in found for p in s.traps["position"].tolist()] == list(range(1, 21))
    assert sum(len(stretch.pcs) for stretch in found) == 20


def test_the_golden_one(traps_pc_trace: Path) -> None:
    with gzip.open(traps_pc_trace, "rt") as file:
        rows = [line.rstrip("\n").split(",") for line in file][1:]
    found = list(open_log(str(traps_pc_trace)).stretches)
    pcs = [pc for stretch in found for pc in stretch.pcs.tolist()]
    assert pcs == [int(row[1], 16) for row in rows if row[4] == "0"]
    assert sum(len(stretch.traps) for stretch in found) == sum(row[4] == "1" for row in rows)


@pytest.mark.parametrize(
    ("header", "row", "word"),
    [
        ("VALID,ADDRESS", "1,1000", "line 1: missing column INSN, PRIVILEGE"),
        (HEADER, "1,1000,297,3", "line 2: 4 columns"),
        (HEADER, "1,zz,297,3,0,0,0,0", "line 2: column ADDRESS: 'zz' is not a hexadecimal number"),
        (HEADER, "2,1000,297,3,0,0,0,0", "line 2: column VALID: 2 is out of range"),
        (HEADER, "1,1000,297,9,0,0,0,0", "line 2: column PRIVILEGE: 9 is out of range"),
    ],
)
def test_bad_files_are_named_with_line(tmp_path: Path, header: str, row: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        list(open_log(write(tmp_path, row, header=header)).stretches)


@given(st.binary(max_size=100))
def test_no_bytes_make_it_crash(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz_pc.csv"
    path.write_bytes(HEADER.encode() + b"\n1,1000,13,3,0,0,0,0\n" + data)
    try:
        assert next(open_log(str(path)).stretches).pcs[0] == 0x1000
    except InputError as error:
        assert str(error).startswith(f"{path}: line ")
