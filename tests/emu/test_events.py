"""Trap events: the contract of docs/events.md, in the places where it is hard to keep.

Every run with `watch` checks the chain of retirement and events (tests/emu/replay.py).
"""

import struct
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import pytest

from decoder import Decoder, pcs
from emu.engine.drive import STUCK_TRAPS
from emu.ingress.hooks import DISCONTINUITY, RETIREMENT
from emu.machine import ExitReason, Machine
from emu.memory import MachineError
from encoder.encoder import Encoder
from specs.configuration.parameters import Configuration
from specs.interfaces.events import (
    ALL_KINDS,
    EVENT,
    EXCEPTION,
    HOST_CALL,
    INTERRUPT,
    TRAP_RETURN,
    Event,
    Kind,
    from_words,
)
from specs.isa.control import CodeMap
from specs.isa.csrs import ADDRESS
from tests.emu.build import CODE, DATA, MSIP, MTIMECMP, TOHOST, Assembly, events, instructions
from tests.emu.replay import watch
from tests.emu.test_interrupts import enable, set_timer, start
from tests.emu.test_random import noise
from tests.emu.test_traps import with_handler

MSTATUS = ADDRESS["mstatus"]
XLEN = pytest.mark.parametrize("xlen", [32, 64])
MODES = pytest.mark.parametrize("modes", ["M", "MU", "MSU"])
#: mstatus.MPP: an mret leaves it at the lowest level.
MPP_M = 3 << 11


def rearming(xlen: int, turns: int) -> Assembly:
    """A timer that is armed again one tick (100 instructions) ahead by each interrupt; the main
    loop counts in x9 to x18 = `turns`. The caller fills the loop and closes it with `close`.
    """
    a = Assembly(xlen)
    a.jal(rd=0, imm=64)
    handler = a.label("handler")
    a.lw(rd=26, rs1=27, imm=0)  # mtime
    a.addi(rd=26, rs1=26, imm=1)
    a.sw(rs1=28, rs2=26, imm=0)  # mtimecmp
    a.addi(rd=20, rs1=20, imm=1)
    a.mret()
    while a.at < CODE + 64:
        a.addi()
    a.li(27, MTIMECMP + 0x7FF8)
    a.li(28, MTIMECMP)
    a.li(25, handler)
    a.csr("mtvec", write=25)
    a.li(18, turns)
    a.addi(rd=29, rs1=0, imm=64)
    set_timer(a, 1)
    enable(a, 1 << 7)
    a.label("loop")
    return a


def close(a: Assembly) -> None:
    a.addi(rd=9, rs1=9, imm=1)
    a.bltu(rs1=9, rs2=18, to="loop")
    a.csrrci(rs1=8, imm=MSTATUS)
    a.exit()


@XLEN
def test_an_illegal_instruction_at_the_vector_of_a_software_interrupt(xlen: int) -> None:
    a = Assembly(xlen)
    a.jal(rd=0, imm=132)
    table = a.label("table")  # vectored: exceptions at the base, software interrupts at +12
    a.csr("mcause", rd=21)
    a.jal(rd=0, imm=a.base + 64 - a.at)
    a.addi()
    vector = a.raw(0xFFFF_FFFF, 4)
    while a.at < a.base + 64:
        a.addi()
    a.exit()
    while a.at < a.base + 132:
        a.addi()
    a.li(25, table | 1)
    a.csr("mtvec", write=25)
    enable(a, 1 << 3)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    a.sw(rs1=5, rs2=6, imm=0)
    after = a.addi()
    replay = watch(Machine([a.program()]))
    first, second = replay.events
    assert first[:6] == (INTERRUPT, 0, after, vector, 3, 0)
    assert second[:6] == (EXCEPTION, 0, vector, table, 2, 0xFFFF_FFFF)
    assert first.instret == second.instret
    assert replay.machine.csr("mcause") == replay.machine.register(21) == 2
    assert replay.machine.exit_reason is ExitReason.EXIT


