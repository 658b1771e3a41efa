"""How a run ended: its last instructions, and the traps that nothing has returned from.

Both are kept while blocks of a running hart, or the flow of a decoded trace, pass by: in little
memory, and with nothing per instruction in Python.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from etrace.trace.stretch import positions
from specs.interfaces.flow import Ended, Flow
from specs.interfaces.ingress import CODE_BITS, CODE_MASK, SIDEBAND_CODE, Chunk
from specs.isa.control import CodeMap
from specs.isa.itype import Itype
from specs.trace.passages import expanded, first_rows

#: Plain numbers: looking an enumeration up takes longer than what is done with them.
_EXCEPTION, _INTERRUPT = int(Itype.EXCEPTION), int(Itype.INTERRUPT)
_RETURN, _SIDEBAND = int(Itype.TRAP_RETURN), int(SIDEBAND_CODE)

#: Instructions kept.
LAST = 16
#: Traps kept that differ from the one before.
_MOST_FOLDS = 64
#: Bytes from an instruction that is tried out to where the program goes on.
_RIGHT_BEHIND = 64
#: References looked at first, for the last blocks.
_WINDOW = 256

#: A trap. `entry`: where it led, the first instruction of its handler. `number`: instructions
#: before it, -1 if they were not counted.
TRAP = np.dtype(
    [
        ("epc", "<u8"),
        ("tval", "<u8"),
        ("cause", "<u8"),
        ("entry", "<u8"),
        ("number", "<i8"),
        ("interrupt", "u1"),
        ("epc_known", "u1"),
        ("entry_known", "u1"),
        ("pad", "V5"),
    ]
)
_NO_TRAPS = np.zeros(0, TRAP)
_SAME = ("epc", "tval", "cause", "interrupt", "epc_known")


@dataclass(frozen=True)
class Fold:
    """The same trap, `times` in a row. `epc`, `entry`: None where that is not known; `number`:
    instructions before the first of them, -1 if they were not counted."""

    interrupt: bool
    cause: int
    tval: int
    epc: int | None
    entry: int | None
    times: int = 1
    number: int = -1

    @property
    def tried_out(self) -> bool:
        """Whether it led to right behind the instruction that trapped."""
        if self.epc is None or self.entry is None:
            return False
        return 0 < self.entry - self.epc <= _RIGHT_BEHIND

    def same(self, other: "Fold") -> bool:
        """Whether `other` is the same trap again."""
        return (self.interrupt, self.cause, self.tval, self.epc) == (
            (other.interrupt, other.cause, other.tval, other.epc)
        )

    def again(self, times: int) -> "Fold":
        """This trap, that often."""
        return replace(self, times=times)


@dataclass(frozen=True)
class Ran:
    """Instructions in a row, from `start` on: `half_words` of them."""

    start: int
    half_words: int


@dataclass(frozen=True)
class Pcs:
    """Instructions at these addresses."""

    pcs: tuple[int, ...]


@dataclass(frozen=True)
class Break:
    """What is not in a trace, in words."""

    text: str


Item = Fold | Ran | Pcs | Break


class History(Protocol):
    """The end of a run, as it is known so far."""

    @property
    def chain(self) -> list[Fold]:
        """The traps that nothing has returned from, the first one first."""

    def items(self) -> list[Item]:
        """The last instructions, `LAST` or more if there are so many, with the traps between."""


def folded(rows: npt.NDArray[np.void]) -> list[Fold]:
    """`rows` (`TRAP`), equal neighbours as one; of many only the first and the last."""
    if not len(rows):
        return []
    changes = np.zeros(len(rows) - 1, bool)
    for name in _SAME:
        changes |= rows[name][1:] != rows[name][:-1]
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    times = np.diff(starts, append=len(rows))
    kept = np.arange(len(starts))
    if len(kept) > _MOST_FOLDS:
        kept = np.concatenate([kept[:1], kept[1 - _MOST_FOLDS :]])
    return [
        Fold(
            bool(row["interrupt"]),
            int(row["cause"]),
            int(row["tval"]),
            int(row["epc"]) if row["epc_known"] else None,
            int(row["entry"]) if row["entry_known"] else None,
            count,
            int(row["number"]),
        )
        for row, count in zip(rows[starts[kept]], times[kept].tolist(), strict=True)
    ]


def append(folds: list[Fold], fold: Fold) -> None:
    """One more at the end; of many only the first and the last are kept."""
    if folds and folds[-1].same(fold):
        folds[-1] = folds[-1].again(folds[-1].times + fold.times)
    else:
        folds.append(fold)
    if len(folds) > _MOST_FOLDS:
        del folds[1]


class _Chain:
    """Traps that nothing has returned from, innermost last.

    Start-up code tries out registers so: the trap vector to a label right behind, and later to
    where it belongs. Such a trap is done with, though no xRET followed.
    """

    def __init__(self) -> None:
        self.folds: list[Fold] = []
        self._entry: int | None = None

    def clear(self) -> None:
        """Nothing is known of what was before."""
        self.folds.clear()
        self._entry = None

    def leave(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Traps and returns in order: 1 and -1 in `steps`. Which of the traps stay open: they are
        what `enter` is to be told."""
        if not len(steps):
            return np.zeros(0, bool)
        depth = np.cumsum(steps)
        self._leave(max(0, -int(depth.min())))
        lowest = np.minimum.accumulate(depth[::-1])[::-1]
        return np.asarray((lowest >= depth)[steps > 0])

    def enter(self, rows: npt.NDArray[np.void]) -> None:
        """Traps (`TRAP`) that stay open."""
        for fold in folded(rows):
            self._enter(fold)

    def led_to(self, address: int) -> None:
        """Where the last trap led, if that was not known with it."""
        if self.folds and self.folds[-1].entry is None:
            self._enter(replace(self.folds.pop(), entry=address))

    def _enter(self, fold: Fold) -> None:
        # A vectored interrupt has an entry of its own.
        if not fold.interrupt and fold.entry is not None:
            if self._entry not in (None, fold.entry) and self.folds[-1].tried_out:
                self.folds.clear()
            self._entry = fold.entry
        append(self.folds, fold)

    def _leave(self, returns: int) -> None:
        while returns and self.folds:
            last = self.folds.pop()
            if last.times > returns:
                self.folds.append(last.again(last.times - returns))
            returns -= min(returns, last.times)
        if not self.folds:
            self._entry = None


