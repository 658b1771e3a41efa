"""Kernels: the encoder's flow chart (E-Trace 2.0, "Reference Compressed Branch Trace Algorithm"),
over retirement blocks. `docs/choices.md` numbers the checks, `docs/modes.md` adds the modes.

The row in hand is kept in `state` until the next one is known: `leave` then sends what it has to
say (checks 3 to 6, `encoder.algorithm.complete`), and `begin_block` or `begin_trap` takes the next
into hand (checks 1 and 2). Decisions put packets into a queue (`encoder.algorithm.queue`);
`encoder.kernel` writes them. Each piece stands in one place of one kernel: what is called in two is
compiled twice.
"""

from typing import Any, NamedTuple

import numpy as np

from encoder.algorithm.blocks import CODE, SIDEBAND, first_size, half_words, last_of, last_size
from encoder.algorithm.blocks import block as block_at
from encoder.algorithm.complete import (
    ENDS,
    PARTS,
    RETIRES,
    TRAPS,
    Next,
    complete,
    depth_before_format_3,
)
from encoder.algorithm.itypes import (
    is_branch,
    is_inferred_jump,
    itype,
    may_be_trap_return,
    seen_code,
)
from encoder.algorithm.queue import (
    begin_row,
    end_row,
    send_context,
    send_support,
    send_sync,
    send_target,
    send_trap,
)
from encoder.algorithm.resync import count_towards_resync, due_after_packet, is_due
from encoder.algorithm.segments import extend_segments
from encoder.algorithm.traps import begin_trap, send_handler, trap_privilege
from encoder.state import NO_RETURNS, hand, option, slot, was
from specs.interfaces.ingress import (
    HALTED,
    HAS_CONTEXT,
    HAS_TIME,
    RESET,
    TRAP_UNQUALIFIED,
    TRIGGER_NOTIFY,
    UNQUALIFIED,
)
from specs.interfaces.ingress import (
    SIDEBAND as SIDEBAND_RECORD,
)
from specs.interfaces.records import places
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import U0, U1, U2, U3, U4, U31, U255, b2u, s64, u64
from specs.trace import predictors
from specs.trace.packets import QualStatus
from specs.trace.predictors import DEPTH

_sideband = places(SIDEBAND_RECORD)
_status = plain(QualStatus, np.uint64)

#: ctype (table "Context type ctype values and corresponding actions").
IMPRECISELY, PRECISELY, DISCONTINUITY = U1, U2, U3
#: Flags of a side band: nothing leads from the row before to the next.
APART = np.uint64(HALTED | RESET | UNQUALIFIED)
#: In the place of a reference's number: what a trace begins with, what it ends with, and what tells
#: that packets are being lost when it does.
BEGIN, FINISH, LAST_LOSS = -1, -2, -3

ERROR_INDEX, ERROR_CTYPE, ERROR_EMPTY_BLOCK = 1, 2, 3


class Block(NamedTuple):
    """A retirement block."""

    code: Any  # its itype, as the encoder sees it
    iaddr: Any
    last: Any  # address of its last row
    details: Any  # its second word
    privilege: Any
    sijump: Any  # whether a jump at its end is sequentially inferable


@spliced
def read_block(work, history, code, blocks, index):
    """The block of a reference."""
    options = work.options
    iaddr = blocks[index, block_at.iaddr]
    details = blocks[index, block_at.iretire]
    seen = seen_code(code, options)
    sijump = False
    if history is not None:
        sijump = options[option.sijump] != 0 and is_inferred_jump(seen, details)
    privilege = (details >> block_at.priv_at) & U255
    return Block(seen, iaddr, last_of(iaddr, details), details, privilege, sijump)


# -- the row in hand, once the next is known ------------------------------------------------------


@spliced
def cannot_report(work, history, address, sequential):
    """Can no 3.0 report the row at `address`, behind the retired row in hand?"""
    state, options = work.state, work.options
    if history is None:
        return False
    if options[option.exact_visits] == 0:
        return False
    if sequential:
        return True
    if options[option.implicit_return] == 0 or state[slot.cur_code] != itype.RETURN:
        return False
    if state[slot.cur_sequential] != U0 or history[DEPTH] == U0:
        return False
    return predictors.link(history) != address


