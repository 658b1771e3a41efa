"""Logs of program counters, from other simulators and from `etrace decode`: a file a format.

`open_log` tells the format by the first lines, and gives stretches of instructions as they are
read. What a format does not tell (privileges, traps, words) it says.
"""

from collections.abc import Iterator
from itertools import chain
from types import ModuleType

from etrace.errors import InputError, os_error
from etrace.expand import expanded
from etrace.files import MAX_LINE, open_input, shown
from etrace.sources.logs import csv, execlog, pcs, spike
from etrace.sources.logs.text import HEAD, Log, blocks
from etrace.trace.stretch import Stretch

#: By name, in the order in which they are tried.
FORMATS: dict[str, ModuleType] = {"csv": csv, "spike": spike, "execlog": execlog, "pc": pcs}


def open_log(path: str, xlen: int = 64, hart: int = 0) -> Log:
    """The log `path` (gzip, xz; `-`: standard input), streaming; of several harts, that of `hart`.

    `xlen`: addresses of 32 bits may be printed sign-extended. Raises `InputError` naming file and
    line, also while the stretches are read.
    """
    name = shown(path)
    text = blocks(path)
    first = next(text, None)
    if first is None:
        raise InputError(f"{name}: empty file; a log of program counters was expected")
    format_ = _format(first.data[:HEAD])
    if format_ is None:
        line = first.data.split(b"\n", 1)[0][:60]
        raise InputError(
            f"{name}: line 1: {line.decode('latin-1')!a} begins no log that is known: a pc "
            "trace (VALID,ADDRESS,...), Spike's -l or --log-commits, QEMU's execlog, or a list of "
            "hexadecimal addresses"
        )
    log: Log = format_.log(first.data[:HEAD], chain([first], text), name, hart)
    log.stretches = _cut(log.stretches, xlen)
    return log


def _cut(stretches: Iterator[Stretch], xlen: int) -> Iterator[Stretch]:
    """Addresses of `xlen` bits."""
    for stretch in stretches:
        if xlen == 32:
            stretch.pcs &= 0xFFFF_FFFF
            for name in ("epc", "tval"):
                stretch.traps[name] &= 0xFFFF_FFFF
        yield stretch


def is_log(path: str) -> bool:
    """Whether the file `path` begins as a log does. Raises `InputError` if it cannot be read."""
    with open_input(path) as file:
        contents, head = expanded(file, path), b""
        try:
            while len(head) < MAX_LINE:
                if not (more := contents.read(MAX_LINE)):
                    head += b"\n"  # that the last line may lack
                    break
                head += more
        except OSError as error:
            raise os_error(path, error) from None
    return _format(head) is not None


def _format(head: bytes) -> ModuleType | None:
    return next((each for each in FORMATS.values() if each.recognises(head)), None)
