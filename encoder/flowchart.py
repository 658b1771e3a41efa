"""Kernels: the encoder's flow chart (E-Trace 2.0, "Reference Compressed Branch Trace Algorithm"),
over retirement blocks. `docs/choices.md` numbers the checks.

Only a block's first and last row matter (section "Multiple retirement considerations"), and its
second when a resynchronisation falls on it. The row in hand is kept in `state` until the next one
is known. Decisions put packets, as rows of `specs.packets.Column`, into a queue; `encoder.kernel`
writes them.
"""

import numpy as np

from encoder.state import MAX_SEGMENTS, Cur, Option, Slot, Unit
from specs.compiled import U0, U1, inlined, njit, s64, u64
from specs.ingress import UNKNOWN_SIZE
from specs.itype import UPDISCON, Itype
from specs.packets import Column, Format

CUR = int(Slot.cur)
CUR_ADDRESS = int(Slot.cur_address)
CUR_END = int(Slot.cur_end)
CUR_PRIV = int(Slot.cur_priv)
CUR_CODE = int(Slot.cur_code)
CUR_SENT = int(Slot.cur_sent)
CUR_TARGET = int(Slot.cur_target)
CUR_NOTIFY = int(Slot.cur_notify)
CUR_PENDING = int(Slot.cur_pending)
TRAP_TVAL = int(Slot.trap_tval)
TRAP_CAUSE = int(Slot.trap_cause)
TRAP_INTERRUPT = int(Slot.trap_interrupt)
TRAP_CONTEXT = int(Slot.trap_context)
TRAP_TIME = int(Slot.trap_time)
STARTED = int(Slot.started)
BRANCHES = int(Slot.branches)
BRANCH_MAP = int(Slot.branch_map)
LAST_ADDRESS = int(Slot.last_address)
RESYNC_COUNT = int(Slot.resync_count)
DUE = int(Slot.due)
CONTEXT = int(Slot.context)
TIME = int(Slot.time)
NTR = int(Slot.ntr)
SEGMENTS = int(Slot.segments)
SIDE_NOTIFY = int(Slot.side_notify)
LOOP_PACKETS = int(Slot.loop_packets)

NOTHING = np.uint64(Cur.NOTHING)
RETIRED = np.uint64(Cur.RETIRED)
TRAP_WAITING = np.uint64(Cur.TRAP_WAITING)
TRAP_REPORTED = np.uint64(Cur.TRAP_REPORTED)

LSB = int(Option.iaddress_lsb)
FULL_ADDRESS = int(Option.full_address)
ITYPE_WIDTH = int(Option.itype_width)
UNIT = int(Option.unit)
PERIOD = int(Option.period)
ADDRESS_MSB = int(Option.address_msb)
PACKETS_UNIT = int(Unit.PACKETS)
INSTRUCTIONS_UNIT = int(Unit.INSTRUCTIONS)

NONTAKEN = np.uint64(Itype.NONTAKEN_BRANCH)
TAKEN = np.uint64(Itype.TAKEN_BRANCH)

# what follows the row in hand; np.int64, as all that is passed to kernels: for each literal int
# passed, Numba would compile the callee again
NEXT_RETIRED, NEXT_TRAP, NEXT_END = np.int64(0), np.int64(1), np.int64(2)


U2 = np.uint64(2)
U3 = np.uint64(3)
U31 = np.uint64(31)
BYTE = np.uint64(0xFF)
HALF = np.uint64(0xFFFF_FFFF)


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
C_NOTIFY = int(Column.notify)
C_UPDISCON = int(Column.updiscon)
C_IRREPORT = int(Column.irreport)
C_IRDEPTH = int(Column.irdepth)

F_BRANCH_MAP = np.int64(Format.BRANCH_MAP)
F_ADDRESS = np.int64(Format.ADDRESS)
F_SYNC = np.int64(Format.SYNC)
F_TRAP = np.int64(Format.TRAP)
F_SUPPORT = np.int64(Format.SUPPORT)