@spliced
def before_block(work, history, block):
    """What a block is to the row in hand."""
    state = work.state
    retired = state[slot.cur] == hand.RETIRED
    ctype = state[slot.side_ctype]
    precise = ctype == PRECISELY
    sequential = block.sijump and block.last == block.iaddr
    entered = (
        retired
        and block.privilege != state[slot.cur_priv]
        and not may_be_trap_return(state[slot.cur_code], work.options)
    )
    apart = state[slot.cur] != hand.NOTHING and (entered or ctype == DISCONTINUITY)
    if retired and precise and cannot_report(work, history, block.iaddr, sequential):
        apart = True
    kind = PARTS if apart else RETIRES
    return Next(kind, block.iaddr, block.privilege, precise, sequential)


@spliced
def before_trap(state, privilege):
    """What a trap is to the row in hand."""
    apart = state[slot.side_untraced] != U0 or state[slot.side_ctype] == DISCONTINUITY
    return Next(PARTS if apart else TRAPS, U0, privilege, False, False)


@inlined
def start_stretch(state):
    """Nothing before the next row is known to a decoder."""
    state[slot.cur] = hand.NOTHING
    state[slot.segments] = U0
    state[slot.ntr] = U0


@spliced
def end_stretch(work, ienable):
    """Say that nothing follows the row that was in hand."""
    state = work.state
    if ienable == U0:
        begin_row(work.options, state, work.queue)
    status = _status.ended_ntr if state[slot.ntr] != U0 else _status.ended_rep
    send_support(work, ienable, status)
    start_stretch(state)


@spliced
def leave(work, history, following):
    """Leave the row in hand for what follows; what it was: an `After`.

    If nothing leads from it to the next, the stretch ends, if there is one.
    """
    state = work.state
    in_hand = state[slot.cur]
    ends = following.kind == PARTS or following.kind == ENDS
    after = U0
    if in_hand == hand.RETIRED:
        after = complete(work, history, following)
    elif in_hand == hand.TRAP_WAITING and ends:
        send_trap(work, history, U0, U0, state[slot.cur_priv], U1)
    if following.kind == PARTS and (in_hand == hand.NOTHING or in_hand == hand.TRAP_UNTRACED):
        state[slot.cur] = hand.NOTHING
    elif ends:
        end_stretch(work, b2u(following.kind == PARTS))
        after = U0
    return after


# -- the rows of a block --------------------------------------------------------------------------


class Reported(NamedTuple):
    """What of a block has been reported already."""

    form: Any  # 0 nothing, 1 an address; 3 where a format 3 was the last packet sent
    rest: Any  # address of the first row that was not
    reached: Any  # of the last row that was looked at
    late: Any  # resynchronisation is due, but could not be


@spliced
def first_row(work, history, block, after, behind):
    """Checks 1 and 2; (did a format 3 report the row, is resynchronisation due at it)."""
    options, state = work.options, work.state
    previous = state[slot.cur]
    single = block.last == block.iaddr
    branch = b2u(not single or block.code != itype.TAKEN_BRANCH)
    if previous == hand.TRAP_WAITING or previous == hand.TRAP_UNTRACED:
        send_handler(work, history, block.iaddr, block.privilege, branch)
        return True, False
    late = is_due(options, state)
    can = after & was.MISPREDICTED == U0 and not behind
    can |= options[option.exact_visits] == 0
    if (
        previous != hand.RETIRED
        or state[slot.cur_priv] != block.privilege
        or state[slot.side_ctype] == PRECISELY
        or (late and can)
    ):
        send_sync(work, history, block.iaddr, block.privilege, branch)
        return True, late
    return False, late


