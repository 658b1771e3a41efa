"""Random programs for the optional modes: calls and returns that mostly match, recursion,
indirect jumps to the same few targets, loops that can be predicted, lui/auipc and jalr in pairs.

`random_modes_trial(seed)` is all that a test needs.
"""

from dataclasses import dataclass, replace
from random import Random

from tests.model import assemble, generate
from tests.model.generate import Case, Slot, Walk
from tests.model.rows import TAKEN_BRANCH, Row
from tests.model.settings import Modes, Resync, Settings, UpdatedParameters

CALL, RETURN, PAIR, RECURSION, ROUND = range(6, 11)

#: How often each kind occurs: straight, branch, jump, indirect, xRET, fault, call, return, pair,
#: recursive function, loop.
MIXES = (
    (10, 4, 2, 2, 0, 0, 4, 4, 2, 1, 1),
    (6, 1, 1, 0, 0, 0, 4, 6, 0, 3, 0),
    (6, 0, 1, 0, 0, 0, 4, 6, 1, 0, 0),
    (3, 0, 0, 0, 0, 0, 4, 4, 0, 2, 0),
    (2, 0, 0, 1, 0, 0, 3, 3, 1, 4, 0),
    (4, 6, 1, 1, 0, 0, 1, 1, 0, 0, 4),
    (2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 6),
    (2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 8),
    (2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8),
    (2, 0, 0, 1, 0, 0, 0, 0, 1, 0, 6),
    (4, 2, 1, 8, 1, 0, 2, 2, 0, 0, 1),
    (4, 2, 1, 1, 1, 0, 1, 1, 8, 1, 1),
    (10, 3, 2, 2, 2, 1, 3, 3, 2, 1, 1),
)

#: Registers of pairs; straight code leaves these and x15 alone, so that it makes no pairs.
REGISTERS = (1, 5, 6)
ALWAYS, NEVER, RANDOM, LOOP, SKIP = range(5)


def _jump_itype(rd: int, rs1: int) -> int:
    """The table "Jump classification" for jalr rd, rs1."""
    links = (1, 5)
    if rd in links:
        return 12 if rs1 in links and rs1 != rd else 8
    if rs1 in links:
        return 13
    return 10 if rd == 0 else 14


def _straight(rng: Random, size: int) -> Slot:
    if size == 2:
        word = assemble.c_addi(rng.randrange(1, 32), rng.randrange(32))
    else:
        word = assemble.addi(rng.randrange(1, 32), rng.randrange(32), rng.randrange(32))
        other = rng.choice((assemble.lui, assemble.auipc))
        if rng.random() < 0.3:
            word = other(rng.choice((0, 7, 9, 31)), rng.randrange(1 << 20))
    return Slot(generate.STRAIGHT, size, lambda _: word)


def _call(rng: Random, size: int, xlen: int) -> Slot:
    """A call whose target the opcode tells."""
    if size == 2 and xlen == 32:
        return Slot(generate.JUMP, 2, assemble.c_jal, 9, reach=2046)
    rd = rng.choice((1, 1, 5))
    return Slot(generate.JUMP, 4, lambda offset: assemble.jal(rd, offset), 9)


def _return(rng: Random, size: int) -> Slot:
    rs1 = rng.choice((1, 1, 5))
    if size == 2:
        return Slot(generate.INDIRECT, 2, lambda _: assemble.c_jr(rs1), 13)
    rd = rng.choice((0, 0, 7))
    return Slot(generate.INDIRECT, 4, lambda _: assemble.jalr(rd, rs1, 0), 13)


def _upper(value: int) -> int:
    """What lui or auipc adds so that a signed 12-bit immediate does the rest."""
    return (value + 0x800) >> 12


def _pair(rng: Random, base: int, compressed: bool, xlen: int) -> list[Slot]:
    """auipc, lui or c.lui with the jump that takes its register, or seems to."""
    rs1 = rng.choice(REGISTERS)
    rd = rng.choice((0, 0, 1, 5, 7))
    loaded = rs1 if rng.random() < 0.9 else 7
    choices = ["auipc"]
    if xlen == 32 or base < 0x7FFF_0000:
        choices.append("lui")
    if compressed and base == 0x1000:
        choices.append("c.lui")
    how = rng.choice(choices)
    size = 2 if how == "c.lui" else 4
    first = Slot(generate.STRAIGHT, size, lambda _: 0)
    jump = Slot(generate.INDIRECT, 4, lambda _: 0, _jump_itype(rd, rs1))

    def value(offset: int) -> int:
        return offset if how == "auipc" else first.address + offset

    def load(offset: int) -> int:
        upper = _upper(value(offset))
        if how == "c.lui":
            return assemble.c_lui(loaded, upper)
        return (assemble.auipc if how == "auipc" else assemble.lui)(loaded, upper)

    first.encode = load
    jump.encode = lambda offset: assemble.jalr(rd, rs1, value(offset + size))
    return [first, jump]


