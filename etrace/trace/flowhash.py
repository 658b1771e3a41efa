"""The hash of a flow, whole and as far as each of a few hundred places: to find a change by halves.

It covers instructions with their privileges, and traps, pauses and gaps; not context and time, nor
how the packets told it. So traces of one run have one hash, whatever their configuration, unless a
loop of unknown length makes their flows differ.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etrace.kernels import flowhash as kernel
from etrace.kernels.flowhash import Hashed, Sizes
from etrace.trace.marks import TRAP, Marks, flow_marks, none
from specs.interfaces.flow import RUN, Flow
from specs.interfaces.records import words
from specs.isa.control import CodeMap

#: How the hash of a whole flow is written.
PREFIX = "flow:"
#: Instructions between two checkpoints at least, and checkpoints at most.
_EVERY, _MOST = 1 << 10, 512
_ROW = np.dtype([("end", "<u8"), ("hash", "<u8")])
#: Of a mark, what is mixed in, besides the position.
_FIELDS = ("kind", "epc", "tval", "cause", "interrupt", "epc_known", "reason", "address")
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SIZE = 16


@dataclass(frozen=True, eq=False)
class FlowHash:
    """`value`: hexadecimal, of the whole flow of so many `instructions` and `traps`. `checkpoints`:
    `end`, a number of instructions, and the `hash` of the flow so far; one about `every`
    instructions.
    """

    value: str
    instructions: int
    traps: int
    every: int
    checkpoints: npt.NDArray[np.void]

    def __str__(self) -> str:
        return PREFIX + self.value

    def same(self, other: "FlowHash") -> bool:
        """Whether both are of the same flow."""
        return self.value == other.value

    def part(self, other: "FlowHash") -> tuple[int, int]:
        """Between which numbers of instructions the flows part, found by halves."""
        every = max(self.every, other.every)
        mine, theirs = (_thinned(each.checkpoints, every) for each in (self, other))
        low, high = 0, min(len(mine), len(theirs))
        while low < high:  # all before `low` are equal, that at `high` is not
            middle = (low + high) // 2
            if mine[middle] == theirs[middle]:
                low = middle + 1
            else:
                high = middle
        begin = int(mine["end"][low - 1]) if low else 0
        ends = [int(each["end"][low]) for each in (mine, theirs) if low < len(each)]
        return begin, min(ends, default=max(self.instructions, other.instructions))

    def values(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "hash": self.value,
            "instructions": self.instructions,
            "traps": self.traps,
            "every": self.every,
            "checkpoints": b64encode(self.checkpoints.tobytes()).decode(),
        }


def from_values(values: Any) -> FlowHash:
    """A checked hash; raises ValueError, KeyError or TypeError on anything else."""
    if not isinstance(values, Mapping):
        raise ValueError("flow: a table was expected")
    value, every = values["hash"], values["every"]
    numbers = (values["instructions"], values["traps"], every)
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 1 << 63 for n in numbers):
        raise ValueError("flow: a number was expected")
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * _SIZE}}}", value):
        raise ValueError("flow: a hash was expected")
    if every < _EVERY or every & (every - 1):
        raise ValueError("flow: checkpoints at such distances cannot be")
    if not isinstance(values["checkpoints"], str):
        raise ValueError("flow: text was expected")
    data = b64decode(values["checkpoints"], validate=True)
    if len(data) % _ROW.itemsize or len(data) > _MOST * _ROW.itemsize:
        raise ValueError("flow: the checkpoints are damaged")
    checkpoints = np.frombuffer(data, _ROW)
    if (checkpoints["end"][1:] <= checkpoints["end"][:-1]).any():
        raise ValueError("flow: the checkpoints are not in order")
    return FlowHash(value, numbers[0], numbers[1], every, checkpoints)


def flow_hash(flows: Iterable[Flow], code: CodeMap) -> FlowHash:
    """The hash of a flow that comes in chunks; `code` is what it was decoded with."""
    hashing = _Hashing(code)
    for flow in flows:
        hashing.add(flow)
    return hashing.finish()


class _Hashing:
    def __init__(self, code: CodeMap) -> None:
        self._sizes = Sizes(code.region_base, code.region_end, code.region_slot, code.size)
        self._state = np.zeros(len(Hashed), np.uint64)
        self._every = _EVERY
        self._state[Hashed.EVERY] = self._state[Hashed.NEXT] = _EVERY
        self._marks = none()
        self._checkpoints = np.zeros(0, _ROW)
        self._instructions = self._traps = 0

    def add(self, flow: Flow) -> None:
        """The next chunk."""
        marks = flow_marks(flow, self._instructions)
        self._instructions += flow.instructions
        self._traps += int(np.count_nonzero(marks["kind"] == TRAP))
        self._marks = np.concatenate([self._marks, marks]) if len(self._marks) else marks
        found = np.zeros((len(flow.runs) + 1, 2), np.uint64)
        count = kernel.hash_runs(self._sizes, words(flow.runs, RUN), self._state, found)
        self._check(found[:count])

    def finish(self) -> FlowHash:
        """The hash."""
        found = np.zeros((1, 2), np.uint64)
        self._check(found[: kernel.close(self._state, found)])
        # all that is left stands at the end
        self._mix(np.full((1, 2), 1 << 63, np.uint64))
        whole = self._state[[Hashed.HASH, Hashed.INSTRUCTIONS, Hashed.MARKS]]
        value = hashlib.blake2b(whole.astype("<u8").tobytes(), digest_size=_SIZE).hexdigest()
        return FlowHash(value, self._instructions, self._traps, self._every, self._checkpoints)

    def _check(self, found: npt.NDArray[np.uint64]) -> None:
        """Keep checkpoints, not too many of them."""
        if not len(found):
            return
        rows = np.zeros(len(found), _ROW)
        rows["end"] = found[:, 0]
        rows["hash"] = found[:, 1] * _ODD + self._mix(found)
        self._checkpoints = np.concatenate([self._checkpoints, rows])
        while len(self._checkpoints) > _MOST:
            self._every *= 2
            self._checkpoints = _thinned(self._checkpoints, self._every)
            self._state[Hashed.EVERY] = self._every
            reached = int(self._state[Hashed.INSTRUCTIONS])
            self._state[Hashed.NEXT] = (reached // self._every + 1) * self._every

    def _mix(self, checkpoints: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Mix in the marks before these checkpoints; what their hash is at each."""
        rows = _rows(self._marks)
        hashes = np.zeros(len(checkpoints), np.uint64)
        taken = kernel.hash_marks(rows, self._state, checkpoints, hashes)
        self._marks = self._marks[taken:]
        return hashes


def _rows(marks: Marks) -> npt.NDArray[np.uint64]:
    rows = np.zeros((len(marks), 1 + len(_FIELDS)), np.uint64)
    for column, name in enumerate(("position", *_FIELDS)):
        rows[:, column] = marks[name]
    rows[marks["epc_known"] == 0, 1 + _FIELDS.index("epc")] = 0
    return rows


def _thinned(checkpoints: npt.NDArray[np.void], every: int) -> npt.NDArray[np.void]:
    """Those that would be there with so many instructions between them."""
    turn = checkpoints["end"] // np.uint64(every)
    before = np.concatenate([np.zeros(1, np.uint64), turn[:-1]])
    return checkpoints[turn > before]
