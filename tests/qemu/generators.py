"""All kinds of programs, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.qemu import csrs, paging, privileged, protection, sequences
from tests.qemu.image import Image


@dataclass(frozen=True)
class Generated:
    """An image; QEMU's properties and our ISA string for it."""

    image: Image
    properties: Mapping[str, str] = field(default_factory=dict)
    isa: str | None = None


#: What makes an image of a kind: (kind, seed, xlen, cases).
_MAKERS: dict[str, Callable[[str, int, int, int], Image]] = {
    **dict.fromkeys(sequences.KINDS, sequences.image),
    "csr": csrs.values_image,
    "access": csrs.access_image,
    "trap": privileged.trap_image,
    "interrupt": privileged.interrupt_image,
    "pmp": protection.image,
    "paging": paging.image,
    "svnapot": paging.image,
}
KINDS: tuple[str, ...] = tuple(_MAKERS)
#: Properties of QEMU's hart that a kind needs.
_PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "paging": {"svnapot": "false", "svpbmt": "false"},
}


def generate(kind: str, seed: int, xlen: int, count: int) -> Generated:
    """At most `count` cases."""
    return Generated(_MAKERS[kind](kind, seed, xlen, count), _PROPERTIES.get(kind, {}))
