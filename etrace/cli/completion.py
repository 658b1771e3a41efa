"""`etrace completion`: the script that makes a shell complete etrace's verbs and options."""

import click
from click.shell_completion import get_completion_class

from etrace.errors import Exit


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script for SHELL.

    bash, zsh: put `eval "$(etrace completion bash)"` into ~/.bashrc (zsh: ~/.zshrc).
    fish: `etrace completion fish > ~/.config/fish/completions/etrace.fish`.
    """
    from etrace.cli import main, out

    kind = get_completion_class(shell)
    assert kind is not None
    out(kind(main, {}, "etrace", "_ETRACE_COMPLETE").source())
    return Exit.OK
