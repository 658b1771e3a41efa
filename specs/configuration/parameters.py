"""Every encoder parameter and run-time mode, and the TOML files that set them.

Each dataclass below is a table: a field is a key, and its `entry` gives default, range, section of
the E-Trace 2.0 text (or the encapsulation specification) and a description. The reader, its error
messages, `etrace params` and the trace file header all come from these tables.

    protocol = "2.0"          # which E-Trace version: "2.0" or "2.1" (the draft of 2026-06)
    [parameters]              # the specification's `_p` names ("Parameters and Discovery") [modes]
    # run-time modes ("Optional and run-time configurable modes") [tvec]                    # trap
    vectors, for implicit exception mode [resync]                  # when to resynchronise
    ("Resynchronisation") [encoder]                 # choices of the encoder's that a decoder need
    not know [sink]                    # a link that may be too slow, to try that out [framing]
    # how packets become bytes [trace]                   # what is traced, with [[filter]] and
    [[comparator]]: specs.configuration.filters

A flat file of `_p` keys alone is accepted too. What is left out has its default.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from specs.configuration import filters
from specs.configuration.filters import Filters
from specs.configuration.tables import (
    XLEN,
    allowed_text,
    entry,
    printable,
    read_table,
    show,
    suggest,
    toml,
    written,
)
from specs.isa.privilege import Privilege

PROTOCOLS = ("2.0", "2.1")
PROTOCOL = PROTOCOLS[0]

#: The stack of implicit return mode has this many entries at most, however wide the call counter.
MOST_NESTED_CALLS = 1 << 20

#: The encapsulation's limit for type, left-over srcID bits and packet, in bits.
MAX_PAYLOAD_BITS = 248

_DISCOVERY = "Parameters and Discovery"
_INTERFACE = "Instruction Trace Interface"
_FILTERING = "Filtering"
_ALGORITHM = "Instruction Trace Algorithm"
_DATA = "Data Trace Interface"
_CONTROL = "trTeInstStallEna"
_ENCAPSULATION = "Packet Encapsulation"

_MAX_FILE_BYTES = 1 << 20

#: A dotted key of eight parts or more; ours have two. `tomllib` takes a minute for one of 16 000.
_DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)[ \t]*\.[ \t]*){7}[\w"'-]""")


