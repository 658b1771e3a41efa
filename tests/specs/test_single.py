"""Single packets by bitstring against the packing kernels, and what they say of mistakes."""

import copy
import itertools
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bitstring import Bits
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.configuration.parameters import Configuration, Modes, Parameters
from specs.trace import packing
from specs.trace.packets import COLUMNS, FORMAT_NAMES, TABLES, Column, Format, Layout
from specs.trace.single import Packet, PacketError, field_bits, take

BASE = Configuration.default()


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """All widths, modes and protocols."""
    parameters = Parameters(
        iaddress_width_p=draw(st.sampled_from([32, 39, 48, 64])),
        iaddress_lsb_p=draw(st.integers(0, 2)),
        privilege_width_p=draw(st.integers(1, 4)),
        ecause_width_p=draw(st.sampled_from([4, 5, 6, 16, 64])),
        nocontext_p=draw(st.integers(0, 1)),
        context_width_p=draw(st.sampled_from([1, 8, 32, 64])),
        notime_p=draw(st.integers(0, 1)),
        time_width_p=draw(st.sampled_from([1, 16, 40, 64])),
        ioptions_width_p=draw(st.sampled_from([1, 5, 32, 64])),
        doptions_width_p=draw(st.sampled_from([1, 4, 64])),
        irdepth_width_p=draw(st.sampled_from([None, 1, 8])),
        return_stack_size_p=draw(st.sampled_from([0, 3])),
        bpred_size_p=draw(st.sampled_from([0, 4])),
        cache_size_p=draw(st.sampled_from([0, 4, 15])),
        f0s_width_p=draw(st.sampled_from([0, 1, 2])),
    )
    modes = Modes(
        implicit_exception=draw(st.booleans()),
        jump_target_cache=draw(st.booleans()),
        branch_prediction=draw(st.booleans()),
    )
    protocol = draw(st.sampled_from(["2.0", "2.1"]))
    return replace(BASE, protocol=protocol, parameters=parameters, modes=modes)


@st.composite
def packets(draw: st.DrawFn) -> tuple[Packet, Configuration]:
    configuration = draw(configurations())
    table = draw(st.sampled_from(Format))
    if table <= Format.JUMP_TARGET_INDEX and not configuration.parameters.f0s_width_p:
        modes = configuration.modes
        only_cache = modes.jump_target_cache and not modes.branch_prediction
        table = Format.JUMP_TARGET_INDEX if only_cache else Format.BRANCH_COUNT
    number, _, subformat = FORMAT_NAMES[table].partition(".")
    values = {"format": int(number)} | ({"subformat": int(subformat)} if subformat else {})
    for field in TABLES[table]:
        width = field_bits(field, values, configuration)
        if field.name in values:
            continue
        most = (1 << width) - 1
        value = draw(
            st.sampled_from([0, 1, most, most >> 1, (most >> 1) + 1]) | st.integers(0, most)
        )
        value = min(value, most)
        if field.column == Column.privilege and width == 1:
            value *= 3
        values[field.name] = value
    return Packet.make(table, values, configuration), configuration


def row_of(packet: Packet) -> np.ndarray:
    row = np.zeros((1, COLUMNS), np.uint64)
    row[0, Column.table] = packet.table
    for name, value in packet.fields.items():
        row[0, Column[name]] = value
    return row


def from_words(words: np.ndarray, bits: int) -> Bits:
    """The low `bits` bits of the kernels' working array."""
    number = int.from_bytes(words.astype("<u8").tobytes(), "little")
    return Bits.from_dtype(f"u{bits}", number % (1 << bits))


