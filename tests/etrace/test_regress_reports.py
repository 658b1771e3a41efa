"""The reports of `etrace regress`, read by other people's readers."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from etrace.checking.regress.outcome import Result, Status, Summary
from etrace.checking.regress.reports import write_html, write_json, write_junit

NASTY = "</script><b>&\x1b[31m\x00\u202e\ud800\uffff</pre>]]>"
RESULTS = (
    Result("boot", "fine[base]", Status.PASSED, seconds=0.25, output="hello\n", tags=("quick",)),
    Result(
        "boot",
        f"differs {NASTY}",
        Status.FAILED,
        f"instruction 5: {NASTY}",
        f"A: x\nB: y\n  5 | 6 {NASTY}",
        seconds=1.5,
        output=NASTY,
        values={"instructions": 10, "packets": 3, "bits": 1.25, "exit_code": 0, "end": "exit"},
        diff={"instruction": 5},
        file="boot.toml",
        line=7,
    ),
    Result("boot", "hangs", Status.ERROR, "timed out after 1 s; killed", file="boot.toml"),
    Result("other", "new", Status.NEW, "no reference x", file="other.toml"),
    Result("other", "changed", Status.CHANGED, "instruction 1: end", "A\nB", file="other.toml"),
)
SUMMARY = Summary(tuple(replace(each, file=each.file or "boot.toml") for each in RESULTS), 2.5)


def test_junit_as_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(SUMMARY, str(path))
    report = JUnitXml.fromfile(str(path))
    assert (report.tests, report.failures, report.errors, report.skipped) == (5, 1, 1, 0)
    suites = [suite for suite in report if isinstance(suite, TestSuite)]
    assert [suite.name for suite in suites] == ["boot", "other"]
    assert suites[0].time == pytest.approx(1.75)
    cases = [case for suite in suites for case in suite if isinstance(case, TestCase)]
    assert [case.classname for case in cases] == ["boot"] * 3 + ["other"] * 2
    assert cases[0].name == "fine[base]" and cases[0].is_passed and cases[0].time == 0.25
    assert cases[0].system_out == "hello\n"
    (failure,) = cases[1].result
    assert isinstance(failure, Failure) and failure.type == "failed"
    assert failure.message is not None and failure.message.startswith("instruction 5: </script>")
    assert failure.text is not None and "  5 | 6 " in failure.text and "\\x1b" in failure.text
    (error,) = cases[2].result
    assert isinstance(error, Error) and error.message == "timed out after 1 s; killed"
    assert cases[3].is_passed and cases[4].is_passed
    assert cases[4].system_out is not None and "instruction 1: end" in cases[4].system_out


def test_junit_has_what_its_schema_has(tmp_path: Path) -> None:
    """Elements and attributes that Jenkins' and GitLab's documentation name, in that order."""
    path = tmp_path / "junit.xml"
    write_junit(SUMMARY, str(path))
    root = Xml.parse(path).getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "time"} <= set(suite.attrib)
        for case in suite:
            assert case.tag == "testcase"
            assert set(case.attrib) == {"name", "classname", "time", "file", "line"}
            assert [each.tag for each in case] in (
                [], ["system-out"], ["failure"], ["error"], ["failure", "system-out"],
            )  # fmt: skip


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(SUMMARY, str(path))
    told = json.loads(path.read_text())
    assert told["counts"] == {"passed": 1, "failed": 1, "error": 1, "new": 1, "changed": 1}
    assert not told["ok"]
    assert [each["ok"] for each in told["results"]] == [True, False, False, True, True]
    assert told["results"][1]["name"] == RESULTS[1].name
    assert told["results"][1]["diff"] == {"instruction": 5}
    write_json(SUMMARY, str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_one_page_of_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_html(SUMMARY, str(path))
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.tags.count("details") == len(RESULTS) and "b" in page.tags
    assert page.tags.count("script") == 1 and not page.loads and "http" not in text
    assert "2 of 5 not passed" in page.text
    assert "\x1b" not in text and "\u202e" not in text and "<b>&" not in text
    assert "</script><b>&\\x1b[31m\\x00\\u202e" in page.text
    for result in RESULTS:
        assert result.name.split()[0] in page.text


def test_nothing_but_success(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_html(Summary(RESULTS[:1], 1), str(path))
    assert "all 1 passed" in path.read_text()
    write_junit(Summary((), 0), str(tmp_path / "empty.xml"))
    assert JUnitXml.fromfile(str(tmp_path / "empty.xml")).tests == 0
