"""The `etrace` command. Verbs live in their own modules and are imported when they are used.

Exit codes: 0 ok; 1 "no" (verify, diff, regress: there is a difference); 2 usage, parameters or a
plugin that raised; 3 corrupt trace; 4 the guest failed; 70 a defect of ours; 130 Ctrl-C, 143
SIGTERM, 129 SIGHUP; `run` gives the program's own. Errors are one line each on standard error. A
reader that goes away changes no exit code.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from etrace import __version__
from etrace.cli.interrupts import Interrupts
from etrace.errors import EtraceError, Exit, one_line
from etrace.signals import Terminations, exit_code, number_of
from etrace.stdio import discard_output

#: Verb: its module, and its line in `etrace --help`.
VERBS = {
    "record": ("etrace.cli.record", "Run a firmware and write its trace."),
    "run": ("etrace.cli.run", "Run a firmware, without tracing it."),
    "encode": ("etrace.cli.encode", "Write the trace of retirement events from a CSV file."),
    "decode": ("etrace.cli.decode", "Give every instruction of a trace back."),
    "dump": ("etrace.cli.dump", "Show the packets of a trace, field by field."),
    "events": ("etrace.cli.events", "List interrupts, exceptions, host calls and returns."),
    "why": ("etrace.cli.why", "Tell why the run of a trace ended as it did."),
    "info": ("etrace.cli.info", "Tell what a trace is, and what is in it."),
    "verify": ("etrace.cli.verify", "Compare a trace with a rerun, or with a pc trace."),
    "diff": ("etrace.cli.diff", "Compare two traces, or a trace and a pc log."),
    "regress": ("etrace.cli.regress", "Run many cases, each against its reference."),
    "params": ("etrace.cli.params", "Write, check and explain parameter files."),
    "demo": ("etrace.cli.demo", "Record, decode and check the bundled firmware."),
    "completion": ("etrace.cli.completion", "Print the shell completion script."),
}

_EPILOG = (
    "Exit codes: 0 ok, 1 no (verify, diff, regress: a difference), 2 usage, parameters or a plugin "
    "that raised, 3 corrupt trace, 4 the guest failed, 70 a defect of etrace (ETRACE_DEBUG=1 shows "
    "where), "
    "130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; `run` gives the program's own."
)


class _Verbs(click.Group):
    """Imports a verb when it is used, and turns exceptions into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = import_module(VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], VERBS, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; verbs: {', '.join(VERBS)}"
            ctx.fail(f"no such verb: {args[0]}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])

    def make_context(self, *args: Any, **others: Any) -> click.Context:
        try:
            return super().make_context(*args, **others)
        except BrokenPipeError:  # the reader of --help has gone
            discard_output()
            raise click.exceptions.Exit(Exit.OK) from None
        except OSError as error:
            raise click.exceptions.Exit(_report(error)) from None

    def invoke(self, ctx: click.Context) -> Any:
        interrupts = Interrupts()
        try:
            with interrupts, Terminations():
                result = super().invoke(ctx)
                out("")
                return result
        except BrokenPipeError:  # the reader of a trace has gone
            discard_output()
            return Exit.OK
        except KeyboardInterrupt as error:
            return exit_code(number_of(error))
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            return exit_code(interrupts.missed) if interrupts.missed else _report(error)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        _replace_closed_streams()
        prog_name = "etrace"  # however it was started: as a script, with -m, from a test
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            result = Exit.USAGE
        except click.Abort:
            result = Exit.INTERRUPTED
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            path = context.command_path if context is not None else "etrace"
            problem = one_line(Exception(error.format_message())).removesuffix(".")
            say(f"{problem}; see {path} --help")
            result = Exit.USAGE
        sys.exit(int(result) if isinstance(result, int) else 0)


def say(line: str) -> None:
    """A line on standard error. If that cannot be written the exit code still tells."""
    with suppress(OSError):
        print(f"etrace: {line}", file=sys.stderr, flush=True)


def out(text: str) -> None:
    """Write `text` to standard output. That its reader has gone changes no verdict."""
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:  # the bytes of a file's name, or a terminal that has no umlauts
            encoding = sys.stdout.encoding
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def _replace_closed_streams() -> None:
    """Put something in the place of standard streams that were closed before we began.

    Python has None for them, and their descriptors would go to the next files that are opened.
    Using the input or the output then fails as it does in other tools; errors go nowhere.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_WRONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)  # the lowest that is free: its own
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - for good


def _report(error: Exception) -> Exit:
    """Say what went wrong in one line (one a problem, for parameters). Anything unexpected is a
    defect of ours: `ETRACE_DEBUG` shows its traceback."""
    from specs.configuration.parameters import ParametersError

    if isinstance(error, ParametersError):
        for problem in error.problems:
            say(problem)
        return Exit.USAGE
    if isinstance(error, EtraceError):
        if error.details:
            print(error.details, end="", file=sys.stderr)
        say(one_line(error))
        return error.exit_code
    if isinstance(error, OSError):
        if error.filename is None:
            discard_output()
        say(f"{error.filename or 'standard output'}: {error.strerror or one_line(error)}")
        return Exit.USAGE
    if isinstance(error, MemoryError):
        say("not enough memory for this; a smaller part of it may fit")
        return Exit.USAGE
    if os.environ.get("ETRACE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    say(
        f"{type(error).__name__}: {one_line(error)}; that is a defect of etrace {__version__}: "
        "please report it, with what ETRACE_DEBUG=1 in the environment shows"
    )
    return Exit.DEFECT


@click.group(
    cls=_Verbs,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="etrace", message="%(prog)s %(version)s")
def main() -> None:
    """RISC-V E-Trace: record firmware, decode the trace to every instruction.

    A first round: `etrace record fw.elf -o fw.etrace`, then `etrace decode fw.etrace`.
    """
