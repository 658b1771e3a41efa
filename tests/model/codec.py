"""Packet payloads and back, typed from E-Trace 2.0, "Instruction Trace Encoder Output Packets".

A packet is a dict of field name to unsigned value. Payloads are handled as text, one character a
bit in transmission order: least significant bit of the first field first.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.model.settings import Modes, Parameters

Packet = dict[str, int]
Field = Callable[[str, int], int]

#: docs/choices.md, "Privilege of one bit": U and M.
LEVELS_IN_ONE_BIT = (0, 3)

#: 2.1 draft, "Standard Support Packet format".
STANDARD_SUPPORT = (
    ("ienable", 1),
    ("encoder_mode", 2),
    ("qual_status", 2),
    ("sijump", 1),
    ("implicit_return", 1),
    ("branch_predictor", 1),
    ("jump_target_cache", 1),
    ("implicit_except", 1),
    ("full_iaddress", 1),
    ("resync_disabled", 1),
    ("iret_ext", 1),
    ("time_width", 3),
    ("f0s_width", 2),
    ("return_stack_size", 3),
    ("call_counter_size", 4),
    ("bpred_size", 3),
    ("cache_size", 3),
    ("denable", 1),
    ("dloss", 1),
    ("mmacas_ext", 1),
    ("noaddr", 1),
    ("nodata", 1),
    ("full_daddress", 1),
    ("full_data", 1),
)


class PayloadError(ValueError):
    """A payload that no format explains, or a packet that fits in no payload."""


def branch_map_bits(branches: int) -> int:
    """Width of *branch_map* for a non-zero number of *branches* (format 1, format 0.1)."""
    if branches == 1:
        return 1
    if branches <= 3:
        return 3
    if branches <= 7:
        return 7
    if branches <= 15:
        return 15
    return 31


def _visit(field: Field, p: Parameters, modes: Modes) -> None:
    """Go through a packet's fields in transmission order."""
    format_ = field("format", 2)
    if format_ == 0:
        _format_0(field, p, modes)
    elif format_ == 1:
        _format_1(field, p)
    elif format_ == 2:
        _address(field, p)
    else:
        _format_3(field, p, modes)


def _address(field: Field, p: Parameters) -> None:
    field("address", p.address_bits)
    field("notify", 1)
    field("updiscon", 1)
    field("irreport", 1)
    field(returns_field(p), p.irdepth_bits)


def returns_field(p: Parameters) -> str:
    """Name of the field behind *irreport*."""
    return "irets" if p.has_irets else "irdepth"


def _format_0(field: Field, p: Parameters, modes: Modes) -> None:
    if p.f0s_width_p:
        subformat = field("subformat", p.f0s_width_p)
    else:
        # "the value of the field inferred from the options field in the support packet"
        subformat = 1 if modes.jump_target_cache and not modes.branch_prediction else 0
    if subformat == 0:
        field("branch_count", 32)
        branch_fmt = field("branch_fmt", 2)
        if branch_fmt == 1:
            raise PayloadError("branch_fmt 1 cannot occur")
        if branch_fmt != 0:
            _address(field, p)
    elif subformat == 1:
        field("index", p.cache_size_p)
        branches = field("branches", 5)
        if branches != 0:
            field("branch_map", branch_map_bits(branches))
        field("irreport", 1)
        field(returns_field(p), p.irdepth_bits)
    else:
        raise PayloadError(f"format 0 has no subformat {subformat}")


def _format_1(field: Field, p: Parameters) -> None:
    branches = field("branches", 5)
    if branches == 0:
        field("branch_map", 31)
    else:
        field("branch_map", branch_map_bits(branches))
        _address(field, p)


def _format_3(field: Field, p: Parameters, modes: Modes) -> None:
    subformat = field("subformat", 2)
    if subformat == 3 and p.protocol_minor == 1:
        for name, width in STANDARD_SUPPORT:
            field(name, width)
        return
    if subformat == 3:
        field("ienable", 1)
        field("encoder_mode", 1)
        field("qual_status", 2)
        field("ioptions", p.ioptions_width_p)
        field("denable", 1)
        field("dloss", 1)
        field("doptions", p.doptions_width_p)
        return
    if subformat != 2:
        field("branch", 1)
    field("privilege", p.privilege_width_p)
    if not p.notime_p:
        field("time", p.time_width_p)
    if not p.nocontext_p:
        field("context", p.context_width_p)
    if subformat == 0:
        field("address", p.address_bits)
    if subformat == 1:
        field("ecause", p.ecause_width_p)
        interrupt = field("interrupt", 1)
        thaddr = field("thaddr", 1)
        if not (modes.implicit_exception and thaddr):
            field("address", p.address_bits)
        if not interrupt:
            field("tval", p.iaddress_width_p)


