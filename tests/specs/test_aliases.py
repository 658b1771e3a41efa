"""Short names of modules do what the modules' own names do."""

import importlib
import importlib.util
import inspect
import subprocess
import sys

import pytest

from specs.aliases import ALIASES

FRESH = "import importlib.util as u, specs; s = u.find_spec('specs.events'); " + (
    "print(s.origin); print(len(s.loader.get_source(s.name)) > 100)"
)


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_is_the_module(name: str) -> None:
    module = importlib.import_module(name)
    assert module is importlib.import_module(ALIASES[name])
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin == module.__file__
    assert inspect.getsource(module).startswith('"""')


def test_before_it_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    origin, has_source = done.stdout.splitlines()
    assert origin.endswith("events.py") and has_source == "True"


@pytest.mark.parametrize("imported", [False, True])
def test_it_runs(imported: bool) -> None:
    """Also when it was imported before, when its specification is that of the module."""
    before = "import specs.events" if imported else "pass"
    code = f"{before}; import runpy; print(runpy.run_module('specs.events')['Kind'].__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "Kind", done.stderr


def test_it_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "specs.events"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_of_before() -> None:
    from etrace.trace import Trace
    from etrace.trace.trace import Trace as Home

    assert Trace is Home
    with pytest.raises(ImportError):
        exec("from etrace.trace import Nothing")
