"""Kernels: packets that were decided on, as rows of `specs.trace.packets.Column` in a queue.

`encoder.algorithm.flowchart` decides; `encoder.output` writes them.
"""

import numpy as np

from encoder.state import NO_RETURNS, op, option, slot, unit
from specs.kernels.njit import inlined, njit, plain, spliced
from specs.kernels.words import U0, U1, U2, U31, U64, clz64, s64, u64
from specs.trace import predictors
from specs.trace.packets import Column, Format

column = plain(Column)
form = plain(Format, np.int64)
#: Where the queue says that the row after it is the same packet, perhaps shorter.
SHORTER = int(Column.reason)
FIRST_FIELD = int(Column.format)


@inlined
def append(state, queue, table):
    """The queue's next row, for a packet of format `table` or an `encoder.state.Op`."""
    row = s64(state[slot.queued])
    state[slot.queued] += U1
    queue[row, column.table] = u64(table)
    queue[row, SHORTER] = U0
    return row


@inlined
def enqueue(state, queue, table):
    """The queue's next row, for a packet of a format that takes part in the flow."""
    state[slot.irets] = U0
    state[slot.highest] = U0
    return append(state, queue, table)


@inlined
def forget_branches(state):
    state[slot.branches] = U0
    state[slot.branch_map] = U0
    state[slot.predicted] = U0
    state[slot.failed] = U0
    state[slot.segments] = U0
    state[slot.ntr] = U0


@spliced
def synchronised(state, history):
    """After a 3.0 or 3.1."""
    state[slot.sync_time] = state[slot.time]
    state[slot.resync_count] = U0
    state[slot.due] = U0
    forget_branches(state)
    if history is not None:
        predictors.reset(history)


@inlined
def reported(options, state):
    """After a format 0, 1 or 2."""
    if options[option.unit] == unit.PACKETS:
        state[slot.resync_count] += U1
    forget_branches(state)


@njit
def send_trap(work, history, thaddr, address, privilege, branch):
    """3.1 for the trap in hand."""
    options, state, queue = work.options, work.state, work.queue
    row = enqueue(state, queue, form.TRAP)
    queue[row, column.branch] = branch
    queue[row, column.privilege] = privilege
    if thaddr != U0:
        queue[row, column.time] = state[slot.time]
        queue[row, column.context] = state[slot.context]
        state[slot.last_address] = address
    else:
        queue[row, column.time] = state[slot.trap_time]
        queue[row, column.context] = state[slot.trap_context]
    queue[row, column.ecause] = state[slot.trap_cause]
    queue[row, column.interrupt] = state[slot.trap_interrupt]
    queue[row, column.thaddr] = thaddr
    queue[row, column.address] = address >> u64(options[option.iaddress_lsb])
    queue[row, column.tval] = state[slot.trap_tval]
    synchronised(state, history)


@njit
def send_sync(work, history, address, privilege, branch):
    """3.0 for a retired row."""
    options, state, queue = work.options, work.state, work.queue
    row = enqueue(state, queue, form.SYNC)
    queue[row, column.branch] = branch
    queue[row, column.privilege] = privilege
    queue[row, column.time] = state[slot.time]
    queue[row, column.context] = state[slot.context]
    queue[row, column.address] = address >> u64(options[option.iaddress_lsb])
    state[slot.last_address] = address
    synchronised(state, history)


@spliced
def send_context(work, privilege, context, time):
    """3.2, of which no count and no prediction takes notice."""
    queue = work.queue
    if work.options[option.reports] != 0:
        row = append(work.state, queue, form.CONTEXT)
        queue[row, column.privilege] = privilege
        queue[row, column.time] = time
        queue[row, column.context] = context


@inlined
def put_support(queue, row, ienable, status):
    """3.3 into a row; the queue's last row has what it says of the encoder."""
    template = queue.shape[0] - 1
    for i in range(FIRST_FIELD, queue.shape[1]):
        queue[row, i] = queue[template, i]
    queue[row, column.ienable] = ienable
    queue[row, column.qual_status] = status


@njit
def send_support(work, ienable, status):
    """3.3."""
    options, state, queue = work.options, work.state, work.queue
    put_support(queue, enqueue(state, queue, form.SUPPORT), ienable, status)
    if options[option.unit] == unit.PACKETS:
        state[slot.resync_count] += U1


@spliced
def put_returns(queue, row, before, returns):
    """irreport, which says by differing from `before` that `returns` counts, and irdepth, irets."""
    silent = returns == NO_RETURNS
    queue[row, column.irreport] = before if silent else before ^ U1
    queue[row, column.irdepth] = U0 - before if silent else returns
    queue[row, column.irets] = queue[row, column.irdepth]


