"""Kernels: packets that were decided on, as rows of `specs.trace.packets.Column` in a queue.

`encoder.algorithm.flowchart` decides; `encoder.output.writer` writes them. `memory` is the state of
`specs.trace.predictors`.
"""

import numpy as np

from encoder.algorithm.state import NONE, Option, Slot, Unit
from specs.kernels.njit import inlined, njit
from specs.kernels.words import U0, U1, U2, U31, U64, clz64, s64, u64
from specs.trace import predictors
from specs.trace.packets import Column, Format

TRAP_TVAL = int(Slot.trap_tval)
TRAP_CAUSE = int(Slot.trap_cause)
TRAP_INTERRUPT = int(Slot.trap_interrupt)
TRAP_CONTEXT = int(Slot.trap_context)
TRAP_TIME = int(Slot.trap_time)
BRANCHES = int(Slot.branches)
BRANCH_MAP = int(Slot.branch_map)
PREDICTED = int(Slot.predicted)
FAILED = int(Slot.failed)
LAST_ADDRESS = int(Slot.last_address)
RESYNC_COUNT = int(Slot.resync_count)
DUE = int(Slot.due)
SYNC_TIME = int(Slot.sync_time)
CONTEXT = int(Slot.context)
TIME = int(Slot.time)
NTR = int(Slot.ntr)
SEGMENTS = int(Slot.segments)
IRETS = int(Slot.irets)
LATELY = int(Slot.lately)
LOWEST = int(Slot.lowest)
HIGHEST = int(Slot.highest)
QUEUED = int(Slot.queued)

LSB = int(Option.iaddress_lsb)
FULL_ADDRESS = int(Option.full_address)
UNIT = int(Option.unit)
ADDRESS_MSB = int(Option.address_msb)
HAS_IRETS = int(Option.irets)
JUMP_TARGET_CACHE = int(Option.jump_target_cache)
SHORTER_PACKET = int(Option.shorter_packet)
REPORTS = int(Option.reports)
PACKETS_UNIT = int(Unit.PACKETS)

C_TABLE = int(Column.table)
C_SHORTER = int(Column.reason)
C_BRANCH = int(Column.branch)
C_PRIVILEGE = int(Column.privilege)
C_TIME = int(Column.time)
C_CONTEXT = int(Column.context)
C_ECAUSE = int(Column.ecause)
C_INTERRUPT = int(Column.interrupt)
C_THADDR = int(Column.thaddr)
C_ADDRESS = int(Column.address)
C_TVAL = int(Column.tval)
C_BRANCHES = int(Column.branches)
C_BRANCH_MAP = int(Column.branch_map)
C_BRANCH_COUNT = int(Column.branch_count)
C_BRANCH_FMT = int(Column.branch_fmt)
C_INDEX = int(Column.index)
C_NOTIFY = int(Column.notify)
C_UPDISCON = int(Column.updiscon)
C_IRREPORT = int(Column.irreport)
C_IRDEPTH = int(Column.irdepth)
C_IRETS = int(Column.irets)
C_IENABLE = int(Column.ienable)
C_QUAL_STATUS = int(Column.qual_status)
FIRST_FIELD = int(Column.format)

F_BRANCH_COUNT = np.int64(Format.BRANCH_COUNT)
F_JUMP_TARGET_INDEX = np.int64(Format.JUMP_TARGET_INDEX)
F_BRANCH_MAP = np.int64(Format.BRANCH_MAP)
F_ADDRESS = np.int64(Format.ADDRESS)
F_SYNC = np.int64(Format.SYNC)
F_TRAP = np.int64(Format.TRAP)
F_CONTEXT = np.int64(Format.CONTEXT)
F_SUPPORT = np.int64(Format.SUPPORT)

NO_RETURNS = np.uint64(NONE)


@inlined
def append(state, queue, table):
    """The queue's next row, for a packet of format `table` or an `encoder.algorithm.state.Op`."""
    row = s64(state[QUEUED])
    state[QUEUED] += U1
    queue[row, C_TABLE] = u64(table)
    queue[row, C_SHORTER] = U0
    return row


