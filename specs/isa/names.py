"""Names of extensions in ISA strings: what they imply, as extensions of `specs.isa.tables`.

From the chapter "ISA Extension Naming Conventions", the extensions' own chapters and the profiles.
The table `c` is Zca; the name C stands for more where there are F and D.
"""

from collections.abc import Iterable, Set

from specs.isa.tables import ENTRIES, RV32

#: What a name stands for, or needs, beside itself.
IMPLIED: dict[str, tuple[str, ...]] = {
    "m": ("zmmul",),
    "a": ("zaamo", "zalrsc"),
    "f": ("zicsr",),
    "d": ("f",),
    "b": ("zba", "zbb", "zbs"),
    "s": ("u", "zicsr"),
    "zabha": ("zaamo",),
    "zacas": ("zaamo",),
    "zawrs": ("zalrsc",),
    "zbc": ("zbkc",),
    "zca": ("c",),
    "zcb": ("zca",),
    "zcd": ("zca", "d"),
    "zce": ("zca", "zcb", "zcmp", "zcmt"),
    "zcf": ("zca", "f"),
    "zcmop": ("zca",),
    "zcmp": ("zca",),
    "zcmt": ("zca", "zicsr"),
    "zfa": ("f",),
    "zfh": ("zfhmin",),
    "zfhmin": ("f",),
    "zicntr": ("zicsr",),
    "zihpm": ("zicsr",),
    "svinval": ("s",),
}
#: Those that have no instructions of their own: hints, CSRs, or properties of a platform.
NO_INSTRUCTIONS = frozenset(
    """
    u zicntr zihpm zihintpause zihintntl zicbop zkt
    ziccif ziccrse ziccamoa zicclsm za64rs za128rs zic64b
    sm ss smepmp svbare sv32 sv39 sv48 sv57 svade svadu svnapot svpbmt
    ssccptr sscounterenw sstc sstvala sstvecd ssu64xl
    """.split()
)
#: They have encodings of Zcd.
ZCM_NAMES = ("zcmp", "zcmt")

_RVA20U64 = "i m a f d c zicsr zicntr ziccif ziccrse ziccamoa za128rs zicclsm"
_RVA22U64 = (
    "i m a f d c b zicsr zicntr zihpm ziccif ziccrse ziccamoa zicclsm za64rs zihintpause zic64b "
    "zicbom zicbop zicboz zfhmin zkt"
)
_SUPERVISOR = "s zifencei ss svbare sv39 svade ssccptr sstvecd sstvala"
#: Mandatory extensions of profiles that can stand in place of an ISA string.
PROFILES: dict[str, str] = {
    "rvi20u32": "i",
    "rvi20u64": "i",
    "rva20u64": _RVA20U64,
    "rva20s64": f"{_RVA20U64} {_SUPERVISOR}",
    "rva22u64": _RVA22U64,
    "rva22s64": f"{_RVA22U64} {_SUPERVISOR} sscounterenw svpbmt svinval",
}
#: Bits of misa that say of an extension by one letter that it is there.
MISA = "abcdfimsu"

#: Names that are there where all is there that they imply.
_TOGETHER = ("a", "b")
#: Extensions of the tables that are conditions.
CONDITIONS = frozenset(e.extension for e in ENTRIES if "+" in e.extension or "/" in e.extension)


def granted(extensions: Set[str]) -> frozenset[str]:
    """`extensions`, by their names, and what conditions of the tables hold with them."""
    return frozenset(extensions) | {
        condition
        for condition in CONDITIONS
        if all(not extensions.isdisjoint(part.split("/")) for part in condition.split("+"))
    }


def implied(names: Iterable[str], xlen: int) -> frozenset[str]:
    """`names`, what they imply, the conditions that hold then, and A and B where all of them is
    there. C stands for Zca and, where there are F and D, for Zcf (on RV32) and Zcd; Zce for Zcf
    likewise.
    """
    pending, found = list(names), set[str]()
    stands_for_more = "c" in pending
    is_zce = "zce" in pending
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += IMPLIED.get(name, ())
    if stands_for_more and "d" in found:
        found |= {"zcd", "zca"}
    if (stands_for_more or is_zce) and "f" in found and xlen == RV32:
        found |= {"zcf", "zca"}
    if "c" in found:
        found.add("zca")
    found |= {name for name in _TOGETHER if found.issuperset(IMPLIED[name])}
    return granted(found)
