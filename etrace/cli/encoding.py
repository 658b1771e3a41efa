"""Options for how a trace is encoded."""

import functools
from collections.abc import Callable
from typing import Any

import click


def _modes(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """Names of modes that begin so, for the shell."""
    from etrace.recording.encoding import MODES

    return [name for name in (*MODES, "all") if name.startswith(begun)]


_OPTIONS = (
    click.option(
        "--mode",
        multiple=True,
        shell_complete=_modes,
        metavar="NAME|all",
        help="Turn a mode on, with a usual size where the parameters have none. May be repeated.",
    ),
    click.option(
        "--protocol",
        type=click.Choice(["2.0", "2.1"]),
        help="E-Trace version, whatever the parameter file says.",
    ),
    click.option(
        "--tvec",
        multiple=True,
        metavar="mtvec=PLACE",
        help="Trap vector (symbol or address) for implicit exceptions. May be repeated.",
    ),
)


def choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options for modes and protocol, handed over as one `encoding`."""

    @functools.wraps(function)
    def with_encoding(
        *arguments: Any,
        mode: tuple[str, ...],
        protocol: str | None,
        tvec: tuple[str, ...],
        **others: Any,
    ) -> Any:
        from etrace.recording.encoding import Encoding

        encoding = Encoding(modes=mode, protocol=protocol, vectors=tvec)
        return function(*arguments, encoding=encoding, **others)

    decorated: Callable[..., Any] = with_encoding
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
