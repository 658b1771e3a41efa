"""Kernels: the encoder's flow chart (E-Trace 2.0, "Reference Compressed Branch Trace Algorithm"),
over retirement blocks. `docs/choices.md` numbers the checks, `docs/modes.md` adds the modes.

Only a block's first and last row matter (section "Multiple retirement considerations"), and its
second when a resynchronisation falls on it. The row in hand is kept in `state` until the next one
is known. Decisions put packets into a queue (`encoder.algorithm.queue`); `encoder.kernel` writes
them.
"""

import numpy as np

from encoder.algorithm.queue import (
    BRANCH_MAP,
    BRANCHES,
    CONTEXT,
    DUE,
    FAILED,
    HAS_IRETS,
    HIGHEST,
    IRETS,
    LATELY,
    LOWEST,
    NO_RETURNS,
    NTR,
    PACKETS_UNIT,
    PREDICTED,
    RESYNC_COUNT,
    SEGMENTS,
    SYNC_TIME,
    TIME,
    TRAP_CAUSE,
    TRAP_CONTEXT,
    TRAP_INTERRUPT,
    TRAP_TIME,
    TRAP_TVAL,
    UNIT,
    send_address,
    send_branches,
    send_context,
    send_landing,
    send_support,
    send_sync,
    send_target,
    send_trap,
)
from encoder.algorithm.segments import (
    EXACT_LOOPS,
    EXACT_VISITS,
    NESTING,
    RETURNS,
    all_visits,
    closes_circle,
    extend_segments,
    give_up,
    has_visits,
    kept,
    visits,
    within,
)
from encoder.algorithm.state import MAX_SEGMENTS, After, Cur, Option, Slot, Unit
from encoder.output.sink import LOSING, PASSING, begin_row, end_row
from specs.interfaces.ingress import UNKNOWN_SIZE
from specs.isa.itype import UPDISCON, Itype
from specs.kernels.njit import inlined, njit, spliced
from specs.kernels.words import LOW32, U0, U1, U2, U3, U31, b2u, s64, u64
from specs.trace import predictors
from specs.trace.packets import QualStatus
from specs.trace.predictors import DEPTH

CUR = int(Slot.cur)
CUR_ADDRESS = int(Slot.cur_address)
CUR_END = int(Slot.cur_end)
CUR_PRIV = int(Slot.cur_priv)
CUR_CODE = int(Slot.cur_code)
CUR_SENT = int(Slot.cur_sent)
CUR_TARGET = int(Slot.cur_target)
CUR_NOTIFY = int(Slot.cur_notify)
CUR_PENDING = int(Slot.cur_pending)
CUR_SEQUENTIAL = int(Slot.cur_sequential)
CUR_LATE = int(Slot.cur_late)
CUR_AFTER = int(Slot.cur_after)
CUR_RETURNS = int(Slot.cur_returns)
CUR_REPORT = int(Slot.cur_report)
CUR_CONTEXT = int(Slot.cur_context)
CUR_TIME = int(Slot.cur_time)
SIDE_NOTIFY = int(Slot.side_notify)
SIDE_CTYPE = int(Slot.side_ctype)
SIDE_UNTRACED = int(Slot.side_untraced)
ADDED_LOOP = int(Slot.added_loop)
ADDED_VISIT = int(Slot.added_visit)
ADDED_RETURN = int(Slot.added_return)
ADDED_LATE = int(Slot.added_late)

NOTHING = np.uint64(Cur.NOTHING)
RETIRED = np.uint64(Cur.RETIRED)
TRAP_WAITING = np.uint64(Cur.TRAP_WAITING)
TRAP_REPORTED = np.uint64(Cur.TRAP_REPORTED)
TRAP_UNTRACED = np.uint64(Cur.TRAP_UNTRACED)

AFTER_UPDISCON = np.uint64(After.UPDISCON)
AFTER_JUMP = np.uint64(After.JUMP)
AFTER_IMPLICIT = np.uint64(After.IMPLICIT)
AFTER_MISPREDICTED = np.uint64(After.MISPREDICTED)
AFTER_PREDICTED = np.uint64(After.PREDICTED)

