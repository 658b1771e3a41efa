"""Examples as text: a listing, the flow through it, and the packets that report the flow.

A *listing* has "address: word" on each line, hexadecimal; the rest of a line is comment.

A *flow* has one row a line:

    80001188 [taken] [notify] [sijump] [priv=N] a retired instruction
    exception CAUSE tval=HEX at EPC [priv=N]    a trap
    interrupt CAUSE at EPC [priv=N]
    loop COUNT at ADDRESS                       what a decoder says: rounds that packets do not tell
    visit COUNT at ADDRESS                      the same, where a round differs from the next

A branch is taken if the next row is not the instruction after it, or where the row says so.

*Packets* have one a line, with absolute addresses whatever the mode. FLAGS are [notify] [updiscon]
and, where *irreport* differs from the bit before it, irdepth=N (or, in protocol 2.1, irets=N).
`branch_count` is the field's value, 31 less than the number of branches. An address in
parentheses is not in the packet: the reader has to know it.

    0.0 BRANCH_COUNT                            branch_fmt 00
    0.0 BRANCH_COUNT 80001110 [fail] FLAGS      branch_fmt 10, or 11 with `fail`
    0.1 INDEX [NT] (80001110) [irdepth=N]
    1 NT 80001110 FLAGS                         format 1: branches oldest first, Taken or Not
    1 NNN...N                                   format 1 without address
    2 80001a88 FLAGS
    3.0 80001a88 [taken] [priv=N]
    3.1 exception CAUSE tval=HEX thaddr=1 ADDRESS [taken] [priv=N]
    3.1 interrupt CAUSE thaddr=0 ADDRESS [priv=N]
    3.1 exception CAUSE tval=HEX thaddr=1 (ADDRESS)     implicit exception mode
    3.2
    3.3 no_change | ended_rep | ended_ntr
"""

import re

from tests.model import adapter, codec, framing, rows
from tests.model.adapter import Implementation
from tests.model.codec import Packet
from tests.model.program import BRANCH, Program, decode
from tests.model.rows import Rounds, Row, difference, outcomes
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
        notify, sijump = "notify" in line, "sijump" in line
        row = Row(True, pc, instruction.size, itype, priv, notify=notify, sijump=sijump)
        found.append(row)
    return found


class _Addresses:
    """Differential addresses and back: the last one reported.

    `unsent` are those in parentheses, in order.
    """

    def __init__(self, settings: Settings, text: str) -> None:
        self.settings = settings
        self.p = settings.parameters
        self.full = settings.modes.full_address
        self.unsent = iter(re.findall(r"\(([0-9a-f]+)\)", "\n".join(lines(text))))
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

    def skip(self) -> str:
        """The address that the packet does not hold."""
        text = next(self.unsent, "0")
        self.set(int(text, 16))
        return f"({text})"


def told(data: bytes, settings: Settings, expected: str = "") -> list[str]:
    """The packets of a trace in reference framing, as text.

    Addresses in parentheses, which no packet holds, are taken from `expected`.
    """
    addresses = _Addresses(settings, expected)
    return [_tell(packet, addresses) for packet in adapter.packets(data, settings)]


def _tell(packet: Packet, addresses: _Addresses) -> str:
    return _tell_sync(packet, addresses) if packet["format"] == 3 else _tell_path(packet, addresses)


def _outcomes(packet: Packet) -> str:
    return "".join("N" if packet["branch_map"] >> i & 1 else "T" for i in range(packet["branches"]))


def _tell_path(packet: Packet, addresses: _Addresses) -> str:
    """A packet of format 0, 1 or 2."""
    p = addresses.p
    words = [str(packet["format"])]
    if "branch_count" in packet:
        words = ["0.0", str(packet["branch_count"])]
    elif "index" in packet:
        words = ["0.1", str(packet["index"])]
        words += [_outcomes(packet)] if packet["branches"] else []
        words.append(addresses.skip())
    elif packet["format"] == 1:
        words.append(_outcomes(packet | {"branches": packet["branches"] or 31}))
    if "address" in packet:
        words.append(f"{addresses.get(packet['address']):x}")
        words += ["fail"] if packet.get("branch_fmt") == 3 else []
        words += ["notify"] if codec.is_notify(packet, p) else []
        words += ["updiscon"] if codec.is_updiscon(packet) else []
    if "irreport" in packet and (returns := codec.reported_depth(packet)) is not None:
        words.append(f"{codec.returns_field(p)}={returns}")
    return " ".join(words)


def _tell_sync(packet: Packet, addresses: _Addresses) -> str:
    """A packet of format 3."""
    p = addresses.p
    words = [f"3.{packet['subformat']}"]
    if packet["subformat"] == 3:
        return f"{words[0]} {STATUS[packet['qual_status']]}"
    if packet["subformat"] == 2:
        return words[0]
    if packet["subformat"] == 1:
        kind = "interrupt" if packet["interrupt"] else "exception"
        words.append(f"{kind} {packet['ecause']}")
        words += [] if packet["interrupt"] else [f"tval={packet['tval']:x}"]
        words.append(f"thaddr={packet['thaddr']}")
    if "address" in packet:
        address = packet["address"] << p.iaddress_lsb_p
        words.append(f"{address:x}")
        if packet.get("thaddr", 1):
            addresses.set(address)
    else:
        words.append(addresses.skip())
    words += [] if packet["branch"] else ["taken"]
    words += [] if packet["privilege"] == MACHINE else [f"priv={packet['privilege']}"]
    return " ".join(words)