@XLEN
def test_an_illegal_instruction_at_the_only_vector(xlen: int) -> None:
    """The handler of the exception is the faulting instruction: no pc discontinuity at all."""
    a = start(xlen)
    enable(a, 1 << 3)
    a.li(25, DATA)  # zeros
    a.csr("mtvec", write=25)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.jal(rd=0, imm=0)
    replay = watch(Machine([a.program()]))
    assert replay.machine.exit_reason is ExitReason.TRAP_LOOP
    first, *rest = replay.events
    assert (first.kind, first.cause, first.to_pc) == (INTERRUPT, 3, DATA)
    assert len(rest) >= STUCK_TRAPS
    assert {event[:6] for event in rest} == {(EXCEPTION, 0, DATA, DATA, 2, 0)}
    assert replay.machine.csr("mcause") == 2
    counts = replay.machine.trap_counts
    assert counts == {(True, 3): 1, (False, 2): len(rest)}


@XLEN
@MODES
def test_stale_cause_registers_are_no_event(xlen: int, modes: str) -> None:
    """Jumps to the handler, to mepc, and writes to the cause registers: only traps count."""
    a = with_handler(xlen)
    ecall = a.ecall()
    a.csr("mcause", write=20)  # as it is
    a.li(14, MPP_M)
    a.csr("mstatus", set_=14)
    a.la(11, "handler")
    a.li(13, a.at + 4 * (8 if xlen == 64 else 6))
    a.addi(rd=13, rs1=13, imm=-4)
    a.csr("mepc", write=13)
    a.jalr(rs1=11)  # the handler, without a trap; its mret leads to mepc + 4
    a.addi()
    second = a.ecall()
    a.exit()
    replay = watch(Machine([a.program()], modes=modes))
    assert replay.kinds == "ETTET"
    assert [e.from_pc for e in replay.events if e.kind == EXCEPTION] == [ecall, second]
    assert all(e.cause == (11 if e.kind == EXCEPTION else 0) for e in replay.events)


@XLEN
def test_ecall_and_ebreak_do_not_count(xlen: int) -> None:
    a = with_handler(xlen)
    a.csr("minstret", rd=5)
    a.ecall()
    a.ebreak()
    a.c_ebreak()
    a.c_nop()
    a.csr("minstret", rd=6)
    a.exit()
    replay = watch(Machine([a.program()]))
    # csrr, then three times the handler's seven. (It steps over 4 bytes: c.ebreak and c.nop.)
    assert replay.machine.register(6) - replay.machine.register(5) == 1 + 3 * 7
    assert replay.kinds == "ETETET"
    assert [e.cause for e in replay.events[::2]] == [11, 3, 3]
    # The second event of a pair is the handler's mret.
    assert [b.instret - a.instret for a, b in zip(*[iter(replay.events)] * 2, strict=True)] == [
        7
    ] * 3


@XLEN
def test_an_interrupt_at_a_device_access_neither_loses_nor_doubles_it(xlen: int) -> None:
    """Characters by way of tohost, between loads and stores of the CLINT: each one once."""
    turns = 6000
    call = struct.pack("<4Q", 64, 1, DATA + 64, 1)  # write(1, DATA + 64, 1)
    a = rearming(xlen, turns)
    a.li(10, DATA)
    a.sb(rs1=10, rs2=9, imm=64)
    a.sw(rs1=10, rs2=29, imm=0)  # the number: its place has the result of the call before
    a.li(30, TOHOST)
    strike = a.sw(rs1=30, rs2=10, imm=0)
    a.li(12, MSIP)
    store = a.sw(rs1=12, rs2=0, imm=0)
    load = a.lw(rd=13, rs1=27, imm=0)
    close(a)
    output = bytearray()
    machine = Machine([a.program(call)], console=output.extend)
    replay = watch(machine, limit=10_000_000)
    assert machine.exit_reason is ExitReason.EXIT
    assert bytes(output) == bytes(i & 0xFF for i in range(turns))
    assert machine.register(9) == turns
    assert [replay.pcs.count(each) for each in (strike, store, load)] == [turns] * 3
    interrupts = machine.trap_counts[True, 7]
    assert machine.register(20) == interrupts > machine.instret // 130
    struck = {event.from_pc for event in replay.events if event.kind == INTERRUPT}
    assert struck & set(range(a.labels["loop"], a.at))


