"""Progress of long work: one line on standard error, only if that is a terminal."""

import sys
import time
from contextlib import suppress

_INTERVAL = 0.5


class ProgressLine:
    """A line that is rewritten twice a second and cleared at the end."""

    def __init__(self, unit: str, listing: bool = False) -> None:
        self._unit = unit
        self._shown = False
        # With a listing on the same terminal it would only be in the way.
        self._enabled = sys.stderr.isatty() and not (listing and sys.stdout.isatty())
        self._next = time.monotonic() + _INTERVAL

    def __call__(self, done: int, size: int) -> None:
        if not self._enabled or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL
        text = f"\r{done / 1e6:,.1f} M {self._unit}, {size / 1e6:,.1f} MB of trace"
        _show(f"{text:<60}")
        self._shown = True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            _show(f"\r{'':<60}\r")
            self._shown = False


def _show(text: str) -> None:
    """The terminal may have gone: then SIGHUP is on its way, which ends things properly."""
    with suppress(OSError):
        print(text, end="", file=sys.stderr, flush=True)
