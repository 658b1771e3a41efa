"""Signals that end a run: Ctrl-C (SIGINT), SIGTERM, SIGHUP. The trace up to there is whole.

What was ignored when we were started, as by nohup, stays ignored.
"""

import signal
import threading
from types import FrameType
from typing import Any

#: Those that end a program unless it says otherwise.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What a shell adds to a signal's number for an exit code.
_SIGNALLED = 128


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, where Ctrl-C would be a KeyboardInterrupt."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def number_of(error: KeyboardInterrupt) -> signal.Signals:
    """The signal that `error` stands for."""
    return signal.Signals(error.number if isinstance(error, Terminated) else signal.SIGINT)


def exit_code(number: int) -> int:
    """Exit code of a program that this signal ended: 130, 143, 129."""
    return _SIGNALLED + number


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class Terminations:
    """While entered, SIGTERM and SIGHUP raise `Terminated`, so that files are closed properly."""

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Terminations":
        if _in_main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._previous[number] = signal.signal(number, _raise)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class Interruption:
    """A signal as a request, honoured between chunks: the trace then ends where the run does.

    While `waiting` (for input, say) and at the second request it is an exception as usual. Outside
    of the main thread nothing is changed; nor are SIGTERM and SIGHUP if somebody handles them.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self.waiting = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if _in_main_thread():
            for number in ENDING:
                handler = signal.getsignal(number)
                ours = (signal.SIG_DFL, _raise) if number != signal.SIGINT else (handler,)
                if handler in ours and handler not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        again = self.requested is not None
        self.requested = self.requested or signal.Signals(number)
        if again or self.waiting:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
