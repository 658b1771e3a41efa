"""Whether a trace ended properly: its last packet is a support packet that says so.

A flow cannot tell in every case: a trap on the last row may be followed by the end, or by nothing.
"""

import numpy as np
import numpy.typing as npt

from specs.trace.packets import Column, Format, QualStatus

_ENDED = {QualStatus.ended_rep, QualStatus.ended_ntr}

#: What is wrong with a trace whose last packet does not say so, in words.
CUT_SHORT = "ends without an end-of-trace packet; the recording was cut short"


def says_ended(packet: npt.NDArray[np.uint64]) -> bool:
    """Whether a row of packets (a column a `specs.trace.packets.Column`) says that tracing
    ended."""
    return (
        not packet[Column.reason]
        and int(packet[Column.table]) == Format.SUPPORT
        and int(packet[Column.qual_status]) in _ENDED
    )


def says_lost(packet: npt.NDArray[np.uint64]) -> bool:
    """Whether a row of packets says that packets were lost: the last of a trace that ended so."""
    return (
        not packet[Column.reason]
        and int(packet[Column.table]) == Format.SUPPORT
        and int(packet[Column.qual_status]) == QualStatus.trace_lost
    )
