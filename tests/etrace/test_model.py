"""`etrace.model`: encoder and decoder a step at a time, against the ones that take arrays."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import decoder
import encoder
import etrace
from decoder.decoder import Decoder as WholeDecoder
from etrace import model
from etrace.model import Block, Packet
from etrace.sources import csvin
from specs.configuration.parameters import Configuration, from_dict, load
from specs.interfaces.ingress import IngressError
from specs.trace.packets import Column
from tests.etrace.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"
IMAGES = ("rv32-modes", "rv32-traps", "rv64-flow", "rv64-modes", "rv64-traps")


def changed(**tables: dict[str, object]) -> Configuration:
    values = Configuration.default(64).to_dict()
    for name, table in tables.items():
        values[name] = {**values[name], **table}
    return from_dict(values)


def with_modes(protocol: str, **resync: object) -> Configuration:
    chosen = etrace.Encoding(modes=("all",), protocol=protocol).apply(Configuration.default(), [])
    return from_dict({**chosen.to_dict(), "resync": resync or {"unit": "packets", "period": 20}})


CONFIGURATIONS = {
    "default": Configuration.default(64),
    "basic": load(GOLDEN / "basic.toml"),
    "full": load(GOLDEN / "full.toml"),
    "resync": load(GOLDEN / "resync.toml"),
    "modes-2.0": with_modes("2.0"),
    "modes-2.1": with_modes("2.1", unit="instructions", period=64),
    "stamped": changed(
        framing={"srcid_width": 4, "srcid": 5, "timestamp_width": 32, "sync_period": 100},
        parameters={"notime_p": 0, "time_width_p": 40},
    ),
    "drop": changed(sink={"kind": "drop", "rate": 1, "per": 8, "capacity": 128, "resume": 16}),
    "stall": changed(sink={"kind": "stall", "rate": 1, "per": 4, "capacity": 128, "resume": 64}),
    "by letter": changed(encoder={"loops": "spec", "ambiguous": "spec"}),
}


def place(image: str, suffix: str = "ingress.csv.gz") -> str:
    return str(GOLDEN / image / f"{image}.{suffix}")


@cache
def blocks(image: str) -> tuple[Block, ...]:
    return tuple(model.blocks(place(image)))


def for_width(configuration: Configuration, image: str) -> Configuration:
    if image.startswith("rv32"):
        narrow = replace(configuration.parameters, iaddress_width_p=32)
        return replace(configuration, parameters=narrow)
    return configuration


def at_once(
    image: str, configuration: Configuration, path: str | None = None
) -> tuple[list[Packet], encoder.Statistics, bytes]:
    """Packets, statistics and bytes of the encoder that takes arrays."""
    whole = encoder.Encoder(configuration)
    data = b""
    for chunk in csvin.chunks(path or place(image)):
        data += whole.feed(chunk)
    data += whole.finish()
    return read(data, configuration), whole.statistics, data


def read(data: bytes, configuration: Configuration) -> list[Packet]:
    rows = decoder.packets(data, configuration)
    assert not rows[:, Column.reason].any()
    return [Packet.of(row.tolist(), configuration) for row in rows]


def step_by_step(
    given: Iterable[Block], configuration: Configuration
) -> tuple[list[Packet], encoder.Statistics]:
    each = model.Encoder(configuration)
    found: list[Packet] = []
    for block in given:
        found += each.step(block)
    return found + each.finish(), each.statistics


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("image", IMAGES)
def test_steps_give_what_the_encoder_gives(image: str, name: str) -> None:
    """Packet for packet, and byte for byte: so many, framing included, with the same payloads."""
    configuration = for_width(CONFIGURATIONS[name], image)
    expected, statistics, data = at_once(image, configuration)
    packets, counted = step_by_step(blocks(image), configuration)
    assert packets == expected
    assert [each.widths for each in packets] == [each.widths for each in expected]
    assert counted == statistics and counted.bytes == len(data)
    if name in ("drop", "stall") and image == "rv64-traps":
        assert counted.lost or counted.stalled


@pytest.mark.parametrize("name", ["default", "modes-2.1", "drop"])
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 2, 7, 300]), max_size=60))
def test_whatever_the_split_into_steps(name: str, sizes: list[int]) -> None:
    configuration = CONFIGURATIONS[name]
    given_blocks = blocks("rv64-traps")
    expected, _ = step_by_step(given_blocks, configuration)
    each = model.Encoder(configuration)
    found: list[Packet] = []
    at = 0
    for size in [*sizes, len(given_blocks)]:
        found += each.step(given_blocks[at : at + size])
        at += size
    found += each.finish()
    assert found == expected
    assert [packet.rows for packet in found] == [packet.rows for packet in expected]


def rows_of(packet: Packet) -> range:
    assert packet.rows is not None
    return packet.rows


@pytest.mark.parametrize("image", ["rv64-flow", "rv64-traps", "rv64-modes"])
def test_rows_are_those_that_a_packet_tells(image: str) -> None:
    """Full addresses: the last row is the one with the address, and a branch map has the branches
    of its rows. All rows are told, in order.
    """
    configuration = CONFIGURATIONS["full"]
    given_blocks = blocks(image)
    packets, _ = step_by_step(given_blocks, configuration)
    assert rows_of(packets[0]) == range(0)
    end, seen = 0, set()
    for packet in packets[1:]:
        rows = rows_of(packet)
        again = packet.format == "3.3" and rows == range(end - 1, end)
        assert again or (rows and rows.start == end)
        last = given_blocks[rows[-1]]
        seen.add(packet.format)
        if packet.format in ("2", "3.0"):
            assert packet.address == last.iaddr
        if packet.format == "3.1" and packet.thaddr:
            assert packet.address == last.iaddr
            trap = given_blocks[rows[-2]]
            assert (trap.itype, trap.cause) == (1 + packet.interrupt, packet.ecause)
        if packet.format == "1":
            outcomes = [given_blocks[row].itype - 4 for row in rows]
            told = [1 - bit for bit in outcomes if bit in (0, 1)]
            assert len(told) == packet.branches or (len(told), packet.branches) == (31, 0)
            assert sum(bit << n for n, bit in enumerate(told)) == packet.branch_map
        end = rows.stop
    assert end == len(given_blocks)
    assert seen >= {"1", "2", "3.0", "3.3"}


def test_rows_of_blocks_of_several_instructions() -> None:
    """A block of which part has been told is in both packets."""
    wide = changed(parameters={"retires_p": 8}, resync={"unit": "off"})
    whole = model.Encoder(wide)
    jump = Block(itype=14, iaddr=0x100, iretire=4, ilastsize=1)
    # the target's first instruction is reported, its last one is a branch
    branch = Block(itype=5, iaddr=0x200, iretire=4, ilastsize=1)
    back = Block(itype=14, iaddr=0x300, iretire=2, ilastsize=1)
    packets = whole.step([jump, branch, back, jump]) + whole.finish()
    told = [(packet.format, packet.rows) for packet in packets]
    assert told == [
        ("3.3", range(0)),
        ("3.0", range(1)),
        ("2", range(2)),
        ("1", range(1, 4)),
        ("2", range(3, 4)),
        ("3.3", range(3, 4)),
    ]


HEADER = "itype,cause,tval,priv,iaddr,iretire,ilastsize,context,time,ctype,trigger,halted,reset\n"
SIDE = """\
0,0,0,3,100,1,1,0,0,0,0,0,0
0,0,0,3,104,1,1,7,11,2,0,0,0
0,0,0,3,108,1,1,7,12,0,4,0,0
5,0,0,3,10c,1,1,7,13,0,0,0,0
0,0,0,3,110,1,1,8,14,1,0,0,0
0,0,0,0,0,0,0,8,15,0,0,1,0
0,0,0,3,200,1,1,8,16,0,0,0,0
1,2,bad,3,204,0,1,8,17,0,0,0,0
0,0,0,3,300,1,1,9,18,2,0,0,0
1,7,55,3,304,1,1,9,19,0,0,0,0
0,0,0,3,300,1,1,9,20,3,0,0,1
2,7,0,3,304,1,1,9,21,0,0,0,0
0,0,0,3,400,1,1,9,22,0,0,0,0
"""


@pytest.mark.parametrize("stamp", [0, 32])
def test_side_bands(tmp_path: Path, stamp: int) -> None:
    """Context, time, notification, halt and reset; traps alone and behind a block."""
    path = tmp_path / "events.csv"
    path.write_text(HEADER + SIDE)
    configuration = changed(
        parameters={"notime_p": 0, "nocontext_p": 0, "ctype_width_p": 2},
        framing={"timestamp_width": stamp},
    )
    expected, statistics, _ = at_once("", configuration, str(path))
    given_blocks = list(model.blocks(path))
    assert len(given_blocks) == 13 and given_blocks[5].halted == 1
    packets, counted = step_by_step(given_blocks, configuration)
    assert packets == expected and counted == statistics
    assert {"3.2", "3.1"} <= {packet.format for packet in packets}
    # the end of a stretch is about the row before the halt
    assert [rows_of(each)[-1] for each in packets[1:] if each.format == "3.3"] == [4, 9, 12]


def test_packets_come_as_soon_as_they_can() -> None:
    """A jump's target is known with the row after it: until then nothing is sent."""
    each = model.Encoder()
    formats = [
        [packet.format for packet in each.step(block)]
        for block in (
            Block(iaddr=0x100),
            Block(itype=14, iaddr=0x104),
            Block(iaddr=0x200),
            Block(iaddr=0x204),
        )
    ]
    assert formats == [["3.3", "3.0"], [], [], ["2"]]
    assert [packet.format for packet in each.finish()] == ["2", "3.3"]
    assert each.finish() == []
    with pytest.raises(IngressError, match=r"the trace was finished; reset\(\) begins another"):
        each.step(Block(iaddr=0x100))
    each.reset()
    assert [packet.format for packet in each.step(Block(iaddr=0x100))] == ["3.3", "3.0"]
    assert [packet.rows for packet in each.finish()] == [range(1)]


