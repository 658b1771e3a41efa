"""The notation of tests/spec/notation.py, with context, time, triggers, filters and gaps.

A *flow* may say more of a row:

    1004 context=HEX time=N ctype=N [halted] [reset] [trace-on] [trace-off]

Context and time hold until a row gives others. *Packets* say more too:

    3.0 1004 context=HEX time=N             3.0, 3.1, 3.2: where the parameters have such fields
    3.2 priv=N context=HEX time=N
    3.3 ended_rep disabled                  ienable 0

What a decoder makes of packets is *meaning*, a line each:

    1004 [priv=N]
    exception CAUSE tval=HEX at EPC [priv=N]    EPC or N is ? where the trace does not tell it
    pause                                       tracing ended here and began again
    gap REASON                                  trace was lost, or cannot be decoded
"""

import re
from dataclasses import replace

from decoder import pcs
from encoder.encoder import Encoder
from encoder.qualification.qualifier import Qualifier
from specs.interfaces import ingress
from specs.interfaces.flow import Flow, Reason
from specs.isa.control import CodeMap
from tests import adapter
from tests.decoder import support
from tests.encoder import qualify_support
from tests.model import adapter as model_adapter
from tests.model import codec, filters, framing
from tests.model.codec import Packet
from tests.model.filters import Filtering
from tests.model.rows import TRIGGER_OFF, TRIGGER_ON, Row
from tests.model.settings import Settings
from tests.spec import notation
from tests.spec.notation import MACHINE, RV64, lines

ALL = Filtering()

#: With context and time in the packets, and all values of *ctype*.
CONTEXTS = replace(
    RV64,
    parameters=replace(
        RV64.parameters,
        context_width_p=8,
        nocontext_p=0,
        time_width_p=16,
        notime_p=0,
        ctype_width_p=2,
    ),
)


def _word(line: str, name: str, otherwise: int, base: int = 10) -> int:
    found = re.search(rf"\b{name}=([0-9a-f]+)", line)
    return int(found[1], base) if found else otherwise


def flow(text: str, listing: str) -> list[Row]:
    """The rows of a flow."""
    found = []
    context = time = 0
    for line, row in zip(lines(text), notation.flow(text, notation.code(listing), 64), strict=True):
        context, time = _word(line, "context", context, 16), _word(line, "time", time)
        on = TRIGGER_ON * ("trace-on" in line)
        found.append(
            replace(
                row,
                context=context,
                time=time,
                ctype=_word(line, "ctype", 0),
                halted="halted" in line,
                reset="reset" in line,
                trigger=on | TRIGGER_OFF * ("trace-off" in line),
            )
        )
    return found


def told(data: bytes, settings: Settings) -> list[str]:
    """The packets of a trace in reference framing, as text."""
    packets = model_adapter.packets(data, settings)
    return [
        line + _fields(packet, settings)
        for packet, line in zip(packets, notation.told(data, settings), strict=True)
    ]


def _fields(packet: Packet, settings: Settings) -> str:
    """What tests/spec/notation.py leaves out."""
    p = settings.parameters
    if packet["format"] != 3:
        return ""
    if packet["subformat"] == 3:
        return " disabled" * (not packet["ienable"])
    found = ""
    if packet["subformat"] == 2 and packet["privilege"] != MACHINE:
        found += f" priv={packet['privilege']}"
    if not p.nocontext_p:
        found += f" context={packet['context']:x}"
    if not p.notime_p:
        found += f" time={packet['time']}"
    return found


def stream(text: str, settings: Settings) -> bytes:
    """Packets given as text, as a trace in reference framing."""
    addresses = notation._Addresses(settings, text)
    payloads = []
    for line in lines(text):
        plain = re.sub(r" (context|time)=[0-9a-f]+| disabled", "", line)
        packet = notation._packet(plain, addresses)
        if packet["format"] == 3 and packet["subformat"] == 3:
            packet["ienable"] = int("disabled" not in line)
        elif packet["format"] == 3:
            packet["privilege"] = _word(line, "priv", MACHINE)
            packet["context"] = _word(line, "context", 0, 16)
            packet["time"] = _word(line, "time", 0)
        payloads.append(codec.to_bytes(packet, settings.parameters, settings.modes))
    return b"".join(framing.frame(payload, framing.REFERENCE) for payload in payloads)


