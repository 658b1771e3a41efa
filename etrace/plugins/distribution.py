"""How often each number was seen, in bounded memory."""

from collections import Counter

#: Numbers of more bits than this are kept without their lowest bits: within 0.05 %.
_EXACT_BITS = 12


class Distribution:
    """Counts of natural numbers: count, total, min, max exactly; the median within 0.05 %."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.total = 0
        self.min = 0
        self.max = 0

    def add(self, value: int) -> None:
        """Count one."""
        self.min = value if not self.count else min(self.min, value)
        self.max = max(self.max, value)
        self.count += 1
        self.total += value
        dropped = max(0, value.bit_length() - _EXACT_BITS)
        self._counts[value >> dropped << dropped] += 1

    @property
    def median(self) -> int:
        """The lower median; 0 if nothing was counted."""
        left = (self.count + 1) // 2
        for value, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return min(max(value, self.min), self.max)
        return 0

    def histogram(self) -> list[tuple[int, int, int]]:
        """By powers of two: lowest, highest, count; without the empty ones at either end."""
        counts = Counter[int]()
        for value, count in self._counts.items():
            counts[value.bit_length()] += count
        if not counts:
            return []
        bits = range(min(counts), max(counts) + 1)
        return [(1 << n >> 1, max((1 << n) - 1, 0), counts[n]) for n in bits]