def test_reset_gives_an_encoder_as_new() -> None:
    each = model.Encoder(CONFIGURATIONS["modes-2.0"])
    first = each.step(blocks("rv64-traps")) + each.finish()
    each.reset()
    each.step(blocks("rv64-traps")[:100])
    each.reset()
    assert each.step(blocks("rv64-traps")) + each.finish() == first
    assert each.statistics == step_by_step(blocks("rv64-traps"), each.configuration)[1]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Block(iaddr=-1), "iaddr -1 is out of range, 0 to 0xffffffffffffffff"),
        (Block(iaddr="100"), "iaddr must be an int, not str"),  # type: ignore[arg-type]
        (Block(cause=None), "cause must be an int, not NoneType"),  # type: ignore[arg-type]
        (Block(itype=16), "itype 16 is out of range"),
        (Block(itype=7), "itype 7 is reserved"),
        (Block(iretire=0), r"itype 0 but nothing retired \(iretire is 0\)"),
        (Block(iretire=2), "iretire 2, but retires_p is 1; set retires_p for blocks"),
        (Block(iaddr=0x101), "addresses are not aligned as iaddress_lsb_p = 1 says"),
        (Block(priv=9), "priv 9 is out of range"),
        (Block(priv=5), r"priv 5 \(.*\) does not fit privilege_width_p = 2"),
        (Block(itype=1, cause=99, iretire=0), "cause 0x63 does not fit ecause_width_p = "),
        (Block(ctype=2), "ctype 2 does not fit ctype_width_p; set that to 2"),
        ((1, 2), "must be a Block, not tuple"),
    ],
)
def test_blocks_that_cannot_be(block: Block, words: str) -> None:
    """By number and signal, in one line; nothing of the step is encoded then."""
    each = model.Encoder()
    good = Block(iaddr=0x100)
    each.step([good, good])
    with pytest.raises(IngressError, match=f"^block 3: {words}") as caught:
        each.step([good, block])
    assert "\n" not in str(caught.value)
    assert [packet.rows for packet in each.finish()][-1] == range(1, 2)
    narrow = model.Encoder(xlen=32)
    with pytest.raises(IngressError, match=r"^block 0: iaddr 0x100000000 does not fit iaddress_w"):
        narrow.step(Block(iaddr=1 << 32))
    with pytest.raises(IngressError, match=r"^block 0: tval 0x100000000 does not fit iaddress_w"):
        narrow.step(Block(itype=1, tval=1 << 32, iretire=0))


