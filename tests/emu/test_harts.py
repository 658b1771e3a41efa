"""Several harts: turns, what they share, and what is each one's own."""

import itertools
from collections.abc import Callable

import numba
import numpy as np
import pytest

from emu import ExitReason, Machine, MachineError, SidebandOptions, Time
from specs.interfaces.events import EXCEPTION, INTERRUPT, Event
from specs.interfaces.ingress import Chunk
from tests.emu.build import DATA, Assembly, dwords, events
from tests.emu.manyharts import (
    PROGRAMS,
    ROUNDS,
    SOFTWARE,
    TIMER,
    assembled,
    begin,
    by_amo,
    by_lr,
    counting,
    done,
    enable,
    handler,
    only,
    pingpong,
    store_x,
    timers,
)


def machine(
    write: Callable[[Assembly], None], harts: int, xlen: int = 64, data: bytes = b"", **options
) -> Machine:
    return Machine([assembled(write, xlen).program(data)], harts=harts, **options)


def by_cas(a: Assembly) -> None:
    a.addi(rd=14, rs1=6, imm=64)
    a.addi(rd=15, rs1=0, imm=1)
    a.label("acquire")
    a.addi(rd=16, rs1=0, imm=0)
    a.amocas_w(rd=16, rs1=14, rs2=15)
    a.bne(rs1=16, rs2=0, to="acquire")


@pytest.mark.parametrize("acquire", [by_lr, by_amo, by_cas])
@pytest.mark.parametrize(("harts", "quantum"), [(2, 97), (3, 64), (8, 131), (5, 10_000)])
def test_a_lock_counts_exactly(
    harts: int, quantum: int, acquire: Callable[[Assembly], None]
) -> None:
    m = machine(counting(harts, acquire), harts, quantum=quantum, record=False)
    assert list(m.run(20_000_000)) == []
    assert m.exit_reason is ExitReason.EXIT and m.exit_code == 0
    assert m.memory.read(DATA, 4) == harts * ROUNDS
    if acquire is by_lr and harts == 8:  # turns end within LR and SC too
        assert sum(hart.register(29) for hart in m.harts) > 0


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_counter_without_a_lock_by_lr_and_sc(xlen: int) -> None:
    harts = 4

    def write(a: Assembly) -> None:
        a.addi(rd=20, rs1=0, imm=ROUNDS)
        a.label("round")
        a.lr_w(rd=21, rs1=6)
        a.addi(rd=21, rs1=21, imm=1)
        a.sc_w(rd=22, rs1=6, rs2=21)
        a.bne(rs1=22, rs2=0, to="round")
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="round")
        done(a, harts)

    m = machine(write, harts, xlen, quantum=65, record=False)
    list(m.run(1_000_000))
    assert m.exit_code == 0 and m.memory.read(DATA, 4) == harts * ROUNDS


def test_a_reservation_is_lost_at_the_end_of_a_turn() -> None:
    def write(a: Assembly) -> None:
        a.lr_w(rd=16, rs1=6)
        a.addi(rd=17, rs1=0, imm=100)
        a.label("spin")
        a.addi(rd=17, rs1=17, imm=-1)
        a.bne(rs1=17, rs2=0, to="spin")
        a.sc_w(rd=18, rs1=6, rs2=0)
        a.jal(rd=0, imm=0)

    for harts, failed in ((1, 0), (2, 1)):
        m = machine(write, harts, quantum=100, record=False)
        list(m.run(10_000))
        assert m.exit_reason is ExitReason.ENDLESS_LOOP
        assert [hart.register(18) for hart in m.harts] == [failed] * harts


