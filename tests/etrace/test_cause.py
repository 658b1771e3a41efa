"""Why a run ended as it did: first cause, what to do, last instructions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from emu.hart.extensions import everything
from etrace.analyses import cause
from etrace.analyses.devices import DEVICES, device_at
from etrace.analyses.hints import Surroundings, hint
from etrace.trace.lines import Lines
from etrace.trace.places import Places
from etrace.trace.symbols import Symbols
from specs.isa.causes import (
    BREAKPOINT,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_ACCESS_FAULT,
    LOAD_ACCESS_FAULT,
    STORE_ACCESS_FAULT,
)
from specs.isa.encode import encode
from specs.isa.names import implied
from tests.etrace.conftest import Run, elf_bytes

#: Program: cause of the first trap, symbol of its place, its instruction, its tval, how many traps
#: of which cause repeat, and what to do.
CAUSES = {
    "cause_stack": (7, "main", "s[wd] ra,", 0x20007FF0, (16, 1), "--memory 0x20000000:64K"),
    "cause_uart": (7, "main", "sw zero,0(t0)", 0x10013000, (16, 2), "UART of the FE310"),
    "cause_host_call": (3, "main", "ebreak", None, (16, 1), "--semihosting DIR"),
    "cause_floating": (2, "main", "fadd.s ft0,ft1,ft2", 0x20F053, (16, 1), "fadd.s is"),
    "cause_in_handler": (7, "main", "sw zero,0(zero)", 0, (16, 5), "null pointer"),
    "trap_loop": (2, "here", ".4byte 0x0000000b", 0xB, (17, 2), "no instruction of this hart"),
}


@pytest.mark.parametrize("verb", ["record", "run"])
@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("program", CAUSES)
def test_the_first_cause(
    run: Run, firmware: Path, tmp_path: Path, program: str, xlen: int, verb: str
) -> None:
    """In text and in JSON the first trap is the cause, not the one that repeats."""
    number, symbol, text, tval, (times, repeated), to_do = CAUSES[program]
    elf = firmware / f"{program}-rv{xlen}.elf"
    output = ["-o", tmp_path / "t.etrace"] if verb == "record" else []
    told = run(verb, elf, *output, code=4).stderr
    account = json.loads(run(verb, elf, *output, "--json", code=4).stdout)["account"]
    first, last = account["first_cause"], account["traps"][-1]
    assert first["cause"] == number
    assert re.match(rf"{symbol}(\+|$)", first["at"]["symbol"])
    assert re.match(text if "[" in text else re.escape(text), first["at"]["text"])
    assert re.fullmatch(r"(cause|trap_loop)\.S:\d+", first["at"]["source"])
    if tval is not None:
        assert int(first["tval"], 0) & ~0xF == tval & ~0xF
    assert (last["times"], last["cause"]) == (times, repeated)
    assert to_do in account["hints"][0]
    assert f"first cause   {first['name']} at {first['at']['pc']}" in told
    assert first["at"]["source"] in told
    assert "the trap handler itself traps, without end" in told
    assert f"the same {times} times" in " ".join(told.split())
    assert to_do in " ".join(told.split())


def test_a_handler_that_is_not_set_is_told(run: Run, firmware: Path) -> None:
    result = run("run", firmware / "cause_stack-rv64.elf", code=4).stderr
    assert "set mtvec to a trap handler early: traps lead to 0x0" in result
    result = run("run", firmware / "cause_uart-rv64.elf", code=4).stderr
    assert "mtvec" not in result.split("the last")[0]


def test_what_to_do_helps(run: Run, firmware: Path, tmp_path: Path) -> None:
    """The stack's program goes on to its end with the memory that the hint names."""
    elf = firmware / "cause_stack-rv64.elf"
    options = re.search(r"--memory \S+", run("run", elf, code=4).stderr)
    assert options is not None
    told = run("run", elf, *options[0].split(), "--max-instructions", 1000, code=4).stderr
    assert "first cause" not in told
    elf = firmware / "cause_host_call-rv32.elf"
    told = run("run", elf, "--semihosting", tmp_path, "--max-instructions", 1000, code=4).stderr
    assert "first cause" not in told


