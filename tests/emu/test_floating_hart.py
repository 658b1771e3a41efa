"""Floating point as a hart has it: registers, fcsr, mstatus.FS, loads and stores. What is computed
is the business of test_softfloat.
"""

import inspect
import struct
import zlib

import numpy as np
import pytest

from specs.interfaces.events import EXCEPTION
from specs.isa.encode import encode
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES, Entry
from tests.emu.build import DATA, dwords
from tests.emu.float_cases import Draw
from tests.emu.float_oracle import DOUBLE, FORMS, HALF, RANGES, SINGLE, oracle_of, value_oracle_of
from tests.emu.levels import FS, Levels, M, S, U

XLEN = pytest.mark.parametrize("xlen", [32, 64])
ILLEGAL = 2
INITIAL, CLEAN, DIRTY = 1 << 13, 2 << 13, 3 << 13
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
ONES = (1 << 64) - 1
RESULTS = DATA + 0x8000
#: They compare, classify, convert or move to x registers.
TO_X = ("feq", "flt", "fle", "fltq", "fleq", "fclass", "fcvtmod", "fmvh")
NO_ROUNDING = ("fsgnj", "fsgnjn", "fsgnjx", "fmin", "fmax", "fminm", "fmaxm", "fmv", "fmvp", "fli")
EXACT = ("fcvt.d.s", "fcvt.d.h", "fcvt.s.h", "fcvt.d.w", "fcvt.d.wu")


def of_hart(xlen: int) -> list[Entry]:
    """All floating-point instructions, loads, stores and compressed ones too."""
    names = ("f", "d", "zfh", "zfhmin", "zfa", "zcf", "zcd")
    return [e for e in ENTRIES if e.extension.partition("+")[0] in names and xlen in e.xlens]


def parts_of(name: str) -> tuple[str, list[str]]:
    operation, *types = name.split(".")
    return operation, types


def writes_x(name: str) -> bool:
    operation, types = parts_of(name)
    return operation in TO_X or (operation == "fmv" and types[0] == "x") or (
        operation == "fcvt" and types[0] in RANGES
    )  # fmt: skip


def reads_x(name: str) -> bool:
    operation, types = parts_of(name)
    return operation == "fmvp" or (operation == "fmv" and types[1] == "x") or (
        operation == "fcvt" and types[1] in RANGES
    )  # fmt: skip


def is_access(name: str) -> bool:
    return name.lstrip("c.").startswith(("fl", "fs")) and name.lstrip("c.")[2:] in (
        "w", "d", "h", "wsp", "dsp",
    )  # fmt: skip


def computations(xlen: int) -> list[str]:
    return [e.name for e in of_hart(xlen) if not is_access(e.name)]


def word_of(entry: Entry) -> int:
    """With register 8 wherever there is one, but x5 where it writes an x register."""
    layout = FORMATS[entry.format]
    registers = {r: 8 for r in ("rd", "rs1", "rs2") if getattr(layout, r).mask}
    if writes_x(entry.name):
        registers["rd"] = 5
    return encode(entry.name, **registers)


class Floating(Levels):
    def __init__(self, xlen: int) -> None:
        super().__init__(xlen)
        self.skip_faults()
        self.li(8, DATA + 0x100)
        self.li(2, DATA + 0x200)

    def state(self, fs: int) -> None:
        self.status(fs, FS)

    def one(self, word: int) -> None:
        self.raw(word, 4 if word & 3 == 3 else 2)
        if word & 3 != 3:
            self.c_nop()