def test_harts_know_their_number_and_begin_alike() -> None:
    def write(a: Assembly) -> None:
        a.slli(rd=8, rs1=5, imm=3)
        a.add(rd=8, rs1=8, rs2=6)
        a.addi(rd=9, rs1=10, imm=100)  # a0 is mhartid, from the boot ROM
        store_x(a, rs1=8, rs2=9, imm=0)
        done(a, 8)

    m = machine(write, 8, record=False)
    list(m.run(10_000))
    assert dwords(m, DATA, 8) == [100 + n for n in range(8)]
    assert [hart.csr("mhartid") for hart in m.harts] == list(range(8))
    assert m.instret == sum(hart.instret for hart in m.harts)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("quantum", [64, 10_000])
def test_software_interrupts_go_to_and_fro(xlen: int, quantum: int) -> None:
    m = machine(pingpong, 2, xlen, quantum=quantum)
    found: list[Event] = []
    m.on_discontinuity(found.append, INTERRUPT)
    for _ in m.run(1_000_000):
        pass
    assert m.exit_reason is ExitReason.EXIT and m.exit_code == 0
    assert [hart.register(20) for hart in m.harts] in ([ROUNDS, ROUNDS], [ROUNDS, ROUNDS + 1])
    assert all(event.cause == SOFTWARE for event in found)
    # in order of execution: each one's is the answer to the other's
    assert [event.hart for event in found[:200]] == [1, 0] * 100
    assert m.trap_counts == {(True, SOFTWARE): len(found)}
    # pending since its last instruction before its turn, a wfi (but for the first: not begun yet)
    assert [event.pending_since for event in found[1:]] == [event.instret for event in found[1:]]
    assert found[0].pending_since == 0


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("quantum", [100, 10_000])
def test_each_hart_has_its_timer(xlen: int, quantum: int) -> None:
    m = machine(timers, 3, xlen, quantum=quantum)
    found: list[Event] = []
    m.on_discontinuity(found.append, INTERRUPT)
    for _ in m.run(10_000_000):
        pass
    assert m.exit_code == 0
    for number in range(3):
        times = dwords(m, DATA + 256 * number, 20)
        apart = np.diff(times)
        assert (apart >= 3 + number).all()
        # while others run time goes on
        assert apart.max() <= 3 + number + 2 * (quantum // 100 + 1)
        own = [event for event in found if event.hart == number]
        assert len(own) == 20 and all(event.cause == TIMER for event in own)
        assert [event.instret for event in own] == sorted(event.instret for event in own)
    # one clock: it never goes back, whoever looks at it
    assert [event.time for event in found] == sorted(event.time for event in found)


def test_one_hart_sets_the_timer_of_another_that_waits() -> None:
    def write(a: Assembly) -> None:
        a.li(15, 0x4000)
        a.add(rd=8, rs1=7, rs2=15)
        only(a, 1, "sets")
        enable(a, TIMER, globally=False)
        a.wfi()
        a.csr("time", rd=20)
        a.csr("mcycle", rd=21)
        a.csr("mip", rd=22)
        a.exit(5)
        a.label("sets")
        a.addi(rd=9, rs1=0, imm=-1)
        for hart in range(2):
            a.sd(rs1=8, rs2=9, imm=8 * hart)
        a.addi(rd=20, rs1=0, imm=200)
        a.label("later")
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="later")
        a.li(9, 70_000)
        a.sd(rs1=8, rs2=9, imm=8)
        a.ld(rd=23, rs1=8, imm=8)
        a.lw(rd=24, rs1=8, imm=12)
        a.label("parked")
        a.wfi()
        a.jal(rd=0, to="parked")

    m = machine(write, 2, quantum=100, record=False)
    list(m.run(100_000))
    waiter, setter = m.harts[1], m.harts[0]
    assert m.exit_code == 5 and m.hart is waiter
    assert waiter.register(20) == 70_000 and waiter.register(22) & 1 << TIMER
    # its cycles went on while it waited
    assert 6_900_000 < waiter.register(21) < 7_000_200
    assert setter.register(23) == 70_000 and setter.register(24) == 0
    assert waiter.instret < 50 and setter.instret < 500


