"""Docstrings of this project in reStructuredText, and what they leave to the source.

They are written to be read as they stand: `code` in single backticks, examples indented. Here
names of the public interface become links, all else in backticks code. Enumerations get a table of
their members, with the comments beside them; layouts of records their fields.
"""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.environment import BuildEnvironment


class _Maybe(PyXRefRole):
    """A link if there is such a thing in the pages."""

    def result_nodes(
        self, document: nodes.document, env: BuildEnvironment, node: nodes.Element, is_ref: bool
    ) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        node.update_all_atts({"refdomain": "py", "reftype": "obj", "maybe": True}, replace=True)
        return [node], []


def _missing(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.TextElement
) -> nodes.Node | None:
    """A name as it stands in a signature or a docstring, by the one that is documented."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains["py"]
    documented = [name for name, entry in domain.objects.items() if not entry.aliased]
    target = _nearest(node["reftarget"], documented)
    if target is not None:
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)
    return content if node.get("maybe") else None


def _nearest(wanted: str, documented: list[str]) -> str | None:
    """The one thing that a name without its module can mean.

    A word in lower case is as likely an argument, unless `etrace` exports it.
    """
    if re.search(r"[A-Z.]", wanted):
        ends = [name for name in documented if name.endswith(f".{wanted}")]
    else:
        ends = [name for name in documented if name == f"etrace.{wanted}"]
    return ends[0] if len(ends) == 1 else None


def _restructured(lines: list[str]) -> list[str]:
    """Markdown as far as docstrings use it."""
    result: list[str] = []
    code = False
    for before, line in zip(["", *lines], lines, strict=False):
        if line.strip():
            indented = line.startswith("    ")
            if indented and not code and not before.strip() and result:
                result += ["::", ""]
                code = True
            code = code and indented
        result.append(line if code else _prose(line))
    return result


def _prose(line: str) -> str:
    line = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", _inline, line)
    return re.sub(r"(?<![`/\w])docs/([\w-]+)\.md", r":doc:`docs/\1.md </\1>`", line)


def _inline(match: re.Match[str]) -> str:
    text = match[1]
    return f":maybe:`{text}`" if re.fullmatch(r"[A-Za-z]\w*(\.\w+)*", text) else f"``{text}``"


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = _restructured(lines)
    if inspect.isclass(thing) and issubclass(thing, Enum):
        lines += ["", *_table(_members(thing))]
    elif isinstance(thing, np.dtype) and thing.names is not None:
        fields = ", ".join(f"``{field}`` {thing[field].name}" for field in thing.names)
        lines += ["", f"Fields: {fields}."]


def _members(kind: type[Enum]) -> list[tuple[str, ...]]:
    """Names, values, and the comments behind them if there are any."""
    comments = dict(re.findall(r"^    (\w+) = .*?  # (.+)$", inspect.getsource(kind), re.M))
    rows = [("name", "value", "")]
    for each in kind:
        value = f"``{each.value}``" if isinstance(each.value, int) else str(each.value)
        rows.append((f"``{each.name}``", value, _prose(comments.get(each.name, ""))))
    return [row if comments else row[:2] for row in rows]


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The first row is the head."""
    yield ".. list-table::"
    yield "   :align: left"
    yield "   :header-rows: 1"
    yield ""
    for row in rows:
        for i, cell in enumerate(row):
            yield f"   {'*' if i == 0 else ' '} - {cell}"


def _signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, given: str | None, back: str | None
) -> tuple[str | None, str | None] | None:
    """Arrays in short; nothing for classes that their users do not make."""
    made = not (inspect.isclass(thing) and issubclass(thing, Enum))
    if what == "class" and given and (not made or re.search(r"[(\s]_\w|<factory>", given)):
        return "", back
    return _arrays(given), _arrays(back)


def _arrays(text: str | None) -> str | None:
    """`NDArray[x]`, which Python spells out, as it is written."""
    spelled = r"~?(?:numpy\.)?ndarray\[.*?, ~?(?:numpy\.)?dtype\[(.*?)\]\]"
    return text and re.sub(spelled, r"NDArray[\1]", text)


def _annotations(app: Sphinx, document: nodes.document, page: str) -> None:
    """Arrays in short in the types of attributes too, which no event of autodoc's gives."""
    for node in document.findall(addnodes.desc_annotation):
        text = node.astext()
        short = _arrays(text)
        if short and short != text:
            node[:] = [nodes.Text(short)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("maybe", _Maybe())
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-resolved", _annotations)
    app.connect("missing-reference", _missing)
    return {"parallel_read_safe": True}
