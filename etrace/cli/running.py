"""What the verbs that run a program share: options, the guest's console, plugins' reports."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from etrace.cli import options as options_
from etrace.cli import say
from etrace.errors import InputError
from etrace.stdio import discard_output

if TYPE_CHECKING:
    from etrace.analyses.cause import Account
    from etrace.cli.progress import ProgressLine
    from etrace.plugins.plugin import Loaded
    from etrace.recording.signature import Signature
    from etrace.trace.program import Code


def _regions(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """`BASE:SIZE`, with 0x and the suffixes K, M, G."""
    return tuple(_region(value) for value in values)


def _region(text: str) -> tuple[int, int]:
    base, _, size = text.partition(":")
    try:
        region = _number(base), _number(size)
    except ValueError:
        raise click.BadParameter(f"{text}: must be BASE:SIZE, as in 0x80000000:128M") from None
    if not 0 <= region[0] < 1 << 64 or not 0 < region[1] <= 1 << 34:
        raise click.BadParameter(f"{text}: the base must fit 64 bits, the size 1 to 16G")
    return region


_SUFFIXES = {"K": 10, "M": 20, "G": 30}


def _number(text: str) -> int:
    shift = _SUFFIXES.get(text[-1:].upper(), 0)
    return int(text[:-1] if shift else text, 0) << shift


def _tohost(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> int | Literal["none"] | None:
    """An address, or the word that there is none."""
    if text is None or text == "none":
        return None if text is None else "none"
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if not 0 <= address < 1 << 64:
        raise click.BadParameter(f"{text[:40]}: must be an address, as 0x80001000, or none")
    return address


def _size(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Bytes, with the suffixes K, M, G."""
    if text is None:
        return None
    try:
        size = _number(text)
    except ValueError:
        size = 0
    if size < 1:
        raise click.BadParameter(f"{text}: must be a number of bytes, as in 500M or 2G")
    return size


MAX_SIZE = click.option(
    "--max-size",
    callback=_size,
    metavar="SIZE",
    help="End the trace when it has more bytes than this, as 500M or 2G.",
)
PLUGIN = click.option(
    "--plugin",
    multiple=True,
    metavar="FILE.py[:ARGS]",
    help="Attach a plugin: a file, or traps, handler_time, trace_all. May be repeated.",
)
SEMIHOSTING = click.option(
    "--semihosting",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Serve host calls, with the files of this directory.",
)
_OPTIONS = (
    click.option(
        "--isa", metavar="ISA", help="Only this, as rv64imac_zicsr_zifencei [all the hart can do]."
    ),
    click.option(
        "--modes",
        type=click.Choice(["M", "MU", "MSU"]),
        help="Privilege modes of the hart [those that --isa names, or all].",
    ),
    click.option(
        "--platform",
        type=click.Choice(["spike"]),
        default="spike",
        show_default=True,
        help="Boot ROM, CLINT, HTIF as on this simulator.",
    ),
    click.option(
        "--memory",
        callback=_regions,
        multiple=True,
        metavar="BASE:SIZE",
        help="RAM, besides what the ELF wants.",
    ),
    click.option(
        "--max-instructions",
        type=options_.Count(1),
        metavar="N",
        help="Stop after N instructions (10M: ten million).",
    ),
    click.option("--console/--no-console", default=True, help="Show what the guest prints [on]."),
    SEMIHOSTING,
    click.option(
        "--cmdline", metavar="TEXT", help="Command line for host calls [the program's name]."
    ),
    click.option(
        "--tohost",
        callback=_tohost,
        metavar="ADDRESS|none",
        help="Where the program writes its exit code [its symbol tohost].",
    ),
    click.option(
        "--harts",
        type=click.IntRange(1, 8),
        default=1,
        show_default=True,
        metavar="N",
        help="Run N harts, in turns; each is a source of its own in the trace.",
    ),
    click.option(
        "--quantum",
        type=options_.Count(1),
        metavar="N",
        help="Instructions of a hart's turn, of several [10000].",
    ),
)


