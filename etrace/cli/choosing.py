"""Options for how a trace is encoded, and what is traced."""

from typing import Any

import click

from etrace.cli import options


def _modes(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """Names of modes that begin so, for the shell."""
    from etrace.recording.encoding import MODES

    return [name for name in (*MODES, "all") if name.startswith(begun)]


_ENCODING = (
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


#: All that is given has to hold.
_SELECTION = (
    click.option(
        "--filter-privilege",
        metavar="M|S|U[,...]",
        help="Trace only at these privilege levels.",
    ),
    click.option(
        "--filter-symbol",
        multiple=True,
        metavar="FUNCTION",
        help="Trace only this function. May be repeated.",
    ),
    click.option(
        "--filter-range",
        multiple=True,
        metavar="LO-HI",
        help="Trace only these addresses (or symbols), both included. May be repeated.",
    ),
    click.option("--start-at", metavar="PLACE", help="Trace from this symbol or address on."),
    click.option("--stop-at", metavar="PLACE", help="Trace until the instruction there retires."),
    click.option(
        "--filter-cause",
        multiple=True,
        metavar="NUMBER|NAME",
        help="Trace only from a trap of this cause to the return from it. May be repeated.",
    ),
    click.option(
        "--filter-interrupts", is_flag=True, help="Trace only from an interrupt to the return."
    ),
)


def _choices(
    params: str | None,
    framing: str | None,
    mode: tuple[str, ...],
    protocol: str | None,
    tvec: tuple[str, ...],
    filter_privilege: str | None,
    filter_symbol: tuple[str, ...],
    filter_range: tuple[str, ...],
    start_at: str | None,
    stop_at: str | None,
    filter_cause: tuple[str, ...],
    filter_interrupts: bool,
) -> Any:
    from etrace.recording.choices import Choices
    from etrace.recording.encoding import Encoding
    from etrace.recording.filtering import Selection

    return Choices(
        params=params,
        framing=framing,
        encoding=Encoding(modes=mode, protocol=protocol, vectors=tvec),
        selection=Selection(
            privileges=() if filter_privilege is None else tuple(filter_privilege.split(",")),
            symbols=filter_symbol,
            ranges=filter_range,
            start_at=start_at,
            stop_at=stop_at,
            causes=filter_cause,
            interrupts=filter_interrupts,
        ),
    )


#: Options of the verbs that write a trace, besides --params and --framing: one `choices`.
CHOICES = options.as_one("choices", _choices, (*_ENCODING, *_SELECTION))
