"""What every test may use: the golden traces, our firmware, Hypothesis profiles."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports them: their assertions are to be explained as those of tests are.
pytest.register_assert_rewrite("tests.spec.notation", "tests.spec.notation_context")

TESTS = Path(__file__).resolve().parent

# No deadlines: the first call of a kernel compiles it. The same examples on every run, so that a
# red build is red again; `make soak` looks for new ones.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """The directory of the golden traces; see its README.md."""
    return TESTS / "golden"


@pytest.fixture(scope="session")
def firmware() -> Path:
    """The directory of our own test programs."""
    return TESTS / "firmware"
