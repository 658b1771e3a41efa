"""Timer and software interrupts, wfi, counters, at exact points."""

import pytest

from emu.hart.trigger_registers import STORE
from emu.ingress.options import SidebandOptions
from emu.machine import ExitReason, Machine
from specs.interfaces.ingress import TRIGGER_NOTIFY
from specs.isa.csrs import ADDRESS
from tests.emu.build import DATA, MSIP, MTIME, MTIMECMP, Assembly, events, instructions, run
from tests.emu.told import told

MIE, MSTATUS = ADDRESS["mie"], ADDRESS["mstatus"]


def start(xlen: int, vectored: bool = False) -> Assembly:
    """A handler that counts in x20 by cause, keeps mcause and mepc in x21, x22, silences timer and
    msip, and returns. With `vectored`, entries 0, 3, 7 of a table of jumps go there.
    """
    a = Assembly(xlen)
    a.jal(rd=0, imm=128)
    a.label("handler")
    for _ in range(12):
        a.jal(rd=0, imm=a.base + 64 - a.at) if vectored else a.addi()
    while a.at < a.base + 64:
        a.addi()
    a.csr("mcause", rd=21)
    a.csr("mepc", rd=22)
    a.addi(rd=20, rs1=20, imm=1)
    a.li(28, MTIMECMP)
    a.addi(rd=29, rs1=0, imm=-1)
    a.sw(rs1=28, rs2=29, imm=0)
    a.sw(rs1=28, rs2=29, imm=4)
    a.li(28, MSIP)
    a.sw(rs1=28, rs2=0, imm=0)
    a.mret()
    assert a.at <= a.base + 128
    while a.at < a.base + 128:
        a.addi()
    a.la(25, "handler")
    a.addi(rd=25, rs1=25, imm=int(vectored))
    a.csr("mtvec", write=25)
    return a


def set_timer(a: Assembly, ticks: int) -> None:
    a.li(5, MTIMECMP)
    a.li(6, ticks)
    a.sw(rs1=5, rs2=0, imm=4)
    a.sw(rs1=5, rs2=6, imm=0)


def enable(a: Assembly, mie: int) -> None:
    a.li(7, mie)
    a.csr("mie", set_=7)
    a.csrrsi(rs1=8, imm=MSTATUS)


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("vectored", [False, True])
def test_timer_interrupt(xlen: int, vectored: bool) -> None:
    """Taken at the first end of a block where mtime >= mtimecmp: 100 instructions a tick."""
    a = start(xlen, vectored)
    set_timer(a, 7)
    enable(a, 1 << 7)
    loop = a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.addi()
    a.beq(rs1=20, rs2=0, to="loop")
    a.exit()
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(10_000))
    assert machine.exit_reason is ExitReason.EXIT
    position = next(i for i, row in enumerate(rows) if row[2])
    assert rows[position] == (loop, 0, 2, 7, 0)
    # A block is three instructions; the end at or after 700 is the first one.
    assert 700 <= position < 703
    entry = a.labels["handler"] + (28 if vectored else 0)
    assert rows[position + 1][0] == entry
    assert machine.register(21) == 1 << (xlen - 1) | 7
    assert machine.register(22) == loop and machine.register(20) == 1
    assert machine.trap_counts == {(True, 7): 1}


@pytest.mark.parametrize("xlen", [32, 64])
def test_msip_reads_as_written(xlen: int) -> None:
    a = start(xlen)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=-1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.lw(rd=10, rs1=5, imm=0)  # only bit 0 is there
    a.csr("mip", rd=11)
    a.exit()
    machine = run(a.program())
    assert (machine.register(10), machine.register(11) & 8) == (1, 8)


