"""Why most of a trace does not decode: other parameters that fit better, or another program.

The first bytes of a stream are read again with a bounded number of alternatives: one parameter is
changed at a time, the best change is kept, and so on for a few rounds. How well a configuration
fits is how many packets make sense, and of those how many a decoder follows through the program.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

import decoder
from etrace.errors import EtraceError
from etrace.trace.dumps import swapped
from etrace.trace.program import Code
from etrace.trace.trace import BARE, Trace
from specs.configuration.parameters import PROTOCOLS, Configuration, ParametersError, from_dict
from specs.interfaces.flow import Reason
from specs.trace.framing import EXTEND, LENGTH_MASK
from specs.trace.packets import Column, Format
from specs.trace.single import take

#: Below `_FAIR` a trace is looked into; an alternative has to be `_GOOD`, and `_STEP` better or
#: without any of more than `_MANY` breaks. If there is none, only a trace that is `_POOR` is
#: remarked on: damage is no wrong parameter.
_POOR, _FAIR, _GOOD, _STEP, _MANY = 0.75, 0.99, 0.95, 0.1, 8
_ROUNDS = 3
#: Instructions that are followed for one alternative, at most.
_MOST_INSTRUCTIONS = 1 << 20
#: Headers that are asked for the srcID and the type.
_VOTERS = 64
#: Bytes of a usual packet.
_USUAL = 4

#: A change: (table, key) and value.
Change = Mapping[tuple[str, str], Any]


@dataclass(frozen=True)
class Fit:
    """How well a configuration fits. `sound`: of the packets, those that make sense; `followed`: of
    these, those that a decoder follows (0 without a program); `breaks`: where it has to stop."""

    sound: float = 0.0
    followed: float = 0.0
    breaks: int = 0

    def score(self, with_code: bool) -> float:
        """From 0 to 1."""
        return self.sound * (0.1 + 0.9 * self.followed) if with_code else self.sound


def diagnose(trace: Trace) -> str | None:
    """What to do about a trace most of which does not decode, in a line; None if there is no such
    thing to be said."""
    try:
        code = trace.code
    except EtraceError:
        code = None
    if code is not None and not code.programs and not code.images:
        code = None
    head, configuration = trace.head[trace.lead_in :], trace.configuration
    if not any(head):
        return None
    with_code = code is not None
    now = fit(head, configuration, code, trace.hart is None)
    if now.score(with_code) >= _FAIR:
        return None
    what = (
        f"{now.followed * now.sound:.0%} of its first packets can be followed"
        if with_code
        else f"{now.sound:.0%} of its first packets make sense"
    )
    if trace.header.source == BARE:
        for form, turned in _other_orders(trace):
            if fit(turned, configuration, code).score(with_code) >= _GOOD:
                return f"{what}; with --input-format {form} it would be more"
        change, then = _better(head, configuration, code, now)
        step = then.score(with_code) - now.score(with_code)
        cured = step > 0 and now.breaks > _MANY and not then.breaks
        if then.score(with_code) >= _GOOD and (step >= _STEP or cured):
            return f"{what}; with {_shown(change)} it would be {then.score(with_code):.0%}"
    if now.score(with_code) >= _POOR:
        return None
    if with_code and now.sound >= _GOOD and now.breaks > 2:
        return (
            f"{what}, though the packets make sense: is it the program that was traced? "
            "Give the right one with --elf"
        )
    return f"{what}, and no other parameters that were tried fit" if with_code else None


def fit(head: bytes, configuration: Configuration, code: Code | None, alone: bool = True) -> Fit:
    """How well `configuration` (and the program) fits the first bytes of a stream. Where there are
    other harts in it, not `alone`, packets of other sources are none that are wrong.
    """
    reader = decoder.PacketReader(configuration)
    reader.feed(head)
    arrays = []
    while len(rows := reader.read(final=True)[1]):
        arrays.append(rows.copy())
    if not arrays:
        return Fit()
    rows = np.concatenate(arrays)
    reasons = rows[:, Column.reason]
    good = int(np.count_nonzero(reasons == 0))
    bad = rows[(reasons != 0) & (reasons != Reason.TRUNCATED)]
    wrong = int(bad[:, Column.length].sum()) / _USUAL + reader.foreign * alone
    sound = good / (good + wrong) if good else 0.0
    modes = any(vars(reader.configuration.modes).values())
    if code is None or not good or (modes and sound < _GOOD):
        # the decoder of modes is another kernel: not worth its loading for what makes no sense
        return Fit(sound)
    synchronisations = np.flatnonzero(
        (reasons == 0) & np.isin(rows[:, Column.table], (Format.SYNC, Format.TRAP))
    )
    machine = decoder.Decoder(configuration, code.map)
    gaps: list[int] = []
    for flow in chain(machine.feed(head), machine.finish()):
        kept = ~np.isin(flow.gaps["reason"], (Reason.TRUNCATED, Reason.TRACE_LOST))
        gaps += flow.gaps["packet"][kept].tolist()
        if machine.statistics.instructions > _MOST_INSTRUCTIONS:
            break
    if not machine.statistics.instructions:
        return Fit(sound, 0.0, len(gaps))
    # a gap takes what is behind it, up to the next packet with a full address
    stretches = np.searchsorted(synchronisations, gaps, "right")
    ends = np.append(synchronisations, len(rows))
    broken, first = np.unique(stretches, return_index=True)
    lost = int((ends[broken] - np.array(gaps, np.int64)[first]).sum())
    share = max(lost / len(rows), len(broken) / len(ends))
    return Fit(sound, 1 - share, len(gaps))


def _other_orders(trace: Trace) -> Iterator[tuple[str, bytes]]:
    """The first bytes of a dump as if its words had another order, and the names of these."""
    form = trace.dump.format
    given = int(form[4:]) // 8 if form.startswith("swap") else 1
    whole = trace.head[: len(trace.head) & -8]
    if trace.seam is not None:
        return
    for word in (1, 2, 4, 8):
        if word != given:
            turned = swapped(swapped(whole, given), word)
            yield "bin" if word == 1 else f"swap{8 * word}", turned


def _better(
    head: bytes, configuration: Configuration, code: Code | None, now: Fit
) -> tuple[Change, Fit]:
    """The best change that was found, and its fit."""
    best: dict[tuple[str, str], Any] = {}
    for _ in range(_ROUNDS):
        score = now.score(code is not None)
        improved: tuple[Change, Fit] | None = None
        for change in _changes(head, _changed(configuration, best) or configuration):
            candidate = _changed(configuration, {**best, **change})
            if candidate is None:
                continue
            found = fit(head, candidate, code)
            if found.score(code is not None) > score + 0.01:
                improved, score = (change, found), found.score(code is not None)
        if improved is None:
            break
        best |= improved[0]
        now = improved[1]
        if score >= _GOOD:
            break
    values = configuration.to_dict()
    different = {
        (table, key): value
        for (table, key), value in best.items()
        if (values[table] if table else values).get(key) != value
    }
    return different, now


def _changed(configuration: Configuration, change: Change) -> Configuration | None:
    """The configuration with other values; None if they cannot be."""
    values = configuration.to_dict()
    for (table, key), value in change.items():
        if table:
            values[table] = {**values[table], key: value}
        else:
            values[key] = value
    try:
        return from_dict(values)
    except ParametersError:
        return None


#: Values of parameters that are tried, together where they belong together.
_PARAMETERS: tuple[dict[str, int], ...] = (
    *({"iaddress_lsb_p": value} for value in (0, 1, 2)),
    *({"iaddress_width_p": value} for value in (32, 39, 40, 48, 64)),
    *({"privilege_width_p": value} for value in (1, 2, 3)),
    *({"ecause_width_p": value} for value in (4, 5, 6, 8, 16, 32, 64)),
    {"nocontext_p": 1},
    *({"nocontext_p": 0, "context_width_p": value} for value in (8, 16, 32, 64)),
    {"notime_p": 1},
    *({"notime_p": 0, "time_width_p": value} for value in (16, 32, 40, 48, 64)),
    *({"ioptions_width_p": value} for value in (4, 5, 6, 7, 8, 32)),
    {"f0s_width_p": 0},
    {"f0s_width_p": 1},
)


def _changes(head: bytes, configuration: Configuration) -> Iterator[Change]:
    """Alternatives to a configuration, those of the framing first."""
    framing = configuration.framing
    if framing.kind == "encap":
        yield {("framing", "kind"): "reference"}
    for srcid in range(17):
        for type_ in (framing.type_width,) if srcid else (0, 1, 2, 3):
            yield _framing(head, srcid, type_, framing.timestamp_width)
    for timestamp in range(0, 72, 8):
        if timestamp != framing.timestamp_width:
            yield _framing(head, framing.srcid_width, framing.type_width, timestamp)
    for values in _PARAMETERS:
        have = configuration.parameters
        if any(getattr(have, key) != value for key, value in values.items()):
            yield {("parameters", key): value for key, value in values.items()}
    for protocol in PROTOCOLS:
        if protocol != configuration.protocol:
            yield {("", "protocol"): protocol}


def _framing(head: bytes, srcid_width: int, type_width: int, timestamp_width: int) -> Change:
    """An encapsulation of these widths, with the srcID and the type that most packets have."""
    from bitstring import Bits

    votes: Counter[tuple[int, int]] = Counter()
    at = 0
    while at < len(head) and votes.total() < _VOTERS:
        header = head[at]
        if not header & LENGTH_MASK:
            at += 1
            continue
        stamp = timestamp_width if header & EXTEND else 0
        size = 1 + srcid_width // 8 + stamp // 8 + (header & LENGTH_MASK)
        bits = Bits.from_bytes(head[at + 1 : at + size][::-1])
        votes[take(bits, 0, srcid_width), take(bits, srcid_width + stamp, type_width)] += 1
        at += size
    srcid, type_ = votes.most_common(1)[0][0] if votes else (0, 0)
    values = {
        "kind": "encap",
        "srcid_width": srcid_width,
        "srcid": srcid,
        "type_width": type_width,
        "type": type_,
        "timestamp_width": timestamp_width,
    }
    return {("framing", key): value for key, value in values.items()}


def _shown(change: Change) -> str:
    """A change as it stands in a parameter file."""
    parts = []
    for (table, key), value in change.items():
        written = f'"{value}"' if isinstance(value, str) else value
        place = f"[{table}] " if table not in ("", "parameters") else ""
        parts.append(f"{place}{key} = {written}")
    return ", ".join(parts)