#: Bit sets of itypes.
UPDISCON_BITS = np.uint64(sum(1 << int(code) for code in UPDISCON))
_NARROW_UNINFERABLE = np.uint64(sum(1 << code for code in (8, 10, 12, 13, 14)))
_NARROW_INFERABLE = np.uint64(sum(1 << code for code in (9, 11, 15)))

QUEUED = int(Slot.queued)
C_TABLE = int(Column.table)


@inlined
def is_updiscon(code):
    """Does an instruction of this itype change the pc in a way that the program does not tell?"""
    return (UPDISCON_BITS >> code) & U1 != U0


@inlined
def is_branch(code):
    return code == TAKEN or code == NONTAKEN


@inlined
def seen_code(code, options):
    """The itype that reaches the encoder through an `itype_width_p` wide port."""
    if options[ITYPE_WIDTH] == 3:
        if (_NARROW_UNINFERABLE >> code) & U1 != U0:
            return np.uint64(6)
        if (_NARROW_INFERABLE >> code) & U1 != U0:
            return U0
    return code


@inlined
def enqueue(state, queue, table):
    """The queue's next row, for a packet of format `table`."""
    row = s64(state[QUEUED])
    state[QUEUED] += U1
    queue[row, C_TABLE] = u64(table)
    return row


@inlined
def synchronised(state):
    """After a 3.0 or 3.1."""
    state[RESYNC_COUNT] = U0
    state[DUE] = U0
    state[BRANCHES] = U0
    state[BRANCH_MAP] = U0
    state[SEGMENTS] = U0
    state[NTR] = U0


@inlined
def reported(options, state):
    """After a format 1 or 2."""
    if options[UNIT] == PACKETS_UNIT:
        state[RESYNC_COUNT] += U1
    state[BRANCHES] = U0
    state[BRANCH_MAP] = U0
    state[SEGMENTS] = U0
    state[NTR] = U0


@njit
def send_trap(options, state, queue, thaddr, address, privilege, branch):
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
    synchronised(state)


@njit
def send_sync(options, state, queue, address, privilege, branch):
    """3.0 for a retired row."""
    row = enqueue(state, queue, F_SYNC)
    queue[row, C_BRANCH] = branch
    queue[row, C_PRIVILEGE] = privilege
    queue[row, C_TIME] = state[TIME]
    queue[row, C_CONTEXT] = state[CONTEXT]
    queue[row, C_ADDRESS] = address >> u64(options[LSB])
    state[LAST_ADDRESS] = address
    synchronised(state)


@inlined
def send_address(options, state, queue, address, notify, updiscon):
    """Format 1 or 2 with an address; `notify` and `updiscon` say whether those bits differ."""
    row = enqueue(state, queue, F_ADDRESS if state[BRANCHES] == U0 else F_BRANCH_MAP)
    base = U0 if options[FULL_ADDRESS] != 0 else state[LAST_ADDRESS]
    field = (address - base) >> u64(options[LSB])
    msb = (field >> u64(options[ADDRESS_MSB])) & U1
    queue[row, C_ADDRESS] = field
    queue[row, C_NOTIFY] = msb ^ notify
    queue[row, C_UPDISCON] = msb ^ notify ^ updiscon
    queue[row, C_IRREPORT] = queue[row, C_UPDISCON]
    queue[row, C_IRDEPTH] = U0 - queue[row, C_UPDISCON]
    queue[row, C_BRANCHES] = state[BRANCHES]
    queue[row, C_BRANCH_MAP] = state[BRANCH_MAP]
    state[LAST_ADDRESS] = address
    reported(options, state)


@inlined
def send_branches(options, state, queue):
    """Format 1 without address: 31 branches."""
    row = enqueue(state, queue, F_BRANCH_MAP)
    queue[row, C_BRANCHES] = U0
    queue[row, C_BRANCH_MAP] = state[BRANCH_MAP]
    reported(options, state)


