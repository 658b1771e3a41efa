"""Kernels of two rooms, compiled at once: those of one in a process of its own.

The first run of a version compiles emulator and encoder, the first verification emulator and
decoder: half a minute each, of one core. What the other process compiles is in the cache when this
one needs it. Where there is no second core, or nothing can be kept, all goes on as without it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from specs.configuration.parameters import Configuration, from_dict
from specs.kernels.njit import announce_compilation, is_new

_PROGRAM = "from etrace.recording.beside import main; main()"


class Beside:
    """Another process that compiles the kernels of `room`, "encoder" or "decoder", if they and the
    emulator's are new; `wait` for it before they are needed, `close` it in any case."""

    def __init__(self, room: str, configuration: Configuration, xlen: int) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        what = f"the {room}"
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if cores < 2 or not (is_new(what, room) and is_new("the emulator", "emu")):
            return
        announce_compilation(what, room)
        home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, room, str(xlen)],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert self._process.stdin is not None
            with self._process.stdin as given:
                given.write(json.dumps(configuration.to_dict()).encode())
        except OSError:
            self.close()  # this process compiles them itself

    def wait(self) -> None:
        """Return when the kernels are there."""
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        """End it, if it goes on."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """The other process: `room`, the hart's width; standard input has the configuration."""
    room, xlen = sys.argv[1], int(sys.argv[2])
    configuration = from_dict(json.load(sys.stdin), xlen)
    {"encoder": _encode, "decoder": _decode}[room](configuration, xlen)


def _encode(configuration: Configuration, xlen: int) -> None:
    """Let the encoder, and the filters, see one block of one instruction."""
    import numpy as np

    from encoder import Encoder
    from etrace.recording.recorder import qualifier
    from specs.interfaces.ingress import BLOCK, Chunk

    blocks = np.zeros(1, BLOCK)
    blocks["iretire"] = 1
    chunk = Chunk(np.zeros(1, np.uint32), blocks)
    filters = qualifier(configuration, None)
    encoder = Encoder(configuration)
    for each in [chunk] if filters is None else filters.feed(chunk):
        encoder.feed(each)
    encoder.finish()


def _decode(configuration: Configuration, xlen: int) -> None:
    """Let the decoder see bytes that stand for anything."""
    from decoder import Decoder, pcs
    from specs.isa.control import CodeMap

    code = CodeMap([(0, bytes(4))], xlen)
    decoder = Decoder(configuration, code)
    for flow in (*decoder.feed(bytes(range(256))), *decoder.finish()):
        pcs(flow, code)
