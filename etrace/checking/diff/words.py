"""Differences of what stands between instructions, in words."""

import numpy as np

from etrace.trace.reasons import gap_text
from etrace.trace.stretch import UNKNOWN_PRIV
from specs.isa.causes import cause_name
from specs.isa.privilege import letters


def gap_words(one: np.void | None, other: np.void | None) -> str:
    """A gap on one side; or on both, but not the same."""
    texts = []
    for mark, where in ((one, "in A"), (other, "in B")):
        if mark is None or not mark["reason"]:
            texts.append(f"no gap {where}")
        else:
            texts.append(f"a gap {where} ({gap_text(mark)})")
    return ", ".join(texts)


def trap_words(one: np.void | None, other: np.void | None, tval_mask: int) -> str:
    """A trap on one side; or on both, then which of its fields differ."""
    if one is None or other is None:
        there = one if one is not None else other
        assert there is not None
        sides = ("in A", "in B") if one is not None else ("in B", "in A")
        return f"{trap_text(there)} {sides[0]}, no trap {sides[1]}"
    texts = [
        f"{name} {mine} in A, {theirs} in B"
        for name, mine, theirs in zip(
            _NAMES, _fields(one, tval_mask), _fields(other, tval_mask), strict=True
        )
        if mine != theirs and "unknown" not in (mine, theirs)
    ]
    return f"{trap_text(one)}: {'; '.join(texts)}"


def trap_text(mark: np.void) -> str:
    """A trap in words."""
    interrupt, cause = bool(mark["interrupt"]), int(mark["cause"])
    kind = "interrupt" if interrupt else "exception"
    where = f" at {int(mark['epc']):x}" if mark["epc_known"] else ""
    return f"{kind} {cause} ({cause_name(cause, interrupt)}){where}"


_NAMES = ("cause", "epc", "tval", "privilege")


def _fields(mark: np.void, tval_mask: int) -> tuple[str, str, str, str]:
    interrupt, cause, priv = bool(mark["interrupt"]), int(mark["cause"]), int(mark["priv"])
    kind = "interrupt " if interrupt else ""
    return (
        f"{kind}{cause} ({cause_name(cause, interrupt)})",
        f"{int(mark['epc']):x}" if mark["epc_known"] else "unknown",
        "unknown" if interrupt else f"{int(mark['tval']) & tval_mask:x}",
        "unknown" if priv == UNKNOWN_PRIV else letters(priv),
    )