@XLEN
def test_all_of_it_is_illegal_while_it_is_off(xlen: int) -> None:
    """The same code, with mstatus.FS off, on, and off again; and the registers of fcsr."""
    a = Floating(xlen)
    entries = of_hart(xlen)
    words = [word_of(entry) for entry in entries]
    words += [encode("csrrs", rd=5, imm=n) for n in (1, 2, 3)]
    words += [encode("csrrw", rs1=0, imm=n) for n in (1, 2, 3)]
    a.jal(rd=0, to="main")
    a.label("all")
    first = a.at
    for word in words:
        a.one(word)
    a.jalr(rs1=7)
    a.label("main")
    a.li(6, first)
    turns = []
    for fs in (0, CLEAN, INITIAL, 0, DIRTY):
        for level in (M, S, U):
            a.li(8, DATA + 0x100)
            a.li(2, DATA + 0x200)
            a.state(fs)
            with a.part(level) as part:
                a.jalr(rd=7, rs1=6)
            turns.append((part, fs))
    a.exit()
    a.observe()
    calls = [n for n, e in enumerate(a.events) if e.cause in (8, 9, 11)]
    begin = 0
    want = [(first + 4 * n, word) for n, word in enumerate(words)]
    for (_, fs), end in zip(turns, calls, strict=True):
        faults = [e for e in a.events[begin:end] if e.kind == EXCEPTION]
        assert all(e.cause == ILLEGAL for e in faults)
        got = [(e.from_pc, e.tval) for e in faults]
        assert got == ([] if fs else want)
        begin = end + 1
    assert len(words) > (120 if xlen == 64 else 110)


@XLEN
def test_what_makes_it_dirty(xlen: int) -> None:
    """What writes an f register or fcsr, or raises a flag; nothing else."""
    a = Floating(xlen)
    wanted = []
    a.li(9, RESULTS)

    def case(what: str, dirty: bool, *words: int) -> None:
        for fs in (INITIAL, CLEAN):
            a.state(DIRTY)
            a.csr("fcsr", write=0)
            a.state(fs)
            for word in words:
                a.one(word)
            a.csr("mstatus", rd=5)
            a.sw(rs1=9, rs2=5, imm=0)
            a.addi(rd=9, rs1=9, imm=4)
            wanted.append((what, fs, dirty))

    a.state(DIRTY)
    a.addi(rd=5, rs1=0, imm=1)
    a.fcvt_d_w(rd=8, rs1=5)
    for entry in of_hart(xlen):
        name = entry.name
        store = is_access(name) and name.lstrip("c.").startswith("fs")
        if is_access(name) or name == "fcvtmod.w.d":
            case(name, not store and is_access(name), word_of(entry))
            continue
        # operands without flags: zeros of the format, or a box that is good
        a.state(DIRTY)
        _, types = parts_of(name)
        kind = types[-1] if types[-1] in FORMS else types[0]
        a.addi(rd=8, rs1=0, imm=0)
        convert = {"s": "fmv_w_x", "h": "fmv_h_x"}.get(kind)
        if convert:
            getattr(a, convert)(rd=8, rs1=0)
        else:
            a.fcvt_d_w(rd=8, rs1=0)
        divides = parts_of(name)[0] == "fdiv"
        case(name, not writes_x(name) or divides, word_of(entry))
        a.li(8, DATA + 0x100)
    # flags alone
    a.state(DIRTY)
    a.li(5, 0x3FC0_0000)  # 1.5
    a.fmv_w_x(rd=8, rs1=5)
    a.li(5, 0x7F80_0001)  # a signaling NaN
    a.fmv_w_x(rd=9, rs1=5)
    for name, rs1, rs2, dirty in (("fcvt.w.s", 8, 0, True), ("feq.s", 8, 8, False),
                                  ("feq.s", 8, 9, True), ("fle.s", 8, 8, False)):  # fmt: skip
        registers = {"rs2": rs2} if rs2 else {}
        case(f"{name} {rs1} {rs2}", dirty, encode(name, rd=6, rs1=rs1, **registers))
    for what, dirty, word in (
        ("read fcsr", False, encode("csrrs", rd=5, imm=3)),
        ("read frm", False, encode("csrrci", rd=5, rs1=0, imm=2)),
        ("write fflags", True, encode("csrrwi", rs1=0, imm=1)),
        ("write frm", True, encode("csrrsi", rs1=1, imm=2)),
        ("write fcsr", True, encode("csrrwi", rs1=31, imm=3)),
        ("something else", False, encode("addi", rd=5, rs1=5, imm=0)),
    ):
        case(what, dirty, word)
    a.exit()
    machine = a.observe()
    assert machine.trap_counts == {}
    for n, (what, fs, dirty) in enumerate(wanted):
        got = machine.memory.read(RESULTS + 4 * n, 4) & FS
        assert got == (DIRTY if dirty else fs), (what, fs >> 13)


