"""How an instruction's meaning is written, and what kinds of instructions there are.

Encoding and operands stand in `specs.isa.tables`, the meaning in `emu/isa/<extension>.py`: a *value
function* of words (uint64) that returns one expression, under the decorator of its shape.

    @register                                # rd = f(rs1, rs2)
    def sub(a, b): return a - b
    @register("addw", "addiw", rv32="add addi")
    def addw(a, b): return sext32(a + b)

Without names it is the instruction of the function's own name (`_` for a dot), on each width that
has it. `rv32` names the instructions that mean this on RV32: its registers are kept sign-extended
to 64 bits, so that most of them are the W forms of RV64. `cost`: a class of `emu.engine.cycles`,
where it is not that of the shape.

Where operands come from is the format's business: `a` is rs1; `b` rs2 or the immediate, so that one
function serves `add` and `addi`. How many bytes an access has stands in funct3. A compressed
instruction has the meaning of its expansion.

Functions are pure: words in, a word (of a branch: a truth value) out, no state, no memory, no
checks, only what `specs.kernels.words` has and `inlined` helpers. So one expression serves the
loops of the interpreter, which are generated (`emu.engine.generate`); a native tier, as an
always-inlined function; and plain integers in tests.

Floating point that rounds or raises flags is `@floating`, and returns a pair, `(bits, flags)`:

    @floating                                # rd = bits, fflags |= flags
    def fmadd_s(a, b, c, rm): return fuse(a, b, c, rm, F32)

Its parameters are those that it has of `a`, `b`, `c` (rs1, rs2, rs3) and, where the instruction has
a field for it, `rm`, the rounding mode that is in force (0 to 4; 7 and reserved ones are dealt with
before). Operands are registers as they are kept, all 64 bits: boxes of narrower numbers are looked
at and made by the function (`emu.softfloat`). What neither rounds nor raises flags (fsgnj, fmv,
fclass, fli) is a `@register`; loads box. Which file an operand is of is the format's business, too.

What is to come fits in like this. Pairs on RV32: a shape whose template joins two registers before
the call and parts them after it. CSR and privilege checks: when code is translated
(`emu.engine.translate`), by shape; a change of what they depend on ends the block. Instructions
that end a block: JUMP, INDIRECT, BRANCH, or BOUNDARY, which is carried out between blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from specs.isa.tables import ENTRIES, RV32

Function = Callable[..., Any]


class Shape(Enum):
    """What an instruction does, apart from its value."""

    #: None that the machine has.
    ILLEGAL = 0
    #: rd = f(a, b), and nothing else.
    COMPUTE = 1
    #: rd = f(imm, pc), known when it is translated.
    UPPER = 2
    #: rd = f(word at rs1 + imm), the word zero-extended.
    LOAD = 3
    #: Low bytes of rs2 to rs1 + imm.
    STORE = 4
    #: rd = old, the word at rs1 = f(old, rs2); words of four bytes are sign-extended.
    ATOMIC = 5
    RESERVE = 6
    CONDITIONAL = 7
    #: To pc + imm if f(rs1, rs2).
    BRANCH = 8
    JUMP = 9
    INDIRECT = 10
    #: rd = the CSR, the CSR = f(old, rs1 or the immediate); written if rs1's number is not 0.
    CSR = 11
    #: As CSR, and always written.
    CSR_WRITE = 12
    FENCE = 13
    #: Ends its block, and is carried out between blocks.
    BOUNDARY = 14
    #: Always traps.
    RAISE = 15
    #: rd = the first, fcsr's flags |= the second of f(rs1, rs2, rs3, rounding mode).
    FLOATING = 16
    #: If the word at rs1 is rd, it becomes rs2; rd = old.
    CAS = 17
    #: Something with the block of the cache that rs1 points into.
    CACHE_BLOCK = 18
    #: Registers to the stack, or from there; the latter, and then a return; two moves; a jump
    #: through a table.
    PUSH = 19
    POP = 20
    POP_RETURN = 21
    MOVES = 22
    TABLE_JUMP = 23


@dataclass(frozen=True, slots=True)
class Meaning:
    """What some instructions do: `names` on both widths, `rv32` on RV32 (instead of others)."""

    name: str
    shape: Shape
    function: Function | None
    names: tuple[str, ...]
    rv32: tuple[str, ...]
    cost: str


_MEANINGS: list[Meaning] = []


def _decorator(shape: Shape) -> Any:
    def decorate(*names: Any, rv32: str = "", cost: str = "") -> Any:
        if names and callable(names[0]):
            return decorate()(names[0])

        def enter(function: Function) -> Function:
            own = names or (function.__name__.rstrip("_").replace("_", "."),)
            meaning = Meaning(function.__name__, shape, function, own, tuple(rv32.split()), cost)
            _MEANINGS.append(meaning)
            return function

        return enter

    return decorate


register = _decorator(Shape.COMPUTE)
upper = _decorator(Shape.UPPER)
load = _decorator(Shape.LOAD)
atomic = _decorator(Shape.ATOMIC)
branch = _decorator(Shape.BRANCH)
csr = _decorator(Shape.CSR)
csr_write = _decorator(Shape.CSR_WRITE)
floating = _decorator(Shape.FLOATING)


def declare(shape: Shape, *names: str, cost: str = "") -> None:
    """Instructions that are their shape and nothing more."""
    for name in names:
        _MEANINGS.append(Meaning(name.replace(".", "_"), shape, None, (name,), (), cost))


@cache
def meanings() -> tuple[Meaning, ...]:
    """Of all extensions, in the order of their files' names."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            import_module(f"{__package__}.{path.stem}")
    return tuple(_MEANINGS)


def _named(names: Callable[[Meaning], tuple[str, ...]]) -> dict[str, Meaning]:
    found: dict[str, Meaning] = {}
    for meaning in meanings():
        for name in names(meaning):
            if name in found:
                raise ValueError(f"{name} has two meanings")
            found[name] = meaning
    return found


@cache
def meaning_of(xlen: int) -> dict[str, Meaning]:
    """By name, the instructions of that width that have one: those that compressed ones expand to.

    Raises ValueError where one has two.
    """
    of_width = {entry.expansion for entry in ENTRIES if xlen in entry.xlens}
    found = _named(lambda meaning: meaning.names)
    if xlen == RV32:
        found |= _named(lambda meaning: meaning.rv32)
    return {name: meaning for name, meaning in found.items() if name in of_width}
