"""What the encoder keeps between calls of its kernel: numbered slots of one uint64 array.

A *row* is an instruction or a trap; `docs/choices.md` tells the rules in these words.
"""

from enum import IntEnum, auto

from specs.packets import Format


class Slot(IntEnum):
    """Index into the state array."""

    # the row in hand, whose packet may depend on the next one
    cur = 0  # a Cur
    cur_address = auto()
    cur_end = auto()  # address after it
    cur_priv = auto()
    cur_code = auto()  # itype as the encoder sees it
    cur_sent = auto()  # 1: this row sent a format 3
    cur_target = auto()  # 1: the row before it was an updiscon (check 3), not reported yet
    cur_notify = auto()  # 1: a notification was requested for it
    cur_pending = auto()  # 1: this row brought resynchronisation by instructions about
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
    last_address = auto()
    resync_count = auto()  # packets, or half-words
    due = auto()  # resynchronisation by instructions: the next retired row sends 3.0
    context = auto()
    time = auto()
    has_time = auto()
    ntr = auto()  # the last packet was sent because of an updiscon
    segments = auto()  # V of the loop rule: how many segments
    since_sync = auto()  # bytes since the last synchronisation sequence
    queued = auto()  # packets decided on, not written yet
    # sideband waiting for its reference
    side_notify = auto()
    # errors: see encoder.encoder
    error = auto()
    error_index = auto()
    # statistics
    loop_packets = auto()
    bytes_framing = auto()
    packets = auto()  # one slot a Format from here on


#: Slots of the state array.
STATE_SIZE = Slot.packets + len(Format)


class Cur(IntEnum):
    """What the row in hand is."""

    NOTHING = 0
    RETIRED = 1
    TRAP_WAITING = 2  # not reported yet
    TRAP_REPORTED = 3  # reported at its own row, with its EPC


class Option(IntEnum):
    """Index into the kernel's int64 options."""

    iaddress_lsb = 0
    full_address = auto()
    itype_width = auto()
    unit = auto()  # a Unit
    period = auto()
    uniform_priv = auto()  # every block of the table has one privilege level
    address_msb = auto()  # bit number of the address field's most significant bit
    end = auto()


class Unit(IntEnum):
    """What counts towards resynchronisation."""

    OFF = 0
    PACKETS = 1
    INSTRUCTIONS = 2


#: The loop rule remembers this many segments.
MAX_SEGMENTS = 64
