"""Host calls: each operation, the directory that confines files, and the ebreak in the trace."""

import os
import struct
from pathlib import Path

import pytest

from decoder import Decoder, pcs
from emu.host.semihosting import SemihostingOptions
from emu.machine import ExitReason, Machine
from emu.memory import MachineError
from encoder.encoder import Encoder
from specs.configuration.parameters import Configuration
from specs.interfaces.events import EXCEPTION, HOST_CALL, INTERRUPT, TRAP_RETURN
from specs.isa.control import CodeMap
from tests.emu.build import CODE, DATA, MTIMECMP, Assembly, dwords, events, instructions
from tests.emu.replay import Replay, watch
from tests.emu.test_interrupts import enable, set_timer, start
from tests.emu.test_traps import with_handler

OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ = 1, 2, 3, 4, 5, 6
ISERROR, ISTTY, SEEK, FLEN, CLOCK = 8, 9, 0x0A, 0x0C, 0x10
ERRNO, GET_CMDLINE, EXIT, EXIT_EXTENDED, ELAPSED, TICKFREQ = 0x13, 0x15, 0x18, 0x20, 0x30, 0x31
APPLICATION_EXIT = 0x20026
RESULTS, BUFFER = DATA + 0x8000, DATA + 0xC000
R, RP, W, WP, A = 0, 2, 4, 6, 8
EACCES, ENOSYS = 13, 38

XLEN = pytest.mark.parametrize("xlen", [32, 64])


def host_call(a: Assembly) -> int:
    """The three instructions; the address of the ebreak."""
    a.slli(rd=0, rs1=0, imm=31)
    ebreak = a.ebreak()
    a.srai(rd=0, rs1=0, imm=7)
    return ebreak


class Guest:
    """A program of host calls, whose results it keeps."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.assembly = with_handler(xlen)
        self.data = bytearray()
        self.calls = 0
        self.output = bytearray()

    def put(self, data: bytes) -> int:
        """Have the guest own these bytes; where."""
        address = DATA + len(self.data)
        self.data += data + bytes(-len(data) % 8 + 8)
        return address

    def block(self, *words: int) -> int:
        mask, form = (1 << self.xlen) - 1, "I" if self.xlen == 32 else "Q"
        return self.put(struct.pack(f"<{len(words)}{form}", *(w & mask for w in words)))

    def call(self, operation: int, parameter: int = 0) -> None:
        a = self.assembly
        a.li(10, operation)
        a.li(11, parameter)
        host_call(a)
        a.li(12, RESULTS + self.xlen // 8 * self.calls)
        a.sw(rs1=12, rs2=10, imm=0) if self.xlen == 32 else a.sd(rs1=12, rs2=10, imm=0)
        self.calls += 1

    def open(self, name: str | bytes, mode: int) -> None:
        name = name.encode() if isinstance(name, str) else name
        self.call(OPEN, self.block(self.put(name + b"\0"), mode, len(name)))

    def write(self, handle: int, data: bytes) -> None:
        self.call(WRITE, self.block(handle, self.put(data), len(data)))

    def read(self, handle: int, size: int, at: int = BUFFER) -> None:
        self.call(READ, self.block(handle, at, size))

    def run(self, root: Path | None, cmdline: str = "") -> list[int]:
        """The calls' results, as signed numbers. The chain is checked."""
        self.assembly.exit()
        self.machine = Machine(
            [self.assembly.program(bytes(self.data))],
            console=self.output.extend,
            semihosting=SemihostingOptions(root, cmdline),
        )
        self.replay = watch(self.machine)
        assert [e.kind for e in self.replay.events] == [HOST_CALL] * self.machine.host_calls
        results = dwords(self.machine, RESULTS, self.calls)
        return [r - (1 << self.xlen) if r >> (self.xlen - 1) else r for r in results]

    def memory(self, address: int, size: int) -> bytes:
        view = self.machine.memory.view(address, size)
        assert view is not None
        return view.tobytes()