@XLEN
@MODES
def test_nested_interrupts(xlen: int, modes: str) -> None:
    a = Assembly(xlen)
    a.jal(rd=0, imm=128)
    a.label("handler")
    a.bne(rs1=20, rs2=0, to="inner")
    a.addi(rd=20, rs1=0, imm=1)
    a.csr("mepc", rd=22)
    a.addi(rd=29, rs1=0, imm=-1)
    a.sw(rs1=27, rs2=29, imm=4)  # mtimecmp
    a.sw(rs1=28, rs2=20, imm=0)  # msip
    a.csrrsi(rs1=8, imm=MSTATUS)
    reached = a.addi(rd=23, rs1=0, imm=1)
    a.csrrci(rs1=8, imm=MSTATUS)
    a.csr("mepc", write=22)
    a.li(29, MPP_M | 0x80)
    a.csr("mstatus", set_=29)
    outer_return = a.mret()
    a.label("inner")
    a.sw(rs1=28, rs2=0, imm=0)
    inner_return = a.mret()
    while a.at < a.base + 128:
        a.addi()
    a.la(25, "handler")
    a.csr("mtvec", write=25)
    a.li(27, MTIMECMP)
    a.li(28, MSIP)
    set_timer(a, 2)
    enable(a, 1 << 7 | 1 << 3)
    loop = a.label("loop")
    a.addi()
    a.beq(rs1=23, rs2=0, to="loop")
    a.exit()
    replay = watch(Machine([a.program()], modes=modes), 10_000)
    handler = a.labels["handler"]
    assert replay.kinds == "IITT"
    assert [(e.from_pc, e.to_pc, e.cause) for e in replay.events] == [
        (loop, handler, 7),
        (reached, handler, 3),
        (inner_return, reached, 0),
        (outer_return, loop, 0),
    ]
    assert replay.machine.exit_reason is ExitReason.EXIT


@XLEN
def test_a_handler_that_returns_elsewhere(xlen: int) -> None:
    b = Assembly(xlen)
    b.jal(rd=0, imm=32)
    handler = b.label("handler")
    b.csr("mepc", write=26)
    leaving = b.mret()
    while b.at < CODE + 32:
        b.addi()
    b.li(25, handler)
    b.csr("mtvec", write=25)
    b.li(26, CODE + 256)
    fault = b.ecall()
    b.exit(1)
    while b.at < CODE + 256:
        b.addi()
    b.exit(7)
    replay = watch(Machine([b.program()]), 500)
    assert [(e.from_pc, e.to_pc) for e in replay.events] == [
        (fault, handler),
        (leaving, CODE + 256),
    ]
    assert replay.machine.exit_code == 7


@XLEN
def test_wfi(xlen: int) -> None:
    a = start(xlen)
    set_timer(a, 50_000)
    enable(a, 1 << 7)
    wfi = a.wfi()
    after = a.addi()
    a.exit()
    replay = watch(Machine([a.program()]))
    first, second = replay.events
    assert (first.kind, first.from_pc, first.time) == (INTERRUPT, after, 50_000)
    assert first.pending_since == first.instret  # it rose as the wait ended
    assert replay.pcs[first.instret - 1] == wfi
    assert (second.kind, second.to_pc) == (TRAP_RETURN, after)


def test_nothing_else_is_an_event() -> None:
    """Reset, full buffers, fence.i, device accesses, a wfi that does not wait, indirect jumps,
    exit.
    """
    a = start(64)
    a.addi(rd=18, rs1=0, imm=2000)
    a.addi(rd=6, rs1=0, imm=1 << 7)
    a.csr("mie", write=6)  # the timer is pending, and not to be taken
    a.label("loop")
    a.fence_i()
    a.wfi()
    a.csr("mstatus", write=0)
    a.li(5, MSIP)
    a.sw(rs1=5, rs2=18, imm=0)
    a.sw(rs1=5, rs2=0, imm=0)
    a.jal(rd=1, imm=8)
    a.jal(rd=0, imm=8)
    a.jalr(rs1=1)
    a.addi(rd=9, rs1=9, imm=1)
    a.bltu(rs1=9, rs2=18, to="loop")
    a.exit()
    replay = watch(Machine([a.program()], chunk_refs=1 << 12))
    assert replay.machine.exit_reason is ExitReason.EXIT
    assert replay.events == []


