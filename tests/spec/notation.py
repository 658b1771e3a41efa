"""Examples as text: a listing, the flow through it, and the packets that report the flow.

A *listing* has "address: word" on each line, hexadecimal; the rest of a line is comment.

A *flow* has one row a line:

    80001188 [taken] [notify] [priv=N]          a retired instruction
    exception CAUSE tval=HEX at EPC [priv=N]    a trap
    interrupt CAUSE at EPC [priv=N]

A branch is taken if the next row is not the instruction after it, or where the row says so.

*Packets* have one a line, with absolute addresses whatever the mode:

    1 NT 80001110 [notify] [updiscon]           format 1: branches oldest first, Taken or Not
    1 NNN...N                                   format 1 without address
    2 80001a88 [notify] [updiscon]
    3.0 80001a88 [taken] [priv=N]
    3.1 exception CAUSE tval=HEX thaddr=1 ADDRESS [taken] [priv=N]
    3.1 interrupt CAUSE thaddr=0 ADDRESS [priv=N]
    3.2
    3.3 no_change | ended_rep | ended_ntr
"""

import re

from tests.model import adapter, codec, framing, rows
from tests.model.adapter import Implementation
from tests.model.codec import Packet
from tests.model.program import BRANCH, Program, decode
from tests.model.rows import Row, difference, outcomes
from tests.model.settings import Parameters, Settings

STATUS = ("no_change", "ended_rep", "trace_lost", "ended_ntr")
MACHINE = 3


def lines(text: str) -> list[str]:
    """The lines that say something, without comments after `#`."""
    stripped = (line.split("#")[0].strip() for line in text.splitlines())
    return [" ".join(line.split()) for line in stripped if line]


