"""Spike's logs: `-l` (what is executed, and traps), `--log-commits` (what has retired), and both.

With `-l` a line stands for an instruction before it is executed; one that traps is followed by its
exception. With `--log-commits` alone traps are not told; with `-l` alone privileges are not.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from etrace.errors import InputError
from etrace.kernels import logs as kernel
from etrace.kernels.logs import Form, Kind, Row
from etrace.sources.logs.text import Block, Log, Rows, quoted, rows_of
from etrace.trace.stretch import EVENT, UNKNOWN_PRIV, Stretch

_LINE = re.compile(rb"(?:\s*>>>>[^\n]*\n)*\s*core\s+\d+: ")
_SHOWN = re.compile(rb"^[ \t]*core[ \t]+\d+: 0x", re.MULTILINE)
_RETIRED = re.compile(rb"^[ \t]*core[ \t]+\d+: \d+ 0x", re.MULTILINE)

#: Rows that are held back at most, until it is known how often an instruction was executed; and
#: instructions given at a time that are said to have been.
_MOST_HELD, _PIECE = 4096, 1 << 16

#: Causes by the names that Spike gives them; the numbers are those of the privileged architecture.
_CAUSES = {
    "trap_instruction_address_misaligned": 0,
    "trap_instruction_access_fault": 1,
    "trap_illegal_instruction": 2,
    "trap_breakpoint": 3,
    "trap_load_address_misaligned": 4,
    "trap_load_access_fault": 5,
    "trap_store_address_misaligned": 6,
    "trap_store_access_fault": 7,
    "trap_user_ecall": 8,
    "trap_supervisor_ecall": 9,
    "trap_virtual_supervisor_ecall": 10,
    "trap_machine_ecall": 11,
    "trap_instruction_page_fault": 12,
    "trap_load_page_fault": 13,
    "trap_store_page_fault": 15,
    "trap_double_trap": 16,
    "trap_software_check": 18,
    "trap_hardware_error": 19,
    "trap_instruction_guest_page_fault": 20,
    "trap_load_guest_page_fault": 21,
    "trap_virtual_instruction": 22,
    "trap_store_guest_page_fault": 23,
}


def recognises(head: bytes) -> bool:
    """Whether a log begins so."""
    return _LINE.match(head) is not None


def log(head: bytes, blocks: Iterator[Block], name: str, hart: int) -> Log:
    """The log."""
    retired = _RETIRED.search(head) is not None
    return Log(
        name,
        _Reader(name, hart, retired).stretches(blocks),
        traps_told=_SHOWN.search(head) is not None,
    )


class _Reader:
    def __init__(self, name: str, hart: int, retired: bool) -> None:
        self._name = name
        self._hart = hart
        #: There are lines for what has retired: those before execution are passed over.
        self._retired = retired
        self._position = 0
        self._left: Rows = np.zeros((0, kernel.ROW), np.uint64)

    def stretches(self, blocks: Iterator[Block]) -> Iterator[Stretch]:
        """What the log tells, block by block."""
        lines = partial(kernel.simulator, form=int(Form.SPIKE))
        for block in blocks:
            rows = rows_of(block, lines, kernel.ROW, self._hart, self._wrong)
            self._name_causes(rows, block)
            rows = np.concatenate([self._left, rows])
            settled = self._settled(rows)
            self._left = rows[settled:].copy()
            yield from self._parts(rows[:settled], rows[settled : settled + 1])
        yield from self._parts(self._left, self._left[:0])

    def _settled(self, rows: Rows) -> int:
        """How many rows there are that no later line tells more about."""
        if self._retired:
            return max(len(rows) - 1, 0)
        shown = np.flatnonzero(rows[:, Row.KIND] == Kind.SHOWN)
        last = int(shown[-1]) if len(shown) else 0
        return last if len(rows) - last < _MOST_HELD else len(rows) - 1

    def _parts(self, rows: Rows, following: Rows) -> Iterator[Stretch]:
        """Stretches of these rows. What is said to have been executed more often comes in pieces:
        behind the instruction, before what interrupted it."""
        begin = 0
        again = np.flatnonzero(rows[:, Row.KIND] == Kind.REPEATED)
        for at in [] if self._retired else again.tolist():
            shown = np.flatnonzero(rows[begin:at, Row.KIND] == Kind.SHOWN)
            if not len(shown):
                continue
            end = begin + int(shown[-1]) + 1
            yield self._stretch(rows[begin:end], rows[end : end + 1])
            left = int(rows[at, Row.ADDRESS]) - _not_retired(rows[end - 1 : at])
            while left > 0:
                count = min(left, _PIECE)
                self._position += count
                yield Stretch(
                    np.full(count, rows[end - 1, Row.ADDRESS], np.uint64),
                    np.full(count, UNKNOWN_PRIV, np.uint8),
                    words=np.full(count, rows[end - 1, Row.WORD], np.uint32),
                )
                left -= count
            begin = end
        yield self._stretch(rows[begin:], following)

    def _wrong(self, line: bytes, number: int) -> NoReturn:
        raise InputError(
            f"{self._name}: line {number}: {quoted(line)} is not as Spike writes it with -l or "
            "--log-commits: core N: 0xADDRESS (0xWORD) text"
        )

    def _name_causes(self, rows: Rows, block: Block) -> None:
        """Numbers instead of the names of causes."""
        where = np.flatnonzero(rows[:, Row.KIND] == Kind.EXCEPTION)
        _, first, which = np.unique(rows[where, Row.NAME], return_index=True, return_inverse=True)
        causes = []
        for begin in rows[where[first], Row.NAME_AT].tolist():
            end = block.data.index(b"\n", begin)
            causes.append(self._cause(block.data[begin:end].split(b",")[0], block, begin))
        rows[where, Row.NAME] = np.array(causes, np.uint64)[which]

    def _cause(self, text: bytes, block: Block, at: int) -> int:
        name = text.decode("latin-1")
        number = name.removeprefix("trap #")
        if name in _CAUSES:
            return _CAUSES[name]
        if number != name and number.isdecimal() and len(number) < 10:
            return int(number)
        line = block.lines + block.data[:at].count(b"\n") + 1
        raise InputError(f"{self._name}: line {line}: {quoted(text)} is no exception that is known")

    def _stretch(self, rows: Rows, following: Rows) -> Stretch:
        """`following`: the row behind, if it is known."""
        kinds = rows[:, Row.KIND]
        ahead = np.concatenate([rows[1:], following])
        instructions = kinds == (Kind.RETIRED if self._retired else Kind.SHOWN)
        if not self._retired:
            # what is followed by its exception has not retired
            both = len(ahead)
            instructions[:both] &= ~(
                (ahead[:, Row.KIND] == Kind.EXCEPTION)
                & (ahead[:, Row.ADDRESS] == rows[:both, Row.ADDRESS])
            )
        before = np.cumsum(instructions) - instructions + self._position
        trapped = (kinds == Kind.EXCEPTION) | (kinds == Kind.INTERRUPT)
        traps = self._traps(rows, ahead, trapped, before)
        self._position += int(np.count_nonzero(instructions))
        kept = rows[instructions]
        privs = kept[:, Row.PRIV].astype(np.uint8)
        return Stretch(
            kept[:, Row.ADDRESS].copy(), privs, traps, kept[:, Row.WORD].astype(np.uint32)
        )

    def _traps(
        self,
        rows: Rows,
        ahead: Rows,
        trapped: npt.NDArray[np.bool_],
        before: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.void]:
        traps = np.zeros(int(np.count_nonzero(trapped)), EVENT)
        traps["position"] = before[trapped]
        traps["epc"] = rows[trapped, Row.ADDRESS]
        traps["cause"] = rows[trapped, Row.NAME]
        traps["interrupt"] = rows[trapped, Row.KIND] == Kind.INTERRUPT
        traps["priv"] = UNKNOWN_PRIV
        traps["epc_known"] = 1
        places = np.flatnonzero(trapped)
        inside = places < len(ahead)
        behind = ahead[places[inside]]
        told = behind[:, Row.KIND] == Kind.TVAL
        values = np.where(told, behind[:, Row.ADDRESS], 0).astype(np.uint64)
        traps["tval"][inside] = values
        return traps


def _not_retired(rows: Rows) -> int:
    """Of the times that the first of `rows` was executed, those that trapped; and the one that its
    own row stands for, if that one has retired."""
    trapped = (rows[1:, Row.KIND] == Kind.EXCEPTION) & (
        rows[1:, Row.ADDRESS] == rows[0, Row.ADDRESS]
    )
    return int(np.count_nonzero(trapped)) + (0 if trapped[:1].any() else 1)
