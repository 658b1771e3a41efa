"""`Trace.packet`: one packet of a trace, as `etrace dump` shows it and as the stream has it."""

import json
from pathlib import Path

import numpy as np
import pytest

import etrace
from specs.trace.single import Packet
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
    """And not what is announced behind it. The parameters of the file are not those of its
    packets.
    """
    plain, modes = (
        etrace.record(
            NESTED,
            framing="reference",
            max_instructions=2000,
            encoding=etrace.Encoding(modes=names, protocol="2.1"),
        )
        for names in ((), ("all",))
    )
    support = modes.packet(0)
    assert support.format == "3.3" and support.fields["branch_predictor"] == 1
    bare = tmp_path / "bare"
    rows = np.concatenate([rows.copy() for rows in plain.packets()])
    first = len(rows) - 1  # without the support packet at its end: another one comes instead
    cut = b"".join(plain.chunks())[: int(rows[-1, etrace.Column.offset])]
    bare.write_bytes(b"".join([cut, *modes.chunks()]))
    parameters = tmp_path / "plain.toml"
    parameters.write_text('protocol = "2.1"\n[framing]\nkind = "reference"\n')
    both = etrace.open(bare, params=parameters, elf=NESTED)
    numbers = range(0, first, 3)
    assert [both.packet(n) for n in numbers] == [plain.packet(n) for n in numbers]
    numbers = range(0, sum(len(rows) for rows in modes.packets()), 3)
    assert [both.packet(first + n) for n in numbers] == [modes.packet(n) for n in numbers]


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
