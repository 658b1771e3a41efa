"""Ingress CSV files with several blocks a row: the same as their blocks in rows of their own.

"Instruction Trace Interface", "Alternative multiple-retirement interface configurations".
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etrace
from etrace.errors import InputError
from etrace.sources import csvin
from specs.configuration.parameters import Configuration, parse
from specs.interfaces.ingress import (
    CODE_BITS,
    CODE_MASK,
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    SIDEBAND_CODE,
    TRIGGER_NOTIFY,
    TRIGGER_OFF,
    TRIGGER_ON,
    UNKNOWN_SIZE,
)
from tests.etrace.conftest import Run

CYCLE = "cause,tval,priv,context,ctype,time,trigger,halted,reset"
EMPTY = "0,0,0,0,0"


def header(blocks: int) -> str:
    names = ("itype", "iaddr", "iretire", "ilastsize", "sijump")
    return ",".join([CYCLE, *(f"{name}_{n}" for n in range(blocks) for name in names)])


@dataclass
class Cycle:
    """Blocks as (itype, iaddr, iretire, ilastsize, sijump, notify), in the places of their columns;
    None is an empty one.
    """

    blocks: list[tuple[int, int, int, int, int, bool] | None]
    cause: int
    tval: int
    priv: int
    context: int
    ctype: int
    time: int
    on: bool
    off: bool
    halted: bool
    reset: bool

    def _row(self, first: bool, pulses: int) -> str:
        ctype, halted, reset = (
            int(each) if first else 0 for each in (self.ctype, self.halted, self.reset)
        )
        return (
            f"{self.cause},{self.tval:x},{self.priv},{self.context},{ctype},{self.time},"
            f"{pulses},{halted},{reset}"
        )

    def together(self) -> str:
        """As one row."""
        pulses = self.on * TRIGGER_ON | self.off * TRIGGER_OFF
        cells = []
        for n, block in enumerate(self.blocks):
            cells.append(EMPTY if block is None else _cells(block))
            if block is not None and block[5]:
                pulses |= TRIGGER_NOTIFY << n
        return ",".join([self._row(True, pulses), *cells])

    def apart(self) -> list[str]:
        """As a row for each block."""
        valid = [block for block in self.blocks if block is not None]
        if not valid:
            return [f"{self._row(True, 0)},{EMPTY}"]
        rows = []
        for n, block in enumerate(valid):
            pulses = block[5] * TRIGGER_NOTIFY
            pulses |= (n == 0 and self.on) * TRIGGER_ON
            pulses |= (n == len(valid) - 1 and self.off) * TRIGGER_OFF
            rows.append(f"{self._row(n == 0, pulses)},{_cells(block)}")
        return rows


def _cells(block: tuple[int, int, int, int, int, bool]) -> str:
    itype, iaddr, iretire, ilastsize, sijump, _ = block
    return f"{itype},{iaddr:x},{iretire},{ilastsize},{sijump}"


@st.composite
def cycles(draw: st.DrawFn, blocks: int, single: bool) -> Cycle:
    count = draw(st.integers(0, blocks))
    places = sorted(draw(st.permutations(range(blocks)))[:count])
    found: list[tuple[int, int, int, int, int, bool] | None] = [None] * blocks
    for place in places:
        last = place == places[-1]
        itype = draw(st.sampled_from([0, 0, 3, 4, 5, 8, 9, 10, 13, 14] + [1, 2] * last))
        size = draw(st.integers(0, 1))
        most = 1 if single else draw(st.integers(1 << size, 9))
        iretire = draw(st.sampled_from([0, most])) if itype in (1, 2) else most
        iaddr = 0x80000000 + 2 * draw(st.integers(0, 200))
        sijump = draw(st.integers(0, 1)) if itype in (8, 10, 14) else 0
        found[place] = (itype, iaddr, iretire, size, sijump, draw(st.booleans()))
    often = st.sampled_from([False] * 7 + [True])
    return Cycle(
        found,
        cause=draw(st.integers(0, 15)),
        tval=draw(st.integers(0, 1 << 32)),
        priv=draw(st.sampled_from([0, 3, 3])),
        context=draw(st.integers(0, 3)),
        ctype=draw(st.sampled_from([0, 0, 0, 1, 2, 3])) if count else 0,
        time=draw(st.integers(0, 9)),
        on=draw(often) and count > 0,
        off=draw(often) and count > 0,
        halted=draw(often),
        reset=draw(often),
    )


def chosen(blocks: int, single: bool, triggers: bool) -> Configuration:
    return parse(
        f"blocks_p = {blocks}\nretires_p = {1 if single else 9}\nctype_width_p = 2\n"
        "nocontext_p = 0\ncontext_width_p = 2\nnotime_p = 0\ntime_width_p = 4\nsijump_p = 1\n"
        f"[modes]\nsijump = true\n[trace]\ntrTeInstTrigEnable = {str(triggers).lower()}\n"
        '[resync]\nunit = "packets"\nperiod = 5\n'
    )


@settings(max_examples=30)
@given(st.data())
def test_the_same_packets_as_from_a_row_for_each_block(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    blocks = data.draw(st.integers(2, 8))
    single, triggers, literally = (data.draw(st.booleans()) for _ in range(3))
    rows = data.draw(st.lists(cycles(blocks, single), max_size=20))
    folder = tmp_path_factory.getbasetemp()
    one, other = folder / "together.csv", folder / "apart.csv"
    one.write_text("\n".join([header(blocks), *(row.together() for row in rows)]) + "\n")
    apart = [line for row in rows for line in row.apart()]
    other.write_text("\n".join([header(1), *apart]) + "\n")
    params = chosen(blocks, single, triggers)
    together, separate = (
        b"".join(etrace.encode(path, params=params, ecall_retires=literally).chunks())
        for path in (one, other)
    )
    assert together == separate


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: str, columns: str = header(3)) -> Path:
        path = tmp_path / "ingress.csv"
        path.write_text("\n".join([columns, *rows]) + "\n")
        return path

    return write


Write = Callable[..., Path]


def refs(path: Path, **options: int) -> list[tuple[object, ...]]:
    """References with what they refer to, in order; side bands in words of their numbers."""
    found: list[tuple[object, ...]] = []
    for chunk in csvin.chunks(str(path), **{"blocks_p": 3, "retires_p": 8} | options):
        for ref in chunk.refs.tolist():
            code, index = ref & CODE_MASK, ref >> CODE_BITS
            if code == SIDEBAND_CODE:
                row = chunk.sidebands[index]
                names: tuple[str, ...] = ("context", "time", "ctype", "trigger", "flags")
                found.append(("side", *(int(row[name]) for name in names)))
            elif code in (1, 2):
                row, names = chunk.traps[index], ("iaddr", "tval", "cause", "priv", "iaddr_valid")
                found.append(("trap", code, *(int(row[name]) for name in names)))
            else:
                row = chunk.blocks[index]
                names = ("iaddr", "iretire", "ilastsize", "ifirstsize", "sijump", "priv")
                found.append(("block", code, *(int(row[name]) for name in names)))
    return found


def test_what_belongs_to_the_cycle_and_what_to_a_block(csv: Write) -> None:
    """Context, ctype and trace-on come first, trace-off with the newest, a notify with its block;
    the trap ends the newest.
    """
    pulses = TRIGGER_ON | TRIGGER_OFF | TRIGGER_NOTIFY << 1
    path = csv(f"2,dead,0,6,2,77,{pulses},1,0,4,1000,5,1,0,10,2000,2,1,1,1,3000,3,0,0")
    given = HAS_CONTEXT | HAS_TIME | HALTED
    assert refs(path) == [
        ("side", 6, 77, 2, TRIGGER_ON, given),
        ("block", 4, 0x1000, 5, 1, UNKNOWN_SIZE, 0, 0),
        ("side", 0, 0, 0, TRIGGER_NOTIFY, 0),
        ("block", 10, 0x2000, 2, 1, 1, 1, 0),
        ("side", 0, 0, 0, TRIGGER_OFF, 0),
        ("block", 0, 0x3000, 3, 0, UNKNOWN_SIZE, 0, 0),
        ("trap", 1, 0x3006, 0xDEAD, 2, 0, 1),
    ]


def test_single_retirement_of_each_block(csv: Write) -> None:
    """Group SR, replicated: retires_p counts the instructions of a block."""
    cycle = "2,0,3,0,0,0,0,0,0"
    path = csv(f"{cycle},0,1000,1,1,0,5,1004,1,0,0,2,0,0,0,0")
    assert refs(path, retires_p=1) == [
        ("block", 0, 0x1000, 2, 1, 1, 0, 3),
        ("block", 5, 0x1004, 1, 0, 0, 0, 3),
        ("trap", 2, 0, 0, 2, 3, 0),
    ]


def test_empty_blocks_are_passed_over(csv: Write) -> None:
    path = csv(
        f"9,9,7,0,0,0,0,0,0,{EMPTY},0,1000,4,1,0,{EMPTY}", f"{'0,' * 9}{EMPTY},{EMPTY},{EMPTY}"
    )
    assert refs(path) == [("block", 0, 0x1000, 4, 1, UNKNOWN_SIZE, 0, 7)]


def test_fewer_blocks_than_the_port_has(csv: Write) -> None:
    path = csv("0,0,3,0,0,0,0,0,0,0,1000,4,1,0", columns=header(1))
    assert refs(path) == [("block", 0, 0x1000, 4, 1, UNKNOWN_SIZE, 0, 3)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (header(4), "column itype_3: 4 blocks a row, but blocks_p is 3; set blocks_p = 4"),
        (header(1) + ",itype_8", "column itype_8: a row has at most 8 blocks"),
        (header(1) + ",sijump_99999999", "column sijump_99999999: a row has at most 8 blocks"),
        (
            header(1) + ",itype_2",
            "missing column itype_1, iaddr_1, iretire_1, ilastsize_1, iaddr_2, iretire_2",
        ),
        (header(2).replace("ilastsize_1", "x"), "missing column ilastsize_1"),
        (header(2) + ",cause_1", "column cause_1: cause is one signal for all blocks of a cycle"),
        (header(2) + ",iaddr_1", "column iaddr_1 stands there twice"),
    ],
)
def test_headers_that_cannot_be_used(csv: Write, columns: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        refs(csv("", columns=columns))
    assert "line 1: " in str(caught.value)


GOOD = f"0,0,3,0,0,0,0,0,0,0,1000,4,1,0,{EMPTY},{EMPTY}"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"2,0,3,0,0,0,0,0,0,1,1000,4,1,0,{EMPTY},0,1000,2,1,0",
         "itype_0|itype is 1, but a trap ends the newest .* put block 2, behind it,"),
        (f"2,0,3,0,0,0,0,0,0,{EMPTY},2,1000,4,1,0,1,1000,0,1,0", "itype_1 is 2, but a trap ends"),
        (f"0,0,3,0,0,0,0,0,0,{EMPTY},7,1000,4,1,0,{EMPTY}", "itype_1 7 is reserved"),
        (f"0,0,3,0,0,0,0,0,0,{EMPTY},5,1000,0,1,0,{EMPTY}", r"itype_1 5 but .* \(iretire_1 is 0\)"),
        (f"0,0,3,0,0,0,0,0,0,{EMPTY},5,1000,1,1,0,{EMPTY}", "iretire_1 1 is less than ilastsize_1"),
        (f"0,0,3,0,0,0,0,0,0,{EMPTY},5,wxyz,1,1,0,{EMPTY}", "column iaddr_1: 'wxyz' is not a hex"),
        (f"0,0,3,0,0,0,0,0,0,{EMPTY},16,1000,1,1,0,{EMPTY}", "column itype_1: 16 is out of range"),
        (f"0,0,3,0,0,0,32,0,0,{EMPTY},0,1000,2,1,0,{EMPTY}", "column trigger: 32 .* at most 31"),
        (f"{EMPTY},{EMPTY}", "10 columns, the header has 24"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_line(csv: Write, row: str, message: str) -> None:
    path = csv(GOOD, GOOD, row)
    with pytest.raises(InputError, match=message) as caught:
        refs(path)
    assert str(caught.value).startswith(f"{path}: line 4: ")


def test_on_the_command_line(csv: Write, run: Run, counting_elf: Path, tmp_path: Path) -> None:
    """Two rounds of a loop in a cycle; the parameter file has the port."""
    loop = "0,80000000,2,1,0,5,80000004,2,1,0"
    row = f"0,0,3,0,0,0,0,0,0,{loop},{loop}"
    stream, params, trace = csv(row, row, row, columns=header(4)), tmp_path / "p", tmp_path / "t"
    rest = ["--elf", counting_elf, "--params", params]
    params.write_text("retires_p = 4\n")
    said = run("encode", stream, "-o", trace, *rest, code=2).stderr
    assert "blocks_p is 1; set blocks_p = 2 with --params" in said
    params.write_text("retires_p = 4\nblocks_p = 4\n")
    run("encode", stream, "-o", trace, *rest)
    decoded = etrace.open(trace)
    assert decoded.pcs().tolist() == [0x80000000, 0x80000004] * 6
    assert not len(decoded.decode().gaps)
