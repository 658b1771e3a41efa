"""Random trials with context, time, gaps in qualification and lost packets, over the programs of
`generate` and `generate_modes`, in any modes and either protocol.

`random_context_trial(seed)`, `random_qualification_trial(seed)` and `random_loss_trial(seed)` are
all that a test needs.
"""

from dataclasses import dataclass, replace
from random import Random

from tests.model import generate
from tests.model.filters import CONTEXT, IADDR, TVAL, Comparator, Filter, Filtering
from tests.model.generate import Case
from tests.model.generate_modes import random_modes_trial, random_update_trial
from tests.model.rows import DISCONTINUITY, IMPRECISELY, PRECISELY, RETURN, Row, trap
from tests.model.settings import Parameters, Resync, Settings
from tests.model.sink import Sink

#: Largest values of *context* and *time*.
CONTEXTS, TIMES = 1 << 8, 1 << 16

_CTYPES = (IMPRECISELY, PRECISELY, DISCONTINUITY)


@dataclass
class Changes:
    """How often a row changes its context, by *ctype*, or begins somewhere else."""

    ctypes: tuple[float, float, float]
    behind_jumps: float
    elsewhere: float
    tick: tuple[int, ...]


def _changes(rng: Random, discontinuities: bool) -> Changes:
    rate = rng.choice((0.01, 0.05, 0.2, 0.5))
    share = rng.choice(((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (4, 4, 1)))
    if not discontinuities:
        share = (share[0], 0, 0)
    return Changes(
        behind_jumps=rng.choice((0.0, 0.3)) if share[1] else 0.0,
        ctypes=(rate * share[0], rate * share[1] / 2, rate * share[2] / 4),
        elsewhere=rng.choice((0.0, 0.5, 1.0)),
        tick=rng.choice(((0, 1), (1,), (0, 0, 0, 0, 50), (1, 2, 30))),
    )


def _base_trial(seed: int) -> tuple[Case, Settings]:
    which = Random(f"base {seed}").randrange(4)
    if which == 0:
        return generate.random_trial(seed)
    return random_update_trial(seed) if which == 1 else random_modes_trial(seed)


def _with_context(rng: Random, rows: list[Row], changes: Changes) -> list[Row]:
    """Rows with times that pass and contexts that stay until a *ctype* reports another, mostly.

    A discontinuity may leave rows out, so that it leads to any other address.
    """
    context = time = at = 0
    changed: list[Row] = []
    while at < len(rows):
        ctype = 0
        for kind, chance in zip(_CTYPES, changes.ctypes, strict=True):
            if rng.random() < chance:
                ctype = kind
        behind = at > 0 and (rows[at].sijump or rows[at - 1].itype == RETURN)
        if behind and rng.random() < changes.behind_jumps:
            ctype = PRECISELY
        if ctype == DISCONTINUITY and rng.random() < changes.elsewhere:
            at = min(at + rng.randrange(12), len(rows) - 1)
        if ctype or rng.random() < 0.01:
            context = rng.choice((context, context + 1, rng.randrange(CONTEXTS))) % CONTEXTS
        time = min(time + rng.choice(changes.tick), TIMES - 1)
        changed.append(replace(rows[at], context=context, time=time, ctype=ctype))
        at += 1
    return changed


def _widths(rng: Random, p: Parameters, time: int, context: int) -> Parameters:
    """Fields for context and time, some absent or too narrow; those of 2.1 are half-words."""
    p = replace(
        p,
        ctype_width_p=2,
        nocontext_p=rng.choice((0, 0, 1)),
        notime_p=rng.choice((0, 1)),
        context_width_p=rng.choice((2, 8, 8, 16)) if context > 1 else rng.choice((1, 8)),
        time_width_p=16 if p.protocol_minor == 1 else rng.choice((3, max(time.bit_length(), 1))),
    )
    excess = generate._longest_packet(p) - generate.LONGEST_PAYLOAD
    return replace(p, notime_p=1, nocontext_p=1) if excess > 0 else p


def _with_context_settings(rng: Random, rows: list[Row], settings: Settings) -> Settings:
    time = max([row.time for row in rows], default=0)
    context = max([row.context for row in rows], default=0)
    p = _widths(rng, settings.parameters, time, context)
    if not any(row.ctype > IMPRECISELY for row in rows) and rng.random() < 0.5:
        p = replace(p, ctype_width_p=1)
    if rng.random() < 0.3:
        period = rng.choice((1, 2, 5, 20, 100, 1000))
        settings = replace(settings, resync=Resync("cycles", period))
    return replace(settings, parameters=p)


def random_context_trial(seed: int) -> tuple[Case, Settings]:
    """A case with context changes of all kinds, and times; one resynchronisation in three counts
    cycles."""
    rng = Random(f"context {seed}")
    case, settings = _base_trial(seed)
    changes = _changes(rng, rng.random() < 0.8)
    rows = _with_context(rng, case.rows, changes)
    return replace(case, rows=rows), _with_context_settings(rng, rows, settings)


def _with_gaps(rng: Random, rows: list[Row]) -> list[Row]:
    """Stretches of rows that are not traced, or are not there; halts and resets."""
    ends = rng.choice((0.5, 0.2, 0.05, 0.02))
    begins = rng.choice((0.5, 0.2, 0.05))
    stops = rng.choice((0.0, 0.0, 0.02, 0.1))
    at_traps = rng.random() < 0.3
    marked: list[Row] = []
    qualified = rng.random() < 0.8
    for row in rows:
        chance = ends if qualified else begins
        if at_traps and not row.retired:
            chance = 0.5
        if rng.random() < chance:
            qualified = not qualified
        halted, reset = rng.random() < stops, rng.random() < stops / 2
        marked.append(replace(row, qualified=qualified, halted=halted, reset=reset))
    return marked


def _handlers_alone(rng: Random, rows: list[Row]) -> list[Row]:
    """Handlers of traps that are not traced begin to be, or go on."""
    chance = rng.choice((0.2, 0.5, 0.9))
    marked = list(rows)
    for at, row in enumerate(rows[1:], 1):
        if row.retired and not rows[at - 1].retired and rng.random() < chance:
            marked[at - 1] = replace(marked[at - 1], qualified=False)
            marked[at] = replace(row, qualified=True)
    return marked


def random_qualification_trial(seed: int) -> tuple[Case, Settings]:
    """A case of which only parts are qualified, half of them with context changes too."""
    rng = Random(f"qualification {seed}")
    case, settings = random_context_trial(seed)
    rows = _with_gaps(rng, case.rows)
    if rng.random() < 0.5:
        rows = [replace(row, ctype=0, halted=row.halted or row.restarts) for row in rows]
    if rng.random() < 0.3:
        rows = _handlers_alone(rng, rows)
    return replace(case, rows=rows), settings


def random_comparator(rng: Random, rows: list[Row]) -> Comparator:
    """A comparator that has something to match in `rows`."""
    fields = {
        IADDR: [row.iaddr for row in rows],
        CONTEXT: [row.context for row in rows],
        TVAL: [row.tval for row in rows if not row.retired],
    }
    source = rng.choice((IADDR, IADDR, IADDR, CONTEXT, TVAL))
    other = rng.choice((source, source, IADDR))
    return Comparator(
        trTeCompPInput=source,
        trTeCompSInput=other,
        trTeCompPFunction=rng.choice((0, 0, 1, 2, 3, 4, 5, 5, 6, 7)),
        trTeCompSFunction=rng.choice((0, 0, 1, 2, 3, 3, 4, 5, 6, 7)),
        trTeCompMatchMode=rng.randrange(4),
        trTeCompPNotify=rng.random() < 0.1,
        trTeCompSNotify=rng.random() < 0.1,
        trTeCompPMatch=rng.choice(fields[source] or [0]),
        trTeCompSMatch=rng.choice(fields[other] or [0]),
    )


def random_filter(rng: Random, rows: list[Row], comparators: int) -> Filter:
    causes = [row.cause for row in rows if not row.retired] or [0]
    privileges = [row.priv for row in rows] or [3]
    return Filter(
        trTeFilterEnable=rng.random() < 0.95,
        trTeFilterMatchPrivilege=rng.random() < 0.3,
        trTeFilterMatchEcause=rng.random() < 0.2,
        trTeFilterMatchInterrupt=rng.random() < 0.1,
        trTeFilterMatchComp1=rng.random() < 0.7,
        trTeFilterComp1=rng.randrange(comparators),
        trTeFilterMatchComp2=rng.random() < 0.2,
        trTeFilterComp2=rng.randrange(comparators),
        trTeFilterMatchComp3=rng.random() < 0.1,
        trTeFilterComp3=rng.randrange(comparators),
        trTeFilterMatchChoicePrivilege=1 << rng.choice(privileges) | rng.randrange(256),
        trTeFilterMatchValueInterrupt=rng.randrange(2),
        trTeFilterMatchChoiceEcause=1 << rng.choice(causes) % 64 | 1 << rng.choice(causes) % 64,
    )


def random_filtering(rng: Random, rows: list[Row]) -> Filtering:
    """Filters that match some of `rows`, mostly."""
    comparators = tuple(random_comparator(rng, rows) for _ in range(rng.choice((1, 2, 4))))
    filters = tuple(
        random_filter(rng, rows, len(comparators)) for _ in range(rng.choice((1, 1, 2, 3)))
    )
    return Filtering(
        trTeInstFilters=rng.randrange(1, 1 << len(filters)),
        filters=filters,
        comparators=comparators,
        filter_excint_p=rng.choice((1, 2, 4)),
    )


def random_sink(rng: Random) -> Sink:
    """A buffer that is full now and then, or mostly; the product takes those from 128 bytes on."""
    capacity = rng.choice((4, 16, 24, 40, 64, 128, 128, 140, 180))
    bytes_, per = rng.choice(((1, 1), (1, 2), (1, 4), (1, 8), (1, 30), (3, 7)))
    scale = rng.choice((1, 4, 100))
    return Sink(
        rate=bytes_ * scale,
        per=per * scale,
        capacity=capacity,
        resume=rng.choice((0, capacity // 2, capacity * 3 // 4, capacity)),
        overhead=rng.choice((1, 1, 3)),
        jitter=rng.choice((0, bytes_ * scale // 2, bytes_ * scale - 1)),
        seed=rng.randrange(1, 1 << 64),
    )


def _interrupted(rng: Random, rows: list[Row]) -> list[Row]:
    """Rows with interrupts in between, each with the next instruction for its handler.

    So that many of those that resume are traps, and what they lead to is the first traced.
    """
    rate = rng.choice((0.1, 0.3, 0.6))
    interrupted: list[Row] = []
    for row in rows:
        if row.retired and not row.restarts and rng.random() < rate:
            event = trap(row.iaddr, row.priv, rng.randrange(2), interrupt=True)
            before = interrupted[-1] if interrupted else row
            event = replace(event, context=before.context, time=before.time)
            interrupted.append(replace(event, qualified=row.qualified and rng.random() < 0.9))
        interrupted.append(row)
    return interrupted


def random_loss_trial(seed: int) -> tuple[Case, Settings]:
    """A case whose packets do not all fit into the sink, half of them qualified in parts only."""
    rng = Random(f"loss {seed}")
    trial = random_qualification_trial if rng.random() < 0.5 else random_context_trial
    case, settings = trial(seed)
    settings = replace(settings, sink=random_sink(rng))
    if rng.random() < 0.5:
        case = replace(case, rows=_interrupted(rng, case.rows))
    return case, settings