@njit
def target_row(work, history, block, after):
    """Check 3 for the first of several rows, an updiscon's target; check 2 for the second."""
    options, state = work.options, work.state
    first = first_size(block.details)
    # where sizes are unknown, one half-word on
    step = first if first != U0 else U1
    second = block.iaddr + (step << U1)
    # a second row that cannot synchronise is the last
    can = not (block.sijump and (first == U0 or second == block.last))
    can |= options[option.exact_visits] == 0
    follows = can and due_after_packet(options, state)
    reported = state[slot.cur_returns]
    if reported == NO_RETURNS:
        reported = depth_before_format_3(work, history, follows, False)
    predicted = after & was.PREDICTED != U0
    send_target(work, history, block.iaddr, b2u(follows), reported, predicted)
    late = is_due(options, state)
    if state[slot.side_ctype] == IMPRECISELY:
        send_context(work, block.privilege, state[slot.context], state[slot.time])
    if not (late and can):
        return Reported(U1, second, block.iaddr, late)
    # where the second row's address is unknown, the last
    row = second if first != U0 else block.last
    branch = b2u(row != block.last or block.code != itype.TAKEN_BRANCH)
    state[slot.passing] = step
    begin_row(options, state, work.queue)
    send_sync(work, history, row, block.privilege, branch)
    return Reported(U3, row + U2, row, late)


@spliced
def first_rows(work, history, block, after, behind):
    """All that comes before the last row, and checks 1 and 2 if it is the only one: `Reported`."""
    state = work.state
    single = block.last == block.iaddr
    synchronised, late = first_row(work, history, block, after, behind)
    reports = state[slot.side_ctype] == IMPRECISELY
    if synchronised:
        # one half-word on where sizes are unknown
        first = first_size(block.details)
        step = first if first != U0 else U1
        return Reported(U3, block.iaddr + (step << U1), block.iaddr, late)
    if after & was.UPDISCON != U0 and not single:
        return target_row(work, history, block, after)
    if reports and not single:
        send_context(work, block.privilege, state[slot.context], state[slot.time])
    return Reported(U0, block.iaddr, block.iaddr, late)


@spliced
def keep_block(work, history, block, after, reported, behind):
    """Take the last row of a block into hand."""
    options, state = work.options, work.state
    single = block.last == block.iaddr
    whole = reported.form != U0 and reported.rest > block.last
    if not whole:
        if is_branch(block.code):
            add_branch(work, history, block.last, b2u(block.code != itype.TAKEN_BRANCH))
        extend_segments(options, state, work.segments, reported.rest, block.last)
    iretire = half_words(block.details)
    untold = reported.form == U0
    state[slot.cur] = hand.RETIRED
    state[slot.cur_address] = block.last
    state[slot.cur_end] = block.iaddr + (iretire << U1)
    state[slot.cur_priv] = block.privilege
    state[slot.cur_code] = block.code
    state[slot.cur_sent] = b2u(whole)
    state[slot.cur_target] = b2u(after & was.UPDISCON != U0 and untold)
    state[slot.cur_notify] = state[slot.side_notify]
    state[slot.cur_sequential] = b2u(behind or (block.sijump and not single))
    state[slot.cur_late] = b2u(reported.late and reported.form != U3)
    state[slot.cur_after] = after if single else U0
    state[slot.cur_pending] = U0
    reports = state[slot.side_ctype] == IMPRECISELY
    state[slot.cur_report] = b2u(reports and single and untold)
    state[slot.cur_context] = state[slot.context]
    state[slot.cur_time] = state[slot.time]
    if not whole:
        unsent = iretire if reported.form != U3 else (state[slot.cur_end] - reported.rest) >> U1
        count_towards_resync(options, state, block.code, unsent)


@inlined
def begin_block(work, history, block, after):
    """Take a block into hand; `after`: what the row before it was."""
    options, state, queue = work.options, work.state, work.queue
    begin_row(options, state, queue)
    if state[slot.losing] != U0:
        state[slot.cur] = hand.NOTHING
        state[slot.passing] = (block.last - block.iaddr) >> U1
        begin_row(options, state, queue)
    else:
        single = block.last == block.iaddr
        behind = single and block.sijump and state[slot.cur] == hand.RETIRED
        reported = first_rows(work, history, block, after, behind)
        if reported.reached != block.last:
            state[slot.passing] = (block.last - reported.reached) >> U1
            begin_row(options, state, queue)
        keep_block(work, history, block, after, reported, behind)
    end_row(options, state, queue, last_size(block.details), block.code != U0)
    state[slot.side_ctype] = U0
    state[slot.side_notify] = U0
    state[slot.side_untraced] = U0


