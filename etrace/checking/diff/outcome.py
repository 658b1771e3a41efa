"""What was found when two sides were held against each other."""

from dataclasses import asdict, dataclass
from enum import StrEnum
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
    """One side at a divergence. `pcs`: what it executes next, a few instructions. `packet`,
    `offset`: the packet that reports the first of them, and its byte in the stream; None for a side
    that has no packets. `ended`: there is nothing more.
    """

    pcs: tuple[int, ...] = ()
    priv: int | None = None
    packet: int | None = None
    offset: int | None = None
    ended: bool = False
    #: One line a pc: number, address, symbol, source line, disassembly.
    lines: tuple[str, ...] = ()


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
    #: Parameters that differ, programs that differ, lines about either end.
    remarks: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return self.verdict == Verdict.SAME

    @property
    def exit_code(self) -> Exit:
        """0 same, 1 different, 3 corrupt."""
        return {Verdict.SAME: Exit.OK, Verdict.DIFFERENT: Exit.NO}.get(self.verdict, Exit.CORRUPT)

    def values(self) -> dict[str, Any]:
        """For JSON."""
        return {"same": self.same, **asdict(self)}

    def text(self) -> str:
        """What `etrace diff` shows, several lines."""
        raise NotImplementedError
