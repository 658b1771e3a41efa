"""Ctrl-C while a verb runs, and while a kernel is being compiled."""

import os
import signal
import sys
from threading import Timer
from typing import Any

from etrace.signals import number_of
from etrace.start import leave

#: Seconds after which a missed Ctrl-C is tried again.
_AGAIN = 0.2


class Interrupts:
    """Has Ctrl-C raise KeyboardInterrupt from here on, and catches the one that Python drops.

    The compiler calls back from C, and a KeyboardInterrupt there goes nowhere: Python prints a
    traceback and goes on. LLVM works for seconds and then calls back, so that is where most of
    them come up. `missed`: one did (or a SIGTERM or SIGHUP); the compiler may fail for it, or the
    signal comes again.
    """

    def __init__(self) -> None:
        self.missed: signal.Signals | None = None
        self._timer: Timer | None = None

    def __enter__(self) -> "Interrupts":
        self._quick = signal.getsignal(signal.SIGINT) is leave
        if self._quick:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._previous = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        return self

    def __exit__(self, *_: object) -> None:
        if self._quick:
            signal.signal(signal.SIGINT, leave)
        sys.unraisablehook = self._previous
        if self._timer is not None:
            self._timer.cancel()

    def _unraisable(self, what: Any) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            self._previous(what)
            return
        self.missed = number_of(what.exc_value)
        self._timer = Timer(_AGAIN, os.kill, (os.getpid(), self.missed))
        self._timer.daemon = True
        self._timer.start()
