"""Triggers on loads and stores: a pulse with the instruction that did the access, and no other."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from decoder import Decoder, pcs
from emu.host.semihosting import SemihostingOptions
from emu.ingress.options import SidebandOptions, Time
from emu.machine import ExitReason, Machine
from emu.platforms.elf import Program
from encoder.encoder import Encoder
from specs.interfaces.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from specs.isa.control import CodeMap
from specs.isa.csrs import ADDRESS
from specs.isa.decode import decode
from tests.adapter import configuration
from tests.emu.arming import (
    DISABLED,
    EXECUTE,
    LOAD,
    NOTIFY,
    OFF,
    ON,
    STORE,
    M,
    arm,
    finish,
    pulses,
    tdata1,
)
from tests.emu.build import CLINT, CODE, DATA, Assembly
from tests.emu.test_semihosting import BUFFER, Guest, host_call
from tests.emu.test_traps import with_handler
from tests.emu.told import Row, instructions, told
from tests.model import codec
from tests.model.adapter import packets
from tests.model.settings import Settings

XLEN = pytest.mark.parametrize("xlen", [32, 64])
BITS = {ON: TRIGGER_ON, OFF: TRIGGER_OFF, NOTIFY: TRIGGER_NOTIFY}
#: Size and whether it loads and stores, by the first part of a mnemonic.
_SIZE = {"b": 1, "h": 2, "w": 4, "d": 8, "bu": 1, "hu": 2, "wu": 4, "wsp": 4, "dsp": 8}


class Trigger(NamedTuple):
    """One of the hart's, with a trace action."""

    action: int
    accesses: int
    match: int
    tdata2: int
    size: int = 0

    def control(self, xlen: int, kind: int = 6) -> int:
        field = {0: 0, 1: 1, 2: 2, 4: 3}[self.size] << 16
        return tdata1(xlen, self.action, self.match, kind, M | self.accesses | field)

    def fires(self, access: int, address: int, size: int, xlen: int) -> bool:
        """By the words of the specification: any byte of the access is a compare value."""
        if not self.accesses & access or self.size not in (0, size):
            return False
        return any(self._equals(address + i & (1 << xlen) - 1) for i in range(size))

    def _equals(self, value: int) -> bool:
        if self.match == 1:
            zero = next(bit for bit in range(64) if not self.tdata2 >> bit & 1)
            return value >> (zero + 1) == self.tdata2 >> (zero + 1)
        compare: list[Callable[[int, int], bool]] = [int.__eq__, int.__eq__, int.__ge__, int.__lt__]
        return compare[self.match](value, self.tdata2)


class Access(NamedTuple):
    """What an instruction does to memory."""

    name: str
    what: int
    address: int
    size: int
    rd: int


def access(machine: Machine) -> Access | None:
    """Of the next instruction."""
    word = machine.memory.read(machine.pc, 2)
    assert word is not None
    if word & 3 == 3:
        word = machine.memory.read(machine.pc, 4) or 0
    found = decode(word, machine.xlen)
    assert found is not None
    name = found.name.removeprefix("c.")
    base = machine.register(found.rs1)
    if name.startswith(("amo", "lr.", "sc.")):
        what = {"a": LOAD | STORE, "l": LOAD, "s": STORE}[name[0]]
        return Access(name, what, base, 8 if name.endswith("d") else 4, found.rd)
    if name[0] in "ls" and name[1:] in _SIZE:
        address = base + found.imm & (1 << machine.xlen) - 1
        return Access(name, LOAD if name[0] == "l" else STORE, address, _SIZE[name[1:]], found.rd)
    return None


def expected(program: Program, start: int, triggers: list[Trigger]) -> list[tuple[int, int]]:
    """Index of retired instructions and their pulses, a step at a time; armed from `start` on."""
    machine = Machine([program], record=False, table_blocks=1 << 10)
    found = []
    armed = False
    while machine.exit_reason in (None, ExitReason.BUDGET):
        armed = armed or machine.pc == start
        index, doing = machine.instret, access(machine)
        list(machine.run(1))
        if doing is None or not armed:
            continue
        if doing.name.startswith("sc.") and machine.register(doing.rd):
            continue  # it failed
        bits = 0
        for each in triggers:
            if each.fires(doing.what, doing.address, doing.size, machine.xlen):
                bits |= BITS[each.action]
        if bits:
            found.append((index, bits))
    return found


