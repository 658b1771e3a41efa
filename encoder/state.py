"""What the encoder's kernels work on, and the numbers by which they find it.

A *row* is an instruction or a trap; `docs/choices.md` tells the rules in these words. What encoder
and decoder keep alike (branch predictor, jump target cache, return stack) is the `history` of
`specs.trace.predictors`: None without the modes that need it, and kernels are compiled without them
then.
"""

from enum import IntEnum, IntFlag, auto
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from specs.kernels.njit import plain
from specs.trace.packets import Format

_Words = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.int64]


class Work(NamedTuple):
    """What an encoder works on from its first reference to its last."""

    layout: _Numbers  # `specs.trace.packets.Layout.array`
    framing: _Numbers  # by `specs.trace.framing.FramingField`
    options: _Numbers  # by `Option`
    state: _Words  # by `Slot`
    queue: _Words  # packets, or an `Op`, by `Column`; the last row is the support packet's
    segments: _Words  # V, by `Segment`
    words: _Words  # the payload that is being packed


class Tables(NamedTuple):
    """A chunk: references, and the tables of `specs.interfaces.ingress` as words, a row each."""

    refs: npt.NDArray[np.uint32]
    blocks: _Words
    traps: _Words
    sidebands: _Words


class Passages(NamedTuple):
    """A chunk's passages, as `specs.trace.passages.tables` has them."""

    passages: _Words
    records: npt.NDArray[np.uint32]
    successors: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint32]  # for the blocks of a section, as references


class Slot(IntEnum):
    """Index into the state."""

    # the row in hand, whose packet may depend on the next one
    cur = 0  # a Cur
    cur_address = auto()
    cur_end = auto()  # address after it
    cur_priv = auto()
    cur_code = auto()  # itype as the encoder sees it
    cur_sent = auto()  # 1: this row sent a format 3
    cur_target = auto()  # 1: the row before it was an updiscon (check 3), not reported yet
    cur_notify = auto()  # 1: a notification was requested for it
    cur_pending = auto()  # 1: this row brought resynchronisation by instructions or cycles about
    cur_sequential = auto()  # 1: a sequentially inferable jump, and the row before it was traced
    cur_late = auto()  # 1: resynchronisation is due, but cannot be at this row
    cur_after = auto()  # an After: what the row before it was, if that was another block's
    cur_returns = auto()  # irdepth or irets of its packet, if it is a return's target; or NONE
    cur_report = auto()  # 1: it reports its context imprecisely (ctype 1): this context and time
    cur_context = auto()
    cur_time = auto()
    # a trap in hand
    trap_tval = auto()
    trap_cause = auto()
    trap_interrupt = auto()
    trap_context = auto()
    trap_time = auto()
    # between packets
    started = auto()
    branches = auto()
    branch_map = auto()
    predicted = auto()  # of the unreported branches, those that were predicted
    failed = auto()  # 1: the last one was not, and a count is all that is kept of the others
    last_address = auto()
    resync_count = auto()  # packets, or half-words
    sync_time = auto()  # of the row in hand when the last 3.0 or 3.1 was sent
    due = auto()  # resynchronisation by instructions or cycles: the next retired row sends 3.0
    context = auto()
    time = auto()
    has_time = auto()
    ntr = auto()  # the last packet was sent because of an updiscon
    segments = auto()  # V, see encoder.algorithm.segments: how many segments; or CIRCLES
    returns = auto()  # implicit returns in the whole trace
    nesting = auto()  # calls less implicit returns in the whole trace, modulo 2^64
    irets = auto()  # implicit returns since the last branch or packet (2.1)
    lately = auto()  # 1: a return since the last call and the last branch
    lowest = auto()  # implicit returns since the last packet: depths from above this
    highest = auto()  # up to this; 0: there were none
    since_sync = auto()  # bytes since the last synchronisation sequence
    queued = auto()  # packets decided on, not written yet
    left = auto()  # of those: for the row in hand, before the reference was taken into hand
    left_end = auto()  # position in the output behind them
    # sideband waiting for its reference
    side_notify = auto()
    side_ctype = auto()
    side_untraced = auto()  # 1: the trap that follows is not qualified
    # the modelled sink: see encoder.output.sink
    level = auto()  # bytes in the buffer, times `per`
    rate = auto()
    random = auto()
    losing = auto()  # 1: packets are being lost
    just_lost = auto()  # 1: since this row
    broken = auto()  # 1: a packet was lost since the queue was last empty
    passing = auto()  # half-words of the row in hand, which drain after its packets
    vary = auto()  # 1: the row before had an itype other than 0
    lost = auto()  # packets
    stalled = auto()  # half-words of time
    # the passage in hand (encoder.kernel): its next section; what is left of the section before
    # that, as for `specs.trace.passages.write_blocks`; which of the expanded blocks wait
    section = auto()
    walk_reference = auto()
    walk_bits = auto()
    walk_own = auto()
    walk_left = auto()
    row = auto()
    rows = auto()
    # errors: see encoder.encoder
    error = auto()
    error_index = auto()
    # statistics: packets that only the rules of docs/choices.md and docs/modes.md call for
    added_loop = auto()
    added_visit = auto()
    added_return = auto()
    added_late = auto()
    bytes_framing = auto()
    packets = auto()  # one slot a Format from here on


