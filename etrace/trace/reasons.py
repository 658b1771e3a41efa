"""What the flow does not tell, in words: gaps, and loops of unknown length."""

import numpy as np

from specs.interfaces.flow import Reason

_REASONS = {
    Reason.TRUNCATED: "the stream ends inside a packet",
    Reason.BAD_HEADER: "a framing header that cannot be",
    Reason.BAD_PACKET: "a packet that no format explains",
    Reason.NO_SYNC: "packets before the first synchronisation packet",
    Reason.NO_CODE: "no code at {address:#x}: damaged, or a program is missing (--elf, --image; "
    "--platform for its boot ROM)",
    Reason.ILLEGAL_CODE: "no instruction at {address:#x}; is it the program that was traced?",
    Reason.NO_BRANCH: "no outcome for the branch at {address:#x}",
    Reason.UNPROCESSED_BRANCHES: "{address:#x} reached with branches left over",
    Reason.UNEXPECTED_DISCONTINUITY: "no target for the uninferable discontinuity at {address:#x}",
    Reason.NOT_REACHED: "{address:#x} cannot be reached",
    Reason.UNSUPPORTED_MODE: "the support packet announces modes or sizes that the parameters "
    "rule out (--params)",
    Reason.MODE_OFF: "a packet of format 0 for a mode that no support packet has announced",
    Reason.BAD_COUNT: "a branch count that cannot be ({address})",
    Reason.EMPTY_ENTRY: "entry {address} of the jump target cache is empty",
    Reason.TRACE_LOST: "the encoder lost packets (qual_status trace_lost)",
    Reason.NO_VECTOR: "no trap vector is given for privilege {address}: set it in [tvec]",
}


def reason_name(reason: int) -> str:
    """`Reason` in lower case, or the number of one that we do not know."""
    return Reason(reason).name.lower() if reason in set(Reason) else str(reason)


def loop_text(loop: np.void) -> str:
    """A row of `specs.interfaces.flow.LOOP` in words."""
    count = int(loop["count"])
    what = f"{count:,} instruction{'s' * (count != 1)} from {int(loop['start']):x}"
    if loop["endless"]:
        return f"loop: {what}, an unknown number of times"
    return f"perhaps {what} before: the packets do not tell which visit this is"


def loops_text(loops: int, visits: int) -> str:
    """That the packets do not tell the rounds of so many loops, or which of several visits of a
    place is meant."""
    texts = []
    if loops:
        what = "1 loop" if loops == 1 else f"{loops:,} loops"
        texts.append(
            f"{what} of unknown length: the packets do not tell how many rounds "
            '([encoder] loops = "exact" would have them do so)'
        )
    if visits:
        what = "1 place" if visits == 1 else f"{visits:,} places"
        texts.append(
            f"{what} that may have been passed before: the packets do not tell which visit is "
            'meant ([encoder] ambiguous = "exact" would have them do so)'
        )
    return "; ".join(texts)


def gap_text(gap: np.void) -> str:
    """A gap in one line: packet, byte offset in the stream, reason."""
    reason = int(gap["reason"])
    text = _REASONS[Reason(reason)] if reason in set(Reason) else f"reason {reason}"
    text = text.format(address=int(gap["address"]))
    return f"packet {int(gap['packet'])}, offset {int(gap['offset'])}: {text}"