@inlined
def enqueue(state, queue, table):
    """The queue's next row, for a packet of a format that takes part in the flow."""
    state[IRETS] = U0
    state[HIGHEST] = U0
    return append(state, queue, table)


@inlined
def forget_branches(state):
    state[BRANCHES] = U0
    state[BRANCH_MAP] = U0
    state[PREDICTED] = U0
    state[FAILED] = U0
    state[SEGMENTS] = U0
    state[NTR] = U0


@inlined
def synchronised(state, memory):
    """After a 3.0 or 3.1."""
    state[SYNC_TIME] = state[TIME]
    state[RESYNC_COUNT] = U0
    state[DUE] = U0
    forget_branches(state)
    predictors.reset(memory)


@inlined
def reported(options, state):
    """After a format 0, 1 or 2."""
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] += U1
    forget_branches(state)


@njit
def send_trap(options, state, memory, queue, thaddr, address, privilege, branch):
    """3.1 for the trap in hand."""
    row = enqueue(state, queue, F_TRAP)
    queue[row, C_BRANCH] = branch
    queue[row, C_PRIVILEGE] = privilege
    if thaddr != U0:
        queue[row, C_TIME] = state[TIME]
        queue[row, C_CONTEXT] = state[CONTEXT]
        state[LAST_ADDRESS] = address
    else:
        queue[row, C_TIME] = state[TRAP_TIME]
        queue[row, C_CONTEXT] = state[TRAP_CONTEXT]
    queue[row, C_ECAUSE] = state[TRAP_CAUSE]
    queue[row, C_INTERRUPT] = state[TRAP_INTERRUPT]
    queue[row, C_THADDR] = thaddr
    queue[row, C_ADDRESS] = address >> u64(options[LSB])
    queue[row, C_TVAL] = state[TRAP_TVAL]
    synchronised(state, memory)


@njit
def send_sync(options, state, memory, queue, address, privilege, branch):
    """3.0 for a retired row."""
    row = enqueue(state, queue, F_SYNC)
    queue[row, C_BRANCH] = branch
    queue[row, C_PRIVILEGE] = privilege
    queue[row, C_TIME] = state[TIME]
    queue[row, C_CONTEXT] = state[CONTEXT]
    queue[row, C_ADDRESS] = address >> u64(options[LSB])
    state[LAST_ADDRESS] = address
    synchronised(state, memory)


@inlined
def send_context(options, state, queue, privilege, context, time):
    """3.2, of which no count and no prediction takes notice."""
    if options[REPORTS] != 0:
        row = append(state, queue, F_CONTEXT)
        queue[row, C_PRIVILEGE] = privilege
        queue[row, C_TIME] = time
        queue[row, C_CONTEXT] = context


@inlined
def put_support(queue, row, ienable, status):
    """3.3 into a row; the queue's last row has what it says of the encoder."""
    template = queue.shape[0] - 1
    for column in range(FIRST_FIELD, queue.shape[1]):
        queue[row, column] = queue[template, column]
    queue[row, C_IENABLE] = ienable
    queue[row, C_QUAL_STATUS] = status


@njit
def send_support(options, state, queue, ienable, status):
    """3.3."""
    put_support(queue, enqueue(state, queue, F_SUPPORT), ienable, status)
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] += U1


@inlined
def put_returns(queue, row, before, returns):
    """irreport, which says by differing from `before` that `returns` counts, and irdepth, irets."""
    silent = returns == NO_RETURNS
    queue[row, C_IRREPORT] = before if silent else before ^ U1
    queue[row, C_IRDEPTH] = U0 - before if silent else returns
    queue[row, C_IRETS] = queue[row, C_IRDEPTH]