def test_the_last_instructions(run: Run, firmware: Path) -> None:
    """16, in order, with traps where they were; equal ones in a row are one line."""
    elf = firmware / "cause_in_handler-rv32.elf"
    last = json.loads(run("run", elf, "--json", code=4).stdout)["account"]["last"]
    instructions = [each for each in last if "pc" in each]
    assert len(instructions) == 16
    assert instructions[-1]["text"] == "csrw mtvec,t0"
    assert [each["name"] for each in last if "trap" in each] == [
        "environment call from M-mode",
        "store/AMO access fault",
        "store/AMO access fault",
        "load access fault",
    ]
    names = [("pc" in each and each["text"]) or each["name"] for each in last]
    assert names.index("mret") + 1 == names.index("store/AMO access fault")


def test_a_budget_says_where_the_program_was(run: Run, firmware: Path) -> None:
    elf = firmware / "cause_stack-rv64.elf"
    options = ["--memory", "0x20000000:64K", "--max-instructions", 100]
    told = run("run", elf, *options, code=4).stderr
    assert re.search(r"budget was used up \(instruction 100, pc 0x8\S+ <_start\+\S+> \(cause", told)
    assert json.loads(run("run", elf, *options, "--json", code=4).stdout)["account"] is None


def test_a_good_end_has_no_account(run: Run, firmware: Path, tmp_path: Path) -> None:
    elf = firmware / "storm-rv64.elf"
    result = run("record", elf, "-o", tmp_path / "t", "--json")
    assert json.loads(result.stdout)["account"] is None
    assert json.loads(run("run", elf, "--json").stdout) == {
        "account": None,
        "end": "exit",
        "exit_code": 0,
        "harts": 1,
        "instructions": json.loads(result.stdout)["instructions"],
        "signal": None,
        "signature": None,
    }


def test_an_exit_code_after_a_trap(run: Run, tmp_path: Path) -> None:
    """A start-up whose handler gives up with an exit code: the trap is the cause."""
    words = [
        0x00000297,  # auipc t0,0
        0x01028293,  # addi t0,t0,16
        0x30529073,  # csrw mtvec,t0
        0x00003503,  # ld a0,0(zero): the cause
        0x02A00513,  # handler: li a0,42, and out through a host call
        0x01F01013,
        0x00100073,
        0x40705013,
    ]
    elf = tmp_path / "exits.elf"
    # SYS_EXIT is 0x18, its parameter the reason on RV64 a block: anything else fails the guest.
    words[4] = 0x01800513
    elf.write_bytes(elf_bytes(words))
    result = run("record", elf, "-o", tmp_path / "t", "--semihosting", tmp_path, code=4)
    assert "the guest failed: exit code 1" in result.stderr
    assert "first cause   load access fault at 0x8000000c, tval 0x0" in result.stderr
    assert "ld a0,0(zero)" in result.stderr


def around(words: dict[int, int] | None = None, **others: Any) -> Surroundings:
    """A hart with RAM at 0x80000000 and a ROM, and these instruction words."""
    known = words or {}
    xlen = others.pop("xlen", 64)

    def word(pc: int) -> tuple[int, int]:
        return (known[pc], 4 if known[pc] & 3 == 3 else 2) if pc in known else (0, 0)

    values: dict[str, Any] = {
        "places": Places(xlen, word, Symbols([]), Lines([])),
        "xlen": xlen,
        "has": implied(["i", "m", "a", "c", "zicsr", "zifencei", "zicboz", "system"], xlen),
        "memory": [(0x1000, 0x2000, False), (0x8000_0000, 0x8800_0000, True)],
        "semihosting": False,
    }
    return Surroundings(**{**values, **others})


@pytest.mark.parametrize(
    ("word", "xlen", "said"),
    [
        (0x00053787, 64, "fld is of D, and this hart has no D: "),
        (0x00053027, 64, "fsd is of D, and this hart has no D: "),
        (0x00305073, 64, "fcsr is of F, and this hart has no F: "),
        (0x2108, 64, "c.fld is of D, and this hart has no D: "),
        (0x6108, 32, "c.flw is of F, and this hart has no F: "),  # c.ld on RV64
        (0x0D0072D7, 64, "no V"),  # vsetvli
        (0x18051073, 64, "no CSR satp"),
        (0x00000000, 64, "empty memory"),
        (0xFFFFFFFF, 64, "erased flash"),
        (0xC0001073, 64, "on purpose"),
        (0x0000000B, 64, f"no instruction of this hart ({everything(64)}): compile with"),
        (0x40B57533, 64, "andn is of Zbb or Zbkb, and this hart has no Zbb or Zbkb: --isa leaves"),
        (0x30200073, 64, "mret is of a higher privilege level, or not allowed now"),
        (0x10200073, 64, "sret is of S, and this hart has no S: --isa or --modes leaves it out"),
        (0x0045200F, 64, "cbo.zero is not allowed at this privilege level: menvcfg"),
    ],
)
def test_illegal_instructions(word: int, xlen: int, said: str) -> None:
    known = around({0x8000_0000: word}, xlen=xlen)
    place = known.places.at(0x8000_0000)
    assert said in hint(ILLEGAL_INSTRUCTION, word, place, known)
    assert f"rv{xlen}imac" in hint(ILLEGAL_INSTRUCTION, 0x0D0072D7, place, known)


