"""Which of context and time packets have, and what they have of values."""

from dataclasses import dataclass
from typing import NamedTuple

from specs.configuration.parameters import Configuration


@dataclass(frozen=True)
class Fields:
    """Widths of context and time in packets; 0: there is no such field."""

    context: int = 0
    time: int = 0

    @staticmethod
    def of(configuration: Configuration) -> "Fields":
        """Those that the packets of this configuration have."""
        parameters = configuration.parameters
        return Fields(
            0 if parameters.nocontext_p else parameters.context_width_p,
            0 if parameters.notime_p else parameters.time_width_p,
        )

    def __bool__(self) -> bool:
        return bool(self.context or self.time)

    def cut(self, context: int, time: int) -> "Values":
        """What packets have of these values."""
        return Values(
            context & ((1 << self.context) - 1) if self.context else None,
            time & ((1 << self.time) - 1) if self.time else None,
        )


class Values(NamedTuple):
    """A context and a time; None where packets do not have it."""

    context: int | None
    time: int | None

    def __str__(self) -> str:
        parts = []
        if self.context is not None:
            parts.append(f"context {self.context:#x}")
        if self.time is not None:
            parts.append(f"time {self.time}")
        return ", ".join(parts)
