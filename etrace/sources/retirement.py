"""What a row of the hart-to-encoder interface means: the rows of `specs.interfaces.ingress` for it.

A CSV file has such rows, and `etrace.model` is given them one by one.
"""

from typing import NamedTuple

from etrace.sources.csvcolumns import named
from specs.interfaces import ingress

EXCEPTION, INTERRUPT = 1, 2
TRAPS = (EXCEPTION, INTERRUPT)
_RESERVED = 7
_LIMIT = (1 << 64) - 1
#: breakpoint and the environment calls from U, S, VS and M.
_NEVER_RETIRES = {3, 8, 9, 10, 11}

Values = tuple[int, ...]


class RetirementError(Exception):
    """What is wrong with a row: the signal's name, and why."""


class Reading(NamedTuple):
    """How rows are read: `single`: retires_p is 1, `iretire` counts instructions; otherwise half
    -words. `ecall_retires`: also an ecall or ebreak does, if its row says so.
    """

    single: bool
    ecall_retires: bool

    def parts(
        self,
        itype: int,
        cause: int,
        tval: int,
        priv: int,
        iaddr: int,
        iretire: int,
        ilastsize: int,
        sijump: int,
        number: int = 0,
    ) -> tuple[Values | None, Values | None]:
        """Of block `number` of a cycle, which is not empty: the values of its `ingress.BLOCK` and
        of the `ingress.TRAP` behind it, None where there is none. Raises `RetirementError`.
        """
        size = 1 << ilastsize
        retired = self._half_words(iretire, size, number)
        trap = itype in TRAPS
        if itype == _RESERVED:
            raise RetirementError(f"{named('itype', number)} 7 is reserved")
        if not retired and not trap:
            raise RetirementError(
                f"{named('itype', number)} {itype} but nothing retired "
                f"({named('iretire', number)} is 0)"
            )
        if retired and trap and self._is_unretired_call(itype, cause):
            retired = 0
        first = ilastsize if retired == size else ingress.UNKNOWN_SIZE
        block = (iaddr, retired, ilastsize, first, sijump, priv) if retired else None
        if not trap:
            return block, None
        epc = (iaddr + 2 * retired) & _LIMIT
        # iaddr of an interrupt is not specified; 0 is what sources write that do not know it.
        known = itype == EXCEPTION or bool(retired) or epc != 0
        return block, (epc, tval if itype == EXCEPTION else 0, cause, priv, int(known))

    def _half_words(self, iretire: int, size: int, number: int) -> int:
        name = named("iretire", number)
        if self.single:
            if iretire > 1:
                raise RetirementError(
                    f"{name} {iretire}, but retires_p is 1; set retires_p for blocks"
                )
            return size * iretire
        if 0 < iretire < size:
            raise RetirementError(
                f"{name} {iretire} is less than {named('ilastsize', number)} says ({size})"
            )
        return iretire

    def _is_unretired_call(self, itype: int, cause: int) -> bool:
        return (
            self.single
            and not self.ecall_retires
            and itype == EXCEPTION
            and cause in _NEVER_RETIRES
        )


def sideband(
    context: int | None,
    time: int | None,
    ctype: int,
    trigger: int,
    halted: int,
    reset: int,
) -> Values:
    """The values of the `ingress.SIDEBAND` of a cycle's first reference; context and time None
    where the source does not tell them."""
    flags = ingress.HALTED * halted | ingress.RESET * reset
    flags |= (context is not None) * ingress.HAS_CONTEXT | (time is not None) * ingress.HAS_TIME
    return context or 0, time or 0, ctype, trigger, flags


def tells(values: Values) -> bool:
    """Whether a side band tells anything, besides that context and time are 0."""
    return any(values[:4]) or bool(values[4] & (ingress.HALTED | ingress.RESET))