ITYPE_WIDTH = int(Option.itype_width)
PERIOD = int(Option.period)
SIJUMP = int(Option.sijump)
IMPLICIT_RETURN = int(Option.implicit_return)
BRANCH_PREDICTION = int(Option.branch_prediction)
IMPLICIT_EXCEPTION = int(Option.implicit_exception)
MOST_BRANCHES = int(Option.most_branches)
ADDRESS_MASK = int(Option.address_mask)
VECTORS_KNOWN = int(Option.vectors_known)
VECTORS = int(Option.vectors)
INSTRUCTIONS_UNIT = int(Unit.INSTRUCTIONS)
CYCLES_UNIT = int(Unit.CYCLES)

#: ctype (table "Context type ctype values and corresponding actions").
IMPRECISELY, PRECISELY, DISCONTINUITY = U1, np.uint64(2), np.uint64(3)

ENDED_REP = np.uint64(QualStatus.ended_rep)
ENDED_NTR = np.uint64(QualStatus.ended_ntr)

NONTAKEN = np.uint64(Itype.NONTAKEN_BRANCH)
TAKEN = np.uint64(Itype.TAKEN_BRANCH)
RETURN = np.uint64(13)
OTHER_JUMP, NARROW_JUMP = np.uint64(14), np.uint64(6)

# what follows the row in hand; np.int64, as all that is passed to kernels: for each literal int
# passed, Numba would compile the callee again
NEXT_RETIRED, NEXT_TRAP, NEXT_END = np.int64(0), np.int64(1), np.int64(2)

BYTE = np.uint64(0xFF)
MOST_IRETS = np.uint64(255)

#: Bit sets of itypes.
UPDISCON_BITS = np.uint64(sum(1 << int(code) for code in UPDISCON))
CALL_BITS = np.uint64(1 << 8 | 1 << 9)
#: Those of which sijump says something; returns too (docs/modes.md).
_SIJUMP_BITS = np.uint64(sum(1 << code for code in (6, 8, 10, 12, 13, 14)))
_NARROW_UNINFERABLE = np.uint64(sum(1 << code for code in (8, 10, 12, 13, 14)))
_NARROW_INFERABLE = np.uint64(sum(1 << code for code in (9, 11, 15)))


@inlined
def is_updiscon(code):
    """Does an instruction of this itype change the pc in a way that its opcode does not tell?"""
    return (UPDISCON_BITS >> code) & U1 != U0


@inlined
def is_branch(code):
    return code == TAKEN or code == NONTAKEN


@inlined
def is_inferred_jump(code, details):
    """Does the block say that its last instruction is a sequentially inferable jump?"""
    return (details >> np.uint64(48)) & (_SIJUMP_BITS >> code) & U1 != U0


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
def may_be_trap_return(code, options):
    """Can an instruction of this itype be an xRET?

    Its itype is 3; the specification's reference flow gives 14, which a narrow port has as 6.
    """
    return code == U3 or code == OTHER_JUMP or (options[ITYPE_WIDTH] == 3 and code == NARROW_JUMP)


@inlined
def is_due(options, state):
    """Is resynchronisation due at a row (check 2)?"""
    if options[UNIT] == PACKETS_UNIT:
        return s64(state[RESYNC_COUNT]) > options[PERIOD]
    return state[DUE] != U0


@inlined
def due_after_packet(options, state):
    """Will it be, once one more packet was sent?"""
    if options[UNIT] == PACKETS_UNIT:
        return s64(state[RESYNC_COUNT]) + 1 > options[PERIOD]
    return state[DUE] != U0


@inlined
def send_landed(options, state, queue, updiscon):
    """Report the row in hand as the target of an implicit return (2.1), if it is one."""
    if options[HAS_IRETS] == 0 or state[CUR_AFTER] & AFTER_IMPLICIT == U0:
        return False
    send_landing(options, state, queue, state[CUR_ADDRESS], updiscon, state[IRETS] - U1)
    return True


