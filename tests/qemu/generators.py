"""All kinds of programs, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.qemu import sequences
from tests.qemu.image import Image


@dataclass(frozen=True)
class Generated:
    """An image; QEMU's properties and our ISA string for it."""

    image: Image
    properties: Mapping[str, str] = field(default_factory=dict)
    isa: str | None = None


KINDS: tuple[str, ...] = (*sequences.KINDS,)


def generate(kind: str, seed: int, xlen: int, count: int) -> Generated:
    """At most `count` cases."""
    return Generated(sequences.image(kind, seed, xlen, count))
