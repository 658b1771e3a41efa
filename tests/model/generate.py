"""Random programs and random event streams through them, vicious and reproducible.

`random_case(seed)` and `random_settings(rng, case)` are all that a test needs; `cases()` is the
same as a hypothesis strategy, so that a failure shrinks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies

from tests.model import assemble
from tests.model.program import Program, from_image
from tests.model.rows import EXCEPTION, INTERRUPT, TAKEN_BRANCH, Row
from tests.model.settings import Modes, Parameters, Resync, Settings

STRAIGHT, BRANCH, JUMP, INDIRECT, XRET, FAULT = range(6)

#: How often each kind of instruction occurs, in the order above: one row is chosen a program.
MIXES = (
    (10, 4, 3, 3, 1, 1),
    (4, 4, 4, 4, 1, 0),
    (3, 12, 1, 1, 0, 0),
    (2, 20, 0, 0, 0, 0),
    (6, 1, 8, 0, 0, 0),
    (5, 0, 3, 3, 0, 0),
    (4, 0, 1, 8, 3, 0),
    (8, 0, 0, 1, 4, 0),
    (1, 0, 1, 1, 1, 1),
    (20, 1, 1, 1, 1, 0),
)

#: Number of addresses without code that a program may run into.
OUTSIDE = 2

#: Bits that a packet of any framing has room for: 31 bytes, less some of srcID and type.
LONGEST_PAYLOAD = 31 * 8 - 16

PRIVILEGES = ((3,), (3,), (0, 3), (0, 1, 3), (0, 1, 3, 4, 5, 6))


@dataclass(frozen=True)
class Case:
    """A program in memory and what a hart did with it."""

    xlen: int
    base: int
    code: bytes
    compressed: bool
    rows: list[Row]
    #: Of a hart with Zcmp and Zcmt.
    zcm: bool = False

    @property
    def program(self) -> Program:
        """The program as the model decoder wants it."""
        return from_image(self.base, self.code, self.xlen, self.zcm)

    def image(self) -> tuple[int, bytes]:
        """The program as (address, bytes)."""
        return self.base, self.code


@dataclass
class Slot:
    """An instruction to be: `target` is the index of a slot; `itype` that of an untaken branch."""

    kind: int
    size: int
    encode: Callable[[int], int]
    itype: int = 0
    target: int = 0
    reach: int = 1 << 20
    cause: int = 0
    address: int = 0
    outside: bool = False


# -- programs -----------------------------------------------------------------------------------


def _straight(rng: Random, size: int) -> Slot:
    rd = rng.randrange(1, 32)
    immediate = rng.randrange(32)
    if size == 2:
        word = rng.choice((assemble.c_addi(rd, immediate), assemble.c_li(rd, immediate)))
    else:
        word = rng.choice(
            (
                assemble.addi(rd, rng.randrange(32), immediate),
                assemble.lui(rd, immediate),
                assemble.auipc(rd, immediate),
            )
        )
    return Slot(STRAIGHT, size, lambda _: word)


def _branch(rng: Random, size: int) -> Slot:
    if size == 2:
        not_zero, rs1 = rng.randrange(2), rng.randrange(8, 16)
        return Slot(
            BRANCH, 2, lambda offset: assemble.c_branch(not_zero, rs1, offset), 4, reach=254
        )
    funct3, rs1, rs2 = rng.choice((0, 1, 4, 5, 6, 7)), rng.randrange(32), rng.randrange(32)
    return Slot(BRANCH, 4, lambda offset: assemble.branch(funct3, rs1, rs2, offset), 4, reach=4094)


def _jump(rng: Random, size: int, xlen: int) -> Slot:
    if size == 2:
        if xlen == 32 and rng.random() < 0.4:
            return Slot(JUMP, 2, assemble.c_jal, 9, reach=2046)
        return Slot(JUMP, 2, assemble.c_j, 11, reach=2046)
    rd = rng.choice((0, 0, 1, 1, 5, 7))
    itype = {0: 11, 1: 9, 5: 9, 7: 15}[rd]
    return Slot(JUMP, 4, lambda offset: assemble.jal(rd, offset), itype)


def _indirect(rng: Random, size: int) -> Slot:
    if size == 2:
        word, itype = rng.choice(
            (
                (assemble.c_jr(1), 13),
                (assemble.c_jr(5), 13),
                (assemble.c_jr(15), 10),
                (assemble.c_jalr(15), 8),
                (assemble.c_jalr(1), 8),
                (assemble.c_jalr(5), 12),
            )
        )
        return Slot(INDIRECT, 2, lambda _: word, itype)
    rd, rs1, itype = rng.choice(
        (
            (0, 1, 13),
            (0, 5, 13),
            (7, 1, 13),
            (0, 15, 10),
            (1, 15, 8),
            (5, 15, 8),
            (1, 1, 8),
            (5, 5, 8),
            (1, 5, 12),
            (5, 1, 12),
            (7, 15, 14),
        )
    )
    word = assemble.jalr(rd, rs1, rng.choice((0, 4, -8, 2047)))
    return Slot(INDIRECT, 4, lambda _: word, itype)


def _xret(rng: Random) -> Slot:
    word = rng.choice((assemble.MRET, assemble.SRET))
    return Slot(XRET, 4, lambda _: word, 3)


def _fault(rng: Random, size: int) -> Slot:
    """An instruction that always traps and never retires."""
    choices = ((assemble.ECALL, 11), (assemble.EBREAK, 3))
    if size == 2:
        choices = ((assemble.C_EBREAK, 3), (assemble.C_ILLEGAL, 2))
    word, cause = rng.choice(choices)
    return Slot(FAULT, size, lambda _: word, cause=cause)


def _slot(rng: Random, kind: int, compressed: bool, xlen: int) -> Slot:
    size = rng.choice((2, 2, 4)) if compressed else 4
    if kind == STRAIGHT:
        return _straight(rng, size)
    if kind == BRANCH:
        return _branch(rng, size)
    if kind == JUMP:
        return _jump(rng, size, xlen)
    if kind == INDIRECT:
        return _indirect(rng, size)
    if kind == XRET:
        return _xret(rng)
    return _fault(rng, size)


def _place(base: int, slots: list[Slot]) -> None:
    """Give every slot its address."""
    address = base
    for slot in slots:
        slot.address = address
        address += slot.size


def _retarget(rng: Random, slots: list[Slot]) -> None:
    """Give every direct transfer a target within its reach."""
    near = rng.random() < 0.5
    for index, slot in enumerate(slots):
        if slot.kind in (BRANCH, JUMP):
            if near:
                slot.target = min(max(index + rng.randrange(-3, 4), 0), len(slots) - 1)
            if abs(slots[slot.target].address - slot.address) > slot.reach:
                slot.target = index


def _code(slots: list[Slot]) -> bytes:
    code = b""
    for slot in slots:
        if not slot.outside:
            word = slot.encode(slots[slot.target].address - slot.address)
            code += (word % (1 << 8 * slot.size)).to_bytes(slot.size, "little")
    return code


def _random_slots(rng: Random, compressed: bool, xlen: int) -> list[Slot]:
    mix = rng.choice(MIXES)
    count = rng.choice((1, 2, 3, 5, 8, 13, 25, 40))
    kinds = rng.choices(range(6), mix, k=count)
    kinds[-1] = rng.choice((JUMP, JUMP, INDIRECT, kinds[-1]))
    slots = [_slot(rng, kind, compressed, xlen) for kind in kinds]
    reachable = count + (OUTSIDE if rng.random() < 0.3 else 0)
    for slot in slots:
        slot.target = rng.randrange(reachable)
    return slots


def _outside() -> list[Slot]:
    """Addresses after the program where nothing is: to go there is an access fault."""
    return [Slot(FAULT, 4, lambda _: 0, cause=1, outside=True) for _ in range(OUTSIDE)]


def _chain(rng: Random, compressed: bool, xlen: int) -> list[Slot]:
    """Many short pieces joined by inferable jumps into one round: more segments than are kept."""
    pieces = rng.choice((3, 20, 62, 63, 64, 65, 66, 90))
    order = rng.sample(range(pieces), pieces)
    lengths = [rng.choice((1, 1, 2, 3)) for _ in range(pieces)]
    starts = [sum(lengths[:piece]) for piece in range(pieces)]
    slots = []
    for piece in range(pieces):
        for _ in range(lengths[piece] - 1):
            slots.append(_slot(rng, STRAIGHT, compressed, xlen))
        jump = _slot(rng, JUMP, False, xlen)
        jump.target = starts[order[(order.index(piece) + 1) % pieces]]
        slots.append(jump)
    return slots


# -- events -------------------------------------------------------------------------------------


@dataclass
class Habits:
    """How often things happen in one event stream."""

    trap: float
    trap_again: float
    interrupt: float
    notify: float
    taken: float
    same_privilege: float


def _habits(rng: Random) -> Habits:
    return Habits(
        trap=rng.choice((0.0, 0.0, 0.01, 0.05, 0.2, 0.5)),
        trap_again=rng.choice((0.0, 0.1, 0.5, 0.8)),
        interrupt=rng.choice((0.0, 0.5, 1.0)),
        notify=rng.choice((0.0, 0.0, 0.02, 0.2, 0.9)),
        taken=rng.choice((0.1, 0.5, 0.9)),
        same_privilege=rng.choice((0.0, 0.5, 1.0)),
    )


class Walk:
    """A hart running over the slots."""

    def __init__(self, rng: Random, slots: list[Slot], xlen: int) -> None:
        self.rng = rng
        self.slots = slots
        self.xlen = xlen
        self.habits = _habits(rng)
        self.privileges = rng.choice(PRIVILEGES)
        self.priv = rng.choice(self.privileges)
        self.context_bits = rng.choice((0, 1, 8, 32))
        self.tval_bits = rng.choice((0, 1, xlen // 2, xlen))
        self.favourite = rng.randrange(len(slots) - OUTSIDE)
        self.at = rng.randrange(len(slots) - OUTSIDE)
        self.rows: list[Row] = []
        self.trapped = False

    def run(self, count: int) -> list[Row]:
        while len(self.rows) < count:
            slot = self.slots[self.at]
            chance = self.habits.trap_again if self.trapped else self.habits.trap
            if slot.kind == FAULT or self.rng.random() < chance:
                self.take_trap(slot)
            else:
                self.retire(slot)
        return self.rows

    def context(self) -> int:
        if self.rng.random() < 0.8 and self.rows:
            return self.rows[-1].context
        return self.rng.randrange(1 << self.context_bits)

    def add(self, row: Row) -> None:
        self.rows.append(replace(row, context=self.context(), time=len(self.rows)))

    def any_slot(self) -> int:
        """A place to go: anywhere, a favourite (so that addresses recur), here or just after."""
        last = len(self.slots) - 1
        return self.rng.choice(
            (
                self.rng.randrange(last + 1),
                self.favourite,
                self.favourite,
                self.at,
                min(self.at + 1, last),
                max(self.at - 1, 0),
            )
        )

    def change_privilege(self) -> None:
        if self.rng.random() >= self.habits.same_privilege:
            self.priv = self.rng.choice(self.privileges)

    def take_trap(self, slot: Slot) -> None:
        interrupt = slot.kind != FAULT and self.rng.random() < self.habits.interrupt
        cause = slot.cause or self.rng.choice((0, 1, 2, 3, 7, 8, 11, 13, 15))
        tval = self.rng.choice((0, slot.address, self.rng.randrange(1 << self.tval_bits)))
        self.add(
            Row(
                retired=False,
                iaddr=slot.address,
                size=0,
                itype=INTERRUPT if interrupt else EXCEPTION,
                priv=self.priv,
                cause=cause,
                tval=0 if interrupt else tval,
                interrupt=interrupt,
            )
        )
        self.trapped = True
        self.at = self.any_slot()
        self.change_privilege()

    def retire(self, slot: Slot) -> None:
        self.trapped = False
        taken = slot.kind == BRANCH and self.rng.random() < self.habits.taken
        self.add(
            Row(
                retired=True,
                iaddr=slot.address,
                size=slot.size,
                itype=TAKEN_BRANCH if taken else slot.itype,
                priv=self.priv,
                notify=self.rng.random() < self.habits.notify,
            )
        )
        if slot.kind == JUMP or taken:
            self.at = slot.target
        elif slot.kind in (INDIRECT, XRET):
            self.at = self.any_slot()
            if slot.kind == XRET:
                self.change_privilege()
        else:
            self.at += 1


def _base(rng: Random, xlen: int, length: int) -> int:
    top = (1 << xlen) - length - 64 & ~3
    bases = (0, 0x20, 0x1000, 0x7FFFFFC0, 0x80000000, 1 << xlen - 1, (1 << xlen - 1) - 0x40, top)
    return rng.choice(bases)


def build_case(rng: Random) -> Case:
    """A program and an event stream, from any source of randomness."""
    xlen = rng.choice((32, 64))
    compressed = rng.random() < 0.75
    chained = rng.random() >= 0.96
    slots = (_chain if chained else _random_slots)(rng, compressed, xlen)
    base = _base(rng, xlen, sum(slot.size for slot in slots))
    slots += _outside()
    _place(base, slots)
    if not chained:
        _retarget(rng, slots)
    count = rng.choice((0, 1, 2, 3, 8, 20, 50, 100, 150))
    rows = Walk(rng, slots, xlen).run(count + 150 if chained else count)
    return Case(xlen, base, _code(slots), compressed, rows)


def random_case(seed: int) -> Case:
    """The case number `seed`."""
    return build_case(Random(seed))


# -- settings -----------------------------------------------------------------------------------


def _width(rng: Random, least: int, most: int) -> int:
    """A width that fits, mostly at its bounds."""
    return rng.choice((least, most, most, rng.randrange(least, most + 1)))


def _longest_packet(p: Parameters) -> int:
    """Bits of an exception's format 3.1."""
    time = 0 if p.notime_p else p.time_width_p
    context = 0 if p.nocontext_p else p.context_width_p
    return 7 + p.privilege_width_p + time + context + p.ecause_width_p + 2 * p.iaddress_width_p


