"""Instruction encodings, a table for each extension (facts from riscv-opcodes and the manuals).

A row is `name format match mask`, then what is particular to the encoding:

* `=base`: a compressed instruction, and the instruction that it expands to; or what `base` is on
  RV32, where its encoding differs
* `nonzero:BITS`: reserved unless one of these bits is set
* `zero32:BITS`: reserved on RV32 if one of these bits is set (bit 5 of a shift amount, the odd
  registers of a pair)
* `differ:BITS`: reserved if these bits equal those five places further left (r2s' and r1s')

Hints are no rows of their own: they are the instructions that they look like, with rd = x0 (a
pause is a fence, a prefetch an ori).

The extension of a table may be a condition: `zbb/zbkb` is in both of these, `zfa+d` in a hart that
has both. `specs.isa.names.granted` tells which of them a hart has.
"""

from dataclasses import dataclass

RV32, RV64 = 32, 64
BOTH = (RV32, RV64)

#: Added to an xlen where that selects encodings (`specs.isa.decode`): those of Zcmp and Zcmt in
#: place of the ones of Zcd, with which they cannot be together. Any other xlen has Zcd.
ZCM = 128
_ONLY_ZCM, _NOT_ZCM = ("zcmp", "zcmt"), ("zcd",)
#: What an xlen that selects encodings can be, in the order of `xlen >> 6`.
SELECTIONS = (RV32, RV64, RV32 | ZCM, RV64 | ZCM)


@dataclass(frozen=True, slots=True)
class Entry:
    """One encoding: `word & mask == match`, on the given widths (`xlens`)."""

    name: str
    format: str
    match: int
    mask: int
    extension: str
    xlens: tuple[int, ...]
    expansion: str
    nonzero: int
    zero32: int
    differ: int

    @property
    def selections(self) -> tuple[int, ...]:
        """Those of `SELECTIONS` that have it."""
        other = _NOT_ZCM if self.extension in _NOT_ZCM else ()
        plain = () if self.extension in _ONLY_ZCM else self.xlens
        return plain if other else (*plain, *(xlen | ZCM for xlen in self.xlens))


def table(extension: str, xlens: tuple[int, ...], rows: str) -> tuple[Entry, ...]:
    """Parse the rows of one extension. Raises ValueError on a row that cannot be read."""
    entries = []
    for line in filter(str.strip, rows.splitlines()):
        name, format_, match, mask, *rest = line.split()
        expansion = name
        bits = {"nonzero": 0, "zero32": 0, "differ": 0}
        for item in rest:
            key, _, value = item.partition(":")
            if key.startswith("="):
                expansion = key[1:]
            elif key in bits:
                bits[key] = int(value, 16)
            else:
                raise ValueError(f"instruction table: {name}: {item!r} is not known")
        word = int(match, 16), int(mask, 16)
        entries.append(Entry(name, format_, *word, extension, xlens, expansion, **bits))
    return tuple(entries)


def _of_format(
    extension: str, xlens: tuple[int, ...], letter: str, fmt: int, rows: str
) -> tuple[Entry, ...]:
    """Rows of OP-FP for one floating-point format: `*` is its letter, `fmt` what bits 26:25 say."""
    lines = []
    for line in filter(str.strip, rows.splitlines()):
        name, format_, match, mask = line.split()
        word = int(match, 16) | fmt << 25
        lines.append(f"{name.replace('*', letter)} {format_} {word:#x} {mask}")
    return table(extension, xlens, "\n".join(lines))


