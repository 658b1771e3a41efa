"""What the flow reconstruction keeps from one packet to the next, as places in an int64 array.

Addresses and the branch map are uint64 in kernels; `s64` and `u64` reinterpret them.
"""

from enum import IntEnum

from specs.kernels.njit import inlined, plain
from specs.kernels.words import U1, u64


class State(IntEnum):
    """Places in the state array; where the spec's pseudo code has the thing, under its name."""

    SYNC = 0  # a `Sync`
    SLOT = 1  # slot of the last instruction known to be retired, pc in the pseudo code
    BRANCHES = 2  # outcomes not yet used; 1 while the last instruction is a branch
    BRANCH_MAP = 3  # bit 0 the oldest
    ADDRESS = 4  # last address reported, to which differences refer
    PRIVILEGE = 5
    INFERRED = 6  # inferred_address: the address was met, but a later visit may be meant
    UNSUPPORTED = 7  # the last support packet announced what we cannot decode
    RUN_START = 8
    RUN_COUNT = 9  # instructions of the run under construction; 0: there is none
    RUNS = 10  # runs completed
    NEXT_EPC = 11  # address of the last trap packet, while SYNC is WAITING
    REGION_BASE = 12  # the region that SLOT is in
    REGION_SPAN = 13  # its size in bytes
    REGION_SLOT = 14  # its first slot
    GOAL = 15  # for `follow`: the address to reach, and how (bits of `follow`)
    HOW = 16
    ERROR_ADDRESS = 17  # why it cannot be reached: what the gap's `address` is
    ENDED = 18  # a support packet said that tracing ended, and nothing began since: a `Stop`
    REFUSED = 19  # the support packet that comes next announces what we cannot decode
    # of optional modes
    PREDICTED = 20  # after those in BRANCH_MAP, branches that went as predicted
    FAILED = 21  # 1: after those, one that did not
    IRETS = 22  # implicit returns since the last branch, or packet
    DEPTH = 23  # irdepth or irets of the packet; -1: irreport does not vouch for it
    GOAL_BRANCH = 24  # 1: the instruction at GOAL is a branch (if DEPTH is there)
    LAST = 25  # slot before SLOT's if that makes a sequentially inferable jump of it, else -1
    # of all again
    WANTED = 26  # paths of the packet that are still to be followed; 0: it is a new packet
    FRESH = 27  # a path that is being followed, where it was interrupted: see `follow`
    JUMPS = 28
    LIMIT = 29
    MET = 30  # 1: the last path met its goal between discontinuities
    ADDRESS_MASK = 31  # addresses wrap at 2^XLEN


class Sync(IntEnum):
    """What is known of where the flow stands."""

    START = 0  # nothing read yet
    FRESH = 1  # a support packet says that tracing begins
    LOST = 2  # a gap has been reported
    TRACING = 3
    WAITING = 4  # after a trap reported by the next row: `address` was the next trap's EPC
    OWN = 5  # after a trap reported at its own row: `address` was its EPC


class Stop(IntEnum):
    """How tracing ended."""

    NONE = 0
    TOLD = 1  # the encoder was told not to trace
    LOST = 2  # packets were lost


STATES = len(State)

_at = plain(State)


@inlined
def position(state):
    """Address of the last retired instruction: pc of the pseudo code."""
    return u64(state[_at.REGION_BASE]) + (u64(state[_at.SLOT] - state[_at.REGION_SLOT]) << U1)