@XLEN
def test_pending_since(xlen: int) -> None:
    """Of a timer that is due while interrupts are off, and of a store to msip."""
    a = start(xlen)
    a.li(7, 1 << 7 | 1 << 3)
    a.csr("mie", set_=7)
    set_timer(a, 3)
    a.li(18, 300)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.bltu(rs1=9, rs2=18, to="loop")
    a.csrrsi(rs1=8, imm=MSTATUS)
    a.addi()
    a.csrrci(rs1=8, imm=MSTATUS)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    store = a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=0)  # it is set already
    a.csrrsi(rs1=8, imm=MSTATUS)
    a.addi()
    a.exit()
    replay = watch(Machine([a.program()]))
    timer, software = (e for e in replay.events if e.kind == INTERRUPT)
    assert (timer.cause, timer.pending_since) == (7, 300)
    assert timer.instret > 600
    assert software.cause == 3
    assert software.pending_since == replay.pcs.index(store) + 1 == software.instret - 2


def test_pending_since_of_a_timer_set_in_the_past() -> None:
    a = start(64)
    set_timer(a, 1 << 20)
    a.li(18, 200)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.bltu(rs1=9, rs2=18, to="loop")
    enable(a, 1 << 7)
    a.li(5, MTIMECMP)
    a.li(6, 2)
    store = a.sd(rs1=5, rs2=6, imm=0)
    a.addi()
    a.jal(rd=0, imm=4)
    a.exit()
    replay = watch(Machine([a.program()]))
    event = replay.events[0]
    assert event.pending_since == replay.pcs.index(store) + 1 == event.instret


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("seed", range(6))
def test_hooks_change_nothing(seed: int, xlen: int) -> None:
    """Random code (which may change itself): the same run with and without, and a chain."""
    program = noise(seed, xlen)
    plain = Machine([program])
    want = events(plain.run(20_000))
    machine = Machine([program])
    seen: list[Event] = []
    machine.on_discontinuity(seen.append)
    parts: list[tuple[str, int, int, int]] = []
    machine.on_retire(lambda chunk: parts.extend(events([chunk])))
    assert events(machine.run(20_000)) == want == parts
    assert (machine.instret, machine.pc) == (plain.instret, plain.pc)
    traps = [row for row in want if row[0] != "block"]
    raised = [e for e in seen if e.kind != TRAP_RETURN]
    assert [(e.kind.name.lower(), e.from_pc, e.cause, e.tval) for e in raised] == traps
    for before, after in pairwise(seen):
        assert before.instret <= after.instret
        if before.instret == after.instret:
            assert after.from_pc == before.to_pc


def test_interrupts_strike_at_the_same_points() -> None:
    a = rearming(64, 3000)
    a.addi()
    close(a)
    program = a.program()
    plain, hooked = Machine([program], chunk_traps=7), Machine([program])
    want = instructions(plain, plain.run(100_000))
    replay = watch(hooked, 100_000)
    assert replay.pcs == [row[0] for row in want if row[2] == 0]
    assert hooked.trap_counts == plain.trap_counts
    where, position = [], 0
    for row in want:
        if row[2]:
            where.append((position, row[0]))
        else:
            position += 1
    assert [(e.instret, e.from_pc) for e in replay.events if e.kind == INTERRUPT] == where


def test_kinds_and_order_of_registration() -> None:
    a = with_handler(64)
    a.ecall()
    a.exit()
    machine = Machine([a.program()], record=False)
    log: list[tuple[str, Kind]] = []
    machine.on_discontinuity(lambda e: log.append(("returns", e.kind)), TRAP_RETURN)
    machine.on_discontinuity(lambda e: log.append(("all", e.kind)))
    machine.on_discontinuity(lambda e: log.append(("exceptions", e.kind)), EXCEPTION | INTERRUPT)
    assert list(machine.run()) == []
    assert log == [
        ("all", EXCEPTION),
        ("exceptions", EXCEPTION),
        ("returns", TRAP_RETURN),
        ("all", TRAP_RETURN),
    ]


