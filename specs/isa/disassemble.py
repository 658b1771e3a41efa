"""Instruction words as assembly text, in the manner of objdump.

Compressed instructions are printed as what they expand to, if they do (those of Zcmop, Zcmp and
Zcmt do not), and common cases under the names of the assembly manual (`ALIASES`). Targets of
branches and jumps are absolute addresses.
"""

from dataclasses import dataclass

from specs.isa.csrs import csr_name
from specs.isa.decode import FLOATING, INDEX, Instruction, decode, length
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES, RV32, RV64

ABI_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{number}" for number in range(8)),
    *(f"s{number}" for number in range(2, 12)),
    *(f"t{number}" for number in range(3, 7)),
)
#: Of floating-point registers.
FLOATING_ABI_NAMES = (
    *(f"ft{number}" for number in range(8)),
    *("fs0", "fs1"),
    *(f"fa{number}" for number in range(8)),
    *(f"fs{number}" for number in range(2, 12)),
    *(f"ft{number}" for number in range(8, 12)),
)
#: Rounding modes as encoded; two are reserved.
ROUNDING = ("rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn")
_EXACT, _DYNAMIC = 0, 7
#: What fli loads ("Zfa", "Load-Immediate Instructions").
CONSTANTS = (
    *("-1.0", "min", *(str(2.0**power) for power in (-16, -15, -8, -7, -4, -3))),
    *(str(n / 16) for n in (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64)),
    *(str(2.0**power) for power in (3, 4, 7, 8, 15, 16)),
    *("inf", "nan"),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for an instruction whose operands have certain values: `(operand, modulus, value)`,
    modulus 0 for all of it, the value a number or another operand's name.
    """

    name: str
    conditions: tuple[tuple[str, int, int | str], ...]
    syntax: str

    def fits(self, instruction: Instruction) -> bool:
        for operand, modulus, value in self.conditions:
            number = getattr(instruction, operand)
            if modulus:
                number %= modulus
            if number != (getattr(instruction, value) if isinstance(value, str) else value):
                return False
        return True


def _condition(text: str) -> tuple[str, int, int | str]:
    operand, value = text.split("=")
    name, _, modulus = operand.partition("%")
    return name, int(modulus or "0"), value if value.startswith("r") else int(value, 0)


def _aliases(rows: str) -> dict[str, tuple[Alias, ...]]:
    """Rows `alias syntax base conditions`, the first that holds counts; `-` is an empty syntax."""
    table: dict[str, tuple[Alias, ...]] = {}
    for line in filter(str.strip, rows.splitlines()):
        name, syntax, base, *conditions = line.split()
        alias = Alias(name, tuple(map(_condition, conditions)), syntax.removeprefix("-"))
        table[base] = (*table.get(base, ()), alias)
    return table


ALIASES = _aliases(
    """
    nop        -            addi   rd=0 rs1=0 imm=0
    li         rd,imm       addi   rs1=0
    mv         rd,rs1       addi   imm=0
    mv         rd,rs2       c.mv
    ntl.p1     -            add    rd=0 rs1=0 rs2=2
    ntl.pall   -            add    rd=0 rs1=0 rs2=3
    ntl.s1     -            add    rd=0 rs1=0 rs2=4
    ntl.all    -            add    rd=0 rs1=0 rs2=5
    mv         rd,rs2       add    rs1=0
    prefetch.i block(rs1)   ori    rd=0 imm%32=0
    prefetch.r block(rs1)   ori    rd=0 imm%32=1
    prefetch.w block(rs1)   ori    rd=0 imm%32=3
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
    fsflags    rs1          csrrw  rd=0 imm=1
    fsflags    rd,rs1       csrrw  imm=1
    fsrm       rs1          csrrw  rd=0 imm=2
    fsrm       rd,rs1       csrrw  imm=2
    fscsr      rs1          csrrw  rd=0 imm=3
    fscsr      rd,rs1       csrrw  imm=3
    fsflagsi   zimm         csrrwi rd=0 imm=1
    fsflagsi   rd,zimm      csrrwi imm=1
    fsrmi      zimm         csrrwi rd=0 imm=2
    fsrmi      rd,zimm      csrrwi imm=2
    frflags    rd           csrrs  rs1=0 imm=1
    frrm       rd           csrrs  rs1=0 imm=2
    frcsr      rd           csrrs  rs1=0 imm=3
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
    sinval.vma -            sinval.vma rs1=0 rs2=0
    sinval.vma rs1          sinval.vma rs2=0
    """
    + "".join(
        f"""
    {name}.{format_} rd,rs1 {base}.{format_} rs2=rs1"""
        for name, base in (("fmv", "fsgnj"), ("fneg", "fsgnjn"), ("fabs", "fsgnjx"))
        for format_ in "sdh"
    )
)

_ATOMIC = frozenset({"zalrsc", "zaamo", "zabha", "zacas", "zabha+zacas"})
_ORDERING = ("", ".rl", ".aq", ".aqrl")


def _ordering_set(bits: int) -> str:
    """Predecessor or successor set of a fence."""
    return "".join(letter for place, letter in enumerate("iorw") if bits << place & 8) or "0"


def _register(place: int, number: int, instruction: Instruction) -> str:
    is_floating = FLOATING[INDEX[instruction.name], place]
    return (FLOATING_ABI_NAMES if is_floating else ABI_NAMES)[number]


def _register_list(imm: int) -> str:
    """Of cm.push and cm.pop: ra and s0 to the last one; 15 has s10 and s11."""
    number = (imm & 15) - 5
    last = 11 if number == 10 else number
    return "{ra}" if number < 0 else "{ra,s0}" if number == 0 else f"{{ra,s0-s{last}}}"


def _stack(imm: int, xlen: int) -> int:
    """Bytes by which cm.push and cm.pop move sp: those of the registers, in whole 16 bytes, and
    the additional ones.
    """
    registers = 13 if imm & 15 == 15 else (imm & 15) - 3
    return -(-registers * xlen // 8 // 16) * 16 + (imm >> 4) * 16


def _floating_operand(name: str, imm: int) -> str:
    """Text of what stands in the immediate of a floating-point instruction; empty if left out."""
    mode = imm >> 8 & 7
    match name:
        case "rs3":
            return FLOATING_ABI_NAMES[imm & 31]
        case "constant":
            return CONSTANTS[imm]
        case "rtz":
            return "rtz"
        case "rm":
            return "" if mode == _DYNAMIC else ROUNDING[mode]
        case "rm0":
            return "" if mode == _EXACT else ROUNDING[mode]
    raise ValueError(f"operand {name!r} is not known")


def _operand(name: str, instruction: Instruction, address: int, xlen: int) -> str:
    imm = instruction.imm
    match name:
        case "rd":
            return _register(0, instruction.rd, instruction)
        case "rs1":
            return _register(1, instruction.rs1, instruction)
        case "rs2":
            return _register(2, instruction.rs2, instruction)
        case "(rs1)":
            return f"({ABI_NAMES[instruction.rs1]})"
        case "imm":
            return str(imm)
        case "imm(rs1)":
            return f"{imm}({ABI_NAMES[instruction.rs1]})"
        case "block(rs1)":
            return f"{imm & ~31}({ABI_NAMES[instruction.rs1]})"
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
        case "rlist":
            return _register_list(imm)
        case "stack":
            return str(_stack(imm, xlen))
        case "-stack":
            return str(-_stack(imm, xlen))
    return _floating_operand(name, imm)


def _unknown(word: int) -> str:
    size = int(length.py_func(word))
    if size == 2:
        return f".2byte {word & 0xFFFF:#06x}"
    return f".4byte {word & 0xFFFFFFFF:#010x}"


def disassemble(word: int, address: int, xlen: int) -> str:
    """One instruction: mnemonic, a space, operands separated by commas.

    `address` is where it is. A word that is no known instruction gives `.2byte` or `.4byte` (also
    the first four bytes of a longer one). `xlen` is as in `decode`.
    """
    if word & 0xFFFF == 0:
        return "unimp"
    instruction = decode(word, xlen)
    if instruction is None:
        return _unknown(word)
    entry = ENTRIES[INDEX[instruction.name]]
    if entry.extension == "zcmop":
        return entry.name
    base = ENTRIES[INDEX[entry.expansion]]
    name, syntax = base.name, FORMATS[base.format].syntax
    for alias in ALIASES.get(entry.name, ()) or ALIASES.get(name, ()):
        if alias.fits(instruction):
            name, syntax = alias.name, alias.syntax
            break
    if base.extension in _ATOMIC:
        name += _ORDERING[word >> 25 & 3]
    if not syntax:
        return name
    xlen &= RV32 | RV64
    texts = (_operand(operand, instruction, address, xlen) for operand in syntax.split(","))
    return f"{name} " + ",".join(filter(None, texts))
