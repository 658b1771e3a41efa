"""Micro-operations of the block-threaded kernel, and which instruction becomes which.

Each meaning of `emu/isa` is a micro-operation for each kind of second operand and each size of
access that its instructions have. RV32 shares the kernel: its registers are kept sign-extended, so
most of its instructions are the W forms of RV64.

A micro-operation is 8 bytes: number, rd, rs1, rs2, imm32 (specific to it otherwise).
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from emu.hart.trigger_registers import LOAD, STORE
from emu.isa.kinds import Meaning, Shape, meaning_of, meanings
from specs.isa.formats import FORMATS
from specs.isa.privilege import Privilege
from specs.isa.tables import BOTH, ENTRIES, Entry

#: The engine's own: a successor that is not linked yet (0: zeroed memory is never a valid one); one
#: in another page of virtual memory, which never is; rd = imm; rd = the 8 bytes after the
#: micro-operation; terminators, beside branches and jalr; what traps (rd: the cause, rs1: kind of
#: tval); before an instruction: which triggers match it (rd: its access, see ACCESS; rs2: bytes),
#: and after it: fire them (rd: 1, imm is the row of its block without a pulse); behind one that
#: changed a floating-point register while mstatus.FS does not say so; floating point (the number of
#: the operation is in its imm); and what there is none for.
_OWN = (
    "RESOLVE", "CROSS", "LI", "CONST", "JUMP", "CALL", "NEXT", "LEAVE", "TRAP", "MATCH", "FIRE",
    "DIRTY", "FLOAT", "ILLEGAL",
)  # fmt: skip

#: In the hot loop, in the order of its chain: that of frequency in profiles. What is not named here
#: is in `slow`. LLVM makes a jump table of the first 42 cases, and another one of the rest; 60
#: cases more cost 4 s of compiling and 2 to 20 % of speed.
FREQUENT = """
    ADDI ADD LI LB LH LW LD LBU LHU LWU SB SH SW SD BEQ BNE BLT BGE BLTU BGEU JUMP CALL JALR NEXT
    ADDIW ADDW SUB SUBW SLLI SRLI ANDI AND OR XOR MUL MULW SLLIW SRLIW SRAIW SLTU SRAI XORI
    SLL SRL SRA SLLW SRLW SRAW MULH MULHU SLT ORI SLTI SLTIU CONST RESOLVE LEAVE CROSS
    FLD FSD FLW FSW