@njit
def put_address(work, history, address, notify, updiscon, returns):
    """Format 0.0, 1 or 2 with an address into the queue, and nothing else.

    `notify` and `updiscon` say whether those bits differ; `returns`: irdepth or irets, or
    NO_RETURNS.
    """
    options, state, queue = work.options, work.state, work.queue
    branches = state[slot.branches]
    table = form.ADDRESS if branches == U0 else form.BRANCH_MAP
    counting = False
    if history is not None:
        counting = state[slot.predicted] >= U31
        if counting:
            table = form.BRANCH_COUNT
    row = enqueue(state, queue, table)
    base = U0 if options[option.full_address] != 0 else state[slot.last_address]
    field = (address - base) >> u64(options[option.iaddress_lsb])
    msb = (field >> u64(options[option.address_msb])) & U1
    bit = msb ^ notify ^ updiscon
    queue[row, column.address] = field
    queue[row, column.notify] = msb ^ notify
    queue[row, column.updiscon] = bit
    put_returns(queue, row, bit, returns)
    if counting:
        queue[row, column.branch_count] = state[slot.predicted] - U31
        queue[row, column.branch_fmt] = U2 | state[slot.failed]
    else:
        queue[row, column.branches] = branches
        queue[row, column.branch_map] = state[slot.branch_map]


@spliced
def put_index(work, history, address, returns):
    """Format 0.1 into the queue, and nothing else."""
    state, queue = work.state, work.queue
    row = enqueue(state, queue, form.JUMP_TARGET_INDEX)
    branches = state[slot.branches]
    queue[row, column.index] = predictors.cache_index(history, address)
    queue[row, column.branches] = branches
    queue[row, column.branch_map] = state[slot.branch_map]
    # the field's most significant bit as sent, not the last branch's
    top = ((U1 << (U64 - clz64(branches))) - U1) - U1
    put_returns(queue, row, U0 if branches == U0 else (state[slot.branch_map] >> top) & U1, returns)


@spliced
def sent_address(work, address):
    work.state[slot.last_address] = address
    reported(work.options, work.state)


@spliced
def send_address(work, history, address, notify, returns):
    """An address that a decoder reaches by walking; `returns`: irdepth, if it counts."""
    if history is not None:
        if work.options[option.irets] != 0 and work.state[slot.irets] != U0:
            returns = work.state[slot.irets]
    put_address(work, history, address, notify, U0, returns)
    sent_address(work, address)


@spliced
def send_landing(work, history, address, updiscon, irets):
    """The same, where it is the target of an implicit return (2.1)."""
    put_address(work, history, address, U0, updiscon, irets)
    sent_address(work, address)


@njit
def put_target(work, history, address, updiscon, returns):
    """The target of an updiscon into the queue, as its place in the jump target cache if it has
    one, or as both, of which the shorter will be sent."""
    state = work.state
    index = predictors.cache_index(history, address)
    # 0.1 has no *updiscon* bit
    hit = predictors.cached(history, index) == address and updiscon == U0
    if hit and state[slot.predicted] < U31:
        put_index(work, history, address, returns)
        if work.options[option.shorter_packet] != 0:
            work.queue[s64(state[slot.queued]) - 1, SHORTER] = U1
            put_address(work, history, address, U0, U0, returns)
    else:
        put_address(work, history, address, U0, updiscon, returns)
    predictors.cache(history, address)


@spliced
def send_target(work, history, address, updiscon, returns, predicted):
    """The target of an updiscon, by its address or its place in the jump target cache.

    What the return stack `predicted` has no place in that.
    """
    cached = False
    if history is not None:
        cached = work.options[option.jump_target_cache] != 0 and not predicted
        if cached:
            put_target(work, history, address, updiscon, returns)
    if not cached:
        put_address(work, history, address, U0, updiscon, returns)
    sent_address(work, address)
    work.state[slot.ntr] = U1


@spliced
def send_branches(work, history):
    """Format 0.0 or 1 without address: a count that ends in a failure, or 31 branches."""
    state, queue = work.state, work.queue
    counting = False
    if history is not None:
        counting = state[slot.predicted] >= U31
        if counting:
            row = enqueue(state, queue, form.BRANCH_COUNT)
            queue[row, column.branch_count] = state[slot.predicted] - U31
            queue[row, column.branch_fmt] = U0
    if not counting:
        row = enqueue(state, queue, form.BRANCH_MAP)
        queue[row, column.branches] = U0
        queue[row, column.branch_map] = state[slot.branch_map]
    reported(work.options, state)


# -- what passes of time between them, for a modelled sink (`encoder.output.sink`) -----------------


@inlined
def begin_row(options, state, queue):
    """What follows belongs to a row; all the time of the one before passes."""
    if options[option.sink] != 0:
        if state[slot.passing] != U0:
            queue[append(state, queue, op.DRAIN), column.address] = state[slot.passing]
            state[slot.passing] = U0
        if state[slot.vary] != U0:
            append(state, queue, op.VARY)
            state[slot.vary] = U0
        append(state, queue, op.ROW)


@inlined
def end_row(options, state, queue, half_words, looks):
    """The row is over but for packets that wait for the next; `looks`: its itype is not 0."""
    if options[option.sink] != 0:
        state[slot.passing] = half_words
        if looks:
            append(state, queue, op.LOOK)
            state[slot.vary] = U1
