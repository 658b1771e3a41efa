"""The documentation: the site that `make docs` builds, and the same pages as plain Markdown.

The site is built once, as strictly as `make docs` does; without Sphinx its tests are skipped.
"""

import fcntl
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import click
import pytest

import etrace
from etrace.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NEEDED = ("sphinx", "furo", "myst_parser")
#: Packages whose `__all__` is the public interface.
PUBLIC = ("etrace", "emu", "encoder", "decoder")
NETWORK = re.compile(r"\s*(https?:)?//")


class Page(HTMLParser):
    """What a page has: `ids`, `links` to go to, `loads` (what a browser fetches), `rows`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        #: Text of table rows that have an id.
        self.rows: dict[str, str] = {}
        self._row: str | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "tr":
            self._row = given.get("id")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link":
            self.loads.append(given["href"])
        if tag not in ("a", "link"):
            self.loads += [given[name] for name in ("src", "srcset", "data") if name in given]
        self.loads += re.findall(r"url\(([^)]*)\)", given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._row is not None:
            self.rows[self._row] = self.rows.get(self._row, "") + data

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = None


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the built site; `log` has what was said about it, nothing if all is well."""
    for name in NEEDED:
        if find_spec(name) is None:
            pytest.skip(f"no {name}: pip install 'etrace[docs]'")
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # one for all processes
    out = place / "site"
    with open(place / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "log").exists():
            strictly = ["-E", "-W", "-n", "--keep-going", "-q"]
            command = [sys.executable, "-m", "sphinx", *strictly, "-b", "html"]
            command += ["-d", place / "doctrees", DOCS, out]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            problems = built.stdout + built.stderr
            if built.returncode and not problems:
                problems = f"exit code {built.returncode}"
            out.mkdir(exist_ok=True)
            (out / "log").write_text(problems)
    return out


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """The pages by their path in the site."""
    return {str(path.relative_to(site)): Page(path) for path in sorted(site.rglob("*.html"))}


def test_the_site_builds_strictly(site: Path) -> None:
    assert (site / "log").read_text() == ""
    assert (site / "index.html").exists()


def _commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, list[str]]]:
    """Each command, and its options but for --help."""
    options = [
        name
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    ]
    yield context.command_path, options
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(child, click.Context(child, info_name=name, parent=context))


def test_every_command_and_option_is_there(pages: dict[str, Page]) -> None:
    page = pages["reference/commands.html"]
    found = dict(_commands(main, click.Context(main, info_name="etrace")))
    assert {"etrace record", "etrace params show"} <= set(found)
    for command, options in found.items():
        name = command.replace(" ", "-")
        assert name in page.ids, command
        anchors = {each: f"cmdoption-{name}-{each.lstrip('-')}" for each in options}
        missing = [option for option, anchor in anchors.items() if anchor not in page.ids]
        assert not missing, f"{command}: {', '.join(missing)}"


def test_every_parameter_is_there_with_all_that_is_known_of_it(pages: dict[str, Page]) -> None:
    entries = list(importlib.import_module(etrace.Configuration.__module__).entries())
    assert len(entries) > 90
    rows = pages["reference/parameters.html"].rows
    for each in entries:
        row = rows.get(f"{each.table}.{each.name}")
        assert row is not None, f"[{each.table}] {each.name}"
        for text in (each.name, each.text, each.allowed, each.section):
            assert text in row, f"[{each.table}] {each.name}: {text}"
        shown = {None: "none", "xlen": "the hart's width"}.get(each.default, str(each.default))
        assert row.rstrip().endswith(shown.lower() if each.default is not None else shown)


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_interface_is_there(pages: dict[str, Page], package: str) -> None:
    names = [name for name in importlib.import_module(package).__all__ if name != "__version__"]
    ids = pages["reference/python.html"].ids
    missing = [name for name in names if f"{package}.{name}" not in ids]
    assert names
    assert not missing, f"docs/reference/python.md: {', '.join(missing)}"


def test_nothing_is_loaded_from_the_network(site: Path, pages: dict[str, Page]) -> None:
    assert len(pages) > 15
    for name, page in pages.items():
        assert page.loads, name
        outside = [each for each in page.loads if NETWORK.match(each)]
        assert not outside, f"{name}: {outside}"
    styles = sorted(site.rglob("*.css"))
    assert styles
    for style in styles:
        text = style.read_text(encoding="utf-8")
        wanted = re.findall(r"url\(\s*[\"']?([^\"')]*)|@import\s+[\"']([^\"']*)", text)
        outside = [each for pair in wanted for each in pair if NETWORK.match(each)]
        assert not outside, f"{style.name}: {outside}"


def test_no_link_within_the_site_is_broken(site: Path, pages: dict[str, Page]) -> None:
    """Generated pages (search, index) included."""
    for name, page in pages.items():
        for link in (*page.links, *page.loads):
            if re.match(r"[a-z]+:", link):
                continue
            path, fragment = urldefrag(link)
            target = (page.path.parent / unquote(path.split("?")[0])) if path else page.path
            assert target.exists(), f"{name}: {link}"
            if fragment and target.suffix == ".html":
                ids = pages[str(target.resolve().relative_to(site.resolve()))].ids
                assert unquote(fragment) in ids, f"{name}: {link}"


def _markdown() -> Iterator[Path]:
    yield from (ROOT / page for page in ("README.md", "CONTRIBUTING.md", "specs/README.md"))
    yield from (path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts)


def test_the_examples_use_commands_and_options_that_there_are() -> None:
    known = dict(_commands(main, click.Context(main, info_name="etrace")))
    verbs = 0
    for document in _markdown():
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
            for line in re.findall(r"\betrace ([a-z][^|#>&;)\n]*)", re.sub(r"#.*", "", block)):
                first, second, *_ = [*line.split(), ""]
                command = f"etrace {first} {second}"
                command = command if command in known else f"etrace {first}"
                where = f"{document.relative_to(ROOT)}: etrace {line}"
                assert command in known, where
                for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", line):
                    assert option in known[command], where
                verbs += 1
    assert verbs > 50


def _headings(path: Path) -> set[str]:
    """Anchors of a Markdown file's headings, as those who show repositories make them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_work_as_plain_markdown() -> None:
    """Each leads to a file of the repository, and to a heading in it."""
    count = 0
    for document in _markdown():
        text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, fragment = urldefrag(link)
            target = document.parent / path if path else document
            where = f"{document.relative_to(ROOT)}: {link}"
            assert target.exists(), where
            if fragment:
                assert fragment in _headings(target), where
    assert count > 50


def test_the_workflow_runs_what_the_readme_says() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    run = re.findall(r"^\s+- run: (.+)$", workflow, re.M)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^(make \w+) +#", readme, re.M) == run[:2]
    assert run[2:] == ["make docs"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in run:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.M), command