@inlined
def depth_before_format_3(options, state, memory, follows, branch):
    """irdepth of the row in hand if a format 3 follows it, by the letter of "Format 2 irreport and
    irdepth"; NO_RETURNS where it is not reported. With exact visits nothing is ambiguous.
    """
    lately = follows and not branch and state[LATELY] != U0
    if not lately or options[EXACT_VISITS] != 0 or options[HAS_IRETS] != 0:
        return NO_RETURNS
    return memory[DEPTH] if memory[DEPTH] != U0 else NO_RETURNS


@spliced
def send_found(options, state, queue, segments, count, notify, updiscon, depth):
    """The address of the row in hand, once more for each earlier visit in V.

    `updiscon` is for the target of an implicit return; `depth` is irdepth, or NO_RETURNS.
    """
    if send_landed(options, state, queue, updiscon):
        return
    cur = state[CUR_ADDRESS]
    if state[CUR_AFTER] & AFTER_JUMP != U0 and options[EXACT_VISITS] != 0:
        notify = U1
    rounds = visits(segments, count - 1, cur, state[RETURNS])
    earlier = rounds if options[EXACT_LOOPS] != 0 else 0
    # irets tells visits apart that lie before an implicit return
    if options[EXACT_VISITS] != 0 and options[HAS_IRETS] == 0:
        earlier += all_visits(segments, count - 1, cur) - rounds
    for _ in range(earlier):
        send_address(options, state, queue, cur, U1, U0, NO_RETURNS)
        state[ADDED_VISIT] += U1
    send_address(options, state, queue, cur, notify, U0, depth)


@inlined
def was_seen(options, segments, count, address, returns, updiscon):
    """Would a decoder take a visit in V for that of the next row, after `returns` returns?

    `updiscon`: the row in hand is one. If not, a visit after as many returns is an earlier round.
    """
    if options[EXACT_LOOPS] != 0 or updiscon:
        return within(segments, count, address)
    return all_visits(segments, count, address) > visits(segments, count, address, returns)


