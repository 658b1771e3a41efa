"""The product behind the model's interface: rows and settings in, bytes out, and back."""

import dataclasses
from collections.abc import Iterable
from itertools import zip_longest
from random import Random

import numpy as np

from decoder import Decoder, pcs
from encoder.encoder import Encoder
from encoder.state import Option
from specs.configuration.parameters import Configuration, SinkParameters
from specs.interfaces import ingress
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from tests.model.adapter import Images, Implementation
from tests.model.rows import Outcome, Retired, Rounds, Row, Trapped
from tests.model.settings import Settings

_VECTORS = {3: "mtvec", 1: "stvec", 6: "vstvec", 5: "vutvec", 0: "utvec"}


def expressible(settings: Settings) -> Settings:
    """`settings` without what no parameter file can say: a trap vector of debug mode, another
    overhead than that of the framing."""
    tvec = tuple(pair for pair in settings.tvec if pair[0] in _VECTORS)
    sink = settings.sink and dataclasses.replace(settings.sink, overhead=1)
    return dataclasses.replace(settings, tvec=tvec, sink=sink)


def configuration(settings: Settings, xlen: int = 64) -> Configuration:
    """The product's configuration for the model's settings, in reference framing."""
    base = Configuration.default(xlen)
    vectors = {_VECTORS[level]: value for level, value in reversed(settings.tvec)}
    return dataclasses.replace(
        base,
        protocol="2.1" if settings.parameters.protocol_minor else "2.0",
        parameters=dataclasses.replace(base.parameters, **vars(settings.parameters)),
        modes=dataclasses.replace(base.modes, **vars(settings.modes)),
        tvec=dataclasses.replace(base.tvec, **vectors),
        resync=dataclasses.replace(base.resync, **vars(settings.resync)),
        encoder=dataclasses.replace(
            base.encoder,
            shorter_packet=settings.shorter_packet,
            loops="exact" if settings.exact_loops else "spec",
            ambiguous="exact" if settings.exact_visits else "spec",
        ),
        sink=_sink(settings),
        framing=dataclasses.replace(base.framing, kind="reference"),
    )


def _sink(settings: Settings) -> SinkParameters:
    sink = settings.sink
    if sink is None:
        return SinkParameters()
    assert sink.overhead == 1, "what reference framing takes"
    return SinkParameters(
        kind="stall" if sink.trTeInstStallEna else "drop",
        rate=sink.rate,
        per=sink.per,
        capacity=sink.capacity,
        resume=sink.resume,
        jitter=sink.jitter,
        seed=sink.seed,
    )


def _blocks(rows: list[Row], rng: Random | None) -> Iterable[list[Row]]:
    """Rows as retirement blocks: each alone, or (with `rng`) as long as they may be, mostly."""
    block: list[Row] = []
    for row in rows:
        last = block[-1] if block else None
        joins = (
            rng is not None
            and last is not None
            and last.retired
            and row.retired
            and last.itype == 0
            and not last.notify
            and last.qualified
            and row.qualified
            and row.ctype == 0
            and not row.restarts
            and row.iaddr == last.iaddr + last.size
            and (row.priv, row.context, row.time) == (last.priv, last.context, last.time)
            and rng.random() < 0.9
        )
        if block and not joins:
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def reports_trap(row: Row | None) -> bool:
    """Does the row behind a trap that is not qualified report it?"""
    if row is None or not row.qualified or not row.retired:
        return False
    return not (row.halted or row.reset or row.ctype == 3)


