"""The state that encoder and decoder keep alike: branch predictor, jump target cache, return stack.

E-Trace 2.0, "Branch prediction mode", "Jump target cache mode", "Implicit return mode"; what the
text leaves open is in `docs/modes.md`. All of it is one uint64 array: a header of `Place`s, then
the two-bit states of the predictor, a word each, the cached targets, and the return stack as a ring
of pairs (link address, further calls with that link).
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from specs.kernels.njit import inlined, njit
from specs.kernels.words import ALL_ONES, U0, U1, U3, U4, s64

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration


class Place(IntEnum):
    """The header."""

    INDEX_SHIFT = 0  # lowest address bit in an index
    BPRED_MASK = 1  # entries less one
    CACHE_MASK = 2
    CACHE = 3  # where the targets begin
    STACK = 4  # where the pairs begin
    STACK_MASK = 5  # of the ring: a power of two, less one
    RECURSIONS = 6  # most further calls of an entry
    ADDRESS_MASK = 7
    # what changes
    DEPTH = 8  # entries of the return stack
    TOP = 9  # number of the newest entry, before masking
    BPRED = 10  # the predictor begins here


INDEX_SHIFT = int(Place.INDEX_SHIFT)
BPRED_MASK = int(Place.BPRED_MASK)
CACHE_MASK = int(Place.CACHE_MASK)
CACHE = int(Place.CACHE)
STACK = int(Place.STACK)
STACK_MASK = int(Place.STACK_MASK)
RECURSIONS = int(Place.RECURSIONS)
ADDRESS_MASK = int(Place.ADDRESS_MASK)
DEPTH = int(Place.DEPTH)
TOP = int(Place.TOP)
BPRED = int(Place.BPRED)

_BPRED = np.uint64(BPRED)
#: An address that no instruction has.
_INVALID = ALL_ONES
#: The next state, two bits each, by state << 1 | taken (table "Branch predictor states"). The last
#: two are for an entry that `spare` has marked.
_STATES = (0b00, 0b01, 0b00, 0b11, 0b00, 0b11, 0b10, 0b11, 0b01, 0b01)
_NEXT = np.uint64(sum(state << 2 * i for i, state in enumerate(_STATES)))


def make(configuration: "Configuration") -> npt.NDArray[np.uint64]:
    """The state for a configuration, as after a synchronisation packet."""
    parameters = configuration.parameters
    predictor = 1 << parameters.bpred_size_p
    cache = 1 << parameters.cache_size_p
    stack = configuration.nested_calls
    state = np.zeros(BPRED + predictor + cache + 2 * stack, np.uint64)
    state[INDEX_SHIFT] = 2 if parameters.iaddress_lsb_p == 2 else 1
    state[BPRED_MASK] = predictor - 1
    state[CACHE_MASK] = cache - 1
    state[CACHE] = BPRED + predictor
    state[STACK] = BPRED + predictor + cache
    state[STACK_MASK] = stack - 1
    state[RECURSIONS] = configuration.recursions
    state[ADDRESS_MASK] = (1 << parameters.iaddress_width_p) - 1
    reset(state)
    return state


@njit
def reset(state: Any) -> None:
    """After a synchronisation packet: all entries 01, nothing cached, no calls."""
    cache = s64(state[CACHE])
    for i in range(BPRED, cache):
        state[i] = U1
    for i in range(cache, s64(state[STACK])):
        state[i] = _INVALID
    state[DEPTH] = U0


# -- branch predictor -----------------------------------------------------------------------------


@inlined
def predictor_index(state: Any, iaddr: Any) -> Any:
    """Where the entry of a branch is in `state`."""
    return _BPRED + ((iaddr >> state[INDEX_SHIFT]) & state[BPRED_MASK])


@inlined
def train(entry: Any, taken: Any) -> Any:
    """What an entry becomes after the outcome (0 or 1) of its branch."""
    return (_NEXT >> (((entry << U1) | taken) << U1)) & U3


@inlined
def spare(state: Any, iaddr: Any) -> None:
    """Let the next outcome, which must be that of the branch at `iaddr`, train nothing.

    For the branch of a synchronisation packet, right after `reset`.
    """
    state[predictor_index(state, iaddr)] = U4


@inlined
def predict(state: Any, iaddr: Any, taken: Any) -> Any:
    """Train with the outcome (0 or 1) of the branch at `iaddr`; 1 if it was predicted, else 0."""
    return predict_entry(state, predictor_index(state, iaddr), taken)


@inlined
def predict_entry(state: Any, at: Any, taken: Any) -> Any:
    """As `predict`, for the entry at state[at]."""
    entry = state[at]
    state[at] = train(entry, taken)
    return ((entry >> U1) ^ taken) ^ U1


@inlined
def predicted(state: Any, iaddr: Any) -> Any:
    """1 if the branch at `iaddr` is predicted to be taken, else 0."""
    return state[predictor_index(state, iaddr)] >> U1


# -- jump target cache ----------------------------------------------------------------------------


@inlined
def cache_index(state: Any, iaddr: Any) -> Any:
    """The *index* of a target."""
    return (iaddr >> state[INDEX_SHIFT]) & state[CACHE_MASK]


@inlined
def cached(state: Any, index: Any) -> Any:
    """The target of an entry; odd where there is none."""
    return state[state[CACHE] + (index & state[CACHE_MASK])]


@inlined
def cache(state: Any, iaddr: Any) -> None:
    """Store a target."""
    state[state[CACHE] + cache_index(state, iaddr)] = iaddr


# -- return stack ---------------------------------------------------------------------------------


@inlined
def link(state: Any) -> Any:
    """The newest link address; only where DEPTH is not 0."""
    return state[state[STACK] + ((state[TOP] & state[STACK_MASK]) << U1)]


@inlined
def call(state: Any, address: Any) -> None:
    """A call that will return to `address`; drops the oldest entry of a full stack."""
    address &= state[ADDRESS_MASK]
    depth = state[DEPTH]
    if depth != U0 and state[RECURSIONS] != U0 and link(state) == address:
        at = state[STACK] + ((state[TOP] & state[STACK_MASK]) << U1) + U1
        if state[at] < state[RECURSIONS]:
            state[at] += U1
            return
    state[TOP] += U1
    at = state[STACK] + ((state[TOP] & state[STACK_MASK]) << U1)
    state[at] = address
    state[at + U1] = U0
    if depth <= state[STACK_MASK]:
        state[DEPTH] = depth + U1


@inlined
def unwind(state: Any) -> None:
    """A return; only where DEPTH is not 0."""
    at = state[STACK] + ((state[TOP] & state[STACK_MASK]) << U1) + U1
    if state[at] != U0:
        state[at] -= U1
        return
    state[TOP] -= U1
    state[DEPTH] -= U1


__all__ = ["Place", "cache", "cache_index", "cached", "call", "link", "make", "predict"]
__all__ += ["predict_entry", "predicted", "predictor_index", "reset", "spare", "train", "unwind"]
