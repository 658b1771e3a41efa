"""What was found when two sides were held against each other."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from etrace.errors import Exit


class What(StrEnum):
    """What differs. `--ignore` takes these names."""

    INSTRUCTION = "instruction"
    PRIVILEGE = "privilege"
    WORD = "word"
    TRAP = "trap"
    CONTEXT = "context"
    TIME = "time"
    PAUSE = "pause"
    LOOP = "loop"
    GAP = "gap"
    END = "end"
    PACKETS = "packets"
    PARAMETERS = "parameters"
    PROGRAM = "program"


class Verdict(StrEnum):
    """The outcome as a whole."""

    SAME = "same"
    DIFFERENT = "different"
    CORRUPT = "corrupt"


@dataclass(frozen=True)
class Place:
    """One side at a divergence: `instruction` of it are before. `pcs`: what it executes next, a few
    instructions. `packet`,
    `offset`: the packet that reports the first of them, and its byte in the stream; None for a side
    that has no packets. `ended`: there is nothing more.
    """

    instruction: int = 0
    pcs: tuple[int, ...] = ()
    packet: int | None = None
    offset: int | None = None
    ended: bool = False
    #: One line a pc: number, address, symbol, source line, disassembly.
    lines: tuple[str, ...] = ()

    def shown(self, side: str) -> tuple[str, ...]:
        """Its lines, under where in the packets it is."""
        return (self._heading(side), *self.lines)

    def _heading(self, side: str) -> str:
        if self.packet is None:
            return f"{side}: ends" if self.ended else f"{side}:"
        end = " (the end)" if self.ended else ""
        return f"{side}: packet {self.packet:,}, offset {self.offset:,}{end}"


@dataclass(frozen=True)
class Divergence:
    """A place where the flows part: `instruction` of each are equal before the first one.

    `text`: what it is, in words. `before`: the last instructions that both have. `lengths`: with
    `align`, instructions on either side until they meet again (None: they do not).
    """

    instruction: int
    what: What
    text: str
    a: Place
    b: Place
    before: tuple[str, ...] = ()
    lengths: tuple[int, int] | None = None
    #: Whether more was looked for behind it.
    aligned: bool = False

    def lines(self, width: int) -> Iterator[str]:
        """The divergence with its surroundings."""
        yield f"instruction {self.instruction:,}: {self.what}: {self.text}"
        yield from (f"  {line}" for line in self.before)
        left, right = self.a.shown("A"), self.b.shown("B")
        if len(left) > 1 or len(right) > 1:
            yield from (f"  {line}" for line in _columns(left, right, width - 2))
        if self.lengths is not None and any(self.lengths):
            mine, theirs = self.lengths
            yield f"  they meet again after {mine:,} instructions in A, {theirs:,} in B"
        elif self.aligned and self.lengths is None:
            yield "  they do not meet again"


@dataclass(frozen=True)
class PacketDivergence:
    """The first packet that differs: `packet` of each are equal before it. `fields`: by the
    specification's names the values on either side, None for a field that one does not have.
    `a`, `b`: the packets in words, "" behind the last one; `offset`: their bytes in the streams.
    """

    packet: int
    offset: tuple[int | None, int | None]
    fields: dict[str, tuple[int | None, int | None]]
    a: str
    b: str
    #: One side has something that is no packet here.
    corrupt: bool = False

    def lines(self) -> Iterator[str]:
        """The divergence, field by field."""
        places = [
            f"offset {offset:,} in {side}" if offset is not None else f"none in {side}"
            for side, offset in zip("AB", self.offset, strict=True)
        ]
        yield f"packet {self.packet:,} differs: {', '.join(places)}"
        yield f"  A {self.a or 'the stream ends'}"
        yield f"  B {self.b or 'the stream ends'}"
        for name, (one, other) in self.fields.items():
            shown = ["-" if value is None else f"{value:#x}" for value in (one, other)]
            yield f"  {name}: {shown[0]} in A, {shown[1]} in B"


@dataclass(frozen=True)
class Diff:
    """Two sides compared. `instructions`, `traps`: found equal before the first divergence."""

    names: tuple[str, str]
    verdict: Verdict
    instructions: int
    traps: int
    divergences: tuple[Divergence, ...] = ()
    packets: PacketDivergence | None = None
    #: Packets by format name on either side; None for a side without packets.
    mixes: tuple[dict[str, int] | None, dict[str, int] | None] = (None, None)
    #: Values that differ of the parameters, by name.
    parameters: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    #: Programs that differ, lines about either end.
    remarks: tuple[str, ...] = ()
    #: Only the packets were compared; `equal` of them before the first that differs.
    packets_only: bool = False
    equal: int = 0
    #: Of one side only the hash of its flow is known: nothing tells where they part.
    hash_only: bool = False

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return self.verdict == Verdict.SAME

    @property
    def exit_code(self) -> Exit:
        """0 same, 1 different, 3 corrupt."""
        return {Verdict.SAME: Exit.OK, Verdict.DIFFERENT: Exit.NO}.get(self.verdict, Exit.CORRUPT)

    @property
    def first(self) -> "Divergence | PacketDivergence | None":
        """The first thing that differs, if it is in flows or packets."""
        return self.divergences[0] if self.divergences else self.packets

    @property
    def headline(self) -> str:
        """What differs first, in a line; "" if nothing does."""
        if self.same:
            return ""
        return next(self._differences(), "the flow cannot be decoded everywhere")

    def _differences(self) -> Iterator[str]:
        """A line about each kind of difference."""
        for divergence in self.divergences[:1]:
            yield next(divergence.lines(0))
        if self.packets is not None:
            yield next(self.packets.lines())
        yield from self._parameter_lines()
        if self.hash_only:
            yield from self.remarks

    def values(self) -> dict[str, Any]:
        """For JSON: `instruction`, `packet`, `offset` and `what` of the first difference, and all
        else."""
        first = self.first
        names = ("instruction", "packet", "offset", "what", "text", "before", "a", "b")
        at: dict[str, Any] = dict.fromkeys(names)
        if isinstance(first, Divergence):
            side = first.b if first.b.packet is not None else first.a
            at["instruction"], at["what"] = first.instruction, first.what
            at["packet"], at["offset"], at["text"] = side.packet, side.offset, first.text
            at["before"], at["a"], at["b"] = first.before, asdict(first.a), asdict(first.b)
        elif first is not None:
            at["instruction"], at["what"] = self.instructions, What.PACKETS
            at["packet"], at["a"], at["b"] = first.packet, first.a, first.b
            at["offset"] = first.offset[0] if first.offset[1] is None else first.offset[1]
        elif not self.same and self.parameters:
            at["what"] = What.PARAMETERS
        return {"same": self.same, **at, **asdict(self)}

    def text(self, width: int = 200) -> str:
        """What `etrace diff` shows, several lines of at most `width` where that is possible."""
        return "\n".join(self._lines(width)) + "\n"

    def _lines(self, width: int) -> Iterator[str]:
        a, b = self.names
        yield f"A: {a}"
        yield f"B: {b}"
        equal = f"{self.instructions:,} instruction{'s' * (self.instructions != 1)}"
        equal += f" and {self.traps:,} trap{'s' * (self.traps != 1)}"
        for divergence in self.divergences:
            yield from divergence.lines(width)
        if self.packets_only:
            agree = "the packets are the same" if self.packets is None else ""
        elif self.hash_only and not self.same:
            agree = ""
        elif self.divergences:
            agree = f"{equal} are the same before the first difference"
        else:
            agree = f"the flows are the same: {equal}"
        if agree:
            yield agree
        if self.packets is not None:
            yield from self.packets.lines()
        yield from self._mix_lines()
        yield from self._parameter_lines()
        yield from self.remarks

    def _parameter_lines(self) -> Iterator[str]:
        for name, (one, other) in self.parameters.items():
            yield f"parameter {name}: {one} in A, {other} in B"

    def _mix_lines(self) -> Iterator[str]:
        one, other = self.mixes
        if self.same or one is None or other is None:
            return
        names = sorted({*one, *other})
        mix = [(name, one.get(name, 0), other.get(name, 0)) for name in names]
        yield "packets by format:"
        for name, mine, theirs in mix:
            if mine or theirs:
                mark = "" if mine == theirs else f"  {theirs - mine:+,}"
                yield f"  {name:<4} {mine:>12,} {theirs:>12,}{mark}"
        total = sum(mine for _, mine, _ in mix), sum(theirs for _, _, theirs in mix)
        yield f"  all  {total[0]:>12,} {total[1]:>12,}"


def _columns(left: tuple[str, ...], right: tuple[str, ...], width: int) -> Iterator[str]:
    """Side by side where there is room, else one below the other."""
    room = max(map(len, left), default=0)
    if room + 3 + max(map(len, right), default=0) > width:
        yield from (f"- {line}" for line in left)
        yield from (f"+ {line}" for line in right)
        return
    for one, other in zip_longest(left, right, fillvalue=""):
        yield f"{one:<{room}} | {other}".rstrip()