def _as_found_out_there(p: Parameters, case: Case) -> Parameters:
    """`p` with widths that few encoders have, for one case in three."""
    rng = Random(f"{case.base} {len(case.rows)} {p.iaddress_width_p}")
    if rng.random() < 0.67:
        return p
    if {row.priv for row in case.rows} <= {0, 3}:
        p = replace(p, privilege_width_p=rng.choice((1, p.privilege_width_p)))
    if not p.return_stack_size_p:
        p = replace(p, call_counter_size_p=rng.choice((0, 8, 12)))
    return replace(
        p,
        ecause_width_p=rng.choice((p.ecause_width_p, 32, 64)),
        ioptions_width_p=rng.choice((5, 0, 3, 7, 32)),
        doptions_width_p=rng.choice((4, 0, 32)),
        irdepth_width_p=rng.choice((None, 20, 32)),
    )


def random_settings(rng: Random, case: Case) -> Settings:
    """Parameters wide enough for the case, modes, and resynchronisation."""
    highest = max([row.iaddr for row in case.rows], default=0)
    highest = max(highest, case.base + len(case.code))
    tval = max([row.tval for row in case.rows], default=0)
    cause = max([row.cause for row in case.rows], default=0)
    priv = max([row.priv for row in case.rows], default=0)
    context = max([row.context for row in case.rows], default=0)
    least = max(highest.bit_length(), tval.bit_length(), 4)
    nocontext = rng.randrange(2)
    parameters = Parameters(
        iaddress_width_p=_width(rng, least, case.xlen),
        iaddress_lsb_p=rng.choice((0, 1) if case.compressed else (0, 1, 2)),
        ecause_width_p=_width(rng, max(cause.bit_length(), 1), 16),
        privilege_width_p=_width(rng, max(priv.bit_length(), 2), 3),
        context_width_p=_width(rng, max(context.bit_length(), 1), 32),
        nocontext_p=nocontext,
        time_width_p=_width(rng, 8 if len(case.rows) < 256 else 16, 64),
        notime_p=rng.choice((0, 1, 1)),
        itype_width_p=rng.choice((3, 4)),
        call_counter_size_p=rng.choice((0, 0, 0, 1, 7)),
        return_stack_size_p=rng.choice((0, 0, 0, 1, 7)),
    )
    parameters = _as_found_out_there(parameters, case)
    excess = _longest_packet(parameters) - LONGEST_PAYLOAD
    if excess > 0:
        shorter = max(parameters.time_width_p - excess, 8)
        parameters = replace(parameters, time_width_p=shorter, ecause_width_p=5)
    unit = rng.choice(("packets", "packets", "instructions", "instructions", "off"))
    period = rng.choice((1, 2, 3, 4, 5, 8, 16, 64, 1000))
    modes = Modes(full_address=rng.random() < 0.3)
    # packets for each round, so that every row comes back; `settings.beyond_the_letter` varies it
    return Settings(parameters, modes, Resync(unit, period), exact_loops=True)


def random_trial(seed: int) -> tuple[Case, Settings]:
    """A case and settings for it, both from one seed."""
    case = random_case(seed)
    return case, random_settings(Random(f"settings {seed}"), case)


# -- hypothesis ---------------------------------------------------------------------------------


def cases() -> strategies.SearchStrategy[Case]:
    """Cases that hypothesis can shrink."""
    return strategies.randoms(use_true_random=False).map(build_case)


@strategies.composite
def trials(draw: strategies.DrawFn) -> tuple[Case, Settings]:
    """Cases with settings, for hypothesis."""
    rng = draw(strategies.randoms(use_true_random=False))
    case = build_case(rng)
    return case, random_settings(rng, case)
