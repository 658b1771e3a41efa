"""Programs that arm the hart's triggers, and what fired, for the trigger tests."""

from emu.machine import ExitReason, Machine
from tests.emu.build import Assembly
from tests.emu.told import Row, told

#: Fields of tdata1.
LOAD, STORE, EXECUTE, M = 1, 2, 4, 1 << 6
EXECUTE_M = EXECUTE | M
DISABLED = 15
ON, OFF, NOTIFY = 2, 3, 4


def tdata1(xlen: int, action: int, match: int = 0, kind: int = 6, rest: int = EXECUTE_M) -> int:
    return kind << (xlen - 4) | action << 12 | match << 7 | rest


def constant(a: Assembly, rd: int, value: int) -> None:
    """Load a constant of xlen bits."""
    if a.xlen == 32:
        a.li(rd, value)
        return
    a.li(rd, value >> 32)
    a.slli(rd=rd, rs1=rd, imm=32)
    a.li(31, value & 0xFFFF_FFFF)
    a.add(rd=rd, rs1=rd, rs2=31)


def arm(a: Assembly, number: int, control: int, address: int) -> None:
    """Set trigger `number` to `control` at `address`, by registers 28, 29, 31."""
    a.addi(rd=28, rs1=0, imm=number)
    a.csr("tselect", write=28)
    constant(a, 28, address)
    a.csr("tdata2", write=28)
    constant(a, 29, control)
    a.csr("tdata1", write=29)


def pulses(rows: list[Row]) -> list[tuple[int, int]]:
    """Address and trigger bits; such a block is a single instruction."""
    found = []
    for row in rows:
        if row.side is not None and row.side.trigger:
            assert row.iretire in (1, 2) and not row.is_trap
            found.append((row.iaddr, row.side.trigger))
    return found


def finish(machine: Machine) -> list[Row]:
    rows = told(machine.run(100_000))
    assert machine.exit_reason is ExitReason.EXIT
    return rows
