"""The results of `etrace regress` as JUnit's XML, JSON and HTML."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import junitparser
import numpy as np
import pytest

from etrace.checking.diff.outcome import Diff, Divergence, Place, Verdict, What
from etrace.checking.regress.outcome import Result, Status, Summary
from etrace.checking.regress.reports import write_html, write_json, write_junit
from etrace.errors import InputError

#: What a guest may print: markup, a terminal's sequences, control characters, bidi, a lone half.
HOSTILE = (
    "</script><script>alert(1)</script> ]]> \x1b[31mred\x1b[0m \x00\x0b\ufffe \u202egnp\u2066"
    " \udc80 & \"quoted' <b>"
)

LINES = tuple(f"{4700 + n:>8} {0x80000500 + 4 * n:016x} addi a0,a0,1  <task>" for n in range(4))
DIFF = Diff(
    ("refs/boot.etrace", "boot"),
    Verdict.DIFFERENT,
    4711,
    12,
    (
        Divergence(
            4711,
            What.INSTRUCTION,
            "the next instruction is another",
            Place(4711, (0x80000514,), 312, 1920, lines=LINES[2:]),
            Place(4711, (0x80000522,), 312, 1921, lines=LINES[2:]),
            before=LINES[:2],
        ),
    ),
    mixes=({"1": 10, "3": 2}, {"1": 11, "3": 2}),
)


def results() -> tuple[Result, ...]:
    """A case of every status; one name and output is hostile."""
    values = {
        "packets": 1200,
        "instructions": 123456,
        "bits": 0.3125,
        "exit_code": 0,
        "end": "exit",
    }
    at = {"file": "ci/suite.toml", "suite": "suite"}
    return (
        Result(name="boot", status=Status.PASSED, seconds=1.25, values=values, line=3,
               output="hello\r\nworld\n", tags=("smoke", "rv64"), **at),
        Result(name="timer", status=Status.FAILED, reason="instruction 4,711: instruction",
               text=DIFF.text(), diff=DIFF.values(), seconds=0.5, values=values, line=9,
               output="tick\n", tags=("irq",), **at),
        Result(name="hang", status=Status.ERROR, reason="no end after 10 s (timeout)",
               seconds=10.0, line=14, **at),
        Result(name="fresh", status=Status.NEW, text="refs/fresh.etrace written\n", line=20, **at),
        Result(name="other", status=Status.CHANGED, text="it was another flow\n", line=25, **at,
               values={"bits": float("nan"), "instructions": np.int64(7)}, diff=DIFF.values()),
        Result(name=HOSTILE, status=Status.FAILED, reason=HOSTILE, text=HOSTILE, output=HOSTILE,
               tags=(HOSTILE,), suite=HOSTILE, file=HOSTILE, values={"end": HOSTILE}),
    )  # fmt: skip


SUMMARY = Summary(results(), 12.3456)


def test_junit_is_what_junitparser_reads(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(SUMMARY, str(path))
    root = junitparser.JUnitXml.fromfile(str(path))
    assert (root.tests, root.failures, root.errors, root.time) == (6, 2, 1, 12.346)
    suites = list(root)
    assert [(each.name, each.tests, each.failures, each.errors) for each in suites] == [
        ("suite", 5, 1, 1),
        (suites[1].name, 1, 1, 0),
    ]
    assert suites[0].time == 11.75
    boot, timer, hang, fresh, other = suites[0]
    assert (boot.name, boot.classname, boot.time, boot.result) == ("boot", "suite", 1.25, [])
    assert boot.system_out == "hello\nworld\n"
    (failure,) = timer.result
    assert isinstance(failure, junitparser.Failure)
    assert (failure.message, failure.type) == ("instruction 4,711: instruction", "instruction")
    assert failure.text == DIFF.text()
    (error,) = hang.result
    assert isinstance(error, junitparser.Error)
    assert error.text == error.message == "no end after 10 s (timeout)"
    assert fresh.is_passed and fresh.system_out == "refs/fresh.etrace written\n"
    assert other.is_passed and "another flow" in other.system_out


def test_junit_has_the_attributes_that_gitlab_and_jenkins_read(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(SUMMARY, str(path))
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "skipped", "time"} <= set(suite.attrib)
        for case in suite:
            assert {"name", "classname", "time", "file"} <= set(case.attrib)
            assert [each.tag for each in case] == sorted(each.tag for each in case)
            assert {each.tag for each in case} <= {"failure", "error", "system-out"}
            assert all(each.text for each in case)


def test_junit_shows_what_xml_forbids(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(SUMMARY, str(path))
    (case,) = ElementTree.parse(path).getroot()[1]
    for text in (case.get("name"), case[0].get("message"), case[0].text, case[1].text):
        assert text is not None
        assert r"\x1b[31mred\x1b[0m \x00\x0b\ufffe \u202egnp\u2066 \udc80 & " in text
        assert "</script>" in text


def test_manifests_of_one_name_are_two_suites(tmp_path: Path) -> None:
    cases = [Result("suite", "a", Status.PASSED, file=f"{name}/suite.toml") for name in "xyx"]
    path = tmp_path / "junit.xml"
    write_junit(Summary(tuple(cases), 1.0), str(path))
    root = ElementTree.parse(path).getroot()
    assert [(each.get("file"), len(each)) for each in root] == [
        ("x/suite.toml", 2),
        ("y/suite.toml", 1),
    ]


def test_json_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(SUMMARY, str(path))
    text = path.read_text(encoding="ascii")

    def no_constant(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    values = json.loads(text, parse_constant=no_constant)
    assert list(values) == ["version", "etrace", "summary", "results"]
    assert values["summary"] == {
        "cases": 6, "ok": 3, "passed": 1, "failed": 2, "error": 1, "new": 1, "changed": 1,
        "seconds": 12.346,
    }  # fmt: skip
    boot, timer, _, _, other, hostile = values["results"]
    assert list(boot["values"]) == sorted(boot["values"])
    assert boot["tags"] == ["smoke", "rv64"] and boot["diff"] is None
    assert timer["diff"] == json.loads(json.dumps(DIFF.values()))
    assert timer["diff"]["instruction"] == 4711
    assert other["values"] == {"bits": None, "instructions": 7}
    assert hostile["output"] == HOSTILE
    shuffled = Summary(
        tuple(
            Result(**{**vars(each), "values": dict(reversed(each.values.items()))})
            for each in SUMMARY.results
        ),
        SUMMARY.seconds,
    )
    write_json(shuffled, str(path))
    assert path.read_text(encoding="ascii") == text


class Page(HTMLParser):
    """The elements of a page, with their attributes; its text without that of scripts and styles.

    Raises `AssertionError` at the end of one that is not open.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page(summary: Summary, tmp_path: Path) -> str:
    path = tmp_path / "results.html"
    write_html(summary, str(path))
    return path.read_text(encoding="utf-8")


