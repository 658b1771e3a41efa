"""`etrace demo` shows what it says."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import etrace
from etrace.cli import demo, main


@pytest.mark.parametrize("xlen", (32, 64))
def test_the_demo_run_has_everything_in_it(xlen: int, tmp_path: Path) -> None:
    kept = tmp_path / "demo.etrace"
    report = demo.demo(xlen, kept)
    assert report.good
    assert report.console[-1].endswith("as it should be")
    assert 3_000_000 < (report.summary.instructions or 0) < 6_000_000
    assert report.verification.instructions == report.summary.instructions
    assert report.verification.traps == sum(report.traps.values())
    exceptions = {cause for interrupt, cause in report.traps if not interrupt}
    assert exceptions == {1, 2, 3, 5, 6, 7, 11}
    assert {cause for interrupt, cause in report.traps if interrupt} == {3, 7}
    assert report.traps[True, 7] > 200
    assert report.summary.packets["3.1"] == sum(report.traps.values())

    # The file that was kept is a trace like any other.
    assert etrace.open(kept).decode().instructions == report.summary.instructions


def test_it_is_told_on_the_terminal() -> None:
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0, result.output
    for text in ("machine timer interrupt", "bits per instruction", "what the emulator retired"):
        assert text in result.output


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-o", str(tmp_path / "no" / "where")])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


def test_a_run_that_differs_is_not_called_good() -> None:
    """The verdict depends on the check: a report with one gap is no success."""
    report = demo.demo(64)
    assert report.good
    assert not replace(report, gaps=1).good
