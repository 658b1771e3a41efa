"""Two flows compared: where they part, and why.

Instructions are compared by runs, in a kernel; what stands between them as tables.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from etrace.checking.diff.meeting import meeting
from etrace.checking.diff.outcome import What
from etrace.checking.diff.side import Side, Start, bundle, is_lost
from etrace.checking.diff.words import gap_words, trap_words
from etrace.kernels import compare as kernel
from etrace.trace.fields import Fields
from etrace.trace.marks import GAP, TRAP, Marks
from etrace.trace.stretch import UNKNOWN_PRIV
from specs.isa.control import CodeMap
from specs.isa.privilege import letters

#: Instructions expanded at a time where they are compared one by one.
_PIECE = 1 << 16

#: More instructions than there are.
_FAR = 1 << 62

#: Stretches that are kept behind: few, for they keep what they are of in memory, and in the cache.
_KEPT = 2

#: Fields of a trap that `--ignore` can leave out.
TRAP_FIELDS = ("cause", "tval", "epc")


@dataclass(frozen=True)
class Parting:
    """Where two flows part: by the numbering of either side, before anything is passed by."""

    what: What
    text: str
    #: Instructions of either side before it.
    at: tuple[int, int]
    #: `--align`: how many either side passes by until they meet again; None: they do not.
    lengths: tuple[int, int] | None = None
    #: Packet and offset on either side, where what differs has its own.
    packets: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)
    #: One side cannot be decoded here.
    corrupt: bool = False


class Flows:
    """Compares the flows of `a` and `b`; `ignore` are names of `What` and of `TRAP_FIELDS`.

    `start`: what both have alike, and neither side has. `alike`: both were made with one
    configuration, so that context and time must be reported in the same places, not only agree
    where both report them.
    """

    def __init__(
        self, a: Side, b: Side, ignore: frozenset[str], alike: bool, start: Start | None = None
    ) -> None:
        self.a = a
        self.b = b
        self.traps = 0
        self._ignore = ignore
        self._alike = alike
        self._mask = np.uint64(a.tval_mask & b.tval_mask)
        #: Stretches that are behind: runs, the place where it began, how many instructions.
        self._behind: deque[tuple[kernel.Runs, npt.NDArray[np.uint64], int]] = deque(maxlen=_KEPT)
        if start is not None:
            self.traps = start.machine.statistics.traps
            before = bundle(start.runs, a.code)
            self._behind.append((before, before.place.copy(), int(start.runs["count"].sum())))
        self._by_runs = same_sizes(a.code, b.code)
        self._words = (a.words_told or b.words_told) and What.WORD not in ignore

    def partings(self, align: bool, show: Callable[[Parting, bool], None]) -> Iterator[Parting]:
        """Where the flows part, one after the other; only the first unless `align`.

        `show` is called with each while both sides still stand there.
        """
        while True:
            parting = self._next()
            if parting is None:
                return
            if not align:
                show(parting, align)
                yield parting
                return
            lengths = self._meet(parting)
            aligned = replace(parting, lengths=lengths)
            show(aligned, align)
            yield aligned
            if lengths is None:
                return
            for side, count in zip((self.a, self.b), lengths, strict=True):
                side.leave_out(count)
            if any(lengths):
                self._behind.clear()  # what is there was executed before what is left out

    def count(self) -> None:
        """Go through side a alone, for both sides are the same."""
        while not self.a.ended:
            self.a.fill()
            self.traps += self.a.skim()

    def _next(self) -> Parting | None:
        """Go on to where the flows part; None: they end together."""
        a, b = self.a, self.b
        while True:
            a.fill()
            b.fill()
            if a.ended or b.ended:
                return self._between(last=True) or self._ending()
            if self._loops():
                continue
            before = self._equal(self._until_loop())
            parts = self._here() if before is None else before
            found = self._between(last=parts is not None)
            if found is not None:
                return found
            if parts is not None:
                return parts

    def _here(self) -> Parting | None:
        """What differs in the next instructions, if the kernel stopped for that."""
        a, b = self.a, self.b
        if not a.in_hand or not b.in_hand or self._at_loop():
            return None  # it may just have come to the end of what was in hand
        (pcs, privs), (there, privs_there) = a.peek(1), b.peek(1)
        if pcs[0] != there[0]:
            if self._untold_trap():
                return None
            return self._parting(What.INSTRUCTION, "the next instruction is another")
        unequal = self._unequal_privs(privs, privs_there).any()
        if unequal and What.PRIVILEGE not in self._ignore:
            mine, theirs = letters(int(privs[0])), letters(int(privs_there[0]))
            return self._parting(What.PRIVILEGE, f"privilege {mine} in A, {theirs} in B")
        return None

    def _untold_trap(self) -> bool:
        """A log that tells no traps has the instruction that trapped, as if it had retired."""
        for log, other in ((self.a, self.b), (self.b, self.a)):
            if log.traps_told:
                continue
            marks = other.marks
            here = (marks["position"] == other.position) & (marks["kind"] == TRAP)
            for n in np.flatnonzero(here & (marks["interrupt"] == 0)).tolist():
                if int(log.peek(1)[0][0]) == int(marks["epc"][n]):
                    log.pass_over()
                    other.marks = np.delete(marks, n)
                    return True
        return False

    def _parting(self, what: What, text: str) -> Parting:
        return Parting(what, text, (self.a.own_position, self.b.own_position))

    # instructions

    def _equal(self, limit: int) -> Parting | None:
        """Go over instructions that are equal, at most `limit`; a word that differs."""
        a, b = self.a, self.b
        if limit <= 0:
            return None
        if not self._by_runs or self._words:
            return self._equal_one_by_one(min(limit, _PIECE))
        mine = a.runs
        start = mine.place.copy()
        privs = int(What.PRIVILEGE not in self._ignore)
        count = int(kernel.equal(mine, b.runs, limit, privs))
        self._moved(mine, start, count)
        return None

    def _moved(self, runs: kernel.Runs, start: npt.NDArray[np.uint64], count: int) -> None:
        """Both sides have gone on by `count` instructions, which on side a were `runs` from place
        `start` on."""
        if count:
            self._behind.append((runs, start, count))
            self.a.moved(count)
            self.b.moved(count)

    def around(self, parting: Parting, few: int) -> tuple[list[int], list[int], list[int]]:
        """Addresses of the last instructions before a parting, and of the next ones on either side,
        at most `few` each."""
        back = self.a.own_position - parting.at[0]
        pcs = np.zeros(0, np.uint64)
        for runs, start, count in reversed(self._behind):
            if len(pcs) >= back + few:
                break
            wanted = min(count, back + few - len(pcs))
            again = runs._replace(place=start.copy())
            kernel.advance(again, count - wanted)
            more = np.zeros(wanted, np.uint64)
            kernel.expand(again, more, np.zeros(wanted, np.uint8))
            pcs = np.concatenate([more, pcs])
        both = len(pcs) - min(back, len(pcs))
        common = pcs[both:].tolist()
        ahead = [(common + side.peek(few)[0].tolist())[:few] for side in (self.a, self.b)]
        return pcs[max(both - few, 0) : both].tolist(), ahead[0], ahead[1]

    def _equal_one_by_one(self, limit: int) -> Parting | None:
        a, b = self.a, self.b
        mine, theirs = (_in_hand(side, limit) for side in (a, b))
        count = min(len(mine[0]), len(theirs[0]))
        pcs, there = mine[0][:count], theirs[0][:count]
        unequal = pcs != there
        if What.PRIVILEGE not in self._ignore:
            unequal |= self._unequal_privs(mine[1][:count], theirs[1][:count])
        count = int(np.argmax(unequal)) if unequal.any() else count
        parting = None
        if self._words and count:
            words, words_there = a.words_of(pcs[:count]), b.words_of(there[:count])
            known = (words != 0) & (words_there != 0)
            wrong = (words != words_there) & known
            if wrong.any():
                count = int(np.argmax(wrong))
                text = f"instruction word {words[count]:x} in A, {words_there[count]:x} in B"
                parting = Parting(What.WORD, text, (a.own_position + count, b.own_position + count))
        runs, start = a.runs, a.runs.place.copy()
        for side in (a, b):
            kernel.advance(side.runs, count)
        self._moved(runs, start, count)
        return parting

    @staticmethod
    def _unequal_privs(
        one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.bool_]:
        unequal: npt.NDArray[np.bool_] = (
            (one != other) & (one != UNKNOWN_PRIV) & (other != UNKNOWN_PRIV)
        )
        return unequal

    # loops of unknown length

    def _until_loop(self) -> int:
        """Instructions before a loop that only one side has, or has otherwise."""
        a, b = self.a, self.b
        if not len(a.loops) and not len(b.loops):
            return _FAR
        both = min(len(a.loops), len(b.loops))
        unequal = np.zeros(both, np.bool_)
        for name in ("position", "start", "count"):
            unequal |= a.loops[name][:both] != b.loops[name][:both]
        same = int(np.argmax(unequal)) if both and unequal.any() else both
        a.loops, b.loops = a.loops[same:], b.loops[same:]
        ahead = [int(side.loops["position"][0]) for side in (a, b) if len(side.loops)]
        return min(ahead, default=a.position + _FAR) - a.position

    def _at_loop(self) -> bool:
        return self._until_loop() <= 0

    def _loops(self) -> bool:
        """If one side has a loop of unknown length here, pass the rounds by that the other one has
        more; whether there was a loop."""
        if not self._at_loop():
            return False
        a, b = self.a, self.b
        for side, other in ((a, b), (b, a)):
            if not len(side.loops) or side.loops["position"][0] > side.position:
                continue
            start, count = int(side.loops["start"][0]), int(side.loops["count"][0])
            side.loops = side.loops[1:]
            mine, theirs = _rounds(side, start, count), _rounds(other, start, count)
            if What.LOOP in self._ignore or len(other.loops) or theirs >= mine:
                # what goes round is passed by on both sides, as far as it goes
                other.leave_out(theirs * count, forget=False)
                side.leave_out(mine * count, forget=False)
                self._behind.clear()
            # else the other one has rounds too few: they part further on
        return True

    # what stands between instructions

    def _between(self, last: bool) -> Parting | None:
        """The first difference in what stands before the place where the sides are; with `last`,
        also right there."""
        found = [self._marks(last), self._reports(last)]
        both = [each for each in found if each is not None]
        return min(both, key=lambda each: each.at[0]) if both else None

    def _marks(self, last: bool) -> Parting | None:
        a, b = self.a, self.b
        if not len(a.marks) and not len(b.marks):
            return None
        limit = a.position + (1 if last else 0)
        mine, theirs = (
            side.marks[: np.searchsorted(side.marks["position"], limit, "left")] for side in (a, b)
        )
        untold = not a.traps_told or not b.traps_told
        if untold or What.TRAP in self._ignore:
            mine, theirs = (each[each["kind"] != TRAP] for each in (mine, theirs))
        same = self._equal_marks(mine, theirs)
        self.traps += int(np.count_nonzero(mine["kind"][:same] == TRAP))
        if same == max(len(mine), len(theirs)):
            a.marks, b.marks = (
                side.marks[np.searchsorted(side.marks["position"], limit, "left") :]
                for side in (a, b)
            )
            return None
        # those that are not compared are no longer asked for, either
        a.marks, b.marks = (
            np.concatenate([table[same:], side.marks[side.marks["position"] >= limit]])
            for side, table in ((a, mine), (b, theirs))
        )
        return self._unequal_marks(mine[same:], theirs[same:])

    def _equal_marks(self, mine: Marks, theirs: Marks) -> int:
        both = min(len(mine), len(theirs))
        one, other = mine[:both], theirs[:both]
        unequal = (one["position"] != other["position"]) | (one["kind"] != other["kind"])
        for name in ("interrupt", "reason", "address"):
            unequal |= one[name] != other[name]
        if "cause" not in self._ignore:
            unequal |= one["cause"] != other["cause"]
        if "epc" not in self._ignore:
            known = (one["epc_known"] == 1) & (other["epc_known"] == 1)
            unequal |= known & (one["epc"] != other["epc"])
        if "tval" not in self._ignore:
            tval = (one["tval"] ^ other["tval"]) & self._mask
            unequal |= (one["interrupt"] == 0) & (tval != 0)
        if What.PRIVILEGE not in self._ignore:
            unequal |= (one["kind"] == TRAP) & self._unequal_privs(one["priv"], other["priv"])
        return int(np.argmax(unequal)) if unequal.any() else both

    def _unequal_marks(self, mine: Marks, theirs: Marks) -> Parting:
        """In words: `mine` and `theirs` are what is left, the first of them differ."""
        a, b = self.a, self.b
        one = mine[0] if len(mine) else None
        other = theirs[0] if len(theirs) else None
        # only what comes first is there to be compared
        if one is not None and other is not None and one["position"] != other["position"]:
            one, other = (one, None) if one["position"] < other["position"] else (None, other)
        there = [each for each in (one, other) if each is not None]
        position = int(there[0]["position"])
        kind = max(int(each["kind"]) for each in there)
        # so that a comparison that goes on does so behind it
        a.marks = a.marks if one is None else a.marks[1:]
        b.marks = b.marks if other is None else b.marks[1:]
        if kind == GAP:
            what, text = What.GAP, gap_words(one, other)
        elif kind == TRAP:
            what, text = What.TRAP, trap_words(one, other, int(self._mask))
        else:
            side = "in A, not in B" if one is not None else "in B, not in A"
            what, text = What.PAUSE, f"tracing pauses {side}"
        at = (position + a.skipped, position + b.skipped)
        packets = tuple(
            None
            if each is None or each["packet"] < 0
            else (int(each["packet"]), int(each["offset"]))
            for each in (one, other)
        )
        corrupt = kind == GAP and not all(is_lost(each) for each in there if each["kind"] == GAP)
        return Parting(what, text, at, None, (packets[0], packets[1]), corrupt)

    def _reports(self, last: bool) -> Parting | None:
        """Context and time, where both sides report them; of one configuration, wherever one does.

        Not what is reported at the very end of the side that ends first.
        """
        a, b = self.a, self.b
        if not len(a.reports) and not len(b.reports):
            return None
        limit = a.position + (1 if last and a.ended == b.ended else 0)
        fields = Fields(
            0 if What.CONTEXT in self._ignore else min(a.fields.context, b.fields.context),
            0 if What.TIME in self._ignore else min(a.fields.time, b.fields.time),
        )
        mine, theirs = (
            side.reports[: np.searchsorted(side.reports["position"], limit, "left")]
            for side in (a, b)
        )
        a.reports, b.reports = a.reports[len(mine) :], b.reports[len(theirs) :]
        if not fields:
            return None
        if not self._alike:
            mine, theirs = _in_common(mine, theirs)
        return self._unequal_reports(mine, theirs, fields)

    def _unequal_reports(
        self, mine: npt.NDArray[np.void], theirs: npt.NDArray[np.void], fields: Fields
    ) -> Parting | None:
        both = min(len(mine), len(theirs))
        one, other = mine[:both], theirs[:both]
        unequal = (one["position"] != other["position"]) | (one["precise"] != other["precise"])
        for name, width in (("context", fields.context), ("time", fields.time)):
            if width:
                mask = np.uint64((1 << width) - 1)
                unequal |= (one[name] ^ other[name]) & mask != 0
        same = int(np.argmax(unequal)) if unequal.any() else both
        if same == max(len(mine), len(theirs)):
            return None
        left, left_there = mine[same : same + 1], theirs[same : same + 1]
        if len(left) and len(left_there) and left["position"][0] != left_there["position"][0]:
            if left["position"][0] < left_there["position"][0]:
                left_there = left_there[:0]
            else:
                left = left[:0]
        texts, values = [], []
        for rows, where in ((left, "in A"), (left_there, "in B")):
            told = fields.cut(int(rows["context"][0]), int(rows["time"][0])) if len(rows) else None
            values.append(told)
            imprecise = "" if told is None or rows["precise"][0] else " (imprecise)"
            texts.append(f"{'no report' if told is None else told}{imprecise} {where}")
        position = int((left if len(left) else left_there)["position"][0])
        one_told, other_told = values
        only_time = (
            one_told is not None
            and other_told is not None
            and one_told.context == other_told.context
        )
        what = What.TIME if only_time or not fields.context else What.CONTEXT
        at = (position + self.a.skipped, position + self.b.skipped)
        return Parting(what, ", ".join(texts), at)

    # ends

    def _ending(self) -> Parting | None:
        a, b = self.a, self.b
        if a.ended and b.ended:
            return None
        if What.END in self._ignore:
            return None
        side = a if a.ended else b
        remark = f" ({side.remark})" if side.remark else ""
        where = "in A" if side is a else "in B"
        return self._parting(What.END, f"the flow ends {where}{remark}, the other one goes on")

    # going on

    def _meet(self, parting: Parting) -> tuple[int, int] | None:
        if parting.what == What.END:
            return None
        if parting.what == What.WORD:
            return 1, 1
        if parting.at[0] < self.a.own_position or parting.what in (What.CONTEXT, What.TIME):
            return 0, 0
        return meeting(self.a, self.b, What.PRIVILEGE not in self._ignore)


def _in_hand(side: Side, limit: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Addresses and privileges of what is in hand first, at most `limit`."""
    pcs, privs = np.zeros(limit, np.uint64), np.zeros(limit, np.uint8)
    filled = kernel.expand(side.runs, pcs, privs)
    return pcs[:filled], privs[:filled]