""".split()

_ACCESSES = {
    Shape.LOAD: LOAD,
    Shape.RESERVE: LOAD,
    Shape.STORE: STORE,
    Shape.CONDITIONAL: STORE,
    Shape.ATOMIC: LOAD | STORE,
    Shape.CAS: LOAD | STORE,
}


#: All that they have is floating point.
FLOATING_EXTENSIONS = ("f", "d", "zfh", "zfhmin", "zfa", "zcf", "zcd")


@dataclass(frozen=True, slots=True)
class Operation:
    """A micro-operation that instructions become. `size`: bytes of its access, 0: none."""

    name: str
    meaning: Meaning
    immediate: bool
    size: int

    @property
    def shape(self) -> Shape:
        return self.meaning.shape

    @property
    def is_rare(self) -> bool:
        """Whether it only computes, and is not in the hot loop."""
        return self.shape is Shape.COMPUTE and self.name not in FREQUENT


def _form(meaning: Meaning, entry: Entry) -> tuple[Meaning, bool, int]:
    """What makes two instructions the same micro-operation: the meaning, whether its second operand
    is an immediate, the bytes of its access (funct3).
    """
    layout = FORMATS[entry.format]
    if meaning.shape is Shape.FLOATING:
        immediate = False
    elif meaning.shape in (Shape.CSR, Shape.CSR_WRITE):
        immediate = "zimm" in layout.syntax
    else:
        immediate = bool(layout.imm)
    size = 0
    if meaning.shape in _ACCESSES:
        funct3 = entry.match >> 12 & 7
        # of a load, its highest bit says how the word is extended
        size = 1 << (funct3 if meaning.shape is Shape.CAS else funct3 & 3)
    return meaning, immediate, size


@cache
def _instructions() -> dict[tuple[int, str], Operation]:
    """By width and name of an instruction that is its own expansion."""
    entries = {
        (x, e.expansion): e
        for e in ENTRIES
        for x in e.xlens
        if e.name == e.expansion or e.match & 3 == 3
    }
    forms: dict[tuple[Meaning, bool, int], Operation] = {}
    found: dict[tuple[int, str], Operation] = {}
    # Names come from RV64, where each form has an instruction of its own.
    for xlen in reversed(BOTH):
        for instruction, meaning in meaning_of(xlen).items():
            form = _form(meaning, entries[xlen, instruction])
            if form not in forms:
                own = instruction in meaning.names
                name = instruction if own else meaning.name + "i" * form[1]
                forms[form] = Operation(name.upper().replace(".", "_"), *form)
            found[xlen, instruction] = forms[form]
    return found


@cache
def all_operations() -> dict[str, Operation]:
    """Those that instructions become, by name, in the order of their meanings."""
    order = {meaning: place for place, meaning in enumerate(meanings())}
    unique = {operation.name: operation for operation in _instructions().values()}
    return dict(sorted(unique.items(), key=lambda item: order[item[1].meaning]))


def _numbers() -> dict[str, int]:
    """Micro-operations have a byte; floating point follows behind them."""
    floating = [o.name for o in all_operations().values() if o.shape is Shape.FLOATING]
    plain = dict.fromkeys(["RESOLVE", *FREQUENT, *_OWN, *all_operations()])
    names = [name for name in plain if name not in floating]
    assert len(names) <= FIRST_FLOATING, "a micro-operation's number has one byte"
    numbers = {name: at for at, name in enumerate(names)}
    return numbers | {name: FIRST_FLOATING + at for at, name in enumerate(floating)}


#: From here on the numbers are of floating-point operations, which all are a FLOAT.
FIRST_FLOATING = 256
#: Numbers, at most.
MOST_NUMBERS = 1024

#: Number of each, by name.
NUMBER: dict[str, int] = _numbers()

(
    RESOLVE, CROSS, LI, CONST, JUMP, CALL, NEXT, LEAVE, TRAP, MATCH, FIRE, DIRTY, FLOAT, ILLEGAL,
) = (NUMBER[name] for name in _OWN)  # fmt: skip
JALR, EBREAK, WFI, ADD = (NUMBER[name] for name in ("JALR", "EBREAK", "WFI", "ADD"))
CM_MVSA01, CM_POPRETZ, CM_JALT = (NUMBER[n] for n in ("CM_MVSA01", "CM_POPRETZ", "CM_JALT"))
CBO_ZERO, CBO_INVAL = NUMBER["CBO_ZERO"], NUMBER["CBO_INVAL"]

#: What LEAVE leaves the hot loop for (its rd).
FOR_CHECK, FOR_MRET, FOR_WFI, FOR_FENCE_I, FOR_BRANCH, FOR_HOST_CALL = range(6)
#: A jump to itself (imm: 1 if triggers fire at it, with each round).
FOR_LOOP = 6
FOR_SRET, FOR_SFENCE = 7, 8
#: In the imm of a FLOAT: its third source, the rounding mode as encoded, its number.
FLOAT_RM_SHIFT, FLOAT_NUMBER_SHIFT = 8, 16
#: TRAP's tval (its rs1): the immediate, zero-extended; or the pc plus the immediate.
TVAL_IS_IMM, TVAL_IS_PC = range(2)

# The terminator's layout, in bytes: the micro-operation, its two successors (host pointers),
# its reference (index and, where static, code) and instruction count, its link address, then two
# RESOLVE stubs with their pcs, which the successors point to at first.
TAKEN_SLOT, FALL_SLOT, REF_SLOT, COUNT_SLOT, LINK_SLOT = 8, 16, 24, 28, 32
TAKEN_STUB, FALL_STUB, TERMINATOR_BYTES = 40, 56, 72
#: Before a block's first micro-operation: the reference by which it retires, as
#: `ingress.PASSAGE.first`, whether its instruction crosses into another page of virtual memory (32
#: bits each), instruction count and log2 of the first
#: one's half-words (32 bits each), and the pc.
HEADER_BYTES = 24
#: Bytes from there to the first micro-operation.
REFERENCE_BEFORE, CROSSES_BEFORE, COUNT_BEFORE, FIRST_BEFORE, PC_BEFORE = 24, 20, 16, 12, 8

#: An access: LOAD, STORE (as in tdata1), CONDITIONAL for SC, and from bit 4 on its bytes.
CONDITIONAL, ACCESS_BYTES_SHIFT = 8, 4


def by_number(value: Callable[[Operation], int], kind: Any) -> npt.NDArray[Any]:
    """`value` of each operation as a table for kernels, 0 for the engine's own."""
    table = np.zeros(MOST_NUMBERS, kind)
    for name, operation in all_operations().items():
        table[NUMBER[name]] = value(operation)
    return table