@dataclass
class Tangle:
    """A program that is being made: its slots, which of them are the jumps of pairs, start
    functions, or have their targets and patterns already."""

    slots: list[Slot]
    jumps_of_pairs: set[int]
    functions: list[int]
    targets: dict[int, int]
    patterns: dict[int, int]

    def add_recursion(self, rng: Random, compressed: bool, xlen: int) -> None:
        """A function that calls itself some times and unwinds, with no branch behind the call."""
        size = rng.choice((2, 4)) if compressed else 4
        start = len(self.slots)
        self.functions.append(start)
        self.slots += [_straight(rng, size) for _ in range(rng.randrange(2))]
        branch = len(self.slots)
        calls = rng.choice((1, 1, 2))
        self.slots.append(generate._branch(rng, 4))
        self.targets[branch] = branch + 1 + calls
        self.patterns[branch] = SKIP
        for _ in range(calls):
            self.targets[len(self.slots)] = start
            self.slots.append(_call(rng, size, xlen))
        self.slots += [_straight(rng, size) for _ in range(rng.randrange(3))]
        if rng.random() < 0.3:
            self.targets[len(self.slots)] = rng.choice(self.functions)
            self.slots.append(_call(rng, size, xlen))
        self.slots.append(_return(rng, size))

    def add_loop(self, rng: Random, compressed: bool) -> None:
        size = rng.choice((2, 4)) if compressed else 4
        start = len(self.slots)
        self.slots += [_straight(rng, size) for _ in range(rng.randrange(3))]
        self.targets[len(self.slots)] = start
        self.patterns[len(self.slots)] = LOOP
        self.slots.append(generate._branch(rng, 4))


def _tangle(rng: Random, base: int, compressed: bool, xlen: int) -> Tangle:
    mix = rng.choice(MIXES)
    tangle = Tangle([], set(), [0], {}, {})
    slots = tangle.slots
    for kind in rng.choices(range(11), mix, k=rng.choice((3, 5, 8, 13, 25, 40))):
        size = rng.choice((2, 2, 4)) if compressed else 4
        if kind == PAIR:
            slots += _pair(rng, base, compressed, xlen)
            tangle.jumps_of_pairs.add(len(slots) - 1)
        elif kind == CALL:
            slots.append(_call(rng, size, xlen))
        elif kind == RETURN:
            slots.append(_return(rng, size))
            tangle.functions.append(len(slots))
        elif kind == RECURSION:
            tangle.add_recursion(rng, compressed, xlen)
        elif kind == ROUND:
            tangle.add_loop(rng, compressed)
        elif kind == generate.STRAIGHT:
            slots.append(_straight(rng, size))
        else:
            slots.append(generate._slot(rng, kind, compressed, xlen))
    slots.append(generate._jump(rng, 4, xlen))
    return tangle