@inlined
def complete(
    options, state, memory, queue, segments, following, address, privilege, precise, next_sequential
):
    """Checks 3 to 6 for the retired row in hand, now that the row after it is known; its `After`.

    `following` is NEXT_RETIRED, NEXT_TRAP or NEXT_END; `address`, `privilege`: of that row;
    `precise`: 1 if it reports its context precisely; `next_sequential`: 1 if it is a jump that this
    row makes sequentially inferable.
    """
    cur = state[CUR_ADDRESS]
    code = state[CUR_CODE]
    branch = is_branch(code)
    retires = following == NEXT_RETIRED
    ppccd = retires and (precise != U0 or privilege != state[CUR_PRIV])
    if state[CUR_PENDING] != U0:
        state[DUE] = U1
    jump = is_updiscon(code)
    sequential = state[CUR_SEQUENTIAL] != U0
    returning = (
        options[IMPLICIT_RETURN] != 0
        and code == RETURN
        and retires
        and not sequential
        and memory[DEPTH] != U0
    )
    predicted = returning and predictors.link(memory) == address
    mispredicted = returning and not predicted
    implicit = predicted and state[IRETS] < MOST_IRETS
    updiscon = jump and not (sequential and retires) and not implicit
    if state[CUR_SENT] == U0:
        exact = options[EXACT_VISITS] != 0
        synchronises = not retires or not exact or not (mispredicted or next_sequential != U0)
        follows = following == NEXT_TRAP or ppccd
        follows |= retires and synchronises and due_after_packet(options, state)
        depth = depth_before_format_3(options, state, memory, follows, branch)
        if state[CUR_TARGET] != U0:
            reported = state[CUR_RETURNS]
            send_target(
                options,
                state,
                memory,
                queue,
                cur,
                U1 if follows else U0,
                reported if reported != NO_RETURNS else depth,
                state[CUR_AFTER] & AFTER_PREDICTED != U0,
            )
            state[NTR] = U1
        else:
            count = kept(state)
            some = state[BRANCHES] != U0
            notify = state[CUR_NOTIFY]
            added = 0
            if mispredicted:
                if exact and options[HAS_IRETS] == 0:
                    entries = memory[DEPTH]
                    if entries <= state[HIGHEST] and entries > state[LOWEST]:
                        added = ADDED_RETURN
                    elif within(segments, count, address):
                        added = ADDED_RETURN
            elif not branch and not updiscon and retires and address != state[CUR_END]:
                if count == MAX_SEGMENTS:
                    added = ADDED_LOOP if options[EXACT_LOOPS] != 0 else ADDED_VISIT
                elif not implicit and count > 0:
                    if options[EXACT_LOOPS] != 0:
                        if visits(segments, count, address, state[RETURNS]) > 0:
                            added = ADDED_LOOP
                    else:
                        level = state[NESTING] + ((CALL_BITS >> code) & U1)
                        circle = closes_circle(segments, count, address, level)
                        if circle and not has_visits(segments, count):
                            give_up(state)
                            count = 0
            if added == 0 and state[CUR_LATE] != U0:
                added = ADDED_LATE
            returns = state[RETURNS] + b2u(implicit)
            if options[UNIT] == PACKETS_UNIT:
                resync = some and s64(state[RESYNC_COUNT]) == options[PERIOD]
            else:
                resync = state[DUE] != U0 and some
                if state[DUE] != U0 and retires and not some:
                    resync = was_seen(options, segments, count, address, returns, updiscon)
            if added == 0 and resync and not synchronises:
                added = ADDED_LATE
            if added != 0:
                if notify == U0:
                    state[added] += U1
                notify = U1
            landing = U1 if follows or following == NEXT_END else U0
            stops = not retires or (ppccd and some)
            if precise != U0 and retires:
                stops |= was_seen(options, segments, count, address, returns, updiscon)
            if resync or notify != U0 or stops:
                send_found(options, state, queue, segments, count, notify, landing, depth)
            elif s64(state[PREDICTED]) == options[MOST_BRANCHES]:
                if not send_landed(options, state, queue, landing):
                    send_address(options, state, queue, cur, U0, U0, depth)
            elif state[FAILED] != U0 or (state[BRANCHES] == U31 and state[PREDICTED] < U31):
                send_branches(options, state, queue)
        if state[CUR_REPORT] != U0:
            context, time = state[CUR_CONTEXT], state[CUR_TIME]
            send_context(options, state, queue, state[CUR_PRIV], context, time)
    # packets have set irets to 0
    implicit = predicted and state[IRETS] < MOST_IRETS
    updiscon = jump and not (sequential and retires) and not implicit
    if branch or updiscon:
        state[SEGMENTS] = U0
    if options[IMPLICIT_RETURN] != 0:
        follow_calls(options, state, memory, code, returning, predicted, implicit)
    after = U0
    if updiscon:
        after |= AFTER_UPDISCON
    if jump:
        after |= AFTER_JUMP
    if implicit:
        after |= AFTER_IMPLICIT
    if mispredicted:
        after |= AFTER_MISPREDICTED
    if predicted:
        after |= AFTER_PREDICTED
    return after


@njit
def complete_last(options, state, memory, queue, segments, following, privilege):
    """`complete` where no retired row follows: called, not inlined as on the hot path."""
    return complete(options, state, memory, queue, segments, following, U0, privilege, U0, U0)


@spliced
def follow_calls(options, state, memory, code, returning, predicted, implicit):
    """What the row in hand does to the return stack, and what the packet for its target reports."""
    returns = NO_RETURNS
    depth = memory[DEPTH]
    mispredicted = returning and not predicted
    if options[HAS_IRETS] == 0:
        if mispredicted:
            returns = depth
    elif code == RETURN and state[CUR_SEQUENTIAL] == U0 and not implicit:
        if state[IRETS] != U0 or mispredicted:
            returns = state[IRETS]
    state[CUR_RETURNS] = returns
    if is_branch(code) or (CALL_BITS >> code) & U1 != U0:
        state[LATELY] = U0
    elif code == RETURN and state[CUR_SEQUENTIAL] == U0:
        state[LATELY] = U1
    if is_branch(code):
        state[IRETS] = U0
    if implicit:
        if state[HIGHEST] == U0:
            state[LOWEST] = depth - U1
            state[HIGHEST] = depth
        else:
            state[LOWEST] = min(state[LOWEST], depth - U1)
            state[HIGHEST] = max(state[HIGHEST], depth)
        state[RETURNS] += U1
        state[NESTING] -= U1
        if options[HAS_IRETS] != 0:
            state[IRETS] += U1
    if implicit or (options[HAS_IRETS] != 0 and returning):
        predictors.unwind(memory)
    elif (CALL_BITS >> code) & U1 != U0:
        predictors.call(memory, state[CUR_END])
        state[NESTING] += U1