I_BOTH = table(
    "i",
    BOTH,
    """
    lui         u      0x00000037 0x0000007f
    auipc       u      0x00000017 0x0000007f
    jal         j      0x0000006f 0x0000007f
    jalr        load   0x00000067 0x0000707f
    beq         b      0x00000063 0x0000707f
    bne         b      0x00001063 0x0000707f
    blt         b      0x00004063 0x0000707f
    bge         b      0x00005063 0x0000707f
    bltu        b      0x00006063 0x0000707f
    bgeu        b      0x00007063 0x0000707f
    lb          load   0x00000003 0x0000707f
    lh          load   0x00001003 0x0000707f
    lw          load   0x00002003 0x0000707f
    lbu         load   0x00004003 0x0000707f
    lhu         load   0x00005003 0x0000707f
    sb          s      0x00000023 0x0000707f
    sh          s      0x00001023 0x0000707f
    sw          s      0x00002023 0x0000707f
    addi        i      0x00000013 0x0000707f
    slti        i      0x00002013 0x0000707f
    sltiu       i      0x00003013 0x0000707f
    xori        i      0x00004013 0x0000707f
    ori         i      0x00006013 0x0000707f
    andi        i      0x00007013 0x0000707f
    slli        shift  0x00001013 0xfc00707f zero32:0x02000000
    srli        shift  0x00005013 0xfc00707f zero32:0x02000000
    srai        shift  0x40005013 0xfc00707f zero32:0x02000000
    add         r      0x00000033 0xfe00707f
    sub         r      0x40000033 0xfe00707f
    sll         r      0x00001033 0xfe00707f
    slt         r      0x00002033 0xfe00707f
    sltu        r      0x00003033 0xfe00707f
    xor         r      0x00004033 0xfe00707f
    srl         r      0x00005033 0xfe00707f
    sra         r      0x40005033 0xfe00707f
    or          r      0x00006033 0xfe00707f
    and         r      0x00007033 0xfe00707f
    fence       fence  0x0000000f 0x0000707f
    ecall       none   0x00000073 0xffffffff
    ebreak      none   0x00100073 0xffffffff
    """,
)

I_RV64 = table(
    "i",
    (RV64,),
    """
    lwu         load   0x00006003 0x0000707f
    ld          load   0x00003003 0x0000707f
    sd          s      0x00003023 0x0000707f
    addiw       i      0x0000001b 0x0000707f
    slliw       shiftw 0x0000101b 0xfe00707f
    srliw       shiftw 0x0000501b 0xfe00707f
    sraiw       shiftw 0x4000501b 0xfe00707f
    addw        r      0x0000003b 0xfe00707f
    subw        r      0x4000003b 0xfe00707f
    sllw        r      0x0000103b 0xfe00707f
    srlw        r      0x0000503b 0xfe00707f
    sraw        r      0x4000503b 0xfe00707f
    """,
)

ZMMUL_BOTH = table(
    "zmmul",
    BOTH,
    """
    mul         r      0x02000033 0xfe00707f
    mulh        r      0x02001033 0xfe00707f
    mulhsu      r      0x02002033 0xfe00707f
    mulhu       r      0x02003033 0xfe00707f
    """,
)

M_BOTH = table(
    "m",
    BOTH,
    """
    div         r      0x02004033 0xfe00707f
    divu        r      0x02005033 0xfe00707f
    rem         r      0x02006033 0xfe00707f
    remu        r      0x02007033 0xfe00707f
    """,
)

ZMMUL_RV64 = table("zmmul", (RV64,), "mulw r 0x0200003b 0xfe00707f")

M_RV64 = table(
    "m",
    (RV64,),
    """
    divw        r      0x0200403b 0xfe00707f
    divuw       r      0x0200503b 0xfe00707f
    remw        r      0x0200603b 0xfe00707f
    remuw       r      0x0200703b 0xfe00707f
    """,
)

ZALRSC_BOTH = table(
    "zalrsc",
    BOTH,
    """
    lr.w        lr     0x1000202f 0xf9f0707f
    sc.w        amo    0x1800202f 0xf800707f
    """,
)

ZALRSC_RV64 = table(
    "zalrsc",
    (RV64,),
    """
    lr.d        lr     0x1000302f 0xf9f0707f
    sc.d        amo    0x1800302f 0xf800707f
    """,
)

ZAAMO_BOTH = table(
    "zaamo",
    BOTH,
    """
    amoswap.w   amo    0x0800202f 0xf800707f
    amoadd.w    amo    0x0000202f 0xf800707f
    amoxor.w    amo    0x2000202f 0xf800707f
    amoand.w    amo    0x6000202f 0xf800707f
    amoor.w     amo    0x4000202f 0xf800707f
    amomin.w    amo    0x8000202f 0xf800707f
    amomax.w    amo    0xa000202f 0xf800707f
    amominu.w   amo    0xc000202f 0xf800707f
    amomaxu.w   amo    0xe000202f 0xf800707f
    """,
)

ZAAMO_RV64 = table(
    "zaamo",
    (RV64,),
    """
    amoswap.d   amo    0x0800302f 0xf800707f
    amoadd.d    amo    0x0000302f 0xf800707f
    amoxor.d    amo    0x2000302f 0xf800707f
    amoand.d    amo    0x6000302f 0xf800707f
    amoor.d     amo    0x4000302f 0xf800707f
    amomin.d    amo    0x8000302f 0xf800707f
    amomax.d    amo    0xa000302f 0xf800707f
    amominu.d   amo    0xc000302f 0xf800707f
    amomaxu.d   amo    0xe000302f 0xf800707f
    """,
)

