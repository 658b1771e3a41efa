"""Guest memory: regions of lazily allocated host memory."""

import mmap
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

PAGE = 4096
_LAZY = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class MachineError(ValueError):
    """A machine that cannot be built: what is wrong, and what to do."""


@dataclass(frozen=True)
class Region:
    """Memory from `base` on; `data` (uint8) is its content. Pages cost nothing until touched."""

    base: int
    data: npt.NDArray[np.uint8]
    writable: bool = True

    @property
    def end(self) -> int:
        return self.base + len(self.data)


@dataclass
class Memory:
    """All regions of a machine, disjoint, sorted, and maximal: neighbours are merged."""

    regions: list[Region] = field(default_factory=list)

    def view(self, address: int, size: int, writable: bool = False) -> npt.NDArray[np.uint8] | None:
        """The bytes at `address`, shared, or None where not all of them are memory (and, with
        `writable`, memory that the guest may write).
        """
        for region in self.regions:
            if region.base <= address and address + size <= region.end:
                if writable and not region.writable:
                    return None
                offset = address - region.base
                return region.data[offset : offset + size]
        return None

    def rest(self, address: int, limit: int) -> npt.NDArray[np.uint8] | None:
        """The bytes from `address` to the end of their region, at most `limit`; None if none."""
        for region in self.regions:
            if region.base <= address < region.end:
                return self.view(address, min(limit, region.end - address))
        return None

    def read(self, address: int, size: int) -> int | None:
        """The little-endian integer at `address`, or None outside of memory."""
        view = self.view(address, size)
        return None if view is None else int.from_bytes(view.tobytes(), "little")

    def write(self, address: int, size: int, value: int) -> bool:
        """Store a little-endian integer; False outside of memory."""
        view = self.view(address, size)
        if view is None:
            return False
        view[:] = np.frombuffer(value.to_bytes(size, "little"), np.uint8)
        return True


def allocate(size: int) -> npt.NDArray[np.uint8]:
    """Zeroed memory of `size` bytes, backed only where it is touched. Raises MachineError."""
    try:
        return np.frombuffer(mmap.mmap(-1, size, flags=_LAZY), np.uint8)
    except (OSError, OverflowError, ValueError, MemoryError) as error:
        raise MachineError(f"cannot allocate {size:#x} bytes of guest memory: {error}") from None


def pages_around(base: int, size: int) -> tuple[int, int]:
    """The range (base, end) of whole pages that holds `size` bytes at `base`."""
    return base // PAGE * PAGE, -(-(base + size) // PAGE) * PAGE


def merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Union of ranges (base, end), sorted; touching ones become one."""
    merged: list[tuple[int, int]] = []
    for base, end in sorted(ranges):
        if merged and base <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif end > base:
            merged.append((base, end))
    return merged
