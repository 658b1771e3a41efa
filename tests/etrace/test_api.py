"""The Python interface."""

from pathlib import Path

import numpy as np
import pytest

import etrace
from specs.configuration.parameters import parse
from specs.interfaces.flow import Ended


@pytest.fixture
def elf(golden: Path) -> Path:
    return golden / "rv64-traps" / "rv64-traps.elf"


def test_record_decode_verify_in_memory(elf: Path) -> None:
    trace = etrace.record(elf)
    flow = trace.decode()
    assert flow.instructions == 954
    assert len(flow.traps) == 78
    assert not len(flow.gaps)
    assert flow.runs["ended"][-1] == Ended.END
    pcs = trace.pcs(flow)
    assert pcs.dtype == np.uint64
    assert (len(pcs), pcs[0], pcs[5]) == (954, 0x1000, 0x8000_0000)
    assert (trace.pcs() == pcs).all()
    assert trace.verify().same


def test_a_flow_that_is_too_long_for_memory_is_refused(elf: Path) -> None:
    trace = etrace.record(elf)
    runs = len(trace.decode().runs)
    assert len(trace.decode(most_runs=runs).runs) == runs
    with pytest.raises(etrace.InputError, match=f"more than {runs - 1} runs; .* flows"):
        trace.decode(most_runs=runs - 1)


def test_record_to_a_file_and_open_it(elf: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    written = etrace.record(str(elf), path, framing="reference")
    opened = etrace.open(path)
    assert opened.configuration.framing.kind == "reference"
    assert opened.header == written.header
    assert (opened.decode().runs == written.decode().runs).all()
    assert b"".join(opened.chunks()) == path.read_bytes()[-opened_size(opened) :]


def opened_size(trace: etrace.Trace) -> int:
    return sum(len(chunk) for chunk in trace.chunks())


def test_the_same_run_gives_the_same_bytes(elf: Path) -> None:
    first, second = (b"".join(etrace.record(elf).chunks()) for _ in range(2))
    assert first == second


def test_parameters_as_text_file_or_configuration(elf: Path, tmp_path: Path) -> None:
    text = "[modes]\nfull_address = true\n[resync]\nunit = 'off'\n"
    path = tmp_path / "p.toml"
    path.write_text(text)
    by_file = etrace.record(elf, params=path)
    by_value = etrace.record(elf, params=parse(text, 64))
    assert by_file.header == by_value.header
    assert list(by_file.chunks()) == list(by_value.chunks())
    assert by_file.configuration.modes.full_address
    assert by_file.verify().same


@pytest.mark.parametrize("unit", ["packets", "instructions"])
@pytest.mark.parametrize("period", [1, 7])
def test_resynchronisation_changes_packets_not_instructions(
    golden: Path, unit: str, period: int
) -> None:
    # Without traps, which synchronise as well.
    elf = golden / "rv64-flow" / "rv64-flow.elf"
    params = parse(f"[resync]\nunit = '{unit}'\nperiod = {period}\n", 64)
    trace = etrace.record(elf, params=params)
    assert trace.verify().same
    assert len(b"".join(trace.chunks())) > len(b"".join(etrace.record(elf).chunks()))


def test_console_and_budget(firmware: Path) -> None:
    assert firmware.is_dir()
    data = Path(etrace.__file__).parent / "data" / "demo-rv32.elf"
    said: list[bytes] = []
    trace = etrace.record(data, max_instructions=10_000, console=said.append)
    assert trace.decode().instructions == 10_000
    assert trace.header.max_instructions == 10_000


def test_encode(golden: Path, elf: Path) -> None:
    csv = golden / "rv64-traps" / "rv64-traps.ingress.csv.gz"
    trace = etrace.encode(csv, elf=elf, platform="spike")
    assert trace.verify(golden / "rv64-traps" / "rv64-traps.pc_trace.csv.gz").same
    with pytest.raises(etrace.InputError, match="cannot be run again"):
        trace.verify()


def test_a_bare_stream(elf: Path, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    recorded = etrace.record(elf)
    path.write_bytes(b"".join(recorded.chunks()))
    configuration = etrace.Configuration.default(64)
    opened = etrace.open(path, params=configuration, elf=elf, platform="spike")
    assert (opened.decode().runs == recorded.decode().runs).all()
    with pytest.raises(etrace.TraceError):
        etrace.open(path, elf=elf)


def test_errors_are_of_one_family(tmp_path: Path, elf: Path) -> None:
    with pytest.raises(etrace.InputError):
        etrace.record(tmp_path / "missing.elf")
    with pytest.raises(etrace.EtraceError):
        etrace.open(tmp_path / "missing.etrace")
    with pytest.raises(etrace.ParametersError):
        etrace.record(elf, params=tmp_path / "missing.toml")
    with pytest.raises(etrace.InputError, match="isa"):
        etrace.record(elf, isa="x86")


def test_packets(elf: Path) -> None:
    assert sum(len(rows) for rows in etrace.record(elf).packets()) == 228


def test_unknown_names() -> None:
    with pytest.raises(AttributeError):
        etrace.nothing  # noqa: B018
    assert set(etrace.__all__) <= {*dir(etrace), *etrace._HOMES}