@njit
def put_address(options, state, queue, address, notify, updiscon, returns):
    """Format 0.0, 1 or 2 with an address into the queue, and nothing else.

    `notify` and `updiscon` say whether those bits differ; `returns`: irdepth or irets, or NONE.
    """
    counting = state[PREDICTED] >= U31
    table = F_ADDRESS if state[BRANCHES] == U0 else F_BRANCH_MAP
    row = enqueue(state, queue, F_BRANCH_COUNT if counting else table)
    base = U0 if options[FULL_ADDRESS] != 0 else state[LAST_ADDRESS]
    field = (address - base) >> u64(options[LSB])
    msb = (field >> u64(options[ADDRESS_MSB])) & U1
    bit = msb ^ notify ^ updiscon
    queue[row, C_ADDRESS] = field
    queue[row, C_NOTIFY] = msb ^ notify
    queue[row, C_UPDISCON] = bit
    put_returns(queue, row, bit, returns)
    if counting:
        queue[row, C_BRANCH_COUNT] = state[PREDICTED] - U31
        queue[row, C_BRANCH_FMT] = U2 | state[FAILED]
    else:
        queue[row, C_BRANCHES] = state[BRANCHES]
        queue[row, C_BRANCH_MAP] = state[BRANCH_MAP]


@inlined
def put_index(state, memory, queue, address, returns):
    """Format 0.1 into the queue, and nothing else."""
    row = enqueue(state, queue, F_JUMP_TARGET_INDEX)
    branches = state[BRANCHES]
    queue[row, C_INDEX] = predictors.cache_index(memory, address)
    queue[row, C_BRANCHES] = branches
    queue[row, C_BRANCH_MAP] = state[BRANCH_MAP]
    # the field's most significant bit as sent, not the last branch's
    top = ((U1 << (U64 - clz64(branches))) - U1) - U1
    put_returns(queue, row, U0 if branches == U0 else (state[BRANCH_MAP] >> top) & U1, returns)


@inlined
def sent_address(options, state, address):
    state[LAST_ADDRESS] = address
    reported(options, state)


@inlined
def send_address(options, state, queue, address, notify, updiscon, returns):
    """An address that a decoder reaches by walking; `returns`: irdepth, if it counts."""
    if options[HAS_IRETS] != 0 and state[IRETS] != U0:
        returns = state[IRETS]
    put_address(options, state, queue, address, notify, updiscon, returns)
    sent_address(options, state, address)


@inlined
def send_landing(options, state, queue, address, updiscon, irets):
    """The same, where it is the target of an implicit return (2.1)."""
    put_address(options, state, queue, address, U0, updiscon, irets)
    sent_address(options, state, address)


@inlined
def send_target(options, state, memory, queue, address, updiscon, returns, predicted):
    """The target of an updiscon, by its address or its place in the jump target cache.

    What the return stack `predicted` has no place in that.
    """
    if options[JUMP_TARGET_CACHE] != 0 and not predicted:
        index = predictors.cache_index(memory, address)
        # 0.1 has no *updiscon* bit
        hit = predictors.cached(memory, index) == address and updiscon == U0
        if hit and state[PREDICTED] < U31:
            put_index(state, memory, queue, address, returns)
            if options[SHORTER_PACKET] != 0:
                queue[s64(state[QUEUED]) - 1, C_SHORTER] = U1
                put_address(options, state, queue, address, U0, U0, returns)
        else:
            put_address(options, state, queue, address, U0, updiscon, returns)
        predictors.cache(memory, address)
    else:
        put_address(options, state, queue, address, U0, updiscon, returns)
    sent_address(options, state, address)


@inlined
def send_branches(options, state, queue):
    """Format 0.0 or 1 without address: a count that ends in a failure, or 31 branches."""
    if state[PREDICTED] >= U31:
        row = enqueue(state, queue, F_BRANCH_COUNT)
        queue[row, C_BRANCH_COUNT] = state[PREDICTED] - U31
        queue[row, C_BRANCH_FMT] = U0
    else:
        row = enqueue(state, queue, F_BRANCH_MAP)
        queue[row, C_BRANCHES] = U0
        queue[row, C_BRANCH_MAP] = state[BRANCH_MAP]
    reported(options, state)
