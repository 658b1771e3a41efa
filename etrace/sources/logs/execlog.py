"""The log of QEMU's plugin *execlog*: `CPU, 0xADDRESS, 0xWORD, "text"`, and accesses to memory.

A line is written before its instruction is executed: one that traps stands there, too. Traps and
privileges are not told.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import numpy as np

from etrace.errors import InputError
from etrace.kernels import logs as kernel
from etrace.kernels.logs import Form, Row
from etrace.sources.logs.text import Block, Log, quoted, rows_of
from etrace.trace.stretch import UNKNOWN_PRIV, Stretch

_LINE = re.compile(rb'\s*\d+, 0x[0-9a-fA-F]+, 0x[0-9a-fA-F]+, "')


def recognises(head: bytes) -> bool:
    """Whether a log begins so."""
    return _LINE.match(head) is not None


def log(head: bytes, blocks: Iterator[Block], name: str, hart: int) -> Log:
    """The log."""
    return Log(name, _stretches(blocks, name, hart), traps_told=False)


def _stretches(blocks: Iterator[Block], name: str, hart: int) -> Iterator[Stretch]:
    def wrong(line: bytes, number: int) -> NoReturn:
        raise InputError(
            f"{name}: line {number}: {quoted(line)} is not as execlog writes it: CPU, 0xADDRESS, "
            '0xWORD, "text"'
        )

    lines = partial(kernel.simulator, form=int(Form.EXECLOG))
    for block in blocks:
        rows = rows_of(block, lines, kernel.ROW, hart, wrong)
        yield Stretch(
            rows[:, Row.ADDRESS].copy(),
            np.full(len(rows), UNKNOWN_PRIV, np.uint8),
            words=rows[:, Row.WORD].astype(np.uint32),
        )
