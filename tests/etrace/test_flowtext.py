"""The formats of `etrace decode`, on a flow made by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import pcs
from etrace.trace.stretch import pieces
from etrace.trace.symbols import Symbols
from etrace.views import flow as flowtext
from specs.interfaces.flow import GAP, RUN, TRAP, Flow, Reason
from specs.isa.control import CodeMap

# addi a0,a0,1 | c.nop | ecall | beq x0,x0,-4 ...
CODE = CodeMap([(0x1000, bytes.fromhex("13051500") + bytes.fromhex("0100") * 30)], 64)
SYMBOLS = Symbols([("start", 0x1000, 4, "FUNC", 0x1040), ("loop", 0x1004, 0, "NOTYPE", 0x1040)])
LISTING = flowtext.Listing(CODE, SYMBOLS)


def expand(runs: np.ndarray) -> np.ndarray:
    return pcs(Flow(runs), CODE)


def flow() -> Flow:
    """Three instructions, an exception, two at another privilege, a gap, an interrupt, one."""
    runs = np.zeros(3, RUN)
    runs["start"] = [0x1000, 0x1004, 0x1010]
    runs["count"] = [3, 2, 1]
    runs["priv"] = [3, 0, 0]
    traps = np.zeros(2, TRAP)
    traps["run"], traps["cause"], traps["interrupt"] = [1, 2], [11, 7], [0, 1]
    traps["epc"], traps["tval"], traps["priv"] = [0x1008, 0x1010], [5, 0], [3, 0]
    traps["epc_known"], traps["packet"], traps["offset"] = 1, [4, 9], [40, 90]
    gaps = np.zeros(1, GAP)
    gaps["run"], gaps["packet"], gaps["offset"] = 2, 7, 70
    gaps["address"], gaps["reason"] = 0x2000, int(Reason.NO_CODE)
    return Flow(runs, traps, gaps=gaps)


def text(name: str, first: int = 0, last: int | None = None, given: Flow | None = None) -> str:
    writer = flowtext.WRITERS[name](LISTING)
    chunks = [flow() if given is None else given]
    return b"".join(flowtext.write_flows(chunks, writer, expand, first, last)).decode()


def test_pc() -> None:
    assert text("pc").split() == ["1000", "1004", "1006", "1004", "1006", "1010"]


def test_csv_is_a_pc_trace() -> None:
    assert text("csv").splitlines() == [
        "VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT",
        "1,1000,150513,3,0,0,0,0",
        "1,1004,1,3,0,0,0,0",
        "1,1006,1,3,0,0,0,0",
        "1,1008,1,3,1,b,5,0",
        "1,1004,1,0,0,0,0,0",
        "1,1006,1,0,0,0,0,0",
        "0,2000,0,0,0,0,0,0",
        "1,1010,0,0,1,7,0,1",
        "1,1010,1,0,0,0,0,0",
    ]


def test_text() -> None:
    assert text("text").splitlines() == [
        "         0 0000000000001000 00150513 addi a0,a0,1                     <start>",
        "         1 0000000000001004 0001     nop                              <loop>",
        "         2 0000000000001006 0001     nop                              <loop+0x2>",
        "           -- exception 11 (environment call from M-mode): "
        "epc 0000000000001008 <loop+0x4>, tval 5",
        "           -- privilege U",
        "         3 0000000000001004 0001     nop                              <loop>",
        "         4 0000000000001006 0001     nop                              <loop+0x2>",
        "           -- gap: packet 7, offset 70: no code at 0x2000: damaged, "
        "or a program is missing (--elf, --image; --platform for its boot ROM)",
        "           -- interrupt 7 (machine timer interrupt): epc 0000000000001010 <loop+0xc>",
        "         5 0000000000001010 0001     nop                              <loop+0xc>",
    ]


def test_jsonl() -> None:
    rows = [json.loads(line) for line in text("jsonl").splitlines()]
    assert [row["number"] for row in rows] == [0, 1, 2, 3, 3, 4, 5, 5, 5]
    assert [row.get("pc") for row in rows if "pc" in row] == [
        f"0x{pc}" for pc in text("pc").split()
    ]
    assert rows[0] == {
        "number": 0,
        "pc": "0x1000",
        "word": "0x00150513",
        "privilege": "M",
        "symbol": "start",
        "text": "addi a0,a0,1",
    }
    assert rows[3]["trap"] == "exception"
    assert (rows[3]["cause"], rows[3]["epc"], rows[3]["tval"]) == (11, "0x1008", "0x5")
    assert rows[6]["gap"] == "no_code"
    assert rows[7]["trap"] == "interrupt" and rows[7]["tval"] is None


@pytest.mark.parametrize("name", list(flowtext.WRITERS))
@given(first=st.integers(0, 8), size=st.integers(0, 8))
def test_windows_put_together_are_the_whole(name: str, first: int, size: int) -> None:
    header = flowtext.WRITERS[name](LISTING).header()
    whole = text(name).removeprefix(header)
    parts = [text(name, 0, first), text(name, first, first + size), text(name, first + size)]
    joined = "".join(part.removeprefix(header) for part in parts)
    # A window begins without a word about the privilege level it is at.
    mark = "           -- privilege U\n"
    assert joined.replace(mark, "") == whole.replace(mark, "")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("name", list(flowtext.WRITERS))
def test_pieces_do_not_show(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = text(name)
    monkeypatch.setattr("etrace.trace.stretch._PIECE", limit)
    monkeypatch.setattr("etrace.views.flow._PIECE", limit)
    assert text(name) == expected


def test_pieces_keep_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etrace.trace.stretch._PIECE", 3)
    parts = list(pieces(flow()))
    assert [len(part.runs) for part in parts] == [1, 2]
    for name in ("runs", "traps", "gaps"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert (joined == getattr(flow(), name)).all()
    assert [part.first_run for part in parts] == [0, 1]


def test_an_empty_flow_with_a_gap() -> None:
    lost = Flow(gaps=flow().gaps)
    lost.gaps["run"] = 0
    assert text("pc", given=lost) == ""
    assert text("csv", given=lost).count("\n") == 2
    assert "gap" in text("text", given=lost)


def test_where_there_is_no_code() -> None:
    assert LISTING.word(0x5000) == (0, 0)
    assert LISTING.line(0x5000) == "0000000000005000 -"


def test_an_unknown_reason_has_its_number() -> None:
    gap = flow().gaps[0]
    gap["reason"] = 99
    assert flowtext.gap_text(gap) == "packet 7, offset 70: reason 99"
    assert flowtext.reason_name(99) == "99"


def test_symbols() -> None:
    symbols = Symbols(
        [
            ("f", 0x100, 8, "FUNC", 0x200),
            ("alias", 0x100, 0, "NOTYPE", 0x200),
            ("label", 0x180, 0, "NOTYPE", 0x200),
            ("data", 0x190, 4, "OBJECT", 0x200),
        ]
    )
    named = {0xFF: "", 0x100: "f", 0x107: "f+0x7", 0x108: "", 0x180: "label"}
    named |= {0x190: "label+0x10", 0x1FF: "label+0x7f", 0x200: ""}
    assert {address: symbols.name(address) for address in named} == named