ZICSR = table(
    "zicsr",
    BOTH,
    """
    csrrw       csr    0x00001073 0x0000707f
    csrrs       csr    0x00002073 0x0000707f
    csrrc       csr    0x00003073 0x0000707f
    csrrwi      csri   0x00005073 0x0000707f
    csrrsi      csri   0x00006073 0x0000707f
    csrrci      csri   0x00007073 0x0000707f
    """,
)

ZIFENCEI = table(
    "zifencei",
    BOTH,
    """
    fence.i     fencei 0x0000100f 0x0000707f
    """,
)

ZBA_BOTH = table(
    "zba",
    BOTH,
    """
    sh1add      r      0x20002033 0xfe00707f
    sh2add      r      0x20004033 0xfe00707f
    sh3add      r      0x20006033 0xfe00707f
    """,
)

ZBA_RV64 = table(
    "zba",
    (RV64,),
    """
    add.uw      r      0x0800003b 0xfe00707f
    sh1add.uw   r      0x2000203b 0xfe00707f
    sh2add.uw   r      0x2000403b 0xfe00707f
    sh3add.uw   r      0x2000603b 0xfe00707f
    slli.uw     shift  0x0800101b 0xfc00707f
    """,
)

ZBB_BOTH = table(
    "zbb",
    BOTH,
    """
    clz         unary  0x60001013 0xfff0707f
    ctz         unary  0x60101013 0xfff0707f
    cpop        unary  0x60201013 0xfff0707f
    max         r      0x0a006033 0xfe00707f
    maxu        r      0x0a007033 0xfe00707f
    min         r      0x0a004033 0xfe00707f
    minu        r      0x0a005033 0xfe00707f
    sext.b      unary  0x60401013 0xfff0707f
    sext.h      unary  0x60501013 0xfff0707f
    orc.b       unary  0x28705013 0xfff0707f
    """,
)

ZBB_ZBKB_BOTH = table(
    "zbb/zbkb",
    BOTH,
    """
    andn        r      0x40007033 0xfe00707f
    orn         r      0x40006033 0xfe00707f
    xnor        r      0x40004033 0xfe00707f
    rol         r      0x60001033 0xfe00707f
    ror         r      0x60005033 0xfe00707f
    rori        shift  0x60005013 0xfc00707f zero32:0x02000000
    """,
)

#: In Zbkb, zext.h is pack (on RV64 packw) of x0.
ZBB_ZBKB_RV32 = table(
    "zbb/zbkb",
    (RV32,),
    """
    zext.h.rv32 unary  0x08004033 0xfff0707f =zext.h
    rev8.rv32   unary  0x69805013 0xfff0707f =rev8
    """,
)

ZBB_RV64 = table(
    "zbb",
    (RV64,),
    """
    clzw        unary  0x6000101b 0xfff0707f
    ctzw        unary  0x6010101b 0xfff0707f
    cpopw       unary  0x6020101b 0xfff0707f
    """,
)

ZBB_ZBKB_RV64 = table(
    "zbb/zbkb",
    (RV64,),
    """
    rolw        r      0x6000103b 0xfe00707f
    rorw        r      0x6000503b 0xfe00707f
    roriw       shiftw 0x6000501b 0xfe00707f
    zext.h      unary  0x0800403b 0xfff0707f
    rev8        unary  0x6b805013 0xfff0707f
    """,
)

ZBKB_BOTH = table(
    "zbkb",
    BOTH,
    """
    pack        r      0x08004033 0xfe00707f
    packh       r      0x08007033 0xfe00707f
    brev8       unary  0x68705013 0xfff0707f
    """,
)

ZBKB_RV32 = table(
    "zbkb",
    (RV32,),
    """
    zip         unary  0x08f01013 0xfff0707f
    unzip       unary  0x08f05013 0xfff0707f
    """,
)

ZBKB_RV64 = table("zbkb", (RV64,), "packw r 0x0800403b 0xfe00707f")

ZBKX = table(
    "zbkx",
    BOTH,
    """
    xperm4      r      0x28002033 0xfe00707f
    xperm8      r      0x28004033 0xfe00707f
    """,
)

