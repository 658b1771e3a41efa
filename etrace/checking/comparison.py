"""Two instruction streams compared, instruction by instruction and trap by trap.

Used for a decoded trace against a rerun of its program, or against a pc trace from elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from etrace.checking.differences import trap_difference
from etrace.checking.pauses import Found, Pausing
from etrace.checking.reports import IMPRECISELY, Reporting, skipped
from etrace.trace.fields import Fields
from etrace.trace.outcome import Comparison, Difference
from etrace.trace.stretch import EVENT, PAUSED, ROUNDS, UNKNOWN_PRIV, Stretch
from specs.isa.control import CodeMap, Kind
from specs.isa.privilege import letters

#: Instructions shown before and after a difference.
_AROUND = 5


def compare(
    expected: Iterable[Stretch],
    actual: Iterable[Stretch],
    code: CodeMap,
    tval_mask: int = (1 << 64) - 1,
    fields: Fields | None = None,
    *,
    pauses: bool = True,
    complete: Callable[[bool], bool] = lambda whole: whole,
) -> Comparison:
    """Compare until the first difference, or until one side ends.

    Where `expected` has instruction words they are compared with those of `code`. `tval_mask`:
    the bits of tval that a trace carries. With `fields`, those of its packets, context and time are
    compared as well: the reports of `actual` with what `expected` told. `pauses`: `expected` knows
    where tracing pauses. That one side ends before the other is no difference here; traps at the
    very end of the shorter side are compared if the other has them. `complete` is asked when
    `actual` has ended, and told whether `expected` has: is a report that is not there missing?
    """
    comparing = _Comparing(_Side(expected), _Side(actual), code, np.uint64(tval_mask), complete)
    comparing.reporting = Reporting(fields) if fields else None
    comparing.pausing = Pausing() if pauses else None
    return comparing.run()


class _Side:
    """One stream: the stretch in hand, what of it was compared, and traps not compared yet."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        self._stretches: Iterator[Stretch] = iter(stretches)
        self.pcs: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.privs: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.words: npt.NDArray[np.uint32] | None = None
        self.traps = np.zeros(0, EVENT)
        #: Of all stretches since they were last taken.
        self.reports: list[npt.NDArray[np.void]] = []
        self.told: list[npt.NDArray[np.void]] = []
        self.pauses = np.zeros(0, PAUSED)
        self.loops = np.zeros(0, ROUNDS)
        self.before: list[int] = []
        #: Instructions left out so far, as rounds that are not told.
        self.skipped = 0
        self._exhausted = False

    @property
    def ended(self) -> bool:
        """There are no more instructions."""
        return self._exhausted and not len(self.pcs)

    def fill(self) -> None:
        """Have an instruction in hand, unless the stream has ended."""
        while not len(self.pcs) and not self._exhausted:
            stretch = next(self._stretches, None)
            if stretch is None:
                self._exhausted = True
                return
            self.pcs, self.privs, self.words = stretch.pcs, stretch.privs, stretch.words
            for name in ("traps", "pauses", "loops"):
                if len(table := getattr(stretch, name)):
                    table = self._placed(table)
                    setattr(self, name, np.concatenate([getattr(self, name), table]))
            if len(stretch.reports):
                self.reports.append(self._placed(stretch.reports))
            if len(stretch.told):
                self.told.append(self._placed(stretch.told))

    def _placed(self, table: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """A table with the positions that it has when what was skipped is left out."""
        return skipped(table, 0, self.skipped) if self.skipped else table

    def skip_rounds(
        self, position: int, rounds: "_Rounds", pauses: npt.NDArray[np.void]
    ) -> tuple[int, int]:
        """Leave out all whole rounds from here, which is instruction `position`, but the last visit
        of where they begin: how many instructions that is, and how many went round.

        A trap or pause ends them; `pauses` have been taken from this side already. Of all that went
        round no precise context and time is compared: which of the rounds it was told in is not
        known. Imprecise ones are, in their order.
        """
        passed = 0
        while True:
            self.fill()
            events = [self.traps["position"][:1]]
            for table in (pauses, self.pauses):
                events.append(table["position"][table["position"] > position][:1])
            stops = [int(at) - position - passed for each in events for at in each]
            end = min([len(self.pcs), *stops])
            taken = rounds.match(passed, self.pcs[:end], self.code_words(end)) if end > 0 else 0
            if not taken:
                break
            priv = self.privs[0]
            self.pcs, self.privs = self.pcs[taken:], self.privs[taken:]
            if self.words is not None:
                self.words = self.words[taken:]
            passed += taken
        if not passed:
            return 0, 0
        # the last visit stays, and so does what follows it
        kept = rounds.left(passed)
        self.pcs = np.concatenate([rounds.pcs[:kept], self.pcs])
        self.privs = np.concatenate([np.full(kept, priv, np.uint8), self.privs])
        if self.words is not None and rounds.words is not None:
            self.words = np.concatenate([rounds.words[:kept], self.words])
        count = passed - kept
        self.skipped += count
        self.traps, self.pauses = (
            skipped(table, position, count) for table in (self.traps, self.pauses)
        )
        self.loops = skipped(self.loops, position, count)
        self.told = [_untold(rows, position, passed, count) for rows in self.told]
        self.reports = [
            skipped(_comparable(rows, position, passed), position, count) for rows in self.reports
        ]
        return count, passed

    def pass_loops(self, position: int) -> int:
        """Forget the loops up to instruction `position`; how many there were."""
        later = self.loops["position"] > position
        passed = len(self.loops) - int(np.count_nonzero(later))
        self.loops = self.loops[later]
        return passed

    def code_words(self, end: int) -> npt.NDArray[np.uint32] | None:
        """The words of the next `end` instructions, if the source has any."""
        return None if self.words is None else self.words[:end]

    def advance(self, count: int) -> None:
        tail = self.pcs[max(0, count - _AROUND) : count].tolist()
        self.before = (self.before + tail)[-_AROUND:]
        self.pcs, self.privs = self.pcs[count:], self.privs[count:]
        if self.words is not None:
            self.words = self.words[count:]


def _among(rows: npt.NDArray[np.void], position: int, count: int) -> npt.NDArray[np.bool_]:
    among: npt.NDArray[np.bool_] = rows["position"] >= position
    return among & (rows["position"] < position + count)


def _untold(
    rows: npt.NDArray[np.void], position: int, passed: int, count: int
) -> npt.NDArray[np.void]:
    rows = rows.copy()
    precise = rows["ctype"] > IMPRECISELY
    rows["ctype"][precise & _among(rows, position, passed)] = 0
    return skipped(rows, position, count)


def _comparable(rows: npt.NDArray[np.void], position: int, passed: int) -> npt.NDArray[np.void]:
    """Reports without the precise ones among so many instructions."""
    kept: npt.NDArray[np.void] = rows[~(_among(rows, position, passed) & (rows["precise"] == 1))]
    return kept


class _Rounds:
    """The instructions of a round, as the first side that is asked has them: `count` from `start`,
    if the program leads round them by itself. `whole`: they are known.
    """

    def __init__(self, start: int, count: int, code: CodeMap) -> None:
        self._start = start
        self._count = count
        self._code = code
        self.whole = False
        self.pcs = np.zeros(0, np.uint64)
        self.words: npt.NDArray[np.uint32] | None = None

    def match(
        self, passed: int, pcs: npt.NDArray[np.uint64], words: npt.NDArray[np.uint32] | None
    ) -> int:
        """How many of `pcs`, with `passed` instructions before them, go round like this."""
        if not self.whole:
            return self._learn(pcs, words) if passed < self._count else 0
        phase = passed % self._count
        unequal = np.resize(np.roll(self.pcs, -phase), len(pcs)) != pcs
        return int(np.argmax(unequal)) if unequal.any() else len(pcs)

    def _learn(self, pcs: npt.NDArray[np.uint64], words: npt.NDArray[np.uint32] | None) -> int:
        if not len(self.pcs) and int(pcs[0]) != self._start:
            return 0
        taken = min(self._count - len(self.pcs), len(pcs))
        self.pcs = np.concatenate([self.pcs, pcs[:taken]])
        if words is not None:
            before = np.zeros(0, np.uint32) if self.words is None else self.words
            self.words = np.concatenate([before, words[:taken]])
        self.whole = len(self.pcs) == self._count and self._goes_round()
        return taken

    def left(self, passed: int) -> int:
        """Of `passed` instructions, those since the last visit of where a round begins."""
        return (passed - 1) % self._count + 1

    def _goes_round(self) -> bool:
        """Does the code lead from each instruction to the next, and from the last to the first?"""
        for pc, following in zip(self.pcs.tolist(), np.roll(self.pcs, -1).tolist(), strict=True):
            slot = self._code.slot(pc)
            if slot < 0 or not self._code.size[slot]:
                return False
            kind = int(self._code.kind[slot])
            after = (pc + 2 * int(self._code.size[slot])) % (1 << self._code.xlen)
            if kind in (Kind.BRANCH, Kind.TRAP_RETURN):
                return False
            if kind == Kind.INFERABLE_JUMP:
                after = int(self._code.target[slot])
            if kind != Kind.UNINFERABLE_JUMP and after != following:
                return False
        return True


class _Comparing:
    def __init__(
        self,
        expected: _Side,
        actual: _Side,
        code: CodeMap,
        tval_mask: np.uint64,
        complete: Callable[[bool], bool],
    ) -> None:
        self.expected = expected
        self.actual = actual
        self.code = code
        self.tval_mask = tval_mask
        self.complete = complete
        self.reporting: Reporting | None = None
        self.pausing: Pausing | None = None
        self.position = 0
        self.traps = 0
        self.loops = 0
        self.rounds = 0

    def run(self) -> Comparison:
        """The comparison."""
        while True:
            self.expected.fill()
            self.actual.fill()
            if what := self._skip_rounds():
                return self._differs(self.position, what)
            count = min(len(self.expected.pcs), len(self.actual.pcs))
            if len(self.actual.loops):
                count = min(count, int(self.actual.loops["position"][0]) - self.position)
            equal, what = self._instructions(count)
            # A trap at the position where the streams part comes before their instructions there;
            # where they do not part it may still be in a stretch to come.
            either_ended = self.expected.ended or self.actual.ended
            limit = self.position + equal + (1 if what else 0)
            trap_position, trap_what = self._compare_traps(limit, either_ended)
            if trap_what and trap_position <= self.position + equal:
                equal, what = trap_position - self.position, trap_what
            elif either_ended and not what:
                what = self._last_traps()
            pause = self._compare_pauses(limit)
            # The first trap that differs is number `self.traps`.
            if pause is not None and not (what and pause[:2] > (self.position + equal, self.traps)):
                equal, what = pause.position - self.position, pause.what
            else:
                pause = None
            found = self._compare_reports(equal)
            if found is not None and not (what and found[0] >= self.position + equal):
                return self._differs(*found)
            if what:
                about = (pause.packet, pause.offset) if pause else (None, None)
                return self._differs(self.position + equal, what, *about)
            self._advance(equal)
            if either_ended:
                return self._result(None)

    def _skip_rounds(self) -> str:
        """If a loop is here, leave out the rounds that the trace does not tell; or what differs."""
        loops = self.actual.loops
        if not len(loops) or loops["position"][0] > self.position:
            return ""
        count = int(loops["count"][0])
        rounds = _Rounds(int(loops["start"][0]), count, self.code)
        theirs, ours = (self.pausing or Pausing()).pending
        expected, there = self.expected.skip_rounds(self.position, rounds, theirs)
        actual, here = 0, 0
        if rounds.whole:
            actual, here = self.actual.skip_rounds(self.position, rounds, ours)
        # one that is reported again and again without leaving it counts as often
        self.loops += self.actual.pass_loops(self.position)
        self.rounds += (expected - actual) // count
        if self.reporting is not None and rounds.whole:
            self.reporting.skip(self.position, (expected, there), (actual, here))
        if self.pausing is not None:
            self.pausing.skip(self.position, expected, actual)
        if actual > expected:
            return f"{(actual - expected) // count} rounds too many"
        return ""

    def _advance(self, count: int) -> None:
        self.expected.advance(count)
        self.actual.advance(count)
        self.position += count

    def _differs(
        self, position: int, what: str, packet: int | None = None, offset: int | None = None
    ) -> Comparison:
        """The sides differ at an instruction, which may be the last of those before."""
        if position > self.position:
            self._advance(position - self.position)
        earlier = self.actual.before[len(self.actual.before) - (self.position - position) :]
        difference = Difference(
            position + self.actual.skipped,
            what,
            self.actual.before[: len(self.actual.before) - len(earlier)],
            (earlier + self.expected.pcs[:_AROUND].tolist())[:_AROUND],
            (earlier + self.actual.pcs[:_AROUND].tolist())[:_AROUND],
            packet,
            offset,
        )
        return self._result(difference, position)

    def _result(self, difference: Difference | None, position: int | None = None) -> Comparison:
        return Comparison(
            (self.position if position is None else position) + self.actual.skipped,
            self.traps,
            difference,
            self.actual.ended,
            self.expected.ended,
            0 if self.reporting is None else self.reporting.matched,
            0 if self.pausing is None else self.pausing.matched,
            self.loops,
            self.rounds,
        )

    def _compare_pauses(self, limit: int) -> Found | None:
        """The first difference in pauses before instruction `limit`, or before the end."""
        expected, self.expected.pauses = self.expected.pauses, self.expected.pauses[:0]
        actual, self.actual.pauses = self.actual.pauses, self.actual.pauses[:0]
        if self.pausing is None:
            return None
        self.pausing.add(expected, actual)
        # Behind the last row of the shorter side there is nothing to compare with.
        sides = [side for side in (self.expected, self.actual) if side.ended]
        end = min((self.position + self.traps + len(side.traps) for side in sides), default=0)
        return self.pausing.compare(limit, end)

    def _compare_reports(self, equal: int) -> tuple[int, str] | None:
        """The first difference in context and time, of which `equal` more instructions tell."""
        reports, self.actual.reports = self.actual.reports, []
        told, self.expected.told = self.expected.told, []
        if self.reporting is None:
            return None
        for rows in reports:
            self.reporting.add_reports(rows)
        for rows in told:
            self.reporting.add_told(rows)
        last = self.actual.ended and self.complete(self.expected.ended)
        return self.reporting.compare(
            self.position + equal,
            self.traps,
            self.position + len(self.actual.pcs),
            not self.expected.ended,
            last,
        )

    def _instructions(self, count: int) -> tuple[int, str]:
        """How many of `count` instructions are equal, and what differs after them."""
        pcs = self.expected.pcs[:count], self.actual.pcs[:count]
        privs = self.expected.privs[:count], self.actual.privs[:count]
        unequal = (pcs[0] != pcs[1]) | (
            (privs[0] != privs[1]) & (privs[0] != UNKNOWN_PRIV) & (privs[1] != UNKNOWN_PRIV)
        )
        words = self._unequal_words(count)
        if words is not None:
            unequal |= words
        if not unequal.any():
            return count, ""
        first = int(np.argmax(unequal))
        expected, actual = int(pcs[0][first]), int(pcs[1][first])
        if expected != actual:
            return first, f"address {actual:#x}, expected {expected:#x}"
        if privs[0][first] != privs[1][first]:
            there, here = letters(int(privs[0][first])), letters(int(privs[1][first]))
            return first, f"privilege {here} at {actual:#x}, expected {there}"
        assert self.expected.words is not None
        word = int(self.expected.words[first])
        return first, f"instruction at {actual:#x} is not the expected {word:#x}"

    def _unequal_words(self, count: int) -> npt.NDArray[np.bool_] | None:
        if self.expected.words is None:
            return None
        pcs, where = np.unique(self.expected.pcs[:count], return_inverse=True)
        slots = np.array([self.code.slot(pc) for pc in pcs.tolist()], np.int64)
        words = np.where(slots >= 0, self.code.word[slots], 0) if len(self.code.word) else slots * 0
        unequal: npt.NDArray[np.bool_] = words[where] != self.expected.words[:count]
        return unequal

    def _last_traps(self) -> str:
        """What differs in the traps after the last common instruction.

        If only `actual` has ended, or ended at a gap, it may just have ended before them.
        """
        expected, actual = self.expected.traps, self.actual.traps
        if len(actual):
            return trap_difference(expected, actual)
        if not len(expected) or not self.expected.ended:
            return ""
        missing = not self.actual.ended or self.complete(True)
        return trap_difference(expected, actual) if missing else ""

    def _compare_traps(self, limit: int, to_the_end: bool) -> tuple[int, str]:
        """Compare and drop traps at positions below `limit`; the first difference among them."""
        expected, actual = self.expected.traps, self.actual.traps
        both = min(len(expected), len(actual))
        unequal = _unequal_traps(expected[:both], actual[:both], self.tval_mask)
        same = int(np.argmax(unequal)) if unequal.any() else both
        matched = int(np.searchsorted(actual["position"][:same], limit + to_the_end, "left"))
        self.traps += matched
        self.expected.traps, self.actual.traps = expected[matched:], actual[matched:]
        left = [
            (int(side.traps["position"][0]), name)
            for side, name in ((self.expected, "expected"), (self.actual, "actual"))
            if len(side.traps) and side.traps["position"][0] < limit
        ]
        if not left:
            return 0, ""
        position = min(left)[0]
        return position, trap_difference(self.expected.traps, self.actual.traps)


def _unequal_traps(
    one: npt.NDArray[np.void], other: npt.NDArray[np.void], tval_mask: np.uint64
) -> npt.NDArray[np.bool_]:
    unequal: npt.NDArray[np.bool_] = (
        (one["position"] != other["position"])
        | (one["interrupt"] != other["interrupt"])
        | (one["cause"] != other["cause"])
    )
    epc_known = (one["epc_known"] == 1) & (other["epc_known"] == 1)
    unequal |= epc_known & (one["epc"] != other["epc"])
    priv_known = (one["priv"] != UNKNOWN_PRIV) & (other["priv"] != UNKNOWN_PRIV)
    unequal |= priv_known & (one["priv"] != other["priv"])
    # The trace has no tval for interrupts.
    tval = (one["tval"] ^ other["tval"]) & tval_mask
    unequal |= (one["interrupt"] == 0) & (tval != 0)
    return unequal
