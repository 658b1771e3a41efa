"""The emulator: runs a program and reports what retires (`specs.ingress`).

`load` reads an ELF file, `Machine` runs it. Importing this package is cheap: `Machine` (Numba) is
imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from emu.memory import MachineError

if TYPE_CHECKING:
    from emu.elf import ElfError, Program, load
    from emu.machine import ExitReason, Machine
    from emu.semihosting import SemihostingOptions
    from emu.sideband_options import SidebandOptions, Time

__all__ = [
    "ElfError",
    "ExitReason",
    "Machine",
    "MachineError",
    "Program",
    "SemihostingOptions",
    "SidebandOptions",
    "Time",
    "load",
]

_HOME = {
    "ElfError": "emu.elf",
    "Program": "emu.elf",
    "load": "emu.elf",
    "ExitReason": "emu.machine",
    "Machine": "emu.machine",
    "SemihostingOptions": "emu.semihosting",
    "SidebandOptions": "emu.sideband_options",
    "Time": "emu.sideband_options",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'emu' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
