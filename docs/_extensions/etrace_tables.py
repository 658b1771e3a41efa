"""Pages that are made from the program itself: commands, and the keys of a parameter file."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import etrace


class Commands(SphinxDirective):
    """A section for each command below `MODULE:NAME`, a click command, in the order of its help."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        place = nodes.section()
        text = "\n".join(_sections(command, click.Context(command, info_name=module.split(".")[0])))
        self.state.nested_parse(text.split("\n"), self.content_offset, place, match_titles=True)
        return place.children


def _sections(command: click.Command, context: click.Context, level: int = 2) -> Iterator[str]:
    """The command's section as Markdown, and those of its subcommands."""
    path = context.command_path
    yield f"{'#' * level} {path}\n"
    yield inspect.cleandoc(command.help or "").replace("\b\n", "") + "\n"
    usage = context.get_usage().removeprefix("Usage: ")
    yield f"```sh\n{usage}\n```\n"
    yield f"```{{program}} {path}\n```\n"
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None and "--help" not in option.opts:
            # `--on / --off` are two options to Sphinx
            names = record[0].replace(" / ", ", ")
            yield f"```{{option}} {names}\n{record[1]}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            inner = click.Context(child, info_name=name, parent=context)
            yield from _sections(child, inner, 2 if context.parent is None else level + 1)


class Parameters(SphinxDirective):
    """The keys of a table of a parameter file (`[parameters]`, `[[filter]]`, ...)."""

    required_arguments = 1
    columns: ClassVar = ("key", "what it is, and the section", "range", "default")

    def run(self) -> list[nodes.Node]:
        wanted = self.arguments[0]
        entries = [each for each in all_entries() if each.table == wanted]
        if not entries:
            raise self.error(f"no table {wanted} in a parameter file")
        table = nodes.table(classes=["parameters", "colwidths-auto"])
        group = nodes.tgroup(cols=len(self.columns))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in self.columns]
        group += nodes.thead("", _row([nodes.paragraph("", name) for name in self.columns]))
        group += nodes.tbody("", *(self._entry(each) for each in entries))
        return [table]

    def _entry(self, entry: Any) -> nodes.row:
        section = nodes.paragraph("", "", nodes.emphasis("", entry.section), classes=["where"])
        row = _row(
            [
                nodes.paragraph("", "", nodes.literal("", entry.name)),
                [nodes.paragraph("", entry.text), section],
                nodes.paragraph("", entry.allowed),
                nodes.paragraph("", default(entry.default)),
            ]
        )
        row["ids"].append(f"{entry.table}.{entry.name}")
        return row


def all_entries() -> list[Any]:
    """Every key of a parameter file: its `table`, `name`, `text`, `allowed`, `default`, `section`.

    They stand where `etrace.Configuration` does.
    """
    return list(import_module(etrace.Configuration.__module__).entries())


def default(value: int | bool | str | None) -> str:
    """A default as `etrace params show` has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return {None: "none", "xlen": "the hart's width"}.get(value, str(value))


def _row(cells: list[Any]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", *(cell if isinstance(cell, list) else [cell]))
    return row


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    app.add_directive("parameters", Parameters)
    return {"parallel_read_safe": True}