_TELLING = (
    click.option(
        "--context-csr",
        metavar="CSR",
        help="Each write to this register, by name or number, is a new context.",
    ),
    click.option(
        "--context-type",
        type=click.IntRange(1, 3),
        default=2,
        show_default=True,
        help="ctype: report contexts imprecisely, precisely, or as a discontinuity.",
    ),
    click.option(
        "--time",
        "time_source",
        type=click.Choice(["instret", "mtime", "cycles"]),
        help="Tell the encoder this time.",
    ),
    click.option(
        "--time-every",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        metavar="N",
        help="Tell it every N instructions, besides at traps and contexts.",
    ),
    click.option(
        "--trigger",
        multiple=True,
        metavar="on|off|notify@PLACE",
        help="Set a debug trigger at a symbol or address; notify@store:PLACE (or load:, access:) "
        "for data. May be repeated.",
    ),
    click.option(
        "--trace-window",
        multiple=True,
        metavar="SKIP:COUNT",
        help="Trace only COUNT instructions behind the first SKIP. May be repeated.",
    ),
)


def _run(
    isa: str | None,
    modes: str | None,
    platform: str,
    memory: tuple[tuple[int, int], ...],
    max_instructions: int | None,
    semihosting: Path | None,
    cmdline: str | None,
    tohost: int | Literal["none"] | None,
    harts: int,
    quantum: int | None,
    context_csr: str | None,
    context_type: int,
    time_source: str | None,
    time_every: int,
    trigger: tuple[str, ...],
    trace_window: tuple[str, ...],
) -> Any:
    from etrace.recording.choices import Run
    from etrace.recording.sideband import Telling

    return Run(
        isa=isa,
        modes=modes,
        platform=platform,
        memory=memory,
        max_instructions=max_instructions,
        semihosting=semihosting,
        cmdline=cmdline,
        tohost=tohost,
        harts=harts,
        quantum=quantum,
        telling=Telling(
            context_csr=context_csr,
            context_type=context_type,
            time=time_source,
            time_every=time_every,
            triggers=trigger,
            windows=trace_window,
        ),
    )


#: Options of the verbs that run a program: one `run`, and `console`.
RUN = options_.as_one("run", _run, (*_OPTIONS, *_TELLING))


def _signature(
    signature: str | None, signature_granularity: str | None
) -> "Callable[[Code], Signature | None]":
    """What finds it in the program."""

    def of(code: "Code") -> "Signature | None":
        from etrace.recording.signature import DEFAULT_GRANULARITY, Signature

        if signature is None:
            if signature_granularity is not None:
                raise InputError("--signature-granularity: is for --signature FILE")
            return None
        return Signature.of(code, signature, int(signature_granularity or DEFAULT_GRANULARITY))

    return of


#: Options of the verbs that write the signature of a compliance program: `signature` finds it.
SIGNATURE = options_.as_one(
    "signature",
    _signature,
    (
        click.option(
            "--signature",
            metavar="FILE",
            help="When the program has ended, write what it left between begin_signature and "
            "end_signature; - for standard output.",
        ),
        click.option(
            "--signature-granularity",
            type=click.Choice(["1", "2", "4", "8", "16"]),
            help="Bytes of the signature a line [4].",
        ),
    ),
)


def say_no_signature(signature: "Signature | None", written: bool) -> bool:
    """On standard error that one was wanted and could not be written; whether that is so."""
    if signature is None or written:
        return False
    say(f"{signature.file}: no signature written: the program was stopped before its end")
    return True


def say_wishes(code: "Code", isa: str | None) -> None:
    """On standard error, what the programs were built for and the hart has not."""
    for text in code.wishes(isa):
        say(text)


class Console:
    """Shows what the guest prints, on standard output or (not to spoil that) standard error.

    Where nobody reads it any more the guest goes on unheard: its exit code is still wanted.
    """

    def __init__(self, to_stderr: bool, progress: "ProgressLine | None" = None) -> None:
        self._terminal = sys.stderr.buffer if to_stderr else sys.stdout.buffer
        self._progress = progress
        self._gone = False

    def __call__(self, data: bytes) -> None:
        if self._progress is not None:
            self._progress.clear()
        if self._gone:
            return
        try:
            self._terminal.write(data)
            self._terminal.flush()
        except BrokenPipeError:
            self._gone = True
            if self._terminal is sys.stdout.buffer:
                discard_output()


def warning(progress: "ProgressLine") -> Callable[[str], None]:
    """A function that says a line on standard error, not into the progress line."""

    def warn(text: str) -> None:
        progress.clear()
        say(text)

    return warn


def show_account(account: "Account", digits: int) -> None:
    """Why a run ended as it did, below the line that says that it did."""
    with suppress(OSError):
        print("\n".join(account.lines(digits)), file=sys.stderr, flush=True)


def show_reports(plugins: "Sequence[Loaded]") -> None:
    """What the plugins have to say, on standard error; raises `PluginError`."""
    for plugin in plugins:
        print(plugin.report(), end="", file=sys.stderr, flush=True)