def test_a_callback_that_raises_ends_the_run_there() -> None:
    a = with_handler(64)
    a.ecall()
    second = a.ecall()
    a.addi()
    a.ecall()
    a.exit(5)
    program = a.program()
    whole = Machine([program])
    want = instructions(whole, whole.run())
    machine = Machine([program])
    seen, late = [], []

    def second_one(event: Event) -> None:
        seen.append(event)
        if event.from_pc == second:
            raise ZeroDivisionError("mine")

    machine.on_discontinuity(second_one)
    machine.on_discontinuity(late.append)
    encoder = Encoder(Configuration.default(64))
    trace, rows = b"", []
    with pytest.raises(ZeroDivisionError, match="mine") as raised:
        for chunk in machine.run():
            rows += instructions(machine, [chunk])
            trace += encoder.feed(chunk)
    assert raised.traceback[-1].name == "second_one"
    trace += encoder.finish()
    assert rows == want[: len(rows)] and rows[-1][:3] == (second, 0, 1)
    assert len(seen) == len(late) + 1 and machine.exit_reason is None
    # The trace is good up to there.
    code = CodeMap([(0x1000, rom(machine)), (CODE, a.bytes())], 64)
    decoder = Decoder(Configuration.default(64), code)
    flows = [*decoder.feed(trace), *decoder.finish()]
    assert [pc for flow in flows for pc in pcs(flow, code).tolist()] == [
        row[0] for row in rows if row[2] == 0
    ]
    assert sum(len(flow.traps) for flow in flows) == 2
    assert not any(len(flow.gaps) for flow in flows)
    # And the run can go on.
    rows += instructions(machine, machine.run())
    assert rows == want and machine.exit_code == 5


def rom(machine: Machine) -> bytes:
    view = machine.memory.view(0x1000, 24)
    assert view is not None
    return view.tobytes()


def test_a_retirement_callback_that_raises() -> None:
    a = with_handler(64)
    a.exit()
    machine = Machine([a.program()])

    def refuse(chunk: object) -> None:
        raise KeyError("no")

    machine.on_retire(refuse)
    chunks = machine.run()
    assert len(next(chunks).refs)
    with pytest.raises(KeyError):
        next(chunks)


# Compiled hooks.


@numba.cfunc(DISCONTINUITY)
def keep(event, registers, user):
    """user[0]: rows so far; then the events' words and x20."""
    words = numba.carray(user, 1 + 12 * 4096)
    record = numba.carray(event, 1)[0]
    x = numba.carray(registers, 32)
    at = 1 + 12 * np.int64(words[0])
    words[at] = record.kind
    words[at + 1] = record.hart
    words[at + 2] = record.from_pc
    words[at + 3] = record.to_pc
    words[at + 4] = record.cause
    words[at + 5] = record.tval
    words[at + 6] = record.priv_before
    words[at + 7] = record.priv_after
    words[at + 8] = record.instret
    words[at + 9] = record.time
    words[at + 10] = record.pending_since
    words[at + 11] = x[20]
    words[0] += np.uint64(1)


@numba.njit
def count_references(refs, count, blocks, traps, user):
    """user: references, half-words, and a checksum of what is in the tables."""
    r = numba.carray(refs, count)
    words = numba.carray(user, 3)
    for i in range(count):
        index, code = r[i] >> 4, r[i] & 15
        words[0] += np.uint64(1)
        if code == 1 or code == 2:
            words[2] += numba.carray(traps, index + 1)[index].iaddr
        else:
            block = numba.carray(blocks, index + 1)[index]
            words[1] += np.uint64(block.iretire)
            words[2] += block.iaddr


def kept(user: np.ndarray) -> list[tuple[Event, int]]:
    rows = user[1 : 1 + 12 * int(user[0])].reshape(-1, 12).tolist()
    return [(from_words(row[:11]), row[11]) for row in rows]


def test_compiled_hooks_see_the_same() -> None:
    a = rearming(64, 9000)
    a.addi()
    close(a)
    program = a.program()
    python = Machine([program])
    want: list[tuple[Event, int]] = []
    python.on_discontinuity(lambda e: want.append((e, python.register(20))))
    sums = [0, 0, 0]

    def count(chunk) -> None:
        for kind, iaddr, iretire, _ in events([chunk]):
            sums[0] += 1
            sums[1] += iretire if kind == "block" else 0
            sums[2] += iaddr

    python.on_retire(count)
    list(python.run(200_000))
    assert len(want) > 500

    compiled = Machine([program], record=False)
    user, totals = np.zeros(1 + 12 * 4096, np.uint64), np.zeros(3, np.uint64)
    compiled.on_discontinuity(keep, user=user)
    compiled.on_retire(count_references, user=totals)
    assert list(compiled.run(200_000)) == []
    assert kept(user) == want
    assert totals.tolist() == [s % 2**64 for s in sums]

    # Both sorts on one machine: one order.
    mixed = Machine([program], record=False)
    user[:] = totals[:] = 0
    lengths: list[int] = []
    mixed.on_discontinuity(lambda e: lengths.append(int(user[0])), INTERRUPT)
    mixed.on_discontinuity(keep, user=user)
    mixed.on_discontinuity(lambda e: lengths.append(int(user[0])), INTERRUPT)
    mixed.on_retire(count_references, user=totals)
    assert list(mixed.run(200_000)) == []
    assert kept(user) == want and totals.tolist() == [s % 2**64 for s in sums]
    places = [i for i, (event, _) in enumerate(want) if event.kind == INTERRUPT]
    assert lengths == [n for i in places for n in (i, i + 1)]