def code(listing: str) -> adapter.Images:
    """A listing as memory images, one an instruction."""
    found = []
    for line in lines(listing):
        address, word = re.match(r"([0-9a-f]+):\s*([0-9a-f]+)", line).groups()  # type: ignore[union-attr]
        found.append((int(address, 16), int(word, 16).to_bytes(len(word) // 2, "little")))
    return found


def _program(images: adapter.Images, xlen: int) -> Program:
    return {
        address: decode(int.from_bytes(word, "little"), address, xlen) for address, word in images
    }


def _word(line: str, name: str, otherwise: int, base: int = 10) -> int:
    found = re.search(rf"\b{name}=([0-9a-f]+)", line)
    return int(found[1], base) if found else otherwise


def flow(text: str, images: adapter.Images, xlen: int) -> list[Row]:
    """The rows of a flow."""
    program = _program(images, xlen)
    found = []
    texts = lines(text)
    for line, following in zip(texts, [*texts[1:], ""], strict=False):
        priv = _word(line, "priv", MACHINE)
        if trap := re.match(r"(exception|interrupt) (\d+) .*at ([0-9a-f]+)", line):
            interrupt, cause, epc = trap[1] == "interrupt", int(trap[2]), int(trap[3], 16)
            found.append(rows.trap(epc, priv, cause, _word(line, "tval", 0, 16), interrupt))
            continue
        pc = int(line.split()[0], 16)
        instruction = program[pc]
        taken = "taken" in line
        if re.match(r"[0-9a-f]+\b", following):
            taken |= int(following.split()[0], 16) != pc + instruction.size
        itype = 5 if instruction.kind == BRANCH and taken else instruction.itype
        found.append(Row(True, pc, instruction.size, itype, priv, notify="notify" in line))
    return found


class _Addresses:
    """Differential addresses and back: the last one reported."""

    def __init__(self, settings: Settings) -> None:
        self.p = settings.parameters
        self.full = settings.modes.full_address
        self.last = 0

    def put(self, address: int) -> int:
        base = 0 if self.full else self.last
        self.last = address >> self.p.iaddress_lsb_p
        return (self.last - base) % (1 << self.p.address_bits)

    def get(self, field: int) -> int:
        base = 0 if self.full else self.last
        self.last = (base + field) % (1 << self.p.address_bits)
        return self.last << self.p.iaddress_lsb_p

    def set(self, address: int) -> None:
        self.last = address >> self.p.iaddress_lsb_p


def told(data: bytes, settings: Settings) -> list[str]:
    """The packets of a trace in reference framing, as text."""
    addresses = _Addresses(settings)
    return [_tell(packet, addresses) for packet in adapter.packets(data, settings)]


def _tell(packet: Packet, addresses: _Addresses) -> str:
    p = addresses.p
    words = [str(packet["format"])]
    if packet["format"] == 1:
        outcomes = range(packet["branches"] or 31)
        words.append("".join("N" if packet["branch_map"] >> i & 1 else "T" for i in outcomes))
    if packet["format"] in (1, 2):
        if "address" in packet:
            words.append(f"{addresses.get(packet['address']):x}")
            words += ["notify"] if codec.is_notify(packet, p) else []
            words += ["updiscon"] if codec.is_updiscon(packet) else []
        return " ".join(words)
    words[0] += f".{packet['subformat']}"
    if packet["subformat"] == 3:
        return f"{words[0]} {STATUS[packet['qual_status']]}"
    if packet["subformat"] == 2:
        return words[0]
    address = packet["address"] << p.iaddress_lsb_p
    if packet["subformat"] == 1:
        kind = "interrupt" if packet["interrupt"] else "exception"
        words.append(f"{kind} {packet['ecause']}")
        words += [] if packet["interrupt"] else [f"tval={packet['tval']:x}"]
        words.append(f"thaddr={packet['thaddr']}")
    if packet.get("thaddr", 1):
        addresses.set(address)
    words.append(f"{address:x}")
    words += [] if packet["branch"] else ["taken"]
    words += [] if packet["privilege"] == MACHINE else [f"priv={packet['privilege']}"]
    return " ".join(words)


def stream(text: str, settings: Settings) -> bytes:
    """Packets given as text, as a trace in reference framing."""
    addresses = _Addresses(settings)
    payloads = [
        codec.to_bytes(_packet(line, addresses, settings), settings.parameters, settings.modes)
        for line in lines(text)
    ]
    return b"".join(framing.frame(payload, framing.REFERENCE) for payload in payloads)


def _packet(line: str, addresses: _Addresses, settings: Settings) -> Packet:
    p = settings.parameters
    words = line.split()
    packet: Packet = {"format": int(words[0][0])}
    if packet["format"] < 3:
        if packet["format"] == 1:
            outcomes = words.pop(1)
            packet["branches"] = len(outcomes) if len(words) > 1 else 0
            packet["branch_map"] = sum(1 << i for i, each in enumerate(outcomes) if each == "N")
        if len(words) > 1:
            packet["address"] = addresses.put(int(words[1], 16))
            packet["notify"] = codec.address_msb(packet, p) ^ ("notify" in words)
            packet["updiscon"] = packet["notify"] ^ ("updiscon" in words)
            packet["irreport"] = packet["updiscon"]
            packet["irdepth"] = packet["updiscon"] * ((1 << p.irdepth_bits) - 1)
        return packet
    packet["subformat"] = int(words[0][2])
    if packet["subformat"] == 3:
        status = STATUS.index(words[1])
        support = {"ienable": int(status == 0), "encoder_mode": 0, "qual_status": status}
        options = {"ioptions": settings.modes.ioptions, "denable": 0, "dloss": 0, "doptions": 0}
        return packet | support | options
    if packet["subformat"] == 2:
        return packet | {"privilege": MACHINE, "time": 0, "context": 0}
    packet |= {"branch": 0 if "taken" in words else 1, "privilege": _word(line, "priv", MACHINE)}
    packet |= {"time": 0, "context": 0}
    if packet["subformat"] == 1:
        interrupt = int(words[1] == "interrupt")
        packet |= {"ecause": int(words[2]), "interrupt": interrupt}
        packet |= {"thaddr": _word(line, "thaddr", 1), "tval": _word(line, "tval", 0, 16)}
    address = int([word for word in words if word != "taken" and "=" not in word][-1], 16)
    packet["address"] = address >> p.iaddress_lsb_p
    if packet.get("thaddr", 1):
        addresses.set(address)
    return packet


RV64 = Settings(Parameters(iaddress_width_p=64, ecause_width_p=5))


def agree(
    implementation: Implementation,
    listing: str,
    flow_text: str,
    packets: str,
    settings: Settings = RV64,
    xlen: int = 64,
) -> None:
    """The flow gives exactly these packets, and these packets give exactly that flow."""
    images = code(listing)
    rows_ = flow(flow_text, images, xlen)
    assert told(implementation.encode(rows_, settings), settings) == lines(packets)
    means(implementation, listing, packets, flow_text, settings, xlen)


def means(
    implementation: Implementation,
    listing: str,
    packets: str,
    flow_text: str,
    settings: Settings = RV64,
    xlen: int = 64,
) -> None:
    """The packets give exactly that flow."""
    images = code(listing)
    rows_ = flow(flow_text, images, xlen)
    decoded = implementation.decode(stream(packets, settings), settings, images, xlen)
    assert difference(outcomes(rows_), decoded) is None