def test_msip_of_all_harts_can_be_read_and_of_others_there_is_none() -> None:
    def write(a: Assembly) -> None:
        only(a, 0, "parked")
        a.addi(rd=9, rs1=0, imm=-1)
        a.sw(rs1=7, rs2=9, imm=8)  # hart 2: only bit 0 is there
        a.sb(rs1=7, rs2=9, imm=4)
        a.sw(rs1=7, rs2=9, imm=12)  # no such hart
        a.ld(rd=20, rs1=7, imm=0)
        a.ld(rd=21, rs1=7, imm=8)
        a.sw(rs1=7, rs2=0, imm=4)
        a.ld(rd=22, rs1=7, imm=0)
        a.exit(0)
        a.label("parked")
        a.jal(rd=0, to="parked")

    m = machine(write, 3, record=False)
    list(m.run(1000))
    assert m.exit_code == 0
    assert [m.harts[0].register(n) for n in (20, 21, 22)] == [1 << 32, 1, 0]
    assert [hart.csr("mip") >> SOFTWARE & 1 for hart in m.harts] == [0, 0, 1]


@pytest.mark.parametrize("exits", [0, 1, 3])
def test_any_hart_ends_the_run_for_all(exits: int) -> None:
    def write(a: Assembly) -> None:
        only(a, exits, "spin")
        a.addi(rd=20, rs1=0, imm=1000)
        a.label("later")
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="later")
        a.exit(40 + exits)
        a.label("spin")
        a.addi(rd=21, rs1=21, imm=1)
        a.jal(rd=0, to="spin")

    m = machine(write, 4, quantum=100, record=False)
    list(m.run())
    assert m.exit_reason is ExitReason.EXIT and m.exit_code == 40 + exits
    assert m.hart.number == exits
    counts = [hart.instret for hart in m.harts]
    # none ran for more than a turn more than another
    assert max(counts) - min(counts) <= 100


def test_where_all_wait_for_ever_the_run_ends() -> None:
    def waits(a: Assembly) -> None:
        a.wfi()
        a.jal(rd=0, imm=-4)

    def mixed(a: Assembly) -> None:
        only(a, 1, "waits")
        a.jal(rd=0, imm=0)
        a.label("waits")
        waits(a)

    def hangs(a: Assembly) -> None:
        only(a, 1, "waits")
        handler(a, lambda: a.jal(rd=0, imm=0))
        a.raw(0, 4)
        a.label("waits")
        waits(a)

    for write, reason, which in (
        (waits, ExitReason.WFI_FOREVER, None),
        (mixed, ExitReason.ENDLESS_LOOP, None),
        (hangs, ExitReason.HANDLER_HANG, 1),
    ):
        m = machine(write, 3, record=False)
        list(m.run(100_000))
        assert m.exit_reason is reason and m.instret < 200
        assert which is None or m.hart.number == which


def test_a_jump_to_itself_waits_for_a_software_interrupt() -> None:
    def write(a: Assembly) -> None:
        handler(a, lambda: a.exit(9))
        only(a, 1, "sends")
        enable(a, SOFTWARE)
        a.jal(rd=0, imm=0)
        a.label("sends")
        a.addi(rd=20, rs1=0, imm=500)
        a.label("later")
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="later")
        a.addi(rd=9, rs1=0, imm=1)
        a.sw(rs1=7, rs2=9, imm=4)
        a.label("parked")
        a.jal(rd=0, to="parked")

    m = machine(write, 2, quantum=64, record=False)
    list(m.run())
    assert m.exit_code == 9 and m.hart.number == 1
    assert m.harts[1].instret < 100  # it does not go round meanwhile