@dataclass
class _Piece:
    """The end of a chunk: references, and the rows of those that are blocks and traps."""

    refs: npt.NDArray[np.uint32]
    blocks: npt.NDArray[np.void]
    traps: npt.NDArray[np.void]

    def items(self) -> list[Item]:
        codes = self.refs & CODE_MASK
        traps = np.flatnonzero((codes == _EXCEPTION) | (codes == _INTERRUPT))
        places = np.flatnonzero(_are_blocks(codes))
        cuts = np.searchsorted(traps, places)
        found: list[Item] = []
        begin = 0
        for block, cut in zip(self.blocks, cuts.tolist(), strict=True):
            found += folded(self.traps[begin:cut])
            found.append(Ran(int(block["iaddr"]), int(block["iretire"])))
            begin = cut
        return found + list(folded(self.traps[begin:]))


class ChunkHistory:
    """Fed with what a hart retires."""

    def __init__(self) -> None:
        self._chain = _Chain()
        self._pieces: list[_Piece] = []

    def feed(self, chunk: Chunk) -> None:
        """The next chunk; nothing of it is needed afterwards."""
        if not len(chunk.refs):
            return
        # nothing traps or returns within a passage
        self._follow_traps(replace(chunk, refs=first_rows(chunk)))
        self._keep_end(chunk)

    @property
    def chain(self) -> list[Fold]:
        return list(self._chain.folds)

    def items(self) -> list[Item]:
        return [item for piece in self._pieces for item in piece.items()]

    def _follow_traps(self, chunk: Chunk) -> None:
        if not len(chunk.traps) and not self._chain.folds:
            return
        codes = chunk.refs.astype(np.uint8) & np.uint8(CODE_MASK)
        if codes[0] != _SIDEBAND:
            self._chain.led_to(_address(chunk, int(chunk.refs[0])))
        # Exceptions, interrupts and trap returns are 1, 2 and 3.
        events = np.flatnonzero((codes - np.uint8(1)) < 3)
        steps = np.where(codes[events] == _RETURN, -1, 1)
        traps = events[steps > 0]
        self._chain.enter(_trap_rows(chunk, traps[self._chain.leave(steps)]))

    def _keep_end(self, whole: Chunk) -> None:
        chunk = expanded(whole, _WINDOW)
        if len(chunk.refs) >= LAST and not len(chunk.traps) and not len(chunk.sidebands):
            refs = chunk.refs[-LAST:].copy()
            self._pieces = [_Piece(refs, chunk.blocks[refs >> CODE_BITS], _NO_TRAPS)]
            return
        places = np.flatnonzero(_are_blocks(chunk.refs & CODE_MASK))
        if len(places) < LAST and len(chunk.refs) == _WINDOW:
            chunk = expanded(whole)
            places = np.flatnonzero(_are_blocks(chunk.refs & CODE_MASK))
        enough = len(places) >= LAST
        begin = int(places[-LAST]) if enough else 0
        refs = chunk.refs[begin:].copy()
        codes = refs & CODE_MASK
        traps = np.flatnonzero((codes == _EXCEPTION) | (codes == _INTERRUPT))
        piece = _Piece(
            refs,
            chunk.blocks[refs[_are_blocks(codes)] >> CODE_BITS],
            _trap_rows(chunk, traps + begin),
        )
        if enough:
            self._pieces = [piece]
            return
        if self._pieces and not len(self._pieces[-1].blocks) and not len(piece.blocks):
            self._pieces.pop()
        self._pieces.append(piece)
        while sum(len(each.blocks) for each in self._pieces[1:]) >= LAST:
            del self._pieces[0]


