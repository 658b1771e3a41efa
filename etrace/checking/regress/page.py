"""The page of results of `etrace regress`: one file, no network, readable without its script."""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

from etrace import __version__
from etrace.checking.regress.outcome import Result, Status, Summary
from etrace.checking.regress.text import visible

#: What wants to be read comes first.
_ORDER = (Status.ERROR, Status.FAILED, Status.CHANGED, Status.NEW, Status.PASSED)
_ICONS = dict(zip(_ORDER, "!✗≠+✓", strict=True))
#: With so many or fewer that are not passed, their differences are unfolded.
_FEW = 3
#: Characters of a text that the page has, by whether the case is passed.
_MOST = {False: 20_000, True: 2_000}


def page(summary: Summary) -> str:
    """The page as HTML."""
    return "\n".join(_lines(summary)) + "\n"


def _shown(text: Any) -> str:
    return escape(visible(str(text)))


def _asset(name: str) -> tuple[str, str]:
    """A file of ours, and how the page's policy names it."""
    text = (files("etrace") / "data" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


def _lines(summary: Summary) -> Iterator[str]:
    style, style_hash = _asset("regress.css")
    script, script_hash = _asset("regress.js")
    # Whatever a guest prints, nothing but these two is ever obeyed.
    policy = f"default-src 'none'; style-src {style_hash}; script-src {script_hash}"
    counts = Counter(each.status for each in summary.results)
    bad = [_count(each, counts) for each in (Status.ERROR, Status.FAILED) if counts[each]]
    passed = "all passed" if summary.results else "nothing run"
    title = ", ".join(bad) or passed
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>etrace regress: {title}</title>"
    yield f"<style>{style}</style>\n</head>\n<body>\n<header>"
    yield "<h1>etrace regress</h1>"
    yield f'<p class="verdict {"bad" if bad else "good"}"><strong>{title}</strong>'
    yield f"<span>{_all(summary)}</span></p>"
    yield from _bar(counts, len(summary.results))
    yield "</header>\n<main>"
    if summary.results:
        yield from _filters(summary, counts)
        yield from _table(summary)
    else:
        yield "<p>No case was run.</p>"
    yield f"</main>\n<footer>etrace {_shown(__version__)}</footer>"
    yield f"<script>{script}</script>\n</body>\n</html>"


def _count(status: Status, counts: Counter[Status]) -> str:
    count = counts[status]
    return (
        f"{count:,} error{'s' * (count != 1)}" if status == Status.ERROR else f"{count:,} {status}"
    )


def _all(summary: Summary) -> str:
    total = len(summary.results)
    return f"{total:,} case{'s' * (total != 1)} in {_seconds(summary.seconds)}"


def _bar(counts: Counter[Status], total: int) -> Iterator[str]:
    at, parts, words = 0.0, [], []
    for status in _ORDER:
        if counts[status]:
            width = 1000 * counts[status] / total
            parts.append(f'<rect class="{status}" x="{at:.2f}" width="{width:.2f}" height="8"/>')
            words.append(_count(status, counts))
            at += width
    if words:
        yield '<svg class="bar" viewBox="0 0 1000 8" preserveAspectRatio="none" role="img"'
        yield f' aria-label="{", ".join(words)}">{"".join(parts)}</svg>'


def _filters(summary: Summary, counts: Counter[Status]) -> Iterator[str]:
    yield '<form id="filters" role="search" aria-label="Cases">\n<fieldset><legend>Status</legend>'
    for status in _ORDER:
        if counts[status]:
            yield (
                f'<label class="chip {status}"><input type="checkbox" name="status" '
                f'value="{status}" checked><span class="icon" aria-hidden="true">'
                f"{_ICONS[status]}</span> {status} <b>{counts[status]:,}</b></label>"
            )
    yield "</fieldset>"
    tags = sorted({tag for each in summary.results for tag in each.tags})
    if tags:
        yield '<label>Tag <select name="tag"><option value="">any</option>'
        yield from (f"<option>{_shown(tag)}</option>" for tag in tags)
        yield "</select></label>"
    yield (
        '<label class="find">Text <input type="search" name="text" autocomplete="off" '
        'placeholder="name, reason, difference"></label>'
    )
    yield '<button type="button" id="unfold">Unfold all</button>'
    yield '<output id="shown" aria-live="polite"></output>\n</form>'


def _table(summary: Summary) -> Iterator[str]:
    yield '<table>\n<thead><tr><th scope="col">Status</th><th scope="col">Case</th>'
    yield '<th scope="col">Tags</th><th scope="col" class="number">Instructions</th>'
    yield '<th scope="col" class="number">Bits an instruction</th>'
    yield '<th scope="col" class="number">Time</th></tr></thead>'
    ordered = sorted(summary.results, key=lambda each: _ORDER.index(each.status))
    unfold = sum(each.status != Status.PASSED for each in ordered) <= _FEW
    for each in ordered:
        yield from _row(each, unfold)
    yield "</table>"


def _row(result: Result, unfold: bool) -> Iterator[str]:
    status = result.status
    place = result.file + (f":{result.line}" if result.file and result.line else "")
    where = " · ".join(_shown(each) for each in (result.suite, place) if each)
    reason = f'<p class="reason">{_shown(result.reason)}</p>' if result.reason else ""
    tags = " ".join(f'<span class="tag">{_shown(tag)}</span>' for tag in result.tags)
    icon = f'<span class="icon" aria-hidden="true">{_ICONS[status]}</span>'
    yield f'<tbody class="{status}"><tr>'
    yield f'<td class="status"><span class="badge">{icon} {status}</span></td>'
    yield f'<th scope="row"><span class="case">{_shown(result.name)}</span>'
    yield f'<span class="where">{where}</span>{reason}</th>'
    yield f'<td class="tags">{tags}</td>'
    yield _number("instructions", result.values.get("instructions"))
    yield _number("bits", result.values.get("bits"))
    yield f'<td class="number" data-name="time">{_seconds(result.seconds)}</td></tr>'
    folded = list(_folded(result, unfold and status != Status.PASSED))
    if folded:
        yield '<tr class="more"><td colspan="6"><div class="folded">'
        yield from folded
        yield "</div></td></tr>"
    yield "</tbody>"


def _folded(result: Result, unfold: bool) -> Iterator[str]:
    limit = _MOST[result.status == Status.PASSED]
    if result.text.strip():
        name = "Difference" if result.diff is not None else "Details"
        yield _details(name, _cut(result.text, limit), unfold)
    if result.output.strip():
        yield _details("Output of the guest", _cut(result.output, limit))
    shown = {"instructions", "bits"}
    rest = [
        f"{name}: {_value(each)}"
        for name, each in sorted(result.values.items())
        if name not in shown
    ]
    if rest:
        yield _details("Values", "\n".join(rest))


def _details(name: str, text: str, unfold: bool = False) -> str:
    # The line end before it is not part of a <pre>: without it the text's own first one is lost.
    return (
        f"<details{' open' * unfold}><summary>{name}</summary>"
        f'<pre tabindex="0">\n{_shown(text)}</pre></details>'
    )


def _cut(text: str, limit: int) -> str:
    """The end of `text`: that is where it went wrong."""
    text = text.rstrip()
    left = len(text) - limit
    if left <= 0:
        return text
    return f"[{left:,} characters before this are not shown; --json has them]\n{text[left:]}"


def _number(name: str, value: Any) -> str:
    return f'<td class="number" data-name="{name}">{"" if value is None else _value(value)}</td>'


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if math.isfinite(value) else "-"
    return _shown(value) if isinstance(value, bool | str) or value is None else f"{value:,}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