@spliced
def add_branch(work, history, address, outcome):
    """The branch at `address`; `outcome` 0 is taken."""
    options, state = work.options, work.state
    correct = U0
    if history is not None:
        if options[option.branch_prediction] != 0:
            correct = predictors.predict(history, address, outcome ^ U1)
        if state[slot.predicted] >= U31:
            state[slot.failed] = correct ^ U1
            state[slot.predicted] += correct
            return
        state[slot.predicted] += correct
    state[slot.branch_map] |= outcome << state[slot.branches]
    state[slot.branches] += U1


# -- side bands -----------------------------------------------------------------------------------


@spliced
def note_sideband(state, sidebands, index):
    """Context, time and triggers for the reference that follows."""
    word = sidebands[index, _sideband.flags]
    given = (word >> _sideband.flags_at) & U255
    if given & u64(TRAP_UNQUALIFIED) != U0:
        state[slot.side_untraced] = U1
    if given & u64(HAS_CONTEXT) != U0:
        state[slot.context] = sidebands[index, _sideband.context]
    if given & u64(HAS_TIME) != U0:
        state[slot.time] = sidebands[index, _sideband.time]
        state[slot.has_time] = U1
    if (word >> _sideband.trigger_at) & u64(TRIGGER_NOTIFY) != U0:
        state[slot.side_notify] = U1
    ctype = (word >> _sideband.ctype_at) & U255
    state[slot.side_ctype] = max(state[slot.side_ctype], ctype)


# -- all together ---------------------------------------------------------------------------------


@spliced
def wrong(work, tables, code, index):
    """What is wrong with a reference: an error number or 0."""
    if code == itype.EXCEPTION or code == itype.INTERRUPT:
        return ERROR_INDEX if index >= tables.traps.shape[0] else 0
    if code == SIDEBAND:
        sidebands = tables.sidebands
        if index >= sidebands.shape[0]:
            return ERROR_INDEX
        ctype = (sidebands[index, _sideband.ctype] >> _sideband.ctype_at) & U255
        return ERROR_CTYPE if s64(ctype) >= work.options[option.ctypes] else 0
    if index >= tables.blocks.shape[0]:
        return ERROR_INDEX
    return ERROR_EMPTY_BLOCK if half_words(tables.blocks[index, block_at.iretire]) == U0 else 0


@spliced
def walk(work, history, tables, i):
    """Put the packets that refs[i], or the FINISH of the trace, asks for into the queue; an error
    number or 0.
    """
    state = work.state
    reference = u64(tables.refs[i]) if i >= 0 else SIDEBAND
    code = reference & CODE
    index = s64(reference >> U4)
    if i >= 0:
        error = wrong(work, tables, code, index)
        if error != 0:
            return error
    is_trap = code == itype.EXCEPTION or code == itype.INTERRUPT
    is_block = not is_trap and code != SIDEBAND
    block = Block(U0, U0, U0, U0, U0, False)
    following = Next(ENDS, U0, U0, False, False)
    leaves = True
    if is_block:
        block = read_block(work, history, code, tables.blocks, index)
        following = before_block(work, history, block)
    elif is_trap:
        following = before_trap(state, trap_privilege(tables.traps, index))
    elif i >= 0:
        given = tables.sidebands[index, _sideband.flags] >> _sideband.flags_at
        leaves = given & APART != U0
        following = Next(PARTS, U0, U0, False, False)
    after = U0
    if leaves:
        after = leave(work, history, following)
    state[slot.left] = state[slot.queued]
    if is_block:
        begin_block(work, history, block, after)
    elif is_trap:
        begin_trap(work, history, code, tables.traps, index, after)
    elif i >= 0:
        note_sideband(state, tables.sidebands, index)
    return 0
