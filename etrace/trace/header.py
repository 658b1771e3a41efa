"""What a trace file says before its stream (docs/file-format.md), as a `Header` and as bytes."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from emu.hart.state import MAX_HARTS
from emu.ingress.options import SidebandOptions, Time
from etrace.trace.flowhash import FlowHash, from_values
from etrace.trace.harts import with_sources
from specs.configuration.parameters import Configuration, from_dict

MAGIC = b"\x89ETRACE\n"

VERSION = 1

PREFIX = struct.Struct("<8sHHI")


@dataclass(frozen=True)
class ProgramReference:
    """A program as named when the trace was made, and the SHA-256 of its file."""

    path: str
    sha256: str


@dataclass(frozen=True)
class ImageReference:
    """A binary image at `address`, likewise."""

    address: int
    path: str
    sha256: str


@dataclass(frozen=True)
class Reference:
    """That a trace is kept as a reference: the version `made_by`, and the hash of its `flow`."""

    made_by: str
    flow: FlowHash

    def values(self) -> dict[str, Any]:
        """For JSON."""
        return {"made_by": self.made_by, "flow": self.flow.values()}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a decoder needs besides the stream. `source` is the verb that made the trace."""

    configuration: Configuration
    xlen: int
    source: str
    programs: tuple[ProgramReference, ...] = ()
    images: tuple[ImageReference, ...] = ()
    platform: str | None = None
    isa: str | None = None
    #: Privilege modes of the hart, "M", "MU" or "MSU"; None: those that `isa` says, or all.
    modes: str | None = None
    memory: tuple[tuple[int, int], ...] = ()
    max_instructions: int | None = None
    command: tuple[str, ...] = ()
    #: Host calls were served: the command line that they gave. (Not the directory: it is for who
    #: runs the program again to say what that may touch.)
    semihosting: str | None = None
    #: What the hart told besides what retired: it also says where blocks end.
    sideband: SidebandOptions | None = None
    #: Where the program tells the host, if no symbol says so; "none": nowhere, whatever it says.
    tohost: int | Literal["none"] | None = None
    #: What a later run is held against.
    reference: Reference | None = None
    #: How many harts ran; of several, the instructions of a turn. The srcID of the first one is
    #: that of the configuration, those of the others follow.
    harts: int = 1
    quantum: int | None = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the programs' files, then of the images."""
        programs = tuple(each.sha256 for each in self.programs)
        return programs + tuple(each.sha256 for each in self.images)

    def pack(self) -> bytes:
        """The bytes before the stream."""
        values = {
            "command": list(self.command),
            "configuration": self.configuration.to_dict(),
            "images": [asdict(image) for image in self.images],
            "isa": self.isa,
            "max_instructions": self.max_instructions,
            "memory": [list(region) for region in self.memory],
            "platform": self.platform,
            "programs": [asdict(program) for program in self.programs],
            "source": self.source,
            "xlen": self.xlen,
        }
        if self.modes is not None:
            values["modes"] = self.modes
        if self.semihosting is not None:
            values["semihosting"] = self.semihosting
        if self.tohost is not None:
            values["tohost"] = self.tohost
        if self.reference is not None:
            values["reference"] = self.reference.values()
        if self.harts > 1:
            values["harts"], values["quantum"] = self.harts, self.quantum
        if self.sideband is not None:
            values["sideband"] = sideband_values(self.sideband)
        text = json.dumps(values, sort_keys=True, indent=1).encode() + b"\n"
        return PREFIX.pack(MAGIC, VERSION, 0, len(text)) + text