@XLEN
def test_rounding_modes_that_there_are_not(xlen: int) -> None:
    """5 and 6 in the instruction; 5, 6, 7 in frm where the instruction says dynamic (7)."""
    a = Floating(xlen)
    a.state(DIRTY)
    rounding = [n for n in computations(xlen)
                if parts_of(n)[0] not in (*NO_ROUNDING, *TO_X) and n not in EXACT]  # fmt: skip
    assert len(rounding) > 40
    parts = []
    for frm in range(8):
        a.addi(rd=5, rs1=0, imm=frm)
        a.csr("frm", write=5)
        for name in rounding:
            for rm in range(8):
                word = encode(name, rd=5 if writes_x(name) else 8, imm=rm << 8)
                parts.append((frm, rm, name, word, a.raw(word, 4)))
        # what does not round is not concerned
        for name in ("fsgnj.s", "fmin.d", "feq.h", "fclass.s", "fmv.x.w"):
            word = encode(name, rd=5 if writes_x(name) else 8)
            parts.append((frm, 0, name, word, a.raw(word, 4)))
        a.csr("frm", rd=5)
    a.exit()
    machine = a.observe()
    illegal = {e.from_pc: e.tval for e in a.events if e.kind == EXCEPTION and e.cause == ILLEGAL}
    assert machine.trap_counts == {(False, ILLEGAL): len(illegal)}
    for frm, rm, name, word, at in parts:
        bad = rm in (5, 6) or (rm == 7 and frm > 4)
        assert illegal.get(at) == (word if bad else None), (frm, rm, name)


@XLEN
def test_fcsr_and_its_views(xlen: int) -> None:
    a = Floating(xlen)
    a.state(DIRTY)
    a.addi(rd=5, rs1=0, imm=-1)
    a.csr("fcsr", write=5)
    for n, name in enumerate(("fcsr", "frm", "fflags")):
        a.csr(name, rd=10 + n)
    a.csr("fflags", write=0)
    a.csr("fcsr", rd=13)
    a.addi(rd=6, rs1=0, imm=0x3A)  # what is above its bits does not count
    a.csr("frm", write=6)
    a.csr("fcsr", rd=14)
    a.csr("fflags", write=5)
    a.csr("frm", write=0)
    a.csr("fcsr", rd=15)
    a.csrrci(rs1=0x11, imm=1)
    a.csrrsi(rs1=3, imm=2)
    a.csr("fcsr", rd=16)
    a.csr("fcsr", write=0)
    # flags gather
    a.fcvt_d_w(rd=8, rs1=0)
    a.addi(rd=6, rs1=0, imm=1)
    a.fcvt_d_w(rd=9, rs1=6)
    a.fdiv_d(rd=10, rs1=9, rs2=8)
    a.csr("fflags", rd=17)
    a.addi(rd=6, rs1=0, imm=3)
    a.fcvt_d_w(rd=11, rs1=6)
    a.fdiv_d(rd=10, rs1=9, rs2=11)
    a.csr("fflags", rd=18)
    a.fdiv_d(rd=10, rs1=8, rs2=8)
    a.csr("fflags", rd=19)
    a.exit()
    r = a.observe().register
    assert [r(n) for n in range(10, 17)] == [0xFF, 7, 0x1F, 0xE0, 0x40, 0x1F, 0x6E]
    assert [r(n) for n in (17, 18, 19)] == [DZ, DZ | NX, DZ | NX | NV]


