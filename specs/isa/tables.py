"""Instruction encodings, a table for each extension (facts from riscv-opcodes and the manuals).

A row is `name format match mask`, then what is particular to the encoding:

* `=base`: a compressed instruction, and the instruction that it expands to; or what `base` is on
  RV32, where its encoding differs
* `nonzero:BITS`: reserved unless one of these bits is set
* `zero32:BITS`: reserved on RV32 if one of these bits is set (bit 5 of a shift amount)

Hints are no rows of their own: they are the instructions that they look like, with rd = x0.
"""

from dataclasses import dataclass

RV32, RV64 = 32, 64
BOTH = (RV32, RV64)


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


def table(extension: str, xlens: tuple[int, ...], rows: str) -> tuple[Entry, ...]:
    """Parse the rows of one extension. Raises ValueError on a row that cannot be read."""
    entries = []
    for line in rows.strip().splitlines():
        name, format_, match, mask, *rest = line.split()
        expansion, nonzero, zero32 = name, 0, 0
        for item in rest:
            key, _, value = item.partition(":")
            if key.startswith("="):
                expansion = key[1:]
            elif key == "nonzero":
                nonzero = int(value, 16)
            elif key == "zero32":
                zero32 = int(value, 16)
            else:
                raise ValueError(f"instruction table: {name}: {item!r} is not known")
        bits = int(match, 16), int(mask, 16)
        entries.append(Entry(name, format_, *bits, extension, xlens, expansion, nonzero, zero32))
    return tuple(entries)


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

M_BOTH = table(
    "m",
    BOTH,
    """
    mul         r      0x02000033 0xfe00707f
    mulh        r      0x02001033 0xfe00707f
    mulhsu      r      0x02002033 0xfe00707f
    mulhu       r      0x02003033 0xfe00707f
    div         r      0x02004033 0xfe00707f
    divu        r      0x02005033 0xfe00707f
    rem         r      0x02006033 0xfe00707f
    remu        r      0x02007033 0xfe00707f
    """,
)

M_RV64 = table(
    "m",
    (RV64,),
    """
    mulw        r      0x0200003b 0xfe00707f
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
    andn        r      0x40007033 0xfe00707f
    orn         r      0x40006033 0xfe00707f
    xnor        r      0x40004033 0xfe00707f
    clz         unary  0x60001013 0xfff0707f
    ctz         unary  0x60101013 0xfff0707f
    cpop        unary  0x60201013 0xfff0707f
    max         r      0x0a006033 0xfe00707f
    maxu        r      0x0a007033 0xfe00707f
    min         r      0x0a004033 0xfe00707f
    minu        r      0x0a005033 0xfe00707f
    sext.b      unary  0x60401013 0xfff0707f
    sext.h      unary  0x60501013 0xfff0707f
    rol         r      0x60001033 0xfe00707f
    ror         r      0x60005033 0xfe00707f
    rori        shift  0x60005013 0xfc00707f zero32:0x02000000
    orc.b       unary  0x28705013 0xfff0707f
    """,
)

ZBB_RV32 = table(
    "zbb",
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
    rolw        r      0x6000103b 0xfe00707f
    rorw        r      0x6000503b 0xfe00707f
    roriw       shiftw 0x6000501b 0xfe00707f
    zext.h      unary  0x0800403b 0xfff0707f
    rev8        unary  0x6b805013 0xfff0707f
    """,
)

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

#: Instructions of the privileged architecture; the extension names who must have them.
SYSTEM = (
    table("system", BOTH, "mret none 0x30200073 0xffffffff\nwfi none 0x10500073 0xffffffff")
    + table("s", BOTH, "sret none 0x10200073 0xffffffff\nsfence.vma sfence 0x12000073 0xfe007fff")
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

#: Names in ISA strings that stand for extensions of these tables. (What zmmul has is in m; the
#: counters of zicntr and zihpm are CSRs.)
NAMED: dict[str, tuple[str, ...]] = {
    "a": ("zaamo", "zalrsc"),
    "b": ("zba", "zbb", "zbs"),
    "zca": ("c",),
    "zicntr": (),
    "zihpm": (),
    "zmmul": (),
}
#: What a bit of misa stands for, where it is set: all of these.
MISA: dict[str, tuple[str, ...]] = {
    "a": NAMED["a"],
    "b": NAMED["b"],
    "c": ("c",),
    "i": ("i",),
    "m": ("m",),
}

#: Every encoding. An instruction's index in `decode` is its position here.
ENTRIES: tuple[Entry, ...] = (
    I_BOTH
    + I_RV64
    + M_BOTH
    + M_RV64
    + ZALRSC_BOTH
    + ZALRSC_RV64
    + ZAAMO_BOTH
    + ZAAMO_RV64
    + ZICSR
    + ZIFENCEI
    + ZBA_BOTH
    + ZBA_RV64
    + ZBB_BOTH
    + ZBB_RV32
    + ZBB_RV64
    + ZBS
    + ZICOND
    + SYSTEM
    + C_BOTH
    + C_RV32
    + C_RV64
)
