"""pytest-etrace: traces and references in tests (docs/topics/pytest.md).

Every run of pytest imports this: nothing heavy before a test asks for it.
"""

import sys
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from etrace.testing.matching import RUNNING, Current, Update, assert_trace_matches

if TYPE_CHECKING:
    from etrace.trace.trace import Trace

_INI, _OPTION = "etrace_references", "etrace_update"
_RUNNING: pytest.StashKey[Current] = pytest.StashKey()
_WRITERS: pytest.StashKey[dict[Path, str]] = pytest.StashKey()
#: Of a report: what the test wrote. pytest-xdist carries it from its workers.
_ATTRIBUTE = "etrace_updates"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the setting."""
    group = parser.getgroup("etrace", "traces and their references")
    group.addoption(
        "--etrace-update",
        action="store_true",
        dest=_OPTION,
        help="Write references that are missing or differ, and show what changed.",
    )
    parser.addini(
        _INI,
        "Directory of references, from where this file is [default: references, beside the test]",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """`assert_trace_matches` knows the test that runs, from its first fixture to its last."""
    test = Current(
        item.nodeid,
        _directory(item.config, item.path),
        item.config.rootpath,
        item.config.getoption(_OPTION),
        writers=item.config.stash[_WRITERS],
    )
    item.stash[_RUNNING] = test
    RUNNING.append(test)
    try:
        return (yield)
    finally:
        RUNNING.remove(test)


def _directory(config: pytest.Config, path: Path) -> Path:
    chosen: str = config.getini(_INI)
    if not chosen:
        return path.parent / "references"
    base: Path = config.inipath.parent if config.inipath else config.rootpath
    return base / chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A report carries what its phase wrote."""
    report = yield
    test = item.stash.get(_RUNNING, None)
    if test is not None and test.updates:
        setattr(report, _ATTRIBUTE, [asdict(each) for each in test.updates])
        test.updates.clear()
    return report


class _Collector:
    """What all tests wrote, whichever process they ran in."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.updates.extend(Update(**each) for each in getattr(report, _ATTRIBUTE, ()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.updates:
            return
        terminalreporter.section("etrace references")
        for each in sorted(self.updates, key=lambda update: (update.path, update.test)):
            kind = "changed" if each.text else "new"
            terminalreporter.line(f"{kind} {each.path} ({each.test})", bold=True)
            for line in each.text.splitlines():
                terminalreporter.line(f"    {line}")
        changed = sum(bool(each.text) for each in self.updates)
        new = len(self.updates) - changed
        terminalreporter.line(f"references written: {new} new, {changed} changed")


def pytest_configure(config: pytest.Config) -> None:
    """Collect what is written."""
    config.stash[_WRITERS] = {}
    config.pluginmanager.register(_Collector(), "etrace-references")


@pytest.fixture
def etrace_record() -> "Callable[..., Trace]":
    """`etrace.record`, with the same arguments. What the guest prints is captured as output."""

    def record(*args: Any, **options: Any) -> "Trace":
        import etrace

        return etrace.record(*args, **{"console": _print, **options})

    return record


def _print(data: bytes) -> None:
    sys.stdout.write(data.decode(errors="backslashreplace"))


class References:
    """The references of a test: `references("boot")` opens one as a `Trace`."""

    def __init__(self, test: Current) -> None:
        self._test = test
        #: Where they are.
        self.directory = test.directory

    def path(self, name: str | None = None) -> Path:
        """The file of `name`, whether it is there or not; None: that named after the test."""
        return self._test.path(name)

    def __call__(self, name: str | None = None) -> "Trace":
        """Open it. Raises `EtraceError`."""
        import etrace

        return etrace.open(self.path(name))


@pytest.fixture
def etrace_reference(request: pytest.FixtureRequest) -> References:
    """The references of this test."""
    return References(request.node.stash[_RUNNING])


@pytest.fixture(name="assert_trace_matches")
def _assert_trace_matches() -> Callable[..., None]:
    """`etrace.testing.assert_trace_matches`."""
    return assert_trace_matches