#: Slots of the state array.
STATE_SIZE = Slot.packets + len(Format)

#: Of `Slot.cur_returns`: nothing to report.
NONE = (1 << 64) - 1


class Cur(IntEnum):
    """What the row in hand is."""

    NOTHING = 0
    RETIRED = 1
    TRAP_WAITING = 2  # not reported yet
    TRAP_REPORTED = 3  # reported at its own row, with its EPC
    TRAP_UNTRACED = 4  # not traced, nor is anything before it; its handler may be


class After(IntFlag):
    """What a retired row was, once the row after it is known."""

    UPDISCON = 1  # the next row's address has to be reported
    JUMP = 2  # a jump through a register, or xRET, whether or not it is inferred
    IMPLICIT = 4  # an implicit return
    MISPREDICTED = 8  # a return to elsewhere than the return stack says
    PREDICTED = 16  # a return to where it says, implicit or not


class Option(IntEnum):
    """Index into the kernel's int64 options."""

    iaddress_lsb = 0
    full_address = auto()
    itype_width = auto()
    unit = auto()  # a Unit
    period = auto()
    plain = auto()  # 1: `encoder.algorithm.plain`, or `plain_modes`, can be used
    uniform_priv = auto()  # every block of the table has one privilege level
    address_msb = auto()  # bit number of the address field's most significant bit
    sijump = auto()
    implicit_return = auto()
    branch_prediction = auto()
    jump_target_cache = auto()
    implicit_exception = auto()
    f0s_width = auto()
    cache_size = auto()
    irets = auto()  # 1: irets instead of irdepth
    shorter_packet = auto()
    most_branches = auto()  # the largest branch_count, and 31
    address_mask = auto()
    reports = auto()  # 1: packets have context or time
    exact_loops = auto()  # [encoder] loops = "exact"
    exact_visits = auto()  # [encoder] ambiguous = "exact"
    keeps_segments = auto()  # 1: V is needed
    ctypes = auto()  # how many values ctype_width_p has
    sink = auto()  # a SinkKind
    sink_rate = auto()
    sink_per = auto()
    sink_capacity = auto()
    sink_resume = auto()
    sink_jitter = auto()
    vectors_known = auto()  # bit set of the privilege levels whose trap vector is known
    vectors = auto()  # by privilege level


#: Options: those, and a trap vector for each privilege level.
OPTIONS = Option.vectors + 16


class Unit(IntEnum):
    """What counts towards resynchronisation."""

    OFF = 0
    PACKETS = 1
    INSTRUCTIONS = 2
    CYCLES = 3


class SinkKind(IntEnum):
    """What becomes of a packet that does not fit the sink's buffer."""

    NONE = 0  # there is no such
    DROP = 1
    STALL = 2


class Op(IntEnum):
    """Rows of the queue that are no packets but the passing of time, as places in `table`."""

    DRAIN = 100  # half-words retire
    VARY = 101  # the rate changes
    ROW = 102  # what follows belongs to the next row
    LOOK = 103  # a row with an itype other than 0 asks whether tracing can go on


class Segment(IntEnum):
    """Columns of V's segments."""

    first = 0  # address of the first instruction
    last = 1  # and of the last
    returns = 2  # `Slot.returns` before it
    nesting = 3  # `Slot.nesting` before it


#: The rules on loops and visits remember this many segments.
MAX_SEGMENTS = 64
#: In the place of their number: execution runs in circles, and V is not kept.
CIRCLES = MAX_SEGMENTS + 1

# the same, as kernels can use them
slot = plain(Slot)
option = plain(Option)
segment = plain(Segment)
unit = plain(Unit)
sink_kind = plain(SinkKind)
hand = plain(Cur, np.uint64)
was = plain(After, np.uint64)
op = plain(Op, np.int64)
NO_RETURNS = np.uint64(NONE)
