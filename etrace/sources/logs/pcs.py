"""A list of addresses: one hexadecimal number a line, as `etrace decode --format pc` writes it."""

import re
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import numpy as np

from etrace.errors import InputError
from etrace.kernels import logs as kernel
from etrace.sources.logs.text import Block, Log, quoted, rows_of
from etrace.trace.stretch import UNKNOWN_PRIV, Stretch

#: The only column.
_ONE = np.zeros(1, np.int64)
_LINES = re.compile(rb"[0-9a-fA-F]{1,16}\r?\n(?:[0-9a-fA-F]{0,16}\r?\n)*")


def recognises(head: bytes) -> bool:
    """Whether a log begins so."""
    whole = head[: head.rfind(b"\n") + 1]
    return bool(whole) and _LINES.fullmatch(whole) is not None


def log(head: bytes, blocks: Iterator[Block], name: str, hart: int) -> Log:
    """The log. It tells neither privileges nor traps."""
    return Log(name, _stretches(blocks, name), traps_told=False, words_told=False)


def _stretches(blocks: Iterator[Block], name: str) -> Iterator[Stretch]:
    def wrong(line: bytes, number: int) -> NoReturn:
        raise InputError(f"{name}: line {number}: {quoted(line)} is not a hexadecimal address")

    for block in blocks:
        pcs = rows_of(block, partial(kernel.numbers, wanted=_ONE), 1, 0, wrong)[:, 0].copy()
        yield Stretch(pcs, np.full(len(pcs), UNKNOWN_PRIV, np.uint8))