def header_from(values: Any) -> Header:
    """A checked header; raises ValueError, KeyError or TypeError on anything else."""
    if not isinstance(values, Mapping):
        raise ValueError("not a JSON object")
    xlen = values["xlen"]
    if xlen not in (32, 64) or isinstance(xlen, bool):
        raise ValueError("xlen is neither 32 nor 64")
    configuration = from_dict(_with_loops(_mapping(values["configuration"])), xlen, "configuration")
    harts, quantum = _harts(values, configuration)
    return Header(
        configuration=configuration,
        xlen=xlen,
        source=_text(values["source"]),
        programs=tuple(
            ProgramReference(_text(each["path"]), _text(each["sha256"]))
            for each in _list(values["programs"])
        ),
        images=tuple(
            ImageReference(_natural(each["address"]), _text(each["path"]), _text(each["sha256"]))
            for each in _list(values["images"])
        ),
        platform=_optional_text(values["platform"]),
        isa=_optional_text(values["isa"]),
        modes=_optional_text(values.get("modes")),
        memory=tuple((_natural(base), _natural(size)) for base, size in _list(values["memory"])),
        max_instructions=(
            None if values["max_instructions"] is None else _natural(values["max_instructions"])
        ),
        command=tuple(_text(each) for each in _list(values["command"])),
        semihosting=_optional_text(values.get("semihosting")),
        sideband=sideband_from(values.get("sideband")),
        tohost=_tohost(values.get("tohost")),
        reference=_reference(values.get("reference")),
        harts=harts,
        quantum=quantum,
    )


def _harts(values: Mapping[str, Any], configuration: Configuration) -> tuple[int, int | None]:
    """How many, and the instructions of a turn."""
    harts = values.get("harts", 1)
    if isinstance(harts, bool) or not isinstance(harts, int) or not 1 <= harts <= MAX_HARTS:
        raise ValueError(f"harts: a number from 1 to {MAX_HARTS} was expected")
    if harts == 1:
        return 1, None
    if with_sources(configuration, harts) != configuration:
        raise ValueError("harts: the framing has no srcID")
    return harts, _natural(values["quantum"])


def _reference(values: Any) -> Reference | None:
    if values is None:
        return None
    values = _mapping(values)
    return Reference(_text(values["made_by"]), from_values(values["flow"]))


def _with_loops(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """A header's configuration; one without the key `loops` is of a version that wrote a packet
    for each round."""
    encoder = configuration.get("encoder", {})
    if not isinstance(encoder, Mapping) or "loops" in encoder:
        return configuration
    return {**configuration, "encoder": {**encoder, "loops": "exact"}}


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a table was expected")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list was expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text was expected")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _tohost(value: Any) -> int | Literal["none"] | None:
    return value if value is None or value == "none" else _natural(value)


def _natural(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError("a number of 64 bits was expected")
    return value


def sideband_values(options: SidebandOptions) -> dict[str, Any]:
    """The options as JSON values."""
    return {
        "context_csr": options.context_csr,
        "context_type": options.context_type,
        "time": None if options.time is None else options.time.value,
        "time_every": options.time_every,
        "triggers": [list(each) for each in options.triggers],
        "watches": [list(each) for each in options.watches],
        "windows": [list(each) for each in options.windows],
    }


def sideband_from(values: Any) -> SidebandOptions | None:
    """The options of a header. Raises ValueError, KeyError or TypeError on anything else."""
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise ValueError("sideband: a table was expected")
    csr, time = values["context_csr"], values["time"]
    # Files of before there were any have no such keys.
    triggers, windows = values["triggers"], values.get("windows", [])
    watches = values.get("watches", [])
    if not all(isinstance(each, list) for each in (triggers, watches, windows)):
        raise ValueError("sideband: lists of triggers, watches and windows were expected")
    return SidebandOptions(
        context_csr=None if csr is None else _integer(csr),
        context_type=_integer(values["context_type"]),
        time=None if time is None else Time(time),
        time_every=_integer(values["time_every"]),
        triggers=tuple((_integer(at), _integer(pulses)) for at, pulses in triggers),
        watches=tuple(
            (_integer(at), _integer(pulses), _integer(accesses)) for at, pulses, accesses in watches
        ),
        windows=tuple(
            (_integer(skip), None if count is None else _integer(count)) for skip, count in windows
        ),
    )


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("sideband: a number was expected")
    return value
