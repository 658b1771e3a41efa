"""Exceptions: what is recorded, what the CSRs hold, in odd places."""

import pytest

from emu.machine import ExitReason, Machine
from specs.isa.csrs import ADDRESS
from tests.emu.build import CODE, DATA, TOHOST, Assembly, events, instructions, run

BOOT = ("block", 0x1000, 10, 13)  # jr t0: x5 is a link register


def with_handler(xlen: int) -> Assembly:
    """mtvec points to a handler that keeps mcause, mtval, mepc in x20..x22 and steps over 4 bytes;
    x23 counts. The program goes on at the label `start`.
    """
    a = Assembly(xlen)
    a.jal(rd=0, imm=64)
    a.label("handler")
    a.csr("mcause", rd=20)
    a.csr("mtval", rd=21)
    a.csr("mepc", rd=22)
    a.addi(rd=23, rs1=23, imm=1)
    a.addi(rd=24, rs1=22, imm=4)
    a.csr("mepc", write=24)
    a.mret()
    while a.at < CODE + 64:
        a.addi()
    a.la(25, "handler")
    a.csr("mtvec", write=25)
    a.li(10, DATA)
    return a


def trap_rows(program, **options) -> list[tuple[int, int, int, int, int]]:
    machine = Machine([program], **options)
    rows = instructions(machine, machine.run(100_000))
    assert machine.exit_reason is ExitReason.EXIT
    assert len([r for r in rows if r[2] == 0]) == machine.instret
    return [row for row in rows if row[2]]


@pytest.mark.parametrize("xlen", [32, 64])
def test_each_exception(xlen: int) -> None:
    a = with_handler(xlen)
    mask = (1 << xlen) - 1
    want = []

    def expect(at: int, cause: int, tval: int) -> None:
        want.append((at, 0, 1, cause, tval & mask))

    expect(a.ecall(), 11, 0)
    at = a.ebreak()
    expect(at, 3, at)
    for word in (0xFFFFFFFF, 0x0000000B, 0x00000057, 0x30200173, 0x10200073, 0x12000073):
        expect(a.raw(word, 4), 2, word)  # none of ours: custom, vector, sret, sfence.vma, ...
    for csr, write in (("satp", None), ("mhartid", 5), ("cycle", 5), ("medeleg", None)):
        at = a.csr(csr, rd=3, write=write)
        word = int.from_bytes(a.bytes()[at - CODE :][:4], "little")
        expect(at, 2, word)
    a.li(11, 0x10)
    expect(a.lw(rd=3, rs1=11, imm=4), 5, 0x14)
    expect(a.sb(rs1=11, rs2=3, imm=-1), 7, 0xF)
    expect(a.lw(rd=0, rs1=0, imm=-8), 5, -8)
    expect(a.lr_w(rd=3, rs1=11), 5, 0x10)
    expect(a.amoadd_w(rd=3, rs1=11, rs2=3), 7, 0x10)
    expect(a.sc_w(rd=3, rs1=11, rs2=3), 7, 0x10)
    a.addi(rd=12, rs1=10, imm=2)
    expect(a.lr_w(rd=3, rs1=12), 4, DATA + 2)
    expect(a.sc_w(rd=3, rs1=12, rs2=3), 6, DATA + 2)
    expect(a.amomaxu_w(rd=3, rs1=12, rs2=3), 6, DATA + 2)
    a.li(13, 0x1000)
    expect(a.sw(rs1=13, rs2=3, imm=0), 7, 0x1000)  # the boot ROM
    a.li(14, 0x8800_0000)  # memory ends here: the part beyond is what faults
    expect(a.lw(rd=3, rs1=14, imm=-2), 5, 0x8800_0000)
    expect(a.sh(rs1=14, rs2=3, imm=-1), 7, 0x8800_0000)
    a.exit()
    assert trap_rows(a.program(), modes="M") == want
    machine = run(a.program(), modes="M")
    counts = {(False, c): sum(w[3] == c for w in want) for c in {w[3] for w in want}}
    assert machine.trap_counts == counts
    assert machine.register(20) == 7
    assert machine.register(22) == want[-1][0]


def test_compressed_illegal_has_sixteen_bits_of_tval() -> None:
    a = with_handler(64)
    at = a.raw(0x0000, 2)
    a.raw(0x9002, 2)  # stepped over
    at2 = a.raw(0x8002, 2)  # c.jr x0
    a.raw(0x0001, 2)
    a.exit()
    assert trap_rows(a.program()) == [(at, 0, 1, 2, 0), (at2, 0, 1, 2, 0x8002)]