def test_html_obeys_nothing_that_a_guest_prints(tmp_path: Path) -> None:
    text = page(SUMMARY, tmp_path)
    parsed = Page(text)
    assert parsed.open == []
    assert (parsed.count("script"), parsed.count("style"), parsed.count("b")) == (1, 1, 5)
    assert all(each.isprintable() or each == "\n" for each in text)
    assert r"\x1b[31mred\x1b[0m \x00\x0b\ufffe \u202egnp\u2066 \udc80 & " in parsed.text
    (policy,) = [at["content"] for tag, at in parsed.tags if tag == "meta" and "http-equiv" in at]
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    attributes = {name for _, attributes in parsed.tags for name in attributes}
    assert not attributes & {"src", "href", "style", "action"}
    assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in text and "@import" not in text and "http:" not in text


def test_html_is_readable_without_its_script(tmp_path: Path) -> None:
    text = re.sub(r"<script>.*?</script>", "", page(SUMMARY, tmp_path), flags=re.DOTALL)
    parsed = Page(text)
    assert parsed.count("tbody") == 6
    assert not [tag for tag, attributes in parsed.tags if "hidden" in attributes]
    for line in DIFF.text().splitlines():
        assert line in parsed.text
    assert "1 error, 2 failed" in parsed.text
    order = [attributes["class"] for tag, attributes in parsed.tags if tag == "tbody"]
    assert order == ["error", "failed", "failed", "changed", "new", "passed"]


def test_html_of_a_thousand_long_cases_is_small_and_soon_written(tmp_path: Path) -> None:
    long = "".join(f"line {n}\n" for n in range(100_000))
    cases = [
        Result("suite", f"case {n}", status, text=long, output=long, tags=(f"t{n % 7}",))
        for n in range(500)
        for status in (Status.PASSED, Status.FAILED)
    ]
    text = page(Summary(tuple(cases), 100.0), tmp_path)
    assert len(text) < 30e6
    assert "line 99999" in text and "--json has them" in text


def test_nothing_run(tmp_path: Path) -> None:
    none = Summary((), 0.0)
    assert "No case was run" in Page(page(none, tmp_path)).text
    write_junit(none, str(tmp_path / "j.xml"))
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "j.xml")).tests == 0
    write_json(none, str(tmp_path / "j.json"))
    assert json.loads((tmp_path / "j.json").read_text())["results"] == []


@pytest.mark.parametrize("write", [write_junit, write_json])
def test_standard_output(
    write: Any, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    write(SUMMARY, "-")
    import sys

    sys.stdout.flush()
    path = tmp_path / "file"
    write(SUMMARY, str(path))
    assert capfdbinary.readouterr().out == path.read_bytes()


@pytest.mark.parametrize("write", [write_junit, write_json, write_html])
def test_a_file_that_cannot_be_written_is_told(write: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere/file: "):
        write(SUMMARY, str(tmp_path / "nowhere" / "file"))
