"""Whole programs in every mode, and in combinations: recorded, decoded, run again, compared.

The cases stand in tests/golden/suite.toml, which `etrace regress` runs as well.
"""

from pathlib import Path
from typing import Any

import pytest

from etrace.checking.regress.manifest import Case, load
from etrace.checking.regress.outcome import Status
from etrace.checking.regress.run import run_case
from tests.programs.programs import PROGRAMS

_ROOT = Path(__file__).resolve().parent
SUITE = _ROOT / "golden" / "suite.toml"
CASES = {case.name: case for case in load([str(SUITE)])}
_MATRIX = [case for case in CASES.values() if "matrix" in case.tags]


def _tables(case: Case) -> dict[str, Any]:
    """What a case says of its encoder, as the tables of a parameter file."""
    assert isinstance(case.params, dict)
    tables = {**case.params, "modes": dict.fromkeys(case.modes, True)}
    return tables | ({} if case.protocol is None else {"protocol": case.protocol})


def _configuration(case: Case) -> str:
    return case.name.partition("[")[2].removesuffix("]")


#: Tables of a parameter file, by name.
CONFIGURATIONS = {_configuration(case): _tables(case) for case in _MATRIX}
#: Programs and their widths: our own, the golden ones that the emulator runs, the demo.
FILES = {Path(case.elf[0]): 32 if "rv32" in case.elf[0] else 64 for case in _MATRIX}


def test_the_suite_has_all_programs_in_all_modes() -> None:
    assert {program.path.resolve() for program in PROGRAMS} <= {path.resolve() for path in FILES}
    assert len(CONFIGURATIONS) >= 38 and len(_MATRIX) == len(CONFIGURATIONS) * len(FILES)


@pytest.mark.parametrize("name", [case.name for case in _MATRIX])
def test_a_program_in_a_mode(name: str) -> None:
    """Its trace decodes to exactly what ran."""
    result = run_case(CASES[name]).result
    assert result.status == Status.PASSED, (result.reason, result.text)
    assert result.values["instructions"] > 0
