"""Operand formats: where an instruction word keeps its registers and its immediate.

A register is `HIGH:LOW` (a field), `HIGH:LOW'` (a three-bit field for x8-x15, as the C chapter
marks it), `HIGH:LOW"` (one for s0-s7, of Zcmp) or `xN` (implied by the opcode); with an `f` in
front, as `f11:7`, it is a floating-point register. An immediate is a list of (highest instruction
bit, immediate bits from there down), the bits written as in the manuals: `12|10:5`; or it is
implied by the opcode. Compressed formats give the operands of the instruction they expand to. The
syntax is the assembler's, with the operand names of `disassemble`; compressed instructions are
printed in their expanded form, if they have one.

The immediate of a floating-point computation holds what registers and constants do not: bits 4:0
rs3 (always a floating-point register) or the number of fli's constant, bits 10:8 the rounding mode
as it is encoded.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """`(word >> shift & mask) + offset`; an implied register has mask 0.

    `file` is x or f. Where it is one of s0-s7 (`is_saved`), numbers from 10 on are s2 and up: they
    are 8 more.
    """

    shift: int
    mask: int
    offset: int
    file: str
    is_saved: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """Bits of an immediate: `(word >> shift & mask) << left`."""

    shift: int
    mask: int
    left: int


@dataclass(frozen=True, slots=True)
class Format:
    """Operands of a class of instructions; `sign` is the immediate's sign bit, -1 if unsigned;
    `implied` an immediate that is no part of the word.
    """

    rd: Register
    rs1: Register
    rs2: Register
    imm: tuple[Segment, ...]
    sign: int
    syntax: str
    implied: int


def _register(text: str) -> Register:
    if text.startswith("x"):
        return Register(0, 0, int(text[1:]), "x", False)
    file, field = ("f", text[1:]) if text.startswith("f") else ("x", text)
    high, low = (int(bit) for bit in field.rstrip("'\"").split(":"))
    offset = 8 if field.endswith(("'", '"')) else 0
    return Register(low, (1 << (high - low + 1)) - 1, offset, file, field.endswith('"'))


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
    implied: int = 0,
) -> Format:
    segments = _segments(imm)
    top = max((s.left + s.mask.bit_length() - 1 for s in segments), default=-1)
    return Format(
        rd=_register(rd),
        rs1=_register(rs1),
        rs2=_register(rs2),
        imm=segments,
        sign=top if signed else -1,
        syntax=syntax,
        implied=implied,
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

#: The same fields, of floating-point registers; rounding mode; rs3 and rounding mode.
FD, FS1, FS2 = f"f{RD}", f"f{RS1}", f"f{RS2}"
RM = ((14, "10:8"),)
RS3_RM = ((31, "4:0"), (14, "10:8"))

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
    "cbo": _format("(rs1)", rs1=RS1),
    "fload": _format("rd,imm(rs1)", rd=FD, rs1=RS1, imm=I_IMM, signed=True),
    "fstore": _format("rs2,imm(rs1)", rs1=RS1, rs2=FS2, imm=S_IMM, signed=True),
    "f4": _format("rd,rs1,rs2,rs3,rm", rd=FD, rs1=FS1, rs2=FS2, imm=RS3_RM),
    "f3": _format("rd,rs1,rs2", rd=FD, rs1=FS1, rs2=FS2),
    "f3.rm": _format("rd,rs1,rs2,rm", rd=FD, rs1=FS1, rs2=FS2, imm=RM),
    "f2.rm": _format("rd,rs1,rm", rd=FD, rs1=FS1, imm=RM),
    "f2.ex": _format("rd,rs1,rm0", rd=FD, rs1=FS1, imm=RM),
    "f.cmp": _format("rd,rs1,rs2", rd=RD, rs1=FS1, rs2=FS2),
    "f.x": _format("rd,rs1", rd=RD, rs1=FS1),
    "f.x.rm": _format("rd,rs1,rm", rd=RD, rs1=FS1, imm=RM),
    "f.x.rtz": _format("rd,rs1,rtz", rd=RD, rs1=FS1),
    "x.f": _format("rd,rs1", rd=FD, rs1=RS1),
    "x.f.rm": _format("rd,rs1,rm", rd=FD, rs1=RS1, imm=RM),
    "x.f.ex": _format("rd,rs1,rm0", rd=FD, rs1=RS1, imm=RM),
    "x2.f": _format("rd,rs1,rs2", rd=FD, rs1=RS1, rs2=RS2),
    "fli": _format("rd,constant", rd=FD, imm=((19, "4:0"),)),
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
    "ci.fw": _format(rd=FD, rs1="x2", imm=((12, "5"), (6, "4:2|7:6"))),
    "ci.fd": _format(rd=FD, rs1="x2", imm=((12, "5"), (6, "4:3|8:6"))),
    "css.fw": _format(rs1="x2", rs2=f"f{C_RS2}", imm=((12, "5:2|7:6"),)),
    "css.fd": _format(rs1="x2", rs2=f"f{C_RS2}", imm=((12, "5:3|8:6"),)),
    "cl.fw": _format(rd=f"f{C_LOW}", rs1=C_HIGH, imm=CW_IMM),
    "cl.fd": _format(rd=f"f{C_LOW}", rs1=C_HIGH, imm=CD_IMM),
    "cs.fw": _format(rs1=C_HIGH, rs2=f"f{C_LOW}", imm=CW_IMM),
    "cs.fd": _format(rs1=C_HIGH, rs2=f"f{C_LOW}", imm=CD_IMM),
    "cl.b": _format(rd=C_LOW, rs1=C_HIGH, imm=((6, "0|1"),)),
    "cl.h": _format(rd=C_LOW, rs1=C_HIGH, imm=((5, "1"),)),
    "cs.b": _format(rs1=C_HIGH, rs2=C_LOW, imm=((6, "0|1"),)),
    "cs.h": _format(rs1=C_HIGH, rs2=C_LOW, imm=((5, "1"),)),
    "cu": _format(rd=C_HIGH, rs1=C_HIGH),
    "cu.byte": _format(rd=C_HIGH, rs1=C_HIGH, implied=255),
    "cu.not": _format(rd=C_HIGH, rs1=C_HIGH, implied=-1),
    "cm.push": _format("rlist,-stack", rs1="x2", imm=((7, "3:0"), (3, "5:4"))),
    "cm.pop": _format("rlist,stack", rs1="x2", imm=((7, "3:0"), (3, "5:4"))),
    "cm.mv": _format("rs1,rs2", rs1='9:7"', rs2='4:2"'),
    "cm.jt": _format("imm", imm=((9, "7:0"),)),
}