@njit
def end_stretch(options, state, memory, queue, segments, ienable):
    """Nothing leads from the row in hand to the next: report it, and say that nothing follows."""
    if state[CUR] == RETIRED:
        complete_last(options, state, memory, queue, segments, NEXT_END, U0)
    elif state[CUR] == TRAP_WAITING:
        send_trap(options, state, memory, queue, U0, U0, state[CUR_PRIV], U1)
    if ienable == U0:
        begin_row(options, state, queue)
    status = ENDED_NTR if state[NTR] != U0 else ENDED_REP
    send_support(options, state, queue, ienable, status)
    start_stretch(state)


@njit
def part(options, state, memory, queue, segments):
    """Nothing leads to the next row: end the stretch, if there is one."""
    if state[CUR] == NOTHING or state[CUR] == TRAP_UNTRACED:
        state[CUR] = NOTHING
    else:
        end_stretch(options, state, memory, queue, segments, U1)


@inlined
def start_stretch(state):
    """Nothing before the next row is known to a decoder."""
    state[CUR] = NOTHING
    state[SEGMENTS] = U0
    state[NTR] = U0


@njit
def take_trap(options, state, memory, queue, segments, code, iaddr, tval, cause, privilege):
    """A row that did not retire."""
    unqualified = state[SIDE_UNTRACED] != U0
    if unqualified or state[SIDE_CTYPE] == DISCONTINUITY:
        part(options, state, memory, queue, segments)
    state[SIDE_CTYPE] = U0
    state[SIDE_NOTIFY] = U0
    state[SIDE_UNTRACED] = U0
    if unqualified:
        keep_trap(state, code, iaddr, tval, cause, privilege)
        state[CUR] = TRAP_UNTRACED
        return
    previous = state[CUR]
    at_once = previous != RETIRED and previous != TRAP_WAITING
    if previous == RETIRED:
        after = complete_last(options, state, memory, queue, segments, NEXT_TRAP, privilege)
        at_once = after & AFTER_UPDISCON != U0 or state[CUR_PRIV] != privilege
    begin_row(options, state, queue)
    traced = state[LOSING] == U0
    if traced and previous == TRAP_WAITING:
        send_trap(options, state, memory, queue, U0, iaddr, state[CUR_PRIV], U1)
    keep_trap(state, code, iaddr, tval, cause, privilege)
    state[CUR] = TRAP_WAITING if traced else TRAP_UNTRACED
    if traced and at_once:
        send_trap(options, state, memory, queue, U0, iaddr, privilege, U1)
        state[CUR] = TRAP_REPORTED
    end_row(options, state, queue, U0, U1 != U0)


@spliced
def keep_trap(state, code, iaddr, tval, cause, privilege):
    """Keep what a packet says of a trap."""
    state[CUR_ADDRESS] = iaddr
    state[CUR_PRIV] = privilege
    state[TRAP_TVAL] = tval
    state[TRAP_CAUSE] = cause
    state[TRAP_INTERRUPT] = U1 if code == U2 else U0
    state[TRAP_CONTEXT] = state[CONTEXT]
    state[TRAP_TIME] = state[TIME]


@inlined
def is_inferred_handler(options, state, iaddr, privilege):
    """Do the trap vectors tell that the trap in hand leads to `iaddr` (implicit exception)?"""
    level = s64(privilege)
    if (options[VECTORS_KNOWN] >> level) & 1 == 0:
        return False
    value = u64(options[VECTORS + level])
    handler = value & ~U3
    if value & U3 == U1 and state[TRAP_INTERRUPT] != U0:
        handler += state[TRAP_CAUSE] << U2
    return handler & u64(options[ADDRESS_MASK]) == iaddr


