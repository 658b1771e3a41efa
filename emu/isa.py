"""ISA strings: which extensions a machine has."""

import re

from emu.memory import MachineError

#: What the emulator executes, by name in an ISA string, as extensions of `specs.isa.tables`.
#: (The counters of zicntr and the multiplication of zmmul come with zicsr and m.)
EXTENSIONS: dict[str, tuple[str, ...]] = {
    "i": ("i",),
    "m": ("m",),
    "a": ("zaamo", "zalrsc"),
    "c": ("c",),
    "zaamo": ("zaamo",),
    "zalrsc": ("zalrsc",),
    "zca": ("c",),
    "zicsr": ("zicsr",),
    "zifencei": ("zifencei",),
    "zicntr": (),
    "zihpm": (),
    "zmmul": (),
}
#: Every machine-mode hart has these, whatever the program was compiled for.
ALWAYS = ("i", "zicsr", "zifencei", "system")
DEFAULT = "imac_zicsr_zifencei"


def names(isa: str) -> tuple[int, list[str]]:
    """Width and extension names of an ISA string, version numbers dropped ("rv64i2p1_m2p0").

    Raises MachineError if it is not one.
    """
    match = re.fullmatch(r"rv(32|64)([a-z])(.*)", isa.strip().lower())
    if match is None:
        raise MachineError(f"isa {isa!r}: expected rv32... or rv64..., as in rv64{DEFAULT}")
    xlen, base, rest = int(match[1]), match[2], match[3]
    found = ["i", "m", "a", "f", "d", "zicsr", "zifencei"] if base == "g" else [base]
    rest = re.sub(r"^\d+(p\d+)?", "", rest)
    for part in rest.split("_"):
        # Single letters may stand together; a multi-letter name ends its part.
        while part:
            if part[0] in "zsx":
                found.append(re.sub(r"\d+p\d+$", "", part))
                break
            found.append(part[0])
            part = re.sub(r"^.(\d+(p\d+)?)?", "", part)
    return xlen, found


def allowed(isa: str | None, attribute: str | None, xlen: int) -> frozenset[str]:
    """Extensions of `specs.isa.tables` that the machine executes.

    `isa` is the user's word: all of it must be there (else MachineError). Without it the program's
    `attribute` counts, of which what is not there is left out: such instructions are illegal.
    """
    if isa is not None:
        width, found = names(isa)
        unknown = [name for name in found if name not in EXTENSIONS]
        if unknown:
            raise MachineError(
                f"isa {isa!r}: {', '.join(unknown)} not supported; supported: "
                + " ".join(EXTENSIONS)
            )
    elif attribute is not None:
        width, found = names(attribute)
    else:
        width, found = names(f"rv{xlen}{DEFAULT}")
    if width != xlen:
        raise MachineError(f"isa is RV{width}, the program is RV{xlen}")
    extensions = {e for name in found for e in EXTENSIONS.get(name, ())}
    return frozenset(extensions | set(ALWAYS))


def misa(extensions: frozenset[str], xlen: int) -> int:
    """Value of the misa CSR."""
    letters = {"i": "i", "m": "m", "c": "c", "zaamo": "a"}
    bits = sum(1 << (ord(letter) - ord("a")) for e, letter in letters.items() if e in extensions)
    return (1 if xlen == 32 else 2) << (xlen - 2) | bits