def test_a_trap_in_the_middle_of_a_block() -> None:
    """A partial block, then the trap; the second time round from the same record."""
    a = with_handler(64)
    main = a.label("main")
    a.addi(rd=7, rs1=7, imm=1)
    a.c_addi(rd=8, rs1=8, imm=1)
    a.c_nop()
    fault = a.ecall()
    a.addi(rd=9, rs1=0, imm=2)
    a.blt(rs1=7, rs2=9, to="main")
    a.exit()
    machine = Machine([a.program()])
    (chunk,) = machine.run(1000)
    rows = events([chunk])
    trap = ("exception", fault, 11, 0)
    first, second = (i for i, row in enumerate(rows) if row == trap)
    # The first time the part is the end of a longer block.
    assert rows[first - 1][0] == "block" and rows[first - 1][3] == 0
    assert rows[first - 1][1] + 2 * rows[first - 1][2] == fault
    assert rows[second - 1] == ("block", main, 4, 0)
    assert rows[first + 1][:2] == rows[second + 1][:2] == ("block", a.labels["handler"])
    part = chunk.blocks[chunk.refs[second - 1] >> 4]
    assert (part["ifirstsize"], part["ilastsize"], part["sijump"]) == (1, 0, 0)


def test_a_repeated_trap_does_not_grow_the_block_table() -> None:
    a = with_handler(64)
    a.label("main")
    a.addi(rd=7, rs1=7, imm=1)
    a.ecall()
    a.jal(rd=0, to="main")
    machine = Machine([a.program()])
    (few,) = machine.run(200)
    sizes = [len(few.blocks)]
    for chunk in Machine([a.program()]).run(100_000):
        sizes.append(len(chunk.blocks))
    assert max(sizes) <= sizes[0] + 1  # the block that the budget cut


@pytest.mark.parametrize("xlen", [32, 64])
def test_jump_to_where_nothing_is(xlen: int) -> None:
    a = Assembly(xlen)
    a.jal(rd=0, imm=12)
    a.label("handler")
    a.csr("mepc", write=1)
    a.mret()
    a.la(5, "handler")
    a.csr("mtvec", write=5)
    a.li(6, 0x10)
    jump = a.jalr(rd=1, rs1=6, imm=0)
    a.exit()
    machine = Machine([a.program()])
    rows = instructions(machine, machine.run(1000))
    position = rows.index((0x10, 0, 1, 1, 0x10))
    assert rows[position - 1][0] == jump
    assert machine.exit_reason is ExitReason.EXIT


def test_instruction_across_the_end_of_memory() -> None:
    """The second half is what cannot be fetched; mepc is the instruction's address."""
    a = Assembly(64)
    a.jal(rd=0, imm=12)
    a.label("handler")
    a.csr("mepc", write=1)
    a.mret()
    a.la(5, "handler")
    a.csr("mtvec", write=5)
    end = 0x9000_1000
    a.li(6, end - 2)
    a.jalr(rd=1, rs1=6, imm=0)
    a.exit()
    last = (0x9000_0FFE, (0x13).to_bytes(2, "little"))
    assert trap_rows(a.program(last=last)) == [(end - 2, 0, 1, 1, end)]


def test_fault_before_a_block_crosses_out_of_memory() -> None:
    a = Assembly(64)
    a.jal(rd=0, imm=12)
    a.label("handler")
    a.csr("mepc", write=1)
    a.mret()
    a.la(5, "handler")
    a.csr("mtvec", write=5)
    end = 0x9000_1000
    a.li(6, end - 4)
    a.jalr(rd=1, rs1=6, imm=0)
    a.exit()
    last = (end - 4, bytes.fromhex("01000100"))  # c.nop c.nop
    machine = Machine([a.program(last=last)])
    rows = events(machine.run(1000))
    position = rows.index(("exception", end, 1, end))
    assert rows[position - 1] == ("block", end - 4, 2, 0)