@XLEN
def test_every_computation_with_its_registers(xlen: int) -> None:
    """Operands from the right file and register, the result to it, flags to fcsr, the rounding mode
    from the instruction or from frm.
    """
    a = Floating(xlen)
    a.state(DIRTY)
    a.li(8, DATA)
    a.li(9, RESULTS)
    data, wanted = b"", []
    each = 5
    for name in computations(xlen):
        operation, types = parts_of(name)
        draw = Draw(np.random.default_rng(zlib.crc32(name.encode())), each)
        kinds = [kind for kind in types if kind in FORMS] or ["d"]
        form = FORMS[kinds[-1]]
        try:
            oracle = oracle_of(name)
        except KeyError:
            oracle = value_oracle_of(name)
        takes = list(inspect.signature(oracle).parameters)
        first = draw.integers() if reads_x(name) else draw.numbers(form, [])
        second = draw.integers() if operation == "fmvp" else draw.partners(form, first)
        third = draw.numbers(form, [])
        rows = zip(first.tolist(), second.tolist(), third.tolist(), strict=True)
        for n, row in enumerate(rows):
            if reads_x(name) and xlen == 32:
                row = tuple((v & 0xFFFF_FFFF ^ 1 << 31) - (1 << 31) & ONES for v in row)
            data += struct.pack("<3Q", *row)
            rounds = "rm" in takes and name not in EXACT
            rm = n % 5 if rounds else 0
            dynamic = rounds and n % 2 == 1
            a.addi(rd=5, rs1=0, imm=rm << 5)
            a.csr("fcsr", write=5)
            for k in range(3):
                a.fld(rd=10 + k, rs1=8, imm=8 * k)
                (a.lw if xlen == 32 else a.ld)(rd=10 + k, rs1=8, imm=8 * k)
            a.addi(rd=8, rs1=8, imm=24)
            imm = (7 if dynamic else rm) << 8
            registers = {"rd": 13, "rs1": 10}
            if "c" in takes:
                imm |= 12
            if "b" in takes and (operation in ("fli",)):
                imm, row = n * 7 % 32, (0, n * 7 % 32, 0)
                del registers["rs1"]
            elif FORMATS[entry_of(name).format].rs2.mask:
                registers["rs2"] = 11
            getattr(a, name.replace(".", "_"))(imm=imm, **registers)
            values = dict(zip("abc", row, strict=True)) | {"rm": rm}
            result = oracle(*(values[what] for what in takes))
            bits, flags = result if isinstance(result, tuple) else (result, 0)
            if writes_x(name):
                a.fmv_w_x(rd=14, rs1=0)
                (a.sw if xlen == 32 else a.sd)(rs1=9, rs2=13, imm=0)
                mask = (1 << xlen) - 1
            else:
                a.fsd(rs1=9, rs2=13, imm=0)
                mask = ONES
            a.csr("fflags", rd=5)
            a.sw(rs1=9, rs2=5, imm=8)
            a.addi(rd=9, rs1=9, imm=12)
            wanted.append((name, row, rm, bits & mask, flags, mask))
    a.exit()
    assert len(data) <= 0x8000 and len(wanted) * 12 <= 0x8000
    program = a.program(data)
    machine = a.observe(program)
    assert machine.trap_counts == {}
    for n, (name, row, rm, bits, flags, mask) in enumerate(wanted):
        at = RESULTS + 12 * n
        got = machine.memory.read(at, 4) | machine.memory.read(at + 4, 4) << 32
        what = (name, [hex(v) for v in row], rm)
        assert (hex(got & mask), machine.memory.read(at + 8, 4)) == (hex(bits), flags), what


def entry_of(name: str) -> Entry:
    return next(e for e in ENTRIES if e.name == name)


