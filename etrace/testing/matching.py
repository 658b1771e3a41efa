"""A trace held against its reference, in a test."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from etrace.errors import EtraceError, os_error
from etrace.testing.names import file_name, of_test

# This is imported by every run of pytest: what is heavy waits until a trace is there.
if TYPE_CHECKING:
    from etrace.checking.diff.outcome import Diff
    from etrace.trace.trace import Trace

_UPDATE = "pytest --etrace-update"
_GAPS = "the trace cannot be decoded to its end without gaps"


@dataclass(frozen=True)
class Update:
    """A reference that was written: `text` is what changed, "" if there was none before."""

    path: str
    test: str
    text: str


@dataclass
class Current:
    """The test that runs: where its references are, and which of them it wrote."""

    nodeid: str
    directory: Path
    #: What paths are shown from.
    root: Path
    #: `--etrace-update`
    update: bool = False
    updates: list[Update] = field(default_factory=list)
    #: Which test wrote which reference, of all tests of this process.
    writers: dict[Path, str] = field(default_factory=dict)

    def path(self, name: str | None = None) -> Path:
        """The file of the reference `name`; None is the one named after the test."""
        return self.directory / file_name(of_test(self.nodeid) if name is None else name)

    def shown(self, path: Path) -> str:
        """`path` as messages have it."""
        inside = path.is_relative_to(self.root)
        return os.fspath(path.relative_to(self.root) if inside else path)


#: The last one runs; there are more where a test runs pytest.
RUNNING: list[Current] = []


def assert_trace_matches(
    trace: "Trace", name: str | None = None, *, ignore: Iterable[str] = ()
) -> None:
    """Assert that `trace` is the same as the reference `name` of the test that runs.

    `name`: None is the test's own name; one that ends in `.flow` is a hash alone. `ignore`: what
    may differ, as of `etrace.diff`. With `--etrace-update` the reference is written if it differs.
    """
    __tracebackhide__ = True
    if not RUNNING:
        raise RuntimeError(
            "assert_trace_matches: no test runs with the plugin pytest-etrace; run it with pytest "
            "(-p pytest_etrace if plugins are not loaded by themselves)"
        )
    test = RUNNING[-1]
    path = test.path(name)
    problem = _updated(test, trace, path, ignore) if test.update else _held(trace, path, ignore)
    if problem:
        raise AssertionError(f"{test.shown(path)}: {problem}")


def _held(trace: "Trace", path: Path, ignore: Iterable[str]) -> str:
    """Why `trace` does not match; "" if it does."""
    if not path.exists():
        return f"there is no such reference; to make it from this run: {_UPDATE}"
    try:
        found = _compared(trace, path, ignore)
    except EtraceError as error:
        return f"the reference cannot be compared: {error}; to make it anew: {_UPDATE}"
    if found.same:
        return ""
    if _corrupt(found):
        return f"{_GAPS}\n\n{found.text()}"
    return f"the trace differs (A: reference, B: this run)\n\n{found.text()}\nto accept: {_UPDATE}"


def _updated(test: Current, trace: "Trace", path: Path, ignore: Iterable[str]) -> str:
    """Write the reference unless it is the same; why that cannot be, "" if it can."""
    text = ""
    if path.exists():
        try:
            found = _compared(trace, path, ignore)
        except EtraceError as error:
            text = f"the old one cannot be compared: {error}\n"
        else:
            if found.same:
                return ""
            text = found.text()
    writer = test.writers.get(path, test.nodeid)
    if writer != test.nodeid:
        return f"the trace differs from what {writer} wrote there; give it another name\n\n{text}"
    if not _written(trace, path):
        return f"{_GAPS}, and is no reference; see etrace verify"
    test.writers[path] = test.nodeid
    test.updates.append(Update(test.shown(path), test.nodeid, text))
    return ""


def _written(trace: "Trace", path: Path) -> bool:
    """Write `trace` as `path`; False if it would not match itself, as one with gaps does not."""
    from etrace.checking import reference

    new = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        reference.write(trace, new)
        if _corrupt(_compared(trace, new)):
            return False
        try:
            os.replace(new, path)
        except OSError as error:
            raise os_error(os.fspath(path), error) from None
        return True
    finally:
        new.unlink(missing_ok=True)


def _compared(trace: "Trace", path: Path, ignore: Iterable[str] = ()) -> "Diff":
    from etrace.checking import reference

    return reference.compare(trace, os.fspath(path), ignore)


def _corrupt(found: "Diff") -> bool:
    from etrace.checking.diff.outcome import Verdict

    return found.verdict == Verdict.CORRUPT
