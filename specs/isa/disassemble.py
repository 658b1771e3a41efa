"""Instruction words as assembly text, in the manner of objdump.

Compressed instructions are printed as what they expand to, and common cases under the names of
the assembly manual (`ALIASES`). Targets of branches and jumps are absolute addresses.
"""

from dataclasses import dataclass

from specs.isa.csrs import csr_name
from specs.isa.decode import INDEX, Instruction, decode, length
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES

ABI_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{number}" for number in range(8)),
    *(f"s{number}" for number in range(2, 12)),
    *(f"t{number}" for number in range(3, 7)),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for an instruction whose operands have certain values."""

    name: str
    conditions: tuple[tuple[str, int], ...]
    syntax: str


def _aliases(rows: str) -> dict[str, tuple[Alias, ...]]:
    """Rows `alias syntax base conditions`, the first that holds counts; `-` is an empty syntax."""
    table: dict[str, tuple[Alias, ...]] = {}
    for line in rows.strip().splitlines():
        name, syntax, base, *conditions = line.split()
        pairs = (condition.split("=") for condition in conditions)
        alias = Alias(name, tuple((k, int(v, 0)) for k, v in pairs), syntax.strip("-"))
        table[base] = (*table.get(base, ()), alias)
    return table


ALIASES = _aliases(
    """
    nop        -            addi   rd=0 rs1=0 imm=0
    li         rd,imm       addi   rs1=0
    mv         rd,rs1       addi   imm=0
    mv         rd,rs2       add    rs1=0
    sext.w     rd,rs1       addiw  imm=0
    not        rd,rs1       xori   imm=-1
    zext.b     rd,rs1       andi   imm=255
    neg        rd,rs2       sub    rs1=0
    negw       rd,rs2       subw   rs1=0
    zext.w     rd,rs1       add.uw rs2=0
    seqz       rd,rs1       sltiu  imm=1
    snez       rd,rs2       sltu   rs1=0
    sltz       rd,rs1       slt    rs2=0
    sgtz       rd,rs2       slt    rs1=0
    beqz       rs1,target   beq    rs2=0
    bnez       rs1,target   bne    rs2=0
    blez       rs2,target   bge    rs1=0
    bgez       rs1,target   bge    rs2=0
    bltz       rs1,target   blt    rs2=0
    bgtz       rs2,target   blt    rs1=0
    j          target       jal    rd=0
    jal        target       jal    rd=1
    ret        -            jalr   rd=0 rs1=1 imm=0
    jr         rs1          jalr   rd=0 imm=0
    jr         imm(rs1)     jalr   rd=0
    jalr       rs1          jalr   rd=1 imm=0
    jalr       imm(rs1)     jalr   rd=1
    jalr       rd,rs1       jalr   imm=0
    unimp      -            csrrw  rd=0 rs1=0 imm=0xc00
    csrw       csr,rs1      csrrw  rd=0
    csrwi      csr,zimm     csrrwi rd=0
    rdcycle    rd           csrrs  rs1=0 imm=0xc00
    rdtime     rd           csrrs  rs1=0 imm=0xc01
    rdinstret  rd           csrrs  rs1=0 imm=0xc02
    csrr       rd,csr       csrrs  rs1=0
    csrs       csr,rs1      csrrs  rd=0
    csrsi      csr,zimm     csrrsi rd=0
    csrc       csr,rs1      csrrc  rd=0
    csrci      csr,zimm     csrrci rd=0
    fence      -            fence  imm=0x0ff
    fence.tso  -            fence  imm=0x833
    pause      -            fence  rd=0 rs1=0 imm=0x010
    sfence.vma -            sfence.vma rs1=0 rs2=0
    sfence.vma rs1          sfence.vma rs2=0
    """
)

_ATOMIC = frozenset({"zalrsc", "zaamo"})
_ORDERING = ("", ".rl", ".aq", ".aqrl")


def _ordering_set(bits: int) -> str:
    """Predecessor or successor set of a fence."""
    return "".join(letter for place, letter in enumerate("iorw") if bits << place & 8) or "0"


def _operand(name: str, instruction: Instruction, address: int, xlen: int) -> str:
    imm = instruction.imm
    match name:
        case "rd":
            return ABI_NAMES[instruction.rd]
        case "rs1":
            return ABI_NAMES[instruction.rs1]
        case "rs2":
            return ABI_NAMES[instruction.rs2]
        case "(rs1)":
            return f"({ABI_NAMES[instruction.rs1]})"
        case "imm":
            return str(imm)
        case "imm(rs1)":
            return f"{imm}({ABI_NAMES[instruction.rs1]})"
        case "hex":
            return f"{imm:#x}"
        case "upper":
            return f"{imm >> 12 & 0xFFFFF:#x}"
        case "target":
            return f"{address + imm & (1 << xlen) - 1:#x}"
        case "csr":
            return csr_name(imm, xlen)
        case "zimm":
            return str(instruction.rs1)
        case "pred":
            return _ordering_set(imm >> 4)
        case "succ":
            return _ordering_set(imm)
    raise ValueError(f"operand {name!r} is not known")


def _unknown(word: int) -> str:
    size = int(length.py_func(word))
    if size == 2:
        return f".2byte {word & 0xFFFF:#06x}"
    return f".4byte {word & 0xFFFFFFFF:#010x}"


def disassemble(word: int, address: int, xlen: int) -> str:
    """One instruction: mnemonic, a space, operands separated by commas.

    `address` is where it is. A word that is no known instruction gives `.2byte` or `.4byte` (also
    the first four bytes of a longer one).
    """
    if word & 0xFFFF == 0:
        return "unimp"
    instruction = decode(word, xlen)
    if instruction is None:
        return _unknown(word)
    entry = ENTRIES[INDEX[instruction.name]]
    base = ENTRIES[INDEX[entry.expansion]]
    name, syntax = base.name, FORMATS[base.format].syntax
    for alias in ALIASES.get(name, ()):
        if all(getattr(instruction, field) == value for field, value in alias.conditions):
            name, syntax = alias.name, alias.syntax
            break
    if base.extension in _ATOMIC:
        name += _ORDERING[word >> 25 & 3]
    if not syntax:
        return name
    return f"{name} " + ",".join(
        _operand(operand, instruction, address, xlen) for operand in syntax.split(",")
    )
