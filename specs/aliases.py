"""Modules of the Python interface, by the short names that programs import them by.

The rooms have folders; a plugin says `from specs.events import INTERRUPT` all the same, and gets
the one module `specs.interfaces.events`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import ExecutionLoader, InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from types import CodeType, ModuleType

ALIASES = {
    "emu.elf": "emu.platforms.elf",
    "emu.hooks": "emu.ingress.hooks",
    "emu.semihosting": "emu.host.semihosting",
    "etrace.encoding": "etrace.recording.encoding",
    "etrace.events": "etrace.analyses.events",
    "etrace.filtering": "etrace.recording.filtering",
    "etrace.plugin": "etrace.plugins.plugin",
    "etrace.sideband": "etrace.recording.sideband",
    "etrace.tracefile": "etrace.trace.file",
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


class _Module(SourceFileLoader):
    """Loader of a module that goes by its short name as well: `runpy` asks by either."""

    def get_code(self, fullname: str) -> CodeType | None:
        return super().get_code(self.name)


class _Aliases(MetaPathFinder, ExecutionLoader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in ALIASES:
            return None
        return ModuleSpec(name, self, origin=_home(name).origin)

    def exec_module(self, module: ModuleType) -> None:
        # What stands here afterwards is what the import gives: the module itself, not a copy.
        home = import_module(ALIASES[module.__name__])
        sys.modules[module.__name__] = home
        spec = home.__spec__
        if spec is not None and type(spec.loader) is SourceFileLoader:
            home.__loader__ = spec.loader = _Module(spec.name, spec.loader.path)

    def get_filename(self, fullname: str) -> str:
        return _home(fullname).origin or ""

    def get_source(self, fullname: str) -> str | None:
        loader = _home(fullname).loader
        return loader.get_source(ALIASES[fullname]) if isinstance(loader, InspectLoader) else None

    def is_package(self, fullname: str) -> bool:
        return False


def _home(name: str) -> ModuleSpec:
    spec = find_spec(ALIASES[name])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {ALIASES[name]!r}", name=name)
    return spec


def install() -> None:
    """Have `import` know the short names."""
    if not any(isinstance(finder, _Aliases) for finder in sys.meta_path):
        sys.meta_path.append(_Aliases())