@spliced
def send_handler(options, state, memory, queue, iaddr, privilege, branch):
    """Check 1, for a trap that waits, or was not traced."""
    if options[IMPLICIT_EXCEPTION] != 0 and not is_inferred_handler(
        options, state, iaddr, privilege
    ):
        address = state[CUR_ADDRESS] if state[CUR] == TRAP_UNTRACED else iaddr
        send_trap(options, state, memory, queue, U0, address, state[CUR_PRIV], U1)
        send_sync(options, state, memory, queue, iaddr, privilege, branch)
    else:
        send_trap(options, state, memory, queue, U1, iaddr, privilege, branch)


@inlined
def first_half_words(iretire, ilastsize, ifirstsize):
    """Half-words of a block's first instruction; 0 where the source does not tell."""
    rest = iretire - (U1 << ilastsize)
    if rest == U0:
        return iretire
    if ifirstsize != np.uint64(UNKNOWN_SIZE):
        return U1 << ifirstsize
    return U1 if rest == U1 else U0


@spliced
def cannot_report(options, state, memory, address, next_sequential):
    """Can no 3.0 report the row at `address`, behind the retired row in hand?"""
    if options[EXACT_VISITS] == 0:
        return False
    if next_sequential:
        return True
    if options[IMPLICIT_RETURN] == 0 or state[CUR_CODE] != RETURN:
        return False
    if state[CUR_SEQUENTIAL] != U0 or memory[DEPTH] == U0:
        return False
    return predictors.link(memory) != address


