"""Options for what is traced."""

import functools
from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
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


def selecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options for filters, handed over as one `selection`. All that is given has to hold."""

    @functools.wraps(function)
    def with_selection(
        *arguments: Any,
        filter_privilege: str | None,
        filter_symbol: tuple[str, ...],
        filter_range: tuple[str, ...],
        start_at: str | None,
        stop_at: str | None,
        filter_cause: tuple[str, ...],
        filter_interrupts: bool,
        **others: Any,
    ) -> Any:
        from etrace.recording.filtering import Selection

        selection = Selection(
            privileges=() if filter_privilege is None else tuple(filter_privilege.split(",")),
            symbols=filter_symbol,
            ranges=filter_range,
            start_at=start_at,
            stop_at=stop_at,
            causes=filter_cause,
            interrupts=filter_interrupts,
        )
        return function(*arguments, selection=selection, **others)

    decorated: Callable[..., Any] = with_selection
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