@inlined
def within(segments, count, address):
    """Does `address` lie in one of the first `count` segments of V?"""
    for i in range(count):
        if segments[i, 0] <= address and address <= segments[i, 1]:
            return True
    return False


@inlined
def sync_after_packet(options, state):
    """Will one more packet make resynchronisation due (unit "packets")?"""
    return options[UNIT] == PACKETS_UNIT and s64(state[RESYNC_COUNT]) + 1 > options[PERIOD]


@inlined
def complete(options, state, queue, segments, following, address, privilege):
    """Checks 3 to 6 for the retired row in hand, now that the row after it is known.

    `following` is NEXT_RETIRED, NEXT_TRAP or NEXT_END; `address`, `privilege`: of that row.
    """
    cur = state[CUR_ADDRESS]
    code = state[CUR_CODE]
    retires = following == NEXT_RETIRED
    ppccd = retires and privilege != state[CUR_PRIV]
    if state[CUR_PENDING] != U0:
        state[DUE] = U1
    if state[CUR_SENT] != U0:
        return
    if state[CUR_TARGET] != U0:
        format3_follows = following == NEXT_TRAP or ppccd
        if retires and (state[DUE] != U0 or sync_after_packet(options, state)):
            format3_follows = True
        send_address(options, state, queue, cur, U0, U1 if format3_follows else U0)
        state[NTR] = U1
        return
    count = s64(state[SEGMENTS])
    some = state[BRANCHES] != U0
    anchor = is_branch(code) or is_updiscon(code)
    notify = state[CUR_NOTIFY]
    if not anchor and notify == U0 and retires and address != state[CUR_END]:
        if count == MAX_SEGMENTS or within(segments, count, address):
            notify = U1
            state[LOOP_PACKETS] += U1
    report = notify != U0 or not retires or (ppccd and some)
    if options[UNIT] == PACKETS_UNIT:
        report |= some and s64(state[RESYNC_COUNT]) == options[PERIOD]
    elif state[CUR_PENDING] != U0:
        report |= some or (retires and within(segments, count, address))
    if report:
        if within(segments, count - 1, cur):
            send_address(options, state, queue, cur, U1, U0)
            state[LOOP_PACKETS] += U1
        send_address(options, state, queue, cur, notify, U0)
    elif state[BRANCHES] == U31:
        send_branches(options, state, queue)
    elif anchor:
        state[SEGMENTS] = U0


@njit
def take_trap(options, state, queue, segments, code, iaddr, tval, cause, privilege):
    """A row that did not retire."""
    at_once = state[STARTED] == U0
    if state[CUR] == RETIRED:
        complete(options, state, queue, segments, NEXT_TRAP, U0, privilege)
        at_once = is_updiscon(state[CUR_CODE]) or state[CUR_PRIV] != privilege
    elif state[CUR] == TRAP_WAITING:
        send_trap(options, state, queue, U0, iaddr, state[CUR_PRIV], U1)
    elif state[CUR] == TRAP_REPORTED:
        at_once = True
    state[STARTED] = U1
    state[CUR_PRIV] = privilege
    state[TRAP_TVAL] = tval
    state[TRAP_CAUSE] = cause
    state[TRAP_INTERRUPT] = U1 if code == U2 else U0
    state[TRAP_CONTEXT] = state[CONTEXT]
    state[TRAP_TIME] = state[TIME]
    state[CUR] = TRAP_WAITING
    if at_once:
        send_trap(options, state, queue, U0, iaddr, privilege, U1)
        state[CUR] = TRAP_REPORTED


@inlined
def first_half_words(iretire, ilastsize, ifirstsize):
    """Half-words of a block's first instruction; 0 where the source does not tell."""
    rest = iretire - (U1 << ilastsize)
    if rest == U0:
        return iretire
    if ifirstsize != np.uint64(UNKNOWN_SIZE):
        return U1 << ifirstsize
    return U1 if rest == U1 else U0


