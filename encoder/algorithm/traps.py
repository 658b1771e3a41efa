"""Kernels: rows that did not retire, and the first row of their handlers (check 1)."""

import numpy as np

from encoder.algorithm.queue import begin_row, end_row, send_sync, send_trap
from encoder.state import hand, option, slot, was
from specs.interfaces.ingress import TRAP
from specs.interfaces.records import places
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import U0, U1, U2, U3, U255, b2u, s64, u64
from specs.trace.itype import Itype

trap = places(TRAP)
INTERRUPT = np.uint64(Itype.INTERRUPT)


@spliced
def trap_privilege(traps, index):
    return (traps[index, trap.priv] >> trap.priv_at) & U255


@spliced
def trap_address(traps, index):
    """0 where the source does not know it."""
    valid = (traps[index, trap.iaddr_valid] >> trap.iaddr_valid_at) & U255
    return traps[index, trap.iaddr] if valid != U0 else U0


@spliced
def keep_trap(state, code, traps, index):
    """Keep what a packet says of a trap."""
    state[slot.cur_address] = trap_address(traps, index)
    state[slot.cur_priv] = trap_privilege(traps, index)
    state[slot.trap_tval] = traps[index, trap.tval]
    state[slot.trap_cause] = traps[index, trap.cause]
    state[slot.trap_interrupt] = b2u(code == INTERRUPT)
    state[slot.trap_context] = state[slot.context]
    state[slot.trap_time] = state[slot.time]


@njit
def begin_trap(work, history, code, traps, index, after):
    """Take a trap into hand; `after`: what the row before it was, an `After`."""
    options, state, queue = work.options, work.state, work.queue
    unqualified = state[slot.side_untraced] != U0
    state[slot.side_ctype] = U0
    state[slot.side_notify] = U0
    state[slot.side_untraced] = U0
    if unqualified:
        keep_trap(state, code, traps, index)
        state[slot.cur] = hand.TRAP_UNTRACED
        return
    address, privilege = trap_address(traps, index), trap_privilege(traps, index)
    previous = state[slot.cur]
    at_once = previous != hand.RETIRED and previous != hand.TRAP_WAITING
    if previous == hand.RETIRED:
        at_once = after & was.UPDISCON != U0 or state[slot.cur_priv] != privilege
    begin_row(options, state, queue)
    traced = state[slot.losing] == U0
    if traced and previous == hand.TRAP_WAITING:
        send_trap(work, history, U0, address, state[slot.cur_priv], U1)
    keep_trap(state, code, traps, index)
    state[slot.cur] = hand.TRAP_WAITING if traced else hand.TRAP_UNTRACED
    if traced and at_once:
        send_trap(work, history, U0, address, privilege, U1)
        state[slot.cur] = hand.TRAP_REPORTED
    end_row(options, state, queue, U0, U1 != U0)


@inlined
def is_inferred_handler(options, state, iaddr, privilege):
    """Do the trap vectors tell that the trap in hand leads to `iaddr` (implicit exception)?"""
    level = s64(privilege)
    if (options[option.vectors_known] >> level) & 1 == 0:
        return False
    value = u64(options[option.vectors + level])
    handler = value & ~U3
    if value & U3 == U1 and state[slot.trap_interrupt] != U0:
        handler += state[slot.trap_cause] << U2
    return handler & u64(options[option.address_mask]) == iaddr


@spliced
def send_handler(work, history, iaddr, privilege, branch):
    """Check 1, for a trap that waits, or was not traced."""
    options, state = work.options, work.state
    implicit = options[option.implicit_exception] != 0
    if implicit and not is_inferred_handler(options, state, iaddr, privilege):
        untraced = state[slot.cur] == hand.TRAP_UNTRACED
        address = state[slot.cur_address] if untraced else iaddr
        send_trap(work, history, U0, address, state[slot.cur_priv], U1)
        send_sync(work, history, iaddr, privilege, branch)
    else:
        send_trap(work, history, U1, iaddr, privilege, branch)