def by_index(machine: Machine, rows: list[Row]) -> list[tuple[int, int]]:
    """As `expected`, from what was told: a pulse belongs to the one instruction of its block."""
    found, index = [], 0
    for row in rows:
        count = 0 if row.is_trap else len(list(instructions(machine, row)))
        if row.side is not None and row.side.trigger:
            assert count == 1
            found.append((index, row.side.trigger))
        index += count
    assert index == machine.instret
    return found


PLAIN = ("lb", "lbu", "lh", "lhu", "lw", "sb", "sh", "sw")
ATOMIC = ("amoadd_w", "amomaxu_w", "amoswap_w")
PLAIN_64 = (*PLAIN, "ld", "lwu", "sd")
ATOMIC_64 = (*ATOMIC, "amoand_d", "amomin_d")
MIDDLE = DATA + 64


def random_access(a: Assembly, rng: random.Random) -> None:
    """Something near MIDDLE, which is in x8 and x2; data are in x10..x15."""
    one, other = rng.randrange(10, 16), rng.randrange(10, 16)
    kind = rng.choice(("plain", "plain", "atomic", "pair", "compressed", "none"))
    wide = a.xlen == 64
    if kind == "plain":
        name, offset = rng.choice(PLAIN_64 if wide else PLAIN), rng.randrange(-24, 24)
        if name[0] == "s":
            getattr(a, name)(rs1=8, rs2=one, imm=offset)
        else:
            getattr(a, name)(rd=rng.choice((0, one)), rs1=8, imm=offset)
    elif kind == "atomic":
        a.addi(rd=9, rs1=8, imm=rng.randrange(-3, 3) * 8)
        getattr(a, rng.choice(ATOMIC_64 if wide else ATOMIC))(rd=one, rs1=9, rs2=other)
    elif kind == "pair":
        a.addi(rd=9, rs1=8, imm=rng.randrange(-3, 3) * 8)
        size = rng.choice("wd") if wide else "w"
        getattr(a, f"lr_{size}")(rd=one, rs1=9)
        if rng.random() < 0.5:
            a.addi(rd=9, rs1=8, imm=rng.randrange(-3, 3) * 8)  # the SC may fail
        getattr(a, f"sc_{size}")(rd=other, rs1=9, rs2=one)
    elif kind == "compressed":
        offset = rng.randrange(6) * 4
        a.c_lw(rd=one, rs1=8, imm=offset)
        a.c_sw(rs1=8, rs2=other, imm=offset)
        a.c_swsp(rs2=one, imm=offset)
        a.c_lwsp(rd=other, imm=offset)
        if wide:
            a.c_sd(rs1=8, rs2=other, imm=offset & ~7)
            a.c_ldsp(rd=one, imm=offset & ~7)
    else:
        a.add(rd=one, rs1=one, rs2=other)


def random_program(seed: int, xlen: int) -> tuple[Assembly, int, list[Trigger]]:
    """A program that arms some triggers and then reads and writes in all ways, in a loop; the
    address from which on they are armed; the triggers.
    """
    rng = random.Random(seed)
    triggers = []
    for _ in range(rng.randrange(1, 5)):
        match = rng.randrange(4)
        at = MIDDLE + rng.randrange(-24, 48)
        if match == 1:
            at |= rng.choice((0, 1, 3, 7))
        accesses, size = rng.choice((LOAD, STORE, LOAD | STORE)), rng.choice((0, 0, 1, 2, 4))
        triggers.append(Trigger(rng.choice(tuple(BITS)), accesses, match, at, size))
    a = Assembly(xlen)
    a.li(8, MIDDLE)
    a.li(2, MIDDLE)
    for number, each in enumerate(triggers):
        arm(a, number, each.control(xlen, rng.choice((2, 6))), each.tdata2)
    start = a.addi(rd=20, rs1=0, imm=4)
    a.label("loop")
    for _ in range(60):
        random_access(a, rng)
    a.addi(rd=20, rs1=20, imm=-1)
    a.bne(rs1=20, rs2=0, to="loop")
    a.exit()
    return a, start, triggers