@inlined
def take_block(options, state, memory, queue, segments, code, iaddr, details):
    """A retirement block; `details` is the second uint64 of an ingress.BLOCK."""
    iretire = details & LOW32
    ilastsize = (details >> np.uint64(32)) & BYTE
    ifirstsize = (details >> np.uint64(40)) & BYTE
    sijump = options[SIJUMP] != 0 and is_inferred_jump(code, details)
    privilege = (details >> np.uint64(56)) & BYTE
    last = iaddr + ((iretire - (U1 << ilastsize)) << U1)
    first = first_half_words(iretire, ilastsize, ifirstsize)
    # where sizes are unknown, one half-word on
    first_size = first if first != U0 else U1
    second = iaddr + (first_size << U1)
    single = last == iaddr
    outcome = U0 if code == TAKEN else U1
    branch = outcome if single else U1
    ctype = state[SIDE_CTYPE]
    notify = state[SIDE_NOTIFY]
    state[SIDE_CTYPE] = U0
    state[SIDE_NOTIFY] = U0
    state[SIDE_UNTRACED] = U0
    previous = state[CUR]
    behind = single and sijump and previous == RETIRED
    if previous != NOTHING:
        precise = ctype == PRECISELY and previous == RETIRED
        entered = (
            previous == RETIRED
            and privilege != state[CUR_PRIV]
            and not may_be_trap_return(state[CUR_CODE], options)
        )
        if (
            entered
            or ctype == DISCONTINUITY
            or (precise and cannot_report(options, state, memory, iaddr, behind))
        ):
            part(options, state, memory, queue, segments)
            previous = NOTHING
            behind = False
    sequential = behind or (sijump and not single)
    after = U0
    if previous == RETIRED:
        after = complete(
            options,
            state,
            memory,
            queue,
            segments,
            NEXT_RETIRED,
            iaddr,
            privilege,
            b2u(ctype == PRECISELY),
            b2u(behind),
        )
    begin_row(options, state, queue)
    if state[LOSING] != U0:
        state[CUR] = NOTHING
        state[PASSING] = (last - iaddr) >> U1
        begin_row(options, state, queue)
        end_row(options, state, queue, U1 << ilastsize, code != U0)
        return
    target = after & AFTER_UPDISCON != U0
    late = False
    # `rest`: the first row not reported yet; 3 where a format 3 was the last packet sent
    sent = 0
    rest = iaddr
    reached = iaddr
    report = ctype == IMPRECISELY
    if previous == TRAP_WAITING or previous == TRAP_UNTRACED:
        send_handler(options, state, memory, queue, iaddr, privilege, branch)
        sent = 3
    else:
        late = is_due(options, state)
        can = after & AFTER_MISPREDICTED == U0 and not behind
        can |= options[EXACT_VISITS] == 0
        if (
            previous != RETIRED
            or state[CUR_PRIV] != privilege
            or ctype == PRECISELY
            or (late and can)
        ):
            send_sync(options, state, memory, queue, iaddr, privilege, branch)
            sent = 3
    if sent == 3:
        report = False
    elif target and not single:
        # a second row that cannot synchronise is the last
        can = not (sequential and (first == U0 or second == last))
        can |= options[EXACT_VISITS] == 0
        follows = can and due_after_packet(options, state)
        reported = state[CUR_RETURNS]
        if reported == NO_RETURNS:
            reported = depth_before_format_3(options, state, memory, follows, False)
        send_target(
            options,
            state,
            memory,
            queue,
            iaddr,
            U1 if follows else U0,
            reported,
            after & AFTER_PREDICTED != U0,
        )
        state[NTR] = U1
        sent = 1
        late = is_due(options, state)
        if report:
            send_context(options, state, queue, privilege, state[CONTEXT], state[TIME])
            report = False
        if late and can:
            # where the second row's address is unknown, the last
            row = second if first != U0 else last
            at_last = row == last
            state[PASSING] = first_size
            begin_row(options, state, queue)
            send_sync(options, state, memory, queue, row, privilege, outcome if at_last else U1)
            reached = row
            second = row + U2
            sent = 3
    elif report and not single:
        send_context(options, state, queue, privilege, state[CONTEXT], state[TIME])
        report = False
    if reached != last:
        state[PASSING] = (last - reached) >> U1
        begin_row(options, state, queue)
    if sent != 0:
        rest = second
    whole = sent != 0 and rest > last
    if is_branch(code) and not whole:
        add_branch(options, state, memory, last, outcome)
    if not whole:
        extend_segments(options, state, segments, rest, last)
    state[CUR] = RETIRED
    state[CUR_ADDRESS] = last
    state[CUR_END] = iaddr + (iretire << U1)
    state[CUR_PRIV] = privilege
    state[CUR_CODE] = code
    state[CUR_SENT] = U1 if whole else U0
    state[CUR_TARGET] = U1 if target and sent == 0 else U0
    state[CUR_NOTIFY] = notify
    state[CUR_SEQUENTIAL] = U1 if sequential else U0
    state[CUR_LATE] = U1 if late and sent != 3 else U0
    state[CUR_AFTER] = after if single else U0
    state[CUR_PENDING] = U0
    state[CUR_REPORT] = U1 if report else U0
    state[CUR_CONTEXT] = state[CONTEXT]
    state[CUR_TIME] = state[TIME]
    if not whole:
        half_words = iretire if sent != 3 else (state[CUR_END] - rest) >> U1
        count_towards_resync(options, state, code, half_words)
    end_row(options, state, queue, U1 << ilastsize, code != U0)


@inlined
def count_towards_resync(options, state, code, half_words):
    """Units "instructions" and "cycles", for the row in hand."""
    if options[UNIT] == INSTRUCTIONS_UNIT:
        state[RESYNC_COUNT] += half_words
    elif options[UNIT] == CYCLES_UNIT:
        state[RESYNC_COUNT] = state[TIME] - state[SYNC_TIME]
    else:
        return
    if code != U0 and state[RESYNC_COUNT] >= u64(options[PERIOD]):
        state[CUR_PENDING] = U1


@inlined
def add_branch(options, state, memory, address, outcome):
    """The branch at `address`; `outcome` 0 is taken."""
    correct = U0
    if options[BRANCH_PREDICTION] != 0:
        correct = predictors.predict(memory, address, outcome ^ U1)
    if state[PREDICTED] >= U31:
        state[FAILED] = correct ^ U1
    else:
        state[BRANCH_MAP] |= outcome << state[BRANCHES]
        state[BRANCHES] += U1
    state[PREDICTED] += correct