def stream(text: str, settings: Settings) -> bytes:
    """Packets given as text, as a trace in reference framing."""
    addresses = _Addresses(settings, text)
    payloads = [
        codec.to_bytes(_packet(line, addresses), settings.parameters, settings.modes)
        for line in lines(text)
    ]
    return b"".join(framing.frame(payload, framing.REFERENCE) for payload in payloads)


def _packet(line: str, addresses: _Addresses) -> Packet:
    return (_sync_packet if line[0] == "3" else _path_packet)(line, addresses)


def _branch_map(outcomes: str) -> Packet:
    field = sum(1 << i for i, each in enumerate(outcomes) if each == "N")
    return {"branches": len(outcomes), "branch_map": field} if outcomes else {"branches": 0}


def _path_packet(line: str, addresses: _Addresses) -> Packet:
    """A packet of format 0, 1 or 2."""
    p = addresses.p
    words = line.split()
    packet: Packet = {"format": int(words[0][0])}
    if packet["format"] == 0:
        packet["subformat"] = int(words[0][2])
    if words[0] == "0.0":
        packet["branch_count"] = int(words.pop(1))
        packet["branch_fmt"] = 0 if len(words) == 1 else 3 if "fail" in words else 2
    if words[0] == "0.1":
        packet["index"] = int(words.pop(1))
        packet |= _branch_map("" if words[1].startswith("(") else words.pop(1))
        addresses.skip()
        del words[1]
    if words[0] == "1":
        packet |= _branch_map(words.pop(1))
        packet["branches"] *= len(words) > 1
    if len(words) > 1 and "index" not in packet:
        packet["address"] = addresses.put(int(words[1], 16))
        packet["notify"] = codec.address_msb(packet, p) ^ ("notify" in words)
        packet["updiscon"] = packet["notify"] ^ ("updiscon" in words)
    if "address" in packet or "index" in packet:
        field, bit = codec.returns_field(p), codec.before_irreport(packet)
        returns = _word(line, field, -1)
        packet["irreport"] = bit ^ (returns >= 0)
        packet[field] = returns if returns >= 0 else bit * ((1 << p.irdepth_bits) - 1)
    return packet


def _sync_packet(line: str, addresses: _Addresses) -> Packet:
    """A packet of format 3."""
    p, settings = addresses.p, addresses.settings
    words = line.split()
    packet: Packet = {"format": 3, "subformat": int(words[0][2])}
    if packet["subformat"] == 3:
        status = STATUS.index(words[1])
        said = codec.support_fields(p, settings.modes, settings.resync.unit == "off")
        return said | {"ienable": int(status == 0), "qual_status": status}
    if packet["subformat"] == 2:
        return packet | {"privilege": MACHINE, "time": 0, "context": 0}
    packet |= {"branch": 0 if "taken" in words else 1, "privilege": _word(line, "priv", MACHINE)}
    packet |= {"time": 0, "context": 0}
    if packet["subformat"] == 1:
        interrupt = int(words[1] == "interrupt")
        packet |= {"ecause": int(words[2]), "interrupt": interrupt}
        packet |= {"thaddr": _word(line, "thaddr", 1), "tval": _word(line, "tval", 0, 16)}
    address = [word for word in words if word != "taken" and "=" not in word][-1]
    if address.startswith("("):
        addresses.skip()
        return packet
    packet["address"] = int(address, 16) >> p.iaddress_lsb_p
    if packet.get("thaddr", 1):
        addresses.set(int(address, 16))
    return packet


RV64 = Settings(Parameters(iaddress_width_p=64, ecause_width_p=5))


def agree(
    implementation: Implementation,
    listing: str,
    flow_text: str,
    packets: str,
    settings: Settings = RV64,
    xlen: int = 64,
    meant: str | None = None,
) -> None:
    """The flow gives exactly these packets, and these packets give exactly that flow, or `meant`:
    what they tell of it."""
    images = code(listing)
    rows_ = flow(flow_text, images, xlen)
    assert told(implementation.encode(rows_, settings), settings, packets) == lines(packets)
    means(implementation, listing, packets, meant or flow_text, settings, xlen)


def means(
    implementation: Implementation,
    listing: str,
    packets: str,
    flow_text: str,
    settings: Settings = RV64,
    xlen: int = 64,
) -> None:
    """The packets give exactly that flow, with loops at exactly those places."""
    images = code(listing)
    texts, loops = [], []
    for line in lines(flow_text):
        if loop := re.match(r"(loop|visit) (\d+) at ([0-9a-f]+)$", line):
            rounds = Rounds(int(loop[3], 16), int(loop[2]), loop[1] == "loop")
            loops.append((len(texts), rounds))
        else:
            texts.append(line)
    rows_ = flow("\n".join(texts), images, xlen)
    decoded = implementation.decode(stream(packets, settings), settings, images, xlen)
    found = [(at, each) for at, each in enumerate(decoded) if isinstance(each, Rounds)]
    assert [(at - number, each) for number, (at, each) in enumerate(found)] == loops
    plain = [each for each in decoded if not isinstance(each, Rounds)]
    assert difference(outcomes(rows_), plain) is None
