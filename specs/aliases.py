"""Modules of the Python interface, by the short names that programs import them by.

The rooms have folders; a plugin says `from specs.events import INTERRUPT` all the same, and gets
the one module `specs.interfaces.events`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

ALIASES = {
    "emu.elf": "emu.platforms.elf",
    "emu.hooks": "emu.ingress.hooks",
    "etrace.encoding": "etrace.recording.encoding",
    "etrace.events": "etrace.analyses.events",
    "etrace.filtering": "etrace.recording.filtering",
    "etrace.plugin": "etrace.plugins.plugin",
    "etrace.sideband": "etrace.recording.sideband",
    "specs.causes": "specs.isa.causes",
    "specs.csrs": "specs.isa.csrs",
    "specs.events": "specs.interfaces.events",
    "specs.filters": "specs.configuration.filters",
    "specs.flow": "specs.interfaces.flow",
    "specs.ingress": "specs.interfaces.ingress",
    "specs.itype": "specs.isa.itype",
    "specs.packets": "specs.trace.packets",
    "specs.parameters": "specs.configuration.parameters",
    "specs.privilege": "specs.isa.privilege",
}


class _Aliases(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in ALIASES else None

    def exec_module(self, module: ModuleType) -> None:
        # What stands here afterwards is what the import gives: the module itself, not a copy.
        sys.modules[module.__name__] = import_module(ALIASES[module.__name__])


def install() -> None:
    """Have `import` know the short names."""
    if not any(isinstance(finder, _Aliases) for finder in sys.meta_path):
        sys.meta_path.append(_Aliases())