class ParametersError(ValueError):
    """What is wrong with a set of parameters: `problems`, one line each, all of them at once."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The encoder's parameters, named exactly as in the specification."""

    # fmt: off
    arch_p: int = entry(0, (0, 15), _DISCOVERY,
        "architecture specification version (0: initial version)")
    blocks_p: int = entry(1, (1, 8), _INTERFACE,
        "number of times iretire, itype etc. are replicated")
    bpred_size_p: int = entry(0, (0, 15), "Branch prediction mode",
        "branch predictor has 2^bpred_size_p entries; 0: none")
    cache_size_p: int = entry(0, (0, 15), "Jump target cache mode",
        "jump target cache has 2^cache_size_p entries; 0: none")
    call_counter_size_p: int = entry(0, (0, 32), "Implicit return mode",
        "nested call counter has 2^call_counter_size_p bits; 0: none")
    ctype_width_p: int = entry(1, (1, 2), _INTERFACE, "width of ctype")
    context_width_p: int = entry(1, (0, 64), "Format 3 packets", "width of context")
    time_width_p: int = entry(1, (0, 64), "Format 3 packets", "width of time")
    doptions_width_p: int = entry(4, (0, 64), "Format 3 subformat 3 - Support",
        "width of doptions (protocol 2.0)")
    ecause_width_p: int = entry(4, (1, 64), "Format 3 subformat 1 - Trap",
        "width of the exception or interrupt cause")
    ecause_choice_p: int = entry(5, (0, 7), _FILTERING,
        "bits of the exception cause to match by multiple choice")
    f0s_width_p: int = entry(0, (0, 2), "Format 0 subformat field",
        "width of the subformat field of format 0 packets")
    filter_context_p: int = entry(1, (0, 1), _FILTERING, "filtering on context is supported")
    filter_time_p: int = entry(1, (0, 1), _FILTERING, "filtering on time is supported")
    filter_excint_p: int = entry(1, (0, 15), _FILTERING,
        "filtering on cause; 2^filter_excint_p nested exceptions; 0: not supported")
    filter_privilege_p: int = entry(1, (0, 1), _FILTERING, "filtering on privilege is supported")
    filter_tval_p: int = entry(1, (0, 1), _FILTERING, "filtering on the trap value is supported")
    comparators_p: int = entry(1, (1, 8), _FILTERING, "number of comparator units")
    filters_p: int = entry(1, (1, 16), _FILTERING, "number of filters")
    iaddress_lsb_p: int = entry(1, (0, 2), "Format 3 subformat 0 - Synchronisation",
        "lowest address bit traced: 1 with compressed instructions, 2 without, 0 for all bits")
    iaddress_width_p: int = entry(XLEN, (8, 64), _INTERFACE,
        "width of instruction addresses and of tval")
    iretire_width_p: int = entry(2, (1, 32), _INTERFACE, "width of iretire")
    ilastsize_width_p: int = entry(1, (1, 2), _INTERFACE, "width of ilastsize")
    ioptions_width_p: int = entry(5, (0, 64), "Format 3 subformat 3 - Support",
        "width of ioptions (protocol 2.0); a mode whose bit it lacks is as [modes] says")
    irdepth_width_p: int | None = entry(None, (0, 32), "Format 2 irreport and irdepth",
        "width of irdepth, where an encoder has it fixed (default: as the sizes need)")
    itype_width_p: int = entry(4, (3, 4), _INTERFACE, "width of itype")
    nocontext_p: int = entry(1, (0, 1), "Format 3 packets", "1: no context in packets")
    notime_p: int = entry(1, (0, 1), "Format 3 packets", "1: no time in packets")
    privilege_width_p: int = entry(2, (1, 4), "Format 3 packets",
        "width of the privilege level; 1: M or U")
    retires_p: int = entry(1, (1, 65536), _INTERFACE,
        "largest number of instructions retired in a block")
    return_stack_size_p: int = entry(0, (0, 15), "Implicit return mode",
        "return address stack has 2^return_stack_size_p entries; 0: none")
    sijump_p: int = entry(0, (0, 1), "Sequentially inferable jump mode",
        "the hart identifies sequentially inferable jumps")
    impdef_width_p: int = entry(1, (1, 32), _INTERFACE,
        "width of the implementation-defined input")
    daddress_width_p: int = entry(XLEN, (8, 64), _DATA, "width of daddress")
    dblock_width_p: int = entry(1, (1, 8), _DATA, "width of dblock")
    data_width_p: int = entry(XLEN, (8, 64), _DATA, "width of data")
    dsize_width_p: int = entry(3, (1, 8), _DATA, "width of dsize")
    dtype_width_p: int = entry(1, (1, 8), _DATA, "width of dtype")
    iaddr_lsbs_width_p: int = entry(1, (1, 64), _DATA, "width of iaddr_lsbs")
    lrid_width_p: int = entry(1, (1, 64), _DATA, "width of lrid")
    lresp_width_p: int = entry(1, (1, 8), _DATA, "width of lresp")
    ldata_width_p: int = entry(XLEN, (8, 64), _DATA, "width of ldata")
    sdata_width_p: int = entry(XLEN, (8, 64), _DATA, "width of sdata")
    # fmt: on

    @property
    def least_irdepth_bits(self) -> int:
        """Bits of *irdepth* that the return stack or the call counter needs."""
        stack = self.return_stack_size_p
        return stack + (1 if stack > 0 else 0) + self.call_counter_size_p


