"""ISA strings: which extensions a machine has, and which a program wants."""

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
#: Every machine-mode hart has these, whatever it is restricted to.
ALWAYS = ("i", "zicsr", "zifencei", "system")
#: An RV32E program is one for any RV32I hart.
_SUBSETS = ("e",)


def names(isa: str) -> tuple[int, list[str]]:
    """Width and extension names of an ISA string, version numbers dropped ("rv64i2p1_m2p0").

    Raises MachineError if it is not one.
    """
    match = re.fullmatch(r"rv(32|64)([a-z])(.*)", isa.strip().lower())
    if match is None:
        raise MachineError(f"isa {isa!r}: expected rv32... or rv64..., as in rv64imac_zicsr")
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


def allowed(isa: str | None, xlen: int) -> frozenset[str]:
    """Extensions of `specs.isa.tables` that the machine executes: all that there are or, of them,
    what `isa` names. Raises MachineError where that names others.
    """
    if isa is None:
        return frozenset(e for extensions in EXTENSIONS.values() for e in extensions) | {*ALWAYS}
    width, found = names(isa)
    unknown = [name for name in found if name not in EXTENSIONS]
    if unknown:
        raise MachineError(
            f"isa {isa!r}: {', '.join(unknown)} not supported; supported: " + " ".join(EXTENSIONS)
        )
    if width != xlen:
        raise MachineError(f"isa is RV{width}, the program is RV{xlen}")
    return frozenset(e for name in found for e in EXTENSIONS[name]) | {*ALWAYS}


def lacking(attribute: str | None, extensions: frozenset[str]) -> list[str]:
    """What a program was built for (its ELF attribute) and a machine with `extensions` has not, as
    the manual writes it: F, D, Zba. Nothing where the attribute is no ISA string.
    """
    try:
        _, found = names(attribute or "")
    except MachineError:
        return []
    missing = [
        name
        for name in found
        if name not in _SUBSETS
        and not (name in EXTENSIONS and extensions.issuperset(EXTENSIONS[name]))
    ]
    return [name.capitalize() for name in dict.fromkeys(missing)]


def misa(extensions: frozenset[str], xlen: int) -> int:
    """Value of the misa CSR."""
    letters = {"i": "i", "m": "m", "c": "c", "zaamo": "a"}
    bits = sum(1 << (ord(letter) - ord("a")) for e, letter in letters.items() if e in extensions)
    return (1 if xlen == 32 else 2) << (xlen - 2) | bits