@XLEN
@pytest.mark.parametrize("seed", range(8))
def test_every_access(xlen: int, seed: int) -> None:
    """As a plain reading of the specification has it, however the run is cut."""
    a, start, triggers = random_program(seed, xlen)
    program = a.program()
    want = expected(program, start, triggers)
    machine = Machine([program])
    whole = told(machine.run())
    assert by_index(machine, whole) == want
    small = Machine([program], chunk_refs=1 << 12, table_blocks=1 << 10)
    assert by_index(small, told(small.run())) == want
    rng = random.Random(seed)
    pieces = Machine([program], table_blocks=1 << 10)
    rows: list[Row] = []
    while pieces.exit_reason in (None, ExitReason.BUDGET):
        rows += told(pieces.run(rng.randrange(1, 40)))
    assert by_index(pieces, rows) == want
    timed = Machine([program], sideband=SidebandOptions(time=Time.INSTRET, time_every=3))
    assert by_index(timed, told(timed.run())) == want
    silent = Machine([program], record=False)
    list(silent.run())
    for other in (small, pieces, timed, silent):
        assert np.array_equal(other.cpu[:32], machine.cpu[:32])


def test_the_random_programs_cover_what_they_should() -> None:
    seen = []
    for seed in range(8):
        a, start, triggers = random_program(seed, 64)
        seen += expected(a.program(), start, triggers)
    assert len(seen) > 300 and {bits for _, bits in seen} >= {1, 2, 4}


@XLEN
def test_a_misaligned_access_that_overlaps(xlen: int) -> None:
    """Each byte of an access counts, the first and the last of it too."""
    a = Assembly(xlen)
    a.li(8, MIDDLE)
    arm(a, 0, tdata1(xlen, NOTIFY, rest=M | LOAD), MIDDLE)
    arm(a, 1, tdata1(xlen, ON, rest=M | STORE), MIDDLE + 1)
    a.lw(rd=9, rs1=8, imm=-4)
    loads = [a.lw(rd=9, rs1=8, imm=offset) for offset in (-3, -1, 0)]
    a.lw(rd=9, rs1=8, imm=1)
    a.sh(rs1=8, rs2=9, imm=-1)
    stores = [a.sh(rs1=8, rs2=9, imm=offset) for offset in (0, 1)]
    a.sh(rs1=8, rs2=9, imm=2)
    a.exit()
    rows = finish(Machine([a.program()]))
    want = [(at, TRIGGER_NOTIFY) for at in loads] + [(at, TRIGGER_ON) for at in stores]
    assert pulses(rows) == want


@XLEN
def test_around_the_end_of_the_address_space(xlen: int) -> None:
    """An access that wraps has bytes at both ends; the access itself faults, so nothing fires
    but a breakpoint, which comes first.
    """
    a = with_handler(xlen)
    arm(a, 0, tdata1(xlen, NOTIFY, match=3, rest=M | LOAD), 1)
    arm(a, 1, tdata1(xlen, 0, match=3, rest=M | STORE), 1)
    a.csrrsi(rd=0, rs1=8, imm=ADDRESS["mstatus"])
    load = a.lw(rd=9, rs1=0, imm=-2)
    a.addi(rd=14, rs1=20, imm=0)
    store = a.sw(rs1=0, rs2=9, imm=-2)
    a.add(rd=15, rs1=21, rs2=0)
    other = a.sw(rs1=0, rs2=9, imm=-4)
    a.exit()
    machine = Machine([a.program()])
    rows = finish(machine)
    assert pulses(rows) == []
    assert [row.iaddr for row in rows if row.is_trap] == [load, store, other]
    # load access fault; breakpoint at the byte that wrapped; store access fault
    assert (machine.register(14), machine.register(15), machine.register(20)) == (5, 0, 7)


@XLEN
def test_what_faults_gives_no_pulse(xlen: int) -> None:
    a = with_handler(xlen)
    arm(a, 0, tdata1(xlen, NOTIFY, match=2, rest=M | LOAD | STORE), 0)
    a.li(11, 0x10)
    faults = [a.lw(rd=9, rs1=11, imm=0), a.sw(rs1=11, rs2=9, imm=0)]
    a.li(11, MIDDLE + 2)
    faults += [a.lr_w(rd=9, rs1=11), a.amoadd_w(rd=9, rs1=11, rs2=9)]
    good = a.lw(rd=9, rs1=11, imm=0)
    a.csr("tdata1", rd=14)
    a.csr("tdata1", write=0)
    a.exit()
    machine = Machine([a.program()])
    rows = finish(machine)
    assert [row.iaddr for row in rows if row.is_trap] == faults
    assert pulses(rows) == [(good, TRIGGER_NOTIFY)]


