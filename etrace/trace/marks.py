"""What stands between instructions: traps, gaps, pauses, in one table for each side."""

import numpy as np
import numpy.typing as npt

from etrace.trace.stretch import positions
from specs.interfaces.flow import Flow

PAUSE, TRAP, GAP = range(3)

#: `position`: instructions of the flow before it. `kind`: of the above; the fields of the others
#: are 0. `packet`, `offset`: of the packet that reports it.
MARK = np.dtype(
    [
        ("position", "<i8"),
        ("epc", "<u8"),
        ("tval", "<u8"),
        ("cause", "<u8"),
        ("address", "<u8"),
        ("packet", "<i8"),
        ("offset", "<i8"),
        ("kind", "u1"),
        ("interrupt", "u1"),
        ("priv", "u1"),
        ("epc_known", "u1"),
        ("reason", "u1"),
    ]
)

Marks = npt.NDArray[np.void]


def none() -> Marks:
    """No marks."""
    return np.zeros(0, MARK)


def flow_marks(flow: Flow, first: int) -> Marks:
    """The marks of a flow chunk that `first` instructions precede, in stream order."""
    if not len(flow.pauses) and not len(flow.traps) and not len(flow.gaps):
        return none()
    tables = (
        (PAUSE, flow.pauses, ("packet", "offset")),
        (
            TRAP,
            flow.traps,
            ("epc", "tval", "cause", "interrupt", "priv", "epc_known", "packet", "offset"),
        ),
        (GAP, flow.gaps, ("address", "reason", "packet", "offset")),
    )
    parts = []
    for kind, table, names in tables:
        part = np.zeros(len(table), MARK)
        part["position"] = positions(flow, first, table["run"])
        part["kind"] = kind
        for name in names:
            part[name] = table[name]
        parts.append(part)
    marks = np.concatenate(parts)
    if len(marks) > 1:
        marks = marks[np.lexsort((marks["kind"], marks["packet"], marks["position"]))]
    return marks
