"""Instruction types: how a retirement block ends (E-Trace 2.0, "Instruction Trace Interface")."""

from enum import IntEnum


class Itype(IntEnum):
    """The codes of `itype`. With `itype_width_p` 3 only the codes up to 6 exist."""

    NONE = 0
    EXCEPTION = 1
    INTERRUPT = 2
    TRAP_RETURN = 3
    NONTAKEN_BRANCH = 4
    TAKEN_BRANCH = 5
    UNINFERABLE_JUMP_3BIT = 6
    RESERVED = 7
    UNINFERABLE_CALL = 8
    INFERABLE_CALL = 9
    UNINFERABLE_JUMP = 10
    INFERABLE_JUMP = 11
    COROUTINE_SWAP = 12
    RETURN = 13
    OTHER_UNINFERABLE_JUMP = 14
    OTHER_INFERABLE_JUMP = 15


#: An uninferable discontinuity: what retires next has to be reported (section "Format 2 ...").
UPDISCON: frozenset[Itype] = frozenset(
    {
        Itype.TRAP_RETURN,
        Itype.UNINFERABLE_JUMP_3BIT,
        Itype.UNINFERABLE_CALL,
        Itype.UNINFERABLE_JUMP,
        Itype.COROUTINE_SWAP,
        Itype.RETURN,
        Itype.OTHER_UNINFERABLE_JUMP,
    }
)


def narrow(itype: int) -> Itype:
    """The code that a hart reports where `itype_width_p` is 3. Raises ValueError above 15."""
    wide = Itype(itype)
    if wide < Itype.RESERVED:
        return wide
    return Itype.UNINFERABLE_JUMP_3BIT if wide in UPDISCON else Itype.NONE
