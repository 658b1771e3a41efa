"""Encoder and decoder one block, one packet at a time: the model beside hardware.

    encoder = etrace.model.Encoder("chip.toml")
    for block in blocks:                     # `Block`: the signals of a cycle
        for packet in encoder.step(block):   # `Packet`: fields, bits, payload
            ...
    encoder.finish()

They run the kernels of `encoder.Encoder` and `decoder.Decoder`; these, which take arrays, are for
long runs.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from decoder.decoder import Statistics as DecoderStatistics
from decoder.expand import pcs
from decoder.stepper import Stepper as Stepping
from encoder.encoder import Statistics as EncoderStatistics
from encoder.stepper import Stepper
from etrace.errors import InputError
from etrace.recording.choices import Params, PathLike, configuration
from etrace.sources import csvin, retirement
from etrace.sources.csvcolumns import LIMIT, LIMITS
from etrace.trace.program import Code, load_programs
from specs.interfaces.flow import Flow, Reason
from specs.interfaces.ingress import IngressError
from specs.isa.control import CodeMap
from specs.isa.privilege import fits
from specs.trace.framing import EXTEND, FLOW_SHIFT, LENGTH_MASK, REFERENCE_FLOW, FramingLayout
from specs.trace.single import Packet

__all__ = ["Block", "Context", "Decoder", "Encoder", "Gap", "Loop", "Packet", "Pause", "Retired"]
__all__ += ["Trap", "blocks"]


class Block(NamedTuple):
    """A retirement block by the signals of the interface (E-Trace 2.0, "Instruction Trace
    Interface"): a row of an ingress CSV (`etrace.sources.csvin` says what each value means).

    `iretire` is the number of instructions, 0 or 1, where retires_p is 1, and of half-words
    otherwise; `cause` and `tval` are a trap's (itype 1 and 2). `context`, `time`: None where the
    hart does not tell them. `trigger`: 4 is trace-notify. `halted`, `reset`: before it; such a
    block may be empty.
    """

    itype: int = 0
    cause: int = 0
    tval: int = 0
    priv: int = 3
    iaddr: int = 0
    iretire: int = 1
    ilastsize: int = 1
    context: int | None = 0
    ctype: int = 0
    time: int | None = 0
    sijump: int = 0
    trigger: int = 0
    halted: int = 0
    reset: int = 0


_LIMITS = tuple(LIMITS.get(name, LIMIT) for name in Block._fields)
_MAY_BE_NONE = ("context", "time")


def blocks(path: PathLike) -> Iterator[Block]:
    """The rows of an ingress CSV with one block a cycle. Raises `InputError`."""
    untold = Block(context=None, time=None)
    for row in csvin.rows(os.fspath(path)):
        yield untold._replace(**{name: row[name] for name in Block._fields if name in row})


class _Work(NamedTuple):
    """A block as references: `code` of each of its rows, None for a side band alone."""

    block: retirement.Values | None
    code: int
    trap: retirement.Values | None
    sideband: retirement.Values | None


class Encoder:
    """An encoder that is given a block at a time.

    `params`: a parameter file, a `Configuration`, or None for the defaults (`xlen` bits).
    `ecall_retires`: rows of ecall and ebreak that say so retire (`etrace.sources.csvin`). Raises
    `ParametersError`; `InputError` if there are filters: they stand before an encoder.
    """

    def __init__(self, params: Params = None, *, xlen: int = 64, ecall_retires: bool = False):
        self.configuration = configuration(params, xlen)
        if not self.configuration.filters.idle:
            raise InputError(
                "the model encodes all that it is given, and these parameters have filters; leave "
                "out [trace], [[filter]] and [[comparator]], or use etrace.encode"
            )
        parameters = self.configuration.parameters
        self._reading = retirement.Reading(parameters.retires_p == 1, ecall_retires)
        self._framing = FramingLayout(self.configuration)
        self.reset()

    def reset(self) -> None:
        """Begin anew: an encoder as it was made."""
        self._core = Stepper(self.configuration)
        self._finished = False
        #: Blocks since then.
        self._number = 0
        # the last one that has a row of its own, and the first one that no packet has told all of
        self._last = 0
        self._untold = 0
        self._sideband = False

    @property
    def statistics(self) -> EncoderStatistics:
        """Counts so far."""
        return self._core.statistics

    def step(self, given: Block | Iterable[Block]) -> list[Packet]:
        """Encode the next block, or blocks: the packets that are complete by now.

        What the last block sends may depend on the next one: its packets come then. The first call
        also gives the support packet that a trace begins with. Raises `IngressError`, naming the
        block by its number since the beginning, from 0; nothing is encoded then.

        `packet.rows` are numbers of blocks: the last is the block that the packet reports (its
        address, its trap; for a branch map its last branch), the first the one behind what the
        packets before it have told; a block of which part has been told is in both. A packet about
        no more than a packet before it (3.2, 3.3) has the one block of that; the first of a trace
        has none.
        """
        if self._finished:
            raise IngressError("the trace was finished; reset() begins another")
        several = [given] if isinstance(given, Block) else list(given)
        works = []
        before = self._sideband
        try:
            for number, block in enumerate(several, self._number):
                works.append(self._work(number, block))
        except IngressError:
            self._sideband = before
            raise
        packets: list[Packet] = []
        if self._number == 0 and works:
            packets = self._packets(self._core.begin(), range(0))
        for work in works:
            self._take(work, packets)
            self._number += 1
        return packets

    def finish(self) -> list[Packet]:
        """End the trace: the packets of the last block, and the closing support packet."""
        if self._finished:
            return []
        self._finished = True
        packets = self._packets(self._core.begin(), range(0))
        end = range(self._untold, self._last + 1) if self._number else range(0)
        return packets + self._packets(self._core.finish(), end, self._last)

    def _work(self, number: int, block: Block) -> _Work:
        """What a block means, checked."""
        if not isinstance(block, Block):
            raise IngressError(f"block {number}: must be a Block, not {type(block).__name__}")
        for name, value, limit in zip(Block._fields, block, _LIMITS, strict=True):
            if type(value) is not int:
                if value is None and name in _MAY_BE_NONE:
                    continue
                raise IngressError(
                    f"block {number}: {name} must be an int, not {type(value).__name__}"
                )
            if not 0 <= value <= limit:
                raise IngressError(
                    f"block {number}: {name} {value} is out of range, 0 to {limit:#x}"
                )
        itype, cause, tval, priv, iaddr, iretire, ilastsize = block[:7]
        side = retirement.sideband(block.context, block.time, block.ctype, *block[11:])
        annotated = self._sideband or retirement.tells(side)
        self._sideband = annotated
        if block.ctype >> self.configuration.parameters.ctype_width_p:
            raise IngressError(
                f"block {number}: ctype {block.ctype} does not fit ctype_width_p; set that to 2"
            )
        if not iretire and not itype and (block.halted or block.reset):
            return _Work(None, 0, None, side)
        try:
            retired, trap = self._reading.parts(
                itype, cause, tval, priv, iaddr, iretire, ilastsize, block.sijump
            )
        except retirement.RetirementError as error:
            raise IngressError(f"block {number}: {error}") from None
        if not self._fits(retired, trap):
            self._refuse(number, retired, trap)
        return _Work(retired, itype, trap, side if annotated else None)

    def _fits(self, block: retirement.Values | None, trap: retirement.Values | None) -> bool:
        """Whether it certainly fits; for what may not, `Stepper.check` knows, which is slow."""
        parameters = self.configuration.parameters
        width = parameters.iaddress_width_p
        if block is not None:
            iaddr, _, ilastsize, _, _, priv = block
            lsb = parameters.iaddress_lsb_p
            if iaddr >> width or iaddr & (1 << lsb) - 1 or (lsb == 2 and not ilastsize):
                return False
            if not fits(priv, parameters.privilege_width_p):
                return False
        if trap is not None:
            iaddr, tval, cause, priv, _ = trap
            if iaddr >> width or tval >> width or cause >> parameters.ecause_width_p:
                return False
            return fits(priv, parameters.privilege_width_p)
        return True

    def _refuse(
        self, number: int, block: retirement.Values | None, trap: retirement.Values | None
    ) -> None:
        if block is not None:
            self._core.block[0] = block
        if trap is not None:
            self._core.trap[0] = trap
        try:
            self._core.check(block is not None, trap is not None)
        except IngressError as error:
            raise IngressError(f"block {number}: {error}") from None

    def _take(self, work: _Work, packets: list[Packet]) -> None:
        core = self._core
        annotated = work.sideband is not None
        if annotated:
            core.sideband[0] = work.sideband
        if work.block is not None:
            core.block[0] = work.block
            code = 0 if work.trap is not None else work.code
            self._add(*core.take(code, annotated), packets)
            annotated = False
        if work.trap is not None:
            core.trap[0] = work.trap
            self._add(*core.take(work.code, annotated), packets)
        elif work.block is None:
            data, _ = core.take(None, True)
            self._add(data, len(data), packets, alone=True)

    def _add(self, data: bytes, left: int, packets: list[Packet], alone: bool = False) -> None:
        """The packets in `data`, of which `left` bytes are about the row before this one."""
        last, now = self._last, self._number
        if left:
            packets += self._packets(data[:left], range(self._untold, last + 1), last)
            self._untold = last + 1
        if alone:
            return
        self._last = now
        if left < len(data):
            packets += self._packets(data[left:], range(self._untold, now + 1), now)
            self._untold = now + 1 if self._core.told else now
        else:
            # a trap in the row of the block before it is to be told, too
            self._untold = min(self._untold, now)

    def _packets(self, data: bytes, told: range, last: int = 0) -> list[Packet]:
        """The packets in `data`; the first stands for the rows `told`, the others for the `last`
        of them."""
        framing = self._framing
        start = framing.srcid_width + framing.type_width
        found: list[Packet] = []
        at = 0
        while at < len(data):
            header = data[at]
            length = header & LENGTH_MASK
            at += 1
            if not length:
                continue
            skip = start
            size = length + framing.srcid_width // 8
            if header & EXTEND:
                size += framing.timestamp_bytes
                skip += 8 * framing.timestamp_bytes
            number = int.from_bytes(data[at : at + size], "little") >> skip
            at += size
            rows = told if not found or not told else range(last, last + 1)
            if len(rows) == 0 and told.stop:
                rows = range(last, last + 1)
            found.append(Packet.read(number, 8 * size - skip, self.configuration, rows))
        return found


class Retired(NamedTuple):
    """An instruction that was executed, at privilege `priv`."""

    pc: int
    priv: int


class Trap(NamedTuple):
    """A trap. `epc`: of the instruction that trapped, or (`interrupt` 1) would have been next; None
    where the trace does not tell it. `priv`: before it, None if unknown.
    """

    epc: int | None
    cause: int
    tval: int
    interrupt: int
    priv: int | None


class Context(NamedTuple):
    """Context and time, as a packet reports them (`specs.interfaces.flow.CONTEXT`)."""

    context: int
    time: int
    priv: int
    precise: int


class Pause(NamedTuple):
    """Tracing ended here, and went on elsewhere; `packet`: number of the one that says so."""

    packet: int


class Loop(NamedTuple):
    """How often execution came by `start` is not told: it comes by again after so many
    `instructions` (`specs.interfaces.flow.LOOP`)."""

    start: int
    instructions: int
    endless: int


class Gap(NamedTuple):
    """What was executed here cannot be told. `address`: what `reason` is about; `packet`: number of
    the one that cannot be decoded."""

    reason: Reason
    address: int
    packet: int


Event = Retired | Trap | Context | Pause | Loop | Gap

_UNKNOWN = 255


class Decoder:
    """A decoder that is given a packet at a time.

    `params`: as of `Encoder`. The program that was executed: ELF files (and the boot ROM of a
    `platform`), or a `CodeMap` as `code`.
    Raises `ParametersError`, `InputError`.
    """

    def __init__(
        self,
        params: Params = None,
        *,
        elf: "PathLike | Iterable[PathLike]" = (),
        platform: str | None = None,
        code: CodeMap | None = None,
    ):
        if code is None:
            paths = [elf] if isinstance(elf, str | os.PathLike) else list(elf)
            if not paths:
                raise InputError("a decoder needs the program; give elf or code")
            programs = load_programs([os.fspath(path) for path in paths])
            code = Code(programs[0].xlen, programs, (), platform).map
        self.configuration = configuration(params, code.xlen)
        self._code = code
        self.reset()

    def reset(self) -> None:
        """Begin anew: a decoder as it was made."""
        plain = replace(self.configuration.framing, kind="reference")
        self._core = Stepping(replace(self.configuration, framing=plain), self._code)
        self._finished = False
        #: Instructions that were given of the run under construction.
        self._ahead = 0

    @property
    def statistics(self) -> DecoderStatistics:
        """Counts so far."""
        return self._core.statistics

    def step(self, given: Packet | Iterable[Packet]) -> list[Event]:
        """Decode the next packet, or packets: what is known by now to have been executed, in order.
        What cannot be decoded is a `Gap`. Raises `InputError` for what is no packet.
        """
        if self._finished:
            raise InputError("the trace was finished; reset() begins another")
        packets = [given] if isinstance(given, Packet) else list(given)
        data = bytearray()
        for packet in packets:
            if not isinstance(packet, Packet):
                raise InputError(f"a decoder is given Packets, not {type(packet).__name__}")
            payload = packet.payload
            if len(payload) > LENGTH_MASK:
                raise InputError(
                    f"a packet of {len(payload)} bytes; the longest that can be sent has "
                    f"{LENGTH_MASK}"
                )
            data.append(REFERENCE_FLOW << FLOW_SHIFT | len(payload))
            data += payload
        events = [event for flow in self._core.feed(bytes(data)) for event in self._events(flow)]
        begun = self._core.begun()
        if len(begun.runs):
            priv = int(begun.runs[0]["priv"])
            events += [Retired(pc, priv) for pc in pcs(begun, self._code, self._ahead).tolist()]
        self._ahead = begun.instructions
        return events

    def finish(self) -> list[Event]:
        """What is left; nothing more will be given."""
        if self._finished:
            return []
        self._finished = True
        return [event for flow in self._core.finish() for event in self._events(flow)]

    def _events(self, flow: Flow) -> Iterator[Event]:
        between: dict[int, list[Event]] = {}
        for table, make in _TABLES:
            for record in getattr(flow, table):
                between.setdefault(int(record["run"]) - flow.first_run, []).append(make(record))
        addresses = iter(pcs(flow, self._code, self._ahead).tolist())
        for number, run in enumerate(flow.runs):
            yield from between.pop(number, ())
            priv, count = int(run["priv"]), int(run["count"])
            told = min(count, self._ahead)
            self._ahead -= told
            for _ in range(count - told):
                yield Retired(next(addresses), priv)
        for number in sorted(between):
            yield from between[number]


def _trap(record: Any) -> Trap:
    priv = int(record["priv"])
    return Trap(
        int(record["epc"]) if record["epc_known"] else None,
        int(record["cause"]),
        int(record["tval"]),
        int(record["interrupt"]),
        None if priv == _UNKNOWN else priv,
    )


def _as_they_are(kind: Any) -> Any:
    return lambda record: kind(*(int(record[name]) for name in kind._fields))


def _loop(record: Any) -> Loop:
    return Loop(int(record["start"]), int(record["count"]), int(record["endless"]))


def _gap(record: Any) -> Gap:
    return Gap(Reason(int(record["reason"])), int(record["address"]), int(record["packet"]))


#: What stands between two runs, in this order.
_TABLES = (
    ("traps", _trap),
    ("gaps", _gap),
    ("pauses", _as_they_are(Pause)),
    ("contexts", _as_they_are(Context)),
    ("loops", _loop),
)