ZBKC = table(
    "zbkc",
    BOTH,
    """
    clmul       r      0x0a001033 0xfe00707f
    clmulh      r      0x0a003033 0xfe00707f
    """,
)

ZBC = table("zbc", BOTH, "clmulr r 0x0a002033 0xfe00707f")

ZBS = table(
    "zbs",
    BOTH,
    """
    bclr        r      0x48001033 0xfe00707f
    bext        r      0x48005033 0xfe00707f
    binv        r      0x68001033 0xfe00707f
    bset        r      0x28001033 0xfe00707f
    bclri       shift  0x48001013 0xfc00707f zero32:0x02000000
    bexti       shift  0x48005013 0xfc00707f zero32:0x02000000
    binvi       shift  0x68001013 0xfc00707f zero32:0x02000000
    bseti       shift  0x28001013 0xfc00707f zero32:0x02000000
    """,
)

ZICOND = table(
    "zicond",
    BOTH,
    """
    czero.eqz   r      0x0e005033 0xfe00707f
    czero.nez   r      0x0e007033 0xfe00707f
    """,
)

ZACAS_BOTH = table(
    "zacas",
    BOTH,
    """
    amocas.w    amo    0x2800202f 0xf800707f
    amocas.d    amo    0x2800302f 0xf800707f zero32:0x00100080
    """,
)

#: Of pairs, whose registers are even.
ZACAS_RV64 = table("zacas", (RV64,), "amocas.q amo 0x2800402f 0xf81070ff")

ZABHA = table(
    "zabha",
    BOTH,
    """
    amoswap.b   amo    0x0800002f 0xf800707f
    amoadd.b    amo    0x0000002f 0xf800707f
    amoxor.b    amo    0x2000002f 0xf800707f
    amoand.b    amo    0x6000002f 0xf800707f
    amoor.b     amo    0x4000002f 0xf800707f
    amomin.b    amo    0x8000002f 0xf800707f
    amomax.b    amo    0xa000002f 0xf800707f
    amominu.b   amo    0xc000002f 0xf800707f
    amomaxu.b   amo    0xe000002f 0xf800707f
    amoswap.h   amo    0x0800102f 0xf800707f
    amoadd.h    amo    0x0000102f 0xf800707f
    amoxor.h    amo    0x2000102f 0xf800707f
    amoand.h    amo    0x6000102f 0xf800707f
    amoor.h     amo    0x4000102f 0xf800707f
    amomin.h    amo    0x8000102f 0xf800707f
    amomax.h    amo    0xa000102f 0xf800707f
    amominu.h   amo    0xc000102f 0xf800707f
    amomaxu.h   amo    0xe000102f 0xf800707f
    """,
)

ZABHA_ZACAS = table(
    "zabha+zacas",
    BOTH,
    """
    amocas.b    amo    0x2800002f 0xf800707f
    amocas.h    amo    0x2800102f 0xf800707f
    """,
)

ZAWRS = table(
    "zawrs",
    BOTH,
    """
    wrs.nto     none   0x00d00073 0xffffffff
    wrs.sto     none   0x01d00073 0xffffffff
    """,
)

ZICBOM = table(
    "zicbom",
    BOTH,
    """
    cbo.inval   cbo    0x0000200f 0xfff07fff
    cbo.clean   cbo    0x0010200f 0xfff07fff
    cbo.flush   cbo    0x0020200f 0xfff07fff
    """,
)

ZICBOZ = table("zicboz", BOTH, "cbo.zero cbo 0x0040200f 0xfff07fff")


def _mop_r(number: int) -> str:
    bits = (number >> 4) << 30 | (number >> 2 & 3) << 26 | (number & 3) << 20
    return f"mop.r.{number} unary {0x81C04073 | bits:#x} 0xfff0707f"


def _mop_rr(number: int) -> str:
    bits = (number >> 2) << 30 | (number & 3) << 26
    return f"mop.rr.{number} r {0x82004073 | bits:#x} 0xfe00707f"


#: May-be-operations: they write 0.
ZIMOP = table("zimop", BOTH, "\n".join(_mop_r(n) for n in range(32))) + table(
    "zimop", BOTH, "\n".join(_mop_rr(n) for n in range(8))
)

