"""ISA strings: which extensions a machine has, and which a program wants."""

import re
from functools import cache

from emu.memory import MachineError
from specs.isa.tables import ENTRIES, MISA, NAMED

#: Every machine-mode hart has these, whatever it is restricted to.
ALWAYS = ("i", "zicsr", "zifencei", "system")
#: In this order, multi-letter names after all single letters, a z by its second letter first
#: ("ISA Extension Naming Conventions").
_LETTERS = "iemafdqlcbkjtvph"
#: An RV32E program is one for any RV32I hart.
_SUBSETS = ("e",)


def _canonical(name: str) -> tuple[int, int, str]:
    letter = name[1] if len(name) > 1 else name
    return int(len(name) > 1), _LETTERS.find(letter) % len(_LETTERS), name


@cache
def extensions() -> dict[str, tuple[str, ...]]:
    """What the emulator executes, by name in an ISA string, as extensions of `specs.isa.tables`:
    those whose instructions all have a meaning.
    """
    from emu.isa.kinds import meaning_of  # imports Numba

    all_of = {entry.extension for entry in ENTRIES} - {"system"}
    lacks = {e.extension for e in ENTRIES for x in e.xlens if e.expansion not in meaning_of(x)}
    found = {name: (name,) for name in all_of - lacks} | NAMED
    return {name: found[name] for name in sorted(found, key=_canonical)}


def everything(xlen: int) -> str:
    """What the emulator executes as the manual writes it: RV64IMACB_Zicond_Zicsr. Leaves out what
    another name stands for: Zba, where there is B.
    """
    has = extensions()
    parts = {part for each in has.values() if len(each) > 1 for part in each}
    said = [name for name in has if has[name] and name not in parts and name != "zca"]
    letters = "".join(name for name in said if len(name) == 1)
    longer = [name.capitalize() for name in said if len(name) > 1]
    return "_".join([f"RV{xlen}{letters.upper()}", *longer])


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
        return frozenset(e for each in extensions().values() for e in each) | {*ALWAYS}
    width, found = names(isa)
    unknown = [name for name in found if name not in extensions()]
    if unknown:
        raise MachineError(
            f"isa {isa!r}: {', '.join(unknown)} not supported; supported: " + " ".join(extensions())
        )
    if width != xlen:
        raise MachineError(f"isa is RV{width}, the program is RV{xlen}")
    return frozenset(e for name in found for e in extensions()[name]) | {*ALWAYS}


def lacking(attribute: str | None, has: frozenset[str]) -> list[str]:
    """What a program was built for (its ELF attribute) and a machine with `has` has not, as
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
        and not (name in extensions() and has.issuperset(extensions()[name]))
    ]
    return [name.capitalize() for name in dict.fromkeys(missing)]


def misa(has: frozenset[str], xlen: int) -> int:
    """Value of the misa CSR."""
    letters = [letter for letter, parts in MISA.items() if has.issuperset(parts)]
    bits = sum(1 << ord(letter) - ord("a") for letter in letters)
    return (1 if xlen == 32 else 2) << (xlen - 2) | bits