def model_encodes(rows: list[Row], filtering: Filtering, settings: Settings) -> list[str]:
    """What the model's encoder sends, as text."""
    marked = filters.qualify(rows, filtering, settings.parameters)
    return told(model_adapter.encode(marked, settings), settings)


def product_sends(chunk: ingress.Chunk, listing: str, filtering: Filtering, settings: Settings):  # type: ignore[no-untyped-def]
    """What the product's filters and encoder send for a chunk, as text."""
    base = adapter.configuration(settings)
    chosen = qualify_support.configuration(filtering, settings.parameters, base)
    qualifier = Qualifier(chosen, CodeMap(notation.code(listing), 64))
    encoder = Encoder(chosen)
    parts = [encoder.feed(each) for each in qualifier.feed(chunk)]
    return told(b"".join(parts) + encoder.finish(), settings)


def product_encodes(
    rows: list[Row], listing: str, filtering: Filtering, settings: Settings
) -> list[str]:
    """What the product's filters and encoder send, as text."""
    return product_sends(qualify_support.chunk(rows), listing, filtering, settings)


def _addressed(record: object, flow_: Flow) -> list[tuple[int, int, str]]:
    """Traps, pauses and gaps before run `record`, in the order of their packets."""
    found = []
    for trap in flow_.traps[flow_.traps["run"] == record]:
        kind = "interrupt" if trap["interrupt"] else "exception"
        tval = "" if trap["interrupt"] else f" tval={int(trap['tval']):x}"
        epc = f"{int(trap['epc']):x}" if trap["epc_known"] else "?"
        priv = {255: " priv=?", MACHINE: ""}.get(int(trap["priv"]), f" priv={int(trap['priv'])}")
        text = f"{kind} {int(trap['cause'])}{tval} at {epc}{priv}"
        found.append((int(trap["packet"]), 1, text))
    for pause in flow_.pauses[flow_.pauses["run"] == record]:
        found.append((int(pause["packet"]), 0, "pause"))
    for gap in flow_.gaps[flow_.gaps["run"] == record]:
        found.append((int(gap["packet"]), 0, f"gap {Reason(int(gap['reason'])).name}"))
    return sorted(found)


def decoded(packets: str, listing: str, settings: Settings = RV64) -> Flow:
    """What the product's decoder makes of packets."""
    chosen = support.configuration(settings)
    assert chosen is not None
    return support.decode(stream(packets, settings), chosen, CodeMap(notation.code(listing), 64))


def meaning(packets: str, listing: str, settings: Settings = RV64) -> list[str]:
    """What the product's decoder makes of packets, as text."""
    flow_ = decoded(packets, listing, settings)
    every_pc = pcs(flow_, CodeMap(notation.code(listing), 64)).tolist()
    found, position = [], 0
    for number in range(len(flow_.runs) + 1):
        found += [text for _, _, text in _addressed(number, flow_)]
        if number < len(flow_.runs):
            run = flow_.runs[number]
            priv = "" if run["priv"] == MACHINE else f" priv={int(run['priv'])}"
            addresses = every_pc[position : position + int(run["count"])]
            found += [f"{pc:x}{priv}" for pc in addresses]
            position += int(run["count"])
    return found


def sends(
    listing: str,
    flow_text: str,
    packets: str,
    filtering: Filtering = ALL,
    settings: Settings = RV64,
) -> None:
    """The flow gives exactly these packets, from the product and from the model."""
    rows = flow(flow_text, listing)
    assert product_encodes(rows, listing, filtering, settings) == lines(packets)
    assert model_encodes(rows, filtering, settings) == lines(packets)


def agree(
    listing: str,
    flow_text: str,
    packets: str,
    means: str,
    filtering: Filtering = ALL,
    settings: Settings = RV64,
) -> None:
    """The flow gives exactly these packets, and to a decoder they mean exactly that."""
    assert meaning(packets, listing, settings) == lines(means)
    sends(listing, flow_text, packets, filtering, settings)
