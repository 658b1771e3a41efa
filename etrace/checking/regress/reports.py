"""The results of `etrace regress` as files: JUnit's XML, JSON, a page of HTML.

All three come whole from memory and are written at once. `-` is standard output.
"""

import json
import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from etrace import __version__
from etrace.checking.regress.outcome import Result, Status, Summary
from etrace.checking.regress.page import page
from etrace.checking.regress.text import visible
from etrace.files import open_output

#: Of what `write_json` writes.
VERSION = 1


def write_junit(summary: Summary, path: str) -> None:
    """Write `summary` to `path` as JUnit's XML; raises `InputError` if it cannot be written.

    A suite a manifest. What `--update` wrote counts as passed; what changed is in `system-out`.
    """
    root = ElementTree.Element("testsuites", _counts("etrace regress", summary.results))
    root.set("time", f"{summary.seconds:.3f}")
    suites: dict[tuple[str, str], list[Result]] = {}
    for each in summary.results:
        suites.setdefault((each.suite, each.file), []).append(each)
    for (name, file), results in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(name, results))
        suite.set("time", f"{math.fsum(each.seconds for each in results):.3f}")
        if file:
            suite.set("file", visible(file))
        for each in results:
            suite.append(_case(each))
    ElementTree.indent(root, "")
    _write(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _counts(name: str, results: "list[Result] | tuple[Result, ...]") -> dict[str, str]:
    counted = [each.status for each in results]
    return {
        "name": visible(name),
        "tests": str(len(counted)),
        "failures": str(counted.count(Status.FAILED)),
        "errors": str(counted.count(Status.ERROR)),
        "skipped": "0",
    }


def _case(result: Result) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=visible(result.name))
    case.set("classname", visible(result.suite))
    case.set("time", f"{result.seconds:.3f}")
    if result.file:
        case.set("file", visible(result.file))
    if result.line:
        case.set("line", str(result.line))
    output = result.output
    if result.ok:
        # These formats have no words for a reference that was written.
        output = "\n".join(each for each in (result.text or result.reason, output) if each)
    else:
        error = result.status == Status.ERROR
        tag = "error" if error else "failure"
        told = ElementTree.SubElement(case, tag, message=visible(result.reason))
        told.set("type", "error" if error else _kind(result))
        # GitLab shows the text, and nothing of a failure that has none.
        told.text = visible(result.text or result.reason or str(result.status))
    if output:
        ElementTree.SubElement(case, "system-out").text = visible(output)
    return case


def _kind(result: Result) -> str:
    """What differs, as `etrace diff` calls it."""
    what = None if result.diff is None else result.diff.get("what")
    return visible(str(what)) if what else "failed"


def write_json(summary: Summary, path: str) -> None:
    """Write `summary` to `path` as one JSON object; raises `InputError` if it cannot be written."""
    statuses = [each.status for each in summary.results]
    values = {
        "version": VERSION,
        "etrace": __version__,
        "summary": {
            "cases": len(statuses),
            "ok": sum(each.ok for each in summary.results),
            **{str(status): statuses.count(status) for status in Status},
            "seconds": round(summary.seconds, 3),
        },
        "results": [_values(each) for each in summary.results],
    }
    _write(path, json.dumps(_plain(values), indent=1, allow_nan=False).encode() + b"\n")


def _values(result: Result) -> dict[str, Any]:
    return {
        "suite": result.suite,
        "name": result.name,
        "status": str(result.status),
        "ok": result.ok,
        "reason": result.reason,
        "text": result.text,
        "seconds": round(result.seconds, 3),
        "tags": list(result.tags),
        "file": result.file,
        "line": result.line,
        "values": dict(sorted(result.values.items())),
        "diff": result.diff,
        "output": result.output,
    }


def _plain(value: Any) -> Any:
    """`value` of what JSON has: NumPy's scalars are Python's, and no number is NaN or infinite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def write_html(summary: Summary, path: str) -> None:
    """Write `summary` to `path` as a page of its own; raises `InputError` if it cannot be written.

    The page needs no network, and its script is only for the filters.
    """
    _write(path, page(summary).encode())


def _write(path: str, data: bytes) -> None:
    # that nobody reads it any more changes no outcome
    with open_output(path, listing=True) as output:
        output.write(data)