def streams(m: Machine, *budgets: int | None) -> list[list[tuple[int, ...]]]:
    """By hart, what retired, an address or a trap a row."""
    found: list[list[tuple[int, ...]]] = [[] for _ in m.harts]
    for budget in budgets:
        for chunk in m.run(budget):
            for kind, at, more, last in events([chunk]):
                if kind == "block":
                    found[chunk.hart] += [(at + 2 * k,) for k in range(more)]
                else:
                    found[chunk.hart].append((1 if kind == "exception" else 2, at, more, last))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_run_is_the_same_each_time_and_whatever_buffers_there_are(name: str) -> None:
    write, harts = PROGRAMS[name]
    once = streams(machine(write, harts, quantum=100), None)
    for options in (
        {},
        {"chunk_refs": 1, "chunk_traps": 1, "table_blocks": 1},
        {"passages": False, "sideband": SidebandOptions(time=Time.INSTRET)},
    ):
        if "sideband" in options:
            m = machine(write, harts, quantum=100, **options)
            heard: list[list[tuple[int, ...]]] = [[] for _ in m.harts]
            for chunk in m.run(buffers=2):
                kept = chunk.refs[chunk.refs & 15 != 7]
                for kind, at, more, last in events(
                    [Chunk(kept, chunk.blocks, chunk.traps, hart=chunk.hart)]
                ):
                    if kind == "block":
                        heard[chunk.hart] += [(at + 2 * k,) for k in range(more)]
                    else:
                        heard[chunk.hart].append((1 if kind == "exception" else 2, at, more, last))
            assert heard == once
        else:
            assert streams(machine(write, harts, quantum=100, **options), None) == once


def test_a_budget_counts_all_harts_and_a_run_goes_on_behind_it() -> None:
    write = counting(3, by_amo)
    whole = machine(write, 3, quantum=100)
    once = streams(whole, None)
    pieces = machine(write, 3, quantum=100)
    found = streams(pieces, 1, 99, 100, 101, 1234)
    assert pieces.instret == 1535 and pieces.exit_reason is ExitReason.BUDGET
    rest = streams(pieces, None)
    assert [a + b for a, b in zip(found, rest, strict=True)] == once
    assert pieces.exit_code == whole.exit_code == 0


def test_turns_are_of_the_quantum_and_in_order() -> None:
    m = machine(counting(3, by_amo), 3, quantum=100)
    turns = []
    for chunk in m.run(3000):
        retired = sum(each[2] for each in events([chunk]) if each[0] == "block") // 2
        turns.append((chunk.hart, retired))
    assert turns == [(n % 3, 100) for n in range(30)]


def test_only_the_harts_that_are_named_are_recorded() -> None:
    write = counting(3, by_amo)
    everything = streams(machine(write, 3, quantum=100), None)
    m = machine(write, 3, quantum=100, record=(1,))
    assert streams(m, None) == [[], everything[1], []]


def test_hooks_are_told_of_all_harts_in_order_of_execution() -> None:
    def write(a: Assembly) -> None:
        handler(
            a,
            lambda: a.csr("mepc", rd=9),
            lambda: a.addi(rd=9, rs1=9, imm=4),
            lambda: a.csr("mepc", write=9),
        )
        a.addi(rd=20, rs1=5, imm=50)
        a.label("round")
        a.ecall()
        a.addi(rd=20, rs1=20, imm=-1)
        a.bne(rs1=20, rs2=0, to="round")
        done(a, 2)

    m = machine(write, 2, quantum=77, record=False)
    heard: list[tuple[str, int]] = []
    registers: list[bool] = []

    def event(event: Event) -> None:
        heard.append(("event", event.hart))
        registers.append(m.hart.number == event.hart == m.register(5) and m.pc == event.to_pc)

    retired = [0, 0]

    def retire(chunk: Chunk) -> None:
        heard.append(("retired", chunk.hart))
        retired[chunk.hart] += sum(r[2] for r in events([chunk]) if r[0] == "block") // 2

    m.on_retire(retire)
    m.on_discontinuity(event, EXCEPTION)
    list(m.run())
    assert m.exit_code == 0 and all(registers)
    assert [heard.count(("event", n)) for n in range(2)] == [50, 51]
    assert retired == [hart.instret for hart in m.harts]
    # what led to an event was told before it
    for before, after in itertools.pairwise(heard):
        assert after[0] == "retired" or before == ("retired", after[1])