@XLEN
def test_devices_are_memory_too(xlen: int) -> None:
    a = Assembly(xlen)
    a.li(11, CLINT)
    arm(a, 2, tdata1(xlen, NOTIFY, match=1, rest=M | LOAD | STORE), CLINT | 0x7FF)
    store = a.sw(rs1=11, rs2=0, imm=0)
    load = a.lw(rd=9, rs1=11, imm=4)
    a.lui(rd=12, imm=0x1000)
    a.add(rd=12, rs1=12, rs2=11)
    a.lw(rd=9, rs1=12, imm=0)
    a.exit()
    rows = finish(Machine([a.program()]))
    assert pulses(rows) == [(store, TRIGGER_NOTIFY), (load, TRIGGER_NOTIFY)]


@XLEN
def test_a_host_call_is_no_access_of_the_hart(xlen: int, tmp_path: Path) -> None:
    """What the host reads and writes in memory for a call is not seen; the ebreak can be."""
    g = Guest(xlen)
    (tmp_path / "in").write_bytes(b"0123456789")
    arm(g.assembly, 0, tdata1(xlen, NOTIFY, match=1, rest=M | LOAD | STORE), BUFFER | 0xFF)
    g.open("in", 0)
    g.read(1, 8)
    g.assembly.li(12, BUFFER)
    own = g.assembly.lb(rd=12, rs1=12, imm=3)
    ebreak = g.assembly.at + 4 * 40
    arm(g.assembly, 1, tdata1(xlen, OFF), ebreak)
    while g.assembly.at < ebreak - 4:
        g.assembly.addi()
    assert host_call(g.assembly) == ebreak
    g.assembly.exit()
    machine = Machine([g.assembly.program(bytes(g.data))], semihosting=SemihostingOptions(tmp_path))
    rows = finish(machine)
    assert machine.register(12) == ord("3") and machine.host_calls == 3
    assert pulses(rows) == [(own, TRIGGER_NOTIFY), (ebreak, TRIGGER_OFF)]


@XLEN
def test_armed_disarmed_and_moved(xlen: int) -> None:
    """By the program, around the same loop; the loop's blocks are linked each time."""
    a = Assembly(xlen)
    a.li(8, MIDDLE)
    a.jal(rd=0, imm=16)
    a.label("store")
    store = a.sw(rs1=8, rs2=9, imm=0)
    a.addi(rd=9, rs1=9, imm=1)
    a.jalr(rd=0, rs1=1)
    a.jal(rd=1, to="store")
    arm(a, 0, tdata1(xlen, NOTIFY, rest=M | STORE), MIDDLE)
    a.jal(rd=1, to="store")
    a.jal(rd=1, to="store")
    a.li(28, MIDDLE + 8)
    a.csr("tdata2", write=28)
    a.jal(rd=1, to="store")
    a.addi(rd=8, rs1=8, imm=8)
    a.jal(rd=1, to="store")
    a.li(29, M)
    a.csrrc(rd=0, rs1=29, imm=ADDRESS["tdata1"])
    a.jal(rd=1, to="store")
    a.csrrs(rd=0, rs1=29, imm=ADDRESS["tdata1"])
    a.jal(rd=1, to="store")
    a.csr("tdata1", write=0)
    a.jal(rd=1, to="store")
    a.exit()
    machine = Machine([a.program()])
    rows = finish(machine)
    runs = [row.side is not None and row.side.trigger for row in rows if row.iaddr == store]
    notify = TRIGGER_NOTIFY
    assert [int(each) for each in runs] == [0, notify, notify, 0, notify, 0, notify, 0]
    assert machine.register(9) == 8


@XLEN
def test_armed_from_outside(xlen: int) -> None:
    """Beside the hart's own, which stay as they are; for each action, before and after a reset."""
    a = Assembly(xlen)
    a.li(8, MIDDLE)
    arm(a, 3, tdata1(xlen, NOTIFY, rest=M | STORE), MIDDLE + 3)
    store = a.sw(rs1=8, rs2=0, imm=0)
    half = a.sh(rs1=8, rs2=0, imm=0)
    load = a.lhu(rd=9, rs1=8, imm=0)
    a.lhu(rd=9, rs1=8, imm=2)
    a.csr("tdata1", rd=20)
    a.csr("tselect", write=0)
    a.csr("tdata1", rd=21)
    a.exit()
    both = TRIGGER_ON | TRIGGER_OFF
    watches = ((MIDDLE + 1, both, STORE), (MIDDLE, TRIGGER_OFF, LOAD | STORE))
    machine = Machine([a.program()], sideband=SidebandOptions(watches=watches))
    for _ in range(2):
        assert pulses(finish(machine)) == [(store, 7), (half, both), (load, TRIGGER_OFF)]
        assert machine.register(20) == tdata1(xlen, NOTIFY, rest=M | STORE) | 1 << 22
        assert machine.register(21) == DISABLED << (xlen - 4)
        machine.reset()