#: What may follow a store: operations, some of which need no micro-operation, and a compressed one.
BEHIND = {
    "addi": lambda a: a.addi(rd=9, rs1=9, imm=1),
    "nop": lambda a: a.addi(),
    "c.nop": lambda a: a.c_nop(),
    "fence": lambda a: a.fence(),
    "lui x0": lambda a: a.lui(rd=0, imm=0x1000),
    "auipc": lambda a: a.auipc(rd=9, imm=0x1000),
    "store": lambda a: a.sw(rs1=2, rs2=0, imm=0),
    "csr": lambda a: a.csr("mscratch", write=9),
    "branch": lambda a: a.beq(rs1=0, rs2=0, imm=4),
    "jump": lambda a: a.jal(rd=0, imm=4),
    "fence.i": lambda a: a.fence_i(),
    "amo": lambda a: a.amoadd_w(rd=9, rs1=2, rs2=0),
}


def raised(xlen: int, behind: str, before: int = 3) -> tuple[Assembly, int, int]:
    """Twice: msip set in the middle of a long block and taken back at once. Where it is set, and
    the address behind that.
    """
    a = start(xlen)
    enable(a, 1 << 3)
    a.li(2, DATA)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    a.addi(rd=19, rs1=0, imm=2)
    a.label("again")
    for n in range(before):
        a.addi(rd=8, rs1=8, imm=n)
    store = a.sw(rs1=5, rs2=6, imm=0)
    after = a.at
    BEHIND[behind](a)
    a.addi()
    a.addi(rd=10, rs1=10, imm=1)
    a.sw(rs1=5, rs2=0, imm=0)
    for n in range(5):
        a.addi(rd=8, rs1=8, imm=n)
    a.addi(rd=19, rs1=19, imm=-1)
    a.bne(rs1=19, rs2=0, to="again")
    a.exit()
    return a, store, after


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("behind", BEHIND)
def test_a_software_interrupt_follows_its_store(behind: str, xlen: int) -> None:
    """Even if the program takes it back at once."""
    a, store, after = raised(xlen, behind)
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    taken = [position for position, row in enumerate(rows) if row[2]]
    assert [rows[position] for position in taken] == [(after, 0, 2, 3, 0)] * 2
    assert [rows[position - 1][0] for position in taken] == [store] * 2
    assert machine.instret == len(rows) - 2
    assert machine.register(22) == after and machine.register(20) == machine.register(10) == 2
    small = Machine([a.program()], chunk_refs=1 << 12, chunk_traps=1, table_blocks=1 << 10)
    assert instructions(small, small.run(1000)) == rows


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("before", range(58, 66))
def test_a_store_to_a_device_at_the_longest_block_s_end(before: int, xlen: int) -> None:
    a, _, after = raised(xlen, "addi", before)
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1000))
    assert [row for row in rows if row[2]] == [(after, 0, 2, 3, 0)] * 2


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("behind", ["addi", "fence", "store", "branch"])
def test_a_watched_store_has_its_pulse_and_its_interrupt(behind: str, xlen: int) -> None:
    """What fires with it is a micro-operation behind it, in a block of one instruction."""
    a, store, after = raised(xlen, behind)
    options = SidebandOptions(watches=((MSIP, TRIGGER_NOTIFY, STORE),))
    machine = Machine([a.program()], sideband=options)
    rows = told(machine.run(1000))
    assert machine.exit_reason is ExitReason.EXIT
    assert [row.iaddr for row in rows if row.is_trap] == [after] * 2
    fired = [row.iaddr for row in rows if row.side is not None and row.side.trigger]
    # set, cleared by the handler, taken back; twice
    assert len(fired) == 6 and fired.count(store) == 2


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_store_to_mtimecmp_ends_its_block_too(xlen: int) -> None:
    a = start(xlen)
    enable(a, 1 << 7)
    a.exit(3)
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1000))
    # mtimecmp is 0 at reset, as on Spike: the interrupt is there as soon as it is enabled.
    (position,) = (i for i, row in enumerate(rows) if row[2])
    assert rows[position - 1][1] >> 20 == MSTATUS and rows[position][3] == 7
    b = start(xlen)
    set_timer(b, 1 << 20)
    enable(b, 1 << 7)
    b.li(5, MTIMECMP)
    b.addi(rd=9, rs1=9, imm=1)
    store = b.sw(rs1=5, rs2=0, imm=0)
    b.addi(rd=9, rs1=9, imm=1)
    b.exit()
    machine = Machine([b.program()])
    rows = instructions(machine, machine.run(1000))
    (position,) = (i for i, row in enumerate(rows) if row[2])
    assert rows[position][:4] == (store + 4, 0, 2, 7) and rows[position - 1][0] == store


