"""Logs of program counters, from other simulators and from `etrace decode`: a file a format.

`open_log` tells the format by the first lines, and gives stretches of instructions as they are
read. What a format does not tell (privileges, traps, words) it says.
"""

from itertools import chain
from types import ModuleType

from etrace.errors import InputError, os_error
from etrace.expand import expanded
from etrace.files import open_input, shown
from etrace.sources.logs import csv, execlog, pcs, spike
from etrace.sources.logs.text import HEAD, Block, Log, blocks, narrow

#: By name, in the order in which they are tried.
FORMATS: dict[str, ModuleType] = {"csv": csv, "spike": spike, "execlog": execlog, "pc": pcs}


def open_log(path: str, xlen: int = 64, hart: int = 0, name: str | None = None) -> Log:
    """The log `path` (gzip, xz; `-`: standard input), streaming; of several harts, that of `hart`.

    `xlen`: addresses of 32 bits may be printed sign-extended. `name`: what messages call it, if not
    by its path. Raises `InputError` naming file and line, also while the stretches are read.
    """
    name = shown(path) if name is None else name
    text = blocks(path, name)
    ahead: list[Block] = []
    while sum(len(each.data) for each in ahead) < HEAD and (block := next(text, None)):
        ahead.append(block)
    if not ahead:
        raise InputError(f"{name}: empty file; a log of program counters was expected")
    head = b"".join(each.data for each in ahead)[:HEAD]
    format_ = _format(head)
    if format_ is None:
        line = head.split(b"\n", 1)[0][:60]
        raise InputError(
            f"{name}: line 1: {line.decode('latin-1')!a} begins no log that is known: a pc "
            "trace (VALID,ADDRESS,...), Spike's -l or --log-commits, QEMU's execlog, or a list of "
            "hexadecimal addresses"
        )
    log: Log = format_.log(head, chain(ahead, text), name, hart)
    log.stretches = narrow(log.stretches, xlen)
    return log


def is_log(path: str, name: str | None = None) -> bool:
    """Whether the file `path` begins as a log does. Raises `InputError` if it cannot be read."""
    name = shown(path) if name is None else name
    with open_input(path) as file:
        head = b""
        try:
            contents = expanded(file, name)
            while len(head) < HEAD:
                if not (more := contents.read(HEAD)):
                    head += b"" if head.endswith(b"\n") else b"\n"
                    break
                head += more
        except OSError as error:
            raise os_error(name, error) from None
    return _format(head[:HEAD]) is not None


def _format(head: bytes) -> ModuleType | None:
    return next((each for each in FORMATS.values() if each.recognises(head)), None)