def test_parameters_are_files_and_filters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    path.write_text("[parameters]\nretires_p = 8\n")
    model.Encoder(path).step(Block(iaddr=0x100, iretire=6, ilastsize=1))
    path.write_text("[trace]\ntrTeInstTracing = false\n")
    with pytest.raises(etrace.InputError, match=r"have filters; leave out"):
        model.Encoder(path)
    with pytest.raises(etrace.ParametersError, match=r"nowhere\.toml"):
        model.Encoder(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("name", ["default", "full", "modes-2.0", "modes-2.1", "drop", "by letter"])
@pytest.mark.parametrize("image", ["rv64-flow", "rv64-traps", "rv64-modes"])
def test_decoding_packet_by_packet(image: str, name: str) -> None:
    """What is known after each packet, together: what the decoder gives for all the bytes."""
    configuration = CONFIGURATIONS[name]
    packets, _, data = at_once(image, configuration)
    each = model.Decoder(configuration, elf=place(image, "elf"), platform="spike")
    events: list[object] = []
    most = 0
    for packet in packets:
        found = each.step(packet)
        most = max(most, len(found))
        events += found
    events += each.finish()
    code = each._code
    whole = WholeDecoder(configuration, code)
    flows = [*whole.feed(data), *whole.finish()]
    other = model.Decoder(configuration, code=code)
    expected = [event for flow in flows for event in other._events(flow)]
    assert events == expected
    assert sum(isinstance(event, model.Retired) for event in events) == sum(
        flow.instructions for flow in flows
    )
    assert sum(isinstance(event, model.Trap) for event in events) == sum(
        len(flow.traps) for flow in flows
    )
    with pytest.raises(etrace.InputError, match="the trace was finished"):
        each.step(packets[0])


def test_the_decoder_knows_what_the_last_packet_tells() -> None:
    """Not only what a discontinuity has ended."""
    image = "rv64-flow"
    each = model.Decoder(elf=place(image, "elf"), platform="spike")
    first = blocks(image)[:3]
    packets = model.Encoder().step(blocks(image)[:30])
    assert each.step(packets[:2]) == [model.Retired(first[0].iaddr, 3)]
    assert each.step(packets[2])[:2] == [model.Retired(b.iaddr, 3) for b in first[1:]]
    each.reset()
    assert each.step(packets[:2]) == [model.Retired(first[0].iaddr, 3)]


def test_what_is_no_packet() -> None:
    with pytest.raises(etrace.InputError, match="needs the program; give elf or code"):
        model.Decoder()
    each = model.Decoder(elf=place("rv64-flow", "elf"))
    with pytest.raises(etrace.InputError, match="is given Packets, not bytes"):
        each.step([b"\x02"])  # type: ignore[list-item]


@settings(max_examples=300, deadline=None)
@given(
    itype=st.sampled_from([0, 1, 2, 4]),
    iaddr=st.integers(0, 7) | st.sampled_from([(1 << 32) - 2, 1 << 32, (1 << 64) - 4]),
    tval=st.sampled_from([0, (1 << 32) - 1, 1 << 32]),
    cause=st.sampled_from([0, 15, 16, 31, 32]),
    priv=st.integers(0, 7),
    iretire=st.integers(0, 1),
    ilastsize=st.integers(0, 2),
    lsb=st.integers(0, 2),
    privilege=st.integers(1, 3),
)
def test_what_is_refused_is_what_the_encoder_refuses(
    lsb: int, privilege: int, **signals: int
) -> None:
    """The quick look at a block takes nothing that the encoder of arrays does not take."""
    chosen = changed(
        parameters={
            "iaddress_width_p": 32,
            "iaddress_lsb_p": lsb,
            "privilege_width_p": privilege,
            "ecause_width_p": 5,
        }
    )
    each = model.Encoder(chosen)
    block = Block(**signals)
    try:
        retired, trap = each._reading.parts(*block[:7], 0)
    except Exception as error:
        assert "nothing retired" in str(error)
        return
    quick = each._fits(retired, trap)
    each._core.block[0] = retired or (0, 2, 1, 1, 0, 3)
    each._core.trap[0] = trap or (0, 0, 0, 3, 1)
    try:
        each._core.check(retired is not None, trap is not None)
    except IngressError:
        assert not quick
    else:
        assert quick
