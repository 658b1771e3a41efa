"""What goes into an encoder and comes out of a decoder, one instruction at a time."""

from dataclasses import dataclass, replace

#: itypes of E-Trace 2.0, "Instruction Type (itype) encoding".
EXCEPTION, INTERRUPT, TRAP_RETURN = 1, 2, 3
NONTAKEN_BRANCH, TAKEN_BRANCH = 4, 5
UNINFERABLE_JUMP_3_BITS = 6
UNINFERABLE_CALL, INFERABLE_CALL = 8, 9
UNINFERABLE_JUMP, INFERABLE_JUMP = 10, 11
COROUTINE_SWAP, RETURN = 12, 13
OTHER_UNINFERABLE_JUMP, OTHER_INFERABLE_JUMP = 14, 15


#: Values of *ctype*: E-Trace 2.0, "Context type ctype values and corresponding actions".
UNREPORTED, IMPRECISELY, PRECISELY, DISCONTINUITY = range(4)

#: Bits of *trigger* (that of trace-notify is `Row.notify`).
TRIGGER_ON, TRIGGER_OFF = 1, 2


@dataclass(frozen=True)
class Row:
    """One retired instruction, or one trap that retired nothing ("exc_only").

    Of a trap, `iaddr` is the EPC, `priv` the privilege before it, `size` is unused and `itype` is
    1 or 2. `size` is in bytes. `cause` is without the interrupt bit.
    """

    retired: bool
    iaddr: int
    size: int
    itype: int
    priv: int
    cause: int = 0
    tval: int = 0
    interrupt: bool = False
    context: int = 0
    ctype: int = 0
    notify: bool = False
    time: int = 0
    #: The hart's word that a jump is sequentially inferable.
    sijump: bool = False
    #: Whether it is to be traced at all (docs/qualification.md).
    qualified: bool = True
    #: What the hart did between the row before and this one.
    halted: bool = False
    reset: bool = False
    #: Trace-on and trace-off; see `tests.model.filters`, which makes `qualified` of it.
    trigger: int = 0

    @property
    def restarts(self) -> bool:
        """Whether nothing leads from the row before to this one."""
        return self.ctype == DISCONTINUITY or self.halted or self.reset


def trap(
    iaddr: int, priv: int, cause: int, tval: int = 0, interrupt: bool = False, context: int = 0
) -> Row:
    """A row for an exception or interrupt with the EPC `iaddr`."""
    itype = INTERRUPT if interrupt else EXCEPTION
    return Row(False, iaddr, 0, itype, priv, cause, 0 if interrupt else tval, interrupt, context)


@dataclass(frozen=True)
class Retired:
    """A decoder's word that the instruction at `pc` retired at privilege `priv`."""

    pc: int
    priv: int


@dataclass(frozen=True)
class Trapped:
    """A decoder's word of a trap. `priv` (before the trap) is None where no packet tells it, and
    so is `epc`."""

    cause: int
    interrupt: bool
    tval: int
    epc: int | None
    priv: int | None


@dataclass(frozen=True)
class Rounds:
    """A decoder's word that the instruction of the next outcome, at `pc`, may have retired more
    often than the packets tell: `count` instructions lead back to it. If `endless`, from any round
    to the next."""

    pc: int
    count: int
    endless: bool


Outcome = Retired | Trapped | Rounds


@dataclass(frozen=True)
class ContextReport:
    """A decoder's word of context and time, None where the packets have no such field.

    `position` counts outcomes. If `precise`, they are those of the outcome of that number; else
    they began there or later, but before the next report that is precise.
    """

    position: int
    precise: bool
    priv: int
    context: int | None
    time: int | None


@dataclass(frozen=True)
class Gap:
    """A decoder's word that what follows the first `position` outcomes is not traced; if `lost`,
    it should have been."""

    position: int
    lost: bool


def outcomes(rows: list[Row]) -> list[Outcome]:
    """What a perfect decoder says about `rows`."""
    return [
        Retired(row.iaddr, row.priv)
        if row.retired
        else Trapped(row.cause, row.interrupt, row.tval, row.iaddr, row.priv)
        for row in rows
    ]


def _known(outcome: Outcome) -> Outcome:
    """An interrupt's EPC of 0 is what is sent where a source does not know it (docs/choices.md)."""
    if isinstance(outcome, Trapped) and outcome.interrupt and outcome.epc == 0:
        return replace(outcome, epc=None)
    return outcome


def difference(expected: list[Outcome], decoded: list[Outcome]) -> str | None:
    """The first place where they differ, in words; None if they agree.

    The privilege before the second of two traps in a row is in no packet if an instruction
    follows: a decoder's None matches any. An EPC has to be unknown where that is expected. Where
    `Rounds` are decoded any number of them may be expected, but nothing else.
    """
    # how many rows can be behind us; several only where rounds in one circle were decoded before
    places = {0}
    for index, have in enumerate(decoded):
        if isinstance(have, Rounds):
            places = {place for begin in places for place in _after_rounds(expected, begin, have)}
            continue
        behind = {at + 1 for at in places if at < len(expected) and _agree(expected[at], have)}
        if not behind:
            at = min(places)
            want = expected[at] if at < len(expected) else "nothing"
            return f"row {at}: expected {want}, decoded {have} (outcome {index})"
        places = behind
    if len(expected) not in places:
        return f"expected {len(expected)} rows, decoded {max(places)}"
    return None


def _agree(want: Outcome, have: Outcome) -> bool:
    if isinstance(want, Trapped) and isinstance(have, Trapped) and have.priv is None:
        want = replace(want, priv=None)
    return _known(want) == _known(have)


def _after_rounds(expected: list[Outcome], begin: int, rounds: Rounds) -> list[int]:
    """`begin`, and where any number of whole rounds from there end."""
    found = [begin]
    lap = expected[begin : begin + rounds.count]
    if len(lap) < rounds.count or not all(isinstance(each, Retired) for each in lap):
        return found
    first = lap[0]
    assert isinstance(first, Retired)
    if first.pc != rounds.pc:
        return found
    while expected[begin : begin + rounds.count] == lap:
        begin += rounds.count
        if begin >= len(expected) or expected[begin] != first:
            break
        found.append(begin)
    return found
