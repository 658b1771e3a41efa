"""ISA strings: which extensions a machine has, and which a program wants."""

import re
from collections.abc import Collection, Iterable
from functools import cache

from emu.memory import MachineError
from specs.isa.names import IMPLIED, MISA, NO_INSTRUCTIONS, PROFILES, ZCM_NAMES, implied
from specs.isa.tables import ENTRIES, RV32, ZCM

#: Every hart has these, whatever it is restricted to.
ALWAYS = ("i", "zicsr", "zifencei", "system")
#: Privilege modes besides M: an ISA string that names neither leaves both.
_MODES = ("s", "u")
#: What a hart can have.
MODES = ("m", "mu", "msu")
#: In this order, multi-letter names after all single letters, a z by its second letter first, an s
#: after all of these ("ISA Extension Naming Conventions").
_LETTERS = "iemafdqlcbkjtvph"
#: An RV32E program is one for any RV32I hart.
_SUBSETS = ("e",)
_PROFILE = re.compile(r"(rv[a-z]\d\d[usm](32|64))(.*)")


def _canonical(name: str) -> tuple[int, int, str]:
    if name in _MODES:
        return 0, len(_LETTERS), name
    if name.startswith("s"):
        return 2, 0, name
    letter = name[1] if len(name) > 1 else name
    return int(len(name) > 1), _LETTERS.find(letter) % len(_LETTERS), name


def _lacking_instructions() -> frozenset[str]:
    """Names of extensions that have an instruction without a meaning."""
    from emu.isa.kinds import meaning_of  # imports Numba

    lacks = {e.extension for e in ENTRIES for x in e.xlens if e.expansion not in meaning_of(x)}
    # `zfa+d` is of Zfa, `zbb/zbkb` of both.
    return frozenset(name for each in lacks for name in each.partition("+")[0].split("/"))


@cache
def extensions() -> dict[str, tuple[str, ...]]:
    """What the emulator executes, by name in an ISA string, as extensions of `specs.isa.tables`:
    those whose instructions all have a meaning.
    """
    lacks = _lacking_instructions()
    tables = {name for e in ENTRIES for name in re.split("[+/]", e.extension)} - {"system"}
    known = tables | IMPLIED.keys() | NO_INSTRUCTIONS
    found = {name: implied([name], RV32) for name in known}
    able = {name: tuple(sorted(parts)) for name, parts in found.items() if not parts & lacks}
    return {name: able[name] for name in sorted(able, key=_canonical)}


def everything(xlen: int) -> str:
    """What the emulator executes as the manual writes it: RV64IMAFDCB_Zicond.... Leaves out what
    another name stands for (Zba, where there is B), what has no instructions, and the modes.
    """
    has = allowed(None, xlen)
    stood_for = {part for name in has for part in implied([name], xlen) - {name}}
    parts = {part for part in stood_for if len(part) > 1} | {"zcd", "zcf"}
    said = [n for n in extensions() if n in has - parts - NO_INSTRUCTIONS and n not in _MODES]
    letters = "".join(name for name in said if len(name) == 1)
    longer = [name.capitalize() for name in said if len(name) > 1]
    return "_".join([f"RV{xlen}{letters.upper()}", *longer])


def _plain(name: str) -> str:
    """Without a version number: m2p0, zba1p0."""
    return re.sub(r"\d+p\d+$", "", name)


def names(isa: str) -> tuple[int, list[str]]:
    """Width and extension names of an ISA string, version numbers dropped ("rv64i2p1_m2p0"); of a
    profile's name, its mandatory extensions and what follows it ("rva22u64_zbc").

    Raises MachineError if it is neither.
    """
    isa_ = isa.strip().lower()
    profile = _PROFILE.fullmatch(isa_)
    if profile is not None and profile[1] in PROFILES:
        xlen, rest = int(profile[2]), profile[3]
        found = PROFILES[profile[1]].split()
    else:
        match = re.fullmatch(r"rv(32|64)([a-z])(.*)", isa_)
        if match is None:
            raise MachineError(f"isa {isa!r}: expected rv32... or rv64..., as in rv64imac_zicsr")
        xlen, base, rest = int(match[1]), match[2], match[3]
        found = ["i", "m", "a", "f", "d", "zicsr", "zifencei"] if base == "g" else [base]
        rest = re.sub(r"^\d+(p\d+)?", "", rest)
    for part in rest.split("_"):
        # Single letters may stand together; a multi-letter name ends its part.
        while part:
            if re.fullmatch("[su]+", part):
                found += part
                break
            if part[0] in "zsx":
                found.append(_plain(part))
                break
            found.append(part[0])
            part = re.sub(r"^.(\d+(p\d+)?)?", "", part)
    return xlen, found


