"""`etrace record`: run a firmware and write its trace."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etrace.cli import encoding as encodings
from etrace.cli import filtering, options, running, say
from etrace.cli.progress import ProgressLine
from etrace.cli.summary import show_summary
from etrace.errors import Exit

if TYPE_CHECKING:
    from etrace.encoding import Encoding
    from etrace.filtering import Selection
    from etrace.sideband import Telling


@click.command("record")
@click.argument("elf", nargs=-1, required=True, metavar="ELF...")
@options.output("Trace file to write; - for standard output.", required=True)
@options.PARAMS
@options.FRAMING
@click.option(
    "--image", multiple=True, metavar="ADDRESS:FILE", help="Binary image for the decoder to know."
)
@running.options
@running.telling
@encodings.choosing
@filtering.selecting
@running.PLUGIN
@options.RAW
@options.JSON
def command(
    elf: tuple[str, ...],
    output: str,
    params: str | None,
    framing: str | None,
    isa: str | None,
    platform: str,
    memory: tuple[tuple[int, int], ...],
    image: tuple[str, ...],
    max_instructions: int | None,
    console: bool,
    semihosting: Path | None,
    cmdline: str | None,
    plugin: tuple[str, ...],
    telling: "Telling",
    encoding: "Encoding",
    selection: "Selection",
    raw: bool,
    as_json: bool,
) -> int:
    """Run the firmware ELF and write the trace that E-Trace hardware would have sent.

    The first ELF gives the entry point. Ctrl-C, or a plugin that raises, ends the trace properly.
    """
    from etrace import api, files, recorder
    from etrace.plugin import load

    header, code = api.run_header(
        elf,
        params=params,
        framing=framing,
        isa=isa,
        platform=platform,
        memory=memory,
        max_instructions=max_instructions,
        image=image,
        command=options.command_line(),
        semihosting=running.command_line_for(semihosting, cmdline, elf[0]),
        telling=telling,
        encoding=encoding,
        selection=selection,
    )
    plugins = [load(each) for each in plugin]
    named = [*map(files.file_of, image), *(each.partition(":")[0] for each in plugin)]
    files.refuse_overwriting(output, [*elf, params, *named])
    # The guest's words must not land in the trace, nor in the JSON.
    to_stderr = options.stdout_is_shared(output) or as_json
    progress = ProgressLine("instructions")
    terminal = running.Console(to_stderr, progress) if console else None
    running.say_wishes(code, isa)
    for text in code.remarks:
        say(text)
    with files.open_output(output) as file:
        summary = recorder.record(
            code,
            file,
            header,
            raw=raw,
            console=terminal,
            progress=progress,
            plugins=plugins,
            semihosting=semihosting,
        )
    progress.clear()
    show_summary(summary, as_json)
    configuration = header.configuration
    if (
        configuration.modes.implicit_exception
        and not configuration.tvec.by_privilege()
        and summary.traps
    ):
        say("implicit_exception saves nothing here: say where traps lead, with --tvec or [tvec]")
    running.show_reports(plugins)
    if summary.interrupted:
        return Exit.INTERRUPTED
    if summary.guest_failed:
        code_text = f" with exit code {summary.guest_exit}" if summary.guest_exit else ""
        say(f"{elf[0]}: the guest failed: {summary.end}{code_text}; the trace is complete")
        return Exit.GUEST
    return Exit.OK