@XLEN
def test_files(xlen: int, tmp_path: Path) -> None:
    g = Guest(xlen)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "in").write_bytes(b"0123456789")
    g.open("sub/in", R)
    g.call(FLEN, g.block(1))
    g.read(1, 4)
    g.call(SEEK, g.block(1, 7))
    g.read(1, 8, at=BUFFER + 4)
    g.read(1, 8)
    g.open("./out", W + 1)
    g.write(2, b"hello ")
    g.write(2, b"world")
    g.read(2, 1)  # not open for that
    g.call(ERRNO)
    g.call(ISTTY, g.block(2))
    g.call(CLOSE, g.block(2))
    g.call(CLOSE, g.block(2))
    g.open("out", A)
    g.write(2, b"!")
    g.open("out", RP)
    g.call(SEEK, g.block(3, 6))
    g.write(3, b"W")
    g.open("missing", R)
    g.call(ERRNO)
    assert g.run(tmp_path) == [
        1, 10, 0, 0, 5, 8,
        2, 0, 0, 1, 9, 0, 0, -1,
        2, 0, 3, 0, 0,
        -1, 2,
    ]  # fmt: skip
    assert g.memory(BUFFER, 7) == b"0123789"
    assert (tmp_path / "out").read_bytes() == b"hello World!"


@XLEN
def test_console(xlen: int, tmp_path: Path) -> None:
    g = Guest(xlen)
    g.call(WRITE0, g.put(b"one\0two"))
    g.call(WRITEC, g.put(b"X"))
    g.open(":tt", R)
    g.open(":tt", W)
    g.open(":tt", A)
    g.write(2, b"out" * 500)
    g.write(3, b"err")
    g.read(1, 5)
    g.call(ISTTY, g.block(2))
    g.call(FLEN, g.block(2))
    g.call(SEEK, g.block(2, 0))
    g.call(CLOSE, g.block(1))
    g.open(":semihosting-features", R)
    g.read(1, 5)
    g.call(ISERROR, g.block(-5))
    g.call(ISERROR, g.block(5))
    results = g.run(None)
    assert results[2:] == [1, 2, 3, 0, 0, 5, 1, 0, -1, 0, 1, 0, 1, 0]
    assert bytes(g.output) == b"oneX" + b"out" * 500 + b"err"
    assert g.memory(BUFFER, 5) == b"SHFB\x03"


@XLEN
def test_time_is_the_guests(xlen: int) -> None:
    g = Guest(xlen)
    set_timer(g.assembly, 123_456_789)
    g.assembly.li(7, 1 << 7)
    g.assembly.csr("mie", set_=7)
    g.assembly.wfi()  # guest time passes: 12.3456789 s
    g.call(CLOCK)
    g.call(ELAPSED, BUFFER)
    g.call(TICKFREQ)
    assert g.run(None) == [1234, 0, 10_000_000]
    assert int.from_bytes(g.memory(BUFFER, 8), "little") in (123_456_789, 123_456_790)


