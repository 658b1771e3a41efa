"""One image of RAM, run on QEMU and on the emulator: what RAM holds when the program has ended.

QEMU's RAM is a file that both processes see, so the image is loaded by being there and the result
is read from the same place. The program ends by a store to `TOHOST`, which ends ours, followed by a
semihosting call, which ends QEMU's.
"""

import mmap
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emu.machine import ExitReason, Machine
from emu.platforms.elf import Program, Segment, Symbol

RAM = 0x8000_0000
#: What is compared. QEMU puts its device tree behind it, the emulator nothing.
SIZE = 32 << 20
_QEMU_SIZE = 64 << 20
TOHOST = RAM + SIZE - 4096

#: Extensions that QEMU 7.2 has, as its properties; what it has by default and ours has not is off.
QEMU_CPU: Mapping[str, str] = {
    "h": "false",
    "zba": "true",
    "zbb": "true",
    "zbc": "true",
    "zbs": "true",
    "zbkb": "true",
    "zbkc": "true",
    "zbkx": "true",
    "Zfh": "true",
    "svinval": "true",
    "svnapot": "true",
    "svpbmt": "true",
    "sstc": "true",
    "pmu-num": "29",
}
#: QEMU ends by itself in well below a second; this is for programs that went astray.
_TIMEOUT = 30.0

Bytes = npt.NDArray[np.uint8]


class RunError(Exception):
    """A program that did not end as it should: on which machine, and how."""


def qemu(xlen: int) -> str | None:
    """QEMU's program, None where it is not installed."""
    return shutil.which(f"qemu-system-riscv{xlen}")


def on_qemu(image: Bytes, xlen: int, properties: Mapping[str, str] = {}) -> Bytes:
    """RAM after QEMU ran `image` from `RAM` on, with more properties of its hart."""
    program = qemu(xlen)
    if program is None:
        raise RunError(f"qemu-system-riscv{xlen} is not installed")
    has = {**QEMU_CPU, **properties}
    if xlen == 32:
        has = {name: value for name, value in has.items() if name not in ("svnapot", "svpbmt")}
    hart = ",".join([f"rv{xlen}", *(f"{name}={value}" for name, value in has.items())])
    with tempfile.TemporaryDirectory(prefix="etrace-qemu-") as directory:
        path = Path(directory) / "ram"
        with path.open("w+b") as file:
            file.truncate(_QEMU_SIZE)
            file.write(image.tobytes())
        backend = f"memory-backend-file,id=ram,size={_QEMU_SIZE},share=on,mem-path={path}"
        command = [program, "-M", "virt,memory-backend=ram", "-m", f"{_QEMU_SIZE >> 20}M"]
        command += ["-object", backend, "-cpu", hart, "-bios", "none", "-display", "none"]
        command += ["-serial", "none", "-monitor", "none", "-nodefaults", "-no-reboot"]
        command += ["-semihosting-config", "enable=on,target=native"]
        try:
            done = subprocess.run(
                command, timeout=_TIMEOUT, capture_output=True, text=True, check=False
            )
        except subprocess.TimeoutExpired:
            raise RunError("QEMU: the program does not end") from None
        if done.returncode:
            raise RunError(f"QEMU: exit code {done.returncode}: {done.stderr.strip()}")
        with path.open("rb") as file:
            return np.frombuffer(file.read(SIZE), np.uint8)


def program_of(image: Bytes, xlen: int) -> Program:
    """The image as the emulator takes it: a segment for each stretch that is not zero."""
    pages = image.reshape(-1, mmap.PAGESIZE).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], pages.view(np.int8), [0]))))
    segments = []
    for first, end in edges.reshape(-1, 2).tolist():
        data = image[first * mmap.PAGESIZE : end * mmap.PAGESIZE].tobytes()
        segments.append(Segment(RAM + first * mmap.PAGESIZE, data, len(data), True))
    symbols = {"tohost": Symbol(TOHOST, 8, "OBJECT")}
    return Program(Path("qemu-check"), xlen, RAM, tuple(segments), symbols, None, "")


def on_ours(image: Bytes, xlen: int, isa: str | None = None, limit: int = 20_000_000) -> Bytes:
    """RAM after the emulator ran it."""
    machine = Machine([program_of(image, xlen)], isa=isa, record=False)
    for _ in machine.run(limit):
        pass
    if machine.exit_reason is not ExitReason.EXIT or machine.exit_code:
        raise RunError(
            f"emulator: {machine.exit_reason} at pc {machine.pc:#x} after {machine.instret} "
            f"instructions; traps: {machine.trap_counts}"
        )
    view = machine.memory.view(RAM, SIZE)
    assert view is not None
    return view.copy()
