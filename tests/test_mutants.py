"""The list of `make mutants` cannot rot: each fault can be put in, once, and has tests. And its
verdicts: what is noticed, what survives, what is neither.
"""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import run as mutants
from tests.mutants.run import Mutant, Place, run_all, verdict

LIST = mutants.load()
ROOMS = {"encoder", "decoder", "emu", "specs", "etrace"}


def test_there_are_enough_of_all_rooms() -> None:
    rooms = Counter(mutant.file.split("/")[0] for mutant in LIST)
    assert len(LIST) >= 60
    assert set(rooms) == ROOMS and min(rooms.values()) >= 5


@pytest.mark.parametrize("mutant", LIST, ids=str)
def test_each_can_be_put_in(mutant: Mutant) -> None:
    assert mutant.problem() == ""
    assert mutant.changed() != mutant.source()
    before, after = (ast.dump(ast.parse(text)) for text in (mutant.source(), mutant.changed()))
    assert before != after
    assert mutant.diff().startswith(f"--- {mutant.file}")


def test_no_two_are_the_same() -> None:
    assert len({(mutant.file, mutant.changed()) for mutant in LIST}) == len(LIST)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of its own, whose one function is tested less than it should be."""
    root = tmp_path / "root"
    (root / "specs").mkdir(parents=True)
    (root / "specs" / "maximum.py").write_text(
        "def maximum(a, b):\n    while b > a:\n        a = b\n    return a\n"
    )
    (root / "tests").mkdir()
    (root / "tests" / "test_maximum.py").write_text(
        "from specs.maximum import maximum\ndef test(): assert maximum(1, 2) == 2\n"
    )
    monkeypatch.setattr(mutants, "ROOT", root)
    monkeypatch.setattr(mutants, "COPIED", ("specs", "tests"))
    return tmp_path


def fault(old: str, new: str) -> Mutant:
    return Mutant("specs/maximum.py", old, new, "a reason", ("tests/test_maximum.py",), True)


def test_verdicts(tree: Path) -> None:
    """Noticed, survived, a hang, and what cannot be imported; the tree itself stays as it is."""
    source = (tree / "root" / "specs" / "maximum.py").read_text()
    faults = {
        "noticed": fault("b > a", "b < a"),
        "survived": fault("b > a", "b >= a and a != b"),
        "hang": fault("a = b", "b = b"),
        "no mutant": fault("return a", "return a)"),
    }
    place = Place(tree / "place")
    told = {
        name: next(run_all([place], [mutant], 5 if name == "hang" else None))[1]
        for name, mutant in faults.items()
    }
    assert (told["noticed"], told["survived"], told["hang"]) == ("noticed", "survived", "noticed")
    assert "SyntaxError" in told["no mutant"]
    assert (tree / "root" / "specs" / "maximum.py").read_text() == source
    assert place.run(["tests/test_maximum.py"], compiled=True)[0] == 0


def test_a_list_that_has_rotted(tree: Path) -> None:
    assert "0 times" in fault("is not there", "").problem()
    assert "5 times" in fault("a", "").problem()
    assert (
        "no such test: tests/test_minimum.py"
        in Mutant("specs/maximum.py", "b > a", "", "", ("tests/test_minimum.py::test",)).problem()
    )
    assert "0 times" in Mutant("specs/minimum.py", "b", "", "", ("x",)).problem()


def test_a_crash_is_noticed() -> None:
    assert verdict(-11, "") == verdict(None, "") == verdict(1, "") == "noticed"
    assert verdict(5, "no tests ran").startswith("pytest ended with 5")


def test_a_kernel_that_is_interpreted() -> None:
    """The plugin: kernels are plain functions, and their words are those of compiled ones."""
    program = (
        "import tests.mutants.interpreted\n"
        "import numpy as np\n"
        "from specs.kernels.njit import njit\n"
        "from specs.kernels.words import ALL_ONES, U0, U1, clz64, mulhu64, s64, sext32, u64\n"
        "kernel = njit(lambda x: s64(x - U1))\n"
        "assert kernel(U0) == -1 and type(kernel(U0)) is np.int64\n"
        "assert u64(np.int64(-1)) == ALL_ONES\n"
        "assert clz64(U1) == 63 and clz64(U0) == 64\n"
        "assert sext32(np.uint64(1 << 31)) == np.uint64(0xffffffff80000000)\n"
        "assert mulhu64(ALL_ONES, ALL_ONES) == ALL_ONES - U1\n"
        "assert type(mulhu64(U1, U1)) is np.uint64\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=mutants.ROOT)