@XLEN
def test_boxes(xlen: int) -> None:
    """Narrower numbers are kept with ones above them; what is no box reads as the canonical NaN,
    except to moves and stores.
    """
    a = Floating(xlen)
    a.state(DIRTY)
    a.li(8, DATA)
    a.li(9, RESULTS)
    one_d, one_s, one_h = 0x3FF0_0000_0000_0000, 0x3F80_0000, 0x3C00
    data = struct.pack("<QIHH", one_d, one_s, one_h, 0)
    wanted: list[tuple[str, int]] = []

    def keep(what: str, number: int, want: int) -> None:
        a.fsd(rs1=9, rs2=number, imm=0)
        a.addi(rd=9, rs1=9, imm=8)
        wanted.append((what, want))

    def keep_x(what: str, want: int) -> None:
        a.sw(rs1=9, rs2=5, imm=0)
        a.srai(rd=5, rs1=5, imm=31)
        a.sw(rs1=9, rs2=5, imm=4)
        a.addi(rd=9, rs1=9, imm=8)
        wanted.append((what, want & ONES))

    a.fld(rd=1, rs1=8, imm=0)
    a.flw(rd=2, rs1=8, imm=8)
    a.flh(rd=3, rs1=8, imm=12)
    keep("fld", 1, one_d)
    keep("flw", 2, SINGLE.box(one_s))
    keep("flh", 3, HALF.box(one_h))
    a.li(6, 0x8000_1234)
    a.fmv_w_x(rd=4, rs1=6)
    keep("fmv.w.x", 4, SINGLE.box(0x8000_1234))
    a.fmv_h_x(rd=4, rs1=6)
    keep("fmv.h.x", 4, HALF.box(0x1234))
    a.fcvt_s_d(rd=4, rs1=1)
    keep("fcvt.s.d", 4, SINGLE.box(one_s))
    a.fcvt_h_d(rd=4, rs1=1)
    keep("fcvt.h.d", 4, HALF.box(one_h))
    a.fcvt_d_s(rd=4, rs1=2)
    keep("fcvt.d.s", 4, one_d)
    a.fadd_s(rd=4, rs1=2, rs2=1)
    keep("fadd.s with a double", 4, SINGLE.box(SINGLE.nan))
    a.fadd_h(rd=4, rs1=2, rs2=3)
    keep("fadd.h with a single", 4, HALF.box(HALF.nan))
    a.fsgnj_s(rd=4, rs1=1, rs2=2)
    keep("fsgnj.s of a double", 4, SINGLE.box(SINGLE.nan))
    a.fsgnj_d(rd=4, rs1=2, rs2=1)
    keep("fsgnj.d of a single", 4, SINGLE.box(one_s) & ~(1 << 63))
    a.fmin_s(rd=4, rs1=1, rs2=2)
    keep("fmin.s with a double", 4, SINGLE.box(one_s))
    a.fclass_s(rd=5, rs1=1)
    keep_x("fclass.s of a double", 1 << 9)
    a.fclass_h(rd=5, rs1=2)
    keep_x("fclass.h of a single", 1 << 9)
    a.feq_s(rd=5, rs1=1, rs2=1)
    keep_x("feq.s of doubles", 0)
    a.fcvt_w_s(rd=5, rs1=1)
    keep_x("fcvt.w.s of a double", 0x7FFF_FFFF)
    a.fmv_x_w(rd=5, rs1=1)
    keep_x("fmv.x.w of a double", 0)
    a.fmv_x_w(rd=5, rs1=3)
    keep_x("fmv.x.w of a half", (HALF.box(one_h) & 0xFFFF_FFFF) - (1 << 32))
    a.fmv_x_h(rd=5, rs1=2)
    keep_x("fmv.x.h of a single", 0)
    # stores do not look either
    a.fsw(rs1=9, rs2=1, imm=0)
    a.fsh(rs1=9, rs2=3, imm=4)
    a.fsh(rs1=9, rs2=2, imm=6)
    a.addi(rd=9, rs1=9, imm=8)
    wanted.append(("fsw, fsh", one_h << 32))
    if xlen == 64:
        a.fmv_x_d(rd=5, rs1=2)
        a.sd(rs1=9, rs2=5, imm=0)
        a.fmv_d_x(rd=4, rs1=5)
        a.fsd(rs1=9, rs2=4, imm=8)
        wanted += [("fmv.x.d", SINGLE.box(one_s)), ("fmv.d.x", SINGLE.box(one_s))]
    else:
        a.fmvh_x_d(rd=5, rs1=1)
        a.fmvp_d_x(rd=4, rs1=6, rs2=5)
        a.sw(rs1=9, rs2=5, imm=0)
        a.sw(rs1=9, rs2=0, imm=4)
        a.fsd(rs1=9, rs2=4, imm=8)
        wanted += [("fmvh.x.d", one_d >> 32), ("fmvp.d.x", one_d | 0x8000_1234)]
    a.exit()
    machine = a.observe(a.program(data))
    assert machine.trap_counts == {} and DOUBLE.box(0) == 0
    for n, (what, want) in enumerate(wanted):
        words = [machine.memory.read(RESULTS + 8 * n + k, 4) for k in (0, 4)]
        assert words[0] | words[1] << 32 == want, what