def test_compiled_hooks_hear_of_each_hart() -> None:
    def hook(event, registers, user):
        user[numba.carray(event, 1)[0].hart] += 1

    counts = np.zeros(2, np.uint64)
    m = machine(pingpong, 2, record=False)
    m.on_discontinuity(numba.njit(hook), INTERRUPT, user=counts)
    with pytest.raises(TypeError, match="with several harts take a Python callable"):
        m.on_retire(numba.njit(lambda refs, count, blocks, traps, user: None))
    list(m.run())
    assert counts.tolist() == [hart.trap_counts[True, SOFTWARE] for hart in m.harts]


def test_time_in_the_side_band_is_one_clock() -> None:
    m = machine(timers, 3, quantum=1000, sideband=SidebandOptions(time=Time.MTIME, time_every=100))
    times: list[int] = []
    traps: list[int] = []
    for chunk in m.run():
        for reference in chunk.refs.tolist():
            if reference & 15 == 7:
                row = chunk.sidebands[reference >> 4]
                if row["flags"] & 2:
                    times.append(int(row["time"]))
            elif reference & 15 == 2:
                traps.append(times[-1])
    assert times == sorted(times) and len(times) > 100
    found: list[Event] = []
    again = machine(timers, 3, quantum=1000, record=False)
    again.on_discontinuity(found.append, INTERRUPT)
    list(again.run())
    assert traps == [event.time for event in found]


def test_fence_i_is_for_its_own_hart() -> None:
    """Hart 0 changes code that both have run; hart 1 sees it behind its own fence.i."""

    def write(a: Assembly) -> None:
        a.la(18, "code")
        a.jalr(rd=1, rs1=18, imm=0)
        only(a, 0, "other")
        a.li(19, 0x0070_0513)  # addi a0, x0, 7
        a.sw(rs1=18, rs2=19, imm=0)
        a.fence_i()
        a.jalr(rd=1, rs1=18, imm=0)
        a.addi(rd=9, rs1=0, imm=1)
        a.sw(rs1=6, rs2=9, imm=0)
        a.jal(rd=0, to="end")
        a.label("other")
        a.lw(rd=9, rs1=6, imm=0)
        a.beq(rs1=9, rs2=0, to="other")
        a.fence_i()
        a.jalr(rd=1, rs1=18, imm=0)
        a.label("end")
        done(a, 2)
        a.label("code")
        a.addi(rd=10, rs1=0, imm=3)
        a.addi(rd=23, rs1=10, imm=0)
        a.jalr(rd=0, rs1=1, imm=0)

    m = machine(write, 2, quantum=64)
    told: dict[int, int] = {}
    for chunk in m.run():
        told[chunk.hart] = told.get(chunk.hart, 0) + len(chunk.code)
    assert m.exit_code == 0
    assert [hart.register(23) for hart in m.harts] == [7, 7]
    assert told == {0: 1, 1: 1}


def test_reset_is_for_all_harts() -> None:
    m = machine(counting(2, by_amo), 2, quantum=100, record=False)
    list(m.run(1050))
    time = m.time
    m.reset()
    assert all(hart.pc == 0x1000 and hart.register(5) == 0 for hart in m.harts)
    assert [hart.csr("mhartid") for hart in m.harts] == [0, 1] and m.time >= time
    list(m.run(200))
    assert [hart.instret for hart in m.harts] == [650, 600]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"harts": 0}, "0 harts: must be from 1 to 8"),
        ({"harts": 9}, "9 harts: must be from 1 to 8"),
        ({"harts": 2, "quantum": 10}, "quantum 10: must be from 64 to"),
    ],
)
def test_what_cannot_be(options: dict[str, int], message: str) -> None:
    with pytest.raises(MachineError, match=message):
        Machine([begin(64).program()], **options)
