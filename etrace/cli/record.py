"""`etrace record`: run a firmware and write its trace."""

from collections.abc import Callable, Sequence
from os import PathLike
from signal import Signals
from typing import TYPE_CHECKING

import click

from etrace.cli import choosing, options, running, say
from etrace.cli.progress import ProgressLine
from etrace.cli.summary import show_summary
from etrace.errors import Exit, InputError
from etrace.signals import exit_code

if TYPE_CHECKING:
    from etrace.recording.choices import Choices, Run
    from etrace.recording.recorder import Summary
    from etrace.recording.signature import Signature
    from etrace.trace.program import Code


@click.command("record")
@click.argument("elf", nargs=-1, required=True, metavar="ELF...")
@options.output("Trace file to write; - for standard output.", required=True)
@options.PARAMS
@options.FRAMING
@click.option(
    "--image", multiple=True, metavar="ADDRESS:FILE", help="Binary image for the decoder to know."
)
@running.RUN
@choosing.CHOICES
@running.SIGNATURE
@running.PLUGIN
@running.MAX_SIZE
@options.RAW
@options.JSON
def command(
    elf: tuple[str, ...],
    output: str,
    image: tuple[str, ...],
    run: "Run",
    console: bool,
    choices: "Choices",
    signature: "Callable[[Code], Signature | None]",
    plugin: tuple[str, ...],
    max_size: int | None,
    raw: bool,
    as_json: bool,
) -> int:
    """Run the firmware ELF and write the trace that E-Trace hardware would have sent.

    The first ELF gives the entry point. Ctrl-C (SIGTERM, SIGHUP), --max-size, or a plugin that
    raises, ends the trace properly. If the program fails, the first cause is told. A signature is
    written however the program ended; if it was stopped, there is none and the exit code is 4.
    """
    from etrace import files
    from etrace.plugins.plugin import load
    from etrace.recording import headers, recorder

    header, code = headers.run_header(
        elf, run, choices, image=image, command=options.command_line()
    )
    plugins = [load(each) for each in plugin]
    named = [*map(files.file_of, image), *(each.partition(":")[0] for each in plugin)]
    files.refuse_overwriting(output, [*elf, choices.file, *named])
    wanted = signature(code)
    if wanted is not None:
        _check_signature(wanted, output, [*elf, choices.file, *named], as_json)
    # The guest's words must not land in the trace, nor in the JSON.
    to_stderr = options.stdout_is_shared(output) or as_json
    to_stderr |= wanted is not None and options.stdout_is_shared(wanted.file)
    progress = ProgressLine("instructions")
    terminal = running.Console(to_stderr, progress) if console else None
    running.say_wishes(code, run.isa)
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
            semihosting=run.semihosting,
            max_size=max_size,
            warn=running.warning(progress),
            signature=wanted,
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
    missing = running.say_no_signature(wanted, summary.signature is not None)
    outcome = _ended(summary, elf[0], output, code.xlen // 4, as_json)
    return outcome or (Exit.GUEST if missing else Exit.OK)


def _check_signature(
    wanted: "Signature", output: str, inputs: "Sequence[str | PathLike[str] | None]", as_json: bool
) -> None:
    """Raise `InputError` for a signature that would overwrite something, or mix with it."""
    from etrace import files

    files.refuse_overwriting(wanted.file, inputs)
    if options.stdout_is_shared(wanted.file) and as_json:
        raise InputError("--signature - and --json: both are for standard output")
    if files.same_file(wanted.file, output):
        raise InputError("--signature and -o: are the same; choose another file for one of them")


def _ended(summary: "Summary", elf: str, output: str, digits: int, as_json: bool) -> int:
    """Say how the run ended, unless it ended well, and why; the exit code."""
    account = summary.account
    if summary.guest_failed:
        what = f"exit code {summary.guest_exit}" if account is None else account.what
        say(f"{elf}: the guest failed: {what}; the trace is complete")
    elif account is not None:
        say(f"{elf}: {account.what}; the trace is complete up to there")
    if account is not None and not as_json:
        running.show_account(account, digits)
        if account.long_ago and not options.stdout_is_shared(output):
            say(f"`etrace why {output}` says how to see what led there")
    if summary.signal is not None:
        return exit_code(Signals[summary.signal])
    return Exit.GUEST if summary.guest_failed else Exit.OK
