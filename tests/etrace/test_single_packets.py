"""`Trace.packet`: one packet of a trace, as `etrace dump` shows it and as the stream has it."""

import json
from pathlib import Path

import pytest

import etrace
from specs.single import Packet
from tests.etrace.conftest import ROOT, Run

NESTED = ROOT / "tests" / "firmware" / "nested-rv64.elf"


@pytest.mark.parametrize("protocol", ["2.0", "2.1"])
def test_packets_are_those_of_dump_and_of_the_stream(
    run: Run, tmp_path: Path, protocol: str
) -> None:
    """Modes on, and known from support packets only."""
    path = tmp_path / "t.etrace"
    encoding = etrace.Encoding(modes=("all",), protocol=protocol)
    etrace.record(NESTED, path, framing="reference", max_instructions=30_000, encoding=encoding)
    trace = etrace.open(path)
    stream = b"".join(trace.chunks())
    lines = run("dump", path).stdout.splitlines()
    objects = [json.loads(line) for line in run("dump", path, "--json").stdout.splitlines()]
    formats = set()
    for number in [*range(20), *range(20, len(lines), 41), len(lines) - 1]:
        packet = trace.packet(number)
        shown = objects[number]
        begin, end = shown["offset"], shown["offset"] + shown["length"]
        assert packet.payload == stream[begin + 1 : end]
        assert f"{number:>8} {begin:>10} {end - begin:>3} {packet}" == lines[number]
        fields = {name: each["value"] for name, each in shown["fields"].items()}
        assert (packet.format, packet.fields) == (shown["format"], fields)
        assert packet.widths == {name: each["bits"] for name, each in shown["fields"].items()}
        assert list(packet.differing) == shown["is"]
        formats.add(packet.format)
    assert formats >= {"1", "2", "3.0", "3.1", "3.3"}


def test_a_packet_knows_what_was_announced_before_it(tmp_path: Path) -> None:
    """The parameters of the file are not those of its packets."""
    encoding = etrace.Encoding(modes=("all",), protocol="2.1")
    trace = etrace.record(
        NESTED, tmp_path / "t.etrace", framing="reference", max_instructions=3000, encoding=encoding
    )
    support = trace.packet(0)
    assert support.format == "3.3" and support.fields["branch_predictor"] == 1
    bare = tmp_path / "bare"
    bare.write_bytes(b"".join(trace.chunks()))
    plain = tmp_path / "plain.toml"
    plain.write_text('protocol = "2.1"\n[framing]\nkind = "reference"\n')
    other = etrace.open(bare, params=plain, elf=NESTED)
    packets = list(range(40))
    assert [other.packet(n) for n in packets] == [trace.packet(n) for n in packets]


def test_numbers_that_no_packet_has(traps_trace: Path) -> None:
    trace = etrace.open(traps_trace)
    assert isinstance(trace.packet(227), Packet)
    for number in (-1, 229, 1 << 70):
        with pytest.raises(etrace.InputError, match=f"no packet {number}: the stream has but 228"):
            trace.packet(number)
    with pytest.raises(TypeError, match="number"):
        trace.packet("1")  # type: ignore[arg-type]


def test_bytes_that_are_no_packet(traps_trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.etrace"
    path.write_bytes(traps_trace.read_bytes()[:-1])
    with pytest.raises(etrace.InputError, match=r"offset \d+: packet 227 is none: ") as caught:
        etrace.open(path).packet(227)
    assert "\n" not in str(caught.value)