@pytest.mark.parametrize("xlen", [32, 64])
def test_misaligned_targets_without_c(xlen: int) -> None:
    """IALIGN = 32: the jump itself traps and does not retire; a branch only if it is taken."""
    a = with_handler(xlen)
    want = []
    at = a.jal(rd=1, imm=6)
    want.append((at, 0, 1, 0, at + 6))
    at = a.beq(rs1=0, rs2=0, imm=10)
    want.append((at, 0, 1, 0, at + 10))
    a.bne(rs1=0, rs2=0, imm=10)
    a.addi(rd=9, rs1=0, imm=7)
    at = a.jalr(rd=9, rs1=10, imm=2)
    want.append((at, 0, 1, 0, DATA + 2))
    at = a.raw(0x0001, 2)
    a.raw(0x0001, 2)
    want.append((at, 0, 1, 2, 0x0001))
    a.li(3, 0xFFFFFFFF)
    a.csr("mepc", write=3)
    a.csr("mepc", rd=4)
    a.exit()
    isa = f"rv{xlen}ima_zicsr_zifencei"
    assert trap_rows(a.program(), isa=isa) == want
    machine = run(a.program(), isa=isa)
    assert machine.register(9) == 7 and machine.register(1) == 0
    assert machine.register(4) == 0xFFFFFFFC
    assert not machine.cpu[0] and machine.trap_counts == {(False, 0): 3, (False, 2): 1}


def test_extensions_that_are_not_there_are_illegal() -> None:
    a = with_handler(64)
    want = []
    for add in (lambda: a.mul(rd=1, rs1=1, rs2=1), lambda: a.amoadd_w(rd=1, rs1=1, rs2=1)):
        at = add()
        want.append((at, 2))
    a.csr("misa", rd=5)
    a.exit()
    program = a.program()
    for modes, letters in (("M", 0), ("MU", 1 << 20), ("MSU", 1 << 20 | 1 << 18)):
        options = {"isa": "rv64ic_zicsr", "modes": modes}
        assert [(r[0], r[3]) for r in trap_rows(program, **options)] == want
        assert run(program, **options).register(5) == 2 << 62 | letters | 1 << 8 | 1 << 2


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("xlen", [32, 64])
def test_trap_entry_and_return_of_mstatus(xlen: int, enabled: bool) -> None:
    a = Assembly(xlen)
    a.jal(rd=0, imm=32)
    a.label("handler")
    a.csr("mstatus", rd=20)
    a.addi(rd=21, rs1=0, imm=1)
    a.csr("mepc", rd=22)
    a.addi(rd=22, rs1=22, imm=4)
    a.csr("mepc", write=22)
    a.mret()
    a.addi()
    a.la(25, "handler")
    a.csr("mtvec", write=25)
    if enabled:
        a.csrrsi(rs1=8, imm=ADDRESS["mstatus"])
    a.ecall()
    a.csr("mstatus", rd=23)
    a.exit()
    machine = run(a.program(), modes="M")
    # MPIE from MIE, MIE clear, MPP M; then MIE from MPIE, MPIE set
    assert machine.register(20) == (0x1880 if enabled else 0x1800)
    assert machine.register(23) == (0x1888 if enabled else 0x1880)
    assert machine.register(21) == 1


@pytest.mark.parametrize("xlen", [32, 64])
def test_endless_trap_loop(xlen: int) -> None:
    """The handler cannot be fetched: reported, not run for ever."""
    a = Assembly(xlen)
    a.li(5, 0x40)
    a.csr("mtvec", write=5)
    at = a.ecall()
    machine = Machine([a.program()])
    rows = events(machine.run())
    assert machine.exit_reason is ExitReason.TRAP_LOOP and machine.exit_code is None
    position = rows.index(("exception", at, 11, 0))
    assert set(rows[position + 1 :]) == {("exception", 0x40, 1, 0x40)}
    assert len(rows) - position > 10
    assert list(machine.run()) == []


def test_the_run_starts_in_the_boot_rom() -> None:
    a = Assembly(64)
    a.exit(5)
    machine = Machine([a.program()])
    rows = events(machine.run())
    assert rows[0] == BOOT
    assert rows[1:] == [("block", CODE, 14, 11)]
    assert (machine.exit_reason, machine.exit_code) == (ExitReason.EXIT, 5)
    assert machine.register(11) == 0x1020
    assert machine.memory.read(TOHOST, 8) == 11


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_cache_block_where_no_memory_is(xlen: int) -> None:
    """CMO, "Memory Access Permissions": a store access fault, also of those that store nothing."""
    a = with_handler(xlen)
    a.li(11, 0x10)
    want = []
    for name in ("clean", "flush", "inval", "zero"):
        at = getattr(a, f"cbo_{name}")(rs1=11)
        want.append((at, 0, 1, 7, 0x10))
        getattr(a, f"cbo_{name}")(rs1=10)
    a.exit()
    assert trap_rows(a.program()) == want
