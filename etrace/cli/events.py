"""`etrace events`: interrupts, exceptions, host calls, trap returns."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from etrace.cli import options, running, say
from etrace.errors import Exit, InputError

if TYPE_CHECKING:
    from etrace.plugins.plugin import Loaded
    from etrace.recording.choices import Run
    from etrace.trace.reading import Reading

_ELF_MAGIC = b"\x7fELF"


def _reading(
    trace: str,
    elf: tuple[str, ...],
    image: tuple[str, ...],
    params: str | None,
    force: bool,
    input_format: str,
    ring: int | str | None,
    hart: int | None,
) -> "Reading":
    # --platform is one of the options for a run
    return options.reading(trace, elf, image, params, None, force, input_format, ring, hart)


@click.command("events")
@click.argument("trace", metavar="ELF|TRACE")
@click.option(
    "--plugin",
    "--as",
    "plugin",
    multiple=True,
    metavar="NAME|FILE.py[:ARGS]",
    help="What to do with them: trace_all (a line an event; the default), traps (counts by cause), "
    "handler_time (instructions in handlers), or a plugin of yours. May be repeated.",
)
@click.option(
    "--kinds",
    metavar="KIND,...",
    help="Only these: interrupt, exception, host_call, trap_return.",
)
@options.JSON
@options.output("Where to write; - (default) is standard output.")
@options.ELF
@options.IMAGE
@options.STREAM_PARAMS
@options.FORCE
@options.INPUT_FORMAT
@options.RING
@options.HART
@running.RUN
@options.as_one("reading", _reading, ())
def command(
    plugin: tuple[str, ...],
    kinds: str | None,
    as_json: bool,
    output: str,
    run: "Run",
    console: bool,
    reading: "Reading",
) -> int:
    """List the events of a run of ELF, or of a decoded TRACE.

    Both tell the same, except what no trace carries: host calls, and since when an interrupt was
    pending. --isa to --trace-window are for an ELF; --elf, --image, --params, --force, --hart for a
    TRACE.
    """
    from etrace import files

    words = [word for word in (kinds or "").split(",") if word]
    _check_kinds(words)
    if as_json:
        words.append("json")
    plugins = [_load(each, words) for each in plugin or ("trace_all",)]
    file = reading.trace
    live = _is_elf(file)
    if live:
        _refuse(file, "a program", _for_traces(reading))
    else:
        _refuse(file, "a trace", _for_programs(run))
    files.refuse_overwriting(output, [file, *(each.partition(":")[0] for each in plugin)])
    with files.open_output(output, listing=True) as sink:

        def write(text: str) -> None:
            sink.write(text.encode())

        for each in plugins:
            each.plugin.write = write
        if live:
            terminal = running.Console(options.stdout_is_shared(output)) if console else None
            outcome = _live(file, plugins, run, terminal)
        else:
            outcome = _decoded(replace(reading, platform=run.platform), plugins, output)
        for each in plugins:
            write(each.report())
    return outcome


def _for_traces(reading: "Reading") -> dict[str, object]:
    """Options that mean nothing for a program, and whether they were given."""
    return {
        "--elf": reading.elf,
        "--image": reading.image,
        "--params": reading.params,
        "--force": reading.force,
        "--hart": reading.hart is not None,
    }


def _for_programs(run: "Run") -> dict[str, object]:
    """Options that mean nothing for a trace, likewise."""
    telling = run.telling
    assert telling is not None
    return {
        "--isa": run.isa,
        "--modes": run.modes,
        "--memory": run.memory,
        "--semihosting": run.semihosting,
        "--max-instructions": run.max_instructions,
        "--cmdline": run.cmdline,
        "--tohost": run.tohost is not None,
        "--harts": run.harts > 1,
        "--quantum": run.quantum,
        "--context-csr": telling.context_csr,
        "--time": telling.time,
        "--trigger": telling.triggers,
        "--trace-window": telling.windows,
    }


def _check_kinds(words: list[str]) -> None:
    from etrace.analyses.names import kinds_named

    try:
        kinds_named(words)
    except ValueError as error:
        raise InputError(f"--kinds: {error}") from None


def _refuse(file: str, what: str, given: dict[str, object]) -> None:
    """Raise `InputError` for options that mean nothing here."""
    for option, value in given.items():
        if value:
            raise InputError(f"{file}: is {what}; {option} does not apply")


def _load(argument: str, words: list[str]) -> "Loaded":
    """A plugin; those that ship are told the kinds and the format in their arguments."""
    from etrace.plugins.plugin import BUILT_IN, load

    name, colon, args = argument.partition(":")
    if name in BUILT_IN:
        argument = f"{name}:{','.join([*([args] if colon else []), *words])}"
    return load(argument)


def _is_elf(path: str) -> bool:
    """Whether this is a program. Standard input is taken for a trace."""
    from etrace import files

    if path == files.STDIO:
        return False
    with files.open_input(path) as file:
        return file.read(len(_ELF_MAGIC)) == _ELF_MAGIC


def _live(elf: str, plugins: "list[Loaded]", run: "Run", console: running.Console | None) -> int:
    from etrace.plugins.plugin import blamed
    from etrace.recording import headers, recorder
    from etrace.recording.choices import Choices

    header, code = headers.run_header([elf], run, Choices())
    machine = recorder.new_machine(code, header, console, run.semihosting, record=False)
    running.say_wishes(code, run.isa)
    for plugin in plugins:
        plugin.attach(machine)
    with blamed(plugins):
        for _ in machine.run(run.max_instructions):
            pass
    if (machine.exit_reason and machine.exit_reason.failed) or machine.exit_code:
        what = f" with exit code {machine.exit_code}" if machine.exit_code else ""
        end = machine.exit_reason.name.lower() if machine.exit_reason else "stopped"
        say(f"{elf}: the guest failed: {end}{what}")
        return Exit.GUEST
    return Exit.OK


def _decoded(reading: "Reading", plugins: "list[Loaded]", output: str) -> int:
    from etrace.analyses.events import DecodedTrace
    from etrace.cli.gaps import GapReport
    from etrace.cli.source import opened
    from etrace.plugins.plugin import blamed

    with opened(reading, output=output) as trace:
        report = GapReport(trace)
        source = DecodedTrace(report.flows(), trace.code.map, trace.hart or 0)
        for plugin in plugins:
            plugin.attach(source)
        with blamed(plugins):
            source.run()
    return Exit.OK if report.close() else Exit.CORRUPT