@XLEN
def test_loads_and_stores(xlen: int) -> None:
    """Of each size, by each instruction, aligned and not, also across pages; neighbours stay."""
    a = Floating(xlen)
    a.state(DIRTY)
    source, target = 0x1000 - 20, 0x3000 - 20
    pattern = bytes(range(1, 65))
    image = bytearray(b"\xee" * 0x4000)
    image[source : source + 64] = pattern
    after = bytearray(image)
    a.li(8, DATA + source)
    a.li(9, DATA + target)
    at = 0
    for name, size in (("d", 8), ("w", 4), ("h", 2)):
        for offset in (0, 1, 2, 4, 7, 14, 17, 18, 19):
            getattr(a, f"fl{name}")(rd=5, rs1=8, imm=offset)
            getattr(a, f"fs{name}")(rs1=9, rs2=5, imm=at)
            after[target + at : target + at + size] = pattern[offset : offset + size]
            at += size + 1
    compressed = ["d", "w"] if xlen == 32 else ["d"]
    for name in compressed:
        size = 8 if name == "d" else 4
        a.li(10, DATA + source)
        a.li(11, DATA + target + at)
        getattr(a, f"c_fl{name}")(rd=9, rs1=10, imm=16)
        getattr(a, f"c_fs{name}")(rs1=11, rs2=9, imm=size)
        after[target + at + size : target + at + 2 * size] = pattern[16 : 16 + size]
        at += 2 * size
        a.li(2, DATA + source)
        getattr(a, f"c_fl{name}sp")(rd=31, imm=24)
        a.li(2, DATA + target + at)
        getattr(a, f"c_fs{name}sp")(rs2=31, imm=size)
        after[target + at + size : target + at + 2 * size] = pattern[24 : 24 + size]
        at += 2 * size
    a.exit()
    machine = a.observe(a.program(bytes(image)))
    assert machine.trap_counts == {}
    assert machine.memory.view(DATA, len(image)).tobytes() == after


@XLEN
def test_faults_leave_registers_alone(xlen: int) -> None:
    """Access faults of loads and stores: cause 5 and 7, and FS stays as it is."""
    a = Floating(xlen)
    a.state(DIRTY)
    a.addi(rd=5, rs1=0, imm=3)
    a.fcvt_d_w(rd=5, rs1=5)
    a.li(10, 0x4000_0000)
    parts = []
    a.state(CLEAN)
    for name in ("fld", "flw", "flh"):
        with a.part(M) as part:
            getattr(a, name)(rd=5, rs1=10, imm=4)
        parts.append((part, (5, 0x4000_0004)))
    for name in ("fsd", "fsw", "fsh"):
        with a.part(M) as part:
            getattr(a, name)(rs1=10, rs2=5, imm=4)
        parts.append((part, (7, 0x4000_0004)))
    a.csr("mstatus", rd=11)
    a.li(9, RESULTS)
    a.fsd(rs1=9, rs2=5, imm=0)
    a.exit()
    machine = a.observe()
    assert [part.fault for part, _ in parts] == [fault for _, fault in parts]
    assert machine.register(11) & FS == CLEAN
    words = dwords(machine, RESULTS, 2 if xlen == 32 else 1)
    assert words[-1] >> (xlen - 32) == 0x4008_0000


@XLEN
@pytest.mark.parametrize(
    ("isa", "legal"),
    [("imac", ""), ("imafc", "flw fadd.s"), ("imafdc", "flw fadd.s fadd.d fld"),
     ("imafc_zfhmin", "flw fadd.s flh"), ("imafc_zfh", "flw fadd.s flh fadd.h"),
     ("imafc_zfa", "flw fadd.s fli.s")],
)  # fmt: skip
def test_extensions_that_there_are_not(xlen: int, isa: str, legal: str) -> None:
    a = Floating(xlen)
    a.status(FS)
    names = ["flw", "fadd.s", "fld", "fadd.d", "flh", "fadd.h", "fli.s"]
    parts = []
    for name in names:
        with a.part(M) as part:
            a.one(word_of(entry_of(name)))
        parts.append((name, part))
    a.csr("mstatus", rd=10)
    a.exit()
    machine = a.observe(isa=f"rv{xlen}{isa}_zicsr")
    assert {name for name, part in parts if part.fault is None} == set(legal.split())
    assert all(part.fault is None or part.fault[0] == ILLEGAL for _, part in parts)
    assert (machine.register(10) & FS != 0) == ("f" in isa.partition("_")[0])
