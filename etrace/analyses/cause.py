"""Why a run ended as it did: the first cause, in words, and the last instructions.

One account for a run that has just ended and for a trace that is looked at later: both have an
`etrace.analyses.history.History`. The first cause is the first trap of those that nothing returned
from, not the one that repeats at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from etrace.analyses.hints import MemoryMap, Surroundings, hint
from etrace.analyses.history import LAST, Break, Fold, History, Item, Pcs, Ran
from etrace.trace.lines import Lines
from etrace.trace.places import Place, Places, WordAt
from specs.isa.causes import INSTRUCTION_ACCESS_FAULT, cause_name

if TYPE_CHECKING:
    from emu import Machine
    from etrace.trace.header import Header
    from etrace.trace.program import Code

#: Traps between two instructions that are listed, at either end.
_FEW = 2
#: Columns of what is said in words.
_WIDTH = 100
#: Bytes of an instruction whose size is not known.
_UNKNOWN_SIZE = 2


@dataclass(frozen=True)
class Trap:
    """A trap, `times` in a row. `epc`, `entry` (its handler) are None where that is not known;
    `number`: instructions before it, -1 if they were not counted."""

    interrupt: bool
    cause: int
    tval: int
    epc: Place | None
    entry: int | None
    times: int
    number: int = -1

    @property
    def name(self) -> str:
        """The cause in words."""
        return cause_name(self.cause, self.interrupt)

    def values(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "trap": "interrupt" if self.interrupt else "exception",
            "cause": self.cause,
            "name": self.name,
            "tval": None if self.interrupt else f"{self.tval:#x}",
            "times": self.times,
            "at": None if self.epc is None else self.epc.values(),
        }


@dataclass(frozen=True)
class Account:
    """How a run ended. `what`: in words; `where`: the next instruction, None if that is not known.

    `chain`: the traps that nothing returned from, the first one first. `last`: the last
    instructions, and between them traps and what a trace leaves out (text). `hints`: what to do.
    `failed`: the program could not go on, so that the first of the traps is the cause of the end.
    `unknown`: what the source of the account cannot know.
    """

    what: str
    where: Place | None
    chain: tuple[Trap, ...]
    last: tuple[Place | Trap | str, ...]
    hints: tuple[str, ...]
    failed: bool = True
    unknown: str = ""

    @property
    def first(self) -> Trap | None:
        """The first cause: an exception, unless there are only interrupts."""
        return first_cause(self.chain)

    @property
    def long_ago(self) -> bool:
        """Whether the first cause was before the last instructions."""
        return self.first is not None and self.first not in self.last

    def values(self) -> dict[str, Any]:
        """For JSON."""
        first = self.first
        return {
            "what": self.what,
            "failed": self.failed,
            "where": None if self.where is None else self.where.values(),
            "first_cause": None if first is None else first.values(),
            "traps": [trap.values() for trap in self.chain],
            "hints": list(self.hints),
            "last": [
                {"note": each} if isinstance(each, str) else each.values() for each in self.last
            ],
        }

    def lines(self, digits: int) -> list[str]:
        """For people: first cause, what followed, what to do, the last instructions.

        Of a run that did not fail, where it was; and traps only if exceptions are among them.
        """
        first = self.first
        told = []
        if self.where is not None and (first is None or not self.failed):
            told.append(("where", str(self.where)))
        if first is not None and (self.failed or not first.interrupt):
            told += _story(self.chain, "first cause" if self.failed else "open trap")
        elif first is not None:
            told.append(("handling", _in_one_line(first)))
        told += zip(("what to do", "besides"), self.hints, strict=False)
        if self.unknown:
            told.append(("not traced", self.unknown))
        lines = []
        for label, text in told:
            lines += wrap(
                text, _WIDTH, initial_indent=f"  {label:<13} ", subsequent_indent=" " * 16
            )
        if not self.last or (first is None and not self.failed and self.where is not None):
            return lines
        number = sum(isinstance(each, Place) for each in self.last)
        lines.append(
            f"  the last {number} instructions" if number > 1 else "  the last instruction"
        )
        return lines + [f"    {_listed(*each, digits)}" for each in _together(self.last)]


def first_cause(chain: Sequence[Trap]) -> Trap | None:
    """The first exception of a chain, or its first trap."""
    exceptions = (trap for trap in chain if not trap.interrupt)
    return next(exceptions, chain[0] if chain else None)


def of_run(
    machine: "Machine", history: History, code: "Code", header: "Header", what: str, failed: bool
) -> Account:
    """The account of a run that has just ended, in the words `what`."""

    def word(pc: int) -> tuple[int, int]:
        return _word_of_memory(machine, pc)

    memory = [(each.base, each.end, each.writable) for each in machine.memory.regions]
    around = _surroundings(word, code, header, memory)
    account = _account(history, around, what, around.places.at(machine.pc))
    return replace(account, failed=failed)


def of_trace(history: History, code: "Code", header: "Header") -> Account:
    """The account of a trace, as far as it tells."""
    from etrace.views.flow import Listing

    listing = Listing(code.map, code.symbols)
    around = _surroundings(listing.word, code, header, _memory_of(header, code))
    account = _account(history, around, "", None)
    what, failed = _seen(account)
    return replace(account, what=what, failed=failed, unknown=_NOT_TRACED)


#: What `of_trace` cannot know.
_NOT_TRACED = "exit codes, host calls, values of registers and data, why the recording ended"


def _seen(account: Account) -> tuple[str, bool]:
    """How a trace ends, in words, and whether the program could not go on."""
    final = account.last[-1] if account.last else None
    first, last = account.first, account.chain[-1] if account.chain else None
    if last is not None and isinstance(final, Trap) and last.times > 1:
        return "ends in a trap that repeats: the handler itself traps", True
    if isinstance(final, Place) and final.text == f"j {final.pc:#x}":
        if last is None:
            return "ends in a jump to itself", False
        return "ends in a trap handler, in a jump to itself", not last.interrupt
    if first is None:
        return "ends outside of any trap handler", False
    what = "an interrupt" if first.interrupt else "an exception"
    return f"ends in the handler of {what} that nothing returned from", False


def place_of(machine: "Machine", code: "Code") -> str:
    """Where the program is: address, symbol, source line."""
    places = Places(
        code.map.selection, lambda pc: _word_of_memory(machine, pc), code.symbols, _lines_of(code)
    )
    return str(places.at(machine.pc))


def _lines_of(code: "Code") -> Lines:
    return Lines([str(program.path) for program in code.programs])


def _surroundings(
    word: WordAt, code: "Code", header: "Header", memory: MemoryMap | None
) -> Surroundings:
    return Surroundings(
        Places(code.map.selection, word, code.symbols, _lines_of(code)),
        code.xlen,
        code.extensions,
        memory,
        header.semihosting is not None,
    )


def _memory_of(header: "Header", code: "Code") -> MemoryMap | None:
    """The memory of the run that a trace is of; None if it does not say."""
    if header.source != "record" or header.platform is None or not code.programs:
        return None
    from emu.memory import MachineError
    from emu.platforms.spike import PLATFORMS

    if header.platform not in PLATFORMS:
        return None
    try:
        board = PLATFORMS[header.platform](list(code.programs), list(header.memory))
    except MachineError:  # not the program that was run (--force)
        return None
    return [(each.base, each.end, each.writable) for each in board.memory.regions]


def _word_of_memory(machine: "Machine", pc: int) -> tuple[int, int]:
    half = machine.memory.read(pc, 2)
    if half is None:
        return 0, 0
    if half & 3 != 3:
        return half, 2
    word = machine.memory.read(pc, 4)
    return (0, 0) if word is None else (word, 4)


def _account(history: History, around: Surroundings, what: str, where: Place | None) -> Account:
    places = around.places
    chain = tuple(_trap(fold, places) for fold in history.chain)
    first = first_cause(chain)
    hints = []
    if first is not None and not first.interrupt:
        hints.append(hint(first.cause, first.tval, first.epc, around))
        hints.append(_no_handler(chain, around))
    return Account(what, where, chain, _last(history.items(), places), tuple(filter(None, hints)))


def _no_handler(chain: Sequence[Trap], around: Surroundings) -> str:
    """That traps lead to where no code is."""
    last = chain[-1]
    if (
        last.cause != INSTRUCTION_ACCESS_FAULT
        or last.interrupt
        or last.epc is None
        or last.epc.pc != last.entry
    ):
        return ""
    return (
        f"set mtvec to a trap handler early: traps lead to {last.epc.pc:#x}, where there is no code"
    )


def _trap(fold: Fold, places: Places) -> Trap:
    epc = None if fold.epc is None else places.at(fold.epc)
    return Trap(fold.interrupt, fold.cause, fold.tval, epc, fold.entry, fold.times, fold.number)


def _last(items: Sequence[Item], places: Places) -> tuple[Place | Trap | str, ...]:
    """The last instructions, with what is between them; of many traps in a row the outer ones."""
    found: list[Place | Trap | str] = []
    traps: list[Trap] = []
    for item in items:
        if isinstance(item, Fold):
            traps.append(_trap(item, places))
            continue
        found += _few(traps)
        traps = []
        if isinstance(item, Break):
            found.append(item.text)
        else:
            pcs = item.pcs if isinstance(item, Pcs) else _expand(item, places)
            found += [places.at(pc) for pc in pcs]
    found += _few(traps)
    instructions = [at for at, each in enumerate(found) if isinstance(each, Place)]
    return tuple(found[instructions[-LAST] :] if len(instructions) > LAST else found)


def _few(traps: Sequence[Trap]) -> list[Trap | str]:
    """Traps in a row; of many the outer ones."""
    if len(traps) <= 2 * _FEW + 1:
        return list(traps)
    left_out = sum(trap.times for trap in traps[_FEW:-_FEW])
    return [*traps[:_FEW], f"{left_out:,} more traps", *traps[-_FEW:]]


def _expand(ran: Ran, places: Places) -> list[int]:
    pcs, pc, left = [], ran.start, ran.half_words
    while left > 0:
        pcs.append(pc)
        size = places.word(pc)[1] or _UNKNOWN_SIZE
        pc, left = pc + size, left - size // 2
    return pcs[-LAST:]


def _in_one_line(trap: Trap) -> str:
    where = "at an unknown address" if trap.epc is None else f"at {trap.epc}"
    value = "" if trap.interrupt else f", tval {trap.tval:#x}"
    return f"{trap.name} {where}{value}{_times(trap)}"


def _times(trap: Trap) -> str:
    return "" if trap.times == 1 else f", the same {trap.times:,} times"


def _story(chain: Sequence[Trap], label: str) -> list[tuple[str, str]]:
    """The first cause, what it happened in, and what came after it; with labels."""
    first = first_cause(chain)
    assert first is not None
    at = chain.index(first)
    told = [("while in", _in_one_line(trap)) for trap in chain[max(0, at - 1) : at]]
    told.append((label, _in_one_line(first)))
    if first.epc is not None and first.epc.text and not first.interrupt:
        told.append(("", first.epc.text))
    return told + [
        ("then", each if isinstance(each, str) else _in_one_line(each))
        for each in _few(chain[at + 1 :])
    ]


def _together(
    last: Sequence[Place | Trap | str],
) -> list[tuple[Place | Trap | str, int]]:
    """The same instruction several times in a row as one, with the number of times."""
    found: list[tuple[Place | Trap | str, int]] = []
    for each in last:
        if found and isinstance(each, Place) and found[-1][0] == each:
            found[-1] = each, found[-1][1] + 1
        else:
            found.append((each, 1))
    return found


def _listed(each: Place | Trap | str, times: int, digits: int) -> str:
    if isinstance(each, str):
        return f"-- {each}"
    if isinstance(each, Trap):
        return f"-- {_in_one_line(each)}"
    bits = f"{each.word:0{2 * each.size}x}" if each.size else "-"
    symbol = f"<{each.symbol}>" if each.symbol else ""
    line = f"{each.pc:0{digits}x} {bits:<8} {each.text:<28} {symbol:<24} {each.source}".rstrip()
    return line if times == 1 else f"{line}  ({times} times)"