#: Of every floating-point format.
_FLOATING = """
    fmadd.*     f4     0x00000043 0x0600007f
    fmsub.*     f4     0x00000047 0x0600007f
    fnmsub.*    f4     0x0000004b 0x0600007f
    fnmadd.*    f4     0x0000004f 0x0600007f
    fadd.*      f3.rm  0x00000053 0xfe00007f
    fsub.*      f3.rm  0x08000053 0xfe00007f
    fmul.*      f3.rm  0x10000053 0xfe00007f
    fdiv.*      f3.rm  0x18000053 0xfe00007f
    fsqrt.*     f2.rm  0x58000053 0xfff0007f
    fsgnj.*     f3     0x20000053 0xfe00707f
    fsgnjn.*    f3     0x20001053 0xfe00707f
    fsgnjx.*    f3     0x20002053 0xfe00707f
    fmin.*      f3     0x28000053 0xfe00707f
    fmax.*      f3     0x28001053 0xfe00707f
    fcvt.w.*    f.x.rm 0xc0000053 0xfff0007f
    fcvt.wu.*   f.x.rm 0xc0100053 0xfff0007f
    fle.*       f.cmp  0xa0000053 0xfe00707f
    flt.*       f.cmp  0xa0001053 0xfe00707f
    feq.*       f.cmp  0xa0002053 0xfe00707f
    fclass.*    f.x    0xe0001053 0xfff0707f
"""
_FLOATING_RV64 = """
    fcvt.l.*    f.x.rm 0xc0200053 0xfff0007f
    fcvt.lu.*   f.x.rm 0xc0300053 0xfff0007f
    fcvt.*.l    x.f.rm 0xd0200053 0xfff0007f
    fcvt.*.lu   x.f.rm 0xd0300053 0xfff0007f
"""
#: From the words of 32 bits: exact in double precision.
_FROM_WORD = """
    fcvt.*.w    x.f.rm 0xd0000053 0xfff0007f
    fcvt.*.wu   x.f.rm 0xd0100053 0xfff0007f
"""

F_BOTH = _of_format("f", BOTH, "s", 0, _FLOATING + _FROM_WORD) + table(
    "f",
    BOTH,
    """
    flw         fload  0x00002007 0x0000707f
    fsw         fstore 0x00002027 0x0000707f
    fmv.x.w     f.x    0xe0000053 0xfff0707f
    fmv.w.x     x.f    0xf0000053 0xfff0707f
    """,
)
F_RV64 = _of_format("f", (RV64,), "s", 0, _FLOATING_RV64)

D_BOTH = _of_format("d", BOTH, "d", 1, _FLOATING) + table(
    "d",
    BOTH,
    """
    fld         fload  0x00003007 0x0000707f
    fsd         fstore 0x00003027 0x0000707f
    fcvt.s.d    f2.rm  0x40100053 0xfff0007f
    fcvt.d.s    f2.ex  0x42000053 0xfff0007f
    fcvt.d.w    x.f.ex 0xd2000053 0xfff0007f
    fcvt.d.wu   x.f.ex 0xd2100053 0xfff0007f
    """,
)
D_RV64 = _of_format("d", (RV64,), "d", 1, _FLOATING_RV64) + table(
    "d",
    (RV64,),
    """
    fmv.x.d     f.x    0xe2000053 0xfff0707f
    fmv.d.x     x.f    0xf2000053 0xfff0707f
    """,
)

ZFHMIN = table(
    "zfhmin",
    BOTH,
    """
    flh         fload  0x00001007 0x0000707f
    fsh         fstore 0x00001027 0x0000707f
    fmv.x.h     f.x    0xe4000053 0xfff0707f
    fmv.h.x     x.f    0xf4000053 0xfff0707f
    fcvt.s.h    f2.ex  0x40200053 0xfff0007f
    fcvt.h.s    f2.rm  0x44000053 0xfff0007f
    """,
)
ZFHMIN_D = table(
    "zfhmin+d",
    BOTH,
    """
    fcvt.d.h    f2.ex  0x42200053 0xfff0007f
    fcvt.h.d    f2.rm  0x44100053 0xfff0007f
    """,
)
ZFH_BOTH = _of_format("zfh", BOTH, "h", 2, _FLOATING + _FROM_WORD)
ZFH_RV64 = _of_format("zfh", (RV64,), "h", 2, _FLOATING_RV64)