def _are_blocks(codes: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray((codes != _EXCEPTION) & (codes != _INTERRUPT) & (codes != _SIDEBAND))


def _address(chunk: Chunk, reference: int) -> int:
    """Of the first instruction that a reference is about."""
    index, code = reference >> CODE_BITS, reference & CODE_MASK
    table = chunk.traps if code in (_EXCEPTION, _INTERRUPT) else chunk.blocks
    return int(table["iaddr"][index])


def _trap_rows(chunk: Chunk, places: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """The traps at these places of a chunk, as `TRAP`."""
    refs = chunk.refs[places]
    source = chunk.traps[refs >> CODE_BITS]
    rows = np.zeros(len(places), TRAP)
    rows["number"] = -1
    rows["epc"], rows["epc_known"] = source["iaddr"], source["iaddr_valid"]
    rows["tval"], rows["cause"] = source["tval"], source["cause"]
    rows["interrupt"] = (refs & CODE_MASK) == _INTERRUPT
    # What comes next is where it led: a block, or a trap that nothing precedes.
    inside = np.flatnonzero(places + 1 < len(chunk.refs))
    following = chunk.refs[places[inside] + 1]
    codes, index = following & CODE_MASK, following >> CODE_BITS
    of_trap = (codes == _EXCEPTION) | (codes == _INTERRUPT)
    of_block = _are_blocks(codes)
    for chosen, table in ((of_trap, chunk.traps), (of_block, chunk.blocks)):
        rows["entry"][inside[chosen]] = table["iaddr"][index[chosen]]
        rows["entry_known"][inside[chosen]] = 1
    return rows


class FlowHistory:
    """Fed with the flow of a decoded trace."""

    def __init__(self, code: CodeMap) -> None:
        self._code = code
        self._chain = _Chain()
        self._runs = Flow().runs
        self._first_run = 0
        #: By the number of runs before them.
        self._traps: dict[int, list[Fold]] = {}
        self._breaks: list[tuple[int, str]] = []
        self.instructions = 0

    def feed(self, flow: Flow) -> None:
        """The next chunk of the flow."""
        rows = _flow_traps(flow, self.instructions)
        self.instructions += flow.instructions
        self._follow_traps(flow, rows)
        self._runs = np.concatenate([self._runs, flow.runs[-LAST:]])[-LAST:].copy()
        self._first_run = flow.first_run + len(flow.runs) - len(self._runs)
        self._traps = {at: each for at, each in self._traps.items() if at > self._first_run}
        for at in range(self._first_run + 1, self._first_run + len(self._runs) + 1):
            for fold in folded(rows[flow.traps["run"] == at]):
                append(self._traps.setdefault(at, []), fold)
        self._breaks += [(int(gap["run"]), "a gap: trace is missing") for gap in flow.gaps[-LAST:]]
        self._breaks += [(int(pause["run"]), "not traced here") for pause in flow.pauses[-LAST:]]
        if len(flow.loops):
            from etrace.trace.reasons import loop_text

            self._breaks += [(int(loop["run"]), loop_text(loop)) for loop in flow.loops[-LAST:]]
        self._breaks = [each for each in self._breaks if each[0] > self._first_run]

    @property
    def chain(self) -> list[Fold]:
        return list(self._chain.folds)

    def items(self) -> list[Item]:
        from decoder import pcs

        found: list[Item] = []
        for number in range(len(self._runs) + 1):
            at = self._first_run + number
            found += [Break(text) for where, text in self._breaks if where == at]
            found += self._traps.get(at, [])
            if number < len(self._runs):
                run = Flow(self._runs[number : number + 1])
                found.append(Pcs(tuple(pcs(run, self._code)[-LAST:].tolist())))
        return found

    def _follow_traps(self, flow: Flow, rows: npt.NDArray[np.void]) -> None:
        if len(flow.gaps):
            # Returns may be missing: only what is behind the last gap is known.
            last = flow.gaps["run"][-1]
            self._chain.clear()
        else:
            last = np.uint64(flow.first_run)
            traps, runs = flow.traps, flow.runs
            if len(traps) and (traps["run"][0] == flow.first_run or not len(runs)):
                if traps["epc_known"][0]:
                    self._chain.led_to(int(traps["epc"][0]))
            elif len(runs):
                self._chain.led_to(int(runs["start"][0]))
        returns = np.flatnonzero(flow.runs["ended"] == Ended.TRAP_RETURN) + flow.first_run + 1
        returns = returns[returns > int(last)]
        chosen = flow.traps["run"] >= last
        rows, places = rows[chosen], flow.traps["run"][chosen].astype(np.int64)
        # A return ends the run before; a trap with the same number comes after it.
        order = np.argsort(np.concatenate([2 * returns, 2 * places + 1]), kind="stable")
        steps = np.concatenate([np.full(len(returns), -1), np.full(len(places), 1)])[order]
        self._chain.enter(rows[self._chain.leave(steps)])


def _flow_traps(flow: Flow, first: int) -> npt.NDArray[np.void]:
    """The traps of a flow chunk that `first` instructions precede, as `TRAP`."""
    traps = flow.traps
    rows = np.zeros(len(traps), TRAP)
    rows["number"] = positions(flow, first, traps["run"])
    for name in ("epc", "tval", "cause", "interrupt", "epc_known"):
        rows[name] = traps[name]
    run = traps["run"].astype(np.int64) - flow.first_run
    inside = np.flatnonzero(run < len(flow.runs))
    rows["entry"][inside] = flow.runs["start"][run[inside]]
    rows["entry_known"][inside] = 1
    again = np.flatnonzero(run[1:] == run[:-1])
    rows["entry"][again] = traps["epc"][again + 1]
    rows["entry_known"][again] = traps["epc_known"][again + 1]
    return rows