@settings(max_examples=600, deadline=None)
@given(packets())
def test_bits_are_those_of_the_kernels(case: tuple[Packet, Configuration]) -> None:
    """And back: from bits, from bytes, by both."""
    packet, configuration = case
    layout = Layout(configuration).array
    words = np.zeros(packing.WORDS, np.uint64)
    length = int(packing.pack(layout, int(packet.table), row_of(packet), 0, words, 0))
    assert packet.bits == from_words(words, length)
    packing.sign_extend(words, length)
    needed = int(packing.significant_bits(words, 0, length))
    size = -(-needed // 8)
    assert packet.payload == words.astype("<u8").tobytes()[:size]

    assert Packet.parse(packet.bits, configuration) == packet
    assert Packet.parse(packet.payload, configuration) == packet
    back = np.zeros((1, COLUMNS), np.uint64)
    assert packing.unpack(layout, words, 8 * size, back, 0) == length
    assert Packet.of(back[0].tolist(), configuration) == packet
    told = {name for name in ("notify", "updiscon", "irreport") if back[0, Column[f"is_{name}"]]}
    assert set(packet.differing) == told


@settings(max_examples=600, deadline=None)
@given(configurations(), st.binary(min_size=1, max_size=40), st.integers(0, 7))
def test_any_bytes_are_read_as_by_the_kernel(
    configuration: Configuration, payload: bytes, missing: int
) -> None:
    """`missing`: bits of the first byte that are something else's."""
    length = 8 * len(payload) - missing
    bits = Bits.from_bytes(payload[::-1])[:length]
    words = np.zeros(packing.WORDS, np.uint64)
    words[:] = np.frombuffer((int(bits.u)).to_bytes(8 * packing.WORDS, "little"), "<u8")
    packing.sign_extend(words, length)
    row = np.zeros((1, COLUMNS), np.uint64)
    if packing.unpack(Layout(configuration).array, words, length, row, 0) < 0:
        with pytest.raises(PacketError) as caught:
            Packet.parse(bits, configuration)
        assert "\n" not in str(caught.value)
    else:
        expected = Packet.of(row[0].tolist(), configuration)
        assert Packet.parse(bits, configuration) == expected
        if not missing:
            assert Packet.parse(payload, configuration) == expected


def test_a_packet_by_hand() -> None:
    packet = Packet.make(
        Format.ADDRESS,
        {"address": 6, "notify": 0, "updiscon": 1, "irreport": 1, "irdepth": 0},
        BASE,
    )
    width = packet.widths["address"]
    assert packet.bits[-2:].bin == "10" and take(packet.bits, 2, width) == 6
    assert packet.differing == ("updiscon",)
    assert packet.format == "2" and packet.fields["format"] == 2
    assert str(packet).startswith(f"2   address         format=2/2 address=0x6/{width} notify=0/1 ")
    assert "updiscon=1(updiscon)/1" in str(packet)
    # 2 | 6 << 2, and zeros up to `updiscon`
    assert (
        packet.payload[:1] == bytes([2 | 6 << 2])
        and len(packet.payload) == len(packet.bits) // 8 + 1
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"address": 1 << 63}, "address = 0x8000000000000000 does not fit in "),
        ({"address": -1}, "address = -0x1 does not fit"),
        ({"notify": 2}, "notify = 0x2 does not fit in 1 bit"),
        ({"adress": 2}, "format 2 has no field adress"),
        ({"format": 1}, "format = 1 is not format 2"),
    ],
)
def test_values_that_no_packet_has(values: dict[str, int], words: str) -> None:
    whole = {"address": 6, "notify": 0, "updiscon": 1, "irreport": 1, "irdepth": 0}
    with pytest.raises(PacketError, match=words):
        Packet.make(Format.ADDRESS, {**whole, **values}, BASE)
    with pytest.raises(PacketError, match="address is missing"):
        Packet.make(Format.ADDRESS, {}, BASE)
    one_bit = replace(BASE, parameters=Parameters(privilege_width_p=1))
    with pytest.raises(PacketError, match="privilege = 0x1 does not fit in 1 bit"):
        Packet.make(Format.CONTEXT, {"privilege": 1}, one_bit)


def test_bytes_that_are_no_packet() -> None:
    with pytest.raises(PacketError, match="an empty payload"):
        Packet.parse(b"", BASE)
    with pytest.raises(PacketError, match="800 bits, and the fields have but"):
        Packet.parse(b"\x02" * 100, BASE)
    two = replace(BASE, parameters=Parameters(f0s_width_p=2, bpred_size_p=4))
    with pytest.raises(PacketError, match="format 0 has no subformat 3"):
        Packet.parse(b"\x0c", two)


def systematic() -> Iterator[Configuration]:
    """Each mode, protocol and optional field on and off, at several widths."""
    for protocol, implicit, cache, f0s, time, lsb, privilege in itertools.product(
        ("2.0", "2.1"), (False, True), (False, True), (0, 1), (0, 1), (0, 1, 2), (1, 2, 4)
    ):
        yield replace(
            BASE,
            protocol=protocol,
            modes=Modes(implicit_exception=implicit, jump_target_cache=cache, implicit_return=True),
            parameters=Parameters(
                iaddress_width_p=32 << (lsb == 1),
                iaddress_lsb_p=lsb,
                privilege_width_p=privilege,
                notime_p=1 - time,
                nocontext_p=time,
                bpred_size_p=0 if cache else 4,
                cache_size_p=6 if cache else 0,
                return_stack_size_p=5,
                f0s_width_p=f0s,
            ),
        )


