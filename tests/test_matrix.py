"""Whole programs in every mode, and in combinations of them: recorded, decoded, compared."""

from pathlib import Path

import pytest

import etrace
from specs.configuration.parameters import from_dict
from tests.programs.programs import PROGRAMS

_SIZES = {
    "sijump_p": 1,
    "bpred_size_p": 7,
    "cache_size_p": 6,
    "return_stack_size_p": 4,
    "f0s_width_p": 1,
}
_MODES = (
    "sijump",
    "implicit_exception",
    "implicit_return",
    "branch_prediction",
    "jump_target_cache",
)


def _given(*modes: str, protocol: str = "2.0", full: bool = False, **more: object) -> dict:
    """Tables of a parameter file: `modes` on; `more` are parameters, or tables."""
    tables = {name: value for name, value in more.items() if isinstance(value, dict)}
    parameters = {name: value for name, value in more.items() if name not in tables}
    return {
        "protocol": protocol,
        "parameters": _SIZES | parameters,
        "modes": dict.fromkeys(modes, True) | {"full_address": full},
        **tables,
    }


_OFTEN = {"unit": "packets", "period": 7}
_HALF_WORDS = {"unit": "instructions", "period": 500}

CONFIGURATIONS = {
    "baseline": _given(),
    "full address": _given(full=True),
    "no resynchronisation": _given(resync={"unit": "off"}),
    "resynchronisation by packets": _given(resync=_OFTEN),
    "resynchronisation by half-words": _given(resync=_HALF_WORDS),
    **{mode: _given(mode) for mode in _MODES},
    **{f"{mode}, full address": _given(mode, full=True) for mode in _MODES},
    "call counter": _given("implicit_return", return_stack_size_p=0, call_counter_size_p=3),
    "the smallest stack": _given("implicit_return", return_stack_size_p=1),
    "the smallest predictor and cache": _given(
        "branch_prediction", "jump_target_cache", bpred_size_p=1, cache_size_p=1, f0s_width_p=2
    ),
    "large predictor and cache": _given(
        "branch_prediction", "jump_target_cache", bpred_size_p=14, cache_size_p=12
    ),
    "the shorter packet": _given(
        "branch_prediction", "jump_target_cache", encoder={"shorter_packet": True}
    ),
    "a packet for each round": _given(encoder={"loops": "exact"}),
    "all, a packet for each round": _given(*_MODES, encoder={"loops": "exact"}),
    "by the letter": _given(encoder={"ambiguous": "spec"}),
    "by the letter, half-words": _given(
        encoder={"ambiguous": "spec"}, resync={"unit": "instructions", "period": 5000}
    ),
    "predictor and cache, by the letter": _given(
        "branch_prediction", "jump_target_cache", encoder={"ambiguous": "spec"}
    ),
    "2.1, returns, by the letter": _given(
        "implicit_return", protocol="2.1", encoder={"ambiguous": "spec"}
    ),
    "returns and cache": _given("implicit_return", "jump_target_cache"),
    "returns and predictor": _given("implicit_return", "branch_prediction"),
    "all": _given(*_MODES),
    "all, full address": _given(*_MODES, full=True),
    "all, often": _given(*_MODES, resync=_OFTEN),
    "all, half-words": _given(*_MODES, resync=_HALF_WORDS),
    "all, 3-bit itype": _given(*(m for m in _MODES if m != "implicit_return"), itype_width_p=3),
    "2.1": _given(protocol="2.1"),
    "2.1, implicit return": _given("implicit_return", protocol="2.1"),
    "2.1, stack and counter": _given(
        "implicit_return", protocol="2.1", return_stack_size_p=2, call_counter_size_p=4
    ),
    "2.1, all": _given(*_MODES, protocol="2.1"),
    "2.1, all, often": _given(*_MODES, protocol="2.1", resync=_OFTEN),
}


_ROOT = Path(__file__).resolve().parent
_GOLDEN = {
    _ROOT / f"golden/rv{xlen}-{name}/rv{xlen}-{name}.elf": xlen
    for name in ("flow", "kernels", "traps")
    for xlen in (32, 64)
}
#: Programs and their widths: our own, the golden ones that the emulator runs, the demo.
FILES = {program.path: program.xlen for program in PROGRAMS} | _GOLDEN
FILES |= {_ROOT.parent / f"etrace/data/demo-rv{xlen}.elf": xlen for xlen in (32, 64)}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_program(name: str) -> None:
    """In this configuration each program's trace decodes to exactly what ran."""
    assert len(CONFIGURATIONS) >= 24
    for path, xlen in FILES.items():
        result = etrace.record(path, params=from_dict(CONFIGURATIONS[name], xlen)).verify()
        assert result.same, (path.name, result)
        assert result.comparison.instructions > 0