def _with_modes(has: frozenset[str], modes: str) -> frozenset[str]:
    wanted = modes.lower()
    if wanted not in MODES:
        raise MachineError(f"modes {modes!r}: must be one of {', '.join(MODES).upper()}")
    lacks = set(_MODES).difference(wanted)
    return frozenset(
        name for name in has if name not in lacks and not lacks.intersection(implied([name], RV32))
    ) | set(wanted).intersection(_MODES)


def names_zcm(isa: str | None, attributes: Iterable[str | None] = ()) -> bool:
    """Whether a hart has Zcmp or Zcmt in place of Zcd: if `isa` names them or, where that is not
    given, what a program was built for (`attributes`).
    """
    for each in attributes if isa is None else [isa]:
        try:
            _, found = names(each or "")
        except MachineError:
            continue
        if not implied(found, RV32).isdisjoint(ZCM_NAMES):
            return True
    return False


def allowed(
    isa: str | None,
    xlen: int,
    attributes: Collection[str | None] = (),
    modes: str | None = None,
) -> frozenset[str]:
    """Extensions of `specs.isa.tables` that the machine executes, by their names, and those without
    instructions: all that there are or, of them, what `isa` names. All are without Zcmp and Zcmt,
    which have encodings of Zcd, unless a program was built for these (`attributes`): then without
    Zcd. Modes are among them: both where `isa` names neither s nor u; or those of `modes` ("M",
    "MU", "MSU"). Raises MachineError where `isa` names others, or what cannot be together.
    """
    if modes is not None:
        return _with_modes(allowed(isa, xlen, attributes), modes)
    if isa is None:
        without = {"zce", "zcf", "zcd", "c"}
        every = {*extensions(), *ALWAYS} - without
        if names_zcm(None, attributes):
            return implied([*every, "zca"], xlen)
        return implied([*(every - {*ZCM_NAMES}), "c"], xlen)
    width, found = names(isa)
    unknown = [name for name in found if name not in extensions()]
    if unknown:
        raise MachineError(
            f"isa {isa!r}: {', '.join(unknown)} not supported; supported: " + " ".join(extensions())
        )
    if width != xlen:
        raise MachineError(f"isa is RV{width}, the program is RV{xlen}")
    if not any(mode in found for mode in _MODES):
        found += [mode for mode in _MODES if mode in extensions()]
    has = implied([*found, *ALWAYS], xlen)
    for name in ZCM_NAMES:
        if name in has and "zcd" in has:
            raise MachineError(
                f"isa {isa!r}: {name} has encodings of zcd: name zca in place of c, or leave out d"
            )
    if xlen != RV32 and "zcf" in has:
        raise MachineError(f"isa {isa!r}: zcf is of RV32 alone")
    return has


def selection(has: frozenset[str], xlen: int) -> int:
    """What selects the encodings of a hart: the `xlen` of `specs.isa.decode`."""
    return xlen if has.isdisjoint(ZCM_NAMES) else xlen | ZCM


def lacking(attribute: str | None, has: frozenset[str]) -> list[str]:
    """What a program was built for (its ELF attribute) and a machine with `has` has not, as
    the manual writes it: F, D, Zba. Nothing where the attribute is no ISA string.
    """
    try:
        xlen, found = names(attribute or "")
    except MachineError:
        return []
    missing = [
        name
        for name in found
        if name not in NO_INSTRUCTIONS.union(_SUBSETS) and not has.issuperset(implied([name], xlen))
    ]
    return [name.capitalize() for name in dict.fromkeys(missing)]


def misa(has: frozenset[str], xlen: int) -> int:
    """Value of the misa CSR. C is set where there are Zcd and (on RV32) Zcf for the F and D that
    there are ("Zca").
    """
    letters = [letter for letter in MISA if has.issuperset(implied([letter], xlen))]
    if "c" in letters and not has.issuperset(implied(["c", *(has & {"f", "d"})], xlen)):
        letters.remove("c")
    bits = sum(1 << ord(letter) - ord("a") for letter in letters)
    return (1 if xlen == RV32 else 2) << (xlen - 2) | bits