@XLEN
def test_command_line(xlen: int) -> None:
    g = Guest(xlen)
    exact = g.block(BUFFER, 14)
    g.call(GET_CMDLINE, exact)
    g.call(GET_CMDLINE, g.block(BUFFER, 13))
    assert g.run(None, "prog --fast x") == [0, -1]
    assert g.memory(BUFFER, 14) == b"prog --fast x\0"
    assert int.from_bytes(g.memory(exact + xlen // 8, xlen // 8), "little") == 13


@XLEN
@pytest.mark.parametrize(
    ("operation", "reason", "want"),
    [
        (EXIT_EXTENDED, APPLICATION_EXIT, 42),
        (EXIT_EXTENDED, 0x20023, 1),
        (EXIT, APPLICATION_EXIT, 42),
        (EXIT, 0x20023, 1),
    ],
)
def test_exit(xlen: int, operation: int, reason: int, want: int) -> None:
    g = Guest(xlen)
    # On RV32 SYS_EXIT has no room for a code.
    direct = xlen == 32 and operation == EXIT
    g.call(operation, reason if direct else g.block(reason, 42))
    g.run(None)
    assert g.machine.exit_reason is ExitReason.EXIT
    assert g.machine.exit_code == (0 if direct and want == 42 else want)
    event = g.replay.events[-1]
    assert (event.cause, g.replay.pcs[-1]) == (operation, event.from_pc)


@XLEN
def test_files_stay_below_the_directory(xlen: int, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(outside / "secret")
    (root / "dirlink").symlink_to(outside)
    (root / "new").symlink_to(outside / "created")
    (root / "dir").mkdir()
    os.mkfifo(root / "fifo")
    names: list[str | bytes] = [
        "../outside/secret",
        "dir/../../outside/secret",
        str(outside / "secret"),
        "/etc/passwd",
        "link",
        "dirlink/secret",
        "new",
        "dir",
        "fifo",
        "",
        ".",
        "/",
        b"dir\0x",
        "x" * 5000,
        "dir/" * 600 + "x",
        b"\xff\xfe/x",
    ]
    g = Guest(xlen)
    for name in names:
        for mode in (R, WP):
            g.open(name, mode)
    g.open("fine", W)
    g.open("fine", 12)  # there are 12 modes
    results = g.run(root)
    assert results == [-1] * (2 * len(names)) + [1, -1]
    assert (outside / "secret").read_bytes() == b"secret" and not (outside / "created").exists()

    g = Guest(xlen)
    g.open("fine", R)
    g.call(ERRNO)
    assert g.run(None) == [-1, EACCES]


def test_a_root_that_is_none(tmp_path: Path) -> None:
    a = Assembly(64)
    a.exit()
    with pytest.raises(MachineError, match="not a directory"):
        Machine([a.program()], semihosting=SemihostingOptions(tmp_path / "nothing"))


@XLEN
def test_what_the_guest_gets_wrong(xlen: int, tmp_path: Path) -> None:
    """Every operation with parameters that lead nowhere: a result, no more."""
    nowhere, top = 0x10, (1 << 32) - 4
    g = Guest(xlen)
    for operation in (*range(0x40), 0x7FFF_FFFF):
        if operation not in (EXIT, EXIT_EXTENDED):
            g.call(operation, nowhere)
            g.call(operation, top)
    g.open("file", WP)
    huge = (1 << xlen) - 1
    for operation in (WRITE, READ):
        g.call(operation, g.block(1, DATA, huge))
        g.call(operation, g.block(1, nowhere, 4))
        g.call(operation, g.block(77, DATA, 4))
        g.call(operation, g.block(1, 0, 0))
    g.call(READ, g.block(1, 0x1000, 4))  # the boot ROM
    g.call(SEEK, g.block(1, huge))
    g.call(SEEK, g.block(1, 1 << (xlen - 2)))
    g.call(EXIT_EXTENDED, nowhere)
    results = g.run(tmp_path)
    assert g.machine.exit_reason is ExitReason.EXIT and g.machine.exit_code == 0
    tail = results[-12:]
    assert tail[:4] == tail[4:8] == [-1, -1, -1, 0]
    assert tail[8:10] == [-1, -1] and tail[11] == -1


def test_a_console_that_fails_is_not_the_guests_business() -> None:
    g = Guest(64)
    g.open(":tt", W)
    g.write(1, b"text")
    g.assembly.exit()

    def broken(_: bytes) -> None:
        raise BrokenPipeError("gone")

    machine = Machine(
        [g.assembly.program(bytes(g.data))], console=broken, semihosting=SemihostingOptions()
    )
    chunks = machine.run()
    assert len(next(chunks).refs)
    with pytest.raises(BrokenPipeError, match="gone"):
        next(chunks)


def test_the_features_cannot_be_written() -> None:
    g = Guest(64)
    g.open(":semihosting-features", R)
    g.call(SEEK, g.block(1, 1 << 40))
    g.write(1, b"x")
    g.call(SEEK, g.block(1, 0))
    g.call(FLEN, g.block(1))
    assert g.run(None) == [1, 0, 1, 0, 5]


def test_too_many_files(tmp_path: Path) -> None:
    g = Guest(64)
    name = g.put(b"x")
    block = g.block(name, W, 1)
    for _ in range(66):
        g.call(OPEN, block)
    assert g.run(tmp_path) == [*range(1, 65), -1, -1]


@XLEN
def test_off_or_unmarked_it_is_a_breakpoint(xlen: int) -> None:
    def program() -> tuple[Assembly, list[int]]:
        a = with_handler(xlen)
        a.addi(rd=10, rs1=0, imm=CLOCK)
        ebreaks = [host_call(a)]
        a.addi()
        ebreaks.append(a.ebreak())
        a.srai(rd=0, rs1=0, imm=7)
        a.slli(rd=0, rs1=0, imm=31)
        ebreaks.append(a.ebreak())
        a.addi()
        a.c_nop()
        a.slli(rd=0, rs1=0, imm=31)
        ebreaks.append(a.c_ebreak())
        a.c_nop()
        a.srai(rd=0, rs1=0, imm=7)
        a.exit()
        return a, ebreaks

    a, ebreaks = program()
    off = watch(Machine([a.program()]))
    assert [(e.from_pc, e.cause) for e in off.events if e.kind == EXCEPTION] == [
        (each, 3) for each in ebreaks
    ]
    on = watch(Machine([a.program()], semihosting=SemihostingOptions()))
    assert on.machine.host_calls == 1
    first, *rest = on.events
    assert (first.kind, first.from_pc, first.to_pc) == (HOST_CALL, ebreaks[0], ebreaks[0] + 4)
    assert [e.from_pc for e in rest if e.kind == EXCEPTION] == ebreaks[1:]
    assert on.machine.csr("mcause") == 3


@XLEN
def test_an_ebreak_that_is_jumped_to(xlen: int) -> None:
    """A block may begin at it; it does not retire, whatever budgets cut the run."""
    a = with_handler(xlen)
    a.addi(rd=10, rs1=0, imm=CLOCK)
    a.jal(rd=0, imm=8)
    a.slli(rd=0, rs1=0, imm=31)
    ebreak = a.ebreak()
    a.srai(rd=0, rs1=0, imm=7)
    a.addi(rd=9, rs1=9, imm=1)
    a.addi(rd=13, rs1=0, imm=3)
    a.bltu(rs1=9, rs2=13, imm=-20)
    a.exit()
    whole = Machine([a.program()], semihosting=SemihostingOptions())
    replay = watch(whole)
    assert replay.kinds == "HHH" and replay.pcs.count(ebreak) == 3
    for step in (1, 2, 3):
        machine = Machine([a.program()], semihosting=SemihostingOptions())
        pieces = Replay(machine)
        while machine.exit_reason is not ExitReason.EXIT:
            before = machine.instret
            list(machine.run(step))
            assert machine.instret - before <= step
        # (The exit takes effect at the end of its block, which a budget may bring forward.)
        assert replay.pcs[:-1] == pieces.pcs[: len(replay.pcs) - 1]
        assert pieces.events == replay.events


@XLEN
def test_minstret_does_not_count_the_ebreak(xlen: int) -> None:
    a = with_handler(xlen)
    a.addi(rd=10, rs1=0, imm=CLOCK)
    a.csr("minstret", rd=5)
    host_call(a)
    a.csr("minstret", rd=6)
    a.exit()
    machine = Machine([a.program()], semihosting=SemihostingOptions())
    replay = watch(machine)
    assert machine.register(6) - machine.register(5) == 3
    assert len(replay.pcs) == machine.instret + 1


def test_the_trace_of_a_run_with_host_calls_decodes_exactly() -> None:
    """Interrupts strike around host calls; the decoded flow is what the machine reported, and a
    second run reports the same.
    """
    a = start(64)
    a.addi(rd=18, rs1=0, imm=800)
    a.label("again")
    a.csr("time", rd=26)
    a.addi(rd=26, rs1=26, imm=1)
    a.li(5, MTIMECMP)
    a.sd(rs1=5, rs2=26, imm=0)
    enable(a, 1 << 7)
    a.addi(rd=10, rs1=0, imm=CLOCK)
    a.slli(rd=0, rs1=0, imm=31)
    a.ebreak()
    a.srai(rd=0, rs1=0, imm=7)
    a.addi(rd=9, rs1=9, imm=1)
    a.andi(rd=27, rs1=9, imm=15)
    a.bne(rs1=27, rs2=0, imm=-24)
    a.bltu(rs1=9, rs2=18, to="again")
    a.exit()

    def machine() -> Machine:
        return Machine([a.program()], semihosting=SemihostingOptions())

    first = machine()
    encoder = Encoder(Configuration.default(64))
    trace, want = b"", []
    for chunk in first.run():
        want += instructions(first, [chunk])
        trace += encoder.feed(chunk)
    trace += encoder.finish()
    assert first.host_calls == 800 and first.trap_counts[True, 7] > 20

    view = first.memory.view(0x1000, 24)
    assert view is not None
    code = CodeMap([(0x1000, view.tobytes()), (CODE, a.bytes())], 64)
    decoder = Decoder(Configuration.default(64), code)
    flows = [*decoder.feed(trace), *decoder.finish()]
    decoded = [pc for flow in flows for pc in pcs(flow, code).tolist()]
    assert decoded == [row[0] for row in want if not row[2]]
    assert len(decoded) == first.instret + first.host_calls
    epcs = [int(epc) for flow in flows for epc in flow.traps["epc"]]
    assert epcs == [row[0] for row in want if row[2]]
    assert not any(len(flow.gaps) for flow in flows)

    again = machine()
    assert instructions(again, again.run()) == want
    replay = watch(machine())
    assert replay.pcs == decoded
    assert [e.kind for e in replay.events].count(HOST_CALL) == 800
    silent = Machine([a.program()], record=False, semihosting=SemihostingOptions())
    assert events(silent.run()) == [] and silent.instret == first.instret
    returns = sum(e.kind == TRAP_RETURN for e in replay.events)
    assert returns == sum(e.kind == INTERRUPT for e in replay.events)