def test_what_is_retired_comes_before_its_event() -> None:
    """Also in compiled hooks: at each event all that retired before it was delivered."""
    a = rearming(64, 2000)
    close(a)
    machine = Machine([a.program()], record=False)
    # Both get the same array: words 0-2 are written by the one, 3-4 by the other.
    both = np.zeros(5, np.uint64)

    @numba.cfunc(DISCONTINUITY)
    def compare(event, registers, user):
        words = numba.carray(user, 5)
        record = numba.carray(event, 1)[0]
        words[3] += np.uint64(1)
        # All instructions here have 4 bytes.
        if words[1] != np.uint64(2) * record.instret:
            words[4] += np.uint64(1)

    machine.on_retire(count_references, user=both)
    machine.on_discontinuity(compare, user=both)
    assert list(machine.run(100_000)) == []
    assert both[3] > 50 and both[4] == 0
    assert both[1] == 2 * machine.instret


def test_the_compiled_example_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    example = text.partition("```python\n@numba.njit")[2].partition("```")[0]
    a = rearming(64, 2000)
    close(a)
    machine = Machine([a.program()], record=False)
    names = {"numba": numba, "np": np, "machine": machine, "INTERRUPT": INTERRUPT}
    exec("@numba.njit" + example, names)
    latencies = []
    machine.on_discontinuity(lambda e: latencies.append(e.instret - e.pending_since), INTERRUPT)
    list(machine.run(100_000))
    assert names["longest"].tolist() == [max(latencies)] != [0]


def test_hooks_that_cannot_be() -> None:
    a = Assembly(64)
    a.exit()
    machine = Machine([a.program()])
    with pytest.raises(TypeError, match="cannot be called"):
        machine.on_discontinuity(3)
    with pytest.raises(TypeError, match="expected"):
        machine.on_retire(keep)
    with pytest.raises(TypeError, match="only for compiled"):
        machine.on_discontinuity(print, user=np.zeros(1, np.uint64))
    with pytest.raises(TypeError, match="uint64"):
        machine.on_discontinuity(keep, user=np.zeros(1))
    with pytest.raises(ValueError, match="kinds"):
        machine.on_discontinuity(print, 0)
    with pytest.raises(ValueError, match="kinds"):
        machine.on_discontinuity(print, 64)
    assert len(list(machine.run())) == 1
    assert RETIREMENT.args[1] == numba.types.uint64


def test_event_and_record_agree() -> None:
    assert tuple(Event._fields) == EVENT.names and EVENT.itemsize == 8 * len(Event._fields)
    assert INTERRUPT | EXCEPTION | HOST_CALL | TRAP_RETURN == ALL_KINDS


@XLEN
def test_csrs_by_name(xlen: int) -> None:
    a = with_handler(xlen)
    at = a.ecall()
    a.exit()
    machine = Machine([a.program()])
    values = []
    machine.on_discontinuity(lambda e: values.append(machine.csr("mepc")), EXCEPTION)
    list(machine.run())
    assert values == [at]
    assert machine.csr("mtvec") == machine.csr(0x305) == a.labels["handler"]
    assert machine.csr("minstret") == machine.instret
    assert machine.csr("satp") == 0
    alone = Machine([a.program()], modes="M")
    for each, absent in (
        (machine, ("nonsense", 0x7C0, -1, 4096)),
        (alone, ("satp", "nonsense", 0x180, -1, 4096)),
    ):
        for wrong in absent:
            with pytest.raises(MachineError, match="no CSR"):
                each.csr(wrong)
