"""What to do about a trap, where we know: host calls, extensions, memory, devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from emu.devices.clint import CLINT_BASE, CLINT_SIZE
from emu.hart.extensions import allowed, everything
from etrace.analyses.devices import device_at
from etrace.trace.places import Place, Places
from specs.isa.causes import (
    BREAKPOINT,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_ACCESS_FAULT,
    LOAD_ACCESS_FAULT,
    STORE_ACCESS_FAULT,
)
from specs.isa.csrs import csr_name
from specs.isa.decode import FLOATING, INDEX, decode
from specs.isa.tables import ENTRIES

#: RISC-V Semihosting, "Semihosting Trap Instruction Sequence".
_MARKED = (0x01F0_1013, 0x0010_0073, 0x4070_5013)
_UNIMP = 0xC000_1073
#: Major opcodes (RISC-V opcode map): OP-V, SYSTEM.
_VECTOR, _SYSTEM = 0x57, 0x73
#: fflags, frm, fcsr.
_FLOATING_CSRS = range(0x001, 0x004)
#: What a compressed instruction is named after that is not there.
_BELOW = {"zcf": ("f",), "zcd": ("d",)}
_BLOCKS = ("zicbom", "zicboz")
_STACK_POINTER = 2
_PAGE = 0x1000
#: RAM is suggested in pieces of this size.
_PIECE = 0x1_0000
#: Above this there is no RAM of a microcontroller: an address there is a wild one.
_FAR = 1 << 40

#: Memory as (base, end, writable), in order.
MemoryMap = Sequence[tuple[int, int, bool]]


@dataclass(frozen=True)
class Surroundings:
    """What hints are drawn from. `has`: the hart's extensions (`emu.hart.extensions.allowed`).
    `memory`: None where it is not known. `semihosting`: host calls were served."""

    places: Places
    xlen: int
    has: frozenset[str]
    memory: MemoryMap | None
    semihosting: bool


def hint(cause: int, tval: int, epc: Place | None, around: Surroundings) -> str:
    """What to do about an exception; empty where nothing is known."""
    if cause == BREAKPOINT:
        return "" if epc is None else _breakpoint(epc, around)
    if cause == ILLEGAL_INSTRUCTION:
        word = tval or (epc.word if epc is not None else 0)
        return _illegal(word, around) if epc is not None else ""
    if cause in (INSTRUCTION_ACCESS_FAULT, LOAD_ACCESS_FAULT, STORE_ACCESS_FAULT):
        return _access(cause, tval, epc, around)
    return ""


def _breakpoint(epc: Place, around: Surroundings) -> str:
    words = tuple(around.places.word(epc.pc + offset)[0] for offset in (-4, 0, 4))
    if words == _MARKED:
        asked = "a host call (semihosting): serve it with --semihosting DIR"
        return "" if around.semihosting else asked
    return "an ebreak, and there is no debugger; abort() ends so" if epc.size else ""


def _illegal(word: int, around: Surroundings) -> str:
    if word & 0xFFFF in (0, 0xFFFF):
        return "that is no code: the program went to empty memory, or to erased flash"
    if word == _UNIMP:
        return "unimp: the program stopped itself on purpose, as __builtin_trap does"
    if word & 0x7F == _VECTOR:
        return f"a vector instruction, and this hart has no V: {_compile(around)}"
    number = word >> 20
    if word & 0x7F == _SYSTEM and word >> 12 & 3:
        if number in _FLOATING_CSRS:
            return _of_extension(csr_name(number), "f", around, floating=True)
        register = csr_name(number, around.xlen)
        return (
            f"this hart has no CSR {register}, or it cannot be written, or not be used at this "
            "privilege level"
        )
    instruction = decode(word, around.places.selection)
    if instruction is None:
        return f"no instruction of this hart ({everything(around.xlen)}): {_compile(around)}"
    index = INDEX[instruction.name]
    extension = ENTRIES[index].extension
    return _of_extension(instruction.name, extension, around, floating=bool(FLOATING[index].any()))


def _compile(around: Surroundings) -> str:
    letters, abi = ("gc", "d") if "d" in around.has else ("imac", "")
    base = "lp64" if around.xlen == 64 else "ilp32"
    return f"compile with -march=rv{around.xlen}{letters} -mabi={base}{abi}"


def _of_extension(name: str, extension: str, around: Surroundings, *, floating: bool) -> str:
    """Why `name` is illegal: its extension is not there, or switched off."""
    if extension not in around.has:
        part = next(p for p in extension.split("+") if around.has.isdisjoint(p.split("/")))
        # Of c.fld the D.
        part = next((p for p in _BELOW.get(part, ()) if p not in around.has), part)
        lacks = part.capitalize().replace("/z", " or Z")
        can = extension in allowed(None, around.xlen)
        leaves = "--isa or --modes leaves" if part in ("s", "svinval") else "--isa leaves"
        remedy = f"{leaves} it out" if can else _compile(around)
        return f"{name} is of {lacks}, and this hart has no {lacks}: {remedy}"
    if floating:
        return (
            f"{name} is floating point, which is off until the program sets mstatus.FS; or it has "
            "a reserved rounding mode"
        )
    if extension in _BLOCKS:
        return f"{name} is not allowed at this privilege level: menvcfg and senvcfg say so"
    return f"{name} is of a higher privilege level, or not allowed now (mstatus.TVM, TW, TSR)"


def _access(cause: int, tval: int, epc: Place | None, around: Surroundings) -> str:
    address = tval
    if around.memory is None:
        return ""
    inside = next((each for each in around.memory if each[0] <= address < each[1]), None)
    if inside is not None:
        return "" if inside[2] else f"{address:#x} is read-only memory: the boot ROM"
    if CLINT_BASE <= address < CLINT_BASE + CLINT_SIZE:
        return f"{address:#x} is in the CLINT, which has no such register, or not of that size"
    if address < _PAGE:
        return (
            "a jump through a null pointer, or a return from main to nowhere"
            if cause == INSTRUCTION_ACCESS_FAULT
            else "a null pointer"
        )
    if (device := device_at(address)) is not None:
        return (
            f"{address:#x} is where {device.name} is, which is not here: no platform has it yet"
            + ("; print through host calls (--semihosting) or tohost" if device.uart else "")
        )
    if cause == INSTRUCTION_ACCESS_FAULT or address >= min(_FAR, 1 << around.xlen):
        return f"{address:#x} is no memory: a wild pointer, or an overwritten return address"
    base, size = _room(address, around.memory)
    ram = f"give it RAM with --memory {base:#x}:{_with_suffix(size)}"
    if epc is None or not _through_stack_pointer(epc.word, around.places.selection):
        return f"no memory there, nor a device: {ram}, if that is what is missing"
    above = [low for low, _, writable in around.memory if writable and 0 < low - address <= _PAGE]
    if above:
        return (
            f"the stack ran out of the RAM that begins at {min(above):#x}: endless recursion, or "
            "too small a stack"
        )
    return f"no memory where the stack is: {ram}"


def _through_stack_pointer(word: int, selection: int) -> bool:
    found = decode(word, selection)
    return found is not None and found.rs1 == _STACK_POINTER


def _room(address: int, memory: MemoryMap) -> tuple[int, int]:
    """Base and size of the RAM around `address` that overlaps nothing that is not RAM."""
    base = address // _PIECE * _PIECE
    end = base + _PIECE
    taken = [(low, high) for low, high, writable in memory if not writable]
    for low, high in [*taken, (CLINT_BASE, CLINT_BASE + CLINT_SIZE)]:
        if low <= address:
            base = max(base, min(high, address // _PAGE * _PAGE))
        else:
            end = min(end, low)
    return base, end - base


def _with_suffix(size: int) -> str:
    return f"{size >> 10}K"