def _choose_targets(rng: Random, tangle: Tangle) -> None:
    slots = tangle.slots
    last = len(slots) - 1
    near = rng.random() < 0.5
    few = [rng.randrange(len(slots)) for _ in range(2)]
    for index, slot in enumerate(slots):
        slot.target = rng.choice((rng.randrange(len(slots)), *few))
        if slot.itype == 9 and rng.random() < 0.8:
            slot.target = rng.choice(tangle.functions)
        elif near:
            slot.target = min(max(index + rng.randrange(-4, 5), 0), last)
        if slot.kind == generate.JUMP and slot.target <= index < last and rng.random() < 0.8:
            # Else most programs would end in a loop.
            slot.target = min(index + rng.randrange(1, 6), last)
        slot.target = tangle.targets.get(index, slot.target)
        distance = abs(slots[slot.target].address - slot.address)
        if slot.kind in (generate.BRANCH, generate.JUMP) and distance > slot.reach:
            slot.target = min(index + 1, last)
    slots[last].target = rng.randrange(len(slots) // 2 + 1)
    for index in tangle.jumps_of_pairs:
        slots[index - 1].target = slots[index].target


class Hart(Walk):
    """A hart that keeps to calling conventions and constants, as far as its habits go."""

    def __init__(self, rng: Random, tangle: Tangle, xlen: int, loads: set[int]) -> None:
        super().__init__(rng, tangle.slots, xlen)
        self.loads = loads
        self.links: list[int] = []
        self.behaves = rng.choice((1.0, 1.0, 1.0, 0.95, 0.7))
        self.repeats = rng.choice((0.5, 0.9, 1.0))
        self.patterns = [rng.choice((ALWAYS, NEVER, LOOP, LOOP, RANDOM)) for _ in tangle.slots]
        for index, pattern in tangle.patterns.items():
            self.patterns[index] = pattern
        rounds = rng.choice(((2, 3, 10), (3, 40), (40, 70), (70, 300)))
        self.rounds = [rng.choice(rounds) for _ in tangle.slots]
        self.notified_exits = rng.choice((0.0, 0.0, 0.5))
        self.visits = [0] * len(tangle.slots)
        self.before = -1
        self.habits.trap = rng.choice((0.0, 0.0, 0.0, 0.01, 0.05, 0.2))
        self.habits.trap_again = rng.choice((0.0, 0.1, 0.5))
        self.habits.notify = rng.choice((0.0, 0.0, 0.0, 0.02, 0.2))
        if rng.random() < 0.7:
            self.habits.same_privilege = 1.0
        self.handlers = {priv: self._handler() for priv in self.privileges}
        self.vectored = {priv: rng.random() < 0.3 for priv in self.privileges}
        self.keeps_handlers = rng.choice((1.0, 1.0, 0.8))
        self.index = {slot.address: index for index, slot in enumerate(self.slots)}

    def _handler(self) -> int:
        aligned = [i for i, slot in enumerate(self.slots) if slot.address % 4 == 0]
        quiet = [i for i in aligned if self.slots[i].kind != generate.FAULT]
        return self.rng.choice(quiet or aligned)

    def any_slot(self) -> int:
        inside = len(self.slots) - generate.OUTSIDE - 1
        return super().any_slot() if self.rng.random() < 0.1 else min(super().any_slot(), inside)

    @property
    def tvec(self) -> tuple[tuple[int, int], ...]:
        """What software put into the trap vector CSRs."""
        return tuple(
            (priv, self.slots[handler].address + int(self.vectored[priv]))
            for priv, handler in self.handlers.items()
        )

    def take_trap(self, slot: Slot) -> None:
        super().take_trap(slot)
        trap = self.rows[-1]
        self.before = -1
        if self.rng.random() < self.keeps_handlers:
            address = self.slots[self.handlers[self.priv]].address
            if trap.interrupt and self.vectored[self.priv]:
                address += 4 * trap.cause
            self.at = self.index.get(address, self.at)

    def taken(self, slot: Slot) -> bool:
        visits = self.visits[self.at]
        self.visits[self.at] += 1
        pattern = self.patterns[self.at]
        if pattern == RANDOM:
            return self.rng.random() < self.habits.taken
        if pattern == LOOP:
            return visits % self.rounds[self.at] != 0
        if pattern == SKIP:
            return visits % self.rounds[self.at] == self.rounds[self.at] - 1
        return pattern == ALWAYS

    def is_pair(self) -> bool:
        """Whether the jump at `at` takes the constant that was loaded just before."""
        return self.at in self.loads and self.before == self.at - 1

    def retire(self, slot: Slot) -> None:
        self.trapped = False
        taken = slot.kind == generate.BRANCH and self.taken(slot)
        pair = self.is_pair()
        notify = self.rng.random() < self.habits.notify
        if slot.kind == generate.BRANCH and not taken:
            notify = notify or self.rng.random() < self.notified_exits
        self.add(
            Row(
                retired=True,
                iaddr=slot.address,
                size=slot.size,
                itype=TAKEN_BRANCH if taken else slot.itype,
                priv=self.priv,
                notify=notify,
                sijump=pair,
            )
        )
        here, self.before = self.at, self.at
        if slot.kind == generate.JUMP or taken or pair:
            self.at = slot.target
        elif slot.itype == 13 and self.links and self.rng.random() < self.behaves:
            self.at = self.links.pop()
        elif slot.kind == generate.INDIRECT:
            repeated = self.rng.random() < self.repeats
            self.at = slot.target if repeated else self.any_slot()
        elif slot.kind == generate.XRET:
            self.at = self.any_slot()
            self.change_privilege()
        else:
            self.at += 1
        if slot.itype in (8, 9):
            self.links.append(here + 1)


def build_modes_case(rng: Random) -> tuple[Case, tuple[tuple[int, int], ...]]:
    """A case, and the trap vectors that its software has set."""
    xlen = rng.choice((32, 64))
    compressed = rng.random() < 0.6
    base = generate._base(rng, xlen, 4 * 100)
    tangle = _tangle(rng, base, compressed, xlen)
    slots = tangle.slots
    slots += generate._outside()
    generate._place(base, slots)
    del slots[-generate.OUTSIDE :]
    _choose_targets(rng, tangle)
    loads = {index for index in tangle.jumps_of_pairs if _is_true_pair(slots, index)}
    slots += generate._outside()
    generate._place(base, slots)
    hart = Hart(rng, tangle, xlen, loads)
    rows = hart.run(rng.choice((5, 50, 100, 200, 200, 400, 1000)))
    return Case(xlen, base, generate._code(slots), compressed, rows), hart.tvec


def _is_true_pair(slots: list[Slot], index: int) -> bool:
    """Whether both name the same register, by their words."""
    target = slots[slots[index].target].address
    load = slots[index - 1].encode(target - slots[index - 1].address)
    jump = slots[index].encode(target - slots[index].address)
    return load >> 7 & 31 == jump >> 15 & 31


# -- settings -----------------------------------------------------------------------------------

#: Names of the modes, in the order in which they were built.
MODES = (
    "sijump",
    "implicit_exception",
    "branch_prediction",
    "jump_target_cache",
    "implicit_return",
)


def random_modes_settings(
    rng: Random, case: Case, tvec: tuple[tuple[int, int], ...], modes: tuple[str, ...]
) -> Settings:
    """Settings for a case with each of `modes` on."""
    settings = generate.random_settings(rng, case)
    if rng.random() < 0.5:
        settings = replace(settings, resync=Resync("off"))
    p = settings.parameters
    bpred = "branch_prediction" in modes
    cache = "jump_target_cache" in modes
    stack = rng.choice((0, 1, 2, 3, 7))
    p = replace(
        p,
        sijump_p=int("sijump" in modes),
        bpred_size_p=rng.choice((1, 2, 3, 6)) if bpred else 0,
        cache_size_p=rng.choice((1, 2, 3, 7)) if cache else 0,
        f0s_width_p=rng.choice((1, 2)) if bpred and cache else rng.choice((0, 1, 2)),
    )
    if "implicit_return" in modes:
        counter = rng.choice((1, 2, 3, 7)) if stack == 0 else rng.choice((0, 0, 2))
        p = replace(p, itype_width_p=4, return_stack_size_p=stack, call_counter_size_p=counter)
    flags = dict.fromkeys(modes, True)
    if rng.random() < 0.1:
        tvec = tvec[:-1]
    return replace(
        settings,
        parameters=p,
        modes=Modes(full_address=settings.modes.full_address, **flags),
        tvec=tvec,
        shorter_packet=rng.random() < 0.5,
        most_branches=rng.choice((0xFFFF_FFFF, 0xFFFF_FFFF, 0, 1, 3)),
    )


def random_modes(rng: Random) -> tuple[str, ...]:
    """One mode, all, or any."""
    how = rng.randrange(4)
    if how == 0:
        return (rng.choice(MODES),)
    if how == 1:
        return MODES
    return tuple(mode for mode in MODES if rng.random() < 0.5)


def random_update_trial(seed: int, modes: tuple[str, ...] | None = None) -> tuple[Case, Settings]:
    """`random_modes_trial` by protocol 2.1: its support packet has times of whole half-words."""
    case, settings = random_modes_trial(seed, modes)
    parameters = UpdatedParameters(**vars(settings.parameters) | {"time_width_p": 16})
    return case, replace(settings, parameters=parameters)


def random_modes_trial(seed: int, modes: tuple[str, ...] | None = None) -> tuple[Case, Settings]:
    """A case and settings for it with optional modes, all from one seed."""
    case, tvec = build_modes_case(Random(f"modes {seed}"))
    rng = Random(f"modes settings {seed}")
    chosen = random_modes(rng) if modes is None else modes
    return case, random_modes_settings(rng, case, tvec, chosen)