@pytest.mark.parametrize("xlen", [32, 64])
def test_the_timer_is_pending_at_reset(xlen: int) -> None:
    a = Assembly(xlen)
    a.csr("mip", rd=9)
    a.exit()
    assert run(a.program()).register(9) == 1 << 7


def test_priority_and_enabling() -> None:
    """Both pending: software first. Writing mstatus or mie, and mret, are points of their own."""
    a = start(64)
    a.li(5, MSIP)
    a.addi(rd=6, rs1=0, imm=1)
    a.sw(rs1=5, rs2=6, imm=0)
    set_timer(a, 0)
    a.csrrsi(rs1=8, imm=MSTATUS)
    a.addi(rd=8, rs1=0, imm=1)  # nothing: mie is 0
    a.li(7, 1 << 3 | 1 << 7)
    a.csr("mie", set_=7)
    after = a.addi(rd=9, rs1=20, imm=0)
    a.exit()
    machine = Machine([a.program()])
    taken = [row for row in instructions(machine, machine.run(1000)) if row[2]]
    # The handler clears both, so one of them is left out.
    assert taken == [(after, 0, 2, 3, 0)]
    assert machine.register(9) == 1 and machine.register(8) == 1


@pytest.mark.parametrize("xlen", [32, 64])
def test_wfi_skips_to_the_timer(xlen: int) -> None:
    a = start(xlen)
    set_timer(a, 1_000_000)
    enable(a, 1 << 7)
    wfi = a.wfi()
    after = a.addi(rd=9, rs1=0, imm=1)
    a.li(5, MTIME)
    a.lw(rd=10, rs1=5, imm=0)
    a.csr("time", rd=11)
    a.csr("mcycle", rd=12)
    a.csr("minstret", rd=13)
    a.exit()
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1000))
    position = next(i for i, row in enumerate(rows) if row[2])
    assert rows[position] == (after, 0, 2, 7, 0) and rows[position - 1][0] == wfi
    assert machine.register(10) == machine.register(11) == 1_000_000
    assert machine.register(12) > 99_999_000
    assert machine.register(13) == next(
        i for i, row in enumerate([r for r in rows if not r[2]]) if row[1] >> 20 == 0xB02
    )


def test_wfi_is_no_operation_while_something_is_pending() -> None:
    a = start(64)
    a.li(7, 1 << 7)
    a.csr("mie", set_=7)  # as mtimecmp is 0
    a.wfi()
    a.wfi()
    a.exit(3)
    machine = run(a.program())
    assert machine.exit_code == 3 and machine.trap_counts == {}


