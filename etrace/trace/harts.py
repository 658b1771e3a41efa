"""Traces of several harts: each has a srcID of its own in one stream (Packet Encapsulation)."""

from dataclasses import replace

from etrace.errors import InputError
from specs.configuration.parameters import Configuration

#: Bits of a srcID where no parameters say otherwise: "will be sufficient for most use cases, and is
#: simplest".
SRCID_WIDTH = 8


def with_sources(configuration: Configuration, harts: int) -> Configuration:
    """`configuration` with room for the srcIDs of so many harts, if there is more than one: from
    `srcid` on, in order of mhartid. Raises `InputError` where there can be none.
    """
    framing = configuration.framing
    if harts == 1:
        return configuration
    if framing.kind != "encap":
        raise InputError(
            f"{harts} harts: the framing {framing.kind} has no srcID to tell them apart; "
            "take --framing encap"
        )
    if not framing.srcid_width:
        framing = replace(framing, srcid_width=SRCID_WIDTH)
    if framing.srcid + harts - 1 >> framing.srcid_width:
        raise InputError(
            f"{harts} harts: [framing] srcid_width = {framing.srcid_width} has no room for the "
            f"srcIDs {framing.srcid} to {framing.srcid + harts - 1}; give it more bits"
        )
    return replace(configuration, framing=framing)


def of_hart(configuration: Configuration, number: int) -> Configuration:
    """That of hart `number` alone, of a configuration that has room for it (else `InputError`)."""
    framing = configuration.framing
    srcid = framing.srcid + number
    if not number:
        return configuration
    if framing.kind != "encap" or srcid >> framing.srcid_width:
        raise InputError(
            f"hart {number}: its srcID would be {srcid}, and the parameters have "
            f"srcid_width = {framing.srcid_width if framing.kind == 'encap' else 0}"
        )
    return replace(configuration, framing=replace(framing, srcid=srcid))
