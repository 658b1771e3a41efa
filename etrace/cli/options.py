"""Options that several verbs share."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from etrace.files import INPUT_FORMATS

if TYPE_CHECKING:
    from etrace.trace.reading import Reading

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

#: Decimal, unlike sizes of memory.
_COUNTS = {"K": 10**3, "M": 10**6, "G": 10**9}
_MOST = (1 << 63) - 1


class Count(click.ParamType[int]):
    """A number of instructions, at least `least`: 10000000, 10_000_000 or 10M."""

    name = "count"

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        factor = _COUNTS.get(text[-1:].upper(), 1)
        digits = text[:-1] if factor > 1 else text
        plain = digits.replace("_", "")
        number = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 20 else -1
        if not self._least <= number * factor <= _MOST:
            self.fail(
                f"{text[:40]!r}: must be a number from {self._least:,} on, as 5000, 10k, 10M or 1G",
                param,
                ctx,
            )
        return number * factor


def as_one(name: str, make: Callable[..., Any], options: Iterable[Decorator]) -> Decorator:
    """`options`, handed over as one argument `name`: what `make`, whose parameters bear their
    names, makes of them."""
    keys = tuple(inspect.signature(make).parameters)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gathered(*arguments: Any, **given: Any) -> Any:
            mine = {key: given.pop(key) for key in keys}
            return function(*arguments, **{name: make(**mine)}, **given)

        decorated: Callable[..., Any] = gathered
        for option in reversed(tuple(options)):
            decorated = option(decorated)
        return decorated

    return decorate


PARAMS = click.option(
    "--params", metavar="FILE.toml", help="Parameter file (see `etrace params new`)."
)
FRAMING = click.option(
    "--framing",
    type=click.Choice(["encap", "reference"]),
    help="Framing, whatever the parameter file says.",
)
RAW = click.option("--raw", is_flag=True, help="Write the bare packet stream, without a header.")
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
ELF = click.option(
    "--elf", multiple=True, metavar="ELF", help="Program (default: what the trace names)."
)
IMAGE = click.option(
    "--image", multiple=True, metavar="ADDRESS:FILE", help="Binary image in program memory."
)
FORCE = click.option(
    "--force", is_flag=True, help="Accept a program that is not the one that was traced."
)
PLATFORM = click.option(
    "--platform",
    type=click.Choice(["spike"]),
    help="Whose boot ROM ran, for a bare packet stream.",
)


def _pointer(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "auto":
        return value
    try:
        return int(value, 0)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no number; without a pointer write --ring=auto, or put --ring last"
        ) from None


INPUT_FORMAT = click.option(
    "--input-format",
    type=click.Choice(INPUT_FORMATS),
    default="auto",
    help="How FILE has the stream's bytes: as they are, Intel HEX, S-records (auto tells these), "
    "or with those of each word swapped.",
)
RING = click.option(
    "--ring",
    is_flag=False,
    flag_value="auto",
    metavar="[POINTER]",
    callback=_pointer,
    help="FILE is the dump of a ring buffer: put it in order, from the write pointer, or from "
    "where the packets break off.",
)


HART = click.option(
    "--hart", type=click.IntRange(min=0), metavar="N", help="Only this hart, of a trace of several."
)


def output(help_text: str, required: bool = False) -> Decorator:
    """The `-o` option; `-` is standard output, and the default unless `required`."""
    names = ("-o", "--output")
    if required:
        return click.option(*names, metavar="FILE", help=help_text, required=True)
    return click.option(*names, metavar="FILE", help=help_text, default="-")


def reading(
    trace: str,
    elf: tuple[str, ...],
    image: tuple[str, ...],
    params: str | None,
    platform: str | None,
    force: bool,
    input_format: str,
    ring: int | str | None,
    hart: int | None,
) -> "Reading":
    """What these options say is to be read."""
    from etrace.trace.dumps import Dump
    from etrace.trace.reading import Reading

    return Reading(
        trace=trace,
        elf=elf,
        image=image,
        params=params,
        platform=platform,
        force=force,
        dump=Dump(input_format, ring),
        hart=hart,
    )


STREAM_PARAMS = click.option("--params", metavar="FILE.toml", help="Parameters, for a bare stream.")

#: Argument and options of the verbs that read a trace: one `reading`.
READING = as_one(
    "reading",
    reading,
    (
        click.argument("trace", metavar="FILE"),
        ELF,
        IMAGE,
        STREAM_PARAMS,
        PLATFORM,
        FORCE,
        INPUT_FORMAT,
        RING,
        HART,
    ),
)


def stdout_is_shared(path: str) -> bool:
    """Whether `path` is standard output, so that nothing else may be printed there."""
    return path == "-"


def command_line() -> tuple[str, ...]:
    """The command as typed, for the trace file's header."""
    return ("etrace", *sys.argv[1:])
