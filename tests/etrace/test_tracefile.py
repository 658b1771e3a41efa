"""The trace file: what is written reads back; what is damaged is refused in one line."""

import io
import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etrace.errors import TraceError
from etrace.trace.file import TraceStream
from etrace.trace.header import MAGIC, Header, ImageReference, ProgramReference
from specs.configuration.parameters import Configuration, parse

HEADER = Header(
    configuration=parse("[framing]\nkind = 'reference'\n[resync]\nperiod = 7\n", 32),
    xlen=32,
    source="record",
    programs=(ProgramReference("a b.elf", "00" * 32), ProgramReference("ü.elf", "11" * 32)),
    images=(ImageReference(0x1000, "rom.bin", "22" * 32),),
    platform="spike",
    isa="rv32imac",
    memory=((0x8000_0000, 1 << 20),),
    max_instructions=12,
    command=("etrace", "record", "\udc80"),
)
STREAM = bytes(range(256)) * 3


def read(data: bytes) -> tuple[Header | None, bytes]:
    stream = TraceStream(io.BytesIO(data), "f")
    return stream.header, b"".join(stream.chunks())


def with_header(values: object) -> bytes:
    text = json.dumps(values).encode()
    return MAGIC + struct.pack("<HHI", 1, 0, len(text)) + text


def values() -> dict[str, object]:
    loaded = json.loads(HEADER.pack()[16:])
    assert isinstance(loaded, dict)
    return loaded


def refusal(data: bytes) -> str:
    with pytest.raises(TraceError) as caught:
        read(data)
    message = str(caught.value)
    assert message.startswith("f: ")
    assert "\n" not in message
    return message


def test_what_is_written_reads_back() -> None:
    assert read(HEADER.pack() + STREAM) == (HEADER, STREAM)


def test_a_header_of_before_there_was_a_choice_of_loops() -> None:
    old = values()
    configuration = old["configuration"]
    assert isinstance(configuration, dict)
    del configuration["encoder"]["loops"]
    header, _ = read(with_header(old))
    assert header is not None
    assert header.configuration.encoder.loops == "exact"
    assert HEADER.configuration.encoder.loops == "spec"


def test_the_stream_follows_the_header_untouched_and_may_look_like_one() -> None:
    assert read(HEADER.pack() + HEADER.pack()) == (HEADER, HEADER.pack())


def test_the_same_run_has_the_same_header() -> None:
    assert HEADER.pack() == replace(HEADER).pack()
    keys = list(values())
    assert keys == sorted(keys)


def test_a_bare_stream_has_no_header() -> None:
    assert read(STREAM) == (None, STREAM)


@pytest.mark.parametrize("size", [*range(8), 9, 15, 16, 17, 100])
def test_a_truncated_header_says_where(size: int) -> None:
    message = refusal(HEADER.pack()[:size])
    assert "empty file" in message if size == 0 else f"offset {size}: truncated" in message


@given(st.integers(0, len(HEADER.pack())))
def test_a_file_cut_within_its_header_is_refused(size: int) -> None:
    data = HEADER.pack()[:size]
    if size < len(HEADER.pack()):
        refusal(data)
    else:
        assert read(data) == (HEADER, b"")


@given(st.integers(0, 8 * len(HEADER.pack()) - 1))
def test_a_flipped_bit_is_refused_or_harmless(bit: int) -> None:
    data = bytearray(HEADER.pack())
    data[bit // 8] ^= 1 << bit % 8
    try:
        read(bytes(data))
    except TraceError as error:
        assert "\n" not in str(error)


def test_other_versions_are_refused() -> None:
    data = bytearray(HEADER.pack())
    data[8] = 2
    assert "version 2" in refusal(bytes(data))


def test_a_length_that_cannot_be_is_refused_without_reading_so_much() -> None:
    assert "claims 4294967295 bytes" in refusal(MAGIC + struct.pack("<HHI", 1, 0, 0xFFFFFFFF))


@pytest.mark.parametrize("key", sorted(values()))
def test_a_missing_key_is_named(key: str) -> None:
    left = values()
    del left[key]
    assert key in refusal(with_header(left))


@pytest.mark.parametrize("value", [None, 3, "text", [], [[]], {}, [{"path": 3}], 1e300, -1])
@pytest.mark.parametrize("key", sorted(values()))
def test_values_of_another_type_are_refused_or_mean_something(key: str, value: object) -> None:
    changed = {**values(), key: value}
    try:
        header, _ = read(with_header(changed))
    except TraceError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(header, Header)
        assert TraceStream(io.BytesIO(header.pack()), "f").header == header


def test_unknown_keys_are_ignored_but_not_in_the_configuration() -> None:
    assert read(with_header({**values(), "more": 1}))[0] == HEADER
    configuration = Configuration.default(32).to_dict()
    configuration["parameters"]["new_p"] = 1
    assert "new_p" in refusal(with_header({**values(), "configuration": configuration}))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff", b"[" * 10000, b'{"xlen":' + b"9" * 5000 + b"}"]
)
def test_headers_that_are_no_json_object(text: bytes) -> None:
    refusal(MAGIC + struct.pack("<HHI", 1, 0, len(text)) + text)
