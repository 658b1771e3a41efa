"""`etrace params`: write, check and explain parameter files."""

import json
from dataclasses import asdict

import click

from etrace.cli import options, out, say
from etrace.errors import Exit


@click.group("params")
def command() -> None:
    """Write, check and explain parameter files.

    A parameter file is TOML: protocol, [parameters] (the specification's _p names), [modes], [tvec]
    (trap vectors), [resync], [encoder], [sink] (loss), [framing], [trace], [[comparator]] and
    [[filter]] (what is traced). What is left out has its default.
    """


def _json(value: object) -> str:
    """A line of JSON."""
    return json.dumps(value, sort_keys=True) + "\n"


@command.command("new")
@options.output("File to write; - (default) is standard output.")
@click.option(
    "--xlen", type=click.Choice(["32", "64"]), default="64", show_default=True, help="Hart width."
)
@click.option("--plain", is_flag=True, help="Without comments.")
@options.JSON
def new(output: str, xlen: str, plain: bool, as_json: bool) -> int:
    """Write a parameter file with every key, its default and its range."""
    from etrace.files import open_output
    from specs.configuration.parameters import Configuration

    default = Configuration.default(int(xlen))
    text = _json(default.to_dict()) if as_json else default.to_toml(commented=not plain)
    with open_output(output) as file:
        file.write(text.encode())
    return Exit.OK


@command.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--xlen", type=click.Choice(["32", "64"]), default="64", show_default=True, help="Hart width."
)
@options.JSON
def check(files: tuple[str, ...], xlen: str, as_json: bool) -> int:
    """Check parameter files; every problem of each is told. Exit code 2 if there is one."""
    from specs.configuration.parameters import ParametersError, load

    result = Exit.OK
    for path in files:
        try:
            load(path, int(xlen))
        except ParametersError as error:
            problems = error.problems
            result = Exit.USAGE
        else:
            problems = []
        if as_json:
            out(_json({"file": path, "problems": list(problems)}))
            continue
        for problem in problems:
            say(problem)
        if not problems:
            out(f"{path}: ok\n")
    return result


@command.command("show")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.JSON
def show(names: tuple[str, ...], as_json: bool) -> int:
    """Explain the parameters NAME (whole or part of a name; default: all)."""
    from specs.configuration.parameters import entries

    result = Exit.OK
    found = {
        name: [entry for entry in entries() if name.lower() in entry.name.lower()]
        for name in names or ("",)
    }
    for name, matches in found.items():
        exact = [entry for entry in matches if entry.name == name]
        if not matches:
            from difflib import get_close_matches

            close = get_close_matches(name, [entry.name for entry in entries()], 1)
            say(f"{name}: no such parameter" + (f"; did you mean {close[0]}?" if close else ""))
            result = Exit.USAGE
        for entry in exact or matches:
            if as_json:
                out(_json(asdict(entry)))
                continue
            default = "the hart's width" if entry.default == "xlen" else entry.default
            if default is None:
                default = "none"
            if isinstance(default, bool):
                default = str(default).lower()
            out(
                f"[{entry.table}] {entry.name}: {entry.text}\n"
                f'    {entry.allowed}; default {default}; section "{entry.section}"\n'
            )
    return result