def chunk(rows: list[Row], rng: Random | None = None) -> ingress.Chunk:
    """Rows as the hart-to-encoder interface has them; with `rng`, in random blocks."""
    refs: list[int] = []
    blocks: list[tuple[int, ...]] = []
    traps: list[tuple[int | bytes, ...]] = []
    sidebands: list[tuple[int | bytes, ...]] = []
    side = (0, 0)
    left_out = False
    every = list(_blocks(rows, rng))
    for block, after in zip_longest(every, every[1:]):
        first, last = block[0], block[-1]
        if not first.qualified:
            if not left_out:
                refs.append(len(sidebands) << 4 | ingress.SIDEBAND_CODE)
                sidebands.append((0, 0, 0, 0, ingress.UNQUALIFIED))
            left_out = True
            if not first.retired and reports_trap(after[0] if after else None):
                refs.append(len(sidebands) << 4 | ingress.SIDEBAND_CODE)
                flags = ingress.TRAP_UNQUALIFIED | ingress.HAS_CONTEXT | ingress.HAS_TIME
                sidebands.append((first.context, first.time, 0, 0, flags))
                refs.append(len(traps) << 4 | (2 if first.interrupt else 1))
                traps.append((first.iaddr, first.tval, first.cause, first.priv, 1))
                left_out = False
            continue
        left_out = False
        apart = (ingress.HALTED if first.halted else 0) | (ingress.RESET if first.reset else 0)
        if (first.context, first.time) != side or last.notify or apart or first.ctype:
            side = (first.context, first.time)
            refs.append(len(sidebands) << 4 | ingress.SIDEBAND_CODE)
            trigger = ingress.TRIGGER_NOTIFY if last.notify else 0
            flags = ingress.HAS_CONTEXT | ingress.HAS_TIME | apart
            sidebands.append((*side, first.ctype, trigger, flags))
        if not first.retired:
            refs.append(len(traps) << 4 | (2 if first.interrupt else 1))
            traps.append((first.iaddr, first.tval, first.cause, first.priv, 1))
            continue
        refs.append(len(blocks) << 4 | last.itype)
        half_words = sum(row.size for row in block) // 2
        sizes = last.size // 4, first.size // 4
        blocks.append((first.iaddr, half_words, *sizes, last.sijump, first.priv))
    return ingress.Chunk(
        np.array(refs, np.uint32),
        np.array(blocks, ingress.BLOCK),
        np.array(traps, ingress.TRAP),
        np.array(sidebands, ingress.SIDEBAND),
    )


def encode(
    rows: list[Row], settings: Settings, rng: Random | None = None, plain: bool = True
) -> bytes:
    """A whole trace, support packets included, in reference framing.

    Without `plain` the flow chart does it all: no stretch is left to `encoder.algorithm.plain`.
    """
    encoder = Encoder(configuration(settings))
    encoder._options[Option.most_branches] = settings.most_branches + 31
    if not plain:
        encoder._options[Option.plain] = 0
    return encoder.feed(chunk(rows, rng)) + encoder.finish()


def rows_of(flow: Flow, code: CodeMap) -> list[Outcome]:
    """A chunk of flow, one row an instruction or trap."""
    found: list[Outcome] = []
    traps = iter(flow.traps)
    trap = next(traps, None)
    loops = {int(loop["run"]): loop for loop in flow.loops}
    assert len(loops) == len(flow.loops)
    for number, run in enumerate(flow.runs):
        while trap is not None and trap["run"] <= flow.first_run + number:
            found.append(_trapped(trap))
            trap = next(traps, None)
        loop = loops.pop(flow.first_run + number, None)
        if loop is not None:
            assert loop["start"] == run["start"]
            found.append(Rounds(int(run["start"]), int(loop["count"]), bool(loop["endless"])))
        addresses = pcs(Flow(flow.runs[number : number + 1]), code)
        found.extend(Retired(int(pc), int(run["priv"])) for pc in addresses)
    while trap is not None:
        found.append(_trapped(trap))
        trap = next(traps, None)
    assert not loops
    return found


def _trapped(trap: np.void) -> Trapped:
    priv = int(trap["priv"])
    return Trapped(
        int(trap["cause"]),
        bool(trap["interrupt"]),
        int(trap["tval"]),
        int(trap["epc"]) if trap["epc_known"] else None,
        None if priv == 255 else priv,
    )


def decode(data: bytes, settings: Settings, images: Images | CodeMap, xlen: int) -> list[Outcome]:
    """What a trace in reference framing says, in order. A gap is an error here."""
    code = images if isinstance(images, CodeMap) else CodeMap(images, xlen)
    decoder = Decoder(configuration(settings, xlen), code, settings.most_branches)
    rows: list[Outcome] = []
    for flow in (*decoder.feed(data), *decoder.finish()):
        assert not len(flow.gaps), flow.gaps
        rows += rows_of(flow, code)
    return rows


PRODUCT = Implementation("product", encode, decode)
