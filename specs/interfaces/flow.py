"""What a decoder gives back: the exact instruction flow, as arrays.

A *run* is a stretch of consecutive instructions (each starts where the one before it ends) at one
privilege level. Traps, context reports, pauses, loops and gaps stand *between* runs: their `run`
field is the number of runs before them in the whole flow (not in the chunk), so a trap with `run ==
k` happened after runs `0..k-1` and before run `k`. Several may share a position; each array is in
order.

Where the trace was lost or cannot be decoded the flow has a gap: data, not a failure.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from specs.interfaces.records import record

#: `count` consecutive instructions from `start`, at `priv`, ended as `ended` (an `Ended`) says.
RUN = record(("start", "<u8"), ("count", "<u4"), ("ended", "u1"), ("priv", "u1"))

#: `epc`: the instruction that trapped (exception) or would have executed next (interrupt);
#: `epc_known` 0 where the trace does not tell it. `priv`: before the trap, 255 if unknown.
#: `thaddr`: as in the packet. `packet`, `offset`: packet number and byte offset in the stream.
TRAP = record(
    ("run", "<u8"),
    ("epc", "<u8"),
    ("tval", "<u8"),
    ("cause", "<u8"),
    ("packet", "<u8"),
    ("offset", "<u8"),
    ("interrupt", "u1"),
    ("priv", "u1"),
    ("epc_known", "u1"),
    ("thaddr", "u1"),
)

#: Context and time as reported by formats 3.0, 3.1, 3.2 (only where they are in the packets).
#: `precise` 1: they are those of the instruction that follows or, if the packet is a trap's whose
#: `thaddr` is 0, of that trap. 0: they began there or later, before the next precise ones (3.2).
CONTEXT = record(
    ("run", "<u8"),
    ("context", "<u8"),
    ("time", "<u8"),
    ("packet", "<u8"),
    ("offset", "<u8"),
    ("priv", "u1"),
    ("precise", "u1"),
)

#: Tracing ended here, as the encoder was told to, and began again: what follows is not what was
#: executed next. `packet`, `offset`: of the packet with which it began again.
PAUSE = np.dtype([("run", "<u8"), ("packet", "<u8"), ("offset", "<u8")])

#: The packets do not tell how often execution came by `start`, the first instruction of the run
#: that follows, before it did in that run: after `count` instructions it comes by again. `endless`
#: 1: each round is like the last, so there may have been any number of them more than the flow has.
#: 0: as far as is known from the return addresses kept, the next round differs. `packet`, `offset`:
#: of the packet that reports `start`.
LOOP = record(
    ("run", "<u8"),
    ("start", "<u8"),
    ("packet", "<u8"),
    ("offset", "<u8"),
    ("count", "<u4"),
    ("endless", "u1"),
)

#: `reason` is a `Reason`; `address` what the reason is about (0 if nothing).
GAP = record(
    ("run", "<u8"),
    ("packet", "<u8"),
    ("offset", "<u8"),
    ("address", "<u8"),
    ("reason", "u1"),
)


class Ended(IntEnum):
    """How a run ended: what its last instruction did, or what stopped it."""

    PACKET = 0  # reporting stopped here for now; the next run goes on after it
    TAKEN_BRANCH = 1
    INFERABLE_JUMP = 2
    UNINFERABLE_JUMP = 3
    TRAP_RETURN = 4
    TRAP = 5  # a trap follows; the last instruction retired
    GAP = 6
    END = 7  # tracing ended


class Reason(IntEnum):
    """Why the flow has a gap. Values 1-9: the stream; 10-19, 30-: reconstruction; 20-: encoder."""

    TRUNCATED = 1  # the stream ends inside a packet
    BAD_HEADER = 2  # a framing header that cannot be
    BAD_PACKET = 3  # a payload that no format explains
    NO_SYNC = 4  # packets before the first synchronisation packet
    NO_CODE = 10  # no program memory at `address`
    ILLEGAL_CODE = 11  # no instruction at `address`
    NO_BRANCH = 12  # the branch at `address` has no outcome in the branch map
    UNPROCESSED_BRANCHES = 13  # `address` reached with branches left over
    UNEXPECTED_DISCONTINUITY = 14  # an uninferable discontinuity where only branches were reported
    NOT_REACHED = 15  # the reported `address` cannot be reached from where the flow was
    UNSUPPORTED_MODE = 16  # the support packet announces what the parameters rule out
    MODE_OFF = 17  # a packet of format 0 whose mode is off
    BAD_COUNT = 18  # a branch count that cannot be; `address` is the count
    EMPTY_ENTRY = 19  # nothing is in entry `address` of the jump target cache
    TRACE_LOST = 20  # qual_status trace_lost: the encoder dropped packets
    NO_VECTOR = 30  # no trap vector is given for the privilege in `address`


@dataclass
class Flow:
    """A flow, or a chunk of one. `first_run` is the number of runs before this chunk."""

    runs: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, RUN))
    traps: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, TRAP))
    contexts: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, CONTEXT))
    gaps: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, GAP))
    first_run: int = 0
    pauses: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, PAUSE))
    loops: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, LOOP))

    @property
    def instructions(self) -> int:
        """Number of instructions in the runs. Where there are `loops` there were more, perhaps."""
        return int(self.runs["count"].sum(dtype=np.uint64))
