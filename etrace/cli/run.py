"""`etrace run`: run a firmware, without tracing it."""

import json
from collections.abc import Callable
from signal import Signals
from typing import TYPE_CHECKING

import click

from etrace.cli import options, out, running, say
from etrace.errors import Exit, InputError
from etrace.signals import exit_code, number_of

if TYPE_CHECKING:
    from emu import Machine
    from etrace.analyses.cause import Account
    from etrace.recording.choices import Run
    from etrace.recording.signature import Signature
    from etrace.trace.program import Code

_HIGHEST_CODE = 255


@click.command("run")
@click.argument("elf", nargs=-1, required=True, metavar="ELF...")
@running.RUN
@running.SIGNATURE
@running.PLUGIN
@options.JSON
def command(
    elf: tuple[str, ...],
    run: "Run",
    console: bool,
    signature: "Callable[[Code], Signature | None]",
    plugin: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run the firmware ELF. The exit code is the program's (255 for a greater one).

    It is 4 if the program did not exit: the budget was used up, or it ended in a trap loop or a
    handler, and then the first cause is told; 0 if it ended in a loop or a wfi that nothing can
    end. Plugins report on standard error. A signature is written however the program ended, not if
    it was stopped.
    """
    from etrace import files
    from etrace.analyses.history import ChunkHistory
    from etrace.plugins.plugin import blamed, load
    from etrace.recording import headers, recorder
    from etrace.recording.choices import Choices

    header, code = headers.run_header(elf, run, Choices())
    plugins = [load(each) for each in plugin]
    wanted = signature(code)
    to_stderr = as_json
    if wanted is not None:
        named = (each.partition(":")[0] for each in plugin)
        files.refuse_overwriting(wanted.file, [*elf, *named])
        if as_json and options.stdout_is_shared(wanted.file):
            raise InputError("--signature - and --json: both are for standard output")
        to_stderr |= options.stdout_is_shared(wanted.file)
    terminal = running.Console(to_stderr) if console else None
    # Recorded, so that the first cause of a bad end is known.
    machine = recorder.new_machine(code, header, terminal, run.semihosting)
    if wanted is not None:
        wanted.bytes_of(machine.memory)
    histories = [ChunkHistory() for _ in machine.harts]
    running.say_wishes(code, run.isa)
    for each in plugins:
        each.attach(machine)
    stopped = None
    try:
        with blamed(plugins):
            for chunk in machine.run(run.max_instructions):
                histories[chunk.hart].feed(chunk)
    except KeyboardInterrupt as error:
        stopped = number_of(error)
    running.show_reports(plugins)
    history = histories[machine.hart.number]
    account = recorder.account_of(machine, history, code, header, stopped)
    outcome = _outcome(machine, stopped)
    written = wanted is not None and stopped is None and wanted.write(machine)
    if as_json:
        reason = machine.exit_reason
        values = {
            "end": reason.name.lower() if reason is not None else "interrupted",
            "exit_code": machine.exit_code,
            "signal": None if stopped is None else stopped.name,
            "instructions": machine.instret + machine.host_calls,
            "harts": len(machine.harts),
            "account": None if account is None else account.values(),
            "signature": wanted.file if wanted is not None and written else None,
        }
        out(json.dumps(values, sort_keys=True) + "\n")
    else:
        _tell(elf[0], machine, code, account)
    running.say_no_signature(wanted, written)
    return outcome


def _outcome(machine: "Machine", stopped: Signals | None) -> int:
    """The exit code."""
    from emu import ExitReason

    if stopped is not None:
        return exit_code(stopped)
    if machine.exit_reason in (ExitReason.ENDLESS_LOOP, ExitReason.WFI_FOREVER):
        # firmware that exits nowhere is over so
        return Exit.OK
    if machine.exit_reason is not ExitReason.EXIT or machine.exit_code is None:
        return Exit.GUEST
    return min(machine.exit_code, _HIGHEST_CODE)


def _tell(elf: str, machine: "Machine", code: "Code", account: "Account | None") -> None:
    """How a run ended that did not end well."""
    from emu import ExitReason
    from etrace.analyses import cause

    number = machine.exit_code
    if machine.exit_reason is ExitReason.EXIT and number is not None:
        if number > _HIGHEST_CODE:
            say(f"{elf}: exit code {number}")
    elif account is not None:
        say(f"{elf}: {account.what} (instruction {machine.instret:,})")
    else:
        place = cause.place_of(machine, code)
        say(f"{elf}: {ExitReason.BUDGET.value} (instruction {machine.instret:,}, pc {place})")
    if account is not None:
        running.show_account(account, code.xlen // 4)
