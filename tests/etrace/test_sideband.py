"""Context, time and triggers: options, their errors, the header, and a run that is repeated."""

from pathlib import Path

import pytest

import etrace
from etrace.errors import InputError
from etrace.recording.recorder import new_machine
from etrace.recording.sideband import Telling
from etrace.trace.header import Header
from etrace.trace.program import load_programs
from specs.interfaces.ingress import HAS_TIME, TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from tests.emu.told import told
from tests.etrace.conftest import Run
from tests.etrace.test_tracefile import HEADER, read, refusal, values, with_header

ELF = "rv64-traps/rv64-traps.elf"


def header_of(path: Path) -> Header:
    header, _ = read(path.read_bytes())
    assert header is not None
    return header


def symbol(golden: Path, name: str) -> int:
    return load_programs([str(golden / ELF)])[0].symbols[name].address


def a_function(golden: Path) -> str:
    """A symbol whose instruction the program runs."""
    (program,) = load_programs([str(golden / ELF)])
    trace = etrace.record(golden / ELF)
    run = set(trace.pcs(trace.decode()).tolist())
    return min(name for name, each in program.symbols.items() if each.address in run)


def test_a_recording_with_time_and_triggers_verifies(
    run: Run, golden: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.etrace"
    name = a_function(golden)
    options = ["--time", "cycles", "--time-every", "50", "--trigger", f"notify@{name}"]
    run("record", golden / ELF, "-o", path, *options)
    sideband = header_of(path).sideband
    assert sideband is not None and sideband.time is not None
    assert (sideband.time.value, sideband.time_every) == ("cycles", 50)
    assert sideband.triggers == ((symbol(golden, name), TRIGGER_NOTIFY),)
    run("verify", path)
    # The machine of the header tells what the one of the recording told.
    trace = etrace.open(path)
    rows = told(new_machine(trace.code, trace.header).run())
    sides = [row.side for row in rows if row.side is not None]
    assert sum(bool(side.flags & HAS_TIME) for side in sides) > 50
    assert any(side.trigger == TRIGGER_NOTIFY for side in sides)


def test_a_recording_with_a_watched_device_verifies(
    run: Run, firmware: Path, tmp_path: Path
) -> None:
    """Stores to mtimecmp, by address; `info` and the header say so."""
    path = tmp_path / "t.etrace"
    options = ["--trigger", "notify@store:0x2004000", "--trigger", "notify@load:0x2004001"]
    run("record", firmware / "idle_wfi-rv64.elf", "-o", path, *options)
    sideband = header_of(path).sideband
    assert sideband is not None and sideband.triggers == ()
    assert sideband.watches == ((0x2004000, TRIGGER_NOTIFY, 2), (0x2004001, TRIGGER_NOTIFY, 1))
    assert "trigger: notify at store of 0x2004000" in run("info", path).stdout
    run("verify", path)
    trace = etrace.open(path)
    rows = told(new_machine(trace.code, trace.header).run())
    assert sum(row.side is not None and row.side.trigger == TRIGGER_NOTIFY for row in rows) > 10


def test_without_options_the_header_is_what_it_was(run: Run, golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    run("record", golden / ELF, "-o", path)
    assert header_of(path).sideband is None and b'"sideband"' not in path.read_bytes()


def test_a_place_may_be_an_address_or_have_an_offset(golden: Path) -> None:
    programs = load_programs([str(golden / ELF)])
    name = a_function(golden)
    found = programs[0].symbols[name]
    asked = Telling(triggers=("off@0x80000010", f"notify@{name}", f"notify@{name}+0x4"))
    options = asked.options(programs)
    assert options is not None
    assert options.triggers == (
        (0x80000010, TRIGGER_OFF),
        (found.address, TRIGGER_NOTIFY),
        (found.address + 4, TRIGGER_NOTIFY),
    )
    assert Telling().options(programs) is None


def test_places_of_data() -> None:
    texts = ("off@load:0x10+1", "on@store:0x80000001", "notify@access:7", "on@0x20")
    options = Telling(triggers=texts).options(())
    assert options is not None and options.triggers == ((0x20, TRIGGER_ON),)
    assert options.watches == ((0x11, TRIGGER_OFF, 1), (0x80000001, TRIGGER_ON, 2), (7, 4, 3))
    assert options.pulses == [TRIGGER_ON, TRIGGER_OFF, TRIGGER_ON, TRIGGER_NOTIFY]
    header, _ = read(Header(**{**vars(HEADER), "sideband": options}).pack())
    assert header is not None and header.sideband == options


def test_the_header_reads_back(golden: Path) -> None:
    programs = load_programs([str(golden / ELF)])
    asked = Telling(
        context_csr="mcontext", context_type=3, time="mtime", triggers=("on@0x80000000",)
    )
    options = asked.options(programs)
    assert options is not None and options.context_csr == 0x7A8
    data = Header(**{**vars(HEADER), "sideband": options}).pack()
    header, _ = read(data)
    assert header is not None and header.sideband == options


@pytest.mark.parametrize(
    "sideband",
    [
        7,
        {},
        {"context_csr": "x"},
        {"context_csr": 1 << 70},
        {"context_type": 4},
        {"time": "noon"},
        {"time": []},
        {"time_every": 0},
        {"time_every": True},
        {"triggers": 5},
        {"triggers": [[1]]},
        {"triggers": [[1, 1]]},
        {"triggers": [[-2, 1]]},
        {"triggers": [[0, 1]] * 100},
        {"watches": 5},
        {"watches": [[0, 1]]},
        {"watches": [[0, 1, 4]]},
        {"watches": [[0, 1, True]]},
    ],
)
def test_a_damaged_header_is_refused(sideband: object) -> None:
    good = {
        "context_csr": None,
        "context_type": 2,
        "time": None,
        "time_every": 1,
        "triggers": [],
    }
    if isinstance(sideband, dict) and sideband:
        sideband = {**good, **sideband}
    assert "damaged file" in refusal(with_header({**values(), "sideband": sideband}))
    read(with_header({**values(), "sideband": good}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trigger", "main"], "must be on@PLACE"),
        (["--trigger", "on@no_such_symbol"], "no symbol no_such_symbol"),
        (["--trigger", "on@store:"], "as in notify@store:counter"),
        (["--trigger", "on@stores:0x10"], "no symbol stores:0x10"),
        (["--trigger", "on@store:no_such_symbol"], "no symbol no_such_symbol"),
        (["--trigger", "on@0x80000001"], "at an even address"),
        (["--context-csr", "mcontex"], "did you mean mcontext?"),
        (["--context-csr", "0x1000"], "from 0 to 0xfff"),
        (["--context-csr", "mip"], "cannot be the context"),
    ],
)
@pytest.mark.parametrize("verb", ["record", "run"])
def test_wrong_options(
    run: Run, golden: Path, tmp_path: Path, verb: str, options: list[str], message: str
) -> None:
    output = ["-o", tmp_path / "t.etrace"] if verb == "record" else []
    result = run(verb, golden / ELF, *output, *options, code=2)
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_wrong_values_in_python(golden: Path) -> None:
    with pytest.raises(InputError, match="must be one of instret, mtime, cycles"):
        etrace.record(golden / ELF, telling=Telling(time="noon"))
