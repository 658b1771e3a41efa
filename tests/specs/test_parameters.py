"""The parameter file: defaults of "Parameters and Discovery", checks, errors."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.configuration.parameters import (
    MAX_PAYLOAD_BITS,
    TABLES,
    Configuration,
    Modes,
    Parameters,
    ParametersError,
    entries,
    from_dict,
    load,
    parse,
    widest_packet,
)

# Table "Required instruction trace attributes" and its neighbours, as parameters (attribute + 1
# where the mapping subtracts 1); widths of the hart's address are of the program.
DISCOVERY_DEFAULTS = {
    "arch_p": 0,
    "bpred_size_p": 0,
    "cache_size_p": 0,
    "call_counter_size_p": 0,
    "context_width_p": 1,
    "time_width_p": 1,
    "ecause_width_p": 4,
    "f0s_width_p": 0,
    "iaddress_lsb_p": 1,
    "iaddress_width_p": 32,
    "nocontext_p": 1,
    "notime_p": 1,
    "privilege_width_p": 2,
    "return_stack_size_p": 0,
    "sijump_p": 0,
    "comparators_p": 1,
    "filters_p": 1,
    "ecause_choice_p": 5,
    "ctype_width_p": 1,
    "ilastsize_width_p": 1,
    "itype_width_p": 4,
    "iretire_width_p": 2,
    "retires_p": 1,
    "impdef_width_p": 1,
    "daddress_width_p": 32,
    "dsize_width_p": 3,
    "ldata_width_p": 32,
}


def problems(text: str, xlen: int = 64) -> list[str]:
    with pytest.raises(ParametersError) as caught:
        parse(text, xlen, "p.toml")
    return caught.value.problems


def test_defaults_are_those_of_discovery() -> None:
    parameters = Configuration.default(32).parameters
    assert {name: getattr(parameters, name) for name in DISCOVERY_DEFAULTS} == DISCOVERY_DEFAULTS


@pytest.mark.parametrize("xlen", [32, 64])
def test_address_width_is_that_of_the_program(xlen: int) -> None:
    assert Configuration.default(xlen).parameters.iaddress_width_p == xlen
    assert parse("ecause_width_p = 5", xlen).parameters.iaddress_width_p == xlen


@pytest.mark.parametrize("commented", [True, False])
@pytest.mark.parametrize("xlen", [32, 64])
def test_a_written_file_reads_back(commented: bool, xlen: int) -> None:
    configuration = Configuration.default(xlen)
    text = configuration.to_toml(commented)
    assert parse(text, 96 - xlen) == configuration
    assert ("#" in text) == commented


def test_a_commented_file_explains_every_key() -> None:
    lines = Configuration.default(64).to_toml().splitlines()
    for entry in entries():
        text = f"# {entry.text} ({entry.allowed})"
        keys = [key for above, key in pairwise(lines) if above == text]
        assert any(key.removeprefix("# ").startswith(f"{entry.name} =") for key in keys), entry


def test_flat_file_of_parameters() -> None:
    flat = parse("itype_width_p = 3\niaddress_width_p = 40\n")
    nested = parse("[parameters]\nitype_width_p = 3\niaddress_width_p = 40\n")
    assert flat == nested
    assert flat.parameters.itype_width_p == 3


def test_flat_and_nested_do_not_mix() -> None:
    (problem,) = problems("itype_width_p = 3\n[parameters]\nretires_p = 2\n")
    assert "itype_width_p" in problem and "[parameters]" in problem


def test_every_problem_at_once_with_its_place() -> None:
    found = problems(
        'protocol = "3.0"\n[parameters]\niaddress_widht_p = 3\necause_width_p = 99\n'
        "retires_p = true\n[modes]\nsijump = 1\n[resinc]\n[framing]\nkind = 'encp'\n"
        "timestamp_width = 12\nsrcid = 4\n[resync]\nunit = 3\nperiod = 0\n"
    )
    expected = [
        r'protocol = "3.0": must be "2.0" or "2.1"',
        r"\[resinc\]: no such table; did you mean resync\?",
        r"\[parameters\] iaddress_widht_p: no such key; did you mean iaddress_width_p\?",
        r"\[parameters\] ecause_width_p = 99: out of range, must be 1-64",
        r"\[parameters\] retires_p = true: must be an integer, 1-65536",
        r"\[modes\] sijump = 1: must be true or false",
        r"\[resync\] unit = 3: must be packets, instructions, cycles or off",
        r"\[resync\] period = 0: out of range, must be 1-",
        r'\[framing\] kind = "encp": must be encap or reference; did you mean encap\?',
        r"\[framing\] timestamp_width = 12: must be a multiple of 8",
        r"\[framing\] srcid = 4: does not fit srcid_width = 0",
    ]
    assert len(found) == len(expected)
    for pattern, problem in zip(expected, found, strict=True):
        assert re.search(pattern, problem), problem
        assert problem.startswith("p.toml: ") and "\n" not in problem


_NEEDS = {
    "sijump": "sijump_p = 1",
    "implicit_return": "return_stack_size_p = 3",
    "branch_prediction": "bpred_size_p = 6",
    "jump_target_cache": "cache_size_p = 6",
}


@pytest.mark.parametrize("mode", [each.name for each in fields(Modes)])
def test_a_mode_and_the_sizes_that_it_needs(mode: str) -> None:
    needed = _NEEDS.get(mode, "")
    assert getattr(parse(f"[parameters]\n{needed}\n[modes]\n{mode} = true\n").modes, mode)
    if needed:
        (problem,) = problems(f"[modes]\n{mode} = true\n")
        assert mode in problem and needed.split()[0] in problem


def test_implicit_return_needs_to_see_calls() -> None:
    text = "[parameters]\nreturn_stack_size_p = 3\nitype_width_p = 3\n"
    (problem,) = problems(text + "[modes]\nimplicit_return = true\n")
    assert "itype_width_p" in problem


def test_protocol_2_1_and_what_its_support_packet_has_no_room_for() -> None:
    assert parse('protocol = "2.1"').protocol == "2.1"
    text = 'protocol = "2.1"\n[parameters]\n'
    both = parse(text + "call_counter_size_p = 2\nreturn_stack_size_p = 3\n")
    assert both.has_irets and both.recursions == 3 and both.nested_calls == 8
    (problem,) = problems(text + "bpred_size_p = 8\n")
    assert "bpred_size_p" in problem and "2.1" in problem
    (problem,) = problems(text + "notime_p = 0\ntime_width_p = 24\n")
    assert "time_width_p" in problem and "multiple of 16" in problem


def test_trap_vectors() -> None:
    text = "[tvec]\nmtvec = 0x80000101\n"
    assert parse(text).tvec.by_privilege() == {3: 0x8000_0101}
    assert parse("").tvec.by_privilege() == {}
    again = parse(parse(text).to_toml())
    assert again == parse(text)


def test_call_counter_and_return_stack_exclude_each_other() -> None:
    (problem,) = problems("call_counter_size_p = 2\nreturn_stack_size_p = 3\n")
    assert "call_counter_size_p" in problem and "return_stack_size_p" in problem


def test_widest_packet_of_the_defaults() -> None:
    # format 2, subformat 2, branch, privilege 2, ecause 4, interrupt, thaddr, address, tval
    assert widest_packet(Configuration.default(32).parameters) == 2 + 2 + 1 + 2 + 4 + 2 + 31 + 32


def test_packets_must_fit_the_encapsulation() -> None:
    widths = "nocontext_p = 0\ncontext_width_p = 64\nnotime_p = 0\n"
    # 5 fixed, 2 privilege, 64 context, 4 ecause, 2, 63 address, 64 tval: 204 without time
    assert widest_packet(parse(widths + "time_width_p = 44\n").parameters) == MAX_PAYLOAD_BITS
    (problem,) = problems(widths + "time_width_p = 45\n")
    assert "249 bits" in problem
    framed = f"[parameters]\n{widths}time_width_p = 44\n[framing]\nsrcid_width = 9\n"
    (problem,) = problems(framed)
    assert "240" in problem  # whole bytes of what the odd srcID bit leaves
    assert parse(framed.replace("srcid_width = 9", "srcid_width = 8")).framing.srcid_width == 8


@given(st.data())
def test_every_value_in_range_is_taken_and_its_neighbours_are_not(data: st.DataObject) -> None:
    each = data.draw(st.sampled_from(fields(Parameters)))
    low, high = each.metadata["allowed"]
    value = data.draw(st.integers(low, high))
    if each.name != "iaddress_lsb_p":
        configuration = from_dict({"parameters": {each.name: value}})
        assert getattr(configuration.parameters, each.name) == value
    for outside in (low - 1, high + 1):
        with pytest.raises(ParametersError):
            from_dict({"parameters": {each.name: outside}})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(["protocol", *TABLES, *(entry.name for entry in entries())]) | st.text()


@given(st.dictionaries(KEYS, JUNK | st.dictionaries(KEYS, JUNK, max_size=3), max_size=4))
def test_from_dict_gives_a_configuration_or_one_line_problems(values: dict[str, object]) -> None:
    try:
        configuration = from_dict(values)
    except ParametersError as error:
        assert error.problems
        assert all("\n" not in problem and len(problem) < 400 for problem in error.problems)
    else:
        assert from_dict(configuration.to_dict()) == configuration


@given(st.text(max_size=60))
def test_parse_gives_a_configuration_or_problems(text: str) -> None:
    try:
        parse(text)
    except ParametersError as error:
        assert error.problems


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"\x00",
        b"a = [" * 5000,
        b"x" * (2 << 20),
        b"retires_p = " + b"9" * 5000,
        b"retires_p = 0x" + b"f" * 5000,
    ],
)
def test_files_that_are_no_parameter_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ParametersError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert str(path) in caught.value.problems[0]


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ParametersError) as caught:
            load(path)
        assert str(path) in caught.value.problems[0]


def test_no_file_means_defaults() -> None:
    assert load(None, 32) == Configuration.default(32)


def test_configurations_are_frozen() -> None:
    configuration = Configuration.default()
    with pytest.raises(AttributeError):
        configuration.parameters.retires_p = 2  # type: ignore[misc]
    other = replace(configuration, modes=Modes(full_address=True))
    assert other != configuration


def test_importing_needs_neither_numba_nor_numpy() -> None:
    script = (
        "import sys, specs.configuration.parameters\n"
        "print(*{'numba', 'numpy', 'click'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_what_encoders_out_there_have() -> None:
    """ESP32-C6: privilege 1; PULP: ecause 64, ioptions 7, irdepth 1; QEMU's series: irdepth 3."""
    found = parse(
        "privilege_width_p = 1\necause_width_p = 64\ncall_counter_size_p = 20\n"
        "ioptions_width_p = 7\ndoptions_width_p = 32\n"
    )
    assert found.irdepth_bits == 20
    assert found.nested_calls == 1 << 20
    assert parse("call_counter_size_p = 32").nested_calls == 1 << 20
    assert parse("").irdepth_bits == 0
    assert parse("irdepth_width_p = 3").irdepth_bits == 3
    again = parse(parse("irdepth_width_p = 3").to_toml())
    assert again.irdepth_bits == 3
    assert parse(parse("").to_toml()) == parse("")
    updated = 'protocol = "2.1"\n[parameters]\nreturn_stack_size_p = 3\nirdepth_width_p = 1\n'
    assert parse(updated).irdepth_bits == 0
    (problem,) = problems("return_stack_size_p = 3\nirdepth_width_p = 3\n")
    assert "irdepth_width_p = 3: less than the 4 bits" in problem
    (problem,) = problems('protocol = "2.1"\n[parameters]\ncall_counter_size_p = 16\n')
    assert "call_counter_size_p: at most 15" in problem
