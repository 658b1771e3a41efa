"""A process that runs cases, one after the other, and its other end.

A case may crash, hang, or be killed: that must not touch the others. What goes through the pipes
are pickles, their lengths before them; both ends are this program. Standard output is for them
alone: whatever else is printed there goes to standard error, whose last lines explain a crash.
"""

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from etrace.checking.regress.manifest import Case
from etrace.checking.regress.run import Finished, lost, run_case
from etrace.errors import printable

_LENGTH = struct.Struct("<Q")
#: Bytes of standard error that are told.
_TAIL = 400
_PROGRAM = "from etrace.checking.regress.worker import main; main()"


class Worker:
    """Runs cases in a process of its own, which is started when it is needed, and again when a case
    has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of its process, if there is one."""
        return None if self._process is None else self._process.pid

    def run(self, case: Case, update: bool, names: dict[str, str], timeout: float) -> Finished:
        """The outcome of `case`; of one that takes more than `timeout` seconds (0: any time) or
        ends the process, that it has."""
        begun = time.monotonic()
        finished = self._run(case, update, names, timeout)
        seconds = time.monotonic() - begun
        return Finished(replace(finished.result, seconds=seconds), finished.reference)

    def _run(self, case: Case, update: bool, names: dict[str, str], timeout: float) -> Finished:
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            _send(process.stdin, (case, update, names))
            reply = _receive(process.stdout.fileno(), timeout)
        except _LateError:
            self.stop()
            return lost(case, f"timed out after {timeout:g} s; killed")
        except (OSError, EOFError):
            return lost(case, self._why())
        assert isinstance(reply, Finished)
        return reply

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        home = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for us, who end it then
        )
        if self._closed:  # meanwhile
            self.stop()
        return self._process or self._dead()

    @staticmethod
    def _dead() -> "subprocess.Popen[bytes]":
        raise EOFError

    def _why(self) -> str:
        """Why the process is no longer there, in words."""
        process, errors = self._process, self._errors
        if process is None:
            return "stopped"
        code = process.wait()
        tail = ""
        if errors is not None and not errors.closed:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL))
            lines = errors.read().decode("utf-8", "replace").strip().splitlines()
            tail = f": {printable(lines[-1])[:200]}" if lines else ""
        self.stop()
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            hint = " (out of memory, or somebody else)" if name == "SIGKILL" else ""
            return f"its process was killed by {name}{hint}{tail}"
        return f"its process ended with exit code {code}{tail}"

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what could not be sent any more
                        continue
        if self._errors is not None:
            self._errors.close()

    def close(self) -> None:
        """End the process for good; may be called from another thread."""
        self._closed = True
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()


class _LateError(Exception):
    """The time is over."""


def _send(pipe: IO[bytes], value: object) -> None:
    data = pickle.dumps(value)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(descriptor: int, timeout: float) -> Any:
    deadline = time.monotonic() + timeout if timeout else None
    (size,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, deadline))
    return pickle.loads(_read(descriptor, size, deadline))


def _read(descriptor: int, size: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        if not select.select([descriptor], [], [], left)[0]:
            raise _LateError
        if not (piece := os.read(descriptor, min(size - len(data), 1 << 20))):
            raise EOFError
        data += piece
    return bytes(data)


def _end_with(cases: int) -> None:
    """End this process when there is nobody any more who would send cases, or take a result."""
    poll = select.poll()
    poll.register(cases, 0)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """The process: cases from standard input, until it ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    cases = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_end_with, args=(cases,), daemon=True).start()
    while True:
        try:
            case, update, names = _receive(cases, 0)
        except EOFError:
            return
        _send(replies, run_case(case, update, names))