def test_wfi_does_not_wait_for_the_timer_while_another_interrupt_is_pending() -> None:
    a = start(64)
    set_timer(a, 5000)
    a.li(5, MSIP)
    a.li(6, 1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.li(7, 1 << 7 | 1 << 3)
    a.csr("mie", set_=7)
    a.wfi()
    a.csr("time", rd=10)
    a.exit()
    machine = run(a.program())
    assert machine.exit_code == 0 and machine.register(10) < 10
    assert machine.trap_counts == {}


def test_wfi_wakes_without_mstatus_mie() -> None:
    a = start(64)
    set_timer(a, 5000)
    a.li(7, 1 << 7)
    a.csr("mie", set_=7)
    a.wfi()
    a.csr("mip", rd=9)
    a.csr("time", rd=10)
    a.exit()
    machine = run(a.program())
    assert (machine.register(9), machine.register(10)) == (1 << 7, 5000)
    assert machine.trap_counts == {}


@pytest.mark.parametrize("xlen", [32, 64])
def test_minstret_counts_what_retired(xlen: int) -> None:
    a = Assembly(xlen)
    a.csr("minstret", rd=5)  # after the five of the boot ROM
    a.addi()
    a.csr("instret", rd=6)
    a.li(7, 1000)
    a.csr("minstret", write=7)
    a.csr("minstret", rd=8)
    a.addi()
    a.csr("minstret", rd=9)
    a.addi(rd=10, rs1=0, imm=4)
    a.csr("mcountinhibit", write=10)
    a.csr("minstret", rd=11)
    a.csr("minstret", rd=12)
    a.csr("mcycle", rd=13)
    a.csr("mcycle", rd=14)
    a.csr("mcountinhibit", write=0)
    a.csr("minstret", rd=15)
    if xlen == 32:
        a.csr("minstreth", write=7)
        a.csr("minstreth", rd=16)
        a.csr("instreth", rd=17)
        a.csr("mcycleh", rd=18)
    a.exit()
    machine = run(a.program())
    r = machine.register
    assert (r(5), r(6), r(8), r(9)) == (5, 7, 1000, 1002)
    assert r(11) == r(12) == 1005
    assert r(14) - r(13) == 1
    assert r(15) == 1005
    if xlen == 32:
        assert (r(16), r(17), r(18)) == (1000, 1000, 0)


@pytest.mark.parametrize("xlen", [32, 64])
def test_clint_registers(xlen: int) -> None:
    a = Assembly(xlen)
    a.li(5, MTIMECMP)
    a.lw(rd=14, rs1=5, imm=4)  # 0 at reset
    a.addi(rd=6, rs1=0, imm=-1)
    a.sw(rs1=5, rs2=6, imm=0)
    a.sw(rs1=5, rs2=6, imm=4)
    a.lw(rd=6, rs1=5, imm=4)
    a.addi(rd=7, rs1=0, imm=0x55)
    a.sb(rs1=5, rs2=7, imm=1)
    a.lw(rd=8, rs1=5, imm=0)
    a.lhu(rd=9, rs1=5, imm=2)
    a.li(10, MTIME)
    a.li(11, 123_456)
    a.sw(rs1=10, rs2=11, imm=0)
    a.sw(rs1=10, rs2=0, imm=4)
    a.csr("time", rd=12)
    a.lw(rd=13, rs1=5, imm=8)  # mtimecmp of a hart that is not there
    a.exit()
    machine = run(a.program())
    r = machine.register
    mask = (1 << xlen) - 1
    assert (r(6), r(8)) == (mask, 0xFFFF55FF | mask & ~0xFFFFFFFF)
    assert r(14) == 0
    assert (r(9), r(12), r(13)) == (0xFFFF, 123_456, 0)


@pytest.mark.parametrize("record", [False, True])
def test_interrupts_do_not_depend_on_chunks(record: bool) -> None:
    """The same run, whatever the buffers: small ones end many slices early."""
    a = start(64)
    enable(a, 1 << 7)
    a.addi(rd=18, rs1=0, imm=200)
    a.label("again")
    a.addi(rd=19, rs1=20, imm=0)
    a.csr("time", rd=26)
    a.addi(rd=26, rs1=26, imm=3)
    a.li(5, MTIMECMP)
    a.sd(rs1=5, rs2=26, imm=0)
    a.label("loop")
    a.addi(rd=9, rs1=9, imm=1)
    a.andi(rd=27, rs1=9, imm=3)
    a.bne(rs1=27, rs2=0, to="loop")
    a.addi(rd=8, rs1=8, imm=1)
    a.beq(rs1=20, rs2=19, to="loop")
    a.blt(rs1=20, rs2=18, to="again")
    a.exit()
    program = a.program()
    one = Machine([program])
    want = events(one.run(500_000))
    small = Machine([program], record=record, chunk_refs=1 << 12, chunk_traps=3)
    got = events(small.run(500_000))
    assert got == (want if record else [])
    assert small.instret == one.instret and small.trap_counts == one.trap_counts
    assert one.trap_counts[True, 7] == 200
