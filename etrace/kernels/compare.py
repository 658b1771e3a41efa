"""Two flows instruction by instruction, at the speed of their runs.

Where both have the same run nothing is looked up; where runs are cut at different places, which
instructions they consist of is walked through by the sizes in memory.
"""

from enum import IntEnum
from typing import Any, NamedTuple

from specs.interfaces.flow import RUN
from specs.interfaces.records import places
from specs.isa.kernel import find_slot
from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import LOW32, U0, U1, U255, s64, u64


class Place(IntEnum):
    """Where a side stands (uint64): in which run, how many of its instructions are behind it, and
    the address of the next one, if any are."""

    RUN = 0
    SKIP = 1
    PC = 2


class Runs(NamedTuple):
    """Runs of one side, flat words, the sizes of its program's instructions, and its place."""

    region_base: Any
    region_end: Any
    region_slot: Any
    size: Any
    runs: Any
    place: Any  # uint64, by `Place`


#: Of a source that does not tell the privilege.
_UNKNOWN = U255
_BYTE = U255
RUN_WORDS = RUN.itemsize // 8
_run = places(RUN)
_place = plain(Place)


@inlined
def _behind(side, pc, count):
    """The address `count` instructions after `pc`."""
    if count == 0:
        return pc
    slot = s64(find_slot(side.region_base, side.region_end, side.region_slot, pc))
    size = side.size
    if slot < 0:
        return pc
    at = u64(slot)
    for _ in range(count):
        step = u64(size[at])
        at += step
        pc += step << U1
    return pc


@njit
def equal(one, other, limit, by_privilege):
    """How many instructions are equal from both places on, at most `limit`; the places move there.

    Stops where either side's runs end, too. `by_privilege`: 1 if privileges are compared. The
    instructions of both sides have the same sizes wherever both have code.
    """
    done = _whole(one, other, limit, by_privilege)
    while done < limit:
        at, there = one.place[_place.RUN], other.place[_place.RUN]
        if at * u64(RUN_WORDS) >= u64(one.runs.size) or there * u64(RUN_WORDS) >= u64(
            other.runs.size
        ):
            break
        at *= u64(RUN_WORDS)
        there *= u64(RUN_WORDS)
        mine, theirs = one.runs[at + _run.count], other.runs[there + _run.count]
        skip, passed = one.place[_place.SKIP], other.place[_place.SKIP]
        pc = one.runs[at + _run.start] if skip == U0 else one.place[_place.PC]
        pc_there = other.runs[there + _run.start] if passed == U0 else other.place[_place.PC]
        if pc != pc_there:
            break
        if by_privilege:
            priv = (mine >> _run.priv_at) & _BYTE
            priv_there = (theirs >> _run.priv_at) & _BYTE
            if priv != priv_there and priv != _UNKNOWN and priv_there != _UNKNOWN:
                break
        left, left_there = (mine & LOW32) - skip, (theirs & LOW32) - passed
        count = min(left, left_there, u64(limit - done))
        done += s64(count)
        _move(one, skip, left, pc, count)
        _move(other, passed, left_there, pc, count)
        if left == left_there:
            done += _whole(one, other, limit - done, by_privilege)
    return done


@inlined
def _whole(one, other, limit, by_privilege):
    """As `equal`, while the runs of both sides are the same."""
    done = s64(0)
    if one.place[_place.SKIP] != U0 or other.place[_place.SKIP] != U0:
        return done
    runs, runs_there = one.runs, other.runs
    same = LOW32 | (_BYTE << _run.priv_at if by_privilege else U0)
    at = one.place[_place.RUN] * u64(RUN_WORDS)
    there = other.place[_place.RUN] * u64(RUN_WORDS)
    end, end_there = u64(runs.size), u64(runs_there.size)
    while at < end and there < end_there:
        word = runs[at + _run.count]
        if runs[at + _run.start] != runs_there[there + _run.start]:
            break
        if (word ^ runs_there[there + _run.count]) & same != U0:
            break
        count = s64(word & LOW32)
        if done + count > limit:
            break
        done += count
        at += u64(RUN_WORDS)
        there += u64(RUN_WORDS)
    one.place[_place.RUN] = at // u64(RUN_WORDS)
    other.place[_place.RUN] = there // u64(RUN_WORDS)
    return done


@inlined
def _move(side, skip, left, pc, count):
    """`count` instructions on from `pc`, of `left` that the run still has."""
    if count == left:
        side.place[_place.RUN] += U1
        side.place[_place.SKIP] = U0
    else:
        side.place[_place.SKIP] = skip + count
        side.place[_place.PC] = _behind(side, pc, s64(count))


@njit
def advance(side, count):
    """Move on by `count` instructions, or to the end of the runs; how many it were."""
    done = s64(0)
    while done < count:
        at = side.place[_place.RUN] * u64(RUN_WORDS)
        if at >= u64(side.runs.size):
            break
        skip = side.place[_place.SKIP]
        left = (side.runs[at + _run.count] & LOW32) - skip
        taken = min(left, u64(count - done))
        pc = side.runs[at + _run.start] if skip == U0 else side.place[_place.PC]
        _move(side, skip, left, pc, taken)
        done += s64(taken)
    return done


@njit
def expand(side, pcs, privs):
    """Addresses and privileges from the place on, as far as there is room; how many. The place
    stays."""
    filled = 0
    at = side.place[_place.RUN] * u64(RUN_WORDS)
    skip = side.place[_place.SKIP]
    size = side.size
    while filled < pcs.shape[0] and at < u64(side.runs.size):
        word = side.runs[at + _run.count]
        pc = side.runs[at + _run.start] if skip == U0 else side.place[_place.PC]
        count = min(s64((word & LOW32) - skip), pcs.shape[0] - filled)
        priv = (word >> _run.priv_at) & _BYTE
        pcs[filled] = pc
        privs[filled] = priv
        slot = s64(-1)
        if count > 1:
            slot = s64(find_slot(side.region_base, side.region_end, side.region_slot, pc))
        if slot >= 0:
            where = u64(slot)
            for n in range(1, count):
                step = u64(size[where])
                where += step
                pc += step << U1
                pcs[filled + n] = pc
                privs[filled + n] = priv
        filled += count
        at += u64(RUN_WORDS)
        skip = U0
    return filled
