"""`etrace run`: run a firmware, without tracing it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etrace.cli import running, say
from etrace.errors import Exit

if TYPE_CHECKING:
    from etrace.sideband import Telling

_HIGHEST_CODE = 255


@click.command("run")
@click.argument("elf", nargs=-1, required=True, metavar="ELF...")
@running.options
@running.telling
@running.PLUGIN
def command(
    elf: tuple[str, ...],
    isa: str | None,
    platform: str,
    memory: tuple[tuple[int, int], ...],
    max_instructions: int | None,
    console: bool,
    semihosting: Path | None,
    cmdline: str | None,
    plugin: tuple[str, ...],
    telling: "Telling",
) -> int:
    """Run the firmware ELF. The exit code is the program's (255 for a greater one).

    It is 4 if the program did not exit: the budget was used up, or it ended in a trap loop or a
    handler; 0 if it ended in a loop or a wfi that nothing can end. Plugins report on standard
    error.
    """
    from emu import ExitReason
    from etrace import api, recorder
    from etrace.plugin import blamed, load

    header, code = api.run_header(
        elf,
        isa=isa,
        platform=platform,
        memory=memory,
        max_instructions=max_instructions,
        semihosting=running.command_line_for(semihosting, cmdline, elf[0]),
        telling=telling,
    )
    plugins = [load(each) for each in plugin]
    terminal = running.Console(to_stderr=False) if console else None
    machine = recorder.new_machine(code, header, terminal, semihosting, record=False)
    running.say_wishes(code, isa)
    for each in plugins:
        each.attach(machine)
    try:
        with blamed(plugins):
            for _ in machine.run(max_instructions):
                pass
    except KeyboardInterrupt:
        running.show_reports(plugins)
        return Exit.INTERRUPTED
    running.show_reports(plugins)
    reason, exit_code = machine.exit_reason, machine.exit_code
    if reason is not ExitReason.EXIT or exit_code is None:
        what = reason.value if reason is not None else "it did not end"
        say(f"{elf[0]}: {what} (instruction {machine.instret:,}, pc {machine.pc:#x})")
        # Firmware that exits nowhere is over so.
        ended = reason in (ExitReason.ENDLESS_LOOP, ExitReason.WFI_FOREVER)
        return Exit.OK if ended else Exit.GUEST
    if exit_code > _HIGHEST_CODE:
        say(f"{elf[0]}: exit code {exit_code}")
    return min(exit_code, _HIGHEST_CODE)
