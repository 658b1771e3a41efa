"""Programs that use M, S and U and translate addresses: recorded, decoded, verified."""

import json
from pathlib import Path

import pytest

import etrace
from emu import Machine, load
from emu.ingress.options import SidebandOptions
from etrace.recording.encoding import Encoding
from etrace.recording.sideband import Telling
from specs.configuration.parameters import from_dict
from specs.isa.csrs import ADDRESS
from tests.etrace.conftest import Run
from tests.etrace.paging import CROSSING, USER, WAYS, Paging, expected

#: Parameters, modes and protocol of an encoder.
CONFIGURATIONS = [
    ({}, (), "2.0"),
    ({"framing": {"kind": "reference"}, "resync": {"unit": "packets", "period": 16}}, (), "2.0"),
    ({}, ("full_address",), "2.0"),
    ({}, ("all",), "2.0"),
    ({"resync": {"unit": "instructions", "period": 512}}, ("all",), "2.1"),
]
#: Room for a whole satp.
CONTEXT = {"ctype_width_p": 2, "nocontext_p": 0, "context_width_p": 64}


@pytest.fixture(params=WAYS, ids=lambda each: each.way)
def paging(request: pytest.FixtureRequest) -> Paging:
    return request.param


@pytest.mark.parametrize(
    ("params", "modes", "protocol"), CONFIGURATIONS, ids=["", "resync", "full", "all", "all-2.1"]
)
def test_paging_is_decoded_as_it_ran(
    tmp_path: Path, paging: Paging, params: dict[str, object], modes: tuple[str, ...], protocol: str
) -> None:
    elf = paging.write(tmp_path / "paging.elf")
    satp = SidebandOptions(context_csr=ADDRESS["satp"], context_type=2)
    machine = Machine([load(elf)], sideband=satp)
    pcs, traps, contexts = expected(machine.memory, paging, machine.run(1_000_000))
    assert machine.exit_code == 0
    # Both processes ran, each page was brought in for each of them, by faults of all three kinds.
    assert set(contexts) == set(paging.satps)
    assert {cause for interrupt, _, cause, *_ in traps if not interrupt} == {8, 9, 12, 13, 15}
    assert sum(interrupt for interrupt, *_ in traps) > 20
    assert (False, CROSSING, 12, CROSSING + 2, 0) in traps

    trace = etrace.record(
        elf,
        tmp_path / "paging.etrace",
        params=from_dict({**params, "parameters": CONTEXT}, paging.xlen, "test"),
        encoding=Encoding(modes=modes, protocol=protocol),
        telling=Telling(context_csr="satp"),
    )
    flow = trace.decode()
    assert not len(flow.gaps)
    assert trace.pcs(flow).tolist() == pcs
    told = [
        (bool(t["interrupt"]), int(t["epc"]), int(t["cause"]), int(t["tval"]), int(t["priv"]))
        for t in flow.traps
    ]
    assert told == traps
    levels = {int(run["priv"]) for run in flow.runs}
    assert levels == {0, 1, 3}
    user = flow.runs["priv"] == 0
    assert (flow.runs["start"][user] < USER + 0x2000).all()
    reported = [int(each) for each in flow.contexts["context"]]
    changes = [b for a, b in zip([None, *reported], reported, strict=False) if a != b]
    assert changes == [0, *contexts]
    assert trace.verify().same


@pytest.mark.parametrize("option", [(), ("--time", "mtime")])
def test_a_whole_satp_is_context(
    run: Run, tmp_path: Path, paging: Paging, option: tuple[str, ...]
) -> None:
    """Without a parameter file, too: with mode and ASID, which are its upper half."""
    elf, trace = paging.write(tmp_path / "p.elf"), tmp_path / "t.etrace"
    run("record", elf, "-o", trace, "--context-csr", "satp", *option)
    told = {int(each) for each in etrace.open(trace).decode().contexts["context"]}
    assert told == {0, *paging.satps}
    assert "the same" in run("verify", trace).stdout


def test_modes_are_kept_for_verify(run: Run, tmp_path: Path) -> None:
    """A hart without S: the program's first write to a register of S traps."""
    elf, trace = WAYS[1].write(tmp_path / "p.elf"), tmp_path / "t.etrace"
    arguments = ("record", elf, "-o", trace, "--max-instructions", "1000")
    run(*arguments, "--modes", "MU", code=4)
    header = etrace.open(trace).header
    assert header.modes == "MU"
    assert "modes MU" in run("info", trace).stdout
    assert json.loads(run("info", trace, "--json").stdout)["modes"] == "MU"
    assert "the same" in run("verify", trace).stdout
    narrow = etrace.open(trace).decode().instructions
    run(*arguments)
    assert etrace.open(trace).header.modes is None
    assert b'"modes": "M' not in trace.read_bytes()
    assert "modes M" not in run("info", trace).stdout
    assert etrace.open(trace).decode().instructions > narrow
    assert etrace.record(elf, modes="mu", max_instructions=1000).header.modes == "MU"


def test_modes_of_a_run(run: Run, tmp_path: Path, traps_trace: Path) -> None:
    elf = WAYS[0].write(tmp_path / "p.elf")
    run("run", elf)
    run("run", elf, "--modes", "MSU")
    run("run", elf, "--isa", "rv32imac_sstc", "--modes", "MSU")
    assert "illegal instruction" in run("run", elf, "--modes", "M", code=77).stderr
    assert "'X' is not one of 'M', 'MU', 'MSU'" in run("run", elf, "--modes", "X", code=2).stderr
    with pytest.raises(etrace.EtraceError, match="modes 'SU': must be one of M, MU, MSU"):
        etrace.record(elf, modes="SU")
    said = run("events", traps_trace, "--modes", "M", code=2).stderr
    assert "--modes does not apply" in said
    assert "interrupt" in run("events", elf, "--modes", "MSU").stdout


def test_the_header_of_a_trace_with_modes_that_are_none(run: Run, tmp_path: Path) -> None:
    elf, trace = WAYS[0].write(tmp_path / "p.elf"), tmp_path / "t.etrace"
    run("record", elf, "-o", trace, "--modes", "MSU")
    data = trace.read_bytes()
    trace.write_bytes(data.replace(b'"modes": "MSU"', b'"modes": "MXU"'))
    assert "modes 'MXU': must be one of M, MU, MSU" in run("verify", trace, code=2).stderr
    trace.write_bytes(data.replace(b'"modes": "MSU"', b'"modes": 12345'))
    assert "text was expected" in run("verify", trace, code=3).stderr
