"""Disassembly against the GNU tools that are installed: every encoding that they know."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from specs.isa.decode import decode
from specs.isa.disassemble import disassemble
from specs.isa.tables import ENTRIES, Entry
from tests.specs.test_isa_disassemble import SHORT, SHORT_B

AS, OBJDUMP = "riscv64-unknown-elf-as", "riscv64-unknown-elf-objdump"
pytestmark = pytest.mark.skipif(
    not (shutil.which(AS) and shutil.which(OBJDUMP)), reason="GNU tools for RISC-V are needed"
)
#: What every version of the tools that reads `.insn` words has, and what some have.
BASE = ["i", "m", "f", "d", "c", "zicsr", "zifencei", "system", "s"]
BASE += ["zmmul", "zalrsc", "zaamo", "zcf", "zcd"]
OTHERS = ["zfh", "zfhmin", "zba", "zbb", "zbs", "zbc", "zbkb", "zbkc", "zbkx", "zicbom", "zicbop"]
OTHERS += ["zicboz", "zawrs", "zicond", "zfa", "svinval", "zacas", "zabha", "zcb", "zimop", "zcmop"]
SHORTENED = SHORT | SHORT_B
#: Of conversions without rounding objdump knows mode 0 alone.
_EXACT = ("f2.ex", "x.f.ex")


def known(tool_extension: str, folder: Path) -> bool:
    source = folder / "empty.s"
    source.write_text("")
    march = f"-march=rv64gc_{tool_extension}"
    command = [AS, march, str(source), "-o", str(folder / "empty.o")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def as_objdump(words: list[int], xlen: int, march: str, folder: Path) -> list[str]:
    """Text of each word, at address 0 and up."""
    source, binary = folder / "words.s", folder / "words.o"
    lines = [f".insn {4 if word & 3 == 3 else 2}, {word:#x}" for word in words]
    source.write_text("\n".join(lines) + "\n")
    abi = "lp64d" if xlen == 64 else "ilp32d"
    command = [AS, f"-march=rv{xlen}gc{march}", f"-mabi={abi}", str(source), "-o", str(binary)]
    subprocess.run(command, check=True)
    out = subprocess.run([OBJDUMP, "-d", str(binary)], capture_output=True, text=True, check=True)
    found = re.findall(r"^ *[0-9a-f]+:\t[0-9a-f]{4,8} +\t(.*)$", out.stdout, re.MULTILINE)
    assert len(found) == len(words)
    return found


def samples(entry: Entry, rng: random.Random) -> list[int]:
    """Words of an entry, and no reserved rounding modes, nor those that objdump has no name for."""
    width = 32 if entry.match & 3 == 3 else 16
    found = []
    while len(found) < 5:
        word = entry.match | rng.getrandbits(width) & ~entry.mask
        if ".rm" in entry.format or entry.format in ("f4", *_EXACT):
            modes = [0] if entry.format in _EXACT else [0, 1, 2, 3, 4, 7]
            word = word & ~0x7000 | rng.choice(modes) << 12
        if entry.format == "fencei":
            word = entry.match
        if entry.format == "fence":
            word = word & 0x0FF0707F | 0x01100000
        found.append(word)
    return found


def plain(text: str) -> str:
    """Without comments, symbols, tabs, and what only one of the two writes before addresses."""
    text = re.sub(r" *(#|<).*", "", text).replace("\t", " ")
    return re.sub(r"\b0x(?=[0-9a-f]+$)", "", text).strip()


@pytest.mark.parametrize("xlen", [32, 64])
def test_as_objdump_of_today(xlen: int, tmp_path: Path) -> None:
    """Five random words of each encoding; of hints in RVC objdump tells the encoding."""
    rng = random.Random(xlen)
    there = [name for name in OTHERS if known(name, tmp_path)]
    has = {*BASE, *there}
    entries = [
        entry
        for entry in ENTRIES
        if xlen in entry.selections
        and all(has.intersection(part.split("/")) for part in entry.extension.split("+"))
        and "csr" not in entry.format
    ]
    assert len(entries) > 200
    words = [
        word
        for entry in entries
        for word in samples(entry, rng)
        if word and decode(word, xlen) is not None
    ]
    told = as_objdump(words, xlen, "".join(f"_{name}" for name in there), tmp_path)
    differ = []
    address = 0
    for word, text in zip(words, told, strict=True):
        own, expected = plain(disassemble(word, address, xlen)), plain(text)
        name, _, rest = own.partition(" ")
        if expected not in (own, f"{SHORTENED.get(name, name)} {rest}") and expected[:2] != "c.":
            differ.append((f"{word:#x}", own, expected))
        address += 4 if word & 3 == 3 else 2
    assert not differ