@pytest.mark.parametrize("word", [0x00053787, 0x00305073, 0x2108, 0x02B575D3])
def test_floating_point_that_is_off(word: int) -> None:
    """Of a hart with F and D: fld, csrwi fcsr, c.fld, fadd.d."""
    known = around({0x8000_0000: word}, has=implied(["i", "f", "d", "c", "system"], 64))
    text = hint(ILLEGAL_INSTRUCTION, word, known.places.at(0x8000_0000), known)
    assert "floating point, which is off until the program sets mstatus.FS" in text
    assert "-march=rv64gc -mabi=lp64d" in hint(
        ILLEGAL_INSTRUCTION, 0x0D0072D7, known.places.at(0x8000_0000), known
    )


def test_breakpoints() -> None:
    marked = {0x8000_0000: 0x01F01013, 0x8000_0004: 0x00100073, 0x8000_0008: 0x40705013}
    known = around(marked)
    at = known.places.at(0x8000_0004)
    assert "--semihosting DIR" in hint(BREAKPOINT, 0, at, known)
    assert hint(BREAKPOINT, 0, at, around(marked, semihosting=True)) == ""
    for missing in (0x8000_0000, 0x8000_0008):
        known = around({pc: word for pc, word in marked.items() if pc != missing})
        assert "no debugger" in hint(BREAKPOINT, 0, known.places.at(0x8000_0004), known)


@pytest.mark.parametrize(
    ("code", "address", "said"),
    [
        (STORE_ACCESS_FAULT, 0x10000000, "UART of QEMU's machine `virt`"),
        (LOAD_ACCESS_FAULT, 0x10000005, "UART of QEMU's machine `virt`"),
        (STORE_ACCESS_FAULT, 0x10013000, "first UART of the FE310 (SiFive)"),
        (STORE_ACCESS_FAULT, 0x0C002000, "PLIC"),
        (STORE_ACCESS_FAULT, 0x10, "a null pointer"),
        (INSTRUCTION_ACCESS_FAULT, 0, "a jump through a null pointer"),
        (INSTRUCTION_ACCESS_FAULT, 0x30000000, "a wild pointer"),
        (LOAD_ACCESS_FAULT, 0xDEADBEEFDEADBEEF, "a wild pointer"),
        (STORE_ACCESS_FAULT, 0x1234, "read-only memory: the boot ROM"),
        (LOAD_ACCESS_FAULT, 0x2000001, "in the CLINT"),
        (STORE_ACCESS_FAULT, 0x20007FF8, "--memory 0x20000000:64K"),
        (STORE_ACCESS_FAULT, 0x2008, "--memory 0x2000:56K"),  # behind the boot ROM
        (STORE_ACCESS_FAULT, 0x7FFFFFF8, "--memory 0x7fff0000:64K"),
        (STORE_ACCESS_FAULT, 0x80001000, ""),
    ],
)
def test_accesses_outside_memory(code: int, address: int, said: str) -> None:
    known = around()
    text = hint(code, address, None, known)
    assert said in text and bool(said) == bool(text)
    assert hint(code, address, None, around(memory=None)) == ""


def test_a_stack_is_known_by_its_pointer() -> None:
    known = around({0x8000_0000: 0x00113423, 0x8000_0004: 0x00153423, 0x8000_0008: 0xE406})
    said = [hint(STORE_ACCESS_FAULT, 0x20007FF8, known.places.at(pc), known) for pc in (
        0x8000_0000, 0x8000_0004, 0x8000_0008
    )]  # fmt: skip
    assert ["the stack" in each for each in said] == [True, False, True]


def test_devices_are_apart() -> None:
    for one in DEVICES:
        assert [each for each in DEVICES if each is not one and device_at(each.base) is one] == []


