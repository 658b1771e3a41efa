"""How packets stand in a byte stream.

* `encap`: Unformatted Trace & Diagnostic Data Packet Encapsulation (chapters 2 and 3): one header
  byte (length 5 bits, flow 2, extend 1), srcID, timestamp, then type and payload, which has all
  bits up to the last byte's end: 8 * length - type - srcID % 8 of them.
* `reference`: the one header byte `0x40 | L` of the reference flow's packet files, then L bytes. It
  is the encapsulation with flow 2 and neither srcID, timestamp, type nor null packets.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration

LENGTH_MASK = 0x1F
FLOW_SHIFT = 5
EXTEND = 0x80
NULL_IDLE = 0x00
NULL_ALIGNMENT = 0x80
#: header.length is five bits: the longest encapsulated payload, in bytes.
MAX_PAYLOAD = 31
REFERENCE_FLOW = 2


class FramingField(IntEnum):
    """Places in `FramingLayout.array`."""

    reference = 0  # 1: the reference framing
    srcid_width = 1  # in bits
    srcid = 2
    type_width = 3  # in bits
    type = 4
    timestamp_bytes = 5
    header = 6  # the constant bits of every header
    sync_period = 7  # in bytes; 0: no synchronisation sequences
    nulls = 8  # N of chapter "Synchronization": the longest run of null bytes within a packet


class FramingLayout:
    """A configuration's framing as numbers for kernels, named as in `FramingField`."""

    def __init__(self, configuration: "Configuration") -> None:
        framing = configuration.framing
        self.reference = framing.kind == "reference"
        if self.reference:
            self.srcid_width = self.type_width = self.timestamp_bytes = 0
            self.srcid = self.type = 0
            self.flow = REFERENCE_FLOW
            self.sync_period = 0
        else:
            self.srcid_width = framing.srcid_width
            self.srcid = framing.srcid
            self.type_width = framing.type_width
            self.type = framing.type
            self.timestamp_bytes = framing.timestamp_width // 8
            self.flow = framing.flow
            self.sync_period = framing.sync_period
        self.header = self.flow << FLOW_SHIFT
        self.nulls = MAX_PAYLOAD + self.timestamp_bytes + self.srcid_width // 8

    def array(self) -> np.ndarray:
        """int64, by `FramingField`."""
        return np.array([int(getattr(self, field.name)) for field in FramingField], np.int64)

    def sync_sequence(self) -> bytes:
        """N null.idle and one null.alignment; empty in the reference framing."""
        return b"" if self.reference else bytes([NULL_IDLE] * self.nulls + [NULL_ALIGNMENT])