@dataclass(frozen=True, kw_only=True)
class Modes:
    """The run-time modes. All of them can be combined."""

    # fmt: off
    full_address: bool = entry(False, None, "Full address mode",
        "report full addresses instead of differences")
    implicit_exception: bool = entry(False, None, "Implicit exception mode",
        "leave out trap handler addresses that follow from the cause and [tvec]")
    sijump: bool = entry(False, None, "Sequentially inferable jump mode",
        "do not report targets of lui/auipc + jalr pairs")
    implicit_return: bool = entry(False, None, "Implicit return mode",
        "do not report return addresses that follow from the calls")
    branch_prediction: bool = entry(False, None, "Branch prediction mode",
        "report runs of correctly predicted branches as a count")
    jump_target_cache: bool = entry(False, None, "Jump target cache mode",
        "report recent jump targets by cache index")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class TrapVectors:
    """Trap vector CSRs, as the program sets them: BASE, and MODE in the two lowest bits.

    With implicit exception mode a decoder infers trap handlers from them. Where the handler is
    elsewhere, or a level's vector is not given, the packets hold its address.
    """

    # fmt: off
    mtvec: int | None = entry(None, (0, (1 << 64) - 1), "Implicit exception mode",
        "trap vector CSR of machine mode")
    stvec: int | None = entry(None, (0, (1 << 64) - 1), "Implicit exception mode",
        "trap vector CSR of supervisor mode")
    vstvec: int | None = entry(None, (0, (1 << 64) - 1), "Implicit exception mode",
        "trap vector CSR of virtual supervisor mode")
    vutvec: int | None = entry(None, (0, (1 << 64) - 1), "Implicit exception mode",
        "trap vector CSR of virtual user mode, where traps are delegated to that")
    utvec: int | None = entry(None, (0, (1 << 64) - 1), "Implicit exception mode",
        "trap vector CSR of user mode, where traps are delegated to that")
    # fmt: on

    def by_privilege(self) -> dict[int, int]:
        """The vectors that are given, by the privilege code of the level that they lead to."""
        vectors = {
            Privilege.M: self.mtvec,
            Privilege.S: self.stvec,
            Privilege.VS: self.vstvec,
            Privilege.VU: self.vutvec,
            Privilege.U: self.utvec,
        }
        return {int(level): value for level, value in vectors.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Resync:
    """When the encoder sends an unrequested synchronisation packet."""

    # fmt: off
    unit: str = entry("packets", ("packets", "instructions", "cycles", "off"),
        "Resynchronisation",
        "what the counter counts: packets; instructions: half-words that retire; cycles: time; "
        "off: nothing")
    period: int = entry(1024, (1, (1 << 32) - 1), "Resynchronisation",
        "how many units between synchronisations (1024 = trTeInstSyncMax 6)")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class FramingParameters:
    """How packets are wrapped into the byte stream."""

    # fmt: off
    kind: str = entry("encap", ("encap", "reference"), _ENCAPSULATION,
        "encap: standard packet encapsulation; reference: one header byte 0x40 | length")
    srcid_width: int = entry(0, (0, 16), "srcID", "bits of the source ID; 0: none")
    srcid: int = entry(0, (0, 65535), "srcID", "the source ID")
    timestamp_width: int = entry(0, (0, 64), "timestamp",
        "bits of the timestamp, a multiple of 8; 0: none")
    type_width: int = entry(0, (0, 3), "type", "bits of the packet type; 0: none")
    type: int = entry(0, (0, 7), "type", "packet type of instruction trace")
    flow: int = entry(0, (0, 3), "Header", "flow indicator")
    sync_period: int = entry(4096, (0, (1 << 32) - 1), "Synchronization",
        "bytes between synchronisation sequences; 0: none")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """What is the encoder's own business."""

    # fmt: off
    shorter_packet: bool = entry(False, None, "Jump target cache mode",
        "for a target in the cache, send format 1 or 2 if that is shorter than 0.1")
    loops: str = entry("spec", ("spec", "exact"), _ALGORITHM,
        "loops of inferable jumps alone. spec: what the flow chart sends, which does not tell how "
        "many rounds; exact: a packet for each round besides")
    ambiguous: str = entry("exact", ("exact", "spec"), _ALGORITHM,
        "where the flow chart's packets could mean two things. exact: packets besides, which tell "
        "(docs/choices.md); spec: none")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class SinkParameters:
    """A modelled sink: a buffer that a link of limited bandwidth empties.

    `docs/qualification.md`, "Loss", has the arithmetic.
    """

    # fmt: off
    kind: str = entry("none", ("none", "drop", "stall"), _CONTROL,
        "none: there is room for all packets; drop: what does not fit is lost; "
        "stall: the hart waits for room")
    rate: int = entry(1, (1, (1 << 31) - 1), _CONTROL,
        "rate / per bytes leave the buffer for each half-word that retires")
    per: int = entry(1, (1, (1 << 31) - 1), _CONTROL,
        "rate / per bytes leave the buffer for each half-word that retires")
    capacity: int = entry(4096, (128, (1 << 31) - 1), _CONTROL,
        "bytes that the buffer holds; any packet fits an empty one")
    resume: int = entry(1024, (0, (1 << 31) - 1), _CONTROL,
        "after a loss, bytes in the buffer at which packets are taken again")
    jitter: int = entry(0, (0, (1 << 31) - 1), _CONTROL,
        "rate varies by as much either way, by a seeded generator")
    seed: int = entry(1, (1, (1 << 64) - 1), _CONTROL, "of the generator for jitter")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Everything an encoder and its decoder must agree on."""

    protocol: str = PROTOCOL
    parameters: Parameters = Parameters()
    modes: Modes = Modes()
    tvec: TrapVectors = TrapVectors()
    resync: Resync = Resync()
    encoder: EncoderOptions = EncoderOptions()
    sink: SinkParameters = SinkParameters()
    framing: FramingParameters = FramingParameters()
    filters: Filters = filters.EVERYTHING

    @property
    def has_irets(self) -> bool:
        """Whether *irets* stands in the place of *irdepth* (2.1 draft, "Implicit Return")."""
        parameters = self.parameters
        sizes = parameters.return_stack_size_p + parameters.call_counter_size_p
        return self.protocol == "2.1" and sizes > 0

    @property
    def nested_calls(self) -> int:
        """Most calls that implicit return mode keeps (docs/modes.md, "Implicit return")."""
        parameters = self.parameters
        most = 1 << (parameters.return_stack_size_p or parameters.call_counter_size_p)
        return min(most, MOST_NESTED_CALLS)

    @property
    def irdepth_bits(self) -> int:
        """Width of *irdepth*; 0 where *irets* stands in its place."""
        if self.has_irets:
            return 0
        given = self.parameters.irdepth_width_p
        return self.parameters.least_irdepth_bits if given is None else given

    @property
    def recursions(self) -> int:
        """Calls to its address that an entry of the return stack counts besides the first."""
        if self.protocol == "2.0" or self.parameters.return_stack_size_p == 0:
            return 0
        return (1 << self.parameters.call_counter_size_p) - 1

    @staticmethod
    def default(xlen: int = 64) -> "Configuration":
        """The specification's defaults for a program of `xlen` (32 or 64) bits."""
        return from_dict({}, xlen)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by table and key; `from_dict` reads them back."""
        plain: dict[str, Any] = {"protocol": self.protocol}
        for table in TABLES:
            values = getattr(self, table)
            plain[table] = {
                each.name: value
                for each in fields(values)
                if (value := getattr(values, each.name)) is not None
            }
        return plain | self.filters.to_dict()

    def to_toml(self, commented: bool = True) -> str:
        """This configuration as a parameter file; `commented` adds description, range, default."""
        lines = [f'protocol = "{self.protocol}"']
        for table in TABLES:
            values = getattr(self, table)
            lines += ["", f"[{table}]"]
            for each in fields(values):
                value = getattr(values, each.name)
                if value is None and not commented:
                    continue
                line = f"# {each.name} ="
                if value is not None:
                    line = f"{each.name} = {written(each, value)}"
                if commented:
                    lines.append(f"# {each.metadata['text']} ({allowed_text(each)})")
                lines.append(line)
        return "\n".join(lines + self.filters.to_toml(commented)) + "\n"


#: The tables of a parameter file, in the order in which they are written.
TABLES: Mapping[str, type] = {
    "parameters": Parameters,
    "modes": Modes,
    "tvec": TrapVectors,
    "resync": Resync,
    "encoder": EncoderOptions,
    "sink": SinkParameters,
    "framing": FramingParameters,
}


@dataclass(frozen=True)
class Entry:
    """One row of a table, for `etrace params show` and documentation."""

    table: str
    name: str
    default: int | bool | str | None
    allowed: str
    section: str
    text: str


def entries() -> Iterator[Entry]:
    """Every key of every table, in file order."""
    keys = [(table, each) for table, kind in TABLES.items() for each in fields(kind)]
    for table, each in (*keys, *filters.keys()):
        meta = each.metadata
        yield Entry(
            table, each.name, meta["default"], allowed_text(each), meta["section"], meta["text"]
        )


def load(source: str | Path | None, xlen: int = 64) -> Configuration:
    """Read the parameter file `source` (None: all defaults).

    Raises `ParametersError` with every problem of the file, or if it cannot be read.
    """
    if source is None:
        return Configuration.default(xlen)
    try:
        with open(source, "rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
        if len(raw) > _MAX_FILE_BYTES:
            raise ParametersError([f"{source}: larger than 1 MiB; not a parameter file"])
        text = raw.decode()
    except OSError as error:
        raise ParametersError([f"{source}: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        problem = f"{source}: offset {error.start}: not UTF-8 text; not a parameter file"
        raise ParametersError([problem]) from None
    return parse(text, xlen, str(source))


def parse(text: str, xlen: int = 64, name: str = "parameters") -> Configuration:
    """Read the text of a parameter file; `name` is what errors call it."""
    import tomllib  # here, so that importing this module stays cheap

    if deep := re.search(_DEEP_KEY, text):
        line = text.count("\n", 0, deep.start()) + 1
        raise ParametersError([f"{name}: line {line}: a key of many parts; not a parameter file"])
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParametersError([f"{name}: not TOML: {printable(str(error))}"]) from None
    return from_dict(values, xlen, name)


def from_dict(values: Mapping[str, Any], xlen: int = 64, name: str = "parameters") -> Configuration:
    """A checked `Configuration` from the tables of a file or of a trace header."""
    problems: list[str] = []
    values = _unflatten(values, name, problems)
    protocol = values.get("protocol", PROTOCOL)
    if protocol not in PROTOCOLS:
        known = " or ".join(toml(each) for each in PROTOCOLS)
        problems.append(f"{name}: protocol = {show(protocol)}: must be {known}")
        protocol = PROTOCOL
    for key in values:
        if key not in (*TABLES, *filters.NAMES, "protocol"):
            shown = printable(key)
            where = f"{name}: [{shown}]" if isinstance(values[key], Mapping) else f"{name}: {shown}"
            problems.append(
                f"{where}: no such table{suggest(key, ['protocol', *TABLES, *filters.NAMES])}"
            )
    tables = {
        table: read_table(kind, values.get(table, {}), f"{name}: [{table}]", xlen, problems)
        for table, kind in TABLES.items()
    }
    chosen = filters.read(values, name, problems)
    configuration = Configuration(protocol=protocol, **tables, filters=chosen)
    problems += [f"{name}: {problem}" for problem in _cross_check(configuration)]
    if problems:
        raise ParametersError(problems)
    return configuration


def _unflatten(values: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    flat = {
        key: value
        for key, value in values.items()
        if key.endswith("_p") and not isinstance(value, Mapping)
    }
    if not flat:
        return values
    if "parameters" in values:
        keys = printable(", ".join(flat))
        problems.append(f"{name}: {keys}: outside [parameters]; move them into it")
    rest = {key: value for key, value in values.items() if key not in flat}
    return {"parameters": flat, **rest}


def widest_packet(parameters: Parameters) -> int:
    """Bits of the largest packet, format 3 subformat 1 of an exception."""
    time = 0 if parameters.notime_p else parameters.time_width_p
    context = 0 if parameters.nocontext_p else parameters.context_width_p
    address = parameters.iaddress_width_p - parameters.iaddress_lsb_p
    fixed = 2 + 2 + 1 + 1 + 1  # format, subformat, branch, interrupt, thaddr
    variable = parameters.privilege_width_p + parameters.ecause_width_p
    return fixed + variable + time + context + address + parameters.iaddress_width_p


def _cross_check(configuration: Configuration) -> Iterator[str]:
    """What no single key can tell."""
    parameters, modes, framing = (
        configuration.parameters,
        configuration.modes,
        configuration.framing,
    )
    if configuration.protocol == "2.1":
        yield from _standard_support_limits(parameters)
    elif parameters.call_counter_size_p and parameters.return_stack_size_p:
        yield (
            "[parameters] call_counter_size_p, return_stack_size_p: both non-zero; "
            "an encoder has a call counter or a return stack, so set one to 0 "
            'or use protocol = "2.1"'
        )
    yield from configuration.filters.problems(parameters)
    for mode, needs in _MODE_NEEDS.items():
        if getattr(modes, mode) and not any(getattr(parameters, need) for need in needs):
            yield f"[modes] {mode}: needs {' or '.join(needs)} in [parameters] to be non-zero"
    if parameters.bpred_size_p and parameters.cache_size_p and not parameters.f0s_width_p:
        yield (
            "[parameters] bpred_size_p, cache_size_p: both non-zero; to tell the packets of "
            "branch prediction and jump target cache apart, f0s_width_p must be 1 or 2"
        )
    if modes.implicit_return and parameters.itype_width_p < 4:
        yield "[modes] implicit_return: needs itype_width_p = 4, to tell calls and returns"
    sink = configuration.sink
    if sink.jitter >= sink.rate:
        yield f"[sink] jitter = {sink.jitter}: must be less than rate = {sink.rate}"
    if sink.resume > sink.capacity:
        yield f"[sink] resume = {sink.resume}: must not be more than capacity = {sink.capacity}"
    if framing.timestamp_width % 8:
        yield f"[framing] timestamp_width = {framing.timestamp_width}: must be a multiple of 8"
    for key in ("srcid", "type"):
        width, value = getattr(framing, f"{key}_width"), getattr(framing, key)
        if value >> width:
            yield f"[framing] {key} = {value}: does not fit {key}_width = {width} bits"
    least, given = parameters.least_irdepth_bits, parameters.irdepth_width_p
    if given is not None and given < least and not configuration.has_irets:
        yield (
            f"[parameters] irdepth_width_p = {given}: less than the {least} bits that "
            "return_stack_size_p or call_counter_size_p needs"
        )
    # a trace payload is whole bytes
    room = (MAX_PAYLOAD_BITS - framing.type_width - framing.srcid_width % 8) // 8 * 8
    if widest_packet(parameters) > room:
        yield (
            f"[parameters] the widest packet (format 3.1) has {widest_packet(parameters)} bits, "
            f"more than the {room} that the encapsulation can carry; "
            "reduce context_width_p, time_width_p or iaddress_width_p"
        )


def _standard_support_limits(parameters: Parameters) -> Iterator[str]:
    """What the standard support packet of protocol 2.1 has too few bits for."""
    for key in ("return_stack_size_p", "bpred_size_p", "cache_size_p"):
        if getattr(parameters, key) > 7:
            yield f'[parameters] {key}: at most 7 with protocol = "2.1"'
    if parameters.call_counter_size_p > 15:
        yield '[parameters] call_counter_size_p: at most 15 with protocol = "2.1"'
    if not parameters.notime_p and (parameters.time_width_p % 16 or parameters.time_width_p > 112):
        yield (
            '[parameters] time_width_p: a multiple of 16, at most 112, with protocol = "2.1"; '
            "or set notime_p to 1"
        )


#: A mode works only if one of these parameters is not 0.
_MODE_NEEDS = {
    "sijump": ("sijump_p",),
    "implicit_return": ("call_counter_size_p", "return_stack_size_p"),
    "branch_prediction": ("bpred_size_p",),
    "jump_target_cache": ("cache_size_p",),
}