_ZFA = """
    fli.*       fli    0xf0100053 0xfff0707f
    fminm.*     f3     0x28002053 0xfe00707f
    fmaxm.*     f3     0x28003053 0xfe00707f
    fround.*    f2.rm  0x40400053 0xfff0007f
    froundnx.*  f2.rm  0x40500053 0xfff0007f
    fleq.*      f.cmp  0xa0004053 0xfe00707f
    fltq.*      f.cmp  0xa0005053 0xfe00707f
"""
ZFA = (
    _of_format("zfa", BOTH, "s", 0, _ZFA)
    + _of_format("zfa+d", BOTH, "d", 1, _ZFA + "fcvtmod.w.* f.x.rtz 0xc0801053 0xfff0707f")
    + _of_format("zfa+zfh", BOTH, "h", 2, _ZFA)
    + table(
        "zfa+d",
        (RV32,),
        "fmvh.x.d f.x 0xe2100053 0xfff0707f\nfmvp.d.x x2.f 0xb2000053 0xfe00707f",
    )
)

#: Instructions of the privileged architecture; the extension names who must have them.
SYSTEM = (
    table("system", BOTH, "mret none 0x30200073 0xffffffff\nwfi none 0x10500073 0xffffffff")
    + table("s", BOTH, "sret none 0x10200073 0xffffffff\nsfence.vma sfence 0x12000073 0xfe007fff")
    + table(
        "svinval",
        BOTH,
        """
    sinval.vma      sfence 0x16000073 0xfe007fff
    sfence.w.inval  none   0x18000073 0xffffffff
    sfence.inval.ir none   0x18100073 0xffffffff
    """,
    )
    + table("sdext", BOTH, "dret none 0x7b200073 0xffffffff")
    + table("smrnmi", BOTH, "mnret none 0x70200073 0xffffffff")
    # Withdrawn, but E-Trace still names it among the returns.
    + table("n", BOTH, "uret none 0x00200073 0xffffffff")
)

C_BOTH = table(
    "c",
    BOTH,
    """
    c.addi4spn  ciw      0x0000 0xe003 =addi   nonzero:0x1fe0
    c.lw        cl.w     0x4000 0xe003 =lw
    c.sw        cs.w     0xc000 0xe003 =sw
    c.nop       ci.nop   0x0001 0xef83 =addi
    c.addi      ci       0x0001 0xe003 =addi
    c.li        ci.li    0x4001 0xe003 =addi
    c.addi16sp  ci.sp    0x6101 0xef83 =addi   nonzero:0x107c
    c.lui       ci.lui   0x6001 0xe003 =lui    nonzero:0x107c
    c.srli      cb.shift 0x8001 0xec03 =srli   zero32:0x1000
    c.srai      cb.shift 0x8401 0xec03 =srai   zero32:0x1000
    c.andi      cb.and   0x8801 0xec03 =andi
    c.sub       ca       0x8c01 0xfc63 =sub
    c.xor       ca       0x8c21 0xfc63 =xor
    c.or        ca       0x8c41 0xfc63 =or
    c.and       ca       0x8c61 0xfc63 =and
    c.j         cj       0xa001 0xe003 =jal
    c.beqz      cb       0xc001 0xe003 =beq
    c.bnez      cb       0xe001 0xe003 =bne
    c.slli      ci.shift 0x0002 0xe003 =slli   zero32:0x1000
    c.lwsp      ci.lw    0x4002 0xe003 =lw     nonzero:0x0f80
    c.jr        cr.jr    0x8002 0xf07f =jalr   nonzero:0x0f80
    c.mv        cr.mv    0x8002 0xf003 =add    nonzero:0x007c
    c.ebreak    none     0x9002 0xffff =ebreak
    c.jalr      cr.jalr  0x9002 0xf07f =jalr   nonzero:0x0f80
    c.add       cr.add   0x9002 0xf003 =add    nonzero:0x007c
    c.swsp      css.w    0xc002 0xe003 =sw
    """,
)

C_RV32 = table("c", (RV32,), "c.jal cj.link 0x2001 0xe003 =jal")

C_RV64 = table(
    "c",
    (RV64,),
    """
    c.ld        cl.d     0x6000 0xe003 =ld
    c.sd        cs.d     0xe000 0xe003 =sd
    c.addiw     ci       0x2001 0xe003 =addiw  nonzero:0x0f80
    c.subw      ca       0x9c01 0xfc63 =subw
    c.addw      ca       0x9c21 0xfc63 =addw
    c.ldsp      ci.ld    0x6002 0xe003 =ld     nonzero:0x0f80
    c.sdsp      css.d    0xe002 0xe003 =sd
    """,
)