@XLEN
def test_an_instruction_and_what_it_loads(xlen: int) -> None:
    """Both triggers fire at once, and both say so."""
    a = Assembly(xlen)
    a.li(8, MIDDLE)
    target = CODE + 0x300
    arm(a, 0, tdata1(xlen, NOTIFY, rest=M | EXECUTE), target)
    arm(a, 1, tdata1(xlen, OFF, rest=M | LOAD), MIDDLE)
    arm(a, 2, tdata1(xlen, ON, rest=M | LOAD | EXECUTE), MIDDLE + 8)
    a.jal(rd=0, imm=target - a.at)
    while a.at < target:
        a.addi()
    a.lw(rd=8, rs1=8, imm=0)  # the address is gone when it has retired
    for number, rd in ((0, 10), (1, 11), (2, 12)):
        a.addi(rd=28, rs1=0, imm=number)
        a.csr("tselect", write=28)
        a.csr("tdata1", rd=rd)
    a.exit()
    machine = Machine([a.program()])
    assert pulses(finish(machine)) == [(target, TRIGGER_NOTIFY | TRIGGER_OFF)]
    assert [machine.register(n) >> 22 & 1 for n in (10, 11, 12)] == [1, 1, 0]


@XLEN
def test_hooks_get_it_in_pieces_that_fit(xlen: int) -> None:
    """Events cut what retirement hooks get; interrupts, at ends of blocks, are all still taken."""
    a = with_handler(xlen)
    a.li(8, MIDDLE)
    arm(a, 0, tdata1(xlen, NOTIFY, rest=M | STORE), MIDDLE + 4)
    a.addi(rd=18, rs1=0, imm=20)
    a.label("loop")
    a.sw(rs1=8, rs2=9, imm=0)
    stores = a.sw(rs1=8, rs2=9, imm=4)
    a.ecall()
    a.addi(rd=18, rs1=18, imm=-1)
    a.bne(rs1=18, rs2=0, to="loop")
    a.exit()
    rows = finish(Machine([a.program()]))
    assert pulses(rows) == [(stores, TRIGGER_NOTIFY)] * 20
    machine = Machine([a.program()])
    pieces: list[Row] = []
    machine.on_retire(lambda chunk: pieces.extend(told([chunk])))
    machine.on_discontinuity(lambda event: None)
    assert finish(machine) == rows == pieces


def test_notify_packets() -> None:
    """The encoder reports each store that was watched, and the trace decodes as ever."""
    a = Assembly(64)
    a.li(8, MIDDLE)
    arm(a, 0, tdata1(64, NOTIFY, rest=M | STORE), MIDDLE + 4)
    a.addi(rd=18, rs1=0, imm=7)
    a.label("loop")
    a.sw(rs1=8, rs2=9, imm=0)
    a.andi(rd=19, rs1=18, imm=1)
    a.beq(rs1=19, rs2=0, imm=8)
    a.sw(rs1=8, rs2=9, imm=4)
    a.addi(rd=18, rs1=18, imm=-1)
    a.bne(rs1=18, rs2=0, to="loop")
    a.exit()
    settings = Settings()
    encoder = Encoder(configuration(settings))
    machine = Machine([a.program()])
    want: list[int] = []
    trace = b""
    for chunk in machine.run():
        want += [at for row in told([chunk]) for at, _ in instructions(machine, row)]
        trace += encoder.feed(chunk)
    trace += encoder.finish()
    p = settings.parameters
    found = [each for each in packets(trace, settings) if "notify" in each]
    assert sum(codec.is_notify(each, p) for each in found) == 4
    view = machine.memory.view(0x1000, 24)
    assert view is not None
    code = CodeMap([(0x1000, view.tobytes()), (CODE, a.bytes())], 64)
    decoder = Decoder(configuration(settings), code)
    flows = [*decoder.feed(trace), *decoder.finish()]
    assert [pc for flow in flows for pc in pcs(flow, code).tolist()] == want
