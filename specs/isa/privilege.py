"""Privilege levels as the trace carries them (E-Trace 2.0, "Instruction Trace Interface")."""

from enum import IntEnum


class Privilege(IntEnum):
    """`priv` of the interface and `privilege` of the packets; codes 2 and 7 are reserved."""

    U = 0
    S = 1
    M = 3
    D = 4
    VU = 5
    VS = 6


def fits(code: int, width: int) -> bool:
    """Whether a field of `width` bits can tell a level.

    In one bit, 1 is M and 0 is U: it has the lowest bit of the code, and of M and S, which it
    cannot tell apart, a hart with two levels has M (docs/choices.md, "Privilege of one bit").
    """
    if width == 1:
        return code in (Privilege.U, Privilege.M)
    return code >> width == 0


def letters(code: int) -> str:
    """`U`, `S`, `M`, `D`, `VU`, `VS`; `?` and the number for a reserved code."""
    try:
        return Privilege(code).name
    except ValueError:
        return f"?{code}"


def from_letters(text: str) -> Privilege:
    """The inverse of `letters`, in any case. Raises ValueError for an unknown name."""
    try:
        return Privilege[text.upper()]
    except KeyError:
        names = ", ".join(Privilege.__members__)
        raise ValueError(f"{text!r} is not a privilege level (one of {names})") from None