@pytest.mark.parametrize("table", Format)
def test_every_format_in_every_configuration(table: Format) -> None:
    """Zeros, ones and stripes through the kernels and back."""
    made = 0
    for configuration in systematic():
        only_cache = configuration.modes.jump_target_cache
        unreachable = Format.BRANCH_COUNT if only_cache else Format.JUMP_TARGET_INDEX
        if table == unreachable and not configuration.parameters.f0s_width_p:
            continue
        layout = Layout(configuration).array
        for pattern in (0, (1 << 64) - 1, 0x5555_5555_5555_5555):
            values: dict[str, int] = {}
            number, _, subformat = FORMAT_NAMES[table].partition(".")
            values |= {"format": int(number)} | ({"subformat": int(subformat)} if subformat else {})
            for field in TABLES[table]:
                if field.name not in values:
                    width = field_bits(field, values, configuration)
                    value = pattern & (1 << width) - 1
                    one_bit = field.column == Column.privilege and width == 1
                    values[field.name] = 3 * value if one_bit else value
            packet = Packet.make(table, values, configuration)
            words = np.zeros(packing.WORDS, np.uint64)
            length = int(packing.pack(layout, int(table), row_of(packet), 0, words, 0))
            assert packet.bits == from_words(words, length)
            packing.sign_extend(words, length)
            size = -(-int(packing.significant_bits(words, 0, length)) // 8)
            assert packet.payload == words.astype("<u8").tobytes()[:size]
            for told in (packet.bits, packet.payload, bytearray(packet.payload)):
                assert Packet.parse(told, configuration) == packet
            for name, value in packet.fields.items():
                if name != "format":
                    assert getattr(packet, name) == value
            made += 1
    assert made >= 400


def test_fields_are_attributes() -> None:
    packet = Packet.make(Format.BRANCH_MAP, {"branches": 0, "branch_map": 5})
    assert (packet.format, packet.branches, packet.branch_map) == ("1", 0, 5)
    words = "this packet of format 1 has no address; it has format, branches, branch_map"
    with pytest.raises(AttributeError, match=words):
        packet.address  # noqa: B018
    with pytest.raises(AttributeError, match="'Packet' object has no attribute 'adress'"):
        packet.adress  # noqa: B018
    sync = Packet.make(Format.SYNC, {"branch": 1, "privilege": 3, "address": 8})
    assert (sync.format, sync.subformat, sync.fields["format"]) == ("3.0", 0, 3)
    for each in (copy.deepcopy(packet), pickle.loads(pickle.dumps(packet))):
        assert each == packet and hash(each) == hash(packet)
    own = {"table", "fields", "widths", "rows", "bits", "payload", "differing"}
    assert not own & {field.name for table in TABLES for field in table}


def test_what_is_different_in_another_packet() -> None:
    one = Packet.make(Format.SYNC, {"branch": 1, "privilege": 3, "address": 8})
    same = Packet.parse(one.payload)
    assert one == same and one.differences(same) == {} and one.difference(same) == ""
    other = Packet.make(Format.SYNC, {"branch": 0, "privilege": 0, "address": 9})
    assert one != other
    assert one.differences(other) == {"branch": (1, 0), "privilege": (3, 0), "address": (8, 9)}
    words = "branch 1, not 0; privilege 3(M), not 0(U); address 0x8, not 0x9"
    assert one.difference(other) == words
    branches = Packet.make(Format.BRANCH_MAP, {"branches": 0, "branch_map": 5})
    assert branches.differences(one)["branches"] == (0, None)
    assert branches.differences(one)["address"] == (None, 8)
    words = branches.difference(one)
    assert words.startswith("format 1 (branch map), not 3.0 (synchronisation); branches 0, not ab")
    assert "; address absent, not 0x8" in words
    # where it came from is not what it is
    assert Packet.read(int(one.bits.u), len(one.bits), None, range(3)) == one


def test_parameters_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    path.write_text("[parameters]\niaddress_width_p = 32\n")
    narrow = Packet.make(Format.SYNC, {"branch": 1, "privilege": 3, "address": 8}, path)
    assert narrow.widths["address"] == 31
    for params in (path, str(path)):
        assert Packet.parse(narrow.bits, params) == narrow
    assert Packet.parse(narrow.payload).widths["address"] == 63


def test_equality_is_by_format_and_fields() -> None:
    """Of two widths: the same numbers are the same packet."""
    narrow = replace(BASE, parameters=Parameters(iaddress_width_p=32))
    values = {"branch": 1, "privilege": 3, "address": 8}
    one, other = (Packet.make(Format.SYNC, values, each) for each in (BASE, narrow))
    assert one == other and one.widths != other.widths and len({one, other}) == 1
