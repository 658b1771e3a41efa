"""What the flow reconstruction keeps from one packet to the next, as places in an int64 array.

Addresses and the branch map are uint64 in kernels; `s64` and `u64` reinterpret them.
"""

from enum import IntEnum


class State(IntEnum):
    """Places in the state array; where the spec's pseudo code has the thing, under its name."""

    SYNC = 0  # a `Sync`
    SLOT = 1  # slot of the last instruction known to be retired, pc in the pseudo code
    BRANCHES = 2  # outcomes not yet used; 1 while the last instruction is a branch
    BRANCH_MAP = 3  # bit 0 the oldest
    ADDRESS = 4  # last address reported, to which differences refer
    PRIVILEGE = 5
    INFERRED = 6  # inferred_address: the address was met, but a later visit may be meant
    FULL_ADDRESS = 7  # full address mode, as the last support packet says
    UNSUPPORTED = 8  # the last support packet announced a mode that is not decoded yet
    RUN_START = 9
    RUN_COUNT = 10  # instructions of the run under construction; 0: there is none
    RUNS = 11  # runs completed
    NEXT_EPC = 12  # address of the last trap packet, while SYNC is WAITING
    REGION_BASE = 13  # the region that SLOT is in
    REGION_SPAN = 14  # its size in bytes
    REGION_SLOT = 15  # its first slot
    GOAL = 16  # for `follow`: the address to reach, and how (bits of `follow`)
    HOW = 17
    ERROR_ADDRESS = 18  # why it cannot be reached: what the gap's `address` is


class Sync(IntEnum):
    """What is known of where the flow stands."""

    START = 0  # nothing read yet
    FRESH = 1  # a support packet says that tracing begins
    LOST = 2  # a gap has been reported
    TRACING = 3
    WAITING = 4  # after a trap reported by the next row: `address` was the next trap's EPC
    OWN = 5  # after a trap reported at its own row: `address` was its EPC


STATES = len(State)