def to_bits(packet: Packet, p: Parameters, modes: Modes | None = None) -> str:
    """All bits of a packet, before compression. Raises PayloadError if a value does not fit."""
    bits: list[str] = []

    def write(name: str, width: int) -> int:
        value = packet.get(name, 0) if width == 0 else packet[name]
        if name == "privilege" and width == 1:
            if value not in LEVELS_IN_ONE_BIT:
                raise PayloadError(f"privilege {value} cannot be told in one bit")
            value = LEVELS_IN_ONE_BIT.index(value)
        if not 0 <= value < 1 << width:
            raise PayloadError(f"{name} = {value:#x} does not fit in {width} bits")
        bits.extend("1" if value >> position & 1 else "0" for position in range(width))
        return value

    _visit(write, p, modes or Modes())
    return "".join(bits)


def compress(bits: str) -> bytes:
    """Sign-based compression: drop what sign extension of the last byte brings back."""
    while len(bits) > 1 and bits[-1] == bits[-2]:
        bits = bits[:-1]
    while len(bits) % 8:
        bits += bits[-1]
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))


def to_bytes(packet: Packet, p: Parameters, modes: Modes | None = None) -> bytes:
    """The payload of a packet."""
    return compress(to_bits(packet, p, modes))


def from_bytes(payload: bytes, p: Parameters, modes: Modes | None = None) -> Packet:
    """The packet in a payload; PayloadError if none is."""
    if not payload:
        raise PayloadError("an empty payload")
    bits = "".join(f"{byte:08b}"[::-1] for byte in payload)
    position = 0
    packet: Packet = {}

    def read(name: str, width: int) -> int:
        nonlocal position
        value = 0
        for offset in range(width):
            bit = bits[min(position + offset, len(bits) - 1)]
            value |= int(bit) << offset
        position += width
        if name == "privilege" and width == 1:
            value = LEVELS_IN_ONE_BIT[value]
        packet[name] = value
        return value

    _visit(read, p, modes or Modes())
    if len(bits) - position >= 8 or len(set(bits[position - 1 :])) > 1:
        raise PayloadError("more bytes than the packet's fields and their sign extension")
    return packet


def address_msb(packet: Packet, p: Parameters) -> int:
    """The most significant bit of the *address* field."""
    return packet["address"] >> p.address_bits - 1 & 1


def is_notify(packet: Packet, p: Parameters) -> bool:
    """Whether *notify* says that the address was not reported as an updiscon's target."""
    return packet["notify"] != address_msb(packet, p)


def is_updiscon(packet: Packet) -> bool:
    """Whether *updiscon* says: an updiscon's target, and a format 3 follows immediately."""
    return packet["updiscon"] != packet["notify"]


def before_irreport(packet: Packet) -> int:
    """The bit that *irreport* is compared with."""
    if "updiscon" in packet:
        return packet["updiscon"]
    branches = packet["branches"]
    if branches == 0:
        return 0
    return packet["branch_map"] >> branch_map_bits(branches) - 1 & 1


def reported_depth(packet: Packet) -> int | None:
    """*irdepth* or *irets* where *irreport* says that it counts."""
    if packet["irreport"] == before_irreport(packet):
        return None
    return packet["irets"] if "irets" in packet else packet["irdepth"]


def support_fields(p: Parameters, modes: Modes, resync_disabled: bool) -> Packet:
    """What a support packet says of the encoder."""
    if p.protocol_minor == 0:
        return {
            "format": 3,
            "subformat": 3,
            "encoder_mode": 0,
            "ioptions": modes.ioptions % (1 << p.ioptions_width_p),
            "denable": 0,
            "dloss": 0,
            "doptions": 0,
        }
    return {name: 0 for name, _ in STANDARD_SUPPORT} | {
        "format": 3,
        "subformat": 3,
        "sijump": int(modes.sijump),
        "implicit_return": int(modes.implicit_return),
        "branch_predictor": int(modes.branch_prediction),
        "jump_target_cache": int(modes.jump_target_cache),
        "implicit_except": int(modes.implicit_exception),
        "full_iaddress": int(modes.full_address),
        "resync_disabled": int(resync_disabled),
        "iret_ext": int(p.has_irets),
        "time_width": 0 if p.notime_p else p.time_width_p // 16,
        "f0s_width": p.f0s_width_p,
        "return_stack_size": p.return_stack_size_p,
        "call_counter_size": p.call_counter_size_p,
        "bpred_size": p.bpred_size_p,
        "cache_size": p.cache_size_p,
    }


def learned(packet: Packet, p: Parameters, modes: Modes) -> tuple[Parameters, Modes]:
    """What a decoder knows after a standard support packet."""
    if p.protocol_minor == 0:
        return p, modes
    parameters = replace(
        p,
        notime_p=int(packet["time_width"] == 0),
        time_width_p=16 * packet["time_width"] or 1,
        f0s_width_p=packet["f0s_width"],
        return_stack_size_p=packet["return_stack_size"],
        call_counter_size_p=packet["call_counter_size"],
        bpred_size_p=packet["bpred_size"],
        cache_size_p=packet["cache_size"],
    )
    return parameters, Modes(
        implicit_return=packet["implicit_return"] == 1,
        implicit_exception=packet["implicit_except"] == 1,
        full_address=packet["full_iaddress"] == 1,
        jump_target_cache=packet["jump_target_cache"] == 1,
        branch_prediction=packet["branch_predictor"] == 1,
        sijump=packet["sijump"] == 1,
    )