def test_many_traps_are_cut_short() -> None:
    """Of traps in a row that differ, the outer ones are shown, and how many there were between."""
    from etrace.analyses.history import Fold

    class Many:
        chain = tuple(Fold(False, 5, number, 0x8000_0000, None) for number in range(40))

        def items(self) -> Any:
            return self.chain

    account = cause._account(Many(), around({0x8000_0000: 0x00053503}), "what", None)
    lines = account.lines(16)
    assert [line for line in lines if "more traps" in line] == [
        "  then          35 more traps",
        "    -- 36 more traps",
    ]
    assert len(lines) < 16


# -- source lines ------------------------------------------------------------------------------


def test_source_lines(firmware: Path) -> None:
    from emu.platforms.elf import load

    path = firmware / "idle_wfi-rv64.elf"
    main = load(path).symbols["main"]
    names = {Lines([str(path)]).name(main.address + 2 * at) for at in range(main.size // 2)}
    assert len(names) > 3
    assert {name.split(":")[0] for name in names} <= {"idle_wfi.c", "board.h"}
    assert Lines([str(path)]).name(0x1000) == ""
    assert Lines(["nowhere.elf"]).name(0x8000_0000) == ""


def test_source_lines_without_aranges(firmware: Path, tmp_path: Path) -> None:
    """As of compilers that leave that table out: the units themselves say where they are."""
    from emu.platforms.elf import load

    path = firmware / "idle_wfi-rv64.elf"
    plain = tmp_path / "plain.elf"
    data = path.read_bytes()
    assert data.count(b".debug_aranges\0") == 1
    plain.write_bytes(data.replace(b".debug_aranges\0", b".nebug_aranges\0"))
    functions = [each for each in load(path).symbols.values() if each.type == "FUNC"]
    places = [each.address + at for each in functions for at in range(0, each.size, 2)]
    one, other = Lines([str(path)]), Lines([str(plain)])
    assert {one.name(place).split(":")[0] for place in places} == {"board.c", "idle_wfi.c"}
    assert [one.name(place) for place in places] == [other.name(place) for place in places]


def test_a_compressed_bomb_is_no_lines(firmware: Path, tmp_path: Path) -> None:
    """Sections that say that they become huge are not read."""
    import struct

    data = bytearray((firmware / "cause_uart-rv64.elf").read_bytes())
    offset = struct.unpack_from("<Q", data, 40)[0]
    count, names = struct.unpack_from("<HH", data, 60)
    strings = struct.unpack_from("<Q", data, offset + 64 * names + 24)[0]
    for at in range(offset, offset + 64 * count, 64):
        name = strings + struct.unpack_from("<I", data, at)[0]
        if data[name : name + 12] == b".debug_line\0":
            flags, place = struct.unpack_from("<Q8xQ", data, at + 8)
            struct.pack_into("<Q", data, at + 8, flags | 0x800)  # SHF_COMPRESSED
            struct.pack_into("<IIQQ", data, place, 1, 0, 1 << 40, 1)
            break
    else:
        raise AssertionError("no line table")
    path = tmp_path / "bomb.elf"
    path.write_bytes(data)
    assert Lines([str(path)]).name(0x8000_005A) == ""
    assert Lines([str(firmware / "cause_uart-rv64.elf")]).name(0x8000_005A).startswith("cause.S:")


def test_damaged_line_tables_are_no_lines(firmware: Path, tmp_path: Path) -> None:
    """Whatever is in them, there is a name or none."""
    data = (firmware / "cause_uart-rv64.elf").read_bytes()
    path = tmp_path / "damaged.elf"
    found = set()
    begin = data.index(b"cause.S\0") - 300
    for at in range(max(begin, 0x1000), len(data) - 64, 13):
        path.write_bytes(data[:at] + bytes([0xFF, 0x80, 0x00, 0x7F]) + data[at + 4 :])
        found.add(Lines([str(path)]).name(0x8000_005A).split(":")[0])
    assert "cause.S" in found and "" in found


def test_a_stack_that_ran_out(run: Run, tmp_path: Path) -> None:
    """A push right below RAM is not a missing stack."""
    elf = tmp_path / "deep.elf"
    code = [encode("auipc", rd=2, imm=0), encode("sw", rs1=2, rs2=1, imm=-8)]
    elf.write_bytes(elf_bytes(code))
    told = run("record", elf, "-o", tmp_path / "deep.etrace", code=4)
    assert "the stack ran out of the RAM that begins at 0x80000000" in " ".join(told.stderr.split())
