"""What to trace, in words: options, their registers and errors, filtered traces that verify."""

import json
from pathlib import Path

import pytest

import etrace
from etrace.errors import InputError
from etrace.recording.filtering import Selection, triggered
from etrace.trace.program import load_programs
from specs.configuration.filters import Filter, Function, Mode
from specs.configuration.parameters import Configuration, ParametersError, parse
from specs.interfaces.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from tests.etrace.conftest import Run

DEFAULT = Configuration.default(64)


def applied(selection: Selection, firmware: Path) -> Configuration:
    return selection.apply(DEFAULT, load_programs([str(firmware / "storm-rv64.elf")]))


def address(firmware: Path, name: str) -> int:
    (program,) = load_programs([str(firmware / "storm-rv64.elf")])
    return program.symbols[name].address


def test_nothing_said_is_everything(firmware: Path) -> None:
    assert applied(Selection(), firmware) is DEFAULT


def test_kinds_are_all_asked_for_and_ranges_are_alternatives(firmware: Path) -> None:
    selection = Selection(
        privileges=("M", "u"),
        ranges=("0x100-0x1ff", "0x180-0x2ff", "0x1000-0x1fff"),
        start_at="0x100",
        causes=("8", "machine timer interrupt"),
    )
    chosen = applied(selection, firmware)
    registers, parameters = chosen.filters, chosen.parameters
    assert [(each.trTeCompPMatch, each.trTeCompSMatch) for each in registers.comparator] == [
        (0x100, 0x2FF),
        (0x1000, 0x1FFF),
        (0x100, 0),
    ]
    assert registers.comparator[2].trTeCompMatchMode == Mode.LATCH
    assert registers.trace.trTeInstFilters == 0b1111
    assert (parameters.filters_p, parameters.comparators_p) == (4, 3)
    assert [each.comparators for each in registers.filter] == [[0, 2], [0, 2], [1, 2], [1, 2]]
    for each in registers.filter:
        assert each.trTeFilterMatchPrivilege
        assert each.trTeFilterMatchChoicePrivilege == 0b1001
    timer = [each for each in registers.filter if each.trTeFilterMatchInterrupt]
    assert [each.trTeFilterMatchChoiceEcause for each in timer] == [1 << 7] * 2
    assert parse(chosen.to_toml()) == chosen


def test_stop_without_start_begins_on(firmware: Path) -> None:
    (latch,) = applied(Selection(stop_at="0x40"), firmware).filters.comparator
    assert latch.trTeCompPFunction == Function.SPECIAL
    assert latch.trTeCompSMatch == 0x40


def test_causes_of_many_bits_have_room(firmware: Path) -> None:
    assert applied(Selection(causes=("40",)), firmware).parameters.ecause_choice_p == 6
    assert applied(Selection(causes=("31",)), firmware).parameters.ecause_choice_p == 5
    only = applied(Selection(causes=("3",), interrupts=True), firmware).filters.filter
    assert only == (
        Filter(
            trTeFilterMatchEcause=True,
            trTeFilterMatchChoiceEcause=8,
            trTeFilterMatchInterrupt=True,
            trTeFilterMatchValueInterrupt=1,
        ),
    )


def test_triggers_need_no_file() -> None:
    on = triggered(DEFAULT, (TRIGGER_ON, TRIGGER_OFF)).filters.trace
    assert on.trTeInstTrigEnable and not on.trTeInstTracing
    off = triggered(DEFAULT, (TRIGGER_OFF, TRIGGER_NOTIFY)).filters.trace
    assert off.trTeInstTrigEnable and off.trTeInstTracing
    assert triggered(DEFAULT, (TRIGGER_NOTIFY,)) is DEFAULT
    file = parse("[trace]\ntrTeInstTracing = false\n")
    assert triggered(file, (TRIGGER_ON,)) is file


@pytest.mark.parametrize(
    ("selection", "message"),
    (
        (Selection(privileges=("X",)), "privilege X: no such level; it must be one of U, S, M"),
        (Selection(symbols=("handle",)), "no symbol handle"),
        (Selection(ranges=("main",)), "range main: must be LO-HI"),
        (Selection(ranges=("0x20-0x10",)), "range 0x20-0x10: ends at 0x10, before"),
        (Selection(start_at="-3"), "-3: not an address"),
        (
            Selection(causes=("ilegal instruction",)),
            "cause ilegal instruction: no such trap (did you mean illegal-",
        ),
        (Selection(causes=("64",)), "cause 64: filters know the causes 0 to 63"),
        (Selection(causes=("breakpoint",), interrupts=True), "is an exception; leave out"),
        (Selection(ranges=tuple(f"{n}-{n}" for n in range(0, 36, 4))), "need 9 comparators"),
        (
            Selection(
                ranges=tuple(f"{n}-{n}" for n in range(0, 32, 4)),
                causes=("1", "breakpoint", "machine-timer-interrupt"),
            ),
            "need 24 filters",
        ),
    ),
)
def test_what_cannot_be(selection: Selection, message: str, firmware: Path) -> None:
    with pytest.raises(InputError) as caught:
        applied(selection, firmware)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_filters_of_a_file_and_options_do_not_mix(firmware: Path) -> None:
    file = parse("[[filter]]\n")
    with pytest.raises(InputError, match="filters of its own"):
        Selection(interrupts=True).apply(file, ())
    without = parse("filter_excint_p = 0\n")
    with pytest.raises(ParametersError, match="filter_excint_p"):
        Selection(interrupts=True).apply(without, ())


