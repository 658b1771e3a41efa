"""Operand formats: where an instruction word keeps its registers and its immediate.

A register is `HIGH:LOW` (a field), `HIGH:LOW'` (a three-bit field for x8-x15, as the C chapter
marks it) or `xN` (implied by the opcode). An immediate is a list of (highest instruction bit,
immediate bits from there down), the bits written as in the manuals: `12|10:5`. Compressed
formats give the operands of the instruction they expand to. The syntax is the assembler's, with
the operand names of `disassemble`; compressed instructions are printed in their expanded form.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """`(word >> shift & mask) + offset`; an implied register has mask 0."""

    shift: int
    mask: int
    offset: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Bits of an immediate: `(word >> shift & mask) << left`."""

    shift: int
    mask: int
    left: int


@dataclass(frozen=True, slots=True)
class Format:
    """Operands of a class of instructions; `sign` is the immediate's sign bit, -1 if unsigned."""

    rd: Register
    rs1: Register
    rs2: Register
    imm: tuple[Segment, ...]
    sign: int
    syntax: str


def _register(text: str) -> Register:
    if text.startswith("x"):
        return Register(0, 0, int(text[1:]))
    high, low = (int(bit) for bit in text.rstrip("'").split(":"))
    return Register(low, (1 << (high - low + 1)) - 1, 8 if text.endswith("'") else 0)


def _segments(parts: tuple[tuple[int, str], ...]) -> tuple[Segment, ...]:
    segments = []
    for top, text in parts:
        bit = top + 1
        for piece in text.split("|"):
            high, _, low = piece.partition(":")
            left = int(low or high)
            width = int(high) - left + 1
            bit -= width
            segments.append(Segment(bit, (1 << width) - 1, left))
    return tuple(segments)


def _format(
    syntax: str = "",
    *,
    rd: str = "x0",
    rs1: str = "x0",
    rs2: str = "x0",
    imm: tuple[tuple[int, str], ...] = (),
    signed: bool = False,
) -> Format:
    segments = _segments(imm)
    top = max((s.left + s.mask.bit_length() - 1 for s in segments), default=-1)
    return Format(
        _register(rd), _register(rs1), _register(rs2), segments, top if signed else -1, syntax
    )


RD, RS1, RS2 = "11:7", "19:15", "24:20"
I_IMM = ((31, "11:0"),)
S_IMM = ((31, "11:5"), (11, "4:0"))
B_IMM = ((31, "12|10:5"), (11, "4:1|11"))
U_IMM = ((31, "31:12"),)
J_IMM = ((31, "20|10:1|11|19:12"),)

#: RD also is rs1 of CR and CI; the three-bit fields are rd' or rs2' (4:2) and rs1' or rd' (9:7).
C_RS2, C_LOW, C_HIGH = "6:2", "4:2'", "9:7'"
CI_IMM = ((12, "5"), (6, "4:0"))
CW_IMM = ((12, "5:3"), (6, "2|6"))
CD_IMM = ((12, "5:3"), (6, "7:6"))
CJ_IMM = ((12, "11|4|9:8|10|6|7|3:1|5"),)
CB_IMM = ((12, "8|4:3"), (6, "7:6|2:1|5"))

FORMATS: dict[str, Format] = {
    "none": _format(),
    "r": _format("rd,rs1,rs2", rd=RD, rs1=RS1, rs2=RS2),
    "i": _format("rd,rs1,imm", rd=RD, rs1=RS1, imm=I_IMM, signed=True),
    "unary": _format("rd,rs1", rd=RD, rs1=RS1),
    "load": _format("rd,imm(rs1)", rd=RD, rs1=RS1, imm=I_IMM, signed=True),
    "s": _format("rs2,imm(rs1)", rs1=RS1, rs2=RS2, imm=S_IMM, signed=True),
    "b": _format("rs1,rs2,target", rs1=RS1, rs2=RS2, imm=B_IMM, signed=True),
    "u": _format("rd,upper", rd=RD, imm=U_IMM, signed=True),
    "j": _format("rd,target", rd=RD, imm=J_IMM, signed=True),
    "shift": _format("rd,rs1,hex", rd=RD, rs1=RS1, imm=((25, "5:0"),)),
    "shiftw": _format("rd,rs1,hex", rd=RD, rs1=RS1, imm=((24, "4:0"),)),
    "fence": _format("pred,succ", rd=RD, rs1=RS1, imm=I_IMM),
    "fencei": _format("", rd=RD, rs1=RS1, imm=I_IMM),
    "csr": _format("rd,csr,rs1", rd=RD, rs1=RS1, imm=I_IMM),
    "csri": _format("rd,csr,zimm", rd=RD, rs1=RS1, imm=I_IMM),
    "lr": _format("rd,(rs1)", rd=RD, rs1=RS1),
    "amo": _format("rd,rs2,(rs1)", rd=RD, rs1=RS1, rs2=RS2),
    "sfence": _format("rs1,rs2", rs1=RS1, rs2=RS2),
    "cr.jr": _format(rs1=RD),
    "cr.jalr": _format(rd="x1", rs1=RD),
    "cr.mv": _format(rd=RD, rs2=C_RS2),
    "cr.add": _format(rd=RD, rs1=RD, rs2=C_RS2),
    "ci": _format(rd=RD, rs1=RD, imm=CI_IMM, signed=True),
    "ci.nop": _format(imm=CI_IMM, signed=True),
    "ci.li": _format(rd=RD, imm=CI_IMM, signed=True),
    "ci.lui": _format(rd=RD, imm=((12, "17"), (6, "16:12")), signed=True),
    "ci.sp": _format(rd="x2", rs1="x2", imm=((12, "9"), (6, "4|6|8:7|5")), signed=True),
    "ci.shift": _format(rd=RD, rs1=RD, imm=CI_IMM),
    "ci.lw": _format(rd=RD, rs1="x2", imm=((12, "5"), (6, "4:2|7:6"))),
    "ci.ld": _format(rd=RD, rs1="x2", imm=((12, "5"), (6, "4:3|8:6"))),
    "css.w": _format(rs1="x2", rs2=C_RS2, imm=((12, "5:2|7:6"),)),
    "css.d": _format(rs1="x2", rs2=C_RS2, imm=((12, "5:3|8:6"),)),
    "ciw": _format(rd=C_LOW, rs1="x2", imm=((12, "5:4|9:6|2|3"),)),
    "cl.w": _format(rd=C_LOW, rs1=C_HIGH, imm=CW_IMM),
    "cl.d": _format(rd=C_LOW, rs1=C_HIGH, imm=CD_IMM),
    "cs.w": _format(rs1=C_HIGH, rs2=C_LOW, imm=CW_IMM),
    "cs.d": _format(rs1=C_HIGH, rs2=C_LOW, imm=CD_IMM),
    "ca": _format(rd=C_HIGH, rs1=C_HIGH, rs2=C_LOW),
    "cb": _format(rs1=C_HIGH, imm=CB_IMM, signed=True),
    "cb.and": _format(rd=C_HIGH, rs1=C_HIGH, imm=CI_IMM, signed=True),
    "cb.shift": _format(rd=C_HIGH, rs1=C_HIGH, imm=CI_IMM),
    "cj": _format(imm=CJ_IMM, signed=True),
    "cj.link": _format(rd="x1", imm=CJ_IMM, signed=True),
}