def _in_common(
    mine: npt.NDArray[np.void], theirs: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """The precise reports at places where both sides have one."""
    mine, theirs = (rows[(rows["precise"] == 1) & (rows["trap"] < 0)] for rows in (mine, theirs))
    _, first, second = np.intersect1d(mine["position"], theirs["position"], return_indices=True)
    return mine[first], theirs[second]


def _rounds(side: Side, start: int, count: int) -> int:
    """How often `side` goes round `count` instructions from `start`, from here on, before the last
    time that it comes by. Up to what stands between instructions."""
    stop = side.marks["position"][side.marks["position"] > side.position]
    rounds = 0
    pattern = side.peek(count)[0]
    if len(pattern) < count or int(pattern[0]) != start:
        return 0
    ahead = max(_PIECE // count, 2)
    while True:
        wanted = (rounds + ahead) * count + 1
        if len(stop):
            wanted = min(wanted, int(stop[0]) - side.position)
        pcs = side.peek(wanted)[0]
        whole = (len(pcs) - 1) // count
        turns = pcs[: whole * count].reshape(whole, count)
        unequal = (turns != pattern).any(axis=1)
        turned = int(np.argmax(unequal)) if unequal.any() else whole
        # the instruction behind the last whole round must be its beginning again
        if turned and int(pcs[turned * count]) != start:
            turned -= 1
        if turned < whole or len(pcs) < wanted or len(stop):
            return turned
        rounds, ahead = turned, 2 * ahead


def same_sizes(one: CodeMap, other: CodeMap) -> bool:
    """Whether instructions have the same sizes wherever both maps have code."""
    if one is other:
        return True
    for base, end, slot in zip(one.region_base, one.region_end, one.region_slot, strict=True):
        for start, stop, there in zip(
            other.region_base, other.region_end, other.region_slot, strict=True
        ):
            low, high = max(int(base), int(start)), min(int(end), int(stop))
            if low >= high:
                continue
            count = (high - low) // 2
            first, second = int(slot) + (low - int(base)) // 2, int(there) + (low - int(start)) // 2
            if not np.array_equal(
                one.size[first : first + count], other.size[second : second + count]
            ):
                return False
    return True