OPTIONS = (
    ("--filter-interrupts",),
    ("--filter-privilege", "M"),
    ("--filter-cause", "machine-timer-interrupt", "--filter-cause", "11"),
    ("--start-at", "{middle}", "--stop-at", "{late}"),
    ("--filter-range", "{middle}-{late}"),
    ("--trigger", "on@{middle}", "--trigger", "off@{late}"),
)


@pytest.mark.parametrize("options", OPTIONS)
def test_filtered_recordings_verify(
    options: tuple[str, ...], run: Run, firmware: Path, tmp_path: Path
) -> None:
    elf, path = firmware / "storm-rv64.elf", tmp_path / "t.etrace"
    whole = etrace.record(elf)
    pcs = sorted(set(whole.pcs().tolist()))
    places = {"middle": hex(pcs[len(pcs) // 3]), "late": hex(pcs[2 * len(pcs) // 3])}
    run("record", elf, "-o", path, *(each.format(**places) for each in options))
    run("verify", path)
    filtered = etrace.open(path)
    count = len(filtered.pcs())
    assert 0 < count <= len(whole.pcs())
    if options[0] in ("--filter-range", "--filter-interrupts"):
        assert count < len(whole.pcs())
    if options[0] == "--filter-range":
        low, high = int(places["middle"], 0), int(places["late"], 0)
        inside = [pc for pc in whole.pcs().tolist() if low <= pc <= high]
        assert filtered.pcs().tolist() == inside


def test_another_program_of_filters_does_not_verify(firmware: Path) -> None:
    """The comparison is with what should have been traced."""
    trace = etrace.record(firmware / "storm-rv64.elf", selection=Selection(interrupts=True))
    assert trace.verify().same
    object.__setattr__(trace.header, "configuration", Configuration.default(64))
    assert not trace.verify().same


def test_errors_of_the_command_line(run: Run, firmware: Path, tmp_path: Path) -> None:
    elf, path = firmware / "storm-rv64.elf", tmp_path / "t.etrace"
    result = run("record", elf, "-o", path, "--filter-symbol", "_strat", code=2)
    assert "no symbol _strat" in result.stderr
    assert not path.exists()


def test_info_tells_the_filters(run: Run, firmware: Path, tmp_path: Path) -> None:
    elf, path = firmware / "storm-rv64.elf", tmp_path / "t.etrace"
    run("record", elf, "-o", path, "--filter-range", "0x80000000-0x80000fff")
    told = run("info", path).stdout
    assert "trTeInstFilters 1" in told and "trTeCompPMatch 0x80000000" in told
    values = json.loads(run("info", path, "--json").stdout)
    assert values["configuration"]["comparator"][0]["trTeCompPMatch"] == 0x80000000


COLUMNS = "itype_0,cause,tval,priv,iaddr_0,iretire_0,ilastsize_0\n"


@pytest.mark.parametrize(
    ("params", "rows"),
    (
        ("retires_p = 1\n", "0,0,0,3,80000000,1,1\n5,0,0,3,80000004,1,1\n"),
        # in one block, which the program tells apart
        ("retires_p = 2\niretire_width_p = 3\n", "5,0,0,3,80000000,4,1\n"),
    ),
)
def test_events_from_elsewhere_are_filtered(
    params: str, rows: str, run: Run, counting_elf: Path, tmp_path: Path
) -> None:
    stream, file, path = (tmp_path / name for name in ("s.csv", "p.toml", "t.etrace"))
    stream.write_text(COLUMNS + rows * 3)
    file.write_text(params)
    options = ["--params", file, "--elf", counting_elf, "--filter-range", "0x80000000-0x80000003"]
    run("encode", stream, "-o", path, *options)
    trace = etrace.open(path)
    assert trace.pcs().tolist() == [0x80000000] * 3
    assert len(trace.decode().pauses) == 2
    assert not len(trace.decode().gaps)
