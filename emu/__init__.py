"""The emulator: runs a program and reports what retires (`specs.interfaces.ingress`).

A whole hart: RV32 and RV64 with M, A, F, D, C, B and more (`emu.hart.extensions`), modes M, S and
U, PMP and virtual memory; on a platform with memory and few devices.

`load` reads an ELF file, `Machine` runs it. Importing this package is cheap: `Machine` (Numba) is
imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

import specs  # noqa: F401 - short names of modules: `specs.aliases`
from emu.memory import MachineError

if TYPE_CHECKING:
    from emu.host.semihosting import SemihostingOptions
    from emu.ingress.options import SidebandOptions, Time
    from emu.machine import ExitReason, Hart, Machine
    from emu.platforms.elf import ElfError, Program, load

__all__ = [
    "ElfError",
    "ExitReason",
    "Hart",
    "Machine",
    "MachineError",
    "Program",
    "SemihostingOptions",
    "SidebandOptions",
    "Time",
    "load",
]

_HOME = {
    "ElfError": "emu.platforms.elf",
    "Program": "emu.platforms.elf",
    "load": "emu.platforms.elf",
    "ExitReason": "emu.machine",
    "Hart": "emu.machine",
    "Machine": "emu.machine",
    "SemihostingOptions": "emu.host.semihosting",
    "SidebandOptions": "emu.ingress.options",
    "Time": "emu.ingress.options",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'emu' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