@inlined
def start_block(options, state, queue, iaddr, privilege, previous, target, single, branch):
    """Checks 1 to 3 for a block's first row: what it sent (0 nothing, 1 format 1/2, 3 format 3).

    `branch` is the branch bit of a format 3 for that row. Check 3 waits for `complete` if the row
    is the block's last, too (`single`).
    """
    if previous == TRAP_WAITING:
        send_trap(options, state, queue, U1, iaddr, privilege, branch)
        return 3
    due = state[DUE] != U0 or (
        options[UNIT] == PACKETS_UNIT and s64(state[RESYNC_COUNT]) > options[PERIOD]
    )
    ppccd = previous == RETIRED and state[CUR_PRIV] != privilege
    if previous == TRAP_REPORTED or state[STARTED] == U0 or ppccd or due:
        send_sync(options, state, queue, iaddr, privilege, branch)
        return 3
    if target and not single:
        updiscon = U1 if sync_after_packet(options, state) else U0
        send_address(options, state, queue, iaddr, U0, updiscon)
        return 1
    return 0


@inlined
def extend_segments(state, segments, begin, last):
    """Add the contiguous instructions from `begin` to `last` to V."""
    count = s64(state[SEGMENTS])
    if count > 0 and begin == state[CUR_END]:
        segments[count - 1, 1] = last
    elif count < MAX_SEGMENTS:
        segments[count, 0] = begin
        segments[count, 1] = last
        state[SEGMENTS] = u64(count + 1)


@inlined
def take_block(options, state, queue, segments, code, iaddr, details):
    """A retirement block; `details` is the second uint64 of an ingress.BLOCK."""
    iretire = details & HALF
    ilastsize = (details >> np.uint64(32)) & BYTE
    ifirstsize = (details >> np.uint64(40)) & BYTE
    privilege = (details >> np.uint64(56)) & BYTE
    last = iaddr + ((iretire - (U1 << ilastsize)) << U1)
    single = last == iaddr
    outcome = U0 if code == TAKEN else U1
    previous = state[CUR]
    target = False
    if previous == RETIRED:
        complete(options, state, queue, segments, NEXT_RETIRED, iaddr, privilege)
        target = is_updiscon(state[CUR_CODE])
    sent = start_block(
        options,
        state,
        queue,
        iaddr,
        privilege,
        previous,
        target,
        single,
        outcome if single else U1,
    )
    # `rest`: the first row not reported yet; where sizes are unknown, one half-word on
    first = first_half_words(iretire, ilastsize, ifirstsize)
    rest = iaddr
    if sent != 0:
        rest = iaddr + ((first if first != U0 else U1) << U1)
    if sent == 1 and options[UNIT] == PACKETS_UNIT:
        if s64(state[RESYNC_COUNT]) > options[PERIOD]:
            # the second row resynchronises; the last, where the second's address is unknown
            second = rest if first != U0 else last
            at_last = second == last
            send_sync(options, state, queue, second, privilege, outcome if at_last else U1)
            rest = second + U2
            sent = 3
    whole = sent != 0 and rest > last
    if is_branch(code) and not whole:
        state[BRANCH_MAP] |= outcome << state[BRANCHES]
        state[BRANCHES] += U1
    if not whole:
        extend_segments(state, segments, rest, last)
    state[STARTED] = U1
    state[CUR] = RETIRED
    state[CUR_ADDRESS] = last
    state[CUR_END] = iaddr + (iretire << U1)
    state[CUR_PRIV] = privilege
    state[CUR_CODE] = code
    state[CUR_SENT] = U1 if whole else U0
    state[CUR_TARGET] = U1 if target and sent == 0 else U0
    state[CUR_NOTIFY] = state[SIDE_NOTIFY]
    state[SIDE_NOTIFY] = U0
    state[CUR_PENDING] = U0
    if options[UNIT] == INSTRUCTIONS_UNIT:
        counted = iretire if sent == 0 else (iaddr + (iretire << U1) - rest) >> U1
        state[RESYNC_COUNT] += counted
        if code != U0 and s64(state[RESYNC_COUNT]) >= options[PERIOD]:
            state[CUR_PENDING] = U1