ZCF = table(
    "zcf",
    (RV32,),
    """
    c.flw       cl.fw    0x6000 0xe003 =flw
    c.fsw       cs.fw    0xe000 0xe003 =fsw
    c.flwsp     ci.fw    0x6002 0xe003 =flw
    c.fswsp     css.fw   0xe002 0xe003 =fsw
    """,
)

ZCD = table(
    "zcd",
    BOTH,
    """
    c.fld       cl.fd    0x2000 0xe003 =fld
    c.fsd       cs.fd    0xa000 0xe003 =fsd
    c.fldsp     ci.fd    0x2002 0xe003 =fld
    c.fsdsp     css.fd   0xa002 0xe003 =fsd
    """,
)

ZCB = (
    table(
        "zcb",
        BOTH,
        """
    c.lbu       cl.b     0x8000 0xfc03 =lbu
    c.lhu       cl.h     0x8400 0xfc43 =lhu
    c.lh        cl.h     0x8440 0xfc43 =lh
    c.sb        cs.b     0x8800 0xfc03 =sb
    c.sh        cs.h     0x8c00 0xfc43 =sh
    c.zext.b    cu.byte  0x9c61 0xfc7f =andi
    c.not       cu.not   0x9c75 0xfc7f =xori
    """,
    )
    + table("zcb+zmmul", BOTH, "c.mul ca 0x9c41 0xfc63 =mul")
    + table(
        "zcb+zbb",
        BOTH,
        """
    c.sext.b    cu       0x9c65 0xfc7f =sext.b
    c.zext.h    cu       0x9c69 0xfc7f =zext.h
    c.sext.h    cu       0x9c6d 0xfc7f =sext.h
    """,
    )
    + table("zcb+zba", (RV64,), "c.zext.w cu 0x9c71 0xfc7f =add.uw")
)

#: They do nothing; another extension may give them a meaning.
ZCMOP = table(
    "zcmop",
    BOTH,
    "\n".join(f"c.mop.{n} none {0x6001 | n << 7:#x} 0xffff =addi" for n in range(1, 16, 2)),
)

ZCMP = table(
    "zcmp",
    BOTH,
    """
    cm.push     cm.push  0xb802 0xff03 nonzero:0x00c0
    cm.pop      cm.pop   0xba02 0xff03 nonzero:0x00c0
    cm.popretz  cm.pop   0xbc02 0xff03 nonzero:0x00c0
    cm.popret   cm.pop   0xbe02 0xff03 nonzero:0x00c0
    cm.mvsa01   cm.mv    0xac22 0xfc63 differ:0x001c
    cm.mva01s   cm.mv    0xac62 0xfc63
    """,
)

ZCMT = table(
    "zcmt",
    BOTH,
    """
    cm.jt       cm.jt    0xa002 0xff83
    cm.jalt     cm.jt    0xa002 0xfc03 nonzero:0x0380
    """,
)

#: Every encoding. An instruction's index in `decode` is its position here.
ENTRIES: tuple[Entry, ...] = (
    *(*I_BOTH, *I_RV64, *ZMMUL_BOTH, *ZMMUL_RV64, *M_BOTH, *M_RV64),
    *(*ZALRSC_BOTH, *ZALRSC_RV64, *ZAAMO_BOTH, *ZAAMO_RV64, *ZACAS_BOTH, *ZACAS_RV64),
    *(*ZABHA, *ZABHA_ZACAS, *ZAWRS),
    *(*ZICSR, *ZIFENCEI, *ZICBOM, *ZICBOZ, *ZICOND, *ZIMOP),
    *(*ZBA_BOTH, *ZBA_RV64, *ZBB_BOTH, *ZBB_RV64, *ZBS, *ZBC),
    *(*ZBB_ZBKB_BOTH, *ZBB_ZBKB_RV32, *ZBB_ZBKB_RV64),
    *(*ZBKB_BOTH, *ZBKB_RV32, *ZBKB_RV64, *ZBKC, *ZBKX),
    *(*F_BOTH, *F_RV64, *D_BOTH, *D_RV64),
    *(*ZFHMIN, *ZFHMIN_D, *ZFH_BOTH, *ZFH_RV64, *ZFA),
    *SYSTEM,
    *(*C_BOTH, *C_RV32, *C_RV64, *ZCF, *ZCD, *ZCB, *ZCMOP, *ZCMP, *ZCMT),
)