def _access(operation: Operation) -> int:
    if not operation.size:
        return 0
    conditional = CONDITIONAL if operation.shape is Shape.CONDITIONAL else 0
    return _ACCESSES[operation.shape] | conditional | operation.size << ACCESS_BYTES_SHIFT


#: By micro-operation: its `Shape`; what it does to memory, 0: nothing; bytes of that; whether its
#: second operand is the immediate (of a CSR instruction, its first one).
SHAPE = by_number(lambda operation: operation.shape.value, np.int64)
ACCESS = by_number(_access, np.uint64)
SIZE = by_number(lambda operation: operation.size, np.uint64)
HAS_IMMEDIATE = by_number(lambda operation: operation.immediate, np.bool_)


def _same_value(operation: Operation) -> int:
    function, rare = operation.meaning.function, operation.is_rare
    same = (o for o in all_operations().values() if o.meaning.function is function)
    return NUMBER[next(o.name for o in same if o.is_rare == rare)]


#: The first operation with the same value function, of those in the hot loop or of the others.
SAME_VALUE = by_number(_same_value, np.int64)
#: Only computes, and is not in the hot loop.
IS_RARE = by_number(lambda operation: operation.is_rare, np.bool_)
#: rd = imm where rs1 is x0.
IS_ADDI = by_number(lambda operation: operation.name in ("ADDI", "ADDIW"), np.bool_)
#: What a BOUNDARY leaves the hot loop for.
BOUNDARY_FOR = np.zeros(MOST_NUMBERS, np.int64)
for _name, _why in (
    ("MRET", FOR_MRET),
    ("SRET", FOR_SRET),
    ("WFI", FOR_WFI),
    ("FENCE_I", FOR_FENCE_I),
    ("SFENCE_VMA", FOR_SFENCE),
    ("SINVAL_VMA", FOR_SFENCE),
    ("SFENCE_W_INVAL", FOR_CHECK),
    ("SFENCE_INVAL_IR", FOR_CHECK),
):
    BOUNDARY_FOR[NUMBER[_name]] = _why
#: The lowest privilege level that may execute a BOUNDARY.
LEVEL_FOR = np.zeros(MOST_NUMBERS, np.uint64)
for _name, _level in (
    ("MRET", Privilege.M),
    ("SRET", Privilege.S),
    ("WFI", Privilege.S),
    ("SFENCE_VMA", Privilege.S),
    ("SINVAL_VMA", Privilege.S),
    ("SFENCE_W_INVAL", Privilege.S),
    ("SFENCE_INVAL_IR", Privilege.S),
):
    LEVEL_FOR[NUMBER[_name]] = _level
#: By index of `specs.isa` table: whether it is illegal while mstatus.FS is off.
NEEDS_FLOATING = np.array([e.extension.partition("+")[0] in FLOATING_EXTENSIONS for e in ENTRIES])


def operations(xlen: int, allowed: Container[str]) -> npt.NDArray[np.uint16]:
    """Micro-operation by index of `specs.isa` table, ILLEGAL if its extension is not in `allowed`.

    A compressed instruction has the operation of its expansion.
    """
    of = _instructions()
    result = np.full(len(ENTRIES), ILLEGAL, np.uint16)
    for index, entry in enumerate(ENTRIES):
        if entry.extension in allowed and (xlen, entry.expansion) in of:
            result[index] = NUMBER[of[xlen, entry.expansion].name]
    return result
