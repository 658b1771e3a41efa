"""Results as files: JUnit for CI systems, JSON for programs, one page of HTML for people."""

import json
import re
from collections import Counter
from dataclasses import asdict
from html import escape
from xml.etree import ElementTree as Xml

from etrace import __version__, files
from etrace.checking.regress.outcome import Result, Status, Summary

#: What XML 1.0 (section 2.2) has no place for, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Signs that change how others are shown, or mean something to a terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_VERSION = 1


def write_json(summary: Summary, path: str) -> None:
    """All results as one JSON object, in the order of the manifests."""
    values = {
        "version": _VERSION,
        "made_by": f"etrace {__version__}",
        "seconds": round(summary.seconds, 3),
        "counts": _counts(summary),
        "ok": all(result.ok for result in summary.results),
        "results": [{**asdict(result), "ok": result.ok} for result in summary.results],
    }
    _write(json.dumps(values, sort_keys=True, indent=1) + "\n", path)


def _counts(summary: Summary) -> dict[str, int]:
    counts = Counter(result.status for result in summary.results)
    return {status.value: counts[status] for status in Status}


def _write(text: str, path: str) -> None:
    with files.open_output(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


# JUnit


def write_junit(summary: Summary, path: str) -> None:
    """A `testsuite` for each manifest, as GitLab and Jenkins read them.

    A reference that is new or changed is a success, whose output says what changed.
    """
    root = Xml.Element("testsuites", {"name": "etrace regress", **_totals(summary.results)})
    suites: dict[str, list[Result]] = {}
    for result in summary.results:
        suites.setdefault(result.file or result.suite, []).append(result)
    for results in suites.values():
        suite = Xml.SubElement(
            root, "testsuite", {"name": _xml(results[0].suite), **_totals(tuple(results))}
        )
        for result in results:
            _junit_case(suite, result)
    Xml.indent(root)
    text = Xml.tostring(root, encoding="unicode", xml_declaration=False)
    _write(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', path)


def _totals(results: tuple[Result, ...]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.status == Status.FAILED for result in results)),
        "errors": str(sum(result.status == Status.ERROR for result in results)),
        "skipped": "0",
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _junit_case(suite: Xml.Element, result: Result) -> None:
    case = Xml.SubElement(
        suite,
        "testcase",
        name=_xml(result.name),
        classname=_xml(result.suite),
        time=f"{result.seconds:.3f}",
        file=_xml(result.file),
        line=str(result.line),
    )
    if not result.ok:
        kind = "failure" if result.status == Status.FAILED else "error"
        about = Xml.SubElement(case, kind, message=_xml(result.reason), type=result.status.value)
        about.text = _xml(result.text or result.reason)
    output = result.output
    if result.ok and result.text:
        output = f"{result.status}: {result.reason}\n{result.text}\n{output}"
    if output:
        Xml.SubElement(case, "system-out").text = _xml(output)


def _xml(text: str) -> str:
    """`text` with what XML cannot have written as \\x1b."""
    return _NO_XML.sub(_written, text)


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


# HTML


def write_html(summary: Summary, path: str) -> None:
    """One page with all results, that needs nothing else: totals, a table that can be filtered,
    each difference folded in."""
    counts = {name: count for name, count in _counts(summary).items() if count}
    bad = sum(not result.ok for result in summary.results)
    total = len(summary.results)
    verdict = f"{bad:,} of {total:,} not passed" if bad else f"all {total:,} passed"
    chips = "".join(
        f'<button type="button" class="chip {name}" data-status="{name}" aria-pressed="false">'
        f"{name} <b>{count:,}</b></button>"
        for name, count in counts.items()
    )
    rows = "\n".join(_row(result) for result in summary.results)
    _write(
        _PAGE.format(
            title=f"etrace regress: {verdict}",
            verdict=verdict,
            state="bad" if bad else "good",
            chips=chips,
            rows=rows,
            seconds=f"{summary.seconds:,.1f}",
            version=escape(__version__),
            style=_STYLE,
            script=_SCRIPT,
        ),
        path,
    )


def _row(result: Result) -> str:
    values = result.values
    numbers = [
        f"{values[name]:,} {name}"
        for name in ("instructions", "packets")
        if values.get(name) is not None
    ]
    if values.get("bits") is not None:
        numbers.append(f"{values['bits']:g} bits an instruction")
    if values.get("end"):
        code = f" {values['exit_code']}" if values.get("exit_code") is not None else ""
        numbers.append(f"end: {values['end']}{code}")
    tags = "".join(f'<span class="tag">{_html(tag)}</span>' for tag in result.tags)
    words = _html(" ".join((result.name, result.suite, *result.tags, result.reason)).lower())
    head = (
        f'<span class="status {result.status}">{result.status}</span>'
        f'<span class="name">{_html(result.name)}</span>{tags}'
        f'<span class="time">{result.seconds:.2f} s</span>'
        f'<span class="reason">{_html(result.reason)}</span>'
    )
    parts = [f'<p class="what">{_html(", ".join(numbers))}</p>'] if numbers else []
    if result.file:
        parts.append(f'<p class="what">{_html(result.file)}, line {result.line}</p>')
    if result.text:
        parts.append(f'<pre tabindex="0">{_html(result.text)}</pre>')
    if result.output:
        parts.append(f'<p class="what">Output</p><pre tabindex="0">{_html(result.output)}</pre>')
    opened = " open" if not result.ok and result.text else ""
    return (
        f'<details class="case" data-status="{result.status}" data-words="{words}"{opened}>'
        f"<summary>{head}</summary><div>{''.join(parts)}</div></details>"
    )


def _html(text: str) -> str:
    """`text` as it is, and nothing but text."""
    return escape(_CONTROLS.sub(_written, text))


_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --paper: #fff; --ink: #1c232b; --soft: #5a6673;
  --line: #d9dfe5; --good: #17733f; --bad: #b3261e; --new: #1d5fa8; }
@media (prefers-color-scheme: dark) { :root { --back: #12161b; --paper: #1b2128; --ink: #e4e9ee;
  --soft: #98a4b1; --line: #323c47; --good: #5cc98b; --bad: #ff8a80; --new: #7ab8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
main, header { max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; margin: .3rem 0; }
h1.good { color: var(--good); } h1.bad { color: var(--bad); }
.what { color: var(--soft); margin: .3rem 0; font-size: .9rem; overflow-wrap: anywhere; }
.bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .8rem 0 0; }
input { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: inherit; flex: 1 1 14rem; min-width: 0; }
.chip { font: inherit; font-size: .9rem; padding: .3rem .7rem; border: 1px solid var(--line);
  border-radius: 99px; background: var(--paper); color: inherit; cursor: pointer; }
.chip[aria-pressed=true] { outline: 2px solid currentColor; }
.passed { color: var(--good); } .failed, .error { color: var(--bad); }
.new, .changed { color: var(--new); }
.case { background: var(--paper); border: 1px solid var(--line); border-radius: 6px;
  margin: .35rem 0; content-visibility: auto; contain-intrinsic-size: auto 2.4rem; }
.case[hidden] { display: none; }
summary { cursor: pointer; padding: .45rem .8rem; display: flex; flex-wrap: wrap; gap: .2rem .7rem;
  align-items: baseline; }
summary::before { content: "\\25B8"; color: var(--soft); }
details[open] > summary::before { content: "\\25BE"; }
summary::-webkit-details-marker { display: none; }
.status { font-weight: 600; min-width: 4.2rem; }
.name { font-weight: 600; overflow-wrap: anywhere; }
.tag { font-size: .8rem; color: var(--soft); border: 1px solid var(--line); border-radius: 4px;
  padding: 0 .35rem; }
.time { color: var(--soft); font-variant-numeric: tabular-nums; margin-left: auto; }
.reason { flex-basis: 100%; color: var(--soft); overflow-wrap: anywhere; padding-left: 1.3rem; }
.reason:empty { display: none; }
.case > div { padding: 0 .8rem .6rem 2.1rem; }
pre { margin: .4rem 0; padding: .6rem; overflow: auto; max-height: 32rem; border-radius: 6px;
  background: var(--back); border: 1px solid var(--line);
  font: 12.5px/1.4 ui-monospace, monospace; }
@media (max-width: 40rem) { .case > div { padding-left: .8rem; } }
"""

_SCRIPT = """
const all = name => [...document.querySelectorAll(name)];
const cases = all(".case"), chips = all(".chip");
const input = document.querySelector("input"), shown = document.querySelector("#shown");
const pressed = chip => chip.getAttribute("aria-pressed") === "true";
function filter() {
  const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const on = chips.filter(pressed).map(chip => chip.dataset.status);
  let count = 0;
  for (const each of cases) {
    const fits = (!on.length || on.includes(each.dataset.status)) &&
      words.every(word => each.dataset.words.includes(word));
    each.hidden = !fits;
    count += fits;
  }
  shown.textContent = count === cases.length ? "" : count + " shown";
}
input.addEventListener("input", filter);
for (const chip of chips) chip.addEventListener("click", () => {
  chip.setAttribute("aria-pressed", !pressed(chip));
  filter();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  }
  if (event.key === "Escape") { input.value = ""; filter(); }
});
document.querySelector(".bar").hidden = false;
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style></head>
<body><header>
<h1 class="{state}">{verdict}</h1>
<p class="what">etrace {version} regress, {seconds} s</p>
<div class="bar" hidden>{chips}
<input type="search" placeholder="Name, tag or reason ( / )" aria-label="Name, tag or reason">
<span id="shown" class="what" role="status"></span></div>
</header><main>
{rows}
</main><script>{script}</script></body></html>
"""
