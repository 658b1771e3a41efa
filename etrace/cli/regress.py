"""`etrace regress`: many cases, each held against its reference."""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from itertools import combinations
from typing import TYPE_CHECKING

import click

from etrace.cli import out, say
from etrace.cli.summary import counted
from etrace.errors import EtraceError, Exit, InputError, one_line

if TYPE_CHECKING:
    from etrace.checking.regress.manifest import Case
    from etrace.checking.regress.outcome import Result, Summary

#: Lines of a difference that are shown; all of them are in the reports.
_SHOWN = 40


@click.command("regress")
@click.argument("suite", nargs=-1, required=True, metavar="SUITE.toml...")
@click.option(
    "--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Cases at once [all cores]."
)
@click.option(
    "-k", "words", metavar="EXPR", help="Only cases with these words: 'boot and not slow'."
)
@click.option("--tag", multiple=True, help="Only cases with this tag. May be repeated.")
@click.option("--list", "only_list", is_flag=True, help="Name the cases, run none.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS",
    help="For a case that has none of its own; 0: none [600].",
)  # fmt: skip
@click.option("--update", is_flag=True, help="Write references that are new or changed.")
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Run on the Dask cluster at tcp://HOST:PORT, or on one of this machine: local.",
)  # fmt: skip
@click.option("--junit", metavar="FILE", help="Write a JUnit report.")
@click.option("--json", "json_", metavar="FILE", help="Write all results as JSON.")
@click.option("--html", metavar="FILE", help="Write a page with the differences folded in.")
def command(
    suite: tuple[str, ...],
    jobs: int | None,
    words: str | None,
    tag: tuple[str, ...],
    only_list: bool,
    fail_fast: bool,
    timeout: float | None,
    update: bool,
    scheduler: str | None,
    junit: str | None,
    json_: str | None,
    html: str | None,
) -> int:
    """Run the cases of SUITE.toml: record or encode, decode, compare with their references.

    The exit code is 0 if all passed, 1 if one did not, 2 if a manifest cannot be used.
    """
    from etrace.checking.regress.choosing import chosen
    from etrace.checking.regress.manifest import ManifestError, load
    from etrace.checking.regress.session import TIMEOUT, How, Session

    try:
        everything = load(suite)
        cases = chosen(everything, words, tag)
    except ManifestError as error:
        for problem in error.problems:
            say(problem)
        return Exit.USAGE
    if not cases:
        raise InputError("no case is meant by -k and --tag; --list without them names all")
    if only_list:
        _list(cases)
        return Exit.OK
    reports = _Reports(junit, json_, html, _inputs(suite, everything))
    how = How(
        jobs=jobs or len(os.sched_getaffinity(0)),
        update=update,
        fail_fast=fail_fast,
        timeout=TIMEOUT if timeout is None else timeout,
        scheduler=scheduler,
    )
    session = Session(cases, how)
    shown = _Shown(len(cases), reports.shared)
    try:
        session.run(shown.tell)
    finally:
        shown.clear()
        summary = session.summary
        shown.say(_sum(summary, len(cases)))
        reports.write(summary)
    return Exit.OK if all(each.ok for each in summary.results) else Exit.NO


def _list(cases: "list[Case]") -> None:
    lines = [f"{case.name}{'  ' + ' '.join(case.tags) if case.tags else ''}" for case in cases]
    out("\n".join(lines) + "\n")


def _inputs(suite: tuple[str, ...], cases: "list[Case]") -> dict[str, None]:
    """All files that are read, in order."""
    paths = [*suite]
    for case in cases:
        paths += case.inputs
        paths += [] if case.reference_file is None else [case.reference_file]
    return dict.fromkeys(paths)


class _Reports:
    """Files to be written at the end; one of them may be standard output."""

    def __init__(
        self, junit: str | None, json_: str | None, html: str | None, inputs: Iterable[str]
    ) -> None:
        from etrace import files

        self._paths = {"junit": junit, "json": json_, "html": html}
        given = [path for path in self._paths.values() if path is not None]
        #: Standard output is one of them.
        self.shared = files.STDIO in given
        if any(files.same_file(*both) for both in combinations(given, 2)):
            raise InputError("--junit, --json, --html: two reports in one file; give each its own")
        for path in given:
            files.refuse_overwriting(path, inputs)
            files.refuse_unwritable(path)

    def write(self, summary: "Summary") -> None:
        """Write what is wanted; one that cannot be written does not keep the others from it."""
        if not any(self._paths.values()):
            return
        reports = import_module("etrace.checking.regress.reports")
        problems: list[EtraceError] = []
        for name, path in self._paths.items():
            if path is not None:
                try:
                    getattr(reports, f"write_{name}")(summary, path)
                except EtraceError as error:
                    problems.append(error)
        for each in problems[1:]:
            say(one_line(each))
        if problems:
            raise problems[0]


class _Shown:
    """A line a case, and how far it is on a terminal."""

    def __init__(self, total: int, to_stderr: bool) -> None:
        self._total = total
        self._to_stderr = to_stderr
        self._done = self._bad = 0
        self._terminal = sys.stderr.isatty()

    def say(self, line: str) -> None:
        """A line, where it does not get into a report."""
        self.clear()
        if self._to_stderr:
            say(line)
        else:
            out(line + "\n")

    def tell(self, result: "Result") -> None:
        """One result."""
        self._done += 1
        self._bad += not result.ok
        reason = f": {result.reason}" if result.reason else ""
        self.say(f"{result.status:<7} {result.name} ({result.seconds:.2f} s){reason}")
        if result.text and result.status != "passed":
            lines = result.text.rstrip("\n").splitlines()
            for line in lines[:_SHOWN]:
                self.say(f"        {line}")
            if len(lines) > _SHOWN:
                self.say(f"        ... {len(lines) - _SHOWN} lines more, in --json and --html")
        if self._terminal:
            bad = f", {self._bad} not passed" if self._bad else ""
            sys.stderr.write(f"\r{self._done} of {self._total}{bad}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line that tells how far it is."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _sum(summary: "Summary", total: int) -> str:
    counts: dict[str, int] = {}
    for each in summary.results:
        counts[each.status] = counts.get(each.status, 0) + 1
    parts = [f"{number:,} {status}" for status, number in sorted(counts.items())]
    if len(summary.results) < total:
        parts.append(f"{total - len(summary.results):,} not run")
    return f"{counted(total, 'case')}: {', '.join(parts)} in {summary.seconds:.1f} s"
