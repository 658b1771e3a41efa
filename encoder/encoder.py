"""The trace encoder: retirement chunks in, packets out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from encoder import kernel
from encoder.state import (
    MAX_SEGMENTS,
    NONE,
    OPTIONS,
    STATE_SIZE,
    Option,
    Passages,
    Segment,
    SinkKind,
    Slot,
    Tables,
    Unit,
    Work,
)
from specs.interfaces import ingress
from specs.interfaces.records import rows
from specs.isa.privilege import fits, letters
from specs.kernels.njit import announce_compilation
from specs.trace import passages, predictors
from specs.trace.framing import FramingLayout
from specs.trace.packets import COLUMNS, FORMAT_NAMES, Layout
from specs.trace.packing import WORDS
from specs.trace.support import describe

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration

_UNITS = {
    "off": Unit.OFF,
    "packets": Unit.PACKETS,
    "instructions": Unit.INSTRUCTIONS,
    "cycles": Unit.CYCLES,
}
_SINKS = {"none": SinkKind.NONE, "drop": SinkKind.DROP, "stall": SinkKind.STALL}
#: Modes that are an `Option` of the kernels.
_MODES = (
    "full_address",
    "sijump",
    "implicit_return",
    "branch_prediction",
    "jump_target_cache",
    "implicit_exception",
)
#: Those that need the history of `specs.trace.predictors`.
_WITH_HISTORY = ("sijump", "implicit_return", "branch_prediction", "jump_target_cache")
#: The largest *branch_count* (section "Format 0 subformat 0").
MOST_BRANCHES = 0xFFFF_FFFF
_BUFFER = 1 << 18
#: What the kernels get besides `kernel.BEGIN` and `kernel.FINISH`.
_NO_TABLES = Tables(
    np.zeros(0, dtype=np.uint32),
    *(
        np.zeros((0, table.itemsize // 8), dtype=np.uint64)
        for table in (ingress.BLOCK, ingress.TRAP, ingress.SIDEBAND)
    ),
)
NO_PASSAGES = Passages(
    *passages.tables(ingress.Chunk(np.zeros(0, np.uint32))), np.zeros(0, np.uint32)
)

_ERRORS = {
    kernel.ERROR_INDEX: "a reference points past its table",
    kernel.ERROR_CTYPE: "a ctype that does not fit ctype_width_p; set that to 2",
    kernel.ERROR_EMPTY_BLOCK: "a retirement block with iretire 0 that is no trap",
}


@dataclass(frozen=True)
class Statistics:
    """What an encoder has written: packets by format name, and bytes.

    `added`: packets that no flow chart asks for, but without which a trace could not be decoded
    (docs/choices.md, docs/modes.md): for a "loop" that no packet shows, an earlier "visit" to an
    address, a mispredicted "return" that could be another, and a "late" resynchronisation. The keys
    `loops` and `ambiguous` of [encoder] leave them out.
    `lost`: packets that the sink had no room for; `stalled`: half-words of time for which the hart
    waited for it.
    """

    packets: dict[str, int]
    bytes: int
    framing_bytes: int
    added: dict[str, int]
    lost: int
    stalled: int


def _check_references(refs: npt.NDArray[np.uint32], blocks: int) -> None:
    """References to blocks must not point past their table: not all kernels look again."""
    if not len(refs) or int(refs.max()) >> ingress.CODE_BITS < blocks:
        return
    codes = refs & np.uint32(ingress.CODE_MASK)
    past = (refs >> np.uint32(ingress.CODE_BITS)) >= blocks
    past &= (codes != 1) & (codes != 2) & (codes != ingress.SIDEBAND_CODE)
    if past.any():
        where = int(past.argmax())
        raise ingress.IngressError(f"reference {where} of the chunk: {_ERRORS[kernel.ERROR_INDEX]}")


def _options(configuration: "Configuration") -> npt.NDArray[np.int64]:
    """What the kernels need to know of a configuration, by `Option`."""
    parameters, modes = configuration.parameters, configuration.modes
    unit = _UNITS[configuration.resync.unit]
    options = np.zeros(OPTIONS, dtype=np.int64)
    options[Option.iaddress_lsb] = parameters.iaddress_lsb_p
    options[Option.itype_width] = parameters.itype_width_p
    options[Option.unit] = unit
    options[Option.period] = configuration.resync.period
    if unit in (Unit.OFF, Unit.PACKETS):
        options[Option.plain] = 1
    options[Option.f0s_width] = parameters.f0s_width_p
    options[Option.cache_size] = parameters.cache_size_p
    options[Option.address_msb] = parameters.iaddress_width_p - parameters.iaddress_lsb_p - 1
    for mode in _MODES:
        options[Option[mode]] = getattr(modes, mode)
    options[Option.irets] = configuration.has_irets
    options[Option.shorter_packet] = configuration.encoder.shorter_packet
    options[Option.exact_loops] = configuration.encoder.loops == "exact"
    options[Option.exact_visits] = configuration.encoder.ambiguous == "exact"
    # V matters to an address behind implicit returns, and to a 3.0 that no packet precedes
    unannounced = unit in (Unit.INSTRUCTIONS, Unit.CYCLES) or parameters.ctype_width_p > 1
    options[Option.keeps_segments] = options[Option.exact_loops] or (
        options[Option.exact_visits] and (modes.implicit_return or unannounced)
    )
    options[Option.most_branches] = MOST_BRANCHES + 31
    options[Option.ctypes] = 1 << parameters.ctype_width_p
    options[Option.reports] = not (parameters.nocontext_p and parameters.notime_p)
    sink = configuration.sink
    options[Option.sink] = _SINKS[sink.kind]
    if sink.kind != "none":
        options[Option.plain] = 0
    options[Option.sink_rate] = sink.rate
    options[Option.sink_per] = sink.per
    options[Option.sink_capacity] = sink.capacity
    options[Option.sink_resume] = sink.resume
    options[Option.sink_jitter] = sink.jitter
    words = options.view(np.uint64)
    words[Option.address_mask] = (1 << parameters.iaddress_width_p) - 1
    for level, value in configuration.tvec.by_privilege().items():
        options[Option.vectors_known] |= 1 << level
        words[Option.vectors + level] = value
    return options


class Encoder:
    """Encodes one hart's retirement (E-Trace 2.0) into framed packets.

    `feed` takes chunks (`specs.interfaces.ingress.Chunk`) in order and gives the bytes that they
    make; `finish` ends the trace. The bytes do not depend on how the run is cut into chunks or
    blocks. Memory does not grow with the run.
    """

    def __init__(self, configuration: "Configuration") -> None:
        announce_compilation("the encoder", __name__)
        self.configuration = configuration
        framing = FramingLayout(configuration)
        self._opening = framing.sync_sequence() if framing.sync_period else b""
        self._options = _options(configuration)
        self._state = np.zeros(STATE_SIZE, dtype=np.uint64)
        self._state[Slot.cur_returns] = NONE
        self._state[Slot.rate] = configuration.sink.rate
        self._state[Slot.random] = configuration.sink.seed
        # the last row is what support packets say of the encoder
        queue = np.zeros((kernel.MAX_QUEUE + 1, COLUMNS), dtype=np.uint64)
        for column, value in describe(configuration).items():
            queue[-1, column] = value
        self._work = Work(
            Layout(configuration).array,
            framing.array(),
            self._options,
            self._state,
            queue,
            np.zeros((MAX_SEGMENTS, len(Segment)), dtype=np.uint64),
            np.zeros(WORDS, dtype=np.uint64),
        )
        needed = any(getattr(configuration.modes, mode) for mode in _WITH_HISTORY)
        self._history = predictors.make(configuration) if needed else None
        self._rows = np.zeros(kernel.PIECE, dtype=np.uint32)
        self._out = np.empty(_BUFFER, dtype=np.uint8)
        self._privileges: set[int] = set()
        self._begun = False
        self._finished = False
        self._bytes = 0

    def feed(self, chunk: ingress.Chunk) -> bytes:
        """Encode a chunk. Raises `IngressError` for what the configuration cannot carry."""
        if self._finished:
            raise ValueError("the trace was finished")
        self._check(chunk)
        if len(chunk.passages):
            if self.takes_passages:
                passages.named(chunk)
            else:
                chunk = passages.expanded(chunk)
        # of the one type that kernels are compiled for
        refs = np.require(chunk.refs, np.uint32, ["C", "W"])
        _check_references(refs, len(chunk.blocks))
        parts = [self._begin()]
        tables = Tables(
            refs,
            rows(chunk.blocks, ingress.BLOCK),
            rows(chunk.traps, ingress.TRAP),
            rows(chunk.sidebands, ingress.SIDEBAND),
        )
        short = Passages(*passages.tables(chunk), self._rows)
        begin = 0
        while begin < len(refs):
            taken, data = self._encode(tables, begin, short)
            begin += taken
            parts.append(data)
            self._raise_error()
        return self._count(b"".join(parts))

    def finish(self) -> bytes:
        """End the trace: the last instruction's address and the closing support packet."""
        if self._finished:
            return b""
        opening = self._begin()
        self._finished = True
        end = self._encode(_NO_TABLES, kernel.FINISH)[1]
        if self._state[Slot.losing]:
            # the trace ends with a support packet, if need be when there is room for it
            self._options[Option.sink] = SinkKind.NONE
            end += self._encode(_NO_TABLES, kernel.LAST_LOSS)[1]
        return self._count(opening + end)

    @property
    def takes_passages(self) -> bool:
        """Whether passages make this encoder faster. It takes any, but may have to expand them."""
        options = self._options
        plain = options[Option.plain] != 0 and options[Option.keeps_segments] == 0
        return bool(plain and self._history is None)

    @property
    def statistics(self) -> Statistics:
        """Counts so far."""
        counts = self._state[Slot.packets : Slot.packets + len(FORMAT_NAMES)]
        return Statistics(
            packets={name: int(n) for name, n in zip(FORMAT_NAMES, counts, strict=True)},
            bytes=self._bytes,
            framing_bytes=int(self._state[Slot.bytes_framing]) + len(self._opening),
            added={
                name: int(self._state[slot])
                for name, slot in (
                    ("loop", Slot.added_loop),
                    ("visit", Slot.added_visit),
                    ("return", Slot.added_return),
                    ("late", Slot.added_late),
                )
            },
            lost=int(self._state[Slot.lost]),
            stalled=int(self._state[Slot.stalled]),
        )

    def _encode(
        self, tables: Tables, begin: int, short: Passages = NO_PASSAGES
    ) -> tuple[int, bytes]:
        """Encode refs[begin:] until the buffer is full: (references taken, bytes)."""
        history = self._history
        given = short if history is None else None
        taken, size = kernel.encode(self._work, history, tables, given, begin, self._out)
        return int(taken), self._out[:size].tobytes()

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._opening + self._encode(_NO_TABLES, kernel.BEGIN)[1]

    def _count(self, data: bytes) -> bytes:
        self._bytes += len(data)
        return data

    def _raise_error(self) -> None:
        error = int(self._state[Slot.error])
        if error:
            where = int(self._state[Slot.error_index])
            raise ingress.IngressError(f"reference {where} of the chunk: {_ERRORS[error]}")

    def _check(self, chunk: ingress.Chunk) -> None:
        """Everything in the tables must fit the widths of the parameters."""
        parameters = self.configuration.parameters
        blocks = chunk.blocks[chunk.fresh :]
        width, lsb = parameters.iaddress_width_p, parameters.iaddress_lsb_p
        for table, column, bits, name in (
            (blocks, "iaddr", width, "iaddress_width_p"),
            (chunk.traps, "iaddr", width, "iaddress_width_p"),
            (chunk.traps, "tval", width, "iaddress_width_p"),
            (chunk.traps, "cause", parameters.ecause_width_p, "ecause_width_p"),
        ):
            if len(table) and int(table[column].max()) >> bits:
                raise ingress.IngressError(
                    f"{column} {int(table[column].max()):#x} does not fit {name} = {bits}"
                )
        for table in (blocks, chunk.traps):
            for code in np.unique(table["priv"]).tolist():
                if not fits(code, parameters.privilege_width_p):
                    raise ingress.IngressError(
                        f"priv {code} ({letters(code)}) does not fit "
                        f"privilege_width_p = {parameters.privilege_width_p}"
                        + (": one bit tells M and U only" * (parameters.privilege_width_p == 1))
                    )
        if len(blocks):
            if int(np.bitwise_or.reduce(blocks["iaddr"])) & ((1 << lsb) - 1) or (
                lsb == 2 and not blocks["ilastsize"].all()
            ):
                raise ingress.IngressError(
                    f"addresses are not aligned as iaddress_lsb_p = {lsb} says"
                )
            sizes = np.left_shift(1, blocks["ilastsize"].astype(np.int64))
            if (blocks["iretire"] < sizes).any() or int(blocks["ilastsize"].max()) > 2:
                raise ingress.IngressError("iretire is less than the last instruction's size")
            self._privileges.update(np.unique(blocks["priv"]).tolist())
            self._options[Option.uniform_priv] = len(self._privileges) == 1
